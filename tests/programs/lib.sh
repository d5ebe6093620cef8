# shellcheck shell=bash disable=SC2012,SC2034,SC2046,SC2086
# What the scripts of this folder share.
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
scheme=http
rate=20000

die () { echo "$me: $*" >&2; exit 1; }

cleanup ()
{
  for pid in $(jobs -p); do stop "$pid"; done
  test -z "${tmp-}" || rm -rf "$tmp"
}

begin () # makes $tmp; in a script, sees to it that nothing outlives that
{
  test -e "$libdir/libev.so.4" || die "there is no $libdir/libev.so.4: run make first"
  test -n "${BATS_TEST_DIRNAME-}" || { trap cleanup EXIT; trap 'exit 1' INT PIPE TERM HUP; }
  tmp=$(mktemp -d "${TMPDIR:-/tmp}/ev_linuxaio.XXXXXX")
  chmod 755 "$tmp" # a server that gives up root reads its files here
}

a_number () # of rounds
{
  case $1 in '' | 0* | *[!0-9]*) die "not a number of rounds: $1" ;; esac
}

dead () # pid
{
  case $(sed 's/^.*) \(.\).*$/\1/' "/proc/$1/stat" 2>/dev/null) in
    '' | Z | X) ;;
    *) return 1 ;;
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

# Goes before a command: should its parent be killed, it gets a SIGTERM.
mortal='setpriv --pdeathsig TERM'

# Starts it on the libev under test, as $pid; gevent has a variable of its own.
on_libev () # flags, empty for Debian's libev; log command...
{
  asked=$1 log=$2; shift 2
  case $asked in 64) backends=linux_aio ;; 68) backends=linux_aio,epoll ;; *) backends=epoll ;; esac
  test -z "$asked" || set -- env "LD_LIBRARY_PATH=$libdir" "LIBEV_FLAGS=$asked" \
    GEVENT_LOOP=libev-cext GEVENT_BACKEND=$backends PYTHONDONTWRITEBYTECODE=1 "$@"
  $mortal "$@" </dev/null >"$log" 2>&1 3>&- &
  pid=$!
}

stop () # pid [signal]
{
  kill -s "${2:-TERM}" "$1" 2>/dev/null || :
  until_true 10 dead "$1" || kill -s KILL "$1" 2>/dev/null || :
  wait "$1" 2>/dev/null || :
}

