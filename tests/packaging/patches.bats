# The series by itself: its form, and the ways in which it can be applied. LIBEV_VERSION=4.24 for that one.

load common

setup ()
{
  tree=$BATS_TEST_TMPDIR/tree
}

@test "the series names every patch, which say who, why, where from and whether forwarded, and hold neither hashes nor the backend" {
  [ "$(names)" = "$(cd "$series" && ls ./*.patch | sed 's,^\./,,')" ]
  for name in $(names); do
    header=$(sed '/^diff --git/,$d' "$series/$name")
    for field in From: Date: Subject: Origin: Forwarded:; do
      grep -q "^$field ." <<<"$header" || { echo "$name has no $field"; false; }
    done
    [ "$(sed '1,/^$/d; /^Origin:/,$d' <<<"$header" | grep -c .)" -ge 2 ] || { echo "$name does not say why"; false; }
  done
  run -1 grep -nE '^index [0-9a-f]+\.\.|^From [0-9a-f]*[1-9a-f][0-9a-f]* |^(---|\+\+\+) .*ev_linuxaio\.[ch]' "$series"/*.patch
}

@test "quilt, patch -p1, git am and patches/apply give the same tree, without offsets, and no work for autotools and pod2man" {
  for way in apply quilt patch git; do
    pristine "$tree.$way"
    cp "$top/ev_linuxaio.c" "$top/ev_linuxaio.h" "$tree.$way"
    cd "$tree.$way"
    case $way in
      apply)
        rm ev_linuxaio.[ch]
        "$top/patches/apply" .
        rm ev_linuxaio.patch
        contents . >"$BATS_TEST_TMPDIR/want"
        ;;
      quilt) QUILT_PATCHES=$series quilt --quiltrc - push -aq --fuzz=0 ;;
      patch)
        for name in $(names); do
          run -0 patch -p1 -F0 --no-backup-if-mismatch <"$series/$name"
          [[ $output != *offset* && $output != *fuzz* ]] || { echo "$name: $output"; false; }
        done
        ;;
      git)
        export GIT_CONFIG_GLOBAL=/dev/null GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b.invalid GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b.invalid
        git init -q && git add -Af && git commit -qm libev
        (cd "$series" && cat $(names)) | git am -q --keep-non-patch
        [ "$(git rev-list HEAD | wc -l)" -eq $(($(names | wc -l) + 1)) ]
        ;;
    esac
    same "$BATS_TEST_TMPDIR/want" . || { echo "with $way"; false; }
    cp "$BUILD/libev/config.status" "$BUILD/libev/Makefile" .
    run make -n Makefile ev.3
    [[ $output != *automake* && $output != *autoconf* && $output != *pod2man* ]] || { echo "$way: $output"; false; }
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

@test "the patches of both versions have the same numbers, and add the same to what both have; to the manual, a dozen lines" {
  # added VERSION: the new lines of files that have the same in both
  added () { (cd "$top/patches/libev-$1" && sed -n '/^+[^+]/p' 000[3-5]-*.patch) | one_name; }
  diff <(added 4.33) <(added 4.24)
  diff <(cut -c 1-5 "$top/patches/libev-4.33/series") <(cut -c 1-5 "$top/patches/libev-4.24/series")
  section () { sed -n '/^+Linux AIO/,/functions to call/p' "$top/patches/libev-$1"/*-documentation.patch; }
  diff <(section 4.33) <(section 4.24)
  [ "$(section 4.33 | wc -l)" -ge 5 ] && [ "$(section 4.33 | wc -l)" -le 12 ]
}

@test "ev.3 has what pod2man makes of the new parts of ev.pod, and ev_wrap.h what update_ev_wrap makes" {
  need pod2man
  pristine "$tree"
  patched "$tree.new"
  for dir in "$tree" "$tree.new"; do pod2man -n LIBEV -d date "$dir/ev.pod" "$dir/made.3"; done
  # only the lines that are new: the old ones are from an older pod2man. A newer one makes no letters smaller, and quotes less
  new () { diff "$tree/$1" "$tree.new/$1" | sed -n 's/\\s-\{0,1\}[01]//g; s/^\(> \.IP \)"\(.*\)"/\1\2/; /^>/p'; }
  diff <(new ev.3) <(new made.3)
  [ "$(new ev.3 | wc -l)" -ge 8 ]

  [ -f "$tree/update_ev_wrap" ] || return 0
  cd "$tree.new"
  cp ev_wrap.h ev_wrap.was
  sh update_ev_wrap
  diff ev_wrap.was ev_wrap.h
}
