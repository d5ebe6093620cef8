/*
 * A number is not a file: descriptors that are closed, replaced, and come
 * back under the same number, while a request for the old file is armed, has
 * completed, or is being cancelled.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include "fixture.h"
#include "suites.h"

/* closes both and puts new ones in their place */
static void
replace (int fd [2])
{
  int fresh [2];

  sockets (fresh);
  onto (fresh [0], fd [0]);
  onto (fresh [1], fd [1]);
}

START_TEST (watcher_set_to_a_new_file_of_the_same_number_is_served)
{
  int fd [2], i;
  probe p;

  sockets (fd);
  probe_start (EV_A_ &p, fd [0], EV_READ);
  p.eat = 1;

  for (i = 1; i <= 20; ++i)
    {
      /* armed in most rounds, not yet in others */
      if (i % 4)
        ev_run (EV_A_ EVRUN_NOWAIT);

      ev_io_stop (EV_A_ &p.io);
      replace (fd);
      ev_io_set (&p.io, fd [0], EV_READ);
      ev_io_start (EV_A_ &p.io);

      if (i & 1)
        settle (EV_A);

      put (fd [1]);
      run_until (p.count == i);
    }

  probe_stop (EV_A_ &p);
  close_both (fd);
}
END_TEST

/* closed first, stopped after, as programs do that free a connection from the outside in */
START_TEST (watcher_stopped_after_its_file_was_replaced_is_served)
{
  int fd [2], i;
  probe p;

  sockets (fd);
  probe_start (EV_A_ &p, fd [0], EV_READ);
  p.eat = 1;

  for (i = 1; i <= 20; ++i)
    {
      if (i % 4)
        ev_run (EV_A_ EVRUN_NOWAIT);

      replace (fd);
      probe_restart (EV_A_ &p, fd [0], EV_READ);
      put (fd [1]);
      run_until (p.count == i);
    }

  probe_stop (EV_A_ &p);
  close_both (fd);
}
END_TEST

START_TEST (watcher_of_a_closed_file_can_be_stopped)
{
  int fd [2], other [2];
  probe p, q;

  sockets (fd);
  sockets (other);
  probe_start (EV_A_ &p, fd [0], EV_READ | EV_WRITE);
  probe_start (EV_A_ &q, other [0], EV_READ);
  run_until (p.count);
  close (fd [0]);
  probe_stop (EV_A_ &p);
  p.count = 0;
  put (other [1]);
  run_until (q.count);
  settle (EV_A);
  ck_assert_int_eq (p.count, 0);

  probe_stop (EV_A_ &q);
  close (fd [1]);
  close_both (other);
}
END_TEST

/*
 * The two are set anew one after the other, so the fd is watched all the
 * time, and for the same events: nothing but ev_io_set tells of the new file.
 */
START_TEST (two_watchers_follow_their_number_to_the_new_file)
{
  int fd [2], i, round;
  probe p [2];

  sockets (fd);

  for (i = 0; i < 2; ++i)
    probe_start (EV_A_ p + i, fd [0], EV_READ);

  for (round = 0; round < 10; ++round)
    {
      settle (EV_A);
      ck_assert_int_eq (p [0].count + p [1].count, 0);
      replace (fd);

      for (i = 0; i < 2; ++i)
        probe_restart (EV_A_ p + i, fd [0], EV_READ);

      if (round & 1)
        settle (EV_A);

      put (fd [1]);
      run_until (p [0].count && p [1].count);
      get (fd [0]);
      p [0].count = p [1].count = 0;
    }

  for (i = 0; i < 2; ++i)
    probe_stop (EV_A_ p + i);

  close_both (fd);
}
END_TEST

/* a program that forgets a watcher with its file, and makes a new one for the number's next file */
START_TEST (new_watcher_is_served_beside_a_forgotten_one)
{
  int fd [2], i;
  probe old, fresh;

  sockets (fd);
  probe_start (EV_A_ &old, fd [0], EV_READ);
  settle (EV_A);
  replace (fd);
  probe_start (EV_A_ &fresh, fd [0], EV_READ);
  fresh.eat = 1;
  settle (EV_A);
  ck_assert_int_eq (fresh.count, 0);

  for (i = 1; i <= 5; ++i)
    {
      put (fd [1]);
      run_until (fresh.count == i);
    }

  probe_stop (EV_A_ &old);
  settle (EV_A);
  put (fd [1]);
  run_until (fresh.count == 6);

  probe_stop (EV_A_ &fresh);
  close_both (fd);
}
END_TEST

