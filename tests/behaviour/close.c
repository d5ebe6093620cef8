/*
 * Closed means closed: once its last watcher is stopped, nothing of the loop
 * keeps a file open that the program has closed, whether the loop runs or not.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include <stddef.h>
#include <sys/un.h>

#include "fixture.h"
#include "suites.h"

/* without running the loop */
static void
expect_end_of_file (int fd)
{
  char c;

  ck_assert_msg (wait_for (fd, POLLIN) != 0, "the other end never learns that it was closed");
  ck_assert_int_eq (read (fd, &c, 1), 0);
}

static void
expect_closed_when_stopped (int fd [2], int events)
{
  probe p;

  probe_start (EV_A_ &p, fd [0], events);
  settle (EV_A);
  probe_stop (EV_A_ &p);
  close (fd [0]);
  expect_end_of_file (fd [1]);
  close (fd [1]);
}

START_TEST (peer_sees_the_end_of_a_stopped_and_closed_socket)
{
  int fd [2];

  sockets (fd);
  expect_closed_when_stopped (fd, EV_READ);
}
END_TEST

START_TEST (peer_sees_the_end_of_a_tcp_connection)
{
  int fd [2];

  tcp_sockets (fd);
  expect_closed_when_stopped (fd, EV_READ);
}
END_TEST

START_TEST (peer_sees_the_end_when_both_directions_were_watched)
{
  int fd [2];

  sockets (fd);
  expect_closed_when_stopped (fd, EV_READ | EV_WRITE);
}
END_TEST

START_TEST (reader_of_a_pipe_sees_the_end_when_writing_was_watched)
{
  int fd [2];
  probe p;

  pipes (fd);
  fill (fd [1]);
  probe_start (EV_A_ &p, fd [1], EV_WRITE);
  settle (EV_A);
  probe_stop (EV_A_ &p);
  close (fd [1]);

  /* all that was written, and then the end */
  while (get (fd [0]) > 0)
    ;

  expect_end_of_file (fd [0]);
  close (fd [0]);
}
END_TEST

START_TEST (writer_of_a_pipe_learns_that_the_reader_is_gone)
{
  int fd [2];
  probe p;

  pipes (fd);
  probe_start (EV_A_ &p, fd [0], EV_READ);
  settle (EV_A);
  probe_stop (EV_A_ &p);
  close (fd [0]);

  /* writable all the time, so wait for nothing but the error */
  ck_assert (wait_for (fd [1], 0) & POLLERR);
  close (fd [1]);
}
END_TEST

/* a request for writing may have outlived the interest in it, beside one for reading that is wanted */
START_TEST (peer_sees_the_end_when_write_interest_was_dropped_before)
{
  int fd [2];
  probe r, w;

  sockets (fd);
  fill (fd [0]);
  probe_start (EV_A_ &r, fd [0], EV_READ);
  probe_start (EV_A_ &w, fd [0], EV_WRITE);
  settle (EV_A);
  probe_stop (EV_A_ &w);
  settle (EV_A);
  probe_stop (EV_A_ &r);
  close (fd [0]);

  while (get (fd [1]) > 0)
    ;

  expect_end_of_file (fd [1]);
  close (fd [1]);
}
END_TEST

START_TEST (peer_sees_the_end_when_the_last_of_two_watchers_stops)
{
  int fd [2], i;
  probe p [2];

  sockets (fd);

  for (i = 0; i < 2; ++i)
    probe_start (EV_A_ p + i, fd [0], EV_READ);

  settle (EV_A);
  probe_stop (EV_A_ p);
  settle (EV_A);
  probe_stop (EV_A_ p + 1);
  close (fd [0]);
  expect_end_of_file (fd [1]);
  close (fd [1]);
}
END_TEST

START_TEST (peer_sees_the_end_of_a_socket_watched_again_and_again)
{
  int fd [2], i;
  probe p;

  sockets (fd);
  probe_start (EV_A_ &p, fd [0], EV_READ);

  for (i = 0; i < 30; ++i)
    {
      ev_run (EV_A_ EVRUN_NOWAIT);
      probe_restart (EV_A_ &p, fd [0], i & 1 ? EV_READ : EV_READ | EV_WRITE);
    }

  probe_stop (EV_A_ &p);
  close (fd [0]);
  expect_end_of_file (fd [1]);
  close (fd [1]);
}
END_TEST

