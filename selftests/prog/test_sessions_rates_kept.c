// SPDX-License-Identifier: Apache-2.0
/* Something keeps every rate, and keeps it once, whatever a twin, a guarantee, a pool or a restart changes.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "control/model.h"
#include "rates_world.h"

#define DOWN	SLUICE_DOWNLINK
#define CLASSES 16
#define LINK	(1000 * MBIT) /* the fixture's */

static const struct sl_control_apn apns[] = {
	{.name = "internet", .cap = {50 * MBIT, 50 * MBIT}, .reserve = {UINT64_MAX, UINT64_MAX}},
};
static const struct sl_control_config capped = {
	.backend = SL_RATE_AUTO,
	.keep_retired = true,
	.apns = apns,
	.apn_count = 1,
};
static const struct sl_control_config to_shape = {.backend = SL_RATE_SHAPE, .keep_retired = true};

/* of both families */
static const struct rule_spec any_rules[2] = {
	{.id = "web", .version = 1, .precedence = 1},
	{.id = "video", .version = 1, .precedence = 2},
};

static void start(struct world *world, bool adopted, const struct sl_control_config *config, uint32_t classes,
		  uint32_t trees)
{
	struct sl_datapath_limits limits = fixture_config().limits;

	world_start_with_trees(world, adopted, config, &limits, classes, trees);
}

static void activate(struct world *world, const char *address, struct rates rates)
{
	rates_activate(world, address, any_rules, 2, &rates);
}

/* At an APN with a cap, packets of WEB only. */
static void activate_capped(struct world *world, struct rates rates)
{
	struct activation activation;
	struct sl_error err = {{0}};

	world_fill(&activation, IMSI_A, ADDRESS_A, rates_rules, 2);
	for (size_t i = 0; i < 2; i++) {
		activation.rules[i].mbr[DOWN] = rates.mbr[i];
		activation.rules[i].gbr[DOWN] = rates.gbr[i];
	}
	strcpy(activation.session.apn, apns[0].name);
	if (sl_control_activate(world->control, &activation.session, &err) < 0)
		fail_msg("%s", err.text);
	for (size_t i = 0; i < 2; i++)
		if (activation.requests[i].result < 0)
			fail_msg("%s", activation.requests[i].error.text);
}

static const struct sluice_session_record *record_of(struct world *world, const char *address)
{
	return &sl_datapath_maps(world->datapath)->sessions[world_policy(world, address)->session];
}

static uint16_t class_of(struct world *world, const char *address, const char *rule_id)
{
	return rates_binding(world, address, rule_id)->downlink_class;
}

static struct sl_qos_rates rates_of(struct world *world, uint16_t minor)
{
	return sl_qos_rates(world->qos, DOWN, minor);
}

static uint32_t trees_used(struct world *world)
{
	struct sl_qos_pool_status status;

	sl_grace_drain(world->grace);
	sl_qos_tree_status(world->qos, DOWN, &status);
	return status.used;
}

/* --- a meter that tells what is guaranteed is not one that polices ------------------- */

static void a_rule_whose_class_is_lost_at_a_restart_has_another_queue(void **state)
{
	struct world world;

	(void)state;
	start(&world, false, &capped, CLASSES, 0);
	activate_capped(&world, (struct rates){.mbr = {4 * MBIT}, .gbr = {MBIT}});
	assert_int_equal(rates_meter(&world, rates_binding(&world, ADDRESS_A, "web")->downlink_meter)->rate,
			 0);
	world_stop(&world);
	/* the class that it had is a tree's now */
	start(&world, true, &capped, CLASSES, 4);
	assert_int_not_equal(class_of(&world, ADDRESS_A, "web"), 0);
	assert_int_equal(rates_of(&world, class_of(&world, ADDRESS_A, "web")).mbr, 4 * MBIT);
	assert_int_equal(rates_of(&world, class_of(&world, ADDRESS_A, "web")).gbr, MBIT);
	assert_int_equal(rates_meter(&world, rates_binding(&world, ADDRESS_A, "web")->downlink_meter)->rate,
			 0);
	rates_end(&world);
}

