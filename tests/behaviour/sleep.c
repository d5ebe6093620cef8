/*
 * Sleeping: how long, and what ends it: timers, signals, children. No test looks at a clock
 * to judge: what counts is the order of things, and how often the loop had to wake up.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include "fixture.h"

/* a backend that rounds down wakes up too early and runs in circles until the time has come */
TEST (loop_sleeps_until_the_timer, ALL)
{
  static const ev_tstamp delays [] = { 50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 1.5e-3, 2e-3, 5e-3, 10e-3, 20e-3, 50e-3, 100e-3 };
  unsigned before;

  for (unsigned i = 0; i < 12; ++i)
    {
      int ticks = 0;

      ev_now_update (EV_A);
      counted (timer, &ticks, delays [i], 0.);
      before = ev_iteration (EV_A);
      run_until (ticks, ==, 1);
      must_be (ev_iteration (EV_A) - before, <=, 5);
    }
}

TEST (collecting_events_for_a_while_loses_none, ALL)
{
  probe *p = reader ();
  int ticks = 0;

  ev_set_io_collect_interval (EV_A_ 2e-3);
  ev_set_timeout_collect_interval (EV_A_ 2e-3);
  counted (timer, &ticks, 1e-3, 1e-3);

  for (int i = 1; i <= 30; ++i)
    {
      ping (p);
      run_until (ticks, >=, i);
    }
}

/* ten signals, each sent while the loop is asleep or about to be */
static void
expect_signals_to_arrive (unsigned flags)
{
  int count = 0;
  pid_t target = getpid (), pid;

  loop_with_flags (flags, 0);
  counted (signal, &count, SIGUSR1);

  for (int i = 1; i <= 10; ++i)
    {
      for_child (pid)
        {
          usleep (5000);
          must (!kill (target, SIGUSR1));
        }

      run_until (count, ==, i);
      ends_well (pid);
    }

  settle (EV_A);
  must_be (count, ==, 10);
}

TEST (signal_ends_the_sleep, ALL) { expect_signals_to_arrive (0); }
TEST (signal_through_signalfd_ends_the_sleep, ALL) { expect_signals_to_arrive (EVFLAG_SIGNALFD); }
TEST (signal_of_a_loop_that_leaves_the_mask_alone_ends_the_sleep, ALL) { expect_signals_to_arrive (EVFLAG_NOSIGMASK); }

/* children, of which only the default loop knows */
static void
expect_children_to_be_reported (unsigned flags)
{
  loop_with_flags (flags, 1);

  for (int code = 1; code <= 5; ++code)
    {
      int count = 0;
      ev_child *w;
      pid_t pid;

      for_child (pid)
        _exit (code);

      w = counted (child, &count, pid, 0);
      run_until (count, ==, 1);
      must_be (w->rpid, ==, pid);
      must_be (WEXITSTATUS (w->rstatus), ==, code);
      ev_child_stop (EV_A_ w);
    }
}

TEST (end_of_a_child_is_reported, ALL) { expect_children_to_be_reported (0); }
TEST (end_of_a_child_is_reported_through_signalfd, ALL) { expect_children_to_be_reported (EVFLAG_SIGNALFD); }
