// SPDX-License-Identifier: Apache-2.0
/*
 * Sessions that a start cannot repair: what they lead to from then on is their
 * own or nothing. Here: the start has fewer trees than the one before, and
 * qos.backend shape, so that an AMBR cannot be had.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "control/model.h"
#include "rates_world.h"

#define DOWN SLUICE_DOWNLINK

static const struct sl_control_config shape = {.backend = SL_RATE_SHAPE, .keep_retired = true};

static void start(struct world *world, bool adopted, uint32_t trees)
{
	struct sl_datapath_limits limits = fixture_config().limits;

	world_start_with_trees(world, adopted, &shape, &limits, 16, trees);
}

static void activate(struct world *world, const char *imsi, const char *address, uint64_t ambr, uint64_t mbr,
		     enum sluice_rate_backend backend)
{
	struct activation activation;
	struct sl_error err = {{0}};

	world_fill(&activation, imsi, address, rates_rules, 2);
	activation.rules[0].mbr[DOWN] = mbr;
	activation.rules[0].backend = backend;
	activation.session.has_ambr = ambr != 0;
	activation.session.ambr[SLUICE_UPLINK] = activation.session.ambr[DOWN] = ambr;
	if (sl_control_activate(world->control, &activation.session, &err) < 0)
		fail_msg("%s", err.text);
	for (size_t i = 0; i < 2; i++)
		if (activation.requests[i].result < 0)
			fail_msg("%s", activation.requests[i].error.text);
}

/* B has the first tree, A the second, which the next start does not have. */
static void start_with_two(struct world *world, enum sluice_rate_backend backend)
{
	start(world, false, 2);
	activate(world, IMSI_B, ADDRESS_B, 5 * MBIT, 4 * MBIT, backend);
	activate(world, IMSI_A, ADDRESS_A, 10 * MBIT, 4 * MBIT, backend);
}

static bool is_unrepaired(struct world *world, const char *address)
{
	struct sl_session *session;
	struct sl_address parsed;
	struct sl_error err;

	assert_int_equal(sl_address_parse("address", address, &parsed, &err), 0);
	session = sl_session_find(world->control, &parsed);
	return session && session->unrepaired;
}

static const struct sluice_session_record *record_of(struct world *world, const char *address)
{
	return &sl_datapath_maps(world->datapath)->sessions[world_policy(world, address)->session];
}

static struct sluice_binding *published(struct world *world, const char *address, const char *rule)
{
	return (struct sluice_binding *)rates_binding(world, address, rule);
}

static void a_session_that_cannot_be_repaired_leads_to_no_class_that_others_are_given(void **state)
{
	uint16_t shared, own;
	struct world world;
	bool taken = false;

	(void)state;
	start_with_two(&world, SLUICE_RATE_DEFAULT);
	own = published(&world, ADDRESS_A, "web")->downlink_class;
	shared = published(&world, ADDRESS_A, "video")->downlink_class;
	assert_int_not_equal(own, 0);
	assert_int_not_equal(shared, 0);
	world_stop(&world);

	start(&world, true, 1);
	assert_true(is_unrepaired(&world, ADDRESS_A));
	/* where the leaves were are single classes now: the rule with an MBR has taken its own for one */
	assert_int_equal(published(&world, ADDRESS_A, "web")->downlink_class, own);
	assert_int_equal(sl_qos_users(world.qos, DOWN, own), 1);
	assert_int_equal(published(&world, ADDRESS_A, "web")->uplink_class, 0);
	assert_int_equal(published(&world, ADDRESS_A, "video")->downlink_class, 0);
	assert_int_equal(record_of(&world, ADDRESS_A)->downlink_tree, 0);
	assert_int_equal(record_of(&world, ADDRESS_A)->uplink_tree, 0);
	/* the one that was repaired, or had nothing to repair, has what it had */
	assert_false(is_unrepaired(&world, ADDRESS_B));
	assert_int_not_equal(published(&world, ADDRESS_B, "web")->downlink_class, 0);
	assert_int_not_equal(record_of(&world, ADDRESS_B)->downlink_tree, 0);
	/* all other single classes come into use */
	for (unsigned int i = 1; i < 16; i++) {
		char imsi[SLUICE_IMSI_SIZE], address[SL_ADDRESS_TEXT];
		struct activation activation;

		snprintf(imsi, sizeof(imsi), "0010100%08u", i);
		snprintf(address, sizeof(address), "10.1.1.%u", i);
		world_fill(&activation, imsi, address, rates_rules, 1);
		activation.rules[0].mbr[DOWN] = MBIT;
		assert_int_equal(sl_control_activate(world.control, &activation.session, NULL), 0);
		assert_int_not_equal(published(&world, address, "web")->downlink_class, 0);
		assert_int_not_equal(published(&world, address, "web")->downlink_class, own);
		taken = taken || published(&world, address, "web")->downlink_class == shared;
	}
	assert_true(taken);
	for (unsigned int i = 0; i < 100; i++)
		sl_control_audit(world.control, 20);
	assert_int_equal(published(&world, ADDRESS_A, "video")->downlink_class, 0);
	/* and with a tree it has its queues again */
	world_deactivate(&world, IMSI_B, NULL, NULL, true);
	sl_grace_drain(world.grace);
	for (unsigned int i = 0; i < 100 && is_unrepaired(&world, ADDRESS_A); i++)
		sl_control_audit(world.control, 20);
	assert_false(is_unrepaired(&world, ADDRESS_A));
	assert_int_equal(
		sl_qos_tree_of(world.qos, DOWN, published(&world, ADDRESS_A, "video")->downlink_class),
		record_of(&world, ADDRESS_A)->downlink_tree);
	world_stop(&world);
}

