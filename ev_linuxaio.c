/*
 * ev_linuxaio.c - Linux AIO (IOCB_CMD_POLL) backend for libev
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */

/*
 * The invariant: when linuxaio_poll goes to sleep, every direction of every
 * watched fd is held by the kernel, either by a request in flight in the ring
 * or by a registration in epoll; and epoll itself is held by a request of the
 * backend (or is what we sleep in, when nothing else is in flight).
 *
 * What follows from how the kernel does it (fs/aio.c):
 *
 * - a request is one-shot. an fd whose request has completed goes on the
 *   re-arm list (rearms), and the next linuxaio_poll submits whatever of
 *   anfds [fd].events is not in flight: polling is level-triggered again.
 * - there are two requests for an fd, one a direction. a direction that is
 *   no longer wanted stays in flight and means nothing when it completes.
 * - a request in flight holds the open file, so when the last watcher of an
 *   fd is stopped, its requests are cancelled at once (linuxaio_release). The
 *   event of a cancelled request still comes, so its slot is CANCELLED, and
 *   not used again, until it has come. No event can be taken for another's.
 * - a request is known to the kernel by the address of its iocb, so iocbs
 *   are allocated with the ring, one for every event it may hold.
 * - whatever the ring cannot or should not hold is left to ev_epoll.c.
 *
 * On epoll, too, a call that is not made is the fastest one: of write interest
 * beside a read epoll is told only when poll (2) has not found the fd writable, or
 * when the interest outlasts that (linuxaio_probe). Until then there is no sleep.
 */

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/*****************************************************************************/
/* policy, each with the measurement behind it (Linux 6.18, 2 CPUs) */

/*
 * A request costs 0.25 us an event more than a registration in epoll, and
 * 0.5 us less for each change (start, other mask) that follows an event; an
 * idle poll is 0.15 us cheaper. So a loop is weighed each time that many of
 * these have come together. Break-even is near 2000 changes: twice
 * EV_LINUXAIO_CHANGES of them get it into the ring, less than that many (a
 * change in four events) out of it. What differs less costs less than moving.
 */
#ifndef EV_LINUXAIO_EVENTS
# define EV_LINUXAIO_EVENTS 4000
#endif
#ifndef EV_LINUXAIO_CHANGES
# define EV_LINUXAIO_CHANGES 800
#endif

/*
 * Seconds within which that has to happen before a ring is made: 4000 changes
 * a second save 2 ms, and the kernel takes 40 ms to remove the ring at exit.
 */
#ifndef EV_LINUXAIO_LIVELY_SECONDS
# define EV_LINUXAIO_LIVELY_SECONDS LINUXAIO_TS (1.)
#endif

/*
 * A request for epoll itself spares a poll in vain a system call (0.16 us) and
 * costs one that finds something 1.3 us more. In a loop whose fds are too many
 * for the ring it is kept while at most one poll in that many finds something.
 */
#ifndef EV_LINUXAIO_VAIN
# define EV_LINUXAIO_VAIN 8
#endif

/*
 * Watched fds that make a ring by themselves. None do: submitting what is new
 * (0.36 us) and asking what it is (0.25 us) save little of the 0.8 us that epoll
 * takes, and making a ring costs 80 us. Tests have it low.
 */
#ifndef EV_LINUXAIO_RING_FDS
# define EV_LINUXAIO_RING_FDS INT_MAX
#endif

/*
 * Requests asked of io_setup, and charged to fs.aio-max-nr, the first time and
 * at the most; the ring has room for twice as many, in 1 page and in 16. One
 * step, since everything in flight moves (1.2 us each). More would make
 * cancelling slow: 10 us for the youngest of 2000, as the kernel searches them.
 */
#ifndef EV_LINUXAIO_RING_MIN
# define EV_LINUXAIO_RING_MIN 62
#endif
#ifndef EV_LINUXAIO_RING_MAX
# define EV_LINUXAIO_RING_MAX 1022
#endif
#if EV_LINUXAIO_RING_MAX > 16383
# error "libev: EV_LINUXAIO_RING_MAX is too large for the index of a request"
#endif

/* 1: use a ring even on valgrind, which is sound only for rings of one page (EV_LINUXAIO_RING_MAX 62) */
#ifndef EV_LINUXAIO_VALGRIND
# define EV_LINUXAIO_VALGRIND 0
#endif

/* seconds to wait for a kernel worker when an armed fd is stopped: it takes 3 us, unless the machine is busy */
#define LINUXAIO_AWAIT_SECONDS LINUXAIO_TS (50e-6)

/* the same where more depends on it (the name of a datagram socket, an event): some time slices of a busy machine */
#define LINUXAIO_AWAIT_LONG_SECONDS LINUXAIO_TS (20e-3)

/* seconds it may take a worker on another CPU from the event to the fput, which comes next */
#define LINUXAIO_FPUT_SECONDS LINUXAIO_TS (1e-6)

/* seconds before io_setup is tried again after it was refused */
#define LINUXAIO_RETRY_SECONDS LINUXAIO_TS (1.)

/*
 * fds that are new to the ring and submitted at once, so that what asking them
 * has brought into the cache is still there: 900 in one iteration cost 1.0 us
 * each instead of 1.17 (with 8 or 16 the same, with 128 1.09).
 */
#define LINUXAIO_BATCH 32

/* fds on epoll that are decided anew by an iteration, as they may live in the ring again: 1.4 us each */
#define LINUXAIO_SWEEP 16

/*
 * fds asked by an iteration before there is a ring whether there may be one beside
 * them (up to 1.2 us each), and moved out of a ring because there may not (4 us each).
 */
#ifndef EV_LINUXAIO_SURVEY
# define EV_LINUXAIO_SURVEY 32
#endif

/* requests moved to epoll by an iteration while draining, and for that many fds armed one more: 1.7 us each */
#define LINUXAIO_DRAIN 4

/* times an fd may be re-set while armed: programs with several watchers for an fd start each once */
#define LINUXAIO_RESETS_MAX 4

/*
 * An fd that is stopped while armed costs 6 us in the ring: a cancel, a kernel
 * worker, the move. The second time in a row it is parked on epoll for 16^2
 * stops, then for 16^3: 0.02 us a stop.
 */
#define LINUXAIO_BACKOFF_BITS 4
#define LINUXAIO_BACKOFF_MAX  3

/*
 * What linuxaio_probe risks: asking in vain costs 0.1 - 0.2 us, while a hit spares 0.5 - 1 us
 * of epoll_ctl. So one that was worth it makes up for LINUXAIO_PROBE_GAIN misses. When
 * there are LINUXAIO_PROBE_CREDIT more, as where programs only wait after a write has
 * failed, the next EV_LINUXAIO_PROBE_PAUSE fds are not asked.
 */
#define LINUXAIO_PROBE_CREDIT 16
#define LINUXAIO_PROBE_GAIN   4
#ifndef EV_LINUXAIO_PROBE_PAUSE
# define EV_LINUXAIO_PROBE_PAUSE 1024
#endif

/* a wait that long needs no nanoseconds: epoll_wait is 50 ns cheaper than epoll_pwait2 */
#define LINUXAIO_COARSE_SECONDS LINUXAIO_TS (10.)

/* events taken by one io_getevents when the ring itself cannot be read */
#define LINUXAIO_EVENTS 64

/*****************************************************************************/
/* the seam to the kernel: nothing else in this file makes a system call.     */
/* all return -errno on failure and have no other use for errno.              */

#ifdef EV_LINUXAIO_EVSYS
# include EV_LINUXAIO_EVSYS /* tests put their own here */
#else

#ifndef MADV_WIPEONFORK
# define MADV_WIPEONFORK 18 /* Linux 4.14 */
#endif

#ifndef SYS_epoll_pwait2
# if !defined __alpha__ && !(defined __x86_64__ && defined __ILP32__)
#  define SYS_epoll_pwait2 441
# endif
#endif

inline_size
int
evsys_result (long res)
{
  return ecb_expect_false (res < 0) ? -errno : (int)res;
}

/* creates a context for that many requests. EAGAIN: quota, EINVAL: 0 requests, ENOSYS, EPERM */
static int
evsys_io_setup (unsigned requests, aio_context_t *ctx)
{
  return evsys_result (syscall (SYS_io_setup, requests, ctx));
}

/* waits for two RCU grace periods, 30 - 50 ms (fs/aio.c: kill_ioctx) */
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

/* waits for at least min events for up to that many seconds, returns how many it has stored */
static int
evsys_io_getevents (aio_context_t ctx, long min, long count, struct io_event *events, ev_tstamp seconds)
{
#ifdef SYS_io_getevents
  struct linuxaio_timespec ts;
#else
  struct linuxaio_timespec64 ts;
#endif

  EV_TS_SET (ts, seconds);

#ifdef SYS_io_getevents
  return evsys_result (syscall (SYS_io_getevents, ctx, min, count, events, &ts));
#else
  return evsys_result (syscall (SYS_io_pgetevents_time64, ctx, min, count, events, &ts, 0));
#endif
}

/* epoll_wait with a timeout in nanoseconds. ENOSYS: before Linux 5.11 */
static int
evsys_epoll_pwait2 (int epfd, struct epoll_event *events, int count, ev_tstamp seconds)
{
#ifdef SYS_epoll_pwait2
  struct linuxaio_timespec64 ts;

  EV_TS_SET (ts, seconds);
  return evsys_result (syscall (SYS_epoll_pwait2, epfd, events, count, &ts, 0, 0));
#else
  return -ENOSYS;
#endif
}

static int
evsys_epoll_wait (int epfd, struct epoll_event *events, int count, int milliseconds)
{
  return evsys_result (epoll_wait (epfd, events, count, milliseconds));
}

