/*
 * Forks: parent and child each go on with a loop of their own, and whatever
 * the child does or forgets to do, the parent never notices.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include "fixture.h"
#include "suites.h"

/* watched before the fork: by the parent only, by the child only, by both after it */
static int mine [2], theirs [2], both [2];
static probe my_probe, their_probe, both_probe;

static void
start_all (void)
{
  sockets (mine);
  sockets (theirs);
  sockets (both);
  probe_start (EV_A_ &my_probe, mine [0], EV_READ);
  probe_start (EV_A_ &their_probe, theirs [0], EV_READ);
  probe_start (EV_A_ &both_probe, both [0], EV_READ);
  my_probe.eat = their_probe.eat = 1;
  settle (EV_A);
}

static void
stop_all (void)
{
  probe_stop (EV_A_ &my_probe);
  probe_stop (EV_A_ &their_probe);
  probe_stop (EV_A_ &both_probe);
  close_both (mine);
  close_both (theirs);
  close_both (both);
}

/* talks to itself through the loop, and hears nothing else */
static void
talk (probe *p, int fd, int rounds)
{
  int i, before = places;

  p->count = 0;

  for (i = 1; i <= rounds; ++i)
    {
      put (fd);
      run_until (p->count == i);
    }

  settle (EV_A);
  must (p->count == rounds);
  must (places - before == rounds);
}

/* the same on descriptors that did not exist before the fork */
static void
talk_anew (int fds)
{
  int fd [300][2], i;
  probe p [300];

  for (i = 0; i < fds; ++i)
    {
      sockets (fd [i]);
      probe_start (EV_A_ p + i, fd [i][0], EV_READ);
      p [i].eat = 1;
    }

  settle (EV_A);

  for (i = 0; i < fds; ++i)
    {
      talk (p + i, fd [i][1], 1);
      probe_stop (EV_A_ p + i);
      close_both (fd [i]);
    }
}

static void
serve_as_child (void)
{
  probe_stop (EV_A_ &my_probe);
  talk (&their_probe, theirs [1], 100);
  talk_anew (100);
  talk (&their_probe, theirs [1], 100);
}

static void
serve_as_parent (void)
{
  probe_stop (EV_A_ &their_probe);
  talk (&my_probe, mine [1], 500);
  talk_anew (10);
}

static void
expect_parent_undisturbed_by (void (*child) (void))
{
  pid_t pid;

  start_all ();
  pid = in_child (child);
  serve_as_parent ();
  ck_assert (child_ok (pid));

  /* once more, now that the child is gone */
  talk (&my_probe, mine [1], 50);
  ev_io_start (EV_A_ &their_probe.io);
  talk (&their_probe, theirs [1], 50);
  stop_all ();
}

/*****************************************************************************/

static void
fork_loop_and_serve (void)
{
  ev_loop_fork (EV_A);
  serve_as_child ();
}

START_TEST (parent_and_child_serve_their_own)
{
  expect_parent_undisturbed_by (fork_loop_and_serve);
}
END_TEST

static void
do_nothing (void)
{
}

START_TEST (child_that_never_touches_the_loop_is_not_noticed)
{
  expect_parent_undisturbed_by (do_nothing);
}
END_TEST

static void
destroy_loop (void)
{
  ev_loop_destroy (EV_A);
}

START_TEST (child_that_destroys_the_loop_is_not_noticed)
{
  expect_parent_undisturbed_by (destroy_loop);
}
END_TEST

static void
fork_and_destroy_loop (void)
{
  unsigned long inodes [8];

  ev_loop_fork (EV_A);
  serve_as_child ();
  ev_loop_destroy (EV_A);
  must (contexts (inodes, 8) == 0);
}

START_TEST (child_that_uses_and_destroys_the_loop_is_not_noticed)
{
  expect_parent_undisturbed_by (fork_and_destroy_loop);
}
END_TEST

