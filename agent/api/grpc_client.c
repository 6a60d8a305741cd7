// SPDX-License-Identifier: Apache-2.0
#include "api/grpc_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MOST_MS	 5000

/* From connect to the server's SETTINGS. */
#define CONNECT_SECONDS 5

#define STREAM_WINDOW	  (1024 * 1024)
#define CONNECTION_WINDOW (16 * 1024 * 1024)

static void attempt_failed(struct sl_grpc_client *client, const char *why)
{
	client->backoff_ms = client->backoff_ms ? client->backoff_ms * 2 : BACKOFF_FIRST_MS;
	if (client->backoff_ms > BACKOFF_MOST_MS)
		client->backoff_ms = BACKOFF_MOST_MS;
	client->retry_ms = sl_h2_now_ms() + client->backoff_ms;
	snprintf(client->why, sizeof(client->why), "%s", why);
}

void sl_client_conn_ready(struct sl_client_conn *conn)
{
	conn->is_ready = true;
	event_del(&conn->timeout);
	conn->client->backoff_ms = 0;
	conn->client->retry_ms = 0;
}

void sl_client_conn_retire(struct sl_client_conn *conn)
{
	if (conn->client->conn == conn)
		conn->client->conn = NULL;
}

static void conn_closed(struct sl_h2 *h2)
{
	struct sl_client_conn *conn = (struct sl_client_conn *)h2;
	struct sl_grpc_client *client = conn->client;
	struct sl_client_call *call;
	char text[256];

	/* first, so that a call made from on_done sees the state after this */
	sl_client_conn_retire(conn);
	TAILQ_REMOVE(&client->conns, conn, link);
	snprintf(text, sizeof(text), "%s: %s", client->address, h2->why);
	if (!conn->is_ready)
		attempt_failed(client, text);
	while ((call = TAILQ_FIRST(&conn->calls))) {
		sl_client_call_end(call, SL_GRPC_UNAVAILABLE, text);
		sl_client_call_free(call);
	}
	event_del(&conn->timeout);
	sl_h2_release(h2);
	free(conn);
}

static void on_timeout(evutil_socket_t fd, short what, void *user)
{
	struct sl_client_conn *conn = user;

	(void)fd;
	(void)what;
	sl_h2_close(&conn->h2, conn->h2.connecting ? "no connection in time" : "no HTTP/2 SETTINGS in time");
}

static int new_session(struct sl_client_conn *conn, nghttp2_session **out)
{
	const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, SL_CLIENT_HEADERS},
	};
	nghttp2_session *session;

	if (nghttp2_session_client_new(&session, conn->client->callbacks, conn))
		return -ENOMEM;
	if (nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, SL_ARRAY_SIZE(settings)) ||
	    nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW)) {
		nghttp2_session_del(session);
		return -ENOMEM;
	}
	*out = session;
	return 0;
}

static int open_conn(struct sl_grpc_client *client, struct sl_error *err)
{
	_cleanup_free_ struct sl_client_conn *conn = calloc(1, sizeof(*conn));
	struct timeval patience = {.tv_sec = CONNECT_SECONDS};
	_cleanup_fd_ int fd = -1;
	nghttp2_session *session;
	int rc;

	if (!conn)
		return sl_error(err, ENOMEM, "out of memory");
	rc = sl_endpoint_connect(&client->endpoint, &fd, err);
	if (rc < 0)
		return rc;
	conn->client = client;
	conn->h2.connecting = true;
	conn->h2.reads_while_blocked = true;
	conn->h2.on_closed = conn_closed;
	TAILQ_INIT(&conn->calls);
	rc = new_session(conn, &session);
	if (rc < 0)
		return sl_error(err, rc, "out of memory");
	sl_h2_start(&conn->h2, &client->batch, SL_TAKE_FD(fd), session);
	evtimer_assign(&conn->timeout, client->batch.base, on_timeout, conn);
	evtimer_add(&conn->timeout, &patience);
	TAILQ_INSERT_TAIL(&client->conns, conn, link);
	client->conn = conn;
	conn = NULL;
	return 0;
}

/* A connection for a new call, or false with the reason in client->why. */
static bool has_conn(struct sl_grpc_client *client)
{
	struct sl_error err = {.text = ""};

	if (client->conn && client->conn->h2.closing)
		client->conn = NULL;
	if (client->conn)
		return true;
	if (sl_h2_now_ms() < client->retry_ms)
		return false;
	if (open_conn(client, &err) == 0)
		return true;
	attempt_failed(client, err.text);
	return false;
}

