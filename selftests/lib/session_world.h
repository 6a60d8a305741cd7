/* SPDX-License-Identifier: Apache-2.0 */
/* The agent without its wire: real maps, hooks and queues in a namespace of the test's own, and sessions in
 * them. */
#ifndef SESSION_WORLD_H
#define SESSION_WORLD_H

#include "control/control.h"
#include "datapath_fixture.h"

#define IMSI_A	  "001010000000001"
#define IMSI_B	  "001010000000002"
#define ADDRESS_A "192.168.128.10"
#define ADDRESS_B "192.168.128.11"

struct world {
	struct sl_datapath *datapath;
	struct sl_qos *qos;
	struct sl_grace *grace;
	struct sl_control *control;
};

struct rule_spec {
	const char *id;
	uint32_t version;
	uint32_t precedence;
	uint64_t mbr_downlink;
	const char *remote; /* prefix, or NULL */
	enum sluice_action action;
	enum sluice_origin origin;
	uint32_t hard_timeout_s;
};

struct activation {
	struct sl_session_request session;
	struct sl_rule_request requests[16];
	struct sl_rule rules[16];
	struct sluice_flow flows[16][2];
};

/* `classes` 0: no queues. From 256 on the maps are larger, too. */
void world_start(struct world *world, bool adopted, bool keep_retired, uint32_t classes);
/* With what `settings` says beside the parts, and maps of these sizes. */
void world_start_with(struct world *world, bool adopted, const struct sl_control_config *settings,
		      const struct sl_datapath_limits *limits, uint32_t classes);
/* And with so many trees beside the classes. */
void world_start_with_trees(struct world *world, bool adopted, const struct sl_control_config *settings,
			    const struct sl_datapath_limits *limits, uint32_t classes, uint32_t trees);
void world_stop(struct world *world);
void world_fill(struct activation *activation, const char *imsi, const char *address,
		const struct rule_spec *specs, size_t count);
int world_activate(struct world *world, struct activation *activation, const char *imsi, const char *address,
		   const struct rule_spec *specs, size_t count);
void world_activate_ok(struct world *world, const char *imsi, const char *address,
		       const struct rule_spec *specs, size_t count);
void world_deactivate(struct world *world, const char *imsi, const char *address, const char *rule_id,
		      bool end);
uint64_t world_used(struct world *world, const char *name);
void world_assert_nothing_used(struct world *world);
const struct sluice_policy *world_policy(struct world *world, const char *address);
void world_count_bytes(struct world *world, uint32_t usage, uint64_t bytes);
bool world_find_record_of(struct world *world, const char *imsi, const char *rule_id, uint32_t version,
			  struct sl_usage_record *out);
bool world_find_record(struct world *world, const char *rule_id, uint32_t version,
		       struct sl_usage_record *out);
void world_acknowledge_all(struct world *world);

#endif
