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

static void
init (struct chan *c)
{
  io_init (&c->rd, workload->cb, c->fd, IO_READ);
  io_init (&c->wr, workload->wcb, c->fd, IO_WRITE);
}

static void
init_anew (struct chan *c)
{
  io_anew (&c->rd, workload->cb, c->fd, IO_READ);
  io_anew (&c->wr, workload->wcb, c->fd, IO_WRITE);
}

/* phases of rounds */
static void step (void)       { turn_wait (); }
static void look (void)       { turn_nowait (); }
static void settle (void)     { wait_for (CHUNK); }
static void settle_one (void) { wait_for (1); }
static void send_one (void)   { put_byte (chans [cursor].to); }

#define PHASE(name,action) static void name (void) { struct chan *c; EACH (c) action; }

PHASE (start_read,  io_start (&c->rd))
PHASE (stop_read,   io_stop (&c->rd))
PHASE (start_write, io_start (&c->wr))
PHASE (stop_write,  io_stop (&c->wr))
PHASE (reset,       io_reset (&c->rd, c->fd, IO_READ))
PHASE (anew,        init_anew (c))
PHASE (send_all,    put_byte (c->to))
PHASE (empty,       drain (c->to))

/* ring, pipering: n watched fds in a circle, and "active" bytes that travel
 * round it. One operation: one event, that is one wake-up share, one read, one
 * write that makes the next fd readable.
 */

READ_CB (ring_cb)
{
  get_byte (c->fd);
  put_byte (c->to);
  ++done;
}

static void
init_all (void)
{
  struct chan *c;

  for (c = chans; c < chans + opt.n; ++c)
    init (c);
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
    io_anew (&c->rd, workload->cb, c->fd, IO_READ);

  io_start (&c->rd);
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
      io_start (&chans [k].rd);

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
  chans = make_chans (opt.n, WORLD_STREAM, 0);
  ring ();
}

static void
w_pipering (void)
{
  chans = make_chans (opt.n, WORLD_PIPE, 0);
  ring ();
}

/* ttys: the ring, in which one of ten fds is a pseudo terminal and one a FIFO
 * opened for reading and writing. One operation: one event.
 */

static void
w_ttys (void)
{
  struct chan *other;
  int k;

  chans = make_chans (opt.n, WORLD_STREAM, 0);

  for (k = 3; k < opt.n; k += 10)
    {
      other = make_chans (1, WORLD_PTY, 1); /* the slave is the second */
      chans [k].fd = other [1].fd;
      chans [k].to = other [1].to;
      chans [k + 4] = *make_chans (1, WORLD_FIFO, 0);
    }

  ring ();
}

/* scale: n idle sockets and a ring of 100 with "active" bytes in it. One operation:
 * one event, as in ring.
 */

static void
w_scale (void)
{
  watch (make_chans (opt.n, WORLD_STREAM, 1), opt.n);
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

READ_CB (pass_cb)
{
  if (PASSING (c))
    io_stop (&c->rd);

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

static void
w_blend (void)
{
  static timer_w never;

  start (make_chans (1, WORLD_LISTEN, 0), no_cb);
  timer_start (&never, 3600.);
  w_ring ();
}

/* late: as oneshot, but the data comes when the loop waits for it already. A round
 * starts 10 watchers and turns the loop, which finds nothing; then 10 bytes are written.
 * One operation: one start, wait, event and stop.
 */

READ_CB (late_cb)
{
  get_byte (c->fd);
  io_stop (&c->rd);
  --left;
}

static void
w_late (void)
{
  chans = make_chans (opt.n, WORLD_STREAM, 0);
  init_all ();
}

/* turns: n sockets are read from and written to in turns, with a watcher for
 * each: start the one for writing, event, stop, start the one for reading, event,
 * stop. One operation: one turn of both. turnsanew: watchers are set anew each time.
 */

WRITE_CB (write_cb)
{
  io_stop (&c->wr);
  --left;
}

/* stopother: n sockets, of which 10 get a byte each; the first callback stops
 * the watchers of the others, whose events are pending by then, reads all, and
 * starts them again. One operation: one of the ten.
 */

READ_CB (stopother_cb)
{
  struct chan *me = c;

  EACH (c)
    if (c != me)
      io_stop (&c->rd);

  EACH (c)
    get_byte (c->fd);

  EACH (c)
    if (c != me)
      io_start (&c->rd);

  left = 0;
}

/* writeinterest: n sockets watched for reading. A round starts 10 write
 * watchers beside; they fire, and their callback stops them. One operation: one
 * start, event and stop.
 */

static void
w_both (void)
{
  int k;

  w_late ();

  for (k = 0; k < opt.n; ++k)
    io_start (&chans [k].rd);

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

WRITE_CB (fill_cb)
{
  io_stop (&c->wr);
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
