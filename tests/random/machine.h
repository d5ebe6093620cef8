/*
 * the operation language of the random programs, and what executes it
 *
 * A program is a string of bytes: MACHINE_HEADER bytes that configure the
 * loop, then four bytes an operation. Every string of bytes is a program, and
 * an operation means the same whatever stands before it, so that programs
 * can be cut, joined and mutated freely.
 */
#ifndef MACHINE_H_
#define MACHINE_H_

#include <stddef.h>

#define MACHINE_HEADER 4
#define MACHINE_OP     4

/*
 * Weights say how many of 256 first bytes stand for the operation, the rest is
 * for CHECK. New ones go to the end, or the programs in corpus/ change their meaning.
 */
#define MACHINE_OPS(X)      \
  X (OPEN       , 18)       \
  X (CLOSE      , 7)        \
  X (CLOSE_FIRST, 4)        \
  X (REOPEN     , 5)        \
  X (DUP        , 4)        \
  X (DUP_OVER   , 3)        \
  X (WRITE      , 24)       \
  X (READ       , 14)       \
  X (FILL       , 5)        \
  X (DRAIN      , 8)        \
  X (SHUTDOWN   , 2)        \
  X (RESET      , 1)        \
  X (SET        , 24)       \
  X (START      , 14)       \
  X (STOP       , 14)       \
  X (RESTART    , 10)       \
  X (MODIFY     , 12)       \
  X (PRIORITY   , 3)        \
  X (FEED       , 3)        \
  X (FEED_FD    , 2)        \
  X (CLEAR      , 2)        \
  X (OPEN_MANY  , 2)        \
  X (CLOSE_MANY , 1)        \
  X (SET_MANY   , 3)        \
  X (STOP_MANY  , 2)        \
  X (NOWAIT     , 22)       \
  X (BLOCK      , 5)        \
  X (CHECK      , 18)       \
  X (NEST       , 8)        \
  X (TIMER      , 3)        \
  X (ASYNC      , 3)        \
  X (SIGNAL     , 2)        \
  X (RENEW      , 1)        \
  X (FORK       , 1)        \
  X (BUSY       , 1)        \
  X (FAULT      , 3)        \
  X (REMOTE     , 2)

enum machine_opcode
{
#define X(name, weight) OP_ ## name,
  MACHINE_OPS (X)
#undef X
  OP_COUNT
};

/* what a run of programs has come across, so that nobody takes an idle test for a passed one */
struct machine_tally
{
  unsigned long operations; /* that had something to do */
  unsigned long checks;
  unsigned long deliveries; /* readiness that was owed, and came */
  unsigned long forks;
  unsigned long wakeups;    /* from a sleep, by another thread */
  unsigned long closes;     /* whose effect on the peer was awaited */
  unsigned long faults;
  unsigned long on_ring;    /* programs that ended with a ring */
  unsigned long submitted, completed, cancelled, refused;
  unsigned long regrowths, moved_to_epoll, moved_to_ring, probe_hits, overflowed, wrapped;
};

struct machine_options
{
  unsigned backend;         /* EVBACKEND_* */
  int ignore_leaks;
  int trace;                /* print every operation and what it did */
  int patience_ms;          /* how long an event may take before it counts as lost */
  void (*arrange) (void);   /* called before the loop is made, to arrange failures */
  unsigned long limit;      /* stop after that many operations, 0: none */
};

enum machine_opcode machine_opcode_of (unsigned char byte);
unsigned char machine_byte_of (enum machine_opcode op);
const char *machine_op_name (enum machine_opcode op);

/* runs one program. ends the process through machine_failed when a rule is broken */
void machine_run (const unsigned char *program, size_t size,
                  const struct machine_options *options, struct machine_tally *tally);

/* called with one line that says what went wrong; must not return. set by the user */
extern void (*machine_failed) (const char *what);

#endif
