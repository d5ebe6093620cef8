/*
 * The backend on a kernel that does as it is told: every order in which a ring
 * can be filled and read, and what depends on the course of things that no
 * test on a real kernel can wait for.
 *
 * Its rings are memory of the test. What has been written to one is seen by the
 * backend only after an acquire fence, and what the backend has read may be
 * overwritten as soon as head says so: memory as weak as C allows it to be.
 * Everything that is not about rings is real.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include <linux/aio_abi.h>

#include "rings.h"

#define ENTRIES 11 /* of every ring */
#define FULL    10 /* requests */
#define CONTEXTS 8
#define HELD    64

struct ring
{
  struct fault_map map;
  struct io_event entry [ENTRIES];
};

struct context
{
  struct ring *ring;
  struct io_event hidden [ENTRIES]; /* written there, but not seen from here on */
  uint32_t shown, head_seen;
  int released;                     /* a release fence since head was seen to move */
};

struct held
{
  struct iocb *iocb;
  struct context *context;
  int cancelled;                    /* its event is to say nothing, and has not come yet */
};

static struct
{
  struct context contexts [CONTEXTS];
  struct held held [HELD];          /* requests in flight, oldest first */
  int heldcnt, made, destroyed;
  int submits, cancels;             /* calls */
  int room, full_says;              /* the first ring takes that many requests, if not 0, and answers then: -1 (EAGAIN), or 0 */
  int looks;                        /* at the clock, after which something happens, if not 0 */
  void (*then) (void);
  int looked;                       /* so often */
  int clock, step;                  /* nanoseconds, if not 0, and how far each look moves it on */
} kernel;

/*****************************************************************************/
/* memory: the kernel looks at head, which must have been moved on after a release fence */

static void
look_at_head (struct context *c)
{
  if (c->ring->map.head != c->head_seen && !c->released)
    give_up (__FILE__, __LINE__, "entries were given back without a release fence");

  c->head_seen = c->ring->map.head;
  c->released  = 0;
}

static void
fenced (int release)
{
  struct context *c;

  for (c = kernel.contexts; c < kernel.contexts + kernel.made; ++c)
    {
      /* entries are read after an acquire fence: a release fence before that says nothing of them */
      if (c->ring->map.head == c->head_seen)
        c->released = release;

      for (; !release && c->shown != c->ring->map.tail; c->shown = (c->shown + 1) % ENTRIES)
        c->ring->entry [c->shown] = c->hidden [c->shown];
    }
}

/*****************************************************************************/
/* what happens to requests */

static int
find (int fd, int events)
{
  for (int i = 0; i < kernel.heldcnt; ++i)
    if ((int)kernel.held [i].iocb->aio_fildes == fd && (int)kernel.held [i].iocb->aio_buf == events
        && !kernel.held [i].cancelled)
      return i;

  return -1;
}

/* the i-th request comes to its end: an event, in an entry that held rubbish, and the bell */
static void
end (int i, long res)
{
  struct held h = kernel.held [i];
  struct context *c = h.context;
  uint32_t tail = c->ring->map.tail, next = (tail + 1) % ENTRIES;
  const uint64_t one = 1;

  memmove (kernel.held + i, kernel.held + i + 1, sizeof (h) * (--kernel.heldcnt - i));
  look_at_head (c);
  must (next != c->ring->map.head); /* more requests were made than there are entries */
  memset (c->ring->entry + tail, 0x55, sizeof (*c->ring->entry));
  c->hidden [tail] = (struct io_event){ h.iocb->aio_data, (uintptr_t)h.iocb, res, 0 };
  *(volatile uint32_t *)&c->ring->map.tail = next;
  must (h.iocb->aio_flags & IOCB_FLAG_RESFD);
  must_be (write (h.iocb->aio_resfd, &one, 8), ==, 8);
}

static void
complete (probe *p, int events, long res)
{
  int i = find (p->io.fd, events);

  must_be (i, >=, 0);
  end (i, res);
}

