// SPDX-License-Identifier: Apache-2.0
#include "api/grpc_server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"

#define STREAM_WINDOW	  (256 * 1024)
#define CONNECTION_WINDOW (4 * 1024 * 1024)

/* Rapid reset (CVE-2023-44487): streams a client may reset at once, and again per second; then GOAWAY. */
#define RESET_BURST 1000
#define RESET_RATE  33

/* Connections taken from one listener in one round of the loop. */
#define ACCEPT_BATCH	64
#define ACCEPT_RETRY_MS 100

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

static struct timeval after_ms(uint32_t ms)
{
	return (struct timeval){.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
}

/* --- connections -------------------------------------------------------- */

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

static void make_room(struct sl_grpc_server *server)
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
	struct timeval every = after_ms(server->tick_ms);

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
		make_room(server);
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

/* --- time --------------------------------------------------------------- */

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

static void check_conn(struct sl_conn *conn, uint64_t now)
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

static void drain_conn(struct sl_conn *conn, uint64_t now)
{
	if (conn->is_going || now - conn->server->drain_ms < DRAIN_NOTICE_MS)
		return;
	conn->is_going = true;
	nghttp2_submit_goaway(conn->h2.session, NGHTTP2_FLAG_NONE,
			      nghttp2_session_get_last_proc_stream_id(conn->h2.session), NGHTTP2_NO_ERROR,
			      NULL, 0);
	sl_h2_flush_later(&conn->h2);
}

static void check_drain(struct sl_grpc_server *server, uint64_t now)
{
	struct sl_conn *conn;

	TAILQ_FOREACH(conn, &server->conns, link)
	{
		if (now - server->drain_ms >= server->drain_limit_ms)
			sl_h2_terminate(&conn->h2, NGHTTP2_NO_ERROR, "shutting down");
		else
			drain_conn(conn, now);
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
			check_conn(conn, now);
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
	struct timeval every = after_ms(DRAIN_NOTICE_MS / 2);
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

/* --- listeners ---------------------------------------------------------- */

static void on_connection(evutil_socket_t listening, short what, void *user)
{
	struct sl_listener *listener = user;
	struct timeval later = after_ms(ACCEPT_RETRY_MS);

	(void)what;
	for (int i = 0; i < ACCEPT_BATCH; i++) {
		int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			sl_conn_open(listener->server, fd, NULL);
			continue;
		}
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		if (errno != EAGAIN) {
			/* no descriptor or no memory: the event would come again at once and change nothing
			 */
			sl_log(SL_LOG_WARNING, "grpc-accept-failed", "error", "%s", strerrordesc_np(errno),
			       NULL);
			make_room(listener->server);
			event_del(&listener->readable);
			event_add(&listener->retry, &later);
		}
		return;
	}
}

static void on_retry(evutil_socket_t fd, short what, void *user)
{
	struct sl_listener *listener = user;

	(void)fd;
	(void)what;
	event_add(&listener->readable, NULL);
}

static int add_listener(struct sl_grpc_server *server, const struct sl_endpoint *endpoint, int *fd,
			struct sl_error *err)
{
	struct sl_listener *listener = calloc(1, sizeof(*listener));
	int rc;

	if (!listener)
		return sl_error(err, ENOMEM, "out of memory");
	rc = sl_endpoint_listen(endpoint, &listener->fd, err);
	if (rc < 0) {
		free(listener);
		return rc;
	}
	listener->server = server;
	event_assign(&listener->readable, server->batch.base, listener->fd, EV_READ | EV_PERSIST,
		     on_connection, listener);
	evtimer_assign(&listener->retry, server->batch.base, on_retry, listener);
	event_add(&listener->readable, NULL);
	TAILQ_INSERT_TAIL(&server->listeners, listener, link);
	*fd = listener->fd;
	return 0;
}

int sl_grpc_listen_tcp(struct sl_grpc_server *server, const char *address, uint16_t *port,
		       struct sl_error *err)
{
	struct sl_endpoint endpoint;
	int fd, rc;

	rc = sl_endpoint_parse(address, &endpoint, err);
	if (rc < 0)
		return rc;
	if (sl_endpoint_is_unix(&endpoint))
		return sl_error(err, EINVAL, "address '%s' is not ADDRESS:PORT", address);
	rc = add_listener(server, &endpoint, &fd, err);
	if (rc == 0 && port)
		rc = sl_endpoint_port(fd, port);
	return rc;
}

int sl_grpc_listen_unix(struct sl_grpc_server *server, const char *path, struct sl_error *err)
{
	char text[sizeof("unix:") + sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
	struct sl_listener *listener;
	struct sl_endpoint endpoint;
	struct stat st;
	int fd, rc;

	snprintf(text, sizeof(text), "unix:%s", path);
	rc = sl_endpoint_parse(text, &endpoint, err);
	if (rc < 0)
		return rc;
	rc = add_listener(server, &endpoint, &fd, err);
	if (rc < 0)
		return rc;
	listener = TAILQ_LAST(&server->listeners, sl_listener_list);
	listener->path = strdup(path);
	if (listener->path && stat(path, &st) == 0) {
		listener->device = st.st_dev;
		listener->inode = st.st_ino;
	}
	return 0;
}

static void remove_listener(struct sl_grpc_server *server, struct sl_listener *listener)
{
	struct stat st;

	/* the file may be another server's by now */
	if (listener->path && stat(listener->path, &st) == 0 && st.st_dev == listener->device &&
	    st.st_ino == listener->inode)
		unlink(listener->path);
	event_del(&listener->readable);
	event_del(&listener->retry);
	close(listener->fd);
	TAILQ_REMOVE(&server->listeners, listener, link);
	free(listener->path);
	free(listener);
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
		remove_listener(server, listener);
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
