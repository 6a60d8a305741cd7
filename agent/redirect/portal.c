// SPDX-License-Identifier: Apache-2.0
#include "redirect/portal.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "policy/redirect.h"
#include "sluice/limits.h"

#define BACKLOG	  128
#define NS_PER_S  1000000000ull
#define TICK_MS	  500
#define FAMILIES  2
#define JSON_TYPE "application/captive+json"

/* By then the servers' addresses have been asked for again, most often (servers.h). */
#define RETRY_AFTER_S "10"

struct connection {
	struct bufferevent *stream; /* a reference of ours; NULL: the slot is free */
	uint64_t since_ns;
	struct sl_address client; /* family 0: not looked at yet */
	bool is_stranger;	  /* has no session */
};

struct sl_portal {
	struct sl_portal_config config;
	struct evhttp *http;
	int socket[FAMILIES]; /* the listeners' */
	struct evconnlistener *listener[FAMILIES];
	struct event *tick;
	struct connection connections[SL_PORTAL_CONNECTIONS];
	struct sl_portal_counters counters;
};

/* --- answers ------------------------------------------------------------------- */

static bool address_of(const struct sockaddr_storage *from, struct sl_address *out, uint16_t *port)
{
	*out = (struct sl_address){.family = 0};
	if (from->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)from;

		out->family = 4;
		memcpy(out->bytes, &in->sin_addr, 4);
		*port = ntohs(in->sin_port);
	} else if (from->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)from;

		out->family = 6;
		memcpy(out->bytes, &in->sin6_addr, 16);
		*port = ntohs(in->sin6_port);
	}
	return out->family != 0;
}

static bool client_of(int fd, struct sl_address *out)
{
	struct sockaddr_storage name;
	socklen_t size = sizeof(name);
	uint16_t port;

	return getpeername(fd, (struct sockaddr *)&name, &size) == 0 && address_of(&name, out, &port);
}

static uint16_t local_port(int fd)
{
	struct sockaddr_storage name;
	socklen_t size = sizeof(name);
	struct sl_address address;
	uint16_t port = 0;

	if (getsockname(fd, (struct sockaddr *)&name, &size) == 0)
		address_of(&name, &address, &port);
	return port;
}

static void location_of(const struct sl_rule *rule, char out[SLUICE_REDIRECT_SIZE + 16])
{
	const size_t size = SLUICE_REDIRECT_SIZE + 16;

	if (rule->redirect == SLUICE_REDIRECT_IPV4)
		snprintf(out, size, "http://%s/", rule->redirect_address);
	else if (rule->redirect == SLUICE_REDIRECT_IPV6)
		snprintf(out, size, "http://[%s]/", rule->redirect_address);
	else
		snprintf(out, size, "%s", rule->redirect_address);
}

/* One request a connection: what comes next may have to be judged anew. */
static void reply(struct evhttp_request *request, int code, const char *reason, struct evbuffer *body)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);

	evhttp_add_header(headers, "Cache-Control", "no-store");
	evhttp_add_header(headers, "Connection", "close");
	evhttp_send_reply(request, code, reason, body);
}

static void refuse(struct sl_portal *portal, struct evhttp_request *request, int code, const char *reason)
{
	portal->counters.refused++;
	reply(request, code, reason, NULL);
}

static void reply_captive(struct sl_portal *portal, struct evhttp_request *request,
			  const struct sl_rule *rule)
{
	struct evbuffer *body = evbuffer_new();
	_cleanup_free_ char *text = NULL;
	char location[SLUICE_REDIRECT_SIZE + 16];
	json_t *answer;

	if (rule)
		location_of(rule, location);
	answer = rule ? json_pack("{s:b, s:s}", "captive", 1, "user-portal-url", location)
		      : json_pack("{s:b}", "captive", 0);
	text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;
	json_decref(answer);
	if (!text || !body || evbuffer_add(body, text, strlen(text)) < 0) {
		refuse(portal, request, HTTP_INTERNAL, "Internal Server Error");
	} else {
		evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", JSON_TYPE);
		portal->counters.api++;
		reply(request, HTTP_OK, "OK", body);
	}
	if (body)
		evbuffer_free(body);
}

