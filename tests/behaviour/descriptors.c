/*
 * Kinds of descriptors: what is special to some. (That all are served, whichever way
 * the backend does it, is tried by tests/random.)
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include <linux/perf_event.h>

#include "fixture.h"

static void
set_timer (int fd, time_t seconds, long nanoseconds)
{
  struct itimerspec t = { { 0, 0 }, { seconds, nanoseconds } };

  must (!timerfd_settime (fd, 0, &t, 0));
}

/* its poll takes away what it reports: whoever asks first is told */
TEST (perf_event_is_served, EPOLL | LINUXAIO)
{
  struct perf_event_attr attr;
  struct perf_event_mmap_page *ring;
  long page = sysconf (_SC_PAGESIZE);
  char *pages = (char *)mmap (0, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int fd;
  probe *p;

  memset (&attr, 0, sizeof (attr));
  attr.type           = PERF_TYPE_SOFTWARE;
  attr.size           = sizeof (attr);
  attr.config         = PERF_COUNT_SW_PAGE_FAULTS;
  attr.sample_period  = 1;
  attr.wakeup_events  = 1;
  attr.exclude_kernel = 1;
  attr.disabled       = 1;

  if ((fd = syscall (SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC)) < 0)
    skip ("no perf events for this user here (%s)", strerror (errno));

  ring = (struct perf_event_mmap_page *)mmap (0, 2 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  must (ring != MAP_FAILED && pages != MAP_FAILED && (!madvise (pages, 4 * page, MADV_NOHUGEPAGE) || errno == EINVAL)); /* or it has none */
  p = watch (fd, EV_READ);

  for (int i = 0; i < 4; ++i)
    {
      silent (p);
      must (!ioctl (fd, PERF_EVENT_IOC_ENABLE, 0));
      pages [i * page] = 1;
      must (!ioctl (fd, PERF_EVENT_IOC_DISABLE, 0));
      told (p, EV_READ);
      ring->data_tail = ring->data_head;
    }

  stop_and_close (p);
}

/* libraries take "readable" for "expired", and cancel by setting it anew: what is no longer true is not told */
TEST (timerfd_and_eventfd_that_are_ready_no_more_are_not_reported, ALL)
{
  probe *p = watch_kind (WORLD_TIMERFD, EV_READ);
  uint64_t one = 1;

  settle (EV_A);

  for (int off = 0; off < 2; ++off)
    {
      set_timer (p->io.fd, 0, 1);
      must (wait_for (p->io.fd, POLLIN));
      set_timer (p->io.fd, off ? 0 : 3600, 0);
      silent (p);
    }

  set_timer (p->io.fd, 0, 1);
  told (p, EV_READ);
  stop_and_close (p);

  p = watch_kind (WORLD_EVENTFD, EV_READ);
  settle (EV_A);
  must (write (p->io.fd, &one, sizeof (one)) == sizeof (one));
  get (p->io.fd);
  silent (p);
  stop_and_close (p);
}

/* each iteration of a loop that waits for nothing but its timers is counted: it sleeps in between */
static unsigned
iterations_of_a_sleep (void)
{
  unsigned before = ev_iteration (EV_A);
  int over = 0;

  ev_now_update (EV_A);
  counted (timer, &over, 0.02, 0.);
  run_until (over);

  return ev_iteration (EV_A) - before;
}

/* the first has number 0, which is a number like others */
TEST (loop_sleeps_while_files_of_any_kind_have_nothing_to_say, ALL)
{
  int ends;

  close (0);

  for (int kind = WORLD_STREAM; kind <= WORLD_INOTIFY; ++kind)
    {
      struct world_object o;

      if (kind == WORLD_CONNECTING) /* it has hung up */
        continue;

      must ((ends = world_make (&o, kind)));

      for (int end = 0; end < ends; ++end)
        {
          probe *p = watch (o.fd [end], EV_READ);

          silent (p);
          must_be (iterations_of_a_sleep (), <, 10);
          stop (p);
        }

      world_unmake (&o);
    }
}

/* more room may be found for a connection, at any time: only then it is told */
static void
fill_cb (EV_P_ ev_io *w, int revents)
{
  probe_cb (EV_A_ w, revents);
  must (wait_for (w->fd, POLLOUT) & POLLOUT);
  fill (w->fd);
}

TEST (loop_sleeps_while_sockets_are_full, ALL)
{
  static const int kinds [] = { WORLD_TCP, WORLD_DGRAM, WORLD_STREAM };

  for (int how = 0; how < 6; ++how)
    {
      probe *p = watch_kind (kinds [how % 3], how < 3 ? EV_WRITE : EV_READ | EV_WRITE);

      ev_set_cb (&p->io, fill_cb);
      settle (EV_A);
      p->count = 0;
      must_be (iterations_of_a_sleep (), <, 10u + p->count);
      stop (p);
    }
}
