/*
 * Loops: nested, embedded, several at a time, repaired and destroyed.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include "fixture.h"
#include "suites.h"

static void
talk (EV_P_ probe *p, int fd, int rounds)
{
  int i;

  for (p->count = 0, i = 1; i <= rounds; ++i)
    {
      put (fd);
      run_until (p->count == i);
    }

  settle (EV_A);
  ck_assert_int_eq (p->count, rounds);
}

/*****************************************************************************/
/* running */

static probe inner_probe;
static int inner_peer, depth;

static void
nested_cb (EV_P_ ev_io *w, int revents)
{
  probe_cb (EV_A_ w, revents);
  get (w->fd);
  depth = ev_depth (EV_A);
  talk (EV_A_ &inner_probe, inner_peer, 5);
}

START_TEST (nested_run_serves_the_others)
{
  int outer [2], inner [2], i;
  probe p;

  sockets (outer);
  sockets (inner);
  inner_peer = inner [1];
  probe_init (&p, outer [0], EV_READ);
  ev_set_cb (&p.io, nested_cb);
  ev_io_start (EV_A_ &p.io);
  probe_start (EV_A_ &inner_probe, inner [0], EV_READ);
  inner_probe.eat = 1;

  for (i = 1; i <= 5; ++i)
    {
      put (outer [1]);
      run_until (p.count == i);
      ck_assert_int_eq (depth, 1);
      ck_assert_int_eq (inner_probe.count, 5);
    }

  talk (EV_A_ &inner_probe, inner_peer, 5);
  probe_stop (EV_A_ &p);
  probe_stop (EV_A_ &inner_probe);
  close_both (outer);
  close_both (inner);
}
END_TEST

static void
break_cb (EV_P_ ev_io *w, int revents)
{
  probe_cb (EV_A_ w, revents);
  get (w->fd);
  ev_break (EV_A_ EVBREAK_ALL);
}

START_TEST (break_ends_the_run_and_the_next_one_goes_on)
{
  int fd [2], i;
  probe p;

  sockets (fd);
  probe_init (&p, fd [0], EV_READ);
  ev_set_cb (&p.io, break_cb);
  ev_io_start (EV_A_ &p.io);

  for (i = 1; i <= 5; ++i)
    {
      put (fd [1]);
      ev_run (EV_A_ 0);
      ck_assert_int_eq (p.count, i);
    }

  probe_stop (EV_A_ &p);
  close_both (fd);
}
END_TEST

static void
stop_cb (EV_P_ ev_io *w, int revents)
{
  probe_cb (EV_A_ w, revents);
  ev_io_stop (EV_A_ w);
}

START_TEST (run_ends_with_the_last_watcher)
{
  int fd [2];
  probe p;

  sockets (fd);
  probe_init (&p, fd [0], EV_READ);
  ev_set_cb (&p.io, stop_cb);
  ev_io_start (EV_A_ &p.io);
  put (fd [1]);
  ck_assert_int_eq (ev_run (EV_A_ 0), 0);
  ck_assert_int_eq (p.count, 1);
  close_both (fd);
}
END_TEST

START_TEST (unreferenced_watcher_is_served_but_does_not_keep_the_loop)
{
  int fd [2];
  probe p;

  sockets (fd);
  probe_start (EV_A_ &p, fd [0], EV_READ);
  ev_unref (EV_A);
  ck_assert_int_eq (ev_run (EV_A_ 0), 0);
  talk (EV_A_ (p.eat = 1, &p), fd [1], 3);
  ev_ref (EV_A);
  probe_stop (EV_A_ &p);
  close_both (fd);
}
END_TEST

static int prepared, checked, check_place, prepare_place;

static void
prepare_cb (EV_P_ ev_prepare *w, int revents)
{
  (void)loop, (void)w, (void)revents;
  ++prepared;
  prepare_place = ++places;
}

