// SPDX-License-Identifier: Apache-2.0
#include "redirect/route.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "sluice/limits.h"

/* What we find of our own at once; more is found by asking again. */
#define FOUND_MAX 64

static void close_socket(struct mnl_socket **socket)
{
	if (*socket)
		mnl_socket_close(*socket);
}
#define _cleanup_socket_ _cleanup_(close_socket)

static int open_socket(struct mnl_socket **out, struct sl_error *err)
{
	_cleanup_socket_ struct mnl_socket *socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	int on = 1;

	if (!socket || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0)
		return sl_error(err, errno, "redirect: cannot open a netlink socket: %s", strerror(errno));
	/* the kernel picks out the routes that are ours: a router may have a million others */
	(void)mnl_socket_setsockopt(socket, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	*out = SL_TAKE(socket);
	return 0;
}

/* One request and its answer: `found` for each object of a dump. 0 or -errno. */
static int ask(struct mnl_socket *socket, struct nlmsghdr *message, mnl_cb_t found, void *user)
{
	static unsigned int sequence;
	char answer[32768];
	ssize_t size;
	int rc = MNL_CB_OK;

	message->nlmsg_seq = ++sequence;
	if (mnl_socket_sendto(socket, message, message->nlmsg_len) < 0)
		return -errno;
	while (rc == MNL_CB_OK) {
		size = mnl_socket_recvfrom(socket, answer, sizeof(answer));
		if (size < 0)
			return -errno;
		rc = mnl_cb_run(answer, (size_t)size, message->nlmsg_seq, mnl_socket_get_portid(socket),
				found, user);
	}
	return rc < 0 ? -errno : 0;
}

/* The rules, each after those that it needs. */
struct rule {
	uint8_t action;
	uint32_t priority;
	uint32_t table;	 /* FR_ACT_TO_TBL */
	uint32_t target; /* FR_ACT_GOTO: a priority */
};
#define RULES 3

static void rules_of(const struct sl_route *route, struct rule out[RULES])
{
	const uint32_t first = route->priority;

	out[0] = (struct rule){.action = FR_ACT_NOP, .priority = first + 2};
	out[1] = (struct rule){.action = FR_ACT_GOTO, .priority = first, .target = first + 2};
	out[2] = (struct rule){.action = FR_ACT_TO_TBL, .priority = first + 1, .table = route->table};
}

static struct nlmsghdr *put_rule(char *buffer, uint16_t type, uint16_t flags, uint8_t family,
				 const struct rule *rule)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	struct fib_rule_hdr *header;

	message->nlmsg_type = type;
	message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	header = mnl_nlmsg_put_extra_header(message, sizeof(*header));
	header->family = family;
	header->action = rule->action;
	mnl_attr_put_u32(message, FRA_PRIORITY, rule->priority);
	mnl_attr_put_u8(message, FRA_PROTOCOL, SL_ROUTE_PROTOCOL);
	if (rule->table)
		mnl_attr_put_u32(message, FRA_TABLE, rule->table);
	if (rule->target)
		mnl_attr_put_u32(message, FRA_GOTO, rule->target);
	if (type == RTM_NEWRULE && rule->action != FR_ACT_NOP) {
		mnl_attr_put_u32(message, FRA_FWMARK, SLUICE_MARK_PORTAL);
		mnl_attr_put_u32(message, FRA_FWMASK, SLUICE_MARK_MASK);
	}
	if (type == RTM_NEWRULE && rule->action == FR_ACT_GOTO)
		mnl_attr_put_strz(message, FRA_IIFNAME, "lo");
	return message;
}

static struct nlmsghdr *put_route(char *buffer, uint16_t type, uint16_t flags, uint8_t family, uint32_t table)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	struct rtmsg *route;

	message->nlmsg_type = type;
	message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	route = mnl_nlmsg_put_extra_header(message, sizeof(*route));
	route->rtm_family = family;
	route->rtm_protocol = SL_ROUTE_PROTOCOL;
	route->rtm_type = RTN_LOCAL;
	route->rtm_scope = RT_SCOPE_HOST;
	mnl_attr_put_u32(message, RTA_TABLE, table);
	mnl_attr_put_u32(message, RTA_OIF, if_nametoindex("lo"));
	return message;
}

/* --- what is there ------------------------------------------------------------- */

/* What is ours of one family: rules, or tables with our route. */
struct found {
	struct rule list[FOUND_MAX];
	unsigned int count;
};

static void note(struct found *found, struct rule rule)
{
	if (found->count < FOUND_MAX)
		found->list[found->count++] = rule;
}

struct attributes {
	const struct nlattr *table, *priority, *protocol, *target, *mark;
};

