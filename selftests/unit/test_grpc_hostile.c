// SPDX-License-Identifier: Apache-2.0
/* Clients that mean harm, and the bounds that stop them. After each the server serves others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <zlib.h>

#include "api/grpc.h"
#include "echo_service.h"
#include "h2_raw.h"

static struct event_base *base;
static struct sl_grpc_server *server;
static struct echo echo;
static struct h2_raw raw;
static uint16_t port;

static void serve(const struct sl_grpc_limits *limits)
{
	struct sl_error err = {.text = ""};

	assert_int_equal(sl_grpc_server_new(base, limits, &server, &err), 0);
	assert_int_equal(sl_grpc_listen_tcp(server, "127.0.0.1:0", &port, &err), 0);
	assert_int_equal(echo_register(&echo, base, server), 0);
	h2_raw_open(&raw, base, port);
}

static int set_up(void **state)
{
	(void)state;
	base = event_base_new();
	return base ? 0 : -1;
}

static void assert_still_serves(void)
{
	struct h2_raw other;

	h2_raw_open(&other, base, port);
	h2_preface(&other);
	h2_request(&other, 1, H2_END_HEADERS, "/test.Echo/Unary", NULL);
	h2_message(&other, 1, H2_END_STREAM, "good", 4);
	assert_true(h2_until(&other, &other.answers[0].ended));
	assert_int_equal(other.answers[0].status, SL_GRPC_OK);
	h2_raw_close(&other);
}

static int tear_down(void **state)
{
	(void)state;
	assert_still_serves();
	sl_grpc_server_free(server);
	h2_raw_close(&raw);
	event_base_free(base);
	return echo.open == 0 ? 0 : -1;
}

static struct sl_grpc_server_stats stats(void)
{
	struct sl_grpc_server_stats now;

	sl_grpc_server_stats(server, &now);
	return now;
}

static void an_http1_request_closes_the_connection(void **state)
{
	(void)state;
	serve(NULL);
	h2_bytes(&raw, "GET / HTTP/1.1\r\nHost: sluice\r\n\r\n", 32);
	assert_true(h2_until(&raw, &raw.closed));
	assert_true(raw.goaway);
}

static void a_tls_hello_closes_the_connection(void **state)
{
	static const uint8_t hello[64] = {0x16, 3, 1, 0, 59, 1, 0, 0, 55, 3, 3};

	(void)state;
	serve(NULL);
	h2_bytes(&raw, hello, sizeof(hello));
	assert_true(h2_until(&raw, &raw.closed));
}

static void random_frames_do_no_harm(void **state)
{
	uint8_t noise[4096];
	uint32_t seed = 1;

	(void)state;
	serve(NULL);
	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < sizeof(noise); i++) {
			seed = seed * 1664525 + 1013904223;
			noise[i] = (uint8_t)(seed >> 24);
		}
		h2_raw_close(&raw);
		h2_raw_open(&raw, base, port);
		h2_preface(&raw);
		h2_bytes(&raw, noise, sizeof(noise));

		h2_run(&raw, 5);
	}
}

static void headers_above_16_kilobytes_are_answered(void **state)
{
	char value[4001];
	const char *extra[] = {"a", value, "b", value, "c", value, NULL};
	uint8_t more[8192];

	(void)state;
	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	serve(NULL);
	h2_preface(&raw);
	h2_request(&raw, 1, H2_END_STREAM, "/test.Echo/Unary", extra);
	h2_frame(&raw, H2_CONTINUATION, 0, 1, more, h2_literal(more, "d", value));
	h2_frame(&raw, H2_CONTINUATION, H2_END_HEADERS, 1, more, h2_literal(more, "e", value));
	assert_true(h2_until(&raw, &raw.answers[0].ended));
	assert_int_equal(raw.answers[0].status, SL_GRPC_RESOURCE_EXHAUSTED);
	assert_false(raw.closed);
}

static void a_compression_bomb_in_headers_closes_the_connection(void **state)
{
	char value[4001];
	uint8_t block[16384];
	size_t used;

	(void)state;
	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	serve(NULL);
	h2_preface(&raw);
	used = h2_literal(block, "x", value);
	block[0] = 0x40; /* goes into the table, as entry 62 */
	memset(block + used, 0x80 | 62, 5000);
	h2_frame(&raw, H2_HEADERS, H2_END_HEADERS | H2_END_STREAM, 1, block, used + 5000);
	assert_true(h2_until(&raw, &raw.closed));
}

