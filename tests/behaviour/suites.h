/*
 * The suites, each in the file of its name.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#ifndef SUITES_H_
#define SUITES_H_

#include <check.h>

Suite *io_suite (void);
Suite *writes_suite (void);
Suite *descriptors_suite (void);
Suite *reuse_suite (void);
Suite *close_suite (void);
Suite *growth_suite (void);
Suite *fork_suite (void);
Suite *timers_suite (void);
Suite *signals_suite (void);
Suite *loops_suite (void);
Suite *threads_suite (void);
#ifndef PRISTINE
Suite *statistics_suite (void);
#endif

#endif
