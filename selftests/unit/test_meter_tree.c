// SPDX-License-Identifier: Apache-2.0
/* Meters in a tree: guaranteed traffic, changes while packets run, broken trees, old times. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "meter_host.h"
#include "qos/meter.h"

#define MTU   1500
#define KBIT  1000ull
#define MBIT  1000000ull
#define MS    1000000ull
#define S     1000000000ull
#define START (12345 * S + 678)

static uint64_t word_of(uint64_t bits_per_second)
{
	uint64_t rate = 0;

	if (bits_per_second)
		assert_int_equal(sl_meter_rate(bits_per_second, SL_METER_TOLERANCE_NS, MTU, &rate, NULL), 0);
	return rate;
}

static void start(uint32_t index, enum sluice_meter_level level, uint64_t bits_per_second, uint32_t parent)
{
	struct sl_meter_settings settings = {.level = level,
					     .rate = word_of(bits_per_second),
					     .parent = parent,
					     .green_parent = SLUICE_NONE};

	host_before_swap = NULL;
	sl_meter_start(&host_meters[index], &settings, START);
}

static enum sluice_meter_level pass(uint32_t index, uint32_t bytes, uint64_t now_ns)
{
	return meter_pass(index, bytes, 1, now_ns);
}

static uint64_t drain(uint32_t index, uint32_t bytes, uint64_t now_ns)
{
	uint64_t passed = 0;

	while (pass(index, bytes, now_ns) == SLUICE_METER_PASSED)
		passed += bytes;
	return passed;
}

/* Offers 1,000-byte packets at that rate from START + from on; the bytes that pass in `length`. */
static uint64_t offer(uint32_t index, uint64_t bits_per_second, uint64_t from, uint64_t length)
{
	uint64_t step = 8000 * S / bits_per_second, passed = 0;

	for (uint64_t now = from; now < from + length; now += step)
		if (pass(index, 1000, START + now) == SLUICE_METER_PASSED)
			passed += 1000;
	return passed;
}

/* --- GBR ------------------------------------------------------------------ */

enum { LINK = 0, AMBR, BULK, GUARANTEED };

/* 10 Mbit/s of link; a rule with GBR 4 Mbit/s and MBR 5 Mbit/s beside the AMBR. */
static void start_guaranteed(void)
{
	struct sl_meter_settings settings = {.level = SLUICE_METER_RULE,
					     .rate = word_of(5 * MBIT),
					     .green_rate = word_of(4 * MBIT),
					     .parent = LINK,
					     .green_parent = LINK};

	start(LINK, SLUICE_METER_LINK, 10 * MBIT, SLUICE_NONE);
	start(AMBR, SLUICE_METER_SESSION, 100 * MBIT, LINK);
	start(BULK, SLUICE_METER_RULE, 0, AMBR);
	sl_meter_start(&host_meters[GUARANTEED], &settings, START);
}

static void gbr_loses_nothing_beside_traffic_that_fills_the_link(void **state)
{
	uint64_t guaranteed = 0, lost = 0, bulk = 0, now;
	const uint64_t end = 10 * S;

	(void)state;
	start_guaranteed();
	for (now = 0; now < end; now += 100000) {
		/* 80 Mbit/s of bulk, and 4 Mbit/s: every 2 ms */
		if (pass(BULK, 1000, START + now) == SLUICE_METER_PASSED)
			bulk += 1000;
		if (now % (2 * MS) == 0) {
			guaranteed += 1000;
			lost += pass(GUARANTEED, 1000, START + now) != SLUICE_METER_PASSED;
		}
	}
	assert_int_equal(lost, 0);
	assert_int_equal(guaranteed, 5000000);
	/* and the link is not exceeded by more than its burst and the guarantee's */
	assert_in_range(bulk, (uint64_t)(6.0 / 8 * 1e7 * 0.998), (uint64_t)(6.0 / 8 * 1e7) + 2 * 62500);
}

