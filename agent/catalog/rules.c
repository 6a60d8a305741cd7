// SPDX-License-Identifier: Apache-2.0
/* The section rules: a list of rules in sluice's form (catalog/rule_document.h). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "catalog/rule_document.h"
#include "catalog/section.h"

#define MAX_RATE 1000000000000ull /* bit/s; what the links allow, a session finds out */

static int read_rule(struct sl_catalog *catalog, struct sl_yaml_node node, struct sl_error *err)
{
	struct sl_catalog_entry *entry;
	struct sl_rule rule;
	int rc;

	rc = sl_rule_document_read(node, NULL, MAX_RATE, &rule, err);
	if (rc < 0)
		return rc;
	rc = strcmp(rule.id, SL_DEFAULT_DROP_RULE) == 0
		     ? sl_yaml_error(node, err, "\"%s\" is the name of what matches no rule", rule.id)
		     : sl_catalog_add(catalog, rule.id, node, &entry, err);
	if (rc < 0) {
		free(rule.flows);
		return rc;
	}
	entry->rule = rule;
	entry->rule.is_static = true;
	entry->rule_count = 1;
	catalog->rule_count++;
	entry->rules = malloc(sizeof(*entry->rules));
	if (!entry->rules)
		return sl_error(err, ENOMEM, "out of memory");
	entry->rules[0] = &entry->rule;
	return 0;
}

static int read_section(struct sl_catalog *catalog, struct sl_yaml_node node, struct sl_error *err)
{
	size_t count;
	int rc;

	rc = sl_yaml_sequence(node, SL_CATALOG_RULES - catalog->rule_count, &count, err);
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = read_rule(catalog, sl_yaml_item(node, i), err);
	return rc;
}

const struct sl_catalog_section sl_catalog_rules = {.key = "rules", .read = read_section};
