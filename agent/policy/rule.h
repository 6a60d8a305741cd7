/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A rule: what a session manager calls a PolicyRule (3GPP TS 23.203 clause
 * 6.3, PCC rule), in the terms that enforcement needs. Immutable once made and
 * shared by reference: ten thousand sessions with the same rule hold one.
 */
#ifndef SL_POLICY_RULE_H
#define SL_POLICY_RULE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "sluice/maps.h"

/* The name under which a session manager expects what matched no rule; no rule may have it. */
#define SL_DEFAULT_DROP_RULE "internal_default_drop_flow_rule"

/* Where what the rule permits goes instead, or as well; mode FREE: nowhere. */
struct sl_rule_steer {
	enum sluice_steer_mode mode;
	char interface[16];
	uint32_t next_hop_family; /* 4 or 6; 0: none */
	uint8_t next_hop[16];
	uint32_t slot; /* in steers; control/ sets it */
};

/* Of an ARP that is not given: 3GPP TS 29.212 clauses 5.3.46 and 5.3.47, and the worst level. */
#define SL_ARP_LEVEL_WORST 15

/*
 * Allocation and retention priority (3GPP TS 29.212 clause 5.3.32): who gets a
 * GBR when there is not enough for all. Level 1 is the best; 0: no ARP is given,
 * which is level 15, may not pre-empt, may be pre-empted.
 */
struct sl_arp {
	uint8_t level;
	bool may_preempt;
	bool may_be_preempted;
};

struct sl_profile_use;

struct sl_rule {
	char id[SLUICE_RULE_ID_SIZE];
	uint32_t precedence;
	uint32_t rating_group;
	uint32_t hard_timeout_s;
	uint64_t mbr[SLUICE_DIRECTIONS]; /* bit/s, 0 = none */
	uint64_t gbr[SLUICE_DIRECTIONS];
	struct sl_arp arp;
	enum sluice_rate_backend backend; /* of MBR and GBR */
	uint16_t class_id; /* QCI, 5QI or an operator's own; 0: not given. No effect on enforcement */
	enum sluice_redirect redirect; /* not NONE: control/ makes the flows, from the server's addresses */
	/*
	 * QoS profile that MBR, GBR, ARP, backend and class come from, by control/ as
	 * the rule is taken into force (policy/profile.h); empty: they are its own.
	 */
	char profile[SLUICE_PROFILE_SIZE];
	char redirect_address[SLUICE_REDIRECT_SIZE];
	bool is_static; /* the content comes from the policy directory */
	bool is_final;	/* in force for what a used-up quota no longer lets pass, and for nothing else */
	struct sl_rule_steer steer;
	uint32_t flow_count;
	struct sluice_flow *flows; /* owned */
	const char *
		note; /* static: what its author may not have meant, for people; NULL: nothing. No content. */

	uint32_t references;
	uint32_t record;     /* slot in the rules map; SLUICE_NONE until it has one. The datapath's. */
	uint32_t first_flow; /* slot in the flows map */
	/* control/'s: who has the profile, and how often this rule is in force; of rules with a profile */
	struct sl_profile_use *profile_use;
	uint32_t in_force;
	uint64_t hash;
	uint64_t number; /* of the content in its table: no other content ever had it there, or will */
};

/*
 * What is wrong with a rule, as one line that names field and value:
 * an empty or too long id, no flows, too many, host bits set in a prefix, a
 * prefix longer than its family allows, a remote address of no family, ports
 * without TCP, UDP or SCTP, an empty port range, an unknown direction or
 * action; a prefix of the subscriber's side that is longer than the /64 of an
 * IPv6 session; terms that can hold for no packet of the flow's protocol; a
 * an ARP level above 15, an ARP without a level that says more; a GBR above the MBR, if there is one; a
 * redirect to nowhere (policy/redirect.h), one that is steered as well; a steer
 * without an interface's name, with a next hop where none is used, or of a rule
 * that permits nothing. 0 or -EINVAL.
 *
 * A rule that redirects needs no flows: they follow from the server's
 * addresses. If it has some they may send packets to the portal, reset, reject
 * and ask for this host; those of other rules permit or deny.
 */
int sl_rule_validate(const struct sl_rule *rule, struct sl_error *err);

/* That alone, for rates that a profile has filled in. */
int sl_rule_check_gbr(const struct sl_rule *rule, struct sl_error *err);

/*
 * Whether the rule sends packets to one of the interfaces `access`, the agent's
 * own on the subscribers' side: what left there would be judged again, as
 * another subscriber's or nobody's. Their names end with NULL; NULL: there are
 * none. 0 or -EINVAL, naming field and value.
 */
int sl_rule_check_steer(const struct sl_rule *rule, const char *const *access, struct sl_error *err);

bool sl_rule_has_gbr(const struct sl_rule *rule);

/* The ARP of the rule, or what holds where none is given. */
struct sl_arp sl_rule_arp(const struct sl_rule *rule);

/* Fits the family (4 or 6): at least one flow can ever match an address of it, or they are yet to be made. */
bool sl_rule_fits(const struct sl_rule *rule, uint32_t family);

/* Same in every field that enforcement sees, id included. */
bool sl_rule_equal(const struct sl_rule *a, const struct sl_rule *b);
uint64_t sl_rule_hash(const struct sl_rule *rule);

/* The set of rules known, each content once. */
struct sl_rule_table;

int sl_rule_table_new(struct sl_rule_table **out);
void sl_rule_table_free(struct sl_rule_table *table); /* and every rule in it */

/*
 * The shared copy of a rule (a new one with references = 1, or the one that is
 * there with one reference more). The argument stays the caller's. -ENOMEM.
 */
int sl_rule_table_intern(struct sl_rule_table *table, const struct sl_rule *rule, struct sl_rule **out);
bool sl_rule_table_has(const struct sl_rule_table *table, const struct sl_rule *rule); /* this content */
struct sl_rule *sl_rule_ref(struct sl_rule *rule);

/* Drops a reference; the last one removes and frees the rule after calling `gone` (may be NULL) with it. */
void sl_rule_table_unref(struct sl_rule_table *table, struct sl_rule *rule,
			 void (*gone)(struct sl_rule *rule, void *user), void *user);
uint32_t sl_rule_table_count(const struct sl_rule_table *table);

/* Calls visit for each rule in no order. */
void sl_rule_table_each(const struct sl_rule_table *table, void (*visit)(struct sl_rule *rule, void *user),
			void *user);

#endif
