// SPDX-License-Identifier: Apache-2.0
/*
 * Sends an exact number of packets of an exact shape through AF_PACKET and
 * prints how many, and how many IP bytes, as "PACKETS BYTES". Checksums are
 * right, so that receivers count what is sent. Packets are built once; only
 * the subscriber part of the source and the identification change.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FRAME_MAX 9216
#define EXT_MAX	  8
#define VLAN_MAX  2

static const char usage[] =
	"usage: send --dev IF --from A --to A [--mac DESTINATION | --l3 | --tun] [--proto "
	"udp|tcp|icmp|icmpv6|NUMBER]\n"
	"            [--sport N] [--dport N] [--size IP-BYTES] [--count N] [--rate PACKETS-PER-SECOND]\n"
	"            [--vlan ID]... [--options BYTES] [--ext hop|routing|dst]... [--fragment OFFSET[+]]\n"
	"            [--ttl N] [--cut BYTES] [--hosts N] [--ethertype N]\n"
	"  --l3          the device has no Ethernet header\n"
	"  --tun         the device is a tun and the packets come in through its file, as if from outside\n"
	"  --hosts N     counts the source address up, N different ones in turn (IPv6: the /64 prefix)\n"
	"  --cut BYTES   keeps only the first BYTES of the IP packet; the headers stay as they were\n";

struct shape {
	int family;
	uint8_t from[16], to[16];
	uint8_t protocol;
	uint16_t source_port, destination_port;
	size_t size, options;
	uint8_t extension[EXT_MAX];
	int extensions;
	bool fragment, more;
	unsigned int offset;
	uint8_t ttl;
};

static void __attribute__((noreturn)) die(const char *what, const char *value)
{
	fprintf(stderr, "send: %s '%s'\n%s", what, value, usage);
	exit(2);
}

static unsigned long number(const char *name, const char *text, unsigned long max)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 0);
	if (errno || end == text || *end || value > max)
		die(name, text);
	return value;
}

static uint32_t sum(const void *data, size_t length, uint32_t start)
{
	const uint8_t *byte = data;

	for (size_t i = 0; i + 1 < length; i += 2)
		start += (uint32_t)byte[i] << 8 | byte[i + 1];
	if (length & 1)
		start += (uint32_t)byte[length - 1] << 8;
	return start;
}

static uint16_t fold(uint32_t value)
{
	while (value >> 16)
		value = (value & 0xffff) + (value >> 16);
	return htons((uint16_t)~value);
}

static void put16(uint8_t *at, uint16_t value)
{
	value = htons(value);
	memcpy(at, &value, sizeof(value));
}

/* The transport header and a payload of counting bytes, in `length` bytes. */
static void transport(const struct shape *shape, uint8_t *at, size_t length)
{
	size_t address = shape->family == AF_INET ? 4 : 16, checksum_at;
	uint32_t pseudo;
	uint16_t checksum;

	for (size_t i = 0; i < length; i++)
		at[i] = (uint8_t)i;
	if (shape->fragment && shape->offset)
		return; /* a later fragment is payload alone */
	switch (shape->protocol) {
	case IPPROTO_UDP:
		if (length < 8)
			return;
		put16(at, shape->source_port);
		put16(at + 2, shape->destination_port);
		put16(at + 4, (uint16_t)length);
		checksum_at = 6;
		break;
	case IPPROTO_TCP:
		if (length < 20)
			return;
		memset(at, 0, 20);
		put16(at, shape->source_port);
		put16(at + 2, shape->destination_port);
		at[12] = 5 << 4;
		at[13] = 0x02; /* SYN */
		put16(at + 14, 8192);
		checksum_at = 16;
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		if (length < 8)
			return;
		memset(at, 0, 8);
		at[0] = shape->protocol == IPPROTO_ICMP ? 8 : 128; /* echo request */
		checksum_at = 2;
		break;
	default:
		return;
	}
	memset(at + checksum_at, 0, 2);
	pseudo = 0;
	if (shape->protocol != IPPROTO_ICMP) {
		pseudo = sum(shape->from, address, 0);
		pseudo = sum(shape->to, address, pseudo);
		pseudo += shape->protocol + (uint32_t)length;
	}
	checksum = fold(sum(at, length, pseudo));
	if (!checksum && shape->protocol == IPPROTO_UDP)
		checksum = 0xffff;
	memcpy(at + checksum_at, &checksum, sizeof(checksum));
}

