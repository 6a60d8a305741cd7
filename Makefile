# SPDX-License-Identifier: Apache-2.0
#
# sluice. The two commands: make demo, make test. `make help` lists the others.

SHELL := /bin/bash
.DELETE_ON_ERROR:
.SECONDARY:
.DEFAULT_GOAL := all

VERSION := 0.1.0
BUILD   := build
GEN     := $(BUILD)/gen

CC      := gcc
CLANG   := clang
BPFTOOL := bpftool

# one short line a file; `make V=1` shows the commands
Q := $(if $(filter 1,$(V)),,@)
say = @$(if $(filter 1,$(V)),:,printf '  %-5s %s\n' $(1) $(2))

WARN    := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2
CFLAGS  ?= -O2 -g
SL_CFLAGS = -std=gnu11 $(WARN) $(CFLAGS) -D_GNU_SOURCE -DSLUICE_VERSION='"$(VERSION)"' \
	-Iagent -Iinclude -I$(GEN) -MMD -MP
# generated protobuf and skeleton code is not ours to polish
GEN_CFLAGS = -std=gnu11 -w $(CFLAGS) -I$(GEN) -MMD -MP
LIBS    := -lnghttp2 -levent_core -levent_extra -lprotobuf-c -lyaml -ljansson -lxdp -lbpf -lelf -lmnl -lz -lpthread
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

.PHONY: help
help:
	@echo 'make demo    enforce a policy on real traffic in namespaces, print what happened'
	@echo '             KEEP=1 leaves it running, CONTAINER=1 runs the agent as a container, XDP=1 with XDP'
	@echo 'make test    units, BPF programs, namespaces; make lint: formatting and static checks'
	@echo 'make bench   what it costs, as ratios to a baseline (QUICK=1: ten minutes)'
	@echo 'make soak    the differential test with ten million pairs; make fuzz: libFuzzer targets'
	@echo 'make verify  models of what many CPUs write at once, searched in full by Spin'
	@echo 'make test-vm the BPF programs on Linux 6.1 and 6.12, in QEMU (WORDS=..., KERNELS=...)'
	@echo 'make image   the container image; make deps: what the build and the tests need'
	@echo 'make all     build/sluiced and build/sluicectl; V=1 shows the commands'
	@echo 'make install DESTDIR=... PREFIX=/usr'

.PHONY: all
all: $(BUILD)/sluiced $(BUILD)/sluicectl

# --- generated: wire and BPF ------------------------------------------------

PROTOS     := $(shell cd proto && find . -name '*.proto' | sed 's|^\./||' | sort)
# protobuf's own messages that ours import: libprotobuf-dev has the text, nobody the C
WELL_KNOWN := google/protobuf/timestamp.proto
PROTO_C    := $(PROTOS:%.proto=$(GEN)/%.pb-c.c) $(WELL_KNOWN:%.proto=$(GEN)/%.pb-c.c)
PROTO_H    := $(PROTO_C:%.c=%.h)

$(GEN)/%.pb-c.c $(GEN)/%.pb-c.h &: proto/%.proto
	@mkdir -p $(GEN)
	$(call say,PROTO,$@)
	$(Q)protoc-c -Iproto --c_out=$(GEN) proto/$*.proto
$(GEN)/google/%.pb-c.c $(GEN)/google/%.pb-c.h &: /usr/include/google/%.proto
	@mkdir -p $(GEN)
	$(call say,PROTO,$@)
	$(Q)protoc-c -I/usr/include --c_out=$(GEN) $<

# what server reflection serves
$(GEN)/descriptors.bin: $(PROTOS:%=proto/%)
	@mkdir -p $(GEN)
	$(call say,PROTO,$@)
	$(Q)protoc -Iproto --include_imports --descriptor_set_out=$@ $^
$(GEN)/descriptors.h: $(GEN)/descriptors.bin
	@(echo '/* generated */'; echo 'static const unsigned char sl_descriptors[] = {'; od -An -v -tx1 $< | sed 's/ \([0-9a-f][0-9a-f]\)/0x\1,/g'; echo '};') > $@

