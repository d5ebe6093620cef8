/*
 * Loops: when they end, embedded, several at a time, and what they leave to others.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include "fixture.h"

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

  must ((ev_embeddable_backends () & backend_flags) == backend_flags);

  for (int i = 0; i < 3; ++i)
    {
      unsigned flags = outer [i].flags ? outer [i].flags : backend_flags;

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

TEST (two_loops_watch_the_same_descriptor, ALL)
{
  struct ev_loop *own = loop, *other = another_loop ();
  probe *a = watch_socket (EV_READ), *b;

  loop = other;
  b    = watch (a->io.fd, EV_READ);

  for (int i = 1; i <= 10; ++i)
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

TEST (descriptors_of_the_loop_are_closed_on_exec, ALL)
{
  char before [1024];
  int count = 0;

  ev_loop_destroy (EV_A);

  for (int fd = 0; fd < 1024; ++fd)
    before [fd] = fcntl (fd, F_GETFD) >= 0;

  loop = another_loop ();
  counted (async, &count);
  counted (signal, &count, SIGUSR1);
  settle (EV_A);

  for (int fd = 0; fd < 1024; ++fd)
    if (!before [fd] && fcntl (fd, F_GETFD) >= 0)
      must_be (fcntl (fd, F_GETFD), ==, FD_CLOEXEC);
}

TEST (environment_selects_the_backend, ALL)
{
  char flags [20];
  struct ev_loop *other;

  must ((ev_supported_backends () & backend_flags) == backend_flags);
  snprintf (flags, sizeof (flags), "%u", backend_flags);
  must (!setenv ("LIBEV_FLAGS", flags, 1));
  other = ev_loop_new (0);
  must (other != 0);
  must (ev_backend (other) == ev_backend (EV_A));
  ev_loop_destroy (other);
}

TEST (default_loop_is_served_and_comes_back, ALL)
{
  for (int i = 0; i < 2; ++i)
    {
      loop_with_flags (0, 1);
      must (ev_is_default_loop (EV_A));
      talk (reader (), 10);
    }
}

static void
sleep_inside (EV_P_ ev_timer *w, int revents)
{
  ev_run (EV_A_ EVRUN_ONCE);
  w->data = w;
}

TEST (embedded_loop_tells_again_what_is_unread, EPOLL | LINUXAIO)
{
  static ev_embed embed;
  static ev_timer timer;
  struct ev_loop *outer = ev_loop_new (EVBACKEND_SELECT);
  probe *p = watch_socket (EV_READ);

  settle (EV_A);
  ev_embed_init (&embed, 0, loop);
  ev_embed_start (outer, &embed);
  put (p->peer);

  for (int i = 1; i <= 10; ++i)
    while (p->count < i)
      ev_run (outer, EVRUN_ONCE);

  /* it sleeps, and hears of everything, before the outer one waits for it, and between its waits */
  ev_embed_stop (outer, &embed);
  watch_kind (WORLD_DGRAM, EV_READ); /* on epoll: the loop looks there, too, and hears the bell */

  for (p->count = 0; !p->count; )
    ev_run (EV_A_ EVRUN_ONCE);

  ev_embed_start (outer, &embed);

  for (p->count = 0; !p->count; )
    ev_run (outer, EVRUN_ONCE);

  ev_timer_init (&timer, sleep_inside, 0., 0.);

  for (ev_timer_start (EV_A_ &timer); !timer.data; )
    ev_run (outer, EVRUN_ONCE);

  for (p->count = 0; !p->count; )
    ev_run (outer, EVRUN_ONCE);

  ev_embed_stop (outer, &embed);
  ev_loop_destroy (outer);
}
