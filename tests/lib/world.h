/*
 * the only maker of descriptors of all kinds; and the slots in which a random
 * program keeps them, with what poll(2) says of them
 *
 * Every descriptor lives in a numbered slot. Slots that refer to the same
 * object (both ends of a pipe, duplicates) form a group, because an operation
 * on one of them can change the readiness of all of them.
 */
#pragma once

/* kind, name, what makes it (in world.c), and of which type */
#define WORLD_LIST(X)                                                                         \
  X (NONE       , "nothing"        , 0               , 0)                                     \
  X (STREAM     , "socketpair"     , make_pair       , SOCK_STREAM)                           \
  X (DGRAM      , "dgram-pair"     , make_pair       , SOCK_DGRAM)                            \
  X (SEQPACKET  , "seqpacket-pair" , make_pair       , SOCK_SEQPACKET)                        \
  X (PIPE       , "pipe"           , make_pipe       , 0)                                     \
  X (FIFO       , "fifo-rdwr"      , make_fifo       , 0) /* two wait queues in one file */   \
  X (PTY        , "pty"            , make_pty        , 0)                                     \
  X (TCP        , "tcp-pair"       , make_tcp        , 0)                                     \
  X (UDP        , "udp-pair"       , make_udp        , 0)                                     \
  X (UDP_BOUND  , "udp-bound"      , make_bound      , SOCK_DGRAM) /* sends to itself */      \
  X (LISTEN     , "tcp-listener"   , make_bound      , SOCK_STREAM)                           \
  X (LISTEN_UNIX, "unix-listener"  , make_listen_unix, 0)                                     \
  X (CONNECTING , "tcp-unconnected", make_connecting , 0) /* while it is watched */           \
  X (EVENTFD    , "eventfd"        , make_eventfd    , 0)                                     \
  X (SIGNALFD   , "signalfd"       , make_signalfd   , 0)                                     \
  X (TIMERFD    , "timerfd"        , make_timerfd    , 0)                                     \
  X (EPOLL      , "epoll"          , make_epoll      , 0)                                     \
  X (INOTIFY    , "inotify"        , make_inotify    , 0)                                     \
  X (MEMFD      , "memfd"          , make_memfd      , 0)                                     \
  X (DEVNULL    , "/dev/null"      , make_devnull    , 0)                                     \
  X (DIRECTORY  , "directory"      , make_directory  , 0)

enum world_kind
{
#define X(kind, ...) WORLD_ ## kind,
  WORLD_LIST (X)
#undef X
  WORLD_KINDS
};

/* what a kind consists of; the second end is -1 where there is none */
struct world_object
{
  int fd [2];
  int aux;           /* hidden descriptor that the object needs, or -1 */
  int signo;
};

extern const struct world_maker
{
  const char *name;
  int (*make) (struct world_object *o, int type);
  int type;
} world_kinds [WORLD_KINDS];

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