static void a_flood_of_continuations_closes_the_connection(void **state)
{
	uint8_t block[64];
	size_t used = h2_literal(block, "a", "b");

	(void)state;
	serve(NULL);
	h2_preface(&raw);
	h2_request(&raw, 1, 0, "/test.Echo/Unary", NULL);
	for (int i = 0; i < 100; i++)
		h2_frame(&raw, H2_CONTINUATION, 0, 1, block, used);
	assert_true(h2_until(&raw, &raw.closed));
}

static void a_rapid_reset_is_told_to_go(void **state)
{
	(void)state;
	serve(NULL);
	h2_preface(&raw);
	for (uint32_t stream = 1; stream < 2 * 5000; stream += 2) {
		h2_request(&raw, stream, H2_END_HEADERS, "/test.Echo/Never", NULL);
		h2_message(&raw, stream, H2_END_STREAM, "x", 1);
		h2_frame(&raw, H2_RST, 0, stream, "\0\0\0\10", 4);
	}
	assert_true(h2_until(&raw, &raw.closed));
	assert_in_range(stats().calls, 1, 1500);
	assert_int_equal(echo.open, 0);
}

static void a_flood_of_settings_without_reading_closes_the_connection(void **state)
{
	(void)state;
	serve(NULL);
	raw.mute = true;
	h2_preface(&raw);
	for (int i = 0; i < 2000000 / 9; i++)
		h2_frame(&raw, H2_SETTINGS, 0, 0, NULL, 0);
	for (int i = 0; i < 200 && stats().connections > 0; i++) {
		h2_run(&raw, 5);
		/* each batch is acknowledged while the socket takes it; go on until it does not */
		if (raw.out_used == 0) {
			for (int j = 0; j < 100000; j++)
				h2_frame(&raw, H2_SETTINGS, 0, 0, NULL, 0);
		}
	}
	assert_int_equal(stats().connections, 0);
}

static void more_streams_than_allowed_are_refused(void **state)
{
	const struct sl_grpc_limits limits = {.streams = 8};

	(void)state;
	serve(&limits);
	h2_preface(&raw);
	for (uint32_t stream = 1; stream < 2 * 20; stream += 2) {
		h2_request(&raw, stream, H2_END_HEADERS, "/test.Echo/Never", NULL);
		h2_message(&raw, stream, H2_END_STREAM, "x", 1);
	}
	assert_true(h2_until(&raw, &h2_answer(&raw, 39)->reset));
	assert_int_equal(h2_answer(&raw, 39)->reset_code, NGHTTP2_REFUSED_STREAM);
	assert_int_equal(echo.open, 8);
}

static void held_requests_are_bounded_over_all_calls(void **state)
{
	const struct sl_grpc_limits limits = {.held_requests = 40000, .message = 30000};
	static uint8_t half[10005] = {0, 0, 0, 0x75, 0x30}; /* of 30,000 */

	(void)state;
	serve(&limits);
	h2_preface(&raw);
	for (uint32_t stream = 1; stream < 12; stream += 2) {
		h2_request(&raw, stream, H2_END_HEADERS, "/test.Echo/Unary", NULL);
		h2_frame(&raw, H2_DATA, 0, stream, half, sizeof(half));
	}
	assert_true(h2_until(&raw, &h2_answer(&raw, 11)->ended));
	assert_int_equal(h2_answer(&raw, 11)->status, SL_GRPC_RESOURCE_EXHAUSTED);
	assert_false(h2_answer(&raw, 1)->ended);
	/* the memory of calls that end is there again */
	h2_raw_close(&raw);
	h2_raw_open(&raw, base, port);
	h2_preface(&raw);
	h2_request(&raw, 1, H2_END_HEADERS, "/test.Echo/Unary", NULL);
	h2_message(&raw, 1, H2_END_STREAM, half, sizeof(half));
	assert_true(h2_until(&raw, &raw.answers[0].ended));
	assert_int_equal(raw.answers[0].status, SL_GRPC_OK);
}