/* as programs do before they exec something */
static void
stop_and_close_everything (void)
{
  stop_all ();
}

START_TEST (child_that_stops_and_closes_everything_is_not_noticed)
{
  expect_parent_undisturbed_by (stop_and_close_everything);
}
END_TEST

static void
make_another_loop (void)
{
  struct ev_loop *inherited = loop;

  loop = another_loop ();
  talk_anew (100);
  ev_loop_destroy (EV_A);
  loop = inherited;
}

START_TEST (child_that_makes_a_loop_of_its_own_is_not_noticed)
{
  expect_parent_undisturbed_by (make_another_loop);
}
END_TEST

static void
fork_again_and_serve (void)
{
  pid_t pid;

  fork_loop_and_serve ();
  pid = in_child (fork_loop_and_serve);
  probe_stop (EV_A_ &their_probe);
  talk_anew (20);
  must (child_ok (pid));
}

START_TEST (child_and_grandchild_serve_their_own)
{
  expect_parent_undisturbed_by (fork_again_and_serve);
}
END_TEST

static void
only_fork_again (void)
{
  pid_t pid = in_child (fork_loop_and_serve);

  must (child_ok (pid));
}

START_TEST (grandchild_serves_its_own_when_the_child_does_nothing)
{
  expect_parent_undisturbed_by (only_fork_again);
}
END_TEST

static int report; /* where the daemon says that all is well */

static void
become_a_daemon (void)
{
  pid_t pid = fork ();

  must (pid >= 0);

  /* the one that is waited for is gone at once, as daemon (3) has it */
  if (!pid)
    {
      fork_loop_and_serve ();
      put (report);
    }
}

START_TEST (daemon_goes_on_when_its_parent_is_gone)
{
  int fd [2];

  sockets (fd);
  report = fd [1];
  start_all ();
  ck_assert (child_ok (in_child (become_a_daemon)));
  serve_as_parent ();
  ck_assert (wait_for (fd [0], POLLIN));
  ck_assert_int_eq (get (fd [0]), 1);
  talk (&my_probe, mine [1], 50);
  stop_all ();
  close_both (fd);
}
END_TEST

static void
change_everything (void)
{
  int i;

  ev_loop_fork (EV_A);
  probe_stop (EV_A_ &my_probe);

  for (i = 0; i < 5; ++i)
    {
      talk_anew (i * 70);
      probe_restart (EV_A_ &their_probe, theirs [0], EV_READ);
    }

  talk (&their_probe, theirs [1], 10);
}

START_TEST (changes_in_the_child_are_not_noticed)
{
  expect_parent_undisturbed_by (change_everything);
}
END_TEST

START_TEST (child_of_a_forkcheck_loop_need_not_say_so)
{
  loop_with_flags (EVFLAG_FORKCHECK);
  expect_parent_undisturbed_by (serve_as_child);
}
END_TEST

/* epoll cannot do this: there, a child that forgets ev_loop_fork takes its parent's events */
START_TEST (child_that_forgets_ev_loop_fork_serves_its_own)
{
  expect_parent_undisturbed_by (serve_as_child);
}
END_TEST

static void
run_without_waiting (void)
{
  int i;

  probe_stop (EV_A_ &my_probe);

  for (i = 0; i < 20; ++i)
    ev_run (EV_A_ EVRUN_NOWAIT);

  must (places == 0);
}

START_TEST (child_that_forgets_ev_loop_fork_may_run_the_loop)
{
  expect_parent_undisturbed_by (run_without_waiting);
}
END_TEST

static int forget_how; /* EVRUN_xxx */

/* what is ready is reported by the first run already, which must not take the fork for an event */
static void
run_once (void)
{
  put (theirs [1]);
  probe_stop (EV_A_ &my_probe);
  ev_run (EV_A_ forget_how);
  must (their_probe.count == 1);
  must (places == 1);
}

