// SPDX-License-Identifier: Apache-2.0
/*
 * Which packets pass without a session, and which only look like them: every
 * kind of control traffic with its near misses, unknown subscribers dropped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <netinet/in.h>

#include "bpfrun_fixture.h"

#define HOP   0xff
#define LOCAL 0 /* made by this host */
#define OTHER 7 /* received on another device */

static int setup(void **state)
{
	(void)state;
	bpfrun_reset(run);
	return 0;
}

/* The kind that the packet passed and was counted as; NONE: it was dropped. */
static enum sluice_pass_kind kind_of(const struct packet *packet, enum sluice_direction direction,
				     uint32_t received_on)
{
	struct bpfrun_context context = {.received_on = received_on, .mark = 0xabcd1234};
	enum bpfrun_program program =
		direction == SLUICE_UPLINK ? BPFRUN_ACCESS_INGRESS : BPFRUN_ACCESS_EGRESS;
	struct sluice_counter before[SLUICE_PASS_KIND_COUNT];
	enum sluice_pass_kind found = SLUICE_PASS_NONE;
	struct bpfrun_result result;

	for (uint32_t i = 0; i < SLUICE_PASS_KIND_COUNT; i++)
		before[i] = bpfrun_passes(run, i, direction);
	result = bpfrun_packet(run, program, packet, &context);
	for (uint32_t i = 0; i < SLUICE_PASS_KIND_COUNT; i++) {
		struct sluice_counter after = bpfrun_passes(run, i, direction);

		if (after.packets == before[i].packets)
			continue;
		assert_int_equal(found, SLUICE_PASS_NONE);
		assert_int_equal(after.packets, before[i].packets + 1);
		assert_int_equal(after.bytes - before[i].bytes,
				 packet->ip_bytes ? packet->ip_bytes : packet->length - packet->network);
		found = i;
	}
	assert_int_equal(result.verdict, found == SLUICE_PASS_NONE ? BPFRUN_TC_DROP : BPFRUN_TC_NEXT);
	if (found != SLUICE_PASS_NONE && direction == SLUICE_UPLINK)
		assert_int_equal(result.mark, 0xabcd0000);
	return found;
}

static enum sluice_pass_kind up(const struct packet_spec *spec)
{
	struct packet packet;

	packet_build(&packet, spec);
	return kind_of(&packet, SLUICE_UPLINK, OTHER);
}

static enum sluice_pass_kind down(const struct packet_spec *spec, uint32_t received_on)
{
	struct packet packet;

	packet_build(&packet, spec);
	return kind_of(&packet, SLUICE_DOWNLINK, received_on);
}

#define SPEC(...)             \
	&(struct packet_spec) \
	{                     \
		__VA_ARGS__   \
	}
#define UDP(from, sport, to, dport)                                                         \
	.source = from, .source_port = sport, .destination = to, .destination_port = dport, \
	.protocol = IPPROTO_UDP

static void build_arp(struct packet *packet, size_t padding)
{
	static const uint8_t head[] = {0, 1, 8, 0, 6, 4, 0, 1};

	packet_build(packet, SPEC(.ethertype = 0x0806, .payload = 28, .padding = padding,
				  .mac = "ff:ff:ff:ff:ff:ff"));
	memcpy(packet->data + packet->network, head, sizeof(head));
}

static void arp_passes_in_both_directions(void **state)
{
	struct packet packet;

	(void)state;
	build_arp(&packet, 0);
	assert_int_equal(kind_of(&packet, SLUICE_UPLINK, OTHER), SLUICE_PASS_ARP);
	assert_int_equal(kind_of(&packet, SLUICE_DOWNLINK, LOCAL), SLUICE_PASS_ARP);
	build_arp(&packet, 18);
	assert_int_equal(kind_of(&packet, SLUICE_UPLINK, OTHER), SLUICE_PASS_ARP);
}

