#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <dirent.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "ev.h"
#if MACHINE_STATS
# include "ev_linuxaio.h"
#endif
#include "world.h"
#include "machine.h"
#include "seam.h"

#define EVERYTHING (EV_READ | EV_WRITE)
#define DEPTH_MAX 3
#define EAGER_RUNS 8 /* of the loop in a row, before a check leaves the CPU to the kernel's workers */

/* a watcher, and what is known of the events it is owed */
struct watcher
{
  ev_io io;            /* first: callbacks cast */
  int slot;            /* -1: never set, or its file was closed */
  int next;            /* on the list of its slot */
  int index;           /* in active [] */
  unsigned char want;  /* readiness it is owed by the check that is going on */
  unsigned char fed;   /* events the program itself has fed */
};

enum { OWED_TIMER, OWED_ASYNC, OWED_SIGNAL, OWED_OTHERS };
static const char *const owed_names [OWED_OTHERS] = { "timer", "async", "signal" };

void (*machine_failed) (const char *what);

static const struct machine_options *options;
static struct machine_tally *tally;

static struct ev_loop *loop;
static struct watcher *watchers;
static struct watcher **active;
static int watchercnt, activecnt;

static ev_timer timer_w;
static ev_async async_w;
static ev_signal signal_w;
static ev_prepare prepare_w;
static ev_check check_w;

static const unsigned char *pc, *pc_end;
static int inner, inner_where;      /* operations to be run inside the next callback, and of which kind */
static int depth;                   /* of nested runs of operations */
static int checking, owed;          /* a check is going on, this many directions are still owed */
static int owed_others [OWED_OTHERS];
static int last_priority;           /* of the events of this iteration, while checking */
static unsigned last_iteration;
static int frozen;                  /* forked child: the files belong to the parent */
static pid_t children [16];
static int childcnt;
static long blocks;                 /* allocated by libev */

static void step (void);
static void check (int block, int rounds);

/*****************************************************************************/
/* reporting */

static void
fail (const char *format, ...)
{
  char text [400];
  va_list ap;

  va_start (ap, format);
  vsnprintf (text, sizeof (text), format, ap);
  va_end (ap);

  machine_failed (text);
}

static void
trace (const char *format, ...)
{
  va_list ap;

  if (!options->trace)
    return;

  printf ("%s%*s", frozen ? "child " : "", 2 + 2 * depth, "");
  va_start (ap, format);
  vprintf (format, ap);
  va_end (ap);
  putchar ('\n');
  fflush (stdout);
}

static const char *
mask_name (int mask)
{
  static const char *const names [4] = { "nothing", "READ", "WRITE", "READ|WRITE" };

  return names [mask & EVERYTHING];
}

static int
number (const struct watcher *w)
{
  return w - watchers;
}

/*****************************************************************************/
/* the operation codes */

static unsigned char byte_of [OP_COUNT];
static unsigned char opcode_of [256];

static void
build_opcodes (void)
{
  static const unsigned char weights [OP_COUNT] = {
#define X(name, weight) weight,
    MACHINE_OPS (X)
#undef X
  };
  int op, i, byte = 0;

  for (op = 0; op < OP_COUNT; ++op)
    {
      byte_of [op] = byte;
      for (i = 0; i < weights [op] && byte < 256; ++i)
        opcode_of [byte++] = op;
    }

  /* what the weights leave is spent on the commonest check */
  while (byte < 256)
    opcode_of [byte++] = OP_CHECK;
}

enum machine_opcode
machine_opcode_of (unsigned char byte)
{
  if (!byte_of [1])
    build_opcodes ();

  return (enum machine_opcode)opcode_of [byte];
}

unsigned char
machine_byte_of (enum machine_opcode op)
{
  machine_opcode_of (0);
  return byte_of [op];
}

const char *
machine_op_name (enum machine_opcode op)
{
  static const char *const names [OP_COUNT] = {
#define X(name, weight) #name,
    MACHINE_OPS (X)
#undef X
  };

  return names [op];
}

/*****************************************************************************/
/* what poll(2) says, in terms of libev */

static int
events_of (short revents)
{
  return (revents & (POLLIN  | POLLERR | POLLHUP) ? EV_READ  : 0)
       | (revents & (POLLOUT | POLLERR | POLLHUP) ? EV_WRITE : 0);
}

static int
directions (int mask)
{
  return !!(mask & EV_READ) + !!(mask & EV_WRITE);
}

/*
 * A pty may become writable without waking up anybody who waits for it: the
 * room comes back when a kernel worker moves the bytes on, but the writer is
 * only told if it was throttled (drivers/tty/pty.c). Seen with epoll as well.
 */
static int
owed_to (const struct watcher *w, short revents)
{
  int mask = events_of (revents) & w->io.events;

  return world [w->slot].kind == WORLD_PTY ? mask & ~EV_WRITE : mask;
}

