/* A program that has libev inside of it, polls until it has a ring, and uses that: 100 pipes, a byte through each. */

#define EV_STANDALONE 1
#include "ev.c"

#include <stdio.h>

#define PIPES 100
#define POLLS 20000 /* some thousands that find nothing make a ring */

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
  struct ev_loop *loop = ev_loop_new (EVBACKEND_LINUXAIO | EVFLAG_NOENV);
#else
  ev_default_loop (EVBACKEND_LINUXAIO | EVFLAG_NOENV);
#endif

  for (i = 0; i < PIPES; ++i)
    {
      if (pipe (fds [i]))
        return fail ("pipe", i, errno);

      ev_io_init (&readers [i], readable, fds [i][0], EV_READ);
      ev_io_start (EV_A_ &readers [i]);
    }

  for (i = 0; i < POLLS; ++i)
    ev_run (EV_A_ EVRUN_NOWAIT);

  for (i = 0; i < PIPES; ++i)
    if (write (fds [i][1], "", 1) != 1)
      return fail ("write", i, errno);

  ev_timer_init (&timer, late, 10., 0.);
  ev_timer_start (EV_A_ &timer);
  ev_run (EV_A_ 0);

  if (got != PIPES)
    return fail ("not all of the pipes got a byte", got, PIPES);

  asked = ev_linuxaio_stats (EV_A_ &stats);

  if (asked != (ev_backend (EV_A) == EVBACKEND_LINUXAIO))
    return fail ("statistics, backend", asked, ev_backend (EV_A));

  /* a host may have no AIO, then the loop runs on epoll */
  if (asked && !stats.setups_refused && stats.completed < PIPES)
    return fail ("completed by the ring", stats.completed, PIPES);

  printf ("%s\n", asked ? "linuxaio" : "epoll");

#if EV_MULTIPLICITY
  ev_loop_destroy (EV_A);
#else
  ev_loop_destroy ();
#endif

  return 0;
}
