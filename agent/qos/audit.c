// SPDX-License-Identifier: Apache-2.0
/* The queues of one device, compared with what they should be. */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "qos/private.h"
#include "qos/shape.h"
#include "sluice/limits.h"

#define UNUSED_REPAIRS 256u /* classes that nobody uses, in one audit; making one takes 0.1 ms */

/* By minor, for those that the device has in the right place. */
struct found {
	bool there;
	struct sl_qos_rates rates;
};

struct census {
	const struct sl_qos *qos;
	const struct sl_htb_device *device;
	struct found *found;
	uint32_t defaults; /* HTBs whose default class is right */
};

static void count_class(const struct sl_htb_class *seen, void *data)
{
	struct census *census = data;
	const struct sl_qos *qos = census->qos;
	struct sl_qos_rates rates = {.mbr = seen->rate};
	struct sl_htb_spec spec;

	if (seen->minor == SLUICE_HTB_DEFAULT_MINOR) {
		census->defaults += seen->has_leaf && sl_shape_bytes_per_second(seen->rate) ==
							      sl_shape_bytes_per_second(qos->default_rate);
		return;
	}
	if (seen->minor < SLUICE_HTB_POOL_MINOR || seen->minor >= sl_qos_minors(qos) ||
	    seen->queue != sl_htb_queue(census->device, seen->minor))
		return;
	spec = sl_qos_spec(qos, seen->minor, rates);
	if (sl_shape_bytes_per_second(seen->own_rate) > sl_shape_bytes_per_second(spec.own_rate))
		rates.gbr = seen->own_rate;
	census->found[seen->minor] = (struct found){
		.there = (spec.inner || seen->has_leaf) &&
			 seen->parent == (spec.parent ? spec.parent : SLUICE_HTB_ROOT_MINOR),
		.rates = rates,
	};
}

/* The device as it is now; false: it is not there. */
static bool read_device(struct sl_qos *qos, struct sl_htb_device *device, struct sl_htb_device *now)
{
	unsigned int ifindex = if_nametoindex(device->name);

	if (!ifindex || sl_htb_read_device(qos->netlink, ifindex, device->name, now, NULL) < 0)
		return false;
	now->fq_codel = device->fq_codel;
	return true;
}

static void put(struct sl_qos *qos, const struct sl_htb_device *device, uint16_t minor,
		struct sl_qos_rates rates, struct sl_qos_audit *out, const char *what)
{
	struct sl_htb_spec spec = sl_qos_spec(qos, minor, rates);

	sl_htb_put_class(qos->netlink, device, SL_HTB_MAKE, &spec);
	out->repairs++;
	if (!out->what)
		out->what = what;
}

static int audit_classes(struct sl_qos *qos, struct sl_qos_side *side, const struct sl_htb_device *device,
			 bool all, struct sl_qos_audit *out, struct sl_error *err)
{
	uint32_t size = sl_qos_minors(qos), unused = 0;
	_cleanup_free_ struct found *found = calloc(size, sizeof(*found));
	struct census census = {.qos = qos, .device = device, .found = found};
	int code;

	if (!found)
		return sl_error(err, ENOMEM, "out of memory");
	code = sl_htb_read_classes(qos->netlink, device, count_class, &census, err);
	if (code < 0)
		return code;
	if (census.defaults < device->queues)
		put(qos, device, SLUICE_HTB_DEFAULT_MINOR, (struct sl_qos_rates){.mbr = qos->default_rate},
		    out, "the default class differed");
	/* an inner class comes before its leaves */
	for (uint32_t number = SLUICE_HTB_POOL_MINOR; number < size; number++) {
		uint16_t minor = (uint16_t)number;
		const struct sl_pool *pool = sl_qos_pool_of(side, minor);
		struct sl_qos_rates wanted;
		bool there = found[minor].there;

		if (!pool || !sl_pool_is_ready(pool, minor))
			continue;
		wanted = sl_qos_wanted(qos, side, minor);
		if (sl_pool_is_used(pool, minor)) {
			if (all || !there || !sl_qos_same_rates(qos, minor, found[minor].rates, wanted))
				put(qos, device, minor, wanted, out,
				    there ? "a class in use had another rate" : "a class in use was missing");
		} else if (!there && sl_pool_kernel(pool, minor).mbr && unused < UNUSED_REPAIRS) {
			unused++;
			put(qos, device, minor, wanted, out, "a class was missing");
		}
	}
	return sl_netlink_commit(qos->netlink, err);
}

/* Its qdisc is not there, or not for as many transmit queues as there are now: the old ones are read and
 * removed. */
static int renew(struct sl_qos *qos, struct sl_qos_side *side, struct sl_htb_device *device,
		 const struct sl_htb_root *root, struct sl_error *err)
{
	const uint32_t queues = device->queues;
	int code = 0;

	if (root->owner == SL_HTB_OURS) {
		device->queues = root->queues;
		/* what cannot be read is lost but for what was read before */
		(void)sl_qos_count(qos, side, device, NULL);
		code = sl_qos_remove_device(qos, device, err);
		device->queues = queues;
	}
	return code < 0 ? code : sl_qos_set_up_device(qos, device, false, err);
}

static int audit_device(struct sl_qos *qos, struct sl_qos_side *side, struct sl_htb_device *device,
			struct sl_qos_audit *out, struct sl_error *err)
{
	struct sl_htb_device now;
	struct sl_htb_root root;
	bool changed, fits;
	int code;

	memcpy(out->device, device->name, sizeof(out->device));
	if (!read_device(qos, device, &now))
		return 0;
	changed = now.mtu != device->mtu || now.link_header != device->link_header;
	*device = now;
	code = sl_htb_read_root(qos->netlink, device, &root, err);
	if (code < 0)
		return code;
	if (root.owner == SL_HTB_OTHER)
		return sl_error(err, EEXIST, "interface %s: the root qdisc is %s %x:, not ours", device->name,
				root.kind, root.handle >> 16);
	fits = sl_qos_has_form(qos, device, &root);
	if (changed || !fits) {
		code = fits ? sl_qos_set_up_device(qos, device, true, err)
			    : renew(qos, side, device, &root, err);
		if (code < 0)
			return code;
		out->repairs++;
		out->what = fits			? "its MTU changed"
			    : root.owner == SL_HTB_OURS ? "its transmit queues changed"
							: "the qdisc was missing";
	}
	/* bursts and queues are made for an MTU: those in use follow it now, the others when they are used */
	return audit_classes(qos, side, device, changed, out, err);
}

int sl_qos_audit(struct sl_qos *qos, unsigned int number, struct sl_qos_audit *out, struct sl_error *err)
{
	*out = (struct sl_qos_audit){0};
	if (qos->removed)
		return -ENOENT;
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		struct sl_qos_side *side = &qos->side[direction];

		if (number < side->count)
			return audit_device(qos, side, &side->device[number], out, err);
		number -= side->count;
	}
	return -ENOENT;
}
