// SPDX-License-Identifier: Apache-2.0
/* Sessions whose match lists are trees: over a restart, over damage, and when a map has no room for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "session_world.h"

#define RULES 16

static const struct sl_datapath_limits tight = {
	.sessions = 64, .usage = 512, .rules = 32, .flows = 64, .matches = 5, .bindings = 256};

/* Rule i permits 45.10.i.0/24, both ways. */
static void make_rules(struct rule_spec specs[RULES], char texts[RULES][2][16])
{
	for (int i = 0; i < RULES; i++) {
		snprintf(texts[i][0], sizeof(texts[i][0]), "r%d", i);
		snprintf(texts[i][1], sizeof(texts[i][1]), "45.10.%d.0/24", i);
		specs[i] = (struct rule_spec){
			.id = texts[i][0], .version = 1, .precedence = (uint32_t)i, .remote = texts[i][1]};
	}
}

static void a_restart_finds_the_tree_and_leaves_it_where_it_is(void **state)
{
	struct rule_spec specs[RULES];
	char texts[RULES][2][16];
	struct sluice_policy before;
	uint64_t branches, blocks;
	struct world world;

	(void)state;
	make_rules(specs, texts);
	world_start(&world, false, true, 0);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, specs, RULES);
	world_activate_ok(&world, IMSI_B, ADDRESS_B, specs, RULES);
	assert_int_equal(world_used(&world, "rulesets"), 1);
	branches = world_used(&world, "branches");
	blocks = world_used(&world, "matches4");
	assert_true(branches >= 2);
	assert_true(blocks >= 4);
	before = *world_policy(&world, ADDRESS_A);
	assert_true(before.uplink_block & SLUICE_BRANCH);
	world_stop(&world);

	world_start(&world, true, true, 0);
	assert_memory_equal(world_policy(&world, ADDRESS_A), &before, sizeof(before));
	assert_int_equal(world_policy(&world, ADDRESS_B)->uplink_block, before.uplink_block);
	assert_int_equal(world_used(&world, "rulesets"), 1);
	assert_int_equal(world_used(&world, "branches"), branches);
	assert_int_equal(world_used(&world, "matches4"), blocks);
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	world_deactivate(&world, IMSI_B, ADDRESS_B, NULL, true);
	world_acknowledge_all(&world);
	world_assert_nothing_used(&world);
	world_stop(&world);
}

/* Publishes a tree, spoils its root, starts again: the root must be as it was. */
static void spoil_and_restart(void (*spoil)(struct sluice_branch *root, uint32_t number))
{
	struct rule_spec specs[RULES];
	char texts[RULES][2][16];
	const struct sluice_policy *policy;
	struct sluice_branch before, *root;
	struct world world;
	uint32_t number;

	make_rules(specs, texts);
	world_start(&world, false, true, 0);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, specs, RULES);
	number = world_policy(&world, ADDRESS_A)->uplink_block & ~SLUICE_BRANCH;
	root = &sl_datapath_maps(world.datapath)->branches[number];
	before = *root;
	spoil(root, number);
	world_stop(&world);

	world_start(&world, true, true, 0);
	policy = world_policy(&world, ADDRESS_A);
	assert_true(policy->uplink_block & SLUICE_BRANCH);
	root = &sl_datapath_maps(world.datapath)->branches[policy->uplink_block & ~SLUICE_BRANCH];
	assert_true(root->pivot == before.pivot);
	assert_true(root->mask == before.mask);
	assert_int_equal(root->count[0], before.count[0]);
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	world_acknowledge_all(&world);
	world_assert_nothing_used(&world);
	world_stop(&world);
}

static void turn_wrong(struct sluice_branch *root, uint32_t number)
{
	(void)number;
	root->pivot++;
}

static void turn_round(struct sluice_branch *root, uint32_t number)
{
	root->child[0] = SLUICE_BRANCH | number;
}

static void a_restart_publishes_anew_a_tree_with_a_wrong_turn(void **state)
{
	(void)state;
	spoil_and_restart(turn_wrong);
}

static void a_restart_publishes_anew_a_tree_that_leads_back_to_its_root(void **state)
{
	(void)state;
	spoil_and_restart(turn_round);
}

static void a_list_that_its_map_has_no_room_for_is_refused_whole(void **state)
{
	const struct sl_control_config settings = {.keep_retired = false};
	struct activation activation;
	struct rule_spec specs[RULES];
	struct sluice_policy before;
	char texts[RULES][2][16];
	struct sl_error err = {{0}};
	struct world world;

	(void)state;
	make_rules(specs, texts);
	world_start_with(&world, false, &settings, &tight, 0);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, specs, 4);
	before = *world_policy(&world, ADDRESS_A);
	world_fill(&activation, IMSI_A, ADDRESS_A, specs + 4, RULES - 4);
	assert_true(sl_control_activate(world.control, &activation.session, &err) < 0);
	assert_non_null(strstr(err.text, "map matches4 is full"));
	assert_memory_equal(world_policy(&world, ADDRESS_A), &before, sizeof(before));
	assert_int_equal(world_used(&world, "branches"), 0);
	assert_int_equal(world_used(&world, "matches4"), 2);
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	world_assert_nothing_used(&world);
	world_stop(&world);
}

