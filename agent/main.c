// SPDX-License-Identifier: Apache-2.0
/* sluiced: wires the parts together and runs them on one event loop. */
#include <errno.h>
#include <event2/event.h>
#include <getopt.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "api/health.h"
#include "api/reflection.h"
#include "api/reports.h"
#include "api/service.h"
#include "api/watch.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "control/control.h"
#include "datapath/datapath.h"
#include "datapath/grace.h"
#include "qos/qos.h"

/* A chunk of this many classes takes some milliseconds even in a large pool. */
#define POOL_CHUNK	16
#define POOL_PERIOD_MS	5
#define POOL_AT_START	512
#define POOL_RETRY_MS	5000
#define EMPTY_REPORT_MS 3000 /* before Setup, as pipelined does */

struct agent {
	struct sl_config config;
	struct event_base *base;
	struct event *events[8];
	size_t event_count;
	struct event *pool_timer;
	struct sl_datapath *datapath;
	bool adopted; /* an earlier run's state, which a failed start must leave alone */
	struct sl_qos *qos;
	struct sl_grace *grace;
	struct sl_control *control;
	struct sl_grpc_server *server;
	struct sl_health *health;
	struct sl_reports *reports;
	struct sl_service service;
};

static struct timeval in_ms(uint32_t ms)
{
	return (struct timeval){.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};
}

/* --- configuration of the parts --------------------------------------------------- */

static void datapath_config(const struct sl_config *from, struct sl_datapath_config *out)
{
	static const enum sl_datapath_mode modes[] = {
		[SL_CONFIG_MODE_AUTO] = SL_MODE_AUTO,
		[SL_CONFIG_MODE_TC] = SL_MODE_TC,
		[SL_CONFIG_MODE_XDP] = SL_MODE_XDP,
	};
	const struct sl_config_interfaces *roles[] = {
		[SL_ROLE_ACCESS] = &from->access, [SL_ROLE_CORE] = &from->core};

	*out = (struct sl_datapath_config){
		.mode = modes[from->mode],
		.unknown_drop = from->unknown_subscriber == SL_UNKNOWN_DROP,
		.limits =
			{
				.sessions = from->limits.sessions,
				.usage = from->limits.usage,
				.rules = from->limits.rules,
				.flows = from->limits.flows,
				.matches = from->limits.matches,
				.bindings = from->limits.bindings,
			},
	};
	snprintf(out->pin_path, sizeof(out->pin_path), "%s", from->pin_path);
	for (int role = SL_ROLE_ACCESS; role <= SL_ROLE_CORE; role++) {
		for (unsigned int i = 0; i < roles[role]->count; i++) {
			memcpy(out->device[out->device_count].name, roles[role]->list[i].name,
			       sizeof(out->device[0].name));
			out->device[out->device_count++].role = (enum sl_device_role)role;
		}
	}
}

static void qos_config(const struct sl_config *from, struct sl_qos_config *out)
{
	const struct sl_config_interfaces *sides[] = {
		[SLUICE_UPLINK] = &from->core, [SLUICE_DOWNLINK] = &from->access};

	*out = (struct sl_qos_config){
		.link_rate = from->qos.link_rate,
		.default_rate = from->qos.default_rate,
		.pool_size = from->qos.pool,
	};
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		for (unsigned int i = 0; i < sides[direction]->count; i++) {
			const char *name = sides[direction]->list[i].name;
			unsigned int at = out->devices[direction].count;

			out->devices[direction].ifindex[at] = if_nametoindex(name);
			/* gone since the configuration was checked, or not checked because all is to go */
			if (out->devices[direction].ifindex[at] == 0)
				continue;
			memcpy(out->devices[direction].name[at], name,
			       sizeof(out->devices[direction].name[at]));
			out->devices[direction].count++;
		}
	}
}

/* --- events of the loop ------------------------------------------------------------- */

