// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "base/units.h"
#include "list.h"
#include "output.h"
#include "sluice/v1/admin.pb-c.h"

#define FURTHER_SIZE 512

/* "name value" behind what is there, with a blank between; an empty value says nothing. */
static void add_part(char text[FURTHER_SIZE], const char *name, const char *value)
{
	size_t used = strlen(text);

	if (value[0])
		snprintf(text + used, FURTHER_SIZE - used, "%s%s %s", used ? " " : "", name, value);
}

/* Both directions of a GBR, and by which priority it was admitted. */
static void add_guarantee(char text[FURTHER_SIZE], const Sluice__V1__Rule *rule)
{
	char rate[SL_UNITS_SIZE], arp[64];

	if (rule->gbr_uplink)
		add_part(text, "gbr-uplink", sl_format_rate(rule->gbr_uplink, rate));
	if (rule->gbr_downlink)
		add_part(text, "gbr-downlink", sl_format_rate(rule->gbr_downlink, rate));
	if (!rule->arp_level)
		return;
	snprintf(arp, sizeof(arp), "%u%s%s", rule->arp_level, rule->arp_may_preempt ? " may-preempt" : "",
		 rule->arp_may_be_preempted ? "" : " not-preempted");
	add_part(text, "arp", arp);
}

/* What has no column of its own: of the rule where its lines begin, and of the flow. */
static void cell_further(struct table *table, const Sluice__V1__Rule *rule, const Sluice__V1__Flow *flow,
			 bool first)
{
	char text[FURTHER_SIZE] = "";

	if (first) {
		add_guarantee(text, rule);
		add_part(text, "redirect-to", rule->redirect);
		if (rule->steer) {
			add_part(text, rule->steer->mode, rule->steer->interface);
			add_part(text, "next-hop", rule->steer->next_hop);
		}
		if (rule->is_static)
			add_part(text, "from", "policy-directory");
		if (rule->is_final)
			add_part(text, "final", "yes");
	}
	if (flow) {
		add_part(text, "local", flow->local);
		add_part(text, "dscp", flow->dscp);
		add_part(text, "tcp-flags", flow->tcp_flags);
		add_part(text, "tcp-options", flow->tcp_options);
		add_part(text, "icmp-type", flow->icmp_type);
		add_part(text, "fragment", flow->fragment);
		add_part(text, "ip-options", flow->ip_options);
		add_part(text, "sent-by", flow->this_host ? "this-host" : "");
	}
	table_cell(table, "%s", text);
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
	table_cell(table, "%s", flow && flow->protocol[0] ? flow->protocol : "any");
	table_cell(table, "%s", flow && flow->remote[0] ? flow->remote : "any");
	table_cell(table, "%s", flow ? flow->remote_port : "");
	table_cell(table, "%s", flow ? flow->local_port : "");
	table_cell(table, "%s", first ? rule->profile : " ");
	cell_further(table, rule, flow, first);
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
	static const char *const headers[] = {"RULE",	  ">PRECEDENCE", ">SESSIONS",	">MBR UL",
					      ">MBR DL",  ">TIMEOUT",	 "DIRECTION",	"ACTION",
					      "PROTOCOL", "REMOTE",	 "REMOTE PORT", "LOCAL PORT",
					      "PROFILE",  "FURTHER",	 NULL};
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
		"first. FURTHER: what else a packet must have, and where the rule sends it.\n",
	.run = run,
};
