/*
 * The backend on a kernel that does as it is told: every order in which a ring
 * can be filled and read, what only other kernels do, and what depends on the
 * course of things that no test on a real kernel can wait for.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include <check.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* the fences of the backend, which are those of the pretended kernel, too; libev has others elsewhere */
static void pretended_acquire (void);
static void pretended_release (void);

#define ECB_MEMORY_FENCE         ((void)0)
#define ECB_MEMORY_FENCE_ACQUIRE pretended_acquire ()
#define ECB_MEMORY_FENCE_RELEASE pretended_release ()
#define ECB_MEMORY_FENCE_RELAXED ((void)0)

#define EV_STANDALONE         1
#define EV_USE_LINUXAIO       1
#define EV_LINUXAIO_EVSYS     "tests/coverage/pretended.h"
#define EV_LINUXAIO_RING_FDS  1
#define EV_LINUXAIO_RING_MIN  5
#define EV_LINUXAIO_RING_MAX  8
#define EV_LINUXAIO_EVENTS    INT_MAX

/* a look at the clock takes its time: the kernel may have got further meanwhile */
static int pretended_gettime (clockid_t id, struct timespec *ts);

#define clock_gettime(id, ts) pretended_gettime (id, ts)

#include "ev.c"

#undef clock_gettime

#define PAIRS 4 /* watched in both directions: as many requests as are certain to fit, but one */

static struct ev_loop *loop;
static int fd [PAIRS][2];
static ev_io io [PAIRS];
static int calls [PAIRS], seen [PAIRS];
static int once; /* watchers are stopped by their callbacks */

static void
io_cb (EV_P_ ev_io *w, int revents)
{
  int i = w - io;

  ++calls [i];
  seen [i] = revents;

  if (once)
    ev_io_stop (EV_A_ w);
}

static void
run (void)
{
  memset (calls, 0, sizeof (calls));
  memset (seen, 0, sizeof (seen));
  ev_run (EV_A_ EVRUN_NOWAIT);
}

static int
called (void)
{
  return calls [0] + calls [1] + calls [2] + calls [3];
}

/* watches the first of them */
static void
watch (int count, int events)
{
  int i;

  for (i = 0; i < count; ++i)
    {
      ev_io_init (io + i, io_cb, fd [i][0], events);
      ev_io_start (EV_A_ io + i);
    }

  run (); /* makes the ring, if there is none */
  run ();
}

static void
complete (int i, int events, long res)
{
  pretended_complete (fd [i][0], events, res);
}

static int
held (int i, int events)
{
  return pretended_find (fd [i][0], events) >= 0;
}

static struct ev_linuxaio_stats
statistics (void)
{
  struct ev_linuxaio_stats stats;

  ck_assert_int_eq (ev_linuxaio_stats (EV_A_ &stats), 1);
  ck_assert_uint_eq (stats.submitted, stats.completed + stats.cancelled + stats.in_flight);

  return stats;
}

static void
setup (void)
{
  int i;

  seam_reset ();
  memset (&kernel, 0, sizeof (kernel));
  kernel.rings_left = PRETENDED_RINGS;
  loop = ev_loop_new (EVFLAG_NOENV | EVBACKEND_LINUXAIO);
  ck_assert_uint_eq (ev_backend (EV_A), EVBACKEND_LINUXAIO);

  for (i = 0; i < PAIRS; ++i)
    ck_assert_int_eq (socketpair (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd [i]), 0);
}

static void
teardown (void)
{
  int i;

  statistics ();
  ev_loop_destroy (EV_A);
  ck_assert_int_eq (kernel.destroyed, kernel.made);
  ck_assert_uint_eq (seam_calls (SEAM_unmap), seam_calls (SEAM_map));

  for (i = 0; i < PAIRS; ++i)
    {
      close (fd [i][0]);
      close (fd [i][1]);
    }
}

/*****************************************************************************/
/* the ring */

START_TEST (events_are_read_in_every_position_of_the_ring)
{
  int round, i;

  watch (PAIRS, EV_READ);
  ck_assert_int_eq (kernel.heldcnt, PAIRS + 1);

  for (round = 0; round < 3 * PRETENDED_ENTRIES; ++round)
    {
      /* one at a time in some rounds, several in others */
      for (i = 0; i <= round % PAIRS; ++i)
        complete (i, POLLIN, POLLIN);

      run ();
      ck_assert_uint_eq (kernel.ring->header.head, kernel.ring->header.tail);

      for (i = 0; i < PAIRS; ++i)
        ck_assert_int_eq (calls [i], i <= round % PAIRS);

      run ();
      ck_assert_int_eq (called (), 0);
      ck_assert_int_eq (kernel.heldcnt, PAIRS + 1);
    }
}
END_TEST

