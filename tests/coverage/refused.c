/*
 * Calls that the kernel refuses, and rings that look different: what the
 * backend makes of each, one at a time. Every event is delivered all the same.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include "fixture.h"
#include "seam.h"

#define PAIRS 150

static int fd [PAIRS][2];
static probe p [PAIRS];

static void
watch (int from, int to)
{
  int i;

  for (i = from; i < to; ++i)
    {
      sockets (fd [i]);
      probe_start (EV_A_ p + i, fd [i][0], EV_READ);
      p [i].eat = 1;
    }
}

static void
unwatch (int from, int to)
{
  int i;

  for (i = from; i < to; ++i)
    {
      probe_stop (EV_A_ p + i);
      close_both (fd [i]);
    }
}

/* claims what becomes true when the kernel and the loop have had a few turns */
#define claim_in_the_end(cond)                            \
  do                                                      \
    {                                                     \
      int turns_ = 1000;                                  \
      do                                                  \
        {                                                 \
          settle (EV_A);                                  \
          ev_linuxaio_stats (EV_A_ &stats);               \
        }                                                 \
      while (--turns_ && !(cond));                        \
      claim (cond);                                       \
    }                                                     \
  while (0)

/* each is told once of the one byte that it is sent */
static void
expect_served (int from, int to)
{
  int i, before = places;

  for (i = from; i < to; ++i)
    {
      p [i].count = 0;
      put (fd [i][1]);
    }

  run_until (places - before >= to - from);
  settle (EV_A);

  for (i = from; i < to; ++i)
    ck_assert_int_eq (p [i].count, 1);

  ck_assert_int_eq (places, before + to - from);
}

static void
expect_none (int from, int to)
{
  int i;

  settle (EV_A);

  for (i = from; i < to; ++i)
    ck_assert_int_eq (p [i].count, 0);
}

/* lets the second pass after which a refused context is asked for again */
static void
let_a_second_pass (void)
{
  int ticks = 0;
  ev_timer timer;

  ev_now_update (EV_A);
  ev_timer_init (&timer, (void (*) (EV_P_ ev_timer *, int))count_cb, 1.1, 0.);
  timer.data = &ticks;
  ev_timer_start (EV_A_ &timer);
  run_until (ticks);
  ev_run (EV_A_ EVRUN_NOWAIT);
}

/*****************************************************************************/
/* a loop that cannot have a ring at all */

static void
expect_epoll (int call, int error)
{
  struct ev_loop *ring = loop;
  struct ev_linuxaio_stats none;
  int i;

  seam_arrange (call, error, 1, 0);
  loop = ev_loop_new (EVFLAG_NOENV | EVBACKEND_LINUXAIO);
  ck_assert_uint_eq (seam_failures (), 1);
  ck_assert_uint_eq (ev_backend (EV_A), EVBACKEND_EPOLL);
  ck_assert_int_eq (ev_linuxaio_stats (EV_A_ &none), 0);
  ev_linuxaio_busy_poll (EV_A_ 0.001);

  watch (0, 50);
  settle (EV_A);
  expect_served (0, 50);

  for (i = 0; i < 50; i += 2)
    probe_stop (EV_A_ p + i);

  ev_loop_fork (EV_A);
  settle (EV_A);
  expect_served (1, 2);
  unwatch (0, 50);
  ev_loop_destroy (EV_A);
  loop = ring;
}

START_TEST (loop_on_an_unknown_kernel_runs_on_epoll)
{
  expect_epoll (SEAM_uname, EFAULT);
}
END_TEST

START_TEST (loop_on_a_host_without_aio_runs_on_epoll)
{
  static const int errors [] = { ENOSYS, EPERM, EAGAIN, EACCES };

  expect_epoll (SEAM_io_setup, errors [_i]);
}
END_TEST

START_TEST (loop_without_epoll_is_none)
{
  struct rlimit limit, none;

  getrlimit (RLIMIT_NOFILE, &limit);
  none = limit;
  none.rlim_cur = 0;
  setrlimit (RLIMIT_NOFILE, &none);
  ck_assert_ptr_eq (ev_loop_new (EVFLAG_NOENV | EVBACKEND_LINUXAIO), 0);
  setrlimit (RLIMIT_NOFILE, &limit);
}
END_TEST

/*****************************************************************************/
/* a loop that gets no ring when it wants one */

static void
forked_cb (EV_P_ ev_fork *w, int revents)
{
  (void)loop, (void)w, (void)revents;
  ck_abort_msg ("nobody has forked");
}

/* without the page that tells a fork, there must be no ring, but that is all */
static void
expect_no_ring_for_good (int call, int error)
{
  unsigned long setups;
  ev_fork forked;

  ev_fork_init (&forked, forked_cb);
  ev_fork_start (EV_A_ &forked);
  ev_unref (EV_A);

  seam_arrange (call, error, 1, 0);
  watch (0, 100);
  settle (EV_A);
  ck_assert_uint_eq (seam_failures (), 1);
  ck_assert_uint_eq (seam_calls (SEAM_unmap), call == SEAM_madvise);
  setups = seam_calls (SEAM_io_setup);
  expect_served (0, 100);
  let_a_second_pass ();
  expect_served (0, 100);

  claim (stats.ring_entries == 0);
  claim (stats.epoll_no_ring == 100);
  claim (stats.epoll_calls > 0);
  ck_assert_uint_eq (seam_calls (SEAM_io_setup), setups);

  unwatch (0, 100);
  ev_ref (EV_A);
  ev_fork_stop (EV_A_ &forked);
}

START_TEST (loop_that_could_not_tell_a_fork_makes_no_ring)
{
  expect_no_ring_for_good (SEAM_map, ENOMEM);
}
END_TEST

START_TEST (loop_on_a_kernel_that_does_not_wipe_on_fork_makes_no_ring)
{
  expect_no_ring_for_good (SEAM_madvise, EINVAL);
}
END_TEST

START_TEST (loop_that_is_forbidden_a_ring_does_not_ask_again)
{
  static const int errors [] = { ENOSYS, EPERM, EINVAL, EACCES };

  expect_no_ring_for_good (SEAM_io_setup, errors [_i]);
  claim (stats.setups_refused == 1);
}
END_TEST

START_TEST (loop_that_got_no_ring_asks_again_later)
{
  static const int errors [] = { EAGAIN, ENOMEM, EINTR };
  int i;

  seam_arrange (SEAM_io_setup, errors [_i], 1, 1);
  watch (0, 50);
  settle (EV_A);
  expect_served (0, 50);
  claim (stats.ring_entries == 0);
  claim (stats.setups_refused > 0);

  /* not in every iteration */
  for (i = 0; i < 1000; ++i)
    ev_run (EV_A_ EVRUN_NOWAIT);

  claim (stats.setups_refused < 100);
  claim (stats.setups_refused == seam_failures ());

  seam_reset ();
  let_a_second_pass ();
  claim_in_the_end (stats.ring_fds == 50);
  claim (stats.ring_entries > 0);
  expect_served (0, 50);
  unwatch (0, 50);
}
END_TEST

START_TEST (loop_that_gets_a_smaller_ring_than_it_wants_uses_it)
{
  int refusals;

  for (refusals = 0; refusals < _i; ++refusals)
    seam_arrange (SEAM_io_setup, EAGAIN, 1, 0);

  watch (0, 70);
  settle (EV_A);
  claim (stats.ring_requests == (_i ? 511 : 1022));
  claim (stats.setups_refused == (unsigned)_i);
  claim (stats.ring_fds >= 70);
  expect_served (0, 70);
  unwatch (0, 70);
}
END_TEST

START_TEST (ring_that_may_not_grow_serves_what_it_can)
{
  watch (0, 40);
  settle (EV_A);
  claim (stats.ring_fds >= 40);
  claim (stats.ring_requests == 62);

  seam_arrange (SEAM_io_setup, EAGAIN, 1, 1);
  watch (40, PAIRS);
  settle (EV_A);
  expect_served (0, PAIRS);
  claim (stats.ring_requests == 62);
  claim (stats.setups_refused > 0);
  claim (stats.regrowths == 0);

  seam_reset ();
  let_a_second_pass ();

  claim_in_the_end (stats.ring_fds >= PAIRS);
  claim (stats.regrowths == 1);
  claim (stats.ring_requests == 62 + 1022);
  expect_served (0, PAIRS);
  unwatch (0, PAIRS);
}
END_TEST

