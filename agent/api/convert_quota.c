// SPDX-License-Identifier: Apache-2.0
#include "api/convert_quota.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static int read_one(const Sluice__V1__QuotaGrant *wire, size_t index, enum sluice_origin origin,
		    struct sl_quota_request *out, struct sl_error *err)
{
	static const struct {
		const char *name;
		uint32_t bits;
	} directions[] = {
		{"", 1u << SLUICE_UPLINK | 1u << SLUICE_DOWNLINK},
		{"total", 1u << SLUICE_UPLINK | 1u << SLUICE_DOWNLINK},
		{"uplink", 1u << SLUICE_UPLINK},
		{"downlink", 1u << SLUICE_DOWNLINK},
	};
	struct sl_quota_request quota = {
		.origin = origin,
		.rule_id = wire->rule_id,
		.rating_group = wire->rating_group,
		.grant = wire->grant,
		.bytes = wire->volume,
		.warn_bytes = wire->volume_threshold,
		.time_s = wire->time_s,
		.warn_s = wire->time_threshold_s,
		.remove = wire->remove,
	};

	if ((wire->rule_id[0] != '\0') + (wire->rating_group != 0) + (wire->session != 0) != 1)
		return sl_error(err, EINVAL,
				"quotas[%zu]: exactly one of rule_id, rating_group and session must be given",
				index);
	if (wire->session)
		quota.scope = SLUICE_QUOTA_SESSION;
	else
		quota.scope = wire->rating_group ? SLUICE_QUOTA_RATING_GROUP : SLUICE_QUOTA_RULE;
	for (size_t i = 0; i < SL_ARRAY_SIZE(directions); i++)
		if (strcmp(wire->direction, directions[i].name) == 0)
			quota.directions = directions[i].bits;
	if (!quota.directions)
		return sl_error(
			err, EINVAL,
			"quotas[%zu].direction: bad value \"%.64s\"; allowed: total, uplink, downlink", index,
			wire->direction);
	*out = quota;
	return 0;
}

int sl_quotas_read(const Magma__Lte__ActivateFlowsRequest *wire, enum sluice_origin origin,
		   struct sl_quota_request **out, struct sl_error *err)
{
	_cleanup_free_ struct sl_quota_request *quotas = NULL;

	if (wire->n_quotas > SL_QUOTAS_PER_SESSION)
		return sl_error(err, E2BIG, "quotas: %zu, at most %d are allowed", wire->n_quotas,
				SL_QUOTAS_PER_SESSION);
	quotas = calloc(wire->n_quotas + 1, sizeof(*quotas));
	if (!quotas)
		return sl_error(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < wire->n_quotas; i++) {
		int rc = read_one(wire->quotas[i], i, origin, &quotas[i], err);

		if (rc < 0)
			return rc;
	}
	*out = SL_TAKE(quotas);
	return 0;
}
