// SPDX-License-Identifier: Apache-2.0
#include "api/h2.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

uint64_t sl_h2_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void on_flush(evutil_socket_t fd, short what, void *user)
{
	(void)fd;
	(void)what;
	sl_h2_batch_flush(user);
}

int sl_h2_batch_init(struct sl_h2_batch *batch, struct event_base *base)
{
	batch->buffer = malloc(SL_H2_BUFFER);
	if (!batch->buffer)
		return -ENOMEM;
	batch->base = base;
	TAILQ_INIT(&batch->dirty);
	event_assign(&batch->flush, base, -1, 0, on_flush, batch);
	return 0;
}

void sl_h2_batch_release(struct sl_h2_batch *batch)
{
	if (!batch->buffer)
		return;
	event_del(&batch->flush);
	free(batch->buffer);
	batch->buffer = NULL;
}

void sl_h2_flush_later(struct sl_h2 *h2)
{
	if (h2->is_dirty)
		return;
	h2->is_dirty = true;
	/* an event made active now runs after all that this round of the loop has found */
	if (TAILQ_EMPTY(&h2->batch->dirty))
		event_active(&h2->batch->flush, EV_TIMEOUT, 0);
	TAILQ_INSERT_TAIL(&h2->batch->dirty, h2, link);
}

void sl_h2_close(struct sl_h2 *h2, const char *why)
{
	if (h2->closing)
		return;
	h2->closing = true;
	if (!h2->why)
		h2->why = why;
	event_del(&h2->readable);
	event_del(&h2->writable);
	sl_h2_flush_later(h2);
}

void sl_h2_terminate(struct sl_h2 *h2, uint32_t error_code, const char *why)
{
	if (h2->closing)
		return;
	if (!h2->why)
		h2->why = why;
	if (nghttp2_session_terminate_session(h2->session, error_code))
		sl_h2_close(h2, why);
	else
		sl_h2_flush_later(h2);
}

/* Sends what it can of the parts and keeps the rest; false when the connection is over or blocked. */
static bool send_parts(struct sl_h2 *h2, const uint8_t *first, size_t first_length, const uint8_t *second,
		       size_t second_length)
{
	struct iovec parts[2] = {
		{.iov_base = (void *)first, .iov_len = first_length},
		{.iov_base = (void *)second, .iov_len = second_length},
	};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
	size_t total = first_length + second_length;
	size_t sent, from_first;
	ssize_t rc;

	do {
		rc = sendmsg(h2->fd, &message, MSG_NOSIGNAL);
	} while (rc < 0 && errno == EINTR);
	if (rc < 0 && errno != EAGAIN) {
		sl_h2_close(h2, "the peer has closed the connection");
		return false;
	}
	sent = rc > 0 ? (size_t)rc : 0;
	if (sent > 0)
		h2->output_ms = sl_h2_now_ms();
	if (sent == total)
		return true;

	h2->pending = malloc(total - sent);
	if (!h2->pending) {
		sl_h2_close(h2, "out of memory");
		return false;
	}
	from_first = sent < first_length ? first_length - sent : 0;
	if (from_first > 0)
		memcpy(h2->pending, first + sent, from_first);
	if (second_length > 0)
		memcpy(h2->pending + from_first, second + second_length - (total - sent - from_first),
		       total - sent - from_first);
	h2->pending_length = total - sent;
	h2->pending_sent = 0;
	h2->output_ms = sl_h2_now_ms();
	event_add(&h2->writable, NULL);
	if (!h2->reads_while_blocked)
		event_del(&h2->readable);
	return false;
}

static void write_session(struct sl_h2 *h2)
{
	uint8_t *buffer = h2->batch->buffer;
	const uint8_t *frame;
	size_t used = 0;
	ssize_t rc;

	if (h2->connecting || h2->pending)
		return;
	while ((rc = nghttp2_session_mem_send(h2->session, &frame)) > 0) {
		if (used + (size_t)rc <= SL_H2_BUFFER) {
			memcpy(buffer + used, frame, (size_t)rc);
			used += (size_t)rc;
			continue;
		}
		if (!send_parts(h2, buffer, used, frame, (size_t)rc))
			return;
		used = 0;
	}
	if (rc < 0) {
		sl_h2_close(h2, nghttp2_strerror((int)rc));
		return;
	}
	if (used > 0 && !send_parts(h2, buffer, used, NULL, 0))
		return;
	if (!nghttp2_session_want_read(h2->session) && !nghttp2_session_want_write(h2->session))
		sl_h2_close(h2, "the session has ended");
}