static size_t build4(const struct shape *shape, uint8_t *at, uint16_t id)
{
	size_t header = 20 + shape->options;
	uint16_t fragment = (uint16_t)(shape->offset / 8 | (shape->more ? 0x2000 : 0)), checksum;

	memset(at, 0, header);
	at[0] = (uint8_t)(4 << 4 | header / 4);
	put16(at + 2, (uint16_t)shape->size);
	put16(at + 4, shape->fragment ? 7 : id);
	put16(at + 6, fragment);
	at[8] = shape->ttl;
	at[9] = shape->protocol;
	memcpy(at + 12, shape->from, 4);
	memcpy(at + 16, shape->to, 4);
	memset(at + 20, 1, shape->options); /* NOP */
	checksum = fold(sum(at, header, 0));
	memcpy(at + 10, &checksum, sizeof(checksum));
	transport(shape, at + header, shape->size - header);
	return shape->size;
}

static size_t build6(const struct shape *shape, uint8_t *at)
{
	uint8_t *next = at + 6, *cursor = at + 40;

	memset(at, 0, 40);
	at[0] = 6 << 4;
	put16(at + 4, (uint16_t)(shape->size - 40));
	at[7] = shape->ttl;
	memcpy(at + 8, shape->from, 16);
	memcpy(at + 24, shape->to, 16);
	for (int i = 0; i < shape->extensions; i++) {
		*next = shape->extension[i];
		next = cursor;
		memset(cursor, 0, 8);
		if (shape->extension[i] == IPPROTO_ROUTING)
			cursor[2] =
				253; /* experimental type with no segments left: to be skipped (RFC 8200) */
		else
			cursor[2] = 1, cursor[3] = 4; /* PadN fills the rest */
		cursor += 8;
	}
	if (shape->fragment) {
		*next = IPPROTO_FRAGMENT;
		next = cursor;
		memset(cursor, 0, 8);
		put16(cursor + 2, (uint16_t)(shape->offset | (shape->more ? 1 : 0)));
		put16(cursor + 6, 7);
		cursor += 8;
	}
	*next = shape->protocol;
	transport(shape, cursor, shape->size - (size_t)(cursor - at));
	return shape->size;
}

static uint8_t protocol_of(const char *text)
{
	static const struct {
		const char *name;
		uint8_t number;
	} known[] = {{"udp", IPPROTO_UDP},
		     {"tcp", IPPROTO_TCP},
		     {"icmp", IPPROTO_ICMP},
		     {"icmpv6", IPPROTO_ICMPV6}};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(text, known[i].name))
			return known[i].number;
	return (uint8_t)number("--proto", text, 255);
}

static uint8_t extension_of(const char *text)
{
	if (!strcmp(text, "hop"))
		return IPPROTO_HOPOPTS;
	if (!strcmp(text, "routing"))
		return IPPROTO_ROUTING;
	if (!strcmp(text, "dst"))
		return IPPROTO_DSTOPTS;
	die("--ext", text);
}

static int family_of(const char *text, uint8_t out[16])
{
	if (inet_pton(AF_INET, text, out) == 1)
		return AF_INET;
	if (inet_pton(AF_INET6, text, out) == 1)
		return AF_INET6;
	die("not an address", text);
}

