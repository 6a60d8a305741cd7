/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Control traffic passes before any look-up. Every kind is recognised by what
 * keeps it on the link (hop limit, scope of an address, a reserved group), so
 * that a subscriber cannot carry traffic of his own in it past the gateway.
 */
#ifndef SLUICE_BPF_CONTROL_H
#define SLUICE_BPF_CONTROL_H

#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "packet.h"
#include "sluice/verdict.h"

#define CONTROL_DHCP_SERVER  67 /* RFC 2131 clause 4.1 */
#define CONTROL_DHCP_CLIENT  68
#define CONTROL_DHCP6_CLIENT 546 /* RFC 8415 clause 7.2 */
#define CONTROL_DHCP6_SERVER 547
#define CONTROL_BFD	     3784 /* RFC 5881 clause 4 */
#define CONTROL_MLD_QUERY    130
#define CONTROL_MLD_DONE     132
#define CONTROL_ND_FIRST     133 /* router solicitation */
#define CONTROL_ND_LAST	     137 /* redirect */
#define CONTROL_MLD2_REPORT  143

/* An ARP packet is 28 bytes; with what Ethernet pads it to, tagged or not. */
#define CONTROL_ARP_ROOM 64

static __always_inline bool control_is_link_local(const __u32 address[4])
{
	return (address[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000);
}

static __always_inline bool control_is_unspecified(const __u32 address[4])
{
	return !(address[0] | address[1] | address[2] | address[3]);
}

/* ff02::/16 */
static __always_inline bool control_is_link_multicast(const __u32 address[4])
{
	return (address[0] & bpf_htonl(0xffff0000)) == bpf_htonl(0xff020000);
}

/* ff02::LAST */
static __always_inline bool control_is_link_group(const __u32 address[4], __u32 last)
{
	return address[0] == bpf_htonl(0xff020000) && !address[1] && !address[2] &&
	       address[3] == bpf_htonl(last);
}

/* Routing would not send the packet on: it is for this host, or this host does not route. */
static __always_inline bool control_stays_here(struct sluice_frame *frame, const struct sluice_packet *packet)
{
	struct bpf_fib_lookup route = {.ifindex = frame_ifindex(frame)};
	long result;

	if (packet->family == 4) {
		route.family = AF_INET;
		route.ipv4_src = packet->source[0];
		route.ipv4_dst = packet->destination[0];
	} else {
		route.family = AF_INET6;
		__builtin_memcpy(route.ipv6_src, packet->source, sizeof(route.ipv6_src));
		__builtin_memcpy(route.ipv6_dst, packet->destination, sizeof(route.ipv6_dst));
	}
	result = bpf_fib_lookup(frame, &route, sizeof(route), 0);
	return result == BPF_FIB_LKUP_RET_NOT_FWDED || result == BPF_FIB_LKUP_RET_FWD_DISABLED;
}

static __always_inline enum sluice_pass_kind control_link(struct sluice_frame *frame,
							  const struct sluice_packet *packet)
{
	struct arphdr arp;

	switch (packet->ethertype) {
	case ETH_P_ARP:
		if (packet->bytes > CONTROL_ARP_ROOM || frame_load(frame, packet->network, &arp, sizeof(arp)))
			return SLUICE_PASS_NONE;
		if (arp.ar_hrd != bpf_htons(ARPHRD_ETHER) || arp.ar_pro != bpf_htons(ETH_P_IP) ||
		    arp.ar_hln != 6 || arp.ar_pln != 4)
			return SLUICE_PASS_NONE;
		return SLUICE_PASS_ARP;
	case ETH_P_SLOW:
	case ETH_P_LLDP:
	case ETH_P_PAE:
		break;
	default:
		if (packet->ethertype >= ETH_P_802_3_MIN)
			return SLUICE_PASS_NONE;
	}
	return packet->reserved_group ? SLUICE_PASS_LINK_LAYER : SLUICE_PASS_NONE;
}

static __always_inline enum sluice_pass_kind
control_udp4(struct sluice_frame *frame, const struct sluice_packet *packet, enum sluice_direction direction)
{
	bool broadcast = packet->destination[0] == 0xffffffff;

	if (direction == SLUICE_UPLINK) {
		if (packet->source_port == CONTROL_DHCP_CLIENT &&
		    packet->destination_port == CONTROL_DHCP_SERVER && (broadcast || !packet->source[0]))
			return SLUICE_PASS_DHCP;
	} else if (packet->source_port == CONTROL_DHCP_SERVER &&
		   packet->destination_port == CONTROL_DHCP_CLIENT && (broadcast || frame_is_local(frame))) {
		return SLUICE_PASS_DHCP;
	}
	return SLUICE_PASS_NONE;
}

static __always_inline enum sluice_pass_kind control_udp6(const struct sluice_packet *packet,
							  enum sluice_direction direction)
{
	__u16 from = direction == SLUICE_UPLINK ? CONTROL_DHCP6_CLIENT : CONTROL_DHCP6_SERVER;
	__u16 to = direction == SLUICE_UPLINK ? CONTROL_DHCP6_SERVER : CONTROL_DHCP6_CLIENT;

	/* a server may answer from any port (RFC 8415 clause 7.2) */
	if (packet->destination_port != to || (direction == SLUICE_UPLINK && packet->source_port != from))
		return SLUICE_PASS_NONE;
	if (!control_is_link_local(packet->source))
		return SLUICE_PASS_NONE;
	if (control_is_link_local(packet->destination) || control_is_link_group(packet->destination, 0x10002))
		return SLUICE_PASS_DHCP;
	return SLUICE_PASS_NONE;
}

static __always_inline enum sluice_pass_kind
control_udp(struct sluice_frame *frame, const struct sluice_packet *packet, enum sluice_direction direction)
{
	if (packet->destination_port == CONTROL_BFD) {
		/* with 255 it has crossed no router yet; it must not cross this one either */
		if (packet->hop_limit == 255 &&
		    (direction == SLUICE_DOWNLINK || control_stays_here(frame, packet)))
			return SLUICE_PASS_BFD;
		return SLUICE_PASS_NONE;
	}
	return packet->family == 4 ? control_udp4(frame, packet, direction) : control_udp6(packet, direction);
}

static __always_inline enum sluice_pass_kind
control_icmp6(struct sluice_frame *frame, const struct sluice_packet *packet, enum sluice_direction direction)
{
	if (packet->icmp_type >= CONTROL_ND_FIRST && packet->icmp_type <= CONTROL_ND_LAST) {
		if (packet->hop_limit != 255)
			return SLUICE_PASS_NONE;
		/* reachability probes go to global addresses too; routers forward neither of the first three
		 */
		if (direction == SLUICE_DOWNLINK || control_is_link_local(packet->source) ||
		    control_is_link_local(packet->destination) ||
		    control_is_link_multicast(packet->destination) || control_stays_here(frame, packet))
			return SLUICE_PASS_ND;
		return SLUICE_PASS_NONE;
	}
	if ((packet->icmp_type >= CONTROL_MLD_QUERY && packet->icmp_type <= CONTROL_MLD_DONE) ||
	    packet->icmp_type == CONTROL_MLD2_REPORT) {
		if (packet->hop_limit == 1 && *(const __u8 *)packet->destination == 0xff &&
		    (control_is_link_local(packet->source) || control_is_unspecified(packet->source)))
			return SLUICE_PASS_MULTICAST_LISTENER;
	}
	return SLUICE_PASS_NONE;
}

static __always_inline enum sluice_pass_kind
control_ospf(struct sluice_frame *frame, const struct sluice_packet *packet, enum sluice_direction direction)
{
	bool group;

	/* AllSPFRouters and AllDRouters */
	if (packet->family == 4)
		group = packet->destination[0] == bpf_htonl(0xe0000005) ||
			packet->destination[0] == bpf_htonl(0xe0000006);
	else
		group = control_is_link_group(packet->destination, 5) ||
			control_is_link_group(packet->destination, 6);
	if (group)
		return SLUICE_PASS_OSPF;
	/* towards the subscriber a TTL of 1 may be what forwarding left of a larger one */
	if (packet->hop_limit == 1 && (direction == SLUICE_UPLINK || frame_is_local(frame)))
		return SLUICE_PASS_OSPF;
	return SLUICE_PASS_NONE;
}

/* SLUICE_PASS_NONE: not control traffic. */
static __always_inline enum sluice_pass_kind control_classify(struct sluice_frame *frame,
							      const struct sluice_packet *packet,
							      enum sluice_direction direction)
{
	if (!packet->family)
		return control_link(frame, packet);
	if (packet->protocol == IPPROTO_TCP || packet->fragment != PACKET_WHOLE)
		return SLUICE_PASS_NONE;

	switch (packet->protocol) {
	case IPPROTO_UDP:
		return control_udp(frame, packet, direction);
	case IPPROTO_ICMPV6:
		return packet->family == 6 ? control_icmp6(frame, packet, direction) : SLUICE_PASS_NONE;
	case IPPROTO_IGMP:
		if (packet->family == 4 && packet->hop_limit == 1 &&
		    (packet->destination[0] & bpf_htonl(0xf0000000)) == bpf_htonl(0xe0000000))
			return SLUICE_PASS_MULTICAST_LISTENER;
		return SLUICE_PASS_NONE;
	case IPPROTO_OSPF:
		return control_ospf(frame, packet, direction);
	default:
		return SLUICE_PASS_NONE;
	}
}

#endif
