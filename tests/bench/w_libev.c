/*
 * w_libev.c - what only libev has a name for; included by bench.c
 */

#ifdef EV_VERSION_MAJOR

/*****************************************************************************/
/* threads: n threads, each with a loop of its own and a ring of 10 sockets in it.
 * One operation: one event.
 */

#define THREAD_FDS 10

static struct thread
{
  pthread_t id;
  struct ev_loop *loop;
  ev_io io [THREAD_FDS];
  int to [THREAD_FDS];
  long left;
} *threads;

static void
thread_cb (struct ev_loop *loop, ev_io *w, int revents)
{
  struct thread *t = w->data;

  get_byte (w->fd);
  put_byte (t->to [w - t->io]);

  if (!--t->left)
    ev_break (loop, EVBREAK_ALL);
}

static void *
thread_run (void *arg)
{
  ev_run (((struct thread *)arg)->loop, 0);
  return 0;
}

static void
threads_run (long ops)
{
  int k;

  for (k = 0; k < opt.n; ++k)
    {
      threads [k].left = ops;
      pthread_create (&threads [k].id, 0, thread_run, threads + k);
    }

  for (k = 0; k < opt.n; ++k)
    pthread_join (threads [k].id, 0);
}

static void
w_threads (int unused)
{
  long ops = opt.ops / opt.n;
  int k, i;

  limit_n (2 * THREAD_FDS + 3, 0);
  threads = calloc (opt.n, sizeof *threads);

  for (k = 0; k < opt.n; ++k)
    {
      int *fds = make_channels (THREAD_FDS, SOCKETS);

      new_loop ();
      threads [k].loop = loop;

      for (i = 0; i < THREAD_FDS; ++i)
        {
          ev_io_init (threads [k].io + i, thread_cb, fds [2 * i], EV_READ);
          threads [k].io [i].data = threads + k;
          threads [k].to [i] = fds [(2 * i + 3) % (2 * THREAD_FDS)];
          ev_io_start (loop, threads [k].io + i);
        }

      put_byte (fds [1]);
    }

  threads_run (1500);
  section_begin ();
  threads_run (ops);
  section_end (ops * opt.n);
}

/*****************************************************************************/
/* async: two threads with a loop each wake each other by ev_async. One operation:
 * there and back.
 */

static struct { struct ev_loop *loop; ev_async w; long left; } side [2];

static void
async_cb (struct ev_loop *loop, ev_async *w, int revents)
{
  int me = w == &side [1].w;

  ev_async_send (side [!me].loop, &side [!me].w);

  if (!--side [me].left)
    ev_break (loop, EVBREAK_ALL);
}

static void *
async_run (void *arg)
{
  pin (opt.peer_cpu);
  ev_run (side [1].loop, 0);
  return 0;
}

static void
async_round (long ops)
{
  pthread_t other;

  side [0].left = side [1].left = ops;
  pthread_create (&other, 0, async_run, 0);
  ev_async_send (side [0].loop, &side [0].w);
  ev_run (side [0].loop, 0);
  pthread_join (other, 0);
}

static void
w_async (int unused)
{
  int k;

  for (k = 0; k < 2; ++k)
    {
      new_loop ();
      idle_world (0);
      side [k].loop = loop;
      ev_async_init (&side [k].w, async_cb);
      ev_async_start (loop, &side [k].w);
    }

  async_round (100);
  section_begin ();
  async_round (opt.ops);
  section_end (opt.ops);
}

/*****************************************************************************/
/* signal: a signal that the process sends to itself. One operation: one signal. */

static void
signal_cb (struct ev_loop *loop, ev_signal *w, int revents)
{
  --left;
  ++done;
}

static void
step_signal (void)
{
  kill (getpid (), SIGUSR1);
  wait_for (1);
}

static void
w_signal (int unused)
{
  static ev_signal w;

  idle_world (0);
  ev_signal_init (&w, signal_cb, SIGUSR1);
  ev_signal_start (loop, &w);
}

/*****************************************************************************/
/* embed: the ring in a loop that is embedded in one on epoll. One operation: one event. */

static void
w_embed (int unused)
{
  static ev_embed embed;

  if (!(ev_backend (loop) & ev_embeddable_backends ()))
    skip ("this backend cannot be embedded");

  w_ring (SOCKETS);
  turn_nowait ();
  ev_embed_init (&embed, 0, loop);
  loop = ev_loop_new (EVBACKEND_EPOLL | EVFLAG_NOENV);
  ev_embed_start (loop, &embed);
}

#else

static void
w_libev (int unused)
{
  skip ("libev's");
}

# define w_threads   w_libev
# define w_async     w_libev
# define w_signal    w_libev
# define w_embed     w_libev
# define step_signal 0

#endif
