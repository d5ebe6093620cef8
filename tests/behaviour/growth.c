/*
 * Many descriptors: a loop that grows from one to thousands and shrinks
 * again, however small or full the ring is meanwhile.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include "fixture.h"
#include "suites.h"

#define MANY 5000 /* watched; both ends of half as many pairs */

static int socks [MANY];
static probe probes [MANY];
static int many;

static int
peer_of (int i)
{
  return socks [i ^ 1];
}

static void
open_many (int count)
{
  int i;

  many = room_for_fds (count + 400) - 400;
  many &= ~1;

  for (i = 0; i < many; i += 2)
    sockets (socks + i);
}

static void
close_many (void)
{
  int i;

  for (i = 0; i < many; ++i)
    {
      probe_stop (EV_A_ probes + i);
      close (socks [i]);
    }
}

static void
start (int i)
{
  probe_start (EV_A_ probes + i, socks [i], EV_READ);
  probes [i].eat = 1;
}

/* the given one, and nobody else, is told */
static void
expect_served (int i)
{
  int before = places;

  probes [i].count = 0;
  put (peer_of (i));
  run_until (probes [i].count);
  settle (EV_A);
  ck_assert_int_eq (probes [i].count, 1);
  ck_assert_int_eq (places, before + 1);
}

/* every watcher that is active is told once, all in one go */
static void
expect_all_served (int from, int to)
{
  int i, expected = to - from, before = places;

  for (i = from; i < to; ++i)
    {
      probes [i].count = 0;
      put (peer_of (i));
    }

  run_until (places - before >= expected);
  settle (EV_A);

  for (i = from; i < to; ++i)
    ck_assert_int_eq (probes [i].count, 1);

  ck_assert_int_eq (places, before + expected);
}

START_TEST (thousands_of_fds_come_one_by_one_and_go_again)
{
  int i, step;

  open_many (MANY);

  for (i = 0, step = 1; i < many; ++i)
    {
      start (i);

      if (i == 16)
        gain (EV_A);

      if (i == step || i == many - 1)
        {
          settle (EV_A);
          expect_served (i);
          expect_served (i / 2);
          expect_served (0);
          step *= 2;
        }
    }

  expect_all_served (0, many);

  if (backend & LINUXAIO)
    {
      claim (stats.ring_entries > 0);
      claim (stats.ring_fds + stats.epoll_fds >= (unsigned)many);
    }

  /* the young ones first, so that the oldest, which have been moved about most, stay to the end */
  while (--i)
    {
      probe_stop (EV_A_ probes + i);

      if (i == step)
        {
          settle (EV_A);
          expect_served (i - 1);
          expect_served (i / 2);
          expect_served (0);
        }
      else if (i < step)
        step /= 2;
    }

  expect_served (0);
  close_many ();
}
END_TEST

START_TEST (thousands_of_fds_come_at_once_and_go_at_once)
{
  int i, round;

  open_many (3000);

  for (round = 0; round < 3; ++round)
    {
      for (i = 0; i < many; ++i)
        start (i);

      settle (EV_A);
      expect_all_served (0, many);

      for (i = 0; i < many; ++i)
        probe_stop (EV_A_ probes + i);

      settle (EV_A);
    }

  close_many ();
}
END_TEST

/* by steps, with something to do at each, so that the ring is replaced while it is in use */
START_TEST (events_survive_the_growth_of_the_ring)
{
  static const int steps [] = { 20, 40, 70, 130, 260, 500, 700, 1000, 2000 };
  int i, step, before, after;

  open_many (2000);

  for (step = after = 0; step < 9; ++step)
    {
      before = after;
      after  = steps [step] < many ? steps [step] : many;

      for (i = before; i < after; ++i)
        start (i);

      /* some are ready just when the others are added */
      for (i = 0; i < before; i += 7)
        put (peer_of (i));

      settle (EV_A);

      for (i = 0; i < after; ++i)
        {
          ck_assert_int_eq (probes [i].count, i < before && i % 7 == 0);
          probes [i].count = 0;
        }
    }

  expect_all_served (0, many);
  close_many ();
}
END_TEST

