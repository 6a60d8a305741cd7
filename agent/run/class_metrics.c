// SPDX-License-Identifier: Apache-2.0
#include "run/class_metrics.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "qos/qos.h"
#include "run/agent.h"

struct classes {
	struct sl_qos_class_stats *stats;
	int count;
};

static void clear(struct classes *classes)
{
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++)
		free(classes[direction].stats);
}

/* false: no value rather than a wrong one */
static bool read_classes(const struct sl_agent *agent, int direction, struct classes *out)
{
	struct sl_qos_pool_status single, trees;
	size_t max;

	sl_qos_pool_status(agent->qos, direction, &single);
	sl_qos_tree_status(agent->qos, direction, &trees);
	max = single.used + (size_t)trees.used * (1 + SL_QOS_TREE_LEAVES);
	out->stats = calloc(max + 1, sizeof(*out->stats));
	if (!out->stats)
		return false;
	out->count = sl_qos_read_stats(agent->qos, direction, out->stats, max, NULL);
	return out->count >= 0;
}

static uint64_t sent_bytes(const struct sl_qos_class_stats *stats)
{
	return stats->sent_bytes;
}

static uint64_t dropped_packets(const struct sl_qos_class_stats *stats)
{
	return stats->dropped_packets;
}

static uint64_t backlog_bytes(const struct sl_qos_class_stats *stats)
{
	return stats->backlog_bytes;
}

static uint64_t backlog_packets(const struct sl_qos_class_stats *stats)
{
	return stats->backlog_packets;
}

static void add(struct sl_metrics *out, const struct classes *classes,
		uint64_t (*value)(const struct sl_qos_class_stats *stats))
{
	static const char *const directions[] = {[SLUICE_UPLINK] = "uplink", [SLUICE_DOWNLINK] = "downlink"};

	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++)
		for (int i = 0; i < classes[direction].count; i++) {
			const struct sl_qos_class_stats *stats = &classes[direction].stats[i];
			char minor[8];

			snprintf(minor, sizeof(minor), "%x", stats->minor);
			sl_metric(out, value(stats), "direction", directions[direction], "class", minor,
				  NULL);
		}
}

void sl_class_metrics(struct sl_metrics *metrics, void *user)
{
	static const struct {
		const char *name, *help;
		enum sl_metric_type type;
		uint64_t (*value)(const struct sl_qos_class_stats *stats);
	} families[] = {
		{"sluice_class_sent_bytes_total", "IP bytes that the queue of an HTB class has sent.",
		 SL_METRIC_COUNTER, sent_bytes},
		{"sluice_class_dropped_packets_total", "Packets that the queue of an HTB class has dropped.",
		 SL_METRIC_COUNTER, dropped_packets},
		{"sluice_class_backlog_bytes", "Bytes that wait in the queue of an HTB class.",
		 SL_METRIC_GAUGE, backlog_bytes},
		{"sluice_class_backlog_packets", "Packets that wait in the queue of an HTB class.",
		 SL_METRIC_GAUGE, backlog_packets},
	};
	struct classes classes[SLUICE_DIRECTIONS] = {0};
	const struct sl_agent *agent = user;
	bool complete = true;

	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++)
		complete = complete && read_classes(agent, direction, &classes[direction]);
	for (size_t i = 0; complete && i < SL_ARRAY_SIZE(families); i++) {
		sl_metric_family(metrics, families[i].name, families[i].type, families[i].help);
		add(metrics, classes, families[i].value);
	}
	clear(classes);
}
