// SPDX-License-Identifier: Apache-2.0
/* How many refusals are answered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <sched.h>
#include <time.h>

#include "bpfrun_fixture.h"

#define UE4	 "10.0.0.5"
#define SERVER4	 "198.51.100.9"
#define REDIRECT 7 /* TC_ACT_REDIRECT */
#define PACKETS	 3000

static const struct bpfrun_rule rules[] = {
	{SLUICE_UPLINK, SLUICE_RESET, .protocol = IPPROTO_TCP},
	{SLUICE_UPLINK, SLUICE_REJECT, .protocol = 0},
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Of so many packets in a row. */
static uint32_t count_answers(uint8_t protocol, uint32_t packets)
{
	uint32_t answers = 0;

	for (uint32_t i = 0; i < packets; i++)
		answers += bpfrun_send(run, BPFRUN_ACCESS_INGRESS,
				       &(struct packet_spec){.source = UE4,
							     .destination = SERVER4,
							     .protocol = protocol,
							     .destination_port = 5000}) == REDIRECT;
	return answers;
}

static void icmp_errors_have_a_rate_and_resets_have_none(void **state)
{
	cpu_set_t one, before;
	uint32_t answers;
	uint64_t begun;

	(void)state;
	bpfrun_reset(run);
	bpfrun_session(run, UE4, rules, sizeof(rules) / sizeof(rules[0]));
	/* the rate is that of one CPU */
	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	begun = now_ms();
	answers = count_answers(IPPROTO_UDP, PACKETS);
	/* a hundred at once, and one a millisecond */
	assert_in_range(answers, 100, 100 + (now_ms() - begun) + 1);
	assert_int_equal(bpfrun_answers_withheld(run), PACKETS - answers);
	assert_int_equal(bpfrun_drops(run, SLUICE_DROP_REDIRECTED, SLUICE_UPLINK).packets, PACKETS);
	assert_int_equal(count_answers(IPPROTO_TCP, 300), 300);
	nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	assert_int_equal(count_answers(IPPROTO_UDP, 5), 5);
	sched_setaffinity(0, sizeof(before), &before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(icmp_errors_have_a_rate_and_resets_have_none),
	};

	return cmocka_run_group_tests(tests, open_rig, close_rig);
}
