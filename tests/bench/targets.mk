# tests/bench: what the backend costs, beside other backends, other libraries and
# the bare system calls
#
#   make bench              everything; ROWS="ring stopstart" PEERS="epoll linuxaio"
#                           N="100 1000" PAIRS=7 select (tests/bench/run --help)
#   make bench-short        one size of each workload, less than three minutes
#   make bench-counters     system calls and user-space instructions per operation
#   make bench-counters-table   writes the former to counters.txt, which README quotes
#   make bench-emulated     instructions per operation, the kernel's too, and with any
#                           number of fds; ROWS="scale:500000/100 ring:100"
#   make check-bench-counters   are they still what counters.txt says?

BENCH_DIR      := $(BUILD)/bench
BENCH_PACKAGES := libevent-dev libuv1-dev liburing-dev gnuplot-nox python3 \
                  nghttp2-server nghttp2-client hitch wrk openssl util-linux \
                  strace valgrind
CHECK_TARGETS  += check-bench-counters
$(call needs,check-bench-counters,strace python3)

BENCH_FLAGS     = -O2 -g -fno-strict-aliasing -Wall -Wextra -Wno-unused-parameter -Itests/bench
BENCH_SOURCES  := $(addprefix tests/bench/,bench.c workloads.c)
BENCH_DEPENDS  := $(BENCH_SOURCES) $(wildcard tests/bench/w_*.c tests/bench/*.h) tests/bench/targets.mk
BENCH_LIBEV    := $(addprefix $(BENCH_DIR)/,bench-libev bench-upstream)
BENCH_OTHERS   := $(addprefix $(BENCH_DIR)/,bench-libevent bench-libuv bench-bare-epoll bench-bare-aio bench-bare-uring)

.PHONY: bench bench-short bench-programs bench-link bench-link-counted \
        bench-counters bench-counters-table bench-counters-program check-bench-counters \
        bench-emulated bench-link-emulated

# libev is built by `make all pristine`, under the lock of the Makefile, not by
# the rules below
BENCH_INST     := $(wildcard $(INST)/include/ev*.h $(INST)/lib/libev.so.*.*.*)
BENCH_PRISTINE := $(wildcard $(BUILD)/pristine-inst/include/ev*.h $(BUILD)/pristine-inst/lib/libev.so.*.*.*)

# $(call bench-program,ADAPTER,NAME,FLAGS,LIBRARIES)
bench-program = mkdir -p $(BENCH_DIR) && $(CC) $(BENCH_FLAGS) $(CFLAGS) -DADAPTER='"$(1)"' -DPEER='"$(2)"' $(3) $(BENCH_SOURCES) -o $@ $(LDFLAGS) $(4)
bench-libev-at = -L$(1)/lib -Wl,-rpath,'$$ORIGIN/../$(notdir $(1))/lib' -lev -lm

$(BENCH_DIR)/bench-libev: $(BENCH_DEPENDS) $(BENCH_INST)
	@$(call bench-program,on-libev.h,libev,-DBENCH_LINUXAIO_STATS -isystem $(INST)/include,$(call bench-libev-at,$(INST)))

# under strace and callgrind all takes longer than the policy allows; and valgrind
# sees no more than the first page of a ring
bench-libflags  = $(shell sed -n 's/^CFLAGS = //p' $(BUILD)/libev/Makefile)
BENCH_COUNTED_FLAGS_bench-strace    = -DEV_LINUXAIO_LIVELY_SECONDS=1e9
BENCH_COUNTED_FLAGS_bench-callgrind = -DEV_LINUXAIO_LIVELY_SECONDS=1e9 -DEV_LINUXAIO_VALGRIND=1 -DEV_LINUXAIO_RING_MAX=62
BENCH_COUNTED  := $(addprefix $(BENCH_DIR)/,bench-strace bench-callgrind)

$(BENCH_COUNTED): $(BENCH_DEPENDS) $(BENCH_INST)
	@mkdir -p $(BENCH_DIR)
	@$(CC) $(bench-libflags) -w $(BENCH_COUNTED_FLAGS_$(@F)) -DHAVE_CONFIG_H -I$(BUILD)/libev -c $(BUILD)/libev/ev.c -o $@.o
	@$(call bench-program,on-libev.h,libev,-DBENCH_LINUXAIO_STATS -isystem $(INST)/include,$@.o -lm)

$(BENCH_DIR)/bench-upstream: $(BENCH_DEPENDS) $(BENCH_PRISTINE)
	@$(call bench-program,on-libev.h,upstream,-isystem $(BUILD)/pristine-inst/include,$(call bench-libev-at,$(BUILD)/pristine-inst))

$(BENCH_DIR)/bench-libevent: $(BENCH_DEPENDS)
	@$(call bench-program,on-libevent.h,libevent,,-levent_core)

$(BENCH_DIR)/bench-libuv: $(BENCH_DEPENDS)
	@$(call bench-program,on-libuv.h,libuv,,-luv)

$(BENCH_DIR)/bench-bare-epoll: $(BENCH_DEPENDS)
	@$(call bench-program,on-epoll.h,bare-epoll,,)

$(BENCH_DIR)/bench-bare-aio: $(BENCH_DEPENDS)
	@$(call bench-program,on-aio.h,bare-aio,,)

$(BENCH_DIR)/bench-bare-uring: $(BENCH_DEPENDS)
	@$(call bench-program,on-uring.h,bare-uring,,-luring)

# runs on the libev that LD_LIBRARY_PATH names
$(BENCH_DIR)/httpd: tests/bench/httpd.c tests/bench/targets.mk $(BENCH_INST)
	@mkdir -p $(BENCH_DIR)
	@$(CC) $(BENCH_FLAGS) $(CFLAGS) -isystem $(INST)/include $< -o $@ $(LDFLAGS) -L$(INST)/lib -lev

bench-link: $(BENCH_LIBEV) $(BENCH_OTHERS) $(BENCH_DIR)/httpd
	@:

bench-link-counted: $(BENCH_COUNTED)
	@:

bench-programs:
	@tests/setup/install-packages $(sort $(BENCH_PACKAGES))
	@$(MAKE) all pristine
	@$(MAKE) bench-link

bench: bench-programs
	@tests/bench/run --build $(BUILD) --rows "$(ROWS)" --peers "$(PEERS)" --n "$(N)" --pairs $(or $(PAIRS),0)

bench-short: bench-programs
	@tests/bench/run --build $(BUILD) --short --rows "$(ROWS)" --peers "$(PEERS)" --n "$(N)" --pairs $(or $(PAIRS),0)

bench-counters: bench-programs
	@$(MAKE) bench-link-counted
	@tests/bench/counters --build $(BUILD) --rows "$(ROWS)"

bench-link-emulated: $(addprefix $(BENCH_DIR)/,bench-libev bench-upstream bench-bare-epoll bench-bare-aio)
	@:

bench-emulated:
	@tests/setup/install-packages gcc libc6-dev binutils cpio qemu-system-x86
	@$(MAKE) all pristine
	@$(MAKE) bench-link-emulated
	@BUILD=$(abspath $(BUILD)) tests/bench/emulated $(ROWS)

# these need nothing but the library itself
bench-counters-program: all
	@$(call need,python3,python3)
	@$(call need,strace,strace)
	@$(MAKE) $(BENCH_DIR)/bench-strace

bench-counters-table: bench-counters-program
	@tests/bench/counters --build $(BUILD) --write tests/bench/counters.txt

check-bench-counters: bench-counters-program
	@tests/bench/counters --build $(BUILD) --check tests/bench/counters.txt
