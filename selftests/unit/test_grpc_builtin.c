// SPDX-License-Identifier: Apache-2.0
/* The services every gRPC server is expected to have: health and reflection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>

#include "api/descriptor_set.h"
#include "api/grpc.h"
#include "api/health.h"
#include "api/reflection.h"
#include "descriptors.h"
#include "grpc/health/v1/health.pb-c.h"
#include "grpc/reflection/v1/reflection.pb-c.h"
#include "h2_raw.h"

typedef Grpc__Health__V1__HealthCheckRequest health_request;
typedef Grpc__Health__V1__HealthCheckResponse health_response;
typedef Grpc__Reflection__V1__ServerReflectionRequest reflection_request;
typedef Grpc__Reflection__V1__ServerReflectionResponse reflection_response;

#define SERVING	     GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
#define NOT_SERVING  GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING
#define UNKNOWN	     GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN
#define ASKS(kind)   GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_##kind
#define ANSWER(kind) GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_##kind

static const struct sl_bytes set = {sl_descriptors, sizeof(sl_descriptors)};

static struct event_base *base;
static struct sl_grpc_server *server;
static struct sl_grpc_client *client;
static struct sl_health *health;
static struct h2_raw raw;

struct outcome {
	bool done;
	enum sl_grpc_status status;
	char text[256];
	int states[16];
	int count;
};

static int set_up(void **state)
{
	char address[64];
	uint16_t port;

	(void)state;
	base = event_base_new();
	if (sl_grpc_server_new(base, NULL, &server, NULL) ||
	    sl_grpc_listen_tcp(server, "127.0.0.1:0", &port, NULL) || sl_health_new(server, &health) ||
	    sl_reflection_register(server))
		return -1;
	snprintf(address, sizeof(address), "127.0.0.1:%u", port);
	h2_raw_open(&raw, base, port);
	return sl_grpc_client_new(base, address, &client, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	sl_grpc_client_free(client);
	sl_grpc_server_free(server);
	sl_health_free(health);
	h2_raw_close(&raw);
	event_base_free(base);
	return 0;
}

static void on_state(const uint8_t *message, size_t length, void *user)
{
	health_response *response = grpc__health__v1__health_check_response__unpack(NULL, length, message);
	struct outcome *outcome = user;

	assert_non_null(response);
	assert_in_range(outcome->count, 0, 15);
	outcome->states[outcome->count++] = (int)response->status;
	grpc__health__v1__health_check_response__free_unpacked(response, NULL);
}

static void on_done(enum sl_grpc_status status, const char *text, const uint8_t *message, size_t length,
		    void *user)
{
	struct outcome *outcome = user;

	outcome->done = true;
	outcome->status = status;
	snprintf(outcome->text, sizeof(outcome->text), "%s", text);
	if (message)
		on_state(message, length, user);
}

static void ask_health(const char *path, const char *service, sl_grpc_on_message on_message,
		       struct outcome *outcome)
{
	health_request request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
	uint8_t bytes[512];

	request.service = (char *)service;
	assert_int_equal(sl_grpc_client_call(client, path, bytes,
					     grpc__health__v1__health_check_request__pack(&request, bytes), 0,
					     on_message, on_done, outcome),
			 0);
}

static struct outcome check(const char *service)
{
	struct outcome outcome = {.done = false};

	ask_health("/grpc.health.v1.Health/Check", service, NULL, &outcome);
	assert_true(h2_until(&raw, &outcome.done));
	return outcome;
}

static void check_tells_who_serves(void **state)
{
	struct outcome outcome;

	(void)state;
	assert_int_equal(sl_health_set(health, "", true), 0);
	assert_int_equal(sl_health_set(health, "a.B", false), 0);
	outcome = check("");
	assert_int_equal(outcome.status, SL_GRPC_OK);
	assert_int_equal(outcome.states[0], SERVING);
	assert_int_equal(check("a.B").states[0], NOT_SERVING);
	assert_int_equal(sl_health_set(health, "a.B", true), 0);
	assert_int_equal(check("a.B").states[0], SERVING);
	assert_int_equal(check("nobody").status, SL_GRPC_NOT_FOUND);
}

static void watch_tells_each_change_once(void **state)
{
	static const int expected[] = {UNKNOWN, SERVING, NOT_SERVING, SERVING};
	static struct outcome outcome; /* told of the call's end in tear_down */

	(void)state;
	ask_health("/grpc.health.v1.Health/Watch", "a.B", on_state, &outcome);
	h2_run(&raw, 10);
	sl_health_set(health, "a.B", true);
	sl_health_set(health, "a.B", true);
	sl_health_set(health, "other", true);
	sl_health_set(health, "a.B", false);
	sl_health_set(health, "a.B", true);
	h2_run(&raw, 10);
	assert_int_equal(outcome.count, 4);
	assert_memory_equal(outcome.states, expected, sizeof(expected));
	assert_false(outcome.done);
}

