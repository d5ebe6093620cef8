/*
 * Events on descriptors: what is reported, how often, in which order, and
 * what starting, stopping and changing watchers does to it.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include "fixture.h"
#include "suites.h"

/*****************************************************************************/
/* reporting */

START_TEST (readable_socket_is_reported)
{
  int fd [2];
  probe p;

  sockets (fd);
  probe_start (EV_A_ &p, fd [0], EV_READ);
  settle (EV_A);
  ck_assert_int_eq (p.count, 0);

  put (fd [1]);
  run_until (p.count);
  ck_assert_int_eq (p.seen, EV_READ);

  probe_stop (EV_A_ &p);
  close_both (fd);
}
END_TEST

START_TEST (writable_socket_is_reported)
{
  int fd [2];
  probe p;

  sockets (fd);
  fill (fd [0]);
  probe_start (EV_A_ &p, fd [0], EV_WRITE);
  settle (EV_A);
  ck_assert_int_eq (p.count, 0);

  get (fd [1]);
  run_until (p.count);
  ck_assert_int_eq (p.seen, EV_WRITE);

  probe_stop (EV_A_ &p);
  close_both (fd);
}
END_TEST

START_TEST (both_directions_are_reported_in_one_call)
{
  int fd [2];
  probe p;

  sockets (fd);
  put (fd [1]);
  probe_start (EV_A_ &p, fd [0], EV_READ | EV_WRITE);
  run_until (p.count);
  ck_assert_int_eq (p.revents, EV_READ | EV_WRITE);

  probe_stop (EV_A_ &p);
  close_both (fd);
}
END_TEST

START_TEST (one_direction_of_two_is_reported_alone)
{
  int fd [2];
  probe p;

  sockets (fd);
  probe_start (EV_A_ &p, fd [0], EV_READ | EV_WRITE);
  run_until (p.count);
  ck_assert_int_eq (p.seen, EV_WRITE);

  fill (fd [0]);
  settle (EV_A);
  p.count = p.seen = 0;
  put (fd [1]);
  run_until (p.count);
  ck_assert_int_eq (p.seen, EV_READ);

  probe_stop (EV_A_ &p);
  close_both (fd);
}
END_TEST

START_TEST (unread_data_is_reported_in_every_iteration)
{
  int fd [2], i;
  probe p;

  sockets (fd);
  probe_start (EV_A_ &p, fd [0], EV_READ);
  put (fd [1]);
  run_until (p.count);

  for (i = 2; i <= 20; ++i)
    {
      ev_run (EV_A_ i & 1 ? EVRUN_ONCE : EVRUN_NOWAIT);
      ck_assert_int_eq (p.count, i);
    }

  probe_stop (EV_A_ &p);
  close_both (fd);
}
END_TEST

START_TEST (half_consumed_data_is_reported_until_it_is_gone)
{
  int fd [2], i;
  probe p;

  sockets (fd);
  probe_start (EV_A_ &p, fd [0], EV_READ);
  p.eat = 1;

  for (i = 0; i < 5; ++i)
    put (fd [1]);

  run_until (p.count == 5);
  settle (EV_A);
  ck_assert_int_eq (p.count, 5);

  probe_stop (EV_A_ &p);
  close_both (fd);
}
END_TEST

START_TEST (writability_is_reported_until_the_socket_is_full)
{
  int fd [2], i;
  probe p;

  sockets (fd);
  probe_start (EV_A_ &p, fd [0], EV_WRITE);

  for (i = 1; i <= 10; ++i)
    run_until (p.count == i);

  fill (fd [0]);
  settle (EV_A);
  p.count = 0;
  settle (EV_A);
  ck_assert_int_eq (p.count, 0);

  get (fd [1]);
  run_until (p.count);

  probe_stop (EV_A_ &p);
  close_both (fd);
}
END_TEST

START_TEST (every_message_of_a_long_exchange_arrives)
{
  int fd [2], i;
  probe p;

  sockets (fd);
  probe_start (EV_A_ &p, fd [0], EV_READ);
  p.eat = 1;

  for (i = 1; i <= 2000; ++i)
    {
      put (fd [1]);
      run_until (p.count == i);
    }

  probe_stop (EV_A_ &p);
  close_both (fd);
}
END_TEST

static int echo_fd;

static void
echo_many (void)
{
  int i, got;

  for (i = 0; i < 2000; i += got)
    {
      must (wait_for (echo_fd, POLLIN));
      got = get (echo_fd);
      must (got > 0);
      put (echo_fd);
    }
}

