# what the tests of this folder share

bats_require_minimum_version 1.5.0

top=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
: "${LIBEV_VERSION:=4.33}"
series=$top/patches/libev-$LIBEV_VERSION
: "${BUILD:=$top/build}"

# the make that runs the tests is not to guide those that are run by them
unset MAKEFLAGS MFLAGS MAKELEVEL
export LC_ALL=C

# pristine DIR [VERSION]: a new pristine tree of libev
pristine ()
{
  local libev=$BATS_FILE_TMPDIR/libev-${2:-$LIBEV_VERSION}
  [ -d "$libev" ] || "$top/patches/get-libev" "$libev" "${2:-$LIBEV_VERSION}"
  cp -a "$libev" "$1"
}

# patched DIR: a new tree with the backend, put there by patches/apply
patched ()
{
  pristine "$1"
  "$top/patches/apply" "$1"
}

# copy DIR: a copy of all that make needs, and of what it has made
copy ()
{
  mkdir -p "$1/build"
  (cd "$top" && cp -a --parents Makefile ev_linuxaio.[ch] patches tests/lib/programs.mk tests/programs/doctor tests/setup/install-packages "$1")
  cp -a "$BUILD/libev" "$BUILD/inst" "$BUILD/log" "$1/build"
  find "$BUILD" -maxdepth 1 -type f -exec cp -a {} "$1/build" \;
}

# contents DIR: everything about the files of a tree that matters
contents ()
{
  (cd "$1" && find . -name .git -prune -o -name .pc -prune -o -type f -printf '%p %m\n' -exec sha256sum {} \; | sort)
}

# same FILE DIR: the tree has the contents that were saved in FILE
same ()
{
  contents "$2" | diff "$1" -
}

# names: the patches, in order
names ()
{
  cat "$series/series"
}

# one_name: with one name for what the releases have several for
one_name ()
{
  sed 's/ecb_expect/expect/; s/EV_TS_CONST (0.)/0./; s/EV_TS_TO_MSEC (timeout)/timeout * 1e3/; s/ \(EV_NOEXCEPT\|EV_THROW\)//'
}

# one_line STATUS: the last run failed (or not) with a single line of text
one_line ()
{
  [ "$status" -eq "$1" ] && [ "${#lines[@]}" -eq 1 ] || { echo "status $status: $output"; return 1; }
}

# stub NAME SCRIPT: a command of that name, before all others in PATH
stub ()
{
  local bin=$BATS_TEST_TMPDIR/bin
  mkdir -p "$bin"
  printf '#!/bin/sh\n%s\n' "$2" >"$bin/$1"
  chmod +x "$bin/$1"
  [[ :$PATH: == *":$bin:"* ]] || PATH=$bin:$PATH
}

need ()
{
  command -v "$1" >/dev/null || skip "no $1"
}

# quiet COMPILER...: the compiler finds no fault with our two files in $TREE, and no error anywhere.
# What a newer one than Debian 13's warns of is shown, and no failure
quiet ()
{
  run "$@" -Wall -Wextra "-I$TREE" -o /dev/null
  [ "$status" -eq 0 ] && ! grep -qE '(^|/)ev_linuxaio\.[ch]:[0-9]+(:[0-9]+)?: (warning|error)' <<<"$output" && return
  output="$*"$'\n'$(grep -A3 -E 'error|ev_linuxaio\.[ch]:' <<<"$output")
  [ "$status" -eq 0 ] && [ "$("$1" -dumpversion | cut -d. -f1)" -gt $([[ $1 == clang* ]] && echo 19 || echo 14) ] \
    || { echo "$output"; return 1; }
  sed 's/^/# /' <<<"$output" >&3
}

# works COMPILER...: compiled that way, with the backend of $TREE, the program runs, on the backend $BACKEND
works ()
{
  run "$@" -w "-I$TREE" "$top/tests/kernels/smoke.c" -o "$BATS_TEST_TMPDIR/works" ${LIBS:--lm}
  [ "$status" -eq 0 ] || { echo "$*:"; printf '%s\n' "${lines[@]:0:9}"; return 1; }
  run "$BATS_TEST_TMPDIR/works"
  [ "$status" -eq 0 ] && [ "${output%%:*}" = "$BACKEND" ] || { echo "$*: status $status: $output"; return 1; }
}

# backend TREE: what that program runs on here, linuxaio or, where there is no AIO, epoll
backend ()
{
  ${CC:-cc} -w "-I$1" "$top/tests/kernels/smoke.c" -o "$1/smoke.tmp" -lm
  "$1/smoke.tmp" | sed 's/:.*//'
  rm "$1/smoke.tmp"
}
