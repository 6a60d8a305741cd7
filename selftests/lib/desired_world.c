// SPDX-License-Identifier: Apache-2.0
#include "desired_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct desired_world desired_world;

uint64_t desired_now(void)
{
	return desired_world.wall;
}

static bool is_desired(const char *imsi, const struct sl_address *address, const struct sl_install *install,
		       void *user)
{
	(void)user;
	return sl_desired_owns(desired_world.desired, imsi, address, install);
}

static void on_repair(const struct sl_desired_repair *repair, void *user)
{
	(void)user;
	desired_world.repairs++;
	snprintf(desired_world.last_repair, sizeof(desired_world.last_repair), "%.32s v%u %s",
		 repair->rule_id, repair->version, repair->what);
}

void desired_start(struct world *world, bool adopted, uint32_t classes)
{
	struct sl_desired_config config = {
		.now_ns = desired_now, .versions_above = desired_world.epoch, .on_repair = on_repair};
	struct sl_control_config control = {.keep_retired = true, .is_desired = is_desired};
	struct sl_datapath_limits limits = fixture_config().limits;

	world_start_with(world, adopted, &control, &limits, classes);
	config.control = world->control;
	desired_world.wall = DESIRED_BEGIN;
	desired_world.repairs = 0;
	assert_int_equal(sl_desired_new(&config, &desired_world.desired), 0);
}

void desired_stop(struct world *world)
{
	sl_desired_free(desired_world.desired);
	desired_world.desired = NULL;
	world_stop(world);
}

/* --- what is set ------------------------------------------------------------------ */

int desired_set(const char *imsi, const char *apn, const struct wish *wishes, size_t count,
		struct sl_error *err)
{
	struct sl_desired_scope scope = {.subscriber_wide = !apn, .rule_count = count};
	struct sl_desired_rule entries[8] = {{0}};
	struct sluice_flow flows[8][2];
	struct sl_rule rules[8];

	strcpy(scope.imsi, imsi);
	strcpy(scope.apn, apn ? apn : "");
	scope.rules = entries;
	for (size_t i = 0; i < count; i++) {
		entries[i].from_ns = wishes[i].from;
		entries[i].until_ns = wishes[i].until;
		if (!wishes[i].port) {
			entries[i].name = wishes[i].id;
			continue;
		}
		memset(flows[i], 0, sizeof(flows[i]));
		rules[i] = (struct sl_rule){.record = SLUICE_NONE,
					    .precedence = 10,
					    .flows = flows[i],
					    .flow_count = 2,
					    .hard_timeout_s = wishes[i].hard_timeout_s};
		strcpy(rules[i].id, wishes[i].id);
		rules[i].mbr[SLUICE_DOWNLINK] = wishes[i].mbr_downlink;
		for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
			flows[i][direction].direction = direction;
			flows[i][direction].protocol = 17;
			flows[i][direction].remote_port_low = wishes[i].port;
			flows[i][direction].remote_port_high = wishes[i].port;
			flows[i][direction].local_port_high = UINT16_MAX;
		}
		entries[i].rule = &rules[i];
	}
	return sl_desired_set(desired_world.desired, &scope, 1, err);
}

void desired_set_ok(const char *imsi, const struct wish *wishes, size_t count)
{
	struct sl_error err = {""};

	if (desired_set(imsi, NULL, wishes, count, &err) < 0)
		fail_msg("%s", err.text);
}

/* --- what is in force --------------------------------------------------------------- */

struct listing {
	struct sl_address address;
	char text[512];
};

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int list_rules(const struct sl_session_view *view, void *user)
{
	char lines[16][32] = {{0}};
	struct listing *listing = user;

	if (!sl_address_same_endpoint(&view->address, &listing->address))
		return 0;
	for (uint32_t i = 0; i < view->install_count; i++)
		snprintf(lines[i], sizeof(lines[i]), "%.20s v%u%s", view->installs[i].rule->id,
			 view->installs[i].version,
			 view->installs[i].origin == SLUICE_ORIGIN_GY ? " gy" : "");
	qsort(lines, view->install_count, sizeof(lines[0]), by_text);
	strcpy(listing->text, "");
	for (uint32_t i = 0; i < view->install_count; i++)
		sprintf(listing->text + strlen(listing->text), "%s%s", i ? ", " : "", lines[i]);
	return 1;
}

void desired_assert_rules(struct world *world, const char *imsi, const char *address, const char *wanted)
{
	struct listing listing = {.text = "-"};

	assert_int_equal(sl_address_parse("address", address, &listing.address, NULL), 0);
	sl_control_each_session_of(world->control, imsi, list_rules, &listing);
	assert_string_equal(listing.text, wanted);
}

void desired_activate(struct world *world, const char *imsi, const char *address,
		      const struct rule_spec *specs, size_t count)
{
	struct activation activation;

	assert_int_equal(world_activate(world, &activation, imsi, address, specs, count), 0);
	sl_desired_activated(desired_world.desired, &activation.session);
}

void desired_check(void)
{
	sl_desired_check(desired_world.desired, 1000);
}
