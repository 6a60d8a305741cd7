// SPDX-License-Identifier: Apache-2.0
/*
 * Classes: single ones and the leaves of trees.
 *
 * A class that nobody uses has the link's rate as its ceil, not a low one: HTB
 * remembers a debt as time, at the rate at which it was made, and sleeps until
 * the old wake-up whatever the rate is changed to. A stray packet in an idle
 * class of 8 kbit/s would silence its next user for 1.5 s; at the link's rate it
 * leaves no debt, and what a released class still holds drains at once. Nothing
 * is let through by this: no packet is marked with a class that is not assigned.
 * The own `rate` is a GBR or a token, so no ceil above is ever overruled.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>

#include "base/clock.h"
#include "base/log.h"
#include "qos/private.h"
#include "qos/shape.h"
#include "sluice/limits.h"

#define UNIT_MASK ((1u << SLUICE_HTB_UNIT_BITS) - 1)

/* --- what a class is to be --- */

static bool is_of_tree(const struct sl_qos *qos, uint16_t minor)
{
	uint32_t unit = minor >> SLUICE_HTB_UNIT_BITS;

	return unit >= 1 && unit <= qos->tree_count;
}

uint16_t sl_qos_parent(const struct sl_qos *qos, uint16_t minor)
{
	return is_of_tree(qos, minor) && (minor & UNIT_MASK) ? minor & ~UNIT_MASK : 0;
}

struct sl_pool *sl_qos_pool_of(const struct sl_qos_side *side, uint16_t minor)
{
	if (sl_pool_holds(side->single, minor))
		return side->single;
	if (sl_pool_holds(side->trees, minor))
		return side->trees;
	return sl_pool_holds(side->leaves, minor) ? side->leaves : NULL;
}

struct sl_htb_spec sl_qos_spec(const struct sl_qos *qos, uint16_t minor, struct sl_qos_rates rates)
{
	uint16_t parent = sl_qos_parent(qos, minor);
	uint64_t token = parent ? qos->leaf_token : qos->token_rate;

	return (struct sl_htb_spec){
		.minor = minor,
		.parent = parent,
		.inner = is_of_tree(qos, minor) && !parent,
		.priority = rates.gbr ? SL_QOS_PRIORITY_GBR : SL_QOS_PRIORITY,
		.own_rate = rates.gbr > token ? rates.gbr : token,
		.rate = rates.mbr,
	};
}

bool sl_qos_same_rates(const struct sl_qos *qos, uint16_t minor, struct sl_qos_rates one,
		       struct sl_qos_rates other)
{
	struct sl_htb_spec a = sl_qos_spec(qos, minor, one), b = sl_qos_spec(qos, minor, other);

	return sl_shape_bytes_per_second(a.own_rate) == sl_shape_bytes_per_second(b.own_rate) &&
	       sl_shape_bytes_per_second(a.rate) == sl_shape_bytes_per_second(b.rate);
}

struct sl_qos_rates sl_qos_wanted(const struct sl_qos *qos, const struct sl_qos_side *side, uint16_t minor)
{
	const struct sl_pool *pool = sl_qos_pool_of(side, minor);
	uint16_t parent = sl_qos_parent(qos, minor);
	struct sl_qos_rates rates;
	uint64_t most;

	if (!sl_pool_is_used(pool, minor))
		return (struct sl_qos_rates){.mbr = qos->link_rate};
	rates = sl_pool_asked(pool, minor);
	most = parent ? sl_pool_asked(side->trees, parent).mbr : qos->link_rate;
	/* a queue is as long as its own rate says: below a tree never longer than the tree's */
	if (!rates.mbr || rates.mbr > most)
		rates.mbr = most;
	return rates;
}

/* --- telling the kernel --- */

