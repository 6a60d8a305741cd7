// SPDX-License-Identifier: Apache-2.0
#include "qos/admission.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/queue.h>

#define LINK	  SL_ADMISSION_APNS /* the link's place among the resources */
#define RESOURCES (SL_ADMISSION_APNS + 1)

struct entry {
	TAILQ_ENTRY(entry) by_age; /* of its level; free: in `free` */
	struct sl_admission_request request;
	uint64_t order; /* when it was accepted */
	bool in_use;
};

TAILQ_HEAD(entries, entry);

/* What can be taken back. */
struct step {
	enum { STEP_ADDED, STEP_CHANGED, STEP_GONE } kind;
	uint32_t slot;
	struct sl_admission_request before; /* CHANGED, GONE */
};

struct sl_admission {
	uint32_t size;
	uint64_t accepted;
	struct entries free;
	struct entries level[SL_ADMISSION_LEVELS + 1]; /* the oldest first */
	struct sl_admission_load resource[RESOURCES];
	struct sl_admission_victim *victim; /* `size` of them */
	bool open;			    /* steps are noted */
	struct step *step;
	size_t steps;
	size_t step_room;
	struct entry entry[];
};

int sl_admission_new(uint32_t size, struct sl_admission **out)
{
	struct sl_admission *admission;

	if (size == 0)
		return -EINVAL;
	admission = calloc(1, sizeof(*admission) + (size_t)size * sizeof(admission->entry[0]));
	if (!admission)
		return -ENOMEM;
	admission->victim = calloc(size, sizeof(*admission->victim));
	if (!admission->victim) {
		sl_admission_free(admission);
		return -ENOMEM;
	}
	admission->size = size;
	TAILQ_INIT(&admission->free);
	for (int level = 0; level <= SL_ADMISSION_LEVELS; level++)
		TAILQ_INIT(&admission->level[level]);
	for (uint32_t slot = 0; slot < size; slot++)
		TAILQ_INSERT_TAIL(&admission->free, &admission->entry[slot], by_age);
	*out = admission;
	return 0;
}

void sl_admission_free(struct sl_admission *admission)
{
	if (!admission)
		return;
	free(admission->step);
	free(admission->victim);
	free(admission);
}

static bool is_resource(uint32_t apn)
{
	return apn < SL_ADMISSION_APNS || apn == SL_ADMISSION_LINK;
}

int sl_admission_set_capacity(struct sl_admission *admission, uint32_t apn,
			      const uint64_t capacity[SLUICE_DIRECTIONS], struct sl_error *err)
{
	if (!is_resource(apn))
		return sl_error(err, ERANGE, "apn %" PRIu32 ": allowed are 0 to %d", apn,
				SL_ADMISSION_APNS - 1);
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++)
		admission->resource[apn == SL_ADMISSION_LINK ? LINK : apn].capacity[direction] =
			capacity[direction];
	return 0;
}

int sl_admission_load(const struct sl_admission *admission, uint32_t apn, struct sl_admission_load *load)
{
	if (!is_resource(apn))
		return -ERANGE;
	*load = admission->resource[apn == SL_ADMISSION_LINK ? LINK : apn];
	return 0;
}

static int check(const struct sl_admission_request *request, struct sl_error *err)
{
	if (request->level < 1 || request->level > SL_ADMISSION_LEVELS)
		return sl_error(err, EINVAL, "arp.priority_level %u: allowed are 1 to %d", request->level,
				SL_ADMISSION_LEVELS);
	if (!is_resource(request->apn))
		return sl_error(err, EINVAL, "apn %" PRIu32 ": allowed are 0 to %d", request->apn,
				SL_ADMISSION_APNS - 1);
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++)
		if (request->gbr[direction] > SL_ADMISSION_RATE_MAX)
			return sl_error(err, EINVAL, "gbr %" PRIu64 " bit/s: at most %llu",
					request->gbr[direction], SL_ADMISSION_RATE_MAX);
	if (!request->gbr[SLUICE_UPLINK] && !request->gbr[SLUICE_DOWNLINK])
		return sl_error(err, EINVAL, "gbr 0: a rule without a guarantee needs no admission");
	return 0;
}

