// SPDX-License-Identifier: Apache-2.0
#include "case_request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "case_session.h"
#include "policy/filter.h"

static int build_own_flows(const struct case_policy *policy, struct sl_rule *rule, struct sl_error *err)
{
	_cleanup_(sl_flow_list_clear) struct sl_flow_list list = {.flows = NULL};
	int result = sl_flow_list_init(&list, err);

	for (size_t i = 0; result == 0 && i < policy->own_flows.count; i++) {
		const char *part = "";

		result = sl_flow_text_read(&policy->own_flows.item[i], &list, &part, err);
		if (result < 0)
			return sl_error_prefix(err, result, "flows[%zu].%s", i, part);
	}
	return result < 0 ? result : sl_flow_list_take(&list, "flows", &rule->flows, &rule->flow_count, err);
}

static int build_flows(const struct case_policy *policy, struct sl_rule *rule, struct sl_error *err)
{
	rule->flows = calloc(policy->flows.count + 1, sizeof(*rule->flows));
	if (!rule->flows)
		return sl_error(err, ENOMEM, "no memory");
	for (; rule->flow_count < policy->flows.count; rule->flow_count++) {
		char field[32];
		int result;

		snprintf(field, sizeof(field), "flow_list[%u].match", rule->flow_count);
		result = sl_flow_from_match(field, &policy->flows.item[rule->flow_count],
					    &rule->flows[rule->flow_count], err);
		if (result < 0)
			return result;
	}
	return 0;
}

/* rule->flows is the caller's to free, whatever comes of it. */
static int build_rule(const struct case_policy *policy, struct sl_rule *rule, struct sl_error *err)
{
	int result;

	if (snprintf(rule->id, sizeof(rule->id), "%s", policy->id) >= (int)sizeof(rule->id))
		return sl_error(err, EINVAL, "id: '%.32s...' is longer than %d bytes", policy->id,
				SLUICE_RULE_ID_SIZE - 1);
	rule->precedence = policy->precedence;
	if (policy->filters.item)
		result = sl_filter_flows("filter_rules", policy->filters.item, policy->filters.count,
					 policy->restricts, &rule->flows, &rule->flow_count, err);
	else if (policy->own_flows.item)
		result = build_own_flows(policy, rule, err);
	else
		result = build_flows(policy, rule, err);
	return result < 0 ? result : sl_rule_validate(rule, err);
}

static void free_flows(struct sl_rule *rule)
{
	free(rule->flows);
}

/* The same rule and version: its counts go on; another version: they begin anew, the old ones stay to be
 * reported. */
static int install(struct case_run *run, struct case_session *session, const struct sl_rule *rule,
		   enum sluice_origin origin, uint32_t version, struct sl_error *err)
{
	struct sl_install *present = case_session_install(session, rule->id, origin);
	struct sl_install made = {.origin = origin, .version = version};
	int result;

	if (present && present->version == version) {
		struct sl_rule *old = present->rule;

		result = sl_rule_table_intern(run->rules, rule, &present->rule);
		if (result == 0)
			sl_rule_table_unref(run->rules, old, NULL, NULL);
		return result;
	}
	if (present)
		case_session_remove(run, session, (size_t)(present - session->installs));
	if (session->install_count == CASE_INSTALLS)
		return sl_error(err, ENOSPC, "more than %d rules in a session", CASE_INSTALLS);
	result = case_session_record(run, session->slot, rule->id, version, &made.binding.usage, err);
	if (result < 0)
		return result;
	result = sl_rule_table_intern(run->rules, rule, &made.rule);
	if (result < 0)
		return result;
	session->installs[session->install_count++] = made;
	return 0;
}

static int check_result(const struct case_request *request, size_t index, const struct case_policy *policy,
			bool success, const struct sl_error *reason, struct sl_error *err)
{
	const struct case_result *expected;

	if (index >= request->results.count)
		return sl_error(err, EINVAL, "only %zu results for more policies", request->results.count);
	expected = &request->results.item[index];
	if (strcmp(expected->id, policy->id) != 0 || expected->version != policy->version)
		return sl_error(err, EINVAL, "result %zu is of %s version %u, expected %s version %u",
				index + 1, policy->id, policy->version, expected->id, expected->version);
	if (expected->success != success)
		return sl_error(err, EINVAL, "result %zu of %s is %s, expected %s (%s)", index + 1,
				policy->id, success ? "SUCCESS" : "FAILURE",
				expected->success ? "SUCCESS" : "FAILURE", reason->text);
	for (size_t i = 0; i < expected->names.count; i++)
		if (!strstr(reason->text, expected->names.item[i]))
			return sl_error(err, EINVAL, "the reason for %s does not name '%s': %s", policy->id,
					expected->names.item[i], reason->text);
	return 0;
}

/* One family of a request. `results`: how many of the expected results are behind us; NULL: none are
 * expected. */
