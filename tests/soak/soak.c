/*
 * soak - a TCP echo service under churn, for as long as one likes
 *
 *   soak [-t seconds] [-c connections] [-w workers] [-b backend flag]
 *
 * Forked workers accept from one listening socket, and are replaced by new
 * ones now and then. A client keeps many connections to them: most talk, and
 * every byte must come back in its place; others pause, are reset, say nothing
 * until the worker's time-out, or do not listen until it gives them up. While
 * it lasts the statistics must add up; memory and descriptors must not grow.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <ev.h>
#include <ev_linuxaio.h>

#define WORKERS_MAX     16
#define BUFFER          8192
#define TIME_OUT        1.    /* of a worker, for those that do not talk */
#define REPLACE_SECONDS 3.    /* how often a worker is replaced */
#define DRAIN_SECONDS   120.  /* more than that after the end, and something hangs */

/* the first byte of a connection */
enum { TALK = 'T', DEAF = 'D', MUTE = 0 };

/* what all processes add up */
struct report
{
  unsigned long connections, accepted, bytes, time_outs, resets, cut, replaced, checks;
  unsigned long spurious; /* woken by the other process for what was read a moment ago: libev allows it */
  unsigned long submitted, completed, cancelled, epoll_moves, ring_moves, ring_seen;
  unsigned long failures;
};

static struct report *report; /* shared */
static double seconds = 60.;
static int connections = 2000, workers = 2;
static unsigned backend = EVBACKEND_LINUXAIO;
static const char *me = "soak";
static int listener;
static struct sockaddr_in address;
static long blocks; /* of memory allocated by libev */

#define add(what, n) __atomic_add_fetch (&report->what, (n), __ATOMIC_RELAXED)

static void
die (const char *what)
{
  fprintf (stderr, "soak: %s: %s%s%s\n", me, what, errno ? ": " : "", errno ? strerror (errno) : "");
  add (failures, 1);
  _exit (1);
}

static void
must (int condition, const char *what)
{
  if (!condition)
    die (what);
}

/*****************************************************************************/
/* random numbers and the bytes of a stream */

static uint32_t
next_random (uint32_t *state)
{
  *state ^= *state << 13;
  *state ^= *state >> 17;
  *state ^= *state << 5;
  return *state;
}

static void
fill_stream (uint32_t *state, unsigned char *to, size_t n)
{
  while (n--)
    *to++ = next_random (state) >> 11;
}

/*****************************************************************************/
/* memory, descriptors, statistics */

static void *
counting_alloc (void *ptr, long size)
{
  blocks += (ptr ? 0 : 1) - (size ? 0 : 1);

  if (size)
    return realloc (ptr, size);

  free (ptr);
  return 0;
}

static long
resident_pages (void)
{
  FILE *f = fopen ("/proc/self/statm", "r");
  long size, resident = 0;

  must (f && fscanf (f, "%ld %ld", &size, &resident) == 2, "/proc/self/statm");
  fclose (f);
  return resident;
}

static int
open_descriptors (void)
{
  int fd, n = 0, limit = sysconf (_SC_OPEN_MAX);

  for (fd = 0; fd < limit; ++fd)
    n += fcntl (fd, F_GETFD) != -1;

  return n;
}

static void
check_statistics (EV_P)
{
  struct ev_linuxaio_stats s;

  add (checks, 1);
  if (!ev_linuxaio_stats (EV_A_ &s))
    {
      must (backend != EVBACKEND_LINUXAIO, "the loop runs on another backend");
      return;
    }

  errno = 0;
  must (s.submitted == s.completed + s.cancelled + s.in_flight, "requests do not add up");
  must (s.epoll_fds == s.epoll_no_ring + s.epoll_kind + s.epoll_refused + s.epoll_parked
                     + s.epoll_overflow + s.epoll_steady, "fds on epoll do not add up");
  must (s.in_flight <= s.ring_entries, "more requests in flight than there is room for");
}

static void
add_statistics (EV_P)
{
  struct ev_linuxaio_stats s;

  if (!ev_linuxaio_stats (EV_A_ &s))
    return;

  add (submitted, s.submitted);
  add (completed, s.completed);
  add (cancelled, s.cancelled);
  add (epoll_moves, s.moved_to_epoll);
  add (ring_moves, s.moved_to_ring);
  add (ring_seen, !!s.ring_entries);
}

/*****************************************************************************/
/* a worker: echo, one buffer a connection */

struct conn
{
  ev_io in, out;
  ev_timer idle;
  struct conn **list, *next, *prev;
  size_t have, done;
  int kind, eof;
  char buffer [BUFFER];
};

