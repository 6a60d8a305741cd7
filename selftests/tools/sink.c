// SPDX-License-Identifier: Apache-2.0
/*
 * Counts the IP packets and bytes that reach a device, whatever VLAN tags they
 * wear, and prints "PACKETS BYTES". The bytes are those of the IP header's
 * length field. With --window it measures a rate instead: "PACKETS BYTES
 * NANOSECONDS" between the kernel's receive times of two packets at least that
 * far apart, the first one's bytes not counted. Ends at SIGTERM, or when the
 * expected number is there, or when the time is over. Writes "ready" to standard error once it listens.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
	"usage: sink --dev IF [--from A] [--to A] [--proto NUMBER] [--port N] [--l3 | --tun]\n"
	"            [--count N | --window MILLISECONDS] [--timeout SECONDS]\n"
	"  --port N   source or destination, behind an IPv4 header or a plain IPv6 one\n";

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

struct filter {
	int family; /* 0: both */
	bool has_from, has_to;
	uint8_t from[16], to[16];
	int protocol;	   /* -1: any */
	unsigned int port; /* 0: any */
};

static bool port_fits(const struct filter *filter, const uint8_t *at, size_t length)
{
	if (!filter->port)
		return true;
	return length >= 4 && ((unsigned int)(at[0] << 8 | at[1]) == filter->port ||
			       (unsigned int)(at[2] << 8 | at[3]) == filter->port);
}

static int address(const char *text, uint8_t out[16])
{
	if (inet_pton(AF_INET, text, out) == 1)
		return AF_INET;
	if (inet_pton(AF_INET6, text, out) == 1)
		return AF_INET6;
	fprintf(stderr, "sink: not an address: '%s'\n", text);
	exit(2);
}

/* IP bytes of a frame that fits the filter, 0 otherwise. */
static size_t fits(const struct filter *filter, const uint8_t *at, size_t length, uint16_t type, bool l3)
{
	size_t width;

	if (!l3) {
		if (length < 14)
			return 0;
		memcpy(&type, at + 12, 2);
		type = ntohs(type);
		at += 14;
		length -= 14;
	}
	while ((type == ETH_P_8021Q || type == ETH_P_8021AD) && length >= 4) {
		memcpy(&type, at + 2, 2);
		type = ntohs(type);
		at += 4;
		length -= 4;
	}
	if (type == ETH_P_IP && length >= 20) {
		if (filter->family == AF_INET6 || (filter->protocol >= 0 && at[9] != filter->protocol))
			return 0;
		width = 4;
		if (filter->has_from && memcmp(at + 12, filter->from, width))
			return 0;
		if (filter->has_to && memcmp(at + 16, filter->to, width))
			return 0;
		width = (at[0] & 15) * 4u;
		if (length < width || !port_fits(filter, at + width, length - width))
			return 0;
		return (size_t)at[2] << 8 | at[3];
	}
	if (type == ETH_P_IPV6 && length >= 40) {
		if (filter->family == AF_INET || (filter->protocol >= 0 && at[6] != filter->protocol))
			return 0;
		width = 16;
		if (filter->has_from && memcmp(at + 8, filter->from, width))
			return 0;
		if (filter->has_to && memcmp(at + 24, filter->to, width))
			return 0;
		if (!port_fits(filter, at + 40, length - 40))
			return 0;
		return ((size_t)at[4] << 8 | at[5]) + 40;
	}
	return 0;
}

static int open_packet(const struct sockaddr_ll *local)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), buffer = 64 << 20;

	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
	if (fd < 0 || bind(fd, (const struct sockaddr *)local, sizeof(*local)) < 0) {
		perror("sink: AF_PACKET");
		exit(1);
	}
	return fd;
}

/* Takes what the kernel sends through a tun, which has no other reader then. */
static int open_tun(const char *name)
{
	struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0) {
		perror("sink: /dev/net/tun");
		exit(1);
	}
	return fd;
}

