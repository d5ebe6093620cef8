/*
 * Kinds of descriptors: each is watched while it is not ready, made ready,
 * emptied, and made ready again, whichever way the backend serves it.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#include "fixture.h"

#ifndef SYS_pidfd_open
# define SYS_pidfd_open 434
#endif

/* each iteration of a loop that waits for nothing but its timers is counted: it sleeps in between */
static unsigned
iterations_of_a_sleep (void)
{
  unsigned before = ev_iteration (EV_A);
  int over = 0;

  ev_now_update (EV_A);
  counted (timer, &over, 0.02, 0.);
  run_until (over);

  return ev_iteration (EV_A) - before;
}

/*****************************************************************************/
/* the kinds of world.h */

#define SLOTS 8

static int slot; /* of the one that is watched */

static void
write_to_it (void)
{
  must (world_write (world [slot].sibling, 0));
}

/* connections that were made and accepted for that are closed */
static void
read_all (void)
{
  int i;

  must (world_drain (slot));

  for (i = 0; i < SLOTS; ++i)
    if (i != slot && i != world [slot].sibling)
      world_close (i);
}

/* once: it is reported once for each time, whether it is consumed or not; otherwise in every iteration until it is */
static void
serve (int fd, void (*ready) (void), void (*consume) (void), int once)
{
  probe *p = watch (fd, EV_READ);
  int round;

  silent (p);
  must_be (iterations_of_a_sleep (), <, 10);

  for (round = 0; round < 5; ++round)
    {
      /* stopped, set and started again in every other round, as programs do */
      if (round & 1)
        restart (p, fd, EV_READ);

      ready ();
      told (p, EV_READ);

      if (!once)
        {
          ev_run (EV_A_ EVRUN_ONCE);
          must_be (p->count, ==, 2);
        }

      consume ();

      if (!once)
        silent (p);
    }

  stop (p);
}

static void
serve_kind (int kind, int end)
{
  world_init (SLOTS);
  must (world_open (0, kind));
  slot = end ? world [0].sibling : 0;
  serve (world [slot].fd, write_to_it, read_all, 0);
  world_done ();
}

#define KIND(name, kind, end) TEST (name##_is_served, ALL) { serve_kind (kind, end); }

KIND (stream_socket   , WORLD_STREAM     , 0)
KIND (local_datagram  , WORLD_DGRAM      , 0)
KIND (sequenced_packet, WORLD_SEQPACKET  , 0)
KIND (pipe_end        , WORLD_PIPE       , 0)
KIND (fifo_for_both   , WORLD_FIFO       , 0)
KIND (terminal_master , WORLD_PTY        , 0)
KIND (terminal        , WORLD_PTY        , 1)
KIND (tcp_socket      , WORLD_TCP        , 0)
KIND (connected_udp   , WORLD_UDP        , 0)
KIND (unconnected_udp , WORLD_UDP_BOUND  , 0)
KIND (tcp_listener    , WORLD_LISTEN     , 0)
KIND (local_listener  , WORLD_LISTEN_UNIX, 0)
KIND (event_fd        , WORLD_EVENTFD    , 0)
KIND (signal_fd       , WORLD_SIGNALFD   , 0)
KIND (timer_fd        , WORLD_TIMERFD    , 0)
KIND (other_epoll     , WORLD_EPOLL      , 0)
KIND (inotify         , WORLD_INOTIFY    , 0)

/* the same number, ever other kinds; and 0 is a number like others */
TEST (one_number_serves_all_kinds_in_turn, ALL)
{
  static const int kinds [] = {
    WORLD_STREAM, WORLD_PTY, WORLD_PIPE, WORLD_EVENTFD, WORLD_TCP, WORLD_FIFO, WORLD_LISTEN, WORLD_TIMERFD, WORLD_UDP
  };
  int number, i;

  for (number = 0; number <= 100; number += 100)
    {
      world_init (SLOTS);
      must (world_open (0, WORLD_STREAM));
      onto (world [0].fd, number);
      world [0].fd = number;

      for (i = 0; i < 2 * 9; ++i)
        {
          world_close (world [0].sibling == 0 ? 1 : world [0].sibling);
          must (world_reopen (0, kinds [i * 5 % 9]));
          serve (number, write_to_it, read_all, 0);
        }

      world_done ();
    }
}

/*****************************************************************************/
/* what programs rarely watch */

/* its poll takes away what it reports: whoever asks first is told */
static struct perf_event_mmap_page *perf;
static int perf_fd;
static char *pages;

static void
fault_page (void)
{
  must (!ioctl (perf_fd, PERF_EVENT_IOC_ENABLE, 0)); /* from the first time on */
  *(pages += sysconf (_SC_PAGESIZE)) = 1;
}

static void
take_samples (void)
{
  perf->data_tail = perf->data_head;
}

