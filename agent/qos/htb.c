// SPDX-License-Identifier: Apache-2.0
#include "qos/htb.h"

#include <errno.h>
#include <linux/gen_stats.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "qos/queues.h"
#include "qos/shape.h"
#include "sluice/limits.h"

#define HANDLE(major, minor) ((uint32_t)(major) << 16 | (minor))
#define MQ_HANDLE	     HANDLE(SLUICE_MQ_MAJOR, 0)
#define DEFAULT_LEAF	     0x7f00u /* + queue: major of the default class's queue from the second HTB on */
#define HTB_VERSION	     3	     /* the only one the kernel takes */
#define MESSAGE_ROOM	     256u    /* of everything but a size table */
#define SIZES_ROOM	     (SL_SHAPE_SIZES * 2u + MESSAGE_ROOM)
#define NO_RATE		     1000000000000ull /* bytes/s: a packet of 1,514 bytes takes 1 ns */
#define DUMP_TRIES	     3

static struct nlmsghdr *tc_message(struct sl_netlink *netlink, const struct sl_htb_device *device,
				   uint16_t type, uint16_t flags, size_t room)
{
	struct nlmsghdr *message = sl_netlink_message(netlink, type, flags, room);
	struct tcmsg *tc = mnl_nlmsg_put_extra_header(message, sizeof(*tc));

	tc->tcm_family = AF_UNSPEC;
	tc->tcm_ifindex = (int)device->ifindex;
	return message;
}

static void set_ids(struct nlmsghdr *message, uint32_t handle, uint32_t parent)
{
	struct tcmsg *tc = mnl_nlmsg_get_payload(message);

	tc->tcm_handle = handle;
	tc->tcm_parent = parent;
}

/* --- reading --- */

static int take_link(const struct nlmsghdr *message, void *data)
{
	const struct ifinfomsg *link = mnl_nlmsg_get_payload(message);
	const struct nlattr *table[IFLA_LINKINFO + 1], *info[IFLA_INFO_KIND + 1];
	struct sl_htb_device *device = data;

	if (sl_netlink_attributes(message, sizeof(*link), table, IFLA_LINKINFO) < 0)
		return -EBADMSG;
	if (!table[IFLA_MTU] || mnl_attr_validate(table[IFLA_MTU], MNL_TYPE_U32) < 0)
		return -EBADMSG;
	device->mtu = mnl_attr_get_u32(table[IFLA_MTU]);
	device->link_header =
		link->ifi_type == ARPHRD_ETHER || link->ifi_type == ARPHRD_LOOPBACK ? ETH_HLEN : 0;
	device->queues = sl_queues_of(device->name, device->ifindex);
	if (table[IFLA_LINKINFO] && sl_netlink_nested(table[IFLA_LINKINFO], info, IFLA_INFO_KIND) == 0 &&
	    info[IFLA_INFO_KIND] && mnl_attr_validate(info[IFLA_INFO_KIND], MNL_TYPE_NUL_STRING) == 0 &&
	    strcmp(mnl_attr_get_str(info[IFLA_INFO_KIND]), "tun") == 0)
		device->queues = 1;
	return 0;
}

int sl_htb_read_device(struct sl_netlink *netlink, unsigned int ifindex, const char *name,
		       struct sl_htb_device *out, struct sl_error *err)
{
	struct sl_htb_device device = {.ifindex = ifindex};
	struct ifinfomsg *link;
	int code;

	snprintf(device.name, sizeof(device.name), "%s", name);
	link = mnl_nlmsg_put_extra_header(sl_netlink_message(netlink, RTM_GETLINK, 0, MESSAGE_ROOM),
					  sizeof(*link));
	link->ifi_family = AF_UNSPEC;
	link->ifi_index = (int)ifindex;
	code = sl_netlink_query(netlink, take_link, &device, err);
	if (code < 0)
		return sl_error_prefix(err, code, "interface %s (index %u)", name, ifindex);
	*out = device;
	return 0;
}

static uint32_t htb_handle(uint32_t queue)
{
	return HANDLE(SLUICE_HTB_MAJOR - queue, 0);
}

