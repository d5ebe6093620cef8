/*
 * on-libev.h - the workloads in libev's own words: see bench.h
 */

#include <ev.h>

#include <string.h>

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

const char *const peer_backends = "epoll poll select linuxaio both ring iouring";

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
#define rw_anew(w,rcb,wcb,fd)  rw_init (w, rcb, wcb, fd)
#define io_fd(w)              (w)->fd

#define rw_init(w,rcb,wcb,fd) do { ev_io_init (&(w)->rd, rcb, fd, EV_READ); ev_io_init (&(w)->wr, wcb, fd, EV_WRITE); } while (0)
#define rw_read_start(w)      ev_io_start (EV_A_ &(w)->rd)
#define rw_read_stop(w)       ev_io_stop (EV_A_ &(w)->rd)
#define rw_write_start(w)     ev_io_start (EV_A_ &(w)->wr)
#define rw_write_stop(w)      ev_io_stop (EV_A_ &(w)->wr)
#define RW_OF_READ(w)         ((rw_w *)(w))
#define RW_OF_WRITE(w)        ((rw_w *)((char *)(w) - offsetof (rw_w, wr)))

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

  unsetenv ("LD_PRELOAD"); /* on valgrind the backend would choose epoll */
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

int
peer_loop_new (const char *backend)
{
  return loop_new ();
}

#ifdef BENCH_LINUXAIO_STATS
void
peer_report (FILE *f)
{
  struct ev_linuxaio_stats s;

  if (!ev_linuxaio_stats (EV_A_ &s, sizeof (s)))
    return;

  fprintf (f, " submitted=%lu completed=%lu cancelled=%lu refused=%lu",
           s.submitted, s.completed, s.cancelled, s.refused);
  fprintf (f, " submit_calls=%lu cancel_calls=%lu epoll_calls=%lu probe_calls=%lu probe_hits=%lu setups_refused=%lu",
           s.submit_calls, s.cancel_calls, s.epoll_calls, s.probe_calls, s.probe_hits, s.setups_refused);
  fprintf (f, " in_flight=%u rings=%u ring_entries=%u ring_requests=%u ring_fds=%u epoll_fds=%u",
           s.in_flight, s.rings, s.ring_entries, s.ring_requests, s.ring_fds, s.epoll_fds);
  fprintf (f, " epoll_chosen=%u epoll_kind=%u epoll_refused=%u epoll_waiting=%u",
           s.epoll_chosen, s.epoll_kind, s.epoll_refused, s.epoll_waiting);
}
#else
void
peer_report (FILE *f)
{
  fprintf (f, " runs_on=%u", ev_backend (EV_A));
}
#endif
