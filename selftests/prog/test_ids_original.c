// SPDX-License-Identifier: Apache-2.0
/*
 * I3: what the original controller (selftests/lib/original_controller.h) lets through, packet by packet
 * beside the IDS stage, in virtual time, at the original's own limit: 40 in a minute. Each test names
 * a defect, asserts how much the original leaks by it, and that of sluice's
 * packets the first one in excess is dropped and every one after it.
 */
#include "ids_rig.h"

#include "original_controller.h"

#define LIMIT  ORIGINAL_THRESHOLD
#define WINDOW (60 * S)
#define CLIENT 0x0a000001u

/* What must pass, by the definition: packet i is in excess if packet i - LIMIT that passed did less than a
 * window ago. */
struct oracle {
	uint64_t at[LIMIT];
	uint64_t passed;
};

struct race {
	struct ids_rig *rig;
	struct original_controller original;
	struct oracle oracle;
	struct packet_spec client;
	uint64_t sent, passed, first_drop; /* sluice; first_drop: number of the packet from 1, 0: none */
	bool judged_by_oracle;
};

static bool oracle_passes(struct oracle *oracle, uint64_t now)
{
	uint64_t *slot = &oracle->at[oracle->passed % LIMIT];

	if (oracle->passed >= LIMIT && now - *slot < WINDOW)
		return false;
	*slot = now;
	oracle->passed++;
	return true;
}

static void begin(struct race *race, void **state, const struct sluice_ids_rule *rule)
{
	struct sluice_ids_match match = rig_match(SLUICE_UPLINK);

	memset(race, 0, sizeof(*race));
	race->rig = *state;
	race->judged_by_oracle = !(rule->flags & SLUICE_IDS_BLOCKS);
	race->client = (struct packet_spec){.source = "10.0.0.1",
					    .destination = "198.51.100.9",
					    .protocol = 6,
					    .source_port = 40000,
					    .destination_port = 5222,
					    .tcp_flags = 0x18,
					    .payload = 60};
	match.flags = SLUICE_MATCH_PROTOCOL | SLUICE_MATCH_PORTS;
	match.protocol = 6;
	match.remote_port_low = match.remote_port_high = 5222;
	rig_rule(race->rig, rule, &match, 1);
}

static struct sluice_ids_rule limit_of(uint8_t track)
{
	return rig_exact(track, SLUICE_IDS_PAYLOAD_PACKETS, LIMIT);
}

/* A packet of the client at a time since the beginning; whether the original lets it pass. */
static bool put(struct race *race, uint64_t now)
{
	const bool original = original_packet(&race->original, now, CLIENT, race->client.source_port);
	bool passes;

	rig_at(race->rig, now);
	passes = rig_up(race->rig, &race->client) == 0;
	race->sent++;
	race->passed += passes;
	if (!passes && !race->first_drop)
		race->first_drop = race->sent;
	if (race->judged_by_oracle && race->client.payload)
		assert_int_equal(passes, oracle_passes(&race->oracle, now));
	return original;
}

/* So many a second from one time to another; how many the original lets pass. */
static uint64_t stream(struct race *race, uint64_t from, uint64_t to, uint64_t milli_per_second)
{
	uint64_t passed = 0;

	for (uint64_t i = 0; from + i * 1000 * S / milli_per_second < to; i++)
		passed += put(race, from + i * 1000 * S / milli_per_second);
	return passed;
}

static void tell(const char *defect, uint64_t sent, uint64_t original, uint64_t passed)
{
	print_message("%s: sent %llu, the original let %llu pass, sluice %llu\n", defect,
		      (unsigned long long)sent, (unsigned long long)original, (unsigned long long)passed);
}

/* --- the defects ------------------------------------------------------------------------------ */

