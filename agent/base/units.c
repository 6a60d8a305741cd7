// SPDX-License-Identifier: Apache-2.0
#include "base/units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"

struct unit {
	const char *name;
	uint64_t factor;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Digits at *text, which is moved behind them. */
static int parse_digits(const char **text, uint64_t *out)
{
	const char *at = *text;
	uint64_t value = 0;

	if (!is_digit(*at) || (at[0] == '0' && is_digit(at[1])))
		return -EINVAL;
	for (; is_digit(*at); at++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value))
			return -ERANGE;
	}
	*text = at;
	*out = value;
	return 0;
}

int sl_parse_uint(const char *text, uint64_t *out)
{
	uint64_t value;
	int ret;

	ret = parse_digits(&text, &value);
	if (ret < 0)
		return ret;
	if (*text)
		return -EINVAL;
	*out = value;
	return 0;
}

int sl_parse_duration(const char *text, uint64_t *ms)
{
	static const struct unit units[] = {{"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 3600 * 1000}};
	uint64_t value;
	size_t i;
	int ret;

	ret = parse_digits(&text, &value);
	if (ret < 0)
		return ret;
	for (i = 0; i < SL_ARRAY_SIZE(units); i++) {
		if (strcmp(text, units[i].name) != 0)
			continue;
		if (__builtin_mul_overflow(value, units[i].factor, &value))
			return -ERANGE;
		*ms = value;
		return 0;
	}
	return -EINVAL;
}

int sl_parse_size(const char *text, uint64_t *bytes)
{
	static const struct unit units[] = {{"KiB", 1 << 10}, {"MiB", 1 << 20}};
	uint64_t value;
	int ret;

	ret = parse_digits(&text, &value);
	if (ret < 0)
		return ret;
	for (size_t i = 0; i < SL_ARRAY_SIZE(units); i++) {
		if (strcmp(text, units[i].name) != 0)
			continue;
		if (__builtin_mul_overflow(value, units[i].factor, &value))
			return -ERANGE;
		*bytes = value;
		return 0;
	}
	return -EINVAL;
}

static const struct unit rate_units[] = {
	{"Tbit", 1000000000000}, {"Gbit", 1000000000}, {"Mbit", 1000000}, {"kbit", 1000}, {"bit", 1},
};

/* ".25" of a unit: digits past the point, each worth a tenth of the one before. */
static int parse_fraction(const char **text, uint64_t unit, uint64_t *out)
{
	const char *at = *text + 1;
	uint64_t value = 0;

	if (!is_digit(*at))
		return -EINVAL;
	for (; is_digit(*at); at++) {
		if (*at != '0' && unit % 10 != 0)
			return -EINVAL;
		unit /= 10;
		value += (uint64_t)(*at - '0') * unit;
	}
	*text = at;
	*out = value;
	return 0;
}

int sl_parse_rate(const char *text, uint64_t *bits_per_second)
{
	const char *suffix = text + strspn(text, "0123456789.");
	uint64_t whole, fraction = 0, factor = 1;
	size_t i;
	int ret;

	if (*suffix) {
		for (i = 0; i < SL_ARRAY_SIZE(rate_units); i++) {
			if (strcasecmp(suffix, rate_units[i].name) == 0)
				break;
		}
		if (i == SL_ARRAY_SIZE(rate_units))
			return -EINVAL;
		factor = rate_units[i].factor;
	}
	ret = parse_digits(&text, &whole);
	if (ret < 0)
		return ret;
	if (*text == '.') {
		ret = parse_fraction(&text, factor, &fraction);
		if (ret < 0)
			return ret;
	}
	if (text != suffix)
		return -EINVAL;
	if (__builtin_mul_overflow(whole, factor, &whole) || __builtin_add_overflow(whole, fraction, &whole))
		return -ERANGE;
	*bits_per_second = whole;
	return 0;
}

const char *sl_format_rate(uint64_t bits_per_second, char text[SL_UNITS_SIZE])
{
	size_t i;

	for (i = 0; i < SL_ARRAY_SIZE(rate_units); i++) {
		uint64_t factor = rate_units[i].factor;
		uint64_t whole = bits_per_second / factor;
		uint64_t fraction = bits_per_second % factor;
		unsigned int digits = 3;

		/* up to three digits past the point are easier to read than the next smaller unit */
		/* cppcheck-suppress zerodivcond ; a factor is 1 or at least 1000 */
		if (whole == 0 || (factor > 1 && fraction % (factor / 1000) != 0))
			continue;
		if (fraction == 0) {
			snprintf(text, SL_UNITS_SIZE, "%" PRIu64 "%s", whole, rate_units[i].name);
			return text;
		}
		fraction /= factor / 1000;
		for (; fraction % 10 == 0; fraction /= 10)
			digits--;
		snprintf(text, SL_UNITS_SIZE, "%" PRIu64 ".%0*" PRIu64 "%s", whole, (int)digits, fraction,
			 rate_units[i].name);
		return text;
	}
	snprintf(text, SL_UNITS_SIZE, "%" PRIu64 "bit", bits_per_second);
	return text;
}

const char *sl_format_duration(uint64_t ms, char text[SL_UNITS_SIZE])
{
	uint64_t s = ms / 1000;

	if (ms < 1000)
		snprintf(text, SL_UNITS_SIZE, "%" PRIu64 "ms", ms);
	else if (s < 60)
		snprintf(text, SL_UNITS_SIZE, "%" PRIu64 "s", s);
	else if (s < 3600)
		snprintf(text, SL_UNITS_SIZE, "%" PRIu64 "m%02" PRIu64 "s", s / 60, s % 60);
	else if (s < 24 * 3600)
		snprintf(text, SL_UNITS_SIZE, "%" PRIu64 "h%02" PRIu64 "m", s / 3600, s / 60 % 60);
	else
		snprintf(text, SL_UNITS_SIZE, "%" PRIu64 "d%02" PRIu64 "h", s / (24 * 3600), s / 3600 % 24);
	return text;
}

const char *sl_format_bytes(uint64_t bytes, char text[SL_UNITS_SIZE])
{
	static const char prefixes[] = "KMGTPE";
	double value = (double)bytes;
	size_t i;

	if (bytes < 1000) {
		snprintf(text, SL_UNITS_SIZE, "%" PRIu64 "B", bytes);
		return text;
	}
	value /= 1000;
	/* 999.5 would round to four digits */
	for (i = 0; value >= 999.5 && i + 2 < sizeof(prefixes); i++)
		value /= 1000;
	snprintf(text, SL_UNITS_SIZE, "%.*f%cB",
		 value < 9.995	 ? 2
		 : value < 99.95 ? 1
				 : 0,
		 value, prefixes[i]);
	return text;
}