int main(int argc, char **argv)
{
	enum { DEV = 256, FROM, TO, PROTO, L3, TUN, COUNT, TIMEOUT, WINDOW, PORT };
	static const struct option options[] = {
		{"dev", 1, NULL, DEV},	     {"from", 1, NULL, FROM},
		{"to", 1, NULL, TO},	     {"proto", 1, NULL, PROTO},
		{"l3", 0, NULL, L3},	     {"tun", 0, NULL, TUN},
		{"count", 1, NULL, COUNT},   {"timeout", 1, NULL, TIMEOUT},
		{"window", 1, NULL, WINDOW}, {"port", 1, NULL, PORT},
		{NULL, 0, NULL, 0},
	};
	struct sockaddr_ll local = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	struct sigaction action = {.sa_handler = on_signal};
	struct filter filter = {.protocol = -1};
	unsigned long long packets = 0, bytes = 0, expected = 0;
	struct tpacket_stats statistics;
	socklen_t size = sizeof(statistics);
	struct timespec until, now;
	int64_t window = 0, first = 0, passed = 0;
	static uint8_t frame[1 << 16];
	int option, fd, timeout = 10;
	bool l3 = false, tun = false;
	const char *device = NULL;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case DEV:
			device = optarg;
			local.sll_ifindex = (int)if_nametoindex(optarg);
			break;
		case FROM:
			filter.family = address(optarg, filter.from);
			filter.has_from = true;
			break;
		case TO:
			filter.family = address(optarg, filter.to);
			filter.has_to = true;
			break;
		case PROTO:
			filter.protocol = atoi(optarg);
			break;
		case L3:
			l3 = true;
			break;
		case TUN:
			l3 = true;
			tun = true;
			break;
		case COUNT:
			expected = strtoull(optarg, NULL, 10);
			break;
		case WINDOW:
			window = (int64_t)atoi(optarg) * 1000000;
			break;
		case PORT:
			filter.port = (unsigned int)atoi(optarg);
			break;
		case TIMEOUT:
			timeout = atoi(optarg);
			break;
		default:
			fputs(usage, stderr);
			return 2;
		}
	}
	if (!local.sll_ifindex) {
		fputs(usage, stderr);
		return 2;
	}
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	fd = tun ? open_tun(device) : open_packet(&local);
	fputs("ready\n", stderr);
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout;
	while (!stop && (!expected || packets < expected) && (!window || passed < window)) {
		struct pollfd wait = {.fd = fd, .events = POLLIN};
		struct sockaddr_ll from;
		socklen_t from_size = sizeof(from);
		uint16_t type;
		ssize_t length;
		size_t ip;
		long left;

		clock_gettime(CLOCK_MONOTONIC, &now);
		left = (until.tv_sec - now.tv_sec) * 1000 + (until.tv_nsec - now.tv_nsec) / 1000000;
		if (left <= 0)
			break;
		if (poll(&wait, 1, (int)left) <= 0)
			continue;
		if (tun) {
			length = read(fd, frame, sizeof(frame));
			from.sll_pkttype = PACKET_HOST;
			type = length > 0 && frame[0] >> 4 == 6 ? ETH_P_IPV6 : ETH_P_IP;
		} else {
			length = recvfrom(fd, frame, sizeof(frame), MSG_DONTWAIT, (struct sockaddr *)&from,
					  &from_size);
			type = ntohs(from.sll_protocol);
		}
		if (length < 0 || from.sll_pkttype == PACKET_OUTGOING)
			continue;
		ip = fits(&filter, frame, (size_t)length, type, l3);
		if (!ip)
			continue;
		if (window) {
			struct timespec at;
			int64_t ns;

			if (ioctl(fd, SIOCGSTAMPNS, &at) < 0)
				continue;
			ns = (int64_t)at.tv_sec * 1000000000 + at.tv_nsec;
			if (!first) {
				first = ns;
				continue;
			}
			passed = ns - first;
		}
		packets++;
		bytes += ip;
	}
	if (window)
		printf("%llu %llu %lld\n", packets, bytes, (long long)passed);
	else
		printf("%llu %llu\n", packets, bytes);
	if (!getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &statistics, &size) && statistics.tp_drops) {
		fprintf(stderr, "sink: its own buffer overflowed, %u frames not seen\n", statistics.tp_drops);
		return 1;
	}
	close(fd);
	return 0;
}
