/*
 * What lies between the backend and the kernel: every function of the seam
 * answers with -errno when the kernel refuses, and leaves it at that. libev is
 * embedded, since they are private to it.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#define EV_STANDALONE   1
#define EV_USE_LINUXAIO 1

#include "ev.c"

/* what is true of one fd, or why that cannot be told */
static int
ask (int fd, short events)
{
  struct pollfd p = { fd, events, 0 };
  int res = evsys_poll (&p, 1);

  return res < 0 ? res : p.revents;
}

static int
closed_fd (void)
{
  int fd = dup (0);

  ck_assert_int_ge (fd, 0);
  close (fd);

  return fd;
}

START_TEST (contexts_that_do_not_exist_are_refused)
{
  aio_context_t none = 0;
  struct iocb iocb;
  struct iocb *iocbs [1] = { &iocb };
  struct io_event events [1];

  memset (&iocb, 0, sizeof (iocb));
  ck_assert_int_eq (evsys_io_setup (0, &none), -EINVAL);
  ck_assert_int_eq (evsys_io_setup (1, 0), -EFAULT);
  ck_assert_int_eq (evsys_io_destroy (none), -EINVAL);
  ck_assert_int_eq (evsys_io_submit (none, 1, iocbs), -EINVAL);
  ck_assert_int_eq (evsys_io_cancel (none, &iocb), -EINVAL);
  ck_assert_int_eq (evsys_io_getevents (none, 0, 1, events, 0.), -EINVAL);
}
END_TEST

START_TEST (context_is_made_used_and_destroyed)
{
  aio_context_t ctx = 0;
  struct io_event events [1];

  ck_assert_int_eq (evsys_io_setup (1, &ctx), 0);
  ck_assert (ctx != 0);
  ck_assert_int_eq (evsys_io_submit (ctx, 0, 0), 0);
  ck_assert_int_eq (evsys_io_getevents (ctx, 0, 1, events, 0.), 0);
  ck_assert_int_eq (evsys_io_getevents (ctx, 1, 1, events, 1e-6), 0);
  ck_assert_int_eq (evsys_io_destroy (ctx), 0);
  ck_assert_int_eq (evsys_io_destroy (ctx), -EINVAL);
}
END_TEST

START_TEST (descriptors_that_are_not_open_are_refused)
{
  int fd = closed_fd ();
  struct epoll_event events [1];
  struct stat st;

  ck_assert_int_eq (evsys_epoll_pwait2 (fd, events, 1, 0.), -EBADF);
  ck_assert_int_eq (evsys_epoll_wait (fd, events, 1, 0), -EBADF);
  ck_assert_int_eq (evsys_epoll_del (fd, fd), -EBADF);
  ck_assert_int_eq (evsys_getpeername (fd), -EBADF);
  ck_assert_int_eq (evsys_getsockopt (fd, SO_TYPE), -EBADF);
  ck_assert_int_eq (evsys_fstat (fd, &st), -EBADF);
  ck_assert_int_eq (evsys_close (fd), -EBADF);
  ck_assert_int_eq (ask (fd, POLLIN), POLLNVAL);
}
END_TEST

/* programs that lock themselves up set it to 0, and cannot even poll after that */
START_TEST (poll_beyond_the_limit_of_descriptors_is_refused)
{
  struct rlimit limit, none;
  int res;

  getrlimit (RLIMIT_NOFILE, &limit);
  none = limit;
  none.rlim_cur = 0;
  setrlimit (RLIMIT_NOFILE, &none);
  res = ask (0, POLLIN);
  setrlimit (RLIMIT_NOFILE, &limit);
  ck_assert_int_eq (res, -EINVAL);
}
END_TEST

START_TEST (files_that_do_not_exist_are_refused)
{
  char buf [8];

  ck_assert_int_eq (evsys_readlink ("/proc/self/nothing", buf, sizeof (buf)), -ENOENT);
  ck_assert_int_eq (evsys_read_file ("/proc/self/nothing", buf, sizeof (buf)), -ENOENT);
  ck_assert_int_eq (evsys_read_file ("/proc/self", buf, sizeof (buf)), -EISDIR);
}
END_TEST

START_TEST (memory_there_is_none_of_is_refused)
{
  char *page;

  ck_assert_ptr_eq (evsys_map ((size_t)-1 / 2), 0);
  page = evsys_map (1);
  ck_assert_ptr_ne (page, 0);
  ck_assert_int_eq (*page, 0);
  ck_assert_int_eq (evsys_madvise (page, 1, MADV_WIPEONFORK), 0);
  ck_assert_int_eq (evsys_madvise (page + 1, 1, MADV_WIPEONFORK), -EINVAL);
  ck_assert_int_eq (evsys_unmap (page, 1), 0);
  ck_assert_int_eq (evsys_madvise (page, 1, MADV_WIPEONFORK), -ENOMEM);
  ck_assert_int_eq (evsys_unmap (page + 1, 1), -EINVAL);
  ck_assert_int_eq (evsys_uname (0), -EFAULT);
}
END_TEST