/* --- the book --------------------------------------------------------------- */

static void reserve(struct sl_admission *admission, const struct sl_admission_request *request)
{
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		admission->resource[LINK].reserved[direction] += request->gbr[direction];
		if (request->apn != SL_ADMISSION_LINK)
			admission->resource[request->apn].reserved[direction] += request->gbr[direction];
	}
	admission->resource[LINK].rules++;
	if (request->apn != SL_ADMISSION_LINK)
		admission->resource[request->apn].rules++;
}

static void give_back(struct sl_admission *admission, const struct sl_admission_request *request)
{
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		admission->resource[LINK].reserved[direction] -= request->gbr[direction];
		if (request->apn != SL_ADMISSION_LINK)
			admission->resource[request->apn].reserved[direction] -= request->gbr[direction];
	}
	admission->resource[LINK].rules--;
	if (request->apn != SL_ADMISSION_LINK)
		admission->resource[request->apn].rules--;
}

static uint32_t slot_of(const struct sl_admission *admission, const struct entry *entry)
{
	return (uint32_t)(entry - admission->entry);
}

/* Among those of its level by when it was accepted: a change of level keeps the age. */
static void file(struct sl_admission *admission, struct entry *entry)
{
	struct entries *level = &admission->level[entry->request.level];
	struct entry *older = TAILQ_LAST(level, entries);

	while (older && older->order > entry->order)
		older = TAILQ_PREV(older, entries, by_age);
	if (older)
		TAILQ_INSERT_AFTER(level, older, entry, by_age);
	else
		TAILQ_INSERT_HEAD(level, entry, by_age);
}

static void put(struct sl_admission *admission, struct entry *entry,
		const struct sl_admission_request *request)
{
	entry->request = *request;
	reserve(admission, request);
	file(admission, entry);
}

static void take_out(struct sl_admission *admission, struct entry *entry)
{
	give_back(admission, &entry->request);
	TAILQ_REMOVE(&admission->level[entry->request.level], entry, by_age);
}

/* --- what can be taken back --------------------------------------------------- */

/* Before anything is decided, so that nothing of it can fail. */
static int reserve_steps(struct sl_admission *admission, size_t more, struct sl_error *err)
{
	size_t room = admission->step_room ? admission->step_room : 16;
	struct step *grown;

	if (!admission->open || admission->steps + more <= admission->step_room)
		return 0;
	while (room < admission->steps + more)
		room *= 2;
	grown = reallocarray(admission->step, room, sizeof(*grown));
	if (!grown)
		return sl_error(err, ENOMEM, "out of memory");
	admission->step = grown;
	admission->step_room = room;
	return 0;
}

static void note(struct sl_admission *admission, int kind, const struct entry *entry,
		 const struct sl_admission_request *before)
{
	struct step *step;

	if (!admission->open)
		return;
	step = &admission->step[admission->steps++];
	step->kind = kind;
	step->slot = slot_of(admission, entry);
	if (before)
		step->before = *before;
}

static void release(struct sl_admission *admission, struct entry *entry)
{
	take_out(admission, entry);
	entry->in_use = false;
	if (admission->open)
		note(admission, STEP_GONE, entry, &entry->request);
	else
		TAILQ_INSERT_TAIL(&admission->free, entry, by_age);
}

void sl_admission_begin(struct sl_admission *admission)
{
	admission->open = true;
}

size_t sl_admission_mark(const struct sl_admission *admission)
{
	return admission->steps;
}

void sl_admission_rewind(struct sl_admission *admission, size_t mark)
{
	while (admission->steps > mark) {
		const struct step *step = &admission->step[--admission->steps];
		struct entry *entry = &admission->entry[step->slot];

		if (step->kind != STEP_GONE)
			take_out(admission, entry);
		if (step->kind == STEP_ADDED) {
			entry->in_use = false;
			TAILQ_INSERT_TAIL(&admission->free, entry, by_age);
		} else {
			entry->in_use = true;
			put(admission, entry, &step->before);
		}
	}
}

