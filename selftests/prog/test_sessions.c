// SPDX-License-Identifier: Apache-2.0
/*
 * Sessions on the real maps and queues: what an activation publishes, what a
 * failure leaves, what a restart finds, and that nothing is left over.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "datapath/ids_maps.h"
#include "session_world.h"

static const struct rule_spec two_rules[] = {
	{.id = "video", .version = 1, .precedence = 20, .mbr_downlink = 5000000, .remote = "45.10.0.0/24"},
	{.id = "block", .version = 3, .precedence = 10, .remote = "45.11.0.0/24", .action = SLUICE_DENY},
};

static int see_ids_dropped(const struct sl_session_view *view, void *user)
{
	*(struct sluice_counter *)user = view->ids_dropped;
	return 0;
}

static struct sluice_counter ids_dropped_of(struct world *world, const char *imsi)
{
	struct sluice_counter dropped = {.packets = UINT64_MAX};

	sl_control_each_session(world->control, imsi, 0, see_ids_dropped, &dropped);
	return dropped;
}

/* --- tests ---------------------------------------------------------------- */

static void an_activation_publishes_its_rules_in_order_of_precedence(void **state)
{
	struct world world;
	const struct sluice_policy *policy;
	const struct sluice_usage_owner *owners;

	(void)state;
	world_start(&world, false, false, 16);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, two_rules, 2);
	policy = world_policy(&world, ADDRESS_A);
	assert_non_null(policy);
	assert_int_equal(policy->rules, 2);
	assert_int_equal(policy->uplink_count, 2);
	owners = sl_datapath_maps(world.datapath)->usage_owners;
	assert_string_equal(owners[policy->binding[0].usage].rule_id, "block");
	assert_string_equal(owners[policy->binding[1].usage].rule_id, "video");
	assert_int_equal(policy->binding[0].downlink_class, 0);
	assert_true(policy->binding[1].downlink_class >= SLUICE_HTB_POOL_MINOR);
	assert_int_equal(sl_control_known_sessions(world.control), 1);
	assert_int_equal(sl_control_enforced_sessions(world.control), 1);
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	world_assert_nothing_used(&world);
	world_stop(&world);
}

static void rules_beyond_the_inline_bindings_go_to_the_overflow(void **state)
{
	struct rule_spec specs[10] = {0};
	char ids[10][8];
	struct world world;
	const struct sluice_policy *policy;
	const struct sluice_binding *overflow;

	(void)state;
	world_start(&world, false, false, 0);
	for (int i = 0; i < 10; i++) {
		snprintf(ids[i], sizeof(ids[i]), "r%d", i);
		specs[i] = (struct rule_spec){.id = ids[i], .version = 1, .precedence = (uint32_t)i};
	}
	world_activate_ok(&world, IMSI_A, ADDRESS_A, specs, 10);
	policy = world_policy(&world, ADDRESS_A);
	assert_int_equal(policy->rules, 10);
	overflow = &sl_datapath_maps(world.datapath)->bindings[policy->bindings];
	assert_string_equal(sl_datapath_maps(world.datapath)
				    ->usage_owners[overflow[9 - SLUICE_INLINE_BINDINGS].usage]
				    .rule_id,
			    "r9");
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	world_assert_nothing_used(&world);
	world_stop(&world);
}

static void sessions_with_equal_rules_share_their_match_lists(void **state)
{
	struct world world;

	(void)state;
	world_start(&world, false, false, 16);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, two_rules, 2);
	world_activate_ok(&world, IMSI_B, ADDRESS_B, two_rules, 2);
	assert_int_equal(world_used(&world, "rulesets"), 1);
	assert_int_equal(world_used(&world, "rules"), 2);
	assert_int_equal(world_policy(&world, ADDRESS_A)->uplink_block,
			 world_policy(&world, ADDRESS_B)->uplink_block);
	assert_int_not_equal(world_policy(&world, ADDRESS_A)->binding[0].usage,
			     world_policy(&world, ADDRESS_B)->binding[0].usage);
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	assert_int_equal(world_used(&world, "rulesets"), 1);
	world_deactivate(&world, IMSI_B, ADDRESS_B, NULL, true);
	world_assert_nothing_used(&world);
	world_stop(&world);
}

