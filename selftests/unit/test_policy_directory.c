// SPDX-License-Identifier: Apache-2.0
/* The policy directory while it changes: what is noticed, and what stays in force. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "catalog/directory.h"
#include "policy_files.h"

#define ONE "rules: [{id: one, flows: [{}]}]\n"
#define TWO "rules: [{id: one, flows: [{}]}, {id: two, flows: [{}]}]\n"
#define BAD "rules: [{id: one}]\n"

struct world {
	struct event_base *base;
	struct sl_policy_directory *directory;
	uint32_t told;
	size_t rules_when_told;
};

static void on_read(void *user)
{
	struct world *world = user;

	world->told++;
	world->rules_when_told = sl_catalog_rule_count(sl_policy_directory_catalog(world->directory));
	event_base_loopbreak(world->base);
}

static void start(struct world *world, const struct policy_files *files)
{
	*world = (struct world){.base = event_base_new()};
	assert_non_null(world->base);
	assert_int_equal(sl_policy_directory_open(world->base, files->path, NULL, NULL, on_read, world,
						  &world->directory, NULL),
			 0);
}

static void stop(struct world *world)
{
	sl_policy_directory_close(world->directory);
	event_base_free(world->base);
}

static void on_over(evutil_socket_t fd, short what, void *user)
{
	const struct world *world = user;

	(void)fd;
	(void)what;
	event_base_loopbreak(world->base);
}

/* Until the next reading; false when there is none within the time. */
static bool wait_for(struct world *world, int ms)
{
	struct timeval limit = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
	struct event *over = event_new(world->base, -1, 0, on_over, world);
	uint32_t before = world->told;

	assert_non_null(over);
	event_add(over, &limit);
	event_base_dispatch(world->base);
	/* one that stayed would end a later waiting */
	event_free(over);
	return world->told > before;
}

static struct sl_policy_status status(const struct world *world)
{
	struct sl_policy_status out;

	sl_policy_directory_status(world->directory, &out);
	return out;
}

static size_t rules(const struct world *world)
{
	return sl_catalog_rule_count(sl_policy_directory_catalog(world->directory));
}

static void a_changed_file_is_read_and_the_new_catalogue_is_there_when_it_is_told(void **state)
{
	struct world world;

	policy_files_write(*state, "a.yaml", ONE);
	start(&world, *state);
	assert_int_equal(rules(&world), 1);
	assert_int_equal(world.told, 0);
	policy_files_write(*state, "a.yaml", TWO);
	assert_true(wait_for(&world, 3000));
	assert_int_equal(world.rules_when_told, 2);
	assert_int_equal(status(&world).loads, 2);
	stop(&world);
}

static void many_changes_at_once_are_one_reading(void **state)
{
	char name[32], text[80];
	struct world world;

	start(&world, *state);
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "%02d.yaml", i);
		snprintf(text, sizeof(text), "rules: [{id: r%d, flows: [{}]}]\n", i);
		policy_files_write(*state, name, text);
	}
	assert_true(wait_for(&world, 3000));
	assert_int_equal(rules(&world), 50);
	assert_int_equal(status(&world).loads, 2);
	stop(&world);
}

static void an_error_leaves_the_catalogue_in_force_and_goes_when_it_is_put_right(void **state)
{
	const struct sl_catalog *before;
	struct world world;

	policy_files_write(*state, "a.yaml", TWO);
	start(&world, *state);
	before = sl_policy_directory_catalog(world.directory);
	policy_files_write(*state, "b.yaml", BAD);
	assert_true(wait_for(&world, 3000));
	assert_ptr_equal(sl_policy_directory_catalog(world.directory), before);
	assert_non_null(strstr(status(&world).problem, "b.yaml:1: rules[0]"));
	assert_int_equal(status(&world).failures, 1);
	policy_files_remove(*state, "b.yaml");
	assert_true(wait_for(&world, 3000));
	assert_null(status(&world).problem);
	assert_int_equal(status(&world).loads, 2);
	stop(&world);
}

