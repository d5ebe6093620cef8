# What the doctor finds, in pretended hosts.

load ../packaging/common
doctor=$BATS_TEST_DIRNAME/doctor

# a host on which all is well: a file for each thing that the doctor looks at
setup ()
{
  export EV_LINUXAIO_ROOT=$BATS_TEST_TMPDIR/root
  proc=$EV_LINUXAIO_ROOT/proc
  mkdir -p "$proc/sys/kernel" "$proc/sys/fs" "$proc/self" "$EV_LINUXAIO_ROOT/lib"
  put sys/kernel/osrelease 6.1.0-49-amd64
  put sys/kernel/version '#1 SMP Debian 6.1.192-1'
  put sys/fs/aio-nr 0
  put sys/fs/aio-max-nr 65536
  put self/status 'Seccomp:\t0'
  libev 'ev_linuxaio 2.0'
  says ldd '	libev.so.4 => /lib/libev.so.4 (0x00007f0000000000)'
  says perl 0
}

put () { printf "$2\\n" >"$proc/$1"; } # file text

libev () { echo "(libev) epoll_wait $1" >"$EV_LINUXAIO_ROOT/${2:-lib/libev.so.4}"; } # what else is in it [file]

# says COMMAND TEXT: what that prints, from now on
says () { stub "$1" "cat <<END"$'\n'"$2"$'\nEND'; }

# process ENVIRONMENT...: 11, that runs on the backend, without a ring, with a socket on epoll; 12 is another
process ()
{
  mkdir -p "$proc/11/fd" "$proc/11/fdinfo" "$proc/12"
  : >"$proc/12/maps"
  ln -sfn "$EV_LINUXAIO_ROOT" "$proc/11/root"
  put 11/comm server
  used_up 9
  status 7 0
  : >"$proc/11/maps"
  maps /lib/libev.so.4
  environment "$@"
  for fd in 3 4; do ln -s "socket:[$fd]" "$proc/11/fd/$fd"; done
  ln -s 'anon_inode:[eventpoll]' "$proc/11/fd/5"
  put 11/fdinfo/5 'pos:\t0\ntfd:        3 events:       19 data: 3'
}

environment () { printf '%s\0' "$@" >"$proc/11/environ"; }
used_up () { put 11/stat "11 (ser ver) S 1 1 1 0 -1 0 0 0 0 0 $1 8 0 0"; } # ticks
status () { put 11/status "Uid:\t7\t$1\t$1\t$1\nSeccomp:\t$2"; } # effective user, filter
maps () { echo "7f0000000000-7f0000010000 r-xp 00000000 fe:00 1      $1" >>"$proc/11/maps"; }
ring () { echo '7f0000020000-7f0000021000 rw-s 00000000 00:11 2      /[aio] (deleted)' >>"$proc/11/maps"; }

# well ARGUMENTS... -- TEXT...: all is well, and it says so
well () { examine 0 '=> all is well: ' "$@"; }

# ill ADVICE ARGUMENTS... -- TEXT...: something is not, and it says what to do
ill () { examine 1 "=> $1" "${@:2}"; }

examine ()
{
  local wanted=$1 last=$2 arguments=() text; shift 2
  while [ "$1" != -- ]; do arguments+=("$1"); shift; done
  run "$doctor" "${arguments[@]}"
  shift
  for text; do
    [ "$status" -eq "$wanted" ] && [[ ${lines[-1]} == "$last"* ]] && [[ $output == *"$text"* ]] \
      || { echo "not '$text', status $status: $output"; return 1; }
  done
}

@test "a host on which all is well" {
  well -- 'ok    kernel 6.1.0-49-amd64: its AIO is sound' 'ok    AIO: allowed here' \
    'ok    quota fs.aio-max-nr: 0 of 65536 requests used, 65536 left: enough for 1057 small loops or 60' \
    'ok    programs load /lib/libev.so.4: ev_linuxaio 2.0'
}

