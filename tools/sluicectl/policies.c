// SPDX-License-Identifier: Apache-2.0
#include "base/cleanup.h"
#include "list.h"
#include "sluice/v1/admin.pb-c.h"

static void cell_rule_ids(struct table *table, const Sluice__V1__Policy *policy)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_file_ FILE *out = NULL;
	size_t size, i;

	out = open_memstream(&text, &size);
	for (i = 0; out && i < policy->n_rule_ids; i++)
		fprintf(out, "%s%s", i ? ", " : "", policy->rule_ids[i]);
	if (out)
		fflush(out);
	table_cell(table, "%s", text ? text : "");
}

static void add_page(struct table *table, const ProtobufCMessage *message)
{
	const Sluice__V1__PolicyPage *page = (const Sluice__V1__PolicyPage *)message;
	size_t i;

	for (i = 0; i < page->n_policies; i++) {
		const Sluice__V1__Policy *policy = page->policies[i];

		table_cell(table, "%s", policy->name);
		table_cell(table, "%s", policy->is_base_name ? "base name" : "rule");
		if (policy->is_base_name)
			table_cell(table, "%s", "");
		else
			table_cell(table, "%u", policy->precedence);
		cell_rule_ids(table, policy);
		table_cell(table, "%s:%u", policy->file, policy->line);
	}
}

static int run(struct ctl *ctl, const struct ctl_command *command, int argc, char **argv)
{
	static const char *const headers[] = {"NAME", "KIND", ">PRECEDENCE", "RULES", "FILE", NULL};
	Sluice__V1__ListPoliciesRequest request = SLUICE__V1__LIST_POLICIES_REQUEST__INIT;
	int ret;

	ret = ctl_arguments(ctl, command, argc, argv, 0);
	if (ret >= 0)
		return ret;
	return list_run(ctl, "/sluice.v1.Admin/ListPolicies", &request.base,
			&sluice__v1__policy_page__descriptor, "policies", headers, add_page, NULL);
}

const struct ctl_command command_policies = {
	.name = "policies",
	.arguments = "[OPTION]...",
	.summary = "Rules and base names of the policy directory, as they are in force",
	.help = "`sluicectl status` says when the directory was read and what was wrong with it.\n"
		"`sluicectl rules` shows the rules that sessions have, with their flows.\n",
	.run = run,
};
