// SPDX-License-Identifier: Apache-2.0
#include "api/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/cleanup.h"

#define BACKLOG 512

static int parse_unix(const char *path, struct sl_endpoint *out, struct sl_error *err)
{
	struct sockaddr_un *sun = (struct sockaddr_un *)&out->address;

	if (!*path)
		return sl_error(err, EINVAL, "the path of the Unix socket is empty");
	if (strlen(path) >= sizeof(sun->sun_path))
		return sl_error(err, EINVAL, "socket path '%s' is longer than %zu bytes", path,
				sizeof(sun->sun_path) - 1);
	sun->sun_family = AF_UNIX;
	strcpy(sun->sun_path, path);
	out->length = sizeof(*sun);
	return 0;
}

static int parse_port(const char *text, uint16_t *port)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long value;

	if (digits == 0 || digits > 5 || text[digits])
		return -EINVAL;
	value = strtoul(text, NULL, 10);
	if (value > UINT16_MAX)
		return -EINVAL;
	*port = (uint16_t)value;
	return 0;
}

int sl_endpoint_parse(const char *text, struct sl_endpoint *out, struct sl_error *err)
{
	struct sl_endpoint parsed = {.length = 0};
	struct sockaddr_in *sin = (struct sockaddr_in *)&parsed.address;
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)&parsed.address;
	const char *colon = strrchr(text, ':');
	char host[INET6_ADDRSTRLEN + 2];
	size_t host_length;
	uint16_t port;
	int rc;

	if (strncmp(text, "unix:", 5) == 0) {
		rc = parse_unix(text + 5, &parsed, err);
		if (rc == 0)
			*out = parsed;
		return rc;
	}
	host_length = colon ? (size_t)(colon - text) : 0;
	if (host_length == 0 || host_length >= sizeof(host) || parse_port(colon + 1, &port))
		goto bad;
	memcpy(host, text, host_length);
	host[host_length] = '\0';
	if (host[0] == '[' && host[host_length - 1] == ']') {
		host[host_length - 1] = '\0';
		if (inet_pton(AF_INET6, host + 1, &sin6->sin6_addr) != 1)
			goto bad;
		sin6->sin6_family = AF_INET6;
		sin6->sin6_port = htons(port);
		parsed.length = sizeof(*sin6);
	} else {
		if (inet_pton(AF_INET, host, &sin->sin_addr) != 1)
			goto bad;
		sin->sin_family = AF_INET;
		sin->sin_port = htons(port);
		parsed.length = sizeof(*sin);
	}
	*out = parsed;
	return 0;
bad:
	return sl_error(err, EINVAL, "address '%s' is none of 127.0.0.1:PORT, [::1]:PORT, unix:PATH", text);
}

bool sl_endpoint_is_unix(const struct sl_endpoint *endpoint)
{
	return endpoint->address.ss_family == AF_UNIX;
}

static void format(const struct sockaddr_storage *address, char text[SL_ENDPOINT_TEXT])
{
	const struct sockaddr_in *sin = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *sin6 = (const struct sockaddr_in6 *)address;
	const struct sockaddr_un *sun = (const struct sockaddr_un *)address;
	char host[INET6_ADDRSTRLEN] = "?";

	switch (address->ss_family) {
	case AF_INET:
		inet_ntop(AF_INET, &sin->sin_addr, host, sizeof(host));
		snprintf(text, SL_ENDPOINT_TEXT, "%s:%u", host, ntohs(sin->sin_port));
		break;
	case AF_INET6:
		inet_ntop(AF_INET6, &sin6->sin6_addr, host, sizeof(host));
		snprintf(text, SL_ENDPOINT_TEXT, "[%s]:%u", host, ntohs(sin6->sin6_port));
		break;
	default:
		snprintf(text, SL_ENDPOINT_TEXT, "unix:%.*s", (int)sizeof(sun->sun_path), sun->sun_path);
	}
}

