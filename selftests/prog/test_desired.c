// SPDX-License-Identifier: Apache-2.0
/*
 * Desired rules in sessions on the real maps and queues, with a clock of the
 * test's own: when they come and go, what is put back, and whose a rule is.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "desired/desired.h"
#include "policy_files.h"
#include "session_world.h"

#define S 1000000000ull

static uint64_t wall = 1000 * S;

static uint64_t wall_ns(void)
{
	return wall;
}

/* control's hook finds it here */
static struct sl_desired *desired;
static uint32_t repairs;
static char last_repair[64];

static bool is_desired(const char *imsi, const struct sl_address *address, const struct sl_install *install,
		       void *user)
{
	(void)user;
	return sl_desired_owns(desired, imsi, address, install);
}

static void on_repair(const struct sl_desired_repair *repair, void *user)
{
	(void)user;
	repairs++;
	snprintf(last_repair, sizeof(last_repair), "%.32s v%u %s", repair->rule_id, repair->version,
		 repair->what);
}

static void start(struct world *world, bool adopted, uint32_t classes)
{
	struct sl_desired_config config = {.now_ns = wall_ns, .on_repair = on_repair};
	struct sl_control_config control = {.keep_retired = true, .is_desired = is_desired};
	struct sl_datapath_limits limits = fixture_config().limits;

	world_start_with(world, adopted, &control, &limits, classes);
	config.control = world->control;
	wall = 1000 * S;
	repairs = 0;
	assert_int_equal(sl_desired_new(&config, &desired), 0);
}

static void stop(struct world *world)
{
	sl_desired_free(desired);
	desired = NULL;
	world_stop(world);
}

/* --- what is set ------------------------------------------------------------------ */

struct wish {
	const char *id;
	uint32_t port; /* of its content; 0: a name of the catalogue */
	uint64_t from, until;
	uint64_t mbr_downlink;
	uint32_t hard_timeout_s;
};

static int set(const char *imsi, const char *apn, const struct wish *wishes, size_t count,
	       struct sl_error *err)
{
	struct sl_desired_scope scope = {.subscriber_wide = !apn, .rule_count = count};
	struct sl_desired_rule entries[8] = {{0}};
	struct sluice_flow flows[8][2];
	struct sl_rule rules[8];

	strcpy(scope.imsi, imsi);
	strcpy(scope.apn, apn ? apn : "");
	scope.rules = entries;
	for (size_t i = 0; i < count; i++) {
		entries[i].from_ns = wishes[i].from;
		entries[i].until_ns = wishes[i].until;
		if (!wishes[i].port) {
			entries[i].name = wishes[i].id;
			continue;
		}
		memset(flows[i], 0, sizeof(flows[i]));
		rules[i] = (struct sl_rule){.record = SLUICE_NONE,
					    .precedence = 10,
					    .flows = flows[i],
					    .flow_count = 2,
					    .hard_timeout_s = wishes[i].hard_timeout_s};
		strcpy(rules[i].id, wishes[i].id);
		rules[i].mbr[SLUICE_DOWNLINK] = wishes[i].mbr_downlink;
		for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
			flows[i][direction].direction = direction;
			flows[i][direction].protocol = 17;
			flows[i][direction].remote_port_low = wishes[i].port;
			flows[i][direction].remote_port_high = wishes[i].port;
			flows[i][direction].local_port_high = UINT16_MAX;
		}
		entries[i].rule = &rules[i];
	}
	return sl_desired_set(desired, &scope, 1, err);
}

static void set_ok(const char *imsi, const struct wish *wishes, size_t count)
{
	struct sl_error err = {""};

	if (set(imsi, NULL, wishes, count, &err) < 0)
		fail_msg("%s", err.text);
}

/* --- what is in force --------------------------------------------------------------- */

