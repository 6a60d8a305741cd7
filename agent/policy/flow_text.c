// SPDX-License-Identifier: Apache-2.0
#include "policy/flow_text.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "policy/ipfilter.h"
#include "policy/ipfilter_names.h"

#define PORT_LAST	  65535
#define DSCP_LAST	  63
#define SUBSCRIBER_PREFIX 64
#define ITEM_SIZE	  32 /* one word of a list */
#define ESTABLISHED	  (SL_IPFILTER_RST | SL_IPFILTER_ACK)

static const struct {
	const char *name;
	uint8_t number;
} protocols[] = {
	{"icmp", IPPROTO_ICMP}, {"igmp", IPPROTO_IGMP}, {"tcp", IPPROTO_TCP}, {"udp", IPPROTO_UDP},
	{"gre", IPPROTO_GRE},	{"esp", IPPROTO_ESP},	{"ah", IPPROTO_AH},   {"icmpv6", IPPROTO_ICMPV6},
	{"ospf", 89},		{"sctp", IPPROTO_SCTP},
};

/* RFC 2474, RFC 2597, RFC 3246, RFC 5865, RFC 8622 */
static const struct {
	const char *name;
	uint8_t value;
} dscps[] = {
	{"cs0", 0},   {"cs1", 8},   {"cs2", 16},  {"cs3", 24},	{"cs4", 32},  {"cs5", 40},
	{"cs6", 48},  {"cs7", 56},  {"af11", 10}, {"af12", 12}, {"af13", 14}, {"af21", 18},
	{"af22", 20}, {"af23", 22}, {"af31", 26}, {"af32", 28}, {"af33", 30}, {"af41", 34},
	{"af42", 36}, {"af43", 38}, {"ef", 46},	  {"va", 44},	{"le", 1},
};

/* The header's eight; IPFilterRule has the first six. */
static const char *const tcp_flag_names[] = {"fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", NULL};

/* --- reading ---------------------------------------------------------------- */

static bool given(const char *text)
{
	return text && *text;
}

static int refuse(const char *value, const char *allowed, struct sl_error *err)
{
	return sl_error(err, EINVAL, "bad value \"%.80s\"; allowed: %s", value, allowed);
}

static int read_direction(const char *text, unsigned int *out, struct sl_error *err)
{
	if (!given(text) || strcmp(text, "both") == 0)
		*out = 1 << SLUICE_UPLINK | 1 << SLUICE_DOWNLINK;
	else if (strcmp(text, "uplink") == 0)
		*out = 1 << SLUICE_UPLINK;
	else if (strcmp(text, "downlink") == 0)
		*out = 1 << SLUICE_DOWNLINK;
	else
		return refuse(text, "uplink, downlink, both", err);
	return 0;
}

static int read_action(const char *text, struct sluice_flow *flow, struct sl_error *err)
{
	if (!given(text) || strcmp(text, "permit") == 0)
		flow->action = SLUICE_PERMIT;
	else if (strcmp(text, "deny") == 0)
		flow->action = SLUICE_DENY;
	else
		return refuse(text, "permit, deny", err);
	return 0;
}

static int read_protocol(const char *text, struct sluice_flow *flow, struct sl_error *err)
{
	uint64_t number;

	if (!given(text) || strcmp(text, "any") == 0)
		return 0;
	for (size_t i = 0; i < SL_ARRAY_SIZE(protocols); i++) {
		if (strcmp(text, protocols[i].name) == 0) {
			flow->protocol = protocols[i].number;
			return 0;
		}
	}
	if (sl_parse_uint(text, &number) < 0 || number > 255)
		return refuse(text,
			      "any, icmp, igmp, tcp, udp, gre, esp, ah, icmpv6, ospf, sctp, or a number from "
			      "0 to 255",
			      err);
	flow->protocol = (uint8_t)number;
	if (number == 0)
		flow->flags |= SLUICE_FLOW_PROTOCOL_ZERO;
	return 0;
}

