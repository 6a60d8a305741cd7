// SPDX-License-Identifier: Apache-2.0
#include "ids/document.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "catalog/rule_document.h"
#include "ids/document_parts.h"
#include "ids/names.h"
#include "qos/meter.h"

#define POLICE_MTU 1500

static const char *const rule_keys[] = {"name",	     "match",	   "track",    "count",	      "limit",
					"verdict",   "quarantine", "redirect", "police",      "mirror",
					"block",     "repeat",	   "escalate", "clear",	      "log",
					"exempt",    "evidence",   "engine",   "interval",    "mode",
					"when_full", "severity",   "class",    "subscribers", NULL};

/* --- names ------------------------------------------------------------------------- */

static int read_name(struct sl_yaml_node node, struct sl_ids_rule *rule, struct sl_error *err)
{
	int rc = sl_yaml_text(node, rule->name, sizeof(rule->name), err);

	if (rc < 0)
		return rc;
	/* a key of metrics, of syslog and of command lines */
	for (const char *at = rule->name; *at; at++)
		if (!isalnum((unsigned char)*at) && !strchr("-_.", *at))
			return sl_yaml_error(
				node, err,
				"bad value \"%s\"; allowed: letters, digits, \"-\", \"_\" and \".\"",
				rule->name);
	if (strcmp(rule->name, SL_IDS_RESERVED_NAME) == 0)
		return sl_yaml_error(node, err, "\"%s\" is the name of blocks without a rule", rule->name);
	return 0;
}

static int read_class(struct sl_yaml_node node, struct sl_ids_rule *rule, struct sl_error *err)
{
	int rc;

	snprintf(rule->category, sizeof(rule->category), "misc-activity");
	rc = sl_yaml_text(node, rule->category, sizeof(rule->category), err);
	for (const char *at = rule->category; rc == 0 && *at; at++)
		if (!isalnum((unsigned char)*at) && !strchr("-_. ", *at))
			return sl_yaml_error(
				node, err,
				"bad value \"%s\"; allowed: letters, digits, spaces, \"-\", \"_\" and "
				"\".\"",
				rule->category);
	return rc;
}

/* --- verdict ----------------------------------------------------------------------- */

static int read_quarantine(struct sl_yaml_node node, struct sl_ids_rule *rule, struct sl_error *err)
{
	size_t count;
	int rc;

	rc = sl_yaml_sequence(node, SL_IDS_QUARANTINE, &count, err);
	if (rc == 0 && count == 0)
		return sl_yaml_error(node, err, "an empty list; allowed: 1 to %d rules or base names",
				     SL_IDS_QUARANTINE);
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = sl_yaml_text(sl_yaml_item(node, i), rule->quarantine[i], sizeof(rule->quarantine[i]),
				  err);
	rule->quarantine_count = rc < 0 ? 0 : (uint32_t)count;
	return rc;
}

static int read_redirect(struct sl_yaml_node node, struct sl_ids_rule *rule, struct sl_error *err)
{
	struct sl_rule other = {.redirect = SLUICE_REDIRECT_NONE};
	int rc = sl_redirect_document_read(node, &other, err);

	if (rc < 0)
		return rc;
	rule->redirect_type = other.redirect;
	snprintf(rule->redirect, sizeof(rule->redirect), "%s", other.redirect_address);
	return 0;
}

static int read_police(struct sl_yaml_node node, struct sl_ids_rule *rule, struct sl_error *err)
{
	uint64_t word = 0;
	int rc = sl_yaml_rate(node, SLUICE_METER_RATE_MIN, SLUICE_METER_RATE_MAX, &rule->police, err);

	if (rc < 0)
		return rc;
	rc = sl_meter_rate(rule->police, SL_METER_TOLERANCE_NS, POLICE_MTU, &word, err);
	rule->image.police = word;
	return rc;
}

static int read_mirror(struct sl_yaml_node node, struct sl_ids_rule *rule, struct sl_error *err)
{
	return sl_yaml_text(node, rule->mirror, sizeof(rule->mirror), err);
}

/* Each of these goes with the verdict of its name, and only with that. */
static const struct {
	enum sluice_ids_verdict verdict;
	const char *key;
	int (*read)(struct sl_yaml_node node, struct sl_ids_rule *rule, struct sl_error *err);
} arguments[] = {
	{SLUICE_IDS_QUARANTINE, "quarantine", read_quarantine},
	{SLUICE_IDS_REDIRECT, "redirect", read_redirect},
	{SLUICE_IDS_POLICE, "police", read_police},
	{SLUICE_IDS_MIRROR, "mirror", read_mirror},
};

