// SPDX-License-Identifier: Apache-2.0
/* alone: rates are measured on the wire */
/*
 * Real traffic through the queues. Packets choose their class by SO_PRIORITY, so
 * no BPF program is needed; what arrived is read from the far end's own
 * counters, not from HTB's.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "qos/qos.h"
#include "qos_links.h"
#include "sluice/limits.h"

#define TRIES	  4
#define TOLERANCE 0.02

static double now(void)
{
	return qos_clock(CLOCK_MONOTONIC);
}

struct arrived {
	uint64_t bytes, packets;
};

static struct arrived read_arrived(const char *name)
{
	_cleanup_file_ FILE *file = fopen("/proc/thread-self/net/dev", "re");
	struct arrived arrived = {0};
	char line[512];

	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		char *colon = strchr(line, ':');
		const char *start = line + strspn(line, " ");
		char *end;

		if (!colon || strncmp(start, name, strlen(name)) != 0 || start + strlen(name) != colon)
			continue;
		arrived.bytes = strtoull(colon + 1, &end, 10);
		arrived.packets = strtoull(end, NULL, 10);
	}
	return arrived;
}

static int sender(uint16_t minor)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int priority = SLUICE_HTB_MAJOR << 16 | minor, space = 4 << 20;

	assert_true(fd >= 0);
	inet_pton(AF_INET, "10.9.0.2", &to.sin_addr);
	if (minor)
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_PRIORITY, &priority, sizeof(priority)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &space, sizeof(space)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

/* Offers packets of `size` IP bytes at `rate` until the time is up. */
static void offer(int fd, size_t size, uint64_t rate, double seconds)
{
	static const char payload[1500];
	double start = now();
	uint64_t sent = 0;

	for (double passed = 0; passed < seconds; passed = now() - start) {
		uint64_t due = (uint64_t)(passed * (double)rate / 8 / (double)size);

		/* what a stall missed is not made up for */
		if (due > sent + 200)
			sent = due - 200;
		for (; sent < due; sent++)
			(void)send(fd, payload, size - 28, 0);
		usleep(500);
	}
}

/* The rate at IP level that reaches the far end, by the far end's own counters. */
static double reached(uint16_t minor, size_t size, uint64_t offered, double seconds)
{
	_cleanup_fd_ int fd = sender(minor);
	struct arrived before, after;
	double start, end;

	offer(fd, size, offered, 0.5);
	start = now();
	before = read_arrived("up0p");
	offer(fd, size, offered, seconds);
	after = read_arrived("up0p");
	end = now();
	return 8 * (double)(after.bytes - before.bytes - 14 * (after.packets - before.packets)) /
	       (end - start);
}

static void the_rate_asked_is_the_rate_of_ip_bytes_reached(void **state)
{
	static const struct {
		uint64_t rate;
		size_t size;
	} cases[] = {{MBIT, 1500}, {10 * MBIT, 1500}, {100 * MBIT, 1500}, {10 * MBIT, 200}, {2 * MBIT, 64}};
	struct sl_qos_config config = qos_config_of(POOL, "up0", NULL, NULL);
	struct sl_qos *qos = qos_open(&config);

	(void)state;
	qos_build_all(qos);
	for (unsigned int i = 0; i < SL_ARRAY_SIZE(cases); i++) {
		double asked = (double)cases[i].rate, got = 0;
		uint16_t minor;

		assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, MBR(cases[i].rate), &minor, NULL), 0);
		/* a neighbour on the machine can starve the sender, but nothing makes a class too fast */
		for (int tries = 0; tries < TRIES && got < asked * (1 - TOLERANCE); tries++) {
			got = reached(minor, cases[i].size, cases[i].rate * 14 / 10, 3);
			print_message("packets of %zu: asked %.3f Mbit/s, reached %.3f Mbit/s (%+.2f %%)\n",
				      cases[i].size, asked / 1e6, got / 1e6, (got / asked - 1) * 100);
			assert_true(got < asked * (1 + TOLERANCE));
		}
		assert_true(got > asked * (1 - TOLERANCE));
		sl_qos_release(qos, SLUICE_UPLINK, minor);
	}
	assert_int_equal(qos_look("up0")->root.direct_packets, 0);
	sl_qos_close(qos);
}

