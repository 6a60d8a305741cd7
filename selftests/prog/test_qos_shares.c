// SPDX-License-Identifier: Apache-2.0
/* alone: rates are measured on the wire */
/*
 * Q2: classes of the pool that are all busy at the same time share 200 Mbit/s
 * equally, 1 to 1,000 of them. Packets choose their class by SO_PRIORITY; what arrived
 * is counted by the kernel's receive times at the far end. Judged over two seconds
 * after the burst, beside the same load without a limit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "qos/qos.h"
#include "qos_links.h"
#include "sluice/limits.h"

#define CLASSES	   1000u
#define TOTAL	   (200 * MBIT)
#define SIZE	   1250 /* IP bytes */
#define HEADERS	   28
#define FIRST_PORT 10000u
#define WINDOW_NS  2000000000
#define SETTLE_NS  1500000000
#define TRIES	   6
#define SLOT_NS	   1000000 /* the sender's */

/* --- load: every class its share, and a third more --- */

struct load {
	pthread_t thread;
	int socket[CLASSES];
	unsigned int classes;
	bool stop;
};

static int64_t clock_ns(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void *offer(void *data)
{
	static const uint8_t payload[SIZE - HEADERS];
	const double packets_per_ns = TOTAL * 1.3 / 8 / SIZE / 1e9;
	struct load *load = data;
	int64_t start = clock_ns(CLOCK_MONOTONIC), due = start;
	uint64_t sent = 0;

	while (!__atomic_load_n(&load->stop, __ATOMIC_RELAXED)) {
		const struct timespec until = {.tv_sec = due / 1000000000, .tv_nsec = due % 1000000000};
		int64_t now;
		uint64_t target;

		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
		now = clock_ns(CLOCK_MONOTONIC);
		target = (uint64_t)((double)(now - start) * packets_per_ns);
		/* what a long absence would make up for at once, no queue would take */
		if (target - sent > 20 * CLASSES)
			sent = target - 20 * CLASSES;
		for (; sent < target; sent++)
			/* a full queue is what is to be */
			send(load->socket[sent % load->classes], payload, sizeof(payload), MSG_DONTWAIT);
		due = now + SLOT_NS;
	}
	return NULL;
}

static void load_start(struct load *load, const uint16_t *minor, unsigned int classes)
{
	*load = (struct load){.classes = classes};
	for (unsigned int i = 0; i < classes; i++) {
		struct sockaddr_in to = {.sin_family = AF_INET,
					 .sin_port = htons((uint16_t)(FIRST_PORT + i))};
		int priority = SLUICE_HTB_MAJOR << 16 | (minor ? minor[i] : SLUICE_HTB_DEFAULT_MINOR),
		    space = 1 << 20;

		load->socket[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		assert_true(load->socket[i] >= 0);
		inet_pton(AF_INET, "10.9.0.2", &to.sin_addr);
		assert_int_equal(
			setsockopt(load->socket[i], SOL_SOCKET, SO_PRIORITY, &priority, sizeof(priority)), 0);
		assert_int_equal(
			setsockopt(load->socket[i], SOL_SOCKET, SO_SNDBUFFORCE, &space, sizeof(space)), 0);
		assert_int_equal(connect(load->socket[i], (struct sockaddr *)&to, sizeof(to)), 0);
	}
	assert_int_equal(pthread_create(&load->thread, NULL, offer, load), 0);
}

static void load_stop(struct load *load)
{
	__atomic_store_n(&load->stop, true, __ATOMIC_RELAXED);
	pthread_join(load->thread, NULL);
	for (unsigned int i = 0; i < load->classes; i++)
		close(load->socket[i]);
}

/* --- what arrives --- */

static int open_far_end(void)
{
	struct sockaddr_ll local = {.sll_family = AF_PACKET,
				    .sll_protocol = htons(ETH_P_IP),
				    .sll_ifindex = (int)if_nametoindex("up0p")};
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0), on = 1, space = 256 << 20;

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &space, sizeof(space)), 0);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&local, sizeof(local)), 0);
	return fd;
}

struct window {
	uint64_t bytes, of[CLASSES];
};