/* the events come from another process, which may run on another CPU, while the loop is about to sleep */
START_TEST (no_wake_up_from_another_process_is_lost)
{
  int fd [2], i;
  probe p;
  pid_t child;

  sockets (fd);
  echo_fd = fd [1];
  child = in_child (echo_many);
  probe_start (EV_A_ &p, fd [0], EV_READ);
  p.eat = 1;

  for (i = 1; i <= 2000; ++i)
    {
      put (fd [0]);
      run_until (p.count == i);
    }

  ck_assert (child_ok (child));
  probe_stop (EV_A_ &p);
  close_both (fd);
}
END_TEST

#define CROWD 300

START_TEST (all_of_many_ready_fds_get_their_turn)
{
  int fd [CROWD][2], i, round, served;
  static probe p [CROWD];

  for (i = 0; i < CROWD; ++i)
    {
      sockets (fd [i]);
      probe_start (EV_A_ p + i, fd [i][0], EV_READ);
    }

  settle (EV_A);

  for (i = 0; i < CROWD; ++i)
    put (fd [i][1]);

  /* nobody reads: whoever was served is ready again at once, and must not push others out */
  for (round = served = 0; round < 20 && served < CROWD; ++round)
    for (ev_run (EV_A_ EVRUN_ONCE), served = i = 0; i < CROWD; ++i)
      served += p [i].count > 0;

  ck_assert_int_eq (served, CROWD);

  for (i = 0; i < CROWD; ++i)
    {
      probe_stop (EV_A_ p + i);
      close_both (fd [i]);
    }
}
END_TEST

/*****************************************************************************/
/* changing interest */

START_TEST (write_interest_comes_and_goes_beside_an_armed_read)
{
  int fd [2], i;
  probe r, w;

  sockets (fd);
  probe_start (EV_A_ &r, fd [0], EV_READ);
  probe_init (&w, fd [0], EV_WRITE);
  settle (EV_A);

  for (i = 1; i <= 20; ++i)
    {
      ev_io_start (EV_A_ &w.io);
      run_until (w.count == i);
      ev_io_stop (EV_A_ &w.io);
      ev_run (EV_A_ EVRUN_NOWAIT);
    }

  settle (EV_A);
  ck_assert_int_eq (w.count, 20);
  ck_assert_int_eq (w.seen, EV_WRITE);
  ck_assert_int_eq (r.count, 0);

  put (fd [1]);
  run_until (r.count);
  ck_assert_int_eq (r.seen, EV_READ);
  ck_assert_int_eq (w.count, 20);

  probe_stop (EV_A_ &r);
  close_both (fd);
}
END_TEST

START_TEST (read_interest_comes_and_goes_beside_an_armed_write)
{
  int fd [2], i;
  probe r, w;

  sockets (fd);
  fill (fd [0]);
  probe_start (EV_A_ &w, fd [0], EV_WRITE);
  probe_init (&r, fd [0], EV_READ);
  r.eat = 1;
  settle (EV_A);

  for (i = 1; i <= 20; ++i)
    {
      ev_io_start (EV_A_ &r.io);
      ev_run (EV_A_ EVRUN_NOWAIT);
      put (fd [1]);
      run_until (r.count == i);
      ev_io_stop (EV_A_ &r.io);
      ev_run (EV_A_ EVRUN_NOWAIT);
    }

  put (fd [1]);
  settle (EV_A);
  ck_assert_int_eq (r.count, 20);
  ck_assert_int_eq (w.count, 0);

  get (fd [1]);
  run_until (w.count);
  ck_assert_int_eq (w.seen, EV_WRITE);

  probe_stop (EV_A_ &w);
  close_both (fd);
}
END_TEST

/* data that comes and goes while only writing is watched is nobody's business later */
START_TEST (event_of_a_time_when_nobody_asked_is_not_reported)
{
  int fd [2], i;
  probe r, w;

  sockets (fd);
  fill (fd [0]);
  probe_start (EV_A_ &w, fd [0], EV_WRITE);
  probe_start (EV_A_ &r, fd [0], EV_READ);
  settle (EV_A);

  for (i = 0; i < 10; ++i)
    {
      ev_io_stop (EV_A_ &r.io);
      ev_run (EV_A_ EVRUN_NOWAIT);
      put (fd [1]);

      if (i & 1)
        settle (EV_A);

      ck_assert_int_eq (get (fd [0]), 1);
      ev_io_start (EV_A_ &r.io);
      settle (EV_A);
      ck_assert_int_eq (r.count, 0);
    }

  /* but what lasts is */
  ev_io_stop (EV_A_ &r.io);
  settle (EV_A);
  put (fd [1]);
  settle (EV_A);
  ev_io_start (EV_A_ &r.io);
  run_until (r.count);
  ck_assert_int_eq (w.count, 0);

  probe_stop (EV_A_ &r);
  probe_stop (EV_A_ &w);
  close_both (fd);
}
END_TEST

