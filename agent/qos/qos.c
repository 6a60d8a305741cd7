// SPDX-License-Identifier: Apache-2.0
/*
 * The classes of the pools on the devices.
 *
 * A class that nobody uses has the link's rate as its ceil, not a low one: HTB
 * remembers a debt as time, at the rate at which it was made, and sleeps until
 * the old wake-up whatever the rate is changed to. A stray packet in an idle
 * class of 8 kbit/s would silence its next user for 1.5 s; at the link's rate it
 * leaves no debt, and what a released class still holds drains at once. Nothing
 * is let through by this: no packet is marked with a class that is not assigned.
 * The own `rate` is a token in every state, so no ceil above is ever overruled.
 */
#include "qos/qos.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "qos/htb.h"
#include "qos/netlink.h"
#include "qos/pool.h"
#include "qos/private.h"
#include "qos/shape.h"
#include "sluice/limits.h"

#define POOL_MAX    0x7ff0u /* leaf handles are the minors, and must stay below 7ffe: */
#define CHUNK_MAX   1024u   /* classes of one call of sl_qos_build() */
#define LEAVES_MORE 1u	    /* the default class, beside the pool's */

static void cleanup_qos(struct sl_qos **qos)
{
	sl_qos_close(*qos);
}

static int check_config(const struct sl_qos_config *config, struct sl_error *err)
{
	const char *name = NULL;
	unsigned int seen[SLUICE_DIRECTIONS * SL_QOS_DEVICES];
	unsigned int count = 0;

	if (config->pool_size > POOL_MAX)
		return sl_error(err, ERANGE, "qos.pool %u is above %u", config->pool_size, POOL_MAX);
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
			"with `tc qdisc del dev %s root`, or set qos.pool to 0)",
			device->name, out->kind, out->handle >> 16, device->name);
	return 0;
}

int sl_qos_set_up_device(struct sl_qos *qos, const struct sl_htb_device *device, bool exists,
			 struct sl_error *err)
{
	int code;

	/*
	 * A new qdisc has no default class for the microseconds until the batch is
	 * through: what passes meanwhile is sent unshaped, as before.
	 */
	if (exists)
		sl_htb_put_sizes(qos->netlink, device);
	else
		sl_htb_put_qdisc(qos->netlink, device);
	sl_htb_put_root_class(qos->netlink, device, qos->link_rate);
	sl_htb_put_class(qos->netlink, device, SL_HTB_MAKE, SLUICE_HTB_DEFAULT_MINOR, qos->token_rate,
			 qos->default_rate);
	code = sl_netlink_commit(qos->netlink, err);
	return code < 0 ? sl_error_prefix(err, code, "interface %s", device->name) : 0;
}

static int remove_device(struct sl_qos *qos, const struct sl_htb_device *device, struct sl_error *err)
{
	struct sl_htb_root root;
	int code = sl_htb_read_root(qos->netlink, device, &root, err);

	if (code == -ENODEV) /* the qdisc went with the device */
		return 0;
	if (code < 0 || root.owner != SL_HTB_OURS)
		return code;
	sl_htb_put_delete(qos->netlink, device);
	code = sl_netlink_commit(qos->netlink, err);
	return code < 0 ? sl_error_prefix(err, code, "interface %s", device->name) : 0;
}

/* All devices are looked at before the first is changed, and what was made is taken back on failure. */
static int set_up_devices(struct sl_qos *qos, struct sl_error *err)
{
	bool exists[SLUICE_DIRECTIONS][SL_QOS_DEVICES];
	bool made[SLUICE_DIRECTIONS][SL_QOS_DEVICES] = {0};
	int code = 0;

	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		const struct sl_qos_side *side = &qos->side[direction];

		for (unsigned int i = 0; i < side->count; i++) {
			struct sl_htb_root root;

			code = check_root(qos, &side->device[i], &root, err);
			if (code < 0)
				return code;
			exists[direction][i] = root.owner == SL_HTB_OURS;
		}
	}
	for (int direction = 0; direction < SLUICE_DIRECTIONS && code == 0; direction++) {
		const struct sl_qos_side *side = &qos->side[direction];

		for (unsigned int i = 0; i < side->count && code == 0; i++) {
			made[direction][i] = !exists[direction][i];
			code = sl_qos_set_up_device(qos, &side->device[i], exists[direction][i], err);
		}
	}
	for (int direction = 0; direction < SLUICE_DIRECTIONS && code < 0; direction++)
		for (unsigned int i = 0; i < qos->side[direction].count; i++)
			if (made[direction][i])
				(void)remove_device(qos, &qos->side[direction].device[i], NULL);
	return code;
}