/* asks poll about all watched files at once, and notes what every watcher is owed */
static void
owe_everybody (int forget)
{
  struct pollfd p [256];
  int i, n, from;

  if (forget)
    world_forget ();

  owed = 0;

  for (from = 0; from < activecnt; from += n)
    {
      n = activecnt - from < 256 ? activecnt - from : 256;

      for (i = 0; i < n; ++i)
        {
          p [i].fd     = active [from + i]->io.fd;
          p [i].events = POLLIN | POLLOUT;
        }

      poll (p, n, 0);

      for (i = 0; i < n; ++i)
        {
          struct watcher *w = active [from + i];

          world [w->slot].seen |= p [i].revents;
          w->want = owed_to (w, p [i].revents);
          owed += directions (w->want);
        }
    }

  tally->deliveries += owed;
}

/* an event that is still owed, but that poll does not report any more, is not owed any more */
static void
forgive_the_past (void)
{
  int i;

  for (i = 0; i < activecnt; ++i)
    {
      struct watcher *w = active [i];
      int gone = w->want ? w->want & ~events_of (world_poll (w->slot)) : 0;

      w->want &= ~gone;
      owed -= directions (gone);
    }
}

/*****************************************************************************/
/* callbacks */

static void
run_inner (int where)
{
  int count;

  if (checking || !inner || inner_where != where || depth >= DEPTH_MAX)
    return;

  count = inner;
  inner = 0;
  ++depth;
  while (count-- && pc < pc_end)
    step ();
  --depth;
}

/* within one iteration, events come in the order of their priorities */
static void
judge_priority (ev_io *io)
{
  if (last_iteration != ev_iteration (loop))
    last_priority = EV_MAXPRI;

  if (ev_priority (io) > last_priority)
    fail ("watcher %d of priority %d was called after one of priority %d",
          number ((struct watcher *)io), ev_priority (io), last_priority);

  last_iteration = ev_iteration (loop);
  last_priority  = ev_priority (io);
}

/* an event must be asked for and have been true since the last check, or be fed */
static void
judge_event (struct watcher *w, int revents)
{
  int unfed = revents & ~w->fed;

  if (revents & ~EVERYTHING)
    fail ("watcher %d (fd %d) got events 0x%x", number (w), w->io.fd, revents);

  if (unfed && !ev_is_active (&w->io))
    fail ("watcher %d (fd %d) got %s though it is stopped", number (w), w->io.fd, mask_name (unfed));

  if (unfed & ~w->io.events)
    fail ("watcher %d (fd %d) got %s but asked for %s only",
          number (w), w->io.fd, mask_name (unfed), mask_name (w->io.events));

  if (unfed & ~events_of (world [w->slot].seen)
      && unfed & ~events_of (world_poll (w->slot)))
    fail ("invented: watcher %d (slot %d, %s, fd %d) got %s, poll has seen 0x%x only",
          number (w), w->slot, world_kind_name (world [w->slot].kind), w->io.fd,
          mask_name (unfed), world [w->slot].seen);
}

static void
io_cb (EV_P_ ev_io *io, int revents)
{
  struct watcher *w = (struct watcher *)io;

  judge_event (w, revents);
  w->fed = 0;

  if (checking)
    {
      judge_priority (io);
      owed -= directions (w->want & revents);
      w->want &= ~revents;
    }
  else
    trace ("(event %s for w%d)", mask_name (revents), number (w));

  run_inner (0);
}

static void prepare_cb (EV_P_ ev_prepare *w, int revents) { run_inner (1); }
static void check_cb   (EV_P_ ev_check   *w, int revents) { run_inner (2); }
static void guard_cb   (EV_P_ ev_timer   *w, int revents) { }
static void timer_cb   (EV_P_ ev_timer   *w, int revents) { owed_others [OWED_TIMER ] = 0; run_inner (0); }
static void async_cb   (EV_P_ ev_async   *w, int revents) { owed_others [OWED_ASYNC ] = 0; }
static void signal_cb  (EV_P_ ev_signal  *w, int revents) { owed_others [OWED_SIGNAL] = 0; }

/*****************************************************************************/
/* checks: everything that is true is delivered, and nothing else */

static int
all_owed (void)
{
  int i, sum = owed;

  for (i = 0; i < OWED_OTHERS; ++i)
    sum += owed_others [i];

  return sum;
}

static double
now (void)
{
  struct timespec ts;

  clock_gettime (CLOCK_MONOTONIC, &ts);
  return ts.tv_sec + ts.tv_nsec * 1e-9;
}

/* runs the loop once, for that many seconds at most */
static void
run_for (double seconds)
{
  ev_timer guard;

  /* it repeats: a run nested into this one may use it up */
  ev_timer_init (&guard, guard_cb, seconds, seconds);

  if (seconds)
    {
      ev_now_update (loop);
      ev_timer_start (loop, &guard);
    }

  last_priority = EV_MAXPRI; /* ev_run begins with what was pending before */
  ev_run (loop, seconds ? EVRUN_ONCE : EVRUN_NOWAIT);
  ev_timer_stop (loop, &guard);
}

