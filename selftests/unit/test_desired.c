// SPDX-License-Identifier: Apache-2.0
/* Which rules a session should have at a time, and what was put into it: without a clock and without
 * sessions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "desired/model.h"
#include "policy_files.h"

#define RULES 16

struct plan {
	struct sl_desired_subscriber subscriber;
	struct sl_scope scopes[3];
	struct sl_desired_rule entries[3][RULES];
	struct sl_rule storage[3][RULES];
};

/* Scope 0: the subscriber's; 1: APN internet; 2: APN ims. */
static void plan_init(struct plan *plan)
{
	static const char *const apns[] = {"", "internet", "ims"};

	memset(plan, 0, sizeof(*plan));
	for (int i = 0; i < 3; i++) {
		plan->scopes[i].subscriber_wide = i == 0;
		strcpy(plan->scopes[i].apn, apns[i]);
		plan->scopes[i].rules = plan->entries[i];
		LL_APPEND(plan->subscriber.scopes, &plan->scopes[i]);
	}
}

static void add(struct plan *plan, int scope, const char *id, uint32_t precedence, uint64_t from,
		uint64_t until)
{
	size_t at = plan->scopes[scope].rule_count++;
	struct sl_rule *rule = &plan->storage[scope][at];

	strcpy(rule->id, id);
	rule->precedence = precedence;
	plan->entries[scope][at] = (struct sl_desired_rule){.rule = rule, .from_ns = from, .until_ns = until};
}

static void add_name(struct plan *plan, int scope, const char *name)
{
	plan->entries[scope][plan->scopes[scope].rule_count++] = (struct sl_desired_rule){.name = name};
}

/* "id:precedence ..." */
static void assert_wanted(const struct plan *plan, const struct sl_catalog *catalog, const char *apn,
			  uint64_t now, const char *wanted)
{
	const struct sl_rule *rules[SLUICE_RULES_PER_SESSION];
	char text[512] = "";
	size_t count;

	assert_int_equal(sl_wanted_rules(&plan->subscriber, catalog, apn, now, rules, &count), 0);
	for (size_t i = 0; i < count; i++)
		sprintf(text + strlen(text), "%s%s:%u", i ? " " : "", rules[i]->id, rules[i]->precedence);
	assert_string_equal(text, wanted);
}

static void a_session_gets_the_rules_of_its_apn_and_of_its_subscriber(void **state)
{
	struct plan plan;

	(void)state;
	plan_init(&plan);
	add(&plan, 0, "all", 1, 0, 0);
	add(&plan, 1, "web", 2, 0, 0);
	add(&plan, 2, "voice", 3, 0, 0);
	assert_wanted(&plan, NULL, "internet", 100, "all:1 web:2");
	assert_wanted(&plan, NULL, "Internet", 100, "all:1 web:2");
	assert_wanted(&plan, NULL, "ims", 100, "all:1 voice:3");
	assert_wanted(&plan, NULL, "other", 100, "all:1");
	assert_wanted(&plan, NULL, "", 100, "all:1");
}

static void an_empty_apn_is_a_scope_of_its_own(void **state)
{
	struct plan plan;

	(void)state;
	plan_init(&plan);
	strcpy(plan.scopes[1].apn, "");
	add(&plan, 1, "unnamed", 1, 0, 0);
	assert_wanted(&plan, NULL, "", 100, "unnamed:1");
	assert_wanted(&plan, NULL, "ims", 100, "");
}

static void of_one_id_the_apns_rule_comes_first_and_then_the_first_in_the_list(void **state)
{
	struct plan plan;

	(void)state;
	plan_init(&plan);
	add(&plan, 0, "same", 1, 0, 0);
	add(&plan, 1, "same", 2, 0, 0);
	add(&plan, 1, "same", 3, 0, 0);
	assert_wanted(&plan, NULL, "internet", 100, "same:2");
	assert_wanted(&plan, NULL, "ims", 100, "same:1");
}

static void a_rule_is_wanted_from_its_first_moment_until_before_its_last(void **state)
{
	struct plan plan;

	(void)state;
	plan_init(&plan);
	add(&plan, 0, "window", 1, 100, 200);
	add(&plan, 0, "from", 2, 150, 0);
	add(&plan, 0, "until", 3, 0, 150);
	assert_wanted(&plan, NULL, "", 99, "until:3");
	assert_wanted(&plan, NULL, "", 100, "until:3 window:1");
	assert_wanted(&plan, NULL, "", 149, "until:3 window:1");
	assert_wanted(&plan, NULL, "", 150, "from:2 window:1");
	assert_wanted(&plan, NULL, "", 199, "from:2 window:1");
	assert_wanted(&plan, NULL, "", 200, "from:2");
	assert_int_equal(sl_wanted_next(&plan.subscriber, 0), 100);
	assert_int_equal(sl_wanted_next(&plan.subscriber, 99), 100);
	assert_int_equal(sl_wanted_next(&plan.subscriber, 100), 150);
	assert_int_equal(sl_wanted_next(&plan.subscriber, 150), 200);
	assert_true(sl_wanted_next(&plan.subscriber, 200) == UINT64_MAX);
}

