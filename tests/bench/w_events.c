/*
 * w_events.c - the cost of events; included by bench.c
 */

/*****************************************************************************/
/* ring, pipering: n watched fds in a circle, and "active" bytes that travel
 * round it. One operation: one event, that is one wake-up share, one read, one
 * write that makes the next fd readable.
 */

IO_CB (ring_cb)
{
  struct chan *c = (struct chan *)w;

  get_byte (c->fd);
  put_byte (c->to);
  ++done;
}

static void
step_wait (void)
{
  turn_wait ();
}

/* each writes to the next one */
static void
circle (void)
{
  int first = chans [0].to, k;

  for (k = 0; k < opt.n - 1; ++k)
    chans [k].to = chans [k + 1].to;

  chans [k].to = first;
}

static void
ring (io_cb *cb)
{
  int k;

  circle ();
  init_all (cb);
  start_all ();

  for (k = 0; k < opt.active; ++k)
    put_byte (chans [(long)k * opt.n / opt.active].to);
}

static void
w_ring (int kind)
{
  make_chans (kind);
  ring (ring_cb);
}

/*****************************************************************************/
/* oneshot: as coroutines use a loop. "active" bytes travel round n sockets; a
 * socket is watched only while a byte is expected there. One operation: one
 * event, which stops its watcher, reads, starts the next one's and writes.
 * oneshotnew: the same with a new watcher each time, as gevent's select, Lwt and
 * AnyEvent have it.
 */

static int anew;

static struct chan *
next_of (struct chan *c)
{
  return c + 1 < chans + opt.n ? c + 1 : chans;
}

static void oneshot_start (struct chan *c);

IO_CB (oneshot_cb)
{
  struct chan *c = (struct chan *)w;

  io_stop (w);
  get_byte (c->fd);
  oneshot_start (next_of (c));
  put_byte (c->to);
  ++done;
}

static void
oneshot_start (struct chan *c)
{
  if (anew)
    io_anew (&c->io, oneshot_cb, c->fd, IO_READ);

  io_start (&c->io);
}

static void
w_oneshot (int new)
{
  int k;

  anew = new;
  make_chans (SOCKETS);
  circle ();
  init_all (oneshot_cb);

  for (k = 0; k < opt.active; ++k)
    {
      struct chan *c = chans + (long)k * opt.n / opt.active;

      io_start (&next_of (c)->io);
      put_byte (c->to);
    }
}

/*****************************************************************************/
/* blend: the ring, in which every other socket is watched only while a byte is
 * expected there, as in oneshot; a listening socket and a timer that is never due
 * beside. One operation: one event.
 */

#define PASSING(c) (((c) - chans) & 1)

IO_CB (blend_cb)
{
  struct chan *c = (struct chan *)w;

  if (PASSING (c))
    io_stop (w);

  get_byte (c->fd);

  if (PASSING (next_of (c)))
    io_start (&next_of (c)->io);

  put_byte (c->to);
  ++done;
}

TIMER_CB (never_cb)
{
  fail ("time-out");
}

static int make_listener (void);

static void
w_blend (int unused)
{
  static struct chan beside;
  int k;

  make_chans (SOCKETS);
  io_init (&beside.io, no_cb, make_listener (), IO_READ);
  io_start (&beside.io);
  timer_init (&beside.timer, never_cb);
  timer_start (&beside.timer, 3600.);
  circle ();
  init_all (blend_cb);

  for (k = 0; k < opt.n; k += 2)
    io_start (&chans [k].io);

  put_byte (chans [opt.n - 1].to);
}

/*****************************************************************************/
/* late: as oneshot, but the data comes when the loop waits for it already. A round
 * starts 10 watchers and turns the loop, which finds nothing; then 10 bytes are written.
 * One operation: one start, wait, event and stop.
 */

IO_CB (late_cb)
{
  io_stop (w);
  get_byte (io_fd (w));
  --left;
}

static void
step_late (void)
{
  struct chan *c;

  EACH (c)
    io_start (&c->io);

  turn_nowait ();

  EACH (c)
    put_byte (c->to);

  wait_for (CHUNK);
  next_round ();
}

