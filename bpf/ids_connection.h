/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Connections, for rules that count those and not packets: when one begins, ends
 * or fails. Asked only while such a rule exists. The agent takes out what has
 * been silent, and tells failures by silence.
 */
#ifndef SLUICE_BPF_IDS_CONNECTION_H
#define SLUICE_BPF_IDS_CONNECTION_H

#include "ids_limit.h"
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

#endif
