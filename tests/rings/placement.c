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

#define LONG 10000 /* rounds after which it will never happen */

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

/* reading and writing by turns: changes that follow events, and would each cost an epoll_ctl on epoll */
static void
event_and_change (probe *p)
{
  ping (p);
  change (p, EV_WRITE);
  told (p, EV_WRITE);
  change (p, EV_READ);
  poll_once ();
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

/* programs that were compiled with another version pass another size */
TEST (statistics_fill_as_much_as_the_program_has_room_for, RING)
{
  unsigned char small [offsetof (struct ev_linuxaio_stats, rings) + 8], large [sizeof (struct ev_linuxaio_stats) + 8];
  struct ev_linuxaio_stats s = stats ();

  memset (small, 0xaa, sizeof (small));
  must (ev_linuxaio_stats (EV_A_ (struct ev_linuxaio_stats *)small, sizeof (small) - 8));
  must (!memcmp (small, &s, sizeof (small) - 8));

  memset (large, 0xaa, sizeof (large));
  must (ev_linuxaio_stats (EV_A_ (struct ev_linuxaio_stats *)large, sizeof (large)));
  must (!memcmp (large, &s, sizeof (s)));

  for (unsigned i = 0; i < 8; ++i)
    {
      must_be (small [sizeof (small) - 8 + i], ==, 0xaa);
      must_be (large [sizeof (s) + i], ==, 0);
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

TEST (descriptor_0_is_counted, COLD)
{
  int fd [2];

  sockets (fd);
  onto (fd [0], 0);
  watch (0, EV_READ);
  poll_once ();
  must_be (stats ().epoll_fds, ==, 1);
}

TEST (loop_unmaps_what_it_has_mapped, RING)
{
  fault_reset ();
  ev_loop_destroy (EV_A);
  loop = 0;
  must_be (fault_calls [FAULT_munmap], ==, 1); /* the page that tells of forks. rings go with io_destroy */
}

TEST (counters_of_a_forked_child_start_at_zero, RING)
{
  probe *p = reader ();
  pid_t pid;

  talk (p, 3);
  must_be (stats ().submitted, >, 0);

  for_child (pid)
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

  ends_well (pid);
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
      for (int i = 0; i < 30; ++i)
        ping (t);

      ping (p);
      poll_once ();
      must_be (stats ().setups_refused, ==, 1);
      must_be (stats ().rings, ==, 0);
    }
}

/* what is in rings costs an idle loop no call, whatever else there has been */
TEST (idle_loop_makes_no_call, COLD | RING)
{
  struct world_object file;
  probe *p = reader (), *t = terminal_reader (), *other;
  int tries = 0, calls = 0, before, i;

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
  must_be (world_make (&file, WORLD_MEMFD), ==, 1);
  other = watch (file.fd [0], EV_READ); /* epoll does not take it */
  poll_once ();
  stop (other);

  /* when all that was stopped before has come to its end */
  do
    {
      before = calls;
      poll_once ();
      must_be (++tries, <, LONG);

      for (calls = i = 0; i < FAULT_COUNT; ++i)
        calls += fault_calls [i];
    }
  while (calls != before);
}

static int away, back;
static void release_cb (EV_P) { (void)loop; ++away; }
static void acquire_cb (EV_P) { (void)loop; ++back; }

/* also where epoll is not looked at, as nothing is there */
TEST (lock_of_the_loop_is_given_away_in_each_poll, RING)
{
  reader ();
  poll_once ();
  ev_set_loop_release_cb (EV_A_ release_cb, acquire_cb);

  for (int i = 1; i <= 40; ++i)
    {
      poll_once ();
      must_be (away, ==, i);
      must_be (back, ==, i);
    }
}

/* what was closed first is on epoll, as far as anybody knows, or never was. what is really there is told by the next poll */
TEST (epoll_is_looked_at_beside_a_closed_fd, RING)
{
  int fd [2];

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
          sockets (fd);
          onto (fd [0], closed->io.fd);
          restart (closed, closed->io.fd, EV_READ);
          poll_once ();
          enter_rings ();
          must_be (stats ().ring_fds, ==, 1);
        }
      else
        {
          enter_rings ();
          must (ev_is_active (&closed->io)); /* epoll would not say that it is closed */
        }

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

  for (int i = 0; i < 10; ++i)
    {
      stop (p);

      if (i & 1)
        poll_once ();

      start (p);
      poll_once ();
    }

  must_be (fault_told, ==, told);
  stop (p);
  poll_once ();
  change (p, EV_WRITE);
  poll_once ();
  must_be (fault_told, ==, told + 1);
}

static int
rounds_to_ring (probe *p)
{
  unsigned before = stats ().ring_fds;
  int i;

  for (i = 0; i < LONG && stats ().ring_fds == before; ++i)
    event_and_change (p);

  return i;
}

TEST (watched_without_changes_epoll_is_chosen, MIXED)
{
  probe *p = reader (), *w;
  int i, in_ring;

  knob_worth = 1;

  for (i = 0; i < 100; ++i)
    ping (p);

  must_be (stats ().rings, ==, 0);
  must_be (stats ().epoll_chosen, ==, 1);

  /* and that is no debt */
  i = rounds_to_ring (p);
  must_be (i, <=, rounds_to_ring (reader ()) + 2);

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

  knob_worth = 1;

  for (int i = 0; i < LONG && !stats ().ring_fds; ++i)
    event_and_change (p);

  must_be (stats ().ring_fds, ==, 1);

  for (int i = 0; i < LONG && stats ().ring_fds; ++i)
    ping (p);

  must_be (stats ().epoll_chosen, ==, 1);
  must_be (stats ().rings, ==, 1);
}

/* where the backend chooses: whatever has to wait is better off on epoll, and nothing has to here */
TEST (fd_whose_events_are_there_when_it_asks_stays_in_the_ring, MIXED)
{
  probe *p = reader ();
  int left = 10;

  knob_worth = 1;
  change (p, EV_WRITE);
  told (p, EV_WRITE);

  for (int i = 0; i < LONG && left; ++i)
    {
      put (p->peer);
      change (p, EV_READ);
      told (p, EV_READ);
      change (p, EV_WRITE);
      told (p, EV_WRITE);
      left -= stats ().ring_fds;
      must_be (stats ().ring_fds, >=, left < 10);
    }

  must_be (left, ==, 0);

  /* as long as it is changed */
  for (int i = 0; i < LONG && stats ().ring_fds; ++i)
    poll_once ();

  must_be (stats ().epoll_chosen, ==, 1);
}

/* however often it is changed */
TEST (fd_that_has_to_wait_for_its_events_leaves_the_ring, MIXED)
{
  probe *p = reader ();

  knob_worth = 1;
  must_be (rounds_to_ring (p), <, LONG);

  for (int i = 0; i < LONG && stats ().ring_fds; ++i)
    {
      poll_once ();
      poll_once ();
      put (p->peer);
      told (p, EV_READ);
      change (p, EV_WRITE);
      told (p, EV_WRITE);
      change (p, EV_READ);
    }

  must_be (stats ().cancel_calls, ==, 0);
  must_be (stats ().ring_fds, ==, 0);
}

TEST (fd_that_is_set_anew_while_armed_again_and_again_leaves_the_ring, RING)
{
  probe *p = reader (), *q = probe_for (p->io.fd, EV_READ);

  for (int i = 0; i < LONG && !stats ().epoll_chosen; ++i)
    {
      restart (q, q->io.fd, EV_READ);
      poll_once ();
    }

  /* and stays out, however long that goes on */
  for (int i = 0; i < 100; ++i)
    {
      ping (p);
      restart (q, q->io.fd, EV_READ);
      poll_once ();
      must_be (stats ().epoll_chosen, ==, 1);
    }
}

/* the program has not set it anew */
TEST (new_epoll_set_says_nothing, COLD)
{
  probe *p = reader ();

  for (int i = 0; i < 100; ++i)
    {
      ping (p);
      ev_loop_fork (EV_A);
      poll_once ();
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
      for (int i = 0; i < LONG && !stats ().ring_fds; ++i)
        event_and_change (p);

      must_be (stats ().ring_fds, ==, 1);

      for (int i = 0; i < LONG && !stats ().epoll_chosen; ++i)
        {
          stop (p);
          poll_once ();
          start (p);
          poll_once ();
        }

      must_be (stats ().epoll_chosen, ==, 1);
      ping (p);
      poll_once ();
      must_be (stats ().epoll_chosen, ==, 1);
      fault_arrange (FAULT_io_cancel, FAULT_ZERO, 1, 1); /* some kernels say that instead of EINPROGRESS */
    }
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
      stop (p);
      poll_once ();
      start (p);
      poll_once ();
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
  must_be (fault_calls [FAULT_mmap], ==, 1); /* one page tells of forks */
  must_be (stats ().ring_fds, ==, CROWD);
  must_be (stats ().ring_requests, ==, (unsigned)knob_first + (stats ().rings - 1) * knob_next);
  serve (0, CROWD);
  must_be (stats ().ring_fds, ==, CROWD);
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

/* what poll (2) never waits for is not ours; 1: in a ring, 2: refused by the kernel, 0: on epoll for its kind */
static const struct { unsigned char kind, end, events, where; } expected [] = {
  { WORLD_STREAM   , 0, EV_READ            , 1 }, { WORLD_STREAM     , 1, EV_READ | EV_WRITE, 1 },
  { WORLD_SEQPACKET, 0, EV_READ            , 1 }, { WORLD_TCP        , 0, EV_READ            , 1 },
  { WORLD_TCP      , 1, EV_READ | EV_WRITE , 1 }, { WORLD_PIPE       , 0, EV_READ            , 1 },
  { WORLD_PIPE     , 1, EV_WRITE           , 0 }, { WORLD_FIFO       , 0, EV_READ            , 2 },
  { WORLD_DGRAM    , 0, EV_READ            , 0 }, { WORLD_PTY        , 0, EV_READ            , 0 },
  { WORLD_UDP      , 0, EV_READ            , 0 }, { WORLD_UDP_BOUND  , 0, EV_READ            , 0 },
  { WORLD_LISTEN   , 0, EV_READ            , 0 }, { WORLD_LISTEN_UNIX, 0, EV_READ            , 0 },
  { WORLD_EVENTFD  , 0, EV_READ            , 0 }, { WORLD_SIGNALFD   , 0, EV_READ            , 0 },
  { WORLD_TIMERFD  , 0, EV_READ            , 0 }, { WORLD_EPOLL      , 0, EV_READ            , 0 },
  { WORLD_INOTIFY  , 0, EV_READ            , 0 }, { WORLD_MEMFD      , 0, EV_READ            , 0 },
  { WORLD_DEVNULL  , 0, EV_READ            , 0 }, { WORLD_DIRECTORY  , 0, EV_READ            , 0 }
};

#define KINDS (sizeof (expected) / sizeof (expected [0]))

TEST (kind_of_file_decides_where_it_lives, RING)
{
  struct world_object objects [KINDS];

  /* each has a number of its own: a number that was stopped while armed counts for its next file, too */
  for (unsigned i = 0; i < KINDS; ++i)
    must (world_make (objects + i, expected [i].kind) > expected [i].end);

  for (unsigned i = 0; i < KINDS; ++i)
    {
      struct ev_linuxaio_stats s;
      probe *p = watch (objects [i].fd [expected [i].end], expected [i].events);

      poll_once ();
      s = stats ();

      if ((expected [i].where == 1 ? s.ring_fds : expected [i].where ? s.epoll_refused : s.epoll_kind) != 1)
        give_up (__FILE__, __LINE__, "%s, end %d, events %d: %u in rings, %u kind, %u refused, %u chosen or waiting",
                 world_kinds [expected [i].kind].name, expected [i].end, expected [i].events,
                 s.ring_fds, s.epoll_kind, s.epoll_refused, s.epoll_chosen + s.epoll_waiting);

      stop (p);
      world_unmake (objects + i);
    }
}

/* what was found out about a file is true until its number is set anew */
TEST (file_is_judged_again_when_its_number_is_set_anew, RING)
{
  struct world_object fifo, timer;
  int pair [2];
  probe *p;

  must_be (world_make (&fifo, WORLD_FIFO), ==, 1);
  must_be (world_make (&timer, WORLD_TIMERFD), ==, 1);
  sockets (pair);
  p = watch (fifo.fd [0], EV_READ);

  for (int i = 0; i < 10; ++i)
    {
      poll_once ();
      stop (p);
      poll_once ();
      start (p);
    }

  poll_once ();
  must_be (stats ().refused, ==, 1); /* asked once */
  must_be (stats ().epoll_refused, ==, 1);

  stop (p);
  must_be (dup2 (timer.fd [0], fifo.fd [0]), ==, fifo.fd [0]);
  restart (p, fifo.fd [0], EV_READ);
  poll_once ();
  must_be (stats ().epoll_kind, ==, 1);

  stop (p);
  must_be (dup2 (pair [0], fifo.fd [0]), ==, fifo.fd [0]);
  restart (p, fifo.fd [0], EV_READ);
  poll_once ();
  must_be (stats ().ring_fds, ==, 1);
  p->peer = pair [1];
  ping (p);
  world_unmake (&timer);
}

/*****************************************************************************/
/* write interest, busy polling */

TEST (write_interest_beside_a_read_is_asked_about_before_the_kernel_is_told, COLD | RING | MIXED)
{
  probe *p = reader (), *w = probe_for (p->io.fd, EV_WRITE);
  unsigned long before;
  int i;

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

  /* asked in vain: the kernel is told */
  ping (p);
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

  for (i = 0; i < LONG && stats ().probe_calls == before; ++i)
    {
      stop (w);
      ping (p);
      w->count = 0;
      start (w);
      run_until (w->count, ==, 1);
    }

  must_be (i, >, 1);
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
  pid_t pid;

  reader ();
  poll_once ();
  ev_linuxaio_busy_poll (EV_A_ 1e-9);

  for_child (pid)
    {
      ev_loop_fork (EV_A);
      fault_reset ();
      poll_once ();
      poll_once ();
      must_be (stats ().ring_fds, ==, 1);
    }

  ends_well (pid);
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

  must_be (fault_timeout, <=, 700000);
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
  int fd [2];

  sockets (fd);
  unsetenv ("LIBEV_FLAGS");

  for (unsigned i = 0; i < sizeof (texts) / sizeof (texts [0]); ++i)
    for (unsigned noenv = 0; noenv < 2; ++noenv)
      {
        int before = rings (0);
        struct ev_loop *other;
        ev_io io;

        if (strcmp (texts [i].text, "not set"))
          setenv ("LIBEV_BUSY_POLL", texts [i].text, 1);

        other = ev_loop_new (backend_flags | (noenv ? EVFLAG_NOENV : 0));
        unsetenv ("LIBEV_BUSY_POLL");
        ev_io_init (&io, probe_cb, fd [0], EV_READ);
        ev_io_start (other, &io);
        ev_run (other, EVRUN_NOWAIT);

        if (rings (0) - before != (texts [i].busy && !noenv))
          give_up (__FILE__, __LINE__, "LIBEV_BUSY_POLL=%s%s: %d rings", texts [i].text,
                   noenv ? ", EVFLAG_NOENV" : "", rings (0) - before);

        ev_io_stop (other, &io);
        ev_loop_destroy (other);
      }
}
