// SPDX-License-Identifier: Apache-2.0
#include "base/units.h"
#include "list.h"
#include "sluice/v1/admin.pb-c.h"

static void cell_rates(struct table *table, uint64_t uplink, uint64_t downlink)
{
	char ul[SL_UNITS_SIZE], dl[SL_UNITS_SIZE];

	if (uplink || downlink)
		table_cell(table, "%s/%s", uplink ? sl_format_rate(uplink, ul) : "-",
			   downlink ? sl_format_rate(downlink, dl) : "-");
	else
		table_cell(table, "%s", "");
}

static void cell_arp(struct table *table, const Sluice__V1__Profile *profile)
{
	if (profile->arp_level)
		table_cell(table, "%u%s%s", profile->arp_level, profile->arp_may_preempt ? " pre-empts" : "",
			   profile->arp_may_be_preempted ? "" : " stays");
	else
		table_cell(table, "%s", "");
}

static void add_page(struct table *table, const ProtobufCMessage *message)
{
	const Sluice__V1__ProfilePage *page = (const Sluice__V1__ProfilePage *)message;

	for (size_t i = 0; i < page->n_profiles; i++) {
		const Sluice__V1__Profile *profile = page->profiles[i];

		table_cell(table, "%s", profile->name);
		if (profile->class_id)
			table_cell(table, "%u", profile->class_id);
		else
			table_cell(table, "%s", "");
		cell_rates(table, profile->mbr_uplink, profile->mbr_downlink);
		cell_rates(table, profile->gbr_uplink, profile->gbr_downlink);
		cell_arp(table, profile);
		table_cell(table, "%s", profile->backend);
		table_cell(table, "%u", profile->rules);
		table_cell(table, "%u", profile->sessions);
		table_cell(table, "%u", profile->shaped);
		table_cell(table, "%u", profile->policed);
		table_cell(table, "%u", profile->behind);
		if (profile->missing)
			table_cell(table, "missing");
		else
			table_cell(table, "%s:%u", profile->file, profile->line);
	}
}

static int run(struct ctl *ctl, const struct ctl_command *command, int argc, char **argv)
{
	static const char *const headers[] = {"NAME",	 ">CLASS", ">MBR UL/DL", ">GBR UL/DL", "ARP",
					      "BACKEND", ">RULES", ">SESSIONS",	 ">SHAPED",    ">POLICED",
					      ">BEHIND", "FILE",   NULL};
	Sluice__V1__ListProfilesRequest request = SLUICE__V1__LIST_PROFILES_REQUEST__INIT;
	int ret;

	ret = ctl_arguments(ctl, command, argc, argv, 0);
	if (ret >= 0)
		return ret;
	return list_run(ctl, "/sluice.v1.Admin/ListProfiles", &request.base,
			&sluice__v1__profile_page__descriptor, "profiles", headers, add_page, NULL);
}

const struct ctl_command command_profiles = {
	.name = "profiles",
	.arguments = "[OPTION]...",
	.summary = "QoS profiles of the policy directory, and how many sessions have them",
	.help = "RULES: different rules in force with the profile. SHAPED, POLICED: how many of the\n"
		"SESSIONS have its rates by queues, and by dropping. BEHIND: rules that could not be\n"
		"had with its values of now, and have older ones. FILE missing: the profile is no\n"
		"more, and rules in force keep what they have.\n",
	.run = run,
};
