// SPDX-License-Identifier: Apache-2.0
#include "yaml_rule.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "catalog/rule_document.h"
#include "ctl.h"
#include "policy/address.h"
#include "rule_message.h"
#include "sluice/limits.h"

#define MORE_KEYS 8

int yaml_text_read(struct arena *arena, struct sl_yaml_node node, size_t size, char **out,
		   struct sl_error *err)
{
	char *text;
	int ret;

	if (!sl_yaml_present(node))
		return 0;
	text = arena_take(arena, size, 1);
	ret = sl_yaml_text(node, text, size, err);
	if (ret == 0)
		*out = text;
	return ret;
}

/* Whatever else is wrong with it: then it is read as a whole rule, which says so. */
static bool has_only_id(struct sl_yaml_node node, const char *const *more)
{
	const char *keys[MORE_KEYS + 2] = {"id"};
	size_t count = 1;

	for (size_t i = 0; more[i] && i < MORE_KEYS; i++)
		keys[count++] = more[i];
	return sl_yaml_mapping(node, keys, NULL) == 0 && sl_yaml_present(sl_yaml_get(node, "id"));
}

static void drop_flows(struct sl_rule *rule)
{
	free(rule->flows);
}

/* The agent gets flows, and cannot tell any more how they were said. */
static void warn(struct sl_yaml_node node, const char *note)
{
	struct sl_error place = {{0}};

	sl_yaml_error(sl_yaml_get(node, "filters"), &place, "%s", note);
	ctl_error(0, "warning: %s", place.text);
}

int yaml_rule_read(struct arena *arena, struct sl_yaml_node node, const char *const *more,
		   Magma__Lte__PolicyRule **out, bool *is_named, struct sl_error *err)
{
	_cleanup_(drop_flows) struct sl_rule rule = {.flows = NULL};
	Magma__Lte__PolicyRule *message;
	int ret;

	if (has_only_id(node, more)) {
		message = arena_take(arena, 1, sizeof(*message));
		magma__lte__policy_rule__init(message);
		ret = yaml_text_read(arena, sl_yaml_get(node, "id"), SLUICE_RULE_ID_SIZE, &message->id, err);
		*is_named = true;
	} else {
		ret = sl_rule_document_read(node, more, RULE_MESSAGE_RATE, &rule, err);
		message = ret == 0 ? rule_message(arena, &rule) : NULL;
		if (ret == 0 && rule.note)
			warn(node, rule.note);
		*is_named = false;
	}
	if (ret == 0)
		*out = message;
	return ret;
}

int yaml_names_read(struct arena *arena, struct sl_yaml_node node, size_t max, char ***out, size_t *count,
		    struct sl_error *err)
{
	char **names;
	size_t n, i;
	int ret;

	ret = sl_yaml_sequence(node, max, &n, err);
	if (ret < 0)
		return ret;
	names = arena_take(arena, n + 1, sizeof(*names));
	for (i = 0; i < n; i++) {
		ret = yaml_text_read(arena, sl_yaml_item(node, i), SLUICE_RULE_ID_SIZE, &names[i], err);
		if (ret < 0)
			return ret;
	}
	*out = names;
	*count = n;
	return 0;
}

int yaml_imsi_read(struct sl_yaml_node node, char out[16], struct sl_error *err)
{
	char text[32] = "";
	int ret = sl_yaml_text(node, text, sizeof(text), err);

	if (ret < 0)
		return ret;
	if (sl_imsi_parse("imsi", text, out, NULL) < 0)
		return sl_yaml_error(node, err, "bad value \"%s\"; allowed: 6 to 15 digits", text);
	return 0;
}
