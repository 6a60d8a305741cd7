/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Connections, for rules that count those and not packets: when one begins, ends
 * or fails. Asked only while such a rule exists. The agent takes out what has
 * been silent, and tells failures by silence and by what ICMP says.
 */
#ifndef SLUICE_BPF_IDS_CONNECTION_H
#define SLUICE_BPF_IDS_CONNECTION_H

#include <bpf/bpf_endian.h>

#include "ids_limit.h"
#include "ids_walk.h"
#include "packet.h"

enum ids_connection_event {
	IDS_OPENED = 1 << 0,
	IDS_FAILED = 1 << 1,
	IDS_CLOSED = 1 << 2,
};

#define IDS_TCP_FIN 0x01
#define IDS_TCP_SYN 0x02
#define IDS_TCP_RST 0x04
#define IDS_TCP_ACK 0x10

/* A repeated SYN within this time is the same attempt. */
#define IDS_CONNECTION_SILENT_NS 60000000000ull

/*
 * Events of the packet, and in *opener the direction that the connection was opened in.
 * A connection that finds no room counts as opened, each packet that could open one.
 */
static __noinline __u32 ids_connection(const struct sluice_ids_key *key, const struct sluice_packet *packet,
				       __u64 now, __u32 direction, __u32 *opener)
{
	struct sluice_ids_connection *known = bpf_map_lookup_elem(&ids_connections, key);
	bool tcp = packet->has_tcp;
	bool opens = !tcp || (packet->tcp_flags & (IDS_TCP_SYN | IDS_TCP_ACK)) == IDS_TCP_SYN;
	__u32 state;

	*opener = direction;
	/* the agent takes it out as what nobody writes to */
	if (known && (known->state & 0xff) == SLUICE_IDS_REFUSED)
		return 0;
	if (known && now - known->last_ns > IDS_CONNECTION_SILENT_NS && opens)
		known->state = SLUICE_IDS_ENDED;
	state = known ? known->state & 0xff : 0;
	if (!known || (state == SLUICE_IDS_ENDED && opens)) {
		struct sluice_ids_connection begun = {.first_ns = now, .last_ns = now};

		/* the middle of one that began before anybody looked */
		if (!opens)
			return 0;
		begun.state = SLUICE_IDS_ASKED | (direction == SLUICE_DOWNLINK ? SLUICE_IDS_BY_DOWNLINK : 0);
		if (known) {
			*known = begun;
		} else {
			bool full = bpf_map_update_elem(&ids_connections, key, &begun, BPF_ANY) != 0;

			ids_table_grew(SLUICE_IDS_TABLE_CONNECTIONS, !full, full);
		}
		return IDS_OPENED;
	}
	known->last_ns = now;
	*opener = known->state & SLUICE_IDS_BY_DOWNLINK ? SLUICE_DOWNLINK : SLUICE_UPLINK;
	if (state == SLUICE_IDS_ENDED)
		return 0;
	if (tcp && (packet->tcp_flags & IDS_TCP_RST)) {
		known->state = SLUICE_IDS_ENDED | (known->state & SLUICE_IDS_BY_DOWNLINK);
		if (state == SLUICE_IDS_ASKED && direction != *opener)
			return IDS_FAILED | IDS_CLOSED;
		return IDS_CLOSED;
	}
	if (tcp && (packet->tcp_flags & IDS_TCP_FIN)) {
		known->state = SLUICE_IDS_ENDED | (known->state & SLUICE_IDS_BY_DOWNLINK);
		return IDS_CLOSED;
	}
	if (direction != *opener && state == SLUICE_IDS_ASKED)
		known->state = SLUICE_IDS_ANSWERED | (known->state & SLUICE_IDS_BY_DOWNLINK);
	return 0;
}

#define IDS_ICMP_ERROR	       8 /* bytes before what it quotes (RFC 792, RFC 4443 clause 3.1) */
#define IDS_ICMP_UNREACHABLE   3
#define IDS_ICMP_TOO_LONG      4 /* a code of it: nothing has failed */
#define IDS_ICMPV6_UNREACHABLE 1

/*
 * The packet that an error quotes: its protocol and the far address into the walk's key. It went the other
 * way, and is the subscriber's whom the error is told. Where its ports are; 0: it is none.
 */
static __always_inline __u32 ids_quoted(struct __sk_buff *skb, struct ids_walk *walk, __u32 at)
{
	bool uplink = walk->direction == SLUICE_DOWNLINK;
	const __u64 *own = (const __u64 *)walk->local, *local;
	union {
		struct iphdr ip4;
		struct ipv6hdr ip6;
	} __attribute__((aligned(8))) head;

	if (walk->family == 4) {
		if (bpf_skb_load_bytes(skb, at, &head.ip4, sizeof(head.ip4)) || head.ip4.version != 4 ||
		    (uplink ? head.ip4.saddr : head.ip4.daddr) != *(const __u32 *)walk->local ||
		    (head.ip4.frag_off & bpf_htons(0x1fff)))
			return 0;
		*(__u32 *)walk->key.remote = uplink ? head.ip4.daddr : head.ip4.saddr;
		walk->key.protocol = head.ip4.protocol;
		return at + head.ip4.ihl * 4;
	}
	if (bpf_skb_load_bytes(skb, at, &head.ip6, sizeof(head.ip6)) || head.ip6.version != 6)
		return 0;
	local = (const __u64 *)(uplink ? &head.ip6.saddr : &head.ip6.daddr);
	if (local[0] != own[0] || local[1] != own[1])
		return 0;
	ids_copy(walk->key.remote, uplink ? &head.ip6.daddr : &head.ip6.saddr);
	walk->key.protocol = head.ip6.nexthdr;
	return at + sizeof(head.ip6);
}

int ids_unreachable(struct __sk_buff *skb, const struct sluice_packet *packet);

/*
 * An ICMP error which says that the first packet of a connection did not arrive: the agent counts the
 * failure, since to rules this packet is what it is. Global, so that the verifier walks it once.
 */
__weak __noinline int ids_unreachable(struct __sk_buff *skb, const struct sluice_packet *packet)
{
	struct ids_walk *walk = ids_walk_here();
	struct sluice_ids_connection *known;
	__u8 type[2]; /* and code */
	__be16 port[2];
	__u32 at, opener;
	bool uplink;

	if (!packet || !walk || bpf_skb_load_bytes(skb, packet->transport, type, sizeof(type)))
		return 0;
	if (walk->family == 4 ? type[0] != IDS_ICMP_UNREACHABLE || type[1] == IDS_ICMP_TOO_LONG
			      : type[0] != IDS_ICMPV6_UNREACHABLE)
		return 0;
	ids_key_make(walk, 0, SLUICE_IDS_CONNECTION, 0, 0);
	/* the key becomes another packet's */
	walk->made = 0;
	at = ids_quoted(skb, walk, packet->transport + IDS_ICMP_ERROR);
	if (!at || bpf_skb_load_bytes(skb, at, port, sizeof(port)))
		return 0;
	uplink = walk->direction == SLUICE_DOWNLINK;
	walk->key.local_port = bpf_ntohs(port[!uplink]);
	walk->key.remote_port = bpf_ntohs(port[uplink]);
	known = bpf_map_lookup_elem(&ids_connections, &walk->key);
	if (!known || (known->state & 0xff) != SLUICE_IDS_ASKED)
		return 0;
	opener = known->state & SLUICE_IDS_BY_DOWNLINK;
	if (uplink == !!opener)
		return 0;
	known->last_ns = walk->now;
	known->state = SLUICE_IDS_REFUSED | opener;
	return 0;
}

#endif
