// SPDX-License-Identifier: Apache-2.0
#include "session_world.h"

#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

void world_start(struct world *world, bool adopted, bool keep_retired, uint32_t classes)
{
	struct sl_datapath_limits limits = fixture_config().limits;

	if (classes >= 256) {
		limits.sessions = 1024;
		limits.usage = 4096;
		limits.rules = 256;
		limits.flows = 256;
		limits.matches = 4096;
	}
	world_start_with(world, adopted, &(struct sl_control_config){.keep_retired = keep_retired}, &limits,
			 classes);
}

void world_start_with(struct world *world, bool adopted, const struct sl_control_config *settings,
		      const struct sl_datapath_limits *limits, uint32_t classes)
{
	world_start_with_trees(world, adopted, settings, limits, classes, 0);
}

void world_start_with_trees(struct world *world, bool adopted, const struct sl_control_config *settings,
			    const struct sl_datapath_limits *limits, uint32_t classes, uint32_t trees)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_control_config control = *settings;
	struct sl_error err = {{0}};

	config.limits = *limits;
	if (!config.limits.quotas)
		config.limits.quotas = 64;
	if (!config.limits.meters)
		config.limits.meters = 4 * limits->sessions;
	world->datapath = fixture_start(&config, adopted);
	world->qos = NULL;
	if (classes || trees) {
		struct sl_qos_config qos = {.link_rate = 1000000000, .pool_size = classes, .trees = trees};

		qos.devices[SLUICE_UPLINK].count = qos.devices[SLUICE_DOWNLINK].count = 1;
		strcpy(qos.devices[SLUICE_UPLINK].name[0], "core0");
		strcpy(qos.devices[SLUICE_DOWNLINK].name[0], "access0");
		qos.devices[SLUICE_UPLINK].ifindex[0] = if_nametoindex("core0");
		qos.devices[SLUICE_DOWNLINK].ifindex[0] = if_nametoindex("access0");
		assert_int_equal(sl_qos_open(&qos, &world->qos, &err), 0);
		while (sl_qos_build(world->qos, 64, &err) == 1)
			;
	}
	assert_int_equal(sl_grace_new(&world->grace, &err), 0);
	control.datapath = world->datapath;
	control.qos = world->qos;
	control.grace = world->grace;
	if (sl_control_new(&control, adopted, &world->control, &err) < 0)
		fail_msg("%s", err.text);
}

/* As kill -9 would: memory is gone, the maps are as they were at that moment. */
void world_stop(struct world *world)
{
	sl_control_free(world->control);
	sl_grace_free(world->grace);
	sl_qos_close(world->qos);
	fixture_close(world->datapath);
}

void world_fill(struct activation *activation, const char *imsi, const char *address,
		const struct rule_spec *specs, size_t count)
{
	struct sl_error err = {{0}};

	memset(activation, 0, sizeof(*activation));
	strcpy(activation->session.imsi, imsi);
	assert_int_equal(sl_address_parse("address", address, &activation->session.address, &err), 0);
	activation->session.rules = activation->requests;
	activation->session.rule_count = count;
	for (size_t i = 0; i < count; i++) {
		struct sl_rule *rule = &activation->rules[i];

		strcpy(rule->id, specs[i].id);
		rule->record = SLUICE_NONE;
		rule->precedence = specs[i].precedence;
		rule->mbr[SLUICE_DOWNLINK] = specs[i].mbr_downlink;
		rule->hard_timeout_s = specs[i].hard_timeout_s;
		rule->flows = activation->flows[i];
		rule->flow_count = 2;
		for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
			struct sluice_flow *flow = &activation->flows[i][direction];
			struct sl_address remote;

			flow->direction = direction;
			flow->action = specs[i].action;
			flow->remote_port_high = UINT16_MAX;
			flow->local_port_high = UINT16_MAX;
			if (!specs[i].remote)
				continue;
			assert_int_equal(sl_prefix_parse("remote", specs[i].remote, &remote,
							 &flow->prefix_length, &err),
					 0);
			flow->has_remote = 1;
			flow->family = (uint8_t)remote.family;
			memcpy(flow->remote, remote.bytes, sizeof(flow->remote));
		}
		activation->requests[i] = (struct sl_rule_request){
			.rule = rule,
			.id = rule->id,
			.version = specs[i].version,
			.origin = specs[i].origin,
		};
	}
}