/* the options of a socket are values, whatever errno says */
START_TEST (answers_are_values)
{
  struct utsname un;
  int pair [2], fd;
  char buf [64];

  ck_assert_int_eq (socketpair (AF_UNIX, SOCK_DGRAM, 0, pair), 0);
  fd = epoll_create1 (EPOLL_CLOEXEC);
  errno = EDOM;
  ck_assert_int_eq (evsys_getpeername (pair [0]), 0);
  ck_assert_int_eq (evsys_getsockopt (pair [0], SO_TYPE), SOCK_DGRAM);
  ck_assert_int_eq (evsys_getsockopt (pair [0], SO_ACCEPTCONN), 0);
  ck_assert_int_eq (ask (pair [0], POLLIN), 0);
  ck_assert_int_eq (ask (pair [0], POLLIN | POLLOUT), POLLOUT);
  ck_assert_int_eq (evsys_epoll_del (fd, pair [0]), -ENOENT);
  ck_assert_int_gt (evsys_readlink ("/proc/self", buf, sizeof (buf)), 0);
  ck_assert_int_gt (evsys_read_file ("/proc/self/stat", buf, sizeof (buf)), 0);
  ck_assert_int_eq (evsys_uname (&un), 0);
  ck_assert_int_eq (evsys_close (pair [0]), 0);
  ck_assert_int_eq (evsys_close (pair [1]), 0);
  ck_assert_int_eq (evsys_close (fd), 0);
}
END_TEST

START_TEST (anonymous_files_are_known_by_their_name)
{
  int ends [2];
  int fd = eventfd (0, EFD_CLOEXEC);
  sigset_t none;

  sigemptyset (&none);
  ck_assert_int_eq (linuxaio_kind_by_name (fd), LINUXAIO_IN_RING);
  close (fd);
  ck_assert_int_eq (linuxaio_kind_by_name (fd), LINUXAIO_EPOLL_NO_RING);
  fd = signalfd (-1, &none, SFD_CLOEXEC);
  ck_assert_int_eq (linuxaio_kind_by_name (fd), LINUXAIO_EPOLL_NO_RING);
  close (fd);
  fd = epoll_create1 (EPOLL_CLOEXEC);
  ck_assert_int_eq (linuxaio_kind_by_name (fd), LINUXAIO_EPOLL_NO_RING);
  close (fd);
  ck_assert_int_eq (pipe (ends), 0);
  ck_assert_int_eq (linuxaio_kind_by_name (ends [0]), LINUXAIO_EPOLL_KIND);
  close (ends [0]);
  close (ends [1]);
}
END_TEST

static unsigned
backend_preloaded_with (const char *libraries)
{
  struct ev_loop *loop;
  unsigned res;

  setenv ("LD_PRELOAD", libraries, 1);
  loop = ev_loop_new (EVFLAG_NOENV | EVBACKEND_LINUXAIO);
  ck_assert_ptr_ne (loop, 0);
  res = ev_backend (EV_A);
  ev_loop_destroy (EV_A);
  unsetenv ("LD_PRELOAD");

  return res;
}

START_TEST (loop_runs_on_epoll_under_valgrind)
{
  ck_assert_uint_eq (backend_preloaded_with ("/usr/lib/libfaketime.so.1"), EVBACKEND_LINUXAIO);
  ck_assert_uint_eq (backend_preloaded_with ("/usr/libexec/valgrind/vgpreload_core-amd64-linux.so"), EVBACKEND_EPOLL);
}
END_TEST

START_TEST (version_ends_where_a_letter_begins)
{
  ck_assert_uint_eq (linuxaio_version ("6.1rc2"), 0x060100);
  ck_assert_uint_eq (linuxaio_version ("5.10a.85"), 0x050a00);
}
END_TEST

int
main (void)
{
  Suite *suite = suite_create ("calls");
  TCase *tc    = tcase_create ("seam");
  SRunner *runner;
  int failed;

  tcase_add_test (tc, contexts_that_do_not_exist_are_refused);
  tcase_add_test (tc, context_is_made_used_and_destroyed);
  tcase_add_test (tc, descriptors_that_are_not_open_are_refused);
  tcase_add_test (tc, poll_beyond_the_limit_of_descriptors_is_refused);
  tcase_add_test (tc, files_that_do_not_exist_are_refused);
  tcase_add_test (tc, memory_there_is_none_of_is_refused);
  tcase_add_test (tc, answers_are_values);
  tcase_add_test (tc, anonymous_files_are_known_by_their_name);
  tcase_add_test (tc, loop_runs_on_epoll_under_valgrind);
  tcase_add_test (tc, version_ends_where_a_letter_begins);
  suite_add_tcase (suite, tc);

  runner = srunner_create (suite);
  srunner_run_all (runner, CK_ENV);
  failed = srunner_ntests_failed (runner);
  srunner_free (runner);

  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