static void a_rule_whose_queue_is_lost_at_a_restart_is_policed(void **state)
{
	struct world world;
	uint64_t since;

	(void)state;
	start(&world, false, &capped, CLASSES, 0);
	activate_capped(&world, (struct rates){.mbr = {4 * MBIT}, .gbr = {MBIT}});
	world_stop(&world);
	start(&world, true, &capped, 0, 0);
	assert_int_equal(class_of(&world, ADDRESS_A, "web"), 0);
	rates_assert_rate(&world, rates_binding(&world, ADDRESS_A, "web")->downlink_meter, 4 * MBIT);
	since = sl_now_ns();
	rates_receive(&world, WEB, ADDRESS_A, 200);
	rates_assert_policed(rates_usage(&world, ADDRESS_A, "web")->downlink.bytes, 4 * MBIT, since);
	rates_end(&world);
}

static void a_policed_rule_that_gets_a_queue_at_a_restart_is_policed_no_more(void **state)
{
	struct sl_control_config config = capped;
	struct world world;
	uint32_t meter;

	(void)state;
	config.backend = SL_RATE_POLICE;
	start(&world, false, &config, CLASSES, 0);
	activate_capped(&world, (struct rates){.mbr = {4 * MBIT}, .gbr = {MBIT}});
	rates_assert_rate(&world, rates_binding(&world, ADDRESS_A, "web")->downlink_meter, 4 * MBIT);
	world_stop(&world);
	config.backend = SL_RATE_SHAPE;
	start(&world, true, &config, CLASSES, 0);
	meter = rates_binding(&world, ADDRESS_A, "web")->downlink_meter;
	assert_int_equal(rates_of(&world, class_of(&world, ADDRESS_A, "web")).mbr, 4 * MBIT);
	assert_int_equal(rates_meter(&world, meter)->rate, 0);
	assert_int_equal(sl_meter_bits_per_second(rates_meter(&world, meter)->green_rate), MBIT);
	world_stop(&world);
	/* and back again */
	config.backend = SL_RATE_POLICE;
	start(&world, true, &config, CLASSES, 0);
	assert_int_equal(class_of(&world, ADDRESS_A, "web"), 0);
	rates_assert_rate(&world, rates_binding(&world, ADDRESS_A, "web")->downlink_meter, 4 * MBIT);
	rates_end(&world);
}

static void a_rule_that_gives_up_its_guarantee_keeps_its_queue(void **state)
{
	struct world world;
	uint16_t class;

	(void)state;
	start(&world, false, &capped, CLASSES, 4);
	activate_capped(&world, (struct rates){.mbr = {4 * MBIT}, .gbr = {MBIT}});
	class = class_of(&world, ADDRESS_A, "web");
	activate_capped(&world, (struct rates){.mbr = {4 * MBIT}});
	assert_int_equal(class_of(&world, ADDRESS_A, "web"), class);
	assert_int_equal(rates_of(&world, class).mbr, 4 * MBIT);
	assert_int_equal(rates_of(&world, class).gbr, 0);
	sl_grace_drain(world.grace);
	assert_int_equal(world_used(&world, "meters"), 0);
	rates_end(&world);
}

static void a_guarantee_without_an_mbr_is_a_queue_up_to_the_link(void **state)
{
	static const struct sl_control_config *const configs[] = {&to_shape, &rates_auto};
	struct world world;
	uint16_t class;

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(configs); i++) {
		start(&world, false, configs[i], CLASSES, 4);
		activate(&world, ADDRESS_A, (struct rates){.gbr = {MBIT}});
		class = class_of(&world, ADDRESS_A, "web");
		assert_int_not_equal(class, 0);
		assert_int_equal(rates_of(&world, class).gbr, MBIT);
		assert_int_equal(rates_of(&world, class).mbr, LINK);
		/* an AMBR is not its */
		activate(&world, ADDRESS_A, (struct rates){.gbr = {MBIT}, .ambr = 2 * MBIT});
		assert_int_equal(class_of(&world, ADDRESS_A, "web"), class);
		world_stop(&world);
		start(&world, true, configs[i], CLASSES, 4);
		assert_int_equal(class_of(&world, ADDRESS_A, "web"), class);
		assert_int_equal(rates_of(&world, class).gbr, MBIT);
		assert_int_equal(rates_of(&world, class).mbr, LINK);
		rates_end(&world);
		fixture_no_devices(NULL);
		fixture_devices(NULL);
	}
}

