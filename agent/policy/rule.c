// SPDX-License-Identifier: Apache-2.0
#include "policy/rule.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/units.h"
#include "policy/address.h"
#include "policy/hash.h"
#include "policy/redirect.h"

#define PORT_LAST	  65535
#define DSCP_LAST	  63
#define SUBSCRIBER_PREFIX 64 /* an IPv6 session is its whole /64 */

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
	if (flow->has_remote && (flow->flags & SLUICE_FLOW_REMOTE_ASSIGNED))
		return sl_error(err, EINVAL, "flow_list[%u].remote: both a prefix and assigned", index);
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

/* The subscriber's side: a prefix that its address lies in, or does not. */
static int validate_local(const struct sluice_flow *flow, uint32_t index, struct sl_error *err)
{
	const uint8_t sides = flow->flags & (SLUICE_FLOW_LOCAL | SLUICE_FLOW_LOCAL_NOT);
	const unsigned int most = flow->family == 4 ? 32 : SUBSCRIBER_PREFIX;
	struct sl_address address = {.family = flow->family};
	char text[SL_ADDRESS_TEXT];

	if (!sides && flow->local_length == 0)
		return 0;
	if (!sides || sides == (SLUICE_FLOW_LOCAL | SLUICE_FLOW_LOCAL_NOT) || flow->family == 0)
		return sl_error(err, EINVAL,
				"flow_list[%u].local: a prefix in no or in both senses, or of no family",
				index);
	memcpy(address.bytes, flow->local, sizeof(address.bytes));
	sl_address_format(&address, text);
	if (flow->local_length > most)
		return sl_error(err, EINVAL,
				"flow_list[%u].local: '%s/%u' has a prefix length outside 0..%u%s", index,
				text, flow->local_length, most,
				flow->family == 6 ? ", what a subscriber has as a whole" : "");
	for (unsigned int bit = flow->local_length; bit < 128; bit++) {
		if (flow->local[bit / 8] >> (7 - bit % 8) & 1)
			return sl_error(err, EINVAL, "flow_list[%u].local: '%s/%u' has host bits set", index,
					text, flow->local_length);
	}
	return 0;
}

static int validate_terms(const struct sluice_flow *flow, bool redirects, uint32_t index,
			  struct sl_error *err)
{
	const struct sluice_terms *terms = &flow->terms;
	const uint8_t transport = SLUICE_TERM_TCP_FLAGS | SLUICE_TERM_TCP_OPTIONS | SLUICE_TERM_ICMP_TYPE;
	const bool has_ports = flow->remote_port_low != 0 || flow->remote_port_high != PORT_LAST ||
			       flow->local_port_low != 0 || flow->local_port_high != PORT_LAST;

	if ((terms->which & SLUICE_TERM_REMOTE_NOT) && !flow->has_remote &&
	    !(flow->flags & SLUICE_FLOW_REMOTE_ASSIGNED))
		return sl_error(err, EINVAL, "flow_list[%u].remote: '!' without a prefix", index);
	if ((terms->which & SLUICE_TERM_DSCP) && terms->dscp > DSCP_LAST)
		return sl_error(err, EINVAL, "flow_list[%u].dscp: %u is outside 0..%d", index, terms->dscp,
				DSCP_LAST);
	if ((terms->which & (SLUICE_TERM_TCP_FLAGS | SLUICE_TERM_TCP_OPTIONS)) &&
	    flow->protocol != IPPROTO_TCP)
		return sl_error(err, EINVAL, "flow_list[%u]: TCP flags or options need protocol TCP, not %u",
				index, flow->protocol);
	if ((terms->which & SLUICE_TERM_TCP_FLAGS) && (terms->tcp_value & ~terms->tcp_mask))
		return sl_error(err, EINVAL, "flow_list[%u].tcp_flags: value 0x%02x outside mask 0x%02x",
				index, terms->tcp_value, terms->tcp_mask);
	if ((terms->which & SLUICE_TERM_ICMP_TYPE) && flow->protocol != IPPROTO_ICMP &&
	    flow->protocol != IPPROTO_ICMPV6)
		return sl_error(err, EINVAL, "flow_list[%u].icmp_type: needs protocol ICMP or ICMPv6, not %u",
				index, flow->protocol);
	if ((terms->which & SLUICE_TERM_ICMP_TYPE) && terms->icmp_low > terms->icmp_high)
		return sl_error(err, EINVAL, "flow_list[%u].icmp_type: range %u-%u is empty", index,
				terms->icmp_low, terms->icmp_high);
	if ((terms->which & SLUICE_TERM_LATER_FRAGMENT) && (has_ports || (terms->which & transport)))
		return sl_error(
			err, EINVAL,
			"flow_list[%u].fragment: a later fragment has neither ports nor TCP or ICMP fields",
			index);
	if ((terms->which & SLUICE_TERM_THIS_HOST) && (!redirects || flow->direction != SLUICE_DOWNLINK))
		return sl_error(err, EINVAL,
				"flow_list[%u]: sent by this host is for the downlink of redirects", index);
	return 0;
}

