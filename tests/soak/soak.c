/*
 * A TCP echo service under churn, for as long as one likes (SOAK_SECONDS), with
 * SOAK_CONNECTIONS, in several rings.
 *
 * Forked workers accept from one listening socket, and are replaced by new ones
 * now and then. A client keeps many connections to them: most talk, and every
 * byte must come back in its place; others pause, are reset, say nothing until
 * the worker's time-out, or do not listen until it gives them up. Meanwhile the
 * statistics must add up; memory and descriptors must not grow.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */

#include "fixture.h"

#define WORKERS 2
#define BUFFER  8192
#define QUIET   1.   /* seconds after which a worker gives up those that do not talk */
#define REPLACE 12   /* quarters of a second after which a worker is replaced */

/* the first byte of a connection */
enum { TALK = 'T', DEAF = 'D', MUTE = 0 };

/* what all processes add up */
static struct
{
  unsigned long connections, bytes, time_outs, resets, submitted, cancelled, several;
} *report;

/* one connection, at either end */
struct conn
{
  ev_io in, out;
  ev_timer timer;                         /* of a worker: time-out; of the client: pause */
  int kind, eof;
  unsigned char buffer [BUFFER];          /* a worker's, */
  size_t have, done;                      /* the bytes in it, and those that are out */
  uint32_t seed;                          /* a client's: of its stream */
  long to_send, sent, received, reset_at;
};

static int seconds, connections, elapsed, alive, listener;
static struct sockaddr_storage address; /* its */
static socklen_t address_len;

#define add(what, n) __atomic_add_fetch (&report->what, (n), __ATOMIC_RELAXED)

static long most [2]; /* pages of memory, in the first half and in the second */

static void
second_cb (EV_P_ ev_timer *w, int revents)
{
  FILE *f = fopen ("/proc/self/statm", "re");
  long pages = 0, *m = most + (++elapsed > seconds / 2);

  must (f && fscanf (f, "%*d %ld", &pages) == 1);
  fclose (f);
  *m = pages > *m ? pages : *m;
  must (!false_statistics (EV_A));
  progress ();
  must_be (elapsed, <, seconds + 120); /* or there are connections that never end */
}

static ev_timer second;

static void
begin (void)
{
  ev_loop_fork (EV_A);
  ev_timer_init (&second, second_cb, 1., 1.);
  ev_timer_start (EV_A_ &second);
}

/* with its last connection */
static void
end (void)
{
  struct ev_linuxaio_stats s;

  while (alive)
    ev_run (EV_A_ EVRUN_ONCE);

  must (!false_statistics (EV_A));
  ev_linuxaio_stats (EV_A_ &s, sizeof (s));
  add (submitted, s.submitted);
  add (cancelled, s.cancelled);
  add (several, s.rings > 1);
  fixture_teardown ();
}

static void
conn_init (struct conn *c, int fd, void (*in) (EV_P_ ev_io *, int), void (*out) (EV_P_ ev_io *, int), void (*timer) (EV_P_ ev_timer *, int))
{
  ev_io_init (&c->in, in, fd, EV_READ);
  ev_io_init (&c->out, out, fd, EV_WRITE);
  ev_timer_init (&c->timer, timer, 0., QUIET);
  c->in.data = c->out.data = c->timer.data = c;
  ++alive;
}

static void
conn_stop (struct conn *c)
{
  ev_io_stop (EV_A_ &c->in);
  ev_io_stop (EV_A_ &c->out);
  ev_timer_stop (EV_A_ &c->timer);
  close (c->in.fd);
  --alive;
}

/*****************************************************************************/
/* a worker: echo, one buffer a connection */

static void
worker_close (struct conn *c)
{
  conn_stop (c);
  free (c);
}

/* writes what there is; what does not go out waits for the write watcher, and the reader with it */
static void
worker_out_cb (EV_P_ ev_io *w, int revents)
{
  struct conn *c = (struct conn *)w->data;
  ssize_t n = 0;
  int rest;

  while (c->done < c->have && (n = write (w->fd, c->buffer + c->done, c->have - c->done)) > 0)
    c->done += n;

  rest = c->done < c->have;

  if (rest ? errno != EAGAIN : c->eof)
    {
      worker_close (c);
      return;
    }

  ev_io_stop (EV_A_ rest ? &c->in : &c->out);
  ev_io_start (EV_A_ rest ? &c->out : &c->in);

  if (c->kind != DEAF)
    ev_timer_again (EV_A_ &c->timer);
}

