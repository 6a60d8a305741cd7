/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Keys and values of every map: the contract between the BPF programs, the
 * agent, bpftool and the tests. Addresses and ports are in network byte order
 * where a field's name ends in _be or is an array of bytes, everything else in
 * host order. Rates are bit/s. Bytes are IP bytes as on the wire: a GSO packet
 * counts each of its segments with its headers. Times are CLOCK_MONOTONIC
 * nanoseconds (bpf_ktime_get_ns).
 *
 * The way of a packet through the maps:
 *   endpoints4|6[address] -> policies[slot] -> branches[slot..] -> matches4|6[block..] -> binding ->
 * usage[slot]
 *                                                          binding -> meters[slot] -> its parents
 *
 * The way of an update: new branches, match blocks, bindings, usage slots and policy are
 * written where no packet looks; then one endpoint entry is replaced, which
 * publishes them; what the old policy alone used is freed after a grace period.
 */
#ifndef SLUICE_MAPS_H
#define SLUICE_MAPS_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#include <stddef.h>
#include <stdint.h>
#endif

#include "limits.h"
#include "verdict.h"

/* --- read by packets -------------------------------------------------- */

/* endpoints4: key */
struct sluice_ip4 {
	__u8 address[4];
};

/* endpoints6: key; a subscriber owns a whole /64 (3GPP TS 23.401 clause 5.3.1.2.2) */
struct sluice_ip6_prefix {
	__u8 prefix[8];
};

/* endpoints4, endpoints6: value. Replacing it is the one write that publishes. */
struct sluice_endpoint {
	__u32 policy;  /* slot in policies */
	__u32 session; /* slot in sessions */
	char imsi[SLUICE_IMSI_SIZE];
};

/*
 * index4, index6: the same way once more, address -> policy, without the calls
 * of the kernel's hash, which cost more than all the rest. Packets try it
 * first; an address that is not in it is looked up in endpoints4 or endpoints6.
 * Written by the agent after those, and removed before; an entry is the
 * packet's own only if the policy's tag says so, too. Element 0 has, in its
 * first entry, the number of buckets that follow; 0: there is no index.
 */
#define SLUICE_INDEX4_ENTRIES 8
#define SLUICE_INDEX6_ENTRIES 4

/* index4: value. Lower half: the address as it lies in the packet; upper: slot in policies + 1. 0: free */
struct sluice_index4 {
	__u64 entry[SLUICE_INDEX4_ENTRIES];
};

struct sluice_index6_entry {
	__u64 prefix; /* as it lies in the packet */
	__u32 policy; /* slot in policies + 1; 0: free */
	__u32 reserved;
};

/* index6: value */
struct sluice_index6 {
	struct sluice_index6_entry entry[SLUICE_INDEX6_ENTRIES];
};

/* Which element; `buckets` is not 0. */
static inline __u32 sluice_index4_bucket(__u32 address, __u32 buckets)
{
	return 1 + (__u32)((__u64)(address * 0x9e3779b1u) * buckets >> 32);
}

static inline __u32 sluice_index6_bucket(__u64 prefix, __u32 buckets)
{
	return 1 + (__u32)((prefix * 0x9e3779b97f4a7c15ull >> 32) * buckets >> 32);
}

/* Bit of a binding's usage: what the rule permits is charged to a quota (sluice/quota.h). */
#define SLUICE_USAGE_QUOTA 0x80000000u

/* What one rule means for one session: stable for the life of (session, rule, version). */
struct sluice_binding {
	__u32 usage;	      /* slot in usage and usage_owners; SLUICE_USAGE_QUOTA: and in quota_of */
	__u16 uplink_class;   /* HTB minor on core devices, 0 = the default class */
	__u16 downlink_class; /* HTB minor on access devices, 0 = the default class */
	__u64 deadline_ns;    /* hard timeout: no match from here on; 0 = none */
	__u32 uplink_meter;   /* slot in meters + 1: the first that a packet must pass (meter.h); 0 = none */
	__u32 downlink_meter;
};

/*
 * policies: everything a packet of one endpoint needs, never changed while
 * published. What a direction is judged by lies in matches4 or matches6,
 * according to the family of the endpoint: a short list is one run of whole
 * blocks, its count that of the entries; a longer one is a tree whose leaves
 * are such runs: SLUICE_BRANCH and the slot of its root, which is the first of
 * `count` branches in a row. The blocks of its leaves lie in a row as well.
 */
