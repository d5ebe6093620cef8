/*
 * w_events.c - the cost of events; included by workloads.c
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

static void
ring_world (enum channel kind)
{
  int *fds, k;

  limit_n (2, 0);
  fds = make_channels (opt.n, kind);
  chans = new_chans (opt.n);

  for (k = 0; k < opt.n; ++k)
    {
      chans [k].fd = fds [2 * k];
      chans [k].to = fds [(2 * k + 3) % (2 * opt.n)];
    }
}

static void
ring (enum channel kind)
{
  long ops;
  int k;

  ring_world (kind);

  if (opt.active > opt.n)
    opt.active = opt.n;

  ops = ops_or (100000);

  for (k = 0; k < opt.n; ++k)
    io_init (&chans [k].io, ring_cb, chans [k].fd, IO_READ);

  start_all ();

  for (k = 0; k < opt.active; ++k)
    put_byte (chans [(long)k * opt.n / opt.active].to);

  drive_warm (step_wait, warm (ops));
  drive (step_wait, ops);
  drive_clocked (step_wait, ops / 4);
}

static void
w_ring (void)
{
  ring (SOCKETS);
}

static void
w_pipering (void)
{
  ring (PIPES);
}

/* readwrite: what the ring does without a loop. One operation: one read and one
 * write, of the fd whose turn it is.
 */

static void
step_readwrite (void)
{
  struct chan *c = chans + cursor;

  get_byte (c->fd);
  put_byte (c->to);

  if (++cursor == opt.n)
    cursor = 0;

  ++done;
}

