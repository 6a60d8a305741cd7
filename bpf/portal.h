/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Web traffic of redirected subscribers, to the agent's portal on this host.
 * Addresses stay as they are: the portal's listening socket is given to the
 * packet (as TPROXY does), a mark and a routing rule of the agent's deliver it
 * here, and what the portal answers has the server's address as its source. So
 * there is no state of ours for a flow: the kernel's sockets are all there is.
 */
#ifndef SLUICE_BPF_PORTAL_H
#define SLUICE_BPF_PORTAL_H

#include "maps.h"
#include "packet.h"

/* SYN without ACK (RFC 9293 clause 3.1) */
static __always_inline bool portal_opens(const struct sluice_packet *packet)
{
	return (packet->tcp_flags & 0x12) == 0x02;
}

/*
 * For a SYN of a connection in TIME_WAIT the kernel looks for a listener by the
 * packet's own port, past any that it was given: a web server of this host on every
 * address would have the subscriber.
 */
static __noinline bool portal_has_rival(struct __sk_buff *skb, struct bpf_sock_tuple *tuple, __u32 size)
{
	struct bpf_sock *socket;
	bool listens;

	if (!tuple)
		return true;
	if (size == sizeof(tuple->ipv4)) {
		tuple->ipv4.sport = 0;
		socket = bpf_skc_lookup_tcp(skb, tuple, sizeof(tuple->ipv4), BPF_F_CURRENT_NETNS, 0);
	} else {
		tuple->ipv6.sport = 0;
		socket = bpf_skc_lookup_tcp(skb, tuple, sizeof(tuple->ipv6), BPF_F_CURRENT_NETNS, 0);
	}
	if (!socket)
		return false;
	listens = socket->state == BPF_TCP_LISTEN;
	bpf_sk_release(socket);
	return listens;
}

/* True: the packet will reach the portal. False: no agent is running, or it is nothing for a socket. */
static __noinline bool portal_take(struct __sk_buff *skb, const struct sluice_packet *packet)
{
	__u32 slot = packet->family == 4 ? SLUICE_PORTAL_IPV4 : SLUICE_PORTAL_IPV6;
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *socket;
	__u32 size;
	long rc;

	if (packet->protocol != IPPROTO_TCP || packet->fragment != PACKET_WHOLE)
		return false;
	if (packet->family == 4) {
		size = sizeof(tuple.ipv4);
		tuple.ipv4.saddr = packet->source[0];
		tuple.ipv4.daddr = packet->destination[0];
		tuple.ipv4.sport = bpf_htons(packet->source_port);
		tuple.ipv4.dport = bpf_htons(packet->destination_port);
	} else {
		size = sizeof(tuple.ipv6);
		__builtin_memcpy(tuple.ipv6.saddr, packet->source, sizeof(tuple.ipv6.saddr));
		__builtin_memcpy(tuple.ipv6.daddr, packet->destination, sizeof(tuple.ipv6.daddr));
		tuple.ipv6.sport = bpf_htons(packet->source_port);
		tuple.ipv6.dport = bpf_htons(packet->destination_port);
	}
	socket = bpf_skc_lookup_tcp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	if (socket) {
		__u32 state = socket->state;

		/* a connection that there is: with its socket, a packet that is not delivered here goes
		 * nowhere */
		if (state == BPF_TCP_ESTABLISHED)
			bpf_sk_assign(skb, socket, 0);
		bpf_sk_release(socket);
		if (state == BPF_TCP_TIME_WAIT && portal_opens(packet))
			return !portal_has_rival(skb, &tuple, size);
		if (state != BPF_TCP_LISTEN)
			return true;
	}
	/*
	 * All others are for the listener, not SYNs alone: the first ACK while the
	 * kernel sends SYN cookies, and connections from before the redirection,
	 * which it resets.
	 */
	socket = bpf_map_lookup_elem(&portal, &slot);
	if (!socket)
		return false;
	rc = bpf_sk_assign(skb, socket, 0);
	bpf_sk_release(socket);
	return rc == 0;
}

#endif
