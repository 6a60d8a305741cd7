// SPDX-License-Identifier: Apache-2.0
#include "desired/desired.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "desired/model.h"

uint64_t sl_desired_now(const struct sl_desired *desired)
{
	struct timespec now;

	if (desired->config.now_ns)
		return desired->config.now_ns();
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

int sl_desired_new(const struct sl_desired_config *config, struct sl_desired **out)
{
	struct sl_desired *desired = calloc(1, sizeof(*desired));

	if (desired)
		desired->base_names = sl_base_names_new();
	if (!desired || !desired->base_names || sl_rule_table_new(&desired->table) < 0) {
		if (desired)
			sl_base_names_free(desired->base_names);
		free(desired);
		return -ENOMEM;
	}
	desired->config = *config;
	desired->catalog = config->catalog;
	desired->started_ns = sl_now_ns();
	desired->next_ns = UINT64_MAX;
	*out = desired;
	return 0;
}

void sl_desired_free(struct sl_desired *desired)
{
	struct sl_desired_subscriber *subscriber, *tmp;

	if (!desired)
		return;
	sl_desired_timer_free(desired->timer);
	DL_FOREACH_SAFE(desired->all, subscriber, tmp)
	{
		struct sl_tracked *tracked, *tracked_tmp;
		struct sl_scope *scope, *scope_tmp;

		LL_FOREACH_SAFE(subscriber->scopes, scope, scope_tmp)
		sl_scope_free(desired, scope);
		LL_FOREACH_SAFE(subscriber->sessions, tracked, tracked_tmp)
		sl_tracked_free(tracked);
		subscriber->scopes = NULL;
		subscriber->sessions = NULL;
		sl_subscriber_collect(desired, subscriber);
	}
	sl_rule_table_free(desired->table);
	sl_base_names_free(desired->base_names);
	sl_names_clear(&desired->profiles_missing);
	free(desired);
}

/* --- a new scope, judged whole --------------------------------------------------- */

static const char *scope_name(const struct sl_desired_scope *scope)
{
	return scope->subscriber_wide ? "(subscriber-wide)" : scope->apn;
}

static const char *rule_name(const struct sl_desired_rule *rule)
{
	return rule->name ? rule->name : rule->rule->id;
}

static int refuse(const struct sl_desired_scope *scope, const struct sl_error *reason, int code,
		  struct sl_error *err)
{
	return sl_error(err, -code, "IMSI %s, APN \"%s\": %s", scope->imsi, scope_name(scope), reason->text);
}

static int check_rule(const struct sl_desired *desired, const struct sl_desired_rule *rule,
		      struct sl_error *err)
{
	const struct sl_rule *const *rules;

	if (rule->until_ns && rule->until_ns <= rule->from_ns)
		return sl_error(err, EINVAL, "rule \"%.64s\": deactivation_time is not after activation_time",
				rule_name(rule));
	if (!rule->name && rule->rule->profile[0] &&
	    !sl_catalog_profile(desired->catalog, rule->rule->profile))
		return sl_error(err, ENOENT, "qos_profile: \"%s\" is no QoS profile of the gateway",
				rule->rule->profile);
	if (!rule->name)
		return sl_rule_validate(rule->rule, err);
	if (sl_catalog_resolve(desired->catalog, rule->name, &rules) == 0)
		return sl_error(err, ENOENT, "rule_id: \"%.64s\" is no rule and no base name of the gateway",
				rule->name);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int check_names(const struct sl_desired_scope *scope, struct sl_error *err)
{
	_cleanup_free_ const char **names = calloc(scope->rule_count + 1, sizeof(*names));

	if (!names)
		return sl_error(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < scope->rule_count; i++)
		names[i] = rule_name(&scope->rules[i]);
	qsort(names, scope->rule_count, sizeof(*names), by_name);
	for (size_t i = 1; i < scope->rule_count; i++)
		if (strcmp(names[i - 1], names[i]) == 0)
			return sl_error(err, EINVAL, "rule \"%.64s\" is there twice", names[i]);
	return 0;
}

static int copy_rule(struct sl_desired *desired, const struct sl_desired_rule *from,
		     struct sl_desired_rule *to)
{
	struct sl_rule *shared;

	*to = *from;
	to->rule = NULL;
	to->name = NULL;
	to->missing = false;
	if (from->name) {
		to->name = strdup(from->name);
		return to->name ? 0 : -ENOMEM;
	}
	if (sl_rule_table_intern(desired->table, from->rule, &shared) < 0)
		return -ENOMEM;
	if (shared->references == 1)
		desired->flows += shared->flow_count;
	to->rule = shared;
	return 0;
}

static int make_scope(struct sl_desired *desired, const struct sl_desired_scope *from, struct sl_scope **out,
		      struct sl_error *err)
{
	struct sl_scope *scope;
	int rc = 0;

	if (from->rule_count > SLUICE_RULES_PER_SESSION)
		return sl_error(err, ENOSPC, "%zu rules; allowed: at most %d", from->rule_count,
				SLUICE_RULES_PER_SESSION);
	for (size_t i = 0; i < from->rule_count && rc == 0; i++)
		rc = check_rule(desired, &from->rules[i], err);
	if (rc == 0)
		rc = check_names(from, err);
	if (rc < 0)
		return rc;
	scope = calloc(1, sizeof(*scope));
	if (!scope)
		return sl_error(err, ENOMEM, "out of memory");
	scope->subscriber_wide = from->subscriber_wide;
	if (!from->subscriber_wide)
		memcpy(scope->apn, from->apn, sizeof(scope->apn));
	scope->rules = calloc(from->rule_count + 1, sizeof(*scope->rules));
	for (size_t i = 0; scope->rules && i < from->rule_count; i++) {
		if (copy_rule(desired, &from->rules[i], &scope->rules[i]) < 0)
			break;
		scope->rule_count++;
		desired->rules++;
	}
	if (!scope->rules || scope->rule_count < from->rule_count) {
		sl_scope_free(desired, scope);
		return sl_error(err, ENOMEM, "out of memory");
	}
	*out = scope;
	return 0;
}

/* --- all of a request -------------------------------------------------------------- */

struct change {
	const char *imsi;
	struct sl_scope *scope;
	struct sl_desired_subscriber *subscriber;
};

static int by_scope(const void *a, const void *b)
{
	const struct change *one = a, *other = b;
	int order = strcmp(one->imsi, other->imsi);

	if (order == 0)
		order = (int)one->scope->subscriber_wide - (int)other->scope->subscriber_wide;
	return order ? order : strcasecmp(one->scope->apn, other->scope->apn);
}

/* What is about to be replaced counts too, until it has gone. */
static int check_bounds(const struct sl_desired *desired, struct sl_error *err)
{
	if (HASH_COUNT(desired->by_imsi) > SL_DESIRED_SUBSCRIBERS)
		return sl_error(err, ENOSPC, "more than %u subscribers with rules of their own",
				SL_DESIRED_SUBSCRIBERS);
	if (desired->rules > SL_DESIRED_RULES)
		return sl_error(err, ENOSPC, "more than %u rules of subscribers in all", SL_DESIRED_RULES);
	if (desired->flows > SL_DESIRED_FLOWS)
		return sl_error(err, ENOSPC, "more than %u flows of different dynamic rules",
				SL_DESIRED_FLOWS);
	return 0;
}

static int make_scopes(struct sl_desired *desired, const struct sl_desired_scope *scopes, size_t count,
		       struct change *changes, struct sl_error *err)
{
	struct sl_error reason = {{0}};

	for (size_t i = 0; i < count; i++) {
		int rc = make_scope(desired, &scopes[i], &changes[i].scope, &reason);

		if (rc < 0)
			return refuse(&scopes[i], &reason, rc, err);
		changes[i].imsi = scopes[i].imsi;
		rc = check_bounds(desired, err);
		if (rc < 0)
			return rc;
	}
	qsort(changes, count, sizeof(*changes), by_scope);
	for (size_t i = 1; i < count; i++)
		if (by_scope(&changes[i - 1], &changes[i]) == 0)
			return sl_error(err, EINVAL, "IMSI %s, APN \"%s\": the scope is there twice",
					changes[i].imsi,
					changes[i].scope->subscriber_wide ? "(subscriber-wide)"
									  : changes[i].scope->apn);
	return 0;
}

static int make_subscribers(struct sl_desired *desired, struct change *changes, size_t count,
			    struct sl_error *err)
{
	for (size_t i = 0; i < count; i++) {
		int rc;

		changes[i].subscriber = sl_subscriber_make(desired, changes[i].imsi);
		if (!changes[i].subscriber)
			return sl_error(err, ENOMEM, "out of memory");
		rc = check_bounds(desired, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* They are in order: those of one subscriber stand together. */
static bool is_last_of(const struct change *changes, size_t i, size_t count)
{
	return i + 1 == count || changes[i + 1].subscriber != changes[i].subscriber;
}

static void undo(struct sl_desired *desired, const struct change *changes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (changes[i].scope)
			sl_scope_free(desired, changes[i].scope);
		if (changes[i].subscriber && is_last_of(changes, i, count))
			sl_subscriber_collect(desired, changes[i].subscriber);
	}
}

int sl_desired_set(struct sl_desired *desired, const struct sl_desired_scope *scopes, size_t count,
		   struct sl_error *err)
{
	_cleanup_free_ struct change *changes = calloc(count + 1, sizeof(*changes));
	uint64_t now = sl_desired_now(desired);
	int rc;

	if (!changes)
		return sl_error(err, ENOMEM, "out of memory");
	rc = make_scopes(desired, scopes, count, changes, err);
	if (rc == 0)
		rc = make_subscribers(desired, changes, count, err);
	if (rc < 0) {
		undo(desired, changes, count);
		return rc;
	}
	for (size_t i = 0; i < count; i++) {
		struct sl_desired_subscriber *subscriber = changes[i].subscriber;

		sl_scope_put(desired, subscriber, changes[i].scope);
		if (!is_last_of(changes, i, count))
			continue;
		subscriber->next_ns = sl_wanted_next(subscriber, now);
		if (subscriber->next_ns < desired->next_ns)
			desired->next_ns = subscriber->next_ns;
		sl_desired_apply(desired, subscriber, SL_APPLY_SET);
	}
	sl_desired_timer_set(desired);
	return 0;
}

/* --- views -------------------------------------------------------------------------- */

uint64_t sl_desired_next_ns(const struct sl_desired *desired)
{
	return desired->next_ns == UINT64_MAX ? 0 : desired->next_ns;
}

void sl_desired_status(const struct sl_desired *desired, struct sl_desired_status *out)
{
	const struct sl_desired_subscriber *subscriber;
	const struct sl_tracked *tracked;

	*out = (struct sl_desired_status){
		.rules = (uint32_t)desired->rules,
		.failing = sl_missing_count(desired, sl_desired_now(desired)),
		.next_ns = sl_desired_next_ns(desired),
		.repairs = desired->repairs,
		.checks = desired->checks,
	};
	DL_FOREACH (desired->all, subscriber) {
		out->subscribers += subscriber->scopes != NULL;
		LL_FOREACH (subscriber->sessions, tracked)
			for (size_t i = 0; i < tracked->count; i++)
				out->failing += tracked->tracks[i].refusals > 0;
	}
}

int sl_desired_each(const struct sl_desired *desired, const char *imsi,
		    int (*visit)(const struct sl_desired_scope *scope, void *user), void *user)
{
	const struct sl_desired_subscriber *subscriber =
		imsi ? sl_subscriber_of(desired, imsi) : desired->all;
	const struct sl_scope *scope;
	int rc = 0;

	for (; subscriber && rc == 0; subscriber = imsi ? NULL : subscriber->next) {
		for (scope = subscriber->scopes; scope && rc == 0; scope = scope->next) {
			struct sl_desired_scope view = {
				.subscriber_wide = scope->subscriber_wide,
				.rules = scope->rules,
				.rule_count = scope->rule_count,
			};

			memcpy(view.imsi, subscriber->imsi, sizeof(view.imsi));
			memcpy(view.apn, scope->apn, sizeof(view.apn));
			rc = visit(&view, user);
		}
	}
	return rc;
}
