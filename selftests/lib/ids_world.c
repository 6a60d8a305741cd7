// SPDX-License-Identifier: Apache-2.0
#include "ids_world.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- a packet ------------------------------------------------------------------------- */

static uint32_t find_pair(const struct ids_world *world, const char *imsi, uint32_t slot)
{
	for (uint32_t i = 0; i < world->pair_top; i++)
		if (world->pair[i].used && world->pair[i].key.rule == slot &&
		    strcmp(world->pair[i].key.imsi, imsi) == 0)
			return world->pair[i].slot;
	return slot | 0x40000000;
}

static bool meets(const struct ids_world *world, const struct sluice_ids_rule *rule, uint32_t direction,
		  uint32_t protocol)
{
	for (uint32_t i = 0; i < rule->match_count; i++) {
		const struct sluice_ids_match *match = &world->matches[rule->first_match + i];

		if (match->direction == direction && match->verdict == SLUICE_PERMIT &&
		    (!(match->flags & SLUICE_MATCH_PROTOCOL) || match->protocol == protocol))
			return true;
	}
	return false;
}

/* The rules that judge a subscriber's packets, in order, as text. */
void ids_world_look(const struct ids_world *world, const char *imsi, char out[VIEW])
{
	static const uint32_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP, 200};
	const struct sluice_ids_order *order = &world->settings.order[world->settings.current & 1];
	size_t used = 0;

	out[0] = '\0';
	for (uint32_t n = 0; n < 6 && (world->settings.active & SLUICE_IDS_ACTIVE_RULES); n++) {
		uint64_t candidates = order->candidates[n & 1][protocols[n / 2]];

		used += (size_t)snprintf(out + used, VIEW - used, "|");
		for (; candidates; candidates &= candidates - 1) {
			uint32_t slot = order->slot[__builtin_ctzll(candidates)];
			uint32_t other = find_pair(world, imsi, slot);
			const bool own = world->settings.overrides && !(other & 0x40000000);
			const struct sluice_ids_rule *rule;

			if (world->settings.overrides && other == SLUICE_NONE)
				continue;
			if (own)
				slot = other;
			rule = &world->rules[slot];
			if (!rule->in_use || (!own && (rule->flags & SLUICE_IDS_OVERRIDE)) ||
			    !meets(world, rule, n & 1, protocols[n / 2]))
				continue;
			used += (size_t)snprintf(out + used, VIEW - used, "%s:%llu ", rule->name,
						 (unsigned long long)rule->limit[0].count);
			assert_true(used < VIEW);
		}
	}
}

const char *const ids_world_imsis[3] = {A, B, C};

/* Whole, the one or the other, and never back. */
void ids_world_check(struct ids_world *world)
{
	char now[VIEW];

	for (int i = 0; world->watching && i < 3; i++) {
		ids_world_look(world, ids_world_imsis[i], now);
		world->checks++;
		if (strcmp(now, world->after[i]) == 0 && strcmp(now, world->before[i]) != 0)
			world->seen_after[i] = true;
		else if (strcmp(now, world->before[i]) != 0 || world->seen_after[i])
			fail_msg("%s meets \"%s\", neither \"%s\" nor \"%s\"", ids_world_imsis[i], now,
				 world->before[i], world->after[i]);
	}
}

/* --- the maps -------------------------------------------------------------------------- */

static int override_set(const struct sluice_ids_override *key, uint32_t slot, void *user)
{
	struct ids_world *world = user;
	uint32_t at = world->pair_top;

	ids_world_check(world);
	for (uint32_t i = 0; i < world->pair_top; i++) {
		if (world->pair[i].used && memcmp(&world->pair[i].key, key, sizeof(*key)) == 0) {
			world->pair[i].slot = slot;
			return 0;
		}
		if (!world->pair[i].used)
			at = i;
	}
	if (at == world->pair_room)
		return -E2BIG;
	world->pair_top += at == world->pair_top;
	world->pair[at].key = *key;
	world->pair[at].slot = slot;
	world->pair[at].used = true;
	ids_world_check(world);
	return 0;
}

static int override_delete(const struct sluice_ids_override *key, void *user)
{
	struct ids_world *world = user;

	for (uint32_t i = 0; i < world->pair_top; i++)
		if (world->pair[i].used && memcmp(&world->pair[i].key, key, sizeof(*key)) == 0)
			world->pair[i].used = false;
	ids_world_check(world);
	return 0;
}

static int override_each(int (*visit)(const struct sluice_ids_override *key, uint32_t slot, void *context),
			 void *context, void *user)
{
	struct ids_world *world = user;
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < world->pair_top; i++)
		if (world->pair[i].used)
			rc = visit(&world->pair[i].key, world->pair[i].slot, context);
	return rc;
}

static int counts_read(uint32_t slot, struct sluice_ids_rule_count *out, void *user)
{
	struct ids_world *world = user;

	ids_world_check(world);
	*out = world->counts[slot];
	return 0;
}

