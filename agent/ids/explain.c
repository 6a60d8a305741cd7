// SPDX-License-Identifier: Apache-2.0
/* Why somebody is blocked, or how far he is from it. */
#include <errno.h>
#include <string.h>

#include "ids/engine_parts.h"
#include "ids/key.h"
#include "ids/state.h"

struct subject {
	struct sl_ids_engine *engine;
	char imsi[SLUICE_IMSI_SIZE]; /* "": an address of nobody's */
	struct sl_address address;   /* family 0: a subscriber was asked for */
	uint64_t now;
	void (*rule)(const struct sl_ids_explanation *explanation, void *user);
	void (*block)(const struct sl_ids_block *block, void *user);
	void *user;
};

static int find_subject(struct sl_ids_engine *engine, const char *text, struct subject *out,
			struct sl_error *err)
{
	struct sluice_endpoint endpoint;

	if (sl_imsi_parse("subject", text, out->imsi, NULL) == 0)
		return 0;
	out->imsi[0] = '\0';
	if (sl_address_parse("subject", text, &out->address, NULL) < 0)
		return sl_error(err, EINVAL, "subject: \"%s\"; allowed: an IMSI or an address", text);
	if (sl_endpoint_get(engine->config.datapath, &out->address, &endpoint) == 0)
		memcpy(out->imsi, endpoint.imsi, sizeof(out->imsi) - 1);
	return 0;
}

/* Whether the rule tracks the subject itself, so that there is one key to look at. */
static bool key_of(const struct sl_ids_rule *rule, const struct subject *subject, struct sluice_ids_key *out)
{
	*out = (struct sluice_ids_key){.rule = rule->image.identity, .track = rule->image.track};
	switch (rule->image.track) {
	case SLUICE_IDS_SUBSCRIBER:
		memcpy(out->local, subject->imsi, sizeof(out->local));
		return subject->imsi[0] != '\0';
	case SLUICE_IDS_SOURCE:
	case SLUICE_IDS_DESTINATION:
		out->family = (uint8_t)subject->address.family;
		memcpy(out->remote, subject->address.bytes, sizeof(out->remote));
		/* with a prefix it is not the address alone */
		return subject->address.family && !rule->image.prefix4 && !rule->image.prefix6;
	case SLUICE_IDS_RULE:
		return true;
	default:
		return false;
	}
}

static bool listed(char (*list)[SLUICE_IMSI_SIZE], uint32_t count, const char *imsi)
{
	for (uint32_t i = 0; i < count; i++)
		if (strcmp(list[i], imsi) == 0)
			return true;
	return false;
}

static const char *applies(const struct sl_ids_view *view, const struct subject *subject)
{
	const struct sl_ids_rule *rule = view->rule;
	uint32_t slot;

	if (!subject->imsi[0])
		return rule->subscriber_count ? "not-listed" : "yes";
	if (listed(rule->exempt, rule->exempt_count, subject->imsi))
		return "exempt";
	slot = sl_ids_rules_for(subject->engine->config.rules, view->place, subject->imsi);
	if (slot == view->slot)
		return "yes";
	return rule->subscriber_count ? "not-listed" : "other-rule";
}

static int explain_rule(const struct sl_ids_view *view, void *user)
{
	const struct subject *subject = user;
	struct sl_ids_explanation explanation = {.rule = view->rule, .slot = view->slot};

	if (!view->rule)
		return 0;
	explanation.applies = applies(view, subject);
	explanation.has_key = key_of(view->rule, subject, &explanation.key);
	for (uint32_t i = 0; explanation.has_key && i < view->rule->image.limit_count; i++)
		explanation.count[i] = sl_ids_state_count(subject->engine->config.datapath, view->image,
							  &explanation.key, i, subject->now);
	subject->rule(&explanation, subject->user);
	return 0;
}

static int explain_block(struct sl_ids_block *block, void *user)
{
	const struct subject *subject = user;
	const uint8_t *address = subject->address.bytes;
	bool mine = subject->imsi[0] && strcmp(block->imsi, subject->imsi) == 0;

	if (subject->address.family && subject->address.family == block->key.family)
		mine |= memcmp(block->key.local, address, 16) == 0 ||
			memcmp(block->key.remote, address, 16) == 0;
	if (mine)
		subject->block(block, subject->user);
	return 0;
}

int sl_ids_engine_explain(struct sl_ids_engine *engine, const char *text, uint64_t now,
			  void (*rule)(const struct sl_ids_explanation *explanation, void *user),
			  void (*block)(const struct sl_ids_block *block, void *user), void *user,
			  struct sl_error *err)
{
	struct subject subject = {.engine = engine, .now = now, .rule = rule, .block = block, .user = user};
	int rc = find_subject(engine, text, &subject, err);

	if (rc < 0)
		return rc;
	sl_ids_rules_each(engine->config.rules, explain_rule, &subject);
	sl_ids_blocks_each(engine->blocks, 0, explain_block, &subject);
	return 0;
}