/* Only a socket that refuses connections is stale; anything else stays where it is. */
static int remove_stale(const struct sl_endpoint *endpoint, struct sl_error *err)
{
	const struct sockaddr_un *sun = (const struct sockaddr_un *)&endpoint->address;
	_cleanup_fd_ int probe = -1;
	struct stat st;

	if (lstat(sun->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : sl_error(err, errno, "%s: %s", sun->sun_path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return sl_error(err, EEXIST, "%s exists and is not a socket", sun->sun_path);
	probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (probe < 0)
		return sl_error(err, errno, "%s: socket: %s", sun->sun_path, strerror(errno));
	/* EAGAIN: its backlog is full, so somebody listens */
	if (connect(probe, (const struct sockaddr *)sun, endpoint->length) == 0 || errno == EAGAIN)
		return sl_error(err, EADDRINUSE, "%s: another server answers on this socket", sun->sun_path);
	if (errno != ECONNREFUSED && errno != ENOENT)
		return sl_error(err, errno, "%s: %s", sun->sun_path, strerror(errno));
	if (unlink(sun->sun_path) < 0 && errno != ENOENT)
		return sl_error(err, errno, "%s: unlink: %s", sun->sun_path, strerror(errno));
	return 0;
}

static int bind_unix(int fd, const struct sl_endpoint *endpoint)
{
	mode_t before = umask(0177);
	int rc = bind(fd, (const struct sockaddr *)&endpoint->address, endpoint->length);
	int code = errno;

	umask(before);
	errno = code;
	return rc;
}

int sl_endpoint_listen(const struct sl_endpoint *endpoint, int *out, struct sl_error *err)
{
	_cleanup_fd_ int fd = -1;
	char text[SL_ENDPOINT_TEXT];
	int one = 1, off = 0, rc;

	format(&endpoint->address, text);
	fd = socket(endpoint->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return sl_error(err, errno, "%s: socket: %s", text, strerror(errno));
	if (sl_endpoint_is_unix(endpoint)) {
		rc = remove_stale(endpoint, err);
		if (rc < 0)
			return rc;
		rc = bind_unix(fd, endpoint);
	} else {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		/* [::] takes both families whatever the host's default is */
		if (endpoint->address.ss_family == AF_INET6)
			setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
		rc = bind(fd, (const struct sockaddr *)&endpoint->address, endpoint->length);
	}
	if (rc < 0 || listen(fd, BACKLOG) < 0)
		return sl_error(err, errno, "cannot listen on %s: %s", text, strerror(errno));
	*out = SL_TAKE_FD(fd);
	return 0;
}

int sl_endpoint_connect(const struct sl_endpoint *endpoint, int *out, struct sl_error *err)
{
	_cleanup_fd_ int fd = -1;
	char text[SL_ENDPOINT_TEXT];

	format(&endpoint->address, text);
	fd = socket(endpoint->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return sl_error(err, errno, "%s: socket: %s", text, strerror(errno));
	sl_endpoint_tune(fd);
	if (connect(fd, (const struct sockaddr *)&endpoint->address, endpoint->length) < 0 &&
	    errno != EINPROGRESS)
		return sl_error(err, errno, "%s: %s", text, strerror(errno));
	*out = SL_TAKE_FD(fd);
	return 0;
}

int sl_endpoint_port(int fd, uint16_t *port)
{
	struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
	socklen_t length = sizeof(address);

	if (getsockname(fd, (struct sockaddr *)&address, &length) < 0)
		return -errno;
	switch (address.ss_family) {
	case AF_INET:
		*port = ntohs(((struct sockaddr_in *)&address)->sin_port);
		return 0;
	case AF_INET6:
		*port = ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
		return 0;
	default:
		return -EAFNOSUPPORT;
	}
}

void sl_endpoint_tune(int fd)
{
	int one = 1, idle_s = 60, between_s = 10, probes = 3, unacknowledged_ms = 20000;

	/* on a Unix socket these fail, and are not needed */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &between_s, sizeof(between_s));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged_ms, sizeof(unacknowledged_ms));
}

void sl_endpoint_peer(int fd, char text[SL_ENDPOINT_TEXT], bool *local)
{
	struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
	socklen_t length = sizeof(address);
	struct ucred credentials;

	*local = false;
	snprintf(text, SL_ENDPOINT_TEXT, "?");
	/* a peer that has left again has no name any more */
	if (getpeername(fd, (struct sockaddr *)&address, &length) < 0)
		return;
	*local = address.ss_family == AF_UNIX;
	if (!*local) {
		format(&address, text);
		return;
	}
	length = sizeof(credentials);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) < 0)
		snprintf(text, SL_ENDPOINT_TEXT, "unix:?");
	else
		snprintf(text, SL_ENDPOINT_TEXT, "unix:uid=%u,pid=%d", credentials.uid, (int)credentials.pid);
}
