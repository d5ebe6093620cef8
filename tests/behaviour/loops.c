/*
 * Loops: nested, embedded, several at a time, waited for from outside, and
 * destroyed.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include "fixture.h"

/*****************************************************************************/
/* running */

static void
stop_cb (EV_P_ ev_io *w, int revents)
{
  probe_cb (EV_A_ w, revents);
  ev_io_stop (EV_A_ w);
}

TEST (run_ends_with_the_last_watcher, ALL)
{
  probe *p = watch_socket (EV_READ);

  ev_set_cb (&p->io, stop_cb);
  put (p->peer);
  must_be (ev_run (EV_A_ 0), ==, 0);
  must_be (p->count, ==, 1);
  start (p);
  stop (p);
  must_be (ev_run (EV_A_ 0), ==, 0);
}

TEST (unreferenced_watcher_is_served_but_does_not_keep_the_loop, ALL)
{
  probe *p = reader ();

  ev_unref (EV_A);
  must_be (ev_run (EV_A_ 0), ==, 0);
  talk (p, 3);
}

static void
place_cb (EV_P_ void *w, int revents)
{
  *(int *)((ev_watcher *)w)->data = ++places;
}

TEST (prepare_and_check_enclose_the_wait, ALL)
{
  int i, prepare_place, check_place;
  ev_prepare *prepare = counted (prepare, &prepare_place);
  ev_check *check = counted (check, &check_place);
  probe *p = watch_socket (EV_READ);

  ev_set_cb (prepare, (void (*) (EV_P_ ev_prepare *, int))place_cb);
  ev_set_cb (check, (void (*) (EV_P_ ev_check *, int))place_cb);
  put (p->peer);

  for (i = 0; i < 5; ++i)
    {
      ev_run (EV_A_ EVRUN_ONCE);
      must_be (prepare_place, ==, i * 3 + 1);
      must_be (check_place, ==, i * 3 + 2);
      must_be (p->place, ==, i * 3 + 3);
    }
}

/*****************************************************************************/
/* events of descriptors that only epoll can serve count like all others */

static unsigned most_pending;

static void
note_pending (EV_P)
{
  if (most_pending < ev_pending_count (EV_A))
    most_pending = ev_pending_count (EV_A);

  ev_invoke_pending (EV_A);
}

TEST (events_of_terminals_are_pending_before_they_are_invoked, ALL)
{
  int i;

  for (i = 0; i < 2; ++i)
    {
      probe *p = watch_kind (WORLD_PTY, EV_READ);

      put (p->peer);
      must (wait_for (p->io.fd, POLLIN));
    }

  ev_run (EV_A_ EVRUN_ONCE);
  ev_set_invoke_pending_cb (EV_A_ note_pending);
  ev_run (EV_A_ EVRUN_ONCE);
  must_be (most_pending, ==, 2);
}

/* an idle watcher waits for events of its own priority and above, and for no others */
TEST (idle_watcher_is_not_starved_by_a_terminal_of_lower_priority, ALL)
{
  probe *p = watch_kind (WORLD_PTY, EV_READ);
  int i, idles = 0;
  ev_idle *idle;

  put (p->peer);
  run_until (p->count, >, 0);
  p->count = 0;
  idle = counted (idle, &idles);
  ev_idle_stop (EV_A_ idle);
  ev_set_priority (idle, 1);
  ev_idle_start (EV_A_ idle);

  for (i = 0; i < 20; ++i)
    ev_run (EV_A_ EVRUN_ONCE);

  must_be (idles, ==, 20);
  must_be (p->count, ==, 20);
}

/*****************************************************************************/
/* embedding, as in the manual: the loop of the test inside one that waits in any way */

static void
sweep_cb (EV_P_ ev_embed *w, int revents)
{
  ev_embed_sweep (EV_A_ w);
}

static void
expect_service_when_embedded (struct ev_loop *inner, struct ev_loop *outer, void (*cb) (EV_P_ ev_embed *, int))
{
  static ev_embed embed;
  int ticks = 0, iterations;
  probe *p, *always;
  ev_timer *timer;

  must (inner && outer);
  loop = inner;
  p    = reader ();
  loop = outer;
  ev_embed_init (&embed, cb, inner);
  ev_embed_start (EV_A_ &embed);
  ev_run (EV_A_ EVRUN_NOWAIT); /* what is started in the inner loop is seen to before the outer one sleeps */
  talk (p, 30);

  /* an inner loop that is always ready keeps the outer one from nothing */
  loop   = inner;
  always = watch_socket (EV_WRITE);
  loop   = outer;
  timer  = counted (timer, &ticks, 0.001, 0.001);
  run_until (always->count > 20 && ticks > 20);
  talk (reader (), 10);
  loop = inner;
  stop (always);

  /* and is not asked again and again when it has nothing */
  loop = outer;
  ev_timer_stop (EV_A_ timer);
  settle (EV_A);
  ev_now_update (EV_A);
  ticks = 0;
  counted (timer, &ticks, 0.02, 0.);
  iterations = ev_iteration (inner);
  run_until (ticks);
  must_be (ev_iteration (inner) - iterations, <, 10);
  talk (p, 3);
  ev_embed_stop (EV_A_ &embed);
}

