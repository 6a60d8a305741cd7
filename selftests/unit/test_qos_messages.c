// SPDX-License-Identifier: Apache-2.0
/*
 * What is asked of the kernel for the queue of a class, attribute by attribute. The
 * test is the kernel: the two functions of libmnl that send and receive are its own.
 */
#include <errno.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "qos/htb.h"
#include "qos/shape.h"

#define MESSAGES 8

struct sent {
	uint16_t type, flags;
	uint32_t sequence;
	uint32_t handle;
	char kind[16];
	uint32_t option[TCA_FQ_CODEL_MAX + 1]; /* 0: it was not there */
};

static struct sent sent[MESSAGES];
static unsigned int sent_count, told;
static int answers[MESSAGES]; /* by message: 0 or -errno */

static int keep_option(const struct nlattr *attribute, void *data)
{
	struct sent *message = data;

	if (mnl_attr_get_type(attribute) <= TCA_FQ_CODEL_MAX &&
	    mnl_attr_get_payload_len(attribute) == sizeof(uint32_t))
		message->option[mnl_attr_get_type(attribute)] = mnl_attr_get_u32(attribute);
	return MNL_CB_OK;
}

ssize_t mnl_socket_sendto(const struct mnl_socket *socket, const void *buffer, size_t size)
{
	const struct nlmsghdr *message = buffer;
	const struct nlattr *table[TCA_MAX + 1];
	int left = (int)size;

	(void)socket;
	for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
		const struct tcmsg *tc = mnl_nlmsg_get_payload(message);
		struct sent *out = &sent[sent_count];

		assert_true(sent_count++ < MESSAGES);
		*out = (struct sent){message->nlmsg_type,
				     message->nlmsg_flags,
				     message->nlmsg_seq,
				     tc->tcm_handle,
				     "",
				     {0}};
		assert_int_equal(sl_netlink_attributes(message, sizeof(*tc), table, TCA_MAX), 0);
		strncpy(out->kind, mnl_attr_get_str(table[TCA_KIND]), sizeof(out->kind) - 1);
		if (strcmp(out->kind, "fq_codel") == 0)
			mnl_attr_parse_nested(table[TCA_OPTIONS], keep_option, out);
	}
	return (ssize_t)size;
}

/* As the kernel does: one answer for each message that failed, and one for the last. */
ssize_t mnl_socket_recvfrom(const struct mnl_socket *socket, void *buffer, size_t size)
{
	struct nlmsghdr *answer = mnl_nlmsg_put_header(buffer);
	struct nlmsgerr *error;

	(void)socket;
	(void)size;
	while (told + 1 < sent_count && !answers[told])
		told++;
	assert_true(told < sent_count);
	answer->nlmsg_type = NLMSG_ERROR;
	answer->nlmsg_flags = NLM_F_CAPPED;
	answer->nlmsg_seq = sent[told].sequence;
	error = mnl_nlmsg_put_extra_header(answer, sizeof(*error));
	error->error = answers[told++];
	return answer->nlmsg_len;
}

static int put(struct sl_htb_device device, enum sl_htb_put how, uint64_t rate, struct sl_error *err)
{
	const struct sl_htb_spec spec = {.minor = 0x20, .own_rate = 8000, .rate = rate};
	_cleanup_netlink_ struct sl_netlink *netlink = NULL;

	sent_count = told = 0;
	assert_int_equal(sl_netlink_open(&netlink, err), 0);
	sl_htb_put_class(netlink, &device, how, &spec);
	return sl_netlink_commit(netlink, err);
}

static const struct sl_htb_device codel = {
	.ifindex = 1, .name = "d0", .mtu = 1500, .link_header = 14, .queues = 1, .fq_codel = true};

