// SPDX-License-Identifier: Apache-2.0
/* The policer's own code (bpf/meter.h) on made-up arrivals: what must pass, and nothing more. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "meter_host.h"
#include "meter_model.h"
#include "qos/meter.h"

#define MTU   1500
#define KBIT  1000ull
#define MBIT  1000000ull
#define GBIT  1000000000ull
#define MS    1000000ull
#define S     1000000000ull
#define START (12345 * S + 678)

static const uint64_t rates[] = {8 * KBIT,   64 * KBIT,	 MBIT,	    10 * MBIT,	100 * MBIT, 101 * MBIT,
				 300 * MBIT, 600 * MBIT, 10 * GBIT, 100 * GBIT, 400 * GBIT};

static uint64_t random_state = 88172645463325252ull;

static uint64_t draw(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static uint64_t word_of(uint64_t bits_per_second, uint64_t tolerance_ns)
{
	uint64_t rate = 0;

	if (bits_per_second)
		assert_int_equal(sl_meter_rate(bits_per_second, tolerance_ns, MTU, &rate, NULL), 0);
	return rate;
}

static void start_at(uint32_t index, enum sluice_meter_level level, uint64_t bits_per_second, uint32_t parent,
		     uint64_t now_ns)
{
	struct sl_meter_settings settings = {.level = level,
					     .rate = word_of(bits_per_second, SL_METER_TOLERANCE_NS),
					     .parent = parent,
					     .green_parent = SLUICE_NONE};

	sl_meter_start(&host_meters[index], &settings, now_ns);
}

/* 0 rule -> 1 AMBR -> 2 link */
static void start_tree(uint64_t rule, uint64_t session, uint64_t link)
{
	host_before_swap = NULL;
	start_at(0, SLUICE_METER_RULE, rule, 1, START);
	start_at(1, SLUICE_METER_SESSION, session, 2, START);
	start_at(2, SLUICE_METER_LINK, link, SLUICE_NONE, START);
}

static enum sluice_meter_level pass(uint32_t index, uint32_t bytes, uint64_t now_ns)
{
	return meter_pass(index, bytes, 1, now_ns);
}

/* Packets of so many bytes until one is refused; the bytes that passed. */
static uint64_t drain(uint32_t index, uint32_t bytes, uint64_t now_ns)
{
	uint64_t passed = 0;

	while (pass(index, bytes, now_ns) == SLUICE_METER_PASSED)
		passed += bytes;
	return passed;
}

static void a_rate_is_met_within_five_thousandths_of_a_percent_and_never_exceeded(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 100000; i++) {
		uint64_t bits =
			i < sizeof(rates) / sizeof(rates[0])
				? rates[i]
				: 8000 + draw() % (SLUICE_METER_RATE_MAX >> draw() % 25) % 399999990000ull;
		unsigned __int128 cost = sluice_meter_cost(word_of(bits, SL_METER_TOLERANCE_NS));
		unsigned __int128 exact = (unsigned __int128)(8 * S) << 20;

		assert_true(cost * bits >= exact);
		assert_true(cost * bits * 100000 <= exact * 100005);
	}
}

static void a_tolerance_is_at_least_two_packets(void **state)
{
	(void)state;
	assert_int_equal(sluice_meter_tolerance(word_of(8000, 0)) >> 10, 3 * S / 2048 * 2048 + 2048);
	assert_in_range(sl_meter_burst(word_of(8000, 0)), 3000, 3002);
	assert_in_range(sl_meter_burst(word_of(10 * MBIT, 0)), 3000, 3002);
	assert_in_range(sl_meter_burst(word_of(10 * MBIT, 50 * MS)), 62500, 62502);
	assert_in_range(sl_meter_burst(word_of(400 * GBIT, 50 * MS)), 2499800000, 2500100000);
}

static void rates_and_tolerances_outside_what_fits_are_refused_by_name(void **state)
{
	struct sl_error err;
	uint64_t rate = 7;

	(void)state;
	assert_int_equal(sl_meter_rate(7999, 0, MTU, &rate, &err), -ERANGE);
	assert_string_equal(err.text, "rate 7999 bit/s: allowed are 8000 to 400000000000");
	assert_int_equal(sl_meter_rate(400 * GBIT + 1, 0, MTU, &rate, &err), -ERANGE);
	assert_int_equal(sl_meter_rate(MBIT, 35 * S, MTU, &rate, &err), -ERANGE);
	assert_string_equal(err.text, "tolerance 35000000000 ns: at most 34359736320");
	assert_int_equal(rate, 7);
	assert_int_equal(sl_meter_rate(8000, 34 * S, UINT32_MAX, &rate, &err), 0);
	assert_int_equal(sluice_meter_tolerance(rate) >> 10, SL_METER_TOLERANCE_MAX_NS);
	assert_int_equal(sl_meter_bits_per_second(rate), 8000);
	assert_int_equal(sl_meter_bits_per_second(0), 0);
}

