/*
 * Threads: loops side by side, one loop whose watchers other threads start and
 * stop while it sleeps, and threads that are cancelled or have files of their own.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "fixture.h"

static void
join (pthread_t thread)
{
  progress ();
  must (!pthread_join (thread, 0));
}

static pthread_t
thread_of (void *(*body) (void *), void *arg)
{
  pthread_t thread;

  must (!pthread_create (&thread, 0, body, arg));

  return thread;
}

/*****************************************************************************/
/* a loop for each thread */

#define PAIRS 64

static int echoed, heard;

static void
echo_cb (EV_P_ ev_io *w, int revents)
{
  must_be (revents, ==, EV_READ);
  must_be (get (w->fd), ==, 1);
  put (w->fd);

  if (++echoed == PAIRS * 200)
    ev_break (EV_A_ EVBREAK_ALL);
}

static void *
echo (void *arg)
{
  struct ev_loop *own = (struct ev_loop *)arg;

  ev_run (own, 0);
  ev_loop_destroy (own);

  return 0;
}

static void
return_cb (EV_P_ ev_io *w, int revents)
{
  (void)loop;
  must_be (revents, ==, EV_READ);
  must_be (get (w->fd), ==, 1);

  if (++heard <= PAIRS * 199)
    put (w->fd);
}

/* the other loop is made in one thread, and run and destroyed in another */
TEST (two_loops_in_two_threads_play_table_tennis, ALL)
{
  struct ev_loop *other = another_loop ();
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

  thread = thread_of (echo, other);
  run_until (heard, ==, PAIRS * 200);
  join (thread);
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
  thread = thread_of (send_many, 0);
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
  acquire (EV_A);
  ev_run (EV_A_ 0);
  release (EV_A);

  return arg;
}

static pthread_t
run_in_thread (void)
{
  ev_async_init (&async, async_cb);
  ev_async_start (EV_A_ &async);
  ev_set_loop_release_cb (EV_A_ release, acquire);

  return thread_of (run_locked, 0);
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

/* select and poll may be about to sleep with a set that still has the descriptor, and must not find it closed */
static void
wait_for_a_new_set (void)
{
  int before;

  acquire (EV_A);
  before = asyncs;
  ev_async_send (EV_A_ &async);
  release (EV_A);

  while (__atomic_load_n (&asyncs, __ATOMIC_ACQUIRE) == before)
    sched_yield ();
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

  if (round & 2 && !(backend & (SELECT | POLL)))
    close (fd [0]);

  /* for a stop the loop need not be woken: nothing new is to be watched */
  if (round & 4)
    ev_async_send (EV_A_ &async);

  release (EV_A);

  if (backend & (SELECT | POLL))
    wait_for_a_new_set ();

  if (!(round & 2) || backend & (SELECT | POLL))
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

  for (round = 0; round < 100; ++round)
    serve_from_outside (round);

  return arg;
}

TEST (watchers_are_started_and_stopped_while_the_loop_sleeps, ALL)
{
  pthread_t thread = run_in_thread (), others [3];
  int i;

  for (i = 0; i < 3; ++i)
    others [i] = thread_of (serve_rounds, 0);

  serve_rounds (0);

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

static int releases;

static void
count_release (EV_P) EV_NOEXCEPT
{
  (void)loop;
  ++releases;
}

static void
ignore_acquire (EV_P) EV_NOEXCEPT
{
  (void)loop;
}

static void
again_cb (EV_P_ ev_io *w, int revents)
{
  probe_cb (EV_A_ w, revents);
  ev_io_stop (EV_A_ w);
  ev_io_start (EV_A_ w);
}

/* also one that does not sleep: something is always ready, each watcher is used once, or an idle watcher runs */
TEST (each_poll_gives_the_lock_back, ALL)
{
  static ev_idle idle;
  probe *p = watch_socket (EV_READ);
  int how, i, idles = 0;

  settle (EV_A);
  put (p->peer);
  ev_set_loop_release_cb (EV_A_ count_release, ignore_acquire);

  for (how = 0; how < 3; ++how)
    {
      if (how == 1)
        ev_set_cb (&p->io, again_cb);

      if (how == 2)
        {
          get (p->io.fd);
          ev_idle_init (&idle, 0);
          counts (ev_idle, &idle, &idles);
          ev_idle_start (EV_A_ &idle);
        }

      for (i = 0; i < 100; ++i)
        {
          releases = 0;
          ev_run (EV_A_ EVRUN_ONCE);
          must_be (releases, >, 0);
        }
    }

  ev_set_loop_release_cb (EV_A_ 0, 0);
}

/*****************************************************************************/
/* threads that are not like others */

static void *
sleep_in_loop (void *arg)
{
  ev_run (EV_A_ 0);

  return arg;
}

/* the wait of each backend is a cancellation point of the C library; with a timer, it comes back to it */
TEST (thread_that_sleeps_in_a_loop_can_be_cancelled, SANITIZED ? 0 : EPOLL | LINUXAIO)
{
  struct ev_loop *own = loop;
  int with_timer;

  for (with_timer = 0; with_timer < 2; ++with_timer)
    {
      static ev_timer timer;
      pthread_t thread;
      void *res = 0;
      int tries = patience () / 10;

      loop = another_loop ();

      if (backend == RING)
        force_ring (EV_A);

      reader ();
      ev_timer_init (&timer, 0, 0.005, 0.005);
      counts (ev_timer, &timer, &(int) { 0 });

      if (with_timer)
        ev_timer_start (EV_A_ &timer);

      thread = thread_of (sleep_in_loop, 0);
      pause_for (20);
      must (!pthread_cancel (thread));

      while (pthread_tryjoin_np (thread, &res) == EBUSY)
        {
          must_be (--tries, >, 0);
          pause_for (10);
        }

      must (res == PTHREAD_CANCELED);
      ev_loop_destroy (EV_A);
    }

  loop = own;
}

/* what is at a number is not what is there for the first thread */
static void *
serve_own_files (void *arg)
{
  struct ev_loop *own = loop;
  int number = *(int *)arg, i;
  probe *p;

  if (unshare (CLONE_FILES))
    skip ("no descriptors of its own for a thread here (%s)", strerror (errno));

  onto (usr1_fd (), number);
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
  loop = own;

  return 0;
}

TEST (thread_with_descriptors_of_its_own_is_served, ALL)
{
  int number = eventfd (0, EFD_NONBLOCK | EFD_CLOEXEC);

  join (thread_of (serve_own_files, &number));
  close (number);
}