struct sluice_policy {
	__u32 session;
	__u32 uplink_block;
	__u32 downlink_block;
	__u16 uplink_count;
	__u16 downlink_count;
	__u32 default_usage; /* usage slot of what matches no rule */
	__u32 bindings;	     /* first overflow binding, for ordinals >= SLUICE_INLINE_BINDINGS */
	__u32 endpoint_tag;  /* sluice_endpoint_tag of the address that leads here */
	__u16 rules;
	__u8 flags; /* enum sluice_policy_flags */
	__u8 apn;   /* number of the session's APN, from 1 on; 0: none that the configuration has */
	struct sluice_binding binding[SLUICE_INLINE_BINDINGS];
};

/*
 * The kernel uses an element of a hash map again without waiting for readers:
 * a packet that was held up between finding its endpoint and reading it may find
 * another subscriber's there. The tag tells; the packet then looks again. Words
 * are those of the address as it lies in the packet: an IPv4 address is its tag,
 * of an IPv6 address the first 64 bits are folded.
 */
static inline __u32 sluice_endpoint_tag(__u32 family, __u32 word0, __u32 word1)
{
	return family == 4 ? word0 : word0 * 0x9e3779b1u + word1;
}

/* Bits of sluice_policy.flags */
enum sluice_policy_flags {
	SLUICE_POLICY_OPTIONS = 1 << 0, /* an entry asks for IP or TCP options: they must be read first */
	SLUICE_POLICY_FINAL = 1 << 1,	/* the next slot is what judges packets whose quota is used up */
};

/*
 * What few flows ask for; which of them, says `which`. Every term named must
 * hold. Those of TCP and ICMP never hold for another protocol nor for a later
 * fragment; ICMP is protocol 1, ICMPv6 protocol 58.
 */
enum sluice_term {
	SLUICE_TERM_REMOTE_NOT = 1 << 0, /* the remote address is outside the prefix */
	SLUICE_TERM_DSCP = 1 << 1,	 /* RFC 2474: upper six bits of TOS or traffic class */
	SLUICE_TERM_TCP_FLAGS = 1 << 2,
	SLUICE_TERM_ICMP_TYPE = 1 << 3,
	SLUICE_TERM_LATER_FRAGMENT = 1 << 4, /* a fragment with an offset */
	SLUICE_TERM_IP_OPTIONS = 1 << 5,     /* IPv4 options; IPv6 has none of them */
	SLUICE_TERM_TCP_OPTIONS = 1 << 6,
	SLUICE_TERM_THIS_HOST = 1 << 7, /* downlink only: sent by this host, not forwarded */
};

/* Bits of IP options as in SL_IPFILTER_SSRR.., of TCP options as in SL_IPFILTER_TCP_MSS.. */
struct sluice_terms {
	__u8 which; /* enum sluice_term */
	__u8 dscp;
	__u8 tcp_mask; /* (flags & tcp_mask) == tcp_value, */
	__u8 tcp_value;
	__u8 tcp_any;  /* and, unless it is 0, flags & tcp_any; the header's own bits */
	__u8 icmp_low; /* inclusive */
	__u8 icmp_high;
	__u8 ip_options_present;
	__u8 ip_options_absent;
	__u8 tcp_options_present;
	__u8 tcp_options_absent;
};

/* A match entry. Entries are in order of precedence; the first that matches decides. */
enum sluice_match_flags {
	SLUICE_MATCH_VALID = 1 << 0,
	SLUICE_MATCH_PROTOCOL = 1 << 1, /* compare protocol */
	SLUICE_MATCH_PORTS = 1 << 2,	/* compare both ranges; only packets that have ports */
};

/* Port ranges are inclusive, host order; a range that does not matter is 0..65535. */
struct sluice_match4 {
	__u32 remote_be; /* already masked */
	__u32 mask_be;
	__u16 remote_port_low;
	__u16 remote_port_high;
	__u16 local_port_low;
	__u16 local_port_high;
	__u16 ordinal; /* which binding of the policy */
	__u8 protocol;
	__u8 flags;  /* enum sluice_match_flags */
	__u8 action; /* enum sluice_action, or SLUICE_STEER_FIRST + slot in steers */
	struct sluice_terms terms;
};

struct sluice_match6 {
	__u64 remote_be[2]; /* already masked */
	__u64 mask_be[2];
	__u16 remote_port_low;
	__u16 remote_port_high;
	__u16 local_port_low;
	__u16 local_port_high;
	__u16 ordinal;
	__u8 protocol;
	__u8 flags;
	__u8 action;
	struct sluice_terms terms;
	__u64 reserved;
};

/* matches4, matches6: value */
struct sluice_match4_block {
	struct sluice_match4 match[SLUICE_MATCH_BLOCK];
};

struct sluice_match6_block {
	struct sluice_match6 match[SLUICE_MATCH_BLOCK];
};

