/*
 * on-libevent.h - the workloads in libevent's words: see bench.c
 *
 * Backends: "epoll", and "changelist": epoll with EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST.
 */

#include <event2/event.h>
#include <event2/event_struct.h>

static struct event_base *base;

typedef void io_cb (evutil_socket_t fd, short revents, void *arg);
typedef struct event io_w;
typedef struct event timer_w;

#define CB_ARGS evutil_socket_t fd, short revents, void *w

#define IO_READ  EV_READ
#define IO_WRITE EV_WRITE

#define io_init(w,cb,fd,mask) event_assign (w, base, fd, (mask) | EV_PERSIST, cb, w)
#define io_start(w)           event_add (w, 0)
#define io_stop(w)            event_del (w)
#define io_reset(w,fd,mask)   do { event_callback_fn cb_ = event_get_callback (w); event_del (w); io_init (w, cb_, fd, mask); event_add (w, 0); } while (0)

/* it is never due */
#define timer_start(t,after)  do { evtimer_assign (t, base, 0, 0); evtimer_add (t, &(struct timeval) { .tv_sec = after }); } while (0)

#define turn_wait()   event_base_loop (base, EVLOOP_ONCE)
#define turn_nowait() event_base_loop (base, EVLOOP_NONBLOCK)

#define loop_del()    event_base_free (base)

static inline int
loop_new (void)
{
  struct event_config *config = event_config_new ();

  event_config_set_flag (config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV | EVENT_BASE_FLAG_PRECISE_TIMER);

  if (!strcmp (opt.backend, "changelist"))
    event_config_set_flag (config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);

  base = event_base_new_with_config (config);
  event_config_free (config);
  return !!base;
}
