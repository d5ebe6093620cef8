# Debian's programs, unmodified, on the libev built here: with LIBEV_FLAGS=64 their
# sockets are in rings, with 68 wherever the backend likes them. All answers are right.

bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.sh"
set +u # bats is not made for it

setup_file ()
{
  export WWW=$BATS_FILE_TMPDIR/www
  tmp=$BATS_FILE_TMPDIR
  chmod 755 "$BATS_RUN_TMPDIR" "$tmp"
  make_files
  # a host that has no AIO for us gives no rings; all else is to be as everywhere
  export AIO
  AIO=$("$here/doctor" | grep -cE '^ok    (kernel|AIO|quota)' || :)
}

setup ()
{
  begin
  ln -s "$WWW" "$tmp/www"
}

teardown ()
{
  cleanup
}

aio_or_skip () { [ "$AIO" = 3 ] || skip "no AIO on this host"; }

in_the_rings () # number: with 64, fails unless that many sockets were there at the peak
{
  if [ "$AIO" != 3 ]; then
    test "$in_rings" = 0 || die "$in_rings sockets in rings, and the doctor says there can be none"
  elif [ "$flags" = 64 ]; then
    test "$in_rings" -ge "$1" || die "only $in_rings sockets in rings, $on_epoll on epoll, $entries entries"
  fi
}

take () # clients requests [h2load-options...]: $server serves them, and every file
{
  clients=$1 requests=$2; shift 2
  under_load "$requests" "$clients" "$@"
  test $((in_rings + on_epoll)) -ge "$clients" || die "only $in_rings sockets in rings and $on_epoll on epoll were seen"
  fetch_all "$port"
}

@test "nghttpd: 100 connections, 1000, 10,000 with 64, then 100 again" {
  can_open () { test "$(ulimit -S -n)" = unlimited || test "$(ulimit -S -n)" -ge "$1" || ulimit -S -n "$1"; }
  for flags in 64 68; do
    for workers in 1 2; do
      start_nghttpd $flags --workers=$workers
      take 100 10000
      in_the_rings 100
      stop_server
    done
  done
  can_open 10300 || skip "ulimit -n does not go to 10300"
  for flags in 64 68; do
    start_nghttpd $flags
    for clients in 1000 $(test $flags != 64 || echo 10000) 100; do
      take $clients $((clients < 5000 ? 20000 : 100000))
      in_the_rings $clients
    done
    stop_server
  done
}

@test "h2load, a client: connecting sockets, that are written to first" {
  start_nghttpd ''
  rate=2000
  for flags in 64 68; do
    client_flags=$flags
    for option in --threads=1 --threads=2 --max-concurrent-streams=10; do
      under_load 10000 100 $option
      in_the_rings 100
    done
  done
}

@test "hitch, a TLS proxy: two sockets for each connection" {
  start_nghttpd 64
  backend=$server backend_port=$port
  make_pem
  scheme=https
  for flags in 64 68; do
    start_hitch $flags "$backend_port"
    take 100 10000
    in_the_rings 200
    stop_server
  done
  ! dead "$backend"
}

@test "multiwatch keeps nghttpd alive: signals, children, a fork from a loop" {
  for flags in 64 68; do
    on_libev $flags "$tmp/log" multiwatch --forks=1 --retry=10 --signal=TERM -- \
      "$(command -v nghttpd)" --no-tls --address=127.0.0.1 --htdocs="$tmp/www" 0
    multiwatch=$pid last=
    for life in first second third; do
      wait_server "$multiwatch"
      test "$server" != "$last"
      take 100 10000
      in_the_rings 100
      last=$server
      kill -s KILL "$server"
      until_true 10 dead "$server"
    done
    loaded "$multiwatch"
    wait_server "$multiwatch"
    stop "$multiwatch"
    until_true 10 dead "$server" || die "multiwatch left its child behind"
  done
}

