/*
 * Kernels that refuse: each call of the backend fails in the ways it can, once
 * or from then on. Every event is told all the same, once, and nothing is
 * asked again and again. (The random programs try this in any order.)
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include "fault.h"
#include "fixture.h"

#define CROWD 100 /* more than fit into the first ring, with knob_first 10 */

static probe *p [CROWD];

static void
crowd (int from, int to)
{
  for (; from < to; ++from)
    p [from] = reader ();
}

/* what a ring can serve enters one, if it can */
static void
enter_rings (void)
{
  int i;

  ev_linuxaio_busy_poll (EV_A_ 1e-9);

  for (i = 0; i < 10; ++i)
    ev_run (EV_A_ EVRUN_NOWAIT);

  ev_linuxaio_busy_poll (EV_A_ 0.);
  ev_run (EV_A_ EVRUN_NOWAIT);
}

/* each is told of its byte, once; while the loop sleeps, as nothing else wakes it up */
static void
serve (int from, int to)
{
  int i, before = places;

  for (i = from; i < to; ++i)
    {
      p [i]->count = 0;
      put (p [i]->peer);
      run_until (p [i]->count, ==, 1);
    }

  must_be (places, ==, before + to - from);

  for (i = from; i < to; ++i)
    put (p [i]->peer);

  run_until (places, >=, before + 2 * (to - from));
  settle (EV_A);

  for (i = from; i < to; ++i)
    must_be (p [i]->count, ==, 2);
}

static void
serve_in_child (int from, int to)
{
  pid_t pid = child ();

  if (!pid)
    {
      ev_loop_fork (EV_A);
      serve (from, to);
      leave ();
    }

  ends_well (pid);
  settle (EV_A); /* requests of the parent have seen the bytes that the child has read */
}

/*****************************************************************************/
/* hosts on which AIO does not work: the loop becomes one of the epoll backend */

static void
expect_epoll (const char *why)
{
  if (ev_backend (EV_A) != EVBACKEND_EPOLL || rings (0))
    give_up (__FILE__, __LINE__, "%s: the backend is %x, with %d rings", why, ev_backend (EV_A), rings (0));

  must_be (fault_calls [FAULT_io_setup], <=, 1);
  fault_reset ();
  serve (0, 20);
  enter_rings ();
  ev_loop_fork (EV_A);
  serve (0, 20);
  serve_in_child (0, 20);
  must_be (fault_calls [FAULT_io_setup], ==, 0);
}

static void
start_over (void)
{
  ev_loop_destroy (EV_A);
  must_be (rings (0), ==, 0);
  fault_reset ();
  loop = another_loop ();
  crowd (0, 20);
}

TEST (host_without_aio_is_found_out_once, COLD | MIXED)
{
  static const int errors [] = { ENOSYS, EPERM, EINVAL, EACCES };
  unsigned i;

  for (i = 0; i < 4; ++i)
    {
      start_over ();
      must (ev_backend (EV_A) == EVBACKEND_LINUXAIO);
      fault_arrange (FAULT_io_setup, errors [i], 1, 1);
      enter_rings ();
      expect_epoll (strerror (errors [i]));
    }
}

TEST (ring_that_is_not_understood_is_left_alone, COLD | MIXED)
{
  int i;

  for (i = FAULT_RING_GOOD + 1; i < FAULT_RINGS; ++i)
    {
      start_over ();
      fault_ring = i;
      enter_rings ();
      expect_epoll ("a strange ring");
    }
}

TEST (kernel_that_cannot_tell_a_child_of_its_fork_gets_no_ring, COLD | MIXED)
{
  start_over ();
  fault_arrange (FAULT_madvise, EINVAL, 1, 1);
  enter_rings ();
  expect_epoll ("madvise");
}

TEST (loop_without_epoll_is_none, COLD | MIXED)
{
  struct rlimit limit, none;

  getrlimit (RLIMIT_NOFILE, &limit);
  none = limit;
  none.rlim_cur = 0;
  setrlimit (RLIMIT_NOFILE, &none);
  must (!ev_loop_new (EVFLAG_NOENV | backend_flag ()));
  setrlimit (RLIMIT_NOFILE, &limit);
}

