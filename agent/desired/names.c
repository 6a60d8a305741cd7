// SPDX-License-Identifier: Apache-2.0
/* Different names, for one line of the log: the first few of them, and how many more there are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "desired/model.h"

struct sl_name {
	UT_hash_handle hh;
	char text[];
};

void sl_names_add(struct sl_names *names, const char *text)
{
	struct sl_name *name;
	size_t size = strlen(text) + 1;

	HASH_FIND_STR(names->all, text, name);
	if (name)
		return;
	name = calloc(1, sizeof(*name) + size);
	/* a name less in a line of the log */
	if (!name)
		return;
	memcpy(name->text, text, size);
	HASH_ADD_STR(names->all, text, name);
}

bool sl_names_has(const struct sl_names *names, const char *text)
{
	struct sl_name *name;

	HASH_FIND_STR(names->all, text, name);
	return name != NULL;
}

size_t sl_names_count(const struct sl_names *names)
{
	return HASH_COUNT(names->all);
}

const char *sl_names_text(const struct sl_names *names, char out[SL_NAMES_TEXT])
{
	const struct sl_name *name = names->all;
	size_t used = 0, shown = 0;

	out[0] = '\0';
	for (; name && shown < SL_NAMES_SHOWN; name = name->hh.next, shown++)
		used += (size_t)snprintf(out + used, SL_NAMES_TEXT - used, "%s%s", used ? ", " : "",
					 name->text);
	if (name)
		snprintf(out + used, SL_NAMES_TEXT - used, " and %zu more", sl_names_count(names) - shown);
	return out;
}

void sl_names_clear(struct sl_names *names)
{
	struct sl_name *name, *tmp;

	HASH_ITER (hh, names->all, name, tmp) {
		HASH_DEL(names->all, name);
		free(name);
	}
}
