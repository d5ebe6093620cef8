/*
 * httpd.c - a small HTTP/1.1 server on libev, for wrk to measure
 *
 * One loop, made as most programs make it (ev_default_loop (0), so LIBEV_FLAGS
 * decides on the backend), one read watcher and one time-out per connection;
 * requests may be pipelined; every request gets the same answer. It listens on
 * the loopback interface, on a port chosen by the kernel, which it prints.
 */

#define _GNU_SOURCE 1

#include <ev.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define IDLE_LIMIT 30. /* seconds without a request */

static const char answer [] =
  "HTTP/1.1 200 OK\r\n"
  "Content-Type: text/plain\r\n"
  "Content-Length: 14\r\n"
  "\r\n"
  "Hello, world!\n";

struct client
{
  ev_io io;
  ev_timer idle;
  int have; /* bytes of the requests not answered yet */
  char buf [4096];
};

static void
client_close (EV_P_ struct client *c)
{
  ev_io_stop (EV_A_ &c->io);
  ev_timer_stop (EV_A_ &c->idle);
  close (c->io.fd);
  free (c);
}

static void
idle_cb (EV_P_ ev_timer *w, int revents)
{
  client_close (EV_A_ (struct client *)((char *)w - offsetof (struct client, idle)));
}

/* takes the complete requests out of the buffer, returns how many */
static int
client_requests (struct client *c)
{
  char *pos = c->buf, *end;
  int nr = 0;

  while ((end = memmem (pos, c->buf + c->have - pos, "\r\n\r\n", 4)))
    {
      pos = end + 4;
      ++nr;
    }

  c->have -= pos - c->buf;
  memmove (c->buf, pos, c->have);
  return nr;
}

/* an answer that does not fit into the socket's buffer ends the connection:
 * nobody who reads what he asked for gets that far behind
 */
static int
client_answer (struct client *c, int nr)
{
  while (nr--)
    if (write (c->io.fd, answer, sizeof answer - 1) != sizeof answer - 1)
      return 0;

  return 1;
}

static void
client_cb (EV_P_ ev_io *w, int revents)
{
  struct client *c = (struct client *)w;
  ssize_t res = read (w->fd, c->buf + c->have, sizeof c->buf - c->have);

  if (res < 0 && (errno == EAGAIN || errno == EINTR))
    return;

  if (res <= 0)
    {
      client_close (EV_A_ c);
      return;
    }

  c->have += res;
  ev_timer_again (EV_A_ &c->idle);

  if (!client_answer (c, client_requests (c)) || c->have == sizeof c->buf)
    client_close (EV_A_ c);
}

static void
accept_cb (EV_P_ ev_io *w, int revents)
{
  int fd, one = 1;

  while ((fd = accept4 (w->fd, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
    {
      struct client *c = malloc (sizeof *c);

      if (!c)
        {
          close (fd);
          continue;
        }

      setsockopt (fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      c->have = 0;
      ev_io_init (&c->io, client_cb, fd, EV_READ);
      ev_io_start (EV_A_ &c->io);
      ev_init (&c->idle, idle_cb);
      c->idle.repeat = IDLE_LIMIT;
      ev_timer_again (EV_A_ &c->idle);
    }
}

static void
term_cb (EV_P_ ev_signal *w, int revents)
{
  ev_break (EV_A_ EVBREAK_ALL);
}

static int
listen_somewhere (void)
{
  struct sockaddr_in addr;
  socklen_t len = sizeof addr;
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

  memset (&addr, 0, sizeof addr);
  addr.sin_family = AF_INET;
  addr.sin_addr.s_addr = htonl (INADDR_LOOPBACK);

  if (fd < 0 || bind (fd, (struct sockaddr *)&addr, sizeof addr) || listen (fd, 4096)
      || getsockname (fd, (struct sockaddr *)&addr, &len))
    {
      perror ("httpd: listen");
      exit (1);
    }

  printf ("port %d\n", ntohs (addr.sin_port));
  fflush (stdout);
  return fd;
}

int
main (void)
{
  struct ev_loop *loop = ev_default_loop (0);
  ev_io listener;
  ev_signal term;

  if (!loop)
    {
      fprintf (stderr, "httpd: no event loop\n");
      return 1;
    }

  signal (SIGPIPE, SIG_IGN);
  ev_io_init (&listener, accept_cb, listen_somewhere (), EV_READ);
  ev_io_start (EV_A_ &listener);
  ev_signal_init (&term, term_cb, SIGTERM);
  ev_signal_start (EV_A_ &term);
  ev_run (EV_A_ 0);
  return 0;
}
