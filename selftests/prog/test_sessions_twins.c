// SPDX-License-Identifier: Apache-2.0
/*
 * Dual-stack subscribers: two sessions that are published, counted and ended
 * apart, and one queue for each rule that both have. On the real maps and queues.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "control/model.h"
#include "session_world.h"

#define ADDRESS_A6 "2001:db8:a::1"
#define ADDRESS_B6 "2001:db8:b::1"

static const struct rule_spec rules[] = {
	{.id = "limited", .version = 1, .precedence = 10, .mbr_downlink = 5000000},
	{.id = "free", .version = 1, .precedence = 20},
};

static struct sl_address parsed(const char *text)
{
	struct sl_address address;

	assert_int_equal(sl_address_parse("address", text, &address, NULL), 0);
	return address;
}

/* As one request that names both addresses. */
static void activate_both(struct world *world, const char *imsi, const char *four, const char *six,
			  const struct rule_spec *specs, size_t count)
{
	const char *addresses[] = {four, six};
	struct activation activation;
	struct sl_error err = {{0}};

	for (int i = 0; i < 2; i++) {
		world_fill(&activation, imsi, addresses[i], specs, count);
		activation.session.twin = parsed(addresses[1 - i]);
		assert_int_equal(sl_control_activate(world->control, &activation.session, &err), 0);
	}
}

static uint16_t class_of(struct world *world, const char *address, const char *rule_id)
{
	const struct sluice_policy *policy = world_policy(world, address);

	assert_non_null(policy);
	for (uint32_t i = 0; i < policy->rules; i++)
		if (strcmp(sl_datapath_maps(world->datapath)->usage_owners[policy->binding[i].usage].rule_id,
			   rule_id) == 0)
			return policy->binding[i].downlink_class;
	fail_msg("%s has no rule %s", address, rule_id);
	return 0;
}

static uint32_t classes_used(struct world *world)
{
	struct sl_qos_pool_status pool;

	sl_grace_drain(world->grace);
	sl_qos_pool_status(world->qos, SLUICE_DOWNLINK, &pool);
	return pool.used;
}

static uint64_t rate_of(struct world *world, uint16_t minor)
{
	return sl_qos_rates(world->qos, SLUICE_DOWNLINK, minor).mbr;
}

static void end(struct world *world)
{
	world_deactivate(world, IMSI_A, NULL, NULL, true);
	world_acknowledge_all(world);
	world_assert_nothing_used(world);
	world_stop(world);
}

static void a_rule_of_both_families_is_in_one_queue_and_counted_apart(void **state)
{
	const struct sluice_policy *four, *six;
	struct world world;

	(void)state;
	world_start(&world, false, true, 16);
	activate_both(&world, IMSI_A, ADDRESS_A, ADDRESS_A6, rules, 2);
	assert_true(class_of(&world, ADDRESS_A, "limited") >= SLUICE_HTB_POOL_MINOR);
	assert_int_equal(class_of(&world, ADDRESS_A, "limited"), class_of(&world, ADDRESS_A6, "limited"));
	assert_int_equal(classes_used(&world), 1);
	four = world_policy(&world, ADDRESS_A);
	six = world_policy(&world, ADDRESS_A6);
	assert_int_not_equal(four->binding[0].usage, six->binding[0].usage);
	end(&world);
}

static void another_mbr_changes_the_one_queue_once(void **state)
{
	struct rule_spec changed[] = {rules[0], rules[1]};
	struct world world;
	uint16_t minor;

	(void)state;
	world_start(&world, false, true, 16);
	activate_both(&world, IMSI_A, ADDRESS_A, ADDRESS_A6, rules, 2);
	minor = class_of(&world, ADDRESS_A, "limited");
	changed[0].mbr_downlink = 8000000;
	activate_both(&world, IMSI_A, ADDRESS_A, ADDRESS_A6, changed, 2);
	assert_int_equal(rate_of(&world, minor), 8000000);
	/* a new version moves into the same queue */
	changed[0].version = 2;
	changed[0].mbr_downlink = 3000000;
	activate_both(&world, IMSI_A, ADDRESS_A, ADDRESS_A6, changed, 2);
	assert_int_equal(class_of(&world, ADDRESS_A, "limited"), minor);
	assert_int_equal(class_of(&world, ADDRESS_A6, "limited"), minor);
	assert_int_equal(rate_of(&world, minor), 3000000);
	assert_int_equal(classes_used(&world), 1);
	end(&world);
}

