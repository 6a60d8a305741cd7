/* SPDX-License-Identifier: Apache-2.0 */
/* A text as a file, for what reads files by their names. */
#ifndef SL_TEST_TEXT_FILE_H
#define SL_TEST_TEXT_FILE_H

#include "base/error.h"

struct text_file {
	char path[32];
};

void text_file_begin(struct text_file *file, const char *text);

/*
 * Removes it. The first time that err names it, "F" takes the place of its name,
 * which differs from run to run; NULL: nothing was refused.
 */
void text_file_end(const struct text_file *file, struct sl_error *err);

#endif
