/*
 * w_fds.c - the cost of watching and of loops; included by bench.c
 */

/*****************************************************************************/
/* register: n idle sockets are started in one go, in a loop that has been
 * running with one watcher; then a turn, after which all are armed. One
 * operation: one fd. A fresh loop for each round.
 * burst: the same in a loop that has been running for a while with 100 idle
 * sockets, polling without waiting: ours has a ring by then.
 */

static void
register_round (const int *fds, const int *beside, int nbeside, int polls)
{
  int k;

  new_loop ();

  for (k = 0; k < nbeside; ++k)
    {
      io_init (&chans [opt.n + k].io, no_cb, beside [k], IO_READ);
      io_start (&chans [opt.n + k].io);
    }

  while (polls--)
    turn_nowait ();

  section_begin ();

  for (k = 0; k < opt.n; ++k)
    {
      io_init (&chans [k].io, no_cb, fds [k], IO_READ);
      io_start (&chans [k].io);
    }

  turn_nowait ();
  section_end (opt.n);

  /* they really are armed: the first and the last */
  put_byte (fds [1]);
  wait_for (1);
  put_byte (fds [opt.n - 2]);
  wait_for (1);

  for (k = 0; k < opt.n + nbeside; ++k)
    io_stop (&chans [k].io);

  turn_nowait ();
  loop_del ();
}

static void
w_register (int nbeside)
{
  int *fds, *beside, round;

  limit_n (1, nbeside + 1);
  fds    = make_channels (opt.n / 2, SOCKETS);
  beside = make_channels ((nbeside + 1) / 2, SOCKETS);
  chans  = calloc (opt.n + nbeside, sizeof *chans);
  loop_del ();

  for (round = 0; round < opt.rounds && !out_of_time (); ++round)
    register_round (fds, beside, nbeside, nbeside > 1 ? 20000 : 1);

  new_loop ();
}

/*****************************************************************************/
/* stopstart: n armed watchers of idle sockets; a round stops 10 of them, turns
 * the loop, starts them again, turns the loop; the next round takes the next
 * 10. One operation: one stop and one start.
 */

static void
step_stopstart (void)
{
  struct chan *c;

  EACH (c)
    io_stop (&c->io);

  turn_nowait ();

  EACH (c)
    io_start (&c->io);

  turn_nowait ();
  next_round ();
}

/* reset: the same with the stop and the start in one iteration, and the fd set
 * anew in between. One operation: one stop, set and start.
 */
static void
step_reset (void)
{
  struct chan *c;

  EACH (c)
    io_reset (&c->io, c->fd, IO_READ);

  turn_nowait ();
  next_round ();
}

/*****************************************************************************/
/* cancelyoung, cancelold, cancelany: of n armed watchers the one that was armed
 * last, first, or any is stopped, and the loop turned, with half of them at most. One
 * operation: one of them.
 */

static void
w_cancel (int step)
{
  long round;

  idle_world (0);

  for (round = 0; round < opt.ops && round < opt.n / 2 && !out_of_time (); ++round)
    {
      struct chan *c = chans + ((step < 0 ? opt.n - 1 : 0) + round * step) % opt.n;

      section_begin ();
      io_stop (&c->io);
      turn_nowait ();
      section_end (1);
    }
}

/*****************************************************************************/
/* growth: from none to n idle sockets, 25 at a time with a turn in between. One
 * operation: one fd. What matters is the longest iteration.
 */

#define GROWTH_STEP 25

static void
longest_since (uint64_t begin, uint64_t end)
{
  if (end - begin > longest)
    longest = end - begin;
}

static void
w_growth (int unused)
{
  int *fds, k = 0, upto;

  limit_n (1, 0);
  fds = make_channels (opt.n / 2, SOCKETS);
  chans = calloc (opt.n, sizeof *chans);
  section_begin ();

  for (upto = GROWTH_STEP; k < opt.n; upto += GROWTH_STEP)
    {
      uint64_t begin = now_ns ();

      for (; k < upto && k < opt.n; ++k)
        {
          io_init (&chans [k].io, no_cb, fds [k], IO_READ);
          io_start (&chans [k].io);
        }

      turn_nowait ();
      longest_since (begin, now_ns ());
    }

  section_end (opt.n);
}

/*****************************************************************************/
/* memory: bytes for each of n watched fds, in user space and of the kernel, the
 * watchers and sockets themselves not counted; or, with "active" loops of n fds, for
 * each loop. Only where nothing else runs.
 */

static long
heap_bytes (void)
{
  struct mallinfo2 mi = mallinfo2 ();

  return mi.uordblks + mi.hblkhd;
}

/* objects of the kernel, and the pages of rings, which it has as a file's */
static long
kernel_bytes (void)
{
  FILE *slabs = fopen ("/proc/slabinfo", "re"), *meminfo = fopen ("/proc/meminfo", "re");
  char line [256];
  long sum = 0, number, size;

  if (!slabs || !meminfo)
    skip ("/proc/slabinfo: %s", strerror (errno));

  while (fgets (line, sizeof line, slabs))
    if (sscanf (line, "%*s %ld %*d %ld", &number, &size) == 2)
      sum += number * size;

  while (fgets (line, sizeof line, meminfo))
    if (sscanf (line, "Cached: %ld", &number) == 1)
      sum += number * 1024;

  fclose (slabs);
  fclose (meminfo);
  return sum;
}

static void
w_memory (int unused)
{
  int all = opt.n * opt.active, k, *fds;
  long heap, kernel;

  limit_n (opt.active, 4 * opt.active);
  fds   = make_channels (all / 2, SOCKETS);
  chans = calloc (all, sizeof *chans);
  sleep (1); /* what was freed before is gone by then */
  heap   = heap_bytes ();
  kernel = kernel_bytes ();

  for (k = 0; k < opt.active; ++k)
    {
      new_loop ();
      watch (chans + k * opt.n, fds + k * opt.n, opt.n);
    }

  sleep (1);
  all = opt.active > 1 ? opt.active : opt.n;
  bytes_user   = (double)(heap_bytes () - heap) / all;
  bytes_kernel = (double)(kernel_bytes () - kernel) / all;
}

/*****************************************************************************/
/* newdestroy: one operation: a loop is made, watches n idle sockets for one
 * turn, and is destroyed.
 * exit: one operation: a process is forked which makes a loop, watches n idle
 * sockets for one turn and exits.
 */

static void
live (void)
{
  int k;

  new_loop ();

  for (k = 0; k < opt.n; ++k)
    {
      io_init (&chans [k].io, no_cb, chans [k].fd, IO_READ);
      io_start (&chans [k].io);
    }

  turn_nowait ();
}

static void
step_newdestroy (void)
{
  int k;

  live ();

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
      live ();
      _exit (0);
    }

  if (waitpid (pid, &status, 0) != pid || status)
    fail ("child");

  ++done;
}

static void
w_life (int unused)
{
  make_chans (SOCKETS);
  step_newdestroy ();
}