/* more than was asked for, but not more than fits: it is only served as long as the kernel has room */
START_TEST (ring_that_may_not_grow_is_filled_beyond_what_is_certain)
{
  watch (0, 40);
  settle (EV_A);
  seam_arrange (SEAM_io_setup, EAGAIN, 1, 1);
  watch (40, 90);
  settle (EV_A);
  expect_served (0, 90);
  claim (stats.ring_requests == 62);
  claim (stats.ring_fds == 90);

  /* those that are to be armed now find no room, and will not before there are fewer */
  seam_arrange (SEAM_io_submit, EAGAIN, 1, 0);
  expect_served (0, 10);
  claim (stats.refused == 1);
  claim (stats.epoll_overflow > 0);
  claim (stats.ring_fds + stats.epoll_overflow == 90);
  expect_served (0, 90);
  claim (stats.epoll_overflow > 0);

  unwatch (50, 90);
  claim_in_the_end (stats.ring_fds == 50);
  expect_served (0, 50);
  unwatch (0, 50);
}
END_TEST

/*****************************************************************************/
/* a ring that looks different */

static unsigned entries; /* that it says to have, if not 0 */

void
ring_made (void *ring)
{
  if (entries)
    ((uint32_t *)ring) [1] = entries;
}

/* it is neither read nor written. one that is as it is has one entry, which is as bad */
START_TEST (ring_that_is_not_understood_is_served_by_calls)
{
  int round;

  seam_ring = _i;
  entries   = seam_ring == SEAM_RING_GOOD;
  watch (0, 50);
  settle (EV_A);
  claim (stats.ring_entries == 62);
  claim (stats.ring_fds == 50);

  for (round = 0; round < 20; ++round)
    {
      expect_served (0, 50);
      expect_served (round, round + 1);
    }

  claim (stats.ring_fds == 50);
  claim (stats.wait_calls > 20);

  /* what is stopped while armed is cancelled, and what is cancelled comes back */
  for (round = 0; round < 40; ++round)
    {
      ev_io_stop (EV_A_ &p [round].io);
      ev_io_start (EV_A_ &p [round].io);
      ev_run (EV_A_ EVRUN_NOWAIT);
    }

  ev_linuxaio_busy_poll (EV_A_ 0.001);
  expect_served (0, 50);
  claim (stats.cancelled >= 40);
  watch (50, PAIRS);
  settle (EV_A);
  expect_served (0, PAIRS);
  unwatch (0, PAIRS);
  expect_none (0, 0);
}
END_TEST

START_TEST (ring_that_holds_less_than_twice_what_was_asked_is_not_overfilled)
{
  entries = 100;
  watch (0, 50);
  settle (EV_A);
  claim (stats.ring_entries == 100);
  claim (stats.ring_fds == 50);
  unwatch (0, 50);
}
END_TEST

START_TEST (ring_that_a_child_would_inherit_is_used_all_the_same)
{
  seam_arrange (SEAM_madvise, EINVAL, 2, 0);
  watch (0, 50);
  settle (EV_A);
  claim (stats.ring_entries > 62);
  expect_served (0, 50);
  unwatch (0, 50);
}
END_TEST

/*****************************************************************************/
/* requests that are refused */

START_TEST (interrupted_submission_is_repeated)
{
  unsigned long refused;

  settle (EV_A);
  ev_linuxaio_stats (EV_A_ &stats);
  refused = stats.refused;
  seam_arrange (SEAM_io_submit, EINTR, 1, 0);
  watch (0, 20);
  expect_served (0, 20);
  ck_assert_uint_eq (seam_failures (), 1);
  claim (stats.refused == refused);
  claim (stats.ring_fds == 20u + idle_fds);
  unwatch (0, 20);
}
END_TEST

START_TEST (part_of_a_submission_is_followed_by_the_rest)
{
  settle (EV_A);
  seam_arrange (SEAM_io_submit, SEAM_SHORT, 1, 1);
  watch (0, 60);
  expect_served (0, 60);
  ck_assert_uint_gt (seam_failures (), 1);
  claim (stats.refused == 0);
  claim (stats.ring_fds == 60u + idle_fds);
  unwatch (0, 60);
}
END_TEST

/* and they come back when the kernel has room again */
START_TEST (requests_without_room_are_served_by_epoll)
{
  static const int errors [] = { EAGAIN, ENOMEM, SEAM_ZERO };

  settle (EV_A);
  seam_arrange (SEAM_io_submit, errors [_i], 1, 0);
  watch (0, 60);
  ev_run (EV_A_ EVRUN_NOWAIT);
  claim (stats.refused == 1);
  claim (stats.epoll_overflow > 0);
  expect_served (0, 60);
  claim_in_the_end (stats.epoll_overflow == 0);
  claim (stats.ring_fds == 60u + idle_fds);
  expect_served (0, 60);
  unwatch (0, 60);
}
END_TEST

START_TEST (request_that_is_refused_alone_is_served_by_epoll)
{
  settle (EV_A);
  watch (0, 60);

  /* epoll's own request is in flight, so the first is that of a socket */
  seam_arrange (SEAM_io_submit, EINVAL, 1, 0);
  ev_run (EV_A_ EVRUN_NOWAIT);
  claim (stats.refused == 1);
  claim (stats.epoll_refused == 1);
  claim (stats.ring_fds == 59u + idle_fds);
  expect_served (0, 60);
  unwatch (0, 60);
}
END_TEST

/* everything is on epoll from now on, also what was stopped before and is started again */
static void
expect_abandoned (void)
{
  int i;

  settle (EV_A);
  claim (stats.ring_entries == 0);
  claim (stats.ring_fds == 0);
  claim (stats.epoll_fds >= (unsigned)idle_fds);
  expect_served (10, 50);

  for (i = 0; i < 10; ++i)
    ev_io_start (EV_A_ &p [i].io);

  settle (EV_A);
  expect_served (0, 50);
  claim (stats.submit_calls <= 40);
  let_a_second_pass ();
  expect_served (0, 50);
  claim (stats.ring_entries == 0);
  claim (stats.epoll_no_ring == 50u + idle_fds);

  unwatch (0, 50);
  expect_none (0, 0);
}

/* ten are stopped while they are armed */
static void
watch_and_stop_some (void)
{
  int i;

  watch (0, 50);
  settle (EV_A);

  for (i = 0; i < 10; ++i)
    probe_stop (EV_A_ p + i);

  settle (EV_A);
}

static void
sleep_once (void)
{
  int ticks = 0;
  ev_timer timer;

  ev_now_update (EV_A);
  ev_timer_init (&timer, (void (*) (EV_P_ ev_timer *, int))count_cb, 0.001, 0.);
  timer.data = &ticks;
  ev_timer_start (EV_A_ &timer);
  run_until (ticks);
}

START_TEST (ring_that_takes_no_requests_any_more_is_left)
{
  static const int errors [] = { ENOSYS, EPERM, EFAULT };

  watch_and_stop_some ();
  seam_arrange (SEAM_io_submit, errors [_i], 1, 1);
  put (fd [20][1]);
  run_until (p [20].count);
  expect_abandoned ();
}
END_TEST

START_TEST (ring_that_is_gone_is_left)
{
  watch_and_stop_some ();
  seam_arrange (SEAM_io_submit, EINVAL, 1, 1);
  seam_arrange (SEAM_io_getevents, EINVAL, 1, 1);
  put (fd [20][1]);
  run_until (p [20].count);
  expect_abandoned ();
}
END_TEST

START_TEST (ring_that_gives_no_events_any_more_is_left)
{
  static const int errors [] = { EINVAL, ENOSYS, EPERM };

  watch_and_stop_some ();
  seam_arrange (SEAM_io_getevents, errors [_i], 1, 1);
  sleep_once ();
  expect_abandoned ();
}
END_TEST

/* likewise when io_getevents is all there is to get them with */
START_TEST (ring_that_is_not_understood_and_gives_no_events_is_left)
{
  seam_ring = SEAM_RING_MAGIC;
  watch_and_stop_some ();
  claim (stats.ring_entries == 62);
  seam_arrange (SEAM_io_getevents, EPERM, 1, 1);
  sleep_once ();
  expect_abandoned ();
}
END_TEST

