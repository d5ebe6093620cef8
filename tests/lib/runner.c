/*
 * Runs the tests, each in a process of its own, over the loops it names.
 *
 *   PROGRAM [-t PART_OF_NAME] [-l LOOP] [-j JOBS] [-f FILE] [-n]
 *
 * -f: failures are written to FILE, too. -n: without a process of its own, for
 * a debugger. PATIENCE in the environment multiplies all limits of time.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include <execinfo.h>
#include <ftw.h>
#include <getopt.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <time.h>

#include "fixture.h"

#include <link.h> /* its EV_NONE is a macro: after that of ev.h */

#ifndef TEST_FLAVOUR
# define TEST_FLAVOUR "installed"
#endif

/* the loops to run on unless one is asked for */
#ifndef TEST_LOOPS
# define TEST_LOOPS ALL
#endif

#define JOBS     16
#define STALL     8 /* seconds without a sign of progress, after which a test is stuck */
#define LONGEST  60 /* seconds that a test may take */
#define ENOUGH    3 /* failures, after which the rest of a loop is left out */
#define FRAMES  100

/* how a test ended, unless it ended well */
typedef struct report
{
  int skipped, line;
  char file [200], text [800];
  void *own; /* an address in the test itself */
} report;

typedef struct job
{
  pid_t pid; /* 0: none */
  int fd;
  test *t;
  time_t since;
} job;

static const struct loop_kind
{
  const char *name;
  unsigned bit, flags;
} kinds [] = {
  { "select", SELECT, EVBACKEND_SELECT },
  { "poll"  , POLL  , EVBACKEND_POLL   },
  { "epoll" , EPOLL , EVBACKEND_EPOLL  },
  { "64"    , COLD  , EVBACKEND_LINUXAIO },
  { "ring"  , RING  , EVBACKEND_LINUXAIO },
  { "68"    , MIXED , EVBACKEND_LINUXAIO | EVBACKEND_EPOLL }
};

#define KINDS (sizeof (kinds) / sizeof (kinds [0]))

static test *tests, **last = &tests;
static const struct loop_kind *kind;
static const char *part, *loop_name, *failures_path;
static int forking = 1, jobs = 4; /* they sleep most of the time */
static int failed_here, passed, failed, skipped, left_out;
static int elsewhere; /* tests that another flavour runs */
static job running [JOBS];

static int report_fd = -1;
static pid_t test_pid;
static int bottom;          /* frames below the test */
static void *below_test;    /* the lowest of them but one */
static timer_t stall;

void
test_register (test *t)
{
  *last = t;
  last  = &t->next;
}

unsigned
backend_flag (void)
{
  return kind->flags;
}

const char *
backend_name (void)
{
  return kind->name;
}

int
patience_factor (void)
{
  const char *factor = getenv ("PATIENCE");

  return factor ? atoi (factor) : 1;
}

/*****************************************************************************/
/* in the process of a test */

/* the frame that call_test has called: the test, wherever it is now */
static void *
own_frame (void)
{
  void *frames [FRAMES];
  int count = backtrace (frames, FRAMES);

  return count > bottom && bottom > 1 && frames [count - bottom + 1] == below_test ? frames [count - bottom - 1] : 0;
}

static void
tell (report *r, const char *format, va_list ap)
{
  vsnprintf (r->text, sizeof (r->text), format, ap);

  if (!forking)
    fprintf (stderr, "%s:%d: %s\n", r->file, r->line, r->text);
  else if (write (report_fd, r, sizeof (*r)) < 0)
    perror ("report");

  _exit (1);
}

void
give_up (const char *file, int line, const char *format, ...)
{
  va_list ap;
  report r;

  memset (&r, 0, sizeof (r));
  snprintf (r.file, sizeof (r.file), "%s", file);
  r.line = line;
  r.own  = own_frame ();
  va_start (ap, format);
  tell (&r, format, ap);
  abort ();
}

void
skip (const char *format, ...)
{
  va_list ap;
  report r;

  memset (&r, 0, sizeof (r));
  r.skipped = 1;
  va_start (ap, format);
  tell (&r, format, ap);
  abort ();
}

static void
on_signal (int signum)
{
  if (signum == SIGALRM)
    give_up ("", 0, "stuck: nothing has happened for %d seconds", STALL * patience_factor ());

  give_up ("", 0, "killed by signal %d (%s)", signum, strsignal (signum));
}

/* a signal that is not one of those that tests use: the handler runs in the thread of the test */
#define STALLED (SIGRTMAX - 1)

static void
on_stall (int signum)
{
  (void)signum;
  on_signal (SIGALRM);
}

void
progress (void)
{
  struct itimerspec t;

  if (!forking || getpid () != test_pid)
    return;

  memset (&t, 0, sizeof (t));
  t.it_value.tv_sec = STALL * patience_factor ();
  timer_settime (stall, 0, &t, 0);
}

/* in a child of the test, whose end its parent sees */
void
unwatched (void)
{
  signal (SIGABRT, SIG_DFL);
  signal (SIGSEGV, SIG_DFL);
}

