// SPDX-License-Identifier: Apache-2.0
/* VLANs of APNs: which mark an uplink packet gets, the tag that it stands for, tags that are taken off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <netinet/in.h>

#include "bpfrun_fixture.h"
#include "prog_vlan.skel.h"

#define UE4	"10.0.0.5"
#define UE6	"2001:db8:60:1::1"
#define SERVER4 "198.51.100.9"
#define SERVER6 "2001:db8:ffff::9"

static struct prog_vlan *vlan;

static int open_all(void **state)
{
	vlan = prog_vlan__open_and_load();
	if (!vlan)
		fail_msg("the program does not load");
	return open_rig(state);
}

static int close_all(void **state)
{
	prog_vlan__destroy(vlan);
	return close_rig(state);
}

/* --- the mark -------------------------------------------------------------------- */

static const struct bpfrun_rule rules[] = {
	{SLUICE_UPLINK, SLUICE_PERMIT, .protocol = IPPROTO_UDP, .uplink_class = 0x1234},
	{SLUICE_UPLINK, SLUICE_PERMIT, .protocol = IPPROTO_TCP, .downlink_class = 9},
	{SLUICE_UPLINK, SLUICE_DENY, .protocol = IPPROTO_ICMP},
	{SLUICE_DOWNLINK, SLUICE_PERMIT, .remote = NULL},
};

static struct bpfrun_result through(enum bpfrun_program program, int family, uint8_t protocol)
{
	struct bpfrun_context context = {.mark = 0xdead0042, .priority = 7};
	struct packet_spec spec = {.source = family == 4 ? UE4 : UE6,
				   .destination = family == 4 ? SERVER4 : SERVER6,
				   .protocol = protocol};
	struct packet packet;

	if (program == BPFRUN_ACCESS_EGRESS) {
		const char *swap = spec.source;

		spec.source = spec.destination;
		spec.destination = swap;
	}
	packet_build(&packet, &spec);
	return bpfrun_packet(run, program, &packet, &context);
}

static void publish(uint8_t apn)
{
	bpfrun_reset(run);
	bpfrun_policy(run, bpfrun_session(run, UE4, rules, 4).policy)->apn = apn;
	bpfrun_policy(run, bpfrun_session(run, UE6, rules, 4).policy)->apn = apn;
}

static void uplink_without_a_class_has_the_mark_of_its_apn(void **state)
{
	(void)state;
	for (int family = 4; family <= 6; family += 2) {
		for (uint32_t apn = 1; apn <= SLUICE_APNS; apn += 127) {
			publish((uint8_t)apn);
			assert_int_equal(through(BPFRUN_ACCESS_INGRESS, family, IPPROTO_TCP).mark,
					 0xdead0000 | (SLUICE_MARK_APN + apn));
			assert_int_equal(through(BPFRUN_ACCESS_INGRESS, family, IPPROTO_UDP).mark,
					 0xdead1234);
		}
		publish(0);
		assert_int_equal(through(BPFRUN_ACCESS_INGRESS, family, IPPROTO_TCP).mark, 0xdead0000);
	}
}

static void what_is_dropped_and_downlink_have_no_mark_of_an_apn(void **state)
{
	struct bpfrun_result result;

	(void)state;
	publish(3);
	result = through(BPFRUN_ACCESS_INGRESS, 4, IPPROTO_ICMP);
	assert_int_equal(result.verdict, BPFRUN_TC_DROP);
	assert_int_equal(result.mark, 0xdead0042);
	result = through(BPFRUN_ACCESS_EGRESS, 4, IPPROTO_TCP);
	assert_int_equal(result.mark, 0xdead0042);
	assert_int_equal(result.priority, (uint32_t)SLUICE_HTB_MAJOR << 16 | SLUICE_HTB_DEFAULT_MINOR);
}

/* --- tags ------------------------------------------------------------------------ */

struct tagged {
	int verdict;
	uint32_t present, tci, tpid, length;
	bool same; /* data as before */
	uint32_t built;
};

