/*
 * Loops, waiting, watchers that remember, descriptors and children.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */

#include "fixture.h"

__thread struct ev_loop *loop;
__thread int places;
unsigned backend, backend_flags;

static __thread int fence [2]; /* what settle sends its bytes through */
static int fds_before;

/*****************************************************************************/
/* waiting */

int
patience (void)
{
  return 8000 * patience_factor (); /* kernel workers of a busy host have been seen to take 4 s */
}

int
wait_for (int fd, int events)
{
  struct pollfd p = { fd, events, 0 };
  int tries = 0;

  /* as with the loop: the time that this process is given counts */
  while (!p.revents && tries++ < patience () / 500)
    {
      progress ();

      if (poll (&p, 1, 500) < 0)
        must (errno == EINTR);
    }

  return p.revents;
}

static void
open_fence (void)
{
  if (!fence [1])
    sockets (fence);
}

static void
fence_cb (EV_P_ ev_io *w, int revents)
{
  *(int *)w->data += get (w->fd);
  ev_io_stop (EV_A_ w);
}

void
settle (EV_P)
{
  ev_io io;
  int passed = 0;

  open_fence ();
  ev_io_init (&io, fence_cb, fence [0], EV_READ);
  io.data = &passed;

  for (int round = 1; round <= 8; ++round)
    {
      ev_io_start (EV_A_ &io);
      put (fence [1]);
      run_until (passed, ==, round);
      ev_run (EV_A_ EVRUN_NOWAIT);
    }
}

/*****************************************************************************/
/* the loop */

void
force_ring (EV_P)
{
  ev_io io;

  /* something that a ring can serve has to be watched; others may have used up the quota for a moment */
  open_fence ();
  ev_io_init (&io, fence_cb, fence [0], EV_READ);
  ev_io_start (EV_A_ &io);

  for (int tries = patience () / 10; tries && !rings (0) && ev_backend (EV_A) != EVBACKEND_EPOLL; --tries)
    {
      usleep (tries % 2 * 10000);
      ev_linuxaio_busy_poll (EV_A_ 1e-9);
      ev_run (EV_A_ EVRUN_NOWAIT);
    }

  if (ev_backend (EV_A) == EVBACKEND_EPOLL)
    skip ("AIO does not work on this host");

  ev_linuxaio_busy_poll (EV_A_ 0.);
  ev_io_stop (EV_A_ &io);
  must_be (rings (0), >, 0);
}

static struct ev_loop *
checked_loop (EV_P)
{
  must (loop != 0);
  must (ev_backend (EV_A) & backend_flags);

  if (backend == RING)
    force_ring (EV_A);

  return loop;
}

struct ev_loop *
another_loop (void)
{
  return checked_loop (ev_loop_new (EVFLAG_NOENV | backend_flags));
}

void
loop_with_flags (unsigned flags, int as_default)
{
  ev_loop_destroy (EV_A);
  loop = checked_loop ((as_default ? ev_default_loop : ev_loop_new) (EVFLAG_NOENV | backend_flags | flags));
}

void
fixture_setup (void)
{
  signal (SIGPIPE, SIG_IGN);

  ev_set_allocator (counting_alloc);
  open_fence ();
  fds_before = open_fds ("anon_inode");
  loop = another_loop ();
}

void
fixture_teardown (void)
{
  if (loop)
    {
      ev_verify (EV_A);
      ev_loop_destroy (EV_A);
    }

  must_be (open_fds ("anon_inode"), ==, fds_before);
  must_be (rings (0), ==, 0);
  must_be (allocated_blocks, ==, 0);
}

/*****************************************************************************/
/* probes */

void
probe_cb (EV_P_ ev_io *w, int revents)
{
  probe *p = (probe *)w;
  char buf [64];

  ++p->count;
  p->revents = revents;
  p->seen   |= revents;
  p->place   = ++places;

  if (p->eat && revents & EV_READ && read (w->fd, buf, p->eat) < 0)
    must (errno == EAGAIN);
}

probe *
probe_for (int fd, int events)
{
  probe *p = (probe *)calloc (1, sizeof (*p));

  ev_io_init (&p->io, probe_cb, fd, events);
  p->peer = -1;

  return p;
}

probe *
watch (int fd, int events)
{
  probe *p = probe_for (fd, events);

  start (p);

  return p;
}

probe *
watch_kind (int kind, int events)
{
  int fd [2];
  probe *p;

  make (kind, fd);
  p = watch (fd [0], events);
  p->peer = fd [1];

  return p;
}

probe *
reader_of (int kind)
{
  probe *p = watch_kind (kind, EV_READ);

  p->eat = 1;

  return p;
}

void
restart (probe *p, int fd, int events)
{
  ev_io_stop (EV_A_ &p->io);
  ev_io_set (&p->io, fd, events);
  ev_io_start (EV_A_ &p->io);
}

