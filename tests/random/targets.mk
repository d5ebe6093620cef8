# tests/random: random programs of loop operations, judged by poll (2); see README
#
#   make check-random      SEED= N= BACKEND= JOBS=; QUICK=1: no sanitizers, no sweep
#   make fuzz-random       MINUTES=1
#   make replay-random     PROGRAM=file FAILURE=io_submit:3:EPERM

CHECK_TARGETS += check-random
$(call needs,check-random replay-random,binutils)
$(call needs,fuzz-random,clang binutils)

RANDOM_JOBS    := $(or $(JOBS),$(shell echo $$(($$(nproc) * 4))))
RANDOM_ARGS     = $(if $(SEED),-s $(SEED)) -n $(or $(N),200000) -j $(RANDOM_JOBS) $(if $(BACKEND),-b $(BACKEND)) -o $(BUILD)/random-failure
RANDOM_SOURCES := tests/random/machine.c tests/lib/account.c tests/lib/world.c tests/lib/fault.c
RANDOM_ASAN     = $(MAKE) TEST_OUT=$(BUILD)/test-asan INSTRUMENT="$(TEST_ASAN)" RUN=

$(foreach f,knobs below,$(eval $(call test_program,random,$(f),tests/random/random.c $(RANDOM_SOURCES))))
$(eval $(call test_program,fuzzer,below,tests/random/fuzz.c $(RANDOM_SOURCES),-fsanitize=fuzzer))

# $(call random_found,PROGRAM FLAVOUR): it has said what it found, and where the program is
random_found = || { printf '%s\n' "random programs, libev $(1): see above" "  again: make replay-random PROGRAM=$(BUILD)/random-failure" >>$(FAILURES); exit 1; }

.PHONY: check-random fuzz-random replay-random

check-random: $(TEST_OUT)/knobs/random $(TEST_OUT)/below/random
	@$(RUN) $(TEST_OUT)/knobs/random $(RANDOM_ARGS) $(call random_found,knobs)
	@$(RUN) $(TEST_OUT)/knobs/random $(RANDOM_ARGS) $(if $(BACKEND),,-b 4) $(call random_found,knobs)
	@$(RUN) $(TEST_OUT)/below/random $(RANDOM_ARGS) $(call random_found,below)
ifndef QUICK
	@$(RANDOM_ASAN) $(BUILD)/test-asan/below/random
	@$(BUILD)/test-asan/below/random $(RANDOM_ARGS) $(call random_found,asan)
	@$(BUILD)/test-asan/below/random -r tests/random/corpus/* $(call random_found,asan)
	@$(TEST_OUT)/below/random -j $(RANDOM_JOBS) -S tests/random/corpus/sweep-* $(call random_found,below)
endif

fuzz-random: $(BUILD)/inst.done
	@$(MAKE) TEST_CC=clang TEST_OUT=$(BUILD)/test-fuzz INSTRUMENT="$(TEST_ASAN) -fsanitize=fuzzer-no-link" $(BUILD)/test-fuzz/below/fuzzer
	@mkdir -p $(BUILD)/test-fuzz/found
	@$(BUILD)/test-fuzz/below/fuzzer -max_total_time=$$(($(or $(MINUTES),1) * 60)) -timeout=60 -max_len=4096 \
	  -fork=$(RANDOM_JOBS) -artifact_prefix=$(BUILD)/test-fuzz/ $(BUILD)/test-fuzz/found tests/random/corpus

replay-random: $(TEST_OUT)/below/random
	@test -n "$(PROGRAM)" || { echo "usage: make replay-random PROGRAM=file" >&2; exit 1; }
	@$(TEST_OUT)/below/random $(if $(BACKEND),-b $(BACKEND)) $(if $(FAILURE),-f $(FAILURE)) -t -r $(PROGRAM)
