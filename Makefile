# ev_linuxaio: a Linux AIO poll backend for libev.
#
#   make                    libev 4.33 with the backend, in build/inst
#   make run                see it serve real traffic (one to three minutes)
#   make doctor             will programs use it here, and if not, why not? (PID=4711: a process)
#   make try CMD="command"  a command of yours on epoll and on this, in turns
#   make install            libraries, headers, manual and libev.pc into PREFIX and LIBDIR
#   make uninstall          remove what make install has put there
#   make deb                Debian packages, in build/deb
#   make apply DIR=path     put the backend into a libev source tree of your own
#   make clean              remove what was built
#   make help               print this
#
# Tests; tests/README says where a new one belongs
#
#   make check              all of these, as many at a time as there are CPUs (eight minutes)
#   make check-behaviour    what libev promises, on every kind of loop; TEST=part-of-name LOOP=64 DEBUG=1
#   make check-rings        what only this backend has, and kernels that refuse; TEST= LOOP= DEBUG=1
#   make check-random       random programs, judged by poll (2); SEED= N=
#   make check-programs     Debian's programs, unmodified; TEST=
#   make check-doctor       what make doctor finds
#   make check-examples     the examples of the manual and of README
#   make check-soak         an echo service, for some seconds
#   make check-bench        system calls for an operation
#   make check-packaging    patches, scripts, installation, compilers, the ABI
#   make check-older-libev  the backend in libev 4.24
#
# More tests, which take longer
#
#   make check-deep         sanitizers, valgrind, static analysis
#   make check-coverage     do these tests reach every line of the backend?
#   make check-mutants      do they notice a backend that is broken? N=60 SEED=1
#   make check-kernels      other kernels and machines, emulated (as root); KERNELS=
#   make check-debian       what README says, on a bare Debian 12 and 13 (as root); RELEASES= WHAT=
#   make check-copies       copies of libev in other projects; COPIES="DIR..."
#   make fuzz-random        libFuzzer on the random programs; MINUTES=1
#   make soak               the echo service; MINUTES=60
#
# Measurements
#
#   make bench-emulated     instructions of an operation, the kernel's included, on two kernels
#   make bench              the same in time; other ones: tests/bench/README
#   make bench-report       all that was measured as a page; make check-report opens it
#   make pristine           libev 4.33 as it is, to compare with, in build/pristine-inst
#
# Variables
#
#   LIBEV_SRC=path          take libev from this directory or tarball
#   CC= CFLAGS= CPPFLAGS= LDFLAGS=
#                           compiler and flags, for libev and the tests
#   PREFIX=/usr/local LIBDIR=PREFIX/lib DESTDIR=
#                           where to install
#   BUILD=build             where to build
#
# LIBEV_SRC, CC and the flags are remembered, once libev could be configured with
# them, until they are given again or `make clean`: `make check` and `make install`
# use what was built.

.DEFAULT_GOAL := all
MAKEFLAGS     += --no-print-directory

PREFIX   ?= /usr/local
LIBDIR   ?= $(PREFIX)/lib
dest      = $(abspath $(DESTDIR))
BUILD    ?= build
INST     := $(BUILD)/inst
SETTINGS := LIBEV_SRC CC CFLAGS CPPFLAGS LDFLAGS

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

.PHONY: all pristine check packages install uninstall apply clean help FORCE

all: $(BUILD)/inst.done
pristine: $(BUILD)/pristine-inst.done

#############################################################################
# libev

# $(call install,TREE,ROOT,PREFIX,LIBDIR): as libev's own rules would, but for two
# files that Debian has reason to keep out of libev-dev, too: libev.la, and event.h,
# which would take the place of libevent's header of that name
install = install -d $(2)$(4)/pkgconfig $(2)$(3)/include $(2)$(3)/share/man/man3 \
	&& install -m 644 $(1)/.libs/libev.a $(1)/.libs/libev.so.*.*.* $(2)$(4) \
	&& cp -P --remove-destination $(1)/.libs/libev.so $(1)/.libs/libev.so.4 $(2)$(4) \
	&& for h in ev.h ev++.h ev_linuxaio.h; do test ! -e $(1)/$$h || install -m 644 $(1)/$$h $(2)$(3)/include || exit 1; done \
	&& install -m 644 $(1)/ev.3 $(2)$(3)/share/man/man3 \
	&& printf '%s\n' 'prefix=$(3)' 'includedir=$${prefix}/include' 'libdir=$(4)' 'Name: libev' 'Description: event loop' 'Version: 4.33' \
	   'Libs: -L$${libdir} -lev' 'Libs.private: -lm' 'Cflags: -I$${includedir}' >$(2)$(4)/pkgconfig/libev.pc \
	&& chmod 644 $(2)$(4)/pkgconfig/libev.pc

ifndef BUILDING

# many makes may run at a time, but only one of them builds
$(BUILD)/inst.done $(BUILD)/pristine-inst.done: FORCE
	+@mkdir -p $(BUILD)/log && flock -o $(BUILD)/lock $(MAKE) BUILDING=1 $@

else

# $(call need,COMMAND,PACKAGE)
need = command -v $(1) >/dev/null || { echo "$(1) not found: install the package $(2)" >&2; exit 1; }

# $(call logged,NAME,COMMAND): what it says is only of interest if it fails
logged = ( $(2) ) >$(BUILD)/log/$(1) 2>&1 || { tail -n 20 $(BUILD)/log/$(1) >&2; echo "failed: $(1), more in $(BUILD)/log/$(1)" >&2; exit 1; }

