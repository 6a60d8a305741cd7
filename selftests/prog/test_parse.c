// SPDX-License-Identifier: Apache-2.0
/* What access_ingress and access_egress make of headers: found ports, lengths, and what is malformed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <netinet/in.h>

#include "bpfrun_fixture.h"

#define UE4	"10.0.0.5"
#define UE6	"2001:db8:5::7"
#define SERVER4 "198.51.100.9"
#define SERVER6 "2001:db8:99::9"
#define HOP	0xff

static struct bpfrun_session session4, session6;

/* One session a family, with a rule that only a packet whose ports were found can match. */
static int setup(void **state)
{
	static const struct bpfrun_rule rules[] = {
		{SLUICE_UPLINK, SLUICE_PERMIT, .protocol = IPPROTO_UDP, .remote_port = {53, 53},
		 .local_port = {4000, 4000}},
		{SLUICE_UPLINK, SLUICE_PERMIT, .protocol = IPPROTO_TCP, .remote_port = {80, 80},
		 .local_port = {4000, 4000}},
		{SLUICE_UPLINK, SLUICE_PERMIT, .protocol = IPPROTO_SCTP, .remote_port = {9, 9},
		 .local_port = {4000, 4000}},
		{SLUICE_UPLINK, SLUICE_PERMIT, .protocol = IPPROTO_ICMP},
		{SLUICE_UPLINK, SLUICE_PERMIT, .protocol = IPPROTO_ICMPV6},
		{SLUICE_UPLINK, SLUICE_PERMIT, .protocol = IPPROTO_GRE},
	};

	(void)state;
	bpfrun_reset(run);
	session4 = bpfrun_session(run, UE4, rules, 6);
	session6 = bpfrun_session(run, UE6, rules, 6);
	return 0;
}

static uint32_t slot_of(const struct packet_spec *spec)
{
	uint32_t base = strchr(spec->source, ':') ? session6.base : session4.base;

	switch (spec->protocol) {
	case IPPROTO_UDP:
		return base + 1;
	case IPPROTO_TCP:
		return base + 2;
	case IPPROTO_SCTP:
		return base + 3;
	case IPPROTO_ICMP:
		return base + 4;
	case IPPROTO_ICMPV6:
		return base + 5;
	default:
		return base + 6;
	}
}

/* The packet passes by the rule of its protocol and is counted there with the bytes of its IP packet. */
static void assert_found(const struct packet_spec *spec)
{
	struct bpfrun_context context = {0};
	struct sluice_usage before = *bpfrun_usage(run, slot_of(spec));
	const struct sluice_usage *after;
	struct packet packet;

	packet_build(&packet, spec);
	assert_int_equal(bpfrun_packet(run,
				       spec->no_ethernet ? BPFRUN_ACCESS_INGRESS_L3 : BPFRUN_ACCESS_INGRESS,
				       &packet, &context)
				 .verdict,
			 BPFRUN_TC_NEXT);
	after = bpfrun_usage(run, slot_of(spec));
	assert_int_equal(after->uplink.packets - before.uplink.packets, 1);
	assert_int_equal(after->uplink.bytes - before.uplink.bytes, packet.ip_bytes);
}

static void assert_malformed(const struct packet *packet)
{
	struct bpfrun_context context = {0};
	struct sluice_counter before = bpfrun_drops(run, SLUICE_DROP_MALFORMED, SLUICE_UPLINK);

	assert_int_equal(bpfrun_packet(run, BPFRUN_ACCESS_INGRESS, packet, &context).verdict, BPFRUN_TC_DROP);
	assert_int_equal(bpfrun_drops(run, SLUICE_DROP_MALFORMED, SLUICE_UPLINK).packets, before.packets + 1);
}

#define UDP4                                                                                 \
	.source = UE4, .destination = SERVER4, .protocol = IPPROTO_UDP, .source_port = 4000, \
	.destination_port = 53
#define TCP4                                                                                 \
	.source = UE4, .destination = SERVER4, .protocol = IPPROTO_TCP, .source_port = 4000, \
	.destination_port = 80
