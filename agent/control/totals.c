// SPDX-License-Identifier: Apache-2.0
/* Sums over all sessions that cost no walk through them. */
#include <string.h>

#include "control/model.h"

static void add(struct sluice_counter *sum, const struct sluice_counter *more)
{
	sum->bytes += __atomic_load_n(&more->bytes, __ATOMIC_RELAXED);
	sum->packets += __atomic_load_n(&more->packets, __ATOMIC_RELAXED);
}

static void add_usage(struct sluice_usage *sum, const struct sluice_usage *more)
{
	add(&sum->uplink, &more->uplink);
	add(&sum->downlink, &more->downlink);
	add(&sum->uplink_dropped, &more->uplink_dropped);
	add(&sum->downlink_dropped, &more->downlink_dropped);
}

void sl_usage_clear(struct sl_control *control, uint32_t usage)
{
	add_usage(&control->cleared, &control->maps->usage[usage]);
	memset(&control->maps->usage[usage], 0, sizeof(struct sluice_usage));
	sl_load_forget(control, usage);
}

/* Every slot: one that is free keeps what it had counted until it is cleared for its next owner. */
static struct sluice_usage sum_of_slots(const struct sl_control *control)
{
	struct sluice_usage sum = control->cleared;

	for (uint32_t slot = 0; slot < control->maps->size.usage; slot++)
		add_usage(&sum, &control->maps->usage[slot]);
	return sum;
}

static struct sluice_counter difference(struct sluice_counter now, struct sluice_counter then)
{
	return (struct sluice_counter){.bytes = now.bytes - then.bytes,
				       .packets = now.packets - then.packets};
}

void sl_totals_begin(struct sl_control *control)
{
	control->found = sum_of_slots(control);
	sl_load_adopt(control);
}

struct sluice_usage sl_control_total_usage(const struct sl_control *control)
{
	struct sluice_usage now = sum_of_slots(control);

	return (struct sluice_usage){
		.uplink = difference(now.uplink, control->found.uplink),
		.downlink = difference(now.downlink, control->found.downlink),
		.uplink_dropped = difference(now.uplink_dropped, control->found.uplink_dropped),
		.downlink_dropped = difference(now.downlink_dropped, control->found.downlink_dropped),
	};
}

void sl_session_count_state(struct sl_control *control, struct sl_session *session)
{
	enum sl_session_state now = sl_session_state(session);

	/* an adopted session is counted for the first time with its rules */
	if (!session->is_counted)
		session->state_since_ns = sl_session_first_in_state(session, now);
	else if (now != session->counted_as)
		session->state_since_ns = sl_now_ns();
	if (session->is_counted) {
		control->states[session->counted_as]--;
		control->apn_sessions[session->counted_apn]--;
	}
	session->is_counted = now != SL_SESSION_ENDED;
	session->counted_as = now;
	session->counted_apn = session->apn;
	if (session->is_counted) {
		control->states[now]++;
		control->apn_sessions[session->apn]++;
	}
}

void sl_control_count_sessions(const struct sl_control *control, uint32_t counts[SL_SESSION_ENDED + 1])
{
	for (int state = 0; state < SL_SESSION_ENDED; state++)
		counts[state] = control->states[state];
	counts[SL_SESSION_ENDED] = sl_idpool_used(control->slots.pool[SL_SLOT_SESSION]) - control->active;
}