static void
end_all (void)
{
  while (kernel.heldcnt)
    end (0, POLLIN | POLLOUT);
}

/* the workers have done with all that was cancelled */
static void
answer_cancels (void)
{
  int i = 0;

  while (i < kernel.heldcnt)
    if (kernel.held [i].cancelled)
      end (i, 0);
    else
      ++i;
}

static void
looked (struct timespec *ts)
{
  ++kernel.looked;

  if (kernel.looks && !--kernel.looks)
    kernel.then ();

  if (kernel.clock)
    {
      ts->tv_sec  = 1000;
      ts->tv_nsec = kernel.clock += kernel.step;
    }
}

/*****************************************************************************/
/* its calls */

/* a ring at the end of a page, after which there is none */
static long
setup (aio_context_t *ctx)
{
  size_t page = sysconf (_SC_PAGESIZE);
  char *memory = (char *)mmap (0, page * 2, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct context *c = kernel.contexts + kernel.made;

  if (kernel.made == CONTEXTS)
    return EAGAIN;

  must (!mprotect (memory, page, PROT_READ | PROT_WRITE));
  c->ring = (struct ring *)(memory + page) - 1;
  c->ring->map.nr            = ENTRIES;
  c->ring->map.magic         = 0xa10a10a1;
  c->ring->map.header_length = 32;
  *ctx = (uintptr_t)c->ring;
  ++kernel.made;
  return 0;
}

static long
submit (struct context *c, long count, struct iocb **iocbs)
{
  long i;

  look_at_head (c);
  ++kernel.submits;

  for (i = 0; i < count && !(kernel.room && c == kernel.contexts && kernel.heldcnt >= kernel.room); ++i)
    {
      for (int k = 0; k < kernel.heldcnt; ++k)
        must (kernel.held [k].iocb != iocbs [i]); /* or it is made while it is in flight */

      must_be (kernel.heldcnt, <, HELD);
      kernel.held [kernel.heldcnt++] = (struct held){ iocbs [i], c, 0 };
    }

  errno = EAGAIN;
  return i ? i : kernel.full_says;
}

static long
cancel (struct iocb *iocb)
{
  ++kernel.cancels;

  for (int i = 0; i < kernel.heldcnt; ++i)
    if (kernel.held [i].iocb == iocb && !kernel.held [i].cancelled)
      {
        kernel.held [i].cancelled = 1;
        return EINPROGRESS;
      }

  return EINVAL;
}

static long
pretend (long number, const long *a)
{
  struct context *c = kernel.contexts;

  if (number == SYS_io_setup)
    return (errno = setup ((aio_context_t *)a [1])) ? -1 : 0;

  while ((uintptr_t)c->ring != (uintptr_t)a [0])
    must (++c < kernel.contexts + kernel.made);

  if (number == SYS_io_submit)
    return submit (c, a [1], (struct iocb **)a [2]);

  if (number == SYS_io_cancel)
    {
      errno = cancel ((struct iocb *)a [1]);
      return -1;
    }

  ++kernel.destroyed;
  return 0;
}

/*****************************************************************************/
/* the loop on it */

#define PAIRS 6

static probe *p [PAIRS];

static void
run (void)
{
  for (int i = 0; i < PAIRS; ++i)
    p [i]->count = p [i]->revents = 0;

  ev_run (EV_A_ EVRUN_NOWAIT);
}

static int
called (void)
{
  int count = 0;

  for (int i = 0; i < PAIRS; ++i)
    count += p [i]->count;

  return count;
}

static void
ready (probe *p)
{
  complete (p, POLLIN, POLLIN);
}

static void
all (void (*what) (probe *p))
{
  for (int i = 0; i < PAIRS; ++i)
    what (p [i]);
}

static int
held (probe *p, int events)
{
  return find (p->io.fd, events) >= 0;
}

/* runs a test on a loop that has the first of the sockets in a ring, for events */
static void
pretended (int count, int events, void (*body) (void))
{
  knob_first = knob_next = (ENTRIES + 1) / 2; /* they have room for twice as many, less one */
  fault_kernel = pretend;
  fault_fenced = fenced;
  fault_looked = looked;

  for (int i = 0; i < PAIRS; ++i)
    {
      p [i] = watch_socket (events);

      if (i >= count)
        stop (p [i]);
    }

  close (0); /* the bell may have that number */
  enter_rings ();
  must_be (kernel.heldcnt, ==, count * (events == (EV_READ | EV_WRITE) ? 2 : 1));
  must_be (called (), ==, 0);
  body ();

  /* every context is destroyed by the loop, also with requests in flight and unanswered cancels */
  ev_loop_destroy (EV_A);
  loop = 0;
  must_be (kernel.destroyed, ==, kernel.made);
}

#define PRETENDED(name, count, events)                             \
  static void name##_on_it (void);                                 \
  TEST (name, COLD) { pretended (count, events, name##_on_it); }   \
  static void name##_on_it (void)

/* wherever it lives: it is told of a byte, which is there until it is read */
static void
served (probe *p)
{
  put (p->peer);

  if (held (p, POLLIN))
    ready (p);

  p->count = 0;
  ev_run (EV_A_ EVRUN_NOWAIT);
  must_be (p->count, ==, 1);
  must_be (get (p->io.fd), ==, 1);
  ev_run (EV_A_ EVRUN_NOWAIT);
}

/*****************************************************************************/
/* rings */

PRETENDED (events_are_read_in_every_position_of_the_ring, PAIRS, EV_READ)
{
  for (int round = 0; round < 3 * ENTRIES; ++round)
    {
      /* one at a time in some rounds, several in others */
      for (int i = 0; i <= round % PAIRS; ++i)
        ready (p [i]);

      run ();

      for (int i = 0; i < PAIRS; ++i)
        must_be (p [i]->count, ==, i <= round % PAIRS);

      run ();
      must_be (called (), ==, 0);
      must_be (kernel.heldcnt, ==, PAIRS);
    }
}

PRETENDED (requests_are_made_all_at_once, PAIRS, EV_READ)
{
  must_be (kernel.submits, ==, 1);
  all (ready);
  run ();
  run ();
  run ();
  must_be (kernel.submits, ==, 2);
}

/* as it does where entries are left on other CPUs: what is in it stays, and the others go elsewhere */
static void
expect_another_ring (int answer)
{
  kernel.room      = 3;
  kernel.full_says = answer;
  all (start);
  enter_rings ();
  must_be (kernel.made, ==, 2);
  must_be (kernel.heldcnt, ==, PAIRS);
  all (served);
}

PRETENDED (ring_that_takes_no_more_is_followed_by_another, 0, EV_READ) { expect_another_ring (-1); }
PRETENDED (ring_that_takes_none_is_followed_by_another   , 0, EV_READ) { expect_another_ring ( 0); }

/* an entry stays empty: the kernel has no room for what completes beyond that */
PRETENDED (ring_is_asked_for_no_more_than_fits_into_it, FULL / 2, EV_READ | EV_WRITE)
{
  must_be (kernel.made, ==, 1);
  change (p [FULL / 2], EV_READ);
  enter_rings ();
  must_be (kernel.made, ==, 2);

  end_all ();
  run ();
  must_be (called (), ==, PAIRS);
}

PRETENDED (fd_with_both_directions_takes_two_places, 1, EV_READ)
{
  for (int i = 1; i < PAIRS; ++i)
    change (p [i], EV_READ | EV_WRITE);

  enter_rings ();
  must_be (kernel.heldcnt, ==, 1 + 2 * (PAIRS - 1));
  must_be (kernel.made, ==, 2);

  end_all (); /* each finds an entry */
  run ();
  must_be (called (), ==, PAIRS);
}

PRETENDED (refused_request_takes_that_of_the_other_direction_along, FULL / 2, EV_READ | EV_WRITE)
{
  int i;

  for (int round = 0; round < 20; ++round)
    {
      end_all ();
      run ();
      fault_arrange (FAULT_io_submit, EPERM, 1, 0);
      run ();
      must_be (kernel.heldcnt, ==, FULL - 2);

      for (i = 0; held (p [i], POLLIN) && held (p [i], POLLOUT); ++i)
        ;

      must (!held (p [i], POLLIN) && !held (p [i], POLLOUT));

      /* until it is another file. the ring has as much room as ever */
      restart (p [i], p [i]->io.fd, EV_READ | EV_WRITE);
      run ();
      enter_rings ();
      must (held (p [i], POLLIN) && held (p [i], POLLOUT));
      must_be (kernel.made, ==, 1);
    }

  /* and is known to be empty: where an empty ring is refused memory, another would be, too */
  for (i = 0; i < 3; ++i)
    {
      end_all ();
      run ();
      fault_arrange (FAULT_io_submit, EAGAIN, 1, 1);
      enter_rings ();
      must_be (kernel.made, ==, 1);
      fault_mend (FAULT_io_submit);
      enter_rings ();
      must (held (p [0], POLLIN) && held (p [1], POLLIN) && kernel.made == 1);
    }
}

/*****************************************************************************/
/* what an event says */

PRETENDED (event_is_told_as_far_as_it_was_asked_for, 1, EV_READ | EV_WRITE)
{
  static const struct { int asked, res, told; } events [] = {
    { POLLIN , 0xc3 | POLLOUT          , EV_READ  },
    { POLLOUT, 0xc3 | POLLIN | POLLOUT , EV_WRITE },

    /* errors and hang-ups are told in both directions */
    { POLLOUT, POLLERR                 , EV_READ | EV_WRITE }, { POLLIN, POLLHUP          , EV_READ | EV_WRITE },
    { POLLOUT, POLLIN | POLLERR        , EV_READ | EV_WRITE }, { POLLIN, POLLOUT | POLLHUP, EV_READ | EV_WRITE },

    /* a file that was woken while it was submitted, or by something else than what was asked for, is asked about again */
    { POLLIN , 0, 0 }, { POLLIN, POLLOUT, 0 }, { POLLIN, POLLPRI, 0 }, { POLLIN, POLLIN, EV_READ }
  };

  for (int i = 0; i < 10; ++i)
    {
      complete (p [0], events [i].asked, events [i].res);
      run ();
      must_be (p [0]->count, ==, !!events [i].told);
      must_be (p [0]->revents, ==, events [i].told);
      run ();
      must_be (called (), ==, 0);
      must (held (p [0], events [i].asked));
    }
}

/* data that comes and goes while only writing is watched is nobody's business later */
PRETENDED (event_of_a_time_when_nobody_asked_is_not_told, 1, EV_READ)
{
  probe *w;

  fill (p [0]->io.fd);
  w = watch (p [0]->io.fd, EV_WRITE);
  run ();
  answer_cancels ();
  enter_rings ();
  stop (p [0]);
  ready (p [0]);
  run ();
  start (p [0]);
  run ();
  must_be (called () + w->count, ==, 0);
  must (held (p [0], POLLIN) && held (p [0], POLLOUT));
}

/*****************************************************************************/
/* requests that are given up */

/* the event comes when the fd is watched again, or as another file */
PRETENDED (event_of_a_cancelled_request_means_nothing_however_late_it_is, PAIRS, EV_READ)
{
  for (int round = 0; round < 20; ++round)
    {
      all (stop);
      run ();

      if (round & 1)
        {
          close (p [0]->peer);
          become (p [0], WORLD_STREAM);
        }

      for (int i = 0; i < PAIRS; ++i)
        if (round % 4)
          restart (p [i], p [i]->io.fd, EV_READ);
        else
          start (p [i]);

      run ();
      answer_cancels ();
      run ();
      must_be (called (), ==, 0);
      run ();
      all (served);
    }
}

/* the worker gets no CPU. meanwhile a watcher that is started again is served by epoll, also one that has earned a place in a ring */
PRETENDED (watcher_is_served_while_its_cancel_is_not_answered, 1, EV_READ)
{
  for (int earned = 0; earned < 100; earned += 99)
    {
      for (int i = 0; i < earned; ++i)
        served (p [0]);

      stop (p [0]);
      start (p [0]);
      run ();

      for (int i = 0; i < 3; ++i)
        served (p [0]);

      answer_cancels ();
      enter_rings ();
    }

  must_be (kernel.cancels, ==, 2);
}

/* stopped, changed and started in one go: the direction is armed as soon as the event of its cancelled request has come */
PRETENDED (direction_is_armed_again_after_its_cancelled_request, 1, EV_WRITE)
{
  for (int i = 0; i < 4; ++i)
    {
      /* it earns a place in a ring, in which its cancels are forgiven */
      for (int k = 0; k < 200; ++k)
        {
          complete (p [0], POLLOUT, POLLOUT);
          run ();
          must_be (p [0]->revents, ==, EV_WRITE);
          run ();
        }

      change (p [0], i & 1 ? EV_WRITE : EV_READ | EV_WRITE);
      run ();
      answer_cancels ();
      enter_rings ();
      must (held (p [0], POLLOUT));
      must_be (held (p [0], POLLIN), ==, !(i & 1));
    }

  must_be (kernel.cancels, >=, 4);
}

/* what is closed next has to be closed for the other side, too */
PRETENDED (stop_ends_when_the_worker_has_let_go_of_the_file, PAIRS, EV_READ)
{
  kernel.looks = 5;
  kernel.then  = answer_cancels;
  stop (p [0]);
  must_be (kernel.cancels, ==, 1);
  must_be (kernel.looks, ==, 0);
  must_be (kernel.heldcnt, ==, PAIRS - 1);
  run ();
  must_be (called (), ==, 0);
}

/* but not for ever, and what one has waited the others need not; also where the clock stands still */
PRETENDED (stop_does_not_wait_for_workers_that_get_no_cpu, PAIRS, EV_READ)
{
  int first = 0;

  kernel.clock = 1000;

  for (int i = 0; i < PAIRS; ++i)
    {
      kernel.looked = 0;
      stop (p [i]);
      must_be (kernel.looked, <, i ? first : 1000000);
      first = i ? first : kernel.looked;
    }

  must_be (kernel.cancels, ==, PAIRS);
  kernel.clock = 0;
  all (start);
  run ();
  answer_cancels ();
  run ();
  run ();
  all (served);
}

PRETENDED (stops_of_one_iteration_share_their_patience, PAIRS, EV_READ)
{
  int most;

  kernel.clock  = kernel.step = 1000;
  kernel.looked = 0;
  stop (p [0]);
  most = kernel.looked; /* nobody has answered */
  run ();
  kernel.then  = answer_cancels;

  for (int i = 1; i < 4; ++i)
    {
      kernel.looks = most * 2 / 5;
      stop (p [i]);
      must_be (!kernel.looks, ==, i < 3);
    }

  kernel.looks = kernel.clock = 0;
}

/*****************************************************************************/
/* the bell, and busy polling */

static int
epoll_is_readable (void)
{
  struct pollfd e = { fault_epfd, POLLIN, 0 };

  return poll (&e, 1, 0);
}

/* an outer loop waits for the epoll fd: it has to be readable as long as there is something, and no longer */
PRETENDED (epoll_fd_is_readable_while_there_is_an_event, 3, EV_READ)
{
  int fd = eventfd (0, EFD_CLOEXEC);
  struct ev_loop *outer = ev_loop_new (EVBACKEND_SELECT);
  ev_embed embed;

  ev_embed_init (&embed, 0, loop);
  run ();

  for (int round = 0; round < 10; ++round)
    {
      if (round == 2)
        {
          stop (p [2]);
          answer_cancels (); /* with an event for nobody */
          run ();
        }
      else if (round == 3)
        ev_loop_fork (EV_A);
      else if (round == 4)
        ev_embed_start (outer, &embed);

      if (round)
        run (); /* once is enough, if nothing is there */

      /* with something on epoll, epoll is asked each time */
      if (round == 5)
        {
          watch (fd, EV_READ);
          run ();
        }

      must (!epoll_is_readable ());
      complete (p [round & 1], POLLIN, POLLIN);
      must (epoll_is_readable ());
      run ();
      must_be (called (), ==, 1);
      must (epoll_is_readable ()); /* it is to be armed again, before anybody sleeps */
      run ();
      run ();
    }

  must (!epoll_is_readable ());
  ev_embed_stop (outer, &embed);
  ev_loop_destroy (outer);
  close (fd);
}

/* it stays in the epoll set, and an outer loop should not turn again and again */
PRETENDED (event_of_a_stopped_descriptor_is_taken_by_the_next_poll, 1, EV_READ)
{
  probe *stopped = watch_kind (WORLD_DGRAM, EV_READ);

  run ();
  stop (stopped);

  for (int i = 0; i < 100; ++i)
    run ();

  put (stopped->peer);
  must (epoll_is_readable ());
  run ();
  must (!epoll_is_readable ());
}

/* the kernel signals the bell after it has stored the event, which may have been read by then */
PRETENDED (late_bell_is_taken_by_one_of_the_next_polls, 1, EV_READ)
{
  const uint64_t one = 1;

  ready (p [0]);

  for (int i = 0; i < 3; ++i)
    run ();

  must (!epoll_is_readable ());
  must_be (write (kernel.held [0].iocb->aio_resfd, &one, 8), ==, 8);
  must (epoll_is_readable ());

  for (int i = 0; i < 1000 && epoll_is_readable (); ++i)
    run ();

  must (!epoll_is_readable ());
}

static void
complete_the_first (void)
{
  ready (p [0]);
}

/* ten seconds are watched for, an event in each place of the ring; a look at the clock plays the kernel's interrupt */
PRETENDED (busy_polling_sees_the_event_without_sleeping, 1, EV_READ)
{
  run ();
  fault_reset ();
  ev_linuxaio_busy_poll (EV_A_ 10.);
  kernel.then = complete_the_first;

  for (int round = 0; round < ENTRIES; ++round)
    {
      kernel.looks = 50;
      p [0]->count = 0;
      ev_run (EV_A_ EVRUN_ONCE);
      must_be (p [0]->count, ==, 1);
      must_be (fault_timeout, ==, 0);
    }
}

/* also where the clock stands still */
PRETENDED (busy_polling_comes_to_an_end, 1, EV_READ)
{
  probe *t = terminal_reader ();

  run ();
  put (t->peer);
  must (wait_for (t->io.fd, POLLIN));
  kernel.clock = 1000;
  ev_linuxaio_busy_poll (EV_A_ 1e-4);
  ev_run (EV_A_ EVRUN_ONCE);
  must_be (t->count, ==, 1);
  kernel.clock = 0;
}

/* and sleeps, if there is none while it is watched for */
PRETENDED (busy_polling_is_followed_by_sleep, 1, EV_READ)
{
  int ticks = 0;

  ready (p [0]); /* the ring is empty again, but not as it was */
  run ();
  run ();
  ev_linuxaio_busy_poll (EV_A_ 1e-4);

  for (fault_timeout = 0; fault_timeout <= 0; ev_run (EV_A_ EVRUN_ONCE)) /* or the timer was over before it slept */
    counted (timer, &ticks, 0.01, 0.);

  must_be (fault_timeout, <=, fault_calls [FAULT_epoll_pwait2] ? 9900000 : 10000000); /* what it has watched for is no more */
  must_be (p [0]->count, ==, 0);
}
