// SPDX-License-Identifier: Apache-2.0
/* sluiced: reads its arguments and the configuration, and runs the agent. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "config/config.h"
#include "run/agent.h"
#include "run/detach.h"
#include "run/policy.h"

static void usage(FILE *out)
{
	fputs("Usage: sluiced --config FILE [--check | --detach]\n"
	      "       sluiced --version\n"
	      "\n"
	      "  --config FILE  the configuration (YAML); deploy/sluice.yaml shows every key\n"
	      "  --check        only say whether the configuration and the policy directory are good;\n"
	      "                 whether the interfaces exist is looked at when the agent starts\n"
	      "  --detach       remove programs, queues, maps and pins of an agent that is not running\n"
	      "\n"
	      "SIGTERM ends the agent and leaves enforcement in place.\n"
	      "Exit: 0 ended well, 1 could not start or detach, 2 bad arguments or configuration.\n",
	      out);
}

static int detach(const struct sl_config *config)
{
	struct sl_error err = {{0}};

	if (sl_detach_offline(config, &err) < 0) {
		fprintf(stderr, "sluiced: %s\n", err.text);
		return EXIT_FAILURE;
	}
	printf("sluiced: nothing of sluice is left on %s\n", config->pin_path);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'}, {"check", no_argument, NULL, 'k'},
		{"detach", no_argument, NULL, 'd'},	  {"version", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'},	  {NULL, 0, NULL, 0},
	};
	static struct sl_config config;
	const char *path = NULL;
	bool is_check = false, is_detach = false;
	struct sl_error err = {{0}};
	int option, rc;

	while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			path = optarg;
			break;
		case 'k':
			is_check = true;
			break;
		case 'd':
			is_detach = true;
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
	if (!path || optind != argc || (is_check && is_detach)) {
		if (!path)
			fputs("sluiced: --config is missing\n", stderr);
		usage(stderr);
		return 2;
	}
	rc = sl_config_load(path, &config, &err);
	if (rc == 0 && !is_detach && !is_check)
		rc = sl_config_check_interfaces(&config, &err);
	if (rc == 0 && is_check)
		rc = sl_policy_check(&config, &err);
	if (rc < 0) {
		fprintf(stderr, "sluiced: %s\n", err.text);
		return 2;
	}
	if (is_check) {
		printf("sluiced: %s is good; its interfaces were not looked for\n", path);
		return EXIT_SUCCESS;
	}
	if (is_detach)
		return detach(&config);
	sl_log_set_level(config.log_level);
	signal(SIGPIPE, SIG_IGN);
	return sl_agent_run(&config, &err) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
