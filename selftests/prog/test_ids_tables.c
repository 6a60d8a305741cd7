// SPDX-License-Identifier: Apache-2.0
/* Tables of keys that have no room: what is full, and what lets in only keys that matter. */
#include <stdio.h>

#include "ids_rig.h"

static void a_full_table_is_counted_and_does_what_the_rule_says(void **state)
{
	enum { KEYS = 4 * RIG_ENTRIES };
	static const uint32_t flags[] = {0, SLUICE_IDS_FULL_CLOSED, SLUICE_IDS_FULL_ALERT};
	struct ids_rig *rig = *state;

	for (size_t i = 0; i < SL_ARRAY_SIZE(flags); i++) {
		struct sluice_ids_rule rule = rig_exact(SLUICE_IDS_CONNECTION, SLUICE_IDS_PACKETS, 1);
		uint32_t dropped = 0, refused;

		rig_reset(state);
		rule.flags = flags[i];
		rig_uplink_rule(rig, &rule);
		for (uint16_t port = 0; port < KEYS; port++)
			dropped += rig_up(rig, RIG_UDP("10.0.0.1", "198.51.100.9", (uint16_t)(1000 + port),
						       53)) != 0;
		refused = (uint32_t)rig_counts(rig, 0).keys_refused;
		assert_in_range(KEYS - refused, RIG_ENTRIES, RIG_ENTRIES * 3 / 2);
		assert_int_equal(rig_table(rig, SLUICE_IDS_TABLE_LOGS).made, KEYS - refused);
		assert_int_equal(rig_table(rig, SLUICE_IDS_TABLE_LOGS).refused, refused);
		assert_int_equal(dropped, flags[i] == SLUICE_IDS_FULL_CLOSED ? refused : 0);
		rig_events(rig);
		assert_int_equal(rig->events, flags[i] == SLUICE_IDS_FULL_ALERT);
		assert_true(!rig->events || rig->event[0].type == SLUICE_IDS_EVENT_FULL);
		/* keys that have a state are judged as ever */
		assert_int_equal(rig_up(rig, RIG_UDP("10.0.0.1", "198.51.100.9", 1000, 53)),
				 SLUICE_DROP_IDS_LIMIT);
	}
}

static void keys_from_outside_get_a_state_when_they_come_to_half_of_the_limit(void **state)
{
	struct ids_rig *rig = *state;
	struct sluice_ids_rule rule = {.track = SLUICE_IDS_SOURCE,
				       .count = SLUICE_IDS_PACKETS,
				       .verdict = SLUICE_IDS_DROP,
				       .sketch = 1,
				       .limit = {rig_bucket(20, S, 20)}};
	struct sluice_ids_match match = rig_match(SLUICE_DOWNLINK);
	char source[32];
	uint32_t passed = 0;

	rig_rule(rig, &rule, &match, 1);
	memset(rig->arrivals, 0, sizeof(*rig->arrivals));
	/* 200 sources with one packet each leave nothing in the table */
	for (int i = 0; i < 200; i++) {
		snprintf(source, sizeof(source), "203.0.113.%d", 1 + i);
		assert_int_equal(rig_down(rig, RIG_UDP(source, "10.0.0.1", 1, 2)), 0);
	}
	assert_int_equal(rig_table(rig, SLUICE_IDS_TABLE_BUCKETS_LRU).made, 0);
	/* one that goes on is limited: half of it passed before it had a state */
	for (int i = 0; i < 100; i++)
		passed += rig_down(rig, RIG_UDP("192.0.2.66", "10.0.0.1", 1, 2)) == 0;
	assert_int_equal(rig_table(rig, SLUICE_IDS_TABLE_BUCKETS_LRU).made, 1);
	assert_in_range(passed, 20, 30);
	/* nobody else is */
	assert_int_equal(rig_down(rig, RIG_UDP("203.0.113.9", "10.0.0.1", 1, 2)), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, rig_reset)
	const struct CMUnitTest tests[] = {
		TEST(a_full_table_is_counted_and_does_what_the_rule_says),
		TEST(keys_from_outside_get_a_state_when_they_come_to_half_of_the_limit),
	};

	return cmocka_run_group_tests(tests, rig_open, rig_close);
}
