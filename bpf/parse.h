/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From bytes to what a rule can name. Nothing here reads a map or decides.
 *
 * Lengths come from the IP header, never from the frame: Ethernet pads short
 * packets, and a GSO frame stands for packets that are not cut yet.
 */
#ifndef SLUICE_BPF_PARSE_H
#define SLUICE_BPF_PARSE_H

#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "packet.h"
#include "segments.h"

/* More VLAN tags in the frame, or more IPv6 extension headers, than anybody sends. */
#define PARSE_VLAN_TAGS		2
#define PARSE_EXTENSION_HEADERS 8

/* What the IPv6 stack puts before the TCP header of a packet over 64 KiB, and takes out
 * again before the wire (RFC 2675 jumbo payload option). */
#define PARSE_JUMBO_HEADER 8

enum parse_result {
	PARSE_IP,
	PARSE_NOT_IP,
	PARSE_MALFORMED,
};

/* What lies beyond the ports. A first fragment may be too short for it; it has none then. */
static __always_inline enum parse_result parse_tcp(struct sluice_frame *frame, struct sluice_packet *packet,
						   __u32 room)
{
	bool whole = packet->fragment == PACKET_WHOLE;
	__u8 field[2]; /* data offset, flags */
	__u32 length;

	if (room < sizeof(struct tcphdr))
		return PARSE_IP;
	if (frame_load(frame, packet->transport + 12, field, sizeof(field)))
		return PARSE_MALFORMED;
	length = field[0] >> 4 << 2;
	if (length < sizeof(struct tcphdr) || length > room)
		return whole ? PARSE_MALFORMED : PARSE_IP;
	packet->transport_header = length;
	packet->tcp_flags = field[1];
	packet->has_tcp = true;
	return PARSE_IP;
}

/* TCP, UDP, SCTP ports and the ICMP type; `end` is the end of the IP packet in the frame. */
static __always_inline enum parse_result parse_transport(struct sluice_frame *frame,
							 struct sluice_packet *packet, __u32 end)
{
	__u32 offset = packet->transport;
	__u32 room = packet_less(end, offset);
	__be16 field[4]; /* source port, destination port, UDP length, UDP checksum */
	__u32 needed;

	if (packet->fragment == PACKET_LATER_FRAGMENT)
		return PARSE_IP;

	switch (packet->protocol) {
	case IPPROTO_TCP:
		needed = sizeof(struct tcphdr);
		break;
	case IPPROTO_SCTP:
		needed = sizeof(struct sctphdr);
		break;
	case IPPROTO_UDP:
	case IPPROTO_ICMP:
		needed = sizeof(struct udphdr);
		break;
	case IPPROTO_ICMPV6:
		needed = sizeof(struct icmp6hdr);
		break;
	default:
		return PARSE_IP;
	}
	packet->has_icmp = packet->protocol == (packet->family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	/* fragments come in units of eight bytes: enough for ports (RFC 1858) */
	if (packet->fragment == PACKET_FIRST_FRAGMENT && needed > sizeof(field))
		needed = sizeof(field);
	if (room < needed)
		return PARSE_MALFORMED;

	if (packet->protocol == IPPROTO_ICMP || packet->protocol == IPPROTO_ICMPV6) {
		packet->transport_header = needed;
		return frame_load(frame, offset, &packet->icmp_type, 1) ? PARSE_MALFORMED : PARSE_IP;
	}

	if (frame_load(frame, offset, field, sizeof(field)))
		return PARSE_MALFORMED;
	packet->source_port = bpf_ntohs(field[0]);
	packet->destination_port = bpf_ntohs(field[1]);
	packet->has_ports = true;
	packet->transport_header = needed;
	if (packet->protocol == IPPROTO_TCP)
		return parse_tcp(frame, packet, room);
	if (packet->fragment != PACKET_WHOLE)
		return PARSE_IP;

	if (packet->protocol == IPPROTO_UDP && !frame_is_gso(frame)) {
		__u16 length = bpf_ntohs(field[2]);

		if (length < sizeof(struct udphdr) || length > room)
			return PARSE_MALFORMED;
	}
	return PARSE_IP;
}

static __always_inline enum parse_result parse_ip4(struct sluice_frame *frame, struct sluice_packet *packet)
{
	__u32 room = packet->bytes;
	struct iphdr ip;
	__u32 header, total;
	__u16 fragment;

	if (frame_load(frame, packet->network, &ip, sizeof(ip)))
		return PARSE_MALFORMED;
	header = ip.ihl * 4;
	total = bpf_ntohs(ip.tot_len);
	/* over 64 KiB the length is not filled in before the packet is cut */
	if (!total && frame_is_gso(frame))
		total = room;
	if (ip.version != 4 || header < sizeof(ip) || total < header || total > room)
		return PARSE_MALFORMED;

	fragment = bpf_ntohs(ip.frag_off);
	if (fragment & 0x1fff)
		packet->fragment = PACKET_LATER_FRAGMENT;
	else if (fragment & 0x2000)
		packet->fragment = PACKET_FIRST_FRAGMENT;
	packet->offset_one = (fragment & 0x1fff) == 1;

	packet->family = 4;
	packet->source[0] = ip.saddr;
	packet->destination[0] = ip.daddr;
	packet->protocol = ip.protocol;
	packet->hop_limit = ip.ttl;
	packet->dscp = ip.tos >> 2;
	packet->bytes = total;
	packet->transport = packet->network + header;
	return parse_transport(frame, packet, packet->network + total);
}

static __always_inline bool parse_is_extension(__u8 next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_FRAGMENT ||
	       next == IPPROTO_AH || next == IPPROTO_DSTOPTS;
}

/* Moves packet->transport and packet->protocol past the extension headers (RFC 8200 clause 4). */
static __noinline int parse_extensions(struct sluice_frame *frame, struct sluice_packet *packet)
{
	__u32 offset = packet->transport;
	__u8 next = packet->protocol;

	for (int i = 0; i < PARSE_EXTENSION_HEADERS; i++) {
		__be16 head[2]; /* next header and length; in a fragment header its offset and flag too */
		__u32 length;

		if (!parse_is_extension(next)) {
			packet->transport = offset;
			packet->protocol = next;
			return PARSE_IP;
		}
		if (frame_load_slow(frame, offset, head, sizeof(head)))
			return PARSE_MALFORMED;
		length = ((__u8 *)head)[1];
		if (next == IPPROTO_FRAGMENT) {
			__u16 fragment = bpf_ntohs(head[1]);

			offset += sizeof(struct frag_hdr);
			/* neither offset nor "more": an atomic fragment is a whole packet (RFC 6946) */
			if (fragment & 0xfff8)
				packet->fragment = PACKET_LATER_FRAGMENT;
			else if (fragment & 1)
				packet->fragment = PACKET_FIRST_FRAGMENT;
			packet->offset_one = fragment >> 3 == 1;
		} else if (next == IPPROTO_AH) {
			offset += (length + 2) * 4;
		} else {
			offset += (length + 1) * 8;
		}
		next = *(__u8 *)head;
		if (packet->fragment == PACKET_LATER_FRAGMENT) {
			packet->transport = offset;
			packet->protocol = next;
			return PARSE_IP;
		}
	}
	if (parse_is_extension(next))
		return PARSE_MALFORMED;
	packet->transport = offset;
	packet->protocol = next;
	return PARSE_IP;
}

static __always_inline enum parse_result parse_ip6(struct sluice_frame *frame, struct sluice_packet *packet)
{
	__u32 room = packet->bytes;
	__u32 total, end;
	struct ipv6hdr ip;

	if (frame_load(frame, packet->network, &ip, sizeof(ip)))
		return PARSE_MALFORMED;
	total = sizeof(ip) + bpf_ntohs(ip.payload_len);
	if (!ip.payload_len && frame_is_gso(frame)) {
		total = room;
		if (ip.nexthdr == IPPROTO_HOPOPTS)
			packet->jumbo = PARSE_JUMBO_HEADER;
	}
	if (ip.version != 6 || total > room)
		return PARSE_MALFORMED;

	packet->family = 6;
	__builtin_memcpy(packet->source, &ip.saddr, sizeof(packet->source));
	__builtin_memcpy(packet->destination, &ip.daddr, sizeof(packet->destination));
	packet->protocol = ip.nexthdr;
	packet->hop_limit = ip.hop_limit;
	packet->dscp = (ip.priority << 4 | ip.flow_lbl[0] >> 4) >> 2;
	packet->bytes = total;
	packet->transport = packet->network + sizeof(ip);
	end = packet->network + total;
	if (parse_is_extension(ip.nexthdr) && parse_extensions(frame, packet) != PARSE_IP)
		return PARSE_MALFORMED;
	if (packet->transport > end)
		return PARSE_MALFORMED;
	return parse_transport(frame, packet, end);
}

/* The network layer, of the type that the link header names. */
static __always_inline enum parse_result parse_network(struct sluice_frame *frame,
						       struct sluice_packet *packet)
{
	enum parse_result result;

