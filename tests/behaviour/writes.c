/*
 * Write interest beside an armed read, which this backend asks about with
 * poll (2) before it arms anything: what comes at once, later, and never.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include "fixture.h"

/* a socket that is watched for reading, and a watcher for writing beside */
typedef struct duplex
{
  probe *r, *w;
} duplex;

static duplex
open_duplex (void)
{
  duplex d;

  d.r = reader ();
  d.w = probe_for (d.r->io.fd, EV_WRITE);
  ev_run (EV_A_ EVRUN_NOWAIT);

  return d;
}

/* a byte that arrives is read: nothing was forgotten of the other direction */
static void
reads (duplex d)
{
  int before = d.r->count, written = d.w->count;

  put (d.r->peer);
  run_until (d.r->count, ==, before + 1);
  must_be (d.r->seen, ==, EV_READ);
  must (ev_is_active (&d.w->io) || d.w->count == written);
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

TEST (interest_that_comes_and_goes_is_served_each_time, ALL)
{
  duplex d = open_duplex ();
  int i;

  for (i = 1; i <= 50; ++i)
    {
      writes (d);

      if (i & 1)
        ev_run (EV_A_ EVRUN_NOWAIT);

      if (i % 10 == 0)
        reads (d);
    }

  silent (d.w);
  must_be (d.r->count, ==, 5);
}

TEST (interest_that_stays_is_served_in_every_iteration_until_the_socket_is_full, ALL)
{
  duplex d = open_duplex ();
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

/* the socket has filled up right after it was found to be writable, or before it was asked */
TEST (full_socket_is_reported_when_it_has_room, ALL)
{
  duplex d = open_duplex ();
  int i;

  for (i = 0; i < 10; ++i)
    {
      start (d.w);

      if (i & 1)
        told (d.w, EV_WRITE);

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
      d [i] = open_duplex ();

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

/* in its callback, so that libev sees no change */
static void
again_cb (EV_P_ ev_io *w, int revents)
{
  probe_cb (EV_A_ w, revents);
  ev_io_stop (EV_A_ w);
  ev_io_start (EV_A_ w);
}

TEST (interest_that_is_renewed_by_its_callback_is_served_again, ALL)
{
  duplex d = open_duplex ();

  ev_set_cb (&d.w->io, again_cb);
  start (d.w);
  run_until (d.w->count, ==, 20);
  reads (d);
  waits_to_write (d);
}

TEST (interest_that_goes_before_the_loop_runs_is_not_served, ALL)
{
  duplex d = open_duplex ();

  start (d.w);
  stop (d.w);
  silent (d.w);
  reads (d);
}

/* what the kernel still holds for the other direction is wanted again: full, with room, or in between */
TEST (direction_that_is_wanted_again_is_reported_when_it_is_ready, ALL)
{
  int how;

  for (how = 0; how < 4; ++how)
    {
      duplex d = open_duplex ();

      fill (d.r->io.fd);
      start (d.w);
      settle (EV_A);
      stop (d.w);
      silent (d.w);

      if (how)
        get (d.r->peer);

      if (how == 1)
        silent (d.w);

      if (how == 2)
        fill (d.r->io.fd);

      start (d.w);

      if (how % 2 == 0)
        {
          silent (d.w);
          get (d.r->peer);
        }

      told (d.w, EV_WRITE);
      must_be (d.r->count, ==, 0);
    }
}

TEST (read_interest_that_goes_while_the_other_is_served_is_over, ALL)
{
  duplex d = open_duplex ();

  start (d.w);
  told (d.w, EV_WRITE);
  stop (d.r);
  put (d.r->peer);
  run_until (d.w->count, >, 3);
  must_be (d.r->count, ==, 0);

  /* and comes back alone */
  stop (d.w);
  start (d.r);
  run_until (d.r->count, ==, 1);
  silent (d.w);
  must_be (d.r->count, ==, 1);
}

TEST (both_interests_that_go_together_come_back_together, ALL)
{
  duplex d = open_duplex ();
  int i;

  for (i = 0; i < 10; ++i)
    {
      writes (d);
      stop (d.r);
      settle (EV_A);
      start (d.r);
      writes (d);
      reads (d);
    }
}

TEST (other_end_that_is_gone_reaches_both, ALL)
{
  duplex d = open_duplex ();

  d.r->eat = 0;
  close (d.r->peer);
  start (d.w);
  run_until (d.r->count && d.w->count);
  must_be (d.r->seen, ==, EV_READ);
  must_be (d.w->seen, ==, EV_WRITE);
}

/* sockets that can always be written to do not keep the others waiting */
TEST (everybody_else_is_served_meanwhile, ALL)
{
  duplex d = open_duplex ();
  probe *p = reader ();
  ev_timer timer;
  int i, ticks = 0;

  ev_timer_init (&timer, 0, 0.001, 0.001);
  counts (ev_timer, &timer, &ticks);
  ev_timer_start (EV_A_ &timer);

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

  ev_timer_stop (EV_A_ &timer);
}

/* a program forgets a watcher with its file: what it starts for the number's next file is new to the kernel */
TEST (new_file_behind_a_forgotten_watcher_is_served, ALL)
{
  probe *old = watch_socket (EV_READ);
  int fd [2];
  duplex d;

  settle (EV_A);
  close (old->peer);
  sockets (fd);
  onto (fd [0], old->io.fd);
  d.r = watch (old->io.fd, EV_READ);
  d.w = probe_for (old->io.fd, EV_WRITE);
  d.r->eat  = 1;
  d.r->peer = fd [1];
  writes (d);
  silent (d.r);
  reads (d);
  stop (old);
  reads (d);
}

/* the watcher for writing is asked about, or has just been found to be ready, when the process forks */
TEST (fork_in_between_is_survived_by_both, ALL)
{
  int served;

  for (served = 0; served < 2; ++served)
    {
      duplex d = open_duplex ();
      pid_t pid;

      start (d.w);

      if (served)
        told (d.w, EV_WRITE);

      if (!(pid = child ()))
        {
          ev_loop_fork (EV_A);
          told (d.w, EV_WRITE);
          told (d.w, EV_WRITE);
          leave ();
        }

      told (d.w, EV_WRITE);
      told (d.w, EV_WRITE);
      ends_well (pid);
      reads (d);
    }
}
