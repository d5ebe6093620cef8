/*
 * A kernel that does what a test tells it to, in place of the real one: the
 * ring is memory of the test, requests are taken, cancelled and completed as it
 * says. What has been written to the ring is seen by the backend only after an
 * acquire fence, and what the backend has read may be overwritten as soon as
 * head says so: memory as weak as C allows it to be. Everything that is not
 * about the ring is real.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#define evsys_io_setup     real_io_setup
#define evsys_io_destroy   real_io_destroy
#define evsys_io_submit    real_io_submit
#define evsys_io_cancel    real_io_cancel
#define evsys_io_getevents real_io_getevents
#define evsys_madvise      real_madvise
#include "tests/faults/evsys.h"
#undef evsys_io_setup
#undef evsys_io_destroy
#undef evsys_io_submit
#undef evsys_io_cancel
#undef evsys_io_getevents
#undef evsys_madvise

#define PRETENDED_ENTRIES 11  /* of every ring */
#define PRETENDED_RINGS   4
#define PRETENDED_MAX     64

struct pretended_ring
{
  struct linuxaio_ring header;
  struct io_event entry [PRETENDED_ENTRIES];
};

static struct
{
  struct pretended_ring *ring;        /* the youngest, on which everything happens */
  struct io_event hidden [PRETENDED_ENTRIES]; /* written there, but not seen yet */
  char is_hidden [PRETENDED_ENTRIES];
  int made, destroyed, rings_left;
  struct iocb *held [PRETENDED_MAX];  /* requests in flight, oldest first */
  int heldcnt;
  struct iocb *last_cancelled;
  int submits, cancels, waits;        /* calls */
  int first_fd;                       /* of the first request of the last submission */
  int room;                           /* for that many requests, if not 0 */
  int cancels_answered;               /* at once, as by a worker that is very quick */
  int looks;                          /* at the clock before the last cancel is answered, if not 0 */
  uint32_t head_seen;
  int released;                       /* a release fence since head was seen to move */
  void (*asleep) (double seconds);    /* what happens meanwhile */
} kernel;

/* the kernel looks at head: it must have been moved on after a release fence */
static void
pretended_look_at_head (void)
{
  if (kernel.ring->header.head != kernel.head_seen)
    ck_assert_msg (kernel.released, "entries were given back without a release fence");

  kernel.head_seen = kernel.ring->header.head;
  kernel.released  = 0;
}

static void
pretended_acquire (void)
{
  int i;

  if (kernel.ring)
    for (i = 0; i < PRETENDED_ENTRIES; ++i)
      if (kernel.is_hidden [i])
        {
          kernel.ring->entry [i]     = kernel.hidden [i];
          kernel.is_hidden [i] = 0;
        }
}

static void
pretended_release (void)
{
  if (kernel.ring && kernel.ring->header.head == kernel.head_seen)
    kernel.released = 1;
}

/* puts an event into the ring. all of its entries are overwritten with rubbish that are not in use */
static void
pretended_event (uint64_t data, long res)
{
  struct pretended_ring *ring = kernel.ring;
  uint32_t tail = ring->header.tail;
  uint32_t next = (tail + 1) % PRETENDED_ENTRIES;

  pretended_look_at_head ();
  ck_assert_msg (next != ring->header.head, "more requests were made than there are entries");
  memset (ring->entry + tail, 0x55, sizeof (*ring->entry));
  kernel.hidden [tail].data = data;
  kernel.hidden [tail].obj  = 0;
  kernel.hidden [tail].res  = res;
  kernel.hidden [tail].res2 = 0;
  kernel.is_hidden [tail]   = 1;
  *(volatile uint32_t *)&ring->header.tail = next;
}

static int
pretended_find (int fd, int events)
{
  int i;

  for (i = 0; i < kernel.heldcnt; ++i)
    if ((int)kernel.held [i]->aio_fildes == fd && (int)kernel.held [i]->aio_buf == events)
      return i;

  return -1;
}

static struct iocb *
pretended_take (int i)
{
  struct iocb *iocb = kernel.held [i];

  --kernel.heldcnt;
  memmove (kernel.held + i, kernel.held + i + 1, sizeof (*kernel.held) * (kernel.heldcnt - i));

  return iocb;
}

