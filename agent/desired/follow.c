// SPDX-License-Identifier: Apache-2.0
/*
 * When the policy directory changes what a base name stands for, the sessions
 * that were activated by it follow: they get what it has come to stand for, and
 * lose what it stands for no more, unless another of their names does.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "desired/base_names.h"

#define ORIGINS (SLUICE_ORIGIN_GY + 1)

static int by_id(const void *a, const void *b)
{
	const struct sl_rule *const *one = a, *const *other = b;

	return strcmp((*one)->id, (*other)->id);
}

static const struct sl_rule **members(const struct sl_catalog *catalog, const char *name, size_t *count)
{
	const struct sl_rule *const *rules = NULL;
	const struct sl_rule **sorted;

	*count = sl_catalog_resolve(catalog, name, &rules);
	sorted = calloc(*count + 1, sizeof(*sorted));
	if (!sorted)
		return NULL;
	if (*count)
		memcpy(sorted, rules, *count * sizeof(*sorted));
	qsort(sorted, *count, sizeof(*sorted), by_id);
	return sorted;
}

/* Leaves those of `list` that are not in `other`; both in order. */
static size_t without(const struct sl_rule **list, size_t count, const struct sl_rule *const *other,
		      size_t other_count)
{
	size_t kept = 0;

	for (size_t i = 0, k = 0; i < count; i++) {
		while (k < other_count && strcmp(other[k]->id, list[i]->id) < 0)
			k++;
		if (k == other_count || strcmp(other[k]->id, list[i]->id) != 0)
			list[kept++] = list[i];
	}
	return kept;
}

static bool is_base_name(const struct sl_catalog *catalog, const char *name)
{
	const struct sl_rule *const *rules;

	return sl_catalog_resolve(catalog, name, &rules) && !sl_catalog_rule(catalog, name);
}

static int compare_word(struct sl_base_name *word, const struct sl_catalog *before,
			const struct sl_catalog *after)
{
	_cleanup_free_ const struct sl_rule **old = NULL;
	size_t old_count, count;

	old = members(before, word->text, &old_count);
	word->added = members(after, word->text, &count);
	word->removed = members(before, word->text, &old_count);
	if (!old || !word->added || !word->removed)
		return -ENOMEM;
	word->removed_count = without(word->removed, old_count, word->added, count);
	word->added_count = without(word->added, count, old, old_count);
	return 0;
}

static void forget_change(struct sl_base_names *names)
{
	struct sl_base_name *word, *tmp;

	HASH_ITER (hh, names->words, word, tmp) {
		free(word->added);
		free(word->removed);
		word->added = word->removed = NULL;
		word->added_count = word->removed_count = 0;
	}
}

/* Whether a word has changed; those are told in `told`. -ENOMEM. */
static int compare_words(struct sl_base_names *names, const struct sl_catalog *before,
			 const struct sl_catalog *after, struct sl_names *told)
{
	struct sl_base_name *word, *tmp;

	HASH_ITER (hh, names->words, word, tmp) {
		int rc = 0;

		/* rules come and go as rules */
		if (is_base_name(before, word->text) || is_base_name(after, word->text))
			rc = compare_word(word, before, after);
		if (rc < 0)
			return rc;
		if (word->added_count || word->removed_count)
			sl_names_add(told, word->text);
	}
	return sl_names_count(told) > 0;
}

/* One session, while it follows. */
struct turn {
	const struct sl_desired *desired;
	const char *imsi;
	struct sl_named *named;
	bool found;
	struct sl_rule_request adds[SLUICE_RULES_PER_SESSION];
	size_t add_count;
	char removes[ORIGINS][SLUICE_RULES_PER_SESSION][SLUICE_RULE_ID_SIZE];
	size_t remove_count[ORIGINS];
};

static const struct sl_install *find_install(const struct sl_session_view *view, const char *id,
					     enum sluice_origin origin)
{
	for (uint32_t i = 0; i < view->install_count; i++)
		if (view->installs[i].origin == origin && strcmp(view->installs[i].rule->id, id) == 0)
			return &view->installs[i];
	return NULL;
}

static void plan_add(struct turn *turn, const struct sl_session_view *view, const struct sl_rule *rule,
		     enum sluice_origin origin)
{
	if (turn->add_count == SLUICE_RULES_PER_SESSION || find_install(view, rule->id, origin) ||
	    !sl_rule_fits(rule, view->address.family))
		return;
	for (size_t i = 0; i < turn->add_count; i++)
		if (turn->adds[i].origin == origin && strcmp(turn->adds[i].id, rule->id) == 0)
			return;
	turn->adds[turn->add_count++] = (struct sl_rule_request){
		.rule = (struct sl_rule *)rule, /* read only, as every request's */
		.id = rule->id,
		.origin = origin,
	};
}

/* By another of the session's names. */
static bool is_named(const struct turn *turn, const char *id, enum sluice_origin origin)
{
	for (size_t i = 0; i < turn->named->count; i++) {
		const struct sl_naming *entry = &turn->named->entries[i];
		const struct sl_rule *const *rules;
		size_t count = 0;

		if (entry->origin == origin)
			count = sl_catalog_resolve(turn->desired->catalog, entry->word->text, &rules);
		for (size_t k = 0; k < count; k++)
			if (strcmp(rules[k]->id, id) == 0)
				return true;
	}
	return false;
}

