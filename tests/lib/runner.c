/*
 * Runs the tests, each in a process of its own, over the loops it names.
 *
 *   PROGRAM [-t PART_OF_NAME] [-l LOOP] [-j JOBS] [-f FILE] [-n]
 *
 * -f: failures are written to FILE, too. -n: the first test that fits is run, and in
 * this process, for a debugger. PATIENCE in the environment multiplies all limits of time.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include <execinfo.h>
#include <getopt.h>

#include "fixture.h"

/* the loops to run on unless one is asked for */
#ifndef TEST_LOOPS
# define TEST_LOOPS ALL
#endif

#define JOBS     16
#define STALL     6 /* seconds without a sign of progress, after which a test is stuck */
#define LOOKS     4 /* how often it is looked for: a process that is kept from running has its time */
#define ENOUGH    3 /* failures, after which the rest of a loop is left out; twice as many: the rest of all */
#define FRAMES  100

/* how a test ended, unless it ended well */
typedef struct report
{
  int skipped, line;
  char file [200], text [800];
  void *own; /* an address in the test itself */
} report;

static struct loop_kind
{
  const char *name;
  unsigned bit, flags;
  int failed;
} kinds [] = {
  { "ring"  , RING  , EVBACKEND_LINUXAIO, 0 },
  { "64"    , COLD  , EVBACKEND_LINUXAIO, 0 },
  { "68"    , MIXED , EVBACKEND_LINUXAIO | EVBACKEND_EPOLL, 0 },
  { "epoll" , EPOLL , EVBACKEND_EPOLL   , 0 },
  { "poll"  , POLL  , EVBACKEND_POLL    , 0 },
  { "select", SELECT, EVBACKEND_SELECT  , 0 }
};

#define KINDS (sizeof (kinds) / sizeof (kinds [0]))

static test *tests, **last = &tests;
static struct loop_kind *kind;
static const char *part = "", *loop_name = "";
static FILE *failures;
static int forking = 1, jobs = 4; /* they sleep most of the time */
static int passed, failed, skipped, left_out;

static struct job
{
  pid_t pid; /* 0: none */
  int fd;
  test *t;
} running [JOBS];

static int busy; /* of them */

static int report_fd = -1;
static int bottom;       /* frames below the test */
static void *below_test; /* the lowest of them but one */
static int *beats;       /* signs of progress, of a test and its children */

void
test_register (test *t)
{
  *last = t;
  last  = &t->next;
}

int
patience_factor (void)
{
  const char *factor = getenv ("PATIENCE");

  return factor ? atoi (factor) : 1;
}

/*****************************************************************************/
/* in the process of a test */

static void __attribute__ ((noreturn))
end_test (report *r, const char *format, va_list ap)
{
  vsnprintf (r->text, sizeof (r->text), format, ap);

  if (!forking || write (report_fd, r, sizeof (*r)) < 0)
    fprintf (stderr, "%s:%d: %s\n", r->file, r->line, r->text);

  _exit (1);
}

void
give_up (const char *file, int line, const char *format, ...)
{
  void *frames [FRAMES];
  int count = backtrace (frames, FRAMES);
  report r = { 0, line, "", "", 0 };
  va_list ap;

  /* the frame that call_test has called is the test, wherever it is now */
  if (count > bottom && bottom > 1 && frames [count - bottom + 1] == below_test)
    r.own = frames [count - bottom - 1];

  snprintf (r.file, sizeof (r.file), "%s", file);
  va_start (ap, format);
  end_test (&r, format, ap);
}

void
skip (const char *format, ...)
{
  report r = { 1, 0, "", "", 0 };
  va_list ap;

  va_start (ap, format);
  end_test (&r, format, ap);
}

#define STALLED (SIGRTMAX - 1) /* none of those that tests use */

__thread struct wish wish;

static void
on_signal (int signum)
{
  char values [60] = "";

  if (signum != STALLED)
    give_up ("", 0, "killed by signal %d (%s)", signum, strsignal (signum));

  if (wish.values < 0) /* a child says more, if it is a child that is stuck */
    sleep (2 * patience_factor ());

  if (!wish.text)
    give_up ("", 0, "stuck: nothing has happened for %d seconds", STALL * patience_factor ());

  if (wish.values > 0)
    snprintf (values, sizeof (values), ", it is %lld and %lld", wish.a, wish.b);

  give_up (wish.file, wish.line, "waited in vain for: %s%s", wish.text, values);
}

void
progress (void)
{
  if (beats)
    __atomic_add_fetch (beats, 1, __ATOMIC_RELAXED);
}

static pthread_t watched;

/* a thread of its own: a signal that comes before it is too late would wake up a loop that nothing else does */
static void *
look_after (void *unused)
{
  long long ns = STALL * patience_factor () * (1000000000LL / LOOKS);
  struct timespec period = { ns / 1000000000, ns % 1000000000 };

  for (int seen = -1, quiet = 0; quiet < LOOKS; )
    {
      int now;

      nanosleep (&period, 0);
      now   = beats ? __atomic_load_n (beats, __ATOMIC_RELAXED) : 0;
      quiet = now == seen ? quiet + 1 : 0;
      seen  = now;
    }

  pthread_kill (watched, STALLED);
  return 0;
}

