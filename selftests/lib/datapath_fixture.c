// SPDX-License-Identifier: Apache-2.0
#include "datapath_fixture.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"

#define BPFFS	   "/sys/fs/bpf"
#define PIN_PREFIX "sluice-test-"

static char pin_path[100];
static struct sl_datapath *opened; /* one at a time: the pins are locked */

const char *fixture_pin_path(void)
{
	return pin_path;
}

static void remove_dead_predecessors(void)
{
	DIR *directory = opendir(BPFFS);
	struct dirent *entry;

	if (!directory)
		return;
	while ((entry = readdir(directory))) {
		char path[sizeof(BPFFS) + sizeof(entry->d_name) + 1];
		struct sl_error err;
		int pid;

		if (sscanf(entry->d_name, PIN_PREFIX "%d", &pid) != 1 || kill(pid, 0) == 0)
			continue;
		snprintf(path, sizeof(path), BPFFS "/%s", entry->d_name);
		sl_datapath_remove(path, &err);
	}
	closedir(directory);
}

int fixture_setup(void **state)
{
	(void)state;
	if (getenv("SLUICE_TEST_LOG"))
		sl_log_set_level(SL_LOG_DEBUG);
	else
		sl_log_set_level(SL_LOG_ERROR);
	if (unshare(CLONE_NEWNET) < 0) {
		print_error("a network namespace: %s\n", strerror(errno));
		return -1;
	}
	snprintf(pin_path, sizeof(pin_path), BPFFS "/" PIN_PREFIX "%d", getpid());
	remove_dead_predecessors();
	return system("ip link set lo up");
}

int fixture_teardown(void **state)
{
	struct sl_error err;

	(void)state;
	return sl_datapath_remove(pin_path, &err);
}

int fixture_devices(void **state)
{
	(void)state;
	return system("ip link add access0 type veth peer name ue0 && ip link add core0 type veth peer name "
		      "inet0 && "
		      "for d in access0 ue0 core0 inet0; do ip link set $d up; done");
}

int fixture_no_devices(void **state)
{
	struct sl_error err;
	int r;

	(void)state;
	unsetenv("SLUICE_NO_TCX");
	fixture_close(opened);
	r = sl_datapath_remove(pin_path, &err);
	if (r < 0)
		print_error("teardown: %s\n", err.text);
	for (const char *const *name = (const char *const[]){"access0", "core0", NULL}; *name; name++)
		/* it goes by itself when its peer's namespace has just ended */
		if (if_nametoindex(*name) && !fixture_succeeds("ip link del %s 2>/dev/null", *name) &&
		    if_nametoindex(*name))
			r = -1;
	return r;
}

struct sl_datapath_config fixture_config(void)
{
	struct sl_datapath_config config = {
		.mode = SL_MODE_TC,
		.unknown_drop = true,
		.limits = {.sessions = 64,
			   .usage = 512,
			   .rules = 32,
			   .flows = 64,
			   .matches = 128,
			   .bindings = 256,
			   .meters = 256,
			   .quotas = 64,
			   .ids_blocks = 256,
			   .ids_buckets = 1024,
			   .ids_windows = 256,
			   .ids_logs = 64,
			   .ids_sets = 64,
			   .ids_connections = 256},
		.device = {{"access0", SL_ROLE_ACCESS}, {"core0", SL_ROLE_CORE}},
		.device_count = 2,
	};

	snprintf(config.pin_path, sizeof(config.pin_path), "%s", pin_path);
	return config;
}

static int run(const char *format, va_list args)
{
	char command[1024];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	vsnprintf(command, sizeof(command), format, args);
#pragma GCC diagnostic pop
	return system(command);
}

void fixture_run(const char *format, ...)
{
	va_list args;
	int r;

	va_start(args, format);
	r = run(format, args);
	va_end(args);
	if (r != 0)
		fail_msg("'%s' ended with status %d", format, r);
}

bool fixture_succeeds(const char *format, ...)
{
	va_list args;
	int r;

	va_start(args, format);
	r = run(format, args);
	va_end(args);
	return r == 0;
}

struct sl_datapath *fixture_open(const struct sl_datapath_config *config, bool expect_adopted)
{
	struct sl_datapath *datapath = NULL;
	struct sl_error err = {""};
	bool adopted = !expect_adopted;

	if (sl_datapath_open(config, &datapath, &adopted, &err) < 0)
		fail_msg("open: %s", err.text);
	opened = datapath;
	assert_int_equal(adopted, expect_adopted);
	return datapath;
}

void fixture_close(struct sl_datapath *datapath)
{
	sl_datapath_close(datapath);
	opened = NULL;
}

void fixture_attach(struct sl_datapath *datapath)
{
	struct sl_error err = {""};

	if (sl_datapath_attach(datapath, &err) < 0)
		fail_msg("attach: %s", err.text);
}

