/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What happens to a packet, and on whose account. Decides only: counting is
 * account.h's, so that XDP can decide without counting what it lets pass.
 */
#ifndef SLUICE_BPF_DECIDE_H
#define SLUICE_BPF_DECIDE_H

#include "control.h"
#include "final.h"
#include "maps.h"
#include "match.h"
#include "parse.h"
#include "quota_event.h"
#include "session.h"

struct sluice_decision {
	enum sluice_drop_reason reason; /* NONE: passes */
	enum sluice_pass_kind kind;	/* NONE: a rule decided */
	__u32 session;			/* SLUICE_NONE where there is none */
	__u32 usage;			/* SLUICE_NONE: nobody's */
	__u32 meter;			/* slot in meters + 1, of the direction decided for; 0: none */
	__u32 quota;			/* the first that it pays, slot in quotas + 1; 0: none */
	__u16 class;			/* likewise, or SLUICE_MARK_APN + number; 0 = the default class */
	__u8 action;			/* of the rule, as in its match entry; PERMIT where none decided */
	__u8 apn;			/* number of the session's; 0: none that the configuration has */
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

/*
 * What the rule that decided permits is to be paid for. If that is used up, the
 * session's final policy decides in its place; without one, or where it has no
 * rule for the packet, that is the reason to drop it.
 */
static __always_inline void decide_quota(const struct sluice_packet *packet, __u32 slot, bool has_final,
					 enum sluice_direction direction, bool writes,
					 struct sluice_decision *decision)
{
	__u32 quota = quota_first(decision->usage);
	struct final_found found;

	if (quota == SLUICE_NONE)
		return;
	switch (quota_look(quota, packet->bytes, direction, writes)) {
	case QUOTA_OPEN:
		decision->quota = quota + 1;
		return;
	case QUOTA_USED_UP:
		break;
	default:
		decision->reason = SLUICE_DROP_POLICY_MISSING;
		return;
	}
	decision->reason = SLUICE_DROP_QUOTA;
	if (!has_final)
		return;
	switch (final_find(packet, slot + 1, direction, &found)) {
	case MATCH_RULE:
		decision->usage = found.usage;
		decision->action = found.action;
		decision->class = found.class;
		decision->meter = found.meter;
		decision->reason = decide_by_rule(found.action);
		return;
	case MATCH_NONE:
		return;
	default:
		decision->reason = SLUICE_DROP_POLICY_MISSING;
	}
}

/*
 * `parsed` is what parse_ethernet or parse_network said of the packet. `writes`:
 * a quota that it does not fit into is used up from now on; else that is left to
 * the next hook, and only what is known to be used up counts.
 */
static __always_inline void decide(struct sluice_frame *frame, struct sluice_packet *packet,
				   enum parse_result parsed, enum sluice_direction direction,
				   bool unknown_drop, bool writes, struct sluice_decision *decision)
{
	const struct sluice_endpoint *endpoint;
	const struct sluice_policy *policy;
	struct match_search search;
	__u32 slot;

	decision->reason = SLUICE_DROP_NONE;
	decision->kind = SLUICE_PASS_NONE;
	decision->session = SLUICE_NONE;
	decision->usage = SLUICE_NONE;
	decision->meter = 0;
	decision->quota = 0;
	decision->class = 0;
	decision->action = SLUICE_PERMIT;
	decision->apn = 0;

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

	policy = session_indexed(packet, direction, &slot);
	if (!policy) {
		endpoint = session_find(packet, direction);
		if (!endpoint) {
			decide_unknown(decision, SLUICE_DROP_UNKNOWN_SUBSCRIBER, unknown_drop);
			return;
		}
		policy = session_policy(endpoint, &slot);
		if (policy && !session_owns(packet, direction, policy)) {
			/* replaced while it was read: see sluice_endpoint_tag */
			endpoint = session_find(packet, direction);
			if (!endpoint) {
				decide_unknown(decision, SLUICE_DROP_UNKNOWN_SUBSCRIBER, unknown_drop);
				return;
			}
			policy = session_policy(endpoint, &slot);
		}
	}
	if (!policy || !session_owns(packet, direction, policy)) {
		decision->reason = SLUICE_DROP_POLICY_MISSING;
		return;
	}

	decision->session = policy->session;
	decision->apn = policy->apn;
	if (policy->flags & SLUICE_POLICY_OPTIONS)
		terms_read_options(frame, packet);
	switch (match_find(&search, packet, policy, direction)) {
	case MATCH_NONE:
		decision->reason = SLUICE_DROP_NO_RULE;
		decision->usage = policy->default_usage;
		return;
	case MATCH_RULE:
		break;
	default:
		decision->reason = SLUICE_DROP_POLICY_MISSING;
		return;
	}
	decision->usage = search.usage & ~SLUICE_USAGE_QUOTA;
	decision->action = search.action;
	decision->reason = decide_by_rule(search.action);
	decision->class = search.class;
	decision->meter = search.meter;
	if (decision->reason == SLUICE_DROP_NONE && (search.usage & SLUICE_USAGE_QUOTA))
		decide_quota(packet, slot, policy->flags & SLUICE_POLICY_FINAL, direction, writes, decision);
	if (decision->reason != SLUICE_DROP_NONE) {
		decision->class = 0;
		decision->meter = 0;
		return;
	}
	if (!decision->class && direction == SLUICE_UPLINK && policy->apn)
		decision->class = SLUICE_MARK_APN + policy->apn;
}

/* The drop is more than a drop: it is answered, for which an skb is needed. */
static __always_inline bool decide_answers(const struct sluice_decision *decision)
{
	return decision->action == SLUICE_RESET || decision->action == SLUICE_REJECT;
}

#endif
