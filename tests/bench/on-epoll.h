/*
 * on-epoll.h - a bare epoll loop: see bare.h
 */

#include <sys/epoll.h>

#define BARE_WATCHER_MEMBERS

#include "bare.h"

#define MAX_EVENTS 512

static int epfd = -1;

/* by fd: its watchers for reading and for writing */
static struct { io_w *watcher [2]; int mask; } files [1 << 18];

static inline void
set_mask (int fd, int mask)
{
  struct epoll_event ev = { .events = mask, .data.fd = fd };

  if (epoll_ctl (epfd, !mask ? EPOLL_CTL_DEL : files [fd].mask ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &ev))
    err (1, "epoll_ctl");

  files [fd].mask = mask;
}

static void
arm (io_w *w)
{
  w->armed = 1;
  files [w->fd].watcher [w->mask == IO_WRITE] = w;
  set_mask (w->fd, files [w->fd].mask | w->mask);
}

static void
cancel (io_w *w)
{
  w->armed = 0;
  set_mask (w->fd, files [w->fd].mask & ~w->mask);
}

static void
dispatch (int fd, int events)
{
  if (events & ~POLLOUT && files [fd].mask & ~POLLOUT)
    files [fd].watcher [0]->cb (files [fd].watcher [0]);

  if (events & ~POLLIN && files [fd].mask & POLLOUT)
    files [fd].watcher [1]->cb (files [fd].watcher [1]);
}

static void
turn (int wait)
{
  struct epoll_event events [MAX_EVENTS];
  int k, nr = epoll_wait (epfd, events, MAX_EVENTS, wait ? -1 : 0);

  if (nr < 0 && errno != EINTR)
    err (1, "epoll_wait");

  for (k = 0; k < nr; ++k)
    dispatch (events [k].data.fd, events [k].events);
}

static int
loop_new (void)
{
  epfd = epoll_create1 (EPOLL_CLOEXEC);
  return epfd >= 0;
}

#define loop_del() close (epfd)
