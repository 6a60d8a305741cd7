// SPDX-License-Identifier: Apache-2.0
/*
 * Sends numbered UDP packets from one network namespace to another and says what
 * the way between did to them, as one JSON object: how many were sent, arrived and
 * were lost, how long they took (microseconds, from before they were sent to the kernel's
 * receive time), and the longest gap between two arrivals (milliseconds), less what
 * the sender itself was late between the same two: on a busy machine that is no
 * fault of what is measured; the longest time that it was late (milliseconds) stands beside it. With --log
 * FILE a line for each arrival: its time (ns, CLOCK_REALTIME) and its IP bytes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HEADERS 28 /* IPv4 and UDP */
#define MOST	4000000u
#define LAST_MS 1000 /* how long after the last packet one may still arrive */

static const char usage[] = "usage: transit --from-ns PATH --to-ns PATH --from A --to A --port N [--size "
			    "IP-BYTES] [--rate PER-SECOND]\n"
			    "               [--milliseconds N] [--log FILE]\n";

struct packet {
	uint64_t number;
	int64_t sent;
};

struct transit {
	const char *from_ns, *to_ns, *log;
	struct sockaddr_in from, to;
	unsigned long size, rate, milliseconds;
	uint64_t count;
	int64_t *sent, *arrived; /* by number; 0: not */
	int64_t late;		 /* ns, the sender at most */
	int receiver;
};

static void __attribute__((noreturn)) die(const char *what)
{
	fprintf(stderr, "transit: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_REALTIME, &time);
	return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static int open_socket(const char *ns, const struct sockaddr_in *local)
{
	int fd = open(ns, O_RDONLY | O_CLOEXEC), on = 1, buffer = 64 << 20;

	if (fd < 0 || setns(fd, CLONE_NEWNET))
		die(ns);
	close(fd);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (const struct sockaddr *)local, sizeof(*local)) ||
	    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)))
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof(buffer));
	return fd;
}

