# What the doctor finds, in pretended hosts and in real processes.

bats_require_minimum_version 1.5.0
top=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
doctor=$top/tests/programs/doctor
: "${BUILD:=$top/build}"

# a host on which all is well: a file for each thing that the doctor looks at
setup ()
{
  unset LIBEV_FLAGS LD_LIBRARY_PATH
  export EV_LINUXAIO_ROOT=$BATS_TEST_TMPDIR/root
  proc=$EV_LINUXAIO_ROOT/proc
  mkdir -p "$proc/sys/kernel" "$proc/sys/fs" "$proc/self" "$EV_LINUXAIO_ROOT/lib" "$BATS_TEST_TMPDIR/bin"
  echo 6.1.0-49-amd64 >"$proc/sys/kernel/osrelease"
  echo '#1 SMP Debian 6.1.192-1' >"$proc/sys/kernel/version"
  echo 0 >"$proc/sys/fs/aio-nr"
  echo 65536 >"$proc/sys/fs/aio-max-nr"
  echo 'Seccomp:	0' >"$proc/self/status"
  echo '(libev) epoll_wait ev_linuxaio 2.0' >"$EV_LINUXAIO_ROOT/lib/libev.so.4"
  says ldconfig '	libev.so.4 (libc6,x86-64) => /lib/libev.so.4'
  says perl 0
  PATH=$BATS_TEST_TMPDIR/bin:$PATH
}

# says COMMAND TEXT: what that prints, from now on
says ()
{
  printf '#!/bin/sh\ncat <<END\n%s\nEND\n' "$2" >"$BATS_TEST_TMPDIR/bin/$1"
  chmod +x "$BATS_TEST_TMPDIR/bin/$1"
}

# process PID ENVIRONMENT...: one that runs on the backend, without a ring, with a socket on epoll
process ()
{
  dir=$proc/$1; shift
  mkdir -p "$dir/fd" "$dir/fdinfo"
  ln -sfn "$EV_LINUXAIO_ROOT" "$dir/root"
  echo server >"$dir/comm"
  printf 'Uid:\t7\t7\t7\t7\nSeccomp:\t0\n' >"$dir/status"
  echo '7f0000000000-7f0000010000 r-xp 00000000 fe:00 1      /lib/libev.so.4' >"$dir/maps"
  printf '%s\0' "$@" >"$dir/environ"
  ln -s 'socket:[1]' "$dir/fd/3"
  ln -s 'socket:[2]' "$dir/fd/4"
  ln -s 'anon_inode:[eventpoll]' "$dir/fd/5"
  printf 'pos:\t0\ntfd:        3 events:       19 data: 3\n' >"$dir/fdinfo/5"
}

ring ()
{
  echo '7f0000020000-7f0000021000 rw-s 00000000 00:11 2      /[aio] (deleted)' >>"$dir/maps"
}

# well ARGUMENTS... -- TEXT: all is well, and it says so
well () { examine 0 '=> all is well: ' "$@"; }

# ill ADVICE ARGUMENTS... -- TEXT: something is not, and it says what to do
ill () { examine 1 "=> $1" "${@:2}"; }

examine ()
{
  local wanted=$1 last=$2 arguments=(); shift 2
  while [ "$1" != -- ]; do arguments+=("$1"); shift; done
  run "$doctor" "${arguments[@]}"
  [ "$status" -eq "$wanted" ] && [[ ${lines[-1]} == "$last"* ]] && [[ $output == *"$2"* ]] \
    || { echo "status $status: $output"; return 1; }
}

@test "a host on which all is well" {
  well -- 'ok    kernel 6.1.0-49-amd64: its AIO is sound'
  well -- 'ok    AIO: allowed here'
  well -- 'ok    quota fs.aio-max-nr: 0 of 65536 requests used, 65536 left: enough for 1057 small loops or 60'
  well -- 'ok    programs load /lib/libev.so.4: ev_linuxaio 2.0'
}

