/*
 * init - the first and only program of the system that the tests run in on
 * another kernel: mounts what they expect, runs the commands of /commands one
 * after the other, says how each of them ended and how the kernel feels about
 * it, and switches the machine off.
 *
 * A line of /commands: seconds it may take, a name, then the command. What it
 * prints for others to read begins with RESULT_MARK.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RESULT_MARK "@@ "
#define WORDS_MAX   64

static void
mount_one (const char *type, const char *where, const char *options)
{
  mkdir (where, 0755);

  if (mount (type, where, type, 0, options))
    printf (RESULT_MARK "problem mount %s: %s\n", where, strerror (errno));
}

/* the kernel has found no console in the initramfs, which has no devices */
static void
open_console (void)
{
  int fd = open ("/dev/console", O_RDWR | O_NOCTTY);

  dup2 (fd, 0);
  dup2 (fd, 1);
  dup2 (fd, 2);

  if (fd > 2)
    close (fd);

  setvbuf (stdout, 0, _IOLBF, 0);
}

static void
prepare (void)
{
  const struct rlimit files = { 65536, 524288 };
  struct ifreq ifr;
  int fd;

  mkdir ("/dev", 0755);
  mount ("devtmpfs", "/dev", "devtmpfs", 0, "mode=0755");
  open_console ();
  mount_one ("devpts", "/dev/pts", "ptmxmode=0666");
  mount_one ("tmpfs", "/dev/shm", "mode=1777");
  mount_one ("proc", "/proc", "");
  mount_one ("sysfs", "/sys", "");
  mount_one ("tmpfs", "/tmp", "mode=1777");
  mkdir ("/run", 0755);

  if (setrlimit (RLIMIT_NOFILE, &files))
    printf (RESULT_MARK "problem no descriptors: %s\n", strerror (errno));

  memset (&ifr, 0, sizeof (ifr));
  strcpy (ifr.ifr_name, "lo");
  ifr.ifr_flags = IFF_UP | IFF_RUNNING;
  fd = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

  if (fd < 0 || ioctl (fd, SIOCSIFFLAGS, &ifr))
    printf (RESULT_MARK "problem no loopback interface: %s\n", strerror (errno));

  close (fd);
}

static double
now (void)
{
  struct timespec ts;

  clock_gettime (CLOCK_MONOTONIC, &ts);
  return ts.tv_sec + ts.tv_nsec * 1e-9;
}

/* words NAME=VALUE that come first are its environment */
static void
run (char **words)
{
  sigset_t none;

  sigemptyset (&none);
  sigprocmask (SIG_SETMASK, &none, 0);
  setsid ();

  for (; *words && strchr (*words, '='); ++words)
    putenv (*words);

  if (*words && !chdir ("/tmp"))
    execv (*words, words);

  printf ("%s: %s\n", *words ? *words : "no command", strerror (errno));
  _exit (127);
}

/* waits for the process, and for no longer than that; also buries orphans */
static int
await (pid_t pid, int seconds)
{
  const struct timespec second = { 1, 0 };
  double until = now () + seconds;
  sigset_t child;
  int status;
  pid_t res;

  sigemptyset (&child);
  sigaddset (&child, SIGCHLD);

  for (;;)
    {
      while ((res = waitpid (-1, &status, WNOHANG)) > 0)
        if (res == pid)
          return status;

      if (now () > until)
        return -1;

      sigtimedwait (&child, 0, &second);
    }
}

/* whatever is left of a command must not be in the way of the next one */
static int
kill_all (void)
{
  int left = 0;

  kill (-1, SIGKILL);

  while (waitpid (-1, 0, 0) > 0 || errno == EINTR)
    ++left;

  return left;
}

static void
command (int seconds, const char *name, char **words)
{
  double began = now ();
  int status, left;
  pid_t pid = fork ();

  if (!pid)
    run (words);

  status = await (pid, seconds);
  left = kill_all ();

  if (status == -1)
    printf (RESULT_MARK "command %s killed after %d seconds\n", name, seconds);
  else if (WIFSIGNALED (status))
    printf (RESULT_MARK "command %s signal %d\n", name, WTERMSIG (status));
  else
    printf (RESULT_MARK "command %s exit %d in %.0f s%s\n", name, WEXITSTATUS (status), now () - began,
            left ? ", leaving processes behind" : "");
}

static void
run_all (void)
{
  char line [1024];
  FILE *f = fopen ("/commands", "re");

  while (f && fgets (line, sizeof (line), f))
    {
      char *words [WORDS_MAX + 1];
      int n = 0;

      for (words [0] = strtok (line, " \n"); words [n] && n < WORDS_MAX; )
        words [++n] = strtok (0, " \n");

      words [n] = 0;

      if (n >= 3)
        command (atoi (words [0]), words [1], words + 2);
    }
}

/* what the kernel has logged of its own bugs: all of it, also from while it was starting */
static void
tell_complaints (void)
{
  static const char *const complaints [] = { "WARNING:", "BUG:", "Oops", "stall", "lockup", "hung" };
  int fd = open ("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  char record [8192];
  ssize_t len;
  unsigned i;

  /* EPIPE: older records are gone */
  while ((len = read (fd, record, sizeof (record) - 1)) > 0 || (len < 0 && errno == EPIPE))
    if (len > 0)
      {
        record [len] = 0;
        record [strcspn (record, "\n")] = 0;

        for (i = 0; i < sizeof (complaints) / sizeof (complaints [0]); ++i)
          if (strstr (record, complaints [i]))
            {
              printf ("kernel log: %s\n", record);
              break;
            }
      }

  close (fd);
}

/* prints one line of a file of the kernel */
static void
tell (const char *what, const char *path)
{
  char line [256] = "?\n";
  FILE *f = fopen (path, "re");

  if (f)
    {
      if (!fgets (line, sizeof (line), f))
        strcpy (line, "?\n");

      fclose (f);
    }

  printf (RESULT_MARK "%s %s", what, line);
}

int
main (void)
{
  struct utsname un;
  sigset_t child;

  sigemptyset (&child);
  sigaddset (&child, SIGCHLD);
  sigprocmask (SIG_BLOCK, &child, 0);

  prepare ();
  setenv ("PATH", "/bin", 1);
  setenv ("HOME", "/tmp", 1);
  setenv ("TMPDIR", "/tmp", 1);

  uname (&un);
  printf (RESULT_MARK "kernel %s\n", un.release);
  printf (RESULT_MARK "version %s\n", un.version);
  printf (RESULT_MARK "machine %s, %u-bit, %s-endian, %ldK pages, %ld CPUs\n",
          un.machine, (unsigned)sizeof (long) * 8,
          *(const unsigned char *)&(const int) { 1 } ? "little" : "big",
          sysconf (_SC_PAGESIZE) / 1024, sysconf (_SC_NPROCESSORS_ONLN));
  tell ("tainted before", "/proc/sys/kernel/tainted");
  run_all ();
  tell_complaints ();
  tell ("tainted after", "/proc/sys/kernel/tainted");
  tell ("done", "/proc/uptime");

  sync ();
  reboot (RB_POWER_OFF);

  return 0;
}
