// SPDX-License-Identifier: Apache-2.0
#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"
#include "datapath/ids_maps.h"
#include "ids/engine.h"
#include "ids/log.h"
#include "ids/notes.h"
#include "ids/sink.h"
#include "run/ids_alerts.h"
#include "run/metrics.h"

/* --- rules ------------------------------------------------------------------------------------ */

/* Rules for some subscribers have the name of the one in whose place they are: one row. */
struct row {
	char name[SLUICE_IDS_NAME_SIZE];
	uint64_t packets[3], bytes[3]; /* matched, excess, dropped */
	uint64_t refused, suppressed, blocks;
};

struct rows {
	const struct sl_ids_table *table;
	struct row row[SLUICE_IDS_RULES];
	size_t count;
};

static struct row *row_of(struct rows *rows, const char *name)
{
	for (size_t i = 0; i < rows->count; i++)
		if (strncmp(rows->row[i].name, name, sizeof(rows->row[i].name) - 1) == 0)
			return &rows->row[i];
	memcpy(rows->row[rows->count].name, name, sizeof(rows->row[0].name) - 1);
	return &rows->row[rows->count++];
}

static void add(struct row *row, size_t at, const struct sluice_counter *counter)
{
	row->packets[at] += counter->packets;
	row->bytes[at] += counter->bytes;
}

static int read_rule(const struct sl_ids_view *view, void *user)
{
	struct rows *rows = user;
	struct sluice_ids_rule_count count;
	struct row *row;

	/* no value rather than a wrong one */
	if (sl_ids_rules_counts(rows->table, view->slot, &count) < 0)
		return 0;
	row = row_of(rows, view->image->name);
	add(row, 0, &count.matched);
	add(row, 1, &count.excess);
	add(row, 2, &count.dropped);
	row->refused += count.keys_refused;
	row->suppressed += count.events_suppressed;
	row->blocks += __atomic_load_n(&view->image->blocks, __ATOMIC_RELAXED);
	return 0;
}

static void add_rows(struct sl_metrics *out, const struct rows *rows, const char *name, const char *help,
		     enum sl_metric_type type, size_t offset)
{
	sl_metric_family(out, name, type, help);
	for (size_t i = 0; i < rows->count; i++)
		sl_metric(out, *(const uint64_t *)((const char *)&rows->row[i] + offset), "rule",
			  rows->row[i].name, NULL);
}

static void add_rules(struct sl_metrics *out, const struct sl_agent *agent)
{
	static const struct {
		const char *name, *help;
		size_t offset;
	} counters[] = {
		{"sluice_ids_matched_packets_total", "Packets that an IDS rule is about.",
		 offsetof(struct row, packets[0])},
		{"sluice_ids_matched_bytes_total", "Their IP bytes.", offsetof(struct row, bytes[0])},
		{"sluice_ids_excess_packets_total", "Packets above a limit of the rule.",
		 offsetof(struct row, packets[1])},
		{"sluice_ids_excess_bytes_total", "Their IP bytes.", offsetof(struct row, bytes[1])},
		{"sluice_ids_dropped_packets_total", "Packets that the rule or a block of it has dropped.",
		 offsetof(struct row, packets[2])},
		{"sluice_ids_dropped_bytes_total", "Their IP bytes.", offsetof(struct row, bytes[2])},
		{"sluice_ids_keys_refused_total", "Packets for whose key a table had no room.",
		 offsetof(struct row, refused)},
		{"sluice_ids_events_suppressed_total",
		 "Packets above a limit that the kernel did not tell of one by one.",
		 offsetof(struct row, suppressed)},
	};
	struct rows rows = {.table = agent->ids};
	struct sl_ids_rules_status status;

	sl_ids_rules_each(agent->ids, read_rule, &rows);
	sl_metric_family(out, "sluice_ids_rules", SL_METRIC_GAUGE, "IDS rules in force.");
	sl_metric(out, sl_ids_rules_count(agent->ids), NULL);
	sl_ids_rules_status(agent->ids, &status);
	sl_metric_family(out, "sluice_ids_rules_changes_total", SL_METRIC_COUNTER,
			 "Changes of the IDS rules, by result; refused: a table had no room.");
	sl_metric(out, status.changes, "result", "in-force", NULL);
	sl_metric(out, status.refusals, "result", "refused", NULL);
	sl_metric_family(out, "sluice_ids_rules_are_good", SL_METRIC_GAUGE,
			 "1 when the IDS rules that were read last are in force.");
	sl_metric(out, !status.problem, NULL);
	for (size_t i = 0; i < SL_ARRAY_SIZE(counters); i++)
		add_rows(out, &rows, counters[i].name, counters[i].help, SL_METRIC_COUNTER,
			 counters[i].offset);
	add_rows(out, &rows, "sluice_ids_rule_blocks", "Blocks in force, by rule.", SL_METRIC_GAUGE,
		 offsetof(struct row, blocks));
}

