/*
 * Surroundings that are hostile to a loop, or that it has to share: whatever
 * they do, what is sent arrives, byte by byte, and a program is no worse off
 * than on epoll, which goes through the same.
 */
#include <linux/aio_abi.h>
#include <sched.h>
#include <pthread.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <liburing.h>

#include "fixture.h"
#include "seam.h"

/*****************************************************************************/
/* what the loops do meanwhile: pairs of sockets play table tennis */

#define PAIRS_MAX 600

typedef struct player
{
  ev_io io;
  struct table *table;
  int pair;
} player;

typedef struct table
{
  player players [PAIRS_MAX][2];
  int fd [PAIRS_MAX][2];
  int hits [PAIRS_MAX];
  int pairs, rounds, done;
} table;

/* the byte says which hit it is, so that one lost, doubled or gone astray is noticed */
static void
hit (table *t, int pair, int fd)
{
  unsigned char c = t->hits [pair] + pair;

  must (write (fd, &c, 1) == 1);
}

static void
player_cb (EV_P_ ev_io *w, int revents)
{
  player *p = (player *)w->data;
  table *t  = p->table;
  unsigned char c [2];

  must (revents == EV_READ);
  must (read (w->fd, c, 2) == 1);
  must (c [0] == (unsigned char)(t->hits [p->pair] + p->pair));

  if (++t->hits [p->pair] < t->rounds)
    hit (t, p->pair, w->fd);
  else
    ++t->done;

  /* every so often in the manner of coroutines */
  if (t->hits [p->pair] % 7 == 0)
    {
      ev_io_stop (EV_A_ w);
      ev_io_start (EV_A_ w);
    }
}

static void
table_open (EV_P_ table *t, int pairs, int rounds)
{
  int i, end;

  memset (t, 0, sizeof (*t));
  t->pairs  = pairs;
  t->rounds = rounds;

  for (i = 0; i < pairs; ++i)
    {
      must (!socketpair (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, t->fd [i]));

      for (end = 0; end < 2; ++end)
        {
          player *p = &t->players [i][end];

          p->table   = t;
          p->pair    = i;
          p->io.data = p;
          ev_io_init (&p->io, player_cb, t->fd [i][end], EV_READ);
          ev_io_start (EV_A_ &p->io);
        }

      hit (t, i, t->fd [i][0]);
    }
}

static void
table_close (EV_P_ table *t)
{
  int i, end;

  for (i = 0; i < t->pairs; ++i)
    for (end = 0; end < 2; ++end)
      {
        ev_io_stop (EV_A_ &t->players [i][end].io);
        close (t->fd [i][end]);
      }
}

static void
play (EV_P_ int pairs, int rounds)
{
  table *t = (table *)malloc (sizeof (*t));

  must (t != 0);
  table_open (EV_A_ t, pairs, rounds);
  run_until (t->done == t->pairs);
  table_close (EV_A_ t);
  free (t);
}

/* a loop of its own for a child or a thread */
static struct ev_loop *
own_loop (void)
{
  return ev_loop_new (EVFLAG_NOENV | backend_flag ());
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
  int null = open ("/dev/null", O_WRONLY);

  setrlimit (RLIMIT_CORE, &none);
  dup2 (null, 2);
  close (null);
}

static void
live_without_memory (void)
{
  silence ();
  ev_set_allocator (failing_alloc);
  live ();
  _exit (allocations < fail_at ? 2 : 0);
}

static int
aborted (int status)
{
  return WIFSIGNALED (status) && WTERMSIG (status) == SIGABRT;
}

/* libev's only answer to a failed allocation is to abort, so an allocation may */
/* do without or end like that, in an orderly way; nothing else may happen */
START_TEST (failed_allocation_ends_as_on_epoll)
{
  int status = 0, aborts = 0;

  for (fail_at = 1; status != 2 << 8; ++fail_at)
    {
      status = status_of (in_child (live_without_memory));
      ck_assert_msg (WIFEXITED (status) || aborted (status),
                     "allocation %d failed: status %x", fail_at, status);
      ck_assert_msg (!WIFEXITED (status) || !WEXITSTATUS (status) || status == 2 << 8,
                     "allocation %d failed: status %x", fail_at, status);
      aborts += aborted (status);
    }

  ck_assert_int_gt (aborts, 5);
}
END_TEST

