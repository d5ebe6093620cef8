/*
 * Kinds of descriptors: each is watched while it is not ready, made ready,
 * emptied, and made ready again, whichever way the backend serves it.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include <liburing.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>

#include "fixture.h"
#include "suites.h"

#ifndef SYS_pidfd_open
# define SYS_pidfd_open 434
#endif

typedef struct kind
{
  int fd;    /* watched */
  int other; /* what makes it ready, if that is a descriptor */
  void (*ready) (struct kind *);
  void (*consume) (struct kind *);
} kind;

static void
put_other (kind *k)
{
  put (k->other);
}

static void
get_all (kind *k)
{
  get (k->fd);
}

static void
expect_readable_when_ready (kind *k)
{
  probe p;
  int round;

  probe_start (EV_A_ &p, k->fd, EV_READ);
  settle (EV_A);
  ck_assert_int_eq (p.count, 0);

  for (round = 0; round < 5; ++round)
    {
      /* stopped, set and started again in every other round, as programs do */
      if (round & 1)
        probe_restart (EV_A_ &p, k->fd, EV_READ);

      k->ready (k);
      p.count = 0;
      run_until (p.count);
      ck_assert_int_eq (p.revents, EV_READ);
      ev_run (EV_A_ EVRUN_ONCE);
      ck_assert_int_eq (p.count, 2);
      k->consume (k);
      settle (EV_A);
      ck_assert_int_eq (p.count, 2);
    }

  probe_stop (EV_A_ &p);
}

/* what poll (2) calls always ready */
static void
expect_always_ready (int fd, int events)
{
  int i, both;
  probe p;

  probe_start (EV_A_ &p, fd, events);

  for (i = 1; i <= 5; ++i)
    {
      ev_run (EV_A_ i & 1 ? EVRUN_NOWAIT : EVRUN_ONCE);
      ck_assert_int_eq (p.count, i);
      ck_assert_int_eq (p.revents, events);
    }

  for (both = 0; both < 2; ++both)
    {
      probe_stop (EV_A_ &p);
      p.count = 0;
      settle (EV_A);
      ck_assert_int_eq (p.count, 0);
      probe_restart (EV_A_ &p, fd, both ? EV_WRITE : EV_READ);
      run_until (p.count == 2);
    }

  probe_stop (EV_A_ &p);
  close (fd);
}

/*****************************************************************************/
/* files */

static int
temporary_file (void)
{
  int fd = memfd_create ("behaviour", MFD_CLOEXEC);
  FILE *file;

  if (fd >= 0)
    return fd;

  file = tmpfile ();
  ck_assert (file != 0);
  fd = dup (fileno (file));
  fclose (file);

  return fd;
}

static void
temporary_directory (char *path, size_t size)
{
  const char *tmp = getenv ("TMPDIR");

  snprintf (path, size, "%s/behaviour-XXXXXX", tmp ? tmp : "/tmp");
  ck_assert_msg (mkdtemp (path) != 0, "no directory %s", path);
}

START_TEST (regular_file_is_always_ready)
{
  char dir [100], path [120];
  int fd;

  temporary_directory (dir, sizeof (dir));
  snprintf (path, sizeof (path), "%s/file", dir);
  fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  unlink (path);
  rmdir (dir);
  ck_assert_int_ge (fd, 0);
  expect_always_ready (fd, EV_READ | EV_WRITE);
}
END_TEST

START_TEST (memory_file_is_always_ready)
{
  expect_always_ready (temporary_file (), EV_READ | EV_WRITE);
}
END_TEST

