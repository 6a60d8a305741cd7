// SPDX-License-Identifier: Apache-2.0
/* What an IDS rule is about, and who is exempt. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "catalog/rule_document.h"
#include "ids/document_parts.h"
#include "ids/match.h"
#include "policy/address.h"
#include "policy/filter.h"
#include "policy/flow_list.h"
#include "policy/ipfilter.h"

/* --- flows and filters ------------------------------------------------------------- */

static bool is_text(struct sl_yaml_node node)
{
	char text[SL_IPFILTER_TEXT];

	return sl_yaml_text(node, text, sizeof(text), NULL) == 0;
}

static int read_filters(struct sl_yaml_node node, struct sluice_flow **flows, uint32_t *flow_count,
			struct sl_error *err)
{
	const bool is_list = sl_yaml_is_sequence(node);
	char texts[SLUICE_IDS_MATCHES_PER_RULE][SL_IPFILTER_TEXT];
	const char *pointers[SLUICE_IDS_MATCHES_PER_RULE];
	struct sl_error reason = {""};
	size_t count = 1, index;
	int rc = 0;

	if (is_list)
		rc = sl_yaml_sequence(node, SLUICE_IDS_MATCHES_PER_RULE, &count, err);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		rc = sl_yaml_text(is_list ? sl_yaml_item(node, i) : node, texts[i], sizeof(texts[i]), err);
		pointers[i] = texts[i];
	}
	if (rc < 0)
		return rc;
	rc = sl_filter_flows("match", pointers, count, true, flows, flow_count, &reason);
	if (rc == -ENOMEM)
		return sl_error(err, ENOMEM, "out of memory");
	if (rc < 0 && sscanf(reason.text, "match[%zu]", &index) == 1 && index < count)
		return sl_yaml_error(is_list ? sl_yaml_item(node, index) : node, err, "%s",
				     strstr(reason.text, "]: ") + strlen("]: "));
	if (rc < 0)
		return sl_yaml_error(node, err, "%s", reason.text + strlen("match: "));
	/* the last one of each direction says what the others are not about, as no match does anyway */
	*flow_count -= SLUICE_DIRECTIONS;
	return 0;
}

static int read_flows(struct sl_yaml_node node, struct sluice_flow **flows, uint32_t *flow_count,
		      struct sl_error *err)
{
	_cleanup_(sl_flow_list_clear) struct sl_flow_list list = {.flows = NULL};
	struct sl_error reason = {""};
	size_t count = 1;
	int rc;

	rc = sl_flow_list_init(&list, err);
	if (rc == 0 && !sl_yaml_is_sequence(node)) {
		rc = sl_flow_document_read(node, "permit", &list, err);
	} else if (rc == 0) {
		rc = sl_yaml_sequence(node, SLUICE_IDS_MATCHES_PER_RULE, &count, err);
		for (size_t i = 0; rc == 0 && i < count; i++)
			rc = sl_flow_document_read(sl_yaml_item(node, i), "permit", &list, err);
	}
	if (rc < 0)
		return rc;
	if (sl_flow_list_take(&list, "match", flows, flow_count, &reason) < 0)
		return sl_yaml_error(node, err, "%s", reason.text + strlen("match: "));
	return 0;
}

static int add_flows(struct sl_yaml_node node, const struct sluice_flow *flows, uint32_t count,
		     struct sl_ids_rule *rule, struct sl_error *err)
{
	struct sl_error reason = {""};

	if (rule->match_count + count > SLUICE_IDS_MATCHES_PER_RULE)
		return sl_yaml_error(node, err,
				     "%u combinations of directions, ports and types, and %u of exemptions; "
				     "allowed: %d together",
				     count, rule->match_count, SLUICE_IDS_MATCHES_PER_RULE);
	for (uint32_t i = 0; i < count; i++)
		if (sl_ids_match_of(&flows[i], &rule->match[rule->match_count++], &reason) < 0)
			return sl_yaml_error(node, err, "%s", reason.text);
	return 0;
}

/* --- exemptions -------------------------------------------------------------------- */

static int compare_imsis(const void *a, const void *b)
{
	return strcmp(a, b);
}

int sl_ids_read_imsis(struct sl_yaml_node node, char (**list)[SLUICE_IMSI_SIZE], uint32_t *count,
		      struct sl_error *err)
{
	_cleanup_free_ char(*found)[SLUICE_IMSI_SIZE] = NULL;
	size_t items;
	int rc;

	rc = sl_yaml_sequence(node, SL_IDS_SUBSCRIBERS, &items, err);
	if (rc < 0)
		return rc;
	if (items == 0)
		return sl_yaml_error(node, err, "an empty list; allowed: at least one IMSI");
	found = calloc(items, sizeof(*found));
	if (!found)
		return sl_error(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < items; i++) {
		struct sl_yaml_node item = sl_yaml_item(node, i);
		char text[32];

		rc = sl_yaml_text(item, text, sizeof(text), err);
		if (rc < 0)
			return rc;
		if (sl_imsi_parse("", text, found[i], NULL) < 0)
			return sl_yaml_error(item, err,
					     "bad value \"%s\"; allowed: an IMSI of 6 to 15 digits", text);
	}
	qsort(found, items, sizeof(*found), compare_imsis);
	for (size_t i = 1; i < items; i++)
		if (strcmp(found[i - 1], found[i]) == 0)
			return sl_yaml_error(node, err, "\"%s\" is in the list twice", found[i]);
	*list = SL_TAKE(found);
	*count = (uint32_t)items;
	return 0;
}

