// SPDX-License-Identifier: Apache-2.0
#include "policy_file.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "base/cleanup.h"
#include "config/yaml.h"
#include "magma/lte/pipelined.pb-c.h"
#include "rule_message.h"
#include "sluice/limits.h"
#include "yaml_quota.h"
#include "yaml_rule.h"

#define DEFAULT_VERSION 1
#define MSISDN_SIZE	24

/* --- rules ------------------------------------------------------------------------- */

static int read_rates(struct sl_yaml_node node, uint64_t max, uint64_t *uplink, uint64_t *downlink,
		      struct sl_error *err)
{
	static const char *const keys[] = {"uplink", "downlink", NULL};
	int ret;

	if ((ret = sl_yaml_mapping(node, keys, err)) < 0 ||
	    (ret = sl_yaml_rate(sl_yaml_get(node, "uplink"), 1, max, uplink, err)) < 0)
		return ret;
	return sl_yaml_rate(sl_yaml_get(node, "downlink"), 1, max, downlink, err);
}

static int read_rule(struct arena *arena, struct sl_yaml_node node, Magma__Lte__VersionedPolicy *policy,
		     bool *gy, struct sl_error *err)
{
	static const char *const keys[] = {"version", "origin", NULL};
	static const char *const origins[] = {"gx", "gy", NULL};
	unsigned int origin = 0;
	bool is_named;
	int ret;

	magma__lte__versioned_policy__init(policy);
	policy->version = DEFAULT_VERSION;
	if ((ret = yaml_rule_read(arena, node, keys, &policy->rule, &is_named, err)) < 0 ||
	    (ret = sl_yaml_uint32(sl_yaml_get(node, "version"), 0, UINT32_MAX, &policy->version, err)) < 0 ||
	    (ret = sl_yaml_choice(sl_yaml_get(node, "origin"), origins, &origin, err)) < 0)
		return ret;
	*gy = origin == 1;
	return 0;
}

/* --- sessions ----------------------------------------------------------------------- */

static int read_address(struct sl_yaml_node node, int family, char *out, size_t size, struct sl_error *err)
{
	struct in6_addr address;
	int ret;

	ret = sl_yaml_text(node, out, size, err);
	if (ret < 0 || !sl_yaml_present(node))
		return ret;
	if (inet_pton(family, out, &address) != 1)
		return sl_yaml_error(node, err, "bad value \"%s\"; allowed: an %s address", out,
				     family == AF_INET ? "IPv4" : "IPv6");
	return 0;
}

static int read_ambr(struct arena *arena, struct sl_yaml_node node,
		     Magma__Lte__AggregatedMaximumBitrate **out, struct sl_error *err)
{
	uint64_t uplink = 0, downlink = 0;
	Magma__Lte__AggregatedMaximumBitrate *ambr;
	uint64_t unit = 1;
	int ret;

	if (!sl_yaml_present(node))
		return 0;
	ret = read_rates(node, 1000ULL * UINT32_MAX, &uplink, &downlink, err);
	if (ret < 0)
		return ret;
	if (uplink > UINT32_MAX || downlink > UINT32_MAX)
		unit = 1000;
	if (uplink % unit || downlink % unit)
		return sl_yaml_error(node, err,
				     "above 4.29Gbit; allowed there: whole kbit/s in both directions");
	ambr = arena_take(arena, 1, sizeof(*ambr));
	magma__lte__aggregated_maximum_bitrate__init(ambr);
	ambr->br_unit = unit == 1 ? MAGMA__LTE__AGGREGATED_MAXIMUM_BITRATE__BITRATE_UNITS_AMBR__BPS
				  : MAGMA__LTE__AGGREGATED_MAXIMUM_BITRATE__BITRATE_UNITS_AMBR__KBPS;
	ambr->max_bandwidth_ul = (uint32_t)(uplink / unit);
	ambr->max_bandwidth_dl = (uint32_t)(downlink / unit);
	*out = ambr;
	return 0;
}

