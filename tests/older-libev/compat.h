/*
 * What the suites of tests/behaviour use and libev 4.24 does not have.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#ifndef COMPAT_H_
#define COMPAT_H_

#include <ev.h>

/* since 4.25 */
#ifndef EV_NOEXCEPT
# define EV_NOEXCEPT EV_THROW
#endif

/* since 4.32 */
#ifndef ev_io_modify
# define ev_io_modify(w, mask) ((void)((w)->events = ((w)->events & EV__IOFDSET) | (mask)))
#endif

#endif