/*****************************************************************************/
/* what others have used up: it is asked for again */

static const struct { int call, error; } passing [] = {
  { FAULT_io_setup, EAGAIN }, { FAULT_io_setup, ENOMEM },
  { FAULT_mmap    , ENOMEM }, { FAULT_madvise , ENOMEM },
  { FAULT_eventfd , EMFILE }, { FAULT_eventfd , ENFILE },
  { FAULT_bell_add, ENOMEM }, { FAULT_bell_add, ENOSPC }
};

TEST (ring_that_could_not_be_made_is_made_later, COLD | MIXED)
{
  unsigned i;

  for (i = 0; i < sizeof (passing) / sizeof (passing [0]); ++i)
    {
      start_over ();
      fault_arrange (passing [i].call, passing [i].error, 1, 1);
      enter_rings ();
      must (ev_backend (EV_A) == EVBACKEND_LINUXAIO);
      must_be (rings (0), ==, 0);
      must_be (fault_failures, >, 0);
      serve (0, 20);

      fault_mend (passing [i].call);
      enter_rings ();
      must_be (rings (0), ==, 1);
      serve (0, 20);
      serve_in_child (0, 20);
      serve (0, 20);
    }
}

TEST (events_are_told_while_the_quota_comes_and_goes, LINUXAIO)
{
  int i;

  knob_first = knob_next = 10;

  for (i = 0; i < CROWD; i += 20)
    {
      crowd (i, i + 20);

      if (i / 20 & 1)
        fault_arrange (FAULT_io_setup, EAGAIN, 1, 1);
      else
        fault_mend (FAULT_io_setup);

      enter_rings ();
      serve (0, i + 20);
    }

  for (i = 0; i < CROWD; i += 3)
    stop_and_close (p [i]);

  fault_mend (FAULT_io_setup);
  enter_rings ();

  for (i = 1; i < CROWD - 1; i += 3)
    serve (i, i + 2);

  must_be (rings (0), <=, 99);
}

/*****************************************************************************/
/* requests that are refused */

TEST (refused_requests_lose_no_event, LINUXAIO)
{
  static const int errors [] = { EAGAIN, ENOMEM, EINVAL, EINTR, EBADF, EFAULT, ENOSYS, EPERM, FAULT_SHORT };
  int i, lasting;

  for (i = 0; i < 9; ++i)
    for (lasting = 0; lasting < 2 && !(lasting && errors [i] == EINTR); ++lasting)
      {
        unsigned long asked;

        crowd (0, 10);
        enter_rings ();
        crowd (10, 20);
        fault_reset ();
        fault_arrange (FAULT_io_submit, errors [i], 1, lasting);
        enter_rings ();
        serve (0, 20);
        must_be (fault_failures, >, 0);
        must_be (fault_calls [FAULT_io_setup], <=, 2); /* another ring would help nobody, again and again */

        /* what was refused is not tried again, unless it is set anew */
        asked = fault_calls [FAULT_io_submit];
        serve (0, 20);

        if (lasting && errors [i] != FAULT_SHORT && errors [i] != EAGAIN)
          must_be (fault_calls [FAULT_io_submit], <=, asked + 20); /* those of settle, which are new */

        fault_mend (FAULT_io_submit);
        serve (0, 20);

        for (asked = 0; asked < 20; ++asked)
          stop_and_close (p [asked]);
      }
}

/* gVisor: the request stays in flight, and with it the file, until that has something to say */
TEST (request_that_cannot_be_cancelled_means_nothing, LINUXAIO)
{
  static const int errors [] = { ENOSYS, EPERM, EAGAIN, EINVAL, FAULT_ZERO };
  int i, k;

  crowd (0, 20);

  for (i = 0; i < 5; ++i)
    {
      enter_rings ();
      serve (0, 20);
      fault_reset ();
      fault_arrange (FAULT_io_cancel, errors [i], 1, 1);

      for (k = 0; k < 10; ++k)
        {
          p [k]->count = 0;
          stop (p [k]);
          put (p [k]->peer);
        }

      settle (EV_A);

      for (k = 0; k < 10; ++k)
        must_be (p [k]->count, ==, 0);

      serve (10, 20);

      for (k = 0; k < 10; ++k)
        start (p [k]);

      for (k = 0; k < 10; ++k)
        run_until (p [k]->count, ==, 1);

      serve (0, 20);
    }
}

