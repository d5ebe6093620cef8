/*
 * Loops, waiting, watchers that remember, descriptors and children.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/tcp.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <termios.h>

#include "fixture.h"

/* more than fit into a ring as it is made at first */
#ifdef SMALL_RING
# define IDLE_PAIRS 6
#else
# define IDLE_PAIRS 64
#endif

/* polls that find nothing get any loop into the ring: at most that many, some thousands are enough */
#define IDLE_POLLS 100000

struct ev_loop *loop;
unsigned backend;
int idle_fds;
int places;
void (*before_each_test) (void);

static pid_t test_pid;   /* the process Check looks at */
static int fence [2];    /* what settle sends its bytes through */
static int idle_socks [IDLE_PAIRS][2];
static ev_io idle_ios [IDLE_PAIRS][2];
static int fds_before;
static int blocks;       /* allocated through libev's allocator */

#ifdef PRISTINE
# define FLAVOUR (SELECT | POLL | EPOLL | RING)
#elif defined SMALL_RING
# define FLAVOUR LINUXAIO
#else
# define FLAVOUR ALL
#endif

/* a fixture of Check has no argument */
static void setup (unsigned bit);
static void setup_select (void) { setup (SELECT); }
static void setup_poll   (void) { setup (POLL  ); }
static void setup_epoll  (void) { setup (EPOLL ); }
static void setup_cold   (void) { setup (COLD  ); }
static void setup_ring   (void) { setup (RING  ); }

static const struct
{
  const char *name;
  unsigned bit, flag;
  void (*setup) (void);
} backends [] = {
  { "select"       , SELECT, EVBACKEND_SELECT  , setup_select },
  { "poll"         , POLL  , EVBACKEND_POLL    , setup_poll   },
  { "epoll"        , EPOLL , EVBACKEND_EPOLL   , setup_epoll  },
  { "linuxaio-cold", COLD  , EVBACKEND_LINUXAIO, setup_cold   },
  { "linuxaio-ring", RING  , EVBACKEND_LINUXAIO, setup_ring   }
};

#define BACKENDS (sizeof (backends) / sizeof (backends [0]))

/*****************************************************************************/
/* failing */

void
give_up (const char *file, int line, const char *why)
{
  if (getpid () == test_pid)
    ck_abort_msg ("%s:%d: %s", file, line, why);

  fprintf (stderr, "%s:%d: in a child of the test: %s\n", file, line, why);
  _exit (99);
}

int
patience (void)
{
  const char *ms = getenv ("BEHAVIOUR_PATIENCE");

  return ms ? atoi (ms) : 20000;
}

static void
guard_cb (EV_P_ ev_timer *w, int revents)
{
  guard *g = (guard *)w->data;
  char why [200];

  (void)loop, (void)revents;
  snprintf (why, sizeof (why), "waited in vain for: %s", g->what);
  give_up (g->file, g->line, why);
}

void
guard_start (EV_P_ guard *g, const char *file, int line, const char *what)
{
  g->file = file;
  g->line = line;
  g->what = what;

  ev_now_update (EV_A);
  ev_timer_init (&g->timer, guard_cb, patience () * 1e-3, 0.);
  g->timer.data = g;
  ev_timer_start (EV_A_ &g->timer);
}

void
guard_stop (EV_P_ guard *g)
{
  ev_timer_stop (EV_A_ &g->timer);
}

int
wait_for (int fd, int events)
{
  struct pollfd p;
  int res;

  p.fd      = fd;
  p.events  = events;
  p.revents = 0;

  do
    res = poll (&p, 1, patience ());
  while (res < 0 && errno == EINTR);

  return p.revents;
}

static void
fence_cb (EV_P_ ev_io *w, int revents)
{
  (void)revents;
  *(int *)w->data += get (w->fd);
  ev_io_stop (EV_A_ w);
}

