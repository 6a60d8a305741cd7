// SPDX-License-Identifier: Apache-2.0
/* What the keys and values of a case are. */
#include "cases.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "document.h"

DOCUMENT_WORDS(read_direction, enum sluice_direction, {"UPLINK", SLUICE_UPLINK},
	       {"DOWNLINK", SLUICE_DOWNLINK})
DOCUMENT_WORDS(read_action, enum sluice_action, {"PERMIT", SLUICE_PERMIT}, {"DENY", SLUICE_DENY})
DOCUMENT_WORDS(read_origin, enum case_origin, {"GX", CASE_GX}, {"GY", CASE_GY}, {"WILDCARD", CASE_WILDCARD})
DOCUMENT_WORDS(read_success, bool, {"SUCCESS", true}, {"FAILURE", false})
DOCUMENT_WORDS(read_bool, bool, {"true", true}, {"false", false})
DOCUMENT_WORDS(read_engine, unsigned int, {"unit", CASE_UNIT}, {"prog", CASE_PROG}, {"net", CASE_NET})
DOCUMENT_WORDS(read_fragment, enum case_fragment, {"first", CASE_FIRST_FRAGMENT},
	       {"later", CASE_LATER_FRAGMENT})

/* A name of the wire's enum IPProto, or the number. */
static int read_protocol(struct document_reader *reader, yaml_node_t *node, void *out)
{
	static const struct {
		const char *name;
		uint32_t number;
	} protocols[] = {
		{"ICMP", 1}, {"IGMP", 2}, {"TCP", 6}, {"UDP", 17}, {"GRE", 47}, {"ICMPV6", 58}, {"SCTP", 132},
	};
	const char *text;

	if (document_scalar(reader, node, &text) < 0)
		return -EINVAL;
	for (size_t i = 0; i < SL_ARRAY_SIZE(protocols); i++) {
		if (strcmp(text, protocols[i].name) == 0) {
			*(uint32_t *)out = protocols[i].number;
			return 0;
		}
	}
	return document_number(reader, node, out);
}

static int read_address(struct document_reader *reader, yaml_node_t *node, void *out)
{
	struct sl_flow_address *address = out;

	if (document_scalar(reader, node, &address->text) < 0)
		return -EINVAL;
	/* the wire has a version beside the text; a file has not */
	address->family = strchr(address->text, ':') ? 6 : 4;
	return 0;
}

DOCUMENT_LIST(read_texts, const char *, document_text)
DOCUMENT_LIST(read_engine_list, unsigned int, read_engine)

static int read_engines(struct document_reader *reader, yaml_node_t *node, void *out)
{
	CASE_LIST(unsigned int) list = {NULL, 0};
	unsigned int engines = 0;

	if (read_engine_list(reader, node, &list) < 0)
		return -EINVAL;
	for (size_t i = 0; i < list.count; i++)
		engines |= list.item[i];
	*(unsigned int *)out = engines;
	return 0;
}

static int read_flow(struct document_reader *reader, yaml_node_t *node, void *out)
{
	static const struct document_field fields[] = {
		DOCUMENT_FIELD(struct sl_flow_match, direction, read_direction, true),
		DOCUMENT_FIELD(struct sl_flow_match, action, read_action, true),
		DOCUMENT_FIELD(struct sl_flow_match, ip_proto, read_protocol, false),
		DOCUMENT_FIELD(struct sl_flow_match, ip_src, read_address, false),
		DOCUMENT_FIELD(struct sl_flow_match, ip_dst, read_address, false),
		DOCUMENT_FIELD(struct sl_flow_match, tcp_src, document_number, false),
		DOCUMENT_FIELD(struct sl_flow_match, tcp_dst, document_number, false),
		DOCUMENT_FIELD(struct sl_flow_match, udp_src, document_number, false),
		DOCUMENT_FIELD(struct sl_flow_match, udp_dst, document_number, false),
	};

	return document_mapping(reader, node, fields, SL_ARRAY_SIZE(fields), out);
}

DOCUMENT_LIST(read_flows, struct sl_flow_match, read_flow)

#define OWN(member) DOCUMENT_FIELD(struct sl_flow_text, member, document_text, false)

static int read_own_flow(struct document_reader *reader, yaml_node_t *node, void *out)
{
	static const struct document_field fields[] = {
		OWN(direction), OWN(action),	 OWN(protocol),	  OWN(remote),	  OWN(remote_port),
		OWN(local),	OWN(local_port), OWN(dscp),	  OWN(tcp_flags), OWN(tcp_options),
		OWN(icmp_type), OWN(fragment),	 OWN(ip_options),
	};

	return document_mapping(reader, node, fields, SL_ARRAY_SIZE(fields), out);
}

