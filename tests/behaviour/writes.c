/*
 * Write interest beside an armed read, which on epoll is asked for with poll (2)
 * before epoll is told: what comes at once, what comes later, what stays.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include "fixture.h"
#include "suites.h"

/* a socket that is watched for reading, and a watcher for writing beside */
typedef struct duplex
{
  int fd [2];
  probe r, w;
} duplex;

static void
open_duplex (duplex *d)
{
  sockets (d->fd);
  probe_start (EV_A_ &d->r, d->fd [0], EV_READ);
  d->r.eat = 1;
  probe_init (&d->w, d->fd [0], EV_WRITE);
  ev_run (EV_A_ EVRUN_NOWAIT);
}

static void
close_duplex (duplex *d)
{
  probe_stop (EV_A_ &d->r);
  probe_stop (EV_A_ &d->w);
  close_both (d->fd);
}

/* a byte that arrives is read: nothing was forgotten of the other direction */
static void
expect_reading (duplex *d)
{
  int before = d->r.count, written = d->w.count;

  put (d->fd [1]);
  run_until (d->r.count > before);
  ck_assert_int_eq (d->r.count, before + 1);
  ck_assert_int_eq (d->r.seen, EV_READ);
  ck_assert (ev_is_active (&d->w.io) || d->w.count == written);
}

/* not served while the socket is full, but when there is room again */
static void
fill_and_drain (duplex *d)
{
  fill (d->fd [0]);
  settle (EV_A);
  d->w.count = 0;
  settle (EV_A);
  ck_assert_int_eq (d->w.count, 0);
  get (d->fd [1]);
  run_until (d->w.count);
}

START_TEST (interest_that_stays_is_served_in_every_iteration_until_the_socket_is_full)
{
  duplex d;
  int i;

  open_duplex (&d);
  ev_io_start (EV_A_ &d.w.io);

  for (i = 1; i <= 10; ++i)
    {
      run_until (d.w.count == i);
      expect_reading (&d);
      d.w.count = i;
    }

  fill_and_drain (&d);
  ck_assert_int_eq (d.w.seen, EV_WRITE);
  close_duplex (&d);
}
END_TEST

/* the socket has filled up right after it was found to be writable */
START_TEST (socket_that_is_full_a_moment_later_is_reported_when_it_has_room)
{
  duplex d;
  int i;

  open_duplex (&d);

  for (i = 0; i < 5; ++i)
    {
      ev_io_start (EV_A_ &d.w.io);
      run_until (d.w.count);
      fill_and_drain (&d);
      ev_io_stop (EV_A_ &d.w.io);
      ev_run (EV_A_ EVRUN_NOWAIT);
      d.w.count = 0;
    }

  expect_reading (&d);
  close_duplex (&d);
}
END_TEST

START_TEST (full_socket_is_reported_when_it_has_room)
{
  duplex d;
  int i;

  open_duplex (&d);

  for (i = 1; i <= 50; ++i)
    {
      fill (d.fd [0]);
      ev_io_start (EV_A_ &d.w.io);
      ev_run (EV_A_ EVRUN_NOWAIT);
      ck_assert_int_eq (d.w.count, 0);
      get (d.fd [1]);
      run_until (d.w.count);
      ev_io_stop (EV_A_ &d.w.io);
      settle (EV_A);
      d.w.count = 0;
    }

  ck_assert_int_eq (d.w.seen, EV_WRITE);
  expect_reading (&d);
  close_duplex (&d);
}
END_TEST

START_TEST (full_sockets_among_others_are_told_apart)
{
  duplex d [60];
  int i;

  for (i = 0; i < 60; ++i)
    {
      open_duplex (d + i);

      if (i % 3 == 1)
        fill (d [i].fd [0]);

      ev_io_start (EV_A_ &d [i].w.io);
    }

  for (i = 0; i < 60; ++i)
    if (i % 3 != 1)
      {
        run_until (d [i].w.count);

        if (i % 3)
          ev_io_stop (EV_A_ &d [i].w.io);
      }

  settle (EV_A);

  for (i = 0; i < 60; ++i)
    {
      ck_assert_int_eq (!d [i].w.count, i % 3 == 1);
      d [i].w.count = 0;
      get (d [i].fd [1]);
    }

  for (i = 0; i < 60; ++i)
    if (i % 3 != 2)
      run_until (d [i].w.count);

  for (i = 0; i < 60; ++i)
    {
      ck_assert_int_eq (!d [i].w.count, i % 3 == 2);
      expect_reading (d + i);
      close_duplex (d + i);
    }
}
END_TEST

