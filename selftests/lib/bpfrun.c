// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bpfrun.h"
#include "sluice_tc.skel.h"
#include "sluice_xdp.skel.h"

#define SESSIONS 2048
#define USAGE	 16384
#define MATCHES	 4096
#define BINDINGS 8192

struct bpfrun {
	struct sluice_tc *tc;
	struct sluice_xdp *xdp;
	struct ring_buffer *ring;
	struct sluice_drop_event *taken; /* where the ring's callback puts a record */
	bool has_taken;

	struct sluice_policy *policies;
	struct sluice_binding *bindings;
	struct sluice_match4_block *matches4;
	struct sluice_match6_block *matches6;
	struct sluice_usage *usage;
	struct sluice_settings *settings;

	/* next free slots */
	uint32_t sessions;
	uint32_t used;
	uint32_t blocks4;
	uint32_t blocks6;
	uint32_t overflow;
};

static size_t array_bytes(const struct bpf_map *map)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t bytes = (size_t)bpf_map__max_entries(map) * ((bpf_map__value_size(map) + 7) / 8 * 8);

	return (bytes + page - 1) / page * page;
}

static void *map_memory(const struct bpf_map *map)
{
	void *memory = mmap(NULL, array_bytes(map), PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	if (memory == MAP_FAILED)
		fail_msg("map %s: mmap: %s", bpf_map__name(map), strerror(errno));
	return memory;
}

static void resize(struct bpf_map *map, uint32_t entries)
{
	int err = bpf_map__set_max_entries(map, entries);

	if (err)
		fail_msg("map %s: %s", bpf_map__name(map), strerror(-err));
}

/* Routing is asked about some control packets: give it an answer that the host does not change. */
static void enter_namespace(void)
{
	if (unshare(CLONE_NEWNET))
		fail_msg("a network namespace: %s", strerror(errno));
	if (system("ip link set lo mtu 1500 up"
		   " && ip address add 192.0.2.1/24 dev lo && ip address add 2001:db8:ff::1/64 dev lo"
		   " && ip route add default dev lo && ip -6 route add default dev lo"
		   " && echo 1 >/proc/sys/net/ipv4/ip_forward"
		   " && echo 1 >/proc/sys/net/ipv6/conf/all/forwarding"))
		fail_msg("the namespace could not be set up");
}

static int on_event(void *context, void *data, size_t size)
{
	struct bpfrun *run = context;

	assert_int_equal(size, sizeof(*run->taken));
	memcpy(run->taken, data, sizeof(*run->taken));
	run->has_taken = true;
	return -ECANCELED; /* this one is consumed, the next ones stay */
}

struct bpfrun *bpfrun_open(void)
{
	struct bpfrun *run = calloc(1, sizeof(*run));
	struct bpf_map *map;
	int err;

	if (!run)
		fail_msg("no memory");
	enter_namespace();
	run->tc = sluice_tc__open();
	run->xdp = sluice_xdp__open();
	if (!run->tc || !run->xdp)
		fail_msg("the BPF objects could not be opened: %s", strerror(errno));
	resize(run->tc->maps.endpoints4, SESSIONS);
	resize(run->tc->maps.endpoints6, SESSIONS);
	resize(run->tc->maps.policies, SESSIONS);
	resize(run->tc->maps.matches4, MATCHES);
	resize(run->tc->maps.matches6, MATCHES);
	resize(run->tc->maps.usage, USAGE);
	resize(run->tc->maps.bindings, BINDINGS);
	resize(run->tc->maps.events, 4096);
	err = sluice_tc__load(run->tc);
	if (err)
		fail_msg("the tc programs do not load: %s", strerror(-err));

	bpf_object__for_each_map(map, run->xdp->obj)
	{
		struct bpf_map *shared = bpf_object__find_map_by_name(run->tc->obj, bpf_map__name(map));

		if (!shared || bpf_map__reuse_fd(map, bpf_map__fd(shared)))
			fail_msg("map %s is not shared by tc and XDP", bpf_map__name(map));
	}
	err = sluice_xdp__load(run->xdp);
	if (err)
		fail_msg("the XDP program does not load: %s", strerror(-err));

	run->policies = map_memory(run->tc->maps.policies);
	run->bindings = map_memory(run->tc->maps.bindings);
	run->matches4 = map_memory(run->tc->maps.matches4);
	run->matches6 = map_memory(run->tc->maps.matches6);
	run->usage = map_memory(run->tc->maps.usage);
	run->settings = map_memory(run->tc->maps.settings);
	run->ring = ring_buffer__new(bpf_map__fd(run->tc->maps.events), on_event, run, NULL);
	if (!run->ring)
		fail_msg("the events ring could not be opened: %s", strerror(errno));
	bpfrun_reset(run);
	return run;
}

void bpfrun_close(struct bpfrun *run)
{
	if (!run)
		return;
	munmap(run->policies, array_bytes(run->tc->maps.policies));
	munmap(run->bindings, array_bytes(run->tc->maps.bindings));
	munmap(run->matches4, array_bytes(run->tc->maps.matches4));
	munmap(run->matches6, array_bytes(run->tc->maps.matches6));
	munmap(run->usage, array_bytes(run->tc->maps.usage));
	munmap(run->settings, array_bytes(run->tc->maps.settings));
	ring_buffer__free(run->ring);
	sluice_xdp__destroy(run->xdp);
	sluice_tc__destroy(run->tc);
	free(run);
}

static void clear_hash(const struct bpf_map *map)
{
	uint8_t key[8];

	while (!bpf_map_get_next_key(bpf_map__fd(map), NULL, key))
		bpf_map_delete_elem(bpf_map__fd(map), key);
}

static void clear_per_cpu(const struct bpf_map *map)
{
	size_t size = (bpf_map__value_size(map) + 7) / 8 * 8 * (size_t)libbpf_num_possible_cpus();
	void *zero = calloc(1, size);

	if (!zero)
		fail_msg("no memory");
	for (uint32_t i = 0; i < bpf_map__max_entries(map); i++)
		bpf_map_update_elem(bpf_map__fd(map), &i, zero, BPF_ANY);
	free(zero);
}

void bpfrun_reset(struct bpfrun *run)
{
	struct sluice_drop_event event;

	clear_hash(run->tc->maps.endpoints4);
	clear_hash(run->tc->maps.endpoints6);
	clear_per_cpu(run->tc->maps.drops);
	clear_per_cpu(run->tc->maps.passes);
	clear_per_cpu(run->tc->maps.lost_events);
	memset(run->policies, 0, array_bytes(run->tc->maps.policies));
	memset(run->bindings, 0, array_bytes(run->tc->maps.bindings));
	memset(run->matches4, 0, array_bytes(run->tc->maps.matches4));
	memset(run->matches6, 0, array_bytes(run->tc->maps.matches6));
	memset(run->usage, 0, array_bytes(run->tc->maps.usage));
	*run->settings = (struct sluice_settings){.layout = SLUICE_LAYOUT, .unknown_drop = 1};
	while (bpfrun_event(run, &event))
		;
	/* slot 0 stays empty, so that an index that was never written shows */
	run->sessions = run->used = run->blocks4 = run->blocks6 = run->overflow = 1;
}

struct sluice_settings *bpfrun_settings(struct bpfrun *run)
{
	return run->settings;
}

struct sluice_policy *bpfrun_policy(struct bpfrun *run, uint32_t slot)
{
	if (slot >= SESSIONS)
		fail_msg("policy slot %u", slot);
	return &run->policies[slot];
}

struct bpfrun_maps bpfrun_maps(struct bpfrun *run)
{
	return (struct bpfrun_maps){
		.policies = run->policies,
		.bindings = run->bindings,
		.matches4 = run->matches4,
		.matches6 = run->matches6,
		.usage = run->usage,
		.endpoints4 = bpf_map__fd(run->tc->maps.endpoints4),
		.endpoints6 = bpf_map__fd(run->tc->maps.endpoints6),
	};
}

static void parse_prefix(const char *text, int family, uint8_t address[16], uint8_t mask[16])
{
	char copy[64];
	char *slash;
	int bits = family == AF_INET ? 32 : 128;

	memset(mask, 0, 16);
	memset(address, 0, 16);
	if (!text)
		return;
	snprintf(copy, sizeof(copy), "%s", text);
	slash = strchr(copy, '/');
	if (slash) {
		*slash = 0;
		bits = atoi(slash + 1);
	}
	if (inet_pton(family, copy, address) != 1)
		fail_msg("prefix '%s'", text);
	for (int i = 0; i < bits; i++)
		mask[i / 8] |= (uint8_t)(0x80 >> i % 8);
}

static bool ports_given(const struct bpfrun_rule *rule)
{
	return rule->remote_port[0] || rule->remote_port[1] || rule->local_port[0] || rule->local_port[1];
}

static uint16_t port_high(const uint16_t range[2])
{
	return !range[0] && !range[1] ? 65535 : range[1];
}

/* The parts of an entry that are alike in both families. */
#define FILL(entry, rule, number)                                                                       \
	do {                                                                                            \
		(entry)->remote_port_low = (rule)->remote_port[0];                                      \
		(entry)->remote_port_high = port_high((rule)->remote_port);                             \
		(entry)->local_port_low = (rule)->local_port[0];                                        \
		(entry)->local_port_high = port_high((rule)->local_port);                               \
		(entry)->ordinal = (uint16_t)(number);                                                  \
		(entry)->protocol = (rule)->protocol;                                                   \
		(entry)->action = (uint8_t)(rule)->action;                                              \
		(entry)->flags =                                                                        \
			(uint8_t)(SLUICE_MATCH_VALID | ((rule)->protocol ? SLUICE_MATCH_PROTOCOL : 0) | \
				  (ports_given(rule) ? SLUICE_MATCH_PORTS : 0));                        \
	} while (0)

static uint32_t fill_list(struct bpfrun *run, int family, enum sluice_direction direction,
			  const struct bpfrun_rule *rules, size_t count, uint16_t *entries)
{
	uint32_t *next = family == AF_INET ? &run->blocks4 : &run->blocks6;
	uint32_t first = *next;
	uint32_t at = 0;

	for (size_t i = 0; i < count; i++) {
		uint8_t address[16], mask[16];
		uint32_t block = first + at / SLUICE_MATCH_BLOCK;

		if (rules[i].direction != direction)
			continue;
		if (block >= MATCHES)
			fail_msg("more than %u match blocks", MATCHES);
		parse_prefix(rules[i].remote, family, address, mask);
		if (family == AF_INET) {
			struct sluice_match4 *entry = &run->matches4[block].match[at % SLUICE_MATCH_BLOCK];

			FILL(entry, &rules[i], i);
			memcpy(&entry->remote_be, address, 4);
			memcpy(&entry->mask_be, mask, 4);
		} else {
			struct sluice_match6 *entry = &run->matches6[block].match[at % SLUICE_MATCH_BLOCK];

			FILL(entry, &rules[i], i);
			memcpy(entry->remote_be, address, 16);
			memcpy(entry->mask_be, mask, 16);
		}
		at++;
	}
	*next += (at + SLUICE_MATCH_BLOCK - 1) / SLUICE_MATCH_BLOCK;
	*entries = (uint16_t)at;
	return first;
}

static void publish(struct bpfrun *run, const char *address, uint32_t policy, uint32_t session)
{
	struct sluice_endpoint endpoint = {.policy = policy, .session = session};
	int family = strchr(address, ':') ? AF_INET6 : AF_INET;
	uint32_t key[4];
	int fd, err;

	if (inet_pton(family, address, key) != 1)
		fail_msg("address '%s'", address);
	if (policy != SLUICE_NONE)
		run->policies[policy].endpoint_tag =
			sluice_endpoint_tag(family == AF_INET ? 4 : 6, key[0], key[1]);
	fd = bpf_map__fd(family == AF_INET ? run->tc->maps.endpoints4 : run->tc->maps.endpoints6);
	err = bpf_map_update_elem(fd, key, &endpoint, BPF_ANY);
	if (err)
		fail_msg("endpoint '%s': %s", address, strerror(-err));
}

void bpfrun_break_endpoint(struct bpfrun *run, const char *address)
{
	publish(run, address, SLUICE_NONE, SLUICE_NONE);
}

void bpfrun_mtu(unsigned int mtu)
{
	char command[64];

	snprintf(command, sizeof(command), "ip link set lo mtu %u", mtu);
	if (system(command))
		fail_msg("%s", command);
}

struct bpfrun_session bpfrun_session(struct bpfrun *run, const char *address, const struct bpfrun_rule *rules,
				     size_t count)
{
	int family = strchr(address, ':') ? AF_INET6 : AF_INET;
	struct bpfrun_session session = {
		.session = run->sessions,
		.policy = run->sessions,
		.base = run->used,
	};
	struct sluice_policy *policy = &run->policies[session.policy];

	if (run->sessions >= SESSIONS || run->used + count + 1 > USAGE || run->overflow + count > BINDINGS)
		fail_msg("the rig is full");
	run->sessions++;
	run->used += (uint32_t)count + 1;

	policy->session = session.session;
	policy->default_usage = session.base;
	policy->rules = (uint16_t)count;
	policy->bindings = run->overflow;
	for (size_t i = 0; i < count; i++) {
		struct sluice_binding binding = {
			.usage = session.base + 1 + (uint32_t)i,
			.uplink_class = rules[i].uplink_class,
			.downlink_class = rules[i].downlink_class,
			.deadline_ns = rules[i].deadline_ns,
		};

		if (i < SLUICE_INLINE_BINDINGS)
			policy->binding[i] = binding;
		else
			run->bindings[run->overflow++] = binding;
	}
	policy->uplink_block = fill_list(run, family, SLUICE_UPLINK, rules, count, &policy->uplink_count);
	policy->downlink_block =
		fill_list(run, family, SLUICE_DOWNLINK, rules, count, &policy->downlink_count);

	publish(run, address, session.policy, session.session);
	return session;
}

static const struct bpf_program *program_of(const struct bpfrun *run, enum bpfrun_program program)
{
	switch (program) {
	case BPFRUN_ACCESS_INGRESS:
		return run->tc->progs.access_ingress;
	case BPFRUN_ACCESS_INGRESS_L3:
		return run->tc->progs.access_ingress_l3;
	case BPFRUN_ACCESS_EGRESS:
		return run->tc->progs.access_egress;
	case BPFRUN_ACCESS_EGRESS_L3:
		return run->tc->progs.access_egress_l3;
	case BPFRUN_CORE_EGRESS:
		return run->tc->progs.core_egress;
	case BPFRUN_XDP_ACCESS:
		return run->xdp->progs.xdp_access;
	}
	fail_msg("no such program");
	return NULL;
}

struct bpfrun_result bpfrun_packet(struct bpfrun *run, enum bpfrun_program program,
				   const struct packet *packet, const struct bpfrun_context *context)
{
	struct __sk_buff in = {
		.mark = context->mark,
		.priority = context->priority,
		.gso_segs = context->gso_segs,
		.gso_size = context->gso_size,
		.ingress_ifindex = context->received_on,
	};
	struct __sk_buff out = {0};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet->data,
		    .data_size_in = (uint32_t)packet->length,
		    .repeat = context->repeat ? (int)context->repeat : 1);
	int err;

	if (program != BPFRUN_XDP_ACCESS) {
		opts.ctx_in = &in;
		opts.ctx_size_in = sizeof(in);
		opts.ctx_out = &out;
		opts.ctx_size_out = sizeof(out);
	}
	err = bpf_prog_test_run_opts(bpf_program__fd(program_of(run, program)), &opts);
	if (err)
		fail_msg("test run of %zu bytes: %s", packet->length, strerror(-err));
	return (struct bpfrun_result){
		.verdict = (int)opts.retval,
		.mark = out.mark,
		.priority = out.priority,
		.nanoseconds = opts.duration,
	};
}

