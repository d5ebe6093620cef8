/*
 * Events on descriptors: what is reported, how often, in which order, and
 * what starting, stopping and changing watchers does to it.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include "fixture.h"

/*****************************************************************************/
/* reporting */

TEST (both_directions_are_reported_in_one_call_or_one_alone, ALL)
{
  probe *p = watch_socket (EV_READ | EV_WRITE);

  put (p->peer);
  run_until (p->count, ==, 1);
  must_be (p->revents, ==, EV_READ | EV_WRITE);
  get (p->io.fd);
  told (p, EV_WRITE);
  fill (p->io.fd);
  settle (EV_A);
  silent (p);
  put (p->peer);
  told (p, EV_READ);
}

TEST (unread_data_is_reported_in_every_iteration_until_it_is_gone, ALL)
{
  probe *p = watch_socket (EV_READ);
  int i;

  for (i = 0; i < 5; ++i)
    put (p->peer);

  run_until (p->count, ==, 1);

  for (i = 2; i <= 20; ++i)
    {
      ev_run (EV_A_ i & 1 ? EVRUN_ONCE : EVRUN_NOWAIT);
      must_be (p->count, ==, i);
    }

  p->eat = 1;
  run_until (p->count, ==, 25);
  silent (p);
}

TEST (writability_is_reported_until_the_socket_is_full, ALL)
{
  probe *p = watch_socket (EV_WRITE);

  run_until (p->count, ==, 10);
  fill (p->io.fd);
  settle (EV_A);
  silent (p);
  get (p->peer);
  told (p, EV_WRITE);
}

TEST (every_message_of_a_long_exchange_arrives, ALL)
{
  talk (reader (), 2000);
}

/* the events come from another process, which may run on another CPU, while the loop is about to sleep */
TEST (no_wake_up_from_another_process_is_lost, ALL)
{
  probe *p = reader ();
  int i, got;
  pid_t pid = child ();

  if (!pid)
    {
      for (i = 0; i < 2000; i += got)
        {
          must (wait_for (p->peer, POLLIN));
          got = get (p->peer);
          must_be (got, >, 0);
          put (p->peer);
        }

      leave ();
    }

  for (i = 1; i <= 2000; ++i)
    {
      put (p->io.fd);
      run_until (p->count, ==, i);
    }

  ends_well (pid);
}

#define CROWD 300

TEST (all_of_many_ready_fds_get_their_turn, ALL)
{
  probe *p [CROWD];
  int i, round, served;

  for (i = 0; i < CROWD; ++i)
    p [i] = watch_socket (EV_READ);

  settle (EV_A);

  for (i = 0; i < CROWD; ++i)
    put (p [i]->peer);

  /* nobody reads: whoever was served is ready again at once, and must not push others out */
  for (round = served = 0; round < 20 && served < CROWD; ++round)
    for (ev_run (EV_A_ EVRUN_ONCE), served = i = 0; i < CROWD; ++i)
      served += p [i]->count > 0;

  must_be (served, ==, CROWD);
}

/*****************************************************************************/
/* changing interest */

TEST (read_interest_comes_and_goes_beside_an_armed_write, ALL)
{
  probe *w = watch_socket (EV_READ), *r;
  int i;

  fill (w->io.fd);
  restart (w, w->io.fd, EV_WRITE);
  r = probe_for (w->io.fd, EV_READ);
  r->eat = 1;
  settle (EV_A);

  for (i = 1; i <= 20; ++i)
    {
      start (r);
      ev_run (EV_A_ EVRUN_NOWAIT);
      put (w->peer);
      run_until (r->count, ==, i);
      stop (r);
      ev_run (EV_A_ EVRUN_NOWAIT);
    }

  put (w->peer);
  settle (EV_A);
  must_be (r->count, ==, 20);
  must_be (w->count, ==, 0);
  get (w->peer);
  told (w, EV_WRITE);
}

