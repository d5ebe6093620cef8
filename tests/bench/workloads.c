/*
 * workloads.c - what is measured; the same source for every library
 *
 * Each workload says what one operation is. The adapter named by ADAPTER
 * translates the names used here (io_start, turn_wait, ...) into the library's.
 * turn_wait is one iteration of the loop that sleeps until something happens,
 * turn_nowait one that does not sleep.
 */

#define _GNU_SOURCE 1

#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include ADAPTER

const char peer_name [] = PEER;

/* operations between two turns, where a workload is not driven by events */
#define CHUNK (opt.n < 10 ? opt.n : 10)

static long done; /* operations so far */

/* ops operations, in a section */
static inline void
drive (void (*step) (void), long ops)
{
  long check = ops / 64, next = check;

  done = 0;
  section_begin ();

  while (done < ops)
    {
      step ();

      if (done >= next)
        {
          next += check;

          if (out_of_time ())
            break;
        }
    }

  section_end (done);
}

/* the same again, with a clock around each iteration; not part of the cost */
static inline void
drive_clocked (void (*step) (void), long ops)
{
  uint64_t t0, t1;

  if (!opt.clocked)
    return;

  for (done = 0, t0 = now_ns (); done < ops && !out_of_time (); t0 = t1)
    {
      step ();
      t1 = now_ns ();
      sample (t1 - t0);
    }
}

static inline void
drive_warm (void (*step) (void), long ops)
{
  uint64_t enough = now_ns () + (uint64_t)(opt.seconds * 5e8);

  for (done = 0; done < ops && now_ns () < enough; )
    step ();
}

/* enough for what adapts to a workload to have done so */
static long
warm (long ops)
{
  return ops / 20 + 2 * opt.n + 6000;
}

static long
ops_or (long ops)
{
  return opt.ops ? opt.ops : ops;
}

static int
rounds_or (int rounds)
{
  return opt.rounds ? opt.rounds : rounds;
}

/* fewer, where the limit on open files has it so; the line printed says it */
static void
limit_n (int fds_per_n, int extra)
{
  int have = fds_available (opt.n * fds_per_n + extra) - extra;

  if (have < opt.n * fds_per_n)
    opt.n = have / fds_per_n & ~1;
}

/*****************************************************************************/
/* the watchers */

struct chan
{
  io_w io;
  int fd, to; /* a byte written to "to" makes the next one readable */
};

static struct chan *chans;
static int cursor; /* where the next round of a workload begins */

static struct chan *
new_chans (int n)
{
  struct chan *c = calloc (n, sizeof *c);

  if (!c)
    fail ("calloc");

  return c;
}

static int waking; /* an event that no_cb expects is to come */

IO_CB (no_cb)
{
  if (!waking)
    fail ("event on an idle fd");

  get_byte (io_fd (w));
  --waking;
}

/* each of the n idle fds has events: what decides by them where an fd lives has
 * seen them, and there is a ring if there is to be one
 */
static void
wake_all (const int *fds, int n)
{
  int rounds = n ? 2 + 2000 / n : 0, k;

  while (rounds--)
    for (k = 0; k < n; ++k)
      {
        put_byte (fds [k ^ 1]);

        for (waking = 1; waking; )
          turn_wait ();
      }

  turn_nowait ();
}

static void
start_all (void)
{
  int k;

  for (k = 0; k < opt.n; ++k)
    io_start (&chans [k].io);
}

/* n armed watchers of sockets nobody writes to */
static void
idle_world (int n)
{
  int *fds = make_idle (n), k;

  chans = new_chans (n);

  for (k = 0; k < n; ++k)
    {
      chans [k].fd = fds [k];
      io_init (&chans [k].io, no_cb, fds [k], IO_READ);
      io_start (&chans [k].io);
    }

  turn_nowait ();
  wake_all (fds, n & ~1);
}

/*****************************************************************************/

#include "w_events.c"
#include "w_fds.c"
#include "w_net.c"
#include "w_libev.c"

/*****************************************************************************/

const struct workload workloads [] =
{
  { "ring"         , w_ring         , "bytes travelling round n watched sockets: per event" },
  { "pipering"     , w_pipering     , "the same with pipes" },
  { "readwrite"    , w_readwrite    , "what the ring does, without a loop" },
  { "oneshot"      , w_oneshot      , "start, wait, stop for each event, as coroutines do" },
  { "oneshotnew"   , w_oneshotnew   , "the same with a new watcher each time" },
  { "late"         , w_late         , "the same, with data that comes when the loop waits" },
  { "blend"        , w_blend        , "the ring, in which every other socket is used so" },
  { "turns"        , w_turns        , "read and write in turns, with two watchers" },
  { "turnsanew"    , w_turnsanew    , "the same, set anew each time" },
  { "stopother"    , w_stopother    , "a callback stops watchers whose events are pending" },
  { "register"     , w_register     , "start n sockets in a running loop: per fd" },
  { "burst"        , w_burst        , "the same in a loop that polls without waiting" },
  { "stopstart"    , w_stopstart    , "stop and restart armed watchers" },
  { "reset"        , w_reset        , "stop, set and start armed watchers in one iteration" },
  { "cancelyoung"  , w_cancelyoung  , "stop the watcher that was started last" },
  { "cancelold"    , w_cancelold    , "stop the one that was started first" },
  { "cancelany"    , w_cancelany    , "stop any of them" },
  { "nowait"       , w_nowait       , "a turn of the loop that finds nothing" },
  { "writeinterest", w_writeinterest, "add and drop write interest beside an armed read" },
  { "writewait"    , w_writewait    , "the same with sockets that are full" },
  { "writefire"    , w_writefire    , "the same, and then they can be written to" },
  { "connect"      , w_connect      , "TCP connect, until it is done" },
  { "ends"         , w_ends         , "the far end closes" },
  { "threads"      , w_threads      , "n threads, a loop and ten sockets each: per event" },
  { "async"        , w_async        , "threads wake each other, to and fro" },
  { "signal"       , w_signal       , "a signal of one's own" },
  { "embed"        , w_embed        , "the ring in an embedded loop" },
  { "accept"       , w_accept       , "TCP accept, request, answer, close" },
  { "acceptburst"  , w_acceptburst  , "the same, hundreds at a time" },
  { "closeidle"    , w_closeidle    , "stop and close n idle connections: per connection" },
  { "growth"       , w_growth       , "from 0 to n fds, 25 per iteration" },
  { "timer"        , w_timer        , "lateness of timers of less than a millisecond" },
  { "newdestroy"   , w_newdestroy   , "make a loop, use it on n fds, destroy it" },
  { "exit"         , w_exit         , "a process that makes a loop, uses it on n fds, exits" },
  { "scale"        , w_scale        , "n idle fds and 100 busy ones: per event; memory per fd" },
  { "mixed"        , w_mixed        , "the ring with a time-out per fd and some timers beside" },
  { "ttys"         , w_ttys         , "the ring with ttys and FIFOs in it" },
  { "pingpong"     , w_pingpong     , "a byte to and fro between two processes on two CPUs" },
  { "pingsame"     , w_pingsame     , "the same on one CPU" },
  { "proxy"        , w_proxy        , "8 KiB through a proxy that has to wait for its sink" },
  { "server"       , w_server       , "answers to requests of load.c" },
  { "timeouts"     , w_timeouts     , "n idle connections time out" },
  { 0, 0, 0 }
};
