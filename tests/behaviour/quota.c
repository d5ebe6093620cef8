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

  for_child (hog)
    {
      struct pollfd p = { fd [1], POLLIN, 0 };

      close (fd [0]);
      take_what_is_left ();
      put (fd [1]);

      /* others give theirs back from time to time */
      while (poll (&p, 1, 1) == 0)
        take_what_is_left ();
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

/* no fd is forgotten because its ring was not to be had */
static void
serve (void)
{
  int round;

  for (round = 0; round < 3; ++round)
    crowd_told (p, CROWD);

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

TEST (loop_starts_without_quota_and_has_a_ring_when_it_is_back, LINUXAIO | ALONE)
{
  int is_default, tries;

  for (is_default = 0; is_default < 2; ++is_default)
    {
      ev_loop_destroy (EV_A);
      use_up_quota ();
      loop = is_default ? ev_default_loop (EVFLAG_NOENV | backend_flag ()) : loop_without_ring ();
      must (loop != 0);
      crowd_open (p, CROWD);
      want_ring ();
      serve ();
      give_quota_back ();

      for (tries = patience () / 10; !rings (0); --tries)
        {
          must_be (tries, >, 0);
          pause_for (10);
          want_ring ();
        }

      serve ();
    }
}
