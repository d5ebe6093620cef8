/*
 * Kernels that refuse: what the loop becomes, what is asked for again, and what
 * is not. (That every event is told all the same, once, whatever call fails, is
 * what the random programs try, in any order.)
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */

#include "rings.h"

#define SOME 20 /* with knob_first 10 they all but fill the first ring */

/* sockets of its own: requests of the parent would see the bytes that the child reads */
static void
serve_in_child (void)
{
  as_child
    {
      ev_loop_fork (EV_A);
      serve_crowd (SOME, 2);
    }
}

/* a new loop, some readers, and a call that fails from now on when it wants a ring */
static void
want_ring (int call, int error, int ring)
{
  ev_loop_destroy (EV_A);
  must_be (rings (0), ==, 0);
  fault_reset ();
  loop = another_loop ();
  gather (0, SOME);
  fault_arrange (call, error, 1, 1);
  fault_ring = ring;
  enter_rings ();
}

/* hosts on which AIO does not work: the loop becomes one of the epoll backend, and does not ask again */
TEST (host_without_aio_is_found_out_once, COLD | MIXED)
{
  static const struct { int call, error, ring; } cases [] = {
    { FAULT_io_setup, ENOSYS, 0 }, { FAULT_io_setup, EPERM , 0 }, { FAULT_io_setup, EINVAL, 0 }, { FAULT_io_setup, EACCES, 0 },
    { FAULT_madvise , EINVAL, 0 }, { FAULT_io_setup, 0, FAULT_RING_MAGIC }, { FAULT_io_setup, 0, FAULT_RING_FEATURES },
    { FAULT_io_setup, 0, FAULT_RING_HEADER }, { FAULT_io_setup, 0, FAULT_RING_READ_ONLY }, { FAULT_io_setup, 0, FAULT_RING_EMPTY }
  };

  for (unsigned i = 0; i < sizeof (cases) / sizeof (cases [0]); ++i)
    {
      knob_worth = i & 1 ? 0 : 1000;
      want_ring (cases [i].call, cases [i].error, cases [i].ring);

      if (ev_backend (EV_A) != EVBACKEND_EPOLL || rings (0) || fault_calls [FAULT_io_setup] > 1)
        give_up (__FILE__, __LINE__, "%s, error %d, ring %d: the backend is %x, with %d rings, of which it has asked %lu times",
                 fault_name [cases [i].call], cases [i].error, cases [i].ring, ev_backend (EV_A), rings (0), fault_calls [FAULT_io_setup]);

      must_be (fault_calls [FAULT_munmap], ==, fault_calls [FAULT_mmap]);
      fault_reset ();
      serve (0, SOME);
      enter_rings ();
      ev_loop_fork (EV_A);
      serve (0, SOME);
      serve_in_child ();
      must_be (fault_calls [FAULT_io_setup], ==, 0);
    }
}

/* the poll that finds it out has just seen that another fd can be written to, and not told epoll of it */
TEST (writer_is_served_when_its_loop_becomes_one_of_epoll, COLD)
{
  probe *first = reader (), *other = reader (), *writer = watch (other->io.fd, EV_WRITE);

  told (writer, EV_WRITE);
  stop (writer);
  ping (first); /* epoll hears that it is stopped */
  fault_arrange (FAULT_io_setup, ENOSYS, 1, 1);
  knob_worth = 1;
  ping (first);
  start (writer);

  for (int i = 0; i < 3; ++i)
    told (writer, EV_WRITE);

  must (ev_backend (EV_A) == EVBACKEND_EPOLL);
}

TEST (loop_without_epoll_is_none, COLD | MIXED)
{
  struct rlimit limit, none;

  getrlimit (RLIMIT_NOFILE, &limit);
  none = limit;
  none.rlim_cur = 0;
  setrlimit (RLIMIT_NOFILE, &none);
  must (!ev_loop_new (EVFLAG_NOENV | backend_flags));
  setrlimit (RLIMIT_NOFILE, &limit);
}