static void
watch_over (void)
{
  struct sigevent ev;

  memset (&ev, 0, sizeof (ev));
  ev.sigev_notify = SIGEV_THREAD_ID;
  ev.sigev_signo  = STALLED;
#ifndef sigev_notify_thread_id
# define sigev_notify_thread_id _sigev_un._tid
#endif
  ev.sigev_notify_thread_id = syscall (SYS_gettid);
  signal (STALLED, on_stall);
  timer_create (CLOCK_MONOTONIC, &ev, &stall);
  signal (SIGABRT, on_signal);
#ifndef __SANITIZE_ADDRESS__
  signal (SIGSEGV, on_signal);
#endif
  progress ();
}

static void __attribute__ ((noinline))
call_test (test *t)
{
  void *frames [FRAMES];

  bottom     = backtrace (frames, FRAMES);
  below_test = frames [1];
  t->body ();
  __asm__ volatile ("" ::: "memory"); /* this is no tail call */
}

static void
run_test (test *t)
{
  test_pid = getpid ();
  backend  = kind->bit;

  if (forking)
    watch_over ();

  fixture_setup (t->on & ALONE);
  call_test (t);
  fixture_teardown ();
}

/*****************************************************************************/
/* telling */

static int
base_address (struct dl_phdr_info *info, size_t size, void *res)
{
  (void)size;
  *(uintptr_t *)res = info->dlpi_addr;

  return 1; /* the first is the program itself */
}

/* file and line of the test that the address is in, of the outermost function if some are inlined */
static void
own_line (void *address, char *line, int size)
{
  uintptr_t base = 0;
  char command [100], path [200], buf [400];
  FILE *f;
  char *at;
  ssize_t len = readlink ("/proc/self/exe", path, sizeof (path) - 1);

  line [0] = 0;

  if (!address || len < 0)
    return;

  path [len] = 0;
  dl_iterate_phdr (base_address, &base);
  snprintf (command, sizeof (command), "addr2line -i -e /proc/%d/exe %#lx 2>/dev/null", (int)getpid (),
            (unsigned long)((uintptr_t)address - base - 1));
  f = popen (command, "r");

  while (f && fgets (buf, sizeof (buf), f))
    if ((at = strstr (buf, "tests/")) && strcspn (at, " \n") < (size_t)size)
      snprintf (line, size, "%.*s", (int)strcspn (at, " \n"), at);

  if (f)
    pclose (f);
}

static void
print_failure (FILE *f, test *t, report *r, const char *own)
{
  char place [230];

  snprintf (place, sizeof (place), r->line ? "%s:%d" : "%s", r->file, r->line);
  fprintf (f, "FAILED %s, loop %s, libev %s\n", t->name, kind->name, TEST_FLAVOUR);

  if (*own && r->line && strcmp (own, place))
    fprintf (f, "  %s: %s (%s)\n", own, r->text, place);
  else if (*own || r->line)
    fprintf (f, "  %s: %s\n", *own ? own : place, r->text);
  else
    fprintf (f, "  %s:%d: %s\n", t->file, t->line, r->text);

  fprintf (f, "  again: make check-%s TEST=%s LOOP=%s FLAVOUR=%s\n", program_invocation_short_name, t->name, kind->name, TEST_FLAVOUR);
  fflush (f);
}

static void
failure (test *t, report *r)
{
  FILE *f = failures_path ? fopen (failures_path, "ae") : 0;
  char own [220];

  own_line (r->own, own, sizeof (own));
  print_failure (stderr, t, r, own);

  if (f)
    {
      print_failure (f, t, r, own);
      fclose (f);
    }

  ++failed;
  ++failed_here;
}

static int
remove_entry (const char *path, const struct stat *st, int type, struct FTW *ftw)
{
  (void)st, (void)type, (void)ftw;

  return remove (path);
}

