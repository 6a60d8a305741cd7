/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quotas of sessions (sluice/quota.h), as they are asked for and as they are
 * seen. Part of control.h.
 *
 * A quota belongs to a rule of a session (by id and origin, whatever its
 * version), to all rules of it with one rating group, or to the session. The
 * sessions of a dual-stack subscriber have those of session and rating group
 * together, and that of a rule which both have; when they part, each has half of
 * what is left. It ends with what it belongs to.
 */
#ifndef SL_CONTROL_QUOTA_H
#define SL_CONTROL_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/address.h"
#include "sluice/quota.h"

struct sl_control;

/* Quotas of a session. More: the request is refused. */
#define SL_QUOTAS_PER_SESSION 256

/* Bytes and seconds that can be granted at once: no clock and no counter comes round. More: refused. */
#define SL_QUOTA_BYTES_MAX (1ull << 60)
#define SL_QUOTA_TIME_MAX  (10ull * 366 * 86400)

/*
 * Of a request to activate. A quota that is not there yet is made, with what is
 * granted; one that is there is granted as much from now on, unless `grant` is
 * the number of the last grant: then it stays as it is. Quotas that are not
 * named stay; in a setup they go.
 */
struct sl_quota_request {
	enum sluice_quota_scope scope;
	const char *rule_id; /* RULE: in the session, or in this request; not a final one */
	enum sluice_origin origin;
	uint32_t rating_group; /* RATING_GROUP: not 0 */
	uint64_t grant;
	uint64_t bytes;	     /* 0: no limit if there is a time, else used up at once */
	uint64_t warn_bytes; /* tell when so much of them is used; 0: do not */
	uint64_t time_s;     /* from the first packet that is charged; 0: no limit */
	uint64_t warn_s;     /* likewise */
	uint32_t directions; /* bit 1 << enum sluice_direction: which count */
	bool remove;	     /* there is to be none any more; all else but the name counts for nothing */
};

struct sl_quota_view {
	uint32_t slot;
	const char *imsi;
	struct sl_address address; /* of twins: one of the two; family 0: it has just ended */
	enum sluice_quota_scope scope;
	const char *rule_id; /* RULE; at least its first 63 bytes */
	enum sluice_origin origin;
	uint32_t rating_group;
	uint32_t directions;
	uint64_t grant;
	uint64_t granted;   /* bytes of that grant; SLUICE_QUOTA_UNLIMITED: no limit */
	uint64_t used;	    /* bytes since it was made, at most `limit` */
	uint64_t limit;	    /* likewise */
	uint64_t threshold; /* likewise; SLUICE_QUOTA_UNLIMITED: none */
	uint64_t refused;   /* bytes that did not fit */
	uint64_t time_ns;   /* granted; SLUICE_QUOTA_UNLIMITED: no limit */
	uint64_t left_ns;   /* of it */
	uint64_t since_ns;
	bool warned;
	bool used_up;
};

/* In order of slots from this one on, all of them (imsi NULL) or one IMSI's. Non-zero from visit ends it. */
int sl_control_each_quota(struct sl_control *control, const char *imsi, uint32_t from_slot,
			  int (*visit)(const struct sl_quota_view *view, void *user), void *user);

/* The kernel's record of this quota (struct sluice_quota_event) has come. */
void sl_control_quota_event(struct sl_control *control, uint32_t slot);

#endif
