# libev without a backend of that name gets one.

load ../packaging/common

setup_file ()
{
  export TREE=$BATS_FILE_TMPDIR/tree
  patched "$TREE"
  # this copy has a change of its own that needs multiplicity
  sed -i 's/evpipe_alloc *(loop)/evpipe_alloc (EV_A)/' "$TREE/ev.c"
}

setup ()
{
  program=$BATS_TEST_TMPDIR/program
}

# both_ways COMPILER LANGUAGE-OPTIONS...: with and without multiplicity
both_ways ()
{
  quiet "$@" -S -DEV_STANDALONE=1 "$TREE/ev.c"
  quiet "$@" -S -DEV_STANDALONE=1 -DEV_MULTIPLICITY=0 "$TREE/ev.c"
}

@test "get-libev has 4.24, and says so if it does not have a version" {
  dir=$BATS_TEST_TMPDIR/dir
  run "$top/patches/get-libev" "$dir" 4.20
  one_line 1
  [[ $output == *"only 4.33 and 4.24 are known"* && ! -e $dir ]]
  "$top/patches/get-libev" "$dir" 4.24
  grep -q 'EV_VERSION_MINOR 24' "$dir/ev.h"
}

@test "get-libev takes 4.24 from where OLDER_LIBEV_SRC says" {
  pristine "$BATS_TEST_TMPDIR/tree"
  tar -C "$BATS_TEST_TMPDIR" -czf "$BATS_TEST_TMPDIR/tree.tgz" tree
  for OLDER_LIBEV_SRC in "$BATS_TEST_TMPDIR/tree" "$BATS_TEST_TMPDIR/tree.tgz"; do
    rm -rf "$BATS_TEST_TMPDIR/dir"
    OLDER_LIBEV_SRC=$OLDER_LIBEV_SRC LIBEV_SRC=$top "$top/patches/get-libev" "$BATS_TEST_TMPDIR/dir" 4.24
    diff -r "$BATS_TEST_TMPDIR/tree" "$BATS_TEST_TMPDIR/dir"
  done
  OLDER_LIBEV_SRC=$BATS_TEST_TMPDIR/none run "$top/patches/get-libev" "$BATS_TEST_TMPDIR/other" 4.24
  one_line 1
  [[ $output == *"OLDER_LIBEV_SRC: $BATS_TEST_TMPDIR/none does not exist"* ]]
}

@test "the series is for 4.22 to 4.25" {
  for minor in 22 23 25; do
    pristine "$BATS_TEST_TMPDIR/$minor"
    sed -i "s/\(EV_VERSION_MINOR\) 24/\1 $minor/" "$BATS_TEST_TMPDIR/$minor/ev.h"
    run -0 "$top/patches/apply" "$BATS_TEST_TMPDIR/$minor"
    [[ $output == *"patched with libev-4.24"* ]]
  done
}

@test "the series is not for older ones, nor for those that have a backend" {
  pristine "$BATS_TEST_TMPDIR/tree"
  contents "$BATS_TEST_TMPDIR/tree" >"$BATS_TEST_TMPDIR/before"
  for minor in 20 27; do
    sed -i "s/\(EV_VERSION_MINOR\) 24/\1 $minor/" "$BATS_TEST_TMPDIR/tree/ev.h"
    run "$top/patches/apply" "$BATS_TEST_TMPDIR/tree"
    one_line 1
    sed -i "s/\(EV_VERSION_MINOR\) $minor/\1 24/" "$BATS_TEST_TMPDIR/tree/ev.h"
    same "$BATS_TEST_TMPDIR/before" "$BATS_TEST_TMPDIR/tree"
  done
}

@test "ev_wrap.h is what libev's script makes of ev_vars.h" {
  cp -a "$TREE" "$BATS_TEST_TMPDIR/tree"
  cd "$BATS_TEST_TMPDIR/tree"
  sh update_ev_wrap
  diff "$TREE/ev_wrap.h" ev_wrap.h
}

