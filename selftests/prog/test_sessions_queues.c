// SPDX-License-Identifier: Apache-2.0
/* Sessions whose AMBR is kept by queues: which class each rule is in, and when that changes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "rates_world.h"

#define DOWN SLUICE_DOWNLINK

static const struct sl_control_config to_shape = {.backend = SL_RATE_SHAPE, .keep_retired = true};

static void start(struct world *world, bool adopted, const struct sl_control_config *config, uint32_t trees)
{
	struct sl_datapath_limits limits = fixture_config().limits;

	world_start_with_trees(world, adopted, config, &limits, 16, trees);
}

static const struct rates usual = {.ambr = 10 * MBIT, .mbr = {4 * MBIT}};

static void activate(struct world *world, struct rates rates)
{
	rates_activate(world, ADDRESS_A, rates_rules, 2, &rates);
}

/* Of the other address only the rule "web". */
static void activate6(struct world *world, struct rates rates)
{
	static const struct rule_spec web[] = {{.id = "web", .version = 1, .precedence = 10}};

	rates_activate(world, ADDRESS_A6, web, 1, &rates);
}

static uint16_t class_of(struct world *world, const char *address, const char *rule_id)
{
	return rates_binding(world, address, rule_id)->downlink_class;
}

static uint16_t tree_of(struct world *world, const char *address)
{
	const struct sluice_policy *policy = world_policy(world, address);

	return sl_datapath_maps(world->datapath)->sessions[policy->session].downlink_tree;
}

static uint64_t rate_of(struct world *world, uint16_t minor)
{
	return sl_qos_rates(world->qos, DOWN, minor).mbr;
}

static uint32_t trees_used(struct world *world)
{
	struct sl_qos_pool_status status;

	sl_grace_drain(world->grace);
	sl_qos_tree_status(world->qos, DOWN, &status);
	return status.used;
}

static uint32_t singles_used(struct world *world)
{
	struct sl_qos_pool_status status;

	sl_grace_drain(world->grace);
	sl_qos_pool_status(world->qos, DOWN, &status);
	return status.used;
}

static bool is_shared(uint16_t tree, uint16_t minor)
{
	return minor == tree + SL_QOS_TREE_LEAVES;
}

static bool is_own(uint16_t tree, uint16_t minor)
{
	return minor > tree && minor < tree + SL_QOS_TREE_LEAVES;
}

/* --- which class ------------------------------------------------------------------ */

static void an_ambr_is_a_tree_in_which_every_rule_has_a_leaf(void **state)
{
	const struct sluice_binding *web, *video;
	struct world world;
	uint16_t tree;

	(void)state;
	start(&world, false, &rates_auto, 2);
	activate(&world, usual);
	tree = tree_of(&world, ADDRESS_A);
	web = rates_binding(&world, ADDRESS_A, "web");
	video = rates_binding(&world, ADDRESS_A, "video");
	assert_int_equal(sl_qos_tree_rate(world.qos, DOWN, tree), 10 * MBIT);
	assert_true(is_own(tree, web->downlink_class));
	assert_int_equal(rate_of(&world, web->downlink_class), 4 * MBIT);
	assert_true(is_shared(tree, video->downlink_class));
	assert_int_equal(rate_of(&world, video->downlink_class), 10 * MBIT);
	assert_int_equal(web->downlink_meter, 0);
	assert_int_equal(video->downlink_meter, 0);
	assert_int_equal(world_used(&world, "meters"), 0);
	assert_int_equal(singles_used(&world), 0);
	rates_end(&world);
}

static void a_rule_with_a_gbr_has_a_class_of_its_own_outside_the_tree(void **state)
{
	struct world world;
	struct sl_qos_rates rates;
	uint16_t class;

	(void)state;
	start(&world, false, &rates_auto, 2);
	activate(&world, (struct rates){.ambr = 10 * MBIT, .mbr = {4 * MBIT}, .gbr = {2 * MBIT}});
	class = class_of(&world, ADDRESS_A, "web");
	assert_int_equal(sl_qos_tree_of(world.qos, DOWN, class), 0);
	rates = sl_qos_rates(world.qos, DOWN, class);
	assert_int_equal(rates.gbr, 2 * MBIT);
	assert_int_equal(rates.mbr, 4 * MBIT);
	activate(&world, (struct rates){.ambr = 10 * MBIT, .mbr = {4 * MBIT}, .gbr = {3 * MBIT}});
	assert_int_equal(class_of(&world, ADDRESS_A, "web"), class);
	assert_int_equal(sl_qos_rates(world.qos, DOWN, class).gbr, 3 * MBIT);
	/* without the guarantee it is one of the AMBR's */
	activate(&world, usual);
	assert_true(is_own(tree_of(&world, ADDRESS_A), class_of(&world, ADDRESS_A, "web")));
	assert_int_equal(singles_used(&world), 0);
	rates_end(&world);
}

