#include "system.h"
#include "ev.h"
#include "ev_linuxaio.h"
#include "account.h"
#include "fault.h"
#include "machine.h"
#include "world.h"

#define EVERYTHING (EV_READ | EV_WRITE)
#define DEPTH_MAX  3
#define EAGER_RUNS 8 /* of the loop in a row, before a check leaves the CPU to the kernel's workers */
#define HANG_SECONDS 60 /* beyond the time it was given: the loop never returned */
#define HIDDEN_MAX 6 /* descriptors that libev watches for itself */

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

/* an operation, as it is executed */
struct call
{
  int slot;
  struct watcher *w;
  int low, high;       /* the bytes that name slot and watcher */
  int how;
};

enum { OWED_TIMER, OWED_ASYNC, OWED_SIGNAL, OWED_OTHERS };

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
static ev_fork fork_w;

static const unsigned char *pc, *pc_end;
static int inner, inner_where;      /* operations to be run inside the next callback, and of which kind */
static int depth;                   /* of nested runs of operations */
static int checking, owed;          /* a check is going on, this many directions are still owed */
static int owed_others [OWED_OTHERS];
static int last_priority;           /* of the events of this iteration, while checking */
static unsigned last_iteration;
static int shared;                  /* the loop has a lock, as those that threads share */
static int unlocked, releases;      /* it is given away; how often it was, in this run of the loop */
static int frozen;                  /* forked child: the files belong to the parent */
static int outside, changed;        /* an outer loop waits, for the epoll fd of this one, which has to be run after changes */
static int outside_fd;              /* that is this one, -1: it is not known */
static pid_t children [16];
static int childcnt;

static void step (void);

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
fail_if (int condition, const char *what)
{
  if (condition)
    fail ("%s", what);
}