/* in its callback, so that libev sees no change */
static void
again_cb (EV_P_ ev_io *w, int revents)
{
  probe_cb (EV_A_ w, revents);
  ev_io_stop (EV_A_ w);
  ev_io_start (EV_A_ w);
}

START_TEST (interest_that_is_renewed_by_its_callback_is_served_again)
{
  duplex d;

  open_duplex (&d);
  ev_set_cb (&d.w.io, again_cb);
  ev_io_start (EV_A_ &d.w.io);
  run_until (d.w.count == 20);
  expect_reading (&d);
  fill_and_drain (&d);
  close_duplex (&d);
}
END_TEST

/* what was there before it is asked about is gone, or what was not there is there */
START_TEST (interest_that_goes_before_the_loop_runs_is_not_served)
{
  duplex d;

  open_duplex (&d);
  ev_io_start (EV_A_ &d.w.io);
  ev_io_stop (EV_A_ &d.w.io);
  settle (EV_A);
  ck_assert_int_eq (d.w.count, 0);
  expect_reading (&d);
  close_duplex (&d);
}
END_TEST

START_TEST (read_interest_that_goes_while_the_other_is_served_is_over)
{
  duplex d;

  open_duplex (&d);
  ev_io_start (EV_A_ &d.w.io);
  run_until (d.w.count);
  ev_io_stop (EV_A_ &d.r.io);
  put (d.fd [1]);
  d.w.count = 0;
  run_until (d.w.count == 3);
  ck_assert_int_eq (d.r.count, 0);

  /* and comes back alone */
  ev_io_stop (EV_A_ &d.w.io);
  ev_io_start (EV_A_ &d.r.io);
  run_until (d.r.count == 1);
  settle (EV_A);
  ck_assert_int_eq (d.w.count, 3);
  ck_assert_int_eq (d.r.count, 1);
  close_duplex (&d);
}
END_TEST

START_TEST (both_interests_that_go_together_come_back_together)
{
  duplex d;
  int i;

  open_duplex (&d);

  for (i = 1; i <= 10; ++i)
    {
      ev_io_start (EV_A_ &d.w.io);
      run_until (d.w.count);
      ev_io_stop (EV_A_ &d.w.io);
      ev_io_stop (EV_A_ &d.r.io);
      settle (EV_A);
      d.w.count = 0;
      ev_io_start (EV_A_ &d.r.io);
      ev_io_start (EV_A_ &d.w.io);
      run_until (d.w.count);
      ev_io_stop (EV_A_ &d.w.io);
      expect_reading (&d);
      d.w.count = 0;
    }

  close_duplex (&d);
}
END_TEST

START_TEST (other_end_that_is_gone_reaches_both)
{
  duplex d;

  open_duplex (&d);
  d.r.eat = 0;
  close (d.fd [1]);
  ev_io_start (EV_A_ &d.w.io);
  run_until (d.r.count && d.w.count);
  ck_assert_int_eq (d.r.seen, EV_READ);
  ck_assert_int_eq (d.w.seen, EV_WRITE);
  probe_stop (EV_A_ &d.r);
  probe_stop (EV_A_ &d.w);
  close (d.fd [0]);
}
END_TEST