START_TEST (changed_mask_of_one_watcher_takes_effect)
{
  static const int masks [] = { EV_READ, EV_READ | EV_WRITE, EV_WRITE, EV_READ, EV_WRITE, EV_READ | EV_WRITE };
  int fd [2];
  unsigned i;
  probe p;

  sockets (fd);
  put (fd [1]);
  probe_init (&p, fd [0], EV_READ);

  for (i = 0; i < sizeof (masks) / sizeof (masks [0]); ++i)
    {
      ev_io_stop (EV_A_ &p.io);
      ev_io_modify (&p.io, masks [i]);
      ev_io_start (EV_A_ &p.io);
      p.count = p.seen = 0;
      run_until (p.count);
      settle (EV_A);
      ck_assert_int_eq (p.seen, masks [i]);
    }

  probe_stop (EV_A_ &p);
  close_both (fd);
}
END_TEST

START_TEST (stopped_watcher_is_not_called)
{
  int fd [2];
  probe p;

  sockets (fd);
  probe_start (EV_A_ &p, fd [0], EV_READ);
  settle (EV_A);
  probe_stop (EV_A_ &p);
  put (fd [1]);
  settle (EV_A);
  ck_assert_int_eq (p.count, 0);
  ck_assert_int_eq (get (fd [0]), 1);

  close_both (fd);
}
END_TEST

START_TEST (restarted_watcher_learns_what_came_meanwhile)
{
  int fd [2];
  probe p;

  sockets (fd);
  probe_start (EV_A_ &p, fd [0], EV_READ);
  settle (EV_A);
  probe_stop (EV_A_ &p);
  settle (EV_A);
  put (fd [1]);
  settle (EV_A);
  ev_io_start (EV_A_ &p.io);
  run_until (p.count);
  ck_assert_int_eq (p.seen, EV_READ);

  probe_stop (EV_A_ &p);
  close_both (fd);
}
END_TEST

/* with or without an iteration in between: often enough that an armed fd is seen to be stopped often */
START_TEST (watcher_survives_many_stops_and_restarts)
{
  int fd [2], i, expected = 0;
  probe p;

  sockets (fd);
  probe_start (EV_A_ &p, fd [0], EV_READ);
  p.eat = 1;

  for (i = 0; i < 500; ++i)
    {
      ev_io_stop (EV_A_ &p.io);

      if (i % 3 == 1)
        ev_run (EV_A_ EVRUN_NOWAIT);

      ev_io_start (EV_A_ &p.io);

      if (i % 3)
        ev_run (EV_A_ EVRUN_NOWAIT);

      if (i % 7 == 0)
        {
          put (fd [1]);
          ++expected;
          run_until (p.count == expected);
        }
    }

  settle (EV_A);
  ck_assert_int_eq (p.count, expected);

  probe_stop (EV_A_ &p);
  close_both (fd);
}
END_TEST

/* the way of coroutines: a watcher lives for one event */
START_TEST (one_shot_use_works_every_time)
{
  int fd [2], i;
  probe p;

  sockets (fd);

  for (i = 0; i < 500; ++i)
    {
      probe_start (EV_A_ &p, fd [0], EV_READ);
      put (fd [1]);
      run_until (p.count);
      probe_stop (EV_A_ &p);
      ck_assert_int_eq (get (fd [0]), 1);
    }

  close_both (fd);
}
END_TEST

START_TEST (watcher_without_events_is_never_called)
{
  int fd [2];
  probe p;

  sockets (fd);
  put (fd [1]);
  probe_start (EV_A_ &p, fd [0], 0);
  settle (EV_A);
  ck_assert_int_eq (p.count, 0);

  ev_io_stop (EV_A_ &p.io);
  ev_io_modify (&p.io, EV_READ);
  ev_io_start (EV_A_ &p.io);
  run_until (p.count);

  probe_stop (EV_A_ &p);
  close_both (fd);
}
END_TEST

/*****************************************************************************/
/* several watchers on one descriptor */