/* data that comes and goes while only writing is watched is nobody's business later */
TEST (event_of_a_time_when_nobody_asked_is_not_reported, ALL)
{
  probe *r = watch_socket (EV_READ), *w;
  int i;

  fill (r->io.fd);
  w = watch (r->io.fd, EV_WRITE);
  settle (EV_A);

  for (i = 0; i < 10; ++i)
    {
      stop (r);
      ev_run (EV_A_ EVRUN_NOWAIT);
      put (r->peer);

      /* one that a ring has reported, and nobody has looked at, may still be told */
      if (i & 1 || backend & LINUXAIO)
        settle (EV_A);

      must_be (get (r->io.fd), ==, 1);
      start (r);
      silent (r);
    }

  /* but what lasts is */
  stop (r);
  settle (EV_A);
  put (r->peer);
  settle (EV_A);
  start (r);
  told (r, EV_READ);
  must_be (w->count, ==, 0);
}

TEST (changed_mask_of_one_watcher_takes_effect, ALL)
{
  static const int masks [] = { EV_READ, EV_READ | EV_WRITE, EV_WRITE, EV_READ, EV_WRITE, EV_READ | EV_WRITE };
  probe *p = watch_socket (EV_READ);
  unsigned i;

  put (p->peer);

  for (i = 0; i < sizeof (masks) / sizeof (masks [0]); ++i)
    {
      stop (p);
      ev_io_modify (&p->io, masks [i]);
      start (p);
      p->seen = 0;
      run_until (p->seen, ==, masks [i]);
      settle (EV_A);
      must_be (p->seen, ==, masks [i]);
    }
}

TEST (stopped_watcher_is_not_called_and_learns_what_came_meanwhile, ALL)
{
  probe *p = watch_socket (EV_READ);

  settle (EV_A);
  stop (p);
  settle (EV_A);
  put (p->peer);
  silent (p);
  start (p);
  told (p, EV_READ);
}

/* with or without an iteration in between: often enough that an armed fd is seen to be stopped often */
TEST (watcher_survives_many_stops_and_restarts, ALL)
{
  probe *p = reader ();
  int i, expected = 0;

  for (i = 0; i < 500; ++i)
    {
      stop (p);

      if (i % 3 == 1)
        ev_run (EV_A_ EVRUN_NOWAIT);

      start (p);

      if (i % 3)
        ev_run (EV_A_ EVRUN_NOWAIT);

      if (i % 7 == 0)
        {
          put (p->peer);
          ++expected;
          run_until (p->count, ==, expected);
        }
    }

  silent (p);
}

/* the way of coroutines: a watcher lives for one event */
TEST (one_shot_use_works_every_time, ALL)
{
  probe *p = reader ();
  int i;

  for (i = 1; i <= 500; ++i)
    {
      put (p->peer);
      run_until (p->count, ==, i);
      restart (p, p->io.fd, EV_READ);
    }
}

TEST (watcher_without_events_is_never_called, ALL)
{
  probe *p = watch_socket (0);

  put (p->peer);
  silent (p);
  stop (p);
  ev_io_modify (&p->io, EV_READ);
  start (p);
  told (p, EV_READ);
}

/*****************************************************************************/
/* several watchers on one descriptor */

TEST (watchers_of_one_fd_are_called_for_what_they_want, ALL)
{
  probe *r = watch_socket (EV_READ), *w = watch (r->io.fd, EV_WRITE), *both = watch (r->io.fd, EV_READ | EV_WRITE);

  run_until (w->count && both->count);
  must_be (r->count, ==, 0);
  must_be (w->seen | both->seen, ==, EV_WRITE);

  put (r->peer);
  told (r, EV_READ);
  settle (EV_A);
  must_be (r->seen, ==, EV_READ);
  must_be (w->seen, ==, EV_WRITE);
  must_be (both->seen, ==, EV_READ | EV_WRITE);
}

