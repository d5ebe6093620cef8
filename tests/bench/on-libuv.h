/*
 * on-libuv.h - the workloads in libuv's words: see bench.c
 *
 * A uv_poll_t serves both directions of an fd. Its memory may be used again
 * only after its close callback, which runs in a turn after uv_close.
 */

#include <uv.h>

static uv_loop_t uv;

/* data: its callback */
typedef struct { uv_poll_t poll; int fd, mask; } io_w;
typedef void io_cb (io_w *w);
typedef uv_timer_t timer_w;

#define IO_READ  UV_READABLE
#define IO_WRITE UV_WRITABLE

static void
on_poll (uv_poll_t *poll, int status, int events)
{
  ((io_cb *)poll->data) ((io_w *)poll);
}

static inline void
io_init (io_w *w, io_cb *cb, int fd, int mask)
{
  w->fd   = fd;
  w->mask = mask;

  if (uv_poll_init (&uv, &w->poll, fd))
    errx (1, "uv_poll_init");

  w->poll.data = cb;
}

#define io_start(w)           uv_poll_start (&(w)->poll, (w)->mask, on_poll)
#define io_stop(w)            uv_poll_stop (&(w)->poll)
#define io_close(w)           do { uv_close ((uv_handle_t *)&(w)->poll, 0); close ((w)->fd); } while (0)
/* a handle belongs to its fd until that is closed */
#define io_anew(w,cb,fd,mask) (void)0
#define rw_anew(w,rcb,wcb,fd) (void)0

/* rd.poll serves both */
typedef struct
{
  io_w rd, wr;
  int mask;
} rw_w;

static void
on_poll_rw (uv_poll_t *poll, int status, int events)
{
  rw_w *rw = (rw_w *)poll;

  if (events & UV_READABLE)
    ((io_cb *)rw->rd.poll.data) (&rw->rd);

  if (events & UV_WRITABLE)
    ((io_cb *)rw->wr.poll.data) (&rw->wr);
}

static inline void
rw_set (rw_w *rw, int mask)
{
  rw->mask = mask;

  if (mask)
    uv_poll_start (&rw->rd.poll, mask, on_poll_rw);
  else
    uv_poll_stop (&rw->rd.poll);
}

#define rw_init(w,rcb,wcb,f)  do { io_init (&(w)->rd, rcb, f, 0); (w)->wr.poll.data = wcb; } while (0)
#define rw_read_start(w)      rw_set (w, (w)->mask | IO_READ)
#define rw_read_stop(w)       rw_set (w, (w)->mask & ~IO_READ)
#define rw_write_start(w)     rw_set (w, (w)->mask | IO_WRITE)
#define rw_write_stop(w)      rw_set (w, (w)->mask & ~IO_WRITE)

/* a timer that expires before the turn has begun to wait ends the turn, as it
 * does in the other libraries
 */
static void
on_timer (uv_timer_t *timer)
{
  ((void (*) (timer_w *))timer->data) (timer);
  uv_stop (&uv);
}

#define timer_init(t,c)      (uv_timer_init (&uv, t), (t)->data = (c))
#define timer_stop(t)        uv_timer_stop (t)
#define timer_now()          uv_update_time (&uv)
/* milliseconds are what it knows; rounded up, as a time-out must be */
#define timer_start(t,after) uv_timer_start (t, on_timer, (uint64_t)((after) * 1e3 + .999), 0)

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
