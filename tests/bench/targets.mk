# tests/bench: what the backend costs, beside other backends, other libraries and
# the bare system calls
#
#   make bench-emulated     instructions of an operation, user space and kernel, on two kernels
#   make bench              the same in time, in pairs: ROUNDS=20 MINUTES=15
#   make bench-calls        system calls of an operation
#   make bench-report       all of what was measured as one page, build/bench/report.html
#   make bench-readme       ten rows of it, for README
#   make check-bench        system calls of the rows of a short run: no more than they may be
#
# ROWS="ring:100 turns" PEERS="epoll,64,4.33 aio" KERNELS="bookworm" choose, SHORT=1 takes less
# time. The rows are in tests/bench/rows.

BENCH_OUT    := $(BUILD)/bench
BENCH_ARGS    = --build $(BUILD) $(if $(SHORT),--short) $(if $(ROWS),--rows "$(ROWS)") $(if $(PEERS),--peers "$(PEERS)")
BENCH_PEERS  := libev upstream libevent libuv bare-epoll bare-aio bare-uring
BENCH_ALL    := $(addprefix $(BENCH_OUT)/bench-,$(BENCH_PEERS))
CHECK_TARGETS += check-bench

$(call needs,bench-emulated,python3 binutils cpio mmdebstrap qemu-system-x86)
$(call needs,bench-emulated bench bench-calls,python3 libevent-dev libuv1-dev liburing-dev)
$(call needs,bench-calls check-bench,python3 strace)
$(call needs,bench-report,python3 gnuplot-nox)

.PHONY: bench bench-emulated bench-calls bench-report bench-readme check-bench

# adapter, flags, libraries; all static, as they run on other kernels as well
BENCH_libev      := on-libev.h      -DBENCH_LINUXAIO_STATS -isystem $(INST)/include $(INST)/lib/libev.a -lm
BENCH_upstream   := on-libev.h      -isystem $(BUILD)/pristine-inst/include $(BUILD)/pristine-inst/lib/libev.a -lm
BENCH_libevent   := on-libevent.h   -levent_core
BENCH_libuv      := on-libuv.h      -luv_a -ldl
BENCH_bare-epoll := on-epoll.h
BENCH_bare-aio   := on-aio.h
BENCH_bare-uring := on-uring.h      -luring

$(BENCH_OUT)/bench-libev: $(BUILD)/inst.done
$(BENCH_OUT)/bench-upstream: $(BUILD)/pristine-inst.done
$(BENCH_ALL): $(BENCH_OUT)/bench-%: $(wildcard tests/bench/*.[ch]) tests/bench/targets.mk
	@mkdir -p $(BENCH_OUT)
	@$(CC) -O2 -g -fno-strict-aliasing -Wall -Wextra -Wno-unused-parameter -Itests/bench -static $(CFLAGS) \
	  -DADAPTER='"$(firstword $(BENCH_$*))"' -DPEER='"$*"' tests/bench/bench.c tests/bench/workloads.c -o $@ \
	  $(LDFLAGS) $(wordlist 2,9,$(BENCH_$*)) -pthread 2>$@.log || { cat $@.log >&2; exit 1; }

$(BENCH_OUT)/count.so: tests/bench/count.c
	@mkdir -p $(BENCH_OUT)
	@$(CC) -O2 -Wall -Wextra -Wno-unused-parameter -shared -fPIC $< -o $@

bench-emulated: $(BENCH_ALL) $(BENCH_OUT)/count.so
	@tests/bench/measure --how instructions $(BENCH_ARGS) $(if $(KERNELS),--kernels "$(KERNELS)")

bench: $(BENCH_ALL)
	@tests/bench/measure --how time $(BENCH_ARGS) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(MINUTES),--minutes $(MINUTES))

bench-calls: $(BENCH_ALL)
	@tests/bench/measure --how calls $(BENCH_ARGS)

check-bench: $(BENCH_OUT)/bench-libev
	@tests/bench/measure --how calls --build $(BUILD) --short --peers epoll,64,68
	@! tests/bench/measure --rows nosuchrow 2>/dev/null

bench-report:
	@tests/bench/report --build $(BUILD)

bench-readme:
	@tests/bench/report --build $(BUILD) --readme
