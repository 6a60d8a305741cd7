// SPDX-License-Identifier: Apache-2.0
#include "set_file.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "config/yaml.h"
#include "sluice/limits.h"
#include "yaml_rule.h"

#define TIME_SIZE   64
#define LAST_SECOND 9223372035ll /* in 2262: the wire's bound */

const char set_file_example[] =
	"# The rules that subscribers should have, for `sluicectl set-rules -f FILE`.\n"
	"#\n"
	"# Each rule set takes the place of what was set for its scope before; other\n"
	"# scopes and subscribers stay as they are. With any error nothing changes.\n"
	"# A key that does not stand here is refused.\n"
	"\n"
	"subscribers:\n"
	"  - imsi: 001010000000001\n"
	"    rule_sets:\n"
	"      # The scope: all sessions of the subscriber, or those of one APN. With\n"
	"      # neither: the sessions that were activated without an APN.\n"
	"      - apply_subscriber_wide: true\n"
	"        rules:\n"
	"          # all that `sluicectl activate --example` shows, but version and origin\n"
	"          - id: family-filter\n"
	"            precedence: 10\n"
	"            action: deny\n"
	"            flows:\n"
	"              - {protocol: tcp, remote: 192.0.2.0/24, remote_port: \"80,443\"}\n"
	"            # default: at once, and for good. UTC, or another offset\n"
	"            activation_time: 2030-12-24T18:00:00Z\n"
	"            deactivation_time: 2030-12-24T23:30:00+01:00\n"
	"      - apn: internet\n"
	"        rules:\n"
	"          - id: everything\n"
	"            precedence: 1000\n"
	"            flows: [{}]\n"
	"          # nothing but the id (and times): a rule or a base name of the policy directory\n"
	"          # - id: web\n"
	"          #   deactivation_time: 2031-01-01T00:00:00Z\n"
	"        # base_names: [basic]\n"
	"      # without rules: nothing is wanted there any more\n"
	"      - apn: ims\n";

/* --- times ------------------------------------------------------------------------- */

/* ".250" -> nanoseconds; NULL: no digits, or more than nine. */
static const char *read_fraction(const char *text, int32_t *nanos)
{
	int32_t unit = 100000000;

	if (*text != '.')
		return text;
	for (text++; *text >= '0' && *text <= '9'; text++, unit /= 10) {
		if (unit == 0)
			return NULL;
		*nanos += (*text - '0') * unit;
	}
	return unit == 100000000 ? NULL : text;
}

/* "Z", "+01:00" -> seconds east of UTC. */
static bool read_offset(const char *text, long *seconds)
{
	unsigned int hours, minutes;
	int used = 0;

	if (strcmp(text, "Z") == 0)
		return true;
	if ((*text != '+' && *text != '-') || strlen(text) != strlen("+01:00") ||
	    strspn(text + 1, "0123456789:") != strlen(text + 1) ||
	    sscanf(text + 1, "%2u:%2u%n", &hours, &minutes, &used) != 2 || used != (int)strlen("01:00") ||
	    hours > 23 || minutes > 59)
		return false;
	*seconds = (long)(hours * 3600 + minutes * 60) * (*text == '-' ? -1 : 1);
	return true;
}

/* RFC 3339 clause 5.6. */
static bool parse_time(const char *text, int64_t *seconds, int32_t *nanos)
{
	static const char shape[] = "dddd-dd-ddTdd:dd:dd";
	struct tm parts = {0}, back;
	const char *rest;
	long offset = 0;
	time_t time;
	size_t i;

	for (i = 0; shape[i]; i++)
		if (shape[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != shape[i])
			return false;
	rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &parts);
	if (rest != text + strlen(shape))
		return false;
	back = parts;
	time = timegm(&back);
	/* the thirtieth of February is another day */
	if (back.tm_mday != parts.tm_mday || back.tm_sec != parts.tm_sec)
		return false;
	*nanos = 0;
	rest = read_fraction(rest, nanos);
	if (!rest || !read_offset(rest, &offset))
		return false;
	*seconds = (int64_t)time - offset;
	return *seconds > 0 && *seconds <= LAST_SECOND;
}