/* The class of the next packet and when the kernel received it. */
static unsigned int next_packet(int fd, int64_t *at)
{
	for (;;) {
		uint8_t headers[HEADERS];
		struct iovec part = {.iov_base = headers, .iov_len = sizeof(headers)};
		char control[CMSG_SPACE(sizeof(struct timespec))];
		struct msghdr message = {.msg_iov = &part,
					 .msg_iovlen = 1,
					 .msg_control = control,
					 .msg_controllen = sizeof(control)};
		ssize_t length = recvmsg(fd, &message, 0);
		const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		struct timespec time;
		unsigned int port;

		if (length < 0 && errno == EINTR)
			continue;
		assert_true(length == HEADERS && header && header->cmsg_type == SCM_TIMESTAMPNS);
		port = (unsigned int)headers[22] << 8 | headers[23];
		if (headers[9] != IPPROTO_UDP || port < FIRST_PORT || port >= FIRST_PORT + CLASSES)
			continue;
		memcpy(&time, CMSG_DATA(header), sizeof(time));
		*at = (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
		return port - FIRST_PORT;
	}
}

static void observe(int fd, int64_t settle, struct window *window)
{
	int64_t begin, at = 0;
	unsigned int class;

	memset(window, 0, sizeof(*window));
	begin = clock_ns(CLOCK_REALTIME) + settle;
	for (;;) {
		class = next_packet(fd, &at);
		if (at >= begin + WINDOW_NS)
			break;
		if (at < begin)
			continue;
		window->bytes += SIZE;
		window->of[class] += SIZE;
	}
}

/* How far the worst class is beyond its due, in bytes; *total: of all together, as a share. */
static double worst_class(const struct window *window, unsigned int classes, double *total)
{
	const double due = (double)TOTAL / classes / 8 * WINDOW_NS / 1e9;
	const double allowed = due / 100 > SIZE ? due / 100 : SIZE;
	double worst = 0;

	*total = (double)window->bytes * 8 / ((double)TOTAL * WINDOW_NS / 1e9) - 1;
	for (unsigned int i = 0; i < classes; i++) {
		double off = (double)window->of[i] - due;

		off = (off < 0 ? -off : off) - allowed;
		worst = i == 0 || off > worst ? off : worst;
	}
	return worst;
}

static void share(struct sl_qos *qos, int fd, unsigned int classes)
{
	const struct sl_qos_rates rates = {.mbr = TOTAL / classes};
	static uint16_t minor[CLASSES];
	struct tpacket_stats missed = {0};
	socklen_t size = sizeof(missed);
	struct window window;
	struct load load;
	double total = 0, worst = 0;
	int tries;

	for (unsigned int i = 0; i < classes; i++)
		assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, &rates, &minor[i], NULL), 0);
	load_start(&load, minor, classes);
	for (tries = 0; tries < TRIES; tries++) {
		observe(fd, tries ? 0 : SETTLE_NS, &window);
		worst = worst_class(&window, classes, &total);
		print_message(
			"%u classes: total %+.3f %%, the worst class is %.0f bytes %s what is allowed\n",
			classes, total * 100, worst < 0 ? -worst : worst, worst > 0 ? "beyond" : "within");
		/* somebody else's load can take a queue's turn away, but gives nobody more: no second try */
		if (total > 0.002)
			break;
		if (total >= -0.002 && worst <= 0)
			break;
	}
	load_stop(&load);
	for (unsigned int i = 0; i < classes; i++)
		sl_qos_release(qos, SLUICE_UPLINK, minor[i]);
	getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &missed, &size);
	assert_int_equal(missed.tp_drops, 0);
	if (total > 0.002 || total < -0.002 || worst > 0)
		fail_msg("%u classes: total %+.3f %%, a class %.0f bytes beyond what is allowed", classes,
			 total * 100, worst);
}

static void q2_busy_classes_have_their_rate_to_a_percent_and_all_together_to_a_fifth(void **state)
{
	static const unsigned int classes[] = {1, 10, 100, CLASSES};
	struct sl_qos_config config = qos_config_of(CLASSES, "up0", NULL, NULL);
	struct sl_qos *qos = qos_open(&config);
	_cleanup_fd_ int fd = open_far_end();
	struct window window;
	struct load load;

	(void)state;
	qos_build_all(qos);
	/* in the default class, which has the link's rate */
	load_start(&load, NULL, 10);
	observe(fd, 0, &window);
	load_stop(&load);
	if (window.bytes < TOTAL / 8 * 2 * 1.1)
		fail_msg("without a limit only %.0f Mbit/s: this machine cannot tell",
			 window.bytes * 4 / 1e6);
	for (size_t i = 0; i < SL_ARRAY_SIZE(classes); i++)
		share(qos, fd, classes[i]);
	assert_true(qos_tool_says("tc -s qdisc show dev up0", "direct_packets_stat 0 "));
	sl_qos_close(qos);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		QOS_TEST(q2_busy_classes_have_their_rate_to_a_percent_and_all_together_to_a_fifth),
	};
	struct rlimit files = {.rlim_cur = 4096, .rlim_max = 4096};

	setrlimit(RLIMIT_NOFILE, &files);
	return cmocka_run_group_tests(tests, qos_make_namespace, NULL);
}