static void
check_cb (EV_P_ ev_check *w, int revents)
{
  (void)loop, (void)w, (void)revents;
  ++checked;
  check_place = ++places;
}

START_TEST (prepare_and_check_enclose_the_wait)
{
  int fd [2], i;
  ev_prepare prepare;
  ev_check check;
  probe p;

  sockets (fd);
  ev_prepare_init (&prepare, prepare_cb);
  ev_check_init (&check, check_cb);
  ev_set_priority (&check, EV_MAXPRI);
  ev_prepare_start (EV_A_ &prepare);
  ev_check_start (EV_A_ &check);
  probe_start (EV_A_ &p, fd [0], EV_READ);
  prepared = checked = 0;

  for (i = 1; i <= 5; ++i)
    {
      put (fd [1]);
      ev_run (EV_A_ EVRUN_ONCE);
      ck_assert_int_eq (p.count, i);
      ck_assert_int_eq (prepared, i);
      ck_assert_int_eq (checked, i);
      ck_assert_int_lt (prepare_place, check_place);
      ck_assert_int_lt (check_place, p.place);
    }

  ev_prepare_stop (EV_A_ &prepare);
  ev_check_stop (EV_A_ &check);
  probe_stop (EV_A_ &p);
  close_both (fd);
}
END_TEST

/*****************************************************************************/
/* ev_once */

static int once_events, once_calls;

static void
once_cb (int revents, void *arg)
{
  ck_assert_ptr_eq (arg, &once_events);
  once_events = revents;
  ++once_calls;
}

START_TEST (once_is_called_for_the_event_or_the_timeout)
{
  int fd [2];

  sockets (fd);
  once_calls = 0;
  ev_once (EV_A_ fd [0], EV_READ, 0.01, once_cb, &once_events);
  run_until (once_calls == 1);
  ck_assert_int_eq (once_events, EV_TIMER);

  ev_once (EV_A_ fd [0], EV_READ, -1., once_cb, &once_events);
  settle (EV_A);
  ck_assert_int_eq (once_calls, 1);
  put (fd [1]);
  run_until (once_calls == 2);
  ck_assert_int_eq (once_events, EV_READ);

  ev_once (EV_A_ fd [0], EV_READ | EV_WRITE, 60., once_cb, &once_events);
  run_until (once_calls == 3);
  ck_assert_int_eq (once_events, EV_READ | EV_WRITE);
  settle (EV_A);
  ck_assert_int_eq (once_calls, 3);
  close_both (fd);
}
END_TEST

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

START_TEST (events_of_terminals_are_pending_before_they_are_invoked)
{
  int slave [2], master [2], i;
  probe p [2];

  for (i = 0; i < 2; ++i)
    {
      master [i] = pty (slave + i);
      probe_start (EV_A_ p + i, slave [i], EV_READ);
    }

  settle (EV_A);

  for (i = 0; i < 2; ++i)
    {
      put (master [i]);
      ck_assert (wait_for (slave [i], POLLIN));
    }

  ev_run (EV_A_ EVRUN_ONCE);
  most_pending = 0;
  ev_set_invoke_pending_cb (EV_A_ note_pending);
  ev_run (EV_A_ EVRUN_ONCE);
  ev_set_invoke_pending_cb (EV_A_ ev_invoke_pending);
  ck_assert_uint_eq (most_pending, 2);

  for (i = 0; i < 2; ++i)
    {
      probe_stop (EV_A_ p + i);
      close (slave [i]);
      close (master [i]);
    }
}
END_TEST

/* an idle watcher waits for events of its own priority and above, and for no others */
START_TEST (idle_watcher_is_not_starved_by_a_terminal_of_lower_priority)
{
  int slave, master = pty (&slave), i, idles = 0;
  ev_idle idle;
  probe p;

  probe_start (EV_A_ &p, slave, EV_READ);
  settle (EV_A);
  put (master);
  run_until (p.count);
  ev_idle_init (&idle, (void (*) (EV_P_ ev_idle *, int))count_cb);
  ev_set_priority (&idle, 1);
  idle.data = &idles;
  ev_idle_start (EV_A_ &idle);

  for (i = 0; i < 20; ++i)
    ev_run (EV_A_ EVRUN_ONCE);

  ck_assert_int_eq (idles, 20);
  ck_assert_int_ge (p.count, 20);
  ev_idle_stop (EV_A_ &idle);
  probe_stop (EV_A_ &p);
  close (slave);
  close (master);
}
END_TEST

