// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "client.h"
#include "ids.h"
#include "output.h"
#include "sluice/v1/admin.pb-c.h"
#include "table.h"

static void print_text(const char *key, const char *value)
{
	_cleanup_free_ char *text = NULL;

	if (!value[0])
		return;
	text = table_escape(value);
	printf(strpbrk(text, " =\"") ? " %s=\"%s\"" : " %s=%s", key, text);
}

static void print_number(const char *key, uint64_t value)
{
	if (value)
		printf(" %s=%" PRIu64, key, value);
}

static void print_limit(const Sluice__V1__IdsAlert *alert)
{
	char window[SL_UNITS_SIZE];

	if (!alert->limit)
		return;
	printf(" observed=%" PRIu64 " limit=%" PRIu64, alert->observed, alert->limit);
	if (alert->window_ms)
		printf("/%s", sl_format_duration(alert->window_ms, window));
	print_text("count", alert->count);
}

static void print_alert(const Sluice__V1__IdsAlert *alert)
{
	printf("%s.%03u %s", output_time(alert->time_us / 1000), (unsigned int)(alert->time_us / 1000 % 1000),
	       alert->event);
	print_text("rule", alert->rule);
	print_number("severity", alert->severity);
	print_text("action", alert->action);
	print_text("imsi", alert->imsi);
	print_text("key", alert->key);
	print_limit(alert);
	print_text("reason", alert->reason);
	print_number("level", alert->level);
	if (alert->until_ms)
		print_text("until", output_time(alert->until_ms));
	print_number("hits", alert->hit_packets);
	print_text("pcc-rule", alert->pcc_rule);
	print_text("direction", alert->direction);
	print_text("interface", alert->interface);
	print_number("suppressed", alert->suppressed);
	print_number("missed", alert->missed);
	puts("");
}

static void on_alert(const ProtobufCMessage *message, void *user)
{
	if (*(const bool *)user)
		output_print_line(output_message(message));
	else
		print_alert((const Sluice__V1__IdsAlert *)message);
}

int ids_watch(struct ctl *ctl, const struct ids_filter *filter)
{
	Sluice__V1__WatchIdsAlertsRequest request = SLUICE__V1__WATCH_IDS_ALERTS_REQUEST__INIT;
	int ret;

	if (filter->rule)
		request.rule = filter->rule;
	if (filter->imsi)
		request.imsi = filter->imsi;
	request.max_severity = (uint32_t)filter->severity;
	ret = client_open(ctl);
	if (ret == CTL_OK)
		ret = client_stream(ctl, "/sluice.v1.Admin/WatchIdsAlerts", &request.base,
				    &sluice__v1__ids_alert__descriptor, 0, on_alert, &ctl->json);
	client_close(ctl);
	return ret;
}
