# tests/real-programs: Debian's programs, unmodified, on the libev built here
#
#   make run                     nghttpd serves a load on epoll and on the ring, in turns
#   make run UPSTREAM=1          and on the backend of that name that libev 4.33 has
#   make check-real-programs     all programs, and what they do without AIO
#   make check-real-programs-X   tests/real-programs/check-X alone
#   make check-perl-ev           Perl's EV, built with the backend; PERL_EV_SRC=tarball
#
# ROUNDS=10, REQUESTS=100000 of a round, COUNTED=10000 of the run under strace

REAL_CHECKS := $(patsubst tests/real-programs/check-%,check-real-programs-%,$(wildcard tests/real-programs/check-*))

RUN_TARGETS    += run-nghttpd
RUN_PACKAGES   += nghttp2-server nghttp2-client strace
CHECK_TARGETS  += check-real-programs
CHECK_PACKAGES += nghttp2-server nghttp2-client curl strace hitch openssl multiwatch python3-gevent \
                  perl libcommon-sense-perl libcanary-stability-perl

.PHONY: run-nghttpd check-real-programs check-perl-ev $(REAL_CHECKS)

run-nghttpd: $(if $(UPSTREAM),pristine)
	@LIBEV_LIB_DIR=$(abspath $(INST))/lib \
	 LIBEV_UPSTREAM_DIR=$(abspath $(BUILD))/pristine-inst/lib tests/real-programs/run

check-real-programs: $(REAL_CHECKS)

check-perl-ev: check-real-programs-perl-ev

$(REAL_CHECKS): all
	@LIBEV_LIB_DIR=$(abspath $(INST))/lib tests/real-programs/$(@:check-real-programs-%=check-%)