/* --- blocks ------------------------------------------------------------------------------------ */

static void add_blocks(struct sl_metrics *out, const struct sl_agent *agent)
{
	struct sl_ids_blocks_stats stats;

	sl_ids_blocks_stats(sl_ids_engine_blocks(agent->ids_engine), &stats);
	sl_metric_family(out, "sluice_ids_blocks", SL_METRIC_GAUGE, "Blocks in force, by who made them.");
	sl_metric(out, stats.active - stats.operators, "by", "rule", NULL);
	sl_metric(out, stats.operators, "by", "operator", NULL);
	sl_metric_family(out, "sluice_ids_blocks_begun_total", SL_METRIC_COUNTER, "Blocks since the start.");
	sl_metric(out, stats.begun, NULL);
	sl_metric_family(out, "sluice_ids_blocks_ended_total", SL_METRIC_COUNTER,
			 "Blocks that have ended since the start.");
	sl_metric(out, stats.ended, NULL);
	sl_metric_family(out, "sluice_ids_offenders", SL_METRIC_GAUGE,
			 "Keys whose next block is longer, since they had some of late.");
	sl_metric(out, stats.offenders, NULL);
}

/* --- tables ------------------------------------------------------------------------------------- */

/* Tables that packets add to, and those of the agent. */
struct table_row {
	const char *name;
	uint64_t size, used, refused;
};

#define AGENTS_TABLES 5
#define TABLES	      (SLUICE_IDS_TABLES + AGENTS_TABLES)

static void fill_agents_tables(const struct sl_agent *agent, const struct sl_ids_engine_stats *stats,
			       struct table_row row[AGENTS_TABLES])
{
	struct sl_ids_blocks *of = sl_ids_engine_blocks(agent->ids_engine);
	const struct sl_ids_notes *notes = sl_ids_blocks_notes(of);
	struct sl_ids_blocks_stats blocks;
	struct sl_ids_rules_status rules;

	sl_ids_blocks_stats(of, &blocks);
	sl_ids_rules_status(agent->ids, &rules);
	row[0] = (struct table_row){sl_ids_table_name(SL_IDS_OFFENDERS),
				    sl_ids_table_size(agent->datapath, SL_IDS_OFFENDERS), blocks.offenders,
				    blocks.offenders_refused};
	row[1] = (struct table_row){sl_ids_table_name(SL_IDS_OVERRIDE_PAIRS),
				    sl_ids_table_size(agent->datapath, SL_IDS_OVERRIDE_PAIRS),
				    rules.overrides, 0};
	row[2] = (struct table_row){"polled", SL_IDS_POLLED, stats->polled, stats->polled_refused};
	row[4] = (struct table_row){sl_ids_table_name(SL_IDS_NOTES),
				    sl_ids_table_size(agent->datapath, SL_IDS_NOTES), notes->used,
				    notes->refused};
	row[3] = (struct table_row){"escalations", SL_IDS_ESCALATIONS, stats->escalations,
				    stats->escalations_dropped};
}

static void add_column(struct sl_metrics *out, const struct table_row *rows, const char *name,
		       enum sl_metric_type type, const char *help, size_t offset)
{
	sl_metric_family(out, name, type, help);
	for (int i = 0; i < TABLES; i++)
		sl_metric(out, *(const uint64_t *)((const char *)&rows[i] + offset), "table", rows[i].name,
			  NULL);
}

