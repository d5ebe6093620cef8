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
  mkdir -p "$COPY/tests/programs"
  cp "$top/tests/programs/doctor" "$COPY/tests/programs"
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
  if [ "$(id -u)" = 0 ]; then
    setpriv --reuid=65534 --regid=65534 --clear-groups env -u BUILD "$@"
  else
    env -u BUILD "$@"
  fi
}

# runs NAME COMPILER-OPTIONS...: a program that uses the installed library
runs ()
{
  local program=$BATS_TEST_TMPDIR/program
  cat >"$program.c" <<'EOF'
#include <ev.h>
#include <ev_linuxaio.h>
int main (void)
{
  struct ev_linuxaio_stats stats;
  struct ev_loop *loop = ev_default_loop (0);
  return ev_linuxaio_stats (loop, &stats, sizeof (stats)) ? 0 : ev_backend (loop);
}
EOF
  ${CC:-cc} ${CFLAGS:-} -w "$program.c" -o "$program" -I"$dest/usr/include" -L"$dest/usr/lib" "$@"
  run env LIBEV_FLAGS=64 LD_LIBRARY_PATH="$dest/usr/lib" "$program"
  # 0: the backend, 4: this host has no AIO and the loop runs on epoll
  [ "$status" -eq 0 ] || [ "$status" -eq 4 ] || { echo "status $status: $output"; false; }
}

@test "make install puts libraries, headers and manual below DESTDIR and PREFIX" {
  run -0 as_user make -s -C "$COPY" install DESTDIR="$dest" PREFIX=/usr
  diff - <(cd "$dest" && find . ! -type d -printf '%P %y %l\n' | sort) <<EOF
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
EOF
  run find "$dest" -type f ! -perm 644
  [ "$output" = "$dest/usr/bin/ev-linuxaio-doctor" ] && [ -x "$output" ]
}

@test "installing again, over what is in use, works" {
  as_user make -s -C "$COPY" install DESTDIR="$dest" PREFIX=/usr
  before=$(stat -c %i "$dest/usr/lib/libev.so.4.0.0")
  exec 9<"$dest/usr/lib/libev.so.4.0.0"
  as_user make -s -C "$COPY" install DESTDIR="$dest" PREFIX=/usr
  [ "$(stat -c %i "$dest/usr/lib/libev.so.4.0.0")" != "$before" ]
  exec 9<&-
}

@test "make uninstall removes that, and nothing else" {
  as_user install -D /dev/null "$dest/usr/include/own.h"
  for again in 1 2; do
    as_user make -s -C "$COPY" install DESTDIR="$dest" PREFIX=/usr LIBDIR=/usr/lib/x
  done
  as_user make -s -C "$COPY" uninstall DESTDIR="$dest" PREFIX=/usr
  [ "$(cd "$dest" && find . -printf '%P ')" = " usr usr/include usr/include/own.h " ]
  run -2 as_user make -s -C "$COPY" uninstall DESTDIR="$dest" PREFIX=/usr
  [[ ${lines[0]} == "make install has put nothing into $dest/usr" ]] || { echo "$output"; false; }
}

@test "pkg-config finds what is in LIBDIR" {
  command -v pkg-config >/dev/null || skip "no pkg-config"
  as_user make -s -C "$COPY" install DESTDIR="$dest" PREFIX=/usr LIBDIR=/usr/lib/x
  run -0 env PKG_CONFIG_LIBDIR="$dest/usr/lib/x/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$dest" pkg-config --cflags --libs libev
  [ "$(echo $output)" = "-I$dest/usr/include -L$dest/usr/lib/x -lev" ] || { echo "$output"; false; }
}

@test "the default is /usr/local" {
  as_user env -u PREFIX make -s -C "$COPY" install DESTDIR="$dest"
  [ -e "$dest/usr/local/lib/libev.so.4" ]
}

@test "a program runs with the installed libraries, shared and static" {
  as_user make -s -C "$COPY" install DESTDIR="$dest" PREFIX=/usr
  runs -lev
  runs -l:libev.a -lm
}

@test "the installed manual is about this backend" {
  as_user make -s -C "$COPY" install DESTDIR="$dest" PREFIX=/usr
  grep -qF ev_linuxaio.h "$dest/usr/share/man/man3/ev.3"
}

@test "a tree that cannot be written to is refused, not half patched" {
  chmod a-w "$COPY/pristine/ev_epoll.c"
  contents "$COPY/pristine" >"$BATS_TEST_TMPDIR/before"
  run as_user "$COPY/patches/apply" "$COPY/pristine"
  one_line 1
  [[ $output == *"ev_epoll.c is not writable"* ]]
  same "$BATS_TEST_TMPDIR/before" "$COPY/pristine"
}
