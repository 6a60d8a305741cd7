// SPDX-License-Identifier: Apache-2.0
#include "arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arena_block {
	struct arena_block *next;
	max_align_t memory[];
};

void *arena_take(struct arena *arena, size_t count, size_t size)
{
	struct arena_block *block = NULL;
	size_t bytes;

	if (!__builtin_mul_overflow(count, size, &bytes) &&
	    !__builtin_add_overflow(bytes, sizeof(*block), &bytes))
		block = calloc(1, bytes);
	if (!block) {
		fputs("sluicectl: out of memory\n", stderr);
		exit(1);
	}
	block->next = arena->blocks;
	arena->blocks = block;
	return block->memory;
}

char *arena_copy(struct arena *arena, const char *text)
{
	return strcpy(arena_take(arena, strlen(text) + 1, 1), text);
}

void arena_release(struct arena *arena)
{
	while (arena->blocks) {
		struct arena_block *block = arena->blocks;

		arena->blocks = block->next;
		free(block);
	}
}
