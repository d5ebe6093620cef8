#include "system.h"
#include "fault.h"

#pragma weak epoll_pwait2

#if TINY
int knob_first = 2, knob_next = 14, knob_worth = 0;
#else
int knob_first = 62, knob_next = 1022, knob_worth = 1000;
#endif
int fault_ring;
int fault_used, fault_epfd;
long fault_timeout;
unsigned long fault_calls [FAULT_COUNT], fault_failures, fault_told;
int fault_waited;
long (*fault_kernel) (long number, const long *a);
void (*fault_fenced) (int release);
void (*fault_looked) (struct timespec *ts);
const char *fault_release, *fault_version, *fault_signature;

const char *const fault_name [FAULT_COUNT] = {
#define X(name, ...) #name,
  FAULT_CALLS (X)
#undef X
};

const short fault_error [FAULT_COUNT][10] = {
#define X(name, ...) { __VA_ARGS__ },
  FAULT_CALLS (X)
#undef X
};

static struct
{
  int error;
  unsigned long nth;
  int and_all_later;
} plan [FAULT_COUNT];

const char *
fault_error_name (int error)
{
  return error == FAULT_SHORT ? "short count" : error == FAULT_ZERO ? "0" : strerrorname_np (error);
}

void
fault_reset (void)
{
  memset (fault_calls, 0, sizeof (fault_calls));
  memset (plan, 0, sizeof (plan));
  fault_failures = fault_used = 0;
  fault_ring     = FAULT_RING_GOOD;
}

void
fault_arrange (int call, int error, unsigned long nth, int and_all_later)
{
  plan [call].error         = error;
  plan [call].nth           = fault_calls [call] + nth;
  plan [call].and_all_later = and_all_later;
  fault_used = 1;
}

void
fault_mend (int call)
{
  plan [call].error = 0;
}

/*****************************************************************************/
/* the calls: each counts, and asks what it is to answer */

/* the error that this call shall have, 0: none. sets errno */
static int
hit (int call)
{
  ++fault_calls [call];

  if (!plan [call].error
      || fault_calls [call] < plan [call].nth
      || (fault_calls [call] > plan [call].nth && !plan [call].and_all_later))
    return 0;

  ++fault_failures;
  return errno = plan [call].error;
}

/* the kernel takes note of head and tail only, so the rest of a header can be spoilt */
static void
spoil (struct fault_map *ring)
{
  switch (fault_ring)
    {
      case FAULT_RING_MAGIC    : ring->magic             = ~ring->magic; break;
      case FAULT_RING_FEATURES : ring->incompat_features = 1; break;
      case FAULT_RING_HEADER   : ring->header_length     = 64; break;
      case FAULT_RING_EMPTY    : ring->nr                = 1; break;
      case FAULT_RING_READ_ONLY: ring->magic             = 0;
                                 mprotect (ring, sizeof (*ring), PROT_READ); break;
    }
}

static long
kernel (long number, const long *a)
{
  return fault_kernel ? fault_kernel (number, a) : syscall (number, a [0], a [1], a [2]);
}

static long
io_setup (const long *a)
{
  long res = hit (FAULT_io_setup) ? -1 : kernel (SYS_io_setup, a);

  if (res >= 0)
    spoil (*(struct fault_map **)a [1]);

  return res;
}

/* a refused io_destroy must not cost the test a context: only the answer is wrong */
static long
io_destroy (const long *a)
{
  long res = kernel (SYS_io_destroy, a);

  return hit (FAULT_io_destroy) ? -1 : res;
}

static long
io_submit (long *a)
{
  int error = hit (FAULT_io_submit);

  if (error == FAULT_SHORT)
    a [1] = (a [1] + 1) / 2;

  return error && error != FAULT_SHORT ? -1 : kernel (SYS_io_submit, a);
}

static long
io_cancel (const long *a)
{
  int error = hit (FAULT_io_cancel);
  long res  = error && error != FAULT_ZERO ? -1 : kernel (SYS_io_cancel, a);

  return error == FAULT_ZERO && res < 0 && errno == EINPROGRESS ? 0 : res;
}

