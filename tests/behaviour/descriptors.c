/*
 * Kinds of descriptors, in a table: each is watched while it is not ready, made
 * ready, emptied, and made ready again, whichever way the backend serves it.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include <liburing.h>
#include <linux/perf_event.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#include "fixture.h"

#ifndef SYS_pidfd_open
# define SYS_pidfd_open 434
#endif

static int fd [2]; /* the one that is watched, and the one that makes it ready, if there is one */

static int
temporary_file (void)
{
  int res = memfd_create ("behaviour", MFD_CLOEXEC);

  return res >= 0 ? res : open (temporary ("file"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

static void
fifo (int flags, int *end)
{
  if (mkfifo (temporary ("fifo"), 0600))
    must_be (errno, ==, EEXIST);

  *end = open (temporary ("fifo"), flags | O_NONBLOCK | O_CLOEXEC);
}

/*****************************************************************************/
/* how each is made */

static void open_sockets (void)    { sockets (fd); }
static void open_tcp (void)        { tcp_sockets (fd); }
static void open_udp (void)        { udp_sockets (fd); }
static void open_pipe (void)       { pipes (fd); }
static void open_fifo (void)       { fifo (O_RDONLY, fd); fifo (O_WRONLY, fd + 1); }
static void open_fifo_both (void)  { fifo (O_RDWR, fd); fd [1] = fd [0]; }
static void open_terminal (void)   { fd [1] = pty (fd); }
static void open_master (void)     { fd [0] = pty (fd + 1); }
static void open_datagram (void)   { must (!socketpair (AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd)); }
static void open_seqpacket (void)  { must (!socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd)); }
static void open_eventfd (void)    { fd [0] = eventfd (0, EFD_NONBLOCK | EFD_CLOEXEC); }
static void open_timerfd (void)    { fd [0] = timerfd_create (CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC); }
static void open_signalfd (void)   { fd [0] = usr1_fd (); }
static void open_tcp_listen (void) { struct sockaddr_in addr; fd [0] = tcp_listen (&addr); }

static void
open_udp_unconnected (void)
{
  struct sockaddr_in to, from;

  fd [0] = udp_bound (&to);
  fd [1] = udp_bound (&from);
  must (!connect (fd [1], (struct sockaddr *)&to, sizeof (to)));
}

static void
open_local_listen (void)
{
  struct sockaddr_un addr;

  /* the kernel picks an abstract name */
  memset (&addr, 0, sizeof (addr));
  addr.sun_family = AF_UNIX;
  fd [0] = socket (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  must (!bind (fd [0], (struct sockaddr *)&addr, sizeof (sa_family_t)));
  must (!listen (fd [0], 8));
}

static void
open_inotify (void)
{
  close (open (temporary ("file"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  fd [0] = inotify_init1 (IN_NONBLOCK | IN_CLOEXEC);
  must (inotify_add_watch (fd [0], temporary ("file"), IN_OPEN) >= 0);
}

static int inner [2];

static void
open_epoll (void)
{
  struct epoll_event ev = { EPOLLIN, { 0 } };

  sockets (inner);
  fd [0] = epoll_create1 (EPOLL_CLOEXEC);
  fd [1] = inner [1];
  must (!epoll_ctl (fd [0], EPOLL_CTL_ADD, inner [0], &ev));
}

static struct io_uring uring;

static void
open_uring (void)
{
  int res = io_uring_queue_init (4, &uring, 0);

  if (res < 0)
    skip ("this host has no io_uring (%s)", strerror (-res));

  fd [0] = uring.ring_fd;
}

/* its poll takes away what it reports: whoever asks first is told */
static struct perf_event_mmap_page *perf;
static char *pages;

static void
open_perf (void)
{
  struct perf_event_attr attr;

  memset (&attr, 0, sizeof (attr));
  attr.type           = PERF_TYPE_SOFTWARE;
  attr.size           = sizeof (attr);
  attr.config         = PERF_COUNT_SW_PAGE_FAULTS;
  attr.sample_period  = 1;
  attr.wakeup_events  = 1;
  attr.exclude_kernel = 1;
  attr.disabled       = 1;
  fd [0] = syscall (SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);

  if (fd [0] < 0)
    skip ("no perf events for this user here (%s)", strerror (errno));

  perf  = (struct perf_event_mmap_page *)mmap (0, 9 * sysconf (_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_SHARED, fd [0], 0);
  pages = (char *)mmap (0, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

  if (perf == MAP_FAILED || pages == MAP_FAILED || madvise (pages, 64 << 20, MADV_NOHUGEPAGE))
    skip ("no ring for perf events here (%s)", strerror (errno));
}

/*****************************************************************************/
/* how it is made ready, and emptied */

static void
put_other (void)
{
  put (fd [1]);
}

static void
put_number (void)
{
  uint64_t one = 1;

  must (write (fd [0], &one, sizeof (one)) == sizeof (one));
}

static void
expire_soon (void)
{
  static const struct itimerspec soon = { { 0, 0 }, { 0, 1000000 } };

  must (!timerfd_settime (fd [0], 0, &soon, 0));
}

static void
raise_usr1 (void)
{
  kill (getpid (), SIGUSR1);
}

static void
open_watched_file (void)
{
  close (open (temporary ("file"), O_RDONLY | O_CLOEXEC));
}

static void
connect_to_it (void)
{
  struct sockaddr_storage addr;
  socklen_t len = sizeof (addr);

  must (!getsockname (fd [0], (struct sockaddr *)&addr, &len));
  fd [1] = socket (addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  must (!connect (fd [1], (struct sockaddr *)&addr, len));
}

static void
complete_nothing (void)
{
  io_uring_prep_nop (io_uring_get_sqe (&uring));
  must_be (io_uring_submit (&uring), ==, 1);
}

static void
fault_pages (void)
{
  static int at, enabled;

  if (!enabled++)
    must (!ioctl (fd [0], PERF_EVENT_IOC_ENABLE, 0));

  pages [(at += 1) * sysconf (_SC_PAGESIZE)] = 1;
}

static void
get_all (void)
{
  get (fd [0]);
}

static void
get_datagrams (void)
{
  char c;

  while (recv (fd [0], &c, 1, 0) == 1)
    ;
}

static void
accept_it (void)
{
  close (accept (fd [0], 0, 0));
  close (fd [1]);
}

static void
drain_inner (void)
{
  must_be (get (inner [0]), ==, 1);
}

static void
take_completion (void)
{
  struct io_uring_cqe *cqe;

  must (!io_uring_peek_cqe (&uring, &cqe));
  io_uring_cqe_seen (&uring, cqe);
}

static void
take_samples (void)
{
  perf->data_tail = perf->data_head;
}

/*****************************************************************************/
/* the table */

enum
{
  SEVERAL = 1, /* reported in every iteration until it is emptied, and not after that; otherwise once for each time */
  OWN     = 2  /* might be libev's: closed by the test */
};

typedef struct kind
{
  void (*open) (void);
  void (*ready) (void);
  void (*consume) (void);
  int how;
} kind;

/* each iteration of a loop that waits for nothing but its timers is counted: it sleeps in between */
static void
expect_sleep (void)
{
  unsigned before = ev_iteration (EV_A);
  ev_timer timer;

  ev_now_update (EV_A);
  ev_timer_init (&timer, 0, 0.02, 0.);
  counts (ev_timer, &timer, &(int) { 0 });
  ev_timer_start (EV_A_ &timer);
  run_until (!ev_is_active (&timer));

  must_be (ev_iteration (EV_A) - before, <, 10);
}

static void
serve (const struct kind *k, int number)
{
  probe *p;
  int round;

  k->open ();
  must (fd [0] >= 0);

  if (number >= 0)
    {
      int same = fd [1] == fd [0];

      onto (fd [0], number);
      fd [0] = number;
      fd [1] = same ? number : fd [1];
    }

  p = watch (fd [0], EV_READ);
  silent (p);
  expect_sleep ();

  for (round = 0; round < 5; ++round)
    {
      /* stopped, set and started again in every other round, as programs do */
      if (round & 1)
        restart (p, fd [0], EV_READ);

      k->ready ();
      told (p, EV_READ);

      if (k->how & SEVERAL)
        {
          ev_run (EV_A_ EVRUN_ONCE);
          must_be (p->count, ==, 2);
        }

      k->consume ();

      if (k->how & SEVERAL)
        silent (p);
    }

  stop (p);

  if (k->how & OWN)
    close (fd [0]);
}

#define KIND(name, on, ...)                         \
  static const kind name = { __VA_ARGS__ };         \
  TEST (name##_is_served, on) { serve (&name, -1); }

KIND (stream_socket    , ALL, open_sockets        , put_other        , get_all        , SEVERAL)
KIND (tcp_socket       , ALL, open_tcp            , put_other        , get_all        , SEVERAL)
KIND (connected_udp    , ALL, open_udp            , put_other        , get_datagrams  , SEVERAL)
KIND (unconnected_udp  , ALL, open_udp_unconnected, put_other        , get_datagrams  , SEVERAL)
KIND (local_datagram   , ALL, open_datagram       , put_other        , get_datagrams  , SEVERAL)
KIND (sequenced_packet , ALL, open_seqpacket      , put_other        , get_datagrams  , SEVERAL)
KIND (tcp_listener     , ALL, open_tcp_listen     , connect_to_it    , accept_it      , SEVERAL)
KIND (local_listener   , ALL, open_local_listen   , connect_to_it    , accept_it      , SEVERAL)
KIND (pipe_end         , ALL, open_pipe           , put_other        , get_all        , SEVERAL)
KIND (fifo_end         , ALL, open_fifo           , put_other        , get_all        , SEVERAL)
KIND (fifo_for_both    , ALL, open_fifo_both      , put_other        , get_all        , SEVERAL)
KIND (terminal         , ALL, open_terminal       , put_other        , get_all        , SEVERAL)
KIND (terminal_master  , ALL, open_master         , put_other        , get_all        , SEVERAL)
KIND (event_fd         , ALL, open_eventfd        , put_number       , get_all        , SEVERAL | OWN)
KIND (timer_fd         , ALL, open_timerfd        , expire_soon      , get_all        , SEVERAL | OWN)
KIND (signal_fd        , ALL, open_signalfd       , raise_usr1       , get_all        , SEVERAL | OWN)
KIND (inotify          , ALL, open_inotify        , open_watched_file, get_all        , SEVERAL | OWN)
KIND (other_epoll      , ALL, open_epoll          , put_other        , drain_inner    , SEVERAL | OWN)
KIND (io_uring_fd      , ALL, open_uring          , complete_nothing , take_completion, SEVERAL | OWN)
KIND (perf_event       , EPOLL | LINUXAIO, open_perf, fault_pages    , take_samples   , OWN)

/* the same number, ever other kinds; and 0 is a number like others */
TEST (one_number_serves_all_kinds_in_turn, ALL)
{
  static const kind *const kinds [] = { &stream_socket, &terminal, &pipe_end, &event_fd, &tcp_socket, &fifo_for_both, &tcp_listener, &timer_fd, &connected_udp };
  int number, i, rest = open ("/dev/null", O_RDWR | O_CLOEXEC);

  for (number = 0; number <= rest; number += rest)
    for (i = 0; i < 2 * 9; ++i)
      serve (kinds [i * 5 % 9], number);
}

/*****************************************************************************/
/* what poll (2) calls always ready */

static void
expect_always_ready (int number, int events)
{
  probe *p = watch (number, events);
  int i;

  for (i = 1; i <= 5; ++i)
    {
      ev_run (EV_A_ i & 1 ? EVRUN_NOWAIT : EVRUN_ONCE);
      must_be (p->count, ==, i);
      must_be (p->revents, ==, events);
    }

  for (i = 0; i < 2; ++i)
    {
      stop (p);
      silent (p);
      restart (p, number, i ? EV_WRITE : EV_READ);
      told (p, i ? EV_WRITE : EV_READ);
    }

  stop_and_close (p);
}

TEST (files_that_are_always_ready_are_reported_in_every_iteration, ALL)
{
  expect_always_ready (open (temporary ("regular"), O_RDWR | O_CREAT | O_CLOEXEC, 0600), EV_READ | EV_WRITE);
  expect_always_ready (temporary_file (), EV_READ | EV_WRITE);
  expect_always_ready (open ("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), EV_READ);
  expect_always_ready (open ("/dev/null", O_RDWR | O_CLOEXEC), EV_READ | EV_WRITE);
  expect_always_ready (open ("/dev/zero", O_RDWR | O_CLOEXEC), EV_READ | EV_WRITE);
}

TEST (several_always_ready_files_do_not_hide_each_other, ALL)
{
  probe *p [4];
  int i, round;

  for (i = 0; i < 4; ++i)
    p [i] = watch (i & 1 ? temporary_file () : open ("/dev/null", O_RDWR | O_CLOEXEC), EV_READ);

  for (round = 1; round <= 5; ++round)
    {
      ev_run (EV_A_ EVRUN_ONCE);

      for (i = 0; i < 4; ++i)
        must_be (p [i]->count, ==, round);
    }

  for (i = 0; i < 4; ++i)
    {
      stop_and_close (p [i]);
      silent (p [i]);
    }
}

/*****************************************************************************/
/* what is special to some */

/* kernels before 6.14 or so wake up writers of a full pipe although there is no room yet */
TEST (pipe_that_is_still_full_is_not_writable, ALL)
{
  char buf [10];
  probe *p;
  int i;

  pipes (fd);
  must (fcntl (fd [1], F_SETPIPE_SZ, 4096) > 0);
  fill (fd [1]);
  p = watch (fd [1], EV_WRITE);

  for (i = 0; i < 10; ++i)
    {
      silent (p);
      must (read (fd [0], buf, sizeof (buf)) == sizeof (buf));
    }

  get (fd [0]);
  told (p, EV_WRITE);
}

/* the kernel refuses to poll this one with AIO, unless it is ready */
TEST (fifo_opened_for_both_is_written_to, ALL)
{
  probe *p;

  open_fifo_both ();
  fill (fd [0]);
  p = watch (fd [0], EV_READ | EV_WRITE);
  told (p, EV_READ);
  get (fd [0]);
  run_until (p->seen & EV_WRITE);
}

TEST (terminal_is_served_in_both_directions, ALL)
{
  probe *p;

  open_terminal ();
  p = watch (fd [0], EV_READ | EV_WRITE);
  told (p, EV_WRITE);
  put (fd [1]);
  run_until (p->revents, ==, EV_READ | EV_WRITE);
  get (fd [0]);
  told (p, EV_WRITE);
}

TEST (hang_up_of_a_terminal_is_reported, ALL)
{
  probe *p;

  open_terminal ();
  p = watch (fd [0], EV_READ);
  silent (p);
  close (fd [1]);
  run_until (p->seen & EV_READ);
}

TEST (eventfd_is_writable_until_it_overflows, ALL)
{
  uint64_t most = -2;
  probe *p;

  open_eventfd ();
  p = watch (fd [0], EV_WRITE);
  run_until (p->count, ==, 2);
  must (write (fd [0], &most, sizeof (most)) == sizeof (most));
  settle (EV_A);
  silent (p);
  get (fd [0]);
  told (p, EV_WRITE);
  stop_and_close (p);
}

/* libraries take "readable" for "expired", and cancel by setting it anew: what is no longer true is not told */
TEST (timerfd_and_eventfd_that_are_ready_no_more_are_not_reported, ALL)
{
  static const struct itimerspec off, late = { { 0, 0 }, { 3600, 0 } };
  probe *p;

  open_timerfd ();
  p = watch (fd [0], EV_READ);
  settle (EV_A);
  expire_soon ();
  must (wait_for (fd [0], POLLIN));
  must (!timerfd_settime (fd [0], 0, &off, 0));
  silent (p);
  expire_soon ();
  must (wait_for (fd [0], POLLIN));
  must (!timerfd_settime (fd [0], 0, &late, 0));
  silent (p);
  expire_soon ();
  told (p, EV_READ);
  stop_and_close (p);

  open_eventfd ();
  p = watch (fd [0], EV_READ);
  settle (EV_A);
  put_number ();
  get (fd [0]);
  silent (p);
  stop_and_close (p);
}

TEST (signal_that_came_while_its_signalfd_was_not_watched_is_told, ALL)
{
  probe *p;

  open_signalfd ();
  p = watch (fd [0], EV_READ);
  settle (EV_A);
  stop (p);
  talk (reader (), 10);
  raise_usr1 ();
  start (p);
  told (p, EV_READ);
  stop_and_close (p);
}

TEST (pidfd_reports_the_end_of_the_child, ALL)
{
  probe *p;
  pid_t pid;

  sockets (inner);

  if (!(pid = child ()))
    {
      wait_for (inner [0], POLLIN);
      leave ();
    }

  fd [0] = syscall (SYS_pidfd_open, pid, 0);

  if (fd [0] < 0)
    skip ("this host has no pidfd (%s)", strerror (errno));

  p = watch (fd [0], EV_READ);
  silent (p);
  put (inner [1]);
  told (p, EV_READ);
  ends_well (pid);
  stop_and_close (p);
}

/*****************************************************************************/
/* nothing is ready, and nothing is asked again and again */

TEST (loop_sleeps_while_sockets_are_full, ALL)
{
  int how;

  for (how = 0; how < 6; ++how)
    {
      probe *p;

      how % 3 == 0 ? open_tcp () : how % 3 == 1 ? open_datagram () : open_sockets ();
      fill (fd [0]);
      settle (EV_A);
      fill (fd [0]);
      p = watch (fd [0], how < 3 ? EV_WRITE : EV_READ | EV_WRITE);
      settle (EV_A);

      while (p->count) /* more room was found for a connection */
        {
          p->count = 0;
          fill (fd [0]);
          settle (EV_A);
        }

      expect_sleep ();
      must_be (p->count, ==, 0);
      stop (p);
    }
}