TEST (watchers_of_one_fd_are_called_by_priority_and_stopped_each, ALL)
{
  probe *high = watch_socket (0), *low = probe_for (high->io.fd, EV_READ);

  stop (high);
  ev_io_modify (&high->io, EV_READ | EV_WRITE);
  ev_set_priority (&low->io, EV_MINPRI);
  ev_set_priority (&high->io, EV_MAXPRI);
  put (high->peer);
  start (high);
  start (low);
  run_until (low->count && high->count);
  must_be (high->place, <, low->place);
  stop (high);
  high->count = 0;
  told (low, EV_READ);
  must_be (high->count, ==, 0);
}

TEST (duplicates_of_one_file_are_watched_each, ALL)
{
  probe *a = watch_socket (EV_READ), *b = watch (dup (a->io.fd), EV_READ);

  settle (EV_A);
  put (a->peer);
  run_until (a->count && b->count);

  /* without the original, the copy goes on */
  stop_and_close (a);
  settle (EV_A);
  a->count = 0;
  told (b, EV_READ);
  must_be (a->count, ==, 0);
}

/*****************************************************************************/
/* order and pending events */

#define PRIORITIES (EV_MAXPRI - EV_MINPRI + 1)

/* terminals are what no ring serves: every other one is such, or none */
static void
expect_order_of_priorities (int terminals)
{
  probe *p [PRIORITIES];
  int fd [2], i;

  for (i = 0; i < PRIORITIES; ++i)
    {
      if (i & terminals)
        fd [1] = pty (fd);
      else
        sockets (fd);

      p [i] = probe_for (fd [0], EV_READ);
      p [i]->peer = fd [1];
      ev_set_priority (&p [i]->io, EV_MINPRI + i);
      start (p [i]);
    }

  settle (EV_A);

  for (i = 0; i < PRIORITIES; ++i)
    {
      put (p [i]->peer);
      must (wait_for (p [i]->io.fd, POLLIN));
    }

  /* once all are seen to be ready, one iteration reports all */
  ev_run (EV_A_ EVRUN_ONCE);
  places = 0;
  ev_run (EV_A_ EVRUN_ONCE);
  must_be (places, ==, PRIORITIES);

  for (i = 1; i < PRIORITIES; ++i)
    must_be (p [i]->place, <, p [i - 1]->place);
}

TEST (events_of_one_iteration_are_called_by_priority, ALL)
{
  expect_order_of_priorities (0);
}

TEST (priorities_hold_across_kinds_of_descriptors, ALL)
{
  expect_order_of_priorities (1);
}

static int cleared;

/* stops the other one, or itself and clears the other's event */
static void
rival_cb (EV_P_ ev_io *w, int revents)
{
  probe_cb (EV_A_ w, revents);

  if (w->priority)
    {
      cleared = ev_clear_pending (EV_A_ w->data);
      ev_io_stop (EV_A_ w);
    }
  else
    ev_io_stop (EV_A_ w->data);
}

static void
open_rivals (probe *p [2], int priority)
{
  int i;

  for (i = 0; i < 2; ++i)
    {
      p [i] = watch_socket (0);
      stop (p [i]);
      ev_io_modify (&p [i]->io, EV_READ);
      put (p [i]->peer);
    }

  ev_set_priority (&p [0]->io, priority);
  p [0]->io.data = &p [1]->io;
  p [1]->io.data = &p [0]->io;
  ev_set_cb (&p [0]->io, rival_cb);
  start (p [0]);
  start (p [1]);
}

TEST (stopping_a_pending_watcher_takes_its_event_away, ALL)
{
  probe *p [2];

  open_rivals (p, 0);
  ev_set_cb (&p [1]->io, rival_cb);
  run_until (p [0]->count + p [1]->count, >, 0);
  settle (EV_A);

  /* the first to be called has stopped the other and goes on */
  must (!p [0]->count || !p [1]->count);
}

TEST (cleared_pending_event_comes_back_while_it_lasts, ALL)
{
  probe *p [2];

  open_rivals (p, EV_MAXPRI);
  ev_run (EV_A_ EVRUN_ONCE);
  must_be (p [0]->count, ==, 1);
  must_be (cleared, ==, EV_READ);
  must_be (p [1]->count, ==, 0);
  told (p [1], EV_READ);
}