static void a_session_that_cannot_be_repaired_leads_to_no_meter_of_another(void **state)
{
	struct world world;
	uint32_t meter;

	(void)state;
	start_with_two(&world, SLUICE_RATE_POLICE);
	meter = published(&world, ADDRESS_B, "web")->downlink_meter;
	assert_int_not_equal(meter, 0);
	assert_int_not_equal(published(&world, ADDRESS_A, "web")->downlink_meter, 0);
	published(&world, ADDRESS_A, "web")->downlink_meter = meter;
	world_stop(&world);

	start(&world, true, 1);
	assert_true(is_unrepaired(&world, ADDRESS_A));
	assert_int_not_equal(published(&world, ADDRESS_A, "web")->downlink_meter,
			     published(&world, ADDRESS_B, "web")->downlink_meter);
	rates_assert_rate(&world, published(&world, ADDRESS_B, "web")->downlink_meter, 4 * MBIT);
	world_stop(&world);
}

static void a_session_that_cannot_be_repaired_and_counts_into_anothers_usage_ends(void **state)
{
	struct sl_usage_record record;
	struct world world;
	uint32_t usage;

	(void)state;
	start_with_two(&world, SLUICE_RATE_DEFAULT);
	usage = published(&world, ADDRESS_B, "web")->usage;
	world_count_bytes(&world, usage, 4711);
	published(&world, ADDRESS_A, "web")->usage = usage;
	world_stop(&world);

	start(&world, true, 1);
	assert_null(world_policy(&world, ADDRESS_A));
	assert_int_equal(sl_control_enforced_sessions(world.control), 1);
	assert_int_equal(published(&world, ADDRESS_B, "web")->usage, usage);
	assert_true(world_find_record_of(&world, IMSI_B, "web", 1, &record));
	assert_int_equal(record.usage.uplink.bytes, 4711);
	/* what it had counted itself is told, and it can come back */
	assert_true(world_find_record_of(&world, IMSI_A, "video", 1, &record));
	assert_true(record.retired);
	activate(&world, IMSI_A, ADDRESS_A, 0, 0, SLUICE_RATE_DEFAULT);
	assert_int_equal(world_policy(&world, ADDRESS_A)->rules, 2);
	world_stop(&world);
}

static void a_session_whose_class_is_gone_is_repaired_at_the_start_if_it_can_be(void **state)
{
	struct world world;

	(void)state;
	start_with_two(&world, SLUICE_RATE_DEFAULT);
	world_deactivate(&world, IMSI_B, NULL, NULL, true);
	world_stop(&world);
	start(&world, true, 1);
	assert_false(is_unrepaired(&world, ADDRESS_A));
	assert_int_not_equal(published(&world, ADDRESS_A, "web")->downlink_class, 0);
	assert_int_equal(
		sl_qos_rates(world.qos, DOWN, published(&world, ADDRESS_A, "web")->downlink_class).mbr,
		4 * MBIT);
	world_stop(&world);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_devices, fixture_no_devices)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(a_session_that_cannot_be_repaired_leads_to_no_class_that_others_are_given),
		TEST(a_session_that_cannot_be_repaired_leads_to_no_meter_of_another),
		TEST(a_session_that_cannot_be_repaired_and_counts_into_anothers_usage_ends),
		TEST(a_session_whose_class_is_gone_is_repaired_at_the_start_if_it_can_be),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
