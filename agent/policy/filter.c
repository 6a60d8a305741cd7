// SPDX-License-Identifier: Apache-2.0
#include "policy/filter.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/flow_list.h"
#include "policy/ipfilter.h"

#define FIELD_SIZE	  96
#define PORT_LAST	  65535
#define SUBSCRIBER_PREFIX 64

static enum sluice_direction direction_of(const struct sl_ipfilter *rule)
{
	return rule->direction == SL_IPFILTER_IN ? SLUICE_UPLINK : SLUICE_DOWNLINK;
}

/* "!any" and everything but a whole address family are no address at all. */
static bool is_nowhere(const struct sl_ipfilter_end *end)
{
	return end->is_inverted && (end->place == SL_IPFILTER_ANY ||
				    (end->place == SL_IPFILTER_PREFIX && end->prefix.length == 0));
}

/* Options that can hold together, with this protocol. */
static bool is_possible(const struct sl_ipfilter *rule, bool asks_tcp)
{
	const bool is_tcp = rule->is_any_protocol || rule->protocol == IPPROTO_TCP;
	const bool is_icmp = rule->is_any_protocol || rule->protocol == IPPROTO_ICMP;
	const bool has_ports = rule->source.port_count || rule->destination.port_count;

	if (asks_tcp && (!is_tcp || rule->icmp_types || rule->is_frag))
		return false;
	if (rule->icmp_types && (!is_icmp || rule->is_frag || has_ports))
		return false;
	if (has_ports && rule->is_frag)
		return false;
	if (rule->is_setup &&
	    ((rule->tcp_flags.absent & SL_IPFILTER_SYN) || (rule->tcp_flags.present & SL_IPFILTER_ACK)))
		return false;
	if (rule->is_established && rule->is_setup && (rule->tcp_flags.absent & SL_IPFILTER_RST))
		return false;
	return true;
}

static void set_terms(const struct sl_ipfilter *rule, bool asks_tcp, struct sluice_flow *flow)
{
	struct sluice_terms *terms = &flow->terms;

	flow->protocol = rule->is_any_protocol ? 0 : rule->protocol;
	if (!rule->is_any_protocol && rule->protocol == 0)
		flow->flags |= SLUICE_FLOW_PROTOCOL_ZERO;
	if (asks_tcp)
		flow->protocol = IPPROTO_TCP;
	if (rule->icmp_types)
		flow->protocol = IPPROTO_ICMP;
	if (rule->is_frag)
		terms->which |= SLUICE_TERM_LATER_FRAGMENT;
	terms->tcp_mask = rule->tcp_flags.present | rule->tcp_flags.absent;
	terms->tcp_value = rule->tcp_flags.present;
	if (rule->is_setup) {
		terms->tcp_mask |= SL_IPFILTER_SYN | SL_IPFILTER_ACK;
		terms->tcp_value |= SL_IPFILTER_SYN;
	}
	if (rule->is_established)
		terms->tcp_any = SL_IPFILTER_RST | SL_IPFILTER_ACK;
	if (terms->tcp_mask || terms->tcp_any)
		terms->which |= SLUICE_TERM_TCP_FLAGS;
	terms->tcp_options_present = rule->tcp_options.present;
	terms->tcp_options_absent = rule->tcp_options.absent;
	if (terms->tcp_options_present | terms->tcp_options_absent)
		terms->which |= SLUICE_TERM_TCP_OPTIONS;
	terms->ip_options_present = rule->ip_options.present;
	terms->ip_options_absent = rule->ip_options.absent;
	if (terms->ip_options_present | terms->ip_options_absent)
		terms->which |= SLUICE_TERM_IP_OPTIONS;
}

static void set_remote(const struct sl_ipfilter_end *end, struct sluice_flow *flow)
{
	if (end->is_inverted)
		flow->terms.which |= SLUICE_TERM_REMOTE_NOT;
	if (end->place == SL_IPFILTER_ASSIGNED)
		flow->flags |= SLUICE_FLOW_REMOTE_ASSIGNED;
	if (end->place != SL_IPFILTER_PREFIX)
		return;
	flow->family = (uint8_t)end->prefix.address.family;
	flow->has_remote = 1;
	flow->prefix_length = end->prefix.length;
	memcpy(flow->remote, end->prefix.address.bytes, sizeof(flow->remote));
}

/* 1 if the flow is set, 0 if no packet can be meant. */
static int set_local(const char *field, const struct sl_ipfilter_end *end, struct sluice_flow *flow,
		     struct sl_error *err)
{
	const uint32_t family = end->prefix.address.family;
	char text[SL_ADDRESS_TEXT];

	if (end->place == SL_IPFILTER_ASSIGNED)
		return !end->is_inverted;
	if (end->place == SL_IPFILTER_ANY)
		return 1;
	if (flow->family != 0 && flow->family != family)
		return 0;
	if (family == 6 && end->prefix.length > SUBSCRIBER_PREFIX) {
		sl_address_format(&end->prefix.address, text);
		return sl_error(err, EINVAL,
				"%s: '%s/%u' on the subscriber's side is longer than the /%d that a "
				"subscriber has",
				field, text, end->prefix.length, SUBSCRIBER_PREFIX);
	}
	flow->family = (uint8_t)family;
	if (end->prefix.length == 0)
		return 1;
	flow->flags |= end->is_inverted ? SLUICE_FLOW_LOCAL_NOT : SLUICE_FLOW_LOCAL;
	flow->local_length = end->prefix.length;
	memcpy(flow->local, end->prefix.address.bytes, sizeof(flow->local));
	return 1;
}