/* The kernel counts what its buffer had no room for: then nothing here is true. */
static void *receive(void *data)
{
	struct transit *transit = data;
	const struct timeval patience = {.tv_sec = LAST_MS / 1000};
	uint8_t payload[9216];

	setsockopt(transit->receiver, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	for (uint64_t seen = 0; seen < transit->count;) {
		struct iovec part = {.iov_base = payload, .iov_len = sizeof(payload)};
		char control[CMSG_SPACE(sizeof(struct timespec))];
		struct msghdr message = {.msg_iov = &part,
					 .msg_iovlen = 1,
					 .msg_control = control,
					 .msg_controllen = sizeof(control)};
		ssize_t length = recvmsg(transit->receiver, &message, 0);
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		struct timespec at;
		struct packet packet;

		if (length < 0 && errno == EINTR)
			continue;
		if (length < 0) {
			/* the first one is sent before this begins to wait */
			if (__atomic_load_n(&transit->sent[transit->count - 1], __ATOMIC_ACQUIRE))
				break;
			continue;
		}
		if ((size_t)length < sizeof(packet) || !header || header->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		memcpy(&packet, payload, sizeof(packet));
		memcpy(&at, CMSG_DATA(header), sizeof(at));
		if (packet.number >= transit->count || transit->arrived[packet.number])
			continue;
		transit->arrived[packet.number] = (int64_t)at.tv_sec * 1000000000 + at.tv_nsec;
		seen++;
	}
	return NULL;
}

static void send_all(struct transit *transit, int fd)
{
	uint8_t payload[9216] = {0};
	const int64_t start = now();

	for (uint64_t i = 0; i < transit->count; i++) {
		int64_t due = start + (int64_t)(i * 1000000000u / transit->rate);
		struct timespec until = {.tv_sec = due / 1000000000, .tv_nsec = due % 1000000000};
		struct packet packet = {.number = i};

		clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, NULL);
		packet.sent = now();
		if (packet.sent - due > transit->late)
			transit->late = packet.sent - due;
		memcpy(payload, &packet, sizeof(packet));
		if (sendto(fd, payload, transit->size - HEADERS, 0, (const struct sockaddr *)&transit->to,
			   sizeof(transit->to)) < 0)
			die("send");
		__atomic_store_n(&transit->sent[i], packet.sent, __ATOMIC_RELEASE);
	}
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void write_log(const struct transit *transit)
{
	FILE *log = fopen(transit->log, "we");

	if (!log)
		die(transit->log);
	for (uint64_t i = 0; i < transit->count; i++)
		if (transit->arrived[i])
			fprintf(log, "%lld %lu\n", (long long)transit->arrived[i], transit->size);
	if (fclose(log))
		die(transit->log);
}

static void report(const struct transit *transit)
{
	int64_t *took = calloc(transit->count, sizeof(*took)), before = 0, before_sent = 0, gap = 0;
	const int64_t interval = 1000000000 / (int64_t)transit->rate;
	uint64_t arrived = 0;

	if (!took)
		die("memory");
	for (uint64_t i = 0; i < transit->count; i++) {
		int64_t at = transit->arrived[i], late;

		if (!at)
			continue;
		took[arrived++] = at - transit->sent[i];
		late = transit->sent[i] - before_sent - interval;
		if (before && at - before - (late > 0 ? late : 0) > gap)
			gap = at - before - (late > 0 ? late : 0);
		before = at;
		before_sent = transit->sent[i];
	}
	qsort(took, arrived, sizeof(*took), compare);
	printf("{\"sent\":%llu,\"arrived\":%llu,\"lost\":%llu,"
	       "\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f,"
	       "\"gap_ms\":%.2f,\"late_ms\":%.2f}\n",
	       (unsigned long long)transit->count, (unsigned long long)arrived,
	       (unsigned long long)(transit->count - arrived),
	       arrived ? (double)took[arrived / 2] / 1e3 : 0.0,
	       arrived ? (double)took[arrived * 99 / 100] / 1e3 : 0.0,
	       arrived ? (double)took[arrived - 1] / 1e3 : 0.0, (double)gap / 1e6,
	       (double)transit->late / 1e6);
	free(took);
}

static void address(const char *text, struct sockaddr_in *out)
{
	out->sin_family = AF_INET;
	if (inet_pton(AF_INET, text, &out->sin_addr) != 1) {
		fprintf(stderr, "transit: not an address: '%s'\n", text);
		exit(2);
	}
}

static bool read_options(int argc, char **argv, struct transit *transit)
{
	enum { FROM_NS = 256, TO_NS, FROM, TO, PORT, SIZE, RATE, TIME, LOG };
	static const struct option options[] = {
		{"from-ns", 1, NULL, FROM_NS}, {"to-ns", 1, NULL, TO_NS},
		{"from", 1, NULL, FROM},       {"to", 1, NULL, TO},
		{"port", 1, NULL, PORT},       {"size", 1, NULL, SIZE},
		{"rate", 1, NULL, RATE},       {"milliseconds", 1, NULL, TIME},
		{"log", 1, NULL, LOG},	       {0}};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case FROM_NS:
			transit->from_ns = optarg;
			break;
		case TO_NS:
			transit->to_ns = optarg;
			break;
		case FROM:
			address(optarg, &transit->from);
			break;
		case TO:
			address(optarg, &transit->to);
			break;
		case PORT:
			transit->to.sin_port = htons((uint16_t)atoi(optarg));
			break;
		case SIZE:
			transit->size = strtoul(optarg, NULL, 10);
			break;
		case RATE:
			transit->rate = strtoul(optarg, NULL, 10);
			break;
		case TIME:
			transit->milliseconds = strtoul(optarg, NULL, 10);
			break;
		case LOG:
			transit->log = optarg;
			break;
		default:
			return false;
		}
	}
	transit->count = (uint64_t)transit->rate * transit->milliseconds / 1000;
	return transit->from_ns && transit->to_ns && transit->from.sin_family && transit->to.sin_family &&
	       transit->to.sin_port && transit->size >= HEADERS + sizeof(struct packet) &&
	       transit->size <= 9000 && transit->rate && transit->count && transit->count <= MOST;
}

int main(int argc, char **argv)
{
	struct transit transit = {.size = 100, .rate = 100, .milliseconds = 1000};
	const struct sched_param priority = {.sched_priority = 1};
	pthread_t thread;
	int sender;

	if (!read_options(argc, argv, &transit)) {
		fputs(usage, stderr);
		return 2;
	}
	transit.sent = calloc(transit.count, sizeof(*transit.sent));
	transit.arrived = calloc(transit.count, sizeof(*transit.arrived));
	if (!transit.sent || !transit.arrived)
		die("memory");
	transit.receiver = open_socket(transit.to_ns, &transit.to);
	sender = open_socket(transit.from_ns, &transit.from);
	/* its own lateness is none of the way's; where it is not allowed, figures are worse */
	sched_setscheduler(0, SCHED_FIFO, &priority);
	if (pthread_create(&thread, NULL, receive, &transit))
		die("thread");
	send_all(&transit, sender);
	pthread_join(thread, NULL);
	report(&transit);
	if (transit.log)
		write_log(&transit);
	return 0;
}
