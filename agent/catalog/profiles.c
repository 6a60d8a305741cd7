// SPDX-License-Identifier: Apache-2.0
/*
 * The section qos_profiles: a list of
 *
 *   name: gold                  # required
 *   class_id: 6                 # QCI, 5QI or an operator's own, 1 to 65535
 *   mbr: {uplink: 1Mbit, downlink: 8Mbit}      # each may be left out
 *   gbr: {uplink: 64kbit}       # at most the MBR
 *   arp: {level: 2, may_preempt: true, may_be_preempted: false}
 *   backend: auto               # or shape, or police; without: as qos.backend says
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "catalog/qos_document.h"
#include "catalog/section.h"

#define MAX_RATE 1000000000000ull /* bit/s; what the links allow, a session finds out */

static int read_backend(struct sl_yaml_node node, enum sluice_rate_backend *out, struct sl_error *err)
{
	static const char *const names[] = {"auto", "shape", "police", NULL};
	static const enum sluice_rate_backend backends[] = {SLUICE_RATE_AUTO, SLUICE_RATE_SHAPE,
							    SLUICE_RATE_POLICE};
	unsigned int choice = 0;
	int rc = sl_yaml_choice(node, names, &choice, err);

	if (rc == 0 && sl_yaml_present(node))
		*out = backends[choice];
	return rc;
}

static int read_values(struct sl_yaml_node node, struct sl_profile *out, struct sl_error *err)
{
	static const char *const keys[] = {"name", "class_id", "mbr", "gbr", "arp", "backend", NULL};
	int rc;

	if ((rc = sl_yaml_mapping(node, keys, err)) < 0 || (rc = sl_yaml_require(node, "name", err)) < 0 ||
	    (rc = sl_yaml_text(sl_yaml_get(node, "name"), out->name, sizeof(out->name), err)) < 0 ||
	    (rc = sl_class_document_read(sl_yaml_get(node, "class_id"), 1, &out->class_id, err)) < 0 ||
	    (rc = sl_rates_document_read(sl_yaml_get(node, "mbr"), MAX_RATE, out->mbr, err)) < 0 ||
	    (rc = sl_rates_document_read(sl_yaml_get(node, "gbr"), MAX_RATE, out->gbr, err)) < 0 ||
	    (rc = sl_arp_document_read(sl_yaml_get(node, "arp"), &out->arp, err)) < 0 ||
	    (rc = read_backend(sl_yaml_get(node, "backend"), &out->backend, err)) < 0)
		return rc;
	return sl_gbr_document_check(sl_yaml_get(node, "gbr"), out->mbr, out->gbr, err);
}

static struct sl_catalog_profile *find(const struct sl_catalog *catalog, const char *name)
{
	struct sl_catalog_profile *found;

	HASH_FIND_STR(catalog->profiles, name, found);
	return found;
}

static int read_profile(struct sl_catalog *catalog, struct sl_yaml_node node, struct sl_error *err)
{
	_cleanup_free_ struct sl_catalog_profile *fresh = calloc(1, sizeof(*fresh));
	struct sl_catalog_profile *other;
	int rc;

	if (!fresh)
		return sl_error(err, ENOMEM, "out of memory");
	rc = read_values(node, &fresh->profile, err);
	if (rc < 0)
		return rc;
	other = find(catalog, fresh->profile.name);
	if (other)
		return sl_yaml_error(sl_yaml_get(node, "name"), err,
				     "\"%s\" is a QoS profile in %s:%u already; allowed: a name once",
				     fresh->profile.name, other->file, other->line);
	snprintf(fresh->file, sizeof(fresh->file), "%.63s", sl_catalog_file(node));
	fresh->line = sl_yaml_line(node);
	HASH_ADD_STR(catalog->profiles, profile.name, fresh);
	fresh = NULL;
	return 0;
}

static int read_section(struct sl_catalog *catalog, struct sl_yaml_node node, struct sl_error *err)
{
	size_t count;
	int rc;

	rc = sl_yaml_sequence(node, SL_CATALOG_PROFILES - HASH_COUNT(catalog->profiles), &count, err);
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = read_profile(catalog, sl_yaml_item(node, i), err);
	return rc;
}

void sl_catalog_free_profiles(struct sl_catalog *catalog)
{
	struct sl_catalog_profile *profile, *tmp;

	HASH_ITER (hh, catalog->profiles, profile, tmp) {
		HASH_DEL(catalog->profiles, profile);
		free(profile);
	}
}

const struct sl_profile *sl_catalog_profile(const struct sl_catalog *catalog, const char *name)
{
	const struct sl_catalog_profile *found = catalog ? find(catalog, name) : NULL;

	return found ? &found->profile : NULL;
}

int sl_catalog_each_profile(const struct sl_catalog *catalog,
			    int (*visit)(const struct sl_profile *profile, const char *file,
					 unsigned int line, void *user),
			    void *user)
{
	const struct sl_catalog_profile *profile = catalog ? catalog->profiles : NULL;
	int rc = 0;

	for (; profile && rc == 0; profile = profile->hh.next)
		rc = visit(&profile->profile, profile->file, profile->line, user);
	return rc;
}

size_t sl_catalog_profile_count(const struct sl_catalog *catalog)
{
	return catalog ? HASH_COUNT(catalog->profiles) : 0;
}

const struct sl_catalog_section sl_catalog_profiles = {.key = "qos_profiles", .read = read_section};
