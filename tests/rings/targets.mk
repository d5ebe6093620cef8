# tests/rings: what only this backend has; see README
#
#   make check-rings [TEST=part-of-name] [LOOP=64|ring|68] [DEBUG=1]

include tests/lib/programs.mk

CHECK_TARGETS += check-rings

# libev is compiled in, its policy is variables, and its calls can be made to fail
TEST_FLAGS_below := -isystem $(BUILD)/libev -DTEST_LOOPS=LINUXAIO
TEST_LIBEV_below := $(TEST_OUT)/below/libev.o

$(TEST_OUT)/below/libev.o: $(wildcard tests/lib/fault.h tests/lib/*.mk) $(BUILD)/inst.done
	@mkdir -p $(@D)
	@$(call FAULT_LIBEV,$(CC))
	@$(FAULT_BELOW)

$(eval $(call test_objects,below))
$(eval $(call test_program,rings,below,$(wildcard tests/rings/*.c) tests/lib/fault.c tests/lib/world.c))

.PHONY: check-rings
check-rings: run_flavours := below
check-rings:
	$(call run_tests,rings)
