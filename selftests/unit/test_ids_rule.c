// SPDX-License-Identifier: Apache-2.0
/* IDS rules beside each other in the policy directory, and the arithmetic of their limits. */
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

/* --- the directory ------------------------------------------------------------------------- */

static void assert_refused(struct ids_world *world, const char *text, const char *reason)
{
	struct sl_catalog *catalog = NULL;
	struct sl_error err = {""};

	policy_files_write(world->files, "a.yaml", text);
	assert_int_equal(
		sl_catalog_load_with(world->files->path, ids_world_access, ids_world_parts, &catalog, &err),
		-EINVAL);
	if (!strstr(err.text, reason))
		fail_msg("\"%s\" is not \"%s\"", err.text, reason);
}

static void what_rules_say_of_each_other_is_checked_when_all_files_are_read(void **state)
{
	struct ids_world *world = *state;
	struct sl_catalog *catalog;

	assert_refused(
		world, "ids:\n" RULE("one", "1") RULE("one", "2"),
		"a.yaml:3: ids[1].name: \"one\" is an IDS rule in a.yaml:2 already; allowed: a name once, "
		"and again with subscribers");
	assert_refused(world,
		       "ids:\n" RULE_FOR("one", "1", "subscribers: [\"" A "\"]")
			       RULE_FOR("one", "2", "subscribers: [\"" B "\", \"" A "\"]"),
		       "a.yaml:3: ids[1].subscribers: \"" A "\" is in a list of the rule in a.yaml:2, too");
	assert_refused(world,
		       "ids:\n" RULE_FOR("one", "1", "exempt: {subscribers: [\"" A "\"]}")
			       RULE_FOR("one", "2", "subscribers: [\"" A "\"]"),
		       "a.yaml:3: ids[1].subscribers: \"" A "\" is in a list of the rule in a.yaml:2, too");
	assert_refused(
		world,
		"ids:\n" RULE_FOR("one", "1", "verdict: quarantine, quarantine: [none], block: {hard: 1h}"),
		"a.yaml:2: ids[0].quarantine[0]: \"none\" is no rule of the directory; allowed: a rule or a "
		"base name");
	assert_refused(world, "ids:\n" RULE_FOR("one", "1", "verdict: mirror, mirror: access0"),
		       "a.yaml:2: ids[0].mirror: 'access0' is an access interface of this agent");
	assert_refused(world,
		       "ids:\n" OUTSIDE("a", "1s") OUTSIDE("b", "2s") OUTSIDE("c", "3s") OUTSIDE("d", "4s")
			       OUTSIDE("e", "5s") OUTSIDE("f", "6s") OUTSIDE("g", "7s") OUTSIDE("h", "8s")
				       OUTSIDE("i", "9s"),
		       "a.yaml:10: ids[8].limit: one more window of rules that track addresses from outside");
	/* a rule with an error takes IDS rules down with it, and the other way round */
	assert_refused(world, "ids:\n" RULE("one", "1") "rules: [{id: bad}]\n", "a.yaml:3: rules[0]: ");
	assert_refused(world, "rules: [{id: good, flows: [{}]}]\nids: [{}]\n",
		       "a.yaml:2: ids[0]: the key name");
	catalog = ids_world_load(
		world,
		"rules: [{id: closed, action: deny, flows: [{}]}]\nbase_names: {shut: [closed]}\n"
		"ids:\n" RULE_FOR("one", "1", "verdict: quarantine, quarantine: [shut], block: {hard: 1h}"));
	assert_non_null(sl_catalog_rule(catalog, "closed"));
	assert_int_equal(((const struct sl_ids_rules *)sl_catalog_content(catalog, &sl_ids_section))->count,
			 1);
	assert_null(sl_catalog_content(NULL, &sl_ids_section));
	sl_catalog_free(catalog);
}

/* --- arithmetic ------------------------------------------------------------------------------- */

