// SPDX-License-Identifier: Apache-2.0
#include "case_run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define SWEEP_MAX 65536

static int mismatch(const struct case_run *run, const struct case_step *step, struct sl_error *err)
{
	return sl_error_prefix(err, -EINVAL, "%s:%u", run->test->path, step->line);
}

/* --- sessions and their rules ------------------------------------------------ */

static struct case_session *find_session(struct case_run *run, const struct sl_address *ue)
{
	for (uint32_t i = 0; i < CASE_SESSIONS; i++)
		if (run->sessions[i].active && sl_address_same_endpoint(&run->sessions[i].address, ue))
			return &run->sessions[i];
	return NULL;
}

const struct case_session *case_run_session(const struct case_run *run, const struct sl_address *ue)
{
	return find_session((struct case_run *)run, ue);
}

static int new_record(struct case_run *run, uint32_t session, const char *rule, uint32_t version,
		      uint32_t *slot, struct sl_error *err)
{
	for (uint32_t i = 0; i < CASE_USAGE; i++) {
		struct case_record *record = &run->records[i];

		if (record->used)
			continue;
		*record = (struct case_record){.used = true, .session = session, .version = version};
		snprintf(record->rule, sizeof(record->rule), "%s", rule);
		*slot = i;
		return run->engine->clear_usage(run, i, err);
	}
	return sl_error(err, ENOSPC, "more than %d usage records", CASE_USAGE);
}

static int get_session(struct case_run *run, const char *imsi, const struct sl_address *ue,
		       struct case_session **out, struct sl_error *err)
{
	struct case_session *session = find_session(run, ue);

	if (session) {
		if (strcmp(session->imsi, imsi) != 0)
			return sl_error(err, EINVAL, "two subscribers with one address: '%s' and '%s'", imsi,
					session->imsi);
		*out = session;
		return 0;
	}
	for (uint32_t i = 0; i < CASE_SESSIONS; i++) {
		session = &run->sessions[i];
		if (session->used)
			continue;
		*session = (struct case_session){.used = true, .active = true, .slot = i, .address = *ue};
		snprintf(session->imsi, sizeof(session->imsi), "%s", imsi);
		*out = session;
		return new_record(run, i, CASE_DEFAULT_DROP, 0, &session->default_usage, err);
	}
	return sl_error(err, ENOSPC, "more than %d sessions", CASE_SESSIONS);
}

static void remove_install(struct case_run *run, struct case_session *session, size_t index)
{
	run->records[session->installs[index].binding.usage].retired = true;
	sl_rule_table_unref(run->rules, session->installs[index].rule, NULL, NULL);
	session->install_count--;
	memmove(&session->installs[index], &session->installs[index + 1],
		(session->install_count - index) * sizeof(session->installs[0]));
}

static struct sl_install *find_install(struct case_session *session, const char *id,
				       enum sluice_origin origin)
{
	for (size_t i = 0; i < session->install_count; i++)
		if (session->installs[i].origin == origin && strcmp(session->installs[i].rule->id, id) == 0)
			return &session->installs[i];
	return NULL;
}

static int publish(struct case_run *run, struct case_session *session, struct sl_error *err)
{
	struct sl_ruleset_image image;
	int result;

	sl_install_sort(session->installs, session->install_count);
	result = sl_compile(session->installs, session->install_count, session->address.family, &image, err);
	if (result < 0)
		return result;
	sl_ruleset_image_clear(&session->image);
	session->image = image;
	return run->engine->publish(run, session, err);
}

static int end_session(struct case_run *run, struct case_session *session, struct sl_error *err)
{
	while (session->install_count > 0)
		remove_install(run, session, session->install_count - 1);
	run->records[session->default_usage].retired = true;
	session->active = false;
	sl_ruleset_image_clear(&session->image);
	return run->engine->withdraw(run, session, err);
}

/* --- requests ------------------------------------------------------------------ */

static int build_rule(const struct case_policy *policy, struct sl_rule *rule, struct sluice_flow *flows,
		      struct sl_error *err)
{
	int result;

