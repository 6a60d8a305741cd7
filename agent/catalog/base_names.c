// SPDX-License-Identifier: Apache-2.0
/*
 * The section base_names: a mapping of names to lists of rule ids. The rules
 * may stand in any file, before or after; a base name in the list is refused,
 * so that nothing is nested.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "catalog/section.h"

static int read_base_name(struct sl_catalog *catalog, struct sl_yaml_node key, struct sl_yaml_node value,
			  struct sl_error *err)
{
	struct sl_catalog_entry *entry;
	char name[SLUICE_RULE_ID_SIZE];
	size_t count;
	int rc;

	rc = sl_yaml_text(key, name, sizeof(name), err);
	if (rc == 0)
		rc = sl_yaml_sequence(value, SLUICE_RULES_PER_SESSION, &count, err);
	if (rc < 0)
		return rc;
	if (count == 0)
		return sl_yaml_error(key, err, "no rules; allowed: 1 to %d rule ids",
				     SLUICE_RULES_PER_SESSION);
	if (catalog->base_name_count == SL_CATALOG_BASE_NAMES)
		return sl_yaml_error(key, err, "too many base names; allowed: %d", SL_CATALOG_BASE_NAMES);
	rc = sl_catalog_add(catalog, name, key, &entry, err);
	if (rc < 0)
		return rc;
	entry->is_base_name = true;
	entry->node = value;
	entry->rule_count = count;
	catalog->base_name_count++;
	return 0;
}

static int read_section(struct sl_catalog *catalog, struct sl_yaml_node node, struct sl_error *err)
{
	size_t count;
	int rc;

	rc = sl_yaml_pairs(node, SL_CATALOG_BASE_NAMES, &count, err);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		struct sl_yaml_node key, value;

		sl_yaml_pair(node, i, &key, &value);
		rc = read_base_name(catalog, key, value, err);
	}
	return rc;
}

static int resolve(const struct sl_catalog *catalog, struct sl_catalog_entry *entry, struct sl_error *err)
{
	entry->rules = calloc(entry->rule_count, sizeof(*entry->rules));
	if (!entry->rules)
		return sl_error(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < entry->rule_count; i++) {
		struct sl_yaml_node item = sl_yaml_item(entry->node, i);
		const struct sl_catalog_entry *member;
		char id[SLUICE_RULE_ID_SIZE];
		int rc;

		rc = sl_yaml_text(item, id, sizeof(id), err);
		if (rc < 0)
			return rc;
		member = sl_catalog_find(catalog, id);
		if (!member || member->is_base_name)
			return sl_yaml_error(item, err, "\"%s\" is %s; allowed: the id of a rule", id,
					     member ? "a base name" : "no rule of the directory");
		for (size_t k = 0; k < i; k++)
			if (entry->rules[k] == &member->rule)
				return sl_yaml_error(item, err, "\"%s\" is in the list twice", id);
		entry->rules[i] = &member->rule;
	}
	return 0;
}

static int check(struct sl_catalog *catalog, struct sl_error *err)
{
	struct sl_catalog_entry *entry;
	int rc = 0;

	for (entry = catalog->entries; entry && rc == 0; entry = entry->hh.next)
		if (entry->is_base_name)
			rc = resolve(catalog, entry, err);
	return rc;
}

const struct sl_catalog_section sl_catalog_base_names = {
	.key = "base_names",
	.read = read_section,
	.check = check,
};
