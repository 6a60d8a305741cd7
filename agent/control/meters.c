// SPDX-License-Identifier: Apache-2.0
/*
 * What is policed: a session's AMBR, the MBR of a rule that has no queue, what an
 * APN and the link may have in all. A rule with a GBR is outside the AMBR (3GPP
 * TS 23.401 clause 4.7.3): what it sends within its GBR is charged to its APN
 * and the link, but not refused there, since admission has reserved it. A meter is
 * complete before a binding leads to it and free a grace period after the last
 * one has gone; one in use is only changed once its session is published.
 */
#include <errno.h>
#include <string.h>

#include "control/draft.h"
#include "qos/meter.h"
#include "qos/shape.h"

/* For the least tolerance. A longer packet passes where nothing is outstanding (sluice/meter.h). */
#define MTU 1500

static uint32_t *binding_meter(struct sluice_binding *binding, int direction)
{
	return direction == SLUICE_UPLINK ? &binding->uplink_meter : &binding->downlink_meter;
}

/* 0: no limit. */
static int word_of(uint64_t bits_per_second, const char *name, uint64_t *word, struct sl_error *err)
{
	int rc = 0;

	*word = 0;
	if (bits_per_second)
		rc = sl_meter_rate(bits_per_second, SL_METER_TOLERANCE_NS, MTU, word, err);
	return rc < 0 ? sl_error_prefix(err, rc, "%s", name) : 0;
}

/* More than a meter can have is no limit: nothing that passes here reaches it. */
static int ambr_word(uint64_t ambr, int direction, uint64_t *word, struct sl_error *err)
{
	static const char *const names[] = {[SLUICE_UPLINK] = "AMBR uplink (apn_ambr.max_bandwidth_ul)",
					    [SLUICE_DOWNLINK] = "AMBR downlink (apn_ambr.max_bandwidth_dl)"};

	return word_of(ambr > SLUICE_METER_RATE_MAX ? 0 : ambr, names[direction], word, err);
}

/* --- of APNs and the link ------------------------------------------------------ */

static uint64_t apn_cap(const struct sl_control *control, uint8_t number, int direction)
{
	const struct sl_control_apn *apn = sl_apn(control, number);

	return apn ? apn->cap[direction] : 0;
}

/* The meter above sessions of an APN: of that, of the link, slot + 1; 0: none. */
static uint32_t root_of(const struct sl_control *control, uint8_t apn, int direction)
{
	if (apn_cap(control, apn, direction))
		return sluice_meter_fixed(control->maps->size.meters, apn, direction) + 1;
	if (control->config.link_cap[direction])
		return sluice_meter_fixed(control->maps->size.meters, 0, direction) + 1;
	return 0;
}

static uint32_t slot_of(uint32_t meter)
{
	return meter ? meter - 1 : SLUICE_NONE;
}

/* What is used up of it stays; one that has no rate any more lets all pass that still comes to it. */
static void open_fixed(struct sluice_meter *meter, const struct sl_meter_settings *settings)
{
	if (meter->level != settings->level) {
		sl_meter_start(meter, settings, sl_now_ns());
		return;
	}
	if (meter->rate != settings->rate)
		sl_meter_change(meter, settings->rate, 0, sl_now_ns());
	__atomic_store_n(&meter->parent, settings->parent, __ATOMIC_RELEASE);
}

int sl_meters_open(struct sl_control *control, struct sl_error *err)
{
	struct sl_maps *maps = control->maps;

	for (uint32_t apn = 0; apn <= SLUICE_APNS; apn++) {
		for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
			uint64_t cap = apn ? apn_cap(control, (uint8_t)apn, direction)
					   : control->config.link_cap[direction];
			struct sl_meter_settings settings = {
				.level = apn ? SLUICE_METER_APN : SLUICE_METER_LINK,
				.parent = apn ? slot_of(root_of(control, 0, direction)) : SLUICE_NONE,
				.green_parent = SLUICE_NONE,
			};
			int rc = word_of(cap > SLUICE_METER_RATE_MAX ? 0 : cap,
					 apn ? "the cap of an APN" : "the link's rate", &settings.rate, err);

			if (rc < 0)
				return rc;
			open_fixed(&maps->meters[sluice_meter_fixed(maps->size.meters, apn, direction)],
				   &settings);
		}
	}
	return 0;
}

