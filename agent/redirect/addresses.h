/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The addresses of one host that are open to who is redirected there: those of
 * the last answer, and for a while those that it does not have any more. A name
 * server that answers with other addresses each time would close the one that a
 * subscriber's browser is using. Pure: who asks says what time it is.
 */
#ifndef SL_REDIRECT_ADDRESSES_H
#define SL_REDIRECT_ADDRESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/address.h"

#define SL_SERVERS_ADDRESSES  32  /* of one host, open at once: the oldest held ones make room */
#define SL_SERVERS_HOLD_MIN_S 600 /* or the time to live, if that is longer */

/* In ascending order, IPv4 first. All zeros: none yet. */
struct sl_addresses {
	struct sl_address address[SL_SERVERS_ADDRESSES];
	uint64_t held_until_ns[SL_SERVERS_ADDRESSES]; /* 0: in the last answer */
	size_t count;
	uint64_t hold_ns; /* how long those of the last answer stay when they are no more in the next one */
};

/*
 * Takes an answer: at most SL_SERVERS_ADDRESSES, all of which are open from now
 * on; what the answer before had and this one has not is held, once more each
 * time. hold_ns: for the addresses of this answer. True: others are open than before.
 */
bool sl_addresses_take(struct sl_addresses *open, const struct sl_address *answer, size_t count,
		       uint64_t hold_ns, uint64_t now_ns);

/* Closes those that have been held long enough. True: there were some. */
bool sl_addresses_expire(struct sl_addresses *open, uint64_t now_ns);

/* When the next one is to be closed; 0: none is held. */
uint64_t sl_addresses_next_ns(const struct sl_addresses *open);

#endif
