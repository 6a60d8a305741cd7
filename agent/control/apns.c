// SPDX-License-Identifier: Apache-2.0
/*
 * APNs of the configuration: their numbers, what marks mean on core devices, and
 * where their uplink goes. Between a start with another configuration and the
 * moment when the last session is published anew, packets are judged by what the
 * earlier start published: a number, a slot in steers that it used means the
 * same until then.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "control/model.h"
#include "policy/hash.h"

/* A way out that leads nowhere: a slot beyond the map, where packets find no interface. */
#define NO_WAY_OUT UINT8_MAX

_Static_assert(SLUICE_STEER_FIRST + SLUICE_STEERS <= NO_WAY_OUT, "the slot is beyond the map");

static int compare(const void *a, const void *b)
{
	return strcasecmp(((const struct sl_apn_entry *)a)->apn->name,
			  ((const struct sl_apn_entry *)b)->apn->name);
}

static const struct sl_apn_entry *find(const struct sl_control *control, const char *name)
{
	const struct sl_apns *apns = &control->apns;
	struct sl_control_apn wanted;
	const struct sl_apn_entry key = {.apn = &wanted};

	snprintf(wanted.name, sizeof(wanted.name), "%s", name);
	return bsearch(&key, apns->entry, apns->count, sizeof(apns->entry[0]), compare);
}

uint8_t sl_apn_number(const struct sl_control *control, const char *name)
{
	const struct sl_apn_entry *entry = name[0] ? find(control, name) : NULL;

	return entry ? entry->number : 0;
}

const struct sl_control_apn *sl_apn(const struct sl_control *control, uint8_t number)
{
	const struct sl_apn_entry *entry = control->apns.by_number[number];

	return entry ? entry->apn : NULL;
}

/* --- numbers ---------------------------------------------------------------------- */

/* Not 0. Two names of one hash have two numbers, which a restart may change about. */
static uint32_t hash_of(const char *name)
{
	char lower[SLUICE_APN_SIZE] = {0};
	uint64_t hash;

	for (size_t i = 0; i < sizeof(lower) - 1 && name[i]; i++)
		lower[i] = (char)tolower((unsigned char)name[i]);
	hash = sl_hash(0, lower, sizeof(lower));
	return (uint32_t)hash ? (uint32_t)hash : 1;
}

static struct sluice_mark *mark_of(const struct sl_control *control, uint32_t number)
{
	return &control->maps->marks[SLUICE_MARK_APN + number];
}

/* 0: there is none. */
static uint8_t number_with(const struct sl_control *control, uint32_t name)
{
	for (uint32_t number = 1; number <= SLUICE_APNS; number++)
		if (mark_of(control, number)->name == name && !control->apns.by_number[number])
			return (uint8_t)number;
	return 0;
}

static int give_numbers(struct sl_control *control, bool anew, struct sl_error *err)
{
	struct sl_apns *apns = &control->apns;

	for (size_t i = 0; i < apns->count; i++) {
		struct sl_apn_entry *entry = &apns->entry[i];

		if (entry->number)
			continue;
		entry->number = number_with(control, anew ? 0 : hash_of(entry->apn->name));
		if (!entry->number && anew)
			return sl_error(err, ENOSPC,
					"apns: no number for %s: %u are taken by others, those included that "
					"sessions had so far; start without it once",
					entry->apn->name, SLUICE_APNS);
		if (!entry->number)
			continue;
		mark_of(control, entry->number)->name = hash_of(entry->apn->name);
		apns->by_number[entry->number] = entry;
	}
	return 0;
}

/* --- ways out --------------------------------------------------------------------- */

static int find_way_out(struct sl_control *control, const struct sl_control_apn *apn, uint32_t family,
			uint8_t *out, struct sl_error *err)
{
	struct sl_rule_steer steer = {.mode = SLUICE_STEER_REDIRECT};
	const struct sl_address *hop = &apn->next_hop[family == 6];
	int rc;

	if (!apn->interface[0])
		return 0;
	/* IPv4 by an IPv6 neighbour works, not the other way round */
	if (family == 4 && !hop->family)
		hop = &apn->next_hop[1];
	if (family == 6 && !hop->family && apn->next_hop[0].family) {
		*out = NO_WAY_OUT;
		return 0;
	}
	snprintf(steer.interface, sizeof(steer.interface), "%s", apn->interface);
	steer.next_hop_family = hop->family;
	memcpy(steer.next_hop, hop->bytes, sizeof(steer.next_hop));
	rc = sl_steer_take(control, &steer, err);
	if (rc == 0)
		*out = (uint8_t)(SLUICE_STEER_FIRST + steer.slot);
	return rc;
}

static void hold_old(struct sl_control *control)
{
	struct sl_apns *apns = &control->apns;

	for (uint32_t slot = 0; slot < SLUICE_STEERS; slot++)
		if (control->steers[slot] == 0 &&
		    sl_steer_adopt(control, slot, &apns->old[apns->old_count]) == 0)
			apns->old_count++;
}

