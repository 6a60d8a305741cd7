/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A packet as rules, counters and records name it: what parse.h finds and all others read. */
#ifndef SLUICE_BPF_PACKET_H
#define SLUICE_BPF_PACKET_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

enum packet_fragment {
	PACKET_WHOLE,
	PACKET_FIRST_FRAGMENT,
	PACKET_LATER_FRAGMENT, /* no transport header in it */
};

struct sluice_packet {
	__u32 source[4]; /* network order; IPv4 in the first word */
	__u32 destination[4];
	__u32 bytes;	   /* on the wire, all segments; what follows the link header where it is not IP */
	__u32 packets;	   /* on the wire */
	__u32 network;	   /* offset of what follows the link header */
	__u32 transport;   /* offset of what follows the IP headers */
	__u16 ethertype;   /* host order */
	__u16 source_port; /* host order, 0 where there are none */
	__u16 destination_port;
	__u16 transport_header; /* its length; 0 where it is not known */
	__u8 family;		/* 4, 6, or 0 = not IP */
	__u8 protocol;
	__u8 hop_limit;
	__u8 fragment; /* enum packet_fragment */
	__u8 icmp_type;
	__u8 dscp;
	__u8 tcp_flags;	 /* of a TCP header that is there whole */
	bool has_ports;	 /* TCP, UDP, SCTP, not a later fragment */
	bool has_tcp;	 /* the whole TCP header, options too */
	bool has_icmp;	 /* ICMP in IPv4, ICMPv6 in IPv6 */
	bool offset_one; /* a fragment that begins at the ninth byte: see RFC 3128 */
	bool this_host;	 /* made here, not forwarded */
	__u8 ip_options; /* read by terms_read_options only */
	__u8 tcp_options;
	__u8 jumbo;	     /* bytes between the IP headers that never reach the wire */
	__u8 reserved_group; /* to 01:80:c2:00:00:0X, which no bridge forwards (IEEE 802.1D clause 7.12.6) */
};

/* a - b, not below zero */
static __always_inline __u32 packet_less(__u32 a, __u32 b)
{
	return a > b ? a - b : 0;
}

#endif
