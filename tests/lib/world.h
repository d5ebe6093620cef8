/*
 * the only maker of descriptors of all kinds; and the slots in which a random
 * program keeps them, with what poll(2) says of them
 *
 * Every descriptor lives in a numbered slot. Slots that refer to the same
 * object (both ends of a pipe, duplicates) form a group, because an operation
 * on one of them can change the readiness of all of them.
 */
#ifndef WORLD_H_
#define WORLD_H_

enum world_kind
{
  WORLD_NONE,
  WORLD_STREAM,      /* socketpair, SOCK_STREAM */
  WORLD_DGRAM,
  WORLD_SEQPACKET,
  WORLD_PIPE,
  WORLD_FIFO,        /* opened O_RDWR: two wait queues in one file */
  WORLD_PTY,
  WORLD_TCP,
  WORLD_UDP,         /* connected pair */
  WORLD_UDP_BOUND,   /* sends to itself */
  WORLD_LISTEN,      /* TCP */
  WORLD_LISTEN_UNIX,
  WORLD_CONNECTING,  /* TCP socket that connects while it is watched */
  WORLD_EVENTFD,
  WORLD_SIGNALFD,
  WORLD_TIMERFD,
  WORLD_EPOLL,
  WORLD_INOTIFY,
  WORLD_MEMFD,
  WORLD_DEVNULL,
  WORLD_DIRECTORY,
  WORLD_KINDS
};

/* what a kind consists of; the second end is -1 where there is none */
struct world_object
{
  int fd [2];
  int aux;           /* hidden descriptor that the object needs, or -1 */
  int signo;
};

const char *world_kind_name (int kind);
int world_make (struct world_object *o, int kind);  /* returns the number of ends, 0: it cannot be made here */
void world_unmake (struct world_object *o);

struct world_slot
{
  int fd;            /* -1: empty */
  int aux;           /* hidden descriptor that the object needs, or -1 */
  int sibling;       /* next slot of the same group, circular */
  unsigned file;     /* open file description: dups share it */
  int watcher;       /* head of the list of watchers bound to the slot, for the user */
  short seen;        /* what poll said at any time since world_forget () */
  short before;      /* and before that, where events may come late */
  unsigned char kind;
  unsigned char end; /* which end of a pair */
  unsigned char signo;
};

extern struct world_slot *world;
extern int world_size;

void world_init (int size);   /* all slots empty */
void world_done (void);       /* closes everything */

/* these return 0 when there was nothing to do */
int world_open (int slot, int kind);
int world_reopen (int slot, int kind);    /* another object, same descriptor number */
int world_close (int slot);
int world_dup (int slot, int to);
int world_dup_over (int slot, int to);    /* dup2 onto a descriptor that is in use */
int world_write (int slot, int how);
int world_read (int slot, int how);
int world_fill (int slot);
int world_drain (int slot);
int world_shutdown (int slot, int how);
int world_reset (int slot);               /* close with a TCP reset */

short world_poll (int slot);              /* right now */
void world_sample (int slot);             /* adds right now to seen, for the whole group */
void world_sample_all (void);
void world_forget (void);                 /* nothing was seen */

/* the slot of a peer that must notice when this slot is closed, -1: there is none */
int world_sole_peer (int slot);
int world_peer_saw_close (int peer, int timeout_ms);

#endif
