# make try: a command on LIBEV_FLAGS=4 and 68.

bats_require_minimum_version 1.5.0
top=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
: "${BUILD:=$top/build}"
unset MAKEFLAGS MFLAGS MAKELEVEL

# try MAKE-ARGUMENTS...
try ()
{
  run make -s -C "$top" BUILD="$BUILD" try "$@"
}

# says STATUS TEXT
says ()
{
  [ "$status" -eq "$1" ] && [[ $output == *"$2"* ]] || { echo "status $status: $output"; false; }
}

@test "a command that uses libev is run on both, in turns, and judged" {
  flags=$BATS_TEST_TMPDIR/flags
  try ROUNDS=5 CMD="nghttpd --version; : \$((i = 0)); while test \$i -lt 120000; do : \$((i += 1)); done; echo \$LIBEV_FLAGS >>'$flags'"
  says 0 'LIBEV_FLAGS=4           LIBEV_FLAGS=68'
  says 0 'System calls: perf stat.' || says 0 'System calls: strace.'
  says 0 'of 5 rounds in turns'
  says 0 '=> LIBEV_FLAGS=68: '
  diff <(tail -n 10 "$flags") <(printf '%s\n' 4 68 68 4 4 68 68 4 4 68)
}

@test "too little to tell is said" {
  try ROUNDS=2 CMD='nghttpd --version'
  says 0 '=> too little to tell'
}

@test "a command that fails, or loads no libev" {
  try CMD='nghttpd --version; echo broken; exit 3'
  says 2 'LIBEV_FLAGS=68: exit status 3: broken'
  try CMD=true
  says 2 'the command loads no libev.so.4 from'
  try
  says 2 'usage: make try CMD="your command"'
  try ROUNDS=0 CMD=true
  says 2 'not a number of rounds'
}
