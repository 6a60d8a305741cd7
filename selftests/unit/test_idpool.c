// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/idpool.h"

static struct sl_idpool *pool_of(uint32_t size)
{
	struct sl_idpool *pool = NULL;

	assert_int_equal(sl_idpool_new(size, &pool), 0);
	return pool;
}

static void free_pool(struct sl_idpool **pool)
{
	sl_idpool_free(*pool);
}

#define _cleanup_pool_ _cleanup_(free_pool)

static uint32_t take(struct sl_idpool *pool, uint32_t count)
{
	uint32_t first;

	assert_int_equal(sl_idpool_take(pool, count, &first), 0);
	return first;
}

static void a_pool_of_nothing_is_refused(void **state)
{
	struct sl_idpool *pool = (struct sl_idpool *)state;

	assert_int_equal(sl_idpool_new(0, &pool), -EINVAL);
	assert_ptr_equal(pool, state);
	sl_idpool_free(NULL);
}

static void every_slot_is_given_once_and_then_no_more(void **state)
{
	static const uint32_t sizes[] = {1, 63, 64, 65, 128, 1000};

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(sizes); i++) {
		_cleanup_pool_ struct sl_idpool *pool = pool_of(sizes[i]);
		uint32_t slot = 12345;

		for (uint32_t n = 0; n < sizes[i]; n++) {
			assert_false(sl_idpool_is_taken(pool, n));
			assert_int_equal(take(pool, 1), n);
			assert_true(sl_idpool_is_taken(pool, n));
		}
		assert_int_equal(sl_idpool_used(pool), sizes[i]);
		assert_int_equal(sl_idpool_size(pool), sizes[i]);
		assert_int_equal(sl_idpool_take(pool, 1, &slot), -ENOSPC);
		assert_int_equal(slot, 12345);
		assert_false(sl_idpool_is_taken(pool, sizes[i]));
	}
}

static void a_run_may_cross_words_but_never_the_end(void **state)
{
	_cleanup_pool_ struct sl_idpool *pool = pool_of(130);
	uint32_t first;

	(void)state;
	assert_int_equal(take(pool, 60), 0);
	assert_int_equal(take(pool, 10), 60);
	assert_int_equal(take(pool, 59), 70);
	/* one slot is left before the end: a run of two would have to wrap */
	sl_idpool_release(pool, 0, 1);
	assert_int_equal(sl_idpool_take(pool, 2, &first), -ENOSPC);
	assert_int_equal(take(pool, 1), 129);
	assert_int_equal(take(pool, 1), 0);
}

static void a_run_of_the_whole_pool_fits_and_one_more_does_not(void **state)
{
	_cleanup_pool_ struct sl_idpool *pool = pool_of(128);
	uint32_t first;

	(void)state;
	assert_int_equal(sl_idpool_take(pool, 129, &first), -ENOSPC);
	assert_int_equal(sl_idpool_take(pool, 0, &first), -ENOSPC);
	assert_int_equal(take(pool, 128), 0);
	sl_idpool_release(pool, 0, 128);
	assert_int_equal(sl_idpool_used(pool), 0);
	assert_int_equal(take(pool, 128), 0);
}

static void the_search_goes_on_from_where_the_last_one_ended(void **state)
{
	_cleanup_pool_ struct sl_idpool *pool = pool_of(8);

	(void)state;
	assert_int_equal(take(pool, 1), 0);
	sl_idpool_release(pool, 0, 1);
	for (uint32_t n = 1; n < 8; n++)
		assert_int_equal(take(pool, 1), n);
	assert_int_equal(take(pool, 1), 0);
}

static void a_run_that_begins_before_the_cursor_may_reach_over_it(void **state)
{
	_cleanup_pool_ struct sl_idpool *pool = pool_of(10);

	(void)state;
	assert_int_equal(take(pool, 6), 0); /* the cursor is 6 */
	sl_idpool_release(pool, 3, 3);
	assert_int_equal(take(pool, 7), 3);
}

