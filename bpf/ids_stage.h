/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The IDS as a stage of the packet's way: see stages.h. */
#ifndef SLUICE_BPF_IDS_STAGE_H
#define SLUICE_BPF_IDS_STAGE_H

#include "ids.h"

static __always_inline enum sluice_drop_reason ids_stage(struct __sk_buff *skb,
							 const struct sluice_packet *packet,
							 enum sluice_direction direction,
							 const struct sluice_decision *decision)
{
	if (!ids_is_active())
		return SLUICE_DROP_NONE;
	return (enum sluice_drop_reason)ids_ask_all(skb, packet, decision->session, decision->usage,
						    direction | decision->apn << 8);
}

#endif
