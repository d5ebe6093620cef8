/*
 * ev_linuxaio.c - Linux AIO (IOCB_CMD_POLL) backend for libev
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */

/*
 * The invariant: each watched fd lives either on epoll or in a ring (place). When the loop
 * sleeps, the kernel holds every wanted direction of every fd: on epoll by the registration
 * that ev_epoll.c has made, in a ring by a request in flight. Until then the fd is among
 * libev's fdchanges, on the re-arm list, among the probes, or in the queue of a ring.
 *
 * The loop always sleeps in ev_epoll.c's epoll_poll. Each request names an eventfd, the
 * bell, which is registered in the same epoll set: epoll_wait returns when the kernel has
 * put an event into a ring, and the ring is read in user space. So the epoll fd becomes
 * readable for events of either kind, there can be any number of rings, and no request is
 * made for the epoll fd: no kernel worker looks at the epoll set.
 *
 * What follows from how the kernel does it (fs/aio.c):
 *
 * - a request is one-shot. When it has completed, its fd goes on the re-arm list, and the
 *   next linuxaio_poll submits what is wanted and not in flight. So polling is
 *   level-triggered.
 * - an fd has a request for each direction. A direction that is no longer wanted stays in
 *   flight, and its event reaches no watcher, unless it is an error or a hangup.
 * - a request in flight holds the open file. So requests are cancelled as soon as the last
 *   watcher of the fd is stopped (linuxaio_release), the fd is set anew, or moves to epoll.
 *   The event of a cancelled request still comes, and the request is not used before that.
 * - a forked child has no mapping of the rings (MADV_DONTFORK). Whatever reads one asks
 *   linuxaio_forked first.
 *
 * On epoll, emask is what the kernel was told and still has, and EV_EMASK_EPERM for a file
 * without poll. Starting a watcher again costs no call if emask has its events: there can be
 * another file behind the number only if the fd was set anew (EV__IOFDSET; ev.pod: The
 * special problem of disappearing file descriptors). For an fd in a ring, emask is what epoll
 * would have been told.
 *
 * Of libev, the patches change fd_reify (eflags tells whether an fd was set anew),
 * ev_io_stop (linuxaio_release), epoll_modify (emask of a killed fd is 0), epoll_poll
 * (linuxaio_epoll_wait, linuxaio_epoll_event, LINUXAIO_BELL) and ev_embed_start
 * (linuxaio_bell_signal). linuxaio is a member of the loop.
 */

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#ifdef array_needsize_noinit
# define linuxaio_noinit array_needsize_noinit
#else
# define linuxaio_noinit EMPTY2
#endif

#if !EV_USE_EVENTFD /* otherwise ev.c declares it */
# include <sys/eventfd.h>
#endif

static int enable_secure (void); /* of ev.c */

/* also for those who look into a file for it */
static const char linuxaio_ident [] ecb_attribute ((__used__)) = "ev_linuxaio " EV_LINUXAIO_VERSION;

/*****************************************************************************/
/* policy */

/*
 * Requests asked of io_setup, and charged to fs.aio-max-nr: for the first ring one page (127
 * entries; more if there are above 15 CPUs), for the others more, but not so many that cancelling
 * is slow: it takes 5 - 8 us for the youngest of 2000, as the kernel searches them (Linux 6.18).
 */
#ifndef EV_LINUXAIO_RING_FIRST
# define EV_LINUXAIO_RING_FIRST 62
#endif
#ifndef EV_LINUXAIO_RING_NEXT
# define EV_LINUXAIO_RING_NEXT 1022
#endif

/*
 * the first ring is made after so many events of fds that should be in one. it takes 80 us,
 * and its removal 35 ms
 */
#ifndef EV_LINUXAIO_WORTH
# define EV_LINUXAIO_WORTH 1000
#endif

/*
 * The table of prices: what moves the score of an fd, which is between -128 and
 * LINUXAIO_SCORE_MAX. In a ring an event costs 0.3 us more, a cancel 6 us, and setting an
 * fd anew 0.4 us, since its kind is asked again. On epoll a change of the mask costs 0.6 us
 * more. With LIBEV_FLAGS=64 an event is a gain: an fd comes back some time after a cancel.
 * One cancel is enough to leave, and so is one wait where the backend chooses: since
 * 6.12.117 and 7.3.4 (398e3fa789aa) a kernel worker completes each request that had to wait
 * and has an eventfd, which takes 2 - 3 times as long as epoll does.
 */
enum
{
  LINUXAIO_PRICE_EVENT  = 1,  /* a gain. where the backend chooses: a loss, from the second one without a change */
  LINUXAIO_PRICE_CHANGE = 2,  /* a gain: for a change after an event, if epoll would have to hear of it */
  LINUXAIO_PRICE_ANEW   = 4,  /* for an fd that is set anew after an event */
  LINUXAIO_PRICE_CANCEL = 64, /* for an fd that is stopped, or set anew, in flight */
  LINUXAIO_PRICE_WAIT   = 64, /* where the backend chooses, for an event that was not there at once */
  LINUXAIO_SCORE_ENTRY  = 32, /* backend chooses: this gets an fd into a ring, and 0 out of it again */
  LINUXAIO_SCORE_MAX    = 63
};

/*
 * When a probe has found that an fd cannot be written to, that many of its write interests
 * skip the probe. A probe costs 0.15 us, and spares 1 us if the fd can be written to.
 */
#define LINUXAIO_NO_PROBES 4

/* seconds that one iteration waits for kernel workers which let go of files: 3 us each, as a rule */
#define LINUXAIO_PATIENCE LINUXAIO_TS (50e-6)

/* requests handed over at once: enough to share the call, few enough to be in the cache */
#define LINUXAIO_BATCH 32

/*
 * polls without waiting that may skip epoll_wait if nothing is on epoll. it is called now and
 * then for the bell, which may show although nothing is in the rings
 */
#define LINUXAIO_SKIPS 31

/*****************************************************************************/
/* the seam to the kernel. Those that return an int return -errno on failure. */
/* Calls without a wrapper here go to libc directly.                          */

#ifndef MADV_WIPEONFORK
# define MADV_WIPEONFORK 18 /* Linux 4.14 */
#endif

/* glibc 2.35 has it: where the C library does not, the address is 0 */
EV_CPP(extern "C" {)
extern int epoll_pwait2 (int, struct epoll_event *, int, const struct timespec *, const sigset_t *);
EV_CPP(})
#pragma weak epoll_pwait2

inline_size int
evsys_result (long res)
{
  return ecb_expect_false (res < 0) ? -errno : (int)res;
}

/* makes a context for that many requests. EAGAIN: quota, ENOMEM, ENOSYS, EPERM */
static int
evsys_io_setup (unsigned requests, aio_context_t *ctx)
{
  return evsys_result (syscall (SYS_io_setup, (long)requests, ctx));
}

/* waits for two RCU grace periods, some 35 ms (fs/aio.c: kill_ioctx). EINVAL: not of this process */
static int
evsys_io_destroy (aio_context_t ctx)
{
  return evsys_result (syscall (SYS_io_destroy, ctx));
}

