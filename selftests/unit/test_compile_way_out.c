// SPDX-License-Identifier: Apache-2.0
/* What the way out of a session's APN makes of its rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "policy/compile.h"

#define WAY (SLUICE_STEER_FIRST + 5)

static const struct sl_address addresses[] = {{.family = 4, .bytes = {10, 0, 0, 5}},
					      {.family = 6, .bytes = {0x20, 0x01, 0x0d, 0xb8, 0, 5}}};

/* The action of a rule with one such flow. */
static uint8_t action(enum sluice_direction direction, enum sluice_action asked, enum sluice_steer_mode mode,
		      uint8_t way_out, int family)
{
	struct sluice_flow flow = {
		.direction = direction, .action = asked, .remote_port_high = 65535, .local_port_high = 65535};
	struct sl_rule rule = {
		.id = "r", .flow_count = 1, .flows = &flow, .steer = {.mode = mode, .slot = 9}};
	const struct sl_install install = {.rule = &rule, .way_out = way_out};
	struct sl_ruleset_image image = {0};
	const struct sl_match_list *list = &image.list[direction];
	uint8_t found;

	assert_int_equal(sl_compile(&install, 1, &addresses[family], &image, NULL), 0);
	assert_int_equal(list->count, 1);
	found = family ? list->block6[0].match[0].action : list->block4[0].match[0].action;
	sl_ruleset_image_clear(&image);
	return found;
}

static void what_a_rule_permits_uplink_goes_there_and_nothing_else(void **state)
{
	static const enum sluice_action others[] = {SLUICE_DENY, SLUICE_PORTAL, SLUICE_RESET, SLUICE_REJECT};

	(void)state;
	for (int family = 0; family < 2; family++) {
		assert_int_equal(action(SLUICE_UPLINK, SLUICE_PERMIT, SLUICE_STEER_FREE, WAY, family), WAY);
		assert_int_equal(action(SLUICE_UPLINK, SLUICE_PERMIT, SLUICE_STEER_FREE, 0, family),
				 SLUICE_PERMIT);
		assert_int_equal(action(SLUICE_DOWNLINK, SLUICE_PERMIT, SLUICE_STEER_FREE, WAY, family),
				 SLUICE_PERMIT);
		for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
			assert_int_equal(action(SLUICE_UPLINK, others[i], SLUICE_STEER_FREE, WAY, family),
					 others[i]);
	}
}

static void the_rules_own_interface_comes_first_and_a_copy_last(void **state)
{
	(void)state;
	assert_int_equal(action(SLUICE_UPLINK, SLUICE_PERMIT, SLUICE_STEER_REDIRECT, WAY, 0),
			 SLUICE_STEER_FIRST + 9);
	assert_int_equal(action(SLUICE_UPLINK, SLUICE_PERMIT, SLUICE_STEER_MIRROR, WAY, 0), WAY);
	assert_int_equal(action(SLUICE_UPLINK, SLUICE_PERMIT, SLUICE_STEER_MIRROR, 0, 0),
			 SLUICE_STEER_FIRST + 9);
	assert_int_equal(action(SLUICE_DOWNLINK, SLUICE_PERMIT, SLUICE_STEER_MIRROR, WAY, 0),
			 SLUICE_STEER_FIRST + 9);
}

static void lists_of_two_ways_are_not_shared(void **state)
{
	struct sluice_flow flow = {.remote_port_high = 65535, .local_port_high = 65535};
	struct sl_rule rule = {.id = "r", .flow_count = 1, .flows = &flow};
	const struct sl_install installs[] = {{.rule = &rule}, {.rule = &rule, .way_out = WAY}};
	struct sl_ruleset_image images[2] = {{0}};

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(sl_compile(&installs[i], 1, &addresses[0], &images[i], NULL), 0);
	assert_false(sl_ruleset_image_equal(&images[0], &images[1]));
	assert_true(images[0].hash != images[1].hash);
	assert_true(sl_compiles_from(&installs[0]) != sl_compiles_from(&installs[1]));
	for (int i = 0; i < 2; i++)
		sl_ruleset_image_clear(&images[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_rule_permits_uplink_goes_there_and_nothing_else),
		cmocka_unit_test(the_rules_own_interface_comes_first_and_a_copy_last),
		cmocka_unit_test(lists_of_two_ways_are_not_shared),
	};

	return cmocka_run_group_tests_name("compile_way_out", tests, NULL, NULL);
}
