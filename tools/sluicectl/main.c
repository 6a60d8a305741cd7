// SPDX-License-Identifier: Apache-2.0
/* sluicectl: looks at a running agent and tells it what to do. One file a subcommand. */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl.h"
#include "table.h"

#define DEFAULT_SOCKET "/run/sluice/api.sock"

static const struct ctl_command *const commands[] = {
	&command_status,     &command_sessions, &command_session,  &command_rules,    &command_usage,
	&command_quotas,     &command_policies, &command_profiles, &command_desired,  &command_drops,
	&command_redirects,  &command_load,	&command_ids,	   &command_activate, &command_set_rules,
	&command_deactivate, &command_watch,	&command_detach,
};

static const char common_help[] =
	"Options of every command:\n"
	"      --socket PATH   the agent's Unix socket (default " DEFAULT_SOCKET ")\n"
	"      --tcp ADDR      the agent's address instead: 127.0.0.1:50063, [::1]:50063\n"
	"  -o, --output FORM   table (default) or json\n"
	"  -h, --help\n"
	"\n"
	"Exit codes:\n"
	"  0  done\n"
	"  1  the agent refused, or a rule failed\n"
	"  2  bad command line or bad file; the agent was not asked\n"
	"  3  the agent is not reachable\n";

static void print_help(void)
{
	size_t i;

	puts("Usage: sluicectl [OPTION]... COMMAND [ARGUMENT]...\n"
	     "Looks at a running sluiced and tells it what to do.\n"
	     "\n"
	     "Commands:");
	for (i = 0; i < SL_ARRAY_SIZE(commands); i++)
		printf("  %-11s %s\n", commands[i]->name, commands[i]->summary);
	puts("\n`sluicectl COMMAND --help` says more about one. `sluicectl --version` tells the version.\n");
	fputs(common_help, stdout);
}

int ctl_error(int code, const char *format, ...)
{
	_cleanup_free_ char *text = NULL, *line = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	fflush(stdout);
	if (text)
		line = table_escape(text);
	fprintf(stderr, "sluicectl: %s\n", line ? line : "out of memory");
	return code;
}

static int set_address(struct ctl *ctl, const char *prefix, const char *value)
{
	int length = snprintf(ctl->address, sizeof(ctl->address), "%s%s", prefix, value);

	if (length < 0 || (size_t)length >= sizeof(ctl->address))
		return ctl_error(CTL_USAGE, "address too long: %s", value);
	return -1;
}

int ctl_option(struct ctl *ctl, const struct ctl_command *command, int option, const char *value)
{
	switch (option) {
	case CTL_OPTION_SOCKET:
		return set_address(ctl, "unix:", value);
	case CTL_OPTION_TCP:
		return set_address(ctl, "", value);
	case 'o':
		if (strcmp(value, "json") != 0 && strcmp(value, "table") != 0)
			return ctl_error(CTL_USAGE, "bad output form \"%s\"; allowed: table, json", value);
		ctl->json = strcmp(value, "json") == 0;
		return -1;
	case 'h':
		if (!command) {
			print_help();
			return CTL_OK;
		}
		printf("Usage: sluicectl %s %s\n%s.\n\n", command->name, command->arguments,
		       command->summary);
		if (command->help)
			printf("%s\n", command->help);
		fputs(common_help, stdout);
		return CTL_OK;
	default:
		fprintf(stderr, "Try `sluicectl%s%s --help`.\n", command ? " " : "",
			command ? command->name : "");
		return CTL_USAGE;
	}
}

int ctl_arguments(struct ctl *ctl, const struct ctl_command *command, int argc, char **argv, int count)
{
	static const struct option options[] = {CTL_LONG, {NULL, 0, NULL, 0}};
	int option, ret;

	while ((option = getopt_long(argc, argv, CTL_SHORT, options, NULL)) != -1) {
		ret = ctl_option(ctl, command, option, optarg);
		if (ret >= 0)
			return ret;
	}
	if (argc - optind == count)
		return -1;
	if (argc - optind < count)
		return ctl_error(CTL_USAGE, "%s: missing argument; usage: sluicectl %s %s", command->name,
				 command->name, command->arguments);
	return ctl_error(CTL_USAGE, "%s: unexpected argument \"%s\"", command->name, argv[optind + count]);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {CTL_LONG, {"version", 0, NULL, 'V'}, {NULL, 0, NULL, 0}};
	struct ctl ctl = {.address = "unix:" DEFAULT_SOCKET};
	int option, ret;
	size_t i;

	/* up to the command's name; what follows is the command's */
	while ((option = getopt_long(argc, argv, "+" CTL_SHORT, options, NULL)) != -1) {
		if (option == 'V') {
			puts("sluicectl " SLUICE_VERSION);
			return CTL_OK;
		}
		ret = ctl_option(&ctl, NULL, option, optarg);
		if (ret >= 0)
			return ret;
	}
	if (optind == argc) {
		fputs("sluicectl: no command\n", stderr);
		return ctl_option(&ctl, NULL, '?', NULL);
	}
	for (i = 0; i < SL_ARRAY_SIZE(commands); i++) {
		if (strcmp(argv[optind], commands[i]->name) != 0)
			continue;
		argc -= optind;
		argv += optind;
		optind = 0;
		ret = commands[i]->run(&ctl, commands[i], argc, argv);
		if (fflush(stdout) != 0 || ferror(stdout))
			return ctl_error(ret ? ret : CTL_REFUSED, "cannot write the output");
		return ret;
	}
	ctl_error(CTL_USAGE, "unknown command \"%s\"", argv[optind]);
	return ctl_option(&ctl, NULL, '?', NULL);
}
