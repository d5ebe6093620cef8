/*
 * Forks: parent and child each go on with a loop of their own, and whatever
 * the child does or forgets to do, the parent never notices.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include "fixture.h"

/* watched before the fork: used by the parent only, by the child only, by both after it */
static probe *mine, *theirs, *both;

static void
start_all (void)
{
  int fd [2];

  mine   = reader ();
  sockets (fd);
  onto (fd [0], 0); /* as servers have it that close it */
  theirs = watch (0, EV_READ);
  theirs->peer = fd [1];
  theirs->eat  = 1;
  both   = watch_socket (EV_READ);
  settle (EV_A);
}

/* a reader talks to itself through the loop, and nobody else is told anything */
static void
talk_alone (probe *p, int rounds)
{
  int before = places;

  talk (p, rounds);
  must_be (places - before, ==, rounds);
}

static void
serve_as_child (void)
{
  stop (mine);
  talk_alone (theirs, 100);
  serve_crowd (30, 1); /* of descriptors that did not exist before the fork */
  talk_alone (theirs, 10);
}

static void
serve_as_parent (void)
{
  stop (theirs);
  talk_alone (mine, 500);
  serve_crowd (10, 1);
}

static void
fork_loop_and_serve (void)
{
  ev_loop_fork (EV_A);
  serve_as_child ();
}

static void
expect_parent_undisturbed_by (void (*body) (void))
{
  pid_t pid;

  start_all ();
  pid = in_child (body);
  serve_as_parent ();
  ends_well (pid);

  /* once more, now that the child is gone */
  talk_alone (mine, 50);
  start (theirs);
  talk_alone (theirs, 50);
}

/* what a child does, and the parent does not notice */
#define CHILD(name, on)                                            \
  static void name##_child (void);                                 \
  TEST (name, on) { expect_parent_undisturbed_by (name##_child); } \
  static void name##_child (void)

CHILD (child_that_never_touches_the_loop_is_not_noticed, ALL) { must_be (rings (0), ==, 0); }
CHILD (child_that_destroys_the_loop_is_not_noticed, ALL) { ev_loop_destroy (EV_A); }

/* epoll cannot do this: there, a child that forgets ev_loop_fork takes its parent's events */
CHILD (child_that_forgets_ev_loop_fork_serves_its_own, RING) { serve_as_child (); }

CHILD (child_that_uses_and_destroys_the_loop_is_not_noticed, ALL)
{
  fork_loop_and_serve ();
  ev_loop_destroy (EV_A);
  must_be (rings (0), ==, 0);
}

/* as programs do before they exec something */
CHILD (child_that_stops_and_closes_everything_is_not_noticed, ALL)
{
  stop_and_close (mine);
  stop_and_close (theirs);
  stop_and_close (both);
}

CHILD (child_that_makes_a_loop_of_its_own_is_not_noticed, ALL)
{
  loop = another_loop ();
  serve_crowd (100, 1);
  ev_loop_destroy (EV_A);
}

/* the child has served before, or does nothing but wait for it */
CHILD (grandchild_serves_its_own, ALL)
{
  pid_t pid;

  ends_well (in_child (fork_loop_and_serve));
  fork_loop_and_serve ();
  pid = in_child (fork_loop_and_serve);
  stop (theirs);
  serve_crowd (20, 1);
  ends_well (pid);
}

TEST (watcher_that_was_stopped_meanwhile_is_heard_after_ev_loop_fork, ALL)
{
  probe *p [] = { watch_socket (EV_READ), watch_kind (WORLD_DGRAM, EV_READ) };

  settle (EV_A);

  for (int i = 0; i < 2; ++i)
    {
      stop (p [i]);
      settle (EV_A);
      ev_loop_fork (EV_A);
      settle (EV_A);
      start (p [i]);
      put (p [i]->peer);
      told (p [i], EV_READ);
    }
}

TEST (child_of_a_forkcheck_loop_need_not_say_so, ALL)
{
  loop_with_flags (EVFLAG_FORKCHECK, 0);
  expect_parent_undisturbed_by (serve_as_child);
}

static ev_async *async;
static int forks, asyncs, signals;

static void
expect_one_fork_event (void)
{
  fork_loop_and_serve ();
  must_be (forks, ==, 1);
}

TEST (fork_watchers_are_called_in_the_child_once, ALL)
{
  counted (fork, &forks);
  expect_parent_undisturbed_by (expect_one_fork_event);
  must_be (forks, ==, 0);
}

static void
signal_itself (void)
{
  kill (getpid (), SIGUSR1);
  run_until (signals, ==, 1);
  ev_async_send (EV_A_ async);
  run_until (asyncs, ==, 1);
  settle (EV_A);
  must_be (signals + asyncs, ==, 2);
}

TEST (asyncs_and_signals_of_the_child_stay_there, ALL)
{
  pid_t pid;

  async = counted (async, &asyncs);
  counted (signal, &signals, SIGUSR1);
  settle (EV_A);

  for_child (pid)
    {
      ev_loop_fork (EV_A);
      signal_itself ();
    }

  settle (EV_A);
  ends_well (pid);
  settle (EV_A);
  must_be (asyncs + signals, ==, 0);
  signal_itself ();
}

/*
 * A terminal is closed, but lives on under another number, and its old number
 * gets another one: epoll reports the old file under the number of the new,
 * and libev makes a new epoll. That is no reason to give up the ring.
 */
TEST (stray_event_of_epoll_costs_no_ring, LINUXAIO)
{
  probe *p = terminal_reader ();
  int copy = fcntl (p->io.fd, F_DUPFD_CLOEXEC, 0), master = p->peer;
  unsigned long before = 0, after = 0;

  settle (EV_A);
  rings (&before);
  stop (p);
  become (p, WORLD_PTY);
  restart (p, p->io.fd, EV_READ);
  settle (EV_A);
  put (master);
  must (wait_for (copy, POLLIN));
  silent (p);
  talk (p, 10);
  rings (&after);
  must_be (after, ==, before);
}

static struct rlimit limit;
static int complaints;

static void
raise_limit (const char *message) EV_NOEXCEPT
{
  ++complaints;
  setrlimit (RLIMIT_NOFILE, &limit);
}

/* as long as there is no epoll, the program is asked to see to it */
TEST (epoll_that_cannot_be_made_again_is_asked_for_until_it_can, EPOLL | LINUXAIO)
{
  struct rlimit none;
  probe *p = reader ();

  settle (EV_A);
  getrlimit (RLIMIT_NOFILE, &limit);
  none = limit;
  none.rlim_cur = 0;
  setrlimit (RLIMIT_NOFILE, &none);
  close (0); /* the new one may have that number */
  ev_set_syserr_cb (raise_limit);
  ev_loop_fork (EV_A);
  ev_run (EV_A_ EVRUN_NOWAIT);
  must_be (complaints, ==, 1);
  talk (p, 5);
}
