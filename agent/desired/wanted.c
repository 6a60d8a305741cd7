// SPDX-License-Identifier: Apache-2.0
/* Which rules a session should have at a time. Pure: scopes and the catalogue in, rules out. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "desired/model.h"

/* Rules as they come, the stronger first; several of one id among them. */
struct candidate {
	const struct sl_rule *rule;
	size_t rank;
};

struct candidates {
	struct candidate *list;
	size_t count;
	size_t capacity;
};

static int add(struct candidates *candidates, const struct sl_rule *rule)
{
	if (candidates->count == candidates->capacity) {
		size_t capacity = candidates->capacity ? 2 * candidates->capacity : 64;
		struct candidate *grown = reallocarray(candidates->list, capacity, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		candidates->list = grown;
		candidates->capacity = capacity;
	}
	candidates->list[candidates->count] = (struct candidate){rule, candidates->count};
	candidates->count++;
	return 0;
}

static bool is_now(const struct sl_desired_rule *entry, uint64_t now_ns)
{
	return entry->from_ns <= now_ns && (entry->until_ns == 0 || now_ns < entry->until_ns);
}

static int add_scope(struct candidates *candidates, const struct sl_scope *scope,
		     const struct sl_catalog *catalog, uint64_t now_ns)
{
	int rc = 0;

	for (size_t i = 0; i < scope->rule_count; i++) {
		const struct sl_desired_rule *entry = &scope->rules[i];
		const struct sl_rule *const *rules = &entry->rule;
		size_t count = 1;

		if (!is_now(entry, now_ns))
			continue;
		if (entry->name)
			count = sl_catalog_resolve(catalog, entry->name, &rules);
		for (size_t k = 0; k < count && rc == 0; k++)
			rc = add(candidates, rules[k]);
	}
	return rc;
}

static int by_id(const void *a, const void *b)
{
	const struct candidate *one = a, *other = b;
	int order = strcmp(one->rule->id, other->rule->id);

	return order ? order : (one->rank > other->rank) - (one->rank < other->rank);
}

int sl_wanted_rules(const struct sl_desired_subscriber *subscriber, const struct sl_catalog *catalog,
		    const char *apn, uint64_t now_ns, const struct sl_rule **out, size_t *out_count)
{
	struct candidates candidates = {0};
	const struct sl_scope *scope;
	size_t count = 0;
	int rc = 0;

	for (int wide = 0; wide <= 1; wide++)
		for (scope = subscriber->scopes; scope; scope = scope->next)
			if (rc == 0 && sl_scope_is(scope, wide, apn))
				rc = add_scope(&candidates, scope, catalog, now_ns);
	if (candidates.count)
		qsort(candidates.list, candidates.count, sizeof(*candidates.list), by_id);
	for (size_t i = 0; i < candidates.count && count < SLUICE_RULES_PER_SESSION; i++)
		if (i == 0 || strcmp(candidates.list[i].rule->id, candidates.list[i - 1].rule->id) != 0)
			out[count++] = candidates.list[i].rule;
	free(candidates.list);
	*out_count = count;
	return rc;
}

static bool scope_wants(const struct sl_scope *scope, const struct sl_catalog *catalog, uint64_t now_ns,
			const char *id)
{
	for (size_t i = 0; i < scope->rule_count; i++) {
		const struct sl_desired_rule *entry = &scope->rules[i];
		const struct sl_rule *const *rules = &entry->rule;
		size_t count = 1;

		if (!is_now(entry, now_ns))
			continue;
		if (entry->name)
			count = sl_catalog_resolve(catalog, entry->name, &rules);
		for (size_t k = 0; k < count; k++)
			if (strcmp(rules[k]->id, id) == 0)
				return true;
	}
	return false;
}

bool sl_wanted_freshly(const struct sl_desired_subscriber *subscriber, const struct sl_catalog *catalog,
		       const char *apn, uint64_t now_ns, const char *id)
{
	const struct sl_scope *scope;

	LL_FOREACH (subscriber->scopes, scope) {
		bool is_ours = scope->subscriber_wide || sl_scope_is(scope, false, apn);

		if (scope->fresh && is_ours && scope_wants(scope, catalog, now_ns, id))
			return true;
	}
	return false;
}

uint64_t sl_wanted_next(const struct sl_desired_subscriber *subscriber, uint64_t now_ns)
{
	const struct sl_scope *scope;
	uint64_t next = UINT64_MAX;

	LL_FOREACH (subscriber->scopes, scope) {
		for (size_t i = 0; i < scope->rule_count; i++) {
			const struct sl_desired_rule *entry = &scope->rules[i];

			if (entry->from_ns > now_ns && entry->from_ns < next)
				next = entry->from_ns;
			if (entry->until_ns > now_ns && entry->until_ns < next)
				next = entry->until_ns;
		}
	}
	return next;
}

static const struct sl_profile no_values;

uint64_t sl_wanted_hash(const struct sl_rule *wanted)
{
	struct sl_rule rule = *wanted;

	if (rule.profile[0])
		sl_profile_apply(&no_values, &rule);
	return sl_rule_hash(&rule);
}

bool sl_wanted_equal(const struct sl_rule *wanted, const struct sl_rule *installed)
{
	struct sl_rule one = *wanted, other = *installed;

	/* a redirect's flows are made from its server's present addresses */
	if (one.redirect != SLUICE_REDIRECT_NONE)
		one.flow_count = other.flow_count = 0;
	/* the profile's values, or the last ones it had */
	if (one.profile[0]) {
		sl_profile_apply(&no_values, &one);
		sl_profile_apply(&no_values, &other);
	}
	return sl_rule_equal(&one, &other);
}
