/*
 * the operation language of the random programs, and what executes it
 *
 * A program is a string of bytes: MACHINE_HEADER bytes that configure the
 * loop, then four bytes an operation: which; the number of a slot or watcher
 * (two); how. Every string of bytes is a program, and an operation means the
 * same whatever stands before it, so that programs can be cut, joined and
 * mutated freely.
 */
#pragma once

#include <stddef.h>

#define MACHINE_HEADER 4
#define MACHINE_OP     4

/* what an operation is about, and needs: where it is not so, nothing is done */
enum
{
  SLOT    = 1,         /* any */
  OPEN    = 2  | SLOT, /* one with a file */
  WATCHER = 4,         /* any */
  BOUND   = 8  | WATCHER,
  ACTIVE  = 16 | BOUND,
  PARENT  = 32,        /* not in a forked child, which keeps its hands off the files */
  TOP     = 64         /* not in a callback */
};

/*
 * Weights say how many of 256 first bytes stand for the operation, the rest is
 * for CHECK. New ones go to the end, or the programs in corpus/ change their meaning.
 */
#define MACHINE_OPS(X)                 \
  X (MAKE       , 18, SLOT | PARENT)   \
  X (CLOSE      , 7 , OPEN)            \
  X (CLOSE_FIRST, 4 , OPEN)            \
  X (REMAKE     , 5 , OPEN | PARENT)   \
  X (DUP        , 4 , OPEN | PARENT)   \
  X (DUP_OVER   , 3 , OPEN | PARENT)   \
  X (WRITE      , 24, OPEN | PARENT)   \
  X (READ       , 14, OPEN | PARENT)   \
  X (FILL       , 5 , OPEN | PARENT)   \
  X (DRAIN      , 8 , OPEN | PARENT)   \
  X (SHUTDOWN   , 2 , OPEN | PARENT)   \
  X (RESET      , 1 , OPEN | PARENT)   \
  X (SET        , 24, WATCHER)         \
  X (START      , 14, BOUND)           \
  X (STOP       , 14, ACTIVE)          \
  X (RESTART    , 10, ACTIVE)          \
  X (MODIFY     , 12, ACTIVE)          \
  X (PRIORITY   , 3 , BOUND)           \
  X (FEED       , 3 , BOUND)           \
  X (FEED_FD    , 2 , OPEN)            \
  X (CLEAR      , 2 , BOUND)           \
  X (MAKE_MANY  , 2 , PARENT)          \
  X (CLOSE_MANY , 1 , 0)               \
  X (SET_MANY   , 3 , 0)               \
  X (STOP_MANY  , 2 , 0)               \
  X (NOWAIT     , 22, 0)               \
  X (BLOCK      , 5 , 0)               \
  X (CHECK      , 18, 0)               \
  X (NEST       , 8 , 0)               \
  X (TIMER      , 3 , 0)               \
  X (ASYNC      , 3 , 0)               \
  X (SIGNAL     , 2 , 0)               \
  X (RENEW      , 1 , 0)               \
  X (FORK       , 1 , PARENT)          \
  X (BUSY       , 1 , 0)               \
  X (FAULT      , 3 , 0)               \
  X (REMOTE     , 2 , OPEN | PARENT | TOP)

enum machine_opcode
{
#define X(name, weight, needs) OP_ ## name,
  MACHINE_OPS (X)
#undef X
  OP_COUNT
};

/* what a run of programs has come across, so that nobody takes an idle test for a passed one */
#define MACHINE_TALLY(X)                                                              \
  X (operations, "operations")                  /* that had something to do */        \
  X (checks    , "checks")                                                            \
  X (deliveries, "events owed and delivered")                                         \
  X (wakeups   , "wake-ups by another thread")                                        \
  X (closes    , "closes seen by the peer")                                           \
  X (forks     , "forks")                                                             \
  X (rings     , "rings")                       /* from here on: only with linuxaio */\
  X (several   , "loops with several")                                                \
  X (submitted , "requests")                                                          \
  X (completed , "completed")                                                         \
  X (cancelled , "cancelled")                                                         \
  X (refused   , "refused")                                                           \
  X (ring_fds  , "fds in rings")                /* these: after each check */         \
  X (chosen    , "on epoll by choice")                                                \
  X (kind      , "for their kind")                                                    \
  X (waiting   , "waiting for a ring")                                                \
  X (probe_hits, "found writable before epoll was told")                              \
  X (faults    , "faults")                      /* only where calls can fail */

struct machine_tally
{
#define X(name, text) unsigned long name;
  MACHINE_TALLY (X)
#undef X
};

struct machine_options
{
  unsigned backend;         /* EVBACKEND_* */
  int trace;                /* print every operation and what it did */
  int patience_ms;          /* how long an event may take before it counts as lost */
  void (*arrange) (void);   /* called before the loop is made, to arrange failures */
  unsigned long limit;      /* stop after that many operations, 0: none */
};

enum machine_opcode machine_opcode_of (unsigned char byte);

/* runs one program. ends the process through machine_failed when a rule is broken */
void machine_run (const unsigned char *program, size_t size,
                  const struct machine_options *options, struct machine_tally *tally);

/* called with one line that says what went wrong; must not return. set by the user */
extern void (*machine_failed) (const char *what);

double machine_now (void);
