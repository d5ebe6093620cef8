/*
 * w_events.c - the cost of events; included by bench.c
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

/* phases of rounds */
static void step (void)       { turn_wait (); }
static void look (void)       { turn_nowait (); }
static void settle (void)     { wait_for (CHUNK); }
static void settle_one (void) { wait_for (1); }
static void send_one (void)   { put_byte (chans [cursor].to); }

#define PHASE(name,action) static void name (void) { struct chan *c; EACH (c) action; }

PHASE (start_io,    io_start (&c->io))
PHASE (stop_io,     io_stop (&c->io))
PHASE (reset_io,    io_reset (&c->io, c->fd, IO_READ))
PHASE (start_read,  rw_read_start (&c->rw))
PHASE (start_write, rw_write_start (&c->rw))
PHASE (stop_write,  rw_write_stop (&c->rw))
PHASE (anew,        rw_anew (&c->rw, workload->cb, workload->wcb, c->fd))
PHASE (send_all,        put_byte (c->to))
PHASE (empty,       drain (c->to))

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
init_all (void)
{
  int k;

  for (k = 0; k < opt.n; ++k)
    io_init (&chans [k].io, workload->cb, chans [k].fd, IO_READ);
}

static struct chan *
next_of (struct chan *c)
{
  return c + 1 < chans + opt.n ? c + 1 : chans;
}

/* watched while a byte is expected there: none of them, each, or every other */
enum { STAY, PASS, PASS_ANEW, BLEND };

#define PASSING(c) (workload->how && (workload->how != BLEND || ((c) - chans) & 1))

static void
pass_to (struct chan *c)
{
  if (workload->how == PASS_ANEW)
    io_anew (&c->io, workload->cb, c->fd, IO_READ);

  io_start (&c->io);
}

/* each writes to the next one */
static void
ring (void)
{
  int first = chans [0].to, k;

  for (k = 0; k < opt.n; ++k)
    chans [k].to = k < opt.n - 1 ? chans [k + 1].to : first;

  init_all ();

  for (k = 0; k < opt.n; ++k)
    if (!PASSING (chans + k))
      io_start (&chans [k].io);

  for (k = 0; k < opt.active; ++k)
    {
      struct chan *c = chans + (long)k * opt.n / opt.active;

      if (PASSING (next_of (c)))
        pass_to (next_of (c));

      put_byte (c->to);
    }
}

static void
w_ring (void)
{
  make_chans (WORLD_STREAM);
  ring ();
}

static void
w_pipering (void)
{
  make_chans (WORLD_PIPE);
  ring ();
}

/* scale: n idle sockets and a ring of 100 with "active" bytes in it. One operation:
 * one event, as in ring.
 */

static void
w_scale (void)
{
  watch (calloc (opt.n, sizeof *chans), make_channels (opt.n / 2, WORLD_STREAM), opt.n);
  turn_nowait ();
  opt.n = 100;
  w_ring ();
}

/* oneshot: as coroutines use a loop. "active" bytes travel round n sockets; a
 * socket is watched only while a byte is expected there. One operation: one
 * event, which stops its watcher, reads, starts the next one's and writes.
 * oneshotnew: the same with a new watcher each time, as gevent's select, Lwt and
 * AnyEvent have it.
 */

IO_CB (pass_cb)
{
  struct chan *c = (struct chan *)w;

  if (PASSING (c))
    io_stop (w);

  get_byte (c->fd);

  if (PASSING (next_of (c)))
    pass_to (next_of (c));

  put_byte (c->to);
  ++done;
}

/* blend: the ring, in which every other socket is watched only while a byte is
 * expected there, as in oneshot; a listening socket beside and, where there are timers,
 * one that is never due. One operation: one event.
 */

#ifndef BARE
TIMER_CB (never_cb)
{
  errx (1, "time-out");
}
#endif

