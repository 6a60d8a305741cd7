// SPDX-License-Identifier: Apache-2.0
#include <getopt.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "client.h"
#include "output.h"
#include "set_file.h"

static void report(const struct ctl *ctl, const struct set_file *file)
{
	const size_t subscribers = file->message.n_rules_per_subscriber;
	json_t *json;

	if (!ctl->json) {
		printf("%zu subscriber%s, %zu rule set%s, %zu rule%s set\n", subscribers,
		       output_plural(subscribers), file->sets, output_plural(file->sets), file->rules,
		       output_plural(file->rules));
		return;
	}
	json = json_object();
	json_object_set_new(json, "subscribers", json_integer((json_int_t)subscribers));
	json_object_set_new(json, "rule_sets", json_integer((json_int_t)file->sets));
	json_object_set_new(json, "rules", json_integer((json_int_t)file->rules));
	output_print(json);
}

static int run_file(struct ctl *ctl, const char *path)
{
	_cleanup_(set_file_free) struct set_file file = {.sets = 0};
	struct sl_error err = {""};
	ProtobufCMessage *answer;
	int ret;

	if (set_file_load(path, &file, &err) < 0)
		return ctl_error(CTL_USAGE, "%s", err.text);
	ret = client_open(ctl);
	if (ret == CTL_OK)
		ret = client_call(ctl, "/magma.lte.LocalSessionManager/SetSessionRules", &file.message.base,
				  &magma__orc8r__void__descriptor, &answer);
	client_close(ctl);
	if (ret != CTL_OK)
		return ret;
	protobuf_c_message_free_unpacked(answer, NULL);
	report(ctl, &file);
	return CTL_OK;
}

static int run(struct ctl *ctl, const struct ctl_command *command, int argc, char **argv)
{
	enum { EXAMPLE = CTL_OPTION_OWN };
	static const struct option options[] = {
		{"file", 1, NULL, 'f'}, {"example", 0, NULL, EXAMPLE}, CTL_LONG, {NULL, 0, NULL, 0}};
	const char *path = NULL;
	int option, ret;

	while ((option = getopt_long(argc, argv, "f:" CTL_SHORT, options, NULL)) != -1) {
		switch (option) {
		case 'f':
			path = optarg;
			break;
		case EXAMPLE:
			fputs(set_file_example, stdout);
			return CTL_OK;
		default:
			ret = ctl_option(ctl, command, option, optarg);
			if (ret >= 0)
				return ret;
		}
	}
	if (optind < argc)
		return ctl_error(CTL_USAGE, "set-rules: unexpected argument \"%s\"", argv[optind]);
	if (!path)
		return ctl_error(CTL_USAGE, "set-rules: no file; usage: sluicectl set-rules %s",
				 command->arguments);
	return run_file(ctl, path);
}

const struct ctl_command command_set_rules = {
	.name = "set-rules",
	.arguments = "[OPTION]... -f FILE | --example",
	.summary = "Set the rules that subscribers should have, and when (SetSessionRules)",
	.help = "  -f, --file FILE     rule sets of subscribers; with any error in it nothing is changed\n"
		"      --example       print a commented file\n"
		"\n"
		"A rule set takes the place of what was set for its scope before. The rules come\n"
		"into sessions that are there and into later ones, and are looked after: `sluicectl\n"
		"desired` shows them, `sluicectl session IMSI` what a session has. The agent forgets\n"
		"them when it is started anew: set them again then.\n",
	.run = run,
};
