/* what the files of this folder share. Each probe is one end of a pair of sockets */
#include "fault.h"
#include "fixture.h"

static inline void
poll_once (void)
{
  ev_run (EV_A_ EVRUN_NOWAIT);
}

/* what a ring can serve is in one from now on, if there is one to be had */
static inline void
enter_rings (void)
{
  int i;

  ev_linuxaio_busy_poll (EV_A_ 1e-9);

  for (i = 0; i < 10; ++i)
    poll_once ();

  ev_linuxaio_busy_poll (EV_A_ 0.);
  poll_once ();
}

#define CROWD 200 /* more than fit into the first ring */

static probe *crowd [CROWD];

static inline void
gather (int from, int to)
{
  for (; from < to; ++from)
    crowd [from] = reader ();
}

/* each is told of a byte, while the loop sleeps: nothing else wakes it up */
static inline void
serve (int from, int to)
{
  for (; from < to; ++from)
    {
      crowd [from]->count = 0;
      put (crowd [from]->peer);
      run_until (crowd [from]->count, ==, 1);
    }
}
