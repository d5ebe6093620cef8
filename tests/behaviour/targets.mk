# tests/behaviour: what libev promises, on all its backends
#
#   make check-behaviour            all suites, on the library that was built
#   make check-behaviour-pristine   on libev 4.33 as it is: which tests fail there
#   make check-behaviour-asan       under AddressSanitizer, UBSan and LeakSanitizer
#   make check-behaviour-valgrind   under valgrind
#
# CK_RUN_SUITE, CK_RUN_CASE (a backend), CK_FORK and CK_VERBOSITY are Check's.
# BEHAVIOUR_PATIENCE says after how many milliseconds an event is given up.

CHECK_TARGETS  += check-behaviour
$(call needs,check-behaviour check-behaviour-asan check-behaviour-valgrind check-behaviour-pristine,check pkg-config liburing-dev)
$(call needs,check-behaviour-valgrind,valgrind)

, := ,
BEHAVIOUR_OUT    := $(BUILD)/behaviour
BEHAVIOUR_SUITES := $(filter-out options quota,$(basename $(notdir $(wildcard tests/behaviour/*.c))))
BEHAVIOUR_FLAGS   = -std=gnu11 -D_GNU_SOURCE -pthread -O1 -g -Wall -Wextra -Werror=unused-variable -Werror=unused-function
BEHAVIOUR_LIBS    = $$(pkg-config --libs check) -luring -pthread -lm

BEHAVIOUR_INST    = -L$(INST)/lib -Wl,-rpath,'$$ORIGIN/../../$(notdir $(INST))/lib' -lev

# libev with other options than it is installed with: a tree that was built, compiled into the tests
BEHAVIOUR_EV      = $(CC) -O1 -g -w -fno-strict-aliasing -DHAVE_CONFIG_H -DNDEBUG -DEV_WALK_ENABLE=1

# a ring that is always too small: made for two fds, full with a few more, replaced all the time
BEHAVIOUR_SMALL   = -DEV_LINUXAIO_RING_FDS=2 -DEV_LINUXAIO_RING_MIN=6 -DEV_LINUXAIO_RING_MAX=60 -DEV_LINUXAIO_VALGRIND=1

# the same, and the loop is found to be better off with and without it ever so often
BEHAVIOUR_FICKLE  = $(BEHAVIOUR_SMALL) -DEV_LINUXAIO_CHANGES=40 -DEV_LINUXAIO_EVENTS=300

BEHAVIOUR_ASAN   := -fsanitize=address$(,)undefined -fno-sanitize-recover=undefined

# $(call behaviour_flavour,NAME,FLAGS,MADE BY): the objects of a flavour
define behaviour_flavour
$(BEHAVIOUR_OUT)/$(1)/%.o: tests/behaviour/%.c $(wildcard tests/behaviour/*.h) tests/behaviour/targets.mk $(3)
	@mkdir -p $$(@D)
	@$$(CC) $$(BEHAVIOUR_FLAGS) $(2) $$(CFLAGS) -c $$< -o $$@
endef

# $(call behaviour_libev,NAME,TREE,FLAGS,MADE BY): libev compiled in.
# its select backend copies nothing from and to null pointers
define behaviour_libev
$(BEHAVIOUR_OUT)/$(1)/libev.o: tests/behaviour/targets.mk $(4)
	@mkdir -p $$(@D)
	@$$(BEHAVIOUR_EV) $(3) $(if $(findstring -fsanitize,$(3)),-fno-sanitize=nonnull-attribute) -I$(2) $$(CFLAGS) -c $(2)/ev.c -o $$@
endef

# $(call behaviour_program,NAME,PROGRAM,OBJECTS,LIBEV,FLAGS)
define behaviour_program
$(BEHAVIOUR_OUT)/$(1)/$(2): $(patsubst %,$(BEHAVIOUR_OUT)/$(1)/%.o,fixture $(3))
	@$$(CC) -pthread $(5) $$(CFLAGS) $$^ -o $$@ $$(LDFLAGS) $(4) $$(BEHAVIOUR_LIBS)
endef

# $(call behaviour_compiled_in,NAME,TREE,FLAGS FOR LIBEV,FLAGS FOR THE TESTS,MADE BY,FLAGS FOR BOTH,NOT THESE): all of it
define behaviour_compiled_in
$(call behaviour_flavour,$(1),$(4) $(6) -DEV_WALK_ENABLE=1 -isystem $(2),$(5))
$(call behaviour_libev,$(1),$(2),$(3) $(6),$(5))
$(call behaviour_program,$(1),suites,$(filter-out $(7),$(BEHAVIOUR_SUITES)) libev,,$(6))
$(call behaviour_program,$(1),options,options libev,,$(6))
$(call behaviour_program,$(1),quota,quota libev,,$(6))
endef

$(eval $(call behaviour_flavour,inst,-isystem $(INST)/include,$(BUILD)/inst.done))
$(eval $(call behaviour_program,inst,suites,$(BEHAVIOUR_SUITES),$$(BEHAVIOUR_INST)))
$(eval $(call behaviour_program,inst,quota,quota,$$(BEHAVIOUR_INST)))
$(eval $(call behaviour_compiled_in,full,$(BUILD)/libev,,,$(BUILD)/inst.done))
$(eval $(call behaviour_compiled_in,small,$(BUILD)/libev,$(BEHAVIOUR_SMALL) -DEV_LINUXAIO_EVENTS=INT_MAX,-DSMALL_RING,$(BUILD)/inst.done))
$(eval $(call behaviour_compiled_in,fickle,$(BUILD)/libev,$(BEHAVIOUR_FICKLE),-DSMALL_RING,$(BUILD)/inst.done))
$(eval $(call behaviour_compiled_in,pristine,$(BUILD)/pristine,-DEV_USE_LINUXAIO=1,-DPRISTINE,$(BUILD)/pristine-inst.done,,statistics))
$(eval $(call behaviour_compiled_in,asan-full,$(BUILD)/libev,,,$(BUILD)/inst.done,$(BEHAVIOUR_ASAN)))
$(eval $(call behaviour_compiled_in,asan-fickle,$(BUILD)/libev,$(BEHAVIOUR_FICKLE),-DSMALL_RING,$(BUILD)/inst.done,$(BEHAVIOUR_ASAN)))

# $(call behaviour_run,PROGRAM): a target that runs it, so that several may run at a time
define behaviour_run
.PHONY: run-behaviour-$(subst /,-,$(1))
run-behaviour-$(subst /,-,$(1)): $(BEHAVIOUR_OUT)/$(1)
	@echo "behaviour: $(1)"
	@$(BEHAVIOUR_OUT)/$(1)
endef

# those that use up the AIO quota come last, and wait for the others
BEHAVIOUR_RUNS      := inst/suites full/options small/suites small/options fickle/suites inst/quota
BEHAVIOUR_ASAN_RUNS := $(foreach f,asan-full asan-fickle,$(f)/suites $(f)/options) asan-full/quota
BEHAVIOUR_PRISTINE  := $(addprefix $(BEHAVIOUR_OUT)/pristine/,suites options quota)
$(foreach p,$(BEHAVIOUR_RUNS) $(BEHAVIOUR_ASAN_RUNS),$(eval $(call behaviour_run,$(p))))

.PHONY: check-behaviour check-behaviour-asan check-behaviour-pristine check-behaviour-valgrind
.PHONY: behaviour-programs behaviour-pristine-programs

behaviour-programs: $(addprefix $(BEHAVIOUR_OUT)/,$(BEHAVIOUR_RUNS))
behaviour-asan-programs: $(addprefix $(BEHAVIOUR_OUT)/,$(BEHAVIOUR_ASAN_RUNS))
behaviour-pristine-programs: $(BEHAVIOUR_PRISTINE)

# they sleep most of the time
check-behaviour:
	@$(MAKE) all
	@$(MAKE) behaviour-programs
	@$(MAKE) -j2 -k -O $(addprefix run-behaviour-,$(subst /,-,$(BEHAVIOUR_RUNS)))

check-behaviour-asan:
	@$(MAKE) all
	@$(MAKE) behaviour-asan-programs
	@$(MAKE) -j2 -k -O $(addprefix run-behaviour-,$(subst /,-,$(BEHAVIOUR_ASAN_RUNS)))

check-behaviour-pristine:
	@$(MAKE) pristine
	@$(MAKE) behaviour-pristine-programs
	@tests/behaviour/pristine $(BEHAVIOUR_PRISTINE)

# Valgrind follows one process, so Check must not fork for each test. Loops
# run on epoll there, unless they are told that their rings fit into a page; of
# these, valgrind reports every request as an opcode it does not know.
check-behaviour-valgrind:
	@$(MAKE) all
	@$(MAKE) behaviour-programs
	@rm -f $(BEHAVIOUR_OUT)/valgrind.log
	@CK_FORK=no BEHAVIOUR_PATIENCE=$${BEHAVIOUR_PATIENCE:-120000} \
	  valgrind -q --log-file=$(BEHAVIOUR_OUT)/valgrind.log --error-exitcode=1 --leak-check=full --child-silent-after-fork=yes \
	  $(BEHAVIOUR_OUT)/small/suites \
	  || { grep '^==' $(BEHAVIOUR_OUT)/valgrind.log >&2; echo "valgrind: see $(BEHAVIOUR_OUT)/valgrind.log" >&2; exit 1; }
	@echo "valgrind: no errors, no leaks"
