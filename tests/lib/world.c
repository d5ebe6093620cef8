#include "system.h"
#include <termios.h>
#include <netinet/tcp.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>

#include "world.h"

#define SMALL_BUFFER 4096 /* of sockets and pipes, so that they are full soon */
#define SIGNALS 8         /* real-time signals shared out among signalfds */

struct world_slot *world;
int world_size;

static unsigned signals_used;
static unsigned files;                /* open file descriptions made so far */
static unsigned char former [65536];  /* by hash: numbers that files had before */
static char scratch [65536];

/*****************************************************************************/
/* making objects: each maker fills in fd [] and aux, and returns the number of ends, 0: it cannot. type is its last column in WORLD_LIST */

static void
shrink_buffers (int fd)
{
  int size = SMALL_BUFFER;

  setsockopt (fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof (size));
  setsockopt (fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof (size));
}

static int
one_end (struct world_object *o, int fd)
{
  o->fd [0] = fd;
  return 1;
}

static int
make_pair (struct world_object *o, int type)
{
  if (socketpair (AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, o->fd))
    return 0;

  shrink_buffers (o->fd [0]);
  shrink_buffers (o->fd [1]);
  return 2;
}

static int
make_pipe (struct world_object *o, int type)
{
  if (pipe2 (o->fd, O_NONBLOCK | O_CLOEXEC))
    return 0;

  fcntl (o->fd [0], F_SETPIPE_SZ, SMALL_BUFFER);
  return 2;
}

/* a pipe reopened O_RDWR through /proc is what an O_RDWR FIFO is, and needs no file system */
static int
make_fifo (struct world_object *o, int type)
{
  struct world_object pipe;
  char path [32];

  if (!make_pipe (&pipe, 0))
    return 0;

  sprintf (path, "/proc/self/fd/%d", pipe.fd [0]);
  one_end (o, open (path, O_RDWR | O_NONBLOCK | O_CLOEXEC));
  close (pipe.fd [0]);
  close (pipe.fd [1]);
  return 1;
}

