// SPDX-License-Identifier: Apache-2.0
/* The index of endpoints says what the endpoints say: after changes, after the end, after a restart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <bpf/bpf.h>

#include "base/cleanup.h"
#include "session_world.h"

#define PREFIX6 "2001:db8:1:2::1"

static const struct rule_spec permit = {.id = "permit", .version = 1, .precedence = 1};
static const struct rule_spec deny = {.id = "deny", .version = 1, .precedence = 2, .action = SLUICE_DENY};

static int open_map(const char *name)
{
	const struct sl_datapath_config config = fixture_config();
	char path[300];
	int fd;

	snprintf(path, sizeof(path), "%s/maps/%s", config.pin_path, name);
	fd = bpf_obj_get(path);
	if (fd < 0)
		fail_msg("%s: %s", path, strerror(-fd));
	return fd;
}

/* The policy slot that packets from the address find in the index; SLUICE_NONE: none. */
static uint32_t indexed(const char *text)
{
	_cleanup_fd_ int four = open_map("index4"), six = open_map("index6");
	struct sluice_index4 bucket4;
	struct sluice_index6 bucket6;
	struct sl_address address;
	uint32_t slot = 0, word;
	uint64_t prefix;

	assert_int_equal(sl_address_parse("address", text, &address, NULL), 0);
	memcpy(&word, address.bytes, sizeof(word));
	memcpy(&prefix, address.bytes, sizeof(prefix));
	if (address.family == 4) {
		assert_int_equal(bpf_map_lookup_elem(four, &slot, &bucket4), 0);
		slot = sluice_index4_bucket(word, (uint32_t)bucket4.entry[0]);
		assert_int_equal(bpf_map_lookup_elem(four, &slot, &bucket4), 0);
		for (int i = 0; i < SLUICE_INDEX4_ENTRIES; i++)
			if ((uint32_t)bucket4.entry[i] == word && bucket4.entry[i])
				return (uint32_t)(bucket4.entry[i] >> 32) - 1;
		return SLUICE_NONE;
	}
	assert_int_equal(bpf_map_lookup_elem(six, &slot, &bucket6), 0);
	slot = sluice_index6_bucket(prefix, bucket6.entry[0].policy);
	assert_int_equal(bpf_map_lookup_elem(six, &slot, &bucket6), 0);
	for (int i = 0; i < SLUICE_INDEX6_ENTRIES; i++)
		if (bucket6.entry[i].prefix == prefix && bucket6.entry[i].policy)
			return bucket6.entry[i].policy - 1;
	return SLUICE_NONE;
}

static uint32_t published(struct world *world, const char *text)
{
	return (uint32_t)(world_policy(world, text) - sl_datapath_maps(world->datapath)->policies);
}

static void the_index_follows_every_publication_and_forgets_the_ended(void **state)
{
	struct world world;

	(void)state;
	world_start(&world, false, false, 0);
	assert_int_equal(indexed(ADDRESS_A), SLUICE_NONE);
	assert_int_equal(indexed(PREFIX6), SLUICE_NONE);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, &permit, 1);
	world_activate_ok(&world, IMSI_B, PREFIX6, &permit, 1);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(indexed(ADDRESS_A), published(&world, ADDRESS_A));
		assert_int_equal(indexed(PREFIX6), published(&world, PREFIX6));
		world_activate_ok(&world, IMSI_A, ADDRESS_A, i % 2 ? &permit : &deny, 1);
		world_activate_ok(&world, IMSI_B, PREFIX6, i % 2 ? &permit : &deny, 1);
	}
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	assert_int_equal(indexed(ADDRESS_A), SLUICE_NONE);
	assert_int_equal(indexed(PREFIX6), published(&world, PREFIX6));
	world_deactivate(&world, IMSI_B, NULL, NULL, true);
	assert_int_equal(indexed(PREFIX6), SLUICE_NONE);
	world_assert_nothing_used(&world);
	world_stop(&world);
}

