/* what this process has, so that a test can see that it gets it back */
#pragma once

#include <ev.h>

void *counting_alloc (void *ptr, long size) EV_NOEXCEPT; /* for ev_set_allocator */
extern int allocated_blocks;             /* by libev, and not freed */
int open_fds (const char *kind);         /* of this process; kind: whose name has this in it ("" for all) */
int rings (unsigned long *inode);        /* that are mapped; which one is the first, if not 0 */
const char *false_statistics (EV_P);     /* what does not add up in those of a loop, 0: nothing */