/* --- one against the other ------------------------------------------------ */

struct pair {
	struct model_meter model[HOST_METERS];
	uint32_t count;
};

static uint64_t any_rate(void)
{
	uint64_t bits;

	switch (draw() % 8) {
	case 0:
		return 0;
	case 1:
	case 2:
	case 3:
		bits = rates[draw() % (sizeof(rates) / sizeof(rates[0]))];
		break;
	default:
		bits = 8000 + draw() % (1ull << (13 + draw() % 26));
	}
	return bits > SLUICE_METER_RATE_MAX ? SLUICE_METER_RATE_MAX : bits;
}

/* Four levels of up to three nodes; leaves may have two rates. Old times are the model's as well. */
static void random_tree(struct pair *pair, uint64_t now_ns)
{
	memset(pair, 0, sizeof(*pair));
	pair->count = 12;
	for (uint32_t i = 0; i < pair->count; i++) {
		uint32_t level = i / 3;
		uint64_t tolerance = draw() % 3 ? SL_METER_TOLERANCE_NS : draw() % (200 * MS);
		uint64_t rate = any_rate(), green = level == 3 && draw() % 2 ? any_rate() : 0;
		uint32_t parent =
			level && draw() % 10 ? (level - 1) * 3 + (uint32_t)(draw() % 3) : SLUICE_NONE;
		uint32_t green_parent = level && draw() % 3 ? (uint32_t)(draw() % 3) : SLUICE_NONE;
		struct sl_meter_settings settings = {.level = (enum sluice_meter_level)(4 - level),
						     .rate = word_of(rate, tolerance),
						     .green_rate = word_of(green, tolerance),
						     .parent = parent,
						     .green_parent = green_parent};
		struct model_meter *model = &pair->model[i];

		sl_meter_start(&host_meters[i], &settings, now_ns);
		model_set(&model->bucket, rate, tolerance, MTU);
		model_set(&model->green, green, tolerance, MTU);
		model->level = settings.level;
		model->parent = parent;
		model->green_parent = green_parent;
	}
}

static uint32_t any_size(void)
{
	switch (draw() % 8) {
	case 0:
		return 28 + (uint32_t)(draw() % 100);
	case 1:
		return 1500 + (uint32_t)(draw() % 64000);
	case 2:
		return 1500;
	default:
		return 28 + (uint32_t)(draw() % 1473);
	}
}

static void a_million_random_arrivals_are_judged_as_the_model_judges_them(void **state)
{
	struct pair pair;
	uint64_t passed = 0, refused = 0;

	(void)state;
	host_before_swap = NULL;
	for (uint32_t run = 0; run < 1000; run++) {
		/* every fourth comes to where 64 bits of ticks end */
		model_ticks now =
			run % 4 ? draw() % (1ull << 60) : ((model_ticks)(1 + run % 40) << 54) - draw() % S;
		uint64_t step = 1ull << (4 + draw() % 24);

		random_tree(&pair, (uint64_t)now);
		for (uint32_t i = 0; i < 1000; i++) {
			uint32_t leaf = draw() % 8 ? 9 + (uint32_t)(draw() % 3) : (uint32_t)(draw() % 12);
			uint32_t bytes = any_size();
			enum sluice_meter_level expected, found;

			now += draw() % step;
			if (draw() % 400 == 0)
				now += draw() % (10 * S);
			expected = model_pass(pair.model, leaf, bytes, 1 + i % 3, now);
			found = meter_pass(leaf, bytes, 1 + i % 3, (uint64_t)now);
			assert_int_equal(found, expected);
			passed += found == SLUICE_METER_PASSED;
			refused += found != SLUICE_METER_PASSED;
		}
		for (uint32_t i = 0; i < pair.count; i++) {
			assert_int_equal(host_meters[i].refused.bytes, pair.model[i].refused_bytes);
			assert_int_equal(host_meters[i].refused.packets, pair.model[i].refused_packets);
			assert_int_equal(host_meters[i].contended, 0);
		}
	}
	/* a comparison that sees one verdict only would compare nothing */
	assert_true(passed > 100000 && refused > 100000);
}

