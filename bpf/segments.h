/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From one GSO frame to the packets it becomes on the wire, each with headers
 * of its own: down to the transport header, inside the tunnels that the kernel
 * cuts and merges on the way (IP in IP, RFC 2003; IPv6 in IPv4, RFC 4213; GRE,
 * RFC 2784 and 2890).
 */
#ifndef SLUICE_BPF_SEGMENTS_H
#define SLUICE_BPF_SEGMENTS_H

#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "packet.h"

/* Layers inside the outer IP header: GRE, Ethernet or not, IP, TCP, and one tunnel more. */
#define SEGMENTS_LAYERS 6

#define SEGMENTS_GRE_ETHERNET 0x6558

/* What stands at an offset, as the layer above names it. */
enum segments_layer {
	SEGMENTS_PAYLOAD, /* nothing that the kernel repeats in each segment */
	SEGMENTS_TRANSPORT,
	SEGMENTS_NETWORK,
	SEGMENTS_GRE,
	SEGMENTS_ETHERNET,
};

static __always_inline enum segments_layer segments_below_ip(__u8 protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
		return SEGMENTS_TRANSPORT;
	case IPPROTO_IPIP:
	case IPPROTO_IPV6:
		return SEGMENTS_NETWORK;
	case IPPROTO_GRE:
		return SEGMENTS_GRE;
	default:
		return SEGMENTS_PAYLOAD;
	}
}

static __always_inline enum segments_layer segments_by_ethertype(__be16 ethertype)
{
	if (ethertype == bpf_htons(ETH_P_IP) || ethertype == bpf_htons(ETH_P_IPV6))
		return SEGMENTS_NETWORK;
	if (ethertype == bpf_htons(SEGMENTS_GRE_ETHERNET))
		return SEGMENTS_ETHERNET;
	return SEGMENTS_PAYLOAD;
}

/* The offset behind the headers of a tunnel; what cannot be read counts as payload. */
static __noinline __u32 segments_tunnel_end(struct sluice_frame *frame, __u32 offset, __u8 protocol)
{
	enum segments_layer layer = segments_below_ip(protocol);

	for (int i = 0; i < SEGMENTS_LAYERS && layer != SEGMENTS_PAYLOAD; i++) {
		__u8 head[16];

		if (frame_load_slow(frame, offset, head, sizeof(head)))
			break;
		switch (layer) {
		case SEGMENTS_TRANSPORT:
			return offset +
			       (protocol == IPPROTO_TCP ? head[12] >> 4 << 2 : sizeof(struct udphdr));
		case SEGMENTS_NETWORK:
			if (head[0] >> 4 == 4) {
				protocol = head[9];
				offset += (head[0] & 0xf) * 4;
			} else {
				protocol = head[6];
				offset += sizeof(struct ipv6hdr);
			}
			layer = segments_below_ip(protocol);
			break;
		case SEGMENTS_GRE:
			/* checksum, key, sequence number: four bytes each */
			offset += 4 + (head[0] >> 7) * 4 + (head[0] >> 5 & 1) * 4 + (head[0] >> 4 & 1) * 4;
			layer = segments_by_ethertype(*(__be16 *)(head + 2));
			break;
		default:
			offset += sizeof(struct ethhdr);
			layer = segments_by_ethertype(*(__be16 *)(head + 12));
		}
	}
	return offset;
}

/* Turns packet->bytes and packet->packets from the frame's into the wire's. */
static __always_inline void segments_count(struct sluice_frame *frame, struct sluice_packet *packet)
{
	__u32 end = packet->transport + packet->transport_header;
	__u32 headers;

	if (segments_below_ip(packet->protocol) > SEGMENTS_TRANSPORT)
		end = segments_tunnel_end(frame, packet->transport, packet->protocol);
	headers = end - packet->network - packet->jumbo;
	packet->bytes -= packet->jumbo;
	packet->packets = frame_segments(frame, packet_less(packet->bytes, headers));
	packet->bytes += (packet->packets - 1) * headers;
}

#endif
