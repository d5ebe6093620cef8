/*
 * Closed means closed: once its last watcher is stopped, nothing of the loop
 * keeps a file open that the program has closed, whether the loop runs or not.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include "fixture.h"

/* without running the loop: all that was written, and then the end */
static void
expect_end_of_file (int fd)
{
  int got;

  do
    must (wait_for (fd, POLLIN));
  while ((got = get (fd)) > 0);

  must_be (got, ==, -1);
}

static void
closed (probe *p)
{
  settle (EV_A);
  stop_and_close (p);
  expect_end_of_file (p->peer);
}

TEST (peer_sees_the_end_of_a_stopped_and_closed_socket, ALL)
{
  closed (watch_socket (EV_READ));
}

TEST (peer_sees_the_end_of_a_tcp_connection, ALL)
{
  int fd [2];
  probe *p;

  tcp_sockets (fd);
  p = watch (fd [0], EV_READ);
  p->peer = fd [1];
  closed (p);
}

TEST (peer_sees_the_end_when_both_directions_were_watched, ALL)
{
  closed (watch_socket (EV_READ | EV_WRITE));
}

TEST (reader_of_a_pipe_sees_the_end_when_writing_was_watched, ALL)
{
  int fd [2];
  probe *p;

  pipes (fd);
  fill (fd [1]);
  p = watch (fd [1], EV_WRITE);
  p->peer = fd [0];
  closed (p);
}

TEST (writer_of_a_pipe_learns_that_the_reader_is_gone, ALL)
{
  int fd [2];
  probe *p;

  pipes (fd);
  p = watch (fd [0], EV_READ);
  settle (EV_A);
  stop_and_close (p);

  /* writable all the time, so wait for nothing but the error */
  must (wait_for (fd [1], 0) & POLLERR);
}

/* a request for writing may have outlived the interest in it, beside one for reading that is wanted */
TEST (peer_sees_the_end_when_write_interest_was_dropped_before, ALL)
{
  probe *r = watch_socket (EV_READ), *w;

  fill (r->io.fd);
  w = watch (r->io.fd, EV_WRITE);
  settle (EV_A);
  stop (w);
  closed (r);
}

TEST (peer_sees_the_end_when_the_last_of_two_watchers_stops, ALL)
{
  probe *a = watch_socket (EV_READ), *b = watch (a->io.fd, EV_READ);

  settle (EV_A);
  stop (b);
  closed (a);
}

TEST (peer_sees_the_end_of_a_socket_watched_again_and_again, ALL)
{
  probe *p = watch_socket (EV_READ);
  int i;

  for (i = 0; i < 30; ++i)
    {
      ev_run (EV_A_ EVRUN_NOWAIT);
      restart (p, p->io.fd, i & 1 ? EV_READ : EV_READ | EV_WRITE);
    }

  stop_and_close (p);
  expect_end_of_file (p->peer);
}

#define CROWD 300

/* as a resolver or a server does that gives up on all at once */
TEST (peers_see_the_end_of_hundreds_of_sockets_at_once, ALL)
{
  probe *p [CROWD];
  int fd [2], i;

  room_for_fds (2 * CROWD + 200);

  for (i = 0; i < CROWD; ++i)
    {
      tcp_sockets (fd);
      p [i] = watch (fd [0], EV_READ);
      p [i]->peer = fd [1];
    }

  settle (EV_A);

  for (i = 0; i < CROWD; ++i)
    stop_and_close (p [i]);

  for (i = 0; i < CROWD; ++i)
    expect_end_of_file (p [i]->peer);
}

/*****************************************************************************/
/* in a callback that blocks */

static void
close_other_cb (EV_P_ ev_io *w, int revents)
{
  probe_cb (EV_A_ w, revents);
  ev_io_stop (EV_A_ w);
  stop_and_close ((probe *)w->data);
  expect_end_of_file (((probe *)w->data)->peer);
}

TEST (peer_sees_the_end_while_a_callback_blocks, ALL)
{
  int own;

  for (own = 0; own < 2; ++own)
    {
      probe *p = watch_socket (EV_READ);

      ev_set_cb (&p->io, close_other_cb);
      p->io.data = own ? p : watch_socket (EV_READ);
      p->eat     = 1;
      settle (EV_A);
      put (p->peer);
      run_until (p->count, ==, 1);
    }
}

static void
close_on_timeout_cb (EV_P_ ev_timer *w, int revents)
{
  probe *p = (probe *)w->data;

  (void)loop, (void)revents;
  stop_and_close (p);
  expect_end_of_file (p->peer);
}

