/*
 * The AIO quota (fs.aio-max-nr) belongs to all processes of the host. A
 * helper process uses it up, and gives it back when told to, or dies with the
 * test: before a loop starts, while it grows, and in a forked child.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include <linux/aio_abi.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "fixture.h"

static int hog_fd = -1; /* the helper leaves when this is closed */
static pid_t hog;

/* contexts as large as there is room for, until there is none for the smallest */
static void
take_what_is_left (void)
{
  unsigned requests = 1 << 16;

  while (requests)
    {
      aio_context_t ctx = 0;

      if (syscall (SYS_io_setup, requests, &ctx))
        requests /= 2;
    }
}

static void
be_the_hog (int fd)
{
  struct pollfd p = { fd, POLLIN, 0 };

  prctl (PR_SET_PDEATHSIG, SIGKILL);
  take_what_is_left ();
  must (write (fd, "x", 1) == 1);

  /* others give theirs back from time to time */
  while (poll (&p, 1, 1) == 0)
    take_what_is_left ();

  _exit (0);
}

static void
use_up_quota (void)
{
  int fd [2];

  ck_assert (!socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
  hog = fork ();
  ck_assert_int_ge (hog, 0);

  if (!hog)
    {
      close (fd [0]);
      be_the_hog (fd [1]);
    }

  close (fd [1]);
  hog_fd = fd [0];
  ck_assert (wait_for (hog_fd, POLLIN));
}

static void
give_quota_back (void)
{
  close (hog_fd);
  hog_fd = -1;
  ck_assert (child_ok (hog));
}

/* a helper whose test has failed may still be on its way out */
static void
wait_for_quota (void)
{
  int tries = patience ();

  for (;;)
    {
      struct pollfd none;
      aio_context_t ctx = 0;

      if (!syscall (SYS_io_setup, 1 << 13, &ctx))
        {
          syscall (SYS_io_destroy, ctx);
          return;
        }

      ck_assert_msg (tries--, "the AIO quota of this host is used up by others, see /proc/sys/fs/aio-nr");
      poll (&none, 0, 1);
    }
}

/*****************************************************************************/

#define CROWD 350 /* whose sockets fit into the 1024 descriptors of an ordinary user */

static int fd [CROWD][2];
static probe p [CROWD];

static void
start_crowd (EV_P_ int from, int to)
{
  int i;

  for (i = from; i < to; ++i)
    {
      sockets (fd [i]);
      probe_start (EV_A_ p + i, fd [i][0], EV_READ);
      p [i].eat = 1;
    }
}

static void
stop_crowd (EV_P_ int from, int to)
{
  int i;

  for (i = from; i < to; ++i)
    {
      probe_stop (EV_A_ p + i);
      close_both (fd [i]);
    }
}

static void
serve_crowd (EV_P_ int count)
{
  int i, before = places;

  for (i = 0; i < count; ++i)
    {
      p [i].count = 0;
      put (fd [i][1]);
    }

  run_until (places - before >= count);
  settle (EV_A);

  for (i = 0; i < count; ++i)
    must (p [i].count == 1);
}

/* runs until the loop has dared to ask for a ring again, and got it */
static void
expect_ring_to_come_back (EV_P)
{
#ifdef PRISTINE
  unsigned long inodes [8];

  settle (EV_A);
  ck_assert_int_gt (contexts (inodes, 8), 0);
#else
  guard g;

  guard_start (EV_A_ &g, __FILE__, __LINE__, "a ring");

  do
    {
      gain (EV_A);
      settle (EV_A);
      ev_linuxaio_stats (EV_A_ &stats);
    }
  while (stats.ring_fds < (unsigned)CROWD);

  guard_stop (EV_A_ &g);
#endif
}

/* the loop would have a ring, if there were quota */
static void
gain_in_vain (EV_P)
{
  gain (EV_A);
  claim (stats.ring_entries == 0);
  claim (stats.setups_refused > 0);
}

START_TEST (loop_starts_without_quota)
{
  struct ev_loop *other;

  use_up_quota ();
  other = ev_loop_new (EVFLAG_NOENV | backend_flag ());
  ck_assert_msg (other != 0, "no loop");
  start_crowd (other, 0, CROWD);
  gain_in_vain (other);
  serve_crowd (other, CROWD);
  give_quota_back ();
  serve_crowd (other, CROWD);
  stop_crowd (other, 0, CROWD);
  ev_loop_destroy (other);
}
END_TEST

START_TEST (default_loop_starts_without_quota)
{
  ev_loop_destroy (EV_A);
  forget_idle ();
  use_up_quota ();
  loop = ev_default_loop (EVFLAG_NOENV | backend_flag ());
  ck_assert_msg (loop != 0, "no default loop");
  start_crowd (EV_A_ 0, CROWD);
  gain_in_vain (EV_A);
  serve_crowd (EV_A_ CROWD);
  stop_crowd (EV_A_ 0, CROWD);
  give_quota_back ();
}
END_TEST

START_TEST (loop_that_grows_without_quota_stays_with_what_it_has)
{
  start_crowd (EV_A_ 0, 40);
  gain (EV_A);
  serve_crowd (EV_A_ 40);
  claim (stats.ring_entries > 0);
  use_up_quota ();
  start_crowd (EV_A_ 40, CROWD);
  serve_crowd (EV_A_ CROWD);
  serve_crowd (EV_A_ CROWD);
  claim (stats.setups_refused > 0);
  ck_assert_uint_eq (ev_backend (EV_A), backend_flag ());
  stop_crowd (EV_A_ 100, CROWD);
  serve_crowd (EV_A_ 100);
  give_quota_back ();
  stop_crowd (EV_A_ 0, 100);
}
END_TEST

START_TEST (ring_comes_back_with_the_quota)
{
  use_up_quota ();
  start_crowd (EV_A_ 0, CROWD);
  serve_crowd (EV_A_ CROWD);
  give_quota_back ();
  serve_crowd (EV_A_ CROWD);
  ck_assert_uint_eq (ev_backend (EV_A), backend_flag ());
  expect_ring_to_come_back (EV_A);
  serve_crowd (EV_A_ CROWD);
  stop_crowd (EV_A_ 0, CROWD);
}
END_TEST

static void
serve_as_child (void)
{
  ev_loop_fork (EV_A);
  serve_crowd (EV_A_ CROWD);
  must (ev_backend (EV_A) == backend_flag ());
  claim (stats.setups_refused > 0);
}

START_TEST (forked_child_serves_without_quota)
{
  pid_t child;

  start_crowd (EV_A_ 0, CROWD);
  serve_crowd (EV_A_ CROWD);
  use_up_quota ();
  child = in_child (serve_as_child);
  ck_assert (child_ok (child));
  serve_crowd (EV_A_ CROWD);
  give_quota_back ();
  stop_crowd (EV_A_ 0, CROWD);
}
END_TEST

static void
serve_without_saying_so (void)
{
  serve_crowd (EV_A_ CROWD);
}

START_TEST (forked_child_that_forgets_ev_loop_fork_serves_without_quota)
{
  pid_t child;

  start_crowd (EV_A_ 0, CROWD);
  serve_crowd (EV_A_ CROWD);
  use_up_quota ();
  child = in_child (serve_without_saying_so);
  ck_assert (child_ok (child));
  serve_crowd (EV_A_ CROWD);
  give_quota_back ();
  stop_crowd (EV_A_ 0, CROWD);
}
END_TEST

START_TEST (ev_loop_fork_without_a_fork_needs_no_quota)
{
  start_crowd (EV_A_ 0, CROWD);
  serve_crowd (EV_A_ CROWD);
  use_up_quota ();
  ev_loop_fork (EV_A);
  serve_crowd (EV_A_ CROWD);
  ck_assert_uint_eq (ev_backend (EV_A), backend_flag ());
  give_quota_back ();
  stop_crowd (EV_A_ 0, CROWD);
}
END_TEST

static void
add (TCase *tc, unsigned on)
{
  if (!(on & LINUXAIO))
    return;

  tcase_add_test (tc, loop_starts_without_quota);
  tcase_add_test (tc, default_loop_starts_without_quota);
  tcase_add_test (tc, ring_comes_back_with_the_quota);
  tcase_add_test (tc, ev_loop_fork_without_a_fork_needs_no_quota);

  /* a loop that begins small; 4.33 itself is not told apart by its size */
  if (on & COLD || !DEFAULT_POLICY)
    tcase_add_test (tc, loop_that_grows_without_quota_stays_with_what_it_has);

  if (on & RING)
    {
      tcase_add_test (tc, forked_child_serves_without_quota);
      tcase_add_test (tc, forked_child_that_forgets_ev_loop_fork_serves_without_quota);
    }
}

int
main (void)
{
  Suite *suites [2] = { 0, 0 };

  before_each_test = wait_for_quota;
  suites [0] = suite_over_backends ("quota", add);

  return run_suites (1, suites);
}
