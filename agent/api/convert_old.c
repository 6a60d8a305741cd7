// SPDX-License-Identifier: Apache-2.0
#include "api/convert_old.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/convert_flow.h"
#include "base/cleanup.h"

bool sl_rule_is_only_id(const Magma__Lte__PolicyRule *wire)
{
	Magma__Lte__PolicyRule only = MAGMA__LTE__POLICY_RULE__INIT;

	if (!wire->id || !wire->id[0])
		return false;
	only.id = wire->id;
	return protobuf_c_message_get_packed_size(&wire->base) ==
	       protobuf_c_message_get_packed_size(&only.base);
}

/* --- rules before release 1.5 ------------------------------------------------------ */

static Magma__Lte__IPAddress *adopt_address(Magma__Lte__IPAddress *present, char *text,
					    Magma__Lte__IPAddress *made)
{
	if (present || !text || !text[0])
		return present;
	magma__lte__ipaddress__init(made);
	made->version = MAGMA__LTE__IPADDRESS__IPVERSION__IPV4;
	made->address.data = (uint8_t *)text;
	made->address.len = strlen(text);
	return made;
}

/* Reads a rule with its old addresses in the new fields, and leaves it as it came. */
static int read_old_rule(const Magma__Lte__PolicyRule *wire, struct sl_rule *out, struct sl_error *err)
{
	_cleanup_free_ Magma__Lte__IPAddress *made = calloc(2 * wire->n_flow_list + 1, sizeof(*made));
	int rc;

	if (!made)
		return sl_error(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < wire->n_flow_list; i++) {
		Magma__Lte__FlowMatch *match = wire->flow_list[i]->match;

		if (!match)
			continue;
		match->ip_src = adopt_address(match->ip_src, match->ipv4_src, &made[2 * i]);
		match->ip_dst = adopt_address(match->ip_dst, match->ipv4_dst, &made[2 * i + 1]);
	}
	rc = sl_rule_read(wire, out, err);
	for (size_t i = 0; i < wire->n_flow_list; i++) {
		Magma__Lte__FlowMatch *match = wire->flow_list[i]->match;

		if (match && match->ip_src == &made[2 * i])
			match->ip_src = NULL;
		if (match && match->ip_dst == &made[2 * i + 1])
			match->ip_dst = NULL;
	}
	return rc;
}

enum sluice_origin sl_activation_origin(const Magma__Lte__ActivateFlowsRequest *wire)
{
	return wire->request_origin &&
			       wire->request_origin->type == MAGMA__LTE__REQUEST_ORIGIN_TYPE__ORIGIN_TYPE__GY
		       ? SLUICE_ORIGIN_GY
		       : SLUICE_ORIGIN_GX;
}

/* --- activation -------------------------------------------------------------------- */

/* How many rules the names stand for; an unknown one takes a place, too, for its result. */
static int count_named(char *const *names, size_t count, const struct sl_catalog *catalog, size_t *out,
		       struct sl_error *err)
{
	const struct sl_rule *const *rules;
	size_t total = 0;

	for (size_t i = 0; i < count && total <= SL_REQUEST_RULES; i++) {
		size_t found = sl_catalog_resolve(catalog, names[i], &rules);

		total += found ? found : 1;
	}
	if (total > SL_REQUEST_RULES)
		return sl_error(err, E2BIG, "rule_ids: more than %d rules in one request", SL_REQUEST_RULES);
	*out = total;
	return 0;
}

/* The same requests, with room for more behind them. */
static int grow(struct sl_activation *activation, size_t more)
{
	size_t count = activation->storage_count, total = count + more;
	struct sl_rule *storage = calloc(total + 1, sizeof(*storage));
	int families = activation->rules[1] ? 2 : 1;
	struct sl_rule_request *rules[2] = {calloc(total + 1, sizeof(*rules[0])),
					    families == 2 ? calloc(total + 1, sizeof(*rules[1])) : NULL};

	if (!storage || !rules[0] || (families == 2 && !rules[1])) {
		free(storage);
		free(rules[0]);
		free(rules[1]);
		return -ENOMEM;
	}
	memcpy(storage, activation->storage, count * sizeof(*storage));
	for (int family = 0; family < families; family++) {
		memcpy(rules[family], activation->rules[family], count * sizeof(*rules[0]));
		for (size_t i = 0; i < count; i++)
			if (rules[family][i].rule)
				rules[family][i].rule = &storage[i];
		free(activation->rules[family]);
		activation->rules[family] = rules[family];
	}
	free(activation->storage);
	activation->storage = storage;
	for (size_t i = 0; i < activation->session_count; i++)
		activation->session[i].rules = rules[i];
	return 0;
}

static void append(struct sl_activation *activation, const struct sl_rule_request *request)
{
	size_t at = activation->storage_count++;

	activation->rules[0][at] = *request;
	if (activation->rules[1])
		activation->rules[1][at] = *request;
	for (size_t i = 0; i < activation->session_count; i++)
		activation->session[i].rule_count = activation->storage_count;
}

