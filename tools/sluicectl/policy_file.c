// SPDX-License-Identifier: Apache-2.0
#include "policy_file.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "config/yaml.h"
#include "magma/lte/pipelined.pb-c.h"
#include "sluice/limits.h"

#define DEFAULT_VERSION	   1
#define DEFAULT_PRECEDENCE 100
#define MAX_RATE	   UINT32_MAX /* bit/s in 32 bits: the wire's bound */

/* --- memory of one request ----------------------------------------------------- */

/* Everything that a request points to; released at once when it is packed. */
struct arena {
	struct block *blocks;
};

struct block {
	struct block *next;
	max_align_t memory[];
};

static void *take(struct arena *arena, size_t count, size_t size)
{
	struct block *block = NULL;
	size_t bytes;

	if (!__builtin_mul_overflow(count, size, &bytes))
		block = calloc(1, sizeof(*block) + bytes);
	if (!block) {
		fputs("sluicectl: out of memory\n", stderr);
		exit(1);
	}
	block->next = arena->blocks;
	arena->blocks = block;
	return block->memory;
}

static void arena_release(struct arena *arena)
{
	while (arena->blocks) {
		struct block *block = arena->blocks;

		arena->blocks = block->next;
		free(block);
	}
}

static int take_text(struct arena *arena, struct sl_yaml_node node, size_t size, char **out,
		     struct sl_error *err)
{
	char *text;
	int ret;

	if (!sl_yaml_present(node))
		return 0;
	text = take(arena, size, 1);
	ret = sl_yaml_text(node, text, size, err);
	if (ret == 0)
		*out = text;
	return ret;
}

/* --- flows ------------------------------------------------------------------------ */

static int read_protocol(struct sl_yaml_node node, Magma__Lte__FlowMatch__IPProto *out, struct sl_error *err)
{
	static const struct {
		const char *name;
		Magma__Lte__FlowMatch__IPProto number;
	} names[] = {
		{"any", MAGMA__LTE__FLOW_MATCH__IPPROTO__IPPROTO_IP},
		{"icmp", MAGMA__LTE__FLOW_MATCH__IPPROTO__IPPROTO_ICMP},
		{"igmp", MAGMA__LTE__FLOW_MATCH__IPPROTO__IPPROTO_IGMP},
		{"tcp", MAGMA__LTE__FLOW_MATCH__IPPROTO__IPPROTO_TCP},
		{"udp", MAGMA__LTE__FLOW_MATCH__IPPROTO__IPPROTO_UDP},
		{"gre", MAGMA__LTE__FLOW_MATCH__IPPROTO__IPPROTO_GRE},
		{"ah", MAGMA__LTE__FLOW_MATCH__IPPROTO__IPPROTO_AH},
		{"icmpv6", MAGMA__LTE__FLOW_MATCH__IPPROTO__IPPROTO_ICMPV6},
		{"ospf", MAGMA__LTE__FLOW_MATCH__IPPROTO__IPPROTO_OSPF},
		{"sctp", MAGMA__LTE__FLOW_MATCH__IPPROTO__IPPROTO_SCTP},
	};
	char text[16] = "any";
	uint64_t number;
	size_t i;
	int ret;

	ret = sl_yaml_text(node, text, sizeof(text), err);
	if (ret < 0)
		return ret;
	for (i = 0; i < SL_ARRAY_SIZE(names); i++) {
		if (strcmp(text, names[i].name) == 0) {
			*out = names[i].number;
			return 0;
		}
	}
	if (sl_parse_uint(text, &number) < 0 || number > 255)
		return sl_yaml_error(
			node, err,
			"bad value \"%s\"; allowed: any, icmp, igmp, tcp, udp, gre, ah, icmpv6, ospf, "
			"sctp, or a number from 0 to 255",
			text);
	*out = (Magma__Lte__FlowMatch__IPProto)number;
	return 0;
}

/* Syntax only: whether the prefix makes sense is the agent's to say. */
static int read_remote(struct arena *arena, struct sl_yaml_node node, Magma__Lte__IPAddress **out,
		       struct sl_error *err)
{
	char text[64], host[64], *slash;
	struct in6_addr address;
	uint64_t length = 0;
	bool v6;
	int ret;

