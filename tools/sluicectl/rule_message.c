// SPDX-License-Identifier: Apache-2.0
#include "rule_message.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "policy/address.h"
#include "policy/flow_text.h"

#define PORT_LAST 65535

/* Any port, or exactly one that is not 0, the wire's "not set". */
static bool is_plain_port(uint16_t low, uint16_t high)
{
	return (low == 0 && high == PORT_LAST) || (low == high && low != 0);
}

/* A FlowDescription can say all of it. */
static bool is_plain(const struct sluice_flow *flow)
{
	const bool has_ports = flow->remote_port_high != PORT_LAST || flow->local_port_high != PORT_LAST ||
			       flow->remote_port_low != 0 || flow->local_port_low != 0;

	if (flow->terms.which || flow->flags || (flow->family != 0 && !flow->has_remote))
		return false;
	if (!protobuf_c_enum_descriptor_get_value(&magma__lte__flow_match__ipproto__descriptor,
						  flow->protocol))
		return false;
	if (has_ports && flow->protocol != IPPROTO_TCP && flow->protocol != IPPROTO_UDP)
		return false;
	return is_plain_port(flow->remote_port_low, flow->remote_port_high) &&
	       is_plain_port(flow->local_port_low, flow->local_port_high);
}

static Magma__Lte__IPAddress *remote_of(struct arena *arena, const struct sluice_flow *flow)
{
	Magma__Lte__IPAddress *out = arena_take(arena, 1, sizeof(*out));
	struct sl_flow_shown shown;

	magma__lte__ipaddress__init(out);
	sl_flow_show(flow, &shown);
	out->version = flow->family == 6 ? MAGMA__LTE__IPADDRESS__IPVERSION__IPV6
					 : MAGMA__LTE__IPADDRESS__IPVERSION__IPV4;
	out->address.data = (uint8_t *)arena_copy(arena, shown.remote);
	out->address.len = strlen(shown.remote);
	return out;
}

static Magma__Lte__FlowDescription *describe(struct arena *arena, const struct sluice_flow *flow)
{
	const bool is_downlink = flow->direction == SLUICE_DOWNLINK;
	const uint32_t remote = flow->remote_port_low, local = flow->local_port_low;
	const uint32_t source = is_downlink ? remote : local, destination = is_downlink ? local : remote;
	Magma__Lte__FlowDescription *description = arena_take(arena, 1, sizeof(*description));
	Magma__Lte__FlowMatch *match = arena_take(arena, 1, sizeof(*match));

	magma__lte__flow_description__init(description);
	magma__lte__flow_match__init(match);
	description->match = match;
	description->action = flow->action == SLUICE_DENY ? MAGMA__LTE__FLOW_DESCRIPTION__ACTION__DENY
							  : MAGMA__LTE__FLOW_DESCRIPTION__ACTION__PERMIT;
	match->direction = is_downlink ? MAGMA__LTE__FLOW_MATCH__DIRECTION__DOWNLINK
				       : MAGMA__LTE__FLOW_MATCH__DIRECTION__UPLINK;
	match->ip_proto = (Magma__Lte__FlowMatch__IPProto)flow->protocol;
	if (flow->has_remote && is_downlink)
		match->ip_src = remote_of(arena, flow);
	else if (flow->has_remote)
		match->ip_dst = remote_of(arena, flow);
	if (flow->protocol == IPPROTO_TCP) {
		match->tcp_src = source;
		match->tcp_dst = destination;
	} else {
		match->udp_src = source;
		match->udp_dst = destination;
	}
	return description;
}

static Sluice__V1__Flow *own_flow(struct arena *arena, const struct sluice_flow *flow)
{
	struct sl_flow_shown *shown = arena_take(arena, 1, sizeof(*shown));
	Sluice__V1__Flow *out = arena_take(arena, 1, sizeof(*out));

	sl_flow_show(flow, shown);
	sluice__v1__flow__init(out);
	out->direction = (char *)shown->direction;
	out->action = (char *)shown->action;
	out->protocol = shown->protocol;
	out->remote = shown->remote;
	out->remote_port = shown->remote_port;
	out->local = shown->local;
	out->local_port = shown->local_port;
	out->dscp = shown->dscp;
	out->tcp_flags = shown->tcp_flags;
	out->tcp_options = shown->tcp_options;
	out->icmp_type = shown->icmp_type;
	out->fragment = (char *)shown->fragment;
	out->ip_options = shown->ip_options;
	out->family = shown->family;
	return out;
}

static void set_flows(struct arena *arena, const struct sl_rule *rule, Magma__Lte__PolicyRule *out)
{
	bool all_plain = true;

	for (uint32_t i = 0; i < rule->flow_count; i++)
		all_plain = all_plain && is_plain(&rule->flows[i]);
	if (all_plain) {
		out->flow_list = arena_take(arena, rule->flow_count, sizeof(*out->flow_list));
		for (; out->n_flow_list < rule->flow_count; out->n_flow_list++)
			out->flow_list[out->n_flow_list] = describe(arena, &rule->flows[out->n_flow_list]);
		return;
	}
	out->flows = arena_take(arena, rule->flow_count, sizeof(*out->flows));
	for (; out->n_flows < rule->flow_count; out->n_flows++)
		out->flows[out->n_flows] = own_flow(arena, &rule->flows[out->n_flows]);
}