static void the_queue_stays_until_the_last_family_has_left_it(void **state)
{
	struct world world;
	uint16_t minor;

	(void)state;
	world_start(&world, false, true, 16);
	activate_both(&world, IMSI_A, ADDRESS_A, ADDRESS_A6, rules, 2);
	minor = class_of(&world, ADDRESS_A, "limited");
	world_deactivate(&world, IMSI_A, ADDRESS_A, "limited", false);
	assert_int_equal(classes_used(&world), 1);
	assert_int_equal(rate_of(&world, minor), 5000000);
	/* it comes back into the queue that the other family still has */
	activate_both(&world, IMSI_A, ADDRESS_A, ADDRESS_A6, rules, 2);
	assert_int_equal(class_of(&world, ADDRESS_A, "limited"), minor);
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	assert_int_equal(classes_used(&world), 1);
	assert_int_equal(class_of(&world, ADDRESS_A6, "limited"), minor);
	world_deactivate(&world, IMSI_A, ADDRESS_A6, NULL, true);
	assert_int_equal(classes_used(&world), 0);
	world_acknowledge_all(&world);
	world_assert_nothing_used(&world);
	world_stop(&world);
}

static void two_sessions_become_one_rate_when_a_request_names_both(void **state)
{
	struct world world;

	(void)state;
	world_start(&world, false, true, 16);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, rules, 2);
	world_activate_ok(&world, IMSI_A, ADDRESS_A6, rules, 2);
	assert_int_not_equal(class_of(&world, ADDRESS_A, "limited"), class_of(&world, ADDRESS_A6, "limited"));
	assert_int_equal(classes_used(&world), 2);
	/* also for rules that this request does not name */
	activate_both(&world, IMSI_A, ADDRESS_A, ADDRESS_A6, rules + 1, 1);
	assert_int_equal(class_of(&world, ADDRESS_A, "limited"), class_of(&world, ADDRESS_A6, "limited"));
	assert_int_equal(classes_used(&world), 1);
	end(&world);
}

static void two_apns_of_one_imsi_have_their_rates_apart(void **state)
{
	struct world world;

	(void)state;
	world_start(&world, false, true, 16);
	activate_both(&world, IMSI_A, ADDRESS_A, ADDRESS_A6, rules, 2);
	activate_both(&world, IMSI_A, ADDRESS_B, ADDRESS_B6, rules, 2);
	assert_int_equal(class_of(&world, ADDRESS_A, "limited"), class_of(&world, ADDRESS_A6, "limited"));
	assert_int_equal(class_of(&world, ADDRESS_B, "limited"), class_of(&world, ADDRESS_B6, "limited"));
	assert_int_not_equal(class_of(&world, ADDRESS_A, "limited"), class_of(&world, ADDRESS_B, "limited"));
	assert_int_equal(classes_used(&world), 2);
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	world_deactivate(&world, IMSI_A, ADDRESS_A6, NULL, true);
	assert_int_equal(classes_used(&world), 1);
	end(&world);
}

static void a_session_that_loses_its_twin_to_another_gets_a_rate_of_its_own(void **state)
{
	struct world world;

	(void)state;
	world_start(&world, false, true, 16);
	activate_both(&world, IMSI_A, ADDRESS_A, ADDRESS_A6, rules, 2);
	activate_both(&world, IMSI_A, ADDRESS_A, ADDRESS_B6, rules, 2);
	assert_int_equal(class_of(&world, ADDRESS_A, "limited"), class_of(&world, ADDRESS_B6, "limited"));
	assert_int_not_equal(class_of(&world, ADDRESS_A, "limited"), class_of(&world, ADDRESS_A6, "limited"));
	assert_int_equal(classes_used(&world), 2);
	end(&world);
}

static void a_restart_finds_the_twins_and_their_queue(void **state)
{
	struct world world;
	uint16_t minor;

	(void)state;
	world_start(&world, false, true, 16);
	activate_both(&world, IMSI_A, ADDRESS_A, ADDRESS_A6, rules, 2);
	activate_both(&world, IMSI_A, ADDRESS_B, ADDRESS_B6, rules, 1);
	minor = class_of(&world, ADDRESS_A, "limited");
	world_stop(&world);
	world_start(&world, true, true, 16);
	assert_int_equal(class_of(&world, ADDRESS_A, "limited"), minor);
	assert_int_equal(class_of(&world, ADDRESS_A6, "limited"), minor);
	assert_int_equal(sl_qos_users(world.qos, SLUICE_DOWNLINK, minor), 2);
	assert_int_equal(classes_used(&world), 2);
	/* and they still are twins: what comes back joins the queue */
	world_deactivate(&world, IMSI_A, ADDRESS_A, "limited", false);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, rules, 2);
	assert_int_equal(class_of(&world, ADDRESS_A, "limited"), minor);
	end(&world);
}

