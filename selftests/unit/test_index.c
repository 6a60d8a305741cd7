// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "datapath/index.h"

#define NONE	  0
#define SIZE	  9 /* eight buckets */
#define ADDRESSES 200

static struct sluice_index4 index4[SIZE];
static struct sluice_index6 index6[SIZE];
static const struct sl_index the_index = {index4, index6, SIZE, SIZE};

static struct sl_address address(uint32_t family, uint8_t number)
{
	if (family == 4)
		return (struct sl_address){4, {10, 0, 0, number}};
	return (struct sl_address){6, {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, number, 1, 2, 3}};
}

/* As packets look: slot + 1. */
static uint32_t find(uint32_t family, uint8_t number)
{
	const struct sl_address wanted = address(family, number);
	uint64_t prefix;
	uint32_t word;

	memcpy(&word, wanted.bytes, sizeof(word));
	memcpy(&prefix, wanted.bytes, sizeof(prefix));
	if (family == 4) {
		const struct sluice_index4 *bucket = &index4[sluice_index4_bucket(word, SIZE - 1)];

		for (int i = 0; i < SLUICE_INDEX4_ENTRIES; i++)
			if ((uint32_t)bucket->entry[i] == word)
				return (uint32_t)(bucket->entry[i] >> 32);
		return NONE;
	}
	for (int i = 0; i < SLUICE_INDEX6_ENTRIES; i++) {
		const struct sluice_index6_entry *entry =
			&index6[sluice_index6_bucket(prefix, SIZE - 1)].entry[i];

		if (entry->prefix == prefix && entry->policy)
			return entry->policy;
	}
	return NONE;
}

static int setup(void **state)
{
	(void)state;
	memset(index4, 0, sizeof(index4));
	memset(index6, 0, sizeof(index6));
	sl_index_clear(&the_index);
	return 0;
}

static void an_address_leads_to_its_policy_until_it_is_removed(void **state)
{
	(void)state;
	assert_int_equal(index4[0].entry[0], SIZE - 1);
	assert_int_equal(index6[0].entry[0].policy, SIZE - 1);
	for (uint32_t family = 4; family <= 6; family += 2) {
		const struct sl_address one = address(family, 1), two = address(family, 2);

		sl_index_remove(&the_index, &one);
		sl_index_set(&the_index, &one, 0);
		sl_index_set(&the_index, &two, 7);
		assert_int_equal(find(family, 1), 1);
		assert_int_equal(find(family, 2), 8);
		sl_index_set(&the_index, &one, 41);
		assert_int_equal(find(family, 1), 42);
		sl_index_remove(&the_index, &one);
		assert_int_equal(find(family, 1), NONE);
		assert_int_equal(find(family, 2), 8);
		sl_index_clear(&the_index);
		assert_int_equal(find(family, 2), NONE);
	}
}

static void what_has_no_room_is_left_out_and_harms_no_other(void **state)
{
	(void)state;
	for (uint32_t family = 4; family <= 6; family += 2) {
		const uint32_t room = 8 * (family == 4 ? SLUICE_INDEX4_ENTRIES : SLUICE_INDEX6_ENTRIES);
		uint32_t found = 0;

		for (uint32_t i = 0; i < ADDRESSES; i++) {
			const struct sl_address one = address(family, (uint8_t)i);

			sl_index_set(&the_index, &one, i);
		}
		for (uint32_t i = 0; i < ADDRESSES; i++) {
			uint32_t policy = find(family, (uint8_t)i);

			assert_true(policy == NONE || policy == i + 1);
			found += policy != NONE;
		}
		assert_true(found > room / 2);
		assert_true(found <= room);
		for (uint32_t i = 0; i < ADDRESSES; i++) {
			const struct sl_address one = address(family, (uint8_t)i);

			sl_index_remove(&the_index, &one);
			assert_int_equal(find(family, (uint8_t)i), NONE);
		}
	}
	/* what counts the buckets is no bucket */
	assert_int_equal(index4[0].entry[0], SIZE - 1);
	assert_int_equal(index6[0].entry[0].policy, SIZE - 1);
}

static void any_sequence_leaves_each_address_with_its_last_policy_or_none(void **state)
{
	uint32_t last[2][ADDRESSES] = {{0}};
	unsigned int seed = 3;

	(void)state;
	for (int step = 0; step < 20000; step++) {
		uint32_t six = (uint32_t)rand_r(&seed) % 2, number = (uint32_t)rand_r(&seed) % ADDRESSES;
		const struct sl_address one = address(six ? 6 : 4, (uint8_t)number);
		uint32_t policy = (uint32_t)rand_r(&seed) % 1000;

		if (rand_r(&seed) % 3) {
			sl_index_set(&the_index, &one, policy);
			last[six][number] = policy + 1;
		} else {
			sl_index_remove(&the_index, &one);
			last[six][number] = NONE;
		}
		if (step % 100)
			continue;
		for (uint32_t i = 0; i < ADDRESSES; i++) {
			for (six = 0; six < 2; six++) {
				policy = find(six ? 6 : 4, (uint8_t)i);
				assert_true(policy == NONE || policy == last[six][i]);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(an_address_leads_to_its_policy_until_it_is_removed, setup),
		cmocka_unit_test_setup(what_has_no_room_is_left_out_and_harms_no_other, setup),
		cmocka_unit_test_setup(any_sequence_leaves_each_address_with_its_last_policy_or_none, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