	if (!sl_yaml_present(node))
		return 0;
	ret = sl_yaml_text(node, text, sizeof(text), err);
	if (ret < 0)
		return ret;
	memcpy(host, text, sizeof(host));
	slash = strchr(host, '/');
	if (slash)
		*slash = '\0';
	v6 = strchr(host, ':') != NULL;
	if (inet_pton(v6 ? AF_INET6 : AF_INET, host, &address) != 1 ||
	    (slash && sl_parse_uint(slash + 1, &length) < 0))
		return sl_yaml_error(node, err, "bad value \"%s\"; allowed: ADDRESS or ADDRESS/LENGTH", text);
	*out = take(arena, 1, sizeof(**out));
	magma__lte__ipaddress__init(*out);
	(*out)->version =
		v6 ? MAGMA__LTE__IPADDRESS__IPVERSION__IPV6 : MAGMA__LTE__IPADDRESS__IPVERSION__IPV4;
	(*out)->address.len = strlen(text);
	(*out)->address.data = take(arena, strlen(text) + 1, 1);
	memcpy((*out)->address.data, text, strlen(text));
	return 0;
}

struct flow {
	unsigned int direction; /* 0 uplink, 1 downlink, 2 both */
	unsigned int action;
	Magma__Lte__FlowMatch__IPProto protocol;
	uint32_t remote_port, local_port;
	Magma__Lte__IPAddress *remote;
};

static Magma__Lte__FlowDescription *make_flow(struct arena *arena, const struct flow *flow, bool downlink)
{
	const uint32_t source = downlink ? flow->remote_port : flow->local_port;
	const uint32_t destination = downlink ? flow->local_port : flow->remote_port;
	Magma__Lte__FlowDescription *description = take(arena, 1, sizeof(*description));
	Magma__Lte__FlowMatch *match = take(arena, 1, sizeof(*match));

	magma__lte__flow_description__init(description);
	magma__lte__flow_match__init(match);
	description->match = match;
	description->action = (Magma__Lte__FlowDescription__Action)flow->action;
	match->direction = downlink ? MAGMA__LTE__FLOW_MATCH__DIRECTION__DOWNLINK
				    : MAGMA__LTE__FLOW_MATCH__DIRECTION__UPLINK;
	match->ip_proto = flow->protocol;
	if (downlink)
		match->ip_src = flow->remote;
	else
		match->ip_dst = flow->remote;
	if (flow->protocol == MAGMA__LTE__FLOW_MATCH__IPPROTO__IPPROTO_TCP) {
		match->tcp_src = source;
		match->tcp_dst = destination;
	} else {
		match->udp_src = source;
		match->udp_dst = destination;
	}
	return description;
}

static const char *const actions[] = {"permit", "deny", NULL}; /* in the order of the wire's numbers */

static int read_flow(struct arena *arena, struct sl_yaml_node node, unsigned int action,
		     Magma__Lte__PolicyRule *rule, struct sl_error *err)
{
	static const char *const keys[] = {"direction",	  "action",	"protocol", "remote",
					   "remote_port", "local_port", NULL};
	static const char *const directions[] = {"uplink", "downlink", "both", NULL};
	struct flow flow = {.direction = 2, .action = action};
	int ret;

	if ((ret = sl_yaml_mapping(node, keys, err)) < 0 ||
	    (ret = sl_yaml_choice(sl_yaml_get(node, "direction"), directions, &flow.direction, err)) < 0 ||
	    (ret = sl_yaml_choice(sl_yaml_get(node, "action"), actions, &flow.action, err)) < 0 ||
	    (ret = read_protocol(sl_yaml_get(node, "protocol"), &flow.protocol, err)) < 0 ||
	    (ret = read_remote(arena, sl_yaml_get(node, "remote"), &flow.remote, err)) < 0 ||
	    (ret = sl_yaml_uint32(sl_yaml_get(node, "remote_port"), 1, 65535, &flow.remote_port, err)) < 0 ||
	    (ret = sl_yaml_uint32(sl_yaml_get(node, "local_port"), 1, 65535, &flow.local_port, err)) < 0)
		return ret;
	if ((flow.remote_port || flow.local_port) &&
	    flow.protocol != MAGMA__LTE__FLOW_MATCH__IPPROTO__IPPROTO_TCP &&
	    flow.protocol != MAGMA__LTE__FLOW_MATCH__IPPROTO__IPPROTO_UDP)
		return sl_yaml_error(node, err, "a port without its protocol; allowed: protocol tcp or udp");
	if (flow.direction != 1)
		rule->flow_list[rule->n_flow_list++] = make_flow(arena, &flow, false);
	if (flow.direction != 0)
		rule->flow_list[rule->n_flow_list++] = make_flow(arena, &flow, true);
	return 0;
}

