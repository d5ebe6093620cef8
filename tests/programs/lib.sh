# shellcheck shell=sh disable=SC2012,SC2034,SC2086
# What the scripts of this folder, and others two folders below the top, share.
#
# A program under test is Debian's own, unchanged. All it gets is an environment:
# LD_LIBRARY_PATH, which names the libev built here, and LIBEV_FLAGS.

set -eu
export LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin
unset LIBEV_FLAGS LIBEV_BUSY_POLL LD_LIBRARY_PATH || :

me=${0##*/}
here=$(cd "${BATS_TEST_DIRNAME:-$(dirname "$0")}" && pwd)
top=$(cd "$here/../.." && pwd)
libdir=${LIBEV_LIB_DIR:-$top/build/inst/lib}
started=
scheme=http
rate=20000

die () { echo "$me: $*" >&2; exit 1; }

need () # program package
{
  command -v "$1" >/dev/null || die "$1 is missing: install Debian's package $2"
}

cleanup ()
{
  for pid in $started; do stop "$pid"; done
  test -z "${tmp-}" || rm -rf "$tmp"
}

leave ()
{
  status=$?
  trap '' INT PIPE TERM HUP
  cleanup
  exit "$status"
}

begin () # makes $tmp; in a script, sees to it that nothing outlives that
{
  test -e "$libdir/libev.so.4" || die "there is no $libdir/libev.so.4: run make first"
  if test -z "${BATS_TEST_DIRNAME-}"; then
    trap leave EXIT
    trap 'exit 130' INT
    trap 'exit 141' PIPE
    trap 'exit 143' TERM HUP
  fi
  tmp=$(mktemp -d "${TMPDIR:-/tmp}/ev_linuxaio.XXXXXX")
  chmod 755 "$tmp" # a server that gives up root reads its files here
}

alive () # pid
{
  case $(sed 's/^.*) \(.\).*$/\1/' "/proc/$1/stat" 2>/dev/null) in
    '' | Z | X) return 1 ;;
  esac
}

dead () { ! alive "$1"; }

until_true () # seconds command...: asks every 50 ms, for so long at most
{
  tries=$(($1 * 20)); shift
  until "$@"; do
    tries=$((tries - 1))
    test "$tries" -gt 0 || return 1
    sleep 0.05
  done
}

# Goes before a command: should its parent be killed, it gets a SIGTERM.
mortal='setpriv --pdeathsig TERM'

start () # log command...: runs it in the background, as $pid
{
  log=$1; shift
  $mortal "$@" </dev/null >"$log" 2>&1 3>&- &
  pid=$!
  started="$started $pid"
}

on_libev () # flags log command...: starts it on the libev under test; gevent has a variable of its own
{
  flags=$1 log=$2; shift 2
  case $flags in 64) backends=linux_aio ;; 68) backends=linux_aio,epoll ;; *) backends=epoll ;; esac
  start "$log" env "LD_LIBRARY_PATH=$libdir" "LIBEV_FLAGS=$flags" \
    GEVENT_LOOP=libev-cext GEVENT_BACKEND=$backends PYTHONDONTWRITEBYTECODE=1 "$@"
}

stop () # pid [signal]
{
  kill -s "${2:-TERM}" "$1" 2>/dev/null || :
  until_true 10 dead "$1" || kill -s KILL "$1" 2>/dev/null || :
  finish "$1" || :
}

finish () # pid: waits for it, returns its exit status
{
  left=
  for p in $started; do test "$p" = "$1" || left="$left $p"; done
  started=$left
  wait "$1" 2>/dev/null
}

