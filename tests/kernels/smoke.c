/*
 * smoke - whether the backend works at all on this kernel, machine, C library
 * and word size: the ring is used, events arrive, sleeping sleeps, a child has
 * a loop of its own. libev is embedded, so that it takes no more than a
 * compiler; ev.c is found with -I. Prints what the ring has done.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#define EV_STANDALONE    1
#define EV_USE_LINUXAIO  1
#define EV_USE_EPOLL     1 /* these three, libev takes for granted with glibc only */
#define EV_USE_MONOTONIC 1
#define EV_USE_EVENTFD   1

#include "ev.c"

#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#define PAIRS      64     /* watched sockets: more than fit into a ring as it is made at first */
#define ROUNDS     20
#define IDLE_POLLS 100000 /* that find nothing, until there is a ring */
#define TIMERS     10
#define SPINS      10     /* waits that one timer may take: one or two, but not thousands */
#define PATIENCE   120    /* seconds until SIGALRM ends what would never end */

static int socks [PAIRS][2];
static ev_io ios [PAIRS];
static unsigned bytes, writables;

#define must(cond) ((cond) ? (void)0 : fail (__LINE__, #cond))

static void
fail (int line, const char *what)
{
  printf ("FAILED: smoke.c:%d: not so: %s (errno %d)\n", line, what, errno);
  fflush (stdout);
  _exit (1);
}

static void
read_cb (EV_P_ ev_io *w, int revents)
{
  char buf [8];

  (void)loop;
  must (revents == EV_READ);
  must (read (w->fd, buf, sizeof (buf)) == 1);
  ++bytes;
}

static void
write_cb (EV_P_ ev_io *w, int revents)
{
  must (revents == EV_WRITE);
  ++writables;
  ev_io_stop (EV_A_ w);
}

static void
timer_cb (EV_P_ ev_timer *w, int revents)
{
  (void)loop, (void)revents;
  ++*(int *)w->data;
}

static struct ev_linuxaio_stats
stats (EV_P)
{
  struct ev_linuxaio_stats s;

  must (ev_linuxaio_stats (EV_A_ &s));
  must (s.submitted == s.completed + s.cancelled + s.in_flight);

  return s;
}

/* short timers and nothing else: a wrong timespec would fail, spin or never return */
static void
sleep_some (EV_P)
{
  struct ev_linuxaio_stats before = stats (EV_A), after;
  ev_timer timer;
  int i, fired = 0;

  for (i = 0; i < TIMERS; ++i)
    {
      ev_now_update (EV_A);
      ev_timer_init (&timer, timer_cb, 0.001 * (i + 1), 0.);
      timer.data = &fired;
      ev_timer_start (EV_A_ &timer);

      while (fired == i)
        ev_run (EV_A_ EVRUN_ONCE);
    }

  after = stats (EV_A);
  must (after.wait_calls + after.epoll_calls - before.wait_calls - before.epoll_calls < TIMERS * SPINS);
  must (before.ring_entries ? after.wait_calls > before.wait_calls : after.epoll_calls > before.epoll_calls);
}

/* fds alone make no ring, but polls that find nothing do, since they cost none in it: some thousands are enough */
static void
gain (EV_P)
{
  int polls = 0;

  must (stats (EV_A).ring_entries == 0);

  while (!stats (EV_A).ring_entries)
    {
      must (++polls < IDLE_POLLS);
      ev_run (EV_A_ EVRUN_NOWAIT);
    }
}

/* every socket is written to, and read from, again and again */
static void
exchange (EV_P)
{
  unsigned round;
  int i;

  for (round = 1; round <= ROUNDS; ++round)
    {
      for (i = 0; i < PAIRS; ++i)
        must (write (socks [i][1], "x", 1) == 1);

      for (bytes = 0; bytes < PAIRS; )
        ev_run (EV_A_ EVRUN_ONCE);

      ev_run (EV_A_ EVRUN_NOWAIT);
      must (bytes == PAIRS);
    }
}

static void
write_all (EV_P)
{
  ev_io writers [PAIRS];
  int i;

  for (i = 0; i < PAIRS; ++i)
    {
      ev_io_init (writers + i, write_cb, socks [i][0], EV_WRITE);
      ev_io_start (EV_A_ writers + i);
    }

  for (writables = 0; writables < PAIRS; )
    ev_run (EV_A_ EVRUN_ONCE);

  must (writables == PAIRS);
}

/* a child takes over: its ring is another one, the parent's is not disturbed */
static void
use_in_child (EV_P)
{
  int status;
  pid_t pid = fork ();

  must (pid >= 0);

  if (!pid)
    {
      alarm (PATIENCE);
      ev_loop_fork (EV_A);
      exchange (EV_A);
      must (stats (EV_A).ring_entries > 0);
      ev_loop_destroy (EV_A);
      _exit (0);
    }

  must (waitpid (pid, &status, 0) == pid);
  must (status == 0);
}

static void
report (EV_P)
{
  struct ev_linuxaio_stats s = stats (EV_A);

  must (s.ring_entries > 0);
  must (s.ring_fds == PAIRS);
  must (s.completed >= (ROUNDS - 1) * PAIRS);
  must (s.epoll_fds == 0);

  printf ("ring of %u entries, %u fds in it, %lu requests, %lu completed, %lu refused\n",
          s.ring_entries, s.ring_fds, s.submitted, s.completed, s.refused);
}

int
main (void)
{
  struct ev_loop *loop;
  struct utsname un;
  int i;

  alarm (PATIENCE);
  setvbuf (stdout, 0, _IOLBF, 0);
  must (!uname (&un));
  printf ("Linux %s %s, %u-bit, time_t of %u bits\n", un.release, un.machine,
          (unsigned)sizeof (long) * 8, (unsigned)sizeof (time_t) * 8);

  loop = ev_loop_new (EVFLAG_NOENV | EVBACKEND_LINUXAIO);
  must (loop != 0);
  must (ev_backend (EV_A) == EVBACKEND_LINUXAIO);
  sleep_some (EV_A);

  for (i = 0; i < PAIRS; ++i)
    {
      must (!socketpair (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, socks [i]));
      ev_io_init (ios + i, read_cb, socks [i][0], EV_READ);
      ev_io_start (EV_A_ ios + i);
    }

  exchange (EV_A); /* on epoll: nothing was gained yet */
  gain (EV_A);
  exchange (EV_A);
  write_all (EV_A);
  sleep_some (EV_A);
  use_in_child (EV_A);
  exchange (EV_A);
  report (EV_A);

  for (i = 0; i < PAIRS; ++i)
    ev_io_stop (EV_A_ ios + i);

  ev_run (EV_A_ EVRUN_NOWAIT);
  must (stats (EV_A).ring_fds == 0);
  ev_loop_destroy (EV_A);

  return 0;
}
