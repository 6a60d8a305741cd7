// SPDX-License-Identifier: Apache-2.0
/* The section `ids` of the policy directory: read with the rules, all or nothing. */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "catalog/catalog.h"
#include "ids/document.h"
#include "ids/rules.h"

struct reading {
	struct sl_ids_rules rules; /* first: what the content is to others */
	struct sl_yaml_node node[SLUICE_IDS_RULES];
};

static void *make(void)
{
	struct reading *reading = calloc(1, sizeof(*reading));

	if (reading)
		reading->rules.rule = calloc(SLUICE_IDS_RULES, sizeof(*reading->rules.rule));
	if (reading && !reading->rules.rule) {
		free(reading);
		return NULL;
	}
	return reading;
}

static void drop(void *content)
{
	struct reading *reading = content;

	sl_ids_rules_clear(&reading->rules);
	free(reading);
}

static int read_section(void *content, struct sl_yaml_node node, struct sl_error *err)
{
	struct reading *reading = content;
	struct sl_ids_rules *rules = &reading->rules;
	size_t count;
	int rc;

	rc = sl_yaml_sequence(node, SLUICE_IDS_RULES - rules->count, &count, err);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		struct sl_yaml_node item = sl_yaml_item(node, i);
		struct sl_ids_rule *rule = &rules->rule[rules->count];
		const char *path = sl_yaml_name(item), *slash = strrchr(path, '/');

		rc = sl_ids_document_read(item, rule, err);
		if (rc < 0)
			return rc;
		reading->node[rules->count++] = item;
		snprintf(rule->file, sizeof(rule->file), "%.63s", slash ? slash + 1 : path);
	}
	return rc;
}

/* --- what only shows when all files are read ----------------------------------------------- */

static int check_names(const struct reading *reading, uint32_t i, struct sl_error *err)
{
	const struct sl_ids_rule *rule = &reading->rules.rule[i];
	struct sl_yaml_node name = sl_yaml_get(reading->node[i], "name");

	for (uint32_t k = 0; k < i; k++) {
		const struct sl_ids_rule *other = &reading->rules.rule[k];
		const bool same = strcmp(other->name, rule->name) == 0;

		if (same && !other->subscriber_count && !rule->subscriber_count)
			return sl_yaml_error(
				name, err,
				"\"%s\" is an IDS rule in %s:%u already; allowed: a name once, and "
				"again with subscribers",
				rule->name, other->file, other->line);
		if ((!same && other->number == rule->number) || other->image.identity == rule->image.identity)
			return sl_yaml_error(
				name, err, "\"%s\" comes to the same number as \"%s\"; allowed: another name",
				rule->name, other->name);
	}
	return 0;
}

static const char *common_imsi(char (*a)[SLUICE_IMSI_SIZE], uint32_t a_count, char (*b)[SLUICE_IMSI_SIZE],
			       uint32_t b_count)
{
	for (uint32_t i = 0, k = 0; i < a_count && k < b_count;) {
		int order = strcmp(a[i], b[k]);

		if (order == 0)
			return a[i];
		i += order < 0;
		k += order > 0;
	}
	return NULL;
}

/* A subscriber has one rule of a name, or is exempt from it, but not both. */
static int check_subscribers(const struct reading *reading, uint32_t i, struct sl_error *err)
{
	const struct sl_ids_rule *rule = &reading->rules.rule[i];

	for (uint32_t k = 0; rule->subscriber_count && k < reading->rules.count; k++) {
		const struct sl_ids_rule *other = &reading->rules.rule[k];
		const char *twice = NULL;

		if (k == i || strcmp(other->name, rule->name) != 0)
			continue;
		if (k < i)
			twice = common_imsi(rule->subscribers, rule->subscriber_count, other->subscribers,
					    other->subscriber_count);
		if (!twice)
			twice = common_imsi(rule->subscribers, rule->subscriber_count, other->exempt,
					    other->exempt_count);
		if (twice)
			return sl_yaml_error(
				sl_yaml_get(reading->node[i], "subscribers"), err,
				"\"%s\" is in a list of the rule in %s:%u, too; allowed: in one of "
				"them",
				twice, other->file, other->line);
	}
	return 0;
}