static void redirect(struct sl_portal *portal, struct evhttp_request *request, const struct sl_rule *rule)
{
	char location[SLUICE_REDIRECT_SIZE + 16];

	location_of(rule, location);
	evhttp_add_header(evhttp_request_get_output_headers(request), "Location", location);
	portal->counters.redirected++;
	reply(request, HTTP_MOVETEMP, "Found", NULL);
}

/*
 * He asks for the very host that he would be sent to: he has an address of it
 * that is not open here, and would be sent round in circles.
 */
static bool is_own_server(struct evhttp_request *request, const struct sl_rule *rule)
{
	const char *asked = evhttp_request_get_host(request);
	char host[SL_REDIRECT_HOST_SIZE];
	size_t length;

	if (!asked)
		return false;
	length = strlen(asked);
	if (length > 0 && asked[length - 1] == '.')
		length--;
	return sl_redirect_host(rule, host) && strlen(host) == length &&
	       strncasecmp(host, asked, length) == 0;
}

static void refuse_own_server(struct sl_portal *portal, struct evhttp_request *request,
			      const struct sl_rule *rule)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
	struct evbuffer *body = evbuffer_new();
	char host[SL_REDIRECT_HOST_SIZE];

	sl_redirect_host(rule, host);
	if (body)
		evbuffer_add_printf(body,
				    "The address of %s that you were led to is not known here yet. "
				    "Please try again in a moment.\n",
				    host);
	evhttp_add_header(headers, "Content-Type", "text/plain");
	evhttp_add_header(headers, "Retry-After", RETRY_AFTER_S);
	portal->counters.refused++;
	reply(request, HTTP_SERVUNAVAIL, "Service Unavailable", body);
	if (body)
		evbuffer_free(body);
}

static bool wants_api(struct evhttp_request *request)
{
	const char *accept = evhttp_find_header(evhttp_request_get_input_headers(request), "Accept");
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
	const char *path = uri ? evhttp_uri_get_path(uri) : NULL;

	return (accept && strcasestr(accept, JSON_TYPE)) || (path && strcmp(path, SL_PORTAL_API) == 0);
}

static void on_request(struct evhttp_request *request, void *user)
{
	const enum evhttp_cmd_type method = evhttp_request_get_command(request);
	struct evhttp_connection *connection = evhttp_request_get_connection(request);
	int fd = bufferevent_getfd(evhttp_connection_get_bufferevent(connection));
	struct sl_portal *portal = user;
	const struct sl_rule *rule = NULL;
	bool api = wants_api(request);
	struct sl_address client;

	if (!client_of(fd, &client) || portal->config.redirect_of(&client, &rule, portal->config.user) < 0 ||
	    (!api && (!rule || local_port(fd) == portal->config.port))) {
		refuse(portal, request, HTTP_NOTFOUND, "Not Found");
	} else if (method != EVHTTP_REQ_GET && method != EVHTTP_REQ_HEAD && method != EVHTTP_REQ_POST) {
		evhttp_add_header(evhttp_request_get_output_headers(request), "Allow", "GET, HEAD, POST");
		refuse(portal, request, HTTP_BADMETHOD, "Method Not Allowed");
	} else if (api) {
		reply_captive(portal, request, rule);
	} else if (is_own_server(request, rule)) {
		refuse_own_server(portal, request, rule);
	} else {
		redirect(portal, request, rule);
	}
}

/* --- bounds ------------------------------------------------------------------------ */

static void listen_again(struct sl_portal *portal, bool on)
{
	for (int i = 0; i < FAMILIES; i++) {
		if (!portal->listener[i])
			continue;
		if (on)
			evconnlistener_enable(portal->listener[i]);
		else
			evconnlistener_disable(portal->listener[i]);
	}
}

/* evhttp has let go of a connection when nobody is told of its events any more. */
static bool is_over(const struct connection *connection)
{
	bufferevent_event_cb on_event = NULL;

	bufferevent_getcb(connection->stream, NULL, NULL, &on_event, NULL);
	return on_event == NULL;
}

