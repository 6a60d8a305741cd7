// SPDX-License-Identifier: Apache-2.0
/* Subscribers with desired state, and the scopes of each. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "desired/model.h"

struct sl_desired_subscriber *sl_subscriber_of(const struct sl_desired *desired, const char *imsi)
{
	struct sl_desired_subscriber *subscriber;

	HASH_FIND_STR(desired->by_imsi, imsi, subscriber);
	return subscriber;
}

struct sl_desired_subscriber *sl_subscriber_make(struct sl_desired *desired, const char *imsi)
{
	struct sl_desired_subscriber *subscriber = sl_subscriber_of(desired, imsi);

	if (subscriber)
		return subscriber;
	subscriber = calloc(1, sizeof(*subscriber));
	if (!subscriber)
		return NULL;
	strcpy(subscriber->imsi, imsi);
	subscriber->next_ns = UINT64_MAX;
	HASH_ADD_STR(desired->by_imsi, imsi, subscriber);
	DL_APPEND(desired->all, subscriber);
	return subscriber;
}

void sl_subscriber_collect(struct sl_desired *desired, struct sl_desired_subscriber *subscriber)
{
	if (subscriber->scopes || subscriber->sessions)
		return;
	if (desired->cursor == subscriber)
		desired->cursor = subscriber->next;
	HASH_DEL(desired->by_imsi, subscriber);
	DL_DELETE(desired->all, subscriber);
	free(subscriber);
}

/* APNs are domain names, whose case does not matter (3GPP TS 23.003 clause 9.1). */
bool sl_scope_is(const struct sl_scope *scope, bool subscriber_wide, const char *apn)
{
	if (subscriber_wide || scope->subscriber_wide)
		return subscriber_wide && scope->subscriber_wide;
	return strcasecmp(scope->apn, apn) == 0;
}

static void rule_gone(struct sl_rule *rule, void *user)
{
	struct sl_desired *desired = user;

	desired->flows -= rule->flow_count;
}

void sl_scope_free(struct sl_desired *desired, struct sl_scope *scope)
{
	for (size_t i = 0; i < scope->rule_count; i++) {
		desired->missing -= scope->rules[i].missing;
		free((char *)scope->rules[i].name);
		if (scope->rules[i].rule)
			sl_rule_table_unref(desired->table, (struct sl_rule *)scope->rules[i].rule, rule_gone,
					    desired);
	}
	desired->rules -= scope->rule_count;
	free(scope->rules);
	free(scope);
}

void sl_scope_put(struct sl_desired *desired, struct sl_desired_subscriber *subscriber,
		  struct sl_scope *scope)
{
	struct sl_scope *before;

	LL_FOREACH (subscriber->scopes, before)
		if (sl_scope_is(before, scope->subscriber_wide, scope->apn))
			break;
	if (before) {
		LL_DELETE(subscriber->scopes, before);
		sl_scope_free(desired, before);
	}
	scope->fresh = true;
	if (scope->rule_count)
		LL_APPEND(subscriber->scopes, scope);
	else
		sl_scope_free(desired, scope);
}
