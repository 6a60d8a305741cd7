// SPDX-License-Identifier: Apache-2.0
/* The section rules: a list of rules in sluice's form (catalog/rule_document.h). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "catalog/rule_document.h"
#include "catalog/section.h"

#define MAX_RATE 1000000000000ull /* bit/s; what the links allow, a session finds out */

static int check_rule(const struct sl_catalog *catalog, struct sl_yaml_node node, const struct sl_rule *rule,
		      struct sl_error *err)
{
	struct sl_error why;

	if (strcmp(rule->id, SL_DEFAULT_DROP_RULE) == 0)
		return sl_yaml_error(node, err, "\"%s\" is the name of what matches no rule", rule->id);
	if (sl_rule_check_steer(rule, catalog->access, &why) < 0)
		return sl_yaml_error(
			sl_yaml_get(sl_yaml_get(node, "steer"),
				    rule->steer.mode == SLUICE_STEER_MIRROR ? "mirror" : "redirect"),
			err, "%s", why.text + strlen("steer.interface: "));
	return 0;
}

static int read_rule(struct sl_catalog *catalog, struct sl_yaml_node node, struct sl_error *err)
{
	struct sl_catalog_entry *entry;
	struct sl_rule rule;
	int rc;

	rc = sl_rule_document_read(node, NULL, MAX_RATE, &rule, err);
	if (rc < 0)
		return rc;
	if (rule.note)
		sl_log(SL_LOG_WARNING, "rule-note", "rule", "%s", rule.id, "note", "%s", rule.note, NULL);
	rc = check_rule(catalog, node, &rule, err);
	if (rc == 0)
		rc = sl_catalog_add(catalog, rule.id, node, &entry, err);
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

/* The profile may stand in any file, before or after. */
static int check(struct sl_catalog *catalog, struct sl_error *err)
{
	for (struct sl_catalog_entry *entry = catalog->entries; entry; entry = entry->hh.next) {
		const char *name = entry->rule.profile;
		const struct sl_profile *profile;

		if (entry->is_base_name || !name[0])
			continue;
		profile = sl_catalog_profile(catalog, name);
		if (!profile)
			return sl_yaml_error(sl_yaml_get(entry->node, "qos_profile"), err,
					     "\"%s\" is no QoS profile of the directory", name);
		sl_profile_apply(profile, &entry->rule);
	}
	return 0;
}

const struct sl_catalog_section sl_catalog_rules = {.key = "rules", .read = read_section, .check = check};
