/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a session manager means, as plainly as it can be written down: rules in
 * its own terms, a frame as bytes, and what has to become of it. Nothing is
 * compiled, sorted or shared with the agent or its programs; every packet asks
 * every rule. That is slow, and there to be compared with.
 */
#ifndef REFERENCE_MODEL_H
#define REFERENCE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_RULES    1000
#define MODEL_FLOWS    6 /* of a rule */
#define MODEL_SESSIONS 4
#define MODEL_ID_SIZE  256

struct model_prefix {
	bool given;
	int family; /* 4 or 6 */
	uint8_t address[16];
	int length; /* bits */
};

/* Sluice's own form of a port: both ends belong to it; 0-65535 is the same as none. */
struct model_range {
	bool given;
	unsigned int low, high;
};

/* Options by number: of IP 137, 131, 7, 68; of TCP 2, 3, {4, 5}, 8, {11, 12, 13}; one bit each, in this
 * order. */
struct model_options {
	bool given;
	unsigned int present, absent;
};

/* The rarely used part of sluice's own form; all that is given must hold. */
struct model_terms {
	bool outside; /* the remote prefix, inverted */
	bool dscp_given;
	unsigned int dscp;
	bool flags_given; /* TCP: (flags & mask) == value, and any of `any` unless it is 0 */
	unsigned int flags_mask, flags_value, flags_any;
	bool icmp_given; /* ICMP in IPv4, ICMPv6 in IPv6 */
	unsigned int icmp_low, icmp_high;
	bool later_fragment;
	struct model_options ip_options, tcp_options;
};

/* A FlowMatch with its action: fields of a packet of that direction; 0 = not given. */
struct model_flow {
	bool downlink;
	bool deny;
	unsigned int ip_proto;
	bool protocol_zero;	   /* 0 is a protocol, and this one */
	struct model_prefix local; /* the session's address is in it, or not; of a given family */
	bool local_outside;
	struct model_terms terms;
	struct model_prefix ip_src, ip_dst;
	unsigned int tcp_src, tcp_dst, udp_src, udp_dst;
	struct model_range remote_port, local_port;
};

enum model_timeout { MODEL_NO_TIMEOUT, MODEL_NOT_PASSED, MODEL_PASSED };

struct model_rule {
	char id[MODEL_ID_SIZE];
	bool gy;
	uint32_t precedence;
	enum model_timeout timeout;
	unsigned int uplink_class, downlink_class;
	unsigned int flow_count;
	struct model_flow flows[MODEL_FLOWS];
};

struct model_session {
	int family;
	uint8_t address[16]; /* of an IPv6 session the first 64 bits count */
	bool has_rules;	     /* the world's; otherwise none at all */
};

struct model_world {
	bool unknown_passes;
	unsigned int session_count;
	struct model_session sessions[MODEL_SESSIONS];
	unsigned int rule_count;
	struct model_rule rules[MODEL_RULES];
};

/* A frame as a device has it, beginning with the Ethernet header. */
struct model_frame {
	const uint8_t *data;
	size_t length;
	bool downlink;
	unsigned int segments;	   /* GSO, as the kernel says: 0 = not one */
	unsigned int segment_size; /* bytes above the transport header; 0 = not one */
};

enum model_reason {
	MODEL_PERMITTED,
	MODEL_DENIED,
	MODEL_NO_RULE,
	MODEL_UNKNOWN_SUBSCRIBER,
	MODEL_MALFORMED,
	MODEL_NOT_IP,
	MODEL_FRAGMENT_OFFSET,
	MODEL_REASONS,
};

struct model_outcome {
	bool passes;
	enum model_reason reason;
	int session;	/* index, or -1 */
	int rule;	/* index, or -1 */
	uint32_t bytes; /* of IP, on the wire */
	uint32_t packets;
	unsigned int class; /* of the rule, in the packet's direction; 0 = none */
};

/* A rule with a flow that is not valid is not installed, whole. */
bool model_flow_is_valid(const struct model_flow *flow);
bool model_rule_is_valid(const struct model_rule *rule);

/* A rule none of whose flows can be about the family fails for a session of that family. */
bool model_rule_fits(const struct model_rule *rule, int family);

/* Control traffic (hop limit 1 or 255, DHCP, OSPF, ARP) is outside of the model: do not ask for it. */
struct model_outcome model_decide(const struct model_world *world, const struct model_frame *frame);

#endif
