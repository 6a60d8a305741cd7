/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Length-prefixed messages out of a stream of bytes: one byte "compressed",
 * four bytes of length in network order, the message. Memory is taken as
 * the bytes arrive, never on the word of the prefix, and comes out of a budget
 * that many readers share.
 */
#ifndef SL_API_GRPC_FRAME_H
#define SL_API_GRPC_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "api/grpc.h"

#define SL_FRAME_PREFIX 5

struct sl_budget {
	size_t used;
	size_t limit; /* bytes */
};

/* -ENOMEM beyond the limit. What was taken must be given back. */
int sl_budget_take(struct sl_budget *budget, size_t bytes);
void sl_budget_give(struct sl_budget *budget, size_t bytes);

enum sl_frame_encoding { SL_FRAME_IDENTITY, SL_FRAME_GZIP, SL_FRAME_DEFLATE };

enum sl_frame_result {
	SL_FRAME_MORE,	  /* all bytes taken, the message is not complete */
	SL_FRAME_MESSAGE, /* one message is complete; bytes behind it were not taken */
	SL_FRAME_FAILED,  /* status and text say why; the reader is of no more use */
};

struct sl_frame_reader {
	struct sl_budget *budget;
	size_t limit; /* of one message, in bytes, before and after decompression */
	enum sl_frame_encoding encoding;
	uint8_t prefix[SL_FRAME_PREFIX];
	size_t prefix_used;
	uint8_t *message; /* NULL for a message of no bytes */
	size_t length;	  /* announced; once complete, of the decompressed message */
	size_t used;
	size_t capacity; /* what the budget was charged */
	enum sl_grpc_status status;
	char text[96];
};

void sl_frame_reader_init(struct sl_frame_reader *reader, struct sl_budget *budget, size_t limit);

/* Gives memory back; the reader then waits for the next message. */
void sl_frame_reader_reset(struct sl_frame_reader *reader);

/* True between messages, and before the first one. */
bool sl_frame_reader_is_empty(const struct sl_frame_reader *reader);

/* *taken says how many of the bytes were used. After SL_FRAME_MESSAGE comes sl_frame_reader_reset. */
enum sl_frame_result sl_frame_read(struct sl_frame_reader *reader, const uint8_t *bytes, size_t length,
				   size_t *taken);

/* Writes the prefix of an uncompressed message. */
void sl_frame_prefix(uint8_t prefix[SL_FRAME_PREFIX], uint32_t length);

#endif