static void
w_late (int unused)
{
  make_chans (SOCKETS);
  init_all (late_cb);
}

/*****************************************************************************/
/* turns: n sockets are read from and written to in turns, with a watcher for
 * each: start the one for writing, event, stop, start the one for reading, event,
 * stop. One operation: one turn of both. turnsanew: watchers are set anew each time.
 */

IO_CB (turn_write_cb)
{
  rw_write_stop (RW_OF_WRITE (w));
  --left;
}

IO_CB (turn_read_cb)
{
  struct chan *c = (struct chan *)RW_OF_READ (w);

  get_byte (c->fd);
  rw_read_stop (&c->rw);
  --left;
}

static void
step_turns (void)
{
  struct chan *c;

  EACH (c)
    {
      if (anew)
        rw_anew (&c->rw, turn_read_cb, turn_write_cb, c->fd);

      rw_write_start (&c->rw);
    }

  wait_for (CHUNK);

  EACH (c)
    {
      if (anew)
        rw_anew (&c->rw, turn_read_cb, turn_write_cb, c->fd);

      rw_read_start (&c->rw);
      put_byte (c->to);
    }

  wait_for (CHUNK);
  next_round ();
}

static void
w_turns (int new)
{
  int k;

  anew = new;
  make_chans (SOCKETS);

  for (k = 0; k < opt.n; ++k)
    rw_init (&chans [k].rw, turn_read_cb, turn_write_cb, chans [k].fd);
}

/*****************************************************************************/
/* stopother: n sockets, of which 10 get a byte each; the first callback stops
 * the watchers of the others, whose events are pending by then, reads all, and
 * starts them again. One operation: one of the ten.
 */

IO_CB (stopother_cb)
{
  struct chan *me = (struct chan *)w, *c;

  EACH (c)
    if (c != me)
      io_stop (&c->io);

  EACH (c)
    get_byte (c->fd);

  EACH (c)
    if (c != me)
      io_start (&c->io);

  left = 0;
}

static void
step_stopother (void)
{
  struct chan *c;

  EACH (c)
    put_byte (c->to);

  wait_for (1);
  next_round ();
}

static void
w_stopother (int unused)
{
#if ONE_TIMER
  skip ("a bare loop has no way to drop events");
#endif
  make_chans (SOCKETS);
  init_all (stopother_cb);
  start_all ();
  turn_nowait ();
}

/*****************************************************************************/
/* writeinterest: n sockets watched for reading. A round starts 10 write
 * watchers beside; they fire, and their callback stops them. One operation: one
 * start, event and stop.
 */

static void
start_writers (void)
{
  struct chan *c;

  EACH (c)
    rw_write_start (&c->rw);
}

static void
step_writeinterest (void)
{
  start_writers ();
  wait_for (CHUNK);
  next_round ();
}

static void
w_writeinterest (int unused)
{
  make_chans (SOCKETS);
  init_rw (no_cb, turn_write_cb);
}

/*****************************************************************************/
/* writewait: the same with n sockets that are full, as where programs only ask for
 * it when they cannot write. A round starts 10 write watchers, reads a byte that comes
 * in, and stops them: none has fired. One operation: one start and stop, and a tenth of
 * an event.
 */

static void
fill (int fd)
{
  static const char junk [1024];

  while (write (fd, junk, sizeof junk) > 0)
    ;
}

static void
make_full (void)
{
  int least = 0, k;

  make_chans (SOCKETS);

  for (k = 0; k < opt.n; ++k)
    {
      setsockopt (chans [k].fd, SOL_SOCKET, SO_SNDBUF, &least, sizeof least);
      fill (chans [k].fd);
    }
}

static void
step_writewait (void)
{
  struct chan *c;

  start_writers ();
  put_byte (at (0)->to);
  wait_for (1);

  EACH (c)
    rw_write_stop (&c->rw);

  next_round ();
}

static void
w_writewait (int unused)
{
  make_full ();
  init_rw (no_cb, no_cb);
}

/*****************************************************************************/
/* writefire: n full sockets. A round starts 10 write watchers; a turn finds nothing;
 * then the far ends are read from, the watchers fire, write what fits, and stop. One
 * operation: one start, wait, event and stop.
 */