/* Bit of a reference: it names a slot in branches, not a block. */
#define SLUICE_BRANCH 0x80000000u

/* Branches from the root to a leaf. The tree is cut there, and longer leaves are scanned. */
#define SLUICE_TREE_DEPTH 24

/* Trees of one list. */
#define SLUICE_TREES 3

/*
 * branches: value. A packet is three words, none of which uses its highest bit,
 * so that a difference tells which is less: the remote address (IPv4 in the
 * first word; of IPv6 the upper 63 bits of each half), and sluice_word_transport.
 * The key is the part of them that the branch names. A packet
 * whose key is below the pivot goes to child 1, all others to child 0. A leaf
 * holds, in order, every entry that can match there; that they do is checked in
 * full there, so that a word may say less than the packet.
 *
 * A list whose entries resist one tree lies in several. The root then says
 * `both`, and nothing else: child 0 is a tree, child 1 the rest, which is a tree
 * or says `both` again. A packet searches each of them, and of the rules found
 * the one with the smallest ordinal decides; where two trees find the same rule,
 * the first tree's entry does. A tree without branches is one leaf.
 */
struct sluice_branch {
	__u64 pivot;
	__u64 mask;	/* of the third word */
	__u32 child[2]; /* first block of a leaf, or SLUICE_BRANCH and a slot */
	__u16 count[2]; /* entries of a leaf */
	__u8 first;	/* 1: the key is the first word, */
	__u8 second;	/* or the second */
	__u8 both;	/* 1: no turn. Only the first branches of a list, fewer than SLUICE_TREES */
	__u8 reserved;
};

/* The fields of the third word. A port is one more than it is; 0: the packet has none. */
#define SLUICE_WORD_REMOTE_PORT 25
#define SLUICE_WORD_LOCAL_PORT	8
#define SLUICE_WORD_PROTOCOL	0
#define SLUICE_WORD_PORT_MASK	0x1ffffull

static inline __u64 sluice_word_transport(__u32 has_ports, __u32 remote_port, __u32 local_port,
					  __u32 protocol)
{
	__u64 word = protocol;

	if (has_ports)
		word |= (__u64)(remote_port + 1) << SLUICE_WORD_REMOTE_PORT |
			(__u64)(local_port + 1) << SLUICE_WORD_LOCAL_PORT;
	return word;
}

struct sluice_counter {
	__u64 bytes;
	__u64 packets;
};

enum sluice_steer_mode {
	SLUICE_STEER_FREE = 0,
	SLUICE_STEER_REDIRECT = 1, /* the packet goes out there, and nowhere else */
	SLUICE_STEER_MIRROR = 2,   /* a copy goes out there; the packet is permitted */
};

/* steers: value; where rules with an interface of their own send packets. At most SLUICE_STEERS. */
struct sluice_steer {
	enum sluice_steer_mode mode;
	__u32 ifindex;	       /* 0: the interface is not there now */
	__u32 next_hop_family; /* 4, 6: resolved as a neighbour on it; 0: the frame goes as it is */
	__u8 next_hop[16];     /* network order */
	char name[16];
	__u32 reserved;
};

/*
 * marks: value; index = the low 16 bits of skb->mark of an uplink packet on a
 * core device: an HTB minor, or SLUICE_MARK_APN + the number of an APN for what
 * that APN sends without a class of its own.
 */
#define SLUICE_MARK_IN_USE 0xffffffffu /* of unused_s */

struct sluice_mark {
	__u32 vlan; /* IEEE 802.1Q id, 1 to 4094, that is pushed; 0: none */
	union {
		__u32 name; /* of an APN's number: hash of the name that it belongs to, over restarts; 0: free
			     */
		/* of a class: the second (CLOCK_MONOTONIC) since which nobody has it; 0: nobody ever had */
		__u32 unused_s;
	};
};

/* neighbours: key; the value is the VLAN (1 to 4094) that this host's ARP and ND for it is sent to */
struct sluice_neighbour {
	__u32 family;	  /* 4 or 6 */
	__u8 address[16]; /* network order; IPv4 in the first four, zeros behind it */
};

/* portal: key; the value is a listening TCP socket, which the kernel takes out when it is closed */
enum sluice_portal {
	SLUICE_PORTAL_IPV4,
	SLUICE_PORTAL_IPV6,
	SLUICE_PORTAL_SOCKETS,
};

/* usage: value; added to atomically by packets, never goes back, read through mmap */
struct sluice_usage {
	struct sluice_counter uplink;
	struct sluice_counter downlink;
	struct sluice_counter uplink_dropped;
	struct sluice_counter downlink_dropped;
};