START_TEST (requests_are_made_all_at_once)
{
  int i;

  watch (PAIRS, EV_READ);
  ck_assert_int_eq (kernel.submits, 1);

  for (i = 0; i < PAIRS; ++i)
    complete (i, POLLIN, POLLIN);

  run ();
  run ();
  ck_assert_int_eq (kernel.submits, 2);
  run ();
  ck_assert_int_eq (kernel.submits, 2);
  ck_assert_int_eq (kernel.waits, 0);
}
END_TEST

/* a request that was made before others is the first that is found no room for */
START_TEST (epoll_is_the_first_of_the_requests)
{
  watch (PAIRS, EV_READ);
  ck_assert_int_eq (kernel.first_fd, loop->backend_fd);
  pretended_complete (kernel.first_fd, POLLIN, POLLIN);
  complete (0, POLLIN, POLLIN);
  run ();
  ck_assert_int_eq (called (), 1);
  run ();
  ck_assert_int_eq (kernel.first_fd, loop->backend_fd);
  ck_assert_int_eq (kernel.heldcnt, PAIRS + 1);
}
END_TEST

/* cancelling the oldest is cheap: they go first, whenever somebody has to */
START_TEST (oldest_request_makes_room_for_the_one_of_epoll)
{
  int i;

  watch (PAIRS, EV_READ);

  /* the third is the oldest of the sockets after that */
  for (i = 0; i < PAIRS; ++i)
    if (i != 2)
      {
        complete (i, POLLIN, POLLIN);
        run ();
        run ();
      }

  kernel.room = PAIRS;
  pretended_complete (loop->backend_fd, POLLIN, POLLIN);
  complete (1, POLLIN, POLLIN);
  kernel.room = PAIRS - 1;
  run ();
  run ();
  ck_assert_ptr_ne (kernel.last_cancelled, 0);
  ck_assert_int_eq (kernel.last_cancelled->aio_fildes, fd [2][0]);
}
END_TEST

