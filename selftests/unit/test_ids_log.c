// SPDX-License-Identifier: Apache-2.0
/* Which alerts are told: the four modes, and that nothing is lost from the count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "ids/log.h"

#define S 1000000000ull

static struct sl_ids_rule rule_of(enum sl_ids_log mode, uint64_t number)
{
	struct sl_ids_rule rule = {
		.log = mode,
		.log_number = number,
		.evidence_packets = 3,
		.image = {.limit_count = 1, .limit = {{.window_ns = 10 * S}}},
	};

	return rule;
}

struct world {
	struct sl_ids_log_table *log;
	struct sl_ids_rule rule;
	uint64_t asked, told, suppressed;
	char pattern[64]; /* of the last asks: T or - */
};

static struct sl_ids_log_answer ask_as(struct world *world, enum sl_ids_alert_type type, uint32_t number,
				       uint64_t own, uint64_t now)
{
	struct sluice_ids_key key = {.rule = 1, .number = number};
	struct sl_ids_alert alert = {.type = type, .captured = 64, .suppressed = own};
	struct sl_ids_log_answer answer = sl_ids_log_ask(world->log, &world->rule, &alert, &key, now);

	world->asked += 1 + own;
	if (answer.tell) {
		world->told++;
		world->suppressed += answer.suppressed;
	}
	return answer;
}

static struct sl_ids_log_answer ask(struct world *world, uint64_t now)
{
	return ask_as(world, SL_IDS_ALERT_EXCESS, 7, 0, now);
}

/* Everything that was asked about was told of, or is held still. */
static void adds_up(const struct world *world)
{
	uint64_t total, held;

	sl_ids_log_suppressed(world->log, &total, &held);
	assert_int_equal(world->told + world->suppressed + held, world->asked);
}

static const char *pattern(struct world *world, unsigned int count, uint64_t from, uint64_t step)
{
	for (unsigned int i = 0; i < count; i++)
		world->pattern[i] = ask(world, from + i * step).tell ? 'T' : '-';
	world->pattern[count] = '\0';
	return world->pattern;
}

static void first_tells_once_in_each_offence(void **state)
{
	struct world world = {.log = sl_ids_log_new(), .rule = rule_of(SL_IDS_LOG_FIRST, 0)};

	(void)state;
	assert_string_equal(pattern(&world, 5, 100 * S, S), "T----");
	/* quiet for less than the window, and then for as long */
	assert_false(ask(&world, 104 * S + 10 * S - 1).tell);
	assert_true(ask(&world, 124 * S).tell);
	assert_false(ask(&world, 125 * S).tell);
	adds_up(&world);
	/* the end of its block ends the offence, and tells what was held */
	assert_int_equal(ask_as(&world, SL_IDS_ALERT_UNBLOCK, 7, 0, 126 * S).suppressed, 1);
	assert_true(ask(&world, 126 * S).tell);
	adds_up(&world);
	assert_int_equal(world.told + world.suppressed, world.asked);
	sl_ids_log_free(world.log);
}

static void every_tells_the_first_and_each_nth_after_it(void **state)
{
	struct world world = {.log = sl_ids_log_new(), .rule = rule_of(SL_IDS_LOG_EVERY, 4)};

	(void)state;
	assert_string_equal(pattern(&world, 10, S, 1), "T---T---T-");
	adds_up(&world);
	sl_ids_log_free(world.log);
	world = (struct world){.log = sl_ids_log_new(), .rule = rule_of(SL_IDS_LOG_EVERY, 1)};
	assert_string_equal(pattern(&world, 5, S, 1), "TTTTT");
	sl_ids_log_free(world.log);
}

static void interval_tells_at_most_once_in_its_time(void **state)
{
	struct world world = {.log = sl_ids_log_new(), .rule = rule_of(SL_IDS_LOG_INTERVAL, 3 * S)};

	(void)state;
	assert_string_equal(pattern(&world, 8, S, S), "T--T--T-");
	/* also over offences */
	world.rule.image.limit[0].window_ns = 1;
	assert_false(ask(&world, 9 * S).tell);
	assert_true(ask(&world, 10 * S).tell);
	adds_up(&world);
	sl_ids_log_free(world.log);
}