static int read_prefix(const char *text, struct sluice_flow *flow, bool *is_inverted, uint8_t bytes[16],
		       uint8_t *length, struct sl_error *err)
{
	struct sl_address address;
	struct sl_error reason = {""};
	int rc;

	*is_inverted = text[0] == '!';
	rc = sl_prefix_parse("", text + *is_inverted, &address, length, &reason);
	if (rc < 0 && strstr(reason.text, "host bits"))
		return sl_error(err, EINVAL, "bad value%s", reason.text + 1);
	if (rc < 0)
		return refuse(text, "ADDRESS or ADDRESS/LENGTH, after ! for what is outside", err);
	if (flow->family != 0 && flow->family != address.family)
		return refuse(text,
			      flow->family == 4 ? "an IPv4 address, as the rest of the flow"
						: "an IPv6 address, as the rest of the flow",
			      err);
	flow->family = (uint8_t)address.family;
	memcpy(bytes, address.bytes, sizeof(address.bytes));
	return 0;
}

static int read_remote(const char *text, struct sluice_flow *flow, struct sl_error *err)
{
	bool is_inverted;
	int rc;

	if (!given(text))
		return 0;
	is_inverted = text[0] == '!';
	if (is_inverted)
		flow->terms.which |= SLUICE_TERM_REMOTE_NOT;
	if (strcmp(text + is_inverted, "assigned") == 0) {
		flow->flags |= SLUICE_FLOW_REMOTE_ASSIGNED;
		return 0;
	}
	rc = read_prefix(text, flow, &is_inverted, flow->remote, &flow->prefix_length, err);
	flow->has_remote = 1;
	return rc;
}

static int read_local(const char *text, struct sluice_flow *flow, struct sl_error *err)
{
	bool is_inverted;
	int rc;

	if (!given(text))
		return 0;
	rc = read_prefix(text, flow, &is_inverted, flow->local, &flow->local_length, err);
	if (rc == 0 && flow->family == 6 && flow->local_length > SUBSCRIBER_PREFIX)
		return refuse(text, "an IPv6 prefix of at most 64 bits: what a subscriber has as a whole",
			      err);
	flow->flags |= is_inverted ? SLUICE_FLOW_LOCAL_NOT : SLUICE_FLOW_LOCAL;
	return rc;
}

/* The next word of a list with commas, blanks around it left out: 1; 0 at the end; -EINVAL if too long. */
static int next_item(const char **text, char item[ITEM_SIZE])
{
	const char *start = *text;
	size_t length;

	if (!start)
		return 0;
	start += strspn(start, " ");
	length = strcspn(start, ",");
	*text = start[length] ? start + length + 1 : NULL;
	while (length > 0 && start[length - 1] == ' ')
		length--;
	if (length >= ITEM_SIZE)
		return -EINVAL;
	memcpy(item, start, length);
	item[length] = '\0';
	return 1;
}

static int read_range(char *item, unsigned int least, unsigned int most, struct sl_flow_range *range)
{
	char *dash = strchr(item, '-');
	uint64_t low, high;

	if (dash)
		*dash = '\0';
	if (sl_parse_uint(item, &low) < 0 || (dash && sl_parse_uint(dash + 1, &high) < 0))
		return -EINVAL;
	if (!dash) {
		high = low;
		if (low < least)
			return -EINVAL;
	}
	if (high > most || low > high)
		return -EINVAL;
	*range = (struct sl_flow_range){(uint16_t)low, (uint16_t)high};
	return 0;
}

static int read_ranges(const char *text, unsigned int least, unsigned int most, const char *allowed,
		       struct sl_flow_ranges *out, struct sl_error *err)
{
	const char *rest = given(text) ? text : NULL;
	char item[ITEM_SIZE];
	int rc;

	out->count = 0;
	while ((rc = next_item(&rest, item)) > 0) {
		if (out->count == SL_FLOW_RANGES)
			return sl_error(err, EINVAL, "more than %d in one list", SL_FLOW_RANGES);
		if (read_range(item, least, most, &out->range[out->count]) < 0)
			break;
		out->count++;
	}
	return rc == 0 ? 0 : refuse(text, allowed, err);
}

static int read_ports(const char *text, struct sl_flow_ranges *out, struct sl_error *err)
{
	return read_ranges(text, 1, PORT_LAST, "ports from 1 to 65535, ranges LOW-HIGH, with commas between",
			   out, err);
}