DOCUMENT_LIST(read_own_flows, struct sl_flow_text, read_own_flow)

static int read_policy(struct document_reader *reader, yaml_node_t *node, void *out)
{
	static const struct document_field fields[] = {
		DOCUMENT_FIELD(struct case_policy, id, document_text, true),
		DOCUMENT_FIELD(struct case_policy, version, document_number, true),
		DOCUMENT_FIELD(struct case_policy, precedence, document_number, true),
		DOCUMENT_FIELD(struct case_policy, flows, read_flows, false),
		DOCUMENT_FIELD(struct case_policy, own_flows, read_own_flows, false),
		DOCUMENT_FIELD(struct case_policy, filters, read_texts, false),
		{"restrict", read_bool, offsetof(struct case_policy, restricts), false},
	};
	const struct case_policy *policy = out;

	if (document_mapping(reader, node, fields, SL_ARRAY_SIZE(fields), out) < 0)
		return -EINVAL;
	if ((policy->flows.item != NULL) + (policy->own_flows.item != NULL) +
		    (policy->filters.item != NULL) !=
	    1)
		return document_refuse(reader, node, "not one of flows, own_flows and filters in",
				       policy->id);
	return 0;
}

DOCUMENT_LIST(read_policies, struct case_policy, read_policy)

static int read_policy_id(struct document_reader *reader, yaml_node_t *node, void *out)
{
	static const struct document_field fields[] = {
		DOCUMENT_FIELD(struct case_policy, id, document_text, true),
		DOCUMENT_FIELD(struct case_policy, version, document_number, true),
	};

	return document_mapping(reader, node, fields, SL_ARRAY_SIZE(fields), out);
}

DOCUMENT_LIST(read_policy_ids, struct case_policy, read_policy_id)

static int read_result(struct document_reader *reader, yaml_node_t *node, void *out)
{
	static const struct document_field fields[] = {
		DOCUMENT_FIELD(struct case_result, id, document_text, true),
		DOCUMENT_FIELD(struct case_result, version, document_number, true),
		{"result", read_success, offsetof(struct case_result, success), true},
		DOCUMENT_FIELD(struct case_result, names, read_texts, false),
		DOCUMENT_FIELD(struct case_result, note, document_text, false),
	};

	return document_mapping(reader, node, fields, SL_ARRAY_SIZE(fields), out);
}

DOCUMENT_LIST(read_results, struct case_result, read_result)

#define SESSION_FIELDS                                                           \
	DOCUMENT_FIELD(struct case_request, imsi, document_text, true),          \
		DOCUMENT_FIELD(struct case_request, ip, document_text, false),   \
		DOCUMENT_FIELD(struct case_request, ipv6, document_text, false), \
		DOCUMENT_FIELD(struct case_request, origin, read_origin, false)

static int check_request(struct document_reader *reader, yaml_node_t *node,
			 const struct case_request *request)
{
	if (!request->ip && !request->ipv6)
		return document_refuse(reader, node, "neither ip nor ipv6 for", request->imsi);
	return 0;
}

static int read_setup_entry(struct document_reader *reader, yaml_node_t *node, void *out)
{
	static const struct document_field fields[] = {
		SESSION_FIELDS,
		DOCUMENT_FIELD(struct case_request, policies, read_policies, true),
	};

	if (document_mapping(reader, node, fields, SL_ARRAY_SIZE(fields), out) < 0)
		return -EINVAL;
	return check_request(reader, node, out);
}

static int read_activation(struct document_reader *reader, yaml_node_t *node, void *out)
{
	static const struct document_field fields[] = {
		SESSION_FIELDS,
		DOCUMENT_FIELD(struct case_request, policies, read_policies, true),
		DOCUMENT_FIELD(struct case_request, results, read_results, true),
	};

	if (document_mapping(reader, node, fields, SL_ARRAY_SIZE(fields), out) < 0)
		return -EINVAL;
	return check_request(reader, node, out);
}

static int read_deactivation(struct document_reader *reader, yaml_node_t *node, void *out)
{
	static const struct document_field fields[] = {
		SESSION_FIELDS,
		{"policies", read_policy_ids, offsetof(struct case_request, policies), false},
		DOCUMENT_FIELD(struct case_request, remove_default_drop, read_bool, false),
	};

	if (document_mapping(reader, node, fields, SL_ARRAY_SIZE(fields), out) < 0)
		return -EINVAL;
	return check_request(reader, node, out);
}