TEST (embedded_loop_is_served, EPOLL | LINUXAIO)
{
  static const struct { unsigned flags; void (*cb) (EV_P_ ev_embed *, int); } outer [] = {
    { EVBACKEND_POLL, 0 }, { EVBACKEND_EPOLL, sweep_cb }, { 0, 0 }
  };
  struct ev_loop *inner = loop;
  int i;

  must ((ev_embeddable_backends () & backend_flag ()) == backend_flag ());

  for (i = 0; i < 3; ++i)
    {
      unsigned flags = outer [i].flags ? outer [i].flags : backend_flag ();

      expect_service_when_embedded (inner, ev_loop_new (EVFLAG_NOENV | flags), outer [i].cb);
      ev_loop_destroy (EV_A);
      loop = inner;
    }
}

TEST (epoll_loop_is_served_inside_of_any_other, ALL)
{
  struct ev_loop *inner = ev_loop_new (EVFLAG_NOENV | EVBACKEND_EPOLL);

  expect_service_when_embedded (inner, loop, 0);
  ev_loop_destroy (inner);
}

/* programs that have a loop of their own wait for the descriptor of libev's: its first */
TEST (loop_is_readable_while_there_is_something_to_do_and_no_longer, EPOLL | LINUXAIO)
{
  struct ev_loop *own = loop;
  int i, wakes, fd = dup (0);
  probe *sock, *slow;

  close (fd);
  loop = another_loop ();

  sock = reader ();
  slow = terminal_reader ();
  ev_run (EV_A_ EVRUN_NOWAIT);

  for (i = 1; i <= 100; ++i)
    {
      probe *which = i % 4 ? sock : slow;

      which->count = 0;
      put (which->peer);

      for (wakes = 0; !which->count && wakes < 5; ++wakes)
        {
          must (wait_for (fd, POLLIN));
          ev_run (EV_A_ EVRUN_NOWAIT);
        }

      must_be (which->count, ==, 1);
    }

  /* a poll or two later */
  for (wakes = 0; wakes < 5 && poll (&(struct pollfd) { fd, POLLIN, 0 }, 1, 0); ++wakes)
    ev_run (EV_A_ EVRUN_NOWAIT);

  must_be (wakes, <, 5);
  ev_loop_destroy (EV_A);
  loop = own;
}

TEST (two_loops_watch_the_same_descriptor, ALL)
{
  struct ev_loop *own = loop, *other = another_loop ();
  probe *a = watch_socket (EV_READ), *b;
  int i;

  loop = other;
  b    = watch (a->io.fd, EV_READ);

  for (i = 1; i <= 10; ++i)
    {
      loop = own;
      silent (a);
      put (a->peer);
      told (a, EV_READ);
      loop = other;
      told (b, EV_READ);
      get (b->io.fd);
      silent (b);
    }

  /* one loses interest, the other is served on */
  loop = own;
  stop (a);
  loop = other;
  put (a->peer);
  told (b, EV_READ);
  ev_loop_destroy (EV_A);
  loop = own;
}

/*****************************************************************************/
/* birth and death */

/* with watchers of all kinds, some with an event on its way, and write interest beside an armed read */
TEST (destroyed_loops_give_everything_back, ALL)
{
  static const int kinds [] = { WORLD_STREAM, WORLD_PTY, WORLD_DEVNULL, WORLD_PIPE };
  struct ev_loop *own = loop;
  int round, i, asyncs, fds = open_fds (""), blocks = allocated_blocks (), mapped = rings (0);

  for (round = 0; round < 5; ++round)
    {
      int before = places;
      probe *p [40];

      loop = another_loop ();

      counted (async, &asyncs);

      for (i = 0; i < 40; ++i)
        {
          p [i] = watch_kind (kinds [i % 4], EV_READ);

          if (p [i]->peer >= 0)
            put (p [i]->peer);
        }

      while (places - before < 100)
        ev_run (EV_A_ EVRUN_ONCE);

      watch (p [0]->io.fd, EV_WRITE);
      watch (p [1]->io.fd, EV_WRITE);
      ev_run (EV_A_ EVRUN_NOWAIT);
      ev_loop_destroy (EV_A);

      for (i = 0; i < 40; ++i)
        {
          close (p [i]->io.fd);
          close (p [i]->peer);
        }

      must_be (open_fds (""), ==, fds);
      must_be (allocated_blocks (), ==, blocks);
      must_be (rings (0), ==, mapped);
    }

  loop = own;
}

TEST (descriptors_of_the_loop_are_closed_on_exec, ALL)
{
  char before [1024];
  int fd, count = 0;

  for (fd = 0; fd < 1024; ++fd)
    before [fd] = fcntl (fd, F_GETFD) >= 0;

  loop_with_flags (EVFLAG_SIGNALFD);
  counted (async, &count);
  counted (signal, &count, SIGUSR1);
  settle (EV_A);

  for (fd = 0; fd < 1024; ++fd)
    if (!before [fd] && fcntl (fd, F_GETFD) >= 0)
      must_be (fcntl (fd, F_GETFD), ==, FD_CLOEXEC);
}

TEST (environment_selects_the_backend, ALL)
{
  char flags [20];
  struct ev_loop *other;

  must ((ev_supported_backends () & backend_flag ()) == backend_flag ());
  snprintf (flags, sizeof (flags), "%u", backend_flag ());
  must (!setenv ("LIBEV_FLAGS", flags, 1));
  other = ev_loop_new (0);
  must (other != 0);
  must (ev_backend (other) == ev_backend (EV_A));
  ev_loop_destroy (other);
}

TEST (default_loop_is_served_and_comes_back, ALL)
{
  int i;

  for (i = 0; i < 2; ++i)
    {
      default_loop_with_flags (0);
      must (ev_is_default_loop (EV_A));
      talk (reader (), 10);
    }
}
