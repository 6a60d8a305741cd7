// SPDX-License-Identifier: Apache-2.0
#include "qos/shape.h"

#define BURST_PER_SECOND 500u /* 2 ms */
#define QUEUE_PER_SECOND 50u  /* 20 ms */
#define TICK_NS		 64u  /* PSCHED_SHIFT 6, the same on every kernel since 2.6.31 */
#define TICKS_MAX	 (60ull * 1000000000u / TICK_NS)

#define TOKENS_SHARE  1000u /* of the link: what all tokens together may be */
#define LEAF_TOKEN    10u   /* 7 leaves x 8,000 / 10 < 8,000 */
#define TARGET_US     5000u
#define INTERVALS     20u
#define TARGET_MAX_US 1000000u

#define CODEL_MEMORY_MIN (256u << 10)
#define CODEL_MEMORY_MAX (32u << 20)

#define SUPER_PACKET 65536u
#define WHOLE	     (1u << 20) /* above any super-packet: the kernel's bound is 512 KiB */
#define FRAME_HEADER 22u	/* Ethernet and two VLAN tags */

#define SEGMENT_HEADER 52u    /* IPv4 20, TCP 20, timestamps 12 */
#define TAIL	       100u   /* a rest this short comes from larger segments (UDP, fewer options) */
#define SEGMENTS_MAX   4u     /* of one period of the table */
#define MTU_MIN	       576u   /* below, a table of at least this */
#define MTU_MAX	       16000u /* above, longer packets count as super-packets: 0.3 % too much */

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

uint64_t sl_shape_token_rate(uint64_t link_rate, uint32_t classes)
{
	uint64_t share = link_rate / TOKENS_SHARE / larger(classes, 1);

	if (share > SL_SHAPE_TOKEN_RATE)
		return SL_SHAPE_TOKEN_RATE;
	return larger(share, 8);
}

uint64_t sl_shape_leaf_token_rate(uint64_t token_rate)
{
	return larger(token_rate / LEAF_TOKEN, 8);
}

uint32_t sl_shape_target_us(uint64_t rate, uint32_t mtu)
{
	uint64_t target = larger(TARGET_US, 12000000ull * mtu / larger(rate, 1));

	return target > TARGET_MAX_US ? TARGET_MAX_US : (uint32_t)target;
}

uint32_t sl_shape_interval_us(uint32_t target_us)
{
	return target_us * INTERVALS;
}

uint32_t sl_shape_codel_memory(uint64_t rate, uint32_t mtu)
{
	uint64_t interval = sl_shape_interval_us(sl_shape_target_us(rate, mtu));
	unsigned __int128 bytes = (unsigned __int128)rate * interval / 8000000u * 4;

	return bytes > CODEL_MEMORY_MAX ? CODEL_MEMORY_MAX
					: (uint32_t)larger((uint64_t)bytes, CODEL_MEMORY_MIN);
}

uint64_t sl_shape_bytes_per_second(uint64_t rate)
{
	return larger(rate / 8 + (rate % 8 != 0), 1);
}

uint64_t sl_shape_burst(uint64_t rate, uint32_t mtu)
{
	return larger(2ull * mtu, rate / 8 / BURST_PER_SECOND);
}

uint32_t sl_shape_limit(uint64_t rate, uint32_t mtu)
{
	uint64_t limit = larger(10ull * mtu, rate / 8 / QUEUE_PER_SECOND);

	return limit > UINT32_MAX ? UINT32_MAX : (uint32_t)limit;
}

uint32_t sl_shape_largest(uint32_t limit, uint32_t mtu)
{
	return limit < SUPER_PACKET ? mtu + FRAME_HEADER : WHOLE;
}

uint32_t sl_shape_ticks(uint64_t bytes, uint64_t rate)
{
	unsigned __int128 ns = (unsigned __int128)bytes * 1000000000u / sl_shape_bytes_per_second(rate);
	unsigned __int128 ticks = ns / TICK_NS;

	return ticks > TICKS_MAX ? TICKS_MAX : (uint32_t)ticks;
}

void sl_shape_sizes(uint32_t mtu, uint32_t link_header, struct sl_shape_sizes *out)
{
	uint32_t payload, segments;

	if (mtu < MTU_MIN)
		mtu = MTU_MIN;
	if (mtu > MTU_MAX)
		mtu = MTU_MAX;
	payload = mtu - SEGMENT_HEADER;
	segments = SL_SHAPE_SIZES / payload;
	if (segments > SEGMENTS_MAX)
		segments = SEGMENTS_MAX;

	out->overhead = -(int)link_header;
	out->cells = segments * payload;
	for (uint32_t length = 0; length < out->cells; length++) {
		uint32_t more = length > mtu + TAIL ? (length - SEGMENT_HEADER - TAIL - 1) / payload : 0;

		out->entry[length] = (uint16_t)(length + more * SEGMENT_HEADER);
	}
	out->entry[out->cells - 1] = (uint16_t)(segments * mtu);
}

uint32_t sl_shape_counted(const struct sl_shape_sizes *sizes, uint32_t length)
{
	if (length < sizes->cells)
		return sizes->entry[length];
	return sizes->entry[sizes->cells - 1] * (length / sizes->cells) + sizes->entry[length % sizes->cells];
}
