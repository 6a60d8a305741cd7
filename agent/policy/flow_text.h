/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flows in sluice's own form: every part a text, the same on the wire
 * (sluice.v1.Flow), in YAML and on the screen.
 */
#ifndef SL_POLICY_FLOW_TEXT_H
#define SL_POLICY_FLOW_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "policy/address.h"
#include "policy/flow_list.h"
#include "sluice/maps.h"

/* NULL or empty: not asked for. A part that is given must hold for a packet to match. */
struct sl_flow_text {
	const char *direction;	 /* uplink, downlink, both (or empty) */
	const char *action;	 /* permit (or empty), deny */
	const char *protocol;	 /* any (or empty), a name such as tcp, or a number from 0 to 255 */
	const char *remote;	 /* ADDRESS, ADDRESS/LENGTH, or "!" and one of them: outside it;
				  * assigned, !assigned: the subscriber's own address, any other */
	const char *remote_port; /* PORT, LOW-HIGH, or some with commas; with tcp, udp or sctp */
	const char *local;	 /* as remote: the subscriber's own address; IPv6 at most a /64 */
	const char *local_port;
	const char *dscp;	 /* 0 to 63, or a name of RFC 2474 (cs0..cs7), 2597 (af11..af43), 3246 (ef) */
	const char *tcp_flags;	 /* [!]fin, syn, rst, psh, ack, urg, ece, cwr, or established, with commas */
	const char *tcp_options; /* [!]mss, window, sack, ts, cc */
	const char *icmp_type;	 /* 0 to 255, LOW-HIGH, or some with commas; with icmp or icmpv6 */
	const char *fragment;	 /* later: a fragment with an offset */
	const char *ip_options;	 /* [!]ssrr, lsrr, rr, ts */
	uint32_t family;	 /* 4 or 6; 0: that of remote and local, or both */
};

/*
 * Adds the flows that the text comes to: one for each direction and each
 * combination of ports and types. -EINVAL, with *part the name of the member
 * that is wrong or "" for the whole, and err: `bad value "..."; allowed: ...`
 * without the name. The list is then to be thrown away.
 */
int sl_flow_text_read(const struct sl_flow_text *text, struct sl_flow_list *list, const char **part,
		      struct sl_error *err);

/* What one flow is as text; what it does not ask for is an empty text. */
struct sl_flow_shown {
	const char *direction;
	const char *action; /* also portal, reset, reject: those of a redirect */
	char protocol[16];
	char remote[SL_ADDRESS_TEXT + 8];
	char remote_port[16];
	char local[SL_ADDRESS_TEXT + 8];
	char local_port[16];
	char dscp[8];
	char tcp_flags[64];
	char tcp_options[32];
	char icmp_type[8];
	const char *fragment;
	char ip_options[32];
	uint32_t family;
	bool this_host; /* sent by this host; cannot be asked for */
};

/* Read again it is the same flow, if it is none of a redirect's own. */
void sl_flow_show(const struct sluice_flow *flow, struct sl_flow_shown *out);

#endif
