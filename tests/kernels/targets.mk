# tests/kernels: other kernels and machines
#
#   make check-kernel-versions   which kernels may have a ring (part of make check)
#   make check-cross             compile for other machines, word sizes and C libraries
#   make check-kernels           run the tests on other kernels and machines, emulated
#
#   ROWS="i386 x32"              only these of check-cross
#   KERNELS="s390x-6.1"          only these of check-kernels

CHECK_TARGETS  += check-kernel-versions
$(call needs,check-kernel-versions,check pkg-config)

KERNELS_OUT := $(BUILD)/kernels

.PHONY: check-kernel-versions kernel-versions-program check-cross check-kernels

$(KERNELS_OUT)/versions: tests/kernels/versions.c $(BUILD)/inst.done
	@mkdir -p $(@D)
	@$(CC) -std=gnu11 -O1 -g -Wall -Wextra -isystem $(BUILD)/libev $(CFLAGS) $< -o $@ $(LDFLAGS) $$(pkg-config --libs check) -lm

kernel-versions-program: $(KERNELS_OUT)/versions

check-kernel-versions:
	@$(MAKE) all
	@$(MAKE) kernel-versions-program
	@$(KERNELS_OUT)/versions

check-cross:
	@tests/setup/install-packages gcc libc6-dev
	@$(MAKE) all
	@BUILD=$(abspath $(BUILD)) tests/kernels/cross $(ROWS)

check-kernels:
	@tests/setup/install-packages gcc libc6-dev patch check pkg-config liburing-dev binutils cpio \
	  qemu-system-x86 qemu-system-arm qemu-system-misc qemu-system-ppc
	@$(MAKE) all
	@BUILD=$(abspath $(BUILD)) tests/kernels/run $(KERNELS)
