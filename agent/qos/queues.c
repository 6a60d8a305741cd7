// SPDX-License-Identifier: Apache-2.0
#include "qos/queues.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "sluice/limits.h"

#define PATH_SIZE 128

/* -errno, or the number of bytes; of a mask of CPUs on the largest machines, too. */
static int read_line(const char *path, char *line, size_t size)
{
	_cleanup_file_ FILE *file = fopen(path, "re");

	if (!file)
		return -errno;
	if (!fgets(line, (int)size, file))
		return -ENODATA;
	return (int)strlen(line);
}

static bool is_shown(const char *name, unsigned int ifindex)
{
	char path[PATH_SIZE], line[32];
	unsigned int shown;

	snprintf(path, sizeof(path), "/sys/class/net/%s/ifindex", name);
	return read_line(path, line, sizeof(line)) > 0 && sscanf(line, "%u", &shown) == 1 && shown == ifindex;
}

/* A list of CPUs or queues, "00000000,00000003": XPS is in force if any is set. */
static bool has_xps(const char *name, uint32_t queue, const char *map)
{
	char path[PATH_SIZE], line[4096];

	snprintf(path, sizeof(path), "/sys/class/net/%s/queues/tx-%u/%s", name, queue, map);
	return read_line(path, line, sizeof(line)) > 0 && strpbrk(line, "123456789abcdef");
}

uint32_t sl_queues_of(const char *name, unsigned int ifindex)
{
	uint32_t queues = 0;

	if (!is_shown(name, ifindex))
		return 1;
	while (queues < SLUICE_EGRESS_QUEUES) {
		char path[PATH_SIZE], line[32];

		/* every queue has this one */
		snprintf(path, sizeof(path), "/sys/class/net/%s/queues/tx-%u/tx_timeout", name, queues);
		if (read_line(path, line, sizeof(line)) <= 0)
			break;
		if (has_xps(name, queues, "xps_cpus") || has_xps(name, queues, "xps_rxqs"))
			return 1;
		queues++;
	}
	return queues > 1 ? queues : 1;
}
