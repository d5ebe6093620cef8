/*
 * scenario - every system call of the backend fails, once for each error it
 * can have, at each time it is made in a fixed program of loop operations
 *
 *   scenario [-j jobs] [-v]
 *
 * The program is one of tests/random, and so are its rules: nothing may be
 * lost, invented, left behind, and nothing may abort. Errors that last (a
 * sandbox, a quota) are tried a second time as such: from that call on.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "ev.h"
#include "machine.h"
#include "seam.h"
#include "world.h"

#define JOBS_MAX  64
#define RUNS_MAX  20000
#define BYTES_MAX 2000

/* one run: which call fails, and how */
struct fault
{
  short call, error, nth, lasting;
};

struct report
{
  int run;                  /* the one that is going on */
  unsigned long happened;   /* faults that were reached */
  unsigned long missed;
  char failure [400];
};

static unsigned char program [BYTES_MAX];
static size_t size;
static struct fault faults [RUNS_MAX];
static int faultcnt;
static unsigned long calls [SEAM_COUNT];
static struct report *reports, *mine;
static const struct fault *current;
static int jobs = 8, verbose;

/*****************************************************************************/
/* the program */

static void
op (enum machine_opcode code, int which, int how)
{
  program [size++] = machine_byte_of (code);
  program [size++] = which;
  program [size++] = 0;
  program [size++] = how;
}

enum { WANT_READ = 0 << 3, WANT_WRITE = 1 << 3, WANT_BOTH = 2 << 3 };

/* slot of a watcher: the same number, as long as there are slots */
static void watch (int which, int want) { op (OP_SET, which, want); }
static void make  (int slot, int kind)  { op (OP_OPEN, slot, kind - 1); }
static void check (void)                { op (OP_CHECK, 0, 2); op (OP_CHECK, 0, 3); }

/* a few fds: no ring yet, then one, then a larger one */
static void
part_growth (void)
{
  int i;

  make (0, WORLD_STREAM);
  make (2, WORLD_PIPE);
  watch (0, WANT_READ);
  watch (1, WANT_BOTH);
  watch (2, WANT_READ);
  check ();

  for (i = 4; i < 12; i += 2)
    {
      make (i, i & 2 ? WORLD_TCP : WORLD_STREAM);
      watch (i, WANT_READ);
      watch (i + 1, WANT_BOTH);
    }

  check ();
  op (OP_WRITE, 1, 0);
  op (OP_NOWAIT, 0, 0);
  op (OP_WRITE, 5, 0);
  check ();
  op (OP_DRAIN, 0, 0);
  op (OP_DRAIN, 4, 0);
  check ();
}

/* files that the ring does not hold, or that the kernel refuses */
static void
part_kinds (void)
{
  static const unsigned char kinds [] = {
    WORLD_FIFO, WORLD_LISTEN, WORLD_LISTEN_UNIX, WORLD_EVENTFD, WORLD_TIMERFD,
    WORLD_INOTIFY, WORLD_CONNECTING, WORLD_UDP_BOUND, WORLD_MEMFD, WORLD_PTY
  };
  int i;

  for (i = 0; i < (int)sizeof (kinds); ++i)
    {
      make (12 + i, kinds [i]);
      watch (12 + i, WANT_READ);
    }

  check ();

  for (i = 12; i < 20; ++i)
    op (OP_WRITE, i, 0);

  check ();

  for (i = 12; i < 20; ++i)
    op (OP_DRAIN, i, 0);

  check ();

  for (i = 12; i < 23; ++i)
    op (i & 1 ? OP_CLOSE : OP_CLOSE_FIRST, i, 0);

  check ();
}

/* a request that is left in flight while nobody wants its direction */
static void
part_leftover (void)
{
  op (OP_SET, 48, WANT_WRITE); /* a second watcher for slot 0 */
  check ();
  op (OP_STOP, 0, 0);
  op (OP_NOWAIT, 0, 0);
  op (OP_START, 0, 0);
  op (OP_NOWAIT, 0, 0);
  op (OP_WRITE, 1, 0);
  check ();
  op (OP_DRAIN, 0, 0);
  op (OP_STOP, 48, 0);
  check ();
}