# A server is told to listen on port 0: the kernel picks one that is free, so
# that no two tests ever race for one, and /proc tells which.
port_of () # pid: prints the TCP port it listens on, if it does already
{
  hex=$({ ls -l "/proc/$1/fd" && cat "/proc/$1/net/tcp"; } 2>/dev/null | awk '
    { mine [$NF] = 1 }
    $4 == "0A" && "socket:[" $10 "]" in mine { sub (/^.*:/, "", $2); print $2; exit }')
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

wait_server () # [pid]: waits until what was started listens, or a descendant, which is $server, on $port
{
  program=${1:-$pid}
  until_true 10 listener_or_dead "$program" || :
  server=$(listener "$program") \
    || die "the server $(dead "$program" && echo has ended || echo does not listen): $(tail -n 1 "$log")"
  port=$(port_of "$server")
  test -z "$asked" || loaded "$server" || die "the server did not load $libdir/libev.so.4"
}

loaded () # pid: whether it runs on the libev under test
{
  grep -qF "$(readlink -f "$libdir/libev.so.4")" "/proc/$1/maps"
}

start_nghttpd () # flags [nghttpd-options...]; $before goes before it. Sets $server, $port
{
  nghttpd_flags=$1; shift
  on_libev "$nghttpd_flags" "$tmp/log.nghttpd" ${before-} \
    nghttpd --no-tls --address=127.0.0.1 --htdocs="$tmp/www" "$@" 0
  wait_server
}

make_pem () # a certificate, and its key, in $tmp/pem
{
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost \
    -days 2 -keyout "$tmp/key" -out "$tmp/cert" 2>"$tmp/log.openssl" || die "openssl: $(tail -n 1 "$tmp/log.openssl")"
  cat "$tmp/key" "$tmp/cert" >"$tmp/pem"
}

# The master listens, too, for a moment, before there is a worker, and refuses to let
# that run as root.
start_hitch () # flags backend-port; $before goes before it. Sets $server, the worker, $port, and $hitch, its master
{
  on_libev "$1" "$tmp/log.hitch" ${before-} $mortal hitch --frontend='[127.0.0.1]:0' \
    --backend="[127.0.0.1]:$2" --workers=1 --alpn-protos=h2 \
    $(test "$(id -u)" != 0 || echo --user=nobody) "$tmp/pem"
  until_true 10 grep -qs 'Process 0 online' "$log" || die "hitch does not start: $(tail -n 1 "$log")"
  wait_server
  hitch=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$server/status")
}

stop_server () # nghttpd, or hitch and its worker, and what traces them
{
  kill "${hitch:-$server}" 2>/dev/null || :
  hitch=
  wait "$program" 2>/dev/null || :
  until_true 10 dead "$server" || die "the server does not end"
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
  until dead "$2"; do
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
  for size in $small $large; do head -c "$size" /dev/urandom >"$tmp/www/$size"; done
}

fetch () # port size: prints the content
{
  timeout 60 nghttp "$scheme://127.0.0.1:$1/$2"
}

# Every file is fetched and must be the same to the last byte.
fetch_all () # port
{
  for size in $small $large; do
    fetch "$1" "$size" >"$tmp/got" 2>"$tmp/log.fetch" || die "file of $size bytes: cannot be fetched: $(tail -n 1 "$tmp/log.fetch")"
    cmp -s "$tmp/got" "$tmp/www/$size" || die "file of $size bytes: got other content"
  done
}

# Loads a server. Unless $rate is empty, it looks meanwhile where the sockets are, and asks for no
# more than so many a second, so that it lasts long enough to look often. With $client_flags, h2load is
# on the libev under test, and is looked at itself. Each request must get a 200, and the bodies must
# add up to the bytes that were asked for; requests is a multiple of 10 x clients, so that every
# client asks for each of the 10 files as often.
under_load () # requests clients [h2load-options...]
{
  n=$1 c=$2 bytes=0 limit='timeout 120'; shift 2
  test -z "${client_flags-}" || limit=
  on_libev "${client_flags-}" "$tmp/load" ${pin_load-} $limit h2load -n "$n" -c "$c" \
    ${rate:+--rps=$(((rate + c - 1) / c))} "$@" $(printf "$scheme://127.0.0.1:$port/%s " $small)
  test -z "$rate" || peak_while "$(test -n "$limit" && echo "$server" || echo "$pid")" "$pid"
  wait "$pid" || die "h2load: $(tail -n 1 "$tmp/load")"
  for size in $small; do bytes=$((bytes + size * n / 10)); done
  for text in "^requests: $n total, $n started, $n done, $n succeeded, 0 failed, 0 errored, 0 timeout" \
    "^status codes: $n 2xx, 0 3xx, 0 4xx, 0 5xx" "($bytes) data"; do
    grep -q "$text" "$tmp/load" || die "wrong responses: $(grep -hE '^(requests|status codes|traffic):' "$tmp/load" | tr '\n' ' ')"
  done
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
    perf*) echo "perf stat -x, -o $2 -e raw_syscalls:sys_enter -e syscalls:sys_enter_epoll_ctl -e syscalls:sys_enter_io_submit" ;;
    strace) echo "strace -I 2 -f -c -o $2" ;;
  esac
}

counted () # file requests name...: prints how many calls for a request; - if nothing has counted them
{
  file=$1 n=$2; shift 2
  for name; do
    awk -F '[, ]+' -v name="$name" -v n="$n" '
      { sub (/^ +/, "") }
      /sys_enter/ { call = $2; sub (/.*sys_enter_*/, "", call); calls [call == "" ? "total" : call] = $1 }
      !/sys_enter/ && NF > 4 { calls [$NF] = $4 }
      END { printf ";%s", calls ["total"] ? sprintf (n > 1 ? "%.2f" : "%d", calls [name] / n) : "-" }' "$file" 2>/dev/null || printf ';-'
  done
}
