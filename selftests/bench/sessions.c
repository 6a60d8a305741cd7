// SPDX-License-Identifier: Apache-2.0
/*
 * Q6: how fast sessions with an AMBR that is policed are made, changed and ended, by
 * direct calls of agent/control on the real maps, hooks attached, collecting what a
 * grace period frees as the agent's loop does. Q9: what sessions that do nothing cost
 * the kernel in memory, and the packets of others in time.
 */
#include <poll.h>
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

#define SESSIONS     100000u
#define FEW	     1000u
#define ROUNDS	     9
#define PACKETS	     300000u
#define GOAL	     100000.0 /* calls/s */
#define GOAL_ONE     100.0    /* us */
#define GOAL_MEMORY  512.0    /* bytes, of a session and direction */
#define COLLECT_EACH 64

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

static void start(struct agent *agent)
{
	struct sl_datapath_config config = {
		.mode = SL_MODE_TC,
		.unknown_drop = true,
		.limits = {.sessions = SESSIONS,
			   .usage = SESSIONS * 2 + 16384,
			   .rules = 64,
			   .flows = 128,
			   .matches = 4096,
			   .bindings = 64,
			   .meters = SESSIONS * 2 + 16384,
			   .quotas = 64},
		.device = {{.name = BENCH_ACCESS, .role = SL_ROLE_ACCESS},
			   {.name = BENCH_CORE, .role = SL_ROLE_CORE}},
		.device_count = 2,
	};
	struct sl_control_config control = {.backend = SL_RATE_POLICE};
	struct sl_error err = {0};
	bool adopted;

	snprintf(config.pin_path, sizeof(config.pin_path), "/sys/fs/bpf/sluice-bench-%d-sessions", getpid());
	check(sl_datapath_open(&config, &agent->datapath, &adopted, &err), "datapath", &err);
	check(sl_datapath_attach(agent->datapath, &err), "attach", &err);
	check(sl_grace_new(&agent->grace, &err), "grace", &err);
	control.datapath = agent->datapath;
	control.grace = agent->grace;
	check(sl_control_new(&control, false, &agent->control, &err), "control", &err);
}

static void end(struct agent *agent)
{
	struct sl_error err = {0};

	sl_control_free(agent->control);
	sl_grace_free(agent->grace);
	check(sl_datapath_detach(agent->datapath, &err), "detach", &err);
	sl_datapath_close(agent->datapath);
}

static void collect(struct agent *agent)
{
	struct pollfd ready = {.fd = sl_grace_fd(agent->grace), .events = POLLIN};

	if (poll(&ready, 1, 0) > 0)
		sl_grace_collect(agent->grace);
}

static void name(uint32_t session, char imsi[SLUICE_IMSI_SIZE], struct sl_address *address)
{
	uint32_t number = BENCH_FIRST_ADDRESS + session;

	snprintf(imsi, SLUICE_IMSI_SIZE, "00101%010u", session);
	*address = (struct sl_address){.family = 4,
				       .bytes = {(uint8_t)(number >> 24), (uint8_t)(number >> 16),
						 (uint8_t)(number >> 8), (uint8_t)number}};
}

/* One rule that permits everything, the same for all, and an AMBR. */
static void put(struct agent *agent, uint32_t session, uint64_t ambr)
{
	static struct sluice_flow flows[SLUICE_DIRECTIONS];
	static struct sl_rule rule = {.id = "all", .precedence = 1, .flows = flows, .flow_count = 2};
	struct sl_rule_request request = {.rule = &rule, .id = rule.id, .version = 1};
	struct sl_session_request asked = {
		.rules = &request, .rule_count = 1, .has_ambr = true, .ambr = {ambr, ambr}};
	struct sl_error err = {0};

	rule.record = SLUICE_NONE;
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++)
		flows[direction] = (struct sluice_flow){.direction = (uint8_t)direction,
							.action = SLUICE_PERMIT,
							.remote_port_high = UINT16_MAX,
							.local_port_high = UINT16_MAX};
	name(session, asked.imsi, &asked.address);
	check(sl_control_activate(agent->control, &asked, &err), "activation", &err);
	check(request.result, "rule", &request.error);
}

static void make(struct agent *agent, uint32_t session)
{
	put(agent, session, 10000000);
}

static void change(struct agent *agent, uint32_t session)
{
	put(agent, session, 20000000);
}