/* what stops and starts, changes its mask, is closed and replaced while armed */
static void
part_changes (void)
{
  int i;

  for (i = 0; i < 4; ++i)
    {
      op (OP_RESTART, 0, 0);
      op (OP_NOWAIT, 0, 0);
      op (OP_MODIFY, 4, 1);
      op (OP_MODIFY, 6, 2);
      op (OP_NOWAIT, 0, 0);
      op (OP_STOP, 8, 0);
      op (OP_NOWAIT, 0, 0);
      op (OP_START, 8, 0);
      op (OP_MODIFY, 4, 0);
      check ();
    }

  op (OP_CLOSE, 8, 1);
  op (OP_CLOSE_FIRST, 10, 1);
  op (OP_REOPEN, 6, (WORLD_STREAM - 1) << 1);
  op (OP_REOPEN, 4, (WORLD_EVENTFD - 1) << 1 | 1);
  op (OP_DUP, 0, 7);
  op (OP_DUP_OVER, 0, 1 << 1);
  check ();
}

/* more fds than the ring may ever hold, and then few enough again */
static void
part_overflow (void)
{
  int i;

  for (i = 0; i < 48; i += 2)
    make (i, WORLD_STREAM);

  for (i = 0; i < 48; ++i)
    watch (i, i & 1 ? WANT_BOTH : WANT_READ);

  check ();
  check ();
  op (OP_WRITE, 3, 0);
  check ();

  for (i = 6; i < 48; ++i)
    op (OP_CLOSE, i, 0);

  for (i = 0; i < 6; ++i)
    check ();
}

/* sleeping, other watchers, a new epoll, children */
static void
part_rest (void)
{
  op (OP_STOP, 1, 0);
  op (OP_STOP, 3, 0);
  op (OP_STOP, 5, 0);
  op (OP_DRAIN, 2, 0);
  op (OP_BLOCK, 0, 0);
  op (OP_TIMER, 0, 1);
  op (OP_ASYNC, 0, 0);
  op (OP_SIGNAL, 0, 0);
  op (OP_BUSY, 0, 1);
  op (OP_BLOCK, 0, 0);
  check ();
  make (20, WORLD_FIFO);
  watch (20, WANT_READ);
  check ();
  op (OP_RENEW, 0, 0);
  check ();
  op (OP_FORK, 0, 0);
  check ();
  op (OP_FORK, 0, 3);
  op (OP_NEST, 0, 1);
  op (OP_WRITE, 1, 0);
  op (OP_NOWAIT, 0, 0);
  check ();
}

/* a file beside which there must be no ring */
static void
part_personal (void)
{
  make (22, WORLD_SIGNALFD);
  watch (22, WANT_READ);
  check ();
  op (OP_WRITE, 22, 0);
  op (OP_WRITE, 1, 0);
  check ();
}

/* write interest that comes and goes beside a read, on epoll altogether: what is found at once, what stays, what is not */
static void
part_writes (void)
{
  int i;

  make (8, WORLD_STREAM);
  watch (8, WANT_READ);
  watch (48 + 8, WANT_WRITE);
  check ();

  for (i = 0; i < 3; ++i)
    {
      op (OP_STOP, 48 + 8, 0);
      op (OP_NOWAIT, 0, 0);
      op (OP_START, 48 + 8, 0);
      op (OP_NOWAIT, 0, 0);

      if (i)
        check ();
    }

  op (OP_WRITE, 9, 0);
  check ();
}

static void
build_program (void)
{
  program [size++] = 10;          /* 48 slots */
  program [size++] = 2 | 3 << 3 | 1 << 6; /* a ring of 4 requests at once, one of 40 later */
  program [size++] = 8 | 16 | 96; /* signals; watchers stopped at the end; all kinds of files */
  program [size++] = 63;          /* never weighed */

  part_growth ();
  part_kinds ();
  part_leftover ();
  part_changes ();
  part_overflow ();
  part_rest ();
  part_personal ();
  part_writes ();
}

/*****************************************************************************/
/* running it */

static void
failed (const char *what)
{
  if (!*mine->failure)
    snprintf (mine->failure, sizeof (mine->failure), "%s", what);

  _exit (1);
}

static void
arrange (void)
{
  if (current)
    seam_arrange (current->call, current->error, current->nth, current->lasting);
}

static void
run_once (int trace)
{
  static struct machine_tally tally;
  struct machine_options options = { 0 };

  options.backend     = EVBACKEND_LINUXAIO;
  options.patience_ms = 10000;
  options.arrange     = arrange;
  options.trace       = trace;
  machine_run (program, size, &options, &tally);
}

