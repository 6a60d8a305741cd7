// SPDX-License-Identifier: Apache-2.0
/*
 * Static rules follow the catalogue in every session that has them, whoever
 * asked for them: another content takes their place, counts going on; those
 * that the catalogue has no more go away, with final usage. Rules with a QoS
 * profile follow that, wherever they come from.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "desired/model.h"

/* What changes, to be told. */
struct change {
	const struct sl_desired *desired;
	struct sl_names names;
};

static struct sl_rule *successor(const char *imsi, const struct sl_install *install, void *user)
{
	struct change *change = user;
	const struct sl_catalog *catalog = change->desired->catalog;
	const struct sl_rule *rule = install->rule;
	const struct sl_profile *profile;

	(void)imsi;
	if (rule->is_static)
		rule = sl_catalog_rule(catalog, rule->id);
	if (!rule)
		return NULL;
	/* one that is no more leaves what it was */
	profile = rule->profile[0] ? sl_catalog_profile(catalog, rule->profile) : NULL;
	if (sl_wanted_equal(rule, install->rule) && (!profile || sl_profile_holds(profile, install->rule)))
		return NULL;
	sl_names_add(&change->names, rule->id);
	return (struct sl_rule *)rule; /* read only, as every request's */
}

/* --- rules that are gone ----------------------------------------------------------- */

struct gone {
	struct sl_deactivation request; /* of one session and origin */
	size_t first;			/* of its ids */
};

struct goners {
	const struct sl_desired *desired;
	struct gone *list;
	size_t count, capacity;
	char (*ids)[SLUICE_RULE_ID_SIZE];
	size_t id_count, id_capacity;
};

/* Room for one more; the array grows by doubling. */
static int grow(void **array, size_t count, size_t *capacity, size_t size)
{
	size_t wanted = *capacity ? 2 * *capacity : 64;
	void *grown;

	if (count < *capacity)
		return 0;
	grown = reallocarray(*array, wanted, size);
	if (!grown)
		return -ENOMEM;
	*array = grown;
	*capacity = wanted;
	return 0;
}

static int find_gone(const struct sl_session_view *view, enum sluice_origin origin, struct goners *goners)
{
	struct gone *one = NULL;

	for (uint32_t i = 0; i < view->install_count; i++) {
		const struct sl_install *install = &view->installs[i];

		if (install->origin != origin || !install->rule->is_static ||
		    sl_catalog_rule(goners->desired->catalog, install->rule->id))
			continue;
		if (grow((void **)&goners->ids, goners->id_count, &goners->id_capacity,
			 sizeof(*goners->ids)) < 0)
			return -ENOMEM;
		memcpy(goners->ids[goners->id_count], install->rule->id, sizeof(install->rule->id));
		if (!one) {
			if (grow((void **)&goners->list, goners->count, &goners->capacity,
				 sizeof(*goners->list)) < 0)
				return -ENOMEM;
			one = &goners->list[goners->count++];
			*one = (struct gone){.first = goners->id_count,
					     .request = {.address = view->address,
							 .gx = origin == SLUICE_ORIGIN_GX,
							 .gy = origin == SLUICE_ORIGIN_GY}};
			strcpy(one->request.imsi, view->imsi);
		}
		goners->id_count++;
		one->request.rule_count++;
	}
	return 0;
}

static int note_gone(const struct sl_session_view *view, void *user)
{
	int rc = view->active ? find_gone(view, SLUICE_ORIGIN_GX, user) : 0;

	return rc == 0 && view->active ? find_gone(view, SLUICE_ORIGIN_GY, user) : rc;
}

static void tell_gone(const struct goners *goners, uint32_t failed)
{
	_cleanup_(sl_names_clear) struct sl_names names = {NULL};
	char text[SL_NAMES_TEXT];

	for (size_t i = 0; i < goners->id_count; i++)
		sl_names_add(&names, goners->ids[i]);
	sl_log(SL_LOG_INFO, "policy-removed", "rules", "%zu", goners->id_count, "sessions", "%zu",
	       goners->count, "failed", "%u", failed, "names", "%s", sl_names_text(&names, text), NULL);
}

static void take_away(struct sl_desired *desired, struct goners *goners)
{
	const char **ids = calloc(goners->id_count + 1, sizeof(*ids));
	uint32_t failed = 0;

	for (size_t i = 0; ids && i < goners->id_count; i++)
		ids[i] = goners->ids[i];
	for (size_t i = 0; ids && i < goners->count; i++) {
		struct sl_deactivation *request = &goners->list[i].request;
		struct sl_error err = {{0}};

		request->rule_ids = ids + goners->list[i].first;
		if (sl_control_deactivate(desired->config.control, request, NULL, &err) == 0)
			continue;
		failed++;
		sl_log(SL_LOG_ERROR, "policy-not-removed", "imsi", "%s", request->imsi, "reason", "%s",
		       err.text, NULL);
	}
	if (goners->id_count)
		tell_gone(goners, ids ? failed : (uint32_t)goners->count);
	free(ids);
}

static void remove_gone(struct sl_desired *desired)
{
	struct goners goners = {.desired = desired};

	if (sl_control_each_session(desired->config.control, NULL, 0, note_gone, &goners) < 0)
		sl_log(SL_LOG_ERROR, "policy-not-removed", "reason", "%s", "out of memory", NULL);
	take_away(desired, &goners);
	free(goners.list);
	free(goners.ids);
}

/* --- the turn --------------------------------------------------------------------- */

static void change_content(struct sl_desired *desired)
{
	struct change change = {.desired = desired};
	char text[SL_NAMES_TEXT];
	uint32_t sessions = 0;

	sl_control_refresh(desired->config.control, successor, &change, &sessions);
	if (sessions)
		sl_log(SL_LOG_INFO, "policy-changed", "sessions", "%u", sessions, "names", "%s",
		       sl_names_text(&change.names, text), NULL);
	sl_names_clear(&change.names);
}

void sl_desired_catalog_changed(struct sl_desired *desired, const struct sl_catalog *catalog)
{
	const struct sl_catalog *before = desired->catalog;
	struct sl_desired_subscriber *subscriber, *tmp;

	desired->catalog = catalog;
	/* as long as nothing was read, the sessions of an earlier run keep what they have */
	if (!catalog)
		return;
	change_content(desired);
	remove_gone(desired);
	sl_profiles_missing_update(desired);
	sl_base_names_follow(desired, before);
	sl_missing_update(desired);
	DL_FOREACH_SAFE(desired->all, subscriber, tmp)
	sl_desired_apply(desired, subscriber, SL_APPLY_EVENT);
}
