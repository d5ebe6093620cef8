/*
 * All suites that may run beside others.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include "fixture.h"
#include "suites.h"

int
main (void)
{
  Suite *suites [] = {
    io_suite (),
    writes_suite (),
    descriptors_suite (),
    reuse_suite (),
    close_suite (),
    growth_suite (),
    fork_suite (),
    timers_suite (),
    signals_suite (),
    loops_suite (),
    threads_suite (),
#ifndef PRISTINE
    statistics_suite (),
#endif
    0
  };

  return run_suites (0, suites);
}
