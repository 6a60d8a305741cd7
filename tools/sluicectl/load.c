// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "client.h"
#include "output.h"
#include "sluice/v1/admin.pb-c.h"
#include "table.h"

/* UINT64_MAX: without a bound. */
static void cell_rate(struct table *table, uint64_t rate)
{
	char text[SL_UNITS_SIZE];

	table_cell(table, "%s", rate == UINT64_MAX ? "any" : sl_format_rate(rate, text));
}

static void add_row(struct table *table, const Sluice__V1__LoadResource *resource, bool is_uplink)
{
	const Sluice__V1__LoadDirection *load = is_uplink ? resource->uplink : resource->downlink;
	char text[SL_UNITS_SIZE];

	if (is_uplink)
		table_cell(table, resource->apn[0] ? "apn %s" : "link%s", resource->apn);
	else
		table_cell(table, " ");
	table_cell(table, "%s", is_uplink ? "uplink" : "downlink");
	table_cell(table, "%s", load->capacity ? sl_format_rate(load->capacity, text) : "");
	/* three digits say enough of what changes all the time */
	table_cell(table, "%.3g", (double)load->used / 1e6);
	cell_rate(table, load->reserve);
	cell_rate(table, load->reserved);
	cell_rate(table, load->headroom);
	if (is_uplink) {
		table_cell(table, "%u", resource->rules);
		table_cell(table, "%u", resource->sessions);
	} else {
		table_cell(table, " ");
		table_cell(table, " ");
	}
}

static void print(const Sluice__V1__Load *load)
{
	static const char *const headers[] = {"RESOURCE",  "DIRECTION", ">CAPACITY", ">USED Mbit/s",
					      ">RESERVE",  ">RESERVED", ">HEADROOM", ">GBR RULES",
					      ">SESSIONS", NULL};
	_cleanup_(table_freep) struct table *table = table_new(headers);

	for (size_t i = 0; i < load->n_resources; i++) {
		add_row(table, load->resources[i], true);
		add_row(table, load->resources[i], false);
	}
	table_print(table, 0, stdout);
	printf("\nguarantees refused %" PRIu64 ", pre-empted %" PRIu64 "\n", load->refused, load->preempted);
}

static int run(struct ctl *ctl, const struct ctl_command *command, int argc, char **argv)
{
	Sluice__V1__GetLoadRequest request = SLUICE__V1__GET_LOAD_REQUEST__INIT;
	ProtobufCMessage *answer;
	int ret;

	ret = ctl_arguments(ctl, command, argc, argv, 0);
	if (ret >= 0)
		return ret;
	ret = client_open(ctl);
	if (ret == CTL_OK)
		ret = client_call(ctl, "/sluice.v1.Admin/GetLoad", &request.base,
				  &sluice__v1__load__descriptor, &answer);
	client_close(ctl);
	if (ret != CTL_OK)
		return ret;
	if (ctl->json)
		output_print(output_message(answer));
	else
		print((const Sluice__V1__Load *)answer);
	protobuf_c_message_free_unpacked(answer, NULL);
	return CTL_OK;
}

const struct ctl_command command_load = {
	.name = "load",
	.arguments = "[OPTION]...",
	.summary = "What the link and APNs carry, and what of them is guaranteed",
	.help = "CAPACITY: the link's rate or an APN's cap. USED: what rules have permitted over\n"
		"the last five seconds. RESERVE: what rules with a guaranteed rate may take in all,\n"
		"RESERVED: what they have, HEADROOM: what one more may ask for.\n",
	.run = run,
};
