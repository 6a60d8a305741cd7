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
#include <string.h>

#include "qos/shape.h"
#include "sluice/limits.h"

#define HANDLE(major, minor) ((uint32_t)(major) << 16 | (minor))
#define OUR_HANDLE	     HANDLE(SLUICE_HTB_MAJOR, 0)
#define OUR_LINK	     HANDLE(SLUICE_HTB_MAJOR, SLUICE_HTB_ROOT_MINOR)
#define HTB_VERSION	     3	  /* the only one the kernel takes */
#define MESSAGE_ROOM	     256u /* of everything but a size table */
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
	const struct nlattr *table[IFLA_MTU + 1];
	struct sl_htb_device *device = data;

	if (sl_netlink_attributes(message, sizeof(*link), table, IFLA_MTU) < 0)
		return -EBADMSG;
	if (!table[IFLA_MTU] || mnl_attr_validate(table[IFLA_MTU], MNL_TYPE_U32) < 0)
		return -EBADMSG;
	device->mtu = mnl_attr_get_u32(table[IFLA_MTU]);
	device->link_header =
		link->ifi_type == ARPHRD_ETHER || link->ifi_type == ARPHRD_LOOPBACK ? ETH_HLEN : 0;
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

static int take_root(const struct nlmsghdr *message, void *data)
{
	const struct tcmsg *tc = mnl_nlmsg_get_payload(message);
	const struct nlattr *table[TCA_OPTIONS + 1], *htb[TCA_HTB_INIT + 1];
	const struct tc_htb_glob *global;
	struct sl_htb_root *root = data;

	if (sl_netlink_attributes(message, sizeof(*tc), table, TCA_OPTIONS) < 0 || !table[TCA_KIND] ||
	    mnl_attr_validate(table[TCA_KIND], MNL_TYPE_NUL_STRING) < 0)
		return -EBADMSG;
	snprintf(root->kind, sizeof(root->kind), "%s", mnl_attr_get_str(table[TCA_KIND]));
	root->handle = tc->tcm_handle;
	if (root->handle == 0)
		return 0;
	root->owner = SL_HTB_OTHER;
	if (root->handle != OUR_HANDLE || strcmp(root->kind, "htb") != 0)
		return 0;
	if (!table[TCA_OPTIONS] || sl_netlink_nested(table[TCA_OPTIONS], htb, TCA_HTB_INIT) < 0 ||
	    !htb[TCA_HTB_INIT] || mnl_attr_get_payload_len(htb[TCA_HTB_INIT]) < sizeof(*global))
		return -EBADMSG;
	global = mnl_attr_get_payload(htb[TCA_HTB_INIT]);
	if (global->defcls != SLUICE_HTB_DEFAULT_MINOR)
		return 0;
	root->owner = SL_HTB_OURS;
	root->direct_packets = global->direct_pkts;
	return 0;
}

/*
 * A get and not a dump, which would hand over every leaf of every device. The
 * kernel answers it as a notification, of which the asker gets his copy only by
 * NLM_F_ECHO. No answer but the acknowledgement: noqueue or noop, never shown.
 */
int sl_htb_read_root(struct sl_netlink *netlink, const struct sl_htb_device *device, struct sl_htb_root *out,
		     struct sl_error *err)
{
	struct sl_htb_root root = {.owner = SL_HTB_KERNEL};
	int code;

	set_ids(tc_message(netlink, device, RTM_GETQDISC, NLM_F_ECHO, MESSAGE_ROOM), 0, TC_H_ROOT);
	code = sl_netlink_query(netlink, take_root, &root, err);
	if (code < 0)
		return sl_error_prefix(err, code, "interface %s", device->name);
	*out = root;
	return 0;
}

struct class_dump {
	const struct sl_htb_device *device;
	sl_htb_class_seen seen;
	void *data;
};

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
	}
	return 0;
}

static int take_class(const struct nlmsghdr *message, void *data)
{
	const struct tcmsg *tc = mnl_nlmsg_get_payload(message);
	const struct nlattr *table[TCA_STATS2 + 1], *htb[TCA_HTB_CEIL64 + 1];
	const struct class_dump *dump = data;
	const struct tc_htb_opt *options;
	struct sl_htb_class class = {0};
	uint64_t ceil;

	if (sl_netlink_attributes(message, sizeof(*tc), table, TCA_STATS2) < 0)
		return -EBADMSG;
	if (tc->tcm_ifindex != (int)dump->device->ifindex || tc->tcm_parent != OUR_LINK)
		return 0;
	if (!table[TCA_OPTIONS] || sl_netlink_nested(table[TCA_OPTIONS], htb, TCA_HTB_CEIL64) < 0 ||
	    !htb[TCA_HTB_PARMS] || mnl_attr_get_payload_len(htb[TCA_HTB_PARMS]) < sizeof(*options))
		return -EBADMSG;
	options = mnl_attr_get_payload(htb[TCA_HTB_PARMS]);
	ceil = options->ceil.rate;
	if (htb[TCA_HTB_CEIL64] && mnl_attr_validate(htb[TCA_HTB_CEIL64], MNL_TYPE_U64) == 0)
		ceil = mnl_attr_get_u64(htb[TCA_HTB_CEIL64]);
	class.minor = (uint16_t)(tc->tcm_handle & 0xffff);
	class.has_leaf = tc->tcm_info == HANDLE(class.minor, 0);
	class.rate = ceil * 8;
	if (table[TCA_STATS2] && take_statistics(table[TCA_STATS2], &class) < 0)
		return -EBADMSG;
	dump->seen(&class, dump->data);
	return 0;
}

