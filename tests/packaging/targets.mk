# The patch series, the scripts that handle it, what is installed, and copies of libev in other projects.
#
#   COPIES="DIR..."         make check-copies tries these as well
#   OLDER_LIBEV_SRC=path    take libev 4.24 from this directory or tarball

CHECK_TARGETS += check-packaging check-older-libev
$(call needs,check-packaging check-copies,bats pkg-config quilt git perl abigail-tools libev4 g++ clang)
$(call needs,check-older-libev)

# other C libraries and pointer sizes, where there are such packages
ifeq ($(shell uname -m),x86_64)
$(call needs,check-packaging,gcc-multilib musl-tools)
endif

export COPIES OLDER_LIBEV_SRC

.PHONY: check-packaging check-copies check-older-libev
check-packaging: all
	@BUILD=$(abspath $(BUILD)) bats tests/packaging
	@BUILD=$(abspath $(BUILD)) LIBEV_VERSION=4.24 bats tests/packaging/patches.bats tests/packaging/compilers.bats

check-copies: all
	@BUILD=$(abspath $(BUILD)) bats tests/packaging/copies.bats

$(BUILD)/libev-4.24.done: $(BUILD)/inst.done patches/get-libev patches/apply $(wildcard patches/libev-4.24/*) ev_linuxaio.c ev_linuxaio.h
	@rm -rf $(BUILD)/libev-4.24 $(BUILD)/test-4.24
	@patches/get-libev $(BUILD)/libev-4.24 4.24
	@patches/apply $(BUILD)/libev-4.24 >/dev/null
	@cp $(BUILD)/libev/config.h $(BUILD)/libev-4.24
	@touch $@

check-older-libev: $(BUILD)/libev-4.24.done
	@$(MAKE) TREE=$(BUILD)/libev-4.24 TEST_OUT=$(BUILD)/test-4.24 TEST_CC="$(CC) -include tests/packaging/older.h" check-behaviour
