// SPDX-License-Identifier: Apache-2.0
/* Our client against our server, and against servers that misbehave, in one event base. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "api/endpoint.h"
#include "api/grpc.h"
#include "echo_service.h"
#include "h2_raw.h"

static struct event_base *base;
static struct sl_grpc_server *server;
static struct sl_grpc_client *client;
static struct echo echo;
static char address[80];
static uint16_t port;

struct outcome {
	unsigned int done;
	unsigned int messages;
	enum sl_grpc_status status;
	char text[128];
	uint8_t *message;
	size_t length;
};

static int set_up(void **state)
{
	(void)state;
	base = event_base_new();
	return base ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	sl_grpc_client_free(client);
	client = NULL;
	sl_grpc_server_free(server);
	server = NULL;
	event_base_free(base);
	return echo.open == 0 ? 0 : -1;
}

static void serve(const char *where, const struct sl_grpc_limits *limits)
{
	assert_int_equal(sl_grpc_server_new(base, limits, &server, NULL), 0);
	assert_int_equal(sl_grpc_listen_tcp(server, where, &port, NULL), 0);
	assert_int_equal(echo_register(&echo, base, server), 0);
	snprintf(address, sizeof(address), "127.0.0.1:%u", port);
}

static void connect_client(void)
{
	assert_int_equal(sl_grpc_client_new(base, address, &client, NULL), 0);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void run(int ms)
{
	uint64_t end = now_ms() + (uint64_t)ms;

	for (int steps = 0; steps < 20 || now_ms() < end; steps++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		usleep(200);
	}
}

static void until(const unsigned int *number, unsigned int wanted)
{
	uint64_t end = now_ms() + 10000;

	while (*number < wanted && now_ms() < end) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		usleep(100);
	}
	assert_int_equal(*number, wanted);
}

static void on_message(const uint8_t *message, size_t length, void *user)
{
	struct outcome *outcome = user;

	(void)message;
	outcome->messages++;
	outcome->length += length;
}

static void on_done(enum sl_grpc_status status, const char *text, const uint8_t *message, size_t length,
		    void *user)
{
	struct outcome *outcome = user;

	outcome->done++;
	outcome->status = status;
	snprintf(outcome->text, sizeof(outcome->text), "%s", text);
	if (!message)
		return;
	free(outcome->message);
	outcome->message = malloc(length + 1);
	assert_non_null(outcome->message);
	memcpy(outcome->message, message, length);
	outcome->length = length;
}

static int call(const char *path, const char *message, uint32_t timeout_ms, struct outcome *outcome)
{
	return sl_grpc_client_call(client, path, (const uint8_t *)message, strlen(message), timeout_ms, NULL,
				   on_done, outcome);
}

/* Calls and waits; the answer's bytes are freed by the caller. */
static struct outcome ask(const char *path, const char *message, uint32_t timeout_ms)
{
	struct outcome outcome = {.done = 0};

	assert_int_equal(call(path, message, timeout_ms, &outcome), 0);
	assert_int_equal(outcome.done, 0);
	until(&outcome.done, 1);
	return outcome;
}

static void assert_echo(void)
{
	struct outcome outcome = ask("/test.Echo/Unary", "hello", 0);

	assert_int_equal(outcome.status, SL_GRPC_OK);
	assert_int_equal(outcome.length, 5);
	assert_memory_equal(outcome.message, "hello", 5);
	free(outcome.message);
}

/* --- with a good server --------------------------------------------------- */

static void a_unary_call_is_answered(void **state)
{
	(void)state;
	serve("127.0.0.1:0", NULL);
	connect_client();
	assert_echo();
	assert_echo();
}

static void an_empty_answer_is_not_null(void **state)
{
	struct outcome outcome;

	(void)state;
	serve("127.0.0.1:0", NULL);
	connect_client();
	outcome = ask("/test.Echo/Unary", "", 0);
	assert_int_equal(outcome.status, SL_GRPC_OK);
	assert_non_null(outcome.message);
	assert_int_equal(outcome.length, 0);
	free(outcome.message);
}