static void the_same_version_again_keeps_its_counts_and_takes_the_new_content(void **state)
{
	struct rule_spec changed = two_rules[0];
	struct sl_usage_record record;
	struct world world;
	uint16_t before;

	(void)state;
	world_start(&world, false, true, 16);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, two_rules, 2);
	before = world_policy(&world, ADDRESS_A)->binding[1].downlink_class;
	world_count_bytes(&world, world_policy(&world, ADDRESS_A)->binding[1].usage, 1000);
	changed.precedence = 5;
	changed.mbr_downlink = 8000000;
	world_activate_ok(&world, IMSI_A, ADDRESS_A, &changed, 1);
	/* it decides first now, in the same queue */
	assert_int_equal(world_policy(&world, ADDRESS_A)->rules, 2);
	assert_int_equal(world_policy(&world, ADDRESS_A)->binding[0].downlink_class, before);
	assert_true(world_find_record(&world, "video", 1, &record));
	assert_int_equal(record.usage.uplink.bytes, 1000);
	assert_false(record.retired);
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	world_acknowledge_all(&world);
	world_assert_nothing_used(&world);
	world_stop(&world);
}

static void a_new_version_counts_apart_and_the_old_one_waits_for_its_acknowledgement(void **state)
{
	struct rule_spec second = two_rules[0];
	struct sl_usage_record record;
	struct world world;

	(void)state;
	world_start(&world, false, true, 16);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, two_rules, 2);
	world_count_bytes(&world, world_policy(&world, ADDRESS_A)->binding[1].usage, 4352);
	second.version = 2;
	world_activate_ok(&world, IMSI_A, ADDRESS_A, &second, 1);
	assert_true(world_find_record(&world, "video", 1, &record));
	assert_true(record.retired);
	assert_int_equal(record.usage.uplink.bytes, 4352);
	assert_true(world_find_record(&world, "video", 2, &record));
	assert_int_equal(record.usage.uplink.bytes, 0);
	world_acknowledge_all(&world);
	assert_false(world_find_record(&world, "video", 1, &record));
	assert_true(world_find_record(&world, "video", 2, &record));
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	world_acknowledge_all(&world);
	world_assert_nothing_used(&world);
	world_stop(&world);
}

static void a_version_that_returns_before_its_acknowledgement_goes_on_counting(void **state)
{
	struct sl_usage_record record;
	struct world world;

	(void)state;
	world_start(&world, false, true, 16);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, two_rules, 2);
	world_count_bytes(&world, world_policy(&world, ADDRESS_A)->binding[1].usage, 777);
	world_deactivate(&world, IMSI_A, ADDRESS_A, "video", false);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, two_rules, 1);
	assert_true(world_find_record(&world, "video", 1, &record));
	assert_false(record.retired);
	assert_int_equal(record.usage.uplink.bytes, 777);
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	world_acknowledge_all(&world);
	world_assert_nothing_used(&world);
	world_stop(&world);
}

static void a_session_that_returns_before_its_acknowledgement_keeps_all_counts(void **state)
{
	struct sl_usage_record record;
	struct world world;

	(void)state;
	world_start(&world, false, true, 16);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, two_rules, 2);
	world_count_bytes(&world, world_policy(&world, ADDRESS_A)->default_usage, 55);
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	assert_null(world_policy(&world, ADDRESS_A));
	world_activate_ok(&world, IMSI_A, ADDRESS_A, two_rules, 2);
	assert_true(world_find_record(&world, SL_DEFAULT_DROP_RULE, 0, &record));
	assert_int_equal(record.usage.uplink.bytes, 55);
	assert_int_equal(world_used(&world, "sessions"), 1);
	assert_int_equal(world_used(&world, "usage"), 3);
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	world_acknowledge_all(&world);
	world_assert_nothing_used(&world);
	world_stop(&world);
}