struct sl_datapath *fixture_start(const struct sl_datapath_config *config, bool expect_adopted)
{
	struct sl_datapath *datapath = fixture_open(config, expect_adopted);

	fixture_attach(datapath);
	return datapath;
}

static bool find_hook(struct sl_datapath *datapath, const char *interface, const char *name,
		      struct sl_hook_status *out)
{
	struct sl_hook_status hooks[96];
	size_t count = sl_datapath_hooks(datapath, hooks, 96);

	for (size_t i = 0; i < count; i++) {
		if (strcmp(hooks[i].interface, interface) == 0 && strcmp(hooks[i].hook, name) == 0) {
			*out = hooks[i];
			return true;
		}
	}
	return false;
}

struct sl_hook_status fixture_hook(struct sl_datapath *datapath, const char *interface, const char *hook)
{
	struct sl_hook_status status;

	if (!find_hook(datapath, interface, hook, &status))
		fail_msg("no hook %s on %s", hook, interface);
	return status;
}

bool fixture_has_hook(struct sl_datapath *datapath, const char *interface, const char *hook)
{
	struct sl_hook_status status;

	return find_hook(datapath, interface, hook, &status);
}

/* --- programs of others ---------------------------------------------------------- */

int fixture_program(uint32_t type, const char *name, int verdict)
{
	const struct bpf_insn code[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = verdict},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load((enum bpf_prog_type)type, name, "GPL", code, 2, NULL);

	assert_true(fd >= 0);
	return fd;
}

#define TCX_INGRESS 46
#define TCX_EGRESS  47

int fixture_tcx_attach(int program, const char *interface, bool ingress, bool first)
{
	struct {
		__u32 ifindex, program, type, flags, replace, relative;
		__u64 revision;
	} attach = {if_nametoindex(interface),
		    (__u32)program,
		    ingress ? TCX_INGRESS : TCX_EGRESS,
		    first ? 1u << 3 : 0,
		    0,
		    0,
		    0};

	return syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof(attach)) < 0 ? -errno : 0;
}

int fixture_tcx_detach(int program, const char *interface, bool ingress)
{
	struct {
		__u32 ifindex, program, type, flags, replace, relative;
		__u64 revision;
	} detach = {
		if_nametoindex(interface), (__u32)program, ingress ? TCX_INGRESS : TCX_EGRESS, 0, 0, 0, 0};

	return syscall(SYS_bpf, BPF_PROG_DETACH, &detach, sizeof(detach)) < 0 ? -errno : 0;
}

/* How many programs are on a tcx hook, and their ids; -errno where there is no tcx. */
static int tcx_programs(const char *interface, bool ingress, __u32 ids[64])
{
	struct {
		__u32 ifindex, type, flags, attach_flags;
		__u64 programs;
		__u32 count, unused;
		/* the kernel writes the last one, whatever size is passed */
		__u64 attach_flags_list, link_ids, link_attach_flags, revision;
	} query = {
		.ifindex = if_nametoindex(interface),
		.type = ingress ? TCX_INGRESS : TCX_EGRESS,
		.programs = (__u64)(uintptr_t)ids,
		.count = 64,
	};

	return syscall(SYS_bpf, BPF_PROG_QUERY, &query, sizeof(query)) < 0 ? -errno : (int)query.count;
}

unsigned int fixture_tcx_count(const char *interface, bool ingress)
{
	__u32 ids[64];
	int count = tcx_programs(interface, ingress, ids);

	return count < 0 ? 0 : (unsigned int)count;
}

void fixture_need_tcx(void)
{
	__u32 ids[64];

	if (tcx_programs("lo", true, ids) < 0) {
		print_message("SKIP: this kernel has no tcx (Linux 6.6)\n");
		skip();
	}
}

struct bpf_prog_info fixture_tcx_program(const char *interface, bool ingress)
{
	struct bpf_prog_info info = {0};
	__u32 size = sizeof(info);
	__u32 ids[64];
	int fd;

	assert_true(tcx_programs(interface, ingress, ids) > 0);
	fd = bpf_prog_get_fd_by_id(ids[0]);
	assert_true(fd >= 0);
	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
	close(fd);
	return info;
}

int fixture_drop_capabilities(unsigned int uid)
{
	const unsigned int kept[] = {CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON};
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		data[kept[i] / 32].permitted |= 1u << kept[i] % 32;
		data[kept[i] / 32].effective |= 1u << kept[i] % 32;
	}
	for (unsigned int capability = 0; capability <= CAP_LAST_CAP; capability++)
		if (!(data[capability / 32].permitted & 1u << capability % 32))
			prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
	prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
	if (setresuid(uid, uid, uid) < 0)
		return -errno;
	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}
