# The Makefile itself.

load common

setup ()
{
  unset BUILD
  dir=$BATS_TEST_TMPDIR/dir
}

# without COMMAND: a PATH on which everything is but that
without ()
{
  mkdir "$BATS_TEST_TMPDIR/bin"
  ln -s /usr/bin/* /bin/* "$BATS_TEST_TMPDIR/bin" 2>/dev/null || :
  rm -f "$BATS_TEST_TMPDIR/bin/$1"
}

@test "names the package of a tool that is missing" {
  without patch
  run env PATH="$BATS_TEST_TMPDIR/bin" make -s -C "$top" BUILD="$dir"
  [ "$status" -eq 2 ]
  [ "${lines[0]}" = "patch not found: install the package patch" ] || { echo "$output"; false; }

  run make -s -C "$top" BUILD="$dir" CC=no-such-compiler
  [ "$status" -eq 2 ]
  [[ ${lines[0]} == "no-such-compiler not found: install the package gcc"* ]] || { echo "$output"; false; }

  run make -s -C "$top" BUILD="$dir" CC="gcc -nostdinc"
  [ "$status" -eq 2 ]
  [[ ${lines[0]} == *"install the package libc6-dev" ]] || { echo "$output"; false; }
}

@test "does not build a libev without the backend in silence" {
  command -v musl-gcc >/dev/null || skip "no musl-gcc"
  run make -s -C "$top" BUILD="$dir" CC=musl-gcc
  [ "$status" -eq 2 ]
  [[ ${lines[0]} == *"install the package linux-libc-dev" ]] || { echo "$output"; false; }
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
  run -2 make -s -C "$top" BUILD="$dir" LIBEV_SRC="$BATS_TEST_TMPDIR/nothing"
  [[ ${lines[0]} == *"LIBEV_SRC: $BATS_TEST_TMPDIR/nothing does not exist" ]] || { echo "$output"; false; }
  run -0 make -s -C "$top" BUILD="$dir"
  grep -qxF 'CFLAGS = -O1' "$dir/libev/Makefile"
}

@test "a check that is not there is refused in one line that names those there are" {
  run -2 make -s -C "$top" check-behavior
  [[ ${#lines[@]} = 1 && $output == *"no check-behavior here, only "*check-behaviour* ]] || { echo "$output"; false; }
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

  run make -s -C "$dir" check
  [ "$status" -eq 0 ] && [ "${lines[-1]}" = "1 passed, 0 failed" ] || { echo "$output"; false; }

  run make -s -C "$dir" check CHECK_TARGETS="bad good tells"
  [ "$status" -ne 0 ]
  [[ $output == *"== good passed: 1 of 3"*$'1 passed, 2 failed\na: b\nfailed: make bad\nfailed: make tells\n'* ]] || { echo "$output"; false; }

  run make -s -C "$dir" check CHECK_TARGETS=
  [ "$status" -ne 0 ]
  [[ $output == *"0 passed, 0 failed"* ]] || { echo "$output"; false; }
}
