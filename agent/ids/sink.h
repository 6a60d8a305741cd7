/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where alerts go: a file of JSON lines, syslog, somebody who listens, and headers of packets
 * as evidence. Each way out has its own bound and its own count of what did not go through it;
 * none of them makes the agent wait for a reader.
 */
#ifndef SL_IDS_SINK_H
#define SL_IDS_SINK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "ids/alert.h"
#include "ids/syslog.h"

struct sl_ids_sink;

struct sl_ids_sink_config {
	char eve_file[200];    /* "": none */
	uint64_t eve_max_size; /* bytes; then it is FILE.1, the former FILE.1 is FILE.2, .. */
	uint32_t eve_keep;     /* of those */
	/*
	 * To all ways out; at most half of it for one rule, so that a noisy one does not hide the others.
	 * What is above is counted in `suppressed` of the next one. At least 2.
	 */
	uint32_t per_second;
	char syslog[112]; /* "unix:/dev/log", "udp:192.0.2.1:514", "udp:[2001:db8::1]:514"; "": none */
	enum sl_ids_syslog_form syslog_form;
	char evidence_directory[200]; /* pcapng, one file a day; "": none */
	uint64_t evidence_max_size;   /* of the directory: the oldest file goes */
	void (*on_alert)(const struct sl_ids_alert *alert, void *user); /* may be NULL */
	void *user;
	uint64_t (*clock)(void); /* monotonic ns; NULL: sl_now_ns */
};

/* A file or directory that cannot be made is an error; who listens to syslog may come later. */
int sl_ids_sink_open(const struct sl_ids_sink_config *config, struct sl_ids_sink **out, struct sl_error *err);
void sl_ids_sink_close(struct sl_ids_sink *sink);

/*
 * To every way out. What is told once and what is suppressed add up: over all that went out, the sum of
 * 1 + suppressed is the number of alerts that came in with theirs.
 */
void sl_ids_sink_write(struct sl_ids_sink *sink, const struct sl_ids_alert *alert);

/* Headers of the alert's packet, at most so many bytes of them. At most per_second packets in a second. */
void sl_ids_sink_evidence(struct sl_ids_sink *sink, const struct sl_ids_alert *alert, uint32_t headers);

/*
 * Lines reach the file when this is called, or as soon as 64 KiB wait: after each batch of events. What the
 * cap has held back is told here, a second later, if no other alert comes.
 */
void sl_ids_sink_flush(struct sl_ids_sink *sink);

/* Files that somebody has moved away are made anew. */
void sl_ids_sink_reopen(struct sl_ids_sink *sink);

struct sl_ids_sink_stats {
	uint64_t told;			  /* went out */
	uint64_t suppressed;		  /* by the cap, with what they stood for */
	uint64_t eve_written, eve_failed; /* lines; those that wait are neither */
	uint64_t syslog_sent, syslog_failed;
	uint64_t evidence_written, evidence_failed, evidence_suppressed;
};
void sl_ids_sink_stats(const struct sl_ids_sink *sink, struct sl_ids_sink_stats *out);

#endif
