# make deb: what is in the Debian packages.

load ../packaging/common

setup_file ()
{
  export DEBS=$BATS_FILE_TMPDIR/debs
  mkdir "$DEBS"
  "$top/tests/deb/deb" "$DEBS"
}

# packaging FILE: the text of a file of the source package that was made
packaging ()
{
  tar -xOf "$DEBS"/libev_*.debian.tar.xz "$@"
}

@test "the version is above Debian's, and below its next ones" {
  ours=$(dpkg-deb -f "$DEBS"/libev-dev_*.deb Version)
  debians=${ours%+aio*}
  dpkg --compare-versions "$debians" lt "$ours"
  case $debians in *+b*) next=${debians%+b*}+b9 ;; *) next=$debians+b1 ;; esac
  for version in "$next" "${debians%+b*}+deb12u1" "${debians%+b*}.1" 1:4.33-4 1:4.34-1; do
    dpkg --compare-versions "$ours" lt "$version" || { echo "$ours is not below $version"; false; }
  done
}

@test "packaging that this machine's package sources do not have is named, with what to do" {
  stub apt-cache 'echo "libev-dev | 1:4.33-3 | of Debian unstable"'
  run -1 "$top/tests/deb/deb" "$BATS_TEST_TMPDIR/debs"
  [[ $output == *'package sources have no libev_4.33-3.debian.tar.xz'*'make deb LIBEV_DEBIAN=path' ]]
}

@test "lintian finds no error" {
  [ -s "$DEBS/lintian" ]
  run -1 grep '^E:' "$DEBS/lintian"
}

@test "our series is in the source package, after Debian's, and the symbols are known" {
  diff <(packaging debian/patches/series | tail -n +2 | sed 's/^ev_linuxaio-//' | grep -v files.patch) <(tail -n +2 "$series/series")
  packaging debian/copyright | grep -A 4 '^ ev_linuxaio' | grep '^License: BSD-2-clause or GPL-2+'
  dpkg-deb -I "$DEBS"/libev4[_t]*.deb symbols | grep '^ ev_linuxaio_stats@Base'
}