static unsigned int told_rules, told_sessions;

static void count_policed(const struct sl_control_event *event, void *user)
{
	(void)user;
	told_rules += event->type == SL_EVENT_RULE_POLICED;
	told_sessions += event->type == SL_EVENT_SESSION_POLICED;
}

static void where_leaves_run_out_an_mbr_is_policed_before_the_shared_leaf(void **state)
{
	struct sl_control_config config = rates_auto;
	struct rule_spec specs[8];
	struct activation activation;
	struct sl_error err = {{0}};
	char id[8][8];
	struct world world;
	unsigned int shared = 0;
	uint16_t tree;

	(void)state;
	told_rules = 0;
	config.on_event = count_policed;
	start(&world, false, &config, 1);
	for (unsigned int i = 0; i < 8; i++) {
		snprintf(id[i], sizeof(id[i]), "r%u", i);
		specs[i] = (struct rule_spec){.id = id[i],
					      .version = 1,
					      .precedence = 10 + i,
					      .mbr_downlink = (i + 1) * MBIT,
					      .remote = WEB "/32"};
	}
	world_fill(&activation, IMSI_A, ADDRESS_A, specs, 8);
	activation.session.has_ambr = true;
	activation.session.ambr[SLUICE_DOWNLINK] = 10 * MBIT;
	assert_int_equal(sl_control_activate(world.control, &activation.session, &err), 0);
	tree = tree_of(&world, ADDRESS_A);
	for (unsigned int i = 0; i < 8; i++) {
		const struct sluice_policy *policy = world_policy(&world, ADDRESS_A);
		const struct sluice_binding *binding =
			i < SLUICE_INLINE_BINDINGS
				? &policy->binding[i]
				: &sl_datapath_maps(world.datapath)
					   ->bindings[policy->bindings + i - SLUICE_INLINE_BINDINGS];

		assert_int_equal(activation.requests[i].result, 0);
		assert_int_equal(is_shared(tree, binding->downlink_class), binding->downlink_meter != 0);
		assert_true(is_shared(tree, binding->downlink_class) ||
			    is_own(tree, binding->downlink_class));
		shared += is_shared(tree, binding->downlink_class);
		if (binding->downlink_meter)
			rates_assert_rate(&world, binding->downlink_meter, (i + 1) * MBIT);
	}
	assert_int_equal(shared, 8 - (SL_QOS_TREE_LEAVES - 1));
	assert_int_equal(told_rules, shared);
	rates_end(&world);
}

static void fill_with_web_policed(struct activation *activation)
{
	world_fill(activation, IMSI_A, ADDRESS_A, rates_rules, 2);
	activation->rules[0].mbr[DOWN] = activation->rules[1].mbr[DOWN] = MBIT;
	activation->rules[0].backend = SLUICE_RATE_POLICE;
}

static void assert_web_is_policed_in(struct world *world, uint16_t tree)
{
	assert_true(is_shared(tree, class_of(world, ADDRESS_A, "web")));
	rates_assert_rate(world, rates_binding(world, ADDRESS_A, "web")->downlink_meter, MBIT);
}