static int counts_clear(uint32_t slot, void *user)
{
	struct ids_world *world = user;

	ids_world_check(world);
	memset(&world->counts[slot], 0, sizeof(world->counts[slot]));
	return 0;
}

static int steer_take(const char *interface, uint32_t *slot, struct sl_error *err, void *user)
{
	struct ids_world *world = user;

	if (strcmp(interface, "full0") == 0)
		return sl_error(err, ENOSPC, "the map steers is full");
	*slot = (uint32_t)interface[strlen(interface) - 1] % 4;
	world->steers[*slot]++;
	return 0;
}

static int steer_adopt(uint32_t slot, void *user)
{
	struct ids_world *world = user;

	world->steers[slot]++;
	return 0;
}

static void steer_put(uint32_t slot, void *user)
{
	struct ids_world *world = user;

	assert_true(world->steers[slot] > 0);
	world->steers[slot]--;
}

static void wait_for_packets(void *user)
{
	struct ids_world *world = user;

	world->waits++;
	ids_world_check(world);
}

static void gone(uint32_t identity, void *user)
{
	struct ids_world *world = user;

	world->gone[world->gone_count++ % 256] = identity;
}

void ids_world_start(struct ids_world *world)
{
	const struct sl_ids_maps maps = {
		.settings = &world->settings,
		.rules = world->rules,
		.matches = world->matches,
		.override_set = override_set,
		.override_delete = override_delete,
		.override_each = override_each,
		.counts_read = counts_read,
		.counts_clear = counts_clear,
		.steer_take = steer_take,
		.steer_adopt = steer_adopt,
		.steer_put = steer_put,
		.wait = wait_for_packets,
		.gone = gone,
		.user = world,
	};
	struct sl_error err = {""};

	memset(world->steers, 0, sizeof(world->steers));
	if (sl_ids_rules_open(&maps, &world->table, &err) < 0)
		fail_msg("%s", err.text);
}

int ids_world_setup(void **state)
{
	struct ids_world *world = calloc(1, sizeof(*world));
	void *files = NULL;

	if (!world || policy_files_setup(&files) < 0)
		return -1;
	world->files = files;
	world->pair_room = PAIRS;
	ids_world_start(world);
	*state = world;
	return 0;
}

int ids_world_teardown(void **state)
{
	struct ids_world *world = *state;
	void *files = world->files;

	sl_ids_rules_close(world->table);
	free(world);
	return policy_files_teardown(&files);
}

/* --- reading and applying ---------------------------------------------------------------- */

const char *const ids_world_access[] = {"access0", NULL};
const struct sl_catalog_part *const ids_world_parts[] = {&sl_ids_section, NULL};

struct sl_catalog *ids_world_load(struct ids_world *world, const char *text)
{
	struct sl_catalog *catalog = NULL;
	struct sl_error err = {""};

	policy_files_write(world->files, "a.yaml", text);
	if (sl_catalog_load_with(world->files->path, ids_world_access, ids_world_parts, &catalog, &err) < 0)
		fail_msg("%s", err.text);
	return catalog;
}

int ids_world_apply(struct ids_world *world, const char *text, struct sl_ids_applied *out,
		    struct sl_error *err)
{
	struct sl_catalog *catalog = ids_world_load(world, text);
	int rc = sl_ids_rules_apply(world->table, sl_catalog_content(catalog, &sl_ids_section), out, err);

	sl_catalog_free(catalog);
	return rc;
}

struct sl_ids_applied ids_world_apply_ok(struct ids_world *world, const char *text)
{
	struct sl_ids_applied out = {.kept = 0};
	struct sl_error err = {""};

	if (ids_world_apply(world, text, &out, &err) < 0)
		fail_msg("%s", err.text);
	return out;
}

/* In a world beside, to know what the rules after are. */
static void look_ahead(struct ids_world *world, const char *text)
{
	void *state = NULL;
	struct ids_world *other;

	assert_int_equal(ids_world_setup(&state), 0);
	other = state;
	ids_world_apply_ok(other, text);
	for (int i = 0; i < 3; i++) {
		ids_world_look(world, ids_world_imsis[i], world->before[i]);
		ids_world_look(other, ids_world_imsis[i], world->after[i]);
		world->seen_after[i] = false;
	}
	ids_world_teardown(&state);
}

struct sl_ids_applied ids_world_apply_watched(struct ids_world *world, const char *text)
{
	struct sl_ids_applied out;

	look_ahead(world, text);
	world->watching = true;
	out = ids_world_apply_ok(world, text);
	ids_world_check(world);
	world->watching = false;
	for (int i = 0; i < 3; i++) {
		char now[VIEW];

		ids_world_look(world, ids_world_imsis[i], now);
		assert_string_equal(now, world->after[i]);
	}
	return out;
}

void ids_world_assert_view(struct ids_world *world, const char *imsi, const char *wanted)
{
	char now[VIEW];

	ids_world_look(world, imsi, now);
	if (strcmp(now, wanted) != 0)
		fail_msg("%s meets \"%s\", not \"%s\"", imsi, now, wanted);
}
