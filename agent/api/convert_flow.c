// SPDX-License-Identifier: Apache-2.0
/* PolicyRule -> sl_rule: enums and texts of the wire; what they mean is policy/flow.h's. */
#include "api/convert_flow.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/flow.h"
#include "usage/record.h"

#define ADDRESS_TEXT 64
#define FIELD_TEXT   48

/* The wire's bytes as text with a NUL; empty: not given. */
static int read_address(const char *field, const char *name, const Magma__Lte__IPAddress *wire,
			char text[ADDRESS_TEXT], struct sl_flow_address *out, struct sl_error *err)
{
	out->text = "";
	if (!wire || wire->address.len == 0)
		return 0;
	if (wire->address.len >= ADDRESS_TEXT || memchr(wire->address.data, 0, wire->address.len))
		return sl_error(err, EINVAL, "%s.%s: not an address as text (%zu bytes)", field, name,
				wire->address.len);
	memcpy(text, wire->address.data, wire->address.len);
	text[wire->address.len] = '\0';
	out->text = text;
	switch (wire->version) {
	case MAGMA__LTE__IPADDRESS__IPVERSION__IPV4:
		out->family = 4;
		return 0;
	case MAGMA__LTE__IPADDRESS__IPVERSION__IPV6:
		out->family = 6;
		return 0;
	default:
		return sl_error(err, EINVAL, "%s.%s.version: unknown value %d", field, name,
				(int)wire->version);
	}
}

static int read_flow(const char *field, const Magma__Lte__FlowDescription *wire, struct sluice_flow *flow,
		     struct sl_error *err)
{
	static const Magma__Lte__FlowMatch any = MAGMA__LTE__FLOW_MATCH__INIT;
	const Magma__Lte__FlowMatch *from = wire->match ? wire->match : &any;
	char source[ADDRESS_TEXT], destination[ADDRESS_TEXT];
	struct sl_flow_match match = {
		.direction = from->direction == MAGMA__LTE__FLOW_MATCH__DIRECTION__UPLINK ? SLUICE_UPLINK
											  : SLUICE_DOWNLINK,
		.action = wire->action == MAGMA__LTE__FLOW_DESCRIPTION__ACTION__PERMIT ? SLUICE_PERMIT
										       : SLUICE_DENY,
		.ip_proto = (uint32_t)from->ip_proto,
		.tcp_src = from->tcp_src,
		.tcp_dst = from->tcp_dst,
		.udp_src = from->udp_src,
		.udp_dst = from->udp_dst,
	};
	int rc;

	if (!protobuf_c_enum_descriptor_get_value(&magma__lte__flow_match__direction__descriptor,
						  (int)from->direction))
		return sl_error(err, EINVAL, "%s.direction: unknown value %d", field, (int)from->direction);
	if (!protobuf_c_enum_descriptor_get_value(&magma__lte__flow_match__ipproto__descriptor,
						  (int)from->ip_proto))
		return sl_error(err, EINVAL, "%s.ip_proto: unknown value %d", field, (int)from->ip_proto);
	if (from->app_name && from->app_name[0])
		return sl_error(err, EOPNOTSUPP,
				"%s.app_name: '%.64s' needs packet inspection, which is not there", field,
				from->app_name);
	rc = read_address(field, "ip_src", from->ip_src, source, &match.ip_src, err);
	if (rc == 0)
		rc = read_address(field, "ip_dst", from->ip_dst, destination, &match.ip_dst, err);
	if (rc < 0)
		return rc;
	return sl_flow_from_match(field, &match, flow, err);
}

int sl_rule_read(const Magma__Lte__PolicyRule *wire, struct sl_rule *out, struct sl_error *err)
{
	_cleanup_free_ struct sluice_flow *flows = NULL;
	struct sl_rule rule = {.record = SLUICE_NONE};
	size_t length = wire->id ? strlen(wire->id) : 0;
	int rc;

	if (length == 0)
		return sl_error(err, EINVAL, "rule.id: empty");
	if (length >= sizeof(rule.id))
		return sl_error(err, EINVAL, "rule.id: %zu bytes long, at most %zu are allowed", length,
				sizeof(rule.id) - 1);
	if (strcmp(wire->id, SL_DEFAULT_DROP_RULE) == 0)
		return sl_error(err, EINVAL, "rule.id: '%s' is the name of what matches no rule", wire->id);
	memcpy(rule.id, wire->id, length);
	if (wire->redirect && wire->redirect->support == MAGMA__LTE__REDIRECT_INFORMATION__SUPPORT__ENABLED)
		return sl_error(err, EOPNOTSUPP, "rule.redirect: not supported yet");
	if (wire->redirect && wire->redirect->support != MAGMA__LTE__REDIRECT_INFORMATION__SUPPORT__DISABLED)
		return sl_error(err, EINVAL, "rule.redirect.support: unknown value %d",
				(int)wire->redirect->support);
	if (wire->app_name != 0)
		return sl_error(err, EOPNOTSUPP,
				"rule.app_name: %d needs packet inspection, which is not there",
				(int)wire->app_name);
	if (wire->n_flow_list > SLUICE_FLOWS_PER_RULE)
		return sl_error(err, E2BIG, "rule.flow_list: %zu flows, at most %d are allowed",
				wire->n_flow_list, SLUICE_FLOWS_PER_RULE);
	flows = calloc(wire->n_flow_list + 1, sizeof(*flows));
	if (!flows)
		return sl_error(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < wire->n_flow_list; i++) {
		const Magma__Lte__FlowDescription *flow = wire->flow_list[i];
		char field[FIELD_TEXT];

		if (!protobuf_c_enum_descriptor_get_value(&magma__lte__flow_description__action__descriptor,
							  (int)flow->action))
			return sl_error(err, EINVAL, "rule.flow_list[%zu].action: unknown value %d", i,
					(int)flow->action);
		snprintf(field, sizeof(field), "rule.flow_list[%zu].match", i);
		rc = read_flow(field, flow, &flows[i], err);
		if (rc < 0)
			return rc;
	}
	rule.precedence = wire->priority;
	rule.rating_group = wire->rating_group;
	rule.hard_timeout_s = wire->hard_timeout;
	if (wire->qos) {
		rule.mbr[SLUICE_UPLINK] = wire->qos->max_req_bw_ul;
		rule.mbr[SLUICE_DOWNLINK] = wire->qos->max_req_bw_dl;
		rule.gbr[SLUICE_UPLINK] = wire->qos->gbr_ul;
		rule.gbr[SLUICE_DOWNLINK] = wire->qos->gbr_dl;
	}
	rule.flow_count = (uint32_t)wire->n_flow_list;
	rule.flows = SL_TAKE(flows);
	*out = rule;
	return 0;
}
