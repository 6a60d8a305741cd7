// SPDX-License-Identifier: Apache-2.0
#include "ids_engine_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"
#include "catalog/catalog.h"
#include "datapath/ids_maps.h"

static void note(const struct sl_ids_alert *alert, const struct sl_ids_rule *rule,
		 const struct sluice_ids_key *key, void *user)
{
	struct ids_engine_world *world = user;
	struct told *told = &world->told[world->told_count];

	(void)rule;
	(void)key;
	if (alert->type == SL_IDS_ALERT_LOST)
		world->lost += alert->observed;
	if (world->told_count == TOLD)
		return;
	world->told_count++;
	*told = (struct told){.type = alert->type,
			      .observed = alert->observed,
			      .suppressed = alert->suppressed,
			      .packets = alert->hits.packets,
			      .captured = alert->captured,
			      .family = alert->family};
	snprintf(told->reason, sizeof(told->reason), "%s", alert->reason);
	snprintf(told->imsi, sizeof(told->imsi), "%s", alert->imsi);
	snprintf(told->session, sizeof(told->session), "%s", alert->session_address);
	snprintf(told->apn, sizeof(told->apn), "%s", alert->apn);
	snprintf(told->track, sizeof(told->track), "%s", alert->track);
	snprintf(told->action, sizeof(told->action), "%s", alert->action);
}

static const struct sl_catalog *catalog_of(void *user)
{
	return ((struct ids_engine_world *)user)->catalog;
}

static bool is_desired(const char *imsi, const struct sl_address *address, const struct sl_install *install,
		       void *user)
{
	(void)address;
	return sl_ids_engine_owns(((struct ids_engine_world *)user)->engine, imsi, install);
}

static int no_server(const char *host, struct sl_address *out, size_t max, size_t *count,
		     struct sl_error *err, void *user)
{
	(void)host;
	(void)max;
	(void)err;
	(void)user;
	*count = 1;
	return sl_address_parse("server", "192.0.2.80", out, err);
}

static const struct sl_datapath_limits limits = {
	.sessions = 64,
	.usage = 1024,
	.rules = 64,
	.flows = 256,
	.matches = 1024,
	.bindings = 256,
	.meters = 64,
	.quotas = 64,
	.ids_blocks = 65536,
	.ids_buckets = 131072,
	.ids_windows = 16384,
	.ids_logs = 64,
	.ids_sets = 64,
	.ids_connections = 16384,
};

static void start(struct ids_engine_world *world, bool adopted)
{
	const struct sl_control_config settings = {.backend = SL_RATE_POLICE,
						   .is_desired = is_desired,
						   .redirect_servers = no_server,
						   .keep_retired = false,
						   .user = world};
	struct sl_ids_engine_config config = {.on_alert = note, .catalog = catalog_of, .user = world};
	struct sl_ids_maps maps;
	struct sl_error err = {""};

	world_start_with(&world->world, adopted, &settings, &limits, 0);
	world->kernel = (struct sl_ids_kernel){.datapath = world->world.datapath,
					       .control = world->world.control,
					       .grace = world->world.grace};
	sl_ids_maps_of(&world->kernel, &maps);
	if (sl_ids_rules_open(&maps, &world->table, &err) < 0)
		fail_msg("%s", err.text);
	config.datapath = world->world.datapath;
	config.control = world->world.control;
	config.rules = world->table;
	if (sl_ids_engine_new(&config, world->now, &world->engine, &err) < 0)
		fail_msg("%s", err.text);
}

static void stop(struct ids_engine_world *world)
{
	sl_ids_engine_free(world->engine);
	world->engine = NULL;
	sl_ids_rules_close(world->table);
	world_stop(&world->world);
}

int ids_engine_setup(void **state)
{
	struct ids_engine_world *world = calloc(1, sizeof(*world));
	struct sl_ids_rule *rule = &world->rule[0];
	void *files = NULL;

	if (fixture_devices(state) != 0 || policy_files_setup(&files) != 0)
		return -1;
	world->files = files;
	world->now = sl_now_ns();
	start(world, false);
	strcpy(rule->name, "flood");
	rule->match[0] = (struct sluice_ids_match){.direction = SLUICE_UPLINK,
						   .verdict = SLUICE_PERMIT,
						   .remote_port_high = UINT16_MAX,
						   .local_port_high = UINT16_MAX};
	rule->match_count = 1;
	rule->image.track = SLUICE_IDS_SUBSCRIBER;
	rule->image.count = SLUICE_IDS_PACKETS;
	rule->image.verdict = SLUICE_IDS_DROP;
	rule->image.flags = SLUICE_IDS_BLOCKS;
	rule->image.limit_count = 1;
	rule->image.limit[0] =
		(struct sluice_ids_limit){.window_ns = SECOND, .count = 100, .kind = SLUICE_IDS_SLIDING};
	rule->image.hard_ns = 2 * SECOND;
	rule->repeat_factor = 1;
	rule->repeat_max_ns = 2 * SECOND;
	rule->forget_ns = 10 * SECOND;
	world->rules = 1;
	world->rule[1] = *rule;
	strcpy(world->rule[1].name, "other");
	*state = world;
	return 0;
}

