// SPDX-License-Identifier: Apache-2.0
#include "catalog/rule_document.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "catalog/qos_document.h"
#include "policy/address.h"
#include "policy/filter.h"
#include "policy/flow_list.h"
#include "policy/flow_text.h"
#include "policy/ipfilter.h"
#include "policy/redirect.h"

#define LIST_TEXT 1024 /* a list of ports with its commas */
#define KEYS_MAX  32

static const char *const booleans[] = {"false", "true", NULL};
static const char *const rule_keys[] = {"id",	    "precedence", "rating_group", "action",   "mbr",
					"gbr",	    "flows",	  "hard_timeout", "filters",  "restrict",
					"redirect", "steer",	  "arp",	  "class_id", "qos_profile",
					"final",    NULL};

/* --- flows ----------------------------------------------------------------------- */

/* A value, or a list of values put together with commas, in text[]. */
static int read_words(struct sl_yaml_node node, char text[LIST_TEXT], struct sl_error *err)
{
	size_t count, used = 0;
	int rc;

	text[0] = '\0';
	if (!sl_yaml_present(node) || !sl_yaml_is_sequence(node))
		return sl_yaml_text(node, text, LIST_TEXT, err);
	rc = sl_yaml_sequence(node, SL_FLOW_RANGES, &count, err);
	if (rc == 0 && count == 0)
		return sl_yaml_error(node, err, "an empty list; allowed: at least one value");
	for (size_t i = 0; rc == 0 && i < count; i++) {
		char item[64];

		rc = sl_yaml_text(sl_yaml_item(node, i), item, sizeof(item), err);
		if (rc == 0 && used + strlen(item) + 2 > LIST_TEXT)
			return sl_yaml_error(node, err, "a list of more than %d bytes", LIST_TEXT - 1);
		if (rc == 0)
			used += (size_t)snprintf(text + used, LIST_TEXT - used, "%s%s", used ? "," : "",
						 item);
	}
	return rc;
}

int sl_flow_document_read(struct sl_yaml_node node, const char *action, struct sl_flow_list *list,
			  struct sl_error *err)
{
	static const char *const keys[] = {"direction",	  "action",	 "protocol",   "remote",
					   "remote_port", "local",	 "local_port", "dscp",
					   "tcp_flags",	  "tcp_options", "icmp_type",  "fragment",
					   "ip_options",  NULL};
	struct sl_flow_text text = {.family = 0};
	const char **const parts[] = {&text.direction,	 &text.action,	    &text.protocol,   &text.remote,
				      &text.remote_port, &text.local,	    &text.local_port, &text.dscp,
				      &text.tcp_flags,	 &text.tcp_options, &text.icmp_type,  &text.fragment,
				      &text.ip_options};
	char words[SL_ARRAY_SIZE(parts)][LIST_TEXT];
	struct sl_error reason = {""};
	struct sl_yaml_node wrong;
	const char *part = "";
	int rc;

	_Static_assert(SL_ARRAY_SIZE(parts) + 1 == SL_ARRAY_SIZE(keys), "a part for each key");
	rc = sl_yaml_mapping(node, keys, err);
	for (size_t i = 0; rc == 0 && keys[i]; i++) {
		rc = read_words(sl_yaml_get(node, keys[i]), words[i], err);
		*parts[i] = words[i];
	}
	if (rc < 0)
		return rc;
	if (!text.action[0])
		text.action = action;
	rc = sl_flow_text_read(&text, list, &part, &reason);
	if (rc == 0)
		return 0;
	wrong = sl_yaml_get(node, part);
	return sl_yaml_error(sl_yaml_present(wrong) ? wrong : node, err, "%s", reason.text);
}

static int read_flows(struct sl_yaml_node node, struct sl_yaml_node action_node, struct sl_rule *rule,
		      struct sl_error *err)
{
	static const char *const actions[] = {"permit", "deny", NULL};
	_cleanup_(sl_flow_list_clear) struct sl_flow_list list = {.flows = NULL};
	struct sl_error reason = {""};
	unsigned int action = 0;
	size_t count = 0;
	int rc;

	rc = sl_yaml_choice(action_node, actions, &action, err);
	if (rc == 0)
		rc = sl_yaml_sequence(node, SLUICE_FLOWS_PER_RULE, &count, err);
	if (rc == 0)
		rc = sl_flow_list_init(&list, err);
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = sl_flow_document_read(sl_yaml_item(node, i), actions[action], &list, err);
	if (rc < 0)
		return rc;
	if (sl_flow_list_take(&list, "flows", &rule->flows, &rule->flow_count, &reason) < 0)
		return sl_yaml_error(node, err, "%s", reason.text + strlen("flows: "));
	return 0;
}

/* --- filters ---------------------------------------------------------------------- */

static int read_filters(struct sl_yaml_node node, struct sl_yaml_node restrict_node, struct sl_rule *rule,
			struct sl_error *err)
{
	_cleanup_free_ char(*texts)[SL_IPFILTER_TEXT] = NULL;
	_cleanup_free_ const char **pointers = NULL;
	struct sl_error reason = {""};
	unsigned int restricts = 0;
	size_t count = 0;
	int rc;

