// SPDX-License-Identifier: Apache-2.0
/* What is refused with an answer, what is sent elsewhere, what has nobody to take it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <linux/if_ether.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <stdio.h>

#include "bpfrun_fixture.h"

#define UE4	"10.0.0.5"
#define UE6	"2001:db8:5::5"
#define SERVER4 "198.51.100.9"
#define SERVER6 "2001:db8:ffff::9"

#define REDIRECT  7    /* TC_ACT_REDIRECT */
#define LO	  1    /* the device of test runs */
#define ELSEWHERE 4242 /* an interface that is not asked for its existence */

enum { RESET_PORT = 443, REJECT_PORT = 5000, PORTAL_PORT = 80, STEER_PORT = 7000, MIRROR_PORT, GONE_PORT };

#define USAGE(rule) (bpfrun_usage(run, session.base + 1 + (rule)))

static struct bpfrun_session session;

#define PORT(number)               \
	{                          \
		(number), (number) \
	}
#define STEER(slot) ((enum sluice_action)(SLUICE_STEER_FIRST + (slot)))

static const struct bpfrun_rule rules[] = {
	{SLUICE_UPLINK, SLUICE_RESET, .protocol = IPPROTO_TCP, .remote_port = PORT(RESET_PORT)},
	{SLUICE_UPLINK, SLUICE_PORTAL, .protocol = IPPROTO_TCP, .remote_port = PORT(PORTAL_PORT)},
	{SLUICE_UPLINK, STEER(0), .protocol = IPPROTO_UDP, .remote_port = PORT(STEER_PORT)},
	{SLUICE_UPLINK, STEER(1), .protocol = IPPROTO_UDP, .remote_port = PORT(MIRROR_PORT),
	 .uplink_class = 0x55},
	{SLUICE_UPLINK, STEER(2), .protocol = IPPROTO_UDP, .remote_port = PORT(GONE_PORT)},
	{SLUICE_UPLINK, SLUICE_RESET, .protocol = IPPROTO_SCTP},
	{SLUICE_UPLINK, SLUICE_REJECT, .protocol = 0},
	{SLUICE_DOWNLINK, SLUICE_RESET, .protocol = IPPROTO_TCP},
};

static void set_steer(uint32_t slot, struct sluice_steer steer)
{
	assert_int_equal(bpf_map_update_elem(bpfrun_maps(run).steers, &slot, &steer, BPF_ANY), 0);
}

static int setup(void **state)
{
	const char *ue = *state ? *state : UE4;

	bpfrun_reset(run);
	set_steer(0, (struct sluice_steer){.mode = SLUICE_STEER_REDIRECT, .ifindex = ELSEWHERE});
	set_steer(1, (struct sluice_steer){.mode = SLUICE_STEER_MIRROR, .ifindex = LO});
	set_steer(2, (struct sluice_steer){.mode = SLUICE_STEER_REDIRECT, .ifindex = 0});
	session = bpfrun_session(run, ue, rules, sizeof(rules) / sizeof(rules[0]));
	return 0;
}

/* --- an answer as its receiver sees it ---------------------------------------------- */

static uint32_t sum(const void *data, size_t length, uint32_t start)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < length; i++)
		start += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
	return start;
}

static uint16_t fold(uint32_t value)
{
	while (value >> 16)
		value = (value & 0xffff) + (value >> 16);
	return (uint16_t)value;
}

struct answer {
	struct packet packet;
	const uint8_t *body; /* behind the IP header */
	size_t length;
};