struct listing {
	struct sl_address address;
	char text[512];
};

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int list_rules(const struct sl_session_view *view, void *user)
{
	char lines[16][32] = {{0}};
	struct listing *listing = user;

	if (!sl_address_same_endpoint(&view->address, &listing->address))
		return 0;
	for (uint32_t i = 0; i < view->install_count; i++)
		snprintf(lines[i], sizeof(lines[i]), "%.20s v%u%s", view->installs[i].rule->id,
			 view->installs[i].version,
			 view->installs[i].origin == SLUICE_ORIGIN_GY ? " gy" : "");
	qsort(lines, view->install_count, sizeof(lines[0]), by_text);
	strcpy(listing->text, "");
	for (uint32_t i = 0; i < view->install_count; i++)
		sprintf(listing->text + strlen(listing->text), "%s%s", i ? ", " : "", lines[i]);
	return 1;
}

/* "-": there is no such session. */
static void assert_rules(struct world *world, const char *imsi, const char *address, const char *wanted)
{
	struct listing listing = {.text = "-"};

	assert_int_equal(sl_address_parse("address", address, &listing.address, NULL), 0);
	sl_control_each_session_of(world->control, imsi, list_rules, &listing);
	assert_string_equal(listing.text, wanted);
}

static void activate(struct world *world, const char *imsi, const char *address,
		     const struct rule_spec *specs, size_t count)
{
	struct activation activation;

	assert_int_equal(world_activate(world, &activation, imsi, address, specs, count), 0);
	sl_desired_activated(desired, &activation.session);
}

static void check(void)
{
	sl_desired_check(desired, 1000);
}

static const struct rule_spec own[] = {{.id = "own", .version = 7, .precedence = 20}};

/* --- tests ---------------------------------------------------------------------------- */

static void rules_come_and_go_at_their_times(void **state)
{
	static const struct wish wishes[] = {
		{.id = "window", .port = 1, .from = 1010 * S, .until = 1020 * S},
		{.id = "always", .port = 2},
	};
	struct world world;

	(void)state;
	start(&world, false, 0);
	activate(&world, IMSI_A, ADDRESS_A, own, 1);
	set_ok(IMSI_A, wishes, 2);
	assert_rules(&world, IMSI_A, ADDRESS_A, "always v1, own v7");
	assert_true(sl_desired_next_ns(desired) == 1010 * S);
	wall = 1010 * S - 1;
	sl_desired_run_due(desired);
	assert_rules(&world, IMSI_A, ADDRESS_A, "always v1, own v7");
	wall = 1010 * S;
	sl_desired_run_due(desired);
	assert_rules(&world, IMSI_A, ADDRESS_A, "always v1, own v7, window v1");
	assert_true(sl_desired_next_ns(desired) == 1020 * S);
	wall = 1020 * S;
	sl_desired_run_due(desired);
	assert_rules(&world, IMSI_A, ADDRESS_A, "always v1, own v7");
	assert_true(sl_desired_next_ns(desired) == 0);
	assert_int_equal(repairs, 0);
	stop(&world);
}

static void a_session_that_appears_at_a_time_gets_what_is_wanted_then(void **state)
{
	static const struct wish wishes[] = {
		{.id = "early", .port = 1, .until = 1010 * S},
		{.id = "late", .port = 2, .from = 1010 * S},
	};
	struct world world;

	(void)state;
	start(&world, false, 0);
	set_ok(IMSI_A, wishes, 2);
	activate(&world, IMSI_A, ADDRESS_A, NULL, 0);
	assert_rules(&world, IMSI_A, ADDRESS_A, "early v1");
	wall = 1010 * S;
	activate(&world, IMSI_A, ADDRESS_B, NULL, 0);
	assert_rules(&world, IMSI_A, ADDRESS_B, "late v1");
	stop(&world);
}

static void what_has_become_due_when_it_is_checked_is_no_repair(void **state)
{
	static const struct wish wishes[] = {{.id = "late", .port = 2, .from = 1010 * S}};
	struct world world;

	(void)state;
	start(&world, false, 0);
	activate(&world, IMSI_A, ADDRESS_A, NULL, 0);
	set_ok(IMSI_A, wishes, 1);
	wall = 1011 * S;
	check();
	assert_rules(&world, IMSI_A, ADDRESS_A, "late v1");
	assert_int_equal(repairs, 0);
	/* a clock that was set back takes it away again */
	wall = 1001 * S;
	check();
	assert_rules(&world, IMSI_A, ADDRESS_A, "");
	stop(&world);
}

