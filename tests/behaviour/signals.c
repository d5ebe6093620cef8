/*
 * Signals and children: whatever the loop sleeps in, they wake it up.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include "fixture.h"

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

/*****************************************************************************/
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
