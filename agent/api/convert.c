// SPDX-License-Identifier: Apache-2.0
#include "api/convert.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/convert_flow.h"
#include "api/convert_quota.h"
#include "base/cleanup.h"

static int read_bytes_text(const char *field, const ProtobufCBinaryData *bytes, char *out, size_t size,
			   struct sl_error *err)
{
	if (bytes->len >= size)
		return sl_error(err, EINVAL, "%s: %zu bytes, at most %zu are allowed", field, bytes->len,
				size - 1);
	if (bytes->len && memchr(bytes->data, 0, bytes->len))
		return sl_error(err, EINVAL, "%s: not text (it has a NUL)", field);
	if (bytes->len)
		memcpy(out, bytes->data, bytes->len);
	out[bytes->len] = '\0';
	return 0;
}

/* The addresses that a request names: none, one or two, IPv4 first. */
static int read_addresses(const char *ip4, const ProtobufCBinaryData *ip6, struct sl_address out[2],
			  size_t *count, struct sl_error *err)
{
	char text[64];
	size_t n = 0;
	int rc;

	if (ip4 && ip4[0]) {
		rc = sl_address_parse("ip_addr", ip4, &out[n], err);
		if (rc < 0)
			return rc;
		if (out[n].family != 4)
			return sl_error(err, EINVAL, "ip_addr: \"%s\" is not an IPv4 address", ip4);
		n++;
	}
	rc = read_bytes_text("ipv6_addr", ip6, text, sizeof(text), err);
	if (rc < 0)
		return rc;
	if (text[0]) {
		rc = sl_address_parse("ipv6_addr", text, &out[n], err);
		if (rc < 0)
			return rc;
		if (out[n].family != 6)
			return sl_error(err, EINVAL, "ipv6_addr: \"%s\" is not an IPv6 address", text);
		n++;
	}
	*count = n;
	return 0;
}

static int read_subscriber(const Magma__Lte__SubscriberID *sid, char imsi[SLUICE_IMSI_SIZE],
			   struct sl_error *err)
{
	return sl_imsi_parse("sid.id", sid && sid->id ? sid->id : "", imsi, err);
}

static int read_ambr(const Magma__Lte__AggregatedMaximumBitrate *wire, struct sl_session_request *session,
		     struct sl_error *err)
{
	uint64_t unit;

	if (!wire)
		return 0;
	switch (wire->br_unit) {
	case MAGMA__LTE__AGGREGATED_MAXIMUM_BITRATE__BITRATE_UNITS_AMBR__BPS:
		unit = 1;
		break;
	case MAGMA__LTE__AGGREGATED_MAXIMUM_BITRATE__BITRATE_UNITS_AMBR__KBPS:
		unit = 1000;
		break;
	default:
		return sl_error(err, EINVAL, "apn_ambr.br_unit: unknown value %d", (int)wire->br_unit);
	}
	session->has_ambr = true;
	session->ambr[SLUICE_UPLINK] = wire->max_bandwidth_ul * unit;
	session->ambr[SLUICE_DOWNLINK] = wire->max_bandwidth_dl * unit;
	return 0;
}

/* Absent means GX; N4 rules are ordinary rules, as GX ones are. */
static int read_origin(const Magma__Lte__RequestOriginType *wire, enum sluice_origin *out,
		       struct sl_error *err)
{
	int type = wire ? (int)wire->type : 0;

	switch (type) {
	case MAGMA__LTE__REQUEST_ORIGIN_TYPE__ORIGIN_TYPE__GX:
	case MAGMA__LTE__REQUEST_ORIGIN_TYPE__ORIGIN_TYPE__N4:
		*out = SLUICE_ORIGIN_GX;
		return 0;
	case MAGMA__LTE__REQUEST_ORIGIN_TYPE__ORIGIN_TYPE__GY:
		*out = SLUICE_ORIGIN_GY;
		return 0;
	case MAGMA__LTE__REQUEST_ORIGIN_TYPE__ORIGIN_TYPE__WILDCARD:
		return sl_error(err, EINVAL, "request_origin.type: WILDCARD is for DeactivateFlows only");
	default:
		return sl_error(err, EINVAL, "request_origin.type: unknown value %d", type);
	}
}

static int check_count(size_t policies, struct sl_error *err)
{
	if (policies > SL_REQUEST_RULES)
		return sl_error(err, E2BIG, "policies: %zu rules in one request; allowed: at most %d",
				policies, SL_REQUEST_RULES);
	return 0;
}

