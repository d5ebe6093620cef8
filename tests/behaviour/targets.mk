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
CHECK_PACKAGES += check pkg-config liburing-dev

BEHAVIOUR_OUT    := $(BUILD)/behaviour
BEHAVIOUR_COMMON := fixture
BEHAVIOUR_SUITES := $(filter-out $(BEHAVIOUR_COMMON) quota bad,$(basename $(notdir $(wildcard tests/behaviour/*.c))))

BEHAVIOUR_FLAGS   = -std=gnu11 -D_GNU_SOURCE -pthread -O1 -g -Wall -Wextra -Werror=unused-variable -Werror=unused-function
BEHAVIOUR_LIBS    = $$(pkg-config --libs check) -luring -pthread -lm

.PHONY: check-behaviour check-behaviour-pristine behaviour-programs behaviour-pristine-programs

# $(call behaviour,FLAVOUR,PROGRAM,SOURCES,FLAGS AND INCLUDES,WHAT IT DEPENDS ON,LIBEV)
define behaviour
$(BEHAVIOUR_OUT)/$(1)/%.o: tests/behaviour/%.c $(wildcard tests/behaviour/*.h) tests/behaviour/targets.mk $(5)
	@mkdir -p $$(@D)
	@$$(CC) $$(BEHAVIOUR_FLAGS) $(4) $$(CFLAGS) -c $$< -o $$@
endef

define behaviour_program
$(BEHAVIOUR_OUT)/$(1)/$(2): $(patsubst %,$(BEHAVIOUR_OUT)/$(1)/%.o,$(BEHAVIOUR_COMMON) $(3)) $(5)
	@$$(CC) $$(BEHAVIOUR_FLAGS) $(4) $$(CFLAGS) $$(filter %.o,$$^) -o $$@ $$(LDFLAGS) $(6) $$(BEHAVIOUR_LIBS)
endef

behaviour_at = -L$(1)/lib -Wl,-rpath,'$$$$ORIGIN/../../$(notdir $(1))/lib' -lev

$(eval $(call behaviour,inst,,,-isystem $(INST)/include,$(BUILD)/inst.done))
$(eval $(call behaviour_program,inst,suites,$(BEHAVIOUR_SUITES),,,$(call behaviour_at,$(INST))))

$(eval $(call behaviour,pristine,,,-DPRISTINE -isystem $(BUILD)/pristine-inst/include,$(BUILD)/pristine-inst.done))
$(eval $(call behaviour_program,pristine,suites,$(BEHAVIOUR_SUITES),,,$(call behaviour_at,$(BUILD)/pristine-inst)))

behaviour-programs: $(BEHAVIOUR_OUT)/inst/suites
behaviour-pristine-programs: $(BEHAVIOUR_OUT)/pristine/suites

check-behaviour:
	@$(MAKE) all
	@$(MAKE) behaviour-programs
	@$(BEHAVIOUR_OUT)/inst/suites

check-behaviour-pristine:
	@$(MAKE) pristine
	@$(MAKE) behaviour-pristine-programs
	@$(BEHAVIOUR_OUT)/pristine/suites
