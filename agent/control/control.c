// SPDX-License-Identifier: Apache-2.0
#include "control/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "control/model.h"

uint64_t sl_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static void run_deferred(void *owner, uint32_t kind, uint32_t first, uint32_t count)
{
	struct sl_control *control = owner;

	switch (kind) {
	case SL_SLOT_UPLINK_CLASS:
		sl_qos_release(control->config.qos, SLUICE_UPLINK, (uint16_t)first);
		break;
	case SL_SLOT_DOWNLINK_CLASS:
		sl_qos_release(control->config.qos, SLUICE_DOWNLINK, (uint16_t)first);
		break;
	case SL_SLOT_USAGE_FINAL:
		sl_usage_finalise(control, first, count);
		break;
	case SL_SLOT_POLICY:
		/* a freed slot reads as empty in a dump */
		memset(&control->maps->policies[first], 0, sizeof(struct sluice_policy));
		sl_slots_release(&control->slots, SL_SLOT_POLICY, first, count);
		break;
	default:
		sl_slots_release(&control->slots, (enum sl_slot_kind)kind, first, count);
	}
}

void sl_control_defer(struct sl_control *control, enum sl_slot_kind kind, uint32_t first, uint32_t count)
{
	struct sl_grace_item item = {
		.run = run_deferred,
		.owner = control,
		.kind = kind,
		.first = first,
		.count = count,
	};

	/* out of memory: the slot stays taken until the next start, which is safe */
	if (sl_grace_defer(control->config.grace, &item) < 0)
		sl_log(SL_LOG_ERROR, "slot-leaked", "kind", "%u", (unsigned int)kind, "first", "%u", first,
		       NULL);
}

static void tell(struct sl_control *control, struct sl_control_event event, const struct sl_session *session)
{
	event.imsi = session->imsi;
	event.address = &session->address;
	event.rules = session->install_count;
	if (control->config.on_event)
		control->config.on_event(&event, control->config.user);
}

void sl_control_emit(struct sl_control *control, enum sl_control_event_type type,
		     const struct sl_session *session, const char *reason)
{
	tell(control, (struct sl_control_event){.type = type, .reason = reason}, session);
}

void sl_control_emit_rule(struct sl_control *control, enum sl_control_event_type type,
			  const struct sl_session *session, const char *rule_id, uint32_t version,
			  const char *reason)
{
	tell(control,
	     (struct sl_control_event){
		     .type = type, .rule_id = rule_id, .version = version, .reason = reason},
	     session);
}

int sl_control_new(const struct sl_control_config *config, bool adopt, struct sl_control **out,
		   struct sl_error *err)
{
	struct sl_control *control = calloc(1, sizeof(*control));
	int rc = -ENOMEM;

	if (!control)
		return sl_error(err, ENOMEM, "out of memory");
	control->config = *config;
	control->maps = sl_datapath_maps(config->datapath);
	control->by_slot = calloc(control->maps->size.sessions, sizeof(struct sl_session *));
	if (control->by_slot)
		rc = sl_slots_init(&control->slots, control->maps);
	if (rc == 0)
		rc = sl_rule_table_new(&control->rules);
	if (rc < 0)
		sl_error(err, -rc, "out of memory");
	if (rc == 0 && adopt)
		rc = sl_control_adopt(control, err);
	if (rc < 0) {
		sl_control_free(control);
		return rc;
	}
	*out = control;
	return 0;
}

static void free_rulesets(struct sl_control *control)
{
	struct sl_ruleset *head, *tmp, *next;

	HASH_ITER (hh, control->rulesets, head, tmp) {
		HASH_DELETE(hh, control->rulesets, head);
		for (; head; head = next) {
			next = head->next;
			sl_ruleset_image_clear(&head->image);
			free(head);
		}
	}
}

/* Memory only: the maps are what the next start reads. */
void sl_control_free(struct sl_control *control)
{
	struct sl_subscriber *subscriber, *next_subscriber;
	struct sl_session *session, *next;

	if (!control)
		return;
	sl_grace_drain(control->config.grace);
	HASH_CLEAR(hh, control->by_key);
	DL_FOREACH_SAFE(control->all, session, next)
	{
		free(session->installs);
		free(session->retired);
		free(session);
	}
	HASH_ITER (hh, control->subscribers, subscriber, next_subscriber) {
		HASH_DEL(control->subscribers, subscriber);
		free(subscriber);
	}
	free_rulesets(control);
	sl_rule_table_free(control->rules);
	sl_slots_clear(&control->slots);
	sl_deadlines_clear(control);
	free(control->by_slot);
	free(control);
}

/* --- views -------------------------------------------------------------------- */

static int visit_session(struct sl_control *control, const struct sl_session *session,
			 int (*visit)(const struct sl_session_view *view, void *user), void *user)
{
	struct sl_session_view view = {
		.slot = session->slot,
		.imsi = session->imsi,
		.address = session->address,
		.record = &control->maps->sessions[session->slot],
		.installs = session->installs,
		.install_count = session->install_count,
		.active = session->active,
	};

	if (session->default_usage != SLUICE_NONE)
		view.default_usage = sl_control_read_usage(control, session->default_usage);
	return visit(&view, user);
}

int sl_control_each_session(struct sl_control *control, const char *imsi, uint32_t from_slot,
			    int (*visit)(const struct sl_session_view *view, void *user), void *user)
{
	int rc = 0;

	if (imsi) {
		struct sl_subscriber *subscriber = sl_subscriber_find(control, imsi);
		struct sl_session *session = subscriber ? subscriber->sessions : NULL;

		for (; session && rc == 0; session = session->imsi_next)
			rc = visit_session(control, session, visit, user);
		return rc;
	}
	for (uint32_t slot = from_slot; slot < control->maps->size.sessions && rc == 0; slot++)
		if (control->by_slot[slot])
			rc = visit_session(control, control->by_slot[slot], visit, user);
	return rc;
}

void sl_control_each_rule(struct sl_control *control, void (*visit)(struct sl_rule *rule, void *user),
			  void *user)
{
	sl_rule_table_each(control->rules, visit, user);
}

uint32_t sl_control_rule_count(const struct sl_control *control)
{
	return sl_rule_table_count(control->rules);
}

size_t sl_control_fill(const struct sl_control *control, struct sl_fill *out, size_t max)
{
	size_t n = 0;

	for (int kind = 0; kind < SL_SLOT_KINDS && n < max; kind++) {
		const struct sl_idpool *pool = control->slots.pool[kind];

		out[n++] = (struct sl_fill){sl_slot_names[kind], sl_idpool_used(pool), sl_idpool_size(pool)};
	}
	return n;
}

uint32_t sl_control_known_sessions(const struct sl_control *control)
{
	return control->active;
}

uint32_t sl_control_enforced_sessions(struct sl_control *control)
{
	return sl_endpoint_count(control->config.datapath, 4) +
	       sl_endpoint_count(control->config.datapath, 6);
}
