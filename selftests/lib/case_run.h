/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a case against an engine. What a session manager's requests come to -
 * sessions, rules in order, usage slots, compiled images - is worked out here
 * with the agent's own policy code; the engine publishes it where its packets
 * look, sends packets and reads counts.
 */
#ifndef SL_TEST_CASE_RUN_H
#define SL_TEST_CASE_RUN_H

#include "base/idpool.h"
#include "cases.h"
#include "policy/address.h"
#include "policy/compile.h"
#include "walk.h"

#define CASE_SESSIONS 32
#define CASE_INSTALLS 64 /* of one session */
#define CASE_USAGE    256

/* One usage slot that a report would name. */
struct case_record {
	bool used;
	bool retired; /* final, not acknowledged yet */
	uint32_t session;
	uint32_t version;
	char rule[SLUICE_RULE_ID_SIZE];
};

struct case_session {
	bool used;
	bool active;
	uint32_t slot;
	char imsi[SLUICE_IMSI_SIZE];
	struct sl_address address;
	uint32_t default_usage;
	struct sl_install installs[CASE_INSTALLS]; /* in the order they decide */
	size_t install_count;
	struct sl_ruleset_image image;
};

struct case_packet {
	struct sl_address ue; /* as in the packet: any address of an IPv6 /64 */
	struct walk_packet walk;
	struct walk_terms terms;
	uint32_t size;
	enum case_fragment fragment;
};

struct case_run;

struct case_engine {
	unsigned int name; /* one of enum case_engine_name */
	void *user;
	/* session->image and its bindings are what packets of the session see from now on */
	int (*publish)(struct case_run *run, const struct case_session *session, struct sl_error *err);
	int (*withdraw)(struct case_run *run, const struct case_session *session, struct sl_error *err);
	/* one packet; *passed: it goes on its way */
	int (*send)(struct case_run *run, const struct case_packet *packet, bool *passed,
		    struct sl_error *err);
	int (*read_usage)(struct case_run *run, uint32_t slot, struct sluice_usage *out,
			  struct sl_error *err);
	/* the slot begins at zero again, for a new owner */
	int (*clear_usage)(struct case_run *run, uint32_t slot, struct sl_error *err);
};

struct case_run {
	const struct test_case *test;
	const struct case_engine *engine;
	struct case_session sessions[CASE_SESSIONS];
	struct case_record records[CASE_USAGE]; /* index = usage slot */
	struct sl_rule_table *rules;
};

/* 0, or -errno with what differs from the file, beginning "PATH:LINE: ". */
int case_run(const struct test_case *test, const struct case_engine *engine, struct sl_error *err);

/* The active session that has this address; NULL: unknown subscriber. */
const struct case_session *case_run_session(const struct case_run *run, const struct sl_address *ue);

#endif
