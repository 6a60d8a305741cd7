// SPDX-License-Identifier: Apache-2.0
/*
 * The rules that subscribers should have, as whole sets:
 * magma.lte.LocalSessionManager/SetSessionRules, and the same under the names of
 * its first proposal, magma.lte.SessionUpdateResponder/UpdateActiveRules. Served
 * before a setup, too: what is desired waits for its sessions.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/convert_flow.h"
#include "api/convert_old.h"
#include "api/message.h"
#include "api/service.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "catalog/directory.h"
#include "desired/desired.h"
#include "magma/lte/session_update.pb-c.h"

#define NS_PER_S    1000000000ll
#define LAST_SECOND 9223372035ll /* in 2262: what fits into 63 bits of nanoseconds */

/* In one message: subscribers times scopes, rules that come whole, names. More: RESOURCE_EXHAUSTED. */
#define SCOPES	65536
#define DYNAMIC 65536
#define STATIC	262144

/* A RuleSet or a SessionPolicySet: the same fields. */
struct rule_set {
	bool subscriber_wide;
	const char *apn;
	size_t static_count, dynamic_count;
	Magma__Lte__StaticRuleInstall **static_rules;
	Magma__Lte__DynamicRuleInstall **dynamic_rules;
};

/* What control and desired are asked for; everything the scopes point to is owned. */
struct request {
	const struct sl_catalog *catalog;
	struct sl_desired_scope *scopes;
	struct sl_desired_rule **rules; /* of each scope */
	struct sl_rule **storage;	/* of each scope, its dynamic rules */
	size_t *stored;
	size_t count;
	size_t dynamic, named;
};

static int request_init(struct request *request, size_t scopes, struct sl_error *err)
{
	if (scopes > SCOPES)
		return sl_error(err, ENOSPC, "%zu sets of rules in one message; allowed: at most %d", scopes,
				SCOPES);
	request->scopes = calloc(scopes + 1, sizeof(*request->scopes));
	request->rules = calloc(scopes + 1, sizeof(*request->rules));
	request->storage = calloc(scopes + 1, sizeof(*request->storage));
	request->stored = calloc(scopes + 1, sizeof(*request->stored));
	if (!request->scopes || !request->rules || !request->storage || !request->stored)
		return sl_error(err, ENOMEM, "out of memory");
	return 0;
}

static void request_clear(struct request *request)
{
	for (size_t i = 0; i < request->count; i++) {
		for (size_t k = 0; k < request->stored[i]; k++)
			free(request->storage[i][k].flows);
		free(request->storage[i]);
		free(request->rules[i]);
	}
	free(request->scopes);
	free(request->rules);
	free(request->storage);
	free(request->stored);
}

/* --- one set ----------------------------------------------------------------------- */

/* Absent and 0 are the same. */
static int read_time(const char *field, const Google__Protobuf__Timestamp *wire, uint64_t *out,
		     struct sl_error *err)
{
	if (!wire)
		return 0;
	if (wire->seconds < 0 || wire->seconds > LAST_SECOND)
		return sl_error(err, EINVAL, "%s.seconds: %lld; allowed: 0 to %lld", field,
				(long long)wire->seconds, LAST_SECOND);
	if (wire->nanos < 0 || wire->nanos >= NS_PER_S)
		return sl_error(err, EINVAL, "%s.nanos: %d; allowed: 0 to 999999999", field,
				(int)wire->nanos);
	*out = (uint64_t)(wire->seconds * NS_PER_S + wire->nanos);
	return 0;
}

static int read_times(const Google__Protobuf__Timestamp *from, const Google__Protobuf__Timestamp *until,
		      struct sl_desired_rule *rule, struct sl_error *err)
{
	int rc = read_time("activation_time", from, &rule->from_ns, err);

	return rc == 0 ? read_time("deactivation_time", until, &rule->until_ns, err) : rc;
}

static int read_static(const Magma__Lte__StaticRuleInstall *wire, struct sl_desired_rule *out,
		       struct sl_error *err)
{
	if (!wire->rule_id || !wire->rule_id[0])
		return sl_error(err, EINVAL, "rule_id: empty");
	out->name = wire->rule_id;
	return read_times(wire->activation_time, wire->deactivation_time, out, err);
}

static int read_dynamic(const Magma__Lte__DynamicRuleInstall *wire, const struct sl_catalog *catalog,
			struct sl_desired_rule *out, struct sl_rule *storage, struct sl_error *err)
{
	const Magma__Lte__PolicyRule *rule = wire->policy_rule;
	int rc;

