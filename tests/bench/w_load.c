/*
 * w_load.c - requests on a clock of their own, for servers.py; included by bench.c
 *
 *   bench-load load - port=P n=CLIENTS ops=REQUESTS [rate=PER_SECOND] [http2=1] [tls=1] [short=1]
 *
 * Request k is due at k / rate seconds, whether answers come or not, and its latency counts
 * from then: a server that stalls is charged for everything that was due meanwhile. Without
 * a rate each client asks again as soon as it is answered. With short each request has a
 * connection of its own.
 *
 * Says "go" when all clients are connected and warm, and at the end the latencies and the
 * time for all, as binary numbers; it waits for a byte after each, so that somebody can look
 * at the server.
 */

#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/timerfd.h>

struct client
{
  struct chan chan;
  SSL *ssl;
  unsigned stream;
  uint64_t due;
  size_t have;
  char buf [65536];
};

static SSL_CTX *tls_context;
static struct client **idle; /* a ring: who is idle for longest is next */
static unsigned idle_head, idle_tail;
static uint64_t *latency;
static long answered;
static struct chan ticker;

static void
put (struct client *c, const char *data, size_t len)
{
  if ((c->ssl ? SSL_write (c->ssl, data, len) : write (c->chan.fd, data, len)) != (ssize_t)len)
    err (1, "write");
}

/* HTTP, as much of it as it takes */

enum { DATA, HEADERS, RST_STREAM = 3, SETTINGS, GOAWAY = 7, FRAME = 9, END_STREAM = 1, ACK = 1 };

static void
ask (struct client *c)
{
  /* GET, http, the path and an authority, none of which is to be remembered */
  static char frame [] = "\0\0\13\1\5\0\0\0\0" "\202\206\4\4/100\1\1a";
  static const char text [] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n", last [] = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

  if (opt.http2)
    {
      *(uint32_t *)(frame + 5) = htonl (c->stream);
      c->stream += 2;
      put (c, frame, sizeof frame - 1);
    }
  else
    put (c, opt.brief ? last : text, (opt.brief ? sizeof last : sizeof text) - 1);
}

static int
whole_answer (struct client *c)
{
  char *end, *length;

  c->buf [c->have] = 0;

  if (!(end = strstr (c->buf, "\r\n\r\n")))
    return 0;

  if (strncmp (c->buf, "HTTP/1.", 7) || strncmp (c->buf + 9, "200", 3) || !(length = strcasestr (c->buf, "content-length:")))
    errx (1, "%s", c->buf);

  if (c->have < (size_t)(end + 4 - c->buf) + strtoul (length + 15, 0, 10))
    return 0;

  c->have = 0;
  return 1;
}

static int
last_frame (struct client *c)
{
  int last = 0;

  for (;;)
    {
      unsigned char *f = (unsigned char *)c->buf;
      size_t len = FRAME + (c->have < FRAME ? 0u : (unsigned)f [0] << 16 | f [1] << 8 | f [2]);

      if (c->have < len)
        return last;

      if (f [3] == RST_STREAM || f [3] == GOAWAY)
        errx (1, "the stream was reset");

      if (f [3] == SETTINGS && !(f [4] & ACK))
        put (c, "\0\0\0\4\1\0\0\0\0", FRAME);

      last |= f [3] <= HEADERS && f [4] & END_STREAM;
      memmove (c->buf, c->buf + len, c->have -= len);
    }
}

READ_CB (answer_cb)
{
  struct client *asked = (struct client *)c;
  char *buf = asked->buf + asked->have;
  int room = sizeof asked->buf - 1 - asked->have;
  int res = asked->ssl ? SSL_read (asked->ssl, buf, room) : read (c->fd, buf, room);

  if (res <= 0)
    {
      if (asked->ssl ? SSL_get_error (asked->ssl, res) == SSL_ERROR_WANT_READ : res < 0 && errno == EAGAIN)
        return;

      err (1, "the server has closed");
    }

  asked->have += res;

  if (!(opt.http2 ? last_frame : whole_answer) (asked))
    return;

  latency [answered++] = now_ns () - asked->due;
  idle [idle_tail++ % opt.n] = asked;

  if (opt.brief)
    {
      SSL_free (asked->ssl);
      io_close (&c->rd, c->fd);
    }
}

static void
open_client (struct client *c)
{
  /* no settings; a window for all answers that there can be */
  static const char hello [] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" "\0\0\0\4\0\0\0\0\0" "\0\0\4\10\0\0\0\0\0\177\0\0\0";
  int fd = make_client (0), one = 1;

  setsockopt (fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  c->stream = 1;
  c->have   = 0;

  if (opt.tls && (!(c->ssl = SSL_new (tls_context)) || !SSL_set_fd (c->ssl, fd) || SSL_connect (c->ssl) != 1))
    errx (1, "TLS");

  fcntl (fd, F_SETFL, O_NONBLOCK);
  c->chan.fd = fd;
  start (&c->chan, answer_cb);

  if (opt.http2)
    put (c, hello, sizeof hello - 1);
}

static void
send_request (uint64_t due)
{
  struct client *c = idle [idle_head++ % opt.n];

  if (opt.brief)
    open_client (c);

  c->due = due;
  ask (c);
}

/* the clock: there is something to be sent */
READ_CB (due_cb)
{
}

static void
requests (long count, double per_second)
{
  uint64_t began = now_ns ();
  long sent;

  alarm (60 + (per_second ? count / per_second : 0)); /* a server that has stopped to answer */

  for (answered = sent = 0; answered < count; )
    {
      uint64_t now = now_ns (), due = now;

      while (sent < count && idle_head != idle_tail
             && (due = per_second ? began + (uint64_t)(sent * 1e9 / per_second) : now) <= now)
        {
          send_request (due);
          ++sent;
        }

      if (sent < count && due > now)
        timerfd_settime (ticker.fd, TFD_TIMER_ABSTIME, &(struct itimerspec) { .it_value = { due / 1000000000, due % 1000000000 } }, 0);

      turn_wait ();
    }

  alarm (0);
}

static void
w_load (void)
{
  int k;

  address.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
  address.sin_port        = htons (opt.port);
  tls_context             = SSL_CTX_new (TLS_client_method ());
  idle                    = calloc (opt.n, sizeof *idle);
  latency                 = calloc (opt.ops + 1, sizeof *latency);
  ticker.fd = timerfd_create (CLOCK_MONOTONIC, 0);
  io_init (&ticker.rd, due_cb, ticker.fd, IO_READ | EPOLLET);
  io_start (&ticker.rd);

  for (k = 0; k < opt.n; ++k)
    {
      idle [idle_tail++] = calloc (1, sizeof **idle);

      if (!opt.brief)
        open_client (idle [k]);
    }

  requests (opt.ops / 10 + 1, 0.);
}

static void
step_load (void)
{
  uint64_t began;

  puts ("go");
  fflush (stdout);
  getchar ();
  began = now_ns ();
  requests (opt.ops, opt.rate);
  latency [opt.ops] = now_ns () - began;
  fwrite (latency, sizeof *latency, opt.ops + 1, stdout);
  fflush (stdout);
  getchar ();
  exit (0);
}