static void a_unix_socket_serves_and_names_its_peer(void **state)
{
	char folder[] = "/tmp/sluice-client.XXXXXX", path[64], expected[96];
	struct outcome outcome;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/api.sock", folder);
	serve("127.0.0.1:0", NULL);
	assert_int_equal(sl_grpc_listen_unix(server, path, NULL), 0);
	snprintf(address, sizeof(address), "unix:%s", path);
	connect_client();
	assert_echo();
	outcome = ask("/test.Echo/Peer", "", 0);
	snprintf(expected, sizeof(expected), "local unix:uid=%u,pid=%d", getuid(), getpid());
	assert_int_equal(outcome.length, strlen(expected));
	assert_memory_equal(outcome.message, expected, outcome.length);
	free(outcome.message);
	sl_grpc_server_free(server);
	server = NULL;
	assert_int_equal(rmdir(folder), 0);
}

static void a_stream_delivers_its_messages_and_the_end(void **state)
{
	struct outcome outcome = {.done = 0};

	(void)state;
	serve("127.0.0.1:0", NULL);
	connect_client();
	assert_int_equal(sl_grpc_client_call(client, "/test.Echo/Count", (const uint8_t *)"60", 2, 0,
					     on_message, on_done, &outcome),
			 0);
	until(&outcome.done, 1);
	assert_int_equal(outcome.status, SL_GRPC_OK);
	assert_int_equal(outcome.messages, 60);
	assert_int_equal(outcome.length, 10 + 50 * 2);
}

static void a_status_text_arrives_decoded(void **state)
{
	struct outcome outcome;

	(void)state;
	serve("127.0.0.1:0", NULL);
	connect_client();
	outcome = ask("/test.Echo/Fail", "5 no IMSI 100 % \xc3\xbc", 0);
	assert_int_equal(outcome.status, SL_GRPC_NOT_FOUND);
	assert_string_equal(outcome.text, "no IMSI 100 % \xc3\xbc");
	assert_null(outcome.message);
}

static void eight_mebibytes_come_back(void **state)
{
	const size_t size = 8 << 20;
	struct outcome outcome = {.done = 0};
	uint8_t *message = malloc(size);

	(void)state;
	assert_non_null(message);
	for (size_t i = 0; i < size; i++)
		message[i] = (uint8_t)(i * 2654435761u >> 24);
	serve("127.0.0.1:0", NULL);
	connect_client();
	assert_int_equal(
		sl_grpc_client_call(client, "/test.Echo/Unary", message, size, 0, NULL, on_done, &outcome),
		0);
	until(&outcome.done, 1);
	assert_int_equal(outcome.status, SL_GRPC_OK);
	assert_int_equal(outcome.length, size);
	assert_memory_equal(outcome.message, message, size);
	free(outcome.message);
	free(message);
}

static void an_answer_above_16_mebibytes_is_refused(void **state)
{
	struct outcome outcome;

	(void)state;
	serve("127.0.0.1:0", NULL);
	connect_client();
	outcome = ask("/test.Echo/Grow", "16777216", 0);
	assert_int_equal(outcome.status, SL_GRPC_OK);
	free(outcome.message);
	outcome = ask("/test.Echo/Grow", "16777217", 0);
	assert_int_equal(outcome.status, SL_GRPC_RESOURCE_EXHAUSTED);
	assert_echo();
}

static void a_request_that_the_server_refuses_early_ends_with_its_status(void **state)
{
	const struct sl_grpc_limits limits = {.message = 1000};
	static uint8_t message[4 << 20];
	struct outcome outcome = {.done = 0};

	(void)state;
	serve("127.0.0.1:0", &limits);
	connect_client();
	assert_int_equal(sl_grpc_client_call(client, "/test.Echo/Unary", message, sizeof(message), 0, NULL,
					     on_done, &outcome),
			 0);
	until(&outcome.done, 1);
	assert_int_equal(outcome.status, SL_GRPC_RESOURCE_EXHAUSTED);
	assert_echo();
}