START_TEST (peers_see_the_end_of_many_sockets_at_once)
{
  static int fd [200][2];
  static probe p [200];
  int i;

  for (i = 0; i < 200; ++i)
    {
      sockets (fd [i]);
      probe_start (EV_A_ p + i, fd [i][0], EV_READ);
    }

  settle (EV_A);

  for (i = 0; i < 200; ++i)
    {
      probe_stop (EV_A_ p + i);
      close (fd [i][0]);
    }

  for (i = 0; i < 200; ++i)
    {
      expect_end_of_file (fd [i][1]);
      close (fd [i][1]);
    }
}
END_TEST

/*****************************************************************************/
/* in a callback that blocks */

static int held [2];
static probe held_probe;

static void
close_and_block_cb (EV_P_ ev_io *w, int revents)
{
  probe_cb (EV_A_ w, revents);
  ev_io_stop (EV_A_ w);
  ev_io_stop (EV_A_ &held_probe.io);
  close (held [0]);
  expect_end_of_file (held [1]);
}

START_TEST (peer_sees_the_end_while_the_callback_of_another_fd_blocks)
{
  int fd [2];
  probe p;

  sockets (held);
  sockets (fd);
  probe_start (EV_A_ &held_probe, held [0], EV_READ);
  probe_init (&p, fd [0], EV_READ);
  ev_set_cb (&p.io, close_and_block_cb);
  ev_io_start (EV_A_ &p.io);
  settle (EV_A);
  put (fd [1]);
  run_until (p.count);

  close (held [1]);
  close_both (fd);
}
END_TEST

static void
close_own_and_block_cb (EV_P_ ev_io *w, int revents)
{
  probe_cb (EV_A_ w, revents);
  get (w->fd);
  ev_io_stop (EV_A_ w);
  close (w->fd);
  expect_end_of_file (held [1]);
}

START_TEST (peer_sees_the_end_while_the_own_callback_blocks)
{
  probe p;

  sockets (held);
  probe_init (&p, held [0], EV_READ);
  ev_set_cb (&p.io, close_own_and_block_cb);
  ev_io_start (EV_A_ &p.io);
  settle (EV_A);
  put (held [1]);
  run_until (p.count);

  close (held [1]);
}
END_TEST

static void
close_on_timeout_cb (EV_P_ ev_timer *w, int revents)
{
  count_cb (EV_A_ w, revents);
  ev_io_stop (EV_A_ &held_probe.io);
  close (held [0]);
  expect_end_of_file (held [1]);
}

START_TEST (peer_sees_the_end_of_a_connection_that_timed_out)
{
  ev_timer timer;
  int expired = 0;

  tcp_sockets (held);
  probe_start (EV_A_ &held_probe, held [0], EV_READ);
  settle (EV_A);
  ev_timer_init (&timer, close_on_timeout_cb, 0.01, 0.);
  timer.data = &expired;
  ev_timer_start (EV_A_ &timer);
  run_until (expired);

  close (held [1]);
}
END_TEST

/*****************************************************************************/
/* names are free at once */

static void
expect_name_free (int fd, int again, const void *addr, socklen_t len)
{
  probe p;

  probe_start (EV_A_ &p, fd, EV_READ);
  settle (EV_A);
  ck_assert_int_eq (p.count, 0);
  probe_stop (EV_A_ &p);
  close (fd);
  ck_assert_msg (!bind (again, (const struct sockaddr *)addr, len), "bind: %s", strerror (errno));
  close (again);
}

START_TEST (port_of_a_closed_listening_socket_is_free_at_once)
{
  struct sockaddr_in addr;
  int fd = tcp_listen (&addr);

  expect_name_free (fd, socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), &addr, sizeof (addr));
}
END_TEST

START_TEST (port_of_a_closed_datagram_socket_is_free_at_once)
{
  struct sockaddr_in addr;
  int fd = udp_bound (&addr);

  expect_name_free (fd, socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), &addr, sizeof (addr));
}
END_TEST

