// SPDX-License-Identifier: Apache-2.0
/* Which class a session gets where packets of another one may still be waiting with its mark. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "session_world.h"

#define MBIT 1000000ull

static const struct sl_control_apn apns[] = {{.name = "a", .vlan = 100}, {.name = "b", .vlan = 200}};
static const struct rule_spec plain = {.id = "plain", .version = 1, .precedence = 20};
static const struct rule_spec other = {.id = "other", .version = 1, .precedence = 30};

static void start(struct world *world, bool adopted, enum sl_rate_backend backend, uint32_t classes,
		  uint32_t trees)
{
	struct sl_datapath_limits limits = fixture_config().limits;

	world_start_with_trees(
		world, adopted,
		&(struct sl_control_config){
			.keep_retired = true, .backend = backend, .apns = apns, .apn_count = 2},
		&limits, classes, trees);
}

/* One rule with an uplink MBR (or none), below an uplink AMBR (or none). What the rule came to. */
static int ask(struct world *world, const char *imsi, const char *address, const char *apn,
	       const struct rule_spec *rule, uint64_t mbr, uint64_t ambr)
{
	struct activation activation;
	struct sl_error err = {{0}};
	int rc;

	world_fill(&activation, imsi, address, rule, rule ? 1 : 0);
	snprintf(activation.session.apn, sizeof(activation.session.apn), "%s", apn);
	activation.rules[0].mbr[SLUICE_UPLINK] = mbr;
	activation.session.has_ambr = ambr != 0;
	activation.session.ambr[SLUICE_UPLINK] = ambr;
	rc = sl_control_activate(world->control, &activation.session, &err);
	return rc < 0 || !rule ? rc : activation.requests[0].result;
}

static void activate(struct world *world, const char *imsi, const char *address, const char *apn)
{
	assert_int_equal(ask(world, imsi, address, apn, &plain, MBIT, 0), 0);
}

static void end(struct world *world, const char *imsi, const char *address)
{
	world_deactivate(world, imsi, address, NULL, true);
	sl_grace_drain(world->grace);
}

static uint16_t class_of(struct world *world, const char *address)
{
	return world_policy(world, address)->binding[0].uplink_class;
}

static struct sluice_mark *mark(struct world *world, uint16_t minor)
{
	return &sl_datapath_maps(world->datapath)->marks[minor];
}

static void has_vlan(struct world *world, const char *address, uint32_t vlan)
{
	const struct sluice_policy *policy = world_policy(world, address);

	assert_int_equal(mark(world, SLUICE_MARK_APN + policy->apn)->vlan, vlan);
	for (uint32_t i = 0; i < policy->rules; i++)
		if (policy->binding[i].uplink_class)
			assert_int_equal(mark(world, policy->binding[i].uplink_class)->vlan, vlan);
}

/* As if the class had been released so long ago. */
static void released_before(struct world *world, uint16_t minor, uint32_t seconds)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	assert_in_range(mark(world, minor)->unused_s, now.tv_sec - 60, now.tv_sec);
	mark(world, minor)->unused_s = (uint32_t)now.tv_sec - seconds;
}

static void a_class_that_was_in_one_vlan_goes_into_another_after_five_seconds_and_not_before(void **state)
{
	struct world world;
	uint16_t minor;

	(void)state;
	start(&world, false, SL_RATE_AUTO, 1, 0);
	activate(&world, IMSI_A, ADDRESS_A, "a");
	minor = class_of(&world, ADDRESS_A);
	assert_int_not_equal(minor, 0);
	assert_int_equal(mark(&world, minor)->unused_s, SLUICE_MARK_IN_USE);
	end(&world, IMSI_A, ADDRESS_A);
	assert_int_equal(mark(&world, minor)->vlan, 100);
	activate(&world, IMSI_B, ADDRESS_B, "b");
	assert_int_equal(class_of(&world, ADDRESS_B), 0);
	has_vlan(&world, ADDRESS_B, 200);
	assert_int_equal(mark(&world, minor)->vlan, 100);
	end(&world, IMSI_B, ADDRESS_B);
	/* in its own VLAN at once */
	activate(&world, IMSI_A, ADDRESS_A, "a");
	assert_int_equal(class_of(&world, ADDRESS_A), minor);
	end(&world, IMSI_A, ADDRESS_A);

	released_before(&world, minor, 4);
	activate(&world, IMSI_B, ADDRESS_B, "b");
	assert_int_equal(class_of(&world, ADDRESS_B), 0);
	end(&world, IMSI_B, ADDRESS_B);
	released_before(&world, minor, 7);
	activate(&world, IMSI_B, ADDRESS_B, "b");
	assert_int_equal(class_of(&world, ADDRESS_B), minor);
	has_vlan(&world, ADDRESS_B, 200);
	/* no VLAN is one, too */
	end(&world, IMSI_B, ADDRESS_B);
	activate(&world, IMSI_A, ADDRESS_A, "c");
	assert_int_equal(class_of(&world, ADDRESS_A), 0);
	end(&world, IMSI_A, ADDRESS_A);
	world_stop(&world);
}

