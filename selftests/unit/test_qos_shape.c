// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "qos/shape.h"

#define GBIT 1000000000ull

static void a_burst_is_2_ms_of_the_rate_but_at_least_two_packets(void **state)
{
	(void)state;
	assert_int_equal(sl_shape_burst(8000, 1500), 3000);
	assert_int_equal(sl_shape_burst(12000000, 1500), 3000);
	assert_int_equal(sl_shape_burst(100000000, 1500), 25000);
	assert_int_equal(sl_shape_burst(400 * GBIT, 1500), 100000000);
	assert_int_equal(sl_shape_burst(100000000, 16000), 32000);
}

static void a_queue_is_20_ms_of_the_rate_but_at_least_ten_packets(void **state)
{
	(void)state;
	assert_int_equal(sl_shape_limit(8000, 1500), 15000);
	assert_int_equal(sl_shape_limit(6000000, 1500), 15000);
	assert_int_equal(sl_shape_limit(10000000, 1500), 25000);
	assert_int_equal(sl_shape_limit(10 * GBIT, 1500), 25000000);
	assert_int_equal(sl_shape_limit(UINT64_MAX, 1500), UINT32_MAX);
}

static void super_packets_are_cut_where_the_queue_cannot_hold_one(void **state)
{
	(void)state;
	assert_int_equal(sl_shape_largest(sl_shape_limit(1000000, 1500), 1500), 1522);
	assert_int_equal(sl_shape_largest(sl_shape_limit(26000000, 1500), 1500), 1522);
	assert_true(sl_shape_largest(sl_shape_limit(27000000, 1500), 1500) > 65536);
	assert_true(sl_shape_largest(sl_shape_limit(8000, 9000), 9000) > 65536);
}

static void the_ticks_of_a_burst_are_64_ns_and_end_at_60_s(void **state)
{
	(void)state;
	assert_int_equal(sl_shape_ticks(25000, 100000000), 2000000 / 64);
	assert_int_equal(sl_shape_ticks(100000000, 400 * GBIT), 2000000 / 64);
	assert_int_equal(sl_shape_ticks(3000, 8000), 3000000000u / 64);
	assert_int_equal(sl_shape_ticks(100000000, 8000), 937500000);
	assert_int_equal(sl_shape_ticks(UINT64_MAX, 8), 937500000);
}

static void bytes_per_second_are_rounded_up_and_never_0(void **state)
{
	(void)state;
	assert_int_equal(sl_shape_bytes_per_second(0), 1);
	assert_int_equal(sl_shape_bytes_per_second(8), 1);
	assert_int_equal(sl_shape_bytes_per_second(9), 2);
	assert_int_equal(sl_shape_bytes_per_second(400 * GBIT), 50 * GBIT);
	assert_int_equal(sl_shape_bytes_per_second(UINT64_MAX), UINT64_MAX / 8 + 1);
}

static void the_tokens_of_all_classes_together_are_a_thousandth_of_the_link_at_most(void **state)
{
	(void)state;
	assert_int_equal(sl_shape_token_rate(100 * GBIT, 4097), 8000);
	assert_int_equal(sl_shape_token_rate(10 * GBIT, 4097), 10000000 / 4097);
	assert_true(sl_shape_token_rate(10 * GBIT, 4097) * 4097 <= 10000000);
	assert_int_equal(sl_shape_token_rate(8000, 32752), 8);
}

static void seven_leaves_of_a_tree_have_less_than_the_lowest_ambr_of_their_own(void **state)
{
	(void)state;
	assert_int_equal(sl_shape_leaf_token_rate(8000), 800);
	assert_true(7 * sl_shape_leaf_token_rate(SL_SHAPE_TOKEN_RATE) < SL_SHAPE_RATE_MIN);
	assert_int_equal(sl_shape_leaf_token_rate(8), 8);
}

static void codel_waits_5_ms_or_a_packet_and_a_half(void **state)
{
	(void)state;
	assert_int_equal(sl_shape_target_us(10 * GBIT, 1500), 5000);
	assert_int_equal(sl_shape_target_us(1000000, 1500), 18000);
	assert_int_equal(sl_shape_target_us(8000, 1500), 1000000);
	assert_int_equal(sl_shape_interval_us(5000), 100000);
}

