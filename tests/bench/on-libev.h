/*
 * on-libev.h - the workloads in libev's own words: see bench.c
 */

#include <ev.h>

#ifdef BENCH_LINUXAIO_STATS
# include <ev_linuxaio.h>
#endif

static struct ev_loop *loop;

static const struct backend { const char *name; unsigned flag; } backends [] =
{
  { "epoll"   , EVBACKEND_EPOLL },
  { "poll"    , EVBACKEND_POLL },
  { "select"  , EVBACKEND_SELECT },
  { "linuxaio", EVBACKEND_LINUXAIO },
  { "both"    , EVBACKEND_LINUXAIO | EVBACKEND_EPOLL },
  { "ring"    , EVBACKEND_LINUXAIO }, /* all that can be in one, from the start */
  { "iouring" , EVBACKEND_IOURING },
  { 0, 0 }
};

#define BACKENDS "epoll poll select linuxaio both ring iouring"

typedef void io_cb (EV_P_ ev_io *w, int revents);
typedef ev_io    io_w;
typedef ev_timer timer_w;

/* a socket read from and written to: two watchers, as libev has it */
typedef struct { ev_io rd, wr; } rw_w;

#define IO_CB(name)    static void name (EV_P_ ev_io *w, int revents)
#define TIMER_CB(name) static void name (EV_P_ ev_timer *w, int revents)

#define IO_READ  EV_READ
#define IO_WRITE EV_WRITE

#define io_init(w,cb,fd,mask) ev_io_init (w, cb, fd, mask)
#define io_start(w)           ev_io_start (EV_A_ w)
#define io_stop(w)            ev_io_stop (EV_A_ w)
/* the watcher is set anew, as if its fd might be another file now */
#define io_reset(w,fd,mask)   do { ev_io_stop (EV_A_ w); ev_io_set (w, fd, mask); ev_io_start (EV_A_ w); } while (0)
#define io_close(w)           do { ev_io_stop (EV_A_ w); close ((w)->fd); } while (0)
#define io_anew(w,cb,fd,mask)  io_init (w, cb, fd, mask)
#define io_fd(w)              (w)->fd

#define timer_init(t,cb)      ev_init (t, cb)
#define timer_start(t,after)  do { (t)->repeat = (after); ev_timer_again (EV_A_ t); } while (0)
#define timer_stop(t)         ev_timer_stop (EV_A_ t)
#define timer_now()           ev_now_update (EV_A)

#define turn_wait()           ev_run (EV_A_ EVRUN_ONCE)
#define turn_nowait()         ev_run (EV_A_ EVRUN_NOWAIT)

#define loop_del()            ev_loop_destroy (EV_A)

static inline int
loop_new (void)
{
  const struct backend *b;

  for (b = backends; b->name && strcmp (b->name, opt.backend); ++b)
    ;

  if (!b->name)
    return 0;

  loop = ev_loop_new (b->flag | EVFLAG_NOENV);

#ifdef BENCH_LINUXAIO_STATS
  if (loop && !strcmp (b->name, "ring"))
    {
      ev_linuxaio_busy_poll (EV_A_ 1e-9);
      ev_linuxaio_busy_poll (EV_A_ 0.);
    }

  if (loop && opt.busy)
    ev_linuxaio_busy_poll (EV_A_ opt.busy);
#endif

  return !!loop;
}

#ifdef BENCH_LINUXAIO_STATS
static void
report_places (void)
{
  struct ev_linuxaio_stats s;

  if (ev_linuxaio_stats (EV_A_ &s, sizeof (s)))
    printf (" rings=%u ring_fds=%u epoll_fds=%u", s.rings, s.ring_fds, s.epoll_fds);
}

# define PEER_REPORT report_places ()
#else
# define PEER_REPORT printf (" runs_on=%u", ev_backend (EV_A))
#endif
