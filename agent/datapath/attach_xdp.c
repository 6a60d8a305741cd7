// SPDX-License-Identifier: Apache-2.0
/*
 * The XDP hook of an access device. libxdp puts our program beside those of
 * others by its dispatcher; where the kernel refuses the dispatcher, and where
 * programs may not be opened by id (libxdp cannot work without), ours is
 * attached alone. A program of another owner that stands alone is never
 * replaced.
 *
 * Ours is known by its pin, and, should the pin be lost, by the maps it reads.
 * A lone program is replaced with XDP_FLAGS_REPLACE, which names the one that
 * goes; in the dispatcher the new one joins before the old one leaves. Either
 * way there is no moment without one.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <string.h>
#include <xdp/libxdp.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "datapath/internal.h"
#include "sluice_xdp.skel.h"

#define PROGRAM_NAME	    "xdp_access"
#define DISPATCHER_PROGRAMS 10 /* libxdp's bound */

static void destroy_skeleton(struct sluice_xdp **skeleton)
{
	sluice_xdp__destroy(*skeleton);
}

static void close_program(struct xdp_program **program)
{
	xdp_program__close(*program);
}

bool sl_xdp_wanted(enum sl_datapath_mode mode, const struct sl_device *device, char reason[96])
{
	if (mode == SL_MODE_TC)
		snprintf(reason, 96, "no XDP: datapath.mode is tc");
	else if (!device->ethernet)
		snprintf(reason, 96, "no XDP: the device has no Ethernet header");
	else if (mode == SL_MODE_XDP)
		return true;
	else if (strcmp(device->driver, "veth") == 0)
		snprintf(reason, 96, "no XDP: on veth it costs TSO (53 -> 12 Gbit/s measured)");
	else if (!device->hardware)
		snprintf(reason, 96, "no XDP: %s is a virtual device",
			 device->driver[0] ? device->driver : device->name);
	else
		return true;
	return false;
}

/* --- what is there ------------------------------------------------------------- */

struct state {
	uint32_t id[3];
	uint32_t flags[3];
};

static int read_state(unsigned int ifindex, struct state *out)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	int r = bpf_xdp_query((int)ifindex, 0, &query);

	if (r == 0)
		*out = (struct state){
			.id = {query.drv_prog_id, query.skb_prog_id, query.hw_prog_id},
			.flags = {XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE, XDP_FLAGS_HW_MODE},
		};
	return r;
}

/* The mode in which a program runs by itself; 0: it does not. */
static uint32_t lone_mode(const struct state *state, uint32_t id)
{
	for (size_t i = 0; i < SL_ARRAY_SIZE(state->id); i++)
		if (id && state->id[i] == id)
			return state->flags[i];
	return 0;
}

static uint32_t first_program(const struct state *state)
{
	for (size_t i = 0; i < SL_ARRAY_SIZE(state->id); i++)
		if (state->id[i])
			return state->id[i];
	return 0;
}

/* libxdp pins what a dispatcher calls, so no id has to be opened to look inside. */
static int open_member(unsigned int ifindex, uint32_t dispatcher, int slot)
{
	char path[SL_PIN_PATH_SIZE];

	snprintf(path, sizeof(path), SL_BPFFS "/xdp/dispatch-%u-%u/prog%d-prog", ifindex, dispatcher, slot);
	return bpf_obj_get(path);
}

static bool dispatcher_holds(unsigned int ifindex, uint32_t dispatcher, uint32_t id)
{
	for (int slot = 0; id && dispatcher && slot < DISPATCHER_PROGRAMS; slot++) {
		_cleanup_fd_ int fd = open_member(ifindex, dispatcher, slot);

		if (sl_program_id(fd) == id)
			return true;
	}
	return false;
}

static bool in_dispatcher(unsigned int ifindex, const struct state *state, uint32_t id)
{
	for (size_t i = 0; i < SL_ARRAY_SIZE(state->id); i++)
		if (dispatcher_holds(ifindex, state->id[i], id))
			return true;
	return false;
}

