// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "client.h"
#include "output.h"
#include "sluice/v1/admin.pb-c.h"
#include "table.h"

static void print_portal(const Sluice__V1__Portal *portal)
{
	if (!portal) {
		puts("portal   none (redirect.portal_port is 0)");
		return;
	}
	printf("portal   port %u, %u connection%s; %" PRIu64 " redirected, %" PRIu64
	       " asked whether captive, %" PRIu64 " refused, %" PRIu64 " closed at a bound\n",
	       portal->port, portal->open, output_plural(portal->open), portal->redirected, portal->api,
	       portal->refused, portal->closed);
}

/* A row for one address; what is said of the host stands in its first. */
static void print_row(struct table *table, const Sluice__V1__RedirectServer *server, size_t row)
{
	const size_t answered = server->n_addresses;
	char text[SL_UNITS_SIZE];

	table_cell(table, "%s", row ? "" : server->host);
	if (row < answered || !server->n_held) {
		table_cell(table, "%s", row < answered ? server->addresses[row] : "");
		table_cell(table, "%s", "");
	} else {
		const Sluice__V1__HeldAddress *held = server->held[row - answered];

		table_cell(table, "%s", held->address);
		table_cell(table, "%s", sl_format_duration(held->left_ms, text));
	}
	if (row) {
		for (int rest = 0; rest < 3; rest++)
			table_cell(table, "%s", "");
		return;
	}
	table_cell(table, "%u", server->failures);
	table_cell(table, "%s",
		   server->next_try_ms ? sl_format_duration(server->next_try_ms, text) : "under way");
	table_cell(table, "%s", server->error);
}

static void print_servers(const Sluice__V1__RedirectTable *redirects)
{
	static const char *const headers[] = {"HOST",	       "ADDRESS",    ">HELD FOR", ">FAILURES",
					      ">NEXT LOOK-UP", "LAST ERROR", NULL};
	_cleanup_(table_freep) struct table *table = table_new(headers);

	for (size_t i = 0; i < redirects->n_servers; i++) {
		const Sluice__V1__RedirectServer *server = redirects->servers[i];
		size_t rows = server->n_addresses + server->n_held;

		for (size_t row = 0; row < (rows ? rows : 1); row++)
			print_row(table, server, row);
	}
	table_print(table, 0, stdout);
}

static int run(struct ctl *ctl, const struct ctl_command *command, int argc, char **argv)
{
	Sluice__V1__ListRedirectsRequest request = SLUICE__V1__LIST_REDIRECTS_REQUEST__INIT;
	ProtobufCMessage *answer;
	int ret;

	ret = ctl_arguments(ctl, command, argc, argv, 0);
	if (ret >= 0)
		return ret;
	ret = client_open(ctl);
	if (ret == CTL_OK)
		ret = client_call(ctl, "/sluice.v1.Admin/ListRedirects", &request.base,
				  &sluice__v1__redirect_table__descriptor, &answer);
	client_close(ctl);
	if (ret != CTL_OK)
		return ret;
	if (ctl->json) {
		output_print(output_message(answer));
	} else {
		const Sluice__V1__RedirectTable *redirects = (const Sluice__V1__RedirectTable *)answer;

		print_portal(redirects->portal);
		puts("");
		print_servers(redirects);
	}
	protobuf_c_message_free_unpacked(answer, NULL);
	return CTL_OK;
}

const struct ctl_command command_redirects = {
	.name = "redirects",
	.arguments = "[OPTION]...",
	.summary = "The portal, and the addresses of the servers that rules redirect to",
	.help = "A host without an address could not be resolved yet: subscribers who are\n"
		"redirected there get a Location that they cannot reach. HELD FOR: the address\n"
		"is no more in the last answer, and stays open so long.\n",
	.run = run,
};
