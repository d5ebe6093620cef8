# tests/behaviour: what libev promises, on all its backends; see README
#
#   make check-behaviour [TEST=part-of-name] [LOOP=select|poll|epoll|64|ring|68] [FLAVOUR=installed|plain|tiny|below] [DEBUG=1]

$(call needs,check-behaviour,$(if $(DEBUG),gdb))
$(foreach f,installed plain,$(eval $(call test_program,behaviour,$(f),$(TEST_FIXTURE) $(wildcard tests/behaviour/*.c))))
$(foreach f,tiny below,$(eval $(call test_program,behaviour,$(f),$(TEST_FIXTURE) tests/lib/fault.c $(wildcard tests/behaviour/*.c))))
$(eval $(call check,behaviour,installed tiny))
