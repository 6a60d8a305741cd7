// SPDX-License-Identifier: Apache-2.0
/* IDS rules on packets: what they match, track and count, in which order, and what they tell. */
#include <stdio.h>

#include "ids_rig.h"

#define TCP  6
#define UDP  17
#define ICMP 1

#define SYN 0x02
#define RST 0x04
#define ACK 0x10
#define FIN 0x01

/* A subscriber's packet, and others that differ in one thing. */
static const struct packet_spec udp = {.source = "10.0.0.1",
				       .destination = "198.51.100.9",
				       .protocol = UDP,
				       .source_port = 4000,
				       .destination_port = 53,
				       .payload = 20};

#define WITH(...) (&(struct packet_spec){__VA_ARGS__})
#define TCP_WITH(flag_bits, bytes)                                                                      \
	WITH(.source = "10.0.0.1", .destination = "198.51.100.9", .protocol = TCP, .source_port = 4000, \
	     .destination_port = 5222, .tcp_flags = (flag_bits), .payload = (bytes))
#define TCP_BACK(flag_bits)                                                                             \
	WITH(.source = "198.51.100.9", .destination = "10.0.0.1", .protocol = TCP, .source_port = 5222, \
	     .destination_port = 4000, .tcp_flags = (flag_bits))

static void without_rules_nothing_is_asked_and_nothing_dropped(void **state)
{
	struct ids_rig *rig = *state;

	assert_int_equal(rig_up(rig, &udp), 0);
	rig_events(rig);
	assert_int_equal(rig->events, 0);
}

