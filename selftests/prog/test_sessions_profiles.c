// SPDX-License-Identifier: Apache-2.0
/* Rules with a QoS profile in sessions, on the real maps and queues: changed once, it is changed everywhere.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "catalog/catalog.h"
#include "control/model.h"
#include "desired/desired.h"
#include "policy_files.h"
#include "rates_world.h"

#define MANY 1000
#define DOWN SLUICE_DOWNLINK

/* What the directory has, and what was told. One for the process: control's hooks have to find it. */
static struct {
	struct sl_catalog *catalog;
	struct sl_desired *desired;
	uint32_t failed;
	char reason[256];
} policy;

static const struct sl_profile *profile_of(const char *name, void *user)
{
	(void)user;
	return sl_catalog_profile(policy.catalog, name);
}

static bool is_desired(const char *imsi, const struct sl_address *address, const struct sl_install *install,
		       void *user)
{
	(void)user;
	return sl_desired_owns(policy.desired, imsi, address, install);
}

static void on_event(const struct sl_control_event *event, void *user)
{
	(void)user;
	if (event->type != SL_EVENT_RULE_FAILED)
		return;
	policy.failed++;
	snprintf(policy.reason, sizeof(policy.reason), "%s: %s", event->rule_id, event->reason);
}

static const struct sl_control_config settings = {
	.backend = SL_RATE_AUTO,
	.link_rate = {1000 * MBIT, 1000 * MBIT},
	.reserve = {20 * MBIT, 20 * MBIT},
	.profile = profile_of,
	.is_desired = is_desired,
	.on_event = on_event,
};

static void start(struct world *world, bool adopted, bool keep_retired, uint32_t classes)
{
	static const struct sl_datapath_limits limits = {
		.sessions = 2048,
		.usage = 8192,
		.rules = 256,
		.flows = 256,
		.matches = 4096,
		.meters = 4096,
	};
	struct sl_control_config config = settings;
	struct sl_desired_config desired = {.catalog = policy.catalog};
	struct sl_datapath_limits sizes = fixture_config().limits;

	sizes.sessions = limits.sessions;
	sizes.usage = limits.usage;
	sizes.rules = limits.rules;
	sizes.flows = limits.flows;
	sizes.matches = limits.matches;
	sizes.meters = limits.meters;
	config.keep_retired = keep_retired;
	world_start_with(world, adopted, &config, &sizes, classes);
	desired.control = world->control;
	assert_int_equal(sl_desired_new(&desired, &policy.desired), 0);
	policy.failed = 0;
}

static void stop(struct world *world)
{
	sl_desired_free(policy.desired);
	policy.desired = NULL;
	world_stop(world);
}

static void end(struct world *world)
{
	stop(world);
	sl_catalog_free(policy.catalog);
	policy.catalog = NULL;
}

/* The policy directory says this now. */
static void read_text(void **state, const char *text)
{
	struct sl_catalog *before = policy.catalog;
	struct sl_error err = {""};

	policy_files_write(*state, "a.yaml", text);
	if (sl_catalog_load(((struct policy_files *)*state)->path, NULL, &policy.catalog, &err) < 0)
		fail_msg("%s", err.text);
	if (policy.desired)
		sl_desired_catalog_changed(policy.desired, policy.catalog);
	sl_catalog_free(before);
}

static struct activation last;

/* A rule of the session manager's, of the profile. */
static struct sl_rule_request *activate(struct world *world, const char *imsi, const char *address,
					const char *rule_id, const char *profile, uint32_t version)
{
	const struct rule_spec spec = {.id = rule_id, .version = version, .precedence = 10};
	struct sl_error err = {""};

	world_fill(&last, imsi, address, &spec, 1);
	strcpy(last.rules[0].profile, profile);
	if (sl_control_activate(world->control, &last.session, &err) < 0)
		fail_msg("%s", err.text);
	return &last.requests[0];
}

static void activate_ok(struct world *world, const char *imsi, const char *address, const char *rule_id,
			const char *profile)
{
	const struct sl_rule_request *request = activate(world, imsi, address, rule_id, profile, 1);

	if (request->result < 0)
		fail_msg("%s", request->error.text);
}

static const char *nth(char text[2][32], int i)
{
	snprintf(text[0], sizeof(text[0]), "00102%010d", i);
	snprintf(text[1], sizeof(text[1]), "10.7.%d.%d", i / 250, 1 + i % 250);
	return text[0];
}

static struct sl_session *session_of(struct world *world, const char *address)
{
	struct sl_address parsed;

	assert_int_equal(sl_address_parse("address", address, &parsed, NULL), 0);
	return sl_session_find(world->control, &parsed);
}

