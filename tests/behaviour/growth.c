/*
 * Many descriptors: a loop that grows from one to thousands and shrinks
 * again, however small or full its rings are meanwhile.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include "fixture.h"

#define MOST 5000

static probe *p [MOST];

/* select and poll look at each of them each time */
static int
open_many (void)
{
  int i, count = backend & (SELECT | POLL) ? 1500 : MANY (MOST);

  room_for_fds (2 * count + 200);
  crowd_open (p, count);

  for (i = 0; i < count; ++i)
    stop (p [i]);

  return count;
}

TEST (thousands_of_fds_come_one_by_one_and_go_again, ALL)
{
  int i, count = open_many (), step = 1;

  for (i = 0; i < count; ++i)
    {
      start (p [i]);

      /* some are ready just when others are added */
      if (i == step || i == count - 1)
        {
          crowd_told (p, i);
          crowd_told (p + i, 1);
          step *= 2;
        }
    }

  crowd_told (p, count);

  /* the young ones first, so that the oldest stay to the end */
  while (--i)
    {
      stop (p [i]);

      if (i == step)
        {
          settle (EV_A);
          crowd_told (p, i);
        }
      else if (i < step)
        step /= 2;
    }

  crowd_told (p, 1);
}

TEST (thousands_of_fds_come_at_once_and_go_at_once, ALL)
{
  int i, count = open_many (), round;

  for (round = 0; round < 3; ++round)
    {
      for (i = 0; i < count; ++i)
        start (p [i]);

      settle (EV_A);
      crowd_told (p, count);

      for (i = 0; i < count; ++i)
        stop (p [i]);

      settle (EV_A);
    }

  /* and with the loop: some with an event on its way, some stopped since, some not yet told to the kernel */
  for (i = 0; i < count; ++i)
    start (p [i]);

  settle (EV_A);

  for (i = 0; i < count; i += 3)
    put (p [i]->peer);

  for (i = 0; i < count; i += 5)
    stop (p [i]);

  for (i = 0; i < count; i += 10)
    start (p [i]);

  loop_with_flags (0);
  talk (reader (), 10);
}