/* --- rules ------------------------------------------------------------------------- */

static int read_rates(struct sl_yaml_node node, uint64_t max, uint64_t *uplink, uint64_t *downlink,
		      struct sl_error *err)
{
	static const char *const keys[] = {"uplink", "downlink", NULL};
	int ret;

	if ((ret = sl_yaml_mapping(node, keys, err)) < 0 ||
	    (ret = sl_yaml_rate(sl_yaml_get(node, "uplink"), 1, max, uplink, err)) < 0)
		return ret;
	return sl_yaml_rate(sl_yaml_get(node, "downlink"), 1, max, downlink, err);
}

static int read_rule(struct arena *arena, struct sl_yaml_node node, Magma__Lte__VersionedPolicy *policy,
		     bool *gy, struct sl_error *err)
{
	static const char *const keys[] = {"id",  "version",	  "precedence", "origin", "action",
					   "mbr", "hard_timeout", "flows",	NULL};
	static const char *const origins[] = {"gx", "gy", NULL};
	Magma__Lte__PolicyRule *rule = take(arena, 1, sizeof(*rule));
	struct sl_yaml_node flows = sl_yaml_get(node, "flows");
	uint64_t uplink = 0, downlink = 0, timeout = 0;
	unsigned int action = 0, origin = 0;
	size_t count, i;
	int ret;

	magma__lte__versioned_policy__init(policy);
	magma__lte__policy_rule__init(rule);
	policy->rule = rule;
	policy->version = DEFAULT_VERSION;
	rule->priority = DEFAULT_PRECEDENCE;
	if ((ret = sl_yaml_mapping(node, keys, err)) < 0 || (ret = sl_yaml_require(node, "id", err)) < 0 ||
	    (ret = sl_yaml_require(node, "flows", err)) < 0 ||
	    (ret = take_text(arena, sl_yaml_get(node, "id"), SLUICE_RULE_ID_SIZE, &rule->id, err)) < 0 ||
	    (ret = sl_yaml_uint32(sl_yaml_get(node, "version"), 0, UINT32_MAX, &policy->version, err)) < 0 ||
	    (ret = sl_yaml_uint32(sl_yaml_get(node, "precedence"), 0, UINT32_MAX, &rule->priority, err)) <
		    0 ||
	    (ret = sl_yaml_choice(sl_yaml_get(node, "origin"), origins, &origin, err)) < 0 ||
	    (ret = sl_yaml_choice(sl_yaml_get(node, "action"), actions, &action, err)) < 0 ||
	    (ret = read_rates(sl_yaml_get(node, "mbr"), MAX_RATE, &uplink, &downlink, err)) < 0 ||
	    (ret = sl_yaml_duration(sl_yaml_get(node, "hard_timeout"), 1000, 1000ULL * UINT32_MAX, &timeout,
				    err)) < 0 ||
	    (ret = sl_yaml_sequence(flows, SLUICE_FLOWS_PER_RULE, &count, err)) < 0)
		return ret;
	if (timeout % 1000)
		return sl_yaml_error(sl_yaml_get(node, "hard_timeout"), err,
				     "not in whole seconds; allowed: s, m or h");
	rule->hard_timeout = (uint32_t)(timeout / 1000);
	if (uplink || downlink) {
		rule->qos = take(arena, 1, sizeof(*rule->qos));
		magma__lte__flow_qos__init(rule->qos);
		rule->qos->max_req_bw_ul = (uint32_t)uplink;
		rule->qos->max_req_bw_dl = (uint32_t)downlink;
	}
	rule->flow_list = take(arena, 2 * count, sizeof(*rule->flow_list));
	for (i = 0; i < count; i++) {
		ret = read_flow(arena, sl_yaml_item(flows, i), action, rule, err);
		if (ret < 0)
			return ret;
	}
	*gy = origin == 1;
	return 0;
}

/* --- sessions ----------------------------------------------------------------------- */

static int read_imsi(struct sl_yaml_node node, struct policy_request *request, struct sl_error *err)
{
	char text[32] = "";
	const char *digits = text;
	size_t length;
	int ret;

	ret = sl_yaml_text(node, text, sizeof(text), err);
	if (ret < 0)
		return ret;
	if (strncmp(digits, "IMSI", 4) == 0)
		digits += 4;
	length = strlen(digits);
	if (length < 6 || length >= sizeof(request->imsi) || strspn(digits, "0123456789") != length)
		return sl_yaml_error(node, err, "bad value \"%s\"; allowed: 6 to 15 digits", text);
	memcpy(request->imsi, digits, length + 1);
	return 0;
}