/* What is there of the pool, over the devices of a direction. */
struct census {
	const struct sl_pool *pool;
	struct found {
		unsigned int devices;
		bool differs;
		uint64_t rate;
	} * found; /* by minor */
};

static void count_class(const struct sl_htb_class *seen, void *data)
{
	struct census *census = data;
	struct found *found;

	if (!seen->has_leaf || !sl_pool_holds(census->pool, seen->minor))
		return;
	found = &census->found[seen->minor];
	if (found->devices++ == 0)
		found->rate = seen->rate;
	else if (found->rate != seen->rate)
		found->differs = true;
}

static int adopt_classes(struct sl_qos *qos, struct sl_qos_side *side, struct sl_error *err)
{
	_cleanup_free_ struct found *found = calloc(SLUICE_HTB_POOL_MINOR + qos->pool_size, sizeof(*found));
	struct census census = {.pool = side->pool, .found = found};

	if (!found)
		return sl_error(err, ENOMEM, "qos.pool %u: no memory", qos->pool_size);
	for (unsigned int i = 0; i < side->count; i++) {
		int code = sl_htb_read_classes(qos->netlink, &side->device[i], count_class, &census, err);

		if (code < 0)
			return code;
	}
	for (uint32_t minor = SLUICE_HTB_POOL_MINOR; minor < SLUICE_HTB_POOL_MINOR + qos->pool_size;
	     minor++) {
		/* a direction without devices has nothing to build */
		if (found[minor].devices < side->count)
			continue;
		sl_pool_set_ready(side->pool, (uint16_t)minor);
		sl_pool_set_rate(side->pool, (uint16_t)minor, found[minor].differs ? 0 : found[minor].rate);
	}
	return 0;
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
	qos->token_rate = sl_shape_token_rate(config->link_rate, config->pool_size + LEAVES_MORE);
	qos->pool_size = config->pool_size;
	qos->side[SLUICE_UPLINK].name = "uplink";
	qos->side[SLUICE_DOWNLINK].name = "downlink";
	code = sl_netlink_open(&qos->netlink, err);
	if (code < 0)
		return code;
	code = read_devices(qos, config, err);
	if (code < 0)
		return code;
	if (qos->pool_size == 0) {
		/* queues of a former configuration would go on shaping what nobody looks after */
		code = sl_qos_remove(qos, err);
		if (code < 0)
			return code;
		*out = SL_TAKE(qos);
		return 0;
	}
	code = set_up_devices(qos, err);
	for (int direction = 0; direction < SLUICE_DIRECTIONS && code == 0; direction++) {
		struct sl_qos_side *side = &qos->side[direction];

		code = sl_pool_new(qos->pool_size, &side->pool);
		if (code < 0)
			return sl_error(err, -code, "qos.pool %u: no memory", qos->pool_size);
		code = adopt_classes(qos, side, err);
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
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++)
		sl_pool_free(qos->side[direction].pool);
	sl_netlink_close(qos->netlink);
	free(qos);
}

int sl_qos_remove(struct sl_qos *qos, struct sl_error *err)
{
	int result = 0;

	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		const struct sl_qos_side *side = &qos->side[direction];

		for (unsigned int i = 0; i < side->count; i++) {
			int code = remove_device(qos, &side->device[i], result ? NULL : err);

			if (result == 0)
				result = code;
		}
	}
	if (result == 0)
		qos->removed = true;
	return result;
}

/* The classes on every device, each with its leaf; the first device that fails ends it. */
static int put_classes(struct sl_qos *qos, const struct sl_qos_side *side, enum sl_htb_put how,
		       const uint16_t *minor, uint32_t count, uint64_t rate, struct sl_error *err)
{
	for (unsigned int i = 0; i < side->count; i++) {
		int code;

		for (uint32_t j = 0; j < count; j++)
			sl_htb_put_class(qos->netlink, &side->device[i], how, minor[j], qos->token_rate,
					 rate);
		code = sl_netlink_commit(qos->netlink, err);
		if (code < 0)
			return sl_error_prefix(err, code, "interface %s", side->device[i].name);
	}
	return 0;
}