	rc = sl_yaml_choice(restrict_node, booleans, &restricts, err);
	if (rc == 0)
		rc = sl_yaml_sequence(node, SLUICE_FLOWS_PER_RULE, &count, err);
	if (rc < 0)
		return rc;
	texts = calloc(count + 1, sizeof(*texts));
	pointers = calloc(count + 1, sizeof(*pointers));
	if (!texts || !pointers)
		return sl_error(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		rc = sl_yaml_text(sl_yaml_item(node, i), texts[i], sizeof(texts[i]), err);
		if (rc < 0)
			return rc;
		pointers[i] = texts[i];
	}
	rc = sl_filter_flows("filters", pointers, count, restricts == 1, &rule->flows, &rule->flow_count,
			     &reason);
	if (rc < 0) {
		size_t index = count;

		/* the line of the text that is wrong rather than that of the list */
		if (sscanf(reason.text, "filters[%zu]", &index) == 1 && index < count)
			return sl_yaml_error(sl_yaml_item(node, index), err, "%s",
					     strstr(reason.text, "]: ") + strlen("]: "));
		return sl_yaml_error(node, err, "%s", reason.text + strlen("filters: "));
	}
	rule->note = sl_filter_note(pointers, count, restricts == 1);
	return 0;
}

/* --- where else to ------------------------------------------------------------------ */

int sl_redirect_document_read(struct sl_yaml_node node, struct sl_rule *rule, struct sl_error *err)
{
	static const char *const keys[] = {"ipv4", "ipv6", "url", NULL};
	static const enum sluice_redirect types[] = {SLUICE_REDIRECT_IPV4, SLUICE_REDIRECT_IPV6,
						     SLUICE_REDIRECT_URL};
	struct sl_yaml_node chosen = {node.document, 0};
	char text[2 * SLUICE_REDIRECT_SIZE];
	enum sluice_redirect type = SLUICE_REDIRECT_NONE;
	struct sl_error reason = {""};
	int rc;

	rc = sl_yaml_mapping(node, keys, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; keys[i]; i++) {
		struct sl_yaml_node value = sl_yaml_get(node, keys[i]);

		if (!sl_yaml_present(value))
			continue;
		if (type != SLUICE_REDIRECT_NONE)
			return sl_yaml_error(node, err, "more than one address; allowed: ipv4, ipv6 or url");
		chosen = value;
		type = types[i];
	}
	if (type == SLUICE_REDIRECT_NONE)
		return sl_yaml_error(node, err, "no address; allowed: ipv4, ipv6 or url");
	rc = sl_yaml_text(chosen, text, sizeof(text), err);
	if (rc < 0)
		return rc;
	if (sl_redirect_set(rule, "redirect", type, text, &reason) < 0)
		return sl_yaml_error(chosen, err, "%s", reason.text + strlen("redirect: "));
	return 0;
}

static int read_steer(struct sl_yaml_node node, struct sl_rule *rule, struct sl_error *err)
{
	static const char *const keys[] = {"redirect", "mirror", "next_hop", NULL};
	struct sl_yaml_node redirect = sl_yaml_get(node, "redirect"), mirror = sl_yaml_get(node, "mirror");
	struct sl_yaml_node next_hop = sl_yaml_get(node, "next_hop");
	struct sl_rule_steer *steer = &rule->steer;
	struct sl_address address;
	char text[SL_ADDRESS_TEXT];
	int rc;

	if (!sl_yaml_present(node))
		return 0;
	rc = sl_yaml_mapping(node, keys, err);
	if (rc < 0)
		return rc;
	if (sl_yaml_present(redirect) == sl_yaml_present(mirror))
		return sl_yaml_error(node, err, "not one interface; allowed: redirect or mirror");
	steer->mode = sl_yaml_present(redirect) ? SLUICE_STEER_REDIRECT : SLUICE_STEER_MIRROR;
	rc = sl_yaml_text(sl_yaml_present(redirect) ? redirect : mirror, steer->interface,
			  sizeof(steer->interface), err);
	if (rc < 0 || !sl_yaml_present(next_hop))
		return rc;
	rc = sl_yaml_text(next_hop, text, sizeof(text), err);
	if (rc < 0)
		return rc;
	if (sl_address_parse("", text, &address, NULL) < 0)
		return sl_yaml_error(next_hop, err, "bad value \"%s\"; allowed: an IPv4 or IPv6 address",
				     text);
	steer->next_hop_family = address.family;
	memcpy(steer->next_hop, address.bytes, sizeof(steer->next_hop));
	return 0;
}

/* --- rules ---------------------------------------------------------------------------- */

/* In the place of what is the profile's. */
static int read_profile(struct sl_yaml_node node, struct sl_rule *rule, struct sl_error *err)
{
	static const char *const others[] = {"mbr", "gbr", "arp", "class_id", NULL};
	struct sl_yaml_node name = sl_yaml_get(node, "qos_profile");
	int rc = sl_yaml_text(name, rule->profile, sizeof(rule->profile), err);

	for (size_t i = 0; rc == 0 && sl_yaml_present(name) && others[i]; i++)
		if (sl_yaml_present(sl_yaml_get(node, others[i])))
			return sl_yaml_error(sl_yaml_get(node, others[i]), err,
					     "beside qos_profile \"%s\"; allowed: one of the two",
					     rule->profile);
	return rc;
}

