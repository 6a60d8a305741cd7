// SPDX-License-Identifier: Apache-2.0
/* What is counted where, to the byte: GSO, unknown subscribers, totals by reason, records for watchers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "bpfrun_fixture.h"

#define UE4	"10.0.0.5"
#define UE6	"2001:db8:5::7"
#define SERVER4 "198.51.100.9"
#define SERVER6 "2001:db8:99::9"
#define HOP	0xff

static struct bpfrun_session session4, session6;

static int setup(void **state)
{
	static const struct bpfrun_rule rules[] = {
		{SLUICE_UPLINK, SLUICE_DENY, .protocol = IPPROTO_ICMP},
		{SLUICE_UPLINK, SLUICE_PERMIT, .remote = NULL},
		{SLUICE_DOWNLINK, SLUICE_PERMIT, .remote = NULL},
	};

	(void)state;
	bpfrun_reset(run);
	session4 = bpfrun_session(run, UE4, rules, 3);
	session6 = bpfrun_session(run, UE6, rules, 3);
	return 0;
}

static void assert_counter(const struct sluice_counter *counter, uint64_t packets, uint64_t bytes)
{
	assert_int_equal(counter->packets, packets);
	assert_int_equal(counter->bytes, bytes);
}

static int send_gso(const struct packet_spec *spec, enum bpfrun_program program, uint32_t segments,
		    uint32_t size)
{
	struct bpfrun_context context = {.gso_segs = segments, .gso_size = size};
	struct packet packet;

	packet_build(&packet, spec);
	return bpfrun_packet(run, program, &packet, &context).verdict;
}

#define TCP4                                                                                 \
	.source = UE4, .destination = SERVER4, .protocol = IPPROTO_TCP, .source_port = 4000, \
	.destination_port = 80
#define UDP4                                                                                 \
	.source = UE4, .destination = SERVER4, .protocol = IPPROTO_UDP, .source_port = 4000, \
	.destination_port = 443
#define TCP6                                                                                 \
	.source = UE6, .destination = SERVER6, .protocol = IPPROTO_TCP, .source_port = 4000, \
	.destination_port = 80
#define UDP6                                                                                 \
	.source = UE6, .destination = SERVER6, .protocol = IPPROTO_UDP, .source_port = 4000, \
	.destination_port = 443

static void every_packet_adds_its_ip_bytes_to_its_rule_and_direction(void **state)
{
	static const struct packet_spec up = {UDP4, .payload = 72};
	static const struct packet_spec down = {
		.source = SERVER4, .destination = UE4, .protocol = IPPROTO_UDP, .payload = 172};
	struct bpfrun_counters counters;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_INGRESS, &up), BPFRUN_TC_NEXT);
	for (int i = 0; i < 2; i++)
		assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_EGRESS, &down), BPFRUN_TC_NEXT);
	assert_counter(&bpfrun_usage(run, session4.base + 2)->uplink, 3, 300);
	assert_counter(&bpfrun_usage(run, session4.base + 2)->downlink, 0, 0);
	assert_counter(&bpfrun_usage(run, session4.base + 3)->downlink, 2, 400);
	counters = bpfrun_counters(run);
	assert_counter(&counters.usage, 5, 700);
	assert_counter(&counters.usage_dropped, 0, 0);
	assert_counter(&counters.drops, 0, 0);
	assert_counter(&counters.passes, 0, 0);
}

static void a_dropped_packet_counts_once_under_its_rule_and_once_under_its_reason(void **state)
{
	static const struct packet_spec ping = {
		.source = UE4, .destination = SERVER4, .protocol = IPPROTO_ICMP, .payload = 56};
	struct bpfrun_counters counters;

	(void)state;
	assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_INGRESS, &ping), BPFRUN_TC_DROP);
	assert_counter(&bpfrun_usage(run, session4.base + 1)->uplink_dropped, 1, 84);
	counters = bpfrun_counters(run);
	assert_counter(&counters.usage, 0, 0);
	assert_counter(&counters.usage_dropped, 1, 84);
	assert_counter(&counters.drops, 1, 84);
}

/* Ten segments of 300 bytes, the last one shorter: ten times the headers. */
static void each_gso_segment_counts_with_headers_of_its_own(void **state)
{
	(void)state;
	assert_int_equal(
		send_gso(&(struct packet_spec){TCP4, .payload = 2900}, BPFRUN_ACCESS_INGRESS, 10, 300),
		BPFRUN_TC_NEXT);
	assert_counter(&bpfrun_usage(run, session4.base + 2)->uplink, 10, 2900 + 10 * 40);

	setup(NULL);
	send_gso(&(struct packet_spec){TCP4, .payload = 2900, .tcp_options = 12, .ip_options = 8},
		 BPFRUN_ACCESS_INGRESS, 10, 300);
	assert_counter(&bpfrun_usage(run, session4.base + 2)->uplink, 10, 2900 + 10 * 60);

	setup(NULL);
	send_gso(&(struct packet_spec){TCP6, .payload = 2900, .tcp_options = 12}, BPFRUN_ACCESS_INGRESS, 10,
		 300);
	assert_counter(&bpfrun_usage(run, session6.base + 2)->uplink, 10, 2900 + 10 * 72);

	setup(NULL);
	send_gso(&(struct packet_spec){TCP6, .payload = 2900, .extension = {IPPROTO_DSTOPTS}},
		 BPFRUN_ACCESS_INGRESS, 10, 300);
	assert_counter(&bpfrun_usage(run, session6.base + 2)->uplink, 10, 2900 + 10 * 68);

	setup(NULL);
	send_gso(&(struct packet_spec){UDP4, .payload = 2900}, BPFRUN_ACCESS_INGRESS, 10, 300);
	assert_counter(&bpfrun_usage(run, session4.base + 2)->uplink, 10, 2900 + 10 * 28);

	setup(NULL);
	send_gso(&(struct packet_spec){UDP6, .payload = 2900}, BPFRUN_ACCESS_INGRESS, 10, 300);
	assert_counter(&bpfrun_usage(run, session6.base + 2)->uplink, 10, 2900 + 10 * 48);
}

