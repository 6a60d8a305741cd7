// SPDX-License-Identifier: Apache-2.0
#include "gateway.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "datapath/datapath.h"
#include "policy/address.h"
#include "policy/compile.h"
#include "policy/rule.h"

/* Slots of one session, in a row: its default drop, then its rules. */
#define SLOTS_PER_SESSION (BENCH_RULES + 1)

struct gateway_sluice {
	struct sl_datapath *datapath;
	uint32_t subscribers;
};

static void check(int error, const char *what, const struct sl_error *err)
{
	if (error < 0)
		bench_die("%s: %s", what, err->text[0] ? err->text : strerror(-error));
}

/* What BENCH_RULES rules compile to: the image that every session gets. */
static void compile(struct sl_ruleset_image *image)
{
	struct sluice_flow flows[BENCH_RULES] = {0};
	struct sl_rule rules[BENCH_RULES] = {0};
	struct sl_install installs[BENCH_RULES] = {0};
	struct sl_error err = {0};

	for (uint32_t r = 0; r < BENCH_RULES; r++) {
		flows[r] = (struct sluice_flow){
			.direction = SLUICE_UPLINK,
			.action = SLUICE_PERMIT,
			.family = 4,
			.protocol = 17,
			.remote_port_low = (uint16_t)(BENCH_FIRST_PORT + r),
			.remote_port_high = (uint16_t)(BENCH_FIRST_PORT + r),
			.local_port_high = 65535,
		};
		snprintf(rules[r].id, sizeof(rules[r].id), "rule-%u", r);
		rules[r].precedence = r;
		rules[r].flow_count = 1;
		rules[r].flows = &flows[r];
		check(sl_rule_validate(&rules[r], &err), rules[r].id, &err);
		installs[r] = (struct sl_install){.rule = &rules[r], .version = 1};
	}
	check(sl_compile(installs, BENCH_RULES, &(struct sl_address){.family = 4}, image, &err), "compile",
	      &err);
}

static void fill_session(struct sl_datapath *datapath, uint32_t session, uint32_t block,
			 const struct sl_ruleset_image *image)
{
	struct sl_maps *maps = sl_datapath_maps(datapath);
	uint32_t first_usage = session * SLOTS_PER_SESSION;
	uint32_t number = BENCH_FIRST_ADDRESS + session;
	struct sluice_endpoint endpoint = {.policy = session, .session = session};
	struct sl_address address = {
		.family = 4,
		.bytes = {(uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8),
			  (uint8_t)number},
	};
	struct sluice_policy *policy = &maps->policies[session];
	struct sluice_session_record *record = &maps->sessions[session];
	struct sl_error err = {0};

	*policy = (struct sluice_policy){
		.session = session,
		.uplink_block = block,
		.downlink_block = SLUICE_NONE,
		.uplink_count = (uint16_t)image->list[SLUICE_UPLINK].count,
		.default_usage = first_usage,
		.bindings = SLUICE_NONE,
		.endpoint_tag = sl_address_tag(&address),
		.rules = BENCH_RULES,
	};
	for (uint32_t r = 0; r < BENCH_RULES; r++)
		policy->binding[r].usage = first_usage + 1 + r;
	snprintf(endpoint.imsi, sizeof(endpoint.imsi), "00101%010u", session);
	record->state = SLUICE_SESSION_ACTIVE;
	record->family = 4;
	record->default_usage = first_usage;
	memcpy(record->imsi, endpoint.imsi, sizeof(record->imsi));
	memcpy(record->address, address.bytes, sizeof(record->address));
	check(sl_endpoint_set(datapath, &address, &endpoint, &err), "endpoint", &err);
}

struct gateway_sluice *gateway_sluice_new(const struct bench *bench, const struct rig *rig, bool xdp,
					  bool own, uint32_t subscribers)
{
	struct gateway_sluice *gateway = calloc(1, sizeof(*gateway));
	struct sl_datapath_config config = {
		.mode = xdp ? SL_MODE_XDP : SL_MODE_TC,
		.unknown_drop = true,
		.limits = {.sessions = subscribers,
			   .usage = subscribers * SLOTS_PER_SESSION,
			   .rules = BENCH_RULES,
			   .flows = BENCH_RULES,
			   .matches = own ? subscribers : 1,
			   .bindings = 1,
			   .meters = 1},
		.device = {{.name = BENCH_ACCESS, .role = SL_ROLE_ACCESS},
			   {.name = BENCH_CORE, .role = SL_ROLE_CORE}},
		.device_count = 2,
	};
	struct sl_ruleset_image image;
	struct sl_error err = {0};
	bool adopted;

	if (!gateway)
		bench_die("out of memory");
	sl_log_set_level(SL_LOG_ERROR);
	gateway->subscribers = subscribers;
	snprintf(config.pin_path, sizeof(config.pin_path), "/sys/fs/bpf/sluice-bench-%d-%s", getpid(),
		 xdp ? "xdp" : "tc");
	compile(&image);
	rig_enter(bench, rig, RIG_GATEWAY);
	check(sl_datapath_open(&config, &gateway->datapath, &adopted, &err), "datapath", &err);
	for (uint32_t s = 0; s < subscribers; s++) {
		uint32_t block = own ? s : 0;

		sl_datapath_maps(gateway->datapath)->matches4[block] = image.list[SLUICE_UPLINK].block4[0];
		fill_session(gateway->datapath, s, block, &image);
	}
	check(sl_datapath_attach(gateway->datapath, &err), "attach", &err);
	rig_leave(bench);
	sl_ruleset_image_clear(&image);
	return gateway;
}

uint64_t gateway_sluice_packets(const struct gateway_sluice *gateway)
{
	const struct sluice_usage *usage = sl_datapath_maps(gateway->datapath)->usage;
	uint64_t packets = 0;

	for (uint32_t i = 0; i < gateway->subscribers * SLOTS_PER_SESSION; i++)
		packets += usage[i].uplink.packets;
	return packets;
}

void gateway_sluice_free(const struct bench *bench, const struct rig *rig, struct gateway_sluice *gateway)
{
	struct sl_error err = {0};

	rig_enter(bench, rig, RIG_GATEWAY);
	check(sl_datapath_detach(gateway->datapath, &err), "detach", &err);
	sl_datapath_close(gateway->datapath);
	rig_leave(bench);
	free(gateway);
}