static int submit(struct sl_client_call *call, const char *path, uint32_t timeout_ms)
{
	struct sl_grpc_client *client = call->client;
	struct sl_client_conn *conn = client->conn;
	int rc = sl_client_call_submit(call, conn, path, timeout_ms);

	if (rc != NGHTTP2_ERR_STREAM_ID_NOT_AVAILABLE)
		return rc;
	/* a connection has 2^30 streams; this one finishes those it has */
	sl_client_conn_retire(conn);
	nghttp2_submit_goaway(conn->h2.session, NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, NULL, 0);
	sl_h2_flush_later(&conn->h2);
	return has_conn(client) ? sl_client_call_submit(call, client->conn, path, timeout_ms) : rc;
}

static void on_tell_failed(evutil_socket_t fd, short what, void *user)
{
	struct sl_grpc_client *client = user;
	struct sl_client_call *call;

	(void)fd;
	(void)what;
	while ((call = TAILQ_FIRST(&client->failed))) {
		TAILQ_REMOVE(&client->failed, call, link);
		sl_client_call_end(call, client->is_freeing ? SL_GRPC_CANCELLED : SL_GRPC_UNAVAILABLE,
				   call->text);
		sl_client_call_free(call);
	}
}

static void fail_later(struct sl_client_call *call, const char *why)
{
	struct sl_grpc_client *client = call->client;

	call->text = strdup(why);
	TAILQ_INSERT_TAIL(&client->failed, call, link);
	event_active(&client->tell_failed, EV_TIMEOUT, 0);
}

int sl_grpc_client_call(struct sl_grpc_client *client, const char *path, const uint8_t *message,
			size_t length, uint32_t timeout_ms, sl_grpc_on_message on_message,
			sl_grpc_on_done on_done, void *user)
{
	struct sl_client_call *call;
	int rc;

	if (client->is_freeing)
		return -ESHUTDOWN;
	if (client->open >= SL_CLIENT_CALLS)
		return -EBUSY;
	if (length > SL_CLIENT_MESSAGE)
		return -EMSGSIZE;
	call = sl_client_call_new(client, message, length);
	if (!call)
		return -ENOMEM;
	call->on_message = on_message;
	call->on_done = on_done;
	call->user = user;
	client->open++;
	if (!has_conn(client)) {
		fail_later(call, client->why);
		return 0;
	}
	rc = submit(call, path, timeout_ms);
	if (rc < 0)
		fail_later(call, nghttp2_strerror(rc));
	return 0;
}

int sl_grpc_client_new(struct event_base *base, const char *address, struct sl_grpc_client **out,
		       struct sl_error *err)
{
	struct sl_endpoint endpoint;
	struct sl_grpc_client *client;
	int rc;

	rc = sl_endpoint_parse(address, &endpoint, err);
	if (rc < 0)
		return rc;
	client = calloc(1, sizeof(*client));
	if (!client)
		return sl_error(err, ENOMEM, "out of memory");
	client->endpoint = endpoint;
	client->responses.limit = SL_CLIENT_HELD;
	TAILQ_INIT(&client->conns);
	TAILQ_INIT(&client->failed);
	event_assign(&client->tell_failed, base, -1, 0, on_tell_failed, client);
	client->address = strdup(address);
	if (!client->address || sl_h2_batch_init(&client->batch, base) ||
	    nghttp2_session_callbacks_new(&client->callbacks)) {
		sl_grpc_client_free(client);
		return sl_error(err, ENOMEM, "out of memory");
	}
	sl_client_session_callbacks(client->callbacks);
	*out = client;
	return 0;
}

void sl_grpc_client_free(struct sl_grpc_client *client)
{
	struct sl_client_conn *conn;
	struct sl_client_call *call;

	if (!client)
		return;
	client->is_freeing = true;
	TAILQ_FOREACH(conn, &client->conns, link)
	{
		TAILQ_FOREACH(call, &conn->calls, link)
		sl_client_call_end(call, SL_GRPC_CANCELLED, "the client was closed");
		sl_h2_terminate(&conn->h2, NGHTTP2_NO_ERROR, "closed");
		conn->h2.deaf = true;
		sl_h2_flush_later(&conn->h2);
	}
	if (client->batch.buffer)
		sl_h2_batch_flush(&client->batch);
	sl_h2_batch_release(&client->batch);
	on_tell_failed(-1, 0, client);
	event_del(&client->tell_failed);
	nghttp2_session_callbacks_del(client->callbacks);
	free(client->address);
	free(client);
}