static void
fail_lost (void)
{
  int i;

  for (i = 0; i < OWED_OTHERS; ++i)
    if (owed_others [i])
      fail ("lost: the %s was never seen", owed_names [i]);

  for (i = 0; i < activecnt; ++i)
    if (active [i]->want)
      fail ("lost: watcher %d (slot %d, %s, fd %d) never got %s",
            number (active [i]), active [i]->slot, world_kind_name (world [active [i]->slot].kind),
            active [i]->io.fd, mask_name (active [i]->want));
}

/*
 * Until everything that is owed has come. block: it must come while the loop
 * sleeps. It never does where something else is always ready, so that events
 * which a kernel worker has to finish would wait for a CPU.
 */
static void
settle (int block)
{
  static const struct timespec pause = { 0, 500000 };
  double patience = options->patience_ms * 1e-3;
  double deadline = now () + patience;
  int runs;

  run_for (block ? all_owed () ? patience : 1e-4 : 0.);

  for (runs = 1; all_owed (); ++runs)
    {
      if (runs > EAGER_RUNS)
        {
          nanosleep (&pause, 0);
          forgive_the_past ();
        }

      if (all_owed () && now () > deadline)
        fail_lost ();

      run_for (block ? patience : 0.);
    }
}

#if MACHINE_STATS

static void
check_stats (void)
{
  struct ev_linuxaio_stats s;
  unsigned fds;

  if (!ev_linuxaio_stats (loop, &s))
    return;

  fds = s.epoll_no_ring + s.epoll_kind + s.epoll_refused + s.epoll_parked + s.epoll_overflow
      + s.epoll_steady;

  if (s.submitted != s.completed + s.cancelled + s.in_flight)
    fail ("statistics: %lu submitted, but %lu completed + %lu cancelled + %u in flight",
          s.submitted, s.completed, s.cancelled, s.in_flight);

  if (s.epoll_fds != fds)
    fail ("statistics: %u fds on epoll, but their reasons add up to %u", s.epoll_fds, fds);

  if (s.in_flight > s.ring_entries)
    fail ("statistics: %u requests in flight, but room for %u", s.in_flight, s.ring_entries);
}

/* a loop that ever had a ring notices a fork by itself. others need ev_loop_fork, as with epoll */
static int
notices_forks (void)
{
  struct ev_linuxaio_stats s;

  return ev_linuxaio_stats (loop, &s) && s.ring_requests;
}

static void
tally_stats (void)
{
  struct ev_linuxaio_stats s;

  if (!ev_linuxaio_stats (loop, &s))
    return;

  tally->on_ring        += !!s.ring_entries;
  tally->submitted      += s.submitted;
  tally->completed      += s.completed;
  tally->cancelled      += s.cancelled;
  tally->refused        += s.refused;
  tally->regrowths      += s.regrowths;
  tally->moved_to_epoll += s.moved_to_epoll;
  tally->moved_to_ring  += s.moved_to_ring;
  tally->probe_hits     += s.probe_hits;
  tally->overflowed     += s.epoll_overflow;
}

#else

static void check_stats (void) { }
static int notices_forks (void) { return 0; }
static void tally_stats (void) { }

#endif

static void
check (int block, int rounds)
{
  int round, was_checking = checking;

  checking = 1;

  for (round = 0; round < rounds; ++round)
    {
      owe_everybody (round);
      settle (block);
      check_stats ();
    }

  ev_verify (loop);
  world_forget ();
  checking = was_checking;
  ++tally->checks;
}

/*****************************************************************************/
/* watchers and slots */

static void
watcher_start (struct watcher *w)
{
  if (ev_is_active (&w->io))
    return;

  ev_io_start (loop, &w->io);
  w->index = activecnt;
  active [activecnt++] = w;
}

static void
watcher_stop (struct watcher *w)
{
  int was_active = ev_is_active (&w->io);

  ev_io_stop (loop, &w->io);
  w->fed = 0;

  if (was_active)
    {
      owed -= directions (w->want);
      w->want = 0;
      active [w->index] = active [--activecnt];
      active [w->index]->index = w->index;
    }
}

static void
watcher_unbind (struct watcher *w)
{
  int *link;

  if (w->slot < 0)
    return;

  watcher_stop (w);

  for (link = &world [w->slot].watcher; *link != number (w); link = &watchers [*link].next)
    ;

  *link   = w->next;
  w->slot = -1;
}

static void
watcher_bind (struct watcher *w, int slot, int mask)
{
  watcher_unbind (w);
  ev_io_set (&w->io, world [slot].fd, mask);
  w->slot = slot;
  w->next = world [slot].watcher;
  world [slot].watcher = number (w);
}

static void
slot_unbind_all (int slot)
{
  while (world [slot].watcher >= 0)
    watcher_unbind (watchers + world [slot].watcher);
}

/* stops the watchers of a slot, and remembers which were active in their want */
static void
slot_stop_all (int slot)
{
  int i;

  for (i = world [slot].watcher; i >= 0; i = watchers [i].next)
    {
      int was_active = ev_is_active (&watchers [i].io);

      watcher_stop (watchers + i);
      watchers [i].want = was_active;
    }
}

