/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors: every function that can fail returns 0 or -errno and leaves its out
 * pointers alone on failure. Where a person or a peer will read the reason, a
 * struct sl_error beside the number carries one line that names the field and
 * the value. A NULL struct sl_error is allowed everywhere.
 */
#ifndef SL_ERROR_H
#define SL_ERROR_H

#define SL_ERROR_SIZE 512

struct sl_error {
	char text[SL_ERROR_SIZE]; /* one line of UTF-8; other bytes become '?'; cut at the bound */
};

/* Writes the text and returns -code, so that `return sl_error(err, EINVAL, ...)` reads well. */
int sl_error(struct sl_error *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before a text that is already there and returns code unchanged. */
int sl_error_prefix(struct sl_error *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
