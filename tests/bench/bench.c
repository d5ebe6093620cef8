/*
 * bench.c - what the backend costs, beside other backends, other libraries and the bare
 * system calls
 *
 * One program is this + an adapter (on-*.h) + the workloads (w_*.c). The adapter gives the
 * library's own calls the names used by the workloads (io_start, turn_wait, ...); everything
 * in it is a macro or inlines to nothing. turn_wait is one iteration of the loop that sleeps
 * until something happens, turn_nowait one that does not sleep.
 *
 * A workload measures in sections: section_begin () .. section_end (operations).
 * One section is one sample; what is reported is the median sample.
 */

#define _GNU_SOURCE 1

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static struct
{
  const char *backend, *workload;
  int n;                 /* watched fds, connections, ... */
  int active;            /* how many of them are busy */
  int cpu, peer_cpu;     /* -1: not pinned */
  long ops;              /* operations in all; 0: the workload's default */
  int rounds;            /* sections, where a section is not repeatable in place */
  double seconds;        /* give up measuring after that long */
  double busy;           /* seconds to watch the ring before sleeping */
  int number;            /* of this run, for count.c */
} opt = { .n = 100, .active = 1, .cpu = -1, .peer_cpu = -1, .rounds = 3, .seconds = 2. };

static void fail (const char *what) __attribute__ ((__noreturn__));

static void
fail (const char *what)
{
  fprintf (stderr, "%s: %s: %s: %s\n", program_invocation_short_name, opt.workload, what, strerror (errno));
  exit (1);
}

/* ends the program with status 77: this cannot be measured here, and why */
static void skip (const char *fmt, ...) __attribute__ ((__noreturn__, __format__ (__printf__, 1, 2)));

static void
skip (const char *fmt, ...)
{
  va_list ap;

  printf ("skipped peer=%s backend=%s workload=%s n=%d reason=", PEER, opt.backend, opt.workload, opt.n);
  va_start (ap, fmt);
  vprintf (fmt, ap);
  va_end (ap);
  putchar ('\n');
  exit (77);
}

/*****************************************************************************/
/* clocks and sections */

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

#include ADAPTER

/* where an fd that is read from and written to has two watchers */
#ifndef RW_OWN
# define rw_init(w,rcb,wcb,fd) do { io_init (&(w)->rd, rcb, fd, IO_READ); io_init (&(w)->wr, wcb, fd, IO_WRITE); } while (0)
# define rw_read_start(w)  io_start (&(w)->rd)
# define rw_read_stop(w)   io_stop (&(w)->rd)
# define rw_write_start(w) io_start (&(w)->wr)
# define rw_write_stop(w)  io_stop (&(w)->wr)
#endif

#ifndef rw_anew
# define rw_anew(w,rcb,wcb,fd) rw_init (w, rcb, wcb, fd)
#endif

#ifndef PEER_REPORT
# define PEER_REPORT (void)0
#endif

#define RW_OF_READ(w)  ((rw_w *)(w))
#define RW_OF_WRITE(w) ((rw_w *)((char *)(w) - offsetof (rw_w, wr)))

/* marks for count.c: long nops that mean something to nobody else */
#ifdef __x86_64__
# define MARK(what) __asm__ __volatile__ (".byte 0x0f, 0x1f, 0x84, 0x00, " #what ", 'n', 'e', 'b'" ::: "memory")
#else
# define MARK(what) (void)0
#endif
#define MARK_ZERO  MARK (0)
#define MARK_ONE   MARK (1)
#define MARK_BEGIN MARK (2)
#define MARK_END   MARK (3)
#define MARK_PRINT MARK (4)
#define MARK_RESET MARK (5)

static void
mark_number (unsigned number)
{
  int bit;

  for (bit = 31; bit >= 0; --bit)
    if (number >> bit & 1)
      MARK_ONE;
    else
      MARK_ZERO;

  MARK_PRINT;
}

#define SECTIONS_MAX 4096

static double sections [SECTIONS_MAX]; /* ns of an operation */
static int nsections;
static long operations;
static uint64_t begun, deadline;
static uint64_t longest;               /* iteration, where a workload looks at that */
static double bytes_user = -1., bytes_kernel;

/* getpgid and getsid are called for nothing else: they mark the section in a
 * trace of the system calls
 */
static void
section_begin (void)
{
  if (!deadline)
    deadline = now_ns () + (uint64_t)(opt.seconds * 1e9);

  getpgid (0);
  begun = now_ns ();
  MARK_BEGIN;
}