@test "kernels whose AIO is sound, and those whose is not; Debian and Ubuntu tell elsewhere what it really is" {
  : >"$proc/sys/kernel/version"
  for version in 4.19.221 5.4.165 5.10.85 5.15.8-generic 5.16.0 6.7.12 6.8.5 6.18.44-rt 10.0; do
    put sys/kernel/osrelease $version
    well -- "kernel $version: its AIO is sound"
  done
  for version in 3.10.0-1160.el7 4.4.0 4.18.0-553.el8 4.19.220 5.4.0-1 5.10.84 5.14.0-503.el9 5.15.7 6.8.0 6.8.4; do
    put sys/kernel/osrelease $version
    ill 'use a kernel whose AIO is sound' -- "kernel $version: its AIO loses events or crashes"
  done
  put sys/kernel/osrelease 5.10.0-28-amd64
  put sys/kernel/version '#1 SMP Debian 5.10.262-1 (2026-01-01)'
  well -- 'kernel 5.10.262: its AIO is sound'
  put sys/kernel/version '#1 SMP Debian 5.10.46-4'
  ill 'use a kernel' -- 'kernel 5.10.46: its AIO loses events'
  put sys/kernel/version '#91-Ubuntu SMP'
  put version_signature 'Ubuntu 5.15.0-91.101-generic 5.15.131'
  put sys/kernel/osrelease 5.15.0-91-generic
  well -- 'kernel 5.15.131: its AIO is sound'
}

@test "AIO that is not there, is forbidden, or cannot be tried" {
  for errno in ENOSYS EPERM EACCES; do
    says perl $errno
    ill 'have the sandbox allow io_setup' -- 'AIO: forbidden here; loops'
  done
  put self/status 'Seccomp:\t2'
  ill 'have the sandbox allow' -- 'AIO: forbidden here by a seccomp filter; loops'
  says perl 0
  well -- 'AIO: allowed here, by the seccomp filter, too'
  says perl ''
  well -- 'AIO: cannot tell'
  rm "$proc/sys/fs/aio-max-nr"
  ill 'use a kernel that is built with CONFIG_AIO' -- 'AIO: not in this kernel'
}

@test "a quota that is used up, and who uses it" {
  process
  ring
  put sys/fs/aio-nr 64453
  ill 'raise the quota, as root: sysctl fs.aio-max-nr=262144' -- '64453 of 65536 requests used, 1083 left: a loop can have one ring'
  put sys/fs/aio-nr 65536
  says perl EAGAIN
  ill 'raise the quota' -- '0 left: no loop can make a ring' '11 (server) holds rings, of so many entries, of which the quota counts half: 127'
  put sys/fs/aio-max-nr 500000
  well -- '434464 left: enough for 7007 small loops'
}

@test "the libev that programs load, or that one has inside: with the backend, without, not there" {
  libev ''
  ill 'install the backend' -- 'programs load /lib/libev.so.4: no ev_linuxaio in it; loops run on epoll'
  LIBEV_FLAGS=64 ill 'set LIBEV_FLAGS=68, and install' -- 'with LIBEV_FLAGS=64 it makes no loop at all'
  libev '(libev) linuxaio io_submit'
  ill 'install the backend' -- "libev's own linuxaio, no ev_linuxaio; loops run on that with LIBEV_FLAGS=64 or 68"
  mkdir "$EV_LINUXAIO_ROOT/mine"
  libev 'ev_linuxaio 2.1' mine/libev.so.4
  put self/environ 'A=b\0LD_LIBRARY_PATH=/none:/mine\0'
  says ldd '	libev.so.4 => /mine/libev.so.4 (0x00007f0000000000)'
  well -- 'programs load /mine/libev.so.4 by LD_LIBRARY_PATH=/none:/mine: ev_linuxaio 2.1'
  says ldd '	/mine/libev.so.4 (0x00007f0000000000)'
  put self/environ 'LD_PRELOAD=/mine/libev.so.4\0'
  well -- 'programs load /mine/libev.so.4 by LD_PRELOAD=/mine/libev.so.4: ev_linuxaio 2.1'
  says ldd ''
  ill 'install the backend' -- 'libev: not installed'

  libev 'ev_linuxaio 2.0'
  says server ''
  says ldd '	libev.so.4 => /lib/libev.so.4 (0x00007f0000000000)'
  well server -- 'bin/server loads /lib/libev.so.4: ev_linuxaio 2.0'
  chmod u+s "$BATS_TEST_TMPDIR/bin/server"
  well server -- 'is set-uid: LIBEV_FLAGS and LD_LIBRARY_PATH do nothing for it'
  says ldd ''
  ill 'nothing' server -- 'neither links libev nor has one inside'
  says server '(libev) epoll_wait'
  ill 'install the backend' server -- 'bin/server has a libev of its own: no ev_linuxaio in it'
}

