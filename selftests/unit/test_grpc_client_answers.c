// SPDX-License-Identifier: Apache-2.0
/* Our client against servers that misbehave, in one event base. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/endpoint.h"
#include "echo_client.h"
#include "h2_raw.h"

/* A server that says its piece to every connection, and a second one to the first bytes that come. */
struct rude {
	int fd;
	struct event *accepts;
	const void *says, *answers;
	size_t says_length, answers_length;
	bool stays;
	unsigned int connections;
	int kept;
	struct event *reads;
};

static void on_rude_input(evutil_socket_t fd, short what, void *user)
{
	struct rude *rude = user;
	uint8_t bytes[4096];

	(void)what;
	if (recv(fd, bytes, sizeof(bytes), 0) <= 0) {
		event_del(rude->reads);
		return;
	}
	if (rude->answers_length > 0)
		assert_int_equal(send(fd, rude->answers, rude->answers_length, MSG_NOSIGNAL),
				 rude->answers_length);
	rude->answers_length = 0;
}

static void on_rude_connection(evutil_socket_t fd, short what, void *user)
{
	struct rude *rude = user;
	int peer = accept(fd, NULL, NULL);

	(void)what;
	rude->connections++;
	if (rude->says_length > 0)
		assert_int_equal(send(peer, rude->says, rude->says_length, MSG_NOSIGNAL), rude->says_length);
	if (!rude->stays) {
		close(peer);
		return;
	}
	rude->kept = peer;
	rude->reads = event_new(echo_client.base, peer, EV_READ | EV_PERSIST, on_rude_input, rude);
	event_add(rude->reads, NULL);
}

static void serve_rudely(struct rude *rude)
{
	struct sl_endpoint endpoint;

	assert_int_equal(sl_endpoint_parse("127.0.0.1:0", &endpoint, NULL), 0);
	assert_int_equal(sl_endpoint_listen(&endpoint, &rude->fd, NULL), 0);
	assert_int_equal(sl_endpoint_port(rude->fd, &echo_client.port), 0);
	snprintf(echo_client.address, sizeof(echo_client.address), "127.0.0.1:%u", echo_client.port);
	rude->accepts = event_new(echo_client.base, rude->fd, EV_READ | EV_PERSIST, on_rude_connection, rude);
	event_add(rude->accepts, NULL);
	echo_client_connect();
}

static void end_rudely(struct rude *rude)
{
	event_free(rude->accepts);
	close(rude->fd);
	if (!rude->reads)
		return;
	event_free(rude->reads);
	close(rude->kept);
}

static void a_server_that_hangs_up_is_not_called_again_at_once(void **state)
{
	struct rude rude = {.stays = false};

	(void)state;
	serve_rudely(&rude);
	for (int i = 0; i < 20; i++)
		assert_int_equal(echo_client_ask("/test.Echo/Unary", "x", 0).status, SL_GRPC_UNAVAILABLE);
	/* 100 ms of back-off after the first attempt, more after the next ones */
	assert_in_range(rude.connections, 1, 5);
	end_rudely(&rude);
}

static void a_server_that_speaks_something_else_is_unavailable(void **state)
{
	static const char http1[] = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
	struct rude rude = {.says = http1, .says_length = sizeof(http1) - 1, .stays = true};

	(void)state;
	serve_rudely(&rude);
	assert_int_equal(echo_client_ask("/test.Echo/Unary", "x", 4000).status, SL_GRPC_UNAVAILABLE);
	end_rudely(&rude);
}

static void a_silent_server_does_not_outlast_the_deadline(void **state)
{
	struct rude rude = {.stays = true};

	(void)state;
	serve_rudely(&rude);
	assert_int_equal(echo_client_ask("/test.Echo/Unary", "x", 50).status, SL_GRPC_DEADLINE_EXCEEDED);
	end_rudely(&rude);
}

/* The outcome of a unary call on stream 1 that is answered with these frames. */
static struct outcome answered_with(const struct h2_raw *frames)
{
	struct rude rude = {
		.says = "\0\0\0\4\0\0\0\0",
		.says_length = 9,
		.answers = frames->out,
		.answers_length = frames->out_used,
		.stays = true,
	};
	struct outcome outcome;

	serve_rudely(&rude);
	outcome = echo_client_ask("/test.Echo/Unary", "x", 4000);
	end_rudely(&rude);
	free(frames->out);
	return outcome;
}

/* HEADERS on stream 1: name, value, ..., NULL. */
static void put_headers(struct h2_raw *frames, uint8_t flags, const char *const *fields)
{
	uint8_t block[1024];
	size_t used = 0;

	for (; *fields; fields += 2)
		used += h2_literal(block + used, fields[0], fields[1]);
	h2_frame(frames, H2_HEADERS, flags | H2_END_HEADERS, 1, block, used);
}

static const char *const good_headers[] = {":status", "200", "content-type", "application/grpc", NULL};
static const char *const good_trailers[] = {"grpc-status", "0", NULL};

