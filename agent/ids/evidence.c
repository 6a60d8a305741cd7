// SPDX-License-Identifier: Apache-2.0
#include "ids/evidence.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "ids/line_file.h"

/* draft-ietf-opsawg-pcapng: block types, and options of blocks */
#define BLOCK_SECTION	 0x0a0d0d0au
#define BLOCK_INTERFACE	 1u
#define BLOCK_PACKET	 6u
#define BYTE_ORDER_MAGIC 0x1a2b3c4du
#define OPTION_END	 0
#define OPTION_COMMENT	 1
#define OPTION_TSRESOL	 9
#define LINK_ETHERNET	 1
#define LINK_RAW	 101
#define NANOSECONDS	 9

#define NAME_SIZE    32
#define NAME_LENGTH  26 /* of "sluice-20261125-eth.pcapng" */
#define DAY_LENGTH   15 /* of "sluice-20261125" */
#define BLOCK_SIZE   1024
#define COMMENT_SIZE 256
#define ETHERNET     14

struct sl_ids_evidence {
	char directory[200];
	uint64_t max_size;
	int directory_fd;
	/* libpcap reads files of one link type only: one of each. As `l3` of an alert. */
	int fd[2];
	char name[2][NAME_SIZE];
	uint64_t total; /* of our files, as of the last look and what was written since */
};

struct block {
	uint8_t bytes[BLOCK_SIZE];
	size_t used;
};

static void put(struct block *block, const void *bytes, size_t size)
{
	if (size)
		memcpy(block->bytes + block->used, bytes, size);
	block->used += size;
}

static void put32(struct block *block, uint32_t value)
{
	put(block, &value, sizeof(value));
}

static void put16(struct block *block, uint16_t value)
{
	put(block, &value, sizeof(value));
}

static void pad(struct block *block)
{
	while (block->used % 4)
		block->bytes[block->used++] = 0;
}

static void put_option(struct block *block, uint16_t code, const void *value, uint16_t size)
{
	put16(block, code);
	put16(block, size);
	put(block, value, size);
	pad(block);
}

static size_t begin(struct block *block, uint32_t type)
{
	size_t at = block->used;

	put32(block, type);
	put32(block, 0); /* end() knows */
	return at;
}

static void end(struct block *block, size_t at)
{
	uint32_t size = (uint32_t)(block->used + 4 - at);

	put32(block, size);
	memcpy(block->bytes + at + 4, &size, sizeof(size));
}

static void put_interface(struct block *block, uint16_t link)
{
	const uint8_t resolution = NANOSECONDS;
	size_t at = begin(block, BLOCK_INTERFACE);

	put16(block, link);
	put16(block, 0);
	put32(block, SLUICE_IDS_HEADERS);
	put_option(block, OPTION_TSRESOL, &resolution, 1);
	put_option(block, OPTION_END, NULL, 0);
	end(block, at);
}

static void put_section(struct block *block, bool l3)
{
	const int64_t unknown = -1;
	size_t at = begin(block, BLOCK_SECTION);

	put32(block, BYTE_ORDER_MAGIC);
	put16(block, 1); /* version 1.0 */
	put16(block, 0);
	put(block, &unknown, sizeof(unknown));
	end(block, at);
	put_interface(block, l3 ? LINK_RAW : LINK_ETHERNET);
}

static void put_packet(struct block *block, const struct sl_ids_alert *alert, uint32_t headers)
{
	uint32_t captured = alert->captured < headers ? alert->captured : headers;
	uint32_t length = alert->bytes + (alert->l3 ? 0 : ETHERNET);
	char comment[COMMENT_SIZE];
	size_t at = begin(block, BLOCK_PACKET);

	if (captured > SLUICE_IDS_HEADERS)
		captured = SLUICE_IDS_HEADERS;
	put32(block, 0); /* the interface, by its place in the section */
	put32(block, (uint32_t)(alert->time_ns >> 32));
	put32(block, (uint32_t)alert->time_ns);
	put32(block, captured);
	put32(block, length > captured ? length : captured);
	put(block, alert->headers, captured);
	pad(block);
	snprintf(comment, sizeof(comment), "flow_id=%" PRIu64 " rule=%s sequence=%" PRIu64, alert->flow_id,
		 alert->rule, alert->sequence);
	put_option(block, OPTION_COMMENT, comment, (uint16_t)strlen(comment));
	put_option(block, OPTION_END, NULL, 0);
	end(block, at);
}

/* --- files -------------------------------------------------------------------------------------- */

static bool is_ours(const char *name)
{
	return strlen(name) == NAME_LENGTH && strncmp(name, "sluice-", 7) == 0 &&
	       strspn(name + 7, "0123456789") == 8 &&
	       (strcmp(name + DAY_LENGTH, "-eth.pcapng") == 0 ||
		strcmp(name + DAY_LENGTH, "-raw.pcapng") == 0);
}

