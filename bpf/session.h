/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whose packet it is: the endpoint of the subscriber's own address, which is
 * the source on the uplink and the destination on the downlink.
 */
#ifndef SLUICE_BPF_SESSION_H
#define SLUICE_BPF_SESSION_H

#include "maps.h"
#include "packet.h"

/* NULL: no session has this address. */
static __always_inline const struct sluice_endpoint *session_find(const struct sluice_packet *packet,
								  enum sluice_direction direction)
{
	const __u32 *address = direction == SLUICE_UPLINK ? packet->source : packet->destination;

	if (packet->family == 4) {
		struct sluice_ip4 key;

		__builtin_memcpy(&key, address, sizeof(key));
		return bpf_map_lookup_elem(&endpoints4, &key);
	} else {
		struct sluice_ip6_prefix key;

		__builtin_memcpy(&key, address, sizeof(key));
		return bpf_map_lookup_elem(&endpoints6, &key);
	}
}

/* And its slot. NULL: the endpoint names a slot that does not exist. */
static __always_inline const struct sluice_policy *session_policy(const struct sluice_endpoint *endpoint,
								  __u32 *slot)
{
	__u32 named = endpoint->policy;

	*slot = named;
	return bpf_map_lookup_elem(&policies, &named);
}

/* The endpoint was still the packet's own when its policy was read. */
static __always_inline bool session_owns(const struct sluice_packet *packet, enum sluice_direction direction,
					 const struct sluice_policy *policy)
{
	const __u32 *address = direction == SLUICE_UPLINK ? packet->source : packet->destination;

	return policy->endpoint_tag == sluice_endpoint_tag(packet->family, address[0], address[1]);
}

/* Slot in policies + 1; 0: the index does not have the address. */
static __always_inline __u32 session_index4(__u32 address)
{
	const struct sluice_index4 *bucket;
	__u32 slot = 0;

	bucket = bpf_map_lookup_elem(&index4, &slot);
	if (!bucket || !bucket->entry[0])
		return 0;
	slot = sluice_index4_bucket(address, bucket->entry[0]);
	bucket = bpf_map_lookup_elem(&index4, &slot);
	if (!bucket)
		return 0;
	for (int i = 0; i < SLUICE_INDEX4_ENTRIES; i++) {
		__u64 entry = *(volatile const __u64 *)&bucket->entry[i];

		if ((__u32)entry == address)
			return entry >> 32;
	}
	return 0;
}

static __always_inline __u32 session_index6(__u64 prefix)
{
	const struct sluice_index6 *bucket;
	__u32 slot = 0;

	bucket = bpf_map_lookup_elem(&index6, &slot);
	if (!bucket || !bucket->entry[0].policy)
		return 0;
	slot = sluice_index6_bucket(prefix, bucket->entry[0].policy);
	bucket = bpf_map_lookup_elem(&index6, &slot);
	if (!bucket)
		return 0;
	for (int i = 0; i < SLUICE_INDEX6_ENTRIES; i++) {
		__u32 policy;

		if (*(volatile const __u64 *)&bucket->entry[i].prefix != prefix)
			continue;
		policy = *(volatile const __u32 *)&bucket->entry[i].policy;
		if (policy)
			return policy;
	}
	return 0;
}

/* The policy of the packet's own address, and its slot, by the index; NULL: ask the hash. */
static __always_inline const struct sluice_policy *
session_indexed(const struct sluice_packet *packet, enum sluice_direction direction, __u32 *slot)
{
	const __u32 *address = direction == SLUICE_UPLINK ? packet->source : packet->destination;
	const struct sluice_policy *policy;
	__u32 found;

	if (packet->family == 4)
		found = session_index4(address[0]);
	else
		found = session_index6(*(const __u64 *)address);
	if (!found)
		return NULL;
	found--;
	*slot = found;
	policy = bpf_map_lookup_elem(&policies, &found);
	return policy && session_owns(packet, direction, policy) ? policy : NULL;
}

#endif