static void a_watcher_that_does_not_read_is_ended(void **state)
{
	(void)state;
	/* the loop does not run between the changes, so nothing is written: as with a client that does not
	 * read */
	h2_preface(&raw);
	h2_request(&raw, 1, H2_END_HEADERS, "/grpc.health.v1.Health/Watch", NULL);
	h2_message(&raw, 1, H2_END_STREAM, "\n\3a.B", 5);
	h2_run(&raw, 10);
	for (int i = 0; i < 100; i++)
		sl_health_set(health, "a.B", i % 2 == 0);
	assert_true(h2_until(&raw, &raw.answers[0].ended));
	assert_int_equal(raw.answers[0].status, SL_GRPC_RESOURCE_EXHAUSTED);
}

static void bad_health_requests_are_refused(void **state)
{
	char name[200];
	struct outcome outcome = {.done = false};

	(void)state;
	assert_int_equal(sl_grpc_client_call(client, "/grpc.health.v1.Health/Check",
					     (const uint8_t *)"\n\5abc", 5, 0, NULL, on_done, &outcome),
			 0);
	assert_true(h2_until(&raw, &outcome.done));
	assert_int_equal(outcome.status, SL_GRPC_INVALID_ARGUMENT);
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	outcome = (struct outcome){.done = false};
	ask_health("/grpc.health.v1.Health/Watch", name, on_state, &outcome);
	assert_true(h2_until(&raw, &outcome.done));
	assert_int_equal(outcome.status, SL_GRPC_INVALID_ARGUMENT);
	assert_int_equal(sl_health_set(health, name, true), -ENAMETOOLONG);
}

static void services_are_bounded(void **state)
{
	char name[16];

	(void)state;
	for (int i = 0; i < SL_HEALTH_SERVICES; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		assert_int_equal(sl_health_set(health, name, true), 0);
	}
	assert_int_equal(sl_health_set(health, "one more", true), -ENOSPC);
	assert_int_equal(sl_health_set(health, "s0", false), 0);
}

static void one_server_has_one_health_service(void **state)
{
	struct sl_health *second = NULL;

	(void)state;
	assert_int_equal(sl_health_new(server, &second), -EEXIST);
	assert_null(second);
	assert_int_equal(sl_reflection_register(server), -EEXIST);
}

struct answers {
	bool done;
	enum sl_grpc_status status;
	reflection_response *response;
};

static void on_reflection(const uint8_t *message, size_t length, void *user)
{
	struct answers *answers = user;

	assert_null(answers->response);
	answers->response = grpc__reflection__v1__server_reflection_response__unpack(NULL, length, message);
	assert_non_null(answers->response);
}

static void on_reflected(enum sl_grpc_status status, const char *text, const uint8_t *message, size_t length,
			 void *user)
{
	struct answers *answers = user;

	(void)text;
	(void)message;
	(void)length;
	answers->status = status;
	answers->done = true;
}

/* One question; our client ends its side at once, and so does the server. */
static reflection_response *reflect(reflection_request *request)
{
	struct answers answers = {.done = false};
	uint8_t bytes[512];
	size_t length;

	request->host = (char *)"here";
	length = grpc__reflection__v1__server_reflection_request__pack(request, bytes);
	assert_int_equal(sl_grpc_client_call(client,
					     "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
					     bytes, length, 0, on_reflection, on_reflected, &answers),
			 0);
	assert_true(h2_until(&raw, &answers.done));
	assert_int_equal(answers.status, SL_GRPC_OK);
	assert_non_null(answers.response);
	assert_string_equal(answers.response->valid_host, "here");
	assert_string_equal(answers.response->original_request->host, "here");
	return answers.response;
}

static void release(reflection_response *response)
{
	grpc__reflection__v1__server_reflection_response__free_unpacked(response, NULL);
}

static void reflection_lists_what_is_registered(void **state)
{
	reflection_request request = GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__INIT;
	reflection_response *response;

	(void)state;
	request.message_request_case = ASKS(LIST_SERVICES);
	request.list_services = (char *)"";
	response = reflect(&request);
	assert_int_equal(response->message_response_case, ANSWER(LIST_SERVICES_RESPONSE));
	assert_int_equal(response->list_services_response->n_service, 3);
	assert_string_equal(response->list_services_response->service[0]->name, "grpc.health.v1.Health");
	assert_string_equal(response->list_services_response->service[1]->name,
			    "grpc.reflection.v1.ServerReflection");
	assert_string_equal(response->list_services_response->service[2]->name,
			    "grpc.reflection.v1alpha.ServerReflection");
	release(response);
}