static void a_deadline_ends_the_call_on_both_sides(void **state)
{
	struct outcome outcome;

	(void)state;
	serve("127.0.0.1:0", NULL);
	connect_client();
	outcome = ask("/test.Echo/Never", "x", 50);
	assert_int_equal(outcome.status, SL_GRPC_DEADLINE_EXCEEDED);
	until(&echo.gone, 1);
	assert_echo();
}

static void a_thousand_calls_are_answered_and_one_more_is_busy(void **state)
{
	struct outcome outcome = {.done = 0};

	(void)state;
	serve("127.0.0.1:0", NULL);
	connect_client();
	for (int i = 0; i < 1000; i++)
		assert_int_equal(call("/test.Echo/Later", "", 0, &outcome), 0);
	assert_int_equal(call("/test.Echo/Later", "", 0, &outcome), -EBUSY);
	until(&outcome.done, 1000);
	free(outcome.message);
	assert_int_equal(outcome.status, SL_GRPC_OK);
	assert_echo();
}

static void freeing_the_client_cancels_its_calls(void **state)
{
	struct outcome outcome = {.done = 0};

	(void)state;
	serve("127.0.0.1:0", NULL);
	connect_client();
	assert_int_equal(call("/test.Echo/Never", "x", 0, &outcome), 0);
	until(&echo.open, 1);
	assert_int_equal(call("/test.Echo/Never", "not sent yet", 1000, &outcome), 0);
	sl_grpc_client_free(client);
	client = NULL;
	assert_int_equal(outcome.done, 2);
	assert_int_equal(outcome.status, SL_GRPC_CANCELLED);
	until(&echo.gone, 1);
}

static void a_request_above_16_mebibytes_is_not_sent(void **state)
{
	struct outcome outcome = {.done = 0};
	uint8_t *message = calloc(1, (16 << 20) + 1);

	(void)state;
	assert_non_null(message);
	serve("127.0.0.1:0", NULL);
	connect_client();
	assert_int_equal(sl_grpc_client_call(client, "/test.Echo/Unary", message, (16 << 20) + 1, 0, NULL,
					     on_done, &outcome),
			 -EMSGSIZE);
	assert_int_equal(outcome.done, 0);
	free(message);
}

/* --- without a good server ------------------------------------------------ */

static void nobody_listening_is_unavailable_with_the_address(void **state)
{
	struct outcome outcome;

	(void)state;
	serve("127.0.0.1:0", NULL);
	sl_grpc_server_free(server);
	server = NULL;
	connect_client();
	outcome = ask("/test.Echo/Unary", "x", 0);
	assert_int_equal(outcome.status, SL_GRPC_UNAVAILABLE);
	assert_non_null(strstr(outcome.text, address));
	/* during the back-off calls fail at once, but from the loop */
	outcome = ask("/test.Echo/Unary", "x", 0);
	assert_int_equal(outcome.status, SL_GRPC_UNAVAILABLE);
	assert_non_null(strstr(outcome.text, "refused"));
}

static void a_missing_socket_file_is_unavailable(void **state)
{
	struct outcome outcome;

	(void)state;
	strcpy(address, "unix:/nonexistent/api.sock");
	connect_client();
	outcome = ask("/test.Echo/Unary", "x", 0);
	assert_int_equal(outcome.status, SL_GRPC_UNAVAILABLE);
	assert_non_null(strstr(outcome.text, "/nonexistent/api.sock"));
}

static void a_server_that_comes_later_is_found(void **state)
{
	struct outcome outcome;
	char again[80];
	uint64_t end;

	(void)state;
	serve("127.0.0.1:0", NULL);
	strcpy(again, address);
	sl_grpc_server_free(server);
	server = NULL;
	connect_client();
	outcome = ask("/test.Echo/Unary", "x", 0);
	assert_int_equal(outcome.status, SL_GRPC_UNAVAILABLE);
	serve(again, NULL);
	for (end = now_ms() + 5000; outcome.status != SL_GRPC_OK && now_ms() < end; run(20))
		outcome = ask("/test.Echo/Unary", "x", 0);
	assert_int_equal(outcome.status, SL_GRPC_OK);
	free(outcome.message);
}

