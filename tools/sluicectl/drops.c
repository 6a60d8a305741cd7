// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "client.h"
#include "output.h"
#include "sluice/v1/admin.pb-c.h"
#include "table.h"

static void print_counts(const char *header, Sluice__V1__PacketCount *const *counts, size_t n)
{
	const char *const headers[] = {header,
				       ">UPLINK PACKETS",
				       ">UPLINK BYTES",
				       ">DOWNLINK PACKETS",
				       ">DOWNLINK BYTES",
				       "EXPLANATION",
				       NULL};
	_cleanup_(table_freep) struct table *table = table_new(headers);
	char text[SL_UNITS_SIZE];
	size_t i;

	for (i = 0; i < n; i++) {
		table_cell(table, "%s", counts[i]->name);
		table_cell(table, "%" PRIu64, counts[i]->uplink_packets);
		table_cell(table, "%s", sl_format_bytes(counts[i]->uplink_bytes, text));
		table_cell(table, "%" PRIu64, counts[i]->downlink_packets);
		table_cell(table, "%s", sl_format_bytes(counts[i]->downlink_bytes, text));
		table_cell(table, "%s", counts[i]->explanation);
	}
	table_print(table, 0, stdout);
}

static int run(struct ctl *ctl, const struct ctl_command *command, int argc, char **argv)
{
	Sluice__V1__ListDropsRequest request = SLUICE__V1__LIST_DROPS_REQUEST__INIT;
	ProtobufCMessage *answer;
	int ret;

	ret = ctl_arguments(ctl, command, argc, argv, 0);
	if (ret >= 0)
		return ret;
	ret = client_open(ctl);
	if (ret == CTL_OK)
		ret = client_call(ctl, "/sluice.v1.Admin/ListDrops", &request.base,
				  &sluice__v1__drop_table__descriptor, &answer);
	client_close(ctl);
	if (ret != CTL_OK)
		return ret;
	if (ctl->json) {
		output_print(output_message(answer));
	} else {
		const Sluice__V1__DropTable *drops = (const Sluice__V1__DropTable *)answer;

		print_counts("DROPPED", drops->drops, drops->n_drops);
		puts("");
		print_counts("PASSED WITHOUT A RULE", drops->passes, drops->n_passes);
	}
	protobuf_c_message_free_unpacked(answer, NULL);
	return CTL_OK;
}

const struct ctl_command command_drops = {
	.name = "drops",
	.arguments = "[OPTION]...",
	.summary = "Why packets were dropped, and which passed without a rule",
	.help = "Counted since the maps were made. `sluicectl watch --drops` shows single\n"
		"packets.\n",
	.run = run,
};