static void what_is_not_ethernet_ipv4_arp_does_not_pass(void **state)
{
	struct packet packet;

	(void)state;
	build_arp(&packet, 100); /* more than padding behind it */
	assert_int_equal(kind_of(&packet, SLUICE_UPLINK, OTHER), SLUICE_PASS_NONE);
	build_arp(&packet, 0);
	packet.data[packet.network + 2] = 0x86; /* for another protocol */
	assert_int_equal(kind_of(&packet, SLUICE_UPLINK, OTHER), SLUICE_PASS_NONE);
	build_arp(&packet, 0);
	packet.data[packet.network + 5] = 16; /* of another address length */
	assert_int_equal(kind_of(&packet, SLUICE_UPLINK, OTHER), SLUICE_PASS_NONE);
	build_arp(&packet, 0);
	packet.length = packet.network + 7; /* cut short */
	assert_int_equal(kind_of(&packet, SLUICE_UPLINK, OTHER), SLUICE_PASS_NONE);
	assert_int_equal(bpfrun_drops(run, SLUICE_DROP_NOT_IP, SLUICE_UPLINK).packets, 4);
}

static void link_layer_protocols_pass_to_the_groups_that_bridges_keep(void **state)
{
	static const uint16_t ethertypes[] = {0x8809, 0x88cc, 0x888e, 0x0027 /* an 802.3 length: LLC */};

	(void)state;
	for (size_t i = 0; i < sizeof(ethertypes) / sizeof(ethertypes[0]); i++) {
		uint16_t type = ethertypes[i];

		assert_int_equal(up(SPEC(.ethertype = type, .payload = 46, .mac = "01:80:c2:00:00:00")),
				 SLUICE_PASS_LINK_LAYER);
		assert_int_equal(up(SPEC(.ethertype = type, .payload = 46, .mac = "01:80:c2:00:00:0e")),
				 SLUICE_PASS_LINK_LAYER);
		assert_int_equal(
			down(SPEC(.ethertype = type, .payload = 46, .mac = "01:80:c2:00:00:03"), LOCAL),
			SLUICE_PASS_LINK_LAYER);
		assert_int_equal(up(SPEC(.ethertype = type, .payload = 46)), SLUICE_PASS_NONE);
		assert_int_equal(up(SPEC(.ethertype = type, .payload = 46, .mac = "01:80:c2:00:00:10")),
				 SLUICE_PASS_NONE);
	}
	assert_int_equal(up(SPEC(.ethertype = 0x8864, .payload = 46, .mac = "01:80:c2:00:00:00")),
			 SLUICE_PASS_NONE);
	assert_int_equal(up(SPEC(.ethertype = 0x0600, .payload = 46, .mac = "01:80:c2:00:00:00")),
			 SLUICE_PASS_NONE);
}

#define ICMP6(from, to, type, hops) \
	.source = from, .destination = to, .protocol = IPPROTO_ICMPV6, .icmp_type = type, .hop_limit = hops

static void neighbour_discovery_passes_with_hop_limit_255_only(void **state)
{
	(void)state;
	for (uint8_t type = 133; type <= 137; type++) {
		assert_int_equal(up(SPEC(ICMP6("fe80::5", "ff02::1", type, 255), .payload = 16)),
				 SLUICE_PASS_ND);
		assert_int_equal(up(SPEC(ICMP6("::", "ff02::1:ff00:5", type, 255))), SLUICE_PASS_ND);
		assert_int_equal(up(SPEC(ICMP6("2001:db8:5::5", "fe80::1", type, 255))), SLUICE_PASS_ND);
		assert_int_equal(down(SPEC(ICMP6("fe80::1", "2001:db8:5::5", type, 255)), LOCAL),
				 SLUICE_PASS_ND);
		assert_int_equal(up(SPEC(ICMP6("fe80::5", "ff02::1", type, 254))), SLUICE_PASS_NONE);
		assert_int_equal(up(SPEC(ICMP6("fe80::5", "ff02::1", type, 1))), SLUICE_PASS_NONE);
		assert_int_equal(down(SPEC(ICMP6("fe80::1", "2001:db8:5::5", type, 254)), OTHER),
				 SLUICE_PASS_NONE);
	}
	assert_int_equal(up(SPEC(ICMP6("fe80::5", "ff02::1", 128, 255))), SLUICE_PASS_NONE);
	assert_int_equal(up(SPEC(ICMP6("fe80::5", "ff02::1", 138, 255))), SLUICE_PASS_NONE);
	assert_int_equal(up(SPEC(ICMP6("fe80::5", "ff02::1", 135, 255), .extension = {IPPROTO_FRAGMENT},
				 .more_fragments = true)),
			 SLUICE_PASS_NONE);
}