static void a_rule_that_was_taken_away_is_put_back_with_the_next_version(void **state)
{
	static const struct wish wishes[] = {{.id = "wish", .port = 1}};
	struct sl_desired_status status;
	struct world world;

	(void)state;
	start(&world, false, 0);
	activate(&world, IMSI_A, ADDRESS_A, own, 1);
	set_ok(IMSI_A, wishes, 1);
	check();
	assert_int_equal(repairs, 0);
	world_deactivate(&world, IMSI_A, ADDRESS_A, "wish", false);
	assert_rules(&world, IMSI_A, ADDRESS_A, "own v7");
	check();
	assert_rules(&world, IMSI_A, ADDRESS_A, "own v7, wish v2");
	assert_int_equal(repairs, 1);
	assert_string_equal(last_repair, "wish v2 missing");
	check();
	sl_desired_status(desired, &status);
	assert_int_equal(status.repairs, 1);
	assert_int_equal(status.checks, 3);
	stop(&world);
}

static void a_setup_keeps_desired_rules_in_force_with_their_counts(void **state)
{
	static const struct wish wishes[] = {{.id = "wish", .port = 1}};
	struct activation activation;
	struct sl_usage_record record;
	struct world world;
	uint32_t refused;

	(void)state;
	start(&world, false, 0);
	activate(&world, IMSI_A, ADDRESS_A, own, 1);
	set_ok(IMSI_A, wishes, 1);
	assert_true(world_find_record(&world, "wish", 1, &record));
	world_count_bytes(&world, record.slot, 500);
	world_fill(&activation, IMSI_A, ADDRESS_A, NULL, 0);
	assert_int_equal(sl_control_setup(world.control, &activation.session, 1, &refused, NULL), 0);
	assert_rules(&world, IMSI_A, ADDRESS_A, "wish v1");
	sl_desired_setup_done(desired, &activation.session, 1);
	assert_rules(&world, IMSI_A, ADDRESS_A, "wish v1");
	assert_true(world_find_record(&world, "wish", 1, &record));
	assert_int_equal(record.usage.uplink.bytes, 500);
	assert_int_equal(repairs, 0);
	stop(&world);
}

static void a_session_does_not_stay_for_desired_rules_alone(void **state)
{
	static const struct wish wishes[] = {{.id = "wish", .port = 1}};
	struct world world;

	(void)state;
	start(&world, false, 0);
	activate(&world, IMSI_A, ADDRESS_A, own, 1);
	set_ok(IMSI_A, wishes, 1);
	world_deactivate(&world, IMSI_A, ADDRESS_A, "own", true);
	assert_rules(&world, IMSI_A, ADDRESS_A, "-");
	check();
	assert_rules(&world, IMSI_A, ADDRESS_A, "-");
	/* it comes back, and with it what is wanted */
	activate(&world, IMSI_A, ADDRESS_A, own, 1);
	assert_rules(&world, IMSI_A, ADDRESS_A, "own v7, wish v1");
	stop(&world);
}

static void the_last_one_to_write_a_rule_has_it(void **state)
{
	static const struct rule_spec theirs[] = {{.id = "same", .version = 5, .precedence = 20}};
	static const struct wish wishes[] = {{.id = "same", .port = 1}};
	struct world world;

	(void)state;
	start(&world, false, 0);
	set_ok(IMSI_A, wishes, 1);
	activate(&world, IMSI_A, ADDRESS_A, theirs, 1);
	assert_rules(&world, IMSI_A, ADDRESS_A, "same v5");
	check();
	assert_int_equal(repairs, 0);
	set_ok(IMSI_A, NULL, 0);
	assert_rules(&world, IMSI_A, ADDRESS_A, "same v5");
	set_ok(IMSI_A, wishes, 1);
	assert_rules(&world, IMSI_A, ADDRESS_A, "same v5");
	set_ok(IMSI_A, NULL, 0);
	assert_rules(&world, IMSI_A, ADDRESS_A, "");
	stop(&world);
}

