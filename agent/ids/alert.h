/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the IDS tells: one alert, whatever the form in which it goes out
 * (EVE-style JSON lines, RFC 5424 syslog, CEF, the gRPC stream, pcapng evidence).
 */
#ifndef SL_IDS_ALERT_H
#define SL_IDS_ALERT_H

#include <stdbool.h>
#include <stdint.h>

#include "sluice/ids.h"

enum sl_ids_alert_type {
	SL_IDS_ALERT_EXCESS, /* above a limit */
	SL_IDS_ALERT_BLOCK,
	SL_IDS_ALERT_EXTEND,	 /* a block goes on; rate limited */
	SL_IDS_ALERT_UNBLOCK,	 /* reason: "idle", "hard", "operator", "reload", "clear" */
	SL_IDS_ALERT_FULL,	 /* a table has no room, or keys were evicted */
	SL_IDS_ALERT_LOST,	 /* records that found a ring or a queue full */
	SL_IDS_ALERT_SUPPRESSED, /* the sink's: what its cap held back, when no other alert says so */
};

/* Texts live as long as the call that hands the alert on. */
struct sl_ids_alert {
	enum sl_ids_alert_type type;
	uint64_t sequence;  /* of the agent's alerts, from 1; a gap: lost on the way out */
	uint64_t time_ns;   /* since 1970: when the packet came */
	uint64_t flow_id;   /* the same for all alerts and evidence of a connection */
	const char *rule;   /* name; "operator" */
	uint32_t signature; /* its number */
	uint32_t revision;
	const char *category;
	uint32_t severity;
	const char *action;  /* "blocked" or "allowed" */
	const char *verdict; /* of the rule: "drop", .. */
	bool observe;
	const char *imsi; /* "" where there is none */
	const char *session_address;
	const char *apn;
	const char *pcc_rule; /* id of the session's rule that decided; "" */
	const char *track;    /* "connection", .. */
	const char *key;      /* what is tracked, as text: "192.0.2.1:5000>198.51.100.1:5222/tcp" */
	const char *count;    /* "packets", .. */
	uint64_t limit;
	uint64_t window_ns;
	const char *kind;
	uint64_t observed;
	uint32_t level;
	uint64_t until_ns; /* since 1970; 0: none */
	const char *reason;
	uint64_t suppressed;	    /* alerts before it that it stands for, since they were not told */
	struct sluice_counter hits; /* UNBLOCK: what the block dropped */
	enum sluice_direction direction;
	uint8_t family; /* 0: no packet belongs to it */
	uint8_t protocol;
	uint16_t source_port;
	uint16_t destination_port;
	uint8_t source[16];
	uint8_t destination[16];
	char interface[16];
	uint32_t captured; /* bytes of headers, 0: none */
	uint32_t bytes;	   /* of the packet */
	bool l3;
	const uint8_t *headers;
};

#endif