/* drops: value, per CPU; index = reason * SLUICE_DIRECTIONS + direction */
struct sluice_drop_count {
	enum sluice_drop_reason reason;
	enum sluice_direction direction;
	struct sluice_counter dropped;
};

/* passes: value, per CPU; index = kind * SLUICE_DIRECTIONS + direction */
struct sluice_pass_count {
	enum sluice_pass_kind kind;
	enum sluice_direction direction;
	struct sluice_counter passed;
};

/* answers: value, per CPU; of ICMP errors that BPF makes (bpf/answer.h) */
struct sluice_answers {
	__u64 due_ns;	/* when all that were sent would have been at the steady rate */
	__u64 withheld; /* above the rate: the packet was dropped in silence */
};

/* settings: the one value that all programs read */
struct sluice_settings {
	__u32 layout;	     /* SLUICE_LAYOUT */
	__u32 unknown_drop;  /* 1: packets of unknown subscribers are dropped, 0: they pass */
	__u32 watch_drops;   /* 1: a record in the events ring for each dropped packet */
	__u32 epoch;	     /* of the agent's last start, seconds since 1970; no packet reads it */
	__u32 egress_queues; /* 1: a device is in egress_devices, 0: none is, and packets need not look */
	__u32 reserved;
};

/* --- read by the agent and by people only ------------------------------- */

enum sluice_session_state {
	SLUICE_SESSION_FREE = 0,
	SLUICE_SESSION_ACTIVE = 1,
	SLUICE_SESSION_ENDED = 2, /* enforced no more; final usage not yet acknowledged */
};

/* sessions: value; a session is (IMSI, UE address) */
struct sluice_session_record {
	enum sluice_session_state state;
	__u32 family; /* 4 or 6 */
	char imsi[SLUICE_IMSI_SIZE];
	__u8 address[16]; /* network order; IPv4 in the first four bytes, IPv6 as the UE gave it */
	char apn[SLUICE_APN_SIZE];
	char msisdn[24];
	__u32 uplink_tunnel;
	__u32 downlink_tunnel;
	__u32 shard;
	__u32 default_usage;
	__u32 twin;	    /* slot + 1 of the subscriber's session of the other family; 0: none */
	__u32 uplink_meter; /* of the AMBR: slot in meters + 1; 0: none */
	__u64 ambr_uplink;  /* bit/s, 0 = none */
	__u64 ambr_downlink;
	__u32 downlink_meter;
	__u16 uplink_tree; /* HTB minor of the class that holds the AMBR's queues; 0: none */
	__u16 downlink_tree;
	__u32 reserved;
	/*
	 * Usage slot + 1 of a rule that has gone and whose drops are about to become the
	 * default drop's: then `folded` is to be `folding`, however often. 0: none.
	 */
	__u32 folding_usage;
	__u64 since_ns;
	struct sluice_counter folded[SLUICE_DIRECTIONS]; /* dropped by rules that have gone */
	struct sluice_counter folding[SLUICE_DIRECTIONS];
};

/*
 * The subscriber's side of a flow is the session's address. A flow that names a
 * prefix for it is one of the session's only if the address lies in it (or
 * outside); an IPv6 session is its whole /64, so that longer prefixes are refused.
 */
enum sluice_flow_flags {
	SLUICE_FLOW_PROTOCOL_ZERO = 1 << 0, /* protocol 0 is meant, not any */
	SLUICE_FLOW_LOCAL = 1 << 1,	    /* the session's address is in local/local_length, */
	SLUICE_FLOW_LOCAL_NOT = 1 << 2,	    /* or outside it */
	SLUICE_FLOW_REMOTE_ASSIGNED =
		1 << 3, /* the remote is the session's own address (with REMOTE_NOT: any other) */
};

/* One FlowDescription, in the session manager's terms. flows: value */
struct sluice_flow {
	enum sluice_direction direction;
	enum sluice_action action;
	__u8 family;	    /* 0 any, 4, 6 */
	__u8 protocol;	    /* 0 any */
	__u8 prefix_length; /* of remote */
	__u8 has_remote;
	__u8 remote[16];       /* network order, host bits zero */
	__u16 remote_port_low; /* 0..65535 = any */
	__u16 remote_port_high;
	__u16 local_port_low;
	__u16 local_port_high;
	__u8 flags; /* enum sluice_flow_flags */
	__u8 local_length;
	__u8 local[16]; /* network order, host bits zero */
	struct sluice_terms terms;
	__u8 reserved[7];
};