void sl_h2_batch_flush(struct sl_h2_batch *batch)
{
	struct sl_h2 *h2;

	while ((h2 = TAILQ_FIRST(&batch->dirty))) {
		TAILQ_REMOVE(&batch->dirty, h2, link);
		h2->is_dirty = false;
		if (!h2->closing)
			write_session(h2);
		if (h2->deaf)
			sl_h2_close(h2, "");
		if (!h2->closing)
			continue;
		/* closing has put it on the list again */
		if (h2->is_dirty) {
			TAILQ_REMOVE(&batch->dirty, h2, link);
			h2->is_dirty = false;
		}
		h2->on_closed(h2);
	}
}

static void on_readable(evutil_socket_t fd, short what, void *user)
{
	struct sl_h2 *h2 = user;
	ssize_t length, taken;

	(void)what;
	do {
		length = recv(fd, h2->batch->buffer, SL_H2_BUFFER, 0);
	} while (length < 0 && errno == EINTR);
	if (length < 0 && errno == EAGAIN)
		return;
	if (length <= 0) {
		sl_h2_close(h2, "the peer has closed the connection");
		return;
	}
	h2->input_ms = sl_h2_now_ms();
	taken = nghttp2_session_mem_recv(h2->session, h2->batch->buffer, (size_t)length);
	if (h2->closing)
		return;
	if (taken < 0) {
		h2->deaf = true;
		event_del(&h2->readable);
		sl_h2_terminate(h2, NGHTTP2_PROTOCOL_ERROR, nghttp2_strerror((int)taken));
		return;
	}
	sl_h2_flush_later(h2);
}

static void on_writable(evutil_socket_t fd, short what, void *user)
{
	struct sl_h2 *h2 = user;
	socklen_t length = sizeof(int);
	ssize_t rc;
	int error = 0;

	(void)what;
	if (h2->connecting) {
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
		if (error) {
			sl_h2_close(h2, strerrordesc_np(error));
			return;
		}
		h2->connecting = false;
		event_add(&h2->readable, NULL);
	} else if (h2->pending) {
		do {
			rc = send(fd, h2->pending + h2->pending_sent, h2->pending_length - h2->pending_sent,
				  MSG_NOSIGNAL);
		} while (rc < 0 && errno == EINTR);
		if (rc < 0 && errno == EAGAIN)
			return;
		if (rc < 0) {
			sl_h2_close(h2, "the peer has closed the connection");
			return;
		}
		h2->pending_sent += (size_t)rc;
		h2->output_ms = sl_h2_now_ms();
		if (h2->pending_sent < h2->pending_length)
			return;
		free(h2->pending);
		h2->pending = NULL;
		event_add(&h2->readable, NULL);
	}
	event_del(&h2->writable);
	sl_h2_flush_later(h2);
}

void sl_h2_start(struct sl_h2 *h2, struct sl_h2_batch *batch, int fd, nghttp2_session *session)
{
	h2->batch = batch;
	h2->fd = fd;
	h2->session = session;
	h2->input_ms = sl_h2_now_ms();
	h2->output_ms = h2->input_ms;
	event_assign(&h2->readable, batch->base, fd, EV_READ | EV_PERSIST, on_readable, h2);
	event_assign(&h2->writable, batch->base, fd, EV_WRITE | EV_PERSIST, on_writable, h2);
	if (h2->connecting)
		event_add(&h2->writable, NULL);
	else
		event_add(&h2->readable, NULL);
	sl_h2_flush_later(h2);
}

void sl_h2_release(struct sl_h2 *h2)
{
	event_del(&h2->readable);
	event_del(&h2->writable);
	if (h2->is_dirty)
		TAILQ_REMOVE(&h2->batch->dirty, h2, link);
	h2->is_dirty = false;
	nghttp2_session_del(h2->session);
	free(h2->pending);
	close(h2->fd);
	h2->fd = -1;
}
