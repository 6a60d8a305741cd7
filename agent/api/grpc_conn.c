// SPDX-License-Identifier: Apache-2.0
/* A connection of the server: how it begins and ends, and how long it may take for what. */
#include "api/grpc_server.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/log.h"

#define STREAM_WINDOW	  (256 * 1024)
#define CONNECTION_WINDOW (4 * 1024 * 1024)

static void conn_closed(struct sl_h2 *h2)
{
	struct sl_conn *conn = (struct sl_conn *)h2;
	struct sl_grpc_server *server = conn->server;
	struct sl_call *call;

	sl_log(SL_LOG_DEBUG, "grpc-connection-closed", "peer", "%s", conn->peer, "reason", "%s", h2->why,
	       NULL);
	while ((call = TAILQ_FIRST(&conn->calls)))
		sl_call_free(call);
	TAILQ_REMOVE(&server->conns, conn, link);
	server->stats.connections--;
	sl_h2_release(h2);
	free(conn);
}

/* The one that makes room: without calls before with calls, then the longest silent. */
static struct sl_conn *longest_silent(struct sl_grpc_server *server)
{
	struct sl_conn *best = NULL, *conn;
	bool best_is_busy = false;

	TAILQ_FOREACH(conn, &server->conns, link)
	{
		bool is_busy = !TAILQ_EMPTY(&conn->calls);

		if (conn->h2.closing || (best && is_busy && !best_is_busy))
			continue;
		if (best && is_busy == best_is_busy && conn->h2.input_ms >= best->h2.input_ms)
			continue;
		best = conn;
		best_is_busy = is_busy;
	}
	return best;
}

void sl_conn_make_room(struct sl_grpc_server *server)
{
	struct sl_conn *conn = longest_silent(server);

	if (conn)
		sl_h2_close(&conn->h2, "closed for a newer connection");
	sl_h2_batch_flush(&server->batch);
}

static int new_session(struct sl_conn *conn, nghttp2_session **out)
{
	struct sl_grpc_server *server = conn->server;
	const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, server->limits.streams},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, SL_HEADERS_ANSWER},
		{NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
	};
	nghttp2_session *session;

	if (nghttp2_session_server_new2(&session, server->callbacks, conn, server->option))
		return -ENOMEM;
	if (nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, SL_ARRAY_SIZE(settings)) ||
	    nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW)) {
		nghttp2_session_del(session);
		return -ENOMEM;
	}
	*out = session;
	return 0;
}

static void start_ticking(struct sl_grpc_server *server)
{
	struct timeval every = sl_after_ms(server->tick_ms);

	if (!server->is_ticking)
		event_add(&server->tick, &every);
	server->is_ticking = true;
}

int sl_conn_open(struct sl_grpc_server *server, int socket, struct sl_conn **out)
{
	_cleanup_fd_ int fd = socket;
	_cleanup_free_ struct sl_conn *conn = NULL;
	nghttp2_session *session;
	int rc;

	while (server->stats.connections >= server->limits.connections)
		sl_conn_make_room(server);
	conn = calloc(1, sizeof(*conn));
	if (!conn)
		return -ENOMEM;
	conn->server = server;
	TAILQ_INIT(&conn->calls);
	TAILQ_INIT(&conn->incomplete);
	TAILQ_INIT(&conn->unsent);
	conn->opened_ms = sl_h2_now_ms();
	conn->idle_ms = conn->opened_ms;
	conn->h2.on_closed = conn_closed;
	sl_endpoint_peer(fd, conn->peer, &conn->is_local);
	if (!conn->is_local)
		sl_endpoint_tune(fd);
	rc = new_session(conn, &session);
	if (rc < 0)
		return rc;
	sl_h2_start(&conn->h2, &server->batch, SL_TAKE_FD(fd), session);
	TAILQ_INSERT_TAIL(&server->conns, conn, link);
	server->stats.connections++;
	start_ticking(server);
	if (out)
		*out = conn;
	conn = NULL;
	return 0;
}

static void check_requests(struct sl_conn *conn, uint64_t now)
{
	uint32_t limit = conn->server->limits.request_ms;
	struct sl_call *call;

	while ((call = TAILQ_FIRST(&conn->incomplete)) && now - call->begun_ms >= limit) {
		if (!call->headers_done) {
			/* between HEADERS and END_HEADERS the connection can carry nothing else */
			sl_h2_close(&conn->h2, "a request's headers did not end in time");
			return;
		}
		sl_call_abort(call, SL_GRPC_DEADLINE_EXCEEDED, "the request was not complete in time");
	}
}

void sl_conn_check(struct sl_conn *conn, uint64_t now)
{
	const struct sl_grpc_limits *limits = &conn->server->limits;
	struct sl_call *call;

	if (!conn->has_preface && now - conn->opened_ms >= limits->preface_ms) {
		sl_h2_close(&conn->h2, "no HTTP/2 preface in time");
		return;
	}
	if (conn->h2.pending && now - conn->h2.output_ms >= limits->stall_ms) {
		sl_h2_close(&conn->h2, "the peer takes no output");
		return;
	}
	if (TAILQ_EMPTY(&conn->calls) && now - conn->idle_ms >= limits->idle_ms) {
		sl_h2_terminate(&conn->h2, NGHTTP2_NO_ERROR, "idle");
		return;
	}
	check_requests(conn, now);
	while ((call = TAILQ_FIRST(&conn->unsent)) && now - call->progress_ms >= limits->stall_ms)
		sl_call_reset(call, NGHTTP2_CANCEL);
}

void sl_conn_drain(struct sl_conn *conn)
{
	if (conn->is_going)
		return;
	conn->is_going = true;
	nghttp2_submit_goaway(conn->h2.session, NGHTTP2_FLAG_NONE,
			      nghttp2_session_get_last_proc_stream_id(conn->h2.session), NGHTTP2_NO_ERROR,
			      NULL, 0);
	sl_h2_flush_later(&conn->h2);
}
