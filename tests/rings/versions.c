/*
 * Which kernels may have a ring, told from what distributions really say of
 * themselves: uname, and Ubuntu's /proc/version_signature.
 *
 * Copyright (c) 2026 the ev_linuxaio authors
 * SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
 */

#include "rings.h"

static const struct
{
  const char *what, *release, *version, *signature;
  int good;
} kernels [] = {
  /* the version is in uname -r */
  { "Arch"                  , "6.10.10-arch1-1"               , "#1 SMP PREEMPT_DYNAMIC Thu, 12 Sep 2024 17:21:02 +0000", 0, 1 },
  { "Fedora 41"             , "6.11.4-301.fc41.x86_64"        , "#1 SMP PREEMPT_DYNAMIC Sun Oct 20 15:02:33 UTC 2024", 0, 1 },
  { "RHEL 8"                , "4.18.0-553.el8_10.x86_64"      , "#1 SMP Fri May 10 15:19:13 EDT 2024", 0, 0 },
  { "Proxmox VE 8.3"        , "6.8.12-4-pve"                  , "#1 SMP PREEMPT_DYNAMIC PMX 6.8.12-4 (2024-11-06T15:04Z)", 0, 1 },
  { "WSL 2"                 , "5.15.153.1-microsoft-standard-WSL2", "#1 SMP", 0, 1 },
  { "WSL 1"                 , "4.4.0-19041-Microsoft"         , "#1237-Microsoft Sat Sep 11 14:32:00 PST 2021", 0, 0 },
  { "setarch --uname-2.6"   , "2.6.78-fc"                     , "#1 SMP PREEMPT_DYNAMIC", 0, 0 },

  /* Debian: in uname -v */
  { "Debian 13"             , "6.12.31-amd64"                 , "#1 SMP PREEMPT_DYNAMIC Debian 6.12.31-1 (2025-06-02)", 0, 1 },
  { "Debian 11, 5.10.84"    , "5.10.0-10-amd64"               , "#1 SMP Debian 5.10.84-1 (2021-12-08)", 0, 0 },
  { "Debian 11, 5.10.92"    , "5.10.0-11-amd64"               , "#1 SMP Debian 5.10.92-1 (2022-01-18)", 0, 1 },
  { "Debian 11, backport"   , "5.15.0-0.bpo.3-amd64"          , "#1 SMP Debian 5.15.15-2~bpo11+1 (2022-02-03)", 0, 1 },
  { "Debian 11, backport"   , "5.14.0-0.bpo.2-amd64"          , "#1 SMP Debian 5.14.9-2~bpo11+1 (2021-10-10)", 0, 0 },
  { "Debian 10, 4.19.208"   , "4.19.0-18-amd64"               , "#1 SMP Debian 4.19.208-1 (2021-09-29)", 0, 0 },

  /* Ubuntu: at the end of /proc/version_signature */
  { "Ubuntu 24.04"          , "6.8.0-49-generic"              , "#49-Ubuntu SMP PREEMPT_DYNAMIC Mon Nov  4 02:06:24 UTC 2024",
    "Ubuntu 6.8.0-49.49-generic 6.8.12\n", 1 },
  { "Ubuntu 24.04, as released", "6.8.0-31-generic"           , "#31-Ubuntu SMP PREEMPT_DYNAMIC Sat Apr 20 00:40:06 UTC 2024",
    "Ubuntu 6.8.0-31.31-generic 6.8.1\n", 0 },
  { "Ubuntu 24.04, without /proc", "6.8.0-49-generic"         , "#49-Ubuntu SMP PREEMPT_DYNAMIC Mon Nov  4 02:06:24 UTC 2024", 0, 0 },
  { "Ubuntu 22.04 on AWS"   , "6.8.0-1014-aws"                , "#15~22.04.1-Ubuntu SMP Thu Aug  8 23:06:49 UTC 2024",
    "Ubuntu 6.8.0-1014.15~22.04.1-aws 6.8.12\n", 1 },
  { "Ubuntu 20.04"          , "5.4.0-193-generic"             , "#213-Ubuntu SMP Fri Aug 2 19:14:16 UTC 2024",
    "Ubuntu 5.4.0-193.213-generic 5.4.280\n", 1 },
  { "Ubuntu 20.04, 5.4.44"  , "5.4.0-42-generic"              , "#46-Ubuntu SMP Fri Jul 10 00:24:02 UTC 2020",
    "Ubuntu 5.4.0-42.46-generic 5.4.44\n", 0 },

  /* odd texts, and nothing that could be understood */
  { "a large number"        , "4.19.325"                      , "", 0, 1 },
  { "too large a number"    , "4.19.99999999999999999999"     , "", 0, 1 },
  { "large numbers"         , "300.300.300"                   , "", 0, 1 },
  { "a letter before"       , "v6.1.119"                      , "", 0, 1 },
  { "another version first" , "5.10.0"                        , "6.1.0 SMP Debian 5.10.2-1", 0, 0 },
  { "an empty signature"    , "5.15.0-1-generic"              , "", "", 0 },
  { "a signature of one word", "5.15.0-1-generic"             , "", "5.15.160", 0 },
  { "no number at all"      , "unknown"                       , "unknown", "un known", 0 },
  { "nothing"               , ""                              , "", 0, 0 }
};