static int rule_attribute(const struct nlattr *attribute, void *user)
{
	struct attributes *out = user;

	switch (mnl_attr_get_type(attribute)) {
	case FRA_TABLE:
		out->table = attribute;
		break;
	case FRA_PRIORITY:
		out->priority = attribute;
		break;
	case FRA_PROTOCOL:
		out->protocol = attribute;
		break;
	case FRA_GOTO:
		out->target = attribute;
		break;
	case FRA_FWMARK:
		out->mark = attribute;
		break;
	default:
		break;
	}
	return MNL_CB_OK;
}

static uint32_t number(const struct nlattr *attribute)
{
	return attribute ? mnl_attr_get_u32(attribute) : 0;
}

static int on_rule(const struct nlmsghdr *message, void *user)
{
	const struct fib_rule_hdr *header = mnl_nlmsg_get_payload(message);
	struct attributes attributes = {0};

	if (message->nlmsg_type != RTM_NEWRULE ||
	    mnl_attr_parse(message, sizeof(*header), rule_attribute, &attributes) < 0 ||
	    !attributes.protocol || mnl_attr_get_u8(attributes.protocol) != SL_ROUTE_PROTOCOL)
		return MNL_CB_OK;
	/* an administrator may use the number too */
	if (header->action == FR_ACT_NOP ? attributes.mark != NULL
					 : number(attributes.mark) != SLUICE_MARK_PORTAL)
		return MNL_CB_OK;
	note(user, (struct rule){
			   .action = header->action,
			   .priority = number(attributes.priority),
			   .table = number(attributes.table),
			   .target = number(attributes.target),
		   });
	return MNL_CB_OK;
}

static int route_attribute(const struct nlattr *attribute, void *user)
{
	struct attributes *out = user;

	if (mnl_attr_get_type(attribute) == RTA_TABLE)
		out->table = attribute;
	return MNL_CB_OK;
}

static int on_route(const struct nlmsghdr *message, void *user)
{
	const struct rtmsg *route = mnl_nlmsg_get_payload(message);
	struct attributes attributes = {0};

	if (message->nlmsg_type != RTM_NEWROUTE || route->rtm_protocol != SL_ROUTE_PROTOCOL ||
	    route->rtm_type != RTN_LOCAL || route->rtm_dst_len != 0 ||
	    mnl_attr_parse(message, sizeof(*route), route_attribute, &attributes) < 0 || !attributes.table)
		return MNL_CB_OK;
	note(user, (struct rule){.table = mnl_attr_get_u32(attributes.table)});
	return MNL_CB_OK;
}

static int find_rules(struct mnl_socket *socket, uint8_t family, struct found *found)
{
	char buffer[MNL_NLMSG_HDRLEN + sizeof(struct fib_rule_hdr)] __attribute__((aligned(4)));
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	struct fib_rule_hdr *rule;

	message->nlmsg_type = RTM_GETRULE;
	message->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	rule = mnl_nlmsg_put_extra_header(message, sizeof(*rule));
	rule->family = family;
	return ask(socket, message, on_rule, found);
}

static int find_routes(struct mnl_socket *socket, uint8_t family, struct found *found)
{
	char buffer[MNL_NLMSG_HDRLEN + sizeof(struct rtmsg)] __attribute__((aligned(4)));
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	struct rtmsg *route;

	message->nlmsg_type = RTM_GETROUTE;
	message->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	route = mnl_nlmsg_put_extra_header(message, sizeof(*route));
	route->rtm_family = family;
	route->rtm_protocol = SL_ROUTE_PROTOCOL;
	return ask(socket, message, on_route, found);
}

/* --- changes --------------------------------------------------------------------- */

static bool is_same(const struct rule *a, const struct rule *b)
{
	return a->action == b->action && a->priority == b->priority && a->table == b->table &&
	       a->target == b->target;
}

/* No IPv6 in this kernel, none that routes by rules, or switched off (net.ipv6.conf.lo.disable_ipv6: EACCES).
 */
static bool is_absent(uint8_t family, int rc)
{
	return family == AF_INET6 &&
	       (rc == -EAFNOSUPPORT || rc == -EOPNOTSUPP || rc == -EPROTONOSUPPORT || rc == -EACCES);
}

/* Gone between look and removal. */
static bool is_gone(int rc)
{
	return rc == -ENOENT || rc == -ESRCH;
}

/*
 * Removes ours of one family but those to keep, and says which of these there
 * are; keep NULL: none. Rules first: they lead to the routes.
 */