static bool is_attached(unsigned int ifindex, const struct state *state, uint32_t id)
{
	return lone_mode(state, id) || in_dispatcher(ifindex, state, id);
}

/* Does it read the very maps that are pinned? Then it is ours, whatever became of its own pin. */
static bool uses_our_maps(const struct sl_datapath *datapath, int program_fd)
{
	struct bpf_map_info map = {0};
	__u32 map_size = sizeof(map);
	__u32 map_ids[32];
	struct bpf_prog_info info = {.nr_map_ids = SL_ARRAY_SIZE(map_ids), .map_ids = (uintptr_t)map_ids};
	__u32 size = sizeof(info);

	if (bpf_obj_get_info_by_fd(datapath->map_fd[SL_MAP_ENDPOINTS4], &map, &map_size) < 0 ||
	    bpf_obj_get_info_by_fd(program_fd, &info, &size) < 0)
		return false;
	for (__u32 i = 0; i < info.nr_map_ids && i < SL_ARRAY_SIZE(map_ids); i++)
		if (map_ids[i] == map.id)
			return true;
	return false;
}

/* A program of ours whose pin is lost; an fd, or negative. A lone one is found only where ids may be opened.
 */
static int find_unpinned(const struct sl_datapath *datapath, unsigned int ifindex, const struct state *state)
{
	for (size_t i = 0; i < SL_ARRAY_SIZE(state->id); i++) {
		_cleanup_fd_ int lone = -1;

		if (!state->id[i])
			continue;
		lone = bpf_prog_get_fd_by_id(state->id[i]);
		if (lone >= 0 && uses_our_maps(datapath, lone))
			return SL_TAKE_FD(lone);
		for (int slot = 0; slot < DISPATCHER_PROGRAMS; slot++) {
			_cleanup_fd_ int member = open_member(ifindex, state->id[i], slot);

			if (member >= 0 && uses_our_maps(datapath, member))
				return SL_TAKE_FD(member);
		}
	}
	return -ENOENT;
}

/* --- putting ours there ----------------------------------------------------------- */

struct attempt {
	struct sl_datapath *datapath;
	const struct sl_device *device;
	struct sl_hook *hook;
	struct sl_pin coming;
	char path[SL_PIN_PATH_SIZE];
	char coming_path[SL_PIN_PATH_SIZE];
	struct sl_error *err;
};

static int open_skeleton(const struct attempt *attempt, struct sluice_xdp **out)
{
	struct sluice_xdp *skeleton = sluice_xdp__open();
	int r;

	if (!skeleton)
		return sl_error(attempt->err, errno, "opening the XDP program: %s", strerror(errno));
	r = sl_maps_prepare_object(attempt->datapath, skeleton->obj, attempt->err);
	if (r < 0) {
		sluice_xdp__destroy(skeleton);
		return r;
	}
	*out = skeleton;
	return 0;
}

static int load_skeleton(const struct attempt *attempt, struct sluice_xdp **out)
{
	_cleanup_(destroy_skeleton) struct sluice_xdp *skeleton = NULL;
	int r;

	r = open_skeleton(attempt, &skeleton);
	if (r < 0)
		return r;
	sl_library_listen();
	r = sluice_xdp__load(skeleton);
	if (r < 0)
		return sl_error(attempt->err, -r, "loading the XDP program: %s: %s", strerror(-r),
				sl_library_message());
	*out = SL_TAKE(skeleton);
	return 0;
}

static int pin_coming(const struct attempt *attempt, int fd)
{
	sl_pin_remove(attempt->datapath->config.pin_path, &attempt->coming);
	return sl_pin_object(fd, attempt->coming_path, attempt->err);
}