/* returns how many were taken, or the error of the first one */
static int
evsys_io_submit (aio_context_t ctx, long count, struct iocb **iocbs)
{
  return evsys_result (syscall (SYS_io_submit, ctx, count, iocbs));
}

/* EINPROGRESS is success (0 on some 5.4 and 6.8-rc), EINVAL: not in flight */
static int
evsys_io_cancel (aio_context_t ctx, struct iocb *iocb)
{
  struct io_event unused;

  return evsys_result (syscall (SYS_io_cancel, ctx, iocb, &unused));
}

/* adds an fd to an epoll set, or takes it out. ENOENT, EBADF: is not in it */
static int
evsys_epoll_ctl (int epfd, int op, int fd, uint32_t events, uint64_t data)
{
  struct epoll_event ev;

  ev.events   = events;
  ev.data.u64 = data;

  return evsys_result (epoll_ctl (epfd, op, fd, &ev));
}

/* the value of an option of a socket that is an int. ENOTSOCK, EBADF */
static int
evsys_getsockopt (int fd, int option)
{
  int value = 0;
  socklen_t len = sizeof (value);
  int res = evsys_result (getsockopt (fd, SOL_SOCKET, option, &value, &len));

  return res < 0 ? res : value;
}

/* reads the beginning of a small file as a string, an empty one if that fails */
ecb_cold static void
evsys_read_file (const char *path, char *buf, int size)
{
  int fd  = open (path, O_RDONLY | O_CLOEXEC);
  int len = fd < 0 ? 0 : read (fd, buf, size - 1);

  buf [len < 0 ? 0 : len] = 0;

  if (fd >= 0)
    close (fd);
}

/*****************************************************************************/
/* kernels */

#define LINUXAIO_VERSION(a,b,c) ((unsigned)(a) << 16 | (unsigned)(b) << 8 | (unsigned)(c))

/* the first "a.b.c" of a text, 0 if there is none. a part above 255 counts as 255 */
ecb_cold static unsigned
linuxaio_version (const char *text)
{
  unsigned part [3] = { 0, 0, 0 };
  int i;

  sscanf (text + strcspn (text, "0123456789"), "%9u.%9u.%9u", part, part + 1, part + 2);

  for (i = 0; i < 3; ++i)
    if (part [i] > 255)
      part [i] = 255;

  return LINUXAIO_VERSION (part [0], part [1], part [2]);
}

/*
 * Whether IOCB_CMD_POLL of that version neither loses wakeups (363bee27e258,
 * in 5.16 and the stable releases named here) nor crashes the kernel
 * (71eb6b6b0ba9 in 6.8.0, repaired in 6.8.5).
 */
ecb_cold static int
linuxaio_version_good (unsigned v)
{
  if (v >= LINUXAIO_VERSION (5, 16, 0))
    return v < LINUXAIO_VERSION (6, 8, 0) || v >= LINUXAIO_VERSION (6, 8, 5);

  switch (v >> 8)
    {
      case LINUXAIO_VERSION (5, 15, 0) >> 8: return (v & 255) >= 8;
      case LINUXAIO_VERSION (5, 10, 0) >> 8: return (v & 255) >= 85;
      case LINUXAIO_VERSION (5,  4, 0) >> 8: return (v & 255) >= 165;
      case LINUXAIO_VERSION (4, 19, 0) >> 8: return (v & 255) >= 221;
    }

  return 0;
}

/*
 * The release of a distribution's kernel often stays at a.b.0. Debian tells
 * the version it really is in uname -v, Ubuntu at the end of a file in /proc.
 */
ecb_cold static int
linuxaio_kernel_good (void)
{
  struct utsname un;
  char signature [128];
  const char *text;

  if (uname (&un) < 0)
    return 0;

  if (linuxaio_version_good (linuxaio_version (un.release)))
    return 1;

  if ((text = strstr (un.version, "Debian ")))
    return linuxaio_version_good (linuxaio_version (text));

  evsys_read_file ("/proc/version_signature", signature, sizeof (signature));
  text = strrchr (signature, ' ');

  return text && linuxaio_version_good (linuxaio_version (text));
}

/*
 * Valgrind (3.19) believes a ring to be half as large as it is, and hands the
 * other half out again to mmap: no ring there. It can be known by the library
 * that it preloads into every program.
 */
ecb_cold static int
linuxaio_on_valgrind (void)
{
  const char *preload = getenv ("LD_PRELOAD");

  return preload && strstr (preload, "/vgpreload_");
}

/*****************************************************************************/
/* rings */

/* a ring and its queue */
typedef struct linuxaio_ring
{
  struct linuxaio_ring *next;
  aio_context_t ctx;
  struct linuxaio_map *map; /* what the kernel shares with us. its address is the value of ctx */
  int capacity;             /* requests that it takes */
  int room;                 /* what is left of that, as far as we know */
  int withheld;             /* what the kernel has refused to give of that */
  int asked;                /* charged to fs.aio-max-nr */
  uint32_t entries;         /* events that fit into it */
  int queuecnt;
  struct iocb *queue [LINUXAIO_BATCH]; /* what goes to the kernel with the next io_submit */
} LINUXAIO_RING;

/* end of the re-arm list. its links are fd + 1, so that 0 means: is not on it */
#define LINUXAIO_LAST (-1)

/* registers the bell in the epoll set. nobody ever reads it: EPOLLET tells of each signal once */
static int
linuxaio_bell_register (EV_P)
{
  linuxaio.skips = 0; /* it shows at once if it was signalled before */
  return evsys_epoll_ctl (backend_fd, EPOLL_CTL_ADD, linuxaio.bell, EPOLLIN | EPOLLET, LINUXAIO_BELL);
}

/* makes the epoll fd readable, as an event in a ring does */
static void
linuxaio_bell_signal (EV_P)
{
  const uint64_t one = 1;
  int unused ecb_unused = write (linuxaio.bell, &one, sizeof (one));

  linuxaio.skips = 0;
}