static void defect_1_a_quiet_hour_is_no_credit_for_a_burst(void **state)
{
	/*
	 * How fast after an hour at 0.5/s, how long until the average since the beginning is above 40 a
	 * minute, and which packet is in excess: 29 of the hour are in the window when the burst begins.
	 */
	static const struct {
		uint64_t milli_per_second, unseen_s, in_excess;
	} bursts[] = {{10000, 64, 12}, {1000, 1800, 22}};
	struct sluice_ids_rule rule = limit_of(SLUICE_IDS_CONNECTION);

	for (size_t i = 0; i < 2; i++) {
		uint64_t before, original = 0, last = 0;
		struct race race;

		rig_reset(state);
		begin(&race, state, &rule);
		assert_int_equal(stream(&race, 0, 3600 * S, 500), 1800);
		assert_int_equal(race.first_drop, 0);
		before = race.passed;
		for (uint64_t now = 3600 * S; now < 6000 * S; now += 1000 * S / bursts[i].milli_per_second) {
			if (!put(&race, now))
				break;
			last = now;
			original++;
		}
		tell("defect 1, lifetime average", race.sent - 1800, original, race.passed - before);
		/* blind for at least as long as the average says, then until the poll after that */
		assert_in_range(last / S, 3600 + bursts[i].unseen_s, 3600 + bursts[i].unseen_s + 60);
		assert_true(original >= bursts[i].unseen_s * bursts[i].milli_per_second / 1000);
		assert_int_equal(race.first_drop, 1800 + bursts[i].in_excess);
		assert_true(race.passed - before <= LIMIT * (last / S - 3600 + 60) / 60);
	}
}

static void defect_2_a_burst_between_two_polls_is_seen(void **state)
{
	struct sluice_ids_rule rule = limit_of(SLUICE_IDS_CONNECTION);
	uint64_t original = 0;
	struct race race;

	begin(&race, state, &rule);
	for (uint64_t minute = 0; minute < 10; minute++)
		original += stream(&race, minute * 60 * S, minute * 60 * S + 25 * S, 1000000);
	tell("defect 2, blind between polls", race.sent, original, race.passed);
	assert_int_equal(race.sent, 250000);
	assert_int_equal(original, race.sent);
	assert_int_equal(race.original.blocks, 0);
	assert_int_equal(race.first_drop, LIMIT + 1);
	assert_int_equal(race.passed, 10 * LIMIT);
}

static void defect_3_nothing_leaks_until_the_next_poll(void **state)
{
	static const uint64_t per_second[] = {1000, 10000};
	struct sluice_ids_rule rule = limit_of(SLUICE_IDS_CONNECTION);

	for (size_t i = 0; i < 2; i++) {
		uint64_t original;
		struct race race;

		rig_reset(state);
		begin(&race, state, &rule);
		original = stream(&race, 0, 60 * S, per_second[i] * 1000);
		assert_false(put(&race, 60 * S));
		tell("defect 3, leak until the poll", race.sent, original, race.passed);
		assert_int_equal(original, per_second[i] * 60);
		assert_int_equal(race.first_drop, LIMIT + 1);
		assert_int_equal(race.passed, LIMIT + 1); /* that at 60 s is in the next window */
	}
}