/* and if the loop never sleeps, it is found out by asking */
START_TEST (ring_that_is_not_understood_is_left_by_a_loop_that_never_sleeps)
{
  int i;

  seam_ring = SEAM_RING_MAGIC;
  watch (0, 50);
  settle (EV_A);
  seam_arrange (SEAM_io_getevents, EPERM, 1, 1);
  put (fd [20][1]);

  for (i = 0; i < 1000 && !p [20].count; ++i)
    ev_run (EV_A_ EVRUN_NOWAIT);

  ck_assert_int_eq (p [20].count, 1);
  claim (stats.ring_entries == 0);
  expect_served (0, 50);
  unwatch (0, 50);
}
END_TEST

START_TEST (ring_that_is_not_understood_is_kept_when_it_is_interrupted)
{
  int i;

  seam_ring = SEAM_RING_MAGIC;
  watch (0, 50);
  settle (EV_A);
  seam_arrange (SEAM_io_getevents, EINTR, 1, 0);
  put (fd [20][1]);

  for (i = 0; i < 1000 && !p [20].count; ++i)
    ev_run (EV_A_ EVRUN_NOWAIT);

  ck_assert_uint_eq (seam_failures (), 1);
  ck_assert_int_eq (p [20].count, 1);
  claim (stats.ring_fds == 50);
  unwatch (0, 50);
}
END_TEST

/* what epoll is polled with is the only request that it is about */
START_TEST (ring_that_does_not_take_epoll_is_left)
{
  int slave, master = pty (&slave), i;
  probe terminal;

  watch_and_stop_some ();
  probe_start (EV_A_ &terminal, slave, EV_READ);
  terminal.eat = 1;
  settle (EV_A);

  seam_arrange (SEAM_io_submit, EINVAL, 1, 0);

  for (i = 1; i <= 3; ++i)
    {
      put (master);
      run_until (terminal.count == i);
    }

  probe_stop (EV_A_ &terminal);
  expect_abandoned ();
  close (slave);
  close (master);
}
END_TEST

/* the request for epoll finds no room: what is on epoll is served meanwhile */
START_TEST (epoll_is_served_although_its_request_finds_no_room)
{
  int slave, master = pty (&slave), i;
  probe terminal;

  watch (0, 60);
  probe_start (EV_A_ &terminal, slave, EV_READ);
  terminal.eat = 1;
  settle (EV_A);

  for (i = 1; i <= 20; ++i)
    {
      put (master);
      seam_arrange (SEAM_io_submit, EAGAIN, 1, 1);
      run_until (terminal.count == i);

      if (i % 4 == 0)
        {
          seam_reset ();
          expect_served (0, 60);
        }
    }

  seam_reset ();
  claim (stats.ring_entries > 0);
  probe_stop (EV_A_ &terminal);
  unwatch (0, 60);
  close (slave);
  close (master);
}
END_TEST

/*****************************************************************************/
/* cancelling, sleeping, asking */

/* gVisor: the request stays in flight, and with it the file, until that has something to say */
START_TEST (requests_that_cannot_be_cancelled_mean_nothing)
{
  static const int errors [] = { ENOSYS, EPERM, EAGAIN };
  int i;

  watch (0, 60);
  settle (EV_A);
  seam_arrange (SEAM_io_cancel, errors [_i], 1, 1);

  for (i = 0; i < 30; ++i)
    {
      p [i].count = 0;
      probe_stop (EV_A_ p + i);
      put (fd [i][1]);
    }

  expect_none (0, 30);
  claim (stats.cancelled >= 30);
  expect_served (30, 60);

  for (i = 0; i < 30; ++i)
    ev_io_start (EV_A_ &p [i].io);

  settle (EV_A);

  for (i = 0; i < 30; ++i)
    ck_assert_int_eq (p [i].count, 1);

  unwatch (0, 60);
}
END_TEST

START_TEST (cancel_that_says_nothing_special_is_one)
{
  watch (0, 60);
  settle (EV_A);
  seam_arrange (SEAM_io_cancel, SEAM_ZERO, 1, 1);
  unwatch (0, 60);
  expect_none (0, 0);
  claim (stats.cancelled == 60);
  claim (stats.in_flight == idle_fds + 1u);
}
END_TEST

/* it is found out once, and for all */
START_TEST (missing_epoll_pwait2_is_replaced)
{
  static const int errors [] = { ENOSYS, EPERM };
  int i, ticks = 0;
  ev_timer timer;

  seam_arrange (SEAM_epoll_pwait2, errors [_i], 1, 1);
  ev_timer_init (&timer, (void (*) (EV_P_ ev_timer *, int))count_cb, 0.0001, 0.0001);
  timer.data = &ticks;
  ev_timer_start (EV_A_ &timer);
  run_until (ticks >= 10);
  ev_timer_stop (EV_A_ &timer);
  ck_assert_uint_eq (seam_failures (), 1);
  ck_assert_uint_ge (seam_calls (SEAM_epoll_wait), 9);

  watch (0, 10);

  for (i = 0; i < 10; ++i)
    expect_served (0, 10);

  ck_assert_uint_eq (seam_failures (), 1);
  unwatch (0, 10);
}
END_TEST

START_TEST (interrupted_epoll_wait_ends_the_sleep_only)
{
  watch (0, 10);
  settle (EV_A);
  seam_arrange (SEAM_epoll_pwait2, EINTR, 1, 0);
  seam_arrange (SEAM_epoll_wait, EINTR, 1, 0);
  expect_served (0, 10);
  expect_served (0, 10);
  ck_assert_uint_ge (seam_failures (), 1);
  unwatch (0, 10);
}
END_TEST

START_TEST (interrupted_io_getevents_ends_the_sleep_only)
{
  watch (0, 10);
  settle (EV_A);
  seam_arrange (SEAM_io_getevents, EINTR, 1, 0);
  ev_run (EV_A_ EVRUN_ONCE);
  ck_assert_uint_eq (seam_failures (), 1);
  expect_served (0, 10);
  claim (stats.ring_fds == idle_fds + 10u);
  unwatch (0, 10);
}
END_TEST

/* nothing is known of the file: epoll takes all kinds */
static void
expect_kind (int file, int other, int call, int error)
{
  probe q;

  settle (EV_A);
  seam_reset ();
  seam_arrange (call, error, 1, 0);
  probe_start (EV_A_ &q, file, EV_READ);
  settle (EV_A);
  ck_assert_uint_eq (seam_failures (), 1);
  claim (stats.epoll_kind == 1);
  ck_assert_int_eq (q.count, 0);
  probe_stop (EV_A_ &q);
  close (file);
  close (other);
}

START_TEST (file_that_nothing_is_known_of_is_served_by_epoll)
{
  int ends [2];

  pipes (ends);
  expect_kind (ends [0], ends [1], SEAM_fstat, ENOMEM);
  sockets (ends);
  expect_kind (ends [0], ends [1], SEAM_getpeername, EBADF);
  expect_kind (socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), -1, SEAM_getsockopt, ENOBUFS);
}
END_TEST

/* without /proc: an eventfd may be a signalfd, a terminal a binder */
START_TEST (ring_is_given_up_for_a_file_whose_name_is_not_known)
{
  int slave, master = pty (&slave), event = eventfd (0, EFD_CLOEXEC);
  probe q;

  seam_arrange (SEAM_readlink, ENOENT, 1, 1);
  watch (0, 10);
  probe_start (EV_A_ &q, _i ? slave : event, EV_READ);
  settle (EV_A);
  claim (stats.ring_entries == 0);
  claim (stats.epoll_no_ring == idle_fds + 11u);
  expect_served (0, 10);
  ck_assert_int_eq (q.count, 0);
  probe_stop (EV_A_ &q);
  unwatch (0, 10);
  close (event);
  close (slave);
  close (master);
}
END_TEST

/* a direction that was wanted again meanwhile is asked anew; what cannot be answered is not true */
START_TEST (direction_that_cannot_be_asked_anew_is_not_reported)
{
  probe w;

  watch (0, 1);
  probe_init (&w, fd [0][0], EV_WRITE);
  fill (fd [0][0]);
  ev_io_start (EV_A_ &w.io);
  settle (EV_A);
  ev_io_stop (EV_A_ &w.io);
  settle (EV_A);
  ev_io_start (EV_A_ &w.io);
  settle (EV_A);
  ck_assert_int_eq (w.count, 0);

  seam_arrange (SEAM_poll, ENOMEM, 1, 0);
  get (fd [0][1]);
  ev_run (EV_A_ EVRUN_NOWAIT);
  ck_assert_uint_eq (seam_failures (), 1);
  ck_assert_int_eq (w.count, 0);
  ck_assert_int_eq (p [0].count, 0);

  run_until (w.count);
  ck_assert_int_eq (p [0].count, 0);
  probe_stop (EV_A_ &w);
  unwatch (0, 1);
}
END_TEST

