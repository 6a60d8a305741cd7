// SPDX-License-Identifier: Apache-2.0
/* Opens and closes the whole, and brings the hooks from what is there to what is wanted. */
#include "datapath/datapath.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "datapath/internal.h"
#include "sluice_tc.skel.h"

/* Records handed over by one sl_events_consume, so that a flood does not hold up the caller. */
#define EVENTS_PER_CALL 4096

static int on_event(void *user, void *data, size_t size)
{
	struct sl_datapath *datapath = user;
	const struct sluice_drop_event *drop = data;
	const struct sluice_quota_event *quota = data;

	/* every record begins with its type */
	if (size >= sizeof(*drop) && drop->type == SLUICE_EVENT_DROP) {
		if (datapath->on_drop)
			datapath->on_drop(drop, datapath->on_event_user);
	} else if (size >= sizeof(*quota) && quota->type == SLUICE_EVENT_QUOTA) {
		if (datapath->on_quota)
			datapath->on_quota(quota, datapath->on_event_user);
	} else {
		return 0;
	}
	return ++datapath->events_consumed == EVENTS_PER_CALL ? -EAGAIN : 0;
}

static int open_all(struct sl_datapath *datapath, bool *adopted, struct sl_error *err)
{
	const char *pin_path = datapath->config.pin_path;
	int r;

	r = sl_pins_prepare(pin_path, err);
	if (r == 0)
		r = sl_pins_lock(pin_path, &datapath->lock_fd, err);
	if (r == 0)
		r = sl_maps_open_pins(datapath, adopted, err);
	if (r == 0)
		r = sl_programs_load(datapath, *adopted, err);
	if (r == 0)
		r = sl_maps_map(datapath, *adopted, err);
	if (r < 0)
		return r;
	r = sl_endpoints_reindex(datapath);
	if (r < 0)
		return sl_error(err, -r, "reading the endpoint maps: %s", strerror(-r));
	datapath->ring = ring_buffer__new(datapath->map_fd[SL_MAP_EVENTS], on_event, datapath, NULL);
	if (!datapath->ring)
		return sl_error(err, errno, "map events: %s", strerror(errno));
	datapath->ids_ring =
		ring_buffer__new(datapath->map_fd[SL_MAP_IDS_EVENTS], sl_ids_on_event, datapath, NULL);
	if (!datapath->ids_ring)
		return sl_error(err, errno, "map ids_events: %s", strerror(errno));
	return 0;
}

int sl_datapath_open(const struct sl_datapath_config *config, struct sl_datapath **out, bool *adopted,
		     struct sl_error *err)
{
	struct sl_datapath *datapath = calloc(1, sizeof(*datapath));
	bool found = false;
	int r;

	if (!datapath)
		return sl_error(err, ENOMEM, "datapath: out of memory");
	datapath->config = *config;
	datapath->lock_fd = -1;
	for (enum sl_map map = 0; map < SL_MAP_COUNT; map++)
		datapath->map_fd[map] = -1;
	sl_library_listen();
	r = open_all(datapath, &found, err);
	if (r < 0) {
		sl_datapath_close(datapath);
		return r;
	}
	sl_log(SL_LOG_INFO, found ? "datapath-adopted" : "datapath-created", "pin_path", "%s",
	       config->pin_path, "sessions", "%u", datapath->maps.size.sessions, "usage", "%u",
	       datapath->maps.size.usage, NULL);
	*out = datapath;
	*adopted = found;
	return 0;
}

void sl_datapath_close(struct sl_datapath *datapath)
{
	if (!datapath)
		return;
	ring_buffer__free(datapath->ids_ring);
	ring_buffer__free(datapath->ring);
	sluice_tc__destroy(datapath->tc);
	sl_maps_close(datapath);
	sl_cleanup_fd(&datapath->lock_fd);
	free(datapath);
}

struct sl_maps *sl_datapath_maps(struct sl_datapath *datapath)
{
	return &datapath->maps;
}