	if (snprintf(rule->id, sizeof(rule->id), "%s", policy->id) >= (int)sizeof(rule->id))
		return sl_error(err, EINVAL, "id: '%.32s...' is longer than %d bytes", policy->id,
				SLUICE_RULE_ID_SIZE - 1);
	rule->precedence = policy->precedence;
	rule->flow_count = (uint32_t)policy->flows.count;
	rule->flows = flows;
	for (uint32_t i = 0; i < rule->flow_count; i++) {
		const struct case_flow *flow = &policy->flows.item[i];
		char field[32];

		snprintf(field, sizeof(field), "flow_list[%u].match", i);
		result = sl_flow_from_match(field, &flow->match, &flows[i], err);
		if (result < 0)
			return result;
		if (flow->remote_port.given) {
			flows[i].remote_port_low = flow->remote_port.low;
			flows[i].remote_port_high = flow->remote_port.high;
		}
		if (flow->local_port.given) {
			flows[i].local_port_low = flow->local_port.low;
			flows[i].local_port_high = flow->local_port.high;
		}
	}
	return sl_rule_validate(rule, err);
}

/* The same rule and version: its counts go on; another version: they begin anew, the old ones stay to be
 * reported. */
static int install(struct case_run *run, struct case_session *session, const struct sl_rule *rule,
		   enum sluice_origin origin, uint32_t version, struct sl_error *err)
{
	struct sl_install *present = find_install(session, rule->id, origin);
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
		remove_install(run, session, (size_t)(present - session->installs));
	if (session->install_count == CASE_INSTALLS)
		return sl_error(err, ENOSPC, "more than %d rules in a session", CASE_INSTALLS);
	result = new_record(run, session->slot, rule->id, version, &made.binding.usage, err);
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
	result = get_session(run, imsi, &ue, &session, err);
	if (result < 0)
		return result;
	for (size_t i = 0; result == 0 && i < request->policies.count; i++) {
		const struct case_policy *policy = &request->policies.item[i];
		_cleanup_free_ struct sluice_flow *flows = calloc(policy->flows.count + 1, sizeof(*flows));
		struct sl_error reason = {"no reason"};
		struct sl_rule rule = {.references = 0};
		bool success;

		if (!flows)
			return sl_error(err, ENOMEM, "no memory");
		success = build_rule(policy, &rule, flows, &reason) == 0;
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
	return result < 0 ? result : publish(run, session, err);
}

static int activate(struct case_run *run, const struct case_request *request, bool check,
		    struct sl_error *err)
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
	session = find_session(run, &ue);
	if (!session)
		return 0;
	if (request->remove_default_drop)
		return end_session(run, session, err);
	for (size_t i = session->install_count; i-- > 0;) {
		const struct sl_install *install = &session->installs[i];

		if ((install->origin == SLUICE_ORIGIN_GY ? gy : gx) && named(request, install->rule->id))
			remove_install(run, session, i);
	}
	return publish(run, session, err);
}

static int deactivate(struct case_run *run, const struct case_request *request, struct sl_error *err)
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
static int setup(struct case_run *run, const struct case_step *step, struct sl_error *err)
{
	for (uint32_t s = 0; s < CASE_SESSIONS; s++) {
		struct case_session *session = &run->sessions[s];
		int result = 0;

		if (!session->active)
			continue;
		if (!asks_for(step, session, NULL))
			result = end_session(run, session, err);
		for (size_t i = session->install_count; i-- > 0;)
			if (!asks_for(step, session, &session->installs[i]))
				remove_install(run, session, i);
		if (result < 0)
			return result;
	}
	for (size_t i = 0; i < step->setup.count; i++) {
		int result = activate(run, &step->setup.item[i], false, err);

		if (result < 0)
			return result;
	}
	return 0;
}

static void acknowledge(struct case_run *run)
{
	for (uint32_t i = 0; i < CASE_USAGE; i++)
		if (run->records[i].retired)
			run->records[i] = (struct case_record){.used = false};
}

/* --- packets -------------------------------------------------------------------- */

static void next_address(struct sl_address *address)
{
	for (int i = address->family == 4 ? 3 : 15; i >= 0; i--)
		if (++address->bytes[i] != 0)
			return;
}

