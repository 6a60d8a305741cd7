// SPDX-License-Identifier: Apache-2.0
/*
 * Final units: what rules of GY origin do to a session, and what is left when
 * they have gone. On the real maps and queues.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "control/model.h"
#include "session_world.h"

static const struct rule_spec gx = {.id = "internet", .version = 1, .precedence = 1, .mbr_downlink = 8000000};
static const struct rule_spec gy = {.id = "restricted",
				    .version = 1,
				    .precedence = 4000,
				    .mbr_downlink = 256000,
				    .remote = "8.8.8.0/24",
				    .origin = SLUICE_ORIGIN_GY};

struct told {
	enum sl_control_event_type types[32];
	unsigned int count;
};

/* Only changes of state. */
static void on_event(const struct sl_control_event *event, void *user)
{
	struct told *told = user;

	assert_true(told->count < 32);
	if (event->type >= SL_EVENT_SESSION_RESTRICTED && event->type <= SL_EVENT_SESSION_RELEASED)
		told->types[told->count++] = event->type;
}

/* Nothing needs to be resolved here. */
static int no_servers(const char *host, struct sl_address *out, size_t max, size_t *count,
		      struct sl_error *err, void *user)
{
	(void)host;
	(void)out;
	(void)max;
	(void)user;
	(void)err;
	*count = 0;
	return 0;
}

static void start(struct world *world, bool adopted, struct told *told)
{
	struct sl_control_config settings = {.keep_retired = true, .redirect_servers = no_servers};
	struct sl_datapath_limits limits = fixture_config().limits;

	if (told) {
		settings.on_event = on_event;
		settings.user = told;
	}
	world_start_with(world, adopted, &settings, &limits, 16);
}

static void end(struct world *world)
{
	world_deactivate(world, IMSI_A, NULL, NULL, true);
	world_acknowledge_all(world);
	world_assert_nothing_used(world);
	world_stop(world);
}

static void deactivate_gy(struct world *world, const char *rule_id)
{
	struct sl_deactivation request = {.imsi = IMSI_A, .gy = true};
	struct sl_error err = {{0}};

	assert_int_equal(sl_address_parse("address", ADDRESS_A, &request.address, &err), 0);
	if (rule_id) {
		request.rule_ids = &rule_id;
		request.rule_count = 1;
	}
	assert_int_equal(sl_control_deactivate(world->control, &request, NULL, &err), 0);
}

static int take_view(const struct sl_session_view *view, void *user)
{
	*(struct sl_session_view *)user = *view;
	return 0;
}

static enum sl_session_state state_of(struct world *world, const char *imsi)
{
	struct sl_session_view view = {.state = SL_SESSION_ENDED};

	sl_control_each_session(world->control, imsi, 0, take_view, &view);
	return view.state;
}

static uint64_t since_of(struct world *world)
{
	struct sl_session_view view = {.state_since_ns = 0};

	sl_control_each_session(world->control, IMSI_A, 0, take_view, &view);
	return view.state_since_ns;
}

static uint64_t activation_of(struct world *world)
{
	struct sl_session_view view = {.record = NULL};

	sl_control_each_session(world->control, IMSI_A, 0, take_view, &view);
	return view.record->since_ns;
}

/* The same rule id may be there once for each origin. */
static void a_gy_rule_decides_first_and_both_are_counted_apart(void **state)
{
	struct rule_spec same = gx;
	const struct sluice_usage_owner *owners;
	const struct sluice_policy *policy;
	struct world world;

	(void)state;
	start(&world, false, NULL);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, &gx, 1);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, &gy, 1);
	same.origin = SLUICE_ORIGIN_GY;
	same.precedence = 5000;
	world_activate_ok(&world, IMSI_A, ADDRESS_A, &same, 1);
	policy = world_policy(&world, ADDRESS_A);
	owners = sl_datapath_maps(world.datapath)->usage_owners;
	assert_int_equal(policy->rules, 3);
	assert_string_equal(owners[policy->binding[0].usage].rule_id, "restricted");
	assert_int_equal(owners[policy->binding[1].usage].origin, SLUICE_ORIGIN_GY);
	assert_int_equal(owners[policy->binding[2].usage].origin, SLUICE_ORIGIN_GX);
	assert_int_not_equal(policy->binding[1].usage, policy->binding[2].usage);
	assert_int_not_equal(policy->binding[1].downlink_class, policy->binding[2].downlink_class);
	end(&world);
}

