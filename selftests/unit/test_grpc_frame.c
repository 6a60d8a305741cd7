// SPDX-License-Identifier: Apache-2.0
/* Messages out of bytes, and the small grammars of status texts and timeouts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <zlib.h>

#include "api/grpc_frame.h"
#include "api/grpc_status.h"

#define LIMIT 100000

static struct sl_budget budget;
static struct sl_frame_reader reader;

static int set_up(void **state)
{
	(void)state;
	budget = (struct sl_budget){.limit = 10 * LIMIT};
	sl_frame_reader_init(&reader, &budget, LIMIT);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	sl_frame_reader_reset(&reader);
	return budget.used == 0 ? 0 : -1;
}

static size_t frame(uint8_t *out, uint8_t flag, const void *message, size_t length)
{
	sl_frame_prefix(out, (uint32_t)length);
	out[0] = flag;
	memcpy(out + SL_FRAME_PREFIX, message, length);
	return SL_FRAME_PREFIX + length;
}

static size_t pack(uint8_t *out, size_t room, const void *bytes, size_t length, int window_bits)
{
	z_stream stream = {.next_in = (void *)bytes, .avail_in = (uInt)length};

	assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
	stream.next_out = out;
	stream.avail_out = (uInt)room;
	assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
	deflateEnd(&stream);
	return stream.total_out;
}

static void a_message_is_found_at_every_split(void **state)
{
	uint8_t bytes[64];
	size_t length = frame(bytes, 0, "sixteen bytes :)", 16), taken;

	(void)state;
	for (size_t cut = 0; cut < length; cut++) {
		assert_int_equal(sl_frame_read(&reader, bytes, cut, &taken), SL_FRAME_MORE);
		assert_int_equal(taken, cut);
		assert_int_equal(sl_frame_read(&reader, bytes + cut, length - cut, &taken), SL_FRAME_MESSAGE);
		assert_int_equal(taken, length - cut);
		assert_int_equal(reader.used, 16);
		assert_memory_equal(reader.message, "sixteen bytes :)", 16);
		sl_frame_reader_reset(&reader);
		assert_true(sl_frame_reader_is_empty(&reader));
	}
}

static void bytes_of_the_next_message_are_left(void **state)
{
	uint8_t bytes[64];
	size_t length = frame(bytes, 0, "one", 3), taken;

	(void)state;
	length += frame(bytes + length, 0, "three", 5);
	assert_int_equal(sl_frame_read(&reader, bytes, length, &taken), SL_FRAME_MESSAGE);
	assert_int_equal(taken, 8);
	sl_frame_reader_reset(&reader);
	assert_int_equal(sl_frame_read(&reader, bytes + 8, length - 8, &taken), SL_FRAME_MESSAGE);
	assert_memory_equal(reader.message, "three", 5);
}

static void a_message_of_no_bytes_is_a_message(void **state)
{
	size_t taken;

	(void)state;
	assert_int_equal(sl_frame_read(&reader, (const uint8_t *)"\0\0\0\0\0", 5, &taken), SL_FRAME_MESSAGE);
	assert_int_equal(reader.used, 0);
}

static void memory_is_taken_as_bytes_come_and_not_as_announced(void **state)
{
	size_t taken;

	(void)state;
	/* 65,536 announced, one byte sent */
	assert_int_equal(sl_frame_read(&reader, (const uint8_t *)"\0\0\1\0\0x", 6, &taken), SL_FRAME_MORE);
	assert_in_range(budget.used, 1, 4096);
}

static void a_length_above_the_limit_is_refused(void **state)
{
	size_t taken;

	(void)state;
	assert_int_equal(sl_frame_read(&reader, (const uint8_t *)"\0\377\377\377\377", 5, &taken),
			 SL_FRAME_FAILED);
	assert_int_equal(reader.status, SL_GRPC_RESOURCE_EXHAUSTED);
	assert_non_null(strstr(reader.text, "100000"));
}

static void a_spent_budget_is_refused_and_given_back(void **state)
{
	static uint8_t bytes[SL_FRAME_PREFIX + 50000];
	struct sl_frame_reader other;
	size_t taken;

	(void)state;
	budget.limit = 60000;
	sl_frame_prefix(bytes, 50000);
	sl_frame_reader_init(&other, &budget, LIMIT);
	assert_int_equal(sl_frame_read(&other, bytes, sizeof(bytes), &taken), SL_FRAME_MESSAGE);
	assert_int_equal(sl_frame_read(&reader, bytes, sizeof(bytes), &taken), SL_FRAME_FAILED);
	assert_int_equal(reader.status, SL_GRPC_RESOURCE_EXHAUSTED);
	sl_frame_reader_reset(&other);
	assert_int_equal(budget.used, 0);
}

