// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * XDP of access devices: what access_ingress would drop is dropped before an
 * skb is made, and counted as there. What passes is counted by access_ingress,
 * which sees it next; a packet is never counted twice.
 */
#include "frame_xdp.h"

#include "account.h"
#include "act.h"
#include "decide.h"
#include "maps.h"
#include "parse.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("xdp.frags")
int xdp_access(struct xdp_md *xdp)
{
	const struct sluice_settings *setting;
	struct sluice_packet packet = {};
	struct sluice_decision decision;
	enum parse_result parsed;
	__u32 slot = 0;

	setting = bpf_map_lookup_elem(&settings, &slot);
	if (!setting)
		return XDP_PASS;
	parsed = parse_frame(xdp, &packet, true, 0);
	decide(xdp, &packet, parsed, SLUICE_UPLINK, setting->unknown_drop, false, &decision);
	if (decision.reason == SLUICE_DROP_NONE || decide_answers(&decision) ||
	    frame_exceeds_mtu(xdp, packet.bytes))
		return XDP_PASS;

	account(&decision, &packet, SLUICE_UPLINK);
	if (setting->watch_drops)
		act_report_drop(xdp, &packet, &decision, SLUICE_UPLINK);
	return XDP_DROP;
}