TEST (fed_events_reach_the_watchers, ALL)
{
  probe *r = watch_socket (EV_READ), *w;

  fill (r->io.fd);
  w = watch (r->io.fd, EV_WRITE);
  settle (EV_A);

  ev_feed_fd_event (EV_A_ r->io.fd, EV_READ);
  ev_invoke_pending (EV_A);
  must_be (r->count, ==, 1);
  must_be (w->count, ==, 0);

  ev_feed_event (EV_A_ &w->io, EV_CUSTOM);
  ev_invoke_pending (EV_A);
  must_be (w->revents, ==, EV_CUSTOM);
  settle (EV_A);
  must_be (r->count, ==, 1);
  must_be (w->count, ==, 1);

  /* real events are not held up by that */
  put (r->peer);
  told (r, EV_READ);
}

static void
start_cb (EV_P_ ev_io *w, int revents)
{
  probe_cb (EV_A_ w, revents);
  ev_io_start (EV_A_ w->data);
  ev_io_stop (EV_A_ w);
}

TEST (watcher_started_in_a_callback_is_served, ALL)
{
  probe *p = watch_socket (EV_READ), *started = probe_for (p->io.fd, EV_READ | EV_WRITE);

  ev_set_cb (&p->io, start_cb);
  p->io.data = started;
  settle (EV_A);
  put (p->peer);
  told (started, EV_READ | EV_WRITE);
  must_be (p->count, ==, 1);
}

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

/* a socket that is full, watched for both by two watchers */
static void
watch_full (int fd [2], probe **r, probe **w)
{
  fill (fd [0]);
  *r = watch (fd [0], EV_READ);
  *w = watch (fd [0], EV_WRITE);
  settle (EV_A);

  while ((*w)->count) /* more room was found for a connection */
    {
      (*w)->count = 0;
      fill (fd [0]);
      settle (EV_A);
    }

  must_be ((*r)->count, ==, 0);
}

TEST (half_close_reaches_the_reader_only, ALL)
{
  probe *r, *w;
  int fd [2];

  sockets (fd);
  watch_full (fd, &r, &w);
  shutdown (fd [1], SHUT_WR);
  told (r, EV_READ);
  must_be (get (fd [0]), ==, -1);
  silent (w);
}

TEST (hang_up_reaches_reader_and_writer, ALL)
{
  probe *r, *w;
  int fd [2];

  sockets (fd);
  watch_full (fd, &r, &w);
  close (fd [1]);
  run_until (r->count && w->count);
  must_be (r->seen, ==, EV_READ);
  must_be (w->seen, ==, EV_WRITE);
}

TEST (reset_reaches_reader_and_writer, ALL)
{
  static const struct linger at_once = { 1, 0 };
  probe *r, *w;
  int fd [2];

  tcp_sockets (fd);
  watch_full (fd, &r, &w);
  setsockopt (fd [1], SOL_SOCKET, SO_LINGER, &at_once, sizeof (at_once));
  close (fd [1]);
  run_until (r->count && w->count);
}

TEST (end_of_a_pipe_reaches_the_reader_or_the_writer, ALL)
{
  int fd [2];
  probe *p;

  pipes (fd);
  p = watch (fd [0], EV_READ);
  silent (p);
  close (fd [1]);
  told (p, EV_READ);
  must_be (get (fd [0]), ==, -1);
  stop (p);

  pipes (fd);
  fill (fd [1]);
  p = watch (fd [1], EV_WRITE);
  silent (p);
  close (fd [0]);
  told (p, EV_WRITE);
}

TEST (end_of_reading_by_the_program_itself_is_reported, ALL)
{
  probe *p = watch_socket (EV_READ);

  silent (p);
  shutdown (p->io.fd, SHUT_RD);
  told (p, EV_READ);
  must_be (get (p->io.fd), ==, -1);
}