static bool is_allowed(enum sluice_action action, bool redirects)
{
	switch (action) {
	case SLUICE_PERMIT:
	case SLUICE_DENY:
		return true;
	case SLUICE_PORTAL:
	case SLUICE_RESET:
	case SLUICE_REJECT:
		return redirects;
	case SLUICE_STEER_FIRST:
		break;
	}
	return false;
}

static int validate_flow(const struct sluice_flow *flow, bool redirects, uint32_t index, struct sl_error *err)
{
	int result;

	if (flow->direction != SLUICE_UPLINK && flow->direction != SLUICE_DOWNLINK)
		return sl_error(err, EINVAL,
				"flow_list[%u].match.direction: %u is neither UPLINK nor DOWNLINK", index,
				flow->direction);
	if (!is_allowed(flow->action, redirects))
		return sl_error(err, EINVAL, "flow_list[%u].action: %u is neither PERMIT nor DENY", index,
				flow->action);
	if ((flow->flags & SLUICE_FLOW_PROTOCOL_ZERO) && flow->protocol != 0)
		return sl_error(err, EINVAL, "flow_list[%u].match.ip_proto: both 0 and %u", index,
				flow->protocol);
	result = validate_remote(flow, index, err);
	if (result == 0)
		result = validate_local(flow, index, err);
	if (result == 0)
		result = validate_ports(flow, index, err);
	if (result == 0)
		result = validate_terms(flow, redirects, index, err);
	return result;
}

static int validate_redirect(const struct sl_rule *rule, struct sl_error *err)
{
	struct sl_rule copy = {.redirect = SLUICE_REDIRECT_NONE};

	if (strnlen(rule->redirect_address, sizeof(rule->redirect_address)) == sizeof(rule->redirect_address))
		return sl_error(err, EINVAL, "redirect: an address without an end in rule '%s'", rule->id);
	if (rule->redirect == SLUICE_REDIRECT_NONE) {
		if (rule->redirect_address[0])
			return sl_error(err, EINVAL, "redirect: '%s' of no type in rule '%s'",
					rule->redirect_address, rule->id);
		return 0;
	}
	if (rule->steer.mode != SLUICE_STEER_FREE)
		return sl_error(err, EINVAL, "steer: rule '%s' redirects to a portal already", rule->id);
	return sl_redirect_set(&copy, "redirect", rule->redirect, rule->redirect_address, err);
}

static bool is_interface_name(const char *name, size_t size)
{
	const size_t length = strnlen(name, size);

	if (length == 0 || length == size || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (name[i] <= ' ' || name[i] >= 0x7f || name[i] == '/' || name[i] == ':')
			return false;
	}
	return true;
}

static int validate_steer(const struct sl_rule *rule, struct sl_error *err)
{
	const struct sl_rule_steer *steer = &rule->steer;
	bool permits = false;

	if (steer->mode == SLUICE_STEER_FREE)
		return 0;
	if (steer->mode != SLUICE_STEER_REDIRECT && steer->mode != SLUICE_STEER_MIRROR)
		return sl_error(err, EINVAL, "steer.mode: %u is neither redirect nor mirror", steer->mode);
	if (!is_interface_name(steer->interface, sizeof(steer->interface)))
		return sl_error(err, EINVAL, "steer.interface: '%.*s' is not the name of an interface",
				(int)sizeof(steer->interface), steer->interface);
	if (steer->next_hop_family != 0 && steer->next_hop_family != 4 && steer->next_hop_family != 6)
		return sl_error(err, EINVAL, "steer.next_hop: family %u is neither 4 nor 6",
				steer->next_hop_family);
	if (steer->next_hop_family != 0 && steer->mode == SLUICE_STEER_MIRROR)
		return sl_error(err, EINVAL,
				"steer.next_hop: a copy to '%s' goes out as it is, to no next hop",
				steer->interface);
	for (uint32_t i = 0; i < rule->flow_count; i++)
		permits = permits || rule->flows[i].action == SLUICE_PERMIT;
	if (!permits)
		return sl_error(err, EINVAL, "steer: rule '%s' permits nothing that could go to '%s'",
				rule->id, steer->interface);
	return 0;
}

static int validate_arp(const struct sl_arp *arp, struct sl_error *err)
{
	if (arp->level > SL_ARP_LEVEL_WORST)
		return sl_error(err, EINVAL, "arp.level: %u is outside 1..%d", arp->level,
				SL_ARP_LEVEL_WORST);
	if (arp->level == 0 && (arp->may_preempt || arp->may_be_preempted))
		return sl_error(err, EINVAL, "arp.level: 0 with more; allowed: 1..%d", SL_ARP_LEVEL_WORST);
	return 0;
}

