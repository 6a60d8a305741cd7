// SPDX-License-Identifier: Apache-2.0
/*
 * tc hooks without tcx: a BPF filter, direct action, on the clsact qdisc.
 *
 * A filter is ours when it has our priority and handle and runs the program
 * that is pinned under PIN_PATH/hooks; anything else at that place is another
 * owner's and an error. The qdisc is made only where there is none, which a
 * pin of its own (clsact-...) remembers, so that it is removed again with us
 * and only then. SLUICE_NO_TCX=1 in the environment sends a kernel that has
 * tcx this way too.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "datapath/internal.h"

/* The first to run. The handle is arbitrary; people know it from the HTB qdiscs. */
#define FILTER_PRIORITY 1
#define FILTER_HANDLE	SLUICE_HTB_MAJOR

struct filter {
	char kind[16];
	uint32_t priority;
	uint32_t handle;
	uint32_t program_id;
	char name[64];
};

static void close_socket(struct mnl_socket **socket)
{
	if (*socket)
		mnl_socket_close(*socket);
}

/* A dump of `type` for one device; `on_message` sees every answer. */
static int dump(uint16_t type, unsigned int ifindex, uint32_t parent, mnl_cb_t on_message, void *user)
{
	_cleanup_(close_socket) struct mnl_socket *socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	char buffer[32768]; /* what the kernel fills at most in one read */
	struct nlmsghdr *request;
	struct tcmsg *tc;
	ssize_t received;
	int r = MNL_CB_OK;

	if (!socket || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	request = mnl_nlmsg_put_header(buffer);
	request->nlmsg_type = type;
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	tc = mnl_nlmsg_put_extra_header(request, sizeof(*tc));
	tc->tcm_family = AF_UNSPEC;
	tc->tcm_ifindex = (int)ifindex;
	tc->tcm_parent = parent;
	if (mnl_socket_sendto(socket, request, request->nlmsg_len) < 0)
		return -errno;
	while (r == MNL_CB_OK) {
		received = mnl_socket_recvfrom(socket, buffer, sizeof(buffer));
		if (received < 0)
			return -errno;
		r = mnl_cb_run(buffer, (size_t)received, 0, 0, on_message, user);
	}
	return r < 0 ? -errno : 0;
}

struct qdisc_search {
	unsigned int ifindex;
	char kind[16];
};

static int on_qdisc(const struct nlmsghdr *message, void *user)
{
	const struct tcmsg *tc = mnl_nlmsg_get_payload(message);
	struct qdisc_search *search = user;
	const struct nlattr *attribute;

	if ((unsigned int)tc->tcm_ifindex != search->ifindex || tc->tcm_parent != TC_H_INGRESS)
		return MNL_CB_OK;
	mnl_attr_for_each(attribute, message, sizeof(*tc)) if (mnl_attr_get_type(attribute) == TCA_KIND)
		snprintf(search->kind, sizeof(search->kind), "%s", mnl_attr_get_str(attribute));
	return MNL_CB_OK;
}

/* The kind of the qdisc at ffff:, "" if there is none. */
static int read_qdisc(unsigned int ifindex, char kind[16])
{
	struct qdisc_search search = {.ifindex = ifindex};
	int r = dump(RTM_GETQDISC, ifindex, 0, on_qdisc, &search);

	if (r == 0)
		memcpy(kind, search.kind, sizeof(search.kind));
	return r;
}

struct filter_search {
	unsigned int count;
	/* the first of them at our priority that is not a BPF filter with another handle */
	struct filter at_our_place;
	bool found;
};

static void read_bpf_options(const struct nlattr *options, struct filter *filter)
{
	const struct nlattr *attribute;

	mnl_attr_for_each_nested(attribute, options)
	{
		if (mnl_attr_get_type(attribute) == TCA_BPF_NAME)
			snprintf(filter->name, sizeof(filter->name), "%s", mnl_attr_get_str(attribute));
		else if (mnl_attr_get_type(attribute) == TCA_BPF_ID)
			filter->program_id = mnl_attr_get_u32(attribute);
	}
}

static int on_filter(const struct nlmsghdr *message, void *user)
{
	const struct tcmsg *tc = mnl_nlmsg_get_payload(message);
	struct filter filter = {.priority = TC_H_MAJ(tc->tcm_info) >> 16, .handle = tc->tcm_handle};
	const struct nlattr *options = NULL;
	struct filter_search *search = user;
	const struct nlattr *attribute;
	bool bpf;

	mnl_attr_for_each(attribute, message, sizeof(*tc))
	{
		if (mnl_attr_get_type(attribute) == TCA_KIND)
			snprintf(filter.kind, sizeof(filter.kind), "%s", mnl_attr_get_str(attribute));
		else if (mnl_attr_get_type(attribute) == TCA_OPTIONS)
			options = attribute;
	}
	bpf = strcmp(filter.kind, "bpf") == 0;
	/* a line with handle 0 stands for the chain of a priority, not for a filter */
	if (bpf && filter.handle == 0)
		return MNL_CB_OK;
	if (bpf && options)
		read_bpf_options(options, &filter);
	search->count++;
	if (!search->found && filter.priority == FILTER_PRIORITY &&
	    (!bpf || filter.handle == FILTER_HANDLE)) {
		search->at_our_place = filter;
		search->found = true;
	}
	return MNL_CB_OK;
}

static uint32_t parent_of(enum sl_hook_kind kind)
{
	return TC_H_MAKE(TC_H_CLSACT, kind == SL_HOOK_TC_INGRESS ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS);
}

static int read_filters(unsigned int ifindex, enum sl_hook_kind kind, struct filter_search *search)
{
	memset(search, 0, sizeof(*search));
	return dump(RTM_GETTFILTER, ifindex, parent_of(kind), on_filter, search);
}

static uint32_t pinned_program(const char *pin_path, const struct sl_pin *pin, bool replacing)
{
	struct sl_pin wanted = *pin;
	char path[SL_PIN_PATH_SIZE];
	_cleanup_fd_ int fd = -1;

	wanted.replacing = replacing;
	sl_pin_path(pin_path, &wanted, path);
	fd = bpf_obj_get(path);
	return sl_program_id(fd);
}

/* Did this filter come from us, by this start or one that died half way? */
static bool is_ours(const char *pin_path, const struct sl_pin *pin, const struct filter *filter)
{
	return filter->program_id != 0 && (filter->program_id == pinned_program(pin_path, pin, false) ||
					   filter->program_id == pinned_program(pin_path, pin, true));
}

/* Field by field: libbpf refuses a struct whose padding is not zero. */
static void tc_hook(struct bpf_tc_hook *hook, unsigned int ifindex, enum sl_hook_kind kind)
{
	memset(hook, 0, sizeof(*hook));
	hook->sz = sizeof(*hook);
	hook->ifindex = (int)ifindex;
	hook->attach_point = kind == SL_HOOK_TC_INGRESS ? BPF_TC_INGRESS : BPF_TC_EGRESS;
	if (kind == SL_HOOK_CLSACT)
		hook->attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
}

static int need_qdisc(const char *pin_path, const struct sl_device *device, int program_fd,
		      struct sl_error *err)
{
	struct sl_pin marker = {.kind = SL_HOOK_CLSACT, .ifindex = device->ifindex};
	char path[SL_PIN_PATH_SIZE];
	struct bpf_tc_hook hook;
	char kind[16];
	int r;

	r = read_qdisc(device->ifindex, kind);
	if (r < 0)
		return sl_error(err, -r, "interface %s: reading its qdiscs: %s", device->name, strerror(-r));
	if (strcmp(kind, "clsact") == 0)
		return 0;
	if (kind[0])
		return sl_error(err, EEXIST,
				"interface %s: a foreign qdisc of kind %s stands where clsact is needed; "
				"sluice does not "
				"touch it",
				device->name, kind);
	memcpy(marker.interface, device->name, sizeof(marker.interface));
	sl_pin_path(pin_path, &marker, path);
	sl_pin_remove(pin_path, &marker);
	/* the marker first: a start that dies in between leaves no qdisc that nobody owns */
	r = sl_pin_object(program_fd, path, err);
	if (r < 0)
		return r;
	tc_hook(&hook, device->ifindex, SL_HOOK_CLSACT);
	r = bpf_tc_hook_create(&hook);
	if (r < 0) {
		sl_pin_remove(pin_path, &marker);
		return sl_error(err, -r, "interface %s: adding clsact: %s", device->name, strerror(-r));
	}
	return 0;
}

static int refuse_foreign(const struct sl_device *device, const struct sl_hook *hook,
			  const struct filter *filter, struct sl_error *err)
{
	return sl_error(err, EEXIST,
			"interface %s: %s: a foreign filter stands at priority %u (kind %s, handle 0x%x, "
			"%s%sprogram id "
			"%u); sluice does not touch it",
			device->name, sl_hook_name(hook->pin.kind), filter->priority, filter->kind,
			filter->handle, filter->name, filter->name[0] ? ", " : "", filter->program_id);
}

int sl_clsact_attach(struct sl_datapath *datapath, const struct sl_device *device, struct sl_hook *hook,
		     int program_fd, struct sl_error *err)
{
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = FILTER_HANDLE, .priority = FILTER_PRIORITY,
		    .prog_fd = program_fd);
	const char *pin_path = datapath->config.pin_path;
	char coming_path[SL_PIN_PATH_SIZE];
	char path[SL_PIN_PATH_SIZE];
	struct filter_search search;
	struct bpf_tc_hook place;
	struct sl_pin coming;
	int r;

	hook->pin.link = false;
	hook->mechanism = "clsact";
	snprintf(hook->reason, sizeof(hook->reason), "%s",
		 getenv("SLUICE_NO_TCX") ? "SLUICE_NO_TCX is set" : "the kernel has no tcx (Linux 6.6)");
	hook->program_id = sl_program_id(program_fd);
	coming = hook->pin;
	coming.replacing = true;

	r = need_qdisc(pin_path, device, program_fd, err);
	if (r < 0)
		return r;
	r = read_filters(device->ifindex, hook->pin.kind, &search);
	if (r < 0)
		return sl_error(err, -r, "interface %s: reading its filters: %s", device->name, strerror(-r));
	if (search.found && !is_ours(pin_path, &hook->pin, &search.at_our_place))
		return refuse_foreign(device, hook, &search.at_our_place, err);
	hook->fresh = !search.found;

	sl_pin_path(pin_path, &hook->pin, path);
	sl_pin_path(pin_path, &coming, coming_path);
	/* pinned before it runs: whoever starts after a crash knows both programs */
	if (search.found && search.at_our_place.program_id == pinned_program(pin_path, &hook->pin, true))
		rename(coming_path, path);
	else
		sl_pin_remove(pin_path, &coming);
	r = sl_pin_object(program_fd, coming_path, err);
	if (r < 0)
		return r;
	if (search.found)
		opts.flags = BPF_TC_F_REPLACE;
	tc_hook(&place, device->ifindex, hook->pin.kind);
	r = bpf_tc_attach(&place, &opts);
	if (r < 0) {
		sl_pin_remove(pin_path, &coming);
		return sl_error(err, -r, "interface %s: %s: clsact filter: %s", device->name,
				sl_hook_name(hook->pin.kind), strerror(-r));
	}
	if (rename(coming_path, path) < 0)
		return sl_error(err, errno, "rename %s: %s", coming_path, strerror(errno));
	return 0;
}