static struct conn *conns;
static ev_io accept_w;

static void
conn_close (EV_P_ struct conn *c)
{
  ev_io_stop (EV_A_ &c->in);
  ev_io_stop (EV_A_ &c->out);
  ev_timer_stop (EV_A_ &c->idle);
  close (c->in.fd);

  if (c->next)
    c->next->prev = c->prev;

  if (c->prev)
    c->prev->next = c->next;
  else
    conns = c->next;

  free (c);
}

/* writes what there is; what does not go out waits for the write watcher, and the reader with it */
static int
conn_flush (EV_P_ struct conn *c)
{
  while (c->done < c->have)
    {
      ssize_t n = write (c->out.fd, c->buffer + c->done, c->have - c->done);

      if (n > 0)
        c->done += n;
      else if (errno == EAGAIN)
        {
          ev_io_stop (EV_A_ &c->in);
          ev_io_start (EV_A_ &c->out);
          return 1;
        }
      else
        {
          conn_close (EV_A_ c);
          return 0;
        }
    }

  c->have = c->done = 0;

  if (c->eof)
    {
      conn_close (EV_A_ c);
      return 0;
    }

  ev_io_stop (EV_A_ &c->out);
  ev_io_start (EV_A_ &c->in);
  return 1;
}

static void
conn_out_cb (EV_P_ ev_io *w, int revents)
{
  struct conn *c = (struct conn *)w->data;

  (void)revents;
  if (conn_flush (EV_A_ c) && c->kind != DEAF)
    ev_timer_again (EV_A_ &c->idle);
}

static void
conn_in_cb (EV_P_ ev_io *w, int revents)
{
  struct conn *c = (struct conn *)w->data;
  ssize_t n = read (w->fd, c->buffer, BUFFER);

  (void)revents;
  if (n < 0 && errno == EAGAIN)
    {
      add (spurious, 1);
      return;
    }

  if (n < 0)
    {
      conn_close (EV_A_ c);
      return;
    }

  if (n > 0 && !c->kind)
    c->kind = c->buffer [0];

  c->eof  = !n;
  c->have = n;
  if (conn_flush (EV_A_ c) && c->kind != DEAF)
    ev_timer_again (EV_A_ &c->idle);
}

/* those that talk may take as long as they like */
static void
conn_idle_cb (EV_P_ ev_timer *w, int revents)
{
  struct conn *c = (struct conn *)w->data;

  (void)revents;
  if (c->kind == TALK)
    return;

  add (time_outs, 1);
  conn_close (EV_A_ c);
}

static void
accept_cb (EV_P_ ev_io *w, int revents)
{
  int fd = accept4 (w->fd, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC);
  struct conn *c;

  (void)revents;
  if (fd < 0) /* another worker has got it */
    return;

  c = (struct conn *)calloc (1, sizeof (*c));
  must (c != 0, "no memory");
  ev_io_init (&c->in, conn_in_cb, fd, EV_READ);
  ev_io_init (&c->out, conn_out_cb, fd, EV_WRITE);
  ev_timer_init (&c->idle, conn_idle_cb, 0., TIME_OUT);
  c->in.data = c->out.data = c->idle.data = c;
  c->next = conns;
  if (conns)
    conns->prev = c;
  conns = c;

  ev_io_start (EV_A_ &c->in);
  ev_timer_again (EV_A_ &c->idle);
  add (accepted, 1);
}

static void
second_cb (EV_P_ ev_timer *w, int revents)
{
  (void)w, (void)revents;
  check_statistics (EV_A);
}

/* no more connections; the loop ends with the last one */
static void
retire_cb (EV_P_ ev_signal *w, int revents)
{
  (void)w, (void)revents;
  ev_io_stop (EV_A_ &accept_w);
  ev_break (EV_A_ EVBREAK_ALL);
}

static void
worker_main (EV_P)
{
  ev_timer second;
  ev_signal retire;

  me = "worker";
  prctl (PR_SET_PDEATHSIG, SIGKILL);
  ev_loop_fork (EV_A);

  ev_timer_init (&second, second_cb, 1., 1.);
  ev_signal_init (&retire, retire_cb, SIGTERM);
  ev_io_init (&accept_w, accept_cb, listener, EV_READ);
  ev_timer_start (EV_A_ &second);
  ev_signal_start (EV_A_ &retire);
  ev_io_start (EV_A_ &accept_w);

  ev_run (EV_A_ 0);
  close (listener);

  while (conns)
    ev_run (EV_A_ EVRUN_ONCE);

  ev_timer_stop (EV_A_ &second);
  ev_signal_stop (EV_A_ &retire);
  check_statistics (EV_A);
  add_statistics (EV_A);
  ev_loop_destroy (EV_A);
  errno = 0;
  must (!blocks, "memory of the loop is left");
  _exit (0);
}

