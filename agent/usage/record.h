/* SPDX-License-Identifier: Apache-2.0 */
/* One line of usage, as reported: absolute counts of (IMSI, UE address, rule, version). */
#ifndef SL_USAGE_RECORD_H
#define SL_USAGE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/address.h"
#include "policy/rule.h"
#include "sluice/maps.h"

struct sl_usage_record {
	const char *imsi;    /* digits; owned by the session, valid until the loop runs again */
	const char *rule_id; /* or SL_DEFAULT_DROP_RULE */
	struct sl_address address;
	uint32_t version; /* 0 for the default drop */
	uint32_t slot;	  /* usage slot */
	uint32_t shard;
	uint64_t since_ns; /* CLOCK_MONOTONIC */
	enum sluice_origin origin;
	bool is_default;   /* the default drop's */
	bool retired;	   /* no packet is counted here any more */
	bool final;	   /* retired, and no packet can still be adding to it */
	uint32_t sequence; /* of its retirement: the same slot may be retired again, with other counts */
	struct sluice_usage usage;
};

/* "These final counts have arrived." */
struct sl_usage_receipt {
	uint32_t slot;
	uint32_t sequence;
};

#endif
