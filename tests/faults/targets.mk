# tests/faults: every system call of the backend fails in every way it can, and
# surroundings that are hostile
#
#   make check-faults

CHECK_TARGETS  += check-faults
$(call needs,check-faults,check pkg-config liburing-dev)

FAULTS_OUT := $(BUILD)/faults

# the program of the scenario is one of tests/random, whose flags and objects it shares
$(FAULTS_OUT)/scenario.o: tests/faults/scenario.c $(wildcard tests/random/*.h tests/faults/*.h) tests/faults/targets.mk $(BUILD)/inst.done
	@mkdir -p $(@D)
	@$(CC) $(RANDOM_FLAGS) $(RANDOM_WARN) -isystem $(BUILD)/libev $(CFLAGS) -c $< -o $@

$(FAULTS_OUT)/scenario: $(FAULTS_OUT)/scenario.o $(patsubst %,$(BUILD)/random/faulty/%.o,machine world seam loop)
	@$(CC) -pthread $(CFLAGS) $^ -o $@ $(LDFLAGS) -lm

# the fixture is that of tests/behaviour; the clock is wrapped so that it can jump
FAULTS_FLAGS = -std=gnu11 -D_GNU_SOURCE -pthread -O1 -g -Wall -Wextra -fno-strict-aliasing -DEV_STANDALONE=1 \
	-Itests/behaviour -Itests/faults -isystem $(BUILD)/libev

$(FAULTS_OUT)/hostile.o: tests/faults/hostile.c tests/faults/seam.h tests/behaviour/fixture.h tests/faults/targets.mk $(BUILD)/inst.done
	@mkdir -p $(@D)
	@$(CC) $(FAULTS_FLAGS) $(CFLAGS) -c $< -o $@

$(FAULTS_OUT)/fixture.o: tests/behaviour/fixture.c tests/behaviour/fixture.h tests/faults/targets.mk $(BUILD)/inst.done
	@mkdir -p $(@D)
	@$(CC) $(FAULTS_FLAGS) $(CFLAGS) -c $< -o $@

$(FAULTS_OUT)/hostile: $(FAULTS_OUT)/hostile.o $(FAULTS_OUT)/fixture.o $(patsubst %,$(BUILD)/random/faulty/%.o,seam loop)
	@$(CC) -pthread $(CFLAGS) $^ -o $@ $(LDFLAGS) -Wl,--wrap=clock_gettime $$(pkg-config --libs check) -luring -lm

.PHONY: check-faults fault-programs

fault-programs: $(FAULTS_OUT)/scenario $(FAULTS_OUT)/hostile

check-faults:
	@$(MAKE) all
	@$(MAKE) fault-programs
	@$(FAULTS_OUT)/scenario -j $(RANDOM_JOBS)
	@$(FAULTS_OUT)/hostile