static void append_dynamic(const Magma__Lte__ActivateFlowsRequest *wire, struct sl_activation *activation)
{
	for (size_t i = 0; i < wire->n_dynamic_rules; i++) {
		const Magma__Lte__PolicyRule *rule = wire->dynamic_rules[i];
		struct sl_rule *storage = &activation->storage[activation->storage_count];
		struct sl_rule_request request = {
			.id = rule->id ? rule->id : "",
			.origin = sl_activation_origin(wire),
			.note = sl_rule_note(rule),
		};

		if (read_old_rule(rule, storage, &request.error) == 0)
			request.rule = storage;
		append(activation, &request);
	}
}

/* By one of the names before: base names may have rules in common. */
static bool is_appended(const struct sl_activation *activation, size_t from, const struct sl_rule *rule)
{
	for (size_t i = from; i < activation->storage_count; i++)
		if (activation->rules[0][i].rule == rule)
			return true;
	return false;
}

static void append_named(const Magma__Lte__ActivateFlowsRequest *wire, const struct sl_catalog *catalog,
			 struct sl_activation *activation)
{
	size_t from = activation->storage_count;

	for (size_t i = 0; i < wire->n_rule_ids; i++) {
		struct sl_rule_request request = {.id = wire->rule_ids[i],
						  .origin = sl_activation_origin(wire)};
		const struct sl_rule *const *rules;
		size_t count = sl_catalog_resolve(catalog, wire->rule_ids[i], &rules);

		if (count == 0) {
			sl_error(&request.error, ENOENT,
				 "rule_ids[%zu]: \"%.64s\" is no rule and no base name of the gateway", i,
				 wire->rule_ids[i]);
			append(activation, &request);
		}
		for (size_t k = 0; k < count; k++) {
			if (is_appended(activation, from, rules[k]))
				continue;
			request.rule = (struct sl_rule *)rules[k]; /* read only, as every request's */
			request.id = rules[k]->id;
			append(activation, &request);
		}
	}
}

static void take_from_catalog(const Magma__Lte__ActivateFlowsRequest *wire, const struct sl_catalog *catalog,
			      struct sl_activation *activation)
{
	for (size_t i = 0; i < wire->n_policies; i++) {
		const Magma__Lte__PolicyRule *policy = wire->policies[i]->rule;
		const struct sl_rule *rule = NULL;

		if (!policy || !sl_rule_is_only_id(policy))
			continue;
		rule = sl_catalog_rule(catalog, policy->id);
		for (int family = 0; family < 2; family++) {
			if (!activation->rules[family])
				continue;
			activation->rules[family][i].rule = (struct sl_rule *)rule;
			if (!rule)
				sl_error(&activation->rules[family][i].error, EINVAL,
					 "flow_list: empty, and the gateway has no rule \"%.64s\"",
					 policy->id);
		}
	}
}

int sl_activation_complete(const Magma__Lte__ActivateFlowsRequest *wire, const struct sl_catalog *catalog,
			   struct sl_activation *activation, struct sl_error *err)
{
	size_t named, whole;
	int rc;

	if (wire->n_dynamic_rules > SL_REQUEST_RULES)
		return sl_error(err, E2BIG, "dynamic_rules: more than %d rules in one request",
				SL_REQUEST_RULES);
	rc = count_named(wire->rule_ids, wire->n_rule_ids, catalog, &named, err);
	if (rc < 0)
		return rc;
	if (wire->n_dynamic_rules + named && grow(activation, wire->n_dynamic_rules + named) < 0)
		return sl_error(err, ENOMEM, "out of memory");
	take_from_catalog(wire, catalog, activation);
	append_dynamic(wire, activation);
	whole = activation->storage_count;
	append_named(wire, catalog, activation);
	activation->named_count = activation->storage_count - whole;
	return 0;
}

/* --- deactivation -------------------------------------------------------------------- */

static size_t add_names(const char **ids, const char *name, const struct sl_catalog *catalog)
{
	const struct sl_rule *const *rules;
	size_t count = sl_catalog_resolve(catalog, name, &rules), n = 0;

	ids[n++] = name;
	for (size_t i = 0; i < count; i++)
		if (strcmp(rules[i]->id, name) != 0)
			ids[n++] = rules[i]->id;
	return n;
}

int sl_deactivation_complete(const Magma__Lte__DeactivateFlowsRequest *wire, const struct sl_catalog *catalog,
			     struct sl_deactivations *deactivations, struct sl_error *err)
{
	size_t named, count = 0;
	const char **ids;
	int rc;

	if (wire->n_rule_ids == 0)
		return 0;
	for (size_t i = 0; i < wire->n_rule_ids; i++)
		if (!wire->rule_ids[i][0])
			return sl_error(err, EINVAL, "rule_ids[%zu]: empty", i);
	rc = count_named(wire->rule_ids, wire->n_rule_ids, catalog, &named, err);
	if (rc < 0)
		return rc;
	ids = calloc(wire->n_policies + wire->n_rule_ids + named, sizeof(*ids));
	if (!ids)
		return sl_error(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < wire->n_policies; i++)
		ids[count++] = wire->policies[i]->rule_id;
	for (size_t i = 0; i < wire->n_rule_ids; i++)
		count += add_names(ids + count, wire->rule_ids[i], catalog);
	free(deactivations->rule_ids);
	deactivations->rule_ids = ids;
	for (size_t i = 0; i < deactivations->count; i++) {
		deactivations->request[i].rule_ids = ids;
		deactivations->request[i].rule_count = count;
	}
	return 0;
}