static pid_t
start (struct report *report)
{
  pid_t parent = getpid ();
  pid_t pid;

  fflush (stdout);
  pid = fork ();

  if (pid < 0)
    {
      perror ("scenario: fork");
      exit (1);
    }

  if (!pid)
    {
      prctl (PR_SET_PDEATHSIG, SIGKILL);
      if (getppid () != parent)
        _exit (1);

      mine = report;
      machine_failed = failed;
    }

  return pid;
}

static void
worker_main (int job)
{
  int i;

  for (i = job; i < faultcnt; i += jobs)
    {
      mine->run = i;
      current   = faults + i;
      alarm (120);
      run_once (0);

      if (seam_failures ())
        ++mine->happened;
      else
        ++mine->missed;
    }

  exit (0);
}

/* how often each call is made at least, for it depends on kernel workers, too */
static void
count_calls (void)
{
  int call, i;

  for (i = 0; i < 5; ++i)
    {
      run_once (verbose && !i);

      for (call = 0; call < SEAM_COUNT; ++call)
        if (!i || calls [call] > seam_calls (call))
          calls [call] = seam_calls (call);
    }
}

/* the calls of runs in which nothing fails say what can fail */
static void
plan_faults (void)
{
  int call, i;
  unsigned long nth;

  count_calls ();

  for (call = 0; call < SEAM_COUNT; ++call)
    {
      printf ("%s%lu %s", call ? ", " : "", calls [call], seam_name (call));

      for (i = 0; seam_error (call, i); ++i)
        for (nth = 1; nth <= calls [call] && faultcnt < RUNS_MAX - 1; ++nth)
          {
            struct fault f = { call, seam_error (call, i), nth, 0 };

            faults [faultcnt++] = f;
            f.lasting = 1;

            /* interrupted for ever: nothing could ever be delivered */
            if (f.error != EINTR)
              faults [faultcnt++] = f;
          }
    }

  putchar ('\n');
}

/* a scenario that does not make a call says nothing about its failure */
static int
unused_call (void)
{
  int call;

  /* read_file is for kernels whose version does not tell */
  for (call = 0; call < SEAM_COUNT; ++call)
    if (!calls [call] && call != SEAM_read_file)
      {
        printf ("FAILED: the scenario never calls %s\n", seam_name (call));
        return 1;
      }

  return 0;
}

static void
print_fault (const struct fault *f)
{
  printf ("%s number %d says %s%s", seam_name (f->call), f->nth, seam_error_name (f->error),
          f->lasting ? ", and so do all later ones" : "");
}

static int
judge (struct report *report, int status)
{
  if (WIFEXITED (status) && !WEXITSTATUS (status))
    return 0;

  printf ("FAILED: ");
  print_fault (faults + report->run);
  printf (": %s\n", *report->failure ? report->failure
                    : WIFSIGNALED (status) ? strsignal (WTERMSIG (status)) : "exit status not 0");
  return 1;
}

int
main (int argc, char **argv)
{
  unsigned long happened = 0, missed = 0;
  int c, i, status, bad = 0;
  pid_t pids [JOBS_MAX];

  while ((c = getopt (argc, argv, "j:v")) != -1)
    if (c == 'j')
      jobs = atoi (optarg);
    else if (c == 'v')
      verbose = 1;
    else
      return 1;

  if (jobs < 1 || jobs > JOBS_MAX)
    {
      fprintf (stderr, "scenario: between 1 and %d jobs\n", JOBS_MAX);
      return 1;
    }

  reports = (struct report *)mmap (0, (jobs + 1) * sizeof (*reports), PROT_READ | PROT_WRITE,
                                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  mine = reports + jobs;
  machine_failed = failed;
  seam_share_quota ();
  build_program ();
  plan_faults ();

  if (unused_call ())
    return 1;

  for (i = 0; i < jobs; ++i)
    if (!(pids [i] = start (reports + i)))
      worker_main (i);

  for (i = 0; i < jobs; ++i)
    {
      waitpid (pids [i], &status, 0);
      bad      += judge (reports + i, status);
      happened += reports [i].happened;
      missed   += reports [i].missed;
    }

  printf ("%d faults arranged, %lu happened, %lu not (timing)%s\n",
          faultcnt, happened, missed, bad ? "" : ": no finding");

  if (missed > happened / 2)
    {
      printf ("FAILED: too many faults were never reached\n");
      return 1;
    }

  return !!bad;
}