static void an_answer_made_by_hand_is_read(void **state)
{
	struct h2_raw frames = {.out = NULL};
	struct outcome outcome;

	(void)state;
	put_headers(&frames, 0, good_headers);
	h2_message(&frames, 1, 0, "by hand", 7);
	put_headers(&frames, H2_END_STREAM, good_trailers);
	outcome = answered_with(&frames);
	assert_int_equal(outcome.status, SL_GRPC_OK);
	assert_int_equal(outcome.length, 7);
	free(outcome.message);
}

static void an_http_error_becomes_a_status(void **state)
{
	static const char *const fields[] = {":status", "503", "content-type", "text/html", NULL};
	struct h2_raw frames = {.out = NULL};
	struct outcome outcome;

	(void)state;
	put_headers(&frames, 0, fields);
	h2_frame(&frames, H2_DATA, H2_END_STREAM, 1, "<html>", 6);
	outcome = answered_with(&frames);
	assert_int_equal(outcome.status, SL_GRPC_UNAVAILABLE);
	assert_non_null(strstr(outcome.text, "503"));
}

static void another_content_type_is_unknown(void **state)
{
	static const char *const fields[] = {":status", "200", "content-type", "text/html", NULL};
	struct h2_raw frames = {.out = NULL};

	(void)state;
	put_headers(&frames, H2_END_STREAM, fields);
	assert_int_equal(answered_with(&frames).status, SL_GRPC_UNKNOWN);
}

static void an_answer_without_a_status_is_internal(void **state)
{
	struct h2_raw frames = {.out = NULL};

	(void)state;
	put_headers(&frames, 0, good_headers);
	h2_message(&frames, 1, H2_END_STREAM, "x", 1);
	assert_int_equal(answered_with(&frames).status, SL_GRPC_INTERNAL);
}

static void an_answer_without_a_message_is_internal(void **state)
{
	struct h2_raw frames = {.out = NULL};

	(void)state;
	put_headers(&frames, 0, good_headers);
	put_headers(&frames, H2_END_STREAM, good_trailers);
	assert_int_equal(answered_with(&frames).status, SL_GRPC_INTERNAL);
}

static void an_answer_that_ends_inside_its_message_is_internal(void **state)
{
	struct h2_raw frames = {.out = NULL};

	(void)state;
	put_headers(&frames, 0, good_headers);
	h2_frame(&frames, H2_DATA, 0, 1, "\0\0\0\0\4ab", 7);
	put_headers(&frames, H2_END_STREAM, good_trailers);
	assert_int_equal(answered_with(&frames).status, SL_GRPC_INTERNAL);
}

static void two_messages_in_a_unary_answer_are_internal(void **state)
{
	struct h2_raw frames = {.out = NULL};

	(void)state;
	put_headers(&frames, 0, good_headers);
	h2_message(&frames, 1, 0, "one", 3);
	h2_message(&frames, 1, 0, "two", 3);
	put_headers(&frames, H2_END_STREAM, good_trailers);
	assert_int_equal(answered_with(&frames).status, SL_GRPC_INTERNAL);
}

static void a_status_outside_the_list_is_unknown(void **state)
{
	static const char *const fields[] = {
		":status", "200", "content-type", "application/grpc", "grpc-status", "99", NULL};
	struct h2_raw frames = {.out = NULL};

	(void)state;
	put_headers(&frames, H2_END_STREAM, fields);
	assert_int_equal(answered_with(&frames).status, SL_GRPC_UNKNOWN);
}

static void a_refused_stream_is_unavailable(void **state)
{
	struct h2_raw frames = {.out = NULL};

	(void)state;
	h2_frame(&frames, H2_RST, 0, 1, "\0\0\0\7", 4);
	assert_int_equal(answered_with(&frames).status, SL_GRPC_UNAVAILABLE);
}

static void a_compressed_answer_that_nobody_asked_for_is_internal(void **state)
{
	struct h2_raw frames = {.out = NULL};

	(void)state;
	put_headers(&frames, 0, good_headers);
	h2_frame(&frames, H2_DATA, 0, 1, "\1\0\0\0\1x", 6);
	put_headers(&frames, H2_END_STREAM, good_trailers);
	assert_int_equal(answered_with(&frames).status, SL_GRPC_INTERNAL);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, echo_client_set_up, echo_client_tear_down)
	const struct CMUnitTest tests[] = {
		CASE(a_server_that_hangs_up_is_not_called_again_at_once),
		CASE(a_server_that_speaks_something_else_is_unavailable),
		CASE(a_silent_server_does_not_outlast_the_deadline),
		CASE(an_answer_made_by_hand_is_read),
		CASE(an_http_error_becomes_a_status),
		CASE(another_content_type_is_unknown),
		CASE(an_answer_without_a_status_is_internal),
		CASE(an_answer_without_a_message_is_internal),
		CASE(an_answer_that_ends_inside_its_message_is_internal),
		CASE(two_messages_in_a_unary_answer_are_internal),
		CASE(a_status_outside_the_list_is_unknown),
		CASE(a_refused_stream_is_unavailable),
		CASE(a_compressed_answer_that_nobody_asked_for_is_internal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
