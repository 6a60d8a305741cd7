// SPDX-License-Identifier: Apache-2.0
/* QoS profiles that rules in force have and the catalogue does not any more: said once, until they are back.
 */
#include "base/cleanup.h"
#include "base/log.h"
#include "desired/model.h"

struct look {
	const struct sl_desired *desired;
	struct sl_names missing; /* all of them */
	struct sl_names gone;	 /* those that were not missing before */
	uint32_t sessions;	 /* of these, those of several once for each */
};

static void look_at(const struct sl_profile_view *view, void *user)
{
	struct look *look = user;

	if (sl_catalog_profile(look->desired->catalog, view->name))
		return;
	sl_names_add(&look->missing, view->name);
	if (sl_names_has(&look->desired->profiles_missing, view->name))
		return;
	sl_names_add(&look->gone, view->name);
	look->sessions += view->sessions;
}

void sl_profiles_missing_update(struct sl_desired *desired)
{
	struct look look = {.desired = desired};
	char text[SL_NAMES_TEXT];

	sl_control_each_profile(desired->config.control, look_at, &look);
	if (sl_names_count(&look.gone))
		sl_log(SL_LOG_WARNING, "profiles-missing", "names", "%s", sl_names_text(&look.gone, text),
		       "sessions", "%u", look.sessions, "reason", "%s",
		       "the policy directory does not have them any more; rules in force keep what they have",
		       NULL);
	sl_names_clear(&look.gone);
	sl_names_clear(&desired->profiles_missing);
	desired->profiles_missing = look.missing;
}