@test "ev.3 has what pod2man makes of the new parts of ev.pod" {
  need pod2man
  pristine "$BATS_TEST_TMPDIR/tree"
  for tree in "$BATS_TEST_TMPDIR/tree" "$TREE"; do
    pod2man -n LIBEV -d date "$tree/ev.pod" "$tree/made.3"
  done
  # only the lines that are new: the old ones are from an older pod2man. A newer one makes no letters smaller
  new () { diff "$BATS_TEST_TMPDIR/tree/$1" "$TREE/$1" | sed -n 's/\\s-\{0,1\}[01]//g; /^>/p'; }
  diff <(new ev.3) <(new made.3)
  [ "$(new ev.3 | wc -l)" -gt 50 ]
}

@test "gcc has nothing to say, as gnu89" { need gcc; both_ways gcc -std=gnu89; }
@test "gcc has nothing to say, as gnu17" { need gcc; both_ways gcc -std=gnu17; }
@test "gcc has nothing to say, as C++"   { need g++; both_ways g++ -x c++; }
@test "gcc has nothing to say, as C++98" { need g++; both_ways g++ -x c++ -std=gnu++98; }
@test "gcc has nothing to say when it optimises" {
  need gcc
  quiet gcc -O3 -DEV_STANDALONE=1 -c "$TREE/ev.c"
}

@test "clang has nothing to say, as C"   { need clang; both_ways clang; }
@test "clang has nothing to say, as C++" { need clang; both_ways clang++ -x c++; }

@test "nor has gcc with EV_THROW called EV_NOEXCEPT, as in 4.25" {
  need gcc
  cp -a "$TREE" "$BATS_TEST_TMPDIR/tree"
  sed -i 's/\<EV_THROW\>/EV_NOEXCEPT/g' "$BATS_TEST_TMPDIR"/tree/ev*.[ch]
  TREE=$BATS_TEST_TMPDIR/tree
  cp "$top/ev_linuxaio.c" "$top/ev_linuxaio.h" "$TREE"
  both_ways gcc
  both_ways g++ -x c++
}

@test "a program that includes ev.c works, with and without multiplicity" {
  works "${CC:-cc}" -O2
  works "${CC:-cc}" -O2 -DEV_MULTIPLICITY=0
}

@test "so it does as C++, small, and with libev's own checks" {
  works "${CC:-cc}" -Os -DEV_FEATURES=0x40 -DEV_ASYNC_ENABLE=1 -DEV_USE_EPOLL=1 -DEV_USE_LINUXAIO=1
  works "${CC:-cc}" -O0 -DEV_VERIFY=3
  need g++
  works g++ -x c++ -O2
}

@test "the backend has its number and has to be asked for" {
  ${CC:-cc} -w -DEV_STANDALONE=1 -I"$TREE" "$TREE/ev.c" "$BATS_TEST_DIRNAME/backends.c" -o "$program" -lm
  run "$program"
  [ "$status" -eq 0 ] || { echo "$output"; false; }
}

@test "without epoll there is no backend, and libev compiles" {
  ${CC:-cc} -w -DEV_STANDALONE=1 -DEV_USE_EPOLL=0 -I"$TREE" -c "$TREE/ev.c" -o "$program.o"
  run -1 grep -q linuxaio <(nm "$program.o")
}

@test "without the kernel's header there is no backend, and libev compiles" {
  echo '#define __has_include(x) 0' >"$program.h"
  ${CC:-cc} -w -DEV_STANDALONE=1 -include "$program.h" -I"$TREE" -c "$TREE/ev.c" -o "$program.o"
  run -1 grep -q linuxaio <(nm "$program.o")
}

# section FILE: what the manual says about the backend
section ()
{
  sed -n '/^=item C<EVBACKEND_LINUXAIO>/,/^=item C<EVBACKEND_KQUEUE>/p' "$1"
}

@test "the manual says about the backend what that of 4.33 says" {
  section "$TREE/ev.pod" >"$BATS_TEST_TMPDIR/section"
  [ "$(wc -l <"$BATS_TEST_TMPDIR/section")" -gt 50 ]
  diff "$BATS_TEST_TMPDIR/section" <(section "$BUILD/libev/ev.pod")
}
