// SPDX-License-Identifier: Apache-2.0
#include "catalog/directory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "catalog/watch.h"

struct sl_policy_directory {
	char path[256];
	const char *const *access;
	const struct sl_catalog_part *const *parts;
	struct sl_catalog *catalog;
	struct sl_watch *watch;
	void (*on_read)(void *user);
	void *user;
	uint64_t loaded_ms;
	uint32_t loads;
	uint32_t failures;
	struct sl_error problem;
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static struct sl_catalog *read_now(struct sl_policy_directory *directory)
{
	struct sl_catalog *next = NULL;
	struct sl_error problem = {{0}};

	if (sl_catalog_load_with(directory->path, directory->access, directory->parts, &next, &problem) < 0) {
		directory->problem = problem;
		directory->failures++;
		sl_log(SL_LOG_ERROR, "policy-refused", "reason", "%s", problem.text, "in-force", "%s",
		       directory->catalog ? "the rules before" : "none", NULL);
		return NULL;
	}
	directory->problem.text[0] = '\0';
	directory->loads++;
	directory->loaded_ms = now_ms();
	sl_log(SL_LOG_INFO, "policy-loaded", "files", "%zu", sl_catalog_file_count(next), "rules", "%zu",
	       sl_catalog_rule_count(next), "base-names", "%zu", sl_catalog_base_name_count(next), NULL);
	return next;
}

void sl_policy_directory_reload(struct sl_policy_directory *directory)
{
	struct sl_catalog *before = directory->catalog;
	struct sl_catalog *next = read_now(directory);

	if (next)
		directory->catalog = next;
	if (directory->on_read)
		directory->on_read(directory->user);
	if (next)
		sl_catalog_free(before);
}

static void on_change(void *user)
{
	sl_policy_directory_reload(user);
}

int sl_policy_directory_open(struct event_base *base, const char *path, const char *const *access,
			     const struct sl_catalog_part *const *parts, void (*on_read)(void *user),
			     void *user, struct sl_policy_directory **out, struct sl_error *err)
{
	struct sl_policy_directory *directory = calloc(1, sizeof(*directory));
	int rc;

	if (!directory)
		return sl_error(err, ENOMEM, "out of memory");
	directory->access = access;
	directory->parts = parts;
	directory->on_read = on_read;
	directory->user = user;
	snprintf(directory->path, sizeof(directory->path), "%s", path);
	/* first the watch, so that no change falls between */
	rc = sl_watch_new(base, path, on_change, directory, &directory->watch, err);
	if (rc < 0) {
		sl_policy_directory_close(directory);
		return rc;
	}
	directory->catalog = read_now(directory);
	*out = directory;
	return 0;
}

void sl_policy_directory_close(struct sl_policy_directory *directory)
{
	if (!directory)
		return;
	sl_watch_free(directory->watch);
	sl_catalog_free(directory->catalog);
	free(directory);
}

const struct sl_catalog *sl_policy_directory_catalog(const struct sl_policy_directory *directory)
{
	return directory ? directory->catalog : NULL;
}

void sl_policy_directory_status(const struct sl_policy_directory *directory, struct sl_policy_status *out)
{
	*out = (struct sl_policy_status){
		.path = directory->path,
		.loaded_ms = directory->loaded_ms,
		.loads = directory->loads,
		.failures = directory->failures,
		.problem = directory->problem.text[0] ? directory->problem.text : NULL,
	};
}
