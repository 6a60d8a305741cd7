// SPDX-License-Identifier: Apache-2.0
/* The gRPC server as seen by a client that builds its frames by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

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

static int tear_down(void **state)
{
	(void)state;
	if (server)
		sl_grpc_server_free(server);
	server = NULL;
	h2_raw_close(&raw);
	event_base_free(base);
	/* whatever ended the calls, their handlers were told */
	return echo.open == 0 ? 0 : -1;
}

static struct sl_grpc_server_stats stats(void)
{
	struct sl_grpc_server_stats now;

	sl_grpc_server_stats(server, &now);
	return now;
}

/* One request on stream 1 with one message and the end of the stream; waits for the end of the answer. */
static struct h2_answer *ask(const char *path, const char *const *extra, const void *message, size_t length)
{
	h2_preface(&raw);
	h2_request(&raw, 1, H2_END_HEADERS, path, extra);
	h2_message(&raw, 1, H2_END_STREAM, message, length);
	assert_true(h2_until(&raw, &raw.answers[0].ended));
	return &raw.answers[0];
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

/* --- requests ------------------------------------------------------------ */

static void a_whole_request_is_answered(void **state)
{
	struct h2_answer *answer;

	(void)state;
	serve(NULL);
	answer = ask("/test.Echo/Unary", NULL, "hello", 5);
	assert_int_equal(answer->http, 200);
	assert_int_equal(answer->status, SL_GRPC_OK);
	assert_int_equal(answer->data, 5 + 5);
	assert_false(answer->reset);
	assert_int_equal(stats().calls, 1);
	assert_int_equal(stats().failed, 0);
}

static void a_request_in_single_bytes_is_put_together(void **state)
{
	static const uint8_t message[] = {0, 0, 0, 0, 3, 'a', 'b', 'c'};

	(void)state;
	serve(NULL);
	h2_preface(&raw);
	h2_request(&raw, 1, H2_END_HEADERS, "/test.Echo/Unary", NULL);
	for (size_t i = 0; i < sizeof(message); i++) {
		h2_frame(&raw, H2_DATA, i == sizeof(message) - 1 ? H2_END_STREAM : 0, 1, message + i, 1);
		h2_run(&raw, 1);
	}
	assert_true(h2_until(&raw, &raw.answers[0].ended));
	assert_int_equal(raw.answers[0].status, SL_GRPC_OK);
	assert_int_equal(echo.last_length, 3);
}

static void another_method_than_post_is_http_405(void **state)
{
	static const char *const extra[] = {":method", "GET", NULL};

	(void)state;
	serve(NULL);
	assert_int_equal(ask("/test.Echo/Unary", extra, "x", 1)->http, 405);
	assert_int_equal(stats().refused, 1);
	assert_int_equal(echo.calls, 0);
}

static void another_content_type_is_http_415(void **state)
{
	static const char *const extra[] = {"content-type", "application/grpcx", NULL};

	(void)state;
	serve(NULL);
	assert_int_equal(ask("/test.Echo/Unary", extra, "x", 1)->http, 415);
	assert_int_equal(echo.calls, 0);
}

static void a_content_type_with_a_subtype_is_taken(void **state)
{
	static const char *const extra[] = {"content-type", "application/grpc+proto", NULL};

	(void)state;
	serve(NULL);
	assert_int_equal(ask("/test.Echo/Unary", extra, "x", 1)->status, SL_GRPC_OK);
}

static void an_unknown_method_is_unimplemented_and_named(void **state)
{
	struct h2_answer *answer;

	(void)state;
	serve(NULL);
	answer = ask("/test.Echo/Nothing", NULL, "x", 1);
	assert_int_equal(answer->status, SL_GRPC_UNIMPLEMENTED);
	assert_string_equal(answer->text, "unknown method /test.Echo/Nothing");
}

static void a_request_without_a_message_is_internal(void **state)
{
	(void)state;
	serve(NULL);
	h2_preface(&raw);
	h2_request(&raw, 1, H2_END_HEADERS | H2_END_STREAM, "/test.Echo/Unary", NULL);
	assert_true(h2_until(&raw, &raw.answers[0].ended));
	assert_int_equal(raw.answers[0].status, SL_GRPC_INTERNAL);
}

static void a_request_that_ends_inside_its_message_is_internal(void **state)
{
	(void)state;
	serve(NULL);
	h2_preface(&raw);
	h2_request(&raw, 1, H2_END_HEADERS, "/test.Echo/Unary", NULL);
	h2_frame(&raw, H2_DATA, H2_END_STREAM, 1, "\0\0\0\0\4abc", 8);
	assert_true(h2_until(&raw, &raw.answers[0].ended));
	assert_int_equal(raw.answers[0].status, SL_GRPC_INTERNAL);
	assert_int_equal(echo.calls, 0);
}

static void a_second_message_on_a_unary_call_is_unimplemented(void **state)
{
	(void)state;
	serve(NULL);
	h2_preface(&raw);
	h2_request(&raw, 1, H2_END_HEADERS, "/test.Echo/Unary", NULL);
	h2_message(&raw, 1, 0, "one", 3);
	h2_message(&raw, 1, H2_END_STREAM, "two", 3);
	assert_true(h2_until(&raw, &raw.answers[0].ended));
	assert_int_equal(raw.answers[0].status, SL_GRPC_UNIMPLEMENTED);
	assert_int_equal(echo.calls, 0);
}

static void a_message_above_the_limit_is_refused_on_its_prefix(void **state)
{
	const struct sl_grpc_limits limits = {.message = 1000};

	(void)state;
	serve(&limits);
	h2_preface(&raw);
	h2_request(&raw, 1, H2_END_HEADERS, "/test.Echo/Unary", NULL);
	h2_frame(&raw, H2_DATA, 0, 1, "\0\0\0\3\351", 5); /* 1001 */
	assert_true(h2_until(&raw, &raw.answers[0].ended));
	assert_int_equal(raw.answers[0].status, SL_GRPC_RESOURCE_EXHAUSTED);
	assert_non_null(strstr(raw.answers[0].text, "1000"));
	/* the client has not ended its side, and is told not to go on */
	assert_true(h2_until(&raw, &raw.answers[0].reset));
	assert_int_equal(raw.answers[0].reset_code, NGHTTP2_NO_ERROR);
}

static void an_unknown_encoding_is_unimplemented(void **state)
{
	static const char *const extra[] = {"grpc-encoding", "snappy", NULL};

	(void)state;
	serve(NULL);
	assert_int_equal(ask("/test.Echo/Unary", extra, "x", 1)->status, SL_GRPC_UNIMPLEMENTED);
}

static void a_malformed_timeout_is_refused(void **state)
{
	static const char *const extra[] = {"grpc-timeout", "5 seconds", NULL};

	(void)state;
	serve(NULL);
	assert_int_equal(ask("/test.Echo/Unary", extra, "x", 1)->status, SL_GRPC_INTERNAL);
	assert_int_equal(echo.calls, 0);
}

static void a_status_text_is_percent_encoded(void **state)
{
	struct h2_answer *answer;

	(void)state;
	serve(NULL);
	answer = ask("/test.Echo/Fail", NULL, "3 50% \xc3\xbc", 8);
	assert_int_equal(answer->status, SL_GRPC_INVALID_ARGUMENT);
	assert_string_equal(answer->text, "50%25 %C3%BC");
	assert_int_equal(stats().failed, 1);
}

static void a_chat_gets_each_message_as_it_comes_and_the_end(void **state)
{
	(void)state;
	serve(NULL);
	h2_preface(&raw);
	h2_request(&raw, 1, H2_END_HEADERS, "/test.Echo/Chat", NULL);
	for (size_t i = 1; i <= 3; i++) {
		h2_message(&raw, 1, 0, "abc", 3);
		h2_run(&raw, 5);
		assert_int_equal(raw.answers[0].data, 8 * i);
	}
	assert_false(raw.answers[0].ended);
	h2_frame(&raw, H2_DATA, H2_END_STREAM, 1, NULL, 0);
	assert_true(h2_until(&raw, &raw.answers[0].ended));
	assert_int_equal(raw.answers[0].status, SL_GRPC_OK);
}

/* --- time ---------------------------------------------------------------- */

static void a_deadline_ends_the_call_and_tells_the_handler(void **state)
{
	static const char *const extra[] = {"grpc-timeout", "50m", NULL};

	(void)state;
	serve(NULL);
	assert_int_equal(ask("/test.Echo/Never", extra, "x", 1)->status, SL_GRPC_DEADLINE_EXCEEDED);
	assert_int_equal(echo.gone, 1);
	assert_int_equal(stats().failed, 1);
}

static void a_deadline_holds_before_the_request_is_complete(void **state)
{
	static const char *const extra[] = {"grpc-timeout", "20m", NULL};

	(void)state;
	serve(NULL);
	h2_preface(&raw);
	h2_request(&raw, 1, H2_END_HEADERS, "/test.Echo/Unary", extra);
	assert_true(h2_until(&raw, &raw.answers[0].ended));
	assert_int_equal(raw.answers[0].status, SL_GRPC_DEADLINE_EXCEEDED);
}

static void a_connection_that_says_nothing_is_closed(void **state)
{
	const struct sl_grpc_limits limits = {.preface_ms = 40};

	(void)state;
	serve(&limits);
	assert_true(h2_until(&raw, &raw.closed));
	assert_int_equal(stats().connections, 0);
}

static void half_a_preface_is_closed(void **state)
{
	const struct sl_grpc_limits limits = {.preface_ms = 40};

	(void)state;
	serve(&limits);
	h2_bytes(&raw, "PRI * HTTP/2.0\r\n", 16);
	assert_true(h2_until(&raw, &raw.closed));
}

static void headers_that_never_end_close_the_connection(void **state)
{
	const struct sl_grpc_limits limits = {.request_ms = 40};

	(void)state;
	serve(&limits);
	h2_preface(&raw);
	h2_request(&raw, 1, 0, "/test.Echo/Unary", NULL);
	assert_true(h2_until(&raw, &raw.closed));
}

static void a_body_that_never_ends_is_answered(void **state)
{
	const struct sl_grpc_limits limits = {.request_ms = 40};

	(void)state;
	serve(&limits);
	h2_preface(&raw);
	h2_request(&raw, 1, H2_END_HEADERS, "/test.Echo/Unary", NULL);
	h2_frame(&raw, H2_DATA, 0, 1, "\0\0\0\0\4a", 6);
	assert_true(h2_until(&raw, &raw.answers[0].ended));
	assert_int_equal(raw.answers[0].status, SL_GRPC_DEADLINE_EXCEEDED);
	assert_true(h2_until(&raw, &raw.answers[0].reset));
	assert_false(raw.closed);
}

static void a_chat_may_be_silent_between_messages(void **state)
{
	const struct sl_grpc_limits limits = {.request_ms = 40};

	(void)state;
	serve(&limits);
	h2_preface(&raw);
	h2_request(&raw, 1, H2_END_HEADERS, "/test.Echo/Chat", NULL);
	h2_message(&raw, 1, 0, "a", 1);
	h2_run(&raw, 150);
	assert_false(raw.answers[0].ended);
	h2_message(&raw, 1, H2_END_STREAM, "b", 1);
	assert_true(h2_until(&raw, &raw.answers[0].ended));
	assert_int_equal(raw.answers[0].status, SL_GRPC_OK);
}

static void an_idle_connection_is_told_to_go(void **state)
{
	const struct sl_grpc_limits limits = {.idle_ms = 40};

	(void)state;
	serve(&limits);
	h2_preface(&raw);
	assert_true(h2_until(&raw, &raw.closed));
	assert_true(raw.goaway);
	assert_int_equal(raw.goaway_code, NGHTTP2_NO_ERROR);
}

static void an_answer_that_nobody_reads_is_reset(void **state)
{
	const struct sl_grpc_limits limits = {.stall_ms = 60};

	(void)state;
	serve(&limits);
	/* HTTP/2's first window is 65,535 bytes, and this client never opens it */
	h2_preface(&raw);
	h2_request(&raw, 1, H2_END_HEADERS, "/test.Echo/Grow", NULL);
	h2_message(&raw, 1, H2_END_STREAM, "200000", 6);
	assert_true(h2_until(&raw, &raw.answers[0].reset));
	assert_int_equal(raw.answers[0].data, 65535);
	assert_int_equal(raw.answers[0].reset_code, NGHTTP2_CANCEL);
	assert_false(raw.closed);
}

/* --- leaving -------------------------------------------------------------- */

static void a_handler_is_told_when_its_client_leaves(void **state)
{
	(void)state;
	serve(NULL);
	h2_preface(&raw);
	for (uint32_t stream = 1; stream < 21; stream += 2) {
		h2_request(&raw, stream, H2_END_HEADERS, "/test.Echo/Never", NULL);
		h2_message(&raw, stream, H2_END_STREAM, "x", 1);
	}
	h2_run(&raw, 20);
	assert_int_equal(echo.open, 10);
	h2_frame(&raw, H2_RST, 0, 1, "\0\0\0\10", 4);
	h2_run(&raw, 20);
	assert_int_equal(echo.gone, 1);
	h2_raw_close(&raw);
	h2_raw_open(&raw, base, port);
	h2_run(&raw, 20);
	assert_int_equal(echo.gone, 10);
	assert_int_equal(echo.open, 0);
	assert_still_serves();
}

static void freeing_the_server_says_goodbye_and_tells_the_handlers(void **state)
{
	(void)state;
	serve(NULL);
	h2_preface(&raw);
	h2_request(&raw, 1, H2_END_HEADERS, "/test.Echo/Never", NULL);
	h2_message(&raw, 1, H2_END_STREAM, "x", 1);
	h2_run(&raw, 20);
	sl_grpc_server_free(server);
	server = NULL;
	assert_int_equal(echo.gone, 1);
	assert_true(h2_until(&raw, &raw.closed));
	assert_true(raw.goaway);
}

static void on_drained(void *user)
{
	*(bool *)user = true;
}

static void draining_lets_open_calls_finish(void **state)
{
	bool drained = false;

	(void)state;
	serve(NULL);
	h2_preface(&raw);
	h2_request(&raw, 1, H2_END_HEADERS, "/test.Echo/Later", NULL);
	h2_message(&raw, 1, H2_END_STREAM, "x", 1);
	h2_run(&raw, 10);
	sl_grpc_server_drain(server, 4000, on_drained, &drained);
	assert_true(h2_until(&raw, &raw.answers[0].ended));
	assert_int_equal(raw.answers[0].status, SL_GRPC_OK);
	assert_true(h2_until(&raw, &drained));
	assert_true(raw.goaway);
	assert_int_equal(echo.gone, 0);
}

static void draining_ends_calls_that_do_not_finish(void **state)
{
	bool drained = false;

	(void)state;
	serve(NULL);
	h2_preface(&raw);
	h2_request(&raw, 1, H2_END_HEADERS, "/test.Echo/Never", NULL);
	h2_message(&raw, 1, H2_END_STREAM, "x", 1);
	h2_run(&raw, 10);
	sl_grpc_server_drain(server, 200, on_drained, &drained);
	assert_true(h2_until(&raw, &drained));
	assert_int_equal(echo.gone, 1);
	assert_int_equal(stats().connections, 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(a_whole_request_is_answered),
		CASE(a_request_in_single_bytes_is_put_together),
		CASE(another_method_than_post_is_http_405),
		CASE(another_content_type_is_http_415),
		CASE(a_content_type_with_a_subtype_is_taken),
		CASE(an_unknown_method_is_unimplemented_and_named),
		CASE(a_request_without_a_message_is_internal),
		CASE(a_request_that_ends_inside_its_message_is_internal),
		CASE(a_second_message_on_a_unary_call_is_unimplemented),
		CASE(a_message_above_the_limit_is_refused_on_its_prefix),
		CASE(an_unknown_encoding_is_unimplemented),
		CASE(a_malformed_timeout_is_refused),
		CASE(a_status_text_is_percent_encoded),
		CASE(a_chat_gets_each_message_as_it_comes_and_the_end),
		CASE(a_deadline_ends_the_call_and_tells_the_handler),
		CASE(a_deadline_holds_before_the_request_is_complete),
		CASE(a_connection_that_says_nothing_is_closed),
		CASE(half_a_preface_is_closed),
		CASE(headers_that_never_end_close_the_connection),
		CASE(a_body_that_never_ends_is_answered),
		CASE(a_chat_may_be_silent_between_messages),
		CASE(an_idle_connection_is_told_to_go),
		CASE(an_answer_that_nobody_reads_is_reset),
		CASE(a_handler_is_told_when_its_client_leaves),
		CASE(freeing_the_server_says_goodbye_and_tells_the_handlers),
		CASE(draining_lets_open_calls_finish),
		CASE(draining_ends_calls_that_do_not_finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