/* What a crash leaves when the second of the two records was not written, or the second session not
 * published. */
static void a_restart_after_half_a_link_keeps_both_sessions_and_leaks_no_queue(void **state)
{
	struct sl_address six = parsed(ADDRESS_A6);
	struct sl_maps *maps;
	struct world world;

	(void)state;
	for (int half = 0; half < 2; half++) {
		world_start(&world, false, true, 16);
		activate_both(&world, IMSI_A, ADDRESS_A, ADDRESS_A6, rules, 2);
		maps = sl_datapath_maps(world.datapath);
		if (half == 0)
			maps->sessions[world_policy(&world, ADDRESS_A)->session].twin = 0;
		else
			assert_int_equal(sl_endpoint_delete(world.datapath, &six, NULL), 0);
		world_stop(&world);
		world_start(&world, true, true, 16);
		assert_int_equal(sl_control_known_sessions(world.control), half == 0 ? 2 : 1);
		assert_int_equal(classes_used(&world), half == 0 ? 2 : 1);
		/* the next request makes it good */
		activate_both(&world, IMSI_A, ADDRESS_A, ADDRESS_A6, rules, 2);
		assert_int_equal(class_of(&world, ADDRESS_A, "limited"),
				 class_of(&world, ADDRESS_A6, "limited"));
		assert_int_equal(classes_used(&world), 1);
		end(&world);
		fixture_no_devices(NULL);
		fixture_devices(NULL);
	}
}

static void a_setup_makes_twins_and_separates_them_as_it_says(void **state)
{
	struct activation wanted[2];
	struct sl_session_request requests[2];
	const char *addresses[] = {ADDRESS_A, ADDRESS_A6};
	struct sl_error err = {{0}};
	uint32_t refused = 0;
	struct world world;

	(void)state;
	world_start(&world, false, true, 16);
	for (int together = 1; together >= 0; together--) {
		for (int i = 0; i < 2; i++) {
			world_fill(&wanted[i], IMSI_A, addresses[i], rules, 2);
			if (together)
				wanted[i].session.twin = parsed(addresses[1 - i]);
			requests[i] = wanted[i].session;
		}
		assert_int_equal(sl_control_setup(world.control, requests, 2, &refused, &err), 0);
		assert_int_equal(refused, 0);
		assert_int_equal(classes_used(&world), together ? 1 : 2);
		assert_int_equal(class_of(&world, ADDRESS_A, "limited") ==
					 class_of(&world, ADDRESS_A6, "limited"),
				 together);
	}
	end(&world);
}

static void a_family_that_cannot_be_had_leaves_the_rate_of_the_other_as_it_was(void **state)
{
	uint32_t sessions = fixture_config().limits.sessions;
	struct rule_spec changed = rules[0], over = rules[0];
	struct activation activation;
	struct sl_error err = {{0}};
	char imsi[16], address[32];
	struct world world;
	uint16_t minor;

	(void)state;
	world_start(&world, false, true, 16);
	activate_both(&world, IMSI_A, ADDRESS_A, ADDRESS_A6, rules, 1);
	minor = class_of(&world, ADDRESS_A, "limited");
	/* a rate that no queue can have: the rule fails, the queue of both is untouched */
	over.mbr_downlink = 7999;
	world_fill(&activation, IMSI_A, ADDRESS_A6, &over, 1);
	assert_int_equal(sl_control_activate(world.control, &activation.session, &err), 0);
	assert_int_equal(activation.requests[0].result, -ERANGE);
	assert_int_equal(rate_of(&world, minor), 5000000);
	assert_int_equal(sl_qos_users(world.qos, SLUICE_DOWNLINK, minor), 2);
	world_deactivate(&world, IMSI_A, ADDRESS_A6, NULL, true);
	world_acknowledge_all(&world);

	/* no room for the second session: what it had taken for the draft is given back */
	for (uint32_t i = 1; i < sessions; i++) {
		snprintf(imsi, sizeof(imsi), "00102%010u", i);
		snprintf(address, sizeof(address), "10.0.%u.%u", i >> 8, i & 255);
		world_activate_ok(&world, imsi, address, rules + 1, 1);
	}
	changed.mbr_downlink = 7000000;
	world_fill(&activation, IMSI_A, ADDRESS_A6, &changed, 1);
	activation.session.twin = parsed(ADDRESS_A);
	assert_int_equal(sl_control_activate(world.control, &activation.session, &err), -ENOSPC);
	assert_int_equal(rate_of(&world, minor), 5000000);
	assert_int_equal(sl_qos_users(world.qos, SLUICE_DOWNLINK, minor), 1);
	world_stop(&world);
}