void sl_admission_end(struct sl_admission *admission)
{
	for (size_t i = 0; i < admission->steps; i++)
		if (admission->step[i].kind == STEP_GONE)
			TAILQ_INSERT_TAIL(&admission->free, &admission->entry[admission->step[i].slot],
					  by_age);
	admission->steps = 0;
	admission->open = false;
}

/* --- slots ---------------------------------------------------------------------- */

static struct entry *take_slot(struct sl_admission *admission)
{
	struct entry *entry = TAILQ_FIRST(&admission->free);

	TAILQ_REMOVE(&admission->free, entry, by_age);
	entry->in_use = true;
	entry->order = admission->accepted++;
	return entry;
}

static struct entry *find(struct sl_admission *admission, uint32_t slot)
{
	return slot < admission->size && admission->entry[slot].in_use ? &admission->entry[slot] : NULL;
}

/* --- the decision ----------------------------------------------------------- */

/* What is missing for a request: on the link, and on its APN. */
struct lack {
	uint64_t link[SLUICE_DIRECTIONS];
	uint64_t apn[SLUICE_DIRECTIONS];
};

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* A direction in which nothing is asked for lacks nothing, however crowded it is. */
static void lack_on(const struct sl_admission_load *load, const uint64_t gbr[SLUICE_DIRECTIONS],
		    uint64_t lack[SLUICE_DIRECTIONS])
{
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++)
		lack[direction] = gbr[direction] ? less(load->reserved[direction] + gbr[direction],
							load->capacity[direction])
						 : 0;
}

static struct lack lack_of(const struct sl_admission *admission, const struct sl_admission_request *request)
{
	struct lack lack = {0};

	lack_on(&admission->resource[LINK], request->gbr, lack.link);
	if (request->apn != SL_ADMISSION_LINK)
		lack_on(&admission->resource[request->apn], request->gbr, lack.apn);
	return lack;
}

static bool is_short(const struct lack *lack)
{
	return lack->link[SLUICE_UPLINK] || lack->link[SLUICE_DOWNLINK] || lack->apn[SLUICE_UPLINK] ||
	       lack->apn[SLUICE_DOWNLINK];
}

/* Takes off what this rule would free; false: nothing of what is missing. */
static bool relieve(struct lack *lack, const struct sl_admission_request *victim, uint32_t apn)
{
	bool helps = false;

	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		bool same_apn = apn != SL_ADMISSION_LINK && victim->apn == apn;

		if (!victim->gbr[direction])
			continue;
		helps = helps || lack->link[direction] || (same_apn && lack->apn[direction]);
		lack->link[direction] = less(lack->link[direction], victim->gbr[direction]);
		if (same_apn)
			lack->apn[direction] = less(lack->apn[direction], victim->gbr[direction]);
	}
	return helps;
}

/* Who would give way; false: too few. */
static bool find_victims(struct sl_admission *admission, const struct sl_admission_request *request,
			 struct lack lack, uint32_t *victims)
{
	*victims = 0;
	if (!request->may_preempt)
		return false;
	for (int level = SL_ADMISSION_LEVELS; level > request->level; level--) {
		struct entry *entry;

		TAILQ_FOREACH_REVERSE(entry, &admission->level[level], entries, by_age)
		{
			if (!entry->request.may_be_preempted ||
			    !relieve(&lack, &entry->request, request->apn))
				continue;
			admission->victim[(*victims)++] = (struct sl_admission_victim){
				.slot = slot_of(admission, entry), .owner = entry->request.owner};
			if (!is_short(&lack))
				return true;
		}
	}
	return false;
}

static void refuse(const struct sl_admission_request *request, const struct lack *lack,
		   struct sl_admission_answer *answer)
{
	*answer = (struct sl_admission_answer){.verdict = SL_ADMISSION_REFUSED};
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		if (lack->link[direction]) {
			answer->short_apn = SL_ADMISSION_LINK;
			answer->short_direction = (enum sluice_direction)direction;
			answer->short_by = lack->link[direction];
			return;
		}
	}
	answer->short_apn = request->apn;
	answer->short_direction = lack->apn[SLUICE_UPLINK] ? SLUICE_UPLINK : SLUICE_DOWNLINK;
	answer->short_by = lack->apn[answer->short_direction];
}