/* --- settings --------------------------------------------------------------------- */

static bool has_class(const struct sl_install *install, int direction)
{
	return direction == SLUICE_UPLINK ? install->binding.uplink_class : install->binding.downlink_class;
}

/*
 * What a rule with a GBR and a queue needs where its APN or the link has a meter:
 * one that tells what is guaranteed from the rest. The MBR is the queue's.
 */
static bool is_guard(const struct sl_install *install, int direction)
{
	return install->rule->gbr[direction] && has_class(install, direction);
}

/* A guard has no rate of its own; whether a meter is one does not change as long as it is used. */
static bool polices(const struct sl_control *control, uint32_t meter)
{
	return meter && control->maps->meters[meter - 1].rate;
}

/* ambr, root: what is above, slot + 1 or 0 */
static int rule_settings(const struct sl_install *install, int direction, uint32_t ambr, uint32_t root,
			 struct sl_meter_settings *settings, struct sl_error *err)
{
	const struct sl_rule *rule = install->rule;
	static const char *const mbrs[] = {[SLUICE_UPLINK] = "MBR uplink (qos.max_req_bw_ul)",
					   [SLUICE_DOWNLINK] = "MBR downlink (qos.max_req_bw_dl)"};
	static const char *const gbrs[] = {
		[SLUICE_UPLINK] = "GBR uplink (qos.gbr_ul)", [SLUICE_DOWNLINK] = "GBR downlink (qos.gbr_dl)"};
	uint64_t mbr = 0;
	int rc;

	settings->level = SLUICE_METER_RULE;
	settings->parent = slot_of(ambr && !rule->gbr[direction] ? ambr : root);
	settings->green_parent = slot_of(root);
	/* nothing that passes here reaches more than a meter can have */
	if (!is_guard(install, direction))
		mbr = rule->mbr[direction] < SLUICE_METER_RATE_MAX ? rule->mbr[direction]
								   : SLUICE_METER_RATE_MAX;
	rc = word_of(mbr, mbrs[direction], &settings->rate, err);
	return rc < 0 ? rc : word_of(rule->gbr[direction], gbrs[direction], &settings->green_rate, err);
}

static int take(struct sl_control *control, const struct sl_meter_settings *settings, uint32_t *meter,
		struct sl_error *err)
{
	uint32_t slot;
	int rc = sl_slots_take(&control->slots, SL_SLOT_METER, 1, &slot, err);

	if (rc < 0)
		return rc;
	sl_meter_start(&control->maps->meters[slot], settings, sl_now_ns());
	control->meter_users[slot] = 1;
	*meter = slot + 1;
	return 0;
}

static void share(struct sl_control *control, uint32_t meter)
{
	control->meter_users[meter - 1]++;
}

void sl_meter_put(struct sl_control *control, uint32_t meter)
{
	if (meter && --control->meter_users[meter - 1] == 0)
		sl_control_defer(control, SL_SLOT_METER, meter - 1, 1);
}

/* Must the draft leave this meter to others? `twin` is the twin's, 0: it has none. */
static bool must_leave(const struct sl_draft *draft, uint32_t meter, uint32_t twin)
{
	if (!meter)
		return false;
	return twin ? twin != meter : draft->separate && draft->control->meter_users[meter - 1] > 1;
}

/* --- the MBR of a rule ---------------------------------------------------------- */

static uint32_t twin_meter(const struct sl_session *twin, const struct sl_install *install, int direction)
{
	const struct sl_install *other = sl_twin_install(twin, install);

	return other ? other->meter[direction] : 0;
}

/* A guarantee has a queue at any rate: without one it is behind everybody's packets. */
static bool is_below_floor(const struct sl_rule *rule, int direction)
{
	return rule->mbr[direction] && rule->mbr[direction] < SL_SHAPE_FLOOR && !rule->gbr[direction];
}

