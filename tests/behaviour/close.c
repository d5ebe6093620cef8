/*
 * Closed means closed: once its last watcher is stopped, nothing of the loop
 * keeps a file open that the program has closed, whether the loop runs or not.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include "fixture.h"

/* without running the loop: all that was written, and then the end. a writer is writable all the time: only the error counts */
static void
expect_end (int fd, int of_writer)
{
  int got = 1;

  while (got > 0)
    {
      must (wait_for (fd, of_writer ? 0 : POLLIN));
      got = of_writer ? -1 : get (fd);
    }

  must_be (got, ==, -1);
}

TEST (other_end_learns_that_a_stopped_file_is_closed, ALL)
{
  static const struct { int kind, end; } files [] = {
    { WORLD_STREAM, 0 }, { WORLD_SEQPACKET, 0 }, { WORLD_TCP, 0 }, { WORLD_PIPE, 0 }, { WORLD_PIPE, 1 }
  };

  for (int i = 0; i < 5; ++i)
    for (int full = 0; full < 2; ++full)
      for (int round = 0; round < 4; ++round)
        {
          int pipe_end = files [i].kind == WORLD_PIPE ? files [i].end ? EV_WRITE : EV_READ : 0;
          int fd [2];
          probe *a, *b;

          make (files [i].kind, fd);

          if (full && pipe_end != EV_READ)
            fill (fd [files [i].end]);

          a = watch (fd [files [i].end], pipe_end ? pipe_end : round & 1 ? EV_READ : EV_READ | EV_WRITE);
          b = watch (a->io.fd, pipe_end ? pipe_end : round & 2 ? EV_READ : EV_WRITE);
          settle (EV_A);

          /* a request of the other may have outlived the interest in it; or both go at once */
          stop (b);

          if (round & 1)
            settle (EV_A);

          stop_and_close (a);
          expect_end (fd [!files [i].end], pipe_end == EV_READ);
        }
}

TEST (name_of_a_closed_socket_is_free_at_once, ALL)
{
  static const struct { int kind, type; } sockets [] = {
    { WORLD_LISTEN, SOCK_STREAM }, { WORLD_LISTEN_UNIX, SOCK_STREAM }, { WORLD_UDP_BOUND, SOCK_DGRAM }, { WORLD_UDP, SOCK_DGRAM }
  };

  for (int i = 0; i < 4; ++i)
    {
      probe *p = watch_kind (sockets [i].kind, EV_READ);
      socklen_t len;
      struct sockaddr_storage addr = address_of (p->io.fd, &len);
      int again = socket (addr.ss_family, sockets [i].type | SOCK_CLOEXEC, 0);

      silent (p);
      stop_and_close (p);

      if (bind (again, (struct sockaddr *)&addr, len))
        give_up (__FILE__, __LINE__, "the name of kind %d is not free: %s", sockets [i].kind, strerror (errno));
    }
}

/* as servers do it: a write has failed, everything is stopped, then the reason is told */
TEST (stopping_a_watcher_leaves_errno_as_it_was, ALL)
{
  static const int kinds [] = { WORLD_STREAM, WORLD_TCP, WORLD_UDP };

  for (int i = 0; i < 3; ++i)
    {
      probe *p = watch_kind (kinds [i], EV_READ);

      settle (EV_A);
      errno = ECONNRESET;
      stop (p);
      must_be (errno, ==, ECONNRESET);
    }
}

static void
close_first_cb (EV_P_ ev_io *w, int revents)
{
  close (w->fd);
  ev_set_cb (w, probe_cb);
}

/* the manual forbids it, programs do it: libev's epoll backend forgets the file without a word, and none may abort */
TEST (descriptor_that_is_closed_before_its_watcher_is_stopped_aborts_nothing, EPOLL | LINUXAIO)
{
  for (int beside = 0; beside < 2; ++beside)
    {
      probe *p = watch_socket (EV_READ), *w;

      settle (EV_A);
      w = beside ? watch (p->io.fd, EV_WRITE) : p;
      ev_set_cb (&w->io, close_first_cb);
      put (p->peer);
      run_until (ev_cb (&w->io) == probe_cb);
      settle (EV_A);
      stop (p);
      stop (w);
      settle (EV_A);
      talk (reader (), 10);
    }
}

/* the loop hears of the new file only while nobody watches it */
TEST (watcher_of_a_new_file_that_is_stopped_at_once_is_served_later, ALL)
{
  probe *p = reader ();

  settle (EV_A);
  stop (p);
  close (p->peer);
  become (p, WORLD_STREAM);
  restart (p, p->io.fd, EV_READ);
  stop (p);
  ev_run (EV_A_ EVRUN_NOWAIT);
  start (p);
  talk (p, 3);
}

/* a program that forgets a watcher with its file, and makes new ones for the number's next file */
TEST (new_watchers_are_served_beside_a_forgotten_one, ALL)
{
  probe *old = watch_socket (EV_READ), *r, *w;

  settle (EV_A);
  close (old->peer);
  become (old, WORLD_STREAM);
  r = watch (old->io.fd, EV_READ);
  r->eat  = 1;
  r->peer = old->peer;
  w = watch (old->io.fd, EV_WRITE);
  told (w, EV_WRITE);
  stop (w);
  silent (r);
  talk (r, 5);
  stop (old);
  talk (r, 5);
}
