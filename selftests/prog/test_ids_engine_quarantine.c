// SPDX-License-Identifier: Apache-2.0
/* What the engine does with blocks beyond time: wider ones, and rules of sessions for as long as they last.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "datapath/ids_maps.h"
#include "ids/notes.h"
#include "ids_engine_world.h"

#define RULE(name) "  - {id: " name ", precedence: 5, flows: [{action: deny}]}\n"

static const struct rule_spec ordinary[] = {
	{.id = "all", .version = 1, .precedence = 100, .action = SLUICE_PERMIT},
};

/* --- escalation ---------------------------------------------------------------------------- */

static void escalate(struct ids_engine_world *world)
{
	struct sl_ids_rule *rule = &world->rule[0];

	rule->image.track = SLUICE_IDS_CONNECTION;
	rule->image.escalate = rule->escalate_track = SLUICE_IDS_SUBSCRIBER;
	rule->escalate_after = 3;
	rule->escalate_within_ns = 60 * SECOND;
	ids_engine_apply(world);
	world_activate_ok(&world->world, IMSI_A, ADDRESS_A, ordinary, 1);
}

static bool is_wider(struct ids_engine_world *world)
{
	struct sluice_ids_key key = ids_engine_key(&world->rule[0], IMSI_A);
	struct sluice_ids_block block;

	return sl_ids_get(world->world.datapath, SL_IDS_BLOCKS, &key, &block) == 0;
}

static void reconnect(struct ids_engine_world *world, uint16_t port, uint64_t then)
{
	struct sluice_ids_key key = ids_engine_connection(world->rule[0].image.identity, port);

	ids_engine_offend(world, &world->rule[0], &key);
	ids_engine_pass(world, then);
}

static void test_escalates(void **state)
{
	struct ids_engine_world *world = *state;
	struct sl_ids_engine_stats stats;

	escalate(world);
	reconnect(world, 1, 19 * SECOND);
	reconnect(world, 2, 19 * SECOND);
	assert_false(is_wider(world));
	reconnect(world, 3, 3 * SECOND / 2);
	assert_true(is_wider(world));
	sl_ids_engine_stats(world->engine, &stats);
	assert_int_equal(stats.escalated, 1);
	assert_int_equal(ids_engine_count(world, SL_IDS_ALERT_BLOCK), 4);
	assert_string_equal(ids_engine_told(world, SL_IDS_ALERT_BLOCK, 3)->reason, "escalated");
	assert_string_equal(ids_engine_told(world, SL_IDS_ALERT_BLOCK, 3)->imsi, IMSI_A);
	assert_string_equal(ids_engine_told(world, SL_IDS_ALERT_BLOCK, 3)->session, ADDRESS_A);
	/* it ends as others do, and one more offence alone is none of three */
	ids_engine_pass(world, 4 * SECOND);
	assert_false(is_wider(world));
	reconnect(world, 4, 2 * SECOND);
	assert_false(is_wider(world));
}

static void test_too_slow(void **state)
{
	struct ids_engine_world *world = *state;

	escalate(world);
	for (uint16_t port = 1; port < 8; port++)
		reconnect(world, port, 31 * SECOND);
	assert_int_equal(ids_engine_count(world, SL_IDS_ALERT_BLOCK), 7);
}

static void test_counts_over_restarts(void **state)
{
	struct ids_engine_world *world = *state;

	escalate(world);
	reconnect(world, 1, 3 * SECOND);
	ids_engine_restart(world);
	reconnect(world, 2, 3 * SECOND);
	ids_engine_restart(world);
	assert_false(is_wider(world));
	reconnect(world, 3, SECOND);
	assert_true(is_wider(world));
	/* what has had its answer is not counted again */
	ids_engine_pass(world, 3 * SECOND);
	ids_engine_restart(world);
	reconnect(world, 4, 3 * SECOND);
	reconnect(world, 5, 3 * SECOND);
	assert_false(is_wider(world));
	assert_int_equal(sl_ids_blocks_notes(sl_ids_engine_blocks(world->engine))->used, 1);
	/* of a rule that is no more nothing is kept */
	sl_ids_engine_gone(world->engine, world->rule[0].image.identity, world->now);
	assert_int_equal(sl_ids_blocks_notes(sl_ids_engine_blocks(world->engine))->used, 0);
}

