// SPDX-License-Identifier: Apache-2.0
#include "case_expectation.h"

#include <errno.h>
#include <string.h>

static int check_count(const struct case_usage *expected, const char *what, const struct case_count *wanted,
		       const struct sluice_counter *got, struct sl_error *err)
{
	if (wanted->packets == got->packets && wanted->bytes == got->bytes)
		return 0;
	return sl_error(err, EINVAL, "%s version %u of %s: %s %llu packets %llu bytes, expected %u and %u",
			expected->rule, expected->version, expected->ue, what,
			(unsigned long long)got->packets, (unsigned long long)got->bytes, wanted->packets,
			wanted->bytes);
}

static bool is_record_of(const struct case_run *run, const struct case_record *record, const char *imsi,
			 const struct sl_address *ue, const struct case_usage *expected)
{
	const struct case_session *session = &run->sessions[record->session];

	return record->used && strcmp(record->rule, expected->rule) == 0 &&
	       record->version == expected->version && strcmp(session->imsi, imsi) == 0 &&
	       sl_address_same_endpoint(&session->address, ue);
}

static int check_record(struct case_run *run, const struct case_usage *expected, struct sl_error *err)
{
	struct sluice_usage usage;
	struct sl_address ue;
	char imsi[SLUICE_IMSI_SIZE];
	uint32_t slot;
	int result;

	if (sl_imsi_parse("imsi", expected->imsi, imsi, err) < 0 ||
	    sl_address_parse("ue", expected->ue, &ue, err) < 0)
		return -EINVAL;
	for (slot = 0; slot < CASE_USAGE; slot++)
		if (is_record_of(run, &run->records[slot], imsi, &ue, expected))
			break;
	if (slot == CASE_USAGE)
		return sl_error(err, EINVAL, "no usage of %s version %u for %s", expected->rule,
				expected->version, expected->ue);
	result = run->engine->read_usage(run, slot, &usage, err);
	if (result == 0)
		result = check_count(expected, "uplink", &expected->uplink, &usage.uplink, err);
	if (result == 0)
		result = check_count(expected, "downlink", &expected->downlink, &usage.downlink, err);
	if (result == 0)
		result = check_count(expected, "uplink_dropped", &expected->uplink_dropped,
				     &usage.uplink_dropped, err);
	if (result == 0)
		result = check_count(expected, "downlink_dropped", &expected->downlink_dropped,
				     &usage.downlink_dropped, err);
	return result;
}

int case_check_usage(struct case_run *run, const struct case_expectation *expect, struct sl_error *err)
{
	size_t records = 0;

	for (size_t i = 0; i < expect->usage.count; i++) {
		int result = check_record(run, &expect->usage.item[i], err);

		if (result < 0)
			return result;
	}
	for (uint32_t slot = 0; slot < CASE_USAGE; slot++)
		records += run->records[slot].used;
	if (records != expect->usage.count)
		return sl_error(err, EINVAL, "%zu usage records, expected %zu", records, expect->usage.count);
	return 0;
}

static int check_rule(struct case_run *run, const struct case_rule *expected, size_t next[CASE_SESSIONS],
		      struct sl_error *err)
{
	struct sl_address ue;
	const struct case_session *session;
	const struct sl_install *got;

	if (sl_address_parse("ue", expected->ue, &ue, err) < 0)
		return -EINVAL;
	session = case_run_session(run, &ue);
	if (!session)
		return sl_error(err, EINVAL, "no session has the address %s", expected->ue);
	if (next[session->slot] >= session->install_count)
		return sl_error(err, EINVAL, "%s has no rule %s", expected->ue, expected->id);
	got = &session->installs[next[session->slot]++];
	if (strcmp(got->rule->id, expected->id) != 0 || got->version != expected->version ||
	    (got->origin == SLUICE_ORIGIN_GY) != (expected->origin == CASE_GY))
		return sl_error(err, EINVAL, "rule %zu of %s is %s version %u %s, expected %s version %u %s",
				next[session->slot], expected->ue, got->rule->id, got->version,
				got->origin == SLUICE_ORIGIN_GY ? "GY" : "GX", expected->id,
				expected->version, expected->origin == CASE_GY ? "GY" : "GX");
	return 0;
}

int case_check_rules(struct case_run *run, const struct case_expectation *expect, struct sl_error *err)
{
	size_t next[CASE_SESSIONS] = {0};

	for (size_t i = 0; i < expect->rules.count; i++) {
		int result = check_rule(run, &expect->rules.item[i], next, err);

		if (result < 0)
			return result;
	}
	for (uint32_t i = 0; i < CASE_SESSIONS; i++)
		if (run->sessions[i].active && next[i] != run->sessions[i].install_count)
			return sl_error(err, EINVAL, "a session of %s has %zu rules, expected %zu",
					run->sessions[i].imsi, run->sessions[i].install_count, next[i]);
	return 0;
}