/* what others have used up: it is asked for again */
TEST (ring_that_could_not_be_made_is_made_later, COLD | MIXED)
{
  static const struct { int call, error; } cases [] = {
    { FAULT_io_setup, EAGAIN }, { FAULT_io_setup, ENOMEM }, { FAULT_mmap    , ENOMEM }, { FAULT_madvise , ENOMEM },
    { FAULT_eventfd , EMFILE }, { FAULT_eventfd , ENFILE }, { FAULT_bell_add, ENOMEM }, { FAULT_bell_add, ENOSPC }
  };

  for (unsigned i = 0; i < sizeof (cases) / sizeof (cases [0]); ++i)
    {
      want_ring (cases [i].call, cases [i].error, FAULT_RING_GOOD);
      enter_rings (); /* asked again, in vain */
      must (ev_backend (EV_A) == EVBACKEND_LINUXAIO);
      must_be (rings (0), ==, 0);
      must_be (fault_failures, >, 0);
      serve (0, SOME);

      as_child
        talk (reader (), 1); /* without ev_loop_fork */

      fault_mend (cases [i].call);
      enter_rings ();
      must_be (rings (0), ==, 1);
      serve (0, SOME);
      serve_in_child ();
      serve (0, SOME);
    }
}

/* a filter that comes later: the rings that are there go on */
TEST (loop_with_a_ring_goes_on_where_no_other_can_be_made, COLD | MIXED)
{
  knob_first = 1;
  gather (0, 1);
  enter_rings ();
  must_be (rings (0), ==, 1);
  fault_arrange (FAULT_io_setup, EPERM, 1, 1);
  gather (1, SOME);
  enter_rings ();
  must_be (fault_failures, >, 0);
  must (ev_backend (EV_A) == EVBACKEND_LINUXAIO);
  serve (0, SOME);
}

TEST (refused_requests_lose_no_event, LINUXAIO)
{
  static const int errors [] = { EAGAIN, ENOMEM, EINVAL, EINTR, EBADF, EFAULT, ENOSYS, EPERM, FAULT_SHORT };

  for (int i = 0; i < 9; ++i)
    for (int lasting = 0; lasting < 2 && !(lasting && errors [i] == EINTR); ++lasting)
      {
        unsigned long asked;

        gather (0, 10);
        poll_once (); /* what is set anew loses score by that */
        enter_rings ();
        gather (10, SOME);
        fcntl (crowd [10]->io.fd, F_SETFD, 0); /* is none of what says that it is closed */
        fault_reset ();
        fault_arrange (FAULT_io_submit, errors [i], 1, lasting);
        enter_rings ();
        serve (10, SOME); /* while the others are in the ring */
        serve (0, 10);
        must_be (fault_failures, >, 0);
        must_be (fault_calls [FAULT_io_setup], <=, 2); /* another ring would help nobody, again and again */
        asked = fault_calls [FAULT_io_submit]; /* what was refused is not tried again, unless it is set anew */
        serve (0, SOME);

        if (lasting && errors [i] != FAULT_SHORT)
          must_be (fault_calls [FAULT_io_submit], <=, asked + 20); /* those of settle, which are new */

        fault_mend (FAULT_io_submit);
        serve (0, SOME);

        for (int k = 0; k < SOME; ++k)
          stop_and_close (crowd [k]);
      }
}

/* the C library knows a call that the kernel does not, or that a filter does not let through. else it is all there is */
TEST (missing_epoll_pwait2_is_found_out_once, RING)
{
  static const int errors [] = { ENOSYS, EPERM, EINVAL, 0 };
  int there = !syscall (SYS_epoll_pwait2, -1, 0, 0, 0, 0, 0) || errno != ENOSYS;

  for (int i = 0; i < 3 + there; ++i)
    {
      int ticks = 0;
      ev_timer *timer;

      loop_with_flags (EVFLAG_NOTIMERFD, 0);
      fault_reset ();
      fault_arrange (FAULT_epoll_pwait2, errors [i], 1, 1);
      timer = counted (timer, &ticks, 0.001, 0.001);
      run_until (ticks, >=, 10);
      ev_timer_stop (EV_A_ timer);
      must_be (fault_failures, ==, !!errors [i]);
      must_be (fault_calls [FAULT_epoll_pwait2] > 1, ==, !errors [i]);
      must (fault_calls [FAULT_epoll_wait] || !errors [i]);
    }
}