static const struct sl_rule *rule_of(struct world *world, const char *address)
{
	const struct sl_session *session = session_of(world, address);

	assert_non_null(session);
	assert_int_equal(session->install_count, 1);
	return session->installs[0].rule;
}

static struct sl_profile_view seen;

static void see(const struct sl_profile_view *view, void *user)
{
	if (strcmp(view->name, user) == 0)
		seen = *view;
}

/* "rules sessions shaped policed behind missing" */
static void assert_view(struct world *world, const char *name, const char *wanted)
{
	char text[96];

	seen = (struct sl_profile_view){.name = NULL};
	sl_control_each_profile(world->control, see, (void *)name);
	snprintf(text, sizeof(text), "%u %u %u %u %u %d", seen.rules, seen.sessions, seen.shaped,
		 seen.policed, seen.behind, seen.missing);
	assert_string_equal(text, wanted);
}

/* --- a thousand sessions -------------------------------------------------------------- */

/* Half of them with a static rule, half with one of the session manager's. */
static void activate_many(struct world *world)
{
	char text[2][32];

	for (int i = 0; i < MANY; i++) {
		nth(text, i);
		if (i % 2) {
			activate_ok(world, text[0], text[1], "dynamic", "gold");
			continue;
		}
		world_fill(&last, text[0], text[1], NULL, 0);
		last.requests[0] = (struct sl_rule_request){
			.rule = (struct sl_rule *)sl_catalog_rule(policy.catalog, "fixed"),
			.id = "fixed",
			.version = 1};
		last.session.rule_count = 1;
		assert_int_equal(sl_control_activate(world->control, &last.session, NULL), 0);
		if (last.requests[0].result < 0)
			fail_msg("%s", last.requests[0].error.text);
	}
}

static uint64_t rate_in_force(struct world *world, const struct sl_install *install)
{
	const struct sl_maps *maps = sl_datapath_maps(world->datapath);

	if (install->binding.downlink_class)
		return sl_qos_rates(world->qos, DOWN, install->binding.downlink_class).mbr;
	assert_int_not_equal(install->binding.downlink_meter, 0);
	return sl_meter_bits_per_second(maps->meters[install->binding.downlink_meter - 1].rate);
}

static void change_many(void **state, const char *backend, uint32_t classes, const char *view)
{
	static uint32_t slots[MANY];
	struct world world;
	char text[2][32], file[512];
	uint64_t since;

	snprintf(file, sizeof(file),
		 "qos_profiles: [{name: gold, mbr: {downlink: 2Mbit}, backend: %s}]\n"
		 "rules: [{id: fixed, qos_profile: gold, flows: [{}]}]\n",
		 backend);
	read_text(state, file);
	start(&world, false, false, classes);
	activate_many(&world);
	assert_view(&world, "gold", view);
	for (int i = 0; i < MANY; i++) {
		nth(text, i);
		slots[i] = session_of(&world, text[1])->installs[0].binding.usage;
		world_count_bytes(&world, slots[i], (uint64_t)i + 1);
	}
	snprintf(file, sizeof(file),
		 "qos_profiles: [{name: gold, mbr: {downlink: 5Mbit}, backend: %s}]\n"
		 "rules: [{id: fixed, qos_profile: gold, flows: [{}]}]\n",
		 backend);
	since = sl_now_ns();
	read_text(state, file);
	since = sl_now_ns() - since;
	print_message("%d sessions, %s: %lu ms\n", MANY, backend, (unsigned long)(since / 1000000));
	assert_true(since < 1000000000);
	for (int i = 0; i < MANY; i++) {
		const struct sl_install *install;
		uint64_t rate;

		nth(text, i);
		install = &session_of(&world, text[1])->installs[0];
		rate = rate_in_force(&world, install);
		if (rate < 4990000 || rate > 5010000)
			fail_msg("%s: %lu bit/s", text[1], (unsigned long)rate);
		assert_int_equal(install->binding.usage, slots[i]);
		assert_int_equal(install->version, 1);
		assert_int_equal(sl_control_read_usage(world.control, slots[i]).uplink.bytes, i + 1);
	}
	assert_view(&world, "gold", view);
	assert_int_equal(policy.failed, 0);
	for (int i = 0; i < MANY; i++) {
		nth(text, i);
		world_deactivate(&world, text[0], NULL, NULL, true);
	}
	assert_view(&world, "gold", "0 0 0 0 0 0");
	world_assert_nothing_used(&world);
	assert_null(world.control->profiles);
	end(&world);
}

static void a_thousand_policed_sessions_change_with_one_profile(void **state)
{
	change_many(state, "police", 0, "2 1000 0 1000 0 0");
}

