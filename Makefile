# ev_linuxaio: a Linux AIO poll backend for libev.
#
#   make                    libev 4.33 with the backend, in build/inst
#   make run                see it serve real traffic (about a minute)
#   make check              run the tests
#   make bench              run the measurements
#   make install            install libraries and headers into PREFIX
#   make apply DIR=path     put the backend into a libev source tree of your own
#   make pristine           libev 4.33 as it is, to compare with, in build/pristine-inst
#   make clean              remove what was built
#   make help               print this
#
#   LIBEV_SRC=path          take libev from this directory or tarball
#   CC= CFLAGS= CPPFLAGS= LDFLAGS=
#                           compiler and flags, for libev and the tests
#   PREFIX=/usr/local DESTDIR=
#                           where to install
#   BUILD=build             where to build
#
# LIBEV_SRC, CC and the flags are remembered until they are given again or
# `make clean`, so that `make check` and `make install` use what was built.

.DEFAULT_GOAL := all
MAKEFLAGS     += --no-print-directory

PREFIX   ?= /usr/local
BUILD    ?= build
INST     := $(BUILD)/inst
SETTINGS := LIBEV_SRC CC CFLAGS CPPFLAGS LDFLAGS

# what the tests/*/targets.mk add to: targets that run something, and the packages they need
CHECK_TARGETS  :=
RUN_TARGETS    :=
BENCH_TARGETS  :=
BUILD_PACKAGES := gcc libc6-dev patch
CHECK_PACKAGES := $(BUILD_PACKAGES)
RUN_PACKAGES   := $(BUILD_PACKAGES)
BENCH_PACKAGES := $(BUILD_PACKAGES)
PART_PACKAGES  := $(BUILD_PACKAGES)

# $(call needs,GOALS,PACKAGES): make check needs them, and so do those goals by themselves
needs = $(eval CHECK_PACKAGES += $(2))$(if $(filter $(1),$(MAKECMDGOALS)),$(eval PART_PACKAGES += $(2)))

-include $(BUILD)/settings.mk

given  = $(filter-out undefined default,$(origin $(1)))
hash  := \#
comma := ,
define newline


endef
$(foreach s,$(SETTINGS),$(if $(call given,$(s)),,$(if $(call given,kept.$(s)),$(eval $(s) = $$(kept.$(s))))))
$(foreach s,$(SETTINGS),$(if $(call given,$(s)),$(eval export $(s))))
ifneq ($(LIBEV_SRC),)
override LIBEV_SRC := $(shell realpath -m -- "$(LIBEV_SRC)")
endif
settings := $(foreach s,$(SETTINGS),$(if $(call given,$(s)),kept.$(s) := $(subst $(hash),\$(hash),$(subst $$,$$$$,$($(s))))$(newline)))

