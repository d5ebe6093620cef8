# tests/examples: the C examples of libev's manual and of README; EXAMPLE=part-of-text

CHECK_TARGETS += check-examples
$(call needs,check-examples,python3 g++)

.PHONY: check-examples
check-examples: all
	@tests/examples/run.py $(BUILD)/libev $(INST) $(if $(EXAMPLE),'$(EXAMPLE)')