static void set_redirect(struct arena *arena, const struct sl_rule *rule, Magma__Lte__PolicyRule *out)
{
	static const Magma__Lte__RedirectInformation__AddressType types[] = {
		[SLUICE_REDIRECT_IPV4] = MAGMA__LTE__REDIRECT_INFORMATION__ADDRESS_TYPE__IPv4,
		[SLUICE_REDIRECT_IPV6] = MAGMA__LTE__REDIRECT_INFORMATION__ADDRESS_TYPE__IPv6,
		[SLUICE_REDIRECT_URL] = MAGMA__LTE__REDIRECT_INFORMATION__ADDRESS_TYPE__URL,
	};

	if (rule->redirect == SLUICE_REDIRECT_NONE)
		return;
	out->redirect = arena_take(arena, 1, sizeof(*out->redirect));
	magma__lte__redirect_information__init(out->redirect);
	out->redirect->support = MAGMA__LTE__REDIRECT_INFORMATION__SUPPORT__ENABLED;
	out->redirect->address_type = types[rule->redirect];
	out->redirect->server_address = arena_copy(arena, rule->redirect_address);
}

static void set_steer(struct arena *arena, const struct sl_rule_steer *steer, Magma__Lte__PolicyRule *out)
{
	struct sl_address next_hop = {.family = steer->next_hop_family};
	char text[SL_ADDRESS_TEXT];

	if (steer->mode == SLUICE_STEER_FREE)
		return;
	out->steer = arena_take(arena, 1, sizeof(*out->steer));
	sluice__v1__steer__init(out->steer);
	out->steer->mode = steer->mode == SLUICE_STEER_MIRROR ? "mirror" : "redirect";
	out->steer->interface = arena_copy(arena, steer->interface);
	memcpy(next_hop.bytes, steer->next_hop, sizeof(next_hop.bytes));
	sl_address_format(&next_hop, text);
	out->steer->next_hop = arena_copy(arena, text);
}

/* What 32 bits cannot say, and beside it what they can, for an agent that does not know the other field. */
static void set_rate(uint64_t rate, uint32_t *magma, uint64_t *own)
{
	*magma = rate < UINT32_MAX ? (uint32_t)rate : UINT32_MAX;
	*own = rate > UINT32_MAX ? rate : 0;
}

static void set_qos(struct arena *arena, const struct sl_rule *rule, Magma__Lte__PolicyRule *out)
{
	if (!rule->mbr[SLUICE_UPLINK] && !rule->mbr[SLUICE_DOWNLINK] && !sl_rule_has_gbr(rule) &&
	    !rule->arp.level && !rule->class_id)
		return;
	out->qos = arena_take(arena, 1, sizeof(*out->qos));
	magma__lte__flow_qos__init(out->qos);
	set_rate(rule->mbr[SLUICE_UPLINK], &out->qos->max_req_bw_ul, &out->qos->mbr_uplink);
	set_rate(rule->mbr[SLUICE_DOWNLINK], &out->qos->max_req_bw_dl, &out->qos->mbr_downlink);
	set_rate(rule->gbr[SLUICE_UPLINK], &out->qos->gbr_ul, &out->qos->gbr_uplink);
	set_rate(rule->gbr[SLUICE_DOWNLINK], &out->qos->gbr_dl, &out->qos->gbr_downlink);
	out->qos->qci = (Magma__Lte__FlowQos__Qci)rule->class_id;
	if (!rule->arp.level)
		return;
	out->qos->arp = arena_take(arena, 1, sizeof(*out->qos->arp));
	magma__lte__qos_arp__init(out->qos->arp);
	out->qos->arp->priority_level = rule->arp.level;
	out->qos->arp->pre_capability = rule->arp.may_preempt
						? MAGMA__LTE__QOS_ARP__PRE_CAP__PRE_CAP_ENABLED
						: MAGMA__LTE__QOS_ARP__PRE_CAP__PRE_CAP_DISABLED;
	out->qos->arp->pre_vulnerability = rule->arp.may_be_preempted
						   ? MAGMA__LTE__QOS_ARP__PRE_VUL__PRE_VUL_ENABLED
						   : MAGMA__LTE__QOS_ARP__PRE_VUL__PRE_VUL_DISABLED;
}

Magma__Lte__PolicyRule *rule_message(struct arena *arena, const struct sl_rule *rule)
{
	Magma__Lte__PolicyRule *out = arena_take(arena, 1, sizeof(*out));

	magma__lte__policy_rule__init(out);
	out->id = arena_copy(arena, rule->id);
	out->priority = rule->precedence;
	out->rating_group = rule->rating_group;
	out->hard_timeout = rule->hard_timeout_s;
	out->is_final = rule->is_final;
	set_qos(arena, rule, out);
	out->qos_profile = arena_copy(arena, rule->profile);
	set_flows(arena, rule, out);
	set_redirect(arena, rule, out);
	set_steer(arena, &rule->steer, out);
	return out;
}
