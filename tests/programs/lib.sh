# shellcheck shell=sh disable=SC2012,SC2034,SC2086
# What the scripts of this folder share: sourced by each as its first step.
#
# A program under test is Debian's own, unchanged; all it gets is an
# environment: LD_LIBRARY_PATH naming the libev built here and LIBEV_FLAGS.

set -eu
LC_ALL=C
export LC_ALL
PATH=$PATH:/usr/sbin:/sbin
unset LIBEV_FLAGS LD_LIBRARY_PATH || :

me=${0##*/}
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
libdir=${LIBEV_LIB_DIR:-$top/build/inst/lib}
eager_libdir=${LIBEV_EAGER_DIR:-$top/build/real-programs/eager/lib}
started=
scheme=http
rate=20000

die ()
{
  echo "$me: $*" >&2
  exit 1
}

need () # program package
{
  command -v "$1" >/dev/null || die "$1 is missing: install Debian's package $2"
}

cleanup ()
{
  status=$?
  trap '' INT PIPE TERM HUP
  for pid in $started; do stop "$pid"; done
  test -z "${tmp-}" || rm -rf "$tmp"
  exit "$status"
}

begin () # makes $tmp, and sees to it that nothing outlives this script
{
  test -e "$libdir/libev.so.4" || die "there is no $libdir/libev.so.4: run make first"
  need setpriv util-linux
  trap cleanup EXIT
  trap 'exit 130' INT
  trap 'exit 141' PIPE
  trap 'exit 143' TERM HUP
  tmp=$(mktemp -d "${TMPDIR:-/tmp}/ev_linuxaio.XXXXXX")
  chmod 755 "$tmp" # a server that gives up root reads its files here
}

# A loop of the installed library makes a ring when it gains from one. Programs
# that do not are started on another build: a ring from 32 watched fds on, for good.
use_eager ()
{
  libdir=$eager_libdir
  test -e "$libdir/libev.so.4" || die "there is no $libdir/libev.so.4: run make eager-libev first"
}

alive () # pid
{
  case $(sed 's/^.*) \(.\).*$/\1/' "/proc/$1/stat" 2>/dev/null) in
    '' | Z | X) return 1 ;;
  esac
}

until_true () # seconds command...: asks every 50 ms, for so long at most
{
  tries=$(($1 * 20)); shift
  until "$@"; do
    tries=$((tries - 1))
    test "$tries" -gt 0 || return 1
    sleep 0.05
  done
}

dead () { ! alive "$1"; }

# Goes before a command: should its parent be killed, it gets a SIGTERM.
mortal='setpriv --pdeathsig TERM'

