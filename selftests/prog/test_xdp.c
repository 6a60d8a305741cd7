// SPDX-License-Identifier: Apache-2.0
/*
 * XDP and tc decide alike: what tc would drop XDP drops, with the same
 * counters; what passes XDP has not counted; and a packet that goes through
 * both is counted once.
 */
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

static const struct bpfrun_rule rules[] = {
	{SLUICE_UPLINK, SLUICE_DENY, .protocol = IPPROTO_TCP, .remote_port = {25, 25}},
	{SLUICE_UPLINK, SLUICE_DENY, .deadline_ns = 1},
	{SLUICE_UPLINK, SLUICE_PERMIT, .protocol = IPPROTO_TCP, .uplink_class = 5},
	{SLUICE_UPLINK, SLUICE_PERMIT, .protocol = IPPROTO_UDP, .remote_port = {53, 53}},
	{SLUICE_UPLINK, SLUICE_DENY, .protocol = IPPROTO_ICMP},
};

static int setup(void **state)
{
	(void)state;
	bpfrun_reset(run);
	bpfrun_session(run, UE4, rules, 5);
	bpfrun_session(run, UE6, rules, 5);
	return 0;
}

#define IP4(proto, sport, dport)                                                        \
	.source = UE4, .destination = SERVER4, .protocol = proto, .source_port = sport, \
	.destination_port = dport
#define IP6(proto, sport, dport)                                                        \
	.source = UE6, .destination = SERVER6, .protocol = proto, .source_port = sport, \
	.destination_port = dport

static const struct packet_spec packets[] = {
	{IP4(IPPROTO_TCP, 4000, 80), .payload = 100},
	{IP4(IPPROTO_TCP, 4000, 25), .payload = 100},
	{IP4(IPPROTO_TCP, 4000, 25), .payload = 1400, .ip_options = 8},
	{IP4(IPPROTO_UDP, 4000, 53)},
	{IP4(IPPROTO_UDP, 4000, 54), .padding = 18},
	{IP4(IPPROTO_UDP, 4000, 53), .fragment_offset = 64, .payload = 64},
	{IP4(IPPROTO_ICMP, 0, 0), .payload = 56},
	{IP4(IPPROTO_TCP, 4000, 25), .tag = {0x8100}},
	{IP4(IPPROTO_TCP, 4000, 80), .tag = {0x88a8, 0x8100}},
	{IP4(IPPROTO_TCP, 4000, 80), .tag = {0x8100, 0x8100, 0x8100}, .payload = 20},
	{IP6(IPPROTO_TCP, 4000, 80), .payload = 100},
	{IP6(IPPROTO_TCP, 4000, 25), .extension = {HOP, IPPROTO_DSTOPTS}},
	{IP6(IPPROTO_UDP, 4000, 53), .extension = {IPPROTO_FRAGMENT}, .fragment_offset = 64, .payload = 64},
	{IP6(IPPROTO_UDP, 4000, 5353), .padding = 3},
	{.source = "10.9.9.9", .destination = SERVER4, .protocol = IPPROTO_UDP, .payload = 10},
	{.source = "2001:db8:dead::1", .destination = SERVER6, .protocol = IPPROTO_UDP, .payload = 10},
	{.source = "fe80::1", .destination = SERVER6, .protocol = IPPROTO_UDP},
	{.source = "fe80::1",
	 .destination = "ff02::1",
	 .protocol = IPPROTO_ICMPV6,
	 .icmp_type = 135,
	 .hop_limit = 255},
	{.source = "2001:db8:5::7",
	 .destination = SERVER6,
	 .protocol = IPPROTO_ICMPV6,
	 .icmp_type = 135,
	 .hop_limit = 255},
	{.source = "0.0.0.0",
	 .destination = "255.255.255.255",
	 .protocol = IPPROTO_UDP,
	 .source_port = 68,
	 .destination_port = 67},
	{.source = "192.0.2.5",
	 .destination = "192.0.2.1",
	 .protocol = IPPROTO_UDP,
	 .destination_port = 3784,
	 .hop_limit = 255},
	{.source = "192.0.2.5",
	 .destination = SERVER4,
	 .protocol = IPPROTO_UDP,
	 .destination_port = 3784,
	 .hop_limit = 255},
	{.ethertype = 0x8864, .payload = 60},
	{.ethertype = 0x88cc, .payload = 60, .mac = "01:80:c2:00:00:0e"},
	{.ethertype = 0x0806, .payload = 28},
	{IP4(IPPROTO_TCP, 4000, 80), .ethertype = 0x86dd},
};

/* Each alone, on fresh counters. */
static void compare(const struct packet *packet, size_t number)
{
	struct bpfrun_context context = {.received_on = 1};
	struct bpfrun_counters zero = {0}, after_xdp, after_tc;
	bool xdp_drops, tc_drops;

	setup(NULL);
	xdp_drops = bpfrun_packet(run, BPFRUN_XDP_ACCESS, packet, &context).verdict == BPFRUN_XDP_DROP;
	after_xdp = bpfrun_counters(run);
	setup(NULL);
	tc_drops = bpfrun_packet(run, BPFRUN_ACCESS_INGRESS, packet, &context).verdict == BPFRUN_TC_DROP;
	after_tc = bpfrun_counters(run);

	if (xdp_drops != tc_drops)
		fail_msg("packet %zu: XDP %s, tc %s", number, xdp_drops ? "drops" : "passes",
			 tc_drops ? "drops" : "passes");
	assert_memory_equal(&after_xdp, tc_drops ? &after_tc : &zero, sizeof(after_xdp));
	assert_int_equal(after_tc.drops.packets + after_tc.usage.packets + after_tc.passes.packets, 1);
}

