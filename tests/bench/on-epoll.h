/*
 * on-epoll.h - a bare epoll loop: see bare.h
 */

#include <sys/epoll.h>

#define BARE_WATCHER_MEMBERS char both;
#include "bare.h"

#define MAX_EVENTS 512

static int epfd = -1;

static inline void
ctl (int op, io_w *w, int mask)
{
  struct epoll_event ev = { .events = mask, .data.ptr = w };

  if (epoll_ctl (epfd, op, w->fd, &ev))
    err (1, "epoll_ctl");
}

static void
arm (io_w *w)
{
  w->armed = 1;
  ctl (EPOLL_CTL_ADD, w, w->mask);
}

static void
cancel (io_w *w)
{
  w->armed = 0;
  ctl (EPOLL_CTL_DEL, w, 0);
}

/* one registration for both directions */
typedef struct
{
  io_w rd, wr;
  int mask;
} rw_w;

static inline void
rw_init (rw_w *rw, io_cb *rcb, io_cb *wcb, int fd)
{
  io_init (&rw->rd, rcb, fd, IO_READ);
  io_init (&rw->wr, wcb, fd, IO_WRITE);
  rw->rd.both = 1;
}

static inline void
rw_set (rw_w *rw, int mask)
{
  if (mask != rw->mask)
    ctl (!mask ? EPOLL_CTL_DEL : rw->mask ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, &rw->rd, mask);

  rw->mask = mask;
}

static void
call_both (rw_w *rw, int events)
{
  if (rw->mask & POLLIN && events & (POLLIN | POLLERR | POLLHUP))
    rw->rd.cb (&rw->rd);

  if (rw->mask & POLLOUT && events & (POLLOUT | POLLERR | POLLHUP))
    rw->wr.cb (&rw->wr);
}

#define RW_SET 1

static void
turn (int wait)
{
  struct epoll_event events [MAX_EVENTS];
  int k, nr = epoll_wait (epfd, events, MAX_EVENTS, wait ? -1 : 0);

  if (nr < 0 && errno != EINTR)
    err (1, "epoll_wait");

  for (k = 0; k < nr; ++k)
    {
      io_w *w = events [k].data.ptr;

      if (w->both)
        call_both ((rw_w *)w, events [k].events);
      else
        w->cb (w);
    }
}

static int
loop_new (void)
{
  epfd = epoll_create1 (EPOLL_CLOEXEC);
  return epfd >= 0;
}

#define loop_del() close (epfd)
