/*
 * _exit as forked children of the tests call it, but not before what they have
 * covered is stored: the linker puts this in its place (--wrap=_exit).
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
void __gcov_dump (void);
void __real__exit (int status) __attribute__ ((noreturn));
void __wrap__exit (int status) __attribute__ ((noreturn));

void
__wrap__exit (int status)
{
  __gcov_dump ();
  __real__exit (status);
}
