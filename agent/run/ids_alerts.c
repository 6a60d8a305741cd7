// SPDX-License-Identifier: Apache-2.0
#include "run/ids_alerts.h"

#include <errno.h>
#include <string.h>

#include "api/watch_alerts.h"
#include "base/clock.h"
#include "base/log.h"
#include "ids/engine.h"
#include "ids/eve.h"
#include "ids/log.h"
#include "ids/sink.h"

static void on_told(const struct sl_ids_alert *alert, void *user)
{
	struct sl_agent *agent = user;

	sl_watch_alert(agent->service.watchers, alert);
	if (sl_log_level() < SL_LOG_DEBUG)
		return;
	sl_log(SL_LOG_DEBUG, "ids-alert", "what", "%s", sl_ids_event_name(alert), "rule", "%s", alert->rule,
	       "key", "%s", alert->key, "imsi", "%s", alert->imsi, "observed", "%llu",
	       (unsigned long long)alert->observed, "level", "%u", alert->level, "reason", "%s",
	       alert->reason, NULL);
}

static void on_alert(const struct sl_ids_alert *alert, const struct sl_ids_rule *rule,
		     const struct sluice_ids_key *key, void *user)
{
	struct sl_agent *agent = user;
	struct sl_ids_log_answer answer = sl_ids_log_ask(agent->ids_log, rule, alert, key, sl_now_ns());
	struct sl_ids_alert told = *alert;

	if (answer.evidence)
		sl_ids_sink_evidence(agent->ids_sink, alert, rule->evidence_headers);
	if (!answer.tell)
		return;
	told.suppressed = answer.suppressed;
	sl_ids_sink_write(agent->ids_sink, &told);
}

static void on_batch(void *user)
{
	sl_ids_sink_flush(((struct sl_agent *)user)->ids_sink);
}

int sl_ids_alerts_start(struct sl_agent *agent, struct sl_ids_engine_config *config, struct sl_error *err)
{
	const struct sl_config *from = agent->config;
	struct sl_ids_sink_config sink = {
		.eve_max_size = from->ids.eve_max_size,
		.eve_keep = from->ids.eve_keep,
		.syslog_form = from->ids.syslog_cef ? SL_IDS_SYSLOG_CEF : SL_IDS_SYSLOG_STRUCTURED,
		.per_second = from->ids.alerts_per_second,
		.evidence_max_size = from->ids.evidence_max_size,
		.on_alert = on_told,
		.user = agent,
	};

	_Static_assert(sizeof(sink.eve_file) == sizeof(from->ids.eve_file), "eve_file");
	_Static_assert(sizeof(sink.syslog) == sizeof(from->ids.syslog), "syslog");
	_Static_assert(sizeof(sink.evidence_directory) == sizeof(from->ids.evidence_directory), "evidence");
	memcpy(sink.eve_file, from->ids.eve_file, sizeof(sink.eve_file));
	memcpy(sink.syslog, from->ids.syslog, sizeof(sink.syslog));
	memcpy(sink.evidence_directory, from->ids.evidence_directory, sizeof(sink.evidence_directory));
	agent->ids_log = sl_ids_log_new();
	if (!agent->ids_log)
		return sl_error(err, ENOMEM, "out of memory");
	config->on_alert = on_alert;
	config->on_batch = on_batch;
	config->user = agent;
	return sl_ids_sink_open(&sink, &agent->ids_sink, err);
}

void sl_ids_alerts_stop(struct sl_agent *agent)
{
	sl_ids_sink_close(agent->ids_sink);
	sl_ids_log_free(agent->ids_log);
}

void sl_ids_alerts_reopen(struct sl_agent *agent)
{
	if (agent->ids_sink)
		sl_ids_sink_reopen(agent->ids_sink);
}
