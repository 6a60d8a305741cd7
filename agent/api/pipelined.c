// SPDX-License-Identifier: Apache-2.0
/* magma.lte.Pipelined: what a session manager says. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/convert_old.h"
#include "api/message.h"
#include "api/service.h"
#include "api/setup.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "catalog/directory.h"
#include "desired/desired.h"

/* Room for records in one pulled answer; more: RESOURCE_EXHAUSTED, use sluice.v1.Admin/ListUsage. */
#define PULL_RECORDS (1u << 20)

enum sl_grpc_status sl_status_of(int error)
{
	switch (error < 0 ? -error : error) {
	case 0:
		return SL_GRPC_OK;
	case EINVAL:
	case EBADMSG:
	case ERANGE:
		return SL_GRPC_INVALID_ARGUMENT;
	case ENOSPC:
	case ENOMEM:
	case E2BIG:
	case EMSGSIZE:
	case EBUSY:
		return SL_GRPC_RESOURCE_EXHAUSTED;
	case ENOENT:
		return SL_GRPC_NOT_FOUND;
	case EOPNOTSUPP:
		return SL_GRPC_UNIMPLEMENTED;
	default:
		return SL_GRPC_INTERNAL;
	}
}

static void refuse(struct sl_call *call, const char *method, int rc, const struct sl_error *err)
{
	sl_log(SL_LOG_WARNING, "request-refused", "method", "%s", method, "peer", "%s", sl_call_peer(call),
	       "reason", "%s", err->text, NULL);
	sl_call_finish(call, sl_status_of(rc), err->text);
}

static bool waits_for_setup(struct sl_service *service, struct sl_call *call)
{
	if (service->setup_done)
		return false;
	sl_call_finish(call, SL_GRPC_UNAVAILABLE, "waiting for SetupPolicyFlows");
	return true;
}

/* --- setup ------------------------------------------------------------------ */

static void reply_setup(struct sl_call *call, Magma__Lte__SetupFlowsResult__Result result)
{
	Magma__Lte__SetupFlowsResult answer = MAGMA__LTE__SETUP_FLOWS_RESULT__INIT;

	answer.result = result;
	sl_message_reply(call, &answer.base);
}

/* OUTDATED_EPOCH is answered here; false then. */
static bool epoch_matches(struct sl_service *service, struct sl_call *call, uint64_t epoch)
{
	if (epoch == service->epoch)
		return true;
	sl_log(SL_LOG_WARNING, "setup-outdated", "epoch", "%llu", (unsigned long long)epoch, "own", "%llu",
	       (unsigned long long)service->epoch, NULL);
	reply_setup(call, MAGMA__LTE__SETUP_FLOWS_RESULT__RESULT__OUTDATED_EPOCH);
	return false;
}

static void setup_default_controllers(struct sl_call *call, const uint8_t *bytes, size_t length, void *user)
{
	struct sl_service *service = user;
	ProtobufCMessage *message;
	struct sl_error err;
	int rc;

	rc = sl_message_unpack(&magma__lte__setup_default_request__descriptor, bytes, length, &message, &err);
	if (rc < 0) {
		refuse(call, "SetupDefaultControllers", rc, &err);
		return;
	}
	if (epoch_matches(service, call, ((Magma__Lte__SetupDefaultRequest *)message)->epoch)) {
		service->defaults_done = true;
		reply_setup(call, MAGMA__LTE__SETUP_FLOWS_RESULT__RESULT__SUCCESS);
	}
	sl_message_free(message);
}

static void setup_apply(struct sl_service *service, struct sl_call *call,
			const Magma__Lte__SetupPolicyRequest *wire)
{
	_cleanup_(sl_setup_clear) struct sl_setup setup = {0};
	uint32_t refused = 0;
	struct sl_error err;
	int rc;

	rc = sl_setup_read(wire->requests, wire->n_requests, sl_policy_directory_catalog(service->policy),
			   false, &setup, &err);
	if (rc < 0) {
		refuse(call, "SetupPolicyFlows", rc, &err);
		return;
	}
	rc = sl_setup_apply(service, &setup, &refused, &err);
	if (rc < 0) {
		sl_log(SL_LOG_ERROR, "setup-failed", "reason", "%s", err.text, NULL);
		reply_setup(call, MAGMA__LTE__SETUP_FLOWS_RESULT__RESULT__FAILURE);
		return;
	}
	service->setup_applied = true;
	sl_log(SL_LOG_INFO, "setup-done", "requests", "%zu", wire->n_requests, "unreadable", "%zu",
	       setup.unreadable, "sessions", "%u", sl_control_known_sessions(service->control), "refused",
	       "%u", refused, NULL);
	reply_setup(call, MAGMA__LTE__SETUP_FLOWS_RESULT__RESULT__SUCCESS);
}

