// SPDX-License-Identifier: Apache-2.0
/* Which devices have an HTB in each of several transmit queues. */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "datapath/internal.h"

static bool is_named(const struct sl_egress_device *devices, size_t count, __u32 ifindex)
{
	for (size_t i = 0; i < count; i++)
		if (devices[i].ifindex == ifindex && devices[i].queues > 1)
			return true;
	return false;
}

static int set(int fd, const struct sl_egress_device *device, bool *changed, struct sl_error *err)
{
	const __u32 key = device->ifindex, queues = device->queues;
	__u32 found;
	int r;

	if (bpf_map_lookup_elem(fd, &key, &found) == 0 && found == queues)
		return 0;
	*changed = true;
	r = bpf_map_update_elem(fd, &key, &queues, BPF_ANY);
	if (r < 0)
		return sl_error(err, -r, "map egress_devices: interface %u: %s", key, strerror(-r));
	return 0;
}

static void forget_others(int fd, const struct sl_egress_device *devices, size_t count, bool *changed)
{
	__u32 other[SLUICE_EGRESS_DEVICES], key, next;
	size_t others = 0;
	int r = bpf_map_get_next_key(fd, NULL, &next);

	while (r == 0 && others < SLUICE_EGRESS_DEVICES) {
		key = next;
		if (!is_named(devices, count, key))
			other[others++] = key;
		r = bpf_map_get_next_key(fd, &key, &next);
	}
	for (size_t i = 0; i < others; i++)
		if (bpf_map_delete_elem(fd, &other[i]) == 0)
			*changed = true;
}

int sl_egress_devices_set(struct sl_datapath *datapath, const struct sl_egress_device *devices, size_t count,
			  bool *changed, struct sl_error *err)
{
	struct sluice_settings *settings = sl_datapath_maps(datapath)->settings;
	int fd = datapath->map_fd[SL_MAP_EGRESS_DEVICES];
	bool any = false, differs = false;
	int r = 0;

	/* first, so that there is room for those that are */
	forget_others(fd, devices, count, &differs);
	for (size_t i = 0; i < count && r == 0; i++) {
		if (devices[i].queues < 2)
			continue;
		any = true;
		r = set(fd, &devices[i], &differs, err);
	}
	if (r < 0)
		return r;
	if (settings->egress_queues != any) {
		__atomic_store_n(&settings->egress_queues, any, __ATOMIC_RELEASE);
		differs = true;
	}
	if (changed)
		*changed = differs;
	return 0;
}
