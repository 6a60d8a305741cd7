/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flows of one rule while they are made. A match entry has one range of
 * ports on each side and one of ICMP types, so that lists of them become a flow
 * for each combination.
 */
#ifndef SL_POLICY_FLOW_LIST_H
#define SL_POLICY_FLOW_LIST_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "sluice/maps.h"

/* Ranges of one list. More: refused by who reads them. */
#define SL_FLOW_RANGES 64

/* Both ends included; a count of 0: not asked for. */
struct sl_flow_ranges {
	uint32_t count;
	struct sl_flow_range {
		uint16_t low, high;
	} range[SL_FLOW_RANGES];
};

struct sl_flow_list {
	struct sluice_flow *flows; /* owned; room for SLUICE_FLOWS_PER_RULE */
	size_t count;		   /* goes on counting when the room is full */
};

/* -ENOMEM. */
int sl_flow_list_init(struct sl_flow_list *list, struct sl_error *err);
void sl_flow_list_clear(struct sl_flow_list *list);

/*
 * Adds `like` in every combination of the ranges. Ports from 0 to 65535 that
 * were asked for are not the same as none: such a flow matches only packets
 * that have ports, and becomes two, since 0..65535 is how a flow says "any".
 */
void sl_flow_list_add(struct sl_flow_list *list, const struct sluice_flow *like,
		      const struct sl_flow_ranges *remote_ports, const struct sl_flow_ranges *local_ports,
		      const struct sl_flow_ranges *icmp_types);

/*
 * Hands the flows to the caller, who frees them. -E2BIG above
 * SLUICE_FLOWS_PER_RULE, naming `field` and how many there would be.
 */
int sl_flow_list_take(struct sl_flow_list *list, const char *field, struct sluice_flow **flows,
		      uint32_t *count, struct sl_error *err);

#endif
