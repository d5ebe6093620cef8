/*
 * What programs seldom do, and each of which has a branch of its own in the
 * backend. The kernel is the real one and refuses nothing.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include <sys/un.h>

#include "fixture.h"

/*****************************************************************************/
/* a direction that is not wanted any more stays in flight, and may be wanted again */

static int fd [2];
static probe r, w;

/* reading is watched all the time; writing is wanted again, while the request of the first time is in flight */
static void
want_to_write_again (void)
{
  sockets (fd);
  fill (fd [0]);
  probe_start (EV_A_ &r, fd [0], EV_READ);
  probe_start (EV_A_ &w, fd [0], EV_WRITE);
  settle (EV_A);
  probe_stop (EV_A_ &w);
  settle (EV_A);
  ck_assert_int_eq (w.count, 0);
}

static void
finish (void)
{
  run_until (w.count);
  ck_assert_int_eq (w.revents, EV_WRITE);
  ck_assert_int_eq (r.count, 0);
  probe_stop (EV_A_ &w);
  probe_stop (EV_A_ &r);
  close_both (fd);
}

START_TEST (direction_wanted_again_is_reported_when_it_is_ready)
{
  want_to_write_again ();
  ev_io_start (EV_A_ &w.io);
  settle (EV_A);
  ck_assert_int_eq (w.count, 0);
  get (fd [1]);
  finish ();
}
END_TEST

START_TEST (direction_wanted_again_is_reported_when_it_was_ready_before)
{
  want_to_write_again ();
  get (fd [1]);
  ev_io_start (EV_A_ &w.io);
  finish ();
}
END_TEST

START_TEST (direction_that_was_ready_before_it_was_wanted_again_is_not_reported)
{
  want_to_write_again ();
  get (fd [1]);
  fill (fd [0]);
  ev_io_start (EV_A_ &w.io);
  settle (EV_A);
  ck_assert_int_eq (w.count, 0);
  get (fd [1]);
  finish ();
}
END_TEST

START_TEST (direction_that_was_not_wanted_is_not_reported)
{
  want_to_write_again ();
  get (fd [1]);
  settle (EV_A);
  ck_assert_int_eq (w.count, 0);
  ev_io_start (EV_A_ &w.io);
  finish ();
}
END_TEST

/*****************************************************************************/
/* kinds of sockets */

