# tests/kernels: other kernels, machines, word sizes and C libraries; see README

$(call needs,check-kernels,mmdebstrap util-linux cpio qemu-system-x86 qemu-system-arm qemu-system-misc qemu-system-ppc)

.PHONY: check-kernels
check-kernels: $(BUILD)/inst.done
	@BUILD=$(abspath $(BUILD)) tests/kernels/run $(KERNELS)