/* Whatever it is: link, addresses, lengths and checksums are those of a packet back to the sender. */
static void check(struct answer *answer, const struct packet *sent, uint8_t protocol)
{
	const uint8_t *data = answer->packet.data, *ip = data + sent->network;
	bool six = sent->data[sent->network] >> 4 == 6;
	size_t addresses = six ? 8 : 12, size = six ? 16 : 4, header = six ? 40 : 20;
	uint32_t pseudo;

	if (sent->network) {
		assert_memory_equal(data, sent->data + 6, 6);
		assert_memory_equal(data + 6, sent->data, 6);
		assert_memory_equal(data + 12, sent->data + 12, sent->network - 12);
	}
	assert_true(answer->packet.length >= sent->network + header);
	answer->body = ip + header;
	answer->length = answer->packet.length - sent->network - header;
	assert_memory_equal(ip + addresses, sent->data + sent->network + addresses + size, size);
	assert_memory_equal(ip + addresses + size, sent->data + sent->network + addresses, size);
	if (six) {
		assert_int_equal(ip[0] >> 4, 6);
		assert_int_equal(ip[4] << 8 | ip[5], answer->length);
		assert_int_equal(ip[6], protocol);
		assert_int_equal(ip[7], 64);
	} else {
		assert_int_equal(ip[0], 0x45);
		assert_int_equal(ip[2] << 8 | ip[3], header + answer->length);
		assert_int_equal(ip[8], 64);
		assert_int_equal(ip[9], protocol);
		assert_int_equal(fold(sum(ip, header, 0)), 0xffff);
	}
	pseudo = protocol == IPPROTO_ICMP
			 ? 0
			 : sum(ip + addresses, 2 * size, (uint32_t)answer->length + protocol);
	assert_int_equal(fold(sum(answer->body, answer->length, pseudo)), 0xffff);
}

static void answered(const struct packet *sent, uint8_t protocol, struct answer *answer)
{
	struct bpfrun_context context = {.mark = 0xdead0007, .left = &answer->packet};
	struct bpfrun_result result = bpfrun_packet(run, BPFRUN_ACCESS_INGRESS, sent, &context);

	assert_int_equal(result.verdict, REDIRECT);
	assert_int_equal(result.mark, 0xdead0000 | SLUICE_MARK_ANSWER);
	check(answer, sent, protocol);
}

static void refused_in_silence(const struct packet *sent)
{
	struct bpfrun_context context = {0};

	assert_int_equal(bpfrun_packet(run, BPFRUN_ACCESS_INGRESS, sent, &context).verdict, BPFRUN_TC_DROP);
}

static struct packet tcp(const struct packet_spec *spec, uint32_t sequence, uint32_t acknowledged,
			 uint8_t flags)
{
	struct packet packet;
	struct tcphdr header;

	packet_build(&packet, spec);
	memcpy(&header, packet.data + packet.transport, sizeof(header));
	header.th_seq = htonl(sequence);
	header.th_ack = htonl(acknowledged);
	header.th_flags = flags;
	memcpy(packet.data + packet.transport, &header, sizeof(header));
	return packet;
}

static void check_reset(const struct packet *sent, uint32_t sequence, uint32_t acknowledged, uint8_t flags)
{
	struct answer answer;
	struct tcphdr from, reset;

	answered(sent, IPPROTO_TCP, &answer);
	assert_int_equal(answer.length, sizeof(reset));
	memcpy(&from, sent->data + sent->transport, sizeof(from));
	memcpy(&reset, answer.body, sizeof(reset));
	assert_int_equal(reset.th_sport, from.th_dport);
	assert_int_equal(reset.th_dport, from.th_sport);
	assert_int_equal(ntohl(reset.th_seq), sequence);
	assert_int_equal(ntohl(reset.th_ack), acknowledged);
	assert_int_equal(reset.th_flags, flags);
	assert_int_equal(reset.th_off, 5);
	assert_int_equal(reset.th_win, 0);
}

/* --- resets -------------------------------------------------------------------------- */

static const struct packet_spec specs[] = {
	{.source = UE4, .destination = SERVER4},
	{.source = UE4, .destination = SERVER4, .ip_options = 8},
	{.source = UE4, .destination = SERVER4, .tag = {ETH_P_8021Q}},
	{.source = UE4, .destination = SERVER4, .tag = {ETH_P_8021AD, ETH_P_8021Q}},
	{.source = UE6, .destination = SERVER6},
	{.source = UE6, .destination = SERVER6, .extension = {IPPROTO_DSTOPTS, 0xff}},
	{.source = UE6, .destination = SERVER6, .tag = {ETH_P_8021Q}},
};
#define SPECS (sizeof(specs) / sizeof(specs[0]))

static struct packet_spec spec_of(size_t i, uint8_t protocol, uint16_t port, size_t payload)
{
	struct packet_spec spec = specs[i];

