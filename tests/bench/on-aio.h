/*
 * on-aio.h - a bare IOCB_CMD_POLL loop: see bare.h
 *
 * The ring is made large enough for everything at the start, every watcher
 * lives in it, and a watcher stopped while its request is in flight is
 * cancelled at once. "aio" sleeps in io_getevents, "bell" in epoll_wait, which an
 * eventfd wakes that each request names.
 */

#define ONLY_RING 1

#include <linux/aio_abi.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#ifndef IOCB_CMD_POLL
# define IOCB_CMD_POLL 5
#endif

/* queued: in the list for the next io_submit; in_flight: the kernel has it */
#define BARE_WATCHER_MEMBERS struct iocb iocb; uint16_t gen; char queued, in_flight;
#define BARE_WATCHER_INIT w->queued = w->in_flight = 0; memset (&w->iocb, 0, sizeof w->iocb);

#include "bare.h"

#define BACKENDS "aio bell"

struct ring
{
  unsigned id, nr, head, tail, magic, compat_features, incompat_features, header_length;
  struct io_event events [];
};

static aio_context_t ctx;
static int epfd, bell = -1;
static io_w *queue [1 << 18];
static struct iocb *batch [1 << 18];
static unsigned queue_len;

/* what identifies a request: its watcher and how often that was cancelled */
#define GEN_SHIFT 48

static void
queue_push (io_w *w)
{
  w->queued = 1;
  queue [queue_len++] = w;
}

static void
io_start (io_w *w)
{
  w->active = 1;

  if (!w->queued && !w->in_flight)
    queue_push (w);
}

static void
io_stop (io_w *w)
{
  w->active = 0;

  if (!w->in_flight)
    return;

  syscall (SYS_io_cancel, ctx, &w->iocb, 0);
  w->in_flight = 0;
  ++w->gen;
}

/* returns how many there was no room for */
static int
submit_queue (void)
{
  unsigned k, nr = 0, len = queue_len;
  long res;

  for (k = 0; k < len; ++k)
    {
      io_w *w = queue [k];

      w->queued = 0;

      if (!w->active)
        continue;

      w->in_flight = 1;
      w->iocb.aio_flags      = bell < 0 ? 0 : IOCB_FLAG_RESFD;
      w->iocb.aio_resfd      = bell;
      w->iocb.aio_lio_opcode = IOCB_CMD_POLL;
      w->iocb.aio_fildes     = w->fd;
      w->iocb.aio_buf        = w->mask;
      w->iocb.aio_data       = (uintptr_t)w | (uint64_t)w->gen << GEN_SHIFT;
      batch [nr++] = &w->iocb;
    }

  queue_len = 0;

  if ((res = nr ? syscall (SYS_io_submit, ctx, nr, batch) : 0) < 0)
    {
      if (errno != EAGAIN)
        fail ("io_submit");

      res = 0;
    }

  for (k = res; k < nr; ++k)
    {
      io_w *w = (io_w *)((char *)batch [k] - offsetof (io_w, iocb));

      w->in_flight = 0;
      queue_push (w);
    }

  return nr - res;
}

static inline void
dispatch (const struct io_event *ev)
{
  io_w *w = (io_w *)(uintptr_t)(ev->data & ((1ull << GEN_SHIFT) - 1));

  if (w->gen != (uint16_t)(ev->data >> GEN_SHIFT))
    return;

  w->in_flight = 0;

  if (ev->res)
    w->cb (w);

  if (w->active && !w->queued && !w->in_flight)
    queue_push (w);
}

static inline int
ring_parse (void)
{
  struct ring *ring = (struct ring *)ctx;
  unsigned head = ring->head;
  unsigned tail = __atomic_load_n (&ring->tail, __ATOMIC_ACQUIRE);

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

static void
sleep_in_aio (const struct timespec *timeout)
{
  struct io_event events [64];
  int k, nr = syscall (SYS_io_getevents, ctx, 1, 64, events, timeout);

  if (nr < 0 && errno != EINTR)
    fail ("io_getevents");

  for (k = 0; k < nr; ++k)
    dispatch (events + k);
}

static void
sleep_in_epoll (const struct timespec *timeout)
{
  struct epoll_event event;

  if (syscall (SYS_epoll_pwait2, epfd, &event, 1, timeout, 0, 0) < 0 && errno != EINTR)
    fail ("epoll_pwait2");
}

static void
turn (int wait)
{
  int over = submit_queue (), events = ring_parse ();

  /* requests that were cancelled hold their slots until a worker has been there */
  while (over)
    {
      static const struct timespec moment = { 0, 100000 };

      nanosleep (&moment, 0);
      events |= ring_parse ();
      over = submit_queue ();
    }

  if (!events && wait)
    {
      int64_t ns = timer_wait ();
      struct timespec ts = { ns / 1000000000, ns % 1000000000 };

      (bell < 0 ? sleep_in_aio : sleep_in_epoll) (ns < 0 ? 0 : &ts);
      ring_parse ();
    }

  timer_check ();
}

static int
loop_new (void)
{
  unsigned want = opt.n + opt.active + 1024;

  ctx = 0;
  queue_len = 0;

  if (syscall (SYS_io_setup, want, &ctx))
    skip ("io_setup (%u): %s", want, strerror (errno));

  if (!strcmp (opt.backend, "bell"))
    {
      struct epoll_event event = { .events = EPOLLIN | EPOLLET };

      if ((epfd = epoll_create1 (EPOLL_CLOEXEC)) < 0
          || (bell = eventfd (0, EFD_NONBLOCK | EFD_CLOEXEC)) < 0
          || epoll_ctl (epfd, EPOLL_CTL_ADD, bell, &event))
        fail ("bell");
    }

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