static void the_backend_of_a_rule_overrides_the_configuration(void **state)
{
	struct activation activation;
	struct sl_error err = {{0}};
	struct world world;
	uint16_t tree;

	(void)state;
	start(&world, false, &to_shape, 1);
	fill_with_web_policed(&activation);
	assert_int_equal(sl_control_activate(world.control, &activation.session, &err), 0);
	assert_int_equal(class_of(&world, ADDRESS_A, "web"), 0);
	rates_assert_rate(&world, rates_binding(&world, ADDRESS_A, "web")->downlink_meter, MBIT);
	assert_true(class_of(&world, ADDRESS_A, "video") >= SLUICE_HTB_POOL_MINOR);

	fill_with_web_policed(&activation);
	activation.session.has_ambr = true;
	activation.session.ambr[DOWN] = 10 * MBIT;
	assert_int_equal(sl_control_activate(world.control, &activation.session, &err), 0);
	tree = tree_of(&world, ADDRESS_A);
	assert_web_is_policed_in(&world, tree);
	assert_true(is_own(tree, class_of(&world, ADDRESS_A, "video")));
	/* and after a restart, too */
	world_stop(&world);
	start(&world, true, &to_shape, 1);
	assert_web_is_policed_in(&world, tree);
	rates_end(&world);
}

static void an_mbr_above_the_link_is_the_links_and_shown_as_it_was_asked_for(void **state)
{
	static const struct sl_control_config *const configs[] = {&to_shape, &rates_auto, &rates_police};
	static const uint64_t high = 4294967295000; /* the highest of a session manager, in kbit/s */
	const struct sl_maps *maps;
	struct world world;
	uint64_t link;

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(configs); i++)
		for (uint64_t ambr = 0; ambr <= 2 * high; ambr += 2 * high) {
			const struct sluice_binding *web;

			start(&world, i || ambr, configs[i], 2);
			maps = sl_datapath_maps(world.datapath);
			link = sl_qos_link_rate(world.qos);
			activate(&world, (struct rates){.ambr = ambr, .mbr = {high, MBIT}});
			web = rates_binding(&world, ADDRESS_A, "web");
			if (configs[i] == &rates_police)
				rates_assert_rate(&world, web->downlink_meter, SLUICE_METER_RATE_MAX);
			else
				assert_int_equal(rate_of(&world, web->downlink_class), link);
			assert_int_equal(maps->rules[maps->usage_owners[web->usage].rule].mbr_downlink, high);
			/* and a restart finds nothing to change */
			world_stop(&world);
			start(&world, true, configs[i], 2);
			if (configs[i] != &rates_police)
				assert_int_equal(rate_of(&world, class_of(&world, ADDRESS_A, "web")), link);
			rates_end(&world);
		}
}

/* --- no tree ---------------------------------------------------------------------- */

static void without_a_free_tree_the_ambr_is_policed_and_that_is_told_once(void **state)
{
	struct sl_control_config config = rates_auto;
	struct world world;

	(void)state;
	told_sessions = 0;
	config.on_event = count_policed;
	start(&world, false, &config, 1);
	activate(&world, (struct rates){.ambr = 10 * MBIT});
	rates_activate(&world, ADDRESS_B, rates_rules, 2, &(struct rates){.ambr = 5 * MBIT, .mbr = {MBIT}});
	assert_int_equal(tree_of(&world, ADDRESS_B), 0);
	rates_assert_rate(&world, rates_ambr_meter(&world, ADDRESS_B), 5 * MBIT);
	assert_true(class_of(&world, ADDRESS_B, "web") >= SLUICE_HTB_POOL_MINOR);
	assert_int_equal(told_sessions, 1);
	/* it stays so */
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	assert_int_equal(trees_used(&world), 0);
	rates_activate(&world, ADDRESS_B, rates_rules, 2, &(struct rates){.ambr = 6 * MBIT, .mbr = {MBIT}});
	rates_assert_rate(&world, rates_ambr_meter(&world, ADDRESS_B), 6 * MBIT);
	assert_int_equal(told_sessions, 1);
	rates_end(&world);
}

static void to_shape_only_fails_the_request_that_finds_no_tree(void **state)
{
	struct activation activation;
	struct sl_error err = {{0}};
	struct world world;

	(void)state;
	start(&world, false, &to_shape, 1);
	activate(&world, (struct rates){.ambr = 10 * MBIT});
	assert_int_equal(rates_try(&world, &activation, ADDRESS_B, rates_rules, 2,
				   &(struct rates){.ambr = 5 * MBIT, .mbr = {MBIT}}, &err),
			 -ENOSPC);
	assert_non_null(strstr(err.text, "the AMBR: no uplink tree is free: 1 of 1"));
	assert_null(world_policy(&world, ADDRESS_B));
	assert_int_equal(trees_used(&world), 1);
	assert_int_equal(singles_used(&world), 0);
	rates_end(&world);
}

