// SPDX-License-Identifier: Apache-2.0
/*
 * Names of the policy directory in sessions, when the directory changes: base
 * names that sessions were activated by, and desired rules whose names go and
 * come back.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "desired_world.h"
#include "policy_files.h"

static const struct rule_spec own[] = {{.id = "own", .version = 7, .precedence = 20}};

static struct sl_catalog *catalog(const char *text)
{
	struct sl_catalog *catalog = NULL;
	struct policy_files *files;
	struct sl_error err = {""};

	policy_files_setup((void **)&files);
	policy_files_write(files, "a.yaml", text);
	if (sl_catalog_load(files->path, NULL, &catalog, &err) < 0)
		fail_msg("%s", err.text);
	policy_files_teardown((void **)&files);
	return catalog;
}

static struct sl_catalog *present; /* the catalogue in force */

/* As the agent does it: the catalogue before goes when the next one is in force. */
static void change_to(const char *text)
{
	struct sl_catalog *before = present;

	present = catalog(text);
	sl_desired_catalog_changed(desired_world.desired, present);
	sl_catalog_free(before);
}

static void begin(struct world *world, const char *text)
{
	desired_start(world, false, 0);
	present = NULL; /* one that failed has left its own */
	change_to(text);
}

static void end(struct world *world)
{
	desired_stop(world);
	sl_catalog_free(present);
	present = NULL;
}

/* An activation by rule_ids. */
static void activate_by(struct world *world, const char *address, enum sluice_origin origin, const char *name)
{
	struct sl_rule_request rules[16] = {{0}};
	struct sl_session_request request = {.imsi = IMSI_A, .rules = rules};
	const struct sl_rule *const *found;
	size_t count = sl_catalog_resolve(present, name, &found);
	struct sl_error err = {""};

	assert_in_range(count, 1, 16);
	assert_int_equal(sl_address_parse("address", address, &request.address, NULL), 0);
	for (size_t i = 0; i < count; i++)
		rules[request.rule_count++] = (struct sl_rule_request){
			.rule = (struct sl_rule *)found[i], .id = found[i]->id, .origin = origin};
	if (sl_control_activate(world->control, &request, &err) < 0)
		fail_msg("%s", err.text);
	sl_desired_activated(desired_world.desired, &request);
	sl_desired_named(desired_world.desired, &request, origin, (char *const *)&name, 1);
}

static void deactivate_by(struct world *world, const char *address, const char *name, const char **ids,
			  size_t count)
{
	struct sl_deactivation request = {
		.imsi = IMSI_A, .gx = true, .rule_ids = ids, .rule_count = count, .end_session = !ids};

	assert_int_equal(sl_address_parse("address", address, &request.address, NULL), 0);
	assert_int_equal(sl_control_deactivate(world->control, &request, NULL, NULL), 0);
	sl_desired_unnamed(desired_world.desired, &request, (char *const *)&name, name ? 1 : 0);
}

/* What a change says on standard error; freed by the caller. */
static char *said_while(const char *text)
{
	char path[64];
	char *said = calloc(1, 65536);
	int file, before = dup(STDERR_FILENO);
	ssize_t length;

	snprintf(path, sizeof(path), "/tmp/sluice-test-said-%d", getpid());
	file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_true(file >= 0 && before >= 0);
	unlink(path);
	sl_log_set_level(SL_LOG_INFO);
	dup2(file, STDERR_FILENO);
	change_to(text);
	desired_check();
	dup2(before, STDERR_FILENO);
	sl_log_set_level(SL_LOG_ERROR);
	length = pread(file, said, 65535, 0);
	assert_true(length >= 0);
	close(file);
	close(before);
	return said;
}

#define TWO  "rules: [{id: voice, flows: [{}]}, {id: video, flows: [{}]}, {id: tv, flows: [{}]}]\n"
#define WITH TWO "base_names: {media: [voice, video]}\n"

/* --- base names --------------------------------------------------------------------- */