#define SCTP4                                                                                 \
	.source = UE4, .destination = SERVER4, .protocol = IPPROTO_SCTP, .source_port = 4000, \
	.destination_port = 9
#define UDP6                                                                                 \
	.source = UE6, .destination = SERVER6, .protocol = IPPROTO_UDP, .source_port = 4000, \
	.destination_port = 53
#define TCP6                                                                                 \
	.source = UE6, .destination = SERVER6, .protocol = IPPROTO_TCP, .source_port = 4000, \
	.destination_port = 80
#define SCTP6                                                                                 \
	.source = UE6, .destination = SERVER6, .protocol = IPPROTO_SCTP, .source_port = 4000, \
	.destination_port = 9

static void transport_headers_are_found_in_plain_packets(void **state)
{
	(void)state;
	assert_found(&(struct packet_spec){UDP4});
	assert_found(&(struct packet_spec){TCP4, .payload = 700});
	assert_found(&(struct packet_spec){TCP4, .tcp_options = 40, .payload = 1});
	assert_found(&(struct packet_spec){SCTP4, .payload = 20});
	assert_found(&(struct packet_spec){UDP6});
	assert_found(&(struct packet_spec){TCP6, .tcp_options = 12, .payload = 700});
	assert_found(&(struct packet_spec){SCTP6});
	assert_found(&(struct packet_spec){
		.source = UE4, .destination = SERVER4, .protocol = IPPROTO_ICMP, .icmp_type = 8});
	assert_found(&(struct packet_spec){.source = UE6,
					   .destination = SERVER6,
					   .protocol = IPPROTO_ICMPV6,
					   .icmp_type = 128,
					   .payload = 56});
	assert_found(&(struct packet_spec){
		.source = UE4, .destination = SERVER4, .protocol = IPPROTO_GRE, .payload = 4});
}

static void up_to_two_vlan_tags_are_seen_through(void **state)
{
	(void)state;
	assert_found(&(struct packet_spec){UDP4, .tag = {0x8100}});
	assert_found(&(struct packet_spec){UDP4, .tag = {0x88a8, 0x8100}});
	assert_found(&(struct packet_spec){UDP6, .tag = {0x8100}});
	assert_found(&(struct packet_spec){TCP6, .tag = {0x8100, 0x8100}, .payload = 100});
}

/* What is received has its outermost tag taken out before, so that this is a fourth one there. */
static void a_third_tag_in_the_frame_is_not_ip(void **state)
{
	static const struct packet_spec spec = {UDP4, .tag = {0x8100, 0x8100, 0x8100}};

	(void)state;
	assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_INGRESS, &spec), BPFRUN_TC_DROP);
	assert_int_equal(bpfrun_drops(run, SLUICE_DROP_NOT_IP, SLUICE_UPLINK).packets, 1);
}

static void ipv4_options_of_every_length_are_skipped(void **state)
{
	(void)state;
	for (size_t options = 4; options <= 40; options += 4) {
		assert_found(&(struct packet_spec){UDP4, .ip_options = options, .payload = 10});
		assert_found(&(struct packet_spec){TCP4, .ip_options = options});
	}
}

static void ipv6_extension_headers_are_skipped(void **state)
{
	(void)state;
	assert_found(&(struct packet_spec){UDP6, .extension = {HOP}});
	assert_found(&(struct packet_spec){UDP6, .extension = {IPPROTO_ROUTING}});
	assert_found(&(struct packet_spec){UDP6, .extension = {IPPROTO_DSTOPTS}});
	assert_found(&(struct packet_spec){UDP6, .extension = {IPPROTO_AH}});
	assert_found(&(struct packet_spec){
		TCP6, .extension = {HOP, IPPROTO_DSTOPTS, IPPROTO_ROUTING, IPPROTO_AH, IPPROTO_DSTOPTS}});
	assert_found(&(struct packet_spec){
		TCP6, .extension = {HOP, IPPROTO_DSTOPTS, IPPROTO_DSTOPTS, IPPROTO_DSTOPTS, IPPROTO_DSTOPTS,
				    IPPROTO_DSTOPTS, IPPROTO_DSTOPTS, IPPROTO_DSTOPTS}});
}

