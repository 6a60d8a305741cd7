/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions whose rules have a GBR, on the real maps: 10 Mbit/s of the link may be
 * guaranteed each way, 4 of them in APN "internet", and in "ims" as much as the link
 * has. GBRs and MBRs of rules are downlink.
 */
#ifndef GUARANTEES_WORLD_H
#define GUARANTEES_WORLD_H

#include "rates_world.h"

#define ADDRESS_B6 "2001:db8:b::1"

/* What was told of rules that gave way, the last one. */
struct guarantees_told {
	uint32_t preempted; /* so many */
	char imsi[SLUICE_IMSI_SIZE];
	char rule[64];
	char reason[256];
};
extern struct guarantees_told guarantees_told;
extern const struct sl_control_config guarantees_settings;

void guarantees_start(struct world *world, bool adopted); /* nothing was told yet */
/* All sessions end; fails the test if anything is left over. */
void guarantees_end(struct world *world);

struct wish {
	const char *id;
	uint64_t gbr;
	uint8_t level;
	bool may_preempt;
	bool is_fixed;	  /* may not be pre-empted */
	uint32_t version; /* 0: 1 */
};

/* Of the last request. */
extern struct activation guarantees_last;

/* Activates up to 16 rules; the answers, one for each. twin NULL: the request names none. */
struct sl_rule_request *guarantees_ask_for(struct world *world, const char *imsi, const char *address,
					   const char *apn, const char *twin, const struct wish *wishes,
					   size_t count);
/* One rule, without an APN and a twin. */
struct sl_rule_request *guarantees_ask(struct world *world, const char *imsi, const char *address,
				       struct wish wish);

struct guarantees_load {
	struct sl_load_view link, apn[2]; /* "ims", "internet" */
};
struct guarantees_load guarantees_load(struct world *world);
uint64_t guarantees_reserved(struct world *world); /* of the link, downlink */
bool guarantees_has_rule(struct world *world, const char *imsi, const char *id);

#endif