static void at_1_3_times_the_rate_each_window_after_the_burst_passes_the_rate(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		uint64_t window = rates[i] < MBIT ? 200 * S : rates[i] > GBIT ? S / 50 : 2 * S;
		uint64_t word = word_of(rates[i], SL_METER_TOLERANCE_NS);
		uint64_t from = (sluice_meter_tolerance(word) >> 10) * 5, passed = 0, total = 0, now = 0;
		double expected = (double)window / 1e9 * (double)rates[i] / 8;
		unsigned __int128 sent = 0;

		start_tree(rates[i], 0, 0);
		while (now < from + window) {
			uint32_t bytes = rates[i] < MBIT ? 100 : 1500;

			if (pass(0, bytes, START + now) == SLUICE_METER_PASSED) {
				total += bytes;
				if (now >= from)
					passed += bytes;
				/* exactly: total <= B + R * t */
				assert_true((unsigned __int128)total * 8 * S <=
					    (unsigned __int128)sl_meter_burst(word) * 8 * S + 8 * S +
						    (unsigned __int128)rates[i] * now);
			}
			sent += bytes;
			now = (uint64_t)(sent * 8 * S * 10 / (rates[i] * 13));
		}
		assert_in_range(passed, (uint64_t)(expected * 0.998), (uint64_t)(expected * 1.002));
	}
}

/* --- what one level refuses does not use up another ------------------------- */

static uint32_t writes;

static void count_write(__u64 *word)
{
	(void)word;
	writes++;
}

static void a_packet_that_the_ambr_drops_does_not_use_up_its_mbr(void **state)
{
	struct sluice_meter before;

	(void)state;
	start_tree(10 * MBIT, MBIT, 0);
	drain(0, 100, START);
	before = host_meters[0];
	/* not even for a moment, in which others could be refused for it */
	writes = 0;
	host_before_swap = count_write;
	for (int i = 0; i < 10000; i++)
		assert_int_equal(pass(0, 1500, START), SLUICE_METER_SESSION);
	host_before_swap = NULL;
	assert_int_equal(writes, 0);
	assert_memory_equal(&host_meters[0], &before, sizeof(before));
	assert_int_equal(host_meters[1].refused.packets, 10001);
	assert_int_equal(host_meters[1].refused.bytes, 15000100);
}

static uint32_t swaps, inject_at, inject_leaf, inject_bytes;
static uint64_t inject_now, injected_bytes;

/* Another CPU, in the moment before the swap that is named. */
static void inject(__u64 *word)
{
	(void)word;
	if (swaps++ != inject_at)
		return;
	host_before_swap = NULL;
	if (pass(inject_leaf, inject_bytes, inject_now) == SLUICE_METER_PASSED)
		injected_bytes += inject_bytes;
	host_before_swap = inject;
}

static void arm(uint32_t at, uint32_t leaf, uint32_t bytes, uint64_t now_ns)
{
	swaps = 0;
	inject_at = at;
	inject_leaf = leaf;
	inject_bytes = bytes;
	inject_now = now_ns;
	injected_bytes = 0;
	host_before_swap = inject;
}

static void what_was_reserved_is_given_back_when_the_parent_was_filled_meanwhile(void **state)
{
	uint64_t tat;

	(void)state;
	start_tree(10 * MBIT, MBIT, 0);
	start_at(3, SLUICE_METER_RULE, 0, 1, START);
	tat = host_meters[0].tat;
	/* the second swap is the AMBR's: then all of it is taken by another rule */
	arm(1, 3, 6000, START);
	assert_int_equal(pass(0, 1500, START), SLUICE_METER_SESSION);
	host_before_swap = NULL;
	assert_int_equal(injected_bytes, 6000);
	assert_int_equal(host_meters[0].tat, tat);
}

static void nothing_is_given_back_that_another_packet_has_built_on(void **state)
{
	uint64_t late = START + 100 * MS, passed, burst;

	(void)state;
	start_tree(10 * MBIT, MBIT, 0);
	burst = sl_meter_burst(host_meters[0].rate);
	/* a packet is held up after its rule's meter while that empties and another packet fills it */
	arm(1, 0, 6000, late);
	assert_int_equal(pass(0, 1500, START), SLUICE_METER_SESSION);
	host_before_swap = NULL;
	assert_int_equal(injected_bytes, 6000);
	sl_meter_change(&host_meters[1], 0, 0, late);
	passed = injected_bytes + drain(0, 100, late);
	assert_in_range(passed, burst - 100, burst);
}