static void a_thousand_shaped_sessions_change_with_one_profile(void **state)
{
	change_many(state, "shape", 1024, "2 1000 1000 0 0 0");
}

static void sessions_that_found_no_queue_are_counted_as_policed(void **state)
{
	change_many(state, "auto", 300, "2 1000 300 700 0 0");
}

/* --- one session ---------------------------------------------------------------------------- */

static void a_rule_fails_with_the_name_of_a_profile_that_is_not_there(void **state)
{
	const struct sl_rule_request *request;
	struct world world;

	read_text(state, "qos_profiles: [{name: gold, mbr: {downlink: 2Mbit}}]\n");
	start(&world, false, false, 0);
	request = activate(&world, IMSI_A, ADDRESS_A, "r", "silver", 1);
	assert_int_equal(request->result, -ENOENT);
	assert_string_equal(request->error.text,
			    "qos_profile: \"silver\" is no QoS profile of the policy directory");
	assert_int_equal(session_of(&world, ADDRESS_A)->install_count, 0);
	world_deactivate(&world, IMSI_A, NULL, NULL, true);
	end(&world);
}

static void rules_keep_what_a_profile_had_that_is_no_more(void **state)
{
	struct activation setup;
	struct world world;
	uint32_t refused;

	read_text(state, "qos_profiles: [{name: gold, class_id: 6, mbr: {downlink: 2Mbit}}]\n");
	start(&world, false, false, 0);
	activate_ok(&world, IMSI_A, ADDRESS_A, "r", "gold");
	read_text(state, "qos_profiles: [{name: silver}]\n");
	assert_int_equal(rule_of(&world, ADDRESS_A)->mbr[DOWN], 2 * MBIT);
	assert_view(&world, "gold", "1 1 0 1 0 1");
	assert_int_equal(seen.rule->class_id, 6);

	/* asked for again, in force as it is; a new one is not to be had */
	activate_ok(&world, IMSI_A, ADDRESS_A, "r", "gold");
	assert_int_equal(activate(&world, IMSI_B, ADDRESS_B, "r", "gold", 1)->result, -ENOENT);
	world_fill(&setup, IMSI_A, ADDRESS_A, &(const struct rule_spec){.id = "r", .version = 2}, 1);
	strcpy(setup.rules[0].profile, "gold");
	assert_int_equal(sl_control_setup(world.control, &setup.session, 1, &refused, NULL), 0);
	assert_int_equal(setup.requests[0].result, 0);
	assert_int_equal(rule_of(&world, ADDRESS_A)->mbr[DOWN], 2 * MBIT);

	/* and back */
	read_text(state, "qos_profiles: [{name: gold, mbr: {downlink: 7Mbit}}]\n");
	assert_int_equal(rule_of(&world, ADDRESS_A)->mbr[DOWN], 7 * MBIT);
	assert_int_equal(rule_of(&world, ADDRESS_A)->class_id, 0);
	assert_view(&world, "gold", "1 1 0 1 0 0");
	world_deactivate(&world, IMSI_A, NULL, NULL, true);
	end(&world);
}

static void a_guarantee_that_is_refused_leaves_the_rule_behind_its_profile(void **state)
{
	struct world world;

	read_text(state, "qos_profiles: [{name: gold, gbr: {downlink: 5Mbit}, arp: {level: 3}}]\n");
	start(&world, false, false, 0);
	activate_ok(&world, IMSI_A, ADDRESS_A, "a", "gold");
	activate_ok(&world, IMSI_B, ADDRESS_B, "b", "gold");
	assert_view(&world, "gold", "2 2 0 0 0 0");
	/* 20 Mbit/s may be guaranteed: one of the two */
	read_text(state, "qos_profiles: [{name: gold, gbr: {downlink: 12Mbit}, arp: {level: 3}}]\n");
	assert_int_equal(policy.failed, 1);
	assert_int_equal(rule_of(&world, ADDRESS_A)->gbr[DOWN], 12 * MBIT);
	assert_int_equal(rule_of(&world, ADDRESS_B)->gbr[DOWN], 5 * MBIT);
	assert_memory_equal(policy.reason, "b: ", 3);
	assert_view(&world, "gold", "2 2 0 0 1 0");
	/* what fits is had */
	read_text(state, "qos_profiles: [{name: gold, gbr: {downlink: 6Mbit}, arp: {level: 3}}]\n");
	assert_int_equal(policy.failed, 1);
	assert_int_equal(rule_of(&world, ADDRESS_A)->gbr[DOWN], 6 * MBIT);
	assert_int_equal(rule_of(&world, ADDRESS_B)->gbr[DOWN], 6 * MBIT);
	assert_view(&world, "gold", "2 2 0 0 0 0");
	world_deactivate(&world, IMSI_A, NULL, NULL, true);
	world_deactivate(&world, IMSI_B, NULL, NULL, true);
	world_assert_nothing_used(&world);
	end(&world);
}