int sl_qos_put(struct sl_qos *qos, const struct sl_qos_side *side, enum sl_htb_put how, const uint16_t *minor,
	       uint32_t count, struct sl_qos_rates rates, struct sl_error *err)
{
	for (unsigned int i = 0; i < side->count; i++) {
		int code;

		for (uint32_t j = 0; j < count; j++) {
			struct sl_htb_spec spec = sl_qos_spec(qos, minor[j], rates);

			sl_htb_put_class(qos->netlink, &side->device[i], how, &spec);
		}
		code = sl_netlink_commit(qos->netlink, err);
		if (code < 0 && code != -ENODEV)
			return sl_error_prefix(err, code, "interface %s", side->device[i].name);
	}
	return 0;
}

int sl_qos_set_rates(struct sl_qos *qos, struct sl_qos_side *side, uint16_t minor, struct sl_qos_rates rates,
		     struct sl_error *err)
{
	struct sl_pool *pool = sl_qos_pool_of(side, minor);
	struct sl_qos_rates before = sl_pool_kernel(pool, minor);
	int code = sl_qos_put(qos, side, SL_HTB_CHANGE, &minor, 1, rates, err);

	/* somebody removed it, and the audit has not come by yet */
	if (code == -ENOENT)
		code = sl_qos_put(qos, side, SL_HTB_MAKE, &minor, 1, rates, err);
	if (code == 0) {
		sl_pool_set_kernel(pool, minor, rates);
		return 0;
	}
	if (!before.mbr || sl_qos_put(qos, side, SL_HTB_CHANGE, &minor, 1, before, NULL) < 0)
		sl_pool_set_kernel(pool, minor, (struct sl_qos_rates){0});
	return sl_error_prefix(err, code, "%s class %x:%x", side->name, SLUICE_HTB_MAJOR, minor);
}

/* --- what may be asked --- */

int sl_qos_check_rate(uint64_t rate, struct sl_error *err)
{
	if (rate < SL_SHAPE_RATE_MIN)
		return sl_error(err, ERANGE, "rate %" PRIu64 " bit/s is below %u bit/s", rate,
				SL_SHAPE_RATE_MIN);
	return 0;
}

uint64_t sl_qos_within_link(const struct sl_qos *qos, uint64_t rate)
{
	return rate < qos->link_rate ? rate : qos->link_rate;
}

/*
 * free: what guarantees may still take. They are admitted within the link before
 * they come here; but one that takes another's place is here beside it until no
 * packet uses the other one's class any more. More than twice the link is a defect.
 */
static uint64_t free_for_guarantees(const struct sl_qos *qos, const struct sl_qos_side *side, uint64_t own)
{
	uint64_t taken = side->gbr - own;

	return taken < 2 * qos->link_rate ? 2 * qos->link_rate - taken : 0;
}

static int check_rates(const struct sl_qos *qos, const struct sl_qos_side *side,
		       const struct sl_qos_rates *rates, uint64_t free, struct sl_error *err)
{
	int code = sl_qos_check_rate(rates->mbr, err);

	if (code < 0)
		return sl_error_prefix(err, code, "%s MBR", side->name);
	if (rates->gbr > rates->mbr)
		return sl_error(err, ERANGE, "GBR %" PRIu64 " bit/s is above the MBR %" PRIu64 " bit/s",
				rates->gbr, rates->mbr);
	if (rates->gbr > qos->link_rate)
		return sl_error(err, ERANGE, "GBR %" PRIu64 " bit/s is above qos.link_rate %" PRIu64 " bit/s",
				rates->gbr, qos->link_rate);
	if (rates->gbr > free)
		return sl_error(err, ERANGE,
				"GBR %" PRIu64 " bit/s: %s queues have guaranteed %" PRIu64
				" bit/s of qos.link_rate %" PRIu64 " bit/s already",
				rates->gbr, side->name, side->gbr, qos->link_rate);
	return 0;
}

int sl_qos_check_used(const struct sl_qos_side *side, const struct sl_pool *pool, uint16_t minor,
		      struct sl_error *err)
{
	if (!pool || !sl_pool_holds(pool, minor))
		return sl_error(err, ERANGE, "%s class %x:%x is outside the pool of %u classes", side->name,
				SLUICE_HTB_MAJOR, minor, pool ? sl_pool_size(pool) : 0);
	if (!sl_pool_is_used(pool, minor))
		return sl_error(err, ENOENT, "%s class %x:%x is not in use", side->name, SLUICE_HTB_MAJOR,
				minor);
	return 0;
}

