// SPDX-License-Identifier: Apache-2.0
/* The pinned maps: made, adopted, refused; endpoints, counters and drop records in them. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "datapath_fixture.h"

static const char *const all_maps[] = {
	"endpoints4", "endpoints6", "policies",	   "bindings",	   "matches4", "matches6", "branches",
	"index4",     "index6",	    "usage",	   "usage_owners", "sessions", "rules",	   "flows",
	"drops",      "passes",	    "lost_events", "events",	   "settings", "answers",  "marks",
	"vlans",      "ids_blocks", "ids_rules",   "ids_dropped",  "ids_logs",
};

static int open_map(const char *name)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/maps/%s", fixture_pin_path(), name);
	return bpf_obj_get(path);
}

static struct bpf_map_info pinned_map(const char *name)
{
	struct bpf_map_info info = {0};
	__u32 size = sizeof(info);
	_cleanup_fd_ int fd = open_map(name);

	assert_true(fd >= 0);
	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
	return info;
}

static bool exists(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0;
}

static void write_layout(uint32_t layout)
{
	struct sluice_settings settings = {.layout = layout};
	_cleanup_fd_ int fd = open_map("settings");
	__u32 key = 0;

	assert_int_equal(bpf_map_update_elem(fd, &key, &settings, BPF_ANY), 0);
}

static struct sl_address ip4(uint8_t last)
{
	return (struct sl_address){.family = 4, .bytes = {10, 0, 0, last}};
}

static struct sl_address ip6(uint8_t subnet, uint8_t host)
{
	return (struct sl_address){
		.family = 6, .bytes = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, subnet, 0, 0, 0, 0, 0, 0, 0, host}};
}

static void a_first_start_makes_every_map_with_the_configured_size(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath = fixture_open(&config, false);
	struct sl_maps *maps = sl_datapath_maps(datapath);

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(all_maps); i++)
		assert_string_equal(pinned_map(all_maps[i]).name, all_maps[i]);
	assert_int_equal(pinned_map("endpoints4").max_entries, 64);
	assert_int_equal(pinned_map("endpoints6").max_entries, 64);
	assert_int_equal(pinned_map("policies").max_entries, 64 * 5 / 4 + 64 + 64 * 5 / 4);
	assert_int_equal(pinned_map("bindings").max_entries, 256);
	assert_int_equal(pinned_map("matches4").max_entries, 128);
	assert_int_equal(pinned_map("matches6").max_entries, 128);
	assert_int_equal(pinned_map("branches").max_entries, 128);
	assert_int_equal(pinned_map("usage").max_entries, 512);
	assert_int_equal(pinned_map("usage_owners").max_entries, 512);
	assert_int_equal(pinned_map("sessions").max_entries, 64);
	assert_int_equal(pinned_map("rules").max_entries, 32);
	assert_int_equal(pinned_map("flows").max_entries, 64);
	assert_int_equal(maps->policy_count, 64 * 5 / 4 + 64 + 64 * 5 / 4);
	assert_memory_equal(&maps->size, &config.limits, sizeof(config.limits));
	fixture_close(datapath);
}

static void every_map_can_be_dumped_with_the_names_of_its_fields(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath = fixture_open(&config, false);

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(all_maps); i++)
		if (strcmp(all_maps[i], "events") != 0)
			assert_true(pinned_map(all_maps[i]).btf_value_type_id > 0);
	fixture_close(datapath);
}

static void the_settings_carry_layout_and_configuration(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath = fixture_open(&config, false);

	(void)state;
	assert_int_equal(sl_datapath_maps(datapath)->settings->layout, SLUICE_LAYOUT);
	assert_int_equal(sl_datapath_maps(datapath)->settings->unknown_drop, 1);
	sl_watch_drops(datapath, true);
	assert_int_equal(sl_datapath_maps(datapath)->settings->watch_drops, 1);
	fixture_close(datapath);

	config.unknown_drop = false;
	datapath = fixture_open(&config, true);
	assert_int_equal(sl_datapath_maps(datapath)->settings->unknown_drop, 0);
	/* nobody watches after a start */
	assert_int_equal(sl_datapath_maps(datapath)->settings->watch_drops, 0);
	fixture_close(datapath);
}

