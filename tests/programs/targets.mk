# tests/programs: Debian's programs, unmodified, on the libev built here
#
#   make run              ROUNDS=7, SCENES="proxy plain coroutines"
#   make try              ROUNDS=11, LIB=directory of a libev
#   make check-programs   TEST=part-of-name, PERL_EV_SRC=tarball of Perl's EV, where apt can get no source packages
#   make check-doctor     on hosts that are made up

CHECK_TARGETS += check-programs check-doctor
$(call needs,run,nghttp2-server nghttp2-client hitch openssl python3-gevent strace util-linux)
$(call needs,try,python3)
$(call needs,check-doctor,bats)
$(call needs,check-programs,perl strace nghttp2-server nghttp2-client curl hitch openssl multiwatch \
  python3-gevent libcommon-sense-perl libcanary-stability-perl)

.PHONY: run try doctor check-programs check-doctor

run: all
	@LIBEV_LIB_DIR=$(abspath $(INST))/lib tests/programs/measure run

try: all
	@LIBEV_LIB_DIR=$(abspath $(INST))/lib tests/programs/measure try "$$CMD"

# as it was given, dollar signs, too
ifdef CMD
override export CMD := $(value CMD)
endif

doctor:
	@tests/programs/doctor $(PID) $(PROGRAM)

check-programs: all
	@BUILD=$(abspath $(BUILD)) LIBEV_LIB_DIR=$(abspath $(INST))/lib tests/programs/check $(TEST)

check-doctor:
	@bats tests/programs