static int read_types(const char *text, struct sl_flow_ranges *out, struct sl_error *err)
{
	return read_ranges(text, 0, 255, "ICMP types from 0 to 255, ranges LOW-HIGH, with commas between",
			   out, err);
}

/* [!]NAME,...: bits that must be there, bits that must not; with `established` also the word for either of
 * two. */
static int read_bits(const char *text, const char *const *names, uint8_t *established, const char *allowed,
		     struct sl_ipfilter_spec *out, struct sl_error *err)
{
	const char *rest = given(text) ? text : NULL;
	char item[ITEM_SIZE];
	int rc;

	*out = (struct sl_ipfilter_spec){.present = 0};
	while ((rc = next_item(&rest, item)) > 0) {
		const bool is_absent = item[0] == '!';
		unsigned int bit = 0;

		if (established && strcmp(item, "established") == 0) {
			*established = ESTABLISHED;
			continue;
		}
		while (names[bit] && strcmp(item + is_absent, names[bit]) != 0)
			bit++;
		if (!names[bit] || (out->present | out->absent) & 1u << bit)
			break;
		if (is_absent)
			out->absent |= (uint8_t)(1u << bit);
		else
			out->present |= (uint8_t)(1u << bit);
	}
	return rc == 0 ? 0 : refuse(text, allowed, err);
}

static int read_tcp_flags(const char *text, struct sluice_flow *flow, struct sl_error *err)
{
	struct sl_ipfilter_spec spec;
	int rc;

	if (!given(text))
		return 0;
	rc = read_bits(
		text, tcp_flag_names, &flow->terms.tcp_any,
		"fin, syn, rst, psh, ack, urg, ece, cwr, each once, after ! for its absence; established",
		&spec, err);
	if (rc < 0)
		return rc;
	flow->terms.which |= SLUICE_TERM_TCP_FLAGS;
	flow->terms.tcp_mask = spec.present | spec.absent;
	flow->terms.tcp_value = spec.present;
	return 0;
}

static int read_options(const char *text, const char *const *names, const char *allowed,
			enum sluice_term term, struct sluice_flow *flow, uint8_t *present, uint8_t *absent,
			struct sl_error *err)
{
	struct sl_ipfilter_spec spec;
	int rc;

	if (!given(text))
		return 0;
	rc = read_bits(text, names, NULL, allowed, &spec, err);
	if (rc < 0)
		return rc;
	flow->terms.which |= (uint8_t)term;
	*present = spec.present;
	*absent = spec.absent;
	return 0;
}

static int read_dscp(const char *text, struct sluice_flow *flow, struct sl_error *err)
{
	uint64_t number = DSCP_LAST + 1;

	if (!given(text))
		return 0;
	for (size_t i = 0; i < SL_ARRAY_SIZE(dscps); i++) {
		if (strcmp(text, dscps[i].name) == 0)
			number = dscps[i].value;
	}
	if (number > DSCP_LAST && (sl_parse_uint(text, &number) < 0 || number > DSCP_LAST))
		return refuse(text, "0 to 63, cs0 to cs7, af11 to af43, ef, va, le", err);
	flow->terms.which |= SLUICE_TERM_DSCP;
	flow->terms.dscp = (uint8_t)number;
	return 0;
}

static int read_fragment(const char *text, struct sluice_flow *flow, struct sl_error *err)
{
	if (!given(text))
		return 0;
	if (strcmp(text, "later") != 0)
		return refuse(text, "later", err);
	flow->terms.which |= SLUICE_TERM_LATER_FRAGMENT;
	return 0;
}

/* What only the parts together can say; *part is that of the first that does not go with the rest. */
static int check_together(const struct sl_flow_text *text, const struct sluice_flow *flow, const char **part,
			  struct sl_error *err)
{
	const bool is_tcp = flow->protocol == IPPROTO_TCP;
	const bool has_ports = given(text->remote_port) || given(text->local_port);

