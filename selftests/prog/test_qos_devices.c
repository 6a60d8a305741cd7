// SPDX-License-Identifier: Apache-2.0
/*
 * Devices that go and come back, qdiscs that somebody takes away, dumps that the
 * kernel begins anew: rates and counts outlive them.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <libmnl/libmnl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "qos_links.h"
#include "sluice/limits.h"

#define UP   SLUICE_UPLINK
#define MANY 1024u

/* --- the kernel's answers, with a dump said to be interrupted in its last message ------------- */

static int interruptions;

/* In the place of libmnl's own. */
ssize_t mnl_socket_recvfrom(const struct mnl_socket *socket, void *buffer, size_t size)
{
	ssize_t got = recv(mnl_socket_get_fd(socket), buffer, size, 0);
	struct nlmsghdr *answer = buffer;
	int left = (int)got;

	for (; got > 0 && mnl_nlmsg_ok(answer, left); answer = mnl_nlmsg_next(answer, &left)) {
		if (!interruptions || answer->nlmsg_type != NLMSG_DONE)
			continue;
		answer->nlmsg_flags |= NLM_F_DUMP_INTR;
		interruptions--;
	}
	return got;
}

/* --- what the tests do ------------------------------------------------------------------------- */

static void add_link(const char *name)
{
	char command[256];

	snprintf(command, sizeof(command),
		 "ip link add %s type veth peer name %sp && ip link set %s up && ip link set %sp up", name,
		 name, name, name);
	qos_shell(command);
}

static void add_route(void)
{
	qos_shell("ip addr add 10.9.0.1/24 dev up0 && "
		  "ip neigh add 10.9.0.2 lladdr 02:00:00:00:00:02 dev up0 nud permanent");
}

static uint32_t audit(struct sl_qos *qos)
{
	struct sl_qos_audit done;
	struct sl_error err = {""};
	uint32_t repairs = 0;
	int code = 0;

	for (unsigned int i = 0; (code = sl_qos_audit(qos, i, &done, &err)) == 0; i++)
		repairs += done.repairs;
	if (code != -ENOENT)
		fail_msg("%s", err.text);
	return repairs;
}

static void send_to(uint16_t minor, unsigned int packets)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int priority = SLUICE_HTB_MAJOR << 16 | minor;
	const char payload[72] = "";

	assert_true(fd >= 0);
	inet_pton(AF_INET, "10.9.0.2", &to.sin_addr);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_PRIORITY, &priority, sizeof(priority)), 0);
	for (unsigned int i = 0; i < packets; i++)
		assert_int_equal(sendto(fd, payload, sizeof(payload), 0, (struct sockaddr *)&to, sizeof(to)),
				 sizeof(payload));
	close(fd);
}

/* Of the only class in use. */
static uint64_t packets_of(struct sl_qos *qos, uint16_t minor)
{
	struct sl_qos_class_stats stats[2];
	struct sl_error err = {""};
	int count = sl_qos_read_stats(qos, UP, stats, 2, &err);

	if (count < 0)
		fail_msg("%s", err.text);
	assert_int_equal(count, 1);
	assert_int_equal(stats[0].minor, minor);
	return stats[0].sent_packets;
}

static uint64_t packets_of_all(struct sl_qos *qos)
{
	struct sl_qos_class_stats total;
	struct sl_error err = {""};

	if (sl_qos_read_total(qos, UP, &total, &err) < 0)
		fail_msg("%s", err.text);
	return total.sent_packets;
}

static uint16_t class_of(struct sl_qos *qos, uint64_t rate)
{
	struct sl_error err = {""};
	uint16_t minor = 0;

	if (sl_qos_assign(qos, UP, MBR(rate), &minor, &err) < 0)
		fail_msg("%s", err.text);
	return minor;
}

/* --- rates ------------------------------------------------------------------------------------- */