static void what_is_not_there_is_an_error_in_the_stream(void **state)
{
	reflection_request request = GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__INIT;
	reflection_response *response;

	(void)state;
	request.message_request_case = ASKS(FILE_BY_FILENAME);
	request.file_by_filename = (char *)"no/such.proto";
	response = reflect(&request);
	assert_int_equal(response->message_response_case, ANSWER(ERROR_RESPONSE));
	assert_int_equal(response->error_response->error_code, SL_GRPC_NOT_FOUND);
	assert_string_equal(response->error_response->error_message, "no file 'no/such.proto'");
	release(response);

	request = (reflection_request)GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__INIT;
	response = reflect(&request);
	assert_int_equal(response->message_response_case, ANSWER(ERROR_RESPONSE));
	assert_int_equal(response->error_response->error_code, SL_GRPC_INVALID_ARGUMENT);
	release(response);
}

static void a_type_without_extensions_has_none(void **state)
{
	reflection_request request = GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__INIT;
	reflection_response *response;

	(void)state;
	request.message_request_case = ASKS(ALL_EXTENSION_NUMBERS_OF_TYPE);
	request.all_extension_numbers_of_type = (char *)"grpc.health.v1.HealthCheckRequest";
	response = reflect(&request);
	assert_int_equal(response->message_response_case, ANSWER(ALL_EXTENSION_NUMBERS_RESPONSE));
	assert_int_equal(response->all_extension_numbers_response->n_extension_number, 0);
	release(response);
}

static void symbols_of_all_kinds_are_found_in_their_file(void **state)
{
	static const char *const symbols[] = {
		"grpc.health.v1.Health",
		"grpc.health.v1.Health.Watch",
		"grpc.health.v1.HealthCheckRequest",
		"grpc.health.v1.HealthCheckRequest.service",
		"grpc.health.v1.HealthCheckResponse.ServingStatus",
		"grpc.health.v1.HealthCheckResponse.SERVICE_UNKNOWN",
	};
	static const char *const nothing[] = {
		"",
		"grpc",
		"grpc.health.v1",
		"grpc.health.v1.",
		"grpc.health.v1.Healt",
		"grpc.health.v1.HealthX",
		"grpc.health.v1.Health.Watch.",
		"grpc.health.v1.Health.Nothing",
		".grpc.health.v1.Health",
	};
	int file = sl_descriptor_by_name(set, "grpc/health/v1/health.proto");

	(void)state;
	assert_true(file >= 0);
	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++)
		assert_int_equal(sl_descriptor_by_symbol(set, symbols[i]), file);
	for (size_t i = 0; i < sizeof(nothing) / sizeof(nothing[0]); i++)
		assert_int_equal(sl_descriptor_by_symbol(set, nothing[i]), -ENOENT);
}

static void a_closure_has_the_file_first_and_every_import_once(void **state)
{
	struct sl_bytes files[SL_DESCRIPTOR_FILES];
	int file = sl_descriptor_by_symbol(set, "magma.lte.Pipelined");
	size_t count;

	(void)state;
	assert_true(file >= 0);
	count = sl_descriptor_closure(set, file, files);
	assert_in_range(count, 2, SL_DESCRIPTOR_FILES);
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < i; j++)
			assert_ptr_not_equal(files[i].data, files[j].data);
	}
	assert_int_equal(
		sl_descriptor_closure(set, sl_descriptor_by_name(set, "grpc/health/v1/health.proto"), files),
		1);
	assert_int_equal(sl_descriptor_closure(set, -1, files), 0);
	assert_int_equal(sl_descriptor_closure(set, SL_DESCRIPTOR_FILES, files), 0);
}

static void a_broken_set_finds_nothing_and_reads_nothing_behind_it(void **state)
{
	uint8_t *copy;

	(void)state;
	/* exactly as long as it is, so that the sanitizer sees a read beyond */
	for (size_t length = 0; length < 300; length++) {
		copy = malloc(length ? length : 1);
		assert_non_null(copy);
		memcpy(copy, sl_descriptors, length);
		assert_true(sl_descriptor_by_symbol((struct sl_bytes){copy, length}, "no.such.Thing") ==
			    -ENOENT);
		free(copy);
	}
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(check_tells_who_serves),
		CASE(watch_tells_each_change_once),
		CASE(a_watcher_that_does_not_read_is_ended),
		CASE(bad_health_requests_are_refused),
		CASE(services_are_bounded),
		CASE(one_server_has_one_health_service),
		CASE(reflection_lists_what_is_registered),
		CASE(what_is_not_there_is_an_error_in_the_stream),
		CASE(a_type_without_extensions_has_none),
		CASE(symbols_of_all_kinds_are_found_in_their_file),
		CASE(a_closure_has_the_file_first_and_every_import_once),
		CASE(a_broken_set_finds_nothing_and_reads_nothing_behind_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