static int
make_pty (struct world_object *o, int type)
{
  struct termios raw;

  o->fd [0] = posix_openpt (O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  if (o->fd [0] < 0 || grantpt (o->fd [0]) || unlockpt (o->fd [0]))
    return 0;

  o->fd [1] = open (ptsname (o->fd [0]), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  tcgetattr (o->fd [1], &raw);
  cfmakeraw (&raw);
  tcsetattr (o->fd [1], TCSANOW, &raw);
  return 2;
}

static int
new_socket (int family, int type)
{
  return socket (family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* each process has an address of its own, so that nobody else takes a port that was just closed */
static int
loopback_socket (int type, struct sockaddr_in *address)
{
  socklen_t length = sizeof (*address);
  int fd = new_socket (AF_INET, type);

  memset (address, 0, sizeof (*address));
  address->sin_family = AF_INET;
  address->sin_addr.s_addr = htonl (0x7f000000 | (getpid () & 0xffffff));

  if (!bind (fd, (struct sockaddr *)address, sizeof (*address))
      && !getsockname (fd, (struct sockaddr *)address, &length)
      && (type != SOCK_STREAM || !listen (fd, 8)))
    return fd;

  close (fd);
  return -1;
}

static int
connect_to (int fd, const void *address, socklen_t length)
{
  return connect (fd, (const struct sockaddr *)address, length) && errno != EINPROGRESS ? -1 : 0;
}

static int
make_tcp (struct world_object *o, int type)
{
  struct sockaddr_in a;
  struct pollfd p = { loopback_socket (SOCK_STREAM, &a), POLLIN, 0 };
  int one = 1;

  o->fd [0] = new_socket (AF_INET, SOCK_STREAM);
  shrink_buffers (o->fd [0]);

  if (!connect_to (o->fd [0], &a, sizeof (a)) && poll (&p, 1, 1000) == 1)
    o->fd [1] = accept4 (p.fd, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC);

  shrink_buffers (o->fd [1]);
  setsockopt (o->fd [0], IPPROTO_TCP, TCP_NODELAY, &one, sizeof (one));
  setsockopt (o->fd [1], IPPROTO_TCP, TCP_NODELAY, &one, sizeof (one));
  close (p.fd);
  return 2;
}

static int
make_udp (struct world_object *o, int type)
{
  struct sockaddr_in a, b;

  o->fd [0] = loopback_socket (SOCK_DGRAM, &a);
  o->fd [1] = loopback_socket (SOCK_DGRAM, &b);
  return connect_to (o->fd [0], &b, sizeof (b)) || connect_to (o->fd [1], &a, sizeof (a)) ? 0 : 2;
}

static int
make_bound (struct world_object *o, int type)
{
  struct sockaddr_in a;

  return one_end (o, loopback_socket (type, &a));
}

/* the kernel picks an abstract name when only the family is given */
static int
make_listen_unix (struct world_object *o, int type)
{
  struct sockaddr_un a = { AF_UNIX, "" };

  o->fd [0] = new_socket (AF_UNIX, SOCK_STREAM);
  return !bind (o->fd [0], (struct sockaddr *)&a, sizeof (a.sun_family)) && !listen (o->fd [0], 8);
}

static int
make_connecting (struct world_object *o, int type)
{
  struct sockaddr_in a;

  o->fd [0] = new_socket (AF_INET, SOCK_STREAM);
  o->aux    = loopback_socket (SOCK_STREAM, &a);
  return o->aux >= 0;
}

static int
make_signalfd (struct world_object *o, int type)
{
  sigset_t set;
  int i = 0;

  while (signals_used & 1 << i)
    if (++i == SIGNALS)
      return 0;

  sigemptyset (&set);
  sigaddset (&set, SIGRTMIN + i);
  sigprocmask (SIG_BLOCK, &set, 0);
  o->fd [0] = signalfd (-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  o->signo  = i + 1;
  signals_used |= 1 << i;
  return 1;
}

static int
make_epoll (struct world_object *o, int type)
{
  struct epoll_event ev = { EPOLLIN, { 0 } };

  o->fd [0] = epoll_create1 (EPOLL_CLOEXEC);
  o->aux    = eventfd (0, EFD_NONBLOCK | EFD_CLOEXEC);
  return !epoll_ctl (o->fd [0], EPOLL_CTL_ADD, o->aux, &ev);
}

/* what inotify watches is a memfd, so that nothing is left in any file system */
static int
make_inotify (struct world_object *o, int type)
{
  char path [32];

  o->fd [0] = inotify_init1 (IN_NONBLOCK | IN_CLOEXEC);
  o->aux    = memfd_create ("world", MFD_CLOEXEC);
  sprintf (path, "/proc/self/fd/%d", o->aux);
  return inotify_add_watch (o->fd [0], path, IN_ATTRIB) >= 0;
}

static int make_eventfd   (struct world_object *o, int type) { return one_end (o, eventfd (0, EFD_NONBLOCK | EFD_CLOEXEC)); }
static int make_timerfd   (struct world_object *o, int type) { return one_end (o, timerfd_create (CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)); }
static int make_memfd     (struct world_object *o, int type) { return one_end (o, memfd_create ("world", MFD_CLOEXEC)); }
static int make_devnull   (struct world_object *o, int type) { return one_end (o, open ("/dev/null", O_RDWR | O_CLOEXEC)); }
static int make_directory (struct world_object *o, int type) { return one_end (o, open ("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)); }

const struct world_maker world_kinds [WORLD_KINDS] = {
#define X(kind, ...) { __VA_ARGS__ },
  WORLD_LIST (X)
#undef X
};

int
world_make (struct world_object *o, int kind)
{
  int ends;

  memset (o, 0, sizeof (*o));
  o->fd [0] = o->fd [1] = o->aux = -1;
  ends = world_kinds [kind].make (o, world_kinds [kind].type);

  if (ends && o->fd [0] >= 0 && (ends == 1 || o->fd [1] >= 0))
    return ends;

  world_unmake (o);
  return 0;
}

/* a signal that nobody waits for any more must not be left pending */
static void
release_signal (int signo)
{
  static const struct timespec now;
  sigset_t set;

  sigemptyset (&set);
  sigaddset (&set, SIGRTMIN + signo - 1);
  while (sigtimedwait (&set, 0, &now) > 0)
    ;

  signals_used &= ~(1 << (signo - 1));
}

void
world_unmake (struct world_object *o)
{
  close (o->fd [0]);
  close (o->fd [1]);
  close (o->aux);

  if (o->signo)
    release_signal (o->signo);
}

/*****************************************************************************/
/* slots and groups */

void
world_init (int size)
{
  world      = (struct world_slot *)calloc (size, sizeof (*world));
  world_size = size;
  files      = 0;
  memset (former, 0, sizeof (former));

  for (int i = 0; i < size; ++i)
    {
      world [i].fd      = -1;
      world [i].watcher = -1;
    }
}

void
world_done (void)
{
  for (int i = 0; i < world_size; ++i)
    world_close (i);

  free (world);
  world      = 0;
  world_size = 0;
}

static int
free_slot (int after)
{
  for (int i = 1; i < world_size; ++i)
    {
      int slot = (after + i) % world_size;

      if (world [slot].fd < 0)
        return slot;
    }

  return -1;
}

static void
group_join (int slot, int member)
{
  world [slot].sibling   = world [member].sibling;
  world [member].sibling = slot;
}

static void
group_leave (int slot)
{
  int before = slot;

  while (world [before].sibling != slot)
    before = world [before].sibling;

  world [before].sibling = world [slot].sibling;
}

/*
 * epoll_modify of ev_epoll.c takes a number that was set anew for the same
 * file when epoll knows it with the same mask already, although epoll may
 * have kept it from an earlier time, under another mask: a file comes back by
 * dup under a number it had before, was registered with, and left to another
 * file while it stayed open itself. libev's documentation says that epoll
 * cannot cope with dup, so this case alone is left out: a file never gets a
 * number twice. (By hash: now and then one that it never had is left out.)
 */
static unsigned char *
had_number (unsigned file, int fd)
{
  return former + ((file * 2654435761u + fd * 40503u) >> 8 & (sizeof (former) - 1));
}

static void
occupy (int slot, int fd, const struct world_object *o, int kind, int end)
{
  world [slot] = (struct world_slot) { fd, o->aux, slot, ++files, world [slot].watcher, 0, 0, kind, end, o->signo };
}

/* a connection: its other end may be anywhere */
static void
occupy_alone (int slot, int fd, int kind, int end)
{
  static const struct world_object none = { { -1, -1 }, -1, 0 };

  occupy (slot, fd, &none, kind, end);
  world_sample (slot);
}

static void
occupy_all (int slot, int fd, const struct world_object *o, int kind, int ends)
{
  int other = ends == 2 ? free_slot (slot) : -1;

  occupy (slot, fd, o, kind, 0);

  if (other >= 0)
    {
      occupy (other, o->fd [1], o, kind, 1);
      group_join (other, slot);
    }
  else if (ends == 2)
    close (o->fd [1]);

  world_sample (slot);
}

int
world_open (int slot, int kind)
{
  struct world_object o;
  int ends;

  if (world [slot].fd >= 0 || !(ends = world_make (&o, kind)))
    return 0;

  occupy_all (slot, o.fd [0], &o, kind, ends);
  return 1;
}

/* what is hidden behind an object goes when its last descriptor went */
static void
leave_object (int slot)
{
  struct world_slot *s = world + slot;
  int was_last = s->sibling == slot;

  group_leave (slot);

  if (!was_last)
    {
      world_sample (s->sibling);
      return;
    }

  close (s->aux);

  if (s->signo)
    release_signal (s->signo);
}

int
world_close (int slot)
{
  int fd = world [slot].fd;

  if (fd < 0)
    return 0;

  world_sample (slot);
  close (fd);
  *had_number (world [slot].file, fd) = 1;
  world [slot].fd = -1;
  leave_object (slot);
  return 1;
}

/* close, and then an object that gets the number just set free */
int
world_reopen (int slot, int kind)
{
  struct world_object o;
  int fd = world [slot].fd, ends;

  if (fd < 0)
    return 0;

  ends = world_make (&o, kind);
  world_close (slot);

  if (ends)
    {
      dup3 (o.fd [0], fd, O_CLOEXEC);
      close (o.fd [0]);
      occupy_all (slot, fd, &o, kind, ends);
    }

  return 1;
}

static void
occupy_dup (int slot, int fd, int to)
{
  int watcher = world [to].watcher;

  world [to]         = world [slot];
  world [to].fd      = fd;
  world [to].seen    = world [to].before = 0;
  world [to].watcher = watcher;
  group_join (to, slot);
  world_sample (slot);
}

int
world_dup (int slot, int to)
{
  int fd;

  if (world [slot].fd < 0 || world [to].fd >= 0)
    return 0;

  fd = fcntl (world [slot].fd, F_DUPFD_CLOEXEC, 0);
  if (fd < 0)
    return 0;

  if (*had_number (world [slot].file, fd))
    {
      close (fd);
      return 0;
    }

  occupy_dup (slot, fd, to);
  return 1;
}

int
world_dup_over (int slot, int to)
{
  int fd = world [to].fd;

  if (world [slot].fd < 0 || fd < 0 || slot == to || *had_number (world [slot].file, fd))
    return 0;

  world_sample (to);
  dup3 (world [slot].fd, fd, O_CLOEXEC);
  *had_number (world [to].file, fd) = 1;
  world [to].fd = -1;
  leave_object (to);
  occupy_dup (slot, fd, to);
  return 1;
}

/*****************************************************************************/
/* the oracle */

short
world_poll (int slot)
{
  struct pollfd p = { world [slot].fd, POLLIN | POLLOUT, 0 };

  poll (&p, 1, 0);
  return p.revents;
}

void
world_sample (int slot)
{
  int at = slot;

  do
    {
      if (world [at].fd >= 0)
        world [at].seen |= world_poll (at);

      at = world [at].sibling;
    }
  while (at != slot);
}

void
world_sample_all (void)
{
  for (int i = 0; i < world_size; ++i)
    if (world [i].fd >= 0)
      world [i].seen |= world_poll (i);
}

/*
 * Since 6.12.117 and 7.3.4 (398e3fa789aa) a kernel worker completes a request that had to
 * wait. It looks at the file, and may be kept from storing the event until the loop has polled.
 */
static int
events_come_late (void)
{
  unsigned major = 0, minor = 0, patch = 0;
  struct utsname un;

  uname (&un);
  sscanf (un.release, "%u.%u.%u", &major, &minor, &patch);
  return major == 6 && minor == 12 ? patch >= 117 : major == 7 && minor == 3 ? patch >= 4 : major > 7 || (major == 7 && minor > 3);
}

void
world_forget (void)
{
  static int late = -1;

  if (late < 0)
    late = events_come_late ();

  for (int i = 0; i < world_size; ++i)
    {
      world [i].before = late ? world [i].seen : 0;
      world [i].seen   = 0;
    }
}

/*****************************************************************************/
/* changing readiness */

static ssize_t
write_unconnected (int fd, size_t size)
{
  struct sockaddr_in a;
  socklen_t length = sizeof (a);

  getsockname (fd, (struct sockaddr *)&a, &length);
  return sendto (fd, scratch, size, 0, (struct sockaddr *)&a, length);
}

/* a client that connects to the listener and becomes a slot itself */
static ssize_t
write_listener (int slot)
{
  struct sockaddr_storage a;
  socklen_t length = sizeof (a);
  int to = free_slot (slot);
  int fd;

  if (to < 0)
    return -1;

  getsockname (world [slot].fd, (struct sockaddr *)&a, &length);
  fd = new_socket (a.ss_family, SOCK_STREAM);
  if (fd < 0 || connect_to (fd, &a, length))
    {
      close (fd);
      return -1;
    }

  occupy_alone (to, fd, a.ss_family == AF_UNIX ? WORLD_STREAM : WORLD_TCP, 1);
  return 1;
}

/* connects; when connected already, the other side speaks and hangs up */
static ssize_t
write_connecting (int fd, int listener)
{
  struct sockaddr_in a;
  socklen_t length = sizeof (a);
  int peer;

  getsockname (listener, (struct sockaddr *)&a, &length);
  if (!connect_to (fd, &a, length))
    return 1;

  if ((peer = accept4 (listener, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC)) < 0)
    return -1;

  if (write (peer, scratch, 1) < 0)
    errno = 0;

  close (peer);
  return 1;
}

static ssize_t
expire_timer (int fd, int when)
{
  struct itimerspec t = { { 0, 0 }, { when > 1 ? 1000 : 0, when ? 1 : 0 } };

  return timerfd_settime (fd, 0, &t, 0) ? -1 : 1;
}

/* size is how much to write to what takes bytes */
static ssize_t
write_once (int slot, size_t size)
{
  struct world_slot *s = world + slot;

  switch (s->kind)
    {
      case WORLD_UDP_BOUND:   return write_unconnected (s->fd, size);
      case WORLD_LISTEN:
      case WORLD_LISTEN_UNIX: return write_listener (slot);
      case WORLD_CONNECTING:  return write_connecting (s->fd, s->aux);
      case WORLD_SIGNALFD:    return raise (SIGRTMIN + s->signo - 1) ? -1 : 1;
      case WORLD_TIMERFD:     return expire_timer (s->fd, size % 3);
      case WORLD_EPOLL:       return write (s->aux, "\1\1\1\1\1\1\1\1", 8);
      case WORLD_INOTIFY:     return futimens (s->aux, 0) ? -1 : 1;
      case WORLD_EVENTFD:     return write (s->fd, "\1\1\1\1\1\1\1\1", 8);
      case WORLD_DIRECTORY:   return -1;
      default:                return write (s->fd, scratch, size);
    }
}

/* an accepted connection becomes a slot, if there is one */
static ssize_t
read_listener (int slot)
{
  int fd = accept4 (world [slot].fd, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC);
  int to = free_slot (slot);

  if (fd < 0)
    return -1;

  if (to < 0)
    close (fd);
  else
    occupy_alone (to, fd, world [slot].kind == WORLD_LISTEN ? WORLD_TCP : WORLD_STREAM, 0);

  return 1;
}

static ssize_t
read_once (int slot, size_t size)
{
  struct world_slot *s = world + slot;

  switch (s->kind)
    {
      case WORLD_LISTEN:
      case WORLD_LISTEN_UNIX: return read_listener (slot);
      case WORLD_EPOLL:       return read (s->aux, scratch, 8);
      case WORLD_MEMFD:
      case WORLD_DEVNULL:
      case WORLD_DIRECTORY:   return -1;
      default:                return read (s->fd, scratch, size);
    }
}

/* up to that many times; what can be written or read was ready */
static int
repeat (int slot, ssize_t (*once) (int slot, size_t size), size_t size, int times, int event)
{
  int i = 0;

  if (world [slot].fd < 0)
    return 0;

  world_sample (slot);
  while (i < times && once (slot, size) > 0)
    ++i;

  if (i)
    world [slot].seen |= event;

  world_sample (slot);
  return i > 0;
}

int
world_write (int slot, int how)
{
  static const size_t sizes [] = { 1, 1, 8, 100, 600, 3000 };

  return repeat (slot, write_once, sizes [how % 6], 1, POLLOUT);
}

int
world_read (int slot, int how)
{
  static const size_t sizes [] = { 1, 8, 128, 4096 };

  return repeat (slot, read_once, sizes [how % 4], 1, POLLIN);
}

/* what takes bytes until it is full. the last bytes count, too: poll of a pipe looks at whole pages */
int
world_fill (int slot)
{
  int kind = world [slot].kind;

  if (kind == WORLD_EVENTFD)
    return repeat (slot, write_once, 8, 300, POLLOUT);

  if (kind < WORLD_STREAM || kind > WORLD_TCP || !repeat (slot, write_once, 1000, 300, POLLOUT))
    return 0;

  return repeat (slot, write_once, 1, 300, POLLOUT), 1;
}

int
world_drain (int slot)
{
  return repeat (slot, read_once, sizeof (scratch), 300, POLLIN);
}

int
world_shutdown (int slot, int how)
{
  if (world [slot].fd < 0)
    return 0;

  world_sample (slot);
  how = shutdown (world [slot].fd, how % 3);
  world_sample (slot);
  return !how;
}

int
world_reset (int slot)
{
  struct linger abort_it = { 1, 0 };

  if (world [slot].fd < 0 || world [slot].kind != WORLD_TCP)
    return 0;

  setsockopt (world [slot].fd, SOL_SOCKET, SO_LINGER, &abort_it, sizeof (abort_it));
  return world_close (slot);
}

/*****************************************************************************/
/* close means closed */

int
world_sole_peer (int slot)
{
  struct world_slot *s = world + slot;
  int peer;

  if (s->kind != WORLD_STREAM && s->kind != WORLD_SEQPACKET && s->kind != WORLD_PIPE && s->kind != WORLD_TCP)
    return -1;

  peer = s->sibling;
  return peer != slot && world [peer].sibling == slot && world [peer].end != s->end ? peer : -1;
}

/* the end of a TCP stream comes after its data, for which there may be no room: the peer reads */
int
world_peer_saw_close (int peer, int timeout_ms)
{
  struct pollfd p = { world [peer].fd, POLLRDHUP | (world [peer].kind == WORLD_TCP ? POLLIN : 0), 0 };

  while (poll (&p, 1, timeout_ms) == 1)
    {
      if (p.revents & ~POLLIN)
        return 1;

      world_drain (peer);
    }

  return 0;
}