static void
fail_watcher (const struct watcher *w, const char *what, int mask, const char *why)
{
  static const char *const names [4] = { "nothing", "READ", "WRITE", "READ|WRITE" };

  fail ("%s: watcher %d (slot %d, %s, fd %d) %s %s, poll has seen 0x%x only", what, (int)(w - watchers), w->slot,
        w->slot < 0 ? "none" : world_kinds [world [w->slot].kind].name, w->io.fd, why, names [mask & EVERYTHING],
        w->slot < 0 ? 0 : world [w->slot].seen);
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

/* asks poll about all watched files, and notes what every watcher is owed */
static void
owe_everybody (int forget)
{
  if (forget)
    world_forget ();

  owed = 0;

  for (int i = 0; i < activecnt; ++i)
    {
      struct watcher *w = active [i];
      short revents = world_poll (w->slot);

      world [w->slot].seen |= revents;
      w->want = owed_to (w, revents);
      owed += directions (w->want);
    }

  tally->deliveries += owed;
}

/*
 * What poll does not report any more is not owed any more. in the end: nor is room in a TCP socket
 * with data on its way, of which no wake-up tells (seen with epoll as well, on a slow arm64)
 */
static void
forgive_the_past (int in_the_end)
{
  for (int i = 0; i < activecnt; ++i)
    {
      struct watcher *w = active [i];
      int gone = w->want ? w->want & ~events_of (world_poll (w->slot)) : 0;
      int queued;

      if (in_the_end && world [w->slot].kind == WORLD_TCP && !ioctl (w->io.fd, TIOCOUTQ, &queued) && queued)
        gone |= w->want & EV_WRITE;

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
judge_priority (struct watcher *w)
{
  if (last_iteration != ev_iteration (loop))
    last_priority = EV_MAXPRI;

  if (ev_priority (&w->io) > last_priority)
    fail_watcher (w, "called after one of a lower priority", 0, "got");

  last_iteration = ev_iteration (loop);
  last_priority  = ev_priority (&w->io);
}

/* an event must be asked for and have been true since the last check, or be fed */
static void
judge_event (struct watcher *w, int revents)
{
  int unfed = revents & ~w->fed;

  if (revents & ~EVERYTHING)
    fail_watcher (w, "error", revents, "got an error and");

  if (unfed && !ev_is_active (&w->io))
    fail_watcher (w, "stopped", unfed, "got");

  if (unfed & ~w->io.events)
    fail_watcher (w, "not asked for", unfed, "got");

  /* a full TCP socket can be writable for a moment, when an acknowledgement comes: epoll tells of it as often */
  if (world [w->slot].kind == WORLD_TCP)
    unfed &= ~EV_WRITE;

  if (unfed & ~events_of (world [w->slot].seen | world [w->slot].before)
      && unfed & ~events_of (world_poll (w->slot)))
    fail_watcher (w, "invented", unfed, "got");
}

static void
io_cb (EV_P_ ev_io *io, int revents)
{
  struct watcher *w = (struct watcher *)io;

  judge_event (w, revents);
  w->fed = 0;

  if (checking)
    {
      judge_priority (w);
      owed -= directions (w->want & revents);
      w->want &= ~revents;
    }
  else
    trace ("(event %x for w%d)", revents, (int)(w - watchers));

  run_inner (0);
}

static void prepare_cb (EV_P_ ev_prepare *w, int revents) { run_inner (1); }
static void check_cb   (EV_P_ ev_check   *w, int revents) { run_inner (2); }
static void fork_cb    (EV_P_ ev_fork    *w, int revents) { outside_fd = -1; } /* libev is about to make a new epoll set */
static void guard_cb   (EV_P_ ev_timer   *w, int revents) { *(int *)w->data = 1; }
static void timer_cb   (EV_P_ ev_timer   *w, int revents) { owed_others [OWED_TIMER ] = 0; run_inner (0); }
static void async_cb   (EV_P_ ev_async   *w, int revents) { owed_others [OWED_ASYNC ] = 0; }
static void signal_cb  (EV_P_ ev_signal  *w, int revents) { owed_others [OWED_SIGNAL] = 0; }

/* the lock of those who share a loop: given away and taken back by turns */
static void
release_cb (EV_P)
{
  fail_if (unlocked++, "the lock of the loop is given away twice");
  ++releases;
}

static void
acquire_cb (EV_P)
{
  fail_if (--unlocked, "the lock of the loop is taken back, but it was not given away");
}

/*****************************************************************************/
/* checks: everything that is true is delivered, and nothing else */

static int
all_owed (void)
{
  return owed + owed_others [OWED_TIMER] + owed_others [OWED_ASYNC] + owed_others [OWED_SIGNAL];
}

double
machine_now (void)
{
  struct timespec ts;

  clock_gettime (CLOCK_MONOTONIC, &ts);
  return ts.tv_sec + ts.tv_nsec * 1e-9;
}

/* in the way of a program that has a loop of its own: returns 0 if there was nothing to see for it in all that time */
static int
run_from_outside (double seconds)
{
  struct pollfd p = { -1, POLLIN, 0 };
  int owed_before = all_owed ();
  int res;

  if (changed)
    {
      changed = 0;
      ev_run (loop, EVRUN_NOWAIT);

      if (changed || all_owed () < owed_before)
        return 1;
    }

  /* epoll does not take files that are always ready: with these, libev never sleeps */
  for (int i = 0; i < activecnt; ++i)
    if (world [active [i]->slot].kind >= WORLD_MEMFD)
      seconds = 0;

  /* ev_embed tells the descriptor, and makes it readable: it is asked only for a new one */
  if (outside_fd < 0)
    {
      struct ev_loop *outer = ev_loop_new (EVFLAG_NOENV | EVBACKEND_SELECT);
      ev_embed embed;

      ev_embed_init (&embed, 0, loop);
      ev_embed_start (outer, &embed);
      ev_embed_stop (outer, &embed);
      ev_loop_destroy (outer);
      outside_fd = embed.io.fd;
    }

  p.fd = outside_fd;

  while ((res = poll (&p, 1, seconds * 1e3)) < 0)
    ;

  ev_run (loop, EVRUN_NOWAIT);
  return res || !seconds;
}

static struct ev_linuxaio_stats
stats (void)
{
  struct ev_linuxaio_stats s;

  ev_linuxaio_stats (loop, &s, sizeof (s));
  return s;
}

/*
 * Runs the loop once, for that many seconds at most. It has not slept if it took longer to
 * remove rings: 35 ms each, and of tiny ones there are hundreds.
 */
static void
run_for (double seconds)
{
  ev_timer guard;
  unsigned rings_before = stats ().rings;
  int owed_before = owed;
  int overslept = 0;

  /* it repeats: a run nested into this one may use it up */
  ev_timer_init (&guard, guard_cb, seconds, seconds);
  guard.data = &overslept;

  releases = 0;
  alarm (HANG_SECONDS + seconds);
  last_priority = EV_MAXPRI; /* ev_run begins with what was pending before */

  if (!seconds)
    ev_run (loop, EVRUN_NOWAIT);
  else if (outside && !ev_is_active (&timer_w))
    overslept = !run_from_outside (seconds);
  else
    {
      ev_now_update (loop);
      ev_timer_start (loop, &guard);
      ev_run (loop, EVRUN_ONCE);
      ev_timer_stop (loop, &guard);
    }

  fail_if (overslept && seconds > 0.01 && owed < owed_before && stats ().rings >= rings_before, "slept through: an event came only when the time was over");
  fail_if (unlocked, "the lock of the loop is not taken back");
  fail_if (shared && !frozen && !releases, "the loop polls without giving its lock away");
}

static void
fail_lost (void)
{
  forgive_the_past (1);
  fail_if (owed_others [OWED_TIMER], "lost: the timer was never seen");
  fail_if (owed_others [OWED_ASYNC], "lost: the async was never seen");
  fail_if (owed_others [OWED_SIGNAL], "lost: the signal was never seen");

  for (int i = 0; i < activecnt; ++i)
    if (active [i]->want)
      fail_watcher (active [i], "lost", active [i]->want, "never got");
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
  double deadline = machine_now () + patience;

  run_for (block ? all_owed () ? patience : 1e-4 : 0.);

  for (int runs = 1; all_owed (); ++runs)
    {
      if (runs > EAGER_RUNS)
        {
          nanosleep (&pause, 0);
          forgive_the_past (0);
        }

      if (all_owed () && machine_now () > deadline)
        fail_lost ();
      else
        run_for (block ? patience : 0.);
    }
}

/*****************************************************************************/
/* statistics */

static int
is_watched (int slot)
{
  int w = world [slot].watcher;

  while (w >= 0 && !ev_is_active (&watchers [w].io))
    w = watchers [w].next;

  return w >= 0;
}

static void
check_stats (void)
{
  struct ev_linuxaio_stats s;
  unsigned fds = 0;

  if (!ev_linuxaio_stats (loop, &s, sizeof (s)))
    return;

  for (int i = 0; i < world_size; ++i)
    fds += is_watched (i);

  if (false_statistics (loop))
    fail ("%s", false_statistics (loop));

  if (s.ring_fds + s.epoll_fds < fds || s.ring_fds + s.epoll_fds > fds + HIDDEN_MAX)
    fail ("statistics: %u fds in rings and %u on epoll, but %u are watched", s.ring_fds, s.epoll_fds, fds);

  tally->ring_fds += s.ring_fds;
  tally->chosen   += s.epoll_chosen;
  tally->kind     += s.epoll_kind;
  tally->waiting  += s.epoll_waiting;
}

/*
 * a loop that has a ring notices a fork by itself, when it is run. others need ev_loop_fork, as
 * with epoll. so do those with an outer loop, which would wait for the parent's epoll set, and
 * take its signalfds off the list of what is ready
 */
static int
notices_forks (void)
{
  return !outside && stats ().rings;
}

static void
tally_stats (void)
{
  struct ev_linuxaio_stats s = stats ();

  tally->rings      += s.rings;
  tally->several    += s.rings > 1;
  tally->submitted  += s.submitted;
  tally->completed  += s.completed;
  tally->cancelled  += s.cancelled;
  tally->refused    += s.refused;
  tally->probe_hits += s.probe_hits;
  tally->faults     += fault_failures;
}

static void
check (int block, int rounds)
{
  int was_checking = checking;

  checking = 1;

  for (int round = 0; round < rounds; ++round)
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

  for (link = &world [w->slot].watcher; watchers + *link != w; link = &watchers [*link].next)
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
  world [slot].watcher = w - watchers;
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
  for (int i = world [slot].watcher; i >= 0; i = watchers [i].next)
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
  for (int i = world [slot].watcher; i >= 0; i = watchers [i].next)
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
children_alive (int options)
{
  int i = 0;

  while (i < childcnt)
    if (waitpid (children [i], 0, options))
      children [i] = children [--childcnt];
    else
      ++i;

  return childcnt;
}

/* what is closed with all its watchers stopped is closed for its peer as well */
static void
judge_close (int slot, int peer)
{
  if (peer < 0 || fault_used || children_alive (WNOHANG))
    return;

  ++tally->closes;
  if (!world_peer_saw_close (peer, options->patience_ms))
    fail ("slot %d is closed, but its peer (slot %d, %s) does not see it",
          slot, peer, world_kinds [world [peer].kind].name);
}

/*****************************************************************************/
/* operations */

#define OPERATION(name) static void op_ ## name (const struct call *c)

static int sociable; /* most files are of kinds that may be in a ring */

static int
kind_of (int byte)
{
  static const unsigned char kinds [] = { WORLD_STREAM, WORLD_TCP, WORLD_PIPE, WORLD_STREAM, WORLD_SEQPACKET };

  return sociable && byte % 8 ? kinds [byte % sizeof (kinds)] : 1 + byte % (WORLD_KINDS - 1);
}

OPERATION (MAKE)
{
  if (world_open (c->slot, kind_of (c->how)))
    trace ("  %s, fd %d", world_kinds [kind_of (c->how)].name, world [c->slot].fd);
}

static void
close_slot (int slot, int close_first, int verify)
{
  int peer = verify && !frozen ? world_sole_peer (slot) : -1;

  if (close_first)
    world_close (slot);

  slot_unbind_all (slot);

  if (!close_first)
    world_close (slot);

  judge_close (slot, peer);
}

OPERATION (CLOSE)       { close_slot (c->slot, 0, c->how & 1); }
OPERATION (CLOSE_FIRST) { close_slot (c->slot, 1, c->how & 1); }

/* the number of a slot's file becomes that of another one; its watchers are stopped before or after, and set anew */
static void
replace (int slot, int stop_first, int (*by) (int a, int b), int a, int b)
{
  if (stop_first)
    slot_stop_all (slot);

  by (a, b);

  if (!stop_first)
    slot_stop_all (slot);

  if (world [slot].fd >= 0)
    slot_set_anew (slot);
  else
    slot_unbind_all (slot);
}

OPERATION (REMAKE) { replace (c->slot, c->how & 1, world_reopen, c->slot, kind_of (c->how >> 1)); }
OPERATION (DUP)    { world_dup (c->slot, (c->slot + 1 + c->how % 7) % world_size); }

OPERATION (DUP_OVER)
{
  int to = (c->slot + 1 + (c->how >> 1) % 7) % world_size;

  if (to != c->slot && world [to].fd >= 0)
    replace (to, c->how & 1, world_dup_over, c->slot, to);
}

OPERATION (WRITE)    { world_write (c->slot, c->how); }
OPERATION (READ)     { world_read (c->slot, c->how); }
OPERATION (FILL)     { world_fill (c->slot); }
OPERATION (DRAIN)    { world_drain (c->slot); }
OPERATION (SHUTDOWN) { world_shutdown (c->slot, c->how); }

OPERATION (RESET)
{
  if (world [c->slot].kind != WORLD_TCP)
    return;

  slot_unbind_all (c->slot);
  world_reset (c->slot);
}

OPERATION (SET)
{
  int slot = (c->w - watchers + (c->how & 7)) % world_size;

  if (world [slot].fd < 0)
    return;

  watcher_bind (c->w, slot, 1 + (c->how >> 3) % 3);
  trace ("  slot %d, fd %d, events %x", slot, world [slot].fd, c->w->io.events & EVERYTHING);

  if (c->how < 224)
    watcher_start (c->w);
}

/* of an active watcher: write interest comes or goes beside it, as another one of the same slot, which is not set anew */
OPERATION (START)
{
  int i = world [c->w->slot].watcher;

  if (!ev_is_active (&c->w->io))
    {
      watcher_start (c->w);
      return;
    }

  while (i >= 0 && (watchers + i == c->w || watchers [i].io.events & EV_READ))
    i = watchers [i].next;

  if (i >= 0 && ev_is_active (&watchers [i].io))
    watcher_stop (watchers + i);
  else if (i >= 0)
    watcher_start (watchers + i);
}

OPERATION (STOP)    { watcher_stop (c->w); }
OPERATION (RESTART) { watcher_stop (c->w); watcher_start (c->w); }

OPERATION (MODIFY)
{
  watcher_stop (c->w);
  ev_io_modify (&c->w->io, 1 + c->how % 3);
  watcher_start (c->w);
}

OPERATION (PRIORITY)
{
  int was_active = ev_is_active (&c->w->io);

  watcher_stop (c->w);
  ev_set_priority (&c->w->io, EV_MINPRI + c->how % 5);

  if (was_active)
    watcher_start (c->w);
}

OPERATION (FEED)
{
  int mask = 1 + c->how % 3;

  c->w->fed |= mask;
  ev_feed_event (loop, &c->w->io, mask);
}

OPERATION (FEED_FD)
{
  int mask = 1 + c->how % 3;

  for (int i = world [c->slot].watcher; i >= 0; i = watchers [i].next)
    if (ev_is_active (&watchers [i].io))
      watchers [i].fed |= watchers [i].io.events & mask;

  ev_feed_fd_event (loop, world [c->slot].fd, mask);
}

OPERATION (CLEAR)
{
  if (!ev_is_pending (&c->w->io))
    return;

  ev_clear_pending (loop, &c->w->io);
  c->w->fed = 0;
}

/* operations on many slots or watchers in a row */
static void
many (const struct call *c, int of, void (*each) (int i, int high))
{
  for (int i = 0; i <= c->how * of / 1024; ++i)
    each ((c->low * of / 256 + i) % of, c->high);
}

static void
make_one (int slot, int how)
{
  static const unsigned char kinds [4] = { WORLD_STREAM, WORLD_PIPE, WORLD_EVENTFD, WORLD_DGRAM };

  world_open (slot, kinds [how & 3]);
}

static void
close_one (int slot, int how)
{
  if (world [slot].fd >= 0)
    close_slot (slot, how & 1, 0);
}

static void
set_one (int w, int how)
{
  if (world [w % world_size].fd < 0)
    return;

  watcher_bind (watchers + w, w % world_size, 1 + how % 3);
  watcher_start (watchers + w);
}

static void stop_one (int w, int how) { watcher_stop (watchers + w); }

OPERATION (MAKE_MANY)  { many (c, world_size, make_one); }
OPERATION (CLOSE_MANY) { many (c, world_size, close_one); }
OPERATION (SET_MANY)   { many (c, watchercnt, set_one); }
OPERATION (STOP_MANY)  { many (c, watchercnt, stop_one); }
OPERATION (NOWAIT)     { run_for (0.); }
OPERATION (BLOCK)      { run_for (1e-4); }
OPERATION (RENEW)      { ev_loop_fork (loop); }
OPERATION (BUSY)       { ev_linuxaio_busy_poll (loop, c->how & 1 ? 2e-5 : 0.); }

OPERATION (CHECK)
{
  if (!checking)
    check (c->how & 1, 1 + (c->how >> 1 & 1));
}

OPERATION (NEST)
{
  inner       = 1 + c->how % 6;
  inner_where = (c->how >> 4) % 3;
}

OPERATION (TIMER)
{
  if (ev_is_active (&timer_w))
    return;

  ev_timer_set (&timer_w, c->how & 1 ? 1e-4 : 0., 0.);
  ev_timer_start (loop, &timer_w);
  owed_others [OWED_TIMER] = 1;
}

OPERATION (ASYNC)
{
  owed_others [OWED_ASYNC] = 1;
  ev_async_send (loop, &async_w);
}

OPERATION (SIGNAL)
{
  if (!ev_is_active (&signal_w))
    return;

  owed_others [OWED_SIGNAL] = 1;
  raise (SIGUSR1);
}

/* what fails, how, and which of the next times; or that it fails no more, as a quota that comes and goes */
OPERATION (FAULT)
{
  int call = c->low % FAULT_COUNT;
  int count = 0;
  int error;

  if (!FAULTS)
    return;

  while (fault_error [call][count])
    ++count;

  error = fault_error [call][c->high % count];

  if (c->high >= 248)
    fault_mend (call);
  else /* interrupted for ever: nothing could ever be delivered */
    fault_arrange (call, error, 1 + c->how % 8, c->high >= 224 && error != EINTR);

  trace ("  %s: %s", fault_name [call], c->high >= 248 ? "never again" : fault_error_name (error));
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
  struct pollfd p = { r->reader, POLLIN, 0 };

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

  if (!(world_poll (slot) & POLLOUT))
    return 0;

  do
    {
      for (int i = world [at].watcher; i >= 0; i = watchers [i].next)
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
  double deadline = machine_now () + patience + stats ().rings * .1; /* which are removed if the bell cannot be registered */
  sigset_t all, before;
  pthread_t thread;

  sigfillset (&all);
  pthread_sigmask (SIG_SETMASK, &all, &before);
  fail_if (pthread_create (&thread, 0, remote_main, r), "no thread");
  pthread_sigmask (SIG_SETMASK, &before, 0);

  for (w->want = EV_READ, owed = 1; w->want && r->done >= 0 && machine_now () < deadline; )
    run_for (patience);

  pthread_join (thread, 0);

  if (w->want && r->done > 0 && events_of (world_poll (w->slot)) & EV_READ)
    fail_watcher (w, "slept through", EV_READ, "never got");

  owed = w->want = 0;
  tally->wakeups += r->done > 0;
}

OPERATION (REMOTE)
{
  struct watcher *w = wakes (c->slot);
  struct remote r = { world [c->slot].fd, w ? w->io.fd : -1, { 0, (c->how & 7) * 10000 }, 0 };

  if (!w)
    return;

  world_sample (c->slot);
  checking = 1;
  sleep_until_woken (w, &r);
  checking = 0;
  world_sample (c->slot);
}

/* what the child does: keeps its hands off the files, or the parent would not know what they are like */
static void
child_main (int how, const unsigned char *end, int verdict)
{
  prctl (PR_SET_PDEATHSIG, SIGKILL);
  frozen = 1;
  childcnt = 0;
  owed_others [OWED_SIGNAL] = 0;
  pc_end = end;

  if (how & 1 || !notices_forks ())
    ev_loop_fork (loop);

  while (pc < pc_end)
    step ();

  if (how & 2)
    ev_loop_destroy (loop);
  else
    check (how >> 4 & 1, 2);

  fail_if (write (verdict, "", 1) != 1, "the child cannot tell its verdict");
  _exit (0);
}

/* the child runs the next few operations and a check, or destroys the loop; the parent goes on once it is done */
OPERATION (FORK)
{
  int count = c->how >> 2 & 3;
  const unsigned char *end = pc + count * MACHINE_OP < pc_end ? pc + count * MACHINE_OP : pc_end;
  int verdict [2];
  char told;
  pid_t pid;

  /* forking is dear, and so are its children while they exit */
  if (c->high >= 32 || childcnt == 16 || pipe (verdict))
    return;

  /* what is pending was true, even if it is not for the child (signals) */
  world_sample_all ();
  pid = fork ();
  fail_if (pid < 0, "no child");

  if (!pid)
    {
      close (verdict [0]);
      child_main (c->how, end, verdict [1]);
    }

  close (verdict [1]);
  children [childcnt++] = pid;
  pc = end;
  ++tally->forks;
  fail_if (read (verdict [0], &told, 1) != 1, "a forked child did not survive its check");
  close (verdict [0]);
}

/*****************************************************************************/
/* execution */

static const struct
{
  void (*run) (const struct call *c);
  const char *name;
  int weight, needs;
} ops [OP_COUNT] = {
#define X(name, weight, needs) { op_ ## name, #name, weight, needs },
  MACHINE_OPS (X)
#undef X
};

enum machine_opcode
machine_opcode_of (unsigned char byte)
{
  int op = 0, left = byte;

  while (op < OP_COUNT && left >= ops [op].weight)
    left -= ops [op++].weight;

  return op < OP_COUNT ? (enum machine_opcode)op : OP_CHECK;
}

static int
applies (const struct call *c, int needs)
{
  return !((needs & OPEN) == OPEN && world [c->slot].fd < 0)
      && !((needs & BOUND) == BOUND && c->w->slot < 0)
      && !((needs & ACTIVE) == ACTIVE && !ev_is_active (&c->w->io))
      && !(needs & PARENT && frozen)
      && !(needs & TOP && (depth || checking));
}

static void
trace_call (const struct call *c, int op)
{
  char slot [80] = "", w [80] = "";

  if (ops [op].needs & SLOT)
    sprintf (slot, " slot %d (%s, fd %d)", c->slot, world_kinds [world [c->slot].kind].name, world [c->slot].fd);

  if (ops [op].needs & WATCHER)
    sprintf (w, " w%d (slot %d, fd %d, events %x, %sactive)", (int)(c->w - watchers),
             c->w->slot, c->w->io.fd, c->w->io.events & EVERYTHING, ev_is_active (&c->w->io) ? "" : "not ");

  trace ("%s%s%s, how %d", ops [op].name, slot, w, c->how);
}

static void
step (void)
{
  const unsigned char *a = pc;
  enum machine_opcode op = machine_opcode_of (*a);
  int which = a [1] | a [2] << 8;
  struct call c = { which % world_size, watchers + which % watchercnt, a [1], a [2], a [3] };

  pc += MACHINE_OP;

  if (!applies (&c, ops [op].needs))
    return;

  if (options->trace)
    trace_call (&c, op);

  ++tally->operations;
  changed = 1;
  ops [op].run (&c);
}

/* the header picks one of a few sizes, the policy, and flags */
static void
configure (const unsigned char *header)
{
  static const short sizes  [16] = { 4, 6, 8, 8, 12, 12, 16, 16, 24, 24, 48, 48, 100, 300, 300, 2400 };
  static const short firsts  [8] = { 1, 2, 4, 8, 16, 30, 62, 62 };
  static const short nexts   [8] = { 2, 6, 16, 40, 62, 254, 1022, 1022 };
  static const short worths  [4] = { 1, 4, 60, 1000 };
  unsigned flags = options->backend | EVFLAG_NOENV;

  fault_reset ();
  knob_first = firsts [header [1] & 7];
  knob_next  = nexts [header [1] >> 3 & 7];
  knob_worth = worths [header [1] >> 6];
  fault_ring = header [3] >= 224 ? header [3] % FAULT_RINGS : FAULT_RING_GOOD;

  if (options->arrange)
    options->arrange ();

  flags |= header [2] & 1 ? EVFLAG_FORKCHECK : 0;
  flags |= header [2] & 2 ? EVFLAG_SIGNALFD : 0;
  flags |= header [2] & 4 ? EVFLAG_NOTIMERFD : 0;
  flags |= header [2] & 32 && flags & EVBACKEND_LINUXAIO ? EVBACKEND_EPOLL : 0;

  loop = ev_loop_new (flags);
  fail_if (!loop, "no loop");

  if (header [2] & 64)
    ev_linuxaio_busy_poll (loop, 1e-9);

  sociable = header [3] & 1;
  outside  = header [3] & 2 && flags & (EVBACKEND_EPOLL | EVBACKEND_LINUXAIO);
  shared   = header [2] & 128;
  if (shared)
    ev_set_loop_release_cb (loop, release_cb, acquire_cb);

  world_init (sizes [header [0] & 15]);
  watchercnt = world_size + world_size / 2;
  watchers   = (struct watcher *)calloc (watchercnt, sizeof (*watchers));
  active     = (struct watcher **)calloc (watchercnt, sizeof (*active));

  for (int i = 0; i < watchercnt; ++i)
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
  ev_fork_init (&fork_w, fork_cb);
  ev_fork_start (loop, &fork_w);
  outside_fd = -1;
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

/* every request comes to its end, unless calls have failed */
static void
drain (void)
{
  double deadline = machine_now () + options->patience_ms * 1e-3;

  for (; stats ().in_flight && !fault_used; run_for (0.001))
    fail_if (machine_now () > deadline, "requests are in flight, but everything is stopped");
}

/* the end: half of the programs leave their watchers running */
static void
finish (int stop_first)
{
  stop_helpers ();

  for (int i = 0; i < watchercnt && stop_first; ++i)
    watcher_unbind (watchers + i);

  if (stop_first)
    drain ();

  tally_stats ();
  ev_loop_destroy (loop);
  world_done ();
  children_alive (0);
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
  int descriptors = open_fds (""), blocks = allocated_blocks;

  options = o;
  tally   = t;
  inner   = depth = checking = owed = 0;
  memset (owed_others, 0, sizeof (owed_others));
  ev_set_allocator (counting_alloc);
  signal (SIGPIPE, SIG_IGN);

  configure (header);
  start_helpers (header [2] & 8);

  pc     = program + MACHINE_HEADER;
  pc_end = pc + (size < MACHINE_HEADER ? 0 : (size - MACHINE_HEADER) / MACHINE_OP * MACHINE_OP);
  while (pc < pc_end && !(o->limit && t->operations >= o->limit))
    step ();

  check (0, 2);
  finish (header [2] & 16);

  if (allocated_blocks != blocks)
    fail ("%d blocks of memory are left after ev_loop_destroy", allocated_blocks - blocks);

  if (open_fds ("") != descriptors)
    fail ("%d descriptors before, %d after", descriptors, open_fds (""));

  fail_if (rings (0), "a ring is still mapped after ev_loop_destroy");
}
