// SPDX-License-Identifier: Apache-2.0
/* IDS rules on their way into the maps: at every step a packet meets the rules before or those after. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "ids_world.h"

/* --- tests ------------------------------------------------------------------------------- */

static void rules_are_in_force_in_the_order_of_the_files(void **state)
{
	struct ids_world *world = *state;
	struct sl_ids_applied out;

	out = ids_world_apply_watched(world, "ids:\n" RULE("one", "1") RULE("two", "2"));
	assert_int_equal(out.added, 2);
	ids_world_assert_view(world, A, "|one:1 two:2 |||||");
	/* between them, and the last one first */
	out = ids_world_apply_watched(world, "ids:\n" RULE("two", "2") RULE("new", "9") RULE("one", "1"));
	assert_int_equal(out.kept, 2);
	assert_int_equal(out.added, 1);
	ids_world_assert_view(world, A, "|two:2 new:9 one:1 |||||");
	out = ids_world_apply_watched(world, "ids: []\n");
	assert_int_equal(out.removed, 3);
	assert_int_equal(world->settings.active, 0);
	assert_int_equal(world->gone_count, 3);
	assert_int_equal(sl_ids_rules_count(world->table), 0);
}

static void a_rule_that_is_the_same_keeps_slot_states_counts_and_blocks(void **state)
{
	struct ids_world *world = *state;
	struct sluice_ids_rule before;
	struct sl_ids_applied out;
	uint32_t slot, waits;

	ids_world_apply_ok(world, "ids:\n" RULE("one", "1") RULE("two", "2"));
	slot = sl_ids_rules_find(world->table, "two");
	world->rules[slot].blocks = 7;
	before = world->rules[slot];
	waits = world->waits;
	out = ids_world_apply_ok(world, "# moved down\n\nids:\n" RULE("one", "1") RULE("two", "2"));
	assert_int_equal(out.kept, 2);
	assert_int_equal(world->waits, waits);
	assert_int_equal(sl_ids_rules_at(world->table, slot)->line, 5);
	out = ids_world_apply_watched(world, "ids:\n" RULE("one", "5") RULE("two", "2"));
	assert_int_equal(out.kept, 1);
	assert_int_equal(out.changed, 1);
	assert_int_equal(out.added, 0);
	assert_int_equal(sl_ids_rules_find(world->table, "two"), slot);
	assert_memory_equal(&world->rules[slot], &before, sizeof(before));
	assert_int_equal(world->gone_count, 0);
}

static void
a_rule_that_counts_something_else_has_another_revision_and_one_that_does_not_the_same(void **state)
{
	struct ids_world *world = *state;
	uint32_t revision, identity;
	const struct sluice_ids_rule *image;

	ids_world_apply_ok(world, "ids:\n" RULE("one", "5"));
	image = sl_ids_rules_image(world->table, sl_ids_rules_find(world->table, "one"));
	revision = image->revision;
	identity = image->identity;
	ids_world_apply_watched(world, "ids:\n" RULE_FOR("one", "5", "severity: 1, verdict: drop"));
	image = sl_ids_rules_image(world->table, sl_ids_rules_find(world->table, "one"));
	assert_int_equal(image->revision, revision);
	assert_int_equal(image->identity, identity);
	ids_world_apply_watched(world, "ids:\n" RULE_FOR("one", "6", "severity: 1, verdict: drop"));
	image = sl_ids_rules_image(world->table, sl_ids_rules_find(world->table, "one"));
	assert_int_not_equal(image->revision, revision);
	assert_int_equal(image->identity, identity);
	/* back again: what was counted then may go on */
	ids_world_apply_watched(world, "ids:\n" RULE("one", "5"));
	image = sl_ids_rules_image(world->table, sl_ids_rules_find(world->table, "one"));
	assert_int_equal(image->revision, revision);
}