static void the_next_start_adopts_what_was_written(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath = fixture_open(&config, false);
	struct sluice_endpoint endpoint = {.policy = 7, .session = 9, .imsi = "001010000000001"};
	struct sluice_endpoint found = {0};
	struct sl_address address = ip4(1);

	(void)state;
	assert_int_equal(sl_endpoint_set(datapath, &address, &endpoint, NULL), 0);
	sl_datapath_maps(datapath)->usage[511].uplink.bytes = 1234567;
	snprintf(sl_datapath_maps(datapath)->rules[3].id, SLUICE_RULE_ID_SIZE, "rule-three");
	fixture_close(datapath);

	datapath = fixture_open(&config, true);
	assert_int_equal(sl_endpoint_get(datapath, &address, &found), 0);
	assert_memory_equal(&found, &endpoint, sizeof(found));
	assert_int_equal(sl_datapath_maps(datapath)->usage[511].uplink.bytes, 1234567);
	assert_string_equal(sl_datapath_maps(datapath)->rules[3].id, "rule-three");
	fixture_close(datapath);
}

static void adopted_maps_keep_their_size_whatever_the_configuration_says(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath_limits made = config.limits;
	struct sl_datapath *datapath = fixture_open(&config, false);

	(void)state;
	fixture_close(datapath);
	config.limits.sessions = 1000;
	config.limits.usage = 1000;
	config.limits.matches = 1000;
	datapath = fixture_open(&config, true);
	assert_memory_equal(&sl_datapath_maps(datapath)->size, &made, sizeof(made));
	assert_int_equal(sl_datapath_maps(datapath)->policy_count, 64 * 5 / 4 + 64 + 64 * 5 / 4);
	fixture_close(datapath);
}

static void maps_of_another_layout_are_refused_and_left_alone(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath = fixture_open(&config, false);
	struct sl_datapath *untouched = (void *)&config;
	struct sl_error err = {""};
	bool adopted = false;
	uint32_t id;

	(void)state;
	fixture_close(datapath);
	write_layout(SLUICE_LAYOUT + 1);
	id = pinned_map("usage").id;
	datapath = untouched;
	assert_int_equal(sl_datapath_open(&config, &datapath, &adopted, &err), -EPROTO);
	assert_ptr_equal(datapath, untouched);
	assert_non_null(strstr(err.text, "layout"));
	assert_non_null(strstr(err.text, "--detach"));
	assert_int_equal(pinned_map("usage").id, id);
	assert_int_equal(sl_datapath_remove(fixture_pin_path(), &err), 0);
	assert_false(exists(fixture_pin_path()));
}

static void a_map_of_another_shape_is_refused_by_name(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath = fixture_open(&config, false);
	struct sl_error err = {""};
	_cleanup_fd_ int fd = -1;
	char path[200];
	bool adopted;

	(void)state;
	fixture_close(datapath);
	snprintf(path, sizeof(path), "%s/maps/flows", fixture_pin_path());
	assert_int_equal(unlink(path), 0);
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "flows", 4, sizeof(struct sluice_flow) + 8, 4, NULL);
	assert_true(fd >= 0);
	assert_int_equal(bpf_obj_pin(fd, path), 0);
	assert_int_equal(sl_datapath_open(&config, &datapath, &adopted, &err), -EPROTO);
	assert_non_null(strstr(err.text, "maps/flows"));
}

static void a_set_that_lost_a_map_is_refused_by_name(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath = fixture_open(&config, false);
	struct sl_error err = {""};
	char path[200];
	bool adopted;

	(void)state;
	fixture_close(datapath);
	snprintf(path, sizeof(path), "%s/maps/usage", fixture_pin_path());
	assert_int_equal(unlink(path), 0);
	assert_int_equal(sl_datapath_open(&config, &datapath, &adopted, &err), -EPROTO);
	assert_non_null(strstr(err.text, "maps/usage is missing"));
}

static void what_a_first_start_that_died_left_behind_is_made_afresh(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath = fixture_open(&config, false);
	char path[200];
	uint32_t id;

	(void)state;
	/* settings is pinned last */
	fixture_close(datapath);
	snprintf(path, sizeof(path), "%s/maps/settings", fixture_pin_path());
	assert_int_equal(unlink(path), 0);
	id = pinned_map("usage").id;
	datapath = fixture_open(&config, false);
	assert_int_not_equal(pinned_map("usage").id, id);
	fixture_close(datapath);

	/* and its layout is written after that */
	write_layout(0);
	id = pinned_map("usage").id;
	datapath = fixture_open(&config, false);
	assert_int_not_equal(pinned_map("usage").id, id);
	fixture_close(datapath);
}

