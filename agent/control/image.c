// SPDX-License-Identifier: Apache-2.0
/* A policy with its match lists and overflow bindings, written where no packet looks yet. */
#include "control/model.h"

struct sluice_policy sl_image_policy(const struct sl_session *session, const struct sl_install *installs,
				     uint32_t count, const struct sl_image *image)
{
	const struct sl_ruleset *ruleset = image->ruleset;
	struct sluice_policy policy = {
		.session = session->slot,
		.uplink_block = sl_match_list_root(&ruleset->image.list[SLUICE_UPLINK],
						   ruleset->place[SLUICE_UPLINK]),
		.downlink_block = sl_match_list_root(&ruleset->image.list[SLUICE_DOWNLINK],
						     ruleset->place[SLUICE_DOWNLINK]),
		.uplink_count = (uint16_t)ruleset->image.list[SLUICE_UPLINK].count,
		.downlink_count = (uint16_t)ruleset->image.list[SLUICE_DOWNLINK].count,
		.default_usage = session->default_usage,
		.bindings = image->overflow_count ? image->overflow_first : SLUICE_NONE,
		.endpoint_tag = sl_address_tag(&session->address),
		.rules = (uint16_t)count,
		.flags = ruleset->image.flags,
	};

	for (uint32_t i = 0; i < count && i < SLUICE_INLINE_BINDINGS; i++)
		policy.binding[i] = installs[i].binding;
	return policy;
}

static void write_policy(struct sl_control *control, const struct sl_session *session,
			 const struct sl_install *installs, uint32_t count, const struct sl_image *image)
{
	struct sl_maps *maps = control->maps;

	for (uint32_t i = SLUICE_INLINE_BINDINGS; i < count; i++)
		maps->bindings[image->overflow_first + i - SLUICE_INLINE_BINDINGS] = installs[i].binding;
	maps->policies[image->policy] = sl_image_policy(session, installs, count, image);
}

int sl_image_make(struct sl_control *control, const struct sl_session *session,
		  const struct sl_install *installs, uint32_t count, struct sl_image *out,
		  struct sl_error *err)
{
	struct sl_image image = {
		.overflow_first = SLUICE_NONE,
		.overflow_count = count > SLUICE_INLINE_BINDINGS ? count - SLUICE_INLINE_BINDINGS : 0,
	};
	struct sl_slots *slots = &control->slots;
	int rc;

	rc = sl_slots_take(slots, SL_SLOT_POLICY, 1, &image.policy, err);
	if (rc < 0)
		return rc;
	if (image.overflow_count) {
		rc = sl_slots_take(slots, SL_SLOT_BINDING, image.overflow_count, &image.overflow_first, err);
		if (rc < 0)
			goto fail_policy;
	}
	rc = sl_ruleset_get(control, installs, count, &session->address, &image.ruleset, err);
	if (rc < 0)
		goto fail_overflow;
	write_policy(control, session, installs, count, &image);
	*out = image;
	return 0;

fail_overflow:
	if (image.overflow_count)
		sl_slots_release(slots, SL_SLOT_BINDING, image.overflow_first, image.overflow_count);
fail_policy:
	sl_slots_release(slots, SL_SLOT_POLICY, image.policy, 1);
	return rc;
}

void sl_image_abandon(struct sl_control *control, const struct sl_image *image)
{
	sl_ruleset_put(control, image->ruleset);
	if (image->overflow_count)
		sl_slots_release(&control->slots, SL_SLOT_BINDING, image->overflow_first,
				 image->overflow_count);
	sl_slots_release(&control->slots, SL_SLOT_POLICY, image->policy, 1);
}
