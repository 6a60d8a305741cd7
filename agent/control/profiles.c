// SPDX-License-Identifier: Apache-2.0
/* Rules with a QoS profile: its values when they are taken into force, and how many sessions have each. */
#include "policy/profile.h"

#include <errno.h>
#include <string.h>

#include "control/model.h"

/* --- values ------------------------------------------------------------------------ */

int sl_profile_fill(const struct sl_control *control, const struct sl_rule *present, struct sl_rule *rule,
		    struct sl_error *err)
{
	const struct sl_control_config *config = &control->config;
	const struct sl_profile *profile;
	struct sl_profile kept;

	if (!rule->profile[0])
		return 0;
	profile = config->profile ? config->profile(rule->profile, config->user) : NULL;
	if (profile) {
		sl_profile_apply(profile, rule);
		return 0;
	}
	if (!present || strcmp(present->profile, rule->profile) != 0)
		return sl_error(err, ENOENT, "qos_profile: \"%s\" is no QoS profile of the policy directory",
				rule->profile);
	sl_profile_of(present, &kept);
	sl_profile_apply(&kept, rule);
	return 0;
}

/* --- who has it ---------------------------------------------------------------------- */

int sl_profile_use_get(struct sl_control *control, struct sl_rule *rule)
{
	struct sl_profile_use *use;

	if (!rule->profile[0])
		return 0;
	HASH_FIND_STR(control->profiles, rule->profile, use);
	if (!use) {
		use = calloc(1, sizeof(*use));
		if (!use)
			return -ENOMEM;
		memcpy(use->name, rule->profile, sizeof(use->name));
		HASH_ADD_STR(control->profiles, name, use);
	}
	use->references++;
	rule->profile_use = use;
	return 0;
}

void sl_profile_use_put(struct sl_control *control, struct sl_rule *rule)
{
	struct sl_profile_use *use = rule->profile_use;

	rule->profile_use = NULL;
	if (!use || --use->references > 0)
		return;
	HASH_DEL(control->profiles, use);
	free(use);
}

void sl_profiles_clear(struct sl_control *control)
{
	struct sl_profile_use *use, *tmp;

	HASH_ITER (hh, control->profiles, use, tmp) {
		HASH_DEL(control->profiles, use);
		free(use);
	}
}

/* One meter is enough: what is above is dropped there. Beside a queue it only tells what is guaranteed. */
static enum sl_profile_kept kept_by(const struct sl_install *install)
{
	const uint16_t class[] = {[SLUICE_UPLINK] = install->binding.uplink_class,
				  [SLUICE_DOWNLINK] = install->binding.downlink_class};
	enum sl_profile_kept kept = SL_PROFILE_FREE;

	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		const struct sl_rule *rule = install->rule;

		if (install->meter[direction] && rule->mbr[direction] &&
		    !(class[direction] && rule->gbr[direction]))
			return SL_PROFILE_POLICED;
		if (class[direction] && (rule->mbr[direction] || rule->gbr[direction]))
			kept = SL_PROFILE_SHAPED;
	}
	return kept;
}

static void count_rule(const struct sl_install *install, bool more)
{
	struct sl_profile_use *use = install->rule->profile_use;
	const enum sl_profile_kept kept = kept_by(install);

	if (more && install->rule->in_force++ == 0)
		use->rules++;
	else if (!more && --install->rule->in_force == 0)
		use->rules--;
	use->is_of_session = true;
	if (kept > use->of_session)
		use->of_session = kept;
}

/* Once a profile, whatever the number of the session's rules that have it. */
static void count_session(struct sl_profile_use *use, bool more)
{
	if (!use->is_of_session)
		return;
	use->sessions[use->of_session] += more ? 1 : (uint32_t)-1;
	use->is_of_session = false;
	use->of_session = SL_PROFILE_FREE;
}

void sl_profiles_count(const struct sl_session *session, bool more)
{
	for (uint32_t i = 0; i < session->install_count; i++)
		if (session->installs[i].rule->profile_use)
			count_rule(&session->installs[i], more);
	for (uint32_t i = 0; i < session->install_count; i++)
		if (session->installs[i].rule->profile_use)
			count_session(session->installs[i].rule->profile_use, more);
}

/* --- views ----------------------------------------------------------------------------- */

static void look_at(struct sl_rule *rule, void *user)
{
	const struct sl_control *control = user;
	const struct sl_control_config *config = &control->config;
	struct sl_profile_use *use = rule->profile_use;
	const struct sl_profile *profile;

	if (!use || !rule->in_force)
		return;
	profile = config->profile ? config->profile(rule->profile, config->user) : NULL;
	use->shown.missing = !profile;
	use->shown.rule = rule;
	use->shown.behind += profile && !sl_profile_holds(profile, rule);
}

void sl_control_each_profile(struct sl_control *control,
			     void (*visit)(const struct sl_profile_view *view, void *user), void *user)
{
	struct sl_profile_use *use, *tmp;

	if (!control->profiles)
		return;
	HASH_ITER (hh, control->profiles, use, tmp)
		use->shown = (struct sl_profile_view){
			.name = use->name,
			.rules = use->rules,
			.sessions = use->sessions[SL_PROFILE_FREE] + use->sessions[SL_PROFILE_SHAPED] +
				    use->sessions[SL_PROFILE_POLICED],
			.shaped = use->sessions[SL_PROFILE_SHAPED],
			.policed = use->sessions[SL_PROFILE_POLICED],
		};
	sl_rule_table_each(control->rules, look_at, control);
	HASH_ITER (hh, control->profiles, use, tmp)
		if (use->rules)
			visit(&use->shown, user);
}