static void above_its_gbr_a_rule_takes_part_in_the_link_up_to_its_mbr(void **state)
{
	uint64_t alone, beside = 0;

	(void)state;
	start_guaranteed();
	alone = offer(GUARANTEED, 20 * MBIT, 0, 10 * S);
	assert_in_range(alone, 6250000 - 12500, 6250000 + 62500);

	start_guaranteed();
	for (uint64_t now = 0; now < 10 * S; now += 400000) {
		for (int i = 0; i < 8; i++)
			pass(BULK, 1000, START + now + (uint64_t)i);
		if (pass(GUARANTEED, 1000, START + now + 300000) == SLUICE_METER_PASSED)
			beside += 1000;
	}
	assert_in_range(beside, 5000000 - 12500, 6250000 + 62500);
	assert_true(host_meters[LINK].refused.packets > 0);
}

static void guaranteed_traffic_is_outside_the_ambr(void **state)
{
	(void)state;
	start_guaranteed();
	sl_meter_change(&host_meters[AMBR], word_of(8 * KBIT), 0, START);
	drain(BULK, 100, START);
	for (int i = 0; i < 20; i++)
		assert_int_equal(pass(GUARANTEED, 1000, START), SLUICE_METER_PASSED);
	assert_int_equal(pass(BULK, 1000, START), SLUICE_METER_SESSION);
}

/* --- changes ---------------------------------------------------------------- */

static void a_changed_rate_is_in_force_for_the_next_window_up_and_down(void **state)
{
	static const uint64_t steps[] = {MBIT,	    100 * MBIT, 2 * MBIT, 8 * KBIT,
					 50 * MBIT, 64 * KBIT,	10 * MBIT};
	uint64_t at = 0;

	(void)state;
	start(0, SLUICE_METER_RULE, steps[0], SLUICE_NONE);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		uint64_t word = word_of(steps[i]), length = 10 * S, passed;
		double exact = (double)steps[i] / 8 * 10;

		sl_meter_change(&host_meters[0], word, 0, START + at);
		/* at once: in the first 50 ms, or the time of three packets */
		passed = offer(0, steps[i] * 3, at, 50 * MS + 24000 * S / steps[i]);
		assert_true(passed > 0);
		at += 50 * MS + 24000 * S / steps[i];
		offer(0, steps[i] * 3, at, 8 * S);
		at += 8 * S;
		passed = offer(0, steps[i] * 3, at, length);
		at += length;
		assert_in_range(passed, (uint64_t)(exact * 0.998) - 1000, (uint64_t)(exact * 1.002) + 1000);
	}
}

static void a_change_gives_no_credit_beyond_one_burst_of_the_new_rate(void **state)
{
	static const uint64_t changes[][2] = {
		{8 * KBIT, 100 * MBIT},
		{100 * MBIT, 8 * KBIT},
		{MBIT, 2 * MBIT},
		{10 * MBIT, 10 * MBIT},
		{0, MBIT},
		{400000 * MBIT, 64 * KBIT},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		for (uint64_t idle = 0; idle < 5; idle++) {
			uint64_t word = word_of(changes[i][1]), when = START + idle * 3600 * S;

			start(0, SLUICE_METER_RULE, changes[i][0], SLUICE_NONE);
			if (changes[i][0])
				drain(0, changes[i][0] > 1000 * MBIT ? 60000 : 100, START);
			sl_meter_change(&host_meters[0], word, 0, when);
			assert_true(drain(0, 20, when) <= sl_meter_burst(word));
		}
	}
}

static void what_is_used_of_the_burst_stays_used_when_the_rate_changes(void **state)
{
	uint64_t passed;

	(void)state;
	start(0, SLUICE_METER_RULE, 10 * MBIT, SLUICE_NONE);
	for (int i = 0; i < 400; i++)
		assert_int_equal(pass(0, 100, START), SLUICE_METER_PASSED);
	sl_meter_change(&host_meters[0], word_of(20 * MBIT), 0, START);
	passed = drain(0, 100, START);
	/* 64 % of the one burst, and of the other */
	assert_in_range(passed, 45000 - 100, 45000);

	/* 3 s of tolerance, half of it used; 50 ms, half of it used */
	start(0, SLUICE_METER_RULE, 8 * KBIT, SLUICE_NONE);
	assert_int_equal(pass(0, 1500, START), SLUICE_METER_PASSED);
	sl_meter_change(&host_meters[0], word_of(100 * MBIT), 0, START);
	assert_in_range(drain(0, 100, START), 312500 - 200, 312600);
}