/*****************************************************************************/
/* the client */

struct peer
{
  ev_io in, out;
  ev_timer pause;
  uint32_t send_state, receive_state;
  long to_send, sent, received, reset_at;
  int kind, closed; /* closed: said all, has told the other side */
  unsigned char buffer [BUFFER]; /* bytes that are still to be sent */
  size_t have, done;
};

static struct peer *peers;
static uint32_t dice = 2463534242u;
static int alive, draining;

static void peer_open (EV_P_ struct peer *p);

static void
peer_close (EV_P_ struct peer *p)
{
  ev_io_stop (EV_A_ &p->in);
  ev_io_stop (EV_A_ &p->out);
  ev_timer_stop (EV_A_ &p->pause);
  close (p->in.fd);
  add (bytes, p->received);
  --alive;

  if (!draining)
    peer_open (EV_A_ p);
}

static void
peer_reset (EV_P_ struct peer *p)
{
  struct linger now = { 1, 0 };

  setsockopt (p->in.fd, SOL_SOCKET, SO_LINGER, &now, sizeof (now));
  add (resets, 1);
  peer_close (EV_A_ p);
}

/* the end of the stream, or an error: whose turn was it? */
static void
peer_ended (EV_P_ struct peer *p, ssize_t n)
{
  if (p->kind == TALK && p->received < p->to_send)
    {
      /* whoever has not got a word in yet may have been taken for a mute */
      must (!p->received, "a connection ended before all bytes had come back");
      add (cut, 1);
    }

  if (p->kind == TALK && !n && p->received == p->to_send)
    must (p->closed, "the other side has hung up first");

  peer_close (EV_A_ p);
}

static void
peer_in_cb (EV_P_ ev_io *w, int revents)
{
  struct peer *p = (struct peer *)w->data;
  unsigned char got [BUFFER], expected [BUFFER];
  ssize_t n = read (w->fd, got, BUFFER);

  (void)revents;
  if (n < 0 && errno == EAGAIN)
    {
      add (spurious, 1);
      return;
    }

  if (n <= 0)
    {
      peer_ended (EV_A_ p, n);
      return;
    }

  fill_stream (&p->receive_state, expected, n);
  if (!p->received)
    expected [0] = p->kind;

  p->received += n;
  errno = 0;
  must (p->received <= p->to_send, "more bytes came back than were sent");
  must (!memcmp (got, expected, n), "other bytes came back than were sent");
}

/* the next bytes of the stream are made when the ones before are out */
static void
peer_prepare (struct peer *p)
{
  size_t n = 1 + next_random (&dice) % BUFFER;

  if (n > (size_t)(p->to_send - p->sent))
    n = p->to_send - p->sent;

  fill_stream (&p->send_state, p->buffer, n);
  if (!p->sent)
    p->buffer [0] = p->kind;

  p->have = n;
  p->done = 0;
}

static void
peer_out_cb (EV_P_ ev_io *w, int revents)
{
  struct peer *p = (struct peer *)w->data;
  ssize_t n;

  (void)revents;
  if (p->done == p->have)
    peer_prepare (p);

  n = write (w->fd, p->buffer + p->done, p->have - p->done);

  if (n < 0 && errno != EAGAIN)
    {
      peer_ended (EV_A_ p, n);
      return;
    }

  if (n > 0)
    p->done += n, p->sent += n;

  if (p->sent >= p->reset_at)
    peer_reset (EV_A_ p);
  else if (p->sent == p->to_send)
    {
      ev_io_stop (EV_A_ w);
      p->closed = 1;
      shutdown (w->fd, SHUT_WR);
    }
  else if (n > 0 && p->kind == TALK && next_random (&dice) % 4 == 0)
    {
      ev_io_stop (EV_A_ w);
      ev_timer_set (&p->pause, next_random (&dice) % 1000 * 1e-3, 0.);
      ev_timer_start (EV_A_ &p->pause);
    }
}

static void
peer_pause_cb (EV_P_ ev_timer *w, int revents)
{
  (void)revents;
  ev_io_start (EV_A_ &((struct peer *)w->data)->out);
}