static unsigned int connections_of(const struct sl_portal *portal, const struct sl_address *client)
{
	unsigned int count = 0;

	for (size_t i = 0; i < SL_PORTAL_CONNECTIONS; i++) {
		const struct connection *other = &portal->connections[i];

		if (other->stream && other->client.family && sl_address_same_endpoint(&other->client, client))
			count++;
	}
	return count;
}

/* The end of it reaches evhttp as the end of input. */
static void end(struct sl_portal *portal, const struct connection *connection)
{
	shutdown(bufferevent_getfd(connection->stream), SHUT_RDWR);
	portal->counters.closed++;
}

static size_t strangers(const struct sl_portal *portal)
{
	size_t count = 0;

	for (size_t i = 0; i < SL_PORTAL_CONNECTIONS; i++)
		count += portal->connections[i].stream && portal->connections[i].is_stranger;
	return count;
}

static void check(struct sl_portal *portal, struct connection *connection, uint64_t now)
{
	int fd = bufferevent_getfd(connection->stream);
	const struct sl_rule *rule;
	struct sl_address client;

	if (fd < 0)
		return;
	if (now - connection->since_ns > SL_PORTAL_LIFE_S * NS_PER_S) {
		end(portal, connection);
		return;
	}
	if (connection->client.family || !client_of(fd, &client))
		return;
	connection->is_stranger = portal->config.redirect_of(&client, &rule, portal->config.user) < 0;
	if (connections_of(portal, &client) >= SL_PORTAL_PER_CLIENT ||
	    (connection->is_stranger && strangers(portal) > SL_PORTAL_STRANGERS))
		end(portal, connection);
	connection->client = client;
}

static void sweep(struct sl_portal *portal)
{
	uint64_t now = sl_now_ns();

	for (size_t i = 0; i < SL_PORTAL_CONNECTIONS; i++) {
		struct connection *connection = &portal->connections[i];

		if (!connection->stream)
			continue;
		if (is_over(connection)) {
			bufferevent_decref(connection->stream);
			*connection = (struct connection){.stream = NULL};
			portal->counters.open--;
		} else {
			check(portal, connection, now);
		}
	}
}

static void on_tick(evutil_socket_t fd, short what, void *user)
{
	struct sl_portal *portal = user;

	(void)fd;
	(void)what;
	sweep(portal);
	if (portal->counters.open < SL_PORTAL_CONNECTIONS)
		listen_again(portal, true);
}

/* No descriptor is left, mostly: without a pause this would be asked again at once, for ever. */
static void on_accept_error(struct evconnlistener *listener, void *user)
{
	(void)user;
	evconnlistener_disable(listener);
}

/* evhttp has accepted a connection and asks for its stream, of which it says no more. */
static struct bufferevent *on_connection(struct event_base *base, void *user)
{
	struct sl_portal *portal = user;
	struct bufferevent *stream;

	sweep(portal);
	stream = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	if (!stream)
		return NULL;
	for (size_t i = 0; i < SL_PORTAL_CONNECTIONS; i++) {
		struct connection *connection = &portal->connections[i];

		if (connection->stream)
			continue;
		bufferevent_incref(stream);
		*connection = (struct connection){.stream = stream, .since_ns = sl_now_ns()};
		portal->counters.open++;
		break;
	}
	if (portal->counters.open == SL_PORTAL_CONNECTIONS)
		listen_again(portal, false);
	/*
	 * Whose it is can be asked as soon as evhttp has given the stream its socket.
	 * Not as a timeout: each of these would put off the next real one.
	 */
	event_active(portal->tick, EV_READ, 0);
	return stream;
}

/* --- beginning and end ----------------------------------------------------------------- */

static int set_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

/*
 * Transparent, so that a connection to any address is accepted in its name. The
 * mark is one that leads nowhere: where the host copies a connection's mark from
 * its first packet (net.ipv4.tcp_fwmark_accept), the answers would come back.
 */