static void a_budget_does_not_wrap(void **state)
{
	struct sl_budget small = {.used = 10, .limit = 100};

	(void)state;
	assert_int_equal(sl_budget_take(&small, SIZE_MAX - 5), -ENOMEM);
	assert_int_equal(sl_budget_take(&small, 91), -ENOMEM);
	assert_int_equal(sl_budget_take(&small, 90), 0);
	assert_int_equal(small.used, 100);
}

static void an_unknown_flag_is_refused(void **state)
{
	size_t taken;

	(void)state;
	assert_int_equal(sl_frame_read(&reader, (const uint8_t *)"\2\0\0\0\1x", 6, &taken), SL_FRAME_FAILED);
	assert_int_equal(reader.status, SL_GRPC_INTERNAL);
}

static void a_compressed_message_needs_an_encoding(void **state)
{
	size_t taken;

	(void)state;
	assert_int_equal(sl_frame_read(&reader, (const uint8_t *)"\1\0\0\0\1x", 6, &taken), SL_FRAME_FAILED);
	assert_int_equal(reader.status, SL_GRPC_INTERNAL);
}

/* Packs `length` bytes, reads them back and returns the result. */
static enum sl_frame_result through(enum sl_frame_encoding encoding, size_t length)
{
	static uint8_t plain[2 * LIMIT], packed[2 * LIMIT], bytes[2 * LIMIT + SL_FRAME_PREFIX];
	size_t size, taken;

	for (size_t i = 0; i < length; i++)
		plain[i] = (uint8_t)(i / 100);
	size = pack(packed, sizeof(packed), plain, length, encoding == SL_FRAME_GZIP ? 31 : 15);
	reader.encoding = encoding;
	size = frame(bytes, 1, packed, size);
	return sl_frame_read(&reader, bytes, size, &taken);
}

static void gzip_and_deflate_are_unpacked(void **state)
{
	(void)state;
	assert_int_equal(through(SL_FRAME_GZIP, 50000), SL_FRAME_MESSAGE);
	assert_int_equal(reader.used, 50000);
	assert_int_equal(reader.message[49999], (49999 / 100) & 255);
	sl_frame_reader_reset(&reader);
	assert_int_equal(through(SL_FRAME_DEFLATE, 1), SL_FRAME_MESSAGE);
	assert_int_equal(reader.used, 1);
}

static void the_limit_holds_for_what_is_unpacked(void **state)
{
	(void)state;
	assert_int_equal(through(SL_FRAME_GZIP, LIMIT), SL_FRAME_MESSAGE);
	assert_int_equal(reader.used, LIMIT);
	sl_frame_reader_reset(&reader);
	assert_int_equal(through(SL_FRAME_GZIP, LIMIT + 1), SL_FRAME_FAILED);
	assert_int_equal(reader.status, SL_GRPC_RESOURCE_EXHAUSTED);
}

static void the_budget_holds_for_what_is_unpacked(void **state)
{
	(void)state;
	budget.limit = 20000;
	assert_int_equal(through(SL_FRAME_GZIP, 50000), SL_FRAME_FAILED);
	assert_int_equal(reader.status, SL_GRPC_RESOURCE_EXHAUSTED);
	assert_int_equal(budget.used, 0);
}

static void broken_compressed_data_is_refused(void **state)
{
	uint8_t packed[128], bytes[256];
	size_t length = pack(packed, sizeof(packed), "hello hello hello", 17, 31), size, taken;

	(void)state;
	reader.encoding = SL_FRAME_GZIP;
	/* cut anywhere, damaged in the checksum, or with something behind it */
	for (size_t cut = 0; cut < length; cut++) {
		size = frame(bytes, 1, packed, cut);
		assert_int_equal(sl_frame_read(&reader, bytes, size, &taken), SL_FRAME_FAILED);
		assert_int_equal(reader.status, SL_GRPC_INTERNAL);
	}
	packed[length - 8] ^= 1;
	size = frame(bytes, 1, packed, length);
	assert_int_equal(sl_frame_read(&reader, bytes, size, &taken), SL_FRAME_FAILED);
	packed[length - 8] ^= 1;
	packed[length] = 'x';
	size = frame(bytes, 1, packed, length + 1);
	assert_int_equal(sl_frame_read(&reader, bytes, size, &taken), SL_FRAME_FAILED);
	size = frame(bytes, 1, packed, length);
	assert_int_equal(sl_frame_read(&reader, bytes, size, &taken), SL_FRAME_MESSAGE);
}