static void a_restriction_with_an_mbr_has_a_queue_of_its_rate(void **state)
{
	const struct sluice_policy *policy;
	struct world world;

	(void)state;
	start(&world, false, NULL);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, &gx, 1);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, &gy, 1);
	policy = world_policy(&world, ADDRESS_A);
	assert_int_equal(sl_qos_rates(world.qos, SLUICE_DOWNLINK, policy->binding[0].downlink_class).mbr,
			 256000);
	assert_int_equal(sl_qos_rates(world.qos, SLUICE_DOWNLINK, policy->binding[1].downlink_class).mbr,
			 8000000);
	end(&world);
}

static void after_the_restriction_the_ordinary_rules_go_on_with_their_counts(void **state)
{
	struct sl_usage_record record;
	struct world world;

	(void)state;
	start(&world, false, NULL);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, &gx, 1);
	world_count_bytes(&world, world_policy(&world, ADDRESS_A)->binding[0].usage, 1000);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, &gy, 1);
	world_count_bytes(&world, world_policy(&world, ADDRESS_A)->binding[0].usage, 70);
	/* by id: what has the id but not the origin stays */
	deactivate_gy(&world, "internet");
	assert_int_equal(world_policy(&world, ADDRESS_A)->rules, 2);
	deactivate_gy(&world, NULL);
	assert_int_equal(world_policy(&world, ADDRESS_A)->rules, 1);
	assert_true(world_find_record(&world, "internet", 1, &record));
	assert_int_equal(record.usage.uplink.bytes, 1000);
	assert_false(record.retired);
	assert_true(world_find_record(&world, "restricted", 1, &record));
	assert_int_equal(record.usage.uplink.bytes, 70);
	assert_true(record.retired);
	end(&world);
}

static void a_restart_keeps_gy_rules_their_counts_and_their_queues(void **state)
{
	struct sl_usage_record record;
	struct sluice_policy before;
	struct world world;

	(void)state;
	start(&world, false, NULL);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, &gx, 1);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, &gy, 1);
	world_count_bytes(&world, world_policy(&world, ADDRESS_A)->binding[0].usage, 555);
	before = *world_policy(&world, ADDRESS_A);
	world_stop(&world);
	start(&world, true, NULL);
	assert_memory_equal(world_policy(&world, ADDRESS_A), &before, sizeof(before));
	assert_int_equal(state_of(&world, IMSI_A), SL_SESSION_RESTRICTED);
	assert_true(world_find_record(&world, "restricted", 1, &record));
	assert_int_equal(record.usage.uplink.bytes, 555);
	assert_int_equal(record.origin, SLUICE_ORIGIN_GY);
	end(&world);
}

/* TERMINATE is the end of the session: nothing of either origin stays. */
static void the_end_of_a_session_takes_gy_rules_with_it(void **state)
{
	struct world world;

	(void)state;
	start(&world, false, NULL);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, &gx, 1);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, &gy, 1);
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	assert_null(world_policy(&world, ADDRESS_A));
	world_acknowledge_all(&world);
	world_assert_nothing_used(&world);
	world_stop(&world);
}

static void a_setup_with_gx_and_gy_entries_of_one_session_has_both(void **state)
{
	struct activation wanted[2];
	struct sl_session_request requests[2];
	struct sl_error err = {{0}};
	uint32_t refused = 0;
	struct world world;

	(void)state;
	start(&world, false, NULL);
	world_fill(&wanted[0], IMSI_A, ADDRESS_A, &gx, 1);
	world_fill(&wanted[1], IMSI_A, ADDRESS_A, &gy, 1);
	requests[0] = wanted[0].session;
	requests[1] = wanted[1].session;
	assert_int_equal(sl_control_setup(world.control, requests, 2, &refused, &err), 0);
	assert_int_equal(world_policy(&world, ADDRESS_A)->rules, 2);
	assert_int_equal(state_of(&world, IMSI_A), SL_SESSION_RESTRICTED);
	/* and the next one takes the restriction away */
	world_fill(&wanted[0], IMSI_A, ADDRESS_A, &gx, 1);
	requests[0] = wanted[0].session;
	assert_int_equal(sl_control_setup(world.control, requests, 1, &refused, &err), 0);
	assert_int_equal(world_policy(&world, ADDRESS_A)->rules, 1);
	assert_int_equal(state_of(&world, IMSI_A), SL_SESSION_ACTIVE);
	end(&world);
}

