/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of qos/ share. */
#ifndef SL_QOS_PRIVATE_H
#define SL_QOS_PRIVATE_H

#include "qos/htb.h"
#include "qos/netlink.h"
#include "qos/pool.h"
#include "qos/qos.h"

/* Among classes that borrow from the link: what has a guarantee is served first. */
#define SL_QOS_PRIORITY_GBR 0
#define SL_QOS_PRIORITY	    1

/* What the kernel has counted of a class on one device. */
struct sl_qos_count {
	uint64_t bytes;
	uint64_t packets;
	uint64_t drops;
};

/* By minor: what there is when it was last read, and what classes had counted that are no more. */
struct sl_qos_counts {
	struct sl_qos_count now, gone;
	uint32_t backlog_bytes, backlog_packets;
};

/* One direction: its devices all have the same classes. */
struct sl_qos_side {
	const char *name;
	unsigned int count;
	struct sl_htb_device device[SL_QOS_DEVICES];
	struct sl_qos_counts *counts[SL_QOS_DEVICES]; /* of each device, all minors */
	struct sl_pool *single;			      /* NULL: qos.pool is 0 */
	struct sl_pool *trees;	/* by the minors of their inner classes; NULL: qos.trees is 0 */
	struct sl_pool *leaves; /* every minor of a tree's unit; the inner class's own is never built here */
	uint64_t gbr;		/* of all single classes in use */
	bool trees_next;	/* sl_qos_build: trees and single classes by turns */
};

struct sl_qos {
	struct sl_netlink *netlink;
	uint64_t link_rate;
	uint64_t default_rate;
	uint64_t token_rate; /* own rate of what has no guarantee */
	uint64_t leaf_token; /* of a tree's leaf: seven of them are less than the lowest AMBR */
	uint32_t pool_size;
	uint32_t tree_count;
	bool fq_codel; /* the queue of a leaf */
	struct sl_qos_removal removal;
	bool removed; /* the queues are gone: there is nothing to build or to reset any more */
	struct sl_qos_side side[SLUICE_DIRECTIONS];
};

/* The minors, all in use or not: below this. */
uint32_t sl_qos_minors(const struct sl_qos *qos);

/* The inner class above a leaf of a tree; 0: the class is a single one or an inner one. */
uint16_t sl_qos_parent(const struct sl_qos *qos, uint16_t minor);

/* Which pool a class is of, an inner class its tree's; NULL: none. */
struct sl_pool *sl_qos_pool_of(const struct sl_qos_side *side, uint16_t minor);

/* What a class is to be with these rates; its role follows from its minor. */
struct sl_htb_spec sl_qos_spec(const struct sl_qos *qos, uint16_t minor, struct sl_qos_rates rates);

/* stats.c: reads what one of the side's devices has counted; one that is not there has nothing new. */
int sl_qos_count(struct sl_qos *qos, struct sl_qos_side *side, const struct sl_htb_device *device,
		 struct sl_error *err);

/* What the kernel is to have of a class in the state in which it is. */
struct sl_qos_rates sl_qos_wanted(const struct sl_qos *qos, const struct sl_qos_side *side, uint16_t minor);

/* The same in the kernel's bytes per second. */
bool sl_qos_same_rates(const struct sl_qos *qos, uint16_t minor, struct sl_qos_rates one,
		       struct sl_qos_rates other);

/*
 * The classes on every device of the direction; the first device that fails ends it. One that is
 * not there is passed over: when it comes back, the audit makes of it what the book says.
 */
int sl_qos_put(struct sl_qos *qos, const struct sl_qos_side *side, enum sl_htb_put how, const uint16_t *minor,
	       uint32_t count, struct sl_qos_rates rates, struct sl_error *err);

/* The kernel gets these rates for a class, on all devices or on none; the book follows. */
int sl_qos_set_rates(struct sl_qos *qos, struct sl_qos_side *side, uint16_t minor, struct sl_qos_rates rates,
		     struct sl_error *err);

int sl_qos_check_rate(uint64_t rate, struct sl_error *err);

/* More than the link is the link: nothing that passes here reaches it. */
uint64_t sl_qos_within_link(const struct sl_qos *qos, uint64_t rate);

/* A class of this pool that is in use; -ERANGE: there is none of this minor, -ENOENT: nobody uses it. */
int sl_qos_check_used(const struct sl_qos_side *side, const struct sl_pool *pool, uint16_t minor,
		      struct sl_error *err);

/* remove.c: takes our qdiscs off the device, if they are there. */
int sl_qos_remove_device(struct sl_qos *qos, const struct sl_htb_device *device, struct sl_error *err);

/* The qdisc, its links and its default classes; what exists is brought to these values. */
int sl_qos_set_up_device(struct sl_qos *qos, const struct sl_htb_device *device, bool exists,
			 struct sl_error *err);

/*
 * What the kernel has of the pools when the agent starts counts as built; a class in
 * the place of another one, left by another configuration, is removed.
 */
int sl_qos_find_classes(struct sl_qos *qos, struct sl_qos_side *side, struct sl_error *err);

/* A tree of the pool that is not built, on every device. */
int sl_qos_build_tree(struct sl_qos *qos, struct sl_qos_side *side, uint16_t tree, struct sl_error *err);

/* Whether our qdisc on a device has the form that it is to have now. */
bool sl_qos_has_form(const struct sl_qos *qos, const struct sl_htb_device *device,
		     const struct sl_htb_root *root);

#endif