/* --- the start -------------------------------------------------------------------- */

int sl_apns_open(struct sl_control *control, struct sl_error *err)
{
	const struct sl_control_config *config = &control->config;
	struct sl_apns *apns = &control->apns;
	int rc;

	if (config->apn_count > SLUICE_APNS)
		return sl_error(err, E2BIG, "apns: %zu are more than %d", config->apn_count, SLUICE_APNS);
	for (size_t i = 0; i < config->apn_count; i++)
		apns->entry[apns->count++].apn = &config->apns[i];
	qsort(apns->entry, apns->count, sizeof(apns->entry[0]), compare);
	hold_old(control);
	rc = give_numbers(control, false, err);
	if (rc == 0)
		rc = give_numbers(control, true, err);
	for (size_t i = 0; rc == 0 && i < apns->count; i++) {
		struct sl_apn_entry *entry = &apns->entry[i];

		rc = find_way_out(control, entry->apn, 4, &entry->way_out[0], err);
		if (rc == 0)
			rc = find_way_out(control, entry->apn, 6, &entry->way_out[1], err);
	}
	if (rc == 0)
		rc = sl_neighbours_open(control, err);
	if (rc == 0)
		sl_apns_repair(control);
	return rc;
}

uint32_t sl_apns_repair(struct sl_control *control)
{
	const struct sl_apns *apns = &control->apns;
	uint64_t *vlans = control->maps->vlans;
	uint32_t wrong = 0;

	for (size_t i = 0; i < apns->count; i++) {
		const struct sl_apn_entry *entry = &apns->entry[i];
		struct sluice_mark *mark = mark_of(control, entry->number);
		uint32_t vlan = entry->apn->vlan, name = hash_of(entry->apn->name);

		if (mark->vlan == vlan && mark->name == name && (!vlan || vlans[vlan] == 1))
			continue;
		mark->name = name;
		__atomic_store_n(&mark->vlan, vlan, __ATOMIC_RELAXED);
		if (vlan)
			__atomic_store_n(&vlans[vlan], 1, __ATOMIC_RELAXED);
		wrong++;
	}
	return wrong;
}

void sl_apns_settle(struct sl_control *control)
{
	struct sl_apns *apns = &control->apns;
	bool wanted[SLUICE_VLANS] = {false};

	for (uint32_t number = 1; number <= SLUICE_APNS; number++) {
		if (apns->by_number[number])
			wanted[apns->by_number[number]->apn->vlan] = true;
		else
			*mark_of(control, number) = (struct sluice_mark){0};
	}
	for (uint32_t vlan = 1; vlan < SLUICE_VLANS; vlan++)
		if (!wanted[vlan])
			control->maps->vlans[vlan] = 0;
	while (apns->old_count > 0)
		sl_steer_put(control, &apns->old[--apns->old_count]);
}

/* --- sessions --------------------------------------------------------------------- */

/* As write_subscription in subscription.c will have it. */
static const char *name_wanted(const struct sl_control *control, const struct sl_session *session,
			       const struct sl_update *update)
{
	const struct sl_session_request *request = update && !update->refresh ? update->request : NULL;

	if (request && (update->exact || !session->active || request->apn[0]))
		return request->apn;
	return control->maps->sessions[session->slot].apn;
}

uint8_t sl_apn_wanted(const struct sl_control *control, const struct sl_session *session,
		      const struct sl_update *update)
{
	return sl_apn_number(control, name_wanted(control, session, update));
}

/* Not by number: two names without one may have two after the next start. */
bool sl_apn_is_same(const struct sl_control *control, const struct sl_session *session,
		    const struct sl_update *update, const struct sl_session *other)
{
	return strcasecmp(name_wanted(control, session, update), name_wanted(control, other, NULL)) == 0;
}

int sl_apn_check(const struct sl_control *control, uint8_t number, const struct sl_rule *rule,
		 struct sl_error *err)
{
	const struct sl_control_apn *apn = sl_apn(control, number);

	if (!apn || !apn->interface[0] || rule->steer.mode != SLUICE_STEER_MIRROR)
		return 0;
	return sl_error(err, EINVAL,
			"steer: a copy to %s cannot be had where the APN %s has an interface of its own",
			rule->steer.interface, apn->name);
}

void sl_apn_lead(const struct sl_control *control, uint8_t number, uint32_t family,
		 struct sl_install *installs, uint32_t count)
{
	const struct sl_apn_entry *entry = control->apns.by_number[number];

	for (uint32_t i = 0; i < count; i++)
		installs[i].way_out = entry ? entry->way_out[family == 6] : 0;
}

bool sl_apn_adopt(struct sl_control *control, struct sl_session *session, const struct sluice_policy *policy)
{
	uint8_t wanted = sl_apn_number(control, control->maps->sessions[session->slot].apn);

	session->apn = policy->apn;
	sl_apn_lead(control, wanted, session->address.family, session->installs, session->install_count);
	sl_vlan_mark(control, wanted, session->installs, session->install_count);
	return wanted == policy->apn;
}
