/* SPDX-License-Identifier: Apache-2.0 */
/* A policy directory of the test's own. */
#ifndef SL_TEST_POLICY_FILES_H
#define SL_TEST_POLICY_FILES_H

struct policy_files {
	char path[128];
};

/* cmocka: *state becomes an empty directory; it goes with what is in it. */
int policy_files_setup(void **state);
int policy_files_teardown(void **state);

/* Written beside and then renamed, as a careful operator does. */
void policy_files_write(const struct policy_files *files, const char *name, const char *text);
void policy_files_remove(const struct policy_files *files, const char *name);

#endif