void
settle (EV_P)
{
  ev_io io;
  int round, passed = 0;

  ev_io_init (&io, fence_cb, fence [0], EV_READ);
  io.data = &passed;

  for (round = 1; round <= 8; ++round)
    {
      ev_io_start (EV_A_ &io);
      put (fence [1]);
      run_until (passed == round);
      ev_run (EV_A_ EVRUN_NOWAIT);
    }
}

/*****************************************************************************/
/* loops */

static void *
counting_alloc (void *ptr, long size)
{
  void *res = 0;

  if (size)
    {
      if (!ptr)
        __atomic_add_fetch (&blocks, 1, __ATOMIC_RELAXED);

      res = realloc (ptr, size);

      if (!res)
        abort ();
    }
  else if (ptr)
    {
      __atomic_sub_fetch (&blocks, 1, __ATOMIC_RELAXED);
      free (ptr);
    }

  return res;
}

int
allocated_blocks (void)
{
  return blocks;
}

unsigned
backend_flag (void)
{
  unsigned i;

  for (i = 0; backends [i].bit != backend; ++i)
    ;

  return backends [i].flag;
}

struct ev_loop *
another_loop (void)
{
  struct ev_loop *res = ev_loop_new (EVFLAG_NOENV | backend_flag ());

  ck_assert_msg (res != 0, "no loop for this backend");
  ck_assert_uint_eq (ev_backend (res), backend_flag ());

  return res;
}

static void
idle_cb (EV_P_ ev_io *w, int revents)
{
  (void)loop, (void)w, (void)revents;
  give_up (__FILE__, __LINE__, "an event for a socket that nobody has touched");
}

static void
idle_start (EV_P_ int pair, int end)
{
  ev_io *io = &idle_ios [pair][end];

  ev_io_init (io, idle_cb, idle_socks [pair][end], EV_READ);
  ev_set_priority (io, EV_MAXPRI);
  ev_io_start (EV_A_ io);
  ev_unref (EV_A);
  ++idle_fds;
}

void
gain (EV_P)
{
#if DEFAULT_POLICY
  int polls = 0;

  do
    {
      ev_run (EV_A_ EVRUN_NOWAIT);
      ev_linuxaio_stats (EV_A_ &stats);
    }
  while (ev_backend (EV_A) == EVBACKEND_LINUXAIO && !stats.ring_entries && ++polls < IDLE_POLLS);
#endif
}

void
warm (EV_P)
{
  int pair;

  for (pair = 0; pair < IDLE_PAIRS; ++pair)
    {
      sockets (idle_socks [pair]);
      idle_start (EV_A_ pair, 0);
      idle_start (EV_A_ pair, 1);
    }

  gain (EV_A);
  settle (EV_A);
  claim (stats.ring_entries > 0);
#ifndef SMALL_RING
  claim (stats.ring_fds >= (unsigned)idle_fds);
#endif
}

void
forget_idle (void)
{
  int pair;

  if (idle_fds)
    for (pair = 0; pair < IDLE_PAIRS; ++pair)
      close_both (idle_socks [pair]);

  idle_fds = 0;
}

static void
check_statistics (void)
{
#ifndef PRISTINE
  if (backend & LINUXAIO && ev_backend (EV_A) == EVBACKEND_LINUXAIO)
    {
      claim (stats.submitted == stats.completed + stats.cancelled + stats.in_flight);
      claim (stats.epoll_fds == stats.epoll_no_ring + stats.epoll_kind + stats.epoll_refused
                              + stats.epoll_parked + stats.epoll_overflow + stats.epoll_steady);
    }
#endif
}

static void
close_loop (void)
{
  ev_verify (EV_A);
  check_statistics ();
  ev_loop_destroy (EV_A);
  loop = 0;
  forget_idle ();
}

static void
setup (unsigned bit)
{
  signal (SIGPIPE, SIG_IGN);
  test_pid   = getpid ();
  backend    = bit;
  places     = 0;
  fds_before = open_fds ();

  if (before_each_test)
    before_each_test ();

  ev_set_allocator (counting_alloc);
  sockets (fence);
  loop = another_loop ();

  if (backend == RING)
    warm (EV_A);
}

