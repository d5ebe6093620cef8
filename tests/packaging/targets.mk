# The patch series, the scripts that handle it, what is installed, and copies of libev in other projects.
#
#   make check-packaging    all of it
#   make check-copies       only the copies; COPIES="DIR..." tries these as well

CHECK_TARGETS  += check-packaging
$(call needs,check-packaging check-copies,bats quilt git perl abigail-tools libev4 g++ clang)

# other C libraries and pointer sizes, where there are such packages
ifeq ($(shell uname -m),x86_64)
$(call needs,check-packaging,gcc-multilib musl-tools)
endif

export COPIES OLDER_LIBEV_SRC

.PHONY: check-packaging check-copies
check-packaging: all
	@BUILD=$(abspath $(BUILD)) bats tests/packaging
	@BUILD=$(abspath $(BUILD)) LIBEV_VERSION=4.24 bats tests/packaging/patches.bats tests/packaging/compilers.bats

check-copies: all
	@BUILD=$(abspath $(BUILD)) bats tests/packaging/copies.bats
