// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "list.h"
#include "output.h"
#include "sluice/v1/admin.pb-c.h"

static void cell_rate(struct table *table, uint64_t rate)
{
	char text[SL_UNITS_SIZE];

	table_cell(table, "%s", rate ? sl_format_rate(rate, text) : "");
}

static void add_page(struct table *table, const ProtobufCMessage *message)
{
	const Sluice__V1__SessionPage *page = (const Sluice__V1__SessionPage *)message;
	size_t i;

	for (i = 0; i < page->n_sessions; i++) {
		const Sluice__V1__Session *session = page->sessions[i];

		table_cell(table, "%s", session->imsi);
		table_cell(table, "%s", session->address);
		table_cell(table, "%s", session->apn);
		table_cell(table, "%s",
			   output_enum(&sluice__v1__session__state__descriptor, (int)session->state));
		table_cell(table, "%s", output_time(session->state_since_ms));
		table_cell(table, "%u", session->rule_count);
		cell_rate(table, session->ambr_uplink);
		cell_rate(table, session->ambr_downlink);
	}
}

/* By IMSI, and of one subscriber IPv4 first; `session` shows them in the same order. */
static int by_subscriber(const void *a, const void *b)
{
	char *const *left = a, *const *right = b;
	int imsi = strcmp(left[0], right[0]);

	return imsi ? imsi : (strchr(left[1], ':') != NULL) - (strchr(right[1], ':') != NULL);
}

static int run(struct ctl *ctl, const struct ctl_command *command, int argc, char **argv)
{
	static const char *const headers[] = {"IMSI",	"ADDRESS",  "APN",	"STATE", "SINCE",
					      ">RULES", ">AMBR UL", ">AMBR DL", NULL};
	Sluice__V1__ListSessionsRequest request = SLUICE__V1__LIST_SESSIONS_REQUEST__INIT;
	int ret;

	ret = ctl_arguments(ctl, command, argc, argv, 0);
	if (ret >= 0)
		return ret;
	/* people see how many rules, programs get them all */
	request.rules = ctl->json;
	return list_run(ctl, "/sluice.v1.Admin/ListSessions", &request.base,
			&sluice__v1__session_page__descriptor, "sessions", headers, add_page, by_subscriber);
}

const struct ctl_command command_sessions = {
	.name = "sessions",
	.arguments = "[OPTION]...",
	.summary = "All sessions: IMSI, address, APN, state, number of rules",
	.help = "State: active, restricted (by GY rules), redirected, or ended (enforced no more;\n"
		"final usage is not yet acknowledged by the session manager). SINCE: the\n"
		"activation; of a session that is restricted or redirected, when that began.\n"
		"-o json has both times and the rules of each session, too.\n",
	.run = run,
};
