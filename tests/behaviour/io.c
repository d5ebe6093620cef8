/*
 * Events on descriptors. What is reported, how often and in which order, and what
 * starting, stopping and changing watchers does to it, is tried by tests/random.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include "fixture.h"

/* the events come from another process, which may run on another CPU, while the loop is about to sleep, or watches for them */
TEST (no_wake_up_from_another_process_is_lost, ALL)
{
  probe *p = reader ();
  pid_t pid;
  int got;

  for_child (pid)
    for (int i = 0; i < 2000; i += got)
      {
        must (wait_for (p->peer, POLLIN));
        got = get (p->peer);
        must_be (got, >, 0);
        put (p->peer);
      }

  for (int i = 1; i <= 2000; ++i)
    {
      if (i == 1000)
        ev_loop_fork (EV_A); /* may be called without a fork */

      if (i == 1500)
        ev_linuxaio_busy_poll (EV_A_ 0.001);

      put (p->io.fd);
      run_until (p->count, ==, i);
    }

  ends_well (pid);
}

/* upwards and downwards, and the highest possible: whatever is indexed by fd grows in steps */
TEST (descriptors_far_apart_are_served, ALL)
{
  int numbers [] = { 300, 1000, 231, 999, 500, 232, 264, 1023, 0 };
  struct rlimit lim;
  probe *p [9];

  must (!getrlimit (RLIMIT_NOFILE, &lim));
  numbers [8] = room_for_fds (lim.rlim_max < 1 << 18 ? lim.rlim_max : 1 << 18) - 1;

  for (int i = 0; i < 9; ++i)
    {
      p [i] = reader ();
      stop (p [i]);
      onto (p [i]->io.fd, numbers [i]);
      restart (p [i], numbers [i], EV_READ);

      if (i & 1)
        ev_run (EV_A_ EVRUN_NOWAIT);
    }

  for (int i = 0; i < 9; ++i)
    talk (p [i], 1);
}

TEST (poll_that_does_not_wait_tells_of_a_watcher_just_started, ALL)
{
  probe *p;

  for (int i = 0; i < 8; ++i, ev_run (EV_A_ EVRUN_NOWAIT))
    stop (reader ()); /* there is nothing to look at */

  p = reader ();
  stop (reader ());
  put (p->peer);
  ev_run (EV_A_ EVRUN_NOWAIT);
  must_be (p->count, ==, 1);
}

/* however small or full the rings are meanwhile */
TEST (thousands_of_fds_come_one_by_one_and_go_again, ALL)
{
  static probe *p [5000];
  int i, step = 1, count = backend & (SELECT | POLL) ? 1500 : MANY (5000); /* those look at each of them each time */

  room_for_fds (2 * count + 200);
  crowd_open (p, count);

  for (i = 0; i < count; ++i)
    stop (p [i]);

  for (i = 0; i < count; ++i)
    {
      start (p [i]);

      /* some are ready just when others are added */
      if (i == step || i == count - 1)
        {
          crowd_told (p, i);
          crowd_told (p + i, 1);
          step *= 2;
        }
    }

  crowd_told (p, count);

  /* the young ones first, so that the oldest stay to the end */
  while (--i)
    {
      stop (p [i]);

      if (i == step)
        {
          settle (EV_A);
          crowd_told (p, i);
        }
      else if (i < step)
        step /= 2;
    }

  crowd_told (p, 1);
}

TEST (stopped_watcher_is_not_called_and_learns_what_came_meanwhile, ALL)
{
  probe *p = watch_socket (EV_READ);

  settle (EV_A);
  stop (p);
  settle (EV_A);
  put (p->peer);
  silent (p);
  restart (p, p->io.fd, 0); /* which is for nothing */
  silent (p);
  restart (p, p->io.fd, EV_READ);
  told (p, EV_READ);
}

TEST (refused_connection_reaches_reader_and_writer, ALL)
{
  int fd [2], client, error;
  struct sockaddr_storage addr;
  socklen_t len, size = sizeof (error);
  probe *r, *w;

  make (WORLD_LISTEN, fd);
  addr = address_of (fd [0], &len);
  close (fd [0]);
  client = socket (AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  must (connect (client, (struct sockaddr *)&addr, len) && (errno == EINPROGRESS || errno == ECONNREFUSED));
  r = watch (client, EV_READ);
  w = watch (client, EV_WRITE);
  run_until (r->count && w->count);
  must (!getsockopt (client, SOL_SOCKET, SO_ERROR, &error, &size));
  must_be (error, ==, ECONNREFUSED);
}

/* not new to the loop: it is asked whether it can write before the kernel is told */
TEST (writer_beside_a_reader_is_called_as_long_as_it_can_write, ALL)
{
  probe *r = watch_socket (EV_READ), *w = watch (r->io.fd, EV_WRITE);

  told (w, EV_WRITE);
  stop (w);
  settle (EV_A);
  start (w);
  w->count = 0;

  for (int i = 1; i <= 10; ++i)
    run_until (w->count, ==, i);

  silent (r);
}