static void a_server_that_restarts_is_found_again(void **state)
{
	struct outcome outcome = {.done = 0};
	char again[80];

	(void)state;
	serve("127.0.0.1:0", NULL);
	strcpy(again, address);
	connect_client();
	assert_echo();
	assert_int_equal(call("/test.Echo/Never", "x", 0, &outcome), 0);
	until(&echo.open, 1);
	sl_grpc_server_free(server);
	until(&outcome.done, 1);
	assert_int_equal(outcome.status, SL_GRPC_UNAVAILABLE);
	serve(again, NULL);
	run(10);
	/* the lost connection had worked, so there is no back-off */
	assert_echo();
}

static void on_drained(void *user)
{
	(*(unsigned int *)user)++;
}

static void a_draining_server_finishes_calls_and_gets_no_new_ones(void **state)
{
	struct outcome outcome = {.done = 0};
	unsigned int drained = 0;

	(void)state;
	serve("127.0.0.1:0", NULL);
	connect_client();
	assert_int_equal(call("/test.Echo/Later", "x", 0, &outcome), 0);
	until(&echo.open, 1);
	sl_grpc_server_drain(server, 3000, on_drained, &drained);
	until(&outcome.done, 1);
	assert_int_equal(outcome.status, SL_GRPC_OK);
	free(outcome.message);
	until(&drained, 1);
	sl_grpc_server_free(server);
	server = NULL;
	assert_int_equal(ask("/test.Echo/Unary", "x", 0).status, SL_GRPC_UNAVAILABLE);
}

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
	rude->reads = event_new(base, peer, EV_READ | EV_PERSIST, on_rude_input, rude);
	event_add(rude->reads, NULL);
}

static void serve_rudely(struct rude *rude)
{
	struct sl_endpoint endpoint;

	assert_int_equal(sl_endpoint_parse("127.0.0.1:0", &endpoint, NULL), 0);
	assert_int_equal(sl_endpoint_listen(&endpoint, &rude->fd, NULL), 0);
	assert_int_equal(sl_endpoint_port(rude->fd, &port), 0);
	snprintf(address, sizeof(address), "127.0.0.1:%u", port);
	rude->accepts = event_new(base, rude->fd, EV_READ | EV_PERSIST, on_rude_connection, rude);
	event_add(rude->accepts, NULL);
	connect_client();
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
		assert_int_equal(ask("/test.Echo/Unary", "x", 0).status, SL_GRPC_UNAVAILABLE);
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
	assert_int_equal(ask("/test.Echo/Unary", "x", 4000).status, SL_GRPC_UNAVAILABLE);
	end_rudely(&rude);
}

static void a_silent_server_does_not_outlast_the_deadline(void **state)
{
	struct rude rude = {.stays = true};

	(void)state;
	serve_rudely(&rude);
	assert_int_equal(ask("/test.Echo/Unary", "x", 50).status, SL_GRPC_DEADLINE_EXCEEDED);
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
	outcome = ask("/test.Echo/Unary", "x", 4000);
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
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(a_unary_call_is_answered),
		CASE(an_empty_answer_is_not_null),
		CASE(a_unix_socket_serves_and_names_its_peer),
		CASE(a_stream_delivers_its_messages_and_the_end),
		CASE(a_status_text_arrives_decoded),
		CASE(eight_mebibytes_come_back),
		CASE(an_answer_above_16_mebibytes_is_refused),
		CASE(a_request_that_the_server_refuses_early_ends_with_its_status),
		CASE(a_deadline_ends_the_call_on_both_sides),
		CASE(a_thousand_calls_are_answered_and_one_more_is_busy),
		CASE(freeing_the_client_cancels_its_calls),
		CASE(a_request_above_16_mebibytes_is_not_sent),
		CASE(nobody_listening_is_unavailable_with_the_address),
		CASE(a_missing_socket_file_is_unavailable),
		CASE(a_server_that_comes_later_is_found),
		CASE(a_server_that_restarts_is_found_again),
		CASE(a_draining_server_finishes_calls_and_gets_no_new_ones),
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
