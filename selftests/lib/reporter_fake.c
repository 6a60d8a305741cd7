// SPDX-License-Identifier: Apache-2.0
#include "reporter_fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static size_t fake_session(bool ended, struct sl_usage_record *out, size_t max, uint32_t *slot, void *user)
{
	struct reporter_fake *fake = user;
	size_t sessions = ended ? fake->ended - fake->freed : fake->active;
	size_t records = ended ? fake->per_session : fake->per_active;

	records += !records;
	if (*slot >= sessions) {
		*slot = SLUICE_NONE;
		return 0;
	}
	if (records > max)
		return records;
	for (size_t i = 0; i < records; i++) {
		uint32_t at = (uint32_t)((*slot + (ended ? fake->freed : 0)) * records + i);

		out[i] = (struct sl_usage_record){.slot = ended ? ENDED_SLOT + at : at};
		out[i].retired = ended;
		out[i].final = ended && at / records + fake->not_final < fake->ended;
		out[i].usage.uplink.bytes = fake->unused ? 0 : 7;
	}
	++*slot;
	return records;
}

static size_t fake_size(const struct sl_usage_record *record)
{
	(void)record;
	return RECORD_BYTES;
}

static void fake_acknowledge(const struct sl_usage_receipt *receipts, size_t count, void *user)
{
	struct reporter_fake *fake = user;

	fake->acknowledged++;
	fake->slots = count;
	for (size_t i = 0; i < count && i < 8; i++)
		fake->slot[i] = receipts[i].slot;
	for (size_t i = 0; i < count && fake->reported; i++)
		assert_true(fake->reported[receipts[i].slot - ENDED_SLOT]);
	if (fake->frees)
		fake->freed += count / (fake->per_session ? fake->per_session : 1);
}

static int fake_send(const struct sl_usage_record *records, size_t count, void *user)
{
	struct reporter_fake *fake = user;

	fake->sent++;
	fake->count = count;
	fake->ended_in = 0;
	for (size_t i = 0; i < count; i++) {
		fake->ended_in += records[i].retired;
		if (records[i].retired && records[i].slot - ENDED_SLOT < fake->reported_size)
			fake->reported[records[i].slot - ENDED_SLOT]++;
	}
	/* the sessions in force follow the others, each whole, where the last message ended */
	for (size_t i = fake->ended_in; i < count && fake->per_active; i++)
		assert_int_equal(records[i].slot, fake->seen + i - fake->ended_in);
	assert_true(!fake->per_active || (count - fake->ended_in) % fake->per_active == 0);
	fake->seen += count - fake->ended_in;
	if (count > fake->ended_in)
		fake->first_active = records[fake->ended_in].slot;
	return fake->send_result;
}

static bool fake_ready(void *user)
{
	return ((struct reporter_fake *)user)->ready;
}

static void fake_change(bool up, const char *reason, void *user)
{
	struct reporter_fake *fake = user;

	if (up) {
		fake->ups++;
		assert_null(reason);
		return;
	}
	fake->downs++;
	strncpy(fake->reason, reason, sizeof(fake->reason) - 1);
}

static void fake_report(size_t records, void *user)
{
	struct reporter_fake *fake = user;

	fake->cycles++;
	fake->cycle_records = records;
}

const struct sl_reporter_ops reporter_fake_ops = {
	.session = fake_session,
	.size = fake_size,
	.acknowledge = fake_acknowledge,
	.send = fake_send,
	.ready = fake_ready,
	.on_change = fake_change,
	.on_report = fake_report,
};

int reporter_fake_setup(void **state)
{
	struct reporter_fake *fake = calloc(1, sizeof(*fake));

	if (!fake)
		return -1;
	fake->ready = true;
	*state = fake;
	return sl_reporter_new(&reporter_fake_ops, MESSAGE, fake, &fake->reporter);
}

int reporter_fake_teardown(void **state)
{
	struct reporter_fake *fake = *state;

	sl_reporter_free(fake->reporter);
	free(fake);
	return 0;
}

struct sl_reporter_stats reporter_fake_stats(const struct reporter_fake *fake)
{
	struct sl_reporter_stats stats;

	sl_reporter_stats(fake->reporter, &stats);
	return stats;
}