static void
w_blend (void)
{
  static struct chan beside;

  start (&beside, no_cb, make_channels (1, WORLD_LISTEN) [0], IO_READ);
#ifndef BARE
  timer_init (&beside.timer, never_cb);
  timer_start (&beside.timer, 3600.);
#endif
  w_ring ();
}

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
w_late (void)
{
  make_chans (WORLD_STREAM);
  init_all ();
}

/* turns: n sockets are read from and written to in turns, with a watcher for
 * each: start the one for writing, event, stop, start the one for reading, event,
 * stop. One operation: one turn of both. turnsanew: watchers are set anew each time.
 */

IO_CB (write_cb)
{
  rw_write_stop (RW_OF_WRITE (w));
  --left;
}

IO_CB (read_cb)
{
  struct chan *c = (struct chan *)w;

  get_byte (c->fd);
  rw_read_stop (&c->rw);
  --left;
}

static void
w_turns (void)
{
  int k;

  make_chans (WORLD_STREAM);

  for (k = 0; k < opt.n; ++k)
    rw_init (&chans [k].rw, workload->cb, workload->wcb, chans [k].fd);
}

/* writeinterest: n sockets watched for reading. A round starts 10 write
 * watchers beside; they fire, and their callback stops them. One operation: one
 * start, event and stop.
 */

static void
w_both (void)
{
  int k;

  w_turns ();

  for (k = 0; k < opt.n; ++k)
    rw_read_start (&chans [k].rw);

  turn_nowait ();
}

/* writewait: the same with n sockets that are full, as where programs only ask for
 * it when they cannot write. A round starts 10 write watchers, reads a byte that comes
 * in, and stops them: none has fired. One operation: one start and stop, and a tenth of
 * an event.
 * writefire: n full sockets. A round starts 10 write watchers; a turn finds nothing;
 * then the far ends are read from, the watchers fire, write what fits, and stop. One
 * operation: one start, wait, event and stop.
 */

static void
fill (int fd)
{
  static const char junk [1024];

  while (write (fd, junk, sizeof junk) > 0)
    ;
}

IO_CB (fill_cb)
{
  struct chan *c = (struct chan *)RW_OF_WRITE (w);

  rw_write_stop (&c->rw);
  fill (c->fd);
  --left;
}

static void
w_full (void)
{
  int least = 0, k;

  w_both ();

  for (k = 0; k < opt.n; ++k)
    {
      setsockopt (chans [k].fd, SOL_SOCKET, SO_SNDBUF, &least, sizeof least);
      fill (chans [k].fd);
    }
}

/* nowait: n armed watchers of idle sockets. One operation: one turn of the loop
 * that does not sleep and finds nothing.
 * stopstart: of n armed watchers of idle sockets a round stops 10, turns the loop, starts
 * them again, turns the loop; the next round takes the next 10. One operation: one stop
 * and one start.
 * reset: the same with the stop and the start in one iteration, and the fd set anew in
 * between. One operation: one stop, set and start.
 */

#ifndef BARE /* it has no way to drop events, and no timers */

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
w_stopother (void)
{
  int k;

  w_late ();

  for (k = 0; k < opt.n; ++k)
    io_start (&chans [k].io);

  turn_nowait ();
}

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
w_mixed (void)
{
  static timer_w ticks [TICKS];
  int k;

  w_ring ();

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

#endif

#ifndef IOCB_CMD_POLL /* which refuses ttys */

/* ttys: the ring, in which one of ten fds is a pseudo terminal and one a FIFO
 * opened for reading and writing. One operation: one event.
 */

static void
w_ttys (void)
{
  int k;

  make_chans (WORLD_STREAM);

  for (k = 3; k < opt.n; k += 10)
    {
      int *tty = make_channels (1, WORLD_PTY), *fifo = make_channels (1, WORLD_FIFO);

      chans [k].fd     = tty [1];
      chans [k].to     = tty [0];
      chans [k + 4].fd = fifo [0];
      chans [k + 4].to = fifo [1];
    }

  ring ();
}

#endif