static int check_ewma(struct sl_yaml_node node, const struct sl_ids_rule *rule, struct sl_error *err)
{
	const struct sluice_ids_rule *image = &rule->image;

	if (image->verdict == SLUICE_IDS_ALERT || image->verdict == SLUICE_IDS_NOTIFY)
		return 0;
	for (uint32_t i = 0; i < image->limit_count; i++)
		if (image->limit[i].kind == SLUICE_IDS_EWMA)
			return sl_yaml_error(
				sl_yaml_get(node, "verdict"), err,
				"%s with a limit of kind ewma, which bounds nothing; allowed: alert, "
				"notify",
				sl_ids_verdict_name(image->verdict));
	return 0;
}

int sl_ids_read_verdict(struct sl_yaml_node node, struct sl_ids_rule *rule, struct sl_error *err)
{
	struct sl_yaml_node verdict = sl_yaml_get(node, "verdict");
	unsigned int choice = 0;
	int rc;

	rc = sl_yaml_choice(verdict, sl_ids_verdicts, &choice, err);
	if (rc < 0)
		return rc;
	rule->image.verdict = (uint8_t)(choice + 1);
	for (size_t i = 0; i < SL_ARRAY_SIZE(arguments); i++) {
		struct sl_yaml_node value = sl_yaml_get(node, arguments[i].key);

		if (arguments[i].verdict != rule->image.verdict) {
			if (sl_yaml_present(value))
				return sl_yaml_error(
					value, err, "the verdict is %s; allowed: with verdict: %s",
					sl_ids_verdict_name(rule->image.verdict), arguments[i].key);
			continue;
		}
		rc = sl_yaml_require(node, arguments[i].key, err);
		if (rc == 0)
			rc = arguments[i].read(value, rule, err);
		if (rc < 0)
			return rc;
	}
	return check_ewma(node, rule, err);
}

static int read_modes(struct sl_yaml_node node, struct sl_ids_rule *rule, struct sl_error *err)
{
	static const char *const modes[] = {"enforce", "observe", NULL};
	static const char *const full[] = {"fail-open", "alert-only", "fail-closed", NULL};
	unsigned int mode = 0, when_full = 0;
	int rc;

	rule->severity = 2;
	if ((rc = sl_yaml_choice(sl_yaml_get(node, "mode"), modes, &mode, err)) < 0 ||
	    (rc = sl_yaml_choice(sl_yaml_get(node, "when_full"), full, &when_full, err)) < 0 ||
	    (rc = sl_yaml_uint32(sl_yaml_get(node, "severity"), 1, 4, &rule->severity, err)) < 0)
		return rc;
	if (mode == 1)
		rule->image.flags |= SLUICE_IDS_OBSERVE;
	if (when_full == 1)
		rule->image.flags |= SLUICE_IDS_FULL_ALERT;
	if (when_full == 2)
		rule->image.flags |= SLUICE_IDS_FULL_CLOSED | SLUICE_IDS_FULL_ALERT;
	return 0;
}

/* --- together ------------------------------------------------------------------------ */

static int read_subscribers(struct sl_yaml_node node, struct sl_ids_rule *rule, struct sl_error *err)
{
	if (!sl_yaml_present(node))
		return 0;
	rule->image.flags |= SLUICE_IDS_OVERRIDE;
	return sl_ids_read_imsis(node, &rule->subscribers, &rule->subscriber_count, err);
}

int sl_ids_document_read(struct sl_yaml_node node, struct sl_ids_rule *out, struct sl_error *err)
{
	_cleanup_(sl_ids_rule_clear) struct sl_ids_rule rule;
	int rc;

	/* with what lies between the fields, since the content is hashed */
	memset(&rule, 0, sizeof(rule));
	rule.line = sl_yaml_line(node);
	if ((rc = sl_yaml_mapping(node, rule_keys, err)) < 0 ||
	    (rc = sl_yaml_require(node, "name", err)) < 0 ||
	    (rc = read_name(sl_yaml_get(node, "name"), &rule, err)) < 0 ||
	    (rc = read_class(sl_yaml_get(node, "class"), &rule, err)) < 0 ||
	    (rc = read_modes(node, &rule, err)) < 0 ||
	    (rc = read_subscribers(sl_yaml_get(node, "subscribers"), &rule, err)) < 0 ||
	    (rc = sl_ids_read_limits(node, &rule, err)) < 0 ||
	    (rc = sl_ids_read_matches(node, &rule, err)) < 0 ||
	    (rc = sl_ids_read_verdict(node, &rule, err)) < 0 ||
	    (rc = sl_ids_read_block(node, &rule, err)) < 0)
		return rc;
	memcpy(out, &rule, sizeof(*out));
	rule.exempt = rule.subscribers = NULL;
	return 0;
}
