/* SPDX-License-Identifier: Apache-2.0 */
/* Columns for people: as wide as their widest cell. Text of peers cannot move the cursor. */
#ifndef CTL_TABLE_H
#define CTL_TABLE_H

#include <stdio.h>

struct table;

/* The headers end with NULL; one that begins with '>' makes its column right-aligned. Ends the program on
 * ENOMEM. */
struct table *table_new(const char *const *headers);
void table_free(struct table *table);
static inline void table_freep(struct table **table)
{
	table_free(*table);
}

/* The next cell, row by row. An empty text shows as "-". */
void table_cell(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Rows in another order: qsort's comparison of two rows, each a `char *const *` to its cells. */
void table_sort(struct table *table, int (*compare)(const void *, const void *));

/* Every row after `indent` spaces; the headers alone if there is no row. */
void table_print(const struct table *table, unsigned int indent, FILE *file);

/* A text of somebody else on one line: control characters as \xNN. The caller frees it. */
char *table_escape(const char *text);

#endif