static void a_tree_that_is_about_to_be_free_is_waited_for(void **state)
{
	struct world world;

	(void)state;
	start(&world, false, &to_shape, 1);
	activate(&world, (struct rates){.ambr = 10 * MBIT});
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	rates_activate(&world, ADDRESS_B, rates_rules, 2, &(struct rates){.ambr = 5 * MBIT});
	assert_int_equal(sl_qos_tree_rate(world.qos, DOWN, tree_of(&world, ADDRESS_B)), 5 * MBIT);
	rates_end(&world);
}

/* --- changes ------------------------------------------------------------------------ */

static void a_new_ambr_is_a_change_of_the_same_tree(void **state)
{
	struct world world;
	uint16_t tree, web, video;

	(void)state;
	start(&world, false, &rates_auto, 2);
	activate(&world, usual);
	tree = tree_of(&world, ADDRESS_A);
	web = class_of(&world, ADDRESS_A, "web");
	video = class_of(&world, ADDRESS_A, "video");
	activate(&world, (struct rates){.ambr = 20 * MBIT, .mbr = {5 * MBIT}});
	assert_int_equal(tree_of(&world, ADDRESS_A), tree);
	assert_int_equal(class_of(&world, ADDRESS_A, "web"), web);
	assert_int_equal(sl_qos_tree_rate(world.qos, DOWN, tree), 20 * MBIT);
	assert_int_equal(rate_of(&world, web), 5 * MBIT);
	assert_int_equal(rate_of(&world, video), 20 * MBIT);
	/* a request that says nothing of it leaves it as it is */
	activate(&world, (struct rates){.mbr = {5 * MBIT}});
	assert_int_equal(sl_qos_tree_rate(world.qos, DOWN, tree), 20 * MBIT);
	assert_int_equal(trees_used(&world), 1);
	rates_end(&world);
}

static void rules_move_into_a_tree_and_out_of_it(void **state)
{
	struct sl_session_request none = {.has_ambr = true};
	struct sl_error err = {{0}};
	struct world world;
	uint16_t before, tree;

	(void)state;
	start(&world, false, &rates_auto, 2);
	activate(&world, (struct rates){.mbr = {4 * MBIT}});
	before = class_of(&world, ADDRESS_A, "web");
	assert_int_equal(sl_qos_tree_of(world.qos, DOWN, before), 0);
	assert_int_equal(class_of(&world, ADDRESS_A, "video"), 0);
	/* the rules themselves are not named */
	strcpy(none.imsi, IMSI_A);
	assert_int_equal(sl_address_parse("address", ADDRESS_A, &none.address, &err), 0);
	none.ambr[DOWN] = 10 * MBIT;
	assert_int_equal(sl_control_activate(world.control, &none, &err), 0);
	tree = tree_of(&world, ADDRESS_A);
	assert_true(is_own(tree, class_of(&world, ADDRESS_A, "web")));
	assert_true(is_shared(tree, class_of(&world, ADDRESS_A, "video")));
	assert_int_equal(singles_used(&world), 0);
	none.ambr[DOWN] = 0;
	assert_int_equal(sl_control_activate(world.control, &none, &err), 0);
	assert_int_equal(tree_of(&world, ADDRESS_A), 0);
	assert_int_equal(sl_qos_tree_of(world.qos, DOWN, class_of(&world, ADDRESS_A, "web")), 0);
	assert_int_equal(rate_of(&world, class_of(&world, ADDRESS_A, "web")), 4 * MBIT);
	assert_int_equal(class_of(&world, ADDRESS_A, "video"), 0);
	assert_int_equal(trees_used(&world), 0);
	assert_int_equal(singles_used(&world), 1);
	rates_end(&world);
}

