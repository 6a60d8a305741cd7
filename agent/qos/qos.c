// SPDX-License-Identifier: Apache-2.0
/* The qdiscs of the devices, and the book of what is below them. */
#include "qos/qos.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "qos/htb.h"
#include "qos/netlink.h"
#include "qos/pool.h"
#include "qos/private.h"
#include "qos/shape.h"
#include "sluice/limits.h"

#define CLASSES_MORE 1u /* the default class, beside the pool's */

static void cleanup_qos(struct sl_qos **qos)
{
	sl_qos_close(*qos);
}

static uint16_t first_single(uint32_t trees)
{
	return (uint16_t)(SLUICE_HTB_POOL_MINOR + (trees << SLUICE_HTB_UNIT_BITS));
}

uint32_t sl_qos_minors(const struct sl_qos *qos)
{
	return first_single(qos->tree_count) + qos->pool_size;
}

static int check_config(const struct sl_qos_config *config, struct sl_error *err)
{
	const char *name = NULL;
	unsigned int seen[SLUICE_DIRECTIONS * SL_QOS_DEVICES];
	unsigned int count = 0;
	uint32_t room;

	if (config->trees > SL_QOS_MINOR_MAX >> SLUICE_HTB_UNIT_BITS)
		return sl_error(err, ERANGE, "qos.trees %u is above %u", config->trees,
				SL_QOS_MINOR_MAX >> SLUICE_HTB_UNIT_BITS);
	room = SL_QOS_MINOR_MAX + 1 - first_single(config->trees);
	if (config->pool_size > room)
		return sl_error(err, ERANGE,
				"qos.pool %u is above %u, what %u trees leave of the class numbers",
				config->pool_size, room, config->trees);
	if (config->link_rate < SL_SHAPE_RATE_MIN)
		return sl_error(err, ERANGE, "qos.link_rate %" PRIu64 " bit/s is below %u bit/s",
				config->link_rate, SL_SHAPE_RATE_MIN);
	if (config->default_rate && config->default_rate < SL_SHAPE_RATE_MIN)
		return sl_error(err, ERANGE, "qos.default_rate %" PRIu64 " bit/s is below %u bit/s",
				config->default_rate, SL_SHAPE_RATE_MIN);
	if (config->default_rate > config->link_rate)
		return sl_error(err, ERANGE,
				"qos.default_rate %" PRIu64 " bit/s is above qos.link_rate %" PRIu64 " bit/s",
				config->default_rate, config->link_rate);
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		unsigned int devices = config->devices[direction].count;

		if (devices > SL_QOS_DEVICES)
			return sl_error(err, ERANGE,
					"%u interfaces in one direction, at most %u are possible", devices,
					SL_QOS_DEVICES);
		for (unsigned int i = 0; i < devices; i++) {
			seen[count] = config->devices[direction].ifindex[i];
			for (unsigned int j = 0; j < count; j++)
				if (seen[j] == seen[count])
					name = config->devices[direction].name[i];
			count++;
		}
	}
	if (name)
		return sl_error(
			err, EINVAL,
			"interface %s is named twice: a class number means one rule on a device, so it "
			"is access or core, once",
			name);
	return 0;
}

static int read_devices(struct sl_qos *qos, const struct sl_qos_config *config, struct sl_error *err)
{
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		struct sl_qos_side *side = &qos->side[direction];

		for (unsigned int i = 0; i < config->devices[direction].count; i++) {
			int code =
				sl_htb_read_device(qos->netlink, config->devices[direction].ifindex[i],
						   config->devices[direction].name[i], &side->device[i], err);

			if (code < 0)
				return code;
			side->device[i].fq_codel = qos->fq_codel;
			side->count++;
		}
	}
	return 0;
}

/* The owner of the root qdisc; -EEXIST when it is neither the kernel nor us. */
static int check_root(struct sl_qos *qos, const struct sl_htb_device *device, struct sl_htb_root *out,
		      struct sl_error *err)
{
	int code = sl_htb_read_root(qos->netlink, device, out, err);

	if (code < 0)
		return code;
	if (out->owner == SL_HTB_OTHER)
		return sl_error(
			err, EEXIST,
			"interface %s has a root qdisc that is not ours: %s %x: (left as it is; remove it "
			"with `tc qdisc del dev %s root`, or set qos.pool and qos.trees to 0)",
			device->name, out->kind, out->handle >> 16, device->name);
	return 0;
}

