// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <event2/event.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uthash.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "client.h"
#include "magma/lte/pipelined.pb-c.h"
#include "output.h"
#include "policy_file.h"
#include "sluice/v1/admin.pb-c.h"
#include "table.h"

#define IN_FLIGHT     64
#define ACTIVATE_PATH "/magma.lte.Pipelined/ActivateFlows"

/* --- rules of different content ------------------------------------------------------ */

struct content {
	UT_hash_handle hh;
	size_t length;
	uint8_t bytes[]; /* the packed PolicyRule */
};

static void note_content(struct content **contents, const Magma__Lte__PolicyRule *rule)
{
	size_t length = magma__lte__policy_rule__get_packed_size(rule);
	struct content *content = malloc(sizeof(*content) + length), *found;

	if (!content) {
		ctl_error(0, "out of memory");
		exit(CTL_REFUSED);
	}
	content->length = magma__lte__policy_rule__pack(rule, content->bytes);
	HASH_FIND(hh, *contents, content->bytes, length, found);
	if (found)
		free(content);
	else
		HASH_ADD_KEYPTR(hh, *contents, content->bytes, length, content);
}

static void free_contents(struct content **contents)
{
	struct content *content, *next;

	HASH_ITER (hh, *contents, content, next) {
		HASH_DEL(*contents, content);
		free(content);
	}
}

/* --- failures ---------------------------------------------------------------------- */

/* What the agent refused: on standard error for people, in an array for programs. */
struct failures {
	json_t *array; /* NULL: tell people */
	size_t count;
};

static void add_failure(struct failures *failures, const char *imsi, const char *address, const char *rule_id,
			uint64_t version, const char *reason)
{
	failures->count++;
	if (failures->array) {
		json_t *failure = json_object();

		json_object_set_new(failure, "imsi", json_string(imsi));
		json_object_set_new(failure, "address", json_string(address));
		json_object_set_new(failure, "rule_id", rule_id ? output_string(rule_id) : json_null());
		json_object_set_new(failure, "version",
				    rule_id ? json_integer((json_int_t)version) : json_null());
		json_object_set_new(failure, "reason", output_string(reason));
		json_array_append_new(failures->array, failure);
	} else if (rule_id) {
		ctl_error(0, "IMSI %s (%s): rule %s version %" PRIu64 ": %s", imsi, address, rule_id, version,
			  reason);
	} else {
		ctl_error(0, "IMSI %s (%s): %s", imsi, address, reason);
	}
}

/* --- the whole state --------------------------------------------------------------- */

static void report_replaced(const Sluice__V1__ReplaceSessionsResult *result, size_t requests,
			    const struct failures *failures, uint64_t took_ms)
{
	char took[SL_UNITS_SIZE];
	json_t *json;

	if (!failures->array) {
		printf("%u session%s activated, %u changed, %u ended, %u as before; %u rule%s in force, "
		       "%u failure%s, %s\n",
		       result->activated, output_plural(result->activated), result->changed, result->ended,
		       result->unchanged, result->rules, output_plural(result->rules), result->failed,
		       output_plural(result->failed), sl_format_duration(took_ms, took));
		return;
	}
	json = json_object();
	json_object_set_new(json, "requests", json_integer((json_int_t)requests));
	json_object_set_new(json, "activated", json_integer(result->activated));
	json_object_set_new(json, "changed", json_integer(result->changed));
	json_object_set_new(json, "ended", json_integer(result->ended));
	json_object_set_new(json, "unchanged", json_integer(result->unchanged));
	json_object_set_new(json, "refused", json_integer(result->refused));
	json_object_set_new(json, "rules", json_integer(result->rules));
	json_object_set_new(json, "failed", json_integer(result->failed));
	json_object_set(json, "failures", failures->array);
	json_object_set_new(json, "took_ms", json_integer((json_int_t)took_ms));
	output_print(json);
}