/*****************************************************************************/
/* embedding */

static int sweeps;

static void
sweep_cb (EV_P_ ev_embed *w, int revents)
{
  (void)revents;
  ++sweeps;
  ev_embed_sweep (EV_A_ w);
}

static void
expect_embedded_loop_to_be_served (void (*cb) (EV_P_ ev_embed *, int))
{
  struct ev_loop *inner = ev_loop_new (EVFLAG_NOENV | EVBACKEND_EPOLL);
  ev_embed embed;
  int fd [2], i;
  probe p;

  sockets (fd);
  probe_start (inner, &p, fd [0], EV_READ);
  p.eat = 1;
  ev_embed_init (&embed, cb, inner);
  ev_embed_start (EV_A_ &embed);
  settle (EV_A);

  for (i = 1; i <= 20; ++i)
    {
      put (fd [1]);
      run_until (p.count == i);
    }

  settle (EV_A);
  ck_assert_int_eq (p.count, 20);
  ev_embed_stop (EV_A_ &embed);
  probe_stop (inner, &p);
  ev_loop_destroy (inner);
  close_both (fd);
}

START_TEST (embedded_loop_is_served)
{
  expect_embedded_loop_to_be_served (0);
}
END_TEST

START_TEST (embedded_loop_is_swept_by_the_program)
{
  sweeps = 0;
  expect_embedded_loop_to_be_served (sweep_cb);
  ck_assert_int_ge (sweeps, 20);
}
END_TEST

/* its events do not all make one descriptor readable */
START_TEST (linuxaio_does_not_claim_to_be_embeddable)
{
  ck_assert (!(ev_embeddable_backends () & EVBACKEND_LINUXAIO));
}
END_TEST

START_TEST (two_loops_watch_the_same_descriptor)
{
  struct ev_loop *other = another_loop ();
  int fd [2], i;
  probe a, b;

  sockets (fd);
  probe_start (EV_A_ &a, fd [0], EV_READ);
  probe_start (other, &b, fd [0], EV_READ);

  for (i = 1; i <= 10; ++i)
    {
      ev_run (EV_A_ EVRUN_NOWAIT);
      ev_run (other, EVRUN_NOWAIT);
      ck_assert_int_eq (a.count + b.count, 0);
      put (fd [1]);
      run_until (a.count);
      ev_run (other, EVRUN_ONCE);
      ck_assert_int_eq (b.count, 1);
      get (fd [0]);
      a.count = b.count = 0;
    }

  /* one loses interest, the other is served on */
  probe_stop (EV_A_ &a);
  settle (EV_A);
  put (fd [1]);
  ev_run (other, EVRUN_ONCE);
  ck_assert_int_eq (b.count, 1);
  probe_stop (other, &b);
  ev_loop_destroy (other);
  close_both (fd);
}
END_TEST

/*****************************************************************************/
/* repair */