/* What is only kept, shown and reported by. */
static int read_particulars(struct arena *arena, struct sl_yaml_node node,
			    Magma__Lte__ActivateFlowsRequest *message, struct sl_error *err)
{
	static const char *const keys[] = {"uplink", "downlink", NULL};
	struct sl_yaml_node tunnels = sl_yaml_get(node, "tunnels");
	char *msisdn = NULL;
	int ret;

	if ((ret = yaml_text_read(arena, sl_yaml_get(node, "msisdn"), MSISDN_SIZE, &msisdn, err)) < 0 ||
	    (ret = sl_yaml_mapping(tunnels, keys, err)) < 0 ||
	    (ret = sl_yaml_uint32(sl_yaml_get(tunnels, "uplink"), 0, UINT32_MAX, &message->uplink_tunnel,
				  err)) < 0 ||
	    (ret = sl_yaml_uint32(sl_yaml_get(tunnels, "downlink"), 0, UINT32_MAX, &message->downlink_tunnel,
				  err)) < 0 ||
	    (ret = sl_yaml_uint32(sl_yaml_get(node, "shard"), 0, UINT32_MAX, &message->shard_id, err)) < 0)
		return ret;
	if (msisdn)
		message->msisdn = (ProtobufCBinaryData){strlen(msisdn), (uint8_t *)msisdn};
	return 0;
}

/* There is room for the two requests that an entry can become. */
static struct policy_request *next_request(struct policy_file *file, const struct policy_request *like)
{
	struct policy_request *request = &file->requests[file->count++];

	*request = *like;
	return request;
}

static void pack(struct policy_request *request, const Magma__Lte__ActivateFlowsRequest *message)
{
	request->rules = (uint32_t)(message->n_policies + message->n_rule_ids);
	request->length = magma__lte__activate_flows_request__get_packed_size(message);
	request->bytes = malloc(request->length);
	if (!request->bytes) {
		fputs("sluicectl: out of memory\n", stderr);
		exit(1);
	}
	magma__lte__activate_flows_request__pack(message, request->bytes);
}

/* Fills policies with the GX rules and puts the GY rules behind them. */
static int read_rules(struct arena *arena, struct sl_yaml_node node, Magma__Lte__VersionedPolicy ***out,
		      size_t *gx, size_t *gy, struct sl_error *err)
{
	Magma__Lte__VersionedPolicy **policies, **behind;
	size_t count, i;
	int ret;

	ret = sl_yaml_sequence(node, SLUICE_RULES_PER_SESSION, &count, err);
	if (ret < 0)
		return ret;
	policies = arena_take(arena, count, sizeof(*policies));
	behind = arena_take(arena, count, sizeof(*behind));
	*gx = *gy = 0;
	for (i = 0; i < count; i++) {
		Magma__Lte__VersionedPolicy *policy = arena_take(arena, 1, sizeof(*policy));
		bool is_gy = false;

		ret = read_rule(arena, sl_yaml_item(node, i), policy, &is_gy, err);
		if (ret < 0)
			return ret;
		if (is_gy)
			behind[(*gy)++] = policy;
		else
			policies[(*gx)++] = policy;
	}
	for (i = 0; i < *gy; i++)
		policies[*gx + i] = behind[i];
	*out = policies;
	return 0;
}

/* Quotas of these GY rules go behind the others, which are counted. */
static size_t gx_quotas_first(Sluice__V1__QuotaGrant **quotas, size_t count,
			      Magma__Lte__VersionedPolicy *const *gy, size_t gy_count)
{
	size_t first = 0;

	for (size_t i = 0; i < count; i++) {
		Sluice__V1__QuotaGrant *quota = quotas[i];
		bool is_gy = false;

		for (size_t n = 0; n < gy_count && !is_gy; n++)
			is_gy = quota->rule_id[0] && strcmp(gy[n]->rule->id, quota->rule_id) == 0;
		if (is_gy)
			continue;
		quotas[i] = quotas[first];
		quotas[first++] = quota;
	}
	return first;
}

static int read_session(struct arena *arena, struct sl_yaml_node node, struct policy_file *file,
			struct sl_error *err)
{
	static const char *const keys[] = {"imsi",	 "ipv4",   "ipv6",    "apn",   "ambr",	 "rules",
					   "base_names", "msisdn", "tunnels", "shard", "quotas", NULL};
	Magma__Lte__ActivateFlowsRequest message = MAGMA__LTE__ACTIVATE_FLOWS_REQUEST__INIT;
	Magma__Lte__RequestOriginType origin = MAGMA__LTE__REQUEST_ORIGIN_TYPE__INIT;
	Magma__Lte__SubscriberID sid = MAGMA__LTE__SUBSCRIBER_ID__INIT;
	struct policy_request request = {.length = 0};
	char ipv4[INET_ADDRSTRLEN] = "", ipv6[INET6_ADDRSTRLEN] = "", id[32];
	Magma__Lte__VersionedPolicy **policies = NULL;
	Sluice__V1__QuotaGrant **quotas = NULL;
	size_t gx, gy, quota_count, gx_quotas;
	int ret;

