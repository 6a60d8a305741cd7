# SPDX-License-Identifier: Apache-2.0
# BPF programs that only the tests in selftests/prog have: a stage of bpf/ and nothing around it.

$(GEN)/prog_%.skel.h: selftests/prog/%.bpf.c $(wildcard selftests/prog/*.h) $(BPF_DEPS)
	@mkdir -p $(GEN) $(BUILD)/prog
	$(call say,BPF,$@)
	$(Q)$(CLANG) $(BPF_CFLAGS) -c $< -o $(BUILD)/prog/$*.bpf.o
	$(Q)llvm-strip -g $(BUILD)/prog/$*.bpf.o
	$(Q)$(BPFTOOL) gen skeleton $(BUILD)/prog/$*.bpf.o name prog_$* > $@

$(BUILD)/prog/test_meter: $(GEN)/prog_meter.skel.h
$(BUILD)/prog/test_vlan: $(GEN)/prog_vlan.skel.h
$(BUILD)/prog/test_ids $(BUILD)/prog/test_ids_limits $(BUILD)/prog/test_ids_blocks $(BUILD)/prog/test_ids_keys $(BUILD)/prog/test_ids_tables $(BUILD)/prog/test_ids_original $(BUILD)/prog/test_ids_crowds $(BUILD)/prog/test_ids_unreachable $(BUILD)/prog/test_ids_places: $(GEN)/prog_ids.skel.h selftests/prog/ids_rig.h

# they compile bpf/meter.h for user space, which names vmlinux.h
$(BUILD)/unit/test_meter $(BUILD)/unit/test_meter_tree: private ASAN_CFLAGS += -I.