/* tells libev that the number now means another file */
static void
slot_set_anew (int slot)
{
  int i;

  for (i = world [slot].watcher; i >= 0; i = watchers [i].next)
    {
      struct watcher *w = watchers + i;
      int was_active = w->want;

      w->want = 0;
      ev_io_set (&w->io, world [slot].fd, w->io.events & EVERYTHING);

      if (was_active)
        watcher_start (w);
    }
}

/*****************************************************************************/
/* children */

static int
children_alive (void)
{
  int i = 0;

  while (i < childcnt)
    if (waitpid (children [i], 0, WNOHANG))
      children [i] = children [--childcnt];
    else
      ++i;

  return childcnt;
}

static void
children_wait (void)
{
  while (childcnt)
    waitpid (children [--childcnt], 0, 0);
}

/* what is closed with all its watchers stopped is closed for its peer as well */
static void
judge_close (int slot, int peer)
{
  if (peer < 0 || seam_used () || children_alive ())
    return;

  ++tally->closes;
  if (!world_peer_saw_close (peer, options->patience_ms))
    fail ("slot %d is closed, but its peer (slot %d, %s) does not see it",
          slot, peer, world_kind_name (world [peer].kind));
}

/*****************************************************************************/
/* operations: a [1] and a [2] name a slot or watcher, a [3] says how. */
/* they return 0 if there was nothing to do */

static int
slot_of (const unsigned char *a)
{
  return (a [1] | a [2] << 8) % world_size;
}

static struct watcher *
watcher_of (const unsigned char *a)
{
  return watchers + (a [1] | a [2] << 8) % watchercnt;
}

/* beside some files there must be no ring, so most programs do without them */
static int personal_files;

static int
kind_of (unsigned char byte)
{
  int kind = 1 + byte % (WORLD_KINDS - 1);

  if (personal_files || (kind != WORLD_SIGNALFD && kind != WORLD_EPOLL))
    return kind;

  return kind == WORLD_EPOLL ? WORLD_PIPE : WORLD_EVENTFD;
}

static int
op_open (const unsigned char *a)
{
  int kind = kind_of (a [3]);

  if (frozen || !world_open (slot_of (a), kind))
    return 0;

  trace ("slot %d: open %s, fd %d", slot_of (a), world_kind_name (kind), world [slot_of (a)].fd);
  return 1;
}

static int
close_slot (int slot, int close_first, int verify)
{
  int peer;

  if (world [slot].fd < 0)
    return 0;

  peer = verify && !frozen ? world_sole_peer (slot) : -1;

  trace ("slot %d: %s (fd %d)%s", slot, close_first ? "close, then stop watchers" : "stop watchers, close",
         world [slot].fd, peer >= 0 ? ", the peer must see it" : "");

  if (close_first)
    world_close (slot);

  slot_unbind_all (slot);

  if (!close_first)
    world_close (slot);

  judge_close (slot, peer);
  return 1;
}

static int op_close       (const unsigned char *a) { return close_slot (slot_of (a), 0, a [3] & 1); }
static int op_close_first (const unsigned char *a) { return close_slot (slot_of (a), 1, a [3] & 1); }

static int
op_reopen (const unsigned char *a)
{
  int slot = slot_of (a);
  int kind = kind_of (a [3] >> 1);
  int stop_first = a [3] & 1;

  if (frozen || world [slot].fd < 0)
    return 0;

  trace ("slot %d: reopen fd %d as %s, watchers stopped %s",
         slot, world [slot].fd, world_kind_name (kind), stop_first ? "before" : "after");

  if (stop_first)
    slot_stop_all (slot);

  world_reopen (slot, kind);

  if (!stop_first)
    slot_stop_all (slot);

  if (world [slot].fd >= 0)
    slot_set_anew (slot);
  else
    slot_unbind_all (slot);

  return 1;
}

static int
op_dup (const unsigned char *a)
{
  int slot = slot_of (a);
  int to   = (slot + 1 + a [3] % 7) % world_size;

  if (frozen || !world_dup (slot, to))
    return 0;

  trace ("slot %d: dup of slot %d, fd %d", to, slot, world [to].fd);
  return 1;
}

static int
op_dup_over (const unsigned char *a)
{
  int slot = slot_of (a);
  int to   = (slot + 1 + (a [3] >> 1) % 7) % world_size;
  int stop_first = a [3] & 1;

  if (frozen || slot == to || world [slot].fd < 0 || world [to].fd < 0)
    return 0;

  trace ("slot %d: dup2 of slot %d over fd %d, watchers stopped %s",
         to, slot, world [to].fd, stop_first ? "before" : "after");

  if (stop_first)
    slot_stop_all (to);

  world_dup_over (slot, to);

  if (!stop_first)
    slot_stop_all (to);

  slot_set_anew (to);
  return 1;
}

/* the operations on a file alone */
static int
on_file (const char *what, const unsigned char *a, int (*how) (int slot, int how))
{
  if (frozen || !how (slot_of (a), a [3]))
    return 0;

  trace ("slot %d: %s (fd %d)", slot_of (a), what, world [slot_of (a)].fd);
  return 1;
}

