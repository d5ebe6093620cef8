# Copies of libev as they lie in other projects: patches/apply puts the backend
# into each, in the right places, it works there, and --undo takes it out again.
#
# Versions of which there is no release here are made of 4.33 or 4.24, with what
# they have in the patched places. COPIES="DIR..." tries these copies as well.

load common

# the series by themselves, without fuzz; in 4.31 without the patch that is left out there
setup_file ()
{
  export BACKEND
  for base in 4.24 4.31 4.33; do
    series=$top/patches/libev-${base/31/33} tree=$BATS_FILE_TMPDIR/$base
    version $base "$tree"
    cp -a "$tree" "$tree.before"
    for name in $(names); do
      [[ $base,$name == 4.31,*by-default* ]] || patch -d "$tree" -p1 -s -F0 <"$series/$name"
    done
    cp "$top"/ev_linuxaio.[ch] "$tree"
    places "$tree" >"$tree.places"
  done
  BACKEND=$(backend "$tree")
}

# version NUMBER DIR: a new tree of that version; 4.27+ is what came after 4.27
version ()
{
  local minor=${1#4.} base=4.33
  minor=${minor%+}
  [ "$minor" -gt 25 ] || base=4.24
  pristine "$2" $base
  cd "$2"
  sed -i "s/\(EV_VERSION_MINOR\) .*/\1 $minor/" ev.h
  # what tarantool's 4.24 has of its own needs multiplicity
  sed -i 's/evpipe_alloc *(loop)/evpipe_alloc (EV_A)/' ev.c
  case $1 in
    4.2[6-9]* | 4.3[01]) own_default ;;&
    4.2[67]*)
      sed -i 's/^# if SYS_io_getevents.*/# if !SYS_io_getevents/; /^# if !SYS_io_getevents/,/^# endif/{/EV_NEED_SYSCALL/d;/^# else/d}' ev.c
      sed -i '/EVBACKEND_LINUXAIO is theoretically/,+1d; /^# define EV_TS_CONST/d' ev.c
      sed -i 's/EV_TS_CONST (\([^()]*\))/\1/g; s/EV_TS_TO_MSEC (\([^()]*\))/\1 * 1e3/g' ev*.[ch]
      sed -i '/linuxaio_iteration/d' ev_vars.h ev_wrap.h
      ;;&
    4.26) sed -i '/linuxaio_epoll_w/d' ev_vars.h ev_wrap.h ;;&
    4.2[67])
      sed -i 's/ecb_expect_\(true\|false\) /expect_\1 /' ev_epoll.c
      sed -i 's/^\/\* ECB.H END.*/&\n#define expect_false(cond) ecb_expect_false (cond)\n#define expect_true(cond) ecb_expect_true (cond)/' ev.c
      ;;
    4.25) sed -i 's/\<EV_THROW\>/EV_NOEXCEPT/g' ev*.[ch] ;;
    4.11 | 4.1[5-9] | 4.20) sed -i 's/postfork |= 2/postfork = 1/' ev_epoll.c ;;&
    4.11 | 4.1[5-7]) sed -i '/anfds \[fd\].emask = 0;/d' ev_epoll.c ;;&
    4.11)
      sed -i '/define *EV_THROW/d; s/ \<EV_THROW\>//g' ev*.[ch]
      sed -i '/kqueue_fd_pid/d' ev_vars.h ev_wrap.h
      ;;
  esac
  cd - >/dev/null
}

# what copies differ in; each changes the tree in the current directory
own_default () { sed -i 's/\(define EV_USE_LINUXAIO\) 0 .*/\1 1/' ev.c; }
crlf () { sed -i 's/$/\r/' *.[ch]; }
blanks () { sed -i 's/[ \t]*$//' *.[ch]; }
bare () { find . -type f ! -name '*.[ch]' -delete; }
manual () { sed -i 's/C<EV_READ> and/C<EV_READ> or/' ev.pod; sed -i 's/EV_READ/EV__READ/' ev.3; }
build () { sed -i 's/^include_HEADERS =/include_HEADERS = own.h/' Makefile.am Makefile.in; }
own () { sed -i '1i /* a line of its own */' ev.c ev_vars.h; echo 'int ev_own;' >>ev.c; }
# the third line above a place
context () { sed -i '/^ev_io_stop/,/^}/s/^  ev_stop (EV_A_ (W)w);/& \/* of its own *\//' ev.c; }

# those that do not exclude each other, each with each, and a way in which copies are compiled for each row
kinds=("" "crlf own manual" "blanks build own context" "crlf blanks own context bare" "crlf blanks own context manual build")
plain="${CC:-cc} -O0 -DEV_USE_LINUXAIO=1"
compilers=("$plain" "$plain -DEV_MULTIPLICITY=0" "$plain -Os -DEV_FEATURES=0x40 -DEV_ASYNC_ENABLE=1 -DEV_USE_EPOLL=1"
  "g++ -x c++ -O0 -DEV_USE_LINUXAIO=1" "$plain -DEV_VERIFY=3")

