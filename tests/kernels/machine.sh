# machine.sh - what it takes to run programs of this tree on a kernel of Debian's in
# qemu. For scripts that have a function die, and set
#
#   kernels_dir  this directory
#   arch         Debian's name of the architecture
#   lib_dirs     where its libraries are
#   init_cc      the compiler for it
#   work         a directory for all of it
#   MINUTES      the longest that the machine may run
#
# They put programs below $fs/t, and what init.c shall run into $fs/commands,
# between begin_initramfs and end_initramfs.

# machine ARCHITECTURE: the command line of qemu, up to the kernel
machine ()
{
  case $1 in
    amd64) echo "qemu-system-x86_64 -accel ${ACCEL:-tcg} -cpu max" ;;
    arm64) echo "qemu-system-aarch64 -accel tcg -M virt -cpu cortex-a72" ;;
    s390x) echo "qemu-system-s390x -accel tcg -cpu max" ;;
    ppc64el) echo "qemu-system-ppc64 -accel tcg -M pseries" ;;
    i386)  echo "qemu-system-i386 -accel tcg -cpu max" ;;
    armhf) echo "qemu-system-arm -accel tcg -M virt -cpu cortex-a15" ;;
  esac
}

# boot_options ARCHITECTURE: what the kernel is told
boot_options ()
{
  case $1 in
    amd64) echo "console=ttyS0 quiet panic=-1 syscall.x32=y" ;;
    arm64) echo "console=ttyAMA0 quiet panic=-1" ;;
    s390x) echo "console=ttysclp0 quiet panic=-1" ;;
    ppc64el) echo "console=hvc0 quiet panic=-1" ;;
    i386)  echo "console=ttyS0 quiet panic=-1" ;;
    armhf) echo "console=ttyAMA0 quiet panic=-1" ;;
  esac
}

# get_kernel SUITE PACKAGE: unpack that kernel below $work
get_kernel ()
{
  package=$2
  case $1 in *-*) package=$package/$1 ;; esac
  rm -rf "$work/kernel"
  RELEASE=${1%%-*} "$kernels_dir/debs" "$arch" "$work/kernel" "$package"
}

# needs FILE...: names of the libraries that the programs are linked with
needs ()
{
  readelf -d "$@" 2>/dev/null | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort -u
}

# find_lib NAME: where the library is
find_lib ()
{
  for at in $lib_dirs; do
    [ ! -f "$at/$1" ] || { echo "$at/$1"; return; }
  done

  die "no library $1 for $arch"
}

# libraries FILE...: put what the programs need into the initramfs, and what that needs
libraries ()
{
  for name in $(needs "$@"); do
    case $name in libev.so*) continue ;; esac

    if [ ! -e "$fs/lib/$name" ]; then
      file=$(find_lib "$name")
      cp -L "$file" "$fs/lib/$name"
      libraries "$file"
    fi
  done
}

# interpreters FILE...: the same for their dynamic linkers, which have an absolute name
interpreters ()
{
  for name in $(readelf -l "$@" 2>/dev/null | sed -n 's/.*program interpreter: \(.*\)\]/\1/p' | sort -u); do
    mkdir -p "$fs${name%/*}"
    cp -L "$(find_lib "${name##*/}")" "$fs$name"
  done
}

# begin_initramfs: an empty one, but for init
begin_initramfs ()
{
  fs=$work/fs
  rm -rf "$fs"
  mkdir -p "$fs/lib" "$fs/bin" "$fs/t"
  "$init_cc" -static -O2 -Wall "$kernels_dir/init.c" -o "$fs/init"
}

# end_initramfs: add what the programs need, and pack it
end_initramfs ()
{
  libraries $(find "$fs/t" -type f -perm -100)
  interpreters $(find "$fs/t" -type f -perm -100)
  cp -L "$(find_lib libgcc_s.so.1)" "$fs/lib/" # glibc loads it when a thread ends early

  (cd "$fs" && find . | cpio --quiet -o -H newc -R 0:0 | gzip -1) >"$work/initramfs"
  rm -rf "$fs"
}

# boot CPUS MEGABYTES [OPTION...]: run the machine until it switches itself off
boot ()
{
  image=$(find "$work/kernel" -name 'vmlinu[xz]*' -type f)
  [ -f "$image" ] || die "no kernel in $work/kernel"
  cpus=$1
  megabytes=$2
  shift 2

  timeout --foreground -k 10 $((MINUTES * 60)) nice -n 19 $(machine "$arch") "$@" -nodefaults -nographic -no-reboot -serial stdio \
    -smp "$cpus" -m "$megabytes" -kernel "$image" -initrd "$work/initramfs" -append "$(boot_options "$arch")" \
    </dev/null >"$work/console.log" 2>&1 || :

  # carriage returns, and what firmware does to a terminal
  sed -i 's/\r//g; s/\x1b\[[^a-zA-Z]*[a-zA-Z]//g; s/\x1bc//g; s/^.*@@ /@@ /' "$work/console.log"
}

# said WHAT: what init said of it
said ()
{
  sed -n "s/^@@ $1 //p" "$work/console.log"
}