START_TEST (watchers_of_one_fd_are_called_for_what_they_want)
{
  int fd [2];
  probe r, w, both;

  sockets (fd);
  probe_start (EV_A_ &r, fd [0], EV_READ);
  probe_start (EV_A_ &w, fd [0], EV_WRITE);
  probe_start (EV_A_ &both, fd [0], EV_READ | EV_WRITE);
  run_until (w.count && both.count);
  ck_assert_int_eq (r.count, 0);
  ck_assert_int_eq (w.seen, EV_WRITE);
  ck_assert_int_eq (both.seen, EV_WRITE);

  put (fd [1]);
  run_until (r.count);
  settle (EV_A);
  ck_assert_int_eq (r.seen, EV_READ);
  ck_assert_int_eq (w.seen, EV_WRITE);
  ck_assert_int_eq (both.seen, EV_READ | EV_WRITE);

  probe_stop (EV_A_ &r);
  probe_stop (EV_A_ &w);
  probe_stop (EV_A_ &both);
  close_both (fd);
}
END_TEST

START_TEST (stopping_one_of_two_readers_leaves_the_other)
{
  int fd [2];
  probe a, b;

  sockets (fd);
  probe_start (EV_A_ &a, fd [0], EV_READ);
  probe_start (EV_A_ &b, fd [0], EV_READ);
  settle (EV_A);
  probe_stop (EV_A_ &a);
  put (fd [1]);
  run_until (b.count);
  ck_assert_int_eq (a.count, 0);

  probe_stop (EV_A_ &b);
  close_both (fd);
}
END_TEST

START_TEST (watchers_of_one_fd_are_called_by_priority)
{
  int fd [2];
  probe low, high;

  sockets (fd);
  probe_init (&low, fd [0], EV_READ);
  probe_init (&high, fd [0], EV_READ | EV_WRITE);
  ev_set_priority (&low.io, EV_MINPRI);
  ev_set_priority (&high.io, EV_MAXPRI);
  put (fd [1]);
  ev_io_start (EV_A_ &high.io);
  ev_io_start (EV_A_ &low.io);
  run_until (low.count && high.count);
  ck_assert_int_lt (high.place, low.place);

  probe_stop (EV_A_ &low);
  probe_stop (EV_A_ &high);
  close_both (fd);
}
END_TEST

START_TEST (duplicates_of_one_file_are_watched_each)
{
  int fd [2], copy;
  probe a, b;

  sockets (fd);
  copy = dup (fd [0]);
  probe_start (EV_A_ &a, fd [0], EV_READ);
  probe_start (EV_A_ &b, copy, EV_READ);
  settle (EV_A);
  put (fd [1]);
  run_until (a.count && b.count);

  /* without the original, the copy goes on */
  probe_stop (EV_A_ &a);
  close (fd [0]);
  settle (EV_A);
  a.count = b.count = 0;
  run_until (b.count);
  ck_assert_int_eq (a.count, 0);

  probe_stop (EV_A_ &b);
  close (copy);
  close (fd [1]);
}
END_TEST

/*****************************************************************************/
/* order and pending events */

#define PRIORITIES (EV_MAXPRI - EV_MINPRI + 1)

static void
expect_order_of_priorities (probe *p)
{
  int i;

  for (i = 1; i < PRIORITIES; ++i)
    ck_assert_msg (p [i].place < p [i - 1].place, "priority %d was called as number %d, %d as number %d",
                   EV_MINPRI + i, p [i].place, EV_MINPRI + i - 1, p [i - 1].place);
}

START_TEST (events_of_one_iteration_are_called_by_priority)
{
  int fd [PRIORITIES][2], i;
  probe p [PRIORITIES];

  for (i = 0; i < PRIORITIES; ++i)
    {
      sockets (fd [i]);
      probe_init (p + i, fd [i][0], EV_READ);
      ev_set_priority (&p [i].io, EV_MINPRI + i);
      ev_io_start (EV_A_ &p [i].io);
    }

  settle (EV_A);

  for (i = 0; i < PRIORITIES; ++i)
    put (fd [i][1]);

  ev_run (EV_A_ EVRUN_ONCE);
  expect_order_of_priorities (p);

  for (i = 0; i < PRIORITIES; ++i)
    {
      probe_stop (EV_A_ p + i);
      close_both (fd [i]);
    }
}
END_TEST

/* every other one is a terminal, which no ring serves */
START_TEST (priorities_hold_across_kinds_of_descriptors)
{
  int fd [PRIORITIES][2], i;
  probe p [PRIORITIES];

  for (i = 0; i < PRIORITIES; ++i)
    {
      if (i & 1)
        fd [i][1] = pty (fd [i]);
      else
        sockets (fd [i]);

      probe_init (p + i, fd [i][0], EV_READ);
      ev_set_priority (&p [i].io, EV_MINPRI + i);
      ev_io_start (EV_A_ &p [i].io);
    }

  settle (EV_A);

  for (i = 0; i < PRIORITIES; ++i)
    put (fd [i][1]);

  for (i = 0; i < PRIORITIES; ++i)
    ck_assert (wait_for (fd [i][0], POLLIN));

  /* once all are seen to be ready, one iteration reports all */
  ev_run (EV_A_ EVRUN_ONCE);
  places = 0;
  ev_run (EV_A_ EVRUN_ONCE);
  ck_assert_int_eq (places, PRIORITIES);
  expect_order_of_priorities (p);

  for (i = 0; i < PRIORITIES; ++i)
    {
      probe_stop (EV_A_ p + i);
      close_both (fd [i]);
    }
}
END_TEST