TEST (perf_event_is_served, EPOLL | LINUXAIO)
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
  perf_fd = syscall (SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);

  if (perf_fd < 0)
    skip ("no perf events for this user here (%s)", strerror (errno));

  perf  = (struct perf_event_mmap_page *)mmap (0, 9 * sysconf (_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_SHARED, perf_fd, 0);
  pages = (char *)mmap (0, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

  if (perf == MAP_FAILED || pages == MAP_FAILED || madvise (pages, 64 << 20, MADV_NOHUGEPAGE))
    skip ("no ring for perf events here (%s)", strerror (errno));

  serve (perf_fd, fault_page, take_samples, 1);
  close (perf_fd);
}

TEST (pidfd_reports_the_end_of_the_child, ALL)
{
  int end [2], fd;
  pid_t pid;
  probe *p;

  sockets (end);

  for_child (pid)
    wait_for (end [0], POLLIN);

  fd = syscall (SYS_pidfd_open, pid, 0);

  if (fd < 0)
    skip ("this host has no pidfd (%s)", strerror (errno));

  p = watch (fd, EV_READ);
  silent (p);
  put (end [1]);
  told (p, EV_READ);
  ends_well (pid);
  stop_and_close (p);
}

/*****************************************************************************/
/* what poll (2) calls always ready */

static void
expect_always_ready (int fd, int events)
{
  probe *p = watch (fd, events), *null = watch (open ("/dev/null", O_RDWR | O_CLOEXEC), events);
  int i;

  for (i = 1; i <= 5; ++i)
    {
      ev_run (EV_A_ i & 1 ? EVRUN_NOWAIT : EVRUN_ONCE);
      must_be (p->count, ==, i);
      must_be (p->revents, ==, events);
      must_be (null->count, ==, i); /* they do not hide each other */
    }

  stop_and_close (null);

  for (i = 0; i < 2; ++i)
    {
      stop (p);
      silent (p);
      restart (p, fd, i ? EV_WRITE : EV_READ);
      told (p, i ? EV_WRITE : EV_READ);
    }

  stop_and_close (p);
}

TEST (files_that_are_always_ready_are_reported_in_every_iteration, ALL)
{
  expect_always_ready (open (temporary ("regular"), O_RDWR | O_CREAT | O_CLOEXEC, 0600), EV_READ | EV_WRITE);
  expect_always_ready (memfd_create ("behaviour", MFD_CLOEXEC), EV_READ | EV_WRITE);
  expect_always_ready (open ("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), EV_READ);
  expect_always_ready (open ("/dev/null", O_RDWR | O_CLOEXEC), EV_READ | EV_WRITE);
  expect_always_ready (open ("/dev/zero", O_RDWR | O_CLOEXEC), EV_READ | EV_WRITE);
}

/*****************************************************************************/
/* what is special to some */

static void
set_timer (int fd, time_t seconds, long nanoseconds)
{
  struct itimerspec t = { { 0, 0 }, { seconds, nanoseconds } };

  must (!timerfd_settime (fd, 0, &t, 0));
}

/* libraries take "readable" for "expired", and cancel by setting it anew: what is no longer true is not told */
TEST (timerfd_and_eventfd_that_are_ready_no_more_are_not_reported, ALL)
{
  probe *p = watch_kind (WORLD_TIMERFD, EV_READ);
  uint64_t one = 1;
  int off;

  settle (EV_A);

  for (off = 0; off < 2; ++off)
    {
      set_timer (p->io.fd, 0, 1);
      must (wait_for (p->io.fd, POLLIN));
      set_timer (p->io.fd, off ? 0 : 3600, 0);
      silent (p);
    }

  set_timer (p->io.fd, 0, 1);
  told (p, EV_READ);
  stop_and_close (p);

  p = watch_kind (WORLD_EVENTFD, EV_READ);
  settle (EV_A);
  must (write (p->io.fd, &one, sizeof (one)) == sizeof (one));
  get (p->io.fd);
  silent (p);
  stop_and_close (p);
}

/*****************************************************************************/
/* nothing is ready, and nothing is asked again and again */

/* more room may be found for a connection, at any time: only then it is told */
static void
fill_cb (EV_P_ ev_io *w, int revents)
{
  probe_cb (EV_A_ w, revents);
  must (wait_for (w->fd, POLLOUT) & POLLOUT);
  fill (w->fd);
}

TEST (loop_sleeps_while_sockets_are_full, ALL)
{
  static const int kinds [] = { WORLD_TCP, WORLD_DGRAM, WORLD_STREAM };
  int how;

  for (how = 0; how < 6; ++how)
    {
      probe *p = watch_kind (kinds [how % 3], how < 3 ? EV_WRITE : EV_READ | EV_WRITE);

      ev_set_cb (&p->io, fill_cb);
      settle (EV_A);
      p->count = 0;
      must_be (iterations_of_a_sleep (), <, 10u + p->count);
      stop (p);
    }
}
