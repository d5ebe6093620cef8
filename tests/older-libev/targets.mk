# tests/older-libev: the backend in libev 4.24, which has none of that name
#
#   make check-older-libev
#
#   OLDER_LIBEV_SRC=path    take libev 4.24 from this directory or tarball
#
# The suites of tests/behaviour are run on it: those for linuxaio, and those
# for epoll, which the patches also touch, or what CK_RUN_CASE says.

CHECK_TARGETS  += check-older-libev
$(call needs,check-older-libev,check pkg-config liburing-dev)

OLDER_TREE    := $(BUILD)/libev-4.24
OLDER_OUT     := $(BUILD)/older-libev
OLDER_SUITES   = $(patsubst %,tests/behaviour/%.c,$(sort fixture $(BEHAVIOUR_SUITES)))
OLDER_CASES    = $(or $(CK_RUN_CASE),linuxaio-ring linuxaio-cold epoll)

.PHONY: check-older-libev $(addprefix older-libev-on-,$(OLDER_CASES))

# one of many makes builds, as for libev itself
ifndef BUILDING

$(OLDER_OUT)/suites: FORCE
	+@mkdir -p $(BUILD)/log && flock -o $(BUILD)/lock $(MAKE) BUILDING=1 $@

else

$(OLDER_TREE).done: $(BUILD)/tools patches/get-libev patches/apply $(wildcard patches/libev-4.24/*)
	@rm -rf $(OLDER_TREE)
	@patches/get-libev $(OLDER_TREE) 4.24
	@patches/apply $(OLDER_TREE) >/dev/null
	@touch $@

# as in a program that has libev inside: this copy lacks parts of its build system
$(OLDER_OUT)/ev.o: $(OLDER_TREE).done ev_linuxaio.c ev_linuxaio.h tests/older-libev/targets.mk
	@patches/apply $(OLDER_TREE) >/dev/null
	@mkdir -p $(OLDER_OUT)
	@$(CC) -w -O2 -g -fno-strict-aliasing -DEV_STANDALONE=1 $(CPPFLAGS) $(CFLAGS) -c $(OLDER_TREE)/ev.c -o $@

$(OLDER_OUT)/suites: $(OLDER_OUT)/ev.o $(wildcard tests/behaviour/*) tests/older-libev/compat.h
	@$(CC) $(BEHAVIOUR_FLAGS) -include tests/older-libev/compat.h -isystem $(OLDER_TREE) $(CFLAGS) \
	  $(OLDER_SUITES) $(OLDER_OUT)/ev.o -o $@ $(LDFLAGS) $(BEHAVIOUR_LIBS)

endif

check-older-libev: all
	@$(MAKE) $(OLDER_OUT)/suites
	@$(MAKE) -j --output-sync=target $(addprefix older-libev-on-,$(OLDER_CASES))

# they mostly wait, and need not do so one after the other
$(addprefix older-libev-on-,$(OLDER_CASES)): older-libev-on-%:
	@echo "libev 4.24, $*:"; CK_RUN_CASE=$* $(OLDER_OUT)/suites