int sl_qos_build(struct sl_qos *qos, uint32_t classes, struct sl_error *err)
{
	uint16_t minor[CHUNK_MAX];
	uint32_t left = classes < CHUNK_MAX ? classes : CHUNK_MAX;
	bool more = false;
	int failed = 0;

	if (qos->removed)
		return 0;
	/* a direction that fails does not keep the other one from being built */
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		struct sl_qos_side *side = &qos->side[direction];
		uint32_t count;
		int code;

		if (!side->pool)
			continue;
		count = sl_pool_missing(side->pool, minor, left);
		code = put_classes(qos, side, SL_HTB_MAKE, minor, count, qos->link_rate, failed ? NULL : err);
		if (code < 0) {
			failed = failed ? failed : code;
			continue;
		}
		for (uint32_t i = 0; i < count; i++) {
			sl_pool_set_ready(side->pool, minor[i]);
			sl_pool_set_rate(side->pool, minor[i], qos->link_rate);
		}
		left -= count;
		more |= sl_pool_ready(side->pool) < sl_pool_size(side->pool);
	}
	if (failed)
		return failed;
	return more;
}

static int check_rate(const struct sl_qos *qos, uint64_t rate, struct sl_error *err)
{
	if (rate < SL_SHAPE_RATE_MIN)
		return sl_error(err, ERANGE, "rate %" PRIu64 " bit/s is below %u bit/s", rate,
				SL_SHAPE_RATE_MIN);
	if (rate > qos->link_rate)
		return sl_error(err, ERANGE,
				"rate %" PRIu64 " bit/s is above qos.link_rate %" PRIu64 " bit/s", rate,
				qos->link_rate);
	return 0;
}

/* A class that is in use; a pool that does not know it says why. */
static int check_class(const struct sl_qos_side *side, uint16_t minor, struct sl_error *err)
{
	if (!side->pool || !sl_pool_holds(side->pool, minor))
		return sl_error(err, ERANGE, "%s class %x:%x is outside the pool of %u classes", side->name,
				SLUICE_HTB_MAJOR, minor, side->pool ? sl_pool_size(side->pool) : 0);
	return 0;
}

/* All devices get the rate, or those that did are brought back. */
static int set_rate(struct sl_qos *qos, struct sl_qos_side *side, uint16_t minor, uint64_t rate,
		    struct sl_error *err)
{
	uint64_t before = sl_pool_rate(side->pool, minor);
	int code = put_classes(qos, side, SL_HTB_CHANGE, &minor, 1, rate, err);

	/* somebody removed it, and the audit has not come by yet */
	if (code == -ENOENT)
		code = put_classes(qos, side, SL_HTB_MAKE, &minor, 1, rate, err);
	if (code == 0) {
		sl_pool_set_rate(side->pool, minor, rate);
		return 0;
	}
	if (!before || put_classes(qos, side, SL_HTB_CHANGE, &minor, 1, before, NULL) < 0)
		sl_pool_set_rate(side->pool, minor, 0);
	return sl_error_prefix(err, code, "%s class %x:%x", side->name, SLUICE_HTB_MAJOR, minor);
}

int sl_qos_assign(struct sl_qos *qos, enum sluice_direction direction, uint64_t rate, uint16_t *minor,
		  struct sl_error *err)
{
	struct sl_qos_side *side = &qos->side[direction];
	int code = check_rate(qos, rate, err);
	uint16_t taken;

	if (code < 0)
		return code;
	if (!side->pool)
		return sl_error(err, ENOSPC, "no %s class is free: qos.pool is 0", side->name);
	if (sl_pool_take(side->pool, &taken) < 0)
		return sl_error(err, ENOSPC,
				"no %s class is free: %u of %u that are built are in use, qos.pool is %u",
				side->name, sl_pool_used(side->pool), sl_pool_ready(side->pool),
				sl_pool_size(side->pool));
	code = set_rate(qos, side, taken, rate, err);
	if (code < 0) {
		sl_pool_release(side->pool, taken);
		return code;
	}
	*minor = taken;
	return 0;
}

