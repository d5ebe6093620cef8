/*
 * ev_linuxaio.h - Linux AIO (IOCB_CMD_POLL) backend for libev
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 *
 * The first part is for programs: include it after (or instead of) ev.h.
 * The second part is for ev.c only, which asks for it by defining
 * EV_LINUXAIO_IMPLEMENTATION: what differs between releases of libev, the
 * ABI of the kernel with its proofs, and the state a loop keeps.
 */
#ifndef EV_LINUXAIO_H_
#define EV_LINUXAIO_H_

#ifndef EV_LINUXAIO_IMPLEMENTATION
# ifdef EV_H
#  include EV_H
# else
#  include "ev.h"
# endif
#endif

/* libev before 4.25 knows EV_THROW only */
#ifdef EV_NOEXCEPT
# define EV_LINUXAIO_NOEXCEPT EV_NOEXCEPT
#else
# define EV_LINUXAIO_NOEXCEPT EV_THROW
#endif

EV_CPP(extern "C" {)

/*
 * What a loop of this backend has done and where its fds live. Counters start
 * at the creation of the loop and, in a forked child, at zero again. At any
 * moment outside of ev_run, submitted == completed + cancelled + in_flight.
 */
struct ev_linuxaio_stats
{
  /* counters: requests */
  unsigned long submitted;      /* taken by the kernel */
  unsigned long completed;      /* answered by the kernel */
  unsigned long cancelled;      /* given up before the kernel answered */
  unsigned long refused;        /* not taken: bad fd, unsupported file, no room */

  /* counters: system calls */
  unsigned long submit_calls;   /* io_submit */
  unsigned long wait_calls;     /* io_getevents */
  unsigned long cancel_calls;   /* io_cancel */
  unsigned long epoll_calls;    /* epoll_wait, epoll_pwait2 */
  unsigned long probe_calls;    /* poll, of fds on epoll that are to be written to beside a read */

  /* counters: write interest beside a read */
  unsigned long probe_hits;     /* found writable by such a poll, before epoll was told */

  /* counters: the ring, and fds that changed side while being watched */
  unsigned long regrowths;      /* a larger ring has replaced a smaller one */
  unsigned long setups_refused; /* io_setup failed: quota (fs.aio-max-nr) or memory */
  unsigned long moved_to_epoll;
  unsigned long moved_to_ring;

  /* gauges: the ring */
  unsigned in_flight;           /* requests the kernel holds */
  unsigned ring_entries;        /* events that fit into the ring, 0: there is none (yet) */
  unsigned ring_requests;       /* charged to fs.aio-max-nr for this loop */

  /* gauges: watched fds */
  unsigned ring_fds;            /* served by the ring */
  unsigned epoll_fds;           /* served by epoll, the sum of what follows */
  unsigned epoll_no_ring;       /* because there is no ring (yet) */
  unsigned epoll_kind;          /* because of the kind of file */
  unsigned epoll_refused;       /* because the kernel refused a request */
  unsigned epoll_parked;        /* because it was stopped too often while armed */
  unsigned epoll_overflow;      /* because more fds are watched than the ring is for */
  unsigned epoll_steady;        /* because the loop changes little: epoll is cheaper */
};

/*
 * Fills *stats for the given loop; cheap enough for once a second, but not
 * free: it looks at every fd. Returns 1 if the loop uses this backend (which
 * may not have needed a ring yet), and 0, with *stats all zero, if it runs on
 * another one: because another one was asked for, or because this host cannot
 * do AIO (then ev_backend () says EVBACKEND_EPOLL).
 */
EV_API_DECL int ev_linuxaio_stats (EV_P_ struct ev_linuxaio_stats *stats) EV_LINUXAIO_NOEXCEPT;

/*
 * Before sleeping, watch the ring in user space for up to that many seconds.
 * Saves the wake-up (some microseconds) when events are expected sooner, and
 * burns a CPU meanwhile. The loop makes a ring for that, whether or not it gains
 * from one otherwise. 0, the default, switches it off. Has no effect on a loop
 * that does not use this backend, nor while more than 1022 fds are watched.
 */
EV_API_DECL void ev_linuxaio_busy_poll (EV_P_ ev_tstamp seconds) EV_LINUXAIO_NOEXCEPT;

EV_CPP(})