static void whatever_another_cpu_does_meanwhile_no_meter_passes_more_than_its_burst(void **state)
{
	(void)state;
	for (uint32_t run = 0; run < 20000; run++) {
		uint64_t passed = 0, leaf_passed = 0, hold = draw() % (20 * MS), burst0, burst1;

		start_tree(MBIT + draw() % (9 * MBIT), MBIT + draw() % (3 * MBIT), 0);
		start_at(3, SLUICE_METER_RULE, 0, 1, START);
		burst0 = sl_meter_burst(host_meters[0].rate);
		burst1 = sl_meter_burst(host_meters[1].rate);
		for (uint32_t i = 0; i < 40; i++) {
			uint32_t bytes = 100 + (uint32_t)(draw() % 4000);

			arm((uint32_t)(draw() % 4), draw() % 2 ? 3 : 0, 100 + (uint32_t)(draw() % 4000),
			    START + hold);
			if (pass(0, bytes, START) == SLUICE_METER_PASSED) {
				passed += bytes;
				leaf_passed += bytes;
			}
			passed += injected_bytes;
			if (inject_leaf == 0)
				leaf_passed += injected_bytes;
		}
		host_before_swap = NULL;
		assert_true(leaf_passed <= burst0 + (MBIT * 10 / 8) * hold / S + 1);
		assert_true((unsigned __int128)passed * sluice_meter_cost(host_meters[1].rate) <=
			    ((unsigned __int128)sluice_meter_tolerance(host_meters[1].rate) +
			     sluice_meter_ticks(hold))
				    << 10);
		assert_true(burst1 >= 3000);
	}
}

static void always_faster(__u64 *word)
{
	*word += 1;
}

static void a_packet_that_always_comes_second_is_dropped_and_counted(void **state)
{
	(void)state;
	start_tree(10 * MBIT, 0, 0);
	host_before_swap = always_faster;
	assert_int_equal(pass(0, 1500, START), SLUICE_METER_RULE);
	host_before_swap = NULL;
	assert_int_equal(host_meters[0].contended, 1);
	assert_int_equal(host_meters[0].refused.packets, 1);
	assert_int_equal(host_meters[0].tat, sluice_meter_ticks(START) + SLUICE_METER_TRIES);
	host_meters[0].contended = UINT32_MAX;
	host_before_swap = always_faster;
	assert_int_equal(pass(0, 1500, START), SLUICE_METER_RULE);
	host_before_swap = NULL;
	assert_int_equal(host_meters[0].contended, UINT32_MAX);
}

struct worker {
	pthread_t thread;
	uint32_t leaf;
	uint64_t passed, first, last;
};

static void *work(void *argument)
{
	struct worker *worker = argument;

	for (uint32_t i = 0; i < 150000; i++) {
		uint64_t now = sl_now_ns();

		if (pass(worker->leaf, 64 + i * 7919 % 1400, now) == SLUICE_METER_PASSED) {
			worker->passed += 64 + i * 7919 % 1400;
			worker->last = now;
		}
	}
	return NULL;
}

static void threads_at_once_pass_no_more_than_burst_and_rate(void **state)
{
	struct worker worker[4] = {{.leaf = 0}, {.leaf = 0}, {.leaf = 3}, {.leaf = 3}};
	uint64_t first = sl_now_ns(), last = first, total = 0;

	(void)state;
	start_tree(300 * MBIT, 400 * MBIT, 0);
	start_at(0, SLUICE_METER_RULE, 300 * MBIT, 1, first);
	start_at(1, SLUICE_METER_SESSION, 400 * MBIT, 2, first);
	start_at(3, SLUICE_METER_RULE, 300 * MBIT, 1, first);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&worker[i].thread, NULL, work, &worker[i]), 0);
	for (int i = 0; i < 4; i++) {
		pthread_join(worker[i].thread, NULL);
		total += worker[i].passed;
		last = worker[i].last > last ? worker[i].last : last;
	}
	assert_true((unsigned __int128)total * sluice_meter_cost(host_meters[1].rate) <=
		    ((unsigned __int128)sluice_meter_tolerance(host_meters[1].rate) +
		     sluice_meter_ticks(last - first))
			    << 10);
	assert_true(total >= sl_meter_burst(host_meters[1].rate) / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rate_is_met_within_five_thousandths_of_a_percent_and_never_exceeded),
		cmocka_unit_test(a_tolerance_is_at_least_two_packets),
		cmocka_unit_test(rates_and_tolerances_outside_what_fits_are_refused_by_name),
		cmocka_unit_test(a_million_random_arrivals_are_judged_as_the_model_judges_them),
		cmocka_unit_test(at_1_3_times_the_rate_each_window_after_the_burst_passes_the_rate),
		cmocka_unit_test(a_packet_that_the_ambr_drops_does_not_use_up_its_mbr),
		cmocka_unit_test(what_was_reserved_is_given_back_when_the_parent_was_filled_meanwhile),
		cmocka_unit_test(nothing_is_given_back_that_another_packet_has_built_on),
		cmocka_unit_test(whatever_another_cpu_does_meanwhile_no_meter_passes_more_than_its_burst),
		cmocka_unit_test(a_packet_that_always_comes_second_is_dropped_and_counted),
		cmocka_unit_test(threads_at_once_pass_no_more_than_burst_and_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