static void
peer_choose (struct peer *p)
{
  unsigned roll = next_random (&dice) % 100;

  memset (p, 0, sizeof (*p));
  p->send_state = p->receive_state = next_random (&dice) | 1;
  p->kind     = roll < 4 ? MUTE : roll < 7 ? DEAF : TALK;
  p->to_send  = 1 + next_random (&dice) % (roll < 12 ? 400000 : 20000);
  p->reset_at = roll > 93 ? (long)(next_random (&dice) % p->to_send) : p->to_send + 1;

  /* more than the buffers on the way can hold */
  if (p->kind == DEAF)
    p->to_send = p->reset_at = 1L << 40;
}

static void
peer_open (EV_P_ struct peer *p)
{
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  struct sockaddr_in from;

  must (fd >= 0, "socket");
  peer_choose (p);
  ev_io_init (&p->in, peer_in_cb, fd, EV_READ);
  ev_io_init (&p->out, peer_out_cb, fd, EV_WRITE);
  ev_init (&p->pause, peer_pause_cb);
  p->in.data = p->out.data = p->pause.data = p;

  /* all of 127.0.0.0/8 is ours: ports do not run out */
  memset (&from, 0, sizeof (from));
  from.sin_family      = AF_INET;
  from.sin_addr.s_addr = htonl (0x7f000002 + next_random (&dice) % 1000000);
  if (bind (fd, (struct sockaddr *)&from, sizeof (from)) < 0)
    must (0, "bind");

  if (connect (fd, (struct sockaddr *)&address, sizeof (address)) < 0)
    must (errno == EINPROGRESS, "connect");

  if (p->kind != DEAF)
    ev_io_start (EV_A_ &p->in);

  if (p->kind != MUTE)
    ev_io_start (EV_A_ &p->out);

  ++alive;
  add (connections, 1);
}

/*****************************************************************************/
/* the life of it all */

static pid_t pids [WORKERS_MAX * 2];
static int pidcnt;
static struct ev_loop *seed_loop; /* made before the workers are forked: they inherit it */

static void
start_worker (void)
{
  pid_t pid = fork ();

  must (pid >= 0, "fork");

  if (!pid)
    worker_main (seed_loop);

  pids [pidcnt++] = pid;
}

static void
reap_workers (int options)
{
  int status, i = 0;

  while (i < pidcnt)
    if (waitpid (pids [i], &status, options) == pids [i])
      {
        errno = 0;
        must (!status, "a worker did not end well");
        memmove (pids + i, pids + i + 1, (--pidcnt - i) * sizeof (*pids));
      }
    else
      ++i;
}

/* the client lives in a process of its own, so that its descriptors are not the workers' */
struct client
{
  ev_timer second, end;
  long pages_early, pages_late;
  int elapsed;
};

static void
client_second_cb (EV_P_ ev_timer *w, int revents)
{
  struct client *c = (struct client *)w->data;
  long pages = resident_pages ();

  (void)revents;
  check_statistics (EV_A);
  ++c->elapsed;

  if (c->elapsed <= seconds / 2)
    c->pages_early = pages > c->pages_early ? pages : c->pages_early;
  else
    c->pages_late = pages > c->pages_late ? pages : c->pages_late;
}

static void
client_end_cb (EV_P_ ev_timer *w, int revents)
{
  (void)w, (void)revents;
  draining = 1;
  ev_break (EV_A_ EVBREAK_ALL);
}

static void
hang_cb (EV_P_ ev_timer *w, int revents)
{
  (void)loop, (void)w, (void)revents;
  errno = 0;
  die ("connections are left that never end");
}

static void
client_main (void)
{
  EV_P = ev_loop_new (EVFLAG_NOENV | backend);
  struct client c = { 0 };
  ev_timer hang;
  int i, descriptors;

  me = "client";
  prctl (PR_SET_PDEATHSIG, SIGKILL);
  close (listener);
  ev_loop_destroy (seed_loop);
  must (loop != 0, "no loop");
  descriptors = open_descriptors ();
  peers = (struct peer *)calloc (connections, sizeof (*peers));
  must (peers != 0, "no memory");

  ev_timer_init (&c.second, client_second_cb, 1., 1.);
  ev_timer_init (&c.end, client_end_cb, seconds, 0.);
  ev_timer_init (&hang, hang_cb, seconds + DRAIN_SECONDS, 0.);
  c.second.data = &c;
  ev_timer_start (EV_A_ &c.second);
  ev_timer_start (EV_A_ &c.end);
  ev_timer_start (EV_A_ &hang);

  for (i = 0; i < connections; ++i)
    peer_open (EV_A_ peers + i);

  ev_run (EV_A_ 0);

  while (alive)
    ev_run (EV_A_ EVRUN_ONCE);

  ev_timer_stop (EV_A_ &c.second);
  ev_timer_stop (EV_A_ &hang);
  errno = 0;
  must (open_descriptors () == descriptors, "descriptors are left");
  must (c.pages_late <= c.pages_early + c.pages_early / 10 + 256, "memory grows");
  check_statistics (EV_A);
  add_statistics (EV_A);
  ev_loop_destroy (EV_A);
  must (!blocks, "memory of the loop is left");
  printf ("client: %ld kB resident in the first half, %ld kB in the second\n",
          c.pages_early * 4, c.pages_late * 4);
  exit (0);
}