/* sockets that can always be written to do not keep the others waiting */
START_TEST (everybody_else_is_served_meanwhile)
{
  int fd [2], i, ticks = 0;
  ev_timer timer;
  duplex d;
  probe p;

  open_duplex (&d);
  sockets (fd);
  probe_start (EV_A_ &p, fd [0], EV_READ);
  p.eat = 1;
  ev_timer_init (&timer, (void (*) (EV_P_ ev_timer *, int))count_cb, 0.001, 0.001);
  timer.data = &ticks;
  ev_timer_start (EV_A_ &timer);

  for (i = 1; i <= 200 || ticks < 3; ++i)
    {
      ev_io_start (EV_A_ &d.w.io);
      put (fd [1]);
      ev_run (EV_A_ EVRUN_ONCE);
      run_until (p.count == i);
      ck_assert_int_ge (d.w.count, i);
      ev_io_stop (EV_A_ &d.w.io);
      d.w.count = i;
    }

  ev_timer_stop (EV_A_ &timer);
  probe_stop (EV_A_ &p);
  close_both (fd);
  close_duplex (&d);
}
END_TEST

/* a program forgets a watcher with its file: what it starts for the number's next file is new to epoll */
START_TEST (new_file_behind_a_forgotten_watcher_is_served)
{
  int fd [2];
  probe old;
  duplex d;

  sockets (fd);
  probe_start (EV_A_ &old, fd [0], EV_READ);
  settle (EV_A);
  close_both (fd);
  sockets (d.fd);
  onto (d.fd [0], fd [0]);
  d.fd [0] = fd [0];
  probe_start (EV_A_ &d.r, fd [0], EV_READ);
  probe_start (EV_A_ &d.w, fd [0], EV_WRITE);
  d.r.eat = 1;
  run_until (d.w.count);
  ev_io_stop (EV_A_ &d.w.io);
  settle (EV_A);
  ck_assert_int_eq (d.r.count, 0);
  expect_reading (&d);
  probe_stop (EV_A_ &old);
  expect_reading (&d);
  close_duplex (&d);
}
END_TEST

/* the watcher for writing is asked about, or has just been found to be ready, when the process forks */
static duplex shared;

static void
write_as_child (void)
{
  ev_loop_fork (EV_A);
  shared.w.count = 0;
  run_until (shared.w.count == 3);
  must (shared.w.seen == EV_WRITE);
}

START_TEST (fork_in_between_is_survived_by_both)
{
  int served;

  for (served = 0; served < 2; ++served)
    {
      pid_t pid;

      open_duplex (&shared);
      ev_io_start (EV_A_ &shared.w.io);

      if (served)
        run_until (shared.w.count == 1);

      pid = in_child (write_as_child);
      shared.w.count = 0;
      run_until (shared.w.count == 3);
      ck_assert (child_ok (pid));
      expect_reading (&shared);
      close_duplex (&shared);
    }
}
END_TEST

#if DEFAULT_POLICY

/* writes once: starts the watcher, waits for it and stops it */
static void
write_once (duplex *d)
{
  d->w.count = 0;
  ev_io_start (EV_A_ &d->w.io);
  run_until (d->w.count);
  ev_io_stop (EV_A_ &d->w.io);
}

/* as often as it takes to be weighed three times */
START_TEST (loop_that_writes_at_once_stays_on_epoll)
{
  duplex d [10];
  int round, i;

  for (i = 0; i < 10; ++i)
    open_duplex (d + i);

  for (round = 0; round < 12000; ++round)
    write_once (d + round % 10);

  claim (stats.probe_calls == 12000);
  claim (stats.probe_hits == 12000);
  claim (stats.ring_entries == 0);

  for (i = 0; i < 10; ++i)
    {
      expect_reading (d + i);
      close_duplex (d + i);
    }
}
END_TEST

START_TEST (all_that_comes_in_one_iteration_is_asked_by_one_call)
{
  duplex d [100];
  int round, i;

  for (i = 0; i < 100; ++i)
    open_duplex (d + i);

  for (round = 1; round <= 5; ++round)
    {
      for (i = 0; i < 100; ++i)
        ev_io_start (EV_A_ &d [i].w.io);

      ev_run (EV_A_ EVRUN_ONCE);
      claim (stats.probe_calls == (unsigned)round);
      claim (stats.probe_hits == 100 * (unsigned)round);

      for (i = 0; i < 100; ++i)
        {
          ck_assert_int_eq (d [i].w.count, round);
          ev_io_stop (EV_A_ &d [i].w.io);
        }

      ev_run (EV_A_ EVRUN_NOWAIT);
    }

  for (i = 0; i < 100; ++i)
    close_duplex (d + i);
}
END_TEST

