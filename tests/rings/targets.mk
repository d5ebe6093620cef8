# tests/rings: what only this backend has; see README
#
#   make check-rings [TEST=part-of-name] [LOOP=64|ring|68] [DEBUG=1]

$(call needs,check-rings,binutils $(if $(DEBUG),gdb))
$(eval $(call test_program,rings,below,$(TEST_FIXTURE) $(wildcard tests/rings/*.c) tests/lib/fault.c))
$(eval $(call check,rings,below))