# places DIR: the lines that C files have and those of DIR.before have not, after the function that they are in
places ()
{
  for file in ev.c ev.h ev_vars.h ev_wrap.h ev_epoll.c; do
    diff -U0 -p --strip-trailing-cr -b "$1.before/$file" "$1/$file" \
      | awk '/^@@/ { f = $6 ~ /^[(]/ ? $5 : "" } /^[+][^+]/ { sub (/\r$/, ""); print f, $0 }' || :
  done | one_name | sort
}

# accepted TREE COMPILER...: apply takes it, $says is in its line, compiled that way it works, and undo gives it back
accepted ()
{
  local tree=$1 before=$1.before
  shift
  cp -a "$tree" "$before"
  run -0 "$top/patches/apply" --check "$tree"
  [[ $output == *"would be patched"* ]]
  diff <(contents "$before") <(contents "$tree")

  run -0 "$top/patches/apply" "$tree"
  one_line 0
  [[ $output == *$says* ]] || { echo "$output"; false; }
  places "$tree" >"$tree.places"
  # new lines end as the others do
  for file in ev.c ev_epoll.c ev_vars.h; do
    ! grep -q $'\r$' "$before/$file" || [ "$(grep -vc $'\r$' "$before/$file")" = "$(grep -vc $'\r$' "$tree/$file")" ]
  done
  contents "$tree" >"$tree.patched"
  run -0 "$top/patches/apply" "$tree"
  [[ $output == *already* ]]
  same "$tree.patched" "$tree"

  TREE=$tree
  BACKEND=epoll LIBEV_FLAGS=4 works "$@"
  LIBEV_FLAGS=64 works "$@"
  LIBEV_FLAGS=68 works "$@"

  # also when something else has changed since
  sed -i '2i /* since then */' "$tree/ev.c" "$before/ev.c"
  run -0 "$top/patches/apply" --undo "$tree"
  diff <(contents "$before") <(contents "$tree")
}

# copies VERSION [ROW]: that version with this row of differences, or with each
copies ()
{
  local tree=$BATS_TEST_TMPDIR/tree version=$1 want=4.33 row kind says
  case $version in
    4.2[6-9]* | 4.3[01]) want=4.31 ;;
    4.1* | 4.2*) want=4.24 ;;
  esac
  for row in ${2:-0 1 2 3 4}; do
    rm -rf "$tree" "$tree".*
    version "$version" "$tree"
    for kind in ${kinds[row]}; do (cd "$tree" && $kind); done
    echo "libev $version with: ${kinds[row]}, ${compilers[row]}"
    says="is patched with libev-${want/31/33}"
    case ${kinds[row]} in
      *build*) says+="*left out: Makefile.am Makefile.in" ;;&
      *manual*) says+="*ev.pod ev.3, which differ" ;;&
      *bare*) says+="*it has no Makefile.am" ;;
    esac
    [ $want != 4.31 ] || says+="*compile it with -DEV_USE_LINUXAIO=1"
    accepted "$tree" ${compilers[row]}
    case $version in
      4.11 | 4.2[67]*)
        # outside of functions they have what between/ has
        diff <(grep -v '^ ' "$BATS_FILE_TMPDIR/$want.places") <(grep -v '^ ' "$tree.places")
        run -1 grep -vxFf <(sed -n 's/^+/ +/p' "$top"/patches/*/*.patch | one_name) <(grep '^ ' "$tree.places")
        ;;
      *) diff "$BATS_FILE_TMPDIR/$want.places" "$tree.places" ;;
    esac
  done
}

@test "libev 4.33, as released" { copies 4.33; }
@test "libev 4.31" { copies 4.31; }
@test "libev 4.27, and what came after it" { copies 4.27; copies 4.27+; }
@test "libev 4.26" { copies 4.26; }
@test "libev 4.25" { copies 4.25; }
@test "libev 4.24, from tarantool" { copies 4.24; }
@test "libev 4.15" { copies 4.15; }
@test "libev 4.11" { copies 4.11; }

@test "the versions between these, each with some of the differences" {
  row=0
  for version in 4.16 4.17 4.18 4.19 4.20 4.22 4.23 4.28 4.29 4.30 4.32; do copies $version $((row++ % 5)); done
}

@test "the copies in COPIES" {
  [ -n "${COPIES:-}" ] || skip "none are given"
  for copy in $COPIES; do
    rm -rf "$BATS_TEST_TMPDIR"/tree*
    cp -a "$copy" "$BATS_TEST_TMPDIR/tree"
    echo "$copy"
    says="patched with" accepted "$BATS_TEST_TMPDIR/tree" $plain
  done
}

@test "a libev without epoll, or without its header, has no backend" {
  for version in 4.33 4.24; do
    tree=$BATS_TEST_TMPDIR/$version
    version $version "$tree"
    "$top/patches/apply" "$tree"
    echo '#define __has_include(x) 0' >"$tree/none.h"
    for without in -DEV_USE_EPOLL=0 "-include $tree/none.h"; do
      ${CC:-cc} -w -DEV_STANDALONE=1 -DEV_USE_IOURING=0 "-I$tree" $without -c "$tree/ev.c" -o "$tree/ev.o"
      run -1 grep -q linuxaio <(nm "$tree/ev.o")
    done
  done
}