void
become (probe *p, int kind)
{
  int fd [2];

  make (kind, fd);
  onto (fd [0], p->io.fd);
  p->peer = fd [1];
}

void
told (probe *p, int events)
{
  p->count = p->seen = 0;
  run_until (p->count, >, 0);
  must_be (p->seen, ==, events);
}

void
silent (probe *p)
{
  int before = p->count;

  settle (EV_A);
  must_be (p->count - before, ==, 0);
}

void
ping (probe *p)
{
  int before = p->count;

  put (p->peer);
  run_until (p->count, ==, before + 1);
}

void
talk (probe *p, int rounds)
{
  p->count = 0;

  while (rounds--)
    ping (p);

  silent (p);
}

void
crowd_open (probe **p, int count)
{
  while (count--)
    *p++ = reader ();
}

void
crowd_told (probe **p, int count)
{
  int before = places;

  for (int i = 0; i < count; ++i)
    {
      p [i]->count = 0;
      put (p [i]->peer);
    }

  run_until (places - before, >=, count);
  settle (EV_A);

  for (int i = 0; i < count; ++i)
    must_be (p [i]->count, ==, 1);

  must_be (places - before, ==, count);
}

void
serve_crowd (int count, int rounds)
{
  probe *p [CROWD_MAX];

  crowd_open (p, count);

  while (rounds--)
    crowd_told (p, count);

  for (int i = 0; i < count; ++i)
    {
      stop_and_close (p [i]);
      close (p [i]->peer);
    }
}

/*****************************************************************************/
/* descriptors */

/* the slave of a terminal first: its master is what makes it readable */
void
make (int kind, int fd [2])
{
  struct world_object o;

  progress ();

  if (!world_make (&o, kind))
    give_up (__FILE__, __LINE__, "no %s: %s", world_kinds [kind].name, strerror (errno));

  fd [0] = o.fd [kind == WORLD_PTY];
  fd [1] = o.fd [kind != WORLD_PTY];
}

struct sockaddr_storage
address_of (int fd, socklen_t *len)
{
  struct sockaddr_storage addr;

  *len = sizeof (addr);
  must (!getsockname (fd, (struct sockaddr *)&addr, len));

  return addr;
}

void
put (int fd)
{
  while (write (fd, "x", 1) != 1)
    must (errno == EINTR); /* valgrind */
}

int
get (int fd)
{
  char buf [4096];
  int all = 0, res;

  while ((res = read (fd, buf, sizeof (buf))) > 0)
    all += res;

  if (res < 0)
    must (errno == EAGAIN);

  return all ? all : res < 0 ? 0 : -1;
}

void
fill (int fd)
{
  static const char buf [4096];

  while (write (fd, buf, sizeof (buf)) > 0)
    ;

  while (write (fd, buf, 1) > 0)
    ;

  must (errno == EAGAIN);
}

void
onto (int from, int to)
{
  if (from != to)
    {
      must (dup3 (from, to, O_CLOEXEC) == to);
      close (from);
    }
}

unsigned
room_for_fds (unsigned want)
{
  struct rlimit lim;

  must (!getrlimit (RLIMIT_NOFILE, &lim));

  if (lim.rlim_max < want)
    skip ("only %lu of %u descriptors are allowed here (ulimit -Hn)", (unsigned long)lim.rlim_max, want);

  lim.rlim_cur = lim.rlim_max;
  must (!setrlimit (RLIMIT_NOFILE, &lim));

  return want;
}

/*****************************************************************************/
/* children */

pid_t
child (void)
{
  pid_t pid;

  progress ();
  fflush (0);
  pid = fork ();
  must (pid >= 0);

  if (!pid)
    {
      signal (SIGABRT, SIG_DFL); /* its parent sees how it ends */
      signal (SIGSEGV, SIG_DFL);
      watch_over ();
      prctl (PR_SET_PDEATHSIG, SIGKILL);

      /* what it sends to itself is not for its parent */
      close_both (fence);
      sockets (fence);
    }

  return pid;
}

pid_t
in_child (void (*body) (void))
{
  pid_t pid;

  for_child (pid)
    body ();

  return pid;
}

void
ends_well (pid_t pid)
{
  int status;
  pid_t res;

  wish = (struct wish) { __FILE__, "the end of a child", __LINE__, -1, 0, 0 };

  do
    res = waitpid (pid, &status, 0);
  while (res < 0 && errno == EINTR);

  wish = (struct wish) { 0 };
  must (res == pid);
  progress ();

  if (WIFSIGNALED (status))
    give_up (__FILE__, __LINE__, "a child was killed by signal %d (%s)", WTERMSIG (status), strsignal (WTERMSIG (status)));

  must_be (WEXITSTATUS (status), ==, 0);
}
