// SPDX-License-Identifier: Apache-2.0
#include "ids/line_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

#define PATH_SIZE 200
#define MODE	  0640
#define TAIL	  16384

struct sl_line_file {
	char path[PATH_SIZE];
	uint64_t max_size;
	uint32_t keep;
	int fd;
	size_t used;
	uint64_t written;
	char buffer[SL_LINE_FILE_BUFFER];
};

int sl_make_parent(const char *path)
{
	char parent[PATH_SIZE];
	char *slash;

	snprintf(parent, sizeof(parent), "%s", path);
	slash = strrchr(parent, '/');
	if (!slash || slash == parent)
		return 0;
	*slash = '\0';
	return mkdir(parent, 0750) < 0 && errno != EEXIST ? -errno : 0;
}

/* Position after the last newline, if that is near. */
static off_t last_end(int fd, off_t size)
{
	char tail[TAIL];
	off_t from = size > TAIL ? size - TAIL : 0;
	ssize_t n = pread(fd, tail, sizeof(tail), from);
	const char *newline = n > 0 ? memrchr(tail, '\n', (size_t)n) : NULL;

	return newline ? from + (newline - tail) + 1 : 0;
}

/* An agent that was killed may have left a part of a line: its own is taken back, another's is ended. */
static int mend(int fd)
{
	static const char begin[] = "{\"timestamp\":";
	char found[sizeof(begin)] = "";
	struct stat status;
	off_t end;

	if (fstat(fd, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode) || status.st_size == 0)
		return 0;
	end = last_end(fd, status.st_size);
	if (end == status.st_size)
		return 0;
	if (pread(fd, found, sizeof(begin) - 1, end) > 0 && strcmp(found, begin) == 0)
		return ftruncate(fd, end) < 0 ? -errno : 0;
	return write(fd, "\n", 1) == 1 ? 0 : -ENOSPC;
}

static int open_path(const char *path, int *out)
{
	_cleanup_fd_ int fd = -1;
	int rc;

	rc = sl_make_parent(path);
	if (rc < 0)
		return rc;
	fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, MODE);
	if (fd < 0)
		return -errno;
	rc = mend(fd);
	if (rc == 0)
		*out = SL_TAKE_FD(fd);
	return rc;
}

int sl_line_file_open(const char *path, uint64_t max_size, uint32_t keep, struct sl_line_file **out,
		      struct sl_error *err)
{
	struct sl_line_file *file = calloc(1, sizeof(*file));
	int rc;

	if (!file)
		return sl_error(err, ENOMEM, "out of memory");
	snprintf(file->path, sizeof(file->path), "%s", path);
	file->max_size = max_size;
	file->keep = keep;
	rc = open_path(path, &file->fd);
	if (rc < 0) {
		free(file);
		return sl_error(err, -rc, "cannot write to %s: %s", path, strerror(-rc));
	}
	*out = file;
	return 0;
}

void sl_line_file_close(struct sl_line_file *file)
{
	if (!file)
		return;
	(void)sl_line_file_flush(file);
	close(file->fd);
	free(file);
}

int sl_line_file_reopen(struct sl_line_file *file)
{
	int fd = -1, rc;

	(void)sl_line_file_flush(file);
	rc = open_path(file->path, &fd);
	if (rc < 0)
		return rc;
	close(file->fd);
	file->fd = fd;
	return 0;
}

/* A file that cannot be moved goes on to grow: better too long than lost. */
static void rotate(struct sl_line_file *file)
{
	char from[PATH_SIZE + 16], to[PATH_SIZE + 16];
	int fd = -1;

	for (uint32_t i = file->keep; i > 0; i--) {
		if (i > 1)
			snprintf(from, sizeof(from), "%s.%u", file->path, i - 1);
		else
			snprintf(from, sizeof(from), "%s", file->path);
		snprintf(to, sizeof(to), "%s.%u", file->path, i);
		if (rename(from, to) < 0 && errno != ENOENT)
			return;
	}
	if (file->keep == 0 && unlink(file->path) < 0 && errno != ENOENT)
		return;
	if (open_path(file->path, &fd) < 0)
		return;
	close(file->fd);
	file->fd = fd;
}

static uint64_t lines_in(const char *text, size_t length)
{
	uint64_t lines = 0;

	for (size_t i = 0; i < length; i++)
		lines += text[i] == '\n';
	return lines;
}

static void taken(struct sl_line_file *file, size_t length)
{
	file->written += lines_in(file->buffer, length);
	file->used -= length;
	memmove(file->buffer, file->buffer + length, file->used);
}

/* The disk took a part: whole lines stay. */
static int take_back(struct sl_line_file *file, off_t size, size_t part)
{
	const char *newline = memrchr(file->buffer, '\n', part);
	size_t whole = newline ? (size_t)(newline - file->buffer) + 1 : 0;

	if (ftruncate(file->fd, size + (off_t)whole) < 0)
		whole = part; /* then its rest comes next */
	taken(file, whole);
	return -ENOSPC;
}

int sl_line_file_flush(struct sl_line_file *file)
{
	struct stat status;
	ssize_t n;

	if (file->used == 0)
		return 0;
	if (fstat(file->fd, &status) < 0)
		return -errno;
	if (S_ISREG(status.st_mode) && status.st_size > 0 &&
	    (uint64_t)status.st_size + file->used > file->max_size) {
		rotate(file);
		if (fstat(file->fd, &status) < 0)
			return -errno;
	}
	do
		n = write(file->fd, file->buffer, file->used);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if ((size_t)n < file->used)
		return take_back(file, status.st_size, (size_t)n);
	taken(file, file->used);
	return 0;
}

int sl_line_file_add(struct sl_line_file *file, const char *line, size_t length)
{
	if (length > sizeof(file->buffer))
		return -EMSGSIZE;
	if (length > sizeof(file->buffer) - file->used)
		(void)sl_line_file_flush(file);
	if (length > sizeof(file->buffer) - file->used)
		return -ENOSPC;
	memcpy(file->buffer + file->used, line, length);
	file->used += length;
	return 0;
}

uint64_t sl_line_file_written(const struct sl_line_file *file)
{
	return file->written;
}
