/*
 * bench.h - what the benchmark programs share, whatever library they run on
 *
 * One program is bench.c + an adapter (on-*.h) + the workloads. The adapter
 * gives the library's own calls the names used by the workloads; everything in
 * it is a macro or inlines to nothing.
 *
 * A workload measures in sections: section_begin () .. section_end (operations).
 * One section is one sample; what is reported is the median sample.
 */

#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>
#include <stdio.h>

struct options
{
  const char *backend;
  const char *workload;
  const char *series;    /* file for (number of fds, iteration time) pairs */
  int n;                 /* watched fds, connections, ... */
  int active;            /* how many of them are busy */
  int cpu, peer_cpu;     /* -1: not pinned */
  long ops;              /* operations in all; 0: the workload's default */
  int rounds;            /* sections, where a section is not repeatable in place */
  double seconds;        /* give up measuring after that long */
  double busy;           /* seconds to watch the ring before sleeping */
  int number;            /* of this run, for count.c */
  int clocked;           /* 0: no second pass that times each iteration */
};

extern struct options opt;

/* result of the run; -1 is "not measured" */
struct result
{
  long ops;
  int sections;
  double ns;             /* per operation, wall clock, median of the sections */
  double ns_mean;
  double cpu_ns;         /* per operation, CPU time of this process */
  double bytes_heap, bytes_rss; /* per fd, user space */
  double seen_ns;        /* per operation, until another process has seen the effect */
};

extern struct result result;

uint64_t now_ns (void);
uint64_t cpu_ns (void); /* of this thread */

void section_begin (void);
void section_end (long ops);
/* 1 when the time given on the command line is used up */
int  out_of_time (void);

/* times of single iterations, latencies: kept as a histogram of 1/16 octaves */
void sample (uint64_t ns);

void fail (const char *what) __attribute__ ((__noreturn__));
/* ends the program with status 77: this cannot be measured here, and why */
void skip (const char *fmt, ...) __attribute__ ((__noreturn__, __format__ (__printf__, 1, 2)));

int  on_valgrind (void);

/* how many fds this process may open beside the handful it needs itself;
 * raises the soft limit, and the hard one where allowed
 */
int  fds_available (int wanted);

void nonblock (int fd);
void pin (int cpu);

/* n idle sockets: both ends of n / 2 socket pairs */
int *make_idle (int n);
/* n pairs: [2k] is to be watched, what is written to [2k+1] arrives there */
enum channel { SOCKETS, PIPES };
int *make_channels (int n, enum channel kind);
void close_fds (int *fds, int n);

/* one byte; the fd is known to be ready */
void get_byte (int fd);
void put_byte (int fd);

/* a listening TCP socket on the loopback interface, port chosen by the kernel */
struct sockaddr_in;
int  make_listener (struct sockaddr_in *addr);
int  accept_blocking (int listener);
int  make_client (const struct sockaddr_in *addr);
/* closes without leaving a connection in TIME_WAIT behind */
void close_hard (int fd);

/* n established connections whose far ends a child process holds */
struct far { int pid, control; };
int *make_connections (int n, struct far *far);
/* returns once the far side has seen the end of all of them */
void far_wait (struct far *far);
void far_close (struct far *far);

/* bytes of heap in use, and of private memory resident */
long heap_bytes (void);
long rss_bytes (void);

struct workload
{
  const char *name;
  void (*run) (void);
  const char *what;
};

extern const struct workload workloads [];
extern const char peer_name [];
extern const char *const peer_backends;

int  peer_loop_new (const char *backend);
void peer_report (FILE *f);

#endif