bool sl_meter_is_wanted(const struct sl_draft *draft, struct sl_entry *entry, int direction, bool keep)
{
	static const char too_low[] =
		"the MBR is below " SL_SHAPE_FLOOR_TEXT ": the rule is policed, not shaped";
	const struct sl_control_config *config = &draft->control->config;
	enum sl_rate_backend backend = sl_rate_backend_of(draft->control, entry->install.rule);
	struct sl_qos_pool_status pool = {0};
	uint32_t other;

	if (backend != SL_RATE_AUTO)
		return backend == SL_RATE_POLICE;
	if (draft->tree[direction])
		sl_qos_tree_status(config->qos, direction, &pool);
	else if (config->qos)
		sl_qos_pool_status(config->qos, direction, &pool);
	other = twin_meter(draft->partner, &entry->install, direction);
	if (pool.size == 0 || polices(draft->control, entry->install.meter[direction]) ||
	    polices(draft->control, other))
		return true;
	if (!is_below_floor(entry->install.rule, direction) ||
	    (keep && has_class(&entry->install, direction)))
		return false;
	entry->fell_back = too_low;
	return true;
}

int sl_meter_set(struct sl_draft *draft, struct sl_entry *entry, int direction, struct sl_error *err)
{
	uint32_t *meter = &entry->install.meter[direction];
	uint32_t twin = twin_meter(draft->partner, &entry->install, direction);
	struct sl_meter_settings settings;
	int rc;

	rc = rule_settings(&entry->install, direction, draft->meter[direction],
			   root_of(draft->control, draft->apn, direction), &settings, err);
	if (rc < 0)
		return rc;
	/* one that becomes what it is not would police, or not, before the queue is what it is to be */
	if (polices(draft->control, twin) != (settings.rate != 0))
		twin = 0;
	if (must_leave(draft, *meter, twin) || polices(draft->control, *meter) != (settings.rate != 0))
		sl_meter_unset(entry, direction);
	if (*meter)
		return 0;
	if (twin) {
		share(draft->control, twin);
		*meter = twin;
	} else {
		rc = take(draft->control, &settings, meter, err);
		if (rc < 0)
			return rc;
	}
	entry->metered[direction] = true;
	return 0;
}

int sl_meter_guard(struct sl_draft *draft, struct sl_entry *entry, int direction, struct sl_error *err)
{
	if (entry->install.rule->gbr[direction] && root_of(draft->control, draft->apn, direction))
		return sl_meter_set(draft, entry, direction, err);
	sl_meter_unset(entry, direction);
	return 0;
}

void sl_meter_unset(struct sl_entry *entry, int direction)
{
	if (entry->install.meter[direction])
		entry->unused_meter[direction] = entry->install.meter[direction];
	entry->install.meter[direction] = 0;
}

/* --- the AMBR of a session -------------------------------------------------------- */

/* What the AMBR is after this update. True: somebody asked for it. */
static bool next_ambr(struct sl_draft *draft, const struct sl_update *update)
{
	const struct sl_session *session = draft->session;
	const struct sluice_session_record *record = &draft->control->maps->sessions[session->slot];
	const struct sl_session_request *request = update->refresh ? NULL : update->request;

	if (request && (request->has_ambr || update->exact)) {
		for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++)
			draft->ambr[direction] = request->has_ambr ? request->ambr[direction] : 0;
		return true;
	}
	draft->ambr[SLUICE_UPLINK] = session->active ? record->ambr_uplink : 0;
	draft->ambr[SLUICE_DOWNLINK] = session->active ? record->ambr_downlink : 0;
	return false;
}

static int begin(struct sl_draft *draft, int direction, uint64_t word, struct sl_error *err)
{
	const struct sl_meter_settings settings = {
		.level = SLUICE_METER_SESSION,
		.rate = word,
		.parent = slot_of(root_of(draft->control, draft->apn, direction)),
		.green_parent = SLUICE_NONE,
	};
	uint32_t twin = draft->partner ? draft->partner->meter[direction] : 0;
	uint32_t meter = draft->session->meter[direction];
	int rc = 0;

	if (!word)
		return 0;
	if (meter && !must_leave(draft, meter, twin)) {
		draft->meter[direction] = meter;
		return 0;
	}
	if (twin) {
		share(draft->control, twin);
		draft->meter[direction] = twin;
	} else {
		rc = take(draft->control, &settings, &draft->meter[direction], err);
	}
	draft->metered[direction] = rc == 0;
	return rc;
}

