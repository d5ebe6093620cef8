/*
 * what the tests know of the seam between the backend and the kernel: limits
 * for the ring, and calls that shall fail
 */
#ifndef SEAM_H_
#define SEAM_H_

#ifdef __cplusplus
extern "C" {
#endif

/* every function of the seam, and the errors that the kernel or a sandbox may answer with */
#define SEAM_CALLS(X)                                                                       \
  X (io_setup    , EAGAIN, ENOMEM, ENOSYS, EPERM, EINVAL)                                   \
  X (io_destroy  , EINVAL, ENOSYS, EPERM)                                                   \
  X (io_submit   , EAGAIN, EINVAL, EBADF, EINTR, ENOMEM, EFAULT, ENOSYS, EPERM, SEAM_SHORT) \
  X (io_cancel   , EINVAL, EAGAIN, ENOSYS, EPERM, SEAM_ZERO)                                \
  X (io_getevents, EINTR, EINVAL, ENOSYS, EPERM)                                            \
  X (epoll_pwait2, ENOSYS, EPERM, EINTR)                                                    \
  X (epoll_wait  , EINTR)                                                                   \
  X (epoll_del   , ENOENT, EBADF)                                                           \
  X (getpeername , ENOTCONN, ENOTSOCK, EBADF, ENOBUFS, EPERM)                               \
  X (getsockopt  , ENOBUFS, EPERM)                                                          \
  X (fstat       , EBADF, ENOMEM, EPERM)                                                    \
  X (readlink    , ENOENT, EACCES, ENOMEM)                                                  \
  X (read_file   , ENOENT, EACCES)                                                          \
  X (poll        , EINTR, ENOMEM)                                                           \
  X (map         , ENOMEM)                                                                  \
  X (unmap       , EINVAL)                                                                  \
  X (madvise     , EINVAL, ENOMEM)                                                          \
  X (close       , EINTR)                                                                   \
  X (uname       , EFAULT)

enum seam_call
{
#define X(name, ...) SEAM_ ## name,
  SEAM_CALLS (X)
#undef X
  SEAM_COUNT
};

/* no errors but answers of their own: half of the requests are taken; 0 where EINPROGRESS is usual */
#define SEAM_SHORT 1001
#define SEAM_ZERO  1002

/* the policy of the backend, as variables: given to ev_linuxaio.c with -D */
extern int seam_ring_fds, seam_ring_min, seam_ring_max, seam_changes, seam_events, seam_survey, seam_vain;
extern double seam_lively_seconds;

/* picks limits that make a ring early and small, or leave it as it is; when to weigh the loop */
void seam_limits (unsigned char ring, unsigned char weigh);

/*
 * Waits until nobody uses up the AIO quota on purpose, and keeps it like that
 * while this process lives: the tests that do hold the same lock alone.
 */
void seam_share_quota (void);

const char *seam_name (int call);
int seam_error (int call, int i);              /* the i-th error of a call, 0: there are no more */
const char *seam_error_name (int error);

void seam_reset (void);                        /* nothing fails, all counters are 0 */
void seam_arrange (int call, int error, unsigned long nth, int and_all_later);
unsigned long seam_calls (int call);           /* made since seam_reset */
unsigned long seam_failures (void);            /* arranged ones that have happened */

/* arranges one failure as a random program asks for it. returns a description, 0: cannot */
const char *seam_fail (unsigned char what, unsigned char how, int nth);
int seam_used (void);                          /* was anything arranged since seam_reset */

/* what is wrong with the rings that io_setup makes */
enum seam_ring
{
  SEAM_RING_GOOD,
  SEAM_RING_MAGIC,     /* a header that is not as we know it */
  SEAM_RING_FEATURES,
  SEAM_RING_HEADER,
  SEAM_RING_READ_ONLY, /* gVisor's: no magic, and it cannot be written */
  SEAM_RINGS
};

extern int seam_ring;

/* if set, is given the contexts that are to be destroyed, which takes long */
extern int (*seam_destroyer) (unsigned long context);

/* for evsys.h: counts a call, returns the error it shall have, 0: none */
int seam_hit (int call);

#ifdef __cplusplus
}
#endif

#endif
