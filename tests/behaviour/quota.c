/*
 * The AIO quota (fs.aio-max-nr) belongs to all processes of the host. A
 * helper process uses it up, and gives it back when told to, or dies with the
 * test: before a loop starts, while it grows, and in a forked child.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include <linux/aio_abi.h>
#include <sys/syscall.h>

#include "fixture.h"

static int hog_fd; /* the helper leaves when this is closed */
static pid_t hog;

/* contexts as large as there is room for, until there is none for the smallest */
static void
take_what_is_left (void)
{
  unsigned requests = 1 << 16;

  while (requests)
    {
      aio_context_t ctx = 0;

      if (syscall (SYS_io_setup, requests, &ctx))
        requests /= 2;
    }
}

static void
use_up_quota (void)
{
  int fd [2];

  sockets (fd);

  if (!(hog = child ()))
    {
      struct pollfd p = { fd [1], POLLIN, 0 };

      close (fd [0]);
      take_what_is_left ();
      put (fd [1]);

      /* others give theirs back from time to time */
      while (poll (&p, 1, 1) == 0)
        take_what_is_left ();

      _exit (0);
    }

  close (fd [1]);
  hog_fd = fd [0];
  must (wait_for (hog_fd, POLLIN));
}

static void
give_quota_back (void)
{
  close (hog_fd);
  ends_well (hog);
}

#define CROWD 350 /* whose sockets fit into the 1024 descriptors of an ordinary user */

static probe *p [CROWD];

static void
start_crowd (int from, int to)
{
  for (; from < to; ++from)
    p [from] = reader ();
}

/* each is told once, all in one go, some times over: no fd is forgotten because its ring was not to be had */
static void
serve_crowd (void)
{
  int round, i;

  for (round = 0; round < 3; ++round)
    {
      int before = places;

      for (i = 0; i < CROWD; ++i)
        {
          p [i]->count = 0;
          put (p [i]->peer);
        }

      run_until (places - before, >=, CROWD);
      settle (EV_A);

      for (i = 0; i < CROWD; ++i)
        must_be (p [i]->count, ==, 1);
    }

  must (ev_backend (EV_A) & backend_flag ());
}

static void
want_ring (void)
{
  ev_linuxaio_busy_poll (EV_A_ 1e-9);
  ev_run (EV_A_ EVRUN_NOWAIT);
  ev_linuxaio_busy_poll (EV_A_ 0.);

  if (ev_backend (EV_A) == EVBACKEND_EPOLL)
    skip ("AIO does not work on this host");
}

TEST (loop_starts_without_quota, LINUXAIO | ALONE)
{
  int is_default;

  for (is_default = 0; is_default < 2; ++is_default)
    {
      ev_loop_destroy (EV_A);
      use_up_quota ();
      loop = is_default ? ev_default_loop (EVFLAG_NOENV | backend_flag ()) : another_loop ();
      must (loop != 0);
      start_crowd (0, CROWD);
      want_ring ();
      serve_crowd ();
      give_quota_back ();
      serve_crowd ();
    }
}

TEST (loop_that_grows_without_quota_keeps_the_ring_it_has, RING | ALONE)
{
  int before = rings (0);

  use_up_quota ();
  start_crowd (0, CROWD);
  serve_crowd ();
  must_be (rings (0), ==, before);
  give_quota_back ();
  serve_crowd ();
}

TEST (ring_comes_back_with_the_quota, LINUXAIO | ALONE)
{
  int tries;

  loop_with_flags (0);
  ev_loop_destroy (EV_A);
  loop = another_loop ();
  use_up_quota ();
  start_crowd (0, CROWD);
  want_ring ();
  serve_crowd ();
  give_quota_back ();

  for (tries = patience () / 100; !rings (0); --tries)
    {
      must_be (tries, >, 0);
      pause_for (100);
      want_ring ();
    }

  serve_crowd ();
}

TEST (forked_child_serves_without_quota, RING | ALONE)
{
  int forgets;

  start_crowd (0, CROWD);
  serve_crowd ();
  use_up_quota ();

  for (forgets = 0; forgets < 2; ++forgets)
    {
      pid_t pid = child ();

      if (!pid)
        {
          if (!forgets)
            ev_loop_fork (EV_A);

          serve_crowd ();
          leave ();
        }

      ends_well (pid);
      serve_crowd ();
    }

  give_quota_back ();
}
