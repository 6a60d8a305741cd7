/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtnetlink over libmnl: messages are gathered in one buffer and sent with one
 * system call; the kernel works through them one by one and takes the RTNL lock
 * for each, so a long batch never holds it for long.
 *
 * The kernel's own words (extended acknowledgement) end up in struct sl_error.
 */
#ifndef SL_NETLINK_H
#define SL_NETLINK_H

#include <stddef.h>
#include <stdint.h>

#include <libmnl/libmnl.h>

#include "base/cleanup.h"
#include "base/error.h"

struct sl_netlink;

/* A socket in the network namespace of the calling thread. */
int sl_netlink_open(struct sl_netlink **out, struct sl_error *err);
void sl_netlink_close(struct sl_netlink *netlink);

static inline void sl_cleanup_netlink(struct sl_netlink **netlink)
{
	sl_netlink_close(*netlink);
}
#define _cleanup_netlink_ _cleanup_(sl_cleanup_netlink)

/*
 * Starts a message; what the caller adds (family header and attributes) must
 * stay within `room` bytes, at most SL_NETLINK_ROOM. A batch that is full is
 * sent first; how that went is told by the next commit.
 */
#define SL_NETLINK_ROOM 65536u
struct nlmsghdr *sl_netlink_message(struct sl_netlink *netlink, uint16_t type, uint16_t flags, size_t room);

/* The message that was started last: that what it is to make is there already is no failure. */
void sl_netlink_may_exist(struct sl_netlink *netlink);

/*
 * Sends what was gathered and waits for the kernel's answers. The kernel goes
 * on after a message that failed; the first failure is returned, as -errno.
 */
int sl_netlink_commit(struct sl_netlink *netlink, struct sl_error *err);

/*
 * Sends the one message that was started (a get, or a dump if NLM_F_DUMP is
 * set) and hands every object of the answer to `object`, which returns 0 or
 * -errno; its error ends the query. -EINTR: the kernel changed what it was
 * dumping, ask again.
 */
typedef int (*sl_netlink_object)(const struct nlmsghdr *message, void *data);
int sl_netlink_query(struct sl_netlink *netlink, sl_netlink_object object, void *data, struct sl_error *err);

/* Attributes by type, those above `max` left out; -EBADMSG when they do not fit their frame. */
int sl_netlink_attributes(const struct nlmsghdr *message, size_t header, const struct nlattr **entry,
			  uint16_t max);
int sl_netlink_nested(const struct nlattr *nest, const struct nlattr **entry, uint16_t max);

#endif
