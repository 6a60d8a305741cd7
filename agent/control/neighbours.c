// SPDX-License-Identifier: Apache-2.0
/* Routers behind the VLANs of APNs, whose ARP and ND this host answers and asks with the tag. */
#include <stdlib.h>
#include <string.h>

#include "control/model.h"

static void collect(struct sl_apns *apns, const struct sl_control_apn *apn)
{
	for (uint32_t i = 0; i < apn->neighbour_count; i++) {
		struct sl_neighbour *neighbour = &apns->neighbours[apns->neighbour_count++];

		*neighbour =
			(struct sl_neighbour){.key.family = apn->neighbours[i].family, .vlan = apn->vlan};
		memcpy(neighbour->key.address, apn->neighbours[i].bytes, sizeof(neighbour->key.address));
	}
}

int sl_neighbours_open(struct sl_control *control, struct sl_error *err)
{
	struct sl_apns *apns = &control->apns;
	size_t kept = 0;
	uint32_t wrong;

	for (size_t i = 0; i < apns->count; i++)
		collect(apns, apns->entry[i].apn);
	qsort(apns->neighbours, apns->neighbour_count, sizeof(apns->neighbours[0]), sl_neighbour_compare);
	/* APNs that share a VLAN may share its router */
	for (size_t i = 0; i < apns->neighbour_count; i++)
		if (i == 0 || sl_neighbour_compare(&apns->neighbours[i], &apns->neighbours[kept - 1]) != 0)
			apns->neighbours[kept++] = apns->neighbours[i];
	apns->neighbour_count = kept;
	return sl_neighbours_repair(control, &wrong, err);
}

int sl_neighbours_repair(struct sl_control *control, uint32_t *wrong, struct sl_error *err)
{
	const struct sl_apns *apns = &control->apns;

	return sl_neighbours_set(control->config.datapath, apns->neighbours, apns->neighbour_count, wrong,
				 err);
}