static void a_session_follows_what_its_base_name_stands_for(void **state)
{
	struct sl_usage_record record;
	struct world world;

	(void)state;
	begin(&world, WITH);
	desired_activate(&world, IMSI_A, ADDRESS_A, own, 1);
	activate_by(&world, ADDRESS_A, SLUICE_ORIGIN_GX, "media");
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "own v7, video v0, voice v0");
	assert_true(world_find_record(&world, "voice", 0, &record));
	world_count_bytes(&world, record.slot, 500);
	change_to(TWO "base_names: {media: [tv, voice]}\n");
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "own v7, tv v0, voice v0");
	assert_true(world_find_record(&world, "voice", 0, &record));
	assert_int_equal(record.usage.uplink.bytes, 500);
	change_to(TWO);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "own v7");
	change_to(WITH);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "own v7, video v0, voice v0");
	end(&world);
}

static void another_name_of_the_session_keeps_the_rule(void **state)
{
	struct world world;

	(void)state;
	begin(&world, TWO "base_names: {media: [voice, video], calls: [voice]}\n");
	activate_by(&world, ADDRESS_A, SLUICE_ORIGIN_GX, "media");
	activate_by(&world, ADDRESS_A, SLUICE_ORIGIN_GX, "calls");
	activate_by(&world, ADDRESS_A, SLUICE_ORIGIN_GX, "video");
	activate_by(&world, ADDRESS_A, SLUICE_ORIGIN_GY, "media");
	change_to(TWO "base_names: {media: [tv], calls: [voice]}\n");
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "tv v0, tv v0 gy, video v0, voice v0");
	end(&world);
}

static void what_the_session_manager_gave_itself_is_left_alone(void **state)
{
	static const struct rule_spec tv[] = {{.id = "tv", .version = 3, .precedence = 20}};
	struct world world;

	(void)state;
	begin(&world, WITH);
	desired_activate(&world, IMSI_A, ADDRESS_A, tv, 1);
	activate_by(&world, ADDRESS_A, SLUICE_ORIGIN_GX, "media");
	change_to(TWO "base_names: {media: [voice, tv]}\n");
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "tv v3, voice v0");
	change_to(WITH);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "tv v3, video v0, voice v0");
	end(&world);
}

static void a_rule_that_was_deactivated_alone_stays_away(void **state)
{
	const char *video = "video";
	struct world world;

	(void)state;
	begin(&world, WITH);
	activate_by(&world, ADDRESS_A, SLUICE_ORIGIN_GX, "media");
	deactivate_by(&world, ADDRESS_A, "video", &video, 1);
	change_to(TWO "base_names: {media: [voice, video, tv]}\n");
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "tv v0, voice v0");
	end(&world);
}

static void a_base_name_that_was_deactivated_is_followed_no_more(void **state)
{
	const char *ids[] = {"media", "voice", "video"};
	struct world world;

	(void)state;
	begin(&world, WITH);
	desired_activate(&world, IMSI_A, ADDRESS_A, own, 1);
	activate_by(&world, ADDRESS_A, SLUICE_ORIGIN_GX, "media");
	deactivate_by(&world, ADDRESS_A, "media", ids, 3);
	change_to(TWO "base_names: {media: [voice, video, tv]}\n");
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "own v7");
	end(&world);
}

static void a_base_name_of_an_earlier_session_says_nothing_of_the_next_one(void **state)
{
	struct world world;

	(void)state;
	begin(&world, WITH);
	activate_by(&world, ADDRESS_A, SLUICE_ORIGIN_GX, "media");
	/* without a word to desired/: an address that moved, say */
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	world_acknowledge_all(&world);
	desired_activate(&world, IMSI_A, ADDRESS_A, own, 1);
	activate_by(&world, ADDRESS_B, SLUICE_ORIGIN_GX, "media");
	deactivate_by(&world, ADDRESS_B, NULL, NULL, 0);
	world_acknowledge_all(&world);
	desired_activate(&world, IMSI_A, ADDRESS_B, own, 1);
	change_to(TWO "base_names: {media: [tv]}\n");
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "own v7");
	desired_assert_rules(&world, IMSI_A, ADDRESS_B, "own v7");
	end(&world);
}