/* what was not asked is not there: epoll knows, of those that can be written to and of others */
START_TEST (write_interest_that_cannot_be_asked_about_is_told_to_epoll)
{
  probe w [10];
  int i;

  watch (0, 10);
  ev_run (EV_A_ EVRUN_NOWAIT);

  for (i = 0; i < 10; ++i)
    {
      if (i & 1)
        fill (fd [i][0]);

      probe_start (EV_A_ w + i, fd [i][0], EV_WRITE);
    }

  seam_arrange (SEAM_poll, EINTR, 1, 0);
  ev_run (EV_A_ EVRUN_NOWAIT);
  ck_assert_uint_eq (seam_failures (), 1);
  claim (stats.probe_calls == 1);
  claim (stats.probe_hits == 0);
  settle (EV_A);

  for (i = 0; i < 10; ++i)
    {
      ck_assert_int_eq (!!w [i].count, !(i & 1));
      get (fd [i][1]);
      run_until (w [i].count);
      probe_stop (EV_A_ w + i);
    }

  unwatch (0, 10);
}
END_TEST

/* once, then it is as any other */
START_TEST (direction_is_asked_anew_once)
{
  probe w;
  int i;

  watch (0, 1);
  fill (fd [0][0]);
  probe_start (EV_A_ &w, fd [0][0], EV_WRITE);
  settle (EV_A);
  ev_io_stop (EV_A_ &w.io);
  settle (EV_A);
  ev_io_start (EV_A_ &w.io);
  settle (EV_A);
  get (fd [0][1]);
  run_until (w.count);
  ck_assert_uint_eq (seam_calls (SEAM_poll), 1);

  for (i = 0; i < 5; ++i)
    {
      int before = w.count;

      run_until (w.count > before);
    }

  ck_assert_uint_eq (seam_calls (SEAM_poll), 1);
  probe_stop (EV_A_ &w);
  unwatch (0, 1);
}
END_TEST

/*****************************************************************************/
/* what the loop is like */

/* a ring that is for fewer is emptied by whatever completes, and otherwise little by little */
START_TEST (ring_that_is_emptied_is_not_filled_at_the_same_time)
{
  int i;

  seam_ring_max = 62;
  watch (0, 50);
  settle (EV_A);
  claim (stats.ring_fds == 50);
  watch (50, PAIRS);

  for (i = 0; i < 50; ++i)
    put (fd [i][1]);

  /* told, and to be armed again */
  ev_run (EV_A_ EVRUN_NOWAIT);
  ev_run (EV_A_ EVRUN_NOWAIT);
  claim (stats.ring_fds == 0);
  claim (stats.epoll_overflow == PAIRS);
  settle (EV_A);
  expect_served (0, PAIRS);
  unwatch (0, PAIRS);
}
END_TEST

/* nothing but events: no change, and no poll in vain */
static void
serve_steadily (int count, int rounds)
{
  int i, before;

  while (rounds--)
    {
      for (i = 0, before = places; i < count; ++i)
        put (fd [i][1]);

      run_until (places - before >= count);
    }
}

static void
poll_in_vain (int times)
{
  while (times--)
    ev_run (EV_A_ EVRUN_NOWAIT);
}

static void
weigh_never (void)
{
  seam_events = 1000000;
}

/* busy, and nothing changes: epoll is cheaper. as soon as a lot changes the ring is */
START_TEST (steady_loop_leaves_the_ring_and_comes_back)
{
  int i;

  seam_events  = 400;
  seam_changes = 80;
  watch (0, 50);
  settle (EV_A);
  claim (stats.ring_fds == 50);

  serve_steadily (50, 10);
  claim_in_the_end (stats.ring_fds == 0);
  claim (stats.epoll_steady == 50);
  serve_steadily (50, 2);

  for (i = 0; i < 2000 && stats.epoll_steady == 50; ++i)
    {
      int which = i % 50;

      ev_io_stop (EV_A_ &p [which].io);
      ev_run (EV_A_ EVRUN_NOWAIT);
      ev_io_start (EV_A_ &p [which].io);
      p [which].count = 0;
      put (fd [which][1]);
      run_until (p [which].count);
      ev_linuxaio_stats (EV_A_ &stats);
    }

  claim_in_the_end (stats.ring_fds == 50);
  serve_steadily (50, 1);
  unwatch (0, 50);
}
END_TEST

/* a loop whose number of fds is no reason for a ring, and that is weighed ever so often */
static void
watch_and_weigh (int count, int events, int changes)
{
  seam_ring_fds = 1000000;
  seam_events   = events;
  seam_changes  = changes;
  watch (0, count);
  ev_run (EV_A_ EVRUN_NOWAIT);
}

START_TEST (loop_that_gains_too_slowly_makes_no_ring)
{
  seam_lively_seconds = 0.;
  watch_and_weigh (50, 100, 8);
  poll_in_vain (1000);
  claim (stats.ring_entries == 0);
  seam_lively_seconds = 1e9;
  poll_in_vain (300);
  claim (stats.ring_fds == 50);
  unwatch (0, 50);
}
END_TEST

START_TEST (loop_that_gains_late_makes_a_ring)
{
  int polls = 0;

  watch_and_weigh (50, 100, 8);
  let_a_second_pass ();

  do
    {
      poll_in_vain (1);
      ev_linuxaio_stats (EV_A_ &stats);
    }
  while (!stats.ring_entries && ++polls < 100000);

  claim (stats.ring_entries > 0);
  unwatch (0, 50);
}
END_TEST

START_TEST (loop_that_sleeps_in_vain_makes_no_ring)
{
  int i;

  watch_and_weigh (1, 20, 2);

  for (i = 0; i < 50; ++i)
    sleep_once ();

  claim (stats.ring_entries == 0);
  unwatch (0, 1);
}
END_TEST

START_TEST (loop_that_polls_with_success_makes_no_ring)
{
  int i;

  watch_and_weigh (50, 400, 80);

  for (i = 0; i < 2000; ++i)
    {
      put (fd [i % 50][1]);
      ev_run (EV_A_ EVRUN_NOWAIT);
    }

  claim (stats.ring_entries == 0);
  unwatch (0, 50);
}
END_TEST

/* three changes without an event for two polls in vain */
START_TEST (loop_that_loses_more_than_it_gains_makes_no_ring)
{
  int round, i;

  watch_and_weigh (50, 1000, 100);

  for (round = 0; round < 1000; ++round)
    {
      for (i = 0; i < 3; ++i)
        ev_io_stop (EV_A_ &p [i].io);

      ev_run (EV_A_ EVRUN_NOWAIT);

      for (i = 0; i < 3; ++i)
        ev_io_start (EV_A_ &p [i].io);

      ev_run (EV_A_ EVRUN_NOWAIT);
    }

  claim (stats.ring_entries == 0);
  unwatch (0, 50);
}
END_TEST

/* not for the number of its fds, if it gains nothing; the bad one has every reason looked at */
START_TEST (steady_loop_makes_no_ring)
{
  probe bad;
  int closed = dup (0);

  seam_events = 100;
  watch (0, 10);
  serve_steadily (10, 20);
  weigh_never ();
  close (closed);
  probe_start (EV_A_ &bad, closed, EV_READ);
  ev_run (EV_A_ EVRUN_NOWAIT);
  ck_assert_int_eq (bad.revents, EV_ERROR | EV_READ | EV_WRITE);
  watch (10, 50);
  probe_start (EV_A_ &bad, fd [10][0] + 500, EV_READ);
  ev_run (EV_A_ EVRUN_NOWAIT);
  settle (EV_A);
  claim (stats.ring_entries == 0);
  claim (stats.epoll_no_ring == 50);
  expect_served (0, 50);
  unwatch (0, 50);
}
END_TEST

