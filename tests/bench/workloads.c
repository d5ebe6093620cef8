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
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include ADAPTER

const char peer_name [] = PEER;

#define CHUNK 10 /* operations between two turns, where a workload is not driven by events */

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
  for (done = 0; done < ops; )
    step ();
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

static struct chan *
new_chans (int n)
{
  struct chan *c = calloc (n, sizeof *c);

  if (!c)
    fail ("calloc");

  return c;
}

IO_CB (no_cb)
{
  fail ("event on an idle fd");
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
  turn_nowait ();
}

/*****************************************************************************/
/* ring, pipering: n watched fds in a circle, and "active" bytes that travel
 * round it. One operation: one event, that is one wake-up share, one read, one
 * write that makes the next fd readable.
 */

IO_CB (ring_cb)
{
  struct chan *c = (struct chan *)w;

  get_byte (c->fd);
  put_byte (c->to);
  ++done;
}

static void
step_wait (void)
{
  turn_wait ();
}

static void
ring_world (enum channel kind)
{
  int *fds, k;

  limit_n (2, 0);
  fds = make_channels (opt.n, kind);
  chans = new_chans (opt.n);

  for (k = 0; k < opt.n; ++k)
    {
      chans [k].fd = fds [2 * k];
      chans [k].to = fds [(2 * k + 3) % (2 * opt.n)];
    }
}

static void
ring (enum channel kind)
{
  long ops;
  int k;

  ring_world (kind);

  if (opt.active > opt.n)
    opt.active = opt.n;

  ops = ops_or (100000);

  for (k = 0; k < opt.n; ++k)
    io_init (&chans [k].io, ring_cb, chans [k].fd, IO_READ);

  start_all ();

  for (k = 0; k < opt.active; ++k)
    put_byte (chans [(long)k * opt.n / opt.active].to);

  drive_warm (step_wait, ops / 20 + 2 * opt.n);
  drive (step_wait, ops);
  drive_clocked (step_wait, ops / 4);
}

static void
w_ring (void)
{
  ring (SOCKETS);
}

static void
w_pipering (void)
{
  ring (PIPES);
}

/*****************************************************************************/
/* oneshot: as coroutines use a loop. "active" bytes travel round n sockets; a
 * socket is watched only while a byte is expected there. One operation: one
 * event, which stops its watcher, reads, starts the next one's and writes.
 */

static struct chan *
next_of (struct chan *c)
{
  return c + 1 < chans + opt.n ? c + 1 : chans;
}

IO_CB (oneshot_cb)
{
  struct chan *c = (struct chan *)w;

  io_stop (w);
  get_byte (c->fd);
  io_start (&next_of (c)->io);
  put_byte (c->to);
  ++done;
}

static void
w_oneshot (void)
{
  struct chan *c;
  long ops = ops_or (100000);
  int k;

  ring_world (SOCKETS);

  if (opt.active > opt.n / 2)
    opt.active = opt.n / 2;

  for (k = 0; k < opt.n; ++k)
    io_init (&chans [k].io, oneshot_cb, chans [k].fd, IO_READ);

  for (k = 0; k < opt.active; ++k)
    {
      c = chans + (long)k * opt.n / opt.active;
      io_start (&next_of (c)->io);
      put_byte (c->to);
    }

  drive_warm (step_wait, ops / 20 + opt.n);
  drive (step_wait, ops);
  drive_clocked (step_wait, ops / 4);
}

/*****************************************************************************/
/* register: n idle sockets are started in one go, in a loop that has been
 * running with one watcher; then a turn, after which all are armed. One
 * operation: one fd. A fresh loop for each round.
 */

static void
expect_event (int fd, int to, io_w *w)
{
  put_byte (to);

  for (done = 0; !done; )
    turn_wait ();
}

IO_CB (once_cb)
{
  get_byte (io_fd (w));
  done = 1;
}

