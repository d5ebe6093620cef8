/*
 * What the tests in C share: TEST, which registers a test, and a loop, watchers
 * that remember, descriptors and children for it.
 *
 * Each test runs in a process of its own, once for each loop that it names. So
 * it need not stop, free or close anything at its end: the loop is destroyed,
 * and what libev has left then (memory, descriptors, rings) fails the test. But
 * an eventfd or the like, which libev might have made, is closed by its test,
 * and a watcher that is still active when the test returns is static.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#pragma once

#include "system.h"
#include <ev.h>
#include <ev_linuxaio.h>

#include "account.h"
#include "world.h"

/*****************************************************************************/
/* tests */

/* the loops a test runs on, and what else it needs */
enum
{
  SELECT   = 1,
  POLL     = 2,
  EPOLL    = 4,
  COLD     = 8,  /* LIBEV_FLAGS=64, as it is created */
  RING     = 16, /* the same, but it has a ring from the start */
  MIXED    = 32, /* LIBEV_FLAGS=68 */

  LINUXAIO = COLD | RING | MIXED,
  ALL      = SELECT | POLL | EPOLL | LINUXAIO,

  COMPILED = 64  /* a libev that is compiled in, without assertions */
};

/* rings are made at once, and soon full. each takes 35 ms to destroy: use less of all */
#ifndef TINY
# define TINY 0
#endif
#define MANY(count) (TINY ? (count) / 8 : (count))

/* with AddressSanitizer, which needs terabytes of address space and takes a cancelled thread's stack for overrun */
#ifdef __SANITIZE_ADDRESS__
# define SANITIZED 1
#else
# define SANITIZED 0
#endif

typedef struct test
{
  const char *name, *file;
  int line;
  unsigned on;
  void (*body) (void);
  struct test *next;
} test;

void test_register (test *t);