static void read_rules(const Magma__Lte__ActivateFlowsRequest *wire, enum sluice_origin origin,
		       struct sl_activation *activation)
{
	for (size_t i = 0; i < wire->n_policies; i++) {
		const Magma__Lte__VersionedPolicy *policy = wire->policies[i];
		struct sl_rule_request *request = &activation->rules[0][i];

		request->id = policy->rule && policy->rule->id ? policy->rule->id : "";
		request->version = policy->version;
		request->origin = origin;
		request->note = policy->rule ? sl_rule_note(policy->rule) : NULL;
		if (!policy->rule)
			sl_error(&request->error, EINVAL, "policies[%zu].rule: missing", i);
		else if (sl_rule_read(policy->rule, &activation->storage[i], &request->error) == 0)
			request->rule = &activation->storage[i];
	}
}

int sl_activation_read(const Magma__Lte__ActivateFlowsRequest *wire, struct sl_activation *out,
		       struct sl_error *err)
{
	struct sl_session_request session = {
		.uplink_tunnel = wire->uplink_tunnel,
		.downlink_tunnel = wire->downlink_tunnel,
		.shard = wire->shard_id,
		.rule_count = wire->n_policies,
	};
	struct sl_activation activation = {.storage_count = wire->n_policies};
	struct sl_address addresses[2];
	enum sluice_origin origin;
	int rc;

	rc = read_subscriber(wire->sid, session.imsi, err);
	if (rc == 0)
		rc = read_addresses(wire->ip_addr, &wire->ipv6_addr, addresses, &activation.session_count,
				    err);
	if (rc == 0)
		rc = read_origin(wire->request_origin, &origin, err);
	if (rc == 0)
		rc = read_ambr(wire->apn_ambr, &session, err);
	if (rc == 0)
		rc = read_bytes_text("msisdn", &wire->msisdn, session.msisdn, sizeof(session.msisdn), err);
	if (rc == 0 && wire->apn && strlen(wire->apn) >= sizeof(session.apn))
		rc = sl_error(err, EINVAL, "apn: %zu bytes, at most %zu are allowed", strlen(wire->apn),
			      sizeof(session.apn) - 1);
	if (rc == 0)
		rc = check_count(wire->n_policies, err);
	if (rc < 0)
		return rc;
	if (wire->apn)
		snprintf(session.apn, sizeof(session.apn), "%s", wire->apn);

	activation.storage = calloc(wire->n_policies + 1, sizeof(*activation.storage));
	activation.rules[0] = calloc(wire->n_policies + 1, sizeof(*activation.rules[0]));
	if (activation.session_count == 2)
		activation.rules[1] = calloc(wire->n_policies + 1, sizeof(*activation.rules[1]));
	if (!activation.storage || !activation.rules[0] ||
	    (activation.session_count == 2 && !activation.rules[1])) {
		sl_activation_clear(&activation);
		return sl_error(err, ENOMEM, "out of memory");
	}
	rc = sl_quotas_read(wire, origin, &activation.quotas, err);
	if (rc < 0) {
		sl_activation_clear(&activation);
		return rc;
	}
	session.quotas = activation.quotas;
	session.quota_count = wire->n_quotas;
	read_rules(wire, origin, &activation);
	if (activation.rules[1])
		memcpy(activation.rules[1], activation.rules[0],
		       wire->n_policies * sizeof(*activation.rules[0]));
	for (size_t i = 0; i < activation.session_count; i++) {
		activation.session[i] = session;
		activation.session[i].address = addresses[i];
		activation.session[i].rules = activation.rules[i];
		if (activation.session_count == 2)
			activation.session[i].twin = addresses[1 - i];
	}
	*out = activation;
	return 0;
}

void sl_activation_clear(struct sl_activation *activation)
{
	for (size_t i = 0; activation->storage && i < activation->storage_count; i++)
		free(activation->storage[i].flows);
	free(activation->storage);
	free(activation->rules[0]);
	free(activation->rules[1]);
	free(activation->quotas);
	*activation = (struct sl_activation){0};
}

static int read_origins(const Magma__Lte__RequestOriginType *wire, struct sl_deactivation *out,
			struct sl_error *err)
{
	enum sluice_origin origin;
	int rc;

	if (wire && wire->type == MAGMA__LTE__REQUEST_ORIGIN_TYPE__ORIGIN_TYPE__WILDCARD) {
		out->gx = true;
		out->gy = true;
		return 0;
	}
	rc = read_origin(wire, &origin, err);
	if (rc < 0)
		return rc;
	out->gx = origin == SLUICE_ORIGIN_GX;
	out->gy = origin == SLUICE_ORIGIN_GY;
	return 0;
}

