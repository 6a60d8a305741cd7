// SPDX-License-Identifier: Apache-2.0
/*
 * Quotas of sessions that are twins no more, and of those that become twins:
 * what is left is divided, what is used is added up; of neither is any granted
 * twice, but for what packets under way are charged to the slot they had read.
 */
#include <string.h>

#include "base/clock.h"
#include "control/quotas.h"

bool sl_quota_is_parted(const struct sl_control *control, const struct sl_session_quota *quota,
			const struct sl_session *twin)
{
	const struct sl_session_quota *twins = sl_quota_of(twin, &quota->key);

	return control->quota_users[quota->slot] > 1 && !(twins && twins->slot == quota->slot);
}

int sl_quota_part(struct sl_control *control, const struct sl_session *session,
		  const struct sl_session_quota *quota, uint32_t *slot, struct sl_error *err)
{
	const struct sluice_quota *from = &control->maps->quotas[quota->slot];
	struct sluice_quota_owner *owner;
	uint32_t taken;
	int rc = sl_slots_take(&control->slots, SL_SLOT_QUOTA, 1, &taken, err);

	if (rc < 0)
		return rc;
	control->maps->quotas[taken] = (struct sluice_quota){
		.limit = from->limit == SLUICE_QUOTA_UNLIMITED ? SLUICE_QUOTA_UNLIMITED : 0,
		.threshold = SLUICE_QUOTA_UNLIMITED,
		.first_ns = __atomic_load_n(&from->first_ns, __ATOMIC_RELAXED),
		.time_ns = from->time_ns,
		.warn_s = from->warn_s,
		.state = __atomic_load_n(&from->state, __ATOMIC_ACQUIRE),
		.parent = SLUICE_NONE,
		.directions = from->directions,
		.scope = from->scope,
	};
	owner = &control->maps->quota_owners[taken];
	*owner = control->maps->quota_owners[quota->slot];
	owner->scope = SLUICE_QUOTA_FREE;
	owner->session = session->slot;
	owner->since_ns = sl_now_ns();
	control->quota_users[taken] = 1;
	*slot = taken;
	return 0;
}

void sl_quota_divide(struct sl_control *control, uint32_t from, uint32_t to)
{
	struct sluice_quota *left = &control->maps->quotas[from], *right = &control->maps->quotas[to];
	uint64_t used = __atomic_load_n(&left->used, __ATOMIC_RELAXED);
	uint64_t bytes = used < left->limit ? (left->limit - used) / 2 : 0;
	uint64_t ahead = used < left->threshold ? (left->threshold - used) / 2 : 0;

	if (left->threshold != SLUICE_QUOTA_UNLIMITED) {
		__atomic_store_n(&left->threshold, left->threshold - ahead, __ATOMIC_RELEASE);
		right->threshold = ahead;
	}
	if (left->limit != SLUICE_QUOTA_UNLIMITED) {
		__atomic_store_n(&left->limit, left->limit - bytes, __ATOMIC_RELEASE);
		right->limit = bytes;
	}
}

static void begin_by(struct sluice_quota *quota, uint64_t first_ns)
{
	uint64_t now = __atomic_load_n(&quota->first_ns, __ATOMIC_RELAXED);

	while (first_ns && (!now || now > first_ns) &&
	       !__atomic_compare_exchange_n(&quota->first_ns, &now, first_ns, false, __ATOMIC_ACQ_REL,
					    __ATOMIC_RELAXED))
		;
}

uint64_t sl_quota_join(struct sl_control *control, uint32_t from, uint32_t to, uint64_t counted)
{
	const struct sluice_quota *own = &control->maps->quotas[from];
	struct sluice_quota *twins = &control->maps->quotas[to];
	uint64_t all = __atomic_load_n(&own->used, __ATOMIC_RELAXED);
	uint64_t more = all > counted ? all - counted : 0;
	uint64_t now = __atomic_load_n(&twins->used, __ATOMIC_RELAXED), sum;

	/* never above the limit: what is granted next is granted in full */
	do {
		sum = now + more;
		if (sum > twins->limit)
			sum = now > twins->limit ? now : twins->limit;
	} while (!__atomic_compare_exchange_n(&twins->used, &now, sum, false, __ATOMIC_ACQ_REL,
					      __ATOMIC_RELAXED));
	begin_by(twins, __atomic_load_n(&own->first_ns, __ATOMIC_RELAXED));
	return counted + more;
}
