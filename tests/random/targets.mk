# tests/random: random programs of loop operations, judged by poll (2); see README
#
#   make check-random      SEED= N= BACKEND= JOBS=
#   make fuzz-random       MINUTES=1
#   make replay-random     PROGRAM=file FAILURE=io_submit:3:EPERM

CHECK_TARGETS  += check-random

RANDOM_OUT   := $(BUILD)/random
RANDOM_N     := $(or $(N),200000)
RANDOM_JOBS  := $(or $(JOBS),$(shell echo $$(($$(nproc) * 4))))
RANDOM_ARGS   = $(if $(SEED),-s $(SEED)) -n $(RANDOM_N) -j $(RANDOM_JOBS) $(if $(BACKEND),-b $(BACKEND))

RANDOM_SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined
RANDOM_FLAGS     = -std=gnu11 -pthread -O2 -g -fno-strict-aliasing -Wall -Wextra -Wno-unused-parameter \
	-Itests/random -Itests/lib -isystem $(BUILD)/libev

# $(call random_flavour,NAME,COMPILER,FLAGS,WHETHER CALLS FAIL): the objects of a flavour
define random_flavour
$(RANDOM_OUT)/$(1)/libev.o: $(wildcard tests/lib/*) $(BUILD)/inst.done
	@mkdir -p $$(@D)
	@$$(call FAULT_LIBEV,$(2),$(3))
	@$(if $(4),$$(FAULT_BELOW))

$(RANDOM_OUT)/$(1)/%.o: tests/random/%.c $(wildcard tests/random/*.* tests/lib/*) $(BUILD)/inst.done
	@mkdir -p $$(@D)
	@$(2) $$(RANDOM_FLAGS) -DFAULTS=$(if $(4),1,0) $(3) $$(CFLAGS) -c $$< -o $$@

$(RANDOM_OUT)/$(1)/%.o: tests/lib/%.c $(wildcard tests/lib/*)
	@mkdir -p $$(@D)
	@$(2) $$(RANDOM_FLAGS) $(3) $$(CFLAGS) -c $$< -o $$@

$(RANDOM_OUT)/$(1)/random: $(patsubst %,$(RANDOM_OUT)/$(1)/%.o,random machine world fault libev)
	@$(2) -pthread $(3) $$(CFLAGS) $$^ -o $$@ $$(LDFLAGS) -lm
endef

$(eval $(call random_flavour,plain,$$(CC)))
$(eval $(call random_flavour,faulty,$$(CC),,1))
$(eval $(call random_flavour,asan,$$(CC),$(RANDOM_SANITIZE),1))
$(eval $(call random_flavour,fuzz,clang,$(RANDOM_SANITIZE) -fsanitize=fuzzer-no-link,1))

$(RANDOM_OUT)/fuzz/fuzzer: $(patsubst %,$(RANDOM_OUT)/fuzz/%.o,fuzz machine world fault libev)
	@clang -pthread $(RANDOM_SANITIZE) -fsanitize=fuzzer $(CFLAGS) $^ -o $@ $(LDFLAGS) -lm

.PHONY: check-random fuzz-random replay-random random-programs

random-programs: $(patsubst %,$(RANDOM_OUT)/%/random,plain faulty asan)

check-random:
	@$(MAKE) all
	@$(MAKE) random-programs
	@for flavour in plain faulty asan; do \
	  echo "random: $$flavour"; \
	  $(RANDOM_OUT)/$$flavour/random $(RANDOM_ARGS) -o $(RANDOM_OUT)/$$flavour/failure || exit 1; \
	done
	@$(RANDOM_OUT)/asan/random -r tests/random/corpus/*
	@echo "random: $$(ls tests/random/corpus | wc -l) programs of the corpus, no finding"
	@$(RANDOM_OUT)/faulty/random -j $(RANDOM_JOBS) -S tests/random/corpus/sweep-*

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
	@$(RANDOM_OUT)/faulty/random $(if $(BACKEND),-b $(BACKEND)) $(if $(FAILURE),-f $(FAILURE)) -t -r $(PROGRAM)