static void backoff_tells_powers_of_two_up_to_every_nth(void **state)
{
	struct world world = {.log = sl_ids_log_new(), .rule = rule_of(SL_IDS_LOG_BACKOFF, 8)};

	(void)state;
	assert_string_equal(pattern(&world, 25, S, 1), "TT-T---T-------T-------T-");
	adds_up(&world);
	sl_ids_log_free(world.log);
}

static void begin_and_end_of_blocks_are_always_told(void **state)
{
	struct world world = {.log = sl_ids_log_new(), .rule = rule_of(SL_IDS_LOG_FIRST, 0)};

	(void)state;
	assert_true(ask(&world, S).tell);
	for (int i = 0; i < 3; i++) {
		assert_true(ask_as(&world, SL_IDS_ALERT_BLOCK, 7, 0, S + 1).tell);
		assert_true(ask_as(&world, SL_IDS_ALERT_UNBLOCK, 7, 0, S + 1).tell);
	}
	adds_up(&world);
	sl_ids_log_free(world.log);
}

static void what_the_kernel_held_back_is_counted_on(void **state)
{
	struct world world = {.log = sl_ids_log_new(), .rule = rule_of(SL_IDS_LOG_EVERY, 2)};

	(void)state;
	assert_int_equal(ask_as(&world, SL_IDS_ALERT_EXCESS, 7, 5, S).suppressed, 5);
	ask_as(&world, SL_IDS_ALERT_EXCESS, 7, 6, S);
	assert_int_equal(ask_as(&world, SL_IDS_ALERT_EXCESS, 7, 7, S).suppressed, 6 + 1 + 7);
	adds_up(&world);
	sl_ids_log_free(world.log);
}

static void evidence_is_of_the_first_packets_of_an_offence_told_or_not(void **state)
{
	struct world world = {.log = sl_ids_log_new(), .rule = rule_of(SL_IDS_LOG_FIRST, 0)};

	(void)state;
	for (int offence = 0; offence < 2; offence++) {
		for (int i = 0; i < 5; i++)
			assert_int_equal(ask(&world, (uint64_t)(offence + 1) * 100 * S).evidence, i < 3);
	}
	/* a packet that begins a block is one of them */
	assert_true(ask_as(&world, SL_IDS_ALERT_BLOCK, 8, 0, S).evidence);
	assert_false(ask_as(&world, SL_IDS_ALERT_EXCESS, 8, 0, S).tell);
	sl_ids_log_free(world.log);
}

static void more_keys_than_there_is_room_for_leave_no_hole_in_the_count(void **state)
{
	struct world world = {.log = sl_ids_log_new(), .rule = rule_of(SL_IDS_LOG_FIRST, 0)};

	(void)state;
	for (uint32_t key = 0; key < SL_IDS_LOG_KEYS + 1000; key++) {
		ask_as(&world, SL_IDS_ALERT_EXCESS, key, 0, S + key);
		ask_as(&world, SL_IDS_ALERT_EXCESS, key, 3, S + key);
	}
	adds_up(&world);
	/* all keys but the first thousand are known */
	assert_false(ask_as(&world, SL_IDS_ALERT_EXCESS, 1000, 0, 2 * S).tell);
	assert_true(ask_as(&world, SL_IDS_ALERT_EXCESS, 0, 0, 2 * S).tell);
	adds_up(&world);
	sl_ids_log_free(world.log);
}

static void a_full_table_is_told_by_rule_and_not_by_key(void **state)
{
	struct world world = {.log = sl_ids_log_new(), .rule = rule_of(SL_IDS_LOG_FIRST, 0)};

	(void)state;
	for (uint32_t key = 0; key < 100; key++)
		ask_as(&world, SL_IDS_ALERT_FULL, key, 0, S);
	assert_int_equal(world.told, 1);
	adds_up(&world);
	sl_ids_log_free(world.log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_tells_once_in_each_offence),
		cmocka_unit_test(every_tells_the_first_and_each_nth_after_it),
		cmocka_unit_test(interval_tells_at_most_once_in_its_time),
		cmocka_unit_test(backoff_tells_powers_of_two_up_to_every_nth),
		cmocka_unit_test(begin_and_end_of_blocks_are_always_told),
		cmocka_unit_test(what_the_kernel_held_back_is_counted_on),
		cmocka_unit_test(evidence_is_of_the_first_packets_of_an_offence_told_or_not),
		cmocka_unit_test(more_keys_than_there_is_room_for_leave_no_hole_in_the_count),
		cmocka_unit_test(a_full_table_is_told_by_rule_and_not_by_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