static int
local_socket (int type, struct sockaddr_un *addr)
{
  int res = socket (AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

  must (res >= 0);
  memset (addr, 0, sizeof (*addr));
  addr->sun_family = AF_UNIX;
  snprintf (addr->sun_path + 1, sizeof (addr->sun_path) - 1, "ev_linuxaio-%d", (int)getpid ());

  return res;
}

static void
expect_kind (int which, unsigned kind)
{
  probe q;

  probe_start (EV_A_ &q, which, EV_READ);
  ev_run (EV_A_ EVRUN_NOWAIT);
  claim (stats.epoll_kind == kind);
  claim (stats.ring_fds == idle_fds + 1u - kind);
  probe_stop (EV_A_ &q);
  ev_run (EV_A_ EVRUN_NOWAIT);
}

START_TEST (socket_on_its_way_to_a_peer_is_served_by_the_ring)
{
  struct sockaddr_un addr;
  int stream = local_socket (SOCK_STREAM, &addr);
  int packet = local_socket (SOCK_SEQPACKET, &addr);
  int listener = local_socket (SOCK_SEQPACKET, &addr);
  int datagram = local_socket (SOCK_DGRAM, &addr);

  ck_assert_int_eq (bind (listener, (struct sockaddr *)&addr, sizeof (addr)), 0);
  ck_assert_int_eq (listen (listener, 1), 0);

  expect_kind (stream, 0);
  expect_kind (packet, 0);
  expect_kind (listener, 1);
  expect_kind (datagram, 1);

  close (stream);
  close (packet);
  close (listener);
  close (datagram);
}
END_TEST

/*****************************************************************************/
/* descriptors that are closed while they are watched */

static void
close_cb (EV_P_ ev_io *io, int revents)
{
  (void)loop;
  r.seen |= revents;
  ++r.count;

  if (revents == EV_READ)
    close (io->fd);
}

/* the request is armed again, and the kernel finds nothing there: the watcher is told and stopped */
START_TEST (descriptor_closed_by_the_callback_that_still_watches_it_is_an_error)
{
  sockets (fd);
  probe_init (&r, fd [0], EV_READ);
  ev_set_cb (&r.io, close_cb);
  ev_io_start (EV_A_ &r.io);
  settle (EV_A);
  put (fd [1]);
  run_until (r.seen & EV_ERROR);
  ck_assert_int_eq (r.count, 2);
  ck_assert (!ev_is_active (&r.io));
  claim (stats.ring_fds == (unsigned)idle_fds);
  claim (stats.refused == 1);
  close (fd [1]);
}
END_TEST

/* the file lives on, and is registered with epoll for a number that is another's now */
START_TEST (events_of_a_file_that_lives_on_in_a_dup_do_not_reach_the_next_one)
{
  int slave, master = pty (&slave), other = fcntl (slave, F_DUPFD_CLOEXEC, 0), number = slave;
  unsigned long moved;

  probe_start (EV_A_ &r, number, EV_READ);
  settle (EV_A);
  claim (stats.epoll_kind == 1);
  moved = stats.moved_to_ring;
  ev_io_stop (EV_A_ &r.io);

  sockets (fd);
  onto (fd [0], number);
  ev_io_set (&r.io, number, EV_READ);
  ev_io_start (EV_A_ &r.io);
  settle (EV_A);
  claim (stats.epoll_kind == 0);
  claim (stats.moved_to_ring == moved);

  put (master);
  ck_assert_int_eq (wait_for (other, POLLIN), POLLIN); /* a worker of the kernel hands it over */
  settle (EV_A);
  ck_assert_int_eq (r.count, 0);

  put (fd [1]);
  run_until (r.count);
  probe_stop (EV_A_ &r);
  close (number);
  close (fd [1]);
  close (other);
  close (master);
}
END_TEST

/*****************************************************************************/
/* forks */

static int forks_left;

static void
fork_cb (EV_P_ ev_prepare *prepare, int revents)
{
  (void)loop, (void)revents;

  if (forks_left-- > 0)
    *(pid_t *)prepare->data = fork ();
}

/* after ev_run has looked whether there was a fork, before the poll */
START_TEST (child_that_is_forked_by_a_prepare_watcher_serves_its_own)
{
  int mine [2], others [2];
  ev_prepare prepare;
  pid_t child = -1;
  probe parents, childs;

  sockets (mine);
  sockets (others);
  probe_start (EV_A_ &parents, mine [0], EV_READ);
  parents.eat = 1;
  settle (EV_A);

  forks_left = 1;
  ev_prepare_init (&prepare, fork_cb);
  prepare.data = &child;
  ev_prepare_start (EV_A_ &prepare);
  ev_run (EV_A_ EVRUN_NOWAIT);

  if (!child)
    {
      probe_start (EV_A_ &childs, others [0], EV_READ);
      childs.eat = 1;
      put (others [1]);
      run_until (childs.count == 1);
      must (parents.count == 0);
      _exit (0);
    }

  ck_assert_int_gt (child, 0);
  ck_assert (child_ok (child));
  ck_assert_int_eq (parents.count, 0);
  put (mine [1]);
  run_until (parents.count == 1);

  ev_prepare_stop (EV_A_ &prepare);
  probe_stop (EV_A_ &parents);
  close_both (mine);
  close_both (others);
}
END_TEST

#define MANY 1500

/* the backend knows of fewer numbers than libev, or of more */
START_TEST (ev_loop_fork_without_a_fork_leaves_everything_served)
{
  static probe probes [MANY];
  static int socks [MANY], slaves [10], masters [10];
  static probe terminals [10];
  int many = room_for_fds (MANY + 500) < MANY + 500 ? 200 : MANY;
  int i, before;

  for (i = 0; i < 10; ++i)
    {
      masters [i] = pty (slaves + i);
      probe_start (EV_A_ terminals + i, slaves [i], EV_READ);
      terminals [i].eat = 1;
    }

  for (i = 0; i < many; i += 2)
    {
      sockets (socks + i);
      probe_start (EV_A_ probes + i, socks [i], EV_READ);
      probe_start (EV_A_ probes + i + 1, socks [i + 1], EV_READ);
      probes [i].eat = probes [i + 1].eat = 1;
    }

  settle (EV_A);

  /* one is on epoll, but has been stopped */
  probe_stop (EV_A_ terminals);
  ev_run (EV_A_ EVRUN_NOWAIT);
  ev_loop_fork (EV_A);
  ev_io_start (EV_A_ &terminals [0].io);
  settle (EV_A);
  ck_assert_int_eq (places, 0);

  for (i = 0; i < many; ++i)
    put (socks [i ^ 1]);

  for (i = 0; i < 10; ++i)
    put (masters [i]);

  before = places;
  run_until (places - before >= many + 10);
  settle (EV_A);

  for (i = 0; i < many; ++i)
    ck_assert_int_eq (probes [i].count, 1);

  for (i = 0; i < 10; ++i)
    ck_assert_int_eq (terminals [i].count, 1);

  for (i = 0; i < many; ++i)
    {
      probe_stop (EV_A_ probes + i);
      close (socks [i]);
    }

  for (i = 0; i < 10; ++i)
    {
      probe_stop (EV_A_ terminals + i);
      close (slaves [i]);
      close (masters [i]);
    }
}
END_TEST

static struct rlimit limit;
static int complaints;

static void
raise_limit (const char *message) EV_NOEXCEPT
{
  (void)message;
  ++complaints;
  setrlimit (RLIMIT_NOFILE, &limit);
}

/* as long as there is no epoll, the program is asked to see to it */
START_TEST (epoll_that_cannot_be_made_again_is_asked_for_until_it_can)
{
  struct rlimit none;
  int pair [2];
  probe q;

  sockets (pair);
  probe_start (EV_A_ &q, pair [0], EV_READ);
  q.eat = 1;
  settle (EV_A);

  getrlimit (RLIMIT_NOFILE, &limit);
  none = limit;
  none.rlim_cur = 0;
  setrlimit (RLIMIT_NOFILE, &none);
  ev_set_syserr_cb (raise_limit);
  ev_loop_fork (EV_A);
  ev_run (EV_A_ EVRUN_NOWAIT);
  ck_assert_int_eq (complaints, 1);

  put (pair [1]);
  run_until (q.count == 1);
  ev_set_syserr_cb (0);
  probe_stop (EV_A_ &q);
  close_both (pair);
}
END_TEST

static void
add (TCase *tc, unsigned on)
{
  if (on & RING)
    {
      tcase_add_test (tc, socket_on_its_way_to_a_peer_is_served_by_the_ring);
      tcase_add_test (tc, events_of_a_file_that_lives_on_in_a_dup_do_not_reach_the_next_one);
      tcase_add_test (tc, descriptor_closed_by_the_callback_that_still_watches_it_is_an_error);
    }

  if (on & (EPOLL | LINUXAIO))
    tcase_add_test (tc, epoll_that_cannot_be_made_again_is_asked_for_until_it_can);

  if (on & LINUXAIO)
    tcase_add_test (tc, child_that_is_forked_by_a_prepare_watcher_serves_its_own);

  if (on & ~SELECT)
    tcase_add_test (tc, ev_loop_fork_without_a_fork_leaves_everything_served);

  tcase_add_test (tc, direction_wanted_again_is_reported_when_it_is_ready);
  tcase_add_test (tc, direction_wanted_again_is_reported_when_it_was_ready_before);
  tcase_add_test (tc, direction_that_was_ready_before_it_was_wanted_again_is_not_reported);
  tcase_add_test (tc, direction_that_was_not_wanted_is_not_reported);
}

int
main (void)
{
  Suite *suites [] = { suite_over_backends ("rare", add), 0 };

  return run_suites (0, suites);
}
