/*
 * ev_linuxaio.h - Linux AIO (IOCB_CMD_POLL) backend for libev
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 *
 * The first part is for programs: include it after (or instead of) ev.h.
 * The second part is for ev.c only, which asks for it by defining
 * EV_LINUXAIO_IMPLEMENTATION: what differs between releases of libev, the
 * ABI of the kernel with its proofs, and the state of a loop.
 *
 * LIBEV_FLAGS=64, or EVBACKEND_LINUXAIO: after the first 1000 events of a loop, what AIO
 * serves well lives in rings, the rest on epoll. LIBEV_FLAGS=68, or
 * EVBACKEND_LINUXAIO | EVBACKEND_EPOLL: the backend chooses for each fd. LIBEV_BUSY_POLL=20
 * in the environment is like ev_linuxaio_busy_poll (loop, 20e-6) for every loop.
 */
#ifndef EV_LINUXAIO_H_
#define EV_LINUXAIO_H_

#define EV_LINUXAIO_VERSION "2.0"

#ifndef EV_LINUXAIO_IMPLEMENTATION
# ifdef EV_H
#  include EV_H
# else
#  include "ev.h"
# endif
#endif

#include <stddef.h>

/* libev before 4.25 knows EV_THROW only */
#ifdef EV_NOEXCEPT
# define EV_LINUXAIO_NOEXCEPT EV_NOEXCEPT
#elif defined EV_THROW
# define EV_LINUXAIO_NOEXCEPT EV_THROW
#else
# define EV_LINUXAIO_NOEXCEPT
#endif

EV_CPP(extern "C" {)

/*
 * Where the fds of a loop live, and what the loop has done. Counters begin at zero when the
 * loop is made, and again when its rings are removed, as in a forked child. Later versions
 * add members at the end.
 */
struct ev_linuxaio_stats
{
  const char *version;          /* of the library: "ev_linuxaio " EV_LINUXAIO_VERSION */

  /* watched fds, by where they live */
  unsigned ring_fds;            /* in rings */
  unsigned epoll_fds;           /* on epoll: the sum of the next four */
  unsigned epoll_chosen;        /* epoll is cheaper for them */
  unsigned epoll_kind;          /* a ring is not for files of their kind */
  unsigned epoll_refused;       /* the kernel has refused a request for them */
  unsigned epoll_waiting;       /* they move at an event or change, once a ring has room for them */

  /* rings */
  unsigned rings;
  unsigned ring_entries;        /* events that fit into them */
  unsigned ring_requests;       /* charged to fs.aio-max-nr */
  unsigned in_flight;           /* submitted - completed - cancelled: their events are unread */

  /* counters: requests */
  unsigned long submitted;      /* the kernel has taken them */
  unsigned long completed;      /* it has reported an event for them */
  unsigned long cancelled;      /* they were given up before that */
  unsigned long refused;        /* it has not taken them */

  /* counters: system calls */
  unsigned long submit_calls;   /* io_submit */
  unsigned long cancel_calls;   /* io_cancel */
  unsigned long epoll_calls;    /* epoll_wait, epoll_pwait2 */
  unsigned long probe_calls;    /* poll (2), to ask whether fds can be written to */
  unsigned long probe_hits;     /* fds for which such a poll had an event */
  unsigned long setups_refused; /* a ring could not be made: quota (fs.aio-max-nr), memory, descriptors, a filter */
};

/*
 * Fills in the first size bytes of *stats (pass sizeof (*stats)). It looks at
 * every fd: fine for once a second. Returns 1 if the loop uses this backend. Returns
 * 0, with everything but the version zero, if it runs on another one: because
 * another one was asked for, or because AIO does not work on this host.
 */
EV_API_DECL int ev_linuxaio_stats (EV_P_ struct ev_linuxaio_stats *stats, size_t size) EV_LINUXAIO_NOEXCEPT;

/*
 * Before the loop sleeps, it watches its rings in user space for up to that many seconds.
 * If an event comes in that time, the loop saves a wake-up (some microseconds). A CPU is
 * busy meanwhile, and what lives on epoll waits for that long. The next poll makes the
 * first ring, and moves every fd that rings serve. 0, the default, switches it off. A loop
 * of another backend ignores it.
 */
EV_API_DECL void ev_linuxaio_busy_poll (EV_P_ ev_tstamp seconds) EV_LINUXAIO_NOEXCEPT;

EV_CPP(})

#ifdef EV_LINUXAIO_IMPLEMENTATION

/*****************************************************************************/
/* differences between releases of libev */

#include <poll.h>
#include <stdint.h>

#ifdef EV_TS_CONST
# define LINUXAIO_TS(seconds)   EV_TS_CONST (seconds)
# define LINUXAIO_MSEC(seconds) EV_TS_TO_MSEC (seconds)
#else
# define LINUXAIO_TS(seconds)   (seconds)
# define LINUXAIO_MSEC(seconds) (int)((seconds) * 1e3 + 0.9999)
#endif

/* whether ev_run runs inside of a callback of the same loop. a libev without EV_FEATURE_API does not know */
#if EV_FEATURE_API
# define LINUXAIO_NESTED (loop_depth > 1)
#else
# define LINUXAIO_NESTED 0
#endif

/*****************************************************************************/
/* the ABI of the kernel */

