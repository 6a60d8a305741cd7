// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_SIZE 2048

struct line {
	char text[LINE_SIZE];
	size_t used;
};

static enum sl_log_level threshold = SL_LOG_INFO;

static const struct {
	const char *name;
	int priority; /* syslog(3) */
} levels[] = {
	[SL_LOG_ERROR] = {"error", 3},
	[SL_LOG_WARNING] = {"warning", 4},
	[SL_LOG_INFO] = {"info", 6},
	[SL_LOG_DEBUG] = {"debug", 7},
};

void sl_log_set_level(enum sl_log_level level)
{
	threshold = level;
}

enum sl_log_level sl_log_level(void)
{
	return threshold;
}

static void put(struct line *line, char c)
{
	/* one byte stays free for the newline */
	if (line->used < sizeof(line->text) - 1)
		line->text[line->used++] = c;
}

static void put_text(struct line *line, const char *text)
{
	while (*text)
		put(line, *text++);
}

static bool needs_quotes(const char *value)
{
	if (!*value)
		return true;
	for (; *value; value++) {
		unsigned char c = (unsigned char)*value;

		if (c <= ' ' || c >= 0x7f || c == '"' || c == '=' || c == '\\')
			return true;
	}
	return false;
}

static void put_value(struct line *line, const char *value)
{
	static const char hex[] = "0123456789abcdef";

	if (!needs_quotes(value)) {
		put_text(line, value);
		return;
	}
	put(line, '"');
	for (; *value; value++) {
		unsigned char c = (unsigned char)*value;

		if (c == '"' || c == '\\') {
			put(line, '\\');
			put(line, (char)c);
		} else if (c < ' ' || c >= 0x7f) {
			put_text(line, "\\x");
			put(line, hex[c >> 4]);
			put(line, hex[c & 15]);
		} else {
			put(line, (char)c);
		}
	}
	put(line, '"');
}

/* Formats one value and takes it off the list; false when the format is not one of ours. */
static bool format_value(char *out, size_t size, const char *format, va_list *args)
{
	if (strcmp(format, "%s") == 0) {
		const char *text = va_arg(*args, const char *);

		snprintf(out, size, "%s", text ? text : "(none)");
	} else if (strcmp(format, "%d") == 0) {
		snprintf(out, size, "%d", va_arg(*args, int));
	} else if (strcmp(format, "%u") == 0) {
		snprintf(out, size, "%u", va_arg(*args, unsigned int));
	} else if (strcmp(format, "%x") == 0) {
		snprintf(out, size, "%x", va_arg(*args, unsigned int));
	} else if (strcmp(format, "%ld") == 0) {
		snprintf(out, size, "%ld", va_arg(*args, long));
	} else if (strcmp(format, "%lu") == 0) {
		snprintf(out, size, "%lu", va_arg(*args, unsigned long));
	} else if (strcmp(format, "%lld") == 0) {
		snprintf(out, size, "%lld", va_arg(*args, long long));
	} else if (strcmp(format, "%llu") == 0) {
		snprintf(out, size, "%llu", va_arg(*args, unsigned long long));
	} else if (strcmp(format, "%zu") == 0) {
		snprintf(out, size, "%zu", va_arg(*args, size_t));
	} else {
		return false;
	}
	return true;
}

void sl_log(enum sl_log_level level, const char *event, ...)
{
	struct line line = {.used = 0};
	char value[1024];
	const char *key;
	va_list args;

	if (level > threshold)
		return;
	put(&line, '<');
	put(&line, (char)('0' + levels[level].priority));
	put_text(&line, ">level=");
	put_text(&line, levels[level].name);
	put_text(&line, " event=");
	put_value(&line, event);

	va_start(args, event);
	while ((key = va_arg(args, const char *)) != NULL) {
		const char *format = va_arg(args, const char *);

		put(&line, ' ');
		put_text(&line, key);
		put(&line, '=');
		if (!format_value(value, sizeof(value), format, &args)) {
			put(&line, '?');
			break;
		}
		put_value(&line, value);
	}
	va_end(args);

	line.text[line.used++] = '\n';
	/* one write, so that lines of several processes do not mix; a lost log line harms nothing */
	if (write(STDERR_FILENO, line.text, line.used) < 0)
		return;
}