/* completes the request for that direction of a descriptor */
static void
pretended_complete (int fd, int events, long res)
{
  int i = pretended_find (fd, events);

  ck_assert_msg (i >= 0, "there is no request for %d", fd);
  pretended_event (pretended_take (i)->aio_data, res);
}

/* at the end of a page, after which there is none */
static struct pretended_ring *
pretended_map (void)
{
  size_t page = sysconf (_SC_PAGESIZE);
  char *memory = (char *)mmap (0, page * 2, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

  ck_assert (memory != (char *)MAP_FAILED);
  ck_assert_int_eq (mprotect (memory, page, PROT_READ | PROT_WRITE), 0);

  return (struct pretended_ring *)(memory + page) - 1;
}

static int
evsys_io_setup (unsigned requests, aio_context_t *ctx)
{
  struct pretended_ring *ring;

  if (!requests)
    return -EINVAL;

  if (!kernel.rings_left)
    return -EAGAIN;

  ring = pretended_map ();
  ring->header.nr            = PRETENDED_ENTRIES;
  ring->header.magic         = LINUXAIO_RING_MAGIC;
  ring->header.header_length = sizeof (ring->header);

  ++kernel.made;
  --kernel.rings_left;
  kernel.heldcnt   = 0;
  memset (kernel.is_hidden, 0, sizeof (kernel.is_hidden));
  kernel.ring      = ring;
  kernel.head_seen = 0;
  *ctx = (aio_context_t)(uintptr_t)ring;

  return 0;
}

static int
evsys_io_destroy (aio_context_t ctx)
{
  (void)ctx;
  ++kernel.destroyed;
  return 0;
}

static int
evsys_io_submit (aio_context_t ctx, long count, struct iocb **iocbs)
{
  int i;

  ck_assert_uint_eq (ctx, (aio_context_t)(uintptr_t)kernel.ring);
  pretended_look_at_head ();
  ++kernel.submits;
  kernel.first_fd = iocbs [0]->aio_fildes;

  for (i = 0; i < count; ++i)
    {
      int k;

      if (kernel.room && kernel.heldcnt >= kernel.room)
        return i ? i : -EAGAIN;

      for (k = 0; k < kernel.heldcnt; ++k)
        ck_assert_msg (kernel.held [k] != iocbs [i], "a request was made that is in flight already");

      ck_assert_int_eq (iocbs [i]->aio_lio_opcode, LINUXAIO_CMD_POLL);
      kernel.held [kernel.heldcnt++] = iocbs [i];
    }

  return count;
}

static int
pretended_gettime (clockid_t id, struct timespec *ts)
{
  if (kernel.looks && kernel.last_cancelled && !--kernel.looks)
    pretended_event (kernel.last_cancelled->aio_data, 0);

  return (clock_gettime) (id, ts);
}

static int
evsys_io_cancel (aio_context_t ctx, struct iocb *iocb)
{
  int i;

  (void)ctx;
  ++kernel.cancels;

  for (i = 0; i < kernel.heldcnt; ++i)
    if (kernel.held [i] == iocb)
      {
        kernel.last_cancelled = pretended_take (i);

        if (kernel.cancels_answered)
          pretended_event (iocb->aio_data, 0);

        return -EINPROGRESS;
      }

  return -EINVAL;
}

static int
evsys_io_getevents (aio_context_t ctx, long min, long count, struct io_event *events, ev_tstamp seconds)
{
  struct pretended_ring *ring = kernel.ring;
  int res;

  (void)ctx;
  ++kernel.waits;
  ck_assert_msg (seconds >= 0., "a negative time-out lasts for ever");
  ck_assert_msg (!min || kernel.asleep, "nothing would end this sleep");

  if (min)
    kernel.asleep (seconds);

  pretended_look_at_head ();

  for (res = 0; res < count && ring->header.head != ring->header.tail; ++res)
    {
      int head = ring->header.head;

      events [res] = kernel.is_hidden [head] ? kernel.hidden [head] : ring->entry [head];
      kernel.is_hidden [head] = 0;
      ring->header.head = kernel.head_seen = (head + 1) % PRETENDED_ENTRIES;
    }

  return res;
}

/* the ring is not memory of its own */
static int
evsys_madvise (void *p, size_t size, int advice)
{
  return advice == MADV_DONTFORK ? 0 : real_madvise (p, size, advice);
}
