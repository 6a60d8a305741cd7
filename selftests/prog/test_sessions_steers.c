// SPDX-License-Identifier: Apache-2.0
/* Where rules may send packets: anywhere but to the agent's own interfaces on the subscribers' side. */
#include <errno.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "session_world.h"

static const char *const access_interfaces[] = {"access0", NULL};
static const struct rule_spec plain = {.id = "plain", .version = 1, .precedence = 20};
static const struct rule_spec specs[] = {
	{.id = "aside", .version = 1, .precedence = 10, .remote = "45.10.0.0/24"},
	{.id = "plain", .version = 1, .precedence = 20},
};

static void start(struct world *world, bool adopted, const char *const *access)
{
	struct sl_datapath_limits limits = fixture_config().limits;

	world_start_with(world, adopted, &(struct sl_control_config){.keep_retired = true, .access = access},
			 &limits, 0);
}

/* The first rule sends what it permits to the interface; 0 or how it failed. */
static int steer_to(struct world *world, const char *interface, struct sl_error *why)
{
	struct activation activation;
	struct sl_error err = {{0}};

	world_fill(&activation, IMSI_A, ADDRESS_A, specs, 2);
	activation.rules[0].steer.mode = SLUICE_STEER_REDIRECT;
	strcpy(activation.rules[0].steer.interface, interface);
	assert_int_equal(sl_control_activate(world->control, &activation.session, &err), 0);
	assert_int_equal(activation.requests[1].result, 0);
	sl_error(why, 0, "%s", activation.requests[0].error.text);
	return activation.requests[0].result;
}

static void a_rule_that_sends_packets_to_an_access_interface_is_refused_alone(void **state)
{
	struct sl_error why = {{0}};
	struct world world;

	(void)state;
	start(&world, false, access_interfaces);
	assert_int_equal(steer_to(&world, "access0", &why), -EINVAL);
	assert_string_equal(why.text, "steer.interface: 'access0' is an access interface of this agent");
	assert_int_equal(world_policy(&world, ADDRESS_A)->rules, 1);
	assert_int_equal(world_used(&world, "steers"), 0);
	assert_int_equal(steer_to(&world, "core0", &why), 0);
	assert_int_equal(world_policy(&world, ADDRESS_A)->rules, 2);
	/* what is in force stays when its next content is refused */
	assert_int_equal(steer_to(&world, "access0", &why), -EINVAL);
	assert_int_equal(world_policy(&world, ADDRESS_A)->rules, 2);
	assert_int_equal(sl_datapath_maps(world.datapath)->steers[0].ifindex, if_nametoindex("core0"));
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	world_acknowledge_all(&world);
	world_assert_nothing_used(&world);
	world_stop(&world);
}

static void another_name_of_an_access_interface_is_refused_too(void **state)
{
	struct sl_error why = {{0}};
	struct world world;

	(void)state;
	fixture_run("ip link property add dev access0 altname subscribers");
	start(&world, false, access_interfaces);
	assert_int_equal(steer_to(&world, "subscribers", &why), -EINVAL);
	assert_string_equal(
		why.text,
		"steer.interface: 'subscribers' is another name of an access interface of this agent");
	world_stop(&world);
}

/* In force since before the interface was one of the access side, or took such a name later. */
static void packets_of_such_a_rule_that_is_in_force_go_nowhere(void **state)
{
	const struct sluice_steer *steers;
	struct sl_error why = {{0}};
	struct world world;

	(void)state;
	start(&world, false, NULL);
	assert_int_equal(steer_to(&world, "access0", &why), 0);
	assert_int_equal(sl_datapath_maps(world.datapath)->steers[0].ifindex, if_nametoindex("access0"));
	world_stop(&world);
	start(&world, true, access_interfaces);
	steers = sl_datapath_maps(world.datapath)->steers;
	assert_int_equal(steers[0].mode, SLUICE_STEER_REDIRECT);
	assert_int_equal(steers[0].ifindex, 0);
	sl_control_resolve_steers(world.control);
	assert_int_equal(steers[0].ifindex, 0);
	/* asked for again it is refused, and it may be deactivated */
	assert_int_equal(steer_to(&world, "access0", &why), -EINVAL);
	world_deactivate(&world, IMSI_A, ADDRESS_A, "aside", false);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, &plain, 1);
	assert_int_equal(world_used(&world, "steers"), 1); /* until its usage is acknowledged */
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	world_acknowledge_all(&world);
	world_assert_nothing_used(&world);
	world_stop(&world);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_devices, fixture_no_devices)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_rule_that_sends_packets_to_an_access_interface_is_refused_alone),
		TEST(another_name_of_an_access_interface_is_refused_too),
		TEST(packets_of_such_a_rule_that_is_in_force_go_nowhere),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
