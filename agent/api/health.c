// SPDX-License-Identifier: Apache-2.0
#include "api/health.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "api/grpc.h"
#include "api/message.h"
#include "grpc/health/v1/health.pb-c.h"

typedef Grpc__Health__V1__HealthCheckRequest health_request;
typedef Grpc__Health__V1__HealthCheckResponse health_response;
typedef Grpc__Health__V1__HealthCheckResponse__ServingStatus serving_status;

#define SERVING		GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
#define NOT_SERVING	GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING
#define SERVICE_UNKNOWN GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN

struct service {
	char name[SL_HEALTH_NAME];
	bool serving;
};

struct watcher {
	TAILQ_ENTRY(watcher) link;
	struct sl_health *health;
	struct sl_call *call;
	char name[SL_HEALTH_NAME];
};

struct sl_health {
	struct service services[SL_HEALTH_SERVICES];
	size_t count;
	TAILQ_HEAD(, watcher) watchers;
};

static struct service *find(struct sl_health *health, const char *name)
{
	for (size_t i = 0; i < health->count; i++) {
		if (strcmp(health->services[i].name, name) == 0)
			return &health->services[i];
	}
	return NULL;
}

static serving_status state_of(struct sl_health *health, const char *name)
{
	const struct service *service = find(health, name);

	if (!service)
		return SERVICE_UNKNOWN;
	return service->serving ? SERVING : NOT_SERVING;
}

/* The request, or NULL once the call is answered with what is wrong with it. */
static health_request *unpack(struct sl_call *call, const uint8_t *message, size_t length)
{
	struct sl_error err = {.text = ""};
	ProtobufCMessage *unpacked;

	if (sl_message_unpack(&grpc__health__v1__health_check_request__descriptor, message, length, &unpacked,
			      &err)) {
		sl_call_finish(call, SL_GRPC_INVALID_ARGUMENT, err.text);
		return NULL;
	}
	return (health_request *)unpacked;
}

static void check(struct sl_call *call, const uint8_t *message, size_t length, void *user)
{
	health_response response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
	struct sl_health *health = user;
	health_request *request = unpack(call, message, length);

	if (!request)
		return;
	response.status = state_of(health, request->service);
	if (response.status == SERVICE_UNKNOWN)
		sl_call_finish(call, SL_GRPC_NOT_FOUND, "unknown service");
	else
		sl_message_reply(call, &response.base);
	sl_message_free(&request->base);
}

static void watcher_free(struct watcher *watcher)
{
	TAILQ_REMOVE(&watcher->health->watchers, watcher, link);
	free(watcher);
}

static void watcher_gone(struct sl_call *call, void *user)
{
	(void)call;
	watcher_free(user);
}

static void tell(struct watcher *watcher)
{
	health_response response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
	struct sl_call *call = watcher->call;

	response.status = state_of(watcher->health, watcher->name);
	if (sl_message_send(call, &response.base) == 0)
		return;
	/* a dropped change could be the last one: better an end than an old state that looks current */
	watcher_free(watcher);
	sl_call_finish(call, SL_GRPC_RESOURCE_EXHAUSTED, "the client does not read");
}

static void watch(struct sl_call *call, const uint8_t *message, size_t length, void *user)
{
	struct sl_health *health = user;
	health_request *request = unpack(call, message, length);
	struct watcher *watcher;

	if (!request)
		return;
	watcher = calloc(1, sizeof(*watcher));
	if (!watcher) {
		sl_call_finish(call, SL_GRPC_RESOURCE_EXHAUSTED, "out of memory");
	} else if (strlen(request->service) >= sizeof(watcher->name)) {
		free(watcher);
		sl_call_finish(call, SL_GRPC_INVALID_ARGUMENT, "service: longer than 127 bytes");
	} else {
		watcher->health = health;
		watcher->call = call;
		strcpy(watcher->name, request->service);
		TAILQ_INSERT_TAIL(&health->watchers, watcher, link);
		sl_call_on_gone(call, watcher_gone, watcher);
		tell(watcher);
	}
	sl_message_free(&request->base);
}

int sl_health_set(struct sl_health *health, const char *name, bool serving)
{
	struct service *service = find(health, name);
	struct watcher *watcher, *next;

	if (service && service->serving == serving)
		return 0;
	if (!service) {
		if (strlen(name) >= SL_HEALTH_NAME)
			return -ENAMETOOLONG;
		if (health->count == SL_HEALTH_SERVICES)
			return -ENOSPC;
		service = &health->services[health->count++];
		strcpy(service->name, name);
	}
	service->serving = serving;
	for (watcher = TAILQ_FIRST(&health->watchers); watcher; watcher = next) {
		next = TAILQ_NEXT(watcher, link);
		if (strcmp(watcher->name, name) == 0)
			tell(watcher);
	}
	return 0;
}

int sl_health_new(struct sl_grpc_server *server, struct sl_health **out)
{
	struct sl_health *health = calloc(1, sizeof(*health));
	int rc;

	if (!health)
		return -ENOMEM;
	TAILQ_INIT(&health->watchers);
	rc = sl_grpc_register(server, "/grpc.health.v1.Health/Check", check, health);
	if (rc == 0)
		rc = sl_grpc_register(server, "/grpc.health.v1.Health/Watch", watch, health);
	if (rc < 0) {
		free(health);
		return rc;
	}
	*out = health;
	return 0;
}

void sl_health_free(struct sl_health *health)
{
	free(health);
}