DOCUMENT_LIST(read_setup, struct case_request, read_setup_entry)

static int read_send(struct document_reader *reader, yaml_node_t *node, void *out)
{
	static const struct document_field fields[] = {
		DOCUMENT_FIELD(struct case_send, direction, read_direction, true),
		DOCUMENT_FIELD(struct case_send, ue, document_text, true),
		DOCUMENT_FIELD(struct case_send, remote, document_text, true),
		DOCUMENT_FIELD(struct case_send, protocol, read_protocol, true),
		DOCUMENT_FIELD(struct case_send, ue_port, document_number, false),
		DOCUMENT_FIELD(struct case_send, remote_port, document_number, false),
		DOCUMENT_FIELD(struct case_send, size, document_number, true),
		DOCUMENT_FIELD(struct case_send, count, document_number, false),
		DOCUMENT_FIELD(struct case_send, fragment, read_fragment, false),
		DOCUMENT_FIELD(struct case_send, dscp, document_number, false),
		DOCUMENT_FIELD(struct case_send, tcp_flags, document_text, false),
		DOCUMENT_FIELD(struct case_send, tcp_options, document_text, false),
		DOCUMENT_FIELD(struct case_send, ip_options, document_text, false),
		DOCUMENT_FIELD(struct case_send, icmp_type, document_text, false),
		DOCUMENT_FIELD(struct case_send, passed, document_number, true),
	};
	struct case_send *send = out;

	send->count = 1;
	if (document_mapping(reader, node, fields, SL_ARRAY_SIZE(fields), out) < 0)
		return -EINVAL;
	if (send->ue_port > 65535 || send->remote_port > 65535 || send->protocol > 255 || send->dscp > 63)
		return document_refuse(reader, node, "a port, protocol or DSCP out of range, for", send->ue);
	return 0;
}

static int read_count(struct document_reader *reader, yaml_node_t *node, void *out)
{
	static const struct document_field fields[] = {
		DOCUMENT_FIELD(struct case_count, packets, document_number, true),
		DOCUMENT_FIELD(struct case_count, bytes, document_number, true),
	};

	return document_mapping(reader, node, fields, SL_ARRAY_SIZE(fields), out);
}

static int read_usage(struct document_reader *reader, yaml_node_t *node, void *out)
{
	static const struct document_field fields[] = {
		DOCUMENT_FIELD(struct case_usage, imsi, document_text, true),
		DOCUMENT_FIELD(struct case_usage, ue, document_text, true),
		DOCUMENT_FIELD(struct case_usage, rule, document_text, true),
		DOCUMENT_FIELD(struct case_usage, version, document_number, true),
		DOCUMENT_FIELD(struct case_usage, uplink, read_count, false),
		DOCUMENT_FIELD(struct case_usage, downlink, read_count, false),
		DOCUMENT_FIELD(struct case_usage, uplink_dropped, read_count, false),
		DOCUMENT_FIELD(struct case_usage, downlink_dropped, read_count, false),
	};

	return document_mapping(reader, node, fields, SL_ARRAY_SIZE(fields), out);
}

static int read_rule(struct document_reader *reader, yaml_node_t *node, void *out)
{
	static const struct document_field fields[] = {
		DOCUMENT_FIELD(struct case_rule, imsi, document_text, true),
		DOCUMENT_FIELD(struct case_rule, ue, document_text, true),
		DOCUMENT_FIELD(struct case_rule, id, document_text, true),
		DOCUMENT_FIELD(struct case_rule, version, document_number, true),
		DOCUMENT_FIELD(struct case_rule, origin, read_origin, false),
	};

	return document_mapping(reader, node, fields, SL_ARRAY_SIZE(fields), out);
}

DOCUMENT_LIST(read_usages, struct case_usage, read_usage)
DOCUMENT_LIST(read_rules, struct case_rule, read_rule)

static int read_expectation(struct document_reader *reader, yaml_node_t *node, void *out)
{
	static const struct document_field fields[] = {
		DOCUMENT_FIELD(struct case_expectation, usage, read_usages, false),
		DOCUMENT_FIELD(struct case_expectation, rules, read_rules, false),
	};
	struct case_expectation *expect = out;

	if (document_mapping(reader, node, fields, SL_ARRAY_SIZE(fields), out) < 0)
		return -EINVAL;
	/* an empty list is an expectation, no list is none */
	expect->has_usage = expect->usage.item != NULL;
	expect->has_rules = expect->rules.item != NULL;
	return 0;
}