static void
classes_are_asked_for_and_changed_while_a_device_is_gone_and_are_on_it_when_it_is_back(void **state)
{
	struct sl_qos_config config = qos_config_of(POOL, "up0", "up1", NULL);
	uint16_t before, changed, asked, tree;
	struct sl_error err = {""};
	struct sl_qos *qos;

	(void)state;
	config.trees = 2;
	qos = qos_open(&config);
	qos_build_all(qos);
	before = class_of(qos, 2 * MBIT);
	changed = class_of(qos, 2 * MBIT);
	qos_shell("ip link del up1");
	assert_int_equal(sl_qos_change(qos, UP, changed, MBR(MBIT), &err), 0);
	asked = class_of(qos, 3 * MBIT);
	assert_int_equal(sl_qos_tree_assign(qos, UP, 5 * MBIT, &tree, &err), 0);
	assert_int_equal(sl_qos_rates(qos, UP, changed).mbr, MBIT);
	assert_int_equal(qos_rate_on("up0", asked), 3 * MBIT);
	assert_int_equal(audit(qos), 0);
	add_link("up1");
	assert_true(audit(qos) > 0);
	assert_int_equal(qos_rate_on("up1", before), 2 * MBIT);
	assert_int_equal(qos_rate_on("up1", changed), MBIT);
	assert_int_equal(qos_rate_on("up1", asked), 3 * MBIT);
	assert_int_equal(qos_rate_on("up1", tree), 5 * MBIT);
	assert_int_equal(audit(qos), 0);
	sl_qos_close(qos);
}

static void a_pool_is_built_while_a_device_is_gone(void **state)
{
	struct sl_qos_config config = qos_config_of(POOL, "up0", "up1", NULL);
	struct sl_qos *qos = qos_open(&config);

	(void)state;
	qos_shell("ip link del up1");
	qos_build_all(qos);
	add_link("up1");
	assert_true(audit(qos) > 0);
	assert_int_equal(qos_look("up1")->with_leaf, POOL + 1);
	sl_qos_close(qos);
}

static void a_class_in_use_whose_rate_is_not_known_is_repaired(void **state)
{
	struct sl_qos_config config = qos_config_of(POOL, "up0", "up1", NULL);
	struct sl_qos *qos = qos_open(&config);
	struct sl_error err = {""};
	uint16_t minor;

	(void)state;
	qos_build_all(qos);
	minor = class_of(qos, 2 * MBIT);
	/* another's qdisc: neither the change nor the way back is possible there */
	qos_shell("tc qdisc del dev up1 root && tc qdisc add dev up1 root handle 7000: pfifo");
	assert_true(sl_qos_change(qos, UP, minor, MBR(MBIT), &err) < 0);
	assert_int_equal(sl_qos_rates(qos, UP, minor).mbr, 0);
	qos_shell("tc qdisc del dev up1 root");
	assert_true(audit(qos) > 0);
	assert_int_equal(qos_rate_on("up0", minor), 2 * MBIT);
	assert_int_equal(qos_rate_on("up1", minor), 2 * MBIT);
	sl_qos_close(qos);
}

/* --- counts ------------------------------------------------------------------------------------ */

static void no_count_goes_back_when_a_device_is_made_anew(void **state)
{
	struct sl_qos_config config = qos_config_of(POOL, "up0", "up1", NULL);
	struct sl_qos *qos = qos_open(&config);
	uint64_t all;
	uint16_t minor;

	(void)state;
	qos_build_all(qos);
	minor = class_of(qos, 100 * MBIT);
	send_to(minor, 20);
	assert_int_equal(packets_of(qos, minor), 20);
	all = packets_of_all(qos);
	assert_true(all >= 20);
	qos_shell("ip link del up0");
	assert_int_equal(packets_of(qos, minor), 20);
	add_link("up0");
	assert_true(audit(qos) > 0);
	add_route();
	assert_int_equal(packets_of(qos, minor), 20);
	assert_true(packets_of_all(qos) >= all);
	send_to(minor, 5);
	assert_int_equal(packets_of(qos, minor), 25);
	assert_true(packets_of_all(qos) >= all + 5);
	sl_qos_close(qos);
}