@test "kernels whose AIO is sound, and those whose is not" {
  : >"$proc/sys/kernel/version"
  for version in 4.19.221 5.4.165 5.10.85 5.15.8-generic 5.16.0 6.7.12 6.8.5 6.18.44-rt 10.0; do
    echo "$version" >"$proc/sys/kernel/osrelease"
    well -- "kernel $version: its AIO is sound"
  done
  for version in 3.10.0-1160.el7 4.4.0 4.18.0-553.el8 4.19.220 5.4.0-1 5.10.84 5.14.0-503.el9 5.15.7 6.8.0 6.8.4; do
    echo "$version" >"$proc/sys/kernel/osrelease"
    ill 'use a kernel whose AIO is sound' -- "kernel $version: its AIO loses events or crashes"
  done
}

@test "Debian and Ubuntu tell the version it really is elsewhere" {
  echo 5.10.0-28-amd64 >"$proc/sys/kernel/osrelease"
  echo '#1 SMP Debian 5.10.262-1 (2026-01-01)' >"$proc/sys/kernel/version"
  well -- 'kernel 5.10.262: its AIO is sound'
  echo '#1 SMP Debian 5.10.46-4' >"$proc/sys/kernel/version"
  ill 'use a kernel' -- 'kernel 5.10.46: its AIO loses events'
  echo '#91-Ubuntu SMP' >"$proc/sys/kernel/version"
  echo 'Ubuntu 5.15.0-91.101-generic 5.15.131' >"$proc/version_signature"
  echo 5.15.0-91-generic >"$proc/sys/kernel/osrelease"
  well -- 'kernel 5.15.131: its AIO is sound'
}

@test "AIO that is not there, is forbidden, or cannot be tried" {
  for errno in ENOSYS EPERM EACCES; do
    says perl $errno
    ill 'have the sandbox allow io_setup' -- 'AIO: forbidden here; loops'
  done
  echo 'Seccomp:	2' >"$proc/self/status"
  ill 'have the sandbox allow' -- 'AIO: forbidden here by a seccomp filter; loops'
  says perl 0
  well -- 'AIO: allowed here, by the seccomp filter, too'
  says perl ''
  well -- 'AIO: cannot tell'
  rm "$proc/sys/fs/aio-max-nr"
  ill 'use a kernel that is built with CONFIG_AIO' -- 'AIO: not in this kernel'
}

@test "a quota that is used up, and who uses it" {
  process 11 && ring
  echo 64453 >"$proc/sys/fs/aio-nr"
  ill 'raise the quota, as root: sysctl fs.aio-max-nr=262144' -- '64453 of 65536 requests used, 1083 left: a loop can have one ring'
  echo 65536 >"$proc/sys/fs/aio-nr"
  says perl EAGAIN
  ill 'raise the quota' -- '0 left: no loop can make a ring'
  ill 'raise the quota' -- '11 (server) holds rings, of so many entries: 127'
  echo 500000 >"$proc/sys/fs/aio-max-nr"
  well -- '434464 left: enough for 7007 small loops'
}

@test "the libev that programs load has the backend, has not, or is not there" {
  echo '(libev) epoll_wait' >"$EV_LINUXAIO_ROOT/lib/libev.so.4"
  ill 'install the backend' -- 'programs load /lib/libev.so.4: no ev_linuxaio in it; loops run on epoll'
  LIBEV_FLAGS=64 ill 'set LIBEV_FLAGS=68, and install' -- 'with LIBEV_FLAGS=64 it makes no loop at all'
  mkdir "$EV_LINUXAIO_ROOT/mine"
  echo '(libev) epoll_wait ev_linuxaio 2.1' >"$EV_LINUXAIO_ROOT/mine/libev.so.4"
  LD_LIBRARY_PATH=/none:/mine well -- 'programs load /mine/libev.so.4: ev_linuxaio 2.1'
  says ldconfig ''
  ill 'install the backend' -- 'libev: not installed'
}

@test "the libev that one program loads, or has inside" {
  says server ''
  says ldd '	libev.so.4 => /lib/libev.so.4 (0x00007f0000000000)'
  well server -- 'bin/server loads /lib/libev.so.4: ev_linuxaio 2.0'
  chmod u+s "$BATS_TEST_TMPDIR/bin/server"
  well server -- 'is set-uid: LIBEV_FLAGS and LD_LIBRARY_PATH do nothing for it'
  says ldd ''
  ill 'nothing' server -- 'neither links libev nor has one inside'
  says server '(libev) epoll_wait'
  ill 'install the backend' server -- 'bin/server has a libev of its own: no ev_linuxaio in it'
  run -2 "$doctor" no-such-program
  [[ $output == *'no program no-such-program'* ]]
}

