// SPDX-License-Identifier: Apache-2.0
/*
 * What becomes of a session when what it is to be changes: content of rules
 * that cannot be had any more, what a setup says and is told, and what is left
 * of an earlier life.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "control/model.h"
#include "desired_world.h"

static const struct rule_spec permit = {
	.id = "rule", .version = 1, .precedence = 10, .remote = "45.10.0.0/24"};

/* --- content that cannot match ----------------------------------------------------- */

static const struct rule_spec of_ipv6 = {
	.id = "rule", .version = 1, .precedence = 10, .remote = "2001:db8::/32"};

static struct sl_rule *successor(const char *imsi, const struct sl_install *install, void *user)
{
	struct activation *content = user;

	(void)imsi;
	return strcmp(install->rule->id, "rule") == 0 ? &content->rules[0] : NULL;
}

static void assert_rule_is_gone_with_its_usage(struct world *world)
{
	struct sl_usage_record record;

	assert_int_equal(world_policy(world, ADDRESS_A)->rules, 1);
	sl_grace_drain(world->grace);
	assert_true(world_find_record(world, "rule", 1, &record));
	assert_true(record.final);
	assert_int_equal(record.usage.uplink.bytes, 700);
	world_deactivate(world, IMSI_A, ADDRESS_A, NULL, true);
	world_acknowledge_all(world);
	world_assert_nothing_used(world);
	world_stop(world);
}

static void activate_two_and_count(struct world *world)
{
	const struct rule_spec both[] = {permit, {.id = "other", .version = 1, .precedence = 20}};

	world_start(world, false, true, 0);
	world_activate_ok(world, IMSI_A, ADDRESS_A, both, 2);
	world_count_bytes(world, world_policy(world, ADDRESS_A)->binding[0].usage, 700);
}

static void a_refresh_to_content_of_the_other_family_takes_the_rule_out(void **state)
{
	struct activation content;
	uint32_t changed = 0;
	struct world world;

	(void)state;
	activate_two_and_count(&world);
	world_fill(&content, IMSI_A, ADDRESS_A, &of_ipv6, 1);
	sl_control_refresh(world.control, successor, &content, &changed);
	assert_int_equal(changed, 1);
	assert_rule_is_gone_with_its_usage(&world);
}

static void a_refresh_in_which_every_rule_fails_has_changed_nothing(void **state)
{
	struct rule_spec shaped = permit;
	struct activation content;
	uint32_t changed = 7;
	struct world world;

	(void)state;
	activate_two_and_count(&world);
	shaped.mbr_downlink = 1000000; /* there are no queues */
	world_fill(&content, IMSI_A, ADDRESS_A, &shaped, 1);
	sl_control_refresh(world.control, successor, &content, &changed);
	assert_int_equal(changed, 0);
	assert_int_equal(world_policy(&world, ADDRESS_A)->rules, 2);
	world_stop(&world);
}

static void an_install_of_content_of_the_other_family_takes_the_rule_out(void **state)
{
	struct activation content;
	struct sl_error err = {{0}};
	struct world world;

	(void)state;
	activate_two_and_count(&world);
	world_fill(&content, IMSI_A, ADDRESS_A, &of_ipv6, 1);
	assert_int_equal(sl_control_install(world.control, IMSI_A, &content.session.address,
					    content.session.rules, 1, &err),
			 0);
	assert_int_equal(content.requests[0].result, -EAFNOSUPPORT);
	assert_rule_is_gone_with_its_usage(&world);
}

static int set_desired(const struct rule_spec *spec)
{
	struct sl_desired_rule entry = {0};
	struct sl_desired_scope scope = {.subscriber_wide = true, .rules = &entry, .rule_count = 1};
	struct activation content;
	struct sl_error err = {{0}};

	strcpy(scope.imsi, IMSI_A);
	world_fill(&content, IMSI_A, ADDRESS_A, spec, 1);
	entry.rule = &content.rules[0];
	return sl_desired_set(desired_world.desired, &scope, 1, &err);
}

static void a_desired_rule_that_becomes_one_of_the_other_family_goes_and_is_no_refusal(void **state)
{
	struct sl_desired_status status;
	struct world world;

	(void)state;
	desired_start(&world, false, 0);
	desired_activate(&world, IMSI_A, ADDRESS_A, NULL, 0);
	assert_int_equal(set_desired(&permit), 0);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "rule v1");
	assert_int_equal(set_desired(&of_ipv6), 0);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "");
	sl_desired_status(desired_world.desired, &status);
	assert_int_equal(status.failing, 0);
	assert_int_equal(set_desired(&permit), 0);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "rule v2");
	desired_stop(&world);
}

/* --- what a setup says, and is told -------------------------------------------------- */

