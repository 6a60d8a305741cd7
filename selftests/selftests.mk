# SPDX-License-Identifier: Apache-2.0
# Test programs: units under ASan and UBSan, BPF programs on the running kernel, namespaces.

UNIT_C := $(wildcard selftests/unit/test_*.c)
PROG_C := $(wildcard selftests/prog/test_*.c)
TLIB_C := $(wildcard selftests/lib/*.c)
TOOL_C := $(wildcard selftests/tools/*.c)

ASAN   := $(BUILD)/asan
ASAN_CFLAGS = $(SL_CFLAGS) $(SANITIZE) -Iselftests/lib
TEST_CFLAGS = $(SL_CFLAGS) -Iselftests/lib

$(ASAN)/obj/gen/%.o: $(GEN)/%.c | $(PROTO_H)
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(GEN_CFLAGS) $(SANITIZE) -c $< -o $@
$(ASAN)/obj/%.o: %.c | $(GENERATED)
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(ASAN_CFLAGS) -c $< -o $@
$(ASAN)/libsluice.a: $(AGENT_C:%.c=$(ASAN)/obj/%.o) $(PROTO_C:$(GEN)/%.c=$(ASAN)/obj/gen/%.o)
	@rm -f $@
	$(call say,AR,$@)
	$(Q)ar rcs $@ $^
$(BUILD)/unit/%: selftests/unit/%.c $(ASAN)/libsluice.a $(TLIB_C:%.c=$(ASAN)/obj/%.o)
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(ASAN_CFLAGS) -o $@ $< $(TLIB_C:%.c=$(ASAN)/obj/%.o) $(ASAN)/libsluice.a -lcmocka $(LIBS)

$(BUILD)/prog/%: selftests/prog/%.c $(BUILD)/libsluice.a $(TLIB_C:%.c=$(BUILD)/obj/%.o) | $(GENERATED)
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(TEST_CFLAGS) -o $@ $< $(TLIB_C:%.c=$(BUILD)/obj/%.o) $(BUILD)/libsluice.a -lcmocka $(LIBS)
$(BUILD)/obj/selftests/%.o: selftests/%.c | $(GENERATED)
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(TEST_CFLAGS) -c $< -o $@

# packet sender and sink of the net tests and the demo
$(BUILD)/tools/%: selftests/tools/%.c
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(TEST_CFLAGS) -o $@ $<

# the server that foreign gRPC clients are tried on; sanitized, since it meets their bytes
$(BUILD)/net/grpc_echo: selftests/net/grpc_echo.c $(ASAN)/libsluice.a $(ASAN)/obj/selftests/lib/echo_service.o
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(ASAN_CFLAGS) -o $@ $^ $(LIBS)

UNIT_BINS := $(UNIT_C:selftests/unit/%.c=$(BUILD)/unit/%)
PROG_BINS := $(PROG_C:selftests/prog/%.c=$(BUILD)/prog/%)
TOOL_BINS := $(TOOL_C:selftests/tools/%.c=$(BUILD)/tools/%)

.PHONY: tests-build
tests-build: all $(UNIT_BINS) $(PROG_BINS) $(TOOL_BINS) $(BUILD)/net/grpc_echo

.PHONY: test
test: deps
	@tools/deps.sh browser || echo 'deps: no browser: its test is skipped'
	@$(MAKE) --no-print-directory -j2 tests-build
	@selftests/run.sh

# the same programs on Debian's other kernels, in QEMU; half an hour a kernel
.PHONY: test-vm
test-vm: deps
	@tools/deps.sh vm
	@$(MAKE) --no-print-directory -j2 tests-build
	@BUILD=$(BUILD) tools/vm/test.sh $(WORDS)

-include selftests/bench/bench.mk
include selftests/fuzz/fuzz.mk
-include selftests/reference/reference.mk
include selftests/prog/prog.mk
include selftests/verify/verify.mk
