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

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_devices, fixture_no_devices)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_index_follows_every_publication_and_forgets_the_ended),
		TEST(a_start_makes_the_index_anew_from_what_is_published),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