int sl_deactivation_read(const Magma__Lte__DeactivateFlowsRequest *wire, struct sl_deactivations *out,
			 struct sl_error *err)
{
	struct sl_deactivations deactivations = {0};
	struct sl_deactivation request = {.end_session = wire->remove_default_drop_flows};
	struct sl_address addresses[2] = {0};
	int rc;

	rc = read_subscriber(wire->sid, request.imsi, err);
	if (rc == 0)
		rc = read_addresses(wire->ip_addr, &wire->ipv6_addr, addresses, &deactivations.count, err);
	if (rc == 0)
		rc = read_origins(wire->request_origin, &request, err);
	if (rc == 0)
		rc = check_count(wire->n_policies, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < wire->n_policies; i++)
		if (!wire->policies[i]->rule_id || !wire->policies[i]->rule_id[0])
			return sl_error(err, EINVAL, "policies[%zu].rule_id: empty", i);
	if (wire->n_policies) {
		deactivations.rule_ids = calloc(wire->n_policies, sizeof(*deactivations.rule_ids));
		if (!deactivations.rule_ids)
			return sl_error(err, ENOMEM, "out of memory");
		for (size_t i = 0; i < wire->n_policies; i++)
			deactivations.rule_ids[i] = wire->policies[i]->rule_id;
	}
	request.rule_ids = deactivations.rule_ids;
	request.rule_count = wire->n_policies;
	if (deactivations.count == 0)
		deactivations.count = 1; /* without an address: every session of the IMSI */
	for (size_t i = 0; i < deactivations.count; i++) {
		deactivations.request[i] = request;
		deactivations.request[i].address = addresses[i];
	}
	*out = deactivations;
	return 0;
}

void sl_deactivation_clear(struct sl_deactivations *deactivations)
{
	free(deactivations->rule_ids);
	*deactivations = (struct sl_deactivations){0};
}

static void fill_record(Magma__Lte__RuleRecord *record, char *text, const struct sl_usage_record *from)
{
	char *address = text + SLUICE_IMSI_SIZE + 4;

	magma__lte__rule_record__init(record);
	snprintf(text, SLUICE_IMSI_SIZE + 4, "IMSI%s", from->imsi);
	sl_address_format(&from->address, address);
	record->sid = text;
	record->rule_id = (char *)from->rule_id;
	if (from->address.family == 4)
		record->ue_ipv4 = address;
	else
		record->ue_ipv6 = address;
	record->rule_version = from->version;
	record->bytes_tx = from->usage.uplink.bytes;
	record->bytes_rx = from->usage.downlink.bytes;
	record->dropped_tx = from->usage.uplink_dropped.bytes;
	record->dropped_rx = from->usage.downlink_dropped.bytes;
}

static size_t varint_size(uint64_t value)
{
	size_t size = 1;

	for (; value >= 128; value >>= 7)
		size++;
	return size;
}

/* A field is left out when it is 0; its number takes a byte, a text's length one more (two from 128 on). */
static size_t number_size(uint64_t value)
{
	return value ? 1 + varint_size(value) : 0;
}

static size_t text_size(size_t length)
{
	return 1 + varint_size(length) + length;
}

size_t sl_record_size(const struct sl_usage_record *record)
{
	size_t address = record->address.family == 4 ? sizeof("255.255.255.255") - 1
						     : sizeof("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff") - 1;
	size_t size = text_size(4 + strlen(record->imsi)) + text_size(strlen(record->rule_id)) +
		      text_size(address) + number_size(record->version) +
		      number_size(record->usage.uplink.bytes) + number_size(record->usage.downlink.bytes) +
		      number_size(record->usage.uplink_dropped.bytes) +
		      number_size(record->usage.downlink_dropped.bytes);

	return text_size(size);
}

int sl_record_table_fill(struct sl_record_table *out, const struct sl_usage_record *records, size_t count,
			 uint64_t epoch)
{
	struct sl_record_table table = {0};

	table.records = calloc(count + 1, sizeof(*table.records));
	table.pointers = calloc(count + 1, sizeof(*table.pointers));
	table.texts = calloc(count + 1, sizeof(*table.texts));
	if (!table.records || !table.pointers || !table.texts) {
		sl_record_table_clear(&table);
		return -ENOMEM;
	}
	for (size_t i = 0; i < count; i++) {
		fill_record(&table.records[i], table.texts[i], &records[i]);
		table.pointers[i] = &table.records[i];
	}
	magma__lte__rule_record_table__init(&table.table);
	table.table.records = table.pointers;
	table.table.n_records = count;
	table.table.epoch = epoch;
	*out = table;
	return 0;
}

void sl_record_table_clear(struct sl_record_table *table)
{
	free(table->records);
	free(table->pointers);
	free(table->texts);
	*table = (struct sl_record_table){0};
}
