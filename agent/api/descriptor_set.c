// SPDX-License-Identifier: Apache-2.0
#include "api/descriptor_set.h"

#include <errno.h>
#include <string.h>

/* Field numbers of descriptor.proto. The name is field 1 of every descriptor. */
enum { SET_FILE = 1 };
enum { NAME = 1 };
enum { FILE_PACKAGE = 2, FILE_DEPENDENCY = 3, FILE_MESSAGE = 4, FILE_ENUM = 5, FILE_SERVICE = 6 };
enum { MESSAGE_FIELD = 2, MESSAGE_MESSAGE = 3, MESSAGE_ENUM = 4 };
enum { ENUM_VALUE = 2 };
enum { SERVICE_METHOD = 2 };

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

static bool take_varint(struct sl_bytes *in, uint64_t *out)
{
	uint64_t value = 0;

	for (unsigned int shift = 0; shift < 64 && in->length > 0; shift += 7) {
		uint8_t byte = *in->data++;

		in->length--;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*out = value;
			return true;
		}
	}
	return false;
}

static bool take_bytes(struct sl_bytes *in, uint64_t length, struct sl_bytes *out)
{
	if (length > in->length)
		return false;
	*out = (struct sl_bytes){in->data, (size_t)length};
	in->data += length;
	in->length -= (size_t)length;
	return true;
}

/* The next length-delimited field; others are passed over. False at the end. */
static bool next_field(struct sl_bytes *in, uint32_t *number, struct sl_bytes *value)
{
	uint64_t key, scalar;

	while (take_varint(in, &key)) {
		*number = (uint32_t)(key >> 3);
		switch (key & 7) {
		case WIRE_BYTES:
			return take_varint(in, &scalar) && take_bytes(in, scalar, value);
		case WIRE_VARINT:
			if (!take_varint(in, &scalar))
				return false;
			break;
		case WIRE_64:
			if (!take_bytes(in, 8, value))
				return false;
			break;
		case WIRE_32:
			if (!take_bytes(in, 4, value))
				return false;
			break;
		default:
			return false;
		}
	}
	return false;
}

static struct sl_bytes field_of(struct sl_bytes in, uint32_t wanted)
{
	struct sl_bytes value;
	uint32_t number;

	while (next_field(&in, &number, &value)) {
		if (number == wanted)
			return value;
	}
	return (struct sl_bytes){NULL, 0};
}

static bool equals(struct sl_bytes bytes, const char *text, size_t length)
{
	return bytes.length == length && (length == 0 || memcmp(bytes.data, text, length) == 0);
}

/* What of `symbol` comes behind "name" or "name."; NULL when it does not begin so. */
static const char *behind(const char *symbol, struct sl_bytes name)
{
	if (name.length == 0 || strncmp(symbol, (const char *)name.data, name.length) != 0)
		return NULL;
	symbol += name.length;
	if (*symbol == '.')
		return symbol + 1;
	return *symbol ? NULL : symbol;
}

static bool has_child(struct sl_bytes parent, uint32_t kind, const char *name)
{
	struct sl_bytes child;
	uint32_t number;

	while (next_field(&parent, &number, &child)) {
		if (number == kind && equals(field_of(child, NAME), name, strlen(name)))
			return true;
	}
	return false;
}

/* An enum's values stand beside it: "pkg.VALUE", not "pkg.Enum.VALUE". */
static bool defines_enum(struct sl_bytes child, const char *symbol)
{
	return equals(field_of(child, NAME), symbol, strlen(symbol)) || has_child(child, ENUM_VALUE, symbol);
}

static bool defines_in_message(struct sl_bytes message, const char *symbol)
{
	const char *rest = behind(symbol, field_of(message, NAME));
	struct sl_bytes child;
	uint32_t number;

	if (!rest)
		return false;
	if (!*rest)
		return true;
	while (next_field(&message, &number, &child)) {
		if (number == MESSAGE_FIELD && equals(field_of(child, NAME), rest, strlen(rest)))
			return true;
		if (number == MESSAGE_ENUM && defines_enum(child, rest))
			return true;
		if (number == MESSAGE_MESSAGE && defines_in_message(child, rest))
			return true;
	}
	return false;
}

static bool defines_in_service(struct sl_bytes service, const char *symbol)
{
	const char *rest = behind(symbol, field_of(service, NAME));

	return rest && (!*rest || has_child(service, SERVICE_METHOD, rest));
}

static bool defines(struct sl_bytes file, const char *symbol)
{
	struct sl_bytes package = field_of(file, FILE_PACKAGE);
	const char *rest = package.length > 0 ? behind(symbol, package) : symbol;
	struct sl_bytes child;
	uint32_t number;

	if (!rest || !*rest)
		return false;
	while (next_field(&file, &number, &child)) {
		if (number == FILE_MESSAGE && defines_in_message(child, rest))
			return true;
		if (number == FILE_ENUM && defines_enum(child, rest))
			return true;
		if (number == FILE_SERVICE && defines_in_service(child, rest))
			return true;
	}
	return false;
}

static size_t files_of(struct sl_bytes set, struct sl_bytes files[SL_DESCRIPTOR_FILES])
{
	struct sl_bytes file;
	size_t count = 0;
	uint32_t number;

	while (count < SL_DESCRIPTOR_FILES && next_field(&set, &number, &file)) {
		if (number == SET_FILE)
			files[count++] = file;
	}
	return count;
}

static int find_name(const struct sl_bytes *files, size_t count, const char *name, size_t length)
{
	for (size_t i = 0; i < count; i++) {
		if (equals(field_of(files[i], NAME), name, length))
			return (int)i;
	}
	return -ENOENT;
}

int sl_descriptor_by_name(struct sl_bytes set, const char *name)
{
	struct sl_bytes files[SL_DESCRIPTOR_FILES];
	size_t count = files_of(set, files);

	return find_name(files, count, name, strlen(name));
}

int sl_descriptor_by_symbol(struct sl_bytes set, const char *symbol)
{
	struct sl_bytes files[SL_DESCRIPTOR_FILES];
	size_t count = files_of(set, files);

	for (size_t i = 0; i < count; i++) {
		if (defines(files[i], symbol))
			return (int)i;
	}
	return -ENOENT;
}

size_t sl_descriptor_closure(struct sl_bytes set, int index, struct sl_bytes out[SL_DESCRIPTOR_FILES])
{
	struct sl_bytes files[SL_DESCRIPTOR_FILES];
	size_t count = files_of(set, files);
	bool seen[SL_DESCRIPTOR_FILES] = {false};
	size_t used = 0;

	if (index < 0 || (size_t)index >= count)
		return 0;
	seen[index] = true;
	out[used++] = files[index];
	/* out is also the list of files whose imports are still to be looked at */
	for (size_t i = 0; i < used; i++) {
		struct sl_bytes file = out[i], value;
		uint32_t number;

		while (next_field(&file, &number, &value)) {
			int found = number == FILE_DEPENDENCY
					    ? find_name(files, count, (const char *)value.data, value.length)
					    : -ENOENT;

			if (found < 0 || seen[found])
				continue;
			seen[found] = true;
			out[used++] = files[found];
		}
	}
	return used;
}