static void a_start_with_an_error_has_no_catalogue_until_it_is_put_right(void **state)
{
	struct world world;

	policy_files_write(*state, "a.yaml", BAD);
	start(&world, *state);
	assert_null(sl_policy_directory_catalog(world.directory));
	assert_int_equal(status(&world).loaded_ms, 0);
	policy_files_write(*state, "a.yaml", ONE);
	assert_true(wait_for(&world, 3000));
	assert_int_equal(rules(&world), 1);
	assert_true(status(&world).loaded_ms > 0);
	stop(&world);
}

static void a_directory_that_is_replaced_is_followed(void **state)
{
	const struct policy_files *files = *state;
	char old[200], next[220];
	struct world world;

	policy_files_write(files, "a.yaml", ONE);
	start(&world, files);
	snprintf(old, sizeof(old), "/tmp/sluice-test-policy-old-%d", (int)getpid());
	snprintf(next, sizeof(next), "%s/a.yaml", old);
	assert_int_equal(rename(files->path, old), 0);
	assert_true(wait_for(&world, 4000));
	assert_non_null(status(&world).problem);
	assert_int_equal(rules(&world), 1);
	assert_int_equal(mkdir(files->path, 0700), 0);
	policy_files_write(files, "a.yaml", TWO);
	assert_true(wait_for(&world, 4000));
	assert_int_equal(rules(&world), 2);
	/* what happens to the old one does not matter any more */
	unlink(next);
	rmdir(old);
	assert_false(wait_for(&world, 1500));
	policy_files_write(files, "a.yaml", ONE);
	assert_true(wait_for(&world, 4000));
	assert_int_equal(rules(&world), 1);
	stop(&world);
}

static void a_link_that_is_changed_to_another_directory_is_followed(void **state)
{
	const struct policy_files *files = *state;
	struct policy_files link = {{0}};
	char one[200], two[200], beside[200];
	struct world world;

	snprintf(one, sizeof(one), "%s/one", files->path);
	snprintf(two, sizeof(two), "%s/two", files->path);
	assert_int_equal(mkdir(one, 0700), 0);
	assert_int_equal(mkdir(two, 0700), 0);
	policy_files_write(files, "one/a.yaml", ONE);
	policy_files_write(files, "two/a.yaml", TWO);
	snprintf(link.path, sizeof(link.path), "%.100s/link", files->path);
	assert_int_equal(symlink("one", link.path), 0);
	start(&world, &link);
	assert_int_equal(rules(&world), 1);
	snprintf(beside, sizeof(beside), "%s/beside", files->path);
	assert_int_equal(symlink("two", beside), 0);
	assert_int_equal(rename(beside, link.path), 0);
	assert_true(wait_for(&world, 4000));
	assert_int_equal(rules(&world), 2);
	stop(&world);
}

static void a_file_that_grows_all_the_time_is_read_all_the_same(void **state)
{
	const struct policy_files *files = *state;
	struct world world;
	int rounds;

	start(&world, files);
	for (rounds = 0; rounds < 80; rounds++) {
		char text[80];

		snprintf(text, sizeof(text), "rules: [{id: r%d, flows: [{}]}]\n", rounds);
		policy_files_write(files, "a.yaml", text);
		if (wait_for(&world, 50))
			break;
	}
	assert_int_equal(rules(&world), 1);
	/* not before it was quiet, not later than two seconds and a little */
	assert_in_range(rounds, 10, 60);
	stop(&world);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, policy_files_setup, policy_files_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_changed_file_is_read_and_the_new_catalogue_is_there_when_it_is_told),
		TEST(many_changes_at_once_are_one_reading),
		TEST(an_error_leaves_the_catalogue_in_force_and_goes_when_it_is_put_right),
		TEST(a_start_with_an_error_has_no_catalogue_until_it_is_put_right),
		TEST(a_directory_that_is_replaced_is_followed),
		TEST(a_link_that_is_changed_to_another_directory_is_followed),
		TEST(a_file_that_grows_all_the_time_is_read_all_the_same),
	};

	sl_log_set_level(SL_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
