// SPDX-License-Identifier: Apache-2.0
#include "table.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

struct table {
	size_t columns;
	const char *const *headers;
	size_t count, room; /* cells */
	char **cells;
};

static void *must(void *memory)
{
	if (!memory) {
		fputs("sluicectl: out of memory\n", stderr);
		exit(1);
	}
	return memory;
}

struct table *table_new(const char *const *headers)
{
	struct table *table = must(calloc(1, sizeof(*table)));

	table->headers = headers;
	while (headers[table->columns])
		table->columns++;
	return table;
}

void table_free(struct table *table)
{
	size_t i;

	if (!table)
		return;
	for (i = 0; i < table->count; i++)
		free(table->cells[i]);
	free(table->cells);
	free(table);
}

/* How many bytes a control character takes here: C0, DEL, and C1 (U+0080 to U+009F), which terminals obey
 * too. */
static unsigned int control_length(const unsigned char *at)
{
	if (at[0] == 0xc2 && at[1] >= 0x80 && at[1] <= 0x9f)
		return 2;
	return *at < 0x20 || *at == 0x7f;
}

char *table_escape(const char *text)
{
	char *out = must(malloc(4 * strlen(text) + 1)), *to = out;
	const unsigned char *at = (const unsigned char *)text;

	while (*at) {
		unsigned int control = control_length(at);

		if (!control)
			*to++ = (char)*at++;
		for (; control; control--)
			to += sprintf(to, "\\x%02x", *at++);
	}
	*to = '\0';
	return out;
}

void table_cell(struct table *table, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	must(text);
	if (table->count == table->room) {
		table->room = table->room ? 2 * table->room : 64;
		table->cells = must(reallocarray(table->cells, table->room, sizeof(*table->cells)));
	}
	table->cells[table->count++] = text[0] ? table_escape(text) : must(strdup("-"));
}

void table_sort(struct table *table, int (*compare)(const void *, const void *))
{
	if (table->count)
		qsort(table->cells, table->count / table->columns, table->columns * sizeof(*table->cells),
		      compare);
}

/* Characters, not bytes: UTF-8's continuation bytes take no room. */
static size_t width_of(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

static void print_cell(const char *text, size_t width, bool right, bool last, FILE *file)
{
	int pad = (int)(width - width_of(text));

	if (right)
		fprintf(file, "%*s%s", pad, "", text);
	else if (last)
		fputs(text, file);
	else
		fprintf(file, "%s%*s", text, pad, "");
	fputs(last ? "\n" : "  ", file);
}

void table_print(const struct table *table, unsigned int indent, FILE *file)
{
	_cleanup_free_ size_t *width = must(calloc(table->columns, sizeof(*width)));
	size_t i;

	for (i = 0; i < table->columns; i++)
		width[i] = width_of(table->headers[i] + (table->headers[i][0] == '>'));
	for (i = 0; i < table->count; i++) {
		size_t cell = width_of(table->cells[i]);

		if (cell > width[i % table->columns])
			width[i % table->columns] = cell;
	}
	for (i = 0; i < table->columns + table->count; i++) {
		size_t column = i % table->columns;
		bool right = table->headers[column][0] == '>';
		const char *text = i < table->columns ? table->headers[column] + right
						      : table->cells[i - table->columns];

		if (column == 0)
			fprintf(file, "%*s", (int)indent, "");
		print_cell(text, width[column], right, column + 1 == table->columns, file);
	}
}