#ifdef EV_LINUXAIO_IMPLEMENTATION

/*****************************************************************************/
/* differences between releases of libev */

#include <poll.h>
#include <stddef.h>
#include <stdint.h>

#ifdef EV_TS_CONST
# define LINUXAIO_TS(seconds)   EV_TS_CONST (seconds)
# define LINUXAIO_MSEC(seconds) EV_TS_TO_MSEC (seconds)
# define linuxaio_noinit        array_needsize_noinit
# define linuxaio_zerofill      array_needsize_zerofill
#else
# define LINUXAIO_TS(seconds)   (seconds)
# define LINUXAIO_MSEC(seconds) (int)((seconds) * 1e3 + 0.9999)
# define linuxaio_noinit        EMPTY2
# define linuxaio_zerofill      array_init_zero

/* a function of ev_epoll.c since 4.27 */
# include <sys/epoll.h>

static int
epoll_epoll_create (void)
{
  return epoll_create1 (EPOLL_CLOEXEC);
}
#endif

/*****************************************************************************/
/* the ABI of the kernel */

#include <linux/aio_abi.h>

#define LINUXAIO_CMD_POLL   5          /* IOCB_CMD_POLL, Linux 4.19; commented out in older headers */
#define LINUXAIO_RING_MAGIC 0xa10a10a1 /* AIO_RING_MAGIC of fs/aio.c, in no header */

/* what io_setup maps into the process (struct aio_ring of fs/aio.c) */
struct linuxaio_ring
{
  uint32_t id;
  uint32_t nr;       /* number of entries */
  uint32_t head;     /* next entry to read, ours to write */
  uint32_t tail;     /* next entry to be filled, written by the kernel */
  uint32_t magic;
  uint32_t compat_features;
  uint32_t incompat_features;
  uint32_t header_length;
  /* followed by nr struct io_event */
};

/* io_getevents takes the timespec of the kernel's word size, whatever libc's time_t is */
struct linuxaio_timespec
{
#if defined __x86_64__ && defined __ILP32__
  long long tv_sec, tv_nsec;
#else
  long tv_sec, tv_nsec;
#endif
};

/* epoll_pwait2 and io_pgetevents_time64 take this one everywhere */
struct linuxaio_timespec64
{
  int64_t tv_sec, tv_nsec;
};

#define LINUXAIO_PROVE(name, cond) typedef char linuxaio_proof_ ## name [(cond) ? 1 : -1] ecb_unused

LINUXAIO_PROVE (iocb_size  , sizeof (struct iocb) == 64);
LINUXAIO_PROVE (event_size , sizeof (struct io_event) == 32);
LINUXAIO_PROVE (ring_tail  , offsetof (struct linuxaio_ring, tail) == 12);
LINUXAIO_PROVE (ring_magic , offsetof (struct linuxaio_ring, magic) == 16);
LINUXAIO_PROVE (ring_header, sizeof (struct linuxaio_ring) == 32);

/*****************************************************************************/
/* the state of a loop */

/* where an fd lives; what follows the ring is on epoll, and says why */
enum linuxaio_place
{
  LINUXAIO_UNDECIDED,      /* new, or re-set: decided when it is armed */
  LINUXAIO_IN_RING,
  LINUXAIO_EPOLL_NO_RING,
  LINUXAIO_EPOLL_KIND,
  LINUXAIO_EPOLL_REFUSED,
  LINUXAIO_EPOLL_PARKED,
  LINUXAIO_EPOLL_OVERFLOW,
  LINUXAIO_EPOLL_STEADY
};

/* the life of a request */
enum linuxaio_phase
{
  LINUXAIO_FREE,           /* belongs to nobody */
  LINUXAIO_IDLE,           /* belongs to an fd, nothing happens */
  LINUXAIO_QUEUED,         /* goes to the kernel with the next io_submit */
  LINUXAIO_IN_FLIGHT,      /* the kernel holds it, and the file */
  LINUXAIO_CANCELLED       /* given up; its event is still to come and means nothing */
};

/* beside the iocb of the same index, which the kernel reads */
typedef struct
{
  int fd;                  /* -1: the request of the backend itself, for its epoll fd */
  unsigned char phase;     /* enum linuxaio_phase */
  unsigned char write;     /* direction: 0 read, 1 write */
  unsigned char leftover;  /* in flight since before its direction was wanted again */
  unsigned char hasty;     /* the kernel completes it on suspicion */
  int next, prev;          /* in flight: by age; free: next only */
} LINUXAIO_REQUEST;