int sl_rule_check_gbr(const struct sl_rule *rule, struct sl_error *err)
{
	static const char *const names[] = {[SLUICE_UPLINK] = "uplink", [SLUICE_DOWNLINK] = "downlink"};
	char text[SL_UNITS_SIZE], most[SL_UNITS_SIZE];

	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++)
		if (rule->mbr[direction] && rule->gbr[direction] > rule->mbr[direction])
			return sl_error(err, EINVAL, "gbr.%s: %s is above the MBR; allowed: at most %s",
					names[direction], sl_format_rate(rule->gbr[direction], text),
					sl_format_rate(rule->mbr[direction], most));
	return 0;
}

int sl_rule_validate(const struct sl_rule *rule, struct sl_error *err)
{
	const bool redirects = rule->redirect != SLUICE_REDIRECT_NONE;
	size_t id_length = strnlen(rule->id, sizeof(rule->id));
	int result;

	if (id_length == 0)
		return sl_error(err, EINVAL, "id: a rule without an id");
	if (id_length == sizeof(rule->id))
		return sl_error(err, EINVAL, "id: '%.32s...' is longer than %d bytes", rule->id,
				SLUICE_RULE_ID_SIZE - 1);
	result = validate_redirect(rule, err);
	if (result == 0)
		result = validate_arp(&rule->arp, err);
	if (result == 0)
		result = sl_rule_check_gbr(rule, err);
	if (result < 0)
		return result;
	if (rule->flow_count == 0 && !redirects)
		return sl_error(err, EINVAL, "flow_list: empty in rule '%s'", rule->id);
	if (rule->flow_count > SLUICE_FLOWS_PER_RULE)
		return sl_error(err, EINVAL, "flow_list: %u flows in rule '%s', at most %d", rule->flow_count,
				rule->id, SLUICE_FLOWS_PER_RULE);
	for (uint32_t i = 0; i < rule->flow_count; i++) {
		result = validate_flow(&rule->flows[i], redirects, i, err);
		if (result < 0)
			return result;
	}
	return validate_steer(rule, err);
}

int sl_rule_check_steer(const struct sl_rule *rule, const char *const *access, struct sl_error *err)
{
	if (rule->steer.mode == SLUICE_STEER_FREE)
		return 0;
	for (; access && *access; access++)
		if (strcmp(*access, rule->steer.interface) == 0)
			return sl_error(err, EINVAL,
					"steer.interface: '%s' is an access interface of this agent",
					rule->steer.interface);
	return 0;
}

bool sl_rule_has_gbr(const struct sl_rule *rule)
{
	return rule->gbr[SLUICE_UPLINK] || rule->gbr[SLUICE_DOWNLINK];
}

struct sl_arp sl_rule_arp(const struct sl_rule *rule)
{
	if (rule->arp.level)
		return rule->arp;
	return (struct sl_arp){.level = SL_ARP_LEVEL_WORST, .may_be_preempted = true};
}

bool sl_rule_fits(const struct sl_rule *rule, uint32_t family)
{
	if (rule->redirect != SLUICE_REDIRECT_NONE && rule->flow_count == 0)
		return true;
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
	       a->is_static == b->is_static && a->is_final == b->is_final &&
	       steers_equal(&a->steer, &b->steer) && a->arp.level == b->arp.level &&
	       a->arp.may_preempt == b->arp.may_preempt &&
	       a->arp.may_be_preempted == b->arp.may_be_preempted && a->class_id == b->class_id &&
	       a->backend == b->backend && strcmp(a->profile, b->profile) == 0 &&
	       memcmp(a->mbr, b->mbr, sizeof(a->mbr)) == 0 && memcmp(a->gbr, b->gbr, sizeof(a->gbr)) == 0 &&
	       a->flow_count == b->flow_count &&
	       (a->flow_count == 0 || memcmp(a->flows, b->flows, a->flow_count * sizeof(a->flows[0])) == 0);
}

uint64_t sl_rule_hash(const struct sl_rule *rule)
{
	const uint32_t numbers[] = {rule->precedence,		rule->rating_group, rule->hard_timeout_s,
				    rule->flow_count,		rule->redirect,	    rule->is_static,
				    rule->steer.mode,		rule->arp.level,    rule->arp.may_preempt,
				    rule->arp.may_be_preempted, rule->class_id,	    rule->backend};
	uint64_t hash = sl_hash(0, rule->id, strlen(rule->id));

	hash = sl_hash(hash, numbers, sizeof(numbers));
	hash = sl_hash(hash, rule->redirect_address, strlen(rule->redirect_address));
	hash = sl_hash(hash, rule->profile, strlen(rule->profile));
	hash = sl_hash(hash, rule->steer.interface, strlen(rule->steer.interface));
	hash = sl_hash(hash, rule->mbr, sizeof(rule->mbr));
	hash = sl_hash(hash, rule->gbr, sizeof(rule->gbr));
	return sl_hash(hash, rule->flows, rule->flow_count * sizeof(rule->flows[0]));
}
