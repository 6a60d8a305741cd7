// SPDX-License-Identifier: Apache-2.0
#include "policy_files.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

int policy_files_setup(void **state)
{
	struct policy_files *files = calloc(1, sizeof(*files));
	static uint32_t made;

	if (!files)
		return -1;
	/* the pid last: that is what lib/leftovers.sh knows the living by */
	snprintf(files->path, sizeof(files->path), "/tmp/sluice-test-policy-%u-%d", made++, (int)getpid());
	if (mkdir(files->path, 0700) < 0) {
		free(files);
		return -1;
	}
	*state = files;
	return 0;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *place)
{
	(void)status;
	(void)type;
	(void)place;
	return remove(path);
}

int policy_files_teardown(void **state)
{
	struct policy_files *files = *state;

	nftw(files->path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(files);
	return 0;
}

void policy_files_write(const struct policy_files *files, const char *name, const char *text)
{
	char path[256], beside[300];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", files->path, name);
	snprintf(beside, sizeof(beside), "%s/.new", files->path);
	file = fopen(beside, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(rename(beside, path), 0);
}

void policy_files_remove(const struct policy_files *files, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", files->path, name);
	assert_int_equal(unlink(path), 0);
}
