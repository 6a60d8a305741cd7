// SPDX-License-Identifier: Apache-2.0
/*
 * Blocks of rules with verdict quarantine or redirect: as long as one is in force the
 * subscriber's sessions have the rules that it names, or one that redirects them. Sessions that come
 * meanwhile get them within a second; after a restart blocks are there, and so are these.
 *
 * What is in force for a quarantine is told by its version, which sessions keep over a restart: a rule of
 * the same name that somebody else has given stays as it is, and what is taken away at the end is what was
 * given, whatever the IDS rule or the directory says by then.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "catalog/catalog.h"
#include "ids/engine_parts.h"

#define FOLLOW_MAX 2000 /* subscribers a second */
#define SESSIONS   16	/* of one subscriber */

/* Versions of session managers count up from 1. */
#define VERSIONS 0x80000000u

/* A subscriber and an IDS rule. */
struct sl_ids_held {
	struct {
		char imsi[SLUICE_IMSI_SIZE];
		uint32_t rule;
	} of;
	uint32_t blocks;
	bool told; /* a problem, once */
	UT_hash_handle hh;
};

/* What a hold comes to: at most so many rules. */
struct wanted {
	const struct sl_rule *rule[SLUICE_RULES_PER_SESSION];
	size_t count;
	struct sl_rule redirect; /* flows: none, control makes them */
};

static bool concerns(const struct sl_ids_block *block)
{
	return (block->value.verdict == SLUICE_IDS_QUARANTINE ||
		block->value.verdict == SLUICE_IDS_REDIRECT) &&
	       !(block->value.flags & SLUICE_IDS_BLOCK_OBSERVE) && block->imsi[0];
}

static struct sl_ids_held *find(const struct sl_ids_engine *engine, const char *imsi, uint32_t rule)
{
	struct sl_ids_held key = {.blocks = 0}, *held;

	snprintf(key.of.imsi, sizeof(key.of.imsi), "%s", imsi);
	key.of.rule = rule;
	HASH_FIND(hh, engine->held, &key.of, sizeof(key.of), held);
	return held;
}

static const struct sl_ids_rule *rule_of(const struct sl_ids_engine *engine, uint32_t identity)
{
	return sl_ids_rules_at(engine->config.rules,
			       sl_ids_rules_by_identity(engine->config.rules, identity));
}

static void want_redirect(const struct sl_ids_rule *rule, struct wanted *out)
{
	out->redirect = (struct sl_rule){
		.precedence = 0, .redirect = rule->redirect_type, .is_static = false, .record = SLUICE_NONE};
	snprintf(out->redirect.id, sizeof(out->redirect.id), "ids-%s", rule->name);
	snprintf(out->redirect.redirect_address, sizeof(out->redirect.redirect_address), "%s",
		 rule->redirect);
	out->rule[out->count++] = &out->redirect;
}

/* Names that the directory does not have any more are left out; the directory's check has had them all. */
static void want(const struct sl_ids_engine *engine, const struct sl_ids_rule *rule, struct wanted *out)
{
	const struct sl_catalog *catalog =
		engine->config.catalog ? engine->config.catalog(engine->config.user) : NULL;

	out->count = 0;
	if (rule->image.verdict == SLUICE_IDS_REDIRECT) {
		want_redirect(rule, out);
		return;
	}
	for (uint32_t i = 0; i < rule->quarantine_count; i++) {
		const struct sl_rule *const *rules;
		size_t count = sl_catalog_resolve(catalog, rule->quarantine[i], &rules);

		for (size_t k = 0; k < count && out->count < SLUICE_RULES_PER_SESSION; k++)
			out->rule[out->count++] = rules[k];
	}
}

/* Whether the subscriber is held for the rule in this slot; one that is not read yet after a start counts. */
static bool is_held(const struct sl_ids_engine *engine, const char *imsi, uint32_t slot)
{
	const struct sluice_ids_rule *image = sl_ids_rules_image(engine->config.rules, slot);

	return image && find(engine, imsi, image->identity);
}

