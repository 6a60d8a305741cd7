/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages as JSON, for programs. Keys are the field names of
 * proto/sluice/v1/admin.proto, every field is there (an absent message is
 * null), enumerations are texts in lower case with hyphens.
 */
#ifndef CTL_OUTPUT_H
#define CTL_OUTPUT_H

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>
#include <stdint.h>

/* A new reference. Ends the program on ENOMEM. */
json_t *output_message(const ProtobufCMessage *message);

/* A text that may not be UTF-8: what is not becomes U+FFFD. A new reference. */
json_t *output_string(const char *text);

/* Prints to standard output and releases the reference: indented, or on one line. */
void output_print(json_t *json);
void output_print_line(json_t *json);

/* Appends the elements of a page's repeated field to an array. */
void output_extend(json_t *array, const ProtobufCMessage *page, const char *field);

/* "waiting-for-policy" for WAITING_FOR_POLICY; "unknown" for a number without a name. Lives until the next
 * call. */
const char *output_enum(const ProtobufCEnumDescriptor *type, int value);

/* "2026-11-23 01:58:11" in local time; "-" for 0. Lives until the next call. */
const char *output_time(uint64_t ms);

/* The ending of a noun after a count: "" for 1, "s" for any other. */
const char *output_plural(uint64_t count);

#endif
