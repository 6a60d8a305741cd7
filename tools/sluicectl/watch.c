// SPDX-License-Identifier: Apache-2.0
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "client.h"
#include "output.h"
#include "sluice/v1/admin.pb-c.h"
#include "table.h"

/* Moves the fields of the event's own message up beside its time, and its name into "event". */
static json_t *flatten(const Sluice__V1__Event *event)
{
	json_t *json = output_message(&event->base), *flat = json_object(), *own = NULL, *value;
	char name[64] = "unknown";
	const char *key;
	size_t i;

	json_object_foreach(json, key, value)
	{
		if (!json_is_object(value))
			continue;
		own = value;
		for (i = 0; key[i] && i + 1 < sizeof(name); i++)
			name[i] = (char)(key[i] == '_' ? '-' : key[i]);
		name[i] = '\0';
	}
	json_object_set(flat, "time_ms", json_object_get(json, "time_ms"));
	json_object_set_new(flat, "event", json_string(name));
	if (event->missed)
		json_object_set(flat, "missed", json_object_get(json, "missed"));
	if (own)
		json_object_update_missing(flat, own);
	json_decref(json);
	return flat;
}

static void print_value(const char *key, const json_t *value)
{
	_cleanup_free_ char *text = NULL;

	if (json_is_integer(value)) {
		printf(" %s=%" JSON_INTEGER_FORMAT, key, json_integer_value(value));
		return;
	}
	if (!json_is_string(value) || !json_string_value(value)[0])
		return;
	text = table_escape(json_string_value(value));
	printf(strpbrk(text, " =\"") ? " %s=\"%s\"" : " %s=%s", key, text);
}

static void on_event(const ProtobufCMessage *message, void *user)
{
	const Sluice__V1__Event *event = (const Sluice__V1__Event *)message;
	const bool json = *(const bool *)user;
	json_t *flat = flatten(event), *value;
	const char *key;

	if (json) {
		output_print_line(flat);
		return;
	}
	printf("%s.%03u %s", output_time(event->time_ms), (unsigned int)(event->time_ms % 1000),
	       json_string_value(json_object_get(flat, "event")));
	json_object_foreach(flat, key, value)
	{
		if (strcmp(key, "time_ms") != 0 && strcmp(key, "event") != 0)
			print_value(key, value);
	}
	puts("");
	json_decref(flat);
}

static int run(struct ctl *ctl, const struct ctl_command *command, int argc, char **argv)
{
	static const struct option options[] = {
		{"drops", 0, NULL, CTL_OPTION_OWN}, CTL_LONG, {NULL, 0, NULL, 0}};
	Sluice__V1__WatchRequest request = SLUICE__V1__WATCH_REQUEST__INIT;
	int option, ret;

	while ((option = getopt_long(argc, argv, CTL_SHORT, options, NULL)) != -1) {
		if (option == CTL_OPTION_OWN) {
			request.drops = true;
			continue;
		}
		ret = ctl_option(ctl, command, option, optarg);
		if (ret >= 0)
			return ret;
	}
	if (optind < argc)
		return ctl_error(CTL_USAGE, "watch: unexpected argument \"%s\"", argv[optind]);
	ret = client_open(ctl);
	if (ret == CTL_OK)
		ret = client_stream(ctl, "/sluice.v1.Admin/Watch", &request.base,
				    &sluice__v1__event__descriptor, 0, on_event, &ctl->json);
	client_close(ctl);
	return ret;
}

const struct ctl_command command_watch = {
	.name = "watch",
	.arguments = "[OPTION]...",
	.summary = "Events as they happen, one a line, until interrupted",
	.help = "      --drops         also every dropped packet. It costs the gateway something, and a\n"
		"                      reader that is too slow loses events and sees missed=N\n"
		"\n"
		"-o json prints one object a line: time_ms, event, and the event's own fields.\n",
	.run = run,
};
