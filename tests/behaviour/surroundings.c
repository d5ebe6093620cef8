/*
 * Surroundings that are hostile to a loop, or that it has to share: whatever
 * they do, what is sent arrives, byte by byte, and a program is no worse off
 * than on epoll, which goes through the same.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include <dlfcn.h>
#include <linux/aio_abi.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#include "fixture.h"

#ifndef SYS_epoll_pwait2
# define SYS_epoll_pwait2 441
#endif

/*****************************************************************************/
/* what the loops do meanwhile: pairs of sockets play table tennis */

typedef struct table
{
  ev_io io [2];
  int *done, rounds, hits;
} table;

/* the byte says which hit it is, so that one lost, doubled or gone astray is noticed */
static void
hit (table *t, int fd)
{
  unsigned char c = t->hits;

  must (write (fd, &c, 1) == 1);
}

static void
player_cb (EV_P_ ev_io *w, int revents)
{
  table *t = (table *)w->data;
  unsigned char c [2];

  must_be (revents, ==, EV_READ);
  must (read (w->fd, c, 2) == 1);
  must_be (c [0], ==, (unsigned char)t->hits);

  if (++t->hits < t->rounds)
    hit (t, w->fd);
  else
    ++*t->done;

  /* every so often in the manner of coroutines */
  if (t->hits % 7 == 0)
    {
      ev_io_stop (EV_A_ w);
      ev_io_start (EV_A_ w);
    }
}

static void
play (EV_P_ int pairs, int rounds)
{
  table *tables = (table *)calloc (pairs, sizeof (table));
  int fd [2], done = 0, i, end;

  if (!tables)
    abort (); /* as libev does */

  for (i = 0; i < pairs; ++i)
    {
      table *t = tables + i;

      sockets (fd);
      t->done   = &done;
      t->hits   = i;
      t->rounds = i + rounds;

      for (end = 0; end < 2; ++end)
        {
          ev_io_init (t->io + end, player_cb, fd [end], EV_READ);
          t->io [end].data = t;
          ev_io_start (EV_A_ t->io + end);
        }

      hit (t, fd [0]);
    }

  run_until (done, ==, pairs);

  for (i = 0; i < pairs * 2; ++i)
    {
      ev_io *io = &tables [i / 2].io [i & 1];

      ev_io_stop (EV_A_ io);
      close (io->fd);
    }

  free (tables);
}

/* a loop of its own for a child or a thread */
static struct ev_loop *
own_loop (void)
{
  EV_P = ev_loop_new (EVFLAG_NOENV | backend_flag ());

  if (loop && backend & LINUXAIO)
    ev_linuxaio_busy_poll (EV_A_ 1e-9); /* it makes a ring at its first poll, if there may be one */

  return loop;
}

/* what a child does that is on its own: a small loop, a larger one, a fork in between */
static void
live (void)
{
  EV_P = own_loop ();

  must (loop != 0);
  play (EV_A_ 4, 20);
  play (EV_A_ 60, 20);
  ev_loop_fork (EV_A);
  play (EV_A_ 120, 5);
  ev_loop_destroy (EV_A);
}

/*****************************************************************************/
/* memory */

static int fail_at; /* the allocation of libev that fails, counted from 1 */
static int allocations;

static void *
failing_alloc (void *ptr, long size)
{
  if (size && ++allocations == fail_at)
    return 0;

  if (size)
    return realloc (ptr, size);

  free (ptr);
  return 0;
}

/* libev says so and aborts: not what is wanted from a test's log */
static void
silence (void)
{
  struct rlimit none = { 0, 0 };
  int null = open ("/dev/null", O_WRONLY | O_CLOEXEC);

  setrlimit (RLIMIT_CORE, &none);
  dup2 (null, 2);
}

/* libev's only answer to a failed allocation is to abort in an orderly way; nothing else may happen */
static int
aborted (int status)
{
  if (WIFSIGNALED (status))
    must_be (WTERMSIG (status), ==, SIGABRT);

  return WIFSIGNALED (status);
}

TEST (failed_allocation_ends_as_on_epoll, EPOLL | COLD)
{
  int status = 0, aborts = 0;

  for (fail_at = 1; status != 2 << 8; ++fail_at)
    {
      pid_t pid = child ();

      if (!pid)
        {
          silence ();
          ev_set_allocator (failing_alloc);
          live ();
          _exit (allocations < fail_at ? 2 : 0);
        }

      status  = status_of (pid);
      aborts += aborted (status);
      must (WIFSIGNALED (status) || !status || status == 2 << 8);
    }

  must_be (aborts, >, 5);
}

