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

struct sums {
	const struct sl_qos *qos;
	struct sl_qos_class_stats *by_minor;
};

static void add(struct sl_qos_class_stats *to, const struct sl_htb_class *seen)
{
	to->sent_bytes += seen->sent_bytes;
	to->sent_packets += seen->sent_packets;
	to->dropped_packets += seen->drops;
	to->backlog_bytes += seen->backlog_bytes;
	to->backlog_packets += seen->backlog_packets;
}

static void add_class(const struct sl_htb_class *seen, void *data)
{
	struct sums *sums = data;

	if (seen->minor < sl_qos_minors(sums->qos))
		add(&sums->by_minor[seen->minor], seen);
}

static void add_leaf(const struct sl_htb_class *seen, void *data)
{
	if (seen->has_leaf)
		add(data, seen);
}

int sl_qos_read_stats(struct sl_qos *qos, enum sluice_direction direction, struct sl_qos_class_stats *out,
		      size_t max, struct sl_error *err)
{
	const struct sl_qos_side *side = &qos->side[direction];
	_cleanup_free_ struct sl_qos_class_stats *by_minor = calloc(sl_qos_minors(qos), sizeof(*by_minor));
	struct sums sums = {qos, by_minor};
	size_t count = 0;

	if (!by_minor)
		return sl_error(err, ENOMEM, "qos: no memory");
	for (unsigned int i = 0; i < side->count && !qos->removed; i++) {
		int code = sl_htb_read_classes(qos->netlink, &side->device[i], add_class, &sums, err);

		if (code < 0)
			return code;
	}
	for (uint32_t minor = 0; minor < sl_qos_minors(qos) && count < max; minor++) {
		const struct sl_pool *pool = sl_qos_pool_of(side, (uint16_t)minor);

		if (!pool || !sl_pool_is_used(pool, (uint16_t)minor))
			continue;
		by_minor[minor].minor = (uint16_t)minor;
		out[count++] = by_minor[minor];
	}
	return (int)count;
}

int sl_qos_read_total(struct sl_qos *qos, enum sluice_direction direction, struct sl_qos_class_stats *out,
		      struct sl_error *err)
{
	const struct sl_qos_side *side = &qos->side[direction];
	struct sl_qos_class_stats total = {0};

	for (unsigned int i = 0; i < side->count && !qos->removed; i++) {
		int code = sl_htb_read_classes(qos->netlink, &side->device[i], add_leaf, &total, err);

		if (code < 0)
			return code;
	}
	*out = total;
	return 0;
}
