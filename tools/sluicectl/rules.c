// SPDX-License-Identifier: Apache-2.0
#include "base/cleanup.h"
#include "base/units.h"
#include "list.h"
#include "output.h"
#include "sluice/v1/admin.pb-c.h"

static void cell_ports(struct table *table, uint32_t low, uint32_t high)
{
	if (low == 0 && high == 65535)
		table_cell(table, "%s", "");
	else if (low == high)
		table_cell(table, "%u", low);
	else
		table_cell(table, "%u-%u", low, high);
}

static void cell_protocol(struct table *table, uint32_t protocol)
{
	static const struct {
		uint32_t number;
		const char *name;
	} names[] = {{1, "icmp"}, {6, "tcp"}, {17, "udp"}, {58, "icmpv6"}, {132, "sctp"}};
	size_t i;

	for (i = 0; i < SL_ARRAY_SIZE(names); i++) {
		if (names[i].number == protocol) {
			table_cell(table, "%s", names[i].name);
			return;
		}
	}
	if (protocol)
		table_cell(table, "%u", protocol);
	else
		table_cell(table, "any");
}

static void add_flow(struct table *table, const Sluice__V1__Rule *rule, const Sluice__V1__Flow *flow,
		     bool first)
{
	char text[SL_UNITS_SIZE];

	table_cell(table, "%s", first ? rule->rule_id : " ");
	if (first) {
		table_cell(table, "%u", rule->precedence);
		table_cell(table, "%u", rule->sessions);
		table_cell(table, "%s", rule->mbr_uplink ? sl_format_rate(rule->mbr_uplink, text) : "");
		table_cell(table, "%s", rule->mbr_downlink ? sl_format_rate(rule->mbr_downlink, text) : "");
		table_cell(table, "%s",
			   rule->hard_timeout_s ? sl_format_duration(1000ULL * rule->hard_timeout_s, text)
						: "");
	} else {
		int i;

		for (i = 0; i < 5; i++)
			table_cell(table, " ");
	}
	table_cell(table, "%s", flow ? flow->direction : "");
	table_cell(table, "%s", flow ? flow->action : "");
	cell_protocol(table, flow ? flow->protocol : 0);
	table_cell(table, "%s", flow && flow->remote[0] ? flow->remote : "any");
	cell_ports(table, flow ? flow->remote_port_low : 0, flow ? flow->remote_port_high : 65535);
	cell_ports(table, flow ? flow->local_port_low : 0, flow ? flow->local_port_high : 65535);
}

static void add_page(struct table *table, const ProtobufCMessage *message)
{
	const Sluice__V1__RulePage *page = (const Sluice__V1__RulePage *)message;
	size_t i, j;

	for (i = 0; i < page->n_rules; i++) {
		const Sluice__V1__Rule *rule = page->rules[i];

		if (rule->n_flows == 0)
			add_flow(table, rule, NULL, true);
		for (j = 0; j < rule->n_flows; j++)
			add_flow(table, rule, rule->flows[j], j == 0);
	}
}

static int run(struct ctl *ctl, const struct ctl_command *command, int argc, char **argv)
{
	static const char *const headers[] = {
		"RULE",	  ">PRECEDENCE", ">SESSIONS", ">MBR UL",     ">MBR DL",	   ">TIMEOUT", "DIRECTION",
		"ACTION", "PROTOCOL",	 "REMOTE",    "REMOTE PORT", "LOCAL PORT", NULL};
	Sluice__V1__ListRulesRequest request = SLUICE__V1__LIST_RULES_REQUEST__INIT;
	int ret;

	ret = ctl_arguments(ctl, command, argc, argv, 0);
	if (ret >= 0)
		return ret;
	return list_run(ctl, "/sluice.v1.Admin/ListRules", &request.base, &sluice__v1__rule_page__descriptor,
			"rules", headers, add_page, NULL);
}

const struct ctl_command command_rules = {
	.name = "rules",
	.arguments = "[OPTION]...",
	.summary = "All rules of different content, their flows, and how many sessions have them",
	.help = "A rule with several flows takes several lines. The smaller precedence decides\n"
		"first.\n",
	.run = run,
};
