/*
 * Faults below the product: libev's object is compiled as ever, and then the
 * calls it makes are renamed (objcopy --redefine-sym syscall=fault_syscall, see
 * BELOW in programs.mk). What they find here makes the call, fails as
 * arranged, or asks a kernel that a test pretends.
 */
#pragma once

#include <time.h>

/*
 * Every call of the backend, and the errors that the kernel or a sandbox may
 * answer with. Those that cannot fail without harm to libev itself are left out.
 */
#define FAULT_CALLS(X)                                                                 \
  X (io_setup    , EAGAIN, ENOMEM, ENOSYS, EPERM, EINVAL)                              \
  X (io_destroy  , EINVAL, ENOSYS, EPERM)                                              \
  X (io_submit   , EAGAIN, EINVAL, EINTR, ENOMEM, EFAULT, ENOSYS, EPERM, FAULT_SHORT)  \
  X (io_cancel   , EINVAL, EAGAIN, ENOSYS, EPERM, FAULT_ZERO)                          \
  X (epoll_pwait2, ENOSYS, EPERM, EINTR, EINVAL)                                       \
  X (epoll_wait  , EINTR)                                                              \
  X (bell_add    , ENOMEM, ENOSPC)                                                     \
  X (epoll_del   , ENOENT, EBADF)                                                      \
  X (eventfd     , EMFILE, ENFILE, ENOMEM, ENODEV)                                     \
  X (getsockopt  , ENOBUFS, EPERM)                                                     \
  X (fstat       , EBADF, ENOMEM, EPERM)                                               \
  X (poll        , EINTR, ENOMEM)                                                      \
  X (mmap        , ENOMEM)                                                             \
  X (munmap      , EINVAL)                                                             \
  X (madvise     , EINVAL, ENOMEM)                                                     \
  X (close       , EINTR)                                                              \
  X (uname       , EFAULT)

enum fault_call
{
#define X(name, ...) FAULT_ ## name,
  FAULT_CALLS (X)
#undef X
  FAULT_COUNT
};

/* no errors but answers of their own: half of the requests are taken; 0 where EINPROGRESS is usual */
#define FAULT_SHORT 1001
#define FAULT_ZERO  1002

extern const char *const fault_name [FAULT_COUNT];
extern const short fault_error [FAULT_COUNT][10]; /* of each call, up to a 0 */
const char *fault_error_name (int error);

void fault_reset (void);                       /* nothing fails, all counters are 0 */
void fault_arrange (int call, int error, unsigned long nth, int and_all_later);
void fault_mend (int call);                    /* it fails no more */

/* since fault_reset */
extern unsigned long fault_calls [FAULT_COUNT];
extern unsigned long fault_failures;           /* arranged ones that have happened */
extern int fault_used;                         /* was anything arranged */
extern long fault_timeout;                     /* of the last epoll_pwait2 or epoll_wait, in nanoseconds */
extern int fault_waited;                       /* milliseconds that the last poll was allowed to wait */
extern unsigned long fault_told;               /* calls of epoll_ctl, also before */

/* the beginning of what io_setup maps */
struct fault_map
{
  unsigned id, nr, head, tail, magic, compat_features, incompat_features, header_length;
};

/* what is wrong with the rings that io_setup makes */
enum fault_ring
{
  FAULT_RING_GOOD,
  FAULT_RING_MAGIC,     /* a header that is not as we know it */
  FAULT_RING_FEATURES,
  FAULT_RING_HEADER,
  FAULT_RING_READ_ONLY, /* gVisor's: no magic, and it cannot be written */
  FAULT_RINGS,
  FAULT_RING_EMPTY = FAULT_RINGS /* not for random programs: those in their corpus would change */
};

extern int fault_ring;

/* if set: a kernel that is asked for contexts instead of the real one; what it makes of fences, */
extern long (*fault_kernel) (long number, const long *a);
extern void (*fault_fenced) (int release);
extern void (*fault_looked) (struct timespec *ts); /* and of looks at the clock */

extern int fault_epfd; /* the epoll set in which the last bell was put */

/* if set: what uname and /proc/version_signature say (signature 0: there is no such file) */
extern const char *fault_release, *fault_version, *fault_signature;

/* the policy of the backend, as variables: it is compiled with -DEV_LINUXAIO_WORTH=knob_worth and so on */
extern int knob_first, knob_next, knob_worth;

#define ECB_MEMORY_FENCE         fault_fence (0), fault_fence (1)
#define ECB_MEMORY_FENCE_ACQUIRE fault_fence (0)
#define ECB_MEMORY_FENCE_RELEASE fault_fence (1)

void fault_fence (int release);
