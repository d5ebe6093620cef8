/*
 * bench.c - options, clocks, samples, sockets: see bench.h
 */

#define _GNU_SOURCE 1

#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* counting stops and starts with the sections, so that what surrounds them
 * (making sockets, making loops) is not counted
 */
#ifdef __has_include
# if __has_include (<valgrind/callgrind.h>)
#  include <valgrind/callgrind.h>
# endif
#endif
#ifndef CALLGRIND_TOGGLE_COLLECT
# define CALLGRIND_TOGGLE_COLLECT (void)0
# define RUNNING_ON_VALGRIND 0
#endif

struct options opt = { .n = 100, .active = 1, .cpu = -1, .peer_cpu = -1, .seconds = 2., .clocked = 1 };
struct result result = { .bytes_heap = -1., .bytes_rss = -1., .seen_ns = -1. };

static uint64_t deadline;

void
fail (const char *what)
{
  fprintf (stderr, "%s: %s: %s: %s\n", program_invocation_short_name, opt.workload, what, strerror (errno));
  exit (1);
}

int
on_valgrind (void)
{
  return RUNNING_ON_VALGRIND;
}

void
skip (const char *fmt, ...)
{
  va_list ap;

  printf ("skipped peer=%s backend=%s workload=%s n=%d reason=", peer_name, opt.backend, opt.workload, opt.n);
  va_start (ap, fmt);
  vprintf (fmt, ap);
  va_end (ap);
  putchar ('\n');
  exit (77);
}

/*****************************************************************************/
/* clocks and samples */

