// SPDX-License-Identifier: Apache-2.0
/* Our client against our server, there or not, in one event base. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>
#include <unistd.h>

#include "api/grpc.h"
#include "echo_client.h"

/* --- with a good server --------------------------------------------------- */

static void a_unary_call_is_answered(void **state)
{
	(void)state;
	echo_client_serve("127.0.0.1:0", NULL);
	echo_client_connect();
	echo_client_assert_echo();
	echo_client_assert_echo();
}

static void an_empty_answer_is_not_null(void **state)
{
	struct outcome outcome;

	(void)state;
	echo_client_serve("127.0.0.1:0", NULL);
	echo_client_connect();
	outcome = echo_client_ask("/test.Echo/Unary", "", 0);
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
	echo_client_serve("127.0.0.1:0", NULL);
	assert_int_equal(sl_grpc_listen_unix(echo_client.server, path, NULL), 0);
	snprintf(echo_client.address, sizeof(echo_client.address), "unix:%s", path);
	echo_client_connect();
	echo_client_assert_echo();
	outcome = echo_client_ask("/test.Echo/Peer", "", 0);
	snprintf(expected, sizeof(expected), "local unix:uid=%u,pid=%d", getuid(), getpid());
	assert_int_equal(outcome.length, strlen(expected));
	assert_memory_equal(outcome.message, expected, outcome.length);
	free(outcome.message);
	sl_grpc_server_free(echo_client.server);
	echo_client.server = NULL;
	assert_int_equal(rmdir(folder), 0);
}

static void a_stream_delivers_its_messages_and_the_end(void **state)
{
	struct outcome outcome = {.done = 0};

	(void)state;
	echo_client_serve("127.0.0.1:0", NULL);
	echo_client_connect();
	assert_int_equal(sl_grpc_client_call(echo_client.client, "/test.Echo/Count", (const uint8_t *)"60", 2,
					     0, echo_client_on_message, echo_client_on_done, &outcome),
			 0);
	echo_client_until(&outcome.done, 1);
	assert_int_equal(outcome.status, SL_GRPC_OK);
	assert_int_equal(outcome.messages, 60);
	assert_int_equal(outcome.length, 10 + 50 * 2);
}

static void a_status_text_arrives_decoded(void **state)
{
	struct outcome outcome;

	(void)state;
	echo_client_serve("127.0.0.1:0", NULL);
	echo_client_connect();
	outcome = echo_client_ask("/test.Echo/Fail", "5 no IMSI 100 % \xc3\xbc", 0);
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
	echo_client_serve("127.0.0.1:0", NULL);
	echo_client_connect();
	assert_int_equal(sl_grpc_client_call(echo_client.client, "/test.Echo/Unary", message, size, 0, NULL,
					     echo_client_on_done, &outcome),
			 0);
	echo_client_until(&outcome.done, 1);
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
	echo_client_serve("127.0.0.1:0", NULL);
	echo_client_connect();
	outcome = echo_client_ask("/test.Echo/Grow", "16777216", 0);
	assert_int_equal(outcome.status, SL_GRPC_OK);
	free(outcome.message);
	outcome = echo_client_ask("/test.Echo/Grow", "16777217", 0);
	assert_int_equal(outcome.status, SL_GRPC_RESOURCE_EXHAUSTED);
	echo_client_assert_echo();
}

static void a_request_that_the_server_refuses_early_ends_with_its_status(void **state)
{
	const struct sl_grpc_limits limits = {.message = 1000};
	static uint8_t message[4 << 20];
	struct outcome outcome = {.done = 0};

	(void)state;
	echo_client_serve("127.0.0.1:0", &limits);
	echo_client_connect();
	assert_int_equal(sl_grpc_client_call(echo_client.client, "/test.Echo/Unary", message, sizeof(message),
					     0, NULL, echo_client_on_done, &outcome),
			 0);
	echo_client_until(&outcome.done, 1);
	assert_int_equal(outcome.status, SL_GRPC_RESOURCE_EXHAUSTED);
	echo_client_assert_echo();
}

static void a_deadline_ends_the_call_on_both_sides(void **state)
{
	struct outcome outcome;

	(void)state;
	echo_client_serve("127.0.0.1:0", NULL);
	echo_client_connect();
	outcome = echo_client_ask("/test.Echo/Never", "x", 50);
	assert_int_equal(outcome.status, SL_GRPC_DEADLINE_EXCEEDED);
	echo_client_until(&echo_client.echo.gone, 1);
	echo_client_assert_echo();
}

static void a_thousand_calls_are_answered_and_one_more_is_busy(void **state)
{
	struct outcome outcome = {.done = 0};

	(void)state;
	echo_client_serve("127.0.0.1:0", NULL);
	echo_client_connect();
	for (int i = 0; i < 1000; i++)
		assert_int_equal(echo_client_call("/test.Echo/Later", "", 0, &outcome), 0);
	assert_int_equal(echo_client_call("/test.Echo/Later", "", 0, &outcome), -EBUSY);
	echo_client_until(&outcome.done, 1000);
	free(outcome.message);
	assert_int_equal(outcome.status, SL_GRPC_OK);
	echo_client_assert_echo();
}

