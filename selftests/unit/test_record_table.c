// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "api/convert.h"

static void a_record_says_tx_for_uplink_and_rx_for_downlink(void **state)
{
	const struct sl_usage_record from = {
		.imsi = "001010000000001",
		.rule_id = "first",
		.address = {.family = 4, .bytes = {192, 0, 2, 1}},
		.version = 300,
		.final = true,
		.usage = {.uplink = {.bytes = 1},
			  .downlink = {.bytes = 2},
			  .uplink_dropped = {.bytes = 3},
			  .downlink_dropped = {.bytes = UINT64_MAX}},
	};
	struct sl_record_table table;
	const Magma__Lte__RuleRecord *record;

	(void)state;
	assert_int_equal(sl_record_table_fill(&table, &from, 1, 1700000000), 0);
	assert_int_equal(table.table.epoch, 1700000000);
	assert_int_equal(table.table.n_records, 1);
	record = table.table.records[0];
	assert_string_equal(record->sid, "IMSI001010000000001");
	assert_string_equal(record->rule_id, "first");
	assert_string_equal(record->ue_ipv4, "192.0.2.1");
	assert_string_equal(record->ue_ipv6, "");
	assert_int_equal(record->rule_version, 300);
	assert_true(record->bytes_tx == 1);
	assert_true(record->bytes_rx == 2);
	assert_true(record->dropped_tx == 3);
	assert_true(record->dropped_rx == UINT64_MAX);
	assert_int_equal(record->teid, 0);
	/* no session manager reads it */
	assert_false(record->final_record);
	assert_false(table.table.update_rule_versions);
	sl_record_table_clear(&table);
}

static void a_record_of_an_ipv6_session_has_the_longest_address_whole(void **state)
{
	struct sl_usage_record from = {
		.imsi = "001010000000001", .rule_id = SL_DEFAULT_DROP_RULE, .address = {.family = 6}};
	struct sl_record_table table;
	uint8_t packed[256];

	(void)state;
	for (int i = 0; i < 16; i++)
		from.address.bytes[i] = (uint8_t)(0xf1 + i % 8);
	assert_int_equal(sl_record_table_fill(&table, &from, 1, 0), 0);
	assert_string_equal(table.table.records[0]->ue_ipv6, "f1f2:f3f4:f5f6:f7f8:f1f2:f3f4:f5f6:f7f8");
	assert_string_equal(table.table.records[0]->ue_ipv4, "");
	assert_int_equal(table.table.records[0]->rule_version, 0);
	assert_true(magma__lte__rule_record_table__get_packed_size(&table.table) <= sizeof(packed));
	assert_int_equal(magma__lte__rule_record_table__pack(&table.table, packed),
			 magma__lte__rule_record_table__get_packed_size(&table.table));
	sl_record_table_clear(&table);
}

static void a_table_without_records_still_shows_the_epoch(void **state)
{
	struct sl_record_table table;
	uint8_t packed[8];

	(void)state;
	assert_int_equal(sl_record_table_fill(&table, NULL, 0, 5), 0);
	assert_int_equal(magma__lte__rule_record_table__pack(&table.table, packed), 2);
	assert_memory_equal(packed, "\x10\x05", 2);
	sl_record_table_clear(&table);
}

static void no_record_takes_more_room_than_was_said(void **state)
{
	static const uint64_t counts[] = {0, 1, 127, 128, 16384, 5000000000ull, UINT64_MAX};
	char id[SLUICE_RULE_ID_SIZE];

	(void)state;
	for (int i = 0; i < 2 * 7 * 4; i++) {
		struct sl_usage_record from = {
			.imsi = i % 2 ? "001010000000001" : "001010",
			.rule_id = id,
			.address = {.family = i % 2 ? 4 : 6},
			.version = i % 3 ? UINT32_MAX : 0,
			.usage = {.uplink.bytes = counts[i % 7],
				  .downlink.bytes = counts[(i + 3) % 7],
				  .uplink_dropped.bytes = counts[(i + 5) % 7],
				  .downlink_dropped.bytes = counts[i / 7 % 7]},
		};
		size_t length = (size_t)(i % 4) * 85, said, taken;
		struct sl_record_table table;

		memset(id, 'r', length);
		id[length] = '\0';
		memset(from.address.bytes, 0xff, sizeof(from.address.bytes));
		assert_int_equal(sl_record_table_fill(&table, &from, 1, 0), 0);
		taken = magma__lte__rule_record_table__get_packed_size(&table.table);
		said = sl_record_size(&from);
		sl_record_table_clear(&table);
		/* an empty id is one byte less than it says, a short address some */
		if (said < taken || said > taken + 4)
			fail_msg("record %d: said %zu bytes, takes %zu", i, said, taken);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_says_tx_for_uplink_and_rx_for_downlink),
		cmocka_unit_test(a_record_of_an_ipv6_session_has_the_longest_address_whole),
		cmocka_unit_test(a_table_without_records_still_shows_the_epoch),
		cmocka_unit_test(no_record_takes_more_room_than_was_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