/* what is not written to the stack says " 9999999" */
static void __attribute__ ((noinline))
soil_stack (void)
{
  volatile char rubbish [8192];

  for (unsigned i = 0; i < sizeof (rubbish); ++i)
    rubbish [i] = i % 8 ? '9' : ' ';
}

/* a new loop wants a ring: it asks for one, or becomes one of the epoll backend (io_setup fails, as rings take long to destroy) */
static int
asks_for_a_ring (void)
{
  stop (crowd [0]);
  loop_with_flags (0, 0);
  fault_arrange (FAULT_io_setup, EAGAIN, 1, 1);
  restart (crowd [0], crowd [0]->io.fd, EV_READ);
  ev_linuxaio_busy_poll (EV_A_ 1e-9);
  soil_stack ();
  poll_once ();
  must (!fault_calls [FAULT_io_setup] == (ev_backend (EV_A) == EVBACKEND_EPOLL));
  return !!fault_calls [FAULT_io_setup];
}

static void
pretend_kernel (const char *release, const char *version, const char *signature)
{
  fault_release   = release;
  fault_version   = version;
  fault_signature = signature;
}

static void
judge (const char *what, const char *release, const char *version, const char *signature, int good)
{
  fault_reset ();
  pretend_kernel (release, version, signature);

  if (good != asks_for_a_ring ())
    give_up (__FILE__, __LINE__, "%s, \"%s\", \"%s\": said to be %s", what, release, version, good ? "bad" : "good");
}

TEST (kernels_of_distributions_are_recognized, COLD | MIXED)
{
  gather (0, 1);

  for (unsigned i = 0; i < sizeof (kernels) / sizeof (kernels [0]); ++i)
    judge (kernels [i].what, kernels [i].release, kernels [i].version, kernels [i].signature, kernels [i].good);
}

/*
 * The last and the first of each range, from the kernel's change logs: 363bee27e258 and
 * 50252e4b5e98 lose no wakeup, caeb4b0a11b3 repairs an oops in io_getevents.
 */
TEST (versions_are_good_or_bad_as_the_change_logs_say, COLD)
{
  static const char *const bad [] = {
    "3.21.254", "4.5.200", "4.14.255", "4.18.254", "4.19.0", "4.19.220", "4.20.221", "5.0.254", "5.3.254", "5.4.0", "5.4.164",
    "5.5.165", "5.9.254", "5.10.0", "5.10.84", "5.11.85", "5.14.254", "5.15.0", "5.15.7", "6.8.0", "6.8.4"
  };
  static const char *const good [] = {
    "4.19.221", "4.19.254", "5.4.165", "5.4.254", "5.10.85", "5.10.254", "5.15.8", "5.15.254", "5.16.0", "5.20.3", "6.0.0",
    "6.1.0", "6.4.164", "6.7.254", "6.8.5", "6.8.254", "6.9.0", "6.15.7", "7.0.0", "7.8.4", "8.0.0"
  };

  gather (0, 1);

  for (unsigned i = 0; i < 21; ++i)
    {
      judge ("mainline", bad [i], "#1 SMP", 0, 0);
      judge ("mainline", good [i], "#1 SMP", 0, 1);
    }
}

TEST (kernel_that_does_not_tell_its_version_is_bad, COLD | MIXED)
{
  gather (0, 1);
  fault_arrange (FAULT_uname, EFAULT, 1, 1);
  must (!asks_for_a_ring ());
}

/* a daemon has closed its standard descriptors; the bell is the next to get that number */
TEST (file_about_the_kernel_may_be_descriptor_0, COLD)
{
  struct stat st;

  pretend_kernel ("6.8.0-49-generic", "", "Ubuntu 6.8.0-49.49-generic 6.8.12\n");
  gather (0, 1);
  close (0);
  enter_rings ();
  must_be (rings (0), ==, 1);
  must (!fstat (0, &st) && !S_ISFIFO (st.st_mode));
}

/* it believes rings to be smaller than they are. many programs are run with libraries of other kinds */
TEST (ring_is_not_for_valgrind, COLD | MIXED)
{
  gather (0, 1);
  setenv ("LD_PRELOAD", "/usr/lib/libjemalloc.so.2", 1);
  must (asks_for_a_ring ());
  setenv ("LD_PRELOAD", "/usr/libexec/valgrind/vgpreload_core-amd64-linux.so:/usr/lib/libjemalloc.so.2", 1);
  fault_reset ();
  must (!asks_for_a_ring ());
}