static int read_address(struct sl_yaml_node node, int family, char *out, size_t size, struct sl_error *err)
{
	struct in6_addr address;
	int ret;

	ret = sl_yaml_text(node, out, size, err);
	if (ret < 0 || !sl_yaml_present(node))
		return ret;
	if (inet_pton(family, out, &address) != 1)
		return sl_yaml_error(node, err, "bad value \"%s\"; allowed: an %s address", out,
				     family == AF_INET ? "IPv4" : "IPv6");
	return 0;
}

static int read_ambr(struct arena *arena, struct sl_yaml_node node,
		     Magma__Lte__AggregatedMaximumBitrate **out, struct sl_error *err)
{
	uint64_t uplink = 0, downlink = 0;
	Magma__Lte__AggregatedMaximumBitrate *ambr;
	uint64_t unit = 1;
	int ret;

	if (!sl_yaml_present(node))
		return 0;
	ret = read_rates(node, 1000ULL * MAX_RATE, &uplink, &downlink, err);
	if (ret < 0)
		return ret;
	if (uplink > MAX_RATE || downlink > MAX_RATE)
		unit = 1000;
	if (uplink % unit || downlink % unit)
		return sl_yaml_error(node, err,
				     "above 4.29Gbit; allowed there: whole kbit/s in both directions");
	ambr = take(arena, 1, sizeof(*ambr));
	magma__lte__aggregated_maximum_bitrate__init(ambr);
	ambr->br_unit = unit == 1 ? MAGMA__LTE__AGGREGATED_MAXIMUM_BITRATE__BITRATE_UNITS_AMBR__BPS
				  : MAGMA__LTE__AGGREGATED_MAXIMUM_BITRATE__BITRATE_UNITS_AMBR__KBPS;
	ambr->max_bandwidth_ul = (uint32_t)(uplink / unit);
	ambr->max_bandwidth_dl = (uint32_t)(downlink / unit);
	*out = ambr;
	return 0;
}

/* There is room for the two requests that an entry can become. */
static struct policy_request *next_request(struct policy_file *file, const struct policy_request *like)
{
	struct policy_request *request = &file->requests[file->count++];

	*request = *like;
	return request;
}

static void pack(struct policy_request *request, const Magma__Lte__ActivateFlowsRequest *message)
{
	request->rules = (uint32_t)message->n_policies;
	request->length = magma__lte__activate_flows_request__get_packed_size(message);
	request->bytes = malloc(request->length);
	if (!request->bytes) {
		fputs("sluicectl: out of memory\n", stderr);
		exit(1);
	}
	magma__lte__activate_flows_request__pack(message, request->bytes);
}

/* Fills policies with the GX rules and puts the GY rules behind them. */
static int read_rules(struct arena *arena, struct sl_yaml_node node, Magma__Lte__VersionedPolicy ***out,
		      size_t *gx, size_t *gy, struct sl_error *err)
{
	Magma__Lte__VersionedPolicy **policies, **behind;
	size_t count, i;
	int ret;

	ret = sl_yaml_sequence(node, SLUICE_RULES_PER_SESSION, &count, err);
	if (ret < 0)
		return ret;
	policies = take(arena, count, sizeof(*policies));
	behind = take(arena, count, sizeof(*behind));
	*gx = *gy = 0;
	for (i = 0; i < count; i++) {
		Magma__Lte__VersionedPolicy *policy = take(arena, 1, sizeof(*policy));
		bool is_gy = false;

		ret = read_rule(arena, sl_yaml_item(node, i), policy, &is_gy, err);
		if (ret < 0)
			return ret;
		if (is_gy)
			behind[(*gy)++] = policy;
		else
			policies[(*gx)++] = policy;
	}
	for (i = 0; i < *gy; i++)
		policies[*gx + i] = behind[i];
	*out = policies;
	return 0;
}

