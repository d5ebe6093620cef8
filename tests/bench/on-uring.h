/*
 * on-uring.h - a bare io_uring loop on liburing: see bare.h
 *
 * "oneshot" arms a poll request for each event, "multishot" one for all of them.
 * The latter is edge-triggered: several bytes in one socket may be one event.
 */

#include <liburing.h>

#define BARE_WATCHER_MEMBERS uint16_t gen; char in_flight;
#define BARE_WATCHER_INIT w->in_flight = 0;

#include "bare.h"

#define BACKENDS "oneshot multishot"

#define GEN_SHIFT 48

static struct io_uring uring;
static int multishot;

static inline struct io_uring_sqe *
get_sqe (void)
{
  struct io_uring_sqe *sqe;

  while (!(sqe = io_uring_get_sqe (&uring)))
    if (io_uring_submit (&uring) < 0)
      fail ("io_uring_submit");

  return sqe;
}

static inline uint64_t
name_of (const io_w *w)
{
  return (uintptr_t)w | (uint64_t)w->gen << GEN_SHIFT;
}

static void
arm (io_w *w)
{
  struct io_uring_sqe *sqe = get_sqe ();

  io_uring_prep_poll_add (sqe, w->fd, w->mask);

  if (multishot)
    sqe->len = IORING_POLL_ADD_MULTI;

  sqe->user_data = name_of (w);
  w->in_flight = 1;
}

static void
io_start (io_w *w)
{
  w->active = 1;

  if (!w->in_flight)
    arm (w);
}

static void
io_stop (io_w *w)
{
  struct io_uring_sqe *sqe;

  w->active = 0;

  if (!w->in_flight)
    return;

  sqe = get_sqe ();
  io_uring_prep_poll_remove (sqe, name_of (w));
  sqe->user_data = 0;
  w->in_flight = 0;
  ++w->gen;
}

static inline void
dispatch (const struct io_uring_cqe *cqe)
{
  io_w *w = (io_w *)(uintptr_t)(cqe->user_data & ((1ull << GEN_SHIFT) - 1));

  if (!w || w->gen != (uint16_t)(cqe->user_data >> GEN_SHIFT))
    return;

  if (!(cqe->flags & IORING_CQE_F_MORE))
    w->in_flight = 0;

  if (cqe->res < 0)
    {
      errno = -cqe->res;
      fail ("poll request");
    }

  w->cb (w);

  if (w->active && !w->in_flight)
    arm (w);
}

static void
enter (int wait)
{
  struct io_uring_cqe *cqe;
  struct __kernel_timespec ts;
  int64_t ns = wait ? timer_wait () : 0;
  int res;

  if (!wait)
    res = io_uring_sq_ready (&uring) ? io_uring_submit (&uring) : 0;
  else if (ns < 0)
    res = io_uring_submit_and_wait (&uring, 1);
  else
    {
      ts.tv_sec = ns / 1000000000;
      ts.tv_nsec = ns % 1000000000;
      res = io_uring_submit_and_wait_timeout (&uring, &cqe, 1, &ts, 0);
    }

  if (res < 0 && res != -EINTR && res != -ETIME)
    {
      errno = -res;
      fail ("io_uring_enter");
    }
}

static void
turn (int wait)
{
  struct io_uring_cqe *cqe;
  unsigned head, nr = 0;

  enter (wait);

  io_uring_for_each_cqe (&uring, head, cqe)
    {
      dispatch (cqe);
      ++nr;
    }

  io_uring_cq_advance (&uring, nr);
  timer_check ();
}

static int
loop_new (void)
{
  struct io_uring_params params;
  int res;

  memset (&params, 0, sizeof params);
  params.flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
  params.cq_entries = 65536;
  multishot = !strcmp (opt.backend, "multishot");

  if ((res = io_uring_queue_init_params (4096, &uring, &params)) < 0)
    skip ("io_uring_setup: %s", strerror (-res));

  return 1;
}

#define loop_del() io_uring_queue_exit (&uring)
