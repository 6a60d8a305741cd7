// SPDX-License-Identifier: Apache-2.0
#include "http/metrics.h"

#include <event2/buffer.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "base/utf8.h"

void sl_metric_family(struct sl_metrics *metrics, const char *name, enum sl_metric_type type,
		      const char *help)
{
	metrics->family = name;
	evbuffer_add_printf(metrics->out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name,
			    type == SL_METRIC_COUNTER ? "counter" : "gauge");
}

static void add_label_value(struct evbuffer *out, const char *text)
{
	size_t length = strlen(text);

	for (size_t i = 0, size; i < length; i += size) {
		size = sl_utf8_size(text + i, length - i);
		if (size == 0) {
			evbuffer_add(out, "?", 1);
			size = 1;
		} else if (text[i] == '\n') {
			evbuffer_add(out, "\\n", 2);
		} else {
			if (text[i] == '"' || text[i] == '\\')
				evbuffer_add(out, "\\", 1);
			evbuffer_add(out, text + i, size);
		}
	}
}

static void add_labels(struct sl_metrics *metrics, va_list labels)
{
	const char *name, *separator = "{";

	evbuffer_add(metrics->out, metrics->family, strlen(metrics->family));
	while ((name = va_arg(labels, const char *)) != NULL) {
		evbuffer_add_printf(metrics->out, "%s%s=\"", separator, name);
		add_label_value(metrics->out, va_arg(labels, const char *));
		evbuffer_add(metrics->out, "\"", 1);
		separator = ",";
	}
	if (*separator == ',')
		evbuffer_add(metrics->out, "}", 1);
}

void sl_metric(struct sl_metrics *metrics, uint64_t value, ...)
{
	va_list labels;

	va_start(labels, value);
	add_labels(metrics, labels);
	va_end(labels);
	evbuffer_add_printf(metrics->out, " %" PRIu64 "\n", value);
}

void sl_metric_real(struct sl_metrics *metrics, double value, ...)
{
	va_list labels;

	va_start(labels, value);
	add_labels(metrics, labels);
	va_end(labels);
	evbuffer_add_printf(metrics->out, " %.6f\n", value);
}
