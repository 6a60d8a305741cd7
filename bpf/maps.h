/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every map, with what it is for. __weak: each hook is compiled by itself and
 * `bpftool gen object` folds the equal definitions into one. The agent sets
 * max_entries from its configuration before loading; the 1s here are never used.
 */
#ifndef SLUICE_BPF_MAPS_H
#define SLUICE_BPF_MAPS_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "sluice/events.h"
#include "sluice/maps.h"
#include "sluice/meter.h"
#include "sluice/quota.h"

/* UE IPv4 address -> policy and session. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct sluice_ip4);
	__type(value, struct sluice_endpoint);
} endpoints4 __weak SEC(".maps");

/* UE IPv6 /64 -> policy and session. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct sluice_ip6_prefix);
	__type(value, struct sluice_endpoint);
} endpoints6 __weak SEC(".maps");

#define SLUICE_ARRAY_OF(name, entries, value_type) \
	struct {                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY);  \
		__uint(map_flags, BPF_F_MMAPABLE); \
		__uint(max_entries, entries);      \
		__type(key, __u32);                \
		__type(value, value_type);         \
	} name __weak SEC(".maps")
#define SLUICE_ARRAY(name, value_type) SLUICE_ARRAY_OF(name, 1, value_type)

#define SLUICE_PERCPU_ARRAY(name, entries, value_type)   \
	struct {                                         \
		__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); \
		__uint(max_entries, entries);            \
		__type(key, __u32);                      \
		__type(value, value_type);               \
	} name __weak SEC(".maps")

/* The short way to both, for packets. */
SLUICE_ARRAY(index4, struct sluice_index4);
SLUICE_ARRAY(index6, struct sluice_index6);
/* What a packet of one endpoint needs; immutable while published. */
SLUICE_ARRAY(policies, struct sluice_policy);
/* Bindings of rules beyond those inside the policy. */
SLUICE_ARRAY(bindings, struct sluice_binding);
/* Match lists in runs of blocks, shared by sessions with equal lists. */
SLUICE_ARRAY(matches4, struct sluice_match4_block);
SLUICE_ARRAY(matches6, struct sluice_match6_block);
/* Which part of a long match list a packet is judged by. */
SLUICE_ARRAY(branches, struct sluice_branch);
/* Bytes and packets of (session, rule, version). */
SLUICE_ARRAY(usage, struct sluice_usage);
/* Rates that are policed: rules and sessions. */
SLUICE_ARRAY(meters, struct sluice_meter);
/* Which quota a usage slot pays: slot in quotas + 1. As many as usage slots. */
SLUICE_ARRAY(quota_of, __u64);
/* What may be used: of rules, rating groups, sessions. */
SLUICE_ARRAY(quotas, struct sluice_quota);
/* One value: what every program must know. */
SLUICE_ARRAY(settings, struct sluice_settings);

/* What a mark of access_ingress means on a core device. */
SLUICE_ARRAY_OF(marks, SLUICE_MARK_MASK + 1, struct sluice_mark);

/* 1: an APN has this VLAN. By IEEE 802.1Q id. */
SLUICE_ARRAY_OF(vlans, SLUICE_VLANS, __u64);

/* Routers behind VLANs of APNs -> the VLAN, for ARP and neighbour discovery of this host. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SLUICE_APNS *SLUICE_APN_NEIGHBOURS);
	__type(key, struct sluice_neighbour);
	__type(value, __u32);
} neighbours __weak SEC(".maps");

/* Devices with an HTB in each of several transmit queues -> how many. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SLUICE_EGRESS_DEVICES);
	__type(key, __u32); /* ifindex */
	__type(value, __u32);
} egress_devices __weak SEC(".maps");

/* Interfaces that rules send packets to. */
SLUICE_ARRAY_OF(steers, SLUICE_STEERS, struct sluice_steer);

/* Where the portal listens, by enum sluice_portal; empty while no agent runs. */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, SLUICE_PORTAL_SOCKETS);
	__type(key, __u32);
	__type(value, __u64);
} portal __weak SEC(".maps");

/* Kept in the kernel for the agent's next start and for bpftool; no packet reads them. */
SLUICE_ARRAY(sessions, struct sluice_session_record);
SLUICE_ARRAY(rules, struct sluice_rule_record);
SLUICE_ARRAY(flows, struct sluice_flow);
SLUICE_ARRAY(usage_owners, struct sluice_usage_owner);
SLUICE_ARRAY(quota_owners, struct sluice_quota_owner);

/* Dropped packets by reason and direction. */
SLUICE_PERCPU_ARRAY(drops, SLUICE_DROP_REASON_COUNT *SLUICE_DIRECTIONS, struct sluice_drop_count);

/* Packets that passed without a rule, by kind and direction. */
SLUICE_PERCPU_ARRAY(passes, SLUICE_PASS_KIND_COUNT *SLUICE_DIRECTIONS, struct sluice_pass_count);

/* Records that found the events ring full. */
SLUICE_PERCPU_ARRAY(lost_events, 1, __u64);

/* How many ICMP errors were made of late. */
SLUICE_PERCPU_ARRAY(answers, 1, struct sluice_answers);

/* struct sluice_*_event records for watchers. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events __weak SEC(".maps");

#endif