static int read_timeout(struct sl_yaml_node node, uint32_t *seconds, struct sl_error *err)
{
	uint64_t timeout = 0;
	int rc = sl_yaml_duration(node, 1000, 1000ULL * UINT32_MAX, &timeout, err);

	if (rc < 0)
		return rc;
	if (timeout % 1000)
		return sl_yaml_error(node, err, "not in whole seconds; allowed: s, m or h");
	*seconds = (uint32_t)(timeout / 1000);
	return 0;
}

static int check_keys(struct sl_yaml_node node, const char *const *more, struct sl_error *err)
{
	const char *keys[KEYS_MAX] = {NULL};
	size_t count = 0;

	for (size_t i = 0; rule_keys[i]; i++)
		keys[count++] = rule_keys[i];
	for (size_t i = 0; more && more[i] && count < KEYS_MAX - 1; i++)
		keys[count++] = more[i];
	return sl_yaml_mapping(node, keys, err);
}

/* What the rule is about: one of three ways to say it. */
static int read_matter(struct sl_yaml_node node, struct sl_rule *rule, struct sl_error *err)
{
	struct sl_yaml_node flows = sl_yaml_get(node, "flows"), filters = sl_yaml_get(node, "filters");
	struct sl_yaml_node redirect = sl_yaml_get(node, "redirect"), action = sl_yaml_get(node, "action");
	struct sl_yaml_node restricts = sl_yaml_get(node, "restrict");
	const int ways = sl_yaml_present(flows) + sl_yaml_present(filters) + sl_yaml_present(redirect);

	if (ways == 0)
		return sl_yaml_error(node, err,
				     "the key flows is missing; allowed: flows, filters or redirect");
	if (ways > 1)
		return sl_yaml_error(node, err, "more than one of flows, filters and redirect; allowed: one");
	if (sl_yaml_present(action) && !sl_yaml_present(flows))
		return sl_yaml_error(action, err, "only flows take their action from here");
	if (sl_yaml_present(restricts) && !sl_yaml_present(filters))
		return sl_yaml_error(restricts, err, "only filters can be restricted to");
	if (sl_yaml_present(flows))
		return read_flows(flows, action, rule, err);
	if (sl_yaml_present(filters))
		return read_filters(filters, restricts, rule, err);
	return sl_redirect_document_read(redirect, rule, err);
}

static void free_flows(struct sl_rule *rule)
{
	free(rule->flows);
}

int sl_rule_document_read(struct sl_yaml_node node, const char *const *more, uint64_t max_rate,
			  struct sl_rule *out, struct sl_error *err)
{
	_cleanup_(free_flows) struct sl_rule rule = {.precedence = SL_RULE_DOCUMENT_PRECEDENCE,
						     .record = SLUICE_NONE};
	struct sl_error reason = {""};
	unsigned int final = 0;
	int rc;

	if ((rc = check_keys(node, more, err)) < 0 || (rc = sl_yaml_require(node, "id", err)) < 0 ||
	    (rc = sl_yaml_text(sl_yaml_get(node, "id"), rule.id, sizeof(rule.id), err)) < 0 ||
	    (rc = sl_yaml_uint32(sl_yaml_get(node, "precedence"), 0, UINT32_MAX, &rule.precedence, err)) <
		    0 ||
	    (rc = sl_yaml_uint32(sl_yaml_get(node, "rating_group"), 0, UINT32_MAX, &rule.rating_group, err)) <
		    0 ||
	    (rc = sl_rates_document_read(sl_yaml_get(node, "mbr"), max_rate, rule.mbr, err)) < 0 ||
	    (rc = sl_rates_document_read(sl_yaml_get(node, "gbr"), max_rate, rule.gbr, err)) < 0 ||
	    (rc = sl_gbr_document_check(sl_yaml_get(node, "gbr"), rule.mbr, rule.gbr, err)) < 0 ||
	    (rc = sl_arp_document_read(sl_yaml_get(node, "arp"), &rule.arp, err)) < 0 ||
	    (rc = sl_class_document_read(sl_yaml_get(node, "class_id"), 0, &rule.class_id, err)) < 0 ||
	    (rc = read_profile(node, &rule, err)) < 0 ||
	    (rc = read_timeout(sl_yaml_get(node, "hard_timeout"), &rule.hard_timeout_s, err)) < 0 ||
	    (rc = sl_yaml_choice(sl_yaml_get(node, "final"), booleans, &final, err)) < 0 ||
	    (rc = read_matter(node, &rule, err)) < 0 ||
	    (rc = read_steer(sl_yaml_get(node, "steer"), &rule, err)) < 0)
		return rc;
	rule.is_final = final == 1;
	if (sl_rule_validate(&rule, &reason) < 0)
		return sl_yaml_error(node, err, "%s", reason.text);
	*out = rule;
	rule.flows = NULL;
	return 0;
}