include $(sort $(wildcard tests/*/targets.mk))

.PHONY: all pristine run check part-packages bench install apply clean help FORCE

# $(call install,TREE,ROOT): as libev's own rules would, but for two files that
# Debian has reason to keep out of libev-dev, too: libev.la, and event.h, which
# would take the place of libevent's header of that name
install = install -d $(2)/lib $(2)/include $(2)/share/man/man3 \
	&& install -m 644 $(1)/.libs/libev.a $(1)/.libs/libev.so.*.*.* $(2)/lib \
	&& cp -P --remove-destination $(1)/.libs/libev.so $(1)/.libs/libev.so.4 $(2)/lib \
	&& for h in ev.h ev++.h ev_linuxaio.h; do test ! -e $(1)/$$h || install -m 644 $(1)/$$h $(2)/include || exit 1; done \
	&& install -m 644 $(1)/ev.3 $(2)/share/man/man3

all: $(BUILD)/inst.done
pristine: $(BUILD)/pristine-inst.done

ifndef BUILDING

# many makes may run at a time, but only one of them builds
$(BUILD)/inst.done $(BUILD)/pristine-inst.done: FORCE
	+@mkdir -p $(BUILD)/log && flock -o $(BUILD)/lock $(MAKE) BUILDING=1 $@

else

# $(call need,COMMAND,PACKAGE)
need = command -v $(1) >/dev/null || { echo "$(1) not found: install the package $(2)" >&2; exit 1; }

# $(call logged,NAME,COMMAND): what it says is only of interest if it fails
logged = ( $(2) ) >$(BUILD)/log/$(1) 2>&1 || { tail -n 20 $(BUILD)/log/$(1) >&2; echo "failed: $(1), more in $(BUILD)/log/$(1)" >&2; exit 1; }

$(BUILD)/settings: FORCE
	@$(file >$@.new,$(settings))
	@cmp -s $@.new $@ || { cp $@.new $(BUILD)/settings.mk && cp $@.new $@; }; rm -f $@.new

$(BUILD)/tools: $(BUILD)/settings
	@$(call need,$(firstword $(CC)),gcc$(if $(call given,CC),$(comma) or set CC to another compiler))
	@$(call need,patch,patch)
	@echo '#include <stdlib.h>' | $(CC) -E - >/dev/null 2>&1 || { echo "$(CC) finds no stdlib.h: install the package libc6-dev" >&2; exit 1; }
	@touch $@

$(BUILD)/libev.done: $(BUILD)/tools patches/get-libev patches/apply $(wildcard patches/libev-*/*)
	@rm -rf $(BUILD)/libev
	@patches/get-libev $(BUILD)/libev
	@patches/apply $(BUILD)/libev >/dev/null
	@$(call logged,configure,cd $(BUILD)/libev && ./configure --quiet)
	@! grep -q 'undef HAVE_LINUX_AIO_ABI_H' $(BUILD)/libev/config.h || { echo "$(CC) finds no linux/aio_abi.h: install the package linux-libc-dev" >&2; exit 1; }
	@touch $@

$(BUILD)/inst.done: $(BUILD)/libev.done ev_linuxaio.c ev_linuxaio.h
	@patches/apply $(BUILD)/libev >/dev/null
	@$(call logged,build,$(MAKE) -C $(BUILD)/libev)
	@$(call logged,install,$(call install,$(BUILD)/libev,$(INST)))
	@touch $@
	@echo "built $(INST)/lib/libev.so.4 and libev.a"

$(BUILD)/pristine-inst.done: $(BUILD)/tools patches/get-libev
	@rm -rf $(BUILD)/pristine
	@patches/get-libev $(BUILD)/pristine
	@$(call logged,pristine-configure,cd $(BUILD)/pristine && CPPFLAGS="$$CPPFLAGS -DEV_USE_LINUXAIO=1" ./configure --quiet)
	@$(call logged,pristine-build,$(MAKE) -C $(BUILD)/pristine CPPFLAGS="$$CPPFLAGS -DEV_USE_LINUXAIO=1")
	@$(call logged,pristine-install,$(call install,$(BUILD)/pristine,$(BUILD)/pristine-inst))
	@touch $@
	@echo "built $(BUILD)/pristine-inst/lib/libev.so.4 and libev.a"

endif

install: all
	@$(call install,$(BUILD)/libev,$(DESTDIR)$(PREFIX))
	@echo "installed in $(DESTDIR)$(PREFIX)"

apply:
	@test -n "$(DIR)" || { echo "usage: make apply DIR=path" >&2; exit 1; }
	@patches/apply "$(DIR)"

# $(call each,TARGETS): make one after the other, go on after a failure, sum up
each = passed=0; failed=0; names=; \
	for target in $(1); do \
	  if $(MAKE) $$target; then passed=$$((passed + 1)); else failed=$$((failed + 1)); names="$$names $$target"; fi; \
	done; \
	test -z "$$names" || echo "failed:$$names"; \
	echo "$$passed passed, $$failed failed"; \
	test $$passed -gt 0 && test $$failed = 0

check:
	@tests/setup/install-packages $(sort $(CHECK_PACKAGES))
	@$(MAKE) all
	+@$(call each,$(CHECK_TARGETS))

# a part of the checks that is asked for by name; elsewhere than on Debian, packages have other names
part-packages:
	@! command -v dpkg-query >/dev/null || tests/setup/install-packages $(sort $(PART_PACKAGES))

parts := $(filter check-% soak fuzz-random,$(MAKECMDGOALS))
ifneq ($(parts),)
$(parts) $(BUILD)/inst.done $(BUILD)/pristine-inst.done: | part-packages
endif

run:
	@tests/setup/install-packages $(sort $(RUN_PACKAGES))
	@$(MAKE) all
	@test -n "$(RUN_TARGETS)" && $(MAKE) $(RUN_TARGETS)

bench:
	@tests/setup/install-packages $(sort $(BENCH_PACKAGES))
	@$(MAKE) all pristine
	@test -n "$(BENCH_TARGETS)" && $(MAKE) $(BENCH_TARGETS)

# the tarball of libev stays, it need not be downloaded again
clean:
	@test ! -d $(BUILD) || find $(BUILD) -mindepth 1 -maxdepth 1 ! -name '*.orig.tar.gz' -exec rm -rf {} +

help:
	@sed -n '1,/^$$/s/^# \{0,1\}//p' Makefile