/* --- twins --------------------------------------------------------------------------- */

static void a_twin_leaves_the_rate_of_a_shared_leaf_alone(void **state)
{
	struct world world;
	uint16_t leaf, other;

	(void)state;
	start(&world, false, &rates_auto, CLASSES, 2);
	activate(&world, ADDRESS_A, (struct rates){.ambr = 10 * MBIT});
	leaf = class_of(&world, ADDRESS_A, "video");
	assert_int_equal(rates_of(&world, leaf).mbr, 10 * MBIT);
	activate(&world, ADDRESS_A6, (struct rates){.mbr = {MBIT}, .twin = ADDRESS_A});
	other = class_of(&world, ADDRESS_A6, "web");
	assert_int_not_equal(other, 0);
	assert_int_not_equal(other, leaf);
	assert_int_equal(rates_of(&world, other).mbr, MBIT);
	assert_int_equal(class_of(&world, ADDRESS_A, "video"), leaf);
	assert_int_equal(rates_of(&world, leaf).mbr, 10 * MBIT);
	rates_end(&world);
}

static void sessions_with_a_tree_and_a_meter_have_one_ambr_once_they_are_twins(void **state)
{
	const struct sluice_session_record *v4, *v6;
	struct activation b;
	struct sl_error err = {{0}};
	struct world world;

	(void)state;
	start(&world, false, &rates_auto, CLASSES, 1);
	/* somebody else has the only tree */
	world_fill(&b, IMSI_B, ADDRESS_B, any_rules, 2);
	b.session.has_ambr = true;
	b.session.ambr[SLUICE_UPLINK] = b.session.ambr[DOWN] = 5 * MBIT;
	assert_int_equal(sl_control_activate(world.control, &b.session, &err), 0);
	activate(&world, ADDRESS_A6, (struct rates){.ambr = 10 * MBIT});
	world_deactivate(&world, IMSI_B, NULL, NULL, true);
	sl_grace_drain(world.grace);
	activate(&world, ADDRESS_A, (struct rates){.ambr = 10 * MBIT});
	assert_int_not_equal(record_of(&world, ADDRESS_A)->downlink_tree, 0);
	assert_int_not_equal(record_of(&world, ADDRESS_A6)->downlink_meter, 0);

	activate(&world, ADDRESS_A, (struct rates){.ambr = 10 * MBIT, .twin = ADDRESS_A6});
	v4 = record_of(&world, ADDRESS_A);
	v6 = record_of(&world, ADDRESS_A6);
	assert_int_equal(v4->downlink_tree, v6->downlink_tree);
	assert_int_equal(v4->downlink_meter, v6->downlink_meter);
	assert_int_equal(v4->uplink_tree, v6->uplink_tree);
	assert_int_equal(v4->uplink_meter, v6->uplink_meter);
	assert_true(!v4->downlink_tree != !v4->downlink_meter);
	assert_int_equal(class_of(&world, ADDRESS_A, "video"), 0);
	assert_int_equal(trees_used(&world), 0);
	rates_end(&world);
}

static void a_session_leaves_the_tree_of_a_twin_that_has_ended(void **state)
{
	struct world world;
	uint16_t class;

	(void)state;
	start(&world, false, &rates_auto, CLASSES, 2);
	activate(&world, ADDRESS_A6, (struct rates){.ambr = MBIT, .mbr = {5 * MBIT}});
	activate(&world, ADDRESS_A, (struct rates){.mbr = {5 * MBIT}, .twin = ADDRESS_A6});
	world_deactivate(&world, IMSI_A, ADDRESS_A6, NULL, true);
	class = class_of(&world, ADDRESS_A, "web");
	assert_int_not_equal(class, 0);
	assert_int_equal(sl_qos_tree_of(world.qos, DOWN, class), 0);
	assert_int_equal(rates_of(&world, class).mbr, 5 * MBIT);
	assert_int_equal(trees_used(&world), 0);
	rates_end(&world);
}