static int fill  (int slot, int how) { return world_fill (slot); }
static int drain (int slot, int how) { return world_drain (slot); }

static int op_write    (const unsigned char *a) { return on_file ("write", a, world_write); }
static int op_read     (const unsigned char *a) { return on_file ("read", a, world_read); }
static int op_fill     (const unsigned char *a) { return on_file ("fill", a, fill); }
static int op_drain    (const unsigned char *a) { return on_file ("drain", a, drain); }
static int op_shutdown (const unsigned char *a) { return on_file ("shutdown", a, world_shutdown); }

static int
op_reset (const unsigned char *a)
{
  int slot = slot_of (a);

  if (frozen || world [slot].fd < 0 || world [slot].kind != WORLD_TCP)
    return 0;

  trace ("slot %d: stop watchers, close with a reset (fd %d)", slot, world [slot].fd);
  slot_unbind_all (slot);
  return world_reset (slot);
}

static int
op_set (const unsigned char *a)
{
  struct watcher *w = watcher_of (a);
  int slot = (number (w) + (a [3] & 7)) % world_size;
  int mask = 1 + (a [3] >> 3) % 3;

  if (world [slot].fd < 0)
    return 0;

  trace ("w%d: set to slot %d (fd %d) %s%s", number (w), slot, world [slot].fd, mask_name (mask),
         a [3] >= 224 ? "" : ", start");
  watcher_bind (w, slot, mask);

  if (a [3] < 224)
    watcher_start (w);

  return 1;
}

/* write interest comes or goes beside a watcher, as another one of the same slot, which is not set anew */
static int
write_beside (struct watcher *w)
{
  int i = world [w->slot].watcher;

  while (i >= 0 && (watchers + i == w || watchers [i].io.events & EV_READ))
    i = watchers [i].next;

  if (i < 0)
    return 0;

  trace ("w%d: %s beside w%d (fd %d)", i, ev_is_active (&watchers [i].io) ? "stop" : "start", number (w), w->io.fd);

  if (ev_is_active (&watchers [i].io))
    watcher_stop (watchers + i);
  else
    watcher_start (watchers + i);

  return 1;
}

static int
op_start (const unsigned char *a)
{
  struct watcher *w = watcher_of (a);

  if (w->slot < 0)
    return 0;

  if (ev_is_active (&w->io))
    return write_beside (w);

  trace ("w%d: start (fd %d, %s)", number (w), w->io.fd, mask_name (w->io.events));
  watcher_start (w);
  return 1;
}

static int
op_stop (const unsigned char *a)
{
  struct watcher *w = watcher_of (a);

  if (w->slot < 0 || !ev_is_active (&w->io))
    return 0;

  trace ("w%d: stop (fd %d)", number (w), w->io.fd);
  watcher_stop (w);
  return 1;
}

static int
op_restart (const unsigned char *a)
{
  struct watcher *w = watcher_of (a);

  if (w->slot < 0 || !ev_is_active (&w->io))
    return 0;

  trace ("w%d: stop, start (fd %d)", number (w), w->io.fd);
  watcher_stop (w);
  watcher_start (w);
  return 1;
}

static int
op_modify (const unsigned char *a)
{
  struct watcher *w = watcher_of (a);
  int mask = 1 + a [3] % 3;

  if (w->slot < 0 || !ev_is_active (&w->io))
    return 0;

  trace ("w%d: stop, modify to %s, start (fd %d)", number (w), mask_name (mask), w->io.fd);
  watcher_stop (w);
  ev_io_modify (&w->io, mask);
  watcher_start (w);
  return 1;
}

static int
op_priority (const unsigned char *a)
{
  struct watcher *w = watcher_of (a);
  int was_active = ev_is_active (&w->io);

  if (w->slot < 0)
    return 0;

  trace ("w%d: priority %d", number (w), EV_MINPRI + a [3] % 5);
  watcher_stop (w);
  ev_set_priority (&w->io, EV_MINPRI + a [3] % 5);

  if (was_active)
    watcher_start (w);

  return 1;
}

static int
op_feed (const unsigned char *a)
{
  struct watcher *w = watcher_of (a);
  int mask = 1 + a [3] % 3;

  if (w->slot < 0)
    return 0;

  trace ("w%d: feed %s", number (w), mask_name (mask));
  w->fed |= mask;
  ev_feed_event (loop, &w->io, mask);
  return 1;
}

static int
op_feed_fd (const unsigned char *a)
{
  int slot = slot_of (a);
  int mask = 1 + a [3] % 3;
  int i;

  if (world [slot].fd < 0)
    return 0;

  trace ("slot %d: feed fd %d %s", slot, world [slot].fd, mask_name (mask));

  for (i = world [slot].watcher; i >= 0; i = watchers [i].next)
    if (ev_is_active (&watchers [i].io))
      watchers [i].fed |= watchers [i].io.events & mask;

  ev_feed_fd_event (loop, world [slot].fd, mask);
  return 1;
}

