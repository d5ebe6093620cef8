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

      put (p->peer);
      run_until (p->count, ==, i);
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

/* closed first, stopped after, as programs do that free a connection from the outside in */
TEST (watcher_of_a_closed_file_can_be_stopped, ALL)
{
  probe *p = watch_socket (EV_READ | EV_WRITE), *q = reader ();

  run_until (p->count, >, 0);
  close (p->io.fd);
  stop (p);
  p->count = 0;
  talk (q, 10);
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

/* a program that forgets a watcher with its file, and makes a new one for the number's next file */
TEST (new_watcher_is_served_beside_a_forgotten_one, ALL)
{
  probe *old = watch_socket (EV_READ), *fresh;

  settle (EV_A);
  replace (old);
  fresh = watch (old->io.fd, EV_READ);
  fresh->eat  = 1;
  fresh->peer = old->peer;
  silent (fresh);
  talk (fresh, 5);
  stop (old);
  talk (fresh, 5);
}

/* the old file lives on under another number: its events must not reach the new watcher */
static void
expect_no_event_of_the_old_file (int slave, int master, int ready)
{
  int other = fcntl (slave, F_DUPFD_CLOEXEC, 0), fresh [2];
  probe *p = watch (slave, EV_READ);

  settle (EV_A);

  if (ready)
    put (master);

  stop (p);
  sockets (fresh);
  onto (fresh [0], slave);
  renew (p);

  if (!ready)
    put (master);

  must (wait_for (other, POLLIN));
  silent (p);
  put (master);
  silent (p);
  p->eat  = 1;
  p->peer = fresh [1];
  talk (p, 3);
}

TEST (events_of_a_file_that_lives_on_do_not_reach_the_next_one, ALL)
{
  int fd [2], ready;

  for (ready = 0; ready < 2; ++ready)
    {
      sockets (fd);
      expect_no_event_of_the_old_file (fd [0], fd [1], ready);
      fd [1] = pty (fd); /* no ring serves it, and epoll knows it under a number that is another's now */
      expect_no_event_of_the_old_file (fd [0], fd [1], ready);
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
  int round, ready;

  for (ready = 0; ready < 2; ++ready)
    {
      probe *p = watch_socket (EV_READ);

      ev_set_cb (&p->io, renew_own_cb);
      p->io.data = ready ? p : 0;

      for (round = 1; round <= 20; ++round)
        {
          if (!ready)
            silent (p);

          if (!ready || round == 1)
            put (p->peer);

          run_until (p->count, ==, round);
        }

      stop (p);
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
  int round;

  for (round = 0; round < 10; ++round)
    {
      probe *first = watch_socket (0);

      stop (first);
      ev_io_modify (&first->io, EV_READ);
      ev_set_cb (&first->io, replace_victim_cb);
      ev_set_priority (&first->io, EV_MAXPRI);
      start (first);
      victim = watch_socket (EV_READ);
      settle (EV_A);

      /* the victim last, so that its event may come in the same iteration or in the next */
      put (first->peer);
      put (victim->peer);
      run_until (first->count, ==, 1);
      silent (heir);
      must_be (victim->count, ==, 0);
      put (victim->peer);
      told (heir, EV_READ);
      stop_and_close (heir);
    }
}

/*****************************************************************************/
/* many at once */

#define SLOTS 100

/* every slot is replaced every few rounds, armed or not, ready or not; none may miss or invent an event */
TEST (numbers_that_change_hands_all_the_time_are_served, ALL)
{
  probe *p [SLOTS];
  int expected [SLOTS] = { 0 }, i, round;

  for (i = 0; i < SLOTS; ++i)
    p [i] = reader ();

  for (round = 0; round < 30; ++round)
    {
      for (i = round % 3; i < SLOTS; i += 3)
        {
          /* what is still on its way to the old file is lost with it */
          if (i & 1)
            put (p [i]->peer);

          stop (p [i]);
          replace (p [i]);
          renew (p [i]);
        }

      if (round & 1)
        ev_run (EV_A_ EVRUN_NOWAIT);

      for (i = round % 5; i < SLOTS; i += 5)
        {
          put (p [i]->peer);
          ++expected [i];
        }

      settle (EV_A);

      for (i = 0; i < SLOTS; ++i)
        {
          run_until (p [i]->count, >=, expected [i]);
          must_be (p [i]->count, ==, expected [i]);
        }
    }
}
