/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What happens to a packet, and on whose account. Decides only: counting is
 * account.h's, so that XDP can decide without counting what it lets pass.
 */
#ifndef SLUICE_BPF_DECIDE_H
#define SLUICE_BPF_DECIDE_H

#include "control.h"
#include "maps.h"
#include "match.h"
#include "parse.h"
#include "session.h"

struct sluice_decision {
	enum sluice_drop_reason reason; /* NONE: passes */
	enum sluice_pass_kind kind;	/* NONE: a rule decided */
	__u32 session;			/* SLUICE_NONE where there is none */
	__u32 usage;			/* SLUICE_NONE: nobody's */
	__u32 meter;			/* slot in meters + 1, of the direction decided for; 0: none */
	__u16 class;			/* likewise; 0 = the default class */
	__u8 action;			/* of the rule, as in its match entry; PERMIT where none decided */
};

static __always_inline void decide_unknown(struct sluice_decision *decision, enum sluice_drop_reason reason,
					   bool unknown_drop)
{
	if (unknown_drop)
		decision->reason = reason;
	else
		decision->kind = SLUICE_PASS_UNKNOWN_SUBSCRIBER;
}

/* The portal and interfaces of a rule's own take what the rule permits. */
static __always_inline enum sluice_drop_reason decide_by_rule(__u8 action)
{
	switch (action) {
	case SLUICE_DENY:
		return SLUICE_DROP_RULE_DENY;
	case SLUICE_RESET:
	case SLUICE_REJECT:
		return SLUICE_DROP_REDIRECTED;
	default:
		return SLUICE_DROP_NONE;
	}
}

/* `parsed` is what parse_ethernet or parse_network said of the packet. */
static __always_inline void decide(struct sluice_frame *frame, struct sluice_packet *packet,
				   enum parse_result parsed, enum sluice_direction direction,
				   bool unknown_drop, struct sluice_decision *decision)
{
	const struct sluice_endpoint *endpoint;
	const struct sluice_policy *policy;
	struct match_search search;

	decision->reason = SLUICE_DROP_NONE;
	decision->kind = SLUICE_PASS_NONE;
	decision->session = SLUICE_NONE;
	decision->usage = SLUICE_NONE;
	decision->meter = 0;
	decision->class = 0;
	decision->action = SLUICE_PERMIT;

	if (parsed == PARSE_MALFORMED) {
		decision->reason = SLUICE_DROP_MALFORMED;
		return;
	}
	/* before any rule is asked (RFC 6733 clause 4.3.1), and whoever sent it */
	if (packet->offset_one) {
		decision->reason = SLUICE_DROP_FRAGMENT_OFFSET;
		return;
	}
	decision->kind = control_classify(frame, packet, direction);
	if (decision->kind != SLUICE_PASS_NONE)
		return;
	if (parsed == PARSE_NOT_IP) {
		decide_unknown(decision, SLUICE_DROP_NOT_IP, unknown_drop);
		return;
	}

	policy = session_indexed(packet, direction);
	if (!policy) {
		endpoint = session_find(packet, direction);
		if (!endpoint) {
			decide_unknown(decision, SLUICE_DROP_UNKNOWN_SUBSCRIBER, unknown_drop);
			return;
		}
		policy = session_policy(endpoint);
		if (policy && !session_owns(packet, direction, policy)) {
			/* replaced while it was read: see sluice_endpoint_tag */
			endpoint = session_find(packet, direction);
			if (!endpoint) {
				decide_unknown(decision, SLUICE_DROP_UNKNOWN_SUBSCRIBER, unknown_drop);
				return;
			}
			policy = session_policy(endpoint);
		}
	}
	if (!policy || !session_owns(packet, direction, policy)) {
		decision->reason = SLUICE_DROP_POLICY_MISSING;
		return;
	}

	decision->session = policy->session;
	if (policy->flags & SLUICE_POLICY_OPTIONS)
		terms_read_options(frame, packet);
	switch (match_find(&search, packet, policy, direction)) {
	case MATCH_NONE:
		decision->reason = SLUICE_DROP_NO_RULE;
		decision->usage = policy->default_usage;
		return;
	case MATCH_DEFECT:
		decision->reason = SLUICE_DROP_POLICY_MISSING;
		return;
	case MATCH_RULE:
		break;
	}
	decision->usage = search.usage;
	decision->action = search.action;
	decision->reason = decide_by_rule(search.action);
	if (decision->reason != SLUICE_DROP_NONE)
		return;
	decision->class = search.class;
	decision->meter = search.meter;
}

/* The drop is more than a drop: it is answered, for which an skb is needed. */
static __always_inline bool decide_answers(const struct sluice_decision *decision)
{
	return decision->action == SLUICE_RESET || decision->action == SLUICE_REJECT;
}

#endif
