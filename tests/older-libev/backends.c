/*
 * What libev says about its backends once it has one more: the numbers, what
 * is supported and recommended, and which one a loop gets.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include <stdio.h>
#include <stdlib.h>

#include "ev.h"
#include "ev_linuxaio.h"

static int status;

static void
claim (int is_so, const char *what)
{
  if (is_so)
    return;

  printf ("not so: %s\n", what);
  status = 1;
}

#define claim(cond) claim (cond, #cond)

/* the backend that a loop gets which is asked for with these flags */
static unsigned
backend_for (unsigned flags)
{
  struct ev_loop *loop = ev_loop_new (flags);
  unsigned backend = loop ? ev_backend (loop) : 0;

  ev_loop_destroy (loop);
  return backend;
}

/* the backend that a loop gets which is asked for with LIBEV_FLAGS */
static unsigned
backend_from_environment (const char *flags)
{
  unsigned backend;

  setenv ("LIBEV_FLAGS", flags, 1);
  backend = backend_for (EVFLAG_AUTO);
  unsetenv ("LIBEV_FLAGS");

  return backend;
}

int
main (void)
{
  unsigned linuxaio;

  unsetenv ("LIBEV_FLAGS");

  claim (EVBACKEND_LINUXAIO == 0x40);
  claim (EVBACKEND_MASK == 0xffff);
  claim (EVBACKEND_ALL == 0x7f);
  claim (ev_supported_backends () & EVBACKEND_LINUXAIO);
  claim (!(ev_recommended_backends () & EVBACKEND_LINUXAIO));
  claim (ev_embeddable_backends () & EVBACKEND_LINUXAIO);

  /* where the kernel has no AIO it is epoll, and this program does not know better */
  linuxaio = backend_for (EVBACKEND_LINUXAIO);
  claim (linuxaio == EVBACKEND_LINUXAIO || linuxaio == EVBACKEND_EPOLL);

  claim (backend_for (EVFLAG_AUTO) == EVBACKEND_EPOLL);
  claim (backend_for (EVBACKEND_EPOLL) == EVBACKEND_EPOLL);
  claim (backend_for (EVBACKEND_EPOLL | EVBACKEND_LINUXAIO) == linuxaio);
  claim (backend_for (EVBACKEND_ALL) == linuxaio);
  claim (backend_from_environment ("64") == linuxaio);
  claim (backend_from_environment ("4") == EVBACKEND_EPOLL);

  return status;
}