static void held_responses_are_bounded_over_all_calls(void **state)
{
	const struct sl_grpc_limits limits = {.held_responses = 1000000};

	(void)state;
	serve(&limits);
	h2_preface(&raw);
	for (uint32_t stream = 1; stream < 12; stream += 2) {
		h2_request(&raw, stream, H2_END_HEADERS, "/test.Echo/Grow", NULL);
		h2_message(&raw, stream, H2_END_STREAM, "300000", 6);
	}
	assert_true(h2_until(&raw, &h2_answer(&raw, 11)->ended));
	assert_int_equal(h2_answer(&raw, 11)->status, SL_GRPC_RESOURCE_EXHAUSTED);
	assert_int_equal(h2_answer(&raw, 9)->status, SL_GRPC_RESOURCE_EXHAUSTED);
	assert_int_equal(h2_answer(&raw, 1)->status, -1);
	h2_raw_close(&raw);
	h2_raw_open(&raw, base, port);
}

static void a_list_without_room_for_its_first_message_is_refused_and_not_empty(void **state)
{
	const struct sl_grpc_limits limits = {.held_responses = 1000000};

	(void)state;
	serve(&limits);
	h2_preface(&raw);
	for (uint32_t stream = 1; stream < 8; stream += 2) {
		h2_request(&raw, stream, H2_END_HEADERS, "/test.Echo/Grow", NULL);
		h2_message(&raw, stream, H2_END_STREAM, stream < 7 ? "300000" : "99980", stream < 7 ? 6 : 5);
	}
	h2_request(&raw, 9, H2_END_HEADERS, "/test.Echo/List", NULL);
	h2_message(&raw, 9, H2_END_STREAM, "3", 1);
	assert_true(h2_until(&raw, &h2_answer(&raw, 9)->ended));
	assert_int_equal(h2_answer(&raw, 9)->status, SL_GRPC_RESOURCE_EXHAUSTED);
	h2_raw_close(&raw);
	h2_raw_open(&raw, base, port);
	h2_preface(&raw);
	h2_request(&raw, 1, H2_END_HEADERS, "/test.Echo/List", NULL);
	h2_message(&raw, 1, H2_END_STREAM, "3", 1);
	assert_true(h2_until(&raw, &raw.answers[0].ended));
	assert_int_equal(raw.answers[0].status, SL_GRPC_OK);
}

static void the_queue_of_a_stream_that_nobody_reads_is_bounded(void **state)
{
	static char message[20000];
	const struct sl_grpc_limits limits = {.queue = 4};

	(void)state;
	serve(&limits);
	h2_preface(&raw);
	h2_request(&raw, 1, H2_END_HEADERS, "/test.Echo/Watch", NULL);
	h2_message(&raw, 1, 0, message, 16000);
	h2_frame(&raw, H2_DATA, H2_END_STREAM, 1, NULL, 0);
	for (int i = 0; i < 200 && echo.dropped < 3; i++)
		h2_run(&raw, 10);
	assert_true(echo.dropped >= 3);
	assert_int_equal(stats().dropped_messages, echo.dropped);
	assert_int_equal(raw.answers[0].data, 65535);
}

static void a_count_beyond_the_queue_ends_in_resource_exhausted(void **state)
{
	(void)state;
	serve(NULL);
	h2_preface(&raw);
	h2_request(&raw, 1, H2_END_HEADERS, "/test.Echo/Count", NULL);
	h2_message(&raw, 1, H2_END_STREAM, "65", 2);
	assert_true(h2_until(&raw, &raw.answers[0].ended));
	assert_int_equal(raw.answers[0].status, SL_GRPC_RESOURCE_EXHAUSTED);
	assert_int_equal(stats().dropped_messages, 1);
}

