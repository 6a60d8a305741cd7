// SPDX-License-Identifier: Apache-2.0
#include "qos/netlink.h"

#include <assert.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define BATCH_SIZE (SL_NETLINK_ROOM + 4096u)
#define BATCH_LIMIT                                                                            \
	128u /* messages: should each of them fail, the answers fit the default receive buffer \
	      */
#define ANSWER_SIZE  65536u
#define MESSAGE_SIZE 256u /* of a failure's text */

struct sl_netlink {
	struct mnl_socket *socket;
	uint32_t port;
	uint32_t sequence; /* of the newest message */
	uint32_t first;	   /* of the oldest message in the batch */
	uint32_t messages; /* in the batch */
	size_t used;	   /* bytes before the newest message */
	struct nlmsghdr *newest;
	bool may_exist[BATCH_LIMIT]; /* by message of the batch */
	int failed;		     /* of batches sent because the buffer was full */
	char failure[MESSAGE_SIZE];
	char answer[ANSWER_SIZE];
	char batch[BATCH_SIZE] __attribute__((aligned(8)));
};

int sl_netlink_open(struct sl_netlink **out, struct sl_error *err)
{
	_cleanup_netlink_ struct sl_netlink *netlink = calloc(1, sizeof(*netlink));
	int on = 1;

	if (!netlink)
		return sl_error(err, ENOMEM, "netlink: no memory");
	netlink->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!netlink->socket)
		return sl_error(err, errno, "netlink: cannot open a socket: %s", strerror(errno));
	if (mnl_socket_bind(netlink->socket, 0, MNL_SOCKET_AUTOPID) < 0)
		return sl_error(err, errno, "netlink: cannot bind the socket: %s", strerror(errno));
	/* older kernels do without: the answers carry a number only, or the whole request */
	(void)mnl_socket_setsockopt(netlink->socket, NETLINK_EXT_ACK, &on, sizeof(on));
	(void)mnl_socket_setsockopt(netlink->socket, NETLINK_CAP_ACK, &on, sizeof(on));
	netlink->port = mnl_socket_get_portid(netlink->socket);
	netlink->sequence = (uint32_t)time(NULL);
	*out = SL_TAKE(netlink);
	return 0;
}

void sl_netlink_close(struct sl_netlink *netlink)
{
	if (!netlink)
		return;
	if (netlink->socket)
		mnl_socket_close(netlink->socket);
	free(netlink);
}

/* The newest message got its attributes since it was started: only now its length is known. */
static void seal(struct sl_netlink *netlink)
{
	if (!netlink->newest)
		return;
	netlink->used += MNL_ALIGN(netlink->newest->nlmsg_len);
	netlink->newest = NULL;
	assert(netlink->used <= BATCH_SIZE);
}

static void reset(struct sl_netlink *netlink)
{
	netlink->used = 0;
	netlink->messages = 0;
	netlink->newest = NULL;
}

static const char *kernel_words(const struct nlmsghdr *answer)
{
	const struct nlmsgerr *error = mnl_nlmsg_get_payload(answer);
	const struct nlattr *table[NLMSGERR_ATTR_MAX + 1];
	size_t header = sizeof(*error);

	if (!(answer->nlmsg_flags & NLM_F_ACK_TLVS))
		return NULL;
	if (!(answer->nlmsg_flags & NLM_F_CAPPED))
		header += error->msg.nlmsg_len - sizeof(error->msg);
	if (answer->nlmsg_len < NLMSG_HDRLEN + header ||
	    sl_netlink_attributes(answer, header, table, NLMSGERR_ATTR_MAX) < 0)
		return NULL;
	if (!table[NLMSGERR_ATTR_MSG] || mnl_attr_validate(table[NLMSGERR_ATTR_MSG], MNL_TYPE_NUL_STRING) < 0)
		return NULL;
	return mnl_attr_get_str(table[NLMSGERR_ATTR_MSG]);
}

