// SPDX-License-Identifier: Apache-2.0
/*
 * Hard timeouts. BPF judges them packet by packet; here a rule that is over is
 * only taken out of its session, so that its usage becomes final. A binary heap
 * by deadline; an entry whose rule has changed since is dropped when it comes up.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "control/guarantees.h"
#include "control/quotas.h"

#define RETRY_FIRST_NS 1000000000ull
#define RETRY_DOUBLES  8 /* up to about four minutes */

static void swap(struct sl_deadline *a, struct sl_deadline *b)
{
	struct sl_deadline keep = *a;

	*a = *b;
	*b = keep;
}

static bool is_current(const struct sl_control *control, const struct sl_deadline *deadline)
{
	const struct sl_session *session = control->by_slot[deadline->session];

	for (uint32_t i = 0; session && session->active && i < session->install_count; i++) {
		const struct sluice_binding *binding = &session->installs[i].binding;

		if (binding->usage == deadline->usage && binding->deadline_ns == deadline->deadline_ns)
			return true;
	}
	return false;
}

static void insert(struct sl_deadlines *deadlines, struct sl_deadline deadline)
{
	size_t at = deadlines->count++;

	deadlines->heap[at] = deadline;
	for (; at > 0 && deadlines->heap[at].when_ns < deadlines->heap[(at - 1) / 2].when_ns;
	     at = (at - 1) / 2)
		swap(&deadlines->heap[at], &deadlines->heap[(at - 1) / 2]);
}

/* Rules come and go long before their deadlines: what is out of date leaves when room is short. */
static void forget_stale(struct sl_control *control)
{
	struct sl_deadlines *deadlines = &control->deadlines;
	size_t count = deadlines->count;

	deadlines->count = 0;
	for (size_t i = 0; i < count; i++) {
		struct sl_deadline deadline = deadlines->heap[i];

		if (is_current(control, &deadline))
			insert(deadlines, deadline);
	}
}

void sl_deadline_note(struct sl_control *control, const struct sl_session *session,
		      const struct sl_install *install)
{
	struct sl_deadlines *deadlines = &control->deadlines;
	bool cleared = deadlines->count == deadlines->capacity;

	if (cleared)
		forget_stale(control);
	/* a quarter stays free after clearing out, so that it is not done at every turn */
	if (cleared && deadlines->count >= deadlines->capacity / 4 * 3) {
		size_t capacity = deadlines->capacity ? 2 * deadlines->capacity : 64;
		struct sl_deadline *grown = reallocarray(deadlines->heap, capacity, sizeof(*grown));

		/* the rule ends all the same; only its event and its final usage wait for the next change */
		if (!grown) {
			sl_log(SL_LOG_ERROR, "deadline-forgotten", "reason", "%s", "out of memory", NULL);
			return;
		}
		deadlines->heap = grown;
		deadlines->capacity = capacity;
	}
	insert(deadlines, (struct sl_deadline){.when_ns = install->binding.deadline_ns,
					       .deadline_ns = install->binding.deadline_ns,
					       .session = session->slot,
					       .usage = install->binding.usage});
}

static struct sl_deadline pop(struct sl_deadlines *deadlines)
{
	struct sl_deadline *heap = deadlines->heap;
	struct sl_deadline first = heap[0];
	size_t at = 0, child;

	heap[0] = heap[--deadlines->count];
	while ((child = 2 * at + 1) < deadlines->count) {
		if (child + 1 < deadlines->count && heap[child + 1].when_ns < heap[child].when_ns)
			child++;
		if (heap[at].when_ns <= heap[child].when_ns)
			break;
		swap(&heap[at], &heap[child]);
		at = child;
	}
	return first;
}

void sl_deadlines_note(struct sl_control *control, const struct sl_session *session)
{
	for (uint32_t i = 0; i < session->install_count; i++)
		if (session->installs[i].binding.deadline_ns)
			sl_deadline_note(control, session, &session->installs[i]);
}

void sl_deadlines_clear(struct sl_control *control)
{
	free(control->deadlines.heap);
	control->deadlines = (struct sl_deadlines){0};
}

static bool is_over(const struct sl_install *install, const void *user)
{
	const uint64_t *now = user;

	return install->binding.deadline_ns && install->binding.deadline_ns <= *now;
}

/* The rules that are over, a reference of each. */
static size_t rules_over(const struct sl_session *session, uint64_t now, struct sl_install *out)
{
	size_t count = 0;

	for (uint32_t i = 0; i < session->install_count; i++) {
		if (!is_over(&session->installs[i], &now))
			continue;
		out[count] = session->installs[i];
		sl_rule_ref(out[count++].rule);
	}
	return count;
}

static int expire_session(struct sl_control *control, struct sl_session *session, uint64_t now)
{
	_cleanup_free_ struct sl_install *over = calloc(session->install_count, sizeof(*over));
	struct sl_update update = {.removes = is_over, .user = &now};
	struct sl_error err = {{0}};
	size_t count;
	int rc;

	if (!over)
		return -ENOMEM;
	count = rules_over(session, now, over);
	rc = sl_update_session(control, session, &update, &err);
	if (rc < 0)
		sl_log(SL_LOG_ERROR, "expiry-failed", "imsi", "%s", session->imsi, "reason", "%s", err.text,
		       NULL);
	for (size_t i = 0; i < count; i++) {
		if (rc == 0)
			sl_control_emit_rule(control, SL_EVENT_RULE_EXPIRED, session, over[i].rule->id,
					     over[i].version, NULL);
		sl_rule_record_put(control, over[i].rule);
	}
	return rc;
}

/* It matches nothing all the same: there is no hurry. Its place in the heap is free: a failure notes nothing.
 */
static void put_off(struct sl_deadlines *deadlines, struct sl_deadline deadline, uint64_t now)
{
	uint64_t wait = RETRY_FIRST_NS;

	for (uint32_t i = 0; i < deadline.failures && i < RETRY_DOUBLES; i++)
		wait *= 2;
	deadline.failures++;
	deadline.when_ns = now + wait;
	insert(deadlines, deadline);
}

void sl_control_expire(struct sl_control *control)
{
	struct sl_deadlines *deadlines = &control->deadlines;
	uint64_t now = sl_now_ns();

	while (deadlines->count && deadlines->heap[0].when_ns <= now) {
		struct sl_deadline due = pop(deadlines);

		if (is_current(control, &due) &&
		    expire_session(control, control->by_slot[due.session], now) < 0)
			put_off(deadlines, due, now);
	}
	sl_guarantees_collect(control);
	sl_load_step(control);
	sl_quotas_step(control);
}
