// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>
#include <getopt.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "list.h"
#include "output.h"
#include "sluice/v1/admin.pb-c.h"

static void cell_name(struct table *table, const Sluice__V1__Quota *quota)
{
	if (quota->rating_group)
		table_cell(table, "%u", quota->rating_group);
	else
		table_cell(table, "%s", quota->rule_id);
}

static void cell_volume(struct table *table, const Sluice__V1__Quota *quota, uint64_t bytes)
{
	char text[SL_UNITS_SIZE];

	table_cell(table, "%s", quota->has_volume ? sl_format_bytes(bytes, text) : "");
}

static const char *state_of(const Sluice__V1__Quota *quota)
{
	if (quota->used_up)
		return "used-up";
	return quota->threshold_reached ? "threshold" : "open";
}

static void add_page(struct table *table, const ProtobufCMessage *message)
{
	const Sluice__V1__QuotaPage *page = (const Sluice__V1__QuotaPage *)message;
	char text[SL_UNITS_SIZE];
	size_t i;

	for (i = 0; i < page->n_quotas; i++) {
		const Sluice__V1__Quota *quota = page->quotas[i];

		table_cell(table, "%s", quota->imsi);
		table_cell(table, "%s", quota->address);
		table_cell(table, "%s", quota->scope);
		cell_name(table, quota);
		table_cell(table, "%s", quota->direction);
		table_cell(table, "%" PRIu64, quota->grant);
		table_cell(table, "%s", sl_format_bytes(quota->used_bytes, text));
		cell_volume(table, quota, quota->limit_bytes);
		cell_volume(table, quota, quota->left_bytes);
		table_cell(table, "%s", quota->has_time ? sl_format_duration(quota->time_left_ms, text) : "");
		table_cell(table, "%s", state_of(quota));
	}
}

static int run(struct ctl *ctl, const struct ctl_command *command, int argc, char **argv)
{
	static const char *const headers[] = {"IMSI",	   "ADDRESS",	 "OF",	  "NAME",
					      "DIRECTION", ">GRANT",	 ">USED", ">LIMIT",
					      ">LEFT",	   ">TIME LEFT", "STATE", NULL};
	static const struct option options[] = {CTL_LONG, {NULL, 0, NULL, 0}};
	Sluice__V1__ListQuotasRequest request = SLUICE__V1__LIST_QUOTAS_REQUEST__INIT;
	int option, ret;

	while ((option = getopt_long(argc, argv, CTL_SHORT, options, NULL)) != -1) {
		ret = ctl_option(ctl, command, option, optarg);
		if (ret >= 0)
			return ret;
	}
	if (optind < argc)
		request.imsi = argv[optind++];
	if (optind < argc)
		return ctl_error(CTL_USAGE, "quotas: unexpected argument \"%s\"", argv[optind]);
	return list_run(ctl, "/sluice.v1.Admin/ListQuotas", &request.base,
			&sluice__v1__quota_page__descriptor, "quotas", headers, add_page, NULL);
}

const struct ctl_command command_quotas = {
	.name = "quotas",
	.arguments = "[OPTION]... [IMSI]",
	.summary = "What rules, rating groups and sessions may use, and have used",
	.help = "OF: rule, rating-group or session; NAME: which. Both sessions of a dual-stack\n"
		"subscriber have one between them. GRANT: number of the last grant. USED and LIMIT\n"
		"count from the first grant on. State: open, threshold (that was reached), or\n"
		"used-up: the session's final rules decide, until more is granted. A time that has\n"
		"passed shows as used-up with the next packet. Empty: no limit.\n",
	.run = run,
};