static void one_rule_that_fails_leaves_the_others_in_force(void **state)
{
	struct rule_spec specs[] = {
		{.id = "good", .version = 1, .precedence = 1},
		{.id = "wrong-family", .version = 1, .precedence = 2, .remote = "2001:db8::/32"},
		{.id = "good", .version = 2, .precedence = 3},
		{.id = "last", .version = 1, .precedence = 4},
	};
	struct activation activation;
	struct world world;

	(void)state;
	world_start(&world, false, false, 0);
	assert_int_equal(world_activate(&world, &activation, IMSI_A, ADDRESS_A, specs, 4), 0);
	assert_int_equal(activation.requests[0].result, 0);
	assert_int_equal(activation.requests[1].result, -EAFNOSUPPORT);
	assert_int_equal(activation.requests[2].result, -EEXIST);
	assert_non_null(strstr(activation.requests[2].error.text, "good"));
	assert_int_equal(activation.requests[3].result, 0);
	assert_int_equal(world_policy(&world, ADDRESS_A)->rules, 2);
	assert_int_equal(world_used(&world, "usage"), 3);
	assert_int_equal(world_used(&world, "rules"), 2);
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	world_assert_nothing_used(&world);
	world_stop(&world);
}

static void a_rule_that_finds_the_class_pool_empty_fails_and_takes_nothing(void **state)
{
	struct rule_spec specs[] = {
		{.id = "a", .version = 1, .precedence = 1, .mbr_downlink = 1000000},
		{.id = "b", .version = 1, .precedence = 2, .mbr_downlink = 1000000},
		{.id = "c", .version = 1, .precedence = 3, .mbr_downlink = 1000000},
	};
	struct sl_qos_pool_status pool;
	struct activation activation;
	struct world world;

	(void)state;
	world_start(&world, false, false, 2);
	assert_int_equal(world_activate(&world, &activation, IMSI_A, ADDRESS_A, specs, 3), 0);
	assert_int_equal(activation.requests[2].result, -ENOSPC);
	sl_qos_pool_status(world.qos, SLUICE_DOWNLINK, &pool);
	assert_int_equal(pool.used, 2);
	assert_int_equal(world_used(&world, "usage"), 3);
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	world_assert_nothing_used(&world);
	world_stop(&world);
}

static void a_full_map_fails_the_activation_and_changes_nothing(void **state)
{
	struct rule_spec one = {.id = "r", .version = 1, .precedence = 1};
	uint32_t sessions = fixture_config().limits.sessions;
	struct activation activation;
	struct world world;
	char imsi[16], address[32];

	(void)state;
	world_start(&world, false, false, 0);
	for (uint32_t i = 0; i < sessions; i++) {
		snprintf(imsi, sizeof(imsi), "00101%010u", i);
		snprintf(address, sizeof(address), "10.%u.%u.%u", i >> 16 & 255, i >> 8 & 255, i & 255);
		world_activate_ok(&world, imsi, address, &one, 1);
	}
	assert_int_equal(world_activate(&world, &activation, IMSI_A, ADDRESS_A, &one, 1), -ENOSPC);
	assert_null(world_policy(&world, ADDRESS_A));
	assert_int_equal(world_used(&world, "sessions"), sessions);
	assert_int_equal(world_used(&world, "usage"), 2 * sessions);
	assert_int_equal(sl_control_enforced_sessions(world.control), sessions);
	world_stop(&world);
}

