/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers with units, as people write them in files and on command lines.
 *
 * Strict: decimal digits only, no sign, no leading zeros ("010" is not 8 and
 * not 10), nothing before or after. -EINVAL where the text is no such number,
 * -ERANGE where the value does not fit.
 */
#ifndef SL_UNITS_H
#define SL_UNITS_H

#include <stddef.h>
#include <stdint.h>

/* What the parsers take, for messages. */
#define SL_DURATION_SYNTAX "a whole number with ms, s, m or h, such as 250ms or 2s"
#define SL_RATE_SYNTAX	   "bit/s, or a number with bit, kbit, Mbit, Gbit or Tbit, such as 1.5Gbit"
#define SL_SIZE_SYNTAX	   "a whole number with KiB or MiB, such as 4MiB"

int sl_parse_uint(const char *text, uint64_t *out);

/* "250ms", "2s", "1m", "12h" in milliseconds. A unit is a must. */
int sl_parse_duration(const char *text, uint64_t *ms);

/* "512KiB", "4MiB" in bytes. A unit is a must. */
int sl_parse_size(const char *text, uint64_t *bytes);

/*
 * "64000", "64kbit", "10Mbit", "1.5Gbit" in bit/s; units count in thousands,
 * their case does not matter. The result must be a whole number of bit/s.
 */
int sl_parse_rate(const char *text, uint64_t *bits_per_second);

/* Enough for every text below. */
#define SL_UNITS_SIZE 32

/*
 * The shortest exact text: "10Mbit", "1.5Gbit", "1000001bit"; sl_parse_rate
 * reads it back to the same number. Returns the buffer.
 */
const char *sl_format_rate(uint64_t bits_per_second, char text[SL_UNITS_SIZE]);

/* Rounded down for people: "250ms", "42s", "5m07s", "3h05m", "12d04h". Returns the buffer. */
const char *sl_format_duration(uint64_t ms, char text[SL_UNITS_SIZE]);

/* "999B", "1.50KB", "12.3MB": three digits, in thousands as network people count. Returns the buffer. */
const char *sl_format_bytes(uint64_t bytes, char text[SL_UNITS_SIZE]);

#endif