static void a_full_word_in_the_way_is_stepped_over_exactly(void **state)
{
	_cleanup_pool_ struct sl_idpool *pool = pool_of(256);

	(void)state;
	assert_int_equal(sl_idpool_claim(pool, 64, 128), 0);
	assert_int_equal(sl_idpool_claim(pool, 10, 1), 0);
	assert_int_equal(take(pool, 53), 11);
	assert_int_equal(take(pool, 64), 192);
	assert_int_equal(take(pool, 10), 0);
	assert_int_equal(sl_idpool_used(pool), 256);
}

static void a_claim_marks_its_slots_or_none(void **state)
{
	_cleanup_pool_ struct sl_idpool *pool = pool_of(100);

	(void)state;
	assert_int_equal(sl_idpool_claim(pool, 90, 10), 0);
	assert_int_equal(sl_idpool_claim(pool, 85, 6), -EEXIST);
	assert_false(sl_idpool_is_taken(pool, 85));
	assert_int_equal(sl_idpool_used(pool), 10);
	assert_int_equal(sl_idpool_claim(pool, 100, 1), -ERANGE);
	assert_int_equal(sl_idpool_claim(pool, 80, 21), -ERANGE);
	assert_int_equal(sl_idpool_claim(pool, 80, UINT32_MAX), -ERANGE);
	assert_int_equal(sl_idpool_claim(pool, UINT32_MAX, 1), -ERANGE);
	assert_int_equal(sl_idpool_used(pool), 10);
	assert_int_equal(take(pool, 90), 0);
}

struct reference {
	bool taken[300];
	uint32_t used;
};

static bool reference_has_run(const struct reference *reference, uint32_t size, uint32_t count)
{
	uint32_t run = 0;

	for (uint32_t slot = 0; slot < size; slot++) {
		run = reference->taken[slot] ? 0 : run + 1;
		if (run == count)
			return true;
	}
	return false;
}

static void reference_set(struct reference *reference, uint32_t first, uint32_t count, bool taken)
{
	for (uint32_t slot = first; slot < first + count; slot++) {
		assert_int_equal(reference->taken[slot], !taken);
		reference->taken[slot] = taken;
	}
	if (taken)
		reference->used += count;
	else
		reference->used -= count;
}

/* A run is found exactly when there is one, and never overlaps what is taken. */
static void random_takes_and_releases_agree_with_a_plain_list(void **state)
{
	unsigned int seed = (unsigned int)time(NULL);

	(void)state;
	if (getenv("SEED"))
		seed = (unsigned int)strtoul(getenv("SEED"), NULL, 10);
	print_message("seed %u (SEED=%u repeats it)\n", seed, seed);
	for (int round = 0; round < 40; round++) {
		uint32_t size = 1 + (uint32_t)rand_r(&seed) % 300;
		_cleanup_pool_ struct sl_idpool *pool = pool_of(size);
		struct reference reference = {.used = 0};

		for (int step = 0; step < 400; step++) {
			uint32_t count = 1 + (uint32_t)rand_r(&seed) % (step % 7 == 0 ? 80 : 5);
			uint32_t first = (uint32_t)rand_r(&seed) % size;

			if (rand_r(&seed) % 5 < 3) {
				int result = sl_idpool_take(pool, count, &first);

				assert_int_equal(result == 0, reference_has_run(&reference, size, count));
				if (result == 0)
					reference_set(&reference, first, count, true);
			} else {
				uint32_t length = 0;

				while (length < count && first + length < size &&
				       reference.taken[first + length])
					length++;
				sl_idpool_release(pool, first, length);
				reference_set(&reference, first, length, false);
			}
			assert_int_equal(sl_idpool_used(pool), reference.used);
		}
		for (uint32_t slot = 0; slot < size; slot++)
			assert_int_equal(sl_idpool_is_taken(pool, slot), reference.taken[slot]);
	}
}

