// SPDX-License-Identifier: Apache-2.0
/* How full the pools are, and what HTB has counted of their classes. */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "qos/private.h"

static void status_of(struct sl_pool *pool, struct sl_qos_pool_status *out)
{
	uint64_t now = sl_now_ns();

	*out = (struct sl_qos_pool_status){.seconds_left = UINT32_MAX};
	if (!pool)
		return;
	sl_pool_tick(pool, now);
	out->size = sl_pool_size(pool);
	out->ready = sl_pool_ready(pool);
	out->used = sl_pool_used(pool);
	out->seconds_left = sl_pool_seconds_left(pool, now);
}

void sl_qos_pool_status(const struct sl_qos *qos, enum sluice_direction direction,
			struct sl_qos_pool_status *out)
{
	status_of(qos->side[direction].single, out);
}

void sl_qos_tree_status(const struct sl_qos *qos, enum sluice_direction direction,
			struct sl_qos_pool_status *out)
{
	status_of(qos->side[direction].trees, out);
}

/* --- what HTB has counted --- */

struct census {
	uint32_t minors;
	struct sl_qos_counts *by_minor;
};

/* The default class is in every HTB of a device. */
static void add_class(const struct sl_htb_class *seen, void *data)
{
	struct census *census = data;
	struct sl_qos_counts *to;

	if (seen->minor >= census->minors)
		return;
	to = &census->by_minor[seen->minor];
	to->now.bytes += seen->sent_bytes;
	to->now.packets += seen->sent_packets;
	to->now.drops += seen->drops;
	to->backlog_bytes += seen->backlog_bytes;
	to->backlog_packets += seen->backlog_packets;
}

static void add_count(struct sl_qos_count *to, const struct sl_qos_count *count)
{
	to->bytes += count->bytes;
	to->packets += count->packets;
	to->drops += count->drops;
}

/* A class that has counted less than before is another one: its device, its qdisc or itself was made anew. */
static void follow(struct sl_qos_counts *counts, const struct sl_qos_counts *seen)
{
	if (seen->now.bytes < counts->now.bytes || seen->now.packets < counts->now.packets ||
	    seen->now.drops < counts->now.drops)
		add_count(&counts->gone, &counts->now);
	counts->now = seen->now;
	counts->backlog_bytes = seen->backlog_bytes;
	counts->backlog_packets = seen->backlog_packets;
}

int sl_qos_count(struct sl_qos *qos, struct sl_qos_side *side, const struct sl_htb_device *device,
		 struct sl_error *err)
{
	const uint32_t minors = sl_qos_minors(qos);
	_cleanup_free_ struct sl_qos_counts *seen = calloc(minors, sizeof(*seen));
	struct sl_qos_counts *counts = side->counts[device - side->device];
	struct census census = {minors, seen};
	int code;

	if (!seen)
		return sl_error(err, ENOMEM, "qos: no memory");
	code = sl_htb_read_classes(qos->netlink, device, add_class, &census, err);
	if (code < 0 && code != -ENODEV)
		return code;
	for (uint32_t minor = 0; minor < minors; minor++)
		follow(&counts[minor], &seen[minor]);
	return 0;
}

static int count_side(struct sl_qos *qos, struct sl_qos_side *side, struct sl_error *err)
{
	int code = 0;

	for (unsigned int i = 0; i < side->count && code == 0 && !qos->removed; i++)
		code = sl_qos_count(qos, side, &side->device[i], err);
	return code;
}

static void add(const struct sl_qos_side *side, uint32_t minor, struct sl_qos_class_stats *to)
{
	/* without a pool there are none */
	for (unsigned int i = 0; i < side->count && side->counts[i]; i++) {
		const struct sl_qos_counts *counts = &side->counts[i][minor];

		to->sent_bytes += counts->now.bytes + counts->gone.bytes;
		to->sent_packets += counts->now.packets + counts->gone.packets;
		to->dropped_packets += counts->now.drops + counts->gone.drops;
		to->backlog_bytes += counts->backlog_bytes;
		to->backlog_packets += counts->backlog_packets;
	}
}

int sl_qos_read_stats(struct sl_qos *qos, enum sluice_direction direction, struct sl_qos_class_stats *out,
		      size_t max, struct sl_error *err)
{
	struct sl_qos_side *side = &qos->side[direction];
	int code = count_side(qos, side, err);
	size_t count = 0;

	if (code < 0)
		return code;
	for (uint32_t minor = 0; minor < sl_qos_minors(qos) && count < max; minor++) {
		const struct sl_pool *pool = sl_qos_pool_of(side, (uint16_t)minor);

		if (!pool || !sl_pool_is_used(pool, (uint16_t)minor))
			continue;
		out[count] = (struct sl_qos_class_stats){.minor = (uint16_t)minor};
		add(side, minor, &out[count++]);
	}
	return (int)count;
}

int sl_qos_read_total(struct sl_qos *qos, enum sluice_direction direction, struct sl_qos_class_stats *out,
		      struct sl_error *err)
{
	struct sl_qos_side *side = &qos->side[direction];
	struct sl_qos_class_stats total = {0};
	int code = count_side(qos, side, err);

	if (code < 0)
		return code;
	/* what an inner class has sent, its leaves have */
	for (uint32_t minor = 0; minor < sl_qos_minors(qos); minor++)
		if (!sl_qos_spec(qos, (uint16_t)minor, (struct sl_qos_rates){0}).inner)
			add(side, minor, &total);
	*out = total;
	return 0;
}