static void setup_policy_flows(struct sl_call *call, const uint8_t *bytes, size_t length, void *user)
{
	struct sl_service *service = user;
	Magma__Lte__SetupPolicyRequest *wire;
	ProtobufCMessage *message;
	struct sl_error err;
	int rc;

	rc = sl_message_unpack(&magma__lte__setup_policy_request__descriptor, bytes, length, &message, &err);
	if (rc < 0) {
		refuse(call, "SetupPolicyFlows", rc, &err);
		return;
	}
	wire = (Magma__Lte__SetupPolicyRequest *)message;
	if (epoch_matches(service, call, wire->epoch)) {
		if (service->setup_applied)
			reply_setup(call, MAGMA__LTE__SETUP_FLOWS_RESULT__RESULT__SUCCESS);
		else
			setup_apply(service, call, wire);
	}
	sl_message_free(message);
}

/* --- activate ---------------------------------------------------------------- */

static void fill_result(Magma__Lte__RuleModResult *result, const struct sl_rule_request *rule,
			bool has_session)
{
	magma__lte__rule_mod_result__init(result);
	result->rule_id = (char *)rule->id;
	result->version = rule->version;
	if (has_session && rule->result == 0) {
		const char *said = rule->preempted ? rule->error.text : rule->note;

		result->reason = said ? (char *)said : result->reason;
		return;
	}
	result->result = MAGMA__LTE__RULE_MOD_RESULT__RESULT__FAILURE;
	result->reason = has_session ? (char *)rule->error.text : "ip_addr, ipv6_addr: both empty";
}

/* Results of a part of the rules: one for each rule and family, in the order of the request, IPv4 first. */
static size_t fill_results(const struct sl_activation *activation, size_t first, size_t end,
			   Magma__Lte__RuleModResult *results, Magma__Lte__RuleModResult **pointers)
{
	size_t families = activation->session_count ? activation->session_count : 1, n = 0;

	for (size_t family = 0; family < families; family++) {
		for (size_t i = first; i < end; i++, n++) {
			fill_result(&results[n], &activation->rules[family][i],
				    activation->session_count > 0);
			pointers[n] = &results[n];
		}
	}
	return n;
}

