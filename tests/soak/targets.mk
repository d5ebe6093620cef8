# tests/soak: a TCP echo service under churn, for as long as one likes
#
#   make soak MINUTES=60 CONNECTIONS=2000 WORKERS=2
#   make check-soak            the same for some seconds, with fewer connections
#
# BACKEND=4 runs it on epoll, for comparison.

CHECK_TARGETS += check-soak

SOAK_OUT := $(BUILD)/soak

$(SOAK_OUT)/soak: tests/soak/soak.c tests/soak/targets.mk $(BUILD)/inst.done
	@mkdir -p $(@D)
	@$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -fno-strict-aliasing -isystem $(INST)/include $(CFLAGS) $< -o $@ \
	  $(LDFLAGS) -L$(INST)/lib -Wl,-rpath,'$$ORIGIN/../$(notdir $(INST))/lib' -lev

.PHONY: soak check-soak

soak:
	@$(MAKE) all
	@$(MAKE) $(SOAK_OUT)/soak
	@$(SOAK_OUT)/soak -t $$(($(or $(MINUTES),1) * 60)) -c $(or $(CONNECTIONS),2000) -w $(or $(WORKERS),2) $(if $(BACKEND),-b $(BACKEND))

check-soak:
	@$(MAKE) all
	@$(MAKE) $(SOAK_OUT)/soak
	@$(SOAK_OUT)/soak -t 8 -c 400 $(if $(BACKEND),-b $(BACKEND))
