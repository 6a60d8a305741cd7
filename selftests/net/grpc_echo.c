// SPDX-License-Identifier: Apache-2.0
/*
 * A server for foreign gRPC clients and load generators to be tried on: the
 * echo service (selftests/lib/echo_service.h), health and reflection.
 *
 *	grpc_echo PORT SOCKET      port 0: a free one; prints it, and serves until SIGTERM
 */
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>

#include "api/grpc.h"
#include "api/health.h"
#include "api/reflection.h"
#include "echo_service.h"

static struct event_base *base;

static void on_drained(void *user)
{
	(void)user;
	event_base_loopbreak(base);
}

static void on_term(evutil_socket_t number, short what, void *user)
{
	(void)number;
	(void)what;
	sl_grpc_server_drain(user, 2000, on_drained, NULL);
}

int main(int argc, char **argv)
{
	struct sl_grpc_server *server = NULL;
	struct sl_health *health = NULL;
	struct sl_error err = {.text = "out of memory"};
	struct event *term;
	struct echo echo;
	char address[64];
	uint16_t port = 0;

	if (argc != 3) {
		fprintf(stderr, "usage: grpc_echo PORT SOCKET\n");
		return 2;
	}
	base = event_base_new();
	snprintf(address, sizeof(address), "127.0.0.1:%s", argv[1]);
	if (!base || sl_grpc_server_new(base, NULL, &server, &err) ||
	    sl_grpc_listen_tcp(server, address, &port, &err) || sl_grpc_listen_unix(server, argv[2], &err) ||
	    echo_register(&echo, base, server) || sl_health_new(server, &health) ||
	    sl_reflection_register(server)) {
		fprintf(stderr, "grpc_echo: %s\n", err.text);
		return 1;
	}
	sl_health_set(health, "", true);
	sl_health_set(health, "test.Echo", true);
	term = evsignal_new(base, SIGTERM, on_term, server);
	evsignal_add(term, NULL);
	printf("%u\n", port);
	fflush(stdout);
	event_base_dispatch(base);
	event_free(term);
	sl_grpc_server_free(server);
	sl_health_free(health);
	event_base_free(base);
	return 0;
}
