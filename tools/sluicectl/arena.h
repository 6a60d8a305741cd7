/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of one request: everything it points to, released at once when it is packed. */
#ifndef CTL_ARENA_H
#define CTL_ARENA_H

#include <stddef.h>

struct arena {
	struct arena_block *blocks;
};

/* Zeroed. Without memory the program ends with a line that says so. */
void *arena_take(struct arena *arena, size_t count, size_t size);
char *arena_copy(struct arena *arena, const char *text);
void arena_release(struct arena *arena);

#endif