static void a_neighbour_solicitation_that_would_be_routed_on_does_not_pass(void **state)
{
	(void)state;
	assert_int_equal(up(SPEC(ICMP6("2001:db8:5::5", "2001:db8:77::1", 135, 255), .payload = 1000)),
			 SLUICE_PASS_NONE);
	/* a spoofed source beside the destination helps no more */
	assert_int_equal(up(SPEC(ICMP6("2001:db8:77::2", "2001:db8:77::1", 135, 255))), SLUICE_PASS_NONE);
	/* the gateway's own address */
	assert_int_equal(up(SPEC(ICMP6("2001:db8:ff::5", "2001:db8:ff::1", 135, 255))), SLUICE_PASS_ND);
}

static void multicast_listeners_pass_with_ttl_1_to_multicast_groups(void **state)
{
	static const uint8_t types[] = {130, 131, 132, 143};

	(void)state;
	for (size_t i = 0; i < sizeof(types); i++) {
		uint8_t type = types[i];

		assert_int_equal(
			up(SPEC(ICMP6("fe80::5", "ff02::16", type, 1), .extension = {HOP}, .payload = 20)),
			SLUICE_PASS_MULTICAST_LISTENER);
		assert_int_equal(up(SPEC(ICMP6("::", "ff05::99", type, 1))), SLUICE_PASS_MULTICAST_LISTENER);
		assert_int_equal(down(SPEC(ICMP6("fe80::1", "ff02::1", type, 1)), LOCAL),
				 SLUICE_PASS_MULTICAST_LISTENER);
		assert_int_equal(up(SPEC(ICMP6("fe80::5", "ff02::16", type, 2))), SLUICE_PASS_NONE);
		assert_int_equal(up(SPEC(ICMP6("2001:db8:5::5", "ff02::16", type, 1))), SLUICE_PASS_NONE);
		assert_int_equal(up(SPEC(ICMP6("fe80::5", "2001:db8::1", type, 1))), SLUICE_PASS_NONE);
	}
	assert_int_equal(up(SPEC(.source = "10.0.0.5", .destination = "224.0.0.22", .protocol = IPPROTO_IGMP,
				 .hop_limit = 1, .ip_options = 4, .payload = 8)),
			 SLUICE_PASS_MULTICAST_LISTENER);
	assert_int_equal(down(SPEC(.source = "10.0.0.1", .destination = "224.0.0.1", .protocol = IPPROTO_IGMP,
				   .hop_limit = 1, .payload = 8),
			      LOCAL),
			 SLUICE_PASS_MULTICAST_LISTENER);
	assert_int_equal(up(SPEC(.source = "10.0.0.5", .destination = "224.0.0.22", .protocol = IPPROTO_IGMP,
				 .hop_limit = 2, .payload = 8)),
			 SLUICE_PASS_NONE);
	assert_int_equal(up(SPEC(.source = "10.0.0.5", .destination = "198.51.100.9",
				 .protocol = IPPROTO_IGMP, .hop_limit = 1, .payload = 8)),
			 SLUICE_PASS_NONE);
	assert_int_equal(up(SPEC(.source = "10.0.0.5", .destination = "224.0.0.22", .protocol = IPPROTO_IGMP,
				 .hop_limit = 1, .payload = 8, .fragment_offset = 16)),
			 SLUICE_PASS_NONE);
}

static void dhcpv4_passes_where_it_cannot_be_routed(void **state)
{
	(void)state;
	assert_int_equal(up(SPEC(UDP("0.0.0.0", 68, "255.255.255.255", 67), .payload = 300)),
			 SLUICE_PASS_DHCP);
	assert_int_equal(up(SPEC(UDP("0.0.0.0", 68, "192.0.2.1", 67))), SLUICE_PASS_DHCP);
	assert_int_equal(up(SPEC(UDP("10.0.0.5", 68, "255.255.255.255", 67))), SLUICE_PASS_DHCP);
	assert_int_equal(up(SPEC(UDP("10.0.0.5", 68, "198.51.100.9", 67))), SLUICE_PASS_NONE);
	assert_int_equal(up(SPEC(UDP("0.0.0.0", 69, "255.255.255.255", 67))), SLUICE_PASS_NONE);
	assert_int_equal(up(SPEC(UDP("0.0.0.0", 68, "255.255.255.255", 68))), SLUICE_PASS_NONE);
	assert_int_equal(up(SPEC(UDP("0.0.0.0", 67, "255.255.255.255", 68))), SLUICE_PASS_NONE);
	assert_int_equal(up(SPEC(UDP("0.0.0.0", 68, "255.255.255.255", 67), .more_fragments = true)),
			 SLUICE_PASS_NONE);

	assert_int_equal(down(SPEC(UDP("192.0.2.1", 67, "10.0.0.5", 68), .payload = 300), LOCAL),
			 SLUICE_PASS_DHCP);
	assert_int_equal(down(SPEC(UDP("192.0.2.1", 67, "255.255.255.255", 68), .payload = 300), OTHER),
			 SLUICE_PASS_DHCP);
	assert_int_equal(down(SPEC(UDP("192.0.2.1", 68, "255.255.255.255", 67)), LOCAL), SLUICE_PASS_NONE);
	/* a server on the internet that chose the ports */
	assert_int_equal(down(SPEC(UDP("198.51.100.9", 67, "10.0.0.5", 68)), OTHER), SLUICE_PASS_NONE);
}

