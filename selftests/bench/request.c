// SPDX-License-Identifier: Apache-2.0
#include "request.h"

#include <stdio.h>

#include "magma/lte/pipelined.pb-c.h"
#include "rig.h"

#define RATE 10000000 /* bit/s */

size_t request_pack(const char *imsi, const char *address, enum request_rate rate, uint8_t *out, size_t size)
{
	Magma__Lte__FlowMatch match[BENCH_RULES][2];
	Magma__Lte__FlowDescription flow[BENCH_RULES][2];
	Magma__Lte__FlowDescription *flows[BENCH_RULES][2];
	Magma__Lte__PolicyRule rule[BENCH_RULES];
	Magma__Lte__VersionedPolicy policy[BENCH_RULES];
	Magma__Lte__VersionedPolicy *policies[BENCH_RULES];
	Magma__Lte__FlowQos qos = MAGMA__LTE__FLOW_QOS__INIT;
	Magma__Lte__SubscriberID sid = MAGMA__LTE__SUBSCRIBER_ID__INIT;
	Magma__Lte__AggregatedMaximumBitrate ambr = MAGMA__LTE__AGGREGATED_MAXIMUM_BITRATE__INIT;
	Magma__Lte__ActivateFlowsRequest request = MAGMA__LTE__ACTIVATE_FLOWS_REQUEST__INIT;
	char id[BENCH_RULES][16];
	size_t length;

	for (uint32_t r = 0; r < BENCH_RULES; r++) {
		for (int d = 0; d < 2; d++) {
			magma__lte__flow_match__init(&match[r][d]);
			match[r][d].ip_proto = 17;
			match[r][d].direction = d;
			*(d ? &match[r][d].udp_src : &match[r][d].udp_dst) = BENCH_FIRST_PORT + r;
			magma__lte__flow_description__init(&flow[r][d]);
			flow[r][d].match = &match[r][d];
			flows[r][d] = &flow[r][d];
		}
		snprintf(id[r], sizeof(id[r]), "rule-%u", r);
		magma__lte__policy_rule__init(&rule[r]);
		rule[r].id = id[r];
		rule[r].priority = r + 1;
		rule[r].n_flow_list = 2;
		rule[r].flow_list = flows[r];
		magma__lte__versioned_policy__init(&policy[r]);
		policy[r].rule = &rule[r];
		policy[r].version = 1;
		policies[r] = &policy[r];
	}
	qos.max_req_bw_ul = qos.max_req_bw_dl = RATE;
	if (rate == REQUEST_MBR)
		rule[0].qos = &qos;
	ambr.max_bandwidth_ul = ambr.max_bandwidth_dl = RATE;
	if (rate == REQUEST_AMBR)
		request.apn_ambr = &ambr;
	sid.id = (char *)imsi;
	request.sid = &sid;
	request.ip_addr = (char *)address;
	request.n_policies = BENCH_RULES;
	request.policies = policies;
	length = magma__lte__activate_flows_request__get_packed_size(&request);
	if (length > size)
		bench_die("the request is longer than %zu bytes", size);
	return magma__lte__activate_flows_request__pack(&request, out);
}

void request_check(const uint8_t *message, size_t length)
{
	Magma__Lte__ActivateFlowsResult *result =
		magma__lte__activate_flows_result__unpack(NULL, length, message);

	if (!result || result->n_policy_results != BENCH_RULES)
		bench_die("a result without its %d rules", BENCH_RULES);
	for (size_t i = 0; i < result->n_policy_results; i++)
		if (result->policy_results[i]->result != MAGMA__LTE__RULE_MOD_RESULT__RESULT__SUCCESS)
			bench_die("rule %s failed", result->policy_results[i]->rule_id);
	magma__lte__activate_flows_result__free_unpacked(result, NULL);
}
