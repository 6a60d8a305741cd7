// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>
#include <string.h>
#include <getopt.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "client.h"
#include "output.h"
#include "sluice/v1/admin.pb-c.h"
#include "table.h"

struct found {
	json_t *array; /* NULL: print */
	unsigned int sessions;
};

static void cell_pair(struct table *table, const char *uplink, const char *downlink)
{
	if (uplink[0] || downlink[0])
		table_cell(table, "%s/%s", uplink[0] ? uplink : "-", downlink[0] ? downlink : "-");
	else
		table_cell(table, "%s", "");
}

static void cell_rates(struct table *table, uint64_t uplink, uint64_t downlink)
{
	char ul[SL_UNITS_SIZE] = "", dl[SL_UNITS_SIZE] = "";

	cell_pair(table, uplink ? sl_format_rate(uplink, ul) : "",
		  downlink ? sl_format_rate(downlink, dl) : "");
}

static void cell_classes(struct table *table, uint32_t uplink, uint32_t downlink)
{
	char ul[16] = "", dl[16] = "";

	if (uplink)
		snprintf(ul, sizeof(ul), "%x", uplink);
	if (downlink)
		snprintf(dl, sizeof(dl), "%x", downlink);
	cell_pair(table, ul, dl);
}

static void cell_timeout(struct table *table, const Sluice__V1__SessionRule *rule)
{
	char left[SL_UNITS_SIZE];

	if (!rule->hard_timeout_s)
		table_cell(table, "%s", "");
	else if (!rule->deadline_left_ms)
		table_cell(table, "over");
	else
		table_cell(table, "%s", sl_format_duration(rule->deadline_left_ms, left));
}

static void cell_usage(struct table *table, const Sluice__V1__Usage *usage)
{
	static const Sluice__V1__Usage none = SLUICE__V1__USAGE__INIT;
	char text[SL_UNITS_SIZE];

	if (!usage)
		usage = &none;
	table_cell(table, "%s", sl_format_bytes(usage->uplink_bytes, text));
	table_cell(table, "%s", sl_format_bytes(usage->downlink_bytes, text));
	table_cell(table, "%s", sl_format_bytes(usage->uplink_dropped_bytes, text));
	table_cell(table, "%s", sl_format_bytes(usage->downlink_dropped_bytes, text));
}

static void print_rules(const Sluice__V1__Session *session)
{
	static const char *const headers[] = {"RULE",	 ">VERSION",   "ORIGIN",       ">PRECEDENCE",
					      "ACTION",	 ">MBR UL/DL", ">CLASS UL/DL", ">TIME LEFT",
					      ">UPLINK", ">DOWNLINK",  ">DROPPED UL",  ">DROPPED DL",
					      NULL};
	_cleanup_(table_freep) struct table *table = table_new(headers);
	size_t i;

	for (i = 0; i < session->n_rules; i++) {
		const Sluice__V1__SessionRule *rule = session->rules[i];

		table_cell(table, "%s", rule->rule_id);
		table_cell(table, "%u", rule->version);
		table_cell(table, "%s", output_enum(&sluice__v1__origin__descriptor, (int)rule->origin));
		table_cell(table, "%u", rule->precedence);
		table_cell(table, "%s", rule->action);
		cell_rates(table, rule->mbr_uplink, rule->mbr_downlink);
		cell_classes(table, rule->uplink_class, rule->downlink_class);
		cell_timeout(table, rule);
		cell_usage(table, rule->usage);
	}
	table_cell(table, "(no rule)");
	for (i = 1; i < 4; i++)
		table_cell(table, "%s", "");
	table_cell(table, "deny");
	for (i = 5; i < 8; i++)
		table_cell(table, "%s", "");
	cell_usage(table, session->default_drop);
	table_print(table, 2, stdout);
}

static void print_session(const Sluice__V1__Session *session)
{
	char ul[SL_UNITS_SIZE], dl[SL_UNITS_SIZE];
	_cleanup_free_ char *apn = table_escape(session->apn);

	printf("IMSI %s  address %s  %s since %s", session->imsi, session->address,
	       output_enum(&sluice__v1__session__state__descriptor, (int)session->state),
	       output_time(session->since_ms));
	if (apn[0])
		printf("  APN %s", apn);
	if (session->ambr_uplink || session->ambr_downlink)
		printf("  AMBR %s/%s", sl_format_rate(session->ambr_uplink, ul),
		       sl_format_rate(session->ambr_downlink, dl));
	if (session->uplink_tunnel || session->downlink_tunnel)
		printf("  tunnels 0x%x/0x%x", session->uplink_tunnel, session->downlink_tunnel);
	puts("");
	print_rules(session);
}

static void on_page(const ProtobufCMessage *message, void *user)
{
	const Sluice__V1__SessionPage *page = (const Sluice__V1__SessionPage *)message;
	struct found *found = user;
	size_t i;

	for (i = 0; i < page->n_sessions && !found->array; i++) {
		if (found->sessions + i)
			puts("");
		print_session(page->sessions[i]);
	}
	found->sessions += (unsigned int)page->n_sessions;
	if (found->array)
		output_extend(found->array, message, "sessions");
}

static int run(struct ctl *ctl, const struct ctl_command *command, int argc, char **argv)
{
	Sluice__V1__ListSessionsRequest request = SLUICE__V1__LIST_SESSIONS_REQUEST__INIT;
	struct found found = {NULL, 0};
	int ret;

	ret = ctl_arguments(ctl, command, argc, argv, 1);
	if (ret >= 0)
		return ret;
	request.imsi = argv[optind];
	request.rules = true;
	found.array = ctl->json ? json_array() : NULL;
	ret = client_open(ctl);
	if (ret == CTL_OK)
		ret = client_pages(ctl, "/sluice.v1.Admin/ListSessions", &request.base,
				   &sluice__v1__session_page__descriptor, on_page, &found);
	client_close(ctl);
	if (ret == CTL_OK && found.sessions == 0)
		ret = ctl_error(CTL_REFUSED, "no session of IMSI %s", argv[optind]);
	if (ret == CTL_OK && found.array)
		output_print(found.array);
	else
		json_decref(found.array);
	return ret;
}

const struct ctl_command command_session = {
	.name = "session",
	.arguments = "[OPTION]... IMSI",
	.summary = "One subscriber's sessions with their rules and usage",
	.help = "Rules stand in the order in which they decide. \"(no rule)\" is what matched\n"
		"none of them and was dropped. Classes are HTB minor numbers, hexadecimal as in\n"
		"`tc class show`. Bytes are IP bytes. IMSI: digits, with or without \"IMSI\"\n"
		"before them.\n",
	.run = run,
};