static void what_an_fq_codel_holds_is_bounded_by_its_rate(void **state)
{
	(void)state;
	/* 0.1 s twice, and twice that for what packets occupy */
	assert_int_equal(sl_shape_codel_memory(100000000, 1500), 5000000);
	assert_int_equal(sl_shape_codel_memory(8000, 1500), 256 << 10);
	assert_int_equal(sl_shape_codel_memory(1000000, 1500), 256 << 10);
	assert_int_equal(sl_shape_codel_memory(10 * GBIT, 1500), 32 << 20);
	assert_int_equal(sl_shape_codel_memory(UINT64_MAX, 65535), 32 << 20);
}

static void every_packet_up_to_the_mtu_counts_its_ip_bytes(void **state)
{
	static const uint32_t mtus[] = {68, 576, 1280, 1400, 1500, 9000, 16000, 65535};
	static struct sl_shape_sizes table;
	struct sl_shape_sizes *sizes = &table;

	(void)state;
	for (unsigned int i = 0; i < sizeof(mtus) / sizeof(mtus[0]); i++) {
		uint32_t exact = mtus[i] < 16000 ? mtus[i] : 15900;

		sl_shape_sizes(mtus[i], 14, sizes);
		assert_int_equal(sizes->overhead, -14);
		assert_true(sizes->cells > 0 && sizes->cells <= SL_SHAPE_SIZES);
		for (uint32_t length = 1; length <= exact; length++)
			assert_int_equal(sl_shape_counted(sizes, length), length);
		/* longer than the table was made for: within 2 % all the same */
		for (uint32_t length = exact; length <= mtus[i]; length++) {
			assert_true(sl_shape_counted(sizes, length) >= length);
			assert_true(sl_shape_counted(sizes, length) * 100ull <= length * 102ull);
		}
	}
}

/* What a super-packet puts on the wire, by the headers each segment repeats. */
static void check_segments(uint32_t mtu, uint32_t header, double low, double high)
{
	static struct sl_shape_sizes table;
	struct sl_shape_sizes *sizes = &table;

	sl_shape_sizes(mtu, 14, sizes);
	for (uint32_t segments = 2; header + segments * (mtu - header) <= 65535; segments++) {
		uint32_t wire = segments * mtu;
		double counted = sl_shape_counted(sizes, header + segments * (mtu - header));

		assert_true(counted >= wire * (1 + low));
		assert_true(counted <= wire * (1 + high));
	}
}

static void a_super_packet_counts_the_headers_of_all_its_segments(void **state)
{
	(void)state;
	check_segments(1500, 52, 0, 0.010); /* exact but for one header in each period of four */
	check_segments(1400, 52, 0, 0.010);
	check_segments(9000, 52, 0, 0.010);
	check_segments(1500, 72, -0.019, 0.010); /* IPv6 */
	check_segments(1500, 28, 0, 0.021);	 /* UDP segmentation */
}

static void a_device_without_a_link_header_takes_nothing_off(void **state)
{
	static struct sl_shape_sizes table;
	struct sl_shape_sizes *sizes = &table;

	(void)state;
	sl_shape_sizes(1500, 0, sizes);
	assert_int_equal(sizes->overhead, 0);
	assert_int_equal(sl_shape_counted(sizes, 1500), 1500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_burst_is_2_ms_of_the_rate_but_at_least_two_packets),
		cmocka_unit_test(a_queue_is_20_ms_of_the_rate_but_at_least_ten_packets),
		cmocka_unit_test(super_packets_are_cut_where_the_queue_cannot_hold_one),
		cmocka_unit_test(the_ticks_of_a_burst_are_64_ns_and_end_at_60_s),
		cmocka_unit_test(bytes_per_second_are_rounded_up_and_never_0),
		cmocka_unit_test(the_tokens_of_all_classes_together_are_a_thousandth_of_the_link_at_most),
		cmocka_unit_test(seven_leaves_of_a_tree_have_less_than_the_lowest_ambr_of_their_own),
		cmocka_unit_test(codel_waits_5_ms_or_a_packet_and_a_half),
		cmocka_unit_test(what_an_fq_codel_holds_is_bounded_by_its_rate),
		cmocka_unit_test(every_packet_up_to_the_mtu_counts_its_ip_bytes),
		cmocka_unit_test(a_super_packet_counts_the_headers_of_all_its_segments),
		cmocka_unit_test(a_device_without_a_link_header_takes_nothing_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