static void downlink_gso_counts_as_uplink_gso(void **state)
{
	static const struct packet_spec spec = {
		.source = SERVER4, .destination = UE4, .protocol = IPPROTO_TCP, .payload = 2900};

	(void)state;
	assert_int_equal(send_gso(&spec, BPFRUN_ACCESS_EGRESS, 10, 300), BPFRUN_TC_NEXT);
	assert_counter(&bpfrun_usage(run, session4.base + 3)->downlink, 10, 2900 + 10 * 40);
}

static void the_segments_are_computed_where_only_their_size_is_given(void **state)
{
	(void)state;
	send_gso(&(struct packet_spec){TCP4, .payload = 2900}, BPFRUN_ACCESS_INGRESS, 0, 300);
	assert_counter(&bpfrun_usage(run, session4.base + 2)->uplink, 10, 2900 + 10 * 40);
	setup(NULL);
	send_gso(&(struct packet_spec){TCP4, .payload = 3000}, BPFRUN_ACCESS_INGRESS, 0, 300);
	assert_counter(&bpfrun_usage(run, session4.base + 2)->uplink, 10, 3000 + 10 * 40);
	setup(NULL);
	send_gso(&(struct packet_spec){TCP4, .payload = 3001}, BPFRUN_ACCESS_INGRESS, 0, 300);
	assert_counter(&bpfrun_usage(run, session4.base + 2)->uplink, 11, 3001 + 11 * 40);
	setup(NULL);
	send_gso(&(struct packet_spec){TCP4, .payload = 200}, BPFRUN_ACCESS_INGRESS, 0, 300);
	assert_counter(&bpfrun_usage(run, session4.base + 2)->uplink, 1, 240);
	setup(NULL);
	send_gso(&(struct packet_spec){TCP4, .payload = 200}, BPFRUN_ACCESS_INGRESS, 1, 300);
	assert_counter(&bpfrun_usage(run, session4.base + 2)->uplink, 1, 240);
}

struct tunnel {
	uint8_t protocol; /* of the outer header */
	size_t headers;	  /* between the outer IP header and the innermost payload */
	uint8_t head[64]; /* those of their bytes that say what follows */
};

#define INNER_IP4(proto) 0x45, 0, 0, 0, 0, 0, 0, 0, 0, proto, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
#define INNER_IP6(proto)                                                                                    \
	0x60, 0, 0, 0, 0, 0, proto, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, \
		0, 0, 0, 0, 0, 0, 0, 0, 0
