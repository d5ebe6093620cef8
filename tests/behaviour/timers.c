/*
 * Sleeping: how long, and what ends it. No test looks at a clock to judge:
 * what counts is the order of things, and how often the loop had to wake up.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include "fixture.h"
#include "suites.h"

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

static void
tick_start (EV_P_ tick *t, ev_tstamp after, ev_tstamp repeat)
{
  memset (t, 0, sizeof (*t));
  ev_timer_init (&t->timer, tick_cb, after, repeat);
  ev_timer_start (EV_A_ &t->timer);
}

START_TEST (nowait_returns_without_an_event)
{
  int fd [2], i;
  probe p;

  sockets (fd);
  probe_start (EV_A_ &p, fd [0], EV_READ);

  for (i = 0; i < 100; ++i)
    ev_run (EV_A_ EVRUN_NOWAIT);

  ck_assert_int_eq (p.count, 0);
  probe_stop (EV_A_ &p);
  close_both (fd);
}
END_TEST

START_TEST (once_waits_for_an_event)
{
  int fd [2];
  tick t;
  probe p;

  sockets (fd);
  probe_start (EV_A_ &p, fd [0], EV_READ);
  tick_start (EV_A_ &t, 0.05, 0.);

  /* once for the timer, in spite of waking up a bit early perhaps */
  while (!t.count)
    ev_run (EV_A_ EVRUN_ONCE);

  ck_assert_int_eq (p.count, 0);
  put (fd [1]);
  ev_run (EV_A_ EVRUN_ONCE);
  ck_assert_int_eq (p.count, 1);

  probe_stop (EV_A_ &p);
  close_both (fd);
}
END_TEST

START_TEST (run_returns_when_nothing_is_left_to_wait_for)
{
  int fd [2];
  probe p;

  sockets (fd);
  ck_assert_int_eq (ev_run (EV_A_ 0), 0);
  probe_start (EV_A_ &p, fd [0], EV_READ);
  settle (EV_A);
  probe_stop (EV_A_ &p);
  ck_assert_int_eq (ev_run (EV_A_ 0), 0);
  close_both (fd);
}
END_TEST

#define TIMERS 14

static const ev_tstamp delays [TIMERS] = {
  50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 1.5e-3, 2e-3, 5e-3, 10e-3, 20e-3, 50e-3, 100e-3, 500e-3, 1.
};

START_TEST (timers_from_microseconds_to_a_second_expire_in_order)
{
  tick t [TIMERS];
  int i;

  ev_now_update (EV_A);

  for (i = TIMERS; i--; )
    tick_start (EV_A_ t + i, delays [i], 0.);

  run_until (t [TIMERS - 1].count);

  for (i = 0; i < TIMERS; ++i)
    {
      ck_assert_int_eq (t [i].count, 1);
      ck_assert_int_eq (t [i].place, i + 1);
    }
}
END_TEST

/* a backend that rounds down wakes up too early and runs in circles until the time has come */
START_TEST (loop_sleeps_until_the_timer)
{
  unsigned i, before;
  tick t;

  for (i = 0; i < TIMERS; ++i)
    {
      ev_now_update (EV_A);
      tick_start (EV_A_ &t, delays [i], 0.);
      before = ev_iteration (EV_A);
      run_until (t.count);
      ck_assert_uint_le (ev_iteration (EV_A) - before, 5);
    }
}
END_TEST

START_TEST (short_timer_repeats_a_thousand_times)
{
  unsigned before = ev_iteration (EV_A);
  tick t;

  tick_start (EV_A_ &t, 100e-6, 100e-6);
  run_until (t.count >= 1000);
  ck_assert_uint_le (ev_iteration (EV_A) - before, 5000);
  ev_timer_stop (EV_A_ &t.timer);
}
END_TEST

START_TEST (events_are_served_between_timers)
{
  int fd [2], i;
  tick t;
  probe p;

  sockets (fd);
  probe_start (EV_A_ &p, fd [0], EV_READ);
  p.eat = 1;
  tick_start (EV_A_ &t, 300e-6, 300e-6);

  for (i = 1; i <= 200; ++i)
    {
      put (fd [1]);
      run_until (p.count == i);
      run_until (t.count >= i);
    }

  ev_timer_stop (EV_A_ &t.timer);
  probe_stop (EV_A_ &p);
  close_both (fd);
}
END_TEST

static int pinged;

static void
ping_late (void)
{
  struct pollfd none;

  /* while the loop sleeps, which this cannot know: the outcome is the same if it does not */
  must (!poll (&none, 0, 20));
  put (pinged);
}

START_TEST (event_ends_a_sleep_without_a_timer)
{
  int fd [2], i;
  pid_t child;
  probe p;

  sockets (fd);
  pinged = fd [1];
  probe_start (EV_A_ &p, fd [0], EV_READ);
  p.eat = 1;

  for (i = 1; i <= 5; ++i)
    {
      child = in_child (ping_late);

      while (p.count < i)
        ev_run (EV_A_ EVRUN_ONCE);

      ck_assert (child_ok (child));
    }

  probe_stop (EV_A_ &p);
  close_both (fd);
}
END_TEST