static void an_extension_header_of_full_length_is_skipped(void **state)
{
	struct bpfrun_context context = {0};
	struct packet packet;
	uint16_t payload;

	(void)state;
	/* a destination options header of 2,048 bytes, then UDP */
	packet_build(&packet, &(struct packet_spec){UDP6, .extension = {IPPROTO_DSTOPTS}, .payload = 100});
	memmove(packet.data + packet.network + 40 + 2048, packet.data + packet.network + 48, 108);
	memset(packet.data + packet.network + 42, 0, 2046);
	packet.data[packet.network + 41] = 255;
	packet.length += 2040;
	payload = htons((uint16_t)(packet.length - packet.network - 40));
	memcpy(packet.data + packet.network + 4, &payload, 2);
	assert_int_equal(bpfrun_packet(run, BPFRUN_ACCESS_INGRESS, &packet, &context).verdict,
			 BPFRUN_TC_NEXT);
	assert_int_equal(bpfrun_usage(run, session6.base + 1)->uplink.bytes, 40 + 2048 + 108);
}

static void more_than_eight_extension_headers_are_malformed(void **state)
{
	struct packet packet;

	(void)state;
	packet_build(&packet,
		     &(struct packet_spec){TCP6, .extension = {HOP, 60, 60, 60, 60, 60, 60, 60, 60}});
	assert_malformed(&packet);
}

static void an_atomic_fragment_is_a_whole_packet(void **state)
{
	(void)state;
	assert_found(&(struct packet_spec){UDP6, .extension = {IPPROTO_FRAGMENT}});
}

static void the_first_fragment_has_ports(void **state)
{
	(void)state;
	assert_found(&(struct packet_spec){UDP4, .more_fragments = true, .payload = 64});
	assert_found(&(struct packet_spec){UDP6, .extension = {IPPROTO_FRAGMENT}, .more_fragments = true,
					   .payload = 64});
	assert_found(&(struct packet_spec){TCP6, .extension = {HOP, IPPROTO_FRAGMENT, IPPROTO_DSTOPTS},
					   .more_fragments = true});
}

static void a_later_fragment_has_no_ports(void **state)
{
	static const struct packet_spec later4 = {UDP4, .fragment_offset = 1480, .payload = 64};
	static const struct packet_spec later6 = {UDP6, .extension = {IPPROTO_FRAGMENT},
						  .fragment_offset = 1448, .payload = 64};

	(void)state;
	assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_INGRESS, &later4), BPFRUN_TC_DROP);
	assert_int_equal(bpfrun_usage(run, session4.base)->uplink_dropped.bytes, 20 + 64);
	assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_INGRESS, &later6), BPFRUN_TC_DROP);
	assert_int_equal(bpfrun_usage(run, session6.base)->uplink_dropped.bytes, 40 + 8 + 64);
}

static void ethernet_padding_is_not_counted(void **state)
{
	(void)state;
	assert_found(&(struct packet_spec){UDP4, .padding = 18});
	assert_found(&(struct packet_spec){UDP6, .padding = 3});
}

/* eth_type_trans of a test run reads bytes 12 and 13: addresses that put the right protocol there. */
static void packets_without_a_link_header_are_parsed_from_their_first_byte(void **state)
{
	static const struct bpfrun_rule dns = {SLUICE_UPLINK, SLUICE_PERMIT, .protocol = IPPROTO_UDP,
					       .remote_port = {53, 53}};
	static const struct packet_spec packet4 = {.source = "8.0.0.5",
						   .destination = SERVER4,
						   .protocol = IPPROTO_UDP,
						   .source_port = 4000,
						   .destination_port = 53,
						   .payload = 6,
						   .no_ethernet = true};
	static const struct packet_spec packet6 = {.source = "2001:db8:86dd:0::5",
						   .destination = SERVER6,
						   .protocol = IPPROTO_UDP,
						   .source_port = 4000,
						   .destination_port = 53,
						   .payload = 6,
						   .no_ethernet = true};
	struct bpfrun_session s4 = bpfrun_session(run, "8.0.0.5", &dns, 1);
	struct bpfrun_session s6 = bpfrun_session(run, "2001:db8:86dd::", &dns, 1);

	(void)state;
	assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_INGRESS_L3, &packet4), BPFRUN_TC_NEXT);
	assert_int_equal(bpfrun_usage(run, s4.base + 1)->uplink.bytes, 34);
	assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_INGRESS_L3, &packet6), BPFRUN_TC_NEXT);
	assert_int_equal(bpfrun_usage(run, s6.base + 1)->uplink.bytes, 54);
}