static void
remove_temporary (pid_t pid)
{
  char path [200];

  temporary_directory (path, sizeof (path), pid);
  nftw (path, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void
finish (job *j, int status)
{
  report r;
  ssize_t len = read (j->fd, &r, sizeof (r));

  if (len != sizeof (r))
    {
      memset (&r, 0, sizeof (r));

      if (!status)
        ++passed;
      else if (WIFSIGNALED (status))
        snprintf (r.text, sizeof (r.text), "killed by signal %d (%s)", WTERMSIG (status), strsignal (WTERMSIG (status)));
      else
        snprintf (r.text, sizeof (r.text), "ended with status %d", WEXITSTATUS (status));
    }
  else if (r.skipped)
    {
      printf ("skipped %s, loop %s: %s\n", j->t->name, kind->name, r.text);
      ++skipped;
      status = 0;
    }

  if (status)
    failure (j->t, &r);

  close (j->fd);
  remove_temporary (j->pid);
  j->pid = 0;
}

/*****************************************************************************/
/* running */

static time_t
seconds (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);

  return now.tv_sec;
}

static void
launch (job *j, test *t)
{
  int fd [2];

  if (pipe2 (fd, O_CLOEXEC | O_NONBLOCK) || (fflush (0), j->pid = fork ()) < 0)
    {
      perror (t->name);
      exit (2);
    }

  if (!j->pid)
    {
      close (fd [0]);
      report_fd = fd [1];
      run_test (t);
      _exit (0);
    }

  close (fd [1]);
  j->t     = t;
  j->fd    = fd [0];
  j->since = seconds ();
}

/* until no more than that many are running; each test holds its end of a pipe as long as it lives */
static void
wait_until (int most)
{
  for (;;)
    {
      struct pollfd ends [JOBS];
      int i, status, busy = 0;

      for (i = 0; i < jobs; ++i)
        {
          job *j = running + i;

          if (j->pid && waitpid (j->pid, &status, WNOHANG) == j->pid)
            finish (j, status);
          else if (j->pid && seconds () - j->since > LONGEST * patience_factor ())
            kill (j->pid, SIGKILL);

          if (j->pid)
            {
              ends [busy].fd       = j->fd;
              ends [busy++].events = 0;
            }
        }

      if (busy <= most)
        return;

      poll (ends, busy, 10);
    }
}

static void
start_test (test *t)
{
  int i = 0;

  wait_until (t->on & ALONE ? 0 : jobs - 1);

  if (failed_here >= ENOUGH)
    {
      ++left_out;
      return;
    }

  while (running [i].pid)
    ++i;

  launch (running + i, t);

  if (t->on & ALONE)
    wait_until (0);
}

/* part of the name, unless it is the whole name of one */
static int
selected (test *t)
{
  test *other;

  for (other = part ? tests : 0; other; other = other->next)
    if (!strcmp (other->name, part))
      return t == other;

  return !part || strstr (t->name, part);
}

static int
runs_here (test *t, const struct loop_kind *k)
{
  if (!(t->on & k->bit) || (loop_name ? strcmp (k->name, loop_name) : !(k->bit & TEST_LOOPS)) || !selected (t))
    return 0;

#if !TINY
  if (t->on & COMPILED)
    {
      ++elsewhere;
      return 0;
    }
#endif

  return 1;
}

/*
 * The AIO quota is one for the whole machine. Whoever relies on having a ring
 * shares this lock, and whoever uses up the quota holds it alone, also against
 * runs of other users and from other directories: the lock is on the limit itself.
 */
static void
lock_quota (int alone)
{
  static int fd = -1;

  if (fd < 0)
    fd = open ("/proc/sys/fs/aio-max-nr", O_RDONLY | O_CLOEXEC);

  if (fd >= 0 && flock (fd, (alone ? LOCK_EX : LOCK_SH) | LOCK_NB))
    {
      puts ("waiting for other tests on this machine to end");

      while (flock (fd, alone ? LOCK_EX : LOCK_SH) && errno == EINTR)
        ;
    }
}

/* on all loops: what may run beside others, or what may not */
static int
run_all (unsigned alone)
{
  int count = 0;
  unsigned i;
  test *t;

  for (i = 0; i < KINDS; ++i)
    {
      kind        = kinds + i;
      failed_here = left_out = 0;

      for (t = tests; t; t = t->next)
        if (runs_here (t, kind) && (t->on & ALONE) == alone)
          {
            if (!count++)
              lock_quota (alone);

            start_test (t);
          }

      wait_until (0);

      if (left_out)
        printf ("loop %s: %d failures, %d tests left out\n", kind->name, failed_here, left_out);
    }

  return count;
}

static int
debug (void)
{
  const struct loop_kind *k;
  int count = 0;
  test *t, *which = 0;

  for (k = kinds; k < kinds + KINDS; ++k)
    for (t = tests; t; t = t->next)
      if (runs_here (t, k) && ++count)
        {
          kind  = k;
          which = t;
        }

  if (count != 1)
    {
      fprintf (stderr, "one test on one loop is wanted, TEST=%s LOOP=%s are %d\n", part ? part : "", loop_name ? loop_name : "", count);
      return 2;
    }

  run_test (which);
  printf ("%s, loop %s: passed\n", which->name, kind->name);

  return 0;
}

int
main (int argc, char **argv)
{
  int opt;

  while ((opt = getopt (argc, argv, "t:l:j:f:n")) != -1)
    switch (opt)
      {
        case 't': part = *optarg ? optarg : 0; break;
        case 'l': loop_name = *optarg ? optarg : 0; break;
        case 'j': jobs = atoi (optarg); break;
        case 'f': failures_path = optarg; break;
        case 'n': forking = 0; break;
        default : return 2;
      }

  jobs = jobs < 1 ? 1 : jobs > JOBS ? JOBS : jobs;

  setlinebuf (stdout);

  if (!forking)
    return debug ();

  if (!(run_all (0) + run_all (ALONE) + elsewhere))
    {
      fprintf (stderr, "check-%s: no test is called TEST=%s and runs on LOOP=%s\n",
               program_invocation_short_name, part ? part : "", loop_name ? loop_name : "");
      return 2;
    }

  printf ("%s, libev %s: %d passed, %d failed, %d skipped\n", program_invocation_short_name, TEST_FLAVOUR, passed, failed, skipped);

  return failed ? 1 : 0;
}