# Debian's package starts a service, so it is not installed.
@test "nghttpx, a proxy from a Unix domain socket: threads, and a fork of a running loop" {
  cd "$tmp"
  apt-get download nghttp2-proxy >log 2>&1 || skip "$(tail -n 1 log)"
  dpkg-deb -x nghttp2-proxy*.deb .
  cd "$here"
  fetch () { timeout 60 curl -sS --http2-prior-knowledge --unix-socket "$tmp/socket" "http://localhost/$2"; }
  another_worker () { for p in $(children "$nghttpx"); do server=$p; done; test -n "$server" && test "$server" != "$last" && ! dead "$server"; }
  : >"$tmp/conf"
  start_nghttpd ''
  for flags in 64 68; do
    on_libev $flags "$tmp/log" "$tmp/usr/sbin/nghttpx" --conf="$tmp/conf" --frontend="unix:$tmp/socket;no-tls" --workers=2 \
      --backend="127.0.0.1,$port;;proto=h2" --accesslog-file=/dev/null
    nghttpx=$pid last='' server=
    until_true 10 test -S "$tmp/socket" || die "nghttpx does not listen: $(tail -n 1 "$tmp/log")"
    for text in 'two workers' 'configuration loaded anew'; do
      until_true 10 another_worker || die "nghttpx has no worker, $text: $(tail -n 1 "$tmp/log")"
      last=$server
      loaded "$server"
      take 100 10000 --base-uri="unix:$tmp/socket"
      in_the_rings 100
      kill -s HUP "$nghttpx"
    done
    stop "$nghttpx" KILL
    rm -f "$tmp/socket"
  done
}

@test "gevent: coroutines that start, wait and stop for every event" {
  for flags in 4 64 68; do
    on_libev $flags "$tmp/log" env AIO="$AIO" timeout 120 /usr/bin/python3 "$here/gevent_program.py"
    wait "$pid" || { cat "$tmp/log"; die "gevent on $flags"; }
  done
}

@test "Perl's EV, built with the backend in its copy of libev: its own tests say the same" {
  version=$(apt-cache madison libev-perl 2>/dev/null | awk 'NR == 1 { print $3 }' | sed 's/-[^-]*$//')
  tarball=${PERL_EV_SRC:-$top/build/libev-perl_$version.orig.tar.gz}
  if [ -z "$PERL_EV_SRC" ]; then
    run "$top/patches/get-source" libev-perl "${tarball##*/}" - "${tarball%/*}"
    [[ $status = 0 ]] || { [[ $output = *'package sources have no'* ]] && skip "$output"; }
  fi
  mkdir "$tmp/ev"
  tar -xf "$tarball" --strip-components=1 --no-same-owner -C "$tmp/ev"
  "$top/patches/apply" "$tmp/ev/libev"
  cd "$tmp/ev"
  env PERL_CANARY_STABILITY_DISABLE=1 PERL_MM_USE_DEFAULT=1 EV_EXTRA_DEFS=-DEV_NO_ATFORK \
    timeout 300 sh -c '/usr/bin/perl Makefile.PL && make' >"$tmp/log" 2>&1 || die "EV does not build: $(tail -n 1 "$tmp/log")"
  # with LIBEV_BUSY_POLL there is a ring from the first poll on. These tests wait for timers most of the time
  declare -A pids
  for flags in 4 64 68 '64 LIBEV_BUSY_POLL=1'; do
    on_libev '' "$tmp/log.$flags" env LIBEV_FLAGS=$flags timeout 300 /usr/bin/prove -b -v t
    pids[$flags]=$pid
  done
  for flags in 4 64 68 '64 LIBEV_BUSY_POLL=1'; do
    wait "${pids[$flags]}" || die "LIBEV_FLAGS=$flags: $(grep -m 1 '^not ok' "$tmp/log.$flags")"
    # what the tests say, without the times that some add to it
    grep -E '^(t/|ok|[0-9]+\.\.[0-9]+$|Result)' "$tmp/log.$flags" | sed 's/ *#.*//' >"$tmp/$flags"
    cmp "$tmp/4" "$tmp/$flags"
    ring=$(env LIBEV_FLAGS=$flags /usr/bin/perl -Mblib -MEV -e 'pipe my $r, my $w; my $io = EV::io $r, EV::READ, sub { };
      EV::run EV::RUN_NOWAIT for 1 .. 3; open my $maps, "<", "/proc/self/maps"; print EV::backend, " ", scalar grep /\[aio\]/, <$maps>' 2>/dev/null)
    case $AIO,$flags in
      *,4) test "$ring" = '4 0' ;;
      3,*BUSY*) test "$ring" = '64 1' ;;
      3,*) test "$ring" = '64 0' ;;
    esac || die "LIBEV_FLAGS=$flags: backend, rings: $ring"
  done
}

