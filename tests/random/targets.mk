# tests/random: random programs of loop operations, judged by poll(2)
#
#   make check-random               SEED= N=  N operations on each of three builds: as it
#                                   is, with failing system calls, and that under
#                                   AddressSanitizer and UBSan; then the programs of corpus/
#   make check-random BACKEND=epoll           the same operations on another backend
#   make fuzz-random MINUTES=1                libFuzzer on the same language (clang)
#   make replay-random PROGRAM=file           prints what a program does
#   make check-random-pristine                what it finds in libev 4.33 as it is
#
# JOBS= processes share the work; they wait most of the time, so there are more than CPUs.

CHECK_TARGETS  += check-random

RANDOM_OUT   := $(BUILD)/random
RANDOM_TESTS := machine world random seam
RANDOM_N     := $(or $(N),200000)
RANDOM_JOBS  := $(or $(JOBS),$(shell echo $$(($$(nproc) * 4))))
RANDOM_ARGS   = $(if $(SEED),-s $(SEED)) -n $(RANDOM_N) -j $(RANDOM_JOBS) $(if $(BACKEND),-b $(BACKEND))

# the policy of the backend becomes variables, so that each program can have its own
RANDOM_POLICY := -include tests/faults/seam.h \
	-DEV_LINUXAIO_RING_FDS=seam_ring_fds -DEV_LINUXAIO_CHANGES=seam_changes -DEV_LINUXAIO_EVENTS=seam_events -DEV_LINUXAIO_SURVEY=seam_survey \
	-DEV_LINUXAIO_VAIN=seam_vain -DEV_LINUXAIO_PROBE_PAUSE=8 \
	-DEV_LINUXAIO_LIVELY_SECONDS=seam_lively_seconds -DEV_LINUXAIO_RING_MIN=seam_ring_min -DEV_LINUXAIO_RING_MAX=seam_ring_max

RANDOM_EVSYS    := -DEV_LINUXAIO_EVSYS='"evsys.h"' -DSEAM_CONNECTED=1
RANDOM_SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined

RANDOM_WARN   = -Wall -Wextra -Wno-unused-parameter -Wno-parentheses
RANDOM_FLAGS  = -std=gnu11 -pthread -O2 -g -fno-strict-aliasing -DEV_STANDALONE=1 -Itests/random -Itests/faults

# $(call random_flavour,NAME,COMPILER,TREE,MADE BY,FLAGS): the objects of a flavour
define random_flavour
$(RANDOM_OUT)/$(1)/loop.o: tests/random/loop.c $(wildcard tests/faults/*.h) tests/random/targets.mk $(4)
	@mkdir -p $$(@D)
	@$(2) $$(RANDOM_FLAGS) $(RANDOM_POLICY) -w $(5) -I$(3) $$(CFLAGS) -c $$< -o $$@

$(RANDOM_OUT)/$(1)/%.o: tests/random/%.c $(wildcard tests/random/*.h tests/faults/*.h) tests/random/targets.mk $(4)
	@mkdir -p $$(@D)
	@$(2) $$(RANDOM_FLAGS) $$(RANDOM_WARN) $(5) -isystem $(3) $$(CFLAGS) -c $$< -o $$@

$(RANDOM_OUT)/$(1)/seam.o: tests/faults/seam.c tests/faults/seam.h tests/random/targets.mk
	@mkdir -p $$(@D)
	@$(2) $$(RANDOM_FLAGS) $$(RANDOM_WARN) $(5) $$(CFLAGS) -c $$< -o $$@

$(RANDOM_OUT)/$(1)/random: $(patsubst %,$(RANDOM_OUT)/$(1)/%.o,$(RANDOM_TESTS) loop)
	@$(2) -pthread $(5) $$(CFLAGS) $$^ -o $$@ $$(LDFLAGS) -lm
endef

$(eval $(call random_flavour,plain,$$(CC),$(BUILD)/libev,$(BUILD)/inst.done,-DMACHINE_STATS=1 -DSEAM_CONNECTED=0))
$(eval $(call random_flavour,faulty,$$(CC),$(BUILD)/libev,$(BUILD)/inst.done,-DMACHINE_STATS=1 $(RANDOM_EVSYS)))
$(eval $(call random_flavour,asan,$$(CC),$(BUILD)/libev,$(BUILD)/inst.done,-DMACHINE_STATS=1 $(RANDOM_EVSYS) $(RANDOM_SANITIZE)))
$(eval $(call random_flavour,fuzz,clang,$(BUILD)/libev,$(BUILD)/inst.done,-DMACHINE_STATS=1 $(RANDOM_EVSYS) $(RANDOM_SANITIZE) -fsanitize=fuzzer-no-link))
$(eval $(call random_flavour,pristine,$$(CC),$(BUILD)/pristine,$(BUILD)/pristine-inst.done,-DMACHINE_STATS=0 -DSEAM_CONNECTED=0))

$(RANDOM_OUT)/fuzz/fuzzer: $(patsubst %,$(RANDOM_OUT)/fuzz/%.o,machine world seam loop fuzz)
	@clang -pthread $(RANDOM_SANITIZE) -fsanitize=fuzzer $(CFLAGS) $^ -o $@ $(LDFLAGS) -lm

.PHONY: check-random check-random-pristine fuzz-random replay-random random-programs

random-programs: $(patsubst %,$(RANDOM_OUT)/%/random,plain faulty asan)

check-random:
	@$(MAKE) all
	@$(MAKE) random-programs
	@for flavour in plain faulty asan; do \
	  echo "random: $$flavour"; \
	  $(RANDOM_OUT)/$$flavour/random $(RANDOM_ARGS) -o $(RANDOM_OUT)/$$flavour/failure || exit 1; \
	done
	@$(RANDOM_OUT)/asan/random $(if $(BACKEND),-b $(BACKEND)) -r tests/random/corpus/*
	@echo "random: $$(ls tests/random/corpus | wc -l) programs of the corpus, no finding"

# stops at the first finding, which it has to make
check-random-pristine:
	@$(MAKE) pristine
	@$(MAKE) $(RANDOM_OUT)/pristine/random
	@! $(RANDOM_OUT)/pristine/random $(RANDOM_ARGS) -p 2000 -l

fuzz-random:
	@tests/setup/install-packages clang
	@$(MAKE) all
	@$(MAKE) $(RANDOM_OUT)/fuzz/fuzzer
	@mkdir -p $(RANDOM_OUT)/fuzz/found
	@$(RANDOM_OUT)/fuzz/fuzzer -max_total_time=$$(($(or $(MINUTES),1) * 60)) -timeout=60 -max_len=4096 \
	  -fork=$(RANDOM_JOBS) -artifact_prefix=$(RANDOM_OUT)/fuzz/ $(RANDOM_OUT)/fuzz/found tests/random/corpus

replay-random:
	@test -n "$(PROGRAM)" || { echo "usage: make replay-random PROGRAM=file" >&2; exit 1; }
	@$(MAKE) all
	@$(MAKE) $(RANDOM_OUT)/faulty/random
	@$(RANDOM_OUT)/faulty/random $(if $(BACKEND),-b $(BACKEND)) -t -r $(PROGRAM)