# A server is told to listen on port 0: the kernel picks one that is free, so
# that no two tests ever race for one, and /proc tells which.
port_of () # pid: prints the TCP port it listens on, if it does already
{
  inodes=$(ls -l "/proc/$1/fd" 2>/dev/null | sed -n 's/^.*socket:\[\([0-9]*\)\]$/\1/p')
  hex=$(awk -v inodes="$inodes" '
    BEGIN { n = split (inodes, list); for (i = 1; i <= n; ++i) mine [list [i]] = 1 }
    $4 == "0A" && ($10 in mine) { sub (/^.*:/, "", $2); print $2; exit }
  ' "/proc/$1/net/tcp" 2>/dev/null)
  test -n "$hex" && echo $((0x$hex))
}

children () { cat /proc/"$1"/task/*/children 2>/dev/null; } # pid

# A server may be the child of a tracer, of a master process, or of both.
listener () # pid: prints who of it and its descendants listens
{
  if test -n "$(port_of "$1")"; then echo "$1"; return; fi
  for p in $(children "$1"); do
    if listener "$p"; then return; fi
  done
  return 1
}

listener_or_dead () { listener "$1" >/dev/null || dead "$1"; }

wait_server () # pid log: waits until it or a descendant listens, sets $server and $port
{
  until_true 10 listener_or_dead "$1" || :
  server=$(listener "$1") \
    || die "the server $(alive "$1" && echo does not listen || echo has ended): $(tail -n 1 "$2")"
  port=$(port_of "$server")
}

start_nghttpd () # flags, empty for Debian's libev [nghttpd-options...]; $before goes before it. Sets $server, $port
{
  nghttpd_flags=$1; shift
  # shellcheck disable=SC2046
  set -- ${before-} nghttpd --no-tls --address=127.0.0.1 --htdocs="$tmp/www" "$@" 0
  if test -n "$nghttpd_flags"; then on_libev "$nghttpd_flags" "$tmp/log.nghttpd" "$@"; else start "$tmp/log.nghttpd" "$@"; fi
  wait_server "$pid" "$tmp/log.nghttpd"
  test -z "$nghttpd_flags" || loaded "$server" || die "nghttpd did not load $libdir/libev.so.4"
}

make_pem () # a certificate, and its key, in $tmp/pem
{
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost \
    -days 2 -keyout "$tmp/key" -out "$tmp/cert" 2>"$tmp/log.openssl" \
    || die "openssl: $(tail -n 1 "$tmp/log.openssl")"
  cat "$tmp/key" "$tmp/cert" >"$tmp/pem"
}

# The master listens, too, for a moment, before there is a worker, and refuses to let
# that run as root.
start_hitch () # flags backend-port; $before goes before it. Sets $server, the worker, $port, and $hitch, its master
{
  on_libev "$1" "$tmp/log.hitch" ${before-} $mortal hitch --frontend='[127.0.0.1]:0' \
    --backend="[127.0.0.1]:$2" --workers=1 --alpn-protos=h2 \
    $(test "$(id -u)" != 0 || echo --user=nobody) "$tmp/pem"
  until_true 10 grep -q 'Process 0 online' "$tmp/log.hitch" \
    || die "hitch does not start: $(tail -n 1 "$tmp/log.hitch")"
  wait_server "$pid" "$tmp/log.hitch"
  hitch=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$server/status")
  loaded "$server" || die "hitch did not load $libdir/libev.so.4"
}

stop_hitch ()
{
  kill "$hitch" 2>/dev/null || :
  finish "$pid" || :
  until_true 10 dead "$server" || die "hitch's worker does not end"
}

loaded () # pid: whether it runs on the libev under test
{
  grep -qF "$(readlink -f "$libdir/libev.so.4")" "/proc/$1/maps"
}

# Prints: sockets in rings, sockets on epoll, entries of all rings. The kernel lists
# what an epoll fd watches in its fdinfo; the sockets that are not there are in
# rings, if the process has mapped one at all.
places () # pid
{
  {
    ls -l "/proc/$1/fd" || :
    grep -h '^tfd' /proc/"$1"/fdinfo/* || :
    grep -A 1 -F '[aio]' "/proc/$1/smaps" || :
  } 2>/dev/null | awk '
    / socket:\[/ { socket [$9] = 1 }
    /^tfd/       { epoll [$2] = 1 }
    /^Size:/     { entries += $2 * 1024 / 32 - 1 }
    END {
      for (fd in socket)
        if (fd in epoll) ++on_epoll; else ++elsewhere
      print entries ? elsewhere + 0 : 0, on_epoll + 0, entries + 0
    }'
}

# Looks while pid 2 lives, and keeps the sample with the most sockets, and of those the
# one with most in rings, in $in_rings $on_epoll $entries. More sockets "in rings" than
# these have entries are sockets that are accepted and not yet watched: no sample.
peak_while () # pid pid2
{
  in_rings=0 on_epoll=0 entries=0
  while alive "$2"; do
    # shellcheck disable=SC2046
    set -- "$1" "$2" $(places "$1")
    if test "$3" -le "$5" && test $((($3 + $4) * 100000 + $3)) -gt $(((in_rings + on_epoll) * 100000 + in_rings)); then
      in_rings=$3 on_epoll=$4 entries=$5
    fi
    sleep 0.02
  done
}

# Files that differ in every byte; the small ones are what the load asks for.
small="1 100 512 1000 1460 2048 4096 5000 8192 10000"
large="65536 300000 3000000"

make_files () # in $tmp/www
{
  mkdir "$tmp/www"
  for size in $small $large; do
    head -c "$size" /dev/urandom >"$tmp/www/$size"
  done
}

fetch () # port size: prints the content
{
  timeout 60 nghttp "$scheme://127.0.0.1:$1/$2"
}

# Every file is fetched and must be the same to the last byte.
fetch_all () # port
{
  for size in $small $large; do
    fetch "$1" "$size" >"$tmp/got" 2>"$tmp/log.fetch" \
      || die "file of $size bytes: cannot be fetched: $(tail -n 1 "$tmp/log.fetch")"
    cmp -s "$tmp/got" "$tmp/www/$size" || die "file of $size bytes: got other content"
  done
}

# What h2load printed must say that each request got a 200, and that the bodies
# add up to the bytes that were asked for; requests is a multiple of
# 10 x clients, so that every client asks for each of the 10 files as often.
load_is_right () # requests
{
  bytes=0
  for size in $small; do bytes=$((bytes + size)); done
  bytes=$((bytes * $1 / 10))
  for line in \
    "^requests: $1 total, $1 started, $1 done, $1 succeeded, 0 failed, 0 errored, 0 timeout" \
    "^status codes: $1 2xx, 0 3xx, 0 4xx, 0 5xx" \
    "($bytes) data"; do
    grep -q "$line" "$tmp/load" \
      || die "wrong responses: $(grep -hE '^(requests|status codes|traffic):' "$tmp/load" | tr '\n' ' ')"
  done
}

load_args () # requests clients port
{
  echo "-n $1 -c $2$(printf " $scheme://127.0.0.1:$3/%s" $small)"
}

# Loads a server and looks meanwhile where its sockets are, as peak_while does.
# At no more than $rate requests/s, so that it lasts long enough to look often.
under_load () # server requests clients port [h2load-options...]
{
  loaded_server=$1 n=$2
  args="$(load_args "$2" "$3" "$4") --rps=$(((rate + $3 - 1) / $3))"; shift 4
  start "$tmp/load" timeout 120 h2load $args "$@"
  client=$pid
  peak_while "$loaded_server" "$client"
  finish "$client" || die "h2load: $(tail -n 1 "$tmp/load")"
  load_is_right "$n"
}

can_open () # files: whether so many can be open, after raising the limit
{
  limit=$(ulimit -S -n)
  test "$limit" = unlimited || test "$limit" -ge "$1" || ulimit -S -n "$1" 2>/dev/null
}

# What counts system calls, those of children, too; perf does not slow a program by that.
counter () # prints: perf stat, strace, or nothing
{
  if perf stat -e raw_syscalls:sys_enter true >/dev/null 2>&1; then echo perf stat
  elif strace -o /dev/null true 2>/dev/null; then echo strace
  fi
}

counting () # counter file: prints what to put before the command
{
  case $1 in
    perf*) echo "perf stat -x, -o $2$(printf ' -e %s' raw_syscalls:sys_enter syscalls:sys_enter_epoll_ctl \
      syscalls:sys_enter_poll syscalls:sys_enter_io_submit)" ;;
    strace) echo "strace -I 2 -f -c -o $2" ;;
  esac
}

counted () # file [name]: prints how many calls there were, of all or of that name; - if nothing has counted them
{
  awk -F '[, ]+' -v name="${2:-total}" '
    { sub (/^ +/, "") }
    /sys_enter/ { call = $2; sub (/.*sys_enter_*/, "", call); n [call == "" ? "total" : call] = $1 }
    !/sys_enter/ && NF > 4 { n [$NF] = $4 }
    END { print n ["total"] ? n [name] + 0 : "-" }' "$1" 2>/dev/null || echo -
}
