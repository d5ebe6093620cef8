# The Makefile itself.

load common

setup ()
{
  unset BUILD
  dir=$BATS_TEST_TMPDIR/dir
}

# refused PATTERN ARGUMENT...: make fails, and says that first
refused ()
{
  run -2 make -s -C "$top" BUILD="$dir" "${@:2}"
  # shellcheck disable=SC2053
  [[ ${lines[0]} == $1 ]] || { echo "$output"; false; }
}

@test "names the package of a tool that is missing, and builds no libev without the backend in silence" {
  mkdir "$BATS_TEST_TMPDIR/bin"
  ln -s /usr/bin/* /bin/* "$BATS_TEST_TMPDIR/bin" 2>/dev/null || :
  rm "$BATS_TEST_TMPDIR/bin/patch"
  PATH=$BATS_TEST_TMPDIR/bin refused "patch not found: install the package patch"
  refused "no-such-compiler not found: install the package gcc*" CC=no-such-compiler
  refused "*install the package libc6-dev" CC="gcc -nostdinc"
  need musl-gcc
  refused "*install the package linux-libc-dev" CC=musl-gcc
}

@test "compiler and flags are taken as given, and remembered" {
  make -s -C "$top" BUILD="$dir" CC=gcc CFLAGS='-O0 -DQUOTED=\"a\"'
  grep -qxF 'CFLAGS = -O0 -DQUOTED=\"a\"' "$dir/libev/Makefile"
  grep -qF -- '-DQUOTED=\"a\"' "$dir/log/build"
  run -1 grep -- -O3 "$dir/log/build"

  run -0 make -s -C "$top" BUILD="$dir"
  [ -z "$output" ]
  run -0 make -s -C "$top" BUILD="$dir" CFLAGS=-O1
  [[ $output == *"built $dir/inst/lib/libev.so.4"* ]]
  grep -qxF 'CC = gcc' "$dir/libev/Makefile"
  grep -qxF 'CFLAGS = -O1' "$dir/libev/Makefile"
}

@test "settings that do not work are not remembered" {
  make -s -C "$top" BUILD="$dir" CFLAGS=-O1
  refused "*LIBEV_SRC: $BATS_TEST_TMPDIR/nothing does not exist" LIBEV_SRC="$BATS_TEST_TMPDIR/nothing"
  run -0 make -s -C "$top" BUILD="$dir"
  grep -qxF 'CFLAGS = -O1' "$dir/libev/Makefile"
}

@test "a check that is not there is refused in one line that names those there are" {
  refused "*no check-behavior here, only *check-behaviour*" check-behavior
  one_line 2
}

@test "make help names what there is, and each part of make check" {
  help=$(make -s -C "$top" help | sed -n 's/^  make \([a-z-]\{1,\}\).*/\1/p')
  make -s -C "$top" -qp : >"$dir" 2>/dev/null || :
  for name in $help; do grep -q "^$name:" "$dir" || { echo "no rule for $name"; false; }; done
  for part in $(sed -n 's/^CHECK_TARGETS := //p' "$dir"); do grep -qx -- "$part" <<<"$help" || { echo "$part is not named"; false; }; done
}

@test "builds again what has changed, and only then" {
  BUILD=$top/build copy "$dir"
  make -s -C "$dir"
  run -0 make -s -C "$dir"
  [ -z "$output" ]
  echo 'char linuxaio_is_new [1];' >>"$dir/ev_linuxaio.c"
  run -0 make -s -C "$dir"
  [ "$output" = "built build/inst/lib/libev.so.4 and libev.a" ]
  nm -D "$dir/build/inst/lib/libev.so.4" | grep -q linuxaio_is_new
  run -0 make -s -C "$dir"
  [ -z "$output" ]
}

@test "check fails when a suite fails, and when there is none" {
  BUILD=$top/build copy "$dir"
  mkdir -p "$dir/tests/setup" "$dir/tests/some"
  cp "$top/tests/setup/install-packages" "$dir/tests/setup"
  printf 'CHECK_TARGETS += good\ngood:\nbad:\n\t@exit 1\ntells:\n\t@echo "a: b" >>$(FAILURES); exit 1\n' >"$dir/tests/some/targets.mk"

  run -0 make -s -C "$dir" check
  [ "${lines[-1]}" = "1 passed, 0 failed" ] || { echo "$output"; false; }

  run -2 make -s -C "$dir" check CHECK_TARGETS="bad good tells"
  [[ $output == *"== good passed: 1 of 3"*$'1 passed, 2 failed
a: b
failed: make bad
failed: make tells
'* ]] || { echo "$output"; false; }

  run -2 make -s -C "$dir" check CHECK_TARGETS=
  [[ $output == *"0 passed, 0 failed"* ]] || { echo "$output"; false; }
}