static void
section_end (long ops)
{
  MARK_END;

  if (nsections < SECTIONS_MAX)
    {
      sections [nsections++] = (double)(now_ns () - begun) / ops;
      operations += ops;
    }

  getsid (0);
}

/* 1 when the time given on the command line is used up */
static int
out_of_time (void)
{
  return deadline && now_ns () > deadline;
}

static int
compare (const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;

  return (x > y) - (x < y);
}

static void
report (void)
{
  qsort (sections, nsections, sizeof *sections, compare);
  printf ("bench peer=%s backend=%s workload=%s n=%d active=%d ops=%ld", PEER, opt.backend, opt.workload, opt.n, opt.active, operations);

  if (nsections)
    printf (" ns=%.2f", (sections [(nsections - 1) / 2] + sections [nsections / 2]) / 2.);

  if (bytes_user >= 0.)
    printf (" user=%.1f kernel=%.1f", bytes_user, bytes_kernel);

  if (longest)
    printf (" it_max=%llu", (unsigned long long)longest);

  PEER_REPORT;
  putchar ('\n');
}

static long done; /* operations so far */

/* ops operations, in a section */
static void
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

/* enough for what adapts to a workload to have done so */
static void
warm (void (*step) (void), long ops)
{
  uint64_t enough = now_ns () + (uint64_t)(opt.seconds * 5e8);

  for (done = 0; done < ops && now_ns () < enough; )
    step ();
}

/*****************************************************************************/
/* file descriptors */

/* as many as there may be; the line printed says it */
static void
limit_n (int fds_per_n, int extra)
{
  struct rlimit rl;
  rlim_t want = (rlim_t)opt.n * fds_per_n + extra + 64;

  getrlimit (RLIMIT_NOFILE, &rl);
  rl.rlim_cur = rl.rlim_max;
  setrlimit (RLIMIT_NOFILE, &rl);

  if (rl.rlim_cur < want)
    skip ("%lu open files needed, %lu allowed", (unsigned long)want, (unsigned long)rl.rlim_cur);
}

static void
pin (int cpu)
{
  cpu_set_t set;

  CPU_ZERO (&set);
  CPU_SET (cpu, &set);

  if (cpu >= 0 && sched_setaffinity (0, sizeof set, &set))
    fail ("sched_setaffinity");
}

enum channel { SOCKETS, PIPES };

/* n pairs: [2k] is to be watched, what is written to [2k+1] arrives there */
static int *
make_channels (int n, enum channel kind)
{
  int *fds = calloc (n, 2 * sizeof *fds), k;

  for (k = 0; k < n; ++k)
    if (kind == SOCKETS
        ? socketpair (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds + 2 * k)
        : pipe2 (fds + 2 * k, O_NONBLOCK | O_CLOEXEC))
      fail ("channel");

  return fds;
}

/* one byte; the fd is known to be ready */
static void
get_byte (int fd)
{
  char byte;

  if (read (fd, &byte, 1) != 1)
    fail ("read");
}

static void
put_byte (int fd)
{
  if (write (fd, "", 1) != 1)
    fail ("write");
}

/*****************************************************************************/
/* watchers */

struct chan
{
  union { io_w io; rw_w rw; }; /* comes first: a callback's watcher is its channel */
  timer_w timer;
  int fd, to;                  /* a byte written to "to" makes an fd readable */
};

#define CHAN_OF_WRITE(w) ((struct chan *)RW_OF_WRITE (w))

static struct chan *chans;
static int cursor; /* where the next round of a workload begins */
static int left;   /* events that are to come */

/* operations between two turns, where a workload is not driven by events */
#define CHUNK (opt.n < 10 ? opt.n : 10)

static struct chan *
at (int k)
{
  return chans + (cursor + k) % opt.n;
}

/* those of a round */
#define EACH(c) for (int k_ = 0; k_ < CHUNK && (c = at (k_)); ++k_)

static void
next_round (void)
{
  cursor = (cursor + CHUNK) % opt.n;
  done += CHUNK;
}

static void
wait_for (int events)
{
  for (left = events; left; )
    turn_wait ();
}

IO_CB (no_cb)
{
  if (!left)
    fail ("event on an idle fd");

  get_byte (io_fd (w));
  --left;
}

static void
make_chans (enum channel kind)
{
  int *fds, k;

  limit_n (2, 0);
  fds   = make_channels (opt.n, kind);
  chans = calloc (opt.n, sizeof *chans);

  for (k = 0; k < opt.n; ++k)
    {
      chans [k].fd = fds [2 * k];
      chans [k].to = fds [2 * k + 1];
    }

  free (fds);
}