/* four of five polls find nothing, which costs nothing in the ring */
START_TEST (loop_that_polls_in_vain_stays_in_the_ring)
{
  int i;

  watch (0, 50);
  settle (EV_A);
  claim (stats.ring_fds == 50);
  seam_events  = 400;
  seam_changes = 80;

  for (i = 0; i < 1000; ++i)
    {
      serve_steadily (1, 1);
      poll_in_vain (4);
    }

  claim (stats.ring_fds == 50);
  claim (stats.moved_to_epoll == 0);
  unwatch (0, 50);
}
END_TEST

/* a loop that gains little: events of a terminal, which is on epoll, and of a socket, which is in the ring */
static void
serve_terminal_and_socket (int terminals, int sockets_)
{
  int slave, master = pty (&slave), round, i;
  probe terminal;

  watch (0, 50);
  probe_start (EV_A_ &terminal, slave, EV_READ);
  terminal.eat = 1;
  settle (EV_A);
  claim (stats.ring_fds == 50);
  claim (stats.epoll_kind == 1);
  seam_events  = 400;
  seam_changes = 80;

  for (round = 0; round < 150; ++round)
    {
      for (i = 0; i < terminals; ++i)
        {
          terminal.count = 0;
          put (master);
          run_until (terminal.count);
        }

      serve_steadily (1, sockets_);
      poll_in_vain (5);
    }

  weigh_never ();
  settle (EV_A);
  claim (stats.epoll_kind == 1);
  claim (stats.ring_fds + stats.epoll_steady == 50);
  probe_stop (EV_A_ &terminal);
  close (slave);
  close (master);
}

START_TEST (loop_whose_events_come_by_epoll_leaves_the_ring)
{
  serve_terminal_and_socket (10, 0);
  claim (stats.epoll_steady == 50);
  expect_served (0, 50);
  unwatch (0, 50);
}
END_TEST

START_TEST (loop_some_of_whose_events_come_by_epoll_stays_in_the_ring)
{
  serve_terminal_and_socket (3, 7);
  claim (stats.ring_fds == 50);
  expect_served (0, 50);
  unwatch (0, 50);
}
END_TEST

START_TEST (epoll_is_asked_for_no_more_than_it_has)
{
  int slave, master = pty (&slave), i;
  probe terminal;

  watch (0, 50);
  probe_start (EV_A_ &terminal, slave, EV_READ);
  terminal.eat = 1;
  settle (EV_A);
  claim (stats.ring_fds == 50 && stats.epoll_kind == 1);
  put (master);
  run_until (terminal.count);
  settle (EV_A);
  seam_reset ();

  for (i = 0; i < 50; ++i)
    {
      p [i].count = 0;
      put (fd [i][1]);
      run_until (p [i].count);
    }

  ck_assert_uint_eq (seam_calls (SEAM_epoll_wait), 0);
  probe_stop (EV_A_ &terminal);
  close (slave);
  close (master);
  unwatch (0, 50);
}
END_TEST

/* what is on epoll for want of room is no reason to leave the ring */
START_TEST (ring_that_was_emptied_for_want_of_room_is_filled_again)
{
  int i;

  seam_ring_max       = 62;
  seam_lively_seconds = 0.;
  watch (0, 50);
  settle (EV_A);
  claim (stats.ring_fds == 50);
  watch (50, PAIRS);
  ev_run (EV_A_ EVRUN_NOWAIT);

  for (i = 50; i < PAIRS; ++i)
    put (fd [i][1]);

  ev_run (EV_A_ EVRUN_NOWAIT);
  claim (stats.ring_fds > 0);
  seam_events  = 50;
  seam_changes = 10;
  ev_run (EV_A_ EVRUN_NOWAIT);
  weigh_never ();
  settle (EV_A);
  claim (stats.ring_fds == 0);
  claim (stats.epoll_overflow == PAIRS);
  unwatch (30, PAIRS);
  claim_in_the_end (stats.ring_fds == 30);
  expect_served (0, 30);
  unwatch (0, 30);
}
END_TEST

/*
 * What a worker of the kernel does to the event of a signalfd is played by a child
 * (see ask_epolls). The fd is one that the sweep comes to late.
 */
static probe usr1;

static void
watch_signalfd (void)
{
  int sigfd = usr1_fd ();

  probe_start (EV_A_ &usr1, fcntl (sigfd, F_DUPFD_CLOEXEC, 400), EV_READ);
  close (sigfd);
  settle (EV_A);
}

static void
unwatch_signalfd (void)
{
  probe_stop (EV_A_ &usr1);
  close (usr1.io.fd);
}

static void
stop (int from, int to)
{
  while (from < to)
    probe_stop (EV_A_ p + from++);
}

static void
close_pairs (void)
{
  int i;

  for (i = 0; i < PAIRS; ++i)
    close_both (fd [i]);
}

/* a new fd whose number is low */
static void
expect_not_asked (int pair [2])
{
  probe sock;

  seam_reset ();
  probe_start (EV_A_ &sock, pair [0], EV_READ);
  poll_in_vain (3);
  ck_assert_uint_eq (seam_calls (SEAM_getpeername), 0);
  put (pair [1]);
  run_until (sock.count);
  probe_stop (EV_A_ &sock);
  close_both (pair);
}

/* watched before there was a ring, and again while that is being emptied */
START_TEST (ring_that_is_being_emptied_is_given_up_for_a_signalfd)
{
  int low [2];

  sockets (low);
  seam_ring_max = 62;
  watch_signalfd ();
  probe_stop (EV_A_ &usr1);
  watch (0, 50);
  settle (EV_A);
  claim (stats.ring_fds == 50);
  watch (50, PAIRS);
  ev_run (EV_A_ EVRUN_NOWAIT);

  /* the request for epoll completes, too */
  put (fd [PAIRS - 1][1]);
  ev_run (EV_A_ EVRUN_NOWAIT);
  ck_assert_int_eq (p [PAIRS - 1].count, 1);
  claim (stats.ring_fds > 0);
  ev_io_start (EV_A_ &usr1.io);
  ev_run (EV_A_ EVRUN_NOWAIT);
  poll_in_vain (2);
  claim (stats.in_flight == 0 && stats.ring_entries == 0);
  kill (getpid (), SIGUSR1);
  run_until (usr1.count);
  unwatch_signalfd ();
  expect_not_asked (low);
  stop (0, PAIRS);
  close_pairs ();
}
END_TEST

/* at each iteration, some: in between, what happens on both sides is told */
START_TEST (ring_is_given_up_little_by_little)
{
  unsigned long submits;
  int i, cancels, iterations = 0;

  watch (0, PAIRS);
  claim_in_the_end (stats.ring_fds == PAIRS);
  probe_start (EV_A_ &usr1, usr1_fd (), EV_READ);
  ev_run (EV_A_ EVRUN_NOWAIT);
  claim (stats.ring_fds > PAIRS / 2 && stats.epoll_no_ring > 0);
  submits = stats.submit_calls;

  do
    {
      i = PAIRS - 1 - iterations;
      p [0].count = p [i].count = usr1.count = 0;
      put (fd [0][1]);
      put (fd [i][1]);
      kill (getpid (), SIGUSR1);
      seam_reset ();
      ev_run (EV_A_ EVRUN_NOWAIT);
      cancels = seam_calls (SEAM_io_cancel);
      ck_assert_int_le (cancels, 34);
      ck_assert_int_eq (p [0].count, 1);
      ck_assert_int_eq (usr1.count, 1);
      run_until (p [i].count);
      ck_assert_int_eq (p [i].count, 1);
      ev_linuxaio_stats (EV_A_ &stats);
    }
  while (stats.ring_entries && ++iterations < PAIRS / 2);

  claim (stats.ring_entries == 0 && stats.in_flight == 0 && stats.submit_calls == submits);
  claim (stats.epoll_no_ring >= PAIRS);
  ck_assert_int_ge (iterations, 2);
  unwatch_signalfd ();
  expect_served (0, PAIRS);
  unwatch (0, PAIRS);
}
END_TEST