static __u64 stale_rate;

/* Between what a packet has read and its swap the agent changes the rate. */
static void change_rate_now(__u64 *word)
{
	(void)word;
	host_before_swap = NULL;
	sl_meter_change(&host_meters[0], stale_rate, 0, START);
}

static void a_packet_in_the_middle_of_a_change_is_charged_at_the_new_rate(void **state)
{
	uint64_t outstanding;

	(void)state;
	start(0, SLUICE_METER_RULE, 8 * KBIT, SLUICE_NONE);
	stale_rate = word_of(100 * MBIT);
	host_before_swap = change_rate_now;
	assert_int_equal(pass(0, 1500, START), SLUICE_METER_PASSED);
	outstanding = host_meters[0].tat - sluice_meter_ticks(START);
	assert_in_range(outstanding, sluice_meter_amount(stale_rate, 1500),
			sluice_meter_amount(stale_rate, 1500) + 1);
}

static void without_a_limit_everything_passes_and_with_one_again_it_counts(void **state)
{
	(void)state;
	start(0, SLUICE_METER_RULE, MBIT, SLUICE_NONE);
	drain(0, 1000, START);
	sl_meter_change(&host_meters[0], 0, 0, START);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(pass(0, 1500, START), SLUICE_METER_PASSED);
	sl_meter_change(&host_meters[0], word_of(MBIT), 0, START);
	assert_in_range(drain(0, 100, START), 6100, 6300);
}

static void changing_to_and_fro_makes_no_credit(void **state)
{
	uint64_t slow = word_of(MBIT), fast = word_of(100 * MBIT);

	(void)state;
	start(0, SLUICE_METER_RULE, 100 * MBIT, SLUICE_NONE);
	drain(0, 20, START);
	for (int i = 0; i < 1000; i++) {
		sl_meter_change(&host_meters[0], i % 2 ? fast : slow, 0, START);
		assert_int_equal(pass(0, 100, START), SLUICE_METER_RULE);
	}
}

/* --- super-packets, broken trees, old times ----------------------------------- */

static void a_super_packet_longer_than_the_burst_passes_where_nothing_is_outstanding(void **state)
{
	(void)state;
	start(0, SLUICE_METER_RULE, MBIT, SLUICE_NONE);
	assert_int_equal(pass(0, 64000, START), SLUICE_METER_PASSED);
	assert_int_equal(pass(0, 40, START), SLUICE_METER_RULE);
	/* 64,000 bytes take 512 ms, of which 50 are tolerated */
	assert_int_equal(pass(0, 40, START + 461 * MS), SLUICE_METER_RULE);
	assert_int_equal(pass(0, 64000, START + 511 * MS), SLUICE_METER_RULE);
	assert_int_equal(pass(0, 64000, START + 513 * MS), SLUICE_METER_PASSED);
}

static void a_tree_with_a_hole_a_circle_or_too_many_levels_passes_nothing_and_charges_nothing(void **state)
{
	struct sluice_meter before[8];

	(void)state;
	for (uint32_t i = 0; i < 8; i++)
		start(i, SLUICE_METER_RULE, MBIT, i + 1);
	host_meters[3].parent = SLUICE_NONE;
	assert_int_equal(pass(0, 100, START), SLUICE_METER_PASSED);
	host_meters[3].parent = 4;
	host_meters[4].parent = SLUICE_NONE;
	memcpy(before, host_meters, sizeof(before));
	assert_int_equal(pass(0, 100, START), SLUICE_METER_BROKEN);
	assert_memory_equal(before, host_meters, sizeof(before));
	host_meters[2].parent = HOST_METERS;
	memcpy(before, host_meters, sizeof(before));
	assert_int_equal(pass(0, 100, START), SLUICE_METER_BROKEN);
	host_meters[2].green_rate = word_of(MBIT);
	host_meters[2].green_parent = HOST_METERS;
	memcpy(before, host_meters, sizeof(before));
	assert_int_equal(pass(2, 100, START), SLUICE_METER_BROKEN);
	host_meters[2].green_parent = 2;
	memcpy(before, host_meters, sizeof(before));
	assert_int_equal(pass(2, 100, START), SLUICE_METER_BROKEN);
	assert_memory_equal(before, host_meters, sizeof(before));
	assert_int_equal(pass(SLUICE_NONE, 100, START), SLUICE_METER_PASSED);
	assert_int_equal(pass(HOST_METERS, 100, START), SLUICE_METER_BROKEN);
	assert_int_equal(pass(7, SLUICE_METER_BYTES_MAX + 1, START), SLUICE_METER_BROKEN);
}

