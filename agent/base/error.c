// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Values come from peers: a line break in one must not become two lines. */
static void keep_one_line(struct sl_error *err)
{
	for (char *c = err->text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
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
