/*
 * A number is not a file: descriptors that are closed, replaced, and come
 * back under the same number, while a request for the old file is armed, has
 * completed, or is being cancelled.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include "fixture.h"

/* closes both ends and puts a new pair in their place */
static void
replace (probe *p)
{
  int fresh [2];

  sockets (fresh);
  onto (fresh [0], p->io.fd);
  onto (fresh [1], p->peer);
}

/* set anew to the file that has its number now */
static void
renew (probe *p)
{
  restart (p, p->io.fd, EV_READ);
}

/* armed when its file is replaced in most rounds, in others not yet; and before or after it is stopped */
TEST (watcher_set_to_a_new_file_of_the_same_number_is_served, ALL)
{
  probe *p = reader ();
  int i;

  for (i = 1; i <= 40; ++i)
    {
      if (i % 4)
        ev_run (EV_A_ EVRUN_NOWAIT);

      if (i & 1)
        stop (p);

      replace (p);
      renew (p);

      if (i % 3)
        settle (EV_A);

      ping (p);
    }
}

/* the loop hears of the new file only while nobody watches it */
TEST (watcher_of_a_new_file_that_is_stopped_at_once_is_served_later, ALL)
{
  probe *p = reader ();

  ev_run (EV_A_ EVRUN_NOWAIT);
  stop (p);
  replace (p);
  renew (p);
  stop (p);
  ev_run (EV_A_ EVRUN_NOWAIT);
  start (p);
  talk (p, 3);
}

/* a program that forgets a watcher with its file, and makes new ones for the number's next file */
TEST (new_watchers_are_served_beside_a_forgotten_one, ALL)
{
  probe *old = watch_socket (EV_READ), *r, *w;

  settle (EV_A);
  replace (old);
  r = watch (old->io.fd, EV_READ);
  r->eat  = 1;
  r->peer = old->peer;
  w = watch (old->io.fd, EV_WRITE);
  told (w, EV_WRITE);
  stop (w);
  silent (r);
  talk (r, 5);
  stop (old);
  talk (r, 5);
}

/* the old file lives on under another number: its events must not reach the new watcher */
TEST (events_of_a_file_that_lives_on_do_not_reach_the_next_one, ALL)
{
  int how;

  for (how = 0; how < 4; ++how)
    {
      /* no ring serves a terminal, and epoll knows it under a number that is another's now */
      probe *p = watch_kind (how & 1 ? WORLD_PTY : WORLD_STREAM, EV_READ);
      int other = fcntl (p->io.fd, F_DUPFD_CLOEXEC, 0), old_peer = p->peer, fresh [2];

      settle (EV_A);

      if (how & 2)
        put (old_peer);

      stop (p);
      sockets (fresh);
      onto (fresh [0], p->io.fd);
      p->peer = fresh [1];
      p->eat  = 1;
      renew (p);

      if (!(how & 2))
        put (old_peer);

      must (wait_for (other, POLLIN));
      silent (p);
      put (old_peer);
      silent (p);
      talk (p, 3);
    }
}

/*****************************************************************************/
/* inside callbacks */

/* what servers do all day: a connection ends, and the next one gets its number */
static void
renew_own_cb (EV_P_ ev_io *w, int revents)
{
  probe *p = (probe *)w;

  probe_cb (EV_A_ w, revents);
  stop (p);
  replace (p);
  renew (p);

  if (w->data)
    put (p->peer);
}

TEST (file_replaced_in_its_own_callback_is_served, ALL)
{
  probe *quiet = watch_socket (EV_READ), *ready = watch_socket (EV_READ);
  int round;

  ev_set_cb (&quiet->io, renew_own_cb);
  ev_set_cb (&ready->io, renew_own_cb);
  ready->io.data = ready;
  put (ready->peer);

  for (round = 1; round <= 20; ++round)
    {
      silent (quiet);
      ping (quiet);
      run_until (ready->count, >, round * 20);
    }
}
