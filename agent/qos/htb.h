/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The netlink messages of our HTB qdisc: what is put is gathered in the
 * socket's batch and takes effect with sl_netlink_commit(), what is read is
 * answered at once. Rates are bit/s of IP bytes.
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
};

/* MTU and link header of a device; -ENODEV when there is none with this index. */
int sl_htb_read_device(struct sl_netlink *netlink, unsigned int ifindex, const char *name,
		       struct sl_htb_device *out, struct sl_error *err);

enum sl_htb_owner {
	SL_HTB_KERNEL, /* handle 0: or none: the kernel's default, replaceable */
	SL_HTB_OURS,   /* 7ffe:, kind htb, default 2 */
	SL_HTB_OTHER,
};

struct sl_htb_root {
	enum sl_htb_owner owner;
	char kind[16];		 /* empty when there is none */
	uint32_t handle;	 /* major in the upper half */
	uint32_t direct_packets; /* OURS: packets that no class held back; stays 0 */
};
int sl_htb_read_root(struct sl_netlink *netlink, const struct sl_htb_device *device, struct sl_htb_root *out,
		     struct sl_error *err);

/* A class below 7ffe:1 as the kernel has it. */
struct sl_htb_class {
	uint16_t minor;
	bool has_leaf;	     /* the queue with the class's own handle is in place */
	uint64_t rate;	     /* its ceil */
	uint64_t sent_bytes; /* as counted by the size table: IP bytes */
	uint32_t sent_packets, drops;
};
typedef void (*sl_htb_class_seen)(const struct sl_htb_class *seen, void *data);
int sl_htb_read_classes(struct sl_netlink *netlink, const struct sl_htb_device *device,
			sl_htb_class_seen seen, void *data, struct sl_error *err);

/* A new root qdisc, in place of the kernel's default; refused by the kernel (-EEXIST) if any other is there.
 */
void sl_htb_put_qdisc(struct sl_netlink *netlink, const struct sl_htb_device *device);

/* The size table of a qdisc that exists. */
void sl_htb_put_sizes(struct sl_netlink *netlink, const struct sl_htb_device *device);

void sl_htb_put_delete(struct sl_netlink *netlink, const struct sl_htb_device *device);

/* The link, 7ffe:1; made if missing. */
void sl_htb_put_root_class(struct sl_netlink *netlink, const struct sl_htb_device *device, uint64_t rate);

enum sl_htb_put { SL_HTB_CHANGE, SL_HTB_MAKE };

/*
 * A leaf class with its queue: own rate `token`, ceil `rate`. CHANGE fails with
 * -ENOENT when the class is missing; MAKE makes what is missing and brings
 * what exists to these values.
 *
 * The queue is a bfifo inside a tbf. HTB and bfifo take a super-packet (GSO) as it
 * is; tbf is the kernel's small qdisc that cuts what is too long for it into
 * segments. It is used for that alone: its rate is beyond any link and never
 * holds a packet back.
 */
void sl_htb_put_class(struct sl_netlink *netlink, const struct sl_htb_device *device, enum sl_htb_put how,
		      uint16_t minor, uint64_t token, uint64_t rate);

#endif
