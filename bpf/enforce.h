/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A packet at a tc hook, from its first byte to its verdict: parse, decide, count, report. */
#ifndef SLUICE_BPF_ENFORCE_H
#define SLUICE_BPF_ENFORCE_H

#include "frame_skb.h"

#include "account.h"
#include "act.h"
#include "decide.h"
#include "maps.h"
#include "parse.h"

/* `ethernet`: the data begins with an Ethernet header, not with the IP header. True: passes. */
static __always_inline bool enforce(struct __sk_buff *skb, enum sluice_direction direction, bool ethernet,
				    __u16 *class)
{
	const struct sluice_settings *setting;
	struct sluice_packet packet = {};
	struct sluice_decision decision;
	enum parse_result parsed;
	__u32 slot = 0;

	setting = bpf_map_lookup_elem(&settings, &slot);
	if (!setting)
		return false;
	parsed = parse_frame(skb, &packet, ethernet, bpf_ntohs(skb->protocol));
	decide(skb, &packet, parsed, direction, setting->unknown_drop, &decision);
	account(&decision, &packet, direction);
	if (decision.reason != SLUICE_DROP_NONE) {
		if (setting->watch_drops)
			act_report_drop(skb, &packet, &decision, direction);
		return false;
	}
	*class = decision.class;
	return true;
}

#endif
