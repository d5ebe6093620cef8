# tests/programs: Debian's programs, unmodified, on the libev built here
#
#   make run                     hitch serves a load on epoll and on the ring, in turns
#   make run UPSTREAM=1          and on the backend of that name that libev 4.33 has
#   make check-real-programs     all programs, and what they do without AIO
#   make check-real-programs-X   tests/programs/check-X alone
#   make check-perl-ev           Perl's EV, built with the backend; PERL_EV_SRC=tarball
#   make eager-libev             the library for programs that gain nothing from a ring
#
# ROUNDS=12, REQUESTS=30000 of a round, COUNTED=10000 of the run under strace

REAL_CHECKS := $(patsubst tests/programs/check-%,check-real-programs-%,$(wildcard tests/programs/check-*))
REAL_EAGER  := $(BUILD)/real-programs/eager/lib

$(call needs,run,nghttp2-server nghttp2-client hitch openssl strace util-linux)
CHECK_TARGETS  += check-real-programs
$(call needs,check-real-programs $(REAL_CHECKS) check-perl-ev,nghttp2-server nghttp2-client curl strace hitch openssl multiwatch \
  python3-gevent perl libcommon-sense-perl libcanary-stability-perl)

.PHONY: run check-real-programs check-perl-ev eager-libev $(REAL_CHECKS)

run: all $(if $(UPSTREAM),pristine)
	@LIBEV_LIB_DIR=$(abspath $(INST))/lib \
	 LIBEV_UPSTREAM_DIR=$(abspath $(BUILD))/pristine-inst/lib tests/programs/run

check-real-programs: $(REAL_CHECKS)

check-perl-ev: check-real-programs-perl-ev

$(REAL_CHECKS): all eager-libev
	@LIBEV_LIB_DIR=$(abspath $(INST))/lib LIBEV_EAGER_DIR=$(abspath $(REAL_EAGER)) \
	 tests/programs/$(@:check-real-programs-%=check-%)

eager-libev: $(REAL_EAGER)/libev.so.4

# a ring from 32 watched fds on, and no loop is ever weighed: what has made one stays there
real-eager     = -DEV_LINUXAIO_RING_FDS=32 -DEV_LINUXAIO_EVENTS=INT_MAX
real-libflags  = $(shell sed -n 's/^$(1) = //p' $(BUILD)/libev/Makefile)

$(REAL_EAGER)/libev.so.4: $(BUILD)/inst.done tests/programs/targets.mk
	@mkdir -p $(@D)
	@$(CC) $(call real-libflags,CPPFLAGS) $(call real-libflags,CFLAGS) -w $(real-eager) -DHAVE_CONFIG_H \
	 -I$(BUILD)/libev -fPIC -shared -Wl,-soname,libev.so.4 $(BUILD)/libev/ev.c $(BUILD)/libev/event.c \
	 -o $@.$$$$ $(call real-libflags,LDFLAGS) -lm && mv $@.$$$$ $@

# make doctor: will programs use Linux AIO here, and if not, why not?
# make doctor PID=4711: a process; PROGRAM=nghttpd: the libev that a program loads
# make try CMD="command": your command on LIBEV_FLAGS=4 and 68 in turns; ROUNDS=11, LIB=directory of a libev
.PHONY: doctor try check-doctor
CHECK_TARGETS += check-doctor
$(call needs,check-doctor,bats perl strace nghttp2-server nghttp2-client)

doctor:
	@tests/programs/doctor $(PID) $(PROGRAM)

check-doctor: all
	@BUILD=$(abspath $(BUILD)) bats tests/programs/doctor.bats tests/programs/try.bats

try: all
	@LIB="$(or $(LIB),$(INST)/lib)" tests/programs/try "$$CMD"

# as it was given, dollar signs, too
ifdef CMD
override export CMD := $(value CMD)
endif