static void
init_all (io_cb *cb)
{
  int k;

  for (k = 0; k < opt.n; ++k)
    io_init (&chans [k].io, cb, chans [k].fd, IO_READ);
}

/* both watchers of each, that for reading is started */
static void
init_rw (io_cb *rcb, io_cb *wcb)
{
  int k;

  for (k = 0; k < opt.n; ++k)
    {
      rw_init (&chans [k].rw, rcb, wcb, chans [k].fd);
      rw_read_start (&chans [k].rw);
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

/* watches n sockets; fds are both ends of pairs. Each of them has events: what decides
 * by them where an fd lives has seen them, and there is a ring if there is to be one
 */
static void
watch (struct chan *c, const int *fds, int n)
{
  int rounds = n > 1 ? 2 + 2000 / n : 0, k;

  for (k = 0; k < n; ++k)
    {
      c [k].fd = fds [k];
      io_init (&c [k].io, no_cb, fds [k], IO_READ);
      io_start (&c [k].io);
    }

  turn_nowait ();

  while (rounds--)
    for (k = 0; k < (n & ~1); ++k)
      {
        put_byte (fds [k ^ 1]);
        wait_for (1);
      }

  turn_nowait ();
}

static void
new_loop (void)
{
  if (!loop_new ())
    fail ("loop");
}

/* n armed watchers of sockets nobody writes to any more */
static void
idle_world (int unused)
{
  limit_n (1, 64);
  chans = calloc (opt.n, sizeof *chans);
  watch (chans, make_channels ((opt.n + 1) / 2, SOCKETS), opt.n);
}

/*****************************************************************************/

#include "w_events.c"
#include "w_fds.c"
#include "w_net.c"
#include "w_libev.c"

/* world prepares, one way or another, and measures where there is no step; a step is some
 * operations. Before it is measured there are as many as adaption takes, times warm / 100.
 */
static const struct workload
{
  const char *name;
  void (*world) (int how);
  int how;
  void (*step) (void);
  long ops;
  int warm;
  const char *what;
} workloads [] =
{
  { "ring",          w_ring,          SOCKETS, step_wait,          100000, 100, "bytes travelling round n watched sockets: per event" },
  { "pipering",      w_ring,            PIPES, step_wait,          100000, 100, "the same with pipes" },
  { "oneshot",       w_oneshot,             0, step_wait,          100000, 100, "start, wait, stop for each event, as coroutines do" },
  { "oneshotnew",    w_oneshot,             1, step_wait,          100000, 100, "the same with a new watcher each time" },
  { "blend",         w_blend,               0, step_wait,          100000, 100, "the ring, in which every other socket is used so" },
  { "late",          w_late,                0, step_late,           50000, 100, "oneshot, with data that comes when the loop waits" },
  { "turns",         w_turns,               0, step_turns,          50000, 200, "read and write in turns, with two watchers" },
  { "turnsanew",     w_turns,               1, step_turns,          50000, 200, "the same, set anew each time" },
  { "stopother",     w_stopother,           0, step_stopother,      50000, 400, "a callback stops watchers whose events are pending" },
  { "writeinterest", w_writeinterest,       0, step_writeinterest,  50000, 100, "add and drop write interest beside an armed read" },
  { "writewait",     w_writewait,           0, step_writewait,      10000, 300, "the same with sockets that are full" },
  { "writefire",     w_writefire,           0, step_writefire,      10000, 100, "the same, and then they can be written to" },
  { "proxy",         w_proxy,               0, step_proxy,          20000, 100, "8 KiB through a proxy that has to wait for its sink" },
  { "mixed",         w_mixed,               0, step_wait,          100000, 100, "the ring with a time-out per fd and some timers beside" },
  { "ttys",          w_ttys,                0, step_wait,           50000, 100, "the ring with ttys and FIFOs in it" },
  { "scale",         w_scale,               0, step_wait,          100000, 100, "n idle fds and 100 busy ones: per event" },
  { "nowait",        idle_world,            0, step_nowait,        200000, 100, "a turn of the loop that finds nothing" },
  { "stopstart",     idle_world,            0, step_stopstart,      50000,   0, "stop and restart armed watchers" },
  { "reset",         idle_world,            0, step_reset,          50000,   0, "stop, set and start armed watchers in one iteration" },
  { "cancelyoung",   w_cancel,             -1, 0,                     500,   0, "stop the watcher that was started last" },
  { "cancelold",     w_cancel,              1, 0,                     500,   0, "stop the one that was started first" },
  { "cancelany",     w_cancel,            617, 0,                     500,   0, "stop any of them" },
  { "register",      w_register,            1, 0,                       0,   0, "start n sockets in a running loop: per fd" },
  { "burst",         w_register,          100, 0,                       0,   0, "the same in a loop that polls without waiting" },
  { "growth",        w_growth,              0, 0,                       0,   0, "from 0 to n fds, 25 per iteration" },
  { "memory",        w_memory,              0, 0,                       0,   0, "bytes for each of n watched fds, or each of several loops" },
  { "newdestroy",    w_life,                0, step_newdestroy,       200,   0, "make a loop, use it on n fds, destroy it" },
  { "exit",          w_life,                0, step_exit,             100,   0, "a process that makes a loop, uses it on n fds, exits" },
  { "accept",        w_accept,              0, step_accept,          5000,  20, "TCP accept, request, answer, close" },
  { "connect",       w_connect,             0, step_connect,        10000,   5, "TCP connect, until it is done" },
  { "ends",          w_ends,                0, 0,                   10000,   0, "the far end closes" },
  { "closeidle",     w_ending,              0, 0,                       0,   0, "stop and close n idle connections: per connection" },
  { "timeouts",      w_ending,              1, 0,                       0,   0, "n idle connections time out" },
  { "server",        w_server,              0, 0,                       0,   0, "answers to requests of load.c" },
  { "threads",       w_threads,             0, 0,                  200000,   0, "n threads, a loop and ten sockets each: per event" },
  { "async",         w_async,               0, 0,                   20000,   0, "threads wake each other, to and fro" },
  { "signal",        w_signal,              0, step_signal,         20000,   5, "a signal of one's own" },
  { "embed",         w_embed,               0, step_wait,          100000, 100, "the ring in an embedded loop" },
  { 0, 0, 0, 0, 0, 0, 0 }
};

static void
usage (void)
{
  const struct workload *w;

  fprintf (stderr,
           "usage: %s --backend B --workload W [--n FDS] [--active FDS] [--ops N] [--rounds N] [--seconds S]\n"
           "       [--cpu N] [--peer-cpu N] [--busy SECONDS] [--number N]\n"
           "backends: " BACKENDS "\nworkloads:\n", program_invocation_short_name);

  for (w = workloads; w->name; ++w)
    fprintf (stderr, "  %-14s %s\n", w->name, w->what);

  exit (1);
}

static const struct workload *
parse_options (int argc, char *argv [])
{
  static const struct option names [] =
  {
    { "backend", 1, 0, 'b' }, { "workload", 1, 0, 'w' }, { "n", 1, 0, 'n' }, { "active", 1, 0, 'a' }, { "ops", 1, 0, 'o' },
    { "rounds", 1, 0, 'r' }, { "seconds", 1, 0, 's' }, { "cpu", 1, 0, 'c' }, { "peer-cpu", 1, 0, 'C' }, { "busy", 1, 0, 'B' },
    { "number", 1, 0, 'N' }, { 0, 0, 0, 0 }
  };
  const struct workload *w = workloads;
  int c;

  while ((c = getopt_long (argc, argv, "", names, 0)) >= 0)
    switch (c)
      {
        case 'b': opt.backend  = optarg; break;
        case 'w': opt.workload = optarg; break;
        case 'n': opt.n        = atoi (optarg); break;
        case 'a': opt.active   = atoi (optarg); break;
        case 'o': opt.ops      = atol (optarg); break;
        case 'r': opt.rounds   = atoi (optarg); break;
        case 's': opt.seconds  = atof (optarg); break;
        case 'c': opt.cpu      = atoi (optarg); break;
        case 'C': opt.peer_cpu = atoi (optarg); break;
        case 'B': opt.busy     = atof (optarg); break;
        case 'N': opt.number   = atoi (optarg); break;
        default: usage ();
      }

  if (!opt.backend || !opt.workload || opt.n < 1 || opt.active < 1 || optind < argc)
    usage ();

  while (w->name && strcmp (w->name, opt.workload))
    ++w;

  if (!w->name)
    usage ();

  return w;
}

int
main (int argc, char *argv [])
{
  const struct workload *w = parse_options (argc, argv);

  signal (SIGPIPE, SIG_IGN);
  pin (opt.cpu);

  if (!loop_new ())
    skip ("no such backend here");

  if (!opt.ops)
    opt.ops = w->ops;

  MARK_RESET;
  w->world (w->how);

  if (w->step)
    {
      warm (w->step, (opt.ops / 20 + 2 * opt.n + 6000) * w->warm / 100);
      drive (w->step, opt.ops);
    }

  mark_number (opt.number);
  report ();
  return 0;
}
