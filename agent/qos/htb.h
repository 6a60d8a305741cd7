/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The netlink messages of our HTB qdiscs: what is put is gathered in the
 * socket's batch and takes effect with sl_netlink_commit(), what is read is
 * answered at once. Rates are bit/s of IP bytes.
 *
 * A device has one HTB as its root, 7ffe:, or mq, 7fff:, with one HTB in each of
 * its transmit queues, 7ffe:, 7ffd: and so on. A class of the pool is in one of them.
 */
#ifndef SL_HTB_H
#define SL_HTB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "qos/netlink.h"

struct sl_htb_device {
	unsigned int ifindex;
	char name[16];	      /* for messages */
	uint32_t mtu;	      /* when it was read; a class that cuts super-packets drops what is longer */
	uint32_t link_header; /* bytes that skb->len holds before the IP header: 14 or 0 */
	uint32_t queues;      /* 1: one HTB as the root; more: so many HTBs below mq */
	bool fq_codel;	      /* the queues of leaves */
};

/*
 * MTU, link header and transmit queues of a device; -ENODEV when there is none
 * with this index. A device has one HTB (queues 1) unless BPF can choose among its
 * queues: not if it has XPS, which overrules the choice, not a tun, which makes its
 * own, and not if /sys does not show it (another network namespace's).
 */
int sl_htb_read_device(struct sl_netlink *netlink, unsigned int ifindex, const char *name,
		       struct sl_htb_device *out, struct sl_error *err);

enum sl_htb_owner {
	SL_HTB_KERNEL, /* handle 0: or none: the kernel's default, replaceable */
	SL_HTB_OURS,   /* 7ffe:, kind htb, default 2; or 7fff:, kind mq */
	SL_HTB_OTHER,
};

struct sl_htb_root {
	enum sl_htb_owner owner;
	char kind[16];		 /* empty when there is none */
	uint32_t handle;	 /* major in the upper half */
	uint32_t direct_packets; /* OURS: packets that no class held back, of all HTBs; stays 0 */
	uint32_t queues;	 /* OURS: HTBs */
	char leaf[16];		 /* OURS: kind of the default class's queue; empty when it has none */
};
int sl_htb_read_root(struct sl_netlink *netlink, const struct sl_htb_device *device, struct sl_htb_root *out,
		     struct sl_error *err);

/* Whether the kernel has it; it may load a module for that. Changes no device. */
bool sl_htb_has_fq_codel(struct sl_netlink *netlink);

/* A class below a link as the kernel has it. */
struct sl_htb_class {
	uint32_t queue; /* in which HTB */
	uint16_t minor;
	uint16_t parent;     /* minor */
	bool has_leaf;	     /* the queue with the class's own handle is in place */
	uint64_t own_rate;   /* its rate: what it may send whatever its parent says */
	uint64_t rate;	     /* its ceil */
	uint64_t sent_bytes; /* as counted by the size table: IP bytes */
	uint64_t sent_packets;
	uint32_t drops;
	uint32_t backlog_bytes, backlog_packets;
};
typedef void (*sl_htb_class_seen)(const struct sl_htb_class *seen, void *data);

/* Each class once: those of an HTB are told when all have been read, however often the kernel was asked. */
int sl_htb_read_classes(struct sl_netlink *netlink, const struct sl_htb_device *device,
			sl_htb_class_seen seen, void *data, struct sl_error *err);

/* The HTB that a class is in; the default class is in each. */
uint32_t sl_htb_queue(const struct sl_htb_device *device, uint16_t minor);

/*
 * New qdiscs, in place of the kernel's default; refused by the kernel (-EEXIST)
 * if any other is there.
 */
void sl_htb_put_qdiscs(struct sl_netlink *netlink, const struct sl_htb_device *device);

/* The size tables of qdiscs that exist. */
void sl_htb_put_sizes(struct sl_netlink *netlink, const struct sl_htb_device *device);

/* All of it: the root. */
void sl_htb_put_delete(struct sl_netlink *netlink, const struct sl_htb_device *device,
		       const struct sl_htb_root *root);

/* A class as it was seen. */
void sl_htb_put_delete_class(struct sl_netlink *netlink, const struct sl_htb_device *device,
			     const struct sl_htb_class *seen);

/* The links, 7ffe:1 in each HTB; made if missing. */
void sl_htb_put_links(struct sl_netlink *netlink, const struct sl_htb_device *device, uint64_t rate);

enum sl_htb_put { SL_HTB_CHANGE, SL_HTB_MAKE };

struct sl_htb_spec {
	uint16_t minor;
	uint16_t parent;   /* minor of a tree's inner class; 0: the link */
	bool inner;	   /* it has leaves below it and no queue */
	uint8_t priority;  /* among those that borrow: the lower is served first */
	uint64_t own_rate; /* kept whatever the parent says */
	uint64_t rate;	   /* its ceil */
};

/*
 * A class, a leaf with its queue. CHANGE fails with -ENOENT when the class is
 * missing; MAKE makes what is missing and brings what exists to these values.
 * The default class is put into every HTB.
 *
 * The queue is an fq_codel, or a bfifo inside a tbf. HTB and bfifo take a
 * super-packet (GSO) as it is; tbf is the kernel's small qdisc that cuts what is
 * too long for it into segments. It is used for that alone: its rate is beyond
 * any link and never holds a packet back.
 */
void sl_htb_put_class(struct sl_netlink *netlink, const struct sl_htb_device *device, enum sl_htb_put how,
		      const struct sl_htb_spec *spec);

#endif