DOCUMENT_WORDS(read_acknowledge, bool, {"everything", true})

static int read_step(struct document_reader *reader, yaml_node_t *node, void *out)
{
	static const struct {
		const char *name;
		document_read read;
		size_t offset;
		enum case_step_type type;
	} types[] = {
		{"activate", read_activation, offsetof(struct case_step, request), CASE_ACTIVATE},
		{"setup", read_setup, offsetof(struct case_step, setup), CASE_SETUP},
		{"deactivate", read_deactivation, offsetof(struct case_step, request), CASE_DEACTIVATE},
		{"acknowledge", read_acknowledge, offsetof(struct case_step, request.remove_default_drop),
		 CASE_ACKNOWLEDGE},
		{"send", read_send, offsetof(struct case_step, send), CASE_SEND},
		{"expect", read_expectation, offsetof(struct case_step, expect), CASE_EXPECT},
	};
	struct case_step *step = out;
	yaml_node_pair_t *pair;
	const char *name;

	if (node->type != YAML_MAPPING_NODE ||
	    node->data.mapping.pairs.top - node->data.mapping.pairs.start != 1)
		return document_refuse(reader, node, "a step is a mapping of one key, in", reader->path);
	pair = node->data.mapping.pairs.start;
	if (document_scalar(reader, document_node(reader, pair->key), &name) < 0)
		return -EINVAL;
	for (size_t i = 0; i < SL_ARRAY_SIZE(types); i++) {
		if (strcmp(types[i].name, name) != 0)
			continue;
		step->type = types[i].type;
		step->line = (unsigned int)node->start_mark.line + 1;
		return types[i].read(reader, document_node(reader, pair->value),
				     (char *)out + types[i].offset);
	}
	return document_refuse(reader, node, "unknown step", name);
}

DOCUMENT_LIST(read_steps, struct case_step, read_step)

/* Steps of the engine "net" alone have words that are not known here. */
static int leave_steps(struct document_reader *reader, yaml_node_t *node, void *out)
{
	(void)out;
	if (node->type != YAML_SEQUENCE_NODE)
		return document_refuse(reader, node, "not a list where one belongs, in", reader->path);
	return 0;
}

static const struct document_field case_head[] = {
	DOCUMENT_FIELD(struct test_case, title, document_text, true),
	DOCUMENT_FIELD(struct test_case, source, document_text, false),
	DOCUMENT_FIELD(struct test_case, engines, read_engines, false),
	DOCUMENT_FIELD(struct test_case, left_out, document_text, false),
	DOCUMENT_FIELD(struct test_case, steps, leave_steps, true),
};

static int read_case(struct document_reader *reader, yaml_node_t *node, void *out)
{
	struct document_field fields[SL_ARRAY_SIZE(case_head)];
	struct test_case *test = out;
	unsigned int engines;

	if (document_mapping(reader, node, case_head, SL_ARRAY_SIZE(case_head), out) < 0)
		return -EINVAL;
	engines = test->engines;
	if (engines != (CASE_UNIT | CASE_PROG | CASE_NET) && !test->left_out)
		return document_refuse(reader, node, "engines without left_out, the reason, for",
				       test->title);
	if (!(engines & (CASE_UNIT | CASE_PROG)))
		return 0;
	memcpy(fields, case_head, sizeof(fields));
	fields[SL_ARRAY_SIZE(fields) - 1].read = read_steps;
	if (document_mapping(reader, node, fields, SL_ARRAY_SIZE(fields), out) < 0)
		return -EINVAL;
	if (test->steps.count == 0)
		return document_refuse(reader, node, "a case without steps can not fail:", test->title);
	return 0;
}

int case_load(const char *path, struct test_case **out, struct sl_error *err)
{
	struct test_case *test = calloc(1, sizeof(*test));
	int result;

	if (!test)
		return sl_error(err, ENOMEM, "%s: no memory", path);
	snprintf(test->path, sizeof(test->path), "%s", path);
	test->engines = CASE_UNIT | CASE_PROG | CASE_NET;
	result = document_load(test->path, read_case, test, &test->document, err);
	if (result < 0) {
		free(test);
		return result;
	}
	*out = test;
	return 0;
}

void case_free(struct test_case *test)
{
	if (!test)
		return;
	document_free(test->document);
	free(test);
}
