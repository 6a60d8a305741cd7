// SPDX-License-Identifier: Apache-2.0
/* PolicyRule -> sl_rule: enums and texts of the wire; what they mean is policy/flow.h's. */
#include "api/convert_flow.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "policy/filter.h"
#include "policy/flow.h"
#include "policy/flow_list.h"
#include "policy/flow_text.h"
#include "policy/hash.h"
#include "policy/profile.h"
#include "policy/redirect.h"
#include "usage/record.h"

#define ADDRESS_TEXT  64
#define FIELD_TEXT    48
#define NOTES_TOLD    256
#define NO_ENRICHMENT "rule.he: header enrichment is not done; the rule works without"

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

/* sluice's own form. */
static int read_own_flows(const Magma__Lte__PolicyRule *wire, struct sl_rule *rule, struct sl_error *err)
{
	_cleanup_(sl_flow_list_clear) struct sl_flow_list list = {.flows = NULL};
	int rc = sl_flow_list_init(&list, err);

	for (size_t i = 0; rc == 0 && i < wire->n_flows; i++) {
		const Sluice__V1__Flow *flow = wire->flows[i];
		const struct sl_flow_text text = {
			.direction = flow->direction,
			.action = flow->action,
			.protocol = flow->protocol,
			.remote = flow->remote,
			.remote_port = flow->remote_port,
			.local = flow->local,
			.local_port = flow->local_port,
			.dscp = flow->dscp,
			.tcp_flags = flow->tcp_flags,
			.tcp_options = flow->tcp_options,
			.icmp_type = flow->icmp_type,
			.fragment = flow->fragment,
			.ip_options = flow->ip_options,
			.family = flow->family,
		};
		const char *part = "";

		if (flow->this_host)
			return sl_error(err, EINVAL, "rule.flows[%zu].this_host: cannot be asked for", i);
		rc = sl_flow_text_read(&text, &list, &part, err);
		if (rc < 0)
			return sl_error_prefix(err, rc, "rule.flows[%zu]%s%s", i, part[0] ? "." : "", part);
	}
	if (rc < 0)
		return rc;
	return sl_flow_list_take(&list, "rule.flows", &rule->flows, &rule->flow_count, err);
}

static int read_flow_list(const Magma__Lte__PolicyRule *wire, struct sl_rule *rule, struct sl_error *err)
{
	_cleanup_free_ struct sluice_flow *flows = NULL;

	if (wire->n_flow_list > SLUICE_FLOWS_PER_RULE)
		return sl_error(err, E2BIG, "rule.flow_list: %zu flows, at most %d are allowed",
				wire->n_flow_list, SLUICE_FLOWS_PER_RULE);
	flows = calloc(wire->n_flow_list + 1, sizeof(*flows));
	if (!flows)
		return sl_error(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < wire->n_flow_list; i++) {
		const Magma__Lte__FlowDescription *flow = wire->flow_list[i];
		char field[FIELD_TEXT];
		int rc;

		if (!protobuf_c_enum_descriptor_get_value(&magma__lte__flow_description__action__descriptor,
							  (int)flow->action))
			return sl_error(err, EINVAL, "rule.flow_list[%zu].action: unknown value %d", i,
					(int)flow->action);
		snprintf(field, sizeof(field), "rule.flow_list[%zu].match", i);
		rc = read_flow(field, flow, &flows[i], err);
		if (rc < 0)
			return rc;
	}
	rule->flow_count = (uint32_t)wire->n_flow_list;
	rule->flows = SL_TAKE(flows);
	return 0;
}

static int read_redirect(const Magma__Lte__RedirectInformation *wire, struct sl_rule *rule,
			 struct sl_error *err)
{
	static const char field[] = "rule.redirect.server_address";
	const char *address = wire->server_address ? wire->server_address : "";

	switch (wire->address_type) {
	case MAGMA__LTE__REDIRECT_INFORMATION__ADDRESS_TYPE__IPv4:
		return sl_redirect_set(rule, field, SLUICE_REDIRECT_IPV4, address, err);
	case MAGMA__LTE__REDIRECT_INFORMATION__ADDRESS_TYPE__IPv6:
		return sl_redirect_set(rule, field, SLUICE_REDIRECT_IPV6, address, err);
	case MAGMA__LTE__REDIRECT_INFORMATION__ADDRESS_TYPE__URL:
		return sl_redirect_set(rule, field, SLUICE_REDIRECT_URL, address, err);
	case MAGMA__LTE__REDIRECT_INFORMATION__ADDRESS_TYPE__SIP_URI:
		return sl_error(
			err, EOPNOTSUPP,
			"rule.redirect.address_type: SIP_URI '%.64s' is for telephony, which cannot be "
			"redirected here",
			address);
	default:
		return sl_error(err, EINVAL, "rule.redirect.address_type: unknown value %d",
				(int)wire->address_type);
	}
}