static void a_rule_that_gets_or_loses_its_mbr_changes_its_leaf(void **state)
{
	struct world world;
	uint16_t tree;

	(void)state;
	start(&world, false, &rates_auto, 2);
	activate(&world, usual);
	tree = tree_of(&world, ADDRESS_A);
	activate(&world, (struct rates){.mbr = {0, 3 * MBIT}});
	assert_true(is_shared(tree, class_of(&world, ADDRESS_A, "web")));
	assert_true(is_own(tree, class_of(&world, ADDRESS_A, "video")));
	assert_int_equal(rate_of(&world, class_of(&world, ADDRESS_A, "video")), 3 * MBIT);
	sl_grace_drain(world.grace);
	for (uint16_t leaf = tree + 1; leaf < tree + SL_QOS_TREE_LEAVES; leaf++)
		assert_int_equal(sl_qos_users(world.qos, DOWN, leaf),
				 leaf == class_of(&world, ADDRESS_A, "video"));
	rates_end(&world);
}

static void a_request_that_fails_leaves_the_tree_as_it_was(void **state)
{
	struct activation activation;
	struct sl_error err = {{0}};
	struct world world;
	uint16_t tree;

	(void)state;
	start(&world, false, &to_shape, 2);
	activate(&world, (struct rates){.ambr = 10 * MBIT});
	tree = tree_of(&world, ADDRESS_A);
	world_fill(&activation, IMSI_A, ADDRESS_A, rates_rules, 2);
	activation.session.has_ambr = true;
	activation.session.ambr[SLUICE_UPLINK] = 20 * MBIT;
	activation.session.ambr[DOWN] = 7999;
	assert_int_equal(sl_control_activate(world.control, &activation.session, &err), -ERANGE);
	assert_int_equal(tree_of(&world, ADDRESS_A), tree);
	assert_int_equal(sl_qos_tree_rate(world.qos, SLUICE_UPLINK, tree), 10 * MBIT);
	assert_int_equal(sl_qos_tree_rate(world.qos, DOWN, tree), 10 * MBIT);
	rates_end(&world);
}

/* --- twins -------------------------------------------------------------------------- */

static void twins_have_one_tree_and_a_rule_of_both_one_leaf(void **state)
{
	struct world world;
	uint16_t tree;

	(void)state;
	start(&world, false, &rates_auto, 3);
	activate(&world, usual);
	tree = tree_of(&world, ADDRESS_A);
	activate6(&world, (struct rates){.ambr = 12 * MBIT, .mbr = {4 * MBIT}, .twin = ADDRESS_A});
	assert_int_equal(tree_of(&world, ADDRESS_A6), tree);
	assert_int_equal(class_of(&world, ADDRESS_A6, "web"), class_of(&world, ADDRESS_A, "web"));
	assert_int_equal(sl_qos_tree_rate(world.qos, DOWN, tree), 12 * MBIT);
	assert_int_equal(sl_qos_tree_users(world.qos, DOWN, tree), 2);
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	assert_int_equal(trees_used(&world), 1);
	assert_int_equal(sl_qos_tree_rate(world.qos, DOWN, tree), 12 * MBIT);
	rates_end(&world);
}

static void an_ambr_that_one_twin_gets_later_moves_the_rules_of_both(void **state)
{
	struct world world;
	uint16_t tree;

	(void)state;
	start(&world, false, &rates_auto, 3);
	activate(&world, (struct rates){.mbr = {4 * MBIT}});
	activate6(&world, (struct rates){.mbr = {4 * MBIT}, .twin = ADDRESS_A});
	assert_int_equal(class_of(&world, ADDRESS_A6, "web"), class_of(&world, ADDRESS_A, "web"));
	activate6(&world, usual);
	tree = tree_of(&world, ADDRESS_A6);
	assert_true(is_own(tree, class_of(&world, ADDRESS_A6, "web")));
	/* the MBR is the subscriber's: one queue */
	assert_int_equal(class_of(&world, ADDRESS_A, "web"), class_of(&world, ADDRESS_A6, "web"));
	assert_int_equal(singles_used(&world), 0);
	rates_end(&world);
}

/* --- restart ------------------------------------------------------------------------ */