START_TEST (interest_that_stays_is_asked_about_once)
{
  duplex d;

  open_duplex (&d);
  ev_io_start (EV_A_ &d.w.io);
  run_until (d.w.count == 10);
  claim (stats.probe_calls == 1);
  claim (stats.probe_hits == 1);
  close_duplex (&d);
}
END_TEST

/* asks about two sockets at a time that are full, or does not; too seldom for a ring, as nothing comes of it */
static void
miss (duplex *d, int times)
{
  while (times--)
    {
      ev_io_start (EV_A_ &d [0].w.io);
      ev_io_start (EV_A_ &d [1].w.io);
      ev_run (EV_A_ EVRUN_NOWAIT);
      ck_assert_int_eq (d [0].w.count + d [1].w.count, 0);
      ev_io_stop (EV_A_ &d [0].w.io);
      ev_io_stop (EV_A_ &d [1].w.io);
      ev_run (EV_A_ EVRUN_NOWAIT);
    }
}

/* what was found before does not count for ever */
START_TEST (sockets_that_are_found_full_are_asked_but_now_and_then)
{
  duplex d [2];
  int i;

  for (i = 0; i < 2; ++i)
    open_duplex (d + i);

  for (i = 0; i < 100; ++i)
    write_once (d + i % 2);

  ev_run (EV_A_ EVRUN_NOWAIT);
  claim (stats.probe_hits == 100);

  for (i = 0; i < 2; ++i)
    {
      fill (d [i].fd [0]);
      d [i].w.count = 0;
    }

  miss (d, 7);
  claim (stats.probe_calls == 100 + 7);
  miss (d, 3);
  claim (stats.probe_calls == 100 + 8);
  miss (d, 510);
  claim (stats.probe_calls == 100 + 8);
  miss (d, 400);
  claim (stats.probe_calls == 100 + 16);
  claim (stats.probe_hits == 100);
  claim (stats.ring_entries == 0);

  for (i = 0; i < 2; ++i)
    {
      get (d [i].fd [1]);
      write_once (d + i);
      expect_reading (d + i);
      close_duplex (d + i);
    }
}
END_TEST

/* two sockets that cannot be written to */
static void
open_full (duplex *full)
{
  int i;

  for (i = 0; i < 2; ++i)
    {
      open_duplex (full + i);
      fill (full [i].fd [0]);
    }
}

/* reads from both, while waiting to write */
static void
wait_in_vain (duplex *full, int round)
{
  int i;

  for (i = 0; i < 2; ++i)
    {
      put (full [i].fd [1]);
      ev_io_start (EV_A_ &full [i].w.io);
    }

  run_until (full [0].r.count + full [1].r.count == round * 2);
  ev_io_stop (EV_A_ &full [0].w.io);
  ev_io_stop (EV_A_ &full [1].w.io);
}

/* four misses are paid for by a hit that was worth it, six are not */
START_TEST (hits_make_up_for_some_misses)
{
  duplex full [2], d;
  int i;

  open_full (full);

  open_duplex (&d);

  for (i = 0; i < 50; ++i)
    {
      miss (full, 2);
      write_once (&d);
      ev_run (EV_A_ EVRUN_NOWAIT);
    }

  claim (stats.probe_calls == 150);
  claim (stats.probe_hits == 50);

  /* with two less to spare each time, from 16: the eighth time is the last */
  for (i = 0; i < 50; ++i)
    {
      miss (full, 3);
      write_once (&d);
      ev_run (EV_A_ EVRUN_NOWAIT);
    }

  claim (stats.probe_calls == 150 + 5 * 4 + 3);
  claim (stats.probe_hits == 50 + 5);

  for (i = 0; i < 2; ++i)
    close_duplex (full + i);

  close_duplex (&d);
}
END_TEST