static void
teardown (void)
{
  unsigned long inodes [8];

  close_loop ();
  close_both (fence);

  ck_assert_int_eq (open_fds (), fds_before);
  ck_assert_int_eq (contexts (inodes, 8), 0);
#ifndef PRISTINE
  ck_assert_int_eq (blocks, 0);
#endif
}

void
loop_with_flags (unsigned flags)
{
  close_loop ();
  loop = ev_loop_new (EVFLAG_NOENV | backend_flag () | flags);
  ck_assert_uint_eq (ev_backend (EV_A), backend_flag ());

  if (backend == RING)
    warm (EV_A);
}

void
default_loop_with_flags (unsigned flags)
{
  close_loop ();
  loop = ev_default_loop (EVFLAG_NOENV | backend_flag () | flags);
  ck_assert_uint_eq (ev_backend (EV_A), backend_flag ());

  /* the default loop watches a signal from the start, and beside a signalfd there is no ring */
  if (backend == RING && !(flags & EVFLAG_SIGNALFD))
    warm (EV_A);
}

#ifndef PRISTINE
struct ev_linuxaio_stats stats;

void
stats_give_up (const char *file, int line, const char *cond)
{
  fprintf (stderr,
           "submitted %lu completed %lu cancelled %lu refused %lu; calls: submit %lu wait %lu cancel %lu epoll %lu poll %lu;\n"
           "probe hits %lu regrowths %lu setups refused %lu moved to epoll %lu, to ring %lu;\n"
           "in flight %u ring entries %u requests %u fds %u; epoll fds %u: no ring %u kind %u refused %u parked %u overflow %u steady %u\n",
           stats.submitted, stats.completed, stats.cancelled, stats.refused,
           stats.submit_calls, stats.wait_calls, stats.cancel_calls, stats.epoll_calls, stats.probe_calls,
           stats.probe_hits, stats.regrowths, stats.setups_refused, stats.moved_to_epoll, stats.moved_to_ring,
           stats.in_flight, stats.ring_entries, stats.ring_requests, stats.ring_fds,
           stats.epoll_fds, stats.epoll_no_ring, stats.epoll_kind, stats.epoll_refused,
           stats.epoll_parked, stats.epoll_overflow, stats.epoll_steady);
  give_up (file, line, cond);
}
#endif

/*****************************************************************************/
/* suites */

Suite *
suite_over_backends (const char *name, void (*add) (TCase *tc, unsigned on))
{
  Suite *suite = suite_create (name);
  unsigned i;

  for (i = 0; i < BACKENDS; ++i)
    if (backends [i].bit & FLAVOUR)
      {
        TCase *tc = tcase_create (backends [i].name);

        tcase_add_checked_fixture (tc, backends [i].setup, teardown);
        tcase_set_timeout (tc, 60.);
        add (tc, backends [i].bit);
        suite_add_tcase (suite, tc);
      }

  return suite;
}

/*
 * The AIO quota is one for the whole machine. Whoever relies on having a ring
 * shares this lock, and whoever uses up the quota holds it alone, also against
 * runs of other users and from other directories: the lock is on the limit itself.
 */
static void
lock_quota (int exclusive)
{
  int fd = open ("/proc/sys/fs/aio-max-nr", O_RDONLY | O_CLOEXEC);

  if (fd >= 0)
    while (flock (fd, exclusive ? LOCK_EX : LOCK_SH) && errno == EINTR)
      ;
}

