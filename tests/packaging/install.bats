# What ends up where, done by an ordinary user.

load common

# A copy of everything, that nobody but the ordinary user owns: a root that
# runs the tests would otherwise be able to write where users are not.
setup_file ()
{
  export COPY
  COPY=$(mktemp -d)
  chmod 755 "$COPY"
  copy "$COPY"
  "$top/patches/get-libev" "$COPY/pristine"
  [ "$(id -u)" != 0 ] || chown -R 65534:65534 "$COPY"
}

teardown_file ()
{
  rm -rf "$COPY"
}

setup ()
{
  dest=$COPY/dest.$BATS_TEST_NUMBER
}

# as_user COMMAND...: without the powers of root
as_user ()
{
  local user=
  [ "$(id -u)" != 0 ] || user="setpriv --reuid=65534 --regid=65534 --clear-groups"
  $user env -u BUILD -u PREFIX "$@"
}

# make_it TARGET [VARIABLE...]
make_it ()
{
  as_user make -s -C "$COPY" "$1" DESTDIR="$dest" PREFIX=/usr "${@:2}"
}

@test "make install puts libraries, headers and manual below DESTDIR and PREFIX" {
  make_it install
  diff - <(cd "$dest" && find . ! -type d -printf '%P %y %l\n' | sort) <<END
usr/bin/ev-linuxaio-doctor f 
usr/include/ev++.h f 
usr/include/ev.h f 
usr/include/ev_linuxaio.h f 
usr/lib/libev.a f 
usr/lib/libev.so l libev.so.4.0.0
usr/lib/libev.so.4 l libev.so.4.0.0
usr/lib/libev.so.4.0.0 f 
usr/lib/pkgconfig/libev.pc f 
usr/share/man/man3/ev.3 f 
END
  run find "$dest" -type f ! -perm 644
  [ "$output" = "$dest/usr/bin/ev-linuxaio-doctor" ] && [ -x "$output" ]
  grep -qF ev_linuxaio.h "$dest/usr/share/man/man3/ev.3"
}

@test "installing again, over what is in use, works, and a program runs with the libraries, shared and static" {
  make_it install
  before=$(stat -c %i "$dest/usr/lib/libev.so.4.0.0")
  exec 9<"$dest/usr/lib/libev.so.4.0.0"
  make_it install
  [ "$(stat -c %i "$dest/usr/lib/libev.so.4.0.0")" != "$before" ]
  exec 9<&-
  for library in -lev -l:libev.a; do
    ${CC:-cc} ${CFLAGS:-} -w "-DINSTALLED=<ev.h>" "$top/tests/kernels/smoke.c" -o "$BATS_TEST_TMPDIR/program" -I"$dest/usr/include" -L"$dest/usr/lib" $library -lm
    LD_LIBRARY_PATH="$dest/usr/lib" "$BATS_TEST_TMPDIR/program"
  done
}

@test "pkg-config finds what is in LIBDIR, and make uninstall removes all that, and nothing else" {
  as_user install -D /dev/null "$dest/usr/include/own.h"
  for again in 1 2; do make_it install LIBDIR=/usr/lib/x; done
  PKG_CONFIG_LIBDIR="$dest/usr/lib/x/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$dest" run -0 pkg-config --cflags --libs libev
  [ "$(echo $output)" = "-I$dest/usr/include -L$dest/usr/lib/x -lev" ] || { echo "$output"; false; }
  make_it uninstall
  [ "$(cd "$dest" && find . -printf '%P ')" = " usr usr/include usr/include/own.h " ]
  as_user make -s -C "$COPY" install DESTDIR="$dest"
  [ -e "$dest/usr/local/lib/libev.so.4" ]
  run -2 make_it uninstall
  [[ ${lines[0]} == "make install has put nothing into $dest/usr" ]] || { echo "$output"; false; }
}

@test "a tree that cannot be written to is refused, not half patched" {
  chmod a-w "$COPY/pristine/ev_epoll.c"
  contents "$COPY/pristine" >"$BATS_TEST_TMPDIR/before"
  run as_user "$COPY/patches/apply" "$COPY/pristine"
  one_line 1
  [[ $output == *"ev_epoll.c is not writable"* ]]
  same "$BATS_TEST_TMPDIR/before" "$COPY/pristine"
}