static int read_steer(const Sluice__V1__Steer *wire, struct sl_rule_steer *steer, struct sl_error *err)
{
	struct sl_address address = {.family = 0};

	if (!wire)
		return 0;
	if (strcmp(wire->mode, "redirect") == 0)
		steer->mode = SLUICE_STEER_REDIRECT;
	else if (strcmp(wire->mode, "mirror") == 0)
		steer->mode = SLUICE_STEER_MIRROR;
	else
		return sl_error(err, EINVAL,
				"rule.steer.mode: bad value \"%.64s\"; allowed: redirect, mirror",
				wire->mode);
	if (strlen(wire->interface) >= sizeof(steer->interface))
		return sl_error(err, EINVAL, "rule.steer.interface: '%.64s' is longer than %zu bytes",
				wire->interface, sizeof(steer->interface) - 1);
	strcpy(steer->interface, wire->interface);
	if (!wire->next_hop[0])
		return 0;
	if (sl_address_parse("rule.steer.next_hop", wire->next_hop, &address, err) < 0)
		return -EINVAL;
	steer->next_hop_family = address.family;
	memcpy(steer->next_hop, address.bytes, sizeof(steer->next_hop));
	return 0;
}

static const char *filter_note(const Magma__Lte__PolicyRule *wire)
{
	return sl_filter_note((const char *const *)wire->filter_rules, wire->n_filter_rules,
			      wire->restrict_to_filters);
}

/* Which traffic: by one of four ways. */
static int read_matter(const Magma__Lte__PolicyRule *wire, struct sl_rule *rule, struct sl_error *err)
{
	const bool redirects = wire->redirect &&
			       wire->redirect->support == MAGMA__LTE__REDIRECT_INFORMATION__SUPPORT__ENABLED;
	const bool has_flow_list = wire->n_flow_list && !redirects;

	if (wire->redirect && !redirects &&
	    wire->redirect->support != MAGMA__LTE__REDIRECT_INFORMATION__SUPPORT__DISABLED)
		return sl_error(err, EINVAL, "rule.redirect.support: unknown value %d",
				(int)wire->redirect->support);
	if (has_flow_list + (wire->n_filter_rules > 0) + (wire->n_flows > 0) + redirects > 1)
		return sl_error(err, EINVAL,
				"rule: more than one of flow_list (%zu), filter_rules (%zu), flows (%zu) and "
				"redirect",
				wire->n_flow_list, wire->n_filter_rules, wire->n_flows);
	if (wire->restrict_to_filters && !wire->n_filter_rules)
		return sl_error(err, EINVAL, "rule.restrict_to_filters: without filter_rules");
	if (redirects)
		return read_redirect(wire->redirect, rule, err);
	if (wire->n_filter_rules) {
		rule->note = filter_note(wire);
		return sl_filter_flows("rule.filter_rules", (const char *const *)wire->filter_rules,
				       wire->n_filter_rules, wire->restrict_to_filters, &rule->flows,
				       &rule->flow_count, err);
	}
	if (wire->n_flows)
		return read_own_flows(wire, rule, err);
	return read_flow_list(wire, rule, err);
}

static bool asks_enrichment(const Magma__Lte__PolicyRule *wire)
{
	return wire->he && wire->he->n_urls > 0;
}

/* Said once for an id; again only after another id has taken its place among those remembered. */
static void tell_once(const char *event, const char *id, const char *note)
{
	static uint64_t told[NOTES_TOLD];
	const uint64_t hash = sl_hash(sl_hash(1, event, strlen(event)), id, strlen(id));

	if (told[hash % NOTES_TOLD] == hash)
		return;
	told[hash % NOTES_TOLD] = hash;
	sl_log(SL_LOG_WARNING, event, "rule", "%s", id, "note", "%s", note, NULL);
}

const char *sl_rule_note(const Magma__Lte__PolicyRule *wire)
{
	const char *note = filter_note(wire);

	if (note)
		return note;
	return asks_enrichment(wire) ? NO_ENRICHMENT : NULL;
}