#define TCP_OF(words) 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, (words) << 4

static void the_headers_inside_a_subscribers_tunnel_are_repeated_in_each_segment(void **state)
{
	static const struct tunnel tunnels[] = {
		{IPPROTO_IPIP, 20 + 32, {INNER_IP4(IPPROTO_TCP), TCP_OF(8)}},
		{IPPROTO_IPIP, 20 + 8, {INNER_IP4(IPPROTO_UDP)}},
		{IPPROTO_IPV6, 40 + 20, {INNER_IP6(IPPROTO_TCP), TCP_OF(5)}},
		{IPPROTO_GRE, 4 + 20 + 20, {0, 0, 8, 0, INNER_IP4(IPPROTO_TCP), TCP_OF(5)}},
		{IPPROTO_GRE,
		 16 + 20 + 20,
		 {0xb0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, INNER_IP4(IPPROTO_TCP), TCP_OF(5)}},
		{IPPROTO_GRE,
		 4 + 14 + 20 + 20,
		 {0,	    0, 0x65, 0x58, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, INNER_IP4(IPPROTO_TCP),
		  TCP_OF(5)}},
		/* no TCP or UDP inside: what is cut is not known to repeat */
		{IPPROTO_IPIP, 20, {INNER_IP4(IPPROTO_ESP)}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(tunnels) / sizeof(tunnels[0]); i++) {
		struct bpfrun_context context = {.gso_size = 300};
		size_t headers = 20 + tunnels[i].headers;
		struct packet packet;

		setup(NULL);
		packet_build(&packet, &(struct packet_spec){.source = UE4,
							    .destination = SERVER4,
							    .protocol = tunnels[i].protocol,
							    .payload = tunnels[i].headers + 2900});
		memcpy(packet.data + packet.transport, tunnels[i].head, sizeof(tunnels[i].head));
		assert_int_equal(bpfrun_packet(run, BPFRUN_ACCESS_INGRESS, &packet, &context).verdict,
				 BPFRUN_TC_NEXT);
		assert_counter(&bpfrun_usage(run, session4.base + 2)->uplink, 10, 2900 + 10 * headers);
	}
}

static void dropped_gso_packets_count_each_segment_too(void **state)
{
	static const struct packet_spec stranger = {
		.source = "10.0.0.77", .destination = SERVER4, .protocol = IPPROTO_TCP, .payload = 2900};
	struct sluice_counter drops;

	(void)state;
	assert_int_equal(send_gso(&stranger, BPFRUN_ACCESS_INGRESS, 10, 300), BPFRUN_TC_DROP);
	drops = bpfrun_drops(run, SLUICE_DROP_UNKNOWN_SUBSCRIBER, SLUICE_UPLINK);
	assert_counter(&drops, 10, 2900 + 10 * 40);
}

/* Over 64 KiB the IP length is zero; IPv6 puts a jumbo header in that the wire never sees. */
static void big_tcp_counts_what_reaches_the_wire(void **state)
{
	struct bpfrun_context context = {.gso_segs = 5, .gso_size = 500};
	struct packet packet;

	(void)state;
	packet_build(&packet, &(struct packet_spec){TCP4, .payload = 2500});
	packet.data[packet.network + 2] = packet.data[packet.network + 3] = 0;
	assert_int_equal(bpfrun_packet(run, BPFRUN_ACCESS_INGRESS, &packet, &context).verdict,
			 BPFRUN_TC_NEXT);
	assert_counter(&bpfrun_usage(run, session4.base + 2)->uplink, 5, 2500 + 5 * 40);

	packet_build(&packet, &(struct packet_spec){TCP6, .payload = 2500, .extension = {HOP}});
	packet.data[packet.network + 4] = packet.data[packet.network + 5] = 0;
	assert_int_equal(bpfrun_packet(run, BPFRUN_ACCESS_INGRESS, &packet, &context).verdict,
			 BPFRUN_TC_NEXT);
	assert_counter(&bpfrun_usage(run, session6.base + 2)->uplink, 5, 2500 + 5 * 60);

	setup(NULL);
	packet_build(&packet, &(struct packet_spec){TCP6, .payload = 2500});
	packet.data[packet.network + 4] = packet.data[packet.network + 5] = 0;
	assert_int_equal(bpfrun_packet(run, BPFRUN_ACCESS_INGRESS, &packet, &context).verdict,
			 BPFRUN_TC_NEXT);
	assert_counter(&bpfrun_usage(run, session6.base + 2)->uplink, 5, 2500 + 5 * 60);
}

static void unknown_subscribers_are_dropped_or_pass_by_the_setting(void **state)
{
	static const struct packet_spec packets[][2] = {
		{{.source = "10.9.9.9", .destination = SERVER4, .protocol = IPPROTO_UDP, .payload = 72},
		 {.source = SERVER4, .destination = "10.9.9.9", .protocol = IPPROTO_UDP, .payload = 72}},
		{{.source = "2001:db8:dead::1",
		  .destination = SERVER6,
		  .protocol = IPPROTO_UDP,
		  .payload = 52},
		 {.source = SERVER6,
		  .destination = "2001:db8:dead::1",
		  .protocol = IPPROTO_UDP,
		  .payload = 52}},
		{{.source = "fe80::1", .destination = SERVER6, .protocol = IPPROTO_UDP, .payload = 52},
		 {.source = SERVER6, .destination = "ff1e::5", .protocol = IPPROTO_UDP, .payload = 52}},
		{{.source = "10.9.9.9", .destination = "224.0.0.251", .protocol = IPPROTO_UDP, .payload = 72},
		 {.source = SERVER4,
		  .destination = "255.255.255.255",
		  .protocol = IPPROTO_UDP,
		  .payload = 72}},
	};
	const size_t count = sizeof(packets) / sizeof(packets[0]);
	struct sluice_counter counter;

	(void)state;
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_INGRESS, &packets[i][0]), BPFRUN_TC_DROP);
		assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_EGRESS, &packets[i][1]), BPFRUN_TC_DROP);
	}
	for (uint32_t direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		counter = bpfrun_drops(run, SLUICE_DROP_UNKNOWN_SUBSCRIBER, direction);
		assert_counter(&counter, count, count * 100);
	}
	assert_int_equal(bpfrun_counters(run).drops.packets, 2 * count);

	bpfrun_settings(run)->unknown_drop = 0;
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_INGRESS, &packets[i][0]), BPFRUN_TC_NEXT);
		assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_EGRESS, &packets[i][1]), BPFRUN_TC_NEXT);
	}
	for (uint32_t direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		counter = bpfrun_passes(run, SLUICE_PASS_UNKNOWN_SUBSCRIBER, direction);
		assert_counter(&counter, count, count * 100);
	}
	assert_int_equal(bpfrun_counters(run).drops.packets, 2 * count);
}

