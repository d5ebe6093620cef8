/*
 * smoke - whether the backend works at all on this kernel, machine, C library and
 * word size, in this language: events arrive through a ring, sleeping sleeps, a
 * child has a loop of its own. LIBEV_FLAGS may say another backend than 64.
 *
 * libev is embedded (ev.c is found with -I), or it is an installed one whose header
 * is named: -DINSTALLED='<ev.h>'.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#ifdef INSTALLED
# include INSTALLED
# include <ev_linuxaio.h>
#else
# define EV_STANDALONE 1
# include "ev.c"
#endif

#undef NDEBUG
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAIRS    64  /* watched sockets: more than the first ring was asked to have room for */
#define ROUNDS   20
#define TIMERS   10
#define SPINS    10  /* waits that one timer may take: one or two, but not thousands */
#define PATIENCE 120 /* seconds until SIGALRM ends what would never end */

static int socks [PAIRS][2];
static ev_io readers [PAIRS], writers [PAIRS];
static int bytes, writables, fired, ring;

static void
read_cb (EV_P_ ev_io *w, int revents)
{
  char c;

  assert (revents == EV_READ && read (w->fd, &c, 1) == 1);
  ++bytes;
}

static void
write_cb (EV_P_ ev_io *w, int revents)
{
  assert (revents == EV_WRITE);
  ++writables;
  ev_io_stop (EV_A_ w);
}

static void
timer_cb (EV_P_ ev_timer *w, int revents)
{
  (void)revents;
  w->repeat = 0.001 * ++fired;
  ev_timer_again (EV_A_ w);
}

static struct ev_linuxaio_stats
stats (EV_P)
{
  struct ev_linuxaio_stats s;

  assert (ev_linuxaio_stats (EV_A_ &s, sizeof (s)) == ring);
  assert (s.submitted == s.completed + s.cancelled + s.in_flight);

  return s;
}

/* a byte to each socket, again and again, and a moment in which each can be written to */
static void
exchange (EV_P)
{
  int i, round;

  for (round = 0; round < ROUNDS; ++round)
    {
      for (bytes = writables = i = 0; i < PAIRS; ++i)
        {
          assert (write (socks [i][1], "x", 1) == 1);
          ev_io_start (EV_A_ writers + i);
        }

      while (bytes < PAIRS || writables < PAIRS)
        ev_run (EV_A_ EVRUN_ONCE);

      ev_run (EV_A_ EVRUN_NOWAIT);
      assert (bytes == PAIRS && writables == PAIRS);
    }
}

/* at first wherever the loop likes, then all in rings, where there is AIO at all */
static void
use (EV_P)
{
  unsigned long before;
  ev_timer timer;

  exchange (EV_A);
  ev_linuxaio_busy_poll (EV_A_ 1e-9);
  ev_run (EV_A_ EVRUN_NOWAIT);
  ev_linuxaio_busy_poll (EV_A_ 0.);
  ring = ev_backend (EV_A) == EVBACKEND_LINUXAIO;
  assert (!ring || stats (EV_A).setups_refused || stats (EV_A).ring_fds == PAIRS);
  exchange (EV_A);

  /* short timers and nothing else: a wrong timespec would fail, spin or never return */
  before = stats (EV_A).epoll_calls;
  ev_timer_init (&timer, timer_cb, 0.001, 0.001);

  for (fired = 0, ev_timer_start (EV_A_ &timer); fired < TIMERS; )
    ev_run (EV_A_ EVRUN_ONCE);

  ev_timer_stop (EV_A_ &timer);
  assert (!ring || (before < stats (EV_A).epoll_calls && stats (EV_A).epoll_calls < before + TIMERS * SPINS));

  /* with 64 they stay there */
  assert (!ring || stats (EV_A).setups_refused || strcmp (getenv ("LIBEV_FLAGS"), "64") || stats (EV_A).completed >= ROUNDS * PAIRS);
}

/* it is there for who asks for it, and only for them */
static void
claims (void)
{
  assert (EVBACKEND_LINUXAIO == 0x40 && EVBACKEND_ALL & EVBACKEND_LINUXAIO && EVBACKEND_MASK == 0xffff);
  assert (ev_supported_backends () & ev_embeddable_backends () & EVBACKEND_LINUXAIO);
  assert (!(ev_recommended_backends () & EVBACKEND_LINUXAIO));
#if EV_MULTIPLICITY
  assert (ev_backend (ev_loop_new (EVFLAG_NOENV)) == EVBACKEND_EPOLL);
  assert (ev_backend (ev_loop_new (EVFLAG_NOENV | EVBACKEND_EPOLL)) == EVBACKEND_EPOLL);
#endif
}

int
main (void)
{
  int i, status;
  pid_t pid;
#if EV_MULTIPLICITY
  struct ev_loop *loop = (setenv ("LIBEV_FLAGS", "64", 0), ev_loop_new (EVFLAG_AUTO));
#else
  setenv ("LIBEV_FLAGS", "64", 0);
  ev_default_loop (EVFLAG_AUTO);
#endif

  alarm (PATIENCE);
  claims ();

  for (i = 0; i < PAIRS; ++i)
    {
      assert (!socketpair (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, socks [i]));
      ev_io_init (readers + i, read_cb, socks [i][0], EV_READ);
      ev_io_init (writers + i, write_cb, socks [i][0], EV_WRITE);
      ev_io_start (EV_A_ readers + i);
    }

  use (EV_A);

  if (!(pid = fork ()))
    {
      alarm (PATIENCE);
      ev_loop_fork (EV_A);
      use (EV_A);
      ev_loop_destroy (EV_A);
      _exit (0);
    }

  assert (pid > 0 && waitpid (pid, &status, 0) == pid && status == 0);
  use (EV_A);
  printf (ring ? "linuxaio: %u fds in rings of %u entries\n" : "epoll\n", stats (EV_A).ring_fds, stats (EV_A).ring_entries);

  for (i = 0; i < PAIRS; ++i)
    ev_io_stop (EV_A_ readers + i);

  ev_run (EV_A_ EVRUN_NOWAIT);
  assert (!ring || stats (EV_A).ring_fds == 0);
  ev_loop_destroy (EV_A);

  return 0;
}