static void dhcpv6_passes_between_link_local_addresses(void **state)
{
	(void)state;
	assert_int_equal(up(SPEC(UDP("fe80::5", 546, "ff02::1:2", 547), .payload = 80)), SLUICE_PASS_DHCP);
	assert_int_equal(up(SPEC(UDP("fe80::5", 546, "fe80::1", 547))), SLUICE_PASS_DHCP);
	assert_int_equal(up(SPEC(UDP("2001:db8:5::5", 546, "ff02::1:2", 547))), SLUICE_PASS_NONE);
	assert_int_equal(up(SPEC(UDP("fe80::5", 546, "2001:db8:77::1", 547))), SLUICE_PASS_NONE);
	assert_int_equal(up(SPEC(UDP("fe80::5", 547, "ff02::1:2", 546))), SLUICE_PASS_NONE);
	assert_int_equal(up(SPEC(UDP("fe80::5", 546, "ff02::1:3", 547))), SLUICE_PASS_NONE);
	assert_int_equal(up(SPEC(UDP("fe80::5", 1000, "ff02::1:2", 547))), SLUICE_PASS_NONE);
	assert_int_equal(down(SPEC(UDP("fe80::1", 547, "fe80::5", 546)), LOCAL), SLUICE_PASS_DHCP);
	assert_int_equal(down(SPEC(UDP("2001:db8:77::1", 547, "fe80::5", 546)), OTHER), SLUICE_PASS_NONE);
	assert_int_equal(down(SPEC(UDP("fe80::1", 547, "2001:db8:5::5", 546)), LOCAL), SLUICE_PASS_NONE);
}

static void bfd_passes_with_ttl_255_to_the_gateway_itself(void **state)
{
	(void)state;
	assert_int_equal(
		up(SPEC(UDP("192.0.2.5", 49152, "192.0.2.1", 3784), .hop_limit = 255, .payload = 24)),
		SLUICE_PASS_BFD);
	assert_int_equal(up(SPEC(UDP("2001:db8:ff::5", 49152, "2001:db8:ff::1", 3784), .hop_limit = 255)),
			 SLUICE_PASS_BFD);
	assert_int_equal(down(SPEC(UDP("192.0.2.1", 49152, "192.0.2.5", 3784), .hop_limit = 255), LOCAL),
			 SLUICE_PASS_BFD);
	assert_int_equal(up(SPEC(UDP("192.0.2.5", 49152, "192.0.2.1", 3784), .hop_limit = 254)),
			 SLUICE_PASS_NONE);
	assert_int_equal(up(SPEC(UDP("192.0.2.5", 3784, "192.0.2.1", 49152), .hop_limit = 255)),
			 SLUICE_PASS_NONE);
	assert_int_equal(down(SPEC(UDP("198.51.100.9", 49152, "192.0.2.5", 3784), .hop_limit = 254), OTHER),
			 SLUICE_PASS_NONE);
	/* routed on, it would be a tunnel */
	assert_int_equal(
		up(SPEC(UDP("192.0.2.5", 49152, "198.51.100.9", 3784), .hop_limit = 255, .payload = 1000)),
		SLUICE_PASS_NONE);
	assert_int_equal(up(SPEC(UDP("2001:db8:ff::5", 49152, "2001:db8:77::1", 3784), .hop_limit = 255)),
			 SLUICE_PASS_NONE);
}

#define OSPF(from, to, hops) \
	.source = from, .destination = to, .protocol = 89, .hop_limit = hops, .payload = 44

