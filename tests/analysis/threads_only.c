/*
 * The threaded tests of tests/behaviour, and nothing else.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include "fixture.h"
#include "suites.h"

int
main (void)
{
  Suite *suites [] = { threads_suite (), 0 };

  return run_suites (0, suites);
}