static void a_start_makes_the_index_anew_from_what_is_published(void **state)
{
	_cleanup_fd_ int four = -1;
	const struct sluice_index4 nonsense = {.entry = {77}};
	struct world world;
	uint32_t before;

	(void)state;
	world_start(&world, false, true, 0);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, &permit, 1);
	world_activate_ok(&world, IMSI_B, ADDRESS_B, &deny, 1);
	before = indexed(ADDRESS_B);
	world_stop(&world);
	four = open_map("index4");
	for (uint32_t slot = 0; bpf_map_update_elem(four, &slot, &nonsense, BPF_EXIST) == 0; slot++)
		;

	world_start(&world, true, true, 0);
	assert_int_equal(indexed(ADDRESS_A), published(&world, ADDRESS_A));
	assert_int_equal(indexed(ADDRESS_B), before);
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	world_deactivate(&world, IMSI_B, ADDRESS_B, NULL, true);
	world_acknowledge_all(&world);
	world_assert_nothing_used(&world);
	world_stop(&world);
}

/* --- damage ------------------------------------------------------------------------ */

static struct sl_audit_stats one_pass(struct world *world)
{
	struct sl_audit_stats stats;
	uint64_t until;

	sl_control_audit_stats(world->control, &stats);
	until = stats.passes + 2; /* from where it is to the end of a whole one */
	for (int step = 0; step < 300 && stats.passes < until; step++) {
		sl_control_audit(world->control, 8);
		sl_control_audit_stats(world->control, &stats);
	}
	assert_int_equal(stats.passes, until);
	return stats;
}

static uint32_t word_of(const char *text)
{
	struct sl_address address;
	uint32_t word;

	assert_int_equal(sl_address_parse("address", text, &address, NULL), 0);
	memcpy(&word, address.bytes, sizeof(word));
	return word;
}

/* The bucket of an IPv4 address, to be read or written. */
static uint32_t bucket4_of(int fd, const char *text, struct sluice_index4 *bucket)
{
	uint32_t slot = 0;

	assert_int_equal(bpf_map_lookup_elem(fd, &slot, bucket), 0);
	slot = sluice_index4_bucket(word_of(text), (uint32_t)bucket->entry[0]);
	assert_int_equal(bpf_map_lookup_elem(fd, &slot, bucket), 0);
	return slot;
}

static void start_audited(struct world *world)
{
	world_start(world, false, true, 0);
	world_activate_ok(world, IMSI_A, ADDRESS_A, &permit, 1);
	world_activate_ok(world, IMSI_B, PREFIX6, &permit, 1);
	assert_int_equal(one_pass(world).repairs, 0);
}

static void end_audited(struct world *world, uint64_t repairs)
{
	assert_int_equal(one_pass(world).repairs, repairs);
	assert_int_equal(indexed(ADDRESS_A), published(world, ADDRESS_A));
	assert_int_equal(indexed(PREFIX6), published(world, PREFIX6));
	world_deactivate(world, IMSI_A, ADDRESS_A, NULL, true);
	world_deactivate(world, IMSI_B, NULL, NULL, true);
	world_acknowledge_all(world);
	world_assert_nothing_used(world);
	world_stop(world);
}

/* The subscriber's own policy of before, perhaps: no tag tells that it is the wrong one. */
static void an_entry_that_leads_to_another_policy_is_put_right(void **state)
{
	_cleanup_fd_ int four = -1, six = -1;
	struct sluice_index4 bucket4;
	struct sluice_index6 bucket6;
	struct sl_audit_stats stats;
	struct world world;

	(void)state;
	start_audited(&world);
	four = open_map("index4");
	six = open_map("index6");
	for (uint32_t slot = bucket4_of(four, ADDRESS_A, &bucket4), i = 0; i < SLUICE_INDEX4_ENTRIES; i++) {
		if ((uint32_t)bucket4.entry[i] != word_of(ADDRESS_A))
			continue;
		bucket4.entry[i] += 5ull << 32;
		assert_int_equal(bpf_map_update_elem(four, &slot, &bucket4, BPF_EXIST), 0);
	}
	for (uint32_t slot = 1; bpf_map_lookup_elem(six, &slot, &bucket6) == 0; slot++) {
		for (int i = 0; i < SLUICE_INDEX6_ENTRIES; i++)
			if (bucket6.entry[i].policy)
				bucket6.entry[i].policy += 5;
		assert_int_equal(bpf_map_update_elem(six, &slot, &bucket6, BPF_EXIST), 0);
	}
	assert_int_equal(indexed(ADDRESS_A), published(&world, ADDRESS_A) + 5);
	assert_int_equal(indexed(PREFIX6), published(&world, PREFIX6) + 5);
	stats = one_pass(&world);
	assert_int_equal(stats.repairs, 2);
	assert_string_equal(stats.last, "1 entry(ies) of index6");
	end_audited(&world, 2);
}

