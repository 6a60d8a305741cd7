/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IPFilterRule once more, written from RFC 6733 clause 4.3.1 without a line of
 * agent/policy/ipfilter_*.c: random rules in a form of their own, their text in
 * random spelling, and a plain judge. Addresses are integers, every criterion
 * of every rule is looked at, nothing ends early.
 */
#ifndef SL_TEST_IPFILTER_MODEL_H
#define SL_TEST_IPFILTER_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/ipfilter.h"

#define MODEL_PORTS 4

enum model_place {
	MODEL_PREFIX,
	MODEL_ANY,
	MODEL_ASSIGNED,
};

struct model_prefix {
	int family;
	unsigned __int128 value;
	int length;
};

struct model_end {
	enum model_place place;
	bool is_inverted;
	struct model_prefix prefix;
	int port_count;
	int low[MODEL_PORTS];
	int high[MODEL_PORTS];
};

/* Of each name in a list: 1 must be there, -1 must not, 0 not asked. */
struct model_rule {
	bool is_deny;
	bool is_out;
	int protocol; /* -1: ip */
	struct model_end end[2];
	bool is_frag;
	bool is_established;
	bool is_setup;
	int ip_option[4];
	int tcp_option[5];
	int tcp_flag[6];
	bool icmp_type[19];
};

#define MODEL_PREFIXES 3

struct model_terminal {
	size_t count;
	struct model_prefix prefix[MODEL_PREFIXES];
};

/* SLUICE_SEED, or one from the clock; printed, so that a failure can be had again. */
uint64_t model_seed(void);

/* 0 .. bound - 1 */
unsigned int model_random(uint64_t *state, unsigned int bound);

/* One time in `bound`. */
bool model_one_in(uint64_t *state, unsigned int bound);

/* In network byte order. */
void model_bytes(unsigned __int128 value, int size, uint8_t *bytes);

/* The list names anything at all. */
bool model_asks(const int *wish, int count);

/* The clause's names of ICMP types; NULL: it has none for this number. */
extern const char *const model_icmp_type[19];

/* A rule that the dialect allows. */
void model_rule(uint64_t *state, enum sl_ipfilter_dialect dialect, struct model_rule *out);
void model_terminal(uint64_t *state, struct model_terminal *out);

/* A packet whose addresses, ports and so on are often those of random rules. */
void model_packet(uint64_t *state, struct sl_ipfilter_packet *out);

/* The rule in random blanks, order of options, and forms of addresses and ICMP types. */
void model_text(uint64_t *state, const struct model_rule *rule, char out[SL_IPFILTER_TEXT]);

/* The terminal as the library has it; `room` lives as long as the result. */
struct sl_ipfilter_terminal model_terminal_given(const struct model_terminal *terminal,
						 struct sl_ipfilter_prefix room[MODEL_PREFIXES]);

struct sl_ipfilter_verdict model_judge(const struct model_rule *rules, size_t count,
				       const struct model_terminal *terminal,
				       const struct sl_ipfilter_packet *packet);

#endif