static uint64_t
clock_ns (clockid_t id)
{
  struct timespec ts;

  clock_gettime (id, &ts);
  return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

uint64_t
now_ns (void)
{
  return clock_ns (CLOCK_MONOTONIC);
}

uint64_t
cpu_ns (void)
{
  return clock_ns (CLOCK_THREAD_CPUTIME_ID);
}

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

static struct { double wall, cpu; } sections [SECTIONS_MAX];
static uint64_t wall0, cpu0;
static double wall_sum;

/* getpgid and getsid are called for nothing else: they mark the section in a
 * trace of the system calls
 */
void
section_begin (void)
{
  if (!deadline)
    deadline = now_ns () + (uint64_t)(opt.seconds * 1e9);

  cpu0 = clock_ns (CLOCK_PROCESS_CPUTIME_ID);
  getpgid (0);
  wall0 = now_ns ();
  CALLGRIND_TOGGLE_COLLECT;
  MARK_BEGIN;
}

void
section_end (long ops)
{
  uint64_t wall, cpu;

  MARK_END;
  CALLGRIND_TOGGLE_COLLECT;
  wall = now_ns () - wall0;
  getsid (0);
  cpu = clock_ns (CLOCK_PROCESS_CPUTIME_ID) - cpu0;

  if (ops && result.sections < SECTIONS_MAX)
    {
      sections [result.sections].wall = (double)wall / ops;
      sections [result.sections].cpu = (double)cpu / ops;
      ++result.sections;
      result.ops += ops;
      wall_sum += wall;
    }
}

int
out_of_time (void)
{
  return deadline && now_ns () > deadline;
}

/* a value's bucket: its octave and the next four bits; 6% wide */
#define BUCKETS (64 * 16)

static unsigned long buckets [BUCKETS];
static unsigned long samples;
static uint64_t sample_max;

static int
bucket_of (uint64_t ns)
{
  int octave = 63 - __builtin_clzll (ns | 16);

  return (octave - 4) * 16 + (int)(ns >> (octave - 4));
}

static double
bucket_middle (int bucket)
{
  int octave = bucket < 32 ? 4 : bucket / 16 + 3;
  double step = (double)(1ull << (octave - 4));

  return step == 1. ? bucket : ((bucket & 15) + 16 + .5) * step;
}

void
sample (uint64_t ns)
{
  ++buckets [bucket_of (ns)];
  ++samples;

  if (ns > sample_max)
    sample_max = ns;
}

static double
percentile (double p)
{
  unsigned long rank = (unsigned long)(p * samples), seen = 0;
  int i;

  for (i = 0; i < BUCKETS; ++i)
    if ((seen += buckets [i]) > rank)
      return bucket_middle (i);

  return sample_max;
}

static int
compare_doubles (const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;

  return (x > y) - (x < y);
}

static void
summarise (void)
{
  static double wall [SECTIONS_MAX], cpu [SECTIONS_MAX];
  int i, n = result.sections;

  if (!n)
    return;

  for (i = 0; i < n; ++i)
    {
      wall [i] = sections [i].wall;
      cpu [i] = sections [i].cpu;
    }

  qsort (wall, n, sizeof *wall, compare_doubles);
  qsort (cpu, n, sizeof *cpu, compare_doubles);
  result.ns = (wall [(n - 1) / 2] + wall [n / 2]) / 2.;
  result.cpu_ns = (cpu [(n - 1) / 2] + cpu [n / 2]) / 2.;
  result.ns_mean = wall_sum / result.ops;
}

static void
report_histogram (void)
{
  int i;

  printf (" it_p50=%.0f it_p99=%.0f it_p999=%.0f it_max=%llu its=%lu hist=",
          percentile (.5), percentile (.99), percentile (.999), (unsigned long long)sample_max, samples);

  for (i = 0; i < BUCKETS; ++i)
    if (buckets [i])
      printf ("%.0f:%lu,", bucket_middle (i), buckets [i]);
}

static void
report (void)
{
  summarise ();
  printf ("bench peer=%s backend=%s workload=%s n=%d active=%d ops=%ld sections=%d",
          peer_name, opt.backend, opt.workload, opt.n, opt.active, result.ops, result.sections);

  if (result.sections)
    printf (" ns=%.2f ns_mean=%.2f cpu_ns=%.2f", result.ns, result.ns_mean, result.cpu_ns);

  if (result.bytes_heap >= 0.)
    printf (" bytes_heap=%.1f bytes_rss=%.1f", result.bytes_heap, result.bytes_rss);

  if (result.seen_ns >= 0.)
    printf (" seen_ns=%.2f", result.seen_ns);

  peer_report (stdout);

  if (samples)
    report_histogram ();

  putchar ('\n');
}

/*****************************************************************************/
/* file descriptors */

int
fds_available (int wanted)
{
  struct rlimit rl;

  getrlimit (RLIMIT_NOFILE, &rl);

  if (rl.rlim_cur < (rlim_t)wanted + 64)
    {
      struct rlimit more = { wanted + 64, rl.rlim_max > (rlim_t)wanted + 64 ? rl.rlim_max : (rlim_t)wanted + 64 };

      if (setrlimit (RLIMIT_NOFILE, &more))
        {
          more.rlim_cur = more.rlim_max = rl.rlim_max;
          setrlimit (RLIMIT_NOFILE, &more);
        }

      getrlimit (RLIMIT_NOFILE, &rl);
    }

  return rl.rlim_cur < (rlim_t)wanted + 64 ? (int)rl.rlim_cur - 64 : wanted;
}

void
nonblock (int fd)
{
  fcntl (fd, F_SETFL, fcntl (fd, F_GETFL) | O_NONBLOCK);
}

void
pin (int cpu)
{
  cpu_set_t set;

  if (cpu < 0)
    return;

  CPU_ZERO (&set);
  CPU_SET (cpu, &set);

  if (sched_setaffinity (0, sizeof set, &set))
    fail ("sched_setaffinity");
}

int *
make_idle (int n)
{
  return make_channels ((n + 1) / 2, SOCKETS);
}

int *
make_channels (int n, enum channel kind)
{
  int *fds = calloc (n, 2 * sizeof *fds);
  int k;

  if (!fds)
    fail ("calloc");

  for (k = 0; k < n; ++k)
    if (kind == SOCKETS
        ? socketpair (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds + 2 * k)
        : pipe2 (fds + 2 * k, O_NONBLOCK | O_CLOEXEC))
      fail (kind == SOCKETS ? "socketpair" : "pipe2");

  return fds;
}

void
close_fds (int *fds, int n)
{
  int k;

  for (k = 0; k < n; ++k)
    close (fds [k]);

  free (fds);
}

void
get_byte (int fd)
{
  char byte;

  if (read (fd, &byte, 1) != 1)
    fail ("read");
}

void
put_byte (int fd)
{
  if (write (fd, "", 1) != 1)
    fail ("write");
}

int
make_listener (struct sockaddr_in *addr)
{
  socklen_t len = sizeof *addr;
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

  memset (addr, 0, sizeof *addr);
  addr->sin_family = AF_INET;
  addr->sin_addr.s_addr = htonl (INADDR_LOOPBACK);

  if (fd < 0 || bind (fd, (struct sockaddr *)addr, sizeof *addr) || listen (fd, 4096)
      || getsockname (fd, (struct sockaddr *)addr, &len))
    fail ("listen");

  return fd;
}

/* an address has no more than about 28000 ports to connect from */
#define PORTS 20000

static int
make_client_from (const struct sockaddr_in *addr, int k)
{
  struct sockaddr_in from = { .sin_family = AF_INET };
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

  from.sin_addr.s_addr = htonl (INADDR_LOOPBACK + k / PORTS);

  if (fd >= 0 && k >= PORTS
      && (setsockopt (fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one)
          || bind (fd, (struct sockaddr *)&from, sizeof from)))
    fail ("bind");

  if (fd < 0 || connect (fd, (const struct sockaddr *)addr, sizeof *addr))
    fail ("connect");

  return fd;
}

int
make_client (const struct sockaddr_in *addr)
{
  return make_client_from (addr, 0);
}

void
close_hard (int fd)
{
  struct linger linger = { 1, 0 };

  setsockopt (fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
  close (fd);
}

/* the far side connects in batches, each acknowledged, so that the backlog of
 * the listener never overflows
 */
#define BATCH 64

static void
far_side (const struct sockaddr_in *addr, int n, int control)
{
  int *fds = calloc (n, sizeof *fds);
  char byte;
  int k;

  pin (opt.peer_cpu);

  for (k = 0; k < n; ++k)
    {
      fds [k] = make_client_from (addr, k);

      if (k % BATCH == BATCH - 1 && read (control, &byte, 1) != 1)
        _exit (1);
    }

  /* told to watch them end, or the other side is gone */
  if (read (control, &byte, 1) == 1)
    {
      for (k = 0; k < n; ++k)
        if (read (fds [k], &byte, 1))
          _exit (1);

      put_byte (control);
    }

  for (k = 0; k < n; ++k)
    close_hard (fds [k]);

  _exit (0);
}

int
accept_blocking (int listener)
{
  int fd;

  while ((fd = accept4 (listener, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC)) < 0)
    if (errno != EINTR)
      fail ("accept4");

  return fd;
}

int *
make_connections (int n, struct far *far)
{
  struct sockaddr_in addr;
  int control [2], k;
  int listener = make_listener (&addr);
  int *fds = calloc (n, sizeof *fds);

  fcntl (listener, F_SETFL, 0);

  if (!fds || socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control))
    fail ("socketpair");

  if ((far->pid = fork ()) < 0)
    fail ("fork");

  if (!far->pid)
    {
      close (control [0]);
      close (listener);
      far_side (&addr, n, control [1]);
    }

  close (control [1]);
  far->control = control [0];

  for (k = 0; k < n; ++k)
    {
      fds [k] = accept_blocking (listener);

      if (k % BATCH == BATCH - 1)
        put_byte (far->control);
    }

  close (listener);
  return fds;
}

void
far_wait (struct far *far)
{
  put_byte (far->control);
  get_byte (far->control);
}

void
far_close (struct far *far)
{
  int status;

  close (far->control);

  if (waitpid (far->pid, &status, 0) != far->pid || status)
    fail ("the process at the far end");
}

/*****************************************************************************/
/* memory */

long
heap_bytes (void)
{
  struct mallinfo2 mi = mallinfo2 ();

  return mi.uordblks + mi.hblkhd;
}

long
rss_bytes (void)
{
  FILE *f = fopen ("/proc/self/status", "re");
  char line [256];
  long kb, sum = 0;

  if (!f)
    return 0;

  /* the completion ring is a file mapping */
  while (fgets (line, sizeof line, f))
    if (sscanf (line, "RssAnon: %ld", &kb) == 1
        || sscanf (line, "RssFile: %ld", &kb) == 1
        || sscanf (line, "RssShmem: %ld", &kb) == 1)
      sum += kb * 1024;

  fclose (f);
  return sum;
}

/*****************************************************************************/

static const struct option longopts [] =
{
  { "backend" , required_argument, 0, 'b' },
  { "workload", required_argument, 0, 'w' },
  { "n"       , required_argument, 0, 'n' },
  { "active"  , required_argument, 0, 'a' },
  { "ops"     , required_argument, 0, 'o' },
  { "rounds"  , required_argument, 0, 'r' },
  { "seconds" , required_argument, 0, 's' },
  { "cpu"     , required_argument, 0, 'c' },
  { "peer-cpu", required_argument, 0, 'C' },
  { "busy"    , required_argument, 0, 'B' },
  { "series"  , required_argument, 0, 'S' },
  { "unclocked", no_argument     , 0, 'u' },
  { "number"  , required_argument, 0, 'N' },
  { 0, 0, 0, 0 }
};

static void
usage (void)
{
  const struct workload *w;

  fprintf (stderr,
           "usage: %s --backend B --workload W [--n FDS] [--active FDS] [--ops N] [--rounds N] [--seconds S]\n"
           "       [--cpu N] [--peer-cpu N] [--busy SECONDS] [--series FILE] [--unclocked] [--number N]\n"
           "backends: %s\nworkloads:\n", program_invocation_short_name, peer_backends);

  for (w = workloads; w->name; ++w)
    fprintf (stderr, "  %-14s %s\n", w->name, w->what);

  exit (1);
}

static void
parse_options (int argc, char *argv [])
{
  int c;

  while ((c = getopt_long (argc, argv, "", longopts, 0)) >= 0)
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
        case 'S': opt.series   = optarg; break;
        case 'u': opt.clocked  = 0; break;
        case 'N': opt.number   = atoi (optarg); break;
        default: usage ();
      }

  if (!opt.backend || !opt.workload || opt.n < 1 || opt.active < 1 || optind < argc)
    usage ();
}

int
main (int argc, char *argv [])
{
  const struct workload *w;

  parse_options (argc, argv);

  for (w = workloads; w->name && strcmp (w->name, opt.workload); ++w)
    ;

  if (!w->name)
    usage ();

  signal (SIGPIPE, SIG_IGN);
  pin (opt.cpu);

  if (!peer_loop_new (opt.backend))
    skip ("no such backend here");

  MARK_RESET;
  w->run ();
  mark_number (opt.number);
  report ();
  return 0;
}
