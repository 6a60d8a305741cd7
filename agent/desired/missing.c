// SPDX-License-Identifier: Apache-2.0
/* Desired rules whose names the catalogue does not have any more, and why others are failing. */
#include <strings.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "desired/model.h"

static void look(struct sl_desired *desired, struct sl_desired_rule *rule, struct sl_names *gone,
		 struct sl_names *found)
{
	const struct sl_rule *const *rules;
	bool missing = rule->name && sl_catalog_resolve(desired->catalog, rule->name, &rules) == 0;

	if (missing == rule->missing)
		return;
	rule->missing = missing;
	desired->missing += missing ? 1 : (size_t)-1;
	sl_names_add(missing ? gone : found, rule->name);
}

void sl_missing_update(struct sl_desired *desired)
{
	_cleanup_(sl_names_clear) struct sl_names gone = {NULL}, found = {NULL};
	const struct sl_desired_subscriber *subscriber;
	const struct sl_scope *scope;
	char text[SL_NAMES_TEXT];

	DL_FOREACH (desired->all, subscriber)
		LL_FOREACH (subscriber->scopes, scope)
			for (size_t i = 0; i < scope->rule_count; i++)
				look(desired, &scope->rules[i], &gone, &found);
	if (sl_names_count(&gone))
		sl_log(SL_LOG_WARNING, "desired-missing", "names", "%s", sl_names_text(&gone, text), "reason",
		       "%s", "the policy directory does not have them any more", NULL);
	if (sl_names_count(&found))
		sl_log(SL_LOG_INFO, "desired-found", "names", "%s", sl_names_text(&found, text), NULL);
}

uint32_t sl_missing_count(const struct sl_desired *desired, uint64_t now_ns)
{
	const struct sl_desired_subscriber *subscriber;
	const struct sl_scope *scope;
	uint32_t count = 0;

	if (desired->missing == 0)
		return 0;
	DL_FOREACH (desired->all, subscriber)
		LL_FOREACH (subscriber->scopes, scope)
			for (size_t i = 0; i < scope->rule_count; i++) {
				const struct sl_desired_rule *rule = &scope->rules[i];

				count += rule->missing && (!rule->until_ns || now_ns < rule->until_ns);
			}
	return count;
}

static bool is_of(const struct sl_desired_scope *scope, const struct sl_tracked *tracked)
{
	return scope->subscriber_wide || strcasecmp(scope->apn, tracked->apn) == 0;
}

static const struct sl_track *find_refused(const struct sl_desired *desired, const struct sl_tracked *tracked,
					   const struct sl_desired_rule *rule)
{
	const struct sl_rule *const *rules = &rule->rule;
	size_t count = 1;

	if (rule->name)
		count = sl_catalog_resolve(desired->catalog, rule->name, &rules);
	for (size_t i = 0; i < count; i++) {
		const struct sl_track *track = sl_track_find(tracked, rules[i]->id);

		if (track && track->refusals)
			return track;
	}
	return NULL;
}

bool sl_desired_problem(const struct sl_desired *desired, const struct sl_desired_scope *scope,
			const struct sl_desired_rule *rule, struct sl_error *why)
{
	const struct sl_desired_subscriber *subscriber = sl_subscriber_of(desired, scope->imsi);
	const struct sl_tracked *tracked;

	if (rule->missing) {
		sl_error(why, 0, "no rule and no base name of the policy directory any more");
		return true;
	}
	if (!subscriber)
		return false;
	LL_FOREACH (subscriber->sessions, tracked) {
		const struct sl_track *track =
			is_of(scope, tracked) ? find_refused(desired, tracked, rule) : NULL;
		char address[SL_ADDRESS_TEXT];

		if (!track)
			continue;
		sl_address_format(&tracked->address, address);
		sl_error(why, 0, "rule %.64s at %s: %s", track->id, address,
			 track->refusal ? track->refusal : "refused");
		return true;
	}
	return false;
}