static void the_downlink_programs_see_the_same_headers(void **state)
{
	static const struct bpfrun_rule web = {SLUICE_DOWNLINK, SLUICE_PERMIT, .protocol = IPPROTO_TCP,
					       .remote_port = {443, 443}};
	static const struct packet_spec packet4 = {.source = SERVER4,
						   .destination = UE4,
						   .protocol = IPPROTO_TCP,
						   .source_port = 443,
						   .destination_port = 4000,
						   .ip_options = 8,
						   .tag = {0x8100}};
	static const struct packet_spec packet6 = {.source = SERVER6,
						   .destination = UE6,
						   .protocol = IPPROTO_TCP,
						   .source_port = 443,
						   .destination_port = 4000,
						   .extension = {HOP, IPPROTO_ROUTING}};
	static const struct packet_spec bare = {.source = "8.0.0.9",
						.destination = UE4,
						.protocol = IPPROTO_TCP,
						.source_port = 443,
						.destination_port = 4000,
						.no_ethernet = true};
	struct bpfrun_session s4 = bpfrun_session(run, UE4, &web, 1);
	struct bpfrun_session s6 = bpfrun_session(run, UE6, &web, 1);

	(void)state;
	assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_EGRESS, &packet4), BPFRUN_TC_NEXT);
	assert_int_equal(bpfrun_usage(run, s4.base + 1)->downlink.bytes, 48);
	assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_EGRESS, &packet6), BPFRUN_TC_NEXT);
	assert_int_equal(bpfrun_usage(run, s6.base + 1)->downlink.bytes, 76);
	assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_EGRESS_L3, &bare), BPFRUN_TC_NEXT);
	assert_int_equal(bpfrun_usage(run, s4.base + 1)->downlink.bytes, 48 + 40);
}

static void headers_that_contradict_each_other_are_malformed(void **state)
{
	static const struct packet_spec tcp4 = {TCP4, .payload = 20}, udp4 = {UDP4, .payload = 20},
					udp6 = {UDP6};
	struct packet packet;

	(void)state;
	packet_build(&packet, &tcp4);
	packet.data[packet.network] = 0x44; /* header of 16 bytes */
	assert_malformed(&packet);
	packet_build(&packet, &tcp4);
	packet.data[packet.network] = 0x65; /* version 6 under the IPv4 ethertype */
	assert_malformed(&packet);
	packet_build(&packet, &tcp4);
	packet.data[packet.network + 3] = 19; /* total length below the header's */
	assert_malformed(&packet);
	packet_build(&packet, &tcp4);
	packet.data[packet.network + 3]++; /* total length beyond the frame */
	assert_malformed(&packet);
	packet_build(&packet, &tcp4);
	packet.data[packet.network + 2] = packet.data[packet.network + 3] = 0; /* no length, and not GSO */
	assert_malformed(&packet);
	packet_build(&packet, &tcp4);
	packet.data[packet.transport + 12] = 0x40; /* TCP header of 16 bytes */
	assert_malformed(&packet);
	packet_build(&packet, &tcp4);
	packet.data[packet.transport + 12] = 0xf0; /* TCP header beyond the packet */
	assert_malformed(&packet);
	packet_build(&packet, &udp4);
	packet.data[packet.transport + 5] = 7; /* UDP length below the header's */
	assert_malformed(&packet);
	packet_build(&packet, &udp4);
	packet.data[packet.transport + 5] = 29; /* UDP length beyond the packet */
	assert_malformed(&packet);
	packet_build(&packet, &udp6);
	packet.data[packet.network] = 0x45; /* version 4 under the IPv6 ethertype */
	assert_malformed(&packet);
	packet_build(&packet, &udp6);
	packet.data[packet.network + 5]++; /* payload beyond the frame */
	assert_malformed(&packet);
	packet_build(&packet, &udp6);
	packet.data[packet.network + 5] = 0; /* ports beyond the payload */
	assert_malformed(&packet);
	packet_build(&packet, &(struct packet_spec){UDP6, .extension = {IPPROTO_DSTOPTS}});
	packet.data[packet.network + 41] = 1; /* the extension header ends where UDP does: no ports */
	assert_malformed(&packet);
	packet.data[packet.network + 41] = 200; /* ends beyond the frame */
	assert_malformed(&packet);
}

