// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The policer of bpf/meter.h and nothing around it. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "sluice/meter.h"

#include "meter_program.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, METER_NODES);
	__type(key, __u32);
	__type(value, struct sluice_meter);
} meters SEC(".maps");

#include "meter.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, METER_ARRIVALS);
	__type(key, __u32);
	__type(value, struct meter_arrival);
} arrivals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, METER_CPUS);
	__type(key, __u32);
	__type(value, struct meter_flow);
} flows SEC(".maps");

/* flood: of the CPU with an even and with an odd number; one: the first */
__u32 leaf[2] = {};

static long judge(__u32 index, void *context)
{
	struct meter_arrival *arrival = bpf_map_lookup_elem(&arrivals, &index);

	if (!arrival)
		return 1;
	arrival->result = meter_pass(arrival->leaf, arrival->bytes, arrival->packets, arrival->now_ns);
	return 0;
}

/* All arrivals, in order. */
SEC("tc")
int replay(struct __sk_buff *skb)
{
	bpf_loop(METER_ARRIVALS, judge, NULL, 0);
	return 0;
}

/* One packet of a size of its own, now. */
SEC("tc")
int flood(struct __sk_buff *skb)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct meter_flow *flow = bpf_map_lookup_elem(&flows, &cpu);
	__u32 bytes = 64 + bpf_get_prandom_u32() % 1437;
	__u64 now = bpf_ktime_get_ns();
	__u32 first = leaf[cpu & 1];

	if (!flow)
		return 0;
	flow->offered_bytes += bytes;
	if (meter_pass(first, bytes, 1, now) != SLUICE_METER_PASSED)
		return 0;
	flow->passed_bytes += bytes;
	if (!flow->first_ns)
		flow->first_ns = now;
	flow->last_ns = now;
	return 0;
}

/* What a packet of leaf[0] costs, and what it costs to do nothing. */
SEC("tc")
int one(struct __sk_buff *skb)
{
	return meter_pass(leaf[0], 100, 1, bpf_ktime_get_ns());
}

SEC("tc")
int clock_only(struct __sk_buff *skb)
{
	return bpf_ktime_get_ns() == 0;
}

SEC("tc")
int empty(struct __sk_buff *skb)
{
	return 0;
}