/* Less or the same of the same: never refused, even where a capacity has shrunk below what is reserved. */
static bool asks_for_no_more(const struct sl_admission_request *request,
			     const struct sl_admission_request *present)
{
	return request->apn == present->apn && request->gbr[SLUICE_UPLINK] <= present->gbr[SLUICE_UPLINK] &&
	       request->gbr[SLUICE_DOWNLINK] <= present->gbr[SLUICE_DOWNLINK];
}

/*
 * Makes room, or writes the refusal; what the request itself had is given back
 * already. One step more is reserved, for the request.
 */
static int make_room(struct sl_admission *admission, const struct sl_admission_request *request,
		     struct sl_admission_answer *answer, struct sl_error *err)
{
	struct lack lack = lack_of(admission, request);
	uint32_t victims = 0;
	int rc;

	if (is_short(&lack) && !find_victims(admission, request, lack, &victims)) {
		refuse(request, &lack, answer);
		return 0;
	}
	rc = reserve_steps(admission, (size_t)victims + 1, err);
	if (rc)
		return rc;
	for (uint32_t i = 0; i < victims; i++)
		release(admission, &admission->entry[admission->victim[i].slot]);
	*answer = (struct sl_admission_answer){
		.verdict = SL_ADMISSION_ACCEPTED, .victim = admission->victim, .victims = victims};
	return 0;
}

static int check_room(const struct sl_admission *admission, struct sl_error *err)
{
	if (TAILQ_EMPTY(&admission->free))
		return sl_error(err, ENOSPC, "rules with a GBR: %" PRIu32 " are in force, which is the bound",
				admission->size);
	return 0;
}

int sl_admission_admit(struct sl_admission *admission, const struct sl_admission_request *request,
		       struct sl_admission_answer *answer, struct sl_error *err)
{
	struct entry *entry;
	int rc = check(request, err);

	if (!rc)
		rc = check_room(admission, err);
	if (rc)
		return rc;
	rc = make_room(admission, request, answer, err);
	if (rc || answer->verdict == SL_ADMISSION_REFUSED)
		return rc;
	entry = take_slot(admission);
	put(admission, entry, request);
	note(admission, STEP_ADDED, entry, NULL);
	answer->slot = slot_of(admission, entry);
	return 0;
}

int sl_admission_restore(struct sl_admission *admission, const struct sl_admission_request *request,
			 uint32_t *slot, struct sl_error *err)
{
	struct entry *entry;
	int rc = check(request, err);

	if (!rc)
		rc = check_room(admission, err);
	if (!rc)
		rc = reserve_steps(admission, 1, err);
	if (rc)
		return rc;
	entry = take_slot(admission);
	put(admission, entry, request);
	note(admission, STEP_ADDED, entry, NULL);
	*slot = slot_of(admission, entry);
	return 0;
}

int sl_admission_change(struct sl_admission *admission, uint32_t slot,
			const struct sl_admission_request *request, struct sl_admission_answer *answer,
			struct sl_error *err)
{
	struct entry *entry = find(admission, slot);
	struct sl_admission_request present;
	int rc = check(request, err);

	if (rc)
		return rc;
	if (!entry)
		return sl_error(err, ENOENT, "slot %" PRIu32 ": no rule with a GBR is there", slot);
	present = entry->request;
	take_out(admission, entry);
	if (asks_for_no_more(request, &present)) {
		*answer = (struct sl_admission_answer){.verdict = SL_ADMISSION_ACCEPTED};
		rc = reserve_steps(admission, 1, err);
	} else {
		rc = make_room(admission, request, answer, err);
	}
	if (rc || answer->verdict == SL_ADMISSION_REFUSED) {
		put(admission, entry, &present);
		return rc;
	}
	put(admission, entry, request);
	note(admission, STEP_CHANGED, entry, &present);
	answer->slot = slot;
	return 0;
}

int sl_admission_remove(struct sl_admission *admission, uint32_t slot)
{
	struct entry *entry = find(admission, slot);

	if (!entry)
		return -ENOENT;
	if (reserve_steps(admission, 1, NULL) < 0)
		return -ENOMEM;
	release(admission, entry);
	return 0;
}
