/* A program that is compiled with the installed headers: it gets an event, and prints the number of its backend. */
#include <stdio.h>
#include <unistd.h>
#ifndef ALONE
# include <ev.h>
#endif
#include <ev_linuxaio.h>

static void
got (int revents, void *arg)
{
  if (revents == EV_READ)
    ev_break ((struct ev_loop *)arg, EVBREAK_ALL);
}

int
main (void)
{
  struct ev_linuxaio_stats stats;
  struct ev_loop *loop = ev_default_loop (0);
  int fds [2];

  if (!loop || pipe (fds) || write (fds [1], "", 1) != 1)
    return 1;

  ev_linuxaio_busy_poll (loop, 1e-9);
  ev_once (loop, fds [0], EV_READ, -1., got, loop);
  ev_run (loop, 0);
  printf ("%u\n", ev_backend (loop));

  return ev_linuxaio_stats (loop, &stats, sizeof (stats)) != (ev_backend (loop) == EVBACKEND_LINUXAIO);
}
