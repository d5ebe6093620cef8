/*
 * Signals and children: whatever the loop sleeps in, they wake it up.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include <sys/time.h>

#include "fixture.h"
#include "suites.h"

static void
count_signal_cb (EV_P_ ev_signal *w, int revents)
{
  count_cb (EV_A_ w, revents);
}

static void
signal_start (EV_P_ ev_signal *w, int signum, int *count)
{
  *count = 0;
  ev_signal_init (w, count_signal_cb, signum);
  w->data = count;
  ev_signal_start (EV_A_ w);
}

static pid_t target;

static void
kill_parent_late (void)
{
  struct pollfd none;

  must (!poll (&none, 0, 10));
  must (!kill (target, SIGUSR1));
}

/* ten signals, each sent while the loop is asleep or about to be */
static void
expect_signals_to_arrive (void)
{
  ev_signal w;
  int i, count;

  target = getpid ();
  signal_start (EV_A_ &w, SIGUSR1, &count);

  for (i = 1; i <= 10; ++i)
    {
      pid_t child = in_child (kill_parent_late);

      run_until (count == i);
      ck_assert (child_ok (child));
    }

  settle (EV_A);
  ck_assert_int_eq (count, 10);
  ev_signal_stop (EV_A_ &w);
}

START_TEST (signal_ends_the_sleep)
{
  expect_signals_to_arrive ();
}
END_TEST

START_TEST (signal_through_signalfd_ends_the_sleep)
{
  loop_with_flags (EVFLAG_SIGNALFD);
  expect_signals_to_arrive ();
}
END_TEST

START_TEST (signal_of_a_loop_that_leaves_the_mask_alone_ends_the_sleep)
{
  loop_with_flags (EVFLAG_NOSIGMASK);
  expect_signals_to_arrive ();
}
END_TEST

START_TEST (signal_sent_by_the_process_itself_arrives)
{
  ev_signal usr1, usr2;
  int i, count1, count2;

  signal_start (EV_A_ &usr1, SIGUSR1, &count1);
  signal_start (EV_A_ &usr2, SIGUSR2, &count2);

  for (i = 1; i <= 100; ++i)
    {
      kill (getpid (), i & 1 ? SIGUSR1 : SIGUSR2);
      run_until (count1 + count2 == i);
    }

  ck_assert_int_eq (count1, 50);
  ev_feed_signal (SIGUSR2);
  run_until (count2 == 51);
  ev_signal_stop (EV_A_ &usr1);
  ev_signal_stop (EV_A_ &usr2);
}
END_TEST

static volatile sig_atomic_t alarms;

static void
count_alarm (int signum)
{
  (void)signum;
  ++alarms;
}

/* a handler the loop knows nothing of interrupts it a thousand times a second */
START_TEST (interrupted_sleeps_lose_no_events)
{
  static const struct itimerval storm = { { 0, 1000 }, { 0, 1000 } }, calm;
  struct sigaction sa;
  ev_timer timer;
  int fd [2], i, expired = 0;
  probe p;

  memset (&sa, 0, sizeof (sa));
  sa.sa_handler = count_alarm;
  ck_assert (!sigaction (SIGALRM, &sa, 0));
  sockets (fd);
  probe_start (EV_A_ &p, fd [0], EV_READ);
  p.eat  = 1;
  alarms = 0;
  ck_assert (!setitimer (ITIMER_REAL, &storm, 0));

  for (i = 1; i <= 300; ++i)
    {
      put (fd [1]);
      run_until (p.count == i);
    }

  ev_now_update (EV_A);
  ev_timer_init (&timer, (void (*) (EV_P_ ev_timer *, int))count_cb, 0.1, 0.);
  timer.data = &expired;
  ev_timer_start (EV_A_ &timer);
  run_until (expired);
  ck_assert (!setitimer (ITIMER_REAL, &calm, 0));
  ck_assert_int_gt (alarms, 0);
  signal (SIGALRM, SIG_DFL);
  settle (EV_A);
  ck_assert_int_eq (p.count, 300);

  probe_stop (EV_A_ &p);
  close_both (fd);
}
END_TEST

/*****************************************************************************/
/* children, of which only the default loop knows */

static int exit_code;

static void
exit_with_code (void)
{
  _exit (exit_code);
}

static void
count_child_cb (EV_P_ ev_child *w, int revents)
{
  count_cb (EV_A_ w, revents);
}

static void
expect_children_to_be_reported (void)
{
  ev_child w;
  int count;

  for (exit_code = 1; exit_code <= 5; ++exit_code)
    {
      count = 0;
      ev_child_init (&w, count_child_cb, in_child (exit_with_code), 0);
      w.data = &count;
      ev_child_start (EV_A_ &w);
      run_until (count == 1);
      ck_assert_int_eq (w.rpid, w.pid);
      ck_assert_int_eq (WEXITSTATUS (w.rstatus), exit_code);
      ev_child_stop (EV_A_ &w);
    }
}

START_TEST (end_of_a_child_is_reported)
{
  default_loop_with_flags (0);
  expect_children_to_be_reported ();
}
END_TEST

START_TEST (end_of_a_child_is_reported_through_signalfd)
{
  default_loop_with_flags (EVFLAG_SIGNALFD);
  expect_children_to_be_reported ();
}
END_TEST

/*****************************************************************************/
/* files that change, through inotify and without */

static char stat_path [100];

static void
count_stat_cb (EV_P_ ev_stat *w, int revents)
{
  count_cb (EV_A_ w, revents);
}

static void
expect_changes_of_a_file_to_be_reported (void)
{
  const char *tmp = getenv ("TMPDIR");
  ev_stat w;
  int fd, count = 0;

  snprintf (stat_path, sizeof (stat_path), "%s/behaviour-XXXXXX", tmp ? tmp : "/tmp");
  fd = mkstemp (stat_path);
  ck_assert_int_ge (fd, 0);
  ev_stat_init (&w, count_stat_cb, stat_path, 0.11);
  w.data = &count;
  ev_stat_start (EV_A_ &w);
  settle (EV_A);
  put (fd);
  run_until (count == 1);
  ck_assert_int_eq (w.attr.st_size, 1);
  unlink (stat_path);
  run_until (count >= 2 && !w.attr.st_nlink);
  ev_stat_stop (EV_A_ &w);
  close (fd);
}

START_TEST (change_of_a_file_is_reported)
{
  expect_changes_of_a_file_to_be_reported ();
}
END_TEST

START_TEST (change_of_a_file_is_reported_without_inotify)
{
  loop_with_flags (EVFLAG_NOINOTIFY);
  expect_changes_of_a_file_to_be_reported ();
}
END_TEST

static void
add (TCase *tc, unsigned on)
{
  (void)on;
  tcase_add_test (tc, signal_ends_the_sleep);
  tcase_add_test (tc, signal_through_signalfd_ends_the_sleep);
  tcase_add_test (tc, signal_of_a_loop_that_leaves_the_mask_alone_ends_the_sleep);
  tcase_add_test (tc, signal_sent_by_the_process_itself_arrives);
  tcase_add_test (tc, interrupted_sleeps_lose_no_events);
  tcase_add_test (tc, end_of_a_child_is_reported);
  tcase_add_test (tc, end_of_a_child_is_reported_through_signalfd);
  tcase_add_test (tc, change_of_a_file_is_reported);
  tcase_add_test (tc, change_of_a_file_is_reported_without_inotify);
}

Suite *
signals_suite (void)
{
  return suite_over_backends ("signals", add);
}
