// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The classification stage alone: whose packet, and which rule; the packets are parsed already. */
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "frame_skb.h"

#include "classify.h"
#include "match.h"
#include "parse.h"
#include "session.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* One after the other, so that the processor cannot learn the way of one. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, CLASSIFY_PACKETS);
	__type(key, __u32);
	__type(value, struct sluice_packet);
} packets SEC(".maps");

/* For a bench, one CPU: the next packet, and what keeps the compiler from leaving anything out. */
__u32 next = 0;
__u64 found = 0, missed = 0;

SEC("tc")
int empty(struct __sk_buff *skb)
{
	return 0;
}

/* The frame's place among the packets is its mark. */
SEC("tc")
int prepare(struct __sk_buff *skb)
{
	struct sluice_packet packet = {};
	__u32 slot = skb->mark;

	if (parse_frame(skb, &packet, true, 0) != PARSE_IP)
		return 1;
	return bpf_map_update_elem(&packets, &slot, &packet, BPF_ANY) ? 1 : 0;
}

SEC("tc")
int classify(struct __sk_buff *skb)
{
	__u32 slot = next++ % CLASSIFY_PACKETS;
	const struct sluice_packet *packet = bpf_map_lookup_elem(&packets, &slot);
	const struct sluice_policy *policy;
	struct match_search search;
	__u32 number;

	if (!packet)
		return 1;
	policy = session_indexed(packet, SLUICE_UPLINK, &number);
	if (!policy) {
		missed++;
		return 1;
	}
	if (match_find(&search, packet, policy, SLUICE_UPLINK) == MATCH_RULE)
		found += search.usage;
	else
		missed++;
	return 0;
}
