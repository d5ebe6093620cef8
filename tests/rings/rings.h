/* what the files of this folder share */
#include "fault.h"
#include "fixture.h"

static inline void
poll_once (void)
{
  ev_run (EV_A_ EVRUN_NOWAIT);
}

static inline void
change (probe *p, int events)
{
  stop (p);
  ev_io_modify (&p->io, events);
  start (p);
}

/* what a ring can serve is in one from now on, if there is one to be had */
static inline void
enter_rings (void)
{
  ev_linuxaio_busy_poll (EV_A_ 1e-9);

  for (int i = 0; i < 10; ++i)
    poll_once ();

  ev_linuxaio_busy_poll (EV_A_ 0.);
  poll_once ();
}

#define CROWD 200 /* more than fit into the first ring */

static probe *crowd [CROWD];

static inline void
gather (int from, int to)
{
  crowd_open (crowd + from, to - from);
}

/* each is told of its byte, once; while the loop sleeps, as nothing else wakes it up. and of another, all at once */
static inline void
serve (int from, int to)
{
  int before = places;

  for (int i = from; i < to; ++i)
    ping (crowd [i]);

  must_be (places, ==, before + to - from);
  crowd_told (crowd + from, to - from);
}
