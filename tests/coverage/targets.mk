# tests/coverage: which lines and branches of the backend the tests reach
#
#   make check-coverage     all suites, on libev compiled with gcc --coverage
#
# COVERAGE_OPERATIONS=500000 of the random programs, COVERAGE_SEED=1
#
# The programs built here are the suites of the other folders, each with a libev
# compiled in; tests/mutants links the same ones with backends that are broken.

COVERAGE_PACKAGES := gcc check pkg-config liburing-dev gcovr python3
COVERAGE_OUT      := $(BUILD)/coverage
COVERAGE_CC       := gcc
COVERAGE_GCOV      = --coverage -fprofile-update=atomic
COVERAGE_OPERATIONS = 500000
COVERAGE_SEED     := 1

# how libev is compiled: as it is installed; with a ring that is always too
# small, or also left and made again all the time; with limits that are
# variables; with the seam of tests/faults; and libev 4.24
COVERAGE_EV        = -g -w -pthread -fno-strict-aliasing -DNDEBUG -DEV_WALK_ENABLE=1
COVERAGE_EV_normal = $(COVERAGE_EV) -DHAVE_CONFIG_H
COVERAGE_EV_small  = $(COVERAGE_EV) -DHAVE_CONFIG_H $(BEHAVIOUR_SMALL) -DEV_LINUXAIO_EVENTS=INT_MAX -DEV_USE_EVENTFD=0
COVERAGE_EV_fickle = $(COVERAGE_EV) -DHAVE_CONFIG_H $(BEHAVIOUR_FICKLE)
COVERAGE_EV_limits = $(COVERAGE_EV) -DHAVE_CONFIG_H $(RANDOM_POLICY)
COVERAGE_EV_seam   = $(COVERAGE_EV_limits) '-DEV_LINUXAIO_EVSYS="tests/coverage/evsys.h"'
COVERAGE_EV_older  = $(COVERAGE_EV) -DEV_STANDALONE=1
COVERAGE_EMBED     = -std=gnu11 -D_GNU_SOURCE -g -w -fno-strict-aliasing -DSEAM_CONNECTED=1 -Itests/faults

COVERAGE_FLAGS_small  = -DSMALL_RING
COVERAGE_FLAGS_fickle = -DSMALL_RING
COVERAGE_FLAGS_limits = -DMACHINE_STATS=1 -DSEAM_CONNECTED=0
COVERAGE_FLAGS_seam   = -DMACHINE_STATS=1 -DSEAM_CONNECTED=1
COVERAGE_FLAGS_older  = -include tests/older-libev/compat.h

# the programs and the objects they are made of
COVERAGE_LINKED := normal/suites normal/options normal/rare small/suites small/options fickle/suites older/suites \
                   limits/random seam/random seam/scenario seam/hostile seam/refused
COVERAGE_normal/suites  = fixture $(BEHAVIOUR_SUITES)
COVERAGE_normal/options = fixture options
COVERAGE_normal/rare    = fixture rare
COVERAGE_small/suites   = $(COVERAGE_normal/suites)
COVERAGE_small/options  = $(COVERAGE_normal/options)
COVERAGE_fickle/suites  = $(COVERAGE_normal/suites)
COVERAGE_older/suites   = $(COVERAGE_normal/suites)
COVERAGE_limits/random  = machine world random seam
COVERAGE_seam/random    = machine world random seam
COVERAGE_seam/scenario  = machine world scenario seam
COVERAGE_seam/hostile   = fixture hostile seam
COVERAGE_seam/refused   = fixture refused seam

COVERAGE_LINK_seam/hostile = -Wl,--wrap=clock_gettime

# those that have libev and the test in one file
COVERAGE_EMBEDDED := pretended calls versions
COVERAGE_pretended = tests/coverage/pretended.c tests/faults/seam.c
COVERAGE_calls     = tests/coverage/calls.c
COVERAGE_versions  = tests/kernels/versions.c

COVERAGE_PROGRAMS := $(COVERAGE_EMBEDDED) $(COVERAGE_LINKED)

# trees without the backend, which is then found where -I says, and reported as the file it is
COVERAGE_TREE        := $(COVERAGE_OUT)/libev
COVERAGE_TREE_older  := $(COVERAGE_OUT)/libev-older

