/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Refusals that the subscriber notices at once: a TCP reset (RFC 9293 clause
 * 3.10.7.1), or ICMP "administratively prohibited" (RFC 792 type 3 code 13, RFC
 * 4443 type 1 code 1). The packet itself is turned round and goes back out of
 * its device, as if its destination had sent the answer. One answer a packet,
 * and to none of those that RFC 1122 clause 3.2.2 and RFC 4443 clause 2.4 exempt.
 * ICMP has a rate (RFC 4443 clause 2.4 (f)), a reset none, as in RFC 9293: it is no
 * longer than what it answers, and a client that gets none waits.
 */
#ifndef SLUICE_BPF_ANSWER_H
#define SLUICE_BPF_ANSWER_H

#include "maps.h"
#include "packet.h"
#include "shape.h"

#define ANSWER_TCP_FIN 0x01
#define ANSWER_TCP_SYN 0x02
#define ANSWER_TCP_RST 0x04
#define ANSWER_TCP_ACK 0x10

#define ANSWER_HOP_LIMIT 64

/* ICMP errors of one CPU: a thousand a second, and a hundred at once. Above that: silence. */
#define ANSWER_ICMP_NS	  1000000ull
#define ANSWER_ICMP_BURST 100

/*
 * How much of the refused packet an ICMP error shows: more than the 8 bytes
 * behind the headers that it must. A mask too, which is what the verifier takes
 * for a bound.
 */
#define ANSWER_QUOTE 0x7c

/* Headers that begin further back are no sender's whom an answer would help. */
#define ANSWER_TRANSPORT_MAX 0x1ff

struct answer_tcp {
	__be16 source;
	__be16 destination;
	__be32 sequence;
	__be32 acknowledged;
	__u8 offset; /* in the upper four bits, in words */
	__u8 flags;
	__be16 window;
	__u16 checksum;
	__be16 urgent;
};

struct answer_icmp {
	__u8 type;
	__u8 code;
	__u16 checksum;
	__u32 unused;
};

/* The sum that precedes TCP and ICMPv6 (RFC 9293 clause 3.1, RFC 8200 clause 8.1) */
struct answer_pseudo {
	__u32 source[4];
	__u32 destination[4];
	__be32 length;
	__be32 protocol;
};

static __always_inline __u16 answer_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* The words past an IPv4 address are zero, so that both families sum alike. */
static __always_inline __u32 answer_pseudo_sum(const struct sluice_packet *packet, __u8 protocol,
					       __u32 length)
{
	struct answer_pseudo pseudo = {
		.length = bpf_htonl(length),
		.protocol = bpf_htonl(protocol),
	};

	__builtin_memcpy(pseudo.source, packet->destination, sizeof(pseudo.source));
	__builtin_memcpy(pseudo.destination, packet->source, sizeof(pseudo.destination));
	return bpf_csum_diff(NULL, 0, (__be32 *)&pseudo, sizeof(pseudo), 0);
}

/* The length of the IP header that is written at `offset`, or negative. */
static __always_inline int answer_write_ip(struct __sk_buff *skb, const struct sluice_packet *packet,
					   __u32 offset, __u8 protocol, __u32 length)
{
	if (packet->family == 4) {
		struct iphdr ip = {
			.version = 4,
			.ihl = 5,
			.tot_len = bpf_htons(sizeof(ip) + length),
			.frag_off = bpf_htons(0x4000),
			.ttl = ANSWER_HOP_LIMIT,
			.protocol = protocol,
			.saddr = packet->destination[0],
			.daddr = packet->source[0],
		};

		ip.check = answer_fold(bpf_csum_diff(NULL, 0, (__be32 *)&ip, sizeof(ip), 0));
		if (bpf_skb_store_bytes(skb, offset, &ip, sizeof(ip), BPF_F_RECOMPUTE_CSUM))
			return -1;
		return sizeof(ip);
	} else {
		struct ipv6hdr ip = {
			.version = 6,
			.payload_len = bpf_htons(length),
			.nexthdr = protocol,
			.hop_limit = ANSWER_HOP_LIMIT,
		};

		__builtin_memcpy(&ip.saddr, packet->destination, sizeof(ip.saddr));
		__builtin_memcpy(&ip.daddr, packet->source, sizeof(ip.daddr));
		if (bpf_skb_store_bytes(skb, offset, &ip, sizeof(ip), BPF_F_RECOMPUTE_CSUM))
			return -1;
		return sizeof(ip);
	}
}

