// SPDX-License-Identifier: Apache-2.0
/*
 * Bytes from a hostile client into the server: over a socket pair, through
 * nghttp2, our framing and decompression, into handlers, and the answers back.
 * After every input the client leaves, and nothing may remain of it.
 *
 * The first byte says how deep the others begin: as they are; behind a preface;
 * or as the body of a request, plain or "gzip".
 */
#include <fcntl.h>
#include <nghttp2/nghttp2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/grpc_server.h"
#include "base/log.h"
#include "echo_service.h"
#include "h2_raw.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct event_base *base;
static struct sl_grpc_server *server;
static struct echo echo;

static void require(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "fuzz_grpc_frame: %s\n", what);
	abort();
}

static void start(void)
{
	const struct sl_grpc_limits limits = {
		.message = 100000, .held_requests = 200000, .held_responses = 300000};

	sl_log_set_level(SL_LOG_ERROR);
	base = event_base_new();
	require(base && sl_grpc_server_new(base, &limits, &server, NULL) == 0, "no server");
	require(echo_register(&echo, base, server) == 0, "no methods");
}

static void put_request(struct h2_raw *out, const char *path, bool is_gzip, const uint8_t *data, size_t size)
{
	static const char *const gzip[] = {"grpc-encoding", "gzip", NULL};
	const size_t half = size / 2;

	h2_request(out, 1, H2_END_HEADERS, path, is_gzip ? gzip : NULL);
	h2_frame(out, H2_DATA, 0, 1, data, half);
	h2_frame(out, H2_DATA, H2_END_STREAM, 1, data + half, size - half);
}

static void build(struct h2_raw *out, const uint8_t *data, size_t size)
{
	static const char *const paths[] = {"/test.Echo/Unary", "/test.Echo/Chat", "/test.Echo/Grow",
					    "/test.Echo/Watch"};
	uint8_t how = data[0];

	data++;
	size--;
	if (how & 3)
		h2_preface(out);
	if (how & 2)
		put_request(out, paths[how >> 2 & 3], how & 1, data, size < 16000 ? size : 16000);
	else
		h2_bytes(out, data, size);
}

static void swallow(int fd)
{
	uint8_t bytes[16384];

	while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct h2_raw out = {.out = NULL};
	struct sl_grpc_server_stats stats;
	size_t step, sent = 0;
	int pair[2];

	if (!server)
		start();
	if (size == 0)
		return 0;
	build(&out, data, size);
	/* in one piece, or in pieces of 1 to 64 bytes */
	step = data[0] & 0x80 ? (size_t)1 << (data[0] >> 4 & 7) : out.out_used;
	if (step * 64 < out.out_used)
		step = out.out_used / 64;
	require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0, "no sockets");
	require(sl_conn_open(server, pair[0], NULL) == 0, "no connection");
	while (sent < out.out_used) {
		ssize_t rc = send(pair[1], out.out + sent,
				  out.out_used - sent < step ? out.out_used - sent : step, MSG_NOSIGNAL);

		event_base_loop(base, EVLOOP_NONBLOCK);
		swallow(pair[1]);
		if (rc <= 0)
			break;
		sent += (size_t)rc;
	}
	close(pair[1]);
	for (int i = 0; i < 3; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	free(out.out);
	sl_grpc_server_stats(server, &stats);
	require(stats.connections == 0, "the connection is still there");
	require(server->requests.used == 0, "request bytes are still held");
	require(server->responses.used == 0, "response bytes are still held");
	require(echo.open == 0, "a handler was not told that its client left");
	return 0;
}
