// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The IDS stage of bpf/ids.h on packets that are only parsed, by a clock that the test sets. */
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "frame_skb.h"

#include "ids_program.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

__u64 clock = 0; /* 0: the real one */

static __u64 (*const real_clock)(void) = (void *)5; /* bpf_ktime_get_ns */

static inline __attribute__((always_inline)) __u64 test_clock(void)
{
	return clock ? clock : real_clock();
}
#define bpf_ktime_get_ns test_clock

#include "ids.h"
#include "parse.h"

/* Of every packet. */
__u32 session = 0, usage_slot = 0;
__u8 apn = 0;

static __always_inline int judge(struct __sk_buff *skb, __u32 direction)
{
	struct sluice_packet packet = {};

	if (parse_frame(skb, &packet, true, bpf_ntohs(skb->protocol)) != PARSE_IP)
		return -1;
	if (!ids_is_active())
		return 0;
	return ids_ask_all(skb, &packet, session, usage_slot, direction | (__u32)apn << 8);
}

SEC("tc")
int uplink(struct __sk_buff *skb)
{
	return judge(skb, SLUICE_UPLINK);
}

SEC("tc")
int downlink(struct __sk_buff *skb)
{
	return judge(skb, SLUICE_DOWNLINK);
}

/* The parser and nothing behind it: what is to be taken off of a measurement. */
SEC("tc")
int parsed(struct __sk_buff *skb)
{
	struct sluice_packet packet = {};

	return parse_frame(skb, &packet, true, bpf_ntohs(skb->protocol)) == PARSE_IP ? 0 : -1;
}

/* --- limits alone ------------------------------------------------------------------ */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, IDS_ARRIVALS);
	__type(key, __u32);
	__type(value, struct ids_arrival);
} arrivals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, IDS_CPUS);
	__type(key, __u32);
	__type(value, struct ids_flow);
} ids_flows SEC(".maps");

/* The limit of ids_rules[0], asked by itself. */
static __always_inline int ask(const struct sluice_ids_rule *rule, const struct sluice_ids_key *key,
			       struct ids_question *question)
{
	switch (rule->limit[0].kind) {
	case SLUICE_IDS_BUCKET:
		return ids_bucket_take(key, &rule->limit[0], question);
	case SLUICE_IDS_EXACT:
		return ids_exact_take(key, &rule->limit[0], question);
	default:
		return ids_window_take(key, &rule->limit[0], question);
	}
}

static long replay_one(__u32 index, void *context)
{
	struct ids_arrival *arrival = bpf_map_lookup_elem(&arrivals, &index);
	struct ids_question question = {};
	struct sluice_ids_key key = {.rule = 1};
	const struct sluice_ids_rule *rule;
	__u32 slot = 0;

	rule = bpf_map_lookup_elem(&ids_rules, &slot);
	if (!arrival || !rule)
		return 1;
	question.now = arrival->now_ns;
	question.units = arrival->units;
	question.revision = rule->revision;
	arrival->result = ask(rule, &key, &question);
	return 0;
}

/* All arrivals, in order, on one key. */
SEC("tc")
int replay(struct __sk_buff *skb)
{
	bpf_loop(IDS_ARRIVALS, replay_one, NULL, 0);
	return 0;
}

/* One packet, now, on one key; the times of those that pass go to the CPU's half of `arrivals`. */
SEC("tc")
int flood(struct __sk_buff *skb)
{
	__u32 cpu = bpf_get_smp_processor_id(), slot = 0;
	struct ids_flow *flow = bpf_map_lookup_elem(&ids_flows, &cpu);
	const struct sluice_ids_rule *rule = bpf_map_lookup_elem(&ids_rules, &slot);
	struct ids_question question = {.units = 1};
	struct sluice_ids_key key = {.rule = 1};
	struct ids_arrival *arrival;

	if (!flow || !rule)
		return 0;
	question.now = real_clock();
	question.revision = rule->revision;
	flow->asked++;
	if (ask(rule, &key, &question) != IDS_WITHIN) {
		flow->excess++;
		return 0;
	}
	if (!flow->excess)
		flow->before_excess++;
	slot = (cpu & 1) * (IDS_ARRIVALS / 2) + flow->passed++ % (IDS_ARRIVALS / 2);
	arrival = bpf_map_lookup_elem(&arrivals, &slot);
	if (arrival)
		arrival->now_ns = question.now;
	return 0;
}

/* --- many at once: each run of a program is another packet ------------------------------ */

__u64 runs = 0;	   /* so far */
__u64 began = 0;   /* spoofed: when */
__u32 at_once = 0; /* bursts: packets of a burst */

/*
 * Run i is of burst i / at_once, which is of the session of that number: at arrivals[]'s
 * time; what is dropped is its result.
 */
SEC("tc")
int bursts(struct __sk_buff *skb)
{
	__u32 burst = (__u32)(runs++ / (at_once ? at_once : 1));
	struct ids_arrival *arrival = bpf_map_lookup_elem(&arrivals, &burst);

	if (!arrival)
		return -1;
	clock = arrival->now_ns;
	session = burst;
	if (judge(skb, SLUICE_UPLINK))
		arrival->result++;
	return 0;
}

SEC("tc")
int spoofed(struct __sk_buff *skb)
{
	__u64 run = runs++, cycle = run / IDS_SPOOFED_CYCLE;
	__u32 place = (__u32)(run % IDS_SPOOFED_CYCLE), address, slot;
	struct sluice_packet packet = {};
	struct ids_arrival *arrival;
	int dropped;

	clock = began + run * IDS_SPOOFED_CYCLE_NS / IDS_SPOOFED_CYCLE;
	if (place < IDS_SPOOFED_NEW) {
		address = 0x0b000000 + (__u32)cycle * IDS_SPOOFED_NEW + place;
		slot = IDS_SPOOFED_DROPPED;
	} else if (place == IDS_SPOOFED_NEW) {
		address = 0x01000000 + (__u32)(cycle % IDS_SPOOFED_OFFENDERS);
		slot = (__u32)(cycle % IDS_SPOOFED_OFFENDERS) * IDS_SPOOFED_SECONDS +
		       (__u32)((clock - began) / 1000000000) % IDS_SPOOFED_SECONDS;
	} else {
		address = 0x02000000 + (__u32)((cycle * 2 + place) % IDS_SPOOFED_BENIGN);
		slot = IDS_SPOOFED_DROPPED + 1;
	}
	if (parse_frame(skb, &packet, true, bpf_ntohs(skb->protocol)) != PARSE_IP)
		return -1;
	packet.source[0] = bpf_htonl(address);
	dropped = ids_ask_all(skb, &packet, session, usage_slot, SLUICE_DOWNLINK);
	arrival = bpf_map_lookup_elem(&arrivals, &slot);
	if (arrival)
		arrival->result += slot < IDS_SPOOFED_DROPPED ? !dropped : !!dropped;
	return 0;
}
