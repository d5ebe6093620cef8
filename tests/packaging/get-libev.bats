# patches/get-libev: where libev comes from.

load common

setup ()
{
  dir=$BATS_TEST_TMPDIR/dir
  src=$BATS_TEST_TMPDIR/src
  mkdir -p "$BATS_TEST_TMPDIR/top/patches"
  cp "$top"/patches/get-* "$BATS_TEST_TMPDIR/top/patches"
  get=$BATS_TEST_TMPDIR/top/patches/get-libev
}

# refused REASON [VERSION]: get-libev says why, in one line, and leaves nothing behind
refused ()
{
  run "$get" "$dir" ${2:-}
  one_line 1
  [[ $output == *"$1"* ]] || { echo "$output"; false; }
  [ -z "$(ls -A "$BATS_TEST_TMPDIR" | grep dir)" ]
}

# machine LIST [SOURCES]: apt as it is on a machine with these package sources, except that it finds $tarball
machine ()
{
  need apt-config
  mkdir -p "$BATS_TEST_TMPDIR"/etc/{apt.conf.d,sources.list.d}
  tarball=$BATS_TEST_TMPDIR/libev_4.33.orig.tar.gz
  echo "$1" >"$BATS_TEST_TMPDIR/etc/sources.list"
  echo "${2:-}" >"$BATS_TEST_TMPDIR/etc/sources.list.d/debian.sources"
  export APT_CONFIG=$BATS_TEST_TMPDIR/etc/apt.conf
  echo "Dir::Etc \"$BATS_TEST_TMPDIR/etc\"; Dir::Etc::sourcelist \"sources.list\"; Dir::Etc::sourceparts \"sources.list.d\";" >"$APT_CONFIG"
  stub apt-get "case \$* in
    *update) cat \$(dirname \$2)/parts/* >$BATS_TEST_TMPDIR/used ;;
    *source*libev) cp $tarball . ;;
  esac"
  unset LIBEV_SRC
}

@test "takes directories, without what was built in them, and tarballs, for each version" {
  for version in 4.33:LIBEV_SRC 4.24:OLDER_LIBEV_SRC; do
    rm -rf "$src"
    pristine "$src" ${version%:*}
    rm -rf "$BATS_TEST_TMPDIR/tree"
    cp -a "$src" "$BATS_TEST_TMPDIR/tree"
    touch "$src/ev.lo" "$src/config.status" "$src/Makefile"
    mkdir "$src/.libs" "$src/.git"
    tar -C "$BATS_TEST_TMPDIR" -caf "$src.tar.gz" tree
    tar -C "$BATS_TEST_TMPDIR" -cf "$src.tar" tree
    for from in "$src" "$src.tar.gz" "$src.tar"; do
      rm -rf "$dir"
      env "${version#*:}=$from" "$get" "$dir" ${version%:*}
      diff <(contents "$BATS_TEST_TMPDIR/tree") <(contents "$dir")
    done
  done
}

@test "refuses what is not libev, versions that it does not know, and directories that exist" {
  for wrong in "none: does not exist" "Makefile: cannot be unpacked" "patches: is not a libev release: it has no ev.c"; do
    LIBEV_SRC=$top/${wrong%%: *} refused "$top/${wrong/: / }"
  done
  patched "$src"
  LIBEV_SRC=$src refused "$src is not pristine"
  refused "only 4.33 and 4.24 are known" 4.20
  mkdir "$dir"
  run "$get" "$dir"
  one_line 1
  [[ $output == *"$dir exists" ]]
}

@test "turns the package sources of the machine into source package sources, and says what to do when that is in vain" {
  machine "# deb http://localhost/disabled stable main
deb [signed-by=/usr/share/keyrings/a.gpg] http://localhost/one stable main
deb-src http://localhost/two stable main" "Types: deb deb-src
URIs: http://localhost/three"
  refused "package sources have no libev_4.33.orig.tar.gz"
  refused ": set LIBEV_SRC"
  run -0 cat "$BATS_TEST_TMPDIR/used"
  [ "$output" = "deb-src [signed-by=/usr/share/keyrings/a.gpg] http://localhost/one stable main
Types: deb-src
URIs: http://localhost/three" ]
  stub apt-cache 'echo "libev-dev | 1:4.33-3 | of Debian unstable"'
  run "$top/tests/deb/deb" "$BATS_TEST_TMPDIR/debs"
  one_line 1
  [[ $output == "deb: this machine's package sources have no libev_4.33-3.debian.tar.xz"*'make deb LIBEV_DEBIAN=path'* ]]
  echo "not libev" >"$tarball"
  refused "does not have the SHA-256 507eb7b8"
  machine ""
  refused "apt has no package sources: set LIBEV_SRC"
}