static int read_time(struct arena *arena, struct sl_yaml_node node, Google__Protobuf__Timestamp **out,
		     struct sl_error *err)
{
	Google__Protobuf__Timestamp *stamp;
	char text[TIME_SIZE];
	int ret;

	if (!sl_yaml_present(node))
		return 0;
	ret = sl_yaml_text(node, text, sizeof(text), err);
	if (ret < 0)
		return ret;
	stamp = arena_take(arena, 1, sizeof(*stamp));
	google__protobuf__timestamp__init(stamp);
	if (!parse_time(text, &stamp->seconds, &stamp->nanos))
		return sl_yaml_error(
			node, err,
			"bad value \"%s\"; allowed: a time after 1970 such as 2030-12-24T18:00:00Z", text);
	*out = stamp;
	return 0;
}

/* --- sets ---------------------------------------------------------------------------- */

static Magma__Lte__StaticRuleInstall *add_static(struct arena *arena, Magma__Lte__RuleSet *set, char *id)
{
	Magma__Lte__StaticRuleInstall *install = arena_take(arena, 1, sizeof(*install));

	magma__lte__static_rule_install__init(install);
	install->rule_id = id;
	set->static_rules[set->n_static_rules++] = install;
	return install;
}

static void add_dynamic(struct arena *arena, Magma__Lte__RuleSet *set, Magma__Lte__PolicyRule *rule,
			Google__Protobuf__Timestamp *from, Google__Protobuf__Timestamp *until)
{
	Magma__Lte__DynamicRuleInstall *install = arena_take(arena, 1, sizeof(*install));

	magma__lte__dynamic_rule_install__init(install);
	install->policy_rule = rule;
	install->activation_time = from;
	install->deactivation_time = until;
	set->dynamic_rules[set->n_dynamic_rules++] = install;
}

static int read_rule(struct arena *arena, struct sl_yaml_node node, Magma__Lte__RuleSet *set,
		     struct sl_error *err)
{
	static const char *const keys[] = {"activation_time", "deactivation_time", NULL};
	Google__Protobuf__Timestamp *from = NULL, *until = NULL;
	Magma__Lte__PolicyRule *rule;
	bool is_named;
	int ret;

	if ((ret = yaml_rule_read(arena, node, keys, &rule, &is_named, err)) < 0 ||
	    (ret = read_time(arena, sl_yaml_get(node, "activation_time"), &from, err)) < 0 ||
	    (ret = read_time(arena, sl_yaml_get(node, "deactivation_time"), &until, err)) < 0)
		return ret;
	if (is_named) {
		Magma__Lte__StaticRuleInstall *install = add_static(arena, set, rule->id);

		install->activation_time = from;
		install->deactivation_time = until;
	} else {
		add_dynamic(arena, set, rule, from, until);
	}
	return 0;
}

static int read_scope(struct arena *arena, struct sl_yaml_node node, Magma__Lte__RuleSet *set,
		      struct sl_error *err)
{
	static const char *const booleans[] = {"false", "true", NULL};
	struct sl_yaml_node apn = sl_yaml_get(node, "apn");
	unsigned int wide = 0;
	int ret;

	if ((ret = sl_yaml_choice(sl_yaml_get(node, "apply_subscriber_wide"), booleans, &wide, err)) < 0 ||
	    (ret = yaml_text_read(arena, apn, SLUICE_APN_SIZE, &set->apn, err)) < 0)
		return ret;
	if (wide && sl_yaml_present(apn))
		return sl_yaml_error(apn, err, "an APN and the whole subscriber; allowed: one of the two");
	set->apply_subscriber_wide = wide == 1;
	return 0;
}

static int read_set(struct set_file *file, struct sl_yaml_node node, Magma__Lte__RuleSet *set,
		    struct sl_error *err)
{
	static const char *const keys[] = {"apply_subscriber_wide", "apn", "rules", "base_names", NULL};
	struct sl_yaml_node rules = sl_yaml_get(node, "rules");
	struct arena *arena = &file->arena;
	size_t count = 0, names = 0, i;
	char **list = NULL;
	int ret;