static void
where_only_queues_will_do_a_rule_is_refused_rather_than_put_into_a_class_of_another_vlan(void **state)
{
	struct world world;
	uint16_t minor;

	(void)state;
	start(&world, false, SL_RATE_SHAPE, 1, 0);
	activate(&world, IMSI_A, ADDRESS_A, "a");
	minor = class_of(&world, ADDRESS_A);
	end(&world, IMSI_A, ADDRESS_A);
	assert_int_equal(ask(&world, IMSI_B, ADDRESS_B, "b", &plain, MBIT, 0), -ENOSPC);
	released_before(&world, minor, 7);
	activate(&world, IMSI_B, ADDRESS_B, "b");
	assert_int_equal(class_of(&world, ADDRESS_B), minor);
	world_stop(&world);
}

static void of_free_classes_the_one_that_was_in_the_vlan_is_taken(void **state)
{
	struct world world;
	uint16_t in_a, in_b;

	(void)state;
	start(&world, false, SL_RATE_AUTO, 16, 0);
	activate(&world, IMSI_A, ADDRESS_A, "a");
	activate(&world, IMSI_B, ADDRESS_B, "b");
	in_a = class_of(&world, ADDRESS_A);
	in_b = class_of(&world, ADDRESS_B);
	end(&world, IMSI_A, ADDRESS_A);
	end(&world, IMSI_B, ADDRESS_B);
	activate(&world, IMSI_A, ADDRESS_A, "b");
	activate(&world, IMSI_B, ADDRESS_B, "a");
	assert_int_equal(class_of(&world, ADDRESS_A), in_b);
	assert_int_equal(class_of(&world, ADDRESS_B), in_a);
	world_stop(&world);
}

static void a_change_of_apn_takes_another_class_and_leaves_the_mark_of_the_old_one(void **state)
{
	struct world world;
	uint16_t minor;

	(void)state;
	start(&world, false, SL_RATE_AUTO, 16, 0);
	activate(&world, IMSI_A, ADDRESS_A, "a");
	minor = class_of(&world, ADDRESS_A);
	/* for a rule that the request does not name, too */
	assert_int_equal(ask(&world, IMSI_A, ADDRESS_A, "b", &other, MBIT, 0), 0);
	assert_int_equal(world_policy(&world, ADDRESS_A)->rules, 2);
	for (int i = 0; i < 2; i++) {
		assert_int_not_equal(world_policy(&world, ADDRESS_A)->binding[i].uplink_class, 0);
		assert_int_not_equal(world_policy(&world, ADDRESS_A)->binding[i].uplink_class, minor);
	}
	has_vlan(&world, ADDRESS_A, 200);
	sl_grace_drain(world.grace);
	assert_int_equal(mark(&world, minor)->vlan, 100);
	assert_int_not_equal(mark(&world, minor)->unused_s, SLUICE_MARK_IN_USE);
	world_stop(&world);
}

static void a_change_of_apn_without_a_free_class_polices_or_is_refused_whole(void **state)
{
	static const enum sl_rate_backend backends[] = {SL_RATE_AUTO, SL_RATE_SHAPE};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		bool shape = backends[i] == SL_RATE_SHAPE;
		struct world world;
		uint16_t minor;

		start(&world, false, backends[i], 1, 0);
		activate(&world, IMSI_A, ADDRESS_A, "a");
		minor = class_of(&world, ADDRESS_A);
		assert_int_equal(ask(&world, IMSI_A, ADDRESS_A, "b", NULL, 0, 0), shape ? -ENOSPC : 0);
		assert_int_equal(class_of(&world, ADDRESS_A), shape ? minor : 0);
		has_vlan(&world, ADDRESS_A, shape ? 100 : 200);
		assert_int_equal(mark(&world, minor)->vlan, 100);
		end(&world, IMSI_A, ADDRESS_A);
		world_acknowledge_all(&world);
		world_stop(&world);
		fixture_no_devices(state);
		fixture_devices(state);
	}
}