static void on_signal(evutil_socket_t number, short what, void *user)
{
	struct agent *agent = user;

	(void)what;
	sl_log(SL_LOG_INFO, "stopping", "signal", "%s", strsignal((int)number), "enforcement", "%s", "stays",
	       NULL);
	event_base_loopexit(agent->base, NULL);
}

static void on_grace(evutil_socket_t fd, short what, void *user)
{
	struct agent *agent = user;

	(void)fd;
	(void)what;
	sl_grace_collect(agent->grace);
}

static void on_drop(const struct sluice_drop_event *event, void *user)
{
	struct agent *agent = user;

	sl_watch_drop(agent->service.watchers, event);
}

static void on_datapath_events(evutil_socket_t fd, short what, void *user)
{
	struct agent *agent = user;

	(void)fd;
	(void)what;
	sl_events_consume(agent->datapath, on_drop, agent);
}

static void on_second(evutil_socket_t fd, short what, void *user)
{
	struct agent *agent = user;

	(void)fd;
	(void)what;
	sl_control_expire(agent->control);
}

static void on_pool_timer(evutil_socket_t fd, short what, void *user)
{
	struct sl_qos_pool_status status;
	struct agent *agent = user;
	struct timeval again;
	struct sl_error err;
	int rc;

	(void)fd;
	(void)what;
	rc = sl_qos_build(agent->qos, POOL_CHUNK, &err);
	if (rc == 0) {
		for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
			const char *name = direction == SLUICE_UPLINK ? "classes-uplink" : "classes-downlink";

			sl_qos_pool_status(agent->qos, direction, &status);
			sl_log(SL_LOG_INFO, "pool-ready", "pool", "%s", name, "size", "%u", status.size,
			       NULL);
			sl_watch_pool(agent->service.watchers, name, "ready", status.used, status.size);
		}
		return;
	}
	if (rc < 0)
		sl_log(SL_LOG_ERROR, "pool-build-failed", "reason", "%s", err.text, NULL);
	again = in_ms(rc < 0 ? POOL_RETRY_MS : POOL_PERIOD_MS);
	event_add(agent->pool_timer, &again);
}

static void on_control_event(const struct sl_control_event *event, void *user)
{
	static const char *const names[] = {
		[SL_EVENT_SESSION_ACTIVATED] = "session-activated",
		[SL_EVENT_SESSION_UPDATED] = "session-updated",
		[SL_EVENT_SESSION_ENDED] = "session-ended",
	};
	struct agent *agent = user;
	char address[SL_ADDRESS_TEXT];

	if (event->type == SL_EVENT_RULE_FAILED) {
		sl_log(SL_LOG_WARNING, "rule-failed", "imsi", "%s", event->imsi, "rule", "%s", event->rule_id,
		       "version", "%u", event->version, "reason", "%s", event->reason, NULL);
	} else if (event->type == SL_EVENT_RULE_EXPIRED) {
		sl_log(SL_LOG_INFO, "rule-expired", "imsi", "%s", event->imsi, "rule", "%s", event->rule_id,
		       "version", "%u", event->version, NULL);
	} else if (sl_log_level() >= SL_LOG_DEBUG) {
		sl_address_format(event->address, address);
		sl_log(SL_LOG_DEBUG, names[event->type], "imsi", "%s", event->imsi, "address", "%s", address,
		       "rules", "%u", event->rules, "reason", "%s", event->reason ? event->reason : "", NULL);
	}
	if (agent->service.watchers)
		sl_watch_session(agent->service.watchers, event);
}

/* --- start and end -------------------------------------------------------------------- */

