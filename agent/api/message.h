/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Untrusted bytes -> protobuf-c messages. protobuf-c takes any bytes as a
 * string, cuts it at a NUL, keeps unknown enum values and lets two bytes become
 * a hundred; what it does not check is checked here before it runs.
 */
#ifndef SL_API_MESSAGE_H
#define SL_API_MESSAGE_H

#include <protobuf-c/protobuf-c.h>

#include "base/error.h"

/* Memory one request may grow to when it is unpacked; beyond it: -EMSGSIZE. */
#define SL_MESSAGE_MEMORY (128u << 20)

/*
 * Unpacks and checks: strings are UTF-8 without NUL, nesting at most 16 deep.
 * -EBADMSG or -EMSGSIZE with a text that names the field. Free with
 * sl_message_free.
 */
int sl_message_unpack(const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes, size_t length,
		      ProtobufCMessage **out, struct sl_error *err);
void sl_message_free(ProtobufCMessage *message);

struct sl_call;

/* Packs a message and answers the call with it; RESOURCE_EXHAUSTED when memory is short. */
void sl_message_reply(struct sl_call *call, const ProtobufCMessage *message);

/* Packs a message into a stream; 0, or 1 when the stream's queue is full (dropped). */
int sl_message_send(struct sl_call *call, const ProtobufCMessage *message);

#endif