static long address_space; /* beyond what the process has at its start */

static void
live_in_little_space (void)
{
  struct rlimit limit;
  char line [100];
  long pages = 0;
  FILE *f = fopen ("/proc/self/statm", "r");

  silence ();
  must (f && fgets (line, sizeof (line), f));
  pages = atol (line);
  fclose (f);

  limit.rlim_cur = limit.rlim_max = pages * sysconf (_SC_PAGESIZE) + address_space;
  must (!setrlimit (RLIMIT_AS, &limit));
  live ();
  _exit (0);
}

/* without room for a ring there is epoll; without room for libev it says so and aborts */
START_TEST (little_address_space_ends_as_on_epoll)
{
  int status = -1;
  int served = 0;

  for (address_space = 0; address_space < 4 << 20; address_space += 28 << 10)
    {
      status = status_of (in_child (live_in_little_space));
      ck_assert_msg (!status || aborted (status),
                     "%ld bytes of address space: status %x", address_space, status);
      served += !status;
    }

  ck_assert_int_eq (status, 0);
  ck_assert_int_gt (served, 20);
}
END_TEST

/*****************************************************************************/
/* descriptors */

#define DESCRIPTORS 512

static int dups [DESCRIPTORS];
static int dupcnt;

/* until there are none left */
static void
duplicate (int fd)
{
  while ((dups [dupcnt] = dup (fd)) >= 0)
    ++dupcnt;

  ck_assert_int_eq (errno, EMFILE);
  ck_assert_int_gt (dupcnt, 300);
}

static void
live_on_in_child (void)
{
  ev_loop_fork (EV_A);
  ev_run (EV_A_ EVRUN_NOWAIT);
  ev_loop_destroy (EV_A);
  _exit (0);
}

static void
count_only_cb (EV_P_ ev_io *w, int revents)
{
  (void)loop, (void)revents;
  ++*(int *)w->data;
}

/* a ring is no descriptor: it can be made and replaced when there are none left */
START_TEST (loop_goes_on_without_descriptors)
{
  static ev_io ios [DESCRIPTORS];
  struct rlimit limit;
  int fd [2], i, seen = 0;
  pid_t pid;

  ck_assert (!getrlimit (RLIMIT_NOFILE, &limit));
  limit.rlim_cur = DESCRIPTORS;
  ck_assert (!setrlimit (RLIMIT_NOFILE, &limit));

  sockets (fd);
  put (fd [1]);
  duplicate (fd [0]);

  for (i = 0; i < dupcnt; ++i)
    {
      ev_io_init (ios + i, count_only_cb, dups [i], EV_READ);
      ios [i].data = &seen;
      ev_io_start (EV_A_ ios + i);
    }

  run_until (seen >= dupcnt);
  pid = fork ();
  if (!pid)
    live_on_in_child ();

  ck_assert (child_ok (pid));
  ev_loop_fork (EV_A);
  seen = 0;
  run_until (seen >= dupcnt);
  ck_assert_msg (!own_loop (), "a loop without a descriptor");

  for (i = 0; i < dupcnt; ++i)
    {
      ev_io_stop (EV_A_ ios + i);
      close (dups [i]);
    }

  close_both (fd);
}
END_TEST

/*****************************************************************************/
/* no /proc, as in a chroot */

static char prison [100];

