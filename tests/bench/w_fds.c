/*
 * w_fds.c - the cost of watching and of loops; included by bench.c
 */

/* register: n idle sockets are started in one go, in a loop that has been
 * running with one watcher; then a turn, after which all are armed. One
 * operation: one fd. A fresh loop for each round.
 * growth: from none to n idle sockets, 25 at a time with a turn in between. What
 * matters is the longest iteration.
 */

static void
step_register (void)
{
  int beside = workload->how, portion = beside ? opt.n : 25, k;

  new_loop ();
  watch (chans + opt.n, beside);
  turn_nowait ();
  section_begin ();

  for (k = 0; k < opt.n; k += portion)
    {
      uint64_t begin = beside ? 0 : now_ns ();

      watch (chans + k, portion);
      turn_nowait ();

      if (!beside)
        longest_since (begin, now_ns ());
    }

  section_end (opt.n);

  /* they really are armed: the first and the last */
  put_byte (chans [0].to);
  wait_for (1);
  put_byte (chans [opt.n - 1].to);
  wait_for (1);

  unwatch (chans, opt.n + beside);
  turn_nowait ();
  loop_del ();
}

static void
w_register (void)
{
  chans = make_chans (opt.n + workload->how, WORLD_STREAM, 1);
  loop_del ();
}

/* cancelyoung, cancelold, cancelany: of n armed watchers the one that was armed
 * last, first, or any is stopped, and the loop turned, with half of them at most. One
 * operation: one of them.
 */

static void
step_cancel (void)
{
  static long round;
  struct chan *c = chans + ((workload->how < 0 ? opt.n - 1 : 0) + round * workload->how) % opt.n;

  section_begin ();
  io_stop (&c->rd);
  turn_nowait ();
  section_end (1);

  if (++round > opt.n / 2)
    deadline = 0;
}

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

/* number times size, where a line has both */
static long
sum_of (const char *path, const char *format)
{
  FILE *f = fopen (path, "re");
  char line [256];
  long sum = 0, number, size = 1024;

  if (!f)
    err (1, "%s", path);

  while (fgets (line, sizeof line, f))
    if (sscanf (line, format, &number, &size) > 0)
      sum += number * size;

  fclose (f);
  return sum;
}

/* objects of the kernel, and the pages of rings, which it has as a file's */
static long
kernel_bytes (void)
{
  return sum_of ("/proc/slabinfo", "%*s %ld %*d %ld") + sum_of ("/proc/meminfo", "Cached: %ld");
}

static void
w_memory (void)
{
  chans = make_chans (opt.n * opt.active, WORLD_STREAM, 1);
}

static void
step_memory (void)
{
  int of = opt.active > 1 ? opt.active : opt.n, k;
  long heap, kernel;

  sleep (1); /* what was freed before is gone by then */
  heap   = heap_bytes ();
  kernel = kernel_bytes ();

  for (k = 0; k < opt.active; ++k)
    {
      new_loop ();
      watch_lively (chans + k * opt.n, opt.n);
    }

  sleep (1);
  own_user   = (double)(heap_bytes () - heap) / of;
  own_kernel = (double)(kernel_bytes () - kernel) / of;
  operations   = opt.ops;
}

/* newdestroy: one operation: a loop is made, watches n idle sockets for one
 * turn, and is destroyed.
 */

static void
step_newdestroy (void)
{
  new_loop ();
  watch (chans, opt.n);
  turn_nowait ();
  unwatch (chans, opt.n);
  loop_del ();
}

static void
w_newdestroy (void)
{
  int k;

  chans = make_chans (opt.n, WORLD_STREAM, 1);

  for (k = 0; k < 5; ++k)
    step_newdestroy ();
}
