/*
 * Statistics: they show that the ring is used, for what, and what that costs
 * in system calls, which are counted, not timed.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include "fixture.h"
#include "suites.h"

static void
exchange (probe *p, int fd, int rounds)
{
  int i;

  for (p->count = 0, i = 1; i <= rounds; ++i)
    {
      put (fd);
      run_until (p->count == i);
    }
}

START_TEST (other_backends_have_no_statistics)
{
  struct ev_linuxaio_stats none;

  memset (&none, 0, sizeof (none));
  memset (&stats, -1, sizeof (stats));
  ck_assert_int_eq (ev_linuxaio_stats (EV_A_ &stats), 0);
  ck_assert_mem_eq (&stats, &none, sizeof (stats));
}
END_TEST

START_TEST (loop_with_few_fds_has_no_ring)
{
  int fd [10][2], i;
  probe p [10];

  ck_assert_int_eq (ev_linuxaio_stats (EV_A_ &stats), 1);

  for (i = 0; i < 10; ++i)
    {
      sockets (fd [i]);
      probe_start (EV_A_ p + i, fd [i][0], EV_READ);
      p [i].eat = 1;
      exchange (p + i, fd [i][1], 5);
    }

  claim (stats.ring_entries == 0);
  claim (stats.ring_requests == 0);
  claim (stats.submitted == 0);
  claim (stats.submit_calls + stats.wait_calls == 0);
  claim (stats.epoll_calls > 0);
  claim (stats.ring_fds == 0);
  claim (stats.epoll_fds == 10);
  claim (stats.epoll_no_ring == 10);

  for (i = 0; i < 10; ++i)
    {
      probe_stop (EV_A_ p + i);
      close_both (fd [i]);
    }
}
END_TEST

/* n sockets that are watched, and given events */
static void
open_crowd (probe *p, int (*fd) [2], int n)
{
  int i;

  for (i = 0; i < n; ++i)
    {
      sockets (fd [i]);
      probe_start (EV_A_ p + i, fd [i][0], EV_READ);
      p [i].eat = 1;
    }
}

static void
close_crowd (probe *p, int (*fd) [2], int n)
{
  int i;

  for (i = 0; i < n; ++i)
    {
      probe_stop (EV_A_ p + i);
      close_both (fd [i]);
    }
}

/* as many events as it takes to be weighed twice */
static void
serve_steadily (int (*fd) [2], int n)
{
  int round, i, before;

  for (round = 0; round * n < 9000; ++round)
    {
      for (i = 0, before = places; i < n; ++i)
        put (fd [i][1]);

      run_until (places - before >= n);
    }
}

START_TEST (loop_that_never_changes_makes_no_ring)
{
  int fd [100][2];
  probe p [100];

  open_crowd (p, fd, 100);
  serve_steadily (fd, 100);
  claim (stats.ring_entries == 0 && stats.submit_calls == 0);
  claim (stats.epoll_no_ring == 100);
  close_crowd (p, fd, 100);
}
END_TEST

START_TEST (loop_whose_watchers_are_restarted_while_armed_makes_no_ring)
{
  int fd [100][2], round, i;
  probe p [100];

  open_crowd (p, fd, 100);

  for (round = 0; round < 2000; ++round)
    {
      for (i = 0; i < 10; ++i)
        ev_io_stop (EV_A_ &p [(round * 10 + i) % 100].io);

      ev_run (EV_A_ EVRUN_NOWAIT);

      for (i = 0; i < 10; ++i)
        ev_io_start (EV_A_ &p [(round * 10 + i) % 100].io);

      ev_run (EV_A_ EVRUN_NOWAIT);
    }

  claim (stats.ring_entries == 0 && stats.submit_calls == 0);
  close_crowd (p, fd, 100);
}
END_TEST

