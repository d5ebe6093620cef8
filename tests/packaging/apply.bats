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
  [ "$status" -eq 1 ] && [[ $output == "apply: "*$1* ]] || { echo "status $status: $output"; return 1; }
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

@test "a tree that does not fit is refused, with a reason, and stays as it is" {
  apply=$top/patches/apply
  first () { for name in $(names | head -n "$1"); do patch -p1 -s <"$series/$name"; done; }
  while IFS='#' read -r change reason option; do
    anew
    (cd "$tree" && eval "$change")
    refused "$reason" $option
  done <<'END'
sed -n '/^ev_io_stop/,/^}/p' ev.c >more; cat more >>ev.c               #both look like the place for this:*fd_change (EV_A_ w->fd, EV_ANFD_REIFY);
sed -i '4,$d' ev_epoll.c                                               #ev_epoll.c has nothing like this:
mv ev_epoll.c old; { echo; grep -B2 -A1 'fd_event (EV_A_ fd, got)' old; cat old; } | sed '9,${/fd_event (EV_A_ fd, got)/d}' >ev_epoll.c #this is before what it should be after:
first 1                                                                #is not changed
first 2                                                                #is not changed
first 3                                                                #is not changed
first 4                                                                #is not changed
sed -i 's/\(EV_VERSION_MINOR\) 33/\1 4/' ev.h                          #is libev 4.04: there are patches for 4.11 to 4.33
printf '/* no newline */' >>ev.c                                       #ev.c does not end with a newline
mv ev.h elsewhere.h; ln -s elsewhere.h ev.h                            #ev.h is a symbolic link
rm ev.h                                                                #has no ev.h: to patch a libev whose files are in several folders, put copies of
rm ev.c                                                                #it has no ev.c
"$apply" .; rm ev_linuxaio.patch                                       #was not patched by this
"$apply" .; rm ev_linuxaio.patch                                       #was not patched by this#--undo
true                                                                   #has no ev_linuxaio.patch to be undone#--undo
"$apply" .; sed -i 's/linuxaio_release (EV_A_ w->fd);/& changed/' ev.c #ev_linuxaio.patch cannot be undone in ev.c, line
"$apply" .; sed -i 's/linuxaio_release (EV_A_ w->fd);/& changed/' ev.c #ev_linuxaio.patch cannot be undone in ev.c, line#--undo
END
  for arguments in "" "a b" "--what ." "$top/none" "$top/Makefile"; do
    run -1 "$apply" $arguments
    one_line 1
  done
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