/* a hit that stays is not worth it: epoll has to be told all the same */
START_TEST (hits_that_stay_are_not_asked_for_ever)
{
  duplex d;
  int i;

  open_duplex (&d);

  for (i = 0; i < 100; ++i)
    {
      d.w.count = 0;
      ev_io_start (EV_A_ &d.w.io);
      run_until (d.w.count == 3);
      ev_io_stop (EV_A_ &d.w.io);
      ev_run (EV_A_ EVRUN_NOWAIT);
    }

  claim (stats.probe_hits == 16);
  close_duplex (&d);
}
END_TEST

/* each costs its two epoll_ctl: that is what a ring gains from, as there are so many */
START_TEST (loop_whose_sockets_are_often_full_makes_a_ring)
{
  duplex full [2], d;
  int i, round;

  open_full (full);

  open_duplex (&d);

  for (round = 1; round <= 3000 && !stats.ring_entries; ++round)
    {
      wait_in_vain (full, round);
      write_once (&d);
      ev_linuxaio_stats (EV_A_ &stats);
    }

  claim (stats.ring_entries > 0);

  for (i = 0; i < 2; ++i)
    close_duplex (full + i);

  close_duplex (&d);
}
END_TEST

/* and so does interest that is not asked about any more, as it was always in vain */
START_TEST (loop_whose_sockets_are_always_full_makes_a_ring)
{
  duplex full [2];
  int i, round;

  open_full (full);

  for (round = 1; round <= 6000 && !stats.ring_entries; ++round)
    {
      wait_in_vain (full, round);
      ev_run (EV_A_ EVRUN_NOWAIT);
      ev_linuxaio_stats (EV_A_ &stats);
    }

  claim (stats.ring_entries > 0);
  claim (stats.probe_calls < 100);

  for (i = 0; i < 2; ++i)
    close_duplex (full + i);
}
END_TEST

/* these are events that come cheaper without one */
START_TEST (loop_that_mostly_writes_at_once_makes_no_ring)
{
  int fd [2], i, round;
  duplex d [4];
  probe p;

  for (i = 0; i < 4; ++i)
    open_duplex (d + i);

  sockets (fd);
  probe_init (&p, fd [0], EV_READ);
  p.eat = 1;

  for (round = 1; round <= 3000; ++round)
    {
      ev_io_start (EV_A_ &p.io);
      put (fd [1]);
      run_until (p.count == round);
      ev_io_stop (EV_A_ &p.io);

      for (i = 0; i < 4; ++i)
        write_once (d + i);
    }

  claim (stats.probe_hits == 12000);
  claim (stats.ring_entries == 0);

  for (i = 0; i < 4; ++i)
    close_duplex (d + i);

  close_both (fd);
}
END_TEST

/* not in the ring, and not beside it */
START_TEST (nobody_is_asked_beside_a_ring)
{
  int slave, master = pty (&slave), i;
  unsigned long before;
  duplex d, tty;

  open_duplex (&d);
  tty.fd [0] = slave;
  tty.fd [1] = master;
  probe_start (EV_A_ &tty.r, slave, EV_READ);
  probe_init (&tty.w, slave, EV_WRITE);
  settle (EV_A);
  claim (stats.ring_fds == (unsigned)idle_fds + 1);
  claim (stats.epoll_fds == 1);
  before = stats.probe_calls;

  for (i = 0; i < 100; ++i)
    {
      write_once (&d);
      write_once (&tty);
    }

  claim (stats.ring_fds == (unsigned)idle_fds + 1);
  claim (stats.probe_calls == before);
  close_duplex (&d);
  close_duplex (&tty);
}
END_TEST

/* does nothing but write at once; in turns, as a stop and a start together are no change */
static void
leave_ring (duplex *d)
{
  int i;

  for (i = 0; i < 2; ++i)
    open_duplex (d + i);

  settle (EV_A);
  claim (stats.ring_fds == (unsigned)idle_fds + 2);

  for (i = 0; i < 9000; ++i)
    write_once (d + i % 2);

  settle (EV_A);
  claim (stats.in_flight == 0);
  claim (stats.epoll_steady == (unsigned)idle_fds + 2);
}