static void a_bucket_passes_what_it_says_and_never_more(void **state)
{
	(void)state;
	srandom(42);
	for (int round = 0; round < 200000; round++) {
		uint64_t window = (1 + (uint64_t)random() % 86400000) * 1000000, interval = 0;
		uint64_t count = 1 + (uint64_t)random() % (1ull << (random() % 40));
		uint64_t burst = 1 + (uint64_t)random() % (1ull << (random() % 40));
		unsigned __int128 exact = (unsigned __int128)window * 1024;
		int rc = sl_ids_bucket_interval(window, count, burst, &interval);

		if (rc < 0) {
			/* only for what the clock cannot hold */
			assert_true((exact + count - 1) / count * burst > 1ull << 62 || exact < count);
			continue;
		}
		/* count units take the window at least, and one tick a unit more at most */
		assert_true((unsigned __int128)interval * count >= exact);
		assert_true((unsigned __int128)interval * count < exact + count);
		assert_true((unsigned __int128)interval * burst <= 1ull << 62);
	}
	assert_int_equal(sl_ids_bucket_interval(1000000, 0, 1, &(uint64_t){0}), -ERANGE);
}

static void distinct_values_set_the_bits_that_arithmetic_says(void **state)
{
	static const uint32_t counts[] = {1, 5, 25, 64, 200, 500, 1000, 2048};
	bool set[SLUICE_IDS_SET_BITS];

	(void)state;
	srandom(7);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		uint64_t sum = 0;
		uint32_t bits = sl_ids_distinct_bits(counts[i]);

		for (int round = 0; round < 400; round++) {
			memset(set, 0, sizeof(set));
			for (uint32_t n = 0; n < counts[i]; n++) {
				uint32_t bit = (uint32_t)random() % SLUICE_IDS_SET_BITS;

				sum += !set[bit];
				set[bit] = true;
			}
		}
		/* the average of 400 is within one bit and a little */
		assert_in_range(bits, sum / 400 > 2 ? sum / 400 - 2 : 0, sum / 400 + 2);
		assert_in_range(sl_ids_distinct_estimate(bits), counts[i] - counts[i] / 100 - 1,
				counts[i] + counts[i] / 100 + 1);
	}
	for (uint32_t n = 1; n < SL_IDS_DISTINCT_MAX; n++)
		assert_true(sl_ids_distinct_bits(n) >= sl_ids_distinct_bits(n - 1));
	assert_int_equal(sl_ids_distinct_bits(25), 25);
}

/* The block of the guide that begins with this line; the caller frees it. */
static char *from_guide(const char *begin)
{
	FILE *file = fopen("docs/operations.md", "r");
	char *text = calloc(1, 1 << 16), line[1024];
	bool inside = false;

	assert_non_null(file);
	assert_non_null(text);
	while (fgets(line, sizeof(line), file)) {
		if (inside && strcmp(line, "```\n") == 0)
			break;
		inside = inside || strcmp(line, begin) == 0;
		if (inside)
			strcat(text, line);
		assert_true(strlen(text) < (1 << 16) - sizeof(line));
	}
	fclose(file);
	return text;
}

static void the_examples_of_the_guide_are_good(void **state)
{
	struct ids_world *world = *state;
	char *text = from_guide("ids:\n");
	const struct sl_ids_rule *rule;

	assert_int_equal(ids_world_apply_ok(world, text).added, 4);
	free(text);
	rule = sl_ids_rules_at(world->table, sl_ids_rules_find(world->table, "port-scan"));
	assert_int_equal(rule->image.limit[0].burst, sl_ids_distinct_bits(25));
	assert_int_equal(rule->match[0].terms.which, SLUICE_TERM_TCP_FLAGS);
	rule = sl_ids_rules_at(world->table, sl_ids_rules_find(world->table, "syn-flood"));
	assert_int_equal(rule->image.prefix4, 24);
	rule = sl_ids_rules_at(world->table, sl_ids_rules_find(world->table, "many-connections"));
	assert_int_equal(rule->police, 1000000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, ids_world_setup, ids_world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_rules_say_of_each_other_is_checked_when_all_files_are_read),
		TEST(the_examples_of_the_guide_are_good),
		cmocka_unit_test(a_bucket_passes_what_it_says_and_never_more),
		cmocka_unit_test(distinct_values_set_the_bits_that_arithmetic_says),
	};

	sl_log_set_level(SL_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