@test "a process with a ring" {
  process 11 A=b LIBEV_FLAGS=68 && ring
  well 11 -- 'process 11 (server)'
  well 11 -- 'libev: /lib/libev.so.4, ev_linuxaio 2.0'
  well 11 -- 'LIBEV_FLAGS=68, as it was started'
  well 11 -- 'rings, of so many entries: 127; sockets: 1 in them, 1 on epoll'
  printf 'LIBEV_BUSY_POLL=50\0' >"$dir/environ"
  well 11 -- 'LIBEV_FLAGS is not set: the program asks for AIO itself'
  well 11 -- 'LIBEV_BUSY_POLL=50'
}

@test "a process without a ring, and why" {
  process 11 LIBEV_FLAGS=68
  well 11 -- 'no ring; sockets on epoll: 1'
  well 11 -- 'it may choose'
  printf 'LIBEV_FLAGS=64\0' >"$dir/environ"
  well 11 -- 'a loop makes its first ring after 1000 events'

  printf 'Uid:\t7\t7\t7\t7\nSeccomp:\t2\n' >"$dir/status"
  ill 'have the filter allow' 11 -- 'it has a seccomp filter'
  printf 'Uid:\t7\t0\t0\t0\nSeccomp:\t0\n' >"$dir/status"
  ill 'none: the program must ask' 11 -- 'its real and its effective user differ'
  printf 'Uid:\t7\t7\t7\t7\nSeccomp:\t0\n' >"$dir/status"

  says perl ENOSYS
  ill 'have the sandbox allow' 11 -- 'AIO: forbidden here'
  says perl 0
  echo 65536 >"$proc/sys/fs/aio-nr"
  ill 'raise the quota' 11 -- '0 left: no loop can make a ring'
  echo 6.8.1 >"$proc/sys/kernel/osrelease"
  : >"$proc/sys/kernel/version"
  ill 'use a kernel' 11 -- 'kernel 6.8.1: its AIO'
  echo '7f0000030000-7f0000040000 r-xp 00000000 fe:00 3      /usr/libexec/valgrind/vgpreload_core-amd64-linux.so' >>"$dir/maps"
  ill 'run it without valgrind' 11 -- 'valgrind'
}

@test "a process that was not told to use the backend" {
  process 11 A=b
  ill 'start it with LIBEV_FLAGS=68' 11 -- 'LIBEV_FLAGS is not set'
  for value in 4 0x40 linuxaio; do
    printf 'LIBEV_FLAGS=%s\0' $value >"$dir/environ"
    ill 'start it with LIBEV_FLAGS=68' 11 -- "LIBEV_FLAGS=$value: the program was not told"
  done
}

@test "a gevent, which takes no LIBEV_FLAGS" {
  process 11 LIBEV_FLAGS=68
  echo '7f0000030000-7f0000040000 r-xp 00000000 fe:00 3      /lib/gevent/libev/corecext.so' >>"$dir/maps"
  ill 'start it with GEVENT_LOOP=libev-cext GEVENT_BACKEND=linux_aio,epoll' 11 -- 'GEVENT_BACKEND is not set'
  printf 'GEVENT_BACKEND=linux_aio,epoll\0' >"$dir/environ"
  well 11 -- 'it may choose'
  printf 'GEVENT_BACKEND=linux_aio\0' >"$dir/environ"
  well 11 -- 'a loop makes its first ring after 1000 events'
}

@test "a process whose libev has no backend, is an own one, was replaced, or that has none" {
  process 11 LIBEV_FLAGS=68
  echo '(libev) epoll_wait' >"$EV_LINUXAIO_ROOT/lib/libev.so.4"
  ill 'if it loads libev.so.4' 11 -- 'libev: /lib/libev.so.4, no ev_linuxaio in it'
  echo '(libev) epoll_wait ev_linuxaio 2.0' >"$EV_LINUXAIO_ROOT/lib/a b.so"
  echo '7f0000030000-7f0000040000 r-xp 00000000 fe:00 3      /lib/a b.so' >>"$dir/maps"
  well 11 -- 'libev: /lib/a b.so, ev_linuxaio 2.0'
  echo '7f0000000000-7f0000010000 r-xp 00000000 fe:00 1      /lib/libev.so.4 (deleted)' >"$dir/maps"
  ill 'restart it' 11 -- 'libev: /lib/libev.so.4 was replaced since the process started'
  : >"$dir/maps"
  ill 'nothing' 11 -- 'libev: none in this process'
}

