/*
 * Surroundings that are hostile to a loop, or that it has to share: whatever
 * they do, what is sent arrives, byte by byte, and a program is no worse off
 * than on epoll, which goes through the same.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/time.h>

#include "fixture.h"

#ifndef SYS_epoll_pwait2
# define SYS_epoll_pwait2 441
#endif

/* a loop of its own for a child or a thread: it makes a ring at its first poll, if there may be one */
static struct ev_loop *
own_loop (void)
{
  EV_P = ev_loop_new (EVFLAG_NOENV | backend_flags);

  must (loop != 0);
  ev_linuxaio_busy_poll (EV_A_ 1e-9);

  return loop;
}

/* what a child does that is on its own: a small loop, a larger one, a fork in between */
static void
live (void)
{
  loop = own_loop ();
  serve_crowd (8, 10);
  serve_crowd (120, 10);
  ev_loop_fork (EV_A);
  serve_crowd (240, 5);
  ev_loop_destroy (EV_A);
}

/* body (0), body (1) ... in children */
static void
in_children (int count, void (*body) (int number))
{
  pid_t pids [8];

  for (int i = 0; i < count; ++i)
    for_child (pids [i])
      body (i);

  for (int i = 0; i < count; ++i)
    ends_well (pids [i]);
}

/* filters of system calls, as services and containers have them */
static const int aio [] = { SYS_io_setup, SYS_io_destroy, SYS_io_submit, SYS_io_cancel, SYS_io_getevents, 0 };
static const int pwait2 [] = { SYS_epoll_pwait2, 0 };

/* these calls get that answer, all others are allowed */
static void
forbid (const int *calls, unsigned answer)
{
  struct sock_filter code [16] = { BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, nr)) };
  struct sock_fprog program = { 1, code };

  for (; *calls; ++calls)
    {
      code [program.len++] = (struct sock_filter) BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, *calls, 0, 1);
      code [program.len++] = (struct sock_filter) BPF_STMT (BPF_RET | BPF_K, answer);
    }

  code [program.len++] = (struct sock_filter) BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ALLOW);

  if (prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
    skip ("no filters of system calls here (%s)", strerror (errno));
}

/* the errno is the choice of an administrator */
static void
live_behind_filter (int number)
{
  static const int errnos [] = { EPERM, EACCES, ENOSYS, EOPNOTSUPP };

  forbid (number & 1 ? aio : pwait2, SECCOMP_RET_ERRNO | errnos [number / 2]);
  live ();
}

TEST (loop_works_where_calls_are_refused_with_any_errno, EPOLL | LINUXAIO)
{
  in_children (8, live_behind_filter);
}

/* a service without @aio, and a list of calls from before 2020 */
static void
live_in_danger (int number)
{
  forbid (number & 1 ? aio : pwait2, SECCOMP_RET_KILL_PROCESS);
  loop = another_loop ();
  talk (reader (), 50);
  talk (terminal_reader (), 50);
  ev_loop_destroy (EV_A);
}

/* as long as no ring is wanted */
TEST (filter_that_kills_does_not_meet_a_loop_that_wants_no_ring, TINY ? EPOLL : EPOLL | COLD | MIXED)
{
  in_children (2, live_in_danger);
}

static volatile sig_atomic_t alarms;

static void
count_alarm (int signum)
{
  alarms += !!signum;
}

static void
storm (int microseconds)
{
  struct itimerval t = { { 0, microseconds }, { 0, microseconds } };
  struct sigaction sa;

  memset (&sa, 0, sizeof (sa));
  sa.sa_handler = count_alarm; /* without SA_RESTART */
  must (!sigaction (SIGALRM, &sa, 0));
  must (!setitimer (ITIMER_REAL, &t, 0));
}

/* a handler the loop knows nothing of interrupts it thousands of times a second */
TEST (storm_of_signals_loses_nothing, ALL)
{
  int beats = 0, signals = 0;

  counted (timer, &beats, 0.001, 0.001);
  counted (signal, &signals, SIGUSR2);
  storm (100);
  serve_crowd (80, 50);

  for (int i = 1; i <= 50; ++i)
    {
      kill (getpid (), SIGUSR2);
      run_until (signals, >=, i);
    }

  run_until (beats > 20 && alarms > 20);
  storm (0);
}

static void *
live_in_thread (void *unused)
{
  for (int i = 0; i < 5; ++i)
    {
      loop = own_loop ();
      serve_crowd (i & 1 ? 120 : 20, 10);
      ev_loop_destroy (EV_A);
    }

  return unused;
}

TEST (threads_make_and_destroy_their_loops, EPOLL | COLD | MIXED)
{
  pthread_t threads [8];

  room_for_fds (4096);

  for (int i = 0; i < 8; ++i)
    must (!pthread_create (threads + i, 0, live_in_thread, 0));

  serve_crowd (80, 50);

  for (int i = 0; i < 8; ++i)
    pthread_join (threads [i], 0);
}
