/* the programs of random.c, with libFuzzer thinking them up; each gets a loop of its own */
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
  struct machine_options options = { 0 };

  options.backend     = EVBACKEND_LINUXAIO;
  options.patience_ms = 10000;
  machine_failed = failed;
  machine_run (data, size, &options, &tally);
  return 0;
}