static void a_set_for_another_scope_takes_nothing_from_the_session_manager(void **state)
{
	static const struct rule_spec theirs[] = {{.id = "same", .version = 5, .precedence = 20}};
	static const struct wish wishes[] = {{.id = "same", .port = 1}};
	static const struct wish other[] = {{.id = "other", .port = 2}};
	struct world world;

	(void)state;
	start(&world, false, 0);
	set_ok(IMSI_A, wishes, 1);
	activate(&world, IMSI_A, ADDRESS_A, theirs, 1);
	assert_int_equal(set(IMSI_A, "", other, 1, NULL), 0);
	assert_rules(&world, IMSI_A, ADDRESS_A, "other v1, same v5");
	/* still theirs: it goes with nobody else's scope */
	set_ok(IMSI_A, NULL, 0);
	assert_rules(&world, IMSI_A, ADDRESS_A, "other v1, same v5");
	stop(&world);
}

static void a_charging_rule_of_the_same_id_is_another_rule(void **state)
{
	static const struct rule_spec theirs[] = {
		{.id = "same", .version = 5, .precedence = 20, .origin = SLUICE_ORIGIN_GY}};
	static const struct wish wishes[] = {{.id = "same", .port = 1}};
	struct world world;

	(void)state;
	start(&world, false, 0);
	set_ok(IMSI_A, wishes, 1);
	activate(&world, IMSI_A, ADDRESS_A, theirs, 1);
	assert_rules(&world, IMSI_A, ADDRESS_A, "same v1, same v5 gy");
	set_ok(IMSI_A, NULL, 0);
	assert_rules(&world, IMSI_A, ADDRESS_A, "same v5 gy");
	stop(&world);
}

static void the_same_set_again_changes_nothing(void **state)
{
	static const struct wish wishes[] = {{.id = "wish", .port = 1},
					     {.id = "short", .port = 2, .hard_timeout_s = 3600}};
	uint32_t policy;
	struct world world;

	(void)state;
	start(&world, false, 0);
	activate(&world, IMSI_A, ADDRESS_A, NULL, 0);
	set_ok(IMSI_A, wishes, 2);
	policy = (uint32_t)(world_policy(&world, ADDRESS_A) - sl_datapath_maps(world.datapath)->policies);
	set_ok(IMSI_A, wishes, 2);
	check();
	assert_int_equal(policy,
			 world_policy(&world, ADDRESS_A) - sl_datapath_maps(world.datapath)->policies);
	assert_rules(&world, IMSI_A, ADDRESS_A, "short v1, wish v1");
	stop(&world);
}

static void a_rule_that_finds_no_queue_is_tried_again_and_not_at_once(void **state)
{
	static const struct wish hog[] = {{.id = "a", .port = 1, .mbr_downlink = 1000000},
					  {.id = "b", .port = 2, .mbr_downlink = 1000000}};
	static const struct wish wishes[] = {{.id = "shaped", .port = 1, .mbr_downlink = 1000000}};
	struct sl_desired_status status;
	struct world world;

	(void)state;
	start(&world, false, 2);
	activate(&world, IMSI_A, ADDRESS_A, NULL, 0);
	activate(&world, IMSI_B, ADDRESS_B, NULL, 0);
	set_ok(IMSI_A, hog, 2);
	assert_rules(&world, IMSI_A, ADDRESS_A, "a v1, b v1");
	set_ok(IMSI_B, wishes, 1);
	assert_rules(&world, IMSI_B, ADDRESS_B, "");
	sl_desired_status(desired, &status);
	assert_int_equal(status.failing, 1);
	set_ok(IMSI_A, hog, 1);
	sl_grace_drain(world.grace);
	/* it rests for ten seconds; who sets it again does not wait */
	check();
	assert_rules(&world, IMSI_B, ADDRESS_B, "");
	set_ok(IMSI_B, wishes, 1);
	assert_rules(&world, IMSI_B, ADDRESS_B, "shaped v1");
	sl_desired_status(desired, &status);
	assert_int_equal(status.failing, 0);
	stop(&world);
}