static bool is_held_at_all(const struct sl_ids_engine *engine, const char *imsi)
{
	for (uint32_t slot = 0; slot < SLUICE_IDS_RULES && engine->held; slot++)
		if (is_held(engine, imsi, slot))
			return true;
	return false;
}

/* --- sessions ------------------------------------------------------------------------------ */

struct follow {
	struct sl_ids_engine *engine;
	struct sl_ids_held *held;
	const struct sl_ids_rule *rule;
	struct wanted wanted;
	/* sessions are changed when they are not walked over */
	struct sl_address address[SESSIONS];
	size_t address_count;
};

static bool is_ours(const struct sl_install *install)
{
	return install->origin == SLUICE_ORIGIN_GX && install->version >= VERSIONS;
}

static bool has(const struct sl_session_view *view, const char *id)
{
	for (uint32_t i = 0; i < view->install_count; i++)
		if (view->installs[i].origin == SLUICE_ORIGIN_GX &&
		    strcmp(view->installs[i].rule->id, id) == 0)
			return true;
	return false;
}

static int look(const struct sl_session_view *view, void *user)
{
	struct follow *follow = user;

	for (size_t i = 0; view->active && i < follow->wanted.count; i++) {
		if (has(view, follow->wanted.rule[i]->id) ||
		    !sl_rule_fits(follow->wanted.rule[i], view->address.family))
			continue;
		if (follow->address_count < sizeof(follow->address) / sizeof(follow->address[0]))
			follow->address[follow->address_count++] = view->address;
		break;
	}
	return 0;
}

static uint32_t next_version(struct sl_control *control, const struct sl_address *address, const char *id)
{
	uint32_t last = sl_control_last_version(control, address, id, SLUICE_ORIGIN_GX);

	return last < VERSIONS || last == UINT32_MAX ? VERSIONS : last + 1;
}

/* Those of the wanted ones that the session does not have. */
struct missing {
	const struct follow *follow;
	const struct sl_address *address;
	const struct sl_rule *rule[SLUICE_RULES_PER_SESSION];
	size_t count;
};

static int look_again(const struct sl_session_view *view, void *user)
{
	struct missing *missing = user;
	const struct wanted *wanted = &missing->follow->wanted;

	if (memcmp(&view->address, missing->address, sizeof(view->address)) != 0)
		return 0;
	for (size_t i = 0; i < wanted->count; i++)
		if (!has(view, wanted->rule[i]->id))
			missing->rule[missing->count++] = wanted->rule[i];
	return 1;
}

static void install(struct follow *follow, const struct sl_address *address)
{
	struct sl_control *control = follow->engine->config.control;
	_cleanup_free_ struct missing *missing = calloc(1, sizeof(*missing));
	_cleanup_free_ struct sl_rule_request *requests = calloc(follow->wanted.count, sizeof(*requests));
	const char *problem = NULL;
	struct sl_error err = {""};

	if (!requests || !missing)
		return;
	missing->follow = follow;
	missing->address = address;
	sl_control_each_session_of(control, follow->held->of.imsi, look_again, missing);
	for (size_t i = 0; i < missing->count; i++) {
		const struct sl_rule *rule = missing->rule[i];

		requests[i] = (struct sl_rule_request){
			.rule = (struct sl_rule *)rule,
			.id = rule->id,
			.origin = SLUICE_ORIGIN_GX,
			.version = next_version(control, address, rule->id),
		};
	}
	if (sl_control_install(control, follow->held->of.imsi, address, requests, missing->count, &err) < 0)
		problem = err.text;
	for (size_t i = 0; i < missing->count && !problem; i++)
		if (requests[i].result < 0 && requests[i].result != -EAFNOSUPPORT)
			problem = requests[i].error.text;
	if (problem && !follow->held->told)
		sl_log(SL_LOG_WARNING, "ids-quarantine-failed", "imsi", "%s", follow->held->of.imsi, "rule",
		       "%s", follow->rule->name, "reason", "%s", problem, NULL);
	follow->held->told = problem != NULL;
}

