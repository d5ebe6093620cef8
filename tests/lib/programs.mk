# how programs of tests are made and run: included by those tests/*/targets.mk that have some
#
# $(call test_program,PROGRAM,FLAVOUR,SOURCES,FLAGS FOR THE LINKER)
#     the rule for $(TEST_OUT)/FLAVOUR/PROGRAM, where a flavour is what libev is like:
#       installed   the shared library, as users have it
#       tiny        compiled in, with rings that are made at once and for a few fds only
#       asan        the same under AddressSanitizer and UBSan
# $(call run_tests,PROGRAM)
#     builds and runs it in the flavours installed and tiny, or as FLAVOUR says;
#     TEST=part-of-name and LOOP=select|poll|epoll|64|ring|68 choose, DEBUG=1 starts gdb

ifndef TEST_OUT

TEST_OUT      := $(BUILD)/test
TEST_CFLAGS    = -std=gnu11 -D_GNU_SOURCE -pthread -O1 -g -Wall -Wextra -Werror=unused-variable -Werror=unused-function \
	-fno-optimize-sibling-calls -ffile-prefix-map=$(CURDIR)/= -Itests/lib
TEST_LIBS      = -pthread -luring -lm
TEST_FIXTURE  := $(wildcard tests/lib/fixture.c tests/lib/runner.c)
TEST_TINY     := -DEV_LINUXAIO_RING_FIRST=2 -DEV_LINUXAIO_RING_NEXT=14 -DEV_LINUXAIO_WORTH=0
TEST_ASAN     := -fsanitize=address,undefined -fno-sanitize-recover=undefined

# for libev compiled in; its select backend copies nothing from and to null pointers
TEST_EV        = -O1 -g -w -fno-strict-aliasing -DHAVE_CONFIG_H -DNDEBUG -DEV_WALK_ENABLE=1

TEST_FLAGS_installed := -isystem $(INST)/include
TEST_FLAGS_tiny      := -isystem $(BUILD)/libev -DEV_WALK_ENABLE=1 -DTEST_LOOPS=LINUXAIO
TEST_FLAGS_asan      := $(TEST_FLAGS_tiny) $(TEST_ASAN)
TEST_LIBEV_installed := -L$(INST)/lib -Wl,-rpath,'$$$$ORIGIN/../../$(notdir $(INST))/lib' -lev
TEST_LIBEV_tiny      := $(TEST_OUT)/tiny/libev.o
TEST_LIBEV_asan      := $(TEST_OUT)/asan/libev.o $(TEST_ASAN)
TEST_FACTOR_asan     := 4

$(TEST_OUT)/tiny/libev.o: $(BUILD)/inst.done tests/lib/programs.mk
	@mkdir -p $(@D)
	@$(CC) $(TEST_EV) $(TEST_TINY) -I$(BUILD)/libev $(CFLAGS) -c $(BUILD)/libev/ev.c -o $@

$(TEST_OUT)/asan/libev.o: $(BUILD)/inst.done tests/lib/programs.mk
	@mkdir -p $(@D)
	@$(CC) $(TEST_EV) $(TEST_TINY) $(TEST_ASAN) -fno-sanitize=nonnull-attribute -I$(BUILD)/libev $(CFLAGS) -c $(BUILD)/libev/ev.c -o $@

# $(call test_objects,FLAVOUR): each flavour compiles the tests by itself
define test_objects
$(TEST_OUT)/$(1)/objects/%.o: tests/%.c $(wildcard tests/lib/*.h) tests/lib/programs.mk $(BUILD)/inst.done
	@mkdir -p $$(@D)
	@$$(CC) $$(TEST_CFLAGS) '-DTEST_FLAVOUR="$(1)"' $$(TEST_FLAGS_$(1)) $$(CFLAGS) -c $$< -o $$@
endef
$(foreach f,installed tiny asan,$(eval $(call test_objects,$(f))))

define test_program
$(TEST_OUT)/$(2)/$(1): $(patsubst tests/%.c,$(TEST_OUT)/$(2)/objects/%.o,$(TEST_FIXTURE) $(3)) $(filter %.o,$(TEST_LIBEV_$(2)))
	@$$(CC) $$(CFLAGS) $$(filter-out %/libev.o,$$^) -o $$@ $$(LDFLAGS) $(TEST_LIBEV_$(2)) $(4) $$(TEST_LIBS)
endef

run_flavours = $(or $(FLAVOUR),$(if $(DEBUG),installed,installed tiny))
run_options  = $(if $(TEST),-t '$(TEST)') $(if $(LOOP),-l '$(LOOP)')
define run_tests
	@$(MAKE) all
	@$(MAKE) $(patsubst %,$(TEST_OUT)/%/$(1),$(run_flavours))
	@$(foreach f,$(run_flavours),$(if $(TEST_FACTOR_$(f)),PATIENCE=$(TEST_FACTOR_$(f))) \
	  $(if $(DEBUG),gdb -q -ex 'break give_up' -ex run --args $(TEST_OUT)/$(f)/$(1) -n,$(TEST_OUT)/$(f)/$(1) -f $(BUILD)/failures) \
	  $(run_options) &&) true
endef

endif
