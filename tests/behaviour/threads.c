/*
 * Threads: loops side by side, one loop whose watchers other threads start and
 * stop while it sleeps, and threads that are cancelled or have files of their own.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include <pthread.h>
#include <sched.h>
#include <sys/signalfd.h>

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

/*****************************************************************************/
/* a loop for each thread */

#define PAIRS 64
#define HITS  (PAIRS * 200)

static int echoed, heard, vain;

/* the kernel may tell of a byte a second time if the thread that has sent it is slow to wake up who waits for it */
static int
caught (ev_io *w, int revents)
{
  int res = get (w->fd);

  must_be (revents, ==, EV_READ);
  __atomic_add_fetch (&vain, !res, __ATOMIC_RELAXED);

  return res;
}

static void
echo_cb (EV_P_ ev_io *w, int revents)
{
  if (!caught (w, revents))
    return;

  put (w->fd);

  if (++echoed == HITS)
    ev_break (EV_A_ EVBREAK_ALL);
}

static void
return_cb (EV_P_ ev_io *w, int revents)
{
  (void)loop;

  if (caught (w, revents) && ++heard <= HITS - PAIRS)
    put (w->fd);
}

/* the other loop is made in one thread, run in another, and destroyed in the first */
TEST (two_loops_in_two_threads_play_table_tennis, ALL)
{
  struct ev_loop *own = loop, *other = another_loop ();
  static ev_io io [PAIRS];
  pthread_t thread;
  int i;

  for (i = 0; i < PAIRS; ++i)
    {
      probe *p = watch_socket (EV_READ);

      ev_set_cb (&p->io, return_cb);
      ev_io_init (io + i, echo_cb, p->peer, EV_READ);
      ev_io_start (other, io + i);
      put (p->io.fd);
    }

  loop   = other;
  thread = thread_of (run_loop);
  loop   = own;
  run_until (heard, ==, HITS);
  join (thread);
  must_be (vain, <=, backend & LINUXAIO ? HITS / 100 : 0);
  ev_loop_destroy (other);
}

/*****************************************************************************/
/* ev_async */

static ev_async async;
static int asyncs;

static void
async_cb (EV_P_ ev_async *w, int revents)
{
  (void)revents;
  __atomic_add_fetch (&asyncs, 1, __ATOMIC_RELEASE);

  if (w->data)
    ev_break (EV_A_ EVBREAK_ALL);
}

static void *
send_many (void *arg)
{
  int i;

  loop = (struct ev_loop *)arg;

  for (i = 1; i <= 500; ++i)
    {
      ev_async_send (EV_A_ &async);

      while (__atomic_load_n (&asyncs, __ATOMIC_ACQUIRE) < i)
        sched_yield ();
    }

  return arg;
}

TEST (async_from_another_thread_ends_every_sleep, ALL)
{
  pthread_t thread;

  ev_async_init (&async, async_cb);
  ev_async_start (EV_A_ &async);
  thread = thread_of (send_many);
  run_until (asyncs, ==, 500);
  join (thread);
}

/*****************************************************************************/
/* one loop, watchers of other threads: the locking scheme of the manual */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

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

static void *
run_locked (void *arg)
{
  loop = (struct ev_loop *)arg;
  acquire (EV_A);
  run_loop (EV_A);
  release (EV_A);

  return 0;
}

static pthread_t
run_in_thread (void)
{
  ev_async_init (&async, async_cb);
  ev_async_start (EV_A_ &async);
  ev_set_loop_release_cb (EV_A_ release, acquire);

  return thread_of (run_locked);
}

static void
end_thread (pthread_t thread)
{
  acquire (EV_A);
  async.data = &async;
  ev_async_send (EV_A_ &async);
  release (EV_A);
  join (thread);
  ev_set_loop_release_cb (EV_A_ 0, 0);
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
  int early = round & 2 && !(backend & (SELECT | POLL)), fd [2], tell [2], before;
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
  before = asyncs;

  if (early)
    close (fd [0]);

  /* for a stop the loop need not be woken: nothing new is to be watched */
  if (round & 4 || backend & (SELECT | POLL))
    ev_async_send (EV_A_ &async);

  release (EV_A);

  /* select and poll may be about to sleep with a set that still has the descriptor, and must not find it closed */
  while (backend & (SELECT | POLL) && __atomic_load_n (&asyncs, __ATOMIC_ACQUIRE) == before)
    sched_yield ();

  if (!early)
    close (fd [0]);

  must (wait_for (fd [1], POLLIN));
  must_be (get (fd [1]), ==, -1);
  close (fd [1]);
  close_both (tell);
}

static void *
serve_rounds (void *arg)
{
  int round;

  loop = (struct ev_loop *)arg;

  for (round = 0; round < 100; ++round)
    serve_from_outside (round);

  return 0;
}

TEST (watchers_are_started_and_stopped_while_the_loop_sleeps, ALL)
{
  pthread_t thread = run_in_thread (), others [3];
  int i;

  for (i = 0; i < 3; ++i)
    others [i] = thread_of (serve_rounds);

  serve_rounds (EV_A);

  for (i = 0; i < 3; ++i)
    join (others [i]);

  end_thread (thread);
}

/* the number of a descriptor that was stopped and closed while the loop sleeps is the program's: it is left alone */
TEST (number_of_a_descriptor_that_another_thread_closed_is_left_alone, EPOLL | LINUXAIO)
{
  pthread_t thread = run_in_thread ();
  int round, fd [2], other [2];
  ev_io io;

  for (round = 0; round < 5; ++round)
    {
      sockets (fd);
      ev_io_init (&io, tell_cb, fd [0], EV_READ);
      start_from_outside (&io);
      pause_for (2);
      acquire (EV_A);
      ev_io_stop (EV_A_ &io);
      sockets (other);
      onto (other [0], fd [0]);
      release (EV_A);
      must (wait_for (fd [1], POLLIN));
      must_be (get (fd [1]), ==, -1);
      pause_for (10);
      close (fd [0]);
      must (wait_for (other [1], POLLIN));
      close (fd [1]);
      close (other [1]);
    }

  end_thread (thread);
}

/*****************************************************************************/
/* threads that are not like others */

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

      if (backend == RING)
        force_ring (EV_A);

      reader ();

      if (with_timer)
        counted (timer, &ticks, 0.005, 0.005);

      thread = thread_of (run_loop);
      pause_for (20);
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
  sigset_t usr1;
  probe *p;
  int i;

  if (unshare (CLONE_FILES))
    skip ("no descriptors of its own for a thread here (%s)", strerror (errno));

  sigemptyset (&usr1);
  sigaddset (&usr1, SIGUSR1);
  must (!sigprocmask (SIG_BLOCK, &usr1, 0));
  onto (signalfd (-1, &usr1, SFD_NONBLOCK | SFD_CLOEXEC), number);
  loop = another_loop ();
  p    = watch (number, EV_READ);
  reader ();

  if (backend == RING)
    force_ring (EV_A);

  for (i = 0; i < 20; ++i)
    {
      raise (SIGUSR1);
      told (p, EV_READ);
      must_be (get (number), >, 0);
      talk (reader (), 3);
    }

  ev_loop_destroy (EV_A);

  return unused;
}

TEST (thread_with_descriptors_of_its_own_is_served, ALL)
{
  number = eventfd (0, EFD_NONBLOCK | EFD_CLOEXEC);
  join (thread_of (serve_own_files));
  close (number);
}
