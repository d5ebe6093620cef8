/*
 * Threads: loops side by side, and one loop whose watchers another thread
 * starts and stops while it sleeps.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include <pthread.h>

#include "fixture.h"
#include "suites.h"

/*****************************************************************************/
/* a loop for each thread */

#define PAIRS  64
#define ROUNDS 200

typedef struct side
{
  struct ev_loop *loop;
  ev_io io [PAIRS];
  int rounds [PAIRS];
  int done;
} side;

static int table [PAIRS][2];

static void
return_cb (EV_P_ ev_io *w, int revents)
{
  side *s = (side *)w->data;
  int got = get (w->fd);

  (void)loop;
  must (revents == EV_READ);
  must (got == 1);

  if (++s->rounds [w - s->io] == ROUNDS)
    ++s->done;

  put (w->fd);
}

static void
side_start (side *s, struct ev_loop *its_loop, int end)
{
  int i;

  memset (s, 0, sizeof (*s));
  s->loop = its_loop;

  for (i = 0; i < PAIRS; ++i)
    {
      ev_io_init (s->io + i, return_cb, table [i][end], EV_READ);
      s->io [i].data = s;
      ev_io_start (s->loop, s->io + i);
    }
}

static void *
side_play (void *arg)
{
  side *s = (side *)arg;
  struct ev_loop *loop = s->loop;
  int i;

  run_until (s->done == PAIRS);

  for (i = 0; i < PAIRS; ++i)
    ev_io_stop (EV_A_ s->io + i);

  return 0;
}

START_TEST (two_loops_in_two_threads_play_table_tennis)
{
  struct ev_loop *other = another_loop ();
  static side here, there;
  pthread_t thread;
  int i;

  for (i = 0; i < PAIRS; ++i)
    sockets (table [i]);

  side_start (&here, loop, 0);
  side_start (&there, other, 1);

  for (i = 0; i < PAIRS; ++i)
    put (table [i][0]);

  ck_assert (!pthread_create (&thread, 0, side_play, &there));
  side_play (&here);
  ck_assert (!pthread_join (thread, 0));
  ev_loop_destroy (other);

  for (i = 0; i < PAIRS; ++i)
    close_both (table [i]);
}
END_TEST

/* the loop is made in one thread, run and destroyed in others */
static void *
run_and_destroy (void *arg)
{
  struct ev_loop *loop = (struct ev_loop *)arg;
  int fd [2], i;
  probe p;

  sockets (fd);
  probe_start (EV_A_ &p, fd [0], EV_READ);
  p.eat = 1;

  for (i = 1; i <= 100; ++i)
    {
      put (fd [1]);
      run_until (p.count == i);
    }

  ev_loop_destroy (EV_A);
  close_both (fd);

  return 0;
}

START_TEST (loop_is_run_by_another_thread_than_made_it)
{
  struct ev_loop *its = loop;
  pthread_t thread;

  loop = another_loop ();
  ck_assert (!pthread_create (&thread, 0, run_and_destroy, its));
  ck_assert (!pthread_join (thread, 0));
}
END_TEST

/*****************************************************************************/
/* ev_async */

static ev_async async;
static int calls;

static void *
send_many (void *arg)
{
  int i;

  (void)arg;

  for (i = 1; i <= 500; ++i)
    {
      ev_async_send (EV_A_ &async);

      while (__atomic_load_n (&calls, __ATOMIC_ACQUIRE) < i)
        sched_yield ();
    }

  return 0;
}

static void
async_cb (EV_P_ ev_async *w, int revents)
{
  (void)loop, (void)w, (void)revents;
  __atomic_add_fetch (&calls, 1, __ATOMIC_RELEASE);
}

START_TEST (async_from_another_thread_ends_every_sleep)
{
  pthread_t thread;

  calls = 0;
  ev_async_init (&async, async_cb);
  ev_async_start (EV_A_ &async);
  ck_assert (!pthread_create (&thread, 0, send_many, 0));
  run_until (calls == 500);
  ck_assert (!pthread_join (thread, 0));
  ev_async_stop (EV_A_ &async);
}
END_TEST