@test "processes of other users are left out, and that is said" {
  process 11 LIBEV_FLAGS=64
  chmod 000 "$dir/maps"
  user=
  if [ "$(id -u)" = 0 ]; then
    user='setpriv --reuid=65534 --regid=65534 --clear-groups'
    chmod 755 "$BATS_RUN_TMPDIR" "$BATS_TEST_TMPDIR"
    cp "$doctor" "$BATS_TEST_TMPDIR/doctor"
    doctor=$BATS_TEST_TMPDIR/doctor
  fi
  run -0 $user "$doctor"
  [[ $output == *'1 processes of other users not looked at'* ]]
  run -1 $user "$doctor" 11
  [[ $output == *"process 11 (server) is another user's"*'=> run this as root' ]]
}

@test "called in a wrong way" {
  run -2 "$doctor" --help
  [[ $output == usage:* ]]
  run -2 "$doctor" 1 2
  run -2 "$doctor" 12
  [[ $output == *'no process 12' ]]
}

# a real process
@test "this host, and real processes on it" {
  unset EV_LINUXAIO_ROOT
  PATH=${PATH#*:}
  LD_LIBRARY_PATH=$BUILD/inst/lib run "$doctor"
  [[ $output == *"programs load $BUILD/inst/lib/libev.so.4: ev_linuxaio "[0-9]* ]] || { echo "$output"; false; }

  cat >"$BATS_TEST_TMPDIR/loop.c" <<'END'
#include <unistd.h>
#include <ev_linuxaio.h>
static void got (struct ev_loop *loop, ev_io *w, int revents) { (void)loop; (void)w; (void)revents; }
int main (void)
{
  int fds [2];
  ev_io w;
  struct ev_loop *loop = ev_default_loop (0);
  if (pipe (fds))
    return 1;
  ev_io_init (&w, got, fds [0], EV_READ);
  ev_io_start (loop, &w);
  ev_linuxaio_busy_poll (loop, 1e-9);
  ev_run (loop, EVRUN_NOWAIT);
  if (write (1, "\n", 1) != 1)
    return 1;
  ev_run (loop, 0);
  return 0;
}
END
  ${CC:-cc} "$BATS_TEST_TMPDIR/loop.c" -o "$BATS_TEST_TMPDIR/loop" -I"$BUILD/inst/include" -L"$BUILD/inst/lib" -lev
  for flags in 4 64 68; do
    exec 8< <(LD_LIBRARY_PATH=$BUILD/inst/lib LIBEV_FLAGS=$flags exec "$BATS_TEST_TMPDIR/loop")
    pid=$!
    read -r <&8
    run "$doctor" $pid
    kill $pid
    [[ $output == *"libev: $BUILD/inst/lib/libev.so.4"*", ev_linuxaio "[0-9]*"LIBEV_FLAGS=$flags"* ]] || { echo "$output"; false; }
    case $flags in
      4) [ "$status" -eq 1 ] && [[ ${lines[-1]} == '=> start it with LIBEV_FLAGS=68' ]] ;;
      *) [ "$status" -eq 0 ] && [[ $output == *'rings, of so many entries: '* ]] ;;
    esac || { echo "status $status: $output"; false; }
  done
}

@test "the AIO calls are really tried, and what forbids them is noticed" {
  unset EV_LINUXAIO_ROOT
  PATH=${PATH#*:}
  LD_LIBRARY_PATH=$BUILD/inst/lib run "$doctor"
  [[ $output == *'AIO: allowed here'* ]] || { echo "$output"; false; }
  run strace -f -o /dev/null -e trace=io_setup -e inject=io_setup:error=EPERM "$doctor"
  [ "$status" -eq 1 ] && [[ $output == *'AIO: forbidden here'* ]] || { echo "$output"; false; }
}