/* the handler runs in the thread of the test, or of a child of it */
void
watch_over (void)
{
  sigset_t before, all;
  pthread_t id;
  int error;

  watched = pthread_self ();
  signal (STALLED, on_signal);
  sigfillset (&all);
  pthread_sigmask (SIG_SETMASK, &all, &before);
  error = pthread_create (&id, 0, look_after, 0);
  pthread_sigmask (SIG_SETMASK, &before, 0);

  if (error)
    give_up ("", 0, "no thread: %s", strerror (error));
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
  backend       = kind->bit;
  backend_flags = kind->flags;
  beats = (int *)mmap (0, sizeof (*beats), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  watch_over ();

  if (forking)
    {
      signal (SIGABRT, on_signal);
      signal (SIGSEGV, SANITIZED ? SIG_DFL : on_signal);
    }

  fixture_setup ();
  call_test (t);
  fixture_teardown ();
}

/*****************************************************************************/
/* telling */

/* file and line of the test that the address is in, of the outermost function if some are inlined */
static void
find_own_line (void *address, char *line, size_t size)
{
#if __PIE__
  extern const char __executable_start;
  const char *base = &__executable_start;
#else
  const char *base = 0;
#endif
  char buf [400], *at;
  FILE *f;

  snprintf (buf, sizeof (buf), "addr2line -i -e /proc/%d/exe %#lx 2>/dev/null", (int)getpid (),
            (unsigned long)((const char *)address - base - 1));
  f = address ? popen (buf, "r") : 0;

  while (f && fgets (buf, sizeof (buf), f))
    if ((at = strstr (buf, "tests/")))
      snprintf (line, size, "%.*s", (int)strcspn (at, " \n"), at);

  if (f)
    pclose (f);
}

static void
print_failure (FILE *f, test *t, report *r, const char *own)
{
  char place [230];

  snprintf (place, sizeof (place), "%s:%d", r->file, r->line);
  fprintf (f, "FAILED %s, loop %s, libev %s\n", t->name, kind->name, TEST_FLAVOUR);
  fprintf (f, "  %s: %s", own, r->text);
  fprintf (f, r->line && strcmp (own, place) ? " (%s)\n" : "\n", place);
  fprintf (f, "  again: make check-%s TEST=%s LOOP=%s FLAVOUR=%s\n", program_invocation_short_name, t->name, kind->name, TEST_FLAVOUR);
  fflush (f);
}

static void
finish (struct job *j, int status)
{
  static char reason [sizeof (((report *)0)->text)];
  char own [220];
  report r;

  if (read (j->fd, &r, sizeof (r)) != sizeof (r))
    {
      memset (&r, 0, sizeof (r));
      snprintf (r.text, sizeof (r.text), "ended with wait status %#x", status);
    }

  if (!status)
    ++passed;
  else if (r.skipped)
    {
      /* the same reason is given once */
      if (strcmp (reason, r.text))
        printf ("skipped %s, loop %s: %s\n", j->t->name, kind->name, r.text);

      strcpy (reason, r.text);
      ++skipped;
    }
  else
    {
      snprintf (own, sizeof (own), "%s:%d", j->t->file, j->t->line); /* unless a better one is found */
      find_own_line (r.own, own, sizeof (own));
      print_failure (stderr, j->t, &r, own);

      if (failures)
        print_failure (failures, j->t, &r, own);

      ++failed;
      ++kind->failed;
    }

  close (j->fd);
  j->pid = 0;
}

/*****************************************************************************/
/* running */

static void
launch (struct job *j, test *t)
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
  j->t  = t;
  j->fd = fd [0];
  ++busy;
}

/* until no more than that many are running */
static void
wait_until (int most)
{
  int i, status;
  pid_t pid;

  for (; busy > most; --busy)
    {
      pid = waitpid (-1, &status, 0);

      for (i = 0; running [i].pid != pid; ++i)
        ;

      finish (running + i, status);
    }
}

static void
start_test (test *t)
{
  int i = 0;

  wait_until (jobs - 1);

  if (!forking)
    {
      run_test (t);
      printf ("%s, loop %s: passed\n", t->name, kind->name);
      exit (0);
    }

  if (kind->failed >= ENOUGH || failed >= ENOUGH * 2)
    {
      ++left_out;
      return;
    }

  while (running [i].pid)
    ++i;

  launch (running + i, t);
}

/* part of the name, unless it is the whole name of one */
static int
selected (test *t)
{
  for (test *other = tests; other; other = other->next)
    if (!strcmp (other->name, part))
      return t == other;

  return !!strstr (t->name, part);
}

/* returns how many were meant, also those that run where libev is compiled in */
static int
run_all (void)
{
  int count = 0;

  for (kind = kinds; kind < kinds + KINDS; ++kind)
    {
      if (*loop_name ? strcmp (kind->name, loop_name) : !(kind->bit & TEST_LOOPS))
        continue;

      for (test *t = tests; t; t = t->next)
        if (t->on & kind->bit && selected (t))
          {
            ++count;

            if (!(t->on & COMPILED) || IS_COMPILED)
              start_test (t);
          }

      wait_until (0);
    }

  return count;
}

int
main (int argc, char **argv)
{
  int opt;

  setlinebuf (stdout);

  while ((opt = getopt (argc, argv, "t:l:j:f:n")) != -1)
    switch (opt)
      {
        case 't': part = optarg; break;
        case 'l': loop_name = optarg; break;
        case 'j': jobs = atoi (optarg) < JOBS ? atoi (optarg) : JOBS; break;
        case 'f': failures = fopen (optarg, "ae"); break;
        case 'n': forking = 0; break;
        default : return 2;
      }

  if (!run_all ())
    {
      fprintf (stderr, "check-%s: no test is called TEST=%s and runs on LOOP=%s\n", program_invocation_short_name, part, loop_name);
      return 2;
    }

  printf ("%s, libev %s: %d passed, %d failed, %d skipped", program_invocation_short_name, TEST_FLAVOUR, passed, failed, skipped);
  printf (left_out ? ", %d left out after so many failures\n" : "\n", left_out);

  return failed ? 1 : 0;
}
