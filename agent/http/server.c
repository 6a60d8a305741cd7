// SPDX-License-Identifier: Apache-2.0
#include "http/server.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

/*
 * evhttp has no bound on connections and tells of the end of one only once it
 * has had a request. So each is held by a reference of ours, until evhttp says
 * that it is over or its time is.
 */
struct connection {
	LIST_ENTRY(connection) link;
	struct sl_http *http;
	struct bufferevent *socket;
	struct evhttp_connection *asked; /* NULL: no request yet; valid until it tells of its end */
	struct event deadline;
};

struct sl_http {
	struct event_base *base;
	struct sl_http_ops ops;
	void *user;
	struct evhttp *server;
	struct evconnlistener *listener; /* the server's; NULL: it is being freed */
	LIST_HEAD(, connection) connections;
	unsigned int open;
};

/* --- connections: how many, how long -------------------------------------------------- */

static void forget(struct connection *connection)
{
	struct sl_http *http = connection->http;

	if (connection->asked)
		evhttp_connection_set_closecb(connection->asked, NULL, NULL);
	event_del(&connection->deadline);
	LIST_REMOVE(connection, link);
	bufferevent_decref(connection->socket);
	free(connection);
	http->open--;
	if (http->listener)
		evconnlistener_enable(http->listener);
}

/* Where evhttp still has it, it finds it closed, whichever side it was waiting for. */
static void on_deadline(evutil_socket_t fd, short what, void *user)
{
	struct connection *connection = user;

	(void)fd;
	(void)what;
	shutdown(bufferevent_getfd(connection->socket), SHUT_RDWR);
	forget(connection);
}

static void on_closed(struct evhttp_connection *closed, void *user)
{
	(void)closed;
	forget(user);
}

static struct bufferevent *accept_connection(struct event_base *base, void *user)
{
	struct timeval life = {.tv_sec = SL_HTTP_LIFE_MS / 1000, .tv_usec = SL_HTTP_LIFE_MS % 1000 * 1000};
	struct connection *connection = calloc(1, sizeof(*connection));
	struct sl_http *http = user;

	if (!connection)
		return NULL;
	connection->http = http;
	connection->socket = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	if (!connection->socket) {
		free(connection);
		return NULL;
	}
	bufferevent_incref(connection->socket);
	event_assign(&connection->deadline, base, -1, 0, on_deadline, connection);
	event_add(&connection->deadline, &life);
	LIST_INSERT_HEAD(&http->connections, connection, link);
	if (++http->open == SL_HTTP_CONNECTIONS)
		evconnlistener_disable(http->listener);
	return connection->socket;
}

static void tell_when_closed(struct sl_http *http, struct evhttp_connection *asked)
{
	struct connection *connection;

	LIST_FOREACH(connection, &http->connections, link)
	{
		if (connection->socket == evhttp_connection_get_bufferevent(asked)) {
			connection->asked = asked;
			evhttp_connection_set_closecb(asked, on_closed, connection);
			return;
		}
	}
}

/* --- requests ---------------------------------------------------------------------------- */

/* The body is in the request's output buffer; evhttp would send it after a HEAD too. */
static void reply(struct evhttp_request *request, int code, const char *type)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
	struct evbuffer *body = evhttp_request_get_output_buffer(request);
	char length[24];

	evhttp_add_header(headers, "Content-Type", type);
	evhttp_add_header(headers, "Cache-Control", "no-store");
	evhttp_add_header(headers, "Connection", "close");
	if (evhttp_request_get_command(request) == EVHTTP_REQ_HEAD) {
		snprintf(length, sizeof(length), "%zu", evbuffer_get_length(body));
		evhttp_add_header(headers, "Content-Length", length);
		evbuffer_drain(body, evbuffer_get_length(body));
	}
	evhttp_send_reply(request, code, NULL, NULL);
}

static void reply_line(struct evhttp_request *request, int code, const char *text)
{
	evbuffer_add_printf(evhttp_request_get_output_buffer(request), "%s\n", text);
	reply(request, code, "text/plain; charset=utf-8");
}