static void defect_4_a_flow_that_has_just_begun_breaks_nothing(void **state)
{
	static const uint8_t kinds[] = {SLUICE_IDS_EXACT, SLUICE_IDS_SLIDING, SLUICE_IDS_FIXED,
					SLUICE_IDS_BUCKET};
	struct sluice_ids_rule rule = limit_of(SLUICE_IDS_CONNECTION);
	uint64_t original;
	struct race race;

	begin(&race, state, &rule);
	put(&race, 59500 * MS); /* half a second before a poll: a duration of 0 */
	original = 1 + stream(&race, 60 * S, 660 * S, 100000);
	tell("defect 4, division by 0", race.sent, original, race.passed);
	assert_true(race.original.died);
	assert_int_equal(original, race.sent); /* nobody polls any more: the flow lets everything pass */
	assert_int_equal(race.first_drop, LIMIT + 1);
	assert_in_range(race.passed, LIMIT * 10, LIMIT * 11);

	/* all at one instant, whatever the window is made of: a duration of 0, and never more than the limit
	 */
	for (size_t i = 0; i < 4; i++) {
		rig_reset(state);
		rule.limit[0] = kinds[i] == SLUICE_IDS_BUCKET
					? rig_bucket(LIMIT, WINDOW, LIMIT)
					: (struct sluice_ids_limit){
						  .kind = kinds[i], .count = LIMIT, .window_ns = WINDOW};
		begin(&race, state, &rule);
		race.judged_by_oracle = false;
		for (int k = 0; k < 1000; k++)
			put(&race, 5 * S);
		assert_int_equal(race.first_drop, LIMIT + 1);
		assert_int_equal(race.passed, LIMIT);
	}
}

static void defect_5_what_prolongs_a_block_is_the_rules_own_word(void **state)
{
	struct sluice_ids_rule rule = limit_of(SLUICE_IDS_CONNECTION);
	struct race race;
	uint64_t passed;

	/* both: who never pauses stays blocked, who pauses for 30 s is released */
	rule.idle_ns = 30 * S;
	rule.flags = SLUICE_IDS_BLOCKS | SLUICE_IDS_EXTEND;
	begin(&race, state, &rule);
	assert_int_equal(stream(&race, 0, 60 * S, 10000), 600);
	assert_int_equal(race.passed, LIMIT);
	assert_int_equal(stream(&race, 60 * S, 660 * S, 10000), 0);
	assert_int_equal(race.passed, LIMIT);
	assert_true(race.original.blocks >= 10);
	assert_true(put(&race, 690 * S));
	assert_int_equal(race.passed, LIMIT + 1);

	/* but the original's depends on how fast one knocks: at 30 a minute it lets go after 120 s */
	rig_reset(state);
	begin(&race, state, &rule);
	stream(&race, 0, 61 * S, 10000);
	passed = stream(&race, 62 * S, 362 * S, 500);
	tell("defect 5, knocking slowly at a block", 150, passed, race.passed - LIMIT);
	assert_true(passed > 80);
	assert_int_equal(race.passed, LIMIT);

	/* a hard time is never prolonged, and without `extend` nothing is */
	rig_reset(state);
	rule.hard_ns = 120 * S;
	begin(&race, state, &rule);
	stream(&race, 0, 123900 * MS, 10000);
	assert_int_equal(race.passed, LIMIT);
	assert_int_equal(stream(&race, 124 * S, 125 * S, 10000), 0);
	assert_int_equal(race.passed, LIMIT + 10);
	rig_reset(state);
	rule.hard_ns = 0;
	rule.flags = SLUICE_IDS_BLOCKS;
	begin(&race, state, &rule);
	stream(&race, 0, 60 * S, 10000);
	/* 4 s, and 30 s after that; the window is not empty before 60 s: one packet, and blocked again */
	assert_int_equal(race.passed, LIMIT);
}

static void defect_6_a_new_connection_is_the_same_subscriber(void **state)
{
	struct sluice_ids_rule rule = limit_of(SLUICE_IDS_SUBSCRIBER);
	uint64_t original = 0;
	struct race race;

	begin(&race, state, &rule);
	for (uint64_t i = 0; i < 120; i++) { /* every 5 s, for ten minutes */
		race.client.source_port = (uint16_t)(40000 + i);
		original += stream(&race, 2 * S + i * 5 * S, 2 * S + (i + 1) * 5 * S, 50000);
	}
	tell("defect 6, reconnecting", race.sent, original, race.passed);
	/* what it blocks is used at most for what is left of five seconds */
	assert_true(original >= race.sent * 9 / 10);
	assert_false(race.original.died);
	assert_int_equal(race.first_drop, LIMIT + 1);
	assert_int_equal(race.passed, 10 * LIMIT);
}