static void
w_readwrite (void)
{
  long ops = ops_or (100000);

  ring_world (SOCKETS);
  put_byte (chans [opt.n - 1].to);
  drive_warm (step_readwrite, warm (ops));
  drive (step_readwrite, ops);
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
w_oneshot (void)
{
  struct chan *c;
  long ops = ops_or (100000);
  int k;

  ring_world (SOCKETS);

  if (opt.active > opt.n / 2)
    opt.active = opt.n / 2;

  for (k = 0; k < opt.n; ++k)
    io_init (&chans [k].io, oneshot_cb, chans [k].fd, IO_READ);

  for (k = 0; k < opt.active; ++k)
    {
      c = chans + (long)k * opt.n / opt.active;
      io_start (&next_of (c)->io);
      put_byte (c->to);
    }

  drive_warm (step_wait, warm (ops));
  drive (step_wait, ops);
  drive_clocked (step_wait, ops / 4);
}

static void
w_oneshotnew (void)
{
  anew = 1;
  w_oneshot ();
}

/*****************************************************************************/
/* blend: the ring, in which every other socket is watched only while a byte is
 * expected there, as in oneshot; a listening socket and a timer that is never due
 * beside. One operation: one event.
 */

static int
passing (const struct chan *c)
{
  return (c - chans) & 1;
}

IO_CB (blend_cb)
{
  struct chan *c = (struct chan *)w;

  if (passing (c))
    io_stop (w);

  get_byte (c->fd);

  if (passing (next_of (c)))
    io_start (&next_of (c)->io);

  put_byte (c->to);
  ++done;
}

TIMER_CB (never_cb)
{
  fail ("time-out");
}

static void
w_blend (void)
{
  struct sockaddr_in addr;
  static io_w listener;
  static timer_w timer;
  long ops = ops_or (100000);
  int k;

  ring_world (SOCKETS);
  io_init (&listener, no_cb, make_listener (&addr), IO_READ);
  io_start (&listener);
  timer_init (&timer, never_cb);
  timer_start (&timer, 3600.);

  for (k = 0; k < opt.n; ++k)
    {
      io_init (&chans [k].io, blend_cb, chans [k].fd, IO_READ);

      if (!passing (chans + k))
        io_start (&chans [k].io);
    }

  if (passing (chans))
    fail ("odd");

  put_byte (chans [opt.n - 1].to);
  drive_warm (step_wait, warm (ops));
  drive (step_wait, ops);
  drive_clocked (step_wait, ops / 4);
}

/*****************************************************************************/
/* turns: n sockets are read from and written to in turns, with a watcher for
 * each: start the one for writing, event, stop, start the one for reading, event,
 * stop. One operation: one turn of both. turnsanew: watchers are set anew each time.
 */

struct duplex { rw_w w; int fd, to; };

static struct duplex *duplexes;
static int turns_left;

IO_CB (turn_write_cb)
{
  rw_write_stop (RW_OF_WRITE (w));
  --turns_left;
}

IO_CB (turn_read_cb)
{
  struct duplex *d = (struct duplex *)RW_OF_READ (w);

  get_byte (d->fd);
  rw_read_stop (&d->w);
  --turns_left;
}

static void
turn_all (int reading)
{
  int k;

  for (k = 0; k < CHUNK; ++k)
    {
      struct duplex *d = duplexes + (cursor + k) % opt.n;

      if (anew)
        rw_anew (&d->w, turn_read_cb, turn_write_cb, d->fd);

      if (reading)
        {
          rw_read_start (&d->w);
          put_byte (d->to);
        }
      else
        rw_write_start (&d->w);
    }

  for (turns_left = CHUNK; turns_left; )
    turn_wait ();
}

static void
step_turns (void)
{
  turn_all (0);
  turn_all (1);
  cursor = (cursor + CHUNK) % opt.n;
  done  += CHUNK;
}

static void
w_turns (void)
{
  long ops = ops_or (50000);
  int *fds, k;

  limit_n (2, 0);
  fds = make_channels (opt.n, SOCKETS);
  duplexes = calloc (opt.n, sizeof *duplexes);

  for (k = 0; k < opt.n; ++k)
    {
      duplexes [k].fd = fds [2 * k];
      duplexes [k].to = fds [2 * k + 1];
      rw_init (&duplexes [k].w, turn_read_cb, turn_write_cb, fds [2 * k]);
    }

  drive_warm (step_turns, warm (ops) + 20 * opt.n);
  drive (step_turns, ops);
  drive_clocked (step_turns, ops / 4);
}

static void
w_turnsanew (void)
{
  anew = 1;
  w_turns ();
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
  --turns_left;
}

static void
step_late (void)
{
  int k;

  for (k = 0; k < CHUNK; ++k)
    io_start (&chans [(cursor + k) % opt.n].io);

  turn_nowait ();

  for (k = 0; k < CHUNK; ++k)
    put_byte (chans [(cursor + k) % opt.n].to);

  for (turns_left = CHUNK; turns_left; )
    turn_wait ();

  cursor = (cursor + CHUNK) % opt.n;
  done  += CHUNK;
}

static void
w_late (void)
{
  long ops = ops_or (50000);
  int *fds, k;

  limit_n (2, 0);
  fds   = make_channels (opt.n, SOCKETS);
  chans = new_chans (opt.n);

  for (k = 0; k < opt.n; ++k)
    {
      chans [k].fd = fds [2 * k];
      chans [k].to = fds [2 * k + 1];
      io_init (&chans [k].io, late_cb, chans [k].fd, IO_READ);
    }

  drive_warm (step_late, warm (ops));
  drive (step_late, ops);
  drive_clocked (step_late, ops / 4);
}

/*****************************************************************************/
/* stopother: n sockets, of which 10 get a byte each; the first callback stops
 * the watchers of the others, whose events are pending by then, reads all, and
 * starts them again. One operation: one of the ten.
 */

static int others;

IO_CB (others_cb)
{
  int k, at = (struct chan *)w - chans;

  for (k = 0; k < CHUNK; ++k)
    if ((others + k) % opt.n != at)
      io_stop (&chans [(others + k) % opt.n].io);

  for (k = 0; k < CHUNK; ++k)
    get_byte (chans [(others + k) % opt.n].fd);

  for (k = 0; k < CHUNK; ++k)
    if ((others + k) % opt.n != at)
      io_start (&chans [(others + k) % opt.n].io);

  others = -1;
}

static void
step_others (void)
{
  int k;

  others = cursor;

  for (k = 0; k < CHUNK; ++k)
    put_byte (chans [(cursor + CHUNK - 1 - k) % opt.n].to);

  while (others >= 0)
    turn_wait ();

  cursor = (cursor + CHUNK) % opt.n;
  done  += CHUNK;
}

static void
w_stopother (void)
{
  long ops = ops_or (50000);
  int *fds, k;

#if ONLY_RING
  skip ("a bare ring has no way to drop events");
#endif

  limit_n (2, 0);
  fds   = make_channels (opt.n, SOCKETS);
  chans = new_chans (opt.n);

  for (k = 0; k < opt.n; ++k)
    {
      chans [k].fd = fds [2 * k];
      chans [k].to = fds [2 * k + 1];
      io_init (&chans [k].io, others_cb, chans [k].fd, IO_READ);
    }

  start_all ();
  turn_nowait ();
  drive_warm (step_others, 4 * warm (ops));
  drive (step_others, ops);
  drive_clocked (step_others, ops / 4);
}

/*****************************************************************************/
/* writeinterest: n sockets watched for reading. A round starts 10 write
 * watchers beside; they fire, and their callback stops them. One operation: one
 * start, event and stop.
 */

IO_CB (writable_cb)
{
  rw_write_stop (RW_OF_WRITE (w));
  ++done;
}

static void
step_writeinterest (void)
{
  long want = done + CHUNK;
  int k;

  for (k = 0; k < CHUNK; ++k)
    {
      rw_write_start (&duplexes [cursor].w);

      if (++cursor == opt.n)
        cursor = 0;
    }

  while (done < want)
    turn_wait ();
}

static void
w_writeinterest (void)
{
  long ops = ops_or (50000);
  int *fds, k;

  limit_n (1, 0);
  fds = make_idle (opt.n);
  duplexes = calloc (opt.n, sizeof *duplexes);

  for (k = 0; k < opt.n; ++k)
    {
      rw_init (&duplexes [k].w, no_cb, writable_cb, fds [k]);
      rw_read_start (&duplexes [k].w);
    }

  turn_nowait ();
  drive_warm (step_writeinterest, warm (ops));
  drive (step_writeinterest, ops);
  drive_clocked (step_writeinterest, ops / 4);
}

/*****************************************************************************/
/* writewait: the same with n sockets that are full, as where programs only ask for
 * it when they cannot write. A round starts 10 write watchers, reads a byte that comes
 * in, and stops them: none has fired. One operation: one start and stop, and a tenth of
 * an event.
 */

static int *write_fds, arrived;

IO_CB (arrived_cb)
{
  get_byte (write_fds [2 * arrived]);
  arrived = -1;
}

static void
step_writewait (void)
{
  int first = cursor, k;

  for (k = 0; k < CHUNK; ++k)
    rw_write_start (&duplexes [(first + k) % opt.n].w);

  arrived = first;
  put_byte (write_fds [2 * first + 1]);

  while (arrived >= 0)
    turn_wait ();

  for (k = 0; k < CHUNK; ++k)
    rw_write_stop (&duplexes [(first + k) % opt.n].w);

  cursor = (first + CHUNK) % opt.n;
  done  += CHUNK;
}

static void
w_writewait (void)
{
  static const char junk [1024];
  long ops = ops_or (10000);
  int least = 0, k;

  limit_n (2, 0);
  write_fds = make_channels (opt.n, SOCKETS);
  duplexes  = calloc (opt.n, sizeof *duplexes);

  for (k = 0; k < opt.n; ++k)
    {
      setsockopt (write_fds [2 * k], SOL_SOCKET, SO_SNDBUF, &least, sizeof least);

      while (write (write_fds [2 * k], junk, sizeof junk) > 0)
        ;

      rw_init (&duplexes [k].w, arrived_cb, no_cb, write_fds [2 * k]);
      rw_read_start (&duplexes [k].w);
    }

  turn_nowait ();
  drive_warm (step_writewait, 3 * warm (ops));
  drive (step_writewait, ops);
  drive_clocked (step_writewait, ops / 4);
}

/*****************************************************************************/
/* writefire: n full sockets. A round starts 10 write watchers; a turn finds nothing;
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

static void
drain (int fd)
{
  char buf [8192];

  while (read (fd, buf, sizeof buf) > 0)
    ;
}

IO_CB (fire_cb)
{
  rw_w *rw = RW_OF_WRITE (w);

  rw_write_stop (rw);
  fill (((struct duplex *)rw)->fd);
  --turns_left;
}

static void
step_writefire (void)
{
  int k;

  for (k = 0; k < CHUNK; ++k)
    rw_write_start (&duplexes [(cursor + k) % opt.n].w);

  turn_nowait ();

  for (k = 0; k < CHUNK; ++k)
    drain (duplexes [(cursor + k) % opt.n].to);

  for (turns_left = CHUNK; turns_left; )
    turn_wait ();

  cursor = (cursor + CHUNK) % opt.n;
  done  += CHUNK;
}

static void
w_writefire (void)
{
  long ops = ops_or (10000);
  int *fds, least = 0, k;

  limit_n (2, 0);
  fds = make_channels (opt.n, SOCKETS);
  duplexes = calloc (opt.n, sizeof *duplexes);

  for (k = 0; k < opt.n; ++k)
    {
      duplexes [k].fd = fds [2 * k];
      duplexes [k].to = fds [2 * k + 1];
      setsockopt (fds [2 * k], SOL_SOCKET, SO_SNDBUF, &least, sizeof least);
      fill (fds [2 * k]);
      rw_init (&duplexes [k].w, no_cb, fire_cb, fds [2 * k]);
      rw_read_start (&duplexes [k].w);
    }

  turn_nowait ();
  drive_warm (step_writefire, warm (ops));
  drive (step_writefire, ops);
  drive_clocked (step_writefire, ops / 4);
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

static void
w_nowait (void)
{
  limit_n (1, 0);
  idle_world (opt.n);
  drive_warm (step_nowait, warm (0));
  drive (step_nowait, ops_or (200000));
  drive_clocked (step_nowait, 20000);
}

/*****************************************************************************/
/* scale: n idle sockets and a ring of 100 with "active" bytes in it (100 unless
 * told). One operation: one event, as in ring. Memory: what the library took
 * per idle fd, the watchers themselves not counted.
 */

static void
w_scale (void)
{
  struct chan *idle;
  int *fds, k, n, wanted = opt.n, active = opt.active > 1 ? opt.active : 100;
  long heap, rss, ops = ops_or (100000);

  if ((n = fds_available (opt.n + 200) - 200) < wanted)
    skip ("%d open files needed, %d allowed", wanted + 264, n + 264);

  fds = make_idle (n);
  idle = new_chans (n);

  for (k = 0; k < n; ++k)
    io_init (&idle [k].io, no_cb, fds [k], IO_READ);

  heap = heap_bytes ();
  rss = rss_bytes ();

  for (k = 0; k < n; ++k)
    io_start (&idle [k].io);

  turn_nowait ();
  result.bytes_heap = (double)(heap_bytes () - heap) / n;
  result.bytes_rss = (double)(rss_bytes () - rss) / n;

  opt.n = 100;
  opt.active = active;
  ring_world (SOCKETS);

  for (k = 0; k < opt.n; ++k)
    io_init (&chans [k].io, ring_cb, chans [k].fd, IO_READ);

  start_all ();

  for (k = 0; k < active; ++k)
    put_byte (chans [k * opt.n / active].to);

  drive_warm (step_wait, warm (ops));
  drive (step_wait, ops);
  drive_clocked (step_wait, ops / 4);
  opt.n = wanted;
}

/*****************************************************************************/
/* mixed: the ring, where every fd has a time-out of 30 s which each event on it
 * sets anew, and ten timers expire every 1 - 2 ms beside. One operation: one
 * event.
 */

#define TICKS 10

struct mixed
{
  struct chan chan;
  timer_w timeout;
};

static struct mixed *mixeds;

TIMER_CB (tick_cb)
{
  timer_start (w, .0015);
}

IO_CB (mixed_cb)
{
  struct mixed *m = (struct mixed *)w;

  get_byte (m->chan.fd);
  timer_start (&m->timeout, 30.);
  put_byte (m->chan.to);
  ++done;
}

static void
w_mixed (void)
{
  static timer_w ticks [TICKS];
  long ops = ops_or (100000);
  int *fds, k;

#if ONE_TIMER
  skip ("a bare loop has but one timer");
#endif

  limit_n (2, 0);
  fds = make_channels (opt.n, SOCKETS);

  if (!(mixeds = calloc (opt.n, sizeof *mixeds)))
    fail ("calloc");

  for (k = 0; k < opt.n; ++k)
    {
      mixeds [k].chan.fd = fds [2 * k];
      mixeds [k].chan.to = fds [(2 * k + 3) % (2 * opt.n)];
      io_init (&mixeds [k].chan.io, mixed_cb, mixeds [k].chan.fd, IO_READ);
      io_start (&mixeds [k].chan.io);
      timer_init (&mixeds [k].timeout, never_cb);
      timer_start (&mixeds [k].timeout, 30.);
    }

  for (k = 0; k < TICKS; ++k)
    {
      timer_init (&ticks [k], tick_cb);
      timer_start (&ticks [k], .001 + k * .0001);
    }

  for (k = 0; k < opt.active; ++k)
    put_byte (mixeds [(long)k * opt.n / opt.active].chan.to);

  drive_warm (step_wait, warm (ops));
  drive (step_wait, ops);
  drive_clocked (step_wait, ops / 4);
}

/*****************************************************************************/
/* ttys: the ring, in which one of ten fds is a pseudo terminal and one a FIFO
 * opened for reading and writing; both are of the kinds that IOCB_CMD_POLL
 * refuses. One operation: one event.
 */

static int
open_tty (int *to)
{
  struct termios tio;
  int fd, master = posix_openpt (O_RDWR | O_NOCTTY | O_CLOEXEC);

  if (master < 0 || grantpt (master) || unlockpt (master)
      || (fd = open (ptsname (master), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)) < 0)
    skip ("no pseudo terminal: %s", strerror (errno));

  tcgetattr (fd, &tio);
  cfmakeraw (&tio);
  tcsetattr (fd, TCSANOW, &tio);
  *to = master;
  return fd;
}

static int
open_fifo (int *to)
{
  char dir [] = "/tmp/bench.XXXXXX", path [sizeof dir + 8];
  int fd;

  if (!mkdtemp (dir))
    fail ("mkdtemp");

  snprintf (path, sizeof path, "%s/fifo", dir);

  if (mkfifo (path, 0600) || (fd = open (path, O_RDWR | O_NONBLOCK | O_CLOEXEC)) < 0)
    fail ("mkfifo");

  unlink (path);
  rmdir (dir);
  *to = fd;
  return fd;
}

static void
w_ttys (void)
{
  long ops = ops_or (50000);
  int *tos, k, sv [2];

#if ONLY_RING
  skip ("IOCB_CMD_POLL refuses ttys");
#endif

  limit_n (2, 0);
  chans = new_chans (opt.n);
  tos = calloc (opt.n, sizeof *tos);

  for (k = 0; k < opt.n; ++k)
    if (k % 10 == 3)
      chans [k].fd = open_tty (&tos [k]);
    else if (k % 10 == 7)
      chans [k].fd = open_fifo (&tos [k]);
    else if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv))
      fail ("socketpair");
    else
      chans [k].fd = sv [0], tos [k] = sv [1];

  for (k = 0; k < opt.n; ++k)
    {
      chans [k].to = tos [(k + 1) % opt.n];
      io_init (&chans [k].io, ring_cb, chans [k].fd, IO_READ);
    }

  start_all ();

  for (k = 0; k < opt.active; ++k)
    put_byte (chans [(long)k * opt.n / opt.active].to);

  drive_warm (step_wait, warm (ops));
  drive (step_wait, ops);
  drive_clocked (step_wait, ops / 4);
}

