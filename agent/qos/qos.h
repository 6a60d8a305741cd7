/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTB queues for what has a rate: per direction a pool of classes that is
 * built beforehand and only ever *changed* (measured: creating a class costs
 * 0.1 ms at 5,000 classes and 8 ms at 28,000, changing one about 1 us).
 *
 * Per device: root qdisc 7ffe: htb, inner class 7ffe:1 with the link's rate,
 * leaf 7ffe:2 for traffic without a rate (the qdisc's default: nothing uses
 * the direct queue), then the pool in units of eight minors from 7ffe:8 on:
 * first the trees, one unit each (an inner class for an AMBR, whose minor is a
 * multiple of eight, and seven leaves below it), then single leaves. Every leaf
 * has a queue of its own. Uplink classes live on the core devices, downlink
 * classes on the access devices; one minor number is the same class on every
 * device of a direction.
 *
 * A device with several transmit queues has mq as its root (7fff:) and one HTB in
 * each queue (7ffe:, 7ffd:, ..), all with the link's rate; a unit is in the HTB of
 * queue (minor / 8) % queues, where BPF sends its packets.
 */
#ifndef SL_QOS_H
#define SL_QOS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/idpool.h"
#include "sluice/verdict.h"

#define SL_QOS_DEVICES 16 /* per direction; more is refused when the configuration is read */

/* The queue of a leaf. */
enum sl_qos_leaf {
	SL_QOS_LEAF_AUTO,     /* fq_codel where the kernel has it (asked once, at the start), else fifo */
	SL_QOS_LEAF_FIFO,     /* bfifo of 20 ms in a tbf that cuts super-packets */
	SL_QOS_LEAF_FQ_CODEL, /* refused where the kernel has none */
};

#define SL_QOS_MINOR_MAX   0x7eff /* leaf handles are the minors, and stay below those of the HTBs */
#define SL_QOS_QUEUES	   64	  /* transmit queues of a device; more are not used */
#define SL_QOS_TREE_LEAVES 7

/* What a leaf may send, bit/s: at least `gbr` (0: no guarantee), at most `mbr`. */
struct sl_qos_rates {
	uint64_t gbr;
	uint64_t mbr;
};

struct sl_qos_config {
	struct {
		unsigned int count;
		unsigned int ifindex[SL_QOS_DEVICES];
		char name[SL_QOS_DEVICES][16]; /* for messages */
	} devices[SLUICE_DIRECTIONS];	       /* UPLINK: core devices, DOWNLINK: access devices */
	uint64_t link_rate;		       /* bit/s of the root class */
	uint64_t default_rate;		       /* bit/s (ceil) of the default class; 0 = link_rate */
	uint32_t pool_size; /* single classes per direction; 0 and no trees: no HTB at all */
	uint32_t trees;	    /* per direction; with the pool at most SL_QOS_MINOR_MAX minors */
	enum sl_qos_leaf leaf;
};

struct sl_qos;

/* Of single classes, or of trees. */
struct sl_qos_pool_status {
	uint32_t size;	/* configured */
	uint32_t ready; /* built */
	uint32_t used;
	/* as `used` has grown in the last ten minutes; 0: full; UINT32_MAX: it does not grow */
	uint32_t seconds_left;
};

/* What HTB itself has counted of a class, all devices of its direction together. */
struct sl_qos_class_stats {
	uint16_t minor;
	uint64_t sent_bytes; /* IP bytes */
	uint64_t sent_packets;
	uint64_t dropped_packets; /* by its queue */
	uint32_t backlog_bytes;	  /* now */
	uint32_t backlog_packets;
};

/*
 * Asks the kernel: one dump for each device of the direction, whatever the number of
 * classes asked for; those in use only. Returns how many of at most `max`, in
 * order of minors, or -errno.
 */
int sl_qos_read_stats(struct sl_qos *qos, enum sluice_direction direction, struct sl_qos_class_stats *out,
		      size_t max, struct sl_error *err);

/* The sum of all leaves, used or not, and the default class, so that no count goes back. */
int sl_qos_read_total(struct sl_qos *qos, enum sluice_direction direction, struct sl_qos_class_stats *out,
		      struct sl_error *err);

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

/*
 * Removes our qdiscs from the devices and nothing else. First the classes of the
 * pool, some at a time, so that nobody waits long for the RTNL lock: destroyed with
 * the qdisc they would all be one hold of it. What has no class any more goes to
 * the default class meanwhile. The time grows with the square of the classes: about
 * a second for 4,096 on one device, 15 for 16,384.
 */
int sl_qos_remove(struct sl_qos *qos, struct sl_error *err);

/* What the removals of this qos took. */
struct sl_qos_removal {
	uint32_t classes;
	uint32_t chunks;
	uint64_t longest_ns; /* of a chunk: CPU time, of which RTNL is held for one class at once */
	uint64_t qdisc_ns;   /* the longest removal of a qdisc that was left, CPU time */
};
void sl_qos_removal(const struct sl_qos *qos, struct sl_qos_removal *out);