static void ospf_passes_to_its_groups_or_with_ttl_1(void **state)
{
	(void)state;
	assert_int_equal(up(SPEC(OSPF("10.0.0.5", "224.0.0.5", 1))), SLUICE_PASS_OSPF);
	assert_int_equal(up(SPEC(OSPF("10.0.0.5", "224.0.0.6", 64))), SLUICE_PASS_OSPF);
	assert_int_equal(up(SPEC(OSPF("10.0.0.5", "192.0.2.1", 1))), SLUICE_PASS_OSPF);
	assert_int_equal(up(SPEC(OSPF("fe80::5", "ff02::5", 1))), SLUICE_PASS_OSPF);
	assert_int_equal(up(SPEC(OSPF("fe80::5", "ff02::6", 64))), SLUICE_PASS_OSPF);
	assert_int_equal(up(SPEC(OSPF("fe80::5", "fe80::1", 1))), SLUICE_PASS_OSPF);
	assert_int_equal(up(SPEC(OSPF("10.0.0.5", "198.51.100.9", 64))), SLUICE_PASS_NONE);
	assert_int_equal(up(SPEC(OSPF("10.0.0.5", "224.0.0.7", 64))), SLUICE_PASS_NONE);
	assert_int_equal(up(SPEC(OSPF("fe80::5", "ff02::7", 64))), SLUICE_PASS_NONE);
	assert_int_equal(down(SPEC(OSPF("192.0.2.1", "10.0.0.5", 1)), LOCAL), SLUICE_PASS_OSPF);
	/* its TTL was larger before it was forwarded */
	assert_int_equal(down(SPEC(OSPF("198.51.100.9", "10.0.0.5", 1)), OTHER), SLUICE_PASS_NONE);
}

static void control_traffic_passes_behind_vlan_tags(void **state)
{
	struct packet packet;

	(void)state;
	assert_int_equal(up(SPEC(UDP("0.0.0.0", 68, "255.255.255.255", 67), .tag = {0x8100})),
			 SLUICE_PASS_DHCP);
	packet_build(&packet, SPEC(.ethertype = 0x0806, .payload = 28, .tag = {0x88a8, 0x8100}));
	memcpy(packet.data + packet.network, "\0\1\10\0\6\4\0\1", 8);
	assert_int_equal(kind_of(&packet, SLUICE_UPLINK, OTHER), SLUICE_PASS_ARP);
}

static void control_traffic_of_a_subscriber_does_not_count_as_his(void **state)
{
	static const struct bpfrun_rule permit[] = {{SLUICE_UPLINK, SLUICE_PERMIT, .remote = NULL}};
	struct bpfrun_counters counters;

	(void)state;
	bpfrun_session(run, "10.0.0.5", permit, 1);
	assert_int_equal(up(SPEC(UDP("10.0.0.5", 68, "255.255.255.255", 67))), SLUICE_PASS_DHCP);
	counters = bpfrun_counters(run);
	assert_int_equal(counters.usage.packets, 0);
	assert_int_equal(counters.passes.packets, 1);
}

static void a_link_local_source_that_is_no_control_traffic_is_an_unknown_subscriber(void **state)
{
	(void)state;
	assert_int_equal(up(SPEC(UDP("fe80::5", 5353, "2001:db8:77::1", 53))), SLUICE_PASS_NONE);
	assert_int_equal(bpfrun_drops(run, SLUICE_DROP_UNKNOWN_SUBSCRIBER, SLUICE_UPLINK).packets, 1);
}

#define T(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(arp_passes_in_both_directions),
		T(what_is_not_ethernet_ipv4_arp_does_not_pass),
		T(link_layer_protocols_pass_to_the_groups_that_bridges_keep),
		T(neighbour_discovery_passes_with_hop_limit_255_only),
		T(a_neighbour_solicitation_that_would_be_routed_on_does_not_pass),
		T(multicast_listeners_pass_with_ttl_1_to_multicast_groups),
		T(dhcpv4_passes_where_it_cannot_be_routed),
		T(dhcpv6_passes_between_link_local_addresses),
		T(bfd_passes_with_ttl_255_to_the_gateway_itself),
		T(ospf_passes_to_its_groups_or_with_ttl_1),
		T(control_traffic_passes_behind_vlan_tags),
		T(control_traffic_of_a_subscriber_does_not_count_as_his),
		T(a_link_local_source_that_is_no_control_traffic_is_an_unknown_subscriber),
	};

	return cmocka_run_group_tests_name("control", tests, open_rig, close_rig);
}
