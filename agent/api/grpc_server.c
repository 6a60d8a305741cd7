// SPDX-License-Identifier: Apache-2.0
/* The server: its limits, its clock, its drain and its methods. */
#include "api/grpc_server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Rapid reset (CVE-2023-44487): streams a client may reset at once, and again per second; then GOAWAY. */
#define RESET_BURST 1000
#define RESET_RATE  33

/* How long a client may take to hear the shutdown notice before its last stream is named. */
#define DRAIN_NOTICE_MS 100

static void set_default(uint32_t *value, uint32_t fallback)
{
	if (*value == 0)
		*value = fallback;
}

static void set_defaults(struct sl_grpc_limits *limits)
{
	if (limits->message == 0)
		limits->message = 16 * 1024 * 1024;
	if (limits->held_requests == 0)
		limits->held_requests = 64 * 1024 * 1024;
	if (limits->held_responses == 0)
		limits->held_responses = 128 * 1024 * 1024;
	set_default(&limits->connections, 512);
	set_default(&limits->streams, 256);
	set_default(&limits->queue, 64);
	set_default(&limits->preface_ms, 5000);
	set_default(&limits->request_ms, 20000);
	set_default(&limits->stall_ms, 20000);
	set_default(&limits->idle_ms, 600000);
}

/* Often enough that no timer is late by more than a quarter, but not more than a hundred times a second. */
static uint32_t tick_of(const struct sl_grpc_limits *limits)
{
	uint32_t least = limits->preface_ms;

	if (limits->request_ms < least)
		least = limits->request_ms;
	if (limits->stall_ms < least)
		least = limits->stall_ms;
	if (limits->idle_ms < least)
		least = limits->idle_ms;
	least /= 4;
	if (least > 1000)
		return 1000;
	return least < 10 ? 10 : least;
}

/* --- time --------------------------------------------------------------- */

static void check_drain(struct sl_grpc_server *server, uint64_t now)
{
	struct sl_conn *conn;

	TAILQ_FOREACH(conn, &server->conns, link)
	{
		if (now - server->drain_ms >= server->drain_limit_ms)
			sl_h2_terminate(&conn->h2, NGHTTP2_NO_ERROR, "shutting down");
		else if (now - server->drain_ms >= DRAIN_NOTICE_MS)
			sl_conn_drain(conn);
		if (now - server->drain_ms >= server->drain_limit_ms && conn->h2.pending)
			sl_h2_close(&conn->h2, "shutting down");
	}
	sl_h2_batch_flush(&server->batch);
	if (TAILQ_EMPTY(&server->conns)) {
		event_del(&server->tick);
		server->is_ticking = false;
		server->is_draining = false;
		server->on_drained(server->drained_user);
	}
}

static void on_tick(evutil_socket_t fd, short what, void *user)
{
	struct sl_grpc_server *server = user;
	uint64_t now = sl_h2_now_ms();
	struct sl_conn *conn;

	(void)fd;
	(void)what;
	TAILQ_FOREACH(conn, &server->conns, link)
	{
		if (!conn->h2.closing)
			sl_conn_check(conn, now);
	}
	if (server->is_draining) {
		check_drain(server, now);
	} else if (TAILQ_EMPTY(&server->conns)) {
		event_del(&server->tick);
		server->is_ticking = false;
	}
}

void sl_grpc_server_drain(struct sl_grpc_server *server, uint32_t limit_ms, void (*on_drained)(void *user),
			  void *user)
{
	struct timeval every = sl_after_ms(DRAIN_NOTICE_MS / 2);
	struct sl_listener *listener;
	struct sl_conn *conn;

	TAILQ_FOREACH(listener, &server->listeners, link)
	{
		event_del(&listener->readable);
		event_del(&listener->retry);
	}
	TAILQ_FOREACH(conn, &server->conns, link)
	{
		nghttp2_submit_shutdown_notice(conn->h2.session);
		sl_h2_flush_later(&conn->h2);
	}
	server->is_draining = true;
	server->drain_ms = sl_h2_now_ms();
	server->drain_limit_ms = limit_ms;
	server->on_drained = on_drained;
	server->drained_user = user;
	server->is_ticking = true;
	event_add(&server->tick, &every);
}