static void the_backend_of_a_profile_changes_under_its_rules(void **state)
{
	static const char *const files[] = {
		"qos_profiles: [{name: gold, mbr: {downlink: 2Mbit}, backend: shape}]\n",
		"qos_profiles: [{name: gold, mbr: {downlink: 2Mbit}, backend: police}]\n",
		"qos_profiles: [{name: gold, mbr: {downlink: 3Mbit}, backend: auto}]\n",
		"qos_profiles: [{name: gold}]\n",
	};
	static const char *const views[] = {"1 1 1 0 0 0", "1 1 0 1 0 0", NULL, "1 1 0 0 0 0"};
	struct world world;

	read_text(state, files[0]);
	start(&world, false, false, 16);
	activate_ok(&world, IMSI_A, ADDRESS_A, "r", "gold");
	for (int i = 0; i < 8; i++) {
		if (i)
			read_text(state, files[i % 4]);
		if (views[i % 4])
			assert_view(&world, "gold", views[i % 4]);
		if (i % 4 == 2)
			assert_int_equal(rate_in_force(&world, &session_of(&world, ADDRESS_A)->installs[0]) /
						 10000,
					 3 * MBIT / 10000);
		assert_int_equal(policy.failed, 0);
	}
	world_deactivate(&world, IMSI_A, NULL, NULL, true);
	world_assert_nothing_used(&world);
	end(&world);
}

static void a_restart_keeps_profiles_and_follows_what_changed_meanwhile(void **state)
{
	struct sl_usage_record record;
	struct world world;

	read_text(state, "qos_profiles: [{name: gold, mbr: {downlink: 2Mbit}}, {name: iron, class_id: 3}]\n");
	start(&world, false, true, 0);
	activate_ok(&world, IMSI_A, ADDRESS_A, "r", "gold");
	activate_ok(&world, IMSI_B, ADDRESS_B, "s", "iron");
	assert_true(world_find_record(&world, "r", 1, &record));
	world_count_bytes(&world, record.slot, 500);
	stop(&world);

	/* the directory cannot be read yet */
	sl_catalog_free(policy.catalog);
	policy.catalog = NULL;
	start(&world, true, true, 0);
	assert_string_equal(rule_of(&world, ADDRESS_A)->profile, "gold");
	assert_int_equal(rule_of(&world, ADDRESS_A)->mbr[DOWN], 2 * MBIT);
	assert_view(&world, "gold", "1 1 0 1 0 1");
	assert_view(&world, "iron", "1 1 0 0 0 1");
	assert_int_equal(seen.rule->class_id, 3);
	activate_ok(&world, IMSI_A, ADDRESS_A, "r", "gold");

	read_text(state, "qos_profiles: [{name: gold, mbr: {downlink: 4Mbit}}]\n");
	assert_int_equal(rule_of(&world, ADDRESS_A)->mbr[DOWN], 4 * MBIT);
	assert_view(&world, "gold", "1 1 0 1 0 0");
	assert_true(world_find_record(&world, "r", 1, &record));
	assert_int_equal(record.usage.uplink.bytes, 500);

	/* usage that waits for an acknowledgement is nobody's rule in force */
	world_deactivate(&world, IMSI_A, NULL, NULL, true);
	assert_view(&world, "gold", "0 0 0 0 0 0");
	world_deactivate(&world, IMSI_B, NULL, NULL, true);
	world_acknowledge_all(&world);
	world_assert_nothing_used(&world);
	assert_null(world.control->profiles);
	end(&world);
}

static void start_as(struct world *world, bool adopted, enum sl_rate_backend backend)
{
	struct sl_control_config config = settings;
	struct sl_datapath_limits limits = fixture_config().limits;
	struct sl_desired_config desired = {.catalog = policy.catalog};

	config.backend = backend;
	world_start_with(world, adopted, &config, &limits, 16);
	desired.control = world->control;
	assert_int_equal(sl_desired_new(&desired, &policy.desired), 0);
}