/* ENOENT, EBADF: was not registered (any more) */
static int
evsys_epoll_del (int epfd, int fd)
{
  struct epoll_event unused;

  return evsys_result (epoll_ctl (epfd, EPOLL_CTL_DEL, fd, &unused));
}

/* 0 if fd is a connected socket. ENOTCONN, ENOTSOCK, EBADF */
static int
evsys_getpeername (int fd)
{
  struct sockaddr unused;
  socklen_t len = 0;

  return evsys_result (getpeername (fd, &unused, &len));
}

/* the value of an option of the socket that is an int */
static int
evsys_getsockopt (int fd, int option)
{
  int value = 0;
  socklen_t len = sizeof (value);
  int res = evsys_result (getsockopt (fd, SOL_SOCKET, option, &value, &len));

  return res < 0 ? res : value;
}

static int
evsys_fstat (int fd, struct stat *st)
{
  return evsys_result (fstat (fd, st));
}

static int
evsys_readlink (const char *path, char *buf, int size)
{
  return evsys_result (readlink (path, buf, size));
}

/* reads the beginning of a small file, returns the number of bytes */
static int
evsys_read_file (const char *path, char *buf, int size)
{
  int fd  = evsys_result (open (path, O_RDONLY | O_CLOEXEC));
  int len = fd;

  if (fd >= 0)
    {
      len = evsys_result (read (fd, buf, size));
      close (fd);
    }

  return len;
}

/* poll (2) without waiting: stores what is true of these fds now. EINVAL: more than RLIMIT_NOFILE, EINTR */
static int
evsys_poll (struct pollfd *list, int count)
{
  return evsys_result (poll (list, count, 0));
}