int ids_engine_teardown(void **state)
{
	struct ids_engine_world *world = *state;
	void *files = world->files;

	stop(world);
	sl_catalog_free(world->catalog);
	policy_files_teardown(&files);
	free(world);
	return fixture_no_devices(state);
}

void ids_engine_apply(struct ids_engine_world *world)
{
	struct sl_ids_rules rules = {.rule = world->rule, .count = world->rules};
	struct sl_error err = {""};

	for (uint32_t i = 0; i < world->rules; i++)
		sl_ids_rule_seal(&world->rule[i], 0);
	if (sl_ids_rules_apply(world->table, &rules, NULL, &err) < 0)
		fail_msg("%s", err.text);
}

void ids_engine_catalog(struct ids_engine_world *world, const char *text)
{
	struct sl_catalog *old = world->catalog;
	struct sl_error err = {""};

	policy_files_write(world->files, "a.yaml", text);
	if (sl_catalog_load(world->files->path, NULL, &world->catalog, &err) < 0)
		fail_msg("%s", err.text);
	sl_catalog_free(old);
}

void ids_engine_restart(struct ids_engine_world *world)
{
	stop(world);
	start(world, true);
	ids_engine_pass(world, 2 * TICK);
	ids_engine_apply(world);
}

/* Of this thread: what else runs on the machine is not the engine's. */
static uint64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void ids_engine_pass(struct ids_engine_world *world, uint64_t time)
{
	for (uint64_t end = world->now + time; world->now < end;) {
		uint64_t begun = cpu_ns(), took;

		world->now += TICK;
		sl_ids_engine_tick(world->engine, world->now);
		took = cpu_ns() - begun;
		if (took > world->longest)
			world->longest = took;
	}
}

struct sluice_ids_key ids_engine_key(const struct sl_ids_rule *rule, const char *imsi)
{
	struct sluice_ids_key key = {.rule = rule->image.identity, .track = SLUICE_IDS_SUBSCRIBER};

	memcpy(key.local, imsi, strlen(imsi));
	return key;
}

struct sluice_ids_key ids_engine_connection(uint32_t identity, uint16_t port)
{
	return (struct sluice_ids_key){.rule = identity,
				       .track = SLUICE_IDS_CONNECTION,
				       .family = 4,
				       .protocol = 6,
				       .local_port = port,
				       .remote_port = 80,
				       .local = {192, 168, 128, 10},
				       .remote = {192, 0, 2, 1}};
}

void ids_engine_offend(struct ids_engine_world *world, const struct sl_ids_rule *rule,
		       const struct sluice_ids_key *key)
{
	struct sluice_ids_block block = {
		.since_ns = world->now,
		.last_ns = world->now,
		.hard_ns = rule->image.hard_ns ? world->now + rule->image.hard_ns : 0,
		.idle_ns = rule->image.idle_ns,
		.verdict = rule->image.verdict,
	};
	uint32_t slot = sl_ids_rules_find(world->table, rule->name);

	assert_int_equal(sl_ids_set(world->world.datapath, SL_IDS_BLOCKS, key, &block, SL_IDS_NEW), 0);
	sl_ids_rules_image(world->table, slot)->blocks++;
}

size_t ids_engine_count(const struct ids_engine_world *world, enum sl_ids_alert_type type)
{
	size_t count = 0;

	for (size_t i = 0; i < world->told_count; i++)
		count += world->told[i].type == type;
	return count;
}

const struct told *ids_engine_told(const struct ids_engine_world *world, enum sl_ids_alert_type type,
				   size_t n)
{
	for (size_t i = 0; i < world->told_count; i++)
		if (world->told[i].type == type && n-- == 0)
			return &world->told[i];
	fail_msg("there is no such alert");
	return NULL;
}
