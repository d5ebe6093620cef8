# The library can take the place of Debian's libev4: nothing is changed, two functions are added.

load common

# library TREE NAME FLAGS...: a shared library of the tree with debug information
library ()
{
  local tree=$1 name=$2
  shift 2
  cp "$BUILD/libev/config.h" "$tree"
  ${CC:-cc} -w -g -O0 -fPIC -shared -Wl,-soname,libev.so.4 -I"$tree" "$@" "$tree/ev.c" "$tree/event.c" -lm -o "$name"
}

@test "it has the name of Debian's libev4, and exports what that does and the functions of ev_linuxaio.h" {
  cd "$BATS_TEST_TMPDIR"
  cp "$(dpkg -L libev4 libev4t64 2>/dev/null | grep 'libev\.so\.4$')" debian
  cp "$BUILD/inst/lib/libev.so.4" ours
  for file in debian ours; do
    readelf -d $file | grep -F 'soname: [libev.so.4]'
    nm -D --defined-only $file | awk '{ print $3 }' >$file.names
  done
  diff <({ cat debian.names; printf 'ev_linuxaio_%s\n' busy_poll stats; } | sort) <(sort ours.names)
}

@test "abidiff finds no change of any public type, but would" {
  cd "$BATS_TEST_TMPDIR"
  pristine pristine
  patched patched
  library pristine old.so
  library patched new.so
  library patched other.so "-DEV_COMMON=void *data; int more;"

  # types that are declared elsewhere are private
  mkdir public.old public.new
  cp pristine/ev.h pristine/event.h public.old
  cp patched/ev.h patched/event.h patched/ev_linuxaio.h public.new
  # 4: the interface has changed, 8 would be: incompatibly
  run -4 abidiff --headers-dir1 public.old --headers-dir2 public.new old.so new.so
  [[ $output == *"Functions changes summary: 0 Removed, 0 Changed"*", 2 Added functions"* ]] || { echo "$output"; false; }
  run abidiff --headers-dir1 public.old --headers-dir2 public.new old.so other.so
  [[ $output == *"type size changed"* ]] || { echo "status $status: $output"; false; }
}
