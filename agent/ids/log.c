// SPDX-License-Identifier: Apache-2.0
#include "ids/log.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

struct entry {
	struct sluice_ids_key key;
	uint64_t count; /* of this offence */
	uint64_t last_ns;
	uint64_t told_ns; /* 0: never */
	uint64_t suppressed;
	uint32_t packets; /* of evidence */
	UT_hash_handle hh;
	struct entry *prev, *next; /* in the order of last_ns */
};

struct sl_ids_log_table {
	struct entry *by_key, *by_time;
	uint32_t entries;
	uint64_t orphans; /* held back by keys that gave way */
	uint64_t total, held;
};

struct sl_ids_log_table *sl_ids_log_new(void)
{
	return calloc(1, sizeof(struct sl_ids_log_table));
}

static void drop(struct sl_ids_log_table *log, struct entry *entry)
{
	log->orphans += entry->suppressed;
	HASH_DEL(log->by_key, entry);
	DL_DELETE(log->by_time, entry);
	log->entries--;
	free(entry);
}

void sl_ids_log_free(struct sl_ids_log_table *log)
{
	if (!log)
		return;
	while (log->by_time)
		drop(log, log->by_time);
	free(log);
}

static struct entry *entry_of(struct sl_ids_log_table *log, const struct sluice_ids_key *key)
{
	struct entry *entry;

	HASH_FIND(hh, log->by_key, key, sizeof(*key), entry);
	if (entry) {
		DL_DELETE(log->by_time, entry);
		DL_APPEND(log->by_time, entry);
		return entry;
	}
	if (log->entries == SL_IDS_LOG_KEYS)
		drop(log, log->by_time);
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return NULL;
	entry->key = *key;
	HASH_ADD(hh, log->by_key, key, sizeof(entry->key), entry);
	DL_APPEND(log->by_time, entry);
	log->entries++;
	return entry;
}

static uint64_t quiet_ns(const struct sl_ids_rule *rule)
{
	uint64_t longest = 0;

	for (uint32_t i = 0; i < rule->image.limit_count; i++)
		if (rule->image.limit[i].window_ns > longest)
			longest = rule->image.limit[i].window_ns;
	return longest;
}

/* `count`: which alert of the offence it is, from 1. */
static bool wants(const struct sl_ids_rule *rule, const struct entry *entry, uint64_t now)
{
	const uint64_t number = rule->log_number ? rule->log_number : 1;
	uint64_t count = entry->count;

	switch (rule->log) {
	case SL_IDS_LOG_EVERY:
		return (count - 1) % number == 0;
	case SL_IDS_LOG_INTERVAL:
		return !entry->told_ns || now - entry->told_ns >= number;
	case SL_IDS_LOG_BACKOFF:
		return count <= number ? (count & (count - 1)) == 0 : count % number == 0;
	default:
		return count == 1;
	}
}

static struct sl_ids_log_answer tell(struct sl_ids_log_table *log, struct entry *entry, uint64_t own,
				     uint64_t now)
{
	struct sl_ids_log_answer answer = {.tell = true, .suppressed = own + log->orphans};

	log->held -= log->orphans;
	log->orphans = 0;
	if (!entry)
		return answer;
	answer.suppressed += entry->suppressed;
	log->held -= entry->suppressed;
	entry->suppressed = 0;
	entry->told_ns = now;
	return answer;
}

static bool is_change(const struct sl_ids_alert *alert)
{
	return alert->type == SL_IDS_ALERT_BLOCK || alert->type == SL_IDS_ALERT_UNBLOCK;
}

struct sl_ids_log_answer sl_ids_log_ask(struct sl_ids_log_table *log, const struct sl_ids_rule *rule,
					const struct sl_ids_alert *alert, const struct sluice_ids_key *key,
					uint64_t now)
{
	struct sl_ids_log_answer answer = {.tell = false};
	struct sluice_ids_key of;
	struct entry *entry = NULL;
	bool evidence = false;

	if (rule && key) {
		of = *key;
		of.limit = 0;
		/* a full table would say so once for each key */
		if (alert->type == SL_IDS_ALERT_FULL)
			of = (struct sluice_ids_key){.rule = key->rule};
		entry = entry_of(log, &of);
	}
	if (!entry)
		return tell(log, NULL, alert->suppressed, now);
	if (alert->type != SL_IDS_ALERT_UNBLOCK) {
		if (entry->count && now - entry->last_ns >= quiet_ns(rule))
			entry->count = entry->packets = 0;
		entry->count++;
		entry->last_ns = now;
		evidence = alert->captured && entry->packets < rule->evidence_packets;
		entry->packets += evidence;
	}
	if (is_change(alert) || wants(rule, entry, now)) {
		answer = tell(log, entry, alert->suppressed, now);
	} else {
		entry->suppressed += 1 + alert->suppressed;
		log->total += 1 + alert->suppressed;
		log->held += 1 + alert->suppressed;
	}
	answer.evidence = evidence;
	if (alert->type == SL_IDS_ALERT_UNBLOCK)
		drop(log, entry);
	return answer;
}

void sl_ids_log_suppressed(const struct sl_ids_log_table *log, uint64_t *total, uint64_t *held)
{
	*total = log->total;
	*held = log->held;
}
