// SPDX-License-Identifier: Apache-2.0
/* How the pools come to be: what the kernel has already, and what is missing. */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "qos/private.h"
#include "qos/shape.h"
#include "sluice/limits.h"

#define CHUNK_MAX    1024u /* classes of one call of sl_qos_build() in one direction */
#define TREE_CLASSES (1u + SL_QOS_TREE_LEAVES)

/* --- what is there --- */

/* By minor, over the devices of a direction. */
struct found {
	unsigned int devices;
	bool differs;
	struct sl_qos_rates rates;
};

struct census {
	const struct sl_qos *qos;
	const struct sl_qos_side *side;
	const struct sl_htb_device *device;
	struct found *found;
	struct sl_htb_class *wrong; /* in a place where another class belongs; leaves first in the end */
	size_t wrong_count, wrong_room;
	bool out_of_memory;
};

static void note_wrong(struct census *census, const struct sl_htb_class *seen)
{
	if (census->wrong_count == census->wrong_room) {
		size_t room = census->wrong_room ? census->wrong_room * 2 : 64;
		struct sl_htb_class *more = reallocarray(census->wrong, room, sizeof(*more));

		if (!more) {
			census->out_of_memory = true;
			return;
		}
		census->wrong = more;
		census->wrong_room = room;
	}
	census->wrong[census->wrong_count++] = *seen;
}

static void count_class(const struct sl_htb_class *seen, void *data)
{
	struct census *census = data;
	const struct sl_qos *qos = census->qos;
	struct sl_qos_rates rates = {.mbr = seen->rate};
	struct sl_htb_spec spec = sl_qos_spec(qos, seen->minor, rates);
	struct found *found;

	if (seen->minor == SLUICE_HTB_DEFAULT_MINOR)
		return;
	if (seen->minor < SLUICE_HTB_POOL_MINOR || seen->minor >= sl_qos_minors(qos) ||
	    seen->parent != (spec.parent ? spec.parent : SLUICE_HTB_ROOT_MINOR) ||
	    seen->queue != sl_htb_queue(census->device, seen->minor) || (spec.inner && seen->has_leaf)) {
		note_wrong(census, seen);
		return;
	}
	if (!spec.inner && !seen->has_leaf)
		return;
	found = &census->found[seen->minor];
	rates.gbr = sl_shape_bytes_per_second(seen->own_rate) > sl_shape_bytes_per_second(spec.own_rate)
			    ? seen->own_rate
			    : 0;
	if (found->devices++ == 0)
		found->rates = rates;
	else if (!sl_qos_same_rates(qos, seen->minor, found->rates, rates))
		found->differs = true;
}

static bool is_below(const struct sl_htb_class *seen)
{
	return seen->parent != SLUICE_HTB_ROOT_MINOR;
}

/* Leaves first: a class that has some cannot go. */
static int remove_wrong(struct census *census, struct sl_error *err)
{
	struct sl_netlink *netlink = census->qos->netlink;

	for (int below = 1; below >= 0; below--)
		for (size_t i = 0; i < census->wrong_count; i++)
			if (is_below(&census->wrong[i]) == below)
				sl_htb_put_delete_class(netlink, census->device, &census->wrong[i]);
	return census->wrong_count ? sl_netlink_commit(netlink, err) : 0;
}

static int look_at(struct census *census, struct sl_error *err)
{
	int code = sl_htb_read_classes(census->qos->netlink, census->device, count_class, census, err);

	if (code == 0 && census->out_of_memory)
		code = sl_error(err, ENOMEM, "qos: no memory");
	if (code == 0)
		code = remove_wrong(census, err);
	free(census->wrong);
	return code < 0 ? sl_error_prefix(err, code, "interface %s", census->device->name) : 0;
}

static void take_over(const struct sl_qos_side *side, struct sl_pool *pool, const struct found *found,
		      uint16_t minor)
{
	/* a direction without devices has nothing to build */
	if (found[minor].devices < side->count)
		return;
	sl_pool_set_ready(pool, minor);
	sl_pool_set_kernel(pool, minor, found[minor].differs ? (struct sl_qos_rates){0} : found[minor].rates);
}

static bool is_whole(const struct sl_qos_side *side, const struct found *found, uint16_t tree)
{
	for (uint16_t i = 0; i <= SL_QOS_TREE_LEAVES; i++)
		if (found[tree + i].devices < side->count)
			return false;
	return true;
}