START_TEST (ev_loop_fork_without_a_fork_does_no_harm)
{
  unsigned long before [8], after [8];
  int slave, master = pty (&slave), fd [2], i, count;
  probe p, q;

  sockets (fd);
  probe_start (EV_A_ &p, fd [0], EV_READ);
  probe_start (EV_A_ &q, slave, EV_READ);
  p.eat = q.eat = 1;
  settle (EV_A);
  count = contexts (before, 8);

  for (i = 0; i < 5; ++i)
    {
      /* with and without an event on its way */
      if (i & 1)
        put (fd [1]);

      p.count = 0;
      ev_loop_fork (EV_A);
      settle (EV_A);
      ck_assert_int_eq (p.count, i & 1);
      talk (EV_A_ &p, fd [1], 10);
      talk (EV_A_ &q, master, 10);
    }

#ifndef PRISTINE
  /* and it costs no ring */
  ck_assert_int_eq (contexts (after, 8), count);
  ck_assert_mem_eq (before, after, count * sizeof (before [0]));
#endif
  (void)after, (void)count;
  probe_stop (EV_A_ &p);
  probe_stop (EV_A_ &q);
  close_both (fd);
  close (slave);
  close (master);
}
END_TEST

/*
 * A terminal is closed, but lives on under another number, and its old number
 * gets another one: epoll reports the old file under the number of the new,
 * and libev makes a new epoll. That is no reason to give up the ring.
 */
START_TEST (stray_event_of_epoll_costs_no_ring)
{
  unsigned long before [8], after [8];
  int slave [2], master [2], copy, number, i, count;
  probe p;

  for (i = 0; i < 2; ++i)
    master [i] = pty (slave + i);

  number = slave [0];
  copy   = fcntl (number, F_DUPFD_CLOEXEC, 0);
  probe_start (EV_A_ &p, number, EV_READ);
  p.eat = 1;
  settle (EV_A);
  count = contexts (before, 8);

  ev_io_stop (EV_A_ &p.io);
  onto (slave [1], number);
  ev_io_set (&p.io, number, EV_READ);
  ev_io_start (EV_A_ &p.io);
  settle (EV_A);
  put (master [0]);
  ck_assert (wait_for (copy, POLLIN));
  settle (EV_A);
  ck_assert_int_eq (p.count, 0);
  talk (EV_A_ &p, master [1], 10);

  ck_assert_int_eq (contexts (after, 8), count);
  ck_assert_mem_eq (before, after, count * sizeof (before [0]));
  probe_stop (EV_A_ &p);
  close (number);
  close (copy);
  close (master [0]);
  close (master [1]);
}
END_TEST

/*****************************************************************************/
/* birth and death */

START_TEST (loops_come_and_go)
{
  struct ev_loop *other;
  int round, i, fds = open_fds (), fd [40][2];
  probe p [40];

  for (round = 0; round < 5; ++round)
    {
      other = another_loop ();

      for (i = 0; i < 40; ++i)
        {
          sockets (fd [i]);
          probe_start (other, p + i, fd [i][0], EV_READ);
          put (fd [i][1]);
        }

      while (p [round].count < 3)
        ev_run (other, EVRUN_ONCE);

      ev_loop_destroy (other);

      for (i = 0; i < 40; ++i)
        close_both (fd [i]);

      ck_assert_int_eq (open_fds (), fds);
    }
}
END_TEST

START_TEST (destroyed_loop_gives_all_its_memory_back)
{
  struct ev_loop *other;
  int before = allocated_blocks (), null = open ("/dev/null", O_RDWR | O_CLOEXEC);
  int slave, master = pty (&slave), fd [2];
  ev_async async;
  probe p [3], w;

  other = another_loop ();
  sockets (fd);
  probe_start (other, p, fd [0], EV_READ | EV_WRITE);
  probe_start (other, p + 1, null, EV_READ);
  probe_start (other, p + 2, slave, EV_READ);
  ev_async_init (&async, (void (*) (EV_P_ ev_async *, int))count_cb);
  ev_async_start (other, &async);

  while (p [1].count < 3)
    ev_run (other, EVRUN_ONCE);

  /* beside an armed read, while no ring is in use as a rule */
  probe_start (other, &w, slave, EV_WRITE);

  while (!w.count)
    ev_run (other, EVRUN_ONCE);

  ev_loop_destroy (other);
  ck_assert_int_eq (allocated_blocks (), before);
  close (null);
  close (slave);
  close (master);
  close_both (fd);
}
END_TEST