static void what_is_above_the_limit_is_dropped_counted_and_nobodys(void **state)
{
	struct ids_rig *rig = *state;
	struct sluice_ids_rule rule = rig_exact(SLUICE_IDS_SUBSCRIBER, SLUICE_IDS_PACKETS, 3);

	rig_uplink_rule(rig, &rule);
	for (int i = 0; i < 3; i++)
		assert_int_equal(rig_up(rig, &udp), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(rig_up(rig, &udp), SLUICE_DROP_IDS_LIMIT);
	assert_int_equal(rig->dropped[0].packets, 2);
	assert_int_equal(rig->dropped[0].bytes, 2 * 48);
	assert_int_equal(rig_counts(rig, 0).matched.packets, 5);
	assert_int_equal(rig_counts(rig, 0).excess.packets, 2);
	assert_int_equal(rig_counts(rig, 0).dropped.packets, 2);
	/* dropped packets were not counted: a minute after the first there is room again */
	rig_at(rig, 60 * S);
	assert_int_equal(rig_up(rig, &udp), 0);
}

/* Packets of one key with `first`, and of another one. */
struct tracked {
	uint8_t track;
	struct packet_spec same, other;
	uint32_t same_session, other_session; /* of the first: 0 */
	uint32_t other_usage, other_apn;      /* of the first: 7, 0 */
	uint8_t prefix4;
};

static void each_track_has_a_limit_for_each_of_its_keys(void **state)
{
#define PORTS(from, to) .protocol = UDP, .source_port = (from), .destination_port = (to), .payload = 20
	static const struct tracked all[] = {
		{.track = SLUICE_IDS_CONNECTION,
		 .same = {.source = "10.0.0.1", .destination = "198.51.100.9", PORTS(4000, 53)},
		 .other = {.source = "10.0.0.1", .destination = "198.51.100.9", PORTS(4001, 53)}},
		{.track = SLUICE_IDS_CONNECTION,
		 .same = {.source = "10.0.0.1", .destination = "198.51.100.9", PORTS(4000, 53)},
		 .other = {.source = "10.0.0.1", .destination = "198.51.100.8", PORTS(4000, 53)}},
		{.track = SLUICE_IDS_SUBSCRIBER,
		 .same = {.source = "2001:db8::1", .destination = "2001:db8:9::9", PORTS(9, 80)},
		 .other = {.source = "10.0.0.1", .destination = "198.51.100.9", PORTS(4000, 53)},
		 .other_session = 1},
		{.track = SLUICE_IDS_SUBSCRIBER_RULE,
		 .same = {.source = "10.0.0.1", .destination = "198.51.100.7", PORTS(9, 80)},
		 .other = {.source = "10.0.0.1", .destination = "198.51.100.9", PORTS(4000, 53)},
		 .other_usage = 8},
		{.track = SLUICE_IDS_SOURCE,
		 .same = {.source = "10.0.0.1", .destination = "198.51.100.7", PORTS(9, 80)},
		 .other = {.source = "10.0.0.2", .destination = "198.51.100.9", PORTS(4000, 53)},
		 .same_session = 1},
		{.track = SLUICE_IDS_DESTINATION,
		 .same = {.source = "10.0.0.7", .destination = "198.51.100.9", PORTS(9, 80)},
		 .other = {.source = "10.0.0.1", .destination = "198.51.100.10", PORTS(4000, 53)},
		 .same_session = 1},
		{.track = SLUICE_IDS_DESTINATION,
		 .same = {.source = "10.0.0.7", .destination = "198.51.100.200", PORTS(9, 80)},
		 .other = {.source = "10.0.0.1", .destination = "198.51.101.9", PORTS(4000, 53)},
		 .prefix4 = 24},
		{.track = SLUICE_IDS_PAIR,
		 .same = {.source = "10.0.0.1", .destination = "198.51.100.9", PORTS(9, 80)},
		 .other = {.source = "10.0.0.1", .destination = "198.51.100.10", PORTS(4000, 53)},
		 .same_session = 1},
		{.track = SLUICE_IDS_APN,
		 .same = {.source = "10.0.0.3", .destination = "198.51.100.7", PORTS(9, 80)},
		 .other = {.source = "10.0.0.1", .destination = "198.51.100.9", PORTS(4000, 53)},
		 .same_session = 1,
		 .other_apn = 3},
	};
	struct ids_rig *rig = *state;
	struct prog_ids__bss *of = rig->programs->bss;

	for (size_t i = 0; i < SL_ARRAY_SIZE(all); i++) {
		const struct tracked *tracked = &all[i];
		struct sluice_ids_rule rule = rig_exact(tracked->track, SLUICE_IDS_PACKETS, 2);

		rig_reset(state);
		rule.prefix4 = tracked->prefix4;
		rig_uplink_rule(rig, &rule);
		assert_int_equal(rig_up(rig, &udp), 0);
		of->session = tracked->same_session;
		assert_int_equal(rig_up(rig, &tracked->same), 0);
		assert_int_equal(rig_up(rig, &tracked->same), SLUICE_DROP_IDS_LIMIT);
		of->session = tracked->other_session;
		of->usage_slot = tracked->other_usage ? tracked->other_usage : 7;
		of->apn = (uint8_t)tracked->other_apn;
		assert_int_equal(rig_up(rig, &tracked->other), 0);
		of->session = 0;
		of->usage_slot = 7;
		of->apn = 0;
		assert_int_equal(rig_up(rig, &udp), SLUICE_DROP_IDS_LIMIT);
	}
}

static void a_rule_that_tracks_itself_has_one_limit_for_all(void **state)
{
	struct ids_rig *rig = *state;
	struct sluice_ids_rule rule = rig_exact(SLUICE_IDS_RULE, SLUICE_IDS_PACKETS, 2);

	rig_uplink_rule(rig, &rule);
	assert_int_equal(rig_up(rig, &udp), 0);
	rig->programs->bss->session = 2;
	assert_int_equal(rig_up(rig, RIG_UDP("2001:db8::7", "2001:db8:9::9", 1, 2)), 0);
	rig->programs->bss->session = 3;
	assert_int_equal(rig_up(rig, RIG_UDP("10.0.0.9", "198.51.100.77", 5, 6)), SLUICE_DROP_IDS_LIMIT);
	assert_int_equal(rig->dropped[3].packets, 1);
}

static void each_count_counts_what_it_says_and_nothing_else(void **state)
{
	struct ids_rig *rig = *state;
	static const struct {
		uint8_t count;
		struct packet_spec yes, no;
	} all[] = {
		{SLUICE_IDS_PAYLOAD_PACKETS,
		 {.source = "10.0.0.1",
		  .destination = "198.51.100.9",
		  .protocol = TCP,
		  .tcp_flags = ACK,
		  .payload = 1},
		 {.source = "10.0.0.1", .destination = "198.51.100.9", .protocol = TCP, .tcp_flags = ACK}},
		{SLUICE_IDS_PAYLOAD_PACKETS,
		 {.source = "2001:db8::1", .destination = "2001:db8:9::9", .protocol = UDP, .payload = 1},
		 {.source = "2001:db8::1", .destination = "2001:db8:9::9", .protocol = UDP}},
		{SLUICE_IDS_PAYLOAD_PACKETS, /* padding of short frames is no payload */
		 {.source = "10.0.0.1",
		  .destination = "198.51.100.9",
		  .protocol = TCP,
		  .tcp_options = 12,
		  .payload = 1},
		 {.source = "10.0.0.1",
		  .destination = "198.51.100.9",
		  .protocol = TCP,
		  .tcp_options = 12,
		  .padding = 6}},
		{SLUICE_IDS_SYNS,
		 {.source = "10.0.0.1", .destination = "198.51.100.9", .protocol = TCP, .tcp_flags = SYN},
		 {.source = "10.0.0.1",
		  .destination = "198.51.100.9",
		  .protocol = TCP,
		  .tcp_flags = SYN | ACK}},
	};

	for (size_t i = 0; i < SL_ARRAY_SIZE(all); i++) {
		struct sluice_ids_rule rule = rig_exact(SLUICE_IDS_SUBSCRIBER, all[i].count, 2);

		rig_reset(state);
		rig_uplink_rule(rig, &rule);
		for (int k = 0; k < 5; k++)
			assert_int_equal(rig_up(rig, &all[i].no), 0);
		assert_int_equal(rig_up(rig, &all[i].yes), 0);
		assert_int_equal(rig_up(rig, &all[i].yes), 0);
		assert_int_equal(rig_up(rig, &all[i].yes), SLUICE_DROP_IDS_LIMIT);
		/* what does not count passes all the same */
		assert_int_equal(rig_up(rig, &all[i].no), 0);
	}
}

static void bytes_are_those_on_the_wire_of_every_segment(void **state)
{
	struct ids_rig *rig = *state;
	struct sluice_ids_rule rule = {.track = SLUICE_IDS_SUBSCRIBER,
				       .count = SLUICE_IDS_BYTES,
				       .verdict = SLUICE_IDS_DROP,
				       .limit = {rig_bucket(10000, S, 3160)}};

	rig_uplink_rule(rig, &rule);
	/* three segments of 1,000 bytes, with 40 bytes of headers each */
	assert_int_equal(rig_send_gso(rig, SLUICE_UPLINK, TCP_WITH(ACK, 3000), 3, 1000), 0);
	assert_int_equal(rig_up(rig, TCP_WITH(ACK, 1)), 0 + SLUICE_DROP_IDS_LIMIT);
	rig_at(rig, S / 10);
	assert_int_equal(rig_up(rig, TCP_WITH(ACK, 960)), 0);
}

static void a_super_packet_counts_as_its_segments_and_passes_whole_or_not_at_all(void **state)
{
	struct ids_rig *rig = *state;
	struct sluice_ids_rule rule = rig_exact(SLUICE_IDS_CONNECTION, SLUICE_IDS_PAYLOAD_PACKETS, 100);

	rig_uplink_rule(rig, &rule);
	for (int i = 0; i < 2; i++)
		assert_int_equal(rig_send_gso(rig, SLUICE_UPLINK, TCP_WITH(ACK, 900), 45, 20), 0);
	assert_int_equal(rig_send_gso(rig, SLUICE_UPLINK, TCP_WITH(ACK, 220), 11, 20), SLUICE_DROP_IDS_LIMIT);
	assert_int_equal(rig_counts(rig, 0).dropped.packets, 11);
	for (int i = 0; i < 10; i++)
		assert_int_equal(rig_up(rig, TCP_WITH(ACK, 1)), 0);
	assert_int_equal(rig_up(rig, TCP_WITH(ACK, 1)), SLUICE_DROP_IDS_LIMIT);
}

static void new_connections_are_counted_once_and_failed_ones_when_they_fail(void **state)
{
	struct ids_rig *rig = *state;
	struct sluice_ids_rule opened = rig_exact(SLUICE_IDS_SUBSCRIBER, SLUICE_IDS_NEW_CONNECTIONS, 2);
	struct sluice_ids_rule failed = rig_exact(SLUICE_IDS_SUBSCRIBER, SLUICE_IDS_FAILED_CONNECTIONS, 1);

	opened.verdict = failed.verdict = SLUICE_IDS_ALERT;
	rig_uplink_rule(rig, &opened);
	rig_uplink_rule(rig, &failed);
	rig->settings->connections = 1;
	rig_up(rig, TCP_WITH(SYN, 0));
	rig_up(rig, TCP_WITH(SYN, 0)); /* the same attempt once more */
	rig_down(rig, TCP_BACK(SYN | ACK));
	rig_up(rig, TCP_WITH(ACK, 5));
	rig_up(rig, TCP_WITH(FIN | ACK, 0));
	rig_at(rig, S);
	rig_up(rig, TCP_WITH(SYN, 0)); /* the second one */
	rig_down(rig, TCP_BACK(RST | ACK));
	assert_int_equal(rig_counts(rig, 0).excess.packets, 0);
	rig_up(rig, TCP_WITH(SYN, 0)); /* and the third */
	assert_int_equal(rig_counts(rig, 0).excess.packets, 1);
	/* a reset by who was asked, before any answer: it is the subscriber's failure */
	rig_down(rig, TCP_BACK(RST | ACK));
	assert_int_equal(rig_counts(rig, 1).excess.packets, 1);
	/* one that is answered and reset is none; nor is the middle of one that nobody saw begin */
	rig_up(rig, TCP_WITH(SYN, 0));
	rig_down(rig, TCP_BACK(SYN | ACK));
	rig_down(rig, TCP_BACK(RST));
	rig_up(rig, WITH(.source = "10.0.0.1", .destination = "198.51.100.9", .protocol = TCP,
			 .source_port = 1, .destination_port = 2, .tcp_flags = ACK, .payload = 9));
	assert_int_equal(rig_counts(rig, 1).excess.packets, 1);
	assert_int_equal(rig_counts(rig, 0).excess.packets, 2);
	/* UDP opens with its first packet, and with the first one after a minute's silence */
	rig_up(rig, &udp);
	rig_up(rig, &udp);
	assert_int_equal(rig_counts(rig, 0).excess.packets, 3);
}

static void twentyfive_different_ports_or_addresses_are_told_apart_from_the_same_again(void **state)
{
	static const uint8_t counts[] = {SLUICE_IDS_DISTINCT_REMOTE_PORTS, SLUICE_IDS_DISTINCT_LOCAL_PORTS,
					 SLUICE_IDS_DISTINCT_REMOTE_ADDRESSES};
	struct ids_rig *rig = *state;

	for (size_t i = 0; i < SL_ARRAY_SIZE(counts); i++) {
		struct sluice_ids_rule rule = {
			.track = SLUICE_IDS_SUBSCRIBER,
			.count = counts[i],
			.verdict = SLUICE_IDS_DROP,
			.limit = {
				{.kind = SLUICE_IDS_SLIDING, .count = 25, .burst = 25, .window_ns = 60 * S}}};
		uint32_t first = 0;

		rig_reset(state);
		rig_uplink_rule(rig, &rule);
		for (int k = 0; k < 200; k++)
			assert_int_equal(rig_up(rig, &udp), 0);
		for (uint32_t k = 1; k < 100 && !first; k++) {
			char address[32];

			snprintf(address, sizeof(address), "198.51.100.%u", 9 + k);
			if (rig_up(rig, RIG_UDP("10.0.0.1", i == 2 ? address : "198.51.100.9",
						(uint16_t)(i == 1 ? 4000 + k : 4000),
						(uint16_t)(i == 0 ? 53 + k : 53))))
				first = k + 1;
		}
		assert_in_range(first, 25, 28); /* 26, and two that fell together */
		/* what is known already goes on */
		assert_int_equal(rig_up(rig, &udp), 0);
		/* and the time comes when it is forgotten */
		rig_at(rig, 121 * S);
		assert_int_equal(rig_up(rig, RIG_UDP("10.0.0.1", "198.51.100.250", 65000, 65000)), 0);
	}
}

static void matches_are_of_direction_family_protocol_ports_prefixes_and_terms(void **state)
{
	struct ids_rig *rig = *state;
	struct sluice_ids_rule rule = rig_exact(SLUICE_IDS_RULE, SLUICE_IDS_PACKETS, 256);
	struct sluice_ids_match match = rig_match(SLUICE_UPLINK);

	match.family = 4;
	match.protocol = TCP;
	match.flags = SLUICE_MATCH_PROTOCOL | SLUICE_MATCH_PORTS;
	match.remote_port_low = match.remote_port_high = 5222;
	match.terms.which = SLUICE_TERM_TCP_FLAGS;
	match.terms.tcp_mask = match.terms.tcp_value = ACK;
	inet_pton(AF_INET, "198.51.100.0", match.remote);
	inet_pton(AF_INET, "255.255.255.0", match.mask);
	rig_rule(rig, &rule, &match, 1);
	rig_up(rig, TCP_WITH(SYN, 0)); /* flags */
	rig_down(rig, TCP_BACK(ACK));  /* direction */
	rig_up(rig, &udp);	       /* protocol */
	rig_up(rig, WITH(.source = "10.0.0.1", .destination = "198.51.101.9", .protocol = TCP,
			 .tcp_flags = ACK, .destination_port = 5222)); /* prefix */
	rig_up(rig, WITH(.source = "10.0.0.1", .destination = "198.51.100.9", .protocol = TCP,
			 .tcp_flags = ACK, .destination_port = 5223)); /* port */
	rig_up(rig, WITH(.source = "2001:db8::1", .destination = "2001:db8:9::9", .protocol = TCP,
			 .tcp_flags = ACK, .destination_port = 5222)); /* family */
	assert_int_equal(rig_counts(rig, 0).matched.packets, 0);
	rig_up(rig, TCP_WITH(ACK, 0));
	assert_int_equal(rig_counts(rig, 0).matched.packets, 1);
}

static void an_exempt_prefix_or_subscriber_is_not_judged(void **state)
{
	struct ids_rig *rig = *state;
	struct sluice_ids_rule rule = rig_exact(SLUICE_IDS_SUBSCRIBER, SLUICE_IDS_PACKETS, 1);
	struct sluice_ids_match match[2] = {rig_match(SLUICE_UPLINK), rig_match(SLUICE_UPLINK)};
	struct sluice_ids_override exempt = {.imsi = "001010000000002"};
	uint32_t none = SLUICE_NONE;

	match[0].verdict = SLUICE_DENY;
	inet_pton(AF_INET, "192.0.2.0", match[0].remote);
	inet_pton(AF_INET, "255.255.255.0", match[0].mask);
	rig_rule(rig, &rule, match, 2);
	for (int i = 0; i < 5; i++)
		assert_int_equal(rig_up(rig, RIG_UDP("10.0.0.1", "192.0.2.9", 1, 2)), 0);
	assert_int_equal(
		bpf_map_update_elem(bpf_map__fd(rig->programs->maps.ids_overrides), &exempt, &none, BPF_ANY),
		0);
	rig->settings->overrides = 1;
	rig->programs->bss->session = 1;
	for (int i = 0; i < 5; i++)
		assert_int_equal(rig_up(rig, &udp), 0);
	rig->programs->bss->session = 0;
	assert_int_equal(rig_up(rig, &udp), 0);
	assert_int_equal(rig_up(rig, &udp), SLUICE_DROP_IDS_LIMIT);
}

static void a_subscribers_own_rule_takes_the_place_of_the_one_for_all(void **state)
{
	struct ids_rig *rig = *state;
	struct sluice_ids_rule rule = rig_exact(SLUICE_IDS_SUBSCRIBER, SLUICE_IDS_PACKETS, 1);
	struct sluice_ids_rule own = rig_exact(SLUICE_IDS_SUBSCRIBER, SLUICE_IDS_PACKETS, 3);
	struct sluice_ids_override key = {.imsi = "001010000000002"};
	uint32_t slot = 1;

	own.flags = SLUICE_IDS_OVERRIDE;
	rig_uplink_rule(rig, &rule);
	rig_uplink_rule(rig, &own);
	assert_int_equal(
		bpf_map_update_elem(bpf_map__fd(rig->programs->maps.ids_overrides), &key, &slot, BPF_ANY), 0);
	rig->settings->overrides = 1;
	for (uint32_t session = 0; session < 2; session++) {
		rig->programs->bss->session = session;
		for (uint32_t i = 0; i < (session ? 3 : 1); i++)
			assert_int_equal(rig_up(rig, &udp), 0);
		assert_int_equal(rig_up(rig, &udp), SLUICE_DROP_IDS_LIMIT);
	}
}

static void rules_that_tell_see_all_and_of_the_others_the_first_that_acts_decides(void **state)
{
	struct ids_rig *rig = *state;
	struct sluice_ids_rule first = rig_exact(SLUICE_IDS_SUBSCRIBER, SLUICE_IDS_PACKETS, 2);
	struct sluice_ids_rule second = rig_exact(SLUICE_IDS_SUBSCRIBER, SLUICE_IDS_PACKETS, 3);
	struct sluice_ids_rule tells = rig_exact(SLUICE_IDS_SUBSCRIBER, SLUICE_IDS_PACKETS, 1);
	struct sluice_ids_rule observes = rig_exact(SLUICE_IDS_SUBSCRIBER, SLUICE_IDS_PACKETS, 1);

	tells.verdict = SLUICE_IDS_ALERT;
	observes.flags = SLUICE_IDS_OBSERVE;
	rig_uplink_rule(rig, &first);
	rig_uplink_rule(rig, &second);
	rig_uplink_rule(rig, &tells);
	rig_uplink_rule(rig, &observes);
	for (int i = 0; i < 5; i++)
		rig_up(rig, &udp);
	assert_int_equal(rig->dropped[0].packets, 3);
	assert_int_equal(rig_counts(rig, 0).dropped.packets, 3);
	assert_int_equal(rig_counts(rig, 1).matched.packets, 2); /* what the first let pass */
	for (uint32_t slot = 2; slot < 4; slot++) {
		assert_int_equal(rig_counts(rig, slot).matched.packets, 5);
		assert_int_equal(rig_counts(rig, slot).excess.packets, 4);
		assert_int_equal(rig_counts(rig, slot).dropped.packets, 0);
	}
}

static void of_several_limits_any_may_fire(void **state)
{
	struct ids_rig *rig = *state;
	struct sluice_ids_rule rule = {
		.track = SLUICE_IDS_SUBSCRIBER,
		.count = SLUICE_IDS_PACKETS,
		.verdict = SLUICE_IDS_DROP,
		.limit_count = 3,
		.limit = {rig_bucket(10, S, 2),
			  {.kind = SLUICE_IDS_EXACT, .count = 5, .window_ns = 60 * S},
			  {.kind = SLUICE_IDS_SLIDING, .count = 8, .window_ns = 3600 * S}}};

	rig_uplink_rule(rig, &rule);
	assert_int_equal(rig_up(rig, &udp), 0);
	assert_int_equal(rig_up(rig, &udp), 0);
	assert_int_equal(rig_up(rig, &udp), SLUICE_DROP_IDS_LIMIT); /* the bucket */
	for (uint64_t i = 1; i <= 3; i++) {
		rig_at(rig, i * S);
		assert_int_equal(rig_up(rig, &udp), 0);
	}
	rig_at(rig, 4 * S);
	assert_int_equal(rig_up(rig, &udp), SLUICE_DROP_IDS_LIMIT); /* five in a minute */
	rig_events(rig);
	assert_int_equal(rig->event[rig->events - 1].limit, 1);
	for (uint64_t i = 1; i <= 3; i++) {
		rig_at(rig, (60 + i) * S);
		assert_int_equal(rig_up(rig, &udp), 0);
	}
	rig_at(rig, 200 * S);
	assert_int_equal(rig_up(rig, &udp), SLUICE_DROP_IDS_LIMIT); /* eight in an hour */
}

static void a_changed_rule_begins_anew_and_an_engine_that_polls_only_counts(void **state)
{
	struct ids_rig *rig = *state;
	struct sluice_ids_rule rule = rig_exact(SLUICE_IDS_RULE, SLUICE_IDS_PACKETS, 1);
	struct sluice_ids_key key = {.rule = 2, .track = SLUICE_IDS_RULE};
	struct sluice_ids_bucket counted;

	rig_uplink_rule(rig, &rule);
	assert_int_equal(rig_up(rig, &udp), 0);
	assert_int_equal(rig_up(rig, &udp), SLUICE_DROP_IDS_LIMIT);
	rig->rules[0].revision += 100;
	assert_int_equal(rig_up(rig, &udp), 0);
	assert_int_equal(rig_up(rig, &udp), SLUICE_DROP_IDS_LIMIT);
	rig->rules[0].in_use = 0;
	rule.flags = SLUICE_IDS_POLL;
	rig_uplink_rule(rig, &rule);
	for (int i = 0; i < 9; i++)
		assert_int_equal(rig_up(rig, &udp), 0);
	assert_int_equal(sl_places_get(&rig->buckets, &key, &counted), 0);
	assert_int_equal(counted.counted, 9);
	assert_int_equal(counted.last_ns, NOON);
}

static void an_event_says_who_what_and_how_much_and_holds_the_headers(void **state)
{
	struct ids_rig *rig = *state;
	struct sluice_ids_rule rule = rig_exact(SLUICE_IDS_CONNECTION, SLUICE_IDS_PACKETS, 1);
	const struct sluice_ids_event *event = &rig->event[0];
	struct packet packet;

	rig_uplink_rule(rig, &rule);
	rig->programs->bss->session = 2;
	for (int i = 0; i < 6; i++) {
		rig_at(rig, (uint64_t)i * 100000);
		rig_up(rig, TCP_WITH(ACK, 7));
	}
	rig_events(rig);
	/* one in a millisecond: the others are counted */
	assert_int_equal(rig->events, 1);
	assert_int_equal(rig_counts(rig, 0).events_suppressed, 4);
	rig_at(rig, 5 * MS);
	rig_up(rig, TCP_WITH(ACK, 500));
	rig_events(rig);
	assert_int_equal(rig->events, 1);
	assert_int_equal(event->type, SLUICE_IDS_EVENT_EXCESS);
	assert_int_equal(event->time_ns, NOON + 5 * MS);
	assert_int_equal(event->sequence, 2);
	assert_int_equal(event->suppressed, 4);
	assert_int_equal(event->rule, 0);
	assert_int_equal(event->revision, rig->rules[0].revision);
	assert_int_equal(event->session, 2);
	assert_int_equal(event->usage, 7);
	assert_int_equal(event->bytes, 540);
	assert_int_equal(event->observed, 2);
	assert_int_equal(event->verdict, SLUICE_IDS_DROP);
	assert_int_equal(event->dropped, SLUICE_DROP_IDS_LIMIT);
	assert_int_equal(event->direction, SLUICE_UPLINK);
	assert_int_equal(event->family, 4);
	assert_int_equal(event->protocol, TCP);
	assert_int_equal(event->tcp_flags, ACK);
	assert_int_equal(event->source_port, 4000);
	assert_int_equal(event->destination_port, 5222);
	assert_int_equal(event->key.rule, 1);
	assert_int_equal(event->key.local_port, 4000);
	assert_int_equal(event->key.remote_port, 5222);
	packet_build(&packet, TCP_WITH(ACK, 500));
	assert_int_equal(event->captured, SLUICE_IDS_HEADERS);
	assert_memory_equal(event->headers, packet.data, SLUICE_IDS_HEADERS);
	assert_memory_equal(event->source, packet.data + packet.network + 12, 4);
	assert_memory_equal(event->destination, packet.data + packet.network + 16, 4);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, rig_reset)
	const struct CMUnitTest tests[] = {
		TEST(without_rules_nothing_is_asked_and_nothing_dropped),
		TEST(what_is_above_the_limit_is_dropped_counted_and_nobodys),
		TEST(each_track_has_a_limit_for_each_of_its_keys),
		TEST(a_rule_that_tracks_itself_has_one_limit_for_all),
		TEST(each_count_counts_what_it_says_and_nothing_else),
		TEST(bytes_are_those_on_the_wire_of_every_segment),
		TEST(a_super_packet_counts_as_its_segments_and_passes_whole_or_not_at_all),
		TEST(new_connections_are_counted_once_and_failed_ones_when_they_fail),
		TEST(twentyfive_different_ports_or_addresses_are_told_apart_from_the_same_again),
		TEST(matches_are_of_direction_family_protocol_ports_prefixes_and_terms),
		TEST(an_exempt_prefix_or_subscriber_is_not_judged),
		TEST(a_subscribers_own_rule_takes_the_place_of_the_one_for_all),
		TEST(rules_that_tell_see_all_and_of_the_others_the_first_that_acts_decides),
		TEST(of_several_limits_any_may_fire),
		TEST(a_changed_rule_begins_anew_and_an_engine_that_polls_only_counts),
		TEST(an_event_says_who_what_and_how_much_and_holds_the_headers),
	};

	return cmocka_run_group_tests(tests, rig_open, rig_close);
}