static void reply_activation(struct sl_call *call, const struct sl_activation *activation)
{
	Magma__Lte__ActivateFlowsResult answer = MAGMA__LTE__ACTIVATE_FLOWS_RESULT__INIT;
	size_t families = activation->session_count ? activation->session_count : 1;
	size_t rules = activation->storage_count, whole = rules - activation->named_count, n;
	_cleanup_free_ Magma__Lte__RuleModResult *results = calloc(families * rules + 1, sizeof(*results));
	_cleanup_free_ Magma__Lte__RuleModResult **pointers = calloc(families * rules + 1, sizeof(*pointers));

	if (!results || !pointers) {
		sl_call_finish(call, SL_GRPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	n = fill_results(activation, 0, whole, results, pointers);
	answer.policy_results = pointers;
	answer.n_policy_results = n;
	answer.static_rule_results = pointers + n;
	answer.n_static_rule_results = fill_results(activation, whole, rules, results + n, pointers + n);
	sl_message_reply(call, &answer.base);
}

/* Wholly refused for one address family, while the other one is in force: its rules failed. */
static void fail_family(struct sl_session_request *session, int rc, const struct sl_error *err)
{
	for (size_t i = 0; i < session->rule_count; i++) {
		session->rules[i].result = rc;
		session->rules[i].error = *err;
	}
	sl_log(SL_LOG_ERROR, "family-refused", "imsi", "%s", session->imsi, "family", "%u",
	       session->address.family, "reason", "%s", err->text, NULL);
}

static void activate(struct sl_service *service, struct sl_call *call,
		     const Magma__Lte__ActivateFlowsRequest *wire)
{
	struct sl_activation activation;
	size_t in_force = 0;
	struct sl_error err;
	int rc;

	rc = sl_activation_read(wire, &activation, &err);
	if (rc < 0) {
		refuse(call, "ActivateFlows", rc, &err);
		return;
	}
	rc = sl_activation_complete(wire, sl_policy_directory_catalog(service->policy), &activation, &err);
	if (rc < 0) {
		sl_activation_clear(&activation);
		refuse(call, "ActivateFlows", rc, &err);
		return;
	}
	if (activation.session_count == 0)
		sl_log(SL_LOG_WARNING, "activation-without-address", "peer", "%s", sl_call_peer(call),
		       "rules", "%zu", wire->n_policies, NULL);
	for (size_t i = 0; i < activation.session_count; i++) {
		int one = sl_control_activate(service->control, &activation.session[i], &err);

		if (one < 0) {
			fail_family(&activation.session[i], one, &err);
			rc = one;
		} else {
			in_force++;
			sl_desired_activated(service->desired, &activation.session[i]);
			sl_desired_named(service->desired, &activation.session[i], sl_activation_origin(wire),
					 wire->rule_ids, wire->n_rule_ids);
		}
	}
	if (rc < 0 && in_force == 0)
		refuse(call, "ActivateFlows", rc, &err);
	else
		reply_activation(call, &activation);
	sl_activation_clear(&activation);
}

static void activate_flows(struct sl_call *call, const uint8_t *bytes, size_t length, void *user)
{
	struct sl_service *service = user;
	ProtobufCMessage *message;
	struct sl_error err;
	int rc;

	if (waits_for_setup(service, call))
		return;
	rc = sl_message_unpack(&magma__lte__activate_flows_request__descriptor, bytes, length, &message,
			       &err);
	if (rc < 0) {
		refuse(call, "ActivateFlows", rc, &err);
		return;
	}
	activate(service, call, (Magma__Lte__ActivateFlowsRequest *)message);
	sl_message_free(message);
}

/* --- deactivate -------------------------------------------------------------- */

static void deactivate_flows(struct sl_call *call, const uint8_t *bytes, size_t length, void *user)
{
	Magma__Lte__DeactivateFlowsResult answer = MAGMA__LTE__DEACTIVATE_FLOWS_RESULT__INIT;
	struct sl_service *service = user;
	struct sl_deactivations deactivations;
	const Magma__Lte__DeactivateFlowsRequest *wire;
	ProtobufCMessage *message;
	struct sl_error err;
	int rc;

	if (waits_for_setup(service, call))
		return;
	rc = sl_message_unpack(&magma__lte__deactivate_flows_request__descriptor, bytes, length, &message,
			       &err);
	if (rc < 0) {
		refuse(call, "DeactivateFlows", rc, &err);
		return;
	}
	wire = (Magma__Lte__DeactivateFlowsRequest *)message;
	rc = sl_deactivation_read(wire, &deactivations, &err);
	if (rc == 0) {
		rc = sl_deactivation_complete(wire, sl_policy_directory_catalog(service->policy),
					      &deactivations, &err);
		if (rc < 0)
			sl_deactivation_clear(&deactivations);
	}
	if (rc < 0) {
		refuse(call, "DeactivateFlows", rc, &err);
		sl_message_free(message);
		return;
	}
	for (size_t i = 0; i < deactivations.count; i++) {
		rc = sl_control_deactivate(service->control, &deactivations.request[i], NULL, &err);
		if (rc == 0) {
			sl_desired_unnamed(service->desired, &deactivations.request[i], wire->rule_ids,
					   wire->n_rule_ids);
			continue;
		}
		sl_log(SL_LOG_ERROR, "deactivation-failed", "imsi", "%s", deactivations.request[i].imsi,
		       "reason", "%s", err.text, NULL);
		answer.result = MAGMA__LTE__DEACTIVATE_FLOWS_RESULT__RESULT__FAILURE;
	}
	sl_deactivation_clear(&deactivations);
	sl_message_free(message);
	sl_message_reply(call, &answer.base);
}

/* --- usage --------------------------------------------------------------------- */

/* false: they do not fit. */
static bool collect_sessions(struct sl_service *service, bool ended, struct sl_usage_record *records,
			     size_t capacity, size_t *n)
{
	uint32_t slot = 0;

	while (slot != SLUICE_NONE) {
		size_t more =
			sl_control_session_usage(service->control, ended, records + *n, capacity - *n, &slot);

		if (more > capacity - *n)
			return false;
		*n += more;
	}
	return true;
}

/* What would be reported now. -E2BIG over PULL_RECORDS. */
static int collect(struct sl_service *service, struct sl_usage_record **out, size_t *count)
{
	_cleanup_free_ struct sl_usage_record *records = NULL;
	size_t capacity = 1024, n;

	for (;;) {
		free(records);
		records = calloc(capacity, sizeof(*records));
		if (!records)
			return -ENOMEM;
		n = 0;
		if (collect_sessions(service, true, records, capacity, &n) &&
		    collect_sessions(service, false, records, capacity, &n))
			break;
		if (capacity >= PULL_RECORDS)
			return -E2BIG;
		capacity *= 4;
	}
	*out = SL_TAKE(records);
	*count = n;
	return 0;
}

static void reply_usage(struct sl_service *service, struct sl_call *call, uint32_t cookie, uint32_t mask)
{
	_cleanup_free_ struct sl_usage_record *records = NULL;
	struct sl_record_table table;
	size_t count, kept = 0;

	if (collect(service, &records, &count) < 0) {
		sl_call_finish(call, SL_GRPC_RESOURCE_EXHAUSTED, "too many records for one answer");
		return;
	}
	for (size_t i = 0; i < count; i++)
		if ((records[i].shard & mask) == (cookie & mask))
			records[kept++] = records[i];
	if (sl_record_table_fill(&table, records, kept, service->epoch) < 0) {
		sl_call_finish(call, SL_GRPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	sl_message_reply(call, &table.table.base);
	sl_record_table_clear(&table);
}

static void get_policy_usage(struct sl_call *call, const uint8_t *bytes, size_t length, void *user)
{
	(void)bytes;
	(void)length;
	reply_usage(user, call, 0, 0);
}

static void get_stats(struct sl_call *call, const uint8_t *bytes, size_t length, void *user)
{
	Magma__Lte__GetStatsRequest *wire;
	ProtobufCMessage *message;
	struct sl_error err;
	int rc;

	rc = sl_message_unpack(&magma__lte__get_stats_request__descriptor, bytes, length, &message, &err);
	if (rc < 0) {
		refuse(call, "GetStats", rc, &err);
		return;
	}
	wire = (Magma__Lte__GetStatsRequest *)message;
	reply_usage(user, call, wire->cookie, wire->cookie_mask);
	sl_message_free(message);
}

/* --- what there is no use for here ---------------------------------------------------- */

static void not_served(struct sl_call *call, const uint8_t *bytes, size_t length, void *user)
{
	(void)bytes;
	(void)length;
	sl_call_finish(call, SL_GRPC_UNIMPLEMENTED, user);
}

static int register_not_served(struct sl_grpc_server *server)
{
	static char quota[] = "quota pages and MAC addresses are Wi-Fi's: sluice enforces by IP address";
	static char flows[] = "applications are not recognised: there is nothing to tell the agent of a flow";
	static char tables[] = "there are no OpenFlow tables: see sluice.v1.Admin and the pinned maps";
	static char tunnels[] =
		"sluice makes no tunnels: it enforces where subscribers' packets are plain IP";
	static char fiveg[] = "5G sessions (PFCP) are not served: rules come by ActivateFlows";
	static const struct {
		const char *path;
		char *reason;
	} methods[] = {
		{"/magma.lte.Pipelined/SetupQuotaFlows", quota},
		{"/magma.lte.Pipelined/UpdateSubscriberQuotaState", quota},
		{"/magma.lte.Pipelined/SetupUEMacFlows", quota},
		{"/magma.lte.Pipelined/AddUEMacFlow", quota},
		{"/magma.lte.Pipelined/DeleteUEMacFlow", quota},
		{"/magma.lte.Pipelined/UpdateIPFIXFlow", quota},
		{"/magma.lte.Pipelined/CreateFlow", flows},
		{"/magma.lte.Pipelined/RemoveFlow", flows},
		{"/magma.lte.Pipelined/UpdateFlowStats", flows},
		{"/magma.lte.Pipelined/GetAllTableAssignments", tables},
		{"/magma.lte.Pipelined/UpdateUEState", tunnels},
		{"/magma.lte.Pipelined/SetSMFSessions", fiveg},
	};

	for (size_t i = 0; i < SL_ARRAY_SIZE(methods); i++) {
		int rc = sl_grpc_register(server, methods[i].path, not_served, methods[i].reason);

		if (rc < 0)
			return rc;
	}
	return 0;
}

int sl_pipelined_register(struct sl_service *service)
{
	static const struct {
		const char *path;
		sl_grpc_handler handler;
	} methods[] = {
		{"/magma.lte.Pipelined/SetupDefaultControllers", setup_default_controllers},
		{"/magma.lte.Pipelined/SetupPolicyFlows", setup_policy_flows},
		{"/magma.lte.Pipelined/ActivateFlows", activate_flows},
		{"/magma.lte.Pipelined/DeactivateFlows", deactivate_flows},
		{"/magma.lte.Pipelined/GetPolicyUsage", get_policy_usage},
		{"/magma.lte.Pipelined/GetStats", get_stats},
	};

	for (size_t i = 0; i < SL_ARRAY_SIZE(methods); i++) {
		int rc = sl_grpc_register(service->server, methods[i].path, methods[i].handler, service);

		if (rc < 0)
			return rc;
	}
	return register_not_served(service->server);
}
