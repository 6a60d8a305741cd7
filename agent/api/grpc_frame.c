// SPDX-License-Identifier: Apache-2.0
#include "api/grpc_frame.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define FIRST_CAPACITY 4096

int sl_budget_take(struct sl_budget *budget, size_t bytes)
{
	if (bytes > budget->limit || budget->used > budget->limit - bytes)
		return -ENOMEM;
	budget->used += bytes;
	return 0;
}

void sl_budget_give(struct sl_budget *budget, size_t bytes)
{
	budget->used -= bytes;
}

void sl_frame_reader_init(struct sl_frame_reader *reader, struct sl_budget *budget, size_t limit)
{
	memset(reader, 0, sizeof(*reader));
	reader->budget = budget;
	reader->limit = limit;
}

void sl_frame_reader_reset(struct sl_frame_reader *reader)
{
	free(reader->message);
	sl_budget_give(reader->budget, reader->capacity);
	reader->message = NULL;
	reader->prefix_used = 0;
	reader->length = 0;
	reader->used = 0;
	reader->capacity = 0;
}

bool sl_frame_reader_is_empty(const struct sl_frame_reader *reader)
{
	return reader->prefix_used == 0;
}

static enum sl_frame_result failed(struct sl_frame_reader *reader, enum sl_grpc_status status,
				   const char *format, ...) __attribute__((format(printf, 3, 4)));

static enum sl_frame_result failed(struct sl_frame_reader *reader, enum sl_grpc_status status,
				   const char *format, ...)
{
	va_list args;

	sl_frame_reader_reset(reader);
	reader->status = status;
	va_start(args, format);
	vsnprintf(reader->text, sizeof(reader->text), format, args);
	va_end(args);
	return SL_FRAME_FAILED;
}

static enum sl_frame_result too_long(struct sl_frame_reader *reader, const char *what)
{
	return failed(reader, SL_GRPC_RESOURCE_EXHAUSTED, "%s is longer than the limit of %zu bytes", what,
		      reader->limit);
}

static enum sl_frame_result out_of_memory(struct sl_frame_reader *reader)
{
	return failed(reader, SL_GRPC_RESOURCE_EXHAUSTED, "the memory for messages being received is full");
}

/* Makes room for `need` bytes in all, never more than `most`. */
static int grow(struct sl_budget *budget, uint8_t **bytes, size_t *capacity, size_t need, size_t most)
{
	size_t wanted = *capacity < FIRST_CAPACITY ? FIRST_CAPACITY : *capacity * 2;
	uint8_t *moved;

	if (need <= *capacity)
		return 0;
	if (wanted < need)
		wanted = need;
	if (wanted > most)
		wanted = most;
	if (sl_budget_take(budget, wanted - *capacity))
		return -ENOMEM;
	moved = realloc(*bytes, wanted);
	if (!moved) {
		sl_budget_give(budget, wanted - *capacity);
		return -ENOMEM;
	}
	*bytes = moved;
	*capacity = wanted;
	return 0;
}

/* Z_STREAM_END, or a zlib error; Z_MEM_ERROR also for the budget and Z_BUF_ERROR for the limit. */
static int inflate_all(struct sl_frame_reader *reader, z_stream *stream, uint8_t **plain, size_t *capacity)
{
	int rc = Z_OK;

	while (rc == Z_OK) {
		if (stream->total_out > reader->limit)
			return Z_BUF_ERROR;
		/* one byte above the limit tells a message that is as long as it may be from a longer one */
		if (stream->total_out == *capacity &&
		    grow(reader->budget, plain, capacity, *capacity + 1, reader->limit + 1))
			return Z_MEM_ERROR;
		stream->next_out = *plain + stream->total_out;
		stream->avail_out = (uInt)(*capacity - stream->total_out);
		rc = inflate(stream, Z_NO_FLUSH);
		/* no room is no error: the next round makes some, or finds the limit */
		if (rc == Z_BUF_ERROR && stream->avail_out == 0)
			rc = Z_OK;
		else if (rc == Z_BUF_ERROR)
			rc = Z_DATA_ERROR;
	}
	if (rc == Z_STREAM_END && stream->total_out > reader->limit)
		rc = Z_BUF_ERROR;
	else if (rc == Z_STREAM_END && stream->avail_in > 0)
		rc = Z_DATA_ERROR;
	return rc;
}