static void a_crash_lets_no_class_go_into_another_vlan_early(void **state)
{
	struct world world;
	uint16_t minor;

	(void)state;
	start(&world, false, SL_RATE_AUTO, 1, 0);
	activate(&world, IMSI_A, ADDRESS_A, "a");
	minor = class_of(&world, ADDRESS_A);
	/* nobody has noted the release */
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	world_stop(&world);
	start(&world, true, SL_RATE_AUTO, 1, 0);
	activate(&world, IMSI_B, ADDRESS_B, "b");
	assert_int_equal(class_of(&world, ADDRESS_B), 0);
	end(&world, IMSI_B, ADDRESS_B);
	released_before(&world, minor, 7);
	activate(&world, IMSI_B, ADDRESS_B, "b");
	assert_int_equal(class_of(&world, ADDRESS_B), minor);
	world_stop(&world);
	/* what is in use stays so; what nobody ever had is free for all at once */
	start(&world, true, SL_RATE_AUTO, 2, 0);
	assert_int_equal(mark(&world, minor)->unused_s, SLUICE_MARK_IN_USE);
	activate(&world, IMSI_A, ADDRESS_A, "a");
	assert_int_not_equal(class_of(&world, ADDRESS_A), 0);
	assert_int_not_equal(class_of(&world, ADDRESS_A), minor);
	has_vlan(&world, ADDRESS_A, 100);
	has_vlan(&world, ADDRESS_B, 200);
	world_stop(&world);
}

static uint16_t tree_of(struct world *world, const char *address)
{
	const struct sl_maps *maps = sl_datapath_maps(world->datapath);

	return maps->sessions[world_policy(world, address)->session].uplink_tree;
}

static void a_tree_rests_as_its_leaves_do_and_is_left_when_the_apn_changes(void **state)
{
	struct world world;
	uint16_t tree, leaf;

	(void)state;
	start(&world, false, SL_RATE_AUTO, 0, 2);
	assert_int_equal(ask(&world, IMSI_A, ADDRESS_A, "a", &plain, MBIT, 2 * MBIT), 0);
	tree = tree_of(&world, ADDRESS_A);
	leaf = class_of(&world, ADDRESS_A);
	assert_int_not_equal(tree, 0);
	assert_int_equal(ask(&world, IMSI_A, ADDRESS_A, "b", NULL, 0, 0), 0);
	assert_int_not_equal(tree_of(&world, ADDRESS_A), 0);
	assert_int_not_equal(tree_of(&world, ADDRESS_A), tree);
	has_vlan(&world, ADDRESS_A, 200);
	sl_grace_drain(world.grace);
	/* only the first tree is free, and it has been in VLAN 100 */
	assert_int_equal(ask(&world, IMSI_B, ADDRESS_B, "b", &plain, MBIT, 2 * MBIT), 0);
	assert_int_equal(tree_of(&world, ADDRESS_B), 0);
	end(&world, IMSI_B, ADDRESS_B);
	assert_int_equal(ask(&world, IMSI_B, ADDRESS_B, "a", &plain, MBIT, 2 * MBIT), 0);
	assert_int_equal(tree_of(&world, ADDRESS_B), tree);
	end(&world, IMSI_B, ADDRESS_B);
	for (uint16_t i = 1; i <= SL_QOS_TREE_LEAVES; i++)
		if (mark(&world, tree + i)->unused_s)
			released_before(&world, tree + i, 7);
	assert_int_equal(mark(&world, leaf)->vlan, 100);
	assert_int_equal(ask(&world, IMSI_B, ADDRESS_B, "b", &plain, MBIT, 2 * MBIT), 0);
	assert_int_equal(tree_of(&world, ADDRESS_B), tree);
	has_vlan(&world, ADDRESS_B, 200);
	world_stop(&world);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_devices, fixture_no_devices)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_class_that_was_in_one_vlan_goes_into_another_after_five_seconds_and_not_before),
		TEST(where_only_queues_will_do_a_rule_is_refused_rather_than_put_into_a_class_of_another_vlan),
		TEST(of_free_classes_the_one_that_was_in_the_vlan_is_taken),
		TEST(a_change_of_apn_takes_another_class_and_leaves_the_mark_of_the_old_one),
		TEST(a_change_of_apn_without_a_free_class_polices_or_is_refused_whole),
		TEST(a_crash_lets_no_class_go_into_another_vlan_early),
		TEST(a_tree_rests_as_its_leaves_do_and_is_left_when_the_apn_changes),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
