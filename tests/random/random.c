/*
 * random - runs random programs of loop operations and judges them by poll(2)
 *
 *   random [-s seed] [-n operations] [-j jobs] [-b backend] [-p patience] [-o file]
 *   random -r file...     runs programs from files, printing what they do with -t
 *   random -S file...     runs each of them again and again; each time another call of
 *                         the backend fails, in each way it can, once or from then on
 *   random -r -f io_submit:3:EPERM[+] file   one of these, + for from then on
 *
 * A random program that breaks a rule is cut down to a short one that still does,
 * which is printed, and stored in the file given with -o. -p is the time in
 * milliseconds after which an event counts as lost; -b is libev's number of a backend.
 */

#include "system.h"
#include "ev.h"
#include "machine.h"
#include "fault.h"

#define JOBS_MAX       64
#define SIZE_MAX_OPS   24000
#define PROGRAM_MAX    (MACHINE_HEADER + SIZE_MAX_OPS * 2 * MACHINE_OP)
#define TRIALS_MAX     200000
#define STRIDE(calls)  ((calls) / 60 + 1)
#define SHRINK_SECONDS 200.  /* how long to look for a shorter program */

/* what a worker shares with the process that watches it */
struct report
{
  struct machine_tally tally;
  unsigned long program;     /* number of the one that runs */
  unsigned long calls [FAULT_COUNT], failures;
  char failure [400];
};

/* a program from a file, and what fails in it */
struct trial
{
  const char *path;
  int call, error, nth, lasting;
};

static struct report *reports;      /* one a job, the last one for replays */
static struct report *mine;
static struct machine_options options;
static struct trial *trials;        /* instead of random programs, if there are any */
static const struct trial *current;
static unsigned long trialcnt;
static uint64_t seed;
static unsigned long wanted = 200000;
static int jobs = 2;
static const char *output;

/*****************************************************************************/
/* random numbers: splitmix64, so that a program depends on its number alone */

static uint64_t random_state;