static int open_socket(uint16_t port, bool ip6, int *out)
{
	struct sockaddr_in any4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	const struct sockaddr *any = ip6 ? (struct sockaddr *)&any6 : (struct sockaddr *)&any4;
	_cleanup_fd_ int fd = -1;
	int rc;

	fd = socket(any->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	rc = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (rc == 0)
		rc = set_option(fd, SOL_SOCKET, SO_MARK, SLUICE_MARK_ANSWER);
	if (rc == 0)
		rc = ip6 ? set_option(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
			 : set_option(fd, IPPROTO_IP, IP_TRANSPARENT, 1);
	if (rc == 0 && ip6)
		rc = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (rc < 0)
		return rc;
	if (bind(fd, any, ip6 ? sizeof(any6) : sizeof(any4)) < 0 || listen(fd, BACKLOG) < 0)
		return -errno;
	*out = SL_TAKE_FD(fd);
	return 0;
}

static int listen_on(struct sl_portal *portal, bool ip6, struct sl_error *err)
{
	_cleanup_fd_ int fd = -1;
	int rc;

	rc = open_socket(portal->config.port, ip6, &fd);
	if (ip6 && (rc == -EAFNOSUPPORT || rc == -EADDRNOTAVAIL))
		return 0;
	if (rc < 0)
		return sl_error(err, -rc, "redirect.portal_port: cannot listen on port %u (IPv%d): %s",
				portal->config.port, ip6 ? 6 : 4, strerror(-rc));
	portal->listener[ip6] = evconnlistener_new(portal->config.base, NULL, NULL,
						   LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, -1, fd);
	if (!portal->listener[ip6])
		return sl_error(err, ENOMEM, "redirect: out of memory");
	portal->socket[ip6] = SL_TAKE_FD(fd);
	evconnlistener_set_error_cb(portal->listener[ip6], on_accept_error);
	if (!evhttp_bind_listener(portal->http, portal->listener[ip6])) {
		evconnlistener_free(portal->listener[ip6]);
		portal->listener[ip6] = NULL;
		return sl_error(err, ENOMEM, "redirect: out of memory");
	}
	return 0;
}

static int start_http(struct sl_portal *portal, struct sl_error *err)
{
	const struct timeval tick = {.tv_usec = TICK_MS * 1000};

	portal->http = evhttp_new(portal->config.base);
	portal->tick = event_new(portal->config.base, -1, EV_PERSIST, on_tick, portal);
	if (!portal->http || !portal->tick || event_add(portal->tick, &tick) < 0)
		return sl_error(err, ENOMEM, "redirect: out of memory");
	evhttp_set_max_headers_size(portal->http, SL_PORTAL_HEADERS);
	evhttp_set_max_body_size(portal->http, SL_PORTAL_BODY);
	evhttp_set_timeout(portal->http, SL_PORTAL_IDLE_S);
	evhttp_set_default_content_type(portal->http, NULL);
	evhttp_set_allowed_methods(portal->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST |
							 EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |
							 EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE |
							 EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH);
	evhttp_set_bevcb(portal->http, on_connection, portal);
	evhttp_set_gencb(portal->http, on_request, portal);
	return 0;
}

int sl_portal_new(const struct sl_portal_config *config, struct sl_portal **out, struct sl_error *err)
{
	struct sl_portal *portal = calloc(1, sizeof(*portal));
	int rc;

	if (!portal)
		return sl_error(err, ENOMEM, "redirect: out of memory");
	portal->config = *config;
	portal->socket[0] = portal->socket[1] = -1;
	rc = start_http(portal, err);
	for (int ip6 = 0; rc == 0 && ip6 < FAMILIES; ip6++)
		rc = listen_on(portal, ip6, err);
	if (rc < 0) {
		sl_portal_free(portal);
		return rc;
	}
	*out = portal;
	return 0;
}

void sl_portal_free(struct sl_portal *portal)
{
	if (!portal)
		return;
	if (portal->http)
		evhttp_free(portal->http); /* and listeners and connections */
	for (size_t i = 0; i < SL_PORTAL_CONNECTIONS; i++)
		if (portal->connections[i].stream)
			bufferevent_decref(portal->connections[i].stream);
	if (portal->tick)
		event_free(portal->tick);
	free(portal);
}

int sl_portal_socket(const struct sl_portal *portal, uint32_t family)
{
	return portal->socket[family == 6];
}

struct sl_portal_counters sl_portal_counters(const struct sl_portal *portal)
{
	return portal->counters;
}