#include <linux/aio_abi.h>

#define LINUXAIO_PROVE(name, cond) typedef char linuxaio_proof_ ## name [(cond) ? 1 : -1] ecb_unused

#define LINUXAIO_CMD_POLL   5          /* IOCB_CMD_POLL, Linux 4.19; commented out in older headers */
#define LINUXAIO_RING_MAGIC 0xa10a10a1 /* AIO_RING_MAGIC of fs/aio.c, in no header */

LINUXAIO_PROVE (iocb_size  , sizeof (struct iocb) == 64);
LINUXAIO_PROVE (iocb_resfd , offsetof (struct iocb, aio_resfd) == 60);
LINUXAIO_PROVE (event_size , sizeof (struct io_event) == 32);

/* what io_setup maps into the process (struct aio_ring of fs/aio.c) */
struct linuxaio_map
{
  uint32_t id;
  uint32_t nr;       /* number of entries */
  uint32_t head;     /* next entry to read, ours to write */
  uint32_t tail;     /* next entry to be filled, written by the kernel */
  uint32_t magic;
  uint32_t compat_features;
  uint32_t incompat_features;
  uint32_t header_length;
  /* nr struct io_event follow */
};

LINUXAIO_PROVE (map_tail   , offsetof (struct linuxaio_map, tail) == 12);
LINUXAIO_PROVE (map_magic  , offsetof (struct linuxaio_map, magic) == 16);
LINUXAIO_PROVE (map_header , sizeof (struct linuxaio_map) == 32);

/*****************************************************************************/
/* the state of a loop */

struct linuxaio_ring;

/* the phase of a request: bits, and 0 to begin with */
enum linuxaio_phase
{
  LINUXAIO_IDLE,           /* nothing happens */
  LINUXAIO_CANCELLED,      /* given up; its event is still to come and means nothing */
  LINUXAIO_IN_FLIGHT       /* the kernel holds it, and the file; or it is queued for that */
};

/* one direction of an fd */
typedef struct
{
  struct iocb iocb;        /* first: the kernel names the request by its address */
  struct linuxaio_ring *ring; /* the one it was queued for last */
  unsigned char phase;     /* enum linuxaio_phase */
  unsigned char direction; /* EV_READ or EV_WRITE */
  unsigned turn;           /* linuxaio.turn when it was queued */
} LINUXAIO_REQUEST;

/*
 * What epoll reports for the bell: fd 0, in a generation that it does not have. (If fd 0 was
 * changed 2^32 - 1 times, it counts as an event of that one.)
 */
#define LINUXAIO_BELL ((uint64_t)0xffffffff << 32)

/* where an fd lives. those up to LINUXAIO_ON_EPOLL may move to a ring */
enum linuxaio_place
{
  LINUXAIO_ANEW,           /* never seen, or set anew: neither epoll nor a ring was told since */
  LINUXAIO_ON_EPOLL,       /* on epoll */
  LINUXAIO_EPOLL_KIND,     /* on epoll until it is set anew: a ring is not for its kind of file */
  LINUXAIO_EPOLL_REFUSED,  /* on epoll until it is set anew: the kernel has refused a request */
  LINUXAIO_IN_RING
};

/* what the backend knows of an fd, in its ANFD */
typedef struct
{
  LINUXAIO_REQUEST *request; /* two, for reading and for writing; made when a ring is first used */
  int next;                /* on the re-arm list: the next fd + 1, or LINUXAIO_LAST. 0: not on it */
  signed char score;       /* high: a ring is cheaper, low: epoll is */
  unsigned char place;     /* enum linuxaio_place */
  unsigned char fired;     /* events it had since it was changed: EV_READ, EV_WRITE */
  unsigned char noprobe;   /* write interests that still skip the probe */
} LINUXAIO_FD;

struct linuxaio_state
{
  struct linuxaio_ring *rings; /* the newest first */
  int bell;                  /* eventfd that the kernel signals for each event in a ring, -1: none */
  int skips;                 /* polls that may still skip epoll_wait if they find nothing */

  int rearm;                 /* first fd + 1 of the re-arm list: what the next poll looks at */
  int epollfrom;             /* epoll has no fd below this one. 0 before a ring is first tried */
  unsigned turn;             /* goes up when a poll has submitted to the rings, and read them */
  int threshold;             /* score that gets an fd into a ring: 0 unless the backend chooses */
  int wishes;                /* events, on epoll, of fds that should be in a ring; stops at EV_LINUXAIO_WORTH */

  struct pollfd *probes;     /* fds with write interest that the kernel was not told of */
  int probemax, probecnt;

  ev_tstamp busy_poll;       /* seconds to watch the rings before sleeping */
  ev_tstamp patience;        /* seconds that this iteration may still wait for kernel workers */
  char *alive;               /* a page that reads 0 after a fork, made before the first ring */
  unsigned char choosing;    /* EVBACKEND_EPOLL was asked for, too */
  unsigned char no_pwait2;   /* epoll_pwait2 is missing or forbidden */
  unsigned char unusable;    /* AIO does not work here, and there is no ring: the loop goes on as one of ev_epoll.c */
  struct ev_linuxaio_stats stats; /* its counters only */
};

#endif /* EV_LINUXAIO_IMPLEMENTATION */

#endif