	packet->packets = 1;
	packet->this_host = frame_is_local(frame);
	packet->bytes = packet_less(frame_length(frame), packet->network);
	if (packet->ethertype == ETH_P_IP)
		result = parse_ip4(frame, packet);
	else if (packet->ethertype == ETH_P_IPV6)
		result = parse_ip6(frame, packet);
	else
		return PARSE_NOT_IP;

	if (result == PARSE_IP && frame_is_gso(frame))
		segments_count(frame, packet);
	return result;
}

/* Frames with an Ethernet header; tags that the device took out already are no longer in it. */
static __always_inline enum parse_result parse_ethernet(struct sluice_frame *frame,
							struct sluice_packet *packet)
{
	struct ethhdr ethernet;

	packet->packets = 1;
	if (frame_load(frame, 0, &ethernet, sizeof(ethernet)))
		return PARSE_MALFORMED;
	packet->reserved_group = ethernet.h_dest[0] == 0x01 && ethernet.h_dest[1] == 0x80 &&
				 ethernet.h_dest[2] == 0xc2 && !ethernet.h_dest[3] && !ethernet.h_dest[4] &&
				 ethernet.h_dest[5] < 0x10;
	packet->ethertype = bpf_ntohs(ethernet.h_proto);
	packet->network = sizeof(ethernet);

	for (int i = 0; i < PARSE_VLAN_TAGS; i++) {
		struct vlan_hdr tag;

		if (packet->ethertype != ETH_P_8021Q && packet->ethertype != ETH_P_8021AD)
			break;
		if (frame_load(frame, packet->network, &tag, sizeof(tag)))
			return PARSE_MALFORMED;
		packet->ethertype = bpf_ntohs(tag.h_vlan_encapsulated_proto);
		packet->network += sizeof(tag);
	}
	return parse_network(frame, packet);
}

/*
 * Both kinds of frames, as a global function: the verifier walks it once, and
 * what comes after once too, not once for every way through it (half the time
 * to load, for about a tenth more time a packet than in line). Weak, because
 * each of the objects that are linked into one brings it.
 */
__weak int parse_frame(struct sluice_frame *frame, struct sluice_packet *packet, bool ethernet,
		       __u16 ethertype)
{
	if (!packet)
		return PARSE_MALFORMED;
	if (ethernet)
		return parse_ethernet(frame, packet);
	packet->ethertype = ethertype;
	return parse_network(frame, packet);
}

#endif
