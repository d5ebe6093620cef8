# tests/setup/install-packages, on machines that are made up: the package "there" is.

load common

# installs STATUS LAST-LINE PACKAGE...
installs ()
{
  run -"$1" "$top/tests/setup/install-packages" "${@:3}" </dev/null
  [ "${output##*$'\n'}" = "$2" ] || { echo "$output"; false; }
}

@test "packages that are missing are installed, and only those; why that cannot be done is said in a line" {
  used=$BATS_TEST_TMPDIR/used
  stub dpkg-query '[ "$4" = there ] && echo -n installed'
  stub sudo 'shift; exec "$@"'

  stub apt-get "touch $used"
  installs 0 "" there
  [ ! -e "$used" ]

  stub apt-get "echo \$* >$used"
  installs 0 "installing Debian packages: one two" one there two
  one_line 0
  [[ $(cat "$used") == *"install --no-install-recommends one two" ]]

  # the lists of packages are too old to install from
  rm "$used"
  stub apt-get "case \$* in *update*) touch $used ;; *) [ -e $used ] ;; esac"
  installs 0 "installing Debian packages: one" one

  stub apt-get "echo 'E: Unable to locate package one'; exit 100"
  installs 1 "install-packages: cannot install one two (E: Unable to locate package one)" one there two
  stub sudo 'exit 1'
  stub id 'echo 1000'
  installs 1 "install-packages: missing, to be installed as root: one" one there
}