static ev_io *rival;

static void
stop_rival_cb (EV_P_ ev_io *w, int revents)
{
  probe_cb (EV_A_ w, revents);
  ev_io_stop (EV_A_ (ev_io *)w->data);
}

START_TEST (stopping_a_pending_watcher_takes_its_event_away)
{
  int fd [2][2], i;
  probe p [2];

  for (i = 0; i < 2; ++i)
    {
      sockets (fd [i]);
      probe_init (p + i, fd [i][0], EV_READ);
      ev_set_cb (&p [i].io, stop_rival_cb);
      p [i].io.data = &p [!i].io;
      ev_io_start (EV_A_ &p [i].io);
    }

  settle (EV_A);
  put (fd [0][1]);
  put (fd [1][1]);
  run_until (p [0].count + p [1].count);
  settle (EV_A);

  /* the first to be called has stopped the other and goes on */
  ck_assert (!p [0].count || !p [1].count);

  for (i = 0; i < 2; ++i)
    {
      probe_stop (EV_A_ p + i);
      close_both (fd [i]);
    }
}
END_TEST

static int cleared;

static void
clear_rival_cb (EV_P_ ev_io *w, int revents)
{
  probe_cb (EV_A_ w, revents);
  cleared |= ev_clear_pending (EV_A_ rival);
  ev_io_stop (EV_A_ w);
}

START_TEST (cleared_pending_event_comes_back_while_it_lasts)
{
  int fd [2][2];
  probe first, second;

  cleared = 0;
  sockets (fd [0]);
  sockets (fd [1]);
  put (fd [0][1]);
  put (fd [1][1]);
  probe_init (&first, fd [0][0], EV_READ);
  probe_init (&second, fd [1][0], EV_READ);
  ev_set_cb (&first.io, clear_rival_cb);
  ev_set_priority (&first.io, EV_MAXPRI);
  rival = &second.io;
  ev_io_start (EV_A_ &first.io);
  ev_io_start (EV_A_ &second.io);
  ev_run (EV_A_ EVRUN_ONCE);
  ck_assert_int_eq (first.count, 1);
  ck_assert_int_eq (cleared, EV_READ);
  ck_assert_int_eq (second.count, 0);
  run_until (second.count);

  probe_stop (EV_A_ &second);
  close_both (fd [0]);
  close_both (fd [1]);
}
END_TEST

START_TEST (fed_events_reach_the_watchers)
{
  int fd [2];
  probe r, w;

  sockets (fd);
  fill (fd [0]);
  probe_start (EV_A_ &r, fd [0], EV_READ);
  probe_start (EV_A_ &w, fd [0], EV_WRITE);
  settle (EV_A);

  ev_feed_fd_event (EV_A_ fd [0], EV_READ);
  ev_invoke_pending (EV_A);
  ck_assert_int_eq (r.count, 1);
  ck_assert_int_eq (w.count, 0);

  ev_feed_event (EV_A_ &w.io, EV_CUSTOM);
  ev_invoke_pending (EV_A);
  ck_assert_int_eq (w.revents, EV_CUSTOM);

  settle (EV_A);
  ck_assert_int_eq (r.count, 1);
  ck_assert_int_eq (w.count, 1);

  /* real events are not held up by that */
  put (fd [1]);
  run_until (r.count > 1);

  probe_stop (EV_A_ &r);
  probe_stop (EV_A_ &w);
  close_both (fd);
}
END_TEST

static probe started;

static void
start_cb (EV_P_ ev_io *w, int revents)
{
  probe_cb (EV_A_ w, revents);
  ev_io_start (EV_A_ &started.io);
  ev_io_stop (EV_A_ w);
}

START_TEST (watcher_started_in_a_callback_is_served)
{
  int fd [2];
  probe p;

  sockets (fd);
  probe_init (&p, fd [0], EV_READ);
  ev_set_cb (&p.io, start_cb);
  probe_init (&started, fd [0], EV_READ | EV_WRITE);
  ev_io_start (EV_A_ &p.io);
  settle (EV_A);
  put (fd [1]);
  run_until (started.count);
  ck_assert_int_eq (p.count, 1);
  ck_assert_int_eq (started.revents, EV_READ | EV_WRITE);

  probe_stop (EV_A_ &started);
  close_both (fd);
}
END_TEST

