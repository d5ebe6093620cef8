/*
 * What all suites share: a loop for each backend, made before and destroyed
 * after every test, and the few helpers that tests are written with.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#ifndef FIXTURE_H_
#define FIXTURE_H_

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>
#include <ev.h>

/* PRISTINE: built against libev 4.33 as it is, which has no statistics */
#ifndef PRISTINE
# include <ev_linuxaio.h>
#endif

/*
 * What a test runs on. COLD is a linuxaio loop as it is created: it has no ring
 * yet. RING is one that has been polled while it watched some idle sockets until
 * it has made a ring, and serves what comes from there.
 */
enum
{
  SELECT = 1,
  POLL   = 2,
  EPOLL  = 4,
  COLD   = 8,
  RING   = 16,

  LINUXAIO = COLD | RING,
  ALL      = SELECT | POLL | EPOLL | LINUXAIO
};

/* whether the ring is made, filled and left as ev_linuxaio.c comes, not as libev 4.33 or for small rings */
#if defined PRISTINE || defined SMALL_RING
# define DEFAULT_POLICY 0
#else
# define DEFAULT_POLICY 1
#endif

extern struct ev_loop *loop; /* of the running test; callbacks have their own of that name */
extern unsigned backend;     /* of the running test, one of the above */
extern int idle_fds;         /* watched by the fixture to make the ring */

/* a suite that runs once a backend; add is called for each and adds what applies to it */
Suite *suite_over_backends (const char *name, void (*add) (TCase *tc, unsigned on));

/* called before anything else is done for a test, if set */
extern void (*before_each_test) (void);

/* runs the suites, returns the exit status; may_disturb: uses up system-wide resources */
int run_suites (int may_disturb, Suite **suites);

/* replaces the loop of the test by one with more flags (EVFLAG_xxx), or by the default loop */
void loop_with_flags (unsigned flags);
void default_loop_with_flags (unsigned flags);

/* the backend's bit for libev, and a loop like that of the fixture, without idle sockets */
unsigned backend_flag (void);
struct ev_loop *another_loop (void);

/* blocks of memory that libev has allocated and not freed */
int allocated_blocks (void);

/* polls a loop that has nothing to do until it has made a ring, where its number of fds alone does not do that */
void gain (EV_P);
/* makes a loop of this backend create its ring; forget_idle closes the sockets, when the loop is gone */
void warm (EV_P);
void forget_idle (void);

/*****************************************************************************/
/* waiting */

/* in the test or in a child it forked: says why, and fails it */
void give_up (const char *file, int line, const char *why) __attribute__ ((noreturn));

/* assertions for forked children, where Check's own would report to the wrong process */
#define must(cond) ((cond) ? (void)0 : give_up (__FILE__, __LINE__, "not so: " #cond))

typedef struct guard
{
  ev_timer timer;
  const char *file, *what;
  int line;
} guard;

void guard_start (EV_P_ guard *g, const char *file, int line, const char *what);
void guard_stop (EV_P_ guard *g);

/* runs the loop until the condition holds, and fails the test when that takes for ever */
#define run_until(cond)                                   \
  do                                                      \
    {                                                     \
      guard guard_;                                       \
      guard_start (EV_A_ &guard_, __FILE__, __LINE__, #cond); \
      while (!(cond))                                     \
        ev_run (EV_A_ EVRUN_ONCE);                        \
      guard_stop (EV_A_ &guard_);                         \
    }                                                     \
  while (0)

/* milliseconds after which something that must happen is taken to never happen */
int patience (void);

/* a few trips through the kernel and the loop: whatever was under way has arrived after that */
void settle (EV_P);

/* waits for the events with poll (2), without the loop; returns revents, 0 if they never come */
int wait_for (int fd, int events);

/*****************************************************************************/
/* watchers that remember */

typedef struct probe
{
  ev_io io;
  int count;   /* calls so far */
  int revents; /* of the last call */
  int seen;    /* of all calls */
  int place;   /* of the last call among all calls of all probes, from 1 */
  int eat;     /* bytes to read at each call */
} probe;

extern int places; /* taken so far */

void probe_cb (EV_P_ ev_io *w, int revents);
void probe_init (probe *p, int fd, int events);
void probe_start (EV_P_ probe *p, int fd, int events); /* init and start */
void probe_restart (EV_P_ probe *p, int fd, int events); /* stop, set and start, keeps the counts */
void probe_stop (EV_P_ probe *p);

/* counts its calls in *(int *)w->data */
void count_cb (EV_P_ void *w, int revents);

/*****************************************************************************/
/* descriptors: all close-on-exec and non-blocking */

void sockets (int fd [2]);    /* a pair of connected stream sockets */
void pipes (int fd [2]);      /* read end, write end */
void tcp_sockets (int fd [2]);
int tcp_listen (struct sockaddr_in *addr); /* on a free port of the loopback, filled in */
int tcp_connect (const struct sockaddr_in *addr); /* returns errno of a blocking connect, 0 if connected (and closed) */
int udp_bound (struct sockaddr_in *addr);
int pty (int *slave);         /* returns the master; the slave is raw */
int usr1_fd (void);           /* a signalfd of SIGUSR1, which is blocked from now on */

void put (int fd);            /* one byte must go out */
int get (int fd);             /* as many bytes as are there; 0: none, -1: end of file */
void fill (int fd);           /* write until it is full */
void close_both (int fd [2]);
void onto (int from, int to); /* moves a descriptor to that number */

int open_fds (void);          /* of this process */
unsigned room_for_fds (unsigned want); /* raises the limit; returns how many there is room for */

/* inode numbers of the AIO contexts mapped into this process, returns how many */
int contexts (unsigned long *inodes, int max);

/*****************************************************************************/
/* children */

/* runs body in a forked child, which exits with status 0 unless it gives up */
pid_t in_child (void (*body) (void));
/* the status the child ended with, as of waitpid */
int status_of (pid_t pid);
/* nonzero if the child ended well */
int child_ok (pid_t pid);
/* polls whatever epoll fds there are: in a child it does to signalfds there what a kernel worker might */
void ask_epolls (void);

/*****************************************************************************/
/* statistics: with libev 4.33 as it is nothing is known, and nothing is claimed */

#ifdef PRISTINE
# define claim(cond) ((void)0)
#else
extern struct ev_linuxaio_stats stats;
/* fetches the statistics of the loop, then claims something about stats.xxx */
# define claim(cond)                                      \
  do                                                      \
    {                                                     \
      ev_linuxaio_stats (EV_A_ &stats);                   \
      if (!(cond))                                        \
        stats_give_up (__FILE__, __LINE__, #cond);        \
    }                                                     \
  while (0)
void stats_give_up (const char *file, int line, const char *cond) __attribute__ ((noreturn));
#endif

#endif
