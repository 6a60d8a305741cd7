# SPDX-License-Identifier: Apache-2.0
# libFuzzer targets: make fuzz [FUZZ_SECONDS=30], each selftests/fuzz/fuzz_*.c for so long.
# Warnings are gcc's business, which builds the same sources. The corpus stays in build/fuzz/corpus/NAME.

FUZZ_C       := $(wildcard selftests/fuzz/fuzz_*.c)
FUZZ_BINS    := $(FUZZ_C:selftests/fuzz/%.c=$(BUILD)/fuzz/%)
FUZZ_SECONDS ?= 30
FUZZ_SAN     := -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all -fno-omit-frame-pointer
FUZZ_LIB_O   := $(patsubst %,$(BUILD)/fuzz/obj/selftests/lib/%.o,echo_service h2_raw)

$(BUILD)/fuzz/obj/gen/%.o: $(GEN)/%.c | $(PROTO_H)
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CLANG) $(GEN_CFLAGS) $(FUZZ_SAN) -c $< -o $@
$(BUILD)/fuzz/obj/%.o: %.c | $(GENERATED)
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CLANG) $(SL_CFLAGS) -w $(FUZZ_SAN) -Iselftests/lib -c $< -o $@
$(BUILD)/fuzz/libsluice.a: $(AGENT_C:%.c=$(BUILD)/fuzz/obj/%.o) $(PROTO_C:$(GEN)/%.c=$(BUILD)/fuzz/obj/gen/%.o)
	@rm -f $@
	$(call say,AR,$@)
	$(Q)ar rcs $@ $^
$(BUILD)/fuzz/%: $(BUILD)/fuzz/obj/selftests/fuzz/%.o $(FUZZ_LIB_O) $(BUILD)/fuzz/libsluice.a
	$(call say,LD,$@)
	$(Q)$(CLANG) $(CFLAGS) -fsanitize=address,undefined,fuzzer -o $@ $^ $(LIBS)

.PHONY: fuzz
fuzz: $(FUZZ_BINS)
	@set -e; for target in $(FUZZ_BINS); do \
		echo "$$target: $(FUZZ_SECONDS) s"; \
		name=$${target##*/}; \
		mkdir -p $(BUILD)/fuzz/corpus/$$name; \
		words=; [ ! -f selftests/fuzz/$$name.dict ] || words=-dict=selftests/fuzz/$$name.dict; \
		$$target -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 -verbosity=0 $$words \
			-artifact_prefix=$(BUILD)/fuzz/ $(BUILD)/fuzz/corpus/$$name; \
	done