static void a_meter_that_was_idle_for_whatever_time_has_one_burst(void **state)
{
	static const uint64_t days[] = {0, 1, 52, 104, 105, 156, 207, 209, 312, 417, 1000};

	(void)state;
	for (size_t i = 0; i < sizeof(days) / sizeof(days[0]); i++) {
		uint64_t later = START + S + days[i] * 86400 * S, burst;

		start(0, SLUICE_METER_RULE, 8 * KBIT, SLUICE_NONE);
		burst = sl_meter_burst(host_meters[0].rate);
		assert_in_range(drain(0, 20, START), burst - 20, burst);
		if (days[i])
			assert_in_range(drain(0, 20, later), burst - 20, burst);
	}
}

static void a_packet_with_an_older_time_than_the_last_takes_no_credit_from_it(void **state)
{
	uint64_t burst, passed;

	(void)state;
	start(0, SLUICE_METER_RULE, 10 * MBIT, SLUICE_NONE);
	burst = sl_meter_burst(host_meters[0].rate);
	passed = drain(0, 100, START + 10 * S);
	for (uint64_t held = MS; held < 10 * S; held += 7 * MS)
		passed += drain(0, 100, START + 10 * S - held);
	assert_in_range(passed, burst - 100, burst);
}

static void guarantees_beyond_the_link_do_not_shut_it_for_ever(void **state)
{
	(void)state;
	start_guaranteed();
	sl_meter_change(&host_meters[GUARANTEED], 0, word_of(400000 * MBIT), START);
	for (int i = 0; i < 100000; i++)
		pass(GUARANTEED, 60000, START);
	/* the most that stays: four tolerances and 8 MiB */
	assert_int_equal(pass(BULK, 100, START + 6 * S), SLUICE_METER_LINK);
	assert_int_equal(pass(BULK, 100, START + 7 * S), SLUICE_METER_PASSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gbr_loses_nothing_beside_traffic_that_fills_the_link),
		cmocka_unit_test(above_its_gbr_a_rule_takes_part_in_the_link_up_to_its_mbr),
		cmocka_unit_test(guaranteed_traffic_is_outside_the_ambr),
		cmocka_unit_test(a_changed_rate_is_in_force_for_the_next_window_up_and_down),
		cmocka_unit_test(a_change_gives_no_credit_beyond_one_burst_of_the_new_rate),
		cmocka_unit_test(what_is_used_of_the_burst_stays_used_when_the_rate_changes),
		cmocka_unit_test(changing_to_and_fro_makes_no_credit),
		cmocka_unit_test(a_packet_in_the_middle_of_a_change_is_charged_at_the_new_rate),
		cmocka_unit_test(without_a_limit_everything_passes_and_with_one_again_it_counts),
		cmocka_unit_test(a_super_packet_longer_than_the_burst_passes_where_nothing_is_outstanding),
		cmocka_unit_test(
			a_tree_with_a_hole_a_circle_or_too_many_levels_passes_nothing_and_charges_nothing),
		cmocka_unit_test(a_meter_that_was_idle_for_whatever_time_has_one_burst),
		cmocka_unit_test(a_packet_with_an_older_time_than_the_last_takes_no_credit_from_it),
		cmocka_unit_test(guarantees_beyond_the_link_do_not_shut_it_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