static void a_packet_cut_anywhere_before_the_end_of_its_headers_is_malformed(void **state)
{
	static const struct packet_spec specs[] = {
		{UDP4},
		{TCP4, .ip_options = 8},
		{SCTP4},
		{UDP6},
		{TCP6, .extension = {HOP, IPPROTO_AH}},
		{UDP4, .tag = {0x8100, 0x8100}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		struct packet packet;
		size_t first;

		packet_build(&packet, &specs[i]);
		/* test runs of less are refused by the kernel */
		first = specs[i].tag[0] ? 14 : packet.network + (strchr(specs[i].source, ':') ? 40 : 20);
		for (size_t length = first; length < packet.length; length++) {
			struct packet cut = packet;

			cut.length = length;
			assert_malformed(&cut);
		}
	}
}

static void xdp_drops_a_packet_that_ends_within_its_ip_header(void **state)
{
	static const struct packet_spec specs[] = {{UDP4}, {UDP6}};
	static const size_t lengths[] = {14, 15, 33};
	uint64_t count = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		for (size_t j = 0; j < sizeof(lengths) / sizeof(lengths[0]); j++) {
			struct bpfrun_context context = {0};
			struct packet packet;

			packet_build(&packet, &specs[i]);
			packet.length = lengths[j];
			assert_int_equal(bpfrun_packet(run, BPFRUN_XDP_ACCESS, &packet, &context).verdict,
					 BPFRUN_XDP_DROP);
			assert_int_equal(bpfrun_drops(run, SLUICE_DROP_MALFORMED, SLUICE_UPLINK).packets,
					 ++count);
		}
	}
}

static void a_first_fragment_too_short_for_ports_is_malformed(void **state)
{
	struct packet packet;

	(void)state;
	packet_build(&packet, &(struct packet_spec){.source = UE4,
						    .destination = SERVER4,
						    .protocol = IPPROTO_UDP,
						    .more_fragments = true});
	packet.data[packet.network + 3] = 24;
	assert_malformed(&packet);
}

#define T(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(transport_headers_are_found_in_plain_packets),
		T(up_to_two_vlan_tags_are_seen_through),
		T(a_third_tag_in_the_frame_is_not_ip),
		T(ipv4_options_of_every_length_are_skipped),
		T(ipv6_extension_headers_are_skipped),
		T(an_extension_header_of_full_length_is_skipped),
		T(more_than_eight_extension_headers_are_malformed),
		T(an_atomic_fragment_is_a_whole_packet),
		T(the_first_fragment_has_ports),
		T(a_later_fragment_has_no_ports),
		T(ethernet_padding_is_not_counted),
		T(packets_without_a_link_header_are_parsed_from_their_first_byte),
		T(the_downlink_programs_see_the_same_headers),
		T(headers_that_contradict_each_other_are_malformed),
		T(a_packet_cut_anywhere_before_the_end_of_its_headers_is_malformed),
		T(xdp_drops_a_packet_that_ends_within_its_ip_header),
		T(a_first_fragment_too_short_for_ports_is_malformed),
	};

	return cmocka_run_group_tests_name("parse", tests, open_rig, close_rig);
}
