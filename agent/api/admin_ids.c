// SPDX-License-Identifier: Apache-2.0
#include "api/admin_ids.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/admin_views.h"
#include "api/message.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "ids/document.h"
#include "ids/engine.h"
#include "ids/key.h"
#include "ids/names.h"
#include "sluice/v1/admin.pb-c.h"

#define PAGE_ITEMS 500
#define PAGES	   48 /* below the bound of a stream's queue */
#define NS_PER_MS  1000000u

/* --- rules ------------------------------------------------------------------------ */

struct limits {
	Sluice__V1__IdsLimit message[SLUICE_IDS_LIMITS];
	Sluice__V1__IdsLimit *pointer[SLUICE_IDS_LIMITS];
};

static size_t fill_limits(const struct sluice_ids_rule *image, const uint64_t *now, struct limits *out)
{
	for (uint32_t i = 0; i < image->limit_count && i < SLUICE_IDS_LIMITS; i++) {
		Sluice__V1__IdsLimit *limit = &out->message[i];

		sluice__v1__ids_limit__init(limit);
		limit->count = image->limit[i].count;
		limit->window_ms = image->limit[i].window_ns / NS_PER_MS;
		limit->kind = (char *)sl_ids_limit_kind(image, i);
		limit->now = now ? now[i] : 0;
		out->pointer[i] = limit;
	}
	return image->limit_count < SLUICE_IDS_LIMITS ? image->limit_count : SLUICE_IDS_LIMITS;
}

struct rules {
	struct sl_service *service;
	Sluice__V1__IdsRuleTable table;
	Sluice__V1__IdsRule rule[SLUICE_IDS_RULES];
	Sluice__V1__IdsRule *pointer[SLUICE_IDS_RULES];
	struct limits limits[SLUICE_IDS_RULES];
	char name[SLUICE_IDS_RULES][SLUICE_IDS_NAME_SIZE];
};

static int add_rule(const struct sl_ids_view *view, void *user)
{
	struct rules *rules = user;
	size_t at = rules->table.n_rules;
	Sluice__V1__IdsRule *out = &rules->rule[at];
	struct sluice_ids_rule_count counts = {.sequence = 0};

	if (at == SLUICE_IDS_RULES)
		return 1;
	sl_ids_rules_counts(rules->service->ids_rules, view->slot, &counts);
	sluice__v1__ids_rule__init(out);
	memcpy(rules->name[at], view->image->name, SLUICE_IDS_NAME_SIZE - 1);
	out->name = rules->name[at];
	out->track = (char *)sl_ids_track_name(view->image->track);
	out->count = (char *)sl_ids_count_name(view->image->count);
	out->verdict = (char *)sl_ids_verdict_name(view->image->verdict);
	out->engine = view->image->flags & SLUICE_IDS_POLL ? "poll" : "inline";
	out->mode = view->image->flags & SLUICE_IDS_OBSERVE ? "observe" : "enforce";
	out->n_limits = fill_limits(view->image, NULL, &rules->limits[at]);
	out->limits = rules->limits[at].pointer;
	out->blocks = __atomic_load_n(&view->image->blocks, __ATOMIC_RELAXED);
	out->matched_bytes = counts.matched.bytes;
	out->matched_packets = counts.matched.packets;
	out->excess_bytes = counts.excess.bytes;
	out->excess_packets = counts.excess.packets;
	out->dropped_bytes = counts.dropped.bytes;
	out->dropped_packets = counts.dropped.packets;
	out->keys_refused = counts.keys_refused;
	if (view->rule) {
		out->number = view->rule->number;
		out->subscribers = view->rule->subscriber_count;
		out->file = (char *)view->rule->file;
		out->line = view->rule->line;
	}
	rules->pointer[rules->table.n_rules++] = out;
	return 0;
}

