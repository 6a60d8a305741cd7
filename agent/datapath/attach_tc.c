// SPDX-License-Identifier: Apache-2.0
/*
 * tc hooks by tcx links (Linux 6.6). libbpf 1.1 does not know them yet, so the
 * three system calls are made here, with the layout that linux/bpf.h has had
 * since. Where the kernel has no tcx, clsact takes over (attach_clsact.c).
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "datapath/internal.h"

#define TCX_INGRESS   46	/* BPF_TCX_INGRESS */
#define TCX_EGRESS    47	/* BPF_TCX_EGRESS */
#define MPROG_BEFORE  (1u << 3) /* BPF_F_BEFORE; with no other program named: the first */
#define MPROG_MAXIMUM 64	/* BPF_MPROG_MAX: programs on one hook */

struct link_create {
	__u32 prog_fd;
	__u32 target_ifindex;
	__u32 attach_type;
	__u32 flags;
	__u32 relative_fd;
	__u32 unused;
	__u64 expected_revision;
};

struct prog_query {
	__u32 target_ifindex;
	__u32 attach_type;
	__u32 query_flags;
	__u32 attach_flags;
	__u64 prog_ids;
	__u32 count;
	__u32 unused;
	__u64 prog_attach_flags;
	__u64 link_ids;
	__u64 link_attach_flags;
	__u64 revision; /* written by the kernel whatever size is passed */
};

static int bpf_call(int command, void *attributes, unsigned int size)
{
	long r = syscall(SYS_bpf, command, attributes, size);

	return r < 0 ? -errno : (int)r;
}

static __u32 attach_type(enum sl_hook_kind kind)
{
	return kind == SL_HOOK_TC_INGRESS ? TCX_INGRESS : TCX_EGRESS;
}

static int query_links(unsigned int ifindex, enum sl_hook_kind kind, __u32 links[MPROG_MAXIMUM])
{
	__u32 programs[MPROG_MAXIMUM];
	struct prog_query query = {
		.target_ifindex = ifindex,
		.attach_type = attach_type(kind),
		.prog_ids = (__u64)(uintptr_t)programs,
		.count = MPROG_MAXIMUM,
		.link_ids = (__u64)(uintptr_t)links,
	};
	int r = bpf_call(BPF_PROG_QUERY, &query, sizeof(query));

	return r < 0 ? r : (int)query.count;
}

static bool tcx_is_there(unsigned int ifindex)
{
	__u32 links[MPROG_MAXIMUM];
	const char *forced = getenv("SLUICE_NO_TCX");

	if (forced && strcmp(forced, "1") == 0)
		return false;
	return query_links(ifindex, SL_HOOK_TC_INGRESS, links) >= 0;
}

/*
 * Where in the chain of its hook the link is, or -ENOLINK. Asked by what runs on
 * this device in this namespace, not by the ifindex that the link reports: a
 * link can be left over from a device of another namespace with the same number.
 */
static int position(int link_fd, const struct sl_pin *pin)
{
	struct bpf_link_info info = {0};
	__u32 links[MPROG_MAXIMUM];
	__u32 size = sizeof(info);
	int count;
	int r;

	r = bpf_obj_get_info_by_fd(link_fd, &info, &size);
	if (r < 0)
		return r;
	count = query_links(pin->ifindex, pin->kind, links);
	for (int i = 0; i < count; i++)
		if (links[i] == info.id)
			return i;
	return count < 0 ? count : -ENOLINK;
}

static int make_link(const struct sl_device *device, struct sl_hook *hook, int program_fd, const char *path,
		     struct sl_error *err)
{
	struct link_create create = {
		.prog_fd = (__u32)program_fd,
		.target_ifindex = device->ifindex,
		.attach_type = attach_type(hook->pin.kind),
		.flags = MPROG_BEFORE,
	};
	_cleanup_fd_ int fd = -1;

	fd = bpf_call(BPF_LINK_CREATE, &create, sizeof(create));
	if (fd < 0)
		return sl_error(err, -fd, "interface %s: %s: tcx link: %s", device->name,
				sl_hook_name(hook->pin.kind), strerror(-fd));
	hook->fresh = true;
	return sl_pin_object(fd, path, err);
}

/* 0: our link was there and runs the new program now. */
static int update_link(const struct sl_pin *pin, const char *path, int program_fd)
{
	_cleanup_fd_ int fd = -1;
	int r;

	fd = bpf_obj_get(path);
	if (fd < 0)
		return fd;
	r = position(fd, pin);
	return r < 0 ? r : bpf_link_update(fd, program_fd, NULL);
}

int sl_tc_attach(struct sl_datapath *datapath, const struct sl_device *device, struct sl_hook *hook,
		 int program_fd, struct sl_error *err)
{
	const char *pin_path = datapath->config.pin_path;
	char path[SL_PIN_PATH_SIZE];
	int r;

	if (!tcx_is_there(device->ifindex))
		return sl_clsact_attach(datapath, device, hook, program_fd, err);
	hook->pin.link = true;
	hook->mechanism = "tcx-link";
	snprintf(hook->reason, sizeof(hook->reason),
		 "the kernel has tcx: atomic replacement, first in the chain");
	hook->program_id = sl_program_id(program_fd);
	sl_pin_path(pin_path, &hook->pin, path);
	r = update_link(&hook->pin, path, program_fd);
	if (r == 0)
		return 0;
	if (r != -ENOENT)
		sl_log(SL_LOG_WARNING, "stale-link-removed", "path", "%s", path, "error", "%s", strerror(-r),
		       NULL);
	/* a link whose device has gone, or was made anew under the same number */
	r = sl_tc_take_off(pin_path, &hook->pin, err);
	return r < 0 ? r : make_link(device, hook, program_fd, path, err);
}

int sl_tc_take_off(const char *pin_path, const struct sl_pin *pin, struct sl_error *err)
{
	char path[SL_PIN_PATH_SIZE];
	_cleanup_fd_ int fd = -1;
	int r;

	if (!pin->link)
		return sl_clsact_take_off(pin_path, pin, err);
	sl_pin_path(pin_path, pin, path);
	fd = bpf_obj_get(path);
	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return sl_error(err, -fd, "opening %s: %s", path, strerror(-fd));
	/* detached already when the device has gone; another process may still hold the link, so unpinning is
	 * not enough */
	r = bpf_link_detach(fd);
	if (r < 0 && r != -ENOLINK)
		return sl_error(err, -r, "detaching %s: %s", path, strerror(-r));
	sl_pin_remove(pin_path, pin);
	return 0;
}

bool sl_tc_is_attached(const char *pin_path, const struct sl_hook *hook, unsigned int *before)
{
	char path[SL_PIN_PATH_SIZE];
	_cleanup_fd_ int fd = -1;
	int r;

	*before = 0;
	if (!hook->pin.link)
		return sl_clsact_is_attached(hook);
	sl_pin_path(pin_path, &hook->pin, path);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return false;
	r = position(fd, &hook->pin);
	if (r > 0)
		*before = (unsigned int)r;
	return r >= 0;
}