/* It fails when the queues are drafted already: the map of bindings is full. */
static void a_change_that_fails_late_leaves_rate_and_users_of_the_queue_as_they_were(void **state)
{
	struct sl_datapath_limits limits = fixture_config().limits;
	struct rule_spec specs[16] = {0};
	struct activation activation;
	struct sl_error err = {{0}};
	struct world world;
	uint16_t four, six;
	char ids[16][8];

	(void)state;
	limits.bindings = 18;
	world_start_with(&world, false, &(struct sl_control_config){.keep_retired = true}, &limits, 16);
	for (uint32_t i = 0; i < 16; i++) {
		snprintf(ids[i], sizeof(ids[i]), "r%u", i);
		specs[i] = (struct rule_spec){.id = ids[i], .version = 1, .precedence = i};
	}
	specs[0].mbr_downlink = 5000000;
	/* one binding each beyond those in the policy, then all the others */
	world_activate_ok(&world, IMSI_A, ADDRESS_A, specs, SLUICE_INLINE_BINDINGS + 1);
	world_activate_ok(&world, IMSI_A, ADDRESS_A6, specs, SLUICE_INLINE_BINDINGS + 1);
	world_activate_ok(&world, IMSI_B, ADDRESS_B, specs + 1, SLUICE_INLINE_BINDINGS + 9);
	world_activate_ok(&world, IMSI_B, ADDRESS_B6, specs + 1, SLUICE_INLINE_BINDINGS + 7);
	assert_int_equal(world_used(&world, "bindings"), limits.bindings);
	four = class_of(&world, ADDRESS_A, "r0");
	six = class_of(&world, ADDRESS_A6, "r0");
	specs[0].mbr_downlink = 8000000;
	world_fill(&activation, IMSI_A, ADDRESS_A6, specs, 1);
	activation.session.twin = parsed(ADDRESS_A);
	assert_int_equal(sl_control_activate(world.control, &activation.session, &err), -ENOSPC);
	assert_int_equal(rate_of(&world, four), 5000000);
	assert_int_equal(rate_of(&world, six), 5000000);
	assert_int_equal(sl_qos_users(world.qos, SLUICE_DOWNLINK, four), 1);
	assert_int_equal(sl_qos_users(world.qos, SLUICE_DOWNLINK, six), 1);
	assert_int_equal(classes_used(&world), 2);
	for (int i = 0; i < 2; i++) {
		const char *address = i ? ADDRESS_A6 : ADDRESS_A;

		assert_int_equal(sl_datapath_maps(world.datapath)
					 ->sessions[world_policy(&world, address)->session]
					 .twin,
				 0);
	}
	/* with room it succeeds */
	world_deactivate(&world, IMSI_B, NULL, NULL, true);
	sl_grace_drain(world.grace);
	activate_both(&world, IMSI_A, ADDRESS_A, ADDRESS_A6, specs, 1);
	assert_int_equal(class_of(&world, ADDRESS_A, "r0"), class_of(&world, ADDRESS_A6, "r0"));
	assert_int_equal(rate_of(&world, class_of(&world, ADDRESS_A, "r0")), 8000000);
	end(&world);
}

static void ten_thousand_dual_stack_cycles_leave_nothing(void **state)
{
	struct world world;

	(void)state;
	world_start(&world, false, false, 256);
	for (int i = 0; i < 10000; i++) {
		struct rule_spec changing = rules[0];

		changing.version = (uint32_t)i;
		changing.mbr_downlink = 1000000 + (uint64_t)(i % 7) * 100000;
		activate_both(&world, IMSI_A, ADDRESS_A, ADDRESS_A6, &changing, 1);
		/* the families end in turns: first the one, first the other, both at once */
		if (i % 3 != 2)
			world_deactivate(&world, IMSI_A, i % 3 ? ADDRESS_A : ADDRESS_A6, NULL, true);
		world_deactivate(&world, IMSI_A, NULL, NULL, true);
		sl_grace_collect(world.grace);
		if (i % 100 == 99)
			sl_grace_drain(world.grace);
	}
	world_assert_nothing_used(&world);
	world_stop(&world);
}

