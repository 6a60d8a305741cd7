# SPDX-License-Identifier: Apache-2.0
# `make bench`: figures, always as ratios to a baseline in the same run. QUICK=1 ends within ten minutes.

BENCH      := $(BUILD)/bench
BENCH_BINS := $(BENCH)/packet_path $(BENCH)/activations $(BENCH)/latency $(BENCH)/counters $(BENCH)/classify $(BENCH)/meter \
	$(BENCH)/ids \
	$(BENCH)/restart $(BENCH)/teardown $(BENCH)/queues $(BENCH)/sessions $(BENCH)/idle
BENCH_CFLAGS = $(SL_CFLAGS) -I$(BENCH) -Iselftests/bench

$(BENCH)/bench_generator.skel.h: selftests/bench/generator.bpf.c selftests/bench/generator.h
	@mkdir -p $(@D)
	$(call say,BPF,$@)
	$(Q)$(CLANG) -target bpf -O2 -g -mcpu=v3 -Wall -Wextra -Werror -Wno-unused-parameter \
		-idirafter /usr/include/$(shell $(CC) -print-multiarch) -c $< -o $(@D)/generator.bpf.o
	$(Q)llvm-strip -g $(@D)/generator.bpf.o
	$(Q)$(BPFTOOL) gen skeleton $(@D)/generator.bpf.o name bench_generator > $@
$(BENCH)/%.o: selftests/bench/%.c | $(GENERATED) $(BENCH)/bench_generator.skel.h
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(BENCH_CFLAGS) -c $< -o $@

# the real stages of bpf/, and nothing around them
$(BENCH)/bench_classify.skel.h: selftests/bench/classify.bpf.c selftests/bench/classify.h $(BPF_DEPS)
	@mkdir -p $(@D)
	$(call say,BPF,$@)
	$(Q)$(CLANG) $(BPF_CFLAGS) -c $< -o $(@D)/classify.bpf.o
	$(Q)llvm-strip -g $(@D)/classify.bpf.o
	$(Q)$(BPFTOOL) gen skeleton $(@D)/classify.bpf.o name bench_classify > $@
$(BENCH)/classify.o: $(BENCH)/bench_classify.skel.h

$(BENCH)/meter.o: $(GEN)/prog_meter.skel.h
$(BENCH)/ids.o: $(GEN)/prog_ids.skel.h

$(BENCH)/classify: $(BENCH)/classify_rules.o
$(BENCH)/packet_path: $(BENCH)/gateway_nft.o $(BENCH)/gateway_sluice.o
$(BENCH)/activations $(BENCH)/latency $(BENCH)/idle: $(BENCH)/agent.o $(BENCH)/request.o
$(BENCH_BINS): $(BENCH)/%: $(BENCH)/%.o $(BENCH)/rig.o $(BENCH)/table.o $(BUILD)/libsluice.a
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) -o $@ $(filter %.o,$^) $(BUILD)/libsluice.a $(LIBS)

.PHONY: bench bench-build
bench-build: all $(BENCH_BINS) $(BUILD)/tools/delay $(BUILD)/tools/transit $(BUILD)/tools/send $(BUILD)/tools/sink
bench:
	@tools/deps.sh build bench
	@$(MAKE) --no-print-directory -j2 bench-build
	@BUILD=$(BUILD) QUICK=$(QUICK) selftests/bench/run.sh
