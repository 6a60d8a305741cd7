/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which living agent the routing rules and the table to a portal belong to, when
 * several agents are in one network namespace: each claims its priorities and its
 * table as long as it lives, by abstract names of Unix sockets (unix(7)). These
 * are the namespace's, as rules and tables are, and go with the process however
 * it ends.
 */
#ifndef SL_REDIRECT_CLAIM_H
#define SL_REDIRECT_CLAIM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum sl_claim_kind {
	SL_CLAIM_PRIORITY, /* of a rule */
	SL_CLAIM_TABLE,
};

#define SL_CLAIMS_MAX 4

/* All zeros: nothing is claimed. */
struct sl_claims {
	struct {
		enum sl_claim_kind kind;
		uint32_t number;
		int fd;
	} list[SL_CLAIMS_MAX];
	unsigned int count;
};

/*
 * -EADDRINUSE: another agent has it; the error names `field`, the number and, if
 * it can be told, his process. A name that is held by a process of another user,
 * who is not root, or by one that does not listen, is no agent's: that is logged,
 * and the claim is good without the name.
 * -ENOSPC for more than SL_CLAIMS_MAX.
 */
int sl_claim(struct sl_claims *claims, enum sl_claim_kind kind, uint32_t number, const char *field,
	     struct sl_error *err);

/* Somebody claims it and it is not in `own`, which may be NULL. */
bool sl_claimed_by_other(const struct sl_claims *own, enum sl_claim_kind kind, uint32_t number);

void sl_claims_release(struct sl_claims *claims);

#endif
