// SPDX-License-Identifier: Apache-2.0
/*
 * Interfaces that rules send packets to: a slot in the map `steers` for each
 * (mode, interface, next hop), shared by the rules that name it. Interfaces are
 * known by name; their numbers change when they are made anew.
 */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "control/model.h"

static bool is_same(const struct sluice_steer *slot, const struct sl_rule_steer *steer)
{
	return slot->mode == steer->mode && strncmp(slot->name, steer->interface, sizeof(slot->name)) == 0 &&
	       slot->next_hop_family == steer->next_hop_family &&
	       memcmp(slot->next_hop, steer->next_hop, sizeof(slot->next_hop)) == 0;
}

/* An interface may have other names (ip link property), and take the name that a rule has. */
static bool is_access(const struct sl_control *control, uint32_t ifindex)
{
	const char *const *access = control->config.access;

	for (; ifindex && access && *access; access++)
		if (if_nametoindex(*access) == ifindex)
			return true;
	return false;
}

/* 0: there is none that packets may be sent to. */
static uint32_t find(const struct sl_control *control, const char *name)
{
	uint32_t ifindex = if_nametoindex(name);

	return is_access(control, ifindex) ? 0 : ifindex;
}

int sl_steer_check(const struct sl_control *control, const struct sl_rule *rule, struct sl_error *err)
{
	int rc = sl_rule_check_steer(rule, control->config.access, err);

	if (rc < 0 || rule->steer.mode == SLUICE_STEER_FREE)
		return rc;
	if (is_access(control, if_nametoindex(rule->steer.interface)))
		return sl_error(err, EINVAL,
				"steer.interface: '%s' is another name of an access interface of this agent",
				rule->steer.interface);
	return 0;
}

static void resolve(const struct sl_control *control, struct sluice_steer *steer)
{
	uint32_t now = find(control, steer->name);

	if (now == steer->ifindex)
		return;
	__atomic_store_n(&steer->ifindex, now, __ATOMIC_RELAXED);
	sl_log(now ? SL_LOG_INFO : SL_LOG_WARNING, now ? "steer-interface-found" : "steer-interface-missing",
	       "interface", "%s", steer->name, "ifindex", "%u", now, NULL);
}

int sl_steer_take(struct sl_control *control, struct sl_rule_steer *steer, struct sl_error *err)
{
	struct sluice_steer *entry;
	uint32_t slot;
	int rc;

	if (steer->mode == SLUICE_STEER_FREE)
		return 0;
	for (slot = 0; slot < SLUICE_STEERS; slot++) {
		if (control->steers[slot] && is_same(&control->maps->steers[slot], steer)) {
			control->steers[slot]++;
			steer->slot = slot;
			return 0;
		}
	}
	rc = sl_slots_take(&control->slots, SL_SLOT_STEER, 1, &slot, err);
	if (rc < 0)
		return rc;
	entry = &control->maps->steers[slot];
	*entry = (struct sluice_steer){.next_hop_family = steer->next_hop_family};
	snprintf(entry->name, sizeof(entry->name), "%s", steer->interface);
	memcpy(entry->next_hop, steer->next_hop, sizeof(entry->next_hop));
	entry->mode = steer->mode;
	entry->ifindex = find(control, entry->name);
	if (!entry->ifindex)
		sl_log(SL_LOG_WARNING, "steer-interface-missing", "interface", "%s", entry->name, NULL);
	control->steers[slot] = 1;
	steer->slot = slot;
	return 0;
}

void sl_steer_put(struct sl_control *control, const struct sl_rule_steer *steer)
{
	if (steer->mode == SLUICE_STEER_FREE)
		return;
	/* packets may still be at an entry that names the slot */
	if (--control->steers[steer->slot] == 0)
		sl_control_defer(control, SL_SLOT_STEER, steer->slot, 1);
}

int sl_steer_adopt(struct sl_control *control, uint32_t slot, struct sl_rule_steer *out)
{
	struct sluice_steer *entry = &control->maps->steers[slot];

	if (slot >= SLUICE_STEERS || entry->mode == SLUICE_STEER_FREE)
		return -EINVAL;
	if (control->steers[slot] == 0 && sl_idpool_claim(control->slots.pool[SL_SLOT_STEER], slot, 1) < 0)
		return -EINVAL;
	control->steers[slot]++;
	*out = (struct sl_rule_steer){
		.mode = entry->mode,
		.next_hop_family = entry->next_hop_family,
		.slot = slot,
	};
	snprintf(out->interface, sizeof(out->interface), "%.*s", (int)sizeof(entry->name) - 1, entry->name);
	/* the interface may be one of the access side since */
	resolve(control, entry);
	memcpy(out->next_hop, entry->next_hop, sizeof(out->next_hop));
	return 0;
}

int sl_control_mirror_take(struct sl_control *control, const char *interface, uint32_t *slot,
			   struct sl_error *err)
{
	struct sl_rule_steer steer = {.mode = SLUICE_STEER_MIRROR};
	int rc;

	snprintf(steer.interface, sizeof(steer.interface), "%s", interface);
	rc = sl_steer_take(control, &steer, err);
	if (rc == 0)
		*slot = steer.slot;
	return rc;
}

int sl_control_mirror_adopt(struct sl_control *control, uint32_t slot)
{
	struct sl_rule_steer steer;

	if (slot >= SLUICE_STEERS || control->maps->steers[slot].mode != SLUICE_STEER_MIRROR)
		return -EINVAL;
	/* given back while sessions were adopted, but not free yet */
	if (!control->steers[slot] && sl_idpool_is_taken(control->slots.pool[SL_SLOT_STEER], slot))
		sl_control_wait(control);
	return sl_steer_adopt(control, slot, &steer);
}

void sl_control_mirror_put(struct sl_control *control, uint32_t slot)
{
	sl_steer_put(control, &(struct sl_rule_steer){.mode = SLUICE_STEER_MIRROR, .slot = slot});
}

void sl_control_resolve_steers(struct sl_control *control)
{
	for (uint32_t slot = 0; slot < SLUICE_STEERS; slot++) {
		struct sluice_steer *entry = &control->maps->steers[slot];

		if (control->steers[slot])
			resolve(control, entry);
		else if (entry->mode != SLUICE_STEER_FREE &&
			 !sl_idpool_is_taken(control->slots.pool[SL_SLOT_STEER], slot))
			memset(entry, 0, sizeof(*entry)); /* a freed slot reads as empty in a dump */
	}
}
