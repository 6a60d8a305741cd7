// SPDX-License-Identifier: Apache-2.0
/* The end of a device's queues, in steps that leave RTNL to others in between. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/cleanup.h"
#include "qos/private.h"
#include "sluice/limits.h"

#define CHUNK_MAX 64u
#define CHUNK_NS  4000000u /* what a chunk should take at most; some take longer */

/* By minor; one that is not there has the minor 0. A dump that was interrupted tells some of them again. */
struct classes {
	struct sl_htb_class seen[UINT16_MAX + 1];
};

static void note_class(const struct sl_htb_class *seen, void *data)
{
	struct classes *classes = data;

	/* what has no class any more goes through the default class */
	if (seen->minor != SLUICE_HTB_DEFAULT_MINOR)
		classes->seen[seen->minor] = *seen;
}

/* The kernel works in the caller's time; neighbours on the CPU are no reason for smaller chunks. */
static uint64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t commit(struct sl_qos *qos, int *code, struct sl_error *err)
{
	uint64_t before = cpu_ns();

	*code = sl_netlink_commit(qos->netlink, err);
	return cpu_ns() - before;
}

/*
 * Removing a class takes the kernel time in proportion to those that there are,
 * because it asks each one for filters that point to it (0.2 to 0.3 ms at 4,096).
 * So the first chunk is small, and the others follow what the last one took. A
 * class that cannot be removed goes with the qdisc.
 */
static void remove_classes(struct sl_qos *qos, const struct sl_htb_device *device,
			   const struct classes *classes, bool below_others)
{
	uint32_t chunk = 1, minor = 0;

	for (;;) {
		uint32_t count = 0;
		uint64_t took;
		int code;

		for (; minor <= UINT16_MAX && count < chunk; minor++) {
			const struct sl_htb_class *seen = &classes->seen[minor];

			if (!seen->minor || (seen->parent != SLUICE_HTB_ROOT_MINOR) != below_others)
				continue;
			sl_htb_put_delete_class(qos->netlink, device, seen);
			count++;
		}
		if (count == 0)
			return;
		took = commit(qos, &code, NULL);
		qos->removal.classes += count;
		qos->removal.chunks++;
		if (took > qos->removal.longest_ns)
			qos->removal.longest_ns = took;
		if (took > CHUNK_NS && chunk > 1)
			chunk /= 2;
		else if (took < CHUNK_NS / 3 && chunk < CHUNK_MAX)
			chunk *= 2;
	}
}

int sl_qos_remove_device(struct sl_qos *qos, const struct sl_htb_device *device, struct sl_error *err)
{
	_cleanup_free_ struct classes *classes = NULL;
	struct sl_htb_root root;
	uint64_t took;
	int code = sl_htb_read_root(qos->netlink, device, &root, err);

	if (code == -ENODEV) /* the qdisc went with the device */
		return 0;
	if (code < 0 || root.owner != SL_HTB_OURS)
		return code;
	/* without memory for it the classes go with the qdisc */
	classes = calloc(1, sizeof(*classes));
	if (classes && sl_htb_read_classes(qos->netlink, device, note_class, classes, NULL) == 0) {
		remove_classes(qos, device, classes, true);
		remove_classes(qos, device, classes, false);
	}
	sl_htb_put_delete(qos->netlink, device, &root);
	took = commit(qos, &code, err);
	if (took > qos->removal.qdisc_ns)
		qos->removal.qdisc_ns = took;
	return code < 0 ? sl_error_prefix(err, code, "interface %s", device->name) : 0;
}

void sl_qos_removal(const struct sl_qos *qos, struct sl_qos_removal *out)
{
	*out = qos->removal;
}