static void a_restart_finds_nothing_to_repair_where_a_profile_has_a_backend_of_its_own(void **state)
{
	static const enum sl_rate_backend backends[] = {SL_RATE_SHAPE, SL_RATE_POLICE};
	struct world world;
	uint32_t slots[2];

	read_text(state, "qos_profiles:\n"
			 "  - {name: gold, mbr: {downlink: 2Mbit}, backend: shape}\n"
			 "  - {name: iron, mbr: {downlink: 2Mbit}, backend: police}\n");
	for (int i = 0; i < 2; i++) {
		start_as(&world, false, backends[i]);
		activate_ok(&world, IMSI_A, ADDRESS_A, "r", "gold");
		activate_ok(&world, IMSI_B, ADDRESS_B, "s", "iron");
		slots[0] = session_of(&world, ADDRESS_A)->policy;
		slots[1] = session_of(&world, ADDRESS_B)->policy;
		stop(&world);
		start_as(&world, true, backends[i]);
		assert_view(&world, "gold", "1 1 1 0 0 0");
		assert_view(&world, "iron", "1 1 0 1 0 0");
		/* a repair would have published them anew */
		assert_int_equal(session_of(&world, ADDRESS_A)->policy, slots[0]);
		assert_int_equal(session_of(&world, ADDRESS_B)->policy, slots[1]);
		world_deactivate(&world, IMSI_A, NULL, NULL, true);
		world_deactivate(&world, IMSI_B, NULL, NULL, true);
		world_assert_nothing_used(&world);
		stop(&world);
		fixture_run("rm -rf %s", fixture_pin_path());
	}
	sl_catalog_free(policy.catalog);
	policy.catalog = NULL;
}

/* --- desired rules ------------------------------------------------------------------------- */

static void a_desired_rule_follows_its_profile_and_is_not_repaired_for_it(void **state)
{
	struct sluice_flow flow = {
		.direction = DOWN, .remote_port_high = UINT16_MAX, .local_port_high = UINT16_MAX};
	struct sl_rule rule = {
		.id = "wish", .profile = "gold", .flows = &flow, .flow_count = 1, .record = SLUICE_NONE};
	const struct sl_desired_rule wanted = {.rule = &rule};
	struct sl_desired_scope scope = {
		.imsi = IMSI_A, .subscriber_wide = true, .rules = &wanted, .rule_count = 1};
	struct sl_desired_status status;
	struct sl_error err = {""};
	struct world world;

	read_text(state, "qos_profiles: [{name: gold, mbr: {downlink: 2Mbit}}]\n");
	start(&world, false, false, 0);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, NULL, 0);
	if (sl_desired_set(policy.desired, &scope, 1, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(rule_of(&world, ADDRESS_A)->mbr[DOWN], 2 * MBIT);
	read_text(state, "qos_profiles: [{name: gold, mbr: {downlink: 3Mbit}}]\n");
	assert_int_equal(rule_of(&world, ADDRESS_A)->mbr[DOWN], 3 * MBIT);
	sl_desired_check(policy.desired, 1000);
	read_text(state, "qos_profiles: []\n");
	sl_desired_check(policy.desired, 1000);
	assert_int_equal(rule_of(&world, ADDRESS_A)->mbr[DOWN], 3 * MBIT);
	assert_int_equal(session_of(&world, ADDRESS_A)->installs[0].version, 1);
	sl_desired_status(policy.desired, &status);
	assert_int_equal(status.repairs, 0);
	assert_int_equal(status.failing, 0);

	/* nobody can ask for it any more */
	strcpy(scope.imsi, IMSI_B);
	assert_int_equal(sl_desired_set(policy.desired, &scope, 1, &err), -ENOENT);
	assert_non_null(strstr(err.text, "qos_profile: \"gold\" is no QoS profile"));
	world_deactivate(&world, IMSI_A, NULL, NULL, true);
	end(&world);
}

/* Both: the devices, and a directory in *state. */
static int setup(void **state)
{
	return fixture_devices(state) ? -1 : policy_files_setup(state);
}

static int teardown(void **state)
{
	policy_files_teardown(state);
	return fixture_no_devices(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_thousand_policed_sessions_change_with_one_profile),
		TEST(a_thousand_shaped_sessions_change_with_one_profile),
		TEST(sessions_that_found_no_queue_are_counted_as_policed),
		TEST(a_rule_fails_with_the_name_of_a_profile_that_is_not_there),
		TEST(rules_keep_what_a_profile_had_that_is_no_more),
		TEST(a_guarantee_that_is_refused_leaves_the_rule_behind_its_profile),
		TEST(the_backend_of_a_profile_changes_under_its_rules),
		TEST(a_restart_keeps_profiles_and_follows_what_changed_meanwhile),
		TEST(a_restart_finds_nothing_to_repair_where_a_profile_has_a_backend_of_its_own),
		TEST(a_desired_rule_follows_its_profile_and_is_not_repaired_for_it),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