static void what_is_not_ip_follows_the_setting_for_unknown_subscribers(void **state)
{
	static const struct packet_spec pppoe = {.ethertype = 0x8864, .payload = 80};
	struct sluice_counter counter;

	(void)state;
	assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_INGRESS, &pppoe), BPFRUN_TC_DROP);
	counter = bpfrun_drops(run, SLUICE_DROP_NOT_IP, SLUICE_UPLINK);
	assert_counter(&counter, 1, 80);
	assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_EGRESS, &pppoe), BPFRUN_TC_DROP);
	counter = bpfrun_drops(run, SLUICE_DROP_NOT_IP, SLUICE_DOWNLINK);
	assert_counter(&counter, 1, 80);
	bpfrun_settings(run)->unknown_drop = 0;
	assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_INGRESS, &pppoe), BPFRUN_TC_NEXT);
	counter = bpfrun_passes(run, SLUICE_PASS_UNKNOWN_SUBSCRIBER, SLUICE_UPLINK);
	assert_counter(&counter, 1, 80);
}

static void malformed_packets_are_dropped_whatever_the_setting(void **state)
{
	struct bpfrun_context context = {0};
	struct packet packet;

	(void)state;
	bpfrun_settings(run)->unknown_drop = 0;
	packet_build(&packet, &(struct packet_spec){UDP4});
	packet.data[packet.network] = 0x41;
	assert_int_equal(bpfrun_packet(run, BPFRUN_ACCESS_INGRESS, &packet, &context).verdict,
			 BPFRUN_TC_DROP);
}