/* and what it watches is moved there although it never waits */
START_TEST (loop_that_polls_in_vain_makes_a_ring)
{
  int fd [100][2], i;
  probe p [100];

  open_crowd (p, fd, 100);
  gain (EV_A);

  for (i = 0; i < 100; ++i)
    ev_run (EV_A_ EVRUN_NOWAIT);

  claim (stats.ring_fds == 100);
  claim (stats.epoll_fds == 0);
  close_crowd (p, fd, 100);
}
END_TEST

START_TEST (loop_that_changes_no_more_leaves_the_ring_and_comes_back)
{
  int fd [100][2], guard_polls = 0;
  probe p [100];

  open_crowd (p, fd, 100);
  settle (EV_A);
  claim (stats.ring_fds == (unsigned)idle_fds + 100);
  serve_steadily (fd, 100);
  settle (EV_A);
  claim (stats.epoll_steady == (unsigned)idle_fds + 100);

  do
    {
      ev_run (EV_A_ EVRUN_NOWAIT);
      ev_linuxaio_stats (EV_A_ &stats);
    }
  while (stats.epoll_steady && ++guard_polls < 100000);

  claim (stats.ring_fds == (unsigned)idle_fds + 100);
  serve_steadily (fd, 100);
  close_crowd (p, fd, 100);
}
END_TEST

START_TEST (loop_with_few_fds_makes_a_ring_when_they_change_a_lot)
{
  int fd [8][2], i, round;
  probe p;

  for (i = 0; i < 8; ++i)
    sockets (fd [i]);

  for (round = 0; round < 1500; ++round)
    for (i = 0; i < 8; ++i)
      {
        probe_start (EV_A_ &p, fd [i][0], EV_READ);
        put (fd [i][1]);
        run_until (p.count);
        get (fd [i][0]);
        probe_stop (EV_A_ &p);
      }

  claim (stats.ring_entries > 0);
  claim (stats.completed > 0);

  /* and keeps it */
  probe_start (EV_A_ &p, fd [0][0], EV_READ);
  settle (EV_A);
  claim (stats.ring_fds == 1);
  probe_stop (EV_A_ &p);

  for (i = 0; i < 8; ++i)
    close_both (fd [i]);
}
END_TEST

/* two starts in five events; the stops between them cost epoll nothing */
START_TEST (loop_with_fewer_starts_than_it_takes_makes_no_ring)
{
  int fd [3][2], round, i;
  probe p [3];

  for (i = 0; i < 3; ++i)
    {
      sockets (fd [i]);
      probe_init (p + i, fd [i][0], EV_READ);
      p [i].eat = 1;
    }

  ev_io_start (EV_A_ &p [2].io);

  for (round = 0; round < 10000; ++round)
    {
      static const int turn [5] = { 0, 2, 1, 2, 2 };

      i = turn [round % 5];

      if (i < 2)
        ev_io_start (EV_A_ &p [i].io);

      p [i].count = 0;
      put (fd [i][1]);
      run_until (p [i].count);

      if (i < 2)
        ev_io_stop (EV_A_ &p [i].io);
    }

  claim (stats.ring_entries == 0);
  ev_io_stop (EV_A_ &p [2].io);

  for (i = 0; i < 3; ++i)
    close_both (fd [i]);
}
END_TEST

/* two take turns in reading, beside writing: for each event one is started and the other stopped */
START_TEST (loop_that_reads_beside_writing_makes_a_ring)
{
  int fd [2][2], round, i;
  probe r [2], w [2];

  for (i = 0; i < 2; ++i)
    {
      sockets (fd [i]);
      fill (fd [i][0]);
      probe_start (EV_A_ w + i, fd [i][0], EV_WRITE);
      probe_init (r + i, fd [i][0], EV_READ);
      r [i].eat = 1;
    }

  for (round = 0; round < 20000 && !stats.ring_entries; ++round)
    {
      i = round & 1;
      ev_io_start (EV_A_ &r [i].io);
      ev_io_stop (EV_A_ &r [!i].io);
      put (fd [i][1]);
      run_until (r [i].count > round / 2);
      ev_linuxaio_stats (EV_A_ &stats);
    }

  claim (stats.ring_entries > 0);

  for (i = 0; i < 2; ++i)
    {
      probe_stop (EV_A_ w + i);
      probe_stop (EV_A_ r + i);
      close_both (fd [i]);
    }
}
END_TEST