/* which is level-triggered: it tells of the socket each time that it is asked */
START_TEST (epoll_is_asked_while_there_is_no_room_for_its_request)
{
  int datagram = socket (AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

  watch (3, EV_READ);
  ev_io_init (io + 3, io_cb, datagram, EV_WRITE);
  ev_io_start (EV_A_ io + 3);
  run ();
  ck_assert_uint_eq (statistics ().epoll_kind, 1);

  kernel.room = 3;
  pretended_complete (loop->backend_fd, POLLIN, POLLIN);
  run ();
  ck_assert_int_eq (calls [3], 1);
  run ();
  ck_assert_int_eq (calls [3], 1);

  ev_io_stop (EV_A_ io + 3);
  close (datagram);
}
END_TEST

/*****************************************************************************/
/* what an event says */

START_TEST (only_what_was_asked_for_is_believed)
{
  watch (1, EV_READ | EV_WRITE);
  ck_assert_int_eq (kernel.heldcnt, 3);
  complete (0, POLLIN, 0xc3 | POLLOUT);
  run ();
  ck_assert_int_eq (calls [0], 1);
  ck_assert_int_eq (seen [0], EV_READ);

  run ();
  complete (0, POLLOUT, 0xc3 | POLLOUT);
  run ();
  ck_assert_int_eq (seen [0], EV_WRITE);
}
END_TEST

START_TEST (errors_and_hang_ups_are_told_to_everybody)
{
  static const int res [] = { POLLERR, POLLHUP, POLLIN | POLLERR, POLLOUT | POLLHUP };

  watch (1, EV_READ | EV_WRITE);
  complete (0, _i & 1 ? POLLIN : POLLOUT, res [_i]);
  run ();
  ck_assert_int_eq (seen [0], EV_READ | EV_WRITE);
}
END_TEST

START_TEST (event_that_says_nothing_is_followed_by_another_request)
{
  watch (1, EV_READ);
  complete (0, POLLIN, 0);
  run ();
  ck_assert_int_eq (called (), 0);
  run ();
  ck_assert (held (0, POLLIN));
  complete (0, POLLIN, POLLOUT);
  run ();
  ck_assert_int_eq (called (), 0);
  run ();
  complete (0, POLLIN, POLLIN);
  run ();
  ck_assert_int_eq (called (), 1);
}
END_TEST

/* fs/pipe.c, before 6.14: a reader that comes wakes writers of a full pipe */
START_TEST (writer_of_a_full_pipe_is_not_told_that_there_is_room)
{
  static const char bytes [4096];
  char buf [4096];
  int ends [2];

  ck_assert_int_eq (pipe2 (ends, O_NONBLOCK), 0);

  while (write (ends [1], bytes, sizeof (bytes)) > 0)
    ;

  ev_io_init (io, io_cb, ends [1], EV_WRITE);
  ev_io_start (EV_A_ io);
  run (); /* makes the ring */
  run ();
  pretended_complete (ends [1], POLLOUT, POLLOUT);
  run ();
  ck_assert_int_eq (called (), 0);
  run ();

  ck_assert_int_eq (read (ends [0], buf, sizeof (buf)), sizeof (buf));
  pretended_complete (ends [1], POLLOUT, POLLOUT);
  run ();
  ck_assert_int_eq (called (), 1);

  ev_io_stop (EV_A_ io);
  close (ends [0]);
  close (ends [1]);
}
END_TEST

/*****************************************************************************/
/* cancelling */

/* until it has come, the request is nobody's, whatever it is made for later */
START_TEST (event_of_a_cancelled_request_means_nothing)
{
  uint64_t data;
  int i;

  watch (1, EV_READ);
  data = kernel.held [pretended_find (fd [0][0], POLLIN)]->aio_data;
  ev_io_stop (EV_A_ io);
  ck_assert_int_eq (kernel.cancels, 1);
  ck_assert (!held (0, POLLIN));

  /* those that are watched after it get others */
  watch (PAIRS, EV_READ);

  for (i = 0; i < PAIRS; ++i)
    ck_assert_uint_ne (kernel.held [pretended_find (fd [i][0], POLLIN)]->aio_data, data);

  pretended_event (data, POLLIN | POLLHUP);
  run ();
  ck_assert_int_eq (called (), 0);
  ck_assert_uint_eq (statistics ().cancelled, 1);
}
END_TEST

/* what is stopped while armed every other time is not parked on epoll for that */
START_TEST (cancelled_requests_are_used_again_after_their_events)
{
  int round, i;

  kernel.cancels_answered = 1;
  kernel.rings_left       = 1;
  once = 1;

  for (round = 0; round < 50; ++round)
    {
      watch (PAIRS, round & 2 ? EV_WRITE : EV_READ);
      ck_assert_int_eq (kernel.heldcnt, PAIRS + 1);

      for (i = 0; i < PAIRS; ++i)
        if (round & 1)
          ev_io_stop (EV_A_ io + i);
        else
          complete (i, round & 2 ? POLLOUT : POLLIN, POLLIN | POLLOUT);

      run ();
      ck_assert_int_eq (called (), round & 1 ? 0 : PAIRS);
      ck_assert_uint_eq (statistics ().epoll_fds, 0);
    }

  ck_assert_uint_eq (statistics ().cancelled, 25 * PAIRS);
}
END_TEST

START_TEST (cancelled_requests_are_used_again_although_nothing_is_in_flight)
{
  int i;

  kernel.cancels_answered = 1;
  watch (2, EV_READ);

  for (i = 0; i < 2; ++i)
    ev_io_stop (EV_A_ io + i);

  run ();
  ck_assert_uint_eq (kernel.ring->header.head, kernel.ring->header.tail);
  watch (PAIRS, EV_READ);
  ck_assert_int_eq (kernel.heldcnt, PAIRS + 1);
  ck_assert_int_eq (kernel.made, 1);
}
END_TEST

/* as long as its event has not come, a cancelled request takes as much room as one in flight */
START_TEST (cancelled_requests_count_for_the_size_of_the_ring)
{
  int i;

  watch (PAIRS, EV_READ);
  ck_assert_int_eq (kernel.made, 1);

  for (i = 0; i < PAIRS; ++i)
    ev_io_stop (EV_A_ io + i);

  ck_assert_int_eq (kernel.cancels, PAIRS);
  watch (PAIRS, EV_READ);
  ck_assert_int_eq (kernel.made, 2);
  ck_assert_int_eq (kernel.heldcnt, PAIRS + 1);
}
END_TEST

/* what has no request left is on epoll */
START_TEST (no_more_requests_are_made_than_there_are_entries)
{
  int i;

  kernel.rings_left = 1;
  watch (PAIRS, EV_READ | EV_WRITE);
  ck_assert_int_eq (kernel.heldcnt, 2 * PAIRS + 1);

  for (i = 0; i < PAIRS; ++i)
    ev_io_stop (EV_A_ io + i);

  ck_assert_int_eq (kernel.cancels, 2 * PAIRS);
  watch (PAIRS, EV_READ | EV_WRITE);
  ck_assert_int_eq (kernel.made, 1);
  ck_assert_int_le (2 * PAIRS + kernel.heldcnt, PRETENDED_ENTRIES - 1);
  ck_assert_uint_gt (statistics ().epoll_overflow, 0);
}
END_TEST

/* the event was there before: it is one that was answered, not given up */
START_TEST (request_that_completes_before_it_is_cancelled_is_not_counted_as_cancelled)
{
  watch (1, EV_READ);
  complete (0, POLLIN, POLLIN);
  ev_io_stop (EV_A_ io);
  ck_assert_int_eq (kernel.cancels, 1);
  ck_assert_uint_eq (statistics ().cancelled, 0);
  ck_assert_uint_eq (statistics ().completed, 1);
  run ();
  ck_assert_int_eq (called (), 0);
  ck_assert_uint_eq (statistics ().completed, 1);
}
END_TEST

/* there is nothing to be read after the last entry */
START_TEST (requests_of_an_fd_are_awaited_in_every_position_of_the_ring)
{
  int i;

  kernel.cancels_answered = 1;
  watch (2, EV_READ | EV_WRITE);

  for (i = 0; i < _i; ++i)
    {
      complete (1, POLLIN, POLLIN);
      run ();
      run ();
    }

  ev_io_stop (EV_A_ io);
  ck_assert_int_eq (kernel.cancels, 2);
  run ();
  ck_assert_int_eq (called (), 0);
  ck_assert_uint_eq (kernel.ring->header.head, kernel.ring->header.tail);
}
END_TEST

/* the worker lets go of the file when the loop has looked at the clock a few times */
START_TEST (stop_ends_when_the_worker_has_let_go_of_the_file)
{
  int pair [2];

  ck_assert_int_eq (socketpair (AF_UNIX, _i ? SOCK_DGRAM : SOCK_STREAM, 0, pair), 0);
  kernel.cancels_answered = 1;
  watch (1, EV_READ);
  ev_io_stop (EV_A_ io);
  run ();
  ev_io_set (io, pair [0], EV_READ);
  ev_io_start (EV_A_ io);
  run ();
  ck_assert_int_ge (pretended_find (pair [0], POLLIN), 0);
  kernel.cancels_answered = 0;
  kernel.looks = 5;
  ev_io_stop (EV_A_ io);
  ck_assert_int_eq (kernel.looks, 0);
  run ();
  ck_assert_int_eq (called (), 0);
  close (pair [0]);
  close (pair [1]);
}
END_TEST

/* started again at once with the same mask: nothing tells but the backend itself */
START_TEST (watcher_that_is_stopped_and_started_at_once_is_armed_again)
{
  watch (1, EV_READ);
  ev_io_stop (EV_A_ io);
  ev_io_start (EV_A_ io);
  run ();
  ck_assert (held (0, POLLIN));
  complete (0, POLLIN, POLLIN);
  run ();
  ck_assert_int_eq (called (), 1);
}
END_TEST

static int left; /* cancelled requests to be answered */

static void
answer_by_signal (int signo)
{
  (void)signo;

  if (left && kernel.last_cancelled)
    {
      --left;
      pretended_event (kernel.last_cancelled->aio_data, 0);
    }
}

/* a worker that still asked epoll would ask the signalfd, too; the signal handler plays it */
START_TEST (signalfd_is_not_watched_before_the_request_for_epoll_has_gone)
{
  struct itimerval soon = { { 0, 5000 }, { 0, 5000 } }, never = { { 0, 0 }, { 0, 0 } };
  sigset_t none;
  ev_io personal;
  uint32_t tail;

  watch (1, EV_READ);
  sigemptyset (&none);
  ev_io_init (&personal, io_cb, signalfd (-1, &none, SFD_CLOEXEC), EV_READ);
  ev_io_start (EV_A_ &personal);

  tail = kernel.ring->header.tail;
  left = 1;
  signal (SIGALRM, answer_by_signal);
  setitimer (ITIMER_REAL, &soon, 0);
  run ();
  setitimer (ITIMER_REAL, &never, 0);
  ck_assert_uint_eq (kernel.ring->header.tail, (tail + 1) % PRETENDED_ENTRIES);
  ck_assert_int_eq (pretended_find (loop->backend_fd, POLLIN), -1);
  run ();
  run ();
  ck_assert_int_eq (kernel.heldcnt, 0);
  ck_assert_uint_eq (statistics ().ring_entries, 0);

  ev_io_stop (EV_A_ &personal);
  close (personal.fd);
}
END_TEST

/* not even if nothing else is in flight any more: its event tells that no worker is at it */
START_TEST (signalfd_is_asked_what_it_is_before_the_request_for_epoll_has_gone)
{
  sigset_t none;
  ev_io personal;

  watch (1, EV_READ);
  loop->linuxaio.steady = 1; /* as after EV_LINUXAIO_EVENTS that say so */
  complete (0, POLLIN, POLLIN);
  run ();
  ck_assert_int_eq (kernel.heldcnt, 0);
  ck_assert_uint_eq (statistics ().epoll_steady, 1);

  sigemptyset (&none);
  ev_io_init (&personal, io_cb, signalfd (-1, &none, SFD_CLOEXEC), EV_READ);
  ev_io_start (EV_A_ &personal);
  run ();
  ck_assert_uint_eq (statistics ().ring_entries, 0);

  ev_io_stop (EV_A_ &personal);
  close (personal.fd);
}
END_TEST

/*****************************************************************************/
/* sleeping */

static int ticks;

static void
timer_cb (EV_P_ ev_timer *w, int revents)
{
  (void)loop, (void)w, (void)revents;
  ++ticks;
}

static void
sleep_until_a_timer (double seconds)
{
  ev_timer timer;

  ticks = 0;
  ev_now_update (EV_A);
  ev_timer_init (&timer, timer_cb, seconds, 0.);
  ev_timer_start (EV_A_ &timer);
  memset (calls, 0, sizeof (calls));
  ev_run (EV_A_ EVRUN_ONCE);
  ev_timer_stop (EV_A_ &timer);
}

static void
answer_a_cancelled_request (double seconds)
{
  if (left)
    {
      --left;
      pretended_event (kernel.last_cancelled->aio_data, 0);
    }
  else
    usleep (seconds * 1e6 + 100.);
}

/* what wakes the loop up is not for anybody: it goes on sleeping */
START_TEST (event_of_a_cancelled_request_does_not_end_the_sleep)
{
  watch (PAIRS, EV_READ);
  ev_io_stop (EV_A_ io);
  left = 1;
  kernel.asleep = answer_a_cancelled_request;
  sleep_until_a_timer (0.01);
  ck_assert_int_eq (ticks, 1);
  ck_assert_int_eq (kernel.waits, 2);
  ck_assert_int_eq (called (), 0);
}
END_TEST

static void
expect_the_first_held (double seconds)
{
  ck_assert (held (0, POLLIN));
  usleep (seconds * 1e6 + 100.);
}

START_TEST (what_has_completed_without_saying_anything_is_armed_before_the_sleep)
{
  watch (1, EV_READ);
  complete (0, POLLIN, 0);
  kernel.asleep = expect_the_first_held;
  sleep_until_a_timer (0.01);
  ck_assert_int_eq (ticks, 1);
  ck_assert_int_eq (kernel.waits, 1);
  ck_assert_int_eq (called (), 0);
}
END_TEST

static void
answer_too_late (double seconds)
{
  usleep (seconds * 1e6 + 1000.);
  pretended_event (kernel.last_cancelled->aio_data, 0);
}

/* a kernel that is asked for less than nothing waits for ever */
START_TEST (sleep_is_over_when_nothing_is_left_of_it)
{
  watch (PAIRS, EV_READ);
  ev_io_stop (EV_A_ io);
  kernel.asleep = answer_too_late;
  sleep_until_a_timer (0.001);
  ck_assert_int_eq (ticks, 1);
  ck_assert_int_eq (kernel.waits, 1);
}
END_TEST

static void
nothing (double seconds)
{
  (void)seconds;
  ck_abort_msg ("the loop sleeps");
}

static void
complete_by_signal (int signo)
{
  (void)signo;
  complete (0, POLLIN, POLLIN);
}

/* a hundred seconds are watched for; the signal handler plays the kernel's interrupt */
START_TEST (busy_polling_sees_the_event_without_a_system_call)
{
  struct itimerval soon = { { 0, 0 }, { 0, 20000 } };
  ev_timer timer;

  ev_linuxaio_busy_poll (EV_A_ 100.);
  watch (1, EV_READ);
  kernel.asleep = nothing;
  signal (SIGALRM, complete_by_signal);
  setitimer (ITIMER_REAL, &soon, 0);
  sleep_until_a_timer (1000.);
  signal (SIGALRM, SIG_DFL);
  ck_assert_int_eq (called (), 1);
  ck_assert_int_eq (kernel.waits, 0);
}
END_TEST

/* and sleeps, if there is none while it is watched for */
START_TEST (busy_polling_is_followed_by_sleep)
{
  watch (1, EV_READ);
  ev_linuxaio_busy_poll (EV_A_ 0.0001);
  ev_io_stop (EV_A_ io);
  watch (1, EV_READ);
  left = 0;
  kernel.asleep = answer_a_cancelled_request;
  sleep_until_a_timer (0.01);
  ck_assert_int_eq (ticks, 1);
  ck_assert_int_ge (kernel.waits, 1);
}
END_TEST

/*****************************************************************************/

static void
add_tests (TCase *tc)
{
  tcase_add_test (tc, events_are_read_in_every_position_of_the_ring);
  tcase_add_test (tc, requests_are_made_all_at_once);
  tcase_add_test (tc, epoll_is_the_first_of_the_requests);
  tcase_add_test (tc, oldest_request_makes_room_for_the_one_of_epoll);
  tcase_add_test (tc, epoll_is_asked_while_there_is_no_room_for_its_request);
  tcase_add_test (tc, only_what_was_asked_for_is_believed);
  tcase_add_loop_test (tc, errors_and_hang_ups_are_told_to_everybody, 0, 4);
  tcase_add_test (tc, event_that_says_nothing_is_followed_by_another_request);
  tcase_add_test (tc, writer_of_a_full_pipe_is_not_told_that_there_is_room);
  tcase_add_test (tc, event_of_a_cancelled_request_means_nothing);
  tcase_add_test (tc, cancelled_requests_are_used_again_after_their_events);
  tcase_add_test (tc, cancelled_requests_are_used_again_although_nothing_is_in_flight);
  tcase_add_test (tc, cancelled_requests_count_for_the_size_of_the_ring);
  tcase_add_test (tc, no_more_requests_are_made_than_there_are_entries);
  tcase_add_test (tc, request_that_completes_before_it_is_cancelled_is_not_counted_as_cancelled);
  tcase_add_loop_test (tc, requests_of_an_fd_are_awaited_in_every_position_of_the_ring, 0, PRETENDED_ENTRIES);
  tcase_add_loop_test (tc, stop_ends_when_the_worker_has_let_go_of_the_file, 0, 2);
  tcase_add_test (tc, watcher_that_is_stopped_and_started_at_once_is_armed_again);
  tcase_add_test (tc, signalfd_is_not_watched_before_the_request_for_epoll_has_gone);
  tcase_add_test (tc, signalfd_is_asked_what_it_is_before_the_request_for_epoll_has_gone);
  tcase_add_test (tc, event_of_a_cancelled_request_does_not_end_the_sleep);
  tcase_add_test (tc, what_has_completed_without_saying_anything_is_armed_before_the_sleep);
  tcase_add_test (tc, sleep_is_over_when_nothing_is_left_of_it);
  tcase_add_test (tc, busy_polling_sees_the_event_without_a_system_call);
  tcase_add_test (tc, busy_polling_is_followed_by_sleep);
}

int
main (void)
{
  Suite *suite = suite_create ("pretended kernel");
  TCase *tc    = tcase_create ("ring");
  SRunner *runner;
  int failed;

  tcase_add_checked_fixture (tc, setup, teardown);
  tcase_set_timeout (tc, 30.);
  add_tests (tc);
  suite_add_tcase (suite, tc);

  runner = srunner_create (suite);
  srunner_run_all (runner, CK_ENV);
  failed = srunner_ntests_failed (runner);
  srunner_free (runner);

  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