static int detach_all(uint32_t *hooks, struct sl_error *err, void *user)
{
	struct sl_hook_status status[2 * SL_DATAPATH_DEVICES * 3];
	struct agent *agent = user;
	size_t count = sl_datapath_hooks(agent->datapath, status, SL_ARRAY_SIZE(status));
	int rc;

	rc = sl_datapath_detach(agent->datapath, err);
	if (rc == 0 && agent->qos)
		rc = sl_qos_remove(agent->qos, err);
	if (rc < 0)
		return rc;
	event_del(agent->pool_timer);
	for (size_t i = 0; i < count; i++)
		*hooks += status[i].attached;
	sl_log(SL_LOG_INFO, "detached", "hooks", "%u", *hooks, NULL);
	return 0;
}

static void quit(void *user)
{
	struct timeval soon = in_ms(100); /* the answer goes out first */

	event_base_loopexit(((struct agent *)user)->base, &soon);
}

static int add_event(struct agent *agent, int fd, short what, event_callback_fn callback,
		     struct sl_error *err)
{
	struct event *event = event_new(agent->base, fd, (short)(what | EV_PERSIST), callback, agent);

	if (!event || event_add(event, NULL) < 0)
		return sl_error(err, ENOMEM, "out of memory");
	agent->events[agent->event_count++] = event;
	return 0;
}

static int start_qos(struct agent *agent, struct sl_error *err)
{
	struct timeval now = {0};
	struct sl_qos_config config;
	int rc;

	qos_config(&agent->config, &config);
	rc = sl_qos_open(&config, &agent->qos, err);
	if (rc < 0)
		return rc;
	/* the first activations need queues at once, and so do sessions that are adopted; the rest can wait
	 */
	for (uint32_t built = 0; agent->adopted || built < POOL_AT_START; built += POOL_CHUNK) {
		rc = sl_qos_build(agent->qos, POOL_CHUNK, err);
		if (rc < 0)
			return rc;
		if (rc == 0)
			break;
	}
	agent->pool_timer = event_new(agent->base, -1, 0, on_pool_timer, agent);
	if (!agent->pool_timer || event_add(agent->pool_timer, &now) < 0)
		return sl_error(err, ENOMEM, "out of memory");
	return 0;
}

static int start_control(struct agent *agent, struct sl_error *err)
{
	struct sl_control_config config = {
		.datapath = agent->datapath,
		.qos = agent->qos,
		.keep_retired = agent->config.session_manager.configured,
		.on_event = on_control_event,
		.user = agent,
	};
	int rc;

	rc = sl_grace_new(&agent->grace, err);
	if (rc < 0)
		return rc;
	config.grace = agent->grace;
	return sl_control_new(&config, agent->adopted, &agent->control, err);
}

/* The last directory of the socket's path, which only its owner may enter. */
static int make_socket_directory(const char *socket, struct sl_error *err)
{
	char path[sizeof(((struct sl_config *)NULL)->api.socket)];
	char *slash;

	snprintf(path, sizeof(path), "%s", socket);
	slash = strrchr(path, '/');
	if (!slash || slash == path)
		return 0;
	*slash = '\0';
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return sl_error(err, errno, "api.socket: cannot make the directory %s: %s", path,
				strerror(errno));
	return 0;
}

static int listen_api(struct agent *agent, struct sl_error *err)
{
	int rc;

	rc = make_socket_directory(agent->config.api.socket, err);
	if (rc < 0)
		return rc;
	rc = sl_grpc_server_new(agent->base, NULL, &agent->server, err);
	if (rc == 0)
		rc = sl_grpc_listen_unix(agent->server, agent->config.api.socket, err);
	if (rc == 0)
		rc = sl_grpc_listen_tcp(agent->server, agent->config.api.tcp, NULL, err);
	return rc;
}

static int register_services(struct agent *agent, struct sl_error *err)
{
	int rc;

	rc = sl_pipelined_register(&agent->service);
	if (rc == 0)
		rc = sl_admin_register(&agent->service);
	if (rc == 0)
		rc = sl_reflection_register(agent->server);
	if (rc == 0)
		rc = sl_health_new(agent->server, &agent->health);
	if (rc == 0)
		rc = sl_health_set(agent->health, "", true);
	if (rc == 0)
		rc = sl_health_set(agent->health, "magma.lte.Pipelined", true);
	if (rc < 0)
		return sl_error(err, -rc, "cannot register the services: %s", strerror(-rc));
	return 0;
}

