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

/* the events come from another process, which may run on another CPU, while the loop is about to sleep */
static void
expect_answers (probe *p, int rounds)
{
  pid_t pid;
  int i, got;

  for_child (pid)
    for (i = 0; i < rounds; i += got)
      {
        must (wait_for (p->peer, POLLIN));
        got = get (p->peer);
        must_be (got, >, 0);
        put (p->peer);
      }

  for (i = 1; i <= rounds; ++i)
    {
      put (p->io.fd);
      run_until (p->count, ==, i);
    }

  ends_well (pid);
}

TEST (no_wake_up_from_another_process_is_lost, ALL)
{
  expect_answers (reader (), 2000);
}

/* longer than the busy time, and shorter */
TEST (busy_polling_loses_nothing, LINUXAIO)
{
  int signals = 0, ticks = 0;
  probe *p = reader ();

  ev_linuxaio_busy_poll (EV_A_ 0.001);
  expect_answers (p, 500);
  counted (signal, &signals, SIGUSR1);
  kill (getpid (), SIGUSR1);
  run_until (signals, ==, 1);
  counted (timer, &ticks, 0.01, 0.0001);
  run_until (ticks, >=, 10);
  ev_linuxaio_busy_poll (EV_A_ 0.);
  talk (p, 10);
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

/* upwards and downwards, and the highest possible: whatever is indexed by fd grows in steps */
TEST (descriptors_far_apart_are_served, ALL)
{
  int numbers [] = { 300, 1000, 231, 999, 500, 232, 264, 1023, 0 };
  struct rlimit lim;
  probe *p [9];
  int i;

  must (!getrlimit (RLIMIT_NOFILE, &lim));
  numbers [8] = room_for_fds (lim.rlim_max < 1 << 18 ? lim.rlim_max : 1 << 18) - 1;

  for (i = 0; i < 9; ++i)
    {
      p [i] = reader ();
      stop (p [i]);
      onto (p [i]->io.fd, numbers [i]);
      restart (p [i], numbers [i], EV_READ);

      if (i & 1)
        ev_run (EV_A_ EVRUN_NOWAIT);
    }

  for (i = 0; i < 9; ++i)
    talk (p [i], 1);
}

/*****************************************************************************/
/* changing interest */

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

TEST (stopped_watcher_is_not_called_and_learns_what_came_meanwhile, ALL)
{
  probe *p = watch_socket (EV_READ);

  settle (EV_A);
  stop (p);
  settle (EV_A);
  put (p->peer);
  silent (p);
  restart (p, p->io.fd, 0); /* which is for nothing */
  silent (p);
  restart (p, p->io.fd, EV_READ);
  told (p, EV_READ);
}

/*****************************************************************************/
/* order, and events that nobody has sent */

#define PRIORITIES (EV_MAXPRI - EV_MINPRI + 1)

/* terminals are what no ring serves: every other one is such, or none */
TEST (events_of_one_iteration_are_called_by_priority, ALL)
{
  probe *p [PRIORITIES];
  int fd [2], terminals, i;

  for (terminals = 0; terminals < 2; ++terminals)
    {
      for (i = 0; i < PRIORITIES; ++i)
        {
          make (i & terminals ? WORLD_PTY : WORLD_STREAM, fd);
          p [i] = probe_for (fd [0], EV_READ);
          p [i]->peer = fd [1];
          ev_set_priority (&p [i]->io, EV_MINPRI + i);
          start (p [i]);
        }

      settle (EV_A);

      /* once all have been reported, one iteration reports all */
      for (i = 0; i < PRIORITIES; ++i)
        {
          put (p [i]->peer);
          run_until (p [i]->count, >, 0);
        }

      places = 0;
      ev_run (EV_A_ EVRUN_ONCE);
      must_be (places, ==, PRIORITIES);

      for (i = 1; i < PRIORITIES; ++i)
        must_be (p [i]->place, <, p [i - 1]->place);

      for (i = 0; i < PRIORITIES; ++i)
        stop (p [i]);
    }
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

/*****************************************************************************/
/* write interest beside a read: the kernel is asked with poll (2) first. what comes at once, later, and never */

/* two watchers of one file: a reader, and one for writing that is not yet started */
typedef struct duplex
{
  probe *r, *w;
} duplex;

static duplex
open_duplex (int kind)
{
  duplex d;

  d.r = reader_of (kind);
  d.w = probe_for (d.r->io.fd, EV_WRITE);
  ev_run (EV_A_ EVRUN_NOWAIT);

  return d;
}

/* nothing was forgotten of the other direction */
static void
reads (duplex d)
{
  ping (d.r);
  must_be (d.r->seen, ==, EV_READ);
}

/* writes once: starts the watcher, waits for it and stops it */
static void
writes (duplex d)
{
  start (d.w);
  told (d.w, EV_WRITE);
  stop (d.w);
}

/* not served while the socket is full, but when there is room again */
static void
waits_to_write (duplex d)
{
  fill (d.r->io.fd);
  settle (EV_A);
  silent (d.w);
  get (d.r->peer);
  told (d.w, EV_WRITE);
}

/* alone, together with the read interest, or gone before the loop runs */
TEST (write_interest_that_comes_and_goes_is_served_each_time, ALL)
{
  duplex d = open_duplex (WORLD_STREAM);
  int i;

  for (i = 1; i <= 50; ++i)
    {
      writes (d);

      if (i & 1)
        ev_run (EV_A_ EVRUN_NOWAIT);

      if (i % 5 == 0)
        reads (d);

      if (i % 10 == 0)
        {
          stop (d.r);
          settle (EV_A);
          start (d.r);
          start (d.w);
          stop (d.w);
          silent (d.w);
        }
    }

  must_be (d.r->count, ==, 10);
}

TEST (write_interest_that_stays_is_served_in_every_iteration_until_the_socket_is_full, ALL)
{
  duplex d = open_duplex (WORLD_STREAM);
  int i;

  start (d.w);

  for (i = 1; i <= 10; ++i)
    {
      run_until (d.w->count, ==, i);
      reads (d);
      d.w->count = i;
    }

  waits_to_write (d);
}

static void
again_cb (EV_P_ ev_io *w, int revents)
{
  probe_cb (EV_A_ w, revents);
  ev_io_stop (EV_A_ w);
  ev_io_start (EV_A_ w);
}

/* the socket has filled up right after it was found to be writable, or before it was asked; or libev sees no change */
TEST (full_socket_is_reported_when_it_has_room, ALL)
{
  duplex d = open_duplex (WORLD_STREAM);
  int i;

  for (i = 0; i < 10; ++i)
    {
      if (i == 5)
        ev_set_cb (&d.w->io, again_cb);

      start (d.w);

      if (i & 1)
        run_until (d.w->count, >, 5 * i);

      waits_to_write (d);
      stop (d.w);
      ev_run (EV_A_ EVRUN_NOWAIT);
    }

  reads (d);
}

TEST (full_sockets_among_others_are_told_apart, ALL)
{
  duplex d [60];
  int i;

  for (i = 0; i < 60; ++i)
    {
      d [i] = open_duplex (WORLD_STREAM);

      if (i % 3 == 1)
        fill (d [i].r->io.fd);

      start (d [i].w);
    }

  for (i = 0; i < 60; ++i)
    if (i % 3 != 1)
      {
        run_until (d [i].w->count, >, 0);

        if (i % 3)
          stop (d [i].w);
      }

  settle (EV_A);

  for (i = 0; i < 60; ++i)
    {
      must_be (!d [i].w->count, ==, i % 3 == 1);
      d [i].w->count = 0;
      get (d [i].r->peer);
    }

  for (i = 0; i < 60; ++i)
    if (i % 3 != 2)
      run_until (d [i].w->count, >, 0);

  for (i = 0; i < 60; ++i)
    {
      must_be (!d [i].w->count, ==, i % 3 == 2);
      reads (d [i]);
    }
}

/* sockets that can always be written to do not keep the others waiting */
TEST (everybody_else_is_served_beside_a_write, ALL)
{
  duplex d = open_duplex (WORLD_STREAM);
  probe *p = reader ();
  int i, ticks = 0;

  counted (timer, &ticks, 0.001, 0.001);

  for (i = 1; i <= 200 || ticks < 3; ++i)
    {
      int before = d.w->count;

      start (d.w);
      put (p->peer);
      ev_run (EV_A_ EVRUN_ONCE);
      run_until (p->count, ==, i);
      must_be (d.w->count, >, before);
      stop (d.w);
    }
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

/* a socket that is full, watched for both */
static duplex
open_full (int kind)
{
  duplex d = open_duplex (kind);

  d.r->eat = 0;
  start (d.w);

  do /* more room may be found for a connection */
    {
      fill (d.r->io.fd);
      settle (EV_A);
      d.w->count = 0;
      settle (EV_A);
    }
  while (d.w->count);

  d.w->seen = 0;
  must_be (d.r->count, ==, 0);

  return d;
}

/* of a local socket, or a reset of a connection; writing was watched before, or is from then on */
TEST (hang_up_reaches_reader_and_writer_again_and_again, ALL)
{
  static const struct linger at_once = { 1, 0 };
  int how;

  for (how = 0; how < 4; ++how)
    {
      int i, kind = how & 1 ? WORLD_TCP : WORLD_STREAM;
      duplex d = how & 2 ? open_duplex (kind) : open_full (kind);

      d.r->eat = 0;
      setsockopt (d.r->peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof (at_once));
      close (d.r->peer);
      start (d.w);
      run_until (d.r->count && d.w->count);

      for (i = 0; i < 10; ++i)
        {
          d.r->count = d.w->count = 0;
          ev_run (EV_A_ EVRUN_ONCE);
          must_be (d.r->count + d.w->count, ==, 2);
        }

      must_be (d.r->seen, ==, EV_READ);
      must_be (d.w->seen, ==, EV_WRITE);
      stop (d.r);
      stop (d.w);
    }
}

/*****************************************************************************/
/* connections */

TEST (connecting_accepting_and_talking_work_in_one_loop, ALL)
{
  probe *l = watch_kind (WORLD_LISTEN, EV_READ);
  int i;

  settle (EV_A);

  for (i = 0; i < 20; ++i)
    {
      probe *c = watch (connected_to (l->io.fd), EV_WRITE), *s;

      l->count = 0;
      run_until (l->count && c->count);
      must_be (socket_error (c->io.fd), ==, 0);
      s = watch (accepted (l->io.fd), EV_READ);
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
  int fd [2], client;
  struct sockaddr_storage addr;
  socklen_t len;
  probe *r, *w;

  make (WORLD_LISTEN, fd);
  addr = address_of (fd [0], &len);
  close (fd [0]);
  client = socket (AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  must (connect (client, (struct sockaddr *)&addr, len) && (errno == EINPROGRESS || errno == ECONNREFUSED));
  r = watch (client, EV_READ);
  w = watch (client, EV_WRITE);
  run_until (r->count && w->count);
  must_be (socket_error (client), ==, ECONNREFUSED);
}