/* the same, but it is stopped, changed and started in one go, and ready only then */
TEST (fd_whose_request_could_not_be_cancelled_is_armed_again, LINUXAIO)
{
  int i, round;

  crowd (0, 20);
  enter_rings ();
  serve (0, 20);
  fault_arrange (FAULT_io_cancel, EPERM, 1, 1);

  for (round = 0; round < 5; ++round)
    {
      for (i = 0; i < 20; ++i)
        restart (p [i], p [i]->io.fd, EV_READ);

      serve (0, 20);
    }
}

/* a program that was confined after it had started */
TEST (loop_whose_aio_is_taken_away_goes_on, LINUXAIO)
{
  static const int calls [] = { FAULT_io_setup, FAULT_io_submit, FAULT_io_cancel, FAULT_io_destroy, FAULT_epoll_pwait2 };
  unsigned i;

  knob_first = 10;
  crowd (0, 20);
  enter_rings ();
  serve (0, 20);

  for (i = 0; i < 5; ++i)
    fault_arrange (calls [i], EPERM, 1, 1);

  crowd (20, CROWD);
  enter_rings ();
  serve (0, CROWD);

  for (i = 0; i < CROWD; i += 2)
    stop (p [i]);

  for (i = 1; i < CROWD; i += 2)
    serve (i, i + 1);

  serve_in_child (1, 2);
  fault_mend (FAULT_io_destroy); /* or the ring would be a leak */
}

/*****************************************************************************/
/* sleeping and asking */

static void
tick_cb (EV_P_ ev_timer *w, int revents)
{
  (void)loop, (void)revents;
  ++*(int *)w->data;
}

/* the C library knows a call that the kernel does not, or that a filter does not let through */
TEST (missing_epoll_pwait2_is_found_out_once, RING)
{
  static const int errors [] = { ENOSYS, EPERM, EINVAL };
  unsigned i;

  for (i = 0; i < 3; ++i)
    {
      int ticks = 0;
      ev_timer timer;

      loop_with_flags (EVFLAG_NOTIMERFD);
      fault_reset ();
      fault_arrange (FAULT_epoll_pwait2, errors [i], 1, 1);
      ev_timer_init (&timer, tick_cb, 0.001, 0.001);
      timer.data = &ticks;
      ev_timer_start (EV_A_ &timer);
      run_until (ticks, >=, 10);
      ev_timer_stop (EV_A_ &timer);
      must_be (fault_failures, ==, 1);
      must_be (fault_calls [FAULT_epoll_wait], >, 0);
    }
}

TEST (write_interest_that_cannot_be_asked_about_is_told_to_the_kernel, LINUXAIO)
{
  probe *w;

  crowd (0, 1);
  w = watch (p [0]->io.fd, EV_WRITE);
  run_until (w->count, ==, 1);
  stop (w);
  serve (0, 1);

  fault_arrange (FAULT_poll, ENOMEM, 1, 1);
  start (w);
  run_until (w->count, ==, 2);
  stop (w);
  fill (p [0]->io.fd);
  start (w);
  settle (EV_A);
  must_be (w->count, ==, 2);

  while (get (p [0]->peer) > 0)
    ;

  run_until (w->count, ==, 3);
}

/* ev_loop_fork without a fork makes the epoll set anew, and the bell has to be in it */
TEST (bell_that_is_not_in_the_new_epoll_set_is_replaced, RING)
{
  crowd (0, 20);
  serve (0, 20);
  fault_arrange (FAULT_bell_add, ENOMEM, 1, 0);
  ev_loop_fork (EV_A);
  serve (0, 20);
  must_be (fault_failures, ==, 1);
}
