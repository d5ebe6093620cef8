# tests/analysis: static analysis of the backend, and its threads under ThreadSanitizer
#
#   make check-analysis           gcc -fanalyzer, cppcheck and clang-tidy, as thoroughly as they can
#   make check-analysis-quick     gcc and cppcheck, as they are used to (part of make check)
#   make check-tsan               the threaded tests of tests/behaviour

CHECK_TARGETS     += check-analysis-quick
$(call needs,check-analysis-quick,gcc cppcheck python3)
ANALYSIS_PACKAGES := gcc cppcheck clang-tidy python3

ANALYSIS_OUT := $(BUILD)/analysis

.PHONY: check-analysis check-analysis-quick analysis-tree check-tsan tsan-programs

# libev without the backend, which is then found where it really is
analysis-tree: all
	@mkdir -p $(ANALYSIS_OUT)/libev
	@cp $(BUILD)/libev/*.[ch] $(ANALYSIS_OUT)/libev
	@rm $(ANALYSIS_OUT)/libev/ev_linuxaio.[ch] $(ANALYSIS_OUT)/libev/config.h

check-analysis:
	@tests/setup/install-packages $(sort $(ANALYSIS_PACKAGES))
	@$(MAKE) analysis-tree
	@tests/analysis/analyse $(ANALYSIS_OUT)/libev . gcc gcc-deep cppcheck clang-tidy

check-analysis-quick:
	@$(MAKE) analysis-tree
	@tests/analysis/analyse $(ANALYSIS_OUT)/libev . gcc cppcheck

# libev compiled in, as it is and with a ring that is always too small
TSAN_FLAGS = -fsanitize=thread -pthread -O1 -g -w -std=gnu11 -D_GNU_SOURCE -fno-strict-aliasing -I$(BUILD)/libev

# $(call tsan_program,NAME,FLAGS)
define tsan_program
$(ANALYSIS_OUT)/$(1): $(addprefix tests/behaviour/,fixture.c threads.c fixture.h suites.h) $(wildcard tests/analysis/*) $(BUILD)/inst.done
	@mkdir -p $$(@D)
	@$$(CC) $$(TSAN_FLAGS) -DHAVE_CONFIG_H -DNDEBUG $(2) -c $(BUILD)/libev/ev.c -o $$@.ev.o
	@$$(CC) $$(TSAN_FLAGS) $(3) -Itests/behaviour $$(filter %.c,$$^) $$@.ev.o -o $$@ $$(BEHAVIOUR_LIBS)
endef

$(eval $(call tsan_program,tsan,,))
$(eval $(call tsan_program,tsan-small,$$(BEHAVIOUR_FICKLE),-DSMALL_RING))

tsan-programs: $(addprefix $(ANALYSIS_OUT)/,tsan tsan-small)

check-tsan:
	@tests/setup/install-packages gcc check pkg-config liburing-dev
	@$(MAKE) all
	@$(MAKE) tsan-programs
	@for p in tsan tsan-small; do \
	  echo "threads: $$p"; \
	  TSAN_OPTIONS="suppressions=tests/analysis/tsan-suppressions halt_on_error=1 $$TSAN_OPTIONS" $(ANALYSIS_OUT)/$$p || exit 1; \
	done
