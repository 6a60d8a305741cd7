// SPDX-License-Identifier: Apache-2.0
/*
 * What sessions send and receive, of the link and of each APN: the counters are
 * read a part a second, all of them once in a round, and each is compared with
 * what it was one round before. So it costs nothing per packet. They are read in
 * their own order; whose one is matters only where it has moved.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/guarantees.h"

#define ROUND 5 /* steps, one a second */

struct sl_load {
	uint32_t step;
	uint64_t started_ns;				   /* of the round; 0: none yet */
	uint64_t sum[SLUICE_APNS + 1][SLUICE_DIRECTIONS];  /* bytes in this round, 0: of all */
	uint64_t rate[SLUICE_APNS + 1][SLUICE_DIRECTIONS]; /* bit/s in the last one */
	struct {
		uint64_t bytes[SLUICE_DIRECTIONS];
	} seen[]; /* by usage slot */
};

static uint64_t bytes_of(const struct sluice_usage *usage, int direction)
{
	return __atomic_load_n(direction == SLUICE_UPLINK ? &usage->uplink.bytes : &usage->downlink.bytes,
			       __ATOMIC_RELAXED);
}

int sl_load_open(struct sl_control *control, struct sl_error *err)
{
	uint32_t slots = control->maps->size.usage;
	struct sl_load *load = calloc(1, sizeof(*load) + (size_t)slots * sizeof(load->seen[0]));

	if (!load)
		return sl_error(err, ENOMEM, "out of memory");
	control->load = load;
	return 0;
}

void sl_load_adopt(struct sl_control *control)
{
	for (uint32_t slot = 0; slot < control->maps->size.usage; slot++)
		for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
			uint64_t bytes = bytes_of(&control->maps->usage[slot], direction);

			/* what was never used needs no memory of ours */
			if (bytes)
				control->load->seen[slot].bytes[direction] = bytes;
		}
}

void sl_load_forget(struct sl_control *control, uint32_t usage)
{
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++)
		if (control->load && control->load->seen[usage].bytes[direction])
			control->load->seen[usage].bytes[direction] = 0;
}

/* The number of the APN of whoever counts here; 0: none. */
static uint8_t apn_of(const struct sl_control *control, uint32_t usage)
{
	uint32_t slot = control->maps->usage_owners[usage].session;
	const struct sl_session *session =
		slot < control->maps->size.sessions ? control->by_slot[slot] : NULL;

	return session ? session->apn : 0;
}

static void add(struct sl_control *control, uint32_t usage)
{
	struct sl_load *load = control->load;

	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		uint64_t now = bytes_of(&control->maps->usage[usage], direction);
		uint64_t more = now - load->seen[usage].bytes[direction];
		uint8_t apn;

		if (!more)
			continue;
		apn = apn_of(control, usage);
		load->seen[usage].bytes[direction] = now;
		load->sum[0][direction] += more;
		if (apn)
			load->sum[apn][direction] += more;
	}
}

static void end_round(struct sl_load *load, uint64_t now)
{
	uint64_t us = (now - load->started_ns) / 1000;

	for (int apn = 0; apn <= SLUICE_APNS; apn++)
		for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++)
			load->rate[apn][direction] =
				us ? (uint64_t)((unsigned __int128)load->sum[apn][direction] * 8000000 / us)
				   : 0;
	memset(load->sum, 0, sizeof(load->sum));
	load->started_ns = now;
	load->step = 0;
}

void sl_load_step(struct sl_control *control)
{
	const uint32_t slots = control->maps->size.usage, part = slots / ROUND + 1;
	const struct sl_idpool *taken = control->slots.pool[SL_SLOT_USAGE];
	struct sl_load *load = control->load;
	uint32_t first = load->step * part;

	if (!load->started_ns)
		load->started_ns = sl_now_ns();
	for (uint32_t slot = sl_idpool_next(taken, first); slot < slots && slot - first < part;
	     slot = sl_idpool_next(taken, slot + 1))
		add(control, slot);
	if (++load->step == ROUND)
		end_round(load, sl_now_ns());
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void fill(const struct sl_control *control, uint8_t number, const struct sl_control_apn *apn,
		 struct sl_load_view *out)
{
	struct sl_admission_load link, own;

	sl_guarantees_load(control, 0, &link);
	sl_guarantees_load(control, number, &own);
	*out = (struct sl_load_view){.apn = apn ? apn->name : NULL,
				     .sessions = apn ? control->apn_sessions[number] : control->active,
				     .rules = own.rules};
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		uint64_t room = less(link.capacity[direction], link.reserved[direction]);

		out->capacity[direction] = apn ? apn->cap[direction] : control->config.link_rate[direction];
		out->reserve[direction] = smaller(own.capacity[direction], link.capacity[direction]);
		out->reserved[direction] = own.reserved[direction];
		out->headroom[direction] =
			smaller(room, less(own.capacity[direction], own.reserved[direction]));
		out->used[direction] = control->load->rate[number][direction];
	}
}

void sl_control_each_load(const struct sl_control *control,
			  void (*visit)(const struct sl_load_view *view, void *user), void *user)
{
	struct sl_load_view view;

	fill(control, 0, NULL, &view);
	visit(&view, user);
	for (size_t i = 0; i < control->apns.count; i++) {
		const struct sl_apn_entry *entry = &control->apns.entry[i];

		fill(control, entry->number, entry->apn, &view);
		visit(&view, user);
	}
}