long
fault_syscall (long number, ...)
{
  va_list ap;
  long a [3];

  va_start (ap, number);
  for (int i = 0; i < 3; ++i)
    a [i] = va_arg (ap, long);
  va_end (ap);

  return number == SYS_io_setup   ? io_setup (a)
       : number == SYS_io_destroy ? io_destroy (a)
       : number == SYS_io_submit  ? io_submit (a)
       : number == SYS_io_cancel  ? io_cancel (a)
       : syscall (number, a [0], a [1], a [2]);
}

/* a pretended kernel looks at memory when the processor does */
void
fault_fence (int release)
{
  __atomic_thread_fence (__ATOMIC_SEQ_CST);

  if (fault_fenced)
    fault_fenced (release);
}

int
fault_epoll_pwait2 (int epfd, struct epoll_event *events, int count, const struct timespec *ts, const sigset_t *mask)
{
  int result = -1;

  fault_timeout = ts->tv_sec * 1000000000 + ts->tv_nsec;

  if (hit (FAULT_epoll_pwait2))
    return -1;

  errno = ENOSYS;

  if (epoll_pwait2)
    result = epoll_pwait2 (epfd, events, count, ts, mask);

  fault_calls [FAULT_epoll_pwait2] -= result < 0 && errno == ENOSYS; /* before Linux 5.11. epoll_wait is called in its place */
  return result;
}

int
fault_epoll_wait (int epfd, struct epoll_event *events, int count, int milliseconds)
{
  fault_timeout = milliseconds * 1000000L;

  return hit (FAULT_epoll_wait) ? -1 : epoll_wait (epfd, events, count, milliseconds);
}

/* what is added for good, edge-triggered, is the bell. a failing removal is made: what is wrong is the answer */
int
fault_epoll_ctl (int epfd, int op, int fd, struct epoll_event *event)
{
  int res;

  ++fault_told;

  if (op == EPOLL_CTL_ADD && event->events & EPOLLET)
    {
      if (hit (FAULT_bell_add))
        return -1;

      fault_epfd = epfd;
    }

  res = epoll_ctl (epfd, op, fd, event);
  return op == EPOLL_CTL_DEL && hit (FAULT_epoll_del) ? -1 : res;
}

int
fault_clock_gettime (clockid_t id, struct timespec *ts)
{
  int res = clock_gettime (id, ts);

  if (fault_looked)
    fault_looked (ts);

  return res;
}

int
fault_open (const char *path, int flags)
{
  int ends [2];

  if (!fault_release || strcmp (path, "/proc/version_signature"))
    return open (path, flags);

  errno = ENOENT;
  if (!fault_signature || pipe (ends))
    return -1;

  if (write (ends [1], fault_signature, strlen (fault_signature)) < 0)
    close (ends [0]);

  close (ends [1]);
  return ends [0];
}

static int
really_uname (struct utsname *un)
{
  if (!fault_release)
    return uname (un);

  memset (un, 0, sizeof (*un));
  snprintf (un->release, sizeof (un->release), "%s", fault_release);
  snprintf (un->version, sizeof (un->version), "%s", fault_version);
  return 0;
}

/* a call that is not made where it fails, and one that is made all the same */
#define FAILS_OR(name, type, args, call)           \
  type                                             \
  fault_ ## name args                              \
  {                                                \
    return hit (FAULT_ ## name) ? (type)-1 : call; \
  }

#define DONE_BUT_FAILS(name, args, call)           \
  int                                              \
  fault_ ## name args                              \
  {                                                \
    int res = call;                                \
                                                   \
    return hit (FAULT_ ## name) ? -1 : res;        \
  }

FAILS_OR (eventfd, int, (unsigned value, int flags), eventfd (value, flags))
FAILS_OR (getsockopt, int, (int fd, int level, int name, void *value, socklen_t *len), getsockopt (fd, level, name, value, len))
FAILS_OR (fstat, int, (int fd, struct stat *st), fstat (fd, st))
FAILS_OR (poll, int, (struct pollfd *list, nfds_t count, int milliseconds), poll (list, count, fault_waited = milliseconds))
FAILS_OR (madvise, int, (void *p, size_t size, int advice), madvise (p, size, advice))
FAILS_OR (uname, int, (struct utsname *un), really_uname (un))
FAILS_OR (mmap, void *, (void *at, size_t size, int prot, int flags, int fd, off_t offset), mmap (at, size, prot, flags, fd, offset))
DONE_BUT_FAILS (munmap, (void *p, size_t size), munmap (p, size))
DONE_BUT_FAILS (close, (int fd), close (fd))