static int
op_clear (const unsigned char *a)
{
  struct watcher *w = watcher_of (a);

  if (w->slot < 0 || !ev_is_pending (&w->io))
    return 0;

  trace ("w%d: clear pending", number (w));
  ev_clear_pending (loop, &w->io);
  w->fed = 0;
  return 1;
}

/* how many slots or watchers the operations on many of them take */
static int
many (const unsigned char *a, int of)
{
  return 1 + a [3] * of / 1024;
}

static int
op_open_many (const unsigned char *a)
{
  static const unsigned char kinds [4] = { WORLD_STREAM, WORLD_PIPE, WORLD_EVENTFD, WORLD_DGRAM };
  int first = a [1] * world_size / 256;
  int count = many (a, world_size);
  int i, opened = 0;

  for (i = 0; i < count && !frozen; ++i)
    opened += world_open ((first + i) % world_size, kinds [a [2] & 3]);

  if (opened)
    trace ("slots %d and following: open %d %s", first, opened, world_kind_name (kinds [a [2] & 3]));

  return opened;
}

static int
op_close_many (const unsigned char *a)
{
  int first = a [1] * world_size / 256;
  int count = many (a, world_size);
  int i, closed = 0;

  for (i = 0; i < count; ++i)
    closed += close_slot ((first + i) % world_size, a [2] & 1, 0);

  return closed;
}

static int
op_set_many (const unsigned char *a)
{
  int first = a [1] * watchercnt / 256;
  int count = many (a, watchercnt);
  int i, set = 0;

  for (i = 0; i < count; ++i)
    {
      int w = (first + i) % watchercnt;

      if (world [w % world_size].fd >= 0)
        {
          watcher_bind (watchers + w, w % world_size, 1 + a [2] % 3);
          watcher_start (watchers + w);
          ++set;
        }
    }

  if (set)
    trace ("w%d and following: set and start %d, %s", first, set, mask_name (1 + a [2] % 3));

  return set;
}

static int
op_stop_many (const unsigned char *a)
{
  int first = a [1] * watchercnt / 256;
  int count = many (a, watchercnt);
  int i, stopped = 0;

  for (i = 0; i < count; ++i)
    {
      struct watcher *w = watchers + (first + i) % watchercnt;

      stopped += ev_is_active (&w->io);
      watcher_stop (w);
    }

  if (stopped)
    trace ("w%d and following: stop %d", first, stopped);

  return stopped;
}

static int
op_nowait (const unsigned char *a)
{
  trace ("run, NOWAIT");
  run_for (0.);
  return 1;
}

static int
op_block (const unsigned char *a)
{
  trace ("run, ONCE");
  run_for (1e-4);
  return 1;
}

struct remote
{
  int fd, reader;        /* writes here, so that can be read there */
  struct timespec delay;
  volatile int done;
};

/* if nothing came of it, the loop must not sleep on in vain */
static void *
remote_main (void *arg)
{
  struct remote *r = (struct remote *)arg;
  struct pollfd p;

  p.fd     = r->reader;
  p.events = POLLIN;

  nanosleep (&r->delay, 0);
  r->done = write (r->fd, "\1\1\1\1\1\1\1\1", 8) == 8 && poll (&p, 1, 1) == 1 ? 1 : -1;

  if (r->done < 0)
    ev_async_send (loop, &async_w);

  return 0;
}

/* a watcher that a write to the slot must wake up, although poll has nothing to say to it now */
static struct watcher *
wakes (int slot)
{
  struct watcher *sleeper = 0;
  int at = slot;
  int i;

  if (world [slot].fd < 0 || !(world_poll (slot) & POLLOUT))
    return 0;

  do
    {
      for (i = world [at].watcher; i >= 0; i = watchers [i].next)
        if (ev_is_active (&watchers [i].io) && watchers [i].io.events & EV_READ
            && (world [at].end != world [slot].end || world [at].kind == WORLD_EVENTFD))
          sleeper = watchers + i;

      at = world [at].sibling;
    }
  while (at != slot);

  return sleeper && !(world_poll (sleeper->slot) & POLLIN) ? sleeper : 0;
}

/* another thread makes a file readable while the loop sleeps, or is about to */
static void
sleep_until_woken (struct watcher *w, struct remote *r)
{
  double patience = options->patience_ms * 1e-3;
  double deadline = now () + patience;
  sigset_t all, before;
  pthread_t thread;

  sigfillset (&all);
  pthread_sigmask (SIG_SETMASK, &all, &before);
  if (pthread_create (&thread, 0, remote_main, r))
    fail ("no thread");

  pthread_sigmask (SIG_SETMASK, &before, 0);

  for (w->want = EV_READ, owed = 1; w->want && r->done >= 0 && now () < deadline; )
    run_for (patience);

  pthread_join (thread, 0);

  if (w->want && r->done > 0 && events_of (world_poll (w->slot)) & EV_READ)
    fail ("slept through: watcher %d (slot %d, %s, fd %d) has become readable meanwhile",
          number (w), w->slot, world_kind_name (world [w->slot].kind), w->io.fd);

  owed = w->want = 0;
  tally->wakeups += r->done > 0;
}

