/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's maps as ids/rules.h wants them. */
#ifndef SL_IDS_MAPS_H
#define SL_IDS_MAPS_H

#include "ids/rules.h"

struct sl_control;
struct sl_datapath;
struct sl_grace;

/* The caller's, as long as the table that is made from its maps. */
struct sl_ids_kernel {
	struct sl_datapath *datapath;
	struct sl_control *control;
	struct sl_grace *grace;
	void (*gone)(uint32_t identity, void *user); /* as in struct sl_ids_maps; may be NULL */
	void *user;
};

void sl_ids_maps_of(struct sl_ids_kernel *kernel, struct sl_ids_maps *out);

#endif