int world_activate(struct world *world, struct activation *activation, const char *imsi, const char *address,
		   const struct rule_spec *specs, size_t count)
{
	struct sl_error err = {{0}};

	world_fill(activation, imsi, address, specs, count);
	return sl_control_activate(world->control, &activation->session, &err);
}

void world_activate_ok(struct world *world, const char *imsi, const char *address,
		       const struct rule_spec *specs, size_t count)
{
	struct activation activation;

	assert_int_equal(world_activate(world, &activation, imsi, address, specs, count), 0);
	for (size_t i = 0; i < count; i++)
		if (activation.requests[i].result < 0)
			fail_msg("%s: %s", specs[i].id, activation.requests[i].error.text);
}

void world_deactivate(struct world *world, const char *imsi, const char *address, const char *rule_id,
		      bool end)
{
	struct sl_deactivation request = {.gx = true, .gy = true, .end_session = end};
	struct sl_error err = {{0}};

	strcpy(request.imsi, imsi);
	if (address)
		assert_int_equal(sl_address_parse("address", address, &request.address, &err), 0);
	if (rule_id) {
		request.rule_ids = &rule_id;
		request.rule_count = 1;
	}
	assert_int_equal(sl_control_deactivate(world->control, &request, NULL, &err), 0);
}

uint64_t world_used(struct world *world, const char *name)
{
	struct sl_fill fills[32];
	size_t count;

	sl_grace_drain(world->grace);
	count = sl_control_fill(world->control, fills, 32);
	for (size_t i = 0; i < count; i++)
		if (strcmp(fills[i].name, name) == 0)
			return fills[i].used;
	fail_msg("no map %s", name);
	return 0;
}

void world_assert_nothing_used(struct world *world)
{
	struct sl_qos_pool_status pool;
	struct sl_fill fills[32];
	size_t count;

	sl_grace_drain(world->grace);
	count = sl_control_fill(world->control, fills, 32);
	for (size_t i = 0; i < count; i++)
		if (fills[i].used)
			fail_msg("%s: %lu slots are left over", fills[i].name, (unsigned long)fills[i].used);
	for (int direction = 0; world->qos && direction < SLUICE_DIRECTIONS; direction++) {
		sl_qos_pool_status(world->qos, direction, &pool);
		assert_int_equal(pool.used, 0);
		sl_qos_tree_status(world->qos, direction, &pool);
		assert_int_equal(pool.used, 0);
	}
	assert_int_equal(sl_control_enforced_sessions(world->control), 0);
}

const struct sluice_policy *world_policy(struct world *world, const char *address)
{
	struct sluice_endpoint endpoint;
	struct sl_address parsed;

	assert_int_equal(sl_address_parse("address", address, &parsed, NULL), 0);
	if (sl_endpoint_get(world->datapath, &parsed, &endpoint) < 0)
		return NULL;
	return &sl_datapath_maps(world->datapath)->policies[endpoint.policy];
}

/* The packets' side of counting. */
void world_count_bytes(struct world *world, uint32_t usage, uint64_t bytes)
{
	sl_datapath_maps(world->datapath)->usage[usage].uplink.bytes += bytes;
}

bool world_find_record_of(struct world *world, const char *imsi, const char *rule_id, uint32_t version,
			  struct sl_usage_record *out)
{
	struct sl_usage_record records[64];
	uint64_t cursor = 0;
	size_t count;

	count = sl_control_retired(world->control, records, 64);
	count += sl_control_usage(world->control, records + count, 64 - count, &cursor);
	assert_int_equal(cursor, 0);
	for (size_t i = 0; i < count; i++) {
		if (strcmp(records[i].rule_id, rule_id) == 0 && records[i].version == version &&
		    strcmp(records[i].imsi, imsi) == 0) {
			*out = records[i];
			return true;
		}
	}
	return false;
}

bool world_find_record(struct world *world, const char *rule_id, uint32_t version,
		       struct sl_usage_record *out)
{
	return world_find_record_of(world, IMSI_A, rule_id, version, out);
}

void world_acknowledge_all(struct world *world)
{
	struct sl_usage_record records[64];
	struct sl_usage_receipt receipts[64];
	size_t count;

	sl_grace_drain(world->grace);
	count = sl_control_retired(world->control, records, 64);
	for (size_t i = 0; i < count; i++) {
		assert_true(records[i].final);
		receipts[i] = (struct sl_usage_receipt){records[i].slot, records[i].sequence};
	}
	sl_control_acknowledge(world->control, receipts, count);
}