static long
drain (int fd)
{
  char buf [8192];
  long sum = 0, res;

  while ((res = read (fd, buf, sizeof buf)) > 0)
    sum += res;

  return sum;
}

IO_CB (writefire_cb)
{
  rw_write_stop (RW_OF_WRITE (w));
  fill (CHAN_OF_WRITE (w)->fd);
  --left;
}

static void
step_writefire (void)
{
  struct chan *c;

  start_writers ();
  turn_nowait ();

  EACH (c)
    drain (c->to);

  wait_for (CHUNK);
  next_round ();
}

static void
w_writefire (int unused)
{
  make_full ();
  init_rw (no_cb, writefire_cb);
}

/*****************************************************************************/
/* nowait: n armed watchers of idle sockets. One operation: one turn of the loop
 * that does not sleep and finds nothing.
 */

static void
step_nowait (void)
{
  turn_nowait ();
  ++done;
}

/*****************************************************************************/
/* scale: n idle sockets and a ring of 100 with "active" bytes in it. One operation:
 * one event, as in ring.
 */

static void
w_scale (int unused)
{
  int n = opt.n, *fds, k;

  limit_n (1, 200);
  fds = make_channels (n / 2, SOCKETS);
  chans = calloc (n, sizeof *chans);

  for (k = 0; k < n; ++k)
    {
      io_init (&chans [k].io, no_cb, fds [k], IO_READ);
      io_start (&chans [k].io);
    }

  turn_nowait ();
  opt.n = 100;
  w_ring (SOCKETS);
}

/*****************************************************************************/
/* mixed: the ring, where every fd has a time-out of 30 s which each event on it
 * sets anew, and ten timers expire every 1 - 2 ms beside. One operation: one
 * event.
 */

#define TICKS 10

TIMER_CB (tick_cb)
{
  timer_start (w, .0015);
}

IO_CB (mixed_cb)
{
  struct chan *c = (struct chan *)w;

  get_byte (c->fd);
  timer_start (&c->timer, 30.);
  put_byte (c->to);
  ++done;
}

static void
w_mixed (int unused)
{
  static timer_w ticks [TICKS];
  int k;

#if ONE_TIMER
  skip ("a bare loop has but one timer");
#endif
  make_chans (SOCKETS);
  ring (mixed_cb);

  for (k = 0; k < opt.n; ++k)
    {
      timer_init (&chans [k].timer, never_cb);
      timer_start (&chans [k].timer, 30.);
    }

  for (k = 0; k < TICKS; ++k)
    {
      timer_init (&ticks [k], tick_cb);
      timer_start (&ticks [k], .001 + k * .0001);
    }
}

/*****************************************************************************/
/* ttys: the ring, in which one of ten fds is a pseudo terminal and one a FIFO
 * opened for reading and writing; both are of the kinds that IOCB_CMD_POLL
 * refuses. One operation: one event.
 */

static void
become_tty (struct chan *c)
{
  struct termios tio;

  if ((c->to = posix_openpt (O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0 || grantpt (c->to) || unlockpt (c->to)
      || (c->fd = open (ptsname (c->to), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)) < 0)
    skip ("no pseudo terminal: %s", strerror (errno));

  tcgetattr (c->fd, &tio);
  cfmakeraw (&tio);
  tcsetattr (c->fd, TCSANOW, &tio);
}

static void
become_fifo (struct chan *c)
{
  char path [32];

  /* a pipe's end, opened anew for both, is what a FIFO is */
  snprintf (path, sizeof path, "/proc/self/fd/%d", make_channels (1, PIPES) [0]);

  if ((c->fd = c->to = open (path, O_RDWR | O_NONBLOCK | O_CLOEXEC)) < 0)
    fail ("FIFO");
}

static void
w_ttys (int unused)
{
  int k;

#if ONLY_RING
  skip ("IOCB_CMD_POLL refuses ttys");
#endif
  make_chans (SOCKETS);

  for (k = 3; k < opt.n; k += 10)
    become_tty (&chans [k]);

  for (k = 7; k < opt.n; k += 10)
    become_fifo (&chans [k]);

  ring (ring_cb);
}