static void
live_without_proc (void)
{
  int event, timer, seen [3] = { 0, 0, 0 };
  struct itimerspec soon = { { 0, 0 }, { 0, 1000000 } };
  ev_io io [2];

  must (!chroot (prison) && !chdir ("/"));
  must (access ("/proc/self", F_OK));
  live ();

  loop = own_loop ();
  must (loop != 0);
  event = eventfd (1, EFD_NONBLOCK);
  timer = timerfd_create (CLOCK_MONOTONIC, TFD_NONBLOCK);
  must (!timerfd_settime (timer, 0, &soon, 0));
  ev_io_init (io + 0, count_only_cb, event, EV_READ);
  ev_io_init (io + 1, count_only_cb, timer, EV_READ);
  io [0].data = seen + 0;
  io [1].data = seen + 1;
  ev_io_start (EV_A_ io + 0);
  ev_io_start (EV_A_ io + 1);
  play (EV_A_ 60, 20);
  run_until (seen [0] > 1 && seen [1] > 1);
  ev_loop_destroy (EV_A);
  _exit (0);
}

/* an ordinary user is root in a user namespace, where there may be any */
static int
may_chroot (void)
{
  return !geteuid () || !unshare (CLONE_NEWUSER);
}

static void
try_chroot (void)
{
  _exit (!may_chroot ());
}

static void
go_to_prison (void)
{
  must (may_chroot ());
  live_without_proc ();
}

START_TEST (loop_works_without_proc)
{
  const char *dir = getenv ("TMPDIR");
  int ok;

  if (!child_ok (in_child (try_chroot)))
    {
      puts ("loop_works_without_proc: skipped, no chroot for this user here");
      return;
    }

  snprintf (prison, sizeof (prison), "%s/prison.XXXXXX", dir ? dir : "/tmp");
  ck_assert (mkdtemp (prison) != 0);
  ok = child_ok (in_child (go_to_prison));
  rmdir (prison);
  ck_assert (ok);
}
END_TEST

/*****************************************************************************/
/* stopped, interrupted, sent through time */

static void
live_long (void)
{
  EV_P = own_loop ();

  play (EV_A_ 40, 4000);
  ev_loop_destroy (EV_A);
  _exit (0);
}

START_TEST (stopped_and_continued_process_loses_nothing)
{
  pid_t pid = in_child (live_long);
  struct timespec pause = { 0, 300000 };
  int status, stops = 0;

  while (!waitpid (pid, &status, WNOHANG))
    {
      kill (pid, SIGSTOP);
      nanosleep (&pause, 0);
      kill (pid, SIGCONT);
      nanosleep (&pause, 0);
      ++stops;
    }

  ck_assert_int_eq (status, 0);
  ck_assert_int_gt (stops, 3);
}
END_TEST

static volatile sig_atomic_t alarms;

static void
alarm_handler (int signum)
{
  alarms += !!signum;
}

static void
storm (int microseconds)
{
  struct itimerval t = { { 0, microseconds }, { 0, microseconds } };
  struct sigaction sa;

  memset (&sa, 0, sizeof (sa));
  sa.sa_handler = alarm_handler; /* without SA_RESTART */
  ck_assert (!sigaction (SIGALRM, &sa, 0));
  ck_assert (!setitimer (ITIMER_REAL, &t, 0));
}

static void
beat_cb (EV_P_ ev_timer *w, int revents)
{
  (void)loop, (void)revents;
  ++*(int *)w->data;
}

static void
signal_cb (EV_P_ ev_signal *w, int revents)
{
  (void)loop, (void)revents;
  ++*(int *)w->data;
}

START_TEST (storm_of_signals_loses_nothing)
{
  ev_timer beat;
  ev_signal sig;
  int beats = 0, signals = 0, i;

  ev_timer_init (&beat, beat_cb, 0.001, 0.001);
  ev_signal_init (&sig, signal_cb, SIGUSR2);
  beat.data = &beats;
  sig.data  = &signals;
  ev_timer_start (EV_A_ &beat);
  ev_signal_start (EV_A_ &sig);

  storm (100);
  play (EV_A_ 40, 400);

  for (i = 1; i <= 50; ++i)
    {
      kill (getpid (), SIGUSR2);
      run_until (signals >= i);
    }

  run_until (beats > 20 && alarms > 20);
  play (EV_A_ 4, 400);
  storm (0);

  ev_timer_stop (EV_A_ &beat);
  ev_signal_stop (EV_A_ &sig);
}
END_TEST

