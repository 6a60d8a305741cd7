// SPDX-License-Identifier: Apache-2.0
#include "api/reflection.h"

#include <stdio.h>
#include <string.h>

#include "api/descriptor_set.h"
#include "api/grpc_server.h"
#include "api/message.h"
#include "descriptors.h"
#include "grpc/reflection/v1/reflection.pb-c.h"

/* Both versions have the same messages, number for number. */
typedef Grpc__Reflection__V1__ServerReflectionRequest reflection_request;
typedef Grpc__Reflection__V1__ServerReflectionResponse reflection_response;

#define ANSWER(kind) GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_##kind
#define ASKS(kind)   GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_##kind

#define SERVICES_MAX 64
#define SERVICE_NAME 128

static const struct sl_bytes set = {sl_descriptors, sizeof(sl_descriptors)};

static void send_answer(struct sl_call *call, const reflection_response *response)
{
	if (sl_message_send(call, &response->base))
		sl_call_finish(call, SL_GRPC_RESOURCE_EXHAUSTED, "the client does not read");
}

static void send_error(struct sl_call *call, reflection_response *response, enum sl_grpc_status status,
		       const char *what, const char *value)
{
	Grpc__Reflection__V1__ErrorResponse error = GRPC__REFLECTION__V1__ERROR_RESPONSE__INIT;
	char text[256];

	snprintf(text, sizeof(text), "%s '%.128s'", what, value);
	error.error_code = (int32_t)status;
	/* the cut may have split a character, and strings are UTF-8 */
	for (char *c = text; *c; c++) {
		if ((unsigned char)*c >= 0x80)
			*c = '?';
	}
	error.error_message = text;
	response->message_response_case = ANSWER(ERROR_RESPONSE);
	response->error_response = &error;
	send_answer(call, response);
}

static void send_files(struct sl_call *call, reflection_response *response, int index, const char *what,
		       const char *value)
{
	Grpc__Reflection__V1__FileDescriptorResponse answer =
		GRPC__REFLECTION__V1__FILE_DESCRIPTOR_RESPONSE__INIT;
	ProtobufCBinaryData protos[SL_DESCRIPTOR_FILES];
	struct sl_bytes files[SL_DESCRIPTOR_FILES];
	size_t count;

	if (index < 0) {
		send_error(call, response, SL_GRPC_NOT_FOUND, what, value);
		return;
	}
	count = sl_descriptor_closure(set, index, files);
	for (size_t i = 0; i < count; i++)
		protos[i] = (ProtobufCBinaryData){.data = (uint8_t *)files[i].data, .len = files[i].length};
	answer.file_descriptor_proto = protos;
	answer.n_file_descriptor_proto = count;
	response->message_response_case = ANSWER(FILE_DESCRIPTOR_RESPONSE);
	response->file_descriptor_response = &answer;
	send_answer(call, response);
}

static void send_services(struct sl_call *call, reflection_response *response,
			  const struct sl_grpc_server *server)
{
	Grpc__Reflection__V1__ListServiceResponse answer = GRPC__REFLECTION__V1__LIST_SERVICE_RESPONSE__INIT;
	Grpc__Reflection__V1__ServiceResponse services[SERVICES_MAX];
	Grpc__Reflection__V1__ServiceResponse *pointers[SERVICES_MAX];
	char names[SERVICES_MAX][SERVICE_NAME];
	size_t count = 0, i;

	for (const struct sl_method *method = server->methods; method; method = method->hh.next) {
		const char *slash = strchr(method->path + 1, '/');
		char name[SERVICE_NAME];

		snprintf(name, sizeof(name), "%.*s", (int)(slash - method->path - 1), method->path + 1);
		for (i = 0; i < count && strcmp(names[i], name) != 0; i++)
			;
		if (i < count || count == SERVICES_MAX)
			continue;
		strcpy(names[count], name);
		grpc__reflection__v1__service_response__init(&services[count]);
		services[count].name = names[count];
		pointers[count] = &services[count];
		count++;
	}
	answer.service = pointers;
	answer.n_service = count;
	response->message_response_case = ANSWER(LIST_SERVICES_RESPONSE);
	response->list_services_response = &answer;
	send_answer(call, response);
}

static void send_extensions(struct sl_call *call, reflection_response *response, char *type)
{
	Grpc__Reflection__V1__ExtensionNumberResponse answer =
		GRPC__REFLECTION__V1__EXTENSION_NUMBER_RESPONSE__INIT;

	if (sl_descriptor_by_symbol(set, type) < 0) {
		send_error(call, response, SL_GRPC_NOT_FOUND, "no type", type);
		return;
	}
	answer.base_type_name = type;
	response->message_response_case = ANSWER(ALL_EXTENSION_NUMBERS_RESPONSE);
	response->all_extension_numbers_response = &answer;
	send_answer(call, response);
}

static void answer_request(struct sl_call *call, const struct sl_grpc_server *server,
			   reflection_request *request)
{
	reflection_response response = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;

	response.valid_host = request->host;
	response.original_request = request;
	switch (request->message_request_case) {
	case ASKS(FILE_BY_FILENAME):
		send_files(call, &response, sl_descriptor_by_name(set, request->file_by_filename), "no file",
			   request->file_by_filename);
		break;
	case ASKS(FILE_CONTAINING_SYMBOL):
		send_files(call, &response, sl_descriptor_by_symbol(set, request->file_containing_symbol),
			   "no symbol", request->file_containing_symbol);
		break;
	case ASKS(FILE_CONTAINING_EXTENSION):
		send_error(call, &response, SL_GRPC_NOT_FOUND, "no extension of",
			   request->file_containing_extension->containing_type);
		break;
	case ASKS(ALL_EXTENSION_NUMBERS_OF_TYPE):
		send_extensions(call, &response, request->all_extension_numbers_of_type);
		break;
	case ASKS(LIST_SERVICES):
		send_services(call, &response, server);
		break;
	default:
		send_error(call, &response, SL_GRPC_INVALID_ARGUMENT, "no question in the request for host",
			   request->host);
	}
}

static void reflect(struct sl_call *call, const uint8_t *message, size_t length, void *user)
{
	struct sl_error err = {.text = ""};
	ProtobufCMessage *request;

	if (!message) {
		sl_call_finish(call, SL_GRPC_OK, NULL);
		return;
	}
	if (sl_message_unpack(&grpc__reflection__v1__server_reflection_request__descriptor, message, length,
			      &request, &err)) {
		sl_call_finish(call, SL_GRPC_INVALID_ARGUMENT, err.text);
		return;
	}
	answer_request(call, user, (reflection_request *)request);
	sl_message_free(request);
}

int sl_reflection_register(struct sl_grpc_server *server)
{
	int rc = sl_grpc_register_stream(server, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
					 reflect, server);

	if (rc < 0)
		return rc;
	return sl_grpc_register_stream(
		server, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", reflect, server);
}