static const char *verb(uint16_t type)
{
	switch (type) {
	case RTM_NEWQDISC:
		return "set qdisc";
	case RTM_DELQDISC:
		return "delete qdisc";
	case RTM_GETQDISC:
		return "read qdisc";
	case RTM_NEWTCLASS:
		return "set class";
	case RTM_DELTCLASS:
		return "delete class";
	case RTM_GETTCLASS:
		return "read classes of";
	default:
		return NULL;
	}
}

static const struct nlmsghdr *request(const struct sl_netlink *netlink, uint32_t sequence)
{
	const struct nlmsghdr *message = (const struct nlmsghdr *)netlink->batch;
	int left = (int)netlink->used;

	for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left))
		if (message->nlmsg_seq == sequence)
			return message;
	return NULL;
}

/* "set class 7ffe:5: Specified class not found: No such file or directory" */
static void describe(struct sl_netlink *netlink, const struct nlmsghdr *answer, int code)
{
	const struct nlmsghdr *message = request(netlink, answer->nlmsg_seq);
	const char *words = kernel_words(answer);
	const char *what = message ? verb(message->nlmsg_type) : NULL;
	char object[64] = "netlink request";

	if (what) {
		const struct tcmsg *tc = mnl_nlmsg_get_payload(message);
		uint32_t id = tc->tcm_handle ? tc->tcm_handle : tc->tcm_parent;

		if (id == TC_H_ROOT)
			snprintf(object, sizeof(object), "%s root", what);
		else
			snprintf(object, sizeof(object), "%s %x:%x", what, id >> 16, id & 0xffff);
	}
	snprintf(netlink->failure, sizeof(netlink->failure), "%s: %s%s%s", object, words ? words : "",
		 words ? ": " : "", strerror(-code));
}

static void remember(struct sl_netlink *netlink, const struct nlmsghdr *answer, int code)
{
	if (netlink->failed)
		return;
	netlink->failed = code;
	describe(netlink, answer, code);
}

static int io_failed(struct sl_netlink *netlink, int code, const char *what)
{
	if (!netlink->failed) {
		netlink->failed = -code;
		snprintf(netlink->failure, sizeof(netlink->failure), "netlink: %s: %s", what, strerror(code));
	}
	return netlink->failed;
}

/* One answer: 1 = it was the last one, 0 = more to come, -errno = stop. */
static int take_answer(struct sl_netlink *netlink, const struct nlmsghdr *answer, sl_netlink_object object,
		       void *data)
{
	const struct nlmsgerr *error = mnl_nlmsg_get_payload(answer);
	bool last = answer->nlmsg_seq == netlink->sequence;
	int code;

	/* an answer to something given up before */
	if (answer->nlmsg_seq - netlink->first >= netlink->messages)
		return 0;
	if (answer->nlmsg_flags & NLM_F_DUMP_INTR)
		io_failed(netlink, EINTR, "dump was interrupted");
	switch (answer->nlmsg_type) {
	case NLMSG_ERROR:
		if (mnl_nlmsg_get_payload_len(answer) < sizeof(*error))
			return io_failed(netlink, EBADMSG, "short answer");
		if (error->error &&
		    (error->error != -EEXIST || !netlink->may_exist[answer->nlmsg_seq - netlink->first]))
			remember(netlink, answer, error->error);
		return last;
	case NLMSG_DONE:
		if (mnl_nlmsg_get_payload_len(answer) >= sizeof(int) && error->error < 0)
			remember(netlink, answer, error->error);
		return last;
	case NLMSG_NOOP:
		return 0;
	default:
		if (!object || netlink->failed)
			return 0;
		/* the rest of a dump is read all the same: the socket has room for one dump at a time */
		code = object(answer, data);
		if (code < 0)
			io_failed(netlink, -code, "answer not understood");
		return 0;
	}
}