/* --- hooks ------------------------------------------------------------------------- */

static int read_devices(const struct sl_datapath_config *config, struct sl_device *devices,
			struct sl_error *err)
{
	int r;

	for (unsigned int i = 0; i < config->device_count; i++) {
		for (unsigned int other = 0; other < i; other++)
			if (strcmp(config->device[i].name, config->device[other].name) == 0)
				return sl_error(err, EINVAL, "interface %s is named twice",
						config->device[i].name);
		r = sl_device_read(config->device[i].name, &devices[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

static struct sl_hook *new_hook(struct sl_hook *hooks, size_t *count, const struct sl_device *device,
				enum sl_device_role role, enum sl_hook_kind kind)
{
	struct sl_hook *hook = &hooks[(*count)++];

	*hook = (struct sl_hook){.role = role, .pin = {.kind = kind, .ifindex = device->ifindex}};
	memcpy(hook->pin.interface, device->name, sizeof(hook->pin.interface));
	return hook;
}

static enum sl_program tc_program(const struct sl_device *device, enum sl_device_role role,
				  enum sl_hook_kind kind)
{
	if (role == SL_ROLE_CORE)
		return kind == SL_HOOK_TC_INGRESS ? SL_PROGRAM_CORE_INGRESS : SL_PROGRAM_CORE_EGRESS;
	if (kind == SL_HOOK_TC_INGRESS)
		return device->ethernet ? SL_PROGRAM_ACCESS_INGRESS : SL_PROGRAM_ACCESS_INGRESS_L3;
	return device->ethernet ? SL_PROGRAM_ACCESS_EGRESS : SL_PROGRAM_ACCESS_EGRESS_L3;
}

static void log_hook(const struct sl_hook *hook)
{
	sl_log(SL_LOG_INFO, hook->fresh ? "hook-attached" : "hook-replaced", "interface", "%s",
	       hook->pin.interface, "hook", "%s", sl_hook_name(hook->pin.kind), "mechanism", "%s",
	       hook->mechanism, "reason", "%s", hook->reason, NULL);
}

static int attach_tc(struct sl_datapath *datapath, const struct sl_device *device, struct sl_hook *hook,
		     const char *no_xdp, struct sl_error *err)
{
	int program_fd = sl_program_fd(datapath, tc_program(device, hook->role, hook->pin.kind));
	size_t used;
	int r;

	if (program_fd < 0)
		return sl_error(err, EAGAIN,
				"interface %s has another link layer than when the agent started; restart it",
				device->name);
	r = sl_tc_attach(datapath, device, hook, program_fd, err);
	if (r < 0)
		return r;
	used = strlen(hook->reason);
	if (no_xdp[0])
		snprintf(hook->reason + used, sizeof(hook->reason) - used, "; %s", no_xdp);
	log_hook(hook);
	return 0;
}

/* -errno only where XDP was asked for by name. */
static int attach_xdp(struct sl_datapath *datapath, const struct sl_device *device, struct sl_hook *hooks,
		      size_t *count, char no_xdp[96], struct sl_error *err)
{
	struct sl_error refusal = {0};
	struct sl_hook *hook;
	int r;

	if (!sl_xdp_wanted(datapath->config.mode, device, no_xdp))
		return 0;
	hook = new_hook(hooks, count, device, SL_ROLE_ACCESS, SL_HOOK_XDP);
	r = sl_xdp_attach(datapath, device, hook, &refusal);
	if (r == 0) {
		log_hook(hook);
		return 0;
	}
	if (hook->mechanism == NULL)
		(*count)--;
	if (datapath->config.mode == SL_MODE_XDP)
		return sl_error(err, -r, "%s", refusal.text);
	snprintf(no_xdp, 96, "no XDP: %.80s", refusal.text);
	return 0;
}

static int attach_device(struct sl_datapath *datapath, const struct sl_device *device,
			 enum sl_device_role role, struct sl_hook *hooks, size_t *count, struct sl_error *err)
{
	char no_xdp[96] = "";
	int r = 0;

	if (role == SL_ROLE_ACCESS) {
		r = attach_xdp(datapath, device, hooks, count, no_xdp, err);
		if (r == 0)
			r = attach_tc(datapath, device,
				      new_hook(hooks, count, device, role, SL_HOOK_TC_INGRESS), no_xdp, err);
	}
	if (role == SL_ROLE_CORE && datapath->config.vlans) {
		if (!device->ethernet)
			return sl_error(err, EOPNOTSUPP,
					"interface %s has no Ethernet header, where the VLAN of an APN goes",
					device->name);
		r = attach_tc(datapath, device, new_hook(hooks, count, device, role, SL_HOOK_TC_INGRESS), "",
			      err);
	}
	if (r == 0)
		r = attach_tc(datapath, device, new_hook(hooks, count, device, role, SL_HOOK_TC_EGRESS), "",
			      err);
	return r;
}

static int take_off(const char *pin_path, const struct sl_pin *pin, struct sl_error *err)
{
	switch (pin->kind) {
	case SL_HOOK_XDP:
		return sl_xdp_take_off(pin_path, pin, err);
	case SL_HOOK_CLSACT:
		return sl_clsact_remove_qdisc(pin_path, pin, err);
	default:
		return sl_tc_take_off(pin_path, pin, err);
	}
}

static bool is_wanted(const struct sl_pin *pin, const struct sl_hook *hooks, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct sl_pin *wanted = &hooks[i].pin;

		if (sl_pin_equal(pin, wanted))
			return true;
		/* the qdisc stays as long as one filter of ours needs it */
		if (pin->kind == SL_HOOK_CLSACT && wanted->kind != SL_HOOK_XDP && !wanted->link &&
		    pin->ifindex == wanted->ifindex && strcmp(pin->interface, wanted->interface) == 0)
			return true;
	}
	return false;
}

/*
 * Takes off every pinned hook but the `count` that are wanted: filters before
 * their qdisc. Goes on after a failure and returns the first.
 */
static int take_off_all_but(const char *pin_path, const struct sl_hook *hooks, size_t count,
			    struct sl_error *err)
{
	_cleanup_free_ struct sl_pin *pins = NULL;
	struct sl_error further;
	size_t pin_count;
	int failure = 0;
	int r;

	r = sl_pins_list(pin_path, &pins, &pin_count, err);
	if (r < 0)
		return r;
	for (int qdiscs = 0; qdiscs < 2; qdiscs++) {
		for (size_t i = 0; i < pin_count; i++) {
			if ((pins[i].kind == SL_HOOK_CLSACT) != (qdiscs == 1) ||
			    is_wanted(&pins[i], hooks, count))
				continue;
			r = take_off(pin_path, &pins[i], failure ? &further : err);
			if (r < 0 && !failure)
				failure = r;
			if (r == 0)
				sl_log(SL_LOG_INFO, "hook-detached", "interface", "%s", pins[i].interface,
				       "hook", "%s", sl_hook_name(pins[i].kind), NULL);
		}
	}
	return failure;
}

static bool has_filter_pin(const struct sl_pin *pins, size_t count, unsigned int ifindex)
{
	for (size_t i = 0; i < count; i++)
		if (!pins[i].link && pins[i].ifindex == ifindex &&
		    (pins[i].kind == SL_HOOK_TC_INGRESS || pins[i].kind == SL_HOOK_TC_EGRESS))
			return true;
	return false;
}

/* A start that fails leaves no hook, and no qdisc for one, that was not there before. */
static void undo(struct sl_datapath *datapath, const struct sl_hook *hooks, size_t count)
{
	const char *pin_path = datapath->config.pin_path;
	_cleanup_free_ struct sl_pin *pins = NULL;
	struct sl_error ignored;
	size_t pin_count;

	for (size_t i = 0; i < count; i++)
		if (hooks[i].fresh)
			take_off(pin_path, &hooks[i].pin, &ignored);
	if (sl_pins_list(pin_path, &pins, &pin_count, &ignored) < 0)
		return;
	for (size_t i = 0; i < pin_count; i++)
		if (pins[i].kind == SL_HOOK_CLSACT && !has_filter_pin(pins, pin_count, pins[i].ifindex))
			take_off(pin_path, &pins[i], &ignored);
}

int sl_datapath_attach(struct sl_datapath *datapath, struct sl_error *err)
{
	const struct sl_datapath_config *config = &datapath->config;
	struct sl_device devices[2 * SL_DATAPATH_DEVICES];
	struct sl_hook hooks[SL_ARRAY_SIZE(datapath->hook)];
	size_t count = 0;
	int r;

	if (config->device_count > SL_ARRAY_SIZE(devices))
		return sl_error(err, EINVAL, "%u interfaces are more than %zu", config->device_count,
				SL_ARRAY_SIZE(devices));
	r = read_devices(config, devices, err);
	for (unsigned int i = 0; r == 0 && i < config->device_count; i++)
		r = attach_device(datapath, &devices[i], config->device[i].role, hooks, &count, err);
	if (r < 0) {
		undo(datapath, hooks, count);
		return r;
	}
	memcpy(datapath->hook, hooks, count * sizeof(hooks[0]));
	datapath->hook_count = count;
	/* last, so that a device that changes its mechanism is never without */
	return take_off_all_but(config->pin_path, hooks, count, err);
}

size_t sl_datapath_hooks(struct sl_datapath *datapath, struct sl_hook_status *out, size_t max)
{
	const char *pin_path = datapath->config.pin_path;
	size_t count = datapath->hook_count < max ? datapath->hook_count : max;

	for (size_t i = 0; i < count; i++) {
		const struct sl_hook *hook = &datapath->hook[i];
		unsigned int before = 0;

		out[i] = (struct sl_hook_status){
			.ifindex = hook->pin.ifindex,
			.role = hook->role,
			.hook = sl_hook_name(hook->pin.kind),
			.mechanism = hook->mechanism,
			.attached = hook->pin.kind == SL_HOOK_XDP
					    ? sl_xdp_is_attached(hook)
					    : sl_tc_is_attached(pin_path, hook, &before),
		};
		memcpy(out[i].interface, hook->pin.interface, sizeof(out[i].interface));
		memcpy(out[i].reason, hook->reason, sizeof(out[i].reason));
		if (before)
			snprintf(out[i].reason, sizeof(out[i].reason),
				 "NOT the first in the chain: %u program(s) of others run before and may end "
				 "it",
				 before);
	}
	return count;
}

/* --- the end ------------------------------------------------------------------------- */

static int remove_everything(const char *pin_path, struct sl_error *err)
{
	int r;

	r = take_off_all_but(pin_path, NULL, 0, err);
	if (r == 0)
		r = sl_pins_remove_maps(pin_path, err);
	if (r < 0)
		return r;
	sl_pins_remove_directories(pin_path);
	sl_log(SL_LOG_INFO, "datapath-removed", "pin_path", "%s", pin_path, NULL);
	return 0;
}

int sl_datapath_detach(struct sl_datapath *datapath, struct sl_error *err)
{
	int r = remove_everything(datapath->config.pin_path, err);

	if (r == 0)
		datapath->hook_count = 0;
	return r;
}

int sl_datapath_remove(const char *pin_path, struct sl_error *err)
{
	_cleanup_fd_ int lock = -1;
	struct stat status;
	int r;

	if (stat(pin_path, &status) < 0 && errno == ENOENT)
		return 0;
	sl_library_listen();
	r = sl_pins_lock(pin_path, &lock, err);
	return r < 0 ? r : remove_everything(pin_path, err);
}
