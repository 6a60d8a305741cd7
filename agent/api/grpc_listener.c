// SPDX-License-Identifier: Apache-2.0
/* A listener of the server: a TCP or Unix socket that connections are taken from. */
#include "api/grpc_server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"

/* Connections taken from one listener in one round of the loop. */
#define ACCEPT_BATCH	64
#define ACCEPT_RETRY_MS 100

static void on_connection(evutil_socket_t listening, short what, void *user)
{
	struct sl_listener *listener = user;
	struct timeval later = sl_after_ms(ACCEPT_RETRY_MS);

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
			sl_conn_make_room(listener->server);
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

void sl_listener_remove(struct sl_listener *listener)
{
	struct stat st;

	/* the file may be another server's by now */
	if (listener->path && stat(listener->path, &st) == 0 && st.st_dev == listener->device &&
	    st.st_ino == listener->inode)
		unlink(listener->path);
	event_del(&listener->readable);
	event_del(&listener->retry);
	close(listener->fd);
	TAILQ_REMOVE(&listener->server->listeners, listener, link);
	free(listener->path);
	free(listener);
}