/* there is nobody at the other end, as the host it is on will say */
TEST (error_of_a_datagram_socket_is_reported, ALL)
{
  int fd [2];
  probe *p;

  udp_sockets (fd);
  close (fd [1]);
  p = watch (fd [0], EV_READ);
  silent (p);
  put (fd [0]);
  told (p, EV_READ);
  must_be (socket_error (fd [0]), ==, ECONNREFUSED);
}

TEST (hang_up_is_reported_again_and_again, ALL)
{
  probe *p = watch_socket (EV_READ);
  int i;

  silent (p);
  close (p->peer);
  run_until (p->count, >, 0);

  for (i = 0; i < 10; ++i)
    {
      p->count = 0;
      ev_run (EV_A_ EVRUN_ONCE);
      must_be (p->count, ==, 1);
    }
}

/*****************************************************************************/
/* connections */

static int
connecting (const struct sockaddr_in *addr)
{
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

  must (fd >= 0);

  if (connect (fd, (const struct sockaddr *)addr, sizeof (*addr)))
    must_be (errno, ==, EINPROGRESS);

  return fd;
}

TEST (connecting_accepting_and_talking_work_in_one_loop, ALL)
{
  struct sockaddr_in addr;
  probe *l = watch (tcp_listen (&addr), EV_READ);
  int i;

  settle (EV_A);

  for (i = 0; i < 20; ++i)
    {
      probe *c = watch (connecting (&addr), EV_WRITE), *s;

      l->count = 0;
      run_until (l->count && c->count);
      must_be (socket_error (c->io.fd), ==, 0);
      s = watch (accept4 (l->io.fd, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC), EV_READ);
      restart (c, c->io.fd, EV_READ);
      put (c->io.fd);
      told (s, EV_READ);
      get (s->io.fd);
      put (s->io.fd);
      told (c, EV_READ);
      get (c->io.fd);
      stop_and_close (c);
      told (s, EV_READ);
      must_be (get (s->io.fd), ==, -1);
      stop_and_close (s);
    }

  settle (EV_A);
  silent (l);
}

TEST (refused_connection_reaches_reader_and_writer, ALL)
{
  struct sockaddr_in addr;
  probe *r, *w;

  close (tcp_listen (&addr));
  r = watch (connecting (&addr), EV_READ);
  w = watch (r->io.fd, EV_WRITE);
  run_until (r->count && w->count);
  must_be (socket_error (r->io.fd), ==, ECONNREFUSED);
}

/* a socket that is watched before it is connected, and stays watched */
TEST (socket_watched_before_it_is_connected_is_served_after, ALL)
{
  struct sockaddr_in addr;
  int listener = tcp_listen (&addr);
  probe *p = watch (connecting (&addr), EV_READ);

  p->eat = 1;
  settle (EV_A);
  must (wait_for (listener, POLLIN));
  p->peer = accept4 (listener, 0, 0, SOCK_CLOEXEC);
  must (p->peer >= 0);
  silent (p);
  talk (p, 2);
  close (p->peer);
  told (p, EV_READ);
}

/*****************************************************************************/
/* numbers far apart, upwards and downwards, and the highest possible: whatever is indexed by fd grows in steps */

TEST (descriptors_far_apart_are_served, ALL)
{
  int numbers [] = { 300, 1000, 231, 999, 500, 232, 264, 1023, 0 };
  struct rlimit lim;
  probe *p [9];
  int fd [2], i;

  must (!getrlimit (RLIMIT_NOFILE, &lim));
  numbers [8] = room_for_fds (lim.rlim_max < 1 << 18 ? lim.rlim_max : 1 << 18) - 1;

  for (i = 0; i < 9; ++i)
    {
      sockets (fd);
      onto (fd [0], numbers [i]);
      p [i] = watch (numbers [i], EV_READ);
      p [i]->eat  = 1;
      p [i]->peer = fd [1];

      if (i & 1)
        ev_run (EV_A_ EVRUN_NOWAIT);
    }

  for (i = 0; i < 9; ++i)
    talk (p [i], 1);
}