START_TEST (ring_is_replaced_by_larger_ones)
{
  int i;

  open_many (800);

  for (i = 0; i < many; ++i)
    {
      start (i);
      ev_run (EV_A_ EVRUN_NOWAIT);

      if (i == 16)
        gain (EV_A);
    }

  settle (EV_A);
  claim (stats.regrowths > 0);
  claim (stats.ring_fds >= (unsigned)many);
  expect_all_served (0, many);
  claim (stats.in_flight >= (unsigned)many);
  close_many ();
}
END_TEST

/* what makes a loop worth a ring: watchers that come and go, for an event each */
static void
be_lively (void)
{
  int fd [2], i;
  probe p;

  sockets (fd);

  for (i = 0; i < 3000; ++i)
    {
      probe_start (EV_A_ &p, fd [0], EV_READ);
      put (fd [1]);
      run_until (p.count);
      get (fd [0]);
      probe_stop (EV_A_ &p);
    }

  close_both (fd);
}

START_TEST (fds_beyond_the_ring_are_served_by_epoll_and_come_back)
{
  int i;

  open_many (MANY);

  for (i = 0; i < many; ++i)
    start (i);

  settle (EV_A);
  expect_all_served (0, many);

  if (many == MANY)
    claim (stats.epoll_overflow + stats.epoll_no_ring + stats.epoll_steady > 0);

  for (i = 200; i < many; ++i)
    probe_stop (EV_A_ probes + i);

  be_lively ();
  settle (EV_A);
  expect_all_served (0, 200);
  claim (stats.epoll_fds == 0);
  claim (stats.ring_fds >= 200);
  close_many ();
}
END_TEST

/* what is on is on, what is off is off, whatever has been done to it */
START_TEST (random_starts_and_stops_are_followed)
{
  static char on [MANY];
  int i, round, expected, before;
  unsigned seed = 1;

  open_many (1000);
  memset (on, 0, sizeof (on));

  for (i = 0; i < many; ++i)
    {
      probe_init (probes + i, socks [i], EV_READ);
      probes [i].eat = 1;
    }

  for (round = 0; round < 60; ++round)
    {
      int changes = 1 + rand_r (&seed) % 600;

      while (changes--)
        {
          i = rand_r (&seed) % many;
          on [i] ^= 1;

          if (on [i])
            ev_io_start (EV_A_ &probes [i].io);
          else
            ev_io_stop (EV_A_ &probes [i].io);

          if (rand_r (&seed) % 50 == 0)
            ev_run (EV_A_ EVRUN_NOWAIT);
        }

      for (i = expected = 0, before = places; i < many; ++i)
        {
          probes [i].count = 0;
          expected += on [i];
          put (peer_of (i));
        }

      run_until (places - before >= expected);
      settle (EV_A);

      for (i = 0; i < many; ++i)
        {
          ck_assert_int_eq (probes [i].count, on [i]);

          if (!on [i])
            ck_assert_int_eq (get (socks [i]), 1);
        }
    }

  close_many ();
}
END_TEST

START_TEST (destroying_a_loop_with_thousands_of_watchers_leaves_nothing)
{
  int i;

  open_many (3000);

  for (i = 0; i < many; ++i)
    start (i);

  settle (EV_A);

  /* some with an event in the ring, some stopped since, some not yet told to the kernel */
  for (i = 0; i < many; i += 3)
    put (peer_of (i));

  for (i = 0; i < many; i += 5)
    probe_stop (EV_A_ probes + i);

  for (i = 0; i < many; i += 10)
    ev_io_start (EV_A_ &probes [i].io);

  loop_with_flags (0);

  for (i = 0; i < many; ++i)
    close (socks [i]);
}
END_TEST

static void
add (TCase *tc, unsigned on)
{
  tcase_add_test (tc, thousands_of_fds_come_one_by_one_and_go_again);
  tcase_add_test (tc, thousands_of_fds_come_at_once_and_go_at_once);
  tcase_add_test (tc, events_survive_the_growth_of_the_ring);
  tcase_add_test (tc, random_starts_and_stops_are_followed);
  tcase_add_test (tc, destroying_a_loop_with_thousands_of_watchers_leaves_nothing);

  /* one that begins small */
  if (DEFAULT_POLICY && on & COLD)
    tcase_add_test (tc, ring_is_replaced_by_larger_ones);

  if (DEFAULT_POLICY && on & LINUXAIO)
    tcase_add_test (tc, fds_beyond_the_ring_are_served_by_epoll_and_come_back);
}

Suite *
growth_suite (void)
{
  return suite_over_backends ("growth", add);
}