struct qdisc {
	char kind[16];
	uint32_t handle;
	bool is_htb; /* with our default class */
	uint32_t direct_packets;
};

static int take_qdisc(const struct nlmsghdr *message, void *data)
{
	const struct tcmsg *tc = mnl_nlmsg_get_payload(message);
	const struct nlattr *table[TCA_OPTIONS + 1], *htb[TCA_HTB_INIT + 1];
	const struct tc_htb_glob *global;
	struct qdisc *qdisc = data;

	if (sl_netlink_attributes(message, sizeof(*tc), table, TCA_OPTIONS) < 0 || !table[TCA_KIND] ||
	    mnl_attr_validate(table[TCA_KIND], MNL_TYPE_NUL_STRING) < 0)
		return -EBADMSG;
	snprintf(qdisc->kind, sizeof(qdisc->kind), "%s", mnl_attr_get_str(table[TCA_KIND]));
	qdisc->handle = tc->tcm_handle;
	if (strcmp(qdisc->kind, "htb") != 0)
		return 0;
	if (!table[TCA_OPTIONS] || sl_netlink_nested(table[TCA_OPTIONS], htb, TCA_HTB_INIT) < 0 ||
	    !htb[TCA_HTB_INIT] || mnl_attr_get_payload_len(htb[TCA_HTB_INIT]) < sizeof(*global))
		return -EBADMSG;
	global = mnl_attr_get_payload(htb[TCA_HTB_INIT]);
	qdisc->is_htb = global->defcls == SLUICE_HTB_DEFAULT_MINOR;
	qdisc->direct_packets = global->direct_pkts;
	return 0;
}

/*
 * A get and not a dump, which would hand over every leaf of every device. The
 * kernel answers it as a notification, of which the asker gets his copy only by
 * NLM_F_ECHO. No answer but the acknowledgement: noqueue or noop, never shown.
 */
static int read_qdisc(struct sl_netlink *netlink, const struct sl_htb_device *device, uint32_t handle,
		      uint32_t parent, struct qdisc *out, struct sl_error *err)
{
	*out = (struct qdisc){0};
	set_ids(tc_message(netlink, device, RTM_GETQDISC, NLM_F_ECHO, MESSAGE_ROOM), handle, parent);
	return sl_netlink_query(netlink, take_qdisc, out, err);
}

/* The HTBs below our mq: as many as there are in a row. */
static void read_queues(struct sl_netlink *netlink, const struct sl_htb_device *device,
			struct sl_htb_root *root)
{
	struct qdisc qdisc;

	while (root->queues < SLUICE_EGRESS_QUEUES &&
	       read_qdisc(netlink, device, htb_handle(root->queues), 0, &qdisc, NULL) == 0 && qdisc.is_htb) {
		root->direct_packets += qdisc.direct_packets;
		root->queues++;
	}
}

/* Handles are the device's: the default class is in every HTB, any other in one. */
static uint32_t leaf_handle(uint32_t queue, uint16_t minor)
{
	return HANDLE(queue && minor == SLUICE_HTB_DEFAULT_MINOR ? DEFAULT_LEAF + queue : minor, 0);
}

int sl_htb_read_root(struct sl_netlink *netlink, const struct sl_htb_device *device, struct sl_htb_root *out,
		     struct sl_error *err)
{
	struct sl_htb_root root = {.owner = SL_HTB_KERNEL};
	struct qdisc qdisc;
	int code = read_qdisc(netlink, device, 0, TC_H_ROOT, &qdisc, err);

	if (code < 0)
		return sl_error_prefix(err, code, "interface %s", device->name);
	memcpy(root.kind, qdisc.kind, sizeof(root.kind));
	root.handle = qdisc.handle;
	if (root.handle == htb_handle(0) && qdisc.is_htb) {
		root.owner = SL_HTB_OURS;
		root.queues = 1;
		root.direct_packets = qdisc.direct_packets;
	} else if (root.handle == MQ_HANDLE && strcmp(root.kind, "mq") == 0) {
		root.owner = SL_HTB_OURS;
		read_queues(netlink, device, &root);
	} else if (root.handle) {
		root.owner = SL_HTB_OTHER;
	}
	if (root.queues &&
	    read_qdisc(netlink, device, leaf_handle(0, SLUICE_HTB_DEFAULT_MINOR), 0, &qdisc, NULL) == 0)
		memcpy(root.leaf, qdisc.kind, sizeof(root.leaf));
	*out = root;
	return 0;
}

