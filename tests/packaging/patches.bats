# The series by itself: its form, and the ways in which it can be applied.

load common

setup ()
{
  tree=$BATS_TEST_TMPDIR/tree
}

@test "series names every patch once, in order" {
  [ "$(names)" = "$(cd "$series" && ls ./*.patch | sed 's,^\./,,')" ]
}

@test "every patch says who, why, where from and whether forwarded" {
  for name in $(names); do
    header=$(sed '/^diff --git/,$d' "$series/$name")
    for field in From: Date: Subject: Origin: Forwarded:; do
      grep -q "^$field ." <<<"$header" || { echo "$name has no $field"; false; }
    done
    body=$(sed '1,/^$/d; /^Origin:/,$d' <<<"$header" | grep -c .)
    [ "$body" -ge 2 ] || { echo "$name does not say why"; false; }
  done
}

@test "no patch has hashes that change whenever it is exported" {
  run -1 grep -nE '^index [0-9a-f]+\.\.|^From [0-9a-f]*[1-9a-f][0-9a-f]* ' "$series"/*.patch
}

@test "no patch holds the backend or what it replaces" {
  run -1 grep -nE '^(---|\+\+\+) .*ev_linuxaio\.[ch]' "$series"/*.patch
}

@test "every patch applies exactly where it says" {
  pristine "$tree"
  for name in $(names); do
    run -0 patch -d "$tree" -p1 -F0 --no-backup-if-mismatch <"$series/$name"
    [[ $output != *offset* && $output != *fuzz* ]] || { echo "$name: $output"; false; }
  done
}

@test "quilt, patch -p1, git am and patches/apply give the same tree" {
  patched "$tree"
  contents "$tree" >"$BATS_TEST_TMPDIR/want"

  for way in quilt patch git; do
    pristine "$tree.$way"
    cp "$top/ev_linuxaio.c" "$top/ev_linuxaio.h" "$tree.$way"
    cd "$tree.$way"
    case $way in
      quilt) QUILT_PATCHES=$series quilt --quiltrc - push -aq --fuzz=0 ;;
      patch) for name in $(names); do patch -p1 -s -F0 <"$series/$name"; done ;;
      git)
        export GIT_CONFIG_GLOBAL=/dev/null GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b.invalid GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b.invalid
        git init -q && git add -Af && git commit -qm libev
        (cd "$series" && cat $(names)) | git am -q --keep-non-patch
        [ "$(git rev-list HEAD | wc -l)" -eq $(($(names | wc -l) + 1)) ]
        ;;
    esac
    same "$BATS_TEST_TMPDIR/want" . || { echo "with $way"; false; }
  done
}

@test "every prefix of the series builds, with the backend off and on" {
  pristine "$tree"
  cp "$top/ev_linuxaio.c" "$top/ev_linuxaio.h" "$BUILD/libev/config.h" "$tree"
  for name in $(names); do
    patch -d "$tree" -p1 -s -F0 <"$series/$name"
    for use in "" -DEV_USE_LINUXAIO=1; do
      run ${CC:-cc} -w -O0 -DHAVE_CONFIG_H $use -c "$tree/ev.c" -o "$tree/ev.o"
      [ "$status" -eq 0 ] || { echo "up to $name, $use: $output"; false; }
    done
  done
}

@test "patching by hand does not make libev's build run autotools or pod2man" {
  pristine "$tree"
  cp "$top/ev_linuxaio.c" "$top/ev_linuxaio.h" "$tree"
  for name in $(names); do patch -d "$tree" -p1 -s <"$series/$name"; done
  cp "$BUILD/libev/config.status" "$BUILD/libev/Makefile" "$tree"
  cd "$tree"
  run make -n Makefile ev.3
  [[ $output != *automake* && $output != *autoconf* && $output != *pod2man* ]] || { echo "$output"; false; }
}