/* Twelve take two parts of the map; in between the rule asks for fewer, and for more again. */
static void test_counts_of_a_changed_rule(void **state)
{
	struct ids_engine_world *world = *state;
	uint16_t port = 0;

	escalate(world);
	world->rule[0].escalate_after = 12;
	ids_engine_apply(world);
	while (port < 11)
		reconnect(world, ++port, SECOND);
	ids_engine_restart(world);
	assert_false(is_wider(world));
	world->rule[0].escalate_after = 13;
	ids_engine_apply(world);
	reconnect(world, ++port, SECOND);
	ids_engine_restart(world);
	assert_false(is_wider(world));
	reconnect(world, ++port, SECOND);
	assert_true(is_wider(world));
	assert_int_equal(sl_ids_blocks_notes(sl_ids_engine_blocks(world->engine))->used, 1); /* why */
}

static void test_of_each_his_own(void **state)
{
	struct ids_engine_world *world = *state;
	struct sluice_ids_key key;

	escalate(world);
	world_activate_ok(&world->world, IMSI_B, ADDRESS_B, ordinary, 1);
	reconnect(world, 1, SECOND);
	reconnect(world, 2, SECOND);
	key = ids_engine_connection(world->rule[0].image.identity, 3);
	key.local[3] = 11;
	ids_engine_offend(world, &world->rule[0], &key);
	ids_engine_pass(world, 2 * SECOND);
	assert_int_equal(ids_engine_count(world, SL_IDS_ALERT_BLOCK), 3);
}

/* --- quarantine and redirect ------------------------------------------------------------------ */

struct wanted {
	const char *id;
	uint32_t version, found;
};

static int look(const struct sl_session_view *view, void *user)
{
	struct wanted *wanted = user;

	for (uint32_t i = 0; view->active && i < view->install_count; i++) {
		if (strcmp(view->installs[i].rule->id, wanted->id) != 0)
			continue;
		wanted->found++;
		wanted->version = view->installs[i].version;
	}
	return 0;
}

/* In how many sessions of the subscriber. */
static uint32_t has(struct ids_engine_world *world, const char *imsi, const char *id)
{
	struct wanted wanted = {.id = id};

	sl_control_each_session_of(world->world.control, imsi, look, &wanted);
	return wanted.found;
}

static void quarantine(struct ids_engine_world *world)
{
	ids_engine_catalog(world, "rules:\n" RULE("jail") RULE("walls") RULE("moat"));
	world->rule[0].image.verdict = SLUICE_IDS_QUARANTINE;
	world->rule[0].quarantine_count = 2;
	strcpy(world->rule[0].quarantine[0], "jail");
	strcpy(world->rule[0].quarantine[1], "walls");
	world->rule[0].image.hard_ns = 10 * SECOND;
	ids_engine_apply(world);
	world_activate_ok(&world->world, IMSI_A, ADDRESS_A, ordinary, 1);
	world_activate_ok(&world->world, IMSI_B, ADDRESS_B, ordinary, 1);
}

static void hold(struct ids_engine_world *world, const struct sl_ids_rule *rule, const char *imsi)
{
	struct sluice_ids_key key = ids_engine_key(rule, imsi);

	ids_engine_offend(world, rule, &key);
	ids_engine_pass(world, 3 * SECOND / 2);
}

static void test_for_the_duration(void **state)
{
	struct ids_engine_world *world = *state;

	quarantine(world);
	hold(world, &world->rule[0], IMSI_A);
	assert_int_equal(has(world, IMSI_A, "jail"), 1);
	assert_int_equal(has(world, IMSI_A, "walls"), 1);
	assert_int_equal(has(world, IMSI_A, "all"), 1);
	assert_int_equal(has(world, IMSI_B, "jail"), 0);
	/* a session that comes meanwhile */
	world_activate_ok(&world->world, IMSI_A, "2001:db8::a", ordinary, 1);
	ids_engine_pass(world, 3 * SECOND / 2);
	assert_int_equal(has(world, IMSI_A, "jail"), 2);
	ids_engine_pass(world, 10 * SECOND);
	assert_int_equal(has(world, IMSI_A, "jail"), 0);
	assert_int_equal(has(world, IMSI_A, "walls"), 0);
	assert_int_equal(has(world, IMSI_A, "all"), 2);
}

static void test_not_of_others(void **state)
{
	static const struct rule_spec own[] = {
		{.id = "jail", .version = 3, .precedence = 5, .action = SLUICE_DENY},
	};
	static const struct rule_spec meanwhile[] = {
		{.id = "walls", .version = 4, .precedence = 5, .action = SLUICE_DENY},
	};
	struct ids_engine_world *world = *state;
	struct wanted wanted = {.id = "jail"};

	quarantine(world);
	world_activate_ok(&world->world, IMSI_A, ADDRESS_A, own, 1);
	hold(world, &world->rule[0], IMSI_A);
	sl_control_each_session_of(world->world.control, IMSI_A, look, &wanted);
	assert_int_equal(wanted.version, 3);
	assert_int_equal(has(world, IMSI_A, "walls"), 1);
	/* the session manager gives one of them itself, while it is in force for the quarantine */
	world_activate_ok(&world->world, IMSI_A, ADDRESS_A, meanwhile, 1);
	ids_engine_pass(world, 10 * SECOND);
	assert_int_equal(ids_engine_count(world, SL_IDS_ALERT_UNBLOCK), 1);
	assert_int_equal(has(world, IMSI_A, "jail"), 1);
	assert_int_equal(has(world, IMSI_A, "walls"), 1);
}