	spec.protocol = protocol;
	spec.source_port = 40000;
	spec.destination_port = port;
	spec.payload = payload;
	return spec;
}

static void begin(size_t i)
{
	void *ue = strchr(specs[i].source, ':') ? UE6 : UE4;

	setup(&ue);
}

static void a_connection_that_is_refused_gets_a_reset_at_once(void **state)
{
	(void)state;
	for (size_t i = 0; i < SPECS; i++) {
		struct packet_spec spec = spec_of(i, IPPROTO_TCP, RESET_PORT, 0);
		struct packet packet;

		begin(i);
		spec.tcp_options = 20;
		packet = tcp(&spec, 0xfffffff0, 0, TH_SYN);
		check_reset(&packet, 0, 0xfffffff1, TH_RST | TH_ACK);
	}
}

static void a_segment_of_an_older_connection_is_reset_where_it_is(void **state)
{
	struct packet packet;

	(void)state;
	for (size_t i = 0; i < SPECS; i++) {
		struct packet_spec spec = spec_of(i, IPPROTO_TCP, RESET_PORT, 1200);

		begin(i);
		packet = tcp(&spec, 1000, 77000, TH_ACK | TH_PUSH);
		check_reset(&packet, 77000, 0, TH_RST);
		/* without an acknowledgement everything that it takes of the sequence is counted */
		packet = tcp(&spec, 1000, 77000, TH_FIN | TH_PUSH);
		check_reset(&packet, 0, 2201, TH_RST | TH_ACK);
		spec.payload = 1;
		spec.padding = 5;
		packet = tcp(&spec, 1000, 0, 0);
		check_reset(&packet, 0, 1001, TH_RST | TH_ACK);
	}
}

static void a_reset_is_never_answered_by_a_reset(void **state)
{
	const struct packet_spec spec = spec_of(0, IPPROTO_TCP, RESET_PORT, 0);
	struct packet packet = tcp(&spec, 1, 1, TH_RST | TH_ACK);

	(void)state;
	refused_in_silence(&packet);
}

static void what_is_answered_is_counted_as_dropped_by_its_rule(void **state)
{
	const struct packet_spec spec = spec_of(0, IPPROTO_TCP, RESET_PORT, 100);
	struct packet packet = tcp(&spec, 1, 1, TH_ACK);
	struct sluice_drop_event event;

	(void)state;
	bpfrun_settings(run)->watch_drops = 1;
	check_reset(&packet, 1, 0, TH_RST);
	bpfrun_settings(run)->watch_drops = 0;
	assert_int_equal(USAGE(0)->uplink_dropped.bytes, 140);
	assert_int_equal(USAGE(0)->uplink_dropped.packets, 1);
	assert_int_equal(USAGE(0)->uplink.packets, 0);
	assert_int_equal(bpfrun_drops(run, SLUICE_DROP_REDIRECTED, SLUICE_UPLINK).bytes, 140);
	assert_true(bpfrun_event(run, &event));
	assert_int_equal(event.reason, SLUICE_DROP_REDIRECTED);
	assert_int_equal(event.destination_port, RESET_PORT);
}

/* --- ICMP ------------------------------------------------------------------------------ */

static void what_is_rejected_gets_an_icmp_error_that_shows_it(void **state)
{
	static const size_t payloads[] = {0, 1, 40, 1200};

	(void)state;
	for (size_t i = 0; i < SPECS; i++) {
		bool six = strchr(specs[i].source, ':');

		for (size_t p = 0; p < sizeof(payloads) / sizeof(payloads[0]); p++) {
			struct packet_spec spec = spec_of(i, IPPROTO_UDP, REJECT_PORT, payloads[p]);
			struct packet packet;
			struct answer answer;

			begin(i);
			packet_build(&packet, &spec);
			answered(&packet, six ? IPPROTO_ICMPV6 : IPPROTO_ICMP, &answer);
			assert_int_equal(answer.body[0], six ? ICMP6_DST_UNREACH : ICMP_DEST_UNREACH);
			assert_int_equal(answer.body[1], six ? ICMP6_DST_UNREACH_ADMIN : ICMP_PKT_FILTERED);
			/* the headers and 8 bytes, or all there is in whole words */
			assert_true(answer.length - 8 >= (packet.transport - packet.network + 8));
			assert_memory_equal(answer.body + 8, packet.data + packet.network, answer.length - 8);
		}
	}
}