START_TEST (child_that_forgets_ev_loop_fork_is_served_by_its_first_run)
{
  start_all ();

  for (forget_how = EVRUN_NOWAIT; forget_how <= EVRUN_ONCE; forget_how += EVRUN_ONCE - EVRUN_NOWAIT)
    {
      pid_t pid = in_child (run_once);

      probe_stop (EV_A_ &their_probe);
      ck_assert (child_ok (pid));
      ev_io_start (EV_A_ &their_probe.io);
      settle (EV_A);
    }

  talk (&my_probe, mine [1], 10);
  stop_all ();
}
END_TEST

/*****************************************************************************/
/* what both see */

static void
see_shared_data (void)
{
  ev_loop_fork (EV_A);
  run_until (both_probe.count >= 2);
  must (both_probe.seen == EV_READ);
  must (my_probe.count + their_probe.count == 0);
}

START_TEST (unread_data_is_reported_to_both)
{
  pid_t pid;

  start_all ();
  pid = in_child (see_shared_data);
  put (both [1]);
  run_until (both_probe.count);
  ck_assert (child_ok (pid));
  both_probe.count = 0;
  run_until (both_probe.count);
  stop_all ();
}
END_TEST

/* the kernel has told of it, the loop has not looked yet */
START_TEST (data_that_came_just_before_the_fork_is_reported_to_both)
{
  pid_t pid;

  start_all ();
  put (both [1]);
  ck_assert (wait_for (both [0], POLLIN));
  pid = in_child (see_shared_data);
  run_until (both_probe.count);
  ck_assert_int_eq (my_probe.count + their_probe.count, 0);
  ck_assert (child_ok (pid));
  stop_all ();
}
END_TEST

static pid_t callback_child;

static void
fork_cb (EV_P_ ev_io *w, int revents)
{
  probe_cb (EV_A_ w, revents);
  get (w->fd);
  callback_child = in_child (fork_loop_and_serve);
}

START_TEST (fork_inside_a_callback_works)
{
  start_all ();
  ev_set_cb (&both_probe.io, fork_cb);
  put (both [1]);
  run_until (both_probe.count);
  serve_as_parent ();
  ck_assert (child_ok (callback_child));
  stop_all ();
}
END_TEST

/*****************************************************************************/
/* other watchers */

static ev_fork fork_watcher;
static int forks_seen;

static void
expect_one_fork_event (void)
{
  fork_loop_and_serve ();
  must (forks_seen == 1);
}

START_TEST (fork_watchers_are_called_in_the_child_once)
{
  forks_seen = 0;
  ev_fork_init (&fork_watcher, (void (*) (EV_P_ ev_fork *, int))count_cb);
  fork_watcher.data = &forks_seen;
  ev_fork_start (EV_A_ &fork_watcher);
  expect_parent_undisturbed_by (expect_one_fork_event);
  ck_assert_int_eq (forks_seen, 0);
  ev_fork_stop (EV_A_ &fork_watcher);
}
END_TEST

static ev_async async;
static ev_signal usr1;
static int asyncs, signals;

static void
signal_itself (void)
{
  ev_loop_fork (EV_A);
  kill (getpid (), SIGUSR1);
  run_until (signals == 1);
  ev_async_send (EV_A_ &async);
  run_until (asyncs == 1);
  settle (EV_A);
  must (signals == 1 && asyncs == 1);
}

START_TEST (asyncs_and_signals_of_the_child_stay_there)
{
  pid_t pid;

  asyncs = signals = 0;
  ev_async_init (&async, (void (*) (EV_P_ ev_async *, int))count_cb);
  ev_signal_init (&usr1, (void (*) (EV_P_ ev_signal *, int))count_cb, SIGUSR1);
  async.data = &asyncs;
  usr1.data  = &signals;
  ev_async_start (EV_A_ &async);
  ev_signal_start (EV_A_ &usr1);
  settle (EV_A);
  pid = in_child (signal_itself);
  settle (EV_A);
  ck_assert (child_ok (pid));
  settle (EV_A);
  ck_assert_int_eq (asyncs + signals, 0);

  ev_async_send (EV_A_ &async);
  run_until (asyncs == 1);
  kill (getpid (), SIGUSR1);
  run_until (signals == 1);
  ev_async_stop (EV_A_ &async);
  ev_signal_stop (EV_A_ &usr1);
}
END_TEST