static void an_endpoint_without_a_policy_is_a_defect_that_drops_and_shows(void **state)
{
	static const struct packet_spec spec = {UDP4};

	(void)state;
	bpfrun_break_endpoint(run, UE4);
	assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_INGRESS, &spec), BPFRUN_TC_DROP);
	assert_int_equal(bpfrun_drops(run, SLUICE_DROP_POLICY_MISSING, SLUICE_UPLINK).packets, 1);
}

static void a_packet_is_never_judged_by_the_policy_of_another_address(void **state)
{
	static const struct packet_spec spec4 = {UDP4}, spec6 = {UDP6};

	(void)state;
	/* what a packet sees that was held up while the kernel gave its endpoint's element to another */
	bpfrun_policy(run, session4.policy)->endpoint_tag ^= 1;
	bpfrun_policy(run, session6.policy)->endpoint_tag ^= 1;
	assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_INGRESS, &spec4), BPFRUN_TC_DROP);
	assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_INGRESS, &spec6), BPFRUN_TC_DROP);
	assert_int_equal(bpfrun_drops(run, SLUICE_DROP_POLICY_MISSING, SLUICE_UPLINK).packets, 2);
	for (uint32_t rule = 0; rule < 2; rule++) {
		assert_int_equal(bpfrun_usage(run, session4.base + rule)->uplink.packets, 0);
		assert_int_equal(bpfrun_usage(run, session4.base + rule)->uplink_dropped.packets, 0);
	}
}

static void a_match_list_outside_its_map_drops_and_shows(void **state)
{
	static const struct packet_spec spec4 = {UDP4}, spec6 = {UDP6};

	(void)state;
	bpfrun_policy(run, session4.policy)->uplink_block = SLUICE_NONE - 1;
	bpfrun_policy(run, session6.policy)->uplink_block = SLUICE_NONE - 1;
	assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_INGRESS, &spec4), BPFRUN_TC_DROP);
	assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_INGRESS, &spec6), BPFRUN_TC_DROP);
	assert_int_equal(bpfrun_drops(run, SLUICE_DROP_POLICY_MISSING, SLUICE_UPLINK).packets, 2);
}

/* A DENY whose binding cannot be read must not give way to the PERMIT behind it. */
static void a_binding_outside_its_map_drops_and_shows(void **state)
{
	static const struct packet_spec spec = {UDP4};
	struct bpfrun_rule rules[8] = {0};
	struct bpfrun_session session;

	(void)state;
	for (int i = 0; i < 6; i++)
		rules[i] = (struct bpfrun_rule){SLUICE_UPLINK, SLUICE_PERMIT, .protocol = IPPROTO_TCP};
	rules[6] = (struct bpfrun_rule){SLUICE_UPLINK, SLUICE_DENY, .protocol = IPPROTO_UDP};
	rules[7] = (struct bpfrun_rule){SLUICE_UPLINK, SLUICE_PERMIT, .protocol = IPPROTO_UDP};
	session = bpfrun_session(run, UE4, rules, 8);
	bpfrun_policy(run, session.policy)->bindings = SLUICE_NONE - 10;
	assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_INGRESS, &spec), BPFRUN_TC_DROP);
	assert_int_equal(bpfrun_drops(run, SLUICE_DROP_POLICY_MISSING, SLUICE_UPLINK).packets, 1);
}

static void no_records_are_made_while_nobody_watches(void **state)
{
	static const struct packet_spec ping = {
		.source = UE4, .destination = SERVER4, .protocol = IPPROTO_ICMP};
	struct sluice_drop_event event;

	(void)state;
	bpfrun_send(run, BPFRUN_ACCESS_INGRESS, &ping);
	assert_false(bpfrun_event(run, &event));
}

