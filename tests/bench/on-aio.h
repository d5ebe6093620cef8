/*
 * on-aio.h - a bare IOCB_CMD_POLL loop: see bare.h
 *
 * The ring is made large enough for everything at the start, every watcher
 * lives in it, and a watcher stopped while its request is in flight is
 * cancelled at once. "aio" sleeps in io_getevents, "bell" in epoll_wait, which an
 * eventfd wakes that each request names.
 */

#include <linux/aio_abi.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#ifndef IOCB_CMD_POLL
# define IOCB_CMD_POLL 5
#endif

/* in_flight: the kernel has it, it is not just in the list for the next io_submit */
#define BARE_WATCHER_MEMBERS struct iocb iocb; char in_flight;

#include "bare.h"

struct ring
{
  unsigned id, nr, head, tail, magic, compat_features, incompat_features, header_length;
  struct io_event events [];
};

#define QUEUE_MAX (1 << 18)

static aio_context_t ctx;
static int epfd, bell = -1;
static struct iocb *queue [QUEUE_MAX];
static unsigned queue_len;

static void
arm (io_w *w)
{
  w->armed = 1;
  queue [queue_len++] = &w->iocb;
}

static void
cancel (io_w *w)
{
  if (!w->in_flight)
    return;

  syscall (SYS_io_cancel, ctx, &w->iocb, 0);
  w->in_flight = w->armed = 0;
  ++w->gen;
}

static inline void
dispatch (const struct io_event *ev)
{
  io_w *w = named (ev->data);

  if (w)
    {
      w->in_flight = w->armed = 0;
      call (w);
    }
}

static inline int
ring_parse (void)
{
  struct ring *ring = (struct ring *)ctx;
  unsigned head = ring->head, tail = __atomic_load_n (&ring->tail, __ATOMIC_ACQUIRE);

  if (head == tail)
    return 0;

  while (head != tail)
    {
      dispatch (ring->events + head);

      if (++head == ring->nr)
        head = 0;
    }

  __atomic_store_n (&ring->head, head, __ATOMIC_RELEASE);
  return 1;
}

/* returns the number of events meanwhile */
static int
submit_queue (void)
{
  static struct iocb *batch [QUEUE_MAX];
  unsigned nr = 0, k;
  long res, events = 0;

  for (k = 0; k < queue_len; ++k)
    {
      io_w *w = (io_w *)queue [k];

      if ((w->armed = w->in_flight = w->active))
        {
          w->iocb = (struct iocb) {
            .aio_flags = bell < 0 ? 0 : IOCB_FLAG_RESFD, .aio_resfd = bell, .aio_lio_opcode = IOCB_CMD_POLL,
            .aio_fildes = w->fd, .aio_buf = w->mask, .aio_data = name_of (w)
          };
          batch [nr++] = queue [k];
        }
    }

  queue_len = 0;

  for (k = 0; k < nr; k += res)
    if ((res = syscall (SYS_io_submit, ctx, nr - k, batch + k)) < 0)
      {
        if (errno != EAGAIN)
          err (1, "io_submit");

        /* requests that were cancelled hold their slots until a worker has been there */
        usleep (100);
        events += ring_parse ();
        res = 0;
      }

  return events;
}

static void
sleep_in_aio (void)
{
  struct io_event events [64];
  int k, nr = syscall (SYS_io_getevents, ctx, 1, 64, events, 0);

  if (nr < 0 && errno != EINTR)
    err (1, "io_getevents");

  for (k = 0; k < nr; ++k)
    dispatch (events + k);
}

static void
sleep_in_epoll (void)
{
  struct epoll_event event;

  if (epoll_wait (epfd, &event, 1, -1) < 0 && errno != EINTR)
    err (1, "epoll_wait");

  ring_parse ();
}

static void
turn (int wait)
{
  int events = submit_queue () + ring_parse ();

  if (!events && wait)
    (bell < 0 ? sleep_in_aio : sleep_in_epoll) ();
}

static int
loop_new (void)
{
  struct epoll_event event = { .events = EPOLLIN | EPOLLET };

  ctx = 0;
  queue_len = 0;

  if (syscall (SYS_io_setup, opt.n + opt.active + 1024, &ctx))
    return 0;

  if (!strcmp (opt.backend, "bell")
      && ((epfd = epoll_create1 (EPOLL_CLOEXEC)) < 0
          || (bell = eventfd (0, EFD_NONBLOCK | EFD_CLOEXEC)) < 0
          || epoll_ctl (epfd, EPOLL_CTL_ADD, bell, &event)))
    err (1, "bell");

  return 1;
}

static inline void
loop_del (void)
{
  syscall (SYS_io_destroy, ctx);

  if (bell >= 0)
    {
      close (bell);
      close (epfd);
      bell = -1;
    }
}
