// SPDX-License-Identifier: Apache-2.0
/*
 * More sessions with an AMBR than there are trees, each with an MBR of a rule beside it:
 * all are accepted, what finds no queue is policed, and that is told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "session_world.h"

#define SESSIONS 20000u
#define TREES	 256u
#define CLASSES	 64u
#define AMBR	 20000000u
#define MBR	 5000000u

static struct {
	uint32_t sessions_policed, rules_policed, rules_failed;
} told;

static void note(const struct sl_control_event *event, void *user)
{
	(void)user;
	told.sessions_policed += event->type == SL_EVENT_SESSION_POLICED;
	told.rules_policed += event->type == SL_EVENT_RULE_POLICED;
	told.rules_failed += event->type == SL_EVENT_RULE_FAILED;
}

static const char *address_of(uint32_t session, char text[16])
{
	snprintf(text, 16, "10.%u.%u.%u", 64 + session / 65536, session / 256 % 256, session % 256);
	return text;
}

static void accept(struct world *world, uint32_t session)
{
	const struct rule_spec specs[] = {
		{.id = "limited", .version = 1, .precedence = 10, .remote = "198.51.100.1/32"},
		{.id = "rest", .version = 1, .precedence = 20}};
	struct activation activation;
	struct sl_error err = {""};
	char imsi[16], address[16];

	snprintf(imsi, sizeof(imsi), "00101%010u", session);
	world_fill(&activation, imsi, address_of(session, address), specs, 2);
	activation.session.has_ambr = true;
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		activation.session.ambr[direction] = AMBR;
		activation.rules[0].mbr[direction] = MBR;
	}
	if (sl_control_activate(world->control, &activation.session, &err) < 0)
		fail_msg("session %u: %s", session, err.text);
	for (int i = 0; i < 2; i++)
		if (activation.requests[i].result < 0)
			fail_msg("session %u, %s: %s", session, specs[i].id,
				 activation.requests[i].error.text);
	sl_grace_collect(world->grace);
}

struct kept {
	uint32_t in_trees;	/* both rules have a queue and no meter */
	uint32_t single_queues; /* the rule with an MBR has one, under a meter of the AMBR */
	uint32_t metered;	/* no queue at all */
};

static void look(struct world *world, uint32_t session, struct kept *kept)
{
	const struct sluice_binding *limited, *rest;
	const struct sluice_policy *policy;
	char address[16];

	policy = world_policy(world, address_of(session, address));
	assert_non_null(policy);
	assert_int_equal(policy->rules, 2);
	limited = &policy->binding[0];
	rest = &policy->binding[1];
	for (int i = 0; i < 2; i++) {
		const struct sluice_binding *binding = &policy->binding[i];

		assert_int_equal(!binding->uplink_class, !binding->downlink_class);
		assert_int_equal(!binding->uplink_meter, !binding->downlink_meter);
		if (!binding->uplink_class && !binding->uplink_meter)
			fail_msg("session %u: nothing keeps the rates of rule %d", session, i);
	}
	assert_int_equal(!limited->uplink_meter, !rest->uplink_meter);
	kept->in_trees += limited->uplink_class && rest->uplink_class && !rest->uplink_meter;
	kept->single_queues += limited->uplink_class && !rest->uplink_class && rest->uplink_meter;
	kept->metered += !limited->uplink_class && !rest->uplink_class;
}

static void look_at_all(struct world *world)
{
	struct kept kept = {0};

	assert_int_equal(sl_control_known_sessions(world->control), SESSIONS);
	assert_int_equal(sl_control_enforced_sessions(world->control), SESSIONS);
	for (uint32_t session = 0; session < SESSIONS; session++)
		look(world, session, &kept);
	assert_int_equal(kept.in_trees, TREES);
	assert_int_equal(kept.single_queues, CLASSES);
	assert_int_equal(kept.metered, SESSIONS - TREES - CLASSES);
}

static void twenty_thousand_sessions_with_an_ambr_and_an_mbr_are_all_accepted(void **state)
{
	const struct sl_datapath_limits limits = {.sessions = SESSIONS,
						  .usage = 4 * SESSIONS,
						  .rules = 64,
						  .flows = 128,
						  .matches = 256,
						  .bindings = 64,
						  .meters = 5 * SESSIONS};
	const struct sl_control_config settings = {.backend = SL_RATE_AUTO, .on_event = note};
	struct world world;

	(void)state;
	world_start_with_trees(&world, false, &settings, &limits, CLASSES, TREES);
	for (uint32_t session = 0; session < SESSIONS; session++)
		accept(&world, session);
	look_at_all(&world);
	/* each is told of once */
	assert_int_equal(told.sessions_policed, SESSIONS - TREES);
	assert_int_equal(told.rules_policed, SESSIONS - TREES - CLASSES);
	assert_int_equal(told.rules_failed, 0);
	world_stop(&world);

	/* and a restart finds them as they were */
	world_start_with_trees(&world, true, &settings, &limits, CLASSES, TREES);
	look_at_all(&world);
	world_stop(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			twenty_thousand_sessions_with_an_ambr_and_an_mbr_are_all_accepted, fixture_devices,
			fixture_no_devices),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