static void a_watcher_gets_a_record_of_each_dropped_packet(void **state)
{
	static const struct packet_spec stranger = {.source = "2001:db8:dead::1",
						    .destination = SERVER6,
						    .protocol = IPPROTO_TCP,
						    .source_port = 1111,
						    .destination_port = 2222};
	static const struct packet_spec ping = {
		.source = UE4, .destination = SERVER4, .protocol = IPPROTO_ICMP, .payload = 56};
	static const struct packet_spec allowed = {UDP4};
	static const struct packet_spec pppoe = {.ethertype = 0x8864, .payload = 80};
	struct sluice_drop_event event;
	uint8_t address[16];

	(void)state;
	bpfrun_settings(run)->watch_drops = 1;
	bpfrun_send(run, BPFRUN_ACCESS_INGRESS, &ping);
	bpfrun_send(run, BPFRUN_ACCESS_INGRESS, &allowed);
	bpfrun_send(run, BPFRUN_ACCESS_INGRESS, &stranger);
	bpfrun_send(run, BPFRUN_ACCESS_EGRESS, &pppoe);

	assert_true(bpfrun_event(run, &event));
	assert_int_equal(event.type, SLUICE_EVENT_DROP);
	assert_int_equal(event.reason, SLUICE_DROP_RULE_DENY);
	assert_int_equal(event.direction, SLUICE_UPLINK);
	assert_int_equal(event.session, session4.session);
	assert_int_equal(event.usage, session4.base + 1);
	assert_int_equal(event.bytes, 84);
	assert_int_equal(event.family, 4);
	assert_int_equal(event.protocol, IPPROTO_ICMP);
	assert_int_equal(event.ifindex, 1);
	assert_true(event.time_ns > 0);
	memset(address, 0, sizeof(address));
	inet_pton(AF_INET, UE4, address);
	assert_memory_equal(event.source, address, 16);
	inet_pton(AF_INET, SERVER4, address);
	assert_memory_equal(event.destination, address, 16);

	assert_true(bpfrun_event(run, &event));
	assert_int_equal(event.reason, SLUICE_DROP_UNKNOWN_SUBSCRIBER);
	assert_int_equal(event.session, SLUICE_NONE);
	assert_int_equal(event.usage, SLUICE_NONE);
	assert_int_equal(event.source_port, 1111);
	assert_int_equal(event.destination_port, 2222);
	assert_int_equal(event.family, 6);
	inet_pton(AF_INET6, "2001:db8:dead::1", address);
	assert_memory_equal(event.source, address, 16);

	assert_true(bpfrun_event(run, &event));
	assert_int_equal(event.reason, SLUICE_DROP_NOT_IP);
	assert_int_equal(event.direction, SLUICE_DOWNLINK);
	assert_int_equal(event.family, 0);
	assert_int_equal(event.bytes, 80);

	assert_false(bpfrun_event(run, &event));
}

static void records_that_find_the_ring_full_are_counted_and_verdicts_go_on(void **state)
{
	static const struct packet_spec ping = {
		.source = UE4, .destination = SERVER4, .protocol = IPPROTO_ICMP};
	struct sluice_drop_event event;
	uint64_t received = 0;

	(void)state;
	bpfrun_settings(run)->watch_drops = 1;
	for (int i = 0; i < 100; i++)
		assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_INGRESS, &ping), BPFRUN_TC_DROP);
	while (bpfrun_event(run, &event))
		received++;
	assert_in_range(received, 1, 99);
	assert_int_equal(received + bpfrun_lost_events(run), 100);
	assert_int_equal(bpfrun_drops(run, SLUICE_DROP_RULE_DENY, SLUICE_UPLINK).packets, 100);
}

#define T(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_packet_adds_its_ip_bytes_to_its_rule_and_direction),
		T(a_dropped_packet_counts_once_under_its_rule_and_once_under_its_reason),
		T(each_gso_segment_counts_with_headers_of_its_own),
		T(downlink_gso_counts_as_uplink_gso),
		T(the_segments_are_computed_where_only_their_size_is_given),
		T(the_headers_inside_a_subscribers_tunnel_are_repeated_in_each_segment),
		T(dropped_gso_packets_count_each_segment_too),
		T(big_tcp_counts_what_reaches_the_wire),
		T(unknown_subscribers_are_dropped_or_pass_by_the_setting),
		T(what_is_not_ip_follows_the_setting_for_unknown_subscribers),
		T(malformed_packets_are_dropped_whatever_the_setting),
		T(an_endpoint_without_a_policy_is_a_defect_that_drops_and_shows),
		T(a_packet_is_never_judged_by_the_policy_of_another_address),
		T(a_match_list_outside_its_map_drops_and_shows),
		T(a_binding_outside_its_map_drops_and_shows),
		T(no_records_are_made_while_nobody_watches),
		T(a_watcher_gets_a_record_of_each_dropped_packet),
		T(records_that_find_the_ring_full_are_counted_and_verdicts_go_on),
	};

	return cmocka_run_group_tests_name("account", tests, open_rig, close_rig);
}
