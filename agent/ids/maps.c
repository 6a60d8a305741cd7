// SPDX-License-Identifier: Apache-2.0
#include "ids/maps.h"

#include "control/control.h"
#include "datapath/grace.h"
#include "datapath/ids_maps.h"

#define STEP 1024 /* overrides read at once */

static int override_set(const struct sluice_ids_override *key, uint32_t slot, void *user)
{
	const struct sl_ids_kernel *kernel = user;

	return sl_ids_set(kernel->datapath, SL_IDS_OVERRIDE_PAIRS, key, &slot, 0);
}

static int override_delete(const struct sluice_ids_override *key, void *user)
{
	const struct sl_ids_kernel *kernel = user;

	return sl_ids_delete(kernel->datapath, SL_IDS_OVERRIDE_PAIRS, key);
}

struct walk {
	int (*visit)(const struct sluice_ids_override *key, uint32_t slot, void *context);
	void *context;
};

static int visit_pair(const void *key, void *value, void *user)
{
	const struct walk *walk = user;

	return walk->visit(key, *(const uint32_t *)value, walk->context);
}

static int override_each(int (*visit)(const struct sluice_ids_override *key, uint32_t slot, void *context),
			 void *context, void *user)
{
	const struct sl_ids_kernel *kernel = user;
	struct walk walk = {visit, context};
	uint64_t position = 0;
	int rc;

	do {
		rc = sl_ids_walk(kernel->datapath, SL_IDS_OVERRIDE_PAIRS, &position, STEP, visit_pair, &walk);
	} while (rc == 0 && position);
	return rc;
}

static int counts_read(uint32_t slot, struct sluice_ids_rule_count *out, void *user)
{
	const struct sl_ids_kernel *kernel = user;

	return sl_ids_rule_counts(kernel->datapath, slot, out);
}

static int counts_clear(uint32_t slot, void *user)
{
	const struct sl_ids_kernel *kernel = user;

	return sl_ids_rule_counts_clear(kernel->datapath, slot);
}

static int steer_take(const char *interface, uint32_t *slot, struct sl_error *err, void *user)
{
	const struct sl_ids_kernel *kernel = user;

	return sl_control_mirror_take(kernel->control, interface, slot, err);
}

static int steer_adopt(uint32_t slot, void *user)
{
	const struct sl_ids_kernel *kernel = user;

	return sl_control_mirror_adopt(kernel->control, slot);
}

static void steer_put(uint32_t slot, void *user)
{
	const struct sl_ids_kernel *kernel = user;

	sl_control_mirror_put(kernel->control, slot);
}

static void nothing(void *owner, uint32_t kind, uint32_t first, uint32_t count)
{
	(void)owner;
	(void)kind;
	(void)first;
	(void)count;
}

static void wait_for_packets(void *user)
{
	const struct sl_ids_kernel *kernel = user;
	const struct sl_grace_item item = {.run = nothing};

	/* draining waits for what was deferred, so that something must be; without memory it waits for the
	 * rest */
	(void)sl_grace_defer(kernel->grace, &item);
	sl_grace_drain(kernel->grace);
}

static void gone(uint32_t identity, void *user)
{
	const struct sl_ids_kernel *kernel = user;

	if (kernel->gone)
		kernel->gone(identity, kernel->user);
}

void sl_ids_maps_of(struct sl_ids_kernel *kernel, struct sl_ids_maps *out)
{
	const struct sl_ids_arrays *arrays = sl_ids_arrays(kernel->datapath);

	*out = (struct sl_ids_maps){
		.settings = arrays->settings,
		.rules = arrays->rules,
		.matches = arrays->matches,
		.override_set = override_set,
		.override_delete = override_delete,
		.override_each = override_each,
		.counts_read = counts_read,
		.counts_clear = counts_clear,
		.steer_take = steer_take,
		.steer_adopt = steer_adopt,
		.steer_put = steer_put,
		.wait = wait_for_packets,
		.gone = gone,
		.user = kernel,
	};
}