static void protocols_without_an_answer_of_their_own_get_icmp_too(void **state)
{
	static const uint8_t protocols[] = {IPPROTO_GRE, 253};
	struct packet packet;
	struct answer answer;

	(void)state;
	for (size_t i = 0; i < sizeof(protocols); i++) {
		packet_build(&packet, &(struct packet_spec){.source = UE4,
							    .destination = SERVER4,
							    .protocol = protocols[i],
							    .payload = 3});
		answered(&packet, IPPROTO_ICMP, &answer);
	}
}

static void a_rejected_connection_gets_a_reset(void **state)
{
	const struct packet_spec spec = spec_of(0, IPPROTO_TCP, REJECT_PORT, 0);
	struct packet packet = tcp(&spec, 5, 0, TH_SYN);

	(void)state;
	check_reset(&packet, 0, 6, TH_RST | TH_ACK);
}

static void what_must_not_be_answered_is_only_dropped(void **state)
{
	static const struct packet_spec silent[] = {
		{.source = UE4, .destination = SERVER4, .protocol = IPPROTO_ICMP, .icmp_type = 3},
		{.source = UE4, .destination = SERVER4, .protocol = IPPROTO_ICMP, .icmp_type = 11},
		{.source = UE4, .destination = "224.0.1.1", .protocol = IPPROTO_UDP},
		{.source = UE4, .destination = "255.255.255.255", .protocol = IPPROTO_UDP},
		{.source = UE4, .destination = SERVER4, .protocol = IPPROTO_UDP, .mac = "ff:ff:ff:ff:ff:ff"},
		{.source = UE4, .destination = SERVER4, .protocol = IPPROTO_UDP, .mac = "01:00:5e:00:00:01"},
		{.source = UE4, .destination = SERVER4, .protocol = IPPROTO_UDP, .more_fragments = true},
		{.source = UE4,
		 .destination = SERVER4,
		 .protocol = IPPROTO_UDP,
		 .fragment_offset = 64,
		 .payload = 8},
		/* a reset that only TCP has */
		{.source = UE4, .destination = SERVER4, .protocol = IPPROTO_SCTP},
	};
	struct packet packet;

	(void)state;
	for (size_t i = 0; i < sizeof(silent) / sizeof(silent[0]); i++) {
		packet_build(&packet, &silent[i]);
		refused_in_silence(&packet);
	}
	assert_int_equal(bpfrun_drops(run, SLUICE_DROP_REDIRECTED, SLUICE_UPLINK).packets,
			 sizeof(silent) / sizeof(silent[0]));
}

static void an_icmpv6_error_is_only_dropped(void **state)
{
	void *ue = UE6;
	struct packet packet;
	struct answer answer;

	(void)state;
	setup(&ue);
	packet_build(&packet, &(struct packet_spec){.source = UE6,
						    .destination = SERVER6,
						    .protocol = IPPROTO_ICMPV6,
						    .icmp_type = 1});
	refused_in_silence(&packet);
	packet.data[packet.transport] = 128;
	answered(&packet, IPPROTO_ICMPV6, &answer);
}

static void a_super_packet_is_only_dropped(void **state)
{
	struct packet_spec spec = spec_of(0, IPPROTO_TCP, RESET_PORT, 3000);
	struct bpfrun_context context = {.gso_segs = 3, .gso_size = 1000};
	struct packet packet = tcp(&spec, 1, 1, TH_ACK);

	(void)state;
	assert_int_equal(bpfrun_packet(run, BPFRUN_ACCESS_INGRESS, &packet, &context).verdict,
			 BPFRUN_TC_DROP);
}

static void headers_that_begin_too_far_back_are_only_dropped(void **state)
{
	struct packet packet;
	uint8_t *options;

	(void)state;
	void *ue = UE6;
	setup(&ue);
	packet_build(&packet, &(struct packet_spec){.source = UE6,
						    .destination = SERVER6,
						    .protocol = IPPROTO_UDP,
						    .destination_port = REJECT_PORT,
						    .extension = {IPPROTO_DSTOPTS},
						    .payload = 1200});
	/* the destination options as long as they can be before the payload ends */
	options = packet.data + packet.network + sizeof(struct ip6_hdr);
	options[1] = 127;
	memset(options + 2, 0, 1022);
	options[0] = 253;
	refused_in_silence(&packet);
}