static void it_leaves_it_too_where_another_subscriber_takes_the_address(void **state)
{
	struct world world;
	uint16_t class;

	(void)state;
	start(&world, false, &rates_auto, CLASSES, 2);
	activate(&world, ADDRESS_A6, (struct rates){.ambr = MBIT, .mbr = {5 * MBIT}});
	activate(&world, ADDRESS_A, (struct rates){.mbr = {5 * MBIT}, .twin = ADDRESS_A6});
	world_activate_ok(&world, IMSI_B, ADDRESS_A6, any_rules, 2);
	class = class_of(&world, ADDRESS_A, "web");
	assert_int_not_equal(class, 0);
	assert_int_equal(sl_qos_tree_of(world.qos, DOWN, class), 0);
	assert_int_equal(rates_of(&world, class).mbr, 5 * MBIT);
	assert_int_equal(trees_used(&world), 0);
	world_deactivate(&world, IMSI_B, NULL, NULL, true);
	rates_end(&world);
}

/* --- an AMBR that comes later ---------------------------------------------------------- */

#define MANY 8 /* more than a tree has leaves */

static int ask_for_an_ambr(struct world *world, struct activation *activation, uint64_t ambr,
			   struct sl_error *err)
{
	world_fill(activation, IMSI_A, ADDRESS_A, NULL, 0);
	activation->session.has_ambr = true;
	activation->session.ambr[SLUICE_UPLINK] = activation->session.ambr[DOWN] = ambr;
	return sl_control_activate(world->control, &activation->session, err);
}

static void start_with_many_rules(struct world *world, uint32_t meters)
{
	struct sl_datapath_limits limits = fixture_config().limits;
	struct rule_spec specs[MANY];
	char names[MANY][8];

	limits.meters = meters;
	world_start_with_trees(world, false, &rates_auto, &limits, CLASSES, 2);
	for (int i = 0; i < MANY; i++) {
		snprintf(names[i], sizeof(names[i]), "r%d", i);
		specs[i] = (struct rule_spec){.id = names[i],
					      .version = 1,
					      .precedence = (uint32_t)i + 1,
					      .mbr_downlink = 20 * MBIT,
					      .remote = "45.10.1.0/24"};
	}
	world_activate_ok(world, IMSI_A, ADDRESS_A, specs, MANY);
}

static void an_ambr_is_refused_whole_where_a_rule_would_stay_outside(void **state)
{
	struct activation activation;
	struct sl_error err = {{0}};
	struct sl_session *session;
	struct world world;

	(void)state;
	start_with_many_rules(&world, 1);
	assert_int_equal(ask_for_an_ambr(&world, &activation, MBIT, &err), -ENOSPC);
	assert_non_null(strstr(err.text, "r"));
	session = sl_session_find(world.control, &activation.session.address);
	assert_int_equal(session->tree[DOWN], 0);
	assert_int_equal(session->install_count, MANY);
	for (uint32_t i = 0; i < session->install_count; i++) {
		uint16_t minor = session->installs[i].binding.downlink_class;

		assert_int_not_equal(minor, 0);
		assert_int_equal(sl_qos_tree_of(world.qos, DOWN, minor), 0);
		assert_int_equal(rates_of(&world, minor).mbr, 20 * MBIT);
	}
	assert_int_equal(trees_used(&world), 0);
	rates_end(&world);
}

static void an_ambr_takes_every_rule_where_there_are_meters(void **state)
{
	struct activation activation;
	struct sl_error err = {{0}};
	struct sl_session *session;
	struct world world;

	(void)state;
	start_with_many_rules(&world, 64);
	assert_int_equal(ask_for_an_ambr(&world, &activation, MBIT, &err), 0);
	session = sl_session_find(world.control, &activation.session.address);
	assert_int_not_equal(session->tree[DOWN], 0);
	for (uint32_t i = 0; i < session->install_count; i++)
		assert_int_equal(sl_qos_tree_of(world.qos, DOWN, session->installs[i].binding.downlink_class),
				 session->tree[DOWN]);
	rates_end(&world);
}

