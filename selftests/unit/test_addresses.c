// SPDX-License-Identifier: Apache-2.0
/* Which addresses of a redirect server are open, as its answers come and go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "redirect/addresses.h"

#define S 1000000000ull

static struct sl_addresses open;

static struct sl_address v4(uint8_t last)
{
	return (struct sl_address){.family = 4, .bytes = {192, 0, 2, last}};
}

static struct sl_address v6(uint8_t last)
{
	return (struct sl_address){.family = 6, .bytes = {0x20, 0x01, 0x0d, 0xb8, [15] = last}};
}

static bool take(uint64_t now_s, uint64_t hold_s, const struct sl_address *answer, size_t count)
{
	return sl_addresses_take(&open, answer, count, hold_s * S, now_s * S);
}

/* Until when an address is open, in seconds; 0: it is in the answer; -1: closed */
static int64_t until(struct sl_address address)
{
	for (size_t i = 0; i < open.count; i++)
		if (open.address[i].family == address.family &&
		    memcmp(open.address[i].bytes, address.bytes, sizeof(address.bytes)) == 0)
			return (int64_t)(open.held_until_ns[i] / S);
	return -1;
}

static int setup(void **state)
{
	(void)state;
	memset(&open, 0, sizeof(open));
	return 0;
}

static void an_answer_is_open_in_ascending_order_and_the_same_one_changes_nothing(void **state)
{
	const struct sl_address answer[] = {v6(1), v4(9), v4(2), v4(9)};
	const struct sl_address again[] = {v4(2), v4(9), v6(1)};

	(void)state;
	assert_true(take(1, 600, answer, 4));
	assert_int_equal(open.count, 3);
	assert_int_equal(open.address[0].bytes[3], 2);
	assert_int_equal(open.address[1].bytes[3], 9);
	assert_int_equal(open.address[2].family, 6);
	assert_false(take(2, 600, again, 3));
	assert_int_equal(sl_addresses_next_ns(&open), 0);
}

static void what_the_next_answer_has_not_is_held_as_long_as_its_own_answer_said(void **state)
{
	const struct sl_address first[] = {v4(1), v4(2)}, second[] = {v4(2)};

	(void)state;
	take(100, 900, first, 2);
	assert_false(take(200, 600, second, 1));
	assert_int_equal(until(v4(1)), 1100);
	assert_int_equal(until(v4(2)), 0);
	/* not longer by further answers without it */
	assert_false(take(300, 600, second, 1));
	assert_int_equal(until(v4(1)), 1100);
	assert_int_equal(sl_addresses_next_ns(&open), 1100 * S);
}

static void a_held_address_is_closed_when_its_time_is_over_and_not_before(void **state)
{
	const struct sl_address first[] = {v4(1), v4(2)}, second[] = {v4(2)};

	(void)state;
	take(100, 600, first, 2);
	take(200, 600, second, 1);
	assert_false(sl_addresses_expire(&open, 800 * S - 1));
	assert_int_equal(open.count, 2);
	assert_true(sl_addresses_expire(&open, 800 * S));
	assert_int_equal(open.count, 1);
	assert_int_equal(until(v4(2)), 0);
	assert_int_equal(sl_addresses_next_ns(&open), 0);
}

static void an_answer_closes_too_what_was_held_long_enough(void **state)
{
	const struct sl_address first[] = {v4(1)}, second[] = {v4(2)};

	(void)state;
	take(100, 600, first, 1);
	take(200, 600, second, 1);
	assert_true(take(800, 600, second, 1));
	assert_int_equal(until(v4(1)), -1);
}

static void addresses_that_take_turns_stay_open_without_a_change(void **state)
{
	const struct sl_address turns[] = {v4(1), v4(2), v6(3)};

	(void)state;
	for (unsigned int i = 0; i < 3; i++)
		assert_true(take(10 * i, 600, &turns[i], 1));
	for (unsigned int i = 3; i < 300; i++)
		assert_false(take(10 * i, 600, &turns[i % 3], 1));
	assert_int_equal(open.count, 3);
	assert_int_equal(until(turns[299 % 3]), 0);
}

static void new_ones_always_get_in_and_the_oldest_held_one_goes_first(void **state)
{
	(void)state;
	for (uint8_t i = 0; i < 40; i++) {
		const struct sl_address answer = v4(i);

		assert_true(take(10 + i, 600, &answer, 1));
	}
	assert_int_equal(open.count, SL_SERVERS_ADDRESSES);
	assert_int_equal(until(v4(39)), 0);
	assert_int_equal(until(v4(38)), 10 + 39 + 600);
	assert_true(until(v4(40 - SL_SERVERS_ADDRESSES)) > 0);
	assert_int_equal(until(v4(39 - SL_SERVERS_ADDRESSES)), -1);
}

static void an_answer_as_large_as_the_bound_leaves_no_room_for_held_ones(void **state)
{
	struct sl_address answer[SL_SERVERS_ADDRESSES];

	(void)state;
	for (uint8_t i = 0; i < SL_SERVERS_ADDRESSES; i++)
		answer[i] = v6(i);
	take(1, 600, (struct sl_address[]){v4(1)}, 1);
	assert_true(take(2, 600, answer, SL_SERVERS_ADDRESSES));
	assert_int_equal(open.count, SL_SERVERS_ADDRESSES);
	assert_int_equal(until(v4(1)), -1);
	assert_int_equal(until(v6(SL_SERVERS_ADDRESSES - 1)), 0);
}

#define T(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_answer_is_open_in_ascending_order_and_the_same_one_changes_nothing),
		T(what_the_next_answer_has_not_is_held_as_long_as_its_own_answer_said),
		T(a_held_address_is_closed_when_its_time_is_over_and_not_before),
		T(an_answer_closes_too_what_was_held_long_enough),
		T(addresses_that_take_turns_stay_open_without_a_change),
		T(new_ones_always_get_in_and_the_oldest_held_one_goes_first),
		T(an_answer_as_large_as_the_bound_leaves_no_room_for_held_ones),
	};

	return cmocka_run_group_tests_name("addresses", tests, NULL, NULL);
}
