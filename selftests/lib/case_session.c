// SPDX-License-Identifier: Apache-2.0
#include "case_session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct case_session *case_session_find(struct case_run *run, const struct sl_address *ue)
{
	for (uint32_t i = 0; i < CASE_SESSIONS; i++)
		if (run->sessions[i].active && sl_address_same_endpoint(&run->sessions[i].address, ue))
			return &run->sessions[i];
	return NULL;
}

const struct case_session *case_run_session(const struct case_run *run, const struct sl_address *ue)
{
	return case_session_find((struct case_run *)run, ue);
}

int case_session_record(struct case_run *run, uint32_t session, const char *rule, uint32_t version,
			uint32_t *slot, struct sl_error *err)
{
	for (uint32_t i = 0; i < CASE_USAGE; i++) {
		struct case_record *record = &run->records[i];

		if (record->used)
			continue;
		*record = (struct case_record){.used = true, .session = session, .version = version};
		snprintf(record->rule, sizeof(record->rule), "%s", rule);
		*slot = i;
		return run->engine->clear_usage(run, i, err);
	}
	return sl_error(err, ENOSPC, "more than %d usage records", CASE_USAGE);
}

int case_session_get(struct case_run *run, const char *imsi, const struct sl_address *ue,
		     struct case_session **out, struct sl_error *err)
{
	struct case_session *session = case_session_find(run, ue);

	if (session) {
		if (strcmp(session->imsi, imsi) != 0)
			return sl_error(err, EINVAL, "two subscribers with one address: '%s' and '%s'", imsi,
					session->imsi);
		*out = session;
		return 0;
	}
	for (uint32_t i = 0; i < CASE_SESSIONS; i++) {
		session = &run->sessions[i];
		if (session->used)
			continue;
		*session = (struct case_session){.used = true, .active = true, .slot = i, .address = *ue};
		snprintf(session->imsi, sizeof(session->imsi), "%s", imsi);
		*out = session;
		return case_session_record(run, i, CASE_DEFAULT_DROP, 0, &session->default_usage, err);
	}
	return sl_error(err, ENOSPC, "more than %d sessions", CASE_SESSIONS);
}

void case_session_remove(struct case_run *run, struct case_session *session, size_t index)
{
	run->records[session->installs[index].binding.usage].retired = true;
	sl_rule_table_unref(run->rules, session->installs[index].rule, NULL, NULL);
	session->install_count--;
	memmove(&session->installs[index], &session->installs[index + 1],
		(session->install_count - index) * sizeof(session->installs[0]));
}

struct sl_install *case_session_install(struct case_session *session, const char *id,
					enum sluice_origin origin)
{
	for (size_t i = 0; i < session->install_count; i++)
		if (session->installs[i].origin == origin && strcmp(session->installs[i].rule->id, id) == 0)
			return &session->installs[i];
	return NULL;
}

int case_session_publish(struct case_run *run, struct case_session *session, struct sl_error *err)
{
	struct sl_ruleset_image image;
	int result;

	sl_install_sort(session->installs, session->install_count);
	result = sl_compile(session->installs, session->install_count, &session->address, &image, err);
	if (result < 0)
		return result;
	sl_ruleset_image_clear(&session->image);
	session->image = image;
	return run->engine->publish(run, session, err);
}

int case_session_end(struct case_run *run, struct case_session *session, struct sl_error *err)
{
	while (session->install_count > 0)
		case_session_remove(run, session, session->install_count - 1);
	run->records[session->default_usage].retired = true;
	session->active = false;
	sl_ruleset_image_clear(&session->image);
	return run->engine->withdraw(run, session, err);
}