static void test_names_of_the_beginning(void **state)
{
	struct ids_engine_world *world = *state;

	quarantine(world);
	hold(world, &world->rule[0], IMSI_A);
	strcpy(world->rule[0].quarantine[0], "moat");
	ids_engine_apply(world);
	ids_engine_catalog(world, "rules:\n" RULE("walls") RULE("moat"));
	ids_engine_pass(world, 11 * SECOND);
	assert_int_equal(has(world, IMSI_A, "jail"), 0);
	assert_int_equal(has(world, IMSI_A, "walls"), 0);
	assert_int_equal(has(world, IMSI_A, "moat"), 0);
}

/* Sixteen rules: twelve bindings beyond those in the policy, of which all sessions together have 256. */
static int activate_sixteen(struct ids_engine_world *world, const char *imsi, const char *address)
{
	struct activation activation;
	struct rule_spec specs[16];
	char ids[16][8];

	for (uint32_t i = 0; i < 16; i++) {
		snprintf(ids[i], sizeof(ids[i]), "r%u", i);
		specs[i] = (struct rule_spec){.id = ids[i], .version = 1, .precedence = 100 + i};
	}
	return world_activate(&world->world, &activation, imsi, address, specs, 16);
}

/* No room for the session without its quarantine: tried again until there is. */
static void test_end_without_room(void **state)
{
	struct ids_engine_world *world = *state;
	char imsi[SLUICE_IMSI_SIZE], address[32];

	quarantine(world);
	world_deactivate(&world->world, IMSI_A, ADDRESS_A, NULL, true);
	assert_int_equal(activate_sixteen(world, IMSI_A, ADDRESS_A), 0);
	hold(world, &world->rule[0], IMSI_A);
	assert_int_equal(has(world, IMSI_A, "jail"), 1);
	for (int i = 0; i < 20; i++) {
		snprintf(imsi, sizeof(imsi), "0010100000010%02d", i);
		snprintf(address, sizeof(address), "192.168.129.%d", 10 + i);
		assert_int_equal(activate_sixteen(world, imsi, address), 0);
	}
	ids_engine_pass(world, 11 * SECOND);
	assert_int_equal(ids_engine_count(world, SL_IDS_ALERT_UNBLOCK), 1);
	assert_int_equal(has(world, IMSI_A, "jail"), 1);
	world_deactivate(&world->world, imsi, address, NULL, true);
	ids_engine_pass(world, 2 * SECOND);
	assert_int_equal(has(world, IMSI_A, "jail"), 0);
	assert_int_equal(has(world, IMSI_A, "walls"), 0);
	assert_int_equal(has(world, IMSI_A, "r15"), 1);
}

static void test_rule_gone(void **state)
{
	struct ids_engine_world *world = *state;
	uint32_t identity;

	quarantine(world);
	hold(world, &world->rule[0], IMSI_A);
	identity = world->rule[0].image.identity;
	world->rules = 0;
	ids_engine_apply(world);
	sl_ids_engine_gone(world->engine, identity, world->now);
	assert_string_equal(ids_engine_told(world, SL_IDS_ALERT_UNBLOCK, 0)->reason, "reload");
	assert_int_equal(has(world, IMSI_A, "jail"), 0);
	assert_int_equal(has(world, IMSI_A, "walls"), 0);
}

static void setup_of_manager(struct ids_engine_world *world)
{
	struct activation activation;
	struct sl_error err = {""};
	uint32_t refused = 0;

	world_fill(&activation, IMSI_A, ADDRESS_A, ordinary, 1);
	assert_int_equal(sl_control_setup(world->world.control, &activation.session, 1, &refused, &err), 0);
	assert_int_equal(refused, 0);
}