/* Without a level the rest says nothing: the wire's zero is "enabled" for both. */
static int read_arp(const Magma__Lte__QosArp *wire, struct sl_arp *arp, struct sl_error *err)
{
	if (!wire || wire->priority_level == 0)
		return 0;
	if (wire->priority_level > SL_ARP_LEVEL_WORST)
		return sl_error(err, EINVAL, "rule.qos.arp.priority_level: %u is outside 1..%d",
				wire->priority_level, SL_ARP_LEVEL_WORST);
	if (wire->pre_capability != MAGMA__LTE__QOS_ARP__PRE_CAP__PRE_CAP_ENABLED &&
	    wire->pre_capability != MAGMA__LTE__QOS_ARP__PRE_CAP__PRE_CAP_DISABLED)
		return sl_error(err, EINVAL, "rule.qos.arp.pre_capability: unknown value %d",
				(int)wire->pre_capability);
	if (wire->pre_vulnerability != MAGMA__LTE__QOS_ARP__PRE_VUL__PRE_VUL_ENABLED &&
	    wire->pre_vulnerability != MAGMA__LTE__QOS_ARP__PRE_VUL__PRE_VUL_DISABLED)
		return sl_error(err, EINVAL, "rule.qos.arp.pre_vulnerability: unknown value %d",
				(int)wire->pre_vulnerability);
	arp->level = (uint8_t)wire->priority_level;
	arp->may_preempt = wire->pre_capability == MAGMA__LTE__QOS_ARP__PRE_CAP__PRE_CAP_ENABLED;
	arp->may_be_preempted = wire->pre_vulnerability == MAGMA__LTE__QOS_ARP__PRE_VUL__PRE_VUL_ENABLED;
	return 0;
}

static int read_qos(const Magma__Lte__FlowQos *wire, struct sl_rule *rule, struct sl_error *err)
{
	if (!wire)
		return 0;
	if ((int)wire->qci < 0 || (int)wire->qci > UINT16_MAX)
		return sl_error(err, EINVAL, "rule.qos.qci: %d is outside 0..%d", (int)wire->qci, UINT16_MAX);
	rule->mbr[SLUICE_UPLINK] = wire->mbr_uplink ? wire->mbr_uplink : wire->max_req_bw_ul;
	rule->mbr[SLUICE_DOWNLINK] = wire->mbr_downlink ? wire->mbr_downlink : wire->max_req_bw_dl;
	rule->gbr[SLUICE_UPLINK] = wire->gbr_uplink ? wire->gbr_uplink : wire->gbr_ul;
	rule->gbr[SLUICE_DOWNLINK] = wire->gbr_downlink ? wire->gbr_downlink : wire->gbr_dl;
	rule->class_id = (uint16_t)wire->qci;
	return read_arp(wire->arp, &rule->arp, err);
}

/* What the profile says is control's to put in. */
static int read_profile(const char *name, struct sl_rule *rule, struct sl_error *err)
{
	const char *conflict = sl_profile_conflict(rule);

	if (!name[0])
		return 0;
	if (strlen(name) >= sizeof(rule->profile))
		return sl_error(err, EINVAL, "rule.qos_profile: '%.64s...' is longer than %zu bytes", name,
				sizeof(rule->profile) - 1);
	if (conflict)
		return sl_error(err, EINVAL,
				"rule.qos_profile: '%.64s' beside rule.qos, which has %s of its own", name,
				conflict);
	strcpy(rule->profile, name);
	return 0;
}

static void free_flows(struct sl_rule *rule)
{
	free(rule->flows);
}

int sl_rule_read(const Magma__Lte__PolicyRule *wire, struct sl_rule *out, struct sl_error *err)
{
	_cleanup_(free_flows) struct sl_rule rule = {.record = SLUICE_NONE};
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
	if (wire->app_name != 0)
		return sl_error(err, EOPNOTSUPP,
				"rule.app_name: %d needs packet inspection, which is not there",
				(int)wire->app_name);
	rc = read_matter(wire, &rule, err);
	if (rc == 0)
		rc = read_steer(wire->steer, &rule.steer, err);
	if (rc == 0)
		rc = read_qos(wire->qos, &rule, err);
	if (rc == 0)
		rc = read_profile(wire->qos_profile, &rule, err);
	if (rc < 0)
		return rc;
	rule.precedence = wire->priority;
	rule.rating_group = wire->rating_group;
	rule.hard_timeout_s = wire->hard_timeout;
	rule.is_final = wire->is_final;
	if (asks_enrichment(wire))
		tell_once("header-enrichment-not-done", rule.id, NO_ENRICHMENT);
	if (rule.note)
		tell_once("rule-note", rule.id, rule.note);
	*out = rule;
	rule.flows = NULL;
	return 0;
}