static int sweep(struct mnl_socket *socket, uint8_t family, const struct sl_claims *own,
		 const struct rule keep[RULES], bool has_rule[RULES], bool *has_route)
{
	char buffer[256] __attribute__((aligned(4)));
	struct found found = {.count = 0};
	int rc;

	rc = find_rules(socket, family, &found);
	for (unsigned int i = 0; rc == 0 && i < found.count; i++) {
		bool kept = false;

		for (int k = 0; keep && k < RULES; k++) {
			if (is_same(&found.list[i], &keep[k]))
				kept = has_rule[k] = true;
		}
		if (!kept && !sl_claimed_by_other(own, SL_CLAIM_PRIORITY, found.list[i].priority))
			rc = ask(socket, put_rule(buffer, RTM_DELRULE, 0, family, &found.list[i]), NULL,
				 NULL);
		if (is_gone(rc))
			rc = 0;
	}
	if (rc < 0)
		return rc;

	found.count = 0;
	rc = find_routes(socket, family, &found);
	for (unsigned int i = 0; rc == 0 && i < found.count; i++) {
		if (keep && found.list[i].table == keep[RULES - 1].table)
			*has_route = true;
		else if (!sl_claimed_by_other(own, SL_CLAIM_TABLE, found.list[i].table))
			rc = ask(socket, put_route(buffer, RTM_DELROUTE, 0, family, found.list[i].table),
				 NULL, NULL);
		if (is_gone(rc))
			rc = 0;
	}
	return rc;
}

static int add_family(struct mnl_socket *socket, uint8_t family, const struct sl_route *route,
		      const struct sl_claims *own, uint32_t *added, struct sl_error *err)
{
	char buffer[256] __attribute__((aligned(4)));
	const char *version = family == AF_INET ? "IPv4" : "IPv6";
	bool has_rule[RULES] = {false}, has_route = false;
	struct rule rules[RULES];
	int rc;

	rules_of(route, rules);
	rc = sweep(socket, family, own, rules, has_rule, &has_route);
	/* the route before the rule that leads to it */
	if (rc == 0 && !has_route)
		rc = ask(socket,
			 put_route(buffer, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, family, route->table),
			 NULL, NULL);
	if (is_absent(family, rc))
		return 0;
	*added += rc == 0 && !has_route;
	if (rc == -EEXIST)
		return sl_error(err, EEXIST,
				"redirect.table: table %u has a default route of somebody else's for %s",
				route->table, version);
	if (rc == -ENETDOWN)
		return sl_error(err, ENETDOWN, "redirect: the interface lo is down");
	for (int i = 0; rc == 0 && i < RULES; i++) {
		if (has_rule[i])
			continue;
		rc = ask(socket, put_rule(buffer, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, family, &rules[i]),
			 NULL, NULL);
		*added += rc == 0;
		/* somebody else's rule with the same effect, which stays his */
		if (rc == -EEXIST)
			rc = 0;
	}
	return rc < 0 ? sl_error(err, -rc, "redirect: cannot set the %s route to the portal in table %u: %s",
				 version, route->table, strerror(-rc))
		      : 0;
}

int sl_route_claim(const struct sl_route *route, struct sl_claims *claims, struct sl_error *err)
{
	int rc = sl_claim(claims, SL_CLAIM_TABLE, route->table, "redirect.table", err);

	for (uint32_t i = 0; rc == 0 && i < RULES; i++)
		rc = sl_claim(claims, SL_CLAIM_PRIORITY, route->priority + i, "redirect.rule_priority", err);
	return rc;
}

int sl_route_add(const struct sl_route *route, const struct sl_claims *own, uint32_t *added,
		 struct sl_error *err)
{
	_cleanup_socket_ struct mnl_socket *socket = NULL;
	uint32_t count = 0;
	int rc;

	rc = open_socket(&socket, err);
	if (rc == 0)
		rc = add_family(socket, AF_INET, route, own, &count, err);
	if (rc == 0)
		rc = add_family(socket, AF_INET6, route, own, &count, err);
	if (rc == 0 && added)
		*added = count;
	return rc;
}

int sl_route_remove(const struct sl_claims *own, struct sl_error *err)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	_cleanup_socket_ struct mnl_socket *socket = NULL;
	int rc;

	rc = open_socket(&socket, err);
	for (size_t i = 0; rc == 0 && i < SL_ARRAY_SIZE(families); i++) {
		rc = sweep(socket, families[i], own, NULL, NULL, NULL);
		if (is_absent(families[i], rc))
			rc = 0;
		if (rc < 0)
			return sl_error(err, -rc, "redirect: cannot remove the routes to the portal: %s",
					strerror(-rc));
	}
	return rc;
}