/*
 * Makes room for an IP packet with `length` bytes behind its header, turns the
 * Ethernet addresses round and writes the IP header; where those bytes go, or
 * negative. More room than needed is made first and then taken out in front of
 * where the old transport header began: that is how an skb is told that nobody
 * has to complete a checksum in it any more (CHECKSUM_PARTIAL), for which there
 * is no helper. It does not work behind a second VLAN tag, where only another
 * host's frame can be, with its checksum complete.
 */
static __always_inline int answer_turn(struct __sk_buff *skb, const struct sluice_packet *packet,
				       __u8 protocol, __u32 length)
{
	__u32 header = packet->family == 4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
	__u32 excess = 0;
	int written;

	if (packet->transport > ANSWER_TRANSPORT_MAX)
		return -1;
	if (skb->protocol == bpf_htons(ETH_P_IP) || skb->protocol == bpf_htons(ETH_P_IPV6))
		excess = packet->transport + 4;
	if (bpf_skb_change_tail(skb, packet->network + header + length + excess, 0) ||
	    (excess && bpf_skb_adjust_room(skb, -(__s32)excess, BPF_ADJ_ROOM_MAC, 0)))
		return -1;
	if (packet->network) {
		struct ethhdr old, new;

		if (bpf_skb_load_bytes(skb, 0, &old, sizeof(old)))
			return -1;
		__builtin_memcpy(new.h_dest, old.h_source, sizeof(new.h_dest));
		__builtin_memcpy(new.h_source, old.h_dest, sizeof(new.h_source));
		if (bpf_skb_store_bytes(skb, 0, &new, sizeof(new.h_dest) + sizeof(new.h_source),
					BPF_F_RECOMPUTE_CSUM))
			return -1;
	}
	written = answer_write_ip(skb, packet, packet->network, protocol, length);
	return written < 0 ? written : (int)packet->network + written;
}

static __always_inline int answer_send(struct __sk_buff *skb)
{
	shape_mark(skb, SLUICE_MARK_ANSWER);
	return bpf_redirect(skb->ifindex, 0);
}

/* `packet` is TCP, whole. */
static __noinline int answer_reset(struct __sk_buff *skb, const struct sluice_packet *packet)
{
	struct answer_tcp old, new = {.offset = sizeof(new) / 4 << 4, .flags = ANSWER_TCP_RST};
	__u32 length;
	int offset;

	if (bpf_skb_load_bytes(skb, packet->transport, &old, sizeof(old)) || old.flags & ANSWER_TCP_RST)
		return TC_ACT_SHOT;
	new.source = old.destination;
	new.destination = old.source;
	if (old.flags & ANSWER_TCP_ACK) {
		new.sequence = old.acknowledged;
	} else {
		length = packet_less(packet->bytes,
				     packet->transport - packet->network + packet->transport_header);
		length += !!(old.flags & ANSWER_TCP_SYN) + !!(old.flags & ANSWER_TCP_FIN);
		new.acknowledged = bpf_htonl(bpf_ntohl(old.sequence) + length);
		new.flags |= ANSWER_TCP_ACK;
	}
	new.checksum = answer_fold(bpf_csum_diff(NULL, 0, (__be32 *)&new, sizeof(new),
						 answer_pseudo_sum(packet, IPPROTO_TCP, sizeof(new))));
	offset = answer_turn(skb, packet, IPPROTO_TCP, sizeof(new));
	if (offset < 0 || bpf_skb_store_bytes(skb, offset, &new, sizeof(new), BPF_F_RECOMPUTE_CSUM))
		return TC_ACT_SHOT;
	return answer_send(skb);
}