	magma__lte__rule_set__init(set);
	if ((ret = sl_yaml_mapping(node, keys, err)) < 0 || (ret = read_scope(arena, node, set, err)) < 0 ||
	    (ret = sl_yaml_sequence(rules, SLUICE_RULES_PER_SESSION, &count, err)) < 0 ||
	    (ret = yaml_names_read(arena, sl_yaml_get(node, "base_names"), SLUICE_RULES_PER_SESSION, &list,
				   &names, err)) < 0)
		return ret;
	set->static_rules = arena_take(arena, count + names + 1, sizeof(*set->static_rules));
	set->dynamic_rules = arena_take(arena, count + 1, sizeof(*set->dynamic_rules));
	for (i = 0; i < count; i++) {
		ret = read_rule(arena, sl_yaml_item(rules, i), set, err);
		if (ret < 0)
			return ret;
	}
	for (i = 0; i < names; i++)
		add_static(arena, set, list[i]);
	file->sets++;
	file->rules += count + names;
	return 0;
}

static int read_subscriber(struct set_file *file, struct sl_yaml_node node,
			   Magma__Lte__RulesPerSubscriber *out, struct sl_error *err)
{
	static const char *const keys[] = {"imsi", "rule_sets", NULL};
	struct sl_yaml_node sets = sl_yaml_get(node, "rule_sets");
	size_t count, i;
	int ret;

	magma__lte__rules_per_subscriber__init(out);
	out->imsi = arena_take(&file->arena, SLUICE_IMSI_SIZE, 1);
	if ((ret = sl_yaml_mapping(node, keys, err)) < 0 || (ret = sl_yaml_require(node, "imsi", err)) < 0 ||
	    (ret = sl_yaml_require(node, "rule_sets", err)) < 0 ||
	    (ret = yaml_imsi_read(sl_yaml_get(node, "imsi"), out->imsi, err)) < 0 ||
	    (ret = sl_yaml_sequence(sets, SET_FILE_SETS - file->sets, &count, err)) < 0)
		return ret;
	if (count == 0)
		return sl_yaml_error(sets, err,
				     "empty; allowed: at least one set, which may be without rules");
	out->rule_set = arena_take(&file->arena, count, sizeof(*out->rule_set));
	for (i = 0; i < count; i++) {
		out->rule_set[i] = arena_take(&file->arena, 1, sizeof(*out->rule_set[i]));
		out->n_rule_set++;
		ret = read_set(file, sl_yaml_item(sets, i), out->rule_set[i], err);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* --- the file ------------------------------------------------------------------------- */

void set_file_free(struct set_file *file)
{
	arena_release(&file->arena);
	*file = (struct set_file){.sets = 0};
}

static void drop_yaml(struct sl_yaml **yaml)
{
	sl_yaml_free(*yaml);
}

int set_file_load(const char *path, struct set_file *out, struct sl_error *err)
{
	static const char *const keys[] = {"subscribers", NULL};
	_cleanup_(set_file_free) struct set_file file = {.sets = 0};
	_cleanup_(drop_yaml) struct sl_yaml *yaml = NULL;
	struct sl_yaml_node root, subscribers;
	size_t count, i;
	int ret;

	magma__lte__session_rules__init(&file.message);
	ret = sl_yaml_load(path, &yaml, err);
	if (ret < 0)
		return ret;
	root = sl_yaml_root(yaml);
	subscribers = sl_yaml_get(root, "subscribers");
	if ((ret = sl_yaml_mapping(root, keys, err)) < 0 ||
	    (ret = sl_yaml_require(root, "subscribers", err)) < 0 ||
	    (ret = sl_yaml_sequence(subscribers, SET_FILE_SETS, &count, err)) < 0)
		return ret;
	file.message.rules_per_subscriber =
		arena_take(&file.arena, count + 1, sizeof(*file.message.rules_per_subscriber));
	for (i = 0; i < count; i++) {
		Magma__Lte__RulesPerSubscriber *one = arena_take(&file.arena, 1, sizeof(*one));

		file.message.rules_per_subscriber[i] = one;
		file.message.n_rules_per_subscriber++;
		ret = read_subscriber(&file, sl_yaml_item(subscribers, i), one, err);
		if (ret < 0)
			return ret;
	}
	*out = file;
	file = (struct set_file){.sets = 0};
	return 0;
}
