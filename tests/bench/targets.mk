# tests/bench: what the backend costs, beside other backends, other libraries and
# the bare system calls: see README

BENCH_OUT    := $(BUILD)/bench
BENCH_ARGS    = --build $(BUILD) $(if $(SHORT),--short) $(if $(ADD),--add) $(foreach v,ROWS PEERS KERNELS ROUNDS MINUTES SECONDS,\
	$(if $($(v)),--$(shell echo $(v) | tr A-Z a-z) "$($(v))"))
BENCH_PEERS  := libev upstream libevent libuv bare-epoll bare-aio bare-uring
BENCH_ALL    := $(addprefix $(BENCH_OUT)/bench-,$(BENCH_PEERS))
CHECK_TARGETS += check-bench

$(call needs,bench-emulated,python3 binutils cpio mmdebstrap qemu-system-x86)
$(call needs,bench-emulated bench bench-calls,python3 libevent-dev libuv1-dev liburing-dev)
$(call needs,bench-calls check-bench,python3 strace)
$(call needs,bench-report,python3 gnuplot-nox)
$(call needs,check-report,python3 python3-lxml gnuplot-nox chromium)

$(call needs,bench-programs bench-latency,python3 libssl-dev nghttp2-server hitch openssl linux-perf)
$(call needs,bench-programs,python3-gevent perl libcommon-sense-perl libcanary-stability-perl libmojolicious-perl ocaml-findlib liblwt-ocaml-dev\
  $(if $(LUA_EV_SRC),lua5.1 liblua5.1-0-dev lua-socket))

.PHONY: check-report bench-programs bench-latency bench bench-emulated bench-calls bench-report bench-readme check-bench

# adapter, flags, libraries; all static, as they run on other kernels as well
BENCH_libev      := on-libev.h      -isystem $(INST)/include $(INST)/lib/libev.a -lm
BENCH_upstream   := on-libev.h      -isystem $(BUILD)/pristine-inst/include $(BUILD)/pristine-inst/lib/libev.a -lm
BENCH_libevent   := on-libevent.h   -levent_core
BENCH_libuv      := on-libuv.h      -luv_a -ldl
BENCH_bare-epoll := on-epoll.h
BENCH_bare-aio   := on-aio.h
BENCH_bare-uring := on-uring.h      -luring

$(BENCH_OUT)/bench-libev: $(BUILD)/inst.done
$(BENCH_OUT)/bench-upstream: $(BUILD)/pristine-inst.done
BENCH_COMPILE = mkdir -p $(@D) && $(CC) -O2 -g -fno-strict-aliasing \
	-Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers -Itests/lib $(CFLAGS) tests/bench/bench.c tests/lib/world.c -o $@ $(LDFLAGS) -pthread

$(BENCH_ALL) $(BENCH_OUT)/load: $(wildcard tests/bench/*.[ch]) tests/lib/world.c tests/bench/targets.mk
$(BENCH_ALL): $(BENCH_OUT)/bench-%:
	@$(BENCH_COMPILE) -static -Wl,--no-warnings -DADAPTER='"$(firstword $(BENCH_$*))"' $(wordlist 2,9,$(BENCH_$*))

$(BENCH_OUT)/load:
	@$(BENCH_COMPILE) -DADAPTER='"on-epoll.h"' -DBENCH_LOAD -lssl -lcrypto

$(BENCH_OUT)/count.so: tests/bench/count.c
	@mkdir -p $(BENCH_OUT)
	@$(CC) -O2 -Wall -Wextra -Wno-unused-parameter -shared -fPIC $< -o $@

$(BENCH_OUT)/hello-lwt: tests/bench/hello.ml
	@mkdir -p $(BENCH_OUT) && cp $< $@.ml
	@cd $(@D) && ocamlfind ocamlopt -thread -package threads.posix,lwt.unix -linkpkg hello-lwt.ml -o hello-lwt

# no package of Debian's; which libev it has, is up to LD_LIBRARY_PATH
$(BENCH_OUT)/lua-ev/ev.so: $(LUA_EV_SRC)/lua_ev.c $(wildcard $(LUA_EV_SRC)/*.[ch]) $(BUILD)/inst.done
	@mkdir -p $(@D)
	@$(CC) -O2 -shared -fPIC -isystem $(INST)/include -isystem /usr/include/lua5.1 $< -o $@ -L$(INST)/lib -lev

# Perl's EV with the backend in its copy of libev, and as it is
$(BENCH_OUT)/ev-%.done: ev_linuxaio.c ev_linuxaio.h patches/apply $(wildcard patches/libev-*/*)
	@rm -rf $(@:.done=) && mkdir -p $(@:.done=)
	@file=libev-perl_$$(apt-cache madison libev-perl | awk 'NR == 1 { sub (/-[^-]*$$/, "", $$3); print $$3 }').orig.tar.gz; \
	$(if $(PERL_EV_SRC),:,patches/get-source libev-perl $$file - $(BUILD)) && \
	tar -xf $(or $(PERL_EV_SRC),$(BUILD)/$$file) --strip-components=1 --no-same-owner -C $(@:.done=)
	@test $* = pristine-inst || patches/apply $(@:.done=)/libev >/dev/null
	@cd $(@:.done=) && export PERL_CANARY_STABILITY_DISABLE=1 PERL_MM_USE_DEFAULT=1 EV_EXTRA_DEFS=-DEV_NO_ATFORK && \
	{ /usr/bin/perl Makefile.PL && $(MAKE); } >log 2>&1 || { tail -n 3 log; exit 1; }
	@touch $@

bench-emulated bench bench-calls: $(BENCH_ALL)
bench-emulated: $(BENCH_OUT)/count.so
bench-latency bench-programs: $(addprefix $(BENCH_OUT)/,bench-libev bench-upstream load)
bench-programs: $(addprefix $(BENCH_OUT)/,hello-lwt ev-inst.done ev-pristine-inst.done $(if $(LUA_EV_SRC),lua-ev/ev.so))
bench-emulated bench bench-calls bench-latency bench-programs:
	@tests/bench/measure --how $(subst bench,time,$(subst emulated,instructions,$(@:bench-%=%))) $(BENCH_ARGS)

check-bench: $(BENCH_OUT)/bench-libev
	@tests/bench/measure --how calls --build $(BUILD) --short --peers epoll,64,68
	@! tests/bench/measure --rows nosuchrow 2>/dev/null

bench-report check-report bench-readme:
	@tests/bench/report --build $(BUILD) $(filter --check --readme,$(@:%-report=--%) $(@:bench-%=--%))