@test "a process with a ring" {
  process A=b LIBEV_FLAGS=68
  ring
  well 11 -- 'process 11 (server)' 'libev: /lib/libev.so.4, ev_linuxaio 2.0' 'LIBEV_FLAGS=68, as it was started' \
    'of which the quota counts half: 127; sockets: 1 in them, 1 on epoll'
  environment LIBEV_FLAGS=64
  well 11 -- 'those on epoll that AIO serves (connected sockets) move at their next event or change'
  environment LIBEV_BUSY_POLL=50
  well 11 -- 'LIBEV_FLAGS is not set: the program asks for AIO itself' 'LIBEV_BUSY_POLL=50'
}

@test "a process without a ring, and why" {
  process LIBEV_FLAGS=68
  well 11 -- 'no ring; sockets on epoll: 1' 'it may choose'
  environment LIBEV_FLAGS=64
  well 11 -- 'a loop makes its first ring after 1000 events'
  status 7 2
  well 11 -- 'connected sockets and pipes; its seccomp filter may forbid it'
  used_up 90
  ill 'have the filter allow' 11 -- 'it has a seccomp filter, has computed for half a second'
  status 0 0
  ill 'none: the program must ask' 11 -- 'its real and its effective user differ'
  status 7 0
  says perl ENOSYS
  ill 'have the sandbox allow' 11 -- 'AIO: forbidden here'
  says perl 0
  put sys/fs/aio-nr 65536
  ill 'raise the quota' 11 -- '0 left: no loop can make a ring'
  put sys/kernel/osrelease 6.8.1
  : >"$proc/sys/kernel/version"
  ill 'use a kernel' 11 -- 'kernel 6.8.1: its AIO'
  maps /usr/libexec/valgrind/vgpreload_core-amd64-linux.so
  ill 'run it without valgrind' 11 -- 'valgrind'
}

@test "a process that was not told to use the backend; a gevent, which takes no LIBEV_FLAGS" {
  process A=b
  ill 'start it with LIBEV_FLAGS=68' 11 -- 'LIBEV_FLAGS is not set'
  for value in 4 0x40 linuxaio; do
    environment LIBEV_FLAGS=$value
    ill 'start it with LIBEV_FLAGS=68' 11 -- "LIBEV_FLAGS=$value: the program was not told"
  done
  environment LIBEV_FLAGS=68
  maps /lib/gevent/libev/corecext.so
  ill 'start it with GEVENT_LOOP=libev-cext GEVENT_BACKEND=linux_aio,epoll' 11 -- 'GEVENT_BACKEND is not set'
  environment GEVENT_BACKEND=linux_aio,epoll
  well 11 -- 'it may choose'
  environment GEVENT_BACKEND=linux_aio
  well 11 -- 'a loop makes its first ring after 1000 events'
}

@test "a process whose libev has no backend, is an own one, was replaced, or that has none" {
  process LIBEV_FLAGS=68
  libev ''
  ill 'if it loads libev.so.4' 11 -- 'libev: /lib/libev.so.4, no ev_linuxaio in it'
  environment LIBEV_FLAGS=68 LD_LIBRARY_PATH=/none:/lib
  ill 'it is loaded by LD_LIBRARY_PATH=/none:/lib: change that' 11 -- 'libev: /lib/libev.so.4 by LD_LIBRARY_PATH=/none:/lib, no'
  environment LIBEV_FLAGS=68 LD_PRELOAD=/none:/lib/libev.so.4
  ill 'it is loaded by LD_PRELOAD=/none:/lib/libev.so.4: change that' 11 -- 'libev: /lib/libev.so.4 by LD_PRELOAD='
  libev 'ev_linuxaio 2.0' 'lib/a b.so'
  maps '/lib/a b.so'
  well 11 -- 'libev: /lib/a b.so, ev_linuxaio 2.0'
  : >"$proc/11/maps"
  ill 'nothing' 11 -- 'libev: none in this process'
  maps '/lib/libev.so.4 (deleted)'
  ill 'restart it' 11 -- 'libev: /lib/libev.so.4 was replaced since the process started'
}

@test "processes of other users are left out, and that is said" {
  process LIBEV_FLAGS=64
  chmod 000 "$proc/11/maps"
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
  [[ $output == *"process 11 (server) is another user's"*'=> run this as root; in a container, with CAP_SYS_PTRACE' ]]
}

@test "called in a wrong way" {
  for call in --help '1 2' 12 no-such-program; do
    run -2 "$doctor" $call
    [[ $output == usage:* || $output == *"no process 12" || $output == *'no program no-such-program' ]]
  done
}
