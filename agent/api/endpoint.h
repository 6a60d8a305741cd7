/* SPDX-License-Identifier: Apache-2.0 */
/* Where a server listens and a client connects: TCP on a numeric address, or a Unix socket. */
#ifndef SL_API_ENDPOINT_H
#define SL_API_ENDPOINT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/error.h"

struct sl_endpoint {
	struct sockaddr_storage address;
	socklen_t length;
};

#define SL_ENDPOINT_TEXT 128

/* "127.0.0.1:50063", "[::1]:50063", "unix:/run/sluice/api.sock". Names are not resolved. -EINVAL. */
int sl_endpoint_parse(const char *text, struct sl_endpoint *out, struct sl_error *err);
bool sl_endpoint_is_unix(const struct sl_endpoint *endpoint);

/*
 * A listening, non-blocking socket. A Unix socket has mode 0600; a socket file
 * that nobody answers on is replaced, one that answers is -EADDRINUSE.
 */
int sl_endpoint_listen(const struct sl_endpoint *endpoint, int *out, struct sl_error *err);

/* A non-blocking socket whose connection may still be on its way. */
int sl_endpoint_connect(const struct sl_endpoint *endpoint, int *out, struct sl_error *err);

/* The port a TCP socket is bound to, in host order. */
int sl_endpoint_port(int fd, uint16_t *port);

/* Options of a connected TCP socket: no delay, and keep-alive so that a peer without power is noticed. */
void sl_endpoint_tune(int fd);

/* Who is at the other end: "127.0.0.1:40912", or "unix:uid=0,pid=123" by SO_PEERCRED. */
void sl_endpoint_peer(int fd, char text[SL_ENDPOINT_TEXT], bool *local);

#endif
