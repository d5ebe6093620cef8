# The library can take the place of Debian's libev4: nothing is changed, two functions are added.

load common

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
  cp "$BUILD/libev/config.h" "$tree"
  ${CC:-cc} -w -g -O0 -fPIC -shared -Wl,-soname,libev.so.4 -I"$tree" "$@" "$tree/ev.c" "$tree/event.c" -lm -o "$name"
}

@test "it has the name of Debian's libev4, and exports what that does and the functions of ev_linuxaio.h" {
  debian=$(dpkg -L libev4 libev4t64 2>/dev/null | grep 'libev\.so\.4$')
  for file in "$debian" "$BUILD/inst/lib/libev.so.4"; do
    run -0 readelf -d "$file"
    [[ $output == *"soname: [libev.so.4]"* ]]
  done
  diff <({ exported "$debian"; printf 'ev_linuxaio_%s\n' busy_poll stats; } | sort) <(exported "$BUILD/inst/lib/libev.so.4")
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