/* it does not sleep while some are left in the ring, and nobody looks at epoll */
START_TEST (ring_is_given_up_by_a_loop_that_would_sleep)
{
  int ticks = 0, iterations = 0;
  ev_timer timer;

  watch (0, PAIRS);
  claim_in_the_end (stats.ring_fds == PAIRS);
  probe_start (EV_A_ &usr1, usr1_fd (), EV_READ);
  ev_timer_init (&timer, (void (*) (EV_P_ ev_timer *, int))count_cb, 0.01, 0.01);
  timer.data = &ticks;
  ev_timer_start (EV_A_ &timer);
  ev_run (EV_A_ EVRUN_NOWAIT);
  claim (stats.ring_entries > 0);
  seam_reset ();

  do
    {
      ev_run (EV_A_ EVRUN_ONCE);
      ev_linuxaio_stats (EV_A_ &stats);
    }
  while (stats.ring_entries && ++iterations < PAIRS / 16);

  ck_assert_uint_eq (seam_calls (SEAM_io_getevents), 0);
  claim (stats.ring_entries == 0 && stats.in_flight == 0);
  ev_timer_stop (EV_A_ &timer);
  kill (getpid (), SIGUSR1);
  run_until (usr1.count);
  unwatch_signalfd ();
  expect_served (0, PAIRS);
  unwatch (0, PAIRS);
}
END_TEST

static void
expect_a_ring_without_usr1 (void)
{
  unwatch_signalfd ();
  claim_in_the_end (stats.ring_fds == PAIRS);
}

START_TEST (ring_that_was_being_given_up_at_a_fork_is_made_by_the_child)
{
  watch (0, PAIRS);
  claim_in_the_end (stats.ring_fds == PAIRS);
  probe_start (EV_A_ &usr1, usr1_fd (), EV_READ);
  ev_run (EV_A_ EVRUN_NOWAIT);
  claim (stats.ring_fds > PAIRS / 2 && stats.epoll_no_ring > 0);
  ck_assert (child_ok (in_child (expect_a_ring_without_usr1)));
  claim_in_the_end (stats.ring_entries == 0);
  unwatch_signalfd ();
  expect_served (0, PAIRS);
  unwatch (0, PAIRS);
}
END_TEST

/* a loop whose ring was filled, and emptied for want of room */
static void
empty_the_ring (void)
{
  seam_ring_max = 62;
  watch (0, 50);
  claim_in_the_end (stats.ring_fds == 50);
  watch (50, PAIRS);
  claim_in_the_end (stats.ring_fds == 0 && stats.in_flight == 0);
}

START_TEST (signalfd_that_was_watched_beside_an_empty_ring_loses_no_signal)
{
  empty_the_ring ();
  watch_signalfd ();
  probe_stop (EV_A_ &usr1);
  stop (30, PAIRS);
  claim_in_the_end (stats.ring_fds == 30);
  kill (getpid (), SIGUSR1);
  ck_assert (child_ok (in_child (ask_epolls)));
  ev_io_start (EV_A_ &usr1.io);
  run_until (usr1.count);
  claim_in_the_end (stats.ring_entries == 0);
  unwatch_signalfd ();
  stop (0, 30);
  close_pairs ();
}
END_TEST

START_TEST (empty_ring_is_not_filled_beside_a_signalfd)
{
  unsigned long submits;

  empty_the_ring ();
  submits = stats.submit_calls;
  watch_signalfd ();
  stop (20, PAIRS);
  settle (EV_A);
  claim (stats.ring_entries == 0 && stats.submit_calls == submits);
  kill (getpid (), SIGUSR1);
  run_until (usr1.count);
  unwatch_signalfd ();
  stop (0, 20);
  close_pairs ();
}
END_TEST

/* a loop that is about to make a ring, and asks what one fd is at each iteration */
static void
survey_slowly (int iterations)
{
  seam_survey   = 1;
  seam_ring_fds = 1000000;
  watch (0, 50);
  settle (EV_A);
  seam_ring_fds = 32;
  poll_in_vain (iterations);
  ev_linuxaio_stats (EV_A_ &stats);
  claim (stats.ring_entries == 0);
}

static void
expect_no_ring_beside_usr1 (void)
{
  unsigned long submits;

  ev_linuxaio_stats (EV_A_ &stats);
  submits = stats.submit_calls;
  seam_reset ();
  settle (EV_A);
  poll_in_vain (PAIRS);
  ck_assert_uint_eq (seam_calls (SEAM_io_setup), 0);
  ev_linuxaio_stats (EV_A_ &stats);
  claim (stats.ring_entries == 0 && stats.submit_calls == submits);
  kill (getpid (), SIGUSR1);
  run_until (usr1.count);
  unwatch_signalfd ();
  expect_served (0, 20);
}

START_TEST (fds_are_asked_what_they_are_some_at_each_iteration_before_there_is_a_ring)
{
  int asked, all = 0;

  seam_ring_fds = 1000000;
  watch (0, PAIRS);
  settle (EV_A);
  stop (0, 100);
  settle (EV_A);
  seam_ring_fds = 32;

  do
    {
      seam_reset ();
      poll_in_vain (1);
      ev_linuxaio_stats (EV_A_ &stats);
      asked = seam_calls (SEAM_epoll_del) + seam_calls (SEAM_fstat);
      ck_assert_int_le (asked, 32);
      all += asked;
    }
  while (!stats.ring_entries);

  ck_assert_int_ge (all, PAIRS);
  claim_in_the_end (stats.ring_fds == 50);
  expect_served (100, PAIRS);

  for (asked = 0; asked < 100; ++asked)
    ev_io_start (EV_A_ &p [asked].io);

  claim_in_the_end (stats.ring_fds == PAIRS);
  expect_served (0, PAIRS);
  unwatch (0, PAIRS);
}
END_TEST

/* its number is among those that have been asked already */
START_TEST (no_ring_is_made_for_a_signalfd_that_is_watched_while_others_are_asked)
{
  int sigfd = usr1_fd ();

  survey_slowly (30);
  probe_start (EV_A_ &usr1, sigfd, EV_READ);
  expect_no_ring_beside_usr1 ();
  unwatch (0, 50);
}
END_TEST

START_TEST (no_ring_is_made_for_a_signalfd_that_is_watched_again_while_others_are_asked)
{
  seam_ring_fds = 1000000;
  probe_start (EV_A_ &usr1, usr1_fd (), EV_READ);
  settle (EV_A);
  probe_stop (EV_A_ &usr1);
  survey_slowly (30);
  ev_io_start (EV_A_ &usr1.io);
  expect_no_ring_beside_usr1 ();
  unwatch (0, 50);
}
END_TEST

START_TEST (ring_is_not_filled_beside_a_signalfd_that_is_watched_while_others_are_asked)
{
  int sigfd = usr1_fd ();

  empty_the_ring ();
  seam_survey = 1;
  stop (30, PAIRS);
  poll_in_vain (20);
  probe_start (EV_A_ &usr1, sigfd, EV_READ);
  expect_no_ring_beside_usr1 ();
  stop (0, 30);
  close_pairs ();
}
END_TEST

START_TEST (fds_are_not_asked_what_they_are_when_no_ring_is_wanted_any_more)
{
  int low [2];

  sockets (low);
  survey_slowly (30);
  seam_ring_fds = 1000000;
  poll_in_vain (1);
  expect_not_asked (low);
  seam_ring_fds = 32;
  seam_survey   = 64;
  claim_in_the_end (stats.ring_fds == 50);
  expect_served (0, 50);
  unwatch (0, 50);
}
END_TEST

START_TEST (fds_are_not_asked_what_they_are_while_there_is_no_quota)
{
  int low [2];

  sockets (low);
  seam_survey = PAIRS;
  seam_arrange (SEAM_io_setup, EAGAIN, 1, 1);
  watch (0, 50);
  poll_in_vain (3);
  ck_assert_uint_ge (seam_failures (), 1);
  expect_not_asked (low);
  expect_served (0, 50);
  unwatch (0, 50);
}
END_TEST

/* also one that was found to gain nothing from a ring */
START_TEST (loop_that_busy_polls_is_in_the_ring_whatever_it_does)
{
  watch_and_weigh (50, 400, 80);
  serve_steadily (50, 20);
  claim (stats.ring_entries == 0);
  weigh_never ();
  ev_linuxaio_busy_poll (EV_A_ 1e-6);
  claim_in_the_end (stats.ring_fds == 50);
  seam_events = 400;
  serve_steadily (50, 20);
  claim (stats.ring_fds == 50);

  ev_linuxaio_busy_poll (EV_A_ 0.);
  serve_steadily (50, 20);
  weigh_never ();
  claim_in_the_end (stats.epoll_steady == 50);
  ev_linuxaio_busy_poll (EV_A_ 1e-6);
  claim_in_the_end (stats.ring_fds == 50);
  expect_served (0, 50);
  unwatch (0, 50);
}
END_TEST

