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
	json_t *array; /* NULL: text */
	/* IPv4 and IPv6, in the order in which they are printed */
	struct {
		FILE *file;
		char *text;
		size_t size;
	} family[2];
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

static void cell_queues(struct table *table, const Sluice__V1__Queue *uplink,
			const Sluice__V1__Queue *downlink)
{
	char ul[SL_UNITS_SIZE] = "", dl[SL_UNITS_SIZE] = "";

	if (uplink)
		snprintf(ul, sizeof(ul), "%" PRIu64, uplink->dropped_packets);
	if (downlink)
		snprintf(dl, sizeof(dl), "%" PRIu64, downlink->dropped_packets);
	cell_pair(table, ul, dl);
	cell_pair(table, uplink ? sl_format_bytes(uplink->backlog_bytes, ul) : "",
		  downlink ? sl_format_bytes(downlink->backlog_bytes, dl) : "");
}

static const char *rate_text(Sluice__V1__SessionRule__Rate rate)
{
	switch (rate) {
	case SLUICE__V1__SESSION_RULE__RATE__SHAPED:
		return "shaped";
	case SLUICE__V1__SESSION_RULE__RATE__POLICED:
		return "policed";
	default:
		return "";
	}
}

static const char *rate_or_dash(Sluice__V1__SessionRule__Rate rate)
{
	return rate ? rate_text(rate) : "-";
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

static void print_rules(const Sluice__V1__Session *session, FILE *file)
{
	static const char *const headers[] = {
		"RULE",	       ">VERSION",     "ORIGIN",       ">PRECEDENCE", "ACTION",	    ">MBR UL/DL",
		">RATE UL/DL", ">CLASS UL/DL", ">QUEUE DROPS", ">BACKLOG",    ">TIME LEFT", ">UPLINK",
		">DOWNLINK",   ">DROPPED UL",  ">DROPPED DL",  "PROFILE",     NULL};
	_cleanup_(table_freep) struct table *table = table_new(headers);
	size_t i;

	for (i = 0; i < session->n_rules; i++) {
		const Sluice__V1__SessionRule *rule = session->rules[i];

		table_cell(table, "%s", rule->rule_id);
		table_cell(table, "%u", rule->version);
		table_cell(table, "%s", output_enum(&sluice__v1__origin__descriptor, (int)rule->origin));
		table_cell(table, "%u", rule->precedence);
		table_cell(table, "%s%s%s%s", rule->is_final ? "final " : "", rule->action,
			   rule->target[0] ? " " : "", rule->target);
		cell_rates(table, rule->mbr_uplink, rule->mbr_downlink);
		cell_pair(table, rate_text(rule->uplink_rate), rate_text(rule->downlink_rate));
		cell_classes(table, rule->uplink_class, rule->downlink_class);
		cell_queues(table, rule->uplink_queue, rule->downlink_queue);
		cell_timeout(table, rule);
		cell_usage(table, rule->usage);
		table_cell(table, "%s", rule->profile);
	}
	table_cell(table, "(no rule)");
	for (i = 1; i < 4; i++)
		table_cell(table, "%s", "");
	table_cell(table, "deny");
	for (i = 5; i < 11; i++)
		table_cell(table, "%s", "");
	cell_usage(table, session->default_drop);
	table_cell(table, "%s", "");
	table_print(table, 2, file);
}

static void print_session(const Sluice__V1__Session *session, FILE *file)
{
	char ul[SL_UNITS_SIZE], dl[SL_UNITS_SIZE];
	_cleanup_free_ char *apn = table_escape(session->apn);

	fprintf(file, "\nIMSI %s  address %s  ", session->imsi, session->address);
	if (session->state == SLUICE__V1__SESSION__STATE__ENDED)
		fprintf(file, "ended (active since %s)", output_time(session->since_ms));
	else
		fprintf(file, "%s since %s",
			output_enum(&sluice__v1__session__state__descriptor, (int)session->state),
			output_time(session->state_since_ms));
	if (apn[0])
		fprintf(file, "  APN %s", apn);
	if (session->ambr_uplink || session->ambr_downlink)
		fprintf(file, "  AMBR %s/%s", sl_format_rate(session->ambr_uplink, ul),
			sl_format_rate(session->ambr_downlink, dl));
	if (session->ambr_uplink_rate || session->ambr_downlink_rate)
		fprintf(file, " (%s/%s)", rate_or_dash(session->ambr_uplink_rate),
			rate_or_dash(session->ambr_downlink_rate));
	if (session->uplink_tunnel || session->downlink_tunnel)
		fprintf(file, "  tunnels 0x%x/0x%x", session->uplink_tunnel, session->downlink_tunnel);
	if (session->ids_dropped_packets)
		fprintf(file, "  dropped by IDS %" PRIu64 " packet%s, %s", session->ids_dropped_packets,
			output_plural(session->ids_dropped_packets),
			sl_format_bytes(session->ids_dropped_bytes, ul));
	fputc('\n', file);
	print_rules(session, file);
}

static void on_page(const ProtobufCMessage *message, void *user)
{
	const Sluice__V1__SessionPage *page = (const Sluice__V1__SessionPage *)message;
	struct found *found = user;
	size_t i;

	for (i = 0; i < page->n_sessions && !found->array; i++)
		print_session(page->sessions[i],
			      found->family[strchr(page->sessions[i]->address, ':') != NULL].file);
	found->sessions += (unsigned int)page->n_sessions;
	if (found->array)
		output_extend(found->array, message, "sessions");
}

static int open_texts(struct found *found)
{
	size_t i;

	for (i = 0; i < SL_ARRAY_SIZE(found->family); i++) {
		found->family[i].file = open_memstream(&found->family[i].text, &found->family[i].size);
		if (!found->family[i].file)
			return ctl_error(CTL_REFUSED, "out of memory");
	}
	return CTL_OK;
}

static void close_texts(struct found *found, bool print)
{
	size_t i, skip = 1; /* the blank line before the first session */

	for (i = 0; i < SL_ARRAY_SIZE(found->family); i++) {
		if (!found->family[i].file)
			continue;
		fclose(found->family[i].file);
		if (print && found->family[i].size) {
			fputs(found->family[i].text + skip, stdout);
			skip = 0;
		}
		free(found->family[i].text);
	}
}

static int run(struct ctl *ctl, const struct ctl_command *command, int argc, char **argv)
{
	Sluice__V1__ListSessionsRequest request = SLUICE__V1__LIST_SESSIONS_REQUEST__INIT;
	struct found found = {0};
	int ret;

	ret = ctl_arguments(ctl, command, argc, argv, 1);
	if (ret >= 0)
		return ret;
	request.imsi = argv[optind];
	request.rules = true;
	request.queues = true;
	found.array = ctl->json ? json_array() : NULL;
	ret = open_texts(&found);
	if (ret == CTL_OK)
		ret = client_open(ctl);
	if (ret == CTL_OK)
		ret = client_pages(ctl, "/sluice.v1.Admin/ListSessions", &request.base,
				   &sluice__v1__session_page__descriptor, on_page, &found);
	client_close(ctl);
	if (ret == CTL_OK && found.sessions == 0)
		ret = ctl_error(CTL_REFUSED, "no session of IMSI %s", argv[optind]);
	close_texts(&found, ret == CTL_OK);
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
	.help = "Since: the session's activation; of a session that is restricted or redirected,\n"
		"when that began. An ended session stays listed until the session manager has acknowledged "
		"its\n"
		"final usage. Rules stand in the order in which they decide. \"(no rule)\" is what matched\n"
		"none of them and was dropped. RATE: MBRs and AMBRs are shaped, by queues, or\n"
		"policed, by dropping what is above. Classes are HTB minor numbers, hexadecimal as\n"
		"in `tc class show`; what their queues have dropped, in packets since they were\n"
		"built, and hold now. Rules without an MBR share one in a session whose AMBR is\n"
		"shaped. What IDS rules and blocks have dropped is no usage and no default drop. Bytes are "
		"IP bytes. IMSI: digits, with or without \"IMSI\"\n"
		"before them.\n",
	.run = run,
};
