/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file of lines that grows, and is kept small by rotation. A reader never sees
 * a part of a line, whatever the disk does: what was written of one is taken back.
 */
#ifndef SL_IDS_LINE_FILE_H
#define SL_IDS_LINE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* What may wait. Lines that find it full, because the disk is, are refused. */
#define SL_LINE_FILE_BUFFER 65536

struct sl_line_file;

/* Makes the file, and its directory if that is missing. keep: FILE.1 to FILE.keep; 0: none. */
int sl_line_file_open(const char *path, uint64_t max_size, uint32_t keep, struct sl_line_file **out,
		      struct sl_error *err);
void sl_line_file_close(struct sl_line_file *file);

/* A line with its newline. -ENOSPC: no room, also after a flush; -EMSGSIZE: longer than the buffer. */
int sl_line_file_add(struct sl_line_file *file, const char *line, size_t length);

/* 0, or -errno: lines wait for the next time. */
int sl_line_file_flush(struct sl_line_file *file);

/* The path is opened again. -errno: the file before goes on. */
int sl_line_file_reopen(struct sl_line_file *file);

/* Lines that are in the file. */
uint64_t sl_line_file_written(const struct sl_line_file *file);

/* The directory that this path is in, if it is missing: only the last part. 0 or -errno. */
int sl_make_parent(const char *path);

#endif