static void add_tables(struct sl_metrics *out, const struct sl_agent *agent)
{
	struct sl_ids_engine_stats stats;
	struct sluice_ids_table_count counts[SLUICE_IDS_TABLES] = {{0}};
	struct table_row rows[TABLES];

	sl_ids_engine_stats(agent->ids_engine, &stats);
	for (int table = 0; table < SLUICE_IDS_TABLES; table++) {
		const enum sl_ids_map map = (enum sl_ids_map)table;

		if (sl_ids_table_counts(agent->datapath, map, &counts[table]) < 0)
			return;
		rows[table] =
			(struct table_row){sl_ids_table_name(map), sl_ids_table_size(agent->datapath, map),
					   stats.used[table], counts[table].refused};
	}
	fill_agents_tables(agent, &stats, rows + SLUICE_IDS_TABLES);
	add_column(out, rows, "sluice_ids_table_slots", SL_METRIC_GAUGE, "Keys that a table has room for.",
		   offsetof(struct table_row, size));
	add_column(out, rows, "sluice_ids_table_slots_used", SL_METRIC_GAUGE,
		   "Keys in it, as of the last round through it.", offsetof(struct table_row, used));
	add_column(out, rows, "sluice_ids_table_refused_total", SL_METRIC_COUNTER,
		   "Keys for which it had no room.", offsetof(struct table_row, refused));
	sl_metric_family(out, "sluice_ids_table_made_total", SL_METRIC_COUNTER,
			 "Keys that packets put into it.");
	for (int table = 0; table < SLUICE_IDS_TABLES; table++)
		sl_metric(out, counts[table].made, "table", sl_ids_table_name((enum sl_ids_map)table), NULL);
	sl_metric_family(out, "sluice_ids_table_evicted_total", SL_METRIC_COUNTER,
			 "Keys that gave way to others since the start; those from outside as of the last "
			 "round.");
	sl_metric(out, stats.evicted, "table", sl_ids_table_name(SL_IDS_BUCKETS_LRU), NULL);
	sl_metric(out, stats.escalations_evicted, "table", "escalations", NULL);
}

/* --- alerts -------------------------------------------------------------------------------------- */

static void add_alerts(struct sl_metrics *out, const struct sl_agent *agent)
{
	struct sl_ids_engine_stats engine;
	struct sl_ids_sink_stats sink;
	uint64_t by_rules, held;

	sl_ids_engine_stats(agent->ids_engine, &engine);
	sl_ids_sink_stats(agent->ids_sink, &sink);
	sl_ids_log_suppressed(agent->ids_log, &by_rules, &held);
	sl_metric_family(out, "sluice_ids_events_total", SL_METRIC_COUNTER,
			 "Records of packets that the agent has read.");
	sl_metric(out, engine.events, NULL);
	sl_metric_family(out, "sluice_ids_events_lost_total", SL_METRIC_COUNTER,
			 "Records of packets that found the ring full.");
	sl_metric(out, engine.lost, NULL);
	sl_metric_family(out, "sluice_ids_alerts_total", SL_METRIC_COUNTER, "Alerts that were told.");
	sl_metric(out, sink.told, NULL);
	sl_metric_family(
		out, "sluice_ids_alerts_suppressed_total", SL_METRIC_COUNTER,
		"Alerts that were not told, with what they stood for: by the rule's log, by the cap.");
	sl_metric(out, by_rules, "by", "log", NULL);
	sl_metric(out, sink.suppressed, "by", "alerts-per-second", NULL);
	sl_metric_family(out, "sluice_ids_alerts_sent_total", SL_METRIC_COUNTER,
			 "Alerts, by way out and what became of them.");
	sl_metric(out, sink.eve_written, "to", "eve", "result", "written", NULL);
	sl_metric(out, sink.eve_failed, "to", "eve", "result", "failed", NULL);
	sl_metric(out, sink.syslog_sent, "to", "syslog", "result", "written", NULL);
	sl_metric(out, sink.syslog_failed, "to", "syslog", "result", "failed", NULL);
	sl_metric(out, sink.evidence_written, "to", "evidence", "result", "written", NULL);
	sl_metric(out, sink.evidence_failed, "to", "evidence", "result", "failed", NULL);
	sl_metric(out, sink.evidence_suppressed, "to", "evidence", "result", "suppressed", NULL);
}

void sl_ids_metrics(struct sl_metrics *out, const struct sl_agent *agent)
{
	add_rules(out, agent);
	add_blocks(out, agent);
	add_tables(out, agent);
	add_alerts(out, agent);
}
