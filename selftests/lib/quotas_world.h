/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions with quotas: on the real maps, with packets through the real
 * programs. IMSI_A only; what watchers are told is written down.
 */
#ifndef QUOTAS_WORLD_H
#define QUOTAS_WORLD_H

#include "rates_world.h"

#define TOP_UP "203.0.113.5"

/* "web", "video": rating group 7, to WEB and VIDEO; "top-up": to TOP_UP, and final, as every rule of that id.
 */
extern const struct rule_spec quotas_rules[3];

/* What watchers were told of quotas, in order. */
struct quotas_told {
	enum sl_control_event_type type[64];
	uint64_t grant[64];
	size_t count;
};
extern struct quotas_told quotas_told;
size_t quotas_count_told(enum sl_control_event_type type);
void quotas_hear(struct world *world); /* the records that the kernel has sent */

void quotas_begin(struct world *world); /* nothing was told yet */
void quotas_restart(struct world *world);

struct sl_quota_request quota_of_rule(const char *id, uint64_t grant, uint64_t bytes);
struct sl_quota_request quota_of_group(uint32_t group, uint64_t grant, uint64_t bytes);
struct sl_quota_request quota_of_session(uint64_t grant, uint64_t bytes);

int quotas_try(struct world *world, const char *address, const struct rule_spec *specs, size_t count,
	       const struct sl_quota_request *quotas, size_t quota_count, const char *twin,
	       struct sl_error *err);
/* The first rules of quotas_rules, at ADDRESS_A. */
void quotas_activate(struct world *world, size_t count, const struct sl_quota_request *quotas,
		     size_t quota_count);

uint32_t quotas_usage_slot(struct world *world, const char *address, const char *rule_id);
uint64_t quotas_passed(struct world *world, const char *rule_id);	      /* downlink bytes, ADDRESS_A */
uint64_t quotas_dropped(struct world *world, enum sluice_drop_reason reason); /* downlink packets */
struct sl_quota_view quotas_first(struct world *world);
struct sl_quota_view quotas_first_of(struct world *world, enum sluice_quota_scope scope);

#endif