/*****************************************************************************/
/* pingpong, pingsame: two processes, each with a loop of its own that watches n
 * sockets, throw a byte to and fro over one of them; on two CPUs, or sharing
 * one. One operation: a byte there and back; the "iteration" times are those of
 * single round trips.
 */

/* 0 when there is nothing to read after all: a request that was armed just
 * between a byte's arrival and its wake-up completes twice
 */
static int
catch_byte (int fd)
{
  char byte;
  ssize_t res = read (fd, &byte, 1);

  if (res != 1 && (res == 0 || errno != EAGAIN))
    fail ("the other process");

  return res == 1;
}

static uint64_t ping_sent;

IO_CB (ping_cb)
{
  uint64_t now;

  if (!catch_byte (io_fd (w)))
    return;

  now = now_ns ();
  sample (now - ping_sent);
  ping_sent = now;
  ++done;
  put_byte (io_fd (w));
}

static int over;

IO_CB (pong_cb)
{
  char byte;
  ssize_t res = read (io_fd (w), &byte, 1);

  if (res == 1)
    put_byte (io_fd (w));
  else if (!res || errno != EAGAIN)
    over = 1;
}

static void
pong (int fd)
{
  io_w w;

  pin (opt.peer_cpu);

  if (!loop_new ())
    _exit (1);

  idle_world (opt.n - 1);
  io_init (&w, pong_cb, fd, IO_READ);
  io_start (&w);

  while (!over)
    turn_wait ();

  _exit (0);
}

static void
w_pingpong (void)
{
  long ops = ops_or (20000);
  int status, *fds;
  pid_t pid;
  io_w w;

  limit_n (1, 2);
  fds = make_channels (1, SOCKETS);
  loop_del ();

  if ((pid = fork ()) < 0)
    fail ("fork");

  if (!pid)
    {
      close (fds [0]);
      pong (fds [1]);
    }

  close (fds [1]);

  if (!loop_new ())
    fail ("loop");

  idle_world (opt.n - 1);
  io_init (&w, ping_cb, fds [0], IO_READ);
  io_start (&w);
  ping_sent = now_ns ();
  put_byte (fds [0]);

  drive_warm (step_wait, warm (ops));
  drive (step_wait, ops);
  io_stop (&w);

  /* what is edge-triggered might see the last byte and the end as one event */
  kill (pid, SIGTERM);

  if (waitpid (pid, &status, 0) != pid || !WIFSIGNALED (status))
    fail ("the other process");
}

static void
w_pingsame (void)
{
  opt.peer_cpu = opt.cpu;
  w_pingpong ();
}
