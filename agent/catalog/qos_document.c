// SPDX-License-Identifier: Apache-2.0
#include "catalog/qos_document.h"

#include <stdbool.h>

#include "base/units.h"
#include "sluice/meter.h"

int sl_rates_document_read(struct sl_yaml_node node, uint64_t max, uint64_t rates[SLUICE_DIRECTIONS],
			   struct sl_error *err)
{
	static const char *const keys[] = {"uplink", "downlink", NULL};
	int rc;

	rc = sl_yaml_mapping(node, keys, err);
	if (rc == 0)
		rc = sl_yaml_rate(sl_yaml_get(node, "uplink"), SLUICE_METER_RATE_MIN, max,
				  &rates[SLUICE_UPLINK], err);
	if (rc == 0)
		rc = sl_yaml_rate(sl_yaml_get(node, "downlink"), SLUICE_METER_RATE_MIN, max,
				  &rates[SLUICE_DOWNLINK], err);
	return rc;
}

/* Each at its own line. */
int sl_gbr_document_check(struct sl_yaml_node node, const uint64_t mbr[SLUICE_DIRECTIONS],
			  const uint64_t gbr[SLUICE_DIRECTIONS], struct sl_error *err)
{
	static const char *const keys[] = {[SLUICE_UPLINK] = "uplink", [SLUICE_DOWNLINK] = "downlink"};
	char text[SL_UNITS_SIZE], most[SL_UNITS_SIZE];

	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++)
		if (mbr[direction] && gbr[direction] > mbr[direction])
			return sl_yaml_error(sl_yaml_get(node, keys[direction]), err,
					     "%s is above the MBR; allowed: at most %s",
					     sl_format_rate(gbr[direction], text),
					     sl_format_rate(mbr[direction], most));
	return 0;
}

/* 3GPP TS 29.212 clauses 5.3.45 to 5.3.47: what the defaults are. */
int sl_arp_document_read(struct sl_yaml_node node, struct sl_arp *arp, struct sl_error *err)
{
	static const char *const keys[] = {"level", "may_preempt", "may_be_preempted", NULL};
	static const char *const booleans[] = {"false", "true", NULL};
	unsigned int may_preempt = 0, may_be_preempted = 1;
	uint32_t level = 0;
	int rc;

	if (!sl_yaml_present(node))
		return 0;
	if ((rc = sl_yaml_mapping(node, keys, err)) < 0 || (rc = sl_yaml_require(node, "level", err)) < 0 ||
	    (rc = sl_yaml_uint32(sl_yaml_get(node, "level"), 1, SL_ARP_LEVEL_WORST, &level, err)) < 0 ||
	    (rc = sl_yaml_choice(sl_yaml_get(node, "may_preempt"), booleans, &may_preempt, err)) < 0 ||
	    (rc = sl_yaml_choice(sl_yaml_get(node, "may_be_preempted"), booleans, &may_be_preempted, err)) <
		    0)
		return rc;
	*arp = (struct sl_arp){.level = (uint8_t)level,
			       .may_preempt = may_preempt == 1,
			       .may_be_preempted = may_be_preempted == 1};
	return 0;
}

int sl_class_document_read(struct sl_yaml_node node, uint16_t min, uint16_t *class_id, struct sl_error *err)
{
	uint32_t value = *class_id;
	int rc = sl_yaml_uint32(node, min, UINT16_MAX, &value, err);

	if (rc == 0)
		*class_id = (uint16_t)value;
	return rc;
}
