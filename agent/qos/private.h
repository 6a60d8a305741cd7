/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of qos/ share. */
#ifndef SL_QOS_PRIVATE_H
#define SL_QOS_PRIVATE_H

#include "qos/htb.h"
#include "qos/netlink.h"
#include "qos/pool.h"
#include "qos/qos.h"

/* One direction: its devices all have the same classes. */
struct sl_qos_side {
	const char *name;
	unsigned int count;
	struct sl_htb_device device[SL_QOS_DEVICES];
	struct sl_pool *pool; /* NULL: qos.pool is 0 */
};

struct sl_qos {
	struct sl_netlink *netlink;
	uint64_t link_rate;
	uint64_t default_rate;
	uint64_t token_rate;
	uint32_t pool_size;
	bool removed; /* the queues are gone: there is nothing to build or to reset any more */
	struct sl_qos_side side[SLUICE_DIRECTIONS];
};

/* The qdisc, its link and its default class; what exists is brought to these values. */
int sl_qos_set_up_device(struct sl_qos *qos, const struct sl_htb_device *device, bool exists,
			 struct sl_error *err);

#endif
