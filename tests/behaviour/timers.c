/*
 * Sleeping: how long, and what ends it. No test looks at a clock to judge:
 * what counts is the order of things, and how often the loop had to wake up.
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

TEST (short_timer_repeats_a_thousand_times, ALL)
{
  unsigned before = ev_iteration (EV_A);
  int ticks = 0;

  counted (timer, &ticks, 100e-6, 100e-6);
  run_until (ticks, >=, 1000);
  must_be (ev_iteration (EV_A) - before, <=, 5000);
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