/* without room for a ring there is epoll; without room for libev it says so and aborts */
TEST (little_address_space_ends_as_on_epoll, SANITIZED ? 0 : EPOLL | COLD)
{
  const char *preload = getenv ("LD_PRELOAD");
  long space, served = 0;
  int status = -1;

  if (preload && strstr (preload, "/vgpreload_"))
    skip ("valgrind needs more memory than that");

  for (space = 0; space < 4 << 20; space += 92 << 10)
    {
      pid_t pid = child ();

      if (!pid)
        {
          struct rlimit limit;
          long pages = 0;
          FILE *f = fopen ("/proc/self/statm", "re");

          silence ();
          must (f && fscanf (f, "%ld", &pages) == 1);
          fclose (f);
          limit.rlim_cur = limit.rlim_max = pages * sysconf (_SC_PAGESIZE) + space;
          must (!setrlimit (RLIMIT_AS, &limit));
          live ();
          leave ();
        }

      status  = status_of (pid);
      served += !status;
      must (!status || aborted (status));
    }

  must_be (status, ==, 0);
  must_be (served, >, 5);
}

/*****************************************************************************/
/* descriptors */

#define DESCRIPTORS MANY (512)

/* a ring is no descriptor: it can be made when there are none left */
TEST (loop_goes_on_without_descriptors, EPOLL | LINUXAIO)
{
  probe *p [512];
  struct rlimit limit;
  int fd [2], i, round, count = 0;
  pid_t pid;

  must (!getrlimit (RLIMIT_NOFILE, &limit));
  limit.rlim_cur = DESCRIPTORS;
  must (!setrlimit (RLIMIT_NOFILE, &limit));
  sockets (fd);
  put (fd [1]);

  while ((i = dup (fd [0])) >= 0)
    p [count++] = watch (i, EV_READ);

  must_be (errno, ==, EMFILE);

  for (round = 0; round < 2; ++round)
    {
      int before = places;

      run_until (places - before, >=, count);

      if (!round && !(pid = child ()))
        {
          ev_loop_fork (EV_A);
          ev_run (EV_A_ EVRUN_NOWAIT);
          ev_loop_destroy (EV_A);
          leave ();
        }

      ev_loop_fork (EV_A);
    }

  ends_well (pid);
  must (!own_loop ());

  /* the directory of descriptors is one, too: some are given back before they are counted */
  for (i = 0; i < count; ++i)
    stop_and_close (p [i]);
}

/*****************************************************************************/
/* no /proc, as in a chroot */

/* an ordinary user is root in a user namespace, where there may be any */
TEST (loop_works_without_proc, EPOLL | COLD | MIXED)
{
  pid_t pid;

  must (!mkdir (temporary ("prison"), 0700));

  if (!(pid = child ()))
    {
      if ((geteuid () && unshare (CLONE_NEWUSER)) || chroot (temporary ("prison")) || chdir ("/"))
        skip ("no chroot for this user here (%s)", strerror (errno));

      must (access ("/proc/self", F_OK));
      live ();
      leave ();
    }

  ends_well (pid);
}

/*****************************************************************************/
/* filters of system calls, as services and containers have them */

/* these calls get that answer, all others are allowed */
static void
forbid (const int *calls, int count, unsigned answer)
{
  struct sock_filter code [16] = { BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, nr)) };
  struct sock_fprog program = { count + 3, code };
  int i;

  for (i = 0; i < count; ++i)
    code [i + 1] = (struct sock_filter) BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, calls [i], count - i, 0);

  code [count + 1] = (struct sock_filter) BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  code [count + 2] = (struct sock_filter) BPF_STMT (BPF_RET | BPF_K, answer);

  if (prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
    skip ("no filters of system calls here (%s)", strerror (errno));
}

static const int aio [] = { SYS_io_setup, SYS_io_destroy, SYS_io_submit, SYS_io_cancel, SYS_io_getevents };
static const int pwait2 [] = { SYS_epoll_pwait2 };
static const int asking [] = { SYS_getpeername, SYS_getsockopt };