/* it is asked for before there is anything to watch */
START_TEST (fds_of_a_loop_that_busy_polls_from_the_beginning_are_in_the_ring)
{
  ev_linuxaio_busy_poll (EV_A_ 1e-6);
  sleep_once ();
  watch (0, 50);
  settle (EV_A);
  expect_served (0, 50);
  ev_loop_fork (EV_A);
  expect_served (0, 50);
  claim_in_the_end (stats.ring_fds == 50);
  unwatch (0, 50);
}
END_TEST

/* what was watched before there was a ring is asked of epoll no more */
START_TEST (first_fds_are_served_by_the_ring_alone)
{
  unsigned long calls;

  watch (0, 10);
  settle (EV_A);
  expect_served (0, 10);
  watch (10, 50);
  settle (EV_A);
  claim (stats.ring_fds == 50);
  claim (stats.moved_to_ring >= 10);
  calls = stats.epoll_calls;
  expect_served (0, 50);
  claim (stats.epoll_calls == calls);
  unwatch (0, 50);
}
END_TEST

/* there is a sparse table: what is not watched costs no iteration */
START_TEST (ring_is_filled_with_some_fds_at_each_iteration)
{
  int i, seen = 0, iterations = 0;

  seam_ring_fds = 1000000;
  watch (0, PAIRS);
  settle (EV_A);

  for (i = 0; i < PAIRS; ++i)
    if (i % 3)
      ev_io_stop (EV_A_ &p [i].io);

  seam_survey   = PAIRS;
  seam_ring_fds = 32;

  do
    {
      poll_in_vain (1);
      ev_linuxaio_stats (EV_A_ &stats);
      ck_assert_int_le (stats.ring_fds - seen, 16);
      seen = stats.ring_fds;
    }
  while (stats.epoll_fds && ++iterations < 10);

  ck_assert_int_le (iterations, PAIRS / 3 / 16 + 2);

  for (i = 0; i < PAIRS; ++i)
    if (i % 3)
      ev_io_start (EV_A_ &p [i].io);

  claim_in_the_end (stats.ring_fds == PAIRS);
  expect_served (0, PAIRS);
  unwatch (0, PAIRS);
}
END_TEST

/*****************************************************************************/
/* more fds than the ring is for, and polls that find nothing */

static void
expect_no_calls (int polls)
{
  seam_reset ();
  poll_in_vain (polls);
  ck_assert_uint_eq (seam_calls (SEAM_epoll_wait), 0);
  ck_assert_uint_eq (seam_calls (SEAM_io_submit), 0);
}

/* on epoll, with or without a ring that was emptied before */
static void
poll_many_in_vain (int emptied)
{
  seam_ring_max = 62;

  if (emptied)
    empty_the_ring ();
  else
    {
      seam_ring_min = 16;
      seam_ring_fds = 1000000;
      watch (0, PAIRS);
    }

  seam_events         = 400;
  seam_changes        = 80;
  seam_lively_seconds = 1e9;
  poll_in_vain (1000);
  claim (stats.ring_fds == 0 && stats.epoll_fds >= PAIRS && stats.in_flight == 1);
  claim (stats.ring_requests == (emptied ? 62 : 16));
}

START_TEST (many_fds_are_polled_in_vain_without_a_system_call)
{
  poll_many_in_vain (_i);
  expect_no_calls (100);
  expect_served (0, PAIRS);
  poll_in_vain (3);
  expect_no_calls (100);
  watch_signalfd ();
  claim (stats.ring_entries == 0);
  kill (getpid (), SIGUSR1);
  run_until (usr1.count);
  unwatch_signalfd ();
  unwatch (0, PAIRS);
}
END_TEST

START_TEST (epoll_is_not_asked_by_request_beside_a_signalfd)
{
  unsigned long submits;

  if (_i)
    empty_the_ring ();
  else
    {
      seam_ring_max = 62;
      seam_ring_fds = 1000000;
      watch (0, PAIRS);
      settle (EV_A);
    }

  ev_linuxaio_stats (EV_A_ &stats);
  submits = stats.submit_calls;
  watch_signalfd ();
  seam_events         = 400;
  seam_changes        = 80;
  seam_lively_seconds = 1e9;
  poll_in_vain (1000);
  claim (stats.submit_calls == submits && stats.ring_entries == 0);
  kill (getpid (), SIGUSR1);
  run_until (usr1.count);
  unwatch_signalfd ();
  unwatch (0, PAIRS);
}
END_TEST

/* a signalfd may come among them at any time, so each new fd is asked what it is */
START_TEST (new_fds_are_asked_what_they_are_while_many_are_polled_in_vain)
{
  int pair [2];
  probe sock;

  poll_many_in_vain (1);
  sockets (pair);
  put (fd [0][1]);
  p [0].count = 0;
  poll_in_vain (1);
  ck_assert_int_eq (p [0].count, 1); /* for which the request has completed */
  seam_reset ();
  probe_start (EV_A_ &sock, pair [0], EV_READ);
  poll_in_vain (3);
  ck_assert_uint_eq (seam_calls (SEAM_getpeername), 1);
  expect_no_calls (100);
  put (pair [1]);
  run_until (sock.count);
  probe_stop (EV_A_ &sock);
  close_both (pair);
  unwatch (0, PAIRS);
}
END_TEST

/* one in six finds something: a request for epoll would cost more than it spares */
START_TEST (many_fds_are_polled_without_a_request_when_something_is_found_now_and_then)
{
  unsigned long submits;
  int i;

  poll_many_in_vain (_i);

  for (i = 0; i < 300; ++i)
    {
      if (i == 150)
        {
          ev_linuxaio_stats (EV_A_ &stats);
          submits = stats.submit_calls;
        }

      p [i % PAIRS].count = 0;
      put (fd [i % PAIRS][1]);
      poll_in_vain (6);
      ck_assert_int_eq (p [i % PAIRS].count, 1);
    }

  claim (stats.submit_calls == submits);
  unwatch (0, PAIRS);
}
END_TEST

START_TEST (many_fds_that_were_polled_in_vain_are_slept_for)
{
  int i;

  poll_many_in_vain (_i);

  for (i = 0; i < PAIRS; ++i)
    {
      ev_timer timer;
      int ticks = 0;

      ev_timer_init (&timer, (void (*) (EV_P_ ev_timer *, int))count_cb, 0.0002, 0.);
      timer.data = &ticks;
      ev_now_update (EV_A);
      ev_timer_start (EV_A_ &timer);
      run_until (ticks);
      p [i].count = 0;
      put (fd [i][1]);
      run_until (p [i].count);
    }

  claim (stats.ring_fds == 0);
  unwatch (0, PAIRS);
}
END_TEST

START_TEST (few_fds_that_are_left_of_many_polled_in_vain_fill_the_ring)
{
  poll_many_in_vain (_i);
  unwatch (30, PAIRS);
  put (fd [0][1]);
  claim_in_the_end (stats.ring_fds == 30);
  expect_served (0, 30);
  unwatch (0, 30);
}
END_TEST

static void
expect_all_in_the_ring (void)
{
  settle (EV_A);
  settle (EV_A);
  ev_linuxaio_stats (EV_A_ &stats);
  must (stats.ring_entries > 0);
  must (stats.ring_fds == 50);
}

START_TEST (fds_of_a_child_are_in_its_ring_as_they_were_in_its_parents)
{
  seam_ring_max = 62; /* as many as there are, but not twice */
  watch (0, 50);
  expect_all_in_the_ring ();
  ck_assert (child_ok (in_child (expect_all_in_the_ring)));
  expect_served (0, 50);
  unwatch (0, 50);
}
END_TEST

static void
destroy_without_a_ring (void)
{
  seam_ring_fds = 1000000;
  settle (EV_A);
  seam_reset ();
  ev_loop_destroy (EV_A);
  must (seam_calls (SEAM_io_destroy) == 0);
}

START_TEST (child_destroys_no_context_of_its_parent)
{
  watch (0, 50);
  settle (EV_A);
  watch (50, PAIRS);
  settle (EV_A);
  claim (stats.regrowths == 1);
  ck_assert (child_ok (in_child (destroy_without_a_ring)));
  expect_served (0, PAIRS);
  unwatch (0, PAIRS);
}
END_TEST