/* Counts the subscriber up: the last 32 bits of IPv4, bytes 4..7 of an IPv6 prefix. */
static void next_host(struct shape *shape, const uint8_t first[16], uint32_t n)
{
	size_t at = shape->family == AF_INET ? 0 : 4;
	uint32_t value;

	memcpy(&value, first + at, 4);
	value = htonl(ntohl(value) + n);
	memcpy(shape->from + at, &value, 4);
}

static int open_tun(const char *name)
{
	struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0) {
		perror("send: /dev/net/tun");
		exit(1);
	}
	return fd;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

int main(int argc, char **argv)
{
	enum {
		DEV = 256,
		FROM,
		TO,
		MAC,
		L3,
		TUN,
		PROTO,
		SPORT,
		DPORT,
		SIZE,
		COUNT,
		RATE,
		VLAN,
		OPTIONS,
		EXT,
		FRAGMENT,
		TTL,
		CUT,
		HOSTS,
		ETHERTYPE
	};
	static const struct option options[] = {
		{"dev", 1, NULL, DEV},	   {"from", 1, NULL, FROM},
		{"to", 1, NULL, TO},	   {"mac", 1, NULL, MAC},
		{"l3", 0, NULL, L3},	   {"tun", 0, NULL, TUN},
		{"proto", 1, NULL, PROTO}, {"sport", 1, NULL, SPORT},
		{"dport", 1, NULL, DPORT}, {"size", 1, NULL, SIZE},
		{"count", 1, NULL, COUNT}, {"rate", 1, NULL, RATE},
		{"vlan", 1, NULL, VLAN},   {"options", 1, NULL, OPTIONS},
		{"ext", 1, NULL, EXT},	   {"fragment", 1, NULL, FRAGMENT},
		{"ttl", 1, NULL, TTL},	   {"cut", 1, NULL, CUT},
		{"hosts", 1, NULL, HOSTS}, {"ethertype", 1, NULL, ETHERTYPE},
		{NULL, 0, NULL, 0},
	};
	struct shape shape = {.protocol = IPPROTO_UDP,
			      .source_port = 40000,
			      .destination_port = 5001,
			      .size = 100,
			      .ttl = 64};
	uint8_t mac[ETH_ALEN] = {0}, frame[FRAME_MAX], first[16] = {0};
	unsigned long count = 1, rate = 0, cut = 0, hosts = 1, ethertype = 0;
	uint16_t vlan[VLAN_MAX];
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_halen = ETH_ALEN};
	uint64_t packets = 0, bytes = 0, start;
	bool l3 = false, tun = false, have_from = false, have_to = false;
	int vlans = 0, option, fd, families[2] = {0};
	const char *device = NULL;
	size_t need;
	char *end;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case DEV:
			device = optarg;
			to.sll_ifindex = (int)if_nametoindex(optarg);
			if (!to.sll_ifindex)
				die("no such device", optarg);
			break;
		case FROM:
			families[0] = family_of(optarg, shape.from);
			memcpy(first, shape.from, sizeof(first));
			have_from = true;
			break;
		case TO:
			families[1] = family_of(optarg, shape.to);
			have_to = true;
			break;
		case MAC:
			if (sscanf(optarg, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2],
				   &mac[3], &mac[4], &mac[5]) != 6)
				die("--mac", optarg);
			break;
		case L3:
			l3 = true;
			break;
		case TUN:
			l3 = true;
			tun = true;
			break;
		case PROTO:
			shape.protocol = protocol_of(optarg);
			break;
		case SPORT:
			shape.source_port = (uint16_t)number("--sport", optarg, 65535);
			break;
		case DPORT:
			shape.destination_port = (uint16_t)number("--dport", optarg, 65535);
			break;
		case SIZE:
			shape.size = number("--size", optarg, FRAME_MAX - 64);
			break;
		case COUNT:
			count = number("--count", optarg, 1000000000);
			break;
		case RATE:
			rate = number("--rate", optarg, 10000000);
			break;
		case VLAN:
			if (vlans == VLAN_MAX)
				die("too many --vlan", optarg);
			vlan[vlans++] = (uint16_t)number("--vlan", optarg, 4094);
			break;
		case OPTIONS:
			shape.options = number("--options", optarg, 40) & ~3ul;
			break;
		case EXT:
			if (shape.extensions == EXT_MAX)
				die("too many --ext", optarg);
			shape.extension[shape.extensions++] = extension_of(optarg);
			break;
		case FRAGMENT:
			shape.fragment = true;
			shape.offset = (unsigned int)strtoul(optarg, &end, 10);
			shape.more = *end == '+';
			if (end == optarg || (*end && (*end != '+' || end[1])) || shape.offset % 8 ||
			    shape.offset > 65528)
				die("--fragment", optarg);
			break;
		case TTL:
			shape.ttl = (uint8_t)number("--ttl", optarg, 255);
			break;
		case CUT:
			cut = number("--cut", optarg, FRAME_MAX);
			break;
		case HOSTS:
			hosts = number("--hosts", optarg, 1 << 24);
			break;
		case ETHERTYPE:
			ethertype = number("--ethertype", optarg, 0xffff);
			break;
		default:
			fputs(usage, stderr);
			return 2;
		}
	}
	if (!to.sll_ifindex || !have_from || !have_to || families[0] != families[1] || !hosts) {
		fputs(usage, stderr);
		return 2;
	}
	shape.family = families[0];
	need = shape.family == AF_INET ? 20 + shape.options
				       : 40 + 8 * (size_t)(shape.extensions + (shape.fragment ? 1 : 0));
	if (shape.size < need)
		die("--size is smaller than the headers", "");
	if (!ethertype)
		ethertype = shape.family == AF_INET ? ETH_P_IP : ETH_P_IPV6;
	to.sll_protocol = htons((uint16_t)ethertype);
	memcpy(to.sll_addr, mac, ETH_ALEN);

	fd = tun ? open_tun(device) : socket(AF_PACKET, (l3 ? SOCK_DGRAM : SOCK_RAW) | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		perror("send: AF_PACKET");
		return 1;
	}
	start = now_ns();
	for (unsigned long i = 0; i < count; i++) {
		uint8_t *at = frame;
		size_t length, tries = 0;

		if (!l3) {
			memcpy(at, mac, ETH_ALEN);
			memcpy(at + ETH_ALEN, "\x02\x00\x00\x00\x00\x77", ETH_ALEN);
			at += 2 * ETH_ALEN;
			for (int v = 0; v < vlans; v++, at += 4) {
				put16(at, v + 1 < vlans ? ETH_P_8021AD : ETH_P_8021Q);
				put16(at + 2, vlan[v]);
			}
			put16(at, (uint16_t)ethertype);
			at += 2;
		}
		next_host(&shape, first, (uint32_t)(i % hosts));
		length = shape.family == AF_INET ? build4(&shape, at, (uint16_t)i) : build6(&shape, at);
		if (cut && cut < length)
			length = cut;
		while ((tun ? write(fd, frame, length)
			    : sendto(fd, frame, (size_t)(at - frame) + length, 0, (struct sockaddr *)&to,
				     sizeof(to))) < 0) {
			/* a full transmit queue is back-pressure, not loss */
			if (errno != ENOBUFS || ++tries > 10000) {
				perror("send");
				return 1;
			}
			usleep(100);
		}
		packets++;
		bytes += length;
		if (rate) {
			uint64_t due = start + (i + 1) * 1000000000ull / rate, now = now_ns();

			if (due > now) {
				struct timespec rest = {.tv_sec = (time_t)((due - now) / 1000000000ull),
							.tv_nsec = (long)((due - now) % 1000000000ull)};
				nanosleep(&rest, NULL);
			}
		}
	}
	printf("%llu %llu\n", (unsigned long long)packets, (unsigned long long)bytes);
	close(fd);
	return 0;
}