static void a_setup_tells_the_caller_what_became_of_each_rule(void **state)
{
	const struct rule_spec both[] = {permit,
					 {.id = "shaped", .version = 1, .precedence = 20, .mbr_downlink = 1}};
	uint32_t sessions = fixture_config().limits.sessions, refused = 0, first;
	struct sl_session_request requests[3];
	struct activation wanted[3];
	struct sl_error err = {{0}};
	struct world world;

	(void)state;
	world_start(&world, false, true, 0);
	/* two entries of one session */
	world_fill(&wanted[0], IMSI_A, ADDRESS_A, both, 2);
	world_fill(&wanted[1], IMSI_A, ADDRESS_A, &(struct rule_spec){.id = "third", .version = 1}, 1);
	world_fill(&wanted[2], IMSI_B, ADDRESS_B, &permit, 1);
	for (int i = 0; i < 3; i++)
		requests[i] = wanted[i].session;
	/* room for one session */
	assert_int_equal(sl_slots_take(&world.control->slots, SL_SLOT_SESSION, sessions - 1, &first, &err),
			 0);
	assert_int_equal(sl_control_setup(world.control, requests, 3, &refused, &err), 0);
	assert_int_equal(refused, 1);
	assert_int_equal(wanted[0].requests[0].result, 0);
	assert_int_equal(wanted[0].requests[1].result, -EOPNOTSUPP);
	assert_non_null(strstr(wanted[0].requests[1].error.text, "qos.pool"));
	assert_int_equal(wanted[1].requests[0].result, 0);
	assert_int_equal(wanted[2].requests[0].result, -ENOSPC);
	assert_non_null(strstr(wanted[2].requests[0].error.text, "the map sessions is full"));
	world_stop(&world);
}

static void activate_with_subscription(struct world *world)
{
	struct activation activation;
	struct sl_error err = {{0}};

	world_fill(&activation, IMSI_A, ADDRESS_A, &permit, 1);
	strcpy(activation.session.apn, "internet");
	strcpy(activation.session.msisdn, "4915");
	activation.session.uplink_tunnel = 1;
	activation.session.downlink_tunnel = 2;
	activation.session.has_ambr = true;
	activation.session.ambr[SLUICE_UPLINK] = 5000000;
	activation.session.ambr[SLUICE_DOWNLINK] = 7000000;
	assert_int_equal(sl_control_activate(world->control, &activation.session, &err), 0);
}

/* An AMBR without queues wants meters. */
static void start_policed(struct world *world)
{
	const struct sl_control_config settings = {.keep_retired = true, .backend = SL_RATE_POLICE};
	const struct sl_datapath_limits limits = fixture_config().limits;

	world_start_with(world, false, &settings, &limits, 0);
}

static const struct sluice_session_record *session_record(struct world *world)
{
	return &sl_datapath_maps(world->datapath)->sessions[world_policy(world, ADDRESS_A)->session];
}

static void assert_no_subscription(const struct sluice_session_record *record)
{
	assert_string_equal(record->apn, "");
	assert_string_equal(record->msisdn, "");
	assert_int_equal(record->uplink_tunnel, 0);
	assert_int_equal(record->downlink_tunnel, 0);
	assert_int_equal(record->ambr_uplink, 0);
	assert_int_equal(record->ambr_downlink, 0);
}

static void a_session_that_returns_has_nothing_of_its_earlier_life_but_its_usage(void **state)
{
	struct world world;

	(void)state;
	start_policed(&world);
	activate_with_subscription(&world);
	/* in force: what a request does not name stays */
	world_activate_ok(&world, IMSI_A, ADDRESS_A, &permit, 1);
	assert_string_equal(session_record(&world)->apn, "internet");
	assert_int_equal(session_record(&world)->ambr_downlink, 7000000);
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, &permit, 1);
	assert_no_subscription(session_record(&world));
	world_stop(&world);
}

static void a_setup_takes_away_what_it_does_not_say(void **state)
{
	struct activation wanted;
	struct sl_error err = {{0}};
	uint32_t refused = 0;
	struct world world;

	(void)state;
	start_policed(&world);
	activate_with_subscription(&world);
	world_fill(&wanted, IMSI_A, ADDRESS_A, &permit, 1);
	assert_int_equal(sl_control_setup(world.control, &wanted.session, 1, &refused, &err), 0);
	assert_no_subscription(session_record(&world));
	world_stop(&world);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_devices, fixture_no_devices)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_refresh_to_content_of_the_other_family_takes_the_rule_out),
		TEST(a_refresh_in_which_every_rule_fails_has_changed_nothing),
		TEST(an_install_of_content_of_the_other_family_takes_the_rule_out),
		TEST(a_desired_rule_that_becomes_one_of_the_other_family_goes_and_is_no_refusal),
		TEST(a_setup_tells_the_caller_what_became_of_each_rule),
		TEST(a_session_that_returns_has_nothing_of_its_earlier_life_but_its_usage),
		TEST(a_setup_takes_away_what_it_does_not_say),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
