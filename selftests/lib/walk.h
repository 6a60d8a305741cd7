/* SPDX-License-Identifier: Apache-2.0 */
/* A compiled match list walked in user space, the way the BPF programs walk it. */
#ifndef SL_TEST_WALK_H
#define SL_TEST_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/compile.h"

/* What the terms of entries ask for. */
struct walk_terms {
	uint8_t dscp;
	bool is_later_fragment;
	bool has_tcp;
	uint8_t tcp_flags;
	uint8_t tcp_options; /* bits as in struct sluice_terms */
	bool has_icmp;
	uint8_t icmp_type;
	uint8_t ip_options;
};

/* What of a packet can decide; the UE's address has already chosen the image. */
struct walk_packet {
	enum sluice_direction direction;
	uint32_t family;
	uint8_t remote[16]; /* network order; IPv4 in the first four */
	uint8_t protocol;
	bool has_ports; /* false: no ports in this protocol, or not the first fragment */
	uint16_t remote_port;
	uint16_t local_port;
	const struct walk_terms *terms; /* NULL: terms are not asked */
};

#define WALK_NO_RULE  (-1)
#define WALK_TOO_DEEP (-2) /* a tree deeper than packets walk, or more trees */

/* The ordinal of the entry that decides, with its action; WALK_NO_RULE when none matches. */
int walk_image(const struct sl_ruleset_image *image, const struct walk_packet *packet,
	       enum sluice_action *action);

#endif