static void no_count_goes_back_or_is_lost_when_the_audit_renews_a_qdisc(void **state)
{
	struct sl_qos_config config = qos_config_of(POOL, "up0", NULL, NULL);
	struct sl_qos *qos = qos_open(&config);
	uint64_t all;
	uint16_t minor;

	(void)state;
	qos_build_all(qos);
	minor = class_of(qos, 100 * MBIT);
	send_to(minor, 20);
	all = packets_of_all(qos);
	/* after the last look at the counts */
	send_to(minor, 7);
	qos_shell("tc qdisc del dev up0 parent 7ffe:2 && tc qdisc add dev up0 parent 7ffe:2 handle 2: pfifo");
	assert_true(audit(qos) > 0);
	assert_true(strcmp(qos_look("up0")->root.leaf, "pfifo") != 0);
	assert_int_equal(qos_look("up0")->class[minor].sent_packets, 0);
	assert_int_equal(packets_of(qos, minor), 27);
	assert_true(packets_of_all(qos) >= all + 7);
	sl_qos_close(qos);
}

static void a_qdisc_that_is_renewed_goes_in_chunks(void **state)
{
	struct sl_qos_config config = qos_config_of(MANY, "up0", NULL, NULL);
	struct sl_qos *qos = qos_open(&config);
	struct sl_qos_removal removal;

	(void)state;
	qos_build_all(qos);
	qos_shell("tc qdisc del dev up0 parent 7ffe:2 && tc qdisc add dev up0 parent 7ffe:2 handle 2: pfifo");
	assert_true(audit(qos) > 0);
	assert_true(strcmp(qos_look("up0")->root.leaf, "pfifo") != 0);
	sl_qos_removal(qos, &removal);
	assert_int_equal(removal.classes, MANY);
	assert_true(removal.chunks >= MANY / 64);
	print_message("%u classes: longest of %u chunks %.2f ms, qdisc %.2f ms\n", MANY, removal.chunks,
		      (double)removal.longest_ns / 1e6, (double)removal.qdisc_ns / 1e6);
	sl_qos_close(qos);
}

static void a_dump_that_is_interrupted_counts_each_class_once(void **state)
{
	struct sl_qos_config config = qos_config_of(POOL, "up0", NULL, NULL);
	struct sl_qos *qos = qos_open(&config), *next;
	uint16_t minor;

	(void)state;
	qos_build_all(qos);
	minor = class_of(qos, 100 * MBIT);
	send_to(minor, 20);
	interruptions = 2;
	assert_int_equal(packets_of(qos, minor), 20);
	assert_int_equal(interruptions, 0);
	/* a start that looks for what is there: no class is on more devices than there are */
	qos_shell("tc class del dev up0 classid 7ffe:2f");
	interruptions = 2;
	next = qos_open(&config);
	assert_int_equal(interruptions, 0);
	assert_int_equal(sl_qos_adopt(next, UP, minor, MBR(100 * MBIT), NULL), 0);
	qos_build_all(next);
	assert_int_equal(qos_look("up0")->with_leaf, POOL + 1);
	sl_qos_close(next);
	sl_qos_close(qos);
}

static void a_dump_that_is_always_interrupted_is_an_error_and_no_count(void **state)
{
	struct sl_qos_config config = qos_config_of(POOL, "up0", NULL, NULL);
	struct sl_qos *qos = qos_open(&config);
	struct sl_qos_class_stats stats[2];
	struct sl_error err = {""};
	uint16_t minor;

	(void)state;
	qos_build_all(qos);
	minor = class_of(qos, 100 * MBIT);
	send_to(minor, 20);
	interruptions = 1000;
	assert_int_equal(sl_qos_read_stats(qos, UP, stats, 2, &err), -EINTR);
	interruptions = 0;
	assert_non_null(strstr(err.text, "interface up0"));
	assert_int_equal(packets_of(qos, minor), 20);
	sl_qos_close(qos);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		QOS_TEST(
			classes_are_asked_for_and_changed_while_a_device_is_gone_and_are_on_it_when_it_is_back),
		QOS_TEST(a_pool_is_built_while_a_device_is_gone),
		QOS_TEST(a_class_in_use_whose_rate_is_not_known_is_repaired),
		QOS_TEST(no_count_goes_back_when_a_device_is_made_anew),
		QOS_TEST(no_count_goes_back_or_is_lost_when_the_audit_renews_a_qdisc),
		QOS_TEST(a_qdisc_that_is_renewed_goes_in_chunks),
		QOS_TEST(a_dump_that_is_interrupted_counts_each_class_once),
		QOS_TEST(a_dump_that_is_always_interrupted_is_an_error_and_no_count),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, qos_make_namespace, NULL);
}
