/*
 * What libev only does when it is compiled for it: descriptors that are not
 * open (without NDEBUG an assertion fails).
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include "fixture.h"

/* one that nothing else gets meanwhile */
static int
closed_fd (void)
{
  int fd = fcntl (0, F_DUPFD_CLOEXEC, 900);

  must (fd >= 0);
  close (fd);

  return fd;
}

/* without waiting: epoll only looks at the pending events when it comes back */
static void
told_it_is_bad (probe *p)
{
  ev_run (EV_A_ EVRUN_NOWAIT);
  must_be (p->count, ==, 1);
  must_be (p->revents, ==, EV_ERROR | EV_READ | EV_WRITE);
  must (!ev_is_active (&p->io));
}

TEST (watchers_of_a_closed_descriptor_are_told_and_stopped, ALL | COMPILED)
{
  int fd = closed_fd ();

  for (int i = 1; i <= 5; ++i)
    {
      probe *p = watch (fd, i & 1 ? EV_READ : EV_READ | EV_WRITE), *w = watch (fd, EV_WRITE);

      told_it_is_bad (p);
      silent (p);
      must_be (w->count, ==, 1);
      must_be (w->revents, ==, EV_ERROR | EV_READ | EV_WRITE);
    }
}

/* closed behind the loop's back, which is wrong, and found out by the next change */
TEST (write_interest_finds_out_that_a_watched_descriptor_was_closed, ALL | COMPILED)
{
  probe *r = watch_socket (EV_READ), *w;

  ev_run (EV_A_ EVRUN_NOWAIT);
  close (r->io.fd);
  close (r->peer);
  w = watch (r->io.fd, EV_WRITE);
  settle (EV_A);
  must_be (r->seen & w->seen, ==, EV_ERROR | EV_READ | EV_WRITE);
  must (!ev_is_active (&r->io) && !ev_is_active (&w->io));
}

/* select (2) ignores such numbers */
TEST (number_that_was_never_open_is_told, (ALL & ~SELECT) | COMPILED)
{
  told_it_is_bad (watch (5000, EV_READ));
}

TEST (number_that_was_bad_is_served_when_it_is_good, ALL | COMPILED)
{
  int number = closed_fd ();

  for (int i = 0; i < 5; ++i)
    {
      probe *p = watch (number, EV_READ);

      told_it_is_bad (p);
      become (p, WORLD_STREAM);

      if (i & 1)
        restart (p, number, EV_READ);
      else
        {
          ev_run (EV_A_ EVRUN_NOWAIT); /* libev has to see that it is stopped */
          start (p); /* as it was set */
        }

      silent (p);
      put (p->peer);
      told (p, EV_READ);
      stop_and_close (p);
      close (p->peer);
    }
}
