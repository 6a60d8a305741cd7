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

/* --- setup ------------------------------------------------------------------------ */

static int setup_result(const char *method, ProtobufCMessage *answer)
{
	const Magma__Lte__SetupFlowsResult__Result result = ((Magma__Lte__SetupFlowsResult *)answer)->result;

	protobuf_c_message_free_unpacked(answer, NULL);
	if (result == MAGMA__LTE__SETUP_FLOWS_RESULT__RESULT__SUCCESS)
		return CTL_OK;
	return ctl_error(CTL_REFUSED, "%s: %s; the agent's log says why", method,
			 output_enum(&magma__lte__setup_flows_result__result__descriptor, (int)result));
}

/* The whole file as the desired state. */
static int send_setup(struct ctl *ctl, uint64_t epoch, const struct policy_file *file)
{
	Magma__Lte__SetupDefaultRequest defaults = MAGMA__LTE__SETUP_DEFAULT_REQUEST__INIT;
	Magma__Lte__SetupPolicyRequest policy = MAGMA__LTE__SETUP_POLICY_REQUEST__INIT;
	ProtobufCMessage *answer = NULL;
	size_t i;
	int ret;

	defaults.epoch = policy.epoch = epoch;
	ret = client_call(ctl, "/magma.lte.Pipelined/SetupDefaultControllers", &defaults.base,
			  &magma__lte__setup_flows_result__descriptor, &answer);
	if (ret == CTL_OK)
		ret = setup_result("SetupDefaultControllers", answer);
	if (ret != CTL_OK)
		return ret;
	policy.requests = calloc(file->count + 1, sizeof(*policy.requests));
	if (!policy.requests)
		return ctl_error(CTL_REFUSED, "out of memory");
	for (i = 0; i < file->count && ret == CTL_OK; i++) {
		policy.requests[i] = magma__lte__activate_flows_request__unpack(
			NULL, file->requests[i].length, file->requests[i].bytes);
		if (!policy.requests[i])
			ret = ctl_error(CTL_REFUSED, "out of memory");
		else
			policy.n_requests++;
	}
	if (ret == CTL_OK)
		ret = client_call(ctl, "/magma.lte.Pipelined/SetupPolicyFlows", &policy.base,
				  &magma__lte__setup_flows_result__descriptor, &answer);
	if (ret == CTL_OK)
		ret = setup_result("SetupPolicyFlows", answer);
	for (i = 0; i < policy.n_requests; i++)
		magma__lte__activate_flows_request__free_unpacked(policy.requests[i], NULL);
	free(policy.requests);
	return ret;
}

static int setup(struct ctl *ctl, const struct policy_file *file)
{
	Sluice__V1__GetStatusRequest request = SLUICE__V1__GET_STATUS_REQUEST__INIT;
	ProtobufCMessage *answer;
	Sluice__V1__Status__Setup state;
	uint64_t epoch;
	int ret;

	ret = client_call(ctl, "/sluice.v1.Admin/GetStatus", &request.base, &sluice__v1__status__descriptor,
			  &answer);
	if (ret != CTL_OK)
		return ret;
	state = ((Sluice__V1__Status *)answer)->setup;
	epoch = ((Sluice__V1__Status *)answer)->epoch;
	protobuf_c_message_free_unpacked(answer, NULL);
	/* a second setup would be answered SUCCESS and ignored; the activations that follow are not */
	return state == SLUICE__V1__STATUS__SETUP__DONE ? CTL_OK : send_setup(ctl, epoch, file);
}

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

/* --- activation ------------------------------------------------------------------- */

struct activation {
	struct ctl *ctl;
	const struct policy_file *file;
	size_t next, open; /* requests sent, requests without an answer */
	size_t rules, failed_requests;
	struct content *contents; /* of the rules in force; owned */
	int ret;
	json_t *failures; /* NULL: tell people on standard error */
	size_t failure_count;
};

struct sent {
	struct activation *activation;
	const struct policy_request *request;
};

