/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A packet at a tc hook, from its first byte to its verdict: parse, decide, count, report, act. */
#ifndef SLUICE_BPF_ENFORCE_H
#define SLUICE_BPF_ENFORCE_H

#include "frame_skb.h"

#include "account.h"
#include "act.h"
#include "answer.h"
#include "decide.h"
#include "maps.h"
#include "meter.h"
#include "parse.h"
#include "portal.h"
#include "shape.h"
#include "stages.h"
#include "steer.h"

static __always_inline void enforce_drop(struct sluice_decision *decision, enum sluice_drop_reason reason)
{
	decision->reason = reason;
	decision->class = 0;
}

/* Before counting: an action that cannot be carried out makes a drop of the decision. */
static __always_inline const struct sluice_steer *enforce_action(struct __sk_buff *skb,
								 const struct sluice_packet *packet,
								 enum sluice_direction direction,
								 struct sluice_decision *decision)
{
	const struct sluice_steer *steer = NULL;

	if (decision->action == SLUICE_PORTAL) {
		if (direction == SLUICE_UPLINK && portal_take(skb, packet))
			decision->class = SLUICE_MARK_PORTAL;
		else
			enforce_drop(decision, SLUICE_DROP_PORTAL_DOWN);
	} else if (decision->action >= SLUICE_STEER_FIRST) {
		steer = steer_find(skb, decision->action);
		if (!steer)
			enforce_drop(decision, SLUICE_DROP_INTERFACE_MISSING);
	}
	return steer;
}

/* After everything else that may drop the packet: what is dropped uses nothing of a rate. */
static __always_inline void enforce_rate(const struct sluice_packet *packet, struct sluice_decision *decision)
{
	switch (meter_pass(decision->meter - 1, packet->bytes, packet->packets, bpf_ktime_get_ns())) {
	case SLUICE_METER_PASSED:
		break;
	case SLUICE_METER_RULE:
		enforce_drop(decision, SLUICE_DROP_RATE_RULE);
		break;
	case SLUICE_METER_SESSION:
		enforce_drop(decision, SLUICE_DROP_RATE_SESSION);
		break;
	case SLUICE_METER_APN:
		enforce_drop(decision, SLUICE_DROP_RATE_APN);
		break;
	case SLUICE_METER_LINK:
		enforce_drop(decision, SLUICE_DROP_RATE_LINK);
		break;
	default:
		enforce_drop(decision, SLUICE_DROP_POLICY_MISSING);
	}
}

/* After the rate, too: what is dropped is never paid for. */
static __always_inline void enforce_quota(const struct sluice_packet *packet, enum sluice_direction direction,
					  struct sluice_decision *decision)
{
	switch (quota_charge(decision->quota - 1, packet->bytes, direction)) {
	case QUOTA_OPEN:
		break;
	case QUOTA_USED_UP:
		enforce_drop(decision, SLUICE_DROP_QUOTA);
		break;
	default:
		enforce_drop(decision, SLUICE_DROP_POLICY_MISSING);
	}
}

/* Of known sessions, what is still to pass. */
static __always_inline void enforce_stages(struct __sk_buff *skb, const struct sluice_packet *packet,
					   enum sluice_direction direction, struct sluice_decision *decision)
{
#define STAGE(name)                                                                           \
	if (decision->reason == SLUICE_DROP_NONE) {                                           \
		enum sluice_drop_reason why = name##_stage(skb, packet, direction, decision); \
                                                                                              \
		if (why != SLUICE_DROP_NONE) {                                                \
			enforce_drop(decision, why);                                          \
			decision->usage = SLUICE_NONE;                                        \
		}                                                                             \
	}
	SLUICE_STAGES(STAGE)
#undef STAGE
}

/* `ethernet`: the data begins with an Ethernet header, not with the IP header. The verdict. */
static __always_inline int enforce(struct __sk_buff *skb, enum sluice_direction direction, bool ethernet)
{
	const struct sluice_settings *setting;
	const struct sluice_steer *steer = NULL;
	struct sluice_packet packet = {};
	struct sluice_decision decision;
	enum parse_result parsed;
	__u32 slot = 0;

	setting = bpf_map_lookup_elem(&settings, &slot);
	if (!setting)
		return TC_ACT_SHOT;
	parsed = parse_frame(skb, &packet, ethernet, bpf_ntohs(skb->protocol));
	if (direction == SLUICE_DOWNLINK && answer_is_ours(skb)) {
		account_pass(SLUICE_PASS_ANSWER, &packet, direction);
		shape_classify(skb, 0);
		return TC_ACT_UNSPEC;
	}
	decide(skb, &packet, parsed, direction, setting->unknown_drop, true, &decision);
	if (decision.session != SLUICE_NONE)
		enforce_stages(skb, &packet, direction, &decision);
	if (decision.action >= SLUICE_PORTAL && decision.reason == SLUICE_DROP_NONE)
		steer = enforce_action(skb, &packet, direction, &decision);
	if (decision.meter && decision.reason == SLUICE_DROP_NONE)
		enforce_rate(&packet, &decision);
	if (decision.quota && decision.reason == SLUICE_DROP_NONE)
		enforce_quota(&packet, direction, &decision);
	account(&decision, &packet, direction);
	if (decision.reason != SLUICE_DROP_NONE) {
		/* looked up again: kept, it would be stack, which is nearly used up */
		setting = bpf_map_lookup_elem(&settings, &slot);
		if (setting && setting->watch_drops)
			act_report_drop(skb, &packet, &decision, direction);
		if (direction == SLUICE_UPLINK && decide_answers(&decision))
			return answer(skb, &packet, decision.action);
		return TC_ACT_SHOT;
	}
	if (direction == SLUICE_UPLINK)
		shape_mark(skb, decision.class);
	else
		shape_classify(skb, decision.class);
	return steer ? steer_send(skb, steer) : TC_ACT_UNSPEC;
}

#endif
