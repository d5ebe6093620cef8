/*
 * Sleeping: how long, and what ends it. No test looks at a clock to judge:
 * what counts is the order of things, and how often the loop had to wake up.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include "fixture.h"

TEST (nowait_returns_without_an_event_and_once_waits_for_one, ALL)
{
  probe *p = watch_socket (EV_READ);
  int i, ticks = 0;

  for (i = 0; i < 100; ++i)
    ev_run (EV_A_ EVRUN_NOWAIT);

  must_be (p->count, ==, 0);
  counted (timer, &ticks, 0.02, 0.);

  /* once for the timer, in spite of waking up a bit early perhaps */
  while (!ticks)
    ev_run (EV_A_ EVRUN_ONCE);

  must_be (p->count, ==, 0);
  put (p->peer);
  ev_run (EV_A_ EVRUN_ONCE);
  must_be (p->count, ==, 1);
}

#define TIMERS 14

static const ev_tstamp delays [TIMERS] = {
  50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 1.5e-3, 2e-3, 5e-3, 10e-3, 20e-3, 30e-3, 50e-3, 70e-3, 100e-3
};

static int expired [TIMERS], expiries;

static void
note_cb (EV_P_ ev_timer *w, int revents)
{
  *(int *)w->data = ++expiries;
}

TEST (timers_from_microseconds_to_a_tenth_of_a_second_expire_in_order, ALL)
{
  ev_timer timer [TIMERS];
  int i;

  ev_now_update (EV_A);

  for (i = TIMERS; i--; )
    {
      ev_timer_init (timer + i, note_cb, delays [i], 0.);
      timer [i].data = expired + i;
      ev_timer_start (EV_A_ timer + i);
    }

  run_until (expired [TIMERS - 1]);

  for (i = 0; i < TIMERS; ++i)
    must_be (expired [i], ==, i + 1);
}

/* a backend that rounds down wakes up too early and runs in circles until the time has come */
TEST (loop_sleeps_until_the_timer, ALL)
{
  unsigned i, before;

  for (i = 0; i < TIMERS; ++i)
    {
      int ticks = 0;

      ev_now_update (EV_A);
      counted (timer, &ticks, delays [i], 0.);
      before = ev_iteration (EV_A);
      run_until (ticks, ==, 1);
      must_be (ev_iteration (EV_A) - before, <=, 5);
    }
}

TEST (short_timer_repeats_a_thousand_times, ALL)
{
  unsigned before = ev_iteration (EV_A);
  int ticks = 0;

  counted (timer, &ticks, 100e-6, 100e-6);
  run_until (ticks, >=, 1000);
  must_be (ev_iteration (EV_A) - before, <=, 5000);
}

static void
expect_events_between_timers (ev_tstamp interval, int rounds)
{
  probe *p = reader ();
  int i, ticks = 0;

  counted (timer, &ticks, interval, interval);

  for (i = 1; i <= rounds; ++i)
    {
      ping (p);
      run_until (ticks, >=, i);
    }
}

TEST (events_are_served_between_timers, ALL)
{
  expect_events_between_timers (300e-6, 200);
}

TEST (collecting_events_for_a_while_loses_none, ALL)
{
  ev_set_io_collect_interval (EV_A_ 2e-3);
  ev_set_timeout_collect_interval (EV_A_ 2e-3);
  expect_events_between_timers (1e-3, 30);
}

TEST (event_ends_a_sleep_without_a_timer, ALL)
{
  probe *p = reader ();
  int i;

  for (i = 1; i <= 5; ++i)
    {
      pid_t pid;

      /* while the loop sleeps, which this cannot know: the outcome is the same if it does not */
      for_child (pid)
        {
          pause_for (20);
          put (p->peer);
        }

      while (p->count < i)
        ev_run (EV_A_ EVRUN_ONCE);

      ends_well (pid);
    }
}

TEST (timer_ends_a_sleep_of_a_loop_without_descriptors, ALL)
{
  int ticks = 0;

  counted (timer, &ticks, 0.01, 0.);
  must_be (ev_run (EV_A_ 0), ==, 0);
  must_be (ticks, ==, 1);
}

TEST (expired_timer_does_not_wait_for_the_ready_descriptor, ALL)
{
  probe *p = watch_socket (EV_READ);
  int ticks = 0;

  counted (timer, &ticks, 0.01, 0.);
  put (p->peer);
  run_until (ticks, ==, 1);
  must_be (p->count, >=, 1);
}

TEST (periodics_are_called, ALL)
{
  int count = 0;

  counted (periodic, &count, 0., 0.005, 0);
  run_until (count, >=, 5);
}

TEST (busy_loop_notices_events, ALL)
{
  probe *p = reader ();
  int i, idles = 0;

  counted (idle, &idles);

  for (i = 1; i <= 100; ++i)
    {
      ping (p);
      run_until (idles, >=, i);
    }
}