/* --- several trees --------------------------------------------------------------- */

#define FLOWS 160

static const struct sl_datapath_limits roomy = {
	.sessions = 64, .usage = 512, .rules = 32, .flows = 256, .matches = 512, .bindings = 256};

static void start_roomy(struct world *world, bool adopted)
{
	world_start_with(world, adopted, &(struct sl_control_config){.keep_retired = true}, &roomy, 0);
}

/* One rule whose uplink flows are by turns about 45.x.10.0/24 and about TCP port 3000 + x. */
static void activate_turns(struct world *world, const char *imsi, const char *address)
{
	static struct sluice_flow flows[FLOWS];
	const struct rule_spec spec = {.id = "turns", .version = 1, .precedence = 5};
	struct activation activation;
	struct sl_error err = {{0}};

	for (uint32_t i = 0; i < FLOWS; i++) {
		flows[i] = (struct sluice_flow){.direction = SLUICE_UPLINK,
						.remote_port_high = UINT16_MAX,
						.local_port_high = UINT16_MAX};
		if (i % 2) {
			flows[i].protocol = 6;
			flows[i].remote_port_low = flows[i].remote_port_high = (uint16_t)(3000 + i);
			continue;
		}
		flows[i].family = 4;
		flows[i].has_remote = 1;
		flows[i].prefix_length = 24;
		memcpy(flows[i].remote, (uint8_t[]){45, (uint8_t)i, 10}, 3);
	}
	world_fill(&activation, imsi, address, &spec, 1);
	activation.rules[0].flows = flows;
	activation.rules[0].flow_count = FLOWS;
	if (sl_control_activate(world->control, &activation.session, &err) < 0)
		fail_msg("%s", err.text);
}

static struct sluice_branch *root_of(struct world *world, const char *address)
{
	uint32_t block = world_policy(world, address)->uplink_block;

	assert_true(block & SLUICE_BRANCH);
	return &sl_datapath_maps(world->datapath)->branches[block & ~SLUICE_BRANCH];
}

static void end_all(struct world *world)
{
	world_deactivate(world, IMSI_A, ADDRESS_A, NULL, true);
	world_deactivate(world, IMSI_B, ADDRESS_B, NULL, true);
	world_acknowledge_all(world);
	world_assert_nothing_used(world);
	world_stop(world);
}

static void a_restart_finds_several_trees_and_leaves_them_where_they_are(void **state)
{
	struct sluice_policy before;
	uint64_t branches, blocks;
	struct world world;

	(void)state;
	start_roomy(&world, false);
	activate_turns(&world, IMSI_A, ADDRESS_A);
	activate_turns(&world, IMSI_B, ADDRESS_B);
	assert_int_equal(root_of(&world, ADDRESS_A)->both, 1);
	branches = world_used(&world, "branches");
	blocks = world_used(&world, "matches4");
	before = *world_policy(&world, ADDRESS_A);
	world_stop(&world);

	start_roomy(&world, true);
	assert_memory_equal(world_policy(&world, ADDRESS_A), &before, sizeof(before));
	assert_int_equal(world_policy(&world, ADDRESS_B)->uplink_block, before.uplink_block);
	assert_int_equal(world_used(&world, "rulesets"), 1);
	assert_int_equal(world_used(&world, "branches"), branches);
	assert_int_equal(world_used(&world, "matches4"), blocks);
	end_all(&world);
}

/* A packet would search one tree and miss the rules of the others. */
static void a_restart_publishes_anew_a_root_that_no_longer_says_both(void **state)
{
	struct world world;

	(void)state;
	start_roomy(&world, false);
	activate_turns(&world, IMSI_A, ADDRESS_A);
	activate_turns(&world, IMSI_B, ADDRESS_B);
	root_of(&world, ADDRESS_A)->both = 0;
	world_stop(&world);

	start_roomy(&world, true);
	assert_int_equal(root_of(&world, ADDRESS_A)->both, 1);
	assert_int_equal(root_of(&world, ADDRESS_B)->both, 1);
	end_all(&world);
}

static void the_audit_puts_right_a_root_that_no_longer_says_both(void **state)
{
	struct world world;

	(void)state;
	start_roomy(&world, false);
	activate_turns(&world, IMSI_A, ADDRESS_A);
	activate_turns(&world, IMSI_B, ADDRESS_B);
	root_of(&world, ADDRESS_A)->both = 0;
	for (int step = 0; step < 1000 && !root_of(&world, ADDRESS_A)->both; step++)
		sl_control_audit(world.control, 8);
	assert_int_equal(root_of(&world, ADDRESS_A)->both, 1);
	end_all(&world);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_devices, fixture_no_devices)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_restart_finds_the_tree_and_leaves_it_where_it_is),
		TEST(a_restart_publishes_anew_a_tree_with_a_wrong_turn),
		TEST(a_restart_publishes_anew_a_tree_that_leads_back_to_its_root),
		TEST(a_restart_finds_several_trees_and_leaves_them_where_they_are),
		TEST(a_restart_publishes_anew_a_root_that_no_longer_says_both),
		TEST(the_audit_puts_right_a_root_that_no_longer_says_both),
		TEST(a_list_that_its_map_has_no_room_for_is_refused_whole),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
