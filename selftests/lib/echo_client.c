// SPDX-License-Identifier: Apache-2.0
#include "echo_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <time.h>
#include <unistd.h>

struct echo_client echo_client;

int echo_client_set_up(void **state)
{
	(void)state;
	echo_client.base = event_base_new();
	return echo_client.base ? 0 : -1;
}

int echo_client_tear_down(void **state)
{
	(void)state;
	sl_grpc_client_free(echo_client.client);
	echo_client.client = NULL;
	sl_grpc_server_free(echo_client.server);
	echo_client.server = NULL;
	event_base_free(echo_client.base);
	return echo_client.echo.open == 0 ? 0 : -1;
}

void echo_client_serve(const char *where, const struct sl_grpc_limits *limits)
{
	assert_int_equal(sl_grpc_server_new(echo_client.base, limits, &echo_client.server, NULL), 0);
	assert_int_equal(sl_grpc_listen_tcp(echo_client.server, where, &echo_client.port, NULL), 0);
	assert_int_equal(echo_register(&echo_client.echo, echo_client.base, echo_client.server), 0);
	snprintf(echo_client.address, sizeof(echo_client.address), "127.0.0.1:%u", echo_client.port);
}

void echo_client_connect(void)
{
	assert_int_equal(sl_grpc_client_new(echo_client.base, echo_client.address, &echo_client.client, NULL),
			 0);
}

uint64_t echo_client_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void echo_client_run(int ms)
{
	uint64_t end = echo_client_now_ms() + (uint64_t)ms;

	for (int steps = 0; steps < 20 || echo_client_now_ms() < end; steps++) {
		event_base_loop(echo_client.base, EVLOOP_NONBLOCK);
		usleep(200);
	}
}

void echo_client_until(const unsigned int *number, unsigned int wanted)
{
	uint64_t end = echo_client_now_ms() + 10000;

	while (*number < wanted && echo_client_now_ms() < end) {
		event_base_loop(echo_client.base, EVLOOP_NONBLOCK);
		usleep(100);
	}
	assert_int_equal(*number, wanted);
}

void echo_client_on_message(const uint8_t *message, size_t length, void *user)
{
	struct outcome *outcome = user;

	(void)message;
	outcome->messages++;
	outcome->length += length;
}

void echo_client_on_done(enum sl_grpc_status status, const char *text, const uint8_t *message, size_t length,
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

int echo_client_call(const char *path, const char *message, uint32_t timeout_ms, struct outcome *outcome)
{
	return sl_grpc_client_call(echo_client.client, path, (const uint8_t *)message, strlen(message),
				   timeout_ms, NULL, echo_client_on_done, outcome);
}

/* Calls and waits; the answer's bytes are freed by the caller. */
struct outcome echo_client_ask(const char *path, const char *message, uint32_t timeout_ms)
{
	struct outcome outcome = {.done = 0};

	assert_int_equal(echo_client_call(path, message, timeout_ms, &outcome), 0);
	assert_int_equal(outcome.done, 0);
	echo_client_until(&outcome.done, 1);
	return outcome;
}

void echo_client_assert_echo(void)
{
	struct outcome outcome = echo_client_ask("/test.Echo/Unary", "hello", 0);

	assert_int_equal(outcome.status, SL_GRPC_OK);
	assert_int_equal(outcome.length, 5);
	assert_memory_equal(outcome.message, "hello", 5);
	free(outcome.message);
}
