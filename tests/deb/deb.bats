# make deb: Debian packages, installed over Debian's own, used, and gone again.

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
  printf '#!/bin/sh\necho "libev-dev | 1:4.33-3 | of Debian unstable"\n' >"$BATS_TEST_TMPDIR/apt-cache"
  chmod +x "$BATS_TEST_TMPDIR/apt-cache"
  PATH=$BATS_TEST_TMPDIR:$PATH run -1 "$top/tests/deb/deb" "$BATS_TEST_TMPDIR/debs"
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

@test "it goes over Debian's, all that uses it works, and nothing is left after going back" {
  . /etc/os-release
  sources=()
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
    if [ -s "$file" ]; then sources+=("$file"); fi
  done
  # shellcheck disable=SC2016
  run mmdebstrap --quiet --variant=apt --include=ca-certificates,libev-dev,nghttp2-server,nghttp2-client,python3-gevent,gcc,libc6-dev,perl-base \
    --customize-hook='mkdir -p "$1/debs" && cp '"$DEBS/*.deb $top/tests/deb/smoke $top/tests/kernels/smoke.c"' "$1/debs"' \
    --customize-hook="cp '$top/tests/deb/in-chroot' \"\$1\" && chroot \"\$1\" sh /in-chroot" \
    "$VERSION_CODENAME" /dev/null "${sources[@]}"
  [ "$status" -eq 0 ] || { tail -n 40 <<<"$output"; false; }
}
