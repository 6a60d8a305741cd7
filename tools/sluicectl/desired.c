// SPDX-License-Identifier: Apache-2.0
#include <getopt.h>

#include "list.h"
#include "output.h"
#include "sluice/v1/admin.pb-c.h"

static void add_page(struct table *table, const ProtobufCMessage *message)
{
	const Sluice__V1__DesiredPage *page = (const Sluice__V1__DesiredPage *)message;
	size_t i;

	for (i = 0; i < page->n_rules; i++) {
		const Sluice__V1__DesiredRule *rule = page->rules[i];

		table_cell(table, "%s", rule->imsi);
		table_cell(table, "%s", rule->subscriber_wide ? "(all)" : rule->apn);
		table_cell(table, "%s", rule->rule_id);
		table_cell(table, "%s", rule->is_static ? "directory" : "request");
		table_cell(table, "%s", rule->wanted_now ? "yes" : "no");
		table_cell(table, "%s", output_time(rule->activation_ms));
		table_cell(table, "%s", output_time(rule->deactivation_ms));
		table_cell(table, "%s", rule->problem);
	}
}

static int run(struct ctl *ctl, const struct ctl_command *command, int argc, char **argv)
{
	static const struct option options[] = {CTL_LONG, {NULL, 0, NULL, 0}};
	static const char *const headers[] = {"IMSI", "APN",   "RULE OR BASE NAME", "SOURCE", "NOW",
					      "FROM", "UNTIL", "FAILING",	    NULL};
	Sluice__V1__ListDesiredRequest request = SLUICE__V1__LIST_DESIRED_REQUEST__INIT;
	int option, ret;

	while ((option = getopt_long(argc, argv, CTL_SHORT, options, NULL)) != -1) {
		ret = ctl_option(ctl, command, option, optarg);
		if (ret >= 0)
			return ret;
	}
	if (argc - optind > 1)
		return ctl_error(CTL_USAGE, "desired: unexpected argument \"%s\"", argv[optind + 1]);
	if (optind < argc)
		request.imsi = argv[optind];
	return list_run(ctl, "/sluice.v1.Admin/ListDesired", &request.base,
			&sluice__v1__desired_page__descriptor, "rules", headers, add_page, NULL);
}

const struct ctl_command command_desired = {
	.name = "desired",
	.arguments = "[OPTION]... [IMSI]",
	.summary = "Rules that subscribers should have, as SetSessionRules has said, and when",
	.help = "SOURCE: the rule is of the policy directory, or came whole with the request. NOW: it\n"
		"is wanted at this moment. FAILING: why it is wanted and not there. Times are local.\n"
		"`sluicectl session IMSI` shows what a session has now.\n",
	.run = run,
};