static void test_restart(void **state)
{
	struct ids_engine_world *world = *state;

	quarantine(world);
	hold(world, &world->rule[0], IMSI_A);
	ids_engine_restart(world);
	assert_int_equal(has(world, IMSI_A, "jail"), 1);
	/* the session manager says all of its own again */
	setup_of_manager(world);
	assert_int_equal(has(world, IMSI_A, "jail"), 1);
	/* and somebody takes one of them away */
	world_deactivate(&world->world, IMSI_A, ADDRESS_A, "jail", false);
	ids_engine_pass(world, 3 * SECOND / 2);
	assert_int_equal(has(world, IMSI_A, "jail"), 1);
	/* it ends when it would have ended, with another list, too */
	strcpy(world->rule[0].quarantine[0], "moat");
	ids_engine_restart(world);
	ids_engine_pass(world, 10 * SECOND);
	assert_int_equal(ids_engine_count(world, SL_IDS_ALERT_UNBLOCK), 1);
	assert_int_equal(ids_engine_count(world, SL_IDS_ALERT_BLOCK), 1);
	assert_int_equal(has(world, IMSI_A, "jail"), 0);
	assert_int_equal(has(world, IMSI_A, "walls"), 0);
	assert_int_equal(has(world, IMSI_A, "moat"), 0);
	assert_int_equal(has(world, IMSI_A, "all"), 1);
}

static void test_orphans(void **state)
{
	struct ids_engine_world *world = *state;
	struct sluice_ids_key key;

	quarantine(world);
	hold(world, &world->rule[0], IMSI_A);
	/* the block goes while no agent is there */
	key = ids_engine_key(&world->rule[0], IMSI_A);
	assert_int_equal(sl_ids_delete(world->world.datapath, SL_IDS_BLOCKS, &key), 0);
	ids_engine_restart(world);
	ids_engine_pass(world, 3 * SECOND / 2);
	assert_int_equal(has(world, IMSI_A, "jail"), 0);
	assert_int_equal(has(world, IMSI_A, "all"), 1);
}

static void test_two_rules(void **state)
{
	struct ids_engine_world *world = *state;

	quarantine(world);
	world->rules = 2;
	world->rule[1].image.verdict = SLUICE_IDS_QUARANTINE;
	world->rule[1].image.hard_ns = 20 * SECOND;
	world->rule[1].quarantine_count = 1;
	strcpy(world->rule[1].quarantine[0], "jail");
	ids_engine_apply(world);
	hold(world, &world->rule[0], IMSI_A);
	hold(world, &world->rule[1], IMSI_A);
	for (int i = 0; i < 200; i++) {
		ids_engine_pass(world, TICK);
		assert_int_equal(has(world, IMSI_A, "jail"), 1);
	}
	assert_int_equal(has(world, IMSI_A, "walls"), 0);
	ids_engine_pass(world, 12 * SECOND);
	assert_int_equal(has(world, IMSI_A, "jail"), 0);
}

static void test_redirect(void **state)
{
	struct ids_engine_world *world = *state;

	quarantine(world);
	world->rule[0].image.verdict = SLUICE_IDS_REDIRECT;
	world->rule[0].redirect_type = SLUICE_REDIRECT_URL;
	strcpy(world->rule[0].redirect, "http://portal.example/");
	ids_engine_apply(world);
	hold(world, &world->rule[0], IMSI_A);
	assert_int_equal(has(world, IMSI_A, "ids-flood"), 1);
	ids_engine_restart(world);
	assert_int_equal(has(world, IMSI_A, "ids-flood"), 1);
	ids_engine_pass(world, 11 * SECOND);
	assert_int_equal(has(world, IMSI_A, "ids-flood"), 0);
}

int main(void)
{
#define TEST(name, function)                                                \
	{                                                                   \
		name, function, ids_engine_setup, ids_engine_teardown, NULL \
	}
	const struct CMUnitTest tests[] = {
		TEST("who is blocked on three connections within the time is blocked himself",
		     test_escalates),
		TEST("offences are counted on after a restart, each once", test_counts_over_restarts),
		TEST("offences are counted on when the rule asks for more", test_counts_of_a_changed_rule),
		TEST("offences further apart than the time are not one too many", test_too_slow),
		TEST("offences of two subscribers do not add up", test_of_each_his_own),
		TEST("sessions in quarantine have its rules until its end, those that come later, too",
		     test_for_the_duration),
		TEST("a rule of the session manager stays as it was, though a quarantine names it",
		     test_not_of_others),
		TEST("what a quarantine gave goes at its end, whatever its list says by then",
		     test_names_of_the_beginning),
		TEST("when the rule goes, the rules of its quarantine go", test_rule_gone),
		TEST("what could not be taken away for want of room goes when there is some",
		     test_end_without_room),
		TEST("a restart and a setup change nothing about a quarantine", test_restart),
		TEST("what is left of a quarantine that ended without the agent goes", test_orphans),
		TEST("what two quarantines name stays until both have ended", test_two_rules),
		TEST("a redirect lasts as long as its block", test_redirect),
	};

	return cmocka_run_group_tests_name("ids engine: quarantine", tests, fixture_setup, fixture_teardown);
}
