/*
 * A program that has libev inside of it, on the backend that LIBEV_FLAGS says
 * (64 if it says nothing): a byte through each of 100 pipes, which are in rings
 * then, where there are any. Prints the name of the backend.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#define EV_STANDALONE 1
#include "ev.c"

#include <stdio.h>

#define PIPES 100

static int fds [PIPES][2];
static ev_io readers [PIPES];
static int got;

static void
readable (EV_P_ ev_io *w, int revents)
{
  char c;

  if (revents == EV_READ && read (w->fd, &c, 1) == 1 && ++got == PIPES)
    ev_break (EV_A_ EVBREAK_ALL);
}

static void
late (EV_P_ ev_timer *w, int revents)
{
  (void)w;
  (void)revents;
  ev_break (EV_A_ EVBREAK_ALL);
}

static int
fail (const char *what, int a, int b)
{
  fprintf (stderr, "%s: %d, %d\n", what, a, b);
  return 1;
}

int
main (void)
{
  struct ev_linuxaio_stats stats;
  ev_timer timer;
  int i, asked;
#if EV_MULTIPLICITY
  struct ev_loop *loop = (setenv ("LIBEV_FLAGS", "64", 0), ev_loop_new (EVFLAG_AUTO));
#else
  setenv ("LIBEV_FLAGS", "64", 0);
  ev_default_loop (EVFLAG_AUTO);
#endif

  for (i = 0; i < PIPES; ++i)
    {
      if (pipe (fds [i]))
        return fail ("pipe", i, errno);

      ev_io_init (&readers [i], readable, fds [i][0], EV_READ);
      ev_io_start (EV_A_ &readers [i]);
    }

  ev_linuxaio_busy_poll (EV_A_ 1e-9);
  ev_run (EV_A_ EVRUN_NOWAIT);
  ev_linuxaio_busy_poll (EV_A_ 0.);

  for (i = 0; i < PIPES; ++i)
    if (write (fds [i][1], "", 1) != 1)
      return fail ("write", i, errno);

  ev_timer_init (&timer, late, 10., 0.);
  ev_timer_start (EV_A_ &timer);
  ev_run (EV_A_ 0);

  if (got != PIPES)
    return fail ("pipes that got a byte, of", got, PIPES);

  asked = ev_linuxaio_stats (EV_A_ &stats, sizeof (stats));

  if (asked != (ev_backend (EV_A) == EVBACKEND_LINUXAIO))
    return fail ("statistics, backend", asked, ev_backend (EV_A));

  /* a host may have no AIO left */
  if (asked && !stats.setups_refused && stats.completed < PIPES)
    return fail ("completed by the ring, of", stats.completed, PIPES);

  printf ("%s\n", asked ? "linuxaio" : "epoll");

#if EV_MULTIPLICITY
  ev_loop_destroy (EV_A);
#else
  ev_loop_destroy ();
#endif

  return 0;
}
