// SPDX-License-Identifier: Apache-2.0
#include "text_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"

void text_file_begin(struct text_file *file, const char *text)
{
	_cleanup_fd_ int fd = -1;

	strcpy(file->path, "/tmp/sluice-text-XXXXXX");
	fd = mkstemp(file->path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

void text_file_end(const struct text_file *file, struct sl_error *err)
{
	char *name = err ? strstr(err->text, file->path) : NULL;

	unlink(file->path);
	if (name) {
		char *rest = name + strlen(file->path);

		name[0] = 'F';
		memmove(name + 1, rest, strlen(rest) + 1);
	}
}