static int
op_remote (const unsigned char *a)
{
  int slot = slot_of (a);
  struct watcher *w = frozen || checking || depth ? 0 : wakes (slot);
  struct remote r = { world [slot].fd, w ? w->io.fd : -1, { 0, (a [3] & 7) * 10000 }, 0 };

  if (!w)
    return 0;

  trace ("run, ONCE, while another thread writes to slot %d (fd %d) for w%d", slot, r.fd, number (w));
  world_sample (slot);
  checking = 1;
  sleep_until_woken (w, &r);
  checking = 0;
  world_sample (slot);
  return 1;
}

static int
op_check (const unsigned char *a)
{
  if (checking)
    return 0;

  trace ("check%s", a [3] & 1 ? ", blocking" : "");
  check (a [3] & 1, 1 + (a [3] >> 1 & 1));
  return 1;
}

static int
op_nest (const unsigned char *a)
{
  static const char *const where [3] = { "next", "prepare", "check" };

  inner       = 1 + a [3] % 6;
  inner_where = (a [3] >> 4) % 3;
  trace ("in the %s callback:", where [inner_where]);
  return 1;
}

static int
op_timer (const unsigned char *a)
{
  if (ev_is_active (&timer_w))
    return 0;

  trace ("timer");
  ev_timer_set (&timer_w, a [3] & 1 ? 1e-4 : 0., 0.);
  ev_timer_start (loop, &timer_w);
  owed_others [OWED_TIMER] = 1;
  return 1;
}

static int
op_async (const unsigned char *a)
{
  trace ("async");
  owed_others [OWED_ASYNC] = 1;
  ev_async_send (loop, &async_w);
  return 1;
}

static int
op_signal (const unsigned char *a)
{
  if (!ev_is_active (&signal_w))
    return 0;

  trace ("signal");
  owed_others [OWED_SIGNAL] = 1;
  raise (SIGUSR1);
  return 1;
}

static int
op_renew (const unsigned char *a)
{
  trace ("ev_loop_fork without a fork");
  ev_loop_fork (loop);
  return 1;
}

static int
op_busy (const unsigned char *a)
{
#if MACHINE_STATS
  ev_linuxaio_busy_poll (loop, a [3] & 1 ? 2e-5 : 0.);
  return 1;
#else
  return 0;
#endif
}

static int
op_fault (const unsigned char *a)
{
  const char *what = seam_fail (a [1], a [2], 1 + a [3] % 8);

  if (!what)
    return 0;

  trace ("the next but %d %s", a [3] % 8, what);
  ++tally->faults;
  return 1;
}

/* what the child does: keeps its hands off the files, or the parent would not know what they are like */
static void
child_main (const unsigned char *a, const unsigned char *end, int verdict)
{
  prctl (PR_SET_PDEATHSIG, SIGKILL);
  frozen = 1;
  childcnt = 0;
  owed_others [OWED_SIGNAL] = 0;
  pc_end = end;

  if (a [3] & 1 || !notices_forks ())
    ev_loop_fork (loop);

  while (pc < pc_end)
    step ();

  if (a [3] & 2)
    ev_loop_destroy (loop);
  else
    check (a [3] >> 4 & 1, 2);

  if (write (verdict, "", 1) != 1)
    fail ("the child cannot tell its verdict");

  _exit (0);
}

/* the child runs the next few operations and a check; the parent goes on once it is done */
static int
op_fork (const unsigned char *a)
{
  int count = a [3] >> 2 & 3;
  const unsigned char *end = pc + count * MACHINE_OP < pc_end ? pc + count * MACHINE_OP : pc_end;
  int verdict [2];
  char c;
  pid_t pid;

  /* forking is dear, and so are its children while they exit */
  if (frozen || a [2] >= 32 || childcnt == 16 || pipe (verdict))
    return 0;

  trace ("fork: the child%s runs %d operations, then %s",
         a [3] & 1 || !notices_forks () ? " calls ev_loop_fork," : "", (int)(end - pc) / MACHINE_OP,
         a [3] & 2 ? "destroys the loop" : "checks");

  /* what is pending was true, even if it is not for the child (signals) */
  world_sample_all ();
  pid = fork ();
  if (!pid)
    {
      close (verdict [0]);
      child_main (a, end, verdict [1]);
    }

  close (verdict [1]);
  if (pid > 0)
    {
      children [childcnt++] = pid;
      pc = end;
      ++tally->forks;
      if (read (verdict [0], &c, 1) != 1)
        fail ("a forked child did not survive its check");
    }

  close (verdict [0]);
  return pid > 0;
}

/*****************************************************************************/
/* execution */

static void
step (void)
{
  static int (*const ops [OP_COUNT]) (const unsigned char *a) = {
    op_open, op_close, op_close_first, op_reopen, op_dup, op_dup_over,
    op_write, op_read, op_fill, op_drain, op_shutdown, op_reset,
    op_set, op_start, op_stop, op_restart, op_modify, op_priority, op_feed, op_feed_fd, op_clear,
    op_open_many, op_close_many, op_set_many, op_stop_many,
    op_nowait, op_block, op_check, op_nest, op_timer, op_async, op_signal, op_renew, op_fork, op_busy, op_fault,
    op_remote
  };
  const unsigned char *a = pc;

  pc += MACHINE_OP;
  tally->operations += !!ops [machine_opcode_of (*a)] (a);
}

