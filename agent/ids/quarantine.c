// SPDX-License-Identifier: Apache-2.0
/*
 * Blocks of rules with verdict quarantine or redirect: as long as one is in force the
 * subscriber's sessions have the rules that it names, or one that redirects them. Sessions that come
 * meanwhile get them within a second; after a restart blocks are there, and so are these.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "catalog/catalog.h"
#include "ids/engine_parts.h"

#define FOLLOW_MAX 2000 /* subscribers a second */

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

/* --- sessions ------------------------------------------------------------------------------ */

struct follow {
	struct sl_ids_engine *engine;
	struct sl_ids_held *held;
	const struct sl_ids_rule *rule;
	struct wanted wanted;
	/* sessions are changed when they are not walked over */
	struct sl_address address[16];
	size_t address_count;
};

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

static void install(struct follow *follow, const struct sl_address *address)
{
	struct sl_control *control = follow->engine->config.control;
	struct sl_rule_request *requests = calloc(follow->wanted.count, sizeof(*requests));
	const char *problem = NULL;
	struct sl_error err = {""};

	if (!requests)
		return;
	for (size_t i = 0; i < follow->wanted.count; i++) {
		const struct sl_rule *rule = follow->wanted.rule[i];

		requests[i] = (struct sl_rule_request){
			.rule = (struct sl_rule *)rule,
			.id = rule->id,
			.origin = SLUICE_ORIGIN_GX,
			.version = sl_control_last_version(control, address, rule->id, SLUICE_ORIGIN_GX) + 1,
		};
	}
	if (sl_control_install(control, follow->held->of.imsi, address, requests, follow->wanted.count,
			       &err) < 0)
		problem = err.text;
	for (size_t i = 0; i < follow->wanted.count && !problem; i++)
		if (requests[i].result < 0 && requests[i].result != -EAFNOSUPPORT)
			problem = requests[i].error.text;
	if (problem && !follow->held->told)
		sl_log(SL_LOG_WARNING, "ids-quarantine-failed", "imsi", "%s", follow->held->of.imsi, "rule",
		       "%s", follow->rule->name, "reason", "%s", problem, NULL);
	follow->held->told = problem != NULL;
	free(requests);
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

/* What another hold of the subscriber names as well stays, by its next turn. */
static void take_away(struct sl_ids_engine *engine, const struct sl_ids_held *held)
{
	struct wanted *wanted = calloc(1, sizeof(*wanted));
	struct sl_deactivation request = {.gx = true};
	const struct sl_ids_rule *rule = rule_of(engine, held->of.rule);
	const char *ids[SLUICE_RULES_PER_SESSION];
	struct sl_error err;

	if (wanted && rule) {
		want(engine, rule, wanted);
		for (size_t i = 0; i < wanted->count; i++)
			ids[i] = wanted->rule[i]->id;
		memcpy(request.imsi, held->of.imsi, sizeof(request.imsi));
		request.rule_ids = ids;
		request.rule_count = wanted->count;
		if (wanted->count && sl_control_deactivate(engine->config.control, &request, NULL, &err) < 0)
			sl_log(SL_LOG_WARNING, "ids-quarantine-not-ended", "imsi", "%s", held->of.imsi,
			       "reason", "%s", err.text, NULL);
	}
	free(wanted);
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
	take_away(engine, held);
	free(held);
}

void sl_ids_quarantine_follow(struct sl_ids_engine *engine)
{
	for (int i = 0; i < FOLLOW_MAX && (unsigned int)i < HASH_COUNT(engine->held); i++) {
		struct sl_ids_held *held = engine->held;

		/* the first becomes the last: the next second goes on with the others */
		HASH_DEL(engine->held, held);
		HASH_ADD(hh, engine->held, of, sizeof(held->of), held);
		bring_about(engine, held);
	}
}

static bool names(const struct sl_ids_engine *engine, const struct sl_ids_held *held, const char *id)
{
	const struct sl_ids_rule *rule = rule_of(engine, held->of.rule);
	struct wanted *wanted = rule ? calloc(1, sizeof(*wanted)) : NULL;
	bool found = false;

	if (!wanted)
		return false;
	want(engine, rule, wanted);
	for (size_t i = 0; i < wanted->count && !found; i++)
		found = strcmp(wanted->rule[i]->id, id) == 0;
	free(wanted);
	return found;
}

bool sl_ids_engine_owns(const struct sl_ids_engine *engine, const char *imsi,
			const struct sl_install *install)
{
	if (!engine || !engine->held || install->origin != SLUICE_ORIGIN_GX)
		return false;
	for (uint32_t slot = 0; slot < SLUICE_IDS_RULES; slot++) {
		const struct sl_ids_rule *rule = sl_ids_rules_at(engine->config.rules, slot);
		const struct sl_ids_held *held = rule ? find(engine, imsi, rule->image.identity) : NULL;

		if (held && names(engine, held, install->rule->id))
			return true;
	}
	return false;
}

void sl_ids_quarantine_free(struct sl_ids_engine *engine)
{
	struct sl_ids_held *held, *next;

	HASH_ITER (hh, engine->held, held, next) {
		HASH_DEL(engine->held, held);
		free(held);
	}
}