	if (!rule)
		return sl_error(err, EINVAL, "policy_rule: missing");
	if (sl_rule_is_only_id(rule) && sl_catalog_rule(catalog, rule->id)) {
		out->name = rule->id;
	} else {
		rc = sl_rule_read(rule, storage, err);
		if (rc == 0)
			rc = sl_rule_validate(storage, err);
		if (rc < 0)
			/* UNIMPLEMENTED would speak of the method */
			return sl_error_prefix(err, rc == -ENOMEM ? rc : -EINVAL, "policy_rule \"%.64s\"",
					       rule->id ? rule->id : "");
		out->rule = storage;
	}
	return read_times(wire->activation_time, wire->deactivation_time, out, err);
}

static int read_rules(const struct rule_set *set, struct request *request, size_t at, struct sl_error *err)
{
	size_t total = set->static_count + set->dynamic_count;
	struct sl_desired_rule *rules;
	struct sl_rule *storage;

	request->dynamic += set->dynamic_count;
	request->named += set->static_count;
	if (total > SLUICE_RULES_PER_SESSION)
		return sl_error(err, ENOSPC, "%zu rules; allowed: at most %d", total,
				SLUICE_RULES_PER_SESSION);
	if (request->dynamic > DYNAMIC)
		return sl_error(err, ENOSPC, "dynamic_rules: more than %d in one message", DYNAMIC);
	if (request->named > STATIC)
		return sl_error(err, ENOSPC, "static_rules: more than %d in one message", STATIC);
	rules = calloc(total + 1, sizeof(*rules));
	storage = calloc(set->dynamic_count + 1, sizeof(*storage));
	request->rules[at] = rules;
	request->storage[at] = storage;
	if (!rules || !storage)
		return sl_error(err, ENOMEM, "out of memory");
	request->stored[at] = set->dynamic_count;
	request->scopes[at].rules = rules;
	request->scopes[at].rule_count = total;
	/* rules that came whole before those that are only named */
	for (size_t i = 0; i < set->dynamic_count; i++) {
		int rc = read_dynamic(set->dynamic_rules[i], request->catalog, &rules[i], &storage[i], err);

		if (rc < 0)
			return sl_error_prefix(err, rc, "dynamic_rules[%zu]", i);
	}
	for (size_t i = 0; i < set->static_count; i++) {
		int rc = read_static(set->static_rules[i], &rules[set->dynamic_count + i], err);

		if (rc < 0)
			return sl_error_prefix(err, rc, "static_rules[%zu]", i);
	}
	return 0;
}

static int read_set(const struct rule_set *set, const char *imsi, struct request *request,
		    struct sl_error *err)
{
	size_t at = request->count++;
	struct sl_desired_scope *scope = &request->scopes[at];
	size_t length = set->apn ? strlen(set->apn) : 0;

	if (length >= sizeof(scope->apn))
		return sl_error(err, EINVAL, "apn: %zu bytes, at most %zu are allowed", length,
				sizeof(scope->apn) - 1);
	snprintf(scope->imsi, sizeof(scope->imsi), "%s", imsi);
	snprintf(scope->apn, sizeof(scope->apn), "%s", set->apn ? set->apn : "");
	scope->subscriber_wide = set->subscriber_wide;
	return read_rules(set, request, at, err);
}

/* --- the two messages --------------------------------------------------------------- */

static int read_session_rules(const ProtobufCMessage *message, struct request *request, struct sl_error *err)
{
	const Magma__Lte__SessionRules *wire = (const Magma__Lte__SessionRules *)message;
	size_t scopes = 0;
	int rc;

	for (size_t i = 0; i < wire->n_rules_per_subscriber; i++)
		scopes += wire->rules_per_subscriber[i]->n_rule_set;
	rc = request_init(request, scopes, err);
	for (size_t i = 0; i < wire->n_rules_per_subscriber && rc == 0; i++) {
		const Magma__Lte__RulesPerSubscriber *one = wire->rules_per_subscriber[i];
		char imsi[SLUICE_IMSI_SIZE];

		rc = sl_imsi_parse("imsi", one->imsi ? one->imsi : "", imsi, err);
		if (rc == 0 && one->n_rule_set == 0)
			rc = sl_error(err, EINVAL,
				      "rule_set: empty; to take all rules away, send a set without any");
		if (rc < 0)
			return sl_error_prefix(err, rc, "rules_per_subscriber[%zu]", i);
		for (size_t k = 0; k < one->n_rule_set && rc == 0; k++) {
			const Magma__Lte__RuleSet *from = one->rule_set[k];
			const struct rule_set set = {
				from->apply_subscriber_wide, from->apn,		 from->n_static_rules,
				from->n_dynamic_rules,	     from->static_rules, from->dynamic_rules,
			};

			rc = read_set(&set, imsi, request, err);
			if (rc < 0)
				sl_error_prefix(err, rc, "rules_per_subscriber[%zu].rule_set[%zu]", i, k);
		}
	}
	return rc;
}