/* the clock that tells the time of day; libev's calls come by here (--wrap) */
static time_t time_travel;

int __real_clock_gettime (clockid_t id, struct timespec *ts);
int __wrap_clock_gettime (clockid_t id, struct timespec *ts);

int
__wrap_clock_gettime (clockid_t id, struct timespec *ts)
{
  int res = __real_clock_gettime (id, ts);

  if (id == CLOCK_REALTIME)
    ts->tv_sec += time_travel;

  return res;
}

static void
periodic_cb (EV_P_ ev_periodic *w, int revents)
{
  (void)loop, (void)revents;
  ++*(int *)w->data;
}

START_TEST (jumps_of_the_clock_stop_nothing)
{
  static const time_t jumps [] = { 86400, -86400, 0, 3600, -31536000, 31536000 };
  ev_timer beat;
  ev_periodic periodic;
  int beats = 0, periods = 0;
  unsigned i;

  ev_timer_init (&beat, beat_cb, 0.002, 0.002);
  ev_periodic_init (&periodic, periodic_cb, 0., 0.01, 0);
  beat.data     = &beats;
  periodic.data = &periods;
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

  time_travel = 0;
  ev_timer_stop (EV_A_ &beat);
  ev_periodic_stop (EV_A_ &periodic);
}
END_TEST

/*****************************************************************************/
/* rings that are not as we know them */

static void
live_on (void)
{
  ev_loop_fork (EV_A);
  play (EV_A_ 60, 20);
  ev_loop_destroy (EV_A);
  _exit (0);
}

START_TEST (ring_that_is_not_understood_serves_by_system_call)
{
  seam_ring   = _i;
  seam_events = 1000000; /* it is never weighed, and stays in the ring */
  loop_with_flags (0);

  play (EV_A_ 4, 50);
  play (EV_A_ 200, 20);
  play (EV_A_ PAIRS_MAX, 5);
  ck_assert (child_ok (in_child (live_on)));
  play (EV_A_ 60, 240);

  claim (stats.ring_entries > 0);
  claim (stats.completed > 1000);
}
END_TEST

/*****************************************************************************/
/* other users */

#define OTHERS 200 /* requests of theirs */

static void
poll_request (struct iocb *iocb, int fd, long data)
{
  memset (iocb, 0, sizeof (*iocb));
  iocb->aio_lio_opcode = 5; /* IOCB_CMD_POLL */
  iocb->aio_fildes     = fd;
  iocb->aio_buf        = POLLIN;
  iocb->aio_data       = data;
}

static void
read_request (struct iocb *iocb, int fd, char *to, long data)
{
  memset (iocb, 0, sizeof (*iocb));
  iocb->aio_lio_opcode = IOCB_CMD_PREAD;
  iocb->aio_fildes     = fd;
  iocb->aio_buf        = (unsigned long)to;
  iocb->aio_nbytes     = 1;
  iocb->aio_data       = data;
}

/* contexts do not mix: each gets its own events, and all of them */
START_TEST (other_users_of_aio_get_their_own)
{
  aio_context_t ctx = 0;
  struct iocb iocb [2], *list [2] = { iocb, iocb + 1 };
  struct io_event events [2];
  int fd [2], file = memfd_create ("others", MFD_CLOEXEC);
  char c;
  long i;

  pipes (fd);
  ck_assert_int_eq (write (file, "x", 1), 1);
  ck_assert (!syscall (SYS_io_setup, 8, &ctx));

  for (i = 0; i < OTHERS; ++i)
    {
      poll_request (iocb + 0, fd [0], i);
      read_request (iocb + 1, file, &c, i);
      ck_assert_int_eq (syscall (SYS_io_submit, ctx, 2, list), 2);
      play (EV_A_ 40, 3);
      put (fd [1]);
      ck_assert_int_eq (syscall (SYS_io_getevents, ctx, 2, 2, events, 0), 2);
      ck_assert (events [0].data == (unsigned long)i && events [1].data == (unsigned long)i);
      get (fd [0]);
    }

  ck_assert (!syscall (SYS_io_destroy, ctx));
  close (file);
  close_both (fd);
}
END_TEST