/* --- methods ------------------------------------------------------------ */

static int add_method(struct sl_grpc_server *server, const char *path, sl_grpc_handler handler, void *user,
		      bool is_stream)
{
	size_t length = strlen(path);
	struct sl_method *method;

	if (path[0] != '/' || !strchr(path + 1, '/'))
		return -EINVAL;
	HASH_FIND(hh, server->methods, path, length, method);
	if (method)
		return -EEXIST;
	method = calloc(1, sizeof(*method));
	if (!method)
		return -ENOMEM;
	method->path = strdup(path);
	if (!method->path) {
		free(method);
		return -ENOMEM;
	}
	method->handler = handler;
	method->user = user;
	method->is_stream = is_stream;
	HASH_ADD_KEYPTR(hh, server->methods, method->path, length, method);
	return 0;
}

int sl_grpc_register(struct sl_grpc_server *server, const char *path, sl_grpc_handler handler, void *user)
{
	return add_method(server, path, handler, user, false);
}

int sl_grpc_register_stream(struct sl_grpc_server *server, const char *path, sl_grpc_handler handler,
			    void *user)
{
	return add_method(server, path, handler, user, true);
}

/* --- the server --------------------------------------------------------- */

int sl_grpc_server_new(struct event_base *base, const struct sl_grpc_limits *limits,
		       struct sl_grpc_server **out, struct sl_error *err)
{
	struct sl_grpc_server *server = calloc(1, sizeof(*server));

	if (!server)
		return sl_error(err, ENOMEM, "out of memory");
	if (limits)
		server->limits = *limits;
	set_defaults(&server->limits);
	server->requests.limit = server->limits.held_requests;
	server->responses.limit = server->limits.held_responses;
	server->tick_ms = tick_of(&server->limits);
	TAILQ_INIT(&server->listeners);
	TAILQ_INIT(&server->conns);
	event_assign(&server->tick, base, -1, EV_PERSIST, on_tick, server);
	if (sl_h2_batch_init(&server->batch, base) || nghttp2_session_callbacks_new(&server->callbacks) ||
	    nghttp2_option_new(&server->option)) {
		sl_grpc_server_free(server);
		return sl_error(err, ENOMEM, "out of memory");
	}
	sl_session_callbacks(server->callbacks);
	nghttp2_option_set_stream_reset_rate_limit(server->option, RESET_BURST, RESET_RATE);
	*out = server;
	return 0;
}

void sl_grpc_server_free(struct sl_grpc_server *server)
{
	struct sl_method *method, *next;
	struct sl_listener *listener;
	struct sl_conn *conn;

	if (!server)
		return;
	while ((listener = TAILQ_FIRST(&server->listeners)))
		sl_listener_remove(listener);
	/* one attempt to say goodbye, with the answers that are on their way; nobody waits for slow peers */
	TAILQ_FOREACH(conn, &server->conns, link)
	{
		sl_h2_terminate(&conn->h2, NGHTTP2_NO_ERROR, "shutting down");
		conn->h2.deaf = true;
		sl_h2_flush_later(&conn->h2);
	}
	if (server->batch.buffer)
		sl_h2_batch_flush(&server->batch);
	sl_h2_batch_release(&server->batch);
	event_del(&server->tick);
	HASH_ITER (hh, server->methods, method, next) {
		HASH_DEL(server->methods, method);
		free(method->path);
		free(method);
	}
	nghttp2_session_callbacks_del(server->callbacks);
	nghttp2_option_del(server->option);
	free(server);
}

void sl_grpc_server_stats(const struct sl_grpc_server *server, struct sl_grpc_server_stats *out)
{
	*out = server->stats;
}