TEST (peer_sees_the_end_of_a_connection_that_timed_out, ALL)
{
  probe *p = watch_socket (EV_READ);
  ev_timer timer;

  settle (EV_A);
  ev_timer_init (&timer, close_on_timeout_cb, 0.01, 0.);
  timer.data = p;
  ev_timer_start (EV_A_ &timer);
  run_until (!ev_is_active (&timer));
}

/*****************************************************************************/
/* names are free at once */

static void
expect_name_free (int fd, int family, int type)
{
  struct sockaddr_storage addr;
  socklen_t len = sizeof (addr);
  probe *p = watch (fd, EV_READ);
  int again = socket (family, type | SOCK_CLOEXEC, 0);

  must (!getsockname (fd, (struct sockaddr *)&addr, &len));
  silent (p);
  stop_and_close (p);

  if (bind (again, (struct sockaddr *)&addr, len))
    give_up (__FILE__, __LINE__, "the name is not free: %s", strerror (errno));
}

TEST (port_of_a_closed_listening_socket_is_free_at_once, ALL)
{
  struct sockaddr_in addr;

  expect_name_free (tcp_listen (&addr), AF_INET, SOCK_STREAM);
}

TEST (port_of_a_closed_datagram_socket_is_free_at_once, ALL)
{
  struct sockaddr_in addr;
  int fd [2];

  expect_name_free (udp_bound (&addr), AF_INET, SOCK_DGRAM);
  udp_sockets (fd);
  expect_name_free (fd [0], AF_INET, SOCK_DGRAM);
}

TEST (name_of_a_closed_local_socket_is_free_at_once, ALL)
{
  struct sockaddr_un addr;
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

  /* the kernel picks the name */
  memset (&addr, 0, sizeof (addr));
  addr.sun_family = AF_UNIX;
  must (!bind (fd, (struct sockaddr *)&addr, sizeof (sa_family_t)));
  must (!listen (fd, 8));
  expect_name_free (fd, AF_UNIX, SOCK_STREAM);
}

static struct sockaddr_in server;

static void
stop_serving_cb (EV_P_ ev_io *w, int revents)
{
  probe_cb (EV_A_ w, revents);
  close (accept (w->fd, 0, 0));
  stop_and_close ((probe *)w);
  must_be (tcp_connect (&server), ==, ECONNREFUSED);
}

TEST (closed_listening_socket_refuses_connections_at_once, ALL)
{
  int i;

  for (i = 0; i < 5; ++i)
    {
      probe *p = watch (tcp_listen (&server), EV_READ);

      /* in its callback, or outside of the loop */
      if (i & 1)
        ev_set_cb (&p->io, stop_serving_cb);

      settle (EV_A);
      must_be (tcp_connect (&server), ==, 0);
      run_until (p->count, ==, 1);

      if (i & 1)
        continue;

      close (accept (p->io.fd, 0, 0));
      settle (EV_A);
      stop_and_close (p);
      must_be (tcp_connect (&server), ==, ECONNREFUSED);
    }
}

/*****************************************************************************/
/* and nothing else is changed by that */

/* as servers do it: a write has failed, everything is stopped, then the reason is told */
TEST (stopping_a_watcher_leaves_errno_as_it_was, ALL)
{
  int how, fd [2];

  for (how = 0; how < 3; ++how)
    {
      probe *p;

      how == 0 ? sockets (fd) : how == 1 ? tcp_sockets (fd) : udp_sockets (fd);
      p = watch (fd [0], EV_READ);
      settle (EV_A);
      errno = ECONNRESET;
      stop (p);
      must_be (errno, ==, ECONNRESET);
    }
}

static void
close_first_cb (EV_P_ ev_io *w, int revents)
{
  (void)loop, (void)revents;
  close (w->fd);
  ev_set_cb (w, probe_cb);
}

/* the manual forbids it, programs do it: libev's epoll backend forgets the file without a word, and none may abort */
TEST (descriptor_that_is_closed_before_its_watcher_is_stopped_aborts_nothing, EPOLL | LINUXAIO)
{
  int beside;

  for (beside = 0; beside < 2; ++beside)
    {
      probe *p = watch_socket (EV_READ), *w;

      settle (EV_A);
      w = beside ? watch (p->io.fd, EV_WRITE) : p;
      ev_set_cb (&w->io, close_first_cb);
      put (p->peer);
      run_until (ev_cb (&w->io) == probe_cb);
      settle (EV_A);
      stop (p);
      stop (w);
      settle (EV_A);
      talk (reader (), 10);
    }
}
