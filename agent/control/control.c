// SPDX-License-Identifier: Apache-2.0
/* The beginning and the end of the model. */
#include "control/control.h"

#include <errno.h>
#include <stdlib.h>

#include "control/guarantees.h"

int sl_control_open(struct sl_control *control, struct sl_error *err)
{
	int rc = sl_apns_open(control, err);

	if (rc == 0)
		rc = sl_meters_open(control, err);
	if (rc == 0)
		rc = sl_guarantees_open(control, err);
	return rc == 0 ? sl_load_open(control, err) : rc;
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
	control->audit.settings = *control->maps->settings;
	control->by_slot = calloc(control->maps->size.sessions, sizeof(struct sl_session *));
	control->meter_users = calloc(control->maps->size.meters, sizeof(*control->meter_users));
	control->quota_users = calloc(control->maps->size.quotas, sizeof(*control->quota_users));
	if (control->by_slot && control->meter_users && control->quota_users)
		rc = sl_slots_init(&control->slots, control->maps);
	if (rc == 0)
		rc = sl_rule_table_new(&control->rules);
	if (rc < 0)
		sl_error(err, -rc, "out of memory");
	if (rc == 0)
		rc = adopt ? sl_control_adopt(control, err) : sl_control_open(control, err);
	if (rc < 0) {
		sl_control_free(control);
		return rc;
	}
	sl_totals_begin(control);
	*out = control;
	return 0;
}

static void free_rulesets(struct sl_control *control)
{
	struct sl_ruleset *head, *tmp, *next;

	HASH_CLEAR(by_source, control->sources);
	HASH_ITER (hh, control->rulesets, head, tmp) {
		HASH_DELETE(hh, control->rulesets, head);
		for (; head; head = next) {
			next = head->next;
			sl_ruleset_image_clear(&head->image);
			sl_source_clear(&head->source);
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
		free(session->quotas);
		free(session);
	}
	HASH_ITER (hh, control->subscribers, subscriber, next_subscriber) {
		HASH_DEL(control->subscribers, subscriber);
		free(subscriber);
	}
	free_rulesets(control);
	sl_rule_table_free(control->rules);
	sl_profiles_clear(control);
	sl_slots_clear(&control->slots);
	sl_deadlines_clear(control);
	sl_guarantees_close(control);
	free(control->load);
	free(control->meter_users);
	free(control->quota_users);
	free(control->by_slot);
	free(control);
}
