/*
 * on-libuv.h - the workloads in libuv's words: see bench.c
 *
 * A uv_poll_t serves both directions of an fd. Its memory may be used again
 * only after its close callback, which runs in a turn after uv_close.
 */

#include <uv.h>

static uv_loop_t uv;

/* a channel's watcher for reading comes first, and has the handle of both */
typedef struct io_w
{
  uv_poll_t poll;
  void (*cb) (struct io_w *w);
  int mask, both; /* its own, and what the handle is started for */
} io_w;

typedef void io_cb (io_w *w);
typedef uv_timer_t timer_w;

#define CB_ARGS io_w *w

#define IO_READ  UV_READABLE
#define IO_WRITE UV_WRITABLE

static inline io_w *
handle_of (io_w *w)
{
  return w->mask == IO_WRITE ? w - 1 : w;
}

static void
on_poll (uv_poll_t *poll, int status, int events)
{
  io_w *w = (io_w *)poll;

  if (events & UV_READABLE)
    w->cb (w);

  if (events & UV_WRITABLE)
    w [1].cb (w + 1);
}

static inline void
io_init (io_w *w, io_cb *cb, int fd, int mask)
{
  w->cb   = cb;
  w->mask = mask;
  w->both = 0;

  if (mask == IO_READ && uv_poll_init (&uv, &w->poll, fd))
    errx (1, "uv_poll_init");
}

static inline void
set_mask (io_w *w, int mask)
{
  w->both = mask;

  if (mask)
    uv_poll_start (&w->poll, mask, on_poll);
  else
    uv_poll_stop (&w->poll);
}

#define io_start(w)           set_mask (handle_of (w), handle_of (w)->both | (w)->mask)
#define io_stop(w)            set_mask (handle_of (w), handle_of (w)->both & ~(w)->mask)
#define io_close(w,fd)        do { uv_close ((uv_handle_t *)&handle_of (w)->poll, 0); close (fd); } while (0)
/* a handle belongs to its fd until that is closed */
#define io_anew(w,cb,fd,mask) (void)0

/* it is never due */
#define timer_start(t,after)  do { uv_timer_init (&uv, t); uv_timer_start (t, (uv_timer_cb)abort, 1000 * (after), 0); } while (0)

#define turn_wait()   uv_run (&uv, UV_RUN_ONCE)
#define turn_nowait() uv_run (&uv, UV_RUN_NOWAIT)

static void
close_handle (uv_handle_t *handle, void *arg)
{
  if (!uv_is_closing (handle))
    uv_close (handle, 0);
}

static inline void
loop_del (void)
{
  uv_walk (&uv, close_handle, 0);

  while (uv_loop_close (&uv) == UV_EBUSY)
    uv_run (&uv, UV_RUN_NOWAIT);
}

static inline int
loop_new (void)
{
  return !uv_loop_init (&uv);
}