static void a_second_agent_on_the_same_pins_is_refused(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath = fixture_open(&config, false);
	struct sl_datapath *second = NULL;
	struct sl_error err = {""};
	bool adopted;

	(void)state;
	assert_int_equal(sl_datapath_open(&config, &second, &adopted, &err), -EBUSY);
	assert_non_null(strstr(err.text, fixture_pin_path()));
	assert_int_equal(sl_datapath_remove(fixture_pin_path(), &err), -EBUSY);
	fixture_close(datapath);
}

static void a_limit_of_zero_is_refused_by_name(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath = NULL;
	struct sl_error err = {""};
	bool adopted;

	(void)state;
	config.limits.bindings = 0;
	assert_int_equal(sl_datapath_open(&config, &datapath, &adopted, &err), -EINVAL);
	assert_non_null(strstr(err.text, "limits.bindings"));
	assert_null(datapath);
}

static void a_pin_path_that_is_not_on_bpffs_is_refused(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath = NULL;
	struct sl_error err = {""};
	bool adopted;

	(void)state;
	snprintf(config.pin_path, sizeof(config.pin_path), "/tmp/sluice-test");
	assert_int_equal(sl_datapath_open(&config, &datapath, &adopted, &err), -EINVAL);
	assert_non_null(strstr(err.text, "/tmp/sluice-test"));
	assert_false(exists("/tmp/sluice-test"));
	snprintf(config.pin_path, sizeof(config.pin_path), "/sys/fs/bpf/with.dot");
	assert_int_equal(sl_datapath_open(&config, &datapath, &adopted, &err), -EINVAL);
	assert_non_null(strstr(err.text, "with.dot"));
	snprintf(config.pin_path, sizeof(config.pin_path), "relative");
	assert_int_equal(sl_datapath_open(&config, &datapath, &adopted, &err), -EINVAL);
}

static void an_endpoint_is_set_replaced_read_and_deleted(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath = fixture_open(&config, false);
	const struct sl_address addresses[] = {ip4(1), ip6(1, 1)};

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(addresses); i++) {
		struct sluice_endpoint first = {.policy = 1, .session = 2, .imsi = "001010000000001"};
		struct sluice_endpoint second = {.policy = 3, .session = 2, .imsi = "001010000000001"};
		struct sluice_endpoint found = {.policy = 99};

		assert_int_equal(sl_endpoint_get(datapath, &addresses[i], &found), -ENOENT);
		assert_int_equal(found.policy, 99);
		assert_int_equal(sl_endpoint_set(datapath, &addresses[i], &first, NULL), 0);
		assert_int_equal(sl_endpoint_set(datapath, &addresses[i], &second, NULL), 0);
		assert_int_equal(sl_endpoint_get(datapath, &addresses[i], &found), 0);
		assert_memory_equal(&found, &second, sizeof(found));
		assert_int_equal(sl_endpoint_count(datapath, addresses[i].family), 1);
		assert_int_equal(sl_endpoint_delete(datapath, &addresses[i], NULL), 0);
		assert_int_equal(sl_endpoint_delete(datapath, &addresses[i], NULL), -ENOENT);
		assert_int_equal(sl_endpoint_count(datapath, addresses[i].family), 0);
	}
	fixture_close(datapath);
}

static void all_addresses_of_one_ipv6_64_are_one_endpoint(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath = fixture_open(&config, false);
	struct sluice_endpoint endpoint = {.policy = 5};
	struct sluice_endpoint found;
	struct sl_address address;

	(void)state;
	address = ip6(1, 1);
	assert_int_equal(sl_endpoint_set(datapath, &address, &endpoint, NULL), 0);
	address = ip6(1, 200);
	assert_int_equal(sl_endpoint_get(datapath, &address, &found), 0);
	assert_int_equal(found.policy, 5);
	address = ip6(2, 1);
	assert_int_equal(sl_endpoint_get(datapath, &address, &found), -ENOENT);
	fixture_close(datapath);
}

