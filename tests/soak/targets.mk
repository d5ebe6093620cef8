# tests/soak: a TCP echo service under churn
#
#   make soak [MINUTES=1] [CONNECTIONS=4000] [LOOP=64|68|epoll]
#   make check-soak            for some seconds, with fewer connections

$(eval $(call test_program,soak,installed,$(TEST_FIXTURE) tests/soak/soak.c))
$(eval $(call check,soak,installed))

.PHONY: soak
soak: $(TEST_OUT)/installed/soak
	@SOAK_SECONDS=$$(($(or $(MINUTES),1) * 60)) SOAK_CONNECTIONS=$(or $(CONNECTIONS),4000) $< -n -l $(or $(LOOP),64)