static void texts_come_back_from_percent_encoding(void **state)
{
	const char *text = "a% \n \xc3\xbc ~";
	char encoded[SL_GRPC_ENCODED_SIZE], decoded[64];

	(void)state;
	assert_int_equal(sl_grpc_percent_encode(text, encoded), 17);
	assert_string_equal(encoded, "a%25 %0A %C3%BC ~");
	sl_grpc_percent_decode((const uint8_t *)encoded, strlen(encoded), decoded, sizeof(decoded));
	assert_string_equal(decoded, text);
}

static void a_long_text_is_cut_between_characters(void **state)
{
	char text[SL_GRPC_TEXT_MAX + 2], encoded[SL_GRPC_ENCODED_SIZE];

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text + SL_GRPC_TEXT_MAX - 1, "\xc3\xbc", 3);
	assert_int_equal(sl_grpc_percent_encode(text, encoded), SL_GRPC_TEXT_MAX - 1);
	memset(text, '\xc3', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(sl_grpc_percent_encode(text, encoded), 3 * SL_GRPC_TEXT_MAX);
}

static void broken_percent_escapes_stay_as_they_are(void **state)
{
	char decoded[16];

	(void)state;
	sl_grpc_percent_decode((const uint8_t *)"%zz%4", 5, decoded, sizeof(decoded));
	assert_string_equal(decoded, "%zz%4");
	sl_grpc_percent_decode((const uint8_t *)"a%00b", 5, decoded, sizeof(decoded));
	assert_string_equal(decoded, "a?b");
	sl_grpc_percent_decode((const uint8_t *)"0123456789", 10, decoded, 4);
	assert_string_equal(decoded, "012");
}

static void timeouts_are_read_in_all_units(void **state)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} cases[] = {
		{"2H", 7200000}, {"3M", 180000},
		{"4S", 4000},	 {"5m", 5},
		{"1u", 1},	 {"1001u", 2},
		{"1n", 1},	 {"0n", 0},
		{"1000001n", 2}, {"99999999H", 359999996400000},
	};
	static const char *const bad[] = {"",	  "1",	 "H",  "123456789S", "-1S",
					  "1.5S", "1 S", "1s", " 1S",	     "0x1S"};
	uint64_t ms;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(
			sl_grpc_parse_timeout((const uint8_t *)cases[i].text, strlen(cases[i].text), &ms), 0);
		assert_int_equal(ms, cases[i].ms);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(sl_grpc_parse_timeout((const uint8_t *)bad[i], strlen(bad[i]), &ms),
				 -EINVAL);
}

static void statuses_follow_from_other_layers_codes(void **state)
{
	(void)state;
	assert_int_equal(sl_grpc_status_from_http(404), SL_GRPC_UNIMPLEMENTED);
	assert_int_equal(sl_grpc_status_from_http(503), SL_GRPC_UNAVAILABLE);
	assert_int_equal(sl_grpc_status_from_http(418), SL_GRPC_UNKNOWN);
	assert_int_equal(sl_grpc_status_from_h2(NGHTTP2_REFUSED_STREAM), SL_GRPC_UNAVAILABLE);
	assert_int_equal(sl_grpc_status_from_h2(NGHTTP2_PROTOCOL_ERROR), SL_GRPC_INTERNAL);
	assert_string_equal(sl_grpc_status_name(SL_GRPC_UNAUTHENTICATED), "UNAUTHENTICATED");
	assert_string_equal(sl_grpc_status_name((enum sl_grpc_status)17), "UNKNOWN");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(a_message_is_found_at_every_split),
		CASE(bytes_of_the_next_message_are_left),
		CASE(a_message_of_no_bytes_is_a_message),
		CASE(memory_is_taken_as_bytes_come_and_not_as_announced),
		CASE(a_length_above_the_limit_is_refused),
		CASE(a_spent_budget_is_refused_and_given_back),
		CASE(a_budget_does_not_wrap),
		CASE(an_unknown_flag_is_refused),
		CASE(a_compressed_message_needs_an_encoding),
		CASE(gzip_and_deflate_are_unpacked),
		CASE(the_limit_holds_for_what_is_unpacked),
		CASE(the_budget_holds_for_what_is_unpacked),
		CASE(broken_compressed_data_is_refused),
		CASE(texts_come_back_from_percent_encoding),
		CASE(a_long_text_is_cut_between_characters),
		CASE(broken_percent_escapes_stay_as_they_are),
		CASE(timeouts_are_read_in_all_units),
		CASE(statuses_follow_from_other_layers_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