/* a worker retires, another takes its place */
static void
replace_one (void)
{
  start_worker ();
  kill (pids [0], SIGTERM);
  add (replaced, 1);
}

static void
supervise (pid_t client)
{
  struct timespec tick = { 0, 100000000 };
  int ticks, status = 0;

  for (ticks = 1; !waitpid (client, &status, WNOHANG); ++ticks)
    {
      nanosleep (&tick, 0);
      reap_workers (WNOHANG);
      errno = 0;
      must (pidcnt >= workers || ticks > seconds * 10, "a worker is gone");

      /* the one before must have gone, so that they do not pile up */
      if (ticks % (int)(REPLACE_SECONDS * 10) == 0 && ticks < seconds * 10 && pidcnt == workers)
        replace_one ();
    }

  errno = 0;
  must (!status, "the client did not end well");

  for (ticks = 0; ticks < pidcnt; ++ticks)
    kill (pids [ticks], SIGTERM);

  reap_workers (0);
}

static void
open_listener (void)
{
  socklen_t length = sizeof (address);

  address.sin_family      = AF_INET;
  address.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
  listener = socket (AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  must (listener >= 0
        && !bind (listener, (struct sockaddr *)&address, sizeof (address))
        && !listen (listener, 4096)
        && !getsockname (listener, (struct sockaddr *)&address, &length), "listen");
}

static void
raise_limits (void)
{
  struct rlimit limit;

  must (!getrlimit (RLIMIT_NOFILE, &limit), "getrlimit");
  limit.rlim_cur = limit.rlim_max;
  setrlimit (RLIMIT_NOFILE, &limit);

  if ((rlim_t)connections + 100 > limit.rlim_cur)
    {
      connections = limit.rlim_cur - 100;
      printf ("%d connections, more descriptors may not be opened here\n", connections);
    }
}

static int
print_report (void)
{
  const struct report *r = report;

  printf ("%lu connections, %lu bytes came back in their places, %lu time-outs, %lu resets, "
          "%lu workers replaced, %lu spurious events\n",
          r->connections, r->bytes, r->time_outs, r->resets, r->replaced, r->spurious);
  printf ("ring: %lu requests, %lu completed, %lu cancelled; fds moved to epoll %lu, to the ring %lu; "
          "statistics added up %lu times\n",
          r->submitted, r->completed, r->cancelled, r->epoll_moves, r->ring_moves, r->checks);

  errno = 0;
  must (r->connections > (unsigned long)connections && r->bytes && r->time_outs && r->resets, "too little has happened");
  must (backend != EVBACKEND_LINUXAIO || (r->submitted && r->ring_seen), "the ring was not used");
  return !!r->failures;
}

int
main (int argc, char **argv)
{
  pid_t client;
  int c, i;

  while ((c = getopt (argc, argv, "t:c:w:b:")) != -1)
    switch (c)
      {
        case 't': seconds     = atof (optarg); break;
        case 'c': connections = atoi (optarg); break;
        case 'w': workers     = atoi (optarg); break;
        case 'b': backend     = atoi (optarg); break;
        default : return 1;
      }

  if (workers < 1 || workers > WORKERS_MAX || connections < 1 || seconds < 3.)
    {
      fprintf (stderr, "soak: 3 seconds, 1 connection and 1 to %d workers at least\n", WORKERS_MAX);
      return 1;
    }

  report = (struct report *)mmap (0, sizeof (*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  must (report != MAP_FAILED, "mmap");
  setvbuf (stdout, 0, _IOLBF, 0);
  raise_limits ();
  printf ("%.0f seconds, %d connections, %d workers\n", seconds, connections, workers);
  signal (SIGPIPE, SIG_IGN);
  ev_set_allocator (counting_alloc);
  open_listener ();

  seed_loop = ev_loop_new (EVFLAG_NOENV | backend);
  must (seed_loop != 0, "no loop");

  for (i = 0; i < workers; ++i)
    start_worker ();

  client = fork ();
  must (client >= 0, "fork");
  if (!client)
    client_main ();

  supervise (client);
  return print_report ();
}
