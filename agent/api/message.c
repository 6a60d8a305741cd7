// SPDX-License-Identifier: Apache-2.0
#include "api/message.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "api/grpc.h"
#include "base/cleanup.h"
#include "base/utf8.h"

#define MAX_DEPTH 16

struct reader {
	const uint8_t *at;
	const uint8_t *end;
};

static bool read_varint(struct reader *reader, uint64_t *out)
{
	uint64_t value = 0;

	for (unsigned int shift = 0; shift < 64; shift += 7) {
		uint8_t byte;

		if (reader->at == reader->end)
			return false;
		byte = *reader->at++;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*out = value;
			return true;
		}
	}
	return false;
}

static bool is_text(const uint8_t *text, size_t length)
{
	for (size_t i = 0; i < length;) {
		size_t size = sl_utf8_size((const char *)text + i, length - i);

		if (size == 0 || text[i] == 0)
			return false;
		i += size;
	}
	return true;
}

static int check(const ProtobufCMessageDescriptor *descriptor, struct reader reader, unsigned int depth,
		 struct sl_error *err);

static int check_field(const ProtobufCMessageDescriptor *descriptor, const ProtobufCFieldDescriptor *field,
		       struct reader body, unsigned int depth, struct sl_error *err)
{
	if (!field)
		return 0;
	if (field->type == PROTOBUF_C_TYPE_STRING && !is_text(body.at, (size_t)(body.end - body.at)))
		return sl_error(err, EBADMSG, "%s.%s is not UTF-8 text without NUL", descriptor->short_name,
				field->name);
	if (field->type == PROTOBUF_C_TYPE_MESSAGE)
		return check(field->descriptor, body, depth + 1, err);
	return 0;
}

static int check(const ProtobufCMessageDescriptor *descriptor, struct reader reader, unsigned int depth,
		 struct sl_error *err)
{
	if (depth > MAX_DEPTH)
		return sl_error(err, EBADMSG, "%s is nested more than %d deep", descriptor->short_name,
				MAX_DEPTH);
	while (reader.at < reader.end) {
		const ProtobufCFieldDescriptor *field;
		uint64_t tag, value;
		size_t skip;
		int rc;

		if (!read_varint(&reader, &tag) || tag >> 3 == 0 || tag >> 3 > 0x1fffffff)
			goto bad;
		field = protobuf_c_message_descriptor_get_field(descriptor, (unsigned int)(tag >> 3));
		switch (tag & 7) {
		case 0:
			if (!read_varint(&reader, &value))
				goto bad;
			continue;
		case 1:
			skip = 8;
			break;
		case 5:
			skip = 4;
			break;
		case 2:
			if (!read_varint(&reader, &value) || value > (uint64_t)(reader.end - reader.at))
				goto bad;
			rc = check_field(descriptor, field, (struct reader){reader.at, reader.at + value},
					 depth, err);
			if (rc < 0)
				return rc;
			skip = (size_t)value;
			break;
		default:
			goto bad;
		}
		if (skip > (size_t)(reader.end - reader.at))
			goto bad;
		reader.at += skip;
	}
	return 0;
bad:
	return sl_error(err, EBADMSG, "%s is not a well-formed protobuf message", descriptor->short_name);
}

struct budget {
	size_t left;
	bool exceeded;
};

static void *budget_alloc(void *user, size_t size)
{
	struct budget *budget = user;

	if (size > budget->left) {
		budget->exceeded = true;
		return NULL;
	}
	budget->left -= size;
	return malloc(size);
}

static void budget_free(void *user, void *memory)
{
	(void)user;
	free(memory);
}

int sl_message_unpack(const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes, size_t length,
		      ProtobufCMessage **out, struct sl_error *err)
{
	struct budget budget = {.left = SL_MESSAGE_MEMORY};
	ProtobufCAllocator allocator = {
		.alloc = budget_alloc, .free = budget_free, .allocator_data = &budget};
	ProtobufCMessage *message;
	int rc;

	rc = check(descriptor, (struct reader){bytes, bytes + length}, 0, err);
	if (rc < 0)
		return rc;
	message = protobuf_c_message_unpack(descriptor, &allocator, length, bytes);
	if (!message && budget.exceeded)
		return sl_error(err, EMSGSIZE, "%s needs more than %u bytes of memory",
				descriptor->short_name, SL_MESSAGE_MEMORY);
	if (!message)
		return sl_error(err, EBADMSG, "%s is not a well-formed protobuf message",
				descriptor->short_name);
	*out = message;
	return 0;
}

void sl_message_free(ProtobufCMessage *message)
{
	if (message)
		protobuf_c_message_free_unpacked(message, NULL);
}

static uint8_t *pack(const ProtobufCMessage *message, size_t *length)
{
	uint8_t *bytes;

	*length = protobuf_c_message_get_packed_size(message);
	bytes = malloc(*length + 1);
	if (bytes)
		protobuf_c_message_pack(message, bytes);
	return bytes;
}

void sl_message_reply(struct sl_call *call, const ProtobufCMessage *message)
{
	size_t length;
	_cleanup_free_ uint8_t *bytes = pack(message, &length);

	if (bytes)
		sl_call_reply(call, bytes, length);
	else
		sl_call_finish(call, SL_GRPC_RESOURCE_EXHAUSTED, "out of memory");
}

int sl_message_send(struct sl_call *call, const ProtobufCMessage *message)
{
	size_t length;
	_cleanup_free_ uint8_t *bytes = pack(message, &length);

	return bytes ? sl_call_send(call, bytes, length) : 1;
}