/* The program runs: it is the one now. */
static int settle(const struct attempt *attempt, int fd, const char *mechanism)
{
	attempt->hook->program_id = sl_program_id(fd);
	attempt->hook->mechanism = mechanism;
	if (rename(attempt->coming_path, attempt->path) < 0)
		return sl_error(attempt->err, errno, "rename %s: %s", attempt->coming_path, strerror(errno));
	return 0;
}

static const char *mechanism_of(uint32_t mode)
{
	return mode == XDP_FLAGS_SKB_MODE ? "xdp-generic" : "xdp-native";
}

/* old_fd < 0: only where nothing is attached. */
static int attach_alone(const struct attempt *attempt, uint32_t mode, int old_fd)
{
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts, .old_prog_fd = old_fd < 0 ? 0 : old_fd);
	_cleanup_(destroy_skeleton) struct sluice_xdp *skeleton = NULL;
	int fd;
	int r;

	r = load_skeleton(attempt, &skeleton);
	if (r < 0)
		return r;
	fd = bpf_program__fd(skeleton->progs.xdp_access);
	r = pin_coming(attempt, fd);
	if (r < 0)
		return r;
	r = bpf_xdp_attach((int)attempt->device->ifindex, fd,
			   mode | (old_fd < 0 ? XDP_FLAGS_UPDATE_IF_NOEXIST : XDP_FLAGS_REPLACE),
			   old_fd < 0 ? NULL : &opts);
	if (r < 0) {
		sl_pin_remove(attempt->datapath->config.pin_path, &attempt->coming);
		return sl_error(attempt->err, -r, "interface %s: attaching XDP (%s): %s: %s",
				attempt->device->name, mechanism_of(mode), strerror(-r),
				sl_library_message());
	}
	return settle(attempt, fd, mechanism_of(mode));
}

static int attach_by_libxdp(const struct attempt *attempt)
{
	_cleanup_(destroy_skeleton) struct sluice_xdp *skeleton = NULL;
	_cleanup_(close_program) struct xdp_program *program = NULL;
	DECLARE_LIBXDP_OPTS(xdp_program_opts, opts, .prog_name = PROGRAM_NAME);
	struct xdp_program *created;
	struct state state;
	uint32_t mode;
	int fd;
	int r;

	r = open_skeleton(attempt, &skeleton);
	if (r < 0)
		return r;
	opts.obj = skeleton->obj;
	sl_library_listen();
	created = xdp_program__create(&opts);
	r = (int)libxdp_get_error(created);
	if (r < 0)
		return sl_error(attempt->err, -r, "libxdp: %s", strerror(-r));
	program = created;
	r = xdp_program__attach(program, (int)attempt->device->ifindex, XDP_MODE_NATIVE, 0);
	if (r < 0)
		return sl_error(attempt->err, -r, "interface %s: libxdp: %s: %s", attempt->device->name,
				strerror(-r), sl_library_message());
	fd = xdp_program__fd(program);
	r = pin_coming(attempt, fd);
	if (r == 0)
		r = read_state(attempt->device->ifindex, &state);
	if (r < 0) {
		xdp_program__detach(program, (int)attempt->device->ifindex, XDP_MODE_UNSPEC, 0);
		return r;
	}
	mode = lone_mode(&state, sl_program_id(fd));
	return settle(attempt, fd, mode ? mechanism_of(mode) : "xdp-dispatcher");
}

/* `refused`: why the dispatcher is not used. */
static void tell_lone(const struct attempt *attempt, const char *refused)
{
	snprintf(attempt->hook->reason, sizeof(attempt->hook->reason), "a lone program: %s", refused);
	sl_log(SL_LOG_WARNING, "xdp-lone-program", "interface", "%s", attempt->device->name, "mechanism",
	       "%s", attempt->hook->mechanism, "reason", "%s", refused, NULL);
}