START_TEST (timer_ends_a_sleep_of_a_loop_without_descriptors)
{
  struct ev_loop *other = another_loop ();
  tick t;

  tick_start (other, &t, 0.01, 0.);
  ck_assert_int_eq (ev_run (other, 0), 0);
  ck_assert_int_eq (t.count, 1);
  ev_loop_destroy (other);
}
END_TEST

START_TEST (expired_timer_does_not_wait_for_the_ready_descriptor)
{
  int fd [2];
  tick t;
  probe p;

  sockets (fd);
  put (fd [1]);
  probe_start (EV_A_ &p, fd [0], EV_READ);
  tick_start (EV_A_ &t, 0.01, 0.);
  run_until (t.count);
  ck_assert_int_ge (p.count, 1);

  probe_stop (EV_A_ &p);
  close_both (fd);
}
END_TEST

START_TEST (collecting_events_for_a_while_loses_none)
{
  int fd [2], i;
  tick t;
  probe p;

  sockets (fd);
  probe_start (EV_A_ &p, fd [0], EV_READ);
  p.eat = 1;
  tick_start (EV_A_ &t, 1e-3, 1e-3);
  ev_set_io_collect_interval (EV_A_ 2e-3);
  ev_set_timeout_collect_interval (EV_A_ 2e-3);

  for (i = 1; i <= 30; ++i)
    {
      put (fd [1]);
      run_until (p.count == i);
      run_until (t.count >= i);
    }

  ev_set_io_collect_interval (EV_A_ 0.);
  ev_set_timeout_collect_interval (EV_A_ 0.);
  ev_timer_stop (EV_A_ &t.timer);
  probe_stop (EV_A_ &p);
  close_both (fd);
}
END_TEST

START_TEST (time_does_not_pass_while_suspended)
{
  ev_tstamp left, until;
  int fd [2];
  tick t;
  probe p;

  sockets (fd);
  probe_start (EV_A_ &p, fd [0], EV_READ);
  settle (EV_A);
  tick_start (EV_A_ &t, 0.02, 0.);

  ev_suspend (EV_A);
  left = ev_timer_remaining (EV_A_ &t.timer);

  for (until = ev_time () + 0.05; ev_time () < until; )
    ev_sleep (0.01);

  put (fd [1]);
  ev_resume (EV_A);

  /* the timer has moved along with the clock, but for rounding */
  ck_assert_double_eq_tol (ev_timer_remaining (EV_A_ &t.timer), left, 1e-6);
  run_until (p.count);
  run_until (t.count);

  probe_stop (EV_A_ &p);
  close_both (fd);
}
END_TEST

static void
count_periodic_cb (EV_P_ ev_periodic *w, int revents)
{
  count_cb (EV_A_ w, revents);
}

START_TEST (periodics_are_called)
{
  ev_periodic w;
  int count = 0;

  ev_periodic_init (&w, count_periodic_cb, 0., 0.005, 0);
  w.data = &count;
  ev_periodic_start (EV_A_ &w);
  run_until (count >= 5);
  ev_periodic_stop (EV_A_ &w);
}
END_TEST

static void
count_idle_cb (EV_P_ ev_idle *w, int revents)
{
  count_cb (EV_A_ w, revents);
}

START_TEST (busy_loop_notices_events)
{
  int fd [2], i, idles = 0;
  ev_idle idle;
  probe p;

  sockets (fd);
  ev_idle_init (&idle, count_idle_cb);
  idle.data = &idles;
  ev_idle_start (EV_A_ &idle);
  probe_start (EV_A_ &p, fd [0], EV_READ);
  p.eat = 1;

  for (i = 1; i <= 100; ++i)
    {
      put (fd [1]);
      run_until (p.count == i);
      run_until (idles >= i);
    }

  ev_idle_stop (EV_A_ &idle);
  probe_stop (EV_A_ &p);
  close_both (fd);
}
END_TEST

static void
add (TCase *tc, unsigned on)
{
  (void)on;
  tcase_add_test (tc, nowait_returns_without_an_event);
  tcase_add_test (tc, once_waits_for_an_event);
  tcase_add_test (tc, run_returns_when_nothing_is_left_to_wait_for);
  tcase_add_test (tc, timers_from_microseconds_to_a_second_expire_in_order);
  tcase_add_test (tc, loop_sleeps_until_the_timer);
  tcase_add_test (tc, short_timer_repeats_a_thousand_times);
  tcase_add_test (tc, events_are_served_between_timers);
  tcase_add_test (tc, event_ends_a_sleep_without_a_timer);
  tcase_add_test (tc, timer_ends_a_sleep_of_a_loop_without_descriptors);
  tcase_add_test (tc, expired_timer_does_not_wait_for_the_ready_descriptor);
  tcase_add_test (tc, collecting_events_for_a_while_loses_none);
  tcase_add_test (tc, time_does_not_pass_while_suspended);
  tcase_add_test (tc, periodics_are_called);
  tcase_add_test (tc, busy_loop_notices_events);
}

Suite *
timers_suite (void)
{
  return suite_over_backends ("timers", add);
}