int sl_qos_change(struct sl_qos *qos, enum sluice_direction direction, uint16_t minor, uint64_t rate,
		  struct sl_error *err)
{
	struct sl_qos_side *side = &qos->side[direction];
	int code = check_rate(qos, rate, err);

	if (code == 0)
		code = check_class(side, minor, err);
	if (code < 0)
		return code;
	if (!sl_pool_is_used(side->pool, minor))
		return sl_error(err, ENOENT, "%s class %x:%x is not in use", side->name, SLUICE_HTB_MAJOR,
				minor);
	if (sl_pool_rate(side->pool, minor) == rate)
		return 0;
	return set_rate(qos, side, minor, rate, err);
}

int sl_qos_adopt(struct sl_qos *qos, enum sluice_direction direction, uint16_t minor, uint64_t rate,
		 struct sl_error *err)
{
	struct sl_qos_side *side = &qos->side[direction];
	int code = check_rate(qos, rate, err);
	uint64_t known;

	if (code == 0)
		code = check_class(side, minor, err);
	if (code < 0)
		return code;
	/* a device came since, or someone removed the qdisc: the class is made where it is missing */
	if (!sl_pool_is_ready(side->pool, minor)) {
		code = put_classes(qos, side, SL_HTB_MAKE, &minor, 1, rate, err);
		if (code < 0)
			return code;
		sl_pool_set_ready(side->pool, minor);
		sl_pool_set_rate(side->pool, minor, rate);
	}
	if (sl_pool_claim(side->pool, minor) < 0)
		return sl_error(err, EEXIST, "%s class %x:%x is in use already", side->name, SLUICE_HTB_MAJOR,
				minor);
	/* the kernel holds bytes per second: what was asked comes back rounded */
	known = sl_pool_rate(side->pool, minor);
	if (known && sl_shape_bytes_per_second(known) == sl_shape_bytes_per_second(rate)) {
		sl_pool_set_rate(side->pool, minor, rate);
		return 0;
	}
	code = set_rate(qos, side, minor, rate, err);
	if (code < 0)
		sl_pool_release(side->pool, minor);
	return code;
}

int sl_qos_share(struct sl_qos *qos, enum sluice_direction direction, uint16_t minor, struct sl_error *err)
{
	struct sl_qos_side *side = &qos->side[direction];
	int code = check_class(side, minor, err);

	if (code < 0)
		return code;
	if (!sl_pool_is_used(side->pool, minor))
		return sl_error(err, ENOENT, "%s class %x:%x is not in use", side->name, SLUICE_HTB_MAJOR,
				minor);
	sl_pool_share(side->pool, minor);
	return 0;
}

uint32_t sl_qos_users(const struct sl_qos *qos, enum sluice_direction direction, uint16_t minor)
{
	const struct sl_qos_side *side = &qos->side[direction];

	return check_class(side, minor, NULL) < 0 ? 0 : sl_pool_users(side->pool, minor);
}

uint64_t sl_qos_rate(const struct sl_qos *qos, enum sluice_direction direction, uint16_t minor)
{
	const struct sl_qos_side *side = &qos->side[direction];

	return check_class(side, minor, NULL) < 0 ? 0 : sl_pool_rate(side->pool, minor);
}

void sl_qos_release(struct sl_qos *qos, enum sluice_direction direction, uint16_t minor)
{
	struct sl_qos_side *side = &qos->side[direction];
	struct sl_error err;
	int code;

	assert(side->pool);
	if (sl_pool_users(side->pool, minor) > 1) {
		sl_pool_release(side->pool, minor);
		return;
	}
	/* a class that keeps its low rate is still a class: the next assign sets another */
	code = qos->removed ? 0 : set_rate(qos, side, minor, qos->link_rate, &err);
	if (code < 0)
		sl_log(SL_LOG_WARNING, "class-not-reset", "reason", "%s", err.text, NULL);
	sl_pool_release(side->pool, minor);
}

void sl_qos_pool_status(const struct sl_qos *qos, enum sluice_direction direction,
			struct sl_qos_pool_status *out)
{
	const struct sl_pool *pool = qos->side[direction].pool;

	*out = (struct sl_qos_pool_status){0};
	if (!pool)
		return;
	out->size = sl_pool_size(pool);
	out->ready = sl_pool_ready(pool);
	out->used = sl_pool_used(pool);
}