int sl_qos_find_classes(struct sl_qos *qos, struct sl_qos_side *side, struct sl_error *err)
{
	_cleanup_free_ struct found *found = calloc(sl_qos_minors(qos), sizeof(*found));

	if (!found)
		return sl_error(err, ENOMEM, "qos: no memory");
	for (unsigned int i = 0; i < side->count; i++) {
		struct census census = {.qos = qos, .side = side, .device = &side->device[i], .found = found};
		int code = look_at(&census, err);

		if (code < 0)
			return code;
	}
	for (uint32_t i = 0; i < qos->pool_size; i++)
		take_over(side, side->single, found, sl_pool_minor(side->single, i));
	for (uint32_t i = 0; i < qos->tree_count; i++) {
		uint16_t tree = sl_pool_minor(side->trees, i);

		if (!is_whole(side, found, tree))
			continue;
		take_over(side, side->trees, found, tree);
		for (uint16_t leaf = tree + 1; leaf <= tree + SL_QOS_TREE_LEAVES; leaf++)
			take_over(side, side->leaves, found, leaf);
	}
	return 0;
}

/* --- what is missing --- */

/* The inner class before the leaves, and all of it before it counts as built. */
int sl_qos_build_tree(struct sl_qos *qos, struct sl_qos_side *side, uint16_t tree, struct sl_error *err)
{
	const struct sl_qos_rates link = {.mbr = qos->link_rate};
	uint16_t minor[TREE_CLASSES];
	int code;

	for (uint16_t i = 0; i < TREE_CLASSES; i++)
		minor[i] = tree + i;
	code = sl_qos_put(qos, side, SL_HTB_MAKE, minor, TREE_CLASSES, link, err);
	if (code < 0)
		return code;
	for (uint16_t i = 0; i < TREE_CLASSES; i++) {
		struct sl_pool *pool = i ? side->leaves : side->trees;

		if (!sl_pool_is_ready(pool, minor[i]))
			sl_pool_set_ready(pool, minor[i]);
		sl_pool_set_kernel(pool, minor[i], link);
	}
	return 0;
}

static int build_single(struct sl_qos *qos, struct sl_qos_side *side, uint32_t classes, struct sl_error *err)
{
	const struct sl_qos_rates link = {.mbr = qos->link_rate};
	uint16_t minor[CHUNK_MAX];
	uint32_t count = sl_pool_missing(side->single, minor, classes < CHUNK_MAX ? classes : CHUNK_MAX);
	int code = sl_qos_put(qos, side, SL_HTB_MAKE, minor, count, link, err);

	for (uint32_t i = 0; code == 0 && i < count; i++) {
		sl_pool_set_ready(side->single, minor[i]);
		sl_pool_set_kernel(side->single, minor[i], link);
	}
	return code;
}

static int build_trees(struct sl_qos *qos, struct sl_qos_side *side, uint32_t classes, struct sl_error *err)
{
	uint16_t tree[CHUNK_MAX / TREE_CLASSES];
	uint32_t max = classes / TREE_CLASSES ? classes / TREE_CLASSES : 1;
	uint32_t count =
		sl_pool_missing(side->trees, tree, max < SL_ARRAY_SIZE(tree) ? max : SL_ARRAY_SIZE(tree));
	int code = 0;

	for (uint32_t i = 0; i < count && code == 0; i++)
		code = sl_qos_build_tree(qos, side, tree[i], err);
	return code;
}

static bool is_complete(const struct sl_pool *pool)
{
	return !pool || sl_pool_ready(pool) == sl_pool_size(pool);
}

static int build_side(struct sl_qos *qos, struct sl_qos_side *side, uint32_t classes, struct sl_error *err)
{
	bool trees = side->trees_next ? !is_complete(side->trees) : is_complete(side->single);

	side->trees_next = !trees;
	return trees ? build_trees(qos, side, classes, err) : build_single(qos, side, classes, err);
}

int sl_qos_build(struct sl_qos *qos, uint32_t classes, struct sl_error *err)
{
	bool incomplete[SLUICE_DIRECTIONS] = {false}, more = false;
	int failed = 0;

	if (qos->removed)
		return 0;
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++)
		incomplete[direction] =
			!is_complete(qos->side[direction].single) || !is_complete(qos->side[direction].trees);
	/* a direction that fails does not keep the other one from being built */
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		struct sl_qos_side *side = &qos->side[direction];
		int code;

		if (!incomplete[direction])
			continue;
		code = build_side(qos, side, incomplete[!direction] && classes > 1 ? classes / 2 : classes,
				  failed ? NULL : err);
		failed = failed ? failed : code;
		more |= !is_complete(side->single) || !is_complete(side->trees);
	}
	return failed ? failed : more;
}
