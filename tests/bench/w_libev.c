/*
 * w_libev.c - what only libev has a name for; included by bench.c
 */

/* threads: n threads, each with a loop of its own and a ring of 10 sockets in it.
 * One operation: one event.
 * async: two threads with a loop each wake each other by ev_async. One operation:
 * there and back.
 */

static pthread_barrier_t barrier;
static int threads;
static long share; /* what each has to do before it is at the barrier again */

static struct { struct ev_loop *loop; ev_async w; } side [2];

static void
async_cb (struct ev_loop *loop, ev_async *w, int revents)
{
  int me = w == &side [1].w;

  if (++done < share || me)
    ev_async_send (side [!me].loop, &side [!me].w);
}

static void *
thread_run (void *arg)
{
  int me = (intptr_t)arg, alone = !!workload->cb;

  new_loop ();

  if (alone)
    w_ring ();
  else
    {
      idle_world ();
      side [me].loop = loop;
      ev_async_init (&side [me].w, async_cb);
      ev_async_start (loop, &side [me].w);
      pin (me ? opt.peer_cpu : opt.cpu);
    }

  for (;;)
    {
      pthread_barrier_wait (&barrier); /* all are done */
      pthread_barrier_wait (&barrier); /* again */

      if (!alone && !me)
        ev_async_send (side [1].loop, &side [1].w);

      for (done = 0; done < share; )
        turn_wait ();
    }

  return 0;
}

static void
all_do (long ops)
{
  share = ops;
  pthread_barrier_wait (&barrier);
  pthread_barrier_wait (&barrier);
}

static void
w_threads (void)
{
  intptr_t k;
  pthread_t id;

  threads = opt.n;
  opt.n   = workload->cb ? 10 : 2;
  pthread_barrier_init (&barrier, 0, threads + 1);

  for (k = 0; k < threads; ++k)
    pthread_create (&id, 0, thread_run, (void *)k);

  pthread_barrier_wait (&barrier);
  all_do (1500);
}

static void
step_threads (void)
{
  long each = opt.ops / (workload->cb ? threads : 1) + 1;

  section_begin ();
  all_do (each);
  section_end (each * (workload->cb ? threads : 1));
}

/* signal: a signal that the process sends to itself. One operation: one signal. */

static void
signal_cb (struct ev_loop *loop, ev_signal *w, int revents)
{
  --left;
}

static void
step_signal (void)
{
  kill (getpid (), SIGUSR1);
  wait_for (1);
}

static void
w_signal (void)
{
  static ev_signal w;

  idle_world ();
  ev_signal_init (&w, signal_cb, SIGUSR1);
  ev_signal_start (loop, &w);
}

/* embed: the ring in a loop that is embedded in one on epoll. One operation: one event. */

static void
w_embed (void)
{
  static ev_embed embed;

  if (!(ev_backend (loop) & ev_embeddable_backends ()))
    errx (1, "this backend cannot be embedded");

  w_ring ();
  turn_nowait ();
  ev_embed_init (&embed, 0, loop);
  loop = ev_loop_new (EVBACKEND_EPOLL | EVFLAG_NOENV);
  ev_embed_start (loop, &embed);
}
