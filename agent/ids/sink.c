// SPDX-License-Identifier: Apache-2.0
#include "ids/sink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "ids/eve.h"
#include "ids/evidence.h"
#include "ids/line_file.h"
#include "ids/syslog.h"

#define NS_PER_S 1000000000ull

/* Rules in force, and alerts of none. */
#define SHARES (SLUICE_IDS_RULES + 1)

struct sl_ids_sink {
	struct sl_ids_sink_config config;
	struct sl_line_file *eve;
	struct sl_ids_syslog *syslog;
	struct sl_ids_evidence *evidence;
	uint64_t second_ns; /* begin of the one that is counted */
	uint32_t told;	    /* in it */
	uint32_t packets;
	struct {
		uint32_t signature;
		uint32_t told;
	} share[SHARES];
	uint32_t share_count;
	uint64_t held_back; /* not told of yet */
	uint64_t held_sequence;
	bool eve_is_failing;
	struct sl_ids_sink_stats stats;
};

static uint64_t now_of(const struct sl_ids_sink *sink)
{
	return sink->config.clock ? sink->config.clock() : sl_now_ns();
}

int sl_ids_sink_open(const struct sl_ids_sink_config *config, struct sl_ids_sink **out, struct sl_error *err)
{
	struct sl_ids_sink *sink = calloc(1, sizeof(*sink));
	int rc = 0;

	if (!sink)
		return sl_error(err, ENOMEM, "out of memory");
	sink->config = *config;
	if (config->eve_file[0])
		rc = sl_line_file_open(config->eve_file, config->eve_max_size, config->eve_keep, &sink->eve,
				       err);
	if (rc == 0 && config->syslog[0])
		rc = sl_ids_syslog_open(config->syslog, config->syslog_form, &sink->syslog, err);
	if (rc == 0 && config->evidence_directory[0])
		rc = sl_ids_evidence_open(config->evidence_directory, config->evidence_max_size,
					  &sink->evidence, err);
	if (rc < 0) {
		sl_ids_sink_close(sink);
		return rc;
	}
	*out = sink;
	return 0;
}

void sl_ids_sink_close(struct sl_ids_sink *sink)
{
	if (!sink)
		return;
	sl_line_file_close(sink->eve);
	sl_ids_syslog_close(sink->syslog);
	sl_ids_evidence_close(sink->evidence);
	free(sink);
}

/* --- the cap -------------------------------------------------------------------------------- */

static void begin_second(struct sl_ids_sink *sink)
{
	uint64_t now = now_of(sink);

	if (now - sink->second_ns < NS_PER_S)
		return;
	sink->second_ns = now;
	sink->told = sink->packets = sink->share_count = 0;
}

static uint32_t *share_of(struct sl_ids_sink *sink, uint32_t signature)
{
	for (uint32_t i = 0; i < sink->share_count; i++)
		if (sink->share[i].signature == signature)
			return &sink->share[i].told;
	/* of rules that were read within this second, more than are in force at once: they share the last */
	if (sink->share_count == SHARES)
		return &sink->share[SHARES - 1].told;
	sink->share[sink->share_count].signature = signature;
	sink->share[sink->share_count].told = 0;
	return &sink->share[sink->share_count++].told;
}

static bool is_within_cap(struct sl_ids_sink *sink, const struct sl_ids_alert *alert)
{
	uint32_t *share;

	begin_second(sink);
	share = share_of(sink, alert->signature);
	if (sink->told >= sink->config.per_second || *share >= sink->config.per_second / 2)
		return false;
	sink->told++;
	(*share)++;
	return true;
}

/* --- ways out --------------------------------------------------------------------------------- */

static void to_eve(struct sl_ids_sink *sink, const struct sl_ids_alert *alert)
{
	size_t length = 0;
	char *line = sl_ids_eve_format(alert, &length);

	if (!line || sl_line_file_add(sink->eve, line, length) < 0)
		sink->stats.eve_failed++;
	free(line);
}