int sl_htb_read_classes(struct sl_netlink *netlink, const struct sl_htb_device *device,
			sl_htb_class_seen seen, void *data, struct sl_error *err)
{
	struct class_dump dump = {.device = device, .seen = seen, .data = data};
	int code = -EINTR;

	for (int tries = 0; code == -EINTR && tries < DUMP_TRIES; tries++) {
		set_ids(tc_message(netlink, device, RTM_GETTCLASS, NLM_F_DUMP, MESSAGE_ROOM), 0, OUR_HANDLE);
		code = sl_netlink_query(netlink, take_class, &dump, err);
	}
	return code < 0 ? sl_error_prefix(err, code, "interface %s", device->name) : 0;
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

void sl_htb_put_qdisc(struct sl_netlink *netlink, const struct sl_htb_device *device)
{
	struct tc_htb_glob global = {
		.version = HTB_VERSION,
		.rate2quantum = 10, /* must not be 0; without effect, as every class brings its quantum */
		.defcls = SLUICE_HTB_DEFAULT_MINOR,
	};
	struct nlmsghdr *message =
		tc_message(netlink, device, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, SIZES_ROOM);
	struct nlattr *nest;

	set_ids(message, OUR_HANDLE, TC_H_ROOT);
	mnl_attr_put_strz(message, TCA_KIND, "htb");
	add_sizes(message, device);
	nest = mnl_attr_nest_start(message, TCA_OPTIONS);
	mnl_attr_put(message, TCA_HTB_INIT, sizeof(global), &global);
	mnl_attr_nest_end(message, nest);
}

void sl_htb_put_sizes(struct sl_netlink *netlink, const struct sl_htb_device *device)
{
	struct nlmsghdr *message = tc_message(netlink, device, RTM_NEWQDISC, 0, SIZES_ROOM);

	set_ids(message, OUR_HANDLE, TC_H_ROOT);
	mnl_attr_put_strz(message, TCA_KIND, "htb");
	add_sizes(message, device);
}

void sl_htb_put_delete(struct sl_netlink *netlink, const struct sl_htb_device *device)
{
	set_ids(tc_message(netlink, device, RTM_DELQDISC, 0, MESSAGE_ROOM), OUR_HANDLE, TC_H_ROOT);
}

static uint32_t low_rate(uint64_t bytes_per_second)
{
	return bytes_per_second > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes_per_second;
}

static void put_class(struct sl_netlink *netlink, const struct sl_htb_device *device, uint16_t flags,
		      uint32_t handle, uint32_t parent, uint64_t rate, uint64_t ceil)
{
	uint64_t burst = sl_shape_burst(ceil, device->mtu);
	uint64_t rate64 = sl_shape_bytes_per_second(rate), ceil64 = sl_shape_bytes_per_second(ceil);
	/* a link layer that is told spares the rate tables, 2 KiB a message */
	struct tc_htb_opt options = {
		.rate = {.linklayer = TC_LINKLAYER_ETHERNET, .rate = low_rate(rate64)},
		.ceil = {.linklayer = TC_LINKLAYER_ETHERNET, .rate = low_rate(ceil64)},
		.buffer = sl_shape_ticks(burst, rate),
		.cbuffer = sl_shape_ticks(burst, ceil),
		.quantum = SL_SHAPE_QUANTUM,
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

void sl_htb_put_root_class(struct sl_netlink *netlink, const struct sl_htb_device *device, uint64_t rate)
{
	put_class(netlink, device, NLM_F_CREATE, OUR_LINK, TC_H_ROOT, rate, rate);
}

/* The handle is told because automatic ones run out, and so that the queue is known as ours in a dump. */
static void put_queue(struct sl_netlink *netlink, const struct sl_htb_device *device, uint16_t flags,
		      uint32_t handle, uint32_t parent, uint32_t limit)
{
	struct tc_tbf_qopt options = {
		.rate = {.linklayer = TC_LINKLAYER_ETHERNET, .rate = UINT32_MAX},
		.limit = limit,
	};
	struct nlmsghdr *message = tc_message(netlink, device, RTM_NEWQDISC, flags, MESSAGE_ROOM);
	struct nlattr *nest;

	set_ids(message, handle, parent);
	mnl_attr_put_strz(message, TCA_KIND, "tbf");
	nest = mnl_attr_nest_start(message, TCA_OPTIONS);
	mnl_attr_put(message, TCA_TBF_PARMS, sizeof(options), &options);
	mnl_attr_put_u64(message, TCA_TBF_RATE64, NO_RATE);
	mnl_attr_put_u32(message, TCA_TBF_BURST, sl_shape_largest(limit, device->mtu));
	mnl_attr_nest_end(message, nest);
}

void sl_htb_put_class(struct sl_netlink *netlink, const struct sl_htb_device *device, enum sl_htb_put how,
		      uint16_t minor, uint64_t token, uint64_t rate)
{
	uint32_t handle = HANDLE(SLUICE_HTB_MAJOR, minor);
	uint16_t class_flags = how == SL_HTB_MAKE ? NLM_F_CREATE : 0;
	uint16_t queue_flags = how == SL_HTB_MAKE ? NLM_F_CREATE | NLM_F_REPLACE : 0;

	put_class(netlink, device, class_flags, handle, OUR_LINK, token, rate);
	put_queue(netlink, device, queue_flags, HANDLE(minor, 0), handle, sl_shape_limit(rate, device->mtu));
}
