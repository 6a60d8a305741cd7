// SPDX-License-Identifier: Apache-2.0
#include "yaml_quota.h"

#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "sluice/limits.h"
#include "yaml_rule.h"

#define QUOTAS_MAX 256
#define BYTES_MAX  (1ull << 60)
#define TIME_MAX_S (10ull * 366 * 86400)
#define MS_PER_S   1000u
#define TEXT_SIZE  32
#define SYNTAX	   "bytes, or a whole number with kB, MB, GB or TB (thousands) or KiB, MiB, GiB"

/* A whole number and one of these. */
static int read_volume(struct sl_yaml_node node, uint64_t *out, struct sl_error *err)
{
	static const struct {
		const char *unit;
		uint64_t bytes;
	} units[] = {
		{"kB", 1000},
		{"KB", 1000},
		{"MB", 1000000},
		{"GB", 1000000000},
		{"TB", 1000000000000ull},
		{"KiB", 1024},
		{"MiB", 1024 * 1024},
		{"GiB", 1ull << 30},
		{"TiB", 1ull << 40},
		{"B", 1},
	};
	char text[TEXT_SIZE], number[TEXT_SIZE];
	uint64_t value = 0, unit = 1;
	size_t digits;
	int ret;

	ret = sl_yaml_text(node, text, sizeof(text), err);
	if (ret < 0 || !sl_yaml_present(node))
		return ret;
	digits = strspn(text, "0123456789");
	memcpy(number, text, digits);
	number[digits] = '\0';
	if (text[digits]) {
		unit = 0;
		for (size_t i = 0; i < SL_ARRAY_SIZE(units); i++)
			if (strcmp(text + digits, units[i].unit) == 0)
				unit = units[i].bytes;
	}
	if (!unit || sl_parse_uint(number, &value) < 0 || value > BYTES_MAX / unit)
		return sl_yaml_error(node, err, "bad value \"%s\"; allowed: " SYNTAX ", at most 2^60", text);
	*out = value * unit;
	return 0;
}

static int read_threshold(struct sl_yaml_node node, Sluice__V1__QuotaGrant *grant, struct sl_error *err)
{
	char text[TEXT_SIZE];
	uint64_t percent = 0;
	size_t length;
	int ret;

	ret = sl_yaml_text(node, text, sizeof(text), err);
	if (ret < 0 || !sl_yaml_present(node))
		return ret;
	length = strlen(text);
	if (text[length - 1] == '%') {
		text[length - 1] = '\0';
		if (sl_parse_uint(text, &percent) < 0 || percent < 1 || percent > 100)
			return sl_yaml_error(node, err, "bad value \"%s%%\"; allowed: 1%% to 100%%", text);
		/* never 0, which means none; thousands of years do not come round */
		grant->volume_threshold = grant->volume / 100 * percent + grant->volume % 100 * percent / 100;
		if (grant->volume && !grant->volume_threshold)
			grant->volume_threshold = 1;
		grant->time_threshold_s = (grant->time_s * percent + 99) / 100;
		return 0;
	}
	ret = read_volume(node, &grant->volume_threshold, err);
	if (ret == 0 && grant->volume_threshold > grant->volume)
		return sl_yaml_error(node, err, "more than the volume");
	return ret;
}

static int read_whose(struct arena *arena, struct sl_yaml_node node, Sluice__V1__QuotaGrant *grant,
		      struct sl_error *err)
{
	static const char *const booleans[] = {"false", "true", NULL};
	unsigned int session = 0;
	char *rule = NULL;
	int ret;

	if ((ret = yaml_text_read(arena, sl_yaml_get(node, "rule"), SLUICE_RULE_ID_SIZE, &rule, err)) < 0 ||
	    (ret = sl_yaml_uint32(sl_yaml_get(node, "rating_group"), 1, UINT32_MAX, &grant->rating_group,
				  err)) < 0 ||
	    (ret = sl_yaml_choice(sl_yaml_get(node, "session"), booleans, &session, err)) < 0)
		return ret;
	if ((rule != NULL) + (grant->rating_group != 0) + (session == 1) != 1)
		return sl_yaml_error(
			node, err, "whose it is; allowed: exactly one of rule, rating_group, session: true");
	if (rule)
		grant->rule_id = rule;
	grant->session = session == 1;
	return 0;
}

static int read_amount(struct sl_yaml_node node, Sluice__V1__QuotaGrant *grant, struct sl_error *err)
{
	static const char *const volumes[] = {"volume", "total", "uplink", "downlink"};
	struct sl_yaml_node time = sl_yaml_get(node, "time");
	uint64_t ms = 0;
	int given = 0, ret;

	for (size_t i = 0; i < SL_ARRAY_SIZE(volumes); i++) {
		struct sl_yaml_node volume = sl_yaml_get(node, volumes[i]);

		if (!sl_yaml_present(volume))
			continue;
		if (given++)
			return sl_yaml_error(
				volume, err,
				"a second volume; allowed: one of volume, total, uplink, downlink");
		ret = read_volume(volume, &grant->volume, err);
		if (ret < 0)
			return ret;
		if (i > 0)
			grant->direction = (char *)volumes[i];
	}
	ret = sl_yaml_duration(time, MS_PER_S, TIME_MAX_S * MS_PER_S, &ms, err);
	if (ret < 0)
		return ret;
	if (ms % MS_PER_S)
		return sl_yaml_error(time, err, "allowed: whole seconds");
	grant->time_s = ms / MS_PER_S;
	if (!given && !grant->time_s)
		return sl_yaml_error(node, err,
				     "nothing is granted; allowed: a volume (also 0), a time or both");
	return read_threshold(sl_yaml_get(node, "threshold"), grant, err);
}

static int read_quota(struct arena *arena, struct sl_yaml_node node, Sluice__V1__QuotaGrant *grant,
		      struct sl_error *err)
{
	static const char *const keys[] = {"rule",	"rating_group", "session",  "volume",
					   "total",	"uplink",	"downlink", "time",
					   "threshold", "grant",	"remove",   NULL};
	static const char *const booleans[] = {"false", "true", NULL};
	unsigned int remove = 0;
	int ret;

	sluice__v1__quota_grant__init(grant);
	if ((ret = sl_yaml_mapping(node, keys, err)) < 0 || (ret = read_whose(arena, node, grant, err)) < 0 ||
	    (ret = sl_yaml_choice(sl_yaml_get(node, "remove"), booleans, &remove, err)) < 0 ||
	    (ret = sl_yaml_uint(sl_yaml_get(node, "grant"), 0, UINT64_MAX, &grant->grant, err)) < 0)
		return ret;
	grant->remove = remove == 1;
	return grant->remove ? 0 : read_amount(node, grant, err);
}

int yaml_quotas_read(struct arena *arena, struct sl_yaml_node node, Sluice__V1__QuotaGrant ***out,
		     size_t *count, struct sl_error *err)
{
	int ret = sl_yaml_sequence(node, QUOTAS_MAX, count, err);

	if (ret < 0)
		return ret;
	*out = arena_take(arena, *count, sizeof(**out));
	for (size_t i = 0; i < *count; i++) {
		(*out)[i] = arena_take(arena, 1, sizeof(*(*out)[i]));
		ret = read_quota(arena, sl_yaml_item(node, i), (*out)[i], err);
		if (ret < 0)
			return ret;
	}
	return 0;
}
