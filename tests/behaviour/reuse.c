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

/* closed first, stopped after, as programs do that free a connection from the outside in */
TEST (watcher_of_a_closed_file_can_be_stopped, ALL)
{
  probe *p = watch_socket (EV_READ | EV_WRITE);

  run_until (p->count, >, 0);
  close (p->io.fd);
  stop (p);
  p->count = 0;
  talk (reader (), 10);
  must_be (p->count, ==, 0);
}

/*
 * The two are set anew one after the other, so the fd is watched all the
 * time, and for the same events: nothing but ev_io_set tells of the new file.
 */
TEST (two_watchers_follow_their_number_to_the_new_file, ALL)
{
  probe *a = watch_socket (EV_READ), *b = watch (a->io.fd, EV_READ);
  int round;

  for (round = 0; round < 10; ++round)
    {
      a->count = b->count = 0;
      settle (EV_A);
      must_be (a->count + b->count, ==, 0);
      replace (a);
      renew (a);
      renew (b);

      if (round & 1)
        settle (EV_A);

      put (a->peer);
      run_until (a->count && b->count);
      get (a->io.fd);
    }
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

TEST (mask_left_from_the_old_file_does_not_reach_the_new_one, ALL)
{
  probe *p = watch_socket (EV_WRITE);

  told (p, EV_WRITE);
  stop (p);
  replace (p);
  renew (p);
  silent (p);
  put (p->peer);
  told (p, EV_READ);
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

static probe *victim, *heir;

static void
replace_victim_cb (EV_P_ ev_io *w, int revents)
{
  probe_cb (EV_A_ w, revents);
  ev_io_stop (EV_A_ w);
  stop (victim);
  replace (victim);
  heir = watch (victim->io.fd, EV_READ);
}

/* both are ready in the same iteration; the first replaces what the second is about to be told of */
TEST (pending_event_of_a_replaced_file_reaches_nobody, ALL)
{
  int round, fd [2];

  for (round = 0; round < 10; ++round)
    {
      probe *first;

      sockets (fd);
      first = probe_for (fd [0], EV_READ);
      ev_set_cb (&first->io, replace_victim_cb);
      ev_set_priority (&first->io, EV_MAXPRI);
      start (first);
      victim = watch_socket (EV_READ);
      settle (EV_A);

      /* the victim last, so that its event may come in the same iteration or in the next */
      put (fd [1]);
      put (victim->peer);
      run_until (first->count, ==, 1);
      silent (heir);
      must_be (victim->count, ==, 0);
      put (victim->peer);
      told (heir, EV_READ);
      stop_and_close (heir);
    }
}