static void an_address_that_moves_to_another_subscriber_ends_the_first_session(void **state)
{
	struct sl_usage_record record;
	struct world world;

	(void)state;
	world_start(&world, false, true, 16);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, two_rules, 1);
	world_count_bytes(&world, world_policy(&world, ADDRESS_A)->binding[0].usage, 99);
	world_activate_ok(&world, IMSI_B, ADDRESS_A, two_rules + 1, 1);
	assert_int_equal(sl_control_known_sessions(world.control), 1);
	assert_int_equal(sl_control_enforced_sessions(world.control), 1);
	assert_true(world_find_record(&world, "video", 1, &record));
	assert_true(record.retired);
	assert_int_equal(record.usage.uplink.bytes, 99);
	/* a late end of the first session does not touch the second */
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	assert_non_null(world_policy(&world, ADDRESS_A));
	world_deactivate(&world, IMSI_B, ADDRESS_A, NULL, true);
	world_acknowledge_all(&world);
	world_assert_nothing_used(&world);
	world_stop(&world);
}

static void deactivation_touches_the_named_rules_of_the_named_session_only(void **state)
{
	struct world world;

	(void)state;
	world_start(&world, false, false, 16);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, two_rules, 2);
	world_activate_ok(&world, IMSI_A, ADDRESS_B, two_rules, 2);
	world_activate_ok(&world, IMSI_B, "192.168.128.12", two_rules, 2);
	world_deactivate(&world, IMSI_A, ADDRESS_A, "video", false);
	assert_int_equal(world_policy(&world, ADDRESS_A)->rules, 1);
	assert_int_equal(world_policy(&world, ADDRESS_B)->rules, 2);
	assert_int_equal(world_policy(&world, "192.168.128.12")->rules, 2);
	world_deactivate(&world, IMSI_A, ADDRESS_A, "unknown-rule", false);
	world_deactivate(&world, "999990000000009", ADDRESS_A, NULL, true);
	assert_int_equal(world_policy(&world, ADDRESS_A)->rules, 1);
	world_deactivate(&world, IMSI_A, NULL, NULL, true);
	assert_null(world_policy(&world, ADDRESS_A));
	assert_null(world_policy(&world, ADDRESS_B));
	assert_non_null(world_policy(&world, "192.168.128.12"));
	world_deactivate(&world, IMSI_B, "192.168.128.12", NULL, true);
	world_assert_nothing_used(&world);
	world_stop(&world);
}

static void setup_ends_in_exactly_the_requested_state_and_unchanged_counts_go_on(void **state)
{
	struct rule_spec wanted[] = {
		two_rules[0],
		{.id = "new", .version = 1, .precedence = 1},
	};
	struct activation activation;
	struct sl_usage_record record;
	struct sl_error err = {{0}};
	uint32_t refused = 0;
	struct world world;

	(void)state;
	world_start(&world, false, true, 16);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, two_rules, 2);
	world_activate_ok(&world, IMSI_B, ADDRESS_B, two_rules, 2);
	world_count_bytes(&world, world_policy(&world, ADDRESS_A)->binding[1].usage, 8704);
	world_fill(&activation, IMSI_A, ADDRESS_A, wanted, 2);
	assert_int_equal(sl_control_setup(world.control, &activation.session, 1, &refused, &err), 0);
	assert_null(world_policy(&world, ADDRESS_B));
	assert_int_equal(world_policy(&world, ADDRESS_A)->rules, 2);
	assert_true(world_find_record(&world, "video", 1, &record));
	assert_int_equal(record.usage.uplink.bytes, 8704);
	assert_true(world_find_record(&world, "new", 1, &record));
	world_acknowledge_all(&world);
	assert_int_equal(sl_control_setup(world.control, NULL, 0, &refused, &err), 0);
	world_acknowledge_all(&world);
	world_assert_nothing_used(&world);
	world_stop(&world);
}