static void counts_go_on_over_changes_and_blocks_that_are_made_meanwhile_are_not_lost(void **state)
{
	struct ids_world *world = *state;
	struct sluice_ids_rule_count sum;
	uint32_t slot;

#define BLOCKING(count, more) RULE_FOR("one", count, "verdict: drop, block: {hard: 1h}" more)
	ids_world_apply_ok(world, "ids:\n" BLOCKING("5", ""));
	for (uint32_t round = 1; round <= 5; round++) {
		char text[512];

		slot = sl_ids_rules_find(world->table, "one");
		world->counts[slot].matched.packets += 100;
		world->counts[slot].dropped.bytes += 1000;
		world->counts[slot].keys_refused += 3;
		world->rules[slot].blocks += 2;
		snprintf(text, sizeof(text), "ids:\n" BLOCKING("%u", ""), 5 + round);
		ids_world_apply_watched(world, text);
		slot = sl_ids_rules_find(world->table, "one");
		assert_int_equal(sl_ids_rules_counts(world->table, slot, &sum), 0);
		assert_int_equal(sum.matched.packets, 100 * round);
		assert_int_equal(sum.dropped.bytes, 1000 * round);
		assert_int_equal(sum.keys_refused, 3 * round);
		assert_int_equal(world->rules[slot].blocks, 2 * round);
	}
	assert_int_equal(world->gone_count, 0);
}

static void blocks_end_where_what_is_tracked_or_done_is_another_thing(void **state)
{
	struct ids_world *world = *state;
	uint32_t identity;

	ids_world_apply_ok(world, "ids:\n" BLOCKING("5", ""));
	identity = sl_ids_rules_image(world->table, sl_ids_rules_find(world->table, "one"))->identity;
	ids_world_apply_ok(
		world, "ids:\n  - {name: one, match: {direction: uplink, protocol: tcp}, track: connection, "
		       "limit: {count: 5, window: 1s}, verdict: drop, block: {hard: 1h}}\n");
	assert_int_equal(world->gone_count, 1);
	assert_int_equal(world->gone[0], identity);
	ids_world_apply_ok(
		world, "ids:\n  - {name: one, match: {direction: uplink, protocol: tcp}, track: connection, "
		       "limit: {count: 5, window: 1s}, verdict: drop}\n");
	assert_int_equal(world->gone_count, 2);
	ids_world_apply_ok(world, "ids: []\n");
	assert_int_equal(world->gone_count, 3);
}

static void subscribers_have_rules_of_their_own_and_exemptions(void **state)
{
	struct ids_world *world = *state;

	ids_world_apply_watched(world,
				"ids:\n" RULE_FOR("one", "1", "exempt: {subscribers: [\"" B "\"]}")
					RULE_FOR("one", "7", "subscribers: [\"" A "\"]") RULE("two", "2"));
	ids_world_assert_view(world, A, "|one:7 two:2 |||||");
	ids_world_assert_view(world, B, "|two:2 |||||");
	ids_world_assert_view(world, C, "|one:1 two:2 |||||");
	assert_int_equal(sl_ids_rules_for(world->table, 0, C), sl_ids_rules_find(world->table, "one"));
	assert_int_equal(sl_ids_rules_for(world->table, 0, B), SLUICE_NONE);
	assert_int_equal(
		sl_ids_rules_image(world->table, sl_ids_rules_for(world->table, 0, A))->limit[0].count, 7);
	/* another subscriber, another limit, and another rule beside: all of it at once */
	ids_world_apply_watched(world,
				"ids:\n" RULE_FOR("one", "1", "exempt: {subscribers: [\"" A "\"]}")
					RULE_FOR("one", "8", "subscribers: [\"" B "\"]") RULE("two", "3"));
	ids_world_assert_view(world, A, "|two:3 |||||");
	ids_world_assert_view(world, B, "|one:8 two:3 |||||");
	/* the base is the same, but whom it is for is not */
	ids_world_apply_watched(world,
				"ids:\n" RULE_FOR("one", "1", "exempt: {subscribers: [\"" A "\"]}")
					RULE_FOR("one", "8", "subscribers: [\"" C "\"]") RULE("two", "4"));
	ids_world_assert_view(world, B, "|one:1 two:4 |||||");
	ids_world_assert_view(world, C, "|one:8 two:4 |||||");
	/* for some only: nobody else has it */
	ids_world_apply_watched(world, "ids:\n" RULE_FOR("one", "8", "subscribers: [\"" C "\"]")
					       RULE_FOR("one", "9", "subscribers: [\"" A "\"]"));
	ids_world_assert_view(world, A, "|one:9 |||||");
	ids_world_assert_view(world, B, "||||||");
	ids_world_assert_view(world, C, "|one:8 |||||");
	assert_int_equal(sl_ids_rules_for(world->table, 0, B), SLUICE_NONE);
	ids_world_apply_watched(world, "ids:\n" RULE("one", "1"));
	ids_world_assert_view(world, A, "|one:1 |||||");
	assert_int_equal(world->settings.overrides, 0);
	for (uint32_t i = 0; i < world->pair_top; i++)
		assert_false(world->pair[i].used);
}

