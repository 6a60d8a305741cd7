// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "qos/pool.h"
#include "sluice/limits.h"

#define FIRST SLUICE_HTB_POOL_MINOR

static struct sl_pool *pool_of(uint32_t size, uint32_t ready)
{
	struct sl_pool *pool = NULL;

	assert_int_equal(sl_pool_new(FIRST, 1, size, &pool), 0);
	for (uint32_t i = 0; i < ready; i++)
		sl_pool_set_ready(pool, (uint16_t)(FIRST + i));
	return pool;
}

static void a_pool_without_classes_is_refused(void **state)
{
	struct sl_pool *pool = NULL;

	(void)state;
	assert_int_equal(sl_pool_new(FIRST, 1, 0, &pool), -EINVAL);
	assert_null(pool);
}

static void a_class_that_is_not_built_cannot_be_taken(void **state)
{
	_cleanup_pool_ struct sl_pool *pool = pool_of(100, 0);
	uint16_t minor = 0;

	(void)state;
	assert_int_equal(sl_pool_take(pool, &minor), -ENOSPC);
	assert_int_equal(minor, 0);
	sl_pool_set_ready(pool, FIRST + 70);
	assert_int_equal(sl_pool_ready(pool), 1);
	assert_int_equal(sl_pool_take(pool, &minor), 0);
	assert_int_equal(minor, FIRST + 70);
	assert_int_equal(sl_pool_take(pool, &minor), -ENOSPC);
}

static void every_class_is_taken_once(void **state)
{
	_cleanup_pool_ struct sl_pool *pool = pool_of(200, 200);
	bool seen[200] = {false};
	uint16_t minor;

	(void)state;
	for (int i = 0; i < 200; i++) {
		assert_int_equal(sl_pool_take(pool, &minor), 0);
		assert_false(seen[minor - FIRST]);
		seen[minor - FIRST] = true;
		assert_int_equal(sl_pool_used(pool), i + 1);
	}
	assert_int_equal(sl_pool_take(pool, &minor), -ENOSPC);
}

static void a_released_class_rests_while_others_are_free(void **state)
{
	_cleanup_pool_ struct sl_pool *pool = pool_of(3, 3);
	uint16_t first, other;

	(void)state;
	assert_int_equal(sl_pool_take(pool, &first), 0);
	sl_pool_release(pool, first);
	assert_false(sl_pool_is_used(pool, first));
	assert_int_equal(sl_pool_take(pool, &other), 0);
	assert_int_not_equal(first, other);
	assert_int_equal(sl_pool_take(pool, &other), 0);
	assert_int_not_equal(first, other);
	assert_int_equal(sl_pool_take(pool, &other), 0);
	assert_int_equal(first, other);
}

static void a_claimed_class_is_not_given_out_and_not_claimed_twice(void **state)
{
	_cleanup_pool_ struct sl_pool *pool = pool_of(4, 4);
	uint16_t minor;

	(void)state;
	assert_int_equal(sl_pool_claim(pool, FIRST + 2), 0);
	assert_int_equal(sl_pool_claim(pool, FIRST + 2), -EEXIST);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(sl_pool_take(pool, &minor), 0);
		assert_int_not_equal(minor, FIRST + 2);
	}
	assert_int_equal(sl_pool_take(pool, &minor), -ENOSPC);
}

static void a_class_with_two_users_is_free_when_both_have_released_it(void **state)
{
	_cleanup_pool_ struct sl_pool *pool = pool_of(1, 1);
	uint16_t minor, other;

	(void)state;
	assert_int_equal(sl_pool_take(pool, &minor), 0);
	sl_pool_share(pool, minor);
	assert_int_equal(sl_pool_users(pool, minor), 2);
	assert_int_equal(sl_pool_used(pool), 1);
	sl_pool_release(pool, minor);
	assert_true(sl_pool_is_used(pool, minor));
	assert_int_equal(sl_pool_take(pool, &other), -ENOSPC);
	sl_pool_release(pool, minor);
	assert_false(sl_pool_is_used(pool, minor));
	assert_int_equal(sl_pool_users(pool, minor), 0);
	assert_int_equal(sl_pool_take(pool, &other), 0);
	assert_int_equal(sl_pool_users(pool, other), 1);
}

static void the_missing_classes_are_told_from_the_lowest_on(void **state)
{
	_cleanup_pool_ struct sl_pool *pool = pool_of(6, 2);
	uint16_t minor[8];

	(void)state;
	sl_pool_set_ready(pool, FIRST + 3);
	assert_int_equal(sl_pool_missing(pool, minor, 2), 2);
	assert_int_equal(minor[0], FIRST + 2);
	assert_int_equal(minor[1], FIRST + 4);
	assert_int_equal(sl_pool_missing(pool, minor, 8), 3);
	assert_int_equal(minor[2], FIRST + 5);
	sl_pool_set_ready(pool, FIRST + 2);
	assert_int_equal(sl_pool_missing(pool, minor, 8), 2);
	assert_int_equal(minor[0], FIRST + 4);
}

static void the_link_and_the_default_class_are_not_of_the_pool(void **state)
{
	_cleanup_pool_ struct sl_pool *pool = pool_of(4, 0);

	(void)state;
	assert_false(sl_pool_holds(pool, 0));
	assert_false(sl_pool_holds(pool, SLUICE_HTB_ROOT_MINOR));
	assert_false(sl_pool_holds(pool, SLUICE_HTB_DEFAULT_MINOR));
	assert_true(sl_pool_holds(pool, FIRST));
	assert_true(sl_pool_holds(pool, FIRST + 3));
	assert_false(sl_pool_holds(pool, FIRST + 4));
}