start () # log command...: runs it in the background, as $pid
{
  log=$1; shift
  $mortal "$@" </dev/null >"$log" 2>&1 &
  pid=$!
  started="$started $pid"
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

children () # pid
{
  cat /proc/"$1"/task/*/children 2>/dev/null
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

listening () { test -n "$(port_of "$1")"; }

# A server may be the child of a tracer, of a master process, or of both.
listener () # pid: prints who of it and its descendants listens
{
  if listening "$1"; then echo "$1"; return; fi
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

on_libev () # flags log command...: starts it on the libev under test
{
  flags=$1 log=$2; shift 2
  start "$log" env "LD_LIBRARY_PATH=$libdir" "LIBEV_FLAGS=$flags" "$@"
}

make_pem () # a certificate, and its key, in $tmp/pem
{
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost \
    -days 2 -keyout "$tmp/key" -out "$tmp/cert" 2>"$tmp/openssl.log" \
    || die "openssl: $(tail -n 1 "$tmp/openssl.log")"
  cat "$tmp/key" "$tmp/cert" >"$tmp/pem"
}

# Sets $server, the worker, and $hitch, its master. The master listens, too, for a
# moment, before there is a worker; and it refuses to let that run as root.
start_hitch () # flags log backend-port [command...], which is to start it
{
  hitch_flags=$1 hitch_log=$2 backend_port=$3; shift 3
  on_libev "$hitch_flags" "$hitch_log" "$@" $mortal hitch --frontend='[127.0.0.1]:0' \
    --backend="[127.0.0.1]:$backend_port" --workers=1 --alpn-protos=h2 \
    $(test "$(id -u)" != 0 || echo --user=nobody) "$tmp/pem"
  until_true 10 grep -q 'Process 0 online' "$hitch_log" \
    || die "hitch does not start: $(tail -n 1 "$hitch_log")"
  wait_server "$pid" "$hitch_log"
  hitch=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$server/status")
}

stop_hitch ()
{
  stop "$hitch"
  until_true 10 dead "$server" || die "hitch's worker does not end"
}

loaded () # pid: whether it runs on the libev under test
{
  grep -qF "$(readlink -f "$libdir/libev.so.4")" "/proc/$1/maps"
}

# Prints: sockets in the ring, sockets on epoll, ring entries, 0 without ring.
# The kernel lists what an epoll fd watches in its fdinfo; the sockets that are
# not there are the ring's, if the process has one mapped at all.
places () # pid
{
  {
    ls -l "/proc/$1/fd" || :
    grep -h '^tfd' /proc/"$1"/fdinfo/* || :
    grep -A 1 -F '[aio]' "/proc/$1/smaps" || :
  } 2>/dev/null | awk '
    / socket:\[/ { socket [$9] = 1 }
    /^tfd/       { epoll [$2] = 1 }
    /^Size:/     { e = $2 * 1024 / 32 - 1; if (e > entries) entries = e }
    END {
      for (fd in socket)
        if (fd in epoll) ++on_epoll; else ++elsewhere
      print entries ? elsewhere + 0 : 0, on_epoll + 0, entries + 0
    }'
}

# Keeps the sample with the most sockets, and of those the one with most in the
# ring, while pid 2 lives: sets $in_ring $on_epoll $entries. A sample with more
# sockets "in the ring" than it has entries is of a server that has accepted them
# and not yet registered any: it says nothing.
peak_while () # pid pid2
{
  in_ring=0 on_epoll=0 entries=0
  while alive "$2"; do
    # shellcheck disable=SC2046
    set -- "$1" "$2" $(places "$1")
    if test "$3" -le "$5" && test $((($3 + $4) * 10000 + $3)) -gt $(((in_ring + on_epoll) * 10000 + in_ring)); then
      in_ring=$3 on_epoll=$4 entries=$5
    fi
    sleep 0.02
  done
}

# Files that differ in every byte; the small ones are what the load asks for.
small="1 100 512 1000 1460 2048 4096 5000 8192 10000"
large="65536 300000 3000000"

make_files () # directory
{
  mkdir "$1"
  for size in $small $large; do
    head -c "$size" /dev/urandom >"$1/$size"
  done
}

urls () # port sizes...
{
  url=$scheme://127.0.0.1:$1/; shift
  for size; do printf '%s%s ' "$url" "$size"; done
}

fetch () # port size: prints the content
{
  timeout 60 nghttp "$scheme://127.0.0.1:$1/$2"
}

# Every file is fetched and must be the same to the last byte.
fetch_all () # port
{
  for size in $small $large; do
    fetch "$1" "$size" >"$tmp/got" 2>"$tmp/fetch.log" \
      || die "file of $size bytes: cannot be fetched: $(tail -n 1 "$tmp/fetch.log")"
    cmp -s "$tmp/got" "$tmp/www/$size" || die "file of $size bytes: got other content"
  done
}

# What h2load printed must say that each request got a 200, and that the bodies
# add up to the bytes that were asked for; requests is a multiple of
# 10 x clients, so that every client asks for each of the 10 files as often.
load_is_right () # requests log
{
  bytes=0
  for size in $small; do bytes=$((bytes + size)); done
  bytes=$((bytes * $1 / 10))
  for line in \
    "^requests: $1 total, $1 started, $1 done, $1 succeeded, 0 failed, 0 errored, 0 timeout" \
    "^status codes: $1 2xx, 0 3xx, 0 4xx, 0 5xx" \
    "($bytes) data"; do
    grep -q "$line" "$2" \
      || die "wrong responses: $(grep -hE '^(requests|status codes|traffic):' "$2" | tr '\n' ' ')"
  done
}

load_args () # requests clients port
{
  # shellcheck disable=SC2086
  echo "-n $1 -c $2 $(urls "$3" $small)"
}

# Loads a server and looks meanwhile where its sockets are, as peak_while does.
# At no more than $rate requests/s, so that it lasts long enough to look often.
under_load () # server requests clients port [h2load-options...]
{
  loaded_server=$1 n=$2
  args="$(load_args "$2" "$3" "$4") --rps=$(((rate + $3 - 1) / $3))"; shift 4
  # shellcheck disable=SC2086
  start "$tmp/load" timeout 120 h2load $args "$@"
  client=$pid
  peak_while "$loaded_server" "$client"
  finish "$client" || die "h2load: $(tail -n 1 "$tmp/load")"
  load_is_right "$n" "$tmp/load"
}

in_the_ring () # number: fails unless that many sockets were there at the peak
{
  test "$in_ring" -ge "$1" || die "the ring was not used: $in_ring sockets in it," \
    "$on_epoll on epoll, $entries entries"
}

no_ring () # pid: fails if it has made one; what is made stays until the loop is destroyed
{
  made=$(places "$1")
  test "$entries,${made##* }" = 0,0 || die "a ring of ${made##* } entries was made"
}

# Of write interest that comes and goes, its loop must have asked with poll, rather
# than tell epoll twice, or four times in a proxy, for each request.
asked_rather_than_told () # program requests file, which strace has written
{
  asked=$(grep -c ' p*poll(' "$3") || :
  changed=$(grep -c ' epoll_ctl(' "$3") || :
  test "$asked" -ge 100 || die "the loop of $1 asked only $asked times"
  test "$changed" -le $(($2 / 2)) || die "the loop of $1 called epoll_ctl $changed times for $2 requests"
  echo "$1, no ring: it asked $asked times, and called epoll_ctl $changed times for $2 requests"
}

can_open () # files: whether so many can be open, after raising the limit
{
  limit=$(ulimit -S -n)
  test "$limit" = unlimited || test "$limit" -ge "$1" || ulimit -S -n "$1" 2>/dev/null
}
