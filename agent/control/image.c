// SPDX-License-Identifier: Apache-2.0
/*
 * A policy with its match lists and overflow bindings, written where no packet
 * looks yet. Final rules are a policy of their own in the next slot; the
 * overflow bindings of both are one run.
 */
#include <string.h>

#include "control/model.h"

/* One of the two policies. */
struct part {
	uint32_t policy;
	const struct sl_install *installs;
	uint32_t count;
	uint32_t overflow_first; /* SLUICE_NONE: none */
	const struct sl_ruleset *ruleset;
};

static uint32_t overflow(uint32_t count)
{
	return count > SLUICE_INLINE_BINDINGS ? count - SLUICE_INLINE_BINDINGS : 0;
}

/* *final: count is 0 where there is none. */
static void divide(const struct sl_install *installs, uint32_t count, const struct sl_image *image,
		   struct part *first, struct part *final)
{
	uint32_t before = (uint32_t)sl_installs_before_final(installs, count);

	*first = (struct part){
		.policy = image->policy,
		.installs = installs,
		.count = before,
		.overflow_first = overflow(before) ? image->overflow_first : SLUICE_NONE,
		.ruleset = image->ruleset,
	};
	*final = (struct part){
		.policy = image->policy + 1,
		.installs = installs + before,
		.count = count - before,
		.overflow_first =
			overflow(count - before) ? image->overflow_first + overflow(before) : SLUICE_NONE,
		.ruleset = image->final,
	};
}

static struct sluice_binding binding_of(const struct sl_install *install)
{
	struct sluice_binding binding = install->binding;

	if (install->charged)
		binding.usage |= SLUICE_USAGE_QUOTA;
	return binding;
}

static struct sluice_policy policy_of(const struct sl_session *session, const struct sl_image *image,
				      const struct part *part)
{
	const struct sl_ruleset *ruleset = part->ruleset;
	struct sluice_policy policy = {
		.session = session->slot,
		.uplink_block = sl_match_list_root(&ruleset->image.list[SLUICE_UPLINK],
						   ruleset->place[SLUICE_UPLINK]),
		.downlink_block = sl_match_list_root(&ruleset->image.list[SLUICE_DOWNLINK],
						     ruleset->place[SLUICE_DOWNLINK]),
		.uplink_count = (uint16_t)ruleset->image.list[SLUICE_UPLINK].count,
		.downlink_count = (uint16_t)ruleset->image.list[SLUICE_DOWNLINK].count,
		.default_usage = session->default_usage,
		.bindings = part->overflow_first,
		.endpoint_tag = sl_address_tag(&session->address),
		.rules = (uint16_t)part->count,
		.apn = image->apn,
		.flags = ruleset->image.flags,
	};

	/* what reads options for the first policy reads them for both */
	if (image->final && part->policy == image->policy)
		policy.flags |= SLUICE_POLICY_FINAL | image->final->image.flags;
	for (uint32_t i = 0; i < part->count && i < SLUICE_INLINE_BINDINGS; i++)
		policy.binding[i] = binding_of(&part->installs[i]);
	return policy;
}

static void write_part(struct sl_control *control, const struct sl_session *session,
		       const struct sl_image *image, const struct part *part)
{
	struct sl_maps *maps = control->maps;

	for (uint32_t i = SLUICE_INLINE_BINDINGS; i < part->count; i++)
		maps->bindings[part->overflow_first + i - SLUICE_INLINE_BINDINGS] =
			binding_of(&part->installs[i]);
	maps->policies[part->policy] = policy_of(session, image, part);
}

uint32_t sl_image_policies(const struct sl_ruleset *final)
{
	return final ? 2 : 1;
}

int sl_image_make(struct sl_control *control, const struct sl_session *session,
		  const struct sl_install *installs, uint32_t count, uint8_t apn, struct sl_image *out,
		  struct sl_error *err)
{
	uint32_t before = (uint32_t)sl_installs_before_final(installs, count);
	struct sl_image image = {
		.overflow_first = SLUICE_NONE,
		.overflow_count = overflow(before) + overflow(count - before),
		.apn = apn,
	};
	struct sl_slots *slots = &control->slots;
	struct part first, final;
	int rc;

	rc = sl_slots_take(slots, SL_SLOT_POLICY, before < count ? 2 : 1, &image.policy, err);
	if (rc < 0)
		return rc;
	if (image.overflow_count) {
		rc = sl_slots_take(slots, SL_SLOT_BINDING, image.overflow_count, &image.overflow_first, err);
		if (rc < 0)
			goto fail_policy;
	}
	rc = sl_ruleset_get(control, installs, before, &session->address, &image.ruleset, err);
	if (rc < 0)
		goto fail_overflow;
	if (before < count) {
		rc = sl_ruleset_get(control, installs + before, count - before, &session->address,
				    &image.final, err);
		if (rc < 0)
			goto fail_ruleset;
	}
	divide(installs, count, &image, &first, &final);
	write_part(control, session, &image, &first);
	if (final.count)
		write_part(control, session, &image, &final);
	*out = image;
	return 0;

fail_ruleset:
	sl_ruleset_put(control, image.ruleset);
fail_overflow:
	if (image.overflow_count)
		sl_slots_release(slots, SL_SLOT_BINDING, image.overflow_first, image.overflow_count);
fail_policy:
	sl_slots_release(slots, SL_SLOT_POLICY, image.policy, before < count ? 2 : 1);
	return rc;
}

static const char *part_difference(const struct sl_maps *maps, const struct sl_session *session,
				   const struct sl_image *image, const struct part *part)
{
	struct sluice_policy policy = policy_of(session, image, part);

	if (memcmp(&policy, &maps->policies[part->policy], sizeof(policy)) != 0)
		return "the policy";
	for (uint32_t i = SLUICE_INLINE_BINDINGS; i < part->count; i++) {
		struct sluice_binding binding = binding_of(&part->installs[i]);

		if (memcmp(&maps->bindings[part->overflow_first + i - SLUICE_INLINE_BINDINGS], &binding,
			   sizeof(binding)) != 0)
			return "a binding";
	}
	return NULL;
}

const char *sl_image_difference(const struct sl_control *control, const struct sl_session *session)
{
	const struct sl_image image = {
		.policy = session->policy,
		.overflow_first = session->overflow_first,
		.overflow_count = session->overflow_count,
		.ruleset = session->ruleset,
		.final = session->final,
		.apn = session->apn,
	};
	struct part first, final;
	const char *what;

	divide(session->installs, session->install_count, &image, &first, &final);
	if ((final.count != 0) != (image.final != NULL))
		return "the policy";
	what = part_difference(control->maps, session, &image, &first);
	if (!what && final.count)
		what = part_difference(control->maps, session, &image, &final);
	return what;
}

void sl_image_abandon(struct sl_control *control, const struct sl_image *image)
{
	sl_ruleset_put(control, image->ruleset);
	if (image->final)
		sl_ruleset_put(control, image->final);
	if (image->overflow_count)
		sl_slots_release(&control->slots, SL_SLOT_BINDING, image->overflow_first,
				 image->overflow_count);
	sl_slots_release(&control->slots, SL_SLOT_POLICY, image->policy, sl_image_policies(image->final));
}
