/* SPDX-License-Identifier: Apache-2.0 */
/* What every subcommand has: its entry in the list of main.c, and the options common to all. */
#ifndef CTL_H
#define CTL_H

#include <stdbool.h>
#include <stddef.h>

struct event_base;
struct sl_grpc_client;

/* Exit codes; `sluicectl --help` documents them. */
enum ctl_exit {
	CTL_OK = 0,
	CTL_REFUSED = 1, /* the agent answered, but not with success */
	CTL_USAGE = 2,	 /* a bad command line or a bad file; the agent was not asked */
	CTL_UNREACHABLE = 3,
};

struct ctl {
	char address[160]; /* as sl_grpc_client_new takes it */
	bool json;
	struct event_base *base;
	struct sl_grpc_client *client;
};

struct ctl_command {
	const char *name;
	const char *arguments; /* as the usage line shows them */
	const char *summary;   /* one line */
	const char *help;      /* the rest of `sluicectl NAME --help`; may be NULL */
	/* argv[0] is the command's name. Returns an exit code. */
	int (*run)(struct ctl *ctl, const struct ctl_command *command, int argc, char **argv);
};

extern const struct ctl_command command_status, command_sessions, command_session, command_rules,
	command_usage, command_quotas, command_policies, command_profiles, command_desired, command_drops,
	command_redirects, command_load, command_ids, command_activate, command_set_rules, command_deactivate,
	command_watch, command_detach;

/*
 * Options that every command takes, for getopt_long: CTL_SHORT and CTL_LONG go
 * into the command's own lists, and what is not the command's own is handed to
 * ctl_option, which returns -1 to go on or the exit code to end with.
 */
#define CTL_SHORT "o:h"
#define CTL_LONG                                                                                            \
	{"socket", 1, NULL, CTL_OPTION_SOCKET}, {"tcp", 1, NULL, CTL_OPTION_TCP}, {"output", 1, NULL, 'o'}, \
	{                                                                                                   \
		"help", 0, NULL, 'h'                                                                        \
	}
enum { CTL_OPTION_SOCKET = 256, CTL_OPTION_TCP, CTL_OPTION_OWN };

int ctl_option(struct ctl *ctl, const struct ctl_command *command, int option, const char *value);

/*
 * The command line of a command that has no options of its own and takes
 * exactly `count` arguments, which are then argv[optind...]. -1 or an exit code.
 */
int ctl_arguments(struct ctl *ctl, const struct ctl_command *command, int argc, char **argv, int count);

/* "sluicectl: " and a line on standard error; returns the code. */
int ctl_error(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