/*****************************************************************************/
/* hang-up and error */

static int
socket_error (int fd)
{
  int err = -1;
  socklen_t len = sizeof (err);

  getsockopt (fd, SOL_SOCKET, SO_ERROR, &err, &len);

  return err;
}

START_TEST (half_close_reaches_the_reader_only)
{
  int fd [2];
  probe r, w;

  sockets (fd);
  fill (fd [0]);
  probe_start (EV_A_ &r, fd [0], EV_READ);
  probe_start (EV_A_ &w, fd [0], EV_WRITE);
  settle (EV_A);
  ck_assert_int_eq (w.count, 0);
  shutdown (fd [1], SHUT_WR);
  run_until (r.count);
  ck_assert_int_eq (get (fd [0]), -1);
  settle (EV_A);
  ck_assert_int_eq (w.count, 0);

  probe_stop (EV_A_ &r);
  probe_stop (EV_A_ &w);
  close_both (fd);
}
END_TEST

START_TEST (hang_up_reaches_reader_and_writer)
{
  int fd [2];
  probe r, w;

  sockets (fd);
  fill (fd [0]);
  probe_start (EV_A_ &r, fd [0], EV_READ);
  probe_start (EV_A_ &w, fd [0], EV_WRITE);
  settle (EV_A);
  ck_assert_int_eq (r.count + w.count, 0);
  close (fd [1]);
  run_until (r.count && w.count);
  ck_assert_int_eq (r.seen, EV_READ);
  ck_assert_int_eq (w.seen, EV_WRITE);

  probe_stop (EV_A_ &r);
  probe_stop (EV_A_ &w);
  close (fd [0]);
}
END_TEST

START_TEST (reset_reaches_reader_and_writer)
{
  static const struct linger at_once = { 1, 0 };
  int fd [2];
  probe r, w;

  tcp_sockets (fd);
  fill (fd [0]);
  probe_start (EV_A_ &r, fd [0], EV_READ);
  probe_start (EV_A_ &w, fd [0], EV_WRITE);
  settle (EV_A);
  r.count = w.count = 0;
  setsockopt (fd [1], SOL_SOCKET, SO_LINGER, &at_once, sizeof (at_once));
  close (fd [1]);
  run_until (r.count && w.count);

  probe_stop (EV_A_ &r);
  probe_stop (EV_A_ &w);
  close (fd [0]);
}
END_TEST

START_TEST (end_of_a_pipe_reaches_the_reader)
{
  int fd [2];
  probe p;

  pipes (fd);
  probe_start (EV_A_ &p, fd [0], EV_READ);
  settle (EV_A);
  close (fd [1]);
  run_until (p.count);
  ck_assert_int_eq (p.seen, EV_READ);
  ck_assert_int_eq (get (fd [0]), -1);

  probe_stop (EV_A_ &p);
  close (fd [0]);
}
END_TEST

START_TEST (broken_pipe_reaches_the_writer)
{
  int fd [2];
  probe p;

  pipes (fd);
  fill (fd [1]);
  probe_start (EV_A_ &p, fd [1], EV_WRITE);
  settle (EV_A);
  ck_assert_int_eq (p.count, 0);
  close (fd [0]);
  run_until (p.count);
  ck_assert_int_eq (p.seen, EV_WRITE);

  probe_stop (EV_A_ &p);
  close (fd [1]);
}
END_TEST

START_TEST (end_of_reading_by_the_program_itself_is_reported)
{
  int fd [2];
  probe p;

  sockets (fd);
  probe_start (EV_A_ &p, fd [0], EV_READ);
  settle (EV_A);
  ck_assert_int_eq (p.count, 0);
  shutdown (fd [0], SHUT_RD);
  run_until (p.count);
  ck_assert_int_eq (get (fd [0]), -1);

  probe_stop (EV_A_ &p);
  close_both (fd);
}
END_TEST

/* there is nobody at the other end, as the host it is on will say */
START_TEST (error_of_a_datagram_socket_is_reported)
{
  struct sockaddr_in addr, nobody;
  int fd = udp_bound (&addr), other = udp_bound (&nobody);
  probe r;

  close (other);
  ck_assert (!connect (fd, (struct sockaddr *)&nobody, sizeof (nobody)));
  probe_start (EV_A_ &r, fd, EV_READ);
  settle (EV_A);
  ck_assert_int_eq (r.count, 0);
  put (fd);
  run_until (r.count);
  ck_assert_int_eq (socket_error (fd), ECONNREFUSED);

  probe_stop (EV_A_ &r);
  close (fd);
}
END_TEST