static void a_setup_begins_anew_with_names(void **state)
{
	struct world world;

	(void)state;
	begin(&world, WITH);
	desired_activate(&world, IMSI_A, ADDRESS_A, own, 1);
	activate_by(&world, ADDRESS_A, SLUICE_ORIGIN_GX, "media");
	sl_desired_setup_done(desired_world.desired, NULL, 0);
	change_to(TWO "base_names: {media: [voice, tv]}\n");
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "own v7, video v0, voice v0");
	end(&world);
}

/* A directory of more base names than a session's memory has room for, of which the last stands for `last`.
 */
static char *many_names(const char *first, const char *last)
{
	char *text = calloc(1, 65536);
	size_t used;

	assert_non_null(text);
	used = (size_t)sprintf(text, TWO "base_names:\n  n0: [%s]\n", first);
	for (int i = 1; i < SL_DESIRED_BASE_NAMES_EACH; i++)
		used += (size_t)sprintf(text + used, "  n%d: [voice]\n", i);
	sprintf(text + used, "  n%d: [%s]\n", SL_DESIRED_BASE_NAMES_EACH, last);
	return text;
}

static void names_beyond_the_bound_are_not_followed(void **state)
{
	char *before = many_names("voice", "voice"), *late = many_names("voice", "tv");
	char *early = many_names("video", "tv"), name[16];
	struct world world;

	(void)state;
	begin(&world, before);
	for (int i = 0; i <= SL_DESIRED_BASE_NAMES_EACH; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		activate_by(&world, ADDRESS_A, SLUICE_ORIGIN_GX, name);
	}
	change_to(late);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "voice v0");
	change_to(early);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "video v0, voice v0");
	end(&world);
	free(before);
	free(late);
	free(early);
}

/* --- desired rules whose names have gone ---------------------------------------------- */

struct found {
	char why[SL_ERROR_SIZE];
};

static int find_problem(const struct sl_desired_scope *scope, void *user)
{
	struct found *found = user;
	struct sl_error why = {""};

	for (size_t i = 0; i < scope->rule_count; i++)
		if (sl_desired_problem(desired_world.desired, scope, &scope->rules[i], &why))
			strcpy(found->why, why.text);
	return 0;
}

static void assert_failing(uint32_t count, const char *why)
{
	struct sl_desired_status status;
	struct found found = {""};

	sl_desired_status(desired_world.desired, &status);
	assert_int_equal(status.failing, count);
	sl_desired_each(desired_world.desired, NULL, find_problem, &found);
	assert_string_equal(found.why, why);
}

static void a_desired_rule_that_the_directory_has_no_more_is_failing_until_it_is_back(void **state)
{
	static const struct wish wishes[] = {{.id = "video"}, {.id = "media"}, {.id = "tv"}};
	struct world world;
	char *said;

	(void)state;
	begin(&world, WITH);
	desired_activate(&world, IMSI_A, ADDRESS_A, own, 1);
	desired_set_ok(IMSI_A, wishes, 3);
	assert_failing(0, "");
	said = said_while("rules: [{id: voice, flows: [{}]}, {id: tv, flows: [{}]}]\n");
	assert_failing(2, "no rule and no base name of the policy directory any more");
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "own v7, tv v1");
	assert_non_null(strstr(said, "level=warning event=desired-missing names=\"video, media\""));
	free(said);
	said = said_while("rules: [{id: voice, precedence: 5, flows: [{}]}, {id: tv, flows: [{}]}]\n");
	assert_null(strstr(said, "desired-missing"));
	free(said);
	said = said_while(WITH);
	assert_non_null(strstr(said, "event=desired-found names=\"video, media\""));
	free(said);
	assert_failing(0, "");
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "own v7, tv v1, video v2, voice v2");
	end(&world);
}

