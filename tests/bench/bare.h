/*
 * bare.h - what the bare loops share: the least that can call itself a loop
 *
 * No timers but one, no priorities, no checks: a watcher, its callback, and the
 * system calls. They show what the kernel's interface costs by itself.
 */

#define ONE_TIMER 1

#include <poll.h>

typedef struct io_w
{
  void (*cb) (struct io_w *w);
  int fd;
  int mask;
  int active;
  BARE_WATCHER_MEMBERS
} io_w;

typedef void io_cb (io_w *w);

typedef struct timer_w
{
  void (*cb) (struct timer_w *t);
} timer_w;

typedef struct
{
  io_w rd, wr;
} rw_w;

#define IO_CB(name)    static void name (io_w *w)
#define TIMER_CB(name) static void name (timer_w *w)

#define IO_READ  POLLIN
#define IO_WRITE POLLOUT

static inline void
io_init (io_w *w, void (*cb) (io_w *), int fd, int mask)
{
  w->cb     = cb;
  w->fd     = fd;
  w->mask   = mask;
  w->active = 0;
  BARE_WATCHER_INIT
}

static void io_start (io_w *w);
static void io_stop (io_w *w);

#define io_reset(w,fd,mask) do { io_stop (w); io_start (w); } while (0)
#define io_close(w)         do { io_stop (w); close ((w)->fd); } while (0)
#define io_anew(w,cb,fd,mask)  io_init (w, cb, fd, mask)
#define io_fd(w)            (w)->fd

/* the one timer */
static timer_w *the_timer;
static uint64_t timer_due;

#define timer_init(t,c)      ((t)->cb = (c))
#define timer_start(t,after) (the_timer = (t), timer_due = now_ns () + (uint64_t)((after) * 1e9))
#define timer_stop(t)        (the_timer = 0)
#define timer_now()          (void)0

/* nanoseconds to sleep, -1: for ever */
static inline int64_t
timer_wait (void)
{
  int64_t ns;

  if (!the_timer)
    return -1;

  ns = (int64_t)(timer_due - now_ns ());
  return ns < 0 ? 0 : ns;
}

static inline void
timer_check (void)
{
  timer_w *t = the_timer;

  if (t && now_ns () >= timer_due)
    t->cb (t);
}

static void turn (int wait);

#define turn_wait()   turn (1)
#define turn_nowait() turn (0)