static int take_replaced(const Sluice__V1__ReplaceSessionsResult *result, size_t requests,
			 struct failures *failures, uint64_t took_ms)
{
	size_t i;

	for (i = 0; i < result->n_failures; i++) {
		const Sluice__V1__RuleFailed *failure = result->failures[i];

		add_failure(failures, failure->imsi, failure->address, failure->rule_id, failure->version,
			    failure->reason);
	}
	if (result->failed > result->n_failures)
		ctl_error(0, "%zu more rules failed", (size_t)result->failed - result->n_failures);
	if (result->refused)
		ctl_error(0, "%u sessions were refused; the agent's log says why", result->refused);
	report_replaced(result, requests, failures, took_ms);
	return result->failed || result->refused ? CTL_REFUSED : CTL_OK;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Sessions and rules that are not in the file end. */
static int replace(struct ctl *ctl, const struct policy_file *file, struct failures *failures)
{
	Sluice__V1__ReplaceSessionsRequest request = SLUICE__V1__REPLACE_SESSIONS_REQUEST__INIT;
	ProtobufCMessage *answer = NULL;
	uint64_t began = now_ms();
	int ret = CTL_OK;
	size_t i;

	request.requests = calloc(file->count + 1, sizeof(*request.requests));
	if (!request.requests)
		return ctl_error(CTL_REFUSED, "out of memory");
	for (i = 0; i < file->count && ret == CTL_OK; i++) {
		request.requests[i] = magma__lte__activate_flows_request__unpack(
			NULL, file->requests[i].length, file->requests[i].bytes);
		if (!request.requests[i])
			ret = ctl_error(CTL_REFUSED, "out of memory");
		else
			request.n_requests++;
	}
	if (ret == CTL_OK)
		ret = client_call(ctl, "/sluice.v1.Admin/ReplaceSessions", &request.base,
				  &sluice__v1__replace_sessions_result__descriptor, &answer);
	for (i = 0; i < request.n_requests; i++)
		magma__lte__activate_flows_request__free_unpacked(request.requests[i], NULL);
	free(request.requests);
	if (ret != CTL_OK)
		return ret;
	ret = take_replaced((const Sluice__V1__ReplaceSessionsResult *)answer, file->count, failures,
			    now_ms() - began);
	protobuf_c_message_free_unpacked(answer, NULL);
	return ret;
}

/* --- activation ------------------------------------------------------------------- */

struct activation {
	struct ctl *ctl;
	const struct policy_file *file;
	size_t next, open; /* requests sent, requests without an answer */
	size_t rules, failed_requests;
	struct content *contents; /* of the rules in force; owned */
	int ret;
	struct failures failures;
};

struct sent {
	struct activation *activation;
	const struct policy_request *request;
};

static void take_result(struct activation *activation, const struct policy_request *request,
			const Magma__Lte__RuleModResult *result)
{
	if (result->result == MAGMA__LTE__RULE_MOD_RESULT__RESULT__SUCCESS)
		activation->rules++;
	else
		add_failure(&activation->failures, request->imsi, request->address, result->rule_id,
			    result->version,
			    result->reason[0] ? result->reason : "failed; the agent's log says why");
}

static void take_results(struct activation *activation, const struct policy_request *request,
			 const Magma__Lte__ActivateFlowsResult *results)
{
	Magma__Lte__ActivateFlowsRequest *asked =
		magma__lte__activate_flows_request__unpack(NULL, request->length, request->bytes);
	size_t i, j;

	for (i = 0; i < results->n_policy_results; i++) {
		const Magma__Lte__RuleModResult *result = results->policy_results[i];

		take_result(activation, request, result);
		if (result->result != MAGMA__LTE__RULE_MOD_RESULT__RESULT__SUCCESS)
			continue;
		for (j = 0; asked && j < asked->n_policies; j++) {
			if (strcmp(asked->policies[j]->rule->id, result->rule_id) == 0)
				note_content(&activation->contents, asked->policies[j]->rule);
		}
	}
	for (i = 0; i < results->n_static_rule_results; i++) {
		Magma__Lte__PolicyRule named = MAGMA__LTE__POLICY_RULE__INIT;

		named.id = results->static_rule_results[i]->rule_id;
		take_result(activation, request, results->static_rule_results[i]);
		if (results->static_rule_results[i]->result == MAGMA__LTE__RULE_MOD_RESULT__RESULT__SUCCESS)
			note_content(&activation->contents, &named);
	}
	if (asked)
		magma__lte__activate_flows_request__free_unpacked(asked, NULL);
}

/* One answer for all: an agent that is gone or not set up says the same to every other request. */
static void give_up(struct activation *activation, const char *text)
{
	activation->next = activation->file->count;
	if (activation->ret != CTL_OK)
		return;
	activation->ret = client_failed(activation->ctl, ACTIVATE_PATH, SL_GRPC_UNAVAILABLE, text);
	if (activation->ret == CTL_REFUSED)
		ctl_error(0, "if it waits for its setup: activate --setup does without");
}

static void on_done(enum sl_grpc_status status, const char *text, const uint8_t *message, size_t length,
		    void *user)
{
	_cleanup_free_ struct sent *sent = user;
	struct activation *activation = sent->activation;
	Magma__Lte__ActivateFlowsResult *results = NULL;
	char reason[256];

	activation->open--;
	if (status == SL_GRPC_OK)
		results = magma__lte__activate_flows_result__unpack(NULL, length, message);
	if (results) {
		take_results(activation, sent->request, results);
		magma__lte__activate_flows_result__free_unpacked(results, NULL);
		return;
	}
	activation->failed_requests++;
	if (status == SL_GRPC_UNAVAILABLE) {
		give_up(activation, text);
		return;
	}
	snprintf(reason, sizeof(reason), "%s%s%s",
		 status == SL_GRPC_OK ? "the answer is no ActivateFlowsResult" : client_status_name(status),
		 text && text[0] ? ": " : "", text ? text : "");
	add_failure(&activation->failures, sent->request->imsi, sent->request->address, NULL, 0, reason);
}

static int send_next(struct activation *activation)
{
	const struct policy_request *request = &activation->file->requests[activation->next];
	struct sent *sent = malloc(sizeof(*sent));
	int ret;

	if (!sent)
		return ctl_error(CTL_REFUSED, "out of memory");
	*sent = (struct sent){activation, request};
	ret = sl_grpc_client_call(activation->ctl->client, ACTIVATE_PATH, request->bytes, request->length,
				  CLIENT_TIMEOUT_MS, NULL, on_done, sent);
	if (ret < 0) {
		free(sent);
		return ctl_error(CTL_REFUSED, "ActivateFlows: %s", strerror(-ret));
	}
	activation->next++;
	activation->open++;
	return CTL_OK;
}

static int activate(struct activation *activation)
{
	int ret = CTL_OK;

	while (ret == CTL_OK && (activation->open || activation->next < activation->file->count)) {
		while (ret == CTL_OK && activation->open < IN_FLIGHT &&
		       activation->next < activation->file->count)
			ret = send_next(activation);
		if (ret == CTL_OK && activation->open &&
		    event_base_loop(activation->ctl->base, EVLOOP_ONCE) != 0)
			ret = ctl_error(CTL_REFUSED, "the event loop ended");
	}
	return ret;
}

static void report(const struct activation *activation, uint64_t took_ms)
{
	char took[SL_UNITS_SIZE];
	json_t *json;

	if (!activation->failures.array) {
		const unsigned int contents = HASH_COUNT(activation->contents);

		printf("%zu session%s, %zu rule%s in force (%u different), %zu failure%s, %s\n",
		       activation->file->sessions, output_plural(activation->file->sessions),
		       activation->rules, output_plural(activation->rules), contents,
		       activation->failures.count, output_plural(activation->failures.count),
		       sl_format_duration(took_ms, took));
		return;
	}
	json = json_object();
	json_object_set_new(json, "sessions", json_integer((json_int_t)activation->file->sessions));
	json_object_set_new(json, "requests", json_integer((json_int_t)activation->file->count));
	json_object_set_new(json, "rules", json_integer((json_int_t)activation->rules));
	json_object_set_new(json, "failed_requests", json_integer((json_int_t)activation->failed_requests));
	json_object_set(json, "failures", activation->failures.array);
	json_object_set_new(json, "took_ms", json_integer((json_int_t)took_ms));
	output_print(json);
}

static int add(struct ctl *ctl, const struct policy_file *file, json_t *array)
{
	struct activation activation = {.ctl = ctl, .file = file, .failures.array = array};
	uint64_t began = now_ms();
	int ret = activate(&activation);

	if (activation.ret == CTL_OK)
		report(&activation, now_ms() - began);
	free_contents(&activation.contents);
	if (ret == CTL_OK)
		ret = activation.ret;
	return ret == CTL_OK && activation.failures.count ? CTL_REFUSED : ret;
}

static int run_file(struct ctl *ctl, const char *path, bool is_whole)
{
	_cleanup_(policy_file_free) struct policy_file file = {0};
	struct failures failures = {NULL};
	struct sl_error err = {""};
	int ret;

	if (policy_file_load(path, &file, &err) < 0)
		return ctl_error(CTL_USAGE, "%s", err.text);
	failures.array = ctl->json ? json_array() : NULL;
	ret = client_open(ctl);
	if (ret == CTL_OK)
		ret = is_whole ? replace(ctl, &file, &failures) : add(ctl, &file, failures.array);
	client_close(ctl);
	json_decref(failures.array);
	return ret;
}

static int run(struct ctl *ctl, const struct ctl_command *command, int argc, char **argv)
{
	enum { EXAMPLE = CTL_OPTION_OWN, SETUP };
	static const struct option options[] = {{"file", 1, NULL, 'f'},
						{"example", 0, NULL, EXAMPLE},
						{"setup", 0, NULL, SETUP},
						CTL_LONG,
						{NULL, 0, NULL, 0}};
	const char *path = NULL;
	bool is_whole = false;
	int option, ret;

	while ((option = getopt_long(argc, argv, "f:" CTL_SHORT, options, NULL)) != -1) {
		switch (option) {
		case 'f':
			path = optarg;
			break;
		case EXAMPLE:
			fputs(policy_file_example, stdout);
			return CTL_OK;
		case SETUP:
			is_whole = true;
			break;
		default:
			ret = ctl_option(ctl, command, option, optarg);
			if (ret >= 0)
				return ret;
		}
	}
	if (optind < argc)
		return ctl_error(CTL_USAGE, "activate: unexpected argument \"%s\"", argv[optind]);
	if (!path)
		return ctl_error(CTL_USAGE, "activate: no file; usage: sluicectl activate %s",
				 command->arguments);
	return run_file(ctl, path, is_whole);
}

const struct ctl_command command_activate = {
	.name = "activate",
	.arguments = "[OPTION]... -f FILE | --example",
	.summary = "Activate the sessions and rules of a YAML file",
	.help = "  -f, --file FILE     sessions and rules; with any error in it nothing is sent\n"
		"      --example       print a commented file\n"
		"      --setup         the file is the whole state, whenever it is said: sessions and\n"
		"                      rules that are not in it end, what is unchanged goes on with its\n"
		"                      counts and hard timeouts. An agent that waits for its setup waits\n"
		"                      no more. Unix socket only\n"
		"\n"
		"Rules that are in force already are updated in place; without --setup other\n"
		"sessions and rules stay. A rule that fails is named, and the others are activated.\n"
		"What SetSessionRules has set (`sluicectl desired`) stays in force in both cases.\n",
	.run = run,
};
