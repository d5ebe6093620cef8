# tests/soak: a TCP echo service under churn, for as long as one likes
#
#   make soak MINUTES=60 CONNECTIONS=2000 WORKERS=2
#   make check-soak            the same for some seconds, with fewer connections
#
# BACKEND=4 runs it on epoll, for comparison. libev is compiled in, with a ring
# from 32 fds on, though the loop might not gain from one; it is left when it does not.

CHECK_TARGETS += check-soak

SOAK_OUT := $(BUILD)/soak

$(SOAK_OUT)/libev.o: tests/soak/targets.mk $(BUILD)/inst.done
	@mkdir -p $(@D)
	@$(CC) -O2 -g -w -fno-strict-aliasing -DEV_LINUXAIO_RING_FDS=32 -DHAVE_CONFIG_H -I$(BUILD)/libev $(CFLAGS) -c $(BUILD)/libev/ev.c -o $@

$(SOAK_OUT)/soak: tests/soak/soak.c $(SOAK_OUT)/libev.o
	@$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -fno-strict-aliasing -isystem $(INST)/include $(CFLAGS) $^ -o $@ $(LDFLAGS) -lm

.PHONY: soak check-soak

soak:
	@$(MAKE) all
	@$(MAKE) $(SOAK_OUT)/soak
	@$(SOAK_OUT)/soak -t $$(($(or $(MINUTES),1) * 60)) -c $(or $(CONNECTIONS),2000) -w $(or $(WORKERS),2) $(if $(BACKEND),-b $(BACKEND))

check-soak:
	@$(MAKE) all
	@$(MAKE) $(SOAK_OUT)/soak
	@$(SOAK_OUT)/soak -t 8 -c 400 $(if $(BACKEND),-b $(BACKEND))