	if ((ret = sl_yaml_mapping(node, keys, err)) < 0 || (ret = sl_yaml_require(node, "imsi", err)) < 0 ||
	    (ret = yaml_imsi_read(sl_yaml_get(node, "imsi"), request.imsi, err)) < 0 ||
	    (ret = read_address(sl_yaml_get(node, "ipv4"), AF_INET, ipv4, sizeof(ipv4), err)) < 0 ||
	    (ret = read_address(sl_yaml_get(node, "ipv6"), AF_INET6, ipv6, sizeof(ipv6), err)) < 0 ||
	    (ret = yaml_text_read(arena, sl_yaml_get(node, "apn"), SLUICE_APN_SIZE, &message.apn, err)) < 0 ||
	    (ret = read_ambr(arena, sl_yaml_get(node, "ambr"), &message.apn_ambr, err)) < 0 ||
	    (ret = read_particulars(arena, node, &message, err)) < 0 ||
	    (ret = read_rules(arena, sl_yaml_get(node, "rules"), &policies, &gx, &gy, err)) < 0 ||
	    (ret = yaml_names_read(arena, sl_yaml_get(node, "base_names"), SLUICE_RULES_PER_SESSION,
				   &message.rule_ids, &message.n_rule_ids, err)) < 0 ||
	    (ret = yaml_quotas_read(arena, sl_yaml_get(node, "quotas"), &quotas, &quota_count, err)) < 0)
		return ret;
	gx_quotas = gx_quotas_first(quotas, quota_count, policies + gx, gy);
	if (!ipv4[0] && !ipv6[0])
		return sl_yaml_error(node, err, "no address; allowed: ipv4, ipv6 or both");
	file->sessions += (ipv4[0] != '\0') + (ipv6[0] != '\0');
	snprintf(request.address, sizeof(request.address), "%s%s%s", ipv4, ipv4[0] && ipv6[0] ? ", " : "",
		 ipv6);
	snprintf(id, sizeof(id), "IMSI%s", request.imsi);
	sid.id = id;
	message.sid = &sid;
	message.ip_addr = ipv4;
	message.ipv6_addr.data = (uint8_t *)ipv6;
	message.ipv6_addr.len = strlen(ipv6);
	message.request_origin = &origin;
	message.policies = policies;
	message.n_policies = gx;
	message.quotas = quotas;
	message.n_quotas = gx_quotas;
	pack(next_request(file, &request), &message);
	if (gy) {
		origin.type = MAGMA__LTE__REQUEST_ORIGIN_TYPE__ORIGIN_TYPE__GY;
		message.apn_ambr = NULL;
		message.n_rule_ids = 0;
		message.policies = policies + gx;
		message.n_policies = gy;
		message.quotas = quotas + gx_quotas;
		message.n_quotas = quota_count - gx_quotas;
		pack(next_request(file, &request), &message);
	}
	return 0;
}

void policy_file_free(struct policy_file *file)
{
	size_t i;

	for (i = 0; i < file->count; i++)
		free(file->requests[i].bytes);
	free(file->requests);
	*file = (struct policy_file){0};
}

static void yaml_freep(struct sl_yaml **yaml)
{
	sl_yaml_free(*yaml);
}

int policy_file_load(const char *path, struct policy_file *out, struct sl_error *err)
{
	static const char *const keys[] = {"sessions", NULL};
	_cleanup_(yaml_freep) struct sl_yaml *yaml = NULL;
	_cleanup_(policy_file_free) struct policy_file file = {0};
	struct sl_yaml_node root, sessions;
	size_t count, i;
	int ret;

	ret = sl_yaml_load(path, &yaml, err);
	if (ret < 0)
		return ret;
	root = sl_yaml_root(yaml);
	sessions = sl_yaml_get(root, "sessions");
	if ((ret = sl_yaml_mapping(root, keys, err)) < 0 ||
	    (ret = sl_yaml_require(root, "sessions", err)) < 0 ||
	    (ret = sl_yaml_sequence(sessions, POLICY_FILE_SESSIONS, &count, err)) < 0)
		return ret;
	file.requests = calloc(2 * count + 1, sizeof(*file.requests));
	if (!file.requests)
		return sl_error(err, ENOMEM, "%s: out of memory", path);
	for (i = 0; i < count; i++) {
		struct arena arena = {NULL};

		ret = read_session(&arena, sl_yaml_item(sessions, i), &file, err);
		arena_release(&arena);
		if (ret < 0)
			return ret;
	}
	*out = file;
	file = (struct policy_file){0};
	return 0;
}