static void a_restart_finds_the_rules_in_force_and_the_same_files_change_nothing(void **state)
{
	static const char text[] =
		"ids:\n" RULE("zero", "3") RULE_FOR("one", "1", "verdict: mirror, mirror: eth1")
			RULE_FOR("one", "7", "subscribers: [\"" A "\"]") RULE("two", "2");
	struct ids_world *world = *state;
	struct sl_ids_applied out;
	uint32_t slot, waits;

	ids_world_apply_ok(world, text);
	ids_world_apply_ok(world, "ids:\n" RULE_FOR("one", "1", "verdict: mirror, mirror: eth1")
					  RULE_FOR("one", "7", "subscribers: [\"" A "\"]") RULE("two", "2"));
	ids_world_apply_ok(world, text);
	slot = sl_ids_rules_find(world->table, "two");
	/* a slot that a crash had left half done */
	world->rules[60] = (struct sluice_ids_rule){.in_use = 1, .identity = 99};
	sl_ids_rules_close(world->table);
	ids_world_start(world);
	waits = world->waits;
	assert_int_equal(world->rules[60].in_use, 0);
	assert_int_equal(sl_ids_rules_count(world->table), 4);
	assert_int_equal(world->steers['1' % 4], 1);
	assert_null(sl_ids_rules_at(world->table, slot));
	assert_int_equal(sl_ids_rules_find(world->table, "two"), slot);
	ids_world_assert_view(world, A, "|zero:3 one:7 two:2 |||||");
	out = ids_world_apply_watched(world, text);
	assert_int_equal(out.kept, 4);
	assert_int_equal(world->waits, waits);
	assert_non_null(sl_ids_rules_at(world->table, slot));
	assert_int_equal(world->gone_count, 1); /* "zero", on its way */
	out = ids_world_apply_watched(world, "ids:\n" RULE("two", "2"));
	assert_int_equal(out.removed, 3);
	assert_int_equal(world->steers['1' % 4], 0);
}

static char *many(uint32_t count, uint32_t limit)
{
	char *text = malloc(64 + count * 200ul);
	size_t used = (size_t)sprintf(text, "ids:\n");

	for (uint32_t i = 0; i < count; i++)
		used += (size_t)sprintf(
			text + used,
			"  - {name: r%02u, match: {}, track: subscriber, limit: {count: %u, window: 1s}}\n",
			i, limit);
	return text;
}

static void more_rules_than_fit_beside_each_other_are_changed_with_an_interruption_that_is_told(void **state)
{
	struct ids_world *world = *state;
	struct sluice_ids_rule_count sum;
	struct sl_ids_applied out;
	char *first = many(40, 1), *second = many(40, 2);
	uint32_t slot;

	ids_world_apply_ok(world, first);
	for (slot = 0; slot < SLUICE_IDS_RULES; slot++)
		world->counts[slot].matched.packets += world->rules[slot].in_use * 10;
	out = ids_world_apply_ok(world, second);
	assert_int_equal(out.changed, 40);
	assert_int_equal(out.added + out.removed + out.kept, 0);
	assert_int_equal(out.interrupted, 16);
	assert_int_equal(world->gone_count, 0);
	for (slot = 0; slot < SLUICE_IDS_RULES; slot++) {
		if (!sl_ids_rules_image(world->table, slot))
			continue;
		assert_int_equal(sl_ids_rules_counts(world->table, slot, &sum), 0);
		assert_int_equal(sum.matched.packets, 10);
		assert_int_equal(world->rules[slot].limit[0].count, 2);
	}
	free(first);
	free(second);
	first = many(64, 3);
	out = ids_world_apply_ok(world, first);
	assert_int_equal(out.changed, 40);
	assert_int_equal(out.added, 24);
	assert_int_equal(sl_ids_rules_count(world->table), 64);
	free(first);
	first = many(65, 3);
	policy_files_write(world->files, "a.yaml", first);
	free(first);
	{
		struct sl_catalog *catalog = NULL;
		struct sl_error err = {""};

		assert_int_equal(
			sl_catalog_load_with(world->files->path, NULL, ids_world_parts, &catalog, &err),
			-EINVAL);
		assert_non_null(strstr(err.text, "ids: "));
		assert_non_null(strstr(err.text, "64"));
	}
}

