/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gRPC service to try the transport on. Messages are raw bytes.
 *
 * /test.Echo/Unary      the message comes back
 * /test.Echo/Later      the same after 100 ms
 * /test.Echo/Fail       "CODE TEXT" ends the call with that status
 * /test.Echo/Never      no answer
 * /test.Echo/Grow       "N": an answer of N bytes
 * /test.Echo/Count      "N": N messages "0", "1", ...
 * /test.Echo/Watch      the message again and again, every 5 ms
 * /test.Echo/Chat       each message comes back as it arrives
 * /test.Echo/Peer       who the server takes the client for
 */
#ifndef ECHO_SERVICE_H
#define ECHO_SERVICE_H

#include <event2/event.h>

#include "api/grpc.h"

struct echo {
	struct event_base *base;
	unsigned int open;    /* calls of Later, Never and Watch that wait */
	unsigned int gone;    /* of them: ended by the client or the server */
	unsigned int dropped; /* messages of Watch that found the queue full */
	unsigned int calls;   /* of Unary */
	size_t last_length;   /* of Unary's last message */
};

/* The memory is the caller's and outlives the server. */
int echo_register(struct echo *echo, struct event_base *base, struct sl_grpc_server *server);

#endif
