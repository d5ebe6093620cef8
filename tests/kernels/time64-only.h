/*
 * Included before everything else, makes a 32-bit machine look like those that
 * were born with 64-bit times (riscv32): they have no io_getevents, but
 * io_pgetevents_time64, which any other 32-bit machine has, too.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include <sys/syscall.h>

#undef SYS_io_getevents
#undef __NR_io_getevents

#ifndef SYS_io_pgetevents_time64
# error "this is not a 32-bit machine"
#endif