int sl_meters_begin(struct sl_draft *draft, const struct sl_update *update, struct sl_error *err)
{
	int rc = 0;

	draft->ambr_asked = next_ambr(draft, update);
	for (int direction = 0; direction < SLUICE_DIRECTIONS && rc == 0; direction++) {
		rc = ambr_word(draft->ambr[direction], direction, &draft->ambr_word[direction], err);
		if (rc == 0)
			rc = sl_tree_begin(draft, direction, err);
		if (rc == 0 && !draft->tree[direction])
			rc = begin(draft, direction, draft->ambr_word[direction], err);
	}
	if (rc < 0)
		sl_meters_abandon(draft);
	return rc;
}

void sl_meters_abandon(struct sl_draft *draft)
{
	sl_trees_abandon(draft);
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++)
		if (draft->metered[direction])
			sl_meter_put(draft->control, draft->meter[direction]);
}

/* --- what bindings say --------------------------------------------------------------- */

/*
 * The first meter of a rule's packets: its own, which leads to the session's, or
 * that itself, or what is above both. A packet with a queue passes the last
 * before it comes to the queue.
 */
static uint32_t first_meter(const struct sl_install *install, int direction, uint32_t ambr, uint32_t root)
{
	if (install->meter[direction])
		return install->meter[direction];
	return ambr && !install->rule->gbr[direction] ? ambr : root;
}

void sl_meters_bind(struct sl_draft *draft)
{
	for (uint32_t i = 0; i < draft->count; i++) {
		struct sl_install *install = &draft->entries[i].install;

		for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++)
			*binding_meter(&install->binding, direction) =
				first_meter(install, direction, draft->meter[direction],
					    root_of(draft->control, draft->apn, direction));
	}
}

/*
 * A rule's own meter becomes what the rule, if its rate is asked for, and its
 * session say. One that the twin's rule has, too, is under the AMBR of either.
 */
static void apply(struct sl_control *control, const struct sl_install *install, int direction, uint32_t ambr,
		  uint32_t root, const struct sl_session *twin, bool rate)
{
	uint32_t own = install->meter[direction];
	struct sl_meter_settings settings;
	struct sluice_meter *meter;

	if (!own)
		return;
	if (!ambr && twin_meter(twin, install, direction) == own)
		ambr = twin->meter[direction];
	if (rule_settings(install, direction, ambr, root, &settings, NULL) < 0)
		return;
	meter = &control->maps->meters[own - 1];
	__atomic_store_n(&meter->parent, settings.parent, __ATOMIC_RELEASE);
	__atomic_store_n(&meter->green_parent, settings.green_parent, __ATOMIC_RELEASE);
	if (rate)
		sl_meter_change(meter, settings.rate, settings.green_rate, sl_now_ns());
}

/* The MBR is policed from now on: that of both, one rate. */
static bool leaves_twin(const struct sl_draft *draft, const struct sl_entry *entry, int direction)
{
	const struct sl_install *other = sl_twin_install(draft->partner, &entry->install);

	return other && entry->requested && entry->metered[direction] &&
	       polices(draft->control, entry->install.meter[direction]) && other->rule->mbr[direction] &&
	       sl_rate_backend_of(draft->control, other->rule) == SL_RATE_AUTO &&
	       other->meter[direction] != entry->install.meter[direction];
}

void sl_meters_commit(struct sl_draft *draft)
{
	struct sl_control *control = draft->control;
	struct sl_session *session = draft->session;

	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		uint32_t meter = draft->meter[direction], before = session->meter[direction];
		uint32_t root = root_of(control, draft->apn, direction);

		if (meter)
			__atomic_store_n(&control->maps->meters[meter - 1].parent, slot_of(root),
					 __ATOMIC_RELEASE);
		if (meter && draft->ambr_asked)
			sl_meter_change(&control->maps->meters[meter - 1], draft->ambr_word[direction], 0,
					sl_now_ns());
		for (uint32_t i = 0; i < draft->count; i++) {
			const struct sl_entry *entry = &draft->entries[i];

			apply(control, &entry->install, direction, meter, root, draft->twin,
			      entry->requested);
			if (leaves_twin(draft, entry, direction))
				draft->follows = draft->partner;
			sl_meter_put(control, entry->unused_meter[direction]);
		}
		session->meter[direction] = meter;
		if (before != meter)
			sl_meter_put(control, before);
	}
}

