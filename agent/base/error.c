// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

/*
 * Values come from peers: a line break in one must not become two lines, and
 * the text goes into protobuf strings, which must be UTF-8 even where a value
 * was not or was cut within a character.
 */
static void keep_one_line(struct sl_error *err)
{
	size_t length = strlen(err->text);

	for (size_t i = 0; i < length;) {
		size_t size = sl_utf8_size(err->text + i, length - i);

		if (size == 0 || (unsigned char)err->text[i] < ' ' || err->text[i] == 0x7f)
			err->text[i] = '?';
		i += size ? size : 1;
	}
}

int sl_error(struct sl_error *err, int code, const char *format, ...)
{
	va_list args;

	if (err) {
		va_start(args, format);
		vsnprintf(err->text, sizeof(err->text), format, args);
		va_end(args);
		keep_one_line(err);
	}
	return code < 0 ? code : -code;
}

int sl_error_prefix(struct sl_error *err, int code, const char *format, ...)
{
	char tail[SL_ERROR_SIZE];
	va_list args;
	int used;

	if (!err)
		return code;
	memcpy(tail, err->text, sizeof(tail));
	va_start(args, format);
	used = vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	if (used >= 0 && (size_t)used + 3 < sizeof(err->text))
		snprintf(err->text + used, sizeof(err->text) - (size_t)used, ": %.*s",
			 (int)(sizeof(tail) - 1 - 2 - (size_t)used), tail);
	keep_one_line(err);
	return code;
}
