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
static struct chan *
new_conn (int fd)
{
  static struct chan conns [4000];
  static unsigned next;
  struct chan *c = conns + next++ % 4000;

  c->fd = fd;
  return c;
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

READ_CB (request_cb)
{
  hear (c->fd, sizeof request - 1);
  tell (c->fd, ANSWER);
  io_close (&c->rd, c->fd);
  ++done;
  --left;
}

READ_CB (accept_cb)
{
  int fd;

  while ((fd = accept_client ()) >= 0)
    {
      start (new_conn (fd), workload->cb);
      ++serving;
      --left;
    }
}

static void
w_server (void)
{
  static struct chan listening;

  listening.fd = make_listener ();
  start (&listening, accept_cb);
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

WRITE_CB (connect_cb)
{
  int error = 0;
  socklen_t len = sizeof error;

  if (getsockopt (c->fd, SOL_SOCKET, SO_ERROR, &error, &len) || error)
    err (1, "connect");

  io_close (&c->wr, c->fd);
  --left;
}

static void
step_connect (void)
{
  int k;

  for (k = 0; k < CHUNK; ++k)
    {
      struct chan *c = new_conn (make_client (SOCK_NONBLOCK));

      init (c);
      io_start (&c->wr);
    }

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

/* ends: beside n idle sockets, 10 sockets are watched and have some events; the far
 * ends are closed; the events are read, and watchers stopped and sockets closed. One
 * operation: one end, from the close on.
 * closeidle: n TCP connections, which have had some events; all are stopped and closed
 * in one go, then the loop turns. One operation: one connection.
 * So many events take each into a ring with 64, though its number was another file's.
 */

#define EVENTS 10

READ_CB (end_cb)
{
  char byte;

  if (!read (c->fd, &byte, 1))
    io_close (&c->rd, c->fd);

  --left;
}

static void
step_ending (void)
{
  int here = workload->how, n = here ? opt.n : CHUNK, k;
  struct chan *conns = make_chans (n, here ? WORLD_TCP : WORLD_STREAM, 0), *c;

  for (c = conns; c < conns + n; ++c)
    start (c, end_cb);

  for (k = 0; k < EVENTS; ++k)
    {
      for (c = conns; c < conns + n; ++c)
        put_byte (c->to);

      wait_for (n);
    }

  turn_nowait ();
  section_begin ();

  for (c = conns; c < conns + n; ++c)
    if (here)
      io_close (&c->rd, c->fd);
    else
      close (c->to);

  wait_for (here ? 0 : n);
  turn_nowait ();
  section_end (n);

  for (k = 0; here && k < n; ++k)
    {
      fcntl (conns [k].to, F_SETFL, 0); /* it may take a while */
      hear (conns [k].to, 0);
      close_hard (conns [k].to);
    }

  /* conns are not freed: events of requests that were cancelled may still name them */
}

/* proxy: n proxies, each between two sockets and watching both for reading. A
 * round sends 8 KiB to each of 10 of them; the buffer of the socket on the far
 * side is smaller, so the proxy stops reading and waits to write until the sink
 * has been emptied. One operation: 8 KiB through one proxy.
 */

#define BLOCK 8192

/* of "in" the far end is the source, of "out" it is the sink */
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

READ_CB (proxy_in_cb)
{
  struct proxy *p = (struct proxy *)c;

  if ((p->have = read (p->in.fd, p->buf, sizeof p->buf)) <= 0)
    err (1, "proxy read");

  p->sent = 0;
  proxy_write (p);

  if (p->sent < p->have)
    {
      io_stop (&p->in.rd);
      io_start (&p->out.wr);
    }
}

WRITE_CB (proxy_out_cb)
{
  struct proxy *p = (struct proxy *)(c - 1);

  proxy_write (p);

  if (p->sent == p->have)
    {
      io_stop (&p->out.wr);
      io_start (&p->in.rd);
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
  struct chan *c = make_chans (2 * opt.n, WORLD_STREAM, 0);
  int large = 65536;
  struct proxy *p;

  proxies = calloc (opt.n, sizeof *proxies);

  for (p = proxies; p < proxies + opt.n; ++p)
    {
      p->in  = *c++;
      p->out = *c++;
      setsockopt (p->in.to, SOL_SOCKET, SO_SNDBUF, &large, sizeof large);
      start (&p->in, workload->cb);
      start (&p->out, no_cb);
      io_init (&p->out.wr, workload->wcb, p->out.fd, IO_WRITE);
    }
}

/* server: answers requests until the last connection has ended; for w_load.c. The
 * longest iteration is CPU time, so without sleep, of those in which none comes or goes.
 */

READ_CB (serve_cb)
{
  char buf [512];

  if (read (c->fd, buf, sizeof buf) <= 0)
    {
      io_close (&c->rd, c->fd);
      --serving;
    }
  else
    tell (c->fd, ANSWER);
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