static void
worker_in_cb (EV_P_ ev_io *w, int revents)
{
  struct conn *c = (struct conn *)w->data;
  ssize_t n = read (w->fd, c->buffer, BUFFER);

  if (n < 0 && errno == EAGAIN)
    return;

  if (n > 0 && !c->kind)
    c->kind = c->buffer [0];

  c->eof  = n <= 0;
  c->have = n < 0 ? 0 : n;
  c->done = 0;
  worker_out_cb (EV_A_ w, EV_WRITE);
}

/* those that talk may take as long as they like */
static void
worker_idle_cb (EV_P_ ev_timer *w, int revents)
{
  struct conn *c = (struct conn *)w->data;

  if (c->kind != TALK)
    {
      add (time_outs, 1);
      worker_close (c);
    }
}

static void
accept_cb (EV_P_ ev_io *w, int revents)
{
  int fd = accept4 (w->fd, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC);
  struct conn *c;

  if (fd < 0) /* another worker has got it */
    return;

  must ((c = (struct conn *)calloc (1, sizeof (*c))) != 0);
  conn_init (c, fd, worker_in_cb, worker_out_cb, worker_idle_cb);
  ev_io_start (EV_A_ &c->in);
  ev_timer_again (EV_A_ &c->timer);
}

/* until it is told to retire */
static void
worker (void)
{
  static int retired;
  ev_io accepter;

  begin ();
  counted (signal, &retired, SIGTERM);
  ev_io_init (&accepter, accept_cb, listener, EV_READ);
  ev_io_start (EV_A_ &accepter);

  while (!retired)
    ev_run (EV_A_ EVRUN_ONCE);

  ev_io_stop (EV_A_ &accepter);
  close (listener);
  end ();
}

/*****************************************************************************/
/* the client */

static void client_open (struct conn *c);

static void
client_close (struct conn *c)
{
  conn_stop (c);
  add (bytes, c->received);

  if (elapsed < seconds)
    client_open (c);
}

/* the bytes of its stream from there on, without an end and without a period */
static void
client_stream (struct conn *c, unsigned char *to, size_t n, long from)
{
  for (size_t i = 0; i < n; ++i)
    {
      uint32_t x = (c->seed + from + i) * 2654435761u;

      to [i] = from + i ? (x ^ x >> 15) * 2246822519u >> 24 : (unsigned)c->kind;
    }
}

/* the end of the stream, or an error. whoever has not got a word in yet may have been taken for a mute */
static void
client_ended (struct conn *c, ssize_t n)
{
  if (c->kind == TALK && c->received)
    must_be (c->received, ==, c->to_send);

  if (c->kind == TALK && !n && c->received == c->to_send)
    must (c->eof); /* it has hung up first */

  client_close (c);
}

static void
client_in_cb (EV_P_ ev_io *w, int revents)
{
  struct conn *c = (struct conn *)w->data;
  unsigned char got [BUFFER], expected [BUFFER];
  ssize_t n = read (w->fd, got, BUFFER);

  if (n < 0 && errno == EAGAIN)
    return;

  if (n <= 0)
    {
      client_ended (c, n);
      return;
    }

  client_stream (c, expected, n, c->received);
  c->received += n;
  must_be (c->received, <=, c->to_send);
  must (!memcmp (got, expected, n));
}

static void
client_out_cb (EV_P_ ev_io *w, int revents)
{
  const struct linger now = { 1, 0 };
  struct conn *c = (struct conn *)w->data;
  unsigned char buffer [BUFFER];
  ssize_t n = 1 + random () % BUFFER;

  n = n < c->to_send - c->sent ? n : c->to_send - c->sent;
  client_stream (c, buffer, n, c->sent);
  n = write (w->fd, buffer, n);

  if (n < 0 && errno != EAGAIN)
    {
      client_ended (c, n);
      return;
    }

  c->sent += n > 0 ? n : 0;

  if (c->sent >= c->reset_at)
    {
      setsockopt (w->fd, SOL_SOCKET, SO_LINGER, &now, sizeof (now));
      add (resets, 1);
      client_close (c);
    }
  else if (c->sent == c->to_send)
    {
      ev_io_stop (EV_A_ w);
      c->eof = 1;
      shutdown (w->fd, SHUT_WR);
    }
  else if (n > 0 && c->kind == TALK && elapsed < seconds && random () % 4 == 0)
    {
      ev_io_stop (EV_A_ w);
      c->timer.repeat = 0.001 + random () % 1000 * 1e-3;
      ev_timer_again (EV_A_ &c->timer);
    }
}

