# patches/apply: what it refuses leaves the tree as it was; what it did can be undone, and done anew.
# copies.bats has the trees that it takes.

load common

setup ()
{
  tree="$BATS_TEST_TMPDIR/a tree"
}

# anew: a new pristine tree
anew ()
{
  rm -rf "$tree"
  pristine "$tree"
}

# refused REASON [OPTION]: apply says why, and the tree is as before
refused ()
{
  contents "$tree" >"$BATS_TEST_TMPDIR/before"
  run "$top/patches/apply" ${2:-} "$tree"
  [ "$status" -eq 1 ] && [[ $output == "apply: "*"$1"* ]] || { echo "status $status: $output"; return 1; }
  same "$BATS_TEST_TMPDIR/before" "$tree"
}

@test "make apply does the same, and a patched tree is recognised and not touched" {
  run -2 make -s -C "$top" apply
  [[ $output == *"usage: make apply DIR=path"* ]]
  anew
  make -s -C "$top" apply DIR="$tree"
  before=$(contents "$tree"; stat -c %Y.%i "$tree"/*)
  run -0 "$top/patches/apply" "$tree"
  one_line 0
  [[ $output == *already* ]]
  diff <(echo "$before") <(contents "$tree"; stat -c %Y.%i "$tree"/*)
}

@test "a tree with another version of the backend and of the patches is updated" {
  copy "$BATS_TEST_TMPDIR/old"
  echo "/* old */" >>"$BATS_TEST_TMPDIR/old/ev_linuxaio.c"
  sed -i 's/^+.*the next iteration might be too late.*/+  \/* old *\//' "$BATS_TEST_TMPDIR"/old/patches/libev-4.33/*-release-stopped-fds.patch
  anew
  "$BATS_TEST_TMPDIR/old/patches/apply" "$tree"
  [ "$(grep -l '/\* old' "$tree"/ev*.c | wc -l)" -eq 2 ]
  run -0 "$top/patches/apply" "$tree"
  one_line 0
  [[ $output == *updated* ]]
  patched "$tree.new"
  diff <(contents "$tree.new") <(contents "$tree")
}

@test "files that others have links to are replaced, not written into, and keep their modes" {
  anew
  chmod 755 "$tree/ev.c"
  contents "$tree" >"$BATS_TEST_TMPDIR/before"
  cp -al "$tree" "$tree.linked"
  "$top/patches/apply" "$tree.linked"
  same "$BATS_TEST_TMPDIR/before" "$tree"
  [ "$(stat -c %a "$tree.linked/ev.c")" = 755 ]
  [ "$(ls -A "$tree.linked" | grep -c '^\.\|orig$\|rej$')" -eq 0 ]
}

@test "a tree in which some of the patches are applied is refused" {
  anew
  for name in $(names | head -n 4); do
    patch -d "$tree" -p1 -s <"$series/$name"
    refused "is not changed"
  done
}

@test "a tree with a change in a place of a C file is refused, with the line and what belongs there" {
  for name in $(names | sed -n 2,5p); do
    anew
    # alter the longest line that its first hunk expects
    file=$(sed -n 's/^+++ b\///p' "$series/$name" | head -n 1)
    line=$(awk '/^@@/ { ++n } n == 1 && /^[- ]/ && length ($0) > length (line) { line = $0 } END { print substr (line, 2) }' "$series/$name")
    awk -v line="$line" '$0 == line { $0 = $0 " changed"; n++ } { print } END { exit !n }' "$tree/$file" >"$tree.file"
    cat "$tree.file" >"$tree/$file"
    refused "$name does not fit"
    [[ $output == *"$file, line "*": expected is the first, there is the second:
$line
$line changed"* ]] || { echo "$output"; false; }
  done
}

@test "a place that is there twice, not at all, or before another that it should be after, is refused" {
  anew
  sed -n '/^ev_io_stop/,/^}/p' "$tree/ev.c" >>"$tree/ev.c"
  refused "look like the place for this:
  fd_change (EV_A_ w->fd, EV_ANFD_REIFY);"
  anew
  sed -i '/^epoll_poll/,$d' "$tree/ev_epoll.c"
  refused "ev_epoll.c has nothing like this:"
  anew
  sed -n '/if the receive array was full/,/^    }/p' "$tree/ev_epoll.c" >"$tree.moved"
  sed -i -e '/if the receive array was full/,/^    }/d' -e "1r $tree.moved" -e '1s/$/\n/' "$tree/ev_epoll.c"
  refused "this is before what it should be after:"
}

@test "other versions and what is no libev tree are refused by name" {
  anew
  sed -i 's/\(EV_VERSION_MINOR\) 33/\1 4/' "$tree/ev.h"
  refused "is libev 4.04: there are patches for 4.11 to 4.33"
  anew
  printf '/* no newline */' >>"$tree/ev.c"
  refused "ev.c does not end with a newline"
  echo >>"$tree/ev.c"
  mv "$tree/ev.h" "$tree/elsewhere.h"
  ln -s elsewhere.h "$tree/ev.h"
  refused "ev.h is a symbolic link"
  rm "$tree/ev.h"
  refused "has no ev.h: to patch a libev whose files are in several folders, put copies of"
  rm "$tree/ev.c"
  refused "it has no ev.c"
  for arguments in "" "a b" "--what ." "$top/none" "$top/Makefile"; do
    run -1 "$top/patches/apply" $arguments
    one_line 1
  done
}

@test "a tree that something else has put the backend into is refused" {
  patched "$tree"
  rm "$tree/ev_linuxaio.patch"
  refused "was not patched by this"
  refused "was not patched by this" --undo
  anew
  refused "has no ev_linuxaio.patch to be undone" --undo
}

@test "undo goes without what is no longer there, and touches nothing outside of the tree" {
  anew
  cp -a "$tree" "$tree.want"
  "$top/patches/apply" "$tree"
  rm "$tree/ev.pod" "$tree.want/ev.pod"
  printf 'diff --git a/%s b/%s\n--- a/%s\n+++ b/%s\n@@ -1,1 +1,0 @@\n-evil\n' ../evil ../evil ../evil ../evil >>"$tree/ev_linuxaio.patch"
  run -0 "$top/patches/apply" --undo "$tree"
  diff <(contents "$tree.want") <(contents "$tree")
}

@test "undo is refused where a patched place has changed since, and apply there, too" {
  patched "$tree"
  sed -i 's/linuxaio_release (EV_A_ w->fd);/& \/* changed *\//' "$tree/ev.c"
  refused "ev_linuxaio.patch cannot be undone in ev.c, line" --undo
  refused "ev_linuxaio.patch cannot be undone in ev.c, line"
}