void sl_meters_reparent(struct sl_control *control, const struct sl_session *session)
{
	for (uint32_t i = 0; session && i < session->install_count; i++)
		for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++)
			apply(control, &session->installs[i], direction, session->meter[direction],
			      root_of(control, session->apn, direction), session->twin, false);
}

/* --- the end, and the next start -------------------------------------------------------- */

void sl_meters_release(struct sl_control *control, const struct sl_install *install)
{
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++)
		sl_meter_put(control, install->meter[direction]);
}

void sl_meters_release_session(struct sl_control *control, struct sl_session *session)
{
	struct sluice_session_record *record = &control->maps->sessions[session->slot];

	record->uplink_meter = record->downlink_meter = 0;
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		sl_meter_put(control, session->meter[direction]);
		session->meter[direction] = 0;
	}
}

/* 0: there is no such meter, or it is somebody else's. */
static uint32_t claim(struct sl_control *control, uint32_t meter, enum sluice_meter_level level,
		      uint32_t twin)
{
	if (!meter || meter > control->maps->size.meters || control->maps->meters[meter - 1].level != level)
		return 0;
	if (meter == twin) {
		share(control, meter);
		return meter;
	}
	if (sl_idpool_claim(control->slots.pool[SL_SLOT_METER], meter - 1, 1) < 0)
		return 0;
	control->meter_users[meter - 1] = 1;
	return meter;
}

bool sl_meters_adopt_session(struct sl_control *control, struct sl_session *session)
{
	const struct sluice_session_record *record = &control->maps->sessions[session->slot];
	const uint64_t ambr[SLUICE_DIRECTIONS] = {record->ambr_uplink, record->ambr_downlink};
	const uint32_t recorded[SLUICE_DIRECTIONS] = {record->uplink_meter, record->downlink_meter};
	const uint8_t apn = sl_apn_number(control, record->apn);
	bool complete = true;

	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		uint32_t twin = session->twin ? session->twin->meter[direction] : 0, meter;
		uint64_t word;

		if (session->tree[direction] || ambr_word(ambr[direction], direction, &word, NULL) < 0 ||
		    !word)
			continue;
		meter = claim(control, recorded[direction], SLUICE_METER_SESSION, twin);
		session->meter[direction] = meter;
		complete = complete && meter;
		if (meter)
			__atomic_store_n(&control->maps->meters[meter - 1].parent,
					 slot_of(root_of(control, apn, direction)), __ATOMIC_RELEASE);
		if (meter && meter != twin)
			sl_meter_change(&control->maps->meters[meter - 1], word, 0, sl_now_ns());
	}
	return complete;
}

bool sl_meters_adopt(struct sl_control *control, const struct sl_session *session, struct sl_install *install)
{
	const uint8_t apn = sl_apn_number(control, control->maps->sessions[session->slot].apn);
	bool complete = true;

	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		const uint32_t root = root_of(control, apn, direction);
		const uint32_t ambr = session->meter[direction];
		uint32_t *bound = binding_meter(&install->binding, direction);
		uint32_t twin = twin_meter(session->twin, install, direction);

		if (*bound && *bound != ambr && *bound != root)
			install->meter[direction] = claim(control, *bound, SLUICE_METER_RULE, twin);
		apply(control, install, direction, ambr, root, session->twin,
		      install->meter[direction] != twin);
		complete = complete && *bound == first_meter(install, direction, ambr, root) &&
			   (!install->meter[direction] || is_guard(install, direction) ||
			    sl_rate_backend_of(control, install->rule) != SL_RATE_SHAPE);
		*bound = first_meter(install, direction, ambr, root);
	}
	return complete;
}