/* The kernel looks for the kind first and then at the options, of which 0 flows is refused. */
bool sl_htb_has_fq_codel(struct sl_netlink *netlink)
{
	const struct sl_htb_device loopback = {.ifindex = 1};
	struct nlmsghdr *message =
		tc_message(netlink, &loopback, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, MESSAGE_ROOM);
	struct nlattr *nest;

	set_ids(message, HANDLE(SLUICE_HTB_MAJOR, 0), TC_H_ROOT);
	mnl_attr_put_strz(message, TCA_KIND, "fq_codel");
	nest = mnl_attr_nest_start(message, TCA_OPTIONS);
	mnl_attr_put_u32(message, TCA_FQ_CODEL_FLOWS, 0);
	mnl_attr_nest_end(message, nest);
	return sl_netlink_commit(netlink, NULL) != -ENOENT;
}

/* The classes of one HTB, told when the dump is complete: one that is interrupted begins anew. */
struct class_dump {
	const struct sl_htb_device *device;
	uint32_t queue;
	struct sl_htb_class *classes;
	size_t count, room;
};

static void clear_dump(struct class_dump *dump)
{
	free(dump->classes);
}

static int take_statistics(const struct nlattr *nest, struct sl_htb_class *out)
{
	const struct nlattr *table[TCA_STATS_QUEUE + 1];
	struct gnet_stats_basic basic;
	struct gnet_stats_queue queue;

	if (sl_netlink_nested(nest, table, TCA_STATS_QUEUE) < 0)
		return -EBADMSG;
	/* copied, as attributes are aligned to four bytes only */
	if (table[TCA_STATS_BASIC] && mnl_attr_get_payload_len(table[TCA_STATS_BASIC]) >= sizeof(basic)) {
		memcpy(&basic, mnl_attr_get_payload(table[TCA_STATS_BASIC]), sizeof(basic));
		out->sent_bytes = basic.bytes;
		out->sent_packets = basic.packets;
	}
	if (table[TCA_STATS_QUEUE] && mnl_attr_get_payload_len(table[TCA_STATS_QUEUE]) >= sizeof(queue)) {
		memcpy(&queue, mnl_attr_get_payload(table[TCA_STATS_QUEUE]), sizeof(queue));
		out->drops = queue.drops;
		out->backlog_bytes = queue.backlog;
		out->backlog_packets = queue.qlen;
	}
	return 0;
}

static uint64_t rate_of(const struct nlattr *rate64, uint32_t rate)
{
	if (rate64 && mnl_attr_validate(rate64, MNL_TYPE_U64) == 0)
		return mnl_attr_get_u64(rate64) * 8;
	return (uint64_t)rate * 8;
}

