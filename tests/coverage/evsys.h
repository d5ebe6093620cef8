/*
 * The seam of tests/faults, and with it a kernel whose rings have another size:
 * a test that defines ring_made sees every ring before the backend does. Also,
 * io_submit may be arranged to take nothing (SEAM_ZERO).
 */
#define evsys_io_setup  faults_io_setup
#define evsys_io_submit faults_io_submit
#include "tests/faults/evsys.h"
#undef evsys_io_setup
#undef evsys_io_submit

void ring_made (void *ring) __attribute__ ((weak));

static int
evsys_io_setup (unsigned requests, aio_context_t *ctx)
{
  int res = faults_io_setup (requests, ctx);

  if (!res && ring_made)
    ring_made ((void *)(uintptr_t)*ctx);

  return res;
}

static int
evsys_io_submit (aio_context_t ctx, long count, struct iocb **iocbs)
{
  int res = faults_io_submit (ctx, count, iocbs);

  return res == -SEAM_ZERO ? 0 : res;
}
