// SPDX-License-Identifier: Apache-2.0
/* The HTB class of a packet: into skb->mark at access ingress, into skb->priority at both egresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <netinet/in.h>

#include "bpfrun_fixture.h"

#define UE4	"10.0.0.5"
#define SERVER4 "198.51.100.9"

static int setup(void **state)
{
	static const struct bpfrun_rule rules[] = {
		{SLUICE_UPLINK, SLUICE_PERMIT, .protocol = IPPROTO_UDP, .uplink_class = 0x1234,
		 .downlink_class = 0x4321},
		{SLUICE_DOWNLINK, SLUICE_PERMIT, .protocol = IPPROTO_UDP, .uplink_class = 0x1234,
		 .downlink_class = 0x7ff2},
		{SLUICE_UPLINK, SLUICE_PERMIT, .protocol = IPPROTO_TCP, .downlink_class = 9},
		{SLUICE_DOWNLINK, SLUICE_PERMIT, .protocol = IPPROTO_TCP, .uplink_class = 9},
		{SLUICE_UPLINK, SLUICE_DENY, .protocol = IPPROTO_ICMP, .uplink_class = 9},
	};

	(void)state;
	bpfrun_reset(run);
	bpfrun_session(run, UE4, rules, 5);
	return 0;
}

static struct bpfrun_result up(uint8_t protocol, uint32_t mark)
{
	struct bpfrun_context context = {.mark = mark, .priority = 7};
	struct packet packet;

	packet_build(&packet,
		     &(struct packet_spec){.source = UE4, .destination = SERVER4, .protocol = protocol});
	return bpfrun_packet(run, BPFRUN_ACCESS_INGRESS, &packet, &context);
}

static struct bpfrun_result down(const char *destination, uint8_t protocol)
{
	struct bpfrun_context context = {.mark = 0x00010042, .priority = 7};
	struct packet packet;

	packet_build(&packet, &(struct packet_spec){
				      .source = SERVER4, .destination = destination, .protocol = protocol});
	return bpfrun_packet(run, BPFRUN_ACCESS_EGRESS, &packet, &context);
}

#define CLASS(minor) ((uint32_t)SLUICE_HTB_MAJOR << 16 | (minor))

static void the_uplink_class_goes_into_the_low_bits_of_the_mark(void **state)
{
	(void)state;
	assert_int_equal(up(IPPROTO_UDP, 0).mark, 0x1234);
	assert_int_equal(up(IPPROTO_UDP, 0).priority, 7);
}

static void the_other_bits_of_the_mark_are_the_operators(void **state)
{
	(void)state;
	assert_int_equal(up(IPPROTO_UDP, 0xdeadffff).mark, 0xdead1234);
	assert_int_equal(up(IPPROTO_TCP, 0xdead0000).mark, 0xdead0000);
}

static void a_packet_without_a_class_has_its_mark_cleared(void **state)
{
	(void)state;
	/* what the subscriber's side put there must not choose a class */
	assert_int_equal(up(IPPROTO_TCP, 0x00011234).mark, 0x00010000);
	bpfrun_settings(run)->unknown_drop = 0;
	bpfrun_reset(run);
	bpfrun_settings(run)->unknown_drop = 0;
	assert_int_equal(up(IPPROTO_UDP, 0x00011234).mark, 0x00010000);
}

static void a_dropped_packet_is_not_touched(void **state)
{
	(void)state;
	assert_int_equal(up(IPPROTO_ICMP, 0x00011234).verdict, BPFRUN_TC_DROP);
	assert_int_equal(up(IPPROTO_ICMP, 0x00011234).mark, 0x00011234);
}

static void the_downlink_class_goes_into_the_priority(void **state)
{
	(void)state;
	assert_int_equal(down(UE4, IPPROTO_UDP).priority, CLASS(0x7ff2));
	assert_int_equal(down(UE4, IPPROTO_UDP).mark, 0x00010042);
}