/* A session manager tells starts apart by their epochs, also two within one second. */
static uint64_t next_epoch(struct agent *agent)
{
	struct sluice_settings *settings = sl_datapath_maps(agent->datapath)->settings;
	uint32_t now = (uint32_t)time(NULL);

	settings->epoch = now > settings->epoch ? now : settings->epoch + 1;
	return settings->epoch;
}

/*
 * The sockets first: they tell whether another agent is running, before
 * anything in the kernel is touched. Calls are answered when the loop runs.
 */
static int start(struct agent *agent, struct sl_error *err)
{
	struct sl_datapath_config datapath;
	int rc;

	agent->base = event_base_new();
	if (!agent->base)
		return sl_error(err, ENOMEM, "cannot make an event loop");
	rc = listen_api(agent, err);
	if (rc < 0)
		return rc;
	datapath_config(&agent->config, &datapath);
	rc = sl_datapath_open(&datapath, &agent->datapath, &agent->adopted, err);
	if (rc == 0)
		rc = start_qos(agent, err);
	if (rc == 0)
		rc = start_control(agent, err);
	if (rc == 0)
		rc = sl_datapath_attach(agent->datapath, err);
	if (rc < 0)
		return rc;

	agent->service = (struct sl_service){
		.server = agent->server,
		.datapath = agent->datapath,
		.qos = agent->qos,
		.control = agent->control,
		.unknown_drop = agent->config.unknown_subscriber == SL_UNKNOWN_DROP,
		.epoch = next_epoch(agent),
		.started_ms = sl_now_ns() / 1000000,
		.setup_done = agent->config.startup == SL_STARTUP_SERVE,
		.detach = detach_all,
		.quit = quit,
		.user = agent,
	};
	if (sl_watchers_new(&agent->service, &agent->service.watchers) < 0)
		return sl_error(err, ENOMEM, "out of memory");
	rc = register_services(agent, err);
	if (rc == 0 && agent->config.session_manager.configured)
		rc = sl_reports_new(agent->base, &agent->service, agent->config.session_manager.address,
				    agent->config.session_manager.report_interval_ms, &agent->reports, err);
	if (rc == 0)
		rc = add_event(agent, SIGTERM, EV_SIGNAL, on_signal, err);
	if (rc == 0)
		rc = add_event(agent, SIGINT, EV_SIGNAL, on_signal, err);
	if (rc == 0)
		rc = add_event(agent, sl_grace_fd(agent->grace), EV_READ, on_grace, err);
	if (rc == 0)
		rc = add_event(agent, -1, 0, on_second, err);
	if (rc == 0)
		rc = add_event(agent, sl_events_fd(agent->datapath), EV_READ, on_datapath_events, err);
	return rc;
}

static void stop(struct agent *agent)
{
	if (agent->pool_timer)
		event_free(agent->pool_timer);
	for (size_t i = 0; i < agent->event_count; i++)
		event_free(agent->events[i]);
	if (agent->datapath)
		sl_watch_drops(agent->datapath, false);
	sl_reports_free(agent->reports);
	sl_grpc_server_free(agent->server);
	sl_health_free(agent->health);
	sl_watchers_free(agent->service.watchers);
	sl_control_free(agent->control);
	sl_grace_free(agent->grace);
	sl_qos_close(agent->qos);
	sl_datapath_close(agent->datapath);
	if (agent->base)
		event_base_free(agent->base);
}

/* A start that fails has changed nothing: what this one made goes, what was adopted stays. */
static void undo_start(struct agent *agent)
{
	struct sl_error err = {{0}};

	if (agent->adopted || !agent->datapath)
		return;
	if (agent->qos && sl_qos_remove(agent->qos, &err) < 0)
		sl_log(SL_LOG_ERROR, "undo-failed", "reason", "%s", err.text, NULL);
	if (sl_datapath_detach(agent->datapath, &err) < 0)
		sl_log(SL_LOG_ERROR, "undo-failed", "reason", "%s", err.text, NULL);
}