bool sl_qos_has_form(const struct sl_qos *qos, const struct sl_htb_device *device,
		     const struct sl_htb_root *root)
{
	if (root->owner != SL_HTB_OURS || root->queues != device->queues)
		return false;
	/* without a queue of its own the default class is made anew, whatever it had */
	return !root->leaf[0] || strcmp(root->leaf, qos->fq_codel ? "fq_codel" : "tbf") == 0;
}

static struct sl_htb_spec default_class(const struct sl_qos *qos)
{
	return (struct sl_htb_spec){
		.minor = SLUICE_HTB_DEFAULT_MINOR,
		.priority = SL_QOS_PRIORITY,
		.own_rate = qos->token_rate,
		.rate = qos->default_rate,
	};
}

int sl_qos_set_up_device(struct sl_qos *qos, const struct sl_htb_device *device, bool exists,
			 struct sl_error *err)
{
	const struct sl_htb_spec rest = default_class(qos);
	int code;

	/*
	 * A new qdisc has no default class for the microseconds until the batch is
	 * through: what passes meanwhile is sent unshaped, as before.
	 */
	if (exists)
		sl_htb_put_sizes(qos->netlink, device);
	else
		sl_htb_put_qdiscs(qos->netlink, device);
	sl_htb_put_links(qos->netlink, device, qos->link_rate);
	sl_htb_put_class(qos->netlink, device, SL_HTB_MAKE, &rest);
	code = sl_netlink_commit(qos->netlink, err);
	return code < 0 ? sl_error_prefix(err, code, "interface %s", device->name) : 0;
}

/* All devices are looked at before the first is changed, and what was made is taken back on failure. */
static int set_up_devices(struct sl_qos *qos, struct sl_error *err)
{
	bool exists[SLUICE_DIRECTIONS][SL_QOS_DEVICES];
	bool other_form[SLUICE_DIRECTIONS][SL_QOS_DEVICES] = {0};
	bool made[SLUICE_DIRECTIONS][SL_QOS_DEVICES] = {0};
	int code = 0;

	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		const struct sl_qos_side *side = &qos->side[direction];

		for (unsigned int i = 0; i < side->count; i++) {
			struct sl_htb_root root;

			code = check_root(qos, &side->device[i], &root, err);
			if (code < 0)
				return code;
			exists[direction][i] = sl_qos_has_form(qos, &side->device[i], &root);
			other_form[direction][i] = root.owner == SL_HTB_OURS && !exists[direction][i];
		}
	}
	for (int direction = 0; direction < SLUICE_DIRECTIONS && code == 0; direction++) {
		const struct sl_qos_side *side = &qos->side[direction];

		for (unsigned int i = 0; i < side->count && code == 0; i++) {
			made[direction][i] = !exists[direction][i];
			/* other transmit queues, another qos.leaf: every queue is another one now */
			if (other_form[direction][i])
				code = sl_qos_remove_device(qos, &side->device[i], err);
			if (code == 0)
				code = sl_qos_set_up_device(qos, &side->device[i], exists[direction][i], err);
		}
	}
	for (int direction = 0; direction < SLUICE_DIRECTIONS && code < 0; direction++)
		for (unsigned int i = 0; i < qos->side[direction].count; i++)
			if (made[direction][i])
				(void)sl_qos_remove_device(qos, &qos->side[direction].device[i], NULL);
	return code;
}

static int choose_leaf(struct sl_qos *qos, const struct sl_qos_config *config, struct sl_error *err)
{
	if (config->leaf == SL_QOS_LEAF_FIFO || (config->pool_size == 0 && config->trees == 0))
		return 0;
	qos->fq_codel = sl_htb_has_fq_codel(qos->netlink);
	if (!qos->fq_codel && config->leaf == SL_QOS_LEAF_FQ_CODEL)
		return sl_error(err, EOPNOTSUPP, "qos.leaf: fq_codel is not in this kernel");
	return 0;
}

static int make_counts(const struct sl_qos *qos, struct sl_qos_side *side)
{
	for (unsigned int i = 0; i < side->count; i++) {
		side->counts[i] = calloc(sl_qos_minors(qos), sizeof(*side->counts[i]));
		if (!side->counts[i])
			return -ENOMEM;
	}
	return 0;
}