/* The pool of a class that rules may be in; NULL: it is none. */
static struct sl_pool *pool_of_rules(const struct sl_qos_side *side, uint16_t minor)
{
	struct sl_pool *pool = sl_qos_pool_of(side, minor);

	return pool == side->trees ? NULL : pool;
}

/* --- single classes --- */

int sl_qos_assign_chosen(struct sl_qos *qos, enum sluice_direction direction,
			 const struct sl_qos_rates *rates, const struct sl_qos_choice *choice,
			 uint16_t *minor, struct sl_error *err)
{
	const struct sl_qos_rates within = {.gbr = rates->gbr, .mbr = sl_qos_within_link(qos, rates->mbr)};
	struct sl_qos_side *side = &qos->side[direction];
	int code = check_rates(qos, side, rates, free_for_guarantees(qos, side, 0), err);
	uint16_t taken;

	if (code < 0)
		return code;
	if (!side->single)
		return sl_error(err, ENOSPC, "no %s class is free: qos.pool is 0", side->name);
	sl_pool_tick(side->single, sl_now_ns());
	if (sl_pool_choose(side->single, choice, &taken) < 0)
		return sl_error(
			err, ENOSPC,
			"no %s class is free%s: %u of %u that are built are in use, qos.pool is %u",
			side->name,
			sl_pool_used(side->single) < sl_pool_ready(side->single) ? " that may be taken yet"
										 : "",
			sl_pool_used(side->single), sl_pool_ready(side->single), sl_pool_size(side->single));
	code = sl_qos_set_rates(qos, side, taken, within, err);
	if (code < 0) {
		sl_pool_release(side->single, taken);
		return code;
	}
	sl_pool_set_asked(side->single, taken, within);
	side->gbr += rates->gbr;
	*minor = taken;
	return 0;
}

/* --- single classes, and leaves of trees --- */

/* What is asked is in the book before the kernel is told, which is how a leaf follows its tree; or it is not.
 */
static int ask(struct sl_qos *qos, struct sl_qos_side *side, struct sl_pool *pool, uint16_t minor,
	       const struct sl_qos_rates *rates, struct sl_error *err)
{
	struct sl_qos_rates before = sl_pool_asked(pool, minor), wanted;
	uint64_t own = pool == side->single ? before.gbr : 0;
	int code = 0;

	if (pool == side->leaves && rates->gbr)
		return sl_error(err, EINVAL, "GBR %" PRIu64 " bit/s in a tree, whose leaves are its AMBR's",
				rates->gbr);
	if (pool == side->single || rates->mbr)
		code = check_rates(qos, side, rates, free_for_guarantees(qos, side, own), err);
	if (code < 0)
		return code;
	sl_pool_set_asked(pool, minor,
			  (struct sl_qos_rates){rates->gbr, sl_qos_within_link(qos, rates->mbr)});
	wanted = sl_qos_wanted(qos, side, minor);
	if (!sl_pool_kernel(pool, minor).mbr ||
	    !sl_qos_same_rates(qos, minor, sl_pool_kernel(pool, minor), wanted))
		code = sl_qos_set_rates(qos, side, minor, wanted, err);
	if (code < 0) {
		sl_pool_set_asked(pool, minor, before);
		return code;
	}
	if (pool == side->single)
		side->gbr += rates->gbr - before.gbr;
	return 0;
}

int sl_qos_change(struct sl_qos *qos, enum sluice_direction direction, uint16_t minor,
		  const struct sl_qos_rates *rates, struct sl_error *err)
{
	struct sl_qos_side *side = &qos->side[direction];
	struct sl_pool *pool = pool_of_rules(side, minor);
	int code = sl_qos_check_used(side, pool, minor, err);

	return code < 0 ? code : ask(qos, side, pool, minor, rates, err);
}

