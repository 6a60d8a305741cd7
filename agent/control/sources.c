// SPDX-License-Identifier: Apache-2.0
/*
 * What rulesets were compiled from. A rule is known by the number of its
 * content, not by where it lies in memory: a ruleset may outlive the rules it
 * was compiled from when other rules compile to the same.
 */
#include <errno.h>
#include <stdlib.h>

#include "control/model.h"

int sl_source_make(const struct sl_install *installs, size_t count, const struct sl_address *address,
		   struct sl_source *out)
{
	struct sl_source source = {.size = (count + 1) * sizeof(uint64_t)};

	*out = (struct sl_source){0};
	for (size_t i = 0; i < count; i++)
		if (sl_compiles_by_address(installs[i].rule))
			return 0;
	source.words = malloc(source.size);
	if (!source.words)
		return -ENOMEM;
	source.words[0] = address->family;
	for (size_t i = 0; i < count; i++)
		source.words[i + 1] = sl_compiles_from(&installs[i]);
	*out = source;
	return 0;
}

struct sl_ruleset *sl_source_find(struct sl_control *control, const struct sl_source *source)
{
	struct sl_ruleset *ruleset = NULL;

	if (source->words)
		HASH_FIND(by_source, control->sources, source->words, source->size, ruleset);
	return ruleset;
}

void sl_source_keep(struct sl_control *control, struct sl_ruleset *ruleset, struct sl_source *source)
{
	if (!source->words || sl_source_find(control, source)) {
		sl_source_clear(source);
		return;
	}
	sl_source_forget(control, ruleset);
	ruleset->source = *source;
	*source = (struct sl_source){0};
	HASH_ADD_KEYPTR(by_source, control->sources, ruleset->source.words, ruleset->source.size, ruleset);
}

void sl_source_forget(struct sl_control *control, struct sl_ruleset *ruleset)
{
	if (!ruleset->source.words)
		return;
	HASH_DELETE(by_source, control->sources, ruleset);
	sl_source_clear(&ruleset->source);
}