static int make_pools(const struct sl_qos *qos, struct sl_qos_side *side)
{
	const uint16_t unit = 1 << SLUICE_HTB_UNIT_BITS;
	int code = 0;

	if (qos->pool_size)
		code = sl_pool_new(first_single(qos->tree_count), 1, qos->pool_size, &side->single);
	if (code == 0 && qos->tree_count)
		code = sl_pool_new(SLUICE_HTB_POOL_MINOR, unit, qos->tree_count, &side->trees);
	if (code == 0 && qos->tree_count)
		code = sl_pool_new(SLUICE_HTB_POOL_MINOR, 1, qos->tree_count * unit, &side->leaves);
	return code;
}

int sl_qos_open(const struct sl_qos_config *config, struct sl_qos **out, struct sl_error *err)
{
	_cleanup_(cleanup_qos) struct sl_qos *qos = NULL;
	int code = check_config(config, err);

	if (code < 0)
		return code;
	qos = calloc(1, sizeof(*qos));
	if (!qos)
		return sl_error(err, ENOMEM, "qos: no memory");
	qos->link_rate = config->link_rate;
	qos->default_rate = config->default_rate ? config->default_rate : config->link_rate;
	qos->token_rate = sl_shape_token_rate(config->link_rate,
					      config->pool_size + config->trees * (1 + SL_QOS_TREE_LEAVES) +
						      CLASSES_MORE);
	qos->leaf_token = sl_shape_leaf_token_rate(qos->token_rate);
	qos->pool_size = config->pool_size;
	qos->tree_count = config->trees;
	qos->side[SLUICE_UPLINK].name = "uplink";
	qos->side[SLUICE_DOWNLINK].name = "downlink";
	code = sl_netlink_open(&qos->netlink, err);
	if (code == 0)
		code = choose_leaf(qos, config, err);
	if (code == 0)
		code = read_devices(qos, config, err);
	if (code < 0)
		return code;
	if (qos->pool_size == 0 && qos->tree_count == 0) {
		/* queues of a former configuration would go on shaping what nobody looks after */
		code = sl_qos_remove(qos, err);
		if (code < 0)
			return code;
		*out = SL_TAKE(qos);
		return 0;
	}
	code = set_up_devices(qos, err);
	for (int direction = 0; direction < SLUICE_DIRECTIONS && code == 0; direction++) {
		code = make_pools(qos, &qos->side[direction]);
		if (code == 0)
			code = make_counts(qos, &qos->side[direction]);
		if (code < 0)
			return sl_error(err, -code, "qos.pool %u, qos.trees %u: no memory", qos->pool_size,
					qos->tree_count);
		code = sl_qos_find_classes(qos, &qos->side[direction], err);
	}
	if (code < 0)
		return code;
	*out = SL_TAKE(qos);
	return 0;
}

void sl_qos_close(struct sl_qos *qos)
{
	if (!qos)
		return;
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		sl_pool_free(qos->side[direction].single);
		sl_pool_free(qos->side[direction].trees);
		sl_pool_free(qos->side[direction].leaves);
		for (unsigned int i = 0; i < SL_QOS_DEVICES; i++)
			free(qos->side[direction].counts[i]);
	}
	sl_netlink_close(qos->netlink);
	free(qos);
}

int sl_qos_remove(struct sl_qos *qos, struct sl_error *err)
{
	int result = 0;

	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		const struct sl_qos_side *side = &qos->side[direction];

		for (unsigned int i = 0; i < side->count; i++) {
			int code = sl_qos_remove_device(qos, &side->device[i], result ? NULL : err);

			if (result == 0)
				result = code;
		}
	}
	if (result == 0)
		qos->removed = true;
	return result;
}

uint64_t sl_qos_link_rate(const struct sl_qos *qos)
{
	return qos->link_rate;
}

uint32_t sl_qos_queues(const struct sl_qos *qos, unsigned int ifindex)
{
	if (qos->removed || (qos->pool_size == 0 && qos->tree_count == 0))
		return 0;
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++)
		for (unsigned int i = 0; i < qos->side[direction].count; i++)
			if (qos->side[direction].device[i].ifindex == ifindex)
				return qos->side[direction].device[i].queues;
	return 0;
}