START_TEST (events_of_sockets_come_from_the_ring)
{
  struct ev_linuxaio_stats before;
  int fd [2];
  probe p;

  sockets (fd);
  probe_start (EV_A_ &p, fd [0], EV_READ);
  p.eat = 1;
  settle (EV_A);
  claim (stats.ring_fds == (unsigned)idle_fds + 1);
  claim (stats.epoll_fds == 0);
  before = stats;

  exchange (&p, fd [1], 100);
  claim (stats.completed >= before.completed + 100);
  claim (stats.submitted >= before.submitted + 99);
  claim (stats.epoll_calls == before.epoll_calls);
  claim (stats.cancelled == before.cancelled);
  claim (stats.in_flight >= stats.ring_fds);

  probe_stop (EV_A_ &p);
  ev_run (EV_A_ EVRUN_NOWAIT);
  claim (stats.ring_fds == (unsigned)idle_fds);
  close_both (fd);
}
END_TEST

/* 32 of them at once, while what asking them has brought into the cache is there; what the ring knows goes together */
START_TEST (fds_that_are_new_to_the_ring_are_submitted_some_at_a_time)
{
  struct ev_linuxaio_stats before;
  int fd [40][2], i;
  probe p [40];

  settle (EV_A);
  claim (stats.ring_fds == (unsigned)idle_fds);
  before = stats;
  open_crowd (p, fd, 40);
  ev_run (EV_A_ EVRUN_NOWAIT);
  claim (stats.ring_fds == (unsigned)idle_fds + 40);
  claim (stats.submitted == before.submitted + 40);
  claim (stats.submit_calls == before.submit_calls + 2);

  for (i = 0; i < 40; ++i)
    put (fd [i][1]);

  ev_run (EV_A_ EVRUN_NOWAIT);
  claim (places == 40);
  ev_run (EV_A_ EVRUN_NOWAIT);
  claim (stats.submitted == before.submitted + 80);
  claim (stats.submit_calls == before.submit_calls + 3);
  close_crowd (p, fd, 40);
}
END_TEST

/* not even for what is in epoll, which is held by a request of its own */
START_TEST (idle_loop_makes_no_system_call)
{
  struct ev_linuxaio_stats before;
  int slave, master = pty (&slave), i;
  probe p;

  probe_start (EV_A_ &p, slave, EV_READ);
  settle (EV_A);
  claim (stats.epoll_fds == 1);
  before = stats;

  for (i = 0; i < 100; ++i)
    ev_run (EV_A_ EVRUN_NOWAIT);

  claim (!memcmp (&before, &stats, sizeof (stats)));
  probe_stop (EV_A_ &p);
  close (slave);
  close (master);
}
END_TEST

/* none is closed before all have been tried: what is known of a number would decide, too */
static int tried [10], triedcnt;

static void
expect_in (int fd, int in_ring, unsigned *why)
{
  probe p;

  tried [triedcnt++] = fd;
  probe_start (EV_A_ &p, fd, EV_READ);
  settle (EV_A);
  claim (stats.ring_fds == (unsigned)(idle_fds + in_ring));
  claim (stats.epoll_fds == (unsigned)!in_ring);
  claim (!why || *why == 1);
  probe_stop (EV_A_ &p);
}