static void tell(struct sl_ids_sink *sink, const struct sl_ids_alert *alert)
{
	sink->stats.told++;
	if (sink->eve)
		to_eve(sink, alert);
	if (sink->syslog)
		sl_ids_syslog_send(sink->syslog, alert, now_of(sink));
	if (sink->config.on_alert)
		sink->config.on_alert(alert, sink->config.user);
}

void sl_ids_sink_write(struct sl_ids_sink *sink, const struct sl_ids_alert *alert)
{
	struct sl_ids_alert told = *alert;

	if (!is_within_cap(sink, alert)) {
		sink->held_back += 1 + alert->suppressed;
		sink->held_sequence = alert->sequence;
		sink->stats.suppressed += 1 + alert->suppressed;
		return;
	}
	told.suppressed += sink->held_back;
	sink->held_back = 0;
	tell(sink, &told);
}

/* A storm that ends leaves nobody who would say how long it was. */
static void tell_held_back(struct sl_ids_sink *sink)
{
	struct timespec time;
	struct sl_ids_alert alert = {
		.type = SL_IDS_ALERT_SUPPRESSED,
		.sequence = sink->held_sequence,
		.rule = "suppressed",
		.category = "operator",
		.severity = 3,
		.action = "allowed",
		.verdict = "",
		.imsi = "",
		.session_address = "",
		.apn = "",
		.pcc_rule = "",
		.track = "",
		.key = "",
		.count = "",
		.kind = "",
		.observed = sink->held_back,
		.reason = "alerts-per-second",
		/* it is one itself, that nobody sent */
		.suppressed = sink->held_back - 1,
	};

	clock_gettime(CLOCK_REALTIME, &time);
	alert.time_ns = (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec;
	sink->held_back = 0;
	tell(sink, &alert);
}

void sl_ids_sink_evidence(struct sl_ids_sink *sink, const struct sl_ids_alert *alert, uint32_t headers)
{
	if (!sink->evidence || !alert->captured)
		return;
	begin_second(sink);
	if (sink->packets >= sink->config.per_second) {
		sink->stats.evidence_suppressed++;
		return;
	}
	sink->packets++;
	if (sl_ids_evidence_write(sink->evidence, alert, headers) < 0)
		sink->stats.evidence_failed++;
	else
		sink->stats.evidence_written++;
}

void sl_ids_sink_flush(struct sl_ids_sink *sink)
{
	int rc;

	begin_second(sink);
	if (sink->held_back && sink->told == 0)
		tell_held_back(sink);
	if (!sink->eve)
		return;
	rc = sl_line_file_flush(sink->eve);
	if (rc < 0 && !sink->eve_is_failing)
		sl_log(SL_LOG_ERROR, "ids-eve-failed", "file", "%s", sink->config.eve_file, "reason", "%s",
		       strerror(-rc), NULL);
	if (rc == 0 && sink->eve_is_failing)
		sl_log(SL_LOG_INFO, "ids-eve-goes-on", "file", "%s", sink->config.eve_file, "failed", "%llu",
		       (unsigned long long)sink->stats.eve_failed, NULL);
	sink->eve_is_failing = rc < 0;
}

void sl_ids_sink_reopen(struct sl_ids_sink *sink)
{
	int rc = sink->eve ? sl_line_file_reopen(sink->eve) : 0;

	if (rc < 0)
		sl_log(SL_LOG_ERROR, "ids-eve-failed", "file", "%s", sink->config.eve_file, "reason", "%s",
		       strerror(-rc), NULL);
	if (sink->evidence)
		sl_ids_evidence_reopen(sink->evidence);
}

void sl_ids_sink_stats(const struct sl_ids_sink *sink, struct sl_ids_sink_stats *out)
{
	*out = sink->stats;
	if (sink->eve)
		out->eve_written = sl_line_file_written(sink->eve);
	if (sink->syslog)
		sl_ids_syslog_stats(sink->syslog, &out->syslog_sent, &out->syslog_failed);
}