/* makes the page that tells of forks, returns 0 or an error */
ecb_cold static int
linuxaio_page_new (EV_P)
{
  void *page = mmap (0, 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int res;

  if (page == MAP_FAILED)
    return -errno;

  if ((res = evsys_result (madvise (page, 1, MADV_WIPEONFORK))) < 0)
    {
      munmap (page, 1);
      return res;
    }

  linuxaio.alive  = (char *)page;
  *linuxaio.alive = 1;

  return 0;
}

/* makes the bell, returns 0 or an error */
ecb_cold static int
linuxaio_bell_new (EV_P)
{
  int res;

  if ((linuxaio.bell = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
    return -errno;

  if ((res = linuxaio_bell_register (EV_A)) < 0)
    {
      close (linuxaio.bell);
      linuxaio.bell = -1;
    }

  return res;
}

/*
 * Takes a context into use, returns 0 if its mapping is not as we know it (gVisor's
 * is a read-only page of zeroes).
 */
ecb_cold static int
linuxaio_ring_install (EV_P_ aio_context_t ctx, int asked)
{
  struct linuxaio_map *map = (struct linuxaio_map *)(uintptr_t)ctx;
  LINUXAIO_RING *ring;

  if (map->magic != LINUXAIO_RING_MAGIC || map->incompat_features || map->header_length != sizeof (*map) || map->nr < 3)
    return 0;

  /* before 7.1 a child that touched the ring while the parent destroys it could crash the kernel */
  madvise (map, sizeof (*map) + sizeof (struct io_event) * map->nr, MADV_DONTFORK);

  ring = (LINUXAIO_RING *)ev_malloc (sizeof (*ring));
  ring->next     = linuxaio.rings;
  ring->ctx      = ctx;
  ring->map      = map;
  ring->asked    = asked;
  ring->entries  = map->nr;
  ring->queuecnt = 0;

  /* twice what was asked for, but one entry always stays empty (fs/aio.c: ioctx_alloc) */
  ring->capacity = (int)map->nr - 1 < asked * 2 ? (int)map->nr - 1 : asked * 2;
  ring->room     = ring->capacity;
  ring->withheld = 0;

  linuxaio.rings  = ring;
  backend_mintime = LINUXAIO_TS (1e-6);

  return 1;
}

/* whether an error is about what others may have used up, not about this host */
ecb_cold static int
linuxaio_may_pass (int error)
{
  return error == -EAGAIN || error == -ENOMEM || error == -EMFILE || error == -ENFILE || error == -ENOSPC;
}

/*
 * Makes a ring. If that fails for lack of quota, memory or descriptors, it is tried
 * again after EV_LINUXAIO_WORTH more wishes. If this host cannot do AIO at all, the loop
 * becomes one of the epoll backend.
 */
ecb_cold static int
linuxaio_ring_open (EV_P)
{
  int asked = linuxaio.rings ? EV_LINUXAIO_RING_NEXT : EV_LINUXAIO_RING_FIRST;
  aio_context_t ctx = 0;
  int res = linuxaio_kernel_good () && !linuxaio_on_valgrind () ? 0 : -ENOSYS;

  if (res >= 0 && !linuxaio.alive)
    res = linuxaio_page_new (EV_A);

  if (res >= 0 && linuxaio.bell < 0)
    res = linuxaio_bell_new (EV_A);

  if (res >= 0 && (res = evsys_io_setup (asked, &ctx)) >= 0 && !linuxaio_ring_install (EV_A_ ctx, asked))
    {
      evsys_io_destroy (ctx);
      res = -ENOSYS;
    }

  if (res < 0)
    {
      ++linuxaio.stats.setups_refused;
      linuxaio.wishes   = 0;
      linuxaio.unusable = !linuxaio.rings && !linuxaio_may_pass (res);
    }

  return res >= 0;
}

/*
 * all rings are full. returns an empty one that was marked full for lack of memory, else a
 * new one, else 0
 */
ecb_cold static LINUXAIO_RING *
linuxaio_ring_more (EV_P)
{
  LINUXAIO_RING *ring;

  if (linuxaio.wishes < EV_LINUXAIO_WORTH || linuxaio.unusable)
    return 0;

  for (ring = linuxaio.rings; ring; ring = ring->next)
    if (ring->room + ring->withheld == ring->capacity)
      {
        ring->room     = ring->capacity;
        ring->withheld = 0;
        return ring;
      }

  return linuxaio_ring_open (EV_A) ? linuxaio.rings : 0;
}

/* returns a ring with room for both requests of an fd, 0 if there is none and none is to be had */
inline_speed LINUXAIO_RING *
linuxaio_ring_find (EV_P)
{
  LINUXAIO_RING *ring;

  for (ring = linuxaio.rings; ring; ring = ring->next)
    if (ecb_expect_true (ring->room >= 2))
      return ring;

  return linuxaio_ring_more (EV_A);
}

/* whether an fd on epoll may move now */
inline_size int
linuxaio_may_enter (EV_P_ LINUXAIO_FD *f)
{
  return f->place <= LINUXAIO_ON_EPOLL /* or LINUXAIO_ANEW */
      && f->score >= linuxaio.threshold
      && (linuxaio.rings || linuxaio.wishes >= EV_LINUXAIO_WORTH);
}

/*****************************************************************************/
/* requests */

/* moves the score of an fd, by a price */
inline_size void
linuxaio_score (LINUXAIO_FD *f, int change)
{
  int score = f->score + change;

  f->score = score < -128 ? -128 : score > LINUXAIO_SCORE_MAX ? LINUXAIO_SCORE_MAX : score;
}

/* makes the next linuxaio_poll look at the fd */
inline_speed void
linuxaio_rearm (EV_P_ int fd)
{
  LINUXAIO_FD *f = &anfds [fd].aio;

  if (!f->next)
    {
      f->next = linuxaio.rearm;
      linuxaio.rearm = fd + 1;
    }
}

/* makes the requests of an fd, with what never changes of them */
ecb_noinline static void
linuxaio_requests_new (EV_P_ int fd)
{
  LINUXAIO_REQUEST *r = (LINUXAIO_REQUEST *)ev_malloc (sizeof (*r) * 2);
  int write;

  memset (r, 0, sizeof (*r) * 2);
  anfds [fd].aio.request = r;

  for (write = 0; write < 2; ++write)
    {
      r [write].iocb.aio_lio_opcode = LINUXAIO_CMD_POLL;
      r [write].iocb.aio_fildes     = fd;
      r [write].iocb.aio_buf        = write ? POLLOUT : POLLIN;
      r [write].iocb.aio_flags      = IOCB_FLAG_RESFD;
      r [write].direction           = write ? EV_WRITE : EV_READ;
    }
}

/* the directions that are wanted of an fd in a ring, but not requested: EV_READ, EV_WRITE */
inline_speed int
linuxaio_lacks (EV_P_ int fd)
{
  LINUXAIO_REQUEST *r = anfds [fd].aio.request;

  return anfds [fd].events & ((r [0].phase ? 0 : EV_READ) | (r [1].phase ? 0 : EV_WRITE));
}

/* queues a direction of an fd */
inline_speed void
linuxaio_queue (EV_P_ LINUXAIO_RING *ring, LINUXAIO_REQUEST *r)
{
  r->phase = LINUXAIO_IN_FLIGHT;
  r->ring  = ring;
  r->turn  = linuxaio.turn;

  ring->queue [ring->queuecnt++] = &r->iocb;
  --ring->room;
}

/* takes the first count requests off a queue */
inline_size void
linuxaio_unqueue (LINUXAIO_RING *ring, int count)
{
  ring->queuecnt -= count;

  if (ring->queuecnt)
    memmove (ring->queue, ring->queue + count, sizeof (*ring->queue) * ring->queuecnt);
}

/*
 * Takes a request back if it is still in a queue, returns whether it was. Then it is the first
 * there: queues are empty outside of a poll, and inside of one a request is taken back only
 * after the one before it, of the same fd, was refused.
 */
static int
linuxaio_retract (LINUXAIO_REQUEST *r)
{
  LINUXAIO_RING *ring = r->ring;

  if (!ring->queuecnt || ring->queue [0] != &r->iocb)
    return 0;

  linuxaio_unqueue (ring, 1);
  ++ring->room;
  r->phase = LINUXAIO_IDLE;

  return 1;
}

/*
 * Cancels a request in flight. Its event still comes: from a kernel worker
 * (fs/aio.c: aio_poll_cancel), or because it was in the ring already. If the cancel
 * is forbidden, the request keeps the file open until the file has an event. Returns
 * whether a worker will complete it.
 */
static int
linuxaio_cancel (EV_P_ LINUXAIO_REQUEST *r)
{
  int res = evsys_io_cancel (r->ring->ctx, &r->iocb);

  ++linuxaio.stats.cancel_calls;
  r->phase = LINUXAIO_CANCELLED;

  return res == -EINPROGRESS || !res;
}

/* takes all requests of an fd back, returns how many of them kernel workers will complete */
static int
linuxaio_drop (EV_P_ LINUXAIO_FD *f)
{
  int cancelled = 0;
  int write;

  for (write = 0; write < 2; ++write)
    {
      LINUXAIO_REQUEST *r = f->request + write;

      if (r->phase == LINUXAIO_IN_FLIGHT && !linuxaio_retract (r))
        cancelled += linuxaio_cancel (EV_A_ r);
    }

  return cancelled;
}

/* the phase of those requests that are not idle. it is the same for both: linuxaio_drop gives up both */
inline_size int
linuxaio_phase (LINUXAIO_FD *f)
{
  return f->request ? f->request [0].phase | f->request [1].phase : LINUXAIO_IDLE;
}

/*****************************************************************************/
/* where an fd lives */

/*
 * Whether rings serve this kind of file: stream and seqpacket sockets that do not listen,
 * and pipes, but for the end that is written to. They do not serve
 *
 * - files that depend on the process that asks (signalfd, binder, epoll), or lose what
 *   they report (perf_event): a kernel worker may ask them (fs/aio.c: aio_poll_wake)
 * - files that report what is not true any more: eventfd, timerfd, before 6.14
 *   the write end of a pipe
 * - sockets whose name has to be free as soon as they are closed: those that listen,
 *   and datagram sockets
 */
static int
linuxaio_kind_good (int fd)
{
  struct stat st;
  int type = evsys_getsockopt (fd, SO_TYPE);

  if (ecb_expect_true (type == SOCK_STREAM || type == SOCK_SEQPACKET))
    return !evsys_getsockopt (fd, SO_ACCEPTCONN);

  return type == -ENOTSOCK && (fcntl (fd, F_GETFL) & O_ACCMODE) != O_WRONLY && !fstat (fd, &st) && S_ISFIFO (st.st_mode);
}

/* tells epoll what is wanted of an fd. oev: what it knows of this file, as for epoll_modify */
static void
linuxaio_tell_epoll (EV_P_ int fd, int oev)
{
  if (anfds [fd].aio.place == LINUXAIO_ANEW)
    anfds [fd].aio.place = LINUXAIO_ON_EPOLL;

  linuxaio.epollfrom = 0;
  epoll_modify (EV_A_ fd, oev, anfds [fd].events);
}

/* epoll serves the fd from now on */
static void
linuxaio_to_epoll (EV_P_ int fd, enum linuxaio_place place)
{
  LINUXAIO_FD *f = &anfds [fd].aio;

  linuxaio_drop (EV_A_ f);
  f->place = place;
  anfds [fd].emask = 0;

  if (ecb_expect_true (fd_valid (fd)))
    linuxaio_tell_epoll (EV_A_ fd, 0);
  else
    anfds [fd].emask = anfds [fd].events; /* closed, not stopped: epoll forgets it, epoll_modify would kill it */
}

/*
 * whether an fd in a ring stays there. one that waits for the event of a cancel is better
 * off on epoll meanwhile
 */
inline_size int
linuxaio_stays (EV_P_ LINUXAIO_FD *f)
{
  int phase = linuxaio_phase (f);

  if (phase == LINUXAIO_CANCELLED)
    return 0;

  /* where the backend chooses, leaving is worth the cancel of the other direction */
  if (linuxaio.threshold)
    return f->score > 0;

  return phase != LINUXAIO_IDLE || f->score >= 0;
}

/*
 * lets an fd on epoll into a ring, if rings serve its kind and one has room. returns the
 * ring, or 0
 */
static LINUXAIO_RING *
linuxaio_enter (EV_P_ int fd)
{
  LINUXAIO_FD *f = &anfds [fd].aio;
  LINUXAIO_RING *ring = 0;

  /* room comes first, as a rule it costs no call. but no first ring is made for a wrong kind */
  if (linuxaio.rings && !(ring = linuxaio_ring_find (EV_A)))
    return 0;

  if (!linuxaio_kind_good (fd))
    {
      f->place = LINUXAIO_EPOLL_KIND;
      return 0;
    }

  if (!ring && !(ring = linuxaio_ring_find (EV_A)))
    return 0;

  if (anfds [fd].emask)
    evsys_epoll_ctl (backend_fd, EPOLL_CTL_DEL, fd, 0, 0);

  if (!f->request)
    linuxaio_requests_new (EV_A_ fd);

  f->request [0].iocb.aio_resfd = f->request [1].iocb.aio_resfd = linuxaio.bell;

  /*
   * epoll may still have the number: a dup keeps an old file there, and epoll_poll clears the
   * emask of an fd that had a file without poll. Such events must not match egen any more.
   */
  ++anfds [fd].egen;
  f->place = LINUXAIO_IN_RING;

  return ring;
}

/*****************************************************************************/
/* submitting and arming */

/*
 * What an error of io_submit means for the request that it is about, the first of the queue.
 * EAGAIN (or 0, which the kernel does not say): the ring takes no more until something
 * of it completes, and the whole queue goes on the re-arm list, so that linuxaio_arm
 * finds another ring for it, or epoll. If nothing of it is in flight, the kernel has no memory,
 * not even for one, and epoll serves them at once. Anything else: the file is not for a ring,
 * or was closed, or a filter forbids the call by now.
 */
ecb_cold static void
linuxaio_submit_error (EV_P_ LINUXAIO_RING *ring, int error)
{
  int full  = !error || error == -EAGAIN;
  int empty = ring->room + ring->withheld + ring->queuecnt == ring->capacity;

  do
    {
      LINUXAIO_REQUEST *r = (LINUXAIO_REQUEST *)ring->queue [0];

      linuxaio_unqueue (ring, 1);
      ++ring->room;
      ++linuxaio.stats.refused;
      r->phase = LINUXAIO_IDLE;

      if (full && !empty)
        linuxaio_rearm (EV_A_ r->iocb.aio_fildes);
      else
        linuxaio_to_epoll (EV_A_ r->iocb.aio_fildes, full ? LINUXAIO_ON_EPOLL : LINUXAIO_EPOLL_REFUSED);
    }
  while (full && ring->queuecnt);

  if (full)
    {
      ring->withheld += ring->room;
      ring->room = 0;

      if (empty)
        linuxaio.wishes = 0; /* no other ring for some time */
    }
}

/* hands a queue over to the kernel */
static void
linuxaio_submit (EV_P_ LINUXAIO_RING *ring)
{
  while (ring->queuecnt)
    {
      int res = evsys_io_submit (ring->ctx, ring->queuecnt, ring->queue);

      ++linuxaio.stats.submit_calls;

      if (ecb_expect_false (res <= 0))
        linuxaio_submit_error (EV_A_ ring, res);
      else
        {
          linuxaio.stats.submitted += res;
          linuxaio_unqueue (ring, res);
        }
    }
}

/* queues directions of an fd for a ring that has room for them */
inline_speed void
linuxaio_queue_all (EV_P_ int fd, LINUXAIO_RING *ring, int directions)
{
  if (directions & EV_READ)
    linuxaio_queue (EV_A_ ring, anfds [fd].aio.request);

  if (directions & EV_WRITE)
    linuxaio_queue (EV_A_ ring, anfds [fd].aio.request + 1);

  anfds [fd].emask = anfds [fd].events;

  if (ecb_expect_false (ring->queuecnt > LINUXAIO_BATCH - 2))
    linuxaio_submit (EV_A_ ring);
}

/* decides where a watched fd lives, and queues what it lacks, or tells epoll */
ecb_noinline static void
linuxaio_settle (EV_P_ int fd)
{
  LINUXAIO_FD *f = &anfds [fd].aio;
  int told = f->place == LINUXAIO_ANEW ? 0 : anfds [fd].emask & (EV_READ | EV_WRITE); /* linuxaio_enter changes place */
  LINUXAIO_RING *ring;

  if (f->place == LINUXAIO_IN_RING)
    {
      int lacks = linuxaio_lacks (EV_A_ fd);

      /* if nothing is queued, any ring will do */
      if (linuxaio_stays (EV_A_ f) && (ring = lacks ? linuxaio_ring_find (EV_A) : linuxaio.rings))
        linuxaio_queue_all (EV_A_ fd, ring, lacks);
      else
        linuxaio_to_epoll (EV_A_ fd, LINUXAIO_ON_EPOLL);
    }
  else if (linuxaio_may_enter (EV_A_ f) && linuxaio_phase (f) == LINUXAIO_IDLE && (ring = linuxaio_enter (EV_A_ fd)))
    linuxaio_queue_all (EV_A_ fd, ring, anfds [fd].events);
  else if (anfds [fd].events & ~told)
    linuxaio_tell_epoll (EV_A_ fd, told);
}

/* sees to it that the kernel holds all that is wanted of a watched fd */
inline_speed void
linuxaio_arm (EV_P_ int fd)
{
  LINUXAIO_FD *f = &anfds [fd].aio;

  /* as a rule it stays where it is: in a ring, and all is queued, or on epoll, and there is nothing to do */
  if (f->place == LINUXAIO_IN_RING && f->score > 0 && linuxaio_phase (f) == LINUXAIO_IDLE && linuxaio.rings->room >= 2)
    linuxaio_queue_all (EV_A_ fd, linuxaio.rings, anfds [fd].events);
  else if (f->place != LINUXAIO_ON_EPOLL || f->score >= linuxaio.threshold || anfds [fd].events & ~anfds [fd].emask)
    linuxaio_settle (EV_A_ fd);
}

/* arms what is on the re-arm list */
inline_speed void
linuxaio_arm_all (EV_P)
{
  while (linuxaio.rearm != LINUXAIO_LAST)
    {
      int fd = linuxaio.rearm - 1;

      linuxaio.rearm = anfds [fd].aio.next;
      anfds [fd].aio.next = 0;

      if (anfds [fd].events)
        linuxaio_arm (EV_A_ fd);
    }
}

/*****************************************************************************/
/* write interest beside a read */

/*
 * Programs that start a watcher for writing beside one for reading find, as a
 * rule, that they can write at once, and stop it. So the kernel does not hear of it at
 * first: one poll (2) asks all such fds. The kernel is told of those that cannot be
 * written to, and of interest that is still there an iteration later.
 */

/* makes the next linuxaio_poll ask whether the fd can be written to */
ecb_noinline static void
linuxaio_probe_begin (EV_P_ int fd)
{
  struct pollfd *p;

  ++linuxaio.probecnt;
  array_needsize (struct pollfd, linuxaio.probes, linuxaio.probemax, linuxaio.probecnt, linuxaio_noinit);

  p = linuxaio.probes + linuxaio.probecnt - 1;
  p->fd      = fd;
  p->events  = POLLOUT;
  p->revents = 0;
}

/* what was reported for a poll of one direction, as libev's events */
inline_speed int
linuxaio_events (int revents, int asked, int direction)
{
  return ecb_expect_false (revents & (POLLERR | POLLHUP)) ? EV_READ | EV_WRITE : revents & asked ? direction : 0;
}

/*
 * asks the probes if the loop is going to sleep, else arms them: an outer loop may sleep on
 * the epoll fd next
 */
ecb_noinline static void
linuxaio_probe (EV_P_ int ask)
{
  int i;

  if (ask)
    {
      poll (linuxaio.probes, linuxaio.probecnt, 0); /* an error finds none of them writable */
      ++linuxaio.stats.probe_calls;
    }

  for (i = 0; i < linuxaio.probecnt; ++i)
    {
      int fd     = linuxaio.probes [i].fd;
      int events = linuxaio_events (linuxaio.probes [i].revents, POLLOUT, EV_WRITE);

      if (events)
        {
          ++linuxaio.stats.probe_hits;
          fd_event (EV_A_ fd, events);
          linuxaio_rearm (EV_A_ fd);
        }
      else if (anfds [fd].events) /* a prepare watcher of an embedded loop may have stopped it */
        {
          if (ask)
            anfds [fd].aio.noprobe = LINUXAIO_NO_PROBES;

          linuxaio_settle (EV_A_ fd);
        }
    }

  linuxaio.probecnt = 0;
}

/*****************************************************************************/
/* events */

/* learns from an event of an fd. where the backend chooses, this does not get the score below 0 */
inline_size void
linuxaio_learn (EV_P_ LINUXAIO_FD *f, int events)
{
  if (!linuxaio.threshold)
    linuxaio_score (f, LINUXAIO_PRICE_EVENT);
  else if (f->score > 0 && f->fired)
    linuxaio_score (f, -LINUXAIO_PRICE_EVENT);

  f->fired |= events;
}

/*
 * Takes an event of a ring. The kernel reports bits that nobody has asked for, and 0
 * for a file that had nothing to say after all (fs/aio.c: aio_poll).
 */
inline_speed void
linuxaio_complete (EV_P_ const struct io_event *event)
{
  LINUXAIO_REQUEST *r = (LINUXAIO_REQUEST *)(uintptr_t)event->obj;
  int fd     = r->iocb.aio_fildes;
  int events = linuxaio_events (event->res, r->iocb.aio_buf, r->direction);
  int given_up = r->phase == LINUXAIO_CANCELLED;

  r->phase = LINUXAIO_IDLE;
  ++r->ring->room;

  /* also if it was given up: it may be wanted again */
  if (ecb_expect_true (anfds [fd].events & r->direction))
    linuxaio_rearm (EV_A_ fd);

  if (ecb_expect_false (given_up))
    {
      ++linuxaio.stats.cancelled;
      return;
    }

  ++linuxaio.stats.completed;
  linuxaio_learn (EV_A_ &anfds [fd].aio, events);

  if (linuxaio.threshold && r->turn != linuxaio.turn)
    linuxaio_score (&anfds [fd].aio, -LINUXAIO_PRICE_WAIT);

  fd_event (EV_A_ fd, events);
}

/* hands over what is queued and takes what is in the rings, returns whether there was something */
inline_speed int
linuxaio_exchange (EV_P)
{
  LINUXAIO_RING *ring;
  int reaped = 0;

  for (ring = linuxaio.rings; ring; ring = ring->next)
    {
      const struct io_event *events = (const struct io_event *)(ring->map + 1);
      uint32_t head, tail;

      if (ring->queuecnt)
        linuxaio_submit (EV_A_ ring);

      head = ring->map->head;
      tail = *(volatile uint32_t *)&ring->map->tail;

      if (head == tail)
        continue;

      reaped = 1;

      /* pairs with the smp_wmb between events and tail in fs/aio.c: aio_complete */
      ECB_MEMORY_FENCE_ACQUIRE;

      do
        {
          linuxaio_complete (EV_A_ events + head);

          if (++head == ring->entries)
            head = 0;
        }
      while (head != tail);

      /* the kernel may fill the entries again as soon as it sees head: all reads come before */
      ECB_MEMORY_FENCE_RELEASE;
      *(volatile uint32_t *)&ring->map->head = head;
    }

  if (reaped)
    linuxaio.skips = 0; /* the bell may show for them */

  return reaped;
}

/* returns how many events are in the rings */
static int
linuxaio_ring_events (EV_P)
{
  LINUXAIO_RING *ring;
  int count = 0;

  for (ring = linuxaio.rings; ring; ring = ring->next)
    {
      uint32_t head = ring->map->head;
      uint32_t tail = *(volatile uint32_t *)&ring->map->tail;

      count += tail - head + (tail < head ? ring->entries : 0);
    }

  return count;
}

/*
 * Spins for up to that many seconds until the rings hold count events, returns whether
 * they do. The clock may stand still, so the tries are limited, too: to one for each 10 ns.
 * A try takes longer than that.
 */
static int
linuxaio_spin (EV_P_ int count, ev_tstamp seconds)
{
  ev_tstamp until = get_clock () + seconds;
  ev_tstamp tries = seconds * LINUXAIO_TS (1e8);

  do
    {
      if (linuxaio_ring_events (EV_A) >= count)
        return 1;

      tries -= LINUXAIO_TS (1.);
    }
  while (tries > LINUXAIO_TS (0.) && get_clock () < until);

  return 0;
}

/*****************************************************************************/
/* waiting */

/*
 * epoll_poll calls this in the place of epoll_wait. Once there is a ring, it first watches
 * the rings if that was asked for, and the timeout is to the nanosecond where the C library
 * and the kernel can (5.11). Other threads may hold the lock of the loop meanwhile, so this
 * changes nothing that they look at.
 */
static int
linuxaio_epoll_wait (EV_P_ ev_tstamp timeout)
{
  struct timespec ts;
  int res;

  if (linuxaio.rings && timeout > LINUXAIO_TS (0.))
    {
      ev_tstamp busy  = linuxaio.busy_poll;
      ev_tstamp watch = busy < timeout ? busy : timeout;

      if (ecb_expect_false (watch > LINUXAIO_TS (0.)))
        timeout = linuxaio_spin (EV_A_ 1, watch) ? LINUXAIO_TS (0.) : timeout - watch;

      if (epoll_pwait2 && !linuxaio.no_pwait2)
        {
          EV_TS_SET (ts, timeout);
          res = epoll_pwait2 (backend_fd, epoll_events, epoll_eventmax, &ts, 0);

          if (ecb_expect_true (res >= 0 || errno == EINTR))
            return res;

          linuxaio.no_pwait2 = 1;
        }
    }

  return epoll_wait (backend_fd, epoll_events, epoll_eventmax, LINUXAIO_MSEC (timeout));
}

/*
 * epoll_poll calls this for an event of an fd on epoll. the fd moves if it should be in a
 * ring
 */
static void
linuxaio_epoll_event (EV_P_ int fd, int events)
{
  LINUXAIO_FD *f = &anfds [fd].aio;

  linuxaio_learn (EV_A_ f, events);

  if (f->score >= linuxaio.threshold && f->place == LINUXAIO_ON_EPOLL)
    {
      linuxaio.wishes += linuxaio.wishes < EV_LINUXAIO_WORTH;

      if (linuxaio_may_enter (EV_A_ f))
        linuxaio_rearm (EV_A_ fd);
    }
}

/*
 * whether epoll may have an fd. one that was stopped counts until it has had an event, or its
 * number is in a ring. it looks at LINUXAIO_BATCH fds a call, and says yes until it has seen all
 */
static int
linuxaio_epoll_used (EV_P)
{
  int left = LINUXAIO_BATCH;

  for (; linuxaio.epollfrom < anfdmax; ++linuxaio.epollfrom)
    {
      ANFD *anfd = anfds + linuxaio.epollfrom;

      if (!left-- || ((anfd->events | anfd->emask) && anfd->aio.place != LINUXAIO_IN_RING))
        return 1;
    }

  return 0;
}

/* whether this is a forked child that has not run linuxaio_fork since. before a ring is first tried it says no */
inline_size int
linuxaio_forked (EV_P)
{
  return linuxaio.alive && !*(volatile char *)linuxaio.alive;
}

/* the same, and has ev_run call linuxaio_fork */
inline_size int
linuxaio_fork_noticed (EV_P)
{
  if (ecb_expect_true (!linuxaio_forked (EV_A)))
    return 0;

  postfork = 1; /* ev_run calls the fork handler before it polls again */
  return 1;
}

static void linuxaio_resign (EV_P_ ev_tstamp timeout);

/*
 * A poll of a loop that has tried to make a ring, or with fds that the kernel does not hold yet.
 * What errors of linuxaio_exchange put on the re-arm list again waits for the next poll.
 */
ecb_noinline static void
linuxaio_poll_all (EV_P_ ev_tstamp timeout)
{
  int nowait = timeout <= LINUXAIO_TS (0.);
  int reaped, waits;

  if (linuxaio_fork_noticed (EV_A))
    return;

  linuxaio.patience = LINUXAIO_PATIENCE;
  linuxaio_arm_all (EV_A);

  if (linuxaio.probecnt)
    linuxaio_probe (EV_A_ !nowait);

  reaped = linuxaio_exchange (EV_A);
  ++linuxaio.turn; /* events that come from now on had to wait */

  /* do not sleep when fds are to be armed again, or the callbacks of killed ones are pending */
  if (linuxaio.rearm != LINUXAIO_LAST || fdchangecnt)
    timeout = LINUXAIO_TS (0.);

  waits = timeout > LINUXAIO_TS (0.) || !linuxaio.alive || linuxaio_epoll_used (EV_A)
       || (linuxaio.rearm == LINUXAIO_LAST && --linuxaio.skips < 0);

  if (ecb_expect_false (linuxaio.unusable))
    linuxaio_resign (EV_A_ timeout);
  else if (waits)
    {
      ++linuxaio.stats.epoll_calls;
      linuxaio.skips = LINUXAIO_SKIPS;
      epoll_poll (EV_A_ timeout);
      linuxaio_exchange (EV_A); /* nothing was queued meanwhile */
    }
  else
    {
      EV_RELEASE_CB;
      EV_ACQUIRE_CB;
    }

  /* not all is armed: ring for an outer loop, unless the bell of what was reaped still shows */
  if ((nowait || LINUXAIO_NESTED) && linuxaio.rearm != LINUXAIO_LAST && (waits || !reaped) && linuxaio.bell >= 0)
    linuxaio_bell_signal (EV_A);
}

/*
 * As a rule a poll that does not sleep makes no call if nothing is on epoll or in the rings:
 * epoll_wait could report the bell only. But the bell may show for events that were read
 * already, as the kernel signals it after it has stored them, and an outer loop would spin. The
 * first such poll that finds nothing takes it, then one in LINUXAIO_SKIPS + 1.
 */
static void
linuxaio_poll (EV_P_ ev_tstamp timeout)
{
  if (linuxaio.rearm != LINUXAIO_LAST || linuxaio.probecnt)
    linuxaio_poll_all (EV_A_ timeout);
  else if (!linuxaio.alive)
    {
      ++linuxaio.stats.epoll_calls;
      epoll_poll (EV_A_ timeout); /* the short way of a loop that is on epoll altogether */
    }
  else if (timeout <= LINUXAIO_TS (0.) && linuxaio.skips > 0 && linuxaio.epollfrom >= anfdmax
           && !linuxaio_forked (EV_A) && !linuxaio_ring_events (EV_A))
    {
      --linuxaio.skips;
      EV_RELEASE_CB;
      EV_ACQUIRE_CB;
    }
  else
    linuxaio_poll_all (EV_A_ timeout);
}

/*****************************************************************************/
/* what libev calls */

/*
 * Drops what an fd has in flight when its last watcher was stopped. It may be
 * closed next, and that has to be the last close: otherwise the other end would hear
 * of it up to 12 ms later (fs/file_table.c: fput of a kernel thread goes to
 * delayed_fput_work). So this waits until as many more events are in the rings as
 * kernel workers have to complete, and a microsecond more: a worker drops the file just
 * after it has stored the event. (Events of others may be among them. Then the other end
 * hears of it late.)
 */
ecb_noinline static void
linuxaio_drop_and_wait (EV_P_ LINUXAIO_FD *f)
{
  int saved     = errno;
  int before    = linuxaio_ring_events (EV_A);
  int cancelled = linuxaio_drop (EV_A_ f);
  ev_tstamp since = get_clock ();

  if (cancelled)
    linuxaio_score (f, -LINUXAIO_PRICE_CANCEL);

  if (cancelled && linuxaio.patience > LINUXAIO_TS (0.))
    {
      if (linuxaio_spin (EV_A_ before + cancelled, linuxaio.patience))
        linuxaio_spin (EV_A_ INT_MAX, LINUXAIO_TS (1e-6)); /* so many never come: it takes a microsecond */
      else
        linuxaio.patience = LINUXAIO_TS (0.);

      linuxaio.patience -= get_clock () - since;
    }

  errno = saved;
}

/* ev_io_stop calls this for an fd in a ring when its last watcher was stopped */
static void
linuxaio_release (EV_P_ int fd)
{
  linuxaio_rearm (EV_A_ fd); /* a stop and start in one iteration with the same events does not call modify */

  if (linuxaio_phase (&anfds [fd].aio) == LINUXAIO_IN_FLIGHT && !linuxaio_forked (EV_A))
    linuxaio_drop_and_wait (EV_A_ &anfds [fd].aio);
}

/* an fd in a ring was set anew: drops what is in flight of its former file, and begins anew */
ecb_noinline static void
linuxaio_renew (EV_P_ int fd, int nev)
{
  if (linuxaio_drop (EV_A_ &anfds [fd].aio))
    linuxaio_score (&anfds [fd].aio, -LINUXAIO_PRICE_CANCEL);

  anfds [fd].emask     = 0;
  anfds [fd].aio.place = LINUXAIO_ANEW;
  backend_modify (EV_A_ fd, 0, nev); /* linuxaio_modify, below. it makes tail calls only, so it saves no register */
}

/* other events of an fd are wanted than before */
ecb_noinline static void
linuxaio_change (EV_P_ int fd, int nev)
{
  LINUXAIO_FD *f = &anfds [fd].aio;
  int in_ring = f->place == LINUXAIO_IN_RING;
  int told = anfds [fd].emask;

  /* the kernel has all that is wanted, and nothing has fired that is not wanted any more */
  if (!((told ^ nev) & (nev | f->fired)))
    {
      if (!f->next && (in_ring ? linuxaio_lacks (EV_A_ fd) : linuxaio_may_enter (EV_A_ f)))
        linuxaio_rearm (EV_A_ fd);

      return;
    }

  /* what is on the re-arm list is told before the probes are asked */
  if (told == EV_READ && nev == (EV_READ | EV_WRITE) && !f->noprobe && !f->next)
    {
      linuxaio_probe_begin (EV_A_ fd);
      return;
    }

  if (f->noprobe && nev & EV_WRITE)
    --f->noprobe;

  if (f->fired)
    linuxaio_score (f, LINUXAIO_PRICE_CHANGE);

  f->fired = 0;

  if (in_ring || linuxaio_may_enter (EV_A_ f))
    linuxaio_rearm (EV_A_ fd);
  else if (!linuxaio_fork_noticed (EV_A))
    linuxaio_tell_epoll (EV_A_ fd, told & (EV_READ | EV_WRITE));
}

static void
linuxaio_modify (EV_P_ int fd, int oev, int nev)
{
  LINUXAIO_FD *f = &anfds [fd].aio;

  if (!(anfds [fd].eflags & EV__IOFDSET) && f->place != LINUXAIO_ANEW)
    {
      /* a stop changes nothing: epoll keeps the fd, and linuxaio_release has dropped its requests */
      if (nev)
        linuxaio_change (EV_A_ fd, nev);

      return;
    }

  /* the number may be another file now. before a ring is first tried there is less to ask */
  if (linuxaio.alive)
    {
      if (linuxaio_fork_noticed (EV_A))
        return;

      if (f->place == LINUXAIO_IN_RING)
        {
          linuxaio_renew (EV_A_ fd, nev);
          return;
        }

      linuxaio.epollfrom = 0;
    }

  if (f->fired)
    {
      linuxaio_score (f, -LINUXAIO_PRICE_ANEW);
      f->fired = 0;
    }

  f->place = LINUXAIO_ON_EPOLL;
  if (nev && ecb_expect_true (!linuxaio_may_enter (EV_A_ f)))
    epoll_modify (EV_A_ fd, oev, nev); /* linuxaio_tell_epoll takes more instructions */
  else
    {
      f->place = LINUXAIO_ANEW; /* also if it is stopped: what comes next is new to epoll */
      linuxaio_rearm (EV_A_ fd);
    }
}

/* microseconds of busy polling that the environment asks for, as seconds */
ecb_cold static ev_tstamp
linuxaio_busy_env (void)
{
  const char *text = getenv ("LIBEV_BUSY_POLL");
  char *end;
  long microseconds;

  if (!text || *text < '0' || enable_secure ())
    return LINUXAIO_TS (0.);

  microseconds = strtol (text, &end, 10);

  return *end || microseconds > 1000000 ? LINUXAIO_TS (0.) : microseconds * LINUXAIO_TS (1e-6);
}

/* busy polling needs a ring at once, with every fd that can be in one */
static void
linuxaio_busy_set (EV_P_ ev_tstamp seconds)
{
  linuxaio.busy_poll = seconds;
  linuxaio.threshold = linuxaio.choosing && seconds <= LINUXAIO_TS (0.) ? LINUXAIO_SCORE_ENTRY : 0;

  if (seconds > LINUXAIO_TS (0.))
    linuxaio.wishes = EV_LINUXAIO_WORTH;
}

inline_size int
linuxaio_init (EV_P_ int flags)
{
  if (!epoll_init (EV_A_ flags))
    return 0;

  memset (&linuxaio, 0, sizeof (linuxaio));
  linuxaio.bell  = -1;
  linuxaio.rearm = LINUXAIO_LAST;
  linuxaio.choosing = !!(flags & EVBACKEND_EPOLL);

  backend_modify = linuxaio_modify;
  backend_poll   = linuxaio_poll;

  linuxaio_busy_set (EV_A_ flags & EVFLAG_NOENV ? LINUXAIO_TS (0.) : linuxaio_busy_env ());

  return EVBACKEND_LINUXAIO;
}

/*
 * Removes the rings, which takes 35 ms for each, and all that depends on them. A forked child
 * destroys none: they do not exist there, and a ring of another loop may be at the address.
 */
ecb_cold static void
linuxaio_rings_remove (EV_P)
{
  int fd;

  while (linuxaio.rings)
    {
      LINUXAIO_RING *ring = linuxaio.rings;

      linuxaio.rings = ring->next;

      if (!linuxaio_forked (EV_A))
        evsys_io_destroy (ring->ctx);

      ev_free (ring);
    }

  for (fd = 0; fd < anfdmax; ++fd)
    {
      LINUXAIO_FD *f = &anfds [fd].aio;

      if (f->place == LINUXAIO_IN_RING)
        f->place = LINUXAIO_ANEW;

      if (f->request)
        f->request [0].phase = f->request [1].phase = LINUXAIO_IDLE;
    }

  if (linuxaio.bell >= 0)
    close (linuxaio.bell);

  linuxaio.bell   = -1;
  linuxaio.wishes = 0;
  memset (&linuxaio.stats, 0, sizeof (linuxaio.stats));
  linuxaio_busy_set (EV_A_ linuxaio.busy_poll);
}

/* makes a new epoll set. rings stay, unless this is a child, or the bell cannot be registered */
ecb_cold static void
linuxaio_fork (EV_P)
{
  int fd;

  if (linuxaio_forked (EV_A))
    {
      linuxaio_rings_remove (EV_A);
      *linuxaio.alive = 1;
    }

  close (backend_fd);

  while ((backend_fd = epoll_create1 (EPOLL_CLOEXEC)) < 0)
    ev_syserr ("(libev) epoll_create");

  if (linuxaio.bell >= 0 && linuxaio_bell_register (EV_A) < 0)
    linuxaio_rings_remove (EV_A);

  for (fd = 0; fd < anfdmax; ++fd)
    if (anfds [fd].aio.place != LINUXAIO_IN_RING)
      {
        anfds [fd].emask = 0; /* of stopped ones, too */
        anfds [fd].aio.fired = 0; /* it is set anew, but not by the program: no price */

        if (anfds [fd].events)
          {
            anfds [fd].events = 0;
            fd_change (EV_A_ fd, EV__IOFDSET | EV_ANFD_REIFY);
          }
      }
}

ecb_cold static void
linuxaio_free (EV_P)
{
  int fd;

  if (linuxaio.alive)
    {
      linuxaio_rings_remove (EV_A);

      for (fd = 0; fd < anfdmax; ++fd)
        ev_free (anfds [fd].aio.request);

      munmap (linuxaio.alive, 1);
    }

  ev_free (linuxaio.probes);
}

inline_size void
linuxaio_destroy (EV_P)
{
  epoll_destroy (EV_A);
  linuxaio_free (EV_A);
}

/*
 * AIO does not work on this host, and there is no ring: the loop is one of the epoll
 * backend from this poll on
 */
ecb_cold static void
linuxaio_resign (EV_P_ ev_tstamp timeout)
{
  linuxaio_arm_all (EV_A); /* writers that epoll has not heard of */
  linuxaio_free (EV_A);

  backend        = EVBACKEND_EPOLL;
  backend_modify = epoll_modify;
  backend_poll   = epoll_poll;

  epoll_poll (EV_A_ timeout);
}

/*****************************************************************************/
/* what programs call */

/* adds up where the fds and the rings are */
ecb_cold static void
linuxaio_gauges (EV_P_ struct ev_linuxaio_stats *s)
{
  unsigned count [LINUXAIO_IN_RING + 1];
  LINUXAIO_RING *ring;
  int fd;

  memset (count, 0, sizeof (count));

  for (fd = 0; fd < anfdmax; ++fd)
    if (anfds [fd].events)
      {
        ++count [anfds [fd].aio.place];
        s->epoll_waiting += anfds [fd].aio.place <= LINUXAIO_ON_EPOLL && anfds [fd].aio.score >= linuxaio.threshold;
      }

  s->ring_fds      = count [LINUXAIO_IN_RING];
  s->epoll_kind    = count [LINUXAIO_EPOLL_KIND];
  s->epoll_refused = count [LINUXAIO_EPOLL_REFUSED];
  s->epoll_chosen  = count [LINUXAIO_ANEW] + count [LINUXAIO_ON_EPOLL] - s->epoll_waiting;
  s->epoll_fds     = s->epoll_chosen + s->epoll_kind + s->epoll_refused + s->epoll_waiting;
  s->in_flight     = s->submitted - s->completed - s->cancelled;

  for (ring = linuxaio.rings; ring; ring = ring->next)
    {
      ++s->rings;
      s->ring_entries  += ring->entries;
      s->ring_requests += ring->asked;
    }
}

ecb_cold
int
ev_linuxaio_stats (EV_P_ struct ev_linuxaio_stats *stats, size_t size) EV_LINUXAIO_NOEXCEPT
{
  struct ev_linuxaio_stats s;

  memset (&s, 0, sizeof (s));

  if (backend == EVBACKEND_LINUXAIO)
    {
      s = linuxaio.stats;
      linuxaio_gauges (EV_A_ &s);
    }

  s.version = linuxaio_ident;
  memset (stats, 0, size);
  memcpy (stats, &s, size < sizeof (s) ? size : sizeof (s));

  return backend == EVBACKEND_LINUXAIO;
}

void
ev_linuxaio_busy_poll (EV_P_ ev_tstamp seconds) EV_LINUXAIO_NOEXCEPT
{
  int fd;

  if (backend != EVBACKEND_LINUXAIO)
    return;

  linuxaio_busy_set (EV_A_ seconds);

  if (seconds > LINUXAIO_TS (0.))
    for (fd = 0; fd < anfdmax; ++fd)
      if (anfds [fd].events)
        {
          if (anfds [fd].aio.score < 0)
            anfds [fd].aio.score = 0;

          linuxaio_rearm (EV_A_ fd);
        }
}