static void a_rule_that_is_over_lets_the_next_of_its_id_come(void **state)
{
	struct plan plan;

	(void)state;
	plan_init(&plan);
	add(&plan, 0, "same", 1, 0, 0);
	add(&plan, 1, "same", 2, 0, 100);
	assert_wanted(&plan, NULL, "internet", 99, "same:2");
	assert_wanted(&plan, NULL, "internet", 100, "same:1");
}

static void a_base_name_is_what_the_catalogue_says_now(void **state)
{
	struct sl_catalog *catalog = NULL;
	struct plan plan;

	plan_init(&plan);
	add_name(&plan, 0, "media");
	add_name(&plan, 1, "voice");
	assert_wanted(&plan, NULL, "internet", 1, "");
	policy_files_write(*state, "a.yaml",
			   "rules: [{id: voice, precedence: 1, flows: [{}]},\n"
			   "  {id: video, precedence: 2, flows: [{}]}]\n"
			   "base_names: {media: [voice, video]}\n");
	assert_int_equal(sl_catalog_load(((struct policy_files *)*state)->path, NULL, &catalog, NULL), 0);
	assert_wanted(&plan, catalog, "internet", 1, "video:2 voice:1");
	assert_wanted(&plan, catalog, "ims", 1, "video:2 voice:1");
	sl_catalog_free(catalog);
}

static void more_rules_than_a_session_can_have_are_left_out(void **state)
{
	const struct sl_rule *rules[SLUICE_RULES_PER_SESSION];
	size_t total = SLUICE_RULES_PER_SESSION + 10, count = 0;
	_cleanup_free_ struct sl_desired_rule *entries = calloc(total, sizeof(*entries));
	_cleanup_free_ struct sl_rule *storage = calloc(total, sizeof(*storage));
	struct plan plan;

	(void)state;
	plan_init(&plan);
	for (size_t i = 0; i < total; i++) {
		snprintf(storage[i].id, sizeof(storage[i].id), "r%zu", i);
		entries[i].rule = &storage[i];
	}
	plan.scopes[0].rules = entries;
	plan.scopes[0].rule_count = total;
	assert_int_equal(sl_wanted_rules(&plan.subscriber, NULL, "", 1, rules, &count), 0);
	assert_int_equal(count, SLUICE_RULES_PER_SESSION);
}

static void a_redirect_is_the_same_whatever_its_servers_addresses_are(void **state)
{
	struct sluice_flow flows[2] = {{.direction = SLUICE_UPLINK}, {.direction = SLUICE_DOWNLINK}};
	struct sl_rule wanted = {
		.id = "r", .redirect = SLUICE_REDIRECT_IPV4, .redirect_address = "192.0.2.1"};
	struct sl_rule installed = wanted;

	(void)state;
	installed.flows = flows;
	installed.flow_count = 2;
	assert_true(sl_wanted_equal(&wanted, &installed));
	strcpy(installed.redirect_address, "192.0.2.2");
	assert_false(sl_wanted_equal(&wanted, &installed));
	wanted = (struct sl_rule){.id = "r", .flows = flows, .flow_count = 1};
	installed = (struct sl_rule){.id = "r", .flows = flows, .flow_count = 2};
	assert_false(sl_wanted_equal(&wanted, &installed));
}

static void tracks_are_found_by_id_and_those_of_gone_rules_give_way(void **state)
{
	struct sl_desired_subscriber subscriber = {.imsi = "001010000000001"};
	struct sl_address address = {.family = 4, .bytes = {10, 0, 0, 1}};
	struct sl_tracked *tracked = sl_tracked_make(&subscriber, &address);
	char id[16];

	(void)state;
	assert_ptr_equal(sl_tracked_make(&subscriber, &address), tracked);
	for (int i = 0; i < 4 * SLUICE_RULES_PER_SESSION; i++) {
		snprintf(id, sizeof(id), "r%d", i);
		sl_track_make(tracked, id)->version = (uint32_t)i;
	}
	assert_int_equal(sl_track_find(tracked, "r77")->version, 77);
	sl_track_find(tracked, "r77")->owned = true;
	assert_null(sl_track_find(tracked, "another"));
	assert_non_null(sl_track_make(tracked, "another"));
	assert_int_equal(tracked->count, 2);
	assert_int_equal(sl_track_find(tracked, "r77")->version, 77);
	sl_tracked_free(tracked);
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_session_gets_the_rules_of_its_apn_and_of_its_subscriber),
		TEST(an_empty_apn_is_a_scope_of_its_own),
		TEST(of_one_id_the_apns_rule_comes_first_and_then_the_first_in_the_list),
		TEST(a_rule_is_wanted_from_its_first_moment_until_before_its_last),
		TEST(a_rule_that_is_over_lets_the_next_of_its_id_come),
		cmocka_unit_test_setup_teardown(a_base_name_is_what_the_catalogue_says_now,
						policy_files_setup, policy_files_teardown),
		TEST(more_rules_than_a_session_can_have_are_left_out),
		TEST(a_redirect_is_the_same_whatever_its_servers_addresses_are),
		TEST(tracks_are_found_by_id_and_those_of_gone_rules_give_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