/*
 * A connection that is forwarded, in super-packets as veth and GRO make them:
 *
 *	[sender] down0p -- down0 [this process forwards] up0 -- up0p [receiver]
 */
static void receive_stream(int ready, int result)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(5001)};
	int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), stream;
	static char data[1 << 16];
	double start, end;
	uint64_t bytes = 0;
	ssize_t size;

	if (bind(server, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(server, 1) < 0 ||
	    write(ready, "", 1) != 1)
		_exit(1);
	stream = accept(server, NULL, NULL);
	for (start = now(); now() - start < 1;)
		if (read(stream, data, sizeof(data)) <= 0)
			_exit(1);
	for (start = end = now(); end - start < 3; end = now()) {
		size = read(stream, data, sizeof(data));
		if (size <= 0)
			_exit(1);
		bytes += (uint64_t)size;
	}
	/* 1,448 bytes of each 1,500 are payload */
	double rate = 8 * (double)bytes * 1500 / 1448 / (end - start);

	_exit(write(result, &rate, sizeof(rate)) != sizeof(rate));
}

static void send_stream(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(5001)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	static const char data[1 << 16];

	inet_pton(AF_INET, "10.9.0.2", &to.sin_addr);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		_exit(1);
	signal(SIGPIPE, SIG_IGN);
	while (send(fd, data, sizeof(data), 0) > 0)
		;
	_exit(0);
}

/* A child in a namespace of its own that goes on when a byte comes through `go`. */
static pid_t child(const char *device, const char *commands, const int *go, void (*work)(int, int), int ready,
		   int result)
{
	int made[2];
	char command[256], byte;
	pid_t pid;

	assert_int_equal(pipe2(made, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (unshare(CLONE_NEWNET) < 0 || write(made[1], "", 1) != 1 || read(go[0], &byte, 1) != 1 ||
		    system(commands) != 0)
			_exit(1);
		work(ready, result);
	}
	close(made[1]);
	assert_int_equal(read(made[0], &byte, 1), 1);
	close(made[0]);
	snprintf(command, sizeof(command), "ip link set %s netns %d", device, (int)pid);
	qos_shell(command);
	return pid;
}

static void send_when_told(int ready, int result)
{
	(void)ready;
	(void)result;
	send_stream();
}

static double stream_rate(void)
{
	int go_receiver[2], go_sender[2], ready[2], result[2];
	double rate = 0;
	_cleanup_fd_ int kept = -1; /* up0 goes with its peer's namespace, that with the receiver */
	pid_t receiver, sending;
	char byte, path[64];

	assert_int_equal(pipe2(go_receiver, O_CLOEXEC) | pipe2(go_sender, O_CLOEXEC) |
				 pipe2(ready, O_CLOEXEC) | pipe2(result, O_CLOEXEC),
			 0);
	receiver = child("up0p",
			 "ip addr add 10.9.0.2/24 dev up0p && ip link set up0p up && "
			 "ip route add default via 10.9.0.1",
			 go_receiver, receive_stream, ready[1], result[1]);
	sending = child("down0p",
			"ip addr add 10.8.0.2/24 dev down0p && ip link set down0p up && "
			"ip route add default via 10.8.0.1",
			go_sender, send_when_told, -1, -1);
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)receiver);
	kept = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(kept >= 0);
	close(ready[1]);
	close(result[1]);
	assert_int_equal(write(go_receiver[1], "", 1), 1);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(write(go_sender[1], "", 1), 1);
	assert_int_equal(read(result[0], &rate, sizeof(rate)), sizeof(rate));
	kill(sending, SIGKILL);
	waitpid(sending, NULL, 0);
	waitpid(receiver, NULL, 0);
	assert_int_equal(qos_look("up0")->root.direct_packets, 0);
	for (int i = 0; i < 2; i++) {
		close(go_receiver[i]);
		close(go_sender[i]);
	}
	close(ready[0]);
	close(result[0]);
	return rate;
}