/* RedirectInformation.AddressType (3GPP TS 29.212 clause 5.3.86, RFC 8506 clause 8.38) */
enum sluice_redirect {
	SLUICE_REDIRECT_NONE = 0,
	SLUICE_REDIRECT_IPV4 = 1,
	SLUICE_REDIRECT_IPV6 = 2,
	SLUICE_REDIRECT_URL = 3,
};

/* How the rates of a rule are kept. */
enum sluice_rate_backend {
	SLUICE_RATE_DEFAULT = 0, /* as qos.backend says */
	SLUICE_RATE_SHAPE = 1,
	SLUICE_RATE_POLICE = 2,
	SLUICE_RATE_AUTO = 3,
};

/* rules: value; one row per distinct content, shared by all sessions that have it */
struct sluice_rule_record {
	char id[SLUICE_RULE_ID_SIZE];
	__u32 in_use;	  /* 0: a free slot */
	__u32 precedence; /* 3GPP precedence: the smaller decides */
	__u32 first_flow; /* slot in flows */
	__u32 flow_count;
	__u64 mbr_uplink; /* 0 = none */
	__u64 mbr_downlink;
	__u64 gbr_uplink;
	__u64 gbr_downlink;
	__u32 hard_timeout_s; /* 0 = none */
	__u32 rating_group;
	__u32 redirect; /* enum sluice_redirect; its flows follow from the server's addresses */
	__u32 steer;	/* slot in steers + 1; 0: none */
	__u8 is_static; /* the content comes from the policy directory */
	__u8 is_final;	/* in force for what a used-up quota no longer lets pass, and for nothing else */
	__u8 backend;	/* enum sluice_rate_backend */
	__u8 arp_level; /* allocation and retention priority, 1 (best) to 15; 0: not given */
	__u8 arp_may_preempt;
	__u8 arp_may_be_preempted;
	__u16 class_id;			   /* QCI, 5QI or an operator's own; 0: not given */
	char profile[SLUICE_PROFILE_SIZE]; /* QoS profile that rates, ARP and class follow; empty: none */
	char redirect_address[SLUICE_REDIRECT_SIZE];
};

enum sluice_usage_state {
	SLUICE_USAGE_FREE = 0,
	SLUICE_USAGE_ACTIVE = 1,  /* packets are counted here */
	SLUICE_USAGE_RETIRED = 2, /* final; kept until the session manager acknowledged it */
};

/* usage_owners: value, same index as usage */
struct sluice_usage_owner {
	enum sluice_usage_state state;
	__u32 session;
	__u32 rule; /* SLUICE_NONE: the default drop */
	__u32 version;
	enum sluice_origin origin;
	__u16 uplink_class;
	__u16 downlink_class;
	__u64 deadline_ns;
	__u64 since_ns;
	char imsi[SLUICE_IMSI_SIZE];
	char rule_id[SLUICE_RULE_LABEL_SIZE]; /* cut to fit; the whole id is in rules */
	/*
	 * A change in place that is about to be published: if pending_policy - 1 is
	 * the session's published policy after a crash, the rule is pending_rule.
	 */
	__u32 pending_policy; /* slot + 1; 0: nothing is pending */
	__u32 pending_rule;
};

_Static_assert(sizeof(struct sluice_ip4) == 4, "endpoints4 key");
_Static_assert(sizeof(struct sluice_ip6_prefix) == 8, "endpoints6 key");
_Static_assert(sizeof(struct sluice_endpoint) == 24, "endpoint value");
_Static_assert(sizeof(struct sluice_index4) == 64, "an index bucket is a cache line");
_Static_assert(sizeof(struct sluice_index6) == 64, "an index bucket is a cache line");
_Static_assert(sizeof(struct sluice_binding) == 24, "binding");
_Static_assert(sizeof(struct sluice_policy) == 128, "a policy is two cache lines");
_Static_assert(sizeof(struct sluice_match4) == 32, "match4");
_Static_assert(sizeof(struct sluice_match6) == 64, "match6");
_Static_assert(sizeof(struct sluice_branch) == 32, "branch");
_Static_assert(sizeof(struct sluice_usage) == 64, "a usage slot is one cache line");
_Static_assert(sizeof(struct sluice_flow) == 72, "flow");
_Static_assert(sizeof(struct sluice_terms) == 11, "terms");
_Static_assert(sizeof(struct sluice_steer) == 48, "steer");
_Static_assert(sizeof(struct sluice_mark) == 8, "the kernel spaces elements by eight bytes");
_Static_assert(sizeof(struct sluice_session_record) % 8 == 0, "session record");
_Static_assert(sizeof(struct sluice_rule_record) % 8 == 0, "rule record");
_Static_assert(sizeof(struct sluice_usage_owner) % 8 == 0, "usage owner");

#endif