static void what_does_not_fit_leaves_the_rules_before_in_force(void **state)
{
	struct ids_world *world = *state;
	struct sl_error err = {""};
	struct sl_ids_rules_status status;
	char before[VIEW], now[VIEW];

	ids_world_apply_ok(world, "ids:\n" RULE_FOR("one", "1", "exempt: {subscribers: [\"" B "\"]}"));
	ids_world_look(world, C, before);
	world->pair_room = 2;
	assert_int_equal(ids_world_apply(world,
					 "ids:\n" RULE_FOR("one", "2",
							   "exempt: {subscribers: [\"" A "\", \"" B "\"]}"),
					 NULL, &err),
			 -E2BIG);
	assert_non_null(strstr(err.text, "ids_overrides"));
	ids_world_look(world, C, now);
	assert_string_equal(now, before);
	ids_world_assert_view(world, B, "||||||");
	assert_int_equal(sl_ids_rules_count(world->table), 1);
	world->pair_room = PAIRS;
	assert_int_equal(ids_world_apply(world,
					 "ids:\n" RULE("two", "5")
						 RULE_FOR("one", "2", "verdict: mirror, mirror: full0"),
					 NULL, &err),
			 -ENOSPC);
	assert_string_equal(err.text, "rule one: mirror: the map steers is full");
	sl_ids_rules_status(world->table, &status);
	assert_string_equal(status.problem, err.text);
	assert_int_equal(status.refusals, 2);
	assert_int_equal(status.changes, 1);
	assert_int_equal(status.overrides, 1);
	ids_world_look(world, C, now);
	assert_string_equal(now, before);
	ids_world_apply_watched(world, "ids:\n" RULE("two", "5"));
	sl_ids_rules_status(world->table, &status);
	assert_null(status.problem);
	assert_int_equal(status.changes, 2);
	assert_int_equal(status.overrides, 0);
	for (uint32_t slot = 0, used = 0; slot < SLUICE_IDS_RULES; slot++) {
		used += world->rules[slot].in_use;
		assert_true(used <= 1);
	}
}

static void rules_of_one_window_share_a_filter_and_others_have_their_own(void **state)
{
	struct ids_world *world = *state;
	uint8_t first;

	ids_world_apply_ok(world,
			   "ids:\n" OUTSIDE("a", "1s") OUTSIDE("b", "2s") OUTSIDE("c", "1s") RULE("d", "1"));
	first = world->rules[sl_ids_rules_find(world->table, "a")].sketch;
	assert_in_range(first, 1, SLUICE_IDS_SKETCHES);
	assert_int_equal(world->rules[sl_ids_rules_find(world->table, "c")].sketch, first);
	assert_in_range(world->rules[sl_ids_rules_find(world->table, "b")].sketch, 1, SLUICE_IDS_SKETCHES);
	assert_int_not_equal(world->rules[sl_ids_rules_find(world->table, "b")].sketch, first);
	assert_int_equal(world->rules[sl_ids_rules_find(world->table, "d")].sketch, 0);
	ids_world_apply_ok(world, "ids:\n" OUTSIDE("c", "1s") OUTSIDE("e", "3s") OUTSIDE("f", "1s"));
	assert_int_equal(world->rules[sl_ids_rules_find(world->table, "f")].sketch, first);
	assert_int_not_equal(world->rules[sl_ids_rules_find(world->table, "e")].sketch, first);
}

static int note_name(const struct sl_ids_view *view, void *user)
{
	char *text = user;

	sprintf(text + strlen(text), "%u:%s:%llu ", view->place, view->image->name,
		(unsigned long long)view->image->limit[0].count);
	return 0;
}