/*****************************************************************************/
/* rings */

static unsigned long parents [8];
static int parentcnt;

static void
expect_no_context_of_the_parent (void)
{
  unsigned long inodes [8];
  int i, j, count;

  ev_loop_fork (EV_A);
  serve_as_child ();
  count = contexts (inodes, 8);

  for (i = 0; i < count; ++i)
    for (j = 0; j < parentcnt; ++j)
      must (inodes [i] != parents [j]);
}

START_TEST (ring_of_the_parent_is_not_mapped_in_the_child)
{
  parentcnt = contexts (parents, 8);
  ck_assert_int_gt (parentcnt, 0);
  expect_parent_undisturbed_by (expect_no_context_of_the_parent);
}
END_TEST

static void
expect_counts_from_zero (void)
{
  ev_loop_fork (EV_A);
  probe_stop (EV_A_ &my_probe);
  talk_anew (1);
  claim (stats.submitted < 1000);
  claim (stats.ring_entries > 0);
  claim (stats.submitted == stats.completed + stats.cancelled + stats.in_flight);
  claim (stats.ring_fds + stats.epoll_fds >= (unsigned)idle_fds);
}

START_TEST (statistics_of_the_child_start_again)
{
  int i;

  for (i = 0; i < 4; ++i)
    talk_anew (250);

  claim (stats.submitted > 1000);
  expect_parent_undisturbed_by (expect_counts_from_zero);
}
END_TEST

static void
add (TCase *tc, unsigned on)
{
  tcase_add_test (tc, parent_and_child_serve_their_own);
  tcase_add_test (tc, child_that_never_touches_the_loop_is_not_noticed);
  tcase_add_test (tc, child_that_destroys_the_loop_is_not_noticed);
  tcase_add_test (tc, child_that_uses_and_destroys_the_loop_is_not_noticed);
  tcase_add_test (tc, child_that_stops_and_closes_everything_is_not_noticed);
  tcase_add_test (tc, child_that_makes_a_loop_of_its_own_is_not_noticed);
  tcase_add_test (tc, child_and_grandchild_serve_their_own);
  tcase_add_test (tc, grandchild_serves_its_own_when_the_child_does_nothing);
  tcase_add_test (tc, daemon_goes_on_when_its_parent_is_gone);
  tcase_add_test (tc, changes_in_the_child_are_not_noticed);
  tcase_add_test (tc, child_of_a_forkcheck_loop_need_not_say_so);

  tcase_add_test (tc, unread_data_is_reported_to_both);
  tcase_add_test (tc, data_that_came_just_before_the_fork_is_reported_to_both);
  tcase_add_test (tc, fork_inside_a_callback_works);

  tcase_add_test (tc, fork_watchers_are_called_in_the_child_once);
  tcase_add_test (tc, asyncs_and_signals_of_the_child_stay_there);

  if (on & RING)
    {
      tcase_add_test (tc, child_that_forgets_ev_loop_fork_serves_its_own);
      tcase_add_test (tc, child_that_forgets_ev_loop_fork_may_run_the_loop);
      tcase_add_test (tc, child_that_forgets_ev_loop_fork_is_served_by_its_first_run);
      tcase_add_test (tc, ring_of_the_parent_is_not_mapped_in_the_child);
    }

  if (DEFAULT_POLICY && on & RING)
    tcase_add_test (tc, statistics_of_the_child_start_again);
}

Suite *
fork_suite (void)
{
  return suite_over_backends ("fork", add);
}