START_TEST (kind_of_file_decides_where_it_is_served)
{
  struct sockaddr_in addr;
  int local [2], tcp [2], pipe_ends [2], slave, master = pty (&slave);

  sockets (local);
  tcp_sockets (tcp);
  pipes (pipe_ends);
  triedcnt = 0;

  expect_in (local [0], 1, 0);
  expect_in (tcp [0], 1, 0);
  expect_in (pipe_ends [0], 1, 0);
  expect_in (eventfd (0, EFD_CLOEXEC), 1, 0);
  expect_in (timerfd_create (CLOCK_MONOTONIC, TFD_CLOEXEC), 1, 0);

  expect_in (tcp_listen (&addr), 0, &stats.epoll_kind);
  expect_in (udp_bound (&addr), 0, &stats.epoll_kind);
  expect_in (open ("/dev/null", O_RDONLY | O_CLOEXEC), 0, &stats.epoll_kind);
  expect_in (open ("/proc/self/exe", O_RDONLY | O_CLOEXEC), 0, &stats.epoll_kind);
  expect_in (slave, 0, &stats.epoll_kind);

  while (triedcnt)
    close (tried [--triedcnt]);

  close (local [1]);
  close (tcp [1]);
  close (pipe_ends [1]);
  close (master);
}
END_TEST

/*
 * Whether a signalfd is ready depends on who asks. When an epoll fd is polled by
 * a request, that may be a kernel worker, and then the event of the signalfd is
 * lost (one in 8000 while another CPU was in io_submit). So no ring beside it; nor
 * beside another epoll, in which there may be one.
 */
static int
personal_file (int which)
{
  sigset_t none;

  sigemptyset (&none);

  return which ? epoll_create1 (EPOLL_CLOEXEC) : signalfd (-1, &none, SFD_CLOEXEC);
}

START_TEST (ring_is_given_up_for_a_file_that_only_the_process_may_ask)
{
  int fd [2], which;
  probe p, sock;

  for (which = 0; which < 2; ++which)
    {
      if (which)
        loop_with_flags (0); /* the former one will have no ring again, see below */

      sockets (fd);
      probe_start (EV_A_ &sock, fd [0], EV_READ);
      sock.eat = 1;
      gain (EV_A);
      settle (EV_A);
      claim (stats.ring_entries > 0 && stats.in_flight > 0);

      probe_start (EV_A_ &p, personal_file (which), EV_READ);
      settle (EV_A);
      claim (stats.in_flight == 0 && stats.ring_fds == 0 && stats.ring_entries == 0);
      exchange (&sock, fd [1], 10);

      probe_stop (EV_A_ &p);
      close (p.io.fd);
      gain (EV_A);
      claim (stats.ring_entries == 0);
      exchange (&sock, fd [1], 10);
      probe_stop (EV_A_ &sock);
      close_both (fd);
    }
}
END_TEST

START_TEST (no_ring_is_made_beside_a_file_that_only_the_process_may_ask)
{
  int which;
  probe p;

  for (which = 0; which < 2; ++which)
    {
      if (which)
        loop_with_flags (0);

      probe_start (EV_A_ &p, personal_file (which), EV_READ);
      gain (EV_A);
      claim (stats.ring_entries == 0 && stats.submit_calls == 0);
      probe_stop (EV_A_ &p);
      close (p.io.fd);
    }
}
END_TEST

START_TEST (signal_that_came_while_its_signalfd_was_not_watched_is_told)
{
  int fd [2];
  probe p, sock;

  probe_start (EV_A_ &p, usr1_fd (), EV_READ);
  settle (EV_A);
  probe_stop (EV_A_ &p);

  sockets (fd);
  probe_start (EV_A_ &sock, fd [0], EV_READ);
  gain (EV_A);
  settle (EV_A);
  claim (stats.ring_fds == 1);
  kill (getpid (), SIGUSR1);
  ck_assert (child_ok (in_child (ask_epolls)));
  ev_io_start (EV_A_ &p.io);
  run_until (p.count);
  settle (EV_A);
  claim (stats.ring_fds == 0 && stats.ring_entries == 0);

  probe_stop (EV_A_ &p);
  probe_stop (EV_A_ &sock);
  close (p.io.fd);
  close_both (fd);
}
END_TEST

