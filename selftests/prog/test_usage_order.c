// SPDX-License-Identifier: Apache-2.0
/*
 * In which order a session's usage is said. A session manager ignores a version
 * of a rule that is older than the last one it has counted, so in one report the
 * older one comes first, or its usage is lost.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "session_world.h"

static void activate_version(struct world *world, uint32_t version)
{
	struct rule_spec rule = {.id = "video", .version = version, .precedence = 10};

	world_activate_ok(world, IMSI_A, ADDRESS_A, &rule, 1);
}

/* The versions of the rule as a report says them, like "2 3 4". */
static void versions_said(struct world *world, char *text, size_t size)
{
	struct sl_usage_record records[32];
	uint32_t slot = 0;
	size_t count = sl_control_session_usage(world->control, false, records, 32, &slot), length = 0;

	assert_true(count <= 32);
	text[0] = '\0';
	for (size_t i = 0; i < count; i++)
		if (strcmp(records[i].rule_id, "video") == 0)
			length += (size_t)snprintf(text + length, size - length, "%s%u", length ? " " : "",
						   records[i].version);
}

static void an_acknowledgement_between_does_not_change_the_order_of_the_others(void **state)
{
	struct sl_usage_receipt receipt;
	struct sl_usage_record first;
	struct world world;
	char said[64];

	(void)state;
	world_start(&world, false, true, 0);
	activate_version(&world, 1);
	activate_version(&world, 2);
	sl_grace_drain(world.grace);
	assert_int_equal(sl_control_retired(world.control, &first, 1), 1);
	assert_true(first.final);
	/* the report that says so is under way */
	activate_version(&world, 3);
	activate_version(&world, 4);
	versions_said(&world, said, sizeof(said));
	assert_string_equal(said, "1 2 3 4");
	receipt = (struct sl_usage_receipt){first.slot, first.sequence};
	sl_control_acknowledge(world.control, &receipt, 1);
	versions_said(&world, said, sizeof(said));
	assert_string_equal(said, "2 3 4");
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	world_acknowledge_all(&world);
	world_assert_nothing_used(&world);
	world_stop(&world);
}

static void a_restart_does_not_change_the_order(void **state)
{
	static const struct rule_spec fillers[] = {
		{.id = "a", .version = 1, .precedence = 1},
		{.id = "b", .version = 1, .precedence = 2},
		{.id = "c", .version = 1, .precedence = 3},
	};
	struct sl_usage_record records[4];
	struct world world;
	char said[64];

	(void)state;
	world_start(&world, false, true, 0);
	/* frees slots below that of version 1, for those after it */
	world_activate_ok(&world, IMSI_B, ADDRESS_B, fillers, 3);
	activate_version(&world, 1);
	world_deactivate(&world, IMSI_B, ADDRESS_B, NULL, true);
	world_acknowledge_all(&world);
	world_stop(&world);
	world_start(&world, true, true, 0);
	activate_version(&world, 2);
	activate_version(&world, 3);
	versions_said(&world, said, sizeof(said));
	assert_string_equal(said, "1 2 3");
	assert_int_equal(sl_control_retired(world.control, records, 4), 2);
	assert_true(records[1].slot < records[0].slot);
	world_stop(&world);
	world_start(&world, true, true, 0);
	versions_said(&world, said, sizeof(said));
	assert_string_equal(said, "1 2 3");
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	world_acknowledge_all(&world);
	world_assert_nothing_used(&world);
	world_stop(&world);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_devices, fixture_no_devices)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_acknowledgement_between_does_not_change_the_order_of_the_others),
		TEST(a_restart_does_not_change_the_order),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