static enum sl_frame_result decompress(struct sl_frame_reader *reader)
{
	const char *name = reader->encoding == SL_FRAME_GZIP ? "gzip" : "deflate";
	z_stream stream = {.next_in = reader->message, .avail_in = (uInt)reader->used};
	uint8_t *plain = NULL;
	size_t capacity = 0, length;
	int rc;

	if (reader->encoding == SL_FRAME_IDENTITY)
		return failed(reader, SL_GRPC_INTERNAL,
			      "a message is compressed, but no grpc-encoding was named");
	/* 15: the largest window; + 16: gzip's header in place of zlib's */
	if (inflateInit2(&stream, reader->encoding == SL_FRAME_GZIP ? 15 + 16 : 15) != Z_OK)
		return out_of_memory(reader);
	rc = inflate_all(reader, &stream, &plain, &capacity);
	length = stream.total_out;
	inflateEnd(&stream);
	if (rc == Z_STREAM_END) {
		sl_frame_reader_reset(reader);
		reader->prefix_used = SL_FRAME_PREFIX;
		reader->message = plain;
		reader->length = length;
		reader->used = length;
		reader->capacity = capacity;
		return SL_FRAME_MESSAGE;
	}
	free(plain);
	sl_budget_give(reader->budget, capacity);
	switch (rc) {
	case Z_BUF_ERROR:
		return too_long(reader, "the decompressed message");
	case Z_MEM_ERROR:
		return out_of_memory(reader);
	default:
		return failed(reader, SL_GRPC_INTERNAL, "a message is not valid %s", name);
	}
}

static enum sl_frame_result complete(struct sl_frame_reader *reader)
{
	return reader->prefix[0] ? decompress(reader) : SL_FRAME_MESSAGE;
}

enum sl_frame_result sl_frame_read(struct sl_frame_reader *reader, const uint8_t *bytes, size_t length,
				   size_t *taken)
{
	size_t part;

	*taken = 0;
	if (reader->prefix_used < SL_FRAME_PREFIX) {
		part = SL_FRAME_PREFIX - reader->prefix_used;
		if (part > length)
			part = length;
		memcpy(reader->prefix + reader->prefix_used, bytes, part);
		reader->prefix_used += part;
		*taken = part;
		if (reader->prefix_used < SL_FRAME_PREFIX)
			return SL_FRAME_MORE;
		if (reader->prefix[0] > 1)
			return failed(reader, SL_GRPC_INTERNAL, "the compressed flag is %u, allowed: 0 or 1",
				      reader->prefix[0]);
		reader->length = (size_t)reader->prefix[1] << 24 | (size_t)reader->prefix[2] << 16 |
				 (size_t)reader->prefix[3] << 8 | reader->prefix[4];
		if (reader->length > reader->limit)
			return too_long(reader, "a message");
		bytes += part;
		length -= part;
	}
	part = reader->length - reader->used;
	if (part > length)
		part = length;
	if (part > 0) {
		if (grow(reader->budget, &reader->message, &reader->capacity, reader->used + part,
			 reader->length))
			return out_of_memory(reader);
		memcpy(reader->message + reader->used, bytes, part);
		reader->used += part;
		*taken += part;
	}
	return reader->used < reader->length ? SL_FRAME_MORE : complete(reader);
}

void sl_frame_prefix(uint8_t prefix[SL_FRAME_PREFIX], uint32_t length)
{
	prefix[0] = 0;
	prefix[1] = (uint8_t)(length >> 24);
	prefix[2] = (uint8_t)(length >> 16);
	prefix[3] = (uint8_t)(length >> 8);
	prefix[4] = (uint8_t)length;
}