START_TEST (hang_up_is_reported_again_and_again)
{
  int fd [2], i;
  probe p;

  sockets (fd);
  probe_start (EV_A_ &p, fd [0], EV_READ);
  settle (EV_A);
  close (fd [1]);
  run_until (p.count);

  for (i = 0; i < 10; ++i)
    {
      p.count = 0;
      ev_run (EV_A_ EVRUN_ONCE);
      ck_assert_int_eq (p.count, 1);
    }

  probe_stop (EV_A_ &p);
  close (fd [0]);
}
END_TEST

/*****************************************************************************/
/* connections */

static int
connecting (const struct sockaddr_in *addr)
{
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

  ck_assert_int_ge (fd, 0);

  if (connect (fd, (const struct sockaddr *)addr, sizeof (*addr)))
    ck_assert_int_eq (errno, EINPROGRESS);

  return fd;
}

START_TEST (connecting_accepting_and_talking_work_in_one_loop)
{
  struct sockaddr_in addr;
  int listener = tcp_listen (&addr);
  int i;
  probe l, c, s;

  probe_start (EV_A_ &l, listener, EV_READ);
  settle (EV_A);

  for (i = 0; i < 20; ++i)
    {
      int client = connecting (&addr), server;

      probe_start (EV_A_ &c, client, EV_WRITE);
      l.count = 0;
      run_until (l.count && c.count);
      ck_assert_int_eq (socket_error (client), 0);
      server = accept4 (listener, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC);
      ck_assert_int_ge (server, 0);

      probe_start (EV_A_ &s, server, EV_READ);
      probe_restart (EV_A_ &c, client, EV_READ);
      c.count = 0;
      put (client);
      run_until (s.count);
      get (server);
      put (server);
      run_until (c.count);
      get (client);

      probe_stop (EV_A_ &c);
      close (client);
      s.count = 0;
      run_until (s.count);
      ck_assert_int_eq (get (server), -1);
      probe_stop (EV_A_ &s);
      close (server);
    }

  settle (EV_A);
  l.count = 0;
  settle (EV_A);
  ck_assert_int_eq (l.count, 0);

  probe_stop (EV_A_ &l);
  close (listener);
}
END_TEST

START_TEST (refused_connection_reaches_reader_and_writer)
{
  struct sockaddr_in addr;
  int listener = tcp_listen (&addr), client;
  probe r, w;

  close (listener);
  client = connecting (&addr);
  probe_start (EV_A_ &r, client, EV_READ);
  probe_start (EV_A_ &w, client, EV_WRITE);
  run_until (r.count && w.count);
  ck_assert_int_eq (socket_error (client), ECONNREFUSED);

  probe_stop (EV_A_ &r);
  probe_stop (EV_A_ &w);
  close (client);
}
END_TEST

/* a socket that is watched before it is connected, and stays watched */
START_TEST (socket_watched_before_it_is_connected_is_served_after)
{
  struct sockaddr_in addr;
  int listener = tcp_listen (&addr), server;
  int client = connecting (&addr);
  probe p;

  probe_start (EV_A_ &p, client, EV_READ);
  p.eat = 1;
  settle (EV_A);
  ck_assert (wait_for (listener, POLLIN));
  server = accept4 (listener, 0, 0, SOCK_CLOEXEC);
  ck_assert_int_ge (server, 0);
  settle (EV_A);
  ck_assert_int_eq (p.count, 0);
  put (server);
  run_until (p.count == 1);
  put (server);
  run_until (p.count == 2);
  close (server);
  run_until (p.count > 2);

  probe_stop (EV_A_ &p);
  close (client);
  close (listener);
}
END_TEST

/*****************************************************************************/
/* numbers */

START_TEST (highest_possible_descriptor_is_served)
{
  struct rlimit lim;
  int fd [2], high;
  probe p;

  ck_assert (!getrlimit (RLIMIT_NOFILE, &lim));
  lim.rlim_cur = lim.rlim_max < 1 << 18 ? lim.rlim_max : 1 << 18;
  ck_assert (!setrlimit (RLIMIT_NOFILE, &lim));
  sockets (fd);
  high = lim.rlim_cur - 1;
  onto (fd [0], high);

  probe_start (EV_A_ &p, high, EV_READ | EV_WRITE);
  run_until (p.count);
  ck_assert_int_eq (p.revents, EV_WRITE);
  put (fd [1]);
  run_until (p.revents == (EV_READ | EV_WRITE));

  probe_stop (EV_A_ &p);
  close (high);
  close (fd [1]);
}
END_TEST