/*****************************************************************************/
/* one loop, watchers of another thread */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int asyncs_seen;
static int told; /* an eventfd: the callback has been called */

static void
release (EV_P) EV_NOEXCEPT
{
  (void)loop;
  pthread_mutex_unlock (&mutex);
}

static void
acquire (EV_P) EV_NOEXCEPT
{
  (void)loop;
  pthread_mutex_lock (&mutex);
}

static void
tell_cb (EV_P_ ev_io *w, int revents)
{
  uint64_t one = 1;

  (void)loop;
  must (revents == EV_READ);
  must (get (w->fd) == 1);
  must (write (told, &one, sizeof (one)) == sizeof (one));
}

static void
break_async_cb (EV_P_ ev_async *w, int revents)
{
  (void)revents;
  __atomic_add_fetch (&asyncs_seen, 1, __ATOMIC_RELEASE);

  if (w->data)
    ev_break (EV_A_ EVBREAK_ALL);
}

static void *
run_locked (void *arg)
{
  (void)arg;
  acquire (EV_A);
  ev_run (EV_A_ 0);
  release (EV_A);

  return 0;
}

/* starts or stops a watcher of a loop that may be asleep, and wakes it up for that */
static void
from_outside (void (*what) (EV_P_ ev_io *) EV_NOEXCEPT, ev_io *io)
{
  acquire (EV_A);
  what (EV_A_ io);
  ev_async_send (EV_A_ &async);
  release (EV_A);
}

/* select and poll may be about to sleep with a set that still has the descriptor, and must not find it closed */
static void
wait_for_a_new_set (void)
{
  int before;

  acquire (EV_A);
  before = asyncs_seen;
  ev_async_send (EV_A_ &async);
  release (EV_A);

  while (__atomic_load_n (&asyncs_seen, __ATOMIC_ACQUIRE) == before)
    sched_yield ();
}

static void
serve_from_outside (int round)
{
  int fd [2];
  ev_io io;

  sockets (fd);
  ev_io_init (&io, tell_cb, fd [0], EV_READ);
  from_outside (ev_io_start, &io);
  put (fd [1]);
  ck_assert (wait_for (told, POLLIN));
  get (told);

  /* in every other round while it is armed again */
  if (round & 1)
    from_outside (ev_io_start, &io);

  from_outside (ev_io_stop, &io);

  if (backend & (SELECT | POLL))
    wait_for_a_new_set ();

  close (fd [0]);
  ck_assert_msg (wait_for (fd [1], POLLIN) != 0, "the socket was not released");
  ck_assert_int_eq (get (fd [1]), -1);
  close (fd [1]);
}

START_TEST (watchers_are_started_and_stopped_while_the_loop_sleeps)
{
  pthread_t thread;
  int round;

  told = eventfd (0, EFD_NONBLOCK | EFD_CLOEXEC);
  ev_async_init (&async, break_async_cb);
  async.data = 0;
  ev_async_start (EV_A_ &async);
  ev_set_loop_release_cb (EV_A_ release, acquire);
  ck_assert (!pthread_create (&thread, 0, run_locked, 0));

  for (round = 0; round < 200; ++round)
    serve_from_outside (round);

  acquire (EV_A);
  async.data = &async;
  ev_async_send (EV_A_ &async);
  release (EV_A);
  ck_assert (!pthread_join (thread, 0));
  ev_set_loop_release_cb (EV_A_ 0, 0);
  ev_async_stop (EV_A_ &async);
  close (told);
}
END_TEST

static void
add (TCase *tc, unsigned on)
{
  (void)on;
  tcase_add_test (tc, two_loops_in_two_threads_play_table_tennis);
  tcase_add_test (tc, loop_is_run_by_another_thread_than_made_it);
  tcase_add_test (tc, async_from_another_thread_ends_every_sleep);
  tcase_add_test (tc, watchers_are_started_and_stopped_while_the_loop_sleeps);
}

Suite *
threads_suite (void)
{
  return suite_over_backends ("threads", add);
}