static void a_full_endpoint_map_refuses_new_addresses_and_still_replaces_old_ones(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath = fixture_open(&config, false);
	struct sluice_endpoint endpoint = {.policy = 5};
	struct sl_address address = {.family = 4};
	struct sl_error err = {""};
	int r = 0;

	(void)state;
	/* the kernel keeps a few spare elements a CPU, so the bound is not met to the entry */
	for (unsigned int i = 0; r == 0 && i < 10000; i++) {
		address.bytes[2] = (uint8_t)(i >> 8);
		address.bytes[3] = (uint8_t)i;
		r = sl_endpoint_set(datapath, &address, &endpoint, &err);
	}
	assert_int_equal(r, -ENOSPC);
	assert_non_null(strstr(err.text, "full"));
	address.bytes[2] = 0;
	address.bytes[3] = 0;
	endpoint.policy = 6;
	assert_int_equal(sl_endpoint_set(datapath, &address, &endpoint, NULL), 0);
	fixture_close(datapath);
}

static void an_address_of_no_family_is_refused(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath = fixture_open(&config, false);
	struct sl_address address = {.family = 5};
	struct sluice_endpoint endpoint = {0};
	struct sl_error err = {""};

	(void)state;
	assert_int_equal(sl_endpoint_set(datapath, &address, &endpoint, &err), -EINVAL);
	assert_non_null(strstr(err.text, "5"));
	assert_int_equal(sl_endpoint_get(datapath, &address, &endpoint), -EINVAL);
	assert_int_equal(sl_endpoint_delete(datapath, &address, &err), -EINVAL);
	fixture_close(datapath);
}

struct visits {
	bool four[256];
	bool six[256];
	unsigned int count;
	unsigned int stop_at;
};

static int note(const struct sl_address *address, const struct sluice_endpoint *endpoint, void *user)
{
	struct visits *visits = user;
	uint8_t number = address->family == 4 ? address->bytes[3] : address->bytes[7];

	assert_int_equal(endpoint->policy, address->family * 1000 + number);
	assert_false(address->family == 4 ? visits->four[number] : visits->six[number]);
	*(address->family == 4 ? &visits->four[number] : &visits->six[number]) = true;
	return ++visits->count == visits->stop_at ? -ECANCELED : 0;
}

static void each_endpoint_of_both_families_is_visited_once(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath = fixture_open(&config, false);
	struct visits visits = {0};

	(void)state;
	assert_int_equal(sl_endpoint_each(datapath, note, &visits), 0);
	assert_int_equal(visits.count, 0);
	for (uint8_t i = 1; i <= 50; i++) {
		struct sluice_endpoint endpoint = {.policy = 4000u + i};
		struct sl_address address = ip4(i);

		assert_int_equal(sl_endpoint_set(datapath, &address, &endpoint, NULL), 0);
		endpoint.policy = 6000u + i;
		address = ip6(i, 1);
		assert_int_equal(sl_endpoint_set(datapath, &address, &endpoint, NULL), 0);
	}
	assert_int_equal(sl_endpoint_each(datapath, note, &visits), 0);
	assert_int_equal(visits.count, 100);
	assert_int_equal(sl_endpoint_count(datapath, 4), 50);
	assert_int_equal(sl_endpoint_count(datapath, 6), 50);
	assert_int_equal(sl_endpoint_count(datapath, 5), 0);

	memset(&visits, 0, sizeof(visits));
	visits.stop_at = 60;
	assert_int_equal(sl_endpoint_each(datapath, note, &visits), -ECANCELED);
	assert_int_equal(visits.count, 60);
	fixture_close(datapath);
}