static void bring_about(struct sl_ids_engine *engine, struct sl_ids_held *held)
{
	struct follow *follow = calloc(1, sizeof(*follow));

	if (!follow)
		return;
	follow->engine = engine;
	follow->held = held;
	follow->rule = rule_of(engine, held->of.rule);
	if (follow->rule) {
		want(engine, follow->rule, &follow->wanted);
		sl_control_each_session_of(engine->config.control, held->of.imsi, look, follow);
		for (size_t i = 0; i < follow->address_count; i++)
			install(follow, &follow->address[i]);
	}
	free(follow);
}

/* --- the end -------------------------------------------------------------------------------- */

/* Of one session; names are copies, for rules go with their last install. */
struct leaving {
	struct sl_ids_engine *engine;
	struct {
		struct sl_address address;
		char (*id)[SLUICE_RULE_ID_SIZE]; /* owned */
		uint32_t count;
	} session[SESSIONS];
	size_t count;
};

/* Another hold of the subscriber has it, too. */
static bool is_wanted(const struct sl_ids_engine *engine, const char *imsi, const char *id)
{
	_cleanup_free_ struct wanted *wanted = calloc(1, sizeof(*wanted));

	for (uint32_t slot = 0; wanted && slot < SLUICE_IDS_RULES; slot++) {
		const struct sl_ids_rule *rule = sl_ids_rules_at(engine->config.rules, slot);

		if (!is_held(engine, imsi, slot))
			continue;
		/* what it names is not known yet */
		if (!rule)
			return true;
		want(engine, rule, wanted);
		for (size_t i = 0; i < wanted->count; i++)
			if (strcmp(wanted->rule[i]->id, id) == 0)
				return true;
	}
	return false;
}

static int look_leaving(const struct sl_session_view *view, void *user)
{
	struct leaving *leaving = user;
	char(*ids)[SLUICE_RULE_ID_SIZE] = NULL;
	uint32_t count = 0;

	if (leaving->count == SESSIONS)
		return 1;
	for (uint32_t i = 0; i < view->install_count; i++) {
		const struct sl_install *install = &view->installs[i];

		if (!is_ours(install) || is_wanted(leaving->engine, view->imsi, install->rule->id))
			continue;
		if (!ids)
			ids = calloc(view->install_count - i, sizeof(*ids));
		if (!ids)
			return -ENOMEM;
		memcpy(ids[count++], install->rule->id, sizeof(*ids));
	}
	if (!count)
		return 0;
	leaving->session[leaving->count].address = view->address;
	leaving->session[leaving->count].id = ids;
	leaving->session[leaving->count++].count = count;
	return 0;
}

static void take_from(struct sl_ids_engine *engine, const char *imsi, const struct sl_address *address,
		      char (*ids)[SLUICE_RULE_ID_SIZE], uint32_t count)
{
	_cleanup_free_ const char **names = calloc(count, sizeof(*names));
	struct sl_deactivation request = {
		.address = *address, .gx = true, .rule_ids = names, .rule_count = count};
	struct sl_error err = {"out of memory"};

	snprintf(request.imsi, sizeof(request.imsi), "%s", imsi);
	for (uint32_t i = 0; names && i < count; i++)
		names[i] = ids[i];
	if (names && sl_control_deactivate(engine->config.control, &request, NULL, &err) == 0)
		return;
	/* nobody holds them any more: as those that are found after a start */
	engine->orphans_gone = false;
	if (!engine->orphans_told)
		sl_log(SL_LOG_WARNING, "ids-quarantine-not-ended", "imsi", "%s", imsi, "reason", "%s",
		       err.text, NULL);
	engine->orphans_told = true;
}

