/*
 * w_net.c - connections; included by workloads.c
 */

/*****************************************************************************/
/* accept: beside n idle sockets, a round of "active" TCP connections: connect;
 * the loop accepts and starts a watcher for each; the requests are written; the
 * loop reads them, answers and closes; the answers are read. The clients are
 * plain system calls in the same process, so nothing depends on scheduling.
 * acceptburst: the same, the requests being there before the loop turns.
 * One operation: one connection.
 */

struct conn { io_w io; };

/* some libraries need the memory until the next turn: it goes round */
#define CONNS 4000

static struct conn conns [CONNS];
static int conn_next;
static long accepted;

static const char request [] = "GET / HTTP/1.0\r\nHost: localhost\r\n\r\n";
static const char answer [] = "HTTP/1.0 200 OK\r\nContent-Length: 12\r\n\r\nHello world\n";

IO_CB (request_cb)
{
  char buf [512];

  if (read (io_fd (w), buf, sizeof buf) != sizeof request - 1)
    fail ("request");

  if (write (io_fd (w), answer, sizeof answer - 1) != sizeof answer - 1)
    fail ("answer");

  io_close (w);
  ++done;
}

IO_CB (accept_cb)
{
  int fd;

  while ((fd = accept4 (io_fd (w), 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
    {
      struct conn *c = conns + conn_next++ % CONNS;

      io_init (&c->io, request_cb, fd, IO_READ);
      io_start (&c->io);
      ++accepted;
    }

  if (errno != EAGAIN)
    fail ("accept4");
}

static struct sockaddr_in address;
static int *clients;
static int request_early;

static void
client_ask (int fd)
{
  if (write (fd, request, sizeof request - 1) != sizeof request - 1)
    fail ("client write");
}

static void
client_end (int fd)
{
  char buf [512];

  if (read (fd, buf, sizeof buf) != sizeof answer - 1)
    fail ("client read");

  close_hard (fd);
}

static void
step_accept (void)
{
  long want = done + opt.active;
  int k;

  accepted = 0;

  for (k = 0; k < opt.active; ++k)
    {
      clients [k] = make_client (&address);

      if (request_early)
        client_ask (clients [k]);
    }

  while (accepted < opt.active)
    turn_wait ();

  if (!request_early)
    for (k = 0; k < opt.active; ++k)
      client_ask (clients [k]);

  while (done < want)
    turn_wait ();

  for (k = 0; k < opt.active; ++k)
    client_end (clients [k]);
}

static void
accept_some (int default_active, long ops)
{
  struct chan listener;

  if (opt.active <= 1)
    opt.active = default_active;

  if (opt.active > CONNS / 4)
    opt.active = CONNS / 4;

  limit_n (1, 2 * opt.active + 1);
  listener.fd = make_listener (&address);
  clients = calloc (opt.active, sizeof *clients);
  idle_world (opt.n);
  io_init (&listener.io, accept_cb, listener.fd, IO_READ);
  io_start (&listener.io);

  drive_warm (step_accept, 1000 + ops / 20);
  drive (step_accept, ops);
  drive_clocked (step_accept, ops / 4);
  io_stop (&listener.io);
}

static void
w_accept (void)
{
  accept_some (10, ops_or (5000));
}

static void
w_acceptburst (void)
{
  request_early = 1;
  accept_some (500, ops_or (5000));
}

/*****************************************************************************/
/* closeidle: n idle TCP connections whose far ends another process holds; all
 * are stopped and closed in one go, then the loop turns. One operation: one
 * connection. A fresh loop for each round. As a file that is still referenced
 * by the kernel is closed later and by someone else, the time until the far side
 * has seen the end of all connections is measured, too.
 */

static void
closeidle_round (void)
{
  struct far far;
  int *fds = make_connections (opt.n, &far), k;
  uint64_t begin;

  if (!loop_new ())
    fail ("loop");

  for (k = 0; k < opt.n; ++k)
    {
      io_init (&chans [k].io, no_cb, fds [k], IO_READ);
      io_start (&chans [k].io);
    }

  turn_nowait ();
  turn_nowait ();

  begin = now_ns ();
  section_begin ();

  for (k = 0; k < opt.n; ++k)
    io_close (&chans [k].io);

  turn_nowait ();
  section_end (opt.n);
  far_wait (&far);
  result.seen_ns = (double)(now_ns () - begin) / opt.n;
  free (fds);
  far_close (&far);
}

static void
w_closeidle (void)
{
  int rounds, round;

  limit_n (1, 8);
  chans = new_chans (opt.n);
  loop_del ();
  rounds = rounds_or (opt.n <= 1000 ? 5 : 1);

  for (round = 0; round < rounds; ++round)
    {
      closeidle_round ();

      if (out_of_time ())
        break;

      if (round < rounds - 1)
        loop_del ();
    }
}

/*****************************************************************************/
/* connect: beside n idle sockets, 10 sockets connect at a time, are watched until
 * that is done, and are closed. One operation: one connection.
 */

#define CONNECTS 10

static int connecting;

IO_CB (connect_cb)
{
  int error = 0;
  socklen_t len = sizeof error;

  if (getsockopt (io_fd (w), SOL_SOCKET, SO_ERROR, &error, &len) || error)
    fail ("connect");

  io_close (w);
  --connecting;
}

static int connect_listener;

static void
step_connect (void)
{
  int k, fd;

  for (k = 0; k < CONNECTS; ++k)
    {
      struct conn *c = conns + conn_next++ % CONNS;

      if ((fd = socket (AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) < 0
          || !connect (fd, (struct sockaddr *)&address, sizeof address) || errno != EINPROGRESS)
        fail ("connect");

      io_init (&c->io, connect_cb, fd, IO_WRITE);
      io_start (&c->io);
    }

  for (connecting = CONNECTS; connecting; )
    turn_wait ();

  for (k = 0; k < CONNECTS; ++k)
    close_hard (accept_blocking (connect_listener));

  done += CONNECTS;
}

static void
w_connect (void)
{
  long ops = ops_or (10000);

  limit_n (1, 2 * CONNECTS + 1);
  connect_listener = make_listener (&address);
  idle_world (opt.n);
  drive_warm (step_connect, 300);
  drive (step_connect, ops);
  drive_clocked (step_connect, ops / 4);
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
  ++done;
}

static void
w_ends (void)
{
  long ops = ops_or (10000), round;
  int *fds, k;

  limit_n (1, 2 * ENDS);
  idle_world (opt.n);

  for (round = 0; round * ENDS < ops && !out_of_time (); ++round)
    {
      struct conn *c = conns + conn_next % CONNS;

      conn_next += ENDS;
      fds = make_channels (ENDS, SOCKETS);

      for (k = 0; k < ENDS; ++k)
        {
          io_init (&c [k].io, end_cb, fds [2 * k], IO_READ);
          io_start (&c [k].io);
        }

      turn_nowait ();
      turn_nowait ();
      done = 0;
      section_begin ();

      for (k = 0; k < ENDS; ++k)
        close (fds [2 * k + 1]);

      while (done < ENDS)
        turn_wait ();

      turn_nowait ();
      section_end (ENDS);
      free (fds);
    }
}

/*****************************************************************************/
/* timeouts: n idle TCP connections, each with a timer; all expire at the same
 * time, and what expires is stopped and closed. One operation: one connection;
 * from the first expiry to the last.
 */

struct client
{
  io_w io;
  timer_w timer;
};

TIMER_CB (timeout_cb)
{
  struct client *c = (struct client *)((char *)w - offsetof (struct client, timer));

  if (!done)
    section_begin ();

  timer_stop (w);
  io_close (&c->io);
  ++done;
}

static void
w_timeouts (void)
{
  struct client *c;
  struct far far;
  int *fds, k;

#if ONE_TIMER
  skip ("a bare loop has but one timer");
#endif

  limit_n (1, 8);
  loop_del ();
  fds = make_connections (opt.n, &far);

  if (!loop_new () || !(c = calloc (opt.n, sizeof *c)))
    fail ("loop");

  for (k = 0; k < opt.n; ++k)
    {
      io_init (&c [k].io, no_cb, fds [k], IO_READ);
      io_start (&c [k].io);
    }

  turn_nowait ();
  turn_nowait ();
  timer_now ();

  for (k = 0; k < opt.n; ++k)
    {
      timer_init (&c [k].timer, timeout_cb);
      timer_start (&c [k].timer, .1);
    }

  for (done = 0; done < opt.n; )
    turn_wait ();

  turn_nowait ();
  section_end (opt.n);
  far_close (&far);
}

/*****************************************************************************/
/* proxy: n proxies, each between two sockets and watching both for reading. A
 * round sends 8 KiB to each of 10 of them; the buffer of the socket on the far
 * side is smaller, so the proxy stops reading and waits to write until the sink
 * has been emptied. One operation: 8 KiB through one proxy.
 */

#define BLOCK 8192

struct proxy
{
  rw_w in, out;
  int in_fd, out_fd, source, sink;
  int have, sent; /* bytes in the buffer, and of these written */
  char buf [BLOCK];
};

static struct proxy *proxies;
static long delivered;

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

IO_CB (proxy_back_cb)
{
  fail ("data on the way back");
}

static void
sink_drain (struct proxy *p)
{
  char buf [BLOCK];
  ssize_t res;

  while ((res = read (p->sink, buf, sizeof buf)) > 0)
    delivered += res;
}

static void
step_proxy (void)
{
  static const char block [BLOCK];
  int k;

  for (k = 0; k < CHUNK; ++k)
    if (write (proxies [(cursor + k) % opt.n].source, block, BLOCK) != BLOCK)
      fail ("source");

  for (delivered = 0; delivered < (long)CHUNK * BLOCK; )
    {
      turn_wait ();

      for (k = 0; k < CHUNK; ++k)
        sink_drain (&proxies [(cursor + k) % opt.n]);
    }

  cursor = (cursor + CHUNK) % opt.n;
  done += CHUNK;
}

static void
proxy_world (void)
{
  int *fds = make_channels (2 * opt.n, SOCKETS), k, small = 4096;

  if (!(proxies = calloc (opt.n, sizeof *proxies)))
    fail ("calloc");

  for (k = 0; k < opt.n; ++k)
    {
      struct proxy *p = &proxies [k];

      p->source = fds [4 * k];
      p->in_fd  = fds [4 * k + 1];
      p->out_fd = fds [4 * k + 2];
      p->sink   = fds [4 * k + 3];
      setsockopt (p->out_fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
      rw_init (&p->in, proxy_in_cb, no_cb, p->in_fd);
      rw_init (&p->out, proxy_back_cb, proxy_out_cb, p->out_fd);
      rw_read_start (&p->in);
      rw_read_start (&p->out);
    }
}

static void
w_proxy (void)
{
  long ops = ops_or (20000);

  limit_n (4, 0);

  proxy_world ();
  drive_warm (step_proxy, warm (ops));
  drive (step_proxy, ops);
  drive_clocked (step_proxy, ops / 4);
}

/*****************************************************************************/
/* server: answers requests until the last connection has ended; for load.c. The
 * "iteration" times are CPU time, so without sleep.
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

  while ((fd = accept4 (io_fd (w), 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
    {
      struct conn *c = conns + serving++ % CONNS;

      io_init (&c->io, serve_cb, fd, IO_READ);
      io_start (&c->io);
    }
}

static void
w_server (void)
{
  static io_w listener;
  uint64_t begin;

  io_init (&listener, serve_accept_cb, make_listener (&address), IO_READ);
  io_start (&listener);

  do
    {
      begin = cpu_ns ();
      turn_wait ();
      sample (cpu_ns () - begin);
    }
  while (serving);
}