static void add_failure(struct activation *activation, const struct policy_request *request,
			const char *rule_id, uint64_t version, const char *reason)
{
	activation->failure_count++;
	if (activation->failures) {
		json_t *failure = json_object();

		json_object_set_new(failure, "imsi", json_string(request->imsi));
		json_object_set_new(failure, "address", json_string(request->address));
		json_object_set_new(failure, "rule_id", rule_id ? output_string(rule_id) : json_null());
		json_object_set_new(failure, "version",
				    rule_id ? json_integer((json_int_t)version) : json_null());
		json_object_set_new(failure, "reason", output_string(reason));
		json_array_append_new(activation->failures, failure);
	} else if (rule_id) {
		ctl_error(0, "IMSI %s (%s): rule %s version %" PRIu64 ": %s", request->imsi, request->address,
			  rule_id, version, reason);
	} else {
		ctl_error(0, "IMSI %s (%s): %s", request->imsi, request->address, reason);
	}
}

static void take_results(struct activation *activation, const struct policy_request *request,
			 const Magma__Lte__ActivateFlowsResult *results)
{
	Magma__Lte__ActivateFlowsRequest *asked =
		magma__lte__activate_flows_request__unpack(NULL, request->length, request->bytes);
	size_t i, j;

	for (i = 0; i < results->n_policy_results; i++) {
		const Magma__Lte__RuleModResult *result = results->policy_results[i];

		if (result->result != MAGMA__LTE__RULE_MOD_RESULT__RESULT__SUCCESS) {
			add_failure(activation, request, result->rule_id, result->version,
				    result->reason[0] ? result->reason : "failed; the agent's log says why");
			continue;
		}
		activation->rules++;
		for (j = 0; asked && j < asked->n_policies; j++) {
			if (strcmp(asked->policies[j]->rule->id, result->rule_id) == 0)
				note_content(&activation->contents, asked->policies[j]->rule);
		}
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
		ctl_error(0, "if it waits for its setup: activate --setup sends one");
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
	add_failure(activation, sent->request, NULL, 0, reason);
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

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void report(const struct activation *activation, uint64_t took_ms)
{
	char took[SL_UNITS_SIZE];
	json_t *json;

	if (!activation->failures) {
		const unsigned int contents = HASH_COUNT(activation->contents);

		printf("%zu session%s, %zu rule%s in force (%u different), %zu failure%s, %s\n",
		       activation->file->sessions, output_plural(activation->file->sessions),
		       activation->rules, output_plural(activation->rules), contents,
		       activation->failure_count, output_plural(activation->failure_count),
		       sl_format_duration(took_ms, took));
		return;
	}
	json = json_object();
	json_object_set_new(json, "sessions", json_integer((json_int_t)activation->file->sessions));
	json_object_set_new(json, "requests", json_integer((json_int_t)activation->file->count));
	json_object_set_new(json, "rules", json_integer((json_int_t)activation->rules));
	json_object_set_new(json, "failed_requests", json_integer((json_int_t)activation->failed_requests));
	json_object_set(json, "failures", activation->failures);
	json_object_set_new(json, "took_ms", json_integer((json_int_t)took_ms));
	output_print(json);
}

static int run_file(struct ctl *ctl, const char *path, bool with_setup)
{
	_cleanup_(policy_file_free) struct policy_file file = {0};
	struct activation activation = {.ctl = ctl, .file = &file};
	struct sl_error err = {""};
	uint64_t began;
	int ret;

	if (policy_file_load(path, &file, &err) < 0)
		return ctl_error(CTL_USAGE, "%s", err.text);
	activation.failures = ctl->json ? json_array() : NULL;
	ret = client_open(ctl);
	began = now_ms();
	if (ret == CTL_OK && with_setup)
		ret = setup(ctl, &file);
	if (ret == CTL_OK) {
		ret = activate(&activation);
		if (activation.ret == CTL_OK)
			report(&activation, now_ms() - began);
	}
	client_close(ctl);
	free_contents(&activation.contents);
	json_decref(activation.failures);
	if (ret == CTL_OK)
		ret = activation.ret;
	return ret == CTL_OK && activation.failure_count ? CTL_REFUSED : ret;
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
	bool with_setup = false;
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
			with_setup = true;
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
	return run_file(ctl, path, with_setup);
}

const struct ctl_command command_activate = {
	.name = "activate",
	.arguments = "[OPTION]... -f FILE | --example",
	.summary = "Activate the sessions and rules of a YAML file",
	.help = "  -f, --file FILE     sessions and rules; with any error in it nothing is sent\n"
		"      --example       print a commented file\n"
		"      --setup         for an agent that waits for its setup: send one. The file is\n"
		"                      the whole desired state, sessions that are not in it end\n"
		"\n"
		"Rules that are in force already are updated in place; other sessions and rules\n"
		"stay. A rule that fails is named, and the others are activated.\n",
	.run = run,
};