static int run(struct agent *agent)
{
	struct sl_error err = {{0}};
	int rc;

	rc = start(agent, &err);
	if (rc == 0) {
		sl_log(SL_LOG_INFO, "ready", "version", "%s", SLUICE_VERSION, "epoch", "%llu",
		       (unsigned long long)agent->service.epoch, "sessions", "%u",
		       sl_control_known_sessions(agent->control), "setup", "%s",
		       agent->service.setup_done ? "serving" : "waiting", NULL);
		event_base_dispatch(agent->base);
	} else {
		sl_log(SL_LOG_ERROR, "start-failed", "reason", "%s", err.text, NULL);
		undo_start(agent);
	}
	stop(agent);
	return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Without a running agent: what the pins and the configuration name is taken away. */
static int detach_offline(const struct sl_config *config)
{
	struct sl_qos_config qos_settings;
	struct sl_qos *qos = NULL;
	struct sl_error err = {{0}};
	int rc;

	rc = sl_datapath_remove(config->pin_path, &err);
	if (rc == 0) {
		qos_config(config, &qos_settings);
		/* without a pool to make room for, what others have put on a device is not in the way */
		qos_settings.pool_size = 0;
		rc = sl_qos_open(&qos_settings, &qos, &err);
		sl_qos_close(qos);
	}
	if (rc < 0) {
		fprintf(stderr, "sluiced: %s\n", err.text);
		return EXIT_FAILURE;
	}
	printf("sluiced: nothing of sluice is left on %s\n", config->pin_path);
	return EXIT_SUCCESS;
}

static void usage(FILE *out)
{
	fputs("Usage: sluiced --config FILE [--check | --detach]\n"
	      "       sluiced --version\n"
	      "\n"
	      "  --config FILE  the configuration (YAML); deploy/sluice.yaml shows every key\n"
	      "  --check        only say whether the configuration is good\n"
	      "  --detach       remove programs, queues, maps and pins of an agent that is not running\n"
	      "\n"
	      "SIGTERM ends the agent and leaves enforcement in place.\n"
	      "Exit: 0 ended well, 1 could not start or detach, 2 bad arguments or configuration.\n",
	      out);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'}, {"check", no_argument, NULL, 'k'},
		{"detach", no_argument, NULL, 'd'},	  {"version", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'},	  {NULL, 0, NULL, 0},
	};
	_cleanup_free_ struct agent *agent = calloc(1, sizeof(*agent));
	const char *config = NULL;
	bool check = false, detach = false;
	struct sl_error err = {{0}};
	int option, rc;

	while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			config = optarg;
			break;
		case 'k':
			check = true;
			break;
		case 'd':
			detach = true;
			break;
		case 'v':
			puts("sluiced " SLUICE_VERSION);
			return EXIT_SUCCESS;
		case 'h':
			usage(stdout);
			return EXIT_SUCCESS;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (!config || optind != argc || (check && detach) || !agent) {
		if (!config)
			fputs("sluiced: --config is missing\n", stderr);
		usage(stderr);
		return 2;
	}
	rc = sl_config_load(config, &agent->config, &err);
	if (rc == 0 && !detach)
		rc = sl_config_check_interfaces(&agent->config, &err);
	if (rc < 0) {
		fprintf(stderr, "sluiced: %s\n", err.text);
		return 2;
	}
	if (check) {
		printf("sluiced: %s is good\n", config);
		return EXIT_SUCCESS;
	}
	if (detach)
		return detach_offline(&agent->config);
	sl_log_set_level(agent->config.log_level);
	signal(SIGPIPE, SIG_IGN);
	return run(agent);
}
