// SPDX-License-Identifier: Apache-2.0
#include "quotas_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

const struct rule_spec quotas_rules[3] = {
	{.id = "web", .version = 1, .precedence = 10, .remote = WEB "/32"},
	{.id = "video", .version = 1, .precedence = 20, .remote = VIDEO "/32"},
	{.id = "top-up", .version = 1, .precedence = 1, .remote = TOP_UP "/32"}, /* final, if it is */
};

struct quotas_told quotas_told;

static void on_event(const struct sl_control_event *event, void *user)
{
	(void)user;
	if (!event->quota)
		return;
	assert_true(quotas_told.count < 64);
	quotas_told.type[quotas_told.count] = event->type;
	quotas_told.grant[quotas_told.count++] = event->quota->grant;
}

static const struct sl_control_config config = {
	.backend = SL_RATE_POLICE, .keep_retired = true, .on_event = on_event};

static void on_quota(const struct sluice_quota_event *event, void *user)
{
	struct world *world = user;

	sl_control_quota_event(world->control, event->quota);
}

static void no_drop(const struct sluice_drop_event *event, void *user)
{
	(void)event;
	(void)user;
}

void quotas_hear(struct world *world)
{
	assert_int_equal(sl_events_consume(world->datapath, no_drop, on_quota, world), 0);
}

size_t quotas_count_told(enum sl_control_event_type type)
{
	size_t n = 0;

	for (size_t i = 0; i < quotas_told.count; i++)
		n += quotas_told.type[i] == type;
	return n;
}

void quotas_begin(struct world *world)
{
	memset(&quotas_told, 0, sizeof(quotas_told));
	rates_start(world, false, &config, 0);
}

void quotas_restart(struct world *world)
{
	rates_start(world, true, &config, 0);
}

struct sl_quota_request quota_of_rule(const char *id, uint64_t grant, uint64_t bytes)
{
	return (struct sl_quota_request){
		.scope = SLUICE_QUOTA_RULE, .rule_id = id, .grant = grant, .bytes = bytes, .directions = 3};
}

struct sl_quota_request quota_of_group(uint32_t group, uint64_t grant, uint64_t bytes)
{
	return (struct sl_quota_request){.scope = SLUICE_QUOTA_RATING_GROUP,
					 .rating_group = group,
					 .grant = grant,
					 .bytes = bytes,
					 .directions = 3};
}

struct sl_quota_request quota_of_session(uint64_t grant, uint64_t bytes)
{
	return (struct sl_quota_request){
		.scope = SLUICE_QUOTA_SESSION, .grant = grant, .bytes = bytes, .directions = 3};
}

/* Rules of group 7 all; "top-up" is final. */
int quotas_try(struct world *world, const char *address, const struct rule_spec *specs, size_t count,
	       const struct sl_quota_request *quotas, size_t quota_count, const char *twin,
	       struct sl_error *err)
{
	struct activation activation;

	world_fill(&activation, IMSI_A, address, specs, count);
	for (size_t i = 0; i < count; i++) {
		activation.rules[i].is_final = strcmp(specs[i].id, "top-up") == 0;
		activation.rules[i].rating_group = activation.rules[i].is_final ? 0 : 7;
	}
	activation.session.quotas = quotas;
	activation.session.quota_count = quota_count;
	if (twin)
		assert_int_equal(sl_address_parse("twin", twin, &activation.session.twin, NULL), 0);
	return sl_control_activate(world->control, &activation.session, err);
}

void quotas_activate(struct world *world, size_t count, const struct sl_quota_request *quotas,
		     size_t quota_count)
{
	struct sl_error err = {{0}};

	if (quotas_try(world, ADDRESS_A, quotas_rules, count, quotas, quota_count, NULL, &err) < 0)
		fail_msg("%s", err.text);
}

uint32_t quotas_usage_slot(struct world *world, const char *address, const char *rule_id)
{
	const struct sl_maps *maps = sl_datapath_maps(world->datapath);
	const struct sluice_policy *policy = world_policy(world, address);

	assert_non_null(policy);
	for (int part = 0; part < 2; part++) {
		for (uint32_t i = 0; i < policy[part].rules; i++) {
			uint32_t slot = policy[part].binding[i].usage & ~SLUICE_USAGE_QUOTA;

			if (strcmp(maps->usage_owners[slot].rule_id, rule_id) == 0)
				return slot;
		}
		if (!(policy->flags & SLUICE_POLICY_FINAL))
			break;
	}
	fail_msg("%s has no rule %s", address, rule_id);
	return 0;
}

uint64_t quotas_passed(struct world *world, const char *rule_id)
{
	return sl_datapath_maps(world->datapath)
		->usage[quotas_usage_slot(world, ADDRESS_A, rule_id)]
		.downlink.bytes;
}

uint64_t quotas_dropped(struct world *world, enum sluice_drop_reason reason)
{
	struct sluice_counter drops[SLUICE_DROP_REASON_COUNT][SLUICE_DIRECTIONS];

	assert_int_equal(sl_drops_read(world->datapath, drops), 0);
	return drops[reason][SLUICE_DOWNLINK].packets;
}

static int keep_view(const struct sl_quota_view *view, void *user)
{
	struct sl_quota_view *out = user;

	*out = *view;
	return 1;
}

static int keep_scope(const struct sl_quota_view *view, void *user)
{
	struct sl_quota_view *out = user;

	if (view->scope != out->scope)
		return 0;
	*out = *view;
	return 1;
}

struct sl_quota_view quotas_first(struct world *world)
{
	struct sl_quota_view view = {0};

	assert_int_equal(sl_control_each_quota(world->control, IMSI_A, 0, keep_view, &view), 1);
	return view;
}

struct sl_quota_view quotas_first_of(struct world *world, enum sluice_quota_scope scope)
{
	struct sl_quota_view view = {.scope = scope};

	assert_int_equal(sl_control_each_quota(world->control, NULL, 0, keep_scope, &view), 1);
	return view;
}