int bpfrun_send(struct bpfrun *run, enum bpfrun_program program, const struct packet_spec *spec)
{
	struct bpfrun_context context = {0};
	struct packet packet;

	packet_build(&packet, spec);
	return bpfrun_packet(run, program, &packet, &context).verdict;
}

const struct sluice_usage *bpfrun_usage(struct bpfrun *run, uint32_t slot)
{
	if (slot >= USAGE)
		fail_msg("usage slot %u", slot);
	return &run->usage[slot];
}

static void add(struct sluice_counter *sum, const struct sluice_counter *counter)
{
	sum->bytes += counter->bytes;
	sum->packets += counter->packets;
}

/* Both per-CPU maps hold two enums and a counter; what they say of themselves must fit their place. */
static struct sluice_counter sum_cpus(const struct bpf_map *map, uint32_t kind, uint32_t direction)
{
	int cpus = libbpf_num_possible_cpus();
	struct sluice_drop_count *values = calloc((size_t)cpus, sizeof(*values));
	uint32_t key = kind * SLUICE_DIRECTIONS + direction;
	struct sluice_counter sum = {0};

	_Static_assert(sizeof(struct sluice_drop_count) == sizeof(struct sluice_pass_count), "alike");
	if (!values || bpf_map_lookup_elem(bpf_map__fd(map), &key, values))
		fail_msg("map %s: %s", bpf_map__name(map), strerror(errno));
	for (int i = 0; i < cpus; i++) {
		if (values[i].dropped.packets &&
		    ((uint32_t)values[i].reason != kind || (uint32_t)values[i].direction != direction))
			fail_msg("map %s: entry %u says %u, %u", bpf_map__name(map), key,
				 (uint32_t)values[i].reason, (uint32_t)values[i].direction);
		add(&sum, &values[i].dropped);
	}
	free(values);
	return sum;
}

