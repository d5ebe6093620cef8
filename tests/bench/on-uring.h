/*
 * on-uring.h - a bare io_uring loop on liburing: see bare.h
 *
 * "oneshot" arms a poll request for each event, "multishot" one for all of them.
 * The latter is edge-triggered: several bytes in one socket may be one event.
 */

#include <liburing.h>

#define BARE_WATCHER_MEMBERS

#include "bare.h"

static struct io_uring uring;
static int multishot;

static inline int
checked (int res, const char *what)
{
  if (res < 0 && res != -EINTR)
    {
      errno = -res;
      err (1, "%s", what);
    }

  return res;
}

static inline struct io_uring_sqe *
get_sqe (void)
{
  struct io_uring_sqe *sqe;

  while (!(sqe = io_uring_get_sqe (&uring)))
    checked (io_uring_submit (&uring), "io_uring_submit");

  return sqe;
}

static void
arm (io_w *w)
{
  struct io_uring_sqe *sqe = get_sqe ();

  io_uring_prep_poll_add (sqe, w->fd, w->mask);

  if (multishot)
    sqe->len = IORING_POLL_ADD_MULTI;

  sqe->user_data = name_of (w);
  w->armed = 1;
}

static void
cancel (io_w *w)
{
  struct io_uring_sqe *sqe = get_sqe ();

  io_uring_prep_poll_remove (sqe, name_of (w));
  sqe->user_data = 0;
  w->armed = 0;
  ++w->gen;
}

static inline void
dispatch (const struct io_uring_cqe *cqe)
{
  io_w *w = named (cqe->user_data);

  if (w)
    {
      w->armed = !!(cqe->flags & IORING_CQE_F_MORE);
      checked (cqe->res, "poll request");
      call (w);
    }
}

static void
turn (int wait)
{
  struct io_uring_cqe *cqe;
  unsigned head, nr = 0;

  if (wait || io_uring_sq_ready (&uring))
    checked (io_uring_submit_and_wait (&uring, wait), "io_uring_enter");

  io_uring_for_each_cqe (&uring, head, cqe)
    {
      dispatch (cqe);
      ++nr;
    }

  io_uring_cq_advance (&uring, nr);
}

static int
loop_new (void)
{
  struct io_uring_params params = { .flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP, .cq_entries = 65536 };

  multishot = !strcmp (opt.backend, "multishot");
  return checked (io_uring_queue_init_params (4096, &uring, &params), "io_uring_setup") >= 0;
}

#define loop_del() io_uring_queue_exit (&uring)