/*
 * Builds up to `classes` missing classes, or one tree, in the directions that lack
 * some, trees and single classes by turns (each complete with its leaves before
 * it counts as ready). 1 = more to do, 0 = the pool is complete, -errno. Called
 * from a timer in chunks, so that the RTNL lock is never held for long.
 */
int sl_qos_build(struct sl_qos *qos, uint32_t classes, struct sl_error *err);

/* Which of the free classes, or trees, may be taken; asked about many at a time. */
struct sl_qos_choice {
	enum sl_idpool_fit (*judge)(uint16_t minor, const void *user);
	const void *user;
};

/*
 * A single class with these rates, on every device of the direction; never creates
 * one. -ENOSPC when every class that is built is taken (err says how many) or unfit
 * (`choice` may be NULL: each is fit), -ERANGE
 * for a rate below 8 kbit/s, a GBR above the MBR or the link; an MBR above the
 * link is the link. HTB keeps no
 * GBR where all together are more than the link: the caller admits them within it,
 * and may hold what is about to be released beside what takes its place, so that
 * only more than twice the link is refused here (-ERANGE).
 */
int sl_qos_assign_chosen(struct sl_qos *qos, enum sluice_direction direction,
			 const struct sl_qos_rates *rates, const struct sl_qos_choice *choice,
			 uint16_t *minor, struct sl_error *err);
static inline int sl_qos_assign(struct sl_qos *qos, enum sluice_direction direction,
				const struct sl_qos_rates *rates, uint16_t *minor, struct sl_error *err)
{
	return sl_qos_assign_chosen(qos, direction, rates, NULL, minor, err);
}
/* Of a single class or a leaf of a tree. */
int sl_qos_change(struct sl_qos *qos, enum sluice_direction direction, uint16_t minor,
		  const struct sl_qos_rates *rates, struct sl_error *err);

/*
 * Takes a class that is in use already (restart), single or a leaf of a tree that was adopted
 * before, and brings its rates to these if they differ.
 */
int sl_qos_adopt(struct sl_qos *qos, enum sluice_direction direction, uint16_t minor,
		 const struct sl_qos_rates *rates, struct sl_error *err);

/*
 * A tree for one session: what its leaves send together is at most `ambr`, which
 * they share equally as far as their own rates let them; more than the link is the link. The number is the
 * minor of the inner class. Users are counted as those of classes are (twins have one tree).
 * sl_qos_tree_release: a tree is free when its leaves have been released, too.
 */
int sl_qos_tree_assign_chosen(struct sl_qos *qos, enum sluice_direction direction, uint64_t ambr,
			      const struct sl_qos_choice *choice, uint16_t *tree, struct sl_error *err);
static inline int sl_qos_tree_assign(struct sl_qos *qos, enum sluice_direction direction, uint64_t ambr,
				     uint16_t *tree, struct sl_error *err)
{
	return sl_qos_tree_assign_chosen(qos, direction, ambr, NULL, tree, err);
}
int sl_qos_tree_change(struct sl_qos *qos, enum sluice_direction direction, uint16_t tree, uint64_t ambr,
		       struct sl_error *err);
int sl_qos_tree_adopt(struct sl_qos *qos, enum sluice_direction direction, uint16_t tree, uint64_t ambr,
		      struct sl_error *err);
int sl_qos_tree_share(struct sl_qos *qos, enum sluice_direction direction, uint16_t tree,
		      struct sl_error *err);
uint32_t sl_qos_tree_users(const struct sl_qos *qos, enum sluice_direction direction, uint16_t tree);
uint64_t sl_qos_tree_rate(const struct sl_qos *qos, enum sluice_direction direction, uint16_t tree);
void sl_qos_tree_release(struct sl_qos *qos, enum sluice_direction direction, uint16_t tree);

/* A leaf of a tree that is in use; mbr 0: as the tree. -ENOSPC: all seven are taken. */
int sl_qos_tree_leaf(struct sl_qos *qos, enum sluice_direction direction, uint16_t tree, uint64_t mbr,
		     uint16_t *minor, struct sl_error *err);

/* The minor of the inner class that a leaf is below; 0: it is a single one. */
uint16_t sl_qos_tree_of(const struct sl_qos *qos, enum sluice_direction direction, uint16_t minor);

/*
 * One more user of a class that is in use: a rule of a dual-stack subscriber is
 * one queue for two sessions. It is free again when each of them has released
 * it. -ENOENT when it is not in use.
 */
int sl_qos_share(struct sl_qos *qos, enum sluice_direction direction, uint16_t minor, struct sl_error *err);
uint32_t sl_qos_users(const struct sl_qos *qos, enum sluice_direction direction, uint16_t minor);
/* Of a class in use; 0: not known, or not the same on every device. */
struct sl_qos_rates sl_qos_rates(const struct sl_qos *qos, enum sluice_direction direction, uint16_t minor);
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
void sl_qos_tree_status(const struct sl_qos *qos, enum sluice_direction direction,
			struct sl_qos_pool_status *out);

uint64_t sl_qos_link_rate(const struct sl_qos *qos); /* bit/s */

/* Transmit queues in use on a device (by its index in the kernel); 0: no HTB of ours is there. */
uint32_t sl_qos_queues(const struct sl_qos *qos, unsigned int ifindex);

#endif
