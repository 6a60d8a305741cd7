// SPDX-License-Identifier: Apache-2.0
/* The sockets to which the programs give redirected connections. */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "datapath/internal.h"

int sl_portal_set(struct sl_datapath *datapath, uint32_t family, int socket, struct sl_error *err)
{
	const __u32 key = family == 4 ? SLUICE_PORTAL_IPV4 : SLUICE_PORTAL_IPV6;
	const __u64 value = (__u64)socket;
	int r;

	r = bpf_map_update_elem(datapath->map_fd[SL_MAP_PORTAL], &key, &value, BPF_ANY);
	if (r < 0)
		return sl_error(err, -r, "map portal: the socket for IPv%u: %s", family, strerror(-r));
	return 0;
}
