# tests/setup: make check-debian RELEASES="bookworm trixie" WHAT="run install deb check" (as root)

$(call needs,check-debian,mmdebstrap git util-linux)

export WHAT

.PHONY: check-debian
check-debian:
	@tests/setup/check-debian $(BUILD)/debian $(or $(RELEASES),bookworm trixie)
