/*
 * Many descriptors: a loop that grows from one to thousands and shrinks
 * again, however small or full its rings are meanwhile.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include "fixture.h"

#define ALL_OF_THEM MANY (5000)

static probe *p [5000];

static void
open_many (int count)
{
  int i;

  room_for_fds (2 * count + 200);

  for (i = 0; i < count; ++i)
    {
      p [i] = reader ();
      stop (p [i]);
    }
}

/* the given one, and nobody else, is told */
static void
expect_served (int i)
{
  int before = places;

  talk (p [i], 1);
  must_be (places - before, ==, 1);
}

/* each is told once, all in one go, and nobody else */
static void
expect_all_served (int from, int to)
{
  int i, before = places;

  for (i = from; i < to; ++i)
    {
      p [i]->count = 0;
      put (p [i]->peer);
    }

  run_until (places - before, >=, to - from);
  settle (EV_A);

  for (i = from; i < to; ++i)
    must_be (p [i]->count, ==, 1);

  must_be (places - before, ==, to - from);
}

TEST (thousands_of_fds_come_one_by_one_and_go_again, ALL)
{
  int i, step = 1;

  open_many (ALL_OF_THEM);

  for (i = 0; i < ALL_OF_THEM; ++i)
    {
      start (p [i]);

      /* some are ready just when others are added */
      if (i == step || i == ALL_OF_THEM - 1)
        {
          expect_all_served (0, i);
          expect_served (i);
          expect_served (i / 2);
          expect_served (0);
          step *= 2;
        }
    }

  expect_all_served (0, ALL_OF_THEM);

  /* the young ones first, so that the oldest stay to the end */
  while (--i)
    {
      stop (p [i]);

      if (i == step)
        {
          settle (EV_A);
          expect_served (i - 1);
          expect_served (i / 2);
          expect_served (0);
        }
      else if (i < step)
        step /= 2;
    }

  expect_served (0);
}

TEST (thousands_of_fds_come_at_once_and_go_at_once, ALL)
{
  int i, round;

  open_many (ALL_OF_THEM);

  for (round = 0; round < 3; ++round)
    {
      for (i = 0; i < ALL_OF_THEM; ++i)
        start (p [i]);

      settle (EV_A);
      expect_all_served (0, ALL_OF_THEM);

      for (i = 0; i < ALL_OF_THEM; ++i)
        stop (p [i]);

      settle (EV_A);
    }
}

TEST (destroying_a_loop_with_thousands_of_watchers_leaves_nothing, ALL)
{
  int i;

  open_many (ALL_OF_THEM);

  for (i = 0; i < ALL_OF_THEM; ++i)
    start (p [i]);

  settle (EV_A);

  /* some with an event on its way, some stopped since, some not yet told to the kernel */
  for (i = 0; i < ALL_OF_THEM; i += 3)
    put (p [i]->peer);

  for (i = 0; i < ALL_OF_THEM; i += 5)
    stop (p [i]);

  for (i = 0; i < ALL_OF_THEM; i += 10)
    start (p [i]);

  loop_with_flags (0);
  talk (reader (), 10);
}