static void nobody_on_the_internet_is_answered(void **state)
{
	struct packet packet;

	(void)state;
	packet_build(&packet, &(struct packet_spec){.source = SERVER4,
						    .destination = UE4,
						    .protocol = IPPROTO_TCP,
						    .source_port = 443});
	assert_int_equal(
		bpfrun_packet(run, BPFRUN_ACCESS_EGRESS, &packet, &(struct bpfrun_context){0}).verdict,
		BPFRUN_TC_DROP);
	assert_int_equal(bpfrun_drops(run, SLUICE_DROP_REDIRECTED, SLUICE_DOWNLINK).packets, 1);
}

static void an_answer_passes_on_its_way_out_and_nothing_else_does(void **state)
{
	struct bpfrun_context context = {.mark = 0xdead0000 | SLUICE_MARK_ANSWER, .received_on = LO};
	struct bpfrun_result result;
	struct packet packet;

	(void)state;
	packet_build(&packet, &(struct packet_spec){.source = SERVER4,
						    .destination = UE4,
						    .protocol = IPPROTO_TCP,
						    .source_port = 443});
	result = bpfrun_packet(run, BPFRUN_ACCESS_EGRESS, &packet, &context);
	assert_int_equal(result.verdict, BPFRUN_TC_NEXT);
	assert_int_equal(result.priority, (uint32_t)SLUICE_HTB_MAJOR << 16 | SLUICE_HTB_DEFAULT_MINOR);
	assert_int_equal(bpfrun_passes(run, SLUICE_PASS_ANSWER, SLUICE_DOWNLINK).packets, 1);
	assert_int_equal(bpfrun_passes(run, SLUICE_PASS_ANSWER, SLUICE_DOWNLINK).bytes, 40);
	assert_int_equal(USAGE(7)->downlink_dropped.packets, 0);

	/* the same mark on what came from elsewhere, this host or a core device, or another mark from here */
	for (uint32_t device = 0; device <= LO + 1; device += 2) {
		context.received_on = device;
		assert_int_equal(bpfrun_packet(run, BPFRUN_ACCESS_EGRESS, &packet, &context).verdict,
				 BPFRUN_TC_DROP);
	}
	context.received_on = LO;
	context.mark = SLUICE_MARK_PORTAL;
	assert_int_equal(bpfrun_packet(run, BPFRUN_ACCESS_EGRESS, &packet, &context).verdict, BPFRUN_TC_DROP);
	assert_int_equal(bpfrun_passes(run, SLUICE_PASS_ANSWER, SLUICE_DOWNLINK).packets, 1);
	assert_int_equal(USAGE(7)->downlink_dropped.packets, 3);
}

static void xdp_leaves_to_tc_what_is_answered(void **state)
{
	static const uint16_t ports[] = {RESET_PORT, REJECT_PORT, PORTAL_PORT};
	struct packet_spec spec;

	(void)state;
	for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		spec = spec_of(0, IPPROTO_TCP, ports[i], 0);
		assert_int_equal(bpfrun_send(run, BPFRUN_XDP_ACCESS, &spec), BPFRUN_XDP_PASS);
	}
	assert_int_equal(bpfrun_drops(run, SLUICE_DROP_REDIRECTED, SLUICE_UPLINK).packets, 0);
}

/* --- the portal and other interfaces ------------------------------------------------- */

static void without_a_portal_its_packets_are_dropped_and_say_so(void **state)
{
	const struct packet_spec spec = spec_of(0, IPPROTO_TCP, PORTAL_PORT, 10);

	(void)state;
	assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_INGRESS, &spec), BPFRUN_TC_DROP);
	assert_int_equal(bpfrun_drops(run, SLUICE_DROP_PORTAL_DOWN, SLUICE_UPLINK).packets, 1);
	assert_int_equal(USAGE(1)->uplink_dropped.bytes, 50);
	assert_int_equal(USAGE(1)->uplink.packets, 0);
}