/* Meters for the MBRs that have no leaf are taken: what is left is the leaf that rules share. */
static void a_former_twin_takes_every_rule_into_its_own_tree(void **state)
{
	static const char *const third = "192.168.128.20";
	struct sl_datapath_limits limits = fixture_config().limits;
	struct rule_spec specs[MANY];
	char names[MANY][8];
	struct activation activation;
	struct sl_error err = {{0}};
	struct sl_session *v4, *v6;
	struct world world;

	(void)state;
	limits.meters = MANY - (SL_QOS_TREE_LEAVES - 1);
	world_start_with_trees(&world, false, &rates_auto, &limits, CLASSES, 3);
	for (int i = 0; i < MANY; i++) {
		snprintf(names[i], sizeof(names[i]), "r%d", i);
		specs[i] = (struct rule_spec){.id = names[i],
					      .version = 1,
					      .precedence = (uint32_t)i + 1,
					      .mbr_downlink = 5 * MBIT};
	}
	for (int i = 0; i < 2; i++) {
		world_fill(&activation, IMSI_A, i ? ADDRESS_A6 : ADDRESS_A, specs, MANY);
		activation.session.has_ambr = true;
		activation.session.ambr[SLUICE_UPLINK] = activation.session.ambr[DOWN] = 10 * MBIT;
		if (i)
			assert_int_equal(sl_address_parse("twin", ADDRESS_A, &activation.session.twin, &err),
					 0);
		assert_int_equal(sl_control_activate(world.control, &activation.session, &err), 0);
		for (int j = 0; j < MANY; j++)
			assert_int_equal(activation.requests[j].result, 0);
	}
	v6 = sl_session_find(world.control, &activation.session.address);
	v4 = v6->twin;
	assert_non_null(v4);
	assert_int_equal(v4->tree[DOWN], v6->tree[DOWN]);
	assert_int_equal(world_used(&world, "meters"), limits.meters);

	world_activate_ok(&world, IMSI_A, third, NULL, 0);
	world_fill(&activation, IMSI_A, ADDRESS_A6, NULL, 0);
	assert_int_equal(sl_address_parse("twin", third, &activation.session.twin, &err), 0);
	assert_int_equal(sl_control_activate(world.control, &activation.session, &err), 0);
	assert_null(v4->twin);
	assert_int_not_equal(v4->tree[DOWN], 0);
	assert_int_not_equal(v4->tree[DOWN], v6->tree[DOWN]);
	for (uint32_t i = 0; i < v4->install_count; i++)
		assert_int_equal(sl_qos_tree_of(world.qos, DOWN, v4->installs[i].binding.downlink_class),
				 v4->tree[DOWN]);
	rates_end(&world);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_devices, fixture_no_devices)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(a_rule_whose_class_is_lost_at_a_restart_has_another_queue),
		TEST(a_rule_whose_queue_is_lost_at_a_restart_is_policed),
		TEST(a_policed_rule_that_gets_a_queue_at_a_restart_is_policed_no_more),
		TEST(a_rule_that_gives_up_its_guarantee_keeps_its_queue),
		TEST(a_guarantee_without_an_mbr_is_a_queue_up_to_the_link),
		TEST(a_twin_leaves_the_rate_of_a_shared_leaf_alone),
		TEST(sessions_with_a_tree_and_a_meter_have_one_ambr_once_they_are_twins),
		TEST(a_session_leaves_the_tree_of_a_twin_that_has_ended),
		TEST(it_leaves_it_too_where_another_subscriber_takes_the_address),
		TEST(an_ambr_is_refused_whole_where_a_rule_would_stay_outside),
		TEST(an_ambr_takes_every_rule_where_there_are_meters),
		TEST(a_former_twin_takes_every_rule_into_its_own_tree),
	};

	/* one test by its name, for a closer look */
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