static void a_forwarded_connection_in_super_packets_reaches_a_low_rate(void **state)
{
	const double asked = 3 * MBIT;
	double got = 0;

	(void)state;
	for (int tries = 0; tries < TRIES && got < asked * 0.95; tries++) {
		struct sl_qos_config config;

		qos_remove_links(NULL);
		qos_make_links(NULL);
		qos_shell("ip neigh del 10.9.0.2 dev up0 && ip addr add 10.8.0.1/24 dev down0 && "
			  "echo 1 > /proc/sys/net/ipv4/ip_forward");
		config = qos_config_of(POOL, "up0", NULL, NULL);
		config.default_rate = 3 * MBIT;
		sl_qos_close(qos_open(&config));
		got = stream_rate();
		print_message("one connection: asked %.3f Mbit/s, reached %.3f Mbit/s (%+.2f %%)\n",
			      asked / 1e6, got / 1e6, (got / asked - 1) * 100);
		assert_true(got < asked * (1 + TOLERANCE));
	}
	assert_true(got > asked * 0.95);
}

static void what_has_no_class_goes_through_the_default_class_and_never_the_direct_queue(void **state)
{
	struct sl_qos_config config = qos_config_of(POOL, "up0", NULL, NULL);
	struct sl_qos *qos;
	uint32_t before;

	(void)state;
	config.default_rate = 10 * MBIT;
	qos = qos_open(&config);
	qos_build_all(qos);
	before = qos_look("up0")->class[SLUICE_HTB_DEFAULT_MINOR].sent_packets;
	assert_true(reached(0, 1500, 14 * MBIT, 1) < 10 * MBIT * (1 + TOLERANCE));
	/* a class that was never made is treated like no class */
	assert_true(reached(0x7000, 1500, 14 * MBIT, 1) < 10 * MBIT * (1 + TOLERANCE));
	assert_true(qos_look("up0")->class[SLUICE_HTB_DEFAULT_MINOR].sent_packets - before > 1000);
	assert_int_equal(qos_look("up0")->root.direct_packets, 0);
	sl_qos_close(qos);
}

static void a_class_that_was_idle_or_released_sends_at_its_new_rate_at_once(void **state)
{
	struct sl_qos_config config = qos_config_of(1, "up0", NULL, NULL);
	struct sl_qos *qos = qos_open(&config);
	struct arrived before, after;
	uint16_t minor;

	(void)state;
	qos_build_all(qos);
	{
		_cleanup_fd_ int fd = sender(SLUICE_HTB_POOL_MINOR);

		/* a stray packet in an idle class leaves no debt */
		offer(fd, 1500, MBIT, 0.1);
		assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, MBR(100 * MBIT), &minor, NULL), 0);
		before = read_arrived("up0p");
		offer(fd, 1500, 50 * MBIT, 0.5);
		after = read_arrived("up0p");
	}
	assert_true(after.packets - before.packets > 200);
	assert_int_equal(qos_look("up0")->class[minor].drops, 0);
	sl_qos_close(qos);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		QOS_TEST(the_rate_asked_is_the_rate_of_ip_bytes_reached),
		QOS_TEST(a_forwarded_connection_in_super_packets_reaches_a_low_rate),
		QOS_TEST(what_has_no_class_goes_through_the_default_class_and_never_the_direct_queue),
		QOS_TEST(a_class_that_was_idle_or_released_sends_at_its_new_rate_at_once),
	};

	/* one test by its name, for a closer look */
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, qos_make_namespace, NULL);
}
