// SPDX-License-Identifier: Apache-2.0
#include "policy/rule.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* The key of an entry is the rule itself, so that two contents with one hash stay two rules. */
#define HASH_KEYCMP(a, b, size)	   (!sl_rule_equal((a), (b)))
#define HASH_NONFATAL_OOM	   1
#define uthash_nonfatal_oom(entry) ((void)(entry))
#include <uthash.h>

struct entry {
	struct sl_rule rule; /* first: a rule that the table gave out leads back to its entry */
	UT_hash_handle hh;
};

struct sl_rule_table {
	struct entry *entries;
	uint64_t numbers; /* given so far */
};

int sl_rule_table_new(struct sl_rule_table **out)
{
	struct sl_rule_table *table = calloc(1, sizeof(*table));

	if (!table)
		return -ENOMEM;
	*out = table;
	return 0;
}

static void free_entry(struct entry *entry)
{
	free(entry->rule.flows);
	free(entry);
}

void sl_rule_table_free(struct sl_rule_table *table)
{
	struct entry *entry, *next;

	if (!table)
		return;
	HASH_ITER (hh, table->entries, entry, next) {
		HASH_DEL(table->entries, entry);
		free_entry(entry);
	}
	free(table);
}

static struct entry *copy(const struct sl_rule *rule, uint64_t hash)
{
	_cleanup_free_ struct sluice_flow *flows = NULL;
	struct entry *entry;

	if (rule->flow_count > 0) {
		flows = calloc(rule->flow_count, sizeof(*flows));
		if (!flows)
			return NULL;
		memcpy(flows, rule->flows, rule->flow_count * sizeof(*flows));
	}
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return NULL;
	entry->rule = *rule;
	/* the record in the kernel holds all the bytes: none of them may be the caller's stack */
	memset(entry->rule.id + strlen(rule->id), 0, sizeof(entry->rule.id) - strlen(rule->id));
	memset(entry->rule.profile + strlen(rule->profile), 0,
	       sizeof(entry->rule.profile) - strlen(rule->profile));
	entry->rule.flows = SL_TAKE(flows);
	entry->rule.references = 1;
	entry->rule.record = SLUICE_NONE;
	entry->rule.first_flow = SLUICE_NONE;
	entry->rule.profile_use = NULL;
	entry->rule.in_force = 0;
	entry->rule.hash = hash;
	return entry;
}

static struct entry *find(const struct sl_rule_table *table, const struct sl_rule *rule, uint64_t hash)
{
	struct entry *entry = NULL;

	HASH_FIND_BYHASHVALUE(hh, table->entries, rule, sizeof(*rule), (unsigned int)(hash ^ hash >> 32),
			      entry);
	return entry;
}

bool sl_rule_table_has(const struct sl_rule_table *table, const struct sl_rule *rule)
{
	return find(table, rule, sl_rule_hash(rule)) != NULL;
}

int sl_rule_table_intern(struct sl_rule_table *table, const struct sl_rule *rule, struct sl_rule **out)
{
	uint64_t hash = sl_rule_hash(rule);
	unsigned int bucket_hash = (unsigned int)(hash ^ hash >> 32);
	struct entry *entry = find(table, rule, hash);

	if (entry) {
		*out = sl_rule_ref(&entry->rule);
		return 0;
	}
	entry = copy(rule, hash);
	if (!entry)
		return -ENOMEM;
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, table->entries, &entry->rule, sizeof(entry->rule), bucket_hash,
				    entry);
	if (!entry->hh.tbl) {
		free_entry(entry);
		return -ENOMEM;
	}
	entry->rule.number = ++table->numbers;
	*out = &entry->rule;
	return 0;
}

struct sl_rule *sl_rule_ref(struct sl_rule *rule)
{
	rule->references++;
	return rule;
}

void sl_rule_table_unref(struct sl_rule_table *table, struct sl_rule *rule,
			 void (*gone)(struct sl_rule *rule, void *user), void *user)
{
	struct entry *entry = (struct entry *)rule;

	assert(rule->references > 0);
	if (--rule->references > 0)
		return;
	HASH_DEL(table->entries, entry);
	if (gone)
		gone(rule, user);
	free_entry(entry);
}

uint32_t sl_rule_table_count(const struct sl_rule_table *table)
{
	return HASH_COUNT(table->entries);
}

void sl_rule_table_each(const struct sl_rule_table *table, void (*visit)(struct sl_rule *rule, void *user),
			void *user)
{
	struct entry *entry, *next;

	HASH_ITER (hh, table->entries, entry, next)
		visit(&entry->rule, user);
}