static int read_policy_updates(const ProtobufCMessage *message, struct request *request, struct sl_error *err)
{
	const Magma__Lte__SubscriberPolicyUpdates *wire =
		(const Magma__Lte__SubscriberPolicyUpdates *)message;
	size_t scopes = 0;
	int rc;

	for (size_t i = 0; i < wire->n_policy_sets; i++)
		scopes += wire->policy_sets[i]->n_session_policies;
	rc = request_init(request, scopes, err);
	for (size_t i = 0; i < wire->n_policy_sets && rc == 0; i++) {
		const Magma__Lte__SubscriberPolicySet *one = wire->policy_sets[i];
		char imsi[SLUICE_IMSI_SIZE];

		rc = sl_imsi_parse("imsi", one->imsi ? one->imsi : "", imsi, err);
		if (rc == 0 && one->n_session_policies == 0)
			rc = sl_error(
				err, EINVAL,
				"session_policies: empty; to take all rules away, send a set without any");
		if (rc < 0)
			return sl_error_prefix(err, rc, "policy_sets[%zu]", i);
		for (size_t k = 0; k < one->n_session_policies && rc == 0; k++) {
			const Magma__Lte__SessionPolicySet *from = one->session_policies[k];
			const struct rule_set set = {
				from->apply_subscriber_wide, from->apn,		 from->n_static_rules,
				from->n_dynamic_rules,	     from->static_rules, from->dynamic_rules,
			};

			rc = read_set(&set, imsi, request, err);
			if (rc < 0)
				sl_error_prefix(err, rc, "policy_sets[%zu].session_policies[%zu]", i, k);
		}
	}
	return rc;
}

static void set_rules(struct sl_service *service, struct sl_call *call, const char *method,
		      const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes, size_t length,
		      int (*read)(const ProtobufCMessage *, struct request *, struct sl_error *))
{
	Magma__Orc8r__Void answer = MAGMA__ORC8R__VOID__INIT;
	struct request request = {.catalog = sl_policy_directory_catalog(service->policy)};
	ProtobufCMessage *message = NULL;
	struct sl_error err;
	int rc;

	rc = sl_message_unpack(descriptor, bytes, length, &message, &err);
	if (rc == 0)
		rc = read(message, &request, &err);
	if (rc == 0)
		rc = sl_desired_set(service->desired, request.scopes, request.count, &err);
	if (rc < 0) {
		sl_log(SL_LOG_WARNING, "request-refused", "method", "%s", method, "peer", "%s",
		       sl_call_peer(call), "reason", "%s", err.text, NULL);
		sl_call_finish(call, sl_status_of(rc), err.text);
	} else {
		sl_message_reply(call, &answer.base);
	}
	request_clear(&request);
	if (message)
		sl_message_free(message);
}

static void set_session_rules(struct sl_call *call, const uint8_t *bytes, size_t length, void *user)
{
	set_rules(user, call, "SetSessionRules", &magma__lte__session_rules__descriptor, bytes, length,
		  read_session_rules);
}

static void update_active_rules(struct sl_call *call, const uint8_t *bytes, size_t length, void *user)
{
	set_rules(user, call, "UpdateActiveRules", &magma__lte__subscriber_policy_updates__descriptor, bytes,
		  length, read_policy_updates);
}

int sl_set_rules_register(struct sl_service *service)
{
	int rc = sl_grpc_register(service->server, "/magma.lte.LocalSessionManager/SetSessionRules",
				  set_session_rules, service);

	if (rc < 0)
		return rc;
	return sl_grpc_register(service->server, "/magma.lte.SessionUpdateResponder/UpdateActiveRules",
				update_active_rules, service);
}