int sl_qos_adopt(struct sl_qos *qos, enum sluice_direction direction, uint16_t minor,
		 const struct sl_qos_rates *rates, struct sl_error *err)
{
	struct sl_qos_side *side = &qos->side[direction];
	struct sl_pool *pool = pool_of_rules(side, minor);
	uint16_t parent = sl_qos_parent(qos, minor);
	int code = 0;

	if (!pool)
		return sl_qos_check_used(side, NULL, minor, err);
	if (parent)
		code = sl_qos_check_used(side, side->trees, parent, err);
	/* a device came since, or someone removed the qdisc: the class is made where it is missing */
	if (code == 0 && !sl_pool_is_ready(pool, minor)) {
		struct sl_qos_rates link = {.mbr = qos->link_rate};

		code = sl_qos_put(qos, side, SL_HTB_MAKE, &minor, 1, link, err);
		if (code == 0) {
			sl_pool_set_ready(pool, minor);
			sl_pool_set_kernel(pool, minor, link);
		}
	}
	if (code < 0)
		return code;
	sl_pool_tick(pool, sl_now_ns());
	if (sl_pool_claim(pool, minor) < 0)
		return sl_error(err, EEXIST, "%s class %x:%x is in use already", side->name, SLUICE_HTB_MAJOR,
				minor);
	code = ask(qos, side, pool, minor, rates, err);
	if (code < 0)
		sl_pool_release(pool, minor);
	else if (parent)
		sl_pool_share(side->trees, parent);
	return code;
}

int sl_qos_share(struct sl_qos *qos, enum sluice_direction direction, uint16_t minor, struct sl_error *err)
{
	struct sl_qos_side *side = &qos->side[direction];
	struct sl_pool *pool = pool_of_rules(side, minor);
	int code = sl_qos_check_used(side, pool, minor, err);

	if (code == 0)
		sl_pool_share(pool, minor);
	return code;
}

uint32_t sl_qos_users(const struct sl_qos *qos, enum sluice_direction direction, uint16_t minor)
{
	const struct sl_pool *pool = pool_of_rules(&qos->side[direction], minor);

	return pool ? sl_pool_users(pool, minor) : 0;
}

struct sl_qos_rates sl_qos_rates(const struct sl_qos *qos, enum sluice_direction direction, uint16_t minor)
{
	const struct sl_qos_side *side = &qos->side[direction];
	const struct sl_pool *pool = pool_of_rules(side, minor);
	struct sl_qos_rates asked, kernel;

	if (!pool)
		return (struct sl_qos_rates){0};
	kernel = sl_pool_kernel(pool, minor);
	asked = sl_pool_asked(pool, minor);
	if (!kernel.mbr)
		return kernel;
	return asked.mbr ? asked : (struct sl_qos_rates){.gbr = asked.gbr, .mbr = kernel.mbr};
}

void sl_qos_release(struct sl_qos *qos, enum sluice_direction direction, uint16_t minor)
{
	struct sl_qos_side *side = &qos->side[direction];
	struct sl_pool *pool = pool_of_rules(side, minor);
	const struct sl_qos_rates link = {.mbr = qos->link_rate};
	uint16_t parent = sl_qos_parent(qos, minor);
	struct sl_error err;

	assert(pool);
	if (sl_pool_users(pool, minor) > 1) {
		sl_pool_release(pool, minor);
		return;
	}
	sl_pool_tick(pool, sl_now_ns());
	if (pool == side->single)
		side->gbr -= sl_pool_asked(pool, minor).gbr;
	/* a class that keeps its low rate is still a class: the next assign sets another */
	if (!qos->removed && sl_qos_set_rates(qos, side, minor, link, &err) < 0)
		sl_log(SL_LOG_WARNING, "class-not-reset", "reason", "%s", err.text, NULL);
	sl_pool_release(pool, minor);
	if (parent)
		sl_qos_tree_release(qos, direction, parent);
}
