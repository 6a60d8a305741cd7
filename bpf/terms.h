/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What few entries of a match list ask for. Global functions, which the
 * verifier walks once each and not once for every entry of a block; weak,
 * because each of the objects that are linked into one brings them.
 */
#ifndef SLUICE_BPF_TERMS_H
#define SLUICE_BPF_TERMS_H

#include "packet.h"
#include "sluice/maps.h"

#define TERMS_OPTION_BYTES 40 /* of either header, and so the most options it can have */

#define TERMS_OPTION_END 0 /* the same in both headers */
#define TERMS_OPTION_NOP 1

/* Bits as in struct sluice_terms. Option numbers: RFC 791 clause 3.1. */
static __always_inline __u8 terms_ip_option(__u8 kind)
{
	switch (kind) {
	case 137:
		return 0x01; /* strict source route */
	case 131:
		return 0x02; /* loose source route */
	case 7:
		return 0x04; /* record route */
	case 68:
		return 0x08; /* timestamp */
	default:
		return 0;
	}
}

/* RFC 9293 clause 3.1, RFC 7323, RFC 2018, RFC 1644 */
static __always_inline __u8 terms_tcp_option(__u8 kind)
{
	switch (kind) {
	case 2:
		return 0x01; /* maximum segment size */
	case 3:
		return 0x02; /* window scale */
	case 4:
	case 5:
		return 0x04; /* SACK permitted, SACK */
	case 8:
		return 0x08; /* timestamps */
	case 11:
	case 12:
	case 13:
		return 0x10; /* T/TCP connection count */
	default:
		return 0;
	}
}

/* The options in [offset, end) up to the first that contradicts itself. */
static __noinline __u32 terms_walk_options(struct sluice_frame *frame, __u32 offset, __u32 end, bool tcp)
{
	__u32 bits = 0;

	for (int i = 0; i < TERMS_OPTION_BYTES; i++) {
		__u8 kind = 0, length = 0;

		if (offset >= end || frame_load_slow(frame, offset, &kind, 1) || kind == TERMS_OPTION_END)
			break;
		if (kind == TERMS_OPTION_NOP) {
			offset++;
			continue;
		}
		if (frame_load_slow(frame, offset + 1, &length, 1) || length < 2 || offset + length > end)
			break;
		bits |= tcp ? terms_tcp_option(kind) : terms_ip_option(kind);
		offset += length;
	}
	return bits;
}

/* Fills packet->ip_options and packet->tcp_options; for policies that ask for them. */
__weak int terms_read_options(struct sluice_frame *frame, struct sluice_packet *packet)
{
	__u32 fixed;

	if (!packet)
		return 0;
	if (packet->family == 4) {
		fixed = packet->network + sizeof(struct iphdr);
		if (packet->transport > fixed)
			packet->ip_options = terms_walk_options(frame, fixed, packet->transport, false);
	}
	if (packet->has_tcp) {
		fixed = packet->transport + sizeof(struct tcphdr);
		packet->tcp_options =
			terms_walk_options(frame, fixed, packet->transport + packet->transport_header, true);
	}
	return 0;
}

static __always_inline bool terms_of_tcp_hold(const struct sluice_terms *terms,
					      const struct sluice_packet *packet)
{
	if (!packet->has_tcp)
		return false;
	if ((terms->which & SLUICE_TERM_TCP_FLAGS) &&
	    ((packet->tcp_flags & terms->tcp_mask) != terms->tcp_value ||
	     (terms->tcp_any && !(packet->tcp_flags & terms->tcp_any))))
		return false;
	return !(terms->which & SLUICE_TERM_TCP_OPTIONS) ||
	       ((packet->tcp_options & terms->tcp_options_present) == terms->tcp_options_present &&
		!(packet->tcp_options & terms->tcp_options_absent));
}

/* `outside`: the remote address is not in the entry's prefix. 1: every term named holds. */
__weak int terms_hold(const struct sluice_terms *terms, const struct sluice_packet *packet, bool outside)
{
	__u8 which;

	if (!terms || !packet)
		return 0;
	which = terms->which;
	if ((which & SLUICE_TERM_REMOTE_NOT) && !outside)
		return 0;
	if ((which & SLUICE_TERM_DSCP) && packet->dscp != terms->dscp)
		return 0;
	if ((which & SLUICE_TERM_LATER_FRAGMENT) && packet->fragment != PACKET_LATER_FRAGMENT)
		return 0;
	if ((which & SLUICE_TERM_THIS_HOST) && !packet->this_host)
		return 0;
	if ((which & SLUICE_TERM_IP_OPTIONS) &&
	    ((packet->ip_options & terms->ip_options_present) != terms->ip_options_present ||
	     (packet->ip_options & terms->ip_options_absent)))
		return 0;
	if ((which & SLUICE_TERM_ICMP_TYPE) && (!packet->has_icmp || packet->icmp_type < terms->icmp_low ||
						packet->icmp_type > terms->icmp_high))
		return 0;
	if (which & (SLUICE_TERM_TCP_FLAGS | SLUICE_TERM_TCP_OPTIONS))
		return terms_of_tcp_hold(terms, packet);
	return 1;
}

#endif