/* What came with a version, or whole, or from SetSessionRules is somebody else's. */
static void plan_remove(struct turn *turn, const struct sl_session_view *view, const char *id,
			enum sluice_origin origin)
{
	const struct sl_install *install = find_install(view, id, origin);
	size_t *count = &turn->remove_count[origin];

	if (!install || install->version != 0 || !install->rule->is_static ||
	    *count == SLUICE_RULES_PER_SESSION || is_named(turn, id, origin) ||
	    sl_desired_owns(turn->desired, turn->imsi, &view->address, install))
		return;
	for (size_t i = 0; i < *count; i++)
		if (strcmp(turn->removes[origin][i], id) == 0)
			return;
	strcpy(turn->removes[origin][(*count)++], id);
}

static int plan(const struct sl_session_view *view, void *user)
{
	struct turn *turn = user;

	if (!sl_address_same_endpoint(&view->address, &turn->named->address))
		return 0;
	if (view->record->since_ns != turn->named->since_ns)
		return 1;
	turn->found = true;
	for (size_t i = 0; i < turn->named->count; i++) {
		const struct sl_naming *entry = &turn->named->entries[i];

		for (size_t k = 0; k < entry->word->added_count; k++)
			plan_add(turn, view, entry->word->added[k], entry->origin);
		for (size_t k = 0; k < entry->word->removed_count; k++)
			plan_remove(turn, view, entry->word->removed[k]->id, entry->origin);
	}
	return 1;
}

static int carry_out_removes(struct turn *turn, enum sluice_origin origin, struct sl_error *err)
{
	const char *ids[SLUICE_RULES_PER_SESSION];
	struct sl_deactivation request = {
		.address = turn->named->address,
		.gx = origin == SLUICE_ORIGIN_GX,
		.gy = origin == SLUICE_ORIGIN_GY,
		.rule_ids = ids,
		.rule_count = turn->remove_count[origin],
	};

	if (request.rule_count == 0)
		return 0;
	strcpy(request.imsi, turn->imsi);
	for (size_t i = 0; i < request.rule_count; i++)
		ids[i] = turn->removes[origin][i];
	return sl_control_deactivate(turn->desired->config.control, &request, NULL, err);
}

/* Whether anything was to do. */
static bool carry_out(struct turn *turn)
{
	struct sl_error err = {{0}};
	int rc = 0;

	if (turn->add_count)
		rc = sl_control_install(turn->desired->config.control, turn->imsi, &turn->named->address,
					turn->adds, turn->add_count, &err);
	for (int origin = 0; origin < ORIGINS; origin++) {
		int one = carry_out_removes(turn, (enum sluice_origin)origin, &err);

		if (one < 0)
			rc = one;
	}
	if (rc < 0)
		sl_log(SL_LOG_ERROR, "base-name-not-followed", "imsi", "%s", turn->imsi, "reason", "%s",
		       err.text, NULL);
	return turn->add_count || turn->remove_count[SLUICE_ORIGIN_GX] ||
	       turn->remove_count[SLUICE_ORIGIN_GY];
}

static bool follow(struct turn *turn, const char *imsi, struct sl_named *named)
{
	turn->imsi = imsi;
	turn->named = named;
	turn->found = false;
	turn->add_count = turn->remove_count[SLUICE_ORIGIN_GX] = turn->remove_count[SLUICE_ORIGIN_GY] = 0;
	sl_control_each_session_of(turn->desired->config.control, imsi, plan, turn);
	if (turn->found)
		return carry_out(turn);
	sl_named_clear(turn->desired->base_names, named);
	return false;
}

static size_t follow_all(struct sl_desired *desired, struct turn *turn)
{
	struct sl_named_subscriber *subscriber, *tmp;
	struct sl_named *named;
	size_t sessions = 0;

	turn->desired = desired;
	HASH_ITER (hh, desired->base_names->subscribers, subscriber, tmp) {
		LL_FOREACH (subscriber->sessions, named)
			sessions += follow(turn, subscriber->imsi, named);
		sl_named_collect(desired->base_names, subscriber);
	}
	return sessions;
}

void sl_base_names_follow(struct sl_desired *desired, const struct sl_catalog *before)
{
	_cleanup_(sl_names_clear) struct sl_names told = {NULL};
	_cleanup_free_ struct turn *turn = NULL;
	char text[SL_NAMES_TEXT];
	size_t sessions = 0;
	int rc;

	rc = compare_words(desired->base_names, before, desired->catalog, &told);
	if (rc > 0) {
		turn = calloc(1, sizeof(*turn));
		rc = turn ? rc : -ENOMEM;
	}
	if (rc > 0)
		sessions = follow_all(desired, turn);
	if (rc < 0)
		sl_log(SL_LOG_ERROR, "base-name-not-followed", "reason", "%s", "out of memory", NULL);
	if (sessions)
		sl_log(SL_LOG_INFO, "base-names-followed", "names", "%s", sl_names_text(&told, text),
		       "sessions", "%zu", sessions, NULL);
	forget_change(desired->base_names);
}