START_TEST (directory_is_always_ready)
{
  expect_always_ready (open ("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), EV_READ);
}
END_TEST

START_TEST (dev_null_is_always_ready)
{
  expect_always_ready (open ("/dev/null", O_RDWR | O_CLOEXEC), EV_READ | EV_WRITE);
}
END_TEST

START_TEST (dev_zero_is_always_ready)
{
  expect_always_ready (open ("/dev/zero", O_RDWR | O_CLOEXEC), EV_READ | EV_WRITE);
}
END_TEST

START_TEST (several_always_ready_files_do_not_hide_each_other)
{
  int fd [4], i, round;
  probe p [4];

  for (i = 0; i < 4; ++i)
    {
      fd [i] = i & 1 ? temporary_file () : open ("/dev/null", O_RDWR | O_CLOEXEC);
      probe_start (EV_A_ p + i, fd [i], EV_READ);
    }

  for (round = 1; round <= 5; ++round)
    {
      ev_run (EV_A_ EVRUN_ONCE);

      for (i = 0; i < 4; ++i)
        ck_assert_int_eq (p [i].count, round);
    }

  for (i = 0; i < 4; ++i)
    {
      probe_stop (EV_A_ p + i);
      close (fd [i]);
      p [i].count = 0;
      settle (EV_A);
      ck_assert_int_eq (p [i].count, 0);
    }
}
END_TEST

/*****************************************************************************/
/* pipes and terminals */

START_TEST (pipe_is_served)
{
  int fd [2];
  kind k = { 0, 0, put_other, get_all };

  pipes (fd);
  k.fd    = fd [0];
  k.other = fd [1];
  expect_readable_when_ready (&k);
  close_both (fd);
}
END_TEST

/* kernels before 6.14 or so wake up writers of a full pipe although there is no room yet */
START_TEST (pipe_that_is_still_full_is_not_writable)
{
  char buf [10];
  int fd [2], i;
  probe p;

  pipes (fd);
  ck_assert_int_gt (fcntl (fd [1], F_SETPIPE_SZ, 4096), 0);
  fill (fd [1]);
  probe_start (EV_A_ &p, fd [1], EV_WRITE);
  settle (EV_A);
  ck_assert_int_eq (p.count, 0);

  for (i = 0; i < 10; ++i)
    {
      ck_assert_int_eq (read (fd [0], buf, sizeof (buf)), sizeof (buf));
      settle (EV_A);
      ck_assert_int_eq (p.count, 0);
    }

  get (fd [0]);
  run_until (p.count);
  ck_assert_int_eq (p.seen, EV_WRITE);

  probe_stop (EV_A_ &p);
  close_both (fd);
}
END_TEST

/* opened by name; nothing of it is left when it is open */
static int
fifo (int flags, int *other)
{
  char dir [100], path [120];
  int fd;

  temporary_directory (dir, sizeof (dir));
  snprintf (path, sizeof (path), "%s/fifo", dir);
  ck_assert (!mkfifo (path, 0600));
  fd = open (path, flags | O_NONBLOCK | O_CLOEXEC);

  if (other)
    *other = open (path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);

  unlink (path);
  rmdir (dir);
  ck_assert_int_ge (fd, 0);

  return fd;
}

START_TEST (fifo_is_served)
{
  kind k = { 0, 0, put_other, get_all };

  k.fd = fifo (O_RDONLY, &k.other);
  expect_readable_when_ready (&k);
  close (k.fd);
  close (k.other);
}
END_TEST

/* the kernel refuses to poll this one with AIO, unless it is ready */
START_TEST (fifo_opened_for_both_is_served)
{
  kind k = { 0, 0, put_other, get_all };

  k.fd = k.other = fifo (O_RDWR, 0);
  expect_readable_when_ready (&k);
  close (k.fd);
}
END_TEST

START_TEST (fifo_opened_for_both_is_written_to)
{
  int fd = fifo (O_RDWR, 0);
  probe p;

  fill (fd);
  probe_start (EV_A_ &p, fd, EV_READ | EV_WRITE);
  run_until (p.count);
  ck_assert_int_eq (p.seen, EV_READ);
  get (fd);
  run_until (p.seen & EV_WRITE);

  probe_stop (EV_A_ &p);
  close (fd);
}
END_TEST

START_TEST (terminal_is_served)
{
  kind k = { 0, 0, put_other, get_all };

  k.other = pty (&k.fd);
  expect_readable_when_ready (&k);
  close (k.fd);
  close (k.other);
}
END_TEST

START_TEST (master_of_a_terminal_is_served)
{
  kind k = { 0, 0, put_other, get_all };

  k.fd = pty (&k.other);
  expect_readable_when_ready (&k);
  close (k.fd);
  close (k.other);
}
END_TEST

START_TEST (terminal_is_served_in_both_directions)
{
  int slave, master = pty (&slave);
  probe p;

  probe_start (EV_A_ &p, slave, EV_READ | EV_WRITE);
  run_until (p.count);
  ck_assert_int_eq (p.seen, EV_WRITE);
  put (master);
  run_until (p.revents == (EV_READ | EV_WRITE));
  get (slave);
  p.seen = p.count = 0;
  run_until (p.count == 2);
  ck_assert_int_eq (p.seen, EV_WRITE);

  probe_stop (EV_A_ &p);
  close (slave);
  close (master);
}
END_TEST

START_TEST (hang_up_of_a_terminal_is_reported)
{
  int slave, master = pty (&slave);
  probe p;

  probe_start (EV_A_ &p, slave, EV_READ);
  settle (EV_A);
  ck_assert_int_eq (p.count, 0);
  close (master);
  run_until (p.count);
  ck_assert (p.seen & EV_READ);

  probe_stop (EV_A_ &p);
  close (slave);
}
END_TEST

/*****************************************************************************/
/* sockets */

static void
get_datagram (kind *k)
{
  char c;

  while (recv (k->fd, &c, 1, 0) == 1)
    ;

  ck_assert_int_eq (errno, EAGAIN);
}

START_TEST (unconnected_datagram_socket_is_served)
{
  struct sockaddr_in addr, from;
  kind k = { 0, 0, put_other, get_datagram };

  k.fd    = udp_bound (&addr);
  k.other = udp_bound (&from);
  ck_assert (!connect (k.other, (struct sockaddr *)&addr, sizeof (addr)));
  expect_readable_when_ready (&k);
  close (k.fd);
  close (k.other);
}
END_TEST

START_TEST (connected_datagram_socket_is_served)
{
  struct sockaddr_in addr, from;
  kind k = { 0, 0, put_other, get_datagram };

  k.fd    = udp_bound (&addr);
  k.other = udp_bound (&from);
  ck_assert (!connect (k.other, (struct sockaddr *)&addr, sizeof (addr)));
  ck_assert (!connect (k.fd, (struct sockaddr *)&from, sizeof (from)));
  expect_readable_when_ready (&k);
  close (k.fd);
  close (k.other);
}
END_TEST

static void
packet_pair (int type)
{
  int fd [2];
  kind k = { 0, 0, put_other, get_datagram };

  ck_assert (!socketpair (AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd));
  k.fd    = fd [0];
  k.other = fd [1];
  expect_readable_when_ready (&k);
  close_both (fd);
}

START_TEST (local_datagram_sockets_are_served)
{
  packet_pair (SOCK_DGRAM);
}
END_TEST

START_TEST (local_sequenced_packet_sockets_are_served)
{
  packet_pair (SOCK_SEQPACKET);
}
END_TEST

START_TEST (tcp_sockets_are_served)
{
  int fd [2];
  kind k = { 0, 0, put_other, get_all };

  tcp_sockets (fd);
  k.fd    = fd [0];
  k.other = fd [1];
  expect_readable_when_ready (&k);
  close_both (fd);
}
END_TEST

/* the address of a listening socket, for those that connect to it */
static struct sockaddr_storage listen_addr;
static socklen_t listen_len;

static void
connect_to_it (kind *k)
{
  k->other = socket (listen_addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ck_assert (!connect (k->other, (struct sockaddr *)&listen_addr, listen_len));
}

static void
accept_it (kind *k)
{
  int fd = accept (k->fd, 0, 0);

  ck_assert_int_ge (fd, 0);
  close (fd);
  close (k->other);
}

START_TEST (listening_tcp_socket_is_served)
{
  kind k = { 0, 0, connect_to_it, accept_it };

  k.fd       = tcp_listen ((struct sockaddr_in *)&listen_addr);
  listen_len = sizeof (struct sockaddr_in);
  expect_readable_when_ready (&k);
  close (k.fd);
}
END_TEST

START_TEST (listening_local_socket_is_served)
{
  struct sockaddr_un *addr = (struct sockaddr_un *)&listen_addr;
  kind k = { 0, 0, connect_to_it, accept_it };

  memset (addr, 0, sizeof (*addr));
  addr->sun_family = AF_UNIX;
  k.fd = socket (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

  /* the kernel picks an abstract name */
  ck_assert (!bind (k.fd, (struct sockaddr *)addr, sizeof (sa_family_t)));
  ck_assert (!listen (k.fd, 8));
  listen_len = sizeof (*addr);
  ck_assert (!getsockname (k.fd, (struct sockaddr *)addr, &listen_len));
  expect_readable_when_ready (&k);
  close (k.fd);
}
END_TEST

/*****************************************************************************/
/* descriptors without a file */

static void
add_one (kind *k)
{
  uint64_t one = 1;

  ck_assert_int_eq (write (k->fd, &one, sizeof (one)), sizeof (one));
}

START_TEST (eventfd_is_served)
{
  kind k = { 0, 0, add_one, get_all };

  k.fd = eventfd (0, EFD_NONBLOCK | EFD_CLOEXEC);
  expect_readable_when_ready (&k);
  close (k.fd);
}
END_TEST

START_TEST (eventfd_is_writable_until_it_overflows)
{
  uint64_t most = -2;
  int fd = eventfd (0, EFD_NONBLOCK | EFD_CLOEXEC);
  probe p;

  probe_start (EV_A_ &p, fd, EV_WRITE);
  run_until (p.count == 2);
  ck_assert_int_eq (write (fd, &most, sizeof (most)), sizeof (most));
  settle (EV_A);
  p.count = 0;
  settle (EV_A);
  ck_assert_int_eq (p.count, 0);
  get (fd);
  run_until (p.count);

  probe_stop (EV_A_ &p);
  close (fd);
}
END_TEST

static void
expire_soon (kind *k)
{
  static const struct itimerspec soon = { { 0, 0 }, { 0, 1000000 } };

  ck_assert (!timerfd_settime (k->fd, 0, &soon, 0));
}

START_TEST (timerfd_is_served)
{
  kind k = { 0, 0, expire_soon, get_all };

  k.fd = timerfd_create (CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  expect_readable_when_ready (&k);
  close (k.fd);
}
END_TEST

static char watched_dir [100];

static void
change_directory (kind *k)
{
  char path [120];
  int fd;

  (void)k;
  snprintf (path, sizeof (path), "%s/new", watched_dir);
  fd = open (path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  ck_assert_int_ge (fd, 0);
  close (fd);
  unlink (path);
}

START_TEST (inotify_is_served)
{
  kind k = { 0, 0, change_directory, get_all };

  temporary_directory (watched_dir, sizeof (watched_dir));
  k.fd = inotify_init1 (IN_NONBLOCK | IN_CLOEXEC);
  ck_assert_int_ge (inotify_add_watch (k.fd, watched_dir, IN_CREATE), 0);
  expect_readable_when_ready (&k);
  close (k.fd);
  rmdir (watched_dir);
}
END_TEST

static int inner_end;

static void
drain_inner (kind *k)
{
  struct epoll_event ev;

  ck_assert_int_eq (epoll_wait (k->fd, &ev, 1, 0), 1);
  ck_assert_int_eq (get (inner_end), 1);
}

START_TEST (epoll_is_served)
{
  struct epoll_event ev;
  int fd [2];
  kind k = { 0, 0, put_other, drain_inner };

  sockets (fd);
  inner_end = fd [0];
  k.other   = fd [1];
  k.fd      = epoll_create1 (EPOLL_CLOEXEC);
  memset (&ev, 0, sizeof (ev));
  ev.events = EPOLLIN;
  ck_assert (!epoll_ctl (k.fd, EPOLL_CTL_ADD, inner_end, &ev));
  expect_readable_when_ready (&k);
  close (k.fd);
  close_both (fd);
}
END_TEST

static void
raise_usr1 (kind *k)
{
  (void)k;
  kill (getpid (), SIGUSR1);
}

START_TEST (signalfd_of_the_program_is_served)
{
  kind k = { usr1_fd (), 0, raise_usr1, get_all };
  sigset_t set;

  expect_readable_when_ready (&k);
  close (k.fd);
  sigemptyset (&set);
  sigaddset (&set, SIGUSR1);
  ck_assert (!sigprocmask (SIG_UNBLOCK, &set, 0));
}
END_TEST

static void
wait_for_a_byte (void)
{
  wait_for (inner_end, POLLIN);
}

START_TEST (pidfd_reports_the_end_of_the_child)
{
  int fd [2], pidfd;
  pid_t child;
  probe p;

  sockets (fd);
  inner_end = fd [0];
  child = in_child (wait_for_a_byte);
  pidfd = syscall (SYS_pidfd_open, child, 0);

  if (pidfd < 0)
    {
      fprintf (stderr, "pidfd_reports_the_end_of_the_child: skipped, this host has no pidfd (%s)\n", strerror (errno));
      put (fd [1]);
      ck_assert (child_ok (child));
      close_both (fd);
      return;
    }

  probe_start (EV_A_ &p, pidfd, EV_READ);
  settle (EV_A);
  ck_assert_int_eq (p.count, 0);
  put (fd [1]);
  run_until (p.count == 2);
  ck_assert_int_eq (p.seen, EV_READ);
  ck_assert (child_ok (child));

  probe_stop (EV_A_ &p);
  close (pidfd);
  close_both (fd);
}
END_TEST

static struct io_uring uring;

static void
complete_nothing (kind *k)
{
  (void)k;
  io_uring_prep_nop (io_uring_get_sqe (&uring));
  ck_assert_int_eq (io_uring_submit (&uring), 1);
}

static void
take_completion (kind *k)
{
  struct io_uring_cqe *cqe;

  (void)k;
  ck_assert (!io_uring_peek_cqe (&uring, &cqe));
  io_uring_cqe_seen (&uring, cqe);
}

START_TEST (io_uring_is_served)
{
  kind k = { 0, 0, complete_nothing, take_completion };
  int res = io_uring_queue_init (4, &uring, 0);

  if (res < 0)
    {
      fprintf (stderr, "io_uring_is_served: skipped, this host has no io_uring (%s)\n", strerror (-res));
      return;
    }

  k.fd = uring.ring_fd;
  expect_readable_when_ready (&k);
  io_uring_queue_exit (&uring);
}
END_TEST

/*****************************************************************************/
/* the same number, ever other kinds */

static int
open_ready (int kind_of_file, int *other)
{
  int fd [2];

  *other = -1;

  switch (kind_of_file)
    {
    case 0:  sockets (fd); break;
    case 1:  pipes (fd); break;
    case 2:  fd [1] = pty (fd); break;
    case 3:  return eventfd (1, EFD_NONBLOCK | EFD_CLOEXEC);
    case 4:  return open ("/dev/null", O_RDWR | O_CLOEXEC);
    case 5:  return temporary_file ();
    case 6:  tcp_sockets (fd); break;
    default: fd [0] = fd [1] = fifo (O_RDWR, 0); put (fd [1]); return fd [0];
    }

  put (fd [1]);
  *other = fd [1];

  return fd [0];
}

START_TEST (one_number_serves_all_kinds_in_turn)
{
  int number = open ("/dev/null", O_RDWR | O_CLOEXEC), i, other;
  probe p;

  probe_init (&p, number, EV_READ);

  for (i = 0; i < 24; ++i)
    {
      onto (open_ready (i * 5 % 8, &other), number);
      probe_restart (EV_A_ &p, number, EV_READ);
      p.count = 0;
      run_until (p.count == 2);
      ck_assert_int_eq (p.revents, EV_READ);

      if (other >= 0)
        close (other);
    }

  probe_stop (EV_A_ &p);
  close (number);
}
END_TEST

static void
add (TCase *tc, unsigned on)
{
  (void)on;
  tcase_add_test (tc, regular_file_is_always_ready);
  tcase_add_test (tc, memory_file_is_always_ready);
  tcase_add_test (tc, directory_is_always_ready);
  tcase_add_test (tc, dev_null_is_always_ready);
  tcase_add_test (tc, dev_zero_is_always_ready);
  tcase_add_test (tc, several_always_ready_files_do_not_hide_each_other);

  tcase_add_test (tc, pipe_is_served);
  tcase_add_test (tc, pipe_that_is_still_full_is_not_writable);
  tcase_add_test (tc, fifo_is_served);
  tcase_add_test (tc, fifo_opened_for_both_is_served);
  tcase_add_test (tc, fifo_opened_for_both_is_written_to);
  tcase_add_test (tc, terminal_is_served);
  tcase_add_test (tc, master_of_a_terminal_is_served);
  tcase_add_test (tc, terminal_is_served_in_both_directions);
  tcase_add_test (tc, hang_up_of_a_terminal_is_reported);

  tcase_add_test (tc, unconnected_datagram_socket_is_served);
  tcase_add_test (tc, connected_datagram_socket_is_served);
  tcase_add_test (tc, local_datagram_sockets_are_served);
  tcase_add_test (tc, local_sequenced_packet_sockets_are_served);
  tcase_add_test (tc, tcp_sockets_are_served);
  tcase_add_test (tc, listening_tcp_socket_is_served);
  tcase_add_test (tc, listening_local_socket_is_served);

  tcase_add_test (tc, eventfd_is_served);
  tcase_add_test (tc, eventfd_is_writable_until_it_overflows);
  tcase_add_test (tc, timerfd_is_served);
  tcase_add_test (tc, inotify_is_served);
  tcase_add_test (tc, epoll_is_served);
  tcase_add_test (tc, signalfd_of_the_program_is_served);
  tcase_add_test (tc, pidfd_reports_the_end_of_the_child);
  tcase_add_test (tc, io_uring_is_served);

  tcase_add_test (tc, one_number_serves_all_kinds_in_turn);
}

Suite *
descriptors_suite (void)
{
  return suite_over_backends ("descriptors", add);
}