static void xdp_drops_what_tc_would_drop_and_counts_it_alike(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(packets) / sizeof(packets[0]); i++) {
		struct packet packet;

		packet_build(&packet, &packets[i]);
		compare(&packet, i);
	}
}

static void a_packet_on_its_way_through_both_is_counted_once(void **state)
{
	size_t count = sizeof(packets) / sizeof(packets[0]);
	struct bpfrun_counters counters;

	(void)state;
	for (size_t i = 0; i < count; i++) {
		struct bpfrun_context context = {.received_on = 1};
		struct packet packet;

		packet_build(&packet, &packets[i]);
		if (bpfrun_packet(run, BPFRUN_XDP_ACCESS, &packet, &context).verdict == BPFRUN_XDP_PASS)
			assert_int_equal(bpfrun_packet(run, BPFRUN_ACCESS_INGRESS, &packet, &context).verdict,
					 BPFRUN_TC_NEXT);
	}
	counters = bpfrun_counters(run);
	assert_int_equal(counters.drops.packets + counters.usage.packets + counters.passes.packets, count);
}

static void xdp_passes_unknown_subscribers_uncounted_where_they_pass(void **state)
{
	static const struct packet_spec stranger = {
		.source = "10.9.9.9", .destination = SERVER4, .protocol = IPPROTO_UDP};
	static const struct packet_spec pppoe = {.ethertype = 0x8864, .payload = 60};
	struct bpfrun_counters counters, zero = {0};

	(void)state;
	bpfrun_settings(run)->unknown_drop = 0;
	assert_int_equal(bpfrun_send(run, BPFRUN_XDP_ACCESS, &stranger), BPFRUN_XDP_PASS);
	assert_int_equal(bpfrun_send(run, BPFRUN_XDP_ACCESS, &pppoe), BPFRUN_XDP_PASS);
	counters = bpfrun_counters(run);
	assert_memory_equal(&counters, &zero, sizeof(zero));
}

static void xdp_leaves_what_is_longer_than_the_mtu_to_tc(void **state)
{
	/* only the skb knows how many packets such a frame stands for */
	static const struct packet_spec fits = {IP4(IPPROTO_ICMP, 0, 0), .payload = 1500 - 28};
	static const struct packet_spec longer = {IP4(IPPROTO_ICMP, 0, 0), .payload = 1501 - 28};
	static const struct packet_spec tagged = {IP4(IPPROTO_ICMP, 0, 0), .payload = 1500 - 28,
						  .tag = {0x8100, 0x8100}};

	(void)state;
	assert_int_equal(bpfrun_send(run, BPFRUN_XDP_ACCESS, &fits), BPFRUN_XDP_DROP);
	assert_int_equal(bpfrun_send(run, BPFRUN_XDP_ACCESS, &tagged), BPFRUN_XDP_DROP);
	assert_int_equal(bpfrun_counters(run).drops.packets, 2);
	assert_int_equal(bpfrun_send(run, BPFRUN_XDP_ACCESS, &longer), BPFRUN_XDP_PASS);
	assert_int_equal(bpfrun_counters(run).drops.packets, 2);
}

static void frames_in_several_buffers_are_handled(void **state)
{
	/* more than a page: the kernel makes fragments of it, and only the first is in reach */
	static const struct packet_spec permitted = {IP4(IPPROTO_TCP, 4000, 80), .payload = 7000};
	static const struct packet_spec denied = {IP4(IPPROTO_TCP, 4000, 25), .payload = 7000};

	(void)state;
	assert_int_equal(bpfrun_send(run, BPFRUN_XDP_ACCESS, &permitted), BPFRUN_XDP_PASS);
	bpfrun_mtu(9000);
	assert_int_equal(bpfrun_send(run, BPFRUN_XDP_ACCESS, &permitted), BPFRUN_XDP_PASS);
	assert_int_equal(bpfrun_send(run, BPFRUN_XDP_ACCESS, &denied), BPFRUN_XDP_DROP);
	bpfrun_mtu(1500);
	assert_int_equal(bpfrun_counters(run).usage_dropped.bytes, 7040);
}

static void a_watcher_gets_records_of_what_xdp_drops(void **state)
{
	static const struct packet_spec ping = {IP4(IPPROTO_ICMP, 0, 0)};
	struct sluice_drop_event event;

	(void)state;
	bpfrun_settings(run)->watch_drops = 1;
	assert_int_equal(bpfrun_send(run, BPFRUN_XDP_ACCESS, &ping), BPFRUN_XDP_DROP);
	assert_true(bpfrun_event(run, &event));
	assert_int_equal(event.reason, SLUICE_DROP_RULE_DENY);
	assert_int_equal(event.ifindex, 1);
	assert_false(bpfrun_event(run, &event));
}

#define T(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(xdp_drops_what_tc_would_drop_and_counts_it_alike),
		T(a_packet_on_its_way_through_both_is_counted_once),
		T(xdp_passes_unknown_subscribers_uncounted_where_they_pass),
		T(xdp_leaves_what_is_longer_than_the_mtu_to_tc),
		T(frames_in_several_buffers_are_handled),
		T(a_watcher_gets_records_of_what_xdp_drops),
	};

	return cmocka_run_group_tests_name("xdp", tests, open_rig, close_rig);
}
