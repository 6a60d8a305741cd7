// SPDX-License-Identifier: Apache-2.0
/* How long blocks of who comes back last, against the sentence that says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ids/repeat.h"

#define SECOND 1000000000ull

static struct sl_ids_rule rule_of(double factor, uint32_t jitter)
{
	return (struct sl_ids_rule){.image = {.hard_ns = 120 * SECOND},
				    .repeat_factor = factor,
				    .repeat_max_ns = 3600 * SECOND,
				    .forget_ns = 24 * SL_IDS_HOUR_NS,
				    .jitter_percent = jitter};
}

static void levels(void **state)
{
	static const uint64_t seconds[] = {120, 240, 480, 960, 1920, 3600, 3600};
	struct sl_ids_rule rule = rule_of(2, 0);

	(void)state;
	for (uint32_t level = 0; level < 7; level++)
		assert_int_equal(sl_ids_level_time(&rule, level, 12345), seconds[level] * SECOND);
	/* without overflow, however high */
	assert_int_equal(sl_ids_level_time(&rule, UINT32_MAX, UINT32_MAX), 3600 * SECOND);
	rule.image.hard_ns = 0;
	assert_int_equal(sl_ids_level_time(&rule, 3, 0), 0);
}

static void jitter(void **state)
{
	struct sl_ids_rule rule = rule_of(2, 10);

	(void)state;
	assert_int_equal(sl_ids_level_time(&rule, 0, UINT32_MAX), 120 * SECOND);
	assert_int_equal(sl_ids_level_time(&rule, 1, 0), 216 * SECOND);
	assert_int_equal(sl_ids_level_time(&rule, 1, UINT32_MAX), 264 * SECOND);
	assert_in_range(sl_ids_level_time(&rule, 1, UINT32_MAX / 2), 240 * SECOND - SECOND,
			240 * SECOND + SECOND);
	assert_int_equal(sl_ids_level_time(&rule, 9, UINT32_MAX), 3600 * SECOND);
	assert_int_equal(sl_ids_level_time(&rule, 9, 0), 3240 * SECOND);
}

static void forgetting(void **state)
{
	struct sl_ids_rule rule = rule_of(2, 0);
	const uint64_t day = SL_IDS_DAY_NS;

	(void)state;
	assert_int_equal(sl_ids_level_left(&rule, 3, 0), 3);
	assert_int_equal(sl_ids_level_left(&rule, 3, day - 1), 3);
	assert_int_equal(sl_ids_level_left(&rule, 3, day), 2);
	assert_int_equal(sl_ids_level_left(&rule, 3, 3 * day - 1), 1);
	assert_int_equal(sl_ids_level_left(&rule, 3, 3 * day), 0);
	assert_int_equal(sl_ids_level_left(&rule, 3, UINT64_MAX), 0);
	rule.forget_ns = 1;
	assert_int_equal(sl_ids_level_left(&rule, 3, UINT64_MAX), 0);
	rule.forget_ns = 0;
	assert_int_equal(sl_ids_level_left(&rule, 3, 0), 3);
}

static void differences(void **state)
{
	struct sl_ids_rule rule = rule_of(1, 0);

	(void)state;
	assert_false(sl_ids_rule_repeats(&rule));
	rule = rule_of(1.01, 0);
	assert_true(sl_ids_rule_repeats(&rule));
	rule = rule_of(1, 1);
	assert_true(sl_ids_rule_repeats(&rule));
	rule.image.hard_ns = 0;
	assert_false(sl_ids_rule_repeats(&rule));
}

int main(void)
{
#define TEST(name, function)                     \
	{                                        \
		name, function, NULL, NULL, NULL \
	}
	const struct CMUnitTest tests[] = {
		TEST("each block lasts the factor longer, up to the maximum", levels),
		TEST("jitter moves repeated blocks to both sides, never above the maximum", jitter),
		TEST("a level goes back by one for each quiet time", forgetting),
		TEST("a rule without factor, jitter or hard time does not repeat", differences),
	};

	return cmocka_run_group_tests_name("ids repeat", tests, NULL, NULL);
}
