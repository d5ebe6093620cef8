# The library can take the place of Debian's libev4: nothing is changed, two functions are added.

load common

added="ev_linuxaio_busy_poll
ev_linuxaio_stats"

# exported FILE: what a shared library exports
exported ()
{
  nm -D --defined-only "$1" | awk '{ print $3 }' | sort
}

# library TREE NAME FLAGS...: a shared library of the tree with debug information
library ()
{
  local tree=$1 name=$2
  shift 2
  ${CC:-cc} -w -g -O0 -fPIC -shared -Wl,-soname,libev.so.4 -I"$BUILD/libev" -I"$tree" "$@" \
    "$tree/ev.c" "$tree/event.c" -lm -o "$BATS_TEST_TMPDIR/$name"
}

setup ()
{
  debian=$(dpkg -L libev4 libev4t64 2>/dev/null | grep 'libev\.so\.4$')
}

@test "soname is that of Debian's libev4" {
  for file in "$debian" "$BUILD/inst/lib/libev.so.4"; do
    run -0 readelf -d "$file"
    [[ $output == *"soname: [libev.so.4]"* ]]
  done
}

@test "exports what Debian's libev4 does and the functions of ev_linuxaio.h" {
  diff <({ exported "$debian"; echo "$added"; } | sort) <(exported "$BUILD/inst/lib/libev.so.4")
}

@test "abidiff finds nothing but additions to Debian's libev4" {
  run abidiff "$debian" "$BUILD/inst/lib/libev.so.4"
  # 4: the interface has changed, 8 would be: incompatibly
  [ "$status" -eq 4 ] || { echo "status $status: $output"; false; }
  [[ $output == *"2 Added function"* && $output != *[1-9]" Removed"* && $output != *[1-9]" Changed"* ]] || { echo "$output"; false; }
}

@test "abidiff finds no change of any public type, but would" {
  pristine "$BATS_TEST_TMPDIR/pristine"
  patched "$BATS_TEST_TMPDIR/patched"
  cp "$BUILD/libev/config.h" "$BATS_TEST_TMPDIR/pristine"
  cp "$BUILD/libev/config.h" "$BATS_TEST_TMPDIR/patched"
  library "$BATS_TEST_TMPDIR/pristine" old.so
  library "$BATS_TEST_TMPDIR/patched" new.so
  library "$BATS_TEST_TMPDIR/patched" other.so "-DEV_COMMON=void *data; int more;"

  # types that are declared elsewhere are private
  cd "$BATS_TEST_TMPDIR"
  mkdir public.old public.new
  cp pristine/ev.h pristine/event.h public.old
  cp patched/ev.h patched/event.h patched/ev_linuxaio.h public.new
  run abidiff --headers-dir1 public.old --headers-dir2 public.new old.so new.so
  [ "$status" -eq 4 ] || { echo "status $status: $output"; false; }
  [[ $output == *"Functions changes summary: 0 Removed, 0 Changed"*", 2 Added functions"* ]] || { echo "$output"; false; }

  run abidiff --headers-dir1 public.old --headers-dir2 public.new old.so other.so
  [[ $output == *"type size changed"* ]] || { echo "status $status: $output"; false; }
}
