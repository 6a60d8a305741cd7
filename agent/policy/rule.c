// SPDX-License-Identifier: Apache-2.0
#include "policy/rule.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "policy/address.h"
#include "policy/hash.h"

#define PORT_LAST 65535

/* The session manager's name for the side of the match that is not the UE. */
static const char *remote_field(const struct sluice_flow *flow)
{
	return flow->direction == SLUICE_UPLINK ? "ip_dst" : "ip_src";
}

static int validate_remote(const struct sluice_flow *flow, uint32_t index, struct sl_error *err)
{
	unsigned int most = flow->family == 4 ? 32 : 128;
	struct sl_address address = {.family = flow->family};
	char text[SL_ADDRESS_TEXT];

	if (flow->family != 0 && flow->family != 4 && flow->family != 6)
		return sl_error(err, EINVAL, "flow_list[%u].match: family %u is neither 4 nor 6", index,
				flow->family);
	if (!flow->has_remote) {
		if (flow->prefix_length == 0)
			return 0;
		return sl_error(err, EINVAL, "flow_list[%u].match.%s: prefix length %u without an address",
				index, remote_field(flow), flow->prefix_length);
	}
	if (flow->family == 0)
		return sl_error(err, EINVAL, "flow_list[%u].match.%s: an address of no family", index,
				remote_field(flow));
	memcpy(address.bytes, flow->remote, sizeof(address.bytes));
	sl_address_format(&address, text);
	if (flow->prefix_length > most)
		return sl_error(err, EINVAL,
				"flow_list[%u].match.%s: '%s/%u' has a prefix length outside 0..%u", index,
				remote_field(flow), text, flow->prefix_length, most);
	for (unsigned int bit = flow->prefix_length; bit < 128; bit++) {
		if (flow->remote[bit / 8] >> (7 - bit % 8) & 1)
			return sl_error(err, EINVAL, "flow_list[%u].match.%s: '%s/%u' has host bits set",
					index, remote_field(flow), text, flow->prefix_length);
	}
	return 0;
}

static int validate_ports(const struct sluice_flow *flow, uint32_t index, struct sl_error *err)
{
	const struct {
		const char *name;
		uint16_t low, high;
	} ranges[] = {
		{"remote", flow->remote_port_low, flow->remote_port_high},
		{"local", flow->local_port_low, flow->local_port_high},
	};

	for (int i = 0; i < 2; i++) {
		if (ranges[i].low == 0 && ranges[i].high == PORT_LAST)
			continue;
		if (ranges[i].low > ranges[i].high)
			return sl_error(err, EINVAL, "flow_list[%u].match: %s port range %u-%u is empty",
					index, ranges[i].name, ranges[i].low, ranges[i].high);
		if (flow->protocol != IPPROTO_TCP && flow->protocol != IPPROTO_UDP &&
		    flow->protocol != IPPROTO_SCTP)
			return sl_error(
				err, EINVAL,
				"flow_list[%u].match: %s port %u needs ip_proto TCP, UDP or SCTP, not %u",
				index, ranges[i].name, ranges[i].low, flow->protocol);
	}
	return 0;
}

static int validate_flow(const struct sluice_flow *flow, uint32_t index, struct sl_error *err)
{
	int result;

	if (flow->direction != SLUICE_UPLINK && flow->direction != SLUICE_DOWNLINK)
		return sl_error(err, EINVAL,
				"flow_list[%u].match.direction: %u is neither UPLINK nor DOWNLINK", index,
				flow->direction);
	if (flow->action != SLUICE_PERMIT && flow->action != SLUICE_DENY)
		return sl_error(err, EINVAL, "flow_list[%u].action: %u is neither PERMIT nor DENY", index,
				flow->action);
	result = validate_remote(flow, index, err);
	if (result < 0)
		return result;
	return validate_ports(flow, index, err);
}

int sl_rule_validate(const struct sl_rule *rule, struct sl_error *err)
{
	size_t id_length = strnlen(rule->id, sizeof(rule->id));

	if (id_length == 0)
		return sl_error(err, EINVAL, "id: a rule without an id");
	if (id_length == sizeof(rule->id))
		return sl_error(err, EINVAL, "id: '%.32s...' is longer than %d bytes", rule->id,
				SLUICE_RULE_ID_SIZE - 1);
	if (rule->flow_count == 0)
		return sl_error(err, EINVAL, "flow_list: empty in rule '%s'", rule->id);
	if (rule->flow_count > SLUICE_FLOWS_PER_RULE)
		return sl_error(err, EINVAL, "flow_list: %u flows in rule '%s', at most %d", rule->flow_count,
				rule->id, SLUICE_FLOWS_PER_RULE);
	for (uint32_t i = 0; i < rule->flow_count; i++) {
		int result = validate_flow(&rule->flows[i], i, err);

		if (result < 0)
			return result;
	}
	return 0;
}

bool sl_rule_fits(const struct sl_rule *rule, uint32_t family)
{
	for (uint32_t i = 0; i < rule->flow_count; i++)
		if (rule->flows[i].family == 0 || rule->flows[i].family == family)
			return true;
	return false;
}

static bool steers_equal(const struct sl_rule_steer *a, const struct sl_rule_steer *b)
{
	return a->mode == b->mode && strcmp(a->interface, b->interface) == 0 &&
	       a->next_hop_family == b->next_hop_family &&
	       memcmp(a->next_hop, b->next_hop, sizeof(a->next_hop)) == 0;
}

bool sl_rule_equal(const struct sl_rule *a, const struct sl_rule *b)
{
	return strcmp(a->id, b->id) == 0 && a->precedence == b->precedence &&
	       a->rating_group == b->rating_group && a->hard_timeout_s == b->hard_timeout_s &&
	       a->redirect == b->redirect && strcmp(a->redirect_address, b->redirect_address) == 0 &&
	       a->is_static == b->is_static && steers_equal(&a->steer, &b->steer) &&
	       memcmp(a->mbr, b->mbr, sizeof(a->mbr)) == 0 && memcmp(a->gbr, b->gbr, sizeof(a->gbr)) == 0 &&
	       a->flow_count == b->flow_count &&
	       (a->flow_count == 0 || memcmp(a->flows, b->flows, a->flow_count * sizeof(a->flows[0])) == 0);
}

uint64_t sl_rule_hash(const struct sl_rule *rule)
{
	const uint32_t numbers[] = {rule->precedence, rule->rating_group, rule->hard_timeout_s,
				    rule->flow_count, rule->redirect, rule->is_static, rule->steer.mode};
	uint64_t hash = sl_hash(0, rule->id, strlen(rule->id));

	hash = sl_hash(hash, numbers, sizeof(numbers));
	hash = sl_hash(hash, rule->redirect_address, strlen(rule->redirect_address));
	hash = sl_hash(hash, rule->steer.interface, strlen(rule->steer.interface));
	hash = sl_hash(hash, rule->mbr, sizeof(rule->mbr));
	hash = sl_hash(hash, rule->gbr, sizeof(rule->gbr));
	return sl_hash(hash, rule->flows, rule->flow_count * sizeof(rule->flows[0]));
}