START_TEST (descriptors_of_the_loop_are_closed_on_exec)
{
  char before [1024];
  int fd, count = 0;
  ev_async async;
  ev_signal usr1;

  for (fd = 0; fd < 1024; ++fd)
    before [fd] = fcntl (fd, F_GETFD) >= 0;

  loop_with_flags (EVFLAG_SIGNALFD);
  ev_async_init (&async, (void (*) (EV_P_ ev_async *, int))count_cb);
  ev_signal_init (&usr1, (void (*) (EV_P_ ev_signal *, int))count_cb, SIGUSR1);
  async.data = usr1.data = &count;
  ev_async_start (EV_A_ &async);
  ev_signal_start (EV_A_ &usr1);
  settle (EV_A);

  for (fd = 0; fd < 1024; ++fd)
    if (!before [fd] && fcntl (fd, F_GETFD) >= 0)
      ck_assert_int_eq (fcntl (fd, F_GETFD), FD_CLOEXEC);

  ev_signal_stop (EV_A_ &usr1);
  ev_async_stop (EV_A_ &async);
}
END_TEST

START_TEST (environment_selects_the_backend)
{
  char flags [20];
  struct ev_loop *other;

  ck_assert (ev_supported_backends () & backend_flag ());
  snprintf (flags, sizeof (flags), "%u", backend_flag ());
  ck_assert (!setenv ("LIBEV_FLAGS", flags, 1));
  other = ev_loop_new (0);
  ck_assert (!unsetenv ("LIBEV_FLAGS"));
  ck_assert_ptr_nonnull (other);
  ck_assert_uint_eq (ev_backend (other), backend_flag ());
  ev_loop_destroy (other);
}
END_TEST

START_TEST (default_loop_is_served_and_comes_back)
{
  int fd [2], i;
  probe p;

  sockets (fd);

  for (i = 0; i < 2; ++i)
    {
      default_loop_with_flags (0);
      ck_assert (ev_is_default_loop (EV_A));
      probe_start (EV_A_ &p, fd [0], EV_READ);
      p.eat = 1;
      talk (EV_A_ &p, fd [1], 10);
      probe_stop (EV_A_ &p);
    }

  close_both (fd);
}
END_TEST

static void
add (TCase *tc, unsigned on)
{
  tcase_add_test (tc, nested_run_serves_the_others);
  tcase_add_test (tc, break_ends_the_run_and_the_next_one_goes_on);
  tcase_add_test (tc, run_ends_with_the_last_watcher);
  tcase_add_test (tc, unreferenced_watcher_is_served_but_does_not_keep_the_loop);
  tcase_add_test (tc, prepare_and_check_enclose_the_wait);
  tcase_add_test (tc, once_is_called_for_the_event_or_the_timeout);
  tcase_add_test (tc, events_of_terminals_are_pending_before_they_are_invoked);
  tcase_add_test (tc, idle_watcher_is_not_starved_by_a_terminal_of_lower_priority);
  tcase_add_test (tc, embedded_loop_is_served);
  tcase_add_test (tc, embedded_loop_is_swept_by_the_program);
  tcase_add_test (tc, two_loops_watch_the_same_descriptor);
  tcase_add_test (tc, ev_loop_fork_without_a_fork_does_no_harm);
  tcase_add_test (tc, loops_come_and_go);
  tcase_add_test (tc, destroyed_loop_gives_all_its_memory_back);
  tcase_add_test (tc, descriptors_of_the_loop_are_closed_on_exec);
  tcase_add_test (tc, environment_selects_the_backend);
  tcase_add_test (tc, default_loop_is_served_and_comes_back);

  if (on & LINUXAIO)
    {
      tcase_add_test (tc, linuxaio_does_not_claim_to_be_embeddable);
      tcase_add_test (tc, stray_event_of_epoll_costs_no_ring);
    }
}

Suite *
loops_suite (void)
{
  return suite_over_backends ("loops", add);
}