/*
 * Two dual-stack subscriptions of one IMSI, changed at random, with restarts at
 * random moments. After every step each rule is in one queue for both families
 * of its pair, and the queues in use are those and no more.
 */
static uint32_t random_state;

static uint32_t random_below(uint32_t bound)
{
	random_state = random_state * 1103515245u + 12345u;
	return (random_state >> 16) % bound;
}

static void check_queues(struct world *world, const char *const addresses[2][2], const char *const ids[3],
			 uint32_t seed, int step)
{
	uint32_t queues = 0;

	for (int pair = 0; pair < 2; pair++) {
		for (int rule = 0; rule < 3; rule++) {
			uint16_t minor[2] = {0, 0};

			for (int family = 0; family < 2; family++) {
				const struct sluice_policy *policy =
					world_policy(world, addresses[pair][family]);
				const struct sluice_usage_owner *owners =
					sl_datapath_maps(world->datapath)->usage_owners;

				for (uint32_t i = 0; policy && i < policy->rules; i++)
					if (strcmp(owners[policy->binding[i].usage].rule_id, ids[rule]) == 0)
						minor[family] = policy->binding[i].downlink_class;
			}
			if (minor[0] && minor[1] && minor[0] != minor[1])
				fail_msg("seed %u, step %d: rule %s of pair %d is in queues %u and %u", seed,
					 step, ids[rule], pair, minor[0], minor[1]);
			queues += minor[0] || minor[1];
		}
	}
	if (classes_used(world) != queues)
		fail_msg("seed %u, step %d: %u queues are in use, %u are needed", seed, step,
			 classes_used(world), queues);
}

static void at_any_moment_there_are_as_many_queues_as_rates(void **state)
{
	static const char *const addresses[2][2] = {{ADDRESS_A, ADDRESS_A6}, {ADDRESS_B, ADDRESS_B6}};
	static const char *const ids[3] = {"first", "second", "third"};
	uint32_t seed = (uint32_t)time(NULL);
	struct world world;

	(void)state;
	print_message("seed %u\n", seed);
	random_state = seed;
	world_start(&world, false, true, 16);
	for (int step = 0; step < 150; step++) {
		int pair = (int)random_below(2), what = (int)random_below(20);
		struct rule_spec specs[3] = {0};
		uint32_t count = 1 + random_below(3), first = random_below(3);

		for (uint32_t i = 0; i < count; i++)
			specs[i] = (struct rule_spec){
				.id = ids[(first + i) % 3],
				.version = 1 + random_below(3),
				.precedence = random_below(5),
				.mbr_downlink = random_below(4) ? 1000000 * (1 + random_below(4)) : 0,
			};
		if (what < 11) {
			activate_both(&world, IMSI_A, addresses[pair][0], addresses[pair][1], specs, count);
		} else if (what < 14) {
			world_deactivate(&world, IMSI_A, addresses[pair][random_below(2)], ids[first], false);
		} else if (what < 16) {
			world_deactivate(&world, IMSI_A, addresses[pair][random_below(2)], NULL, true);
		} else if (what < 18) {
			world_acknowledge_all(&world);
		} else {
			/* with classes still in their grace period or not */
			if (what == 18)
				sl_grace_drain(world.grace);
			world_stop(&world);
			world_start(&world, true, true, 16);
		}
		check_queues(&world, addresses, ids, seed, step);
	}
	end(&world);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_devices, fixture_no_devices)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_rule_of_both_families_is_in_one_queue_and_counted_apart),
		TEST(another_mbr_changes_the_one_queue_once),
		TEST(the_queue_stays_until_the_last_family_has_left_it),
		TEST(two_sessions_become_one_rate_when_a_request_names_both),
		TEST(two_apns_of_one_imsi_have_their_rates_apart),
		TEST(a_session_that_loses_its_twin_to_another_gets_a_rate_of_its_own),
		TEST(a_restart_finds_the_twins_and_their_queue),
		TEST(a_restart_after_half_a_link_keeps_both_sessions_and_leaks_no_queue),
		TEST(a_setup_makes_twins_and_separates_them_as_it_says),
		TEST(a_family_that_cannot_be_had_leaves_the_rate_of_the_other_as_it_was),
		TEST(at_any_moment_there_are_as_many_queues_as_rates),
		TEST(a_change_that_fails_late_leaves_rate_and_users_of_the_queue_as_they_were),
		TEST(ten_thousand_dual_stack_cycles_leave_nothing),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