START_TEST (no_ring_is_made_when_signals_come_by_signalfd)
{
  int signals = 0;
  ev_signal usr1;

  loop_with_flags (EVFLAG_SIGNALFD);
  ev_signal_init (&usr1, (void (*) (EV_P_ ev_signal *, int))count_cb, SIGUSR1);
  usr1.data = &signals;
  ev_signal_start (EV_A_ &usr1);
  gain (EV_A);
  claim (stats.ring_entries == 0);
  kill (getpid (), SIGUSR1);
  run_until (signals == 1);
  ev_signal_stop (EV_A_ &usr1);
}
END_TEST

/* the end of a pipe that is open for both looks like any pipe, but the kernel refuses to poll it */
START_TEST (refused_file_is_not_tried_again_and_again)
{
  int fd [2], i;
  char path [40];
  probe p;

  pipes (fd);
  snprintf (path, sizeof (path), "/proc/self/fd/%d", fd [0]);
  close (fd [1]);
  fd [1] = open (path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  ck_assert_int_ge (fd [1], 0);
  probe_init (&p, fd [1], EV_READ);

  for (i = 0; i < 50; ++i)
    {
      ev_io_start (EV_A_ &p.io);
      ev_run (EV_A_ EVRUN_NOWAIT);
      claim (stats.epoll_refused == 1);
      claim (stats.refused == 1);
      ev_io_stop (EV_A_ &p.io);
    }

  put (fd [1]);
  ev_io_start (EV_A_ &p.io);
  run_until (p.count);
  probe_stop (EV_A_ &p);
  close_both (fd);
}
END_TEST

START_TEST (fd_that_is_stopped_while_armed_again_and_again_is_parked)
{
  int fd [2], i;
  probe p;

  sockets (fd);
  probe_start (EV_A_ &p, fd [0], EV_READ);

  for (i = 0; i < 1000; ++i)
    {
      ev_run (EV_A_ EVRUN_NOWAIT);
      ev_io_stop (EV_A_ &p.io);
      ev_io_start (EV_A_ &p.io);
    }

  ev_run (EV_A_ EVRUN_NOWAIT);
  claim (stats.epoll_parked == 1);
  claim (stats.cancelled < 50);
  p.eat = 1;
  exchange (&p, fd [1], 10);
  probe_stop (EV_A_ &p);
  close_both (fd);
}
END_TEST

/* watched for reading, and on epoll for the next 256 stops or changes */
static void
park (probe *p, int fd)
{
  int i;

  probe_start (EV_A_ p, fd, EV_READ);

  for (i = 0; i < 20; ++i)
    {
      ev_run (EV_A_ EVRUN_NOWAIT);
      ev_io_stop (EV_A_ &p->io);
      ev_io_start (EV_A_ &p->io);
    }

  ev_run (EV_A_ EVRUN_NOWAIT);
  claim (stats.epoll_parked == 1);
}

START_TEST (parked_fd_returns_to_the_ring_after_a_number_of_stops)
{
  int fd [2], i;
  probe p;

  sockets (fd);
  park (&p, fd [0]);

  /* a stop that the loop sees is a change, too */
  for (i = 0; i < 200 && stats.epoll_parked; ++i)
    {
      ev_io_stop (EV_A_ &p.io);
      ev_run (EV_A_ EVRUN_NOWAIT);
      ev_io_start (EV_A_ &p.io);
      ev_run (EV_A_ EVRUN_NOWAIT);
      ev_linuxaio_stats (EV_A_ &stats);
    }

  claim (stats.epoll_fds == 0 && stats.ring_fds == (unsigned)idle_fds + 1);
  probe_stop (EV_A_ &p);
  close_both (fd);
}
END_TEST

START_TEST (parked_fd_that_is_never_stopped_returns_to_the_ring_after_a_number_of_changes)
{
  int fd [2], i;
  probe p, w;

  sockets (fd);
  fill (fd [0]);
  park (&p, fd [0]);
  probe_init (&w, fd [0], EV_WRITE);

  for (i = 0; i < 300 && stats.epoll_parked; ++i)
    {
      ev_io_start (EV_A_ &w.io);
      ev_run (EV_A_ EVRUN_NOWAIT);
      ev_io_stop (EV_A_ &w.io);
      ev_run (EV_A_ EVRUN_NOWAIT);
      ev_linuxaio_stats (EV_A_ &stats);
    }

  claim (stats.epoll_fds == 0 && stats.ring_fds == (unsigned)idle_fds + 1);
  ck_assert_int_eq (w.count, 0);
  probe_stop (EV_A_ &p);
  close_both (fd);
}
END_TEST

/* each is a re-set of an armed fd. every other time it is stopped while armed, which is no reason to park it */
START_TEST (several_watchers_of_an_fd_are_started_without_parking_it)
{
  int fd [2], round, i;
  probe p [5];

  sockets (fd);

  for (round = 0; round < 20; ++round)
    {
      for (i = 0; i < 5; ++i)
        {
          probe_start (EV_A_ p + i, fd [0], EV_READ);
          ev_run (EV_A_ EVRUN_NOWAIT);
        }

      claim (stats.epoll_parked == 0);

      if (round & 1)
        {
          put (fd [1]);
          run_until (p [4].count);
          get (fd [0]);
        }

      for (i = 0; i < 5; ++i)
        probe_stop (EV_A_ p + i);

      ev_run (EV_A_ EVRUN_NOWAIT);
    }

  close_both (fd);
}
END_TEST

START_TEST (change_of_the_mask_needs_no_cancel)
{
  struct ev_linuxaio_stats before;
  int fd [2], i;
  probe r, w;

  sockets (fd);
  probe_start (EV_A_ &r, fd [0], EV_READ);
  probe_init (&w, fd [0], EV_WRITE);
  ev_io_start (EV_A_ &w.io);
  run_until (w.count == 1);
  ev_io_stop (EV_A_ &w.io);
  settle (EV_A);
  ev_linuxaio_stats (EV_A_ &stats);
  before = stats;

  for (i = 0; i < 50; ++i)
    {
      ev_io_start (EV_A_ &w.io);
      run_until (w.count == i + 2);
      ev_io_stop (EV_A_ &w.io);
      ev_run (EV_A_ EVRUN_NOWAIT);
    }

  claim (stats.cancelled == before.cancelled);
  claim (stats.ring_fds == (unsigned)idle_fds + 1);
  probe_stop (EV_A_ &r);
  close_both (fd);
}
END_TEST

START_TEST (one_shot_use_needs_no_cancel)
{
  struct ev_linuxaio_stats before;
  int fd [2], i;
  probe p;

  sockets (fd);
  settle (EV_A);
  ev_linuxaio_stats (EV_A_ &stats);
  before = stats;

  for (i = 0; i < 100; ++i)
    {
      probe_start (EV_A_ &p, fd [0], EV_READ);
      put (fd [1]);
      run_until (p.count);
      get (fd [0]);
      probe_stop (EV_A_ &p);
    }

  claim (stats.cancelled == before.cancelled);
  claim (stats.completed >= before.completed + 100);
  close_both (fd);
}
END_TEST

static int echo_fd;

static void
echo_back (void)
{
  int i, got;

  for (i = 0; i < 500; i += got)
    {
      must (wait_for (echo_fd, POLLIN));
      got = get (echo_fd);
      must (got > 0);
      put (echo_fd);
    }
}

START_TEST (busy_polling_loses_no_event)
{
  int fd [2], signals = 0, ticks = 0;
  ev_signal usr1;
  ev_timer timer;
  pid_t child;
  probe p;

  sockets (fd);
  echo_fd = fd [1];
  child = in_child (echo_back);
  ev_linuxaio_busy_poll (EV_A_ 0.001);
  probe_start (EV_A_ &p, fd [0], EV_READ);
  p.eat = 1;
  exchange (&p, fd [0], 500);
  ck_assert (child_ok (child));
  claim (stats.ring_fds > 0);

  ev_signal_init (&usr1, (void (*) (EV_P_ ev_signal *, int))count_cb, SIGUSR1);
  usr1.data = &signals;
  ev_signal_start (EV_A_ &usr1);
  kill (getpid (), SIGUSR1);
  run_until (signals == 1);
  ev_signal_stop (EV_A_ &usr1);

  /* longer than the busy time, and shorter */
  ev_timer_init (&timer, (void (*) (EV_P_ ev_timer *, int))count_cb, 0.01, 0.0001);
  timer.data = &ticks;
  ev_timer_start (EV_A_ &timer);
  run_until (ticks >= 10);
  ev_timer_stop (EV_A_ &timer);

  ev_linuxaio_busy_poll (EV_A_ 0.);
  probe_stop (EV_A_ &p);
  close_both (fd);
}
END_TEST

static void
add (TCase *tc, unsigned on)
{
  if (on & ~LINUXAIO)
    tcase_add_test (tc, other_backends_have_no_statistics);

  if (on & LINUXAIO)
    tcase_add_test (tc, busy_polling_loses_no_event);

  if (DEFAULT_POLICY && on & COLD)
    {
      tcase_add_test (tc, loop_with_few_fds_has_no_ring);
      tcase_add_test (tc, loop_with_few_fds_makes_a_ring_when_they_change_a_lot);
      tcase_add_test (tc, loop_with_fewer_starts_than_it_takes_makes_no_ring);
      tcase_add_test (tc, loop_that_reads_beside_writing_makes_a_ring);
      tcase_add_test (tc, loop_that_never_changes_makes_no_ring);
      tcase_add_test (tc, loop_whose_watchers_are_restarted_while_armed_makes_no_ring);
      tcase_add_test (tc, loop_that_polls_in_vain_makes_a_ring);
      tcase_add_test (tc, no_ring_is_made_beside_a_file_that_only_the_process_may_ask);
      tcase_add_test (tc, signal_that_came_while_its_signalfd_was_not_watched_is_told);
      tcase_add_test (tc, no_ring_is_made_when_signals_come_by_signalfd);
    }

  if (DEFAULT_POLICY && on & RING)
    {
      tcase_add_test (tc, events_of_sockets_come_from_the_ring);
      tcase_add_test (tc, fds_that_are_new_to_the_ring_are_submitted_some_at_a_time);
      tcase_add_test (tc, idle_loop_makes_no_system_call);
      tcase_add_test (tc, kind_of_file_decides_where_it_is_served);
      tcase_add_test (tc, ring_is_given_up_for_a_file_that_only_the_process_may_ask);
      tcase_add_test (tc, refused_file_is_not_tried_again_and_again);
      tcase_add_test (tc, fd_that_is_stopped_while_armed_again_and_again_is_parked);
      tcase_add_test (tc, parked_fd_returns_to_the_ring_after_a_number_of_stops);
      tcase_add_test (tc, parked_fd_that_is_never_stopped_returns_to_the_ring_after_a_number_of_changes);
      tcase_add_test (tc, several_watchers_of_an_fd_are_started_without_parking_it);
      tcase_add_test (tc, change_of_the_mask_needs_no_cancel);
      tcase_add_test (tc, one_shot_use_needs_no_cancel);
      tcase_add_test (tc, loop_that_changes_no_more_leaves_the_ring_and_comes_back);
    }
}

Suite *
statistics_suite (void)
{
  return suite_over_backends ("statistics", add);
}