static int send_packets(struct case_run *run, const struct case_send *send, struct sl_error *err)
{
	struct case_packet packet = {
		.size = send->size,
		.fragment = send->fragment,
		.walk =
			{
				.direction = send->direction,
				.protocol = (uint8_t)send->protocol,
				.remote_port = (uint16_t)send->remote_port,
				.local_port = (uint16_t)send->ue_port,
				.has_ports = (send->protocol == 6 || send->protocol == 17 ||
					      send->protocol == 132) &&
					     send->fragment != CASE_LATER_FRAGMENT,
			},
	};
	struct sl_address remote;
	uint32_t passed_count = 0, bits;
	uint8_t length;

	if (sl_address_parse("ue", send->ue, &packet.ue, err) < 0 ||
	    sl_prefix_parse("remote", send->remote, &remote, &length, err) < 0)
		return -EINVAL;
	if (remote.family != packet.ue.family)
		return sl_error(err, EINVAL, "remote '%s' is not of the family of ue '%s'", send->remote,
				send->ue);
	bits = (remote.family == 4 ? 32u : 128u) - length;
	if (bits > 16)
		return sl_error(err, E2BIG, "remote '%s' is more than %d addresses", send->remote, SWEEP_MAX);
	packet.walk.family = remote.family;
	for (uint32_t n = 0; n < 1u << bits; n++, next_address(&remote)) {
		memcpy(packet.walk.remote, remote.bytes, sizeof(packet.walk.remote));
		for (uint32_t i = 0; i < send->count; i++) {
			bool passed = false;
			int result = run->engine->send(run, &packet, &passed, err);

			if (result < 0)
				return result;
			passed_count += passed;
		}
	}
	if (passed_count != send->passed)
		return sl_error(err, EINVAL, "%u packets passed, expected %u", passed_count, send->passed);
	return 0;
}

/* --- what has to come of it ------------------------------------------------------- */

static int check_count(const struct case_usage *expected, const char *what, const struct case_count *wanted,
		       const struct sluice_counter *got, struct sl_error *err)
{
	if (wanted->packets == got->packets && wanted->bytes == got->bytes)
		return 0;
	return sl_error(err, EINVAL, "%s version %u of %s: %s %llu packets %llu bytes, expected %u and %u",
			expected->rule, expected->version, expected->ue, what,
			(unsigned long long)got->packets, (unsigned long long)got->bytes, wanted->packets,
			wanted->bytes);
}

static bool is_record_of(const struct case_run *run, const struct case_record *record, const char *imsi,
			 const struct sl_address *ue, const struct case_usage *expected)
{
	const struct case_session *session = &run->sessions[record->session];

	return record->used && strcmp(record->rule, expected->rule) == 0 &&
	       record->version == expected->version && strcmp(session->imsi, imsi) == 0 &&
	       sl_address_same_endpoint(&session->address, ue);
}

static int check_record(struct case_run *run, const struct case_usage *expected, struct sl_error *err)
{
	struct sluice_usage usage;
	struct sl_address ue;
	char imsi[SLUICE_IMSI_SIZE];
	uint32_t slot;
	int result;

	if (sl_imsi_parse("imsi", expected->imsi, imsi, err) < 0 ||
	    sl_address_parse("ue", expected->ue, &ue, err) < 0)
		return -EINVAL;
	for (slot = 0; slot < CASE_USAGE; slot++)
		if (is_record_of(run, &run->records[slot], imsi, &ue, expected))
			break;
	if (slot == CASE_USAGE)
		return sl_error(err, EINVAL, "no usage of %s version %u for %s", expected->rule,
				expected->version, expected->ue);
	result = run->engine->read_usage(run, slot, &usage, err);
	if (result == 0)
		result = check_count(expected, "uplink", &expected->uplink, &usage.uplink, err);
	if (result == 0)
		result = check_count(expected, "downlink", &expected->downlink, &usage.downlink, err);
	if (result == 0)
		result = check_count(expected, "uplink_dropped", &expected->uplink_dropped,
				     &usage.uplink_dropped, err);
	if (result == 0)
		result = check_count(expected, "downlink_dropped", &expected->downlink_dropped,
				     &usage.downlink_dropped, err);
	return result;
}

