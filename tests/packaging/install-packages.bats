# tests/setup/install-packages, on machines that are made up.

load common

setup ()
{
  bin=$BATS_TEST_TMPDIR/bin used=$BATS_TEST_TMPDIR/used
  mkdir "$bin"
  command_that dpkg-query '[ "$4" = there ] && echo -n installed'
  command_that sudo 'shift; exec "$@"'
}

# command_that NAME SCRIPT: put a stand-in for a command into PATH
command_that ()
{
  printf '#!/bin/sh\n%s\n' "$2" >"$bin/$1"
  chmod +x "$bin/$1"
}

# installs STATUS TEXT PACKAGE...: it ends with that status, and that line
installs ()
{
  run -"$1" env PATH="$bin:$PATH" "$top/tests/setup/install-packages" "${@:3}" </dev/null
  [ "${output##*$'\n'}" = "$2" ] || { echo "$output"; false; }
}

@test "when nothing is missing, nothing is done" {
  command_that apt-get "touch $used; exit 1"
  installs 0 "" there
  [ ! -e "$used" ]
}

@test "installs what is missing, and only that, and says so" {
  command_that apt-get "echo \"\$@\" >$used"
  installs 0 "installing Debian packages: one two" one there two
  one_line 0
  [[ $(cat "$used") == *"install --no-install-recommends one two" ]]
}

@test "updates the package lists when they are too old to install from" {
  command_that apt-get "case \"\$*\" in *update*) touch $used ;; *) [ -e $used ] ;; esac"
  installs 0 "installing Debian packages: one" one
}

@test "names the packages when they cannot be installed, and when there is nobody who may install them" {
  command_that apt-get "echo 'E: Unable to locate package one'; exit 100"
  installs 1 "install-packages: cannot install one two (E: Unable to locate package one)" one there two
  command_that sudo 'exit 1'
  command_that id 'echo 1000'
  installs 1 "install-packages: missing, to be installed as root: one" one there
}
