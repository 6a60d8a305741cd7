// SPDX-License-Identifier: Apache-2.0
/*
 * A link with a delay between two devices of this network namespace: every frame
 * that reaches one leaves through the other that much after the kernel received
 * it. For kernels without netem. Offloads of the hosts behind it must be off,
 * checksums too: frames are passed on as they are. A direction holds RING frames of
 * at most FRAME bytes; what finds it full, or is longer, is dropped and counted.
 * Prints "FRAMES DROPPED" at SIGTERM.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FRAME 1600
#define RING  32768 /* a power of two; 400 Mbit/s of large frames over 1 s */

static const char usage[] = "usage: delay --a IF --b IF --microseconds N\n";

static volatile sig_atomic_t stop;

struct held {
	int64_t due; /* CLOCK_REALTIME, as the kernel's receive times */
	uint32_t length;
	uint8_t frame[FRAME];
};

struct direction {
	int from, to; /* sockets */
	struct held *ring;
	uint32_t head, tail; /* running numbers: head is the next to leave */
};

static unsigned long long passed, dropped;

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

static void __attribute__((noreturn)) die(const char *what)
{
	fprintf(stderr, "delay: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_REALTIME, &time);
	return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static int open_device(const char *name)
{
	struct sockaddr_ll local = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1, buffer = 64 << 20;

	local.sll_ifindex = (int)if_nametoindex(name);
	if (fd < 0 || !local.sll_ifindex)
		die(name);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof(buffer));
	if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) ||
	    bind(fd, (const struct sockaddr *)&local, sizeof(local)))
		die(name);
	return fd;
}

static void open_direction(struct direction *direction, int from, int to)
{
	*direction = (struct direction){.from = from, .to = to, .ring = calloc(RING, sizeof(struct held))};
	if (!direction->ring)
		die("memory");
}

static void receive(struct direction *direction, int64_t delay)
{
	for (;;) {
		struct held *held = &direction->ring[direction->tail % RING];
		static uint8_t none[FRAME];
		const bool is_full = direction->tail - direction->head == RING;
		struct iovec part = {.iov_base = is_full ? none : held->frame, .iov_len = FRAME};
		char control[CMSG_SPACE(sizeof(struct timespec))];
		struct msghdr message = {.msg_iov = &part,
					 .msg_iovlen = 1,
					 .msg_control = control,
					 .msg_controllen = sizeof(control)};
		struct timespec received = {0};
		ssize_t length = recvmsg(direction->from, &message, MSG_TRUNC);

		if (length < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (length < 0)
			die("receive");
		if (is_full || length > FRAME) {
			dropped++;
			continue;
		}
		for (struct cmsghdr *part_of = CMSG_FIRSTHDR(&message); part_of;
		     part_of = CMSG_NXTHDR(&message, part_of))
			if (part_of->cmsg_level == SOL_SOCKET && part_of->cmsg_type == SCM_TIMESTAMPNS)
				memcpy(&received, CMSG_DATA(part_of), sizeof(received));
		held->due = (int64_t)received.tv_sec * 1000000000 + received.tv_nsec + delay;
		held->length = (uint32_t)length;
		direction->tail++;
	}
}

/* Sends what is due; nanoseconds until the next one is, -1: nothing waits. */
static int64_t pass_on(struct direction *direction)
{
	while (direction->head != direction->tail) {
		const struct held *held = &direction->ring[direction->head % RING];
		int64_t left = held->due - now();

		if (left > 0)
			return left;
		if (send(direction->to, held->frame, held->length, 0) == (ssize_t)held->length)
			passed++;
		else
			dropped++;
		direction->head++;
	}
	return -1;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"a", 1, NULL, 'a'}, {"b", 1, NULL, 'b'}, {"microseconds", 1, NULL, 'm'}, {0}};
	struct sigaction action = {.sa_handler = on_signal};
	const struct sched_param priority = {.sched_priority = 1};
	const char *name[2] = {NULL, NULL};
	struct direction direction[2];
	struct pollfd wait[2];
	struct tpacket_stats statistics;
	int64_t delay = -1;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'm')
			delay = atoll(optarg) * 1000;
		else if (option == 'a' || option == 'b')
			name[option - 'a'] = optarg;
		else
			delay = -1;
	}
	if (!name[0] || !name[1] || delay < 0) {
		fputs(usage, stderr);
		return 2;
	}
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	for (int i = 0; i < 2; i++)
		wait[i] = (struct pollfd){.fd = open_device(name[i]), .events = POLLIN};
	open_direction(&direction[0], wait[0].fd, wait[1].fd);
	open_direction(&direction[1], wait[1].fd, wait[0].fd);
	/* a link has no other work; where it is not allowed, the delay is less even */
	sched_setscheduler(0, SCHED_FIFO, &priority);
	fputs("ready\n", stderr);
	while (!stop) {
		int64_t left = -1;
		struct timespec until;

		for (int i = 0; i < 2; i++) {
			int64_t next;

			receive(&direction[i], delay);
			next = pass_on(&direction[i]);
			if (next >= 0 && (left < 0 || next < left))
				left = next;
		}
		until = (struct timespec){.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
		ppoll(wait, 2, left < 0 ? NULL : &until, NULL);
	}
	for (int i = 0; i < 2; i++) {
		socklen_t size = sizeof(statistics);

		if (!getsockopt(wait[i].fd, SOL_PACKET, PACKET_STATISTICS, &statistics, &size))
			dropped += statistics.tp_drops;
	}
	printf("%llu %llu\n", passed, dropped);
	return 0;
}
