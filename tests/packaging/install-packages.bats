# tests/setup/install-packages, on machines that are made up.

load common

setup ()
{
  mkdir "$BATS_TEST_TMPDIR/bin"
  command_that dpkg-query '[ "$4" = there ] && echo -n installed'
  command_that sudo 'shift; exec "$@"'
}

# command_that NAME SCRIPT: put a stand-in for a command into PATH
command_that ()
{
  printf '#!/bin/sh\n%s\n' "$2" >"$BATS_TEST_TMPDIR/bin/$1"
  chmod +x "$BATS_TEST_TMPDIR/bin/$1"
}

install_packages ()
{
  run env PATH="$BATS_TEST_TMPDIR/bin:$PATH" "$top/tests/setup/install-packages" "$@" </dev/null
}

@test "when nothing is missing, nothing is done" {
  command_that apt-get "touch $BATS_TEST_TMPDIR/used; exit 1"
  install_packages there
  [ "$status" -eq 0 ] && [ -z "$output" ]
  [ ! -e "$BATS_TEST_TMPDIR/used" ]
}

@test "installs what is missing, and only that, and says so" {
  command_that apt-get "echo \"\$@\" >$BATS_TEST_TMPDIR/used"
  install_packages one there two
  one_line 0
  [ "$output" = "installing Debian packages: one two" ]
  [[ $(cat "$BATS_TEST_TMPDIR/used") == *"install --no-install-recommends one two" ]]
}

@test "updates the package lists when they are too old to install from" {
  command_that apt-get "case \"\$*\" in *update*) touch $BATS_TEST_TMPDIR/new ;; *) [ -e $BATS_TEST_TMPDIR/new ] ;; esac"
  install_packages one
  one_line 0
}

@test "names the packages when they cannot be installed" {
  command_that apt-get "echo 'E: Unable to locate package one'; exit 100"
  install_packages one there two
  [ "$status" -eq 1 ]
  [ "${lines[-1]}" = "install-packages: cannot install one two (E: Unable to locate package one)" ]
}

@test "names the packages when there is nobody who may install them" {
  command_that sudo 'exit 1'
  command_that id 'echo 1000'
  command_that apt-get 'exit 1'
  install_packages one there
  one_line 1
  [ "$output" = "install-packages: missing, to be installed as root: one" ]
}