static int read_session(struct arena *arena, struct sl_yaml_node node, struct policy_file *file,
			struct sl_error *err)
{
	static const char *const keys[] = {"imsi", "ipv4", "ipv6", "apn", "ambr", "rules", NULL};
	Magma__Lte__ActivateFlowsRequest message = MAGMA__LTE__ACTIVATE_FLOWS_REQUEST__INIT;
	Magma__Lte__RequestOriginType origin = MAGMA__LTE__REQUEST_ORIGIN_TYPE__INIT;
	Magma__Lte__SubscriberID sid = MAGMA__LTE__SUBSCRIBER_ID__INIT;
	struct policy_request request = {.length = 0};
	char ipv4[INET_ADDRSTRLEN] = "", ipv6[INET6_ADDRSTRLEN] = "", id[32];
	Magma__Lte__VersionedPolicy **policies = NULL;
	size_t gx, gy;
	int ret;

	if ((ret = sl_yaml_mapping(node, keys, err)) < 0 || (ret = sl_yaml_require(node, "imsi", err)) < 0 ||
	    (ret = read_imsi(sl_yaml_get(node, "imsi"), &request, err)) < 0 ||
	    (ret = read_address(sl_yaml_get(node, "ipv4"), AF_INET, ipv4, sizeof(ipv4), err)) < 0 ||
	    (ret = read_address(sl_yaml_get(node, "ipv6"), AF_INET6, ipv6, sizeof(ipv6), err)) < 0 ||
	    (ret = take_text(arena, sl_yaml_get(node, "apn"), SLUICE_APN_SIZE, &message.apn, err)) < 0 ||
	    (ret = read_ambr(arena, sl_yaml_get(node, "ambr"), &message.apn_ambr, err)) < 0 ||
	    (ret = read_rules(arena, sl_yaml_get(node, "rules"), &policies, &gx, &gy, err)) < 0)
		return ret;
	if (!ipv4[0] && !ipv6[0])
		return sl_yaml_error(node, err, "no address; allowed: ipv4, ipv6 or both");
	file->sessions += (ipv4[0] != '\0') + (ipv6[0] != '\0');
	snprintf(request.address, sizeof(request.address), "%s%s%s", ipv4, ipv4[0] && ipv6[0] ? ", " : "",
		 ipv6);
	snprintf(id, sizeof(id), "IMSI%s", request.imsi);
	sid.id = id;
	message.sid = &sid;
	message.ip_addr = ipv4;
	message.ipv6_addr.data = (uint8_t *)ipv6;
	message.ipv6_addr.len = strlen(ipv6);
	message.request_origin = &origin;
	message.policies = policies;
	message.n_policies = gx;
	pack(next_request(file, &request), &message);
	if (gy) {
		origin.type = MAGMA__LTE__REQUEST_ORIGIN_TYPE__ORIGIN_TYPE__GY;
		message.apn_ambr = NULL;
		message.policies = policies + gx;
		message.n_policies = gy;
		pack(next_request(file, &request), &message);
	}
	return 0;
}

void policy_file_free(struct policy_file *file)
{
	size_t i;

	for (i = 0; i < file->count; i++)
		free(file->requests[i].bytes);
	free(file->requests);
	*file = (struct policy_file){0};
}

static void yaml_freep(struct sl_yaml **yaml)
{
	sl_yaml_free(*yaml);
}

int policy_file_load(const char *path, struct policy_file *out, struct sl_error *err)
{
	static const char *const keys[] = {"sessions", NULL};
	_cleanup_(yaml_freep) struct sl_yaml *yaml = NULL;
	_cleanup_(policy_file_free) struct policy_file file = {0};
	struct sl_yaml_node root, sessions;
	size_t count, i;
	int ret;

	ret = sl_yaml_load(path, &yaml, err);
	if (ret < 0)
		return ret;
	root = sl_yaml_root(yaml);
	sessions = sl_yaml_get(root, "sessions");
	if ((ret = sl_yaml_mapping(root, keys, err)) < 0 ||
	    (ret = sl_yaml_require(root, "sessions", err)) < 0 ||
	    (ret = sl_yaml_sequence(sessions, POLICY_FILE_SESSIONS, &count, err)) < 0)
		return ret;
	file.requests = calloc(2 * count + 1, sizeof(*file.requests));
	if (!file.requests)
		return sl_error(err, ENOMEM, "%s: out of memory", path);
	for (i = 0; i < count; i++) {
		struct arena arena = {NULL};

		ret = read_session(&arena, sl_yaml_item(sessions, i), &file, err);
		arena_release(&arena);
		if (ret < 0)
			return ret;
	}
	*out = file;
	file = (struct policy_file){0};
	return 0;
}
