# machine.sh - Debian's kernels in qemu, and a root with Debian's cross compilers. For
# scripts that have a function die, and set
#
#   kernels_dir  this directory
#   arch         Debian's name of the architecture
#   work         a directory for all of it
#   MINUTES      the longest that the machine may run
#
# They put what they need into $work/fs/t, which begin_initramfs makes, and what
# init shall run into $work/fs/commands: lines SECONDS NAME COMMAND.

# mirror: where this machine gets Debian's packages from
mirror ()
{
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | head -n 1
}

# debian DIR SUITE OPTION...: packages of a suite, and of the release it is for
debian ()
{
  dir=$1
  suite=$2
  from=${MIRROR:-$(mirror)}
  shift 2
  rm -rf "$dir"
  mkdir -p "${dir%/*}"
  { [ "$suite" = "${suite%-*}" ] || echo "deb $from ${suite%-*} main"; echo "deb $from $suite main"; } \
    | nice mmdebstrap --quiet --aptopt="APT::Default-Release \"$suite\"" "$@" "$suite" "$dir" - >"$dir.log" 2>&1 \
    || { rm -rf "$dir"; tail -n 5 "$dir.log" >&2; die "cannot make $dir"; }
}

# machine ARCHITECTURE: qemu up to the kernel, and after -- the kernel's console. On x86 one
# thread for both processors: in two, the kernel may meet an int3 in code that it has just changed
machine ()
{
  case $1 in
    amd64)   echo "qemu-system-x86_64 -accel ${ACCEL:-tcg,thread=single} -cpu max -- ttyS0 syscall.x32=y" ;;
    i386)    echo "qemu-system-i386 -accel ${ACCEL:-tcg,thread=single} -cpu max -- ttyS0" ;;
    arm64)   echo "qemu-system-aarch64 -M virt -cpu cortex-a72 -- ttyAMA0" ;;
    armhf)   echo "qemu-system-arm -M virt -cpu cortex-a15 -- ttyAMA0" ;;
    s390x)   echo "qemu-system-s390x -cpu max -- ttysclp0" ;;
    ppc64el) echo "qemu-system-ppc64 -M pseries -- hvc0" ;;
  esac
}

# get_kernel SUITE PACKAGE: that kernel, and a busybox for its machine
get_kernel ()
{
  [ -n "$(find "$work/kernel.log" -mtime -7 2>/dev/null)" ] && [ -d "$work/kernel" ] \
    || debian "$work/kernel" "$1" --variant=extract --architectures="$arch" --include="$2,busybox-static" \
      --dpkgopt='path-exclude=/lib/modules/*/kernel/*' --dpkgopt='path-exclude=/usr/lib/modules/*/kernel/*'
}

begin_initramfs ()
{
  fs=$work/fs
  rm -rf "$fs"
  mkdir -p "$fs/bin" "$fs/t"
  cp "$(find "$work/kernel" -path '*/bin/busybox')" "$fs/bin/"
  cp "$kernels_dir/init" "$fs/"
}

# the same files make the same image: where the kernel puts things depends on it
end_initramfs ()
{
  find "$fs" -exec touch -h -d @0 {} +
  (cd "$fs" && find . | sort | cpio --quiet --reproducible -o -H newc -R 0:0 | gzip -1n) >"$work/initramfs"
  rm -rf "$fs"
}

# boot CPUS MEGABYTES [OPTION...]: run the machine until it switches itself off
boot ()
{
  image=$(find "$work/kernel" -name 'vmlinu[xz]*' -type f)
  with=$(machine "$arch")
  cpus=$1
  megabytes=$2
  shift 2

  timeout --foreground -k 10 $((MINUTES * 60)) nice -n 19 ${with% -- *} "$@" -nodefaults -nographic -no-reboot -serial stdio \
    -smp "$cpus" -m "$megabytes" -kernel "$image" -initrd "$work/initramfs" -append "quiet panic=-1 console=${with#* -- }" \
    </dev/null >"$work/console.log" 2>&1 || :

  # carriage returns, and what firmware does to a terminal
  sed -i 's/\r//g; s/\x1b\[[^a-zA-Z]*[a-zA-Z]//g; s/\x1bc//g; s/^.*@@ /@@ /' "$work/console.log"
}

# said WHAT: what init said of it
said ()
{
  sed -n "s/^@@ $1 //p" "$work/console.log"
}