static void entries_of_nobody_and_of_another_bucket_are_taken_out(void **state)
{
	_cleanup_fd_ int four = -1;
	struct sluice_index4 bucket;
	struct world world;
	uint32_t slot;

	(void)state;
	start_audited(&world);
	four = open_map("index4");
	slot = bucket4_of(four, "192.0.2.66", &bucket);
	bucket.entry[7] = 3ull << 32 | word_of("192.0.2.66");
	assert_int_equal(bpf_map_update_elem(four, &slot, &bucket, BPF_EXIST), 0);
	/* the right policy twice: only the first one would follow a change */
	slot = bucket4_of(four, ADDRESS_A, &bucket);
	bucket.entry[7] = (uint64_t)(published(&world, ADDRESS_A) + 1) << 32 | word_of(ADDRESS_A);
	assert_int_equal(bpf_map_update_elem(four, &slot, &bucket, BPF_EXIST), 0);
	assert_int_equal(one_pass(&world).repairs, 1); /* told as one: all that a step found */
	assert_int_equal(indexed("192.0.2.66"), SLUICE_NONE);
	bucket4_of(four, ADDRESS_A, &bucket);
	assert_true(bucket.entry[7] == 0);
	end_audited(&world, 1);
}

static void a_wrong_number_of_buckets_is_put_right(void **state)
{
	_cleanup_fd_ int four = -1, six = -1;
	struct sluice_index6 head6;
	struct sluice_index4 head;
	uint32_t slot = 0, buckets;
	struct world world;

	(void)state;
	start_audited(&world);
	four = open_map("index4");
	six = open_map("index6");
	assert_int_equal(bpf_map_lookup_elem(four, &slot, &head), 0);
	buckets = (uint32_t)head.entry[0];
	head.entry[0] = buckets + 1;
	assert_int_equal(bpf_map_update_elem(four, &slot, &head, BPF_EXIST), 0);
	assert_int_equal(bpf_map_lookup_elem(six, &slot, &head6), 0);
	head6.entry[0].policy = 0;
	assert_int_equal(bpf_map_update_elem(six, &slot, &head6, BPF_EXIST), 0);
	assert_int_equal(one_pass(&world).repairs, 2);
	assert_int_equal(bpf_map_lookup_elem(four, &slot, &head), 0);
	assert_int_equal(head.entry[0], buckets);
	end_audited(&world, 2);
}

static void an_entry_that_is_missing_comes_back(void **state)
{
	_cleanup_fd_ int four = -1;
	const struct sluice_index4 nothing = {{0}};
	struct world world;

	(void)state;
	start_audited(&world);
	four = open_map("index4");
	for (uint32_t slot = 1; bpf_map_update_elem(four, &slot, &nothing, BPF_EXIST) == 0; slot++)
		;
	assert_int_equal(indexed(ADDRESS_A), SLUICE_NONE);
	one_pass(&world);
	end_audited(&world, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_devices, fixture_no_devices)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_index_follows_every_publication_and_forgets_the_ended),
		TEST(a_start_makes_the_index_anew_from_what_is_published),
		TEST(an_entry_that_leads_to_another_policy_is_put_right),
		TEST(entries_of_nobody_and_of_another_bucket_are_taken_out),
		TEST(a_wrong_number_of_buckets_is_put_right),
		TEST(an_entry_that_is_missing_comes_back),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