static void a_quarantined_packet_goes_to_the_interface_and_is_counted(void **state)
{
	const struct packet_spec spec = spec_of(0, IPPROTO_UDP, STEER_PORT, 100);

	(void)state;
	assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_INGRESS, &spec), REDIRECT);
	assert_int_equal(USAGE(2)->uplink.bytes, 128);
	assert_int_equal(USAGE(2)->uplink_dropped.packets, 0);
	set_steer(0, (struct sluice_steer){.mode = SLUICE_STEER_REDIRECT,
					   .ifindex = ELSEWHERE,
					   .next_hop_family = 4,
					   .next_hop = {192, 0, 2, 7}});
	assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_INGRESS, &spec), REDIRECT);
}

static void a_packet_is_not_sent_to_where_it_is_already(void **state)
{
	const struct packet_spec spec = spec_of(0, IPPROTO_UDP, STEER_PORT, 100);

	(void)state;
	set_steer(0, (struct sluice_steer){.mode = SLUICE_STEER_REDIRECT, .ifindex = LO});
	assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_INGRESS, &spec), BPFRUN_TC_DROP);
	assert_int_equal(USAGE(2)->uplink.packets, 0);
	assert_int_equal(USAGE(2)->uplink_dropped.packets, 1);
}

static void a_mirrored_packet_goes_its_own_way(void **state)
{
	const struct packet_spec spec = spec_of(0, IPPROTO_UDP, MIRROR_PORT, 100);
	struct bpfrun_context context = {0};
	struct bpfrun_result result;
	struct packet packet;

	(void)state;
	packet_build(&packet, &spec);
	for (uint32_t ifindex = 0; ifindex <= LO; ifindex++) {
		set_steer(1, (struct sluice_steer){.mode = SLUICE_STEER_MIRROR, .ifindex = ifindex});
		result = bpfrun_packet(run, BPFRUN_ACCESS_INGRESS, &packet, &context);
		assert_int_equal(result.verdict, BPFRUN_TC_NEXT);
		assert_int_equal(result.mark, 0x55);
	}
	assert_int_equal(USAGE(3)->uplink.packets, 2);
}

static void a_packet_for_an_interface_that_has_gone_is_dropped(void **state)
{
	const struct packet_spec spec = spec_of(0, IPPROTO_UDP, GONE_PORT, 100);

	(void)state;
	assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_INGRESS, &spec), BPFRUN_TC_DROP);
	assert_int_equal(bpfrun_drops(run, SLUICE_DROP_INTERFACE_MISSING, SLUICE_UPLINK).packets, 1);
	assert_int_equal(USAGE(4)->uplink_dropped.bytes, 128);
	/* nor to a slot that is nobody's */
	set_steer(2, (struct sluice_steer){.mode = SLUICE_STEER_FREE, .ifindex = LO});
	assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_INGRESS, &spec), BPFRUN_TC_DROP);
}

#define T(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_connection_that_is_refused_gets_a_reset_at_once),
		T(a_segment_of_an_older_connection_is_reset_where_it_is),
		T(a_reset_is_never_answered_by_a_reset),
		T(what_is_answered_is_counted_as_dropped_by_its_rule),
		T(what_is_rejected_gets_an_icmp_error_that_shows_it),
		T(protocols_without_an_answer_of_their_own_get_icmp_too),
		T(a_rejected_connection_gets_a_reset),
		T(what_must_not_be_answered_is_only_dropped),
		T(an_icmpv6_error_is_only_dropped),
		T(a_super_packet_is_only_dropped),
		T(headers_that_begin_too_far_back_are_only_dropped),
		T(nobody_on_the_internet_is_answered),
		T(an_answer_passes_on_its_way_out_and_nothing_else_does),
		T(xdp_leaves_to_tc_what_is_answered),
		T(without_a_portal_its_packets_are_dropped_and_say_so),
		T(a_quarantined_packet_goes_to_the_interface_and_is_counted),
		T(a_packet_is_not_sent_to_where_it_is_already),
		T(a_mirrored_packet_goes_its_own_way),
		T(a_packet_for_an_interface_that_has_gone_is_dropped),
	};

	return cmocka_run_group_tests_name("answer", tests, open_rig, close_rig);
}
