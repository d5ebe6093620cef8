# tests/setup: make check-debian RELEASES="bookworm trixie" (as root)

$(call needs,check-debian,mmdebstrap git util-linux)

.PHONY: check-debian
check-debian:
	@tests/setup/check-debian $(BUILD)/debian $(or $(RELEASES),bookworm trixie)