static void *
allocate (void *ptr, long size) EV_NOEXCEPT
{
  blocks += (ptr ? 0 : 1) - (size ? 0 : 1);

  if (size)
    return realloc (ptr, size);

  free (ptr);
  return 0;
}

/* the header picks one of a few sizes, ring sizes and flags */
static void
configure (const unsigned char *header)
{
  static const int sizes [16] = { 4, 6, 8, 8, 12, 12, 16, 16, 24, 24, 48, 48, 100, 300, 300, 2400 };
  unsigned flags = options->backend | EVFLAG_NOENV;
  int i;

  seam_reset ();
  seam_limits (header [1], header [3]);
  seam_ring = header [3] >= 192 ? header [3] % SEAM_RINGS : SEAM_RING_GOOD;

  if (options->arrange)
    options->arrange ();

  if (header [2] & 1)
    flags |= EVFLAG_FORKCHECK;

  personal_files = (header [2] & 96) == 96;

  if (header [2] & 2 && personal_files)
    flags |= EVFLAG_SIGNALFD;

  if (header [2] & 4)
    flags |= EVFLAG_NOTIMERFD;

  loop = ev_loop_new (flags);
  if (!loop)
    fail ("no loop");

  world_init (sizes [header [0] & 15]);
  watchercnt = world_size + world_size / 2;
  watchers   = (struct watcher *)calloc (watchercnt, sizeof (*watchers));
  active     = (struct watcher **)calloc (watchercnt, sizeof (*active));

  for (i = 0; i < watchercnt; ++i)
    {
      ev_init (&watchers [i].io, io_cb);
      watchers [i].slot = -1;
    }
}

static void
start_helpers (int with_signals)
{
  ev_prepare_init (&prepare_w, prepare_cb);
  ev_prepare_start (loop, &prepare_w);
  ev_check_init (&check_w, check_cb);
  ev_check_start (loop, &check_w);
  ev_init (&timer_w, timer_cb);
  ev_async_init (&async_w, async_cb);
  ev_async_start (loop, &async_w);
  ev_signal_init (&signal_w, signal_cb, SIGUSR1);

  if (with_signals)
    ev_signal_start (loop, &signal_w);
}

static void
stop_helpers (void)
{
  ev_prepare_stop (loop, &prepare_w);
  ev_check_stop (loop, &check_w);
  ev_timer_stop (loop, &timer_w);
  ev_async_stop (loop, &async_w);
  ev_signal_stop (loop, &signal_w);
}

static int
count_descriptors (void)
{
  DIR *dir = opendir ("/proc/self/fd");
  int n = 0;

  while (dir && readdir (dir))
    ++n;

  if (dir)
    closedir (dir);

  return n;
}

/* rings still mapped into this process */
static int
count_rings (void)
{
  FILE *maps = fopen ("/proc/self/maps", "r");
  char line [400];
  int n = 0;

  while (maps && fgets (line, sizeof (line), maps))
    n += !!strstr (line, "/[aio]");

  if (maps)
    fclose (maps);

  return n;
}

/* the end: half of the programs leave their watchers running */
static void
finish (int stop_first)
{
  int i;

  stop_helpers ();

  for (i = 0; i < watchercnt && stop_first; ++i)
    watcher_unbind (watchers + i);

  tally_stats ();
  ev_loop_destroy (loop);
  world_done ();
  children_wait ();
  free (watchers);
  free (active);
  watchercnt = activecnt = 0;
}

void
machine_run (const unsigned char *program, size_t size,
             const struct machine_options *o, struct machine_tally *t)
{
  static const unsigned char empty [MACHINE_HEADER];
  const unsigned char *header = size < MACHINE_HEADER ? empty : program;
  int descriptors = count_descriptors ();

  options = o;
  tally   = t;
  blocks  = 0;
  inner   = depth = checking = owed = 0;
  memset (owed_others, 0, sizeof (owed_others));
  ev_set_allocator (allocate);
  signal (SIGPIPE, SIG_IGN);

  configure (header);
  start_helpers (header [2] & 8);

  pc     = program + MACHINE_HEADER;
  pc_end = pc + (size < MACHINE_HEADER ? 0 : (size - MACHINE_HEADER) / MACHINE_OP * MACHINE_OP);
  while (pc < pc_end && !(o->limit && t->operations >= o->limit))
    step ();

  check (0, 2);
  finish (header [2] & 16);

  if (o->ignore_leaks)
    return;

  if (blocks)
    fail ("%ld blocks of memory are left after ev_loop_destroy", blocks);

  if (count_descriptors () != descriptors)
    fail ("%d descriptors before, %d after", descriptors, count_descriptors ());

  if (!seam_destroyer && count_rings ())
    fail ("%d rings are still mapped after ev_loop_destroy", count_rings ());
}