/* private memory, 0 on failure */
static char *
evsys_map (size_t size)
{
  void *p = mmap (0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

  return p == MAP_FAILED ? 0 : (char *)p;
}

static int
evsys_unmap (void *p, size_t size)
{
  return evsys_result (munmap (p, size));
}

static int
evsys_madvise (void *p, size_t size, int advice)
{
  return evsys_result (madvise (p, size, advice));
}

static int
evsys_close (int fd)
{
  return evsys_result (close (fd));
}

static int
evsys_uname (struct utsname *buf)
{
  return evsys_result (uname (buf));
}

#endif

/*****************************************************************************/
/* forks */

/* whether this process is a child that has inherited the loop and not looked at it since */
inline_size
int
linuxaio_forked (EV_P)
{
  return linuxaio.alive && !*(volatile char *)linuxaio.alive;
}

/*****************************************************************************/
/* kernels */

#define LINUXAIO_VERSION(a,b,c) (((unsigned)(a) << 16) | ((unsigned)(b) << 8) | (unsigned)(c))

/* the first "a.b.c" of a text, 0 if there is none. a part above 255 counts as 255 */
ecb_cold
static unsigned
linuxaio_version (const char *text)
{
  unsigned part [3] = { 0, 0, 0 };
  int i;

  while (*text && !(*text >= '0' && *text <= '9'))
    ++text;

  for (i = 0; i < 3; ++i)
    {
      for (; *text >= '0' && *text <= '9'; ++text)
        if (part [i] < 255)
          part [i] = part [i] * 10 + (*text - '0');

      if (part [i] > 255)
        part [i] = 255;

      if (*text == '.')
        ++text;
    }

  return LINUXAIO_VERSION (part [0], part [1], part [2]);
}

/*
 * Whether IOCB_CMD_POLL of that version neither loses wakeups (363bee27e258,
 * in 5.16 and the stable releases named here) nor crashes the kernel
 * (71eb6b6b0ba9 in 6.8.0, repaired in 6.8.5).
 */
ecb_cold
static int
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
ecb_cold
static int
linuxaio_kernel_good (void)
{
  struct utsname un;
  char buf [128];
  const char *text;
  int len;

  if (evsys_uname (&un) < 0)
    return 0;

  if (linuxaio_version_good (linuxaio_version (un.release)))
    return 1;

  if ((text = strstr (un.version, "Debian ")))
    return linuxaio_version_good (linuxaio_version (text));

  len = evsys_read_file ("/proc/version_signature", buf, sizeof (buf) - 1);
  if (len <= 0)
    return 0;

  buf [len] = 0;
  text = strrchr (buf, ' ');

  return text && linuxaio_version_good (linuxaio_version (text));
}

/*
 * Valgrind (3.19) believes a ring to be half as large as it is, and hands the
 * other half out again to mmap: no ring there. It can be known by the library
 * it preloads into every program.
 */
ecb_cold
static int
linuxaio_on_valgrind (void)
{
#if EV_LINUXAIO_VALGRIND
  return 0;
#else
  const char *preload = getenv ("LD_PRELOAD");

  return preload && strstr (preload, "/vgpreload_");
#endif
}

/*****************************************************************************/
/* requests */

/* first use of a request: what never changes of it */
inline_size
void
linuxaio_request_init (EV_P_ int i)
{
  struct iocb *iocb = linuxaio.iocbs + i;

  memset (iocb, 0, sizeof (*iocb));
  iocb->aio_lio_opcode = LINUXAIO_CMD_POLL;
  iocb->aio_data       = i;
}

inline_size
void
linuxaio_request_free (EV_P_ int i)
{
  linuxaio.requests [i].phase = LINUXAIO_FREE;
  linuxaio.requests [i].next  = linuxaio.freelist;
  linuxaio.freelist = i;
}

/* returns the index of an idle request for that direction of fd, 0 if all are in use */
inline_size
int
linuxaio_request_new (EV_P_ int fd, int write)
{
  int i = linuxaio.freelist;

  if (i)
    linuxaio.freelist = linuxaio.requests [i].next;
  else if (linuxaio.used < linuxaio.size)
    linuxaio_request_init (EV_A_ i = linuxaio.used++);
  else
    return 0;

  linuxaio.requests [i].fd       = fd;
  linuxaio.requests [i].write    = write;
  linuxaio.requests [i].leftover = 0;
  linuxaio.requests [i].hasty    = write & linuxaio.fds [fd].pipe;
  linuxaio.requests [i].phase    = LINUXAIO_IDLE;

  linuxaio.iocbs [i].aio_fildes = fd;
  linuxaio.iocbs [i].aio_buf    = write ? POLLOUT : POLLIN;

  return i;
}

/* requests in flight are listed by age, which is the order in which io_cancel searches them */
inline_size
void
linuxaio_age_append (EV_P_ int i)
{
  LINUXAIO_REQUEST *r = linuxaio.requests + i;

  r->next = 0;
  r->prev = linuxaio.newest;

  if (r->prev)
    linuxaio.requests [r->prev].next = i;
  else
    linuxaio.oldest = i;

  linuxaio.newest = i;
  ++linuxaio.inflightcnt;
}

inline_size
void
linuxaio_age_remove (EV_P_ int i)
{
  LINUXAIO_REQUEST *r = linuxaio.requests + i;

  if (r->prev)
    linuxaio.requests [r->prev].next = r->next;
  else
    linuxaio.oldest = r->next;

  if (r->next)
    linuxaio.requests [r->next].prev = r->prev;
  else
    linuxaio.newest = r->prev;

  --linuxaio.inflightcnt;
}

/* puts a request on the queue of the next io_submit */
inline_size
void
linuxaio_request_queue (EV_P_ int i)
{
  linuxaio.requests [i].phase = LINUXAIO_QUEUED;
  linuxaio.queue [linuxaio.queuecnt++] = linuxaio.iocbs + i;
}

/* takes a request off the queue, where only the handling of an error can find one */
ecb_cold
static void
linuxaio_request_unqueue (EV_P_ int i)
{
  int n = 0;

  while (linuxaio.queue [n] != linuxaio.iocbs + i)
    ++n;

  --linuxaio.queuecnt;
  memmove (linuxaio.queue + n, linuxaio.queue + n + 1, sizeof (*linuxaio.queue) * (linuxaio.queuecnt - n));
}

/*
 * Cancels a request in flight. Its event still comes: from a kernel worker
 * (fs/aio.c: aio_poll_cancel), or because it was in the ring already. If the
 * kernel refuses even to cancel, the request keeps the file open until the
 * file has something to say.
 */
static void
linuxaio_request_cancel (EV_P_ int i)
{
  int res = evsys_io_cancel (linuxaio.ctx, linuxaio.iocbs + i);

  ++linuxaio.stats.cancel_calls;

  if (res == -EINVAL)
    ++linuxaio.stats.completed;
  else
    {
      ++linuxaio.stats.cancelled;
      linuxaio.cancelled = i;
    }

  if (i)
    linuxaio_age_remove (EV_A_ i);

  linuxaio.requests [i].phase = LINUXAIO_CANCELLED;
  ++linuxaio.cancelledcnt;
}

/* gives a request up, returns whether that took a cancel */
static int
linuxaio_request_drop (EV_P_ int i)
{
  switch (linuxaio.requests [i].phase)
    {
      case LINUXAIO_IN_FLIGHT:
        linuxaio_request_cancel (EV_A_ i);
        return 1;

      case LINUXAIO_QUEUED:
        linuxaio_request_unqueue (EV_A_ i);
    }

  linuxaio_request_free (EV_A_ i);
  return 0;
}

/* gives up both requests of an fd, returns whether one was in flight */
inline_speed
int
linuxaio_fd_drop (EV_P_ LINUXAIO_FD *f)
{
  int cancelled = 0;
  int write;

  for (write = 0; write < 2; ++write)
    if (f->request [write])
      {
        cancelled |= linuxaio_request_drop (EV_A_ f->request [write]);
        f->request [write] = 0;
      }

  return cancelled;
}

/* has the next linuxaio_poll look at the fd */
inline_speed
void
linuxaio_rearm (EV_P_ int fd)
{
  if (linuxaio.fds [fd].listed)
    return;

  linuxaio.fds [fd].listed = 1;
  ++linuxaio.rearmcnt;
  array_needsize (int, linuxaio.rearms, linuxaio.rearmmax, linuxaio.rearmcnt, linuxaio_noinit);
  linuxaio.rearms [linuxaio.rearmcnt - 1] = fd;
}

/*****************************************************************************/
/* where an fd lives */

/*
 * What only the name in /proc tells (2.7 us): which of the files without a type
 * the ring may hold, and which depend on the process that asks. For a request
 * that may be a worker of the kernel, and an epoll fd that is asked by one drops
 * what seems not to be ready, for good (fs/eventpoll.c: __ep_eventpoll_poll).
 * Such are signalfds, binders, and epoll fds, in which there may be others.
 */
ecb_cold
static int
linuxaio_kind_by_name (int fd)
{
  static const char *const good []     = { "eventfd", "timerfd", "inotify", "pidfd" };
  static const char *const personal [] = { "signalfd", "eventpoll", "binder" };
  char path [sizeof ("/proc/self/fd/") + sizeof (int) * 3];
  char name [64];
  unsigned i;
  int len;
  char *p = path + sizeof (path);

  for (*--p = 0; fd; fd /= 10)
    *--p = '0' + fd % 10;

  p -= sizeof ("/proc/self/fd/") - 1;
  memcpy (p, "/proc/self/fd/", sizeof ("/proc/self/fd/") - 1);

  len = evsys_readlink (p, name, sizeof (name) - 1);
  if (len <= 0)
    return LINUXAIO_EPOLL_NO_RING;

  name [len] = 0;

  for (i = 0; i < sizeof (personal) / sizeof (personal [0]); ++i)
    if (strstr (name, personal [i]))
      return LINUXAIO_EPOLL_NO_RING;

  for (i = 0; i < sizeof (good) / sizeof (good [0]); ++i)
    if (!strncmp (name, "anon_inode:", 11) && strstr (name + 11, good [i]))
      return LINUXAIO_IN_RING;

  return LINUXAIO_EPOLL_KIND;
}

/* of a file that is not a socket: see linuxaio_kind. tells, too, whether it is a pipe */
ecb_cold
static int
linuxaio_kind_of_file (EV_P_ int fd, int *pipe)
{
  struct stat st;

  if (fd == evpipe [0] || fd == evpipe [1])
    return LINUXAIO_IN_RING;

  if (evsys_fstat (fd, &st) < 0)
    return LINUXAIO_EPOLL_KIND;

  *pipe = !!S_ISFIFO (st.st_mode);

  if (*pipe)
    return LINUXAIO_IN_RING;

  if (S_ISCHR (st.st_mode) || !(st.st_mode & S_IFMT))
    return linuxaio_kind_by_name (fd);

  return LINUXAIO_EPOLL_KIND;
}

/* a socket without a peer may be on its way to one. if it has a name that */
/* others can see it going by, epoll is better: it never holds the file */
static int
linuxaio_admits_unconnected (int fd)
{
  int type = evsys_getsockopt (fd, SO_TYPE);

  return (type == SOCK_STREAM || type == SOCK_SEQPACKET)
      && evsys_getsockopt (fd, SO_ACCEPTCONN) == 0;
}

/*
 * Where this kind of file may live. In the ring: connected sockets, pipes and
 * some files without a type. On epoll: listening sockets, unconnected datagram
 * sockets, devices, files that are always ready. And some are served well only
 * if there is no ring at all (LINUXAIO_EPOLL_NO_RING), see above.
 * One system call for a connected socket (0.2 - 0.5 us), two for a pipe.
 */
static int
linuxaio_kind (EV_P_ int fd)
{
  int pipe = 0;
  int res  = evsys_getpeername (fd);
  int kind = LINUXAIO_EPOLL_KIND;

  if (ecb_expect_true (!res))
    kind = LINUXAIO_IN_RING;
  else if (res == -ENOTSOCK)
    kind = linuxaio_kind_of_file (EV_A_ fd, &pipe);
  else if (res != -EBADF && linuxaio_admits_unconnected (fd))
    kind = LINUXAIO_IN_RING;

  linuxaio.fds [fd].pipe = pipe;

  return kind;
}

/* where the fds go that could be in a ring if there were one, or if it were not being emptied */
inline_size
int
linuxaio_ringless (EV_P)
{
  if (!linuxaio.ctx || linuxaio.yielding)
    return LINUXAIO_EPOLL_NO_RING;

  return linuxaio.steady ? LINUXAIO_EPOLL_STEADY : LINUXAIO_EPOLL_OVERFLOW;
}

static void linuxaio_ring_yield (EV_P);

/* whether the ring is empty, and nobody but this process looks at epoll */
inline_size
int
linuxaio_emptied (EV_P)
{
  return linuxaio.draining && !linuxaio.vain && !linuxaio.inflightcnt && linuxaio.requests [0].phase == LINUXAIO_IDLE;
}

/* decides where a newly set fd lives */
static int
linuxaio_decide (EV_P_ int fd)
{
  int kind;

  if (linuxaio.surveyed == INT_MAX && linuxaio_emptied (EV_A))
    linuxaio.surveyed = 0;

  /* linuxaio_survey will ask what it is, before the ring is filled */
  if (fd >= linuxaio.surveyed)
    return linuxaio_ringless (EV_A);

  kind = linuxaio_kind (EV_A_ fd);

  if (ecb_expect_false (kind == LINUXAIO_EPOLL_NO_RING))
    linuxaio_ring_yield (EV_A);
  else if (kind == LINUXAIO_IN_RING && linuxaio.fds [fd].parked)
    kind = LINUXAIO_EPOLL_PARKED;
  else if (kind == LINUXAIO_IN_RING && (!linuxaio.ctx || linuxaio.draining))
    kind = linuxaio_ringless (EV_A);

  return kind;
}

/* has epoll serve the fd, or changes what it does: see epoll_modify */
inline_size
void
linuxaio_epoll_modify (EV_P_ int fd, int oev, int nev)
{
  linuxaio.fds [fd].in_epoll = 1;
  epoll_modify (EV_A_ fd, oev, nev);
}

/* moves an fd from the ring to epoll */
static void
linuxaio_to_epoll (EV_P_ int fd, int place)
{
  LINUXAIO_FD *f = linuxaio.fds + fd;

  linuxaio_fd_drop (EV_A_ f);
  f->place = place;
  ++linuxaio.stats.moved_to_epoll;

  linuxaio_epoll_modify (EV_A_ fd, 0, anfds [fd].events);
}

/*
 * Takes the fd off epoll, returns whether it was there. It may be another file
 * by now, while the one that is registered lives on in a dup: with egen moved
 * on, epoll_poll does not take its events for ours.
 */
inline_speed
int
linuxaio_leave_epoll (EV_P_ int fd)
{
  if (!linuxaio.fds [fd].in_epoll)
    return 0;

  linuxaio.fds [fd].in_epoll = 0;
  anfds [fd].emask = 0;
  ++anfds [fd].egen;

  return evsys_epoll_del (backend_fd, fd) >= 0;
}

/* queues what of the fd is wanted and not in flight. returns 0 if there was no room */
inline_speed
int
linuxaio_queue (EV_P_ int fd)
{
  LINUXAIO_FD *f = linuxaio.fds + fd;
  int write;

  for (write = 0; write < 2; ++write)
    if (anfds [fd].events & (write ? EV_WRITE : EV_READ))
      {
        int i = f->request [write];

        if (!i && !(i = f->request [write] = linuxaio_request_new (EV_A_ fd, write)))
          return 0;

        if (linuxaio.requests [i].phase == LINUXAIO_IDLE)
          linuxaio_request_queue (EV_A_ i);
      }

  return 1;
}

/*
 * Sees to it that the kernel holds a watched fd, one way or the other. Returns
 * whether it is new to the ring.
 */
inline_speed
int
linuxaio_arm (EV_P_ int fd)
{
  LINUXAIO_FD *f = linuxaio.fds + fd;
  int entered = 0;

  f->listed = 0;

  if (!anfds [fd].events || f->place > LINUXAIO_IN_RING)
    return 0;

  if (f->place == LINUXAIO_UNDECIDED)
    {
      f->place = linuxaio_decide (EV_A_ fd);

      if (f->place != LINUXAIO_IN_RING)
        {
          linuxaio_epoll_modify (EV_A_ fd, 0, anfds [fd].events);
          return 0;
        }

      linuxaio.stats.moved_to_ring += linuxaio_leave_epoll (EV_A_ fd);
      entered = 1;
    }

  if (ecb_expect_false (linuxaio.draining))
    linuxaio_to_epoll (EV_A_ fd, linuxaio_ringless (EV_A));
  else if (ecb_expect_false (!linuxaio_queue (EV_A_ fd)))
    {
      linuxaio.draining = 1;
      linuxaio_to_epoll (EV_A_ fd, LINUXAIO_EPOLL_OVERFLOW);
    }

  return entered;
}

/*****************************************************************************/
/* events */

/* the event of a request that was given up: now its slot can be used again */
inline_size
void
linuxaio_complete_cancelled (EV_P_ int i)
{
  --linuxaio.cancelledcnt;

  if (i)
    linuxaio_request_free (EV_A_ i);
  else
    linuxaio.requests [0].phase = LINUXAIO_IDLE;
}

/* what poll (2) or a request has reported of one direction, as libev's events */
inline_size
int
linuxaio_events (int write, int revents)
{
  if (revents & (POLLERR | POLLHUP))
    return EV_READ | EV_WRITE;

  return write ? (revents & POLLOUT ? EV_WRITE : 0) : (revents & POLLIN ? EV_READ : 0);
}

/* asks what is true of one direction of a request's fd now: POLLIN and the like, or an error */
static int
linuxaio_ask (EV_P_ int i)
{
  struct pollfd p;
  int res;

  p.fd      = linuxaio.requests [i].fd;
  p.events  = linuxaio.iocbs [i].aio_buf;
  p.revents = 0;
  res = evsys_poll (&p, 1);

  return res < 0 ? res : p.revents;
}

/*
 * Takes the event of a request, returns whether it says anything about a
 * watched fd or epoll. The kernel reports bits nobody has asked for, and 0
 * for a file that had nothing to say after all (fs/aio.c: aio_poll).
 */
inline_speed
int
linuxaio_complete (EV_P_ const struct io_event *event)
{
  int i   = event->data;
  int res = event->res;
  LINUXAIO_REQUEST *r = linuxaio.requests + i;
  int fd = r->fd;

  if (ecb_expect_false (r->phase == LINUXAIO_CANCELLED))
    {
      linuxaio_complete_cancelled (EV_A_ i);
      return 0;
    }

  ++linuxaio.stats.completed;
  r->phase = LINUXAIO_IDLE;

  if (!i)
    return linuxaio.epoll_ready = 1;

  linuxaio_age_remove (EV_A_ i);
  linuxaio_rearm (EV_A_ fd);

  /* it may tell what was true before the direction was wanted again, or, of a pipe, what */
  /* is not: before 6.14 pipe_read wakes writers though the pipe is full. so ask anew */
  if (ecb_expect_false (r->leftover | r->hasty))
    {
      r->leftover = 0;
      res = linuxaio_ask (EV_A_ i);

      if (ecb_expect_false (res < 0))
        {
          linuxaio_to_epoll (EV_A_ fd, LINUXAIO_EPOLL_REFUSED); /* which asks by itself */
          return 0;
        }
    }

  res = linuxaio_events (r->write, res);
  fd_event (EV_A_ fd, res);
  ++linuxaio.eventcnt;

  return !!(res & anfds [fd].events);
}

/* takes a number of events, returns how many said anything */
static int
linuxaio_complete_all (EV_P_ const struct io_event *events, int count)
{
  int live = 0;

  while (count-- > 0)
    live += linuxaio_complete (EV_A_ events++);

  return live;
}

/*
 * Waits, for that many seconds at most, until the kernel worker that deals with
 * the request that was cancelled last has let go of the file; its event is
 * looked for among those that come after tail. Otherwise a close right after
 * would not be the last one, and the file would live on for up to 12 ms
 * (fs/file_table.c: fput of a kernel thread goes to delayed_fput_work).
 */
static void
linuxaio_await (EV_P_ uint32_t tail, ev_tstamp seconds)
{
  const struct io_event *events = (const struct io_event *)(linuxaio.ring + 1);
  ev_tstamp until = get_clock () + seconds;
  int gone = 0;

  do
    while (tail != *(volatile uint32_t *)&linuxaio.ring->tail && !gone)
      {
        ECB_MEMORY_FENCE_ACQUIRE; /* as in linuxaio_reap */

        gone = events [tail].data == (uint64_t)linuxaio.cancelled;

        if (gone)
          until = get_clock () + LINUXAIO_FPUT_SECONDS;

        if (++tail == linuxaio.ring->nr)
          tail = 0;
      }
  while (get_clock () < until);

  linuxaio.hurried = !gone;
}

/* takes events by system call, without waiting */
ecb_cold
static int
linuxaio_reap_by_call (EV_P)
{
  struct io_event events [LINUXAIO_EVENTS];
  int count = evsys_io_getevents (linuxaio.ctx, 0, LINUXAIO_EVENTS, events, LINUXAIO_TS (0.));

  ++linuxaio.stats.wait_calls;
  linuxaio.broken = count < 0 && count != -EINTR;

  return linuxaio_complete_all (EV_A_ events, count);
}

/* takes the events that are in the ring, returns how many said anything */
inline_speed
int
linuxaio_reap (EV_P)
{
  struct linuxaio_ring *ring = linuxaio.ring;
  const struct io_event *events;
  uint32_t head, tail;
  int live = 0;

  if (ecb_expect_false (!ring))
    return linuxaio_reap_by_call (EV_A);

  events = (const struct io_event *)(ring + 1);

  head = ring->head;
  tail = *(volatile uint32_t *)&ring->tail;

  if (head == tail)
    return 0;

  /* pairs with the smp_wmb between events and tail in fs/aio.c: aio_complete */
  ECB_MEMORY_FENCE_ACQUIRE;

  do
    {
      live += linuxaio_complete (EV_A_ events + head);

      if (++head == ring->nr)
        head = 0;
    }
  while (head != tail);

  /* the kernel may fill the entries again as soon as it sees head: all reads come before */
  ECB_MEMORY_FENCE_RELEASE;
  *(volatile uint32_t *)&ring->head = head;

  return live;
}

/*****************************************************************************/
/* the ring */

/*
 * Makes a context, returns whether that worked. What only this host as a
 * whole can forbid makes the ring unusable for good; what others may have used
 * up (EAGAIN: fs.aio-max-nr, ENOMEM) is tried again later.
 */
ecb_cold
static int
linuxaio_ring_open (EV_P_ int asked, aio_context_t *ctx)
{
  int res;

  if (!linuxaio.alive)
    {
      char *page = evsys_map (1);

      if (page && evsys_madvise (page, 1, MADV_WIPEONFORK) < 0)
        {
          evsys_unmap (page, 1);
          page = 0;
        }

      if (!page)
        {
          linuxaio.unusable = 1; /* could not tell a fork, and would disturb the parent */
          return 0;
        }

      *page = 1;
      linuxaio.alive = page;
    }

  *ctx = 0;
  res = evsys_io_setup (asked, ctx);

  if (res >= 0)
    return 1;

  ++linuxaio.stats.setups_refused;
  linuxaio.retry_at = mn_now + LINUXAIO_RETRY_SECONDS;
  linuxaio.unusable = res != -EAGAIN && res != -ENOMEM && res != -EINTR;

  return 0;
}

/* makes that many requests, none of them in use but the backend's own */
ecb_cold
static void
linuxaio_requests_alloc (EV_P_ int size)
{
  char *memory = (char *)ev_malloc ((sizeof (struct iocb) + sizeof (struct iocb *) + sizeof (LINUXAIO_REQUEST)) * size);

  linuxaio.size     = size;
  linuxaio.iocbs    = (struct iocb *)memory;
  linuxaio.queue    = (struct iocb **)(linuxaio.iocbs + size);
  linuxaio.requests = (LINUXAIO_REQUEST *)(linuxaio.queue + size);

  linuxaio.used         = 1;
  linuxaio.freelist     = 0;
  linuxaio.oldest       = 0;
  linuxaio.newest       = 0;
  linuxaio.inflightcnt  = 0;
  linuxaio.cancelledcnt = 0;
  linuxaio.queuecnt     = 0;
  linuxaio.epoll_ready  = 0;

  linuxaio_request_init (EV_A_ 0);
  linuxaio.iocbs [0].aio_fildes = backend_fd;
  linuxaio.iocbs [0].aio_buf    = POLLIN;
  linuxaio.requests [0].fd      = -1;
  linuxaio.requests [0].phase   = LINUXAIO_IDLE;
}

/*
 * Takes a context into use. A ring that is not as we know it is neither read
 * nor written (gVisor's is a read-only page of zeroes): io_getevents serves.
 */
ecb_cold
static void
linuxaio_ring_install (EV_P_ aio_context_t ctx, int asked)
{
  struct linuxaio_ring *ring = (struct linuxaio_ring *)(uintptr_t)ctx;
  int size = asked;

  linuxaio.ring    = 0;
  linuxaio.entries = asked;

  if (ring->magic == LINUXAIO_RING_MAGIC && !ring->incompat_features && ring->header_length == sizeof (*ring) && ring->nr > 1)
    {
      linuxaio.ring    = ring;
      linuxaio.entries = ring->nr;

      /* a child could not use the ring, but would corrupt its parent's by writing head */
      evsys_madvise (ring, sizeof (*ring) + sizeof (struct io_event) * ring->nr, MADV_DONTFORK);
    }

  /* it holds twice as many, but one entry always stays empty (fs/aio.c: ioctx_alloc) */
  if (linuxaio.ring)
    size = linuxaio.entries - 1 < asked * 2 ? linuxaio.entries - 1 : asked * 2;

  linuxaio.ctx   = ctx;
  linuxaio.asked = asked;

  linuxaio_requests_alloc (EV_A_ size);
}

/* forgets the ring and what is in flight there, without a system call */
ecb_cold
static void
linuxaio_ring_forget (EV_P)
{
  ev_free (linuxaio.iocbs);

  linuxaio.ctx          = 0;
  linuxaio.ring         = 0;
  linuxaio.iocbs        = 0;
  linuxaio.entries      = 0;
  linuxaio.asked        = 0;
  linuxaio.size         = 0;
  linuxaio.inflightcnt  = 0;
  linuxaio.cancelledcnt = 0;
  linuxaio.queuecnt     = 0;
  linuxaio.draining     = 0;
  linuxaio.yielding     = 0;
  linuxaio.broken       = 0;
}

/*
 * Gives up the ring: cancels what is in flight, and has the next look at the
 * re-arm list decide about its fds. The context is kept until the loop is
 * destroyed, for destroying it would stall the loop for 30 ms.
 */
ecb_cold
static void
linuxaio_ring_close (EV_P)
{
  int i;

  for (i = 1; i < linuxaio.used; ++i)
    {
      LINUXAIO_REQUEST *r = linuxaio.requests + i;

      if (r->phase != LINUXAIO_FREE && r->phase != LINUXAIO_CANCELLED)
        {
          linuxaio.fds [r->fd].request [r->write] = 0;
          linuxaio_rearm (EV_A_ r->fd);
        }
    }

  while (linuxaio.oldest)
    linuxaio_request_cancel (EV_A_ linuxaio.oldest);

  if (linuxaio.requests [0].phase == LINUXAIO_IN_FLIGHT)
    linuxaio_request_cancel (EV_A_ 0);

  ++linuxaio.retirecnt;
  array_needsize (aio_context_t, linuxaio.retires, linuxaio.retiremax, linuxaio.retirecnt, linuxaio_noinit);
  linuxaio.retires [linuxaio.retirecnt - 1] = linuxaio.ctx;
  linuxaio.retired_asked += linuxaio.asked;

  linuxaio_ring_forget (EV_A);
}

/* the ring does not work here after all: everything goes to epoll, for good */
ecb_cold
static void
linuxaio_ring_abandon (EV_P)
{
  int fd;

  if (linuxaio.ctx)
    linuxaio_ring_close (EV_A);

  linuxaio.unusable = 1;
  linuxaio.surveyed = 0;

  for (fd = 0; fd < linuxaio.fdmax; ++fd)
    if (linuxaio.fds [fd].place == LINUXAIO_IN_RING)
      linuxaio.fds [fd].place = LINUXAIO_UNDECIDED;
}

/* cancels the request for epoll, and waits for so many seconds at most until no worker looks at epoll any more */
ecb_cold
static void
linuxaio_epoll_retract (EV_P_ ev_tstamp seconds)
{
  uint32_t tail = linuxaio.ring ? linuxaio.ring->tail : 0;

  if (linuxaio.requests [0].phase != LINUXAIO_IN_FLIGHT)
    return;

  linuxaio.cancelled = -1;
  linuxaio_request_cancel (EV_A_ 0);

  if (linuxaio.cancelled >= 0 && linuxaio.ring)
    linuxaio_await (EV_A_ tail, seconds);
}

/*
 * A file is to be watched beside which there must be no worker that looks at
 * epoll, and so no ring. What is in flight there moves some at each iteration.
 */
ecb_cold
static void
linuxaio_ring_yield (EV_P)
{
  if (linuxaio.ctx)
    linuxaio_epoll_retract (EV_A_ LINUXAIO_AWAIT_LONG_SECONDS);

  if (linuxaio.inflightcnt)
    linuxaio.draining = linuxaio.yielding = 1;
  else
    linuxaio_ring_abandon (EV_A);
}

/*
 * Makes a context on which that many requests are certain to fit, or one with
 * less room, if that is all there is, but with more than the present one has.
 * Returns what io_setup was asked for, 0 if it was in vain.
 */
ecb_cold
static int
linuxaio_ring_find (EV_P_ int wanted, aio_context_t *ctx)
{
  int asked = wanted <= EV_LINUXAIO_RING_MIN ? EV_LINUXAIO_RING_MIN : EV_LINUXAIO_RING_MAX;

  for (; asked > linuxaio.asked; asked /= 2)
    if (linuxaio_ring_open (EV_A_ asked, ctx))
      return asked;
    else if (linuxaio.unusable || asked <= EV_LINUXAIO_RING_MIN)
      break;

  return 0;
}

/* begins to keep what there is to know of fds: up to now all of them are on epoll */
ecb_cold
static void
linuxaio_adopt_fds (EV_P)
{
  int fd;

  if (linuxaio.fds)
    return;

  array_needsize (LINUXAIO_FD, linuxaio.fds, linuxaio.fdmax, anfdmax, linuxaio_zerofill);

  for (fd = 0; fd < anfdmax; ++fd)
    {
      linuxaio.fds [fd].place    = LINUXAIO_EPOLL_NO_RING;
      linuxaio.fds [fd].in_epoll = !!anfds [fd].egen;
    }
}

/*
 * Before there is a request for epoll, asks of all that is registered there
 * whether there may be one, some fds at each iteration; linuxaio_decide asks
 * of what comes to those it has been at. What has been stopped is taken off
 * epoll instead, and asked when it is started again. Returns whether it is done.
 */
ecb_cold
static int
linuxaio_survey (EV_P)
{
  int left = EV_LINUXAIO_SURVEY;
  int pipe;

  for (; linuxaio.surveyed < linuxaio.fdmax && linuxaio.surveyed < anfdmax; ++linuxaio.surveyed)
    {
      int fd = linuxaio.surveyed;

      if (!anfds [fd].events)
        linuxaio.fds [fd].place = LINUXAIO_UNDECIDED;

      if (!linuxaio.fds [fd].in_epoll)
        continue;

      if (!left--)
        return 0;

      if (!anfds [fd].events)
        linuxaio_leave_epoll (EV_A_ fd);
      else if (linuxaio_kind_of_file (EV_A_ fd, &pipe) == LINUXAIO_EPOLL_NO_RING)
        {
          linuxaio_ring_yield (EV_A);
          return 0;
        }
    }

  linuxaio.surveyed = INT_MAX;
  return 1;
}

/* makes the first ring, if the loop is worth one */
ecb_cold
static void
linuxaio_ring_create (EV_P)
{
  aio_context_t ctx;
  int asked = 0;
  int wanted = linuxaio.lively || linuxaio.busy_poll > LINUXAIO_TS (0.) || linuxaio.watchcnt >= EV_LINUXAIO_RING_FDS;
  int many   = linuxaio.watchcnt > EV_LINUXAIO_RING_MAX;

  if (wanted && linuxaio.watchcnt && (!many || linuxaio.vain) && !linuxaio.steady)
    {
      linuxaio_adopt_fds (EV_A);

      if (!linuxaio_survey (EV_A))
        return;

      asked = linuxaio_ring_find (EV_A_ many ? EV_LINUXAIO_RING_MIN : linuxaio.watchcnt, &ctx);
    }

  if (asked)
    {
      linuxaio_ring_install (EV_A_ ctx, asked);
      linuxaio.sweep = 0;
    }
  else
    linuxaio.surveyed = 0;
}

/* replaces the ring by a larger one, if it may still grow and the kernel lets it */
ecb_cold
static void
linuxaio_ring_regrow (EV_P_ int wanted)
{
  aio_context_t ctx;
  int asked = linuxaio_ring_find (EV_A_ wanted, &ctx);

  if (!asked)
    return;

  linuxaio_reap (EV_A);
  linuxaio_ring_close (EV_A);
  linuxaio_ring_install (EV_A_ ctx, asked);
  ++linuxaio.stats.regrowths;
}

/*
 * More is wanted than io_setup has promised, or the kernel had no room: tries
 * a larger ring. What has overflowed comes back when there is room again.
 */
ecb_cold
static void
linuxaio_ring_relieve (EV_P_ int wanted)
{
  if (linuxaio.retry_at <= mn_now && linuxaio.asked < EV_LINUXAIO_RING_MAX)
    linuxaio_ring_regrow (EV_A_ wanted > linuxaio.asked ? wanted : linuxaio.asked + 1);

  if (linuxaio.crowded && wanted <= linuxaio.asked)
    {
      linuxaio.crowded = 0;
      linuxaio.sweep   = 0;
    }
}

/* moves the oldest requests, which are the cheapest to cancel, to epoll */
static void
linuxaio_evict (EV_P_ int count)
{
  while (count-- && linuxaio.oldest)
    linuxaio_to_epoll (EV_A_ linuxaio.requests [linuxaio.oldest].fd, linuxaio_ringless (EV_A));
}

/*
 * The loop is steady, or more fds are watched than the ring is for. A ring that
 * holds only some of them costs more than it saves, since every sleep then
 * watches both sides, so it is emptied: little by little, in proportion to
 * what else is done, until the loop has changed, or few enough fds are left. In
 * the end there is at most the request for epoll, for polls in vain.
 */
ecb_cold
static void
linuxaio_drain (EV_P)
{
  /* the ring could grow again, unless that was refused a moment ago */
  int room = linuxaio.retry_at > mn_now ? linuxaio.asked : EV_LINUXAIO_RING_MAX;

  linuxaio.draining = 1;

  if (ecb_expect_false (linuxaio.yielding))
    {
      linuxaio_evict (EV_A_ EV_LINUXAIO_SURVEY);
      linuxaio_ring_yield (EV_A);
      return;
    }

  if (!linuxaio.steady && linuxaio.watchcnt < room / 2)
    {
      if (linuxaio_survey (EV_A))
        linuxaio.draining = linuxaio.sweep = 0;

      return;
    }

  linuxaio_evict (EV_A_ LINUXAIO_DRAIN + linuxaio.rearmcnt / LINUXAIO_DRAIN);

  if (linuxaio.inflightcnt)
    return;

  if (linuxaio.vain)
    linuxaio_survey (EV_A);
  else
    {
      linuxaio_epoll_retract (EV_A_ LINUXAIO_AWAIT_SECONDS);
      linuxaio_reap (EV_A);
    }
}

/* looks for fds that are on epoll for want of a ring, or of room in it, some at each iteration */
ecb_cold
static void
linuxaio_sweep (EV_P)
{
  int left = LINUXAIO_SWEEP;

  for (; linuxaio.sweep < linuxaio.fdmax && linuxaio.sweep < anfdmax; ++linuxaio.sweep)
    {
      LINUXAIO_FD *f = linuxaio.fds + linuxaio.sweep;

      if (f->place == LINUXAIO_EPOLL_NO_RING || f->place >= LINUXAIO_EPOLL_OVERFLOW)
        {
          if (!left--)
            return;

          f->place = LINUXAIO_UNDECIDED;
          linuxaio_rearm (EV_A_ linuxaio.sweep);
        }
    }

  linuxaio.sweep = linuxaio.fdmax; /* done: there are no anfds beyond */
}

/*
 * What the loop is like decides whether a ring pays. Changes without events
 * are those of watchers that are stopped and restarted while armed, which are
 * cheap on epoll and dear in the ring. A start and a stop for each event, of a
 * second watcher of the fd, are the most that others do.
 */
ecb_cold
static void
linuxaio_weigh (EV_P)
{
  int useful = linuxaio.changecnt < linuxaio.eventcnt * 2 ? linuxaio.changecnt : linuxaio.eventcnt * 2;
  int futile = linuxaio.changecnt - useful;
  int saved  = useful + linuxaio.vaincnt;

  linuxaio.lively = saved >= EV_LINUXAIO_CHANGES * 2
                 && saved > futile
                 && mn_now - linuxaio.weighed_at < EV_LINUXAIO_LIVELY_SECONDS;

  linuxaio.vain = linuxaio.vaincnt >= EV_LINUXAIO_EVENTS - EV_LINUXAIO_EVENTS / EV_LINUXAIO_VAIN;

  if (linuxaio.lively || linuxaio.busy_poll > LINUXAIO_TS (0.))
    linuxaio.steady = 0;
  else if (saved < EV_LINUXAIO_CHANGES || linuxaio.epollcnt > linuxaio.eventcnt / 2)
    linuxaio.steady = 1;

  linuxaio.changecnt  = 0;
  linuxaio.eventcnt   = 0;
  linuxaio.epollcnt   = 0;
  linuxaio.vaincnt    = 0;
  linuxaio.weighed_at = mn_now;
}

/* sees to it, where possible, that what is about to be armed has room */
inline_size
void
linuxaio_make_room (EV_P)
{
  int wanted;

  if (ecb_expect_false (linuxaio.broken))
    linuxaio_ring_abandon (EV_A);

  if (ecb_expect_false (!linuxaio.ctx))
    {
      if (!linuxaio.unusable && linuxaio.retry_at <= mn_now)
        linuxaio_ring_create (EV_A);

      return;
    }

  if (ecb_expect_false (linuxaio.draining || linuxaio.steady || linuxaio.watchcnt > EV_LINUXAIO_RING_MAX))
    {
      linuxaio_drain (EV_A);
      return;
    }

  if (ecb_expect_false (linuxaio.sweep < linuxaio.fdmax))
    linuxaio_sweep (EV_A);

  wanted = linuxaio.inflightcnt + linuxaio.cancelledcnt + linuxaio.rearmcnt;

  if (ecb_expect_false (wanted > linuxaio.asked || linuxaio.crowded))
    linuxaio_ring_relieve (EV_A_ wanted);
}

/*****************************************************************************/
/* submitting */

/*
 * There is no room, although there should be: the kernel keeps some on the
 * side for each CPU, so that only what io_setup was asked for is certain.
 */
ecb_cold
static void
linuxaio_spill (EV_P_ int done)
{
  linuxaio.crowded = 1;

  while (linuxaio.queuecnt > done)
    {
      int i = linuxaio.queue [done] - linuxaio.iocbs;

      if (i)
        linuxaio_to_epoll (EV_A_ linuxaio.requests [i].fd, LINUXAIO_EPOLL_OVERFLOW);
      else
        {
          linuxaio_request_unqueue (EV_A_ 0);
          linuxaio.requests [0].phase = LINUXAIO_IDLE;
        }
    }
}

/*
 * The one place that knows what an error of io_submit means for the request
 * it is about, the first one of the queue that is not done. Whatever becomes
 * of it, it is off the queue afterwards, unless it is to be tried again.
 */
ecb_cold
static void
linuxaio_submit_error (EV_P_ int done, int error)
{
  int i = linuxaio.queue [done] - linuxaio.iocbs;

  if (error == -EINTR)
    return;

  ++linuxaio.stats.refused;

  if (!error || error == -EAGAIN || error == -ENOMEM)
    {
      linuxaio_spill (EV_A_ done);
      return;
    }

  /* EINVAL is said of a file, and of a context: only one of them makes io_getevents fail, too */
  if (i && (error == -EBADF || (error == -EINVAL
                                && evsys_io_getevents (linuxaio.ctx, 0, 0, 0, LINUXAIO_TS (0.)) >= 0)))
    linuxaio_to_epoll (EV_A_ linuxaio.requests [i].fd, LINUXAIO_EPOLL_REFUSED); /* also knows what to do with a bad fd */
  else
    linuxaio_ring_abandon (EV_A);
}

/* hands the queue to the kernel */
inline_speed
void
linuxaio_submit (EV_P)
{
  int done = 0;

  while (done < linuxaio.queuecnt)
    {
      int res = evsys_io_submit (linuxaio.ctx, linuxaio.queuecnt - done, linuxaio.queue + done);

      ++linuxaio.stats.submit_calls;

      if (ecb_expect_false (res <= 0))
        linuxaio_submit_error (EV_A_ done, res);
      else
        for (linuxaio.stats.submitted += res; res--; ++done)
          {
            int i = linuxaio.queue [done] - linuxaio.iocbs;

            linuxaio.requests [i].phase = LINUXAIO_IN_FLIGHT;

            if (i)
              linuxaio_age_append (EV_A_ i);
          }
    }

  linuxaio.queuecnt = 0;
}

/*
 * Queues the request for epoll itself, at the head: when there is not room
 * enough for all, it is the one that has to get through.
 */
inline_size
void
linuxaio_queue_epoll (EV_P)
{
  struct iocb *first = linuxaio.queue [0];

  linuxaio_request_queue (EV_A_ 0);

  linuxaio.queue [linuxaio.queuecnt - 1] = first;
  linuxaio.queue [0] = linuxaio.iocbs;
}

/* whether epoll itself has to be in the ring: as that is slept in, or to find out without a call that there is nothing */
inline_size
int
linuxaio_epoll_wanted (EV_P)
{
  if (ecb_expect_false (linuxaio.yielding))
    return 0;

  return linuxaio.queuecnt + linuxaio.inflightcnt || (linuxaio.vain && linuxaio.surveyed == INT_MAX);
}

/* hands over what is queued, and epoll itself if it has to be in the ring */
static void
linuxaio_flush (EV_P)
{
  if (linuxaio_epoll_wanted (EV_A) && linuxaio.requests [0].phase == LINUXAIO_IDLE)
    linuxaio_queue_epoll (EV_A);

  linuxaio_submit (EV_A);
}

/* arms whatever is on the re-arm list; a ring that is abandoned meanwhile adds its fds there */
inline_speed
void
linuxaio_arm_all (EV_P)
{
  do
    {
      int entered = 0;
      int i;

      for (i = 0; i < linuxaio.rearmcnt; ++i)
        {
          entered += linuxaio_arm (EV_A_ linuxaio.rearms [i]);

          if (ecb_expect_false (entered == LINUXAIO_BATCH))
            {
              linuxaio_flush (EV_A);
              entered = 0;
            }
        }

      linuxaio.rearmcnt = 0;
      linuxaio_flush (EV_A);
    }
  while (ecb_expect_false (linuxaio.rearmcnt));
}

/*****************************************************************************/
/* write interest on epoll */

/*
 * Programs that start a watcher for writing beside one for reading find, as a
 * rule, that they can write at once, and stop it. In a loop that is on epoll
 * altogether that takes no epoll_ctl: such an fd becomes a probe, and the next
 * linuxaio_poll asks all of them by one poll (2). Epoll is told of the misses, and of hits
 * that are still wanted an iteration later; in between the loop does not sleep.
 *
 * The hits of the last time are at the head of linuxaio.probes (probehits), what
 * is to be asked follows. What epoll was told of an fd is in its emask.
 */

/* has the next linuxaio_poll ask whether the fd can be written to */
static void
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

/*
 * Write interest comes (nev has EV_WRITE) or goes beside a read, returns whether
 * epoll does not need to hear of it, or not now.
 */
static int
linuxaio_probe_change (EV_P_ int fd, int nev)
{
  if (anfds [fd].emask != EV_READ || linuxaio.inflightcnt)
    return 0;

  if (nev == EV_READ)
    {
      if (linuxaio.probe_credit < LINUXAIO_PROBE_CREDIT)
        linuxaio.probe_credit += LINUXAIO_PROBE_GAIN;
    }
  else if (linuxaio.probe_credit > 0)
    linuxaio_probe_begin (EV_A_ fd);
  else
    {
      if (!++linuxaio.probe_credit)
        linuxaio.probe_credit = LINUXAIO_PROBE_CREDIT;

      return 0;
    }

  /* a new watcher for writing is set, too, but so may have been that for reading, to another file */
  if (anfds [fd].eflags & EV__IOFDSET)
    epoll_modify (EV_A_ fd, 0, EV_READ);

  return 1;
}

/* tells epoll of write interest, unless it has gone, or has been seen to otherwise */
static void
linuxaio_probe_end (EV_P_ int fd)
{
  if (anfds [fd].events != (EV_READ | EV_WRITE) || anfds [fd].emask != EV_READ)
    return;

  if (linuxaio.probe_credit > 0 && !--linuxaio.probe_credit)
    linuxaio.probe_credit = -EV_LINUXAIO_PROBE_PAUSE;

  linuxaio.changecnt += 2; /* this one, and when the interest goes */
  epoll_modify (EV_A_ fd, EV_READ, EV_READ | EV_WRITE);
}

/* asks all probes, returns how many could be written to */
ecb_noinline
static int
linuxaio_probe (EV_P)
{
  int count = linuxaio.probecnt - linuxaio.probehits;
  struct pollfd *p   = linuxaio.probes;
  struct pollfd *ask = p + linuxaio.probehits;
  struct pollfd *end = ask + count;

  for (; p < ask; ++p)
    linuxaio_probe_end (EV_A_ p->fd);

  linuxaio.probecnt = 0;

  if (count)
    {
      evsys_poll (ask, count);
      ++linuxaio.stats.probe_calls;
    }

  for (; p < end; ++p)
    {
      int events = linuxaio_events (1, p->revents);

      if (events)
        {
          fd_event (EV_A_ p->fd, events);
          linuxaio.probes [linuxaio.probecnt++] = *p;
        }
      else
        linuxaio_probe_end (EV_A_ p->fd);
    }

  linuxaio.probehits         = linuxaio.probecnt;
  linuxaio.eventcnt         += linuxaio.probecnt;
  linuxaio.stats.probe_hits += linuxaio.probecnt;

  return linuxaio.probecnt;
}

/*****************************************************************************/
/* waiting */

/* watches the ring in user space for up to that many seconds, returns whether there is something */
static int
linuxaio_watch (EV_P_ ev_tstamp seconds)
{
  ev_tstamp until = get_clock () + seconds;

  do
    if (*(volatile uint32_t *)&linuxaio.ring->tail != linuxaio.ring->head)
      return 1;
  while (get_clock () < until);

  return 0;
}

/*
 * Sleeps for up to that many seconds. Returns how many events said anything;
 * 0 if some came and none did, -1 if it is over: time-out, signal, error.
 */
static int
linuxaio_sleep (EV_P_ ev_tstamp timeout)
{
  struct io_event events [LINUXAIO_EVENTS];
  ev_tstamp watch = linuxaio.busy_poll < timeout ? linuxaio.busy_poll : timeout;
  int watched = 0;
  int count   = 0;
  int live;

  EV_RELEASE_CB;

  if (ecb_expect_false (watch > LINUXAIO_TS (0.)) && linuxaio.ring)
    {
      watched  = linuxaio_watch (EV_A_ watch);
      timeout -= watch;
    }

  if (ecb_expect_true (!watched))
    {
      ++linuxaio.stats.wait_calls;
      count = evsys_io_getevents (linuxaio.ctx, 1, linuxaio.ring ? 1 : LINUXAIO_EVENTS, events, timeout);
    }

  EV_ACQUIRE_CB;

  if (ecb_expect_false (count < 0) && count != -EINTR)
    linuxaio_ring_abandon (EV_A);

  if (count <= 0 && !watched)
    return -1;

  live = linuxaio_complete_all (EV_A_ events, count);

  return linuxaio.ring ? live + linuxaio_reap (EV_A) : live;
}

/* serves a loop that has nothing in the ring: epoll is slept in directly */
inline_size
void
linuxaio_poll_epoll (EV_P_ ev_tstamp timeout)
{
  epoll_poll (EV_A_ timeout);

  if (linuxaio.ctx)
    linuxaio_reap (EV_A);

  linuxaio.epoll_ready = 0;
}

/* the backend's own request found no room: make some, ask epoll itself meanwhile */
ecb_cold
static void
linuxaio_poll_both (EV_P)
{
  if (linuxaio.requests [0].phase == LINUXAIO_IDLE)
    linuxaio_evict (EV_A_ 1);

  linuxaio.epoll_ready = 1;
}

/* whether there is nothing to arm, to move into the ring or in it: a poll that must not wait is over */
inline_size
int
linuxaio_quiet (EV_P)
{
  return linuxaio.ring
      && linuxaio.ring->head == *(volatile uint32_t *)&linuxaio.ring->tail
      && linuxaio.requests [0].phase == LINUXAIO_IN_FLIGHT
      && (linuxaio.draining || linuxaio.sweep >= linuxaio.fdmax)
      && !(linuxaio.rearmcnt | epoll_epermcnt);
}

/* takes the events of epoll, if its request has said that there are any, or files there are always ready */
inline_size
void
linuxaio_reap_epoll (EV_P)
{
  if (linuxaio.epoll_ready | epoll_epermcnt)
    {
      linuxaio.epoll_ready = 0;
      epoll_poll (EV_A_ LINUXAIO_TS (0.));
    }
}

/* arms what is to be armed, then takes what has happened, after sleeping until something has */
ecb_noinline
static void
linuxaio_poll_ring (EV_P_ ev_tstamp timeout)
{
  ev_tstamp until = mn_now + timeout;

  linuxaio_make_room (EV_A);

  do
    {
      linuxaio_arm_all (EV_A);

      /* the callbacks of an fd that was killed must not wait, nor files that are always ready */
      if (ecb_expect_false (fdchangecnt | epoll_epermcnt))
        timeout = LINUXAIO_TS (0.);

      if (!linuxaio.inflightcnt)
        {
          linuxaio_poll_epoll (EV_A_ timeout);
          return;
        }

      if (ecb_expect_false (linuxaio.requests [0].phase != LINUXAIO_IN_FLIGHT))
        {
          linuxaio_poll_both (EV_A);
          timeout = LINUXAIO_TS (0.);
        }

      if (linuxaio_reap (EV_A) || timeout <= LINUXAIO_TS (0.))
        break;

      /* no sleep before what has completed without saying anything is armed again */
      if (ecb_expect_false (linuxaio.rearmcnt))
        continue;

      if (linuxaio_sleep (EV_A_ timeout))
        break;

      /* what came was about cancelled requests, or directions no longer wanted */
      timeout = until - get_clock ();
    }
  while (timeout > LINUXAIO_TS (0.));

  linuxaio_reap_epoll (EV_A);
}

static void
linuxaio_poll (EV_P_ ev_tstamp timeout)
{
  if (ecb_expect_false (linuxaio_forked (EV_A)))
    {
      postfork = 1; /* forked since ev_run has looked: it looks again before the next poll */
      return;
    }

  linuxaio.hurried = 0;

  if (linuxaio.probecnt && linuxaio_probe (EV_A))
    timeout = LINUXAIO_TS (0.);

  if (ecb_expect_false (linuxaio.changecnt + linuxaio.eventcnt + linuxaio.vaincnt >= EV_LINUXAIO_EVENTS))
    linuxaio_weigh (EV_A);

  if (timeout <= LINUXAIO_TS (0.) && linuxaio_quiet (EV_A))
    {
      ++linuxaio.vaincnt;
      return;
    }

  /* the short way of a loop that is on epoll altogether */
  if ((linuxaio.steady || linuxaio.watchcnt > EV_LINUXAIO_RING_MAX)
      && !(linuxaio.inflightcnt | linuxaio.cancelledcnt | linuxaio.rearmcnt | fdchangecnt | linuxaio.vain))
    {
      epoll_poll (EV_A_ timeout);
      return;
    }

  linuxaio_poll_ring (EV_A_ timeout);
}

/*
 * What epoll_poll waits with in a loop of this backend: like epoll_wait, but
 * to the nanosecond where the kernel can (5.11).
 */
static int
linuxaio_epoll_wait (EV_P_ ev_tstamp timeout)
{
  int res = -ENOSYS;

  ++linuxaio.stats.epoll_calls;

  if (timeout > LINUXAIO_TS (0.) && timeout < LINUXAIO_COARSE_SECONDS && !linuxaio.no_pwait2)
    {
      res = evsys_epoll_pwait2 (backend_fd, epoll_events, epoll_eventmax, timeout);

      if (ecb_expect_false (res == -ENOSYS || res == -EPERM))
        {
          linuxaio.no_pwait2 = 1;
          res = -ENOSYS;
        }
    }

  if (res == -ENOSYS)
    res = evsys_epoll_wait (backend_fd, epoll_events, epoll_eventmax, LINUXAIO_MSEC (timeout));

  if (res >= 0)
    {
      linuxaio.eventcnt += res;
      linuxaio.vaincnt  += !res && timeout <= LINUXAIO_TS (0.) && !linuxaio.probehits;

      /* beside a ring, but not one that is left anyway */
      if (linuxaio.inflightcnt && !linuxaio.draining)
        linuxaio.epollcnt += res;

      return res;
    }

  errno = -res;
  return -1;
}

/*****************************************************************************/
/* what libev calls */

/*
 * Learns from a stop whether it had to be cancelled. One that did not goes one
 * step back. That the fd is set to another file changes nothing: programs
 * treat their fds alike.
 */
inline_size
void
linuxaio_predict (LINUXAIO_FD *f, int cancelled)
{
  if (!cancelled)
    f->backoff -= f->backoff > 0;
  else if (!f->backoff)
    f->backoff = 1;
  else
    {
      f->backoff += f->backoff < LINUXAIO_BACKOFF_MAX;
      f->parked   = 1 << f->backoff * LINUXAIO_BACKOFF_BITS;
      f->place    = LINUXAIO_UNDECIDED;
    }
}

/*
 * Gives up what is in flight for an fd that may be closed next. The other end
 * of a connection can wait for that, if need be, but the name of a datagram
 * socket has to be free at once. (Other sockets with names are not in the ring.)
 */
static void
linuxaio_release_ring (EV_P_ int fd)
{
  LINUXAIO_FD *f = linuxaio.fds + fd;
  uint32_t tail  = linuxaio.ring ? linuxaio.ring->tail : 0;

  linuxaio.cancelled = 0;
  linuxaio_predict (f, linuxaio_fd_drop (EV_A_ f));

  if (linuxaio.cancelled && linuxaio.ring)
    {
      if (evsys_getsockopt (fd, SO_TYPE) == SOCK_DGRAM)
        linuxaio_await (EV_A_ tail, LINUXAIO_AWAIT_LONG_SECONDS);
      else if (!linuxaio.hurried)
        linuxaio_await (EV_A_ tail, LINUXAIO_AWAIT_SECONDS);
    }
}

/* the last watcher of an fd was stopped */
static void
linuxaio_release (EV_P_ int fd)
{
  LINUXAIO_FD *f;

  if (fd >= linuxaio.fdmax || linuxaio_forked (EV_A))
    return;

  f = linuxaio.fds + fd;
  f->resets = 0;

  if (f->place == LINUXAIO_IN_RING)
    {
      linuxaio_release_ring (EV_A_ fd);
      linuxaio_rearm (EV_A_ fd); /* if started at once with the same events, modify is not called */
    }
  else if (f->parked)
    --f->parked;
}

/* it may be another file now */
inline_size
void
linuxaio_fd_renew (EV_P_ LINUXAIO_FD *f)
{
  if (linuxaio_fd_drop (EV_A_ f) && ++f->resets > LINUXAIO_RESETS_MAX)
    {
      f->resets = 0;
      linuxaio_predict (f, 1);
    }

  f->place = LINUXAIO_UNDECIDED;
}

/* of the directions that are wanted anew: what is still in flight may tell what was true before */
inline_size
void
linuxaio_fd_want (EV_P_ LINUXAIO_FD *f, int events)
{
  int write;

  for (write = 0; write < 2; ++write)
    if (f->request [write] && (events & (write ? EV_WRITE : EV_READ)))
      linuxaio.requests [f->request [write]].leftover = linuxaio.requests [f->request [write]].phase == LINUXAIO_IN_FLIGHT;
}

/* a change in a loop that has, or has had, a ring: the fd is served where it lives, or is decided about */
ecb_noinline
static void
linuxaio_fd_modify (EV_P_ int fd, int oev, int nev)
{
  LINUXAIO_FD *f;

  array_needsize (LINUXAIO_FD, linuxaio.fds, linuxaio.fdmax, fd + 1, linuxaio_zerofill);
  f = linuxaio.fds + fd;

  if (anfds [fd].eflags & EV__IOFDSET)
    linuxaio_fd_renew (EV_A_ f);
  else if (f->place == LINUXAIO_EPOLL_PARKED && !f->parked)
    f->place = LINUXAIO_UNDECIDED;

  /* an fd that is never stopped altogether counts its changes instead */
  if (oev && f->parked)
    --f->parked;

  if (!nev)
    return;

  if (f->place > LINUXAIO_IN_RING)
    {
      linuxaio_epoll_modify (EV_A_ fd, oev, nev);
      return;
    }

  linuxaio_fd_want (EV_A_ f, nev & ~oev);
  linuxaio_rearm (EV_A_ fd);
}

/* counts a change, unless it would cost nothing on epoll, and makes it */
inline_speed
void
linuxaio_change (EV_P_ int fd, int oev, int nev, int costs)
{
  linuxaio.changecnt += costs;
  linuxaio.watchcnt  += (nev != 0) - (oev != 0);

  if (linuxaio.fds)
    linuxaio_fd_modify (EV_A_ fd, oev, nev);
  else
    epoll_modify (EV_A_ fd, oev, nev);
}

/* write interest comes or goes beside a read. in a loop that has had a ring it may be of another file, to be looked at */
ecb_noinline
static void
linuxaio_modify_beside (EV_P_ int fd, int oev, int nev)
{
  int same = !(linuxaio.fds && anfds [fd].eflags & EV__IOFDSET);

  if (!same || !linuxaio_probe_change (EV_A_ fd, nev))
    linuxaio_change (EV_A_ fd, oev, nev, !same || linuxaio.probe_credit <= 0);
}

/* most changes are handed on by a jump. what has registers to save is in functions of its own: 24 instructions less */
static void
linuxaio_modify (EV_P_ int fd, int oev, int nev)
{
  if ((oev & nev) == EV_READ && (oev ^ nev) == EV_WRITE)
    linuxaio_modify_beside (EV_A_ fd, oev, nev);
  else
    linuxaio_change (EV_A_ fd, oev, nev, nev != 0);
}

/*
 * Whether this host can do AIO polling, asked without costing it anything.
 * EINVAL is the answer where it can: 0 is no number of requests.
 */
ecb_cold
static int
linuxaio_works (void)
{
  aio_context_t ctx = 0;

  return !linuxaio_on_valgrind () && evsys_io_setup (0, &ctx) == -EINVAL && linuxaio_kernel_good ();
}

inline_size
int
linuxaio_init (EV_P_ int flags)
{
  int fallback = epoll_init (EV_A_ flags);

  memset (&linuxaio, 0, sizeof (linuxaio));
  linuxaio.weighed_at   = mn_now;
  linuxaio.probe_credit = LINUXAIO_PROBE_CREDIT;

  if (!fallback || !linuxaio_works ())
    return fallback;

  backend_mintime = LINUXAIO_TS (1e-6);
  backend_modify  = linuxaio_modify;
  backend_poll    = linuxaio_poll;

  return EVBACKEND_LINUXAIO;
}

/* forgets everything that a parent has in flight: in a child all of it is gone */
ecb_cold
static void
linuxaio_forget (EV_P)
{
  if (linuxaio.ctx)
    linuxaio_ring_forget (EV_A);

  ev_free (linuxaio.fds);
  linuxaio.fds    = 0;
  linuxaio.fdmax  = 0;
  linuxaio.surveyed      = 0;
  linuxaio.rearmcnt      = 0;
  linuxaio.retirecnt     = 0;
  linuxaio.retired_asked = 0;
  linuxaio.retry_at      = LINUXAIO_TS (0.);

  memset (&linuxaio.stats, 0, sizeof (linuxaio.stats));
}

/* a new epoll in place of one that went wrong: the ring stays as it is */
ecb_cold
static void
linuxaio_epoll_renew (EV_P)
{
  int fd;

  if (linuxaio.requests [0].phase == LINUXAIO_IN_FLIGHT)
    linuxaio_request_cancel (EV_A_ 0);

  evsys_close (backend_fd);

  while ((backend_fd = epoll_epoll_create ()) < 0)
    ev_syserr ("(libev) epoll_create");

  linuxaio.iocbs [0].aio_fildes = backend_fd;

  for (fd = 0; fd < linuxaio.fdmax && fd < anfdmax; ++fd)
    {
      anfds [fd].emask = 0;
      linuxaio.fds [fd].in_epoll = 0;

      if (anfds [fd].events && linuxaio.fds [fd].place > LINUXAIO_IN_RING)
        {
          anfds [fd].events = 0;
          --linuxaio.watchcnt;
          fd_change (EV_A_ fd, EV__IOFDSET | EV_ANFD_REIFY);
        }
    }
}

ecb_cold
static void
linuxaio_fork (EV_P)
{
  int forked = linuxaio_forked (EV_A);

  if (linuxaio.ctx && !forked)
    {
      linuxaio_epoll_renew (EV_A);
      return;
    }

  if (forked)
    {
      linuxaio_forget (EV_A);
      *linuxaio.alive = 1;
    }

  linuxaio.watchcnt = 0;
  epoll_fork (EV_A);
}

inline_size
void
linuxaio_destroy (EV_P)
{
  epoll_destroy (EV_A);

  if (!linuxaio_forked (EV_A))
    {
      if (linuxaio.ctx)
        evsys_io_destroy (linuxaio.ctx);

      while (linuxaio.retirecnt)
        evsys_io_destroy (linuxaio.retires [--linuxaio.retirecnt]);
    }

  if (linuxaio.alive)
    evsys_unmap (linuxaio.alive, 1);

  ev_free (linuxaio.retires);
  ev_free (linuxaio.rearms);
  ev_free (linuxaio.probes);
  ev_free (linuxaio.fds);
  ev_free (linuxaio.iocbs);
}

/*****************************************************************************/
/* what programs call */

ecb_cold
int
ev_linuxaio_stats (EV_P_ struct ev_linuxaio_stats *stats) EV_LINUXAIO_NOEXCEPT
{
  unsigned count [LINUXAIO_EPOLL_STEADY + 1];
  int fd;

  memset (stats, 0, sizeof (*stats));

  if (backend != EVBACKEND_LINUXAIO)
    return 0;

  memset (count, 0, sizeof (count));

  for (fd = 0; fd < anfdmax; ++fd)
    if (anfds [fd].events)
      ++count [fd < linuxaio.fdmax ? linuxaio.fds [fd].place : (int)LINUXAIO_EPOLL_NO_RING];

  *stats = linuxaio.stats;

  stats->in_flight      = linuxaio.inflightcnt + (linuxaio.ctx && linuxaio.requests [0].phase == LINUXAIO_IN_FLIGHT);
  stats->ring_entries   = linuxaio.entries;
  stats->ring_requests  = linuxaio.asked + linuxaio.retired_asked;
  stats->ring_fds       = count [LINUXAIO_IN_RING];
  stats->epoll_no_ring  = count [LINUXAIO_EPOLL_NO_RING];
  stats->epoll_kind     = count [LINUXAIO_EPOLL_KIND];
  stats->epoll_refused  = count [LINUXAIO_EPOLL_REFUSED];
  stats->epoll_parked   = count [LINUXAIO_EPOLL_PARKED];
  stats->epoll_overflow = count [LINUXAIO_EPOLL_OVERFLOW];
  stats->epoll_steady   = count [LINUXAIO_EPOLL_STEADY];

  stats->epoll_fds = stats->epoll_no_ring + stats->epoll_kind + stats->epoll_refused
                   + stats->epoll_parked + stats->epoll_overflow + stats->epoll_steady;

  return 1;
}

void
ev_linuxaio_busy_poll (EV_P_ ev_tstamp seconds) EV_LINUXAIO_NOEXCEPT
{
  if (backend != EVBACKEND_LINUXAIO)
    return;

  linuxaio.busy_poll = seconds;
  linuxaio.steady    = 0; /* until it is weighed again */
}

#undef LINUXAIO_VERSION
#undef LINUXAIO_EVENTS