static int check_usage(struct case_run *run, const struct case_expectation *expect, struct sl_error *err)
{
	size_t records = 0;

	for (size_t i = 0; i < expect->usage.count; i++) {
		int result = check_record(run, &expect->usage.item[i], err);

		if (result < 0)
			return result;
	}
	for (uint32_t slot = 0; slot < CASE_USAGE; slot++)
		records += run->records[slot].used;
	if (records != expect->usage.count)
		return sl_error(err, EINVAL, "%zu usage records, expected %zu", records, expect->usage.count);
	return 0;
}

static int check_rule(struct case_run *run, const struct case_rule *expected, size_t next[CASE_SESSIONS],
		      struct sl_error *err)
{
	struct sl_address ue;
	const struct case_session *session;
	const struct sl_install *got;

	if (sl_address_parse("ue", expected->ue, &ue, err) < 0)
		return -EINVAL;
	session = case_run_session(run, &ue);
	if (!session)
		return sl_error(err, EINVAL, "no session has the address %s", expected->ue);
	if (next[session->slot] >= session->install_count)
		return sl_error(err, EINVAL, "%s has no rule %s", expected->ue, expected->id);
	got = &session->installs[next[session->slot]++];
	if (strcmp(got->rule->id, expected->id) != 0 || got->version != expected->version ||
	    (got->origin == SLUICE_ORIGIN_GY) != (expected->origin == CASE_GY))
		return sl_error(err, EINVAL, "rule %zu of %s is %s version %u %s, expected %s version %u %s",
				next[session->slot], expected->ue, got->rule->id, got->version,
				got->origin == SLUICE_ORIGIN_GY ? "GY" : "GX", expected->id,
				expected->version, expected->origin == CASE_GY ? "GY" : "GX");
	return 0;
}

static int check_rules(struct case_run *run, const struct case_expectation *expect, struct sl_error *err)
{
	size_t next[CASE_SESSIONS] = {0};

	for (size_t i = 0; i < expect->rules.count; i++) {
		int result = check_rule(run, &expect->rules.item[i], next, err);

		if (result < 0)
			return result;
	}
	for (uint32_t i = 0; i < CASE_SESSIONS; i++)
		if (run->sessions[i].active && next[i] != run->sessions[i].install_count)
			return sl_error(err, EINVAL, "a session of %s has %zu rules, expected %zu",
					run->sessions[i].imsi, run->sessions[i].install_count, next[i]);
	return 0;
}

/* --- the case ---------------------------------------------------------------------- */

static int run_step(struct case_run *run, const struct case_step *step, struct sl_error *err)
{
	int result = 0;

	switch (step->type) {
	case CASE_ACTIVATE:
		return activate(run, &step->request, true, err);
	case CASE_SETUP:
		return setup(run, step, err);
	case CASE_DEACTIVATE:
		return deactivate(run, &step->request, err);
	case CASE_ACKNOWLEDGE:
		acknowledge(run);
		return 0;
	case CASE_SEND:
		return send_packets(run, &step->send, err);
	case CASE_EXPECT:
		if (step->expect.has_usage)
			result = check_usage(run, &step->expect, err);
		if (result == 0 && step->expect.has_rules)
			result = check_rules(run, &step->expect, err);
		return result;
	}
	return sl_error(err, EINVAL, "a step of no type");
}

int case_run(const struct test_case *test, const struct case_engine *engine, struct sl_error *err)
{
	struct case_run *run = calloc(1, sizeof(*run));
	struct sl_error ignored;
	int result = 0;

	if (!run || sl_rule_table_new(&run->rules) < 0) {
		free(run);
		return sl_error(err, ENOMEM, "%s: no memory", test->path);
	}
	run->test = test;
	run->engine = engine;
	for (size_t i = 0; i < test->steps.count; i++) {
		result = run_step(run, &test->steps.item[i], err);
		if (result < 0) {
			mismatch(run, &test->steps.item[i], err);
			break;
		}
	}
	for (uint32_t i = 0; i < CASE_SESSIONS; i++)
		if (run->sessions[i].active)
			end_session(run, &run->sessions[i], &ignored);
	sl_rule_table_free(run->rules);
	free(run);
	return result;
}
