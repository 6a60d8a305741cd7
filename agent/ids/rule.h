/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An IDS rule as an operator writes it (section `ids` of the policy directory;
 * ids/document.h has the language), and what it becomes in the maps. Pure: no
 * BPF, no clock, no I/O.
 */
#ifndef SL_IDS_RULE_H
#define SL_IDS_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "sluice/ids.h"

#define SL_IDS_SUBSCRIBERS 1024 /* of one list; more are refused */
#define SL_IDS_EXEMPT	   12	/* prefixes of one rule; each is a match for each direction */
#define SL_IDS_QUARANTINE  16	/* names of one rule */

#define SL_IDS_HOUR_NS	  3600000000000ull
#define SL_IDS_DAY_NS	  (24 * SL_IDS_HOUR_NS)
#define SL_IDS_NUMBER_LOW 1000000u /* signature ids begin here; below are those of others by custom */

enum sl_ids_log {
	SL_IDS_LOG_FIRST,    /* of each offence */
	SL_IDS_LOG_EVERY,    /* the first and then every n-th */
	SL_IDS_LOG_INTERVAL, /* at most one in each interval of a key */
	SL_IDS_LOG_BACKOFF,  /* the 1st, 2nd, 4th, .. up to every n-th */
};

struct sl_ids_rule {
	char name[SLUICE_IDS_NAME_SIZE];
	char file[64]; /* of the policy directory */
	unsigned int line;
	uint32_t number;  /* signature id: stable hash of the name, 1,000,000 and more */
	uint32_t content; /* hash of everything but file and line; image.revision only of what is counted */

	struct sluice_ids_match match[SLUICE_IDS_MATCHES_PER_RULE]; /* exemptions first, as DENY */
	uint32_t match_count;
	uint32_t exempt_matches; /* of them */
	char mirror[16];
	/*
	 * As it lies in the map, but for in_use, first_match, steer, blocks and what was
	 * before. `sketch` is 1 where a filter is wanted; which one, the maps say.
	 */
	struct sluice_ids_rule image;

	char quarantine[SL_IDS_QUARANTINE][SLUICE_RULE_ID_SIZE];
	uint32_t quarantine_count;
	char redirect[SLUICE_REDIRECT_SIZE]; /* verdict redirect */
	uint32_t redirect_type;		     /* enum sluice_redirect */
	uint64_t police;		     /* bit/s; image.police is the word */

	double repeat_factor; /* 1: always the same */
	uint64_t repeat_max_ns;
	uint64_t forget_ns;
	uint32_t jitter_percent;
	uint8_t escalate_track; /* 0: not */
	uint32_t escalate_after;
	uint64_t escalate_within_ns;
	uint32_t clear_percent; /* 0: no hysteresis */
	uint64_t clear_ns;
	enum sl_ids_log log;
	uint64_t log_number; /* n, ns */
	uint32_t evidence_packets;
	uint32_t evidence_headers;
	uint64_t poll_ns;  /* engine poll */
	uint32_t severity; /* 1 (highest) to 4 */
	char category[48];

	char (*exempt)[SLUICE_IMSI_SIZE]; /* owned, in order */
	uint32_t exempt_count;
	char (*subscribers)[SLUICE_IMSI_SIZE]; /* owned, in order; 0: for all */
	uint32_t subscriber_count;
};

void sl_ids_rule_clear(struct sl_ids_rule *rule);

/* Another owner of the same; -ENOMEM. */
int sl_ids_rule_copy(const struct sl_ids_rule *rule, struct sl_ids_rule *out);

/*
 * Fills in what follows from the rest: number, identity, revision, content.
 * `ordinal`: which of the rules of this name in the order of reading, 0 for the
 * first; each has an identity of its own, so that none touches another's states.
 */
void sl_ids_rule_seal(struct sl_ids_rule *rule, uint32_t ordinal);

/* What is judged by the agent's sweeps alone; nothing of it is stopped by the packet itself. */
bool sl_ids_rule_is_swept(const struct sl_ids_rule *rule);

/* All rules of a policy directory, in the order of reading, which is that of deciding. */
struct sl_ids_rules {
	struct sl_ids_rule *rule; /* owned */
	uint32_t count;
};
void sl_ids_rules_clear(struct sl_ids_rules *rules);

/*
 * The bits that `count` different values set on average in a set of
 * SLUICE_IDS_SET_BITS (linear counting, m(1 - (1 - 1/m)^n)), rounded to the
 * nearest. `count` is at most SL_IDS_DISTINCT_MAX.
 */
#define SL_IDS_DISTINCT_MAX 2048 /* where a count is off by 3 % on average */
uint32_t sl_ids_distinct_bits(uint32_t count);

/* The other way round, for what is told: how many values so many bits stand for. */
uint32_t sl_ids_distinct_estimate(uint32_t bits);

/*
 * A bucket's time of a unit in 2^-10 ns, rounded up, so that never more than
 * count in window pass on average. -ERANGE: `burst` of them are more than the
 * clock can hold (2^62), or a unit takes less than 2^-10 ns.
 */
int sl_ids_bucket_interval(uint64_t window_ns, uint64_t count, uint64_t burst, uint64_t *interval);

#endif
