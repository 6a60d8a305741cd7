// SPDX-License-Identifier: Apache-2.0
#include "api/admin_sessions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/message.h"
#include "api/setup.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "catalog/directory.h"
#include "policy/hash.h"
#include "sluice/v1/admin.pb-c.h"

#define FAILURES 1000 /* that are told one by one */

/* --- what was there, and what has become of it ------------------------------------------ */

/* A session in force: what an operator would call the same. */
struct state {
	char imsi[SLUICE_IMSI_SIZE];
	struct sl_address address;
	uint64_t since_ns;
	uint64_t content;
};

struct states {
	struct state *list; /* by IMSI and address */
	size_t count, capacity;
};

static void states_clear(struct states *states)
{
	free(states->list);
}

static uint64_t content_of(const struct sl_session_view *view)
{
	const struct sluice_session_record *record = view->record;
	uint64_t hash = 0;

	hash = sl_hash(hash, record->apn, strlen(record->apn));
	hash = sl_hash(hash, record->msisdn, strlen(record->msisdn));
	hash = sl_hash_word(hash, (uint64_t)record->uplink_tunnel << 32 | record->downlink_tunnel);
	hash = sl_hash_word(hash, record->ambr_uplink);
	hash = sl_hash_word(hash, record->ambr_downlink);
	for (uint32_t i = 0; i < view->install_count; i++) {
		const struct sl_install *install = &view->installs[i];

		hash = sl_hash_word(hash, sl_rule_hash(install->rule));
		hash = sl_hash_word(hash, (uint64_t)install->origin << 32 | install->version);
	}
	return hash;
}