static struct tagged run_tag(int program, uint32_t mark, uint32_t tpid, uint32_t tci)
{
	struct __sk_buff in = {.mark = mark, .cb = {tpid, tci}}, out = {0};
	static struct packet packet;
	static uint8_t left[PACKET_SIZE];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_out = left, .data_size_out = sizeof(left), .ctx_in = &in,
		    .ctx_size_in = sizeof(in), .ctx_out = &out, .ctx_size_out = sizeof(out), .repeat = 1);

	packet_build(&packet, &(struct packet_spec){.source = UE4,
						    .destination = SERVER4,
						    .protocol = IPPROTO_UDP,
						    .payload = 1000});
	opts.data_in = packet.data;
	opts.data_size_in = (uint32_t)packet.length;
	assert_int_equal(bpf_prog_test_run_opts(program, &opts), 0);
	return (struct tagged){
		.verdict = (int)opts.retval,
		.present = out.cb[0],
		.tci = out.cb[1],
		.tpid = out.cb[2],
		.length = out.cb[3],
		.same = opts.data_size_out == packet.length && !memcmp(left, packet.data, packet.length),
		.built = (uint32_t)packet.length,
	};
}

static void set_mark(uint32_t slot, uint32_t id)
{
	const struct sluice_mark mark = {.vlan = id};

	assert_int_equal(bpf_map_update_elem(bpf_map__fd(vlan->maps.marks), &slot, &mark, BPF_ANY), 0);
}

static void a_mark_with_a_vlan_pushes_its_tag_and_no_length_changes(void **state)
{
	static const uint32_t slots[] = {1, 0x1234, SLUICE_MARK_APN + 1, SLUICE_MARK_APN + SLUICE_APNS};
	const int program = bpf_program__fd(vlan->progs.push);

	(void)state;
	for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
		for (uint32_t id = 1; id <= 4094; id += 4093) {
			struct tagged result;

			set_mark(slots[i], id);
			/* the other bits of the mark are the operator's */
			result = run_tag(program, 0xbeef0000 | slots[i], 0, 0);
			assert_int_equal(result.verdict, 0);
			assert_int_equal(result.present, 1);
			assert_int_equal(result.tci, id);
			assert_int_equal(result.tpid, 0x8100);
			assert_int_equal(result.length, result.built);
			assert_true(result.same);
		}
		set_mark(slots[i], 0);
		assert_int_equal(run_tag(program, slots[i], 0, 0).present, 0);
	}
}

static void a_packet_without_a_mark_has_no_tag_whatever_the_map_says(void **state)
{
	(void)state;
	set_mark(0, 100);
	assert_int_equal(run_tag(bpf_program__fd(vlan->progs.push), 0, 0, 0).present, 0);
	assert_int_equal(run_tag(bpf_program__fd(vlan->progs.push), 0xbeef0000, 0, 0).present, 0);
	set_mark(0, 0);
}

static void the_tag_of_an_apn_is_taken_off_and_every_other_stays(void **state)
{
	static const struct {
		uint32_t tpid, tci;
		bool stays;
	} cases[] = {
		{0x8100, 100, false},	{0x8100, 0xe000 | 100, false}, /* with a priority */
		{0x8100, 4094, false},	{0x8100, 101, true},
		{0x8100, 0xe000, true}, /* a priority alone */
		{0x88a8, 100, true},	/* a service provider's */
	};
	const uint32_t ours[] = {100, 4094};
	const int map = bpf_map__fd(vlan->maps.vlans), program = bpf_program__fd(vlan->progs.pop);
	const uint64_t one = 1, zero = 0;

	(void)state;
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(bpf_map_update_elem(map, &ours[i], &one, BPF_ANY), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tagged result = run_tag(program, 0, cases[i].tpid, cases[i].tci);

		assert_int_equal(result.verdict, 0);
		assert_int_equal(result.present, cases[i].stays);
		if (cases[i].stays)
			assert_int_equal(result.tci, cases[i].tci);
		assert_int_equal(result.length, result.built);
		assert_true(result.same);
	}
	assert_int_equal(run_tag(program, 0, 0, 0).present, 0);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(bpf_map_update_elem(map, &ours[i], &zero, BPF_ANY), 0);
		assert_int_equal(run_tag(program, 0, 0x8100, ours[i]).present, 1);
	}
}