static void a_restart_adopts_names_versions_counts_and_classes(void **state)
{
	struct sl_qos_pool_status pool;
	struct sl_usage_record record;
	struct sluice_policy before;
	struct world world;

	(void)state;
	world_start(&world, false, true, 16);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, two_rules, 2);
	world_activate_ok(&world, IMSI_B, "2001:db8:1::5", two_rules + 1, 0);
	world_count_bytes(&world, world_policy(&world, ADDRESS_A)->binding[1].usage, 12345);
	world_deactivate(&world, IMSI_A, ADDRESS_A, "block", false);
	before = *world_policy(&world, ADDRESS_A);
	world_stop(&world);

	world_start(&world, true, true, 16);
	assert_int_equal(sl_control_known_sessions(world.control), 2);
	assert_memory_equal(world_policy(&world, ADDRESS_A), &before, sizeof(before));
	assert_true(world_find_record(&world, "video", 1, &record));
	assert_int_equal(record.usage.uplink.bytes, 12345);
	assert_false(record.retired);
	/* what was retired and never acknowledged still is */
	assert_true(world_find_record(&world, "block", 3, &record));
	assert_true(record.retired);
	sl_qos_pool_status(world.qos, SLUICE_DOWNLINK, &pool);
	assert_int_equal(pool.used, 1);
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	world_deactivate(&world, IMSI_B, NULL, NULL, true);
	world_acknowledge_all(&world);
	world_assert_nothing_used(&world);
	world_stop(&world);
}

/* What a crash leaves: written, but the endpoint does not lead there. */
static void a_restart_forgets_what_was_never_published(void **state)
{
	struct sluice_usage_owner *owner;
	struct sluice_session_record *record;
	struct sl_maps *maps;
	struct world world;

	(void)state;
	world_start(&world, false, true, 0);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, two_rules + 1, 1);
	maps = sl_datapath_maps(world.datapath);
	maps->rules[7].in_use = 1;
	strcpy(maps->rules[7].id, "half-written");
	record = &maps->sessions[9];
	record->state = SLUICE_SESSION_ACTIVE;
	record->family = 4;
	strcpy(record->imsi, IMSI_B);
	owner = &maps->usage_owners[11];
	strcpy(owner->imsi, IMSI_B);
	owner->session = 9;
	owner->rule = 7;
	world_stop(&world);

	world_start(&world, true, true, 0);
	assert_int_equal(sl_control_known_sessions(world.control), 1);
	assert_int_equal(world_used(&world, "sessions"), 1);
	assert_int_equal(world_used(&world, "rules"), 1);
	assert_int_equal(world_used(&world, "usage"), 2);
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	world_acknowledge_all(&world);
	world_assert_nothing_used(&world);
	world_stop(&world);
}

static void a_restart_repairs_a_policy_that_does_not_match_its_rules(void **state)
{
	struct sl_maps *maps;
	struct world world;

	(void)state;
	world_start(&world, false, true, 0);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, two_rules + 1, 1);
	maps = sl_datapath_maps(world.datapath);
	maps->matches4[world_policy(&world, ADDRESS_A)->uplink_block].match[0].action = SLUICE_PERMIT;
	world_stop(&world);

	world_start(&world, true, true, 0);
	maps = sl_datapath_maps(world.datapath);
	assert_int_equal(maps->matches4[world_policy(&world, ADDRESS_A)->uplink_block].match[0].action,
			 SLUICE_DENY);
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	world_acknowledge_all(&world);
	world_assert_nothing_used(&world);
	world_stop(&world);
}

static void a_rule_whose_hard_timeout_has_passed_leaves_its_session_with_final_usage(void **state)
{
	struct rule_spec specs[] = {
		{.id = "stays", .version = 1, .precedence = 1},
		{.id = "passing", .version = 1, .precedence = 2, .hard_timeout_s = 1},
	};
	struct sl_usage_record record;
	struct world world;

	(void)state;
	world_start(&world, false, true, 0);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, specs, 2);
	world_count_bytes(&world, world_policy(&world, ADDRESS_A)->binding[1].usage, 40);
	sl_control_expire(world.control);
	assert_int_equal(world_policy(&world, ADDRESS_A)->rules, 2);
	/* a restart in between keeps the deadline */
	world_stop(&world);
	world_start(&world, true, true, 0);
	usleep(1100000);
	sl_control_expire(world.control);
	assert_int_equal(world_policy(&world, ADDRESS_A)->rules, 1);
	assert_true(world_find_record(&world, "passing", 1, &record));
	assert_true(record.retired);
	assert_int_equal(record.usage.uplink.bytes, 40);
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	world_acknowledge_all(&world);
	world_assert_nothing_used(&world);
	world_stop(&world);
}

