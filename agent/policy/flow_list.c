// SPDX-License-Identifier: Apache-2.0
#include "policy/flow_list.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/cleanup.h"

#define PORT_LAST 65535
#define PORT_HALF 32767

int sl_flow_list_init(struct sl_flow_list *list, struct sl_error *err)
{
	struct sluice_flow *flows = calloc(SLUICE_FLOWS_PER_RULE, sizeof(*flows));

	if (!flows)
		return sl_error(err, ENOMEM, "out of memory");
	*list = (struct sl_flow_list){.flows = flows};
	return 0;
}

void sl_flow_list_clear(struct sl_flow_list *list)
{
	free(list->flows);
	*list = (struct sl_flow_list){.flows = NULL};
}

static bool is_any(const struct sl_flow_range *range)
{
	return range->low == 0 && range->high == PORT_LAST;
}

static void add_one(struct sl_flow_list *list, const struct sluice_flow *flow)
{
	if (list->count < SLUICE_FLOWS_PER_RULE)
		list->flows[list->count] = *flow;
	list->count++;
}

static void add_ports(struct sl_flow_list *list, struct sluice_flow flow, const struct sl_flow_range *remote,
		      const struct sl_flow_range *local, bool with_ports)
{
	flow.remote_port_low = remote->low;
	flow.remote_port_high = remote->high;
	flow.local_port_low = local->low;
	flow.local_port_high = local->high;
	if (!with_ports || !is_any(remote) || !is_any(local)) {
		add_one(list, &flow);
		return;
	}
	flow.remote_port_high = PORT_HALF;
	add_one(list, &flow);
	flow.remote_port_low = PORT_HALF + 1;
	flow.remote_port_high = PORT_LAST;
	add_one(list, &flow);
}

void sl_flow_list_add(struct sl_flow_list *list, const struct sluice_flow *like,
		      const struct sl_flow_ranges *remote_ports, const struct sl_flow_ranges *local_ports,
		      const struct sl_flow_ranges *icmp_types)
{
	static const struct sl_flow_ranges any = {.count = 1, .range = {{0, PORT_LAST}}};
	const struct sl_flow_ranges *remote = remote_ports->count ? remote_ports : &any;
	const struct sl_flow_ranges *local = local_ports->count ? local_ports : &any;
	const bool with_ports = remote_ports->count || local_ports->count;
	const uint32_t types = icmp_types->count ? icmp_types->count : 1;

	for (uint32_t t = 0; t < types; t++) {
		struct sluice_flow flow = *like;

		if (icmp_types->count) {
			flow.terms.which |= SLUICE_TERM_ICMP_TYPE;
			flow.terms.icmp_low = (uint8_t)icmp_types->range[t].low;
			flow.terms.icmp_high = (uint8_t)icmp_types->range[t].high;
		}
		for (uint32_t r = 0; r < remote->count; r++) {
			for (uint32_t l = 0; l < local->count; l++)
				add_ports(list, flow, &remote->range[r], &local->range[l], with_ports);
		}
	}
}

int sl_flow_list_take(struct sl_flow_list *list, const char *field, struct sluice_flow **flows,
		      uint32_t *count, struct sl_error *err)
{
	if (list->count > SLUICE_FLOWS_PER_RULE)
		return sl_error(err, E2BIG, "%s: they come to %zu flows, at most %d are allowed", field,
				list->count, SLUICE_FLOWS_PER_RULE);
	*count = (uint32_t)list->count;
	*flows = SL_TAKE(list->flows);
	return 0;
}