static __noinline int answer_prohibited(struct __sk_buff *skb, const struct sluice_packet *packet)
{
	struct {
		struct answer_icmp icmp;
		__u32 quote[ANSWER_QUOTE / 4];
	} message = {};
	__u8 protocol = packet->family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	__u32 quoted = packet->bytes < ANSWER_QUOTE ? packet->bytes : ANSWER_QUOTE;
	__u32 length, sum = 0;
	int offset;

	barrier_var(quoted);
	quoted &= ANSWER_QUOTE;
	if (quoted < sizeof(struct iphdr) || bpf_skb_load_bytes(skb, packet->network, message.quote, quoted))
		return TC_ACT_SHOT;
	length = sizeof(message.icmp) + quoted;
	if (packet->family == 4) {
		message.icmp.type = 3;
		message.icmp.code = 13;
	} else {
		message.icmp.type = 1;
		message.icmp.code = 1;
		sum = answer_pseudo_sum(packet, protocol, length);
	}
	/* what is not quoted is zero: it adds nothing to the sum */
	message.icmp.checksum = answer_fold(bpf_csum_diff(NULL, 0, (__be32 *)&message, sizeof(message), sum));
	offset = answer_turn(skb, packet, protocol, length);
	if (offset < 0 ||
	    bpf_skb_store_bytes(skb, offset, &message, sizeof(message.icmp) + quoted, BPF_F_RECOMPUTE_CSUM))
		return TC_ACT_SHOT;
	return answer_send(skb);
}

static __always_inline bool answer_is_icmp_error(const struct sluice_packet *packet)
{
	if (packet->protocol == IPPROTO_ICMPV6)
		return packet->icmp_type < 128;
	return packet->protocol == IPPROTO_ICMP &&
	       (packet->icmp_type == 3 || packet->icmp_type == 4 || packet->icmp_type == 5 ||
		packet->icmp_type == 11 || packet->icmp_type == 12);
}

static __always_inline bool answer_is_group(const struct sluice_packet *packet)
{
	if (packet->family == 4)
		return packet->destination[0] == 0xffffffff ||
		       (packet->destination[0] & bpf_htonl(0xf0000000)) == bpf_htonl(0xe0000000);
	return (packet->destination[0] & bpf_htonl(0xff000000)) == bpf_htonl(0xff000000);
}

static __always_inline bool answer_in_time(void)
{
	__u32 slot = 0;
	struct sluice_answers *sent = bpf_map_lookup_elem(&answers, &slot);
	__u64 now = bpf_ktime_get_ns();

	if (!sent)
		return false;
	if (sent->due_ns > now + (ANSWER_ICMP_BURST - 1) * ANSWER_ICMP_NS) {
		sent->withheld++;
		return false;
	}
	sent->due_ns = (sent->due_ns > now ? sent->due_ns : now) + ANSWER_ICMP_NS;
	return true;
}

/* A packet that is dropped in any case, and answered where it may be: the verdict. */
static __always_inline int answer(struct __sk_buff *skb, const struct sluice_packet *packet, __u8 action)
{
	if (packet->fragment != PACKET_WHOLE || frame_is_gso(skb) || skb->pkt_type == PACKET_BROADCAST ||
	    skb->pkt_type == PACKET_MULTICAST || answer_is_group(packet))
		return TC_ACT_SHOT;
	if (packet->protocol == IPPROTO_TCP)
		return answer_reset(skb, packet);
	if (action != SLUICE_REJECT || answer_is_icmp_error(packet) || !answer_in_time())
		return TC_ACT_SHOT;
	return answer_prohibited(skb, packet);
}

/* An answer on its way out: from this device, back to it. No subscriber can make that mark. */
static __always_inline bool answer_is_ours(const struct __sk_buff *skb)
{
	return shape_marked(skb) == SLUICE_MARK_ANSWER && skb->ingress_ifindex == skb->ifindex;
}

#endif
