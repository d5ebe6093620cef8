# Copies of libev as they lie in other projects: patches/apply puts the backend
# into each, in the right places, it works there, and --undo takes it out again.
#
# Versions of which there is no release here are made of 4.33 or 4.24, with what
# they have in the patched places. COPIES="DIR..." tries these copies as well.

load common

setup_file ()
{
  export BACKEND
  patched "$BATS_FILE_TMPDIR/plain"
  BACKEND=$(backend "$BATS_FILE_TMPDIR/plain")
}

# version NUMBER DIR: a new tree of that version
version ()
{
  local base=4.33
  case $1 in 4.11 | 4.1[5-9] | 4.2[0-5]) base=4.24 ;; esac
  pristine "$2" $base
  cd "$2"
  sed -i "s/\(EV_VERSION_MINOR\) .*/\1 ${1#4.}/" ev.h
  # what tarantool's 4.24 has of its own needs multiplicity
  sed -i 's/evpipe_alloc *(loop)/evpipe_alloc (EV_A)/' ev.c
  case $1 in
    4.31) own_default ;;
    4.26 | 4.27)
      own_default
      sed -i 's/^# if SYS_io_getevents.*/# if !SYS_io_getevents/; /^# if !SYS_io_getevents/,/^# endif/{/EV_NEED_SYSCALL/d;/^# else/d}' ev.c
      sed -i '/EVBACKEND_LINUXAIO is theoretically/,+1d; /^# define EV_TS_CONST/d' ev.c
      sed -i 's/EV_TS_CONST (\([^()]*\))/\1/g; s/EV_TS_TO_MSEC (\([^()]*\))/\1 * 1e3/g' ev*.[ch]
      sed -i '/linuxaio_iteration/d' ev_vars.h ev_wrap.h
      ;;&
    4.26)
      sed -i '/linuxaio_epoll_w/d' ev_vars.h ev_wrap.h
      sed -i 's/ecb_expect_\(true\|false\) /expect_\1 /' ev_epoll.c
      sed -i 's/^\/\* ECB.H END.*/&\n#define expect_false(cond) ecb_expect_false (cond)\n#define expect_true(cond) ecb_expect_true (cond)/' ev.c
      ;;
    4.25) sed -i 's/\<EV_THROW\>/EV_NOEXCEPT/g' ev*.[ch] ;;
    4.11 | 4.15 | 4.20) sed -i 's/postfork |= 2/postfork = 1/' ev_epoll.c ;;&
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

# places DIR: which functions the C files' changes since $before are in, and the new lines there
places ()
{
  for file in ev.c ev_epoll.c; do
    diff -U0 -p --strip-trailing-cr -b "$before/$file" "$1/$file" \
      | awk '/^@@/ { f = $5; there = $6 ~ /^\(/ } there && /^[+]./ { sub (/\r$/, ""); print f, $0 }' || :
  done | sed 's/ecb_expect/expect/; s/EV_TS_CONST (0.)/0./; s/EV_TS_TO_MSEC (timeout)/timeout * 1e3/; s/ \(EV_NOEXCEPT\|EV_THROW\)//' | sort
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
  [[ $output == *"$says"* ]] || { echo "$output"; false; }
  places "$tree" >"$tree.places"
  [ "$(grep -c . "$tree.places")" -ge 15 ]
  [ ! -f "${places:-}" ] || diff "$places" "$tree.places"
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

# the ways in which copies are compiled
plain="${CC:-cc} -O0 -DEV_USE_LINUXAIO=1"
single="$plain -DEV_MULTIPLICITY=0"
small="$plain -Os -DEV_FEATURES=0x40 -DEV_ASYNC_ENABLE=1 -DEV_USE_EPOLL=1"
cplusplus="g++ -x c++ -O0 -DEV_USE_LINUXAIO=1"

# copies VERSION [DIFFERENCE]: that version with the kinds of differences that do not exclude each other, each with each
copies ()
{
  local tree=$BATS_TEST_TMPDIR/tree says="patched with libev-4.33" compiler=$plain kinds kind
  case $1 in 4.11 | 4.15 | 4.2[0-5]) says="patched with libev-4.24" ;; esac
  for kinds in "" "crlf own manual" "blanks build own context" "crlf blanks own context bare" "crlf blanks own context manual build"; do
    rm -rf "$tree" "$tree".*
    version "$1" "$tree"
    for kind in $kinds; do (cd "$tree" && $kind); done
    echo "libev $1 with: $kinds, $compiler"
    accepted "$tree" $compiler
    [ -n "${places:-}" ] || { places=$BATS_TEST_TMPDIR/places; cp "$tree.places" "$places"; }
    case $compiler in "$plain") compiler=$single ;; "$single") compiler=$small ;; *) compiler=$cplusplus ;; esac
  done
}

@test "libev 4.33, as released" { copies 4.33; }
@test "libev 4.31" { copies 4.31; }
@test "libev 4.27" { copies 4.27; }
@test "libev 4.26" { copies 4.26; }
@test "libev 4.25" { copies 4.25; }
@test "libev 4.24, from tarantool" { copies 4.24; }
@test "libev 4.15 to 4.20" { copies 4.15; }
@test "libev 4.11" { copies 4.11; }

@test "the copies in COPIES" {
  [ -n "${COPIES:-}" ] || skip "none are given"
  for copy in $COPIES; do
    rm -rf "$BATS_TEST_TMPDIR"/tree*
    cp -a "$copy" "$BATS_TEST_TMPDIR/tree"
    echo "$copy"
    says="patched with" accepted "$BATS_TEST_TMPDIR/tree" $plain
  done
}

@test "the backend is supported and embeddable, is only chosen if asked for, and needs epoll and its header" {
  cat >"$BATS_TEST_TMPDIR/claims.c" <<EOF
#include "ev.c"
#define claim(cond) do if (!(cond)) return __LINE__; while (0)
int main (void)
{
  claim (EVBACKEND_LINUXAIO == 0x40 && EVBACKEND_ALL & EVBACKEND_LINUXAIO && EVBACKEND_MASK == 0xffff);
  claim (ev_supported_backends () & ev_embeddable_backends () & EVBACKEND_LINUXAIO);
  claim (!(ev_recommended_backends () & EVBACKEND_LINUXAIO));
  claim (ev_backend (ev_loop_new (EVFLAG_NOENV)) == EVBACKEND_EPOLL);
  claim (ev_backend (ev_loop_new (EVFLAG_NOENV | EVBACKEND_EPOLL)) == EVBACKEND_EPOLL);
  claim (ev_backend (ev_loop_new (EVFLAG_NOENV | EVBACKEND_ALL & 0x7f)) == ev_backend (ev_loop_new (EVFLAG_NOENV | EVBACKEND_LINUXAIO)));
  return 0;
}
EOF
  for version in 4.33 4.24; do
    tree=$BATS_TEST_TMPDIR/$version
    version $version "$tree"
    "$top/patches/apply" "$tree"
    compile="${CC:-cc} -w -DEV_STANDALONE=1 -DEV_USE_IOURING=0 -I$tree"
    $compile "$BATS_TEST_TMPDIR/claims.c" -o "$tree/claims" -lm
    run -0 env -u LIBEV_FLAGS "$tree/claims"

    echo '#define __has_include(x) 0' >"$tree/none.h"
    for without in -DEV_USE_EPOLL=0 "-include $tree/none.h"; do
      $compile $without -c "$tree/ev.c" -o "$tree/ev.o"
      run -1 grep -q linuxaio <(nm "$tree/ev.o")
    done
  done
}
