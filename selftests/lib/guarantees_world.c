// SPDX-License-Identifier: Apache-2.0
#include "guarantees_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct guarantees_told guarantees_told;
struct activation guarantees_last;

static void on_event(const struct sl_control_event *event, void *user)
{
	struct guarantees_told *told = &guarantees_told;

	(void)user;
	if (event->type != SL_EVENT_RULE_PREEMPTED)
		return;
	told->preempted++;
	snprintf(told->imsi, sizeof(told->imsi), "%s", event->imsi);
	snprintf(told->rule, sizeof(told->rule), "%s", event->rule_id);
	snprintf(told->reason, sizeof(told->reason), "%s", event->reason);
}

static const struct sl_control_apn apns[] = {
	{.name = "internet", .reserve = {4 * MBIT, 4 * MBIT}},
	{.name = "ims", .reserve = {UINT64_MAX, UINT64_MAX}},
};

const struct sl_control_config guarantees_settings = {
	.backend = SL_RATE_POLICE,
	.keep_retired = true,
	.apns = apns,
	.apn_count = 2,
	.link_rate = {100 * MBIT, 100 * MBIT},
	.reserve = {10 * MBIT, 10 * MBIT},
	.on_event = on_event,
};

void guarantees_start(struct world *world, bool adopted)
{
	memset(&guarantees_told, 0, sizeof(guarantees_told));
	rates_start(world, adopted, &guarantees_settings, 0);
}

void guarantees_end(struct world *world)
{
	world_deactivate(world, IMSI_B, NULL, NULL, true);
	world_deactivate(world, IMSI_A, NULL, NULL, true);
	assert_int_equal(guarantees_reserved(world), 0);
	rates_end(world);
}

struct sl_rule_request *guarantees_ask_for(struct world *world, const char *imsi, const char *address,
					   const char *apn, const char *twin, const struct wish *wishes,
					   size_t count)
{
	struct activation *last = &guarantees_last;
	struct rule_spec specs[16];
	struct sl_error err = {{0}};

	assert_true(count <= sizeof(specs) / sizeof(specs[0]));
	for (size_t i = 0; i < count; i++)
		specs[i] = (struct rule_spec){.id = wishes[i].id,
					      .version = wishes[i].version ? wishes[i].version : 1,
					      .precedence = 10 + (uint32_t)i};
	world_fill(last, imsi, address, specs, count);
	for (size_t i = 0; i < count; i++) {
		last->rules[i].gbr[SLUICE_DOWNLINK] = wishes[i].gbr;
		last->rules[i].mbr[SLUICE_DOWNLINK] = wishes[i].gbr;
		last->rules[i].arp =
			(struct sl_arp){.level = wishes[i].level,
					.may_preempt = wishes[i].may_preempt,
					.may_be_preempted = wishes[i].level && !wishes[i].is_fixed};
	}
	strcpy(last->session.apn, apn);
	if (twin)
		assert_int_equal(sl_address_parse("twin", twin, &last->session.twin, &err), 0);
	if (sl_control_activate(world->control, &last->session, &err) < 0)
		fail_msg("%s", err.text);
	return last->requests;
}

struct sl_rule_request *guarantees_ask(struct world *world, const char *imsi, const char *address,
				       struct wish wish)
{
	return guarantees_ask_for(world, imsi, address, "", NULL, &wish, 1);
}

static void keep_view(const struct sl_load_view *view, void *user)
{
	struct guarantees_load *all = user;

	if (!view->apn)
		all->link = *view;
	else
		all->apn[strcmp(view->apn, "ims") != 0] = *view;
}

struct guarantees_load guarantees_load(struct world *world)
{
	struct guarantees_load all;

	sl_control_each_load(world->control, keep_view, &all);
	return all;
}

uint64_t guarantees_reserved(struct world *world)
{
	return guarantees_load(world).link.reserved[SLUICE_DOWNLINK];
}

bool guarantees_has_rule(struct world *world, const char *imsi, const char *id)
{
	struct sl_usage_record record;

	return world_find_record_of(world, imsi, id, 1, &record) && !record.retired;
}