static void a_restart_finds_the_tree_and_publishes_nothing(void **state)
{
	struct sl_qos_rates rates;
	struct world world;
	uint16_t tree, web, video;
	uint32_t slot;

	(void)state;
	start(&world, false, &rates_auto, 2);
	activate(&world, usual);
	activate6(&world, (struct rates){.ambr = 10 * MBIT, .mbr = {4 * MBIT}, .twin = ADDRESS_A});
	rates_activate(&world, ADDRESS_B, rates_rules, 2,
		       &(struct rates){.mbr = {4 * MBIT}, .gbr = {2 * MBIT}});
	tree = tree_of(&world, ADDRESS_A);
	web = class_of(&world, ADDRESS_A, "web");
	video = class_of(&world, ADDRESS_A, "video");
	slot = (uint32_t)(world_policy(&world, ADDRESS_A) - sl_datapath_maps(world.datapath)->policies);
	sl_grace_drain(world.grace);
	world_stop(&world);
	start(&world, true, &rates_auto, 2);
	assert_int_equal(world_policy(&world, ADDRESS_A) - sl_datapath_maps(world.datapath)->policies, slot);
	assert_int_equal(tree_of(&world, ADDRESS_A), tree);
	assert_int_equal(class_of(&world, ADDRESS_A, "web"), web);
	assert_int_equal(class_of(&world, ADDRESS_A, "video"), video);
	assert_int_equal(sl_qos_tree_rate(world.qos, DOWN, tree), 10 * MBIT);
	assert_int_equal(sl_qos_tree_users(world.qos, DOWN, tree), 2);
	assert_int_equal(sl_qos_users(world.qos, DOWN, web), 2);
	rates = sl_qos_rates(world.qos, DOWN, class_of(&world, ADDRESS_B, "web"));
	assert_int_equal(rates.gbr, 2 * MBIT);
	assert_int_equal(trees_used(&world), 1);
	rates_end(&world);
}

static void another_backend_after_a_restart_moves_the_ambr(void **state)
{
	struct world world;

	(void)state;
	start(&world, false, &to_shape, 2);
	activate(&world, usual);
	world_stop(&world);
	start(&world, true, &rates_police, 2);
	assert_int_equal(tree_of(&world, ADDRESS_A), 0);
	assert_int_equal(class_of(&world, ADDRESS_A, "video"), 0);
	rates_assert_rate(&world, rates_ambr_meter(&world, ADDRESS_A), 10 * MBIT);
	assert_int_equal(trees_used(&world), 0);
	world_stop(&world);
	start(&world, true, &to_shape, 2);
	assert_int_equal(sl_qos_tree_rate(world.qos, DOWN, tree_of(&world, ADDRESS_A)), 10 * MBIT);
	assert_int_equal(world_used(&world, "meters"), 0);
	rates_end(&world);
}

static void a_restart_without_trees_polices(void **state)
{
	struct world world;

	(void)state;
	start(&world, false, &rates_auto, 2);
	activate(&world, usual);
	world_stop(&world);
	start(&world, true, &rates_auto, 0);
	assert_int_equal(tree_of(&world, ADDRESS_A), 0);
	rates_assert_rate(&world, rates_ambr_meter(&world, ADDRESS_A), 10 * MBIT);
	assert_int_equal(rate_of(&world, class_of(&world, ADDRESS_A, "web")), 4 * MBIT);
	rates_end(&world);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_devices, fixture_no_devices)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(an_ambr_is_a_tree_in_which_every_rule_has_a_leaf),
		TEST(a_rule_with_a_gbr_has_a_class_of_its_own_outside_the_tree),
		TEST(where_leaves_run_out_an_mbr_is_policed_before_the_shared_leaf),
		TEST(the_backend_of_a_rule_overrides_the_configuration),
		TEST(an_mbr_above_the_link_is_the_links_and_shown_as_it_was_asked_for),
		TEST(without_a_free_tree_the_ambr_is_policed_and_that_is_told_once),
		TEST(to_shape_only_fails_the_request_that_finds_no_tree),
		TEST(a_tree_that_is_about_to_be_free_is_waited_for),
		TEST(a_new_ambr_is_a_change_of_the_same_tree),
		TEST(rules_move_into_a_tree_and_out_of_it),
		TEST(a_rule_that_gets_or_loses_its_mbr_changes_its_leaf),
		TEST(a_request_that_fails_leaves_the_tree_as_it_was),
		TEST(twins_have_one_tree_and_a_rule_of_both_one_leaf),
		TEST(an_ambr_that_one_twin_gets_later_moves_the_rules_of_both),
		TEST(a_restart_finds_the_tree_and_publishes_nothing),
		TEST(another_backend_after_a_restart_moves_the_ambr),
		TEST(a_restart_without_trees_polices),
	};

	/* one test by its name, for a closer look */
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