START_TEST (other_users_of_io_uring_get_their_own)
{
  struct io_uring ring;
  struct io_uring_cqe *cqe;
  int fd [2];
  long i;

  if (io_uring_queue_init (8, &ring, 0) < 0)
    {
      puts ("other_users_of_io_uring_get_their_own: skipped, no io_uring here");
      return;
    }

  pipes (fd);

  for (i = 1; i <= OTHERS; ++i)
    {
      struct io_uring_sqe *sqe = io_uring_get_sqe (&ring);

      io_uring_prep_poll_add (sqe, fd [0], POLLIN);
      io_uring_sqe_set_data (sqe, (void *)i);
      ck_assert_int_eq (io_uring_submit (&ring), 1);
      play (EV_A_ 40, 3);
      put (fd [1]);
      ck_assert (!io_uring_wait_cqe (&ring, &cqe));
      ck_assert (io_uring_cqe_get_data (cqe) == (void *)i);
      io_uring_cqe_seen (&ring, cqe);
      get (fd [0]);
    }

  io_uring_queue_exit (&ring);
  close_both (fd);
}
END_TEST

#define THREADS 8

static void *
thread_main (void *unused)
{
  int i;

  for (i = 0; i < 10; ++i)
    {
      EV_P = own_loop ();

      must (loop != 0);
      play (EV_A_ i & 1 ? 60 : 10, 10);
      ev_loop_destroy (EV_A);
    }

  return unused;
}

START_TEST (threads_make_and_destroy_their_loops)
{
  pthread_t threads [THREADS];
  int i;

  for (i = 0; i < THREADS; ++i)
    ck_assert (!pthread_create (threads + i, 0, thread_main, 0));

  play (EV_A_ 40, 100);

  for (i = 0; i < THREADS; ++i)
    pthread_join (threads [i], 0);
}
END_TEST

static void
live_and_leave (void)
{
  live ();
  _exit (0);
}

START_TEST (a_hundred_processes_at_once)
{
  pid_t pids [100];
  int i, good = 0;

  for (i = 0; i < 100; ++i)
    pids [i] = in_child (live_and_leave);

  play (EV_A_ 40, 100);

  for (i = 0; i < 100; ++i)
    good += child_ok (pids [i]);

  ck_assert_int_eq (good, 100);
}
END_TEST

/*****************************************************************************/

static void
add_tests (TCase *tc, unsigned on)
{
  if (!(on & (EPOLL | LINUXAIO)))
    return;

  if (on != RING) /* they make their own loops, in children */
    {
      tcase_add_test (tc, failed_allocation_ends_as_on_epoll);
      tcase_add_test (tc, little_address_space_ends_as_on_epoll);
      tcase_add_test (tc, loop_works_without_proc);
      tcase_add_test (tc, stopped_and_continued_process_loses_nothing);
      tcase_add_test (tc, threads_make_and_destroy_their_loops);
      tcase_add_test (tc, a_hundred_processes_at_once);
    }

  tcase_add_test (tc, loop_goes_on_without_descriptors);
  tcase_add_test (tc, storm_of_signals_loses_nothing);
  tcase_add_test (tc, jumps_of_the_clock_stop_nothing);
  tcase_add_test (tc, other_users_of_aio_get_their_own);
  tcase_add_test (tc, other_users_of_io_uring_get_their_own);

  if (on & LINUXAIO)
    tcase_add_loop_test (tc, ring_that_is_not_understood_serves_by_system_call, SEAM_RING_GOOD + 1, SEAM_RINGS);
}

int
main (void)
{
  Suite *suites [] = { suite_over_backends ("hostile", add_tests), 0 };

  return run_suites (0, suites);
}
