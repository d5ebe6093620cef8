/*
 * w_net.c - connections; included by bench.c
 *
 * The far ends are plain system calls in the same process, so nothing depends on
 * scheduling.
 */

static struct sockaddr_in address;
static int listener;

/* on the loopback interface, port chosen by the kernel */
static int
make_listener (void)
{
  socklen_t len = sizeof address;

  listener = socket (AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  address  = (struct sockaddr_in) { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };

  if (listener < 0 || bind (listener, (struct sockaddr *)&address, len) || listen (listener, 4096)
      || getsockname (listener, (struct sockaddr *)&address, &len))
    fail ("listen");

  return listener;
}

static int
make_client (int flags)
{
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

  if (fd < 0 || (connect (fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS))
    fail ("connect");

  return fd;
}

static int
accept_client (void)
{
  int fd = accept4 (listener, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC);

  if (fd < 0 && errno != EAGAIN)
    fail ("accept4");

  return fd;
}

/* leaves no connection in TIME_WAIT behind */
static void
close_hard (int fd)
{
  struct linger linger = { 1, 0 };

  setsockopt (fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
  close (fd);
}

/* some libraries need a watcher's memory until the next turn: it goes round */
#define CONNS 4000

static struct chan *
new_conn (io_cb *cb, int fd, int mask)
{
  static struct chan conns [CONNS];
  static int next;
  struct chan *c = conns + next++ % CONNS;

  io_init (&c->io, cb, fd, mask);
  io_start (&c->io);
  return c;
}

/*****************************************************************************/
/* accept: beside n idle sockets, a round of "active" TCP connections: connect;
 * the loop accepts and starts a watcher for each; the requests are written; the
 * loop reads them, answers and closes; the answers are read. One operation: one
 * connection.
 */

static const char request [] = "GET / HTTP/1.0\r\nHost: localhost\r\n\r\n";
static const char answer [] = "HTTP/1.0 200 OK\r\nContent-Length: 12\r\n\r\nHello world\n";

static int *clients;

IO_CB (request_cb)
{
  char buf [512];

  if (read (io_fd (w), buf, sizeof buf) != sizeof request - 1
      || write (io_fd (w), answer, sizeof answer - 1) != sizeof answer - 1)
    fail ("request");

  io_close (w);
  ++done;
  --left;
}

IO_CB (accept_cb)
{
  int fd;

  while ((fd = accept_client ()) >= 0)
    {
      new_conn (request_cb, fd, IO_READ);
      --left;
    }
}

static void
step_accept (void)
{
  char buf [512];
  int k;

  for (k = 0; k < opt.active; ++k)
    clients [k] = make_client (0);

  wait_for (opt.active);

  for (k = 0; k < opt.active; ++k)
    if (write (clients [k], request, sizeof request - 1) != sizeof request - 1)
      fail ("client write");

  wait_for (opt.active);

  for (k = 0; k < opt.active; ++k)
    {
      if (read (clients [k], buf, sizeof buf) != sizeof answer - 1)
        fail ("client read");

      close_hard (clients [k]);
    }
}

static void
w_accept (int unused)
{
  limit_n (1, 2 * opt.active + 1);
  clients = calloc (opt.active, sizeof *clients);
  idle_world (0);
  new_conn (accept_cb, make_listener (), IO_READ);
}

/*****************************************************************************/
/* connect: beside n idle sockets, 10 sockets connect at a time, are watched until
 * that is done, and are closed. One operation: one connection.
 */

#define CONNECTS 10

IO_CB (connect_cb)
{
  int error = 0;
  socklen_t len = sizeof error;

  if (getsockopt (io_fd (w), SOL_SOCKET, SO_ERROR, &error, &len) || error)
    fail ("connect");

  io_close (w);
  --left;
}

static void
step_connect (void)
{
  int k;

  for (k = 0; k < CONNECTS; ++k)
    new_conn (connect_cb, make_client (SOCK_NONBLOCK), IO_WRITE);

  wait_for (CONNECTS);

  for (k = 0; k < CONNECTS; ++k)
    close_hard (accept_client ());

  done += CONNECTS;
}

static void
w_connect (int unused)
{
  idle_world (0);
  make_listener ();
}

/*****************************************************************************/
/* ends: beside n idle sockets, 10 sockets are watched; the far ends are closed; the
 * events are read, and watchers stopped and sockets closed. One operation: one end,
 * from the close on.
 */

#define ENDS 10

IO_CB (end_cb)
{
  char byte;

  if (read (io_fd (w), &byte, 1))
    fail ("end");

  io_close (w);
  --left;
}

static void
w_ends (int unused)
{
  long round;
  int k;

  idle_world (0);

  for (round = 0; round * ENDS < opt.ops && !out_of_time (); ++round)
    {
      int *fds = make_channels (ENDS, SOCKETS);

      for (k = 0; k < ENDS; ++k)
        new_conn (end_cb, fds [2 * k], IO_READ);

      turn_nowait ();
      turn_nowait ();
      section_begin ();

      for (k = 0; k < ENDS; ++k)
        close (fds [2 * k + 1]);

      wait_for (ENDS);
      turn_nowait ();
      section_end (ENDS);
      free (fds);
    }
}

/*****************************************************************************/
/* closeidle: n idle TCP connections; all are stopped and closed in one go, then the
 * loop turns. One operation: one connection. A fresh loop for each round.
 * timeouts: each of them has a timer; all expire at the same time, and what expires
 * is stopped and closed. One operation: one connection; from the first expiry to the
 * last.
 */

static void
connect_all (void)
{
  int k;

  limit_n (2, 8);
  make_listener ();
  chans = calloc (opt.n, sizeof *chans);

  for (k = 0; k < opt.n; ++k)
    {
      chans [k].to = make_client (0);

      if ((chans [k].fd = accept_client ()) < 0)
        fail ("accept");
    }

  init_all (no_cb);
  start_all ();
  turn_nowait ();
  turn_nowait ();
}

TIMER_CB (timeout_cb)
{
  struct chan *c = (struct chan *)((char *)w - offsetof (struct chan, timer));

  if (left == opt.n)
    section_begin ();

  timer_stop (w);
  io_close (&c->io);
  --left;
}

static void
time_out (void)
{
  int k;

  timer_now ();

  for (k = 0; k < opt.n; ++k)
    {
      timer_init (&chans [k].timer, timeout_cb);
      timer_start (&chans [k].timer, .1);
    }

  wait_for (opt.n);
}

static void
close_all (void)
{
  int k;

  section_begin ();

  for (k = 0; k < opt.n; ++k)
    io_close (&chans [k].io);
}

static void
w_ending (int timeouts)
{
  char byte;
  int round, k;

#if ONE_TIMER
  if (timeouts)
    skip ("a bare loop has but one timer");
#endif

  for (round = 0; round < opt.rounds && !out_of_time (); ++round)
    {
      loop_del ();
      new_loop ();
      connect_all ();
      (timeouts ? time_out : close_all) ();
      turn_nowait ();
      section_end (opt.n);

      for (k = 0; k < opt.n; ++k)
        {
          if (read (chans [k].to, &byte, 1))
            fail ("end");

          close_hard (chans [k].to);
        }

      close (listener);
    }
}

/*****************************************************************************/
/* proxy: n proxies, each between two sockets and watching both for reading. A
 * round sends 8 KiB to each of 10 of them; the buffer of the socket on the far
 * side is smaller, so the proxy stops reading and waits to write until the sink
 * has been emptied. One operation: 8 KiB through one proxy.
 */

#define BLOCK 8192

static struct proxy
{
  rw_w in, out;
  int in_fd, out_fd, source, sink;
  int have, sent; /* bytes in the buffer, and of these written */
  char buf [BLOCK];
} *proxies;

static void
proxy_write (struct proxy *p)
{
  ssize_t res = write (p->out_fd, p->buf + p->sent, p->have - p->sent);

  if (res < 0 && errno != EAGAIN)
    fail ("proxy write");

  if (res > 0)
    p->sent += res;
}

IO_CB (proxy_in_cb)
{
  struct proxy *p = (struct proxy *)RW_OF_READ (w);

  if ((p->have = read (p->in_fd, p->buf, sizeof p->buf)) <= 0)
    fail ("proxy read");

  p->sent = 0;
  proxy_write (p);

  if (p->sent < p->have)
    {
      rw_read_stop (&p->in);
      rw_write_start (&p->out);
    }
}

IO_CB (proxy_out_cb)
{
  struct proxy *p = (struct proxy *)((char *)RW_OF_WRITE (w) - offsetof (struct proxy, out));

  proxy_write (p);

  if (p->sent == p->have)
    {
      rw_write_stop (&p->out);
      rw_read_start (&p->in);
    }
}

static void
step_proxy (void)
{
  static const char block [BLOCK];
  long delivered = 0;
  int k;

  for (k = 0; k < CHUNK; ++k)
    if (write (proxies [(cursor + k) % opt.n].source, block, BLOCK) != BLOCK)
      fail ("source");

  while (delivered < (long)CHUNK * BLOCK)
    {
      turn_wait ();

      for (k = 0; k < CHUNK; ++k)
        delivered += drain (proxies [(cursor + k) % opt.n].sink);
    }

  next_round ();
}

static void
w_proxy (int unused)
{
  int *fds, k, small = 4096;

  limit_n (4, 0);
  fds = make_channels (2 * opt.n, SOCKETS);
  proxies = calloc (opt.n, sizeof *proxies);

  for (k = 0; k < opt.n; ++k)
    {
      struct proxy *p = &proxies [k];

      p->source = fds [4 * k];
      p->in_fd  = fds [4 * k + 1];
      p->out_fd = fds [4 * k + 2];
      p->sink   = fds [4 * k + 3];
      setsockopt (p->out_fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
      rw_init (&p->in, proxy_in_cb, no_cb, p->in_fd);
      rw_init (&p->out, no_cb, proxy_out_cb, p->out_fd);
      rw_read_start (&p->in);
      rw_read_start (&p->out);
    }
}

/*****************************************************************************/
/* server: answers requests until the last connection has ended; for load.c. The
 * longest iteration is CPU time, so without sleep, of those in which none comes or goes.
 */

static int serving;

IO_CB (serve_cb)
{
  char buf [512];

  if (read (io_fd (w), buf, sizeof buf) <= 0)
    {
      io_close (w);
      --serving;
    }
  else if (write (io_fd (w), answer, sizeof answer - 1) != sizeof answer - 1)
    fail ("answer");
}

IO_CB (serve_accept_cb)
{
  int fd;

  while ((fd = accept_client ()) >= 0)
    {
      new_conn (serve_cb, fd, IO_READ);
      ++serving;
    }
}

static void
w_server (int unused)
{
  new_conn (serve_accept_cb, make_listener (), IO_READ);

  do
    {
      uint64_t begin = clock_ns (CLOCK_THREAD_CPUTIME_ID);
      int before = serving;

      turn_wait ();

      if (serving == before)
        longest_since (begin, clock_ns (CLOCK_THREAD_CPUTIME_ID));
    }
  while (serving);
}
