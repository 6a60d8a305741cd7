// SPDX-License-Identifier: Apache-2.0
/*
 * Bytes of a hostile session manager into protobuf messages and on into
 * requests. The first byte chooses the message, the others are its bytes. What
 * comes out must keep the promises that control/ relies on. A request without a
 * subscriber is given one and a rule without an id an id, so that what lies
 * behind these checks is reached.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/convert.h"
#include "api/convert_flow.h"
#include "api/message.h"
#include "base/utf8.h"
#include "sluice/v1/admin.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "fuzz_message: %s\n", what);
	abort();
}

/* A text for the peer: one line of UTF-8. */
static void require_reason(const struct sl_error *err)
{
	size_t length = strnlen(err->text, sizeof(err->text)), step;

	require(length > 0 && length < sizeof(err->text), "a refusal without a reason");
	for (size_t i = 0; i < length; i += step) {
		step = sl_utf8_size(err->text + i, length - i);
		require(step > 0 && (unsigned char)err->text[i] >= ' ',
			"a reason that is not a line of text");
	}
}

static void require_imsi(const char imsi[SLUICE_IMSI_SIZE])
{
	size_t length = strnlen(imsi, SLUICE_IMSI_SIZE);

	require(length >= 6 && length < SLUICE_IMSI_SIZE && strspn(imsi, "0123456789") == length,
		"an IMSI that is none");
}

static void check_rule(const struct sl_rule *rule)
{
	struct sl_error err = {""};

	if (sl_rule_validate(rule, &err) < 0)
		require_reason(&err);
	sl_rule_hash(rule);
}

static void check_rule_request(const struct sl_rule_request *request)
{
	require(request->id != NULL, "a rule without an id to answer for");
	if (!request->rule) {
		require_reason(&request->error);
		return;
	}
	require(strcmp(request->rule->id, request->id) == 0, "a rule under another id");
	check_rule(request->rule);
}

static void read_rule(const Magma__Lte__PolicyRule *wire)
{
	struct sl_rule rule;
	struct sl_error err = {""};

	if (sl_rule_read(wire, &rule, &err) < 0) {
		require_reason(&err);
		return;
	}
	check_rule(&rule);
	/* what sluice's own forms come to has nothing left to refuse */
	if (!wire->steer && (wire->n_filter_rules || wire->n_flows))
		require(sl_rule_validate(&rule, NULL) == 0, "a rule of ours that is not valid");
	free(rule.flows);
}

static void read_flow(Magma__Lte__FlowMatch *wire)
{
	Magma__Lte__PolicyRule rule = MAGMA__LTE__POLICY_RULE__INIT;
	Magma__Lte__FlowDescription flow = MAGMA__LTE__FLOW_DESCRIPTION__INIT;
	Magma__Lte__FlowDescription *flows[] = {&flow};

	flow.match = wire;
	rule.id = (char *)"r";
	rule.flow_list = flows;
	rule.n_flow_list = 1;
	read_rule(&rule);
}

static void read_activation(const Magma__Lte__ActivateFlowsRequest *wire)
{
	struct sl_activation activation;
	struct sl_error err = {""};

	if (sl_activation_read(wire, &activation, &err) < 0) {
		require_reason(&err);
		return;
	}
	require(activation.session_count <= 2, "more than two families");
	for (size_t i = 0; i < activation.session_count; i++) {
		const struct sl_session_request *session = &activation.session[i];

		require_imsi(session->imsi);
		require(session->address.family == 4 || session->address.family == 6,
			"a session of no family");
		require(session->rule_count == wire->n_policies, "rules got lost");
		for (size_t k = 0; k < session->rule_count; k++)
			check_rule_request(&session->rules[k]);
	}
	sl_activation_clear(&activation);
}

static void read_deactivation(const Magma__Lte__DeactivateFlowsRequest *wire)
{
	struct sl_deactivations deactivations;
	struct sl_error err = {""};

	if (sl_deactivation_read(wire, &deactivations, &err) < 0) {
		require_reason(&err);
		return;
	}
	require(deactivations.count == 1 || deactivations.count == 2, "no request, or more than two");
	for (size_t i = 0; i < deactivations.count; i++) {
		require_imsi(deactivations.request[i].imsi);
		for (size_t k = 0; k < deactivations.request[i].rule_count; k++)
			require(deactivations.request[i].rule_ids[k][0] != '\0', "an empty rule id");
	}
	sl_deactivation_clear(&deactivations);
}

static void read_message(ProtobufCMessage *message)
{
	static Magma__Lte__SubscriberID known = MAGMA__LTE__SUBSCRIBER_ID__INIT;

	known.id = (char *)"IMSI001010000000001";
	if (message->descriptor == &magma__lte__activate_flows_request__descriptor) {
		Magma__Lte__ActivateFlowsRequest request = *(Magma__Lte__ActivateFlowsRequest *)message;

		request.sid = request.sid ? request.sid : &known;
		read_activation(&request);
	} else if (message->descriptor == &magma__lte__deactivate_flows_request__descriptor) {
		Magma__Lte__DeactivateFlowsRequest request = *(Magma__Lte__DeactivateFlowsRequest *)message;

		request.sid = request.sid ? request.sid : &known;
		read_deactivation(&request);
	} else if (message->descriptor == &magma__lte__setup_policy_request__descriptor) {
		const Magma__Lte__SetupPolicyRequest *setup = (Magma__Lte__SetupPolicyRequest *)message;

		for (size_t i = 0; i < setup->n_requests; i++)
			read_activation(setup->requests[i]);
	} else if (message->descriptor == &magma__lte__policy_rule__descriptor) {
		Magma__Lte__PolicyRule rule = *(Magma__Lte__PolicyRule *)message;

		rule.id = rule.id[0] ? rule.id : (char *)"r";
		read_rule(&rule);
	} else if (message->descriptor == &magma__lte__flow_match__descriptor) {
		read_flow((Magma__Lte__FlowMatch *)message);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const ProtobufCMessageDescriptor *const descriptors[] = {
		&magma__lte__activate_flows_request__descriptor,
		&magma__lte__deactivate_flows_request__descriptor,
		&magma__lte__setup_policy_request__descriptor,
		&magma__lte__setup_default_request__descriptor,
		&magma__lte__policy_rule__descriptor,
		&magma__lte__flow_match__descriptor,
		&magma__lte__session_rules__descriptor,
		&magma__lte__rule_record_table__descriptor,
		&sluice__v1__list_sessions_request__descriptor,
	};
	ProtobufCMessage *message = NULL;
	struct sl_error err = {""};

	if (size == 0)
		return 0;
	if (sl_message_unpack(descriptors[data[0] % (sizeof(descriptors) / sizeof(descriptors[0]))], data + 1,
			      size - 1, &message, &err) < 0) {
		require_reason(&err);
		return 0;
	}
	read_message(message);
	sl_message_free(message);
	return 0;
}
