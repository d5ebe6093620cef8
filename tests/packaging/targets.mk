# The patch series, the scripts that handle it, and what is installed.

CHECK_TARGETS  += check-packaging
$(call needs,check-packaging,bats quilt git abigail-tools libev4 g++ clang)

# other C libraries and pointer sizes, where there are such packages
ifeq ($(shell uname -m),x86_64)
$(call needs,check-packaging,gcc-multilib musl-tools)
endif

.PHONY: check-packaging
check-packaging: all
	@BUILD=$(abspath $(BUILD)) bats tests/packaging