static int attach_first(const struct attempt *attempt, bool ids)
{
	char refused[96] = "libxdp's dispatcher needs CAP_SYS_ADMIN to open programs by id";
	int native;
	int r;

	attempt->hook->fresh = true;
	if (ids) {
		r = attach_by_libxdp(attempt);
		if (r == 0 && strcmp(attempt->hook->mechanism, "xdp-dispatcher") == 0) {
			snprintf(attempt->hook->reason, sizeof(attempt->hook->reason),
				 "libxdp's dispatcher: other programs may join");
			return 0;
		}
		snprintf(refused, sizeof(refused), "%s",
			 r == 0 ? "the kernel refuses libxdp's dispatcher (freplace)" : sl_library_message());
		if (r == 0) {
			tell_lone(attempt, refused);
			return 0;
		}
	}
	native = attach_alone(attempt, XDP_FLAGS_DRV_MODE, -1);
	if (native == 0) {
		tell_lone(attempt, refused);
		return 0;
	}
	if (attempt->datapath->config.mode != SL_MODE_XDP || native == -EBUSY || native == -EEXIST)
		return native;
	r = attach_alone(attempt, XDP_FLAGS_SKB_MODE, -1);
	if (r < 0)
		return r;
	snprintf(refused, sizeof(refused), "generic, slower than tc: native XDP fails with %s",
		 strerror(-native));
	tell_lone(attempt, refused);
	return 0;
}

static int replace_alone(const struct attempt *attempt, uint32_t mode, int old_fd)
{
	int r = attach_alone(attempt, mode, old_fd);

	if (r == 0)
		tell_lone(attempt, "it took the place of the earlier run's");
	return r;
}

static int keep_in_dispatcher(const struct attempt *attempt, int old_fd)
{
	attempt->hook->program_id = sl_program_id(old_fd);
	attempt->hook->mechanism = "xdp-dispatcher";
	snprintf(attempt->hook->reason, sizeof(attempt->hook->reason),
		 "the earlier run's program is kept: changing libxdp's dispatcher needs CAP_SYS_ADMIN");
	sl_log(SL_LOG_WARNING, "xdp-program-kept", "interface", "%s", attempt->device->name, "reason", "%s",
	       attempt->hook->reason, NULL);
	return 0;
}

static int replace_in_dispatcher(const struct attempt *attempt, int old_fd)
{
	_cleanup_(close_program) struct xdp_program *old = NULL;
	struct xdp_program *opened;
	int r;

	r = attach_by_libxdp(attempt);
	if (r < 0)
		return r;
	snprintf(attempt->hook->reason, sizeof(attempt->hook->reason),
		 "libxdp's dispatcher: other programs may join");
	opened = xdp_program__from_fd(old_fd);
	r = (int)libxdp_get_error(opened);
	if (r == 0) {
		old = opened;
		r = xdp_program__detach(old, (int)attempt->device->ifindex, XDP_MODE_UNSPEC, 0);
	}
	if (r < 0)
		return sl_error(attempt->err, -r,
				"interface %s: taking the earlier XDP program out of the dispatcher: %s",
				attempt->device->name, strerror(-r));
	return 0;
}

static int join_or_refuse(const struct attempt *attempt, const struct state *state, bool ids)
{
	uint32_t foreign = first_program(state);
	char name[BPF_OBJ_NAME_LEN];

	sl_program_name(foreign, name);
	/* a dispatcher may be joined; on any refusal it is a program in the way like others */
	if (ids && strcmp(name, "xdp_dispatcher") == 0 && attach_by_libxdp(attempt) == 0) {
		attempt->hook->fresh = true;
		snprintf(attempt->hook->reason, sizeof(attempt->hook->reason),
			 "libxdp's dispatcher, beside programs of others");
		return 0;
	}
	return sl_error(attempt->err, EEXIST,
			"interface %s: a foreign XDP program is attached (program id %u%s%s); sluice does "
			"not touch it; if nobody needs it: ip link set dev %s xdp off",
			attempt->device->name, foreign, name[0] ? ", name " : "", name,
			attempt->device->name);
}

