// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>
#include <getopt.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "list.h"
#include "output.h"
#include "sluice/v1/admin.pb-c.h"

static void add_page(struct table *table, const ProtobufCMessage *message)
{
	static const Sluice__V1__Usage none = SLUICE__V1__USAGE__INIT;
	const Sluice__V1__UsagePage *page = (const Sluice__V1__UsagePage *)message;
	char text[SL_UNITS_SIZE];
	size_t i;

	for (i = 0; i < page->n_records; i++) {
		const Sluice__V1__UsageRecord *record = page->records[i];
		const Sluice__V1__Usage *usage = record->usage ? record->usage : &none;

		table_cell(table, "%s", record->imsi);
		table_cell(table, "%s", record->address);
		table_cell(table, "%s", record->rule_id);
		table_cell(table, "%u", record->version);
		table_cell(table, "%s",
			   output_enum(&sluice__v1__usage_record__state__descriptor, (int)record->state));
		table_cell(table, "%s", sl_format_bytes(usage->uplink_bytes, text));
		table_cell(table, "%" PRIu64, usage->uplink_packets);
		table_cell(table, "%s", sl_format_bytes(usage->downlink_bytes, text));
		table_cell(table, "%" PRIu64, usage->downlink_packets);
		table_cell(table, "%s", sl_format_bytes(usage->uplink_dropped_bytes, text));
		table_cell(table, "%s", sl_format_bytes(usage->downlink_dropped_bytes, text));
	}
}

static int run(struct ctl *ctl, const struct ctl_command *command, int argc, char **argv)
{
	static const char *const headers[] = {"IMSI",	  "ADDRESS",	 "RULE",	">VERSION",
					      "STATE",	  ">UPLINK",	 ">PACKETS",	">DOWNLINK",
					      ">PACKETS", ">DROPPED UL", ">DROPPED DL", NULL};
	static const struct option options[] = {
		{"imsi", 1, NULL, CTL_OPTION_OWN}, CTL_LONG, {NULL, 0, NULL, 0}};
	Sluice__V1__ListUsageRequest request = SLUICE__V1__LIST_USAGE_REQUEST__INIT;
	int option, ret;

	while ((option = getopt_long(argc, argv, CTL_SHORT, options, NULL)) != -1) {
		if (option == CTL_OPTION_OWN) {
			request.imsi = optarg;
			continue;
		}
		ret = ctl_option(ctl, command, option, optarg);
		if (ret >= 0)
			return ret;
	}
	if (optind < argc)
		return ctl_error(CTL_USAGE, "usage: unexpected argument \"%s\"", argv[optind]);
	return list_run(ctl, "/sluice.v1.Admin/ListUsage", &request.base, &sluice__v1__usage_page__descriptor,
			"records", headers, add_page, NULL);
}

const struct ctl_command command_usage = {
	.name = "usage",
	.arguments = "[OPTION]...",
	.summary = "What each rule of each session has counted",
	.help = "      --imsi IMSI     only of this subscriber\n"
		"\n"
		"State: active, or retired (final, kept until the session manager has\n"
		"acknowledged it). The rule internal_default_drop_flow_rule is what matched no\n"
		"rule. Bytes are IP bytes; KB is 1,000 bytes; -o json has the exact numbers.\n",
	.run = run,
};