static void the_longest_silent_connection_makes_room(void **state)
{
	const struct sl_grpc_limits limits = {.connections = 4};
	struct h2_raw more[4];

	(void)state;
	serve(&limits);
	h2_preface(&raw);
	h2_request(&raw, 1, H2_END_HEADERS, "/test.Echo/Never", NULL);
	h2_message(&raw, 1, H2_END_STREAM, "x", 1);
	h2_run(&raw, 10);
	for (int i = 0; i < 4; i++) {
		h2_raw_open(&more[i], base, port);
		h2_preface(&more[i]);
		h2_run(&more[i], 10);
	}
	/* the first has a call, so the oldest of those without one goes */
	h2_run(&raw, 10);
	assert_false(raw.closed);
	assert_true(h2_until(&more[0], &more[0].closed));
	h2_run(&more[1], 5);
	assert_false(more[1].closed);
	assert_int_equal(stats().connections, 4);
	for (int i = 0; i < 4; i++)
		h2_raw_close(&more[i]);
}

static void connections_that_come_and_go_leave_nothing(void **state)
{
	(void)state;
	serve(NULL);
	for (int i = 0; i < 200; i++) {
		h2_raw_close(&raw);
		h2_raw_open(&raw, base, port);
		h2_preface(&raw);
		h2_request(&raw, 1, H2_END_HEADERS, i % 2 ? "/test.Echo/Never" : "/test.Echo/Unary", NULL);
		h2_frame(&raw, H2_DATA, 0, 1, "\0\0\0\0\4abcd", i % 2 ? 9 : 7);
		h2_frame(&raw, H2_DATA, i % 2 ? H2_END_STREAM : 0, 1, NULL, 0);
		h2_run(&raw, 1);
	}
	h2_raw_close(&raw);
	h2_raw_open(&raw, base, port);
	h2_run(&raw, 10);
	assert_int_equal(stats().connections, 1);
	assert_int_equal(echo.open, 0);
}

/* A gRPC message with the compressed flag. */
static void send_compressed(const void *bytes, size_t length)
{
	uint8_t prefix[5] = {1, (uint8_t)(length >> 24), (uint8_t)(length >> 16), (uint8_t)(length >> 8),
			     (uint8_t)length};

	h2_frame(&raw, H2_DATA, 0, 1, prefix, sizeof(prefix));
	for (size_t at = 0; at < length; at += 16000)
		h2_frame(&raw, H2_DATA, 0, 1, (const uint8_t *)bytes + at,
			 length - at < 16000 ? length - at : 16000);
	h2_frame(&raw, H2_DATA, H2_END_STREAM, 1, NULL, 0);
}

static void a_bomb_of_zeros_is_refused_at_the_limit(void **state)
{
	static const char *const extra[] = {"grpc-encoding", "deflate", NULL};
	const struct sl_grpc_limits limits = {.message = 100000};
	static uint8_t zeros[1000000], packed[10000];
	uLongf length = sizeof(packed);

	(void)state;
	serve(&limits);
	assert_int_equal(compress(packed, &length, zeros, sizeof(zeros)), Z_OK);
	h2_preface(&raw);
	h2_request(&raw, 1, H2_END_HEADERS, "/test.Echo/Unary", extra);
	send_compressed(packed, length);
	assert_true(h2_until(&raw, &raw.answers[0].ended));
	assert_int_equal(raw.answers[0].status, SL_GRPC_RESOURCE_EXHAUSTED);
	assert_int_equal(echo.calls, 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(an_http1_request_closes_the_connection),
		CASE(a_tls_hello_closes_the_connection),
		CASE(random_frames_do_no_harm),
		CASE(headers_above_16_kilobytes_are_answered),
		CASE(a_compression_bomb_in_headers_closes_the_connection),
		CASE(a_flood_of_continuations_closes_the_connection),
		CASE(a_rapid_reset_is_told_to_go),
		CASE(a_flood_of_settings_without_reading_closes_the_connection),
		CASE(more_streams_than_allowed_are_refused),
		CASE(held_requests_are_bounded_over_all_calls),
		CASE(held_responses_are_bounded_over_all_calls),
		CASE(a_list_without_room_for_its_first_message_is_refused_and_not_empty),
		CASE(the_queue_of_a_stream_that_nobody_reads_is_bounded),
		CASE(a_count_beyond_the_queue_ends_in_resource_exhausted),
		CASE(the_longest_silent_connection_makes_room),
		CASE(connections_that_come_and_go_leave_nothing),
		CASE(a_bomb_of_zeros_is_refused_at_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
