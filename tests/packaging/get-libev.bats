# patches/get-libev: where libev comes from.

load common

setup ()
{
  dir=$BATS_TEST_TMPDIR/dir
  src=$BATS_TEST_TMPDIR/src
  mkdir -p "$BATS_TEST_TMPDIR/top/patches"
  cp "$top/patches/get-libev" "$BATS_TEST_TMPDIR/top/patches"
  get=$BATS_TEST_TMPDIR/top/patches/get-libev
}

# refused REASON: get-libev says why, in one line, and leaves nothing behind
refused ()
{
  run "$get" "$dir"
  one_line 1
  [[ $output == *"$1"* ]] || { echo "$output"; false; }
  [ -z "$(ls -A "$BATS_TEST_TMPDIR" | grep dir)" ]
}

# machine LIST SOURCES: apt as it is on a machine with these package sources,
# except that it finds the tarball in $BATS_TEST_TMPDIR
machine ()
{
  mkdir -p "$BATS_TEST_TMPDIR"/bin "$BATS_TEST_TMPDIR"/etc/apt.conf.d "$BATS_TEST_TMPDIR"/etc/sources.list.d
  echo "$1" >"$BATS_TEST_TMPDIR/etc/sources.list"
  echo "$2" >"$BATS_TEST_TMPDIR/etc/sources.list.d/debian.sources"
  export APT_CONFIG=$BATS_TEST_TMPDIR/etc/apt.conf
  echo "Dir::Etc \"$BATS_TEST_TMPDIR/etc\"; Dir::Etc::sourcelist \"sources.list\"; Dir::Etc::sourceparts \"sources.list.d\";" >"$APT_CONFIG"
  cat >"$BATS_TEST_TMPDIR/bin/apt-get" <<EOF
#!/bin/sh
case "\$*" in
  *update) cat "\$(dirname "\$2")"/parts/* >"$BATS_TEST_TMPDIR/used" ;;
  *source*libev) cp "$BATS_TEST_TMPDIR/libev_4.33.orig.tar.gz" . ;;
esac
EOF
  chmod +x "$BATS_TEST_TMPDIR/bin/apt-get"
  PATH=$BATS_TEST_TMPDIR/bin:$PATH
  unset LIBEV_SRC
}

@test "takes a directory, without what was built in it" {
  pristine "$src"
  touch "$src/ev.lo" "$src/config.status" "$src/Makefile"
  mkdir "$src/.libs" "$src/.git"
  LIBEV_SRC=$src "$get" "$dir"
  diff <(contents "$BATS_FILE_TMPDIR/libev") <(contents "$dir")
  [ "$(ls -A "$dir")" = "$(ls -A "$BATS_FILE_TMPDIR/libev")" ]
}

@test "takes a tarball" {
  pristine "$src"
  for suffix in gz plain; do
    tar -C "$BATS_TEST_TMPDIR" -caf "$src.tar.$suffix" src
    rm -rf "$dir"
    LIBEV_SRC=$src.tar.$suffix "$get" "$dir"
    diff <(contents "$src") <(contents "$dir")
  done
}

@test "refuses a LIBEV_SRC that is not libev" {
  export LIBEV_SRC=$BATS_TEST_TMPDIR/none
  refused "$LIBEV_SRC does not exist"

  export LIBEV_SRC=$top/Makefile
  refused "$LIBEV_SRC cannot be unpacked"

  export LIBEV_SRC=$top/patches
  refused "$LIBEV_SRC is not a libev release: it has no ev.c"

  tar -C "$top" -czf "$src.tgz" patches
  export LIBEV_SRC=$src.tgz
  refused "$LIBEV_SRC is not a libev release: it has no ev.c"

  patched "$src"
  export LIBEV_SRC=$src
  refused "$LIBEV_SRC is not pristine"
}

@test "make says the same about a wrong LIBEV_SRC" {
  run make -s -C "$top" BUILD="$dir" LIBEV_SRC="$BATS_TEST_TMPDIR/none"
  [ "$status" -eq 2 ]
  [[ ${lines[0]} == "get-libev: LIBEV_SRC: $BATS_TEST_TMPDIR/none does not exist" ]] || { echo "$output"; false; }
}

@test "does not touch a directory that exists" {
  pristine "$src"
  mkdir "$dir"
  touch "$dir/mine"
  LIBEV_SRC=$src run "$get" "$dir"
  one_line 1
  [ "$(ls -A "$dir")" = mine ]
}

@test "turns the package sources of the machine into source package sources" {
  command -v apt-config >/dev/null || skip "no apt-config here"
  machine "# deb http://localhost/disabled stable main
deb [signed-by=/usr/share/keyrings/a.gpg] http://localhost/one stable main
deb-src http://localhost/two stable main" "Types: deb deb-src
URIs: http://localhost/three
Suites: stable
Components: main
Signed-By: /usr/share/keyrings/b.gpg"
  echo "not libev" >"$BATS_TEST_TMPDIR/libev_4.33.orig.tar.gz"
  run "$get" "$dir"
  run -0 cat "$BATS_TEST_TMPDIR/used"
  [ "$output" = "deb-src [signed-by=/usr/share/keyrings/a.gpg] http://localhost/one stable main
Types: deb-src
URIs: http://localhost/three
Suites: stable
Components: main
Signed-By: /usr/share/keyrings/b.gpg" ]
}

@test "refuses a download with another checksum" {
  command -v apt-config >/dev/null || skip "no apt-config here"
  machine "deb http://localhost/one stable main" ""
  tar -C "$top" -czf "$BATS_TEST_TMPDIR/libev_4.33.orig.tar.gz" patches
  refused "does not have the SHA-256 507eb7b8"
}

@test "says what to do when there is nothing to download" {
  command -v apt-config >/dev/null || skip "no apt-config here"
  machine "deb http://localhost/one stable main" ""
  refused "set LIBEV_SRC"
  machine "" ""
  refused "apt has no package sources: set LIBEV_SRC"
}
