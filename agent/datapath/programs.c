// SPDX-License-Identifier: Apache-2.0
/* The tc programs: open, size, load. And what may be known about any program. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <xdp/libxdp.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "datapath/internal.h"
#include "sluice_tc.skel.h"

/*
 * The first complaint since sl_library_listen: libbpf goes on to say at every
 * level above that what was below failed.
 */
static char first_message[256];

static void keep_message(const char *format, va_list args)
{
	char text[1024];
	size_t length;

	vsnprintf(text, sizeof(text), format, args);
	/* the verifier's log comes as one long text: its first line is enough for an error */
	length = strcspn(text, "\n");
	text[length] = '\0';
	if (length == 0)
		return;
	if (!first_message[0])
		snprintf(first_message, sizeof(first_message), "%.*s", (int)sizeof(first_message) - 1, text);
	sl_log(SL_LOG_DEBUG, "bpf-library", "message", "%s", text, NULL);
}

static int on_libbpf_message(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level == LIBBPF_WARN)
		keep_message(format, args);
	return 0;
}

static int on_libxdp_message(enum libxdp_print_level level, const char *format, va_list args)
{
	if (level != LIBXDP_DEBUG)
		keep_message(format, args);
	return 0;
}

void sl_library_listen(void)
{
	first_message[0] = '\0';
	libbpf_set_print(on_libbpf_message);
	libxdp_set_print(on_libxdp_message);
}

const char *sl_library_message(void)
{
	return first_message;
}

/*
 * Only what the devices need: verifying a program costs a start some 0.2 s. A
 * device that cannot be read now may be there when the programs are attached.
 */
static void choose_programs(const struct sl_datapath *datapath)
{
	const struct sl_datapath_config *config = &datapath->config;
	struct sl_device device;
	bool ethernet = false;
	bool plain = false;

	for (unsigned int i = 0; i < config->device_count; i++) {
		bool known = sl_device_read(config->device[i].name, &device, NULL) == 0;

		if (config->device[i].role != SL_ROLE_ACCESS)
			continue;
		ethernet |= !known || device.ethernet;
		plain |= !known || !device.ethernet;
	}
	bpf_program__set_autoload(datapath->tc->progs.access_ingress, ethernet);
	bpf_program__set_autoload(datapath->tc->progs.access_egress, ethernet);
	bpf_program__set_autoload(datapath->tc->progs.access_ingress_l3, plain);
	bpf_program__set_autoload(datapath->tc->progs.access_egress_l3, plain);
	bpf_program__set_autoload(datapath->tc->progs.core_ingress, config->vlans);
}

int sl_programs_load(struct sl_datapath *datapath, bool adopted, struct sl_error *err)
{
	int r;

	datapath->tc = sluice_tc__open();
	if (!datapath->tc)
		return sl_error(err, errno, "opening the tc programs: %s: %s", strerror(errno),
				first_message);
	r = sl_maps_prepare_object(datapath, datapath->tc->obj, err);
	if (r < 0)
		return r;
	choose_programs(datapath);
	sl_library_listen();
	r = sluice_tc__load(datapath->tc);
	if (r < 0)
		return sl_error(err, -r, "loading the tc programs: %s: %s%s", strerror(-r), first_message,
				r == -EPERM || r == -EACCES
					? "; the agent needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"
					: "");
	return adopted ? 0 : sl_maps_pin(datapath, datapath->tc->obj, err);
}

int sl_program_fd(const struct sl_datapath *datapath, enum sl_program program)
{
	switch (program) {
	case SL_PROGRAM_ACCESS_INGRESS:
		return bpf_program__fd(datapath->tc->progs.access_ingress);
	case SL_PROGRAM_ACCESS_INGRESS_L3:
		return bpf_program__fd(datapath->tc->progs.access_ingress_l3);
	case SL_PROGRAM_ACCESS_EGRESS:
		return bpf_program__fd(datapath->tc->progs.access_egress);
	case SL_PROGRAM_ACCESS_EGRESS_L3:
		return bpf_program__fd(datapath->tc->progs.access_egress_l3);
	case SL_PROGRAM_CORE_EGRESS:
		return bpf_program__fd(datapath->tc->progs.core_egress);
	case SL_PROGRAM_CORE_INGRESS:
		return bpf_program__fd(datapath->tc->progs.core_ingress);
	default:
		return -EINVAL;
	}
}

uint32_t sl_program_id(int fd)
{
	struct bpf_prog_info info = {0};
	__u32 size = sizeof(info);

	return fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &size) == 0 ? info.id : 0;
}

bool sl_program_ids_allowed(const struct sl_datapath *datapath)
{
	_cleanup_fd_ int fd = -1;

	fd = bpf_prog_get_fd_by_id(sl_program_id(sl_program_fd(datapath, SL_PROGRAM_CORE_EGRESS)));
	return fd >= 0;
}

void sl_program_name(uint32_t id, char out[BPF_OBJ_NAME_LEN])
{
	struct bpf_prog_info info = {0};
	__u32 size = sizeof(info);
	_cleanup_fd_ int fd = -1;

	out[0] = '\0';
	fd = bpf_prog_get_fd_by_id(id);
	if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &size) == 0)
		memcpy(out, info.name, BPF_OBJ_NAME_LEN);
}
