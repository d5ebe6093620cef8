/*
 * load.c - requests on a clock of their own
 *
 *   load --port P --clients N --requests M [--rate R] [--http2] [--tls] [--short] [--path /100]
 *
 * Request k is due at k / R seconds, whether answers come or not, and its latency counts
 * from then: a server that stalls is charged for everything that was due meanwhile. Without
 * --rate each client asks again as soon as it is answered. With --short each request has a
 * connection of its own.
 *
 * Prints "go" when all clients are connected and warm, and the result at the end; it waits
 * for a line after each, so that somebody can look at the server.
 */

#define _GNU_SOURCE 1

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

struct client
{
  int fd;
  SSL *ssl;
  unsigned stream;
  uint64_t due;
  size_t have;
  char buf [65536];
};

static int port, clients = 100, http2, tls, brief;
static long requests = 1000;
static double rate;
static const char *path = "/";

static int epfd;
static SSL_CTX *tls_context;
static struct client *client;
static struct client **idle; /* a ring: who is idle for longest is next */
static unsigned idle_head, idle_tail;
static uint64_t *latency;
static long answered;

static void
fail (const char *what)
{
  fprintf (stderr, "load: %s: %s\n", what, strerror (errno));
  exit (1);
}

static uint64_t
now_ns (void)
{
  struct timespec ts;

  clock_gettime (CLOCK_MONOTONIC, &ts);
  return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static void
put (struct client *c, const char *data, size_t len)
{
  if ((c->ssl ? SSL_write (c->ssl, data, len) : write (c->fd, data, len)) != (ssize_t)len)
    fail ("write");
}

/*****************************************************************************/
/* HTTP, as much of it as it takes */

enum { DATA, HEADERS, RST_STREAM = 3, SETTINGS, GOAWAY = 7, FRAME = 9, END_STREAM = 1, ACK = 1 };

static void
hello (struct client *c)
{
  /* no settings; a window for all answers that there can be */
  static const char text [] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" "\0\0\0\4\0\0\0\0\0" "\0\0\4\10\0\0\0\0\0\177\0\0\0";

  if (http2)
    put (c, text, sizeof text - 1);
}

static void
ask (struct client *c)
{
  char text [256];
  size_t n = strlen (path);

  if (http2)
    {
      /* GET, http, the path and an authority, none of which is to be remembered */
      memcpy (text, "\0\0\0\1\5\0\0\0\0\202\206\4", 12);
      text [2] = (char)(n + 7);
      *(uint32_t *)(text + 5) = htonl (c->stream);
      text [12] = (char)n;
      memcpy (text + 13, path, n);
      memcpy (text + 13 + n, "\1\1a", 3);
      c->stream += 2;
      put (c, text, n + 16);
    }
  else
    put (c, text, snprintf (text, sizeof text, "GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n", path, brief ? "Connection: close\r\n" : ""));
}

static int
whole_answer (struct client *c)
{
  char *end, *length;

  c->buf [c->have] = 0;

  if (!(end = strstr (c->buf, "\r\n\r\n")))
    return 0;

  if (strncmp (c->buf, "HTTP/1.", 7) || strncmp (c->buf + 9, "200", 3) || !(length = strcasestr (c->buf, "content-length:")))
    fail (c->buf);

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
        fail ("stream");

      if (f [3] == SETTINGS && !(f [4] & ACK))
        put (c, "\0\0\0\4\1\0\0\0\0", FRAME);

      last |= f [3] <= HEADERS && f [4] & END_STREAM;
      memmove (c->buf, c->buf + len, c->have -= len);
    }
}

/*****************************************************************************/

static void
open_client (struct client *c)
{
  struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons (port), .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };
  int one = 1;

  c->fd     = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  c->stream = 1;
  c->have   = 0;

  if (c->fd < 0 || connect (c->fd, (struct sockaddr *)&addr, sizeof addr)
      || setsockopt (c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one))
    fail ("connect");

  if (tls && (!(c->ssl = SSL_new (tls_context)) || !SSL_set_fd (c->ssl, c->fd) || SSL_connect (c->ssl) != 1))
    fail ("TLS");

  fcntl (c->fd, F_SETFL, O_NONBLOCK);

  if (epoll_ctl (epfd, EPOLL_CTL_ADD, c->fd, &event))
    fail ("epoll_ctl");

  hello (c);
}