/* what the backend knows of an fd, beside its ANFD */
typedef struct
{
  short request [2];       /* index of the read and of the write request, 0: none */
  unsigned short parked;   /* on epoll for that many more stops or changes */
  unsigned char place;     /* enum linuxaio_place */
  unsigned char listed;    /* is on the re-arm list */
  unsigned char in_epoll;  /* may be registered there, for this or another file */
  unsigned char pipe;      /* a pipe or FIFO */
  unsigned char resets;    /* how often it was re-set while armed since it was last stopped, saturating */
  unsigned char backoff;   /* how often it was cancelled while armed, saturating */
} LINUXAIO_FD;

struct linuxaio_state
{
  aio_context_t ctx;         /* 0: no ring. its value is the address of the mapping */
  struct linuxaio_ring *ring;/* the mapping, or 0 if it is not understood */
  struct iocb *iocbs;        /* one a request: stable addresses, by which the kernel knows them */
  LINUXAIO_REQUEST *requests;
  struct iocb **queue;       /* what goes to the kernel with the next io_submit */
  int entries;               /* events that fit into the ring */
  int asked;                 /* what io_setup was asked for */
  int size;                  /* number of requests, the first is the backend's own */
  int used;                  /* requests beyond were never used, nor initialised */
  int queuecnt;
  int freelist;              /* first free request, 0: none */
  int oldest, newest;        /* requests in flight by age, 0: none; without the backend's own */
  int inflightcnt;           /* their number */
  int cancelledcnt;          /* cancelled ones whose event is still to come */
  int cancelled;             /* the one that was cancelled last, before it had completed */

  LINUXAIO_FD *fds;          /* 0: no ring was ever wanted, and all are on epoll */
  int fdmax;
  int *rearms;               /* fds to look at before the next wait */
  int rearmmax, rearmcnt;
  int watchcnt;              /* fds that are watched */
  int changecnt;             /* since the loop was last weighed: changes of what is watched, */
  int eventcnt;              /* events, */
  int epollcnt;              /* those of them that came by epoll beside a ring, */
  int vaincnt;               /* and polls without waiting that found nothing */
  ev_tstamp weighed_at;      /* when that was (monotonic) */
  int sweep;                 /* next fd to look at for one that could live in the ring again */
  int surveyed;              /* fds below that are known to be of kinds beside which there may be a ring, or not on epoll */

  struct pollfd *probes;     /* fds on epoll whose write interest epoll was not told of */
  int probemax, probecnt;
  int probehits;             /* of them, found writable a moment ago: the first so many */
  int probe_credit;          /* how many more misses before no fd is asked; below 0: fds that are not asked */

  aio_context_t *retires;    /* contexts that were outgrown: empty, kept until destroy */
  int retiremax, retirecnt;
  int retired_asked;         /* what they are charged with */

  char *alive;               /* a page that reads 0 after a fork, 0: no ring was ever made */
  ev_tstamp retry_at;        /* no new io_setup before that (monotonic) */
  ev_tstamp busy_poll;       /* seconds to watch the ring before sleeping */
  unsigned char unusable;    /* the ring does not work on this host, or must not be beside what the loop watches */
  unsigned char no_pwait2;   /* epoll_pwait2 is missing or forbidden */
  unsigned char broken;      /* events could not be had by system call: to be abandoned */
  unsigned char crowded;     /* the kernel had no room where there should have been some */
  unsigned char lively;      /* was seen to gain from a ring */
  unsigned char steady;      /* was seen to gain nothing from the ring */
  unsigned char vain;        /* was seen to poll, and find nothing as a rule */
  unsigned char draining;    /* steady, or more fds than the ring is for: it is being emptied */
  unsigned char yielding;    /* the same, to give it up: a file is watched that cannot be beside it */
  unsigned char hurried;     /* a kernel worker was slow: not waited for again in this iteration */
  unsigned char epoll_ready; /* the backend's own request has completed */
  struct ev_linuxaio_stats stats; /* its counters only */
};

#endif /* EV_LINUXAIO_IMPLEMENTATION */

#endif
