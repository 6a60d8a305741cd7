# SPDX-License-Identifier: Apache-2.0
# The reference model and the differential test: selftests/prog/test_differential.c.

REF_O := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard selftests/reference/*.c))

$(BUILD)/prog/test_differential: selftests/prog/test_differential.c $(BUILD)/libsluice.a $(TLIB_C:%.c=$(BUILD)/obj/%.o) $(REF_O) | $(GENERATED)
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(TEST_CFLAGS) -Iselftests -o $@ $< $(TLIB_C:%.c=$(BUILD)/obj/%.o) $(REF_O) $(BUILD)/libsluice.a -lcmocka $(LIBS)

# ten times what `make test` compares; SEED=n and PAIRS=n as there
.PHONY: soak
soak: $(BUILD)/prog/test_differential
	@PAIRS=$${PAIRS:-10000000} $<
