/*
 * on-epoll.h - a bare epoll loop: see bare.h
 */

#include <sys/epoll.h>
#include <sys/syscall.h>

/* an rw_w is one registration: the watcher for reading knows the other one */
#define BARE_WATCHER_MEMBERS struct io_w *other; int registered;
#define BARE_WATCHER_INIT w->other = 0; w->registered = 0;

#include "bare.h"

#define BACKENDS "epoll"

#define MAX_EVENTS 512

static int epfd = -1;

static inline void
ctl (int op, io_w *w, int mask)
{
  struct epoll_event ev;

  ev.events   = mask;
  ev.data.ptr = w;

  if (epoll_ctl (epfd, op, w->fd, &ev))
    fail ("epoll_ctl");
}

static void
io_start (io_w *w)
{
  w->active = 1;
  ctl (EPOLL_CTL_ADD, w, w->mask);
}

static void
io_stop (io_w *w)
{
  if (!w->active)
    return;

  w->active = 0;
  ctl (EPOLL_CTL_DEL, w, 0);
}

#define RW_OWN 1

static inline void
rw_init (rw_w *rw, void (*rcb) (io_w *), void (*wcb) (io_w *), int fd)
{
  io_init (&rw->rd, rcb, fd, IO_READ);
  io_init (&rw->wr, wcb, fd, IO_WRITE);
  rw->rd.other = &rw->wr;
}

static inline void
rw_register (rw_w *rw)
{
  int mask = (rw->rd.active ? POLLIN : 0) | (rw->wr.active ? POLLOUT : 0);

  if (mask == rw->rd.registered)
    return;

  ctl (!mask ? EPOLL_CTL_DEL : rw->rd.registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, &rw->rd, mask);
  rw->rd.registered = mask;
}

#define rw_read_start(w)  ((w)->rd.active = 1, rw_register (w))
#define rw_read_stop(w)   ((w)->rd.active = 0, rw_register (w))
#define rw_write_start(w) ((w)->wr.active = 1, rw_register (w))
#define rw_write_stop(w)  ((w)->wr.active = 0, rw_register (w))

static void
dispatch (io_w *w, int events)
{
  io_w *wr = w->other;

  if (w->active && events & (POLLIN | POLLERR | POLLHUP))
    w->cb (w);

  if (wr->active && events & (POLLOUT | POLLERR | POLLHUP))
    wr->cb (wr);
}

static inline int
sleep_for (struct epoll_event *events, int wait)
{
  int64_t ns = wait ? timer_wait () : 0;
  struct timespec ts = { ns / 1000000000, ns % 1000000000 };

  if (ns <= 0)
    return epoll_wait (epfd, events, MAX_EVENTS, (int)ns);

  return syscall (SYS_epoll_pwait2, epfd, events, MAX_EVENTS, &ts, 0, 0);
}

static void
turn (int wait)
{
  struct epoll_event events [MAX_EVENTS];
  int k, nr = sleep_for (events, wait);

  if (nr < 0 && errno != EINTR)
    fail ("epoll_wait");

  for (k = 0; k < nr; ++k)
    {
      io_w *w = events [k].data.ptr;

      if (w->other)
        dispatch (w, events [k].events);
      else
        w->cb (w);
    }

  timer_check ();
}

static int
loop_new (void)
{
  epfd = epoll_create1 (EPOLL_CLOEXEC);
  return epfd >= 0;
}

#define loop_del() close (epfd)