int sl_xdp_attach(struct sl_datapath *datapath, const struct sl_device *device, struct sl_hook *hook,
		  struct sl_error *err)
{
	bool ids = sl_program_ids_allowed(datapath);
	struct attempt attempt = {.datapath = datapath, .device = device, .hook = hook, .err = err};
	_cleanup_fd_ int coming_fd = -1;
	_cleanup_fd_ int old_fd = -1;
	struct state state;
	uint32_t mode;
	int r;

	hook->pin.link = false;
	attempt.coming = hook->pin;
	attempt.coming.replacing = true;
	sl_pin_path(datapath->config.pin_path, &hook->pin, attempt.path);
	sl_pin_path(datapath->config.pin_path, &attempt.coming, attempt.coming_path);
	r = read_state(device->ifindex, &state);
	if (r < 0)
		return sl_error(err, -r, "interface %s: reading its XDP programs: %s", device->name,
				strerror(-r));

	/* a start that died between attaching and settling left its program under the other name */
	coming_fd = bpf_obj_get(attempt.coming_path);
	if (is_attached(device->ifindex, &state, sl_program_id(coming_fd)))
		rename(attempt.coming_path, attempt.path);
	old_fd = bpf_obj_get(attempt.path);
	if (!is_attached(device->ifindex, &state, sl_program_id(old_fd))) {
		sl_cleanup_fd(&old_fd);
		old_fd = find_unpinned(datapath, device->ifindex, &state);
	}
	if (old_fd >= 0 && in_dispatcher(device->ifindex, &state, sl_program_id(old_fd)))
		return ids ? replace_in_dispatcher(&attempt, old_fd) : keep_in_dispatcher(&attempt, old_fd);
	mode = lone_mode(&state, sl_program_id(old_fd));
	if (mode)
		return replace_alone(&attempt, mode, old_fd);
	return first_program(&state) ? join_or_refuse(&attempt, &state, ids) : attach_first(&attempt, ids);
}

/* --- and away ------------------------------------------------------------------------ */

static int leave_dispatcher(const struct sl_pin *pin, int fd)
{
	_cleanup_(close_program) struct xdp_program *program = NULL;
	struct xdp_program *opened = xdp_program__from_fd(fd);
	int r = (int)libxdp_get_error(opened);

	if (r < 0)
		return r;
	program = opened;
	return xdp_program__detach(program, (int)pin->ifindex, XDP_MODE_UNSPEC, 0);
}

int sl_xdp_take_off(const char *pin_path, const struct sl_pin *pin, struct sl_error *err)
{
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts);
	char path[SL_PIN_PATH_SIZE];
	_cleanup_fd_ int fd = -1;
	struct state state;
	uint32_t mode;
	int r = 0;

	sl_pin_path(pin_path, pin, path);
	fd = bpf_obj_get(path);
	/* when the device has gone there is nothing to ask */
	if (fd >= 0 && read_state(pin->ifindex, &state) == 0) {
		mode = lone_mode(&state, sl_program_id(fd));
		opts.old_prog_fd = fd;
		if (mode)
			r = bpf_xdp_detach((int)pin->ifindex, mode | XDP_FLAGS_REPLACE, &opts);
		else if (in_dispatcher(pin->ifindex, &state, sl_program_id(fd)))
			r = leave_dispatcher(pin, fd);
	}
	if (r < 0)
		return sl_error(err, -r, "interface %s: detaching XDP: %s", pin->interface, strerror(-r));
	sl_pin_remove(pin_path, pin);
	return 0;
}

bool sl_xdp_is_attached(const struct sl_hook *hook)
{
	struct state state;

	return read_state(hook->pin.ifindex, &state) == 0 &&
	       is_attached(hook->pin.ifindex, &state, hook->program_id);
}
