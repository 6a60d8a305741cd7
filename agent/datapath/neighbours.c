// SPDX-License-Identifier: Apache-2.0
/* Which routers are behind a VLAN. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "datapath/internal.h"

#define ROOM (SLUICE_APNS * SLUICE_APN_NEIGHBOURS)

struct found {
	struct sluice_neighbour key[ROOM];
	uint32_t vlan[ROOM];
	__u32 count;
	bool right[ROOM]; /* of those that are wanted */
};

static int read_all(int fd, struct found *found)
{
	__u32 position;
	int r;

	found->count = ROOM;
	/* room for all of it, so that no batch ends before the map does: -ENOENT says that it has */
	r = bpf_map_lookup_batch(fd, NULL, &position, found->key, found->vlan, &found->count, NULL);
	return r == -ENOENT ? 0 : r;
}

int sl_neighbour_compare(const void *a, const void *b)
{
	return memcmp(&((const struct sl_neighbour *)a)->key, &((const struct sl_neighbour *)b)->key,
		      sizeof(struct sluice_neighbour));
}

int sl_neighbours_set(struct sl_datapath *datapath, const struct sl_neighbour *neighbours, size_t count,
		      uint32_t *changed, struct sl_error *err)
{
	int fd = datapath->map_fd[SL_MAP_NEIGHBOURS];
	_cleanup_free_ struct found *found = NULL;
	uint32_t differ = 0;
	int r;

	if (count > ROOM)
		return sl_error(err, E2BIG, "neighbours: %zu are more than %d", count, ROOM);
	found = calloc(1, sizeof(*found));
	if (!found)
		return sl_error(err, ENOMEM, "map neighbours: out of memory");
	r = read_all(fd, found);
	/* first, so that there is room for those that are */
	for (__u32 i = 0; r == 0 && i < found->count; i++) {
		const struct sl_neighbour key = {.key = found->key[i]}, *wanted;

		wanted = bsearch(&key, neighbours, count, sizeof(*neighbours), sl_neighbour_compare);
		if (wanted)
			found->right[wanted - neighbours] = wanted->vlan == found->vlan[i];
		if (wanted)
			continue;
		r = bpf_map_delete_elem(fd, &key.key);
		differ++;
	}
	for (size_t i = 0; r == 0 && i < count; i++) {
		if (found->right[i])
			continue;
		r = bpf_map_update_elem(fd, &neighbours[i].key, &neighbours[i].vlan, BPF_ANY);
		differ++;
	}
	if (r < 0)
		return sl_error(err, -r, "map neighbours: %s", strerror(-r));
	*changed = differ;
	return 0;
}
