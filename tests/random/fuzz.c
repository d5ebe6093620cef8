/*
 * The programs of random.c, with libFuzzer thinking them up. Each one gets a
 * loop of its own, and the kernel takes 40 ms to take a ring away, so most of
 * the time is spent waiting: -fork= or -jobs= with more than there are CPUs.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "ev.h"
#include "machine.h"

static void
failed (const char *what)
{
  fprintf (stderr, "FAILED: %s\n", what);
  abort ();
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static struct machine_tally tally;
  struct machine_options options = { EVBACKEND_LINUXAIO, 0, 10000, 0 };

  options.trace  = !!getenv ("TRACE");
  machine_failed = failed;
  machine_run (data, size, &options, &tally);
  return 0;
}
