/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Why a packet was dropped, and which packets pass without a rule: two
 * closed lists, used by the BPF programs, sluicectl and docs/operations.md.
 *
 * X(name, text, explanation): name makes the enumerator, text is what people
 * and programs see, the explanation is what `sluicectl drops` prints.
 * Append only: the numbers are in pinned maps.
 */
#ifndef SLUICE_VERDICT_H
#define SLUICE_VERDICT_H

#define SLUICE_DROP_REASONS(X)                                                                           \
	X(NONE, "none", "not dropped")                                                                   \
	X(RULE_DENY, "rule-deny", "the first rule that matched says DENY")                               \
	X(NO_RULE, "no-rule", "no rule of the session matched: default drop")                            \
	X(UNKNOWN_SUBSCRIBER, "unknown-subscriber", "no session has this address")                       \
	X(MALFORMED, "malformed", "the headers contradict each other or end early")                      \
	X(NOT_IP, "not-ip", "neither IPv4, IPv6 nor a control protocol")                                 \
	X(POLICY_MISSING, "policy-missing", "the session's policy could not be read: a defect")          \
	X(FRAGMENT_OFFSET, "fragment-offset",                                                            \
	  "a fragment with offset 1, which only serves to hide TCP flags (RFC 3128)")                    \
	X(REDIRECTED, "redirected",                                                                      \
	  "the session is redirected and this is not what can be: see redirect.others")                  \
	X(PORTAL_DOWN, "portal-down", "for the portal, but no agent is running")                         \
	X(INTERFACE_MISSING, "interface-missing", "the rule sends it to an interface that is not there") \
	X(RATE_RULE, "rate-rule", "above the rule's MBR, which is policed")                              \
	X(RATE_SESSION, "rate-session", "above the session's AMBR")                                      \
	X(RATE_APN, "rate-apn", "above what its APN may have in all")                                    \
	X(RATE_LINK, "rate-link", "above what the link may have in all")                                 \
	X(QUOTA, "quota-used-up", "the quota is used up and nothing is left open")                       \
	X(IDS_LIMIT, "ids-limit", "above an IDS rule's limit")                                           \
	X(IDS_BLOCK, "ids-block", "of something that an IDS rule or an operator has blocked")

enum sluice_drop_reason {
#define X(name, text, why) SLUICE_DROP_##name,
	SLUICE_DROP_REASONS(X)
#undef X
		SLUICE_DROP_REASON_COUNT
};

#define SLUICE_PASS_KINDS(X)                                                                   \
	X(NONE, "none", "a rule decided")                                                      \
	X(ARP, "arp", "ARP (RFC 826)")                                                         \
	X(ND, "nd", "IPv6 neighbour discovery, hop limit 255 (RFC 4861)")                      \
	X(MULTICAST_LISTENER, "multicast-listener", "IGMP or MLD, TTL 1 (RFC 3376, RFC 3810)") \
	X(DHCP, "dhcp", "DHCPv4 discovery (RFC 2131) and link-local DHCPv6 (RFC 8415)")        \
	X(BFD, "bfd", "single-hop BFD, TTL 255 (RFC 5881)")                                    \
	X(OSPF, "ospf", "OSPF to its multicast groups or with TTL 1 (RFC 2328, RFC 5340)")     \
	X(LINK_LAYER, "link-layer", "LACP, LLDP, EAPOL, STP and other slow protocols")         \
	X(UNKNOWN_SUBSCRIBER, "unknown-subscriber", "no session; unknown_subscriber: pass")    \
	X(ANSWER, "answer", "a reset or rejection made by sluice itself")

enum sluice_pass_kind {
#define X(name, text, why) SLUICE_PASS_##name,
	SLUICE_PASS_KINDS(X)
#undef X
		SLUICE_PASS_KIND_COUNT
};

enum sluice_direction {
	SLUICE_UPLINK = 0,   /* from the subscriber */
	SLUICE_DOWNLINK = 1, /* to the subscriber */
	SLUICE_DIRECTIONS,
};

enum sluice_action {
	SLUICE_PERMIT = 0,
	SLUICE_DENY = 1,
	SLUICE_PORTAL = 2,	 /* to the agent's portal, uplink only */
	SLUICE_RESET = 3,	 /* dropped; TCP is answered with a reset */
	SLUICE_REJECT = 4,	 /* dropped; TCP is answered with a reset, the rest with ICMP "prohibited" */
	SLUICE_STEER_FIRST = 64, /* from here on: a slot in steers. Entries only, never flows */
};

/* Who asked for a rule. All GY rules come before all GX rules. */
enum sluice_origin {
	SLUICE_ORIGIN_GX = 0,
	SLUICE_ORIGIN_GY = 1,
};

#endif