static int keep_class(struct class_dump *dump, const struct sl_htb_class *class)
{
	if (dump->count == dump->room) {
		size_t room = dump->room ? dump->room * 2 : 256;
		struct sl_htb_class *more = reallocarray(dump->classes, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		dump->classes = more;
		dump->room = room;
	}
	dump->classes[dump->count++] = *class;
	return 0;
}

static int take_class(const struct nlmsghdr *message, void *data)
{
	const struct tcmsg *tc = mnl_nlmsg_get_payload(message);
	const struct nlattr *table[TCA_STATS2 + 1], *htb[TCA_HTB_CEIL64 + 1];
	struct class_dump *dump = data;
	struct sl_htb_class class = {.queue = dump->queue};
	struct tc_htb_opt options;

	if (sl_netlink_attributes(message, sizeof(*tc), table, TCA_STATS2) < 0)
		return -EBADMSG;
	if (tc->tcm_ifindex != (int)dump->device->ifindex || tc->tcm_parent == TC_H_ROOT ||
	    (tc->tcm_parent & 0xffff0000u) != htb_handle(dump->queue))
		return 0;
	if (!table[TCA_OPTIONS] || sl_netlink_nested(table[TCA_OPTIONS], htb, TCA_HTB_CEIL64) < 0 ||
	    !htb[TCA_HTB_PARMS] || mnl_attr_get_payload_len(htb[TCA_HTB_PARMS]) < sizeof(options))
		return -EBADMSG;
	memcpy(&options, mnl_attr_get_payload(htb[TCA_HTB_PARMS]), sizeof(options));
	class.minor = (uint16_t)(tc->tcm_handle & 0xffff);
	class.parent = (uint16_t)(tc->tcm_parent & 0xffff);
	class.has_leaf = tc->tcm_info == leaf_handle(dump->queue, class.minor);
	class.own_rate = rate_of(htb[TCA_HTB_RATE64], options.rate.rate);
	class.rate = rate_of(htb[TCA_HTB_CEIL64], options.ceil.rate);
	if (table[TCA_STATS2] && take_statistics(table[TCA_STATS2], &class) < 0)
		return -EBADMSG;
	return keep_class(dump, &class);
}

int sl_htb_read_classes(struct sl_netlink *netlink, const struct sl_htb_device *device,
			sl_htb_class_seen seen, void *data, struct sl_error *err)
{
	for (uint32_t queue = 0; queue < device->queues; queue++) {
		_cleanup_(clear_dump) struct class_dump dump = {.device = device, .queue = queue};
		int code = -EINTR;

		for (int tries = 0; code == -EINTR && tries < DUMP_TRIES; tries++) {
			dump.count = 0;
			set_ids(tc_message(netlink, device, RTM_GETTCLASS, NLM_F_DUMP, MESSAGE_ROOM), 0,
				htb_handle(queue));
			code = sl_netlink_query(netlink, take_class, &dump, err);
		}
		if (code < 0)
			return sl_error_prefix(err, code, "interface %s", device->name);
		for (size_t i = 0; i < dump.count; i++)
			seen(&dump.classes[i], data);
	}
	return 0;
}

uint32_t sl_htb_queue(const struct sl_htb_device *device, uint16_t minor)
{
	return (minor >> SLUICE_HTB_UNIT_BITS) % device->queues;
}

/* --- writing --- */

static void add_sizes(struct nlmsghdr *message, const struct sl_htb_device *device)
{
	struct sl_shape_sizes sizes;
	struct tc_sizespec base = {0};
	struct nlattr *nest;

	sl_shape_sizes(device->mtu, device->link_header, &sizes);
	base.overhead = sizes.overhead;
	base.linklayer = TC_LINKLAYER_ETHERNET;
	base.mtu = device->mtu;
	base.tsize = sizes.cells;
	nest = mnl_attr_nest_start(message, TCA_STAB);
	mnl_attr_put(message, TCA_STAB_BASE, sizeof(base), &base);
	mnl_attr_put(message, TCA_STAB_DATA, sizes.cells * sizeof(sizes.entry[0]), sizes.entry);
	mnl_attr_nest_end(message, nest);
}

static void put_htb(struct sl_netlink *netlink, const struct sl_htb_device *device, uint32_t queue,
		    uint32_t parent)
{
	struct tc_htb_glob global = {
		.version = HTB_VERSION,
		.rate2quantum = 10, /* must not be 0; without effect, as every class brings its quantum */
		.defcls = SLUICE_HTB_DEFAULT_MINOR,
	};
	struct nlmsghdr *message =
		tc_message(netlink, device, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, SIZES_ROOM);
	struct nlattr *nest;

	set_ids(message, htb_handle(queue), parent);
	mnl_attr_put_strz(message, TCA_KIND, "htb");
	add_sizes(message, device);
	nest = mnl_attr_nest_start(message, TCA_OPTIONS);
	mnl_attr_put(message, TCA_HTB_INIT, sizeof(global), &global);
	mnl_attr_nest_end(message, nest);
}

static uint32_t parent_of(const struct sl_htb_device *device, uint32_t queue)
{
	return device->queues > 1 ? HANDLE(SLUICE_MQ_MAJOR, queue + 1) : TC_H_ROOT;
}

void sl_htb_put_qdiscs(struct sl_netlink *netlink, const struct sl_htb_device *device)
{
	if (device->queues > 1) {
		struct nlmsghdr *message =
			tc_message(netlink, device, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, MESSAGE_ROOM);

		set_ids(message, MQ_HANDLE, TC_H_ROOT);
		mnl_attr_put_strz(message, TCA_KIND, "mq");
	}
	for (uint32_t queue = 0; queue < device->queues; queue++)
		put_htb(netlink, device, queue, parent_of(device, queue));
}

void sl_htb_put_sizes(struct sl_netlink *netlink, const struct sl_htb_device *device)
{
	for (uint32_t queue = 0; queue < device->queues; queue++) {
		struct nlmsghdr *message = tc_message(netlink, device, RTM_NEWQDISC, 0, SIZES_ROOM);

		set_ids(message, htb_handle(queue), parent_of(device, queue));
		mnl_attr_put_strz(message, TCA_KIND, "htb");
		add_sizes(message, device);
	}
}

void sl_htb_put_delete(struct sl_netlink *netlink, const struct sl_htb_device *device,
		       const struct sl_htb_root *root)
{
	set_ids(tc_message(netlink, device, RTM_DELQDISC, 0, MESSAGE_ROOM), root->handle, TC_H_ROOT);
}

void sl_htb_put_delete_class(struct sl_netlink *netlink, const struct sl_htb_device *device,
			     const struct sl_htb_class *seen)
{
	set_ids(tc_message(netlink, device, RTM_DELTCLASS, 0, MESSAGE_ROOM),
		htb_handle(seen->queue) | seen->minor, 0);
}

static uint32_t low_rate(uint64_t bytes_per_second)
{
	return bytes_per_second > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes_per_second;
}

static void put_class(struct sl_netlink *netlink, const struct sl_htb_device *device, uint16_t flags,
		      uint32_t handle, uint32_t parent, const struct sl_htb_spec *spec)
{
	uint64_t burst = sl_shape_burst(spec->rate, device->mtu);
	uint64_t rate64 = sl_shape_bytes_per_second(spec->own_rate);
	uint64_t ceil64 = sl_shape_bytes_per_second(spec->rate);
	/* a link layer that is told spares the rate tables, 2 KiB a message */
	struct tc_htb_opt options = {
		.rate = {.linklayer = TC_LINKLAYER_ETHERNET, .rate = low_rate(rate64)},
		.ceil = {.linklayer = TC_LINKLAYER_ETHERNET, .rate = low_rate(ceil64)},
		.buffer = sl_shape_ticks(burst, spec->own_rate),
		.cbuffer = sl_shape_ticks(burst, spec->rate),
		.quantum = SL_SHAPE_QUANTUM,
		.prio = spec->priority,
	};
	struct nlmsghdr *message = tc_message(netlink, device, RTM_NEWTCLASS, flags, MESSAGE_ROOM);
	struct nlattr *nest;

	set_ids(message, handle, parent);
	mnl_attr_put_strz(message, TCA_KIND, "htb");
	nest = mnl_attr_nest_start(message, TCA_OPTIONS);
	mnl_attr_put(message, TCA_HTB_PARMS, sizeof(options), &options);
	mnl_attr_put_u64(message, TCA_HTB_RATE64, rate64);
	mnl_attr_put_u64(message, TCA_HTB_CEIL64, ceil64);
	mnl_attr_nest_end(message, nest);
}

void sl_htb_put_links(struct sl_netlink *netlink, const struct sl_htb_device *device, uint64_t rate)
{
	const struct sl_htb_spec link = {.own_rate = rate, .rate = rate};

	for (uint32_t queue = 0; queue < device->queues; queue++)
		put_class(netlink, device, NLM_F_CREATE, htb_handle(queue) | SLUICE_HTB_ROOT_MINOR, TC_H_ROOT,
			  &link);
}

static void add_fifo(struct nlmsghdr *message, const struct sl_htb_device *device, uint64_t rate)
{
	uint32_t limit = sl_shape_limit(rate, device->mtu);
	struct tc_tbf_qopt options = {
		.rate = {.linklayer = TC_LINKLAYER_ETHERNET, .rate = UINT32_MAX},
		.limit = limit,
	};
	struct nlattr *nest;

	mnl_attr_put_strz(message, TCA_KIND, "tbf");
	nest = mnl_attr_nest_start(message, TCA_OPTIONS);
	mnl_attr_put(message, TCA_TBF_PARMS, sizeof(options), &options);
	mnl_attr_put_u64(message, TCA_TBF_RATE64, NO_RATE);
	mnl_attr_put_u32(message, TCA_TBF_BURST, sl_shape_largest(limit, device->mtu));
	mnl_attr_nest_end(message, nest);
}

static void add_fq_codel(struct nlmsghdr *message, const struct sl_htb_device *device, uint64_t rate,
			 bool is_new)
{
	uint32_t target = sl_shape_target_us(rate, device->mtu);
	struct nlattr *nest;

	mnl_attr_put_strz(message, TCA_KIND, "fq_codel");
	nest = mnl_attr_nest_start(message, TCA_OPTIONS);
	mnl_attr_put_u32(message, TCA_FQ_CODEL_TARGET, target);
	mnl_attr_put_u32(message, TCA_FQ_CODEL_INTERVAL, sl_shape_interval_us(target));
	mnl_attr_put_u32(message, TCA_FQ_CODEL_MEMORY_LIMIT, sl_shape_codel_memory(rate, device->mtu));
	if (is_new)
		mnl_attr_put_u32(message, TCA_FQ_CODEL_FLOWS, SL_SHAPE_CODEL_FLOWS);
	mnl_attr_nest_end(message, nest);
}

/* The kernel takes the number of flows when an fq_codel is made, and refuses it for one that exists. */
static void put_new_fq_codel(struct sl_netlink *netlink, const struct sl_htb_device *device, uint32_t handle,
			     uint32_t parent, uint64_t rate)
{
	struct nlmsghdr *message =
		tc_message(netlink, device, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, MESSAGE_ROOM);

	sl_netlink_may_exist(netlink);
	set_ids(message, handle, parent);
	add_fq_codel(message, device, rate, true);
}

/* The handle is told because automatic ones run out, and so that the queue is known as ours in a dump. */
static void put_queue(struct sl_netlink *netlink, const struct sl_htb_device *device, enum sl_htb_put how,
		      uint32_t handle, uint32_t parent, uint64_t rate)
{
	uint16_t flags = how == SL_HTB_MAKE ? NLM_F_CREATE | NLM_F_REPLACE : 0;
	struct nlmsghdr *message;

	if (device->fq_codel && how == SL_HTB_MAKE)
		put_new_fq_codel(netlink, device, handle, parent, rate);
	message = tc_message(netlink, device, RTM_NEWQDISC, flags, MESSAGE_ROOM);
	set_ids(message, handle, parent);
	if (device->fq_codel)
		add_fq_codel(message, device, rate, false);
	else
		add_fifo(message, device, rate);
}

static void put_class_into(struct sl_netlink *netlink, const struct sl_htb_device *device, uint32_t queue,
			   enum sl_htb_put how, const struct sl_htb_spec *spec)
{
	uint32_t handle = htb_handle(queue) | spec->minor;
	uint32_t parent = htb_handle(queue) | (spec->parent ? spec->parent : SLUICE_HTB_ROOT_MINOR);
	uint16_t class_flags = how == SL_HTB_MAKE ? NLM_F_CREATE : 0;

	put_class(netlink, device, class_flags, handle, parent, spec);
	if (!spec->inner)
		put_queue(netlink, device, how, leaf_handle(queue, spec->minor), handle, spec->rate);
}

void sl_htb_put_class(struct sl_netlink *netlink, const struct sl_htb_device *device, enum sl_htb_put how,
		      const struct sl_htb_spec *spec)
{
	if (spec->minor != SLUICE_HTB_DEFAULT_MINOR) {
		put_class_into(netlink, device, sl_htb_queue(device, spec->minor), how, spec);
		return;
	}
	for (uint32_t queue = 0; queue < device->queues; queue++)
		put_class_into(netlink, device, queue, how, spec);
}
