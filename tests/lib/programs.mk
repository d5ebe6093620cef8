# tests/lib: how programs of tests are made and run
#
# $(call flavour,NAME,FLAGS OF LIBEV,FLAGS OF THE TESTS,CALLS)
#     how libev is compiled into the programs of $(TEST_OUT)/NAME; fault_CALL is called in the place of each of the calls
# $(call test_program,NAME,FLAVOUR,SOURCES,FLAGS OF THE LINKER)
#     the rule for $(TEST_OUT)/FLAVOUR/NAME
# $(call check,NAME,FLAVOURS)
#     make check-NAME builds and runs that program in these flavours, or in FLAVOUR=;
#     TEST=part-of-name and LOOP=select|poll|epoll|64|ring|68 choose, DEBUG=1 starts gdb

# what tests/deep changes: where programs are made, of what libev, how, and what runs them
TEST_OUT   = $(BUILD)/test
TREE       = $(BUILD)/libev
TEST_CC    = $(CC)
OBJCOPY    = objcopy
INSTRUMENT =
RUN        =

# suites add to it what they find, and how to run that again
export FAILURES ?= $(abspath $(BUILD))/failures

TEST_FLAGS   = -std=gnu11 -D_GNU_SOURCE= -pthread -O1 -g -Wall -Wextra -Wno-unused-parameter -Werror=unused-variable -Werror=unused-function \
	-fno-strict-aliasing -fno-optimize-sibling-calls -ffile-prefix-map=$(CURDIR)/= -Itests/lib
TEST_EV      = -w -pthread -O1 -g -fno-strict-aliasing -DHAVE_CONFIG_H -DNDEBUG
TEST_LIBS    = -pthread -lm
TEST_FIXTURE = tests/lib/fixture.c tests/lib/runner.c tests/lib/account.c tests/lib/world.c
TEST_ASAN    = -fsanitize=address,undefined -fno-sanitize-recover=undefined

define flavour
COMPILE_$(1) = $$(TEST_CC) $$(TEST_EV) $(2) $$(INSTRUMENT) $$(CFLAGS)
RENAME_$(1)  = $(if $(4),$$(OBJCOPY) $(foreach c,$(4),--redefine-sym $(c)=fault_$(c)))

$(TEST_OUT)/$(1)/libev.o: $(BUILD)/inst.done tests/lib/programs.mk tests/lib/fault.h
	@mkdir -p $$(@D)
	@$$(COMPILE_$(1)) -I$$(TREE) -c $$(TREE)/ev.c -o $$@
	@$(if $(4),$$(RENAME_$(1)) $$@)

$(TEST_OUT)/$(1)/o/%.o: tests/%.c tests/lib/programs.mk | $(BUILD)/inst.done
	@mkdir -p $$(@D)
	@$$(TEST_CC) $$(TEST_FLAGS) '-DTEST_FLAVOUR="$(1)"' -DIS_COMPILED=$(if $(filter installed,$(1)),0,1) $(3) -isystem $$(TREE) $$(INSTRUMENT) $$(CFLAGS) -MD -MP -c $$< -o $$@
endef

-include $(wildcard $(TEST_OUT)/*/o/*/*.d)

# the shared library, as users have it, and the same compiled in
$(eval $(call flavour,installed))
$(eval $(call flavour,plain))

# policy is what the variables of fault.h say, and calls fail as a test wants them to
KNOBS := -include tests/lib/fault.h -DEV_LINUXAIO_RING_FIRST=knob_first -DEV_LINUXAIO_RING_NEXT=knob_next -DEV_LINUXAIO_WORTH=knob_worth
BELOW := syscall epoll_ctl epoll_wait epoll_pwait2 eventfd poll mmap munmap madvise getsockopt fstat open close uname clock_gettime
$(eval $(call flavour,knobs,$(KNOBS),-DFAULTS=0))
$(eval $(call flavour,below,$(KNOBS) -U_FORTIFY_SOURCE,-DFAULTS=1 -DTEST_LOOPS=LINUXAIO,$(BELOW)))

# the same, and rings are made at once, and for a few fds only
$(eval $(call flavour,tiny,$(KNOBS) -U_FORTIFY_SOURCE,-DFAULTS=1 -DTEST_LOOPS=LINUXAIO -DTINY=1,$(BELOW)))

define test_program
programs: $(filter-out %/fuzzer $(TEST_OUT)/installed/%,$(TEST_OUT)/$(2)/$(1))
OBJECTS_$(2)/$(1) = $(patsubst tests/%.c,$(TEST_OUT)/$(2)/o/%.o,$(3))
$(TEST_OUT)/$(2)/$(1): $(sort $(dir $(3))) $$(OBJECTS_$(2)/$(1)) $(if $(filter installed,$(2)),$(BUILD)/inst.done,$(TEST_OUT)/$(2)/libev.o)
	@$$(TEST_CC) $$(INSTRUMENT) $$(CFLAGS) $$(filter %.o,$$^) -o $$@ $$(LDFLAGS) $(4) \
	  $(if $(filter installed,$(2)),-L$(INST)/lib -Wl$(comma)-rpath$(comma)$(abspath $(INST))/lib -lev) $$(TEST_LIBS)
endef

# the shared library is as it is: where something else is wanted, that is compiled in
flavours = $(if $(INSTRUMENT)$(filter-out $(BUILD)/libev,$(TREE)),$(1:installed=plain),$(1))

define check
CHECK_TARGETS += check-$(1)
.PHONY: check-$(1)
check-$(1): $(patsubst %,$(TEST_OUT)/%/$(1),$(or $(FLAVOUR),$(call flavours,$(if $(DEBUG),$(firstword $(2)),$(2)))))
	@$$(foreach p,$$^,$(if $(DEBUG),gdb -q -ex 'handle SIG63 nostop noprint' -ex 'break give_up' -ex run --args $$(p) -n,$$(RUN) $$(p) -f $$(FAILURES)) \
	  $(if $(TEST),-t '$(TEST)') $(if $(LOOP),-l '$(LOOP)') &&) true
endef
