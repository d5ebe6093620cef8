# tests/faults: every system call of the backend fails in every way it can, and
# surroundings that are hostile
#
#   make check-faults

CHECK_TARGETS  += check-faults
CHECK_PACKAGES += check pkg-config liburing-dev

FAULTS_OUT := $(BUILD)/faults

# the program of the scenario is one of tests/random, whose flags and objects it shares
$(FAULTS_OUT)/scenario.o: tests/faults/scenario.c $(wildcard tests/random/*.h tests/faults/*.h) tests/faults/targets.mk $(BUILD)/inst.done
	@mkdir -p $(@D)
	@$(CC) $(RANDOM_FLAGS) $(RANDOM_WARN) -isystem $(BUILD)/libev $(CFLAGS) -c $< -o $@

$(FAULTS_OUT)/scenario: $(FAULTS_OUT)/scenario.o $(patsubst %,$(BUILD)/random/faulty/%.o,machine world seam loop)
	@$(CC) $(CFLAGS) $^ -o $@ $(LDFLAGS) -lm

.PHONY: check-faults fault-programs

fault-programs: $(FAULTS_OUT)/scenario

check-faults:
	@$(MAKE) all
	@$(MAKE) fault-programs
	@$(FAULTS_OUT)/scenario -j $(RANDOM_JOBS)
