// SPDX-License-Identifier: Apache-2.0
/* The places of keys in ids_buckets, ids_windows and ids_logs (sluice/ids_places.h), by packets and by the
 * agent. */
#define RIG_ENTRIES  8192
#define RIG_LRU	     1024
#define RIG_SESSIONS 4
#include "ids_rig.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "datapath/ids_maps.h"

static struct sluice_ids_key key_of(uint32_t number)
{
	struct sluice_ids_key key = {.rule = 1, .track = SLUICE_IDS_SOURCE, .family = 4};

	memcpy(key.remote, &number, sizeof(number));
	return key;
}

static uint32_t count_tags(const struct sl_places *places, uint32_t least, uint32_t most)
{
	uint32_t count = 0;

	for (uint32_t i = 8; i < places->elements * SLUICE_IDS_GROUP; i++) {
		uint32_t tag = places->groups[i / SLUICE_IDS_GROUP].tag[i % SLUICE_IDS_GROUP];

		count += tag >= least && tag <= most;
	}
	return count;
}

static uint32_t count_keys(const struct sl_places *places)
{
	return count_tags(places, SLUICE_IDS_TAG_KEY, UINT32_MAX);
}

/* --- two CPUs ------------------------------------------------------------------------ */

#define PORTS 4000
#define BURST 3

struct sender {
	struct ids_rig *rig;
	int cpu;
	bool pinned;
	atomic_uint *ready;
	uint32_t passed[PORTS];
};

/* Each connection in its turn, so that both CPUs come to a new key at nearly the same time. */
static void *send_all(void *argument)
{
	struct sender *sender = argument;
	struct packet_spec spec = {.source = "10.0.0.1",
				   .destination = "198.51.100.9",
				   .protocol = 17,
				   .destination_port = 53,
				   .payload = 20};
	struct packet packet;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(sender->cpu, &cpus);
	sender->pinned = sched_setaffinity(0, sizeof(cpus), &cpus) == 0;
	atomic_fetch_add(sender->ready, 1);
	while (atomic_load(sender->ready) < 2)
		;
	for (uint16_t port = 0; port < PORTS; port++) {
		spec.source_port = (uint16_t)(1000 + port);
		packet_build(&packet, &spec);
		for (int i = 0; i < BURST + 1; i++) {
			LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet.data,
				    .data_size_in = (uint32_t)packet.length, .repeat = 1);

			if (bpf_prog_test_run_opts(bpf_program__fd(sender->rig->programs->progs.uplink),
						   &opts))
				abort();
			sender->passed[port] += opts.retval == 0;
		}
	}
	return NULL;
}

