/*
 * Signals, children and files that change: whatever the loop sleeps in, they
 * wake it up.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include <sys/time.h>

#include "fixture.h"

static void
signal_start (ev_signal *w, int signum, int *count)
{
  ev_signal_init (w, 0, signum);
  counts (ev_signal, w, count);
  ev_signal_start (EV_A_ w);
}

/* ten signals, each sent while the loop is asleep or about to be */
static void
expect_signals_to_arrive (unsigned flags)
{
  static ev_signal w;
  int i, count = 0;
  pid_t target = getpid ();

  loop_with_flags (flags);
  signal_start (&w, SIGUSR1, &count);

  for (i = 1; i <= 10; ++i)
    {
      pid_t pid = child ();

      if (!pid)
        {
          pause_for (10);
          must (!kill (target, SIGUSR1));
          leave ();
        }

      run_until (count, ==, i);
      ends_well (pid);
    }

  settle (EV_A);
  must_be (count, ==, 10);
}

TEST (signal_ends_the_sleep, ALL)
{
  expect_signals_to_arrive (0);
}

TEST (signal_through_signalfd_ends_the_sleep, ALL)
{
  expect_signals_to_arrive (EVFLAG_SIGNALFD);
}

TEST (signal_of_a_loop_that_leaves_the_mask_alone_ends_the_sleep, ALL)
{
  expect_signals_to_arrive (EVFLAG_NOSIGMASK);
}

TEST (signal_sent_by_the_process_itself_arrives, ALL)
{
  static ev_signal usr1, usr2;
  int i, count1 = 0, count2 = 0;

  signal_start (&usr1, SIGUSR1, &count1);
  signal_start (&usr2, SIGUSR2, &count2);

  for (i = 1; i <= 100; ++i)
    {
      kill (getpid (), i & 1 ? SIGUSR1 : SIGUSR2);
      run_until (count1 + count2, ==, i);
    }

  must_be (count1, ==, 50);
  ev_feed_signal (SIGUSR2);
  run_until (count2, ==, 51);
}

/*****************************************************************************/
/* children, of which only the default loop knows */

static void
expect_children_to_be_reported (unsigned flags)
{
  static ev_child w;
  int code;

  default_loop_with_flags (flags);

  for (code = 1; code <= 5; ++code)
    {
      int count = 0;
      pid_t pid = child ();

      if (!pid)
        _exit (code);

      ev_child_init (&w, 0, pid, 0);
      counts (ev_child, &w, &count);
      ev_child_start (EV_A_ &w);
      run_until (count, ==, 1);
      must_be (w.rpid, ==, pid);
      must_be (WEXITSTATUS (w.rstatus), ==, code);
      ev_child_stop (EV_A_ &w);
    }
}

TEST (end_of_a_child_is_reported, ALL)
{
  expect_children_to_be_reported (0);
}

TEST (end_of_a_child_is_reported_through_signalfd, ALL)
{
  expect_children_to_be_reported (EVFLAG_SIGNALFD);
}

/*****************************************************************************/
/* files that change, through inotify and without */

static void
expect_changes_of_a_file_to_be_reported (unsigned flags)
{
  static ev_stat w;
  int fd = open (temporary ("file"), O_RDWR | O_CREAT | O_CLOEXEC, 0600), count = 0;

  loop_with_flags (flags);
  ev_stat_init (&w, 0, temporary ("file"), 0.11);
  counts (ev_stat, &w, &count);
  ev_stat_start (EV_A_ &w);
  settle (EV_A);
  put (fd);
  run_until (count, ==, 1);
  must_be (w.attr.st_size, ==, 1);
  unlink (temporary ("file"));
  run_until (count >= 2 && !w.attr.st_nlink);
}

TEST (change_of_a_file_is_reported, ALL)
{
  expect_changes_of_a_file_to_be_reported (0);
}

TEST (change_of_a_file_is_reported_without_inotify, ALL)
{
  expect_changes_of_a_file_to_be_reported (EVFLAG_NOINOTIFY);
}