START_TEST (epoll_that_is_made_again_under_another_number_is_asked)
{
  struct ev_loop *fixtures = loop;
  int low = dup (0), slave, master;
  probe terminal;

  loop   = another_loop ();
  master = pty (&slave);
  watch (0, 50);
  probe_start (EV_A_ &terminal, slave, EV_READ);
  terminal.eat = 1;
  settle (EV_A);
  claim (stats.epoll_kind == 1);

  claim (stats.in_flight == 51);
  close (low);
  ev_loop_fork (EV_A);
  claim_in_the_end (stats.in_flight == 51);
  put (master);
  run_until (terminal.count == 1);
  expect_served (0, 50);
  claim (stats.ring_fds == 50);

  probe_stop (EV_A_ &terminal);
  unwatch (0, 50);
  ev_loop_destroy (EV_A);
  loop = fixtures;
  close (slave);
  close (master);
}
END_TEST

/*****************************************************************************/

#define loop_test(tc, name, count) tcase_add_loop_test (tc, name, 0, count)

static void
add_cold (TCase *tc)
{
  tcase_add_test (tc, write_interest_that_cannot_be_asked_about_is_told_to_epoll);
  tcase_add_test (tc, loop_on_an_unknown_kernel_runs_on_epoll);
  loop_test (tc, loop_on_a_host_without_aio_runs_on_epoll, 4);
  tcase_add_test (tc, loop_without_epoll_is_none);
  loop_test (tc, loop_that_gets_a_smaller_ring_than_it_wants_uses_it, 2);
  tcase_add_test (tc, ring_that_may_not_grow_is_filled_beyond_what_is_certain);
  tcase_add_test (tc, ring_that_is_emptied_is_not_filled_at_the_same_time);
  tcase_add_test (tc, steady_loop_leaves_the_ring_and_comes_back);
  tcase_add_test (tc, loop_that_gains_too_slowly_makes_no_ring);
  tcase_add_test (tc, loop_that_sleeps_in_vain_makes_no_ring);
  tcase_add_test (tc, loop_that_polls_with_success_makes_no_ring);
  tcase_add_test (tc, loop_that_loses_more_than_it_gains_makes_no_ring);
  tcase_add_test (tc, steady_loop_makes_no_ring);
  tcase_add_test (tc, loop_that_polls_in_vain_stays_in_the_ring);
  tcase_add_test (tc, loop_whose_events_come_by_epoll_leaves_the_ring);
  tcase_add_test (tc, loop_some_of_whose_events_come_by_epoll_stays_in_the_ring);
  tcase_add_test (tc, epoll_is_asked_for_no_more_than_it_has);
  tcase_add_test (tc, ring_that_was_emptied_for_want_of_room_is_filled_again);
  tcase_add_test (tc, ring_that_is_being_emptied_is_given_up_for_a_signalfd);
  tcase_add_test (tc, ring_is_given_up_little_by_little);
  tcase_add_test (tc, ring_is_given_up_by_a_loop_that_would_sleep);
  tcase_add_test (tc, ring_that_was_being_given_up_at_a_fork_is_made_by_the_child);
  tcase_add_test (tc, signalfd_that_was_watched_beside_an_empty_ring_loses_no_signal);
  tcase_add_test (tc, empty_ring_is_not_filled_beside_a_signalfd);
  tcase_add_test (tc, fds_are_asked_what_they_are_some_at_each_iteration_before_there_is_a_ring);
  tcase_add_test (tc, no_ring_is_made_for_a_signalfd_that_is_watched_while_others_are_asked);
  tcase_add_test (tc, no_ring_is_made_for_a_signalfd_that_is_watched_again_while_others_are_asked);
  tcase_add_test (tc, ring_is_not_filled_beside_a_signalfd_that_is_watched_while_others_are_asked);
  tcase_add_test (tc, fds_are_not_asked_what_they_are_when_no_ring_is_wanted_any_more);
  tcase_add_test (tc, fds_are_not_asked_what_they_are_while_there_is_no_quota);
  tcase_add_test (tc, ring_is_filled_with_some_fds_at_each_iteration);
  loop_test (tc, many_fds_are_polled_in_vain_without_a_system_call, 2);
  loop_test (tc, epoll_is_not_asked_by_request_beside_a_signalfd, 2);
  tcase_add_test (tc, new_fds_are_asked_what_they_are_while_many_are_polled_in_vain);
  loop_test (tc, many_fds_are_polled_without_a_request_when_something_is_found_now_and_then, 2);
  loop_test (tc, many_fds_that_were_polled_in_vain_are_slept_for, 2);
  loop_test (tc, few_fds_that_are_left_of_many_polled_in_vain_fill_the_ring, 2);
  tcase_add_test (tc, loop_that_busy_polls_is_in_the_ring_whatever_it_does);
  tcase_add_test (tc, fds_of_a_loop_that_busy_polls_from_the_beginning_are_in_the_ring);
  tcase_add_test (tc, first_fds_are_served_by_the_ring_alone);
  tcase_add_test (tc, fds_of_a_child_are_in_its_ring_as_they_were_in_its_parents);
  tcase_add_test (tc, child_destroys_no_context_of_its_parent);
  tcase_add_test (tc, epoll_that_is_made_again_under_another_number_is_asked);
  loop_test (tc, ring_that_is_not_understood_is_served_by_calls, SEAM_RINGS);
  tcase_add_test (tc, ring_that_holds_less_than_twice_what_was_asked_is_not_overfilled);
  tcase_add_test (tc, ring_that_a_child_would_inherit_is_used_all_the_same);
  tcase_add_test (tc, ring_that_is_not_understood_is_left_by_a_loop_that_never_sleeps);
  tcase_add_test (tc, ring_that_is_not_understood_is_kept_when_it_is_interrupted);
  loop_test (tc, missing_epoll_pwait2_is_replaced, 2);
  tcase_add_test (tc, interrupted_epoll_wait_ends_the_sleep_only);

  /* these take more than a second each */
  tcase_add_test (tc, loop_that_gains_late_makes_a_ring);
  tcase_add_test (tc, loop_that_could_not_tell_a_fork_makes_no_ring);
  tcase_add_test (tc, loop_on_a_kernel_that_does_not_wipe_on_fork_makes_no_ring);
  loop_test (tc, loop_that_is_forbidden_a_ring_does_not_ask_again, 4);
  loop_test (tc, loop_that_got_no_ring_asks_again_later, 3);
  tcase_add_test (tc, ring_that_may_not_grow_serves_what_it_can);
  tcase_add_test (tc, ring_that_is_not_understood_and_gives_no_events_is_left);
}

static void
add_ring (TCase *tc)
{
  tcase_add_test (tc, interrupted_submission_is_repeated);
  tcase_add_test (tc, part_of_a_submission_is_followed_by_the_rest);
  loop_test (tc, requests_without_room_are_served_by_epoll, 3);
  tcase_add_test (tc, request_that_is_refused_alone_is_served_by_epoll);
  tcase_add_test (tc, epoll_is_served_although_its_request_finds_no_room);
  loop_test (tc, requests_that_cannot_be_cancelled_mean_nothing, 3);
  tcase_add_test (tc, cancel_that_says_nothing_special_is_one);
  tcase_add_test (tc, interrupted_io_getevents_ends_the_sleep_only);
  tcase_add_test (tc, file_that_nothing_is_known_of_is_served_by_epoll);
  loop_test (tc, ring_is_given_up_for_a_file_whose_name_is_not_known, 2);
  tcase_add_test (tc, direction_that_cannot_be_asked_anew_is_not_reported);
  tcase_add_test (tc, direction_is_asked_anew_once);

  /* these take more than a second each */
  loop_test (tc, ring_that_takes_no_requests_any_more_is_left, 3);
  tcase_add_test (tc, ring_that_is_gone_is_left);
  loop_test (tc, ring_that_gives_no_events_any_more_is_left, 3);
  tcase_add_test (tc, ring_that_does_not_take_epoll_is_left);
}

static void
add (TCase *tc, unsigned on)
{
  if (on & COLD)
    add_cold (tc);

  if (on & RING)
    add_ring (tc);
}

int
main (void)
{
  Suite *suites [] = { suite_over_backends ("refused", add), 0 };

  seam_ring_fds = 32;
  seam_ring_min = 62;
  seam_ring_max = 1022;
  seam_changes  = 800;
  seam_events   = 1000000;

  return run_suites (0, suites);
}
