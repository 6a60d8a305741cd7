// SPDX-License-Identifier: Apache-2.0
#include "rates_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <bpf/bpf.h>
#include <cmocka.h>

#include "base/clock.h"
#include "bpfrun.h"
#include "datapath/internal.h"

const struct rule_spec rates_rules[2] = {
	{.id = "web", .version = 1, .precedence = 10, .remote = WEB "/32"},
	{.id = "video", .version = 1, .precedence = 20, .remote = VIDEO "/32"},
};

const struct sl_control_config rates_police = {.backend = SL_RATE_POLICE, .keep_retired = true};
const struct sl_control_config rates_auto = {.backend = SL_RATE_AUTO, .keep_retired = true};

void rates_start(struct world *world, bool adopted, const struct sl_control_config *config, uint32_t classes)
{
	struct sl_datapath_limits limits = fixture_config().limits;

	world_start_with(world, adopted, config, &limits, classes);
}

int rates_try(struct world *world, struct activation *activation, const char *address,
	      const struct rule_spec *specs, size_t count, const struct rates *rates, struct sl_error *err)
{
	world_fill(activation, IMSI_A, address, specs, count);
	for (size_t i = 0; i < count && i < 2; i++) {
		activation->rules[i].mbr[SLUICE_DOWNLINK] = rates->mbr[i];
		activation->rules[i].gbr[SLUICE_DOWNLINK] = rates->gbr[i];
	}
	activation->session.has_ambr = rates->ambr != 0;
	activation->session.ambr[SLUICE_UPLINK] = activation->session.ambr[SLUICE_DOWNLINK] = rates->ambr;
	if (rates->twin)
		assert_int_equal(sl_address_parse("twin", rates->twin, &activation->session.twin, err), 0);
	return sl_control_activate(world->control, &activation->session, err);
}

void rates_activate(struct world *world, const char *address, const struct rule_spec *specs, size_t count,
		    const struct rates *rates)
{
	struct activation activation;
	struct sl_error err = {{0}};

	if (rates_try(world, &activation, address, specs, count, rates, &err) < 0)
		fail_msg("%s", err.text);
	for (size_t i = 0; i < count; i++)
		if (activation.requests[i].result < 0)
			fail_msg("%s: %s", specs[i].id, activation.requests[i].error.text);
}

const struct sluice_binding *rates_binding(struct world *world, const char *address, const char *rule_id)
{
	const struct sl_maps *maps = sl_datapath_maps(world->datapath);
	const struct sluice_policy *policy = world_policy(world, address);

	assert_non_null(policy);
	for (uint32_t i = 0; i < policy->rules; i++)
		if (strcmp(maps->usage_owners[policy->binding[i].usage].rule_id, rule_id) == 0)
			return &policy->binding[i];
	fail_msg("%s has no rule %s", address, rule_id);
	return NULL;
}

struct sluice_meter *rates_meter(struct world *world, uint32_t number)
{
	assert_int_not_equal(number, 0);
	return &sl_datapath_maps(world->datapath)->meters[number - 1];
}

uint32_t rates_ambr_meter(struct world *world, const char *address)
{
	uint32_t number = rates_binding(world, address, "video")->downlink_meter;

	assert_int_equal(rates_meter(world, number)->level, SLUICE_METER_SESSION);
	return number;
}

void rates_assert_rate(struct world *world, uint32_t number, uint64_t bits_per_second)
{
	uint64_t got = sl_meter_bits_per_second(rates_meter(world, number)->rate);

	if (got > bits_per_second + bits_per_second / 1000 + 1 ||
	    got + bits_per_second / 1000 + 1 < bits_per_second)
		fail_msg("%lu bit/s instead of %lu", (unsigned long)got, (unsigned long)bits_per_second);
}

void rates_receive(struct world *world, const char *from, const char *to, uint32_t count)
{
	struct packet packet;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet.data, .repeat = (int)count);

	packet_build(&packet, &(struct packet_spec){.source = from,
						    .destination = to,
						    .protocol = 17,
						    .source_port = 80,
						    .destination_port = 5000,
						    .payload = PAYLOAD});
	opts.data_size_in = (uint32_t)packet.length;
	assert_int_equal(
		bpf_prog_test_run_opts(sl_program_fd(world->datapath, SL_PROGRAM_ACCESS_EGRESS), &opts), 0);
}

const struct sluice_usage *rates_usage(struct world *world, const char *address, const char *rule_id)
{
	return &sl_datapath_maps(world->datapath)->usage[rates_binding(world, address, rule_id)->usage];
}

/* What has passed since `since`: not less than the burst, not more than that, the time's share and a packet.
 */
void rates_assert_policed(uint64_t bytes, uint64_t rate, uint64_t since)
{
	uint64_t most = BURST(rate) + (sl_now_ns() - since) / 1000 * rate / 8000000 + BYTES;

	if (bytes + BYTES < BURST(rate) || bytes > most)
		fail_msg("%lu bytes have passed, expected %lu to %lu", (unsigned long)bytes,
			 (unsigned long)(BURST(rate) - BYTES), (unsigned long)most);
}

void rates_end(struct world *world)
{
	world_deactivate(world, IMSI_A, NULL, NULL, true);
	world_acknowledge_all(world);
	world_assert_nothing_used(world);
	world_stop(world);
}