BPF_CFLAGS := -target bpf -O2 -g -mcpu=v3 -Wall -Wextra -Werror -Wno-unused-parameter -Wno-missing-declarations -I. -Iinclude -Ibpf
BPF_DEPS   := vmlinux.h $(wildcard bpf/*.h include/sluice/*.h)
# the tc hooks share one object; XDP is one of its own, because libxdp loads it
BPF_TC     := $(filter-out bpf/xdp_%,$(wildcard bpf/*.bpf.c))
BPF_XDP    := $(filter bpf/xdp_%,$(wildcard bpf/*.bpf.c))

$(BUILD)/bpf/%.bpf.o: bpf/%.bpf.c $(BPF_DEPS)
	@mkdir -p $(BUILD)/bpf
	$(call say,BPF,$@)
	$(Q)$(CLANG) $(BPF_CFLAGS) -c $< -o $@
	@llvm-strip -g $@
$(BUILD)/bpf/sluice_tc.o: $(BPF_TC:bpf/%.bpf.c=$(BUILD)/bpf/%.bpf.o)
	$(call say,BPF,$@)
	$(Q)$(BPFTOOL) gen object $@ $^
$(BUILD)/bpf/sluice_xdp.o: $(BPF_XDP:bpf/%.bpf.c=$(BUILD)/bpf/%.bpf.o)
	$(call say,BPF,$@)
	$(Q)$(BPFTOOL) gen object $@ $^
$(GEN)/%.skel.h: $(BUILD)/bpf/%.o
	@mkdir -p $(GEN)
	$(call say,BPF,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $* > $@
SKELETONS := $(GEN)/sluice_tc.skel.h $(GEN)/sluice_xdp.skel.h

# --- agent and tools ----------------------------------------------------------

AGENT_C := $(filter-out agent/main.c,$(wildcard agent/*/*.c))
CTL_C   := $(wildcard tools/sluicectl/*.c)

AGENT_O := $(AGENT_C:%.c=$(BUILD)/obj/%.o)
PROTO_O := $(PROTO_C:$(GEN)/%.c=$(BUILD)/obj/gen/%.o)
CTL_O   := $(CTL_C:%.c=$(BUILD)/obj/%.o)
GENERATED := $(PROTO_H) $(SKELETONS) $(GEN)/descriptors.h

$(BUILD)/obj/gen/%.o: $(GEN)/%.c | $(PROTO_H)
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(GEN_CFLAGS) -c $< -o $@
$(BUILD)/obj/%.o: %.c | $(GENERATED)
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(SL_CFLAGS) -c $< -o $@
$(BUILD)/libsluice.a: $(AGENT_O) $(PROTO_O)
	@rm -f $@
	$(call say,AR,$@)
	$(Q)ar rcs $@ $^
$(BUILD)/sluiced: $(BUILD)/obj/agent/main.o $(BUILD)/libsluice.a
	$(call say,CC,$@)
	$(Q)$(CC) $(CFLAGS) -o $@ $^ $(LIBS)
$(BUILD)/sluicectl: $(CTL_O) $(BUILD)/libsluice.a
	$(call say,CC,$@)
	$(Q)$(CC) $(CFLAGS) -o $@ $^ $(LIBS)

# --- tests ---------------------------------------------------------------------

include selftests/selftests.mk

# --- demo and image -------------------------------------------------------------

include tools/demo.mk

# --- install --------------------------------------------------------------------

PREFIX ?= /usr
.PHONY: install
install: all
	install -D -m 755 $(BUILD)/sluiced $(DESTDIR)$(PREFIX)/sbin/sluiced
	install -D -m 755 $(BUILD)/sluicectl $(DESTDIR)$(PREFIX)/bin/sluicectl
	install -D -m 644 deploy/sluiced.service $(DESTDIR)/lib/systemd/system/sluiced.service
	install -d $(DESTDIR)/etc/sluice/policy
	[ -e $(DESTDIR)/etc/sluice/sluice.yaml ] || \
		install -D -m 644 deploy/sluice.yaml $(DESTDIR)/etc/sluice/sluice.yaml

.PHONY: deps
deps:
	@tools/deps.sh build test

.PHONY: format
format:
	clang-format -i $(shell git ls-files '*.c' '*.h' | grep -v '^vmlinux.h')

.PHONY: lint
lint: $(GENERATED)
	@tools/deps.sh lint
	@BUILD=$(BUILD) tools/lint.sh

.PHONY: clean
clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -path $(BUILD)/image -prune -o -type f -name '*.d' -print 2>/dev/null)
