# tests/mutants: do the tests notice when the backend is broken?
#
#   make check-mutants              NAMES="head-not-written ..." only these
#
# Not part of make check: takes some minutes. The programs are those of
# tests/coverage, each compiled with every mutant until one of them fails.

MUTANTS_OUT := $(BUILD)/mutants

# in the order in which they are tried
MUTANTS_PROGRAMS := pretended normal/rare normal/options small/options limits/random seam/random calls versions \
                    normal/suites:linuxaio-ring seam/refused fickle/suites normal/suites:linuxaio-cold \
                    small/suites

mutants_program  = $(firstword $(subst :, ,$(1)))
mutants_flavour  = $(call coverage_flavour,$(mutants_program))
mutants_linked   = $(COVERAGE_CC) -O1 $(COVERAGE_EV_$(mutants_flavour)) -I@ -I. -I$(COVERAGE_TREE) -c $(COVERAGE_TREE)/ev.c -o @/$(mutants_flavour).o|$(COVERAGE_CC) -pthread $(COVERAGE_LINK_$(mutants_program)) $(call coverage_objects,$(mutants_program)) @/$(mutants_flavour).o -o @/$(mutants_program) $(BEHAVIOUR_LIBS)
mutants_embedded = |$(COVERAGE_CC) -O1 $(COVERAGE_EMBED) -I@ -I. -I$(COVERAGE_TREE) $(COVERAGE_$(mutants_program)) -o @/$(mutants_program) $(BEHAVIOUR_LIBS)
mutants_line     = $(1)|$(mutants_flavour)|$(if $(filter $(COVERAGE_EMBEDDED),$(1)),$(mutants_embedded),$(mutants_linked))

.PHONY: check-mutants mutants-programs

mutants-programs: $(sort $(foreach p,$(filter-out $(COVERAGE_EMBEDDED),$(MUTANTS_PROGRAMS)),$(call coverage_objects,$(call mutants_program,$(p)))))
	@$(file >$(MUTANTS_OUT)/programs,$(foreach p,$(MUTANTS_PROGRAMS),$(call mutants_line,$(p))$(newline)))

check-mutants:
	@tests/setup/install-packages $(sort $(COVERAGE_PACKAGES))
	@$(MAKE) all
	@mkdir -p $(MUTANTS_OUT)
	@$(MAKE) mutants-programs
	@tests/mutants/run $(MUTANTS_OUT) $(NAMES)
