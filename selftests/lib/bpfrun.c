// SPDX-License-Identifier: Apache-2.0
/* The rig itself: its programs, maps and ring, and one packet through a program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bpfrun_rig.h"
#include "places_fixture.h"

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
	resize(run->tc->maps.endpoints4, BPFRUN_SESSIONS);
	resize(run->tc->maps.endpoints6, BPFRUN_SESSIONS);
	resize(run->tc->maps.index4, BPFRUN_INDEX);
	resize(run->tc->maps.index6, BPFRUN_INDEX);
	resize(run->tc->maps.policies, BPFRUN_SESSIONS);
	resize(run->tc->maps.matches4, BPFRUN_MATCHES);
	resize(run->tc->maps.matches6, BPFRUN_MATCHES);
	resize(run->tc->maps.branches, BPFRUN_MATCHES);
	resize(run->tc->maps.usage, BPFRUN_USAGE);
	resize(run->tc->maps.bindings, BPFRUN_BINDINGS);
	resize(run->tc->maps.events, 4096);
	resize(run->tc->maps.sessions, BPFRUN_SESSIONS);
	resize(run->tc->maps.ids_dropped, BPFRUN_SESSIONS);
	places_size(run->tc->maps.ids_bucket_keys, run->tc->maps.ids_buckets, BPFRUN_KEYS);
	places_size(run->tc->maps.ids_window_keys, run->tc->maps.ids_windows, BPFRUN_KEYS);
	places_size(run->tc->maps.ids_log_keys, run->tc->maps.ids_logs, BPFRUN_KEYS);
	err = sluice_tc__load(run->tc);
	if (err)
		fail_msg("the tc programs do not load: %s", strerror(-err));
	places_open(run->tc->maps.ids_bucket_keys, run->tc->maps.ids_buckets, 0);
	places_open(run->tc->maps.ids_window_keys, run->tc->maps.ids_windows, 0);
	places_open(run->tc->maps.ids_log_keys, run->tc->maps.ids_logs, 0);

	bpf_object__for_each_map(map, run->xdp->obj)
	{
		struct bpf_map *shared = bpf_object__find_map_by_name(run->tc->obj, bpf_map__name(map));

		if (!shared || bpf_map__reuse_fd(map, bpf_map__fd(shared)))
			fail_msg("map %s is not shared by tc and XDP", bpf_map__name(map));
	}
	err = sluice_xdp__load(run->xdp);
	if (err)
		fail_msg("the XDP program does not load: %s", strerror(-err));

	run->index = (struct sl_index){.index4 = map_memory(run->tc->maps.index4),
				       .index6 = map_memory(run->tc->maps.index6),
				       .size4 = BPFRUN_INDEX,
				       .size6 = BPFRUN_INDEX};
	run->policies = map_memory(run->tc->maps.policies);
	run->bindings = map_memory(run->tc->maps.bindings);
	run->matches4 = map_memory(run->tc->maps.matches4);
	run->matches6 = map_memory(run->tc->maps.matches6);
	run->branches = map_memory(run->tc->maps.branches);
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
	munmap(run->index.index4, array_bytes(run->tc->maps.index4));
	munmap(run->index.index6, array_bytes(run->tc->maps.index6));
	munmap(run->policies, array_bytes(run->tc->maps.policies));
	munmap(run->bindings, array_bytes(run->tc->maps.bindings));
	munmap(run->matches4, array_bytes(run->tc->maps.matches4));
	munmap(run->matches6, array_bytes(run->tc->maps.matches6));
	munmap(run->branches, array_bytes(run->tc->maps.branches));
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
	clear_per_cpu(run->tc->maps.answers);
	memset(run->index.index4, 0, array_bytes(run->tc->maps.index4));
	memset(run->index.index6, 0, array_bytes(run->tc->maps.index6));
	memset(run->policies, 0, array_bytes(run->tc->maps.policies));
	memset(run->bindings, 0, array_bytes(run->tc->maps.bindings));
	memset(run->matches4, 0, array_bytes(run->tc->maps.matches4));
	memset(run->matches6, 0, array_bytes(run->tc->maps.matches6));
	memset(run->branches, 0, array_bytes(run->tc->maps.branches));
	memset(run->usage, 0, array_bytes(run->tc->maps.usage));
	*run->settings = (struct sluice_settings){.layout = SLUICE_LAYOUT, .unknown_drop = 1};
	while (bpfrun_event(run, &event))
		;
	/* slot 0 stays empty, so that an index that was never written shows */
	run->sessions = run->used = run->blocks4 = run->blocks6 = run->overflow = 1;
}

/* Packets of BPF_PROG_RUN are lo's. */
void bpfrun_egress_queues(struct bpfrun *run, uint32_t queues)
{
	const uint32_t ifindex = 1;

	assert_int_equal(
		bpf_map_update_elem(bpf_map__fd(run->tc->maps.egress_devices), &ifindex, &queues, BPF_ANY),
		0);
	run->settings->egress_queues = 1;
}

struct sluice_settings *bpfrun_settings(struct bpfrun *run)
{
	return run->settings;
}

struct sluice_policy *bpfrun_policy(struct bpfrun *run, uint32_t slot)
{
	if (slot >= BPFRUN_SESSIONS)
		fail_msg("policy slot %u", slot);
	return &run->policies[slot];
}

struct bpfrun_maps bpfrun_maps(struct bpfrun *run)
{
	return (struct bpfrun_maps){
		.policies = run->policies,
		.index = run->index,
		.bindings = run->bindings,
		.matches4 = run->matches4,
		.matches6 = run->matches6,
		.branches = run->branches,
		.usage = run->usage,
		.endpoints4 = bpf_map__fd(run->tc->maps.endpoints4),
		.endpoints6 = bpf_map__fd(run->tc->maps.endpoints6),
		.steers = bpf_map__fd(run->tc->maps.steers),
	};
}

void bpfrun_mtu(unsigned int mtu)
{
	char command[64];

	snprintf(command, sizeof(command), "ip link set lo mtu %u", mtu);
	if (system(command))
		fail_msg("%s", command);
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

	if (context->left) {
		opts.data_out = context->left->data;
		opts.data_size_out = sizeof(context->left->data);
	}
	if (program != BPFRUN_XDP_ACCESS) {
		opts.ctx_in = &in;
		opts.ctx_size_in = sizeof(in);
		opts.ctx_out = &out;
		opts.ctx_size_out = sizeof(out);
	}
	err = bpf_prog_test_run_opts(bpf_program__fd(program_of(run, program)), &opts);
	if (err)
		fail_msg("test run of %zu bytes: %s", packet->length, strerror(-err));
	if (context->left)
		context->left->length = opts.data_size_out;
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

bool bpfrun_event(struct bpfrun *run, struct sluice_drop_event *out)
{
	run->taken = out;
	run->has_taken = false;
	ring_buffer__consume(run->ring);
	return run->has_taken;
}