static void freeing_the_client_cancels_its_calls(void **state)
{
	struct outcome outcome = {.done = 0};

	(void)state;
	echo_client_serve("127.0.0.1:0", NULL);
	echo_client_connect();
	assert_int_equal(echo_client_call("/test.Echo/Never", "x", 0, &outcome), 0);
	echo_client_until(&echo_client.echo.open, 1);
	assert_int_equal(echo_client_call("/test.Echo/Never", "not sent yet", 1000, &outcome), 0);
	sl_grpc_client_free(echo_client.client);
	echo_client.client = NULL;
	assert_int_equal(outcome.done, 2);
	assert_int_equal(outcome.status, SL_GRPC_CANCELLED);
	echo_client_until(&echo_client.echo.gone, 1);
}

static void a_request_above_16_mebibytes_is_not_sent(void **state)
{
	struct outcome outcome = {.done = 0};
	uint8_t *message = calloc(1, (16 << 20) + 1);

	(void)state;
	assert_non_null(message);
	echo_client_serve("127.0.0.1:0", NULL);
	echo_client_connect();
	assert_int_equal(sl_grpc_client_call(echo_client.client, "/test.Echo/Unary", message, (16 << 20) + 1,
					     0, NULL, echo_client_on_done, &outcome),
			 -EMSGSIZE);
	assert_int_equal(outcome.done, 0);
	free(message);
}

/* --- without a good server ------------------------------------------------ */

static void nobody_listening_is_unavailable_with_the_address(void **state)
{
	struct outcome outcome;

	(void)state;
	echo_client_serve("127.0.0.1:0", NULL);
	sl_grpc_server_free(echo_client.server);
	echo_client.server = NULL;
	echo_client_connect();
	outcome = echo_client_ask("/test.Echo/Unary", "x", 0);
	assert_int_equal(outcome.status, SL_GRPC_UNAVAILABLE);
	assert_non_null(strstr(outcome.text, echo_client.address));
	/* during the back-off calls fail at once, but from the loop */
	outcome = echo_client_ask("/test.Echo/Unary", "x", 0);
	assert_int_equal(outcome.status, SL_GRPC_UNAVAILABLE);
	assert_non_null(strstr(outcome.text, "refused"));
}

static void a_missing_socket_file_is_unavailable(void **state)
{
	struct outcome outcome;

	(void)state;
	strcpy(echo_client.address, "unix:/nonexistent/api.sock");
	echo_client_connect();
	outcome = echo_client_ask("/test.Echo/Unary", "x", 0);
	assert_int_equal(outcome.status, SL_GRPC_UNAVAILABLE);
	assert_non_null(strstr(outcome.text, "/nonexistent/api.sock"));
}

static void a_server_that_comes_later_is_found(void **state)
{
	struct outcome outcome;
	char again[80];
	uint64_t end;

	(void)state;
	echo_client_serve("127.0.0.1:0", NULL);
	strcpy(again, echo_client.address);
	sl_grpc_server_free(echo_client.server);
	echo_client.server = NULL;
	echo_client_connect();
	outcome = echo_client_ask("/test.Echo/Unary", "x", 0);
	assert_int_equal(outcome.status, SL_GRPC_UNAVAILABLE);
	echo_client_serve(again, NULL);
	for (end = echo_client_now_ms() + 5000; outcome.status != SL_GRPC_OK && echo_client_now_ms() < end;
	     echo_client_run(20))
		outcome = echo_client_ask("/test.Echo/Unary", "x", 0);
	assert_int_equal(outcome.status, SL_GRPC_OK);
	free(outcome.message);
}

static void a_server_that_restarts_is_found_again(void **state)
{
	struct outcome outcome = {.done = 0};
	char again[80];

	(void)state;
	echo_client_serve("127.0.0.1:0", NULL);
	strcpy(again, echo_client.address);
	echo_client_connect();
	echo_client_assert_echo();
	assert_int_equal(echo_client_call("/test.Echo/Never", "x", 0, &outcome), 0);
	echo_client_until(&echo_client.echo.open, 1);
	sl_grpc_server_free(echo_client.server);
	echo_client_until(&outcome.done, 1);
	assert_int_equal(outcome.status, SL_GRPC_UNAVAILABLE);
	echo_client_serve(again, NULL);
	echo_client_run(10);
	/* the lost connection had worked, so there is no back-off */
	echo_client_assert_echo();
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
	echo_client_serve("127.0.0.1:0", NULL);
	echo_client_connect();
	assert_int_equal(echo_client_call("/test.Echo/Later", "x", 0, &outcome), 0);
	echo_client_until(&echo_client.echo.open, 1);
	sl_grpc_server_drain(echo_client.server, 3000, on_drained, &drained);
	echo_client_until(&outcome.done, 1);
	assert_int_equal(outcome.status, SL_GRPC_OK);
	free(outcome.message);
	echo_client_until(&drained, 1);
	sl_grpc_server_free(echo_client.server);
	echo_client.server = NULL;
	assert_int_equal(echo_client_ask("/test.Echo/Unary", "x", 0).status, SL_GRPC_UNAVAILABLE);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, echo_client_set_up, echo_client_tear_down)
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
