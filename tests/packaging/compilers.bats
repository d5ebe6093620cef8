# What the backend is compiled with, and into. LIBEV_VERSION=4.24 for that one.

load common

setup_file ()
{
  export TREE=$BATS_FILE_TMPDIR/tree BACKEND
  patched "$TREE"
  cp "$BUILD/libev/config.h" "$TREE"
  # what the 4.24 of tarantool has of its own needs multiplicity
  sed -i 's/evpipe_alloc *(loop)/evpipe_alloc (EV_A)/' "$TREE/ev.c"
  BACKEND=$(backend "$TREE")
}

setup ()
{
  program=$BATS_TEST_TMPDIR/program
}

# all_ways COMPILER LANGUAGE-OPTIONS...: library and program, with and without multiplicity
all_ways ()
{
  for multiplicity in 1 0; do
    quiet "$@" -S -DHAVE_CONFIG_H -DEV_MULTIPLICITY=$multiplicity "$TREE/ev.c"
    quiet "$@" -S -DEV_MULTIPLICITY=$multiplicity "$top/tests/kernels/smoke.c"
  done
}

@test "gcc has nothing to say, as C"     { need gcc; all_ways gcc -std=gnu89; all_ways gcc -std=gnu17; quiet gcc -O3 -DHAVE_CONFIG_H -c "$TREE/ev.c"; }
@test "gcc has nothing to say, as C++"   { need g++; all_ways g++ -x c++; all_ways g++ -x c++ -std=gnu++98; }
@test "clang has nothing to say, as C"   { need clang; all_ways clang -std=gnu89; all_ways clang -std=gnu17; }
@test "clang has nothing to say, as C++" { need clang; all_ways clang++ -x c++; }

@test "a warning would be noticed" {
  TREE=$BATS_TEST_TMPDIR/tree
  for fault in 'static void linuxaio_nobody_calls_this (void) { }' 'int linuxaio_fault (void) { int nobody_reads_this = 1; return 0; }'; do
    rm -rf "$TREE"
    cp -a "$BATS_FILE_TMPDIR/tree" "$TREE"
    echo "$fault" >>"$TREE/ev_linuxaio.c"
    for compiler in gcc clang; do
      run -1 quiet $compiler -S -DHAVE_CONFIG_H "$TREE/ev.c"
      [[ $output == *nobody_* ]]
    done
  done
}

@test "a program that includes ev.c works as a 32 bit program, with 32 and 64 bit time_t" {
  echo 'int main (void) { return 0; }' >"$program.c"
  gcc -m32 "$program.c" -o "$program" 2>/dev/null && "$program" || skip "no 32 bit programs here"
  works gcc -m32 -O2
  works gcc -m32 -O2 -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64
}

@test "so it does with musl" {
  need musl-gcc
  # the headers of the kernel are not musl's, and thus elsewhere
  works musl-gcc -O2 -DEV_USE_EPOLL=1 -idirafter /usr/include -idirafter "/usr/include/$(gcc -print-multiarch)"
}

@test "programs can use the header in C and C++, alone and after ev.h" {
  for header in ev.h ev_linuxaio.h; do
    for compiler in gcc "g++ -x c++" clang "clang++ -x c++"; do
      quiet $compiler -S "-DINSTALLED=<$header>" "$top/tests/kernels/smoke.c"
      TREE=$BUILD/inst/include LIBS="-L$BUILD/inst/lib -lev -Wl,-rpath,$BUILD/inst/lib" works $compiler ${CFLAGS:-} "-DINSTALLED=<$header>"
    done
  done
}