static void drops_and_passes_are_summed_over_the_cpus(void **state)
{
	struct sluice_counter passes[SLUICE_PASS_KIND_COUNT][SLUICE_DIRECTIONS];
	struct sluice_counter drops[SLUICE_DROP_REASON_COUNT][SLUICE_DIRECTIONS];
	__u32 drop = SLUICE_DROP_NO_RULE * SLUICE_DIRECTIONS + SLUICE_DOWNLINK;
	__u32 pass = SLUICE_PASS_DHCP * SLUICE_DIRECTIONS + SLUICE_UPLINK;
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath = fixture_open(&config, false);
	int cpus = libbpf_num_possible_cpus();
	struct sluice_drop_count *dropped = calloc((size_t)cpus, sizeof(*dropped));
	struct sluice_pass_count *passed = calloc((size_t)cpus, sizeof(*passed));
	uint64_t *lost = calloc((size_t)cpus, sizeof(*lost));
	_cleanup_fd_ int drops_fd = open_map("drops");
	_cleanup_fd_ int passes_fd = open_map("passes");
	struct sluice_answers *answers = calloc((size_t)cpus, sizeof(*answers));
	_cleanup_fd_ int lost_fd = open_map("lost_events");
	_cleanup_fd_ int answers_fd = open_map("answers");
	__u32 zero = 0;

	(void)state;
	assert_int_equal(bpf_map_lookup_elem(drops_fd, &drop, dropped), 0);
	assert_int_equal(dropped[0].reason, SLUICE_DROP_NO_RULE);
	assert_int_equal(dropped[0].direction, SLUICE_DOWNLINK);
	for (int cpu = 0; cpu < cpus; cpu++) {
		dropped[cpu].dropped = (struct sluice_counter){.bytes = 1000, .packets = 10};
		passed[cpu].passed = (struct sluice_counter){.bytes = 300, .packets = 3};
		lost[cpu] = 7;
		answers[cpu].withheld = 11;
	}
	assert_int_equal(bpf_map_update_elem(drops_fd, &drop, dropped, BPF_ANY), 0);
	assert_int_equal(bpf_map_update_elem(passes_fd, &pass, passed, BPF_ANY), 0);
	assert_int_equal(bpf_map_update_elem(lost_fd, &zero, lost, BPF_ANY), 0);
	assert_int_equal(bpf_map_update_elem(answers_fd, &zero, answers, BPF_ANY), 0);
	assert_int_equal(sl_drops_read(datapath, drops), 0);
	assert_int_equal(sl_passes_read(datapath, passes), 0);
	assert_int_equal(drops[SLUICE_DROP_NO_RULE][SLUICE_DOWNLINK].bytes, 1000 * cpus);
	assert_int_equal(drops[SLUICE_DROP_NO_RULE][SLUICE_DOWNLINK].packets, 10 * cpus);
	assert_int_equal(drops[SLUICE_DROP_NO_RULE][SLUICE_UPLINK].packets, 0);
	assert_int_equal(passes[SLUICE_PASS_DHCP][SLUICE_UPLINK].bytes, 300 * cpus);
	assert_int_equal(passes[SLUICE_PASS_DHCP][SLUICE_UPLINK].packets, 3 * cpus);
	assert_int_equal(sl_lost_events_read(datapath), 7 * (uint64_t)cpus);
	assert_int_equal(sl_answers_withheld_read(datapath), 11 * (uint64_t)cpus);
	free(dropped);
	free(passed);
	free(lost);
	free(answers);
	fixture_close(datapath);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, NULL, fixture_no_devices)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_first_start_makes_every_map_with_the_configured_size),
		TEST(every_map_can_be_dumped_with_the_names_of_its_fields),
		TEST(the_settings_carry_layout_and_configuration),
		TEST(the_next_start_adopts_what_was_written),
		TEST(adopted_maps_keep_their_size_whatever_the_configuration_says),
		TEST(maps_of_another_layout_are_refused_and_left_alone),
		TEST(a_map_of_another_shape_is_refused_by_name),
		TEST(a_set_that_lost_a_map_is_refused_by_name),
		TEST(what_a_first_start_that_died_left_behind_is_made_afresh),
		TEST(a_second_agent_on_the_same_pins_is_refused),
		TEST(a_limit_of_zero_is_refused_by_name),
		TEST(a_pin_path_that_is_not_on_bpffs_is_refused),
		TEST(an_endpoint_is_set_replaced_read_and_deleted),
		TEST(all_addresses_of_one_ipv6_64_are_one_endpoint),
		TEST(a_full_endpoint_map_refuses_new_addresses_and_still_replaces_old_ones),
		TEST(an_address_of_no_family_is_refused),
		TEST(each_endpoint_of_both_families_is_visited_once),
		TEST(drops_and_passes_are_summed_over_the_cpus),
	};

	return cmocka_run_group_tests_name("datapath: maps", tests, fixture_setup, fixture_teardown);
}
