/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One HTTP/2 connection: a non-blocking socket, an nghttp2 session and what
 * carries bytes between them. Servers and clients put their own callbacks on
 * the session.
 *
 * Output is not written where it is made. A connection with news is put on the
 * batch's list, and the list is worked off once per round of the event loop:
 * the answers of all requests that came in one read leave in one send. A
 * connection that ends is released there too, so its session may be used until
 * the callback at hand has returned.
 */
#ifndef SL_API_H2_H
#define SL_API_H2_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

/* Also the most that waits for a blocked socket, give or take a frame. */
#define SL_H2_BUFFER (64 * 1024)

struct sl_h2 {
	TAILQ_ENTRY(sl_h2) link; /* on the batch's list while is_dirty */
	struct sl_h2_batch *batch;
	nghttp2_session *session;
	int fd;
	struct event readable;
	struct event writable;
	uint8_t *pending; /* what the socket did not take; NULL: it took all */
	size_t pending_length;
	size_t pending_sent;
	uint64_t input_ms;  /* when bytes last came, CLOCK_MONOTONIC */
	uint64_t output_ms; /* when the socket last took bytes */
	bool is_dirty;
	bool connecting;
	bool deaf; /* reads no more; closes after one attempt to write */
	bool closing;
	bool reads_while_blocked; /* a client must, or both sides wait for each other */
	const char *why;	  /* once closing: a static text */
	/* The connection is over: release what belongs to it, then call sl_h2_release. */
	void (*on_closed)(struct sl_h2 *h2);
};

struct sl_h2_batch {
	struct event_base *base;
	struct event flush;
	TAILQ_HEAD(sl_h2_list, sl_h2) dirty;
	uint8_t *buffer; /* input while reading, output while flushing: never both */
};

int sl_h2_batch_init(struct sl_h2_batch *batch, struct event_base *base);
void sl_h2_batch_release(struct sl_h2_batch *batch);

/* Works the list off now; for shutting down. */
void sl_h2_batch_flush(struct sl_h2_batch *batch);

/*
 * Takes fd and session over. Everything else in *h2 is zero or set by the
 * caller beforehand (connecting, reads_while_blocked, on_closed).
 */
void sl_h2_start(struct sl_h2 *h2, struct sl_h2_batch *batch, int fd, nghttp2_session *session);

/* Closes the socket and frees the session and buffers, not *h2. */
void sl_h2_release(struct sl_h2 *h2);

/* CLOCK_MONOTONIC in milliseconds. */
uint64_t sl_h2_now_ms(void);

/* Something was submitted to the session. */
void sl_h2_flush_later(struct sl_h2 *h2);

/* GOAWAY with an NGHTTP2_* code, and the end as soon as it is written. */
void sl_h2_terminate(struct sl_h2 *h2, uint32_t error_code, const char *why);

/* The end without a word; on_closed follows from the event loop. */
void sl_h2_close(struct sl_h2 *h2, const char *why);

/* A header field made of constants, which nghttp2 need not copy. */
#define SL_H2_CONSTANT_FLAGS (NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE)
#define SL_H2_CONSTANT(name, value)                                                         \
	{                                                                                   \
		(uint8_t *)(name), (uint8_t *)(value), sizeof(name) - 1, sizeof(value) - 1, \
			SL_H2_CONSTANT_FLAGS                                                \
	}

#endif