static void
register_round (const int *fds, struct chan *first)
{
  int k;

  if (!loop_new ())
    fail ("loop");

  io_init (&first->io, no_cb, first->fd, IO_READ);
  io_start (&first->io);
  turn_nowait ();

  section_begin ();

  for (k = 0; k < opt.n; ++k)
    {
      io_init (&chans [k].io, once_cb, fds [k], IO_READ);
      io_start (&chans [k].io);
    }

  turn_nowait ();
  section_end (opt.n);

  /* they really are armed: the first and the last */
  expect_event (fds [0], fds [1], &chans [0].io);
  expect_event (fds [opt.n - 1], fds [opt.n - 2], &chans [opt.n - 1].io);
}

static void
register_undo (struct chan *first)
{
  int k;

  for (k = 0; k < opt.n; ++k)
    io_stop (&chans [k].io);

  io_stop (&first->io);
  turn_nowait ();
}

static void
w_register (void)
{
  struct chan first;
  int *fds, rounds, round;

  limit_n (1, 2);
  opt.n &= ~1;
  rounds = rounds_or (opt.n <= 100 ? 15 : opt.n <= 1000 ? 7 : 3);
  first.fd = make_channels (1, SOCKETS) [0];
  fds = make_idle (opt.n);
  chans = new_chans (opt.n);
  loop_del ();

  for (round = 0; round < rounds; ++round)
    {
      register_round (fds, &first);
      register_undo (&first);

      if (round < rounds - 1)
        loop_del ();

      if (out_of_time ())
        break;
    }
}

/*****************************************************************************/
/* stopstart: n armed watchers of idle sockets; a round stops 10 of them, turns
 * the loop, starts them again, turns the loop; the next round takes the next
 * 10. One operation: one stop and one start.
 */

static int cursor;

static inline struct chan *
next_chan (int *pos)
{
  struct chan *c = chans + *pos;

  if (++*pos == opt.n)
    *pos = 0;

  return c;
}

static void
step_stopstart (void)
{
  int k, from = cursor, pos = cursor;

  for (k = 0; k < CHUNK; ++k)
    io_stop (&next_chan (&pos)->io);

  turn_nowait ();

  for (k = 0; k < CHUNK; ++k)
    io_start (&next_chan (&from)->io);

  turn_nowait ();
  cursor = pos;
  done += CHUNK;
}

static void
w_stopstart (void)
{
  limit_n (1, 0);
  idle_world (opt.n);
  drive (step_stopstart, ops_or (50000));
  drive_clocked (step_stopstart, ops_or (50000) / 4);
}

/* reset: the same with the stop and the start in one iteration, and the fd set
 * anew in between. One operation: one stop, set and start.
 */

static void
step_reset (void)
{
  struct chan *c;
  int k;

  for (k = 0; k < CHUNK; ++k)
    {
      c = next_chan (&cursor);
      io_reset (&c->io, c->fd, IO_READ);
    }

  turn_nowait ();
  done += CHUNK;
}

static void
w_reset (void)
{
  limit_n (1, 0);
  idle_world (opt.n);
  drive (step_reset, ops_or (50000));
  drive_clocked (step_reset, ops_or (50000) / 4);
}

/*****************************************************************************/
/* nowait: n armed watchers of idle sockets. One operation: one turn of the loop
 * that does not sleep and finds nothing.
 */

static void
step_nowait (void)
{
  turn_nowait ();
  ++done;
}

static void
w_nowait (void)
{
  limit_n (1, 0);
  idle_world (opt.n);
  drive_warm (step_nowait, 2000);
  drive (step_nowait, ops_or (200000));
  drive_clocked (step_nowait, 20000);
}

/*****************************************************************************/
/* writeinterest: n sockets watched for reading. A round starts 10 write
 * watchers beside; they fire, and their callback stops them. One operation: one
 * start, event and stop.
 */

struct duplex { rw_w w; };

static struct duplex *duplexes;

IO_CB (writable_cb)
{
  rw_write_stop (RW_OF_WRITE (w));
  ++done;
}