struct sluice_counter bpfrun_drops(struct bpfrun *run, enum sluice_drop_reason reason,
				   enum sluice_direction direction)
{
	return sum_cpus(run->tc->maps.drops, reason, direction);
}

struct sluice_counter bpfrun_passes(struct bpfrun *run, enum sluice_pass_kind kind,
				    enum sluice_direction direction)
{
	return sum_cpus(run->tc->maps.passes, kind, direction);
}

uint64_t bpfrun_lost_events(struct bpfrun *run)
{
	int cpus = libbpf_num_possible_cpus();
	uint64_t values[256];
	uint64_t sum = 0;
	uint32_t key = 0;

	if (cpus < 1 || cpus > 256 ||
	    bpf_map_lookup_elem(bpf_map__fd(run->tc->maps.lost_events), &key, values))
		fail_msg("map lost_events: %s", strerror(errno));
	for (int i = 0; i < cpus; i++)
		sum += values[i];
	return sum;
}

struct bpfrun_counters bpfrun_counters(struct bpfrun *run)
{
	struct bpfrun_counters all = {0};

	for (uint32_t i = 0; i < USAGE; i++) {
		add(&all.usage, &run->usage[i].uplink);
		add(&all.usage, &run->usage[i].downlink);
		add(&all.usage_dropped, &run->usage[i].uplink_dropped);
		add(&all.usage_dropped, &run->usage[i].downlink_dropped);
	}
	for (uint32_t direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		for (uint32_t i = 0; i < SLUICE_DROP_REASON_COUNT; i++) {
			struct sluice_counter drops = bpfrun_drops(run, i, direction);

			add(&all.drops, &drops);
		}
		for (uint32_t i = 0; i < SLUICE_PASS_KIND_COUNT; i++) {
			struct sluice_counter passes = bpfrun_passes(run, i, direction);

			add(&all.passes, &passes);
		}
	}
	return all;
}

bool bpfrun_event(struct bpfrun *run, struct sluice_drop_event *out)
{
	run->taken = out;
	run->has_taken = false;
	ring_buffer__consume(run->ring);
	return run->has_taken;
}