int
run_suites (int may_disturb, Suite **suites)
{
  SRunner *runner = srunner_create (*suites);
  int failed;

  while (*++suites)
    srunner_add_suite (runner, *suites);

  lock_quota (may_disturb);
  srunner_run_all (runner, CK_ENV);
  failed = srunner_ntests_failed (runner);
  srunner_free (runner);

  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/*****************************************************************************/
/* probes */

void
probe_cb (EV_P_ ev_io *w, int revents)
{
  probe *p = (probe *)w;
  char buf [64];

  (void)loop;
  ++p->count;
  p->revents = revents;
  p->seen   |= revents;
  p->place   = ++places;

  if (p->eat && revents & EV_READ && read (w->fd, buf, p->eat) < 0)
    must (errno == EAGAIN);
}

void
probe_init (probe *p, int fd, int events)
{
  memset (p, 0, sizeof (*p));
  ev_io_init (&p->io, probe_cb, fd, events);
}

void
probe_start (EV_P_ probe *p, int fd, int events)
{
  probe_init (p, fd, events);
  ev_io_start (EV_A_ &p->io);
}

void
probe_restart (EV_P_ probe *p, int fd, int events)
{
  ev_io_stop (EV_A_ &p->io);
  ev_io_set (&p->io, fd, events);
  ev_io_start (EV_A_ &p->io);
}

void
probe_stop (EV_P_ probe *p)
{
  ev_io_stop (EV_A_ &p->io);
}

void
count_cb (EV_P_ void *w, int revents)
{
  (void)loop, (void)revents;
  ++*(int *)((ev_watcher *)w)->data;
}

/*****************************************************************************/
/* descriptors */

void
sockets (int fd [2])
{
  must (!socketpair (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd));
}

void
pipes (int fd [2])
{
  must (!pipe2 (fd, O_NONBLOCK | O_CLOEXEC));
}

/* each process has an address of its own, so that nobody else takes a port that was just closed */
static int
inet_bound (int type, struct sockaddr_in *addr)
{
  socklen_t len = sizeof (*addr);
  int fd = socket (AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

  memset (addr, 0, sizeof (*addr));
  addr->sin_family      = AF_INET;
  addr->sin_addr.s_addr = htonl (0x7f000000 | (getpid () & 0xffffff));

  must (fd >= 0);
  must (!bind (fd, (struct sockaddr *)addr, sizeof (*addr)));
  must (!getsockname (fd, (struct sockaddr *)addr, &len));

  return fd;
}

int
tcp_listen (struct sockaddr_in *addr)
{
  int fd = inet_bound (SOCK_STREAM, addr);

  must (!listen (fd, 8));

  return fd;
}

int
udp_bound (struct sockaddr_in *addr)
{
  return inet_bound (SOCK_DGRAM, addr);
}

int
tcp_connect (const struct sockaddr_in *addr)
{
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int err = 0;

  must (fd >= 0);

  if (connect (fd, (const struct sockaddr *)addr, sizeof (*addr)))
    err = errno;

  close (fd);

  return err;
}

void
tcp_sockets (int fd [2])
{
  struct sockaddr_in addr;
  int listener = tcp_listen (&addr);
  int one = 1;

  fd [0] = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  must (!connect (fd [0], (struct sockaddr *)&addr, sizeof (addr)));
  must (wait_for (listener, POLLIN));
  fd [1] = accept4 (listener, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC);
  must (fd [1] >= 0);

  fcntl (fd [0], F_SETFL, O_NONBLOCK);
  setsockopt (fd [0], IPPROTO_TCP, TCP_NODELAY, &one, sizeof (one));
  setsockopt (fd [1], IPPROTO_TCP, TCP_NODELAY, &one, sizeof (one));
  close (listener);
}

int
pty (int *slave)
{
  int master = posix_openpt (O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
  struct termios raw;
  char name [64];

  must (master >= 0);
  must (!grantpt (master) && !unlockpt (master));
  must (!ptsname_r (master, name, sizeof (name)));
  *slave = open (name, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
  must (*slave >= 0);
  must (!tcgetattr (*slave, &raw));
  cfmakeraw (&raw);
  must (!tcsetattr (*slave, TCSANOW, &raw));

  return master;
}

int
usr1_fd (void)
{
  sigset_t set;
  int fd;

  sigemptyset (&set);
  sigaddset (&set, SIGUSR1);
  must (!sigprocmask (SIG_BLOCK, &set, 0));
  fd = signalfd (-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  must (fd >= 0);

  return fd;
}

void
put (int fd)
{
  must (write (fd, "x", 1) == 1);
}

int
get (int fd)
{
  char buf [4096];
  int all = 0, res;

  while ((res = read (fd, buf, sizeof (buf))) > 0)
    all += res;

  if (res < 0)
    must (errno == EAGAIN);

  return all ? all : res < 0 ? 0 : -1;
}

void
fill (int fd)
{
  static const char buf [4096];

  while (write (fd, buf, sizeof (buf)) > 0)
    ;

  while (write (fd, buf, 1) > 0)
    ;

  must (errno == EAGAIN);
}

void
close_both (int fd [2])
{
  close (fd [0]);
  close (fd [1]);
}

void
onto (int from, int to)
{
  if (from != to)
    {
      must (dup3 (from, to, O_CLOEXEC) == to);
      close (from);
    }
}

int
open_fds (void)
{
  DIR *dir = opendir ("/proc/self/fd");
  int count = 0;

  must (dir != 0);

  while (readdir (dir))
    ++count;

  closedir (dir);

  return count - 3; /* ".", ".." and dir itself */
}

unsigned
room_for_fds (unsigned want)
{
  struct rlimit lim;

  must (!getrlimit (RLIMIT_NOFILE, &lim));

  if (lim.rlim_cur < want)
    {
      lim.rlim_cur = lim.rlim_max < want ? lim.rlim_max : want;
      must (!setrlimit (RLIMIT_NOFILE, &lim));
    }

  if (lim.rlim_cur < want)
    {
      fprintf (stderr, "%s: only %lu of %u descriptors are allowed here (ulimit -Hn)\n",
               tcase_name (), (unsigned long)lim.rlim_cur, want);
      want = lim.rlim_cur;
    }

  return want;
}

int
contexts (unsigned long *inodes, int max)
{
  FILE *maps = fopen ("/proc/self/maps", "re");
  char line [512];
  int count = 0;

  must (maps != 0);

  while (count < max && fgets (line, sizeof (line), maps))
    if (strstr (line, "[aio]") && sscanf (line, "%*s %*s %*s %*s %lu", inodes + count) == 1)
      ++count;

  fclose (maps);

  return count;
}

/*****************************************************************************/
/* children */

pid_t
in_child (void (*body) (void))
{
  pid_t pid;

  fflush (0);
  pid = fork ();
  must (pid >= 0);

  if (!pid)
    {
      int own [2];

      /* what it sends to itself is not for its parent */
      sockets (own);
      onto (own [0], fence [0]);
      onto (own [1], fence [1]);

      prctl (PR_SET_PDEATHSIG, SIGKILL);
      body ();
      _exit (0);
    }

  return pid;
}

int
status_of (pid_t pid)
{
  int status;
  pid_t res;

  do
    res = waitpid (pid, &status, 0);
  while (res < 0 && errno == EINTR);

  must (res == pid);

  return status;
}

int
child_ok (pid_t pid)
{
  int status = status_of (pid);

  if (WIFSIGNALED (status))
    fprintf (stderr, "the child was killed by signal %d\n", WTERMSIG (status));

  return !status;
}

void
ask_epolls (void)
{
  char path [40], name [64];
  struct pollfd p;

  for (p.fd = 0, p.events = POLLIN; p.fd < 1024; ++p.fd)
    {
      ssize_t len;

      snprintf (path, sizeof (path), "/proc/self/fd/%d", p.fd);
      len = readlink (path, name, sizeof (name) - 1);

      if (len > 0 && (name [len] = 0, strstr (name, "eventpoll")))
        must (poll (&p, 1, 0) >= 0);
    }
}