# what was given is tried, and remembered when it has worked
$(BUILD)/settings: FORCE
	@$(file >$@.new,$(settings))
	@cmp -s $@.new $@ || cp $@.new $@; rm -f $@.new

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
	@cp $(BUILD)/settings $(BUILD)/settings.mk
	@touch $@

$(BUILD)/inst.done: $(BUILD)/libev.done ev_linuxaio.c ev_linuxaio.h
	@patches/apply $(BUILD)/libev >/dev/null
	@$(call logged,build,$(MAKE) -C $(BUILD)/libev)
	@$(call logged,install,$(call install,$(BUILD)/libev,,$(abspath $(INST)),$(abspath $(INST))/lib))
	@touch $@
	@echo "built $(INST)/lib/libev.so.4 and libev.a"

$(BUILD)/pristine-inst.done: $(BUILD)/tools patches/get-libev
	@rm -rf $(BUILD)/pristine
	@patches/get-libev $(BUILD)/pristine
	@$(call logged,pristine-configure,cd $(BUILD)/pristine && CPPFLAGS="$$CPPFLAGS -DEV_USE_LINUXAIO=1" ./configure --quiet)
	@cp $(BUILD)/settings $(BUILD)/settings.mk
	@$(call logged,pristine-build,$(MAKE) -C $(BUILD)/pristine CPPFLAGS="$$CPPFLAGS -DEV_USE_LINUXAIO=1")
	@$(call logged,pristine-install,$(call install,$(BUILD)/pristine,,$(abspath $(BUILD)/pristine-inst),$(abspath $(BUILD)/pristine-inst)/lib))
	@touch $@
	@echo "built $(BUILD)/pristine-inst/lib/libev.so.4 and libev.a"

endif

# what was put where, for make uninstall
installed = $(BUILD)/installed$(subst /,-,$(dest)$(PREFIX))

install: all
	@rm -rf $(BUILD)/stage
	@$(call install,$(BUILD)/libev,$(BUILD)/stage,$(PREFIX),$(LIBDIR))
	@install -D -m 755 tests/programs/doctor $(BUILD)/stage$(PREFIX)/bin/ev-linuxaio-doctor
	@mkdir -p $(dest)/
	@cd $(BUILD)/stage && find . -mindepth 1 -printf '%P\n' | while read -r name; do \
	  if test ! -d "$$name"; then cp -d --preserve=mode --remove-destination "$$name" "$(dest)/$$name" || exit 1; \
	  elif test ! -d "$(dest)/$$name"; then mkdir -m 755 "$(dest)/$$name" || exit 1; \
	  else continue; fi; \
	  echo "$(dest)/$$name"; \
	done >>$(abspath $(installed))
	@echo "installed in $(dest)$(PREFIX)"

uninstall:
	@test -f $(installed) || { echo "make install has put nothing into $(dest)$(PREFIX)" >&2; exit 1; }
	@sort -ru $(installed) | while read -r name; do rm -df "$$name" 2>/dev/null || test -d "$$name" || exit 1; done
	@rm $(installed)
	@echo "removed from $(dest)$(PREFIX)"

apply:
	@test -n "$(DIR)" || { echo "usage: make apply DIR=path" >&2; exit 1; }
	@patches/apply "$(DIR)"

# the tarballs stay, they need not be downloaded again, and what is known of installations
clean:
	@test ! -d $(BUILD) || find $(BUILD) -mindepth 1 -maxdepth 1 ! -name '*.orig.tar.gz' ! -name 'installed-*' -exec rm -rf {} +

help:
	@sed -n '1,/^$$/s/^# \{0,1\}//p' Makefile

#############################################################################
# tests

# what the tests/*/targets.mk add to: the parts of make check, each with the
# packages that it needs, $(call needs,TARGETS,PACKAGES)
CHECK_TARGETS :=
needs = $(foreach t,$(1),$(eval PACKAGES_$(t) += gcc libc6-dev patch $(2)))

include tests/lib/programs.mk $(sort $(wildcard tests/*/targets.mk))

$(call needs,check,$(foreach t,$(CHECK_TARGETS),$(PACKAGES_$(t))))
PACKAGES := $(sort $(foreach t,$(MAKECMDGOALS),$(PACKAGES_$(t))))

# elsewhere than on Debian, packages have other names
packages:
	@! command -v dpkg-query >/dev/null || tests/setup/install-packages $(PACKAGES)

ifneq ($(PACKAGES),)
$(MAKECMDGOALS) $(BUILD)/inst.done $(BUILD)/pristine-inst.done: | packages
endif

# as many parts at a time as there are CPUs, also after one that fails. What a part says is
# printed when it has ended
check: all
	+@: >$(FAILURES); : >$(BUILD)/passed; date +%s >$(BUILD)/began; \
	$(MAKE) -k -Orecurse -j $$(nproc) $(CHECK_TARGETS:%=passed-%); \
	failed=$$(printf '%s\n' $(CHECK_TARGETS) | grep -vxFf $(BUILD)/passed); \
	echo "$$(wc -l <$(BUILD)/passed) passed, $$(echo $$failed | wc -w) failed"; \
	cat $(FAILURES); \
	for part in $$failed; do echo "failed: make $$part"; done; \
	test -s $(BUILD)/passed && test -z "$$failed"

passed-%: %
	@echo $* >>$(BUILD)/passed
	@echo "== $* passed: $$(wc -l <$(BUILD)/passed) of $(words $(CHECK_TARGETS)), after $$(($$(date +%s) - $$(cat $(BUILD)/began))) s"

check-%:
	$(error no $@ here, only $(sort $(shell sed -n 's/^#   make \(check-[a-z-]*\).*/\1/p' Makefile)))