/* the old file lives on under another number: its events must not reach the new watcher */
static void
expect_no_event_of_the_old_file (int before_stop)
{
  int fd [2], fresh [2], copy;
  probe p;

  sockets (fd);
  copy = fcntl (fd [0], F_DUPFD_CLOEXEC, 0);
  probe_start (EV_A_ &p, fd [0], EV_READ);
  settle (EV_A);

  if (before_stop)
    put (fd [1]);

  ev_io_stop (EV_A_ &p.io);
  sockets (fresh);
  onto (fresh [0], fd [0]);
  ev_io_set (&p.io, fd [0], EV_READ);
  ev_io_start (EV_A_ &p.io);

  if (!before_stop)
    put (fd [1]);

  settle (EV_A);
  ck_assert_int_eq (p.count, 0);
  put (fd [1]);
  settle (EV_A);
  ck_assert_int_eq (p.count, 0);

  put (fresh [1]);
  run_until (p.count);

  probe_stop (EV_A_ &p);
  close (copy);
  close (fresh [1]);
  close_both (fd);
}

START_TEST (old_file_that_becomes_ready_does_not_reach_the_new_watcher)
{
  expect_no_event_of_the_old_file (0);
}
END_TEST

START_TEST (old_file_that_was_ready_does_not_reach_the_new_watcher)
{
  expect_no_event_of_the_old_file (1);
}
END_TEST

START_TEST (mask_left_from_the_old_file_does_not_reach_the_new_one)
{
  int fd [2];
  probe p;

  sockets (fd);
  probe_start (EV_A_ &p, fd [0], EV_WRITE);
  run_until (p.count);
  ev_io_stop (EV_A_ &p.io);
  replace (fd);
  ev_io_set (&p.io, fd [0], EV_READ);
  ev_io_start (EV_A_ &p.io);
  p.count = p.seen = 0;
  settle (EV_A);
  ck_assert_int_eq (p.count, 0);
  put (fd [1]);
  run_until (p.count);
  ck_assert_int_eq (p.seen, EV_READ);

  probe_stop (EV_A_ &p);
  close_both (fd);
}
END_TEST

/*****************************************************************************/
/* inside callbacks */

static int renewed [2], renewed_ready;
static probe renewed_probe;

/* what servers do all day: a connection ends, and the next one gets its number */
static void
renew_own_cb (EV_P_ ev_io *w, int revents)
{
  probe_cb (EV_A_ w, revents);
  ev_io_stop (EV_A_ w);
  replace (renewed);
  ev_io_set (w, renewed [0], EV_READ);
  ev_io_start (EV_A_ w);

  if (renewed_ready)
    put (renewed [1]);
}

static void
expect_service_of_renewed_file (int ready)
{
  int round;
  probe p;

  renewed_ready = ready;
  sockets (renewed);
  probe_init (&p, renewed [0], EV_READ);
  ev_set_cb (&p.io, renew_own_cb);
  ev_io_start (EV_A_ &p.io);

  for (round = 1; round <= 20; ++round)
    {
      if (!ready)
        {
          settle (EV_A);
          ck_assert_int_eq (p.count, round - 1);
        }

      if (!ready || round == 1)
        put (renewed [1]);

      run_until (p.count == round);
    }

  probe_stop (EV_A_ &p);
  close_both (renewed);
}

START_TEST (file_replaced_in_its_own_callback_is_served)
{
  expect_service_of_renewed_file (0);
}
END_TEST

START_TEST (ready_file_put_in_place_by_the_callback_of_the_old_one_is_served)
{
  expect_service_of_renewed_file (1);
}
END_TEST

static probe victim;

static void
replace_victim_cb (EV_P_ ev_io *w, int revents)
{
  probe_cb (EV_A_ w, revents);
  ev_io_stop (EV_A_ w);
  ev_io_stop (EV_A_ &victim.io);
  replace (renewed);
  probe_start (EV_A_ &renewed_probe, renewed [0], EV_READ);
}