static int read_exempt_remotes(struct sl_yaml_node node, const bool directions[SLUICE_DIRECTIONS],
			       struct sl_ids_rule *rule, struct sl_error *err)
{
	size_t count;
	int rc;

	rc = sl_yaml_sequence(node, SL_IDS_EXEMPT, &count, err);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		struct sl_yaml_node item = sl_yaml_item(node, i);
		struct sl_address address;
		char text[64];
		uint8_t length;

		rc = sl_yaml_text(item, text, sizeof(text), err);
		if (rc < 0)
			return rc;
		if (sl_prefix_parse("", text, &address, &length, NULL) < 0)
			return sl_yaml_error(
				item, err,
				"bad value \"%s\"; allowed: an IPv4 or IPv6 address or prefix without "
				"host bits",
				text);
		for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
			if (!directions[direction])
				continue;
			if (rule->match_count == SLUICE_IDS_MATCHES_PER_RULE)
				return sl_yaml_error(node, err,
						     "more than %d prefixes, for each direction of the rule; "
						     "allowed: %d together",
						     SLUICE_IDS_MATCHES_PER_RULE,
						     SLUICE_IDS_MATCHES_PER_RULE);
			sl_ids_match_exempt((enum sluice_direction)direction, &address, length,
					    &rule->match[rule->match_count++]);
		}
	}
	rule->exempt_matches = rule->match_count;
	return rc;
}

static int read_exempt(struct sl_yaml_node node, const bool directions[SLUICE_DIRECTIONS],
		       struct sl_ids_rule *rule, struct sl_error *err)
{
	static const char *const keys[] = {"subscribers", "remote", NULL};
	struct sl_yaml_node subscribers = sl_yaml_get(node, "subscribers");
	int rc;

	rc = sl_yaml_mapping(node, keys, err);
	if (rc == 0 && sl_yaml_present(subscribers)) {
		if (rule->subscriber_count)
			return sl_yaml_error(
				subscribers, err,
				"the rule is for its own subscribers only; allowed: leave them out "
				"there");
		rc = sl_ids_read_imsis(subscribers, &rule->exempt, &rule->exempt_count, err);
	}
	return rc < 0 ? rc : read_exempt_remotes(sl_yaml_get(node, "remote"), directions, rule, err);
}

/* --- together ------------------------------------------------------------------------ */

/* Keys that others fill come with addresses from outside; a subscriber's own addresses are few. */
static bool wants_filter(const struct sluice_ids_rule *image, const bool directions[SLUICE_DIRECTIONS])
{
	switch (image->track) {
	case SLUICE_IDS_SOURCE:
		return directions[SLUICE_DOWNLINK];
	case SLUICE_IDS_DESTINATION:
		return directions[SLUICE_UPLINK];
	default:
		return image->track == SLUICE_IDS_PAIR;
	}
}

int sl_ids_read_matches(struct sl_yaml_node node, struct sl_ids_rule *rule, struct sl_error *err)
{
	struct sl_yaml_node match = sl_yaml_get(node, "match");
	_cleanup_free_ struct sluice_flow *flows = NULL;
	bool directions[SLUICE_DIRECTIONS] = {false};
	uint32_t count = 0;
	size_t items = 0;
	int rc;

	rc = sl_yaml_require(node, "match", err);
	if (rc < 0)
		return rc;
	if (sl_yaml_is_sequence(match)) {
		rc = sl_yaml_sequence(match, SLUICE_IDS_MATCHES_PER_RULE, &items, err);
		if (rc == 0 && items == 0)
			return sl_yaml_error(match, err,
					     "an empty list; allowed: 1 to %d flows or IPFilterRules",
					     SLUICE_IDS_MATCHES_PER_RULE);
		if (rc < 0)
			return rc;
	}
	if (is_text(items ? sl_yaml_item(match, 0) : match))
		rc = read_filters(match, &flows, &count, err);
	else
		rc = read_flows(match, &flows, &count, err);
	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < count; i++)
		if (flows[i].action == SLUICE_PERMIT)
			directions[flows[i].direction] = true;
	if (!directions[SLUICE_UPLINK] && !directions[SLUICE_DOWNLINK])
		return sl_yaml_error(match, err, "matches no packet; allowed: at least one that permits");
	rc = read_exempt(sl_yaml_get(node, "exempt"), directions, rule, err);
	if (rc < 0)
		return rc;
	rule->image.sketch = wants_filter(&rule->image, directions);
	return add_flows(match, flows, count, rule, err);
}