static void what_is_wanted_no_more_does_not_fail(void **state)
{
	static const struct wish wishes[] = {{.id = "video", .until = 1010 * S}, {.id = "tv"}};
	struct world world;

	(void)state;
	begin(&world, WITH);
	desired_set_ok(IMSI_A, wishes, 2);
	change_to("rules: []\n");
	assert_failing(2, "no rule and no base name of the policy directory any more");
	desired_world.wall = 1010 * S;
	assert_failing(1, "no rule and no base name of the policy directory any more");
	desired_set_ok(IMSI_A, NULL, 0);
	assert_failing(0, "");
	end(&world);
}

static void a_refusal_is_told_with_its_reason(void **state)
{
	static const struct wish wishes[] = {{.id = "fast", .port = 1, .mbr_downlink = 1000000}};
	struct sl_desired_status status;
	struct found found = {""};
	struct world world;

	(void)state;
	desired_start(&world, false, 0); /* without queues */
	desired_activate(&world, IMSI_A, ADDRESS_A, own, 1);
	desired_set_ok(IMSI_A, wishes, 1);
	sl_desired_status(desired_world.desired, &status);
	assert_int_equal(status.failing, 1);
	sl_desired_each(desired_world.desired, NULL, find_problem, &found);
	assert_non_null(strstr(found.why, "rule fast at " ADDRESS_A ": "));
	assert_true(strlen(found.why) > strlen("rule fast at " ADDRESS_A ": "));
	desired_stop(&world);
}

/* --- the log ----------------------------------------------------------------------------- */

#define RULE(id, precedence) "{id: " #id ", precedence: " #precedence ", flows: [{}]}, "
#define SEVEN(precedence)    \
	RULE(r1, precedence) \
	RULE(r2, precedence) \
	RULE(r3, precedence) \
	RULE(r4, precedence) RULE(r5, precedence) RULE(r6, precedence) RULE(r7, precedence)

static void the_log_names_the_first_five_rules_that_change_or_go(void **state)
{
	struct world world;
	char *said;

	(void)state;
	begin(&world, "rules: [" SEVEN(1) "]\nbase_names: {all: [r1, r2, r3, r4, r5, r6, r7]}\n");
	activate_by(&world, ADDRESS_A, SLUICE_ORIGIN_GX, "all");
	activate_by(&world, ADDRESS_B, SLUICE_ORIGIN_GX, "r2");
	said = said_while("rules: [" SEVEN(2) "]\nbase_names: {all: [r1, r2, r3, r4, r5, r6, r7]}\n");
	assert_non_null(
		strstr(said, "event=policy-changed sessions=2 names=\"r1, r2, r3, r4, r5 and 2 more\""));
	free(said);
	said = said_while("rules: [" RULE(r1, 2) RULE(r3, 2) "]\n");
	assert_non_null(strstr(
		said, "event=policy-removed rules=6 sessions=2 failed=0 names=\"r2, r4, r5, r6, r7\""));
	assert_non_null(strstr(said, "event=base-names-followed names=all sessions=1"));
	free(said);
	end(&world);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_devices, fixture_no_devices)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_session_follows_what_its_base_name_stands_for),
		TEST(another_name_of_the_session_keeps_the_rule),
		TEST(what_the_session_manager_gave_itself_is_left_alone),
		TEST(a_rule_that_was_deactivated_alone_stays_away),
		TEST(a_base_name_that_was_deactivated_is_followed_no_more),
		TEST(a_base_name_of_an_earlier_session_says_nothing_of_the_next_one),
		TEST(a_setup_begins_anew_with_names),
		TEST(names_beyond_the_bound_are_not_followed),
		TEST(a_desired_rule_that_the_directory_has_no_more_is_failing_until_it_is_back),
		TEST(what_is_wanted_no_more_does_not_fail),
		TEST(a_refusal_is_told_with_its_reason),
		TEST(the_log_names_the_first_five_rules_that_change_or_go),
	};

	sl_log_set_level(SL_LOG_ERROR);
	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
