# tests/lib: what the tests of several folders share
#
# $(call FAULT_LIBEV,COMPILER,FLAGS): libev with the policy of the backend as
# variables (knob_... of fault.h), into $@. FAULT_BELOW renames what it calls, so
# that it finds the functions of fault.c there.

FAULT_SYMBOLS := syscall epoll_ctl epoll_wait epoll_pwait2 eventfd poll mmap munmap madvise \
	getsockopt fstat open close uname
FAULT_KNOBS   := -include tests/lib/fault.h -DEV_LINUXAIO_RING_FIRST=knob_first \
	-DEV_LINUXAIO_RING_NEXT=knob_next -DEV_LINUXAIO_WORTH=knob_worth
FAULT_LIBEV    = $(1) -pthread -O2 -g -w -fno-strict-aliasing -U_FORTIFY_SOURCE -DHAVE_CONFIG_H $(FAULT_KNOBS) \
	$(2) -I$(BUILD)/libev $(CFLAGS) -c $(BUILD)/libev/ev.c -o $@
FAULT_BELOW    = objcopy $(foreach s,$(FAULT_SYMBOLS),--redefine-sym $(s)=fault_$(s)) $@
