/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A packet on its way through the IDS rules, and the keys that it has for them. */
#ifndef SLUICE_BPF_IDS_WALK_H
#define SLUICE_BPF_IDS_WALK_H

#include <bpf/bpf_endian.h>

#include "ids_limit.h"
#include "packet.h"

/* The packet as the rules see it, and what became of it. Global functions cannot follow pointers in it. */
struct ids_walk {
	struct sluice_ids_key key; /* of the rule at hand */
	__u64 now;
	__u64 candidates; /* places in struct sluice_ids_order */
	__u32 session;
	__u32 usage;
	__u32 apn;
	__u32 direction;
	__u32 ifindex;
	__u32 payload; /* bytes of TCP or UDP */
	__u32 bytes;
	__u32 packets;
	__u32 events; /* enum ids_connection_event */
	__u32 opener; /* direction */
	__u32 limit;  /* which of the rule's fired */
	__u32 steer;  /* MIRROR: slot + 1 */
	__u16 source_port;
	__u16 destination_port;
	__u16 local_port;
	__u16 remote_port;
	__u8 family;
	__u8 protocol;
	__u8 tcp_flags;
	__u8 has_tcp;
	__u8 has_ports;
	__u8 l3;
	__u8 dropped; /* enum sluice_drop_reason */
	__u8 overrides;
	__u8 acts; /* the rule at hand: it does more than tell */
	__u8 unused[3];
	__u32 made; /* of what `key` is: track and prefix; 0: not yet of this packet */
	__u8 local[16];
	__u8 remote[16];
	char imsi[SLUICE_IMSI_SIZE];
	/* here because the stack of all calls together is short */
	struct ids_question question;
	struct sluice_ids_override override;
	__u32 current; /* which struct sluice_ids_order */
	struct sluice_ids_block block;
};

/* The packet that this CPU is about; hooks run to their end on one. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ids_walk);
} ids_walks __weak SEC(".maps");

/*
 * Global functions find it here and do not get it as an argument: Linux 6.1 takes no key of a map
 * in memory that it knows as an argument only.
 */
static __always_inline struct ids_walk *ids_walk_here(void)
{
	__u32 slot = 0;

	return bpf_map_lookup_elem(&ids_walks, &slot);
}

static __always_inline void ids_copy(void *to, const void *from)
{
	((__u64 *)to)[0] = ((const __u64 *)from)[0];
	((__u64 *)to)[1] = ((const __u64 *)from)[1];
}

static __always_inline void ids_cut(__u8 *address, __u8 family, __u8 length)
{
	__u32 *word = (__u32 *)address;
	__u32 words = family == 4 ? 1 : 4;

	for (__u32 i = 0; i < 4; i++) {
		__u32 keep = length > i * 32 ? length - i * 32 : 0;

		if (i >= words || keep == 0)
			word[i] = 0;
		else if (keep < 32)
			word[i] &= bpf_htonl(~0u << (32 - keep));
	}
}

/* Fields of a key in words, as they are hashed: a narrow store that is read wide at once stalls. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define IDS_WORD(low, high) ((__u64)(__u32)(low) | (__u64)(__u32)(high) << 32)
#define IDS_HALF(low, high) ((__u32)(__u16)(low) | (__u32)(__u16)(high) << 16)
#define IDS_BYTES(first, second, third, fourth) \
	IDS_HALF((__u8)(first) | (__u16)(second) << 8, (__u8)(third) | (__u16)(fourth) << 8)
#else
#define IDS_WORD(low, high) ((__u64)(__u32)(high) | (__u64)(__u32)(low) << 32)
#define IDS_HALF(low, high) ((__u32)(__u16)(high) | (__u32)(__u16)(low) << 16)
#define IDS_BYTES(first, second, third, fourth) \
	IDS_HALF((__u8)(second) | (__u16)(first) << 8, (__u8)(fourth) | (__u16)(third) << 8)
#endif

#define IDS_KEY_AT(field) __builtin_offsetof(struct sluice_ids_key, field)
_Static_assert(IDS_KEY_AT(track) == 4 && IDS_KEY_AT(family) == 6 && IDS_KEY_AT(protocol) == 7 &&
		       IDS_KEY_AT(local_port) == 8 && IDS_KEY_AT(number) == 12 && IDS_KEY_AT(local) == 16,
	       "as ids_key_make writes it");

static __always_inline void ids_load_address(void *to, const __u32 *from)
{
	((__u64 *)to)[0] = IDS_WORD(from[0], from[1]);
	((__u64 *)to)[1] = IDS_WORD(from[2], from[3]);
}

/* Of a source, a destination or a pair. Out of line, for few rules have prefixes. */
static __noinline void ids_key_cut(struct ids_walk *walk, __u8 length)
{
	ids_cut(walk->key.remote, walk->family, length);
}

/*
 * What of the packet a rule tracks. Prefixes of 0 are not cut. Where the key at hand tracks the
 * same, only the rule is new.
 */
static __always_inline void ids_key_put(struct ids_walk *walk, __u32 rule, __u8 track, __u8 prefix4,
					__u8 prefix6)
{
	struct sluice_ids_key *key = &walk->key;
	bool uplink = walk->direction == SLUICE_UPLINK;
	__u8 prefix = walk->family == 4 ? prefix4 : prefix6;
	__u32 made = (__u32)track | (__u32)prefix << 8;
	__u64 *word = (__u64 *)key;
	__u32 ports = 0, number = 0;
	__u8 family = 0, protocol = 0;

	if (track == SLUICE_IDS_CONNECTION)
		protocol = walk->protocol;
	if (track == SLUICE_IDS_CONNECTION || (track >= SLUICE_IDS_SOURCE && track <= SLUICE_IDS_PAIR))
		family = walk->family;
	word[0] = IDS_WORD(rule, IDS_BYTES(track, 0, family, protocol));
	if (walk->made == made)
		return;
	walk->made = made;
	if (track == SLUICE_IDS_CONNECTION)
		ports = IDS_HALF(walk->local_port, walk->remote_port);
	else if (track == SLUICE_IDS_SUBSCRIBER_RULE)
		number = walk->usage;
	else if (track == SLUICE_IDS_APN)
		number = walk->apn;
	word[1] = IDS_WORD(ports, number);
	word[2] = word[3] = word[4] = word[5] = 0;
	switch (track) {
	case SLUICE_IDS_CONNECTION:
		ids_copy(key->local, walk->local);
		ids_copy(key->remote, walk->remote);
		break;
	case SLUICE_IDS_SUBSCRIBER_RULE:
	case SLUICE_IDS_SUBSCRIBER:
		ids_copy(key->local, walk->imsi);
		break;
	case SLUICE_IDS_SOURCE:
	case SLUICE_IDS_DESTINATION:
		if ((track == SLUICE_IDS_SOURCE) == uplink)
			ids_copy(key->remote, walk->local);
		else
			ids_copy(key->remote, walk->remote);
		break;
	case SLUICE_IDS_PAIR:
		ids_copy(key->local, walk->local);
		ids_copy(key->remote, walk->remote);
		break;
	default:
		return;
	}
	if (prefix && track >= SLUICE_IDS_SOURCE && track <= SLUICE_IDS_PAIR)
		ids_key_cut(walk, prefix);
}

/* The same where it is seldom asked for. */
static __noinline void ids_key_make(struct ids_walk *walk, __u32 rule, __u8 track, __u8 prefix4, __u8 prefix6)
{
	ids_key_put(walk, rule, track, prefix4, prefix6);
}

#endif