int sl_clsact_take_off(const char *pin_path, const struct sl_pin *pin, struct sl_error *err)
{
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = FILTER_HANDLE, .priority = FILTER_PRIORITY);
	struct filter_search search;
	struct bpf_tc_hook place;
	int r;

	r = read_filters(pin->ifindex, pin->kind, &search);
	/* no device or no qdisc any more: nothing to take off */
	if (r == 0 && search.found && is_ours(pin_path, pin, &search.at_our_place)) {
		tc_hook(&place, pin->ifindex, pin->kind);
		r = bpf_tc_detach(&place, &opts);
		if (r < 0)
			return sl_error(err, -r, "interface %s: %s: removing the clsact filter: %s",
					pin->interface, sl_hook_name(pin->kind), strerror(-r));
	}
	sl_pin_remove(pin_path, pin);
	return 0;
}

int sl_clsact_remove_qdisc(const char *pin_path, const struct sl_pin *pin, struct sl_error *err)
{
	struct filter_search ingress;
	struct filter_search egress;
	struct bpf_tc_hook hook;
	int r;

	if (read_filters(pin->ifindex, SL_HOOK_TC_INGRESS, &ingress) == 0 &&
	    read_filters(pin->ifindex, SL_HOOK_TC_EGRESS, &egress) == 0) {
		if (ingress.count + egress.count > 0) {
			sl_log(SL_LOG_WARNING, "clsact-left", "interface", "%s", pin->interface,
			       "foreign_filters", "%u", ingress.count + egress.count, NULL);
		} else {
			tc_hook(&hook, pin->ifindex, SL_HOOK_CLSACT);
			r = bpf_tc_hook_destroy(&hook);
			if (r < 0 && r != -ENOENT && r != -EINVAL && r != -ENODEV)
				return sl_error(err, -r, "interface %s: removing clsact: %s", pin->interface,
						strerror(-r));
		}
	}
	sl_pin_remove(pin_path, pin);
	return 0;
}

bool sl_clsact_is_attached(const struct sl_hook *hook)
{
	struct filter_search search;

	return read_filters(hook->pin.ifindex, hook->pin.kind, &search) == 0 && search.found &&
	       search.at_our_place.program_id == hook->program_id;
}
