/*
 * bare.h - what the bare loops share: the least that can call itself a loop
 *
 * No timers, no priorities, no checks: a watcher, its callback, and the system calls.
 * They show what the kernel's interface costs by itself. A loop has arm, which has the
 * kernel tell of a watcher, cancel, turn, loop_new and loop_del.
 */

#include <poll.h>

typedef struct io_w
{
  BARE_WATCHER_MEMBERS
  void (*cb) (struct io_w *w);
  int fd, mask;
  uint16_t gen;                      /* how often it was cancelled */
  char active, armed;
} io_w;

typedef void io_cb (io_w *w);
typedef int timer_w; /* there are none */

#define CB_ARGS io_w *w
#define timer_start(t,after) (void)(t)

#define IO_READ  POLLIN
#define IO_WRITE POLLOUT

static void arm (io_w *w);
static void cancel (io_w *w);
static void turn (int wait);

#define turn_wait()   turn (1)
#define turn_nowait() turn (0)

static inline void
io_init (io_w *w, io_cb *cb, int fd, int mask)
{
  w->cb     = cb;
  w->fd     = fd;
  w->mask   = mask;
  w->active = w->armed = 0;
}

static inline void
io_start (io_w *w)
{
  w->active = 1;

  if (!w->armed)
    arm (w);
}

static inline void
io_stop (io_w *w)
{
  w->active = 0;

  if (w->armed)
    cancel (w);
}

/* a request, whose event may come when its watcher was cancelled and armed again */
#define GEN_SHIFT 48

static inline uint64_t
name_of (const io_w *w)
{
  return (uintptr_t)w | (uint64_t)w->gen << GEN_SHIFT;
}

static inline io_w *
named (uint64_t name)
{
  io_w *w = (io_w *)(uintptr_t)(name & ((1ull << GEN_SHIFT) - 1));

  return w && w->gen == (uint16_t)(name >> GEN_SHIFT) ? w : 0;
}

static inline void
call (io_w *w)
{
  w->cb (w);

  if (w->active && !w->armed)
    arm (w);
}
