# tests/kernels: other kernels, machines, word sizes and C libraries
#
#   make check-kernels           all of it (as root; an hour)
#   KERNELS="s390x-6.1"          only these of tests/kernels/run; KERNELS=none: compile only

$(call needs,check-kernels,mmdebstrap util-linux cpio qemu-system-x86 qemu-system-arm qemu-system-misc qemu-system-ppc)

.PHONY: check-kernels
check-kernels: $(BUILD)/inst.done
	@BUILD=$(abspath $(BUILD)) tests/kernels/run $(KERNELS)