static void a_refused_request_changes_nothing_of_any_subscriber(void **state)
{
	static const struct wish good[] = {{.id = "good", .port = 1}};
	static const struct wish unknown[] = {{.id = "unknown"}};
	static const struct wish backwards[] = {{.id = "x", .port = 1, .from = 20, .until = 20}};
	struct sl_desired_status status;
	struct sl_error err = {""};
	struct world world;

	(void)state;
	start(&world, false, 0);
	activate(&world, IMSI_A, ADDRESS_A, NULL, 0);
	set_ok(IMSI_A, good, 1);
	assert_int_equal(set(IMSI_A, NULL, unknown, 1, &err), -ENOENT);
	assert_string_equal(err.text,
			    "IMSI " IMSI_A ", APN \"(subscriber-wide)\": rule_id: \"unknown\" is no "
			    "rule and no base name of the gateway");
	assert_int_equal(set(IMSI_A, NULL, backwards, 1, &err), -EINVAL);
	assert_int_equal(set(IMSI_B, "net", backwards, 1, &err), -EINVAL);
	assert_rules(&world, IMSI_A, ADDRESS_A, "good v1");
	sl_desired_status(desired, &status);
	assert_int_equal(status.subscribers, 1);
	assert_int_equal(status.rules, 1);
	stop(&world);
}

static void static_rules_follow_the_catalogue(void **state)
{
	static const struct wish wishes[] = {{.id = "media"}};
	struct sl_catalog *first = NULL, *second = NULL, *third = NULL;
	struct policy_files *files;
	struct sl_usage_record record;
	struct world world;

	(void)state;
	policy_files_setup((void **)&files);
	policy_files_write(files, "a.yaml",
			   "rules: [{id: voice, flows: [{}]}, {id: video, flows: [{}]}]\n"
			   "base_names: {media: [voice, video]}\n");
	assert_int_equal(sl_catalog_load(files->path, &first, NULL), 0);
	policy_files_write(files, "a.yaml",
			   "rules: [{id: voice, precedence: 3, flows: [{}]}, {id: tv, flows: [{}]}]\n"
			   "base_names: {media: [voice, tv]}\n");
	assert_int_equal(sl_catalog_load(files->path, &second, NULL), 0);
	policy_files_write(files, "a.yaml", "rules: [{id: tv, flows: [{}]}]\n");
	assert_int_equal(sl_catalog_load(files->path, &third, NULL), 0);

	start(&world, false, 0);
	sl_desired_catalog_changed(desired, first);
	activate(&world, IMSI_A, ADDRESS_A, own, 1);
	set_ok(IMSI_A, wishes, 1);
	assert_rules(&world, IMSI_A, ADDRESS_A, "own v7, video v1, voice v1");
	assert_true(world_find_record(&world, "voice", 1, &record));
	world_count_bytes(&world, record.slot, 500);

	sl_desired_catalog_changed(desired, second);
	assert_rules(&world, IMSI_A, ADDRESS_A, "own v7, tv v1, voice v1");
	assert_true(world_find_record(&world, "voice", 1, &record));
	assert_int_equal(record.usage.uplink.bytes, 500);
	sl_desired_catalog_changed(desired, third);
	assert_rules(&world, IMSI_A, ADDRESS_A, "own v7");
	sl_desired_catalog_changed(desired, first);
	assert_rules(&world, IMSI_A, ADDRESS_A, "own v7, video v2, voice v2");
	assert_int_equal(repairs, 0);
	stop(&world);
	sl_catalog_free(first);
	sl_catalog_free(second);
	sl_catalog_free(third);
	policy_files_teardown((void **)&files);
}

static void adopted_static_rules_wait_for_a_catalogue_and_then_follow_it(void **state)
{
	static const struct wish wishes[] = {{.id = "voice"}, {.id = "video"}};
	struct sl_catalog *first = NULL, *second = NULL;
	struct policy_files *files;
	struct world world;

	(void)state;
	policy_files_setup((void **)&files);
	policy_files_write(files, "a.yaml", "rules: [{id: voice, flows: [{}]}, {id: video, flows: [{}]}]\n");
	assert_int_equal(sl_catalog_load(files->path, &first, NULL), 0);
	policy_files_write(files, "a.yaml", "rules: [{id: voice, precedence: 3, flows: [{}]}]\n");
	assert_int_equal(sl_catalog_load(files->path, &second, NULL), 0);
	start(&world, false, 0);
	sl_desired_catalog_changed(desired, first);
	activate(&world, IMSI_A, ADDRESS_A, own, 1);
	set_ok(IMSI_A, wishes, 2);
	stop(&world);

	start(&world, true, 0);
	sl_desired_catalog_changed(desired, NULL);
	assert_rules(&world, IMSI_A, ADDRESS_A, "own v7, video v1, voice v1");
	sl_desired_catalog_changed(desired, second);
	assert_rules(&world, IMSI_A, ADDRESS_A, "own v7, voice v1");
	stop(&world);
	sl_catalog_free(first);
	sl_catalog_free(second);
	policy_files_teardown((void **)&files);
}

