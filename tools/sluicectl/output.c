// SPDX-License-Identifier: Apache-2.0
#include "output.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"

static json_t *must(json_t *json)
{
	if (!json) {
		fputs("sluicectl: out of memory\n", stderr);
		exit(1);
	}
	return json;
}

json_t *output_string(const char *text)
{
	_cleanup_free_ char *clean = NULL;
	json_t *json = json_string(text);
	size_t used = 0;

	if (json)
		return json;
	/* byte by byte: what jansson does not take is not UTF-8 */
	clean = malloc(3 * strlen(text) + 1);
	if (!clean)
		return must(NULL);
	while (*text) {
		size_t length;

		for (length = 1; length <= 4 && length <= strlen(text); length++) {
			json = json_stringn(text, length);
			if (json)
				break;
		}
		if (json) {
			json_decref(json);
			memcpy(clean + used, text, length);
			used += length;
			text += length;
		} else {
			memcpy(clean + used, "\xef\xbf\xbd", 3);
			used += 3;
			text++;
		}
	}
	return must(json_stringn(clean, used));
}

const char *output_enum(const ProtobufCEnumDescriptor *type, int value)
{
	static char text[64];
	const ProtobufCEnumValue *found = protobuf_c_enum_descriptor_get_value(type, value);
	size_t i;

	if (!found)
		return "unknown";
	for (i = 0; found->name[i] && i + 1 < sizeof(text); i++)
		text[i] = (char)(found->name[i] == '_' ? '-' : tolower((unsigned char)found->name[i]));
	text[i] = '\0';
	return text;
}

const char *output_time(uint64_t ms)
{
	static char text[32];
	time_t seconds = (time_t)(ms / 1000);
	struct tm local;

	if (ms == 0 || !localtime_r(&seconds, &local) ||
	    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &local) == 0)
		return "-";
	return text;
}

const char *output_plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

static json_t *value_of(const ProtobufCFieldDescriptor *field, const void *at)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_UINT32:
		return must(json_integer(*(const uint32_t *)at));
	case PROTOBUF_C_TYPE_UINT64:
		return must(json_integer((json_int_t) * (const uint64_t *)at));
	case PROTOBUF_C_TYPE_BOOL:
		return json_boolean(*(const protobuf_c_boolean *)at);
	case PROTOBUF_C_TYPE_ENUM:
		return output_string(output_enum(field->descriptor, *(const int *)at));
	case PROTOBUF_C_TYPE_STRING:
		return output_string(*(char *const *)at ? *(char *const *)at : "");
	case PROTOBUF_C_TYPE_MESSAGE:
		return *(ProtobufCMessage *const *)at ? output_message(*(ProtobufCMessage *const *)at)
						      : json_null();
	default:
		/* the service has no field of another type */
		return json_null();
	}
}

static size_t size_of(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_UINT64:
		return sizeof(uint64_t);
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	default:
		return sizeof(uint32_t);
	}
}

static json_t *list_of(const ProtobufCFieldDescriptor *field, const ProtobufCMessage *message)
{
	const size_t count = *(const size_t *)((const char *)message + field->quantifier_offset);
	const char *items = *(const char *const *)((const char *)message + field->offset);
	json_t *list = must(json_array());
	size_t i;

	for (i = 0; i < count; i++)
		json_array_append_new(list, value_of(field, items + i * size_of(field->type)));
	return list;
}

json_t *output_message(const ProtobufCMessage *message)
{
	json_t *object = must(json_object());
	unsigned int i;

	for (i = 0; i < message->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
		const char *base = (const char *)message;
		json_t *value;

		if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
		    *(const uint32_t *)(base + field->quantifier_offset) != field->id)
			continue;
		if (field->label == PROTOBUF_C_LABEL_REPEATED)
			value = list_of(field, message);
		else
			value = value_of(field, base + field->offset);
		json_object_set_new(object, field->name, value);
	}
	return object;
}

void output_extend(json_t *array, const ProtobufCMessage *page, const char *field)
{
	const ProtobufCFieldDescriptor *found =
		protobuf_c_message_descriptor_get_field_by_name(page->descriptor, field);
	json_t *list = list_of(found, page);

	json_array_extend(array, list);
	json_decref(list);
}

void output_print(json_t *json)
{
	json_dumpf(json, stdout, JSON_INDENT(2));
	fputc('\n', stdout);
	json_decref(json);
}

void output_print_line(json_t *json)
{
	json_dumpf(json, stdout, JSON_COMPACT);
	fputc('\n', stdout);
	fflush(stdout);
	json_decref(json);
}