static void
send_request (uint64_t due)
{
  struct client *c = idle [idle_head++ % clients];

  if (brief)
    open_client (c);

  c->due = due;
  ask (c);
}

static void
receive (struct client *c)
{
  int room = sizeof c->buf - 1 - c->have, res;

  res = c->ssl ? SSL_read (c->ssl, c->buf + c->have, room) : read (c->fd, c->buf + c->have, room);

  if (res <= 0)
    {
      if (c->ssl ? SSL_get_error (c->ssl, res) == SSL_ERROR_WANT_READ : res < 0 && errno == EAGAIN)
        return;

      fail ("the server has closed");
    }

  c->have += res;

  if (!(http2 ? last_frame (c) : whole_answer (c)))
    return;

  latency [answered++] = now_ns () - c->due;
  idle [idle_tail++ % clients] = c;

  if (brief)
    {
      SSL_free (c->ssl);
      close (c->fd);
    }
}

static void
run (long count, double per_second)
{
  struct epoll_event events [256];
  uint64_t begin = now_ns (), due = begin;
  long sent;

  for (answered = sent = 0; answered < count; )
    {
      struct timespec timeout = { 10, 0 };
      uint64_t now = now_ns ();
      int k, nr;

      while (sent < count && idle_head != idle_tail
             && (due = per_second ? begin + (uint64_t)(sent * 1e9 / per_second) : now) <= now)
        {
          send_request (due);
          ++sent;
        }

      if (sent < count && due > now)
        timeout = (struct timespec) { (due - now) / 1000000000, (due - now) % 1000000000 };

      if ((nr = epoll_pwait2 (epfd, events, 256, &timeout, 0)) < 0)
        fail ("epoll_pwait2");

      if (!nr && timeout.tv_sec >= 10)
        fail ("no answer");

      for (k = 0; k < nr; ++k)
        receive (events [k].data.ptr);
    }
}

static int
compare (const void *a, const void *b)
{
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

  return (x > y) - (x < y);
}

static void
say (const char *text)
{
  puts (text);
  fflush (stdout);

  if (getchar () == EOF)
    exit (1);
}

static void
parse_options (int argc, char *argv [])
{
  static const struct option names [] =
  {
    { "port", 1, 0, 'p' }, { "clients", 1, 0, 'c' }, { "requests", 1, 0, 'n' }, { "rate", 1, 0, 'r' },
    { "path", 1, 0, 'P' }, { "http2", 0, &http2, 1 }, { "tls", 0, &tls, 1 }, { "short", 0, &brief, 1 }, { 0, 0, 0, 0 }
  };
  int c;

  while ((c = getopt_long (argc, argv, "", names, 0)) >= 0)
    switch (c)
      {
        case 'p': port     = atoi (optarg); break;
        case 'c': clients  = atoi (optarg); break;
        case 'n': requests = atol (optarg); break;
        case 'r': rate     = atof (optarg); break;
        case 'P': path     = optarg; break;
        case '?': exit (1);
      }
}

int
main (int argc, char *argv [])
{
  char result [256];
  uint64_t begin;
  double seconds;
  int k;

  parse_options (argc, argv);
  signal (SIGPIPE, SIG_IGN);
  prctl (PR_SET_TIMERSLACK, 1);
  epfd        = epoll_create1 (EPOLL_CLOEXEC);
  tls_context = SSL_CTX_new (TLS_client_method ());
  client      = calloc (clients, sizeof *client);
  idle        = calloc (clients, sizeof *idle);
  latency     = calloc (requests, sizeof *latency);

  for (k = 0; k < clients; ++k)
    {
      idle [idle_tail++] = client + k;

      if (!brief)
        open_client (client + k);
    }

  run (requests / 10 + 1, 0.);
  say ("go");
  begin = now_ns ();
  run (requests, rate);
  seconds = (now_ns () - begin) * 1e-9;
  qsort (latency, requests, sizeof *latency, compare);
  snprintf (result, sizeof result, "load requests=%ld persec=%.0f p50=%.1f p99=%.1f p999=%.1f max=%.1f", requests, requests / seconds,
            latency [requests / 2] * 1e-3, latency [requests * 99 / 100] * 1e-3, latency [requests * 999 / 1000] * 1e-3,
            latency [requests - 1] * 1e-3);
  say (result);
  return 0;
}