static void both_addresses_of_a_subscriber_get_the_rule_and_share_its_queue(void **state)
{
	static const struct wish wishes[] = {{.id = "shaped", .port = 1, .mbr_downlink = 1000000}};
	static const char *const addresses[] = {ADDRESS_A, "2001:db8:60:1::1"};
	struct sl_qos_pool_status pool;
	struct world world;

	(void)state;
	start(&world, false, 16);
	set_ok(IMSI_A, wishes, 1);
	for (int i = 0; i < 2; i++) {
		struct activation activation;

		world_fill(&activation, IMSI_A, addresses[i], own, 1);
		assert_int_equal(sl_address_parse("twin", addresses[1 - i], &activation.session.twin, NULL),
				 0);
		assert_int_equal(sl_control_activate(world.control, &activation.session, NULL), 0);
		sl_desired_activated(desired, &activation.session);
	}
	assert_rules(&world, IMSI_A, addresses[0], "own v7, shaped v1");
	assert_rules(&world, IMSI_A, addresses[1], "own v7, shaped v1");
	sl_grace_drain(world.grace);
	sl_qos_pool_status(world.qos, SLUICE_DOWNLINK, &pool);
	assert_int_equal(pool.used, 1);
	set_ok(IMSI_A, NULL, 0);
	sl_grace_drain(world.grace);
	sl_qos_pool_status(world.qos, SLUICE_DOWNLINK, &pool);
	assert_int_equal(pool.used, 0);
	stop(&world);
}

static void a_thousand_rounds_of_sets_leave_nothing(void **state)
{
	static const struct wish wishes[] = {{.id = "a", .port = 1, .mbr_downlink = 1000000},
					     {.id = "b", .port = 2}};
	struct sl_desired_status status;
	struct world world;

	(void)state;
	start(&world, false, 16);
	for (int i = 0; i < 1000; i++) {
		activate(&world, IMSI_A, ADDRESS_A, own, 1);
		set_ok(IMSI_A, wishes, 2);
		set_ok(IMSI_A, wishes + 1, 1);
		if (i % 2)
			set_ok(IMSI_A, NULL, 0);
		world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
		world_acknowledge_all(&world);
	}
	set_ok(IMSI_A, NULL, 0);
	check();
	sl_desired_status(desired, &status);
	assert_int_equal(status.subscribers, 0);
	assert_int_equal(status.rules, 0);
	world_assert_nothing_used(&world);
	stop(&world);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_devices, fixture_no_devices)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(rules_come_and_go_at_their_times),
		TEST(a_session_that_appears_at_a_time_gets_what_is_wanted_then),
		TEST(what_has_become_due_when_it_is_checked_is_no_repair),
		TEST(a_rule_that_was_taken_away_is_put_back_with_the_next_version),
		TEST(a_setup_keeps_desired_rules_in_force_with_their_counts),
		TEST(a_session_does_not_stay_for_desired_rules_alone),
		TEST(the_last_one_to_write_a_rule_has_it),
		TEST(a_set_for_another_scope_takes_nothing_from_the_session_manager),
		TEST(a_charging_rule_of_the_same_id_is_another_rule),
		TEST(the_same_set_again_changes_nothing),
		TEST(a_rule_that_finds_no_queue_is_tried_again_and_not_at_once),
		TEST(a_refused_request_changes_nothing_of_any_subscriber),
		TEST(static_rules_follow_the_catalogue),
		TEST(adopted_static_rules_wait_for_a_catalogue_and_then_follow_it),
		TEST(both_addresses_of_a_subscriber_get_the_rule_and_share_its_queue),
		TEST(a_thousand_rounds_of_sets_leave_nothing),
	};

	sl_log_set_level(SL_LOG_ERROR);
	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