static void a_restriction_has_its_own_beginning_which_holds_over_versions_and_restarts(void **state)
{
	struct rule_spec later = gy, second = gy;
	uint64_t before, began, again;
	struct world world;

	(void)state;
	start(&world, false, NULL);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, &gx, 1);
	assert_int_equal(since_of(&world), activation_of(&world));
	before = sl_now_ns();
	world_activate_ok(&world, IMSI_A, ADDRESS_A, &gy, 1);
	began = since_of(&world);
	assert_true(began >= before && began <= sl_now_ns());
	assert_true(activation_of(&world) < before);

	/* the oldest rule is what the next agent finds */
	second.id = "second";
	world_activate_ok(&world, IMSI_A, ADDRESS_A, &second, 1);
	world_stop(&world);
	start(&world, true, NULL);
	assert_in_range(since_of(&world), before, began);
	began = since_of(&world);

	later.version = 2;
	world_activate_ok(&world, IMSI_A, ADDRESS_A, &later, 1);
	assert_int_equal(since_of(&world), began);

	deactivate_gy(&world, NULL);
	assert_int_equal(since_of(&world), activation_of(&world));
	again = sl_now_ns();
	world_activate_ok(&world, IMSI_A, ADDRESS_A, &gy, 1);
	assert_true(since_of(&world) >= again);
	end(&world);
}

static void the_state_of_a_session_is_told_when_it_changes(void **state)
{
	static const enum sl_control_event_type expected[] = {
		SL_EVENT_SESSION_RESTRICTED, SL_EVENT_SESSION_REDIRECTED, SL_EVENT_SESSION_RESTRICTED,
		SL_EVENT_SESSION_RELEASED};
	struct rule_spec portal = gy;
	struct activation activation;
	struct told told = {0};
	struct sl_error err = {{0}};
	struct world world;

	(void)state;
	start(&world, false, &told);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, &gx, 1);
	assert_int_equal(state_of(&world, IMSI_A), SL_SESSION_ACTIVE);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, &gy, 1);
	assert_int_equal(state_of(&world, IMSI_A), SL_SESSION_RESTRICTED);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, &gy, 1);
	portal.id = "redirect";
	world_fill(&activation, IMSI_A, ADDRESS_A, &portal, 1);
	activation.rules[0].redirect = SLUICE_REDIRECT_IPV4;
	activation.rules[0].flow_count = 0;
	strcpy(activation.rules[0].redirect_address, "192.0.2.80");
	assert_int_equal(sl_control_activate(world.control, &activation.session, &err), 0);
	if (activation.requests[0].result < 0)
		fail_msg("%s", activation.requests[0].error.text);
	assert_int_equal(state_of(&world, IMSI_A), SL_SESSION_REDIRECTED);
	deactivate_gy(&world, "redirect");
	assert_int_equal(state_of(&world, IMSI_A), SL_SESSION_RESTRICTED);
	deactivate_gy(&world, NULL);
	assert_int_equal(state_of(&world, IMSI_A), SL_SESSION_ACTIVE);
	assert_int_equal(told.count, SL_ARRAY_SIZE(expected));
	for (size_t i = 0; i < SL_ARRAY_SIZE(expected); i++)
		assert_int_equal(told.types[i], expected[i]);
	end(&world);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_devices, fixture_no_devices)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_gy_rule_decides_first_and_both_are_counted_apart),
		TEST(a_restriction_with_an_mbr_has_a_queue_of_its_rate),
		TEST(after_the_restriction_the_ordinary_rules_go_on_with_their_counts),
		TEST(a_restart_keeps_gy_rules_their_counts_and_their_queues),
		TEST(the_end_of_a_session_takes_gy_rules_with_it),
		TEST(a_setup_with_gx_and_gy_entries_of_one_session_has_both),
		TEST(a_restriction_has_its_own_beginning_which_holds_over_versions_and_restarts),
		TEST(the_state_of_a_session_is_told_when_it_changes),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