coverage_flavour  = $(patsubst %/,%,$(dir $(1)))
coverage_objects  = $(addprefix $(COVERAGE_OUT)/$(call coverage_flavour,$(1))/,$(addsuffix .o,$(sort $(COVERAGE_$(1)))))
coverage_tree     = $(or $(COVERAGE_TREE_$(1)),$(COVERAGE_TREE))
coverage_headers := $(wildcard tests/behaviour/*.h tests/random/*.h tests/faults/*.h tests/coverage/*.h) tests/coverage/targets.mk

# $(call coverage_compile,FLAVOUR,DIRECTORY): the objects of a flavour that come from a folder
define coverage_compile
$(COVERAGE_OUT)/$(1)/%.o: $(2)/%.c $(coverage_headers) $(COVERAGE_OUT)/trees.done
	@mkdir -p $$(@D)
	@$(COVERAGE_CC) -std=gnu11 -D_GNU_SOURCE -pthread -O1 -g -w $$(COVERAGE_FLAGS_$(1)) \
	  -Itests/behaviour -Itests/random -Itests/faults -DEV_WALK_ENABLE=1 -isystem $(call coverage_tree,$(1)) -I. -c $$< -o $$@
endef

# $(call coverage_libev,FLAVOUR)
define coverage_libev
$(COVERAGE_OUT)/$(1)/libev.o: $(coverage_headers) $(COVERAGE_OUT)/trees.done ev_linuxaio.c ev_linuxaio.h
	@mkdir -p $$(@D)
	@$(COVERAGE_CC) $(COVERAGE_GCOV) -O0 $$(COVERAGE_EV_$(1)) -I. -I$(call coverage_tree,$(1)) -c $(call coverage_tree,$(1))/ev.c -o $$@
endef

# $(call coverage_linked,PROGRAM)
define coverage_linked
$(COVERAGE_OUT)/$(1): $(call coverage_objects,$(1)) $(COVERAGE_OUT)/$(call coverage_flavour,$(1))/libev.o $(COVERAGE_OUT)/exit.o
	@$(COVERAGE_CC) -pthread --coverage -Wl,--wrap=_exit $(COVERAGE_LINK_$(1)) $$^ -o $$@ $$(BEHAVIOUR_LIBS)
endef

# $(call coverage_embedded,PROGRAM)
define coverage_embedded
$(COVERAGE_OUT)/$(1): $(COVERAGE_$(1)) $(coverage_headers) $(COVERAGE_OUT)/trees.done ev_linuxaio.c ev_linuxaio.h
	@$(COVERAGE_CC) $(COVERAGE_GCOV) -O0 $$(COVERAGE_EMBED) -I. -I$(COVERAGE_TREE) $(COVERAGE_$(1)) -o $$@ $$(BEHAVIOUR_LIBS)
endef

$(foreach f,normal small fickle limits seam older,$(eval $(call coverage_libev,$(f))) \
  $(foreach d,behaviour random faults coverage,$(eval $(call coverage_compile,$(f),tests/$(d)))))
$(foreach p,$(COVERAGE_LINKED),$(eval $(call coverage_linked,$(p))))
$(foreach p,$(COVERAGE_EMBEDDED),$(eval $(call coverage_embedded,$(p))))

$(COVERAGE_OUT)/exit.o: tests/coverage/exit.c
	@mkdir -p $(@D)
	@$(COVERAGE_CC) -O1 -c $< -o $@

$(COVERAGE_OUT)/trees.done: $(BUILD)/libev.done patches/get-libev patches/apply $(wildcard patches/libev-*/*)
	@rm -rf $(COVERAGE_TREE) $(COVERAGE_TREE_older) && mkdir -p $(COVERAGE_TREE)
	@cp $(BUILD)/libev/*.[ch] $(COVERAGE_TREE)
	@$(OLDER_SRC) patches/get-libev $(COVERAGE_TREE_older) 4.24
	@patches/apply $(COVERAGE_TREE_older) >/dev/null
	@rm $(COVERAGE_TREE)/ev_linuxaio.[ch] $(COVERAGE_TREE_older)/ev_linuxaio.[ch]
	@touch $@

.PHONY: check-coverage coverage-programs coverage-report

coverage-programs: $(addprefix $(COVERAGE_OUT)/,$(COVERAGE_PROGRAMS))

# one after the other: they count in the same files
check-coverage:
	@tests/setup/install-packages $(sort $(COVERAGE_PACKAGES))
	@$(MAKE) all
	@mkdir -p $(COVERAGE_OUT)
	+@flock -o $(COVERAGE_OUT)/lock $(MAKE) coverage-report

coverage-report: coverage-programs
	@COVERAGE_SEED=$(COVERAGE_SEED) COVERAGE_OPERATIONS=$(COVERAGE_OPERATIONS) tests/coverage/run $(COVERAGE_OUT) $(COVERAGE_PROGRAMS)
	@tests/coverage/report $(COVERAGE_OUT) ev_linuxaio.c ev_linuxaio.h
