// SPDX-License-Identifier: Apache-2.0
/*
 * The keys that rules have of one packet. A rule takes over what the rule before it made of the packet
 * where both track the same: so each comes after one that tracks the same, something else, or the same
 * with another prefix.
 */
#include "ids_rig.h"

#define UDP 17

static const struct {
	uint8_t track, verdict, prefix4, limits;
} rules[] = {
	{SLUICE_IDS_SUBSCRIBER, SLUICE_IDS_ALERT, 0, 1},
	{SLUICE_IDS_SUBSCRIBER, SLUICE_IDS_ALERT, 0, 2},
	{SLUICE_IDS_SUBSCRIBER, SLUICE_IDS_ALERT, 0, 1},
	{SLUICE_IDS_DESTINATION, SLUICE_IDS_ALERT, 24, 1},
	{SLUICE_IDS_DESTINATION, SLUICE_IDS_ALERT, 16, 1},
	{SLUICE_IDS_DESTINATION, SLUICE_IDS_ALERT, 0, 1},
	{SLUICE_IDS_CONNECTION, SLUICE_IDS_ALERT, 0, 1},
	{SLUICE_IDS_CONNECTION, SLUICE_IDS_ALERT, 24, 1},
	{SLUICE_IDS_SUBSCRIBER_RULE, SLUICE_IDS_ALERT, 0, 1},
	{SLUICE_IDS_SUBSCRIBER, SLUICE_IDS_DROP_CONNECTION, 0, 1},
	{SLUICE_IDS_APN, SLUICE_IDS_ALERT, 0, 1},
	{SLUICE_IDS_RULE, SLUICE_IDS_ALERT, 0, 1},
	{SLUICE_IDS_PAIR, SLUICE_IDS_ALERT, 0, 1},
	{SLUICE_IDS_PAIR, SLUICE_IDS_ALERT, 16, 1},
	{SLUICE_IDS_SOURCE, SLUICE_IDS_ALERT, 0, 1},
	{SLUICE_IDS_SUBSCRIBER, SLUICE_IDS_ALERT, 0, 1},
};

static void put_address(uint8_t *field, const char *text, uint8_t prefix)
{
	struct in_addr address;

	assert_int_equal(inet_pton(AF_INET, text, &address), 1);
	if (prefix)
		address.s_addr &= htonl(~0u << (32 - prefix));
	memcpy(field, &address, sizeof(address));
}

/* What `rule` has of a packet that goes up. */
static struct sluice_ids_key expected_key(size_t rule, uint8_t limit, const struct packet_spec *packet,
					  const char *imsi)
{
	struct sluice_ids_key key = {.rule = (uint32_t)rule + 1, .track = rules[rule].track, .limit = limit};

	switch (key.track) {
	case SLUICE_IDS_CONNECTION:
		key.family = 4;
		key.protocol = UDP;
		key.local_port = packet->source_port;
		key.remote_port = packet->destination_port;
		put_address(key.local, packet->source, 0);
		put_address(key.remote, packet->destination, 0);
		break;
	case SLUICE_IDS_SUBSCRIBER_RULE:
		key.number = 7;
		/* fall through */
	case SLUICE_IDS_SUBSCRIBER:
		memcpy(key.local, imsi, strlen(imsi));
		break;
	case SLUICE_IDS_APN:
		key.number = 3;
		break;
	case SLUICE_IDS_PAIR:
		put_address(key.local, packet->source, 0);
		/* fall through */
	case SLUICE_IDS_DESTINATION:
		key.family = 4;
		put_address(key.remote, packet->destination, rules[rule].prefix4);
		break;
	case SLUICE_IDS_SOURCE:
		key.family = 4;
		put_address(key.remote, packet->source, 0);
		break;
	}
	return key;
}

static void each_rule_has_its_own_key_whatever_the_rule_before_it_tracked(void **state)
{
	static const struct packet_spec packets[] = {{.source = "10.0.0.1",
						      .destination = "198.51.100.9",
						      .protocol = UDP,
						      .source_port = 4000,
						      .destination_port = 53,
						      .payload = 20},
						     {.source = "10.9.8.7",
						      .destination = "203.0.113.77",
						      .protocol = UDP,
						      .source_port = 4001,
						      .destination_port = 5353,
						      .payload = 20}};
	struct ids_rig *rig = *state;

	for (size_t i = 0; i < SL_ARRAY_SIZE(rules); i++) {
		struct sluice_ids_rule rule = {.track = rules[i].track,
					       .count = SLUICE_IDS_PACKETS,
					       .verdict = rules[i].verdict,
					       .prefix4 = rules[i].prefix4,
					       .limit_count = rules[i].limits,
					       .limit = {rig_bucket(9, S, 9), rig_bucket(90, 60 * S, 90)}};

		rig_uplink_rule(rig, &rule);
	}
	rig->programs->bss->apn = 3;
	for (uint32_t p = 0; p < SL_ARRAY_SIZE(packets); p++) {
		size_t keys = 0;

		places_clear(&rig->buckets);
		rig->programs->bss->session = p;
		assert_int_equal(rig_up(rig, &packets[p]), 0);
		for (size_t i = 0; i < SL_ARRAY_SIZE(rules); i++) {
			for (uint8_t limit = 0; limit < rules[i].limits; limit++, keys++) {
				struct sluice_ids_key key =
					expected_key(i, limit, &packets[p], rig->sessions[p].imsi);
				struct sluice_ids_bucket value;

				assert_int_equal(sl_places_get(&rig->buckets, &key, &value), 0);
			}
		}
		assert_int_equal(rig_table(rig, SLUICE_IDS_TABLE_BUCKETS).made, keys * (p + 1));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(each_rule_has_its_own_key_whatever_the_rule_before_it_tracked,
				       rig_reset),
	};

	return cmocka_run_group_tests(tests, rig_open, rig_close);
}
