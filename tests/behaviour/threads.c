/*
 * Threads: one loop whose watchers other threads start and stop while it sleeps,
 * and threads that are cancelled or have files of their own.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */

#include "fixture.h"

static void
join (pthread_t thread)
{
  progress ();
  must (!pthread_join (thread, 0));
}

/* begins with the loop of this one */
static pthread_t
thread_of (void *(*body) (void *))
{
  pthread_t thread;

  must (!pthread_create (&thread, 0, body, loop));

  return thread;
}

static void *
run_loop (void *arg)
{
  ev_run ((struct ev_loop *)arg, 0);

  return 0;
}

/* one loop, watchers of other threads: the locking scheme of the manual */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static ev_async async;

static void
async_cb (EV_P_ ev_async *w, int revents)
{
  if (w->data)
    ev_break (EV_A_ EVBREAK_ALL);
}

static void
release (EV_P) EV_NOEXCEPT
{
  pthread_mutex_unlock (&mutex);
}

static void
acquire (EV_P) EV_NOEXCEPT
{
  pthread_mutex_lock (&mutex);
}

static void *
run_locked (void *arg)
{
  loop = (struct ev_loop *)arg;
  acquire (EV_A);
  run_loop (EV_A);
  release (EV_A);

  return 0;
}

/* starts a watcher of a loop that may be asleep, and wakes it up for that */
static void
start_from_outside (ev_io *io)
{
  acquire (EV_A);
  ev_io_start (EV_A_ io);
  ev_async_send (EV_A_ &async);
  release (EV_A);
}

static void
tell_cb (EV_P_ ev_io *w, int revents)
{
  if (revents == EV_WRITE)
    ev_io_stop (EV_A_ w);
  else
    must_be (get (w->fd), ==, 1);

  put (*(int *)w->data);
}

/* reads, and writes in every other round, and is stopped and closed: under the lock, or after it */
static void
serve_from_outside (int round)
{
  int fd [2], tell [2];
  ev_io io, out;

  sockets (fd);
  sockets (tell);
  ev_io_init (&io, tell_cb, fd [0], EV_READ);
  ev_io_init (&out, tell_cb, fd [0], EV_WRITE);
  io.data = out.data = tell;
  start_from_outside (&io);
  put (fd [1]);
  must (wait_for (tell [1], POLLIN));
  get (tell [1]);

  if (round & 1)
    {
      start_from_outside (&out);
      must (wait_for (tell [1], POLLIN));
    }

  acquire (EV_A);
  ev_io_stop (EV_A_ &io);
  ev_io_stop (EV_A_ &out);

  if (round & 2)
    close (fd [0]);

  /* for a stop the loop need not be woken: nothing new is to be watched */
  if (round & 4)
    ev_async_send (EV_A_ &async);

  release (EV_A);

  if (!(round & 2))
    close (fd [0]);

  must (wait_for (fd [1], POLLIN));
  must_be (get (fd [1]), ==, -1);
  close (fd [1]);
  close_both (tell);
}

static void *
serve_rounds (void *arg)
{
  loop = (struct ev_loop *)arg;

  for (int round = 0; round < 100; ++round)
    serve_from_outside (round);

  return 0;
}

/* select and poll may be about to sleep with a set that still has the descriptor, and must not find it closed */
TEST (threads_start_and_stop_watchers_while_the_loop_sleeps, EPOLL | LINUXAIO)
{
  pthread_t thread, others [3];

  ev_async_init (&async, async_cb);
  ev_async_start (EV_A_ &async);
  ev_set_loop_release_cb (EV_A_ release, acquire);
  thread = thread_of (run_locked);

  for (int i = 0; i < 3; ++i)
    others [i] = thread_of (serve_rounds);

  serve_rounds (EV_A);

  for (int i = 0; i < 3; ++i)
    join (others [i]);

  acquire (EV_A);
  async.data = &async;
  ev_async_send (EV_A_ &async);
  release (EV_A);
  join (thread);
  ev_set_loop_release_cb (EV_A_ 0, 0);
}

/* the wait of each backend is a cancellation point of the C library; with a timer, it comes back to it */
TEST (thread_that_sleeps_in_a_loop_can_be_cancelled, SANITIZED ? 0 : EPOLL | LINUXAIO)
{
  struct ev_loop *own = loop;
  int with_timer, ticks;

  for (with_timer = 0; with_timer < 2; ++with_timer)
    {
      pthread_t thread;
      void *res;

      loop = another_loop ();

      reader ();

      if (with_timer)
        counted (timer, &ticks, 0.005, 0.005);

      thread = thread_of (run_loop);
      usleep (20000);
      must (!pthread_cancel (thread));
      must (!pthread_join (thread, &res)); /* the runner finds out if it never ends */
      must (res == PTHREAD_CANCELED);
      ev_loop_destroy (EV_A);
    }

  loop = own;
}

/* what is at a number is not what is there for the first thread */
static int number;

static void *
serve_own_files (void *unused)
{
  probe *p;

  if (unshare (CLONE_FILES))
    skip ("no descriptors of its own for a thread here (%s)", strerror (errno));

  loop = another_loop ();
  p    = reader ();
  stop (p);
  onto (p->io.fd, number);
  restart (p, number, EV_READ);
  talk (p, 50);
  ev_loop_destroy (EV_A);

  return unused;
}

TEST (thread_with_descriptors_of_its_own_is_served, ALL)
{
  number = eventfd (0, EFD_NONBLOCK | EFD_CLOEXEC);
  join (thread_of (serve_own_files));
  close (number);
}
