/*
 * What a process has: memory that libev was given, descriptors, rings.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include "system.h"
#include <dirent.h>

#include <ev_linuxaio.h>

#include "account.h"

int allocated_blocks;

/* new memory is full of rubbish */
void *
counting_alloc (void *ptr, long size) EV_NOEXCEPT
{
  void *memory = size ? realloc (ptr, size) : 0;

  __atomic_add_fetch (&allocated_blocks, !ptr - !size, __ATOMIC_RELAXED);

  if (!size)
    free (ptr);

  return memory && !ptr ? memset (memory, 0x5a, size) : memory;
}

int
open_fds (const char *kind)
{
  DIR *dir = opendir ("/proc/self/fd");
  struct dirent *entry;
  char name [300];
  int count = 0;

  if (!dir)
    return -1;

  while ((entry = readdir (dir)))
    {
      ssize_t len = readlinkat (dirfd (dir), entry->d_name, name, sizeof (name) - 1);

      if (len >= 0 && atoi (entry->d_name) != dirfd (dir))
        {
          name [len] = 0;
          count += !!strstr (name, kind);
        }
    }

  closedir (dir);
  return count;
}

int
rings (unsigned long *inode)
{
  FILE *maps = fopen ("/proc/self/maps", "re");
  char line [512];
  int count = 0;

  if (!maps)
    return -1;

  while (fgets (line, sizeof (line), maps))
    if (strstr (line, "/[aio]") && !count++ && inode)
      sscanf (line, "%*s %*s %*s %*s %lu", inode);

  fclose (maps);
  return count;
}

const char *
false_statistics (EV_P)
{
  static char text [300];
  struct ev_linuxaio_stats s;

  if (!ev_linuxaio_stats (EV_A_ &s, sizeof (s))
      || (s.submitted == s.completed + s.cancelled + s.in_flight && s.in_flight <= s.ring_entries
          && s.epoll_fds == s.epoll_chosen + s.epoll_kind + s.epoll_refused + s.epoll_waiting))
    return 0;

  snprintf (text, sizeof (text), "statistics: %lu submitted, but %lu completed, %lu cancelled, %u in flight, and room for %u; "
            "%u fds on epoll, but %u chosen, %u for their kind, %u refused, %u waiting", s.submitted, s.completed, s.cancelled,
            s.in_flight, s.ring_entries, s.epoll_fds, s.epoll_chosen, s.epoll_kind, s.epoll_refused, s.epoll_waiting);
  return text;
}
