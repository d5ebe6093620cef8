/*
 * w_fds.c - the cost of watching, of loops, and of timers; included by workloads.c
 */

/*****************************************************************************/
/* register: n idle sockets are started in one go, in a loop that has been
 * running with one watcher; then a turn, after which all are armed. One
 * operation: one fd. A fresh loop for each round.
 */

static void
expect_event (int fd, int to, io_w *w)
{
  put_byte (to);

  for (done = 0; !done; )
    turn_wait ();
}

IO_CB (once_cb)
{
  get_byte (io_fd (w));
  done = 1;
}

static void
register_all (const int *fds)
{
  int k;

  section_begin ();

  for (k = 0; k < opt.n; ++k)
    {
      io_init (&chans [k].io, once_cb, fds [k], IO_READ);
      io_start (&chans [k].io);
    }

  turn_nowait ();
  section_end (opt.n);

  /* they really are armed: the first and the last */
  expect_event (fds [0], fds [1], &chans [0].io);
  expect_event (fds [opt.n - 1], fds [opt.n - 2], &chans [opt.n - 1].io);
}

static void
register_round (const int *fds, struct chan *first)
{
  if (!loop_new ())
    fail ("loop");

  io_init (&first->io, no_cb, first->fd, IO_READ);
  io_start (&first->io);
  turn_nowait ();
  register_all (fds);
}

static void
register_undo (struct chan *first)
{
  int k;

  for (k = 0; k < opt.n; ++k)
    io_stop (&chans [k].io);

  io_stop (&first->io);
  turn_nowait ();
}

static void
w_register (void)
{
  struct chan first;
  int *fds, rounds, round;

  limit_n (1, 2);
  opt.n &= ~1;
  rounds = rounds_or (opt.n <= 100 ? 15 : opt.n <= 1000 ? 7 : 3);
  first.fd = make_channels (1, SOCKETS) [0];
  fds = make_idle (opt.n);
  chans = new_chans (opt.n);
  loop_del ();

  for (round = 0; round < rounds; ++round)
    {
      register_round (fds, &first);
      register_undo (&first);

      if (round < rounds - 1)
        loop_del ();

      if (out_of_time ())
        break;
    }
}

/*****************************************************************************/
/* burst: the same in a loop that has been running for a while with 100 idle
 * sockets, polling without waiting: ours has a ring by then.
 */

#define BURST_BESIDE 100
#define BURST_POLLS  20000

static void
burst_round (const int *fds, const int *beside)
{
  int k;

  if (!loop_new ())
    fail ("loop");

  for (k = 0; k < BURST_BESIDE; ++k)
    {
      io_init (&chans [opt.n + k].io, no_cb, beside [k], IO_READ);
      io_start (&chans [opt.n + k].io);
    }

  for (k = 0; k < BURST_POLLS; ++k)
    turn_nowait ();

  register_all (fds);
}

static void
w_burst (void)
{
  int *fds, *beside, rounds, round, k;

  limit_n (1, BURST_BESIDE);
  opt.n &= ~1;
  rounds = rounds_or (opt.n <= 100 ? 15 : opt.n <= 1000 ? 7 : 3);
  fds = make_idle (opt.n);
  beside = make_idle (BURST_BESIDE);
  chans = new_chans (opt.n + BURST_BESIDE);
  loop_del ();

  for (round = 0; round < rounds; ++round)
    {
      burst_round (fds, beside);

      for (k = 0; k < opt.n + BURST_BESIDE; ++k)
        io_stop (&chans [k].io);

      turn_nowait ();

      if (round < rounds - 1)
        loop_del ();

      if (out_of_time ())
        break;
    }
}

/*****************************************************************************/
/* stopstart: n armed watchers of idle sockets; a round stops 10 of them, turns
 * the loop, starts them again, turns the loop; the next round takes the next
 * 10. One operation: one stop and one start.
 */

static inline struct chan *
next_chan (int *pos)
{
  struct chan *c = chans + *pos;

  if (++*pos == opt.n)
    *pos = 0;

  return c;
}

static void
step_stopstart (void)
{
  int k, from = cursor, pos = cursor;

  for (k = 0; k < CHUNK; ++k)
    io_stop (&next_chan (&pos)->io);

  turn_nowait ();

  for (k = 0; k < CHUNK; ++k)
    io_start (&next_chan (&from)->io);

  turn_nowait ();
  cursor = pos;
  done += CHUNK;
}

static void
w_stopstart (void)
{
  limit_n (1, 0);
  idle_world (opt.n);
  drive (step_stopstart, ops_or (50000));
  drive_clocked (step_stopstart, ops_or (50000) / 4);
}

/* reset: the same with the stop and the start in one iteration, and the fd set
 * anew in between. One operation: one stop, set and start.
 */

static void
step_reset (void)
{
  struct chan *c;
  int k;

  for (k = 0; k < CHUNK; ++k)
    {
      c = next_chan (&cursor);
      io_reset (&c->io, c->fd, IO_READ);
    }

  turn_nowait ();
  done += CHUNK;
}