static void a_pool_of_trees_has_a_class_in_each_unit(void **state)
{
	_cleanup_pool_ struct sl_pool *pool = NULL;
	uint16_t minor[4];

	(void)state;
	assert_int_equal(sl_pool_new(FIRST, 8, 3, &pool), 0);
	assert_int_equal(sl_pool_missing(pool, minor, 4), 3);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(minor[i], FIRST + 8 * i);
		assert_true(sl_pool_holds(pool, minor[i]));
		assert_false(sl_pool_holds(pool, minor[i] + 1));
	}
	assert_false(sl_pool_holds(pool, FIRST + 24));
	assert_false(sl_pool_holds(NULL, FIRST));
	sl_pool_set_ready(pool, FIRST + 16);
	assert_int_equal(sl_pool_take(pool, minor), 0);
	assert_int_equal(minor[0], FIRST + 16);
}

static void what_was_asked_is_forgotten_with_the_last_user(void **state)
{
	_cleanup_pool_ struct sl_pool *pool = pool_of(1, 1);
	uint16_t minor;

	(void)state;
	assert_int_equal(sl_pool_take(pool, &minor), 0);
	sl_pool_set_asked(pool, minor, (struct sl_qos_rates){.gbr = 1, .mbr = 2});
	sl_pool_set_kernel(pool, minor, (struct sl_qos_rates){.gbr = 1, .mbr = 2});
	sl_pool_share(pool, minor);
	sl_pool_release(pool, minor);
	assert_int_equal(sl_pool_asked(pool, minor).gbr, 1);
	sl_pool_release(pool, minor);
	assert_int_equal(sl_pool_asked(pool, minor).mbr, 0);
	assert_int_equal(sl_pool_kernel(pool, minor).mbr, 2);
}

/* --- the forecast --- */

#define MINUTE 60000000000ull
#define START  (1000 * MINUTE)

static uint32_t left_at(struct sl_pool *pool, uint64_t now)
{
	sl_pool_tick(pool, now);
	return sl_pool_seconds_left(pool, now);
}

static void take_at(struct sl_pool *pool, uint64_t now, int count)
{
	uint16_t minor;

	for (int i = 0; i < count; i++) {
		sl_pool_tick(pool, now);
		assert_int_equal(sl_pool_take(pool, &minor), 0);
	}
}

static void a_pool_that_grows_says_when_it_is_full(void **state)
{
	_cleanup_pool_ struct sl_pool *pool = pool_of(1000, 1000);

	(void)state;
	/* what a restart adopts is no growth */
	take_at(pool, START + 1, 400);
	assert_int_equal(left_at(pool, START + 2), UINT32_MAX);
	for (uint64_t i = 1; i <= 5; i++)
		take_at(pool, START + i * MINUTE + 1, 10);
	/* ten a minute since the first minute was over: 550 are left */
	assert_int_equal(left_at(pool, START + 6 * MINUTE), 55 * 60);
}

static void a_pool_that_does_not_grow_is_never_full(void **state)
{
	_cleanup_pool_ struct sl_pool *pool = pool_of(100, 100);

	(void)state;
	take_at(pool, START + 3 * MINUTE, 50);
	assert_int_equal(left_at(pool, START + 4 * MINUTE), UINT32_MAX);
	take_at(pool, START + 5 * MINUTE + 1, 10);
	assert_int_equal(left_at(pool, START + 6 * MINUTE), 4 * 120);
	/* ten minutes later that is long ago */
	assert_int_equal(left_at(pool, START + 16 * MINUTE), UINT32_MAX);
	sl_pool_release(pool, FIRST);
	assert_int_equal(left_at(pool, START + 18 * MINUTE), UINT32_MAX);
}

/* Whoever is warned of little time must not be told that all is well when there is none. */
static void a_full_pool_is_full_however_long_it_has_been(void **state)
{
	_cleanup_pool_ struct sl_pool *pool = pool_of(100, 100);

	(void)state;
	take_at(pool, START, 100);
	assert_int_equal(left_at(pool, START + 1), 0);
	assert_int_equal(left_at(pool, START + 60 * MINUTE), 0);
	sl_pool_release(pool, FIRST);
	assert_int_equal(left_at(pool, START + 61 * MINUTE), UINT32_MAX);
}

static void a_forecast_looks_back_over_a_long_silence(void **state)
{
	_cleanup_pool_ struct sl_pool *pool = pool_of(100, 100);

	(void)state;
	take_at(pool, START, 10);
	take_at(pool, START + 500 * MINUTE, 10);
	assert_int_equal(left_at(pool, START + 501 * MINUTE), 8 * 10 * 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pool_without_classes_is_refused),
		cmocka_unit_test(a_class_that_is_not_built_cannot_be_taken),
		cmocka_unit_test(every_class_is_taken_once),
		cmocka_unit_test(a_released_class_rests_while_others_are_free),
		cmocka_unit_test(a_claimed_class_is_not_given_out_and_not_claimed_twice),
		cmocka_unit_test(a_class_with_two_users_is_free_when_both_have_released_it),
		cmocka_unit_test(the_missing_classes_are_told_from_the_lowest_on),
		cmocka_unit_test(the_link_and_the_default_class_are_not_of_the_pool),
		cmocka_unit_test(a_pool_of_trees_has_a_class_in_each_unit),
		cmocka_unit_test(what_was_asked_is_forgotten_with_the_last_user),
		cmocka_unit_test(a_pool_that_grows_says_when_it_is_full),
		cmocka_unit_test(a_pool_that_does_not_grow_is_never_full),
		cmocka_unit_test(a_full_pool_is_full_however_long_it_has_been),
		cmocka_unit_test(a_forecast_looks_back_over_a_long_silence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
