#define _GNU_SOURCE
#include <limits.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "seam.h"

/* as ev_linuxaio.c has them, until seam_limits () */
int seam_ring_fds = 32, seam_ring_min = 62, seam_ring_max = 1022, seam_changes = 800, seam_events = 4000, seam_survey = 32, seam_vain = 8;
double seam_lively_seconds = 1.;
int seam_ring;
int (*seam_destroyer) (unsigned long context);

static const char *const names [SEAM_COUNT] = {
#define X(name, ...) #name,
  SEAM_CALLS (X)
#undef X
};

static const short errors [SEAM_COUNT][10] = {
#define X(name, ...) { __VA_ARGS__ },
  SEAM_CALLS (X)
#undef X
};

static unsigned long calls [SEAM_COUNT];
static unsigned long failures;
static int arranged;

static struct
{
  int error;
  unsigned long nth;
  int and_all_later;
} plan [SEAM_COUNT];

void
seam_limits (unsigned char ring, unsigned char weigh)
{
  static const short mins    [8] = { 1, 2, 4, 8, 16, 30, 62, 62 };
  static const short maxs    [8] = { 2, 6, 16, 40, 62, 254, 1022, 1022 };
  static const int   fds     [4] = { 0, 1, 6, INT_MAX };
  static const short changes [4] = { 1, 8, 200, 1000 };
  static const int   events  [4] = { 20, 500, 4000, 4000 };
  static const short surveys [4] = { 1, 2, 8, 32 };
  static const short vains   [4] = { 1, 8, 2, 1 };

  seam_ring_min = mins [ring & 7];
  seam_ring_max = maxs [ring >> 3 & 7];
  seam_ring_fds = fds [ring >> 6];
  seam_changes  = changes [weigh & 3];
  seam_events   = weigh & 32 ? 1000000 : events [weigh >> 2 & 3]; /* half of the programs are never weighed */
  seam_lively_seconds = weigh & 16 ? 1e9 : 1.;
  seam_survey   = surveys [weigh >> 6];
  seam_vain     = vains [weigh >> 6];

  if (seam_ring_max < seam_ring_min)
    seam_ring_max = seam_ring_min;
}

void
seam_share_quota (void)
{
  int fd = open ("/proc/sys/fs/aio-max-nr", O_RDONLY | O_CLOEXEC);

  while (fd >= 0 && flock (fd, LOCK_SH) && errno == EINTR)
    ;
}

const char *
seam_name (int call)
{
  return names [call];
}

int
seam_error (int call, int i)
{
  return errors [call][i];
}

const char *
seam_error_name (int error)
{
  return error == SEAM_SHORT ? "short count" : error == SEAM_ZERO ? "0" : strerrorname_np (error);
}

void
seam_reset (void)
{
  memset (calls, 0, sizeof (calls));
  memset (plan, 0, sizeof (plan));
  failures = 0;
  arranged = 0;
}

void
seam_arrange (int call, int error, unsigned long nth, int and_all_later)
{
  plan [call].error         = error;
  plan [call].nth           = calls [call] + nth;
  plan [call].and_all_later = and_all_later;
  arranged = 1;
}

unsigned long
seam_calls (int call)
{
  return calls [call];
}

unsigned long
seam_failures (void)
{
  return failures;
}

int
seam_used (void)
{
  return arranged;
}

const char *
seam_fail (unsigned char what, unsigned char how, int nth)
{
  static char text [80];
  int call = what % SEAM_COUNT;
  int count = 0;
  int error, lasting;

  if (!SEAM_CONNECTED)
    return 0;

  while (errors [call][count])
    ++count;

  error   = errors [call][how % count];
  lasting = how >= 240 && error != EINTR; /* interrupted for ever: nothing could ever be delivered */
  seam_arrange (call, error, nth, lasting);
  snprintf (text, sizeof (text), "%s says %s%s", names [call], seam_error_name (error),
            lasting ? ", and so do all later ones" : "");
  return text;
}

int
seam_hit (int call)
{
  ++calls [call];

  if (!plan [call].error
      || calls [call] < plan [call].nth
      || (calls [call] > plan [call].nth && !plan [call].and_all_later))
    return 0;

  ++failures;
  return plan [call].error;
}