/* the errno is the choice of an administrator */
TEST (loop_works_where_calls_are_refused_with_any_errno, EPOLL | LINUXAIO)
{
  static const int errnos [] = { EPERM, EACCES, ENOSYS, EOPNOTSUPP, EINVAL };
  int i, which, in_child;

  for (i = 0; i < 5; ++i)
    for (which = 0; which < 3; ++which)
      for (in_child = 0; in_child < 2; ++in_child)
        {
          pid_t pid = child ();

          if (!pid)
            {
              unsigned answer = SECCOMP_RET_ERRNO | errnos [i];

              which == 0 ? forbid (aio, 5, answer) : which == 1 ? forbid (pwait2, 1, answer) : forbid (asking, 2, answer);

              /* a loop that has been served until then, or a new one */
              if (in_child)
                {
                  ev_loop_fork (EV_A);
                  play (EV_A_ 30, 20);
                }
              else
                live ();

              leave ();
            }

          ends_well (pid);
        }
}

/* as long as no ring is wanted: a service without @aio, and a list of calls from before 2020 */
TEST (filter_that_kills_does_not_meet_a_loop_that_wants_no_ring, TINY ? EPOLL : EPOLL | COLD | MIXED)
{
  int which;

  for (which = 0; which < 2; ++which)
    {
      pid_t pid = child ();

      if (!pid)
        {
          which ? forbid (pwait2, 1, SECCOMP_RET_KILL_PROCESS) : forbid (aio, 5, SECCOMP_RET_KILL_PROCESS);
          loop = another_loop ();
          talk (reader (), 50);
          talk (terminal_reader (), 50);
          ev_loop_destroy (EV_A);
          leave ();
        }

      ends_well (pid);
    }
}

/*****************************************************************************/
/* stopped, interrupted, sent through time */

TEST (stopped_and_continued_process_loses_nothing, EPOLL | COLD)
{
  int status, stops = 0;
  pid_t pid = child ();

  if (!pid)
    {
      loop = own_loop ();
      play (EV_A_ 40, 2000);
      leave ();
    }

  while (!waitpid (pid, &status, WNOHANG))
    {
      kill (pid, SIGSTOP);
      usleep (300);
      kill (pid, SIGCONT);
      usleep (300);
      ++stops;
    }

  must_be (status, ==, 0);
  must_be (stops, >, 3);
}

static volatile sig_atomic_t alarms;

static void
count_alarm (int signum)
{
  alarms += !!signum;
}

static void
storm (int microseconds)
{
  struct itimerval t = { { 0, microseconds }, { 0, microseconds } };
  struct sigaction sa;

  memset (&sa, 0, sizeof (sa));
  sa.sa_handler = count_alarm; /* without SA_RESTART */
  must (!sigaction (SIGALRM, &sa, 0));
  must (!setitimer (ITIMER_REAL, &t, 0));
}

/* a handler the loop knows nothing of interrupts it thousands of times a second */
TEST (storm_of_signals_loses_nothing, ALL)
{
  static ev_timer beat;
  static ev_signal sig;
  int beats = 0, signals = 0, i;

  ev_timer_init (&beat, 0, 0.001, 0.001);
  ev_signal_init (&sig, 0, SIGUSR2);
  counts (ev_timer, &beat, &beats);
  counts (ev_signal, &sig, &signals);
  ev_timer_start (EV_A_ &beat);
  ev_signal_start (EV_A_ &sig);
  storm (100);
  play (EV_A_ 40, 200);

  for (i = 1; i <= 50; ++i)
    {
      kill (getpid (), SIGUSR2);
      run_until (signals, >=, i);
    }

  run_until (beats > 20 && alarms > 20);
  storm (0);
}

/* libev's calls come by here, like those of a program under a library that fakes the time */
static time_t time_travel;
static int stand_still;
static struct timespec held [2];

int
clock_gettime (clockid_t id, struct timespec *ts)
{
  static int (*real) (clockid_t, struct timespec *);
  int res;

  if (stand_still && (id == CLOCK_REALTIME || id == CLOCK_MONOTONIC))
    {
      *ts = held [id == CLOCK_MONOTONIC];
      return 0;
    }

  if (!real)
    real = (int (*) (clockid_t, struct timespec *))dlsym (RTLD_NEXT, "clock_gettime");

  res = real (id, ts);

  if (id == CLOCK_REALTIME)
    ts->tv_sec += time_travel;

  return res;
}