static uint64_t
random_next (void)
{
  uint64_t z = random_state += 0x9e3779b97f4a7c15u;

  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

static unsigned
random_below (unsigned n)
{
  return random_next () % n;
}

/* runs of the loop cost as much as there are descriptors: with many, they are left out more often */
static int
unwanted (const unsigned char *enabled, unsigned char width, unsigned char byte)
{
  int op = machine_opcode_of (byte);
  int runs = op == OP_NOWAIT || op == OP_BLOCK || op == OP_CHECK;

  return !enabled [op] || (runs && (width & 15) >= 12 && random_below (1 << (2 * ((width & 15) - 11))));
}

/*
 * Each program leaves out some operations altogether, so that there are
 * programs without checks that run long, without closes that fill up, ...
 */
static size_t
generate (unsigned char *program, unsigned long index)
{
  unsigned char enabled [OP_COUNT];
  int count;

  random_state = seed ^ index * 0xd1342543de82ef95u;
  random_next ();

  count = 16 << random_below (11);
  count = count / 2 + random_below (count);
  if (count > SIZE_MAX_OPS)
    count = SIZE_MAX_OPS;

  for (int i = 0; i < MACHINE_HEADER; ++i)
    program [i] = random_next ();

  for (int op = 0; op < OP_COUNT; ++op)
    enabled [op] = random_below (8) > 0;

  if (random_below (2))
    enabled [OP_FAULT] = 0;

  enabled [OP_MAKE] = enabled [OP_SET] = 1;

  for (int i = 0; i < count * MACHINE_OP; ++i)
    do
      program [MACHINE_HEADER + i] = random_next ();
    while (i % MACHINE_OP == 0 && unwanted (enabled, program [0], program [MACHINE_HEADER + i]));

  return MACHINE_HEADER + (size_t)count * MACHINE_OP;
}

/*****************************************************************************/
/* workers */

static void
worker_failed (const char *what)
{
  if (!*mine->failure)
    snprintf (mine->failure, sizeof (mine->failure), "%s", what);

  _exit (1);
}

static void
die (const char *what)
{
  perror (what);
  exit (1);
}

static size_t
load (const char *path, unsigned char *program)
{
  FILE *f = fopen (path, "r");
  size_t size;

  if (!f)
    die (path);

  size = fread (program, 1, PROGRAM_MAX, f);
  fclose (f);
  return size;
}

static void
arrange (void)
{
  if (current && current->error)
    fault_arrange (current->call, current->error, current->nth, current->lasting);
}

static void
worker_main (int job)
{
  static unsigned char program [PROGRAM_MAX];
  unsigned long share = wanted / jobs + (job < (int)(wanted % jobs));

  options.limit = trialcnt ? 0 : share;

  for (mine->program = job; trialcnt ? mine->program < trialcnt : mine->tally.operations < share; mine->program += jobs)
    {
      current = trialcnt ? trials + mine->program : 0;
      machine_run (program, current ? load (current->path, program) : generate (program, mine->program),
                   &options, &mine->tally);
      mine->failures += !!fault_failures;
    }

  exit (0);
}

static pid_t
start (struct report *report)
{
  pid_t parent = getpid ();
  pid_t pid;

  fflush (stdout);
  pid = fork ();

  if (pid < 0)
    die ("random: fork");

  if (!pid)
    {
      prctl (PR_SET_PDEATHSIG, SIGKILL);
      if (getppid () != parent)
        _exit (1);

      mine = report;
      machine_failed = worker_failed;
    }

  return pid;
}

/* why a worker ended, in its report; returns whether it failed */
static int
judge_end (struct report *report, int status)
{
  if (WIFEXITED (status) && !WEXITSTATUS (status))
    return 0;

  if (!*report->failure)
    snprintf (report->failure, sizeof (report->failure), WIFSIGNALED (status) ? "signal %d" : "exit status %d",
              WIFSIGNALED (status) ? WTERMSIG (status) : WEXITSTATUS (status));

  return 1;
}

/*****************************************************************************/
/* shrinking */

static double shrink_end;

/* runs a program in a process of its own, returns whether it failed */
static int
fails (const unsigned char *program, size_t size, int trace)
{
  struct report *report = reports + jobs;
  int status = 0;
  pid_t pid;

  memset (report, 0, sizeof (*report));
  pid = start (report);

  if (!pid)
    {
      options.limit = 0;
      options.trace = trace;

      if (!trace)
        {
          int null = open ("/dev/null", O_WRONLY);

          dup2 (null, 1);
          dup2 (null, 2);
        }

      machine_run (program, size, &options, &report->tally);
      memcpy (report->calls, fault_calls, sizeof (report->calls));
      exit (0);
    }

  waitpid (pid, &status, 0);
  return judge_end (report, status);
}

/* whether it fails in one of a few runs, as far as there is still time to try */
static int
still_fails (const unsigned char *program, size_t size, int runs)
{
  while (runs-- && machine_now () < shrink_end)
    if (fails (program, size, 0))
      return 1;

  return 0;
}

/* delta debugging: leaves out ever smaller parts, as long as what is left still fails */
static size_t
shrink_operations (unsigned char *program, size_t size, int runs)
{
  static unsigned char trial [PROGRAM_MAX];

  for (size_t chunk = (size - MACHINE_HEADER) / MACHINE_OP / 2; chunk; chunk /= 2)
    for (size_t at = MACHINE_HEADER; at < size; )
      {
        size_t cut = chunk * MACHINE_OP < size - at ? chunk * MACHINE_OP : size - at;

        memcpy (trial, program, at);
        memcpy (trial + at, program + at + cut, size - at - cut);

        if (still_fails (trial, size - cut, runs))
          memcpy (program, trial, size -= cut);
        else
          at += cut;
      }

  return size;
}

/* zeroes whatever byte can be zero, which makes the rest say what it needs */
static void
shrink_bytes (unsigned char *program, size_t size, int runs)
{
  for (size_t i = 0; i < size; ++i)
    if (program [i] && (i < MACHINE_HEADER || (i - MACHINE_HEADER) % MACHINE_OP))
      {
        unsigned char was = program [i];

        program [i] = 0;
        if (!still_fails (program, size, runs))
          program [i] = was;
      }
}

static void
store (const char *path, const unsigned char *program, size_t size)
{
  FILE *f = fopen (path, "w");

  if (!f || fwrite (program, 1, size, f) != size || fclose (f))
    fprintf (stderr, "random: cannot write %s\n", path);
  else
    printf ("stored in %s\n", path);
}

/* a program that failed: is it alone to blame, and what of it */
static void
investigate (unsigned char *program, size_t size)
{
  size_t before = size + 1;
  int failures = 0;

  shrink_end = machine_now () + SHRINK_SECONDS;
  options.patience_ms /= 10;

  for (int i = 0; i < 5; ++i)
    failures += fails (program, size, 0);

  while (failures && size < before)
    size = shrink_operations (program, before = size, failures == 5 ? 1 : 5);

  if (failures)
    shrink_bytes (program, size, failures == 5 ? 1 : 5);

  options.patience_ms *= 10;
  printf ("alone, the program failed in %d of 5 runs; %zu operations are left of it:\n",
          failures, (size - MACHINE_HEADER) / MACHINE_OP);
  printf ("  header %02x %02x %02x %02x\n", program [0], program [1], program [2], program [3]);

  if (size - MACHINE_HEADER <= 400 * MACHINE_OP)
    printf ("%s\n", fails (program, size, 1) ? reports [jobs].failure : "did not fail this time");

  if (output)
    store (output, program, size);
}

/*****************************************************************************/
/* the command line */

static void
print_tally (const struct machine_tally *t)
{
#define X(name, text) printf ("%lu " text ", ", t->name);
  MACHINE_TALLY (X)
#undef X
  putchar ('\n');
}

static void
add_tally (struct machine_tally *sum, const struct machine_tally *t)
{
  unsigned long *to = (unsigned long *)sum;
  const unsigned long *from = (const unsigned long *)t;

  for (size_t i = 0; i < sizeof (*sum) / sizeof (*to); ++i)
    to [i] += from [i];
}

/* a run that never came across what it is meant to try proves nothing. hits of probes are rare: 0 - 28 of 100,000 */
static int
idle_test (const struct machine_tally *t)
{
  const unsigned long *n = (const unsigned long *)t;
  size_t all = options.backend != EVBACKEND_LINUXAIO ? offsetof (struct machine_tally, rings)
               : FAULTS ? sizeof (*t) : offsetof (struct machine_tally, faults);

  for (size_t i = 0; i < all / sizeof (*n); ++i)
    if (!n [i] && t->operations >= (n + i == &t->probe_hits ? 400000 : 100000))
      return 1;

  return 0;
}

/* runs everything by jobs workers; returns the job that has failed, -1: none has */
static int
run_jobs (void)
{
  pid_t pids [JOBS_MAX];
  int i, status, failed = -1;

  for (i = 0; i < jobs; ++i)
    if (!(pids [i] = start (reports + i)))
      worker_main (i);

  for (int left = jobs; left; --left)
    {
      pid_t pid = wait (&status);

      for (i = 0; pids [i] != pid; ++i)
        ;

      pids [i] = 0;

      if (failed >= 0 || !judge_end (reports + i, status))
        continue;

      /* one is enough */
      for (failed = i, i = 0; i < jobs; ++i)
        if (pids [i])
          kill (pids [i], SIGKILL);
    }

  return failed;
}

static int
run_all (void)
{
  static unsigned char program [PROGRAM_MAX];
  struct machine_tally sum = { 0 };
  double began = machine_now ();
  int failed;

  printf ("seed %llu, %lu operations, %d jobs\n", (unsigned long long)seed, wanted, jobs);
  failed = run_jobs ();

  for (int i = 0; i < jobs; ++i)
    add_tally (&sum, &reports [i].tally);

  print_tally (&sum);

  if (failed >= 0)
    {
      printf ("FAILED: seed %llu, program %lu: %s\n",
              (unsigned long long)seed, reports [failed].program, reports [failed].failure);
      fflush (stdout);
      investigate (program, generate (program, reports [failed].program));
      return 1;
    }

  if (idle_test (&sum))
    {
      printf ("FAILED: something this test is for never happened\n");
      return 1;
    }

  printf ("no finding (%.0f s)\n", machine_now () - began);
  return 0;
}

/*****************************************************************************/
/* programs from files, with and without failures */

static int
replay (const struct trial *t, int trace)
{
  static unsigned char program [PROGRAM_MAX];

  current = t;
  if (!fails (program, load (t->path, program), trace))
    return 0;

  printf ("FAILED: %s: %s\n", t->path, reports [jobs].failure);
  return 1;
}

/* the calls of a run in which nothing fails say what can fail */
static void
plan_trials (const char *path, unsigned long *calls)
{
  struct trial t = { path, 0, 0, 0, 0 };
  int call;

  memset (calls, 0, sizeof (*calls) * FAULT_COUNT);

  /* how often each call is made depends on kernel workers, too */
  for (int run = 0; run < 3; ++run)
    for (call = replay (&t, 0) ? exit (1), 0 : 0; call < FAULT_COUNT; ++call)
      if (reports [jobs].calls [call] > calls [call])
        calls [call] = reports [jobs].calls [call];

  /* of what is called often, each call fails in some of the ways */
  for (t.call = 0; t.call < FAULT_COUNT; ++t.call)
    for (int i = 0; (t.error = fault_error [t.call][i]); ++i)
      for (t.nth = 1 + i % STRIDE (calls [t.call]); t.nth <= (int)calls [t.call]; t.nth += STRIDE (calls [t.call]))
        for (t.lasting = 0; t.lasting <= (t.error != EINTR) && trialcnt < TRIALS_MAX; ++t.lasting)
          trials [trialcnt++] = t;
}

static int
sweep (char **paths)
{
  unsigned long calls [FAULT_COUNT], sum [FAULT_COUNT] = { 0 }, happened = 0;
  int i, failed;

  trials = (struct trial *)calloc (TRIALS_MAX, sizeof (*trials));

  for (; *paths; ++paths)
    for (plan_trials (*paths, calls), i = 0; i < FAULT_COUNT; ++i)
      sum [i] += calls [i];

  for (i = 0; i < FAULT_COUNT; ++i)
    {
      printf ("%s%lu %s", i ? ", " : "", sum [i], fault_name [i]);

      if (!sum [i])
        return printf ("\nFAILED: no program calls %s\n", fault_name [i]), 1;
    }

  failed = run_jobs ();

  for (i = 0; i < jobs; ++i)
    happened += reports [i].failures;

  printf ("\n%lu failures arranged, %lu happened%s\n", trialcnt, happened, failed < 0 ? ": no finding" : "");

  if (failed >= 0)
    {
      const struct trial *t = trials + reports [failed].program;

      printf ("FAILED: -r -f %s:%d:%s%s %s: %s\n", fault_name [t->call], t->nth, fault_error_name (t->error),
              t->lasting ? "+" : "", t->path, reports [failed].failure);
    }
  else if (happened < trialcnt / 2)
    printf ("FAILED: too many failures were never reached\n");
  else
    return 0;

  return 1;
}

/* call:number:error, + at the end: and all later ones */
static void
read_trial (struct trial *t, const char *text)
{
  char call [32], error [32];

  if (sscanf (text, "%31[^:]:%d:%31[^+]", call, &t->nth, error) == 3)
    for (t->call = 0; t->call < FAULT_COUNT; ++t->call)
      for (int i = 0; (t->error = fault_error [t->call][i]); ++i)
        if (!strcmp (fault_name [t->call], call) && !strcmp (fault_error_name (t->error), error))
          {
            t->lasting = text [strlen (text) - 1] == '+';
            return;
          }

  fprintf (stderr, "random: %s is no failure\n", text);
  exit (1);
}

static void
prepare (void)
{
  struct rlimit limit;

  /* the widest programs want some thousand descriptors */
  if (!getrlimit (RLIMIT_NOFILE, &limit))
    {
      limit.rlim_cur = limit.rlim_max;
      setrlimit (RLIMIT_NOFILE, &limit);
    }

  reports = (struct report *)mmap (0, (jobs + 1) * sizeof (*reports), PROT_READ | PROT_WRITE,
                                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (reports == MAP_FAILED)
    die ("random: mmap");
}

int
main (int argc, char **argv)
{
  struct trial t = { 0 };
  int c, trace = 0, mode = 0, bad = 0;

  seed = (uint64_t)time (0) * 1000 + getpid () % 1000;
  options.backend     = EVBACKEND_LINUXAIO;
  options.patience_ms = 10000;
  options.arrange     = arrange;

  while ((c = getopt (argc, argv, "s:n:j:b:o:p:f:rtS")) != -1)
    switch (c)
      {
        case 's': seed    = strtoull (optarg, 0, 10); break;
        case 'n': wanted  = strtoul (optarg, 0, 10); break;
        case 'j': jobs    = atoi (optarg); break;
        case 'b': options.backend = atoi (optarg); break;
        case 'p': options.patience_ms = atoi (optarg); break;
        case 'f': read_trial (&t, optarg); break;
        case 'o': output  = optarg; break;
        case 't': trace   = 1; break;
        case 'r':
        case 'S': mode    = c; break;
        default : return 1;
      }

  if (jobs < 1 || jobs > JOBS_MAX)
    return 1;

  prepare ();

  if (mode == 'S')
    return sweep (argv + optind);

  if (!mode)
    return run_all ();

  for (; optind < argc; ++optind)
    {
      t.path = argv [optind];
      bad |= replay (&t, trace);
    }

  return bad;
}
