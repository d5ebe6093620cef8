/*
 * What libev only does when it is compiled for it: descriptors that are not
 * open (an assertion fails without NDEBUG), and ev_walk (EV_WALK_ENABLE).
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include "fixture.h"

/*****************************************************************************/
/* bad descriptors */

static int
closed_fd (void)
{
  int fd [2];

  sockets (fd);
  close_both (fd);

  return fd [0];
}

/* without waiting: epoll only looks at the pending events when it comes back */
START_TEST (watcher_of_a_closed_descriptor_is_told_and_stopped)
{
  int i, fd = closed_fd ();
  probe p;

  for (i = 1; i <= 5; ++i)
    {
      probe_start (EV_A_ &p, fd, i & 1 ? EV_READ : EV_READ | EV_WRITE);
      ev_run (EV_A_ EVRUN_NOWAIT);
      ck_assert_int_eq (p.count, 1);
      ck_assert_int_eq (p.revents, EV_ERROR | EV_READ | EV_WRITE);
      ck_assert (!ev_is_active (&p.io));
      settle (EV_A);
      ck_assert_int_eq (p.count, 1);
    }
}
END_TEST

START_TEST (all_watchers_of_a_closed_descriptor_are_told)
{
  int fd = closed_fd ();
  probe r, w;

  probe_start (EV_A_ &r, fd, EV_READ);
  probe_start (EV_A_ &w, fd, EV_WRITE);
  ev_run (EV_A_ EVRUN_NOWAIT);
  ck_assert_int_eq (r.revents & w.revents, EV_ERROR | EV_READ | EV_WRITE);
  settle (EV_A);
  ck_assert_int_eq (r.count + w.count, 2);
}
END_TEST

/* closed behind the loop's back, which is wrong, and found out by the next change */
START_TEST (write_interest_finds_out_that_a_watched_descriptor_was_closed)
{
  int fd [2];
  probe r, w;

  sockets (fd);
  probe_start (EV_A_ &r, fd [0], EV_READ);
  ev_run (EV_A_ EVRUN_NOWAIT);
  close_both (fd);
  probe_start (EV_A_ &w, fd [0], EV_WRITE);
  settle (EV_A);
  ck_assert_int_eq (r.seen & w.seen, EV_ERROR | EV_READ | EV_WRITE);
  ck_assert (!ev_is_active (&r.io));
  ck_assert (!ev_is_active (&w.io));
}
END_TEST

START_TEST (number_that_was_never_open_is_told)
{
  probe p;

  probe_start (EV_A_ &p, 5000, EV_READ);
  ev_run (EV_A_ EVRUN_NOWAIT);
  ck_assert_int_eq (p.revents, EV_ERROR | EV_READ | EV_WRITE);
}
END_TEST

START_TEST (bad_descriptor_among_good_ones_harms_nobody)
{
  static int fd [60][2];
  static probe good [60], bad;
  int i, number;

  for (i = 0; i < 60; ++i)
    sockets (fd [i]);

  number = closed_fd ();

  for (i = 0; i < 60; ++i)
    {
      probe_start (EV_A_ good + i, fd [i][0], EV_READ);
      good [i].eat = 1;

      if (i == 30)
        probe_start (EV_A_ &bad, number, EV_READ);

      put (fd [i][1]);
    }

  run_until (places == 61);
  settle (EV_A);
  ck_assert_int_eq (bad.count, 1);
  ck_assert (bad.revents & EV_ERROR);

  for (i = 0; i < 60; ++i)
    {
      ck_assert_int_eq (good [i].count, 1);
      probe_stop (EV_A_ good + i);
      close_both (fd [i]);
    }
}
END_TEST

START_TEST (number_that_was_bad_is_served_when_it_is_good)
{
  int number = closed_fd (), fd [2], i;
  probe p;

  for (i = 0; i < 5; ++i)
    {
      probe_start (EV_A_ &p, number, EV_READ);
      ev_run (EV_A_ EVRUN_NOWAIT);
      ck_assert (p.revents & EV_ERROR);

      sockets (fd);
      onto (fd [0], number);
      probe_start (EV_A_ &p, number, EV_READ);
      settle (EV_A);
      ck_assert_int_eq (p.count, 0);
      put (fd [1]);
      run_until (p.count);
      ck_assert_int_eq (p.revents, EV_READ);
      probe_stop (EV_A_ &p);
      close (number);
      close (fd [1]);
    }
}
END_TEST

static void
add_bad (TCase *tc, unsigned on)
{
  tcase_add_test (tc, watcher_of_a_closed_descriptor_is_told_and_stopped);
  tcase_add_test (tc, all_watchers_of_a_closed_descriptor_are_told);
  tcase_add_test (tc, write_interest_finds_out_that_a_watched_descriptor_was_closed);
  tcase_add_test (tc, bad_descriptor_among_good_ones_harms_nobody);
  tcase_add_test (tc, number_that_was_bad_is_served_when_it_is_good);

  /* select (2) ignores such numbers */
  if (on & ~SELECT)
    tcase_add_test (tc, number_that_was_never_open_is_told);
}

/*****************************************************************************/
/* ev_walk */

static int walked, walked_fd;

static void
walk_cb (EV_P_ int type, void *w)
{
  (void)loop;
  ck_assert_int_eq (type, EV_IO);
  walked_fd = ((ev_io *)w)->fd;
  ++walked;
}

START_TEST (walk_sees_the_watchers_of_the_program_only)
{
  int slave, master = pty (&slave), fd [2];
  ev_async async;
  probe p [3];
  int count = 0;

  ev_async_init (&async, (void (*) (EV_P_ ev_async *, int))count_cb);
  async.data = &count;
  ev_async_start (EV_A_ &async);
  settle (EV_A);
  walked = 0;
  ev_walk (EV_A_ EV_IO, walk_cb);
  ck_assert_int_eq (walked, idle_fds);

  /* of all kinds, so that whatever the backend needs for them is there */
  sockets (fd);
  probe_start (EV_A_ p, fd [0], EV_READ);
  probe_start (EV_A_ p + 1, slave, EV_READ);
  probe_start (EV_A_ p + 2, slave, EV_WRITE);
  settle (EV_A);
  walked = 0;
  ev_walk (EV_A_ EV_IO, walk_cb);
  ck_assert_int_eq (walked, idle_fds + 3);

  ev_async_stop (EV_A_ &async);
  probe_stop (EV_A_ p);
  probe_stop (EV_A_ p + 1);
  probe_stop (EV_A_ p + 2);
  close_both (fd);
  close (slave);
  close (master);
}
END_TEST

static void
add_walk (TCase *tc, unsigned on)
{
  (void)on;
  tcase_add_test (tc, walk_sees_the_watchers_of_the_program_only);
}

int
main (void)
{
  Suite *suites [3] = { suite_over_backends ("bad descriptors", add_bad), suite_over_backends ("walk", add_walk), 0 };

  return run_suites (0, suites);
}