	*part = "";
	if (has_ports && !is_tcp && flow->protocol != IPPROTO_UDP && flow->protocol != IPPROTO_SCTP)
		return sl_error(err, EINVAL,
				"a port without its protocol; allowed: protocol tcp, udp or sctp");
	if ((given(text->tcp_flags) || given(text->tcp_options)) && !is_tcp)
		return sl_error(err, EINVAL,
				"TCP flags or options without protocol tcp; allowed: protocol tcp");
	if (given(text->icmp_type) && flow->protocol != IPPROTO_ICMP && flow->protocol != IPPROTO_ICMPV6)
		return sl_error(err, EINVAL,
				"an ICMP type without its protocol; allowed: protocol icmp or icmpv6");
	if (given(text->fragment) &&
	    (has_ports || given(text->tcp_flags) || given(text->tcp_options) || given(text->icmp_type)))
		return sl_error(err, EINVAL,
				"fragment later with ports, TCP or ICMP parts, which such a packet does not "
				"have; allowed: one of them");
	return 0;
}

int sl_flow_text_read(const struct sl_flow_text *text, struct sl_flow_list *list, const char **part,
		      struct sl_error *err)
{
	struct sluice_flow flow = {.family = (uint8_t)text->family};
	struct sl_flow_ranges remote_ports, local_ports, types;
	unsigned int directions = 0;

	if (text->family != 0 && text->family != 4 && text->family != 6) {
		*part = "family";
		return sl_error(err, EINVAL, "bad value \"%u\"; allowed: 4, 6", text->family);
	}
#define READ(member, call)              \
	do {                            \
		*part = #member;        \
		if ((call) < 0)         \
			return -EINVAL; \
	} while (0)
	READ(direction, read_direction(text->direction, &directions, err));
	READ(action, read_action(text->action, &flow, err));
	READ(protocol, read_protocol(text->protocol, &flow, err));
	READ(remote, read_remote(text->remote, &flow, err));
	READ(local, read_local(text->local, &flow, err));
	READ(remote_port, read_ports(text->remote_port, &remote_ports, err));
	READ(local_port, read_ports(text->local_port, &local_ports, err));
	READ(dscp, read_dscp(text->dscp, &flow, err));
	READ(tcp_flags, read_tcp_flags(text->tcp_flags, &flow, err));
	READ(tcp_options, read_options(text->tcp_options, sl_ipfilter_tcp_option_names,
				       "mss, window, sack, ts, cc, each once, after ! for its absence",
				       SLUICE_TERM_TCP_OPTIONS, &flow, &flow.terms.tcp_options_present,
				       &flow.terms.tcp_options_absent, err));
	READ(icmp_type, read_types(text->icmp_type, &types, err));
	READ(fragment, read_fragment(text->fragment, &flow, err));
	READ(ip_options,
	     read_options(text->ip_options, sl_ipfilter_ip_option_names,
			  "ssrr, lsrr, rr, ts, each once, after ! for its absence", SLUICE_TERM_IP_OPTIONS,
			  &flow, &flow.terms.ip_options_present, &flow.terms.ip_options_absent, err));
#undef READ
	if (check_together(text, &flow, part, err) < 0)
		return -EINVAL;
	for (unsigned int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		if (!(directions & 1u << direction))
			continue;
		flow.direction = (enum sluice_direction)direction;
		sl_flow_list_add(list, &flow, &remote_ports, &local_ports, &types);
	}
	return 0;
}

/* --- showing ------------------------------------------------------------------ */

static const char *action_name(enum sluice_action action)
{
	switch (action) {
	case SLUICE_PERMIT:
		return "permit";
	case SLUICE_DENY:
		return "deny";
	case SLUICE_PORTAL:
		return "portal";
	case SLUICE_RESET:
		return "reset";
	case SLUICE_REJECT:
		return "reject";
	case SLUICE_STEER_FIRST:
		break;
	}
	return "";
}

static void show_protocol(const struct sluice_flow *flow, char *out, size_t size)
{
	if (flow->protocol == 0 && !(flow->flags & SLUICE_FLOW_PROTOCOL_ZERO))
		return;
	for (size_t i = 0; i < SL_ARRAY_SIZE(protocols); i++) {
		if (protocols[i].number == flow->protocol) {
			snprintf(out, size, "%s", protocols[i].name);
			return;
		}
	}
	snprintf(out, size, "%u", flow->protocol);
}

static void show_prefix(uint32_t family, const uint8_t bytes[16], uint8_t length, bool is_inverted, char *out,
			size_t size)
{
	struct sl_address address = {.family = family};
	char text[SL_ADDRESS_TEXT];

	memcpy(address.bytes, bytes, sizeof(address.bytes));
	sl_address_format(&address, text);
	snprintf(out, size, "%s%s/%u", is_inverted ? "!" : "", text, length);
}

