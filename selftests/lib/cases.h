/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A case: one YAML file that says what a session manager asks for, which
 * packets are sent and what has to come of it (selftests/cases/README.md).
 * Texts point into the parsed document and live as long as the case.
 */
#ifndef SL_TEST_CASES_H
#define SL_TEST_CASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "policy/flow.h"
#include "policy/flow_text.h"
#include "sluice/maps.h"

/* The session manager's name for what matched no rule; version 0. */
#define CASE_DEFAULT_DROP "internal_default_drop_flow_rule"

enum case_engine_name { CASE_UNIT = 1, CASE_PROG = 2, CASE_NET = 4 };

#define CASE_LIST(type)       \
	struct {              \
		type *item;   \
		size_t count; \
	}

/* One of flows, own_flows and filters. */
struct case_policy {
	const char *id;
	uint32_t version;
	uint32_t precedence;
	CASE_LIST(struct sl_flow_match) flows;
	CASE_LIST(struct sl_flow_text) own_flows;
	CASE_LIST(const char *) filters; /* IPFilterRules */
	bool restricts;
};

struct case_result {
	const char *id;
	uint32_t version;
	bool success;
	CASE_LIST(const char *) names; /* what the reason of a FAILURE has to name */
	const char *note;	       /* of a SUCCESS: the reason that it comes with, checked on the wire */
};

enum case_origin { CASE_GX, CASE_GY, CASE_WILDCARD };

/* activate, deactivate, and one entry of setup */
struct case_request {
	const char *imsi;
	const char *ip;	  /* NULL: none */
	const char *ipv6; /* NULL: none */
	enum case_origin origin;
	CASE_LIST(struct case_policy) policies;
	CASE_LIST(struct case_result) results; /* activate only */
	bool remove_default_drop;	       /* deactivate only */
};

enum case_fragment { CASE_WHOLE, CASE_FIRST_FRAGMENT, CASE_LATER_FRAGMENT };

struct case_send {
	enum sluice_direction direction;
	const char *ue;
	const char *remote; /* a prefix: one packet (or count) for each of its addresses */
	uint32_t protocol;
	uint32_t ue_port;
	uint32_t remote_port;
	uint32_t size;	/* IP bytes of one packet */
	uint32_t count; /* for each remote address */
	enum case_fragment fragment;
	uint32_t dscp;
	const char *tcp_flags; /* NULL: syn */
	const char *tcp_options;
	const char *ip_options; /* IPv4 */
	const char *icmp_type;	/* NULL: echo request */
	uint32_t passed;	/* how many have to come out on the other side */
};

struct case_count {
	uint32_t packets;
	uint32_t bytes;
};

struct case_usage {
	const char *imsi;
	const char *ue;
	const char *rule;
	uint32_t version;
	struct case_count uplink, downlink, uplink_dropped, downlink_dropped;
};

struct case_rule {
	const char *imsi;
	const char *ue;
	const char *id;
	uint32_t version;
	enum case_origin origin;
};

struct case_expectation {
	bool has_usage, has_rules;
	CASE_LIST(struct case_usage) usage; /* all records there are, in any order */
	CASE_LIST(struct case_rule)
	rules; /* all rules in force, those of a session in the order they decide */
};

enum case_step_type {
	CASE_ACTIVATE,
	CASE_SETUP,
	CASE_DEACTIVATE,
	CASE_ACKNOWLEDGE,
	CASE_SEND,
	CASE_EXPECT,
};

struct case_step {
	enum case_step_type type;
	unsigned int line;
	struct case_request request; /* ACTIVATE, DEACTIVATE */
	CASE_LIST(struct case_request) setup;
	struct case_send send;
	struct case_expectation expect;
};

struct document;

struct test_case {
	char path[256];
	const char *title;
	const char *source;		   /* where it comes from; NULL: ours */
	unsigned int engines;		   /* enum case_engine_name, or-ed */
	const char *left_out;		   /* why not all engines; NULL: all */
	CASE_LIST(struct case_step) steps; /* none if only the engine "net" runs it */
	struct document *document;
};

/* -EINVAL with "PATH:LINE: field and value" for anything the format does not have; -ENOENT, -ENOMEM. */
int case_load(const char *path, struct test_case **out, struct sl_error *err);
void case_free(struct test_case *test);

#endif
