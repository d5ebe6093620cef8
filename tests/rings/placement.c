/*
 * What lives where: the only tests that read the statistics. None relies on a
 * constant of policy: where one matters, it is a variable here (fault.h), or
 * the test goes on until it happens.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include "rings.h"
#include "world.h"

/* does that until it is so, or never will be */
#define until(cond)                                                              \
  for (int rounds_ = 0; !(cond); ++rounds_)                                      \
    if (rounds_ == 10000) give_up (__FILE__, __LINE__, "never so: %s", #cond);   \
    else

static struct ev_linuxaio_stats
stats (void)
{
  struct ev_linuxaio_stats s;

  must (ev_linuxaio_stats (EV_A_ &s, sizeof (s)));
  must (!false_statistics (EV_A));
  must_be ((int)s.ring_entries, >=, (int)s.ring_requests * 2);
  must_be (s.rings, ==, (unsigned)rings (0));
  must_be (s.submit_calls, ==, fault_calls [FAULT_io_submit]);
  must_be (s.cancel_calls, ==, fault_calls [FAULT_io_cancel]);
  must_be (s.probe_calls, ==, fault_calls [FAULT_poll]);
  must_be (s.epoll_calls, ==, fault_calls [FAULT_epoll_wait] + fault_calls [FAULT_epoll_pwait2]);
  return s;
}

/* no event is on its way, and the bell is silent, too */
static void
quieten (void)
{
  for (int i = 0; i < 50; ++i)
    poll_once ();

  fault_timeout = 0;
}

static void
turn_to (probe *p, int events)
{
  change (p, events);
  told (p, events);
}

/* reading and writing by turns: changes that follow events, and would each cost an epoll_ctl on epoll */
static void
event_and_change (probe *p)
{
  ping (p);
  turn_to (p, EV_WRITE);
  change (p, EV_READ);
  poll_once ();
}

/* a change without an event */
static void
stop_and_start (probe *p)
{
  stop (p);
  poll_once ();
  start (p);
  poll_once ();
}

static void
ping_often (probe *p, int times)
{
  while (times--)
    ping (p);
}

/*****************************************************************************/
/* the statistics themselves */

TEST (other_backends_have_no_statistics, COLD)
{
  static const unsigned flags [] = { EVBACKEND_SELECT, EVBACKEND_POLL, EVBACKEND_EPOLL };
  static const struct ev_linuxaio_stats zero;

  for (unsigned i = 0; i < 3; ++i)
    {
      struct ev_loop *other = ev_loop_new (EVFLAG_NOENV | flags [i]);
      struct ev_linuxaio_stats s;

      memset (&s, 0xff, sizeof (s));
      ev_linuxaio_busy_poll (other, 1e-9);
      ev_run (other, EVRUN_NOWAIT);
      must (!ev_linuxaio_stats (other, &s, sizeof (s)));
      must (!strcmp (s.version, "ev_linuxaio " EV_LINUXAIO_VERSION));
      s.version = 0;
      must (!memcmp (&s, &zero, sizeof (s)));
      ev_loop_destroy (other);
    }
}

/* programs that were compiled with another version pass another size: what is too long is 0, and nothing else is touched */
TEST (statistics_fill_as_much_as_the_program_has_room_for, RING)
{
  struct ev_linuxaio_stats s = stats ();
  unsigned char got [sizeof (s) + 16], expected [sizeof (s) + 16];

  for (size_t size = offsetof (struct ev_linuxaio_stats, rings); size <= sizeof (s) + 8; ++size)
    {
      memset (got, 0xaa, sizeof (got));
      memset (expected, 0, sizeof (expected));
      memcpy (expected, &s, sizeof (s));
      memset (expected + size, 0xaa, sizeof (expected) - size);
      must (ev_linuxaio_stats (EV_A_ (struct ev_linuxaio_stats *)got, size));
      must (!memcmp (got, expected, sizeof (got)));
    }
}

TEST (ring_has_room_for_as_many_requests_as_have_come_to_their_end, COLD)
{
  knob_first = 4;
  gather (0, 2);
  enter_rings ();

  for (int i = 0; i < 100; ++i)
    serve (0, 2);

  must_be (stats ().ring_fds, ==, 2);
  must_be (stats ().rings, ==, 1);
}

TEST (counters_of_a_forked_child_start_at_zero, RING)
{
  probe *p = reader ();

  talk (p, 3);
  must_be (stats ().submitted, >, 0);

  as_child
    {
      struct ev_linuxaio_stats s;

      must (ev_linuxaio_stats (EV_A_ &s, sizeof (s))); /* also before the loop knows of the fork */
      ev_loop_fork (EV_A);
      fault_reset ();
      poll_once ();
      s = stats ();
      must_be (s.submitted + s.cancelled + s.rings, ==, 0);
      must_be (fault_calls [FAULT_io_destroy], ==, 0); /* a ring of the child may be at that address */
      must_be (s.epoll_fds, ==, 1);
    }
  talk (p, 3);
  must_be (stats ().ring_fds, ==, 1);
}

/*****************************************************************************/
/* when there is a ring */

TEST (first_ring_is_made_when_the_loop_has_handled_enough, COLD)
{
  knob_worth = 20;
  gather (0, 4);

  for (int i = 0; i < 19; ++i)
    ping (crowd [i & 1]);

  must_be (stats ().rings, ==, 0);
  must_be (stats ().epoll_waiting, ==, 4);
  must_be (fault_calls [FAULT_getsockopt], ==, 0); /* nobody asks what they are, as long as there is no ring for them */

  for (int i = 0; i < 5; ++i)
    ping (crowd [i & 1]);

  must_be (stats ().rings, ==, 1);
  must_be (stats ().ring_requests, ==, (unsigned)knob_first);
  must_be (stats ().ring_fds, ==, 2);

  /* the others follow as they have events, or are changed */
  ping (crowd [2]);
  restart (crowd [3], crowd [3]->io.fd, EV_READ);
  poll_once ();
  poll_once ();
  must_be (stats ().ring_fds, ==, 4);
}

TEST (events_of_what_no_ring_is_for_make_none, COLD)
{
  probe *p = reader (), *t = terminal_reader ();

  knob_worth = 20;
  fault_arrange (FAULT_io_setup, EAGAIN, 1, 0);

  for (int round = 0; round < 2; ++round)
    {
      ping_often (t, 30);
      ping (p);
      poll_once ();
      must_be (stats ().setups_refused, ==, 1);
      must_be (stats ().rings, ==, 0);
    }
}

/* what is in rings costs an idle loop no call, whatever else there has been */
/* when all that was stopped has come to its end, polls make no call */
static void
until_polls_make_no_call (void)
{
  int calls = 0, before = -1;

  until (calls == before)
    {
      before = calls;
      poll_once ();
      calls = 0;

      for (int i = 0; i < FAULT_COUNT; ++i)
        calls += fault_calls [i];
    }
}

TEST (idle_loop_makes_no_call, COLD | RING)
{
  probe *p = reader (), *t = terminal_reader (), *other;

  ping (p);
  ping (t);
  enter_rings ();
  must_be (stats ().ring_fds, ==, 1);
  change (t, EV_WRITE);
  poll_once ();
  change (t, EV_READ);
  poll_once ();
  stop (t);
  put (t->peer);
  must (wait_for (t->io.fd, POLLIN));
  other = watch_kind (WORLD_MEMFD, EV_READ); /* epoll does not take it */
  poll_once ();
  stop (other);
  until_polls_make_no_call ();
}

static probe *both [2];

static void
prepare_cb (EV_P_ ev_prepare *w, int revents)
{
  (void)revents;
  ev_prepare_stop (EV_A_ w);
  stop (both [1]);
  stop_and_close (both [0]);
}

/* ev_embed tells the backend of changes before the loop's prepare watchers run */
TEST (write_interest_that_a_prepare_watcher_stops_is_forgotten, RING)
{
  static ev_embed embed;
  static ev_prepare prepare;
  struct ev_loop *outer = ev_loop_new (EVBACKEND_SELECT);

  reader ();
  both [0] = reader ();
  both [1] = watch (both [0]->io.fd, EV_WRITE);
  stop (both [1]);
  poll_once ();
  start (both [1]);
  ev_prepare_init (&prepare, prepare_cb);
  ev_prepare_start (EV_A_ &prepare);
  ev_embed_init (&embed, 0, loop);
  ev_embed_start (outer, &embed);
  ev_run (outer, EVRUN_NOWAIT);
  ev_embed_stop (outer, &embed);
  ev_loop_destroy (outer);
  must (!ev_is_active (&prepare));
  until_polls_make_no_call ();
}

static int away, back;
static void release_cb (EV_P) { (void)loop; ++away; }
static void acquire_cb (EV_P) { (void)loop; ++back; }

/* also where epoll is not looked at, as nothing is there, or the ring has something */
TEST (lock_of_the_loop_is_given_away_in_each_poll, RING)
{
  probe *p = reader ();

  poll_once ();
  ev_set_loop_release_cb (EV_A_ release_cb, acquire_cb);

  for (int i = 1; i <= 80; ++i)
    {
      if (i == 40)
        put (p->peer);

      poll_once ();
      must (away == i && back == i);
    }
}

/* what was closed first is on epoll, as far as anybody knows, or never was. what is really there is told by the next poll */
TEST (epoll_is_looked_at_beside_a_closed_fd, RING)
{
  for (int anew = 0; anew < 3; ++anew)
    {
      probe *closed = watch_kind (anew < 2 ? WORLD_STREAM : WORLD_MEMFD, EV_READ), *terminal;

      if (anew < 2)
        put (closed->peer);

      told (closed, EV_READ);
      close (closed->io.fd);
      poll_once ();

      /* its number may get another file, which is in the ring */
      if (anew)
        {
          become (closed, WORLD_STREAM);
          restart (closed, closed->io.fd, EV_READ);
          poll_once ();
        }

      enter_rings ();
      must_be (stats ().ring_fds, ==, !!anew);
      must (ev_is_active (&closed->io)); /* epoll would not say that it is closed */
      terminal = terminal_reader ();

      for (int i = 1; i <= 5; ++i)
        {
          poll_once ();
          poll_once ();
          poll_once ();
          put (terminal->peer);
          must (wait_for (terminal->io.fd, POLLIN));
          poll_once ();
          must_be (terminal->count, ==, i);
        }

      stop (terminal);
      stop (closed);
      fault_reset ();
      loop_with_flags (0, 0);
    }
}

TEST (interest_that_has_fired_and_is_not_wanted_wakes_nobody_up, COLD | MIXED)
{
  probe *p = watch_socket (EV_READ | EV_WRITE);
  int ticks = 0;

  told (p, EV_WRITE);
  change (p, EV_READ);
  counted (timer, &ticks, 0.002, 0.);
  ev_run (EV_A_ EVRUN_ONCE);
  must_be (ticks, ==, 1);
}

TEST (epoll_is_told_once_of_what_is_new_to_it, COLD | MIXED)
{
  probe *p = reader ();
  unsigned long told;

  ping (p);
  told = fault_told;

  for (int i = 0; i < 5; ++i)
    {
      stop (p);
      start (p);
      poll_once ();
      stop_and_start (p);
    }

  must_be (fault_told, ==, told);
  stop (p);
  poll_once ();
  change (p, EV_WRITE);
  poll_once ();
  must_be (fault_told, ==, told + 1);
}

/* returns after how many rounds */
static int
move_to_ring (probe *p)
{
  unsigned before = stats ().ring_fds;
  int rounds = 0;

  knob_worth = 1;

  until (stats ().ring_fds > before)
    {
      event_and_change (p);
      ++rounds;
    }

  return rounds;
}

TEST (watched_without_changes_epoll_is_chosen, MIXED)
{
  probe *p = reader (), *w;
  int i, in_ring;

  knob_worth = 1;
  ping_often (p, 100);
  must_be (stats ().rings, ==, 0);
  must_be (stats ().epoll_chosen, ==, 1);

  /* and that is no debt */
  i = move_to_ring (p);
  must_be (i, <=, move_to_ring (reader ()) + 2);

  /* nor is write interest of which epoll is not told, beside a ring */
  in_ring = stats ().ring_fds;
  p = reader ();
  w = watch (p->io.fd, EV_WRITE);

  for (i = 0; i < 3; ++i)
    {
      told (w, EV_WRITE);
      stop (w);
      ping (p);
      start (w);
    }

  must_be (stats ().probe_hits, >=, 1);
  must_be (stats ().ring_fds, ==, in_ring);
}

TEST (fd_that_is_changed_after_its_events_moves_to_a_ring_and_back, MIXED)
{
  probe *p = reader ();

  move_to_ring (p);
  must_be (stats ().ring_fds, ==, 1);

  until (!stats ().ring_fds)
    ping (p);

  /* also when the kernel has to be told of something */
  fill (p->io.fd);
  change (p, EV_READ | EV_WRITE);
  poll_once ();
  must (stats ().epoll_chosen == 1 && stats ().rings == 1);
}

/* where the backend chooses: whatever has to wait is better off on epoll, and nothing has to here */
TEST (fd_whose_events_are_there_when_it_asks_stays_in_the_ring, MIXED)
{
  probe *p = reader ();
  int left = 10;

  knob_worth = 1;
  turn_to (p, EV_WRITE);

  until (!left)
    {
      put (p->peer);
      turn_to (p, EV_READ);
      turn_to (p, EV_WRITE);
      left -= stats ().ring_fds;
      must_be (stats ().ring_fds, >=, left < 10);
    }

  /* as long as it is changed */
  until (!stats ().ring_fds)
    poll_once ();

  must_be (stats ().epoll_chosen, ==, 1);
}

/* however often it is changed */
TEST (fd_that_has_to_wait_for_its_events_leaves_the_ring, MIXED)
{
  probe *p = reader ();

  move_to_ring (p);

  until (!stats ().ring_fds)
    {
      poll_once ();
      poll_once ();
      put (p->peer);
      told (p, EV_READ);
      turn_to (p, EV_WRITE);
      change (p, EV_READ);
    }

  must_be (stats ().cancel_calls, ==, 0);
}

TEST (fd_that_is_set_anew_while_armed_again_and_again_leaves_the_ring, RING)
{
  probe *p = reader (), *q = probe_for (p->io.fd, EV_READ);
  int stays_out = 0;

  /* however long that goes on */
  until (stays_out == 100)
    {
      restart (q, q->io.fd, EV_READ);
      poll_once ();
      must_be (stats ().epoll_chosen, >=, stays_out > 0);
      stays_out += stats ().epoll_chosen;

      if (stays_out)
        ping (p);
    }
}

/* the program has not set it anew */
TEST (new_epoll_set_says_nothing, COLD)
{
  probe *p = reader ();

  for (int i = 0; i < 200; ++i)
    {
      if (i & 1)
        ping (p);

      ev_loop_fork (EV_A);
      poll_once ();
    }

  must_be (stats ().epoll_waiting, ==, 1);
}

TEST (change_without_an_event_says_nothing, MIXED)
{
  probe *p = reader ();

  fill (p->io.fd);
  ping (p);

  for (int i = 0; i < 100; ++i)
    {
      change (p, i & 1 ? EV_READ : EV_WRITE);
      poll_once ();
    }

  must_be (stats ().epoll_chosen, ==, 1);
}

TEST (fd_that_is_stopped_while_armed_again_and_again_leaves_the_ring, RING)
{
  probe *p = reader ();

  for (int answer = 0; answer < 2; ++answer)
    {
      until (stats ().ring_fds)
        event_and_change (p);

      until (stats ().epoll_chosen)
        stop_and_start (p);

      ping (p);
      poll_once ();
      must_be (stats ().epoll_chosen, ==, 1);
      fault_arrange (FAULT_io_cancel, FAULT_ZERO, 1, 1); /* some kernels say that instead of EINPROGRESS */
    }

  /* until a child polls, its epoll set is that of its parent: what it changes there would not be told */
  fill (p->io.fd);

  as_child
    {
      change (p, EV_WRITE);
      poll_once ();
    }
  ping (p);
}

TEST (one_shot_use_needs_no_cancel, RING)
{
  probe *p = reader ();
  unsigned long before;

  poll_once ();
  before = stats ().cancel_calls;

  for (int i = 0; i < 50; ++i)
    {
      ping (p);
      stop_and_start (p);
      must_be (stats ().ring_fds, ==, 1);
    }

  /* also if it is set anew then */
  ping (p);
  restart (p, p->io.fd, EV_READ);
  poll_once ();
  must_be (stats ().ring_fds, ==, 1);
  must_be (stats ().cancel_calls, ==, before);
}

/* what is in flight and not wanted for a while stays there */
TEST (interest_that_comes_and_goes_beside_another_needs_no_cancel, RING)
{
  probe *p = reader (), *w = probe_for (p->io.fd, EV_WRITE);
  unsigned long before;

  fill (p->io.fd);
  start (w);
  poll_once ();
  before = stats ().cancel_calls;

  for (int i = 0; i < 50; ++i)
    {
      stop (w);
      ping (p);
      start (w);
      ping (p);
    }

  must_be (w->count, ==, 0);
  must_be (stats ().cancel_calls, ==, before);
  must_be (stats ().ring_fds, ==, 1);
}

/*****************************************************************************/
/* rings that are full, and quota that is gone */

TEST (next_ring_is_made_when_all_are_full, RING)
{
  gather (0, CROWD);
  poll_once ();
  must_be (stats ().rings, >, 1);
  must_be (stats ().ring_fds, ==, CROWD);
  must_be (stats ().ring_requests, ==, (unsigned)knob_first + (stats ().rings - 1) * knob_next);
  serve (0, CROWD);
  must_be (stats ().ring_fds, ==, CROWD);
  ev_loop_destroy (EV_A);
  loop = 0;
  must_be (fault_calls [FAULT_mmap], ==, 1); /* one page tells of forks, and rings go with io_destroy */
  must_be (fault_calls [FAULT_munmap], ==, 1);
}

/* nothing is lost meanwhile: refused.c. here: it is asked for again, but not in every iteration */
TEST (fds_wait_while_there_is_no_quota_and_move_later, COLD | MIXED)
{
  unsigned long told;

  knob_first = knob_next = 10;
  gather (0, 30);
  enter_rings ();
  must_be (stats ().rings, >, 0);

  fault_arrange (FAULT_io_setup, EAGAIN, 1, 1);
  gather (30, 60);
  ev_linuxaio_busy_poll (EV_A_ 1e-9);

  for (int i = 0; i < 100; ++i)
    poll_once ();

  ev_linuxaio_busy_poll (EV_A_ 0.);
  must_be (stats ().epoll_waiting + stats ().epoll_chosen, >, 0);
  must_be (stats ().setups_refused, >, 0);
  must_be (stats ().setups_refused, <, 50);
  must_be (stats ().setups_refused, ==, fault_failures);
  told = fault_told;

  for (int i = 0; i < 60; ++i)
    ping (crowd [i]);

  if (backend == COLD) /* where the backend chooses, some come to epoll now */
    must_be (fault_told, ==, told);

  serve (0, 60);

  fault_mend (FAULT_io_setup);
  enter_rings ();
  serve (0, 60);
  enter_rings ();
  must_be (stats ().ring_fds, ==, 60);
  must_be (stats ().epoll_fds, ==, 0);
}

/*****************************************************************************/
/* kinds of files */

/* sockets with a connection, and what reads from a pipe. What poll (2) never waits for is not ours */
TEST (kind_of_file_decides_where_it_lives, RING)
{
  enum { ON_EPOLL, IN_RING, REFUSED }; /* by the kernel */
  static const unsigned char lives [WORLD_KINDS][2] = {
    [WORLD_STREAM] = { IN_RING, IN_RING }, [WORLD_SEQPACKET] = { IN_RING, IN_RING }, [WORLD_TCP] = { IN_RING, IN_RING },
    [WORLD_CONNECTING] = { IN_RING }, [WORLD_PIPE] = { IN_RING, ON_EPOLL }, [WORLD_FIFO] = { REFUSED }
  };
  struct world_object o [WORLD_KINDS];

  close (0); /* the first has that number, which counts, too */

  /* each has a number of its own: a number that was stopped while armed counts for its next file, too */
  for (int kind = WORLD_STREAM; kind < WORLD_KINDS; ++kind)
    must (world_make (o + kind, kind));

  for (int kind = WORLD_STREAM; kind < WORLD_KINDS; ++kind)
    {
      for (int end = 0; end < 2 && o [kind].fd [end] >= 0; ++end)
        {
          probe *p = watch (o [kind].fd [end], EV_READ);
          struct ev_linuxaio_stats s = (poll_once (), stats ());
          unsigned count [] = { s.epoll_kind, s.ring_fds, s.epoll_refused };

          if (count [lives [kind][end]] != 1)
            give_up (__FILE__, __LINE__, "%s, end %d: %u on epoll for its kind, %u in rings, %u refused",
                     world_kinds [kind].name, end, count [0], count [1], count [2]);

          stop (p);
        }

      world_unmake (o + kind);
    }
}

/* epoll_poll forgets what epoll has of such a number, when the next file has it */
TEST (number_of_a_file_without_poll_is_heard_of_beside_a_busy_ring, RING)
{
  probe *busy = watch_socket (EV_READ), *p = watch_kind (WORLD_MEMFD, EV_READ);

  put (busy->peer);
  poll_once ();
  stop (p);
  become (p, WORLD_DGRAM);
  restart (p, p->io.fd, EV_READ);

  for (int i = 0; i < 100; ++i)
    poll_once ();

  p->count = 0;
  put (p->peer);
  poll_once ();
  poll_once ();
  must_be (p->count, >, 0);
}

/* what was found out about a file is true until its number is set anew */
TEST (file_is_judged_again_when_its_number_is_set_anew, RING)
{
  probe *p = watch_kind (WORLD_FIFO, EV_READ);

  for (int i = 0; i < 10; ++i)
    stop_and_start (p);

  must_be (stats ().refused, ==, 1); /* asked once */
  must_be (stats ().epoll_refused, ==, 1);

  stop (p);
  become (p, WORLD_TIMERFD);
  restart (p, p->io.fd, EV_READ);
  poll_once ();
  must_be (stats ().epoll_kind, ==, 1);

  stop (p);
  become (p, WORLD_STREAM);
  restart (p, p->io.fd, EV_READ);
  poll_once ();
  must_be (stats ().ring_fds, ==, 1);
  ping (p);
}

/*****************************************************************************/
/* write interest, busy polling */

TEST (write_interest_beside_a_read_is_asked_about_before_the_kernel_is_told, COLD | RING | MIXED)
{
  probe *p = reader (), *w = probe_for (p->io.fd, EV_WRITE);
  unsigned long before;
  int rounds = 0;

  /* what was set anew, it was not before */
  start (w);
  run_until (w->count, ==, 1);
  stop (w);
  ping (p);
  must_be (stats ().probe_calls, ==, 0);

  /* found by the probe while the loop is about to sleep: it does not, even if nothing else wakes it up */
  quieten ();
  start (w);
  run_until (w->count, ==, 2);
  must_be (fault_timeout, ==, 0);
  stop (w);
  must_be (stats ().probe_calls, ==, 1);
  must_be (stats ().probe_hits, ==, 1);
  must_be (fault_waited, ==, 0);

  /* a loop that does not sleep need not ask */
  ping (p);
  start (w);
  poll_once ();
  stop (w);
  must_be (stats ().probe_calls, ==, 1);

  /* a read that the kernel is going to be told of again takes the write with it */
  ping (p);
  start (w);
  run_until (w->count, ==, 3);
  stop (w);
  must_be (stats ().probe_calls, ==, 1);

  /* asked in vain: the kernel is told */
  ping (p);
  poll_once ();
  fill (p->io.fd);
  w->count = 0;
  start (w);
  settle (EV_A);
  must_be (stats ().probe_calls, ==, 2);
  must_be (w->count, ==, 0);

  while (get (p->peer) > 0)
    ;

  told (w, EV_WRITE);

  /* then it is not asked at once, but later it is */
  before = stats ().probe_calls;

  until (stats ().probe_calls > before)
    {
      stop (w);
      ping (p);
      poll_once ();
      w->count = 0;
      start (w);
      run_until (w->count, ==, 1);
      ++rounds;
    }

  must_be (rounds, >, 1);
  must_be (stats ().probe_calls, ==, before + 1);

  /* not the other way round */
  ping (p);
  stop (p);
  run_until (w->count, >, 5);
  before = stats ().probe_calls;
  start (p);
  ping (p);
  must_be (stats ().probe_calls, ==, before);
}

TEST (busy_polling_goes_on_in_a_forked_child, RING)
{
  reader ();
  ev_linuxaio_busy_poll (EV_A_ 1e-9);
  quieten ();

  as_child
    {
      poll_once (); /* notices the fork, although nothing is to be done */
      fault_reset ();
      poll_once ();
      poll_once ();
      must_be (stats ().ring_fds, ==, 1);
    }
}

/* a ring makes timeouts finer, and busy polling is a part of them */
TEST (loop_with_a_ring_sleeps_for_less_than_a_millisecond, LINUXAIO)
{
  int ticks = 0;

  ev_loop_destroy (EV_A);
  fault_reset ();
  unsetenv ("LIBEV_FLAGS");
  setenv ("LIBEV_BUSY_POLL", "200", 1);
  loop = ev_loop_new (backend_flags);
  reader ();
  poll_once ();
  must_be (stats ().rings, ==, 1);

  for (fault_timeout = 0; fault_timeout <= 0; ev_run (EV_A_ EVRUN_ONCE)) /* or the timer was over before it slept */
    counted (timer, &ticks, 0.0009, 0.);

  must_be (fault_timeout, <=, fault_calls [FAULT_epoll_pwait2] ? 700000 : 1000000);
}

TEST (number_without_a_file_is_told_before_the_loop_sleeps, RING)
{
  probe *p;

  quieten ();
  p = watch (900, EV_READ);
  run_until (p->count, ==, 1);
  must (p->revents & EV_ERROR);
  must_be (fault_timeout, ==, 0);
}

TEST (busy_polling_is_asked_for_in_the_environment, LINUXAIO)
{
  static const struct { const char *text; int busy; } texts [] = {
    { "20", 1 }, { "9", 1 }, { "1000000", 1 }, { "007", 1 },
    { "0", 0 }, { "", 0 }, { "1000001", 0 }, { "99999999999999999999", 0 }, { "-1", 0 }, { "+1", 0 },
    { " 1", 0 }, { "1 ", 0 }, { "20us", 0 }, { "0x20", 0 }, { "1e3", 0 }, { "0.5", 0 }, { "yes", 0 },
    { "not set", 0 }
  };
  probe *p = watch_socket (EV_READ);

  stop (p);
  unsetenv ("LIBEV_FLAGS");

  for (unsigned i = 0; i < sizeof (texts) / sizeof (texts [0]); ++i)
    for (int noenv = 0; noenv < 2; ++noenv)
      {
        if (strcmp (texts [i].text, "not set"))
          setenv ("LIBEV_BUSY_POLL", texts [i].text, 1);

        ev_loop_destroy (EV_A);
        loop = ev_loop_new (backend_flags | (noenv ? EVFLAG_NOENV : 0));
        unsetenv ("LIBEV_BUSY_POLL");
        start (p);
        poll_once ();

        if (rings (0) != (texts [i].busy && !noenv))
          give_up (__FILE__, __LINE__, "LIBEV_BUSY_POLL=%s%s: %d rings", texts [i].text, noenv ? ", EVFLAG_NOENV" : "", rings (0));

        stop (p);
      }
}