static void show_ports(uint16_t low, uint16_t high, char *out, size_t size)
{
	if (low == 0 && high == PORT_LAST)
		return;
	if (low == high && low != 0)
		snprintf(out, size, "%u", low);
	else
		snprintf(out, size, "%u-%u", low, high);
}

static void show_bits(uint8_t present, uint8_t absent, const char *const *names, char *out, size_t size)
{
	size_t used = strlen(out);

	for (unsigned int bit = 0; names[bit]; bit++) {
		const bool is_present = present & 1u << bit, is_absent = absent & 1u << bit;

		if (is_present || is_absent)
			used += (size_t)snprintf(out + used, size - used, "%s%s%s", used ? "," : "",
						 is_present ? "" : "!", names[bit]);
	}
}

static void show_terms(const struct sluice_terms *terms, struct sl_flow_shown *out)
{
	if (terms->which & SLUICE_TERM_DSCP)
		snprintf(out->dscp, sizeof(out->dscp), "%u", terms->dscp);
	for (size_t i = 0; (terms->which & SLUICE_TERM_DSCP) && i < SL_ARRAY_SIZE(dscps); i++) {
		if (dscps[i].value == terms->dscp)
			snprintf(out->dscp, sizeof(out->dscp), "%s", dscps[i].name);
	}
	if (terms->which & SLUICE_TERM_TCP_FLAGS) {
		if (terms->tcp_any)
			snprintf(out->tcp_flags, sizeof(out->tcp_flags), "established");
		show_bits(terms->tcp_value, terms->tcp_mask & (uint8_t)~terms->tcp_value, tcp_flag_names,
			  out->tcp_flags, sizeof(out->tcp_flags));
	}
	if (terms->which & SLUICE_TERM_TCP_OPTIONS)
		show_bits(terms->tcp_options_present, terms->tcp_options_absent, sl_ipfilter_tcp_option_names,
			  out->tcp_options, sizeof(out->tcp_options));
	if (terms->which & SLUICE_TERM_IP_OPTIONS)
		show_bits(terms->ip_options_present, terms->ip_options_absent, sl_ipfilter_ip_option_names,
			  out->ip_options, sizeof(out->ip_options));
	if (terms->which & SLUICE_TERM_ICMP_TYPE)
		snprintf(out->icmp_type, sizeof(out->icmp_type),
			 terms->icmp_low == terms->icmp_high ? "%u" : "%u-%u", terms->icmp_low,
			 terms->icmp_high);
	out->fragment = terms->which & SLUICE_TERM_LATER_FRAGMENT ? "later" : "";
	out->this_host = (terms->which & SLUICE_TERM_THIS_HOST) != 0;
}

void sl_flow_show(const struct sluice_flow *flow, struct sl_flow_shown *out)
{
	*out = (struct sl_flow_shown){
		.direction = flow->direction == SLUICE_UPLINK ? "uplink" : "downlink",
		.action = action_name(flow->action),
		.family = flow->family,
	};
	show_protocol(flow, out->protocol, sizeof(out->protocol));
	if (flow->has_remote)
		show_prefix(flow->family, flow->remote, flow->prefix_length,
			    flow->terms.which & SLUICE_TERM_REMOTE_NOT, out->remote, sizeof(out->remote));
	if (flow->flags & SLUICE_FLOW_REMOTE_ASSIGNED)
		snprintf(out->remote, sizeof(out->remote), "%sassigned",
			 flow->terms.which & SLUICE_TERM_REMOTE_NOT ? "!" : "");
	if (flow->flags & (SLUICE_FLOW_LOCAL | SLUICE_FLOW_LOCAL_NOT))
		show_prefix(flow->family, flow->local, flow->local_length,
			    flow->flags & SLUICE_FLOW_LOCAL_NOT, out->local, sizeof(out->local));
	show_ports(flow->remote_port_low, flow->remote_port_high, out->remote_port, sizeof(out->remote_port));
	show_ports(flow->local_port_low, flow->local_port_high, out->local_port, sizeof(out->local_port));
	show_terms(&flow->terms, out);
}