static void
step_writeinterest (void)
{
  long want = done + CHUNK;
  int k;

  for (k = 0; k < CHUNK; ++k)
    {
      rw_write_start (&duplexes [cursor].w);

      if (++cursor == opt.n)
        cursor = 0;
    }

  while (done < want)
    turn_wait ();
}

static void
w_writeinterest (void)
{
  long ops = ops_or (50000);
  int *fds, k;

  limit_n (1, 0);
  fds = make_idle (opt.n);
  duplexes = calloc (opt.n, sizeof *duplexes);

  for (k = 0; k < opt.n; ++k)
    {
      rw_init (&duplexes [k].w, no_cb, writable_cb, fds [k]);
      rw_read_start (&duplexes [k].w);
    }

  turn_nowait ();
  drive_warm (step_writeinterest, ops / 20);
  drive (step_writeinterest, ops);
  drive_clocked (step_writeinterest, ops / 4);
}

/*****************************************************************************/
/* accept: beside n idle sockets, a round of "active" TCP connections: connect;
 * the loop accepts and starts a watcher for each; the requests are written; the
 * loop reads them, answers and closes; the answers are read. The clients are
 * plain system calls in the same process, so nothing depends on scheduling.
 * acceptburst: the same, the requests being there before the loop turns.
 * One operation: one connection.
 */

struct conn { io_w io; };

/* some libraries need the memory until the next turn: it goes round */
#define CONNS 4096

static struct conn conns [CONNS];
static int conn_next;
static long accepted;

static const char request [] = "GET / HTTP/1.0\r\nHost: localhost\r\n\r\n";
static const char answer [] = "HTTP/1.0 200 OK\r\nContent-Length: 12\r\n\r\nHello world\n";

IO_CB (request_cb)
{
  char buf [512];

  if (read (io_fd (w), buf, sizeof buf) != sizeof request - 1)
    fail ("request");

  if (write (io_fd (w), answer, sizeof answer - 1) != sizeof answer - 1)
    fail ("answer");

  io_close (w);
  ++done;
}