/* --- neighbours ------------------------------------------------------------------- */

#define ROUTER4 192, 0, 2, 1
#define ROUTER6 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12
#define OTHER4	192, 0, 2, 2
#define OTHER6	0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12
#define GROUP6	0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 0x12

#define ETHERNET(type) 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, (type) >> 8, (type)&0xff
#define ARP(hardware, target) \
	ETHERNET(0x0806), 0, hardware, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 2, OTHER4, 0, 0, 0, 0, 0, 0, target
#define ND(next, limit, to, type, target) \
	ETHERNET(0x86dd), 0x60, 0, 0, 0, 0, 24, next, limit, OTHER6, to, type, 0, 0, 0, 0, 0, 0, 0, target

static uint32_t asked(const uint8_t *frame, uint32_t length, uint32_t ingress)
{
	struct __sk_buff in = {.ingress_ifindex = ingress, .ifindex = 1};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = length, .ctx_in = &in,
		    .ctx_size_in = sizeof(in), .repeat = 1);

	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(vlan->progs.ask), &opts), 0);
	return opts.retval;
}

static void arp_and_nd_for_a_router_have_its_vlan_and_nothing_else_has(void **state)
{
#define FRAME(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})
	const struct {
		const uint8_t *frame;
		uint32_t length, vlan;
	} cases[] = {
		{FRAME(ARP(1, ROUTER4)), 100},
		{FRAME(ARP(1, OTHER4)), 0},
		{FRAME(ARP(6, ROUTER4)), 0},			  /* no Ethernet */
		{FRAME(ND(58, 255, GROUP6, 135, ROUTER6)), 200},  /* the first question */
		{FRAME(ND(58, 255, ROUTER6, 135, ROUTER6)), 200}, /* whether it is still there */
		{FRAME(ND(58, 255, GROUP6, 135, OTHER6)), 0},	  /* another one of the same group */
		{FRAME(ND(58, 255, ROUTER6, 135, OTHER6)), 0},
		{FRAME(ND(58, 255, ROUTER6, 136, OTHER6)), 200}, /* the answer to it */
		{FRAME(ND(58, 255, OTHER6, 136, ROUTER6)), 0},
		{FRAME(ND(58, 64, ROUTER6, 136, OTHER6)), 0},
		{FRAME(ND(17, 255, ROUTER6, 136, OTHER6)), 0},
		{FRAME(ND(58, 255, ROUTER6, 128, ROUTER6)), 0},	      /* an echo */
		{FRAME(ETHERNET(0x0806), 0, 1, 8, 0, 6, 4, 0, 1), 0}, /* cut off */
	};
	const struct {
		struct sluice_neighbour key;
		uint32_t vlan;
	} routers[] = {{{4, {ROUTER4}}, 100}, {{6, {ROUTER6}}, 200}};
	const int map = bpf_map__fd(vlan->maps.neighbours);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(asked(cases[i].frame, cases[i].length, 0), 0);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(bpf_map_update_elem(map, &routers[i].key, &routers[i].vlan, BPF_ANY), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (asked(cases[i].frame, cases[i].length, 0) != cases[i].vlan)
			fail_msg("case %zu has not VLAN %u", i, cases[i].vlan);
		/* forwarded, or bridged */
		assert_int_equal(asked(cases[i].frame, cases[i].length, 1), 0);
	}
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(bpf_map_delete_elem(map, &routers[i].key), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(uplink_without_a_class_has_the_mark_of_its_apn),
		cmocka_unit_test(what_is_dropped_and_downlink_have_no_mark_of_an_apn),
		cmocka_unit_test(a_mark_with_a_vlan_pushes_its_tag_and_no_length_changes),
		cmocka_unit_test(a_packet_without_a_mark_has_no_tag_whatever_the_map_says),
		cmocka_unit_test(arp_and_nd_for_a_router_have_its_vlan_and_nothing_else_has),
		cmocka_unit_test(the_tag_of_an_apn_is_taken_off_and_every_other_stays),
	};

	return cmocka_run_group_tests_name("vlan", tests, open_all, close_all);
}