static void defect_7_acknowledgements_are_no_messages(void **state)
{
	struct sluice_ids_rule rule = limit_of(SLUICE_IDS_CONNECTION);
	uint64_t original = 0, messages = 0;
	struct race race;

	begin(&race, state, &rule);
	/* twelve messages a minute, and what a chat room sends to him is acknowledged once a second */
	for (uint64_t second = 0; second < 600; second++) {
		race.client.payload = 0;
		race.client.tcp_flags = 0x10;
		put(&race, second * S);
		if (second % 5)
			continue;
		race.client.payload = 60;
		race.client.tcp_flags = 0x18;
		original += put(&race, second * S + 100 * MS);
		messages++;
	}
	print_message("defect 7, ACKs counted: of %llu messages within the limit the original let %llu pass, "
		      "sluice all\n",
		      (unsigned long long)messages, (unsigned long long)original);
	assert_int_equal(messages, 120);
	assert_int_equal(original, 12); /* those of the first minute */
	assert_int_equal(race.passed, race.sent);
	assert_int_equal(race.first_drop, 0);
}

static void defect_8_a_block_is_told_and_the_first_packet_asks_nobody(void **state)
{
	struct sluice_ids_rule rule = limit_of(SLUICE_IDS_CONNECTION);
	const struct sluice_ids_event *event;
	bool told = false;
	struct race race;

	begin(&race, state, &rule);
	for (uint16_t i = 0; i < 50; i++) {
		race.client.source_port = (uint16_t)(1000 + i);
		race.judged_by_oracle = false; /* keys of their own */
		assert_true(put(&race, S + i * MS));
	}
	rig_events(race.rig);
	print_message(
		"defect 8: of 50 new connections the original asks the controller %llu times, sluice %u\n",
		(unsigned long long)race.original.asked, race.rig->events);
	assert_int_equal(race.original.asked, 50);
	assert_int_equal(race.rig->events, 0);

	rig_reset(state);
	rule.hard_ns = 120 * S;
	rule.flags = SLUICE_IDS_BLOCKS;
	begin(&race, state, &rule);
	stream(&race, S, 61 * S, 10000);
	rig_events(race.rig);
	for (uint32_t i = 0; i < race.rig->events; i++) {
		event = &race.rig->event[i];
		if (event->type != SLUICE_IDS_EVENT_BLOCK)
			continue;
		told = true;
		/* at the packet that crossed, with what it was */
		assert_int_equal(event->time_ns, NOON + S + LIMIT * 100 * MS);
		assert_int_equal(event->observed, LIMIT + 1);
		assert_int_equal(event->rule, 0);
		assert_int_equal(event->source_port, 40000);
		assert_int_equal(event->destination_port, 5222);
		assert_int_equal(event->key.track, SLUICE_IDS_CONNECTION);
		assert_true(event->captured >= 40);
	}
	assert_true(told);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(defect_1_a_quiet_hour_is_no_credit_for_a_burst, rig_reset),
		cmocka_unit_test_setup(defect_2_a_burst_between_two_polls_is_seen, rig_reset),
		cmocka_unit_test_setup(defect_3_nothing_leaks_until_the_next_poll, rig_reset),
		cmocka_unit_test_setup(defect_4_a_flow_that_has_just_begun_breaks_nothing, rig_reset),
		cmocka_unit_test_setup(defect_5_what_prolongs_a_block_is_the_rules_own_word, rig_reset),
		cmocka_unit_test_setup(defect_6_a_new_connection_is_the_same_subscriber, rig_reset),
		cmocka_unit_test_setup(defect_7_acknowledgements_are_no_messages, rig_reset),
		cmocka_unit_test_setup(defect_8_a_block_is_told_and_the_first_packet_asks_nobody, rig_reset),
	};

	return cmocka_run_group_tests(tests, rig_open, rig_close);
}
