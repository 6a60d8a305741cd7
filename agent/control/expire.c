// SPDX-License-Identifier: Apache-2.0
/*
 * Hard timeouts. BPF judges them packet by packet; here a rule that is over is
 * only taken out of its session, so that its usage becomes final. A binary heap
 * by deadline; an entry whose rule has changed since is dropped when it comes up.
 */
#include <stdlib.h>

#include "base/log.h"
#include "control/model.h"

static void swap(struct sl_deadline *a, struct sl_deadline *b)
{
	struct sl_deadline keep = *a;

	*a = *b;
	*b = keep;
}

static void push(struct sl_deadlines *deadlines, struct sl_deadline deadline)
{
	size_t at = deadlines->count;

	if (at == deadlines->capacity) {
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
	deadlines->heap[deadlines->count++] = deadline;
	for (; at > 0 && deadlines->heap[at].when_ns < deadlines->heap[(at - 1) / 2].when_ns;
	     at = (at - 1) / 2)
		swap(&deadlines->heap[at], &deadlines->heap[(at - 1) / 2]);
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
	for (uint32_t i = 0; i < session->install_count; i++) {
		const struct sluice_binding *binding = &session->installs[i].binding;

		if (binding->deadline_ns)
			push(&control->deadlines,
			     (struct sl_deadline){binding->deadline_ns, session->slot, binding->usage});
	}
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

static void expire_session(struct sl_control *control, struct sl_session *session, uint64_t now)
{
	struct sl_update update = {.removes = is_over, .user = &now};
	struct sl_error err = {{0}};

	for (uint32_t i = 0; i < session->install_count; i++)
		if (is_over(&session->installs[i], &now))
			sl_control_emit_rule(control, SL_EVENT_RULE_EXPIRED, session,
					     session->installs[i].rule->id, session->installs[i].version,
					     NULL);
	if (sl_update_session(control, session, &update, &err) < 0) {
		sl_log(SL_LOG_ERROR, "expiry-failed", "imsi", "%s", session->imsi, "reason", "%s", err.text,
		       NULL);
		sl_deadlines_note(control, session);
	}
}

void sl_control_expire(struct sl_control *control)
{
	struct sl_deadlines *deadlines = &control->deadlines;
	size_t most = deadlines->count; /* what is put back waits for the next call */
	uint64_t now = sl_now_ns();

	while (most-- > 0 && deadlines->count && deadlines->heap[0].when_ns <= now) {
		struct sl_deadline due = pop(deadlines);
		struct sl_session *session = control->by_slot[due.session];
		bool current = false;

		for (uint32_t i = 0; session && session->active && i < session->install_count; i++)
			current = current || (session->installs[i].binding.usage == due.usage &&
					      is_over(&session->installs[i], &now));
		if (current)
			expire_session(control, session, now);
	}
}
