/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Quotas: how much a rule, a rating group or a session may use (3GPP TS 32.299
 * clause 6.5, RFC 8506 clause 8.15 to 8.17). Judged on every packet: what passes
 * is never more than the limit, by not one byte, however many CPUs forward;
 * the first packet that does not fit uses the quota up, and from then on what
 * it was to pay for is judged by the session's final policy (the policy's next
 * slot), or dropped.
 *
 *   binding.usage | SLUICE_USAGE_QUOTA -> quota_of[usage] -> quotas[slot] -> parent ..
 *
 * A packet pays each of them or none. It pays last, when nothing else would
 * drop it any more. Rules of the final policy pay nothing.
 */
#ifndef SLUICE_QUOTA_H
#define SLUICE_QUOTA_H

#include "maps.h"

/* Rule, rating group, session. */
#define SLUICE_QUOTA_DEPTH 3

/* Bytes, ns: no such limit. */
#define SLUICE_QUOTA_UNLIMITED 0xffffffffffffffffull

enum sluice_quota_scope {
	SLUICE_QUOTA_FREE = 0,
	SLUICE_QUOTA_RULE = 1,
	SLUICE_QUOTA_RATING_GROUP = 2,
	SLUICE_QUOTA_SESSION = 3,
};

/* Bits of sluice_quota.state. The rest is the number of the grant: a packet that was held up marks no later
 * one. */
enum sluice_quota_state {
	SLUICE_QUOTA_WARNED = 1 << 0,	 /* the threshold's event was sent */
	SLUICE_QUOTA_EXHAUSTED = 1 << 1, /* for good, until more is granted */
	SLUICE_QUOTA_GRANT = 1 << 2,
};

/*
 * quotas: value. Packets add to `used`, and take back what they cannot pay in
 * full, so that it may be a few packets above what has passed for a moment;
 * `state` they change by compare-and-swap. The agent grants more by raising
 * `limit` first, then adding SLUICE_QUOTA_GRANT to `state` with both bits cleared.
 */
struct sluice_quota {
	__u64 used;	     /* bytes charged, since the slot was taken */
	__u64 limit;	     /* bytes; what has passed stays at or below it */
	__u64 threshold;     /* bytes: an event when used comes to it */
	__u64 first_ns;	     /* of the first packet that was charged since the grant; 0: none yet */
	__u64 time_ns;	     /* how long after it the quota lasts */
	__u32 warn_s;	     /* seconds after it: an event; 0: none */
	__u32 state;	     /* enum sluice_quota_state */
	__u32 parent;	     /* slot in quotas; SLUICE_NONE: none */
	__u16 directions;    /* bit 1 << enum sluice_direction: which it counts */
	__u16 scope;	     /* enum sluice_quota_scope */
	__u64 refused_bytes; /* of packets that did not fit, whatever became of them */
};

/* Name of a quota with its NUL: a rule's id, cut to fit; empty for other scopes. */
#define SLUICE_QUOTA_NAME_SIZE 64

/* What is granted. Bytes and times are absolute, so that it can be written twice. */
struct sluice_quota_grant {
	__u64 number;
	__u64 bytes; /* as it was asked for */
	__u64 limit;
	__u64 threshold;
	__u64 time_ns;
	__u32 warn_s;
	__u32 directions;
};

/*
 * quota_owners: value, same index as quotas. For the agent's next start and for
 * people; no packet reads it. A quota that no policy in force leads to is
 * there only if `scope` says so, which is written after the policy.
 */
struct sluice_quota_owner {
	__u32 scope;	    /* enum sluice_quota_scope */
	__u32 session;	    /* slot; of twins one of the two */
	__u32 rating_group; /* RATING_GROUP */
	__u32 origin;	    /* RULE: enum sluice_origin */
	__u64 name_hash;    /* RULE: of the whole id */
	__u64 since_ns;
	struct sluice_quota_grant grant; /* the last one: its number again changes nothing */
	struct sluice_quota_grant next; /* about to be carried out, if is_next: the next start does it then */
	__u32 is_next;
	__u32 told; /* the state of which watchers know */
	char imsi[SLUICE_IMSI_SIZE];
	char name[SLUICE_QUOTA_NAME_SIZE];
};

_Static_assert(sizeof(struct sluice_quota) == 64, "a quota is one cache line");
_Static_assert(sizeof(struct sluice_quota_owner) % 8 == 0, "quota owner");

#endif