static void ten_thousand_attach_and_detach_cycles_leave_nothing(void **state)
{
	struct world world;

	(void)state;
	world_start(&world, false, false, 256);
	for (int i = 0; i < 10000; i++) {
		world_activate_ok(&world, IMSI_A, ADDRESS_A, two_rules, 2);
		world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
		sl_grace_collect(world.grace);
		/* what waits for the grace period is bounded by the sizes of the maps */
		if (i % 200 == 199)
			sl_grace_drain(world.grace);
	}
	world_assert_nothing_used(&world);
	world_stop(&world);
}

static void a_session_begins_without_what_the_ids_dropped_of_the_one_before_in_its_slot(void **state)
{
	struct sluice_counter *dropped;
	uint32_t slot;
	struct world world;

	(void)state;
	world_start(&world, false, false, 16);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, two_rules, 1);
	slot = world_policy(&world, ADDRESS_A)->session;
	/* what bpf/ids.h writes */
	dropped = (struct sluice_counter *)&sl_ids_arrays(world.datapath)->dropped[slot];
	*dropped = (struct sluice_counter){.bytes = 5000, .packets = 7};
	assert_int_equal(ids_dropped_of(&world, IMSI_A).packets, 7);
	/* the same session with other rules, and over a restart of the agent */
	world_activate_ok(&world, IMSI_A, ADDRESS_A, two_rules, 2);
	assert_int_equal(ids_dropped_of(&world, IMSI_A).bytes, 5000);
	world_stop(&world);
	world_start(&world, true, false, 16);
	assert_int_equal(ids_dropped_of(&world, IMSI_A).packets, 7);

	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	world_assert_nothing_used(&world);
	world_activate_ok(&world, IMSI_B, ADDRESS_B, two_rules, 1);
	assert_int_equal(world_policy(&world, ADDRESS_B)->session, slot);
	assert_int_equal(ids_dropped_of(&world, IMSI_B).packets, 0);
	assert_int_equal(ids_dropped_of(&world, IMSI_B).bytes, 0);
	world_deactivate(&world, IMSI_B, ADDRESS_B, NULL, true);
	world_assert_nothing_used(&world);
	world_stop(&world);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_devices, fixture_no_devices)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_activation_publishes_its_rules_in_order_of_precedence),
		TEST(rules_beyond_the_inline_bindings_go_to_the_overflow),
		TEST(sessions_with_equal_rules_share_their_match_lists),
		TEST(the_same_version_again_keeps_its_counts_and_takes_the_new_content),
		TEST(a_new_version_counts_apart_and_the_old_one_waits_for_its_acknowledgement),
		TEST(a_version_that_returns_before_its_acknowledgement_goes_on_counting),
		TEST(a_session_that_returns_before_its_acknowledgement_keeps_all_counts),
		TEST(one_rule_that_fails_leaves_the_others_in_force),
		TEST(a_rule_that_finds_the_class_pool_empty_fails_and_takes_nothing),
		TEST(a_full_map_fails_the_activation_and_changes_nothing),
		TEST(an_address_that_moves_to_another_subscriber_ends_the_first_session),
		TEST(deactivation_touches_the_named_rules_of_the_named_session_only),
		TEST(setup_ends_in_exactly_the_requested_state_and_unchanged_counts_go_on),
		TEST(a_restart_adopts_names_versions_counts_and_classes),
		TEST(a_restart_forgets_what_was_never_published),
		TEST(a_restart_repairs_a_policy_that_does_not_match_its_rules),
		TEST(a_rule_whose_hard_timeout_has_passed_leaves_its_session_with_final_usage),
		TEST(ten_thousand_attach_and_detach_cycles_leave_nothing),
		TEST(a_session_begins_without_what_the_ids_dropped_of_the_one_before_in_its_slot),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