static void finish(struct agent *agent, uint32_t session)
{
	struct sl_deactivation asked = {.gx = true, .gy = true, .end_session = true};
	struct sl_error err = {0};

	name(session, asked.imsi, &asked.address);
	check(sl_control_deactivate(agent->control, &asked, NULL, &err), "deactivation", &err);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The calls one after the other as fast as they go, what is collected between them included. */
static void measure(FILE *rows, struct agent *agent, const char *what,
		    void (*call)(struct agent *agent, uint32_t session))
{
	static double us[SESSIONS];
	uint64_t begin = sl_now_ns(), last = begin;
	double per_second, p99;
	char mode[64];

	for (uint32_t s = 0; s < SESSIONS; s++) {
		uint64_t now;

		call(agent, s);
		now = sl_now_ns();
		us[s] = (double)(now - last) / 1e3;
		if (s % COLLECT_EACH == 0)
			collect(agent);
		last = sl_now_ns();
	}
	per_second = SESSIONS / ((double)(last - begin) / 1e9);
	qsort(us, SESSIONS, sizeof(*us), compare);
	p99 = us[SESSIONS * 99ull / 100];
	printf("%-10s Q6 %-24s %9.0f /s, goal %.0f; one %.1f us, p99 %.1f, goal %.0f\n", "sessions", what,
	       per_second, GOAL, us[SESSIONS / 2], p99, GOAL_ONE);
	snprintf(mode, sizeof(mode), "Q6 sessions %s", what);
	bench_row(rows, "sessions", mode, per_second, "calls/s", "its goal, at least", GOAL,
		  per_second / GOAL);
	snprintf(mode, sizeof(mode), "Q6 a session %s, p99", what);
	bench_row(rows, "sessions", mode, p99, "us", "its goal", GOAL_ONE, p99 / GOAL_ONE);
}

/* Values (and keys) of all slots in use, by the maps that they are in. */
static double memory(struct agent *agent)
{
	static const struct {
		const char *pool;
		size_t bytes;
	} parts[] = {
		{"sessions", sizeof(struct sluice_session_record) +
				     /* the endpoint, and its place in the index: 8 of a bucket, half full */
				     sizeof(struct sluice_ip4) + sizeof(struct sluice_endpoint) +
				     sizeof(struct sluice_index4) / 2},
		{"policies", sizeof(struct sluice_policy)},
		{"usage", sizeof(struct sluice_usage) + sizeof(struct sluice_usage_owner)},
		{"meters", sizeof(struct sluice_meter)},
		{"bindings", sizeof(struct sluice_binding)},
		{"matches4", sizeof(struct sluice_match4) * SLUICE_MATCH_BLOCK},
		{"branches", sizeof(struct sluice_branch)},
		{"rules", sizeof(struct sluice_rule_record)},
		{"flows", sizeof(struct sluice_flow)},
	};
	struct sl_fill fills[32];
	size_t count = sl_control_fill(agent->control, fills, 32), found = 0;
	double bytes = 0;

	for (size_t i = 0; i < count; i++) {
		for (size_t p = 0; p < SL_ARRAY_SIZE(parts); p++) {
			if (strcmp(fills[i].name, parts[p].pool) != 0)
				continue;
			printf("%-10s    %-10s %8lu of %zu bytes\n", "sessions", fills[i].name,
			       (unsigned long)fills[i].used, parts[p].bytes);
			bytes += (double)fills[i].used * (double)parts[p].bytes;
			found++;
		}
	}
	if (found != SL_ARRAY_SIZE(parts))
		bench_die("of %zu maps the agent names %zu", SL_ARRAY_SIZE(parts), found);
	return bytes;
}

/* CPU ns of a packet of the first sessions; dies if they do not all arrive. */
static double packet(struct bench *bench, const struct rig *rig)
{
	struct rig_sample sample = rig_send(bench, rig, FEW, BENCH_FIRST_PORT, BENCH_RULES, PACKETS);

	if (sample.arrived != sample.sent)
		bench_die("of %lu packets %lu arrived", (unsigned long)sample.sent,
			  (unsigned long)sample.arrived);
	return sample.cpu_ns / (double)sample.arrived;
}

static void each(struct agent *agent, uint32_t from, void (*call)(struct agent *agent, uint32_t session))
{
	for (uint32_t s = from; s < SESSIONS; s++) {
		call(agent, s);
		if (s % COLLECT_EACH == 0)
			collect(agent);
	}
	sl_grace_drain(agent->grace);
}

/* By turns with few sessions in force and with all, so that a busy machine is one for both. */
static void measure_packets(FILE *rows, struct bench *bench, const struct rig *rig, struct agent *agent)
{
	double few[ROUNDS], all[ROUNDS], a, b;

	for (uint32_t s = 0; s < FEW; s++)
		put(agent, s, 100000000000);
	packet(bench, rig);
	for (int i = 0; i < ROUNDS; i++) {
		few[i] = packet(bench, rig);
		each(agent, FEW, make);
		if (i == 0) {
			double bytes = memory(agent) / SESSIONS / SLUICE_DIRECTIONS;

			printf("%-10s Q9 memory of a session and direction %.0f bytes, goal %.0f\n",
			       "sessions", bytes, GOAL_MEMORY);
			bench_row(rows, "sessions", "Q9 maps, of a session and direction", bytes, "bytes",
				  "its goal", GOAL_MEMORY, bytes / GOAL_MEMORY);
		}
		all[i] = packet(bench, rig);
		each(agent, FEW, finish);
	}
	a = bench_median(few, ROUNDS);
	b = bench_median(all, ROUNDS);
	printf("%-10s Q9 a packet of %u sessions %.0f ns, with %u idle ones beside them %.0f ns: %+.1f %%, "
	       "goal "
	       "5\n",
	       "sessions", FEW, a, SESSIONS - FEW, b, (b / a - 1) * 100);
	bench_row(rows, "sessions", "Q9 a packet beside 99,000 idle sessions", b, "ns",
		  "1,000 sessions alone", a, b / a);
}

int main(int argc, char **argv)
{
	_cleanup_file_ FILE *rows = bench_rows_open(argc > 1 ? argv[1] : "/dev/null");
	struct bench *bench = bench_new(-1);
	struct agent agent = {0};
	struct rig rig;

	sl_log_set_level(SL_LOG_ERROR);
	rig_new(bench, &rig);
	rig_enter(bench, &rig, RIG_GATEWAY);
	start(&agent);
	measure(rows, &agent, "made", make);
	measure(rows, &agent, "changed", change);
	measure(rows, &agent, "ended", finish);
	sl_grace_drain(agent.grace);
	rig_leave(bench);
	measure_packets(rows, bench, &rig, &agent);
	rig_enter(bench, &rig, RIG_GATEWAY);
	end(&agent);
	rig_leave(bench);
	rig_free(&rig);
	bench_free(bench);
	return 0;
}