static void
client_pause_cb (EV_P_ ev_timer *w, int revents)
{
  ev_timer_stop (EV_A_ w);
  ev_io_start (EV_A_ &((struct conn *)w->data)->out);
}

static void
client_open (struct conn *c)
{
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  unsigned roll = random () % 100;
  struct sockaddr_in from = { AF_INET, 0, { 0 }, "" };

  must (fd >= 0);
  memset (c, 0, sizeof (*c));
  conn_init (c, fd, client_in_cb, client_out_cb, client_pause_cb);
  c->seed     = random ();
  c->kind     = roll < 4 ? MUTE : roll < 7 ? DEAF : TALK;
  c->to_send  = 1 + random () % (roll < 12 ? 400000 : 20000);
  c->reset_at = roll > 93 ? random () % c->to_send : c->to_send + 1;

  if (c->kind == DEAF) /* more than the buffers on the way can hold */
    c->to_send = c->reset_at = 1L << 40;

  /* all of 127.0.0.0/8 is ours: ports do not run out */
  from.sin_addr.s_addr = htonl (0x7f000002 + random () % 1000000);
  must (!bind (fd, (struct sockaddr *)&from, sizeof (from)));
  must (!connect (fd, (struct sockaddr *)&address, address_len) || errno == EINPROGRESS);

  if (c->kind != DEAF)
    ev_io_start (EV_A_ &c->in);

  if (c->kind != MUTE)
    ev_io_start (EV_A_ &c->out);

  add (connections, 1);
}

static void
client (void)
{
  struct conn *conn = (struct conn *)calloc (connections, sizeof (*conn));
  int descriptors = open_fds ("socket");

  begin ();

  for (int i = 0; i < connections; ++i)
    client_open (conn + i);

  end ();
  must_be (open_fds ("socket"), ==, descriptors);
  must_be (most [1], <=, most [0] + most [0] / 10 + 256);
}

/*****************************************************************************/

TEST (echo_service_under_churn, EPOLL | COLD | MIXED)
{
  pid_t workers [WORKERS], clients, retired;
  time_t end;
  int fd [2];

  seconds     = atoi (getenv ("SOAK_SECONDS") ?: "4");
  connections = atoi (getenv ("SOAK_CONNECTIONS") ?: "1000");
  room_for_fds (connections + 100);
  report   = mmap (0, sizeof (*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  make (WORLD_LISTEN, fd);
  listener = fd [0];
  address  = address_of (listener, &address_len);
  must (!listen (listener, 4096));

  for (int i = 0; i < WORKERS; ++i)
    workers [i] = in_child (worker);

  clients = in_child (client);

  /* one after the other retires, and ends with its last connection; another takes its place */
  end = time (0) + seconds;

  for (int i = 1; i <= REPLACE || time (0) < end; ++i)
    {
      usleep (250000);

      if (i % REPLACE == 0)
        {
          pid_t *w = workers + i / REPLACE % WORKERS;

          kill (retired = *w, SIGTERM);
          *w = in_child (worker);
          ends_well (retired);
        }
    }

  ends_well (clients);

  for (int i = 0; i < WORKERS; ++i)
    {
      kill (workers [i], SIGTERM);
      ends_well (workers [i]);
    }

  printf ("%lu connections, %lu bytes came back in their places, %lu time-outs, %lu resets, %lu requests, %lu cancelled\n",
          report->connections, report->bytes, report->time_outs, report->resets, report->submitted, report->cancelled);
  must_be (report->connections, >, connections);
  must (report->bytes && report->time_outs && report->resets);

  if (backend == COLD)
    must_be (report->several, >, 0);
}
