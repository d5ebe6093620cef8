/*
 * on-aio.h - a bare IOCB_CMD_POLL loop: see bare.h
 *
 * The ring is made large enough for everything at the start, every watcher
 * lives in it, and a watcher stopped while its request is in flight is
 * cancelled at once.
 */

#define ONLY_RING 1

#include <linux/aio_abi.h>
#include <sys/syscall.h>
#include <time.h>

#ifndef IOCB_CMD_POLL
# define IOCB_CMD_POLL 5
#endif

/* queued: in the list for the next io_submit; in_flight: the kernel has it */
#define BARE_WATCHER_MEMBERS struct iocb iocb; uint16_t gen; char queued, in_flight;
#define BARE_WATCHER_INIT w->queued = w->in_flight = 0; memset (&w->iocb, 0, sizeof w->iocb);

#include "bare.h"

const char *const peer_backends = "aio";

struct ring
{
  unsigned id, nr, head, tail, magic, compat_features, incompat_features, header_length;
  struct io_event events [];
};

static aio_context_t ctx;
static io_w **queue;
static struct iocb **batch;
static unsigned queue_len, queue_max;

/* what identifies a request: its watcher and how often that was cancelled */
#define GEN_SHIFT 48

static void
queue_push (io_w *w)
{
  w->queued = 1;

  if (queue_len == queue_max)
    {
      queue_max = queue_max ? queue_max * 2 : 64;
      queue = realloc (queue, queue_max * sizeof *queue);
      batch = realloc (batch, queue_max * sizeof *batch);
    }

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

static void reap (void);

static void
submit (struct iocb **iocbs, long nr)
{
  while (nr)
    {
      long res = syscall (SYS_io_submit, ctx, nr, iocbs);

      if (res < 0 && errno == EAGAIN)
        {
          /* requests that were cancelled still hold their slots */
          struct timespec ts = { 0, 100000 };

          reap ();
          nanosleep (&ts, 0);
          continue;
        }

      if (res < 0)
        fail ("io_submit");

      iocbs += res;
      nr -= res;
    }
}

static void
submit_queue (void)
{
  unsigned k, nr = 0;

  for (k = 0; k < queue_len; ++k)
    {
      io_w *w = queue [k];

      w->queued = 0;

      if (!w->active)
        continue;

      w->in_flight = 1;
      w->iocb.aio_lio_opcode = IOCB_CMD_POLL;
      w->iocb.aio_fildes     = w->fd;
      w->iocb.aio_buf        = w->mask;
      w->iocb.aio_data       = (uintptr_t)w | (uint64_t)w->gen << GEN_SHIFT;
      batch [nr++] = &w->iocb;
    }

  queue_len = 0;
  submit (batch, nr);
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
reap (void)
{
  ring_parse ();
}

static void
turn (int wait)
{
  struct io_event events [64];
  struct timespec ts;
  int64_t ns;
  int k, nr;

  submit_queue ();

  if (!ring_parse () && wait)
    {
      ns = timer_wait ();
      ts.tv_sec = ns / 1000000000;
      ts.tv_nsec = ns % 1000000000;
      nr = syscall (SYS_io_getevents, ctx, 1, 64, events, ns < 0 ? 0 : &ts);

      if (nr < 0 && errno != EINTR)
        fail ("io_getevents");

      for (k = 0; k < nr; ++k)
        dispatch (events + k);

      ring_parse ();
    }

  timer_check ();
}

static int
loop_new (void)
{
  /* valgrind has a ring of more than one page wrong */
  unsigned want = on_valgrind () ? 62 : opt.n + opt.active + 1024;

  ctx = 0;
  queue_len = 0;

  if (syscall (SYS_io_setup, want, &ctx))
    skip ("io_setup (%u): %s", want, strerror (errno));

  return 1;
}

#define loop_del() syscall (SYS_io_destroy, ctx)

#define rw_init(w,rcb,wcb,fd) do { io_init (&(w)->rd, rcb, fd, IO_READ); io_init (&(w)->wr, wcb, fd, IO_WRITE); } while (0)
#define rw_read_start(w)  io_start (&(w)->rd)
#define rw_read_stop(w)   io_stop (&(w)->rd)
#define rw_write_start(w) io_start (&(w)->wr)
#define rw_write_stop(w)  io_stop (&(w)->wr)

void
peer_report (FILE *f)
{
}
