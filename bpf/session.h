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

/* NULL: the endpoint names a slot that does not exist. */
static __always_inline const struct sluice_policy *session_policy(const struct sluice_endpoint *endpoint)
{
	__u32 slot = endpoint->policy;

	return bpf_map_lookup_elem(&policies, &slot);
}

/* The endpoint was still the packet's own when its policy was read. */
static __always_inline bool session_owns(const struct sluice_packet *packet, enum sluice_direction direction,
					 const struct sluice_policy *policy)
{
	const __u32 *address = direction == SLUICE_UPLINK ? packet->source : packet->destination;

	return policy->endpoint_tag == sluice_endpoint_tag(packet->family, address[0], address[1]);
}

#endif