/* numbers far apart, upwards and downwards: whatever is indexed by fd grows in steps */
START_TEST (descriptors_far_apart_are_served)
{
  static const int numbers [] = { 300, 1000, 231, 999, 500, 232, 264, 1023 };
  int fd [8][2], i;
  probe p [8];

  ck_assert_uint_ge (room_for_fds (1024), 1024);

  for (i = 0; i < 8; ++i)
    {
      sockets (fd [i]);
      onto (fd [i][0], numbers [i]);
      fd [i][0] = numbers [i];
      probe_start (EV_A_ p + i, fd [i][0], EV_READ);
      p [i].eat = 1;

      if (i & 1)
        ev_run (EV_A_ EVRUN_NOWAIT);
    }

  for (i = 0; i < 8; ++i)
    {
      settle (EV_A);
      ck_assert_int_eq (p [i].count, 0);
      put (fd [i][1]);
      run_until (p [i].count == 1);
    }

  for (i = 0; i < 8; ++i)
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
  tcase_add_test (tc, readable_socket_is_reported);
  tcase_add_test (tc, writable_socket_is_reported);
  tcase_add_test (tc, both_directions_are_reported_in_one_call);
  tcase_add_test (tc, one_direction_of_two_is_reported_alone);
  tcase_add_test (tc, unread_data_is_reported_in_every_iteration);
  tcase_add_test (tc, half_consumed_data_is_reported_until_it_is_gone);
  tcase_add_test (tc, writability_is_reported_until_the_socket_is_full);
  tcase_add_test (tc, every_message_of_a_long_exchange_arrives);
  tcase_add_test (tc, no_wake_up_from_another_process_is_lost);
  tcase_add_test (tc, all_of_many_ready_fds_get_their_turn);

  tcase_add_test (tc, write_interest_comes_and_goes_beside_an_armed_read);
  tcase_add_test (tc, read_interest_comes_and_goes_beside_an_armed_write);
  tcase_add_test (tc, event_of_a_time_when_nobody_asked_is_not_reported);
  tcase_add_test (tc, changed_mask_of_one_watcher_takes_effect);
  tcase_add_test (tc, stopped_watcher_is_not_called);
  tcase_add_test (tc, restarted_watcher_learns_what_came_meanwhile);
  tcase_add_test (tc, watcher_survives_many_stops_and_restarts);
  tcase_add_test (tc, one_shot_use_works_every_time);
  tcase_add_test (tc, watcher_without_events_is_never_called);

  tcase_add_test (tc, watchers_of_one_fd_are_called_for_what_they_want);
  tcase_add_test (tc, stopping_one_of_two_readers_leaves_the_other);
  tcase_add_test (tc, watchers_of_one_fd_are_called_by_priority);
  tcase_add_test (tc, duplicates_of_one_file_are_watched_each);

  tcase_add_test (tc, events_of_one_iteration_are_called_by_priority);
  tcase_add_test (tc, priorities_hold_across_kinds_of_descriptors);
  tcase_add_test (tc, stopping_a_pending_watcher_takes_its_event_away);
  tcase_add_test (tc, cleared_pending_event_comes_back_while_it_lasts);
  tcase_add_test (tc, fed_events_reach_the_watchers);
  tcase_add_test (tc, watcher_started_in_a_callback_is_served);

  tcase_add_test (tc, half_close_reaches_the_reader_only);
  tcase_add_test (tc, hang_up_reaches_reader_and_writer);
  tcase_add_test (tc, reset_reaches_reader_and_writer);
  tcase_add_test (tc, end_of_a_pipe_reaches_the_reader);
  tcase_add_test (tc, broken_pipe_reaches_the_writer);
  tcase_add_test (tc, end_of_reading_by_the_program_itself_is_reported);
  tcase_add_test (tc, error_of_a_datagram_socket_is_reported);
  tcase_add_test (tc, hang_up_is_reported_again_and_again);

  tcase_add_test (tc, connecting_accepting_and_talking_work_in_one_loop);
  tcase_add_test (tc, refused_connection_reaches_reader_and_writer);
  tcase_add_test (tc, socket_watched_before_it_is_connected_is_served_after);

  tcase_add_test (tc, highest_possible_descriptor_is_served);
  tcase_add_test (tc, descriptors_far_apart_are_served);
}

Suite *
io_suite (void)
{
  return suite_over_backends ("io", add);
}