START_TEST (port_of_a_closed_connected_datagram_socket_is_free_at_once)
{
  struct sockaddr_in addr, peer;
  int fd = udp_bound (&addr), other = udp_bound (&peer);

  ck_assert (!connect (fd, (struct sockaddr *)&peer, sizeof (peer)));
  expect_name_free (fd, socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), &addr, sizeof (addr));
  close (other);
}
END_TEST

START_TEST (name_of_a_closed_local_socket_is_free_at_once)
{
  struct sockaddr_un addr;
  socklen_t len = sizeof (addr);
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

  /* the kernel picks the name */
  memset (&addr, 0, sizeof (addr));
  addr.sun_family = AF_UNIX;
  ck_assert (!bind (fd, (struct sockaddr *)&addr, sizeof (sa_family_t)));
  ck_assert (!listen (fd, 8));
  ck_assert (!getsockname (fd, (struct sockaddr *)&addr, &len));
  expect_name_free (fd, socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), &addr, len);
}
END_TEST

START_TEST (closed_listening_socket_refuses_connections_at_once)
{
  struct sockaddr_in addr;
  int i;

  for (i = 0; i < 5; ++i)
    {
      int fd = tcp_listen (&addr);
      probe p;

      probe_start (EV_A_ &p, fd, EV_READ);
      settle (EV_A);
      ck_assert_int_eq (tcp_connect (&addr), 0);
      run_until (p.count);
      close (accept (fd, 0, 0));
      settle (EV_A);
      probe_stop (EV_A_ &p);
      close (fd);
      ck_assert_int_eq (tcp_connect (&addr), ECONNREFUSED);
    }
}
END_TEST

static struct sockaddr_in server_addr;
static int server_reply;

static void
stop_serving_cb (EV_P_ ev_io *w, int revents)
{
  probe_cb (EV_A_ w, revents);
  close (accept (w->fd, 0, 0));
  ev_io_stop (EV_A_ w);
  close (w->fd);
  server_reply = tcp_connect (&server_addr);
}

START_TEST (listening_socket_closed_in_its_callback_refuses_connections)
{
  int fd = tcp_listen (&server_addr);
  probe p;

  probe_init (&p, fd, EV_READ);
  ev_set_cb (&p.io, stop_serving_cb);
  ev_io_start (EV_A_ &p.io);
  settle (EV_A);
  ck_assert_int_eq (tcp_connect (&server_addr), 0);
  run_until (p.count);
  ck_assert_int_eq (server_reply, ECONNREFUSED);
}
END_TEST

static void
add (TCase *tc, unsigned on)
{
  (void)on;
  tcase_add_test (tc, peer_sees_the_end_of_a_stopped_and_closed_socket);
  tcase_add_test (tc, peer_sees_the_end_of_a_tcp_connection);
  tcase_add_test (tc, peer_sees_the_end_when_both_directions_were_watched);
  tcase_add_test (tc, reader_of_a_pipe_sees_the_end_when_writing_was_watched);
  tcase_add_test (tc, writer_of_a_pipe_learns_that_the_reader_is_gone);
  tcase_add_test (tc, peer_sees_the_end_when_write_interest_was_dropped_before);
  tcase_add_test (tc, peer_sees_the_end_when_the_last_of_two_watchers_stops);
  tcase_add_test (tc, peer_sees_the_end_of_a_socket_watched_again_and_again);
  tcase_add_test (tc, peers_see_the_end_of_many_sockets_at_once);

  tcase_add_test (tc, peer_sees_the_end_while_the_callback_of_another_fd_blocks);
  tcase_add_test (tc, peer_sees_the_end_while_the_own_callback_blocks);
  tcase_add_test (tc, peer_sees_the_end_of_a_connection_that_timed_out);

  tcase_add_test (tc, port_of_a_closed_listening_socket_is_free_at_once);
  tcase_add_test (tc, port_of_a_closed_datagram_socket_is_free_at_once);
  tcase_add_test (tc, port_of_a_closed_connected_datagram_socket_is_free_at_once);
  tcase_add_test (tc, name_of_a_closed_local_socket_is_free_at_once);
  tcase_add_test (tc, closed_listening_socket_refuses_connections_at_once);
  tcase_add_test (tc, listening_socket_closed_in_its_callback_refuses_connections);
}

Suite *
close_suite (void)
{
  return suite_over_backends ("close", add);
}
