// SPDX-License-Identifier: Apache-2.0
/* Address -> policy: one hash a family, read in batches where all of it is wanted, and the index beside it.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "datapath/internal.h"

#define BATCH 4096

/* The fd of the family's map and the address as its key. */
static int endpoint_map(const struct sl_datapath *datapath, const struct sl_address *address, uint8_t key[8])
{
	if (address->family == 4) {
		memcpy(key, address->bytes, sizeof(struct sluice_ip4));
		return datapath->map_fd[SL_MAP_ENDPOINTS4];
	}
	if (address->family == 6) {
		memcpy(key, address->bytes, sizeof(struct sluice_ip6_prefix));
		return datapath->map_fd[SL_MAP_ENDPOINTS6];
	}
	return -EINVAL;
}

int sl_endpoint_set(struct sl_datapath *datapath, const struct sl_address *address,
		    const struct sluice_endpoint *endpoint, struct sl_error *err)
{
	char text[SL_ADDRESS_TEXT];
	uint8_t key[8];
	int fd;
	int r;

	fd = endpoint_map(datapath, address, key);
	if (fd < 0)
		return sl_error(err, EINVAL, "endpoint: family %u is neither 4 nor 6", address->family);
	r = bpf_map_update_elem(fd, key, endpoint, BPF_ANY);
	if (r == 0) {
		sl_index_set(&datapath->index, address, endpoint->policy);
		return 0;
	}
	sl_address_format(address, text);
	if (r == -E2BIG)
		return sl_error(err, ENOSPC, "endpoint %s: endpoints%u is full at %u", text, address->family,
				datapath->maps.size.sessions);
	return sl_error(err, -r, "endpoint %s: %s", text, strerror(-r));
}

int sl_endpoint_delete(struct sl_datapath *datapath, const struct sl_address *address, struct sl_error *err)
{
	char text[SL_ADDRESS_TEXT];
	uint8_t key[8];
	int fd;
	int r;

	fd = endpoint_map(datapath, address, key);
	if (fd < 0)
		return sl_error(err, EINVAL, "endpoint: family %u is neither 4 nor 6", address->family);
	sl_index_remove(&datapath->index, address);
	r = bpf_map_delete_elem(fd, key);
	if (r == 0)
		return 0;
	sl_address_format(address, text);
	return sl_error(err, -r, "endpoint %s: %s", text, strerror(-r));
}

int sl_endpoint_get(struct sl_datapath *datapath, const struct sl_address *address,
		    struct sluice_endpoint *out)
{
	struct sluice_endpoint endpoint;
	uint8_t key[8];
	int fd;
	int r;

	fd = endpoint_map(datapath, address, key);
	if (fd < 0)
		return fd;
	r = bpf_map_lookup_elem(fd, key, &endpoint);
	if (r == 0)
		*out = endpoint;
	return r;
}

static int each_of_family(struct sl_datapath *datapath, uint32_t family,
			  int (*visit)(const struct sl_address *address,
				       const struct sluice_endpoint *endpoint, void *user),
			  void *user)
{
	bool four = family == 4;
	int fd = datapath->map_fd[four ? SL_MAP_ENDPOINTS4 : SL_MAP_ENDPOINTS6];
	size_t key_size = four ? sizeof(struct sluice_ip4) : sizeof(struct sluice_ip6_prefix);
	_cleanup_free_ struct sluice_endpoint *values = NULL;
	_cleanup_free_ uint8_t *keys = NULL;
	bool first = true;
	__u32 position;
	int r = 0;

	keys = malloc(BATCH * key_size);
	values = malloc(BATCH * sizeof(*values));
	if (!keys || !values)
		return -ENOMEM;
	while (r == 0) {
		__u32 count = BATCH;
		int stop;

		/* -ENOENT comes with the last batch */
		r = bpf_map_lookup_batch(fd, first ? NULL : &position, &position, keys, values, &count, NULL);
		if (r < 0 && r != -ENOENT)
			return r;
		first = false;
		for (__u32 i = 0; i < count; i++) {
			struct sl_address address = {.family = family};

			memcpy(address.bytes, keys + i * key_size, key_size);
			stop = visit(&address, &values[i], user);
			if (stop)
				return stop;
		}
	}
	return 0;
}

int sl_endpoint_each(struct sl_datapath *datapath,
		     int (*visit)(const struct sl_address *address, const struct sluice_endpoint *endpoint,
				  void *user),
		     void *user)
{
	int r = each_of_family(datapath, 4, visit, user);

	return r ? r : each_of_family(datapath, 6, visit, user);
}

static int index_one(const struct sl_address *address, const struct sluice_endpoint *endpoint, void *user)
{
	sl_index_set(user, address, endpoint->policy);
	return 0;
}

int sl_endpoints_reindex(struct sl_datapath *datapath)
{
	sl_index_clear(&datapath->index);
	return sl_endpoint_each(datapath, index_one, &datapath->index);
}

#define WALK_BEGUN (1ull << 32) /* the lower half is the kernel's: a bucket */

int sl_endpoint_walk(struct sl_datapath *datapath, uint32_t family, uint64_t *position, uint32_t max,
		     int (*visit)(const struct sl_address *address, const struct sluice_endpoint *endpoint,
				  void *user),
		     void *user)
{
	size_t key_size = family == 4 ? sizeof(struct sluice_ip4) : sizeof(struct sluice_ip6_prefix);
	int fd = datapath->map_fd[family == 4 ? SL_MAP_ENDPOINTS4 : SL_MAP_ENDPOINTS6];
	_cleanup_free_ struct sluice_endpoint *values = calloc(max, sizeof(*values));
	_cleanup_free_ uint8_t *keys = calloc(max, key_size);
	__u32 count = max, at = (__u32)*position;
	int r;

	if (!values || !keys)
		return -ENOMEM;
	/* whole buckets: -ENOENT comes with the last of them */
	r = bpf_map_lookup_batch(fd, *position ? &at : NULL, &at, keys, values, &count, NULL);
	if (r < 0 && r != -ENOENT)
		return r;
	*position = r == -ENOENT ? 0 : WALK_BEGUN | at;
	for (__u32 i = 0; i < count; i++) {
		struct sl_address address = {.family = family};
		int stop;

		memcpy(address.bytes, keys + i * key_size, key_size);
		stop = visit(&address, &values[i], user);
		if (stop)
			return stop;
	}
	return 0;
}

uint32_t
sl_endpoint_index_check(struct sl_datapath *datapath, uint32_t family, uint64_t *position, uint32_t max,
			uint32_t (*wanted)(const struct sl_address *address, uint32_t found, void *user),
			void *user)
{
	const struct sl_index *index = &datapath->index;
	uint32_t size = family == 4 ? index->size4 : index->size6, first = (uint32_t)*position;

	*position = max < size - first ? first + max : 0;
	return sl_index_check(index, family, first, max, wanted, user);
}

void sl_endpoint_index_fill(struct sl_datapath *datapath, const struct sl_address *address, uint32_t policy)
{
	if (!sl_index_has(&datapath->index, address))
		sl_index_set(&datapath->index, address, policy);
}

static int count_one(const struct sl_address *address, const struct sluice_endpoint *endpoint, void *user)
{
	uint32_t *count = user;

	(void)address;
	(void)endpoint;
	(*count)++;
	return 0;
}

uint32_t sl_endpoint_count(struct sl_datapath *datapath, uint32_t family)
{
	uint32_t count = 0;

	if (family == 4 || family == 6)
		each_of_family(datapath, family, count_one, &count);
	return count;
}