/* The kernel answers inside send() and, for a dump, inside each receive: nothing here ever waits. */
static int exchange(struct sl_netlink *netlink, sl_netlink_object object, void *data)
{
	if (mnl_socket_sendto(netlink->socket, netlink->batch, netlink->used) < 0)
		return io_failed(netlink, errno, "send");
	for (;;) {
		ssize_t size = mnl_socket_recvfrom(netlink->socket, netlink->answer, sizeof(netlink->answer));
		const struct nlmsghdr *answer = (const struct nlmsghdr *)netlink->answer;
		int left = (int)size;

		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0)
			return io_failed(netlink, errno == EAGAIN ? EIO : errno, "no answer");
		for (; mnl_nlmsg_ok(answer, left); answer = mnl_nlmsg_next(answer, &left)) {
			int result = take_answer(netlink, answer, object, data);

			if (result)
				return result;
		}
	}
}

static void flush(struct sl_netlink *netlink, sl_netlink_object object, void *data)
{
	struct nlmsghdr *last = netlink->newest;

	if (netlink->messages == 0)
		return;
	/*
	 * A message that fails is answered in any case: only the end of the batch
	 * needs a mark. A dump ends with its own. (NLM_F_REPLACE is one of its bits.)
	 */
	if ((last->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP)
		last->nlmsg_flags |= NLM_F_ACK;
	seal(netlink);
	exchange(netlink, object, data);
	reset(netlink);
}

struct nlmsghdr *sl_netlink_message(struct sl_netlink *netlink, uint16_t type, uint16_t flags, size_t room)
{
	struct nlmsghdr *message;
	size_t used = netlink->used + (netlink->newest ? MNL_ALIGN(netlink->newest->nlmsg_len) : 0);

	assert(room <= SL_NETLINK_ROOM);
	if (netlink->messages == BATCH_LIMIT || used + MNL_NLMSG_HDRLEN + room > BATCH_SIZE)
		flush(netlink, NULL, NULL);
	seal(netlink);
	message = mnl_nlmsg_put_header(netlink->batch + netlink->used);
	message->nlmsg_type = type;
	message->nlmsg_flags = NLM_F_REQUEST | flags;
	message->nlmsg_seq = ++netlink->sequence;
	message->nlmsg_pid = netlink->port;
	netlink->may_exist[netlink->messages] = false;
	if (netlink->messages++ == 0)
		netlink->first = message->nlmsg_seq;
	netlink->newest = message;
	return message;
}

void sl_netlink_may_exist(struct sl_netlink *netlink)
{
	netlink->may_exist[netlink->messages - 1] = true;
}

static int finish(struct sl_netlink *netlink, struct sl_error *err)
{
	int failed = netlink->failed;

	netlink->failed = 0;
	if (failed)
		return sl_error(err, -failed, "%s", netlink->failure);
	return 0;
}

int sl_netlink_commit(struct sl_netlink *netlink, struct sl_error *err)
{
	flush(netlink, NULL, NULL);
	return finish(netlink, err);
}

int sl_netlink_query(struct sl_netlink *netlink, sl_netlink_object object, void *data, struct sl_error *err)
{
	assert(netlink->messages == 1);
	flush(netlink, object, data);
	return finish(netlink, err);
}

struct attribute_table {
	const struct nlattr **entry;
	uint16_t max;
};

static int note_attribute(const struct nlattr *attribute, void *data)
{
	struct attribute_table *table = data;
	uint16_t type = mnl_attr_get_type(attribute);

	if (type <= table->max)
		table->entry[type] = attribute;
	return MNL_CB_OK;
}

int sl_netlink_attributes(const struct nlmsghdr *message, size_t header, const struct nlattr **entry,
			  uint16_t max)
{
	struct attribute_table table = {.entry = entry, .max = max};

	memset(entry, 0, (max + 1u) * sizeof(entry[0]));
	if (mnl_nlmsg_get_payload_len(message) < header)
		return -EBADMSG;
	return mnl_attr_parse(message, (unsigned int)header, note_attribute, &table) < 0 ? -EBADMSG : 0;
}

int sl_netlink_nested(const struct nlattr *nest, const struct nlattr **entry, uint16_t max)
{
	struct attribute_table table = {.entry = entry, .max = max};

	memset(entry, 0, (max + 1u) * sizeof(entry[0]));
	return mnl_attr_parse_nested(nest, note_attribute, &table) < 0 ? -EBADMSG : 0;
}
