// SPDX-License-Identifier: Apache-2.0
/* What operators do about blocks. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/admin_ids.h"
#include "api/message.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "ids/engine.h"
#include "ids/key.h"
#include "sluice/v1/admin.pb-c.h"

#define NS_PER_MS 1000000ull
#define LIFE_MS	  (366ull * 24 * 3600 * 1000)

static void answer(struct sl_call *call, int rc, uint32_t blocks, const struct sl_error *err)
{
	Sluice__V1__IdsBlockResult result = SLUICE__V1__IDS_BLOCK_RESULT__INIT;

	if (rc < 0) {
		sl_call_finish(call, sl_status_of(rc), err->text);
		return;
	}
	result.blocks = blocks;
	sl_message_reply(call, &result.base);
}

static int check(const Sluice__V1__IdsBlockRequest *wire, struct sl_error *err)
{
	if (wire->n_subjects == 0)
		return sl_error(err, EINVAL, "subjects: none");
	if (wire->hard_ms > LIFE_MS)
		return sl_error(err, EINVAL, "hard_ms: %llu; allowed: at most 366 days",
				(unsigned long long)wire->hard_ms);
	if (wire->idle_ms > LIFE_MS)
		return sl_error(err, EINVAL, "idle_ms: %llu; allowed: at most 366 days",
				(unsigned long long)wire->idle_ms);
	if (strlen(wire->reason) >= SL_IDS_REASON_SIZE)
		return sl_error(err, EINVAL, "reason: longer than %d bytes", SL_IDS_REASON_SIZE - 1);
	return 0;
}

static int block(struct sl_service *service, const Sluice__V1__IdsBlockRequest *wire, struct sl_error *err)
{
	_cleanup_free_ struct sl_ids_block_order *orders = calloc(wire->n_subjects + 1, sizeof(*orders));
	int rc = check(wire, err);

	if (rc < 0)
		return rc;
	if (!orders)
		return sl_error(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < wire->n_subjects; i++) {
		orders[i] = (struct sl_ids_block_order){
			.verdict = SLUICE_IDS_DROP,
			.flags = SLUICE_IDS_BLOCK_OPERATOR | (wire->extend ? SLUICE_IDS_BLOCK_EXTEND : 0),
			.hard_ns = wire->hard_ms * NS_PER_MS,
			.idle_ns = wire->idle_ms * NS_PER_MS,
			.reason = wire->reason,
		};
		rc = sl_ids_key_parse(wire->subjects[i], &orders[i].key, err);
		if (rc < 0)
			return wire->n_subjects > 1 ? sl_error_prefix(err, rc, "subject %zu of %zu", i + 1,
								      wire->n_subjects)
						    : rc;
	}
	return sl_ids_blocks_make_many(sl_ids_engine_blocks(service->ids), orders, wire->n_subjects,
				       sl_now_ns(), err);
}

void sl_admin_ids_block(struct sl_call *call, const uint8_t *bytes, size_t length, void *user)
{
	ProtobufCMessage *message = NULL;
	struct sl_error err;
	uint32_t count = 0;
	int rc = sl_message_unpack(&sluice__v1__ids_block_request__descriptor, bytes, length, &message, &err);

	if (rc == 0) {
		count = (uint32_t)((Sluice__V1__IdsBlockRequest *)message)->n_subjects;
		rc = block(user, (Sluice__V1__IdsBlockRequest *)message, &err);
		sl_message_free(message);
	}
	if (rc == 0)
		sl_log(SL_LOG_INFO, "ids-blocked", "blocks", "%u", count, "peer", "%s", sl_call_peer(call),
		       NULL);
	answer(call, rc, count, &err);
}

/* --- the other way round ------------------------------------------------------------ */

struct search {
	const Sluice__V1__IdsUnblockRequest *wire;
	struct sluice_ids_key *found;
	size_t count;
};

static int look(struct sl_ids_block *candidate, void *user)
{
	struct search *search = user;

	for (size_t i = 0; i < search->wire->n_numbers; i++) {
		if (search->wire->numbers[i] != candidate->number)
			continue;
		search->found[search->count++] = candidate->key;
		break;
	}
	return 0;
}

#define NUMBERS 1024 /* each is compared with every block */

/* All are found before the first one ends. */
static int unblock(struct sl_service *service, const Sluice__V1__IdsUnblockRequest *wire, uint32_t *ended,
		   struct sl_error *err)
{
	struct sl_ids_blocks *blocks = sl_ids_engine_blocks(service->ids);
	_cleanup_free_ struct sluice_ids_key *found =
		calloc(wire->n_subjects + wire->n_numbers + 1, sizeof(*found));
	struct search search = {.wire = wire, .found = found};
	uint64_t now = sl_now_ns();

	if (!found)
		return sl_error(err, ENOMEM, "out of memory");
	if (wire->n_subjects + wire->n_numbers == 0)
		return sl_error(err, EINVAL, "neither subjects nor numbers");
	if (wire->n_numbers > NUMBERS)
		return sl_error(err, EINVAL, "numbers: %zu; allowed: at most %d", wire->n_numbers, NUMBERS);
	if (wire->n_numbers)
		sl_ids_blocks_each(blocks, 0, look, &search);
	if (search.count < wire->n_numbers)
		return sl_error(err, ENOENT, "numbers: %zu of them are of no block, or are there twice",
				wire->n_numbers - search.count);
	for (size_t i = 0; i < wire->n_subjects; i++) {
		int rc = sl_ids_key_parse(wire->subjects[i], &found[search.count], err);

		if (rc < 0)
			return rc;
		if (!sl_ids_blocks_find(blocks, &found[search.count++]))
			return sl_error(err, ENOENT, "subject: \"%s\" is not blocked by an operator",
					wire->subjects[i]);
	}
	for (size_t i = 0; i < search.count; i++) {
		/* not there any more: named twice */
		struct sl_ids_block *block = sl_ids_blocks_find(blocks, &found[i]);

		if (block && sl_ids_blocks_end(blocks, block, "operator", now) == 0)
			(*ended)++;
	}
	return 0;
}

void sl_admin_ids_unblock(struct sl_call *call, const uint8_t *bytes, size_t length, void *user)
{
	ProtobufCMessage *message = NULL;
	struct sl_error err;
	uint32_t ended = 0;
	int rc = sl_message_unpack(&sluice__v1__ids_unblock_request__descriptor, bytes, length, &message,
				   &err);

	if (rc == 0) {
		rc = unblock(user, (Sluice__V1__IdsUnblockRequest *)message, &ended, &err);
		sl_message_free(message);
	}
	answer(call, rc, ended, &err);
}