static void set_ports(const struct sl_ipfilter_end *end, struct sl_flow_ranges *ranges)
{
	_Static_assert(SL_IPFILTER_PORTS <= SL_FLOW_RANGES, "a list of ports fits");

	ranges->count = end->port_count;
	for (uint32_t i = 0; i < end->port_count; i++)
		ranges->range[i] = (struct sl_flow_range){end->ports[i].low, end->ports[i].high};
}

static void set_types(uint32_t types, struct sl_flow_ranges *ranges)
{
	ranges->count = 0;
	for (uint16_t type = 0; type <= SL_IPFILTER_ICMP_LAST; type++) {
		if (!(types & 1u << type))
			continue;
		if (ranges->count && ranges->range[ranges->count - 1].high + 1 == type)
			ranges->range[ranges->count - 1].high = type;
		else
			ranges->range[ranges->count++] = (struct sl_flow_range){type, type};
	}
}

static int add_filter(const char *field, const struct sl_ipfilter *rule, struct sl_flow_list *list,
		      struct sl_error *err)
{
	const bool asks_tcp = rule->is_established || rule->is_setup || rule->tcp_flags.present ||
			      rule->tcp_flags.absent || rule->tcp_options.present || rule->tcp_options.absent;
	const bool is_uplink = rule->direction == SL_IPFILTER_IN;
	const struct sl_ipfilter_end *local = is_uplink ? &rule->source : &rule->destination;
	const struct sl_ipfilter_end *remote = is_uplink ? &rule->destination : &rule->source;
	struct sl_flow_ranges remote_ports, local_ports, types;
	struct sluice_flow flow = {
		.direction = direction_of(rule),
		.action = rule->action == SL_IPFILTER_PERMIT ? SLUICE_PERMIT : SLUICE_DENY,
	};
	int rc;

	set_remote(remote, &flow);
	rc = set_local(field, local, &flow, err);
	if (rc <= 0)
		return rc;
	if (is_nowhere(local) || is_nowhere(remote) || !is_possible(rule, asks_tcp))
		return 0;
	set_terms(rule, asks_tcp, &flow);
	set_ports(remote, &remote_ports);
	set_ports(local, &local_ports);
	set_types(rule->icmp_types, &types);
	sl_flow_list_add(list, &flow, &remote_ports, &local_ports, &types);
	return 0;
}

static void add_default(struct sl_flow_list *list, enum sluice_direction direction, enum sluice_action action)
{
	static const struct sl_flow_ranges none = {.count = 0};

	sl_flow_list_add(list, &(struct sluice_flow){.direction = direction, .action = action}, &none, &none,
			 &none);
}

int sl_filter_flows(const char *field, const char *const *texts, size_t count, bool restricts,
		    struct sluice_flow **flows, uint32_t *flow_count, struct sl_error *err)
{
	enum sluice_action otherwise[SLUICE_DIRECTIONS] = {SLUICE_PERMIT, SLUICE_PERMIT};
	_cleanup_(sl_flow_list_clear) struct sl_flow_list list = {.flows = NULL};
	int rc;

	if (count == 0)
		return sl_error(err, EINVAL, "%s: empty", field);
	rc = sl_flow_list_init(&list, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < count; i++) {
		char name[FIELD_SIZE];
		struct sl_ipfilter rule;

		snprintf(name, sizeof(name), "%s[%zu]", field, i);
		rc = sl_ipfilter_parse(name, texts[i], strlen(texts[i]), SL_IPFILTER_FULL, &rule, err);
		if (rc == 0)
			rc = add_filter(name, &rule, &list, err);
		if (rc < 0)
			return rc;
		otherwise[direction_of(&rule)] =
			rule.action == SL_IPFILTER_PERMIT ? SLUICE_DENY : SLUICE_PERMIT;
	}
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++)
		add_default(&list, direction, restricts ? SLUICE_DENY : otherwise[direction]);
	return sl_flow_list_take(&list, field, flows, flow_count, err);
}

const char *sl_filter_note(const char *const *texts, size_t count, bool restricts)
{
	bool has[SLUICE_DIRECTIONS] = {false};
	struct sl_ipfilter rule;

	for (size_t i = 0; restricts && i < count; i++)
		if (sl_ipfilter_parse("", texts[i], strlen(texts[i]), SL_IPFILTER_FULL, &rule, NULL) == 0)
			has[direction_of(&rule)] = true;
	if (has[SLUICE_UPLINK] == has[SLUICE_DOWNLINK])
		return NULL;
	return has[SLUICE_UPLINK]
		       ? "restricts to these filters, of which none is \"out\": all downlink is dropped"
		       : "restricts to these filters, of which none is \"in\": all uplink is dropped";
}