static void
w_reset (void)
{
  limit_n (1, 0);
  idle_world (opt.n);
  drive (step_reset, ops_or (50000));
  drive_clocked (step_reset, ops_or (50000) / 4);
}

/*****************************************************************************/
/* cancelyoung, cancelold, cancelany: of n armed watchers the one that was armed
 * last, first, or any is stopped, and the loop turned, with half of them at most. One
 * operation: one of them.
 */

static void
cancel (int (*pick) (int))
{
  int round, rounds = (int)ops_or (500);

  limit_n (1, 0);
  idle_world (opt.n);

  for (round = 0; round < rounds && round < opt.n / 2 && !out_of_time (); ++round)
    {
      struct chan *c = chans + pick (round);

      section_begin ();
      io_stop (&c->io);
      turn_nowait ();
      section_end (1);
    }
}

static int
pick_young (int round)
{
  return opt.n - 1 - round;
}

static int
pick_old (int round)
{
  return round;
}

static int
pick_any (int round)
{
  return (int)(round * 2654435761ull % (unsigned)opt.n);
}

static void
w_cancelyoung (void)
{
  cancel (pick_young);
}

static void
w_cancelold (void)
{
  cancel (pick_old);
}

static void
w_cancelany (void)
{
  cancel (pick_any);
}

/*****************************************************************************/
/* growth: from none to n idle sockets, 25 at a time with a turn in between. One
 * operation: one fd. What matters is the longest iteration.
 */

#define GROWTH_STEP 25

static void
w_growth (void)
{
  FILE *series = opt.series ? fopen (opt.series, "we") : 0;
  uint64_t t0, t1;
  int *fds, k;

  if (opt.series && !series)
    fail (opt.series);

  limit_n (1, 0);
  fds = make_idle (opt.n);
  chans = new_chans (opt.n);
  section_begin ();
  t0 = now_ns ();

  for (k = 0; k < opt.n; )
    {
      do
        {
          io_init (&chans [k].io, no_cb, fds [k], IO_READ);
          io_start (&chans [k].io);
        }
      while (++k % GROWTH_STEP && k < opt.n);

      turn_nowait ();
      t1 = now_ns ();
      sample (t1 - t0);

      if (series)
        fprintf (series, "%d %llu\n", k, (unsigned long long)(t1 - t0));

      t0 = now_ns ();
    }

  section_end (opt.n);

  if (series)
    fclose (series);
}

/*****************************************************************************/
/* timer: beside n idle sockets, one timer at a time, set to 0.1 - 0.9 ms. One
 * operation: one timer; the "iteration" times are how late they were, and the
 * cost is the median lateness.
 */

static uint64_t fired;

TIMER_CB (fired_cb)
{
  timer_stop (w);
  fired = now_ns ();
}

static void
w_timer (void)
{
  timer_w timer;
  unsigned long seed = 1;
  long ops = ops_or (400), k;
  uint64_t due;

  limit_n (1, 0);
  idle_world (opt.n);
  timer_init (&timer, fired_cb);

  for (k = 0; k < ops && !out_of_time (); ++k)
    {
      unsigned us = 100 + (seed = seed * 1103515245 + 12345, seed >> 16) % 800;

      section_begin ();
      timer_now ();
      due = now_ns () + us * 1000;
      fired = 0;
      timer_start (&timer, us * 1e-6);

      while (!fired)
        turn_wait ();

      section_end (0);
      sample (fired > due ? fired - due : 0);
      ++result.ops;
    }
}

/*****************************************************************************/
/* newdestroy: one operation: a loop is made, watches n idle sockets for one
 * turn, and is destroyed.
 * exit: one operation: a process is forked which makes a loop, watches n idle
 * sockets for one turn and exits.
 */

static int *life_fds;

static void
step_life (void)
{
  int k;

  if (!loop_new ())
    fail ("loop");

  for (k = 0; k < opt.n; ++k)
    {
      io_init (&chans [k].io, no_cb, life_fds [k], IO_READ);
      io_start (&chans [k].io);
    }

  turn_nowait ();
}

static void
step_newdestroy (void)
{
  int k;

  step_life ();

  for (k = 0; k < opt.n; ++k)
    io_stop (&chans [k].io);

  loop_del ();
  ++done;
}

static void
step_exit (void)
{
  int status;
  pid_t pid = fork ();

  if (pid < 0)
    fail ("fork");

  if (!pid)
    {
      step_life ();
      _exit (0);
    }

  if (waitpid (pid, &status, 0) != pid || status)
    fail ("child");

  ++done;
}

static void
life (void (*step) (void), long ops)
{
  limit_n (1, 0);
  life_fds = make_idle (opt.n);
  chans = new_chans (opt.n);
  loop_del ();
  step ();
  drive (step, ops_or (ops));
  drive_clocked (step, 10);

  if (!loop_new ())
    fail ("loop");
}

static void
w_newdestroy (void)
{
  life (step_newdestroy, 200);
}

static void
w_exit (void)
{
  life (step_exit, 100);
}
