# tests/deep: the programs of make check under closer observation, and what reads the source
#
#   make check-deep         sanitizers, valgrind, static analysis
#   make check-coverage     make check's programs reach every line of the backend
#   make check-mutants      N=60 SEED=1 IN=function JOBS=4 AGAIN=1: see tests/deep/mutants

DEEP_CHECKS := check-behaviour check-rings check-random
$(call needs,check-deep check-coverage check-mutants,$(foreach t,$(DEEP_CHECKS),$(PACKAGES_$(t))))
$(call needs,check-deep,valgrind cppcheck clang-tidy)
$(call needs,check-coverage,gcovr)
$(call needs,check-mutants,python3 binutils)

.PHONY: check-deep check-asan check-tsan check-valgrind check-analysis check-coverage check-mutants

check-deep: check-asan check-tsan check-valgrind check-analysis

# libev's select backend copies nothing from and to null pointers
check-asan: $(BUILD)/inst.done
	@$(MAKE) TEST_OUT=$(BUILD)/asan INSTRUMENT="-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-sanitize=nonnull-attribute" PATIENCE=4 $(DEEP_CHECKS)

# ev_async_send tells a loop through flags with fences in assembly, and rings are
# mapped by io_setup, where others were: it knows nothing of both. calls are counted (lib/fault.c)
# for tests of one thread
check-tsan: $(BUILD)/inst.done
	@printf '%s\n' race:evpipe_write race:ev_async_send race_top:linuxaio_exchange race_top:linuxaio_ring_install race_top:hit 'race_top:fault_*' >$(BUILD)/tsan-suppressions
	@TSAN_OPTIONS="suppressions=$(abspath $(BUILD))/tsan-suppressions halt_on_error=1" \
	  $(MAKE) TEST_OUT=$(BUILD)/tsan INSTRUMENT=-fsanitize=thread PATIENCE=4 TEST=thread check-behaviour

# loops run on epoll there, as it does not know the requests; leaks are for the sanitizers
check-valgrind: $(BUILD)/inst.done
	@$(MAKE) FLAVOUR=plain LOOP=64 PATIENCE=10 RUN="valgrind -q --error-exitcode=1 --leak-check=no --child-silent-after-fork=yes" check-behaviour

# little of libev beside the backend, so that the tools get to the end of it
ANALYSED := -DEV_STANDALONE=1 -DEV_FEATURES=0x65 -DNDEBUG -DEV_USE_LINUXAIO=1 -DEV_USE_EPOLL=1 -DEV_USE_IOURING=0 -DEV_USE_SELECT=0 \
	-DEV_USE_POLL=0 -DEV_USE_INOTIFY=0 -DEV_USE_SIGNALFD=0 -DEV_USE_TIMERFD=0 -I$(BUILD)/libev $(BUILD)/libev/ev.c

# cppcheck does not read the headers of the system: it knows mmap with a file only, and libev's macros by halves.
# clang-tidy objects to every function with two integers and to memset, to getenv, to the size of pointers,
# and to what libev does everywhere
CPPCHECK   := --quiet --enable=warning,portability --std=c99 --language=c --platform=unix64 --library=posix -D__GNUC__=12 -D__GNUC_MINOR__=2 \
	-D__x86_64=1 -D__linux=1 -D__linux__=1 --suppress=invalidFunctionArg --suppress=memleak
CLANG_TIDY := -*,bugprone-*,-bugprone-easily-swappable-parameters,-bugprone-narrowing-conversions,-bugprone-branch-clone,-bugprone-sizeof-expression,clang-analyzer-*,$(strip \
	)-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling,concurrency-*,-concurrency-mt-unsafe,misc-redundant-expression,portability-*

# whatever is said of the two files is a finding
check-analysis: $(BUILD)/inst.done
	@gcc -fanalyzer -Wall -Wextra -O2 -c -o /dev/null $(ANALYSED) >$(BUILD)/log/analysis 2>&1
	@cppcheck $(CPPCHECK) $(ANALYSED) >>$(BUILD)/log/analysis 2>&1
	@clang-tidy --quiet --header-filter='ev_linuxaio' --checks='$(CLANG_TIDY)' $(BUILD)/libev/ev.c -- -w $(ANALYSED) >>$(BUILD)/log/analysis 2>&1
	@! grep -A4 'ev_linuxaio\.[ch]:.*\(warning\|error\|portability\)' $(BUILD)/log/analysis

# not reached, because nobody can: AT_SECURE, a C library without epoll_pwait2, and checks that are
# inlined where they are known: a loop with rings has the page that tells of forks, an fd in one has
# requests, and is not on the list that was just armed
UNREACHED := enable_secure|epoll_pwait2 &&|linuxaio\.alive &&|if \(!?linuxaio_forked|linuxaio_phase \(|f->request \?|linuxaio_rearm \(EV_A_ fd\);

# children leave by _exit, which does not write what is counted
check-coverage: $(BUILD)/inst.done
	@rm -rf $(BUILD)/coverage
	@$(MAKE) TEST_OUT=$(BUILD)/coverage INSTRUMENT="--coverage -fprofile-update=atomic -D_exit=exit" QUICK=1 $(DEEP_CHECKS)
	@gcovr --root . --gcov-ignore-parse-errors --filter '.*/ev_linuxaio\.c$$' --print-summary --fail-under-line 100 \
	  --exclude-branches-by-pattern '.*($(UNREACHED)).*' --fail-under-branch 100 $(BUILD)/coverage

MUTANTS := below/rings below/random below/behaviour tiny/behaviour

# all but libev is linked once
check-mutants: $(addprefix $(TEST_OUT)/,$(MUTANTS))
	@mkdir -p $(BUILD)/mutants
	@$(foreach m,$(MUTANTS),$(TEST_CC) $(CFLAGS) -r -nostdlib $(OBJECTS_$(m)) -o $(BUILD)/mutants/$(subst /,-,$(m)).o &&) true
	@EV="$(COMPILE_below)" RENAME="$(RENAME_below)" LINK="$(TEST_CC) $(CFLAGS)" LIBS="$(LDFLAGS) $(TEST_LIBS)" tests/deep/mutants $(BUILD)
