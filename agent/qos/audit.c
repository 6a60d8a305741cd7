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

/* By minor, for those that the device has. */
struct found {
	bool there;
	uint64_t rate;
};

struct census {
	struct found *found;
	uint32_t size;
};

static void count_class(const struct sl_htb_class *seen, void *data)
{
	struct census *census = data;

	if (seen->minor < census->size)
		census->found[seen->minor] = (struct found){.there = seen->has_leaf, .rate = seen->rate};
}

static bool same_rate(uint64_t found, uint64_t wanted)
{
	return sl_shape_bytes_per_second(found) == sl_shape_bytes_per_second(wanted);
}

/* The device as it is now; false: it is not there. */
static bool read_device(struct sl_qos *qos, struct sl_htb_device *device, struct sl_htb_device *now)
{
	unsigned int ifindex = if_nametoindex(device->name);

	return ifindex && sl_htb_read_device(qos->netlink, ifindex, device->name, now, NULL) == 0;
}

static void put(struct sl_qos *qos, const struct sl_htb_device *device, uint16_t minor, uint64_t rate,
		struct sl_qos_audit *out, const char *what)
{
	sl_htb_put_class(qos->netlink, device, SL_HTB_MAKE, minor, qos->token_rate, rate);
	out->repairs++;
	if (!out->what)
		out->what = what;
}

static int audit_classes(struct sl_qos *qos, struct sl_qos_side *side, const struct sl_htb_device *device,
			 bool all, struct sl_qos_audit *out, struct sl_error *err)
{
	uint32_t size = SLUICE_HTB_POOL_MINOR + qos->pool_size, unused = 0;
	_cleanup_free_ struct found *found = calloc(size, sizeof(*found));
	struct census census = {found, size};
	int code;

	if (!found)
		return sl_error(err, ENOMEM, "out of memory");
	code = sl_htb_read_classes(qos->netlink, device, count_class, &census, err);
	if (code < 0)
		return code;
	if (!found[SLUICE_HTB_DEFAULT_MINOR].there ||
	    !same_rate(found[SLUICE_HTB_DEFAULT_MINOR].rate, qos->default_rate))
		put(qos, device, SLUICE_HTB_DEFAULT_MINOR, qos->default_rate, out,
		    "the default class differed");
	for (uint32_t minor = SLUICE_HTB_POOL_MINOR; side->pool && minor < size; minor++) {
		uint64_t rate = sl_pool_rate(side->pool, (uint16_t)minor);
		bool there = found[minor].there;

		if (!sl_pool_is_ready(side->pool, (uint16_t)minor) || !rate)
			continue;
		if (sl_pool_is_used(side->pool, (uint16_t)minor)) {
			if (all || !there || !same_rate(found[minor].rate, rate))
				put(qos, device, (uint16_t)minor, rate, out,
				    there ? "a class in use had another rate" : "a class in use was missing");
		} else if (!there && unused < UNUSED_REPAIRS) {
			unused++;
			put(qos, device, (uint16_t)minor, qos->link_rate, out, "a class was missing");
		}
	}
	return sl_netlink_commit(qos->netlink, err);
}

static int audit_device(struct sl_qos *qos, struct sl_qos_side *side, struct sl_htb_device *device,
			struct sl_qos_audit *out, struct sl_error *err)
{
	struct sl_htb_device now;
	struct sl_htb_root root;
	bool changed;
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
	if (changed || root.owner == SL_HTB_KERNEL) {
		code = sl_qos_set_up_device(qos, device, root.owner == SL_HTB_OURS, err);
		if (code < 0)
			return code;
		out->repairs++;
		out->what =
			changed && root.owner == SL_HTB_OURS ? "its MTU changed" : "the qdisc was missing";
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
