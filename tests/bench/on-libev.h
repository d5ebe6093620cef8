/*
 * on-libev.h - the workloads in libev's own words: see bench.c
 *
 * Backends: its number, 0: what LIBEV_FLAGS says; "64 ring" has all in a ring that can be in one, from the start.
 */

#include <ev.h>

#if __has_include (<ev_linuxaio.h>)
# include <ev_linuxaio.h>
#endif

static __thread struct ev_loop *loop;

typedef void io_cb (EV_P_ ev_io *w, int revents);
typedef ev_io    io_w;
typedef ev_timer timer_w;

#define CB_ARGS EV_P_ ev_io *w, int revents

#define IO_READ  EV_READ
#define IO_WRITE EV_WRITE

#define io_init(w,cb,fd,mask) ev_io_init (w, cb, fd, mask)
#define io_start(w)           ev_io_start (EV_A_ w)
#define io_stop(w)            ev_io_stop (EV_A_ w)
/* the watcher is set anew, as if its fd might be another file now */
#define io_reset(w,fd,mask)   do { ev_io_stop (EV_A_ w); ev_io_set (w, fd, mask); ev_io_start (EV_A_ w); } while (0)

/* it is never due */
#define timer_start(t,after)  do { ev_timer_init (t, 0, after, 0.); ev_timer_start (EV_A_ t); } while (0)

#define turn_wait()           ev_run (EV_A_ EVRUN_ONCE)
#define turn_nowait()         ev_run (EV_A_ EVRUN_NOWAIT)

#define loop_del()            ev_loop_destroy (EV_A)

static inline int
loop_new (void)
{
  int flags = atoi (opt.backend);

  loop = ev_loop_new (flags ? flags | EVFLAG_NOENV : 0);

#ifdef EV_LINUXAIO_H_
  if (loop && strstr (opt.backend, "ring"))
    {
      ev_linuxaio_busy_poll (EV_A_ 1e-9);
      ev_linuxaio_busy_poll (EV_A_ 0.);
    }
#endif

  return !!loop;
}
