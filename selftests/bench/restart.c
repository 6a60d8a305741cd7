// SPDX-License-Identifier: Apache-2.0
/*
 * What a start of the agent takes to adopt what an earlier one left in the maps: sessions that share one list
 * of rules. The baseline is one session with that list.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "control/control.h"
#include "rig.h"
#include "table.h"

#define SESSIONS 2000u
#define RULES	 256u
#define ROUNDS	 5

struct agent {
	struct sl_datapath *datapath;
	struct sl_grace *grace;
	struct sl_control *control;
};

static void check(int error, const char *what, const struct sl_error *err)
{
	if (error < 0)
		bench_die("%s: %s", what, err->text[0] ? err->text : strerror(-error));
}

static void open_datapath(struct agent *agent)
{
	struct sl_datapath_config config = {
		.mode = SL_MODE_TC,
		.unknown_drop = true,
		.limits = {.sessions = SESSIONS,
			   .usage = SESSIONS * (RULES + 1),
			   .rules = 2 * RULES,
			   .flows = 4 * RULES,
			   .matches = 4096,
			   .bindings = SESSIONS * RULES,
			   .meters = 64,
			   .quotas = 64},
		.device = {{.name = BENCH_ACCESS, .role = SL_ROLE_ACCESS},
			   {.name = BENCH_CORE, .role = SL_ROLE_CORE}},
		.device_count = 2,
	};
	struct sl_error err = {0};
	bool adopted;

	snprintf(config.pin_path, sizeof(config.pin_path), "/sys/fs/bpf/sluice-bench-%d-restart", getpid());
	check(sl_datapath_open(&config, &agent->datapath, &adopted, &err), "datapath", &err);
	check(sl_grace_new(&agent->grace, &err), "grace", &err);
}

/* A prefix, a port, a prefix, ...; each in both directions. */
static void make_rules(struct sl_rule *rules, struct sluice_flow (*flows)[SLUICE_DIRECTIONS])
{
	for (uint32_t i = 0; i < RULES; i++) {
		for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
			struct sluice_flow *flow = &flows[i][direction];

			*flow = (struct sluice_flow){.direction = (uint8_t)direction,
						     .action = SLUICE_PERMIT,
						     .remote_port_high = 65535,
						     .local_port_high = 65535};
			if (i % 2) {
				flow->protocol = 17;
				flow->remote_port_low = flow->remote_port_high = (uint16_t)(5000 + i);
				continue;
			}
			flow->family = 4;
			flow->has_remote = 1;
			flow->prefix_length = 24;
			flow->remote[0] = 45;
			flow->remote[1] = (uint8_t)i;
		}
		snprintf(rules[i].id, sizeof(rules[i].id), "rule-%u", i);
		rules[i].precedence = i;
		rules[i].record = SLUICE_NONE;
		rules[i].flow_count = SLUICE_DIRECTIONS;
		rules[i].flows = flows[i];
	}
}

static void activate(struct agent *agent, uint32_t from, uint32_t sessions)
{
	static struct sluice_flow flows[RULES][SLUICE_DIRECTIONS];
	static struct sl_rule rules[RULES];
	static struct sl_rule_request requests[RULES];

	make_rules(rules, flows);
	for (uint32_t s = from; s < sessions; s++) {
		struct sl_session_request session = {.rules = requests, .rule_count = RULES};
		uint32_t number = BENCH_FIRST_ADDRESS + s;
		struct sl_error err = {0};

		session.address = (struct sl_address){
			.family = 4,
			.bytes = {(uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8),
				  (uint8_t)number},
		};
		snprintf(session.imsi, sizeof(session.imsi), "00101%010u", s);
		for (uint32_t i = 0; i < RULES; i++)
			requests[i] =
				(struct sl_rule_request){.rule = &rules[i], .id = rules[i].id, .version = 1};
		check(sl_control_activate(agent->control, &session, &err), "activation", &err);
		for (uint32_t i = 0; i < RULES; i++)
			check(requests[i].result, rules[i].id, &requests[i].error);
	}
}

static void start(struct agent *agent, bool adopt)
{
	struct sl_control_config config = {.datapath = agent->datapath, .grace = agent->grace};
	struct sl_error err = {0};

	check(sl_control_new(&config, adopt, &agent->control, &err), "start", &err);
}

/* Milliseconds of a start that finds so many sessions. */
static double measure(struct agent *agent, uint32_t sessions)
{
	double times[ROUNDS];

	for (int i = 0; i < ROUNDS; i++) {
		uint64_t before;

		sl_control_free(agent->control);
		before = sl_now_ns();
		start(agent, true);
		times[i] = (double)(sl_now_ns() - before) / 1e6;
		if (sl_control_known_sessions(agent->control) != sessions)
			bench_die("%u sessions of %u were adopted", sl_control_known_sessions(agent->control),
				  sessions);
	}
	return bench_median(times, ROUNDS);
}

int main(int argc, char **argv)
{
	_cleanup_file_ FILE *rows = bench_rows_open(argc > 1 ? argv[1] : "/dev/null");
	struct bench *bench = bench_new(-1);
	struct agent agent = {0};
	struct sl_error err = {0};
	struct rig rig;
	double one, all;
	char mode[64];

	sl_log_set_level(SL_LOG_ERROR);
	rig_new(bench, &rig);
	rig_enter(bench, &rig, RIG_GATEWAY);
	open_datapath(&agent);
	start(&agent, false);
	activate(&agent, 0, 1);
	one = measure(&agent, 1);
	activate(&agent, 1, SESSIONS);
	all = measure(&agent, SESSIONS);
	snprintf(mode, sizeof(mode), "%u sessions, one list of %u rules", SESSIONS, RULES);
	printf("%-10s %-36s %8.1f ms %8.1f ms for one session\n", "restart", mode, all, one);
	bench_row(rows, "restart", mode, all, "ms", "one session", one, one > 0 ? all / one : 0);
	sl_control_free(agent.control);
	sl_grace_free(agent.grace);
	check(sl_datapath_detach(agent.datapath, &err), "detach", &err);
	sl_datapath_close(agent.datapath);
	rig_leave(bench);
	rig_free(&rig);
	bench_free(bench);
	return 0;
}