static void lists_are_in_the_order_of_deciding(void **state)
{
	struct ids_world *world = *state;
	char text[256] = "";

	ids_world_apply_ok(world, "ids:\n" RULE("b", "1") RULE_FOR("a", "2", "subscribers: [\"" A "\"]")
					  RULE("a", "3"));
	ids_world_apply_ok(world, "ids:\n" RULE("c", "4") RULE("b", "1")
					  RULE_FOR("a", "2", "subscribers: [\"" A "\"]") RULE("a", "3"));
	assert_int_equal(sl_ids_rules_each(world->table, note_name, text), 0);
	assert_string_equal(text, "0:c:4 1:b:1 2:a:3 2:a:2 ");
	assert_int_equal(sl_ids_rules_find(world->table, "z"), SLUICE_NONE);
	for (uint32_t slot = 0; slot < SLUICE_IDS_RULES; slot++)
		if (sl_ids_rules_image(world->table, slot))
			assert_int_equal(sl_ids_rules_by_identity(world->table, world->rules[slot].identity),
					 slot);
}

/* --- anything ------------------------------------------------------------------------------- */

static void random_readings_are_each_seen_whole(void **state)
{
	static const char *const names[] = {"a", "b", "c", "d", "e"};
	struct ids_world *world = *state;

	srandom(4711);
	for (int round = 0; round < 300; round++) {
		char text[8192] = "ids:\n";
		size_t used = strlen(text);

		for (int i = 0; i < 5; i++) {
			const char *name = names[(unsigned int)(i + round) % 5];
			/* of the three subscribers each is in one place: 0 base, 1 and 2 overrides, 3 exempt
			 */
			unsigned int where[3] = {(unsigned int)random() % 4, (unsigned int)random() % 4,
						 (unsigned int)random() % 4};
			const bool has_base = random() % 4;
			unsigned int lists = has_base ? 0 : 1;

			if (random() % 3 == 0)
				continue;
			for (; lists < 3; lists++) {
				char list[128] = "";

				for (int k = 0; k < 3; k++)
					if (where[k] == (lists == 0 ? 3 : lists))
						sprintf(list + strlen(list), "%s\"%s\"", list[0] ? "," : "",
							ids_world_imsis[k]);
				if (lists > 0 && !list[0])
					continue;
				used += (size_t)snprintf(text + used, sizeof(text) - used,
							 "  - {name: %s, match: {protocol: %s}, track: "
							 "subscriber, limit: {count: %ld, "
							 "window: 1s}%s%s%s}\n",
							 name, random() % 2 ? "tcp" : "udp", 1 + random() % 3,
							 !list[0]     ? ""
							 : lists == 0 ? ", exempt: {subscribers: ["
								      : ", subscribers: [",
							 list,
							 !list[0]     ? ""
							 : lists == 0 ? "]}"
								      : "]");
			}
		}
		if (used == strlen("ids:\n"))
			snprintf(text, sizeof(text), "ids: []\n");
		ids_world_apply_watched(world, text);
		if (round % 17 == 0) {
			sl_ids_rules_close(world->table);
			ids_world_start(world);
		}
	}
	assert_true(world->checks > 10000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, ids_world_setup, ids_world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(rules_are_in_force_in_the_order_of_the_files),
		TEST(a_rule_that_is_the_same_keeps_slot_states_counts_and_blocks),
		TEST(a_rule_that_counts_something_else_has_another_revision_and_one_that_does_not_the_same),
		TEST(counts_go_on_over_changes_and_blocks_that_are_made_meanwhile_are_not_lost),
		TEST(blocks_end_where_what_is_tracked_or_done_is_another_thing),
		TEST(subscribers_have_rules_of_their_own_and_exemptions),
		TEST(a_restart_finds_the_rules_in_force_and_the_same_files_change_nothing),
		TEST(more_rules_than_fit_beside_each_other_are_changed_with_an_interruption_that_is_told),
		TEST(what_does_not_fit_leaves_the_rules_before_in_force),
		TEST(rules_of_one_window_share_a_filter_and_others_have_their_own),
		TEST(lists_are_in_the_order_of_deciding),
		TEST(random_readings_are_each_seen_whole),
	};

	sl_log_set_level(SL_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