static void an_fq_codel_is_made_with_few_flows_and_a_bound_by_its_rate(void **state)
{
	struct sl_error err;

	(void)state;
	memset(answers, 0, sizeof(answers));
	assert_int_equal(put(codel, SL_HTB_MAKE, 100000000, &err), 0);
	assert_int_equal(sent_count, 3);
	assert_int_equal(sent[0].type, RTM_NEWTCLASS);
	assert_int_equal(sent[1].type, RTM_NEWQDISC);
	assert_string_equal(sent[1].kind, "fq_codel");
	assert_int_equal(sent[1].handle, 0x20 << 16);
	assert_int_equal(sent[1].flags & (NLM_F_CREATE | NLM_F_EXCL | NLM_F_REPLACE),
			 NLM_F_CREATE | NLM_F_EXCL);
	assert_int_equal(sent[1].option[TCA_FQ_CODEL_FLOWS], 64);
	assert_int_equal(sent[1].option[TCA_FQ_CODEL_MEMORY_LIMIT], 5000000);
	assert_int_equal(sent[1].option[TCA_FQ_CODEL_TARGET], 5000);
	assert_int_equal(sent[1].option[TCA_FQ_CODEL_INTERVAL], 100000);
	/* then, as nobody knows whether it was there: all but what only a new one takes */
	assert_int_equal(sent[2].flags & (NLM_F_CREATE | NLM_F_EXCL | NLM_F_REPLACE),
			 NLM_F_CREATE | NLM_F_REPLACE);
	assert_int_equal(sent[2].option[TCA_FQ_CODEL_FLOWS], 0);
	assert_int_equal(sent[2].option[TCA_FQ_CODEL_MEMORY_LIMIT], 5000000);
}

static void an_fq_codel_that_exists_is_no_failure_and_every_other_refusal_is(void **state)
{
	struct sl_error err = {""};

	(void)state;
	memset(answers, 0, sizeof(answers));
	answers[1] = -EEXIST;
	assert_int_equal(put(codel, SL_HTB_MAKE, 1000000, &err), 0);
	answers[1] = -ENOMEM;
	assert_int_equal(put(codel, SL_HTB_MAKE, 1000000, &err), -ENOMEM);
	answers[1] = 0;
	answers[2] = -EEXIST;
	assert_int_equal(put(codel, SL_HTB_MAKE, 1000000, &err), -EEXIST);
	assert_string_equal(err.text, "set qdisc 20:0: File exists");
	/* of the class, too */
	answers[0] = -EEXIST;
	answers[2] = 0;
	assert_int_equal(put(codel, SL_HTB_MAKE, 1000000, &err), -EEXIST);
}

static void a_change_of_rate_changes_the_bound_and_no_number_of_flows(void **state)
{
	struct sl_error err;

	(void)state;
	memset(answers, 0, sizeof(answers));
	assert_int_equal(put(codel, SL_HTB_CHANGE, 1000000, &err), 0);
	assert_int_equal(sent_count, 2);
	assert_int_equal(sent[1].flags & (NLM_F_CREATE | NLM_F_EXCL | NLM_F_REPLACE), 0);
	assert_int_equal(sent[1].option[TCA_FQ_CODEL_MEMORY_LIMIT], 256 << 10);
	assert_int_equal(sent[1].option[TCA_FQ_CODEL_FLOWS], 0);
}

static void without_fq_codel_the_queue_is_one_message(void **state)
{
	struct sl_htb_device fifo = codel;
	struct sl_error err;

	(void)state;
	memset(answers, 0, sizeof(answers));
	fifo.fq_codel = false;
	assert_int_equal(put(fifo, SL_HTB_MAKE, 1000000, &err), 0);
	assert_int_equal(sent_count, 2);
	assert_string_equal(sent[1].kind, "tbf");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_fq_codel_is_made_with_few_flows_and_a_bound_by_its_rate),
		cmocka_unit_test(an_fq_codel_that_exists_is_no_failure_and_every_other_refusal_is),
		cmocka_unit_test(a_change_of_rate_changes_the_bound_and_no_number_of_flows),
		cmocka_unit_test(without_fq_codel_the_queue_is_one_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