void sl_view_ids(struct sl_service *service, Sluice__V1__IdsStatus *out)
{
	struct sl_ids_blocks_stats blocks;
	struct sl_ids_rules_status rules;

	sluice__v1__ids_status__init(out);
	sl_ids_blocks_stats(sl_ids_engine_blocks(service->ids), &blocks);
	sl_ids_rules_status(service->ids_rules, &rules);
	out->rules = sl_ids_rules_count(service->ids_rules);
	out->blocks = blocks.active;
	out->operator_blocks = blocks.operators;
	if (rules.problem)
		out->problem = (char *)rules.problem;
}

void sl_admin_list_ids_rules(struct sl_call *call, const uint8_t *bytes, size_t length, void *user)
{
	_cleanup_free_ struct rules *rules = calloc(1, sizeof(*rules));
	struct sl_ids_rules_status status;

	(void)bytes;
	(void)length;
	if (!rules) {
		sl_call_finish(call, SL_GRPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	rules->service = user;
	sluice__v1__ids_rule_table__init(&rules->table);
	rules->table.rules = rules->pointer;
	sl_ids_rules_each(rules->service->ids_rules, add_rule, rules);
	sl_ids_rules_status(rules->service->ids_rules, &status);
	if (status.problem)
		rules->table.problem = (char *)status.problem;
	sl_message_reply(call, &rules->table.base);
}

/* --- blocks ----------------------------------------------------------------------- */

struct blocks {
	struct sl_service *service;
	uint64_t next; /* number of the first that did not fit; 0: all did */
	size_t count;
	Sluice__V1__IdsBlock block[PAGE_ITEMS];
	Sluice__V1__IdsBlock *pointer[PAGE_ITEMS];
	char subject[PAGE_ITEMS][SL_IDS_KEY_TEXT];
};

static const char *rule_name(const struct sl_service *service, uint32_t identity)
{
	const struct sluice_ids_rule *image;

	if (!identity)
		return SL_IDS_RESERVED_NAME;
	image = sl_ids_rules_image(service->ids_rules,
				   sl_ids_rules_by_identity(service->ids_rules, identity));
	return image ? image->name : "";
}

static int add_block(struct sl_ids_block *block, void *user)
{
	struct blocks *blocks = user;
	const struct sluice_ids_block *value = &block->value;
	Sluice__V1__IdsBlock *out = &blocks->block[blocks->count];
	uint64_t idle = value->idle_ns ? value->last_ns + value->idle_ns : UINT64_MAX, until;

	if (blocks->count == PAGE_ITEMS) {
		blocks->next = block->number;
		return 1;
	}
	until = value->hard_ns && value->hard_ns < idle ? value->hard_ns : idle;
	sluice__v1__ids_block__init(out);
	out->number = block->number;
	out->rule = (char *)rule_name(blocks->service, block->key.rule);
	out->subject = (char *)sl_ids_key_format(&block->key, blocks->subject[blocks->count]);
	out->imsi = block->imsi;
	out->verdict = (char *)sl_ids_verdict_name(value->verdict);
	out->level = value->level;
	out->observe = value->flags & SLUICE_IDS_BLOCK_OBSERVE;
	out->extend = value->flags & SLUICE_IDS_BLOCK_EXTEND;
	out->since_ms = sl_view_wall_ms(value->since_ns);
	out->hard_ms = sl_view_wall_ms(value->hard_ns);
	out->idle_ms = value->idle_ns / NS_PER_MS;
	out->until_ms = until == UINT64_MAX ? 0 : sl_view_wall_ms(until);
	out->dropped_bytes = value->hits.bytes;
	out->dropped_packets = value->hits.packets;
	out->reason = block->reason;
	blocks->pointer[blocks->count++] = out;
	return 0;
}

void sl_admin_list_ids_blocks(struct sl_call *call, const uint8_t *bytes, size_t length, void *user)
{
	_cleanup_free_ struct blocks *blocks = calloc(1, sizeof(*blocks));
	struct sl_service *service = user;
	ProtobufCMessage *message;
	struct sl_error err;
	int rc = sl_message_unpack(&sluice__v1__list_ids_blocks_request__descriptor, bytes, length, &message,
				   &err);

	if (rc < 0 || !blocks) {
		if (rc == 0)
			sl_message_free(message);
		sl_call_finish(call, rc < 0 ? sl_status_of(rc) : SL_GRPC_RESOURCE_EXHAUSTED,
			       rc < 0 ? err.text : "out of memory");
		return;
	}
	blocks->service = service;
	blocks->next = ((Sluice__V1__ListIdsBlocksRequest *)message)->start;
	sl_message_free(message);
	for (int pages = 0; pages < PAGES; pages++) {
		Sluice__V1__IdsBlockPage page = SLUICE__V1__IDS_BLOCK_PAGE__INIT;
		uint64_t from = blocks->next;

		blocks->count = 0;
		blocks->next = 0;
		sl_ids_blocks_each(sl_ids_engine_blocks(service->ids), from, add_block, blocks);
		page.blocks = blocks->pointer;
		page.n_blocks = blocks->count;
		page.next = blocks->next;
		if (sl_message_send(call, &page.base) != 0 || !blocks->next)
			break;
	}
	sl_call_finish(call, SL_GRPC_OK, NULL);
}

/* --- explain ------------------------------------------------------------------------ */

struct explanation {
	Sluice__V1__IdsExplanation message;
	Sluice__V1__IdsApplication rule[SLUICE_IDS_RULES];
	Sluice__V1__IdsApplication *pointer[SLUICE_IDS_RULES];
	struct limits limits[SLUICE_IDS_RULES];
	char key[SLUICE_IDS_RULES][SL_IDS_KEY_TEXT];
	struct blocks blocks;
};

static void explain_rule(const struct sl_ids_explanation *from, void *user)
{
	struct explanation *explanation = user;
	size_t at = explanation->message.n_rules;
	Sluice__V1__IdsApplication *out = &explanation->rule[at];

	if (at == SLUICE_IDS_RULES)
		return;
	sluice__v1__ids_application__init(out);
	out->rule = (char *)from->rule->name;
	out->applies = (char *)from->applies;
	out->track = (char *)sl_ids_track_name(from->rule->image.track);
	if (from->has_key)
		out->key = (char *)sl_ids_key_format(&from->key, explanation->key[at]);
	out->n_limits = fill_limits(&from->rule->image, from->count, &explanation->limits[at]);
	out->limits = explanation->limits[at].pointer;
	explanation->pointer[explanation->message.n_rules++] = out;
}

static void explain_block(const struct sl_ids_block *block, void *user)
{
	struct explanation *explanation = user;

	add_block((struct sl_ids_block *)block, &explanation->blocks);
}

void sl_admin_explain_ids(struct sl_call *call, const uint8_t *bytes, size_t length, void *user)
{
	_cleanup_free_ struct explanation *explanation = calloc(1, sizeof(*explanation));
	struct sl_service *service = user;
	ProtobufCMessage *message = NULL;
	struct sl_error err;
	int rc = sl_message_unpack(&sluice__v1__explain_ids_request__descriptor, bytes, length, &message,
				   &err);

	if (rc == 0 && !explanation)
		rc = sl_error(&err, ENOMEM, "out of memory");
	if (rc == 0) {
		sluice__v1__ids_explanation__init(&explanation->message);
		explanation->blocks.service = service;
		rc = sl_ids_engine_explain(service->ids, ((Sluice__V1__ExplainIdsRequest *)message)->subject,
					   sl_now_ns(), explain_rule, explain_block, explanation, &err);
	}
	if (message)
		sl_message_free(message);
	if (rc < 0) {
		sl_call_finish(call, sl_status_of(rc), err.text);
		return;
	}
	explanation->message.rules = explanation->pointer;
	explanation->message.blocks = explanation->blocks.pointer;
	explanation->message.n_blocks = explanation->blocks.count;
	explanation->message.more = explanation->blocks.next != 0;
	sl_message_reply(call, &explanation->message.base);
}
