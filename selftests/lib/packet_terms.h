/* SPDX-License-Identifier: Apache-2.0 */
/* Packets with what the terms of flows ask for: DSCP, TCP flags, options. */
#ifndef SL_TEST_PACKET_TERMS_H
#define SL_TEST_PACKET_TERMS_H

#include "bpfrun.h"

struct packet_terms {
	uint8_t dscp;
	uint8_t tcp_flags;
	uint8_t tcp_options; /* bits as in struct sluice_terms; only where there is a TCP header */
	uint8_t ip_options;  /* likewise; IPv4 only */
};

/* Bytes that the options add to the headers of such a packet. */
size_t packet_terms_size(const struct packet_spec *spec, const struct packet_terms *terms);

/* packet_build with these terms; the spec's own sizes of options do not count. */
void packet_terms_build(struct packet *packet, const struct packet_spec *spec,
			const struct packet_terms *terms);

#endif
