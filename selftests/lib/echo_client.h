/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our client, the echo service and its server in one event base, and what a
 * test asks of them. Whatever goes wrong in here fails the running cmocka test.
 */
#ifndef ECHO_CLIENT_H
#define ECHO_CLIENT_H

#include <stdint.h>

#include "api/grpc.h"
#include "echo_service.h"

/* Of the running test. */
struct echo_client {
	struct event_base *base;
	struct sl_grpc_server *server; /* NULL: none */
	struct sl_grpc_client *client; /* NULL: none */
	struct echo echo;
	char address[80]; /* that the client calls */
	uint16_t port;
};
extern struct echo_client echo_client;

struct outcome {
	unsigned int done;
	unsigned int messages;
	enum sl_grpc_status status;
	char text[128];
	uint8_t *message;
	size_t length;
};

/* cmocka test setup and teardown: an event base; frees client and server, no call of the service is left. */
int echo_client_set_up(void **state);
int echo_client_tear_down(void **state);

/* A server with the echo service at ADDRESS:PORT, 127.0.0.1 for the client. */
void echo_client_serve(const char *where, const struct sl_grpc_limits *limits);
void echo_client_connect(void);

uint64_t echo_client_now_ms(void);
/* The event base runs: so long; until the number is reached, for ten seconds at most. */
void echo_client_run(int ms);
void echo_client_until(const unsigned int *number, unsigned int wanted);

/* For sl_grpc_client_call; `user` is the outcome. */
void echo_client_on_message(const uint8_t *message, size_t length, void *user);
void echo_client_on_done(enum sl_grpc_status status, const char *text, const uint8_t *message, size_t length,
			 void *user);
int echo_client_call(const char *path, const char *message, uint32_t timeout_ms, struct outcome *outcome);

/* Calls and waits; the answer's bytes are freed by the caller. */
struct outcome echo_client_ask(const char *path, const char *message, uint32_t timeout_ms);
void echo_client_assert_echo(void);

#endif
