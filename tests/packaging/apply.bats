# patches/apply: what fits is patched, all else is left as it was.

load common

setup ()
{
  tree=$BATS_TEST_TMPDIR/tree
}

# refused REASON: apply says why, in one line, and the tree is as before
refused ()
{
  contents "$tree" >"$BATS_TEST_TMPDIR/before"
  run "$top/patches/apply" "$tree"
  one_line 1
  [[ $output == *"$1"* ]] || { echo "$output"; false; }
  same "$BATS_TEST_TMPDIR/before" "$tree"
}

@test "patches a pristine tree" {
  pristine "$tree"
  run -0 "$top/patches/apply" "$tree"
  one_line 0
  cmp "$top/ev_linuxaio.c" "$tree/ev_linuxaio.c"
  cmp "$top/ev_linuxaio.h" "$tree/ev_linuxaio.h"
  grep -q linuxaio_release "$tree/ev.c"
  run ls -A "$tree"
  [[ $output != *.orig* && $output != *.rej* && $output != *.new* ]]
}

@test "make apply does the same" {
  pristine "$tree"
  patched "$tree.other"
  make -s -C "$top" apply DIR="$tree"
  diff <(contents "$tree.other") <(contents "$tree")
  run -2 make -s -C "$top" apply
  [[ $output == *"usage: make apply DIR=path"* ]]
}

@test "a patched tree is recognised and not touched" {
  patched "$tree"
  before=$(contents "$tree"; stat -c %Y.%i "$tree"/*)
  run -0 "$top/patches/apply" "$tree"
  one_line 0
  [[ $output == *already* ]]
  diff <(echo "$before") <(contents "$tree"; stat -c %Y.%i "$tree"/*)
}

@test "a patched tree gets another version of the backend" {
  patched "$tree"
  contents "$tree" >"$BATS_TEST_TMPDIR/want"
  echo "/* old */" >>"$tree/ev_linuxaio.c"
  run -0 "$top/patches/apply" "$tree"
  one_line 0
  same "$BATS_TEST_TMPDIR/want" "$tree"
}

@test "what is built after patching does not need autotools or pod2man" {
  patched "$tree"
  cp "$BUILD/libev/config.status" "$BUILD/libev/Makefile" "$tree"
  cd "$tree"
  run make -n Makefile ev.3
  [[ $output != *automake* && $output != *autoconf* && $output != *pod2man* ]] || { echo "$output"; false; }
}

@test "a tree with other changes is patched around them" {
  pristine "$tree"
  sed -i '1i /* a line of my own */' "$tree/ev.c" "$tree/ev_vars.h"
  run -0 "$top/patches/apply" "$tree"
  [ "$(head -n 1 "$tree/ev.c")" = "/* a line of my own */" ]
  grep -q linuxaio_release "$tree/ev.c"
}

@test "a copy without build system and manual gets the C parts" {
  pristine "$tree"
  find "$tree" -type f ! -name '*.[ch]' -delete
  run -0 "$top/patches/apply" "$tree"
  one_line 0
  [[ $output == *Makefile.am* && $output == *ev.pod* ]]
  grep -q linuxaio_release "$tree/ev.c"
  run find "$tree" -type f ! -name '*.[ch]'
  [ -z "$output" ]
  run -0 "$top/patches/apply" "$tree"
  [[ $output == *already* ]]
}

@test "files that others have links to are replaced, not written into" {
  pristine "$tree"
  contents "$tree" >"$BATS_TEST_TMPDIR/before"
  cp -al "$tree" "$tree.linked"
  "$top/patches/apply" "$tree.linked"
  same "$BATS_TEST_TMPDIR/before" "$tree"
}

@test "a tree in which some of the patches are applied is refused" {
  for name in $(names); do
    [ "$name" != "$(names | tail -n 1)" ] || continue
    [ -d "$tree" ] || pristine "$tree"
    patch -d "$tree" -p1 -s <"$series/$name"
    refused "does not fit"
  done
}

@test "a tree with a change where a patch belongs is refused" {
  for name in $(names); do
    rm -rf "$tree"
    pristine "$tree"
    # alter the first line that the patch removes, or else its first context line
    file=$(sed -n 's/^+++ b\///p' "$series/$name" | head -n 1)
    line=$(sed -n '/^@@/{n;:a;/^ *$/{n;ba};s/^[- ]//p;q}' "$series/$name")
    awk -v line="$line" '$0 == line { $0 = $0 " changed"; n++ } { print } END { exit !n }' "$tree/$file" >"$tree.file"
    cat "$tree.file" >"$tree/$file"
    refused "does not fit"
  done
}

@test "a libev of another version is refused" {
  pristine "$tree"
  sed -i 's/\(EV_VERSION_MINOR\) 33/\1 15/' "$tree/ev.h"
  refused "libev-4.15"
}

@test "what is no libev tree is refused" {
  mkdir "$tree"
  refused "it has no ev.c"
  tree=$top/patches/apply
  run "$top/patches/apply" "$tree"
  one_line 1
  run "$top/patches/apply" "$tree/none"
  one_line 1
  run "$top/patches/apply"
  one_line 1
}