/* What no quarantine gives to the subscriber any more. */
static void take_away(struct sl_ids_engine *engine, const char *imsi)
{
	struct leaving leaving = {.engine = engine};

	sl_control_each_session_of(engine->config.control, imsi, look_leaving, &leaving);
	for (size_t i = 0; i < leaving.count; i++) {
		take_from(engine, imsi, &leaving.session[i].address, leaving.session[i].id,
			  leaving.session[i].count);
		free(leaving.session[i].id);
	}
}

struct orphan {
	const struct sl_ids_engine *engine;
	char imsi[SLUICE_IMSI_SIZE];
	uint32_t slot;
};

static int look_orphan(const struct sl_session_view *view, void *user)
{
	struct orphan *orphan = user;

	for (uint32_t i = 0; view->active && i < view->install_count; i++) {
		if (is_ours(&view->installs[i]) && !is_held_at_all(orphan->engine, view->imsi)) {
			snprintf(orphan->imsi, sizeof(orphan->imsi), "%s", view->imsi);
			orphan->slot = view->slot + 1;
			return 1;
		}
	}
	return 0;
}

/* Given by an agent before this one, for blocks that say no more whose they are; or what found no room to
 * be taken away. */
static void take_orphans(struct sl_ids_engine *engine)
{
	struct orphan orphan = {.engine = engine};

	while (sl_control_each_session(engine->config.control, NULL, orphan.slot, look_orphan, &orphan) == 1)
		take_away(engine, orphan.imsi);
}

/* --- as blocks begin and end ------------------------------------------------------------------- */

void sl_ids_quarantine_begin(struct sl_ids_engine *engine, const struct sl_ids_block *block)
{
	struct sl_ids_held *held;

	if (!concerns(block))
		return;
	held = find(engine, block->imsi, block->key.rule);
	if (held) {
		held->blocks++;
		return;
	}
	held = calloc(1, sizeof(*held));
	if (!held) {
		sl_log(SL_LOG_ERROR, "ids-quarantine-failed", "imsi", "%s", block->imsi, "reason", "%s",
		       "out of memory", NULL);
		return;
	}
	memcpy(held->of.imsi, block->imsi, sizeof(held->of.imsi));
	held->of.rule = block->key.rule;
	held->blocks = 1;
	HASH_ADD(hh, engine->held, of, sizeof(held->of), held);
	engine->stats.held++;
	bring_about(engine, held);
}

void sl_ids_quarantine_end(struct sl_ids_engine *engine, const struct sl_ids_block *block)
{
	struct sl_ids_held *held = concerns(block) ? find(engine, block->imsi, block->key.rule) : NULL;

	if (!held || --held->blocks)
		return;
	HASH_DEL(engine->held, held);
	engine->stats.held--;
	free(held);
	take_away(engine, block->imsi);
}

void sl_ids_quarantine_follow(struct sl_ids_engine *engine)
{
	const uint64_t begun = sl_now_ns();
	const unsigned int count = HASH_COUNT(engine->held);

	if (!engine->orphans_gone) {
		engine->orphans_gone = true;
		take_orphans(engine);
		engine->orphans_told = !engine->orphans_gone;
	}
	for (unsigned int i = 0; i < FOLLOW_MAX && i < count && !sl_ids_turn_is_over(begun); i++) {
		struct sl_ids_held *held = engine->held;

		/* the first becomes the last: the next second goes on with the others */
		HASH_DEL(engine->held, held);
		HASH_ADD(hh, engine->held, of, sizeof(held->of), held);
		bring_about(engine, held);
	}
}

bool sl_ids_engine_owns(const struct sl_ids_engine *engine, const char *imsi,
			const struct sl_install *install)
{
	return engine && is_ours(install) && is_held_at_all(engine, imsi);
}

void sl_ids_quarantine_free(struct sl_ids_engine *engine)
{
	struct sl_ids_held *held, *next;

	HASH_ITER (hh, engine->held, held, next) {
		HASH_DEL(engine->held, held);
		free(held);
	}
}
