# tests/behaviour: what libev promises, on all its backends
#
#   make check-behaviour [TEST=part-of-name] [LOOP=select|poll|epoll|64|ring|68] [FLAVOUR=installed|tiny|asan] [DEBUG=1]

include tests/lib/programs.mk

CHECK_TARGETS += check-behaviour
$(call needs,check-behaviour,liburing-dev $(if $(DEBUG),gdb))

$(foreach f,installed tiny asan,$(eval $(call test_program,behaviour,$(f),$(wildcard tests/behaviour/*.c))))

.PHONY: check-behaviour
check-behaviour:
	$(call run_tests,behaviour)