static int check_references(const struct reading *reading, uint32_t i, const struct sl_catalog *catalog,
			    const char *const *access, struct sl_error *err)
{
	const struct sl_ids_rule *rule = &reading->rules.rule[i];
	struct sl_yaml_node names = sl_yaml_get(reading->node[i], "quarantine");
	const struct sl_rule *const *found;

	for (uint32_t k = 0; k < rule->quarantine_count; k++)
		if (sl_catalog_resolve(catalog, rule->quarantine[k], &found) == 0)
			return sl_yaml_error(
				sl_yaml_item(names, k), err,
				"\"%s\" is no rule of the directory; allowed: a rule or a base name",
				rule->quarantine[k]);
	for (; rule->mirror[0] && access && *access; access++)
		if (strcmp(*access, rule->mirror) == 0)
			return sl_yaml_error(sl_yaml_get(reading->node[i], "mirror"), err,
					     "'%s' is an access interface of this agent", rule->mirror);
	return 0;
}

static uint64_t longest_window(const struct sl_ids_rule *rule)
{
	uint64_t longest = 0;

	for (uint32_t i = 0; i < rule->image.limit_count; i++)
		if (rule->image.limit[i].window_ns > longest)
			longest = rule->image.limit[i].window_ns;
	return longest;
}

/* Rules whose keys come from outside share a filter only with those of the same window. */
static int check_windows(const struct reading *reading, uint32_t i, uint64_t *windows, uint32_t *count,
			 struct sl_error *err)
{
	const struct sl_ids_rule *rule = &reading->rules.rule[i];
	const uint64_t window = longest_window(rule);

	if (!rule->image.sketch)
		return 0;
	for (uint32_t k = 0; k < *count; k++)
		if (windows[k] == window)
			return 0;
	if (*count == SLUICE_IDS_SKETCHES)
		return sl_yaml_error(
			sl_yaml_get(reading->node[i], "limit"), err,
			"one more window of rules that track addresses from outside; allowed: %d "
			"different ones",
			SLUICE_IDS_SKETCHES);
	windows[(*count)++] = window;
	return 0;
}

static uint32_t ordinal(const struct sl_ids_rules *rules, uint32_t i)
{
	uint32_t before = 0;
	bool has_base = rules->rule[i].subscriber_count == 0;

	/* that for all is the first, wherever it stands: overrides come and go without a change of it */
	if (has_base)
		return 0;
	for (uint32_t k = 0; k < i; k++)
		before += rules->rule[k].subscriber_count &&
			  strcmp(rules->rule[k].name, rules->rule[i].name) == 0;
	return before + 1;
}

static int check(void *content, const struct sl_catalog *catalog, const char *const *access,
		 struct sl_error *err)
{
	const struct reading *reading = content;
	const struct sl_ids_rules *rules = &reading->rules;
	uint64_t windows[SLUICE_IDS_SKETCHES], pairs = 0;
	uint32_t window_count = 0;
	int rc = 0;

	for (uint32_t i = 0; i < rules->count; i++)
		sl_ids_rule_seal(&rules->rule[i], ordinal(rules, i));
	for (uint32_t i = 0; rc == 0 && i < rules->count; i++) {
		pairs += rules->rule[i].subscriber_count + rules->rule[i].exempt_count;
		if (pairs > SL_IDS_OVERRIDES)
			return sl_yaml_error(
				reading->node[i], err,
				"with this rule more than %d subscribers are named in lists; allowed: "
				"%d",
				SL_IDS_OVERRIDES, SL_IDS_OVERRIDES);
		if ((rc = check_names(reading, i, err)) < 0 ||
		    (rc = check_subscribers(reading, i, err)) < 0 ||
		    (rc = check_references(reading, i, catalog, access, err)) < 0)
			return rc;
		rc = check_windows(reading, i, windows, &window_count, err);
	}
	return rc;
}

const struct sl_catalog_part sl_ids_section = {
	.key = "ids",
	.make = make,
	.read = read_section,
	.check = check,
	.free = drop,
};