static void from_two_cpus(struct ids_rig *rig, const struct sluice_ids_rule *rule,
			  const struct sl_places *places, uint32_t table)
{
	static struct sender sender[2];
	atomic_uint ready = 0;
	pthread_t thread[2];

	memset(sender, 0, sizeof(sender));
	rig_uplink_rule(rig, rule);
	for (int i = 0; i < 2; i++) {
		sender[i].rig = rig;
		sender[i].cpu = i;
		sender[i].ready = &ready;
		assert_int_equal(pthread_create(&thread[i], NULL, send_all, &sender[i]), 0);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	if (!sender[0].pinned || !sender[1].pinned) {
		print_message("SKIP: two CPUs are needed\n");
		skip();
	}
	/* once each, though both looked for it; and never one more than the limit, whoever made it */
	assert_int_equal(count_keys(places), PORTS);
	assert_int_equal(rig_table(rig, table).made, PORTS);
	assert_int_equal(rig_table(rig, table).refused, 0);
	for (uint32_t port = 0; port < PORTS; port++)
		assert_int_equal(sender[0].passed[port] + sender[1].passed[port], BURST);
	assert_int_equal(rig_counts(rig, 0).matched.packets, PORTS * 2 * (BURST + 1));
	assert_int_equal(rig_counts(rig, 0).dropped.packets, PORTS * (2 * (BURST + 1) - BURST));
}

static void a_key_that_two_cpus_bring_at_once_is_there_once_and_its_limit_holds(void **state)
{
	struct ids_rig *rig = *state;
	struct sluice_ids_rule rule = {.track = SLUICE_IDS_CONNECTION,
				       .count = SLUICE_IDS_PACKETS,
				       .verdict = SLUICE_IDS_DROP,
				       .limit = {rig_bucket(1, 60 * S, BURST)}};

	from_two_cpus(rig, &rule, &rig->buckets, SLUICE_IDS_TABLE_BUCKETS);
	rig_reset(state);
	rule = rig_exact(SLUICE_IDS_CONNECTION, SLUICE_IDS_PACKETS, BURST);
	from_two_cpus(rig, &rule, &rig->logs, SLUICE_IDS_TABLE_LOGS);
	rig_reset(state);
	rule.limit[0].kind = SLUICE_IDS_SLIDING;
	from_two_cpus(rig, &rule, &rig->windows, SLUICE_IDS_TABLE_WINDOWS);
}

/* --- room ---------------------------------------------------------------------------- */

static void as_many_keys_as_the_table_is_said_to_hold_find_room(void **state)
{
	struct ids_rig *rig = *state;
	struct sluice_ids_bucket bucket = {.revision = 1};
	uint32_t refused = 0, more = 0;

	assert_int_equal(sl_places_keys(rig->buckets.elements), RIG_ENTRIES);
	for (uint32_t i = 0; i < RIG_ENTRIES; i++) {
		struct sluice_ids_key key = key_of(i);

		bucket.counted = i;
		refused += sl_places_set(&rig->buckets, &key, &bucket, SL_IDS_NEW) != 0;
	}
	assert_int_equal(refused, 0);
	assert_int_equal(count_keys(&rig->buckets), RIG_ENTRIES);
	for (uint32_t i = 0; i < RIG_ENTRIES; i++) {
		struct sluice_ids_key key = key_of(i);

		assert_int_equal(sl_places_get(&rig->buckets, &key, &bucket), 0);
		assert_int_equal(bucket.counted, i);
		assert_int_equal(sl_places_set(&rig->buckets, &key, &bucket, SL_IDS_NEW), -EEXIST);
	}
	/* and it is full one day */
	for (uint32_t i = RIG_ENTRIES; i < 4 * RIG_ENTRIES; i++) {
		struct sluice_ids_key key = key_of(i);
		int r = sl_places_set(&rig->buckets, &key, &bucket, SL_IDS_ANY);

		assert_true(r == 0 || r == -E2BIG);
		more += r == 0;
	}
	assert_in_range(more, RIG_ENTRIES / 3, RIG_ENTRIES / 2);
}

static void without_a_table_a_key_is_refused_and_counted(void **state)
{
	struct ids_rig *rig = *state;
	struct sluice_ids_places *head = (struct sluice_ids_places *)rig->buckets.groups;
	struct sluice_ids_rule rule = {.track = SLUICE_IDS_CONNECTION,
				       .count = SLUICE_IDS_PACKETS,
				       .verdict = SLUICE_IDS_DROP,
				       .flags = SLUICE_IDS_FULL_CLOSED,
				       .limit = {rig_bucket(1, 60 * S, 1)}};
	struct packet_spec spec = {.source = "10.0.0.1", .destination = "198.51.100.9", .protocol = 17};
	uint32_t groups = head->groups;

	head->groups = 0;
	rig_uplink_rule(rig, &rule);
	assert_int_equal(rig_up(rig, &spec), SLUICE_DROP_IDS_LIMIT);
	assert_int_equal(rig_counts(rig, 0).keys_refused, 1);
	assert_int_equal(rig_table(rig, SLUICE_IDS_TABLE_BUCKETS).refused, 1);
	head->groups = groups;
}

/* --- the agent ------------------------------------------------------------------------- */

struct seen {
	uint32_t keys, without_time;
};

static int see(const void *key, void *value, void *user)
{
	const struct sluice_ids_bucket *bucket = value;
	struct seen *seen = user;

	(void)key;
	seen->keys++;
	seen->without_time += !bucket->last_ns;
	return 0;
}

static uint32_t walk(const struct sl_places *places, struct seen *seen)
{
	uint64_t position = 0;
	uint32_t steps = 0;

	*seen = (struct seen){0};
	do {
		assert_int_equal(sl_places_walk(places, &position, 64, see, seen), 0);
		steps++;
	} while (position);
	return steps;
}

static void
what_is_taken_out_is_found_no_more_and_its_place_is_free_a_while_later_with_nothing_in_it(void **state)
{
	struct ids_rig *rig = *state;
	struct sluice_ids_bucket bucket = {.tat = 7, .counted = 8, .revision = 9}, found;
	struct sluice_ids_key key;
	struct seen seen;

	for (uint32_t i = 0; i < 1000; i++) {
		key = key_of(i);
		assert_int_equal(sl_places_set(&rig->buckets, &key, &bucket, SL_IDS_ANY), 0);
	}
	assert_in_range(walk(&rig->buckets, &seen), 12, 40);
	assert_int_equal(seen.keys, 1000);
	/* a key that no packet has written to yet is as old as it is, not as the machine */
	assert_int_equal(seen.without_time, 0);
	key = key_of(500);
	assert_int_equal(sl_places_delete(&rig->buckets, &key), 0);
	assert_int_equal(sl_places_delete(&rig->buckets, &key), -ENOENT);
	assert_int_equal(sl_places_get(&rig->buckets, &key, &found), -ENOENT);
	walk(&rig->buckets, &seen);
	assert_int_equal(seen.keys, 999);
	assert_int_equal(count_tags(&rig->buckets, SLUICE_IDS_TAG_LEFT, SLUICE_IDS_TAG_LEFT), 1);
	/* the key may come again at once, to another place */
	bucket.counted = 10;
	assert_int_equal(sl_places_set(&rig->buckets, &key, &bucket, SL_IDS_NEW), 0);
	assert_int_equal(sl_places_get(&rig->buckets, &key, &found), 0);
	assert_int_equal(found.counted, 10);
	for (uint32_t i = 0; i < rig->buckets.elements * SLUICE_IDS_GROUP; i++) {
		struct sluice_ids_group *group = &rig->buckets.groups[i / SLUICE_IDS_GROUP];

		if (i < SLUICE_IDS_GROUP || group->tag[i % SLUICE_IDS_GROUP] != SLUICE_IDS_TAG_LEFT)
			continue;
		group->since[i % SLUICE_IDS_GROUP] -= SLUICE_IDS_LEFT_SECONDS;
		walk(&rig->buckets, &seen);
		assert_int_equal(group->tag[i % SLUICE_IDS_GROUP], SLUICE_IDS_TAG_FREE);
		i -= SLUICE_IDS_GROUP;
		assert_int_equal(bpf_map_lookup_elem(rig->buckets.states_fd, &i, &found), 0);
		assert_int_equal(found.tat | found.counted | found.revision | found.last_ns, 0);
		i += SLUICE_IDS_GROUP;
	}
	assert_int_equal(seen.keys, 1000);
	assert_int_equal(count_keys(&rig->buckets) + count_tags(&rig->buckets, 0, 0),
			 (rig->buckets.elements - 1) * SLUICE_IDS_GROUP);
}

/* --- rules that ids_pass has done, and those it leaves ------------------------------------- */

static void more_rules_than_are_passed_without_a_call_see_the_packet_all_the_same_and_in_order(void **state)
{
	enum { RULES = 40 };
	struct ids_rig *rig = *state;
	struct packet_spec spec = {.source = "10.0.0.1", .destination = "198.51.100.9", .protocol = 17};

	for (uint32_t i = 0; i < RULES; i++) {
		struct sluice_ids_rule rule = {.track = 1 + i % SLUICE_IDS_APN,
					       .count = i % 5 == 4 ? SLUICE_IDS_BYTES : SLUICE_IDS_PACKETS,
					       .verdict = i % 2 ? SLUICE_IDS_ALERT : SLUICE_IDS_DROP,
					       .limit = {rig_bucket(1000, S, 1000)}};

		if (i % 3 == 1)
			rule.limit[0] = (struct sluice_ids_limit){
				.kind = SLUICE_IDS_EXACT, .count = 256, .window_ns = S};
		if (i % 3 == 2)
			rule.limit[0] = (struct sluice_ids_limit){
				.kind = SLUICE_IDS_SLIDING, .count = 1000, .window_ns = S};
		/* the one that acts: two packets pass; what comes after it sees no more, but for alerts */
		if (i == 20)
			rule.limit[0] = rig_bucket(1, 60 * S, 2);
		rig_uplink_rule(rig, &rule);
	}
	for (int i = 0; i < 5; i++)
		assert_int_equal(rig_up(rig, &spec), i < 2 ? 0 : SLUICE_DROP_IDS_LIMIT);
	for (uint32_t i = 0; i < RULES; i++) {
		assert_int_equal(rig_counts(rig, i).matched.packets, i <= 20 || i % 2 ? 5 : 2);
		assert_int_equal(rig_counts(rig, i).dropped.packets, i == 20 ? 3 : 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_key_that_two_cpus_bring_at_once_is_there_once_and_its_limit_holds,
				       rig_reset),
		cmocka_unit_test_setup(as_many_keys_as_the_table_is_said_to_hold_find_room, rig_reset),
		cmocka_unit_test_setup(without_a_table_a_key_is_refused_and_counted, rig_reset),
		cmocka_unit_test_setup(
			what_is_taken_out_is_found_no_more_and_its_place_is_free_a_while_later_with_nothing_in_it,
			rig_reset),
		cmocka_unit_test_setup(
			more_rules_than_are_passed_without_a_call_see_the_packet_all_the_same_and_in_order,
			rig_reset),
	};

	return cmocka_run_group_tests(tests, rig_open, rig_close);
}