static int activate_family(struct case_run *run, const struct case_request *request, const char *address,
			   size_t *results, struct sl_error *err)
{
	enum sluice_origin origin = request->origin == CASE_GY ? SLUICE_ORIGIN_GY : SLUICE_ORIGIN_GX;
	struct case_session *session = NULL;
	char imsi[SLUICE_IMSI_SIZE];
	struct sl_address ue;
	int result;

	if (sl_imsi_parse("imsi", request->imsi, imsi, err) < 0 ||
	    sl_address_parse("ip", address, &ue, err) < 0)
		return -EINVAL;
	result = case_session_get(run, imsi, &ue, &session, err);
	if (result < 0)
		return result;
	for (size_t i = 0; result == 0 && i < request->policies.count; i++) {
		const struct case_policy *policy = &request->policies.item[i];
		_cleanup_(free_flows) struct sl_rule rule = {.references = 0};
		struct sl_error reason = {"no reason"};
		bool success = build_rule(policy, &rule, &reason) == 0;

		if (success && !sl_rule_fits(&rule, ue.family)) {
			success = false;
			sl_error(&reason, EINVAL, "flow_list: no flow of '%s' fits an IPv%u session", rule.id,
				 ue.family);
		}
		if (success)
			result = install(run, session, &rule, origin, policy->version, err);
		if (result == 0 && results)
			result = check_result(request, (*results)++, policy, success, &reason, err);
	}
	return result < 0 ? result : case_session_publish(run, session, err);
}

int case_activate(struct case_run *run, const struct case_request *request, bool check, struct sl_error *err)
{
	size_t results = 0;
	int result = 0;

	if (request->ip)
		result = activate_family(run, request, request->ip, check ? &results : NULL, err);
	if (result == 0 && request->ipv6)
		result = activate_family(run, request, request->ipv6, check ? &results : NULL, err);
	if (result == 0 && check && results != request->results.count)
		return sl_error(err, EINVAL, "%zu results, expected %zu", results, request->results.count);
	return result;
}

static bool named(const struct case_request *request, const char *id)
{
	if (request->policies.count == 0)
		return true;
	for (size_t i = 0; i < request->policies.count; i++)
		if (strcmp(request->policies.item[i].id, id) == 0)
			return true;
	return false;
}

static int deactivate_family(struct case_run *run, const struct case_request *request, const char *address,
			     struct sl_error *err)
{
	bool gx = request->origin != CASE_GY, gy = request->origin != CASE_GX;
	struct case_session *session;
	struct sl_address ue;

	if (sl_address_parse("ip", address, &ue, err) < 0)
		return -EINVAL;
	session = case_session_find(run, &ue);
	if (!session)
		return 0;
	if (request->remove_default_drop)
		return case_session_end(run, session, err);
	for (size_t i = session->install_count; i-- > 0;) {
		const struct sl_install *install = &session->installs[i];

		if ((install->origin == SLUICE_ORIGIN_GY ? gy : gx) && named(request, install->rule->id))
			case_session_remove(run, session, i);
	}
	return case_session_publish(run, session, err);
}

int case_deactivate(struct case_run *run, const struct case_request *request, struct sl_error *err)
{
	int result = 0;

	if (request->ip)
		result = deactivate_family(run, request, request->ip, err);
	if (result == 0 && request->ipv6)
		result = deactivate_family(run, request, request->ipv6, err);
	return result;
}

static bool asks_for(const struct case_step *step, const struct case_session *session,
		     const struct sl_install *install)
{
	for (size_t i = 0; i < step->setup.count; i++) {
		const struct case_request *request = &step->setup.item[i];
		const char *text = session->address.family == 4 ? request->ip : request->ipv6;
		bool gy = request->origin == CASE_GY;
		struct sl_address ue;

		if (!text || sl_address_parse("ip", text, &ue, NULL) < 0 ||
		    !sl_address_same_endpoint(&ue, &session->address))
			continue;
		if (!install)
			return true;
		if (gy == (install->origin == SLUICE_ORIGIN_GY) && request->policies.count > 0 &&
		    named(request, install->rule->id))
			return true;
	}
	return false;
}

/* Afterwards exactly what the entries say is there; the counts of what stays go on. */
int case_setup(struct case_run *run, const struct case_step *step, struct sl_error *err)
{
	for (uint32_t s = 0; s < CASE_SESSIONS; s++) {
		struct case_session *session = &run->sessions[s];
		int result = 0;

		if (!session->active)
			continue;
		if (!asks_for(step, session, NULL))
			result = case_session_end(run, session, err);
		for (size_t i = session->install_count; i-- > 0;)
			if (!asks_for(step, session, &session->installs[i]))
				case_session_remove(run, session, i);
		if (result < 0)
			return result;
	}
	for (size_t i = 0; i < step->setup.count; i++) {
		int result = case_activate(run, &step->setup.item[i], false, err);

		if (result < 0)
			return result;
	}
	return 0;
}

void case_acknowledge(struct case_run *run)
{
	for (uint32_t i = 0; i < CASE_USAGE; i++)
		if (run->records[i].retired)
			run->records[i] = (struct case_record){.used = false};
}