IO_CB (accept_cb)
{
  int fd;

  while ((fd = accept4 (io_fd (w), 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
    {
      struct conn *c = conns + conn_next++ % CONNS;

      io_init (&c->io, request_cb, fd, IO_READ);
      io_start (&c->io);
      ++accepted;
    }

  if (errno != EAGAIN)
    fail ("accept4");
}

static struct sockaddr_in address;
static int *clients;
static int request_early;

static void
client_ask (int fd)
{
  if (write (fd, request, sizeof request - 1) != sizeof request - 1)
    fail ("client write");
}

static void
client_end (int fd)
{
  char buf [512];

  if (read (fd, buf, sizeof buf) != sizeof answer - 1)
    fail ("client read");

  close_hard (fd);
}

static void
step_accept (void)
{
  long want = done + opt.active;
  int k;

  accepted = 0;

  for (k = 0; k < opt.active; ++k)
    {
      clients [k] = make_client (&address);

      if (request_early)
        client_ask (clients [k]);
    }

  while (accepted < opt.active)
    turn_wait ();

  if (!request_early)
    for (k = 0; k < opt.active; ++k)
      client_ask (clients [k]);

  while (done < want)
    turn_wait ();

  for (k = 0; k < opt.active; ++k)
    client_end (clients [k]);
}

static void
accept_some (int default_active, long ops)
{
  struct chan listener;

  if (opt.active <= 1)
    opt.active = default_active;

  if (opt.active > CONNS / 4)
    opt.active = CONNS / 4;

  limit_n (1, 2 * opt.active + 1);
  listener.fd = make_listener (&address);
  clients = calloc (opt.active, sizeof *clients);
  idle_world (opt.n);
  io_init (&listener.io, accept_cb, listener.fd, IO_READ);
  io_start (&listener.io);

  drive_warm (step_accept, ops / 10);
  drive (step_accept, ops);
  drive_clocked (step_accept, ops / 4);
  io_stop (&listener.io);
}

static void
w_accept (void)
{
  accept_some (10, ops_or (5000));
}

static void
w_acceptburst (void)
{
  request_early = 1;
  accept_some (500, ops_or (5000));
}

/*****************************************************************************/
/* closeidle: n idle TCP connections whose far ends another process holds; all
 * are stopped and closed in one go, then the loop turns. One operation: one
 * connection. A fresh loop for each round.
 */

static void
closeidle_round (void)
{
  struct far far;
  int *fds = make_connections (opt.n, &far), k;

  if (!loop_new ())
    fail ("loop");

  for (k = 0; k < opt.n; ++k)
    {
      io_init (&chans [k].io, no_cb, fds [k], IO_READ);
      io_start (&chans [k].io);
    }

  turn_nowait ();
  turn_nowait ();

  section_begin ();

  for (k = 0; k < opt.n; ++k)
    io_close (&chans [k].io);

  turn_nowait ();
  section_end (opt.n);

  free (fds);
  far_close (&far);
}

static void
w_closeidle (void)
{
  int rounds, round;

  limit_n (1, 8);
  chans = new_chans (opt.n);
  loop_del ();
  rounds = rounds_or (opt.n <= 1000 ? 5 : 1);

  for (round = 0; round < rounds; ++round)
    {
      closeidle_round ();

      if (out_of_time ())
        break;

      if (round < rounds - 1)
        loop_del ();
    }
}

/*****************************************************************************/
/* growth: from none to n idle sockets, 25 at a time with a turn in between. One
 * operation: one fd. What matters is the longest iteration.
 */

#define GROWTH_STEP 25

static void
w_growth (void)
{
  FILE *series = opt.series ? fopen (opt.series, "we") : 0;
  uint64_t t0, t1;
  int *fds, k;

  if (opt.series && !series)
    fail (opt.series);

  limit_n (1, 0);
  fds = make_idle (opt.n);
  chans = new_chans (opt.n);
  section_begin ();
  t0 = now_ns ();

  for (k = 0; k < opt.n; )
    {
      do
        {
          io_init (&chans [k].io, no_cb, fds [k], IO_READ);
          io_start (&chans [k].io);
        }
      while (++k % GROWTH_STEP && k < opt.n);

      turn_nowait ();
      t1 = now_ns ();
      sample (t1 - t0);

      if (series)
        fprintf (series, "%d %llu\n", k, (unsigned long long)(t1 - t0));

      t0 = now_ns ();
    }

  section_end (opt.n);

  if (series)
    fclose (series);
}

/*****************************************************************************/
/* timer: beside n idle sockets, one timer at a time, set to 0.1 - 0.9 ms. One
 * operation: one timer; the "iteration" times are how late they were, and the
 * cost is the median lateness.
 */

static uint64_t fired;

TIMER_CB (fired_cb)
{
  timer_stop (w);
  fired = now_ns ();
}

static void
w_timer (void)
{
  timer_w timer;
  unsigned long seed = 1;
  long ops = ops_or (400), k;
  uint64_t due;

  limit_n (1, 0);
  idle_world (opt.n);
  timer_init (&timer, fired_cb);

  for (k = 0; k < ops && !out_of_time (); ++k)
    {
      unsigned us = 100 + (seed = seed * 1103515245 + 12345, seed >> 16) % 800;

      section_begin ();
      timer_now ();
      due = now_ns () + us * 1000;
      fired = 0;
      timer_start (&timer, us * 1e-6);

      while (!fired)
        turn_wait ();

      section_end (0);
      sample (fired > due ? fired - due : 0);
      ++result.ops;
    }
}

/*****************************************************************************/
/* newdestroy: one operation: a loop is made, watches n idle sockets for one
 * turn, and is destroyed.
 * exit: one operation: a process is forked which makes a loop, watches n idle
 * sockets for one turn and exits.
 */

static int *life_fds;

static void
step_life (void)
{
  int k;

  if (!loop_new ())
    fail ("loop");

  for (k = 0; k < opt.n; ++k)
    {
      io_init (&chans [k].io, no_cb, life_fds [k], IO_READ);
      io_start (&chans [k].io);
    }

  turn_nowait ();
}

static void
step_newdestroy (void)
{
  int k;

  step_life ();

  for (k = 0; k < opt.n; ++k)
    io_stop (&chans [k].io);

  loop_del ();
  ++done;
}

static void
step_exit (void)
{
  int status;
  pid_t pid = fork ();

  if (pid < 0)
    fail ("fork");

  if (!pid)
    {
      step_life ();
      _exit (0);
    }

  if (waitpid (pid, &status, 0) != pid || status)
    fail ("child");

  ++done;
}

static void
life (void (*step) (void), long ops)
{
  limit_n (1, 0);
  life_fds = make_idle (opt.n);
  chans = new_chans (opt.n);
  loop_del ();
  step ();
  drive (step, ops_or (ops));
  drive_clocked (step, 10);

  if (!loop_new ())
    fail ("loop");
}

static void
w_newdestroy (void)
{
  life (step_newdestroy, 200);
}

static void
w_exit (void)
{
  life (step_exit, 100);
}

/*****************************************************************************/
/* scale: n idle sockets and a ring of 100 with "active" bytes in it (100 unless
 * told). One operation: one event, as in ring. Memory: what the library took
 * per idle fd, the watchers themselves not counted.
 */

static void
w_scale (void)
{
  struct chan *idle;
  int *fds, k, n, wanted = opt.n, active = opt.active > 1 ? opt.active : 100;
  long heap, rss, ops = ops_or (100000);

  if ((n = fds_available (opt.n + 200) - 200) < wanted)
    skip ("%d open files needed, %d allowed", wanted + 264, n + 264);

  fds = make_idle (n);
  idle = new_chans (n);

  for (k = 0; k < n; ++k)
    io_init (&idle [k].io, no_cb, fds [k], IO_READ);

  heap = heap_bytes ();
  rss = rss_bytes ();

  for (k = 0; k < n; ++k)
    io_start (&idle [k].io);

  turn_nowait ();
  result.bytes_heap = (double)(heap_bytes () - heap) / n;
  result.bytes_rss = (double)(rss_bytes () - rss) / n;

  opt.n = 100;
  opt.active = active;
  ring_world (SOCKETS);

  for (k = 0; k < opt.n; ++k)
    io_init (&chans [k].io, ring_cb, chans [k].fd, IO_READ);

  start_all ();

  for (k = 0; k < active; ++k)
    put_byte (chans [k * opt.n / active].to);

  drive_warm (step_wait, ops / 10);
  drive (step_wait, ops);
  drive_clocked (step_wait, ops / 4);
  opt.n = wanted;
}

/*****************************************************************************/

const struct workload workloads [] =
{
  { "ring"         , w_ring         , "bytes travelling round n watched sockets: per event" },
  { "pipering"     , w_pipering     , "the same with pipes" },
  { "oneshot"      , w_oneshot      , "start, wait, stop for each event, as coroutines do" },
  { "register"     , w_register     , "start n sockets in a running loop: per fd" },
  { "stopstart"    , w_stopstart    , "stop and restart armed watchers" },
  { "reset"        , w_reset        , "stop, set and start armed watchers in one iteration" },
  { "nowait"       , w_nowait       , "a turn of the loop that finds nothing" },
  { "writeinterest", w_writeinterest, "add and drop write interest beside an armed read" },
  { "accept"       , w_accept       , "TCP accept, request, answer, close" },
  { "acceptburst"  , w_acceptburst  , "the same, hundreds at a time" },
  { "closeidle"    , w_closeidle    , "stop and close n idle connections: per connection" },
  { "growth"       , w_growth       , "from 0 to n fds, 25 per iteration" },
  { "timer"        , w_timer        , "lateness of timers of less than a millisecond" },
  { "newdestroy"   , w_newdestroy   , "make a loop, use it on n fds, destroy it" },
  { "exit"         , w_exit         , "a process that makes a loop, uses it on n fds, exits" },
  { "scale"        , w_scale        , "n idle fds and 100 busy ones: per event; memory per fd" },
  { 0, 0, 0 }
};