aio=io_setup,io_destroy,io_submit,io_cancel

injected () # text rings clients inject...: it goes on, with rings or none, whatever strace makes fail; $start says what
{
  text=$1 rings=$2 list=$3; shift 3
  before="strace -I 2 -f --seccomp-bpf -o $tmp/calls -e trace=$aio $(printf -- '-e inject=%s ' "$@") $mortal"
  ${start:-start_nghttpd 64}
  for clients in $list; do
    under_load 8000 "$clients"
    fetch_all "$port"
  done
  ! dead "$server" || die "$text: the server died: $(tail -qn 1 "$tmp"/log.*)"
  stop_server
  grep -q INJECTED "$tmp/calls" || die "$text: nothing was injected"
  ! grep -q 'io_setup(.*) = 0' "$tmp/calls" || test "$rings" = any || die "$text: there is a ring"
  test "$rings" = none || grep -q 'io_submit(.*) = [1-9]' "$tmp/calls" || die "$text: no ring was ever used"
}

@test "AIO is forbidden, not in the kernel, or there is no quota or memory for it: nghttpd is on epoll" {
  injected 'not in the kernel' none 100 "$aio:error=ENOSYS"
  injected 'forbidden' none 100 "$aio:error=EPERM"
  injected 'no quota' none 100 io_setup:error=EAGAIN
  injected 'no memory' none 100 io_setup:error=ENOMEM
}

@test "AIO is taken away from nghttpd, or fails now and then" {
  aio_or_skip
  injected 'all forbidden' any '100 400 100' io_setup:error=EPERM:when=2+ io_submit,io_cancel,io_destroy:error=EPERM:when=20+
  injected 'all gone' any '100 400 100' io_setup:error=ENOSYS:when=2+ io_submit,io_cancel,io_destroy:error=ENOSYS:when=20+
  injected 'io_submit forbidden' any '100 400 100' io_submit:error=EPERM:when=40+
  injected 'rings are full' any '100 400 100' io_submit:error=EAGAIN:when=10+3
  injected 'no memory for requests' any '100 400 100' io_submit:error=ENOMEM:when=10+3
  injected 'interrupted' any '100 400 100' io_submit,io_cancel:error=EINTR:when=2+2
}

# nghttpd hardly ever stops a watcher that is armed. hitch does, of the one socket when the other ends.
# (That what is closed is closed at once cannot be had without io_cancel.)
@test "io_cancel is forbidden: hitch goes on" {
  aio_or_skip
  start_nghttpd ''
  start="start_hitch 64 $port" scheme=https
  make_pem
  injected 'io_cancel forbidden' any '100 400 100' io_cancel:error=EPERM
}

try () { run env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s -C "$top" BUILD="${BUILD:-$top/build}" try "$@"; } # MAKE-ARGUMENTS...

says () # status text...
{
  [ "$status" -eq "$1" ] || { echo "status $status: $output"; return 1; }
  for text in "${@:2}"; do [[ $output == *"$text"* ]] || { echo "not '$text': $output"; return 1; }; done
}

@test "make try: a command that uses libev is run on both, in turns, and judged" {
  try ROUNDS=5 CMD="nghttpd --version; : \$((i = 0)); while test \$i -lt 120000; do : \$((i += 1)); done; echo \$LIBEV_FLAGS >>'$tmp/flags'"
  says 0 'LIBEV_FLAGS=4           LIBEV_FLAGS=68' 'of 5 rounds in turns' '=> LIBEV_FLAGS=68: '
  says 0 'System calls: perf stat.' || says 0 'System calls: strace.'
  diff <(tail -n 10 "$tmp/flags") <(printf '%s\n' 4 68 68 4 4 68 68 4 4 68)
  try ROUNDS=2 CMD='nghttpd --version'
  says 0 '=> too little to tell'
}

@test "make try: a command that fails, or loads no libev" {
  try CMD='nghttpd --version; echo broken; exit 3'
  says 2 'LIBEV_FLAGS=68: exit status 3: broken'
  try CMD=true
  says 2 'the command loads no libev.so.4 from'
  try
  says 2 'usage: make try CMD="your command"'
  try ROUNDS=0 CMD=true
  says 2 'not a number of rounds'
}
