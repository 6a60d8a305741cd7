/* SPDX-License-Identifier: Apache-2.0 */
/* Rule sets of several shapes, and packets that fall under each of their rules equally often. */
#ifndef SLUICE_BENCH_CLASSIFY_RULES_H
#define SLUICE_BENCH_CLASSIFY_RULES_H

#include <stdint.h>

#include "policy/rule.h"

enum classify_shape {
	CLASSIFY_PREFIXES, /* a /24 each */
	CLASSIFY_PORTS,	   /* a UDP port each */
	CLASSIFY_ACL,	   /* nested prefixes, port ranges, wildcards, each of them in some rules */
	CLASSIFY_IPV6,	   /* prefixes of 48 to 128 bits, some with ports */
	CLASSIFY_TURNS,	   /* by turns a /24 and a UDP port */
	CLASSIFY_THIRDS,   /* by turns a protocol, a /24 and a TCP port */
	CLASSIFY_WIDE,	   /* prefixes of 8 to 32 bits one inside the other, half of them with ports */
	CLASSIFY_RANGES,   /* port ranges that overlap */
	CLASSIFY_ENDS,	   /* by turns a port of the subscriber's and a remote one */
	CLASSIFY_SHAPES,
};

extern const char *const classify_shape_names[CLASSIFY_SHAPES];

/* What a packet must say to fall under a flow. */
struct classify_packet {
	uint32_t family;
	uint8_t remote[16];
	uint8_t protocol; /* TCP or UDP */
	uint16_t remote_port;
	uint16_t local_port;
};

/* One uplink flow each, in order of precedence; the same for the same shape and count. */
void classify_flows(enum classify_shape shape, uint32_t count, struct sluice_flow *flows);
void classify_packet(const struct sluice_flow *flow, uint32_t family, uint32_t seed,
		     struct classify_packet *out);

#endif