static void reply_metrics(struct evhttp_request *request, struct sl_http *http,
			  void (*metrics_of)(struct sl_metrics *metrics, void *user))
{
	struct sl_metrics metrics = {.out = evhttp_request_get_output_buffer(request)};

	metrics_of(&metrics, http->user);
	reply(request, HTTP_OK, SL_METRICS_CONTENT_TYPE);
}

static void on_request(struct evhttp_request *request, void *user)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
	const char *path = uri ? evhttp_uri_get_path(uri) : NULL;
	enum evhttp_cmd_type method = evhttp_request_get_command(request);
	struct sl_http *http = user;
	struct sl_error why = {{0}};

	tell_when_closed(http, evhttp_request_get_connection(request));
	if (method != EVHTTP_REQ_GET && method != EVHTTP_REQ_HEAD) {
		evhttp_add_header(evhttp_request_get_output_headers(request), "Allow", "GET, HEAD");
		reply_line(request, HTTP_BADMETHOD, "only GET and HEAD are served");
	} else if (path && strcmp(path, "/metrics") == 0) {
		reply_metrics(request, http, http->ops.metrics);
	} else if (path && strcmp(path, "/metrics/classes") == 0) {
		reply_metrics(request, http, http->ops.class_metrics);
	} else if (path && strcmp(path, "/healthz") == 0) {
		reply_line(request, HTTP_OK, "ok");
	} else if (path && strcmp(path, "/readyz") == 0) {
		if (http->ops.ready(&why, http->user))
			reply_line(request, HTTP_OK, "ready");
		else
			reply_line(request, HTTP_SERVUNAVAIL, why.text);
	} else {
		reply_line(request, HTTP_NOTFOUND,
			   "there are /metrics, /metrics/classes, /healthz and /readyz");
	}
}

/* --- the server ---------------------------------------------------------------------------- */

static int open_listener(struct sl_http *http, const char *address, struct sl_error *err)
{
	const unsigned int options = LEV_OPT_REUSEABLE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_CLOSE_ON_FREE;
	struct sockaddr_storage where;
	int length = sizeof(where);

	if (evutil_parse_sockaddr_port(address, (struct sockaddr *)&where, &length) < 0)
		return sl_error(err, EINVAL, "\"%s\" is no numeric address with a port", address);
	http->listener = evconnlistener_new_bind(http->base, NULL, NULL, options, -1,
						 (struct sockaddr *)&where, length);
	if (!http->listener)
		return sl_error(err, errno ? errno : EIO, "cannot listen on %s: %s", address,
				strerror(errno));
	if (!evhttp_bind_listener(http->server, http->listener)) {
		evconnlistener_free(http->listener);
		return sl_error(err, ENOMEM, "out of memory");
	}
	return 0;
}

int sl_http_new(struct event_base *base, const char *address, const struct sl_http_ops *ops, void *user,
		struct sl_http **out, struct sl_error *err)
{
	struct sl_http *http = calloc(1, sizeof(*http));
	int rc;

	if (!http)
		return sl_error(err, ENOMEM, "out of memory");
	http->base = base;
	http->ops = *ops;
	http->user = user;
	LIST_INIT(&http->connections);
	http->server = evhttp_new(base);
	if (!http->server) {
		free(http);
		return sl_error(err, ENOMEM, "out of memory");
	}
	rc = open_listener(http, address, err);
	if (rc < 0) {
		sl_http_free(http);
		return rc;
	}
	evhttp_set_bevcb(http->server, accept_connection, http);
	evhttp_set_gencb(http->server, on_request, http);
	evhttp_set_max_headers_size(http->server, SL_HTTP_HEADERS);
	evhttp_set_max_body_size(http->server, SL_HTTP_BODY);
	/* all that evhttp knows, so that the answer is ours */
	evhttp_set_allowed_methods(http->server, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST |
							 EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |
							 EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE |
							 EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH);
	*out = http;
	return 0;
}

void sl_http_free(struct sl_http *http)
{
	if (!http)
		return;
	http->listener = NULL;
	evhttp_free(http->server); /* and with it the connections that had a request */
	while (!LIST_EMPTY(&http->connections))
		forget(LIST_FIRST(&http->connections));
	free(http);
}
