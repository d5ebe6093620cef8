/*
 * The seam of ev_linuxaio.c as the tests want it: included there in place of
 * its own (-DEV_LINUXAIO_EVSYS), with the same functions, each of which asks
 * first whether this call shall fail.
 */
#include <fcntl.h>
#include <sys/utsname.h>

#include "seam.h"

#ifndef SYS_epoll_pwait2
# define SYS_epoll_pwait2 441
#endif

/* the usual form: fails as arranged, or makes the call */
#define SEAM_TRY(call)                       \
  int arranged = seam_hit (SEAM_ ## call);   \
                                             \
  if (arranged)                              \
    return -arranged

static int
evsys_result (long res)
{
  return res < 0 ? -errno : (int)res;
}

/* the kernel takes note of head and tail only, so the rest of a header can be spoilt */
static void
seam_spoil (struct linuxaio_ring *ring)
{
  switch (seam_ring)
    {
      case SEAM_RING_MAGIC    : ring->magic             = ~LINUXAIO_RING_MAGIC; break;
      case SEAM_RING_FEATURES : ring->incompat_features = 1; break;
      case SEAM_RING_HEADER   : ring->header_length     = 64; break;
      case SEAM_RING_READ_ONLY: ring->magic             = 0;
                                mprotect (ring, sizeof (*ring), PROT_READ); break;
    }
}

static int
evsys_io_setup (unsigned requests, aio_context_t *ctx)
{
  int res;

  SEAM_TRY (io_setup);
  res = evsys_result (syscall (SYS_io_setup, requests, ctx));

  if (res >= 0)
    seam_spoil ((struct linuxaio_ring *)*ctx);

  return res;
}

/* a refused io_destroy must not cost the test a context: only the answer is wrong */
static int
evsys_io_destroy (aio_context_t ctx)
{
  int res = seam_destroyer ? seam_destroyer (ctx) : evsys_result (syscall (SYS_io_destroy, ctx));

  SEAM_TRY (io_destroy);
  return res;
}

static int
evsys_io_submit (aio_context_t ctx, long count, struct iocb **iocbs)
{
  int error = seam_hit (SEAM_io_submit);

  if (error == SEAM_SHORT)
    count = (count + 1) / 2;
  else if (error)
    return -error;

  return evsys_result (syscall (SYS_io_submit, ctx, count, iocbs));
}

static int
evsys_io_cancel (aio_context_t ctx, struct iocb *iocb)
{
  struct io_event unused;
  int error = seam_hit (SEAM_io_cancel);
  int res;

  if (error && error != SEAM_ZERO)
    return -error;

  res = evsys_result (syscall (SYS_io_cancel, ctx, iocb, &unused));
  return error && res == -EINPROGRESS ? 0 : res;
}

static int
evsys_io_getevents (aio_context_t ctx, long min, long count, struct io_event *events, ev_tstamp seconds)
{
  struct linuxaio_timespec ts;

  SEAM_TRY (io_getevents);
  ts.tv_sec  = (long)seconds;
  ts.tv_nsec = (long)((seconds - ts.tv_sec) * 1e9);
  return evsys_result (syscall (SYS_io_getevents, ctx, min, count, events, &ts));
}

static int
evsys_epoll_pwait2 (int epfd, struct epoll_event *events, int count, ev_tstamp seconds)
{
  struct linuxaio_timespec64 ts;

  SEAM_TRY (epoll_pwait2);
  ts.tv_sec  = (int64_t)seconds;
  ts.tv_nsec = (int64_t)((seconds - ts.tv_sec) * 1e9);
  return evsys_result (syscall (SYS_epoll_pwait2, epfd, events, count, &ts, 0, 0));
}

static int
evsys_epoll_wait (int epfd, struct epoll_event *events, int count, int milliseconds)
{
  SEAM_TRY (epoll_wait);
  return evsys_result (epoll_wait (epfd, events, count, milliseconds));
}

/* here, too, the call is made: what is wrong is the answer */
static int
evsys_epoll_del (int epfd, int fd)
{
  struct epoll_event unused;
  int res = evsys_result (epoll_ctl (epfd, EPOLL_CTL_DEL, fd, &unused));

  SEAM_TRY (epoll_del);
  return res;
}

static int
evsys_getpeername (int fd)
{
  struct sockaddr unused;
  socklen_t len = 0;

  SEAM_TRY (getpeername);
  return evsys_result (getpeername (fd, &unused, &len));
}

static int
evsys_getsockopt (int fd, int option)
{
  int value = 0;
  socklen_t len = sizeof (value);
  int res;

  SEAM_TRY (getsockopt);
  res = evsys_result (getsockopt (fd, SOL_SOCKET, option, &value, &len));
  return res < 0 ? res : value;
}

static int
evsys_fstat (int fd, struct stat *st)
{
  SEAM_TRY (fstat);
  return evsys_result (fstat (fd, st));
}

static int
evsys_readlink (const char *path, char *buf, int size)
{
  SEAM_TRY (readlink);
  return evsys_result (readlink (path, buf, size));
}

static int
evsys_read_file (const char *path, char *buf, int size)
{
  int fd, len;

  SEAM_TRY (read_file);
  len = fd = evsys_result (open (path, O_RDONLY | O_CLOEXEC));

  if (fd >= 0)
    {
      len = evsys_result (read (fd, buf, size));
      close (fd);
    }

  return len;
}

static int
evsys_poll (struct pollfd *list, int count)
{
  SEAM_TRY (poll);
  return evsys_result (poll (list, count, 0));
}

static char *
evsys_map (size_t size)
{
  void *p;

  if (seam_hit (SEAM_map))
    return 0;

  p = mmap (0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return p == MAP_FAILED ? 0 : (char *)p;
}

static int
evsys_unmap (void *p, size_t size)
{
  int res = evsys_result (munmap (p, size));

  SEAM_TRY (unmap);
  return res;
}

static int
evsys_madvise (void *p, size_t size, int advice)
{
  SEAM_TRY (madvise);
  return evsys_result (madvise (p, size, advice));
}

static int
evsys_close (int fd)
{
  int res = evsys_result (close (fd));

  SEAM_TRY (close);
  return res;
}

static int
evsys_uname (struct utsname *buf)
{
  SEAM_TRY (uname);
  return evsys_result (uname (buf));
}

#undef SEAM_TRY
