/* SPDX-License-Identifier: Apache-2.0 */
/* Resources by cleanup attribute: declared empty, released on every way out. */
#ifndef SL_CLEANUP_H
#define SL_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void sl_cleanup_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void sl_cleanup_free(void *pointer)
{
	void *memory = *(void **)pointer;

	free(memory);
}

static inline void sl_cleanup_file(FILE **file)
{
	if (*file)
		fclose(*file);
}

#define _cleanup_(function) __attribute__((cleanup(function)))
#define _cleanup_fd_	    _cleanup_(sl_cleanup_fd)
#define _cleanup_free_	    _cleanup_(sl_cleanup_free)
#define _cleanup_file_	    _cleanup_(sl_cleanup_file)

/* Hands a resource to the caller and disarms its cleanup. */
#define SL_TAKE(pointer)                                \
	({                                              \
		__typeof__(pointer) taken_ = (pointer); \
		(pointer) = NULL;                       \
		taken_;                                 \
	})
#define SL_TAKE_FD(fd)             \
	({                         \
		int taken_ = (fd); \
		(fd) = -1;         \
		taken_;            \
	})

#define SL_ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#endif
