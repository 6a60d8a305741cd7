/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTB queues for rules with an MBR: per direction a pool of classes that is
 * built beforehand and only ever *changed* (measured: creating a class costs
 * 0.1 ms at 5,000 classes and 8 ms at 28,000, changing one about 1 us).
 *
 * Per device: root qdisc 7ffe: htb, inner class 7ffe:1 with the link's rate,
 * leaf 7ffe:2 for traffic without an MBR (the qdisc's default: nothing uses
 * the direct queue), leaves 7ffe:3 .. for the pool, each with a queue of its
 * own. Uplink classes live on the core devices, downlink classes on the access
 * devices; one minor number is the same class on every device of a direction.
 */
#ifndef SL_QOS_H
#define SL_QOS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "sluice/verdict.h"

#define SL_QOS_DEVICES 16 /* per direction; more is refused when the configuration is read */

struct sl_qos_config {
	struct {
		unsigned int count;
		unsigned int ifindex[SL_QOS_DEVICES];
		char name[SL_QOS_DEVICES][16]; /* for messages */
	} devices[SLUICE_DIRECTIONS];	       /* UPLINK: core devices, DOWNLINK: access devices */
	uint64_t link_rate;		       /* bit/s of the root class */
	uint64_t default_rate;		       /* bit/s (ceil) of the default class; 0 = link_rate */
	uint32_t pool_size;		       /* classes per direction, at most 0x7ff0; 0 = no HTB at all */
};

struct sl_qos;

struct sl_qos_pool_status {
	uint32_t size;	/* configured */
	uint32_t ready; /* built */
	uint32_t used;
};

/*
 * Makes or adopts the qdisc, its root and its default class on every device.
 * A root qdisc that is neither ours nor the kernel's own default (handle 0:)
 * is an error (-EEXIST) that names device, kind and handle; it is not touched.
 * Classes that exist under our qdisc are read back (structured netlink dump)
 * and count as built. Nothing of the pool is built yet.
 */
int sl_qos_open(const struct sl_qos_config *config, struct sl_qos **out, struct sl_error *err);

/* Releases memory and sockets; queues stay as they are. */
void sl_qos_close(struct sl_qos *qos);

/* Removes our qdiscs from the devices and nothing else. */
int sl_qos_remove(struct sl_qos *qos, struct sl_error *err);

/*
 * Builds up to `classes` missing classes (each complete with its leaf before
 * it counts as ready). 1 = more to do, 0 = the pool is complete, -errno. Called
 * from a timer in chunks, so that the RTNL lock is never held for long.
 */
int sl_qos_build(struct sl_qos *qos, uint32_t classes, struct sl_error *err);

/*
 * A class with this rate, on every device of the direction; never creates one.
 * -ENOSPC when every class that is built is taken (err says how many), -ERANGE
 * for a rate below 8 kbit/s or above the link's.
 */
int sl_qos_assign(struct sl_qos *qos, enum sluice_direction direction, uint64_t rate, uint16_t *minor,
		  struct sl_error *err);
int sl_qos_change(struct sl_qos *qos, enum sluice_direction direction, uint16_t minor, uint64_t rate,
		  struct sl_error *err);

/* Takes a class that is in use already (restart) and brings its rate to this one if it differs. */
int sl_qos_adopt(struct sl_qos *qos, enum sluice_direction direction, uint16_t minor, uint64_t rate,
		 struct sl_error *err);

/*
 * One more user of a class that is in use: a rule of a dual-stack subscriber is
 * one queue for two sessions. It is free again when each of them has released
 * it. -ENOENT when it is not in use.
 */
int sl_qos_share(struct sl_qos *qos, enum sluice_direction direction, uint16_t minor, struct sl_error *err);
uint32_t sl_qos_users(const struct sl_qos *qos, enum sluice_direction direction, uint16_t minor);
/* bit/s of a class in use; 0: not known, or not the same on every device. */
uint64_t sl_qos_rate(const struct sl_qos *qos, enum sluice_direction direction, uint16_t minor);
void sl_qos_release(struct sl_qos *qos, enum sluice_direction direction, uint16_t minor);

/*
 * Compares one device's queues with what they should be and repairs them: the
 * qdisc, the default class and every class of the pool that is built, with its
 * queue and, if it is in use, its rate. Devices are numbered from 0. Also follows
 * a device that changed its MTU or was made anew. A device that is not there has
 * nothing to repair. -ENOENT beyond the last device; -EEXIST: another's qdisc
 * is in the place of ours.
 */
struct sl_qos_audit {
	char device[16];
	uint32_t repairs;
	const char *what; /* the gravest; NULL: nothing */
};
int sl_qos_audit(struct sl_qos *qos, unsigned int number, struct sl_qos_audit *out, struct sl_error *err);

void sl_qos_pool_status(const struct sl_qos *qos, enum sluice_direction direction,
			struct sl_qos_pool_status *out);

#endif