/* both are ready in the same iteration; the first replaces what the second is about to be told of */
START_TEST (pending_event_of_a_replaced_file_reaches_nobody)
{
  int fd [2], round;
  probe first;

  for (round = 0; round < 10; ++round)
    {
      sockets (fd);
      sockets (renewed);
      probe_init (&first, fd [0], EV_READ);
      ev_set_cb (&first.io, replace_victim_cb);
      ev_set_priority (&first.io, EV_MAXPRI);
      ev_io_start (EV_A_ &first.io);
      probe_start (EV_A_ &victim, renewed [0], EV_READ);
      settle (EV_A);

      /* the victim last, so that its event may come in the same iteration or in the next */
      put (fd [1]);
      put (renewed [1]);
      run_until (first.count);
      settle (EV_A);
      ck_assert_int_eq (victim.count, 0);
      ck_assert_int_eq (renewed_probe.count, 0);

      put (renewed [1]);
      run_until (renewed_probe.count);
      probe_stop (EV_A_ &renewed_probe);
      close_both (renewed);
      close_both (fd);
    }
}
END_TEST

/*****************************************************************************/
/* many at once */

#define SLOTS 100

/* every slot is replaced every few rounds, armed or not, ready or not; none may miss or invent an event */
START_TEST (numbers_that_change_hands_all_the_time_are_served)
{
  static int fd [SLOTS][2], expected [SLOTS];
  static probe p [SLOTS];
  int i, round;

  for (i = 0; i < SLOTS; ++i)
    {
      sockets (fd [i]);
      probe_start (EV_A_ p + i, fd [i][0], EV_READ);
      p [i].eat    = 1;
      expected [i] = 0;
    }

  for (round = 0; round < 30; ++round)
    {
      for (i = round % 3; i < SLOTS; i += 3)
        {
          /* what is still on its way to the old file is lost with it */
          if (i & 1)
            put (fd [i][1]);

          ev_io_stop (EV_A_ &p [i].io);
          replace (fd [i]);
          ev_io_set (&p [i].io, fd [i][0], EV_READ);
          ev_io_start (EV_A_ &p [i].io);
        }

      if (round & 1)
        ev_run (EV_A_ EVRUN_NOWAIT);

      for (i = round % 5; i < SLOTS; i += 5)
        {
          put (fd [i][1]);
          ++expected [i];
        }

      settle (EV_A);

      for (i = 0; i < SLOTS; ++i)
        {
          run_until (p [i].count >= expected [i]);
          ck_assert_int_eq (p [i].count, expected [i]);
        }
    }

  for (i = 0; i < SLOTS; ++i)
    {
      probe_stop (EV_A_ p + i);
      close_both (fd [i]);
    }
}
END_TEST

static void
add (TCase *tc, unsigned on)
{
  (void)on;
  tcase_add_test (tc, watcher_set_to_a_new_file_of_the_same_number_is_served);
  tcase_add_test (tc, watcher_stopped_after_its_file_was_replaced_is_served);
  tcase_add_test (tc, watcher_of_a_closed_file_can_be_stopped);
  tcase_add_test (tc, two_watchers_follow_their_number_to_the_new_file);
  tcase_add_test (tc, new_watcher_is_served_beside_a_forgotten_one);
  tcase_add_test (tc, old_file_that_becomes_ready_does_not_reach_the_new_watcher);
  tcase_add_test (tc, old_file_that_was_ready_does_not_reach_the_new_watcher);
  tcase_add_test (tc, mask_left_from_the_old_file_does_not_reach_the_new_one);
  tcase_add_test (tc, file_replaced_in_its_own_callback_is_served);
  tcase_add_test (tc, ready_file_put_in_place_by_the_callback_of_the_old_one_is_served);
  tcase_add_test (tc, pending_event_of_a_replaced_file_reaches_nobody);
  tcase_add_test (tc, numbers_that_change_hands_all_the_time_are_served);
}

Suite *
reuse_suite (void)
{
  return suite_over_backends ("reuse", add);
}