static enum sl_idpool_fit judge_by_list(uint32_t slot, const void *user)
{
	return ((const uint8_t *)user)[slot];
}

static void of_free_slots_the_best_of_the_next_few_is_chosen_and_never_one_that_is_unfit(void **state)
{
	_cleanup_pool_ struct sl_idpool *pool = pool_of(300);
	uint8_t fit[300] = {0};
	uint32_t slot = 12345;

	(void)state;
	assert_int_equal(sl_idpool_choose(pool, judge_by_list, fit, &slot), -ENOSPC);
	assert_int_equal(slot, 12345);
	fit[200] = fit[299] = SL_IDPOOL_FIT;
	assert_int_equal(sl_idpool_choose(pool, judge_by_list, fit, &slot), 0);
	assert_int_equal(slot, 200);
	/* before the cursor, and better than what was seen first */
	fit[10] = SL_IDPOOL_BEST;
	fit[250] = SL_IDPOOL_FIT;
	for (uint32_t taken = 201; taken < 290; taken++)
		if (taken != 250)
			assert_int_equal(sl_idpool_claim(pool, taken, 1), 0);
	assert_int_equal(sl_idpool_choose(pool, judge_by_list, fit, &slot), 0);
	assert_int_equal(slot, 10);
	/* taken, and free again */
	assert_int_equal(sl_idpool_choose(pool, judge_by_list, fit, &slot), 0);
	assert_int_equal(slot, 250);
	sl_idpool_release(pool, 10, 1);
	assert_int_equal(sl_idpool_choose(pool, judge_by_list, fit, &slot), 0);
	assert_int_equal(slot, 10);
	assert_int_equal(sl_idpool_choose(pool, judge_by_list, fit, &slot), 0);
	assert_int_equal(slot, 299);
	/* what is further off than the number of choices is not looked for */
	fit[3] = SL_IDPOOL_FIT;
	fit[3 + SL_IDPOOL_CHOICES + 1] = SL_IDPOOL_BEST;
	assert_int_equal(sl_idpool_choose(pool, judge_by_list, fit, &slot), 0);
	assert_int_equal(slot, 3);
}

static void the_next_taken_slot_is_found_and_none_beyond_the_end(void **state)
{
	_cleanup_pool_ struct sl_idpool *pool = pool_of(200);
	const uint32_t taken[] = {0, 63, 64, 130, 199};
	uint32_t slot = 0;

	(void)state;
	assert_int_equal(sl_idpool_next(pool, 0), 200);
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		assert_int_equal(sl_idpool_claim(pool, taken[i], 1), 0);
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		slot = sl_idpool_next(pool, slot);
		assert_int_equal(slot, taken[i]);
		slot++;
	}
	assert_int_equal(sl_idpool_next(pool, 200), 200);
	sl_idpool_release(pool, 199, 1);
	assert_int_equal(sl_idpool_next(pool, 131), 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pool_of_nothing_is_refused),
		cmocka_unit_test(every_slot_is_given_once_and_then_no_more),
		cmocka_unit_test(a_run_may_cross_words_but_never_the_end),
		cmocka_unit_test(a_run_of_the_whole_pool_fits_and_one_more_does_not),
		cmocka_unit_test(the_search_goes_on_from_where_the_last_one_ended),
		cmocka_unit_test(a_run_that_begins_before_the_cursor_may_reach_over_it),
		cmocka_unit_test(a_full_word_in_the_way_is_stepped_over_exactly),
		cmocka_unit_test(a_claim_marks_its_slots_or_none),
		cmocka_unit_test(random_takes_and_releases_agree_with_a_plain_list),
		cmocka_unit_test(
			of_free_slots_the_best_of_the_next_few_is_chosen_and_never_one_that_is_unfit),
		cmocka_unit_test(the_next_taken_slot_is_found_and_none_beyond_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