/* Bytes of all our files, and the name of the first in the order of days that is not of this one's day. */
static uint64_t look(const struct sl_ids_evidence *evidence, const char *today, char oldest[NAME_SIZE])
{
	int fd = openat(evidence->directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;
	struct stat status;
	uint64_t total = 0;

	oldest[0] = '\0';
	if (!directory) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	while ((entry = readdir(directory))) {
		if (!is_ours(entry->d_name) ||
		    fstatat(evidence->directory_fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		total += (uint64_t)status.st_size;
		if (strncmp(entry->d_name, today, DAY_LENGTH) != 0 &&
		    (!oldest[0] || strcmp(entry->d_name, oldest) < 0))
			memcpy(oldest, entry->d_name, NAME_LENGTH + 1);
	}
	closedir(directory);
	return total;
}

static int make_room(struct sl_ids_evidence *evidence, const char *today, size_t wanted)
{
	char oldest[NAME_SIZE];

	while (evidence->total + wanted > evidence->max_size) {
		evidence->total = look(evidence, today, oldest);
		if (evidence->total + wanted <= evidence->max_size)
			break;
		if (!oldest[0] || unlinkat(evidence->directory_fd, oldest, 0) < 0)
			return -ENOSPC;
	}
	return 0;
}

static int write_whole(int fd, const struct block *block)
{
	struct stat status;
	ssize_t n;

	if (fstat(fd, &status) < 0)
		return -errno;
	n = write(fd, block->bytes, block->used);
	if (n == (ssize_t)block->used)
		return 0;
	if (n < 0)
		return -errno;
	return ftruncate(fd, status.st_size) < 0 ? -errno : -ENOSPC;
}

static void close_file(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int open_day(struct sl_ids_evidence *evidence, uint64_t time_ns, bool l3)
{
	struct block block = {.used = 0};
	time_t seconds = (time_t)(time_ns / 1000000000ull);
	char day[NAME_SIZE], oldest[NAME_SIZE], name[NAME_SIZE];
	int *fd = &evidence->fd[l3];
	struct tm tm;
	int rc;

	gmtime_r(&seconds, &tm);
	strftime(day, sizeof(day), "sluice-%Y%m%d", &tm);
	snprintf(name, sizeof(name), "%.15s-%s.pcapng", day, l3 ? "raw" : "eth");
	if (*fd >= 0 && strcmp(name, evidence->name[l3]) == 0)
		return 0;
	close_file(fd);
	memcpy(evidence->name[l3], name, sizeof(name));
	*fd = openat(evidence->directory_fd, name,
		     O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);
	if (*fd < 0)
		return -errno;
	put_section(&block, l3);
	rc = write_whole(*fd, &block);
	if (rc < 0)
		close_file(fd);
	evidence->total = look(evidence, name, oldest);
	return rc;
}

int sl_ids_evidence_open(const char *directory, uint64_t max_size, struct sl_ids_evidence **out,
			 struct sl_error *err)
{
	_cleanup_free_ struct sl_ids_evidence *evidence = calloc(1, sizeof(*evidence));

	if (!evidence)
		return sl_error(err, ENOMEM, "out of memory");
	snprintf(evidence->directory, sizeof(evidence->directory), "%s", directory);
	evidence->max_size = max_size;
	evidence->fd[0] = evidence->fd[1] = -1;
	if (sl_make_parent(directory) < 0 || (mkdir(directory, 0750) < 0 && errno != EEXIST))
		return sl_error(err, errno, "cannot make %s: %s", directory, strerror(errno));
	evidence->directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (evidence->directory_fd < 0)
		return sl_error(err, errno, "cannot open %s: %s", directory, strerror(errno));
	*out = SL_TAKE(evidence);
	return 0;
}

void sl_ids_evidence_close(struct sl_ids_evidence *evidence)
{
	if (!evidence)
		return;
	sl_ids_evidence_reopen(evidence);
	close(evidence->directory_fd);
	free(evidence);
}

void sl_ids_evidence_reopen(struct sl_ids_evidence *evidence)
{
	close_file(&evidence->fd[0]);
	close_file(&evidence->fd[1]);
}

int sl_ids_evidence_write(struct sl_ids_evidence *evidence, const struct sl_ids_alert *alert,
			  uint32_t headers)
{
	struct block block = {.used = 0};
	int rc;

	put_packet(&block, alert, headers);
	rc = open_day(evidence, alert->time_ns, alert->l3);
	if (rc == 0)
		rc = make_room(evidence, evidence->name[alert->l3], block.used);
	if (rc == 0)
		rc = write_whole(evidence->fd[alert->l3], &block);
	if (rc == 0)
		evidence->total += block.used;
	return rc;
}