static void downlink_traffic_without_a_class_goes_to_the_default_class(void **state)
{
	(void)state;
	assert_int_equal(down(UE4, IPPROTO_TCP).priority, CLASS(SLUICE_HTB_DEFAULT_MINOR));
	bpfrun_settings(run)->unknown_drop = 0;
	assert_int_equal(down("10.9.9.9", IPPROTO_UDP).verdict, BPFRUN_TC_NEXT);
	assert_int_equal(down("10.9.9.9", IPPROTO_UDP).priority, CLASS(SLUICE_HTB_DEFAULT_MINOR));
}

static void core_egress_turns_the_mark_into_the_priority_of_any_packet(void **state)
{
	static const struct {
		uint32_t mark, minor;
	} cases[] = {
		{0, SLUICE_HTB_DEFAULT_MINOR},
		{0xdead0000, SLUICE_HTB_DEFAULT_MINOR},
		{3, 3},
		{0xdead1234, 0x1234},
		{0xdead7fff, 0x7fff},
		/* the marks of APNs, of the portal and of answers are no classes */
		{0xdead8001, SLUICE_HTB_DEFAULT_MINOR},
		{0xdeadfffd, SLUICE_HTB_DEFAULT_MINOR},
		{0xdeadfffe, SLUICE_HTB_DEFAULT_MINOR},
		{0xffffffff, SLUICE_HTB_DEFAULT_MINOR},
	};
	struct packet packets[2];

	(void)state;
	packet_build(&packets[0],
		     &(struct packet_spec){.source = UE4, .destination = SERVER4, .protocol = IPPROTO_UDP});
	packet_build(&packets[1], &(struct packet_spec){.ethertype = 0x8864, .payload = 46});
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (size_t j = 0; j < 2; j++) {
			struct bpfrun_context context = {.mark = cases[i].mark, .priority = 7};
			struct bpfrun_result result =
				bpfrun_packet(run, BPFRUN_CORE_EGRESS, &packets[j], &context);

			assert_int_equal(result.verdict, BPFRUN_TC_NEXT);
			assert_int_equal(result.priority, CLASS(cases[i].minor));
			assert_int_equal(result.mark, cases[i].mark);
		}
	}
}

/* A unit of eight minors is in the HTB of one queue, 7ffe: is the first one's; the default is in each. */
static void with_several_transmit_queues_the_unit_of_a_class_says_which_htb(void **state)
{
	static const struct {
		uint32_t mark, priority;
	} cases[] = {
		{0, CLASS(SLUICE_HTB_DEFAULT_MINOR)},
		{8, 0x7ffd0008},
		{15, 0x7ffd000f},
		{16, 0x7ffc0010},
		{24, 0x7ffb0018},
		{32, 0x7ffe0020},
		{0x7eff, 0x7ffb7eff},
		{0x8001, CLASS(SLUICE_HTB_DEFAULT_MINOR)},
	};
	struct packet packet;

	(void)state;
	bpfrun_egress_queues(run, 4);
	packet_build(&packet,
		     &(struct packet_spec){.source = UE4, .destination = SERVER4, .protocol = IPPROTO_UDP});
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bpfrun_context context = {.mark = cases[i].mark, .priority = 7};

		assert_int_equal(bpfrun_packet(run, BPFRUN_CORE_EGRESS, &packet, &context).priority,
				 cases[i].priority);
	}
	assert_int_equal(down(UE4, IPPROTO_UDP).priority, 0x7ffc7ff2);
	bpfrun_egress_queues(run, 1);
	assert_int_equal(down(UE4, IPPROTO_UDP).priority, CLASS(0x7ff2));
}

#define T(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_uplink_class_goes_into_the_low_bits_of_the_mark),
		T(the_other_bits_of_the_mark_are_the_operators),
		T(a_packet_without_a_class_has_its_mark_cleared),
		T(a_dropped_packet_is_not_touched),
		T(the_downlink_class_goes_into_the_priority),
		T(downlink_traffic_without_a_class_goes_to_the_default_class),
		T(core_egress_turns_the_mark_into_the_priority_of_any_packet),
		T(with_several_transmit_queues_the_unit_of_a_class_says_which_htb),
	};

	return cmocka_run_group_tests_name("shape", tests, open_rig, close_rig);
}