static int note(const struct sl_session_view *view, void *user)
{
	struct states *states = user;
	struct state *state;

	if (!view->active)
		return 0;
	if (states->count == states->capacity) {
		size_t capacity = states->capacity ? 2 * states->capacity : 256;
		struct state *grown = reallocarray(states->list, capacity, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		states->list = grown;
		states->capacity = capacity;
	}
	state = &states->list[states->count++];
	*state = (struct state){
		.address = view->address, .since_ns = view->record->since_ns, .content = content_of(view)};
	strcpy(state->imsi, view->imsi);
	return 0;
}

static int by_session(const void *a, const void *b)
{
	const struct state *one = a, *other = b;
	int order = strcmp(one->imsi, other->imsi);

	if (order == 0)
		order = (one->address.family > other->address.family) -
			(one->address.family < other->address.family);
	/* of an IPv6 address the /64 is the session */
	return order ? order
		     : memcmp(one->address.bytes, other->address.bytes, one->address.family == 4 ? 4 : 8);
}

static int states_read(struct sl_control *control, struct states *states, struct sl_error *err)
{
	if (sl_control_each_session(control, NULL, 0, note, states) < 0)
		return sl_error(err, ENOMEM, "out of memory");
	if (states->count)
		qsort(states->list, states->count, sizeof(*states->list), by_session);
	return 0;
}

static void compare(const struct states *before, const struct states *after,
		    Sluice__V1__ReplaceSessionsResult *out)
{
	size_t i = 0, k = 0;

	while (i < before->count || k < after->count) {
		int order = i == before->count	? 1
			    : k == after->count ? -1
						: by_session(&before->list[i], &after->list[k]);

		if (order < 0) {
			out->ended++;
			i++;
		} else if (order > 0) {
			out->activated++;
			k++;
		} else {
			const struct state *was = &before->list[i++], *is = &after->list[k++];

			if (was->content == is->content && was->since_ns == is->since_ns)
				out->unchanged++;
			else
				out->changed++;
		}
	}
}

/* --- rules that failed -------------------------------------------------------------------- */

/* All of the answer but the message itself. */
struct answer {
	Sluice__V1__RuleFailed failures[FAILURES];
	Sluice__V1__RuleFailed *pointers[FAILURES];
	char addresses[FAILURES][SL_ADDRESS_TEXT];
};

static void tell_rule(const struct sl_session_request *session, const struct sl_rule_request *rule,
		      struct answer *answer, Sluice__V1__ReplaceSessionsResult *out)
{
	Sluice__V1__RuleFailed *failure = &answer->failures[out->n_failures];

	if (rule->rule && rule->result == 0) {
		out->rules++;
		return;
	}
	out->failed++;
	if (out->n_failures == FAILURES)
		return;
	sluice__v1__rule_failed__init(failure);
	failure->imsi = (char *)session->imsi;
	failure->address = answer->addresses[out->n_failures];
	sl_address_format(&session->address, failure->address);
	failure->rule_id = (char *)rule->id;
	failure->version = rule->version;
	failure->reason = (char *)rule->error.text;
	answer->pointers[out->n_failures++] = failure;
}

static void tell_rules(const struct sl_setup *setup, struct answer *answer,
		       Sluice__V1__ReplaceSessionsResult *out)
{
	out->failures = answer->pointers;
	for (size_t i = 0; i < setup->session_count; i++)
		for (size_t k = 0; k < setup->sessions[i].rule_count; k++)
			tell_rule(&setup->sessions[i], &setup->sessions[i].rules[k], answer, out);
}

/* --- the call ------------------------------------------------------------------------------ */

static int check_addresses(const struct sl_setup *setup, struct sl_error *err)
{
	for (size_t i = 0; i < setup->activation_count; i++)
		if (setup->activations[i].session_count == 0)
			return sl_error(err, EINVAL, "requests[%zu]: ip_addr, ipv6_addr: both empty", i);
	return 0;
}

static int replace(struct sl_service *service, const Sluice__V1__ReplaceSessionsRequest *wire,
		   struct sl_setup *setup, Sluice__V1__ReplaceSessionsResult *out, struct sl_error *err)
{
	_cleanup_(states_clear) struct states before = {NULL}, after = {NULL};
	int rc;

	rc = sl_setup_read(wire->requests, wire->n_requests, sl_policy_directory_catalog(service->policy),
			   true, setup, err);
	if (rc == 0)
		rc = check_addresses(setup, err);
	if (rc == 0)
		rc = states_read(service->control, &before, err);
	if (rc == 0)
		rc = sl_setup_apply(service, setup, &out->refused, err);
	if (rc < 0)
		return rc;
	if (states_read(service->control, &after, err) < 0)
		return sl_error(err, ENOMEM, "all is in force, but out of memory to say what has changed");
	compare(&before, &after, out);
	return 0;
}

static void answer_call(struct sl_service *service, struct sl_call *call, const ProtobufCMessage *message)
{
	Sluice__V1__ReplaceSessionsResult result = SLUICE__V1__REPLACE_SESSIONS_RESULT__INIT;
	_cleanup_free_ struct answer *answer = calloc(1, sizeof(*answer));
	_cleanup_(sl_setup_clear) struct sl_setup setup = {0};
	struct sl_error err = {{0}};
	int rc;

	rc = answer ? replace(service, (const Sluice__V1__ReplaceSessionsRequest *)message, &setup, &result,
			      &err)
		    : sl_error(&err, ENOMEM, "out of memory");
	if (rc < 0) {
		sl_log(SL_LOG_WARNING, "request-refused", "method", "%s", "ReplaceSessions", "peer", "%s",
		       sl_call_peer(call), "reason", "%s", err.text, NULL);
		sl_call_finish(call, sl_status_of(rc), err.text);
		return;
	}
	tell_rules(&setup, answer, &result);
	sl_log(SL_LOG_INFO, "sessions-replaced", "peer", "%s", sl_call_peer(call), "activated", "%u",
	       result.activated, "changed", "%u", result.changed, "unchanged", "%u", result.unchanged,
	       "ended", "%u", result.ended, "refused", "%u", result.refused, "failed", "%u", result.failed,
	       NULL);
	sl_message_reply(call, &result.base);
}

void sl_admin_replace_sessions(struct sl_call *call, const uint8_t *bytes, size_t length, void *user)
{
	ProtobufCMessage *message;
	struct sl_error err;
	int rc;

	if (!sl_call_is_local(call)) {
		sl_call_finish(call, SL_GRPC_PERMISSION_DENIED,
			       "ReplaceSessions is served on the Unix socket only");
		return;
	}
	rc = sl_message_unpack(&sluice__v1__replace_sessions_request__descriptor, bytes, length, &message,
			       &err);
	if (rc < 0) {
		sl_call_finish(call, sl_status_of(rc), err.text);
		return;
	}
	answer_call(user, call, message);
	sl_message_free(message);
}