TEST (jumps_of_the_clock_stop_nothing, ALL)
{
  static const time_t jumps [] = { 86400, -86400, 0, 3600, -31536000, 31536000 };
  static ev_timer beat;
  static ev_periodic periodic;
  int beats, periods;
  unsigned i;

  ev_timer_init (&beat, 0, 0.002, 0.002);
  ev_periodic_init (&periodic, 0, 0., 0.01, 0);
  counts (ev_timer, &beat, &beats);
  counts (ev_periodic, &periodic, &periods);
  ev_timer_start (EV_A_ &beat);
  ev_periodic_start (EV_A_ &periodic);

  for (i = 0; i < sizeof (jumps) / sizeof (jumps [0]); ++i)
    {
      time_travel = jumps [i];
      ev_now_update (EV_A);
      play (EV_A_ 40, 20);
      beats = periods = 0;
      run_until (beats >= 5 && periods >= 2);
    }
}

/* whatever waits for the clock has another end, too; what is stuck is found by the runner */
TEST (clocks_that_stand_still_keep_nobody_waiting, ALL)
{
  int busy;

  for (busy = 0; busy <= !!(backend & LINUXAIO); ++busy)
    {
      probe *p = reader (), *q = watch_socket (EV_READ);

      settle (EV_A);
      clock_gettime (CLOCK_REALTIME, held);
      clock_gettime (CLOCK_MONOTONIC, held + 1);
      stand_still = 1;

      if (busy)
        ev_linuxaio_busy_poll (EV_A_ 1e-4);

      put (p->peer);

      while (p->count < 1)
        ev_run (EV_A_ EVRUN_ONCE);

      ev_run (EV_A_ EVRUN_NOWAIT);
      stop_and_close (q);
      stand_still = 0;
      must (wait_for (q->peer, POLLIN));

      if (busy)
        ev_linuxaio_busy_poll (EV_A_ 0.);

      talk (p, 3);
    }
}

/*****************************************************************************/
/* other users */

#define OTHERS 200 /* requests of theirs */

/* contexts do not mix: each gets its own events, and all of them */
TEST (other_users_of_aio_get_their_own, EPOLL | LINUXAIO)
{
  aio_context_t ctx = 0;
  struct iocb iocb [2], *list [2] = { iocb, iocb + 1 };
  struct io_event events [2];
  int fd [2], file = memfd_create ("others", MFD_CLOEXEC);
  char c;
  long i;

  pipes (fd);
  put (file);

  if (syscall (SYS_io_setup, 8, &ctx))
    skip ("no AIO here (%s)", strerror (errno));

  for (i = 0; i < OTHERS; ++i)
    {
      memset (iocb, 0, sizeof (iocb));
      iocb [0].aio_lio_opcode = 5; /* IOCB_CMD_POLL */
      iocb [0].aio_fildes     = fd [0];
      iocb [0].aio_buf        = POLLIN;
      iocb [1].aio_lio_opcode = IOCB_CMD_PREAD;
      iocb [1].aio_fildes     = file;
      iocb [1].aio_buf        = (uintptr_t)&c;
      iocb [1].aio_nbytes     = 1;
      iocb [0].aio_data       = iocb [1].aio_data = i;
      must (syscall (SYS_io_submit, ctx, 2, list) == 2);
      play (EV_A_ 40, 3);
      put (fd [1]);
      must (syscall (SYS_io_getevents, ctx, 2, 2, events, 0) == 2);
      must_be (events [0].data, ==, i);
      must_be (events [1].data, ==, i);
      get (fd [0]);
    }

  must (!syscall (SYS_io_destroy, ctx));
}

#define CROWD 8

static void *
live_in_thread (void *unused)
{
  int i;

  for (i = 0; i < 5; ++i)
    {
      EV_P = own_loop ();

      must (loop != 0);
      play (EV_A_ i & 1 ? 60 : 10, 10);
      ev_loop_destroy (EV_A);
    }

  return unused;
}

TEST (threads_make_and_destroy_their_loops, EPOLL | COLD | MIXED)
{
  pthread_t threads [CROWD];
  int i;

  room_for_fds (2048);

  for (i = 0; i < CROWD; ++i)
    must (!pthread_create (threads + i, 0, live_in_thread, 0));

  play (EV_A_ 40, 100);

  for (i = 0; i < CROWD; ++i)
    pthread_join (threads [i], 0);
}

TEST (a_hundred_processes_at_once, EPOLL | COLD)
{
  pid_t pids [100];
  int i;

  for (i = 0; i < 100; ++i)
    pids [i] = in_child (live);

  play (EV_A_ 40, 100);

  for (i = 0; i < 100; ++i)
    ends_well (pids [i]);
}
