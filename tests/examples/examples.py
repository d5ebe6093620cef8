# What tests/examples/run.py needs to know about each example: a piece of its text (or of
# several that belong together), what it lacks, what it gets on stdin, and what it prints.
# Edits mend what cannot compile as it stands in the manual, or make minutes shorter.

LOOP = 'struct ev_loop *loop = EV_DEFAULT;'
RUN = 'ev_run (EV_DEFAULT_ 0);'
SOON = 'ev_once (EV_DEFAULT_ -1, 0, .02, enough, 0); ev_run (EV_DEFAULT_ 0);'
ENOUGH = 'static void enough (int revents, void *arg) { say ("enough"); ev_break (EV_DEFAULT_ EVBREAK_ALL); }\n'
MY_CB = 'static void my_cb (EV_P_ ev_io *w, int revents) { char c; say (read (w->fd, &c, 1) == 1 ? "read" : "error"); ev_io_stop (EV_A_ w); }\n'
AGAIN = ('ev_timer_again (&mytimer)', 'ev_timer_again (loop, &mytimer)')

EXAMPLES = [
    {'with': 'a single header file is required', 'input': 'x', 'says': ['stdin ready']},
    {'with': 'a single header file is required', 'says': ['timeout'],
     'edit': [('5.5, 0.', '.02, 0.'), ('// initialise an io watcher, then start it', 'int fds [2]; pipe (fds); dup2 (fds [0], 0);')]},
    {'with': 'libev version mismatch', 'says': []},
    {'with': 'sorry, no epoll', 'says': []},
    {'with': 'persistent_realloc', 'edit': [('size_t size', 'long size')], 'after': RUN, 'says': []},
    {'with': 'ev_realloc_emul', 'after': 'ev_set_allocator (ev_realloc_emul);' + RUN, 'says': []},
    {'with': 'fatal_error (const char *msg)\n', 'after': RUN, 'says': []},
    {'with': 'fatal_error (const char *msg) EV_NOEXCEPT', 'after': RUN, 'says': []},
    {'with': 'bad $LIBEV_FLAGS', 'after': 'say (ev_is_default_loop (EV_DEFAULT) ? "default" : "other");', 'says': ['default']},
    {'with': 'EVBACKEND_POLL | EVBACKEND_SELECT | EVFLAG_NOENV',
     'after': 'printf ("%d\\n", ev_backend (EV_DEFAULT_UC));', 'says': ['2']},
    {'with': 'struct ev_loop *epoller', 'after': 'printf ("%d\\n", ev_backend (epoller));', 'says': ['4']},
    {'with': 'ev_recommended_backends () | EVBACKEND_KQUEUE', 'after': 'printf ("%d\\n", !!loop); ev_loop_destroy (loop);', 'says': ['1']},
    {'with': 'ev_recommended_backends () | EVBACKEND_LINUXAIO', 'after': 'printf ("%d\\n", ev_backend (loop)); ev_loop_destroy (loop);',
     'says': {'4': ['4'], '64': ['64'], '68': ['64']}},
    {'with': 'post_fork_child', 'top': MY_CB, 'after': '''
       ev_io w; pid_t pid; int status; type ("xyz");
       ev_io_init (&w, my_cb, 0, EV_READ); ev_io_start (EV_DEFAULT_ &w); ev_run (EV_DEFAULT_ EVRUN_NOWAIT);
       ev_io_start (EV_DEFAULT_ &w); fflush (stdout); pid = fork (); ev_run (EV_DEFAULT_ 0); fflush (stdout);
       if (!pid) _exit (0); waitpid (pid, &status, 0); return status;''',
     'says': ['read', 'read', 'read']},
    {'with': ('ev_signal_init (&exitsig', 'ev_signal_stop (loop, &exitsig)'), 'before': LOOP, 'top': 'static void sig_cb (EV_P_ ev_signal *w, int revents) { }',
     'after': RUN + 'say ("nothing keeps it");', 'says': ['nothing keeps it']},
    {'with': 'ev_set_timeout_collect_interval (EV_DEFAULT_UC_ 0.1)', 'before': LOOP, 'top': ENOUGH, 'after': SOON,
     'edit': [('0.1', '0.02')], 'says': ['enough']},
    {'with': 'static void my_cb (struct ev_loop *loop, ev_io *w, int revents)\n{\n  ev_io_stop (w);', 'input': 'x',
     'edit': [('ev_io_stop (w);', 'ev_io_stop (loop, w); say ("readable");')], 'says': ['readable']},
    {'with': ('ev_init (&w, my_cb);', 'ev_io_start (EV_DEFAULT_UC, &w);'), 'top': MY_CB, 'before': LOOP, 'after': RUN, 'input': 'x',
     'edit': [('EV_DEFAULT_UC, ', 'EV_DEFAULT_UC_ ')], 'says': ['read']},
    {'with': ('ev_io_init (&w, my_cb, STDIN_FILENO', 'ev_io_start (EV_DEFAULT_UC, &w);'), 'top': MY_CB + 'ev_io w;', 'before': LOOP, 'after': RUN,
     'input': 'x', 'edit': [('EV_DEFAULT_UC, ', 'EV_DEFAULT_UC_ ')], 'says': ['read']},
    {'with': 'ev_idle idle; // actual processing', 'input': 'x', 'after': RUN, 'says': ['read'],
     'edit': [('read (STDIN_FILENO, ...);', 'char c; if (read (0, &c, 1) == 1) say ("read"); else return; ev_idle_stop (EV_A_ w);'),
              ('ev_io_start (EV_P_ &io);', 'type (""), ev_break (EV_A_ EVBREAK_ALL); ev_io_start (EV_A_ &io);')]},
    {'with': 'stdin_readable_cb', 'input': 'x', 'edit': [('ev_default_init', 'ev_default_loop')],
     'says': ['read from stdin here (or from w->fd) and handle any I/O errors']},
    {'with': ('ev_timer_init (timer, callback, 60., 0.)', 'ev_timer_set (timer, 60., 0.)', 'timer->repeat = 60.', 'timer->repeat = 30.'),
     'top': ENOUGH + 'static void callback (EV_P_ ev_timer *w, int revents) { say ("after it"); ev_break (EV_A_ EVBREAK_ALL); }',
     'before': LOOP + 'ev_timer t, *timer = &t;', 'after': RUN,
     'edit': [('60.', '.01'), ('30.', '.01'), ('ev_init (timer', 'ev_timer_stop (loop, timer); ev_init (timer')], 'says': ['after it']},
    {'with': ('ev_tstamp last_activity', 'last_activity = ev_now (EV_A);\nev_init', 'timeout = new_value'), 'before': LOOP + 'double new_value = .01;', 'after': RUN,
     'edit': [('timeout = 60.', 'timeout = .02'), ('// timeout occurred, take action', 'say ("timeout");')], 'says': ['timeout']},
    {'with': 'after + (ev_time () - ev_now ())', 'before': LOOP + 'double after = .01; ev_timer timer; ev_init (&timer, got);',
     'top': 'static void got (EV_P_ ev_timer *w, int revents) { say ("after it"); }', 'after': 'ev_timer_start (loop, &timer);' + RUN,
     'edit': [('ev_now ()', 'ev_now (loop)')], 'says': ['after it']},
    {'with': 'one_minute_cb', 'before': LOOP, 'after': RUN, 'edit': [('60.', '.01')], 'says': ['one minute over, w is actually stopped right here']},
    {'with': 'ten seconds without any activity', 'before': LOOP, 'edit': [AGAIN, ('10.', '.01'), ('.. ten seconds without any activity', 'say ("silence"); ev_break (loop, EVBREAK_ALL);')],
     'says': ['silence']},
    {'with': 'return now + 60.;', 'top': 'static void got (EV_P_ ev_periodic *w, int revents) { say ("tick"); ev_break (EV_A_ EVBREAK_ALL); }',
     'edit': [('60.', '.01')], 'after': 'ev_periodic p; ev_periodic_init (&p, got, 0., 0., my_rescheduler); ev_periodic_start (EV_DEFAULT_ &p);' + RUN, 'says': ['tick']},
    {'with': 'midnight next day', 'after': 'ev_tstamp at = my_rescheduler (0, ev_time ()); printf ("%d\\n", at > ev_time () && at < ev_time () + 90001.);', 'says': ['1']},
    {'with': ('ev_periodic_set (&periodic', 'its now a full hour', 'my_scheduler_cb', 'fmod (ev_now (loop), 3600.)'), 'before': LOOP + 'ev_periodic periodic;',
     'edit': [('3600.', '.01'), ('ev_periodic hourly_tick;\nev_periodic_init (&hourly_tick, clock_cb,\n', 'ev_periodic_stop (loop, &hourly_tick);\nev_periodic_init (&hourly_tick, clock_cb,\n'),
              ('ev_periodic_init (&hourly_tick, clock_cb, 0., 0., my', 'ev_periodic_stop (loop, &hourly_tick);\nev_periodic_init (&hourly_tick, clock_cb, 0., 0., my'),
              ('... its now a full hour (UTC, or TAI or whatever your clock follows)', 'say ("tick"); ev_break (loop, EVBREAK_ALL);')],
     'after': RUN, 'says': ['tick']},
    {'with': 'sigint_cb', 'before': LOOP, 'after': 'raise (SIGINT);' + RUN + 'say ("broken");', 'says': ['broken']},
    {'with': 'process %d exited', 'before': LOOP, 'after': RUN, 'edit': [('printf ("process %d exited with status %x\\n", w->rpid, w->rstatus);', 'printf ("%x\\n", w->rstatus);'),
                                                        ('  // error\n', '  abort ();\n'), ('exit (1);', '_exit (1);')], 'says': ['100']},
    {'with': 'passwd current size', 'before': LOOP + 'char name [] = "/tmp/ev_exampleXXXXXX"; close (mkstemp (name));', 'top': ENOUGH,
     'edit': [('"/etc/passwd", 0.', 'name, .1'), ('/* you shalt', 'ev_break (loop, EVBREAK_ALL); /* you shalt')],
     'after': 'unlink (name); ev_run (loop, 0);', 'says': ['wow, /etc/passwd is not there, expect problems. if this is windows, they already arrived', '']},
    {'with': "it's one second after the most recent passwd change", 'before': LOOP + 'char name [] = "/tmp/ev_exampleXXXXXX"; close (mkstemp (name));',
     'edit': [('"/etc/passwd", 0.', 'name, .1'), ('1.02', '.02'), ("/* now it's one", "say (\"changed\"); ev_break (EV_A_ EVBREAK_ALL); /* now it's one")],
     'after': 'unlink (name); ev_run (loop, 0);', 'says': ['changed']},
    {'with': 'ev_idle *idle_watcher', 'before': LOOP, 'after': RUN, 'edit': [('free (w);', 'free (w); say ("idle");')], 'says': ['idle']},
    {'with': 'loop_lo = ev_embeddable_backends ()', 'before': 'type ("x");', 'top': MY_CB, 'edit': [('ev_default_init', 'ev_default_loop')],
     'after': 'ev_io w; ev_io_init (&w, my_cb, 0, EV_READ); ev_io_start (loop_lo, &w); for (int i = 0; ev_is_active (&w) && i < 1000; ++i) ev_run (loop_hi, EVRUN_NOWAIT);',
     'says': ['read']},
    {'with': 'program_exits', 'before': LOOP, 'after': RUN, 'says': []},
    {'with': 'otherthread (void)', 'top': 'static int data; static void queue_put (int x) { data = 1; } static int queue_get (int *x) { int had = data; data = 0; return had; }\n'
     'static void process (int x) { say ("processed"); ev_break (EV_DEFAULT_ EVBREAK_ALL); }\n',
     'after': 'pthread_t t; ev_async_init (&mysig, mysig_cb); ev_async_start (EV_DEFAULT_ &mysig);'
     'pthread_create (&t, 0, (void *(*)(void *))otherthread, 0);' + RUN + 'pthread_join (t, 0);', 'says': ['processed']},
    {'with': 'sigusr1_handler', 'top': 'typedef int sometype; static int queue; static void queue_put (int x) { queue = 1; } static int queue_get (int *x) { int had = queue; queue = 0; return had; }\n'
     'static void process (int x) { say ("processed"); ev_break (EV_DEFAULT_ EVBREAK_ALL); }\n',
     'edit': [('sigusr1_handler (void)', 'sigusr1_handler (int sig)'), ('sigismember (&prev, SIGUSR1)', '!sigismember (&prev, SIGUSR1))')],
     'after': 'ev_async_init (&mysig, mysig_cb); ev_async_start (EV_DEFAULT_ &mysig); signal (SIGUSR1, sigusr1_handler); raise (SIGUSR1);' + RUN, 'says': ['processed']},
    {'with': 'ev_once (STDIN_FILENO', 'input': 'x', 'after': RUN, 'says': ['joy'],
     'edit': [('/* stdin might have data for us, joy! */;', 'say ("joy");'), ('ev_once (STDIN', 'ev_once (EV_DEFAULT_ STDIN')]},
    {'with': ('struct my_io\n', 'struct my_io *w = (struct my_io *)w_;'), 'top': 'struct whatever;', 'before': 'int fd = 0;', 'input': 'x',
     'edit': [('  ...\n', '  printf ("%d\\n", w->otherfd); ev_io_stop (loop, w_);\n')],
     'after': 'w.otherfd = 7; ev_io_start (EV_DEFAULT_ &w.io);' + RUN, 'says': ['7']},
    {'with': ('struct my_biggy\n', 't2_cb'), 'edit': [('  ev_timer t2;\n}', '  ev_timer t2;\n};'), ('struct my_biggy big =', 'struct my_biggy *big ='),
     ('offsetof (struct my_biggy, t1));', 'offsetof (struct my_biggy, t1)); printf ("%d\\n", big->some_data);'), ('offsetof (struct my_biggy, t2));', 'offsetof (struct my_biggy, t2)); printf ("%d\\n", big->some_data);')],
     'after': 'static struct my_biggy b; b.some_data = 9; ev_timer_init (&b.t1, t1_cb, 0., 0.); ev_timer_init (&b.t2, t2_cb, .01, 0.); ev_timer_start (EV_DEFAULT_ &b.t1); ev_timer_start (EV_DEFAULT_ &b.t2);' + RUN,
     'says': ['9', '9']},
    {'with': 'ev_feed_event (EV_A_ watcher, 0)', 'before': LOOP + 'ev_timer t, *watcher = &t; ev_init (&t, 0);', 'top': 'static void callback (EV_P_ ev_timer *w, int revents) { say ("fed"); }',
     'after': RUN, 'says': ['fed']},
    {'with': ('int exit_main_loop = 0;', 'exit_nested_loop = 1;'), 'before': LOOP + 'ev_timer t; ev_timer_init (&t, got, 0., .001); ev_timer_start (loop, &t);',
     'top': 'static int exit_main_loop, exit_nested_loop, got_;\nstatic void got (EV_P_ ev_timer *w, int revents) { exit_main_loop = exit_nested_loop = 1; }',
     'edit': [('int exit_main_loop = 0;', ''), ('int exit_nested_loop = 0;', 'exit_nested_loop = 0;')], 'after': 'say ("left");', 'says': ['left']},
    {'with': ('void prepare_loop (EV_P)', 'just used for the side effects', 'l_release (EV_P)', 'l_run (void *thr_arg)', 'l_invoke (EV_P)', 'real_invoke_pending (EV_P)', 'timeout_watcher;\nuserdata'),
     'top': '#define mutex_t pthread_mutex_t\n#define thread_t pthread_t\n#define cond_t pthread_cond_t\n'
     'static void async_cb (EV_P_ ev_async *w, int revents); static void l_invoke (EV_P); static void l_release (EV_P); static void l_acquire (EV_P);\n'
     'void *l_run (void *); static int wake [2];\nstatic void timeout_cb (EV_P_ ev_timer *w, int revents) { say ("timeout"); exit (0); }\n'
     'static void wake_up_other_thread_in_some_magic_or_not_so_magic_way (void) { assert (write (wake [1], "", 1) == 1); }\n',
     'before': 'struct ev_loop *loop = EV_DEFAULT; assert (!pipe (wake)); prepare_loop (loop);',
     'edit': [('u->async_w', 'u.async_w'), ('&u->lock, 0)', '&u.lock, 0)'), ('&u->invoke_cv, 0', '&u.invoke_cv, 0'), ('ev_set_userdata (EV_A_ u)', 'ev_set_userdata (EV_A_ &u)'),
              ('&u->tid', '&u.tid'), ('ev_async_send (EV_A_ &u.async_w)', 'ev_async_send (EV_A_ &u->async_w)'), ('5.5', '.01')],
     'after': 'char c; while (read (wake [0], &c, 1) == 1) real_invoke_pending (loop);', 'says': ['timeout']},
    {'with': 'ev_check check;', 'edit': [('ev_timer *w', 'ev_check *w'), ('ev_check_stop (EV_A_ w);', 'ev_check_stop (EV_A_ w); say ("check");')],
     'before': 'ev_timer t; ev_timer_init (&t, got, .01, 0.); ev_timer_start (EV_DEFAULT_ &t);', 'top': 'static void got (EV_P_ ev_timer *w, int revents) { }', 'says': ['check']},
    {'with': ('struct myclass\n', 'static void io_cb (ev::io &w'), 'cxx': 1, 'input': 'x', 'top': '#include <ev++.h>\n', 'edit': [
        ('{ }\n}', '{ say ("method"); w.stop (); }\n};'), ('static void io_cb (ev::io &w, int revents) { }', 'static void io_cb (ev::io &w, int revents) { say ("function"); w.stop (); }')],
     'before': LOOP, 'after': 'iow.start (0, ev::READ);' + RUN, 'says': ['function']},
    {'with': 'struct myfunctor', 'cxx': 1, 'input': 'x', 'top': '#include <ev++.h>\n', 'before': LOOP, 'edit': [('    ...\n', '    say ("functor"); w.stop ();\n'), ('  }\n}', '  }\n};')],
     'after': 'w.start (0, ev::READ);' + RUN, 'says': ['functor']},
    {'with': 'ev_loop_destroy (EV_DEFAULT_UC);\nev_loop_fork', 'before': LOOP, 'edit': [('ev_loop_destroy (EV_DEFAULT_UC);\nev_loop_fork (EV_DEFAULT);', 'ev_loop_fork (EV_DEFAULT); ev_loop_destroy (EV_DEFAULT_UC);')], 'says': []},
    {'with': 'ev_linuxaio_stats (loop, &s, sizeof (s))', 'input': 'x', 'top': MY_CB,
     'after': 'ev_io w; ev_io_init (&w, my_cb, 0, EV_READ); ev_io_start (loop, &w);' + RUN,
     'says': {'4': ['read'], '64': ['ev_linuxaio 2.0: 0 fds in rings, 0 on epoll', 'read'], '68': ['ev_linuxaio 2.0: 0 fds in rings, 0 on epoll', 'read']}},
]

# what is no program, or for other systems and libraries
LEFT_OUT = [
    'adns_prepare_cb', 'adns_processtimeouts', 'event_poll_func',                 # for other libraries
    'EVBACKEND_KQUEUE)\n  if', 'EV_SELECT_IS_WINSOCKET', 'evwrap.h',               # for other systems
    'ev_timer_add', 'typical callback', 'if (activity detected)', 'ev_timer_again (loop, timer);', 'free (request)',  # parts of sentences
    'queue jobs here', 'switch_to', 'current_coro', 'SV *self',
    'io2_cb', '#include "ev_cpp.h"', '#define EV_USE_STDEXCEPT 0',               # embedding, which embed.c does
    '#include "ev.c"', '#include "ev.h"', '#include "event',
    '#include <ev++.h>', '#include <ev.h>\n',
]
