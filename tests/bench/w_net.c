/*
 * w_net.c - connections; included by bench.c
 *
 * The far ends are plain system calls in the same process, so nothing depends on
 * scheduling.
 */

static struct sockaddr_in address = { .sin_family = AF_INET };
static int listener;

/* on the loopback interface, port chosen by the kernel */
static int
make_listener (void)
{
  socklen_t len = sizeof address;

  listener                = socket (AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  address.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
  address.sin_port        = 0;

  if (listener < 0 || bind (listener, (struct sockaddr *)&address, len) || listen (listener, 4096)
      || getsockname (listener, (struct sockaddr *)&address, &len))
    err (1, "listen");

  return listener;
}

static int
make_client (int flags)
{
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

  if (fd < 0 || (connect (fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS))
    err (1, "connect");

  return fd;
}

static int
accept_client (void)
{
  int fd = accept4 (listener, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC);

  if (fd < 0 && errno != EAGAIN)
    err (1, "accept4");

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

static void
new_conn (io_cb *cb, int fd, int mask)
{
  static struct chan conns [CONNS];
  static int next;

  start (conns + next++ % CONNS, cb, fd, mask);
}

static void
hear (int fd, ssize_t len)
{
  char buf [512];

  if (read (fd, buf, sizeof buf) != len)
    err (1, "read");
}

static void
tell (int fd, const char *text, ssize_t len)
{
  if (write (fd, text, len) != len)
    err (1, "write");
}

/* the end of a stream, which is closed here, too */
IO_CB (end_cb)
{
  hear (io_fd (w), 0);
  io_close (w);
  --left;
}

/* accept: beside n idle sockets, a round of "active" TCP connections: connect;
 * the loop accepts and starts a watcher for each; the requests are written; the
 * loop reads them, answers and closes; the answers are read. One operation: one
 * connection.
 */

static const char request [] = "GET / HTTP/1.0\r\nHost: localhost\r\n\r\n";
static const char answer [] = "HTTP/1.0 200 OK\r\nContent-Length: 12\r\n\r\nHello world\n";

#define ASK    request, sizeof request - 1
#define ANSWER answer, sizeof answer - 1

static int *clients;
static int serving;

IO_CB (request_cb)
{
  hear (io_fd (w), sizeof request - 1);
  tell (io_fd (w), ANSWER);
  io_close (w);
  ++done;
  --left;
}

IO_CB (accept_cb)
{
  int fd;

  while ((fd = accept_client ()) >= 0)
    {
      new_conn (workload->cb, fd, IO_READ);
      ++serving;
      --left;
    }
}

static void
w_server (void)
{
  static struct chan acceptor;

  start (&acceptor, accept_cb, make_listener (), IO_READ);
}

static void
step_accept (void)
{
  int *c, *end = clients + opt.active;

  for (c = clients; c < end; ++c)
    *c = make_client (0);

  wait_for (opt.active);

  for (c = clients; c < end; ++c)
    tell (*c, ASK);

  wait_for (opt.active);

  for (c = clients; c < end; ++c)
    {
      hear (*c, sizeof answer - 1);
      close_hard (*c);
    }
}

static void
w_accept (void)
{
  clients = calloc (opt.active, sizeof *clients);
  idle_world ();
  w_server ();
}

/* connect: beside n idle sockets, 10 sockets connect at a time, are watched until
 * that is done, and are closed. One operation: one connection.
 */

IO_CB (connect_cb)
{
  int error = 0;
  socklen_t len = sizeof error;

  if (getsockopt (io_fd (w), SOL_SOCKET, SO_ERROR, &error, &len) || error)
    err (1, "connect");

  io_close (w);
  --left;
}

static void
step_connect (void)
{
  int k;

  for (k = 0; k < CHUNK; ++k)
    new_conn (connect_cb, make_client (SOCK_NONBLOCK), IO_WRITE);

  wait_for (CHUNK);

  for (k = 0; k < CHUNK; ++k)
    close_hard (accept_client ());
}

static void
w_connect (void)
{
  idle_world ();
  make_listener ();
}

/* ends: beside n idle sockets, 10 sockets are watched; the far ends are closed; the
 * events are read, and watchers stopped and sockets closed. One operation: one end,
 * from the close on.
 */

static void
step_ends (void)
{
  int *fds = make_channels (CHUNK, WORLD_STREAM), k;

  for (k = 0; k < CHUNK; ++k)
    new_conn (end_cb, fds [2 * k], IO_READ);

  turn_nowait ();
  turn_nowait ();
  section_begin ();

  for (k = 0; k < CHUNK; ++k)
    close (fds [2 * k + 1]);

  wait_for (CHUNK);
  turn_nowait ();
  section_end (CHUNK);
  free (fds);
}

/* closeidle: n idle TCP connections; all are stopped and closed in one go, then the
 * loop turns. One operation: one connection. A fresh loop for each round.
 * timeouts: each of them has a timer; all expire at the same time, and what expires
 * is stopped and closed. One operation: one connection; from the first expiry to the
 * last.
 */

#ifdef BARE
# define time_out() (void)0
#else
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
#endif

static void
step_ending (void)
{
  int k;

  new_loop ();
  make_chans (WORLD_TCP);

  for (k = 0; k < opt.n; ++k)
    start (chans + k, no_cb, chans [k].fd, IO_READ);

  turn_nowait ();
  turn_nowait ();

  if (workload->how)
    time_out ();
  else
    {
      section_begin ();

      for (k = 0; k < opt.n; ++k)
        io_close (&chans [k].io);
    }

  turn_nowait ();
  section_end (opt.n);

  for (k = 0; k < opt.n; ++k)
    {
      fcntl (chans [k].to, F_SETFL, 0); /* it may take a while */
      hear (chans [k].to, 0);
      close_hard (chans [k].to);
    }

  loop_del ();
  free (chans);
}

static void
w_ending (void)
{
  loop_del ();
}

/* proxy: n proxies, each between two sockets and watching both for reading. A
 * round sends 8 KiB to each of 10 of them; the buffer of the socket on the far
 * side is smaller, so the proxy stops reading and waits to write until the sink
 * has been emptied. One operation: 8 KiB through one proxy.
 */

#define BLOCK 8192

/* two channels: of "in" the far end is the source, of "out" it is the sink */
static struct proxy
{
  struct chan in, out;
  int have, sent; /* bytes in the buffer, and of these written */
  char buf [BLOCK];
} *proxies;

static void
proxy_write (struct proxy *p)
{
  ssize_t res = write (p->out.fd, p->buf + p->sent, p->have - p->sent);

  if (res < 0 && errno != EAGAIN)
    err (1, "proxy write");

  if (res > 0)
    p->sent += res;
}

IO_CB (proxy_in_cb)
{
  struct proxy *p = (struct proxy *)w;

  if ((p->have = read (p->in.fd, p->buf, sizeof p->buf)) <= 0)
    err (1, "proxy read");

  p->sent = 0;
  proxy_write (p);

  if (p->sent < p->have)
    {
      rw_read_stop (&p->in.rw);
      rw_write_start (&p->out.rw);
    }
}

IO_CB (proxy_out_cb)
{
  struct proxy *p = (struct proxy *)((char *)RW_OF_WRITE (w) - offsetof (struct proxy, out));

  proxy_write (p);

  if (p->sent == p->have)
    {
      rw_write_stop (&p->out.rw);
      rw_read_start (&p->in.rw);
    }
}

static void
step_proxy (void)
{
  static const char block [BLOCK];
  long delivered = 0;
  int k;

  for (k = 0; k < CHUNK; ++k)
    tell (proxies [(cursor + k) % opt.n].in.to, block, BLOCK);

  while (delivered < (long)CHUNK * BLOCK)
    {
      turn_wait ();

      for (k = 0; k < CHUNK; ++k)
        delivered += drain (proxies [(cursor + k) % opt.n].out.to);
    }
}

static void
w_proxy (void)
{
  int *fds = make_channels (2 * opt.n, WORLD_STREAM), large = 65536;
  struct proxy *p;

  proxies = calloc (opt.n, sizeof *proxies);

  for (p = proxies; p < proxies + opt.n; ++p, fds += 4)
    {
      p->in.fd  = fds [0];
      p->in.to  = fds [1];
      p->out.fd = fds [2];
      p->out.to = fds [3];
      setsockopt (p->in.to, SOL_SOCKET, SO_SNDBUF, &large, sizeof large);
      rw_init (&p->in.rw, workload->cb, no_cb, p->in.fd);
      rw_init (&p->out.rw, no_cb, workload->wcb, p->out.fd);
      rw_read_start (&p->in.rw);
      rw_read_start (&p->out.rw);
    }
}

/* server: answers requests until the last connection has ended; for w_load.c. The
 * longest iteration is CPU time, so without sleep, of those in which none comes or goes.
 */

IO_CB (serve_cb)
{
  char buf [512];

  if (read (io_fd (w), buf, sizeof buf) <= 0)
    {
      io_close (w);
      --serving;
    }
  else
    tell (io_fd (w), ANSWER);
}

static void
step_serve (void)
{
  do
    {
      uint64_t begin = clock_ns (CLOCK_THREAD_CPUTIME_ID);
      int before = serving;

      turn_wait ();

      if (serving == before)
        longest_since (begin, clock_ns (CLOCK_THREAD_CPUTIME_ID));
    }
  while (serving);

  operations = opt.ops;
}
