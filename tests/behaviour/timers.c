/*
 * Sleeping: how long, and what ends it. No test looks at a clock to judge:
 * what counts is the order of things, and how often the loop had to wake up.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include "fixture.h"

typedef struct tick
{
  ev_timer timer;
  int count, place;
} tick;

static void
tick_cb (EV_P_ ev_timer *w, int revents)
{
  tick *t = (tick *)w;

  (void)loop, (void)revents;
  ++t->count;
  t->place = ++places;
}

static tick *
tick_start (ev_tstamp after, ev_tstamp repeat)
{
  tick *t = (tick *)kept (sizeof (*t));

  ev_timer_init (&t->timer, tick_cb, after, repeat);
  ev_timer_start (EV_A_ &t->timer);

  return t;
}

TEST (nowait_returns_without_an_event, ALL)
{
  probe *p = watch_socket (EV_READ);
  int i;

  for (i = 0; i < 100; ++i)
    ev_run (EV_A_ EVRUN_NOWAIT);

  must_be (p->count, ==, 0);
}

TEST (once_waits_for_an_event, ALL)
{
  probe *p = watch_socket (EV_READ);
  tick *t = tick_start (0.05, 0.);

  /* once for the timer, in spite of waking up a bit early perhaps */
  while (!t->count)
    ev_run (EV_A_ EVRUN_ONCE);

  must_be (p->count, ==, 0);
  put (p->peer);
  ev_run (EV_A_ EVRUN_ONCE);
  must_be (p->count, ==, 1);
}

#define TIMERS 14

static const ev_tstamp delays [TIMERS] = {
  50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 1.5e-3, 2e-3, 5e-3, 10e-3, 20e-3, 50e-3, 100e-3, 300e-3, .4
};

TEST (timers_from_microseconds_to_a_second_expire_in_order, ALL)
{
  tick *t [TIMERS];
  int i;

  ev_now_update (EV_A);

  for (i = TIMERS; i--; )
    t [i] = tick_start (delays [i], 0.);

  run_until (t [TIMERS - 1]->count, ==, 1);

  for (i = 0; i < TIMERS; ++i)
    {
      must_be (t [i]->count, ==, 1);
      must_be (t [i]->place, ==, i + 1);
    }
}

/* a backend that rounds down wakes up too early and runs in circles until the time has come */
TEST (loop_sleeps_until_the_timer, ALL)
{
  unsigned i, before;

  for (i = 0; i < TIMERS; ++i)
    {
      tick *t;

      ev_now_update (EV_A);
      t = tick_start (delays [i], 0.);
      before = ev_iteration (EV_A);
      run_until (t->count, ==, 1);
      must_be (ev_iteration (EV_A) - before, <=, 5);
    }
}

TEST (short_timer_repeats_a_thousand_times, ALL)
{
  unsigned before = ev_iteration (EV_A);
  tick *t = tick_start (100e-6, 100e-6);

  run_until (t->count, >=, 1000);
  must_be (ev_iteration (EV_A) - before, <=, 5000);
}

TEST (events_are_served_between_timers, ALL)
{
  probe *p = reader ();
  tick *t = tick_start (300e-6, 300e-6);
  int i;

  for (i = 1; i <= 200; ++i)
    {
      put (p->peer);
      run_until (p->count, ==, i);
      run_until (t->count, >=, i);
    }
}

TEST (event_ends_a_sleep_without_a_timer, ALL)
{
  probe *p = reader ();
  int i;

  for (i = 1; i <= 5; ++i)
    {
      pid_t pid = child ();

      if (!pid)
        {
          /* while the loop sleeps, which this cannot know: the outcome is the same if it does not */
          pause_for (20);
          put (p->peer);
          leave ();
        }

      while (p->count < i)
        ev_run (EV_A_ EVRUN_ONCE);

      ends_well (pid);
    }
}

TEST (timer_ends_a_sleep_of_a_loop_without_descriptors, ALL)
{
  tick *t = tick_start (0.01, 0.);

  must_be (ev_run (EV_A_ 0), ==, 0);
  must_be (t->count, ==, 1);
}

TEST (expired_timer_does_not_wait_for_the_ready_descriptor, ALL)
{
  probe *p = watch_socket (EV_READ);
  tick *t = tick_start (0.01, 0.);

  put (p->peer);
  run_until (t->count, ==, 1);
  must_be (p->count, >=, 1);
}

TEST (collecting_events_for_a_while_loses_none, ALL)
{
  probe *p = reader ();
  tick *t = tick_start (1e-3, 1e-3);
  int i;

  ev_set_io_collect_interval (EV_A_ 2e-3);
  ev_set_timeout_collect_interval (EV_A_ 2e-3);

  for (i = 1; i <= 30; ++i)
    {
      put (p->peer);
      run_until (p->count, ==, i);
      run_until (t->count, >=, i);
    }
}

TEST (time_does_not_pass_while_suspended, ALL)
{
  probe *p = watch_socket (EV_READ);
  ev_tstamp left, until;
  tick *t;

  settle (EV_A);
  t = tick_start (0.02, 0.);
  ev_suspend (EV_A);
  left = ev_timer_remaining (EV_A_ &t->timer);

  for (until = ev_time () + 0.05; ev_time () < until; )
    ev_sleep (0.01);

  put (p->peer);
  ev_resume (EV_A);

  /* the timer has moved along with the clock, but for rounding */
  left -= ev_timer_remaining (EV_A_ &t->timer);
  must (left < 1e-6 && left > -1e-6);
  run_until (p->count && t->count);
}

TEST (periodics_are_called, ALL)
{
  static ev_periodic w;
  int count = 0;

  ev_periodic_init (&w, 0, 0., 0.005, 0);
  counts (ev_periodic, &w, &count);
  ev_periodic_start (EV_A_ &w);
  run_until (count, >=, 5);
}

TEST (busy_loop_notices_events, ALL)
{
  static ev_idle idle;
  probe *p = reader ();
  int i, idles = 0;

  ev_idle_init (&idle, 0);
  counts (ev_idle, &idle, &idles);
  ev_idle_start (EV_A_ &idle);

  for (i = 1; i <= 100; ++i)
    {
      put (p->peer);
      run_until (p->count, ==, i);
      run_until (idles, >=, i);
    }
}

/* longer than the busy time, and shorter; events come from another process */
TEST (busy_polling_loses_nothing, LINUXAIO)
{
  static ev_signal usr1;
  probe *p = reader ();
  int i, signals = 0;
  pid_t pid = child ();
  tick *t;

  if (!pid)
    {
      for (i = 0; i < 500; ++i)
        {
          must (wait_for (p->peer, POLLIN));
          must_be (get (p->peer), ==, 1);
          put (p->peer);
        }

      leave ();
    }

  ev_linuxaio_busy_poll (EV_A_ 0.001);

  for (i = 1; i <= 500; ++i)
    {
      put (p->io.fd);
      run_until (p->count, ==, i);
    }

  ends_well (pid);
  ev_signal_init (&usr1, 0, SIGUSR1);
  counts (ev_signal, &usr1, &signals);
  ev_signal_start (EV_A_ &usr1);
  kill (getpid (), SIGUSR1);
  run_until (signals, ==, 1);
  t = tick_start (0.01, 0.0001);
  run_until (t->count, >=, 10);
  ev_linuxaio_busy_poll (EV_A_ 0.);
  talk (p, 10);
}
