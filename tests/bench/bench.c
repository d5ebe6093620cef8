/*
 * bench.c - what the backend costs, beside other backends, other libraries and the bare
 * system calls
 *
 *   bench-PEER WORKLOAD BACKEND [NAME=NUMBER...]
 *
 * One program is this + an adapter (on-*.h) + the workloads (w_*.c). The adapter gives the
 * library's own calls the names used by the workloads (io_start, turn_wait, ...); everything
 * in it is a macro or inlines to nothing. turn_wait is one iteration of the loop that sleeps
 * until something happens, turn_nowait one that does not sleep.
 *
 * What is measured is in sections: section_begin () .. section_end (operations).
 */

#define _GNU_SOURCE 1

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "world.h"

static struct
{
  const char *backend;
  int n;               /* watched fds, connections, ... */
  int active;          /* how many of them are busy */
  int ops;             /* at least so many operations ... */
  int ms;              /* ... and for so long */
  int cpu, peer_cpu;   /* -1: any */
  int port, rate, http2, tls, brief;      /* of w_load.c */
} opt = { .n = 100, .active = 1, .ops = 1000, .cpu = -1, .peer_cpu = -1 };

static uint64_t
clock_ns (clockid_t id)
{
  struct timespec ts;

  clock_gettime (id, &ts);
  return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static uint64_t
now_ns (void)
{
  return clock_ns (CLOCK_MONOTONIC);
}

/*****************************************************************************/
/* adapters */

#include ADAPTER

#ifndef io_reset
# define io_reset(w,fd,mask) do { io_stop (w); io_start (w); } while (0)
#endif

#ifndef io_close
# define io_close(w,fd) do { io_stop (w); close (fd); } while (0)
#endif

/* a new watcher for the same fd */
#ifndef io_anew
# define io_anew(w,cb,fd,mask) io_init (w, cb, fd, mask)
#endif

/* what is watched, for reading and for writing */
struct chan
{
  io_w rd, wr;
  int fd, to;          /* a byte written to "to" makes an fd readable */
};

/* callbacks get their channel */
#define CHAN_CB(name,first)                                     \
  static inline void name ## _of (struct chan *c);              \
  static void name (CB_ARGS) { name ## _of ((void *)(first)); } \
  static inline void name ## _of (struct chan *c)
#define READ_CB(name)  CHAN_CB (name, (io_w *)w)
#define WRITE_CB(name) CHAN_CB (name, (io_w *)w - 1)

/*****************************************************************************/
/* sections */

/* marks for count.c: long nops that mean something to nobody else */
#ifdef __x86_64__
# define MARK(what) __asm__ __volatile__ (".byte 0x0f, 0x1f, 0x84, 0x00, " #what ", 'n', 'e', 'b'" ::: "memory")
#else
# define MARK(what) (void)0
#endif
#define MARK_RESET MARK (0)
#define MARK_BEGIN MARK (1)
#define MARK_END   MARK (2)
#define MARK_PRINT MARK (3)

static __thread long done;      /* operations of this section so far */
static long operations;         /* of all sections */
static uint64_t begun, spent, deadline;
static double own_user = -1., own_kernel; /* what a workload has counted itself */

/* getpgid and getsid are called for nothing else: they mark the section in a
 * trace of the system calls
 */
static void
section_begin (void)
{
  getpgid (0);
  begun = now_ns ();
  MARK_BEGIN;
}

static void
section_end (long ops)
{
  MARK_END;
  spent      += now_ns () - begun;
  operations += ops;
  getsid (0);
}

static void
longest_since (uint64_t begin, uint64_t end)
{
  if (end - begin > own_user)
    own_user = end - begin;
}

static void
report (void)
{
  printf ("bench ops=%ld", operations);

  if (spent)
    printf (" ns=%.2f", (double)spent / operations);

  if (own_user >= 0.)
    printf (" user=%.1f kernel=%.1f", own_user, own_kernel);

  putchar ('\n');
}

/*****************************************************************************/
/* file descriptors */

static void
pin (int cpu)
{
  cpu_set_t set;

  CPU_ZERO (&set);
  CPU_SET (cpu, &set);

  if (cpu >= 0 && sched_setaffinity (0, sizeof set, &set))
    err (1, "sched_setaffinity");
}

/* n channels: one end of each pair, or both */
static struct chan *
make_chans (int n, int kind, int both)
{
  struct chan *made = calloc (n + 1, sizeof *made), *c;
  struct world_object o;
  int ends;

  for (c = made; c < made + n; c += 1 + both)
    {
      if (!(ends = world_make (&o, kind)))
        errx (1, "no more descriptors, for %d of %d", (int)(c - made), n);

      c->fd = o.fd [0];
      c->to = o.fd [ends - 1];

      if (both)
        c [1] = (struct chan) { .fd = c->to, .to = c->fd };
    }

  return made;
}

/* one byte; the fd is known to be ready */
static void
get_byte (int fd)
{
  char byte;

  if (read (fd, &byte, 1) != 1)
    err (1, "read");
}

static void
put_byte (int fd)
{
  if (write (fd, "", 1) != 1)
    err (1, "write");
}

/*****************************************************************************/
/* watchers */

#define PHASES 8

/* world prepares. A round has some phases and makes some operations: one for each of its
 * channels, or one, or the callbacks count them; with OWN it has sections of its own. Before
 * anything is measured there are as many operations as adaption takes, times warm / 100.
 */
struct workload
{
  const char *name;
  void (*world) (void);
  int operations;
  int how;              /* which way, where there are several */
  int warm;
  void (*round [PHASES]) (void);
  io_cb *cb, *wcb;
};

enum { OWN = -1, COUNTED, ONE, ALL };

static const struct workload *workload;
static __thread struct chan *chans;
static __thread int cursor; /* where the next round begins */
static __thread int left;   /* events that are to come */

/* channels of a round */
#define CHUNK (opt.n < 10 ? opt.n : 10)
#define EACH(c) for (int k_ = 0; k_ < CHUNK && (c = chans + (cursor + k_) % opt.n); ++k_)

static void
wait_for (int events)
{
  for (left = events; left; )
    turn_wait ();
}

READ_CB (no_cb)
{
  if (!left)
    errx (1, "event on an idle fd");

  get_byte (c->fd);
  --left;
}

static void
new_loop (void)
{
  if (!loop_new ())
    err (1, "no such backend here");
}

static void
start (struct chan *c, io_cb *cb)
{
  io_init (&c->rd, cb, c->fd, IO_READ);
  io_start (&c->rd);
}

static void
watch (struct chan *c, int n)
{
  for (; n--; ++c)
    start (c, no_cb);
}

static void
unwatch (struct chan *c, int n)
{
  for (; n--; ++c)
    io_stop (&c->rd);
}

/* the same for both ends of pairs. Each of them has events: what decides by them where
 * an fd lives has seen them, and there is a ring if there is to be one
 */
static void
watch_lively (struct chan *c, int n)
{
  int rounds = n > 1 ? 2 + 2000 / n : 0, k;

  watch (c, n);
  turn_nowait ();

  while (rounds--)
    for (k = 0; k < (n & ~1); ++k)
      {
        put_byte (c [k].to);
        wait_for (1);
      }

  turn_nowait ();
}

/* n armed watchers of sockets nobody writes to any more */
static void
idle_world (void)
{
  chans = make_chans (opt.n, WORLD_STREAM, 1);
  watch_lively (chans, opt.n);
}

/*****************************************************************************/

#include "w_events.c"
#include "w_fds.c"
#include "w_net.c"

#ifdef EV_VERSION_MAJOR
# include "w_libev.c"
#endif

#ifdef BENCH_LOAD
# include "w_load.c"
#endif

static const struct workload workloads [] =
{
  { "ring",          w_ring,      COUNTED,      STAY, 100, { step }, ring_cb },
  { "pipering",      w_pipering,  COUNTED,      STAY, 100, { step }, ring_cb },
  { "ttys",          w_ttys,      COUNTED,      STAY, 100, { step }, ring_cb },
  { "scale",         w_scale,     COUNTED,      STAY, 100, { step }, ring_cb },
  { "oneshot",       w_ring,      COUNTED,      PASS, 100, { step }, pass_cb },
  { "oneshotnew",    w_ring,      COUNTED, PASS_ANEW, 100, { step }, pass_cb },
  { "blend",         w_blend,     COUNTED,     BLEND, 100, { step }, pass_cb },
  { "late",          w_late,      ALL,             0, 100, { start_read, look, send_all, settle }, late_cb },
  { "turns",         w_late,      ALL,             0, 200, { start_write, settle, start_read, send_all, settle }, late_cb, write_cb },
  { "turnsanew",     w_late,      ALL,             0, 200, { anew, start_write, settle, anew, start_read, send_all, settle }, late_cb, write_cb },
  { "stopother",     w_both,      ALL,             0, 400, { send_all, settle_one }, stopother_cb },
  { "writeinterest", w_both,      ALL,             0, 100, { start_write, settle }, no_cb, write_cb },
  { "writewait",     w_full,      ALL,             0, 300, { start_write, send_one, settle_one, stop_write }, no_cb, no_cb },
  { "writefire",     w_full,      ALL,             0, 100, { start_write, look, empty, settle }, no_cb, fill_cb },
  { "proxy",         w_proxy,     ALL,             0, 100, { step_proxy }, proxy_in_cb, proxy_out_cb },
  { "nowait",        idle_world,  ONE,             0, 100, { look } },
  { "stopstart",     idle_world,  ALL,             0, 100, { stop_read, look, start_read, look } },
  { "reset",         idle_world,  ALL,             0, 100, { reset, look } },
  { "cancelyoung",   idle_world,  OWN,            -1,   0, { step_cancel } },
  { "cancelold",     idle_world,  OWN,             1,   0, { step_cancel } },
  { "cancelany",     idle_world,  OWN,           617,   0, { step_cancel } },
  { "register",      w_register,  OWN,             1,   0, { step_register } },
  { "growth",        w_register,  OWN,             0,   0, { step_register } },
  { "memory",        w_memory,    OWN,             0,   0, { step_memory } },
  { "newdestroy",    w_newdestroy, ONE,            0,   0, { step_newdestroy } },
  { "accept",        w_accept,    COUNTED,         0,  20, { step_accept }, request_cb },
  { "connect",       w_connect,   ALL,             0,   5, { step_connect }, no_cb, connect_cb },
  { "ends",          idle_world,  OWN,             0,   0, { step_ending } },
  { "closeidle",     idle_world,  OWN,             1,   0, { step_ending } },
  { "server",        w_server,    OWN,             0,   0, { step_serve }, serve_cb },
#ifdef EV_VERSION_MAJOR
  { "threads",       w_threads,   OWN,          STAY,   0, { step_threads }, ring_cb },
  { "async",         w_threads,   OWN,             0,   0, { step_threads } },
  { "signal",        w_signal,    ONE,             0,   5, { step_signal } },
  { "embed",         w_embed,     COUNTED,      STAY, 100, { step }, ring_cb },
#endif
#ifdef BENCH_LOAD
  { "load",          w_load,      OWN,             0,   0, { step_load } },
#endif
  { 0 }
};

/* rounds until there were so many operations */
static void
drive (long ops)
{
  int n = workload->operations > 1 ? CHUNK : workload->operations;
  void (*const *phase) (void);

  for (done = 0; done < ops; done += n)
    {
      for (phase = workload->round; *phase; ++phase)
        (*phase) ();

      if (n > 1)
        cursor = (cursor + n) % opt.n;
    }
}

static void
set_option (const char *arg)
{
  static const struct { const char *name; int *value; } options [] =
  {
    { "n=", &opt.n }, { "active=", &opt.active }, { "ops=", &opt.ops }, { "ms=", &opt.ms },
    { "cpu=", &opt.cpu }, { "peer_cpu=", &opt.peer_cpu },
    { "port=", &opt.port }, { "rate=", &opt.rate }, { "http2=", &opt.http2 }, { "tls=", &opt.tls }, { "short=", &opt.brief },
  };
  size_t k;

  for (k = 0; k < sizeof options / sizeof *options; ++k)
    if (!strncmp (arg, options [k].name, strlen (options [k].name)))
      {
        *options [k].value = atoi (strchr (arg, '=') + 1);
        return;
      }

  errx (1, "no such option: %s", arg);
}

int
main (int argc, char *argv [])
{
  struct rlimit files = { 1 << 18, 1 << 18 };

  if (argc < 3)
    errx (1, "usage: %s WORKLOAD BACKEND [NAME=NUMBER...]", program_invocation_short_name);

  for (workload = workloads; workload->name && strcmp (workload->name, argv [1]); ++workload)
    ;

  if (!workload->name)
    errx (1, "%s is not for this peer", argv [1]);

  opt.backend = argv [2];

  for (argv += 3; *argv; ++argv)
    set_option (*argv);

  if (setrlimit (RLIMIT_NOFILE, &files)) /* for root only */
    {
      getrlimit (RLIMIT_NOFILE, &files);
      files.rlim_cur = files.rlim_max;
      setrlimit (RLIMIT_NOFILE, &files);
    }

  signal (SIGPIPE, SIG_IGN);
  pin (opt.cpu);
  MARK_RESET;
  new_loop ();
  workload->world ();
  drive ((opt.ops / 20 + 2 * opt.n + 6000) * workload->warm / 100);
  deadline = now_ns () + opt.ms * 1000000ull;

  do
    if (workload->operations == OWN)
      workload->round [0] ();
    else
      {
        section_begin ();
        drive (opt.ops);
        section_end (done);
      }
  while (operations < opt.ops || now_ns () < deadline);

  MARK_PRINT;
  report ();
  return 0;
}