/* it may be another file, which has to be looked at where there may be a ring again */
START_TEST (new_watcher_is_not_asked_about_once_there_was_a_ring)
{
  unsigned long before;
  duplex d [2];
  int i;

  leave_ring (d);
  before = stats.probe_calls;
  ev_io_set (&d [0].w.io, d [0].fd [0], EV_WRITE);
  write_once (d);
  ev_run (EV_A_ EVRUN_NOWAIT);
  claim (stats.probe_calls == before);
  write_once (d);
  claim (stats.probe_calls == before + 1);

  for (i = 0; i < 2; ++i)
    close_duplex (d + i);
}
END_TEST

/* of each of these epoll has to be told */
START_TEST (loop_whose_new_watchers_write_at_once_comes_back_to_the_ring)
{
  duplex d [2];
  int i, round;

  leave_ring (d);

  for (round = 0; round < 20000 && !stats.in_flight; ++round)
    {
      i = round & 1;
      ev_io_set (&d [i].w.io, d [i].fd [0], EV_WRITE);
      write_once (d + i);
      ev_linuxaio_stats (EV_A_ &stats);
    }

  claim (stats.in_flight > 0);

  for (i = 0; i < 2; ++i)
    {
      expect_reading (d + i);
      close_duplex (d + i);
    }
}
END_TEST

START_TEST (loop_that_only_writes_at_once_leaves_the_ring)
{
  unsigned long before;
  duplex d [2];
  int i;

  leave_ring (d);
  before = stats.probe_hits;
  ev_run (EV_A_ EVRUN_NOWAIT);

  for (i = 0; i < 2; ++i)
    {
      write_once (d + i);
      expect_reading (d + i);
    }

  claim (stats.probe_hits == before + 2);

  for (i = 0; i < 2; ++i)
    close_duplex (d + i);
}
END_TEST

#endif

static void
add (TCase *tc, unsigned on)
{
  (void)on;
  tcase_add_test (tc, interest_that_stays_is_served_in_every_iteration_until_the_socket_is_full);
  tcase_add_test (tc, socket_that_is_full_a_moment_later_is_reported_when_it_has_room);
  tcase_add_test (tc, full_socket_is_reported_when_it_has_room);
  tcase_add_test (tc, full_sockets_among_others_are_told_apart);
  tcase_add_test (tc, interest_that_is_renewed_by_its_callback_is_served_again);
  tcase_add_test (tc, interest_that_goes_before_the_loop_runs_is_not_served);
  tcase_add_test (tc, read_interest_that_goes_while_the_other_is_served_is_over);
  tcase_add_test (tc, both_interests_that_go_together_come_back_together);
  tcase_add_test (tc, other_end_that_is_gone_reaches_both);
  tcase_add_test (tc, everybody_else_is_served_meanwhile);
  tcase_add_test (tc, new_file_behind_a_forgotten_watcher_is_served);
  tcase_add_test (tc, fork_in_between_is_survived_by_both);

#if DEFAULT_POLICY
  if (on & COLD)
    {
      tcase_add_test (tc, loop_that_writes_at_once_stays_on_epoll);
      tcase_add_test (tc, all_that_comes_in_one_iteration_is_asked_by_one_call);
      tcase_add_test (tc, interest_that_stays_is_asked_about_once);
      tcase_add_test (tc, sockets_that_are_found_full_are_asked_but_now_and_then);
      tcase_add_test (tc, hits_make_up_for_some_misses);
      tcase_add_test (tc, hits_that_stay_are_not_asked_for_ever);
      tcase_add_test (tc, loop_whose_sockets_are_often_full_makes_a_ring);
      tcase_add_test (tc, loop_whose_sockets_are_always_full_makes_a_ring);
      tcase_add_test (tc, loop_that_mostly_writes_at_once_makes_no_ring);
    }

  if (on & RING)
    {
      tcase_add_test (tc, nobody_is_asked_beside_a_ring);
      tcase_add_test (tc, new_watcher_is_not_asked_about_once_there_was_a_ring);
      tcase_add_test (tc, loop_that_only_writes_at_once_leaves_the_ring);
      tcase_add_test (tc, loop_whose_new_watchers_write_at_once_comes_back_to_the_ring);
    }
#endif
}

Suite *
writes_suite (void)
{
  return suite_over_backends ("writes", add);
}