/* TEST (name, on) { ... } is all there is to it */
#define TEST(name_, on_)                                                  \
  static void name_ (void);                                               \
  __attribute__ ((constructor)) static void                               \
  name_##_register (void)                                                 \
  {                                                                       \
    static test t = { #name_, __FILE__, __LINE__, on_, name_, 0 };        \
    test_register (&t);                                                   \
  }                                                                       \
  static void                                                             \
  name_ (void)

/* fails the test: for the test itself, its callbacks, threads and forked children. the first to fail is told */
void give_up (const char *file, int line, const char *format, ...) __attribute__ ((noreturn, format (printf, 3, 4)));

/* ends the test, which cannot be done here */
void skip (const char *format, ...) __attribute__ ((noreturn, format (printf, 1, 2)));

#define must(cond)                                                        \
  ((cond) ? (void)0 : give_up (__FILE__, __LINE__, "not so: %s", #cond))

/* must_be (a, ==, b) tells both values */
#define must_be(a, op, b)                                                 \
  do                                                                      \
    {                                                                     \
      long long a_ = (a), b_ = (b);                                       \
                                                                          \
      if (!(a_ op b_))                                                    \
        give_up (__FILE__, __LINE__, "not so: %s, it is %lld and %lld",   \
                 #a " " #op " " #b, a_, b_);                              \
    }                                                                     \
  while (0)

/*****************************************************************************/
/* the loop */

extern __thread struct ev_loop *loop; /* of the running test; callbacks have their own of that name, and threads, too */
extern unsigned backend;     /* of the running test: one of the above, */
extern unsigned backend_flags; /* and its bits for libev */

struct ev_loop *another_loop (void);     /* one more like it */
void force_ring (EV_P);                  /* on a loop of this backend: it makes a ring */
void loop_with_flags (unsigned flags, int as_default); /* replaces it by one with more flags (EVFLAG_xxx), or by the default loop */

/*****************************************************************************/
/* waiting */

/* runs the loop until it is so; what never comes is found out: run_until (cond), or run_until (a, ==, b) */
#define run_until(...) run_until_ (__VA_ARGS__, 3, 2, 1) (__VA_ARGS__)
#define run_until_(a, b, c, count, ...) run_until_##count
#define run_until_1(cond) run_until__ (cond, #cond, 0, 0, 0)
#define run_until_3(a, op, b) run_until__ ((a) op (b), #a " " #op " " #b, 1, a, b)
#define run_until__(cond, text, values, a, b)                             \
  do                                                                      \
    {                                                                     \
      progress ();                                                        \
                                                                          \
      while (!(cond))                                                     \
        {                                                                 \
          wish = (struct wish) { __FILE__, text, __LINE__, values, a, b }; \
          ev_run (EV_A_ EVRUN_ONCE);                                      \
        }                                                                 \
                                                                          \
      wish = (struct wish) { 0 };                                         \
    }                                                                     \
  while (0)

/* what is waited for now, if it has a text */
extern __thread struct wish
{
  const char *file, *text;
  int line, values; /* are a and b values? -1: the end of a child */
  long long a, b;
} wish;

int patience (void);                     /* milliseconds after which it will never happen */
void settle (EV_P);                      /* some trips through kernel and loop: whatever was under way has arrived */
int wait_for (int fd, int events);       /* with poll (2), without the loop; returns revents, 0 if they never come */

/*****************************************************************************/
/* watchers that remember. they work on the loop of the test */

typedef struct probe
{
  ev_io io;
  int peer;    /* what makes it readable, if that is a descriptor */
  int eat;     /* bytes to read at each call, 0: none */
  int count;   /* calls so far */
  int revents; /* of the last call */
  int seen;    /* of all calls */
  int place;   /* of the last call among all calls of all probes, from 1 */
} probe;

extern __thread int places; /* taken so far */

void probe_cb (EV_P_ ev_io *w, int revents);
probe *probe_for (int fd, int events);   /* a new one, not yet started */
probe *watch (int fd, int events);       /* a new one, started */
probe *watch_kind (int kind, int events);/* one end of a new object of a kind (world.h); the other is its peer */
probe *reader_of (int kind);             /* the same, for reading, byte by byte */
#define watch_socket(events) watch_kind (WORLD_STREAM, events)
#define reader()             reader_of (WORLD_STREAM)
#define terminal_reader()    reader_of (WORLD_PTY) /* which no ring serves */
void restart (probe *p, int fd, int events); /* stopped, set and started */
void become (probe *p, int kind);        /* its number gets another file, with another peer */
static inline void start (probe *p) { ev_io_start (EV_A_ &p->io); }
static inline void stop (probe *p)  { ev_io_stop (EV_A_ &p->io); }
static inline void stop_and_close (probe *p) { stop (p); close (p->io.fd); }

void told (probe *p, int events);        /* it is called, now, for these events and no others */
void silent (probe *p);                  /* it is not called */
void ping (probe *p);                    /* a byte comes, and it is called once */
void talk (probe *p, int rounds);        /* a reader is called once for each byte */

/* many readers */
#define CROWD_MAX 300
void crowd_open (probe **p, int count);
void crowd_told (probe **p, int count);  /* a byte comes for each: all are told, once, and nobody else */
void serve_crowd (int count, int rounds);/* of new ones, which are closed after that */

/* a new watcher of any other kind, started, that counts its calls: counted (timer, &ticks, 0., 0.1) */
static inline void count_cb (EV_P_ void *w, int revents) { ++*(int *)((ev_watcher *)w)->data; }
#define counted(type, counter, ...)                                       \
  ({                                                                      \
    ev_##type *w_ = (ev_##type *)calloc (1, sizeof (*w_));                \
                                                                          \
    ev_##type##_init (w_, (void (*) (EV_P_ ev_##type *, int))count_cb, ##__VA_ARGS__); \
    w_->data = (counter);                                                 \
    ev_##type##_start (EV_A_ w_);                                         \
    w_;                                                                   \
  })

/*****************************************************************************/
/* descriptors: all close-on-exec and non-blocking */

void make (int kind, int fd [2]);        /* a kind of world.h. what happens to fd [1] makes fd [0] readable; -1: there is none */
#define sockets(fd) make (WORLD_STREAM, fd)
struct sockaddr_storage address_of (int fd, socklen_t *len);

void put (int fd);                       /* one byte must go out */
int get (int fd);                        /* as many bytes as are there; 0: none, -1: end of file */
void fill (int fd);                      /* write until it is full */
static inline void close_both (int fd [2]) { close (fd [0]); close (fd [1]); }
void onto (int from, int to);            /* moves a descriptor to that number */
unsigned room_for_fds (unsigned want);   /* raises the limit, or skips the test */

/*****************************************************************************/
/* children */

/* for_child (pid) { ... }: what a child does, which then leaves. as_child { ... }: the parent waits for it to end well */
#define for_child(pid) for ((pid) = child (); !(pid); fflush (0), _exit (0))
#define as_child for (pid_t pid_ = child (); pid_ >= 0; pid_ = pid_ ? ends_well (pid_), -1 : (fflush (0), _exit (0), -1)) if (!pid_)

pid_t child (void);                      /* fork */
pid_t in_child (void (*body) (void));    /* the same for a function */
void ends_well (pid_t pid);              /* with status 0 */

/*****************************************************************************/
/* between runner.c and fixture.c */

void fixture_setup (void);
void fixture_teardown (void);
void progress (void);                    /* the test is not stuck: it says so itself, or a child of it */
void watch_over (void);                  /* from now on this process gives up when nothing happens */
int patience_factor (void);
