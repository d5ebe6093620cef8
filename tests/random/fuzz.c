/*
 * The programs of random.c, with libFuzzer thinking them up. Each one gets a
 * loop of its own, and the kernel takes 40 ms to take a ring away, so that is
 * left to some threads: it is waiting, not work.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/syscall.h>

#include "ev.h"
#include "machine.h"
#include "fault.h"

#define DESTROYERS 32

static pid_t owner;
static int contexts [2]; /* a pipe: to be destroyed */

static void
failed (const char *what)
{
  fprintf (stderr, "FAILED: %s\n", what);
  abort ();
}

static void *
destroyer_main (void *unused)
{
  unsigned long context;

  while (read (contexts [0], &context, sizeof (context)) == sizeof (context))
    syscall (SYS_io_destroy, context);

  return unused;
}

/* a forked child destroys its own: to the threads of its parent the number would mean another one */
static int
destroy_later (unsigned long context)
{
  if (getpid () != owner)
    return syscall (SYS_io_destroy, context);

  return write (contexts [1], &context, sizeof (context)) == sizeof (context) ? 0 : -1;
}

static void
start_destroyers (void)
{
  sigset_t all, before;
  pthread_t thread;
  int i;

  owner = getpid ();
  if (pipe (contexts))
    failed ("no pipe");

  /* signals are for the loop */
  sigfillset (&all);
  pthread_sigmask (SIG_SETMASK, &all, &before);

  for (i = 0; i < DESTROYERS; ++i)
    if (pthread_create (&thread, 0, destroyer_main, 0))
      failed ("no thread");

  pthread_sigmask (SIG_SETMASK, &before, 0);
  fault_destroyer = destroy_later;
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static struct machine_tally tally;
  struct machine_options options = { 0 };

  if (!fault_destroyer)
    start_destroyers ();

  options.backend     = EVBACKEND_LINUXAIO;
  options.patience_ms = 10000;
  machine_failed = failed;
  machine_run (data, size, &options, &tally);
  return 0;
}
